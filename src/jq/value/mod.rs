//! JSON values as programs see them.
//!
//! A value is three words. Scalars and short strings lie in it; longer strings, and arrays and
//! objects that a program has made, are shared by reference count; arrays and objects of the event
//! are places in its text ([`Raw`]) until something looks inside, and then only that level becomes
//! a value. So is a number: [`Val::Dec`] is the text of one that a machine integer cannot hold
//! exactly, and stays so until it is computed with.
//!
//! Counts are not atomic. Values never leave their thread.

mod deep;
mod doc;
mod failure;
mod number;
mod object;
mod ops;
mod order;
mod text;

use std::rc::Rc;

use num_bigint::BigInt;

pub(in crate::jq) use deep::{drain as drain_deferred, guard, set_floor};
pub(in crate::jq) use doc::{Doc, Raw, append_key};
pub(in crate::jq) use failure::{Cause, Exn, Raised, clip, raise};
pub(in crate::jq) use number::{append_float, append_number_identity, is_nan, parse_literal};
pub(in crate::jq) use object::Obj;
pub(in crate::jq) use ops::{Slice, merge, no_iteration, split};
pub(in crate::jq) use order::{equal, less, less_or_equal, order};
pub(in crate::jq) use text::{Str, fingerprint};

/// A JSON value, and the numbers jq computes with that JSON does not have.
#[derive(Clone)]
pub(in crate::jq) enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Beyond 64 bits.
    Big(Rc<BigInt>),
    /// A number as it was written, not computed with yet.
    Dec(Decimal),
    Str(Str),
    Arr(Rc<Items>),
    Obj(Rc<Obj>),
    /// An array or object that is still text.
    Raw(Raw),
}

const _: () = assert!(size_of::<Val>() == 24);

/// Text of a number.
#[derive(Clone)]
pub(in crate::jq) struct Decimal {
    doc: Rc<Doc>,
    at: u32,
    len: u32,
}

/// Items of an array.
#[derive(Clone, Default)]
pub(in crate::jq) struct Items(Vec<Val>);

impl std::ops::Deref for Items {
    type Target = Vec<Val>;

    fn deref(&self) -> &Vec<Val> {
        &self.0
    }
}

impl std::ops::DerefMut for Items {
    fn deref_mut(&mut self) -> &mut Vec<Val> {
        &mut self.0
    }
}

/// Types in the order in which jq sorts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::jq) enum Type {
    Null,
    False,
    True,
    Number,
    String,
    Array,
    Object,
}

impl Type {
    pub(in crate::jq) const ALL: [Type; 7] =
        [Type::Null, Type::False, Type::True, Type::Number, Type::String, Type::Array, Type::Object];

    pub(in crate::jq) fn name(self) -> &'static str {
        match self {
            Type::Null => "null",
            Type::False | Type::True => "boolean",
            Type::Number => "number",
            Type::String => "string",
            Type::Array => "array",
            Type::Object => "object",
        }
    }
}

impl Val {
    pub(in crate::jq) fn str(text: &str) -> Self {
        Val::Str(Str::new(text))
    }

    pub(in crate::jq) fn string(text: String) -> Self {
        Val::Str(Str::from(text))
    }

    pub(in crate::jq) fn arr(items: Vec<Val>) -> Self {
        Val::Arr(Rc::new(Items(items)))
    }

    pub(in crate::jq) fn obj(object: Obj) -> Self {
        Val::Obj(Rc::new(object))
    }

    /// An object of members whose keys are known to differ.
    pub(in crate::jq) fn record<const N: usize>(members: [(&str, Val); N]) -> Self {
        Val::obj(Obj::from_distinct(members.into_iter().map(|(key, value)| (Str::new(key), value)).collect()))
    }

    /// A float; one without a fraction that an integer holds exactly becomes it.
    pub(in crate::jq) fn float(value: f64) -> Self {
        if value.fract() == 0.0
            && value.abs() < 9_007_199_254_740_992.0
            && (value != 0.0 || value.is_sign_positive())
        {
            Val::Int(value as i64)
        } else {
            Val::Float(value)
        }
    }

    pub(in crate::jq) fn of_usize(value: usize) -> Self {
        i64::try_from(value).map_or(Val::Float(value as f64), Val::Int)
    }

    #[inline]
    pub(in crate::jq) fn is_truthy(&self) -> bool {
        !matches!(self, Val::Null | Val::Bool(false))
    }

