//! What a leaf is replaced by to see where it goes: another value of its type and shape that stands
//! nowhere else, so that a transform takes the same way with it as far as that can be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::DateTime;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::event::json::Scalar;

/// Seconds by which a time is moved: every digit of the clock is another one.
const SHIFT: i64 = 11 * 3600 + 17 * 60 + 23;

/// Milliseconds of a second.
const SECOND: i64 = 1000;

/// The longest text that is a time and not one that has a time in it.
const LONGEST_TIME: usize = 40;

/// Another value for a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentinel {
    /// Its JSON text.
    pub(super) json: String,
    /// Texts one of which an output holds if the leaf arrives there; in lower case.
    needles: Vec<String>,
    /// Milliseconds by which a time was moved.
    shift: Option<i64>,
    /// Whether true became false, or false true.
    is_flip: bool,
}

impl Sentinel {
    /// Another value for the leaf with this JSON text; `None` for null, which has nothing to arrive.
    /// `attempt` makes yet another one.
    pub(super) fn of(kind: Scalar, json: &[u8], path: &str, attempt: u64) -> Option<Self> {
        let make = Make { seed: xxh3_64_with_seed(path.as_bytes(), attempt) };
        match kind {
            Scalar::Null => None,
            Scalar::True => Some(Self::flipped("false")),
            Scalar::False => Some(Self::flipped("true")),
            Scalar::Integer | Scalar::Decimal => Some(make.number(std::str::from_utf8(json).ok()?)),
            Scalar::Plain | Scalar::Escaped => {
                let text: String = serde_json::from_slice(json).ok()?;
                let mut made = make.text(&text);
                made.json = Value::from(made.json).to_string();
                Some(made)
            }
        }
    }

    fn flipped(json: &str) -> Self {
        Sentinel { json: json.to_owned(), needles: Vec::new(), shift: None, is_flip: true }
    }

    fn found_by(json: String, needles: &[&str]) -> Self {
        let needles = needles.iter().map(|needle| needle.to_lowercase()).collect();
        Sentinel { json, needles, shift: None, is_flip: false }
    }

    /// Whether one of its texts stands in another text, so that it would be found where it is not.
    pub(super) fn occurs_in(&self, text: &str) -> bool {
        self.shift.is_none() && self.needles.iter().any(|needle| holds(text, needle))
    }

    /// Whether it stands in a text, which is in lower case.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.needles.iter().any(|needle| holds(text, needle))
    }

    /// Whether what was `before` in the outputs became `after` because of it: the same time moved, the
    /// same flag turned over.
    pub(super) fn explains(&self, before: &str, after: &str) -> bool {
        if before == after {
            return false;
        }
        if self.is_flip {
            return is_flip_of(before, after) || is_flip_of(after, before);
        }
        let Some(shift) = self.shift else { return false };
        if let (Ok(before), Ok(after)) = (before.parse::<f64>(), after.parse::<f64>()) {
            // parts of a millisecond may go, but nothing more
            let moved = after - before;
            return [moved, moved * SECOND as f64].iter().any(|moved| (moved - shift as f64).abs() < 1.0);
        }
        let instant = |text: &str| {
            let text: String = serde_json::from_str(text).ok()?;
            DateTime::parse_from_rfc3339(&text).ok()
        };
        match (instant(before), instant(after)) {
            (Some(before), Some(after)) => {
                let millis = |time: DateTime<_>| time.timestamp_millis();
                (millis(after) - millis(before)).abs_diff(shift) <= 1
            }
            _ => false,
        }
    }
}

/// Whether a text holds another one. Digits have to stand for themselves: `4711` is not in `147110`.
fn holds(text: &str, needle: &str) -> bool {
    let is_digits = needle.bytes().all(|byte| byte.is_ascii_digit());
    text.match_indices(needle).any(|(at, _)| {
        let before = text[..at].bytes().next_back();
        let after = text[at + needle.len()..].bytes().next();
        !is_digits || ![before, after].iter().flatten().any(u8::is_ascii_digit)
    })
}

/// Whether one text is the other with one `true` in the place of a `false`.
fn is_flip_of(truth: &str, lie: &str) -> bool {
    truth.match_indices("true").any(|(at, _)| {
        lie.get(..at) == Some(&truth[..at])
            && lie.get(at..).and_then(|rest| rest.strip_prefix("false")) == Some(&truth[at + 4..])
    })
}

/// Makes values out of a seed.
struct Make {
    seed: u64,
}

impl Make {
    /// A word that is in no text by chance.
    fn word(&self, number: u64) -> String {
        const LETTERS: &[u8; 16] = b"bcdfghjkmnpqrstv";
        let bits = xxh3_64_with_seed(&self.seed.to_le_bytes(), number);
        let letters = (0..10).map(|at| LETTERS[(bits >> (4 * at) & 15) as usize] as char);
        format!("zq{}", letters.collect::<String>())
    }

