//! Finding a secret in all its spellings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// What every placeholder begins with.
const MARK: &str = "REDACTED_";

/// Digits of base64 that must be known of a secret, lest chance finds it.
const LEAST_BASE64: usize = 5;

/// The placeholder of a value. It needs no encoding in URLs, headers and JSON. `label` has letters in lower
/// case and `_` only.
pub(super) fn placeholder(label: &str, number: usize) -> String {
    format!("{MARK}{label}_{number}_")
}

/// The length of the placeholder that a text begins with.
pub(super) fn placeholder_length(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(MARK.as_bytes())?;
    let label = rest.iter().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'_').count();
    let digits = rest.get(label..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_one =
        label > 1 && rest[label - 1] == b'_' && digits > 0 && rest.get(label + digits) == Some(&b'_');
    is_one.then_some(MARK.len() + label + digits + 1)
}

/// How the bytes of a secret may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Plain,
    /// `%2F`, and `+` for a space.
    Percent,
    /// `%252F`
    PercentTwice,
    /// `\n`, `\u00e9`
    Json,
}

/// A run of bytes to look for.
struct Needle {
    bytes: Vec<u8>,
    /// Digits of base64, of either alphabet.
    is_base64: bool,
    /// The digit before it, and the one behind it, hold bits of the secret, too.
    has_neighbours: (bool, bool),
}

/// A text that must not be seen, and what is shown instead.
pub(super) struct Literal {
    pub(super) shown: String,
    /// Bytes of the text itself.
    pub(super) length: usize,
    needles: Vec<Needle>,
}

impl Literal {
    /// Looks for `text`; in base64 also if it may be encoded.
    pub(super) fn new(text: &str, shown: String, in_base64: bool) -> Self {
        let plain = Needle { bytes: text.into(), is_base64: false, has_neighbours: (false, false) };
        let mut needles = vec![plain];
        // what stands before the secret shifts its bits: three ways, each with digits it alone decides
        for shift in 0..if in_base64 { 3 } else { 0 } {
            let mut input = vec![0; shift];
            input.extend_from_slice(text.as_bytes());
            let digits = STANDARD_NO_PAD.encode(&input).into_bytes();
            let first = (shift * 8).div_ceil(6);
            let last = input.len() * 8 / 6;
            if let Some(core) = digits.get(first..last).filter(|core| core.len() >= LEAST_BASE64) {
                needles.push(Needle {
                    bytes: core.iter().map(|digit| folded(*digit)).collect(),
                    is_base64: true,
                    has_neighbours: (shift > 0, !(input.len() * 8).is_multiple_of(6)),
                });
            }
        }
        Literal { shown, length: text.len(), needles }
    }
}

/// The text without the literals, if it holds any. Placeholders in it stay. Of literals that begin at the
/// same place the first one wins.
pub(super) fn without<'l>(
    text: &[u8],
    literals: impl Iterator<Item = &'l Literal> + Clone,
) -> Option<Vec<u8>> {
    let has = |byte: u8| memchr::memchr(byte, text).is_some();
    let mut spellings = vec![Spelling::Plain];
    if has(b'%') || has(b'+') {
        spellings.extend([Spelling::Percent, Spelling::PercentTwice]);
    }
    if has(b'\\') {
        spellings.push(Spelling::Json);
    }
    let mut out = Vec::new();
    let mut is_changed = false;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if let Some(length) = placeholder_length(&text[at..]) {
            out.extend_from_slice(&text[at..at + length]);
            at += length;
            continue;
        }
        let needles =
            literals.clone().flat_map(|literal| literal.needles.iter().map(move |needle| (literal, needle)));
        let found =
            needles.flat_map(|pair| spellings.iter().map(move |spelling| (pair, *spelling))).find_map(
                |((literal, needle), spelling)| Some((literal, needle, needle.end(spelling, text, at)?)),
            );
        let Some((literal, needle, end)) = found else {
            out.push(*byte);
            at += 1;
            continue;
        };
        let is_digit = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte))
        };
        if needle.has_neighbours.0 && at > 0 && is_digit(out.last()) && !ends_with_placeholder(&out) {
            out.pop();
        }
        out.extend_from_slice(literal.shown.as_bytes());
        at = end + usize::from(needle.has_neighbours.1 && is_digit(text.get(end)));
        is_changed = true;
    }
    is_changed.then_some(out)
}

fn ends_with_placeholder(text: &[u8]) -> bool {
    let start = text.windows(MARK.len()).rposition(|window| window == MARK.as_bytes());
    start.is_some_and(|start| placeholder_length(&text[start..]) == Some(text.len() - start))
}

impl Needle {
    /// Where it ends, if it begins at `at`.
    fn end(&self, spelling: Spelling, text: &[u8], mut at: usize) -> Option<usize> {
        let mut rest = self.bytes.as_slice();
        if rest.is_empty() {
            return None;
        }
        while let Some(next) = rest.first() {
            let byte = *text.get(at)?;
            let percent = match spelling {
                Spelling::Percent => percent_byte(text, at, 1),
                Spelling::PercentTwice => percent_byte(text, at, 3),
                _ => None,
            };
            if let Some((byte, length)) = percent {
                if self.fold(byte) != *next {
                    return None;
                }
                (at, rest) = (at + length, &rest[1..]);
            } else if spelling == Spelling::Json && byte == b'\\' {
                let (character, length) = json_character(text, at)?;
                let mut buffer = [0; 4];
                rest = rest.strip_prefix(character.encode_utf8(&mut buffer).as_bytes())?;
                at += length;
            } else if self.fold(byte) == *next
                || (spelling != Spelling::Plain && byte == b'+' && *next == b' ')
            {
                (at, rest) = (at + 1, &rest[1..]);
            } else {
                return None;
            }
        }
        Some(at)
    }

