//! Findings: where they are, and in which words.

use std::fmt::Write as _;

use super::{Step, Walk};
use crate::jq::{Kind, View, append_to_path};
use crate::schema::ocsf::finding::{Finding, Rule, Severity};
use crate::schema::ocsf::model::{Attribute, Content, Primitive, Requirement, ScalarType, Schema, Shape};

/// Findings of one severity that are kept of an event.
const MAX_FINDINGS: usize = 1000;

/// Bytes of a value that a message shows.
pub(super) const SHOWN: usize = 80;

impl Walk<'_> {
    /// Reports a finding at a member of where the walk is.
    pub(super) fn report_member(&mut self, rule: Rule, name: &str, message: impl FnOnce() -> String) {
        let mut path = self.path();
        append_to_path(&mut path, name);
        self.add(rule, path, message);
    }

    /// Reports a finding where the walk is, or below at a path that needs no quotes.
    pub(super) fn report(&mut self, rule: Rule, below: Option<&str>, message: impl FnOnce() -> String) {
        let mut path = self.path();
        if let Some(below) = below {
            path.push('.');
            path.push_str(below);
        } else if path.is_empty() {
            path.push('.');
        }
        self.add(rule, path, message);
    }

    #[cold]
    pub(super) fn add(&mut self, rule: Rule, path: String, message: impl FnOnce() -> String) {
        let severity = rule.severity();
        if severity != Severity::NotChecked {
            let count = &mut self.out.counts[usize::from(severity == Severity::Warning)];
            *count += 1;
            if *count > MAX_FINDINGS {
                if *count == MAX_FINDINGS + 1 {
                    let message = format!(
                        "more than {MAX_FINDINGS} findings of severity {}; no more are listed",
                        severity.name()
                    );
                    let severity = Severity::NotChecked;
                    self.out.findings.push(Finding { severity, rule: Rule::NotChecked, path, message });
                }
                return;
            }
        }
        self.out.findings.push(Finding { severity, rule, path, message: message() });
    }

    /// The path of where the walk is; empty at the event.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.out.steps {
            match step {
                Step::Attribute(shape, at) => {
                    append_to_path(&mut path, &self.schema.shapes[*shape].attributes[*at].name);
                }
                Step::Item(index) => {
                    let _ = write!(path, "[{index}]");
                }
            }
        }
        path
    }
}

pub(super) fn unknown_class(schema: &Schema, uid: i64) -> String {
    if !schema.built_in {
        return format!("the schema {} has no class {uid}", schema.version);
    }
    let known: Vec<String> = schema.classes().map(|class| class.uid.to_string()).collect();
    let mut text =
        format!("the built-in table of {} has no class {uid}, only {}", schema.version, known.join(", "));
    let others = Schema::built_in_versions().iter().filter(|version| **version != schema.version);
    for version in others {
        if Schema::built_in(version).is_some_and(|other| other.class(uid).is_some()) {
            let _ = write!(text, "; that of {version} has it");
        }
    }
    text.push_str("; a compiled schema (`ocsf_schema`, or `--schema` on the command line) has every class");
    text
}

pub(super) fn type_name<'a>(schema: &'a Schema, attribute: &'a Attribute) -> &'a str {
    match &attribute.content {
        Content::Scalar(at) => &schema.types[*at].name,
        Content::Object(at) => &schema.shapes[*at].name,
        Content::Missing(name) => name,
    }
}

pub(super) fn shape_text(shape: &Shape) -> String {
    match shape.uid {
        Some(_) => format!("class {}", shape.caption),
        None => format!("object {}", shape.name),
    }
}

pub(super) fn missing_text(attribute: &Attribute, shape: &Shape) -> String {
    let requirement = match attribute.requirement {
        Requirement::Required => "required",
        _ => "recommended",
    };
    format!("{requirement} in {}", shape_text(shape))
}

pub(super) fn since_text(since: &str) -> String {
    if since.is_empty() { String::new() } else { format!(" since {since}") }
}

pub(super) fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// A text as a message shows it.
pub(super) fn clipped(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

pub(super) fn type_text(of: &ScalarType) -> String {
    let kind = match of.primitive {
        Primitive::Boolean => "a boolean",
        Primitive::Float => "a number with a fraction",
        Primitive::Integer | Primitive::Long => "an integer",
        Primitive::String => "a string",
        Primitive::Json | Primitive::Unknown => "a value",
    };
    format!("{kind} ({})", of.name)
}

/// A value as a message names it.
pub(super) fn described(value: View<'_>) -> String {
    let kind = match value.kind() {
        Kind::Null => return "null".to_owned(),
        Kind::Array => return "an array".to_owned(),
        Kind::Object => return "an object".to_owned(),
        Kind::Boolean(_) => "the boolean",
        Kind::String => "the string",
        Kind::Number if !is_integer(value) => "the number",
        Kind::Number if value.as_i64().is_none() => "the integer of more than 64 bits",
        Kind::Number => "the integer",
    };
    format!("{kind} {}", value.excerpt(SHOWN))
}

/// Whether a number is, or would be, written as an integer.
pub(super) fn is_integer(value: View<'_>) -> bool {
    value.is_integer()
        || value
            .number_text()
            .is_some_and(|text| text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()))
}

/// An integer of 128 bits, which is what OCSF calls long.
pub(super) fn long(value: View<'_>) -> Option<i128> {
    match value.as_i64() {
        Some(number) => Some(i128::from(number)),
        None => value.number_text()?.parse().ok(),
    }
}

pub(super) fn float(value: View<'_>) -> f64 {
    value.number_text().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

/// Whether a value is one that a type allows.
pub(super) fn equals(allowed: &serde_json::Value, value: View<'_>) -> bool {
    match (allowed, value.kind()) {
        (serde_json::Value::Bool(allowed), Kind::Boolean(value)) => *allowed == value,
        (serde_json::Value::String(allowed), Kind::String) => value.as_str() == Some(allowed),
        (serde_json::Value::Number(allowed), Kind::Number) => match (allowed.as_i64(), value.as_i64()) {
            (Some(allowed), Some(value)) => allowed == value,
            _ => allowed.as_f64() == Some(float(value)),
        },
        _ => false,
    }
}
