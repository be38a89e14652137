//! Arrays and objects.

use std::cmp::Ordering;

use super::super::delete::delete;
use super::super::native::{Native, native};
use super::super::special::get_path;
use crate::jq::budget;
use crate::jq::value::{self, Exn, Obj, Raised, Str, Type, Val, equal, guard, order, raise};

pub(super) const NATIVES: &[Native] = &[
    native("length", 0, |value, _| value.length()),
    native("not", 0, |value, _| Ok(Val::Bool(!value.is_truthy()))),
    native("type", 0, |value, _| Ok(Val::str(value.type_name()))),
    native("keys", 0, |value, _| keys(&value, true)),
    native("keys_unsorted", 0, |value, _| keys(&value, false)),
    native("has", 1, |value, args| value.has(&args[0]).map(Val::Bool)),
    native("contains", 1, |value, args| {
        if value.kind() == args[0].kind() {
            Ok(Val::Bool(contains(&value, &args[0])))
        } else {
            Err(Raised::typed2(&value, &args[0], "cannot have their containment checked"))
        }
    }),
    native("add", 0, |value, _| {
        let mut sum = Val::Null;
        value.for_each_child(|item| {
            sum = std::mem::replace(&mut sum, Val::Null).add(&item)?;
            Ok(())
        })?;
        Ok(sum)
    }),
    native("reverse", 0, |value, _| match &value {
        Val::Null => Ok(Val::arr(Vec::new())),
        Val::Str(text) => Ok(Val::string(text.as_str().chars().rev().collect())),
        _ => match value.into_items() {
            Ok(mut items) => {
                items.reverse();
                Ok(Val::arr(items))
            }
            Err(other) => Err(Raised::typed(&other, "cannot be reversed, as it is not an array")),
        },
    }),
    native("sort", 0, |value, _| {
        let mut items = sortable(value)?;
        sort(&mut items, order);
        Ok(Val::arr(items))
    }),
    native("unique", 0, |value, _| {
        let mut items = sortable(value)?;
        sort(&mut items, order);
        items.dedup_by(|a, b| order(a, b).is_eq());
        Ok(Val::arr(items))
    }),
    native("min", 0, |value, _| best(value, None, Ordering::is_lt)),
    native("max", 0, |value, _| best(value, None, Ordering::is_ge)),
    native("_min_by", 1, |value, args| best(value, Some(&args[0]), Ordering::is_lt)),
    native("_max_by", 1, |value, args| best(value, Some(&args[0]), Ordering::is_ge)),
    native("_sort_by", 1, |value, args| {
        Ok(Val::arr(keyed(value, &args[0])?.into_iter().map(|(_, item)| item).collect()))
    }),
    native("_group_by", 1, |value, args| {
        let mut groups: Vec<(Val, Vec<Val>)> = Vec::new();
        for (key, item) in keyed(value, &args[0])? {
            match groups.last_mut() {
                Some((last, items)) if order(last, &key).is_eq() => items.push(item),
                _ => groups.push((key, vec![item])),
            }
        }
        Ok(Val::arr(groups.into_iter().map(|(_, items)| Val::arr(items)).collect()))
    }),
    native("_unique_by", 1, |value, args| {
        let mut items = keyed(value, &args[0])?;
        items.dedup_by(|a, b| order(&a.0, &b.0).is_eq());
        Ok(Val::arr(items.into_iter().map(|(_, item)| item).collect()))
    }),
    native("flatten", 0, |value, _| flatten(&value, f64::INFINITY)),
    native("flatten", 1, |value, args| match args[0].as_f64() {
        Some(depth) if depth < 0.0 => raise("flatten depth must not be negative"),
        Some(depth) => flatten(&value, depth),
        None => Err(Raised::typed(&args[0], "cannot be a depth of flatten")),
    }),
    native("to_entries", 0, |value, _| {
        let entry = |key: Val, value: Val| Val::record([("key", key), ("value", value)]);
        if let Some(members) = value.as_members() {
            let entries = members.iter().map(|(key, value)| entry(Val::Str(key.clone()), value.clone()));
            return Ok(Val::arr(entries.collect()));
        }
        match value.as_items() {
            Some(items) => {
                let entries =
                    items.iter().enumerate().map(|(at, item)| entry(Val::of_usize(at), item.clone()));
                Ok(Val::arr(entries.collect()))
            }
            None => Err(no_keys(&value)),
        }
    }),
    native("from_entries", 0, |value, _| from_entries(&value)),
    native("transpose", 0, |value, _| transpose(&value)),
    native("indices", 1, |value, args| indices(&value, &args[0])),
    native("index", 1, |value, args| index(&value, &args[0], false)),
    native("rindex", 1, |value, args| index(&value, &args[0], true)),
    native("bsearch", 1, |value, args| match value.as_items() {
        Some(items) => Ok(match items.binary_search_by(|item| order(item, &args[0])) {
            Ok(at) => Val::of_usize(at),
            Err(at) => Val::Int(-1 - i64::try_from(at).unwrap_or(i64::MAX - 1)),
        }),
        None => Err(Raised::typed(&value, "cannot be searched from")),
    }),
    native("_getpath", 1, |value, args| get_path(&value, &args[0])),
    native("setpath", 2, |value, args| {
        let Some(keys) = args[0].as_items() else { return raise("Path must be specified as an array") };
        set_path(value, &keys, args[1].clone())
    }),
    native("delpaths", 1, |value, args| {
        let Some(paths) = args[0].as_items() else { return raise("Paths must be specified as an array") };
        let mut keys = Vec::with_capacity(paths.len());
        for path in paths.iter() {
            match path.as_items() {
                Some(path) => keys.push(path.to_vec()),
                None => {
                    return raise(format!("Path must be specified as array, not {}", path.type_name()));
                }
            }
        }
        delete(value, keys)
    }),
    native("toarray", 0, |value, _| Ok(if value.is_array() { value } else { Val::arr(vec![value]) })),
    native("drop_nulls", 0, |value, _| Ok(drop_nulls(&value).unwrap_or(Val::Null))),
    native("merge_deep", 1, |value, args| {
        if value.is_object() && args[0].is_object() {
            Ok(value::merge(value, &args[0]))
        } else {
            Err(Raised::typed2(&value, &args[0], "cannot be merged: both must be objects"))
        }
    }),
    native("flatten_keys", 0, |value, _| flat(&value, &Str::new("."))),
    native("flatten_keys", 1, |value, args| flat(&value, string(&args[0], "the separator of flatten_keys")?)),
    native("unflatten", 0, |value, _| unflatten(&value, &Str::new("."))),
    native("unflatten", 1, |value, args| unflatten(&value, string(&args[0], "the separator of unflatten")?)),
];

