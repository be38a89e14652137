//! What operators, indices and slices do to values. Messages are jq's.

use std::rc::Rc;

use super::deep::guard;
use super::number::is_nan;
use super::{Exn, Obj, Raised, Str, Type, Val, raise};
use crate::jq::budget::{charge, work};

/// Highest index that can be assigned to.
const MAX_INDEX: i64 = 536_870_911;

/// Items that are looked at or moved at the cost of a step.
const ITEMS_A_STEP: usize = 16;

/// Bytes that are looked at or moved at the cost of a step.
const BYTES_A_STEP: usize = 128;

/// Says that so many values are about to be copied, if they are.
fn copying(is_copied: bool, values: usize) {
    if is_copied {
        charge(values * size_of::<Val>());
        work(values / ITEMS_A_STEP);
    }
}

/// Bounds of a slice: null or numbers.
#[derive(Clone)]
pub(in crate::jq) struct Slice {
    pub(in crate::jq) start: Val,
    pub(in crate::jq) end: Val,
}

impl Slice {
    /// As the key `{"start": …, "end": …}` of a path.
    pub(in crate::jq) fn to_key(&self) -> Val {
        Val::record([("start", self.start.clone()), ("end", self.end.clone())])
    }

    fn of_key(key: &Val) -> Option<Slice> {
        let members = key.as_members()?;
        let bound = |name: &str| members.get(name.as_bytes()).cloned().unwrap_or(Val::Null);
        Some(Slice { start: bound("start"), end: bound("end") })
    }

    /// The range within something `len` long: start rounded down, end up.
    fn range(&self, len: usize) -> Result<std::ops::Range<usize>, Exn> {
        if let (Val::Int(_) | Val::Null, Val::Int(_) | Val::Null) = (&self.start, &self.end) {
            let length = len as i64;
            let bound = |value: &Val, missing: i64| match value {
                Val::Int(at) if *at < 0 => at.saturating_add(length).max(0),
                Val::Int(at) => (*at).min(length),
                _ => missing,
            };
            let (start, end) = (bound(&self.start, 0), bound(&self.end, length));
            return Ok(start as usize..end.max(start) as usize);
        }
        let bound = |value: &Val, missing: f64| match value {
            Val::Null => Ok(missing),
            other => match other.as_f64() {
                Some(n) if n.is_nan() => Ok(missing),
                Some(n) => Ok(if n < 0.0 { n + len as f64 } else { n }),
                None => raise("Array/string slice indices must be integers"),
            },
        };
        let start = bound(&self.start, 0.0)?.clamp(0.0, len as f64).floor() as usize;
        let end = bound(&self.end, len as f64)?.clamp(0.0, len as f64).ceil() as usize;
        Ok(start..end.max(start))
    }
}

/// Byte range of the characters `range` of a text.
fn char_range(text: &str, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let mut places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let start = places.nth(range.start).unwrap_or(text.len());
    let end = match range.end - range.start {
        0 => start,
        more => places.nth(more - 1).unwrap_or(text.len()),
    };
    start..end
}

impl Val {
    pub(in crate::jq) fn add(self, other: &Val) -> Result<Val, Exn> {
        match (&self, other) {
            (Val::Int(a), Val::Int(b)) if a.checked_add(*b).is_some() => return Ok(Val::Int(a + b)),
            (Val::Null, _) => return Ok(other.clone()),
            (_, Val::Null) => return Ok(self),
            (Val::Str(a), Val::Str(b)) => {
                if b.is_empty() {
                    return Ok(self);
                }
                charge(a.len() + b.len());
                let mut text = String::with_capacity(a.len() + b.len());
                text.push_str(a.as_str());
                text.push_str(b.as_str());
                return Ok(Val::string(text));
            }
            _ => {}
        }
        if let Some(sum) = self.add_numbers(other) {
            return Ok(sum);
        }
        match (self.kind(), other.kind()) {
            (Type::Array, Type::Array) => {
                let Some(more) = other.as_items() else { return Ok(self) };
                if more.is_empty() {
                    return Ok(self);
                }
                let Val::Arr(mut items) = self.own() else { return Ok(Val::Null) };
                copying(Rc::strong_count(&items) > 1, items.len());
                charge((items.len() + more.len()) * size_of::<Val>());
                work(more.len() / ITEMS_A_STEP);
                Rc::make_mut(&mut items).extend(more.iter().cloned());
                Ok(Val::Arr(items))
            }
            (Type::Object, Type::Object) => {
                let Some(more) = other.as_members() else { return Ok(self) };
                let Val::Obj(mut object) = self.own() else { return Ok(Val::Null) };
                copying(Rc::strong_count(&object) > 1, object.len() * 2);
                charge(more.len() * 2 * size_of::<Val>());
                work(more.len() / ITEMS_A_STEP);
                let members = Rc::make_mut(&mut object);
                for (key, value) in more.iter() {
                    members.insert(key.clone(), value.clone());
                }
                Ok(Val::Obj(object))
            }
            _ => Err(Raised::typed2(&self, other, "cannot be added")),
        }
    }

