//! Schema files to schemas.

mod values;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::indicator::Indicator;
use super::model::{Element, Field, Object, Schema, Type};
use super::yaml::{self, Kind, Member, Node, clip};
use crate::config::{Diagnostic, SourceFile, nearest};
use crate::jq::append_to_path;

/// Bytes of a schema file.
pub(super) const FILE_BYTES: usize = 4 << 20;

/// What reading a schema may cost: bytes of texts that are copied, and [`STEP`] for everything that
/// is looked at. An alias is a few bytes of a file and is worth all that it stands for each time.
const BUDGET: usize = 8 * FILE_BYTES;

/// What it costs to look at a member of a map or an item of a list.
const STEP: usize = 16;

/// Errors that are told of, and warnings.
const TOLD: usize = 100;

/// Bytes of the name of a field.
const NAME_BYTES: usize = 200;

/// Bytes of a description; the rest is not kept.
const DESCRIPTION_BYTES: usize = 4000;

/// Fields of a schema, on all levels.
const FIELDS: usize = 20_000;

/// Levels of fields.
const LEVELS: usize = 32;

/// Keys of a file that say nothing about the shape of its records, or nothing that is used here.
const FILE_KEYS: [&str; 12] = [
    "schema",
    "description",
    "fields",
    "definitions",
    "parser",
    "referenceURL",
    "version",
    "fieldDiscoveryEnabled",
    "revision",
    "managed",
    "tests",
    "displayName",
];

const FIELD_KEYS: [&str; 2] = ["name", "required"];

const ELEMENT_KEYS: [&str; 13] = [
    "type",
    "description",
    "fields",
    "element",
    "target",
    "timeFormat",
    "timeFormats",
    "isEventTime",
    "isExpiration",
    "isEmbeddedJSON",
    "indicators",
    "validate",
    "deprecated",
];

/// Keys by which other loaders change values; doing nothing for them would change what is delivered.
const TRANSFORMATIONS: [&str; 5] = ["rename", "copy", "concat", "split", "mask"];

const TYPES: [&str; 10] =
    ["string", "int", "smallint", "bigint", "float", "boolean", "timestamp", "array", "object", "json"];

impl Schema {
    /// Reads the text of a schema file. The name is the one in the file, or that of the file.
    ///
    /// Warnings come with the schema; errors, all of them, without.
    ///
    /// Known are all types (`string`, `int`, `smallint`, `bigint`, `float`, `boolean`, `timestamp`,
    /// `array`, `object`, `json`, and `ref` to one of the file's `definitions`), `required`,
    /// `timeFormat` and `timeFormats`, `isEventTime`, `indicators`, `isEmbeddedJSON` and `validate`.
    /// `isExpiration` is read and has no effect. `rename`, `copy`, `concat`, `split` and `mask` are
    /// errors: what they would do is done by a `jq` transform.
    pub fn read(path: &Path, text: String) -> Result<(Schema, Vec<Diagnostic>), Vec<Diagnostic>> {
        let loaded = load(&SourceFile::new(path, text), path)?;
        Ok((loaded.schema, loaded.warnings))
    }
}

/// A schema, and where the file says its name.
pub(super) struct Loaded {
    pub(super) schema: Schema,
    pub(super) warnings: Vec<Diagnostic>,
    pub(super) name: Range<usize>,
}

/// Reads a schema file; see [`Schema::read`].
pub(super) fn load(file: &Arc<SourceFile>, path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    let mut loader = Loader {
        file: file.clone(),
        errors: Vec::new(),
        warnings: Vec::new(),
        has_errors: false,
        left: BUDGET,
        definitions: Vec::new(),
        by_name: HashMap::new(),
        paths: Vec::new(),
        path: String::new(),
        event_times: 0,
    };
    let schema = loader.file(path);
    match schema {
        Some((schema, name)) if !loader.has_errors => Ok(Loaded { schema, warnings: loader.warnings, name }),
        _ => {
            let mut found = loader.errors;
            found.append(&mut loader.warnings);
            found.sort_by_key(|found| found.span.start);
            Err(found)
        }
    }
}

