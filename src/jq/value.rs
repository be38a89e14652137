//! An event inside a worker.

use bytes::Bytes;
use jaq_json::{Map, Num, Rc, Val, read};

use super::parse;
use super::write::{self, NotJson, WriteLimits};

/// A JSON value as text, as a value, or as both.
///
/// Text is parsed at the first touch. As long as the text is there it *is* the event: it is written
/// as it came. A program's output has only a value, unless it is the very value it was given.
///
/// Values are reference-counted without atomics and never leave their thread.
#[derive(Debug, Clone)]
pub struct Json {
    text: Option<Bytes>,
    value: Option<Val>,
}

impl Json {
    /// An event from validated JSON text.
    pub fn from_text(text: Bytes) -> Self {
        Json { text: Some(text), value: None }
    }

    /// A JSON string from text.
    pub fn string(text: &str) -> Self {
        Json { text: None, value: Some(Val::utf8_str(Bytes::copy_from_slice(text.as_bytes()))) }
    }

    /// The parsed value.
    pub(super) fn value(&mut self) -> &Val {
        let text = &self.text;
        self.value.get_or_insert_with(|| text.as_ref().map_or(Val::Null, parse::parse))
    }

    /// The output as an event: this event itself, text and all, if the program passed it through.
    ///
    /// Both hold the value, and a shared value is copied before it is changed, so the same
    /// allocation means the same content.
    pub(super) fn same_or(&self, output: Val) -> Json {
        let same = match (&self.value, &output) {
            (Some(Val::Obj(mine)), Val::Obj(theirs)) => Rc::ptr_eq(mine, theirs),
            (Some(Val::Arr(mine)), Val::Arr(theirs)) => Rc::ptr_eq(mine, theirs),
            _ => false,
        };
        if same { self.clone() } else { Json { text: None, value: Some(output) } }
    }

    /// Checks that the event can be written within bounds; its size, or zero if it has its text.
    pub(super) fn measure(&self, limits: WriteLimits) -> Result<usize, NotJson> {
        match (&self.text, &self.value) {
            (None, Some(value)) => write::measure(value, limits),
            _ => Ok(0),
        }
    }

    /// Appends the event as one line of JSON, without the line's end.
    pub fn write(&self, limits: WriteLimits, out: &mut Vec<u8>) -> Result<(), NotJson> {
        match (&self.text, &self.value) {
            (Some(text), _) => {
                crate::event::json::append_compact(text, out);
                Ok(())
            }
            (None, Some(value)) => write::write(value, limits, out),
            (None, None) => Ok(()),
        }
    }

    /// Whether jq takes it for true: anything but null and false.
    pub fn is_truthy(&self) -> bool {
        match (&self.value, &self.text) {
            (Some(value), _) => !matches!(value, Val::Null | Val::Bool(false)),
            (None, Some(text)) => !matches!(&text[..], b"null" | b"false"),
            (None, None) => false,
        }
    }

    /// The text of a JSON string, if it is one and valid UTF-8.
    pub fn as_string(&mut self) -> Option<String> {
        match self.value() {
            Val::TStr(text) => std::str::from_utf8(text).ok().map(str::to_owned),
            _ => None,
        }
    }
}

/// A value from the configuration.
pub(super) fn from_json(json: &serde_json::Value) -> Val {
    use serde_json::Value;
    match json {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(*value),
        Value::Number(number) => {
            let text = number.to_string();
            read::parse_single_num(text.as_bytes()).map_or_else(|| Val::Num(Num::Float(f64::NAN)), Val::Num)
        }
        Value::String(text) => Val::utf8_str(Bytes::copy_from_slice(text.as_bytes())),
        Value::Array(items) => items.iter().map(from_json).collect(),
        Value::Object(members) => {
            let entries = members.iter().map(|(key, value)| {
                (Val::utf8_str(Bytes::copy_from_slice(key.as_bytes())), from_json(value))
            });
            Val::obj(entries.collect::<Map>())
        }
    }
}
