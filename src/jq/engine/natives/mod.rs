//! Native functions, by subject.

mod collection;
mod date;
pub(in crate::jq) mod format;
mod json;
mod math;
pub(super) mod regex;
mod security;
mod text;

pub use security::{DOCS, Doc, Example};

pub(super) use collection::no_keys;
pub(super) use text::append_as_text;

use super::native::Native;

const TABLES: &[&[Native]] = &[
    collection::NATIVES,
    date::NATIVES,
    format::NATIVES,
    json::NATIVES,
    math::NATIVES,
    regex::NATIVES,
    security::NATIVES,
    text::NATIVES,
];

/// All native functions.
pub(in crate::jq) fn all() -> impl Iterator<Item = &'static Native> {
    TABLES.iter().flat_map(|table| table.iter())
}
