//! `@base64` and the other formats.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::code::Format;
use super::super::native::{Native, native};
use super::json::to_json;
use crate::jq::budget;
use crate::jq::value::{Exn, Raised, Val};

pub(super) const NATIVES: &[Native] = &[native("format", 1, |value, args| match &args[0] {
    Val::Str(name) => match find(name.as_str()) {
        Some(format) => format(&value),
        None => Err(Raised::about(&args[0], format!("{} is not a valid format", name.as_str()))),
    },
    other => Err(Raised::typed(other, "is not a valid format")),
})];

/// Names of all formats.
pub(in crate::jq) const NAMES: &[&str] =
    &["text", "json", "csv", "tsv", "html", "uri", "urid", "sh", "base64", "base64d", "base32", "base32d"];

/// The format of a name.
pub(in crate::jq::engine) fn find(name: &str) -> Option<Format> {
    Some(match name {
        "text" => |value| text_of(value).map(Val::string),
        "json" => |value| to_json(value).map(Val::string),
        "csv" => |value| row(value, ",", "csv", csv_field),
        "tsv" => |value| row(value, "\t", "tsv", tsv_field),
        "html" => |value| Ok(Val::string(html(&text_of(value)?))),
        "uri" => |value| Ok(Val::string(uri(&text_of(value)?))),
        "urid" => uri_decode,
        "sh" => sh,
        "base64" => |value| Ok(Val::string(STANDARD.encode(text_of(value)?))),
        "base64d" => base64_decode,
        "base32" => |value| Ok(Val::string(base32(text_of(value)?.as_bytes()))),
        "base32d" => base32_decode,
        _ => return None,
    })
}

fn text_of(value: &Val) -> Result<String, Exn> {
    let text = match value {
        Val::Str(text) => text.as_str().to_owned(),
        other => to_json(other)?,
    };
    // no format makes more than six bytes of one
    budget::charge(text.len() * 6);
    Ok(text)
}

fn row(value: &Val, separator: &str, name: &str, field: fn(&str) -> String) -> Result<Val, Exn> {
    let Some(items) = value.as_items() else {
        return Err(Raised::typed(value, format!("cannot be {name}-formatted, only array")));
    };
    let mut fields = Vec::with_capacity(items.len());
    for item in items.iter() {
        fields.push(match item {
            Val::Null => String::new(),
            Val::Bool(flag) => flag.to_string(),
            Val::Str(text) => field(text.as_str()),
            number if number.as_f64().is_some() => to_json(number)?,
            other => return Err(Raised::typed(other, format!("is not valid in a {name} row"))),
        });
    }
    Ok(Val::string(fields.join(separator)))
}

fn csv_field(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn tsv_field(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

fn uri(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn uri_decode(value: &Val) -> Result<Val, Exn> {
    let text = text_of(value)?;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match decoded {
            Some(decoded) => {
                out.push(decoded);
                rest = &rest[2..];
            }
            None => return Err(Raised::typed(value, "is not a valid uri encoding")),
        }
    }
    match String::from_utf8(out) {
        Ok(text) => Ok(Val::string(text)),
        Err(_) => Err(Raised::typed(value, "is not a valid uri encoding")),
    }
}

fn sh(value: &Val) -> Result<Val, Exn> {
    let quote = |item: &Val| match item {
        Val::Str(text) => Ok(format!("'{}'", text.as_str().replace('\'', "'\\''"))),
        item if item.is_array() || item.is_object() => {
            Err(Raised::typed(item, "can not be escaped for shell"))
        }
        other => to_json(other),
    };
    match value.as_items() {
        Some(items) => {
            let words: Result<Vec<_>, Exn> = items.iter().map(quote).collect();
            Ok(Val::string(words?.join(" ")))
        }
        None => quote(value).map(Val::string),
    }
}

fn base64_decode(value: &Val) -> Result<Val, Exn> {
    let text = text_of(value)?;
    let digits = text.trim_end_matches('=');
    if digits.len() % 4 == 1 {
        let message = if digits.len() == 1 || text.len() == digits.len() {
            "trailing base64 byte found"
        } else {
            "is not valid base64 data"
        };
        return Err(Raised::typed(value, message));
    }
    let config = base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let engine = base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    match engine.decode(digits) {
        Ok(bytes) => Ok(Val::string(String::from_utf8_lossy(&bytes).into_owned())),
        Err(_) => Err(Raised::typed(value, "is not valid base64 data")),
    }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let digits = (chunk.len() * 8).div_ceil(5);
        for at in 0..8 {
            let digit = (bits >> (35 - 5 * at)) & 31;
            out.push(if at < digits { char::from(BASE32[digit as usize]) } else { '=' });
        }
    }
    out
}

fn base32_decode(value: &Val) -> Result<Val, Exn> {
    let text = text_of(value)?;
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::new());
    for digit in text.trim_end_matches('=').bytes() {
        let Some(digit) = BASE32.iter().position(|this| *this == digit) else {
            return Err(Raised::typed(value, "is not valid base32 data"));
        };
        bits = (bits << 5 | digit as u32) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Ok(Val::string(String::from_utf8_lossy(&out).into_owned()))
}