    /// [`add`](Self::add) of a value of one's own. If the sum is an object, it will have about `room`
    /// members in the end.
    pub(in crate::jq) fn add_own(self, other: Val, room: usize) -> Result<Val, Exn> {
        let (mut mine, more) = match (self, other) {
            (Val::Obj(mine), Val::Obj(more)) => (mine, more),
            (mine, other) => return mine.add(&other),
        };
        if more.len() == 0 {
            return Ok(Val::Obj(mine));
        }
        if mine.len() == 0 {
            return Ok(Val::Obj(more));
        }
        copying(Rc::strong_count(&mine) > 1, mine.len() * 2);
        charge(more.len() * 2 * size_of::<Val>());
        work(more.len() / ITEMS_A_STEP);
        match Rc::get_mut(&mut mine) {
            Some(members) => members.reserve(more.len()),
            None => mine = Rc::new(mine.with_room(mine.len() + room)),
        }
        let members = Rc::make_mut(&mut mine);
        match Rc::try_unwrap(more) {
            Ok(mut more) => more.take().into_iter().for_each(|(key, value)| members.insert(key, value)),
            Err(more) => more.iter().for_each(|(key, value)| members.insert(key.clone(), value.clone())),
        }
        Ok(Val::Obj(mine))
    }

    pub(in crate::jq) fn subtract(self, other: &Val) -> Result<Val, Exn> {
        if let Some(difference) = self.subtract_numbers(other) {
            return Ok(difference);
        }
        match (self.as_items(), other.as_items()) {
            (Some(items), Some(without)) => {
                work(items.len().saturating_mul(without.len()));
                let kept = items.iter().filter(|item| !without.iter().any(|other| super::equal(item, other)));
                Ok(Val::arr(kept.cloned().collect()))
            }
            _ => Err(Raised::typed2(&self, other, "cannot be subtracted")),
        }
    }

    pub(in crate::jq) fn multiply(self, other: &Val) -> Result<Val, Exn> {
        if let Some(product) = self.multiply_numbers(other) {
            return Ok(product);
        }
        match (self.kind(), other.kind()) {
            (Type::String, Type::Number) => repeat(&self, other),
            (Type::Number, Type::String) => repeat(other, &self),
            (Type::Object, Type::Object) => Ok(merge(self, other)),
            _ => Err(Raised::typed2(&self, other, "cannot be multiplied")),
        }
    }

    pub(in crate::jq) fn divide(self, other: &Val) -> Result<Val, Exn> {
        if let Some(quotient) = self.divide_numbers(other) {
            return quotient;
        }
        match (&self, other) {
            (Val::Str(text), Val::Str(separator)) => Ok(split(text, separator)),
            _ => Err(Raised::typed2(&self, other, "cannot be divided")),
        }
    }

    pub(in crate::jq) fn remainder(self, other: &Val) -> Result<Val, Exn> {
        match self.remainder_numbers(other) {
            Some(remainder) => remainder,
            None => Err(Raised::typed2(&self, other, "cannot be divided (remainder)")),
        }
    }

    /// The value with its own level as values; what is text becomes one that can be changed.
    pub(in crate::jq) fn own(self) -> Val {
        if let Val::Raw(raw) = &self {
            // a member of a text takes a dozen bytes there at least, and its share of memory here
            charge(raw.size() * 4);
            work(raw.size() / BYTES_A_STEP);
        }
        match self {
            Val::Raw(raw) if raw.is_object() => Val::obj(raw.to_obj()),
            Val::Raw(raw) => Val::arr(raw.to_vec()),
            other => other,
        }
    }

    /// `.[key]` for a string.
    #[inline]
    pub(in crate::jq) fn member(&self, key: &Str) -> Result<Val, Exn> {
        match self {
            Val::Raw(raw) if raw.is_object() => Ok(raw.get(key.as_bytes()).unwrap_or(Val::Null)),
            Val::Obj(object) => Ok(object.value_of(key).cloned().unwrap_or(Val::Null)),
            Val::Null => Ok(Val::Null),
            other => Err(no_member(other, key)),
        }
    }