    pub(in crate::jq) fn kind(&self) -> Type {
        match self {
            Val::Null => Type::Null,
            Val::Bool(false) => Type::False,
            Val::Bool(true) => Type::True,
            Val::Int(_) | Val::Float(_) | Val::Big(_) | Val::Dec(_) => Type::Number,
            Val::Str(_) => Type::String,
            Val::Arr(_) => Type::Array,
            Val::Obj(_) => Type::Object,
            Val::Raw(raw) if raw.is_object() => Type::Object,
            Val::Raw(_) => Type::Array,
        }
    }

    pub(in crate::jq) fn type_name(&self) -> &'static str {
        self.kind().name()
    }

    pub(in crate::jq) fn as_str(&self) -> Option<&str> {
        match self {
            Val::Str(text) => Some(text.as_str()),
            _ => None,
        }
    }

    pub(in crate::jq) fn is_array(&self) -> bool {
        match self {
            Val::Arr(_) => true,
            Val::Raw(raw) => !raw.is_object(),
            _ => false,
        }
    }

    pub(in crate::jq) fn is_object(&self) -> bool {
        match self {
            Val::Obj(_) => true,
            Val::Raw(raw) => raw.is_object(),
            _ => false,
        }
    }

    /// Whether it is an array or object with nothing in it.
    pub(in crate::jq) fn is_hollow(&self) -> bool {
        match self {
            Val::Arr(items) => items.is_empty(),
            Val::Obj(members) => members.len() == 0,
            Val::Raw(raw) => raw.is_empty(),
            _ => false,
        }
    }

    /// The items of an array, shared with it if it has them as values.
    pub(in crate::jq) fn as_items(&self) -> Option<Rc<Items>> {
        match self {
            Val::Arr(items) => Some(items.clone()),
            Val::Raw(raw) if !raw.is_object() => Some(Rc::new(Items(raw.to_vec()))),
            _ => None,
        }
    }

    /// The items of an array as a vector of one's own; no copy if nothing else holds it.
    pub(in crate::jq) fn into_items(self) -> Result<Vec<Val>, Val> {
        match self {
            Val::Arr(items) => Ok(match Rc::try_unwrap(items) {
                Ok(mut items) => std::mem::take(&mut items.0),
                Err(shared) => shared.0.clone(),
            }),
            Val::Raw(raw) if !raw.is_object() => Ok(raw.to_vec()),
            other => Err(other),
        }
    }

    /// The members of an object, shared with it if it has them as values.
    pub(in crate::jq) fn as_members(&self) -> Option<Rc<Obj>> {
        match self {
            Val::Obj(object) => Some(object.clone()),
            Val::Raw(raw) if raw.is_object() => Some(Rc::new(raw.to_obj())),
            _ => None,
        }
    }

    /// Whether both are one and the same thing, as far as that can be told at once.
    pub(in crate::jq) fn is_same(&self, other: &Val) -> bool {
        match (self, other) {
            (Val::Null, Val::Null) => true,
            (Val::Bool(a), Val::Bool(b)) => a == b,
            (Val::Int(a), Val::Int(b)) => a == b,
            (Val::Float(a), Val::Float(b)) => a.to_bits() == b.to_bits(),
            (Val::Dec(a), Val::Dec(b)) => Rc::ptr_eq(&a.doc, &b.doc) && a.at == b.at,
            (Val::Str(a), Val::Str(b)) => a == b,
            (Val::Arr(a), Val::Arr(b)) => Rc::ptr_eq(a, b),
            (Val::Obj(a), Val::Obj(b)) => Rc::ptr_eq(a, b),
            (Val::Raw(a), Val::Raw(b)) => a.is_same(b),
            _ => false,
        }
    }

    /// Where the value stands in an event's text, if it still is part of one.
    pub(in crate::jq) fn place(&self) -> Option<(&Rc<Doc>, usize)> {
        match self {
            Val::Str(text) => text.place(),
            Val::Dec(number) => Some((&number.doc, number.at as usize)),
            Val::Raw(raw) => Some(raw.place()),
            _ => None,
        }
    }
}

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Val::Bool(value)
    }
}

impl From<&serde_json::Value> for Val {
    /// A value from the configuration.
    fn from(json: &serde_json::Value) -> Self {
        use serde_json::Value;
        match json {
            Value::Null => Val::Null,
            Value::Bool(value) => Val::Bool(*value),
            Value::Number(number) => parse_literal(&number.to_string()).unwrap_or(Val::Null),
            Value::String(text) => Val::str(text),
            Value::Array(items) => Val::arr(items.iter().map(Val::from).collect()),
            Value::Object(members) => {
                let members = members.iter().map(|(key, value)| (Str::new(key), Val::from(value)));
                Val::obj(Obj::from_distinct(members.collect()))
            }
        }
    }
}
