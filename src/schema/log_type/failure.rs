//! What keeps an event from matching a schema, and where.

use std::fmt;

use crate::jq::{Kind, View, append_to_path};

/// Bytes of a value in a message.
const EXCERPT: usize = 60;

/// A step on the way to a value.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Member(String),
    Item(usize),
}

/// Something that keeps an event from matching a schema.
#[derive(Debug, Clone)]
pub struct Failure {
    steps: Vec<Step>,
    expected: String,
    got: Got,
    is_missing: bool,
}

/// What stands where something else is expected.
#[derive(Debug, Clone)]
enum Got {
    Nothing,
    Value(Kind, String),
}

impl Failure {
    /// A value that is not what is expected of the member `name` of what a trail leads to, or of that
    /// itself.
    pub(super) fn of(trail: &[Step], name: Option<&str>, expected: &str, got: View<'_>) -> Self {
        let got = Got::Value(got.kind(), got.excerpt(EXCERPT));
        Failure { steps: steps_of(trail, name), expected: expected.to_owned(), got, is_missing: false }
    }

    /// A required member that is not there, or not with a value that counts.
    pub(super) fn missing(trail: &[Step], name: &str, kind: &str, got: Option<View<'_>>) -> Self {
        let got = got.map_or(Got::Nothing, |got| Got::Value(got.kind(), got.excerpt(EXCERPT)));
        let expected = format!("{kind} (required)");
        Failure { steps: steps_of(trail, Some(name)), expected, got, is_missing: true }
    }

    /// Where, as a jq path.
    pub fn path(&self) -> String {
        path_of(&self.steps, None, |path, number| path.push_str(&format!("[{number}]")))
    }

    /// Where, as a path with `[]` for the items of an array.
    pub fn pattern(&self) -> String {
        pattern_of(&self.steps, None)
    }

    /// What the schema wants there.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// Whether it is a required field that is missing, null, or becomes null.
    pub fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// What is there: `nothing`, `null`, `the number 7`.
    pub fn got(&self) -> String {
        match &self.got {
            Got::Value(Kind::Boolean(value), _) => value.to_string(),
            Got::Value(kind, excerpt) if *kind != Kind::Null => format!("the {} {excerpt}", kind.name()),
            _ => self.got_type(),
        }
    }

    /// What is there, without its value: `nothing`, `null`, `the number`.
    pub fn got_type(&self) -> String {
        match &self.got {
            Got::Nothing => "nothing".to_owned(),
            Got::Value(Kind::Null, _) => "null".to_owned(),
            Got::Value(kind, _) => format!("the {}", kind.name()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.path(), self.expected, self.got())
    }
}

fn steps_of(trail: &[Step], name: Option<&str>) -> Vec<Step> {
    trail.iter().cloned().chain(name.map(|name| Step::Member(name.to_owned()))).collect()
}

/// The path of a member of what a trail leads to, with `[]` for all items of an array.
pub(super) fn pattern_of(trail: &[Step], name: Option<&str>) -> String {
    path_of(trail, name, |path, _| path.push_str("[]"))
}

fn path_of(trail: &[Step], name: Option<&str>, append_item: impl Fn(&mut String, usize)) -> String {
    let mut path = String::new();
    for step in trail {
        match step {
            Step::Member(name) => append_to_path(&mut path, name),
            Step::Item(number) => append_item(&mut path, *number),
        }
    }
    if let Some(name) = name {
        append_to_path(&mut path, name);
    }
    if path.is_empty() || path.starts_with('[') {
        path.insert(0, '.');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jq::Json;

    #[test]
    fn paths_are_those_of_steps() {
        let trail = [Step::Member("a[5]".to_owned()), Step::Item(12)];
        let mut seven = Json::integer(7);
        let failure = Failure::of(&trail, Some("b"), "int", seven.view());
        assert_eq!((&*failure.path(), &*failure.pattern()), (".\"a[5]\"[12].b", ".\"a[5]\"[].b"));
        assert_eq!((&*failure.got(), &*failure.got_type()), ("the number 7", "the number"));
        let root = Failure::of(&[], None, "an object", seven.view());
        assert_eq!(root.to_string(), ".: expected an object, got the number 7");
    }
}
