//! An event inside a worker.

use std::rc::Rc;

use bytes::Bytes;

use super::identity::identity;
use super::value::{Doc, Obj, Str, Val, parse_literal};
use super::view::View;
use super::write::{self, NotJson, WriteLimits};
use crate::event::json::{self, JsonError};

/// A JSON value as text, as a value, or as both.
///
/// Text is parsed at the first touch, as far as it is touched. As long as the text is there it *is*
/// the event: it is written as it came. A program's output has only a value, unless it is the very
/// value it was given.
///
/// Values are reference-counted without atomics and never leave their thread.
#[derive(Clone)]
pub struct Json {
    text: Option<Bytes>,
    value: Option<Val>,
    /// The document that the value was read from, for the places of errors.
    doc: Option<Rc<Doc>>,
}

impl std::fmt::Debug for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Json").field("text", &self.text).finish_non_exhaustive()
    }
}

impl Json {
    /// An event from validated JSON text, for a reader that may not look inside.
    pub fn from_text(text: Bytes) -> Self {
        Json { text: Some(text), value: None, doc: None }
    }

    /// An event from JSON text, which is validated and made ready to look inside.
    pub fn parse(text: Bytes, max_depth: usize) -> Result<Self, JsonError> {
        let doc = Doc::parse(text.clone(), max_depth)?;
        Ok(Json { text: Some(text), value: Some(doc.root()), doc: Some(doc) })
    }

    /// A JSON string from text.
    pub fn string(text: &str) -> Self {
        Json { text: None, value: Some(Val::str(text)), doc: None }
    }

    /// An integer.
    pub fn integer(number: i64) -> Self {
        Json::of(Val::Int(number))
    }

    /// `true` or `false`.
    pub fn boolean(value: bool) -> Self {
        Json::of(Val::Bool(value))
    }

    /// `null`.
    pub fn null() -> Self {
        Json::of(Val::Null)
    }

    /// A number as JSON writes it; its digits are kept. `None` if it is none.
    pub fn number(text: &str) -> Option<Self> {
        parse_literal(text).map(Json::of)
    }

    /// An array of these items.
    pub fn array(items: Vec<Json>) -> Self {
        Json::of(Val::arr(items.into_iter().map(Json::into_value).collect()))
    }

    /// An object of these members.
    pub fn record(members: Vec<(&str, Json)>) -> Self {
        let members = members.into_iter().map(|(name, mut json)| (Str::new(name), json.value().clone()));
        Json::of(Val::obj(Obj::from_distinct(members.collect())))
    }

    pub(super) fn of(value: Val) -> Self {
        Json { text: None, value: Some(value), doc: None }
    }

    pub(super) fn into_value(mut self) -> Val {
        self.value();
        self.value.unwrap_or(Val::Null)
    }

    /// The value; its content is read where it is touched.
    pub(super) fn value(&mut self) -> &Val {
        if self.value.is_none()
            && let Some(text) = &self.text
        {
            // the text was validated: the depth is known to be bearable
            self.doc = Doc::parse(text.clone(), usize::MAX).ok();
        }
        let doc = &self.doc;
        self.value.get_or_insert_with(|| doc.as_ref().map_or(Val::Null, Doc::root))
    }

    /// The value, to look at.
    pub fn view(&mut self) -> View<'_> {
        View::of(self.value())
    }

    /// The document that the value was read from.
    pub(super) fn doc(&self) -> Option<&Rc<Doc>> {
        self.doc.as_ref()
    }

    /// The output as an event: this event itself, text and all, if the program passed it through.
    ///
    /// Both hold the value, and a shared value is copied before it is changed, so the same
    /// allocation means the same content.
    pub(super) fn same_or(&self, output: Val) -> Json {
        let is_same = match (&self.value, &output) {
            (Some(mine @ (Val::Obj(_) | Val::Arr(_) | Val::Raw(_))), theirs) => mine.is_same(theirs),
            _ => false,
        };
        if is_same { self.clone() } else { Json::of(output) }
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
                json::append_compact(text, out);
                Ok(())
            }
            (None, Some(value)) => write::write(value, limits, out),
            (None, None) => Ok(()),
        }
    }

    /// Whether jq takes it for true: anything but null and false.
    pub fn is_truthy(&self) -> bool {
        match (&self.value, &self.text) {
            (Some(value), _) => value.is_truthy(),
            (None, Some(text)) => !matches!(&text[..], b"null" | b"false"),
            (None, None) => false,
        }
    }

    /// 128 bits that are the same for values that jq's `==` takes for equal, and different for all
    /// others; `None` for null. The same in every version: they are stored.
    pub fn identity(&mut self) -> Option<u128> {
        identity(self.value())
    }

    /// The value as a tree for the program's surroundings.
    pub fn to_tree(&self) -> Result<serde_json::Value, NotJson> {
        let mut text = Vec::new();
        self.write(WriteLimits { depth: 512, bytes: usize::MAX }, &mut text)?;
        // what was written a moment ago can be read
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }

    /// The text of a JSON string, if it is one.
    pub fn as_string(&mut self) -> Option<String> {
        self.value().as_str().map(str::to_owned)
    }
}
