//! Pairs such as `user=bob action="log in" ok`: logfmt, firewall logs, cookies.
//!
//! No standard describes them. Keys and values may stand in `"…"` or `'…'`, where `\\`, `\"`, `\'`,
//! `\n`, `\r` and `\t` are escapes and separators are plain text. A key without a separator has no
//! value. White space around keys and values is not part of them.
//!
//! Limits: the pair separator wins over the one inside a pair, so `: ` cannot stand inside pairs
//! that white space separates. A quote that is not closed is plain text, and then so is every
//! further one of its kind. Text right behind a closing quote is added to the value.

use std::borrow::Cow;

use super::text::unescape;

/// A key, and its value unless it stands alone.
pub(in crate::jq) type Pair<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// Splits a text into pairs, in the order of the text; keys may repeat.
///
/// `pair_separator` stands between pairs: `None` for any white space. `key_value_separator` stands
/// inside of them, mostly `=`. Empty separators, and equal ones, are errors.
pub(in crate::jq) fn parse_kv<'a>(
    text: &'a str,
    pair_separator: Option<&str>,
    key_value_separator: &str,
) -> Result<Vec<Pair<'a>>, String> {
    if pair_separator == Some("") || key_value_separator.is_empty() {
        return Err("a separator must not be empty; white space between pairs is the default".to_owned());
    }
    if pair_separator == Some(key_value_separator) {
        return Err("the separator of pairs and the one inside a pair must differ".to_owned());
    }
    let mut reader = Reader { text, at: 0, between: pair_separator, open: [false; 2] };
    let mut pairs = Vec::new();
    while reader.at < text.len() {
        if let Some(pair) = reader.pair(key_value_separator) {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

struct Reader<'a, 's> {
    text: &'a str,
    at: usize,
    between: Option<&'s str>,
    /// Whether a `"` and a `'` were found that nothing closes: not looked for again, or many of
    /// them would take a pass each.
    open: [bool; 2],
}

impl<'a> Reader<'a, '_> {
    /// Takes the next pair and the separator behind it. White space alone is none.
    fn pair(&mut self, inside: &str) -> Option<Pair<'a>> {
        self.space();
        if let Some(key) = self.quoted() {
            self.space_in_pair();
            if self.text[self.at..].starts_with(inside) {
                self.at += inside.len();
                return Some((key, Some(self.value())));
            }
            let (end, next) = self.piece();
            let key = join(key, &self.text[self.at..end]);
            self.at = next;
            return Some((key, None));
        }
        let (end, next) = self.piece();
        let piece = &self.text[self.at..end];
        if let Some((key, _)) = piece.split_once(inside) {
            self.at += key.len() + inside.len();
            return Some((Cow::Borrowed(key.trim()), Some(self.value())));
        }
        self.at = next;
        let key = piece.trim();
        (!key.is_empty()).then_some((Cow::Borrowed(key), None))
    }

    fn value(&mut self) -> Cow<'a, str> {
        self.space_in_pair();
        let quoted = self.quoted();
        let (end, next) = self.piece();
        let plain = self.text[self.at..end].trim_end();
        self.at = next;
        quoted.map_or(Cow::Borrowed(plain), |quoted| join(quoted, plain))
    }

    /// Where the current piece ends, and where the one behind its separator begins.
    fn piece(&self) -> (usize, usize) {
        let rest = &self.text[self.at..];
        let found = match self.between {
            Some(separator) => rest.find(separator).map(|end| (end, separator.len())),
            None => rest.char_indices().find(|(_, c)| c.is_whitespace()).map(|(end, c)| (end, c.len_utf8())),
        };
        found
            .map_or((self.text.len(), self.text.len()), |(end, width)| (self.at + end, self.at + end + width))
    }

    /// White space that separates nothing.
    fn space(&mut self) {
        while let Some(c) = self.text[self.at..].chars().next()
            && c.is_whitespace()
            && !self.between.is_some_and(|separator| self.text[self.at..].starts_with(separator))
        {
            self.at += c.len_utf8();
        }
    }

    fn space_in_pair(&mut self) {
        if self.between.is_some() {
            self.space();
        }
    }

    fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let rest = &self.text[self.at..];
        let quote = *rest.as_bytes().first()?;
        let kind = match quote {
            b'"' => 0,
            b'\'' => 1,
            _ => return None,
        };
        if self.open[kind] {
            return None;
        }
        let mut escaped = false;
        let length = rest.bytes().skip(1).position(|b| {
            let closes = b == quote && !escaped;
            escaped = b == b'\\' && !escaped;
            closes
        });
        let Some(length) = length else {
            self.open[kind] = true;
            return None;
        };
        self.at += length + 2;
        Some(unescape(&rest[1..=length], |c| match c {
            '\\' | '"' | '\'' => Some(c),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            _ => None,
        }))
    }
}

