//! Whether a request is the one that was recorded, and what differs.

use std::borrow::Cow;

use http::HeaderMap;
use serde_json::Value;

use super::needle::placeholder_length;
use super::recorder::is_form;
use super::redact::Redactor;

/// Characters of a value in a message.
const MAX_SHOWN: usize = 120;

/// What of a request is compared.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) method: String,
    /// The URL without its query.
    place: String,
    query: Pairs,
    body: Content,
    /// Whether there is a login; it counts only where several recorded requests are equal.
    pub(super) is_signed: bool,
}

type Pairs = Vec<(String, String)>;

/// A body, read.
#[derive(Debug)]
enum Content {
    Nothing,
    Json(Value),
    Form(Pairs),
    Text(String),
    Bytes(Vec<u8>),
}

/// In what two requests differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// How far they are apart.
    pub(super) distance: usize,
    /// What differs, for a message.
    pub(super) parts: Vec<String>,
}

impl Shape {
    pub(super) fn new(method: &str, url: &str, headers: &HeaderMap, body: &[u8], is_signed: bool) -> Self {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let read = |text: &str| url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        let body = match std::str::from_utf8(body) {
            _ if body.is_empty() => Content::Nothing,
            Err(_) => Content::Bytes(body.to_vec()),
            Ok(text) if is_form(headers) => Content::Form(read(text)),
            Ok(text) => match serde_json::from_str(text) {
                Ok(value) => Content::Json(value),
                Err(_) => Content::Text(text.to_owned()),
            },
        };
        Shape { method: method.to_owned(), place: place.to_owned(), query: read(query), body, is_signed }
    }

    /// Whether it is asked for with this, but for members of query, form or JSON that are ignored.
    pub(super) fn is_met_by(&self, asked: &Shape, ignored: &[String]) -> bool {
        self.method == asked.method
            && fits(&self.place, &asked.place)
            && self.difference(asked, ignored).distance == 0
    }

    /// What differs between this, which was recorded, and what is asked for.
    pub(super) fn difference(&self, asked: &Shape, ignored: &[String]) -> Difference {
        let mut found = Difference::default();
        let mut add = |distance, part| {
            found.distance += distance;
            found.parts.push(part);
        };
        if self.method != asked.method {
            add(8, format!("the method is {}", self.method));
        }
        if !fits(&self.place, &asked.place) {
            let similar = strsim::normalized_levenshtein(&self.place, &asked.place);
            add(10 + ((1.0 - similar) * 90.0) as usize, "the path is another".to_owned());
        }
        pairs_difference("the query", &self.query, &asked.query, ignored, &mut add);
        match (&self.body, &asked.body) {
            (Content::Nothing, Content::Nothing) => {}
            (Content::Json(recorded), Content::Json(asked)) => {
                json_difference(recorded, asked, "", ignored, &mut add);
            }
            (Content::Form(recorded), Content::Form(asked)) => {
                pairs_difference("the form", recorded, asked, ignored, &mut add);
            }
            (Content::Text(recorded), Content::Text(asked)) if fits(recorded, asked) => {}
            (Content::Bytes(recorded), Content::Bytes(asked)) if recorded == asked => {}
            _ => add(4, "the body differs".to_owned()),
        }
        found
    }
}

/// Compares as sets in which a member may be there several times.
fn pairs_difference(
    what: &str,
    recorded: &Pairs,
    asked: &Pairs,
    ignored: &[String],
    add: &mut impl FnMut(usize, String),
) {
    let counted = |pairs: &Pairs| -> Pairs {
        pairs.iter().filter(|(name, _)| !ignored.contains(name)).cloned().collect()
    };
    let (mut recorded, mut asked) = (counted(recorded), counted(asked));
    let equal = |one: &(String, String), other: &(String, String)| one == other;
    let alike = |one: &(String, String), other: &(String, String)| one.0 == other.0 && fits(&one.1, &other.1);
    take_matches(&mut recorded, &mut asked, equal);
    take_matches(&mut recorded, &mut asked, alike);
    let redactor = Redactor::default();
    let shown = |pairs: &Pairs| {
        let shown = pairs.iter().map(|(name, value)| match redactor.label(name) {
            Some(_) => format!("{name}=***"),
            None => clipped(&format!("{name}={value}")).into_owned(),
        });
        shown.collect::<Vec<String>>().join(" & ")
    };
    if !asked.is_empty() {
        add(asked.len(), format!("{what} has {} only now", shown(&asked)));
    }
    if !recorded.is_empty() {
        add(recorded.len(), format!("{what} had {} when recorded", shown(&recorded)));
    }
}

fn take_matches(
    recorded: &mut Pairs,
    asked: &mut Pairs,
    is_match: impl Fn(&(String, String), &(String, String)) -> bool,
) {
    recorded.retain(|one| match asked.iter().position(|other| is_match(one, other)) {
        Some(at) => {
            asked.remove(at);
            false
        }
        None => true,
    });
}

