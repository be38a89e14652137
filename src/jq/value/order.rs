//! Equality and order of values: null, false, true, numbers, strings, arrays, objects.

use std::cmp::Ordering;

use super::deep::guard;
use super::number::{compare, is_nan};
use super::{Str, Type, Val};
use crate::jq::budget::work;

/// Whether two values are equal. NaN equals nothing.
pub(in crate::jq) fn equal(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::Null, Val::Null) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Int(a), Val::Int(b)) => a == b,
        (Val::Str(a), Val::Str(b)) => a == b,
        (Val::Raw(a), Val::Raw(b)) if a.is_same(b) => true,
        _ => match (a.kind(), b.kind()) {
            (Type::Number, Type::Number) => !is_nan(a) && compare(a, b) == Ordering::Equal,
            (Type::Array, Type::Array) => {
                guard();
                if a.is_hollow() || b.is_hollow() {
                    return a.is_hollow() && b.is_hollow();
                }
                let (Some(a), Some(b)) = (a.as_items(), b.as_items()) else { return false };
                work(a.len().min(b.len()) / 16);
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b))
            }
            (Type::Object, Type::Object) => {
                guard();
                // most are compared with `{}`
                if a.is_hollow() || b.is_hollow() {
                    return a.is_hollow() && b.is_hollow();
                }
                let (Some(a), Some(b)) = (a.as_members(), b.as_members()) else { return false };
                a.len() == b.len()
                    && a.iter().all(|(key, a)| b.get(key.as_bytes()).is_some_and(|b| equal(a, b)))
            }
            _ => false,
        },
    }
}

/// The order in which values sort. Total: NaN equals NaN and is below all other numbers.
pub(in crate::jq) fn order(a: &Val, b: &Val) -> Ordering {
    match (a, b) {
        (Val::Int(a), Val::Int(b)) => a.cmp(b),
        (Val::Str(a), Val::Str(b)) => a.cmp(b),
        _ => match (a.kind(), b.kind()) {
            (Type::Number, Type::Number) => compare(a, b),
            (Type::Array, Type::Array) => {
                guard();
                let (Some(a), Some(b)) = (a.as_items(), b.as_items()) else { return Ordering::Equal };
                work(a.len().min(b.len()) / 16);
                let differing = a.iter().zip(b.iter()).map(|(a, b)| order(a, b)).find(|o| o.is_ne());
                differing.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Type::Object, Type::Object) => {
                guard();
                let (Some(a), Some(b)) = (a.as_members(), b.as_members()) else { return Ordering::Equal };
                let (a, b) = (a.sorted(), b.sorted());
                let keys =
                    |members: &[&(Str, Val)]| members.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
                keys(&a).cmp(&keys(&b)).then_with(|| {
                    let differing =
                        a.iter().zip(b.iter()).map(|(a, b)| order(&a.1, &b.1)).find(|o| o.is_ne());
                    differing.unwrap_or(Ordering::Equal)
                })
            }
            (a, b) => a.cmp(&b),
        },
    }
}

/// As the operator `<` and its kin see it: NaN is below every number, itself too.
pub(in crate::jq) fn less(a: &Val, b: &Val) -> bool {
    (is_nan(a) && b.kind() == Type::Number) || order(a, b).is_lt()
}

/// `<=`.
pub(in crate::jq) fn less_or_equal(a: &Val, b: &Val) -> bool {
    (is_nan(a) && b.kind() == Type::Number)
        || (!(is_nan(b) && a.kind() == Type::Number) && order(a, b).is_le())
}