/// A string argument, or an error that says which.
pub(super) fn string<'v>(value: &'v Val, what: &str) -> Result<&'v Str, Exn> {
    match value {
        Val::Str(text) => Ok(text),
        other => Err(Raised::typed(other, format!("cannot be {what}: it is not a string"))),
    }
}

/// The error of what has no keys.
pub(in crate::jq::engine) fn no_keys(value: &Val) -> Exn {
    Raised::typed(value, "has no keys")
}

fn keys(value: &Val, is_sorted: bool) -> Result<Val, Exn> {
    if let Some(members) = value.as_members() {
        let mut keys: Vec<Str> = members.iter().map(|(key, _)| key.clone()).collect();
        if is_sorted {
            keys.sort_unstable();
        }
        return Ok(Val::arr(keys.into_iter().map(Val::Str).collect()));
    }
    match value.as_items() {
        Some(items) => Ok(Val::arr((0..items.len()).map(Val::of_usize).collect())),
        None => Err(no_keys(value)),
    }
}

fn contains(value: &Val, part: &Val) -> bool {
    guard();
    budget::tick();
    match (value.kind(), part.kind()) {
        (Type::Object, Type::Object) => {
            let (Some(members), Some(parts)) = (value.as_members(), part.as_members()) else { return false };
            parts
                .iter()
                .all(|(key, part)| members.get(key.as_bytes()).is_some_and(|value| contains(value, part)))
        }
        (Type::Array, Type::Array) => {
            let (Some(items), Some(parts)) = (value.as_items(), part.as_items()) else { return false };
            parts.iter().all(|part| items.iter().any(|item| contains(item, part)))
        }
        (Type::String, Type::String) => match (value, part) {
            (Val::Str(text), Val::Str(part)) => {
                budget::work(text.len() / 64);
                memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some()
            }
            _ => false,
        },
        _ => equal(value, part),
    }
}

