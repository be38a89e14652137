//! `console`: standard output.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Delivery, Encoder, PositionRows, Sink, SinkContext, SinkError, SinkFactory, WriteError, blocking,
    not_json,
};
use crate::config::{Check, Component};
use crate::event::{Fault, Meta};
use crate::jq::{Json, WriteLimits};

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Pretty and coloured on a terminal, one line an event anywhere else.
    #[default]
    Auto,
    /// One line an event.
    Ndjson,
    /// Indented; coloured on a terminal.
    Pretty,
}

/// Prints events to standard output.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Console {
    /// How events are printed.
    #[serde(default)]
    format: Format,
}

impl Component<dyn SinkFactory> for Console {
    const NAME: &'static str = "console";
    const SUMMARY: &'static str = "Prints events to standard output.";
    const GUARANTEE: &'static str = "At least once: what was printed cannot be taken back, and is printed again if the process dies before its epoch is recorded.";
    const EXAMPLE: &'static str = "[sinks.screen]\ntype = \"console\"\ninputs = [\"events\"]\n";

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn SinkFactory>> {
        Some(Box::new(Ready { format: self.format, limits: WriteLimits::from(check.limits) }))
    }
}

#[derive(Debug, Clone, Copy)]
struct Ready {
    format: Format,
    limits: WriteLimits,
}

impl SinkFactory for Ready {
    fn encoder(&self) -> Box<dyn Encoder> {
        let on_terminal = std::io::stdout().is_terminal();
        let pretty = match self.format {
            Format::Auto => on_terminal,
            Format::Ndjson => false,
            Format::Pretty => true,
        };
        let colour = on_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Box::new(Printer {
            pretty,
            colour,
            on_terminal,
            limits: self.limits,
            partition: Arc::from(""),
            line: Vec::new(),
        })
    }

    fn build(&self, _: SinkContext) -> Result<Arc<dyn Sink>, SinkError> {
        Ok(Arc::new(Stdout))
    }
}

struct Printer {
    pretty: bool,
    colour: bool,
    /// Whether somebody looks at it.
    on_terminal: bool,
    limits: WriteLimits,
    partition: Arc<str>,
    line: Vec<u8>,
}

impl Encoder for Printer {
    fn partition(&mut self, _: &mut Json, _: &Meta<'_>) -> Result<Arc<str>, Fault> {
        Ok(self.partition.clone())
    }

    fn encode(&mut self, event: &mut Json, data: &mut Vec<u8>) -> Result<(), Fault> {
        if self.pretty {
            self.line.clear();
            event.write(self.limits, &mut self.line).map_err(not_json)?;
            let start = data.len();
            append_pretty(&self.line, self.colour, data);
            if self.on_terminal {
                escape_controls(data, start);
            }
        } else {
            event.write(self.limits, data).map_err(not_json)?;
        }
        data.push(b'\n');
        Ok(())
    }
}

/// Appends valid JSON text indented by two spaces, as jq does.
pub(crate) fn append_pretty(text: &[u8], colour: bool, out: &mut Vec<u8>) {
    let mut depth = 0_usize;
    let mut at = 0;
    let line_break = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    while at < text.len() {
        let byte = text[at];
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            b'{' | b'[' => {
                out.push(byte);
                at += 1;
                while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
                    at += 1;
                }
                if matches!(text.get(at), Some(b'}' | b']')) {
                    out.push(text[at]);
                    at += 1;
                } else {
                    depth += 1;
                    line_break(out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                line_break(out, depth);
                out.push(byte);
                at += 1;
            }
            b',' => {
                out.push(byte);
                line_break(out, depth);
                at += 1;
            }
            b':' => {
                out.extend_from_slice(b": ");
                at += 1;
            }
            _ => {
                let end = scalar_end(text, at);
                let scalar = &text[at..end];
                at = end;
                let mut after = at;
                while matches!(text.get(after), Some(b' ' | b'\t')) {
                    after += 1;
                }
                let is_key = text.get(after) == Some(&b':');
                let paint: &[u8] = match scalar[0] {
                    b'"' if is_key => b"\x1b[34;1m",
                    b'"' => b"\x1b[32m",
                    b't' | b'f' => b"\x1b[33m",
                    b'n' => b"\x1b[90m",
                    _ => b"\x1b[36m",
                };
                if colour {
                    out.extend_from_slice(paint);
                    out.extend_from_slice(scalar);
                    out.extend_from_slice(b"\x1b[0m");
                } else {
                    out.extend_from_slice(scalar);
                }
            }
        }
    }
}

fn scalar_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    if text[start] == b'"' {
        while at < text.len() && text[at] != b'"' {
            at += if text[at] == b'\\' { 2 } else { 1 };
        }
        return (at + 1).min(text.len());
    }
    while at < text.len() && !matches!(text[at], b',' | b'}' | b']' | b':' | b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

/// Escapes characters that steer a terminal or reverse its text; JSON itself leaves them alone.
fn escape_controls(data: &mut Vec<u8>, start: usize) {
    let Ok(text) = std::str::from_utf8(&data[start..]) else { return };
    let steers = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(steers) {
        return;
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) {
            escaped.push_str(&format!("\\u{:04x}", c as u32));
        } else {
            escaped.push(c);
        }
    }
    data.truncate(start);
    data.extend_from_slice(escaped.as_bytes());
}

#[derive(Debug)]
struct Stdout;

#[async_trait]
impl Sink for Stdout {
    async fn resume(&self, _: Vec<(String, Value)>) -> Result<(), SinkError> {
        Ok(())
    }

    async fn write(&self, delivery: &Delivery) -> Result<(), WriteError> {
        blocking(|| {
            let mut stdout = std::io::stdout().lock();
            for part in &delivery.parts {
                stdout.write_all(&part.data)?;
            }
            stdout.flush()
        })
        .map_err(|error| WriteError::All(describe(&error)))
    }

    fn prepare(&self, _: u64) -> BoxFuture<'static, Result<PositionRows, SinkError>> {
        futures::future::ready(Ok(Vec::new())).boxed()
    }

    async fn publish(&self, _: u64) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A write that failed half-way has printed something, and nobody can say how much: it is not
/// tried again.
fn describe(error: &std::io::Error) -> SinkError {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        SinkError::Closed
    } else {
        SinkError::Fatal(format!("cannot write to standard output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::append_pretty;

    #[test]
    fn prints_like_jq() {
        let mut out = Vec::new();
        append_pretty(br#"{"a":[1,{"b":"x:\"y"}],"c":{},"d":[ ],"e":null}"#, false, &mut out);
        let expected = "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x:\\\"y\"\n    }\n  ],\n  \"c\": {},\n  \"d\": [],\n  \"e\": null\n}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