    fn digits(&self, length: usize, number: u64) -> String {
        let mut text = String::with_capacity(length);
        let mut bits = xxh3_64_with_seed(&self.seed.to_le_bytes(), 100 + number);
        // not a zero in front, and below 65536 if there are five
        text.push(char::from(b'4' + (bits % 2) as u8));
        while text.len() < length {
            bits = bits.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            text.push(char::from(b'0' + ((bits >> 32) % 10) as u8));
        }
        text
    }

    fn hex(&self, length: usize) -> String {
        let mut text = String::with_capacity(length + 16);
        let mut number = 200;
        while text.len() < length {
            text += &format!("{:016x}", xxh3_64_with_seed(&self.seed.to_le_bytes(), number));
            number += 1;
        }
        text.truncate(length);
        text
    }

    fn number(&self, text: &str) -> Sentinel {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.integer(digits);
        }
        let new = format!("{}.5", self.digits(5, 0));
        Sentinel::found_by(new.clone(), &[&new])
    }

    /// Another integer: another moment if it looks like one, in the range of ports if it is small.
    fn integer(&self, digits: &str) -> Sentinel {
        if let Ok(number) = digits.parse::<i64>()
            && digits.starts_with(['1', '2'])
        {
            let moved = match digits.len() {
                10 => Some((number + SHIFT, SHIFT * SECOND)),
                13 => {
                    let new = (number / SECOND + SHIFT) * SECOND + turned(number % SECOND);
                    Some((new, new - number))
                }
                _ => None,
            };
            if let Some((new, shift)) = moved {
                let new = new.to_string();
                return Sentinel { shift: Some(shift), ..Sentinel::found_by(new.clone(), &[&new]) };
            }
        }
        let new = self.digits(digits.len().clamp(5, 30), 0);
        Sentinel::found_by(new.clone(), &[&new])
    }

    /// Another text; its JSON is still to be made of it.
    fn text(&self, text: &str) -> Sentinel {
        if matches!(text, "true" | "false") {
            return Sentinel::flipped(if text == "true" { "false" } else { "true" });
        }
        if text.starts_with(['{', '['])
            && let Ok(mut value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text)
        {
            let word = self.word(0);
            replace_within(&mut value, &word);
            return Sentinel::found_by(value.to_string(), &[&word]);
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.integer(text);
        }
        if let Some(moved) = moved(text) {
            return moved;
        }
        if let Some((address, rest)) = address(text) {
            let new = self.address(address);
            return Sentinel::found_by(format!("{new}{rest}"), &[&new]);
        }
        if text.contains(char::is_whitespace) {
            let word = self.word(0);
            return Sentinel::found_by(format!("{text} {word}"), &[&word]);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return self.url(scheme, rest);
        }
        if let Some((local, domain)) = text.split_once('@')
            && !local.is_empty()
            && domain.contains('.')
        {
            let word = self.word(0);
            return Sentinel::found_by(format!("{word}@{domain}"), &[&word]);
        }
        if let Some(new) = self.host(text) {
            return new;
        }
        match text.rfind([':', '/']).map(|at| text.split_at(at + 1)) {
            // the name of a thing in a space of names: another thing there
            Some((space, last)) if !last.is_empty() => {
                let new = self.id(last);
                Sentinel::found_by(format!("{space}{new}"), &[&new])
            }
            _ => {
                let new = self.id(text);
                Sentinel::found_by(new.clone(), &[&new])
            }
        }
    }

    /// Another id of the same shape, another word if it has none.
    fn id(&self, text: &str) -> String {
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let groups: Vec<&str> = text.split('-').collect();
        if groups.len() == 5 && text.len() == 36 && groups.iter().all(|group| is_hex(group)) {
            let hex = self.hex(32);
            return [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        }
        if (16..=128).contains(&text.len()) && is_hex(text) {
            return self.hex(text.len());
        }
        self.word(0)
    }

    fn address(&self, old: IpAddr) -> String {
        let bits = self.seed;
        let last = (bits % 250 + 2) as u8;
        match old {
            IpAddr::V4(old) if old.is_private() => {
                Ipv4Addr::new(10, 213, (bits >> 8) as u8, last).to_string()
            }
            IpAddr::V4(_) => Ipv4Addr::new(203, 0, 113, last).to_string(),
            IpAddr::V6(_) => {
                let part = |at: u32| (bits >> (16 * at)) as u16 | 0x1000;
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, part(0), part(1), part(2), part(3)).to_string()
            }
        }
    }

    fn url(&self, scheme: &str, rest: &str) -> Sentinel {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, page) = (self.word(0), self.word(1));
        let domain = host.split_once('.').map_or("example.net", |(_, domain)| domain);
        let path = path.trim_end_matches('/');
        let path = match path.rsplit_once('/') {
            Some((folder, _)) => format!("/{folder}/{page}"),
            None => format!("/{page}"),
        };
        Sentinel::found_by(format!("{scheme}://{name}.{domain}{path}"), &[&name, &page])
    }

    /// Another host in the same domain, if it is a host, perhaps with a port.
    fn host(&self, text: &str) -> Option<Sentinel> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (host, &text[host.len()..])
            }
            _ => (text, ""),
        };
        let (_, domain) = host.split_once('.')?;
        let is_host =
            host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
                && domain.bytes().any(|byte| byte.is_ascii_alphabetic());
        let name = self.word(0);
        is_host.then(|| Sentinel::found_by(format!("{name}.{domain}{port}"), &[&name]))
    }
}