    /// `.[key]`.
    pub(in crate::jq) fn index(&self, key: &Val) -> Result<Val, Exn> {
        match (self, key) {
            (_, Val::Str(key)) => self.member(key),
            (Val::Null, Val::Null) => Ok(Val::Null),
            _ => match (self.kind(), key.kind()) {
                (Type::Array, Type::Number) => Ok(self.item(key)),
                (Type::Null, Type::Number) => Ok(Val::Null),
                (_, Type::Object) if matches!(self.kind(), Type::Null | Type::Array | Type::String) => {
                    match Slice::of_key(key) {
                        Some(slice) => self.slice(&slice),
                        None => Ok(Val::Null),
                    }
                }
                (Type::Array, Type::Array) => Ok(self.indices_of(key)),
                (mine, theirs) => {
                    let message = format!("Cannot index {} with {}", mine.name(), theirs.name());
                    Err(Raised::about(self, message))
                }
            },
        }
    }

    /// An item by number, from the end if negative; null if there is none.
    fn item(&self, key: &Val) -> Val {
        let Some(number) = key.as_f64().filter(|n| !n.is_nan()) else { return Val::Null };
        let at = number.floor() as i64;
        match self {
            Val::Arr(items) => {
                let at = if at < 0 { at + items.len() as i64 } else { at };
                usize::try_from(at).ok().and_then(|at| items.get(at)).cloned().unwrap_or(Val::Null)
            }
            Val::Raw(raw) => {
                let at = if at < 0 { at + raw.written() as i64 } else { at };
                work(usize::try_from(at).unwrap_or(0) / ITEMS_A_STEP);
                usize::try_from(at).ok().and_then(|at| raw.children().nth(at)).unwrap_or(Val::Null)
            }
            _ => Val::Null,
        }
    }

    /// Where an array occurs inside another.
    pub(in crate::jq) fn indices_of(&self, part: &Val) -> Val {
        let (Some(items), Some(part)) = (self.as_items(), part.as_items()) else { return Val::Null };
        if part.is_empty() {
            return Val::Null;
        }
        work(items.len().saturating_mul(part.len()));
        let places = items.windows(part.len()).enumerate();
        let found =
            places.filter(|(_, window)| window.iter().zip(part.iter()).all(|(a, b)| super::equal(a, b)));
        Val::arr(found.map(|(at, _)| Val::of_usize(at)).collect())
    }

    pub(in crate::jq) fn slice(&self, slice: &Slice) -> Result<Val, Exn> {
        match self.kind() {
            Type::Null => Ok(Val::Null),
            Type::String => {
                let Val::Str(text) = self else { return Ok(Val::Null) };
                let text = text.as_str();
                if text.is_ascii() {
                    return Ok(Val::str(&text[slice.range(text.len())?]));
                }
                let length = text.chars().count();
                Ok(Val::str(&text[char_range(text, slice.range(length)?)]))
            }
            Type::Array => {
                let Some(items) = self.as_items() else { return Ok(Val::Null) };
                let range = slice.range(items.len())?;
                copying(true, range.len());
                Ok(Val::arr(items[range].to_vec()))
            }
            Type::Object => Err(Raised::about(self, "Cannot index object with object")),
            other => Err(Raised::about(self, format!("Cannot index {} with object", other.name()))),
        }
    }

    /// Replaces what stands at `key`.
    pub(in crate::jq) fn with_index(self, key: &Val, value: Val) -> Result<Val, Exn> {
        match (self.kind(), key.kind()) {
            (Type::Object | Type::Null, Type::String) => {
                let Val::Str(key) = key else { return Ok(self) };
                let mut object = match self.own() {
                    Val::Obj(object) => object,
                    _ => Rc::new(Obj::new()),
                };
                Rc::make_mut(&mut object).insert(key.clone(), value);
                Ok(Val::Obj(object))
            }
            (Type::Array | Type::Null, Type::Number) => {
                if is_nan(key) {
                    return raise("Cannot set array element at NaN index");
                }
                let at = key.as_f64().unwrap_or(0.0).floor() as i64;
                let mut items = match self.own() {
                    Val::Arr(items) => items,
                    _ => Rc::default(),
                };
                let at = if at < 0 { at + items.len() as i64 } else { at };
                if at > MAX_INDEX {
                    return raise("Array index too large");
                }
                let Ok(at) = usize::try_from(at) else {
                    return raise("Out of bounds negative array index");
                };
                if at >= items.len() {
                    charge((at + 1) * size_of::<Val>());
                }
                copying(Rc::strong_count(&items) > 1, items.len());
                let owned = Rc::make_mut(&mut items);
                if at >= owned.len() {
                    owned.resize(at + 1, Val::Null);
                }
                owned[at] = value;
                Ok(Val::Arr(items))
            }
            (Type::Array | Type::Null, Type::Object) => {
                let Ok(inserted) = value.into_items() else {
                    return raise("A slice of an array can only be assigned another array");
                };
                let mut items = self.into_items().unwrap_or_default();
                if let Some(slice) = Slice::of_key(key) {
                    let range = slice.range(items.len())?;
                    items.splice(range, inserted);
                }
                Ok(Val::arr(items))
            }
            (Type::String, Type::Object) => raise("Cannot update string slices"),
            (mine, theirs) => {
                let message = format!("Cannot update field at {} index of {}", theirs.name(), mine.name());
                Err(Raised::about(&self, message))
            }
        }
    }

