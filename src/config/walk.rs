//! The walk over a TOML tree along a JSON Schema: every error with its place, the values of a tree
//! without errors, and where each option stands.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, SourceFile, is_secret_name, nearest};
use super::outside::{self, Absent, Outside, OutsideMode};
use super::values;

/// Where an option stands in the file.
#[derive(Debug, Clone)]
pub(super) struct OptionSpan {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
    /// Whether the value came from outside, so that the text at `value` is not it.
    pub(super) outside: bool,
}

/// Walks trees of one file and collects what it finds.
#[derive(Debug)]
pub struct Walker<'a> {
    file: &'a Arc<SourceFile>,
    folder: &'a Path,
    mode: OutsideMode,
    /// Findings so far.
    pub diagnostics: Vec<Diagnostic>,
    /// Stands before the environment of the process.
    pub environment: BTreeMap<String, String>,
    /// Options by their path, `transforms/ocsf/file`.
    pub(super) spans: BTreeMap<String, OptionSpan>,
}

impl<'a> Walker<'a> {
    /// A walker over a file whose relative paths start at `folder`.
    pub fn new(file: &'a Arc<SourceFile>, folder: &'a Path, mode: OutsideMode) -> Self {
        Walker {
            file,
            folder,
            mode,
            diagnostics: Vec::new(),
            environment: BTreeMap::new(),
            spans: BTreeMap::new(),
        }
    }

