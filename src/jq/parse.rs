//! Validated JSON text to jaq's values.
//!
//! The text has passed [`crate::event::json::validate`], so nothing here can fail; and its strings
//! are slices of the text, not copies. jaq's own parser checks and copies again.

use bytes::Bytes;
use jaq_json::{Map, Num, Rc, Val, read};

/// Members that an object is given room for at once.
const MEMBERS: usize = 8;

/// Parses a valid JSON text. Recursion is bounded by the depth that the validation allowed.
pub(super) fn parse(text: &Bytes) -> Val {
    let mut parser = Parser { text, at: 0 };
    parser.value()
}

struct Parser<'t> {
    text: &'t Bytes,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> u8 {
        // validated text does not end inside a value
        self.text.get(self.at).copied().unwrap_or(b'0')
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Val {
        self.space();
        match self.peek() {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => Val::utf8_str(self.string()),
            b't' => self.word(4, Val::Bool(true)),
            b'f' => self.word(5, Val::Bool(false)),
            b'n' => self.word(4, Val::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, length: usize, value: Val) -> Val {
        self.at += length;
        value
    }

    fn object(&mut self) -> Val {
        let mut members = Map::default();
        self.at += 1;
        self.space();
        if self.peek() != b'}' {
            members.reserve(MEMBERS);
        }
        while self.peek() != b'}' && self.at < self.text.len() {
            let key = Val::utf8_str(self.string());
            self.space();
            self.at += 1;
            let value = self.value();
            // of equal keys the last one wins, at the place of the first
            members.insert(key, value);
            self.separator();
        }
        self.at += 1;
        Val::obj(members)
    }

    fn array(&mut self) -> Val {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        while self.peek() != b']' && self.at < self.text.len() {
            items.push(self.value());
            self.separator();
        }
        self.at += 1;
        Val::Arr(Rc::new(items))
    }

    /// Moves over a comma and the space around it.
    fn separator(&mut self) {
        self.space();
        if self.peek() == b',' {
            self.at += 1;
            self.space();
        }
    }

    fn string(&mut self) -> Bytes {
        self.at += 1;
        let start = self.at;
        let rest = &self.text[start..];
        let end = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        if rest.get(end) != Some(&b'\\') {
            self.at = start + end + 1;
            return self.text.slice(start..start + end);
        }
        self.escaped(start)
    }

    #[cold]
    fn escaped(&mut self, start: usize) -> Bytes {
        let mut out = Vec::new();
        let mut at = start;
        loop {
            let rest = &self.text[at..];
            let plain = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            out.extend_from_slice(&rest[..plain]);
            at += plain;
            if self.text.get(at) != Some(&b'\\') {
                self.at = at + 1;
                return out.into();
            }
            let escape = self.text.get(at + 1).copied().unwrap_or(b'\\');
            at += 2;
            match escape {
                b'b' => out.push(0x08),
                b'f' => out.push(0x0c),
                b'n' => out.push(b'\n'),
                b'r' => out.push(b'\r'),
                b't' => out.push(b'\t'),
                b'u' => {
                    let mut unit = self.hex4(at);
                    at += 4;
                    if (0xd800..0xdc00).contains(&unit) {
                        let low = self.hex4(at + 2);
                        at += 6;
                        unit = 0x10000 + ((unit - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
                    }
                    let c = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                other => out.push(other),
            }
        }
    }

    fn hex4(&self, at: usize) -> u32 {
        let digits = self.text.get(at..at + 4).unwrap_or_default();
        digits.iter().fold(0, |unit, digit| unit << 4 | (*digit as char).to_digit(16).unwrap_or(0))
    }

    fn number(&mut self) -> Val {
        let start = self.at;
        let mut is_integer = true;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'0'..=b'9' | b'-' => {}
                b'.' | b'e' | b'E' | b'+' => is_integer = false,
                _ => break,
            }
            self.at += 1;
        }
        // a byte that starts no value would never be passed; validated text has none
        if self.at == start {
            self.at = self.text.len();
        }
        let digits = &self.text[start..self.at];
        if is_integer && digits.len() <= 18 && digits != b"-0" {
            let (negative, digits) = match digits.strip_prefix(b"-") {
                Some(rest) => (true, rest),
                None => (false, digits),
            };
            let number = digits.iter().fold(0_isize, |number, digit| number * 10 + isize::from(digit & 15));
            return Val::Num(Num::Int(if negative { -number } else { number }));
        }
        if digits == b"-0" {
            // an integer would lose the sign
            return Val::Num(Num::Dec(Rc::new("-0".to_owned())));
        }
        Val::Num(read::parse_single_num(digits).unwrap_or(Num::Float(f64::NAN)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::validate;
    use proptest::prelude::*;

    fn same(text: &str) {
        let mine = parse(&Bytes::copy_from_slice(text.as_bytes()));
        let theirs = read::parse_single(text.as_bytes()).unwrap();
        assert_eq!(format!("{mine:?}"), format!("{theirs:?}"), "{text}");
    }

    #[test]
    fn agrees_with_jaqs_parser() {
        for text in [
            " { } ",
            "[ ]",
            "[1, -2 ,3.10,1e5,-1,0]",
            "123456789012345678",
            "1234567890123456789012",
            "-9223372036854775808",
            r#""a\"b\\c\/\b\f\n\r\t\u00e9\ud83d\ude00""#,
            "{\"a\":{\"b\":[true,false,null]},\"a\":1}",
            "\"\"",
            "\"é\"",
            "1.10",
            "[[[]],{}]",
        ] {
            same(text);
        }
    }

    proptest! {
        #[test]
        fn agrees_on_anything_valid(text in "[\\[\\]{}:,\" \\\\nu0-9.eE\\-a]{0,16}|(\\{\"[a-c]\":[\\[{\"0-9.\\]},: ]{0,9}\\})") {
            // -0 keeps its sign here
            if validate(text.as_bytes(), 512).is_ok() && !text.contains("-0") {
                same(&text);
            }
        }
    }
}
