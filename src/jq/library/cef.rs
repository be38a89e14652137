//! `ArcSight` Common Event Format: `CEF:0|vendor|product|version|class|name|severity|key=value …`.
//!
//! After the Micro Focus guide "Implementing `ArcSight` Common Event Format", revisions 16 to 26.
//! A header escapes `|` and `\`, an extension `=` and `\`, and writes line breaks as `\n` and `\r`.
//! Values hold plain spaces, so a value ends where the next ` key=` begins.
//!
//! Limits: a `key=` inside a value, behind a space and not escaped, begins a new pair, since nothing
//! tells the two apart. White space before the next key is not part of a value. A backslash before
//! any other character stays. Custom labels (`cs1Label`) are pairs like the others.

use std::borrow::Cow;

use super::text::{excerpt, split_at_marker, unescape};

/// One CEF event. The fields are named as their keys in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jq) struct Cef<'a> {
    /// What stood before `CEF:`, mostly a syslog header. No key of the object.
    pub(in crate::jq) prefix: &'a str,
    /// Version of the format, 0 or 1.
    pub(in crate::jq) cef_version: u32,
    /// Who made the sender.
    pub(in crate::jq) device_vendor: Cow<'a, str>,
    /// What the sender is.
    pub(in crate::jq) device_product: Cow<'a, str>,
    /// Version of the sender.
    pub(in crate::jq) device_version: Cow<'a, str>,
    /// The kind of event.
    pub(in crate::jq) device_event_class_id: Cow<'a, str>,
    /// The kind of event for humans.
    pub(in crate::jq) name: Cow<'a, str>,
    /// 0 to 10, or a word like `High`, as written.
    pub(in crate::jq) severity: Cow<'a, str>,
    /// Pairs in the order of the text. A key may repeat.
    pub(in crate::jq) extensions: Vec<(&'a str, Cow<'a, str>)>,
}

/// Parses the first CEF event of the text, with or without a syslog header before it.
pub(in crate::jq) fn parse(text: &str) -> Result<Cef<'_>, String> {
    let Some((prefix, rest)) = split_at_marker(text, "CEF:") else {
        return Err(format!("{} is no CEF: it must hold `CEF:` and a version", excerpt(text)));
    };
    let mut rest = Some(rest);
    let version = header(&mut rest, "version")?;
    let cef_version = version
        .trim()
        .parse()
        .map_err(|_| format!("the CEF version must be a number such as 0, not {}", excerpt(&version)))?;
    Ok(Cef {
        prefix,
        cef_version,
        device_vendor: header(&mut rest, "device vendor")?,
        device_product: header(&mut rest, "device product")?,
        device_version: header(&mut rest, "device version")?,
        device_event_class_id: header(&mut rest, "device event class ID")?,
        name: header(&mut rest, "name")?,
        severity: header(&mut rest, "severity")?,
        extensions: extensions(rest.unwrap_or_default())?,
    })
}

/// Takes a field up to the next `|` that is not escaped, or up to the end of the text: senders
/// without extensions leave the last bar out.
fn header<'a>(rest: &mut Option<&'a str>, name: &str) -> Result<Cow<'a, str>, String> {
    let Some(text) = *rest else {
        return Err(format!("the CEF header ends before its {name}: it has seven fields, each behind a `|`"));
    };
    let mut escaped = false;
    let end = text.bytes().position(|b| {
        let bar = b == b'|' && !escaped;
        escaped = b == b'\\' && !escaped;
        bar
    });
    *rest = end.map(|end| &text[end + 1..]);
    let field = &text[..end.unwrap_or(text.len())];
    Ok(unescape(field.trim_end_matches(['\r', '\n']), |c| matches!(c, '|' | '\\').then_some(c)))
}

/// Splits at each ` key=`. One pass: where the current word began, and whether it may be a key.
fn extensions(text: &str) -> Result<Vec<(&str, Cow<'_, str>)>, String> {
    let text = text.trim();
    let mut pairs = Vec::new();
    // the open pair: its key, and where its value begins
    let mut open: Option<(&str, usize)> = None;
    let (mut word, mut is_key, mut escaped) = (0, true, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b' ' | b'\t' => (word, is_key) = (at + 1, true),
            b'=' if !escaped && is_key && at > word => {
                if let Some((key, value)) = open {
                    pairs.push((key, self::value(&text[value..word])));
                } else if word > 0 {
                    return Err(stray(&text[..word]));
                }
                open = Some((&text[word..at], at + 1));
                is_key = false;
            }
            _ => is_key &= key_byte(byte),
        }
        escaped = byte == b'\\' && !escaped;
    }
    match open {
        Some((key, value)) => pairs.push((key, self::value(&text[value..]))),
        None if text.is_empty() => {}
        None => return Err(stray(text)),
    }
    Ok(pairs)
}

/// The guide has letters and digits; senders also write `ad.field[0]`, `_cef-x` and letters beyond
/// ASCII. What URLs are made of (`:/?&%`) is left out, so that a query in a value is no key.
fn key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']') || !byte.is_ascii()
}

