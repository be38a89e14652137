//! The body of a jq string: `out/\(.kind)/\(.time | todate[:10]).ndjson`.
//!
//! The literal text before the first `\(` is known without any event; a file sink takes its base
//! folder from there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compile::{self, CompileError, Program};

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    /// Literal text before the first interpolation, unescaped.
    pub prefix: String,
    /// The program that yields the whole text; `None` if there is no interpolation.
    pub program: Option<Arc<Program>>,
}

/// Why a template does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// An interpolation without its closing parenthesis, at this byte.
    Unclosed(usize),
    /// The program has errors; places are in the body.
    Program(Vec<CompileError>),
}

impl Template {
    /// Parses the body of a jq string and compiles its interpolations.
    pub fn compile(body: &str, folder: &Path, library: &[PathBuf]) -> Result<Self, TemplateError> {
        let first = find_interpolation(body);
        let Some(first) = first else {
            return Ok(Template { prefix: unescape(body), program: None });
        };

        // quotes outside of interpolations belong to the text
        let mut code = String::with_capacity(body.len() + 2);
        code.push('"');
        let mut rest = 0;
        while let Some(start) = find_interpolation(&body[rest..]).map(|at| rest + at) {
            push_literal(&mut code, &body[rest..start]);
            let end = end_of_interpolation(body, start).ok_or(TemplateError::Unclosed(start))?;
            code.push_str(&body[start..end]);
            rest = end;
        }
        push_literal(&mut code, &body[rest..]);
        code.push('"');

        match compile::compile(&code, folder, library) {
            Ok(program) => Ok(Template { prefix: unescape(&body[..first]), program: Some(program) }),
            Err(mut errors) => {
                for error in &mut errors {
                    if error.file == compile::MAIN && code.len() == body.len() + 2 {
                        // show the body as the user wrote it, without our quotes
                        error.span.start = error.span.start.saturating_sub(1).min(body.len());
                        error.span.end = error.span.end.saturating_sub(1).min(body.len());
                        body.clone_into(&mut error.text);
                    }
                }
                Err(TemplateError::Program(errors))
            }
        }
    }
}

fn push_literal(code: &mut String, literal: &str) {
    let mut escaped = false;
    for c in literal.chars() {
        if c == '"' && !escaped {
            code.push('\\');
        }
        code.push(c);
        escaped = c == '\\' && !escaped;
    }
}

/// The first `\(` whose backslash is not itself escaped.
fn find_interpolation(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match (bytes[at], bytes[at + 1]) {
            (b'\\', b'(') => return Some(at),
            (b'\\', _) => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// The byte after the parenthesis that closes the interpolation at `start`.
fn end_of_interpolation(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    // what is open: a parenthesis, or a string inside it
    let mut open = vec![b'('];
    let mut at = start + 2;
    while at < bytes.len() {
        match (open.last()?, bytes[at]) {
            (b'"', b'\\') if bytes.get(at + 1) == Some(&b'(') => {
                open.push(b'(');
                at += 1;
            }
            (b'"', b'\\') => at += 1,
            (b'"', b'"') | (b'(', b')') => {
                open.pop();
            }
            (b'(', b'"') => open.push(b'"'),
            (b'(', b'(') => open.push(b'('),
            _ => {}
        }
        at += 1;
        if open.is_empty() {
            return Some(at);
        }
    }
    None
}

/// Literal text with jq's string escapes resolved; an unknown escape stands for itself.
fn unescape(text: &str) -> String {
    let quoted = format!("\"{}\"", {
        let mut code = String::new();
        push_literal(&mut code, text);
        code
    });
    serde_json::from_str(&quoted).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jq::{Json, Limits, Runner};

    fn render(body: &str, event: &'static str) -> String {
        let template = Template::compile(body, Path::new("."), &[]).unwrap();
        let Some(program) = template.program else {
            return template.prefix;
        };
        let mut runner = Runner::new(program, &serde_json::json!({}), Limits::default());
        let mut input = Json::from_text(bytes::Bytes::from_static(event.as_bytes()));
        let mut text = None;
        runner
            .run(&mut input, None, &mut |mut output| {
                text = output.as_string();
                true
            })
            .unwrap();
        text.unwrap()
    }

    #[test]
    fn interpolates_nested_strings_and_parentheses() {
        assert_eq!(render("out/a.ndjson", "{}"), "out/a.ndjson");
        assert_eq!(render(r"out/\(.a).log", r#"{"a":1}"#), "out/1.log");
        let nested = r#"\(.a | if . == ")" then "x\("(")" else "y" end)/\((1 + 2) * 3)"#;
        assert_eq!(render(nested, r#"{"a":")"}"#), "x(/9");
        assert_eq!(render(r#"say "\(.a)""#, r#"{"a":1}"#), r#"say "1""#);
    }

    #[test]
    fn errors_point_into_the_body() {
        let error = Template::compile(r"out/\(.a", Path::new("."), &[]).unwrap_err();
        assert_eq!(error, TemplateError::Unclosed(4));
        let body = r"out/\(nothing_such)";
        let TemplateError::Program(errors) = Template::compile(body, Path::new("."), &[]).unwrap_err() else {
            panic!("expected errors of the program");
        };
        assert_eq!(&body[errors[0].span.clone()], "nothing_such");
    }
}
