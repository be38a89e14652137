//! Hiding what must not leave: all but the end of a text, or what looks like a secret inside it.
//!
//! [`redact`] knows kinds of data by shape. Limits: shapes err on both sides. A word behind
//! `bearer` goes even in prose, and so does a version such as `1.2.3.4`. Letters beyond ASCII end an
//! email, one without a dot in its domain stays, and so does a card number that fails its Luhn check
//! or begins with none of 2 to 6, as no card does. Only what these kinds name is hidden: test with your data.
//!
//! Each kind is one pass. No pattern can look far ahead for a match that it then does not take, so
//! that a hostile text does not make the passes quadratic.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::text::excerpt;

/// Kinds of [`redact`], in the order in which they are looked for: what holds others comes first.
pub(in crate::jq) const KINDS: [&str; 8] =
    ["jwt", "bearer", "aws_key", "email", "ipv6", "ipv4", "credit_card", "ssn"];

/// Replaces each character by `*`, except for the last ones.
///
/// A text that is no longer than what would be kept is hidden whole: it would hide nothing.
pub(in crate::jq) fn mask(text: &str, keep_last_n: usize) -> String {
    let count = text.chars().count();
    let hidden = if count > keep_last_n { count - keep_last_n } else { count };
    "*".repeat(hidden).chars().chain(text.chars().skip(hidden)).collect()
}

