//! Values to strict JSON text. jaq's own writer knows values that JSON does not have (NaN, byte
//! strings, keys that are no strings); none of them leaves this process.

use std::fmt;
use std::io::Write as _;

use jaq_json::{Num, Val};

use crate::event::json;

/// Bytes of an error value that appear in its message.
const MESSAGE_CLIP: usize = 2048;

/// Why a value cannot be written as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotJson {
    /// An object has a key that is not a string.
    Key,
    /// A byte string.
    Bytes,
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

impl WriteLimits {
    /// For text that goes nowhere but to a person.
    pub(super) const SHORT: WriteLimits = WriteLimits { depth: 512, bytes: 64 << 10 };
}

impl From<&super::Limits> for WriteLimits {
    fn from(limits: &super::Limits) -> Self {
        WriteLimits { depth: limits.depth, bytes: limits.output_bytes.as_usize() }
    }
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotJson::Key => f.write_str("an object key is not a string"),
            NotJson::Bytes => f.write_str("a byte string has no JSON form"),
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
            Val::Num(number) => write_number(number, self.out),
            Val::TStr(text) => write_string(text, self.out),
            Val::BStr(_) => return Err(NotJson::Bytes),
            Val::Arr(items) => {
                let inner = levels.checked_sub(1).ok_or(NotJson::Depth(self.limits.depth))?;
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
                let inner = levels.checked_sub(1).ok_or(NotJson::Depth(self.limits.depth))?;
                self.out.push(b'{');
                for (at, (key, member)) in members.iter().enumerate() {
                    if at > 0 {
                        self.out.push(b',');
                    }
                    match key {
                        Val::TStr(text) => write_string(text, self.out),
                        _ => return Err(NotJson::Key),
                    }
                    self.out.push(b':');
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
        Val::Num(Num::Dec(text)) => text.len(),
        Val::Num(Num::BigInt(number)) => number.bits() as usize / 3,
        Val::Num(_) => 1,
        Val::TStr(text) => text.len() + 2,
        Val::BStr(_) => return Err(NotJson::Bytes),
        Val::Arr(items) => {
            let inner = levels.checked_sub(1).ok_or(NotJson::Depth(limits.depth))?;
            for item in items.iter() {
                measure_level(item, inner, limits, bytes)?;
            }
            items.len() + 1
        }
        Val::Obj(members) => {
            let inner = levels.checked_sub(1).ok_or(NotJson::Depth(limits.depth))?;
            for (key, member) in members.iter() {
                let Val::TStr(key) = key else { return Err(NotJson::Key) };
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

/// Numbers as jq writes them: no NaN (null), infinities as the largest finite number, a float
/// without a fraction as an integer. What was never computed with keeps its text.
fn write_number(number: &Num, out: &mut Vec<u8>) {
    // writing into a vector does not fail
    match number {
        Num::Int(value) => drop(write!(out, "{value}")),
        Num::BigInt(value) => drop(write!(out, "{value}")),
        Num::Float(value) => write_float(*value, out),
        Num::Dec(text) if json::validate(text.as_bytes(), 0).is_ok() => {
            out.extend_from_slice(text.as_bytes());
        }
        Num::Dec(text) => write_float(text.parse().unwrap_or(f64::NAN), out),
    }
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"null");
    } else if value.is_infinite() {
        write_float(f64::MAX.copysign(value), out);
    } else if value.fract() == 0.0 && value.abs() < 1e17 {
        drop(write!(out, "{}", value as i64));
    } else if value.abs() >= 1e17 || value.abs() < 1e-5 {
        drop(write!(out, "{value:e}"));
    } else {
        drop(write!(out, "{value}"));
    }
}

fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    match std::str::from_utf8(text) {
        Ok(_) => write_escaped(text, out),
        // jaq strings may hold anything; what is no UTF-8 becomes the replacement character
        Err(_) => write_escaped(String::from_utf8_lossy(text).as_bytes(), out),
    }
    out.push(b'"');
}

fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut written = 0;
    for (at, byte) in text.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..0x20 | 0x7f => b"",
            _ => continue,
        };
        out.extend_from_slice(&text[written..at]);
        if escape.is_empty() {
            drop(write!(out, "\\u{byte:04x}"));
        } else {
            out.extend_from_slice(escape);
        }
        written = at + 1;
    }
    out.extend_from_slice(&text[written..]);
}

/// The value of an error as a message: a string as it is, anything else as JSON, clipped.
pub(super) fn message(value: &Val) -> String {
    let mut text = match value {
        Val::TStr(text) => String::from_utf8_lossy(text).into_owned(),
        other => {
            let mut out = Vec::new();
            match write(other, WriteLimits::SHORT, &mut out) {
                Ok(()) => String::from_utf8_lossy(&out).into_owned(),
                Err(error) => format!("a value that is no JSON ({error})"),
            }
        }
    };
    if text.len() > MESSAGE_CLIP {
        let end = (0..=MESSAGE_CLIP).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
