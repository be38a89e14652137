//! JSON texts as values and back, and what a program can ask of its host.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::super::native::{Native, native};
use crate::jq::budget;
use crate::jq::value::{Cause, Doc, Exn, Raised, Str, Val, raise};
use crate::jq::write::{self, NotJson, WriteLimits};

/// Levels that `fromjson` reads and `tojson` writes.
const DEPTH: usize = 10_000;

/// Bytes of a `debug` message that reach the log.
const DEBUG_CLIP: usize = 1024;

pub(super) const NATIVES: &[Native] = &[
    native("tojson", 0, |value, _| to_json(&value).map(Val::string)),
    native("fromjson", 0, |value, _| match &value {
        Val::Str(text) => from_json(text),
        other => Err(Raised::typed(other, "only strings can be parsed")),
    }),
    native("now", 0, |_, _| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Val::Float(since.as_secs_f64()))
    }),
    native("env", 0, |_, _| Ok(Val::record([]))),
    native("halt", 0, |_, _| Err(Raised::new(Cause::Halt))),
    native("halt_error", 0, |_, _| Err(Raised::new(Cause::Halt))),
    native("halt_error", 1, |_, _| Err(Raised::new(Cause::Halt))),
    native("debug", 0, |value, _| Ok(log(value))),
    native("stderr", 0, |value, _| Ok(log(value))),
    native("input_line_number", 0, |_, _| Ok(Val::Int(0))),
    native("input_filename", 0, |_, _| Ok(Val::Null)),
    native("get_search_list", 0, |_, _| Ok(Val::arr(Vec::new()))),
    native("have_decnum", 0, |_, _| Ok(Val::Bool(true))),
    native("have_literal_numbers", 0, |_, _| Ok(Val::Bool(true))),
    native("builtins", 0, |_, _| Ok(Val::arr(crate::jq::names().map(Val::string).collect()))),
];

pub(super) fn to_json(value: &Val) -> Result<String, Exn> {
    let too_deep = || raise(format!("a value nested deeper than {DEPTH} levels has no text"));
    // what is shared in memory is written out each time: the text may be endless
    let room = budget::memory_left();
    match write::measure(value, WriteLimits { depth: DEPTH, bytes: room }) {
        Ok(bytes) => budget::charge(bytes),
        Err(NotJson::Size(_)) => budget::stop(budget::Stop::Memory),
        Err(NotJson::Depth(_)) => return too_deep(),
    }
    let mut out = Vec::new();
    match write::write(value, WriteLimits { depth: DEPTH, bytes: room }, &mut out) {
        Ok(()) => Ok(String::from_utf8(out).unwrap_or_default()),
        Err(NotJson::Size(_)) => budget::stop(budget::Stop::Memory),
        Err(NotJson::Depth(_)) => too_deep(),
    }
}

fn from_json(text: &Str) -> Result<Val, Exn> {
    // `nan` is what jq writes for the number that JSON does not have
    let trimmed = text.as_str().trim();
    match trimmed {
        "nan" | "NaN" | "-nan" | "-NaN" => return Ok(Val::Float(f64::NAN)),
        "" => return raise("an empty text is no JSON value"),
        _ => {}
    }
    budget::charge(text.len() * 2);
    let source = Bytes::copy_from_slice(text.as_bytes());
    match Doc::parse(source, DEPTH) {
        Ok(doc) => Ok(doc.root()),
        Err(error) => {
            let mut shown: String = text.as_str().chars().take(64).collect();
            if shown.len() < text.len() {
                shown.push_str("...");
            }
            raise(format!("{error} (while parsing '{shown}')"))
        }
    }
}

fn log(value: Val) -> Val {
    if tracing::enabled!(tracing::Level::DEBUG) {
        let text = write::excerpt(&value, DEBUG_CLIP);
        let end = (0..=DEBUG_CLIP.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let is_clipped = end < text.len();
        tracing::debug!(value = %&text[..end], clipped = is_clipped, "debug output of a program");
    }
    value
}