/// Puts a word into a value in the place of its first text, or beside what it has.
fn replace_within(value: &mut Value, word: &str) {
    if let Some(text) = first_text(value) {
        word.clone_into(text);
        return;
    }
    match value {
        Value::Object(members) => drop(members.insert(word.to_owned(), Value::from(word))),
        Value::Array(items) => items.push(Value::from(word)),
        _ => {}
    }
}

fn first_text(value: &mut Value) -> Option<&mut String> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(items) => items.iter_mut().find_map(first_text),
        Value::Object(members) => members.values_mut().find_map(first_text),
        _ => None,
    }
}

/// An address at the beginning of a text, with a length of a network or a port after it.
fn address(text: &str) -> Option<(IpAddr, &str)> {
    if let Ok(address) = text.parse() {
        return Some((address, ""));
    }
    let at = text.find('/').or_else(|| text.rfind(':'))?;
    let (front, rest) = text.split_at(at);
    let is_number = rest.len() > 1 && rest[1..].bytes().all(|byte| byte.is_ascii_digit());
    let address: IpAddr = front.parse().ok()?;
    (is_number && (rest.starts_with('/') || address.is_ipv4())).then_some((address, rest))
}

/// Other milliseconds: each of their digits is another one.
fn turned(millis: i64) -> i64 {
    (millis + 500) % 1000 / 100 * 100 + (millis + 50) % 100 / 10 * 10 + (millis + 5) % 10
}