    /// Takes out what stands at `keys`, all positions meant as they are now.
    pub(in crate::jq) fn without(self, keys: &[Val]) -> Result<Val, Exn> {
        match self.kind() {
            Type::Null => Ok(self),
            Type::Object => {
                for key in keys {
                    if !matches!(key, Val::Str(_)) {
                        return raise(format!("Cannot delete {} field of object", key.type_name()));
                    }
                }
                let held = |name: &Val| match (&self, name) {
                    (Val::Raw(raw), Val::Str(name)) => raw.get(name.as_bytes()).is_some(),
                    (Val::Obj(object), Val::Str(name)) => object.get(name.as_bytes()).is_some(),
                    _ => false,
                };
                // what has nothing to lose stays as it was written
                if !keys.iter().any(held) {
                    return Ok(self);
                }
                let Val::Obj(mut object) = self.own() else { return Ok(Val::Null) };
                let members = Rc::make_mut(&mut object);
                match keys {
                    [Val::Str(key)] => drop(members.remove(key.as_bytes())),
                    keys => {
                        let gone: std::collections::HashSet<&[u8]> = keys
                            .iter()
                            .filter_map(|key| match key {
                                Val::Str(key) => Some(key.as_bytes()),
                                _ => None,
                            })
                            .collect();
                        members.retain(|key, _| !gone.contains(key.as_bytes()));
                    }
                }
                Ok(Val::Obj(object))
            }
            Type::Array => {
                let items = self.into_items().unwrap_or_default();
                let mut gone = vec![false; items.len()];
                for key in keys {
                    match key.kind() {
                        Type::Number => {
                            if is_nan(key) {
                                continue;
                            }
                            let at = key.as_f64().map_or(0, |n| n.floor() as i64);
                            let at = if at < 0 { at + items.len() as i64 } else { at };
                            if let Some(slot) = usize::try_from(at).ok().and_then(|at| gone.get_mut(at)) {
                                *slot = true;
                            }
                        }
                        Type::Object => {
                            if let Some(slice) = Slice::of_key(key) {
                                gone[slice.range(items.len())?].fill(true);
                            }
                        }
                        other => return raise(format!("Cannot delete {} element of array", other.name())),
                    }
                }
                let kept = items.into_iter().zip(gone).filter(|(_, gone)| !gone).map(|(item, _)| item);
                Ok(Val::arr(kept.collect()))
            }
            other => Err(Raised::about(&self, format!("Cannot delete fields from {}", other.name()))),
        }
    }

    /// Steps that a function may take to look at all of the value's own level.
    #[inline]
    pub(in crate::jq) fn weight(&self) -> usize {
        match self {
            Val::Str(text) => text.len() / BYTES_A_STEP,
            Val::Arr(items) => items.len() / ITEMS_A_STEP,
            Val::Obj(object) => object.len() / ITEMS_A_STEP,
            Val::Raw(raw) => raw.size() / BYTES_A_STEP,
            _ => 0,
        }
    }

    /// `has(key)`.
    pub(in crate::jq) fn has(&self, key: &Val) -> Result<bool, Exn> {
        match (self, key, self.kind(), key.kind()) {
            (Val::Obj(object), Val::Str(key), ..) => Ok(object.get(key.as_bytes()).is_some()),
            (Val::Raw(raw), Val::Str(key), Type::Object, _) => Ok(raw.get(key.as_bytes()).is_some()),
            (_, _, Type::Array, Type::Number) => {
                let length = match self {
                    Val::Raw(raw) => raw.written(),
                    Val::Arr(items) => items.len(),
                    _ => 0,
                };
                Ok(key.as_f64().is_some_and(|n| n >= 0.0 && n < length as f64))
            }
            (_, _, mine, theirs) => {
                let message = format!("Cannot check whether {} has a {} key", mine.name(), theirs.name());
                Err(Raised::about(self, message))
            }
        }
    }

