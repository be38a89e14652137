//! Text to a checked pipeline. Reads the local files that the pipeline names, opens no socket,
//! starts nothing; reports every error of the file in one go.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::graph::{self, Declared, Plan};
use super::validation::Validate;
use crate::config::{
    Check, Diagnostic, Duration, Options, OutsideMode, Severity, Size, SourceFile, Spec, Walker, nearest,
};
use crate::http::transport::Wire;
use crate::jq::Limits;
use crate::source::{Alerts, SourceContext};
use crate::{sink, source, transform};

/// Options of the whole pipeline.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PipelineOptions {
    /// Folder for cursors, positions and dead letters; created when missing, locked while in use.
    /// Default: `jaquard/<stem>-<8 hex of the absolute path>` in the user's state folder.
    data_dir: Option<PathBuf>,
    /// How often cursors are recorded.
    #[serde(default)]
    commit: Commit,
    /// Bounds on each program and event; a component can have its own.
    #[serde(default)]
    #[expect(dead_code, reason = "read bound by bound, so that a component changes only what it names")]
    limits: Limits,
    /// Worker threads. Default: one per core.
    #[schemars(range(min = 1, max = 1024))]
    workers: Option<usize>,
}

/// When an epoch ends and cursors move.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Commit {
    /// At the latest after this time, if anything happened.
    pub(super) interval: Duration,
    /// At the latest after this much input.
    pub(super) max_bytes: Size,
}

impl Default for Commit {
    fn default() -> Self {
        Commit { interval: Duration::from_secs(1), max_bytes: Size::mib(64) }
    }
}

/// What every component has. The names are the options; a kind takes those that apply to it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Common {
    /// Components that are read: `"name"`, `"name.output"`, `"name.errors"`, or a wildcard over
    /// default outputs (`"*_events"`).
    #[serde(default)]
    #[schemars(length(min = 1))]
    inputs: Vec<String>,
    /// Whether delivery to this sink is required. A sink that is not is best effort: a bounded
    /// queue that drops the newest events when full, and no dead letters.
    #[serde(default = "yes")]
    required: bool,
    /// How a write that failed is tried again.
    #[serde(default)]
    retry: Retry,
    /// What every event that leaves the transform, or comes to the sink, has to fulfil.
    validate: Option<Validate>,
}

/// How a write that failed is tried again. While it is, the sink's sources wait.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retry {
    /// Pause before the second try; doubled each time, with jitter.
    pub(super) initial: Duration,
    /// The longest pause.
    pub(super) max: Duration,
    /// How long it is tried under `--once`; without `--once` there is no end.
    pub(super) budget: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(30),
            budget: Duration::from_secs(60),
        }
    }
}

fn yes() -> bool {
    true
}

/// A pipeline that can run.
pub struct Pipeline {
    /// The file.
    pub file: Arc<SourceFile>,
    /// `data_dir` as configured.
    pub data_dir: Option<PathBuf>,
    pub(super) commit: Commit,
    pub(super) workers: Option<usize>,
    pub(super) plan: Plan,
    /// How its sources reach the network.
    pub(super) wire: Wire,
    /// Findings that do not keep it from running.
    pub warnings: Vec<Diagnostic>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("file", &self.file.shown).finish_non_exhaustive()
    }
}

impl Pipeline {
    /// The graph, for printing.
    pub fn graph(&self) -> graph::GraphView {
        self.plan.view()
    }

    /// Asks the other side of each source that has one: its name, and what was found or what is wrong.
    pub async fn probe(&self) -> Vec<(String, Result<String, String>)> {
        let mut found = Vec::new();
        for node in &self.plan.sources {
            let context = SourceContext {
                name: node.name.clone(),
                rows: Vec::new(),
                once: true,
                reset_hint: "".into(),
                alerts: Alerts::default(),
                wire: Wire::default(),
            };
            if let Some(result) = node.factory.probe(context).await {
                found.push((node.name.to_string(), result));
            }
        }
        found
    }
}

/// Why a file is no pipeline.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// Everything that is wrong with it, and warnings among it.
    Invalid(Vec<Diagnostic>),
}

/// Reads and checks a pipeline file.
pub fn load(path: &Path, mode: OutsideMode, once: bool) -> Result<Pipeline, LoadError> {
    load_given(path, mode, once, &BTreeMap::new())
}

