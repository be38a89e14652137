//! The validating pass over JSON text.
//!
//! Every event is checked from its first to its last byte before a program sees it, so that an
//! invalid one is found before anything of it was emitted. The check is strict RFC 8259, needs no
//! recursion and allocates only beyond a few dozen levels; depth is bounded by the caller.

use std::fmt;

/// Nesting that is tracked without allocating.
const INLINE_DEPTH: usize = 64;

/// Why a text is no JSON value, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// Byte offset in the text.
    pub offset: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// Kinds of [`JsonError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The text ends before the value does.
    UnexpectedEnd,
    /// A byte that cannot stand here.
    Unexpected(u8),
    /// Something follows the value.
    Trailing,
    /// A control character inside a string.
    ControlCharacter,
    /// An unknown escape, or a surrogate without its half.
    Escape,
    /// A number that is not written as JSON has it.
    Number,
    /// More levels than allowed.
    TooDeep(usize),
    /// Bytes that are no UTF-8.
    Utf8,
    /// More than 4 GiB.
    TooLong,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            Problem::UnexpectedEnd => write!(f, "the text ends inside a value"),
            Problem::Unexpected(byte) if byte.is_ascii_graphic() => {
                write!(f, "unexpected `{}`", byte as char)
            }
            Problem::Unexpected(byte) => write!(f, "unexpected byte 0x{byte:02x}"),
            Problem::Trailing => write!(f, "text after the end of the value"),
            Problem::ControlCharacter => write!(f, "control character inside a string"),
            Problem::Escape => write!(f, "invalid escape in a string"),
            Problem::Number => write!(f, "invalid number"),
            Problem::TooDeep(limit) => write!(f, "nested deeper than {limit} levels"),
            Problem::Utf8 => write!(f, "invalid UTF-8"),
            Problem::TooLong => write!(f, "longer than 4 GiB"),
        }?;
        write!(f, " at byte {}", self.offset)
    }
}

impl std::error::Error for JsonError {}

/// Checks that `text` is exactly one JSON value, with white space around it at most, and not
/// nested deeper than `max_depth` arrays and objects.
pub fn validate(text: &[u8], max_depth: usize) -> Result<(), JsonError> {
    scan(text, max_depth, &mut ())
}

/// What [`scan`] tells of the tokens of a text, in order.
///
/// Nothing it was told of counts unless the scan ends well.
pub trait Tape {
    /// A scalar, or the key of a member, from its first byte to after its last one.
    fn scalar(&mut self, kind: Scalar, start: usize, end: usize);
    /// An array or object begins at its bracket.
    fn open(&mut self, is_object: bool, start: usize);
    /// The innermost one ends; `end` is after its bracket.
    fn close(&mut self, end: usize);
    /// There is a line break between tokens.
    fn line_break(&mut self);
}

/// Kinds of scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// `null`.
    Null,
    /// `true`.
    True,
    /// `false`.
    False,
    /// A number without fraction and exponent.
    Integer,
    /// Any other number.
    Decimal,
    /// A string without escapes; its span includes the quotes.
    Plain,
    /// A string with escapes.
    Escaped,
}

/// The tape of someone who only asks whether the text is valid.
impl Tape for () {
    #[inline]
    fn scalar(&mut self, _: Scalar, _: usize, _: usize) {}
    #[inline]
    fn open(&mut self, _: bool, _: usize) {}
    #[inline]
    fn close(&mut self, _: usize) {}
    #[inline]
    fn line_break(&mut self) {}
}

/// [`validate`], with each token told to `tape` on the way.
pub fn scan<T: Tape>(text: &[u8], max_depth: usize, tape: &mut T) -> Result<(), JsonError> {
    let mut validator = Validator { text, at: 0, block: usize::MAX, special: 0, is_ascii: true, tape };
    let scanned = validator.document(max_depth);
    // what is no UTF-8 is told before anything else that may be wrong with it
    if (scanned.is_err() || !validator.is_ascii)
        && let Err(error) = std::str::from_utf8(text)
    {
        return Err(JsonError { offset: error.valid_up_to(), problem: Problem::Utf8 });
    }
    scanned
}

/// Appends JSON text with the line breaks between its tokens taken out, as NDJSON needs it.
///
/// A text without any is copied as it is. Valid JSON has no raw line break inside a string, so each
/// one that is found stands between tokens.
pub fn append_compact(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        // what follows a line break is indentation
        let indent = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        rest = &rest[indent..];
    }
    out.extend_from_slice(rest);
}