    /// Reports an error.
    pub fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.diagnostics.push(Diagnostic::error(self.file, span, message).help(help));
    }

    /// Checks a table against a schema of an object. `skip` names members that are looked at
    /// elsewhere; `also_known` are further names for hints. The result has what could be read.
    pub fn table(
        &mut self,
        table: &DeTable<'_>,
        header: Range<usize>,
        schema: &Value,
        path: &str,
        skip: &[&str],
    ) -> Value {
        let root = schema;
        let schema = resolve(schema, root);
        self.object(table, header, schema, root, path, skip)
    }

    fn object(
        &mut self,
        table: &DeTable<'_>,
        header: Range<usize>,
        schema: &Value,
        root: &Value,
        path: &str,
        skip: &[&str],
    ) -> Value {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let additional = schema.get("additionalProperties");
        let mut out = Map::new();
        for (key, value) in table {
            let name: &str = key.get_ref();
            if skip.contains(&name) {
                continue;
            }
            let path = format!("{path}/{name}");
            self.spans
                .insert(path.clone(), OptionSpan { key: key.span(), value: value.span(), outside: false });
            let member = match (properties.get(name), additional) {
                (Some(member), _) | (None, Some(member)) if *member != Value::Bool(false) => member,
                _ => {
                    let known = properties.keys().map(String::as_str).chain(skip.iter().copied());
                    let help = match nearest(name, known.clone()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("known options: {}", join(known)),
                    };
                    self.error(key.span(), format!("unknown option `{name}`"), help);
                    continue;
                }
            };
            if member.get("x-secret").is_some() && is_literal(value.get_ref()) {
                let warning = Diagnostic::error(
                    self.file,
                    key.span(),
                    format!("`{name}` is a secret written in the file"),
                )
                .help(Some("put `{ env = \"NAME\" }` or `{ file = \"path\" }` in its place".to_owned()))
                .warning();
                self.diagnostics.push(warning);
            }
            if let Some(value) = self.value(value, member, root, &path) {
                out.insert(name.to_owned(), value);
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !skip.contains(&name) && !table.iter().any(|(key, _)| key.get_ref() == name) {
                let form = properties.get(name).map(|member| form(resolve(member, root), root));
                let help = form.map(|form| format!("add `{name} = …` ({form})"));
                self.error(header.clone(), format!("missing option `{name}`"), help);
            }
        }
        Value::Object(out)
    }

    fn value(
        &mut self,
        node: &Spanned<DeValue<'_>>,
        schema: &Value,
        root: &Value,
        path: &str,
    ) -> Option<Value> {
        let schema = resolve(schema, root);
        let is_free = schema.as_bool() == Some(true)
            || schema.as_object().is_some_and(|s| {
                kind(s).is_none()
                    && s.get("oneOf").is_none()
                    && s.get("anyOf").is_none()
                    && s.get("enum").is_none()
                    && s.get("const").is_none()
            });
        if let DeValue::Table(table) = node.get_ref() {
            let takes_table = is_object(schema);
            if (is_free || !takes_table)
                && let Some(outside) = outside::recognise(table)
            {
                return self.outside(&outside, node, schema, root, path, is_free);
            }
            if is_free {
                if table.len() == 1 && table.iter().all(|(key, _)| key.get_ref() == "literal") {
                    let (_, inner) = table.iter().next()?;
                    return self.plain(inner);
                }
                let mut out = Map::new();
                for (key, value) in table {
                    let path = format!("{path}/{}", key.get_ref());
                    if let Some(value) = self.value(value, schema, root, &path) {
                        out.insert(key.get_ref().to_string(), value);
                    }
                }
                return Some(Value::Object(out));
            }
        }
        if is_free {
            if let DeValue::Array(items) = node.get_ref() {
                let items = items.iter().filter_map(|item| self.value(item, schema, root, path));
                return Some(Value::Array(items.collect()));
            }
            return self.plain(node);
        }
        self.typed(node, schema, root, path)
    }

    fn typed(
        &mut self,
        node: &Spanned<DeValue<'_>>,
        schema: &Value,
        root: &Value,
        path: &str,
    ) -> Option<Value> {
        if let Some(choices) = choices(schema) {
            let text = node.get_ref().as_str();
            if let Some(text) = text.filter(|text| choices.contains(text)) {
                return Some(Value::from(text));
            }
            let shown = choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>().join(", ");
            let (message, help) = match text {
                Some(text) => (
                    format!("unknown value \"{text}\""),
                    nearest(text, choices.iter().copied()).map_or_else(
                        || format!("write one of {shown}"),
                        |near| format!("did you mean \"{near}\"?"),
                    ),
                ),
                None => (
                    format!("expected one of {shown}, found {}", describe(node.get_ref())),
                    format!("write one of {shown}"),
                ),
            };
            self.error(node.span(), message, help);
            return None;
        }
        if let Some(variants) = schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array) {
            if let (DeValue::Table(table), Some(tags)) = (node.get_ref(), tags(variants)) {
                return self.tagged(table, node, &tags, variants, root, path);
            }
            let fitting = variants
                .iter()
                .map(|variant| resolve(variant, root))
                .find(|variant| fits(node.get_ref(), variant));
            if let Some(variant) = fitting {
                return self.value(node, variant, root, path);
            }
            self.mismatch(node, schema, root);
            return None;
        }
        if !fits(node.get_ref(), schema) {
            self.mismatch(node, schema, root);
            return None;
        }
        match node.get_ref() {
            DeValue::Table(table) => Some(self.object(table, node.span(), schema, root, path, &[])),
            DeValue::Array(items) => {
                let item_schema = schema.get("items").cloned().unwrap_or(Value::Bool(true));
                let values: Vec<_> = items
                    .iter()
                    .enumerate()
                    .filter_map(|(at, item)| {
                        let path = format!("{path}/{at}");
                        self.spans.insert(
                            path.clone(),
                            OptionSpan { key: item.span(), value: item.span(), outside: false },
                        );
                        self.value(item, &item_schema, root, &path)
                    })
                    .collect();
                let at_least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
                if (items.len() as u64) < at_least {
                    self.error(node.span(), "the list is empty", Some("name at least one".to_owned()));
                    return None;
                }
                Some(Value::Array(values))
            }
            _ => {
                let value = self.plain(node)?;
                match check_scalar(&value, schema) {
                    Ok(()) => Some(value),
                    Err((message, help)) => {
                        self.error(node.span(), message, help);
                        None
                    }
                }
            }
        }
    }

    /// A table whose `type` says which of the variants it is.
    fn tagged(
        &mut self,
        table: &DeTable<'_>,
        node: &Spanned<DeValue<'_>>,
        tags: &[&str],
        variants: &[Value],
        root: &Value,
        path: &str,
    ) -> Option<Value> {
        let shown = tags.iter().map(|tag| format!("\"{tag}\"")).collect::<Vec<_>>().join(", ");
        let Some((_, kind)) = table.iter().find(|(key, _)| key.get_ref() == "type") else {
            self.error(node.span(), "missing option `type`", format!("add `type = …`, one of {shown}"));
            return None;
        };
        let written = kind.get_ref().as_str().unwrap_or_default();
        match tags.iter().position(|tag| *tag == written) {
            Some(at) => Some(self.object(table, node.span(), &variants[at], root, path, &[])),
            None => {
                let help = nearest(written, tags.iter().copied()).map_or_else(
                    || format!("write one of {shown}"),
                    |near| format!("did you mean \"{near}\"?"),
                );
                self.error(kind.span(), format!("unknown type \"{written}\""), help);
                None
            }
        }
    }

    fn mismatch(&mut self, node: &Spanned<DeValue<'_>>, schema: &Value, root: &Value) {
        let message = format!("expected {}, found {}", form(schema, root), describe(node.get_ref()));
        let help = match node.get_ref() {
            DeValue::Table(_) => Some(
                "a value from outside is exactly `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ command = [\"prog\"] }`".to_owned(),
            ),
            _ => members(schema).map(|members| format!("write `{{ {members} }}`")),
        };
        self.error(node.span(), message, help);
    }

    /// A TOML value as it is.
    fn plain(&mut self, node: &Spanned<DeValue<'_>>) -> Option<Value> {
        match node.get_ref() {
            DeValue::String(text) => Some(Value::from(text.as_ref())),
            DeValue::Boolean(value) => Some(Value::Bool(*value)),
            DeValue::Datetime(time) => Some(Value::from(time.to_string())),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                match parsed {
                    Ok(number) => Some(Value::from(number)),
                    Err(_) => {
                        self.error(node.span(), "the integer is too large", None);
                        None
                    }
                }
            }
            DeValue::Float(number) => {
                let finite = number.as_str().parse::<f64>().ok().filter(|number| number.is_finite());
                match finite.and_then(Number::from_f64) {
                    Some(number) => Some(Value::Number(number)),
                    None => {
                        self.error(node.span(), "the number is not finite", None);
                        None
                    }
                }
            }
            DeValue::Array(items) => {
                Some(Value::Array(items.iter().filter_map(|item| self.plain(item)).collect()))
            }
            DeValue::Table(table) => {
                let mut out = Map::new();
                for (key, value) in table {
                    if let Some(value) = self.plain(value) {
                        out.insert(key.get_ref().to_string(), value);
                    }
                }
                Some(Value::Object(out))
            }
        }
    }

    fn outside(
        &mut self,
        outside: &Outside<'_>,
        node: &Spanned<DeValue<'_>>,
        schema: &Value,
        root: &Value,
        path: &str,
        is_free: bool,
    ) -> Option<Value> {
        if let Some(span) = self.spans.get_mut(path) {
            span.outside = true;
        }
        let given = match outside {
            Outside::Env { name, .. } => self.environment.get(*name).cloned(),
            _ => None,
        };
        let found = match given {
            Some(given) => Ok(Some(given)),
            None => outside::get(outside, self.folder, self.mode),
        };
        match found {
            Ok(Some(text)) => {
                if is_free {
                    return Some(Value::from(text));
                }
                match parse_outside(&text, schema, root) {
                    Some(value) => Some(value),
                    None => {
                        // the value itself may be a secret and is not shown
                        let name = match outside {
                            Outside::Env { name, .. } => format!("environment variable `{name}`"),
                            Outside::File(path) => format!("file `{path}`"),
                            Outside::Command(words) => format!("command `{}`", words[0]),
                        };
                        let message = format!("the value of the {name} is no {}", form(schema, root));
                        self.error(node.span(), message, None);
                        None
                    }
                }
            }
            Ok(None) => match outside {
                Outside::Env { default: Some(default), .. } => self.value(default, schema, root, path),
                _ => None,
            },
            Err(Absent::Skipped) => Some(stand_in(schema, root)),
            Err(Absent::Missing(message, help)) => {
                self.error(node.span(), message, help);
                None
            }
        }
    }
}