/// Reads and checks a pipeline file. `environment` stands before that of the process.
pub fn load_given(
    path: &Path,
    mode: OutsideMode,
    once: bool,
    environment: &BTreeMap<String, String>,
) -> Result<Pipeline, LoadError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| LoadError::Unreadable(path.to_path_buf(), error))?;
    let file = SourceFile::new(path, text);
    let folder = match path.parent() {
        Some(parent) => parent,
        None => Path::new(""),
    };
    let mut walker = Walker::new(&file, folder, mode);
    walker.environment.clone_from(environment);
    let mut loader = Loader { file: &file, folder, once, walker, found: Vec::new() };
    let parts = loader.pipeline();
    let mut diagnostics = std::mem::take(&mut loader.walker.diagnostics);
    diagnostics.append(&mut loader.found);
    diagnostics.sort_by(|one, two| (&one.file.shown, one.span.start).cmp(&(&two.file.shown, two.span.start)));
    let is_error = diagnostics.iter().any(|found| found.severity == Severity::Error);
    match parts {
        Some((options, plan)) if !is_error => Ok(Pipeline {
            data_dir: options.data_dir.map(|data_dir| crate::config::resolve(folder, &data_dir)),
            commit: options.commit,
            workers: options.workers,
            plan,
            wire: Wire::default(),
            warnings: diagnostics,
            file,
        }),
        _ => Err(LoadError::Invalid(diagnostics)),
    }
}

const KINDS: [&str; 3] = ["sources", "transforms", "sinks"];

struct Loader<'a> {
    file: &'a Arc<SourceFile>,
    folder: &'a Path,
    once: bool,
    walker: Walker<'a>,
    found: Vec<Diagnostic>,
}

/// A component's table, before its type is looked at.
struct Entry<'t> {
    kind: usize,
    name: String,
    header: Range<usize>,
    table: &'t DeTable<'t>,
}

