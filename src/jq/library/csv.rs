//! Comma-separated values, after RFC 4180, read by the `csv` crate.
//!
//! Records end at a line break and may differ in length. `"…"` holds delimiters and line breaks,
//! and `""` in it is a quote. Empty lines are no records.
//!
//! Limits: a quote that is not closed holds the rest of the text, as the crate has it.

use csv::{ReaderBuilder, Terminator};

/// Reads all records of a text. The first is not told apart: a header is up to the caller.
///
/// The delimiter is one ASCII character that is no quote and no line break.
pub(in crate::jq) fn parse_csv(text: &str, delimiter: char) -> Result<Vec<Vec<String>>, String> {
    let delimiter = u8::try_from(delimiter)
        .ok()
        .filter(|byte| byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n'))
        .ok_or_else(|| {
            format!(
                "a CSV delimiter must be one ASCII character and no quote or line break, not {delimiter:?}"
            )
        })?;
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .terminator(Terminator::CRLF)
        .from_reader(text.as_bytes());
    reader
        .records()
        .map(|record| {
            let record = record.map_err(|error| format!("invalid CSV: {error}"))?;
            Ok(record.iter().map(str::to_owned).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, delimiter: char, expected: &[&[&str]]) {
        assert_eq!(parse_csv(text, delimiter).unwrap(), expected, "{text}");
    }

    #[test]
    fn records() {
        check("a,b\r\nc\n\nd,,é\n", ',', &[&["a", "b"], &["c"], &["d", "", "é"]]);
        check("\"x,\"\"y\"\"\nz\",2", ',', &[&["x,\"y\"\nz", "2"]]);
        check("a;b\tc", '\t', &[&["a;b", "c"]]);
        check("", ',', &[]);
        check(",", ',', &[&["", ""]]);
        check("\u{feff}a", ',', &[&["a"]]);
        check("a\u{0}b", ',', &[&["a\u{0}b"]]);
    }

    #[test]
    fn an_open_quote_holds_the_rest() {
        check("a,\"b\nc,d", ',', &[&["a", "b\nc,d"]]);
    }

    #[test]
    fn delimiters_that_cannot_be() {
        for delimiter in ['"', '\n', '\r', 'é', '¦'] {
            assert!(parse_csv("a", delimiter).is_err(), "{delimiter:?}");
        }
    }

    #[test]
    fn hostile_texts_take_one_pass() {
        let n = 1 << 19;
        assert_eq!(parse_csv(&",".repeat(n), ',').unwrap()[0].len(), n + 1);
        assert_eq!(parse_csv(&"a\n".repeat(n), ',').unwrap().len(), n);
        assert_eq!(parse_csv(&"\"".repeat(n), ',').unwrap().len(), 1);
    }
}