fn is_literal(value: &DeValue<'_>) -> bool {
    !matches!(value, DeValue::Table(table) if outside::recognise(table).is_some())
}

/// The members that a table must have, or else those that it may have, as one would write them.
fn members(schema: &Value) -> Option<String> {
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let mut names: Vec<&str> = required.filter_map(Value::as_str).collect();
    if names.is_empty() {
        names.extend(properties.keys().map(String::as_str));
    }
    Some(names.iter().map(|name| format!("{name} = …")).collect::<Vec<_>>().join(", "))
}

/// Follows `$ref`, and takes the other side of "this or null".
fn resolve<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        if let Some(target) = root.get("$defs").and_then(|defs| defs.get(name)) {
            return resolve(target, root);
        }
    }
    if let Some([one, two]) = schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
        let is_null = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("null");
        if is_null(two) {
            return resolve(one, root);
        }
        if is_null(one) {
            return resolve(two, root);
        }
    }
    schema
}

/// The one type of a schema, `null` left out.
fn kind(schema: &Map<String, Value>) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None,
    }
}

fn kind_of(schema: &Value) -> Option<&str> {
    schema.as_object().and_then(kind)
}

fn is_object(schema: &Value) -> bool {
    kind_of(schema) == Some("object")
        || schema
            .get("oneOf")
            .or(schema.get("anyOf"))
            .and_then(Value::as_array)
            .is_some_and(|variants| variants.iter().all(|variant| kind_of(variant) == Some("object")))
}