    /// `length`.
    pub(in crate::jq) fn length(&self) -> Result<Val, Exn> {
        Ok(match self {
            Val::Null => Val::Int(0),
            Val::Bool(_) => return Err(Raised::typed(self, "has no length")),
            Val::Str(text) => {
                let text = text.as_str();
                Val::of_usize(if text.is_ascii() { text.len() } else { text.chars().count() })
            }
            Val::Arr(items) => Val::of_usize(items.len()),
            Val::Obj(object) => Val::of_usize(object.len()),
            Val::Raw(raw) if raw.is_object() && raw.has_duplicates() => Val::of_usize(raw.to_obj().len()),
            Val::Raw(raw) => Val::of_usize(raw.written()),
            number => return number.absolute(),
        })
    }

    /// A number without its sign; its digits are kept.
    pub(in crate::jq) fn absolute(&self) -> Result<Val, Exn> {
        match self {
            Val::Float(n) => Ok(Val::Float(n.abs())),
            Val::Int(n) if *n >= 0 => Ok(self.clone()),
            Val::Dec(number) if !number.text().starts_with('-') => Ok(self.clone()),
            other if other.kind() == Type::Number => {
                if super::less(other, &Val::Int(0)) {
                    other.negate()
                } else {
                    Ok(other.clone())
                }
            }
            other => Err(Raised::typed(other, "has no absolute value")),
        }
    }

    /// Calls `each` with the items of an array or the values of an object.
    pub(in crate::jq) fn for_each_child(
        &self,
        mut each: impl FnMut(Val) -> Result<(), Exn>,
    ) -> Result<(), Exn> {
        match self {
            Val::Arr(items) => items.iter().try_for_each(|item| each(item.clone())),
            Val::Obj(object) => object.iter().try_for_each(|(_, value)| each(value.clone())),
            Val::Raw(raw) if raw.is_object() && raw.has_duplicates() => {
                raw.to_obj().iter().try_for_each(|(_, value)| each(value.clone()))
            }
            Val::Raw(raw) => raw.children().try_for_each(each),
            other => Err(no_iteration(other)),
        }
    }
}

#[cold]
fn no_member(value: &Val, key: &Str) -> Exn {
    let message = format!("Cannot index {} with string \"{}\"", value.type_name(), key.as_str());
    Raised::about(value, message)
}

#[cold]
pub(in crate::jq) fn no_iteration(value: &Val) -> Exn {
    let message = format!("Cannot iterate over {} ({})", value.type_name(), super::clip(value, 11));
    Raised::about(value, message)
}

/// A string, a number of times. Less than once is nothing, below zero is null.
fn repeat(text: &Val, times: &Val) -> Result<Val, Exn> {
    let (Val::Str(text), Some(times)) = (text, times.as_f64()) else { return Ok(Val::Null) };
    if times.is_nan() || times < 0.0 {
        return Ok(Val::Null);
    }
    let times = times as usize;
    let Some(bytes) = text.len().checked_mul(times).filter(|bytes| i32::try_from(*bytes).is_ok()) else {
        return raise("Repeat string result too long");
    };
    charge(bytes);
    Ok(Val::string(text.as_str().repeat(times)))
}

/// Merges objects at every level where both have one.
pub(in crate::jq) fn merge(value: Val, other: &Val) -> Val {
    guard();
    if let Val::Obj(object) = &value {
        copying(Rc::strong_count(object) > 1, object.len() * 2);
    }
    let (Some(more), true) = (other.as_members(), value.is_object()) else { return other.clone() };
    let Val::Obj(mut object) = value.own() else { return other.clone() };
    let members = Rc::make_mut(&mut object);
    for (key, value) in more.iter() {
        match members.get_mut(key.as_bytes()) {
            Some(slot) if slot.is_object() && value.is_object() => {
                let mine = std::mem::replace(slot, Val::Null);
                *slot = merge(mine, value);
            }
            Some(slot) => *slot = value.clone(),
            None => members.insert(key.clone(), value.clone()),
        }
    }
    Val::Obj(object)
}

/// A text at each occurrence of a separator; at each character if that is empty.
pub(in crate::jq) fn split(text: &Str, separator: &Str) -> Val {
    let text = text.as_str();
    charge(text.len());
    if text.is_empty() {
        return Val::arr(Vec::new());
    }
    if separator.is_empty() {
        return Val::arr(text.chars().map(|c| Val::str(c.encode_utf8(&mut [0; 4]))).collect());
    }
    Val::arr(text.split(separator.as_str()).map(Val::str).collect())
}
