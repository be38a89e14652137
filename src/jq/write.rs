//! Values to strict JSON text. jq computes with NaN and infinities; neither leaves this process.

use std::fmt;
use std::io::Write as _;

use super::value::{Str, Val, append_float, guard};
use crate::event::json;

/// Bytes of an error value that appear in its message.
const MESSAGE_CLIP: usize = 2048;

/// Why a value cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotJson {
    /// More levels than the bound.
    Depth(usize),
    /// More bytes than the bound.
    Size(usize),
}

/// Bounds on the text of one output. A value may be small and its text endless: what is shared in
/// memory is written out each time.
#[derive(Debug, Clone, Copy)]
pub struct WriteLimits {
    /// Levels of arrays and objects.
    pub depth: usize,
    /// Bytes.
    pub bytes: usize,
}

impl From<&super::Limits> for WriteLimits {
    fn from(limits: &super::Limits) -> Self {
        WriteLimits { depth: limits.depth, bytes: limits.output_bytes.as_usize() }
    }
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotJson::Depth(limit) => write!(f, "nested deeper than the limit `depth` of {limit}"),
            NotJson::Size(limit) => {
                write!(f, "longer than the limit `output_bytes` of {limit} bytes")
            }
        }
    }
}

impl std::error::Error for NotJson {}

/// Appends a value as compact JSON.
pub(super) fn write(value: &Val, limits: WriteLimits, out: &mut Vec<u8>) -> Result<(), NotJson> {
    let mut writer = Writer { limits, end: out.len().saturating_add(limits.bytes), out };
    writer.value(value, limits.depth)
}

struct Writer<'a> {
    limits: WriteLimits,
    end: usize,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn value(&mut self, value: &Val, levels: usize) -> Result<(), NotJson> {
        match value {
            Val::Null => self.out.extend_from_slice(b"null"),
            Val::Bool(true) => self.out.extend_from_slice(b"true"),
            Val::Bool(false) => self.out.extend_from_slice(b"false"),
            Val::Int(number) => {
                self.out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
            }
            Val::Float(number) => append_float(*number, self.out),
            // writing into a vector does not fail
            Val::Big(number) => drop(write!(self.out, "{number}")),
            Val::Dec(number) => self.out.extend_from_slice(number.text().as_bytes()),
            Val::Str(text) if text.is_plain() => {
                self.out.push(b'"');
                self.out.extend_from_slice(text.as_bytes());
                self.out.push(b'"');
            }
            Val::Str(text) => append_string(text.as_bytes(), self.out),
            Val::Raw(raw) => {
                // an event is bounded in depth before it is an event
                if levels < self.limits.depth && raw.is_deeper_than(levels) {
                    return Err(NotJson::Depth(self.limits.depth));
                }
                raw.append(self.out);
            }
            Val::Arr(items) => {
                let inner = self.inner(levels)?;
                self.out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        self.out.push(b',');
                    }
                    self.value(item, inner)?;
                }
                self.out.push(b']');
            }
            Val::Obj(members) => {
                let inner = self.inner(levels)?;
                self.out.push(b'{');
                for (at, (key, member)) in members.iter().enumerate() {
                    if at > 0 {
                        self.out.push(b',');
                    }
                    append_key(key, self.out);
                    self.value(member, inner)?;
                }
                self.out.push(b'}');
            }
        }
        if self.out.len() > self.end {
            return Err(NotJson::Size(self.limits.bytes));
        }
        Ok(())
    }

    fn inner(&self, levels: usize) -> Result<usize, NotJson> {
        guard();
        levels.checked_sub(1).ok_or(NotJson::Depth(self.limits.depth))
    }
}

/// Checks that a value can be written within bounds, without writing it: about as many bytes as its
/// text has (escapes are not counted). What is shared in memory counts each time.
pub(super) fn measure(value: &Val, limits: WriteLimits) -> Result<usize, NotJson> {
    let mut bytes = 0;
    measure_level(value, limits.depth, limits, &mut bytes)?;
    Ok(bytes)
}

fn measure_level(value: &Val, levels: usize, limits: WriteLimits, bytes: &mut usize) -> Result<(), NotJson> {
    *bytes += match value {
        Val::Null | Val::Bool(_) => 4,
        Val::Dec(number) => number.text().len(),
        Val::Big(number) => number.bits() as usize / 3,
        Val::Int(_) | Val::Float(_) => 1,
        Val::Str(text) => text.len() + 2,
        Val::Raw(raw) => {
            if levels < limits.depth && raw.is_deeper_than(levels) {
                return Err(NotJson::Depth(limits.depth));
            }
            raw.size()
        }
        Val::Arr(items) => {
            guard();
            let inner = levels.checked_sub(1).ok_or(NotJson::Depth(limits.depth))?;
            for item in items.iter() {
                measure_level(item, inner, limits, bytes)?;
            }
            items.len() + 1
        }
        Val::Obj(members) => {
            guard();
            let inner = levels.checked_sub(1).ok_or(NotJson::Depth(limits.depth))?;
            for (key, member) in members.iter() {
                *bytes += key.len() + 3;
                measure_level(member, inner, limits, bytes)?;
            }
            members.len() + 1
        }
    };
    if *bytes > limits.bytes {
        return Err(NotJson::Size(limits.bytes));
    }
    Ok(())
}

/// Appends a key, its quotes, and a colon.
fn append_key(key: &Str, out: &mut Vec<u8>) {
    if let Some((bytes, len)) = key.as_short()
        && json::plain_lane(bytes) >= len
    {
        // all in one piece, and what is behind its end cut off
        out.reserve(bytes.len() + 3);
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.truncate(out.len() - bytes.len() + len);
        out.extend_from_slice(b"\":");
        return;
    }
    append_string(key.as_bytes(), out);
    out.push(b':');
}

/// Appends a string with its quotes and escapes.
pub(super) fn append_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    loop {
        let plain = json::plain_prefix(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(byte) = rest.get(plain) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            other => drop(write!(out, "\\u{other:04x}")),
        }
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
}

/// The beginning of a value's JSON text: all of it if that is at most `most` bytes, else somewhat
/// more than `most` bytes of it.
pub(super) fn excerpt(value: &Val, most: usize) -> String {
    let mut out = Vec::new();
    // what is too long or too deep leaves its beginning
    let _ = write(value, WriteLimits { depth: 512, bytes: most }, &mut out);
    let text = String::from_utf8_lossy(&out);
    text.into_owned()
}

/// The value of an error as a message: a string as it is, anything else as JSON, clipped.
pub(super) fn message(value: &Val) -> String {
    let mut text = match value {
        Val::Str(text) => text.as_str().to_owned(),
        other => excerpt(other, MESSAGE_CLIP),
    };
    if text.len() > MESSAGE_CLIP {
        let end = (0..=MESSAGE_CLIP).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