/// The words of an enumeration.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Some(words.iter().filter_map(Value::as_str).collect());
    }
    let variants = schema.get("oneOf").and_then(Value::as_array)?;
    let mut words = Vec::new();
    for variant in variants {
        match (variant.get("const"), variant.get("enum")) {
            (Some(word), _) => words.push(word.as_str()?),
            (None, Some(Value::Array(some))) => words.extend(some.iter().filter_map(Value::as_str)),
            _ => return None,
        }
    }
    Some(words)
}

/// The values of `type` that tell variants apart, if each is a table with one.
fn tags(variants: &[Value]) -> Option<Vec<&str>> {
    variants.iter().map(|variant| variant.get("properties")?.get("type")?.get("const")?.as_str()).collect()
}

fn fits(value: &DeValue<'_>, schema: &Value) -> bool {
    match kind_of(schema) {
        Some("string") => matches!(value, DeValue::String(_) | DeValue::Datetime(_)),
        Some("integer") => value.is_integer(),
        Some("number") => value.is_integer() || value.is_float(),
        Some("boolean") => value.is_bool(),
        Some("array") => value.is_array(),
        Some("object") => value.is_table(),
        _ if is_object(schema) => value.is_table(),
        _ => choices(schema).is_some() && value.is_str(),
    }
}

fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A schema in a word, for messages.
pub(super) fn form(schema: &Value, root: &Value) -> String {
    let schema = resolve(schema, root);
    if let Some(choices) = choices(schema) {
        return choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>().join(" or ");
    }
    if let Some(form) = schema.get("x-form").and_then(Value::as_str) {
        return form.to_owned();
    }
    match kind_of(schema) {
        Some("string") => "text".to_owned(),
        Some("integer") => "integer".to_owned(),
        Some("number") => "number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("object") => "table".to_owned(),
        Some("array") => {
            let item = schema.get("items").map_or_else(|| "values".to_owned(), |items| form(items, root));
            format!("list of {item}")
        }
        _ => match schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array) {
            Some(variants) => {
                let mut forms: Vec<_> = variants.iter().map(|variant| form(variant, root)).collect();
                forms.dedup();
                forms.join(" or ")
            }
            None => "any value".to_owned(),
        },
    }
}