impl Loader<'_> {
    fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.found.push(Diagnostic::error(self.file, span, message).help(help));
    }

    fn pipeline(&mut self) -> Option<(PipelineOptions, Plan)> {
        let file = self.file.clone();
        let (root, errors) = DeTable::parse_recoverable(&file.text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            self.error(span, error.message().to_owned(), None);
        }
        if !errors.is_empty() {
            // what follows from a syntax error only hides it
            return None;
        }
        let root = root.get_ref();

        let schema = crate::config::schema_of::<PipelineOptions>();
        let options = self.walker.table(root, 0..0, &schema, "", &KINDS);
        let limits = options.get("limits").cloned();
        let options: Option<PipelineOptions> = serde_json::from_value(options).ok();
        let base_limits = merged_limits(&[limits.as_ref()]).unwrap_or_default();

        let entries = self.entries(root);
        let mut declared = Vec::new();
        let mut is_whole = true;
        let mut knows_edges = true;
        for entry in &entries {
            let component = self.component(entry, &limits, &base_limits);
            declared.push(component.unwrap_or_else(|| {
                is_whole = false;
                knows_edges &= entry.kind == 0 || inputs_of(entry.table).next().is_some();
                unread(entry, &entries)
            }));
        }
        if declared.is_empty() {
            let help =
                "a pipeline has `[sources.NAME]`, `[sinks.NAME]` and, between them, `[transforms.NAME]`";
            self.error(0..0, "there is no component", Some(help.to_owned()));
            return None;
        }
        let plan = graph::link(declared, knows_edges, self.file, &mut self.found)?;
        is_whole.then_some(())?;
        Some((options?, plan))
    }

    /// All component tables, their names checked.
    fn entries<'t>(&mut self, root: &'t DeTable<'t>) -> Vec<Entry<'t>> {
        let mut entries: Vec<Entry<'t>> = Vec::new();
        for (key, value) in root {
            let Some(kind) = KINDS.iter().position(|kind| kind == key.get_ref()) else {
                continue;
            };
            let DeValue::Table(components) = value.get_ref() else {
                let help = format!("write `[{}.NAME]`", KINDS[kind]);
                self.error(value.span(), format!("`{}` is not a table", KINDS[kind]), Some(help));
                continue;
            };
            for (name, component) in components {
                let text = name.get_ref().to_string();
                let DeValue::Table(table) = component.get_ref() else {
                    let help = format!("write `[{}.NAME]` and its options below", KINDS[kind]);
                    self.error(name.span(), format!("`{text}` is not a component"), Some(help));
                    continue;
                };
                let is_name = !text.is_empty()
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
                if !is_name {
                    let help = "use letters, digits, `_` and `-`";
                    self.error(name.span(), format!("`{text}` is no name"), Some(help.to_owned()));
                }
                if let Some(first) = entries.iter().find(|entry| entry.name == text) {
                    let message = format!("the name `{text}` is taken by one of the {}", KINDS[first.kind]);
                    self.error(name.span(), message, Some("names are unique over the whole file".to_owned()));
                }
                entries.push(Entry { kind, name: text, header: name.span(), table });
            }
        }
        entries
    }

    fn component(&mut self, entry: &Entry<'_>, limits: &Option<Value>, base: &Limits) -> Option<Declared> {
        match entry.kind {
            0 => self.typed(entry, source::SPECS, limits, base, graph::Part::Source),
            1 => self.typed(entry, transform::SPECS, limits, base, graph::Part::Transform),
            _ => self.typed(entry, sink::SPECS, limits, base, graph::Part::Sink),
        }
    }

    fn typed<B: ?Sized>(
        &mut self,
        entry: &Entry<'_>,
        specs: &[Spec<B>],
        pipeline_limits: &Option<Value>,
        base: &Limits,
        part: impl FnOnce(Box<B>) -> graph::Part,
    ) -> Option<Declared> {
        let kind = KINDS[entry.kind].trim_end_matches('s');
        let all = || specs.iter().map(|spec| format!("\"{}\"", spec.name)).collect::<Vec<_>>().join(", ");
        let written = entry.table.iter().find(|(key, _)| key.get_ref() == "type");
        let Some((_, written)) = written else {
            let help = format!("add `type = …`, one of {}", all());
            self.error(entry.header.clone(), format!("{kind} `{}` has no `type`", entry.name), Some(help));
            return None;
        };
        let Some(spec) =
            written.get_ref().as_str().and_then(|name| specs.iter().find(|spec| spec.name == name))
        else {
            self.unknown_type(kind, written, specs.iter().map(|spec| spec.name), &all());
            return None;
        };

        let component = (spec.schema)();
        let schema = with_common(&component, entry.kind);
        let path = format!("{}/{}", KINDS[entry.kind], entry.name);
        let before = self.walker.diagnostics.len();
        let options = self.walker.table(entry.table, entry.header.clone(), &schema, &path, &["type"]);
        let is_wrong =
            self.walker.diagnostics[before..].iter().any(|found| found.severity == Severity::Error);
        let Value::Object(options) = options else { return None };

        let own = component.get("properties").and_then(Value::as_object);
        let (own, common): (Map<_, _>, Map<_, _>) =
            options.into_iter().partition(|(name, _)| own.is_some_and(|own| own.contains_key(name)));
        let limits =
            merged_limits(&[pipeline_limits.as_ref(), common.get("limits")]).unwrap_or_else(|| base.clone());
        let mut common = common;
        common.remove("limits");
        let common: Common = serde_json::from_value(Value::Object(common)).ok()?;
        let options = Options::of(&self.walker, self.file);
        let found_before = self.found.len();
        let mut check = Check {
            name: &entry.name,
            folder: self.folder,
            limits: &limits,
            once: self.once,
            path: path.clone(),
            header: entry.header.clone(),
            options: &options,
            diagnostics: &mut self.found,
        };
        let component = (spec.check)(Value::Object(own), &mut check);
        let validates = common.validate.is_some();
        let validation = common.validate.and_then(|validate| validate.check(&mut check));
        if is_wrong {
            // what the check says of options that could be read stands; what it misses was written,
            // and is reported already
            let mut at = 0;
            self.found.retain(|found| {
                at += 1;
                at <= found_before || found.span != entry.header
            });
            return None;
        }
        let component = component?;
        if validates && validation.is_none() {
            return None;
        }
        let input_spans = (0..common.inputs.len())
            .map(|at| options.value(&format!("{path}/inputs/{at}")).unwrap_or_else(|| entry.header.clone()))
            .collect();
        Some(Declared {
            name: Arc::from(entry.name.as_str()),
            type_name: spec.name,
            header: entry.header.clone(),
            inputs: common.inputs.into_iter().zip::<Vec<_>>(input_spans).collect(),
            required: common.required,
            retry: common.retry,
            limits,
            validation,
            part: part(component),
        })
    }

    fn unknown_type<'n>(
        &mut self,
        kind: &str,
        written: &Spanned<DeValue<'_>>,
        known: impl Iterator<Item = &'n str>,
        all: &str,
    ) {
        match written.get_ref().as_str() {
            Some(name) => {
                let help = match nearest(name, known) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("write one of {all}"),
                };
                self.error(written.span(), format!("there is no {kind} type \"{name}\""), help);
            }
            None => self.error(written.span(), "`type` is not text", Some(format!("write one of {all}"))),
        }
    }
}