fn sortable(value: Val) -> Result<Vec<Val>, Exn> {
    value.into_items().map_err(|other| Raised::typed(&other, "cannot be sorted, as it is not an array"))
}

/// Sorts with the budget's leave: comparing may take long.
fn sort<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    items.sort_by(|a, b| {
        budget::work(1);
        compare(a, b)
    });
}

/// Items with their keys, sorted by them.
fn keyed(value: Val, keys: &Val) -> Result<Vec<(Val, Val)>, Exn> {
    let (Some(items), Some(keys)) = (value.as_items(), keys.as_items()) else {
        return Err(Raised::typed2(&value, keys, "cannot be sorted, as they are not both arrays"));
    };
    let mut keyed: Vec<_> = keys.iter().cloned().zip(items.iter().cloned()).collect();
    sort(&mut keyed, |a, b| order(&a.0, &b.0));
    Ok(keyed)
}

/// The least or greatest item, by its key if there are keys.
fn best(value: Val, keys: Option<&Val>, is_better: fn(Ordering) -> bool) -> Result<Val, Exn> {
    let Some(items) = value.as_items() else {
        return Err(Raised::typed2(&value, keys.unwrap_or(&value), "cannot be iterated over"));
    };
    let keys = keys.and_then(Val::as_items).unwrap_or_else(|| items.clone());
    let mut best: Option<usize> = None;
    for at in 0..items.len().min(keys.len()) {
        budget::work(1);
        if best.is_none_or(|best| is_better(order(&keys[at], &keys[best]))) {
            best = Some(at);
        }
    }
    Ok(best.map_or(Val::Null, |at| items[at].clone()))
}

fn flatten(value: &Val, depth: f64) -> Result<Val, Exn> {
    let mut flat = Vec::new();
    flatten_into(value, depth, &mut flat)?;
    Ok(Val::arr(flat))
}

fn flatten_into(value: &Val, depth: f64, flat: &mut Vec<Val>) -> Result<(), Exn> {
    guard();
    value.for_each_child(|item| {
        budget::tick();
        if item.is_array() && depth >= 1.0 {
            return flatten_into(&item, depth - 1.0, flat);
        }
        flat.push(item);
        Ok(())
    })
}

fn from_entries(value: &Val) -> Result<Val, Exn> {
    let mut object = Obj::new();
    value.for_each_child(|entry| {
        let mut key = Val::Null;
        for name in ["key", "Key", "name", "Name"] {
            key = entry.member(&Str::new(name))?;
            if key.is_truthy() {
                break;
            }
        }
        let Val::Str(key) = key else {
            let message = format!("Cannot use {} ({}) as object key", key.type_name(), value::clip(&key, 11));
            return Err(Raised::about(&entry, message));
        };
        let name = if entry.has(&Val::str("value"))? { "value" } else { "Value" };
        object.insert(key, entry.member(&Str::new(name))?);
        Ok(())
    })?;
    Ok(Val::obj(object))
}

fn transpose(value: &Val) -> Result<Val, Exn> {
    let mut rows = Vec::new();
    let mut width = 0;
    value.for_each_child(|row| {
        let length = row.length()?.as_f64().unwrap_or(0.0) as usize;
        width = width.max(length);
        rows.push(row);
        Ok(())
    })?;
    budget::charge(width.saturating_mul(rows.len()).saturating_mul(size_of::<Val>()));
    let mut columns = Vec::with_capacity(width);
    for at in 0..width {
        let at = Val::of_usize(at);
        let column: Result<Vec<Val>, Exn> = rows.iter().map(|row| row.index(&at)).collect();
        budget::work(rows.len());
        columns.push(Val::arr(column?));
    }
    Ok(Val::arr(columns))
}