/// The form of an option for people, and the schema behind its references.
pub(crate) fn schema_form<'s>(schema: &'s Value, root: &'s Value) -> (String, &'s Value) {
    (form(schema, root), resolve(schema, root))
}

type Wrong = (String, Option<String>);

fn check_scalar(value: &Value, schema: &Value) -> Result<(), Wrong> {
    if let (Some(text), Some(format)) = (value.as_str(), schema.get("format").and_then(Value::as_str)) {
        values::check_format(format, text).map_err(|help| {
            let form = schema.get("x-form").and_then(Value::as_str).unwrap_or(format);
            (format!("\"{text}\" is no {form}"), Some(help))
        })?;
    }
    let at_least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
    if value.as_str().is_some_and(|text| (text.len() as u64) < at_least) {
        return Err(("the text is empty".to_owned(), None));
    }
    if let Some(number) = value.as_f64() {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        if bound("minimum").is_some_and(|min| number < min) {
            let min = schema.get("minimum").map(ToString::to_string).unwrap_or_default();
            return Err((format!("{value} is too small"), Some(format!("the least is {min}"))));
        }
        if bound("maximum").is_some_and(|max| number > max) {
            let max = schema.get("maximum").map(ToString::to_string).unwrap_or_default();
            return Err((format!("{value} is too large"), Some(format!("the most is {max}"))));
        }
    }
    Ok(())
}

/// Text from outside as a value of the option's type.
fn parse_outside(text: &str, schema: &Value, root: &Value) -> Option<Value> {
    let schema = resolve(schema, root);
    if let Some(choices) = choices(schema) {
        return choices.contains(&text).then(|| Value::from(text));
    }
    let value = match kind_of(schema) {
        Some("string") => Value::from(text),
        Some("integer") => Value::from(text.trim().parse::<i64>().ok()?),
        Some("number") => Value::Number(Number::from_f64(text.trim().parse().ok()?)?),
        Some("boolean") => Value::Bool(text.trim().parse().ok()?),
        // a list is one value a line, or a JSON array
        Some("array") => {
            let items = schema.get("items")?;
            let texts: Vec<String> = if text.trim_start().starts_with('[') {
                let parsed: Vec<Value> = serde_json::from_str(text).ok()?;
                parsed
                    .into_iter()
                    .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                    .collect()
            } else {
                text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
            };
            let items: Option<Vec<_>> = texts.iter().map(|item| parse_outside(item, items, root)).collect();
            return items.map(Value::Array);
        }
        _ => {
            let variants = schema.get("anyOf").or(schema.get("oneOf"))?.as_array()?;
            return variants.iter().find_map(|variant| parse_outside(text, variant, root));
        }
    };
    check_scalar(&value, schema).ok().map(|()| value)
}

/// A value of the right type for an option whose value from outside is not looked up.
fn stand_in(schema: &Value, root: &Value) -> Value {
    let schema = resolve(schema, root);
    if let Some(choice) = choices(schema).and_then(|choices| choices.first().copied()) {
        return Value::from(choice);
    }
    if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
        return default.clone();
    }
    match kind_of(schema) {
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| Value::from(1)),
        Some("boolean") => Value::Bool(false),
        Some("array") => {
            Value::Array(schema.get("items").map(|items| stand_in(items, root)).into_iter().collect())
        }
        Some("string") | None => {
            Value::from(values::placeholder(schema.get("format").and_then(Value::as_str)))
        }
        Some(_) => Value::Object(Map::new()),
    }
}

/// Names for a message: sorted, and not more than a line holds.
fn join<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    names.sort();
    names.dedup();
    names.join(", ")
}

/// Whether an option's literal value must not be shown.
pub(super) fn is_secret(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(is_secret_name)
}
