//! The compiled schema, as the official compiler writes it.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::form::Form;
use super::model::{
    AttributeDraft, Draft, Entry, Requirement, Schema, SchemaError, ShapeDraft, TypeDraft, Values,
};

/// The official schema has five.
const MAX_BYTES: u64 = 128 << 20;

const WAY_OUT: &str = "give the file that the official OCSF schema compiler writes, \
    with `classes`, `objects`, `dictionary`, `profiles` and `version`";

#[derive(Deserialize)]
struct Compiled {
    version: String,
    classes: Map<Shape>,
    objects: Map<Shape>,
    dictionary: Dictionary,
    #[serde(default)]
    profiles: Map<Profile>,
}

/// Members in an order that does not depend on the run.
type Map<T> = std::collections::BTreeMap<String, T>;

#[derive(Deserialize)]
struct Deprecated {
    #[serde(default)]
    since: String,
}

#[derive(Deserialize)]
struct Profile {
    #[serde(rename = "@deprecated")]
    deprecated: Option<Deprecated>,
}

#[derive(Deserialize)]
struct Shape {
    caption: Option<String>,
    uid: Option<i64>,
    attributes: Map<Attribute>,
    #[serde(rename = "@deprecated")]
    deprecated: Option<Deprecated>,
    constraints: Option<Map<Vec<String>>>,
}

#[derive(Deserialize)]
struct Attribute {
    r#type: String,
    object_type: Option<String>,
    #[serde(default)]
    is_array: bool,
    requirement: Option<String>,
    profiles: Option<Vec<String>>,
    sibling: Option<String>,
    r#enum: Option<Map<EnumValue>>,
    #[serde(rename = "@deprecated")]
    deprecated: Option<Deprecated>,
}

#[derive(Deserialize)]
struct EnumValue {
    #[serde(default)]
    caption: String,
    #[serde(rename = "@deprecated")]
    deprecated: Option<Deprecated>,
}

#[derive(Deserialize)]
struct Dictionary {
    types: Types,
}

#[derive(Deserialize)]
struct Types {
    attributes: Map<Type>,
}

#[derive(Deserialize)]
struct Type {
    r#type: Option<String>,
    range: Option<[f64; 2]>,
    max_len: Option<usize>,
    regex: Option<String>,
    values: Option<Vec<Value>>,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Schema, SchemaError> {
    let unreadable = |error| SchemaError::Unreadable { path: path.to_path_buf(), error };
    let invalid =
        |place: String, message: String| SchemaError::Invalid { path: path.to_path_buf(), place, message };
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text)).map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        let message = format!("larger than {} MiB, which no compiled schema is; {WAY_OUT}", MAX_BYTES >> 20);
        return Err(invalid(String::new(), message));
    }
    // a list would be taken for the members in their order
    if text.trim_ascii_start().starts_with(b"[") {
        return Err(invalid(String::new(), format!("not a compiled OCSF schema but an array; {WAY_OUT}")));
    }
    let compiled: Compiled = serde_json::from_slice(&text).map_err(|error| {
        let place = format!(":{}:{}", error.line(), error.column());
        let all = error.to_string();
        let message = all.rsplit_once(" at line ").map_or(all.as_str(), |(message, _)| message);
        let kind = if error.is_data() { "not a compiled OCSF schema" } else { "not JSON" };
        invalid(place, format!("{kind}: {message}; {WAY_OUT}"))
    })?;
    draft(compiled)
        .and_then(Draft::finish)
        .map_err(|message| invalid(String::new(), format!("{message}; compile the schema again")))
}

fn draft(compiled: Compiled) -> Result<Draft, String> {
    let since = |deprecated: Option<Deprecated>| deprecated.map(|deprecated| deprecated.since);
    let mut shared = Shared::default();
    let mut shapes = Vec::with_capacity(compiled.classes.len() + compiled.objects.len());
    for (name, class) in compiled.classes {
        if class.uid.is_none() {
            return Err(format!("class {name} has no uid"));
        }
        shapes.push(shape(name, class, &mut shared)?);
    }
    for (name, mut object) in compiled.objects {
        object.uid = None;
        shapes.push(shape(name, object, &mut shared)?);
    }
    let types = compiled.dictionary.types.attributes.into_iter().map(|(name, of)| TypeDraft {
        // addresses are parsed, whatever their pattern is
        form: match of.regex {
            Some(_) if name == "ip_t" => Some(Form::Address),
            pattern => pattern.map(|pattern| Form::pattern(&pattern)),
        },
        name,
        parent: of.r#type,
        range: of.range.map(|[low, high]| (low, high)),
        max_len: of.max_len,
        values: of.values,
    });
    Ok(Draft {
        version: compiled.version,
        note: None,
        built_in: false,
        profiles: compiled.profiles.into_iter().map(|(name, of)| (name, since(of.deprecated))).collect(),
        types: types.collect(),
        shapes,
    })
}

/// Enums met before.
#[derive(Default)]
struct Shared(HashMap<Vec<Entry>, Arc<Values>>);

impl Shared {
    fn values(&mut self, values: Map<EnumValue>) -> Arc<Values> {
        let entry = |(key, value): (String, EnumValue)| Entry {
            key: key.into(),
            caption: value.caption.into(),
            deprecated: value.deprecated.map(|deprecated| deprecated.since.into()),
        };
        let entries: Vec<Entry> = values.into_iter().map(entry).collect();
        let make = |entries: &Vec<Entry>| Arc::new(Values::new(entries.clone()));
        self.0.entry(entries).or_insert_with_key(make).clone()
    }
}

fn shape(name: String, of: Shape, shared: &mut Shared) -> Result<ShapeDraft, String> {
    let mut attributes = Vec::with_capacity(of.attributes.len());
    for (attribute_name, attribute) in of.attributes {
        let is_object = attribute.r#type == "object_t";
        let content = match attribute.object_type {
            Some(object) if is_object => object,
            None if is_object => {
                return Err(format!("{name}.{attribute_name} is an object without `object_type`"));
            }
            _ => attribute.r#type,
        };
        attributes.push(AttributeDraft {
            name: attribute_name,
            of: content,
            is_object,
            is_array: attribute.is_array,
            requirement: match attribute.requirement.as_deref() {
                Some("required") => Requirement::Required,
                Some("recommended") => Requirement::Recommended,
                _ => Requirement::Optional,
            },
            profiles: attribute.profiles.unwrap_or_default(),
            sibling: attribute.sibling,
            deprecated: attribute.deprecated.map(|deprecated| deprecated.since),
            values: attribute.r#enum.map(|values| shared.values(values)),
        });
    }
    Ok(ShapeDraft {
        caption: of.caption.unwrap_or_else(|| name.clone()),
        name,
        uid: of.uid,
        deprecated: of.deprecated.map(|deprecated| deprecated.since),
        constraints: of.constraints.unwrap_or_default().into_iter().collect(),
        attributes,
    })
}
