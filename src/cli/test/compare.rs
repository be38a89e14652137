//! Values compared as JSON, and their differences path by path.
//!
//! A value is taken apart into its leaves: scalars, and arrays and objects that hold nothing. Two values
//! are equal if they have the same leaves at the same paths, so the order of members does not count.
//! Numbers are equal if they are written alike: `1.10` is not `1.1`, because a transform that leaves a
//! number alone leaves its text alone.

use std::collections::HashMap;

use bytes::Bytes;

use super::report::clipped;
use crate::jq::{Json, Kind, View, append_to_path};

/// Lines of a difference that are shown.
pub(super) const MAX_PATHS: usize = 16;

/// Outputs with a difference that are shown.
const MAX_OUTPUTS: usize = 3;

/// Nesting that is compared; more than any output has.
pub(super) const DEPTH: usize = 1024;

/// A scalar, or an array or object that holds nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// `.actor.tags[0]`
    pub(super) path: String,
    /// JSON text.
    pub(super) text: String,
}

/// All leaves of a value in their order.
pub(super) fn leaves(value: View<'_>) -> Vec<Leaf> {
    let mut found = Vec::new();
    take_apart(value, &mut String::new(), &mut found);
    found
}

fn take_apart(value: View<'_>, path: &mut String, found: &mut Vec<Leaf>) {
    let length = path.len();
    let mut is_empty = true;
    match value.kind() {
        Kind::Array => {
            let mut at = 0;
            value.for_items(|item| {
                is_empty = false;
                *path += &format!("[{at}]");
                take_apart(item, path, found);
                path.truncate(length);
                at += 1;
            });
        }
        Kind::Object => value.for_members(|key, member| {
            is_empty = false;
            append_to_path(path, key);
            take_apart(member, path, found);
            path.truncate(length);
        }),
        _ => {}
    }
    if is_empty {
        let path = if path.is_empty() { ".".to_owned() } else { path.clone() };
        found.push(Leaf { path, text: value.excerpt(usize::MAX) });
    }
}

/// The leaves of a JSON text that was checked.
fn leaves_of(text: &Bytes) -> Vec<Leaf> {
    match Json::parse(text.clone(), DEPTH) {
        Ok(mut json) => leaves(json.view()),
        // what cannot be taken apart is one leaf
        Err(_) => vec![Leaf { path: ".".to_owned(), text: String::from_utf8_lossy(text).into_owned() }],
    }
}

/// One line for each leaf that differs, none if the values are equal.
pub(super) fn differences(expected: &Bytes, actual: &Bytes) -> Vec<String> {
    if expected == actual {
        return Vec::new();
    }
    let (expected, actual) = (leaves_of(expected), leaves_of(actual));
    let mut new: HashMap<&str, &str> =
        actual.iter().map(|leaf| (leaf.path.as_str(), leaf.text.as_str())).collect();
    let mut lines = Vec::new();
    for leaf in &expected {
        match new.remove(leaf.path.as_str()) {
            Some(text) if text == leaf.text => {}
            found => {
                lines.push(format!("- {}: {}", leaf.path, clipped(&leaf.text)));
                if let Some(text) = found {
                    lines.push(format!("+ {}: {}", leaf.path, clipped(text)));
                }
            }
        }
    }
    let added = actual.iter().filter(|leaf| new.contains_key(leaf.path.as_str()));
    lines.extend(added.map(|leaf| format!("+ {}: {}", leaf.path, clipped(&leaf.text))));
    lines
}

/// How the outputs differ from those that are expected; `None` if they do not. `made_of` says what an
/// output was made of.
pub(super) fn compare(
    expected: &[Bytes],
    actual: &[Bytes],
    made_of: &dyn Fn(usize) -> String,
) -> Option<String> {
    let mut text = String::new();
    let mut differing = 0;
    for at in 0..expected.len().max(actual.len()) {
        let (head, lines) = match (expected.get(at), actual.get(at)) {
            (Some(expected), Some(actual)) => {
                let lines = differences(expected, actual);
                if lines.is_empty() {
                    continue;
                }
                (format!("output {}{} differs", at + 1, made_of(at)), lines)
            }
            (Some(expected), None) => {
                let line = format!("- {}", clipped(&String::from_utf8_lossy(expected)));
                (format!("output {} is missing", at + 1), vec![line])
            }
            (_, actual) => {
                let actual = actual.map(|text| String::from_utf8_lossy(text)).unwrap_or_default();
                (
                    format!("output {}{} is not expected", at + 1, made_of(at)),
                    vec![format!("+ {}", clipped(&actual))],
                )
            }
        };
        differing += 1;
        if differing > MAX_OUTPUTS {
            continue;
        }
        text += &format!("{head}\n");
        lines.iter().take(MAX_PATHS).for_each(|line| text += &format!("  {line}\n"));
        if lines.len() > MAX_PATHS {
            text += &format!("  and {} more lines\n", lines.len() - MAX_PATHS);
        }
    }
    if differing > MAX_OUTPUTS {
        text += &format!("and {} more outputs differ\n", differing - MAX_OUTPUTS);
    }
    (differing > 0).then(|| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(expected: &'static str, actual: &'static str) -> Vec<String> {
        differences(&Bytes::from(expected), &Bytes::from(actual))
    }

    #[test]
    fn members_have_no_order_and_numbers_have_a_text() {
        assert!(lines(r#"{"a":1,"b":[{}]}"#, r#"{ "b": [ {} ], "a": 1 }"#).is_empty());
        assert_eq!(lines(r#"{"a":1.10}"#, r#"{"a":1.1}"#), ["- .a: 1.10", "+ .a: 1.1"]);
        assert_eq!(lines("1", "1.0"), ["- .: 1", "+ .: 1.0"]);
        assert_eq!(
            lines(r#"{"a b":[1,{"c":null}],"d":1}"#, r#"{"a b":[1,{}],"e":"x"}"#),
            [r#"- ."a b"[1].c: null"#, "- .d: 1", r#"+ ."a b"[1]: {}"#, r#"+ .e: "x""#]
        );
        assert!(lines("1e2", "100").len() == 2, "values are compared as they are written");
    }

    #[test]
    fn what_is_shown_is_bounded() {
        let many = |value: &str| {
            let members: Vec<_> = (0..40).map(|n| format!("\"m{n}\":{value}")).collect();
            Bytes::from(format!("{{{}}}", members.join(",")))
        };
        let expected = vec![many("1"); 5];
        let actual = vec![many("2"); 6];
        let text = compare(&expected, &actual, &|at| format!(" of input {}", at + 1)).unwrap();
        assert_eq!(text.lines().count(), 3 * (1 + MAX_PATHS + 1) + 1, "{text}");
        assert!(text.starts_with("output 1 of input 1 differs\n  - .m0: 1\n  + .m0: 2\n"), "{text}");
        assert!(text.ends_with("and 3 more outputs differ"), "{text}");
    }
}
