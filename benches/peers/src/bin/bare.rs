//! The floor: read, validate, write.
//!
//! `bare OUT` copies standard input, one JSON value a line, to the file OUT. `bare OUT --filter PATH
//! TEXT` keeps the lines whose member at the dotted PATH is the string TEXT. One thread, no events, no
//! cursors, no ledger: what nothing that checks its input can be cheaper than.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use jaquard_peers::{Out, each_line, invalid};
use sonic_rs::{JsonValueTrait as _, LazyValue};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [out] => copy(Path::new(out), None),
        [out, "--filter", path, text] => {
            copy(Path::new(out), Some((&path.split('.').collect::<Vec<_>>(), text)))
        }
        _ => {
            eprintln!("usage: bare OUT [--filter PATH TEXT] < events.ndjson");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn copy(out: &Path, filter: Option<(&[&str], &str)>) -> io::Result<()> {
    let unicode_escape = memchr::memmem::Finder::new(b"\\u");
    let mut number = 0;
    let mut out = Out::create(out)?;
    each_line(
        &mut out,
        |out, line| {
            number += 1;
            let value = validate(line, &unicode_escape).map_err(|error| invalid(number, error))?;
            let passes = filter.is_none_or(|(path, text)| {
                value.pointer(path).is_some_and(|member| member.as_str() == Some(text))
            });
            if passes {
                out.buffer.extend_from_slice(line);
                out.buffer.push(b'\n');
            }
            Ok(())
        },
        Out::flush_if_large,
    )?;
    out.finish()
}

/// Skipping over a value checks its UTF-8, structure, numbers and control characters, but not what
/// follows `\u`; a line that has one is parsed as well.
fn validate<'a>(line: &'a [u8], unicode_escape: &memchr::memmem::Finder) -> sonic_rs::Result<LazyValue<'a>> {
    let value = sonic_rs::from_slice::<LazyValue<'a>>(line)?;
    if unicode_escape.find(line).is_some() {
        sonic_rs::from_slice::<sonic_rs::Value>(line)?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::validate;

    fn is_valid(text: &[u8]) -> bool {
        validate(text, &memchr::memmem::Finder::new(b"\\u")).is_ok()
    }

    /// One a line.
    const INVALID: &str = r#"
{
[1
"abc
nul
{"a":tru}
{"a":NaN}
{a:1}
{"a" 1}
{"a"}
{"a":}
{"a":1,}
{,}
[1,]
[,1]
[1 2]
[1}
{"a":1]
{"a":1} x
{"a":1}{}
01
-01
1.
.5
-
--1
+1
1e
1e+
0x1
'x'
1 /* c */
"\x"
"\
"\u12g4"
"\ud800"
"\ud800\u0041"
"a long text, so that a wide register is full before the wrong escape comes, here: \q"
"#;

    #[test]
    fn validation_is_complete() {
        for text in INVALID.lines() {
            assert!(!is_valid(text.as_bytes()), "{text}");
        }
        let bytes: [&[u8]; 7] = [
            b"\"\t\"",
            b"\"\x01\"",
            b"\x0b1",
            b"\"\xff\"",
            b"\"\xed\xa0\x80\"",
            b"{\"\xc0\":1}",
            b"\xef\xbb\xbf1",
        ];
        for text in bytes {
            assert!(!is_valid(text), "{text:?}");
        }
    }

    #[test]
    fn valid_json_passes() {
        for text in
            ["null", "-0", "1.5e-7", "[]", r#" {"a" : [1, {"b": "\u00e9\ud83d\ude00\n"}] } "#, "\"é\""]
        {
            assert!(is_valid(text.as_bytes()), "{text}");
        }
    }
}