/// Replaces data of the kinds by their names in brackets, such as `[email]`. The kinds are [`KINDS`].
pub(in crate::jq) fn redact(text: &str, kinds: &[&str]) -> Result<String, String> {
    if let Some(unknown) = kinds.iter().find(|kind| !KINDS.contains(kind)) {
        return Err(format!("unknown kind {}; the kinds are {}", excerpt(unknown), KINDS.join(", ")));
    }
    let mut text = text.to_owned();
    for (kind, pass) in KINDS.into_iter().zip(&*PASSES) {
        if kinds.contains(&kind) {
            let pattern = pass.pattern.as_ref().map_err(ToString::to_string)?;
            text = pattern.replace_all(&text, |found: &Captures<'_>| (pass.replace)(&found[0])).into_owned();
        }
    }
    Ok(text)
}

struct Pass {
    pattern: Result<Regex, regex::Error>,
    /// Gives what to write for a match; the match itself if it is none after all.
    replace: fn(&str) -> String,
}

/// In the order of [`KINDS`].
static PASSES: LazyLock<[Pass; 8]> = LazyLock::new(|| {
    let pass = |pattern: &str, replace| Pass { pattern: Regex::new(pattern), replace };
    [
        // signed tokens have three parts, encrypted ones five
        pass(r"(?-u)eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){2,4}", |_| "[jwt]".to_owned()),
        pass(r"(?i-u)\bbearer[ \t]{1,8}[A-Za-z0-9._~+/-]+=*", bearer),
        // an ID, or what stands behind the name of a secret
        pass(
            concat!(
                r"(?-u)\b(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{16}\b",
                r#"|(?i-u:secret_?access_?key["']?[ \t]{0,8}[=:][ \t]{0,8}["']?)(?-u)[A-Za-z0-9+/]{40}"#
            ),
            aws_key,
        ),
        pass(r"(?-u)[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", |_| "[email]".to_owned()),
        // runs of what an address is made of; the functions look inside
        pass(r"(?-u)[0-9A-Za-z_]*[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", ipv6),
        pass(r"(?-u)[0-9.]*[0-9]", ipv4),
        pass(r"(?-u)[0-9](?:[ -]?[0-9])+", credit_card),
        pass(r"(?-u)\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", ssn),
    ]
});

fn bearer(found: &str) -> String {
    // the word keeps its case and its space
    let end = found.rfind([' ', '\t']).map_or(0, |at| at + 1);
    format!("{}[bearer]", &found[..end])
}

fn aws_key(found: &str) -> String {
    let name = found.find(['=', ':']).map(|_| &found[..found.len() - 40]);
    format!("{}[aws_key]", name.unwrap_or_default())
}

/// Hides the address in a run: behind a word and a colon, or before punctuation, a port or a name.
fn ipv6(found: &str) -> String {
    let behind_word = found.find(':').map_or(0, |at| at + 1);
    for start in [0, behind_word] {
        let run = &found[start..];
        let ends = [
            run.len(),
            run.trim_end_matches('.').len(),
            run.strip_suffix(':').unwrap_or(run).len(),
            run.find('.').unwrap_or(run.len()),
        ];
        for end in ends {
            // `::` alone is punctuation
            if end > 2 && run[..end].parse::<Ipv6Addr>().is_ok() {
                return format!("{}[ipv6]{}", &found[..start], &run[end..]);
            }
        }
    }
    found.to_owned()
}

/// Hides each four octets in a run of digits and dots.
fn ipv4(found: &str) -> String {
    let parts: Vec<&str> = found.split('.').collect();
    let octet = |part: &&str| part.len() <= 3 && part.parse::<u8>().is_ok();
    let mut out: Vec<&str> = Vec::with_capacity(parts.len());
    let mut rest = &parts[..];
    while let Some((first, behind)) = rest.split_first() {
        if rest.len() >= 4 && rest[..4].iter().all(octet) {
            out.push("[ipv4]");
            rest = &rest[4..];
        } else {
            out.push(first);
            rest = behind;
        }
    }
    out.join(".")
}

/// Hides each card number in a run of digits with single spaces or dashes. It may begin and end at
/// any of them, since other numbers may stand beside it.
fn credit_card(found: &str) -> String {
    let bytes = found.as_bytes();
    let mut out = String::with_capacity(found.len());
    let mut start = 0;
    while start < bytes.len() {
        let group =
            |at: usize| bytes[at..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| at + n);
        let (mut digits, mut end, mut card) = (0, start, None);
        loop {
            let next = group(end);
            digits += next - end;
            if digits > 19 {
                break;
            }
            if digits >= 13 && is_card(&bytes[start..next]) {
                card = Some(next);
            }
            if next == bytes.len() {
                break;
            }
            end = next + 1;
        }
        let behind = card.unwrap_or_else(|| group(start));
        out.push_str(if card.is_some() { "[credit_card]" } else { &found[start..behind] });
        if behind < bytes.len() {
            out.push_str(&found[behind..=behind]);
        }
        start = behind + 1;
    }
    out
}

/// Whether 13 to 19 digits have a first digit of cards and the check digit of ISO/IEC 7812.
fn is_card(text: &[u8]) -> bool {
    let digits = text.iter().rev().filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(at, digit)| match at % 2 {
            0 => digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    matches!(text, [b'2'..=b'6', ..]) && sum.is_multiple_of(10)
}

/// Numbers that were never given out stay.
fn ssn(found: &str) -> String {
    let unused = found.starts_with("000") || found.starts_with("666") || found.starts_with('9');
    if unused || &found[4..6] == "00" || found.ends_with("0000") {
        found.to_owned()
    } else {
        "[ssn]".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, text: &str, expected: &str) {
        assert_eq!(redact(text, &[kind]).unwrap(), expected, "{kind}");
    }

    #[test]
    fn masks_by_character() {
        assert_eq!(mask("4111111111111111", 4), "************1111");
        assert_eq!(mask("größe", 2), "***ße");
        assert_eq!(mask("abc", 3), "***");
        assert_eq!(mask("abc", usize::MAX), "***");
        assert_eq!(mask("abc", 0), "***");
        assert_eq!(mask("", 2), "");
        assert_eq!(mask(&"é".repeat(1 << 18), 1).chars().count(), 1 << 18);
    }

    #[test]
    fn emails() {
        check("email", "user=bob.x+1@mail.example.com, <a@b.co>.", "user=[email], <[email]>.");
        check("email", "a@b @c.de x@.de root@localhost", "a@b @c.de x@.de root@localhost");
        check("email", "a@b.co@c.de", "[email]@c.de");
    }

    #[test]
    fn addresses() {
        check("ipv4", "from 10.0.0.1:80, 1.2.3.4.", "from [ipv4]:80, [ipv4].");
        check(
            "ipv4",
            "10.0.0.1.443 1.2.3 256.1.1.1 1.2.3.4-5.6.7.8",
            "[ipv4].443 1.2.3 256.1.1.1 [ipv4]-[ipv4]",
        );
        check("ipv4", "x1.2.3.4y 0001.2.3.4 256.1.1.1.1", "x[ipv4]y 0001.2.3.4 256.[ipv4]");
        check("ipv6", "[2001:db8::1]:443 ::1. fe80::1%eth0", "[[ipv6]]:443 [ipv6]. [ipv6]%eth0");
        check(
            "ipv6",
            "src:2001:db8::1: host.name:::1 ip=::ffff:1.2.3.4",
            "src:[ipv6]: host.name:[ipv6] ip=[ipv6]",
        );
        check("ipv6", "2001:db8::1.443", "[ipv6].443");
        check(
            "ipv6",
            "12:34:56 aa:bb:cc:dd:ee:ff a :: b std::fmt http://x",
            "12:34:56 aa:bb:cc:dd:ee:ff a :: b std::fmt http://x",
        );
        check("ipv6", "é::1", "é[ipv6]");
    }

    #[test]
    fn cards() {
        check("credit_card", "4111111111111111 5500-0000-0000-0004", "[credit_card] [credit_card]");
        check("credit_card", "n 12 4111 1111 1111 1111 99", "n 12 [credit_card] 99");
        check("credit_card", "378282246310005x", "[credit_card]x");
        check(
            "credit_card",
            "4111111111111112 0000000000000000 1700000000000",
            "4111111111111112 0000000000000000 1700000000000",
        );
        check("credit_card", "41111111111111110000000000000000", "41111111111111110000000000000000");
    }

    #[test]
    fn secrets() {
        check("jwt", "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_; eyJx", "t=[jwt]; eyJx");
        check("jwt", "eyJ0.a.b.c.d eyJ0.e30.", "[jwt] [jwt]");
        check("bearer", "Authorization: Bearer abc.DEF~+/==; x", "Authorization: Bearer [bearer]; x");
        check("bearer", "forbearer x bearer", "forbearer x bearer");
        check(
            "aws_key",
            "id AKIAIOSFODNN7EXAMPLE, XAKIAIOSFODNN7EXAMPLE",
            "id [aws_key], XAKIAIOSFODNN7EXAMPLE",
        );
        check(
            "aws_key",
            "{\"SecretAccessKey\": \"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\"}",
            "{\"SecretAccessKey\": \"[aws_key]\"}",
        );
        check(
            "ssn",
            "078-05-1120 000-12-3456 666-12-3456 900-12-3456",
            "[ssn] 000-12-3456 666-12-3456 900-12-3456",
        );
        check("ssn", "123-00-4567 123-45-0000 1123-45-6789", "123-00-4567 123-45-0000 1123-45-6789");
    }

    #[test]
    fn kinds_together() {
        let all = redact("Bearer eyJ0.a.b bob@1.2.3.4.de ::ffff:1.2.3.4 1.2.3.4", &KINDS).unwrap();
        assert_eq!(all, "Bearer [jwt] [email] [ipv6] [ipv4]");
        assert_eq!(redact("a@b.co", &[]).unwrap(), "a@b.co");
        let error = redact("x", &["email", "phone"]).unwrap_err();
        assert!(error.contains("`phone`") && error.contains("credit_card"), "{error}");
    }

    #[test]
    fn hostile_texts_take_linear_time() {
        let n = 1 << 14;
        for part in [
            "a@",
            "a@b.",
            "a",
            "a.",
            "eyJ",
            "eyJ.",
            "eyJa.a.",
            "bearer ",
            "bearer",
            "1",
            "1.",
            "1 ",
            "4-",
            "1-",
            ":",
            "a:",
            "::1 ",
            ".",
            "1:2.",
            "AKIA",
            "secret_access_key=",
            "078-05-",
            "é",
            "a b ",
            "1111 ",
            "1.2.3.4",
            "a@b.co",
            "x@y.z1.",
        ] {
            let text = part.repeat(n);
            let hidden = redact(&text, &KINDS).unwrap();
            assert!(hidden.len() <= 3 * text.len(), "{part}");
        }
        assert_eq!(redact("\u{0}a@b.co\u{7}", &KINDS).unwrap(), "\u{0}[email]\u{7}");
    }
}