/// The text without JSON white space around it.
pub fn trim(text: &[u8]) -> &[u8] {
    let is_space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
    let start = text.iter().position(|b| !is_space(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|b| !is_space(b)).map_or(start, |at| at + 1);
    &text[start..end]
}

/// Bytes before the first quote, backslash or control character.
#[inline]
pub fn plain_prefix(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = text.get(at..at + LANE) {
        let (special, _) = look_at(chunk);
        if special != 0 {
            return at + special.trailing_zeros() as usize;
        }
        at += LANE;
    }
    let rest = &text[at..];
    if rest.is_empty() {
        return at;
    }
    // fewer than a lane: filled up with what ends nothing
    let mut last = [b' '; LANE];
    last[..rest.len()].copy_from_slice(rest);
    let (special, _) = look_at(&last);
    at += (special.trailing_zeros() as usize).min(rest.len());
    at
}

/// How many of sixteen bytes can stand in a string as they are.
#[inline]
pub(crate) fn plain_lane(bytes: &[u8; LANE]) -> usize {
    let (special, _) = look_at(bytes);
    special.trailing_zeros() as usize
}

/// Bytes that [`look_at`] looks at.
const LANE: usize = 16;

/// Bytes that the validator looks at together.
const BLOCK: usize = 64;

/// A bit for each byte of a chunk that is a quote, a backslash or a control character, and one for
/// each that is no ASCII.
#[cfg(target_arch = "x86_64")]
#[inline]
fn look_at(chunk: &[u8]) -> (u32, u32) {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    assert!(chunk.len() == LANE);
    #[allow(unsafe_code, reason = "vector instructions are reached by no other way")]
    // SAFETY: SSE2 is part of every x86-64; the load reads the 16 bytes that the chunk was just found
    // to have, and needs no alignment.
    unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().cast());
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
        let slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
        let last_control = _mm_set1_epi8(0x1f);
        let control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last_control), last_control);
        let special = _mm_or_si128(_mm_or_si128(quote, slash), control);
        (_mm_movemask_epi8(special).cast_unsigned(), _mm_movemask_epi8(bytes).cast_unsigned())
    }
}

/// A bit for each byte of a chunk that is a quote, a backslash or a control character, and one for
/// each that is no ASCII.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn look_at(chunk: &[u8]) -> (u32, u32) {
    let is_special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
    chunk.iter().enumerate().fold((0, 0), |(special, wide), (at, byte)| {
        (special | u32::from(is_special(byte)) << at, wide | u32::from(!byte.is_ascii()) << at)
    })
}

/// Which container the validator is in: one bit a level.
struct Levels {
    inline: u64,
    deep: Vec<bool>,
    depth: usize,
}

impl Levels {
    fn push(&mut self, is_object: bool) {
        if self.depth < INLINE_DEPTH {
            self.inline = self.inline << 1 | u64::from(is_object);
        } else {
            self.deep.push(is_object);
        }
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        if self.depth < INLINE_DEPTH {
            self.inline >>= 1;
        } else {
            self.deep.pop();
        }
    }

    fn in_object(&self) -> bool {
        if self.depth <= INLINE_DEPTH {
            self.inline & 1 == 1
        } else {
            self.deep.last().copied().unwrap_or(false)
        }
    }
}

struct Validator<'a, T> {
    text: &'a [u8],
    at: usize,
    /// Where the block begins that was looked at last.
    block: usize,
    /// A bit for each byte of it that ends a run of plain text. Strings are short and of any length:
    /// asking for the next bit costs less than a loop that ends somewhere else each time.
    special: u64,
    /// Whether all that was looked at is ASCII, as is all that is no string.
    is_ascii: bool,
    tape: &'a mut T,
}