fn indices(value: &Val, part: &Val) -> Result<Val, Exn> {
    match (value, part) {
        (Val::Null, _) => Ok(Val::Null),
        (Val::Str(text), Val::Str(part)) => Ok(super::text::indices(text, part)),
        _ if value.is_array() && part.is_array() => Ok(value.indices_of(part)),
        _ if value.is_array() => Ok(value.indices_of(&Val::arr(vec![part.clone()]))),
        _ => value.index(part),
    }
}

fn index(value: &Val, part: &Val, is_last: bool) -> Result<Val, Exn> {
    let found = indices(value, part)?;
    if matches!(found, Val::Null) {
        return Ok(Val::Null);
    }
    found.index(&Val::Int(if is_last { -1 } else { 0 }))
}

fn set_path(value: Val, keys: &[Val], new: Val) -> Result<Val, Exn> {
    guard();
    let Some((key, rest)) = keys.split_first() else { return Ok(new) };
    if rest.is_empty() && !matches!(value, Val::Null) {
        // an index that cannot be read cannot be written either, and says so in the words of reading
        let readable = matches!(
            (value.kind(), key.kind()),
            (Type::Object, Type::String) | (Type::Array, Type::Number | Type::Object | Type::Array)
        );
        if !readable {
            value.index(key)?;
        }
        return value.with_index(key, new);
    }
    let child = value.index(key)?;
    let child = set_path(child, rest, new)?;
    value.with_index(key, child)
}

/// Without the members that are null, at every level, and without the objects and arrays that this
/// leaves empty. `None` if nothing is left.
fn drop_nulls(value: &Val) -> Option<Val> {
    guard();
    match value {
        Val::Null => None,
        value if value.is_object() => {
            let members = value.as_members()?;
            let mut kept = Vec::with_capacity(members.len());
            let mut changed = false;
            for (key, member) in members.iter() {
                match drop_nulls(member) {
                    Some(dropped) => {
                        changed |= !dropped.is_same(member);
                        kept.push((key.clone(), dropped));
                    }
                    None => changed = true,
                }
            }
            if kept.is_empty() {
                return None;
            }
            Some(if changed { Val::obj(Obj::from_distinct(kept)) } else { value.clone() })
        }
        value if value.is_array() => {
            let items = value.as_items()?;
            let kept: Vec<Val> = items.iter().filter_map(drop_nulls).collect();
            if kept.is_empty() {
                return None;
            }
            let is_same =
                kept.len() == items.len() && kept.iter().zip(items.iter()).all(|(a, b)| a.is_same(b));
            Some(if is_same { value.clone() } else { Val::arr(kept) })
        }
        scalar => Some(scalar.clone()),
    }
}

fn flat(value: &Val, separator: &Str) -> Result<Val, Exn> {
    if !value.is_object() && !value.is_array() {
        return Err(Raised::typed(value, "has no keys to flatten"));
    }
    let mut flat = Obj::new();
    flatten_keys(value, "", separator, &mut flat);
    Ok(Val::obj(flat))
}

fn unflatten(value: &Val, separator: &Str) -> Result<Val, Exn> {
    let Some(members) = value.as_members() else {
        return Err(Raised::typed(value, "cannot be unflattened: it is not an object"));
    };
    let mut whole = Val::obj(Obj::new());
    for (key, member) in members.iter() {
        let path: Vec<Val> = match separator.as_str() {
            "" => vec![Val::Str(key.clone())],
            separator => key.as_str().split(separator).map(Val::str).collect(),
        };
        whole = set_path(whole, &path, member.clone())?;
    }
    Ok(whole)
}

fn flatten_keys(value: &Val, prefix: &str, separator: &Str, flat: &mut Obj) {
    guard();
    let name = |key: &str| match prefix {
        "" => key.to_owned(),
        prefix => format!("{prefix}{}{key}", separator.as_str()),
    };
    match (value.as_members(), value.as_items()) {
        (Some(members), _) if members.len() > 0 => {
            for (key, member) in members.iter() {
                flatten_keys(member, &name(key.as_str()), separator, flat);
            }
        }
        (_, Some(items)) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                flatten_keys(item, &name(&at.to_string()), separator, flat);
            }
        }
        _ => {
            budget::tick();
            flat.insert(Str::new(prefix), value.clone());
        }
    }
}