fn join<'a>(quoted: Cow<'a, str>, plain: &str) -> Cow<'a, str> {
    let plain = plain.trim_end();
    if plain.is_empty() { quoted } else { Cow::Owned(quoted.into_owned() + plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, between: Option<&str>, inside: &str, expected: &[(&str, Option<&str>)]) {
        let pairs = parse_kv(text, between, inside).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (&**key, value.as_deref())).collect();
        assert_eq!(pairs, expected, "{text}");
    }

    #[test]
    fn white_space_between_pairs() {
        check(
            "a=1  b=\"x y\"\tc='it\\'s' flag d= e=f=g a=2\n",
            None,
            "=",
            &[
                ("a", Some("1")),
                ("b", Some("x y")),
                ("c", Some("it's")),
                ("flag", None),
                ("d", Some("")),
                ("e", Some("f=g")),
                ("a", Some("2")),
            ],
        );
        check("", None, "=", &[]);
        check(" \n\u{3000}", None, "=", &[]);
        check("ключ=значение", None, "=", &[("ключ", Some("значение"))]);
        check("=v", None, "=", &[("", Some("v"))]);
    }

    #[test]
    fn other_separators() {
        check("a: 1; b : \"x;y\" ;; c", Some(";"), ":", &[("a", Some("1")), ("b", Some("x;y")), ("c", None)]);
        check("a=>1, b=>2 3", Some(", "), "=>", &[("a", Some("1")), ("b", Some("2 3"))]);
        check("a=1\nb = 2 \n", Some("\n"), "=", &[("a", Some("1")), ("b", Some("2"))]);
        check("a|1·b|2", Some("·"), "|", &[("a", Some("1")), ("b", Some("2"))]);
        check("a\t1 b\t2", Some(" "), "\t", &[("a", Some("1")), ("b", Some("2"))]);
        check("a=\nb=1", Some("\n"), "=", &[("a", Some("")), ("b", Some("1"))]);
    }

    #[test]
    fn quotes() {
        check("\"a b\"=1 'c d' \"e\"f", None, "=", &[("a b", Some("1")), ("c d", None), ("ef", None)]);
        check(
            "a=\"\" b=\"x\"y c=\"\\\\\\n\\q\"",
            None,
            "=",
            &[("a", Some("")), ("b", Some("xy")), ("c", Some("\\\n\\q"))],
        );
        // not closed: plain text, and what follows is still read
        check(
            "a='x b=\"y c=\"z z\" d=1",
            None,
            "=",
            &[("a", Some("'x")), ("b", Some("y c=z")), ("z\"", None), ("d", Some("1"))],
        );
        check("a=\"", None, "=", &[("a", Some("\""))]);
    }

    #[test]
    fn separators_that_separate_nothing_are_errors() {
        assert!(parse_kv("a", Some(""), "=").is_err());
        assert!(parse_kv("a", None, "").is_err());
        assert!(parse_kv("a", Some("="), "=").is_err());
    }

    #[test]
    fn hostile_texts_take_one_pass() {
        let n = 1 << 18;
        assert_eq!(parse_kv(&"a=\" ".repeat(n + 1), None, "=").unwrap().len(), n / 2 * 2 + 1 - n / 2);
        assert_eq!(parse_kv(&format!("x{}", "a='".repeat(n)), None, "=").unwrap().len(), 1);
        assert_eq!(parse_kv(&"a=\\\" ".repeat(n), None, "=").unwrap().len(), n);
        assert_eq!(parse_kv(&"a ".repeat(n), None, "=").unwrap().len(), n);
        assert!(parse_kv(&";".repeat(n), Some(";"), "=").unwrap().is_empty());
        assert!(parse_kv(&" ".repeat(n), Some(";"), "=").unwrap().is_empty());
        assert_eq!(parse_kv("a=\u{0}\u{1b}", None, "=").unwrap()[0].1.as_deref(), Some("\u{0}\u{1b}"));
    }
}