/// Each difference; the order of members does not count. `place` is a JSON pointer.
fn json_difference(
    recorded: &Value,
    asked: &Value,
    place: &str,
    ignored: &[String],
    add: &mut dyn FnMut(usize, String),
) {
    match (recorded, asked) {
        (Value::Object(old), Value::Object(new)) => {
            let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
            for name in names.filter(|name| !ignored.contains(name)) {
                let place = format!("{place}/{name}");
                match (old.get(name), new.get(name)) {
                    (Some(old), Some(new)) => json_difference(old, new, &place, ignored, add),
                    (Some(_), None) => add(1, format!("the body had {place} when recorded")),
                    _ => add(1, format!("the body has {place} only now")),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                json_difference(old, new, &format!("{place}/{index}"), ignored, add);
            }
        }
        (Value::String(old), Value::String(new)) if fits(old, new) => {}
        (Value::String(old), Value::Number(new)) if fits(old, &new.to_string()) => {}
        (old, new) if old == new => {}
        (old, new) => {
            let place = if place.is_empty() { "/" } else { place };
            let mut new = new.clone();
            Redactor::default().value(&mut new);
            let (old, new) = (old.to_string(), new.to_string());
            add(
                1,
                format!("the body at {place} is {} and was {} when recorded", clipped(&new), clipped(&old)),
            );
        }
    }
}

/// Whether a text is the recorded one. A placeholder in that stands for itself or for any text without
/// placeholders: the secret of whoever plays it back.
fn fits(recorded: &str, asked: &str) -> bool {
    if recorded == asked {
        return true;
    }
    let Some((before, hole, after)) = first_placeholder(recorded) else { return false };
    let Some(rest) = asked.strip_prefix(before) else { return false };
    if let Some(rest) = rest.strip_prefix(hole) {
        return fits(after, rest);
    }
    let most = first_placeholder(rest).map_or(rest, |(before, ..)| before);
    let mut ends = most.char_indices().map(|(at, next)| at + next.len_utf8());
    match first_placeholder(after) {
        None => rest.len() > after.len() && rest.ends_with(after) && rest.len() - after.len() <= most.len(),
        Some(_) => ends.any(|end| fits(after, &rest[end..])),
    }
}

/// What is before the first placeholder, the placeholder, and what is behind it.
fn first_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut starts = text.match_indices("REDACTED_").map(|(start, _)| start);
    let found = starts.find_map(|start| Some((start, placeholder_length(&text.as_bytes()[start..])?)));
    let (start, length) = found?;
    Some((&text[..start], &text[start..start + length], &text[start + length..]))
}

/// A text for a message.
pub(super) fn clipped(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_stand_for_other_texts() {
        let hole = "REDACTED_secret_1_";
        for (recorded, asked, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("x-REDACTED_secret_1_-y", "x-anything-y", true),
            ("x-REDACTED_secret_1_-y", "x--y", false),
            ("x-REDACTED_secret_1_-y", "x-é-z", false),
            ("x-REDACTED_secret_1_-y", "x-REDACTED_secret_1_-y", true),
            ("x-REDACTED_secret_1_-y", "x-REDACTED_secret_2_-y", false),
            ("REDACTED_token_1_/REDACTED_token_2_", "é/b/c", true),
            ("REDACTED_token_1_/REDACTED_token_2_", "REDACTED_token_1_/b", true),
            ("REDACTED_token_1_/REDACTED_token_2_", "REDACTED_token_2_/b", false),
            ("REDACTED_token_1_/REDACTED_token_2_", "b", false),
        ] {
            assert_eq!(fits(recorded, asked), expected, "{recorded} {asked}");
        }
        assert!(fits(hole, "x") && !fits(hole, ""));
    }

    fn shape(url: &str, body: &str) -> Shape {
        Shape::new("GET", url, &HeaderMap::new(), body.as_bytes(), false)
    }

    #[test]
    fn queries_are_sets_with_repetition() {
        let recorded = shape("http://h/p?b=2&a=1&a=1&c=%20x", "");
        assert!(recorded.is_met_by(&shape("http://h/p?a=1&c=+x&a=1&b=2", ""), &[]));
        assert!(!recorded.is_met_by(&shape("http://h/p?a=1&c=+x&b=2", ""), &[]));
        assert!(recorded.is_met_by(&shape("http://h/p?c=+x&b=2", ""), &["a".to_owned()]));
    }

    #[test]
    fn bodies() {
        let recorded = shape("http://h/", r#"{"a":{"b":[1,"REDACTED_token_1_"]},"at":7}"#);
        assert!(recorded.is_met_by(&shape("http://h/", r#"{"at":7,"a":{"b":[1, "t"]}}"#), &[]));
        let other = shape("http://h/", r#"{"at":8,"a":{"b":[1.0,"t"]},"c":0}"#);
        assert_eq!(
            recorded.difference(&other, &["at".to_owned()]).parts,
            ["the body at /a/b/0 is 1.0 and was 1 when recorded", "the body has /c only now"]
        );
    }
}