struct Loader {
    file: Arc<SourceFile>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    has_errors: bool,
    /// What is left of the [`BUDGET`].
    left: usize,
    definitions: Vec<Member>,
    /// Numbers of definitions.
    by_name: HashMap<Rc<str>, usize>,
    /// Of the fields so far.
    paths: Vec<String>,
    /// Of the field in hand.
    path: String,
    event_times: u32,
}

impl Loader {
    fn error(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.has_errors = true;
        // a file of nothing but mistakes is told of by its first ones
        if self.errors.len() < TOLD {
            self.errors.push(Diagnostic::error(&self.file, span.clone(), message).help(help));
        }
    }

    fn warning(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<Option<String>>) {
        if self.warnings.len() < TOLD {
            self.warnings.push(Diagnostic::error(&self.file, span.clone(), message).help(help).warning());
        }
    }

    /// The known name nearest to a wrong one, as long as anybody is told of it.
    fn near<'n>(&self, wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
        (self.errors.len() < TOLD).then(|| nearest(wrong, known)).flatten()
    }

    /// Pays for a look at so many members or items and for copying so many bytes. `None`, with an
    /// error that is told once, if too much was spent before.
    fn pay(&mut self, span: &Range<usize>, steps: usize, bytes: usize) -> Option<()> {
        let cost = steps.saturating_mul(STEP).saturating_add(bytes);
        match self.left.checked_sub(cost) {
            Some(left) => self.left = left,
            None if self.left == 0 => return None,
            None => {
                self.left = 0;
                let help =
                    "write fewer aliases and `ref`s of large parts, or keep descriptions and lists short";
                // it is why the rest was not looked at, and so it is never one too many
                self.errors.truncate(TOLD - 1);
                self.error(
                    span,
                    format!(
                        "with what its aliases and `ref`s stand for, the schema is larger than {BUDGET} bytes"
                    ),
                    help.to_owned(),
                );
                return None;
            }
        }
        Some(())
    }

    /// A description, or its beginning.
    fn description(&mut self, members: &[Member]) -> Option<String> {
        let Some(member) = find(members, "description") else { return Some(String::new()) };
        let text = member.value.text().unwrap_or_default().trim();
        let end = (0..=DESCRIPTION_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
        let text = &text[..end.unwrap_or_default()];
        self.pay(&member.value.span, 1, text.len())?;
        Some(text.to_owned())
    }

    fn too_deep(&mut self, span: &Range<usize>) {
        let help = match self.definitions.len() {
            0 => "make the inner one `type: json`",
            _ => "make the inner one `type: json`; a definition cannot hold itself",
        };
        self.error(span, format!("fields are nested deeper than {LEVELS} levels"), help.to_owned());
    }

    /// The schema, and where its name stands.
    fn file(&mut self, path: &Path) -> Option<(Schema, Range<usize>)> {
        let file = self.file.clone();
        if file.text.len() > FILE_BYTES {
            self.error(&(0..0), format!("the file is longer than {FILE_BYTES} bytes"), None);
            return None;
        }
        let root = match yaml::parse(&file.text) {
            Ok(root) => root,
            Err(error) => {
                self.error(&error.span, error.message, error.help.map(str::to_owned));
                return None;
            }
        };
        let Kind::Map(members) = &root.kind else {
            let help = "a schema begins with `schema: NAME` and `fields:`";
            self.error(&root.span, format!("a schema is a map, this is {}", root.what()), help.to_owned());
            return None;
        };
        self.pay(&root.span, members.len(), 0)?;
        self.unknown_keys(members, &[&FILE_KEYS], "a schema");
        let (name, name_span) = match find(members, "schema") {
            // an error that was told of is no reason to keep the others back
            Some(member) => (self.name(member).unwrap_or_default(), member.value.span.clone()),
            None => {
                let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                (stem.unwrap_or_default(), root.span.clone())
            }
        };
        if let Some(member) = find(members, "definitions") {
            match &member.value.kind {
                Kind::Map(definitions) => {
                    self.definitions.clone_from(definitions);
                    let names = definitions.iter().map(|definition| definition.key.clone());
                    self.by_name = names.zip(0..).collect();
                }
                _ => {
                    let message =
                        format!("`definitions` is a map of names to types, this is {}", member.value.what());
                    self.error(&member.value.span, message, None);
                }
            }
        }
        let description = self.description(members)?;
        let Some(fields) = find(members, "fields") else {
            let help = "add `fields:` and below it `- name: id`, `  type: string`";
            self.error(&root.span, "the schema has no `fields`", help.to_owned());
            return None;
        };
        let root = self.object(fields, &[], LEVELS)?;
        Some((Schema { name, description, root, paths: std::mem::take(&mut self.paths) }, name_span))
    }

    fn name(&mut self, member: &Member) -> Option<String> {
        let name = member.value.text().unwrap_or_default();
        let is_name = !name.is_empty()
            && name.len() <= 200
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !is_name {
            let help = "use letters, digits, `.`, `_` and `-`, as in `Custom.Billing`";
            self.error(&member.value.span, "this is no name of a log type", help.to_owned());
            return None;
        }
        Some(name.to_owned())
    }

    /// Tells of keys that are not known: an error if one is near, for then it is a misspelling.
    fn unknown_keys(&mut self, members: &[Member], known: &[&[&'static str]], what: &str) {
        for member in members {
            if known.iter().any(|keys| keys.contains(&&*member.key)) {
                continue;
            }
            let message = format!("unknown key `{}` of {what}", clip(&member.key));
            if TRANSFORMATIONS.contains(&&*member.key) && what == "a field" {
                let message = format!("`{}` changes values, which a schema does not do here", member.key);
                let help = "take it out, and do it in a `jq` transform before the `schema` transform";
                self.error(&member.key_span, message, help.to_owned());
            } else if let Some(near) = self.near(&member.key, known.iter().copied().flatten().copied()) {
                self.error(&member.key_span, message, format!("did you mean `{near}`?"));
            } else {
                self.warning(&member.key_span, message, "it has no effect".to_owned());
            }
        }
    }

    /// The fields of an object, below the key `fields`.
    fn object(&mut self, member: &Member, inherited: &[Indicator], levels: usize) -> Option<Object> {
        let Kind::List(items) = &member.value.kind else {
            let message = format!("`fields` is a list of fields, this is {}", member.value.what());
            self.error(&member.value.span, message, "each field begins with `- name: …`".to_owned());
            return None;
        };
        if items.is_empty() {
            self.error(
                &member.value.span,
                "`fields` is empty",
                "an object without known fields is `type: json`".to_owned(),
            );
            return None;
        }
        let Some(levels) = levels.checked_sub(1) else {
            self.too_deep(&member.key_span);
            return None;
        };
        let mut fields: Vec<Field> = Vec::new();
        let mut names = HashSet::new();
        for item in items {
            self.pay(&item.span, 1, 0)?;
            let Some((field, span)) = self.field(item, inherited, levels) else { continue };
            if !names.insert(field.name.clone()) {
                let message = format!("the field `{}` is there twice", field.name);
                self.error(&span, message, "keep one of them".to_owned());
                continue;
            }
            fields.push(field);
        }
        Some(Object::new(fields))
    }

    fn field(
        &mut self,
        item: &Node,
        inherited: &[Indicator],
        levels: usize,
    ) -> Option<(Field, Range<usize>)> {
        let Kind::Map(members) = &item.kind else {
            let message = format!("a field is a map with `name` and `type`, this is {}", item.what());
            self.error(&item.span, message, "write `- name: …`, and `type: …` below it".to_owned());
            return None;
        };
        if self.paths.len() >= FIELDS {
            // told of once; what follows is not looked at
            if self.paths.len() == FIELDS {
                self.paths.push(String::new());
                self.error(&item.span, format!("the schema has more than {FIELDS} fields"), None);
            }
            return None;
        }
        self.pay(&item.span, members.len(), 0)?;
        self.unknown_keys(members, &[&FIELD_KEYS, &ELEMENT_KEYS], "a field");
        let Some(name) = find(members, "name") else {
            self.error(
                &item.span,
                "the field has no `name`",
                "add `name:` and the name of the member".to_owned(),
            );
            return None;
        };
        let Some(text) = name.value.text().filter(|text| !text.is_empty()) else {
            let message = format!("a name is text, this is {}", name.value.what());
            self.error(&name.value.span, message, "put quotes around it if it has signs of YAML".to_owned());
            return None;
        };
        if text.len() > NAME_BYTES {
            let message = format!("the name of a field is longer than {NAME_BYTES} bytes");
            let help = "make the object that has it `type: json`";
            self.error(&name.value.span, message, help.to_owned());
            return None;
        }
        let before = self.path.len();
        append_to_path(&mut self.path, text);
        self.pay(&name.value.span, 0, 2 * text.len() + self.path.len())?;
        let number = self.paths.len() as u32;
        self.paths.push(self.path.clone());
        let required = self.flag(members, "required");
        let element = self.element(members, &name.value.span, inherited, levels);
        self.path.truncate(before);
        let description = self.description(members)?;
        let field = Field { name: text.to_owned(), required, description, number, element: element? };
        Some((field, name.value.span.clone()))
    }

    /// What a field or an array's items hold. `place` is where a missing key is told of.
    fn element(
        &mut self,
        members: &[Member],
        place: &Range<usize>,
        inherited: &[Indicator],
        levels: usize,
    ) -> Option<Element> {
        let Some(kind) = find(members, "type") else {
            self.error(place, "there is no `type`", format!("the types are {}", TYPES.join(", ")));
            return None;
        };
        let name = kind.value.text().unwrap_or_default();
        if name == "ref" {
            return self.reference(members, &kind.value.span, inherited, levels);
        }
        let mut indicators = self.indicators(members);
        // those on an object or a list hold for the texts below it
        indicators
            .extend(inherited.iter().filter(|one| !indicators.contains(one)).copied().collect::<Vec<_>>());
        let fields = find(members, "fields");
        let element = find(members, "element");
        if let (Some(fields), true) = (fields, name != "object" && TYPES.contains(&name)) {
            let message = format!("`fields` belongs to an object, this is `type: {name}`");
            self.error(&fields.key_span, message, "write `type: object`, or take `fields` out".to_owned());
        }
        if let (Some(element), true) = (element, name != "array" && TYPES.contains(&name)) {
            let message = format!("`element` belongs to an array, this is `type: {name}`");
            self.error(&element.key_span, message, "write `type: array`, or take `element` out".to_owned());
        }
        let mut below: &[Indicator] = &[];
        if matches!(name, "object" | "array") {
            below = &indicators;
        }
        let resolved = match name {
            "string" => Some(Type::String),
            "int" => Some(Type::Integer(32)),
            "smallint" => Some(Type::Integer(16)),
            "bigint" => Some(Type::Integer(64)),
            "float" => Some(Type::Float),
            "boolean" => Some(Type::Boolean),
            "timestamp" => Some(Type::Timestamp),
            "json" => Some(Type::Json),
            "object" => match fields {
                Some(fields) => self.object(fields, below, levels).map(Type::Object),
                None => {
                    let help = "list its `fields`, or write `type: json` for an object of any members";
                    self.error(&kind.value.span, "the object has no `fields`", help.to_owned());
                    None
                }
            },
            "array" => match element {
                Some(element) => self.items(element, below, levels).map(|items| Type::Array(Box::new(items))),
                None => {
                    let help = "say what its items are: `element:` and below it `type: string`";
                    self.error(&kind.value.span, "the array has no `element`", help.to_owned());
                    None
                }
            },
            wrong => {
                let help = match self.near(wrong, TYPES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the types are {}", TYPES.join(", ")),
                };
                let message = match kind.value.text() {
                    Some(text) if !text.is_empty() => format!("unknown type `{}`", clip(text)),
                    _ => format!("a type is a word, this is {}", kind.value.what()),
                };
                self.error(&kind.value.span, message, help);
                None
            }
        };
        let (times, event_time) = self.times(members, name, &kind.value.span);
        self.flag(members, "isExpiration").then(|| {
            let span = find(members, "isExpiration").map_or(0..0, |member| member.key_span.clone());
            let help = "what expires is for the store to say".to_owned();
            self.warning(&span, "`isExpiration` has no effect", help);
        });
        let is_embedded = self.flag(members, "isEmbeddedJSON");
        if is_embedded && !matches!(name, "object" | "array" | "json") {
            let span = find(members, "isEmbeddedJSON").map_or(0..0, |member| member.key_span.clone());
            let message = format!(
                "`isEmbeddedJSON` belongs to an object, an array or json, this is `type: {}`",
                clip(name)
            );
            self.error(&span, message, "write `type: json`, or take it out".to_owned());
        }
        let validate = find(members, "validate").and_then(|member| self.validate(member, name));
        Some(Element { kind: resolved?, is_embedded, times, event_time, indicators, validate })
    }

    fn items(&mut self, member: &Member, inherited: &[Indicator], levels: usize) -> Option<Element> {
        let Kind::Map(members) = &member.value.kind else {
            let message = format!("`element` is a map with `type`, this is {}", member.value.what());
            self.error(&member.value.span, message, "write `type: …` on a line below it".to_owned());
            return None;
        };
        let Some(levels) = levels.checked_sub(1) else {
            self.too_deep(&member.key_span);
            return None;
        };
        self.pay(&member.value.span, members.len(), 0)?;
        self.unknown_keys(members, &[&ELEMENT_KEYS, &FIELD_KEYS], "an element");
        let before = self.path.len();
        self.path.push_str("[]");
        let element = self.element(members, &member.key_span, inherited, levels);
        self.path.truncate(before);
        element
    }

    /// `type: ref` with `target`: what a definition says.
    fn reference(
        &mut self,
        members: &[Member],
        place: &Range<usize>,
        inherited: &[Indicator],
        levels: usize,
    ) -> Option<Element> {
        let Some(target) = find(members, "target") else {
            self.error(place, "a `ref` has no `target`", "name one of the file's `definitions`".to_owned());
            return None;
        };
        let name = target.value.text().unwrap_or_default();
        let Some(definition) = self.by_name.get(name).and_then(|at| self.definitions.get(*at)) else {
            let known = self.definitions.iter().map(|definition| &*definition.key);
            let known = known.filter(|key| key.len() <= 64).take(200);
            let help = self.near(name, known).map(|near| format!("did you mean `{near}`?"));
            self.error(&target.value.span, format!("there is no definition `{}`", clip(name)), help);
            return None;
        };
        let definition = definition.value.clone();
        let Kind::Map(inner) = &definition.kind else {
            let message = format!("a definition is a map with `type`, this is {}", definition.what());
            self.error(&definition.span, message, "write `type: …` on a line below it".to_owned());
            return None;
        };
        // a definition that refers to itself ends at the bound of levels
        let Some(levels) = levels.checked_sub(1) else {
            self.too_deep(&target.value.span);
            return None;
        };
        self.pay(&target.value.span, inner.len(), 0)?;
        self.element(inner, &definition.span, inherited, levels)
    }

    fn flag(&mut self, members: &[Member], key: &str) -> bool {
        let Some(member) = find(members, key) else { return false };
        match member.value.text() {
            Some("true" | "True" | "TRUE" | "yes" | "on") => true,
            Some("false" | "False" | "FALSE" | "no" | "off" | "") => false,
            _ => {
                let message = match member.value.text() {
                    Some(text) => format!("`{key}` is true or false, not `{}`", clip(text)),
                    None => format!("`{key}` is true or false, this is {}", member.value.what()),
                };
                self.error(&member.value.span, message, format!("write `{key}: true`, or take it out"));
                false
            }
        }
    }
}

/// The member of a key. One without a value counts as one that is not there.
fn find<'m>(members: &'m [Member], key: &str) -> Option<&'m Member> {
    members.iter().find(|member| &*member.key == key).filter(|member| !member.value.is_null())
}

#[cfg(test)]
mod tests;