fn value(text: &str) -> Cow<'_, str> {
    unescape(text.trim_end(), |c| match c {
        '=' | '\\' | '|' => Some(c),
        'n' => Some('\n'),
        'r' => Some('\r'),
        _ => None,
    })
}

fn stray(text: &str) -> String {
    format!(
        "the CEF extension begins with text that has no key: {}; write it as `msg=…`",
        excerpt(text.trim())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let text = format!("CEF:0|v|p|1|c|n|5|{text}");
        let cef = parse(&text).unwrap();
        cef.extensions.into_iter().map(|(k, v)| (k.to_owned(), v.into_owned())).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_example_of_the_guide_behind_a_syslog_header() {
        let cef = parse(concat!(
            "Sep 19 08:26:10 host CEF:0|Security|threatmanager|1.0|100|worm successfully stopped|10|",
            "src=10.0.0.1 dst=2.1.2.2 spt=1232"
        ))
        .unwrap();
        assert_eq!(cef.prefix, "Sep 19 08:26:10 host");
        assert_eq!((cef.cef_version, &*cef.device_vendor, &*cef.severity), (0, "Security", "10"));
        assert_eq!(cef.name, "worm successfully stopped");
        assert_eq!(cef.extensions.len(), 3);
        assert_eq!(cef.extensions[2], ("spt", "1232".into()));
    }

    #[test]
    fn a_header_escapes_bars_and_backslashes() {
        let cef = parse(r"<134>CEF:1|a\|b|c\\|d\e|f|g=h|High|").unwrap();
        assert_eq!((&*cef.device_vendor, &*cef.device_product), ("a|b", r"c\"));
        assert_eq!((&*cef.device_version, &*cef.name, &*cef.severity), (r"d\e", "g=h", "High"));
        assert_eq!(cef.cef_version, 1);
        assert!(cef.extensions.is_empty());
    }

    #[test]
    fn values_hold_spaces_and_escapes() {
        assert_eq!(
            pairs(r"foo=bar path=c:\\program files\\x (|) has \= to\nus  baz=0"),
            owned(&[("foo", "bar"), ("path", "c:\\program files\\x (|) has = to\nus"), ("baz", "0")])
        );
        assert_eq!(
            pairs(r"msg=a\=b c\=d end=1 file=C:\temp\new"),
            owned(&[("msg", "a=b c=d"), ("end", "1"), ("file", "C:\\temp\new")])
        );
    }

    #[test]
    fn an_equal_sign_that_ends_no_key_stays_in_the_value() {
        assert_eq!(
            pairs("request=http://x/?a=b&c=d e=f=g = h"),
            owned(&[("request", "http://x/?a=b&c=d"), ("e", "f=g = h")])
        );
    }

    #[test]
    fn keys_as_senders_write_them() {
        assert_eq!(
            pairs("ad.x[0]=1 cs1Label=Größe größe= cs1=ü a=1 a=2"),
            owned(&[
                ("ad.x[0]", "1"),
                ("cs1Label", "Größe"),
                ("größe", ""),
                ("cs1", "ü"),
                ("a", "1"),
                ("a", "2")
            ])
        );
    }

    #[test]
    fn short_events() {
        assert_eq!(parse("CEF:0|v|p|1|c|n|5").unwrap().severity, "5");
        assert_eq!(parse("CEF:0|v|p|1|c|n|5\r\n").unwrap().severity, "5");
        assert_eq!(parse("CEF:0||||||").unwrap().extensions, []);
        assert!(pairs(" \r\n").is_empty());
    }

    #[test]
    fn what_is_no_cef_says_why() {
        for (text, part) in [
            ("", "`CEF:`"),
            ("hello", "`CEF:`"),
            ("CEF:0", "device vendor"),
            ("CEF:0|v|p|1|c|n", "severity"),
            ("CEF:0x|v|p|1|c|n|5|", "`0x`"),
            ("CEF:99999999999|v|p|1|c|n|5|", "version"),
            ("CEF:0|v|p|1|c|n|5|free text a=b", "`free text`"),
            ("CEF:0|v|p|1|c|n|5|free text", "`free text`"),
            ("CEF:0|v|p|1|c|n|5|=b", "no key"),
            (r"CEF:0|v\", "device product"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn hostile_texts_take_one_pass() {
        let n = 1 << 19;
        assert_eq!(pairs(&"a=".repeat(n)).len(), 1);
        assert_eq!(pairs(&"a= ".repeat(n)).len(), n);
        assert_eq!(pairs(&format!("k={}", "\\".repeat(n))).len(), 1);
        assert_eq!(pairs(&format!("k={}x", " ".repeat(n)))[0].1.len(), n + 1);
        assert_eq!(pairs("k=\u{0}\u{7}")[0].1, "\u{0}\u{7}");
        assert!(parse(&"CEF:0|".repeat(n)).unwrap_err().contains("no key"));
        assert!(parse(&"CEF:".repeat(n)).is_err());
    }
}