/// A text that is a time, moved by changing its clock and its fraction of a second, if it has one. What it
/// says of its day and its zone stays.
fn moved(text: &str) -> Option<Sentinel> {
    let bytes = text.as_bytes();
    if text.len() > LONGEST_TIME || !text.is_ascii() {
        return None;
    }
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let has_year = (0..bytes.len()).any(|at| (at..at + 4).all(digit));
    let clock = (0..bytes.len()).find(|at| {
        let pairs = [0, 3, 6].iter().all(|pair| digit(at + pair) && digit(at + pair + 1));
        pairs && bytes[at + 2] == b':' && bytes[at + 5] == b':' && !digit(at + 8)
    })?;
    if !has_year || (clock > 0 && !matches!(bytes[clock - 1], b'T' | b't' | b' ')) {
        return None;
    }
    let part = |at: usize| text[at..at + 2].parse::<i64>().ok();
    let before = part(clock)? * 3600 + part(clock + 3)? * 60 + part(clock + 6)?;
    let after = (before + SHIFT) % 86_400;
    let new = format!("{:02}:{:02}:{:02}", after / 3600, after / 60 % 60, after % 60);
    let rest = &text[clock + 8..];
    let digits = match rest.strip_prefix(['.', ',']) {
        Some(fraction) => fraction.bytes().take_while(u8::is_ascii_digit).count(),
        None => 0,
    };
    let mut shift = (after - before) * SECOND;
    let mut fraction = String::new();
    if digits > 0 {
        let (old, beyond) = rest[1..=digits].split_at(digits.min(3));
        // `.6` is 600 ms, and stays a single digit
        let millis: i64 = format!("{old:0<3}").parse().ok()?;
        let unit = 10_i64.pow(3 - old.len() as u32);
        let new = turned(millis) / unit * unit;
        shift += new - millis;
        fraction = format!("{}{}{beyond}", &rest[..1], &format!("{new:03}")[..old.len()]);
    }
    let json = format!("{}{new}{fraction}{}", &text[..clock], &rest[fraction.len()..]);
    Some(Sentinel { shift: Some(shift), ..Sentinel::found_by(json.clone(), &[&json]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Sentinel {
        let kind = match json.as_bytes()[0] {
            b'"' => Scalar::Escaped,
            b't' => Scalar::True,
            b'f' => Scalar::False,
            _ if json.contains('.') => Scalar::Decimal,
            _ => Scalar::Integer,
        };
        Sentinel::of(kind, json.as_bytes(), "a", 0).unwrap()
    }

    fn text(old: &str) -> String {
        serde_json::from_str(&of(&Value::from(old).to_string()).json).unwrap()
    }

    #[test]
    fn shapes_are_kept() {
        for old in ["198.51.100.7", "10.1.2.3", "2001:db8::1"] {
            let new: IpAddr = text(old).parse().unwrap();
            let old: IpAddr = old.parse().unwrap();
            assert!(new != old && new.is_ipv4() == old.is_ipv4());
        }
        assert!(text("198.51.100.0/24").ends_with("/24") && text("198.51.100.7:27017").ends_with(":27017"));
        let id = text("65f1a0c2b3d4e5f60718293a");
        assert!(id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        let uuid = text("6f9619ff-8b86-d011-b42d-00c04fc964ff");
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(text("ada@example.com").ends_with("@example.com"));
        assert!(text("https://a.example.com/b/c?d").starts_with("https://zq"));
        assert!(text("node-1.db.example.net:27017").ends_with(".db.example.net:27017"));
        assert!(text("ari:cloud:identity::user/557058").starts_with("ari:cloud:identity::user/zq"));
        assert!(text("a few words").starts_with("a few words zq"));
        assert!(text("WORD").starts_with("zq"));
        assert_eq!(text("true"), "false");
        let json: Value = serde_json::from_str(&text("{\"n\": 1, \"a\": [\"b\"]}")).unwrap();
        assert!(json["n"] == 1 && json["a"][0].as_str().unwrap().starts_with("zq"));
        assert_eq!(of("27017").json.len(), 5);
        assert!(of("3").json.parse::<u16>().is_ok());
        assert!(of("1.25").json.contains('.'));
        assert_eq!(Sentinel::of(Scalar::Null, b"null", "a", 0), None);
    }

    #[test]
    fn times_are_moved_and_known_in_every_form() {
        let moved = of("\"2026-01-02T23:04:05.678Z\"");
        assert_eq!(moved.json, "\"2026-01-02T10:21:28.123Z\"");
        assert!(
            moved.explains("1767395045678", "1767349288123")
                && moved.explains("1767395045.678", "1767349288.123")
        );
        assert!(moved.explains("\"2026-01-03T00:04:05.678+01:00\"", "\"2026-01-02T11:21:28.123+01:00\""));
        assert!(!moved.explains("1767395045678", "1767395045679"));
        assert_eq!(text("Fri Jan  2 03:04:05 UTC 2026"), "Fri Jan  2 14:21:28 UTC 2026");
        assert_eq!(of("1767395045678").json, "1767435688123");
        assert!(of("1767395045").explains("1767395045000", "1767435688000"));
    }

    #[test]
    fn lost_milliseconds_are_not_explained() {
        let moved = of("\"2026-01-02T23:04:05.678Z\"");
        assert!(
            !moved.explains("1767395045", "1767349288") && !moved.explains("1767395045000", "1767349288000")
        );
        assert!(!moved.explains("\"2026-01-02T23:04:05Z\"", "\"2026-01-02T10:21:28Z\""));
        let number = of("1767395045678");
        assert!(
            !number.explains("1767395045", "1767435688")
                && number.explains("1767395045.678", "1767435688.123")
        );
        for (old, new) in [
            ("2026-01-02T03:04:05.6Z", "2026-01-02T14:21:28.1Z"),
            ("2026-01-02T03:04:05.000+01:00", "2026-01-02T14:21:28.555+01:00"),
            ("2026-01-02 03:04:05,678901", "2026-01-02 14:21:28,123901"),
            ("2026-01-02T03:04:05Z", "2026-01-02T14:21:28Z"),
        ] {
            assert_eq!(text(old), new);
        }
        let micros = of("\"2026-01-02T03:04:05.678901Z\"");
        assert!(micros.explains("1767323045678", "1767363688123"), "a millisecond is what a time has here");
    }

    #[test]
    fn flags_are_known_in_longer_texts() {
        let flip = of("true");
        assert_eq!(flip.json, "false");
        assert!(flip.explains("\"{\\\"a\\\":true,\\\"b\\\":true}\"", "\"{\\\"a\\\":true,\\\"b\\\":false}\""));
        assert!(!flip.explains("\"truest\"", "\"other\"") && !flip.explains("1", "2"));
    }

    #[test]
    fn digits_stand_for_themselves() {
        assert!(holds("x-4711-y", "4711") && !holds("147110", "4711") && holds("azqb", "zq"));
    }
}