/// What the graph can know of a component that could not be read.
fn unread(entry: &Entry<'_>, all: &[Entry<'_>]) -> Declared {
    let mut outputs = vec![String::new()];
    for (input, _) in all.iter().flat_map(|other| inputs_of(other.table)) {
        if let Some((name, output)) = input.split_once('.')
            && name == entry.name
            && output != "errors"
            && !outputs.iter().any(|known| known == output)
        {
            outputs.push(output.to_owned());
        }
    }
    let unread = Box::new(graph::Unread { outputs });
    Declared {
        name: Arc::from(entry.name.as_str()),
        type_name: "",
        header: entry.header.clone(),
        inputs: inputs_of(entry.table).map(|(input, span)| (input.to_owned(), span)).collect(),
        required: true,
        retry: Retry::default(),
        limits: Limits::default(),
        validation: None,
        part: match entry.kind {
            0 => graph::Part::Source(unread),
            1 => graph::Part::Transform(unread),
            _ => graph::Part::Sink(unread),
        },
    }
}

/// The inputs of a component as they are written.
fn inputs_of<'t>(table: &'t DeTable<'t>) -> impl Iterator<Item = (&'t str, Range<usize>)> {
    let inputs = table.iter().find(|(key, _)| key.get_ref() == "inputs");
    let items = inputs.and_then(|(_, inputs)| inputs.get_ref().as_array());
    items.into_iter().flatten().filter_map(|item| Some((item.get_ref().as_str()?, item.span())))
}

/// Limits of several levels, the last one that names a bound wins.
fn merged_limits(levels: &[Option<&Value>]) -> Option<Limits> {
    let mut merged = Map::new();
    for level in levels.iter().flatten().filter_map(|level| level.as_object()) {
        merged.extend(level.clone());
    }
    serde_json::from_value(Value::Object(merged)).ok()
}

/// The schema of a component's table: its own options and those that every component of its kind
/// has. `type` is left to the caller.
fn with_common(component: &Value, kind: usize) -> Value {
    let common = crate::config::schema_of::<Common>();
    let limits = crate::config::schema_of::<Limits>();
    let taken: &[&str] = match kind {
        0 => &[],
        1 => &["inputs", "validate"],
        _ => &["inputs", "required", "retry", "validate"],
    };
    let empty = Map::new();
    let object =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_object).unwrap_or(&empty).clone();
    let mut properties = Map::new();
    for name in taken {
        if let Some(property) = common["properties"].get(name) {
            properties.insert((*name).to_owned(), property.clone());
        }
    }
    properties.extend(object(component, "properties"));
    properties.insert("limits".to_owned(), json!({ "$ref": "#/$defs/Limits" }));
    let mut defs = object(component, "$defs");
    defs.extend(object(&common, "$defs"));
    defs.extend(object(&limits, "$defs"));
    let mut limits = limits;
    if let Some(limits) = limits.as_object_mut() {
        limits.remove("$schema");
        limits.remove("title");
    }
    defs.insert("Limits".to_owned(), limits);
    let mut required: Vec<Value> =
        component.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    if kind > 0 {
        required.insert(0, json!("inputs"));
    }
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "required": required,
        "$defs": defs,
    })
}

/// Reference of one component type: its kind, its spec, and the schema of its table.
pub(crate) struct TypeReference {
    /// `source`, `transform` or `sink`.
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) guarantee: &'static str,
    pub(crate) example: &'static str,
    pub(crate) schema: Value,
}

/// All component types, in the order of the lists.
pub(crate) fn all_types() -> Vec<TypeReference> {
    fn of<B: ?Sized>(kind: usize, specs: &[Spec<B>]) -> impl Iterator<Item = TypeReference> {
        specs.iter().map(move |spec| TypeReference {
            kind: ["source", "transform", "sink"][kind],
            name: spec.name,
            summary: spec.summary,
            guarantee: spec.guarantee,
            example: spec.example,
            schema: with_common(&(spec.schema)(), kind),
        })
    }
    of(0, source::SPECS).chain(of(1, transform::SPECS)).chain(of(2, sink::SPECS)).collect()
}

