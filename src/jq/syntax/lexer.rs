//! Tokens of a program.

use super::Span;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name, with its module if it has one.
    Name(String),
    /// `.name`
    Field(String),
    /// `$name`
    Variable(String),
    /// `@name`
    Format(String),
    Number(String),
    /// The quote that begins a string; what follows is read by [`Lexer::text`].
    Quote,
    /// Punctuation.
    Sign(&'static str),
    End,
    /// A character that begins no token.
    Unknown(char),
}

impl Token {
    /// For a person.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Name(name) => format!("`{name}`"),
            Token::Field(name) => format!("`.{name}`"),
            Token::Variable(name) => format!("`${name}`"),
            Token::Format(name) => format!("`@{name}`"),
            Token::Number(text) => format!("`{text}`"),
            Token::Quote => "a string".to_owned(),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end of the program".to_owned(),
            Token::Unknown(c) => format!("`{}`", c.escape_debug()),
        }
    }
}

/// Longest first.
const SIGNS: &[&str] = &[
    "?//", "//=", "!=", "==", "//", "|=", "+=", "-=", "*=", "/=", "%=", "<=", ">=", "..", ".", "?", "=", ";",
    ",", ":", "|", "+", "-", "*", "/", "%", "<", ">", "[", "]", "{", "}", "(", ")",
];

/// What ends a piece of a string's text.
pub(super) enum TextEnd {
    Quote,
    /// `\(`
    Interpolation,
}

pub(super) struct Lexer<'a> {
    code: &'a str,
    pub(super) at: usize,
}

fn is_name_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_'
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

impl<'a> Lexer<'a> {
    pub(super) fn new(code: &'a str) -> Self {
        Lexer { code, at: 0 }
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.code.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn take_while(&mut self, is: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.at < self.code.len() && is(self.byte(0)) {
            self.at += 1;
        }
        &self.code[start..self.at]
    }

    fn skip_space(&mut self) {
        loop {
            self.take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
            if self.byte(0) != b'#' {
                return;
            }
            // a comment goes on in the next line after an odd number of backslashes
            while self.at < self.code.len() {
                match self.byte(0) {
                    b'\\' if self.byte(1) == b'\r' && self.byte(2) == b'\n' => self.at += 3,
                    b'\\' if matches!(self.byte(1), b'\\' | b'\n') => self.at += 2,
                    b'\n' => break,
                    _ => self.at += 1,
                }
            }
        }
    }

    /// The next token and its place.
    pub(super) fn next(&mut self) -> (Token, Span) {
        self.skip_space();
        let start = self.at;
        let token = self.token();
        (token, Span { start: start as u32, end: self.at as u32 })
    }

    fn token(&mut self) -> Token {
        if self.at >= self.code.len() {
            return Token::End;
        }
        let first = self.byte(0);
        match first {
            b'"' => {
                self.at += 1;
                Token::Quote
            }
            b'.' if is_name_start(self.byte(1)) => {
                self.at += 1;
                Token::Field(self.take_while(is_name).to_owned())
            }
            b'$' if is_name_start(self.byte(1)) => {
                self.at += 1;
                Token::Variable(self.qualified())
            }
            b'@' if is_name(self.byte(1)) => {
                self.at += 1;
                Token::Format(self.take_while(is_name).to_owned())
            }
            b'.' if self.byte(1).is_ascii_digit() => self.number(),
            b'0'..=b'9' => self.number(),
            _ if is_name_start(first) => Token::Name(self.qualified()),
            _ => {
                let rest = &self.code[self.at..];
                match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                    Some(sign) => {
                        self.at += sign.len();
                        Token::Sign(sign)
                    }
                    None => {
                        let unknown = rest.chars().next().unwrap_or(' ');
                        self.at += unknown.len_utf8();
                        Token::Unknown(unknown)
                    }
                }
            }
        }
    }

    fn qualified(&mut self) -> String {
        let start = self.at;
        self.take_while(is_name);
        while self.byte(0) == b':' && self.byte(1) == b':' && is_name_start(self.byte(2)) {
            self.at += 2;
            self.take_while(is_name);
        }
        self.code[start..self.at].to_owned()
    }

    fn number(&mut self) -> Token {
        let start = self.at;
        self.take_while(|b| b.is_ascii_digit());
        if self.byte(0) == b'.' {
            self.at += 1;
            self.take_while(|b| b.is_ascii_digit());
        }
        if matches!(self.byte(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(1), b'+' | b'-'));
            if self.byte(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.take_while(|b| b.is_ascii_digit());
            }
        }
        Token::Number(self.code[start..self.at].to_owned())
    }

    /// Text of a string up to its end or its next interpolation, with escapes replaced.
    pub(super) fn text(&mut self) -> Result<(String, TextEnd), (Span, String)> {
        let mut text = String::new();
        let bytes = self.code.as_bytes();
        loop {
            let run = memchr::memchr2(b'"', b'\\', &bytes[self.at..]).unwrap_or(bytes.len() - self.at);
            text.push_str(&self.code[self.at..self.at + run]);
            self.at += run;
            match (self.byte(0), self.byte(1)) {
                (b'"', _) => {
                    self.at += 1;
                    return Ok((text, TextEnd::Quote));
                }
                (b'\\', b'(') => {
                    self.at += 2;
                    return Ok((text, TextEnd::Interpolation));
                }
                (b'\\', _) => self.escape(&mut text)?,
                _ => {
                    let span = Span { start: self.at as u32, end: self.at as u32 };
                    return Err((span, "the string is not closed".to_owned()));
                }
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), (Span, String)> {
        let start = self.at;
        let simple = match self.byte(1) {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 2;
                let mut unit = self.hex4(start)?;
                if (0xd800..0xdc00).contains(&unit) && self.byte(0) == b'\\' && self.byte(1) == b'u' {
                    let before = self.at;
                    self.at += 2;
                    let low = self.hex4(start)?;
                    if (0xdc00..0xe000).contains(&low) {
                        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    } else {
                        self.at = before;
                    }
                }
                // half a surrogate pair is no character
                text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                return Ok(());
            }
            _ => {
                let length = self.code[start + 1..].chars().next().map_or(0, char::len_utf8);
                let span = Span { start: start as u32, end: (start + 1 + length) as u32 };
                return Err((
                    span,
                    "unknown escape; there are \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX \\(…)".to_owned(),
                ));
            }
        };
        text.push(simple);
        self.at += 2;
        Ok(())
    }

    fn hex4(&mut self, start: usize) -> Result<u32, (Span, String)> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = (self.byte(0) as char).to_digit(16) else {
                let span = Span { start: start as u32, end: self.at as u32 };
                return Err((span, "\\u needs four hexadecimal digits".to_owned()));
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }
}
