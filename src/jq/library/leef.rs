//! IBM Log Event Extended Format: `LEEF:1.0|vendor|product|version|event|key=value⇥key=value`.
//!
//! After the `QRadar` LEEF guide, version 2. LEEF 1.0 separates attributes by a tab. LEEF 2.0 has
//! one more header field that names the separator: a character, or its code as `x5E` or `0x5E`; a
//! tab if the field is empty or left out.
//!
//! Limits: LEEF has no escapes. So a header field cannot hold `|`, and text behind a separator that
//! has no `=` is taken for the rest of the value before it. Attributes separated by spaces, which
//! the guide forbids, come out as one.

use super::text::{excerpt, split_at_marker};

/// One LEEF event. The fields are named as their keys in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jq) struct Leef<'a> {
    /// What stood before `LEEF:`, mostly a syslog header. No key of the object.
    pub(in crate::jq) prefix: &'a str,
    /// Version of the format as written, `1.0` or `2.0`.
    pub(in crate::jq) leef_version: &'a str,
    /// Who made the sender.
    pub(in crate::jq) device_vendor: &'a str,
    /// What the sender is.
    pub(in crate::jq) device_product: &'a str,
    /// Version of the sender.
    pub(in crate::jq) device_version: &'a str,
    /// The kind of event.
    pub(in crate::jq) event_id: &'a str,
    /// What separates attributes.
    pub(in crate::jq) delimiter: char,
    /// Pairs in the order of the text. A key may repeat.
    pub(in crate::jq) attributes: Vec<(&'a str, &'a str)>,
}

/// Parses the first LEEF event of the text, with or without a syslog header before it.
pub(in crate::jq) fn parse(text: &str) -> Result<Leef<'_>, String> {
    let Some((prefix, rest)) = split_at_marker(text, "LEEF:") else {
        return Err(format!("{} is no LEEF: it must hold `LEEF:` and a version", excerpt(text)));
    };
    let mut rest = rest.trim_end_matches(['\r', '\n']);
    let mut header = |name: &str| match rest.split_once('|') {
        Some((field, behind)) => {
            rest = behind;
            Ok(field)
        }
        None => Err(format!("the LEEF header ends before the `|` behind its {name}")),
    };
    let leef_version = header("version")?;
    let (device_vendor, device_product) = (header("vendor")?, header("product")?);
    let (device_version, event_id) = (header("product version")?, header("event ID")?);
    let (delimiter, attributes) = match leef_version {
        "1" | "1.0" => ('\t', rest),
        "2" | "2.0" => delimiter(rest)?,
        other => return Err(format!("the LEEF version must be 1.0 or 2.0, not {}", excerpt(other))),
    };
    let attributes = pairs(attributes, delimiter)?;
    Ok(Leef {
        prefix,
        leef_version,
        device_vendor,
        device_product,
        device_version,
        event_id,
        delimiter,
        attributes,
    })
}

/// The separator that the sixth field names, and the attributes behind it.
fn delimiter(rest: &str) -> Result<(char, &str), String> {
    // a bar as the separator makes a field of its own
    if let Some(attributes) = rest.strip_prefix("||") {
        return Ok(('|', attributes));
    }
    let Some((field, attributes)) = rest.split_once('|') else {
        return Ok(('\t', rest));
    };
    let mut chars = field.chars();
    match (chars.next(), chars.next()) {
        (None, _) => return Ok(('\t', attributes)),
        (Some(c), None) => return Ok((c, attributes)),
        _ => {}
    }
    // an attribute with a bar in its value: the field was left out
    if field.contains('=') {
        return Ok(('\t', rest));
    }
    let code = field.trim_start_matches('\\').trim_start_matches('0').strip_prefix(['x', 'X']);
    code.filter(|code| (1..=4).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_hexdigit()))
        .and_then(|code| u32::from_str_radix(code, 16).ok())
        .and_then(char::from_u32)
        .map(|c| (c, attributes))
        .ok_or_else(|| {
            format!("the LEEF delimiter must be one character or a code like x09, not {}", excerpt(field))
        })
}

