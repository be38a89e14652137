//! Strings.

use super::super::native::{Native, native};
use super::json::to_json;
use crate::jq::budget;
use crate::jq::value::{Exn, Raised, Str, Val, raise, split};
use crate::jq::write::{self, WriteLimits};

pub(super) const NATIVES: &[Native] = &[
    native("tostring", 0, |value, _| match value {
        Val::Str(_) => Ok(value),
        other => to_json(&other).map(Val::string),
    }),
    native("utf8bytelength", 0, |value, _| match &value {
        Val::Str(text) => Ok(Val::of_usize(text.len())),
        other => Err(Raised::typed(other, "only strings have UTF-8 byte length")),
    }),
    native("ascii_downcase", 0, |value, _| match &value {
        Val::Str(text) => Ok(Val::string(text.as_str().to_ascii_lowercase())),
        _ => raise("explode input must be a string"),
    }),
    native("ascii_upcase", 0, |value, _| match &value {
        Val::Str(text) => Ok(Val::string(text.as_str().to_ascii_uppercase())),
        _ => raise("explode input must be a string"),
    }),
    native("explode", 0, |value, _| match &value {
        Val::Str(text) => {
            budget::charge(text.len() * size_of::<Val>());
            Ok(Val::arr(text.as_str().chars().map(|c| Val::Int(i64::from(u32::from(c)))).collect()))
        }
        _ => raise("explode input must be a string"),
    }),
    native("implode", 0, |value, _| implode(&value)),
    native("startswith", 1, |value, args| match (&value, &args[0]) {
        (Val::Str(text), Val::Str(start)) => Ok(Val::Bool(text.as_bytes().starts_with(start.as_bytes()))),
        _ => Err(Raised::about(&value, "startswith() requires string inputs")),
    }),
    native("endswith", 1, |value, args| match (&value, &args[0]) {
        (Val::Str(text), Val::Str(end)) => Ok(Val::Bool(text.as_bytes().ends_with(end.as_bytes()))),
        _ => Err(Raised::about(&value, "endswith() requires string inputs")),
    }),
    native("ltrimstr", 1, |value, args| ltrimstr(value, &args[0])),
    native("rtrimstr", 1, |value, args| rtrimstr(value, &args[0])),
    native("trimstr", 1, |value, args| rtrimstr(ltrimstr(value, &args[0])?, &args[0])),
    native("trim", 0, |value, _| trim(&value, true, true)),
    native("ltrim", 0, |value, _| trim(&value, true, false)),
    native("rtrim", 0, |value, _| trim(&value, false, true)),
    native("split", 1, |value, args| match (&value, &args[0]) {
        (Val::Str(text), Val::Str(separator)) => Ok(split(text, separator)),
        _ => Err(Raised::about(&value, "split input and separator must be strings")),
    }),
    native("join", 1, |value, args| join(&value, &args[0])),
];

/// Appends a string as it is, anything else as JSON.
pub(in crate::jq::engine) fn append_as_text(value: &Val, out: &mut Vec<u8>) {
    match value {
        Val::Str(text) => out.extend_from_slice(text.as_bytes()),
        other => {
            let room = budget::memory_left();
            let bounds = WriteLimits { depth: usize::MAX, bytes: room };
            if write::write(other, bounds, out).is_err() {
                budget::stop(budget::Stop::Memory);
            }
        }
    }
}

fn implode(value: &Val) -> Result<Val, Exn> {
    let Some(items) = value.as_items() else { return raise("implode input must be an array") };
    let mut text = String::with_capacity(items.len());
    for item in items.iter() {
        match item.as_f64() {
            Some(point) if !point.is_nan() => {
                let point = u32::try_from(point as i64).ok().and_then(char::from_u32);
                text.push(point.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            _ => {
                let message = "can't be imploded, unicode codepoint needs to be numeric";
                return Err(Raised::typed(item, message));
            }
        }
    }
    Ok(Val::string(text))
}

fn ltrimstr(value: Val, start: &Val) -> Result<Val, Exn> {
    match (&value, start) {
        (Val::Str(text), Val::Str(start)) => match text.as_str().strip_prefix(start.as_str()) {
            Some(rest) => Ok(Val::str(rest)),
            None => Ok(value),
        },
        _ => Err(Raised::about(&value, "startswith() requires string inputs")),
    }
}

fn rtrimstr(value: Val, end: &Val) -> Result<Val, Exn> {
    match (&value, end) {
        (Val::Str(text), Val::Str(end)) => match text.as_str().strip_suffix(end.as_str()) {
            Some(rest) => Ok(Val::str(rest)),
            None => Ok(value),
        },
        _ => Err(Raised::about(&value, "endswith() requires string inputs")),
    }
}

fn trim(value: &Val, start: bool, end: bool) -> Result<Val, Exn> {
    let Val::Str(text) = value else { return raise("trim input must be a string") };
    let mut text = text.as_str();
    if start {
        text = text.trim_start();
    }
    if end {
        text = text.trim_end();
    }
    Ok(Val::str(text))
}

/// As jq defines it, by adding up: that shows in its errors.
fn join(value: &Val, separator: &Val) -> Result<Val, Exn> {
    let mut joined: Option<String> = None;
    value.for_each_child(|item| {
        let mut text = match joined.take() {
            None => String::new(),
            Some(mut text) => match separator {
                Val::Str(separator) => {
                    text.push_str(separator.as_str());
                    text
                }
                Val::Null => text,
                other => return Err(Raised::typed2(&Val::string(text), other, "cannot be added")),
            },
        };
        match &item {
            Val::Null => {}
            Val::Str(item) => text.push_str(item.as_str()),
            Val::Bool(item) => text.push_str(if *item { "true" } else { "false" }),
            number if number.as_f64().is_some() => text.push_str(&to_json(number)?),
            other => return Err(Raised::typed2(&Val::string(text), other, "cannot be added")),
        }
        if text.len() == text.capacity() {
            budget::charge(text.len() * 2);
        }
        joined = Some(text);
        Ok(())
    })?;
    Ok(Val::string(joined.unwrap_or_default()))
}

/// Where a text occurs in another, in characters; overlapping ones too.
pub(super) fn indices(text: &Str, part: &Str) -> Val {
    if part.is_empty() {
        return Val::arr(Vec::new());
    }
    let (text, part) = (text.as_str(), part.as_bytes());
    let finder = memchr::memmem::Finder::new(part);
    let (mut found, mut from) = (Vec::new(), 0);
    let (mut counted, mut characters) = (0, 0);
    while let Some(at) = finder.find(&text.as_bytes()[from..]) {
        budget::work(1 + at / 64);
        let at = from + at;
        characters += text[counted..at].chars().count();
        counted = at;
        found.push(Val::of_usize(characters));
        // the next one may begin at the next character of this one
        from = at + text[at..].chars().next().map_or(1, char::len_utf8);
    }
    Val::arr(found)
}
