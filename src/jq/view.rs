//! A value as the rest of the program may look at it.

use std::borrow::Cow;

use num_traits::ToPrimitive as _;

use super::json::Json;
use super::value::{Obj, Str, Val, append_key};
use super::write;

/// A value inside a worker, to look at: borrowed, copied for nothing.
///
/// What is still text of the event is read one level at a time, where it is looked at.
#[derive(Clone, Copy)]
pub struct View<'a>(&'a Val);

/// What kind of value it is, with those that need no look inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// Any number; see [`View::as_i64`] and its neighbours.
    Number,
    /// See [`View::as_str`].
    String,
    /// See [`View::for_items`].
    Array,
    /// See [`View::for_members`].
    Object,
}

impl Kind {
    /// The name of the type as jq's `type` has it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Boolean(_) => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.excerpt(200))
    }
}

impl<'a> View<'a> {
    pub(super) fn of(value: &'a Val) -> Self {
        View(value)
    }

    /// What kind of value it is.
    pub fn kind(self) -> Kind {
        match self.0 {
            Val::Null => Kind::Null,
            Val::Bool(value) => Kind::Boolean(*value),
            Val::Int(_) | Val::Float(_) | Val::Big(_) | Val::Dec(_) => Kind::Number,
            Val::Str(_) => Kind::String,
            Val::Arr(_) => Kind::Array,
            Val::Obj(_) => Kind::Object,
            Val::Raw(raw) if raw.is_object() => Kind::Object,
            Val::Raw(_) => Kind::Array,
        }
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<&'a str> {
        self.0.as_str()
    }

    /// A number that is an integer of 64 bits with sign. `1.0` is none: it is not written as one.
    pub fn as_i64(self) -> Option<i64> {
        match self.0 {
            Val::Int(value) => Some(*value),
            Val::Big(value) => value.to_i64(),
            Val::Dec(number) if number.is_integer() => number.text().parse().ok(),
            _ => None,
        }
    }

    /// Whether it is a number written as an integer, of whatever size.
    pub fn is_integer(self) -> bool {
        match self.0 {
            Val::Int(_) | Val::Big(_) => true,
            Val::Dec(number) => number.is_integer(),
            _ => false,
        }
    }

    /// The text of a number, as it is or would be written.
    pub fn number_text(self) -> Option<Cow<'a, str>> {
        match self.0 {
            Val::Dec(number) => Some(Cow::Borrowed(number.text())),
            Val::Int(value) => Some(Cow::Owned(value.to_string())),
            Val::Float(_) | Val::Big(_) => Some(Cow::Owned(write::excerpt(self.0, usize::MAX))),
            _ => None,
        }
    }

    /// Shows each item of an array.
    pub fn for_items(self, mut look: impl FnMut(View<'_>)) {
        match self.0 {
            Val::Arr(items) => items.iter().for_each(|item| look(View(item))),
            Val::Raw(raw) if !raw.is_object() => raw.children().for_each(|item| look(View(&item))),
            _ => {}
        }
    }

    /// Shows each member of an object in its order. Of members of one name the last is the value, at
    /// the place of the first.
    pub fn for_members(self, mut look: impl FnMut(&str, View<'_>)) {
        match self.0 {
            Val::Obj(object) => object.iter().for_each(|(key, value)| look(key.as_str(), View(value))),
            Val::Raw(raw) if raw.is_object() && raw.has_duplicates() => {
                raw.to_obj().iter().for_each(|(key, value)| look(key.as_str(), View(value)));
            }
            // the keys are told as they stand in the text, and nothing is gathered
            Val::Raw(raw) if raw.is_object() => raw.for_each_member(|key, _, value| {
                if let Ok(key) = std::str::from_utf8(key) {
                    look(key, View(&value()));
                }
            }),
            _ => {}
        }
    }

    /// Shows a member of an object, if there is one of that name.
    pub fn member<T>(self, name: &str, look: impl FnOnce(View<'_>) -> T) -> Option<T> {
        match self.0 {
            Val::Obj(object) => object.get(name.as_bytes()).map(|value| look(View(value))),
            Val::Raw(raw) if raw.is_object() => raw.get(name.as_bytes()).map(|value| look(View(&value))),
            _ => None,
        }
    }

    /// The number of items or members; zero for what has none.
    pub fn len(self) -> usize {
        match self.0 {
            Val::Arr(items) => items.len(),
            Val::Obj(object) => object.len(),
            Val::Raw(raw) if raw.is_object() => raw.to_obj().len(),
            Val::Raw(raw) => raw.children().count(),
            _ => 0,
        }
    }

    /// Whether there are no items or members.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value as an event of its own; what is below it is shared.
    pub fn to_json(self) -> Json {
        Json::of(self.0.clone())
    }

    /// An object with some members replaced, by the numbers that [`View::for_members`] has them in, and
    /// with others set, the new ones at the end. All else is shared with it.
    pub fn with_members(
        self,
        replaced: impl IntoIterator<Item = (usize, Json)>,
        set: impl IntoIterator<Item = (&'static str, Json)>,
    ) -> Json {
        let mut object = match self.0 {
            Val::Obj(object) => (**object).clone(),
            Val::Raw(raw) if raw.is_object() => raw.to_obj(),
            _ => Obj::default(),
        };
        for (at, member) in replaced {
            object.replace(at, member.into_value());
        }
        for (name, member) in set {
            object.insert(Str::new(name), member.into_value());
        }
        Json::of(Val::obj(object))
    }

    /// An array with some items replaced, by their numbers. All else is shared with it.
    pub fn with_items(self, replaced: impl IntoIterator<Item = (usize, Json)>) -> Json {
        let mut items = self.0.clone().into_items().unwrap_or_default();
        for (at, item) in replaced {
            if let Some(slot) = items.get_mut(at) {
                *slot = item.into_value();
            }
        }
        Json::of(Val::arr(items))
    }

    /// The beginning of its JSON text, of about `bytes`; for messages.
    pub fn excerpt(self, bytes: usize) -> String {
        let mut text = write::excerpt(self.0, bytes);
        if text.len() > bytes {
            let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

/// Appends `.key` to the text of a path, quoted where jq wants it so.
pub fn append_to_path(path: &mut String, key: &str) {
    append_key(path, key);
}