impl<T: Tape> Validator<'_, T> {
    fn document(&mut self, max_depth: usize) -> Result<(), JsonError> {
        let mut levels = Levels { inline: 0, deep: Vec::new(), depth: 0 };
        self.space();
        'value: loop {
            match self.peek()? {
                b'{' => {
                    if levels.depth == max_depth {
                        return self.fail(Problem::TooDeep(max_depth));
                    }
                    self.tape.open(true, self.at);
                    self.at += 1;
                    self.space();
                    if self.peek()? == b'}' {
                        self.at += 1;
                        self.tape.close(self.at);
                    } else {
                        levels.push(true);
                        self.key()?;
                        continue 'value;
                    }
                }
                b'[' => {
                    if levels.depth == max_depth {
                        return self.fail(Problem::TooDeep(max_depth));
                    }
                    self.tape.open(false, self.at);
                    self.at += 1;
                    self.space();
                    if self.peek()? == b']' {
                        self.at += 1;
                        self.tape.close(self.at);
                    } else {
                        levels.push(false);
                        continue 'value;
                    }
                }
                b'"' => self.string()?,
                b't' => self.word(b"true", Scalar::True)?,
                b'f' => self.word(b"false", Scalar::False)?,
                b'n' => self.word(b"null", Scalar::Null)?,
                b'-' | b'0'..=b'9' => self.number()?,
                other => return self.fail(Problem::Unexpected(other)),
            }
            // a value has ended: close what ends with it, or go on to the next member
            loop {
                self.space();
                if levels.depth == 0 {
                    return if self.at == self.text.len() { Ok(()) } else { self.fail(Problem::Trailing) };
                }
                match (self.peek()?, levels.in_object()) {
                    (b',', true) => {
                        self.at += 1;
                        self.space();
                        self.key()?;
                        continue 'value;
                    }
                    (b',', false) => {
                        self.at += 1;
                        self.space();
                        continue 'value;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        levels.pop();
                        self.tape.close(self.at);
                    }
                    (other, _) => return self.fail(Problem::Unexpected(other)),
                }
            }
        }
    }

    fn fail<R>(&self, problem: Problem) -> Result<R, JsonError> {
        Err(JsonError { offset: self.at, problem })
    }

    fn peek(&self) -> Result<u8, JsonError> {
        match self.text.get(self.at) {
            Some(byte) => Ok(*byte),
            None => self.fail(Problem::UnexpectedEnd),
        }
    }

    #[inline]
    fn space(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\n' | b'\r')) = self.text.get(self.at) {
            if matches!(byte, b'\n' | b'\r') {
                self.tape.line_break();
            }
            self.at += 1;
        }
    }

    fn key(&mut self) -> Result<(), JsonError> {
        match self.peek()? {
            b'"' => self.string()?,
            other => return self.fail(Problem::Unexpected(other)),
        }
        self.space();
        match self.peek()? {
            b':' => self.at += 1,
            other => return self.fail(Problem::Unexpected(other)),
        }
        self.space();
        Ok(())
    }

    fn word(&mut self, word: &[u8], kind: Scalar) -> Result<(), JsonError> {
        let start = self.at;
        for expected in word {
            if self.peek()? != *expected {
                return self.fail(Problem::Unexpected(self.text[self.at]));
            }
            self.at += 1;
        }
        self.tape.scalar(kind, start, self.at);
        Ok(())
    }

    #[inline]
    fn string(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        let mut kind = Scalar::Plain;
        self.at += 1;
        loop {
            self.skip_plain();
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    self.tape.scalar(kind, start, self.at);
                    return Ok(());
                }
                b'\\' => {
                    kind = Scalar::Escaped;
                    self.escape()?;
                }
                _ => return self.fail(Problem::ControlCharacter),
            }
        }
    }

    /// Moves to the next quote, backslash or control character.
    #[inline]
    fn skip_plain(&mut self) {
        loop {
            let block = self.at & !(BLOCK - 1);
            if block != self.block {
                self.look(block);
            }
            let left = self.special & (u64::MAX << (self.at - block));
            if left != 0 {
                self.at = block + left.trailing_zeros() as usize;
                return;
            }
            self.at = block + BLOCK;
        }
    }

    /// Looks at the block that begins at `block`. Beyond the text there are control characters.
    fn look(&mut self, block: usize) {
        let mut last = [0; BLOCK];
        let bytes = match self.text.get(block..block + BLOCK) {
            Some(bytes) => bytes,
            None => {
                let rest = self.text.get(block..).unwrap_or_default();
                last[..rest.len()].copy_from_slice(rest);
                &last
            }
        };
        (self.block, self.special) = (block, 0);
        let mut wide = 0;
        for (at, chunk) in bytes.chunks_exact(LANE).enumerate() {
            let (special, not_ascii) = look_at(chunk);
            self.special |= u64::from(special) << (LANE * at);
            wide |= not_ascii;
        }
        self.is_ascii &= wide == 0;
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.peek()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                Ok(())
            }
            b'u' => {
                self.at += 1;
                let unit = self.hex4()?;
                match unit {
                    0xd800..=0xdbff => {
                        if self.text.get(self.at..self.at + 2) != Some(b"\\u") {
                            return self.fail(Problem::Escape);
                        }
                        self.at += 2;
                        match self.hex4()? {
                            0xdc00..=0xdfff => Ok(()),
                            _ => self.fail(Problem::Escape),
                        }
                    }
                    0xdc00..=0xdfff => self.fail(Problem::Escape),
                    _ => Ok(()),
                }
            }
            _ => self.fail(Problem::Escape),
        }
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = (self.peek()? as char).to_digit(16) else {
                return self.fail(Problem::Escape);
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.text.get(self.at) {
            self.at += 1;
        }
        if self.at == start {
            return self.fail(Problem::Number);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        let mut kind = Scalar::Integer;
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        match self.text.get(self.at) {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.text.get(self.at) == Some(&b'.') {
            kind = Scalar::Decimal;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            kind = Scalar::Decimal;
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.tape.scalar(kind, start, self.at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ok(text: &str) -> bool {
        validate(text.as_bytes(), 512).is_ok()
    }

    #[test]
    fn accepts_what_rfc_8259_allows() {
        for text in [
            "0",
            "-0",
            "1.10",
            "1e5",
            "1E-5",
            "123456789012345678901234567890",
            "true",
            "null",
            "\"\"",
            "\"\\u00e9\\n\"",
            "\"\\ud83d\\ude00\"",
            "[]",
            "[ ]",
            "{}",
            "{ }",
            " [1, 2] ",
            "{\"a\":{\"b\":[1,{}]}}",
            "\r\n{\"a\"\n:\n1}",
            "\"12345678\\\"9\"",
        ] {
            assert!(ok(text), "{text}");
        }
    }

    #[test]
    fn refuses_what_it_does_not() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "nul",
            "nulll",
            "NaN",
            "Infinity",
            "'a'",
            "\"a",
            "\"\\x\"",
            "\"\\ud83d\"",
            "\"\\udc00\"",
            "\"a\nb\"",
            "\"\u{1}\"",
            "1 2",
            "[1 2]",
            "[}",
            "{]",
            "]",
            "[1]]",
            "{\"a\":1]",
            "# c\n1",
            "{\"a\" 1}",
        ] {
            assert!(!ok(text), "{text}");
        }
    }

    #[test]
    fn names_the_place() {
        let error = validate(b"{\"a\": tru }", 512).unwrap_err();
        assert_eq!(error.offset, 9);
        assert_eq!(error.to_string(), "unexpected byte 0x20 at byte 9");
        let error = validate(b"\"\xff\"", 512).unwrap_err();
        assert_eq!((error.offset, error.problem), (1, Problem::Utf8));
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(validate(nested(512).as_bytes(), 512).is_ok());
        assert_eq!(validate(nested(513).as_bytes(), 512).unwrap_err().problem, Problem::TooDeep(512));
        assert!(validate(nested(1_000_000).as_bytes(), usize::MAX).is_ok());
        let mixed = format!("{}1{}", "{\"a\":[".repeat(200), "]}".repeat(200));
        assert!(validate(mixed.as_bytes(), 400).is_ok());
        let wrong = format!("{}1{}", "{\"a\":[".repeat(200), "}]".repeat(200));
        assert!(validate(wrong.as_bytes(), 400).is_err());
    }

    #[test]
    fn compacts_line_breaks_only() {
        let mut out = Vec::new();
        append_compact(b"{\n  \"a\": 1,\r\n  \"b\": [ 2 ]\n}", &mut out);
        assert_eq!(out, b"{\"a\": 1,\"b\": [ 2 ]}");
    }

    proptest! {
        /// The parser of serde_json is the oracle on arbitrary near-JSON text.
        #[test]
        fn agrees_with_serde_json(text in "[\\[\\]{}:,\" \\\\a-fu0-9.eE+\\-\n\u{1}é]{0,24}") {
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(ok(&text), theirs, "{}", text);
        }
    }
}
