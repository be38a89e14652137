//! Forms that texts must have.
//!
//! Those of OCSF's own types are read by hand. All but the address accept exactly what the patterns
//! of the official schema accept, however odd: an UUID may stand anywhere in the text, and base64
//! must end in padding.

use std::net::{Ipv4Addr, Ipv6Addr};

use regex::bytes::{Regex, RegexBuilder};

/// A form of text.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// An IP address, parsed.
    Address,
    /// An e-mail address.
    Email,
    /// RFC 3339; the offset may be left out.
    Datetime,
    /// Text that holds an UUID.
    Uuid,
    /// Six bytes in hexadecimal, between `:` or `-`.
    Mac,
    /// Base64 of either alphabet that ends in padding.
    PaddedBase64,
    /// The pattern of a compiled schema.
    Pattern(Box<Regex>),
    /// A pattern that is no regular expression: why.
    BadPattern(Box<str>),
}

impl Form {
    /// The form of a table's name for it.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "address" => Form::Address,
            "email" => Form::Email,
            "datetime" => Form::Datetime,
            "uuid" => Form::Uuid,
            "mac" => Form::Mac,
            "padded_base64" => Form::PaddedBase64,
            _ => return None,
        })
    }

    /// The form of a compiled schema's pattern, with what the pattern language of the reference
    /// validator makes of it: bytes, and digits of ASCII.
    pub(super) fn pattern(pattern: &str) -> Self {
        match RegexBuilder::new(pattern).unicode(false).size_limit(1 << 20).build() {
            Ok(regex) => Form::Pattern(Box::new(regex)),
            Err(error) => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().trim();
                Form::BadPattern(last.trim_start_matches("error: ").into())
            }
        }
    }

    /// What to call it in a message, if it has a name.
    pub(super) fn about(&self) -> Option<&'static str> {
        Some(match self {
            Form::Address => "an IP address",
            Form::Email => "an e-mail address",
            Form::Datetime => "a date and time such as 2025-01-31T08:15:00.000Z",
            Form::Uuid => "a UUID",
            Form::Mac => "a MAC address such as 00:00:5e:00:53:01",
            Form::PaddedBase64 => "base64 that ends in padding",
            Form::Pattern(_) | Form::BadPattern(_) => return None,
        })
    }

    /// Whether a text has it. A pattern that cannot be read is held against the schema, not the text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        match self {
            Form::Address => is_address(text),
            Form::Email => is_email(bytes),
            Form::Datetime => is_datetime(bytes),
            Form::Uuid => bytes.windows(36).any(is_uuid),
            Form::Mac => is_mac(bytes),
            Form::PaddedBase64 => is_padded_base64(bytes),
            Form::Pattern(regex) => regex.is_match(bytes),
            Form::BadPattern(_) => true,
        }
    }
}

/// IPv6 addresses may name a zone: `fe80::1%eth0`.
fn is_address(text: &str) -> bool {
    if text.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let address = match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => address,
        Some(_) => return false,
        None => text,
    };
    address.parse::<Ipv6Addr>().is_ok()
}

fn is_email(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|byte| *byte == b'@') else { return false };
    let (local, domain) = (&text[..at], &text[at + 1..]);
    let Some(dot) = domain.iter().position(|byte| *byte == b'.') else { return false };
    let in_local = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+,-./=?^_`{|}~".contains(byte);
    let in_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !local.is_empty()
        && local.iter().all(in_local)
        && dot > 0
        && dot + 1 < domain.len()
        && domain.iter().all(in_domain)
}

/// Whether `text` has the bytes of `picture`, where `0` stands for any digit.
fn is_like(text: &[u8], picture: &[u8]) -> bool {
    text.len() == picture.len()
        && text.iter().zip(picture).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            _ => byte == wanted,
        })
}

fn is_datetime(text: &[u8]) -> bool {
    let Some((head, mut rest)) = text.split_at_checked(19) else { return false };
    if !is_like(&head[..10], b"0000-00-00")
        || !matches!(head[10], b'T' | b't')
        || !is_like(&head[11..], b"00:00:00")
    {
        return false;
    }
    if let Some((b'.', fraction)) = rest.split_first() {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    matches!(rest, [] | [b'Z' | b'z'])
        || matches!(rest, [b'+' | b'-', offset @ ..] if is_like(offset, b"00:00"))
}

/// Whether these 36 bytes are an UUID.
fn is_uuid(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

fn is_mac(text: &[u8]) -> bool {
    text.len() == 17
        && text.iter().enumerate().all(|(at, byte)| match at % 3 {
            2 => matches!(byte, b':' | b'-'),
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_padded_base64(text: &[u8]) -> bool {
    if text.is_empty() {
        return true;
    }
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &text[..text.len() - padding];
    let of =
        |others: [u8; 2]| digits.iter().all(|byte| byte.is_ascii_alphanumeric() || others.contains(byte));
    text.len().is_multiple_of(4) && matches!(padding, 1 | 2) && (of([b'+', b'/']) || of([b'-', b'_']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted_out(form: &str, good: &[&str], bad: &[&str]) {
        let form = Form::named(form).unwrap();
        good.iter().for_each(|text| assert!(form.matches(text), "{text}"));
        bad.iter().for_each(|text| assert!(!form.matches(text), "{text}"));
    }

    #[test]
    fn addresses_are_parsed() {
        sorted_out(
            "address",
            &["192.0.2.1", "0.0.0.0", "2001:db8::1", "::", "::ffff:192.0.2.1", "fe80::1%eth0"],
            &[
                "",
                "1a2b3c4",
                "192.0.2",
                "192.0.2.256",
                "192.0.2.1 ",
                "192.0.2.1%eth0",
                "fe80::1%",
                "01.2.3.4",
            ],
        );
    }

    #[test]
    fn emails() {
        sorted_out(
            "email",
            &["a@example.com", "a.b+c@mail.example.org", "x@a..", "o'hara@example.net"],
            &["", "Atlassian app", "a@example", "@example.com", "a@.com", "a@b@example.com", "ü@example.com"],
        );
    }

    #[test]
    fn dates() {
        sorted_out(
            "datetime",
            &["2025-01-31T08:15:00Z", "2025-01-31t08:15:00.123456+01:00", "2025-99-99T99:99:99"],
            &["", "2025-01-31", "2025-01-31 08:15:00Z", "2025-01-31T08:15:00.Z", "2025-01-31T08:15:00+0100"],
        );
    }

    #[test]
    fn hexadecimal_forms() {
        sorted_out(
            "uuid",
            &["00000000-0000-0000-0000-00000000000f", "id 00000000-0000-4000-8000-000000000000."],
            &["", "00000000000000000000000000000000", "g0000000-0000-0000-0000-00000000000"],
        );
        sorted_out(
            "mac",
            &["00:00:5e:00:53:01", "00-00:5E-00-53-ff"],
            &["", "00:00:5e:00:53", "00005e005301"],
        );
    }

    #[test]
    fn base64_wants_its_padding() {
        sorted_out(
            "padded_base64",
            &["", "aGk=", "YQ==", "-_8="],
            &["aGkh", "aGk", "a===", "+_8=", "=", "===="],
        );
    }

    #[test]
    fn a_pattern_that_is_none() {
        assert!(matches!(Form::pattern("a("), Form::BadPattern(_)));
        assert!(Form::pattern(r"^\d+$").matches("12"));
        assert!(!Form::pattern(r"^\d+$").matches("\u{0663}"));
    }
}