    fn fold(&self, byte: u8) -> u8 {
        if self.is_base64 { folded(byte) } else { byte }
    }
}

/// One alphabet of base64 for both.
fn folded(digit: u8) -> u8 {
    match digit {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

/// The byte that `%hh` stands for, or `%25hh` with a mark of three bytes, and its length.
fn percent_byte(text: &[u8], at: usize, mark: usize) -> Option<(u8, usize)> {
    if text.get(at..at + mark)? != &b"%25"[..mark] {
        return None;
    }
    let digits = std::str::from_utf8(text.get(at + mark..at + mark + 2)?).ok()?;
    Some((u8::from_str_radix(digits, 16).ok()?, mark + 2))
}

/// The character that an escape of JSON stands for, and its length.
fn json_character(text: &[u8], at: usize) -> Option<(char, usize)> {
    let simple = |character| Some((character, 2));
    match *text.get(at + 1)? {
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'b' => simple('\u{8}'),
        b'f' => simple('\u{c}'),
        b'u' => {
            let unit =
                |at: usize| u16::from_str_radix(std::str::from_utf8(text.get(at..at + 4)?).ok()?, 16).ok();
            let first = unit(at + 2)?;
            if let Some(character) = char::from_u32(first.into()) {
                return Some((character, 6));
            }
            let second =
                text.get(at + 6..at + 8).filter(|escape| escape == b"\\u").and_then(|_| unit(at + 8))?;
            Some((char::decode_utf16([first, second]).next()?.ok()?, 12))
        }
        other @ (b'"' | b'\\' | b'/') => simple(char::from(other)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    fn hidden(secret: &str, text: &str) -> String {
        let literal = Literal::new(secret, placeholder("secret", 1), true);
        let out = without(text.as_bytes(), std::iter::once(&literal));
        out.map_or_else(|| text.to_owned(), |out| String::from_utf8(out).unwrap())
    }

    #[test]
    fn placeholders_are_told_from_other_text() {
        let length = |text: &str| placeholder_length(text.as_bytes());
        assert_eq!(length("REDACTED_access_token_12_3"), Some("REDACTED_access_token_12_".len()));
        for text in
            ["REDACTED_token_1", "REDACTED_1_", "REDACTED__1_", "REDACTED_token_x_", "redacted_token_1_"]
        {
            assert_eq!(length(text), None, "{text}");
        }
    }

    #[test]
    fn spellings() {
        let secret = "p/a s+s\"é😀\n";
        for text in [
            "p/a s+s\"é😀\n",
            "p%2Fa%20s%2Bs%22%C3%A9%F0%9F%98%80%0A",
            "p%2fa+s%2bs%22%c3%a9%f0%9f%98%80%0a",
            "p%252Fa%2520s%252Bs%2522%25C3%25A9%25F0%259F%2598%2580%250A",
            r#"p\/a s+s\"\u00e9\ud83d\ude00\n"#,
            r#"p/a s+s\"é😀\n"#,
        ] {
            assert_eq!(hidden(secret, &format!("<{text}>")), "<REDACTED_secret_1_>", "{text}");
        }
        assert_eq!(hidden("secret", "REDACTED_secret_1_ secret"), "REDACTED_secret_1_ REDACTED_secret_1_");
        assert_eq!(hidden("ï", "\\\u{f000}"), "\\\u{f000}");
        assert_eq!(hidden("a%25b", "a%25b a%2525b"), "REDACTED_secret_1_ REDACTED_secret_1_");
    }

    proptest! {
        #[test]
        fn base64_is_found_wherever_it_begins(
            secret in "[ -~é]{5,30}", before in "[a-z:]{0,4}", after in "[a-z:]{0,4}", is_safe: bool
        ) {
            let engine = if is_safe { &URL_SAFE } else { &STANDARD };
            let encoded = engine.encode(format!("{before}{secret}{after}"));
            let alone = engine.encode(&secret);
            let shown = hidden(&secret, &format!("x {encoded} y"));
            prop_assert!(shown.contains("REDACTED_secret_1_"), "{encoded} {shown}");
            let core = alone.trim_end_matches('=');
            prop_assert!(!shown.contains(&core[..core.len() - 1]));
            let percent: String = url::form_urlencoded::byte_serialize(encoded.as_bytes()).collect();
            prop_assert!(hidden(&secret, &percent).contains("REDACTED_secret_1_"));
        }

        #[test]
        fn any_text_is_read(secret in ".{1,5}", text in r"(.|%|\\|\\u|[0-9a-f]{4})*") {
            let shown = hidden(&secret, &text);
            if !"REDACTED_secret_1_".contains(&secret) && !text.contains(MARK) {
                prop_assert!(text.contains(&secret) <= (shown != text));
            }
        }
    }
}