fn pairs(text: &str, delimiter: char) -> Result<Vec<(&str, &str)>, String> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    // where the last value begins
    let mut value = 0;
    let mut at = 0;
    for piece in text.split(delimiter) {
        let end = at + piece.len();
        if let Some((key, _)) = piece.split_once('=') {
            value = at + key.len() + 1;
            pairs.push((key.trim(), &text[value..end]));
        } else if !piece.trim().is_empty() {
            let Some(last) = pairs.last_mut() else {
                return Err(format!("a LEEF attribute must be written as key=value, not {}", excerpt(piece)));
            };
            last.1 = &text[value..end];
        }
        at = end + delimiter.len_utf8();
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_behind_a_syslog_header() {
        let leef = parse(
            "<13>Jan 18 11:07:53 192.168.1.1 LEEF:1.0|Microsoft|MSExchange|4.0 SP1|15345|src=1.2.3.4\tmsg=a b=c\t\n",
        )
        .unwrap();
        assert_eq!(leef.prefix, "<13>Jan 18 11:07:53 192.168.1.1");
        assert_eq!((leef.leef_version, leef.device_vendor), ("1.0", "Microsoft"));
        assert_eq!(
            (leef.device_product, leef.device_version, leef.event_id),
            ("MSExchange", "4.0 SP1", "15345")
        );
        assert_eq!(leef.attributes, [("src", "1.2.3.4"), ("msg", "a b=c")]);
    }

    #[test]
    fn version_2_names_its_delimiter() {
        let delimiters = [
            ("^", '^', "^"),
            ("x5E", '^', "^"),
            ("0x5e", '^', "^"),
            ("\\x5e", '^', "^"),
            ("x09", '\t', "\t"),
            ("0x7C", '|', "|"),
            ("", '\t', "\t"),
            ("|", '|', "|"),
            ("x", 'x', "x"),
            ("0", '0', "0"),
            ("¦", '¦', "¦"),
            ("x00A6", '¦', "¦"),
        ];
        for (field, delimiter, written) in delimiters {
            let text = format!("LEEF:2.0|Lancope|StealthWatch|1.0|41|{field}|src=a b{written}dst=");
            let leef = parse(&text).unwrap();
            assert_eq!(
                (leef.delimiter, &leef.attributes[..]),
                (delimiter, &[("src", "a b"), ("dst", "")][..])
            );
        }
    }

    #[test]
    fn version_2_without_a_delimiter() {
        let leef = parse("LEEF:2.0|v|p|1|e|a=1|2\tb=3").unwrap();
        assert_eq!(leef.attributes, [("a", "1|2"), ("b", "3")]);
        assert_eq!(parse("LEEF:2.0|v|p|1|e|a=1").unwrap().attributes, [("a", "1")]);
        assert_eq!(parse("LEEF:2.0|v|p|1|e|").unwrap().attributes, []);
    }

    #[test]
    fn a_delimiter_inside_a_value_loses_nothing() {
        let leef = parse("LEEF:2.0|v|p|1|e|^|a=1^^2^b=ü^").unwrap();
        assert_eq!(leef.attributes, [("a", "1^^2"), ("b", "ü")]);
    }

    #[test]
    fn what_is_no_leef_says_why() {
        for (text, part) in [
            ("", "`LEEF:`"),
            ("CEF:0|a", "`LEEF:`"),
            ("LEEF:1.0", "version"),
            ("LEEF:1.0|v|p|1|e", "event ID"),
            ("LEEF:3.0|v|p|1|e|", "`3.0`"),
            ("LEEF:2.0|v|p|1|e|xZZ|a=1", "`xZZ`"),
            ("LEEF:2.0|v|p|1|e|xD800|a=1", "`xD800`"),
            ("LEEF:2.0|v|p|1|e|x123456|a=1", "delimiter"),
            ("LEEF:1.0|v|p|1|e|text", "`text`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn hostile_texts_take_one_pass() {
        let n = 1 << 19;
        assert_eq!(parse(&format!("LEEF:1.0|||||{}", "a=\t".repeat(n))).unwrap().attributes.len(), n);
        assert_eq!(parse(&format!("LEEF:1.0|||||a={}", "\tb".repeat(n))).unwrap().attributes.len(), 1);
        assert!(parse(&"LEEF:".repeat(n)).is_err());
        assert!(parse(&"LEEF:2.0|".repeat(n)).is_err());
    }
}