/// JSON Schema of the whole pipeline file, for editors.
pub fn pipeline_schema() -> Value {
    let mut root = crate::config::schema_of::<PipelineOptions>();
    let mut defs = Map::new();
    let mut by_kind: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for mut reference in all_types() {
        let schema = &mut reference.schema;
        if let Some(own_defs) = schema.get_mut("$defs").map(Value::take).as_ref().and_then(Value::as_object) {
            defs.extend(own_defs.clone());
        }
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("$defs");
            schema.insert("title".into(), format!("{} {}", reference.name, reference.kind).into());
            schema.insert(
                "description".into(),
                format!("{}\n\n{}", reference.summary, reference.guarantee).into(),
            );
            if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
                let type_schema = json!({ "const": reference.name, "description": reference.summary });
                properties.shift_insert(0, "type".into(), type_schema);
            }
            if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
                required.insert(0, json!("type"));
            }
        }
        by_kind.entry(reference.kind).or_default().push(reference.schema);
    }
    let described = [
        ("sources", "source", "Where events come from."),
        ("transforms", "transform", "What happens to them on the way."),
        ("sinks", "sink", "Where they go."),
    ];
    if let Some(root) = root.as_object_mut() {
        root.insert("title".into(), "jaquard pipeline".into());
        if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
            for (table, kind, description) in described {
                properties.insert(
                    table.into(),
                    json!({
                        "description": description,
                        "type": "object",
                        "propertyNames": { "pattern": "^[A-Za-z0-9_-]+$" },
                        "additionalProperties": { "oneOf": by_kind.remove(kind).unwrap_or_default() },
                    }),
                );
            }
        }
        let own_defs = root.remove("$defs");
        if let Some(own_defs) = own_defs.as_ref().and_then(Value::as_object) {
            defs.extend(own_defs.clone());
        }
    }
    let mut defs = Value::Object(defs);
    let known = defs.clone();
    allow_outside(&mut root, &known);
    allow_outside(&mut defs, &known);
    if let Some(defs) = defs.as_object_mut() {
        defs.insert("outside".into(), outside_schema());
    }
    root["$defs"] = defs;
    root
}

/// The table that may stand for a scalar or a list.
fn outside_schema() -> Value {
    json!({
        "description": "A value from outside: `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ command = [\"prog\", \"arg\"] }`.",
        "oneOf": [
            { "type": "object", "properties": { "env": { "type": "string", "description": "Name of an environment variable." }, "default": { "description": "Stands if the variable is not set." } }, "required": ["env"], "additionalProperties": false },
            { "type": "object", "properties": { "file": { "type": "string", "description": "Path of a file that holds the value." } }, "required": ["file"], "additionalProperties": false },
            { "type": "object", "properties": { "command": { "type": "array", "items": { "type": "string" }, "minItems": 1, "description": "Program and arguments; what it prints is the value." } }, "required": ["command"], "additionalProperties": false }
        ]
    })
}

/// Lets a value from outside stand for each scalar and list option of a schema, and for the items of
/// a list.
fn allow_outside(schema: &mut Value, defs: &Value) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match name.as_str() {
                    "properties" => {
                        for (option, property) in member.as_object_mut().into_iter().flatten() {
                            allow_outside(property, defs);
                            if option != "type" && !is_table(property, defs) {
                                or_outside(property);
                            }
                        }
                    }
                    "items" => {
                        allow_outside(member, defs);
                        if !is_table(member, defs) {
                            or_outside(member);
                        }
                    }
                    "default" | "enum" => {}
                    _ => allow_outside(member, defs),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| allow_outside(item, defs)),
        _ => {}
    }
}

/// Whether an option is a table, for which nothing from outside can stand.
fn is_table(property: &Value, defs: &Value) -> bool {
    let target = property.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
    let property = target.map_or(property, |name| &defs[name]);
    property.get("type").and_then(Value::as_str) == Some("object")
}

/// Makes a schema accept a value from outside too.
fn or_outside(property: &mut Value) {
    let mut wrapped = Map::new();
    let inner = property.take();
    for shown in ["description", "default"] {
        if let Some(value) = inner.get(shown) {
            wrapped.insert(shown.to_owned(), value.clone());
        }
    }
    wrapped.insert("anyOf".into(), json!([inner, { "$ref": "#/$defs/outside" }]));
    *property = Value::Object(wrapped);
}
