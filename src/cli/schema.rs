//! `jaquard schema`: the JSON Schema of pipeline files, and log type schemas out of samples.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{exit, print, print_diagnostics};
use crate::event::{Event, Payload};
use crate::jq::{Json, Limits, with_stack};
use crate::schema::log_type::drift::{Comparison, Report};
use crate::schema::log_type::infer::Samples;
use crate::schema::log_type::{ReadError, Schema, Schemas};
use crate::source::framing::{Codec, Framer};

/// Bytes of one sample.
const SAMPLE_BYTES: usize = 64 << 20;

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    #[command(subcommand)]
    command: Option<SchemaCommand>,
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// Write a log type schema that fits sample events.
    Infer(InferArgs),
    /// Tell how sample events differ from a log type schema; the exit code is 65 if they do.
    Drift(DriftArgs),
}

#[derive(Debug, Args)]
struct InferArgs {
    /// Files of JSON documents, or of arrays of them; `-` is standard input.
    #[arg(required = true, value_name = "SAMPLE")]
    samples: Vec<PathBuf>,
    /// Name of the log type. Without it, `Custom.` and the name of the first file.
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, Args)]
struct DriftArgs {
    /// Files of JSON documents, or of arrays of them; `-` is standard input.
    #[arg(required = true, value_name = "SAMPLE")]
    samples: Vec<PathBuf>,
    /// Name of a built-in schema, or a schema file.
    #[arg(long, value_name = "NAME|FILE")]
    schema: String,
    /// Form of the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each finding.
    Text,
    /// One JSON object.
    Json,
}

/// A sample that is none: what is wrong is the data, and not how it was read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadSample(String);

pub(super) fn schema(args: &SchemaArgs) -> anyhow::Result<u8> {
    match run(args) {
        Err(error) if error.is::<BadSample>() => {
            eprintln!("error: {error}");
            Ok(exit::TEST)
        }
        result => result,
    }
}

fn run(args: &SchemaArgs) -> anyhow::Result<u8> {
    match &args.command {
        None => {
            let schema = crate::topology::pipeline_schema();
            print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))?;
            Ok(exit::DONE)
        }
        // values that are nested deeply are walked, and dropped, on a stack that is made for it
        Some(SchemaCommand::Infer(args)) => with_stack(|| infer(args)),
        Some(SchemaCommand::Drift(args)) => with_stack(|| drift(args)),
    }
}

fn infer(args: &InferArgs) -> anyhow::Result<u8> {
    let mut samples = Samples::default();
    for_samples(&args.samples, |event| samples.add(event).map_err(|error| error.to_string()))?;
    let name = args.name.clone().unwrap_or_else(|| name_of(&args.samples));
    let Some(text) = samples.to_yaml(&name) else {
        let message = "the samples hold no fields; a sample is an object with members";
        return Err(BadSample(message.to_owned()).into());
    };
    // what is written is what is read: a name that is none is told of here
    if let Err(errors) = Schema::read(Path::new("the inferred schema"), text.clone()) {
        print_diagnostics(&errors);
        return Ok(exit::USAGE);
    }
    print(&text)?;
    Ok(exit::DONE)
}

/// `Custom.AuditLog` for `audit-log.ndjson`.
fn name_of(samples: &[PathBuf]) -> String {
    let stem = samples.first().and_then(|path| path.file_stem()).unwrap_or_default().to_string_lossy();
    let words = stem.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect();
    if name.is_empty() { "Custom.Sample".to_owned() } else { format!("Custom.{name}") }
}

fn drift(args: &DriftArgs) -> anyhow::Result<u8> {
    let schema = match Schemas::built_in().get(&args.schema) {
        Some(schema) => schema,
        None => {
            let path = Path::new(&args.schema);
            if !path.is_file() {
                let names: Vec<_> = Schemas::built_in().names().collect();
                eprintln!("error: `{}` is neither a schema nor a file", args.schema);
                eprintln!("help: give a file, or one of {}", names.join(", "));
                return Ok(exit::USAGE);
            }
            let mut schemas = Schemas::default();
            match schemas.read(path) {
                Ok(warnings) => print_diagnostics(&warnings),
                Err(ReadError::Invalid(errors)) => {
                    print_diagnostics(&errors);
                    return Ok(exit::CONFIG);
                }
                Err(error) => return Err(error.into()),
            }
            let name = schemas.names().next().map(str::to_owned).unwrap_or_default();
            schemas.get(&name).context("the file holds no schema")?
        }
    };
    let mut comparison = Comparison::new(schema.clone());
    for_samples(&args.samples, |event| {
        comparison.add(event);
        Ok(())
    })?;
    let report = comparison.finish();
    match args.format {
        Format::Text => print(&as_text(schema.name(), &report))?,
        Format::Json => {
            let findings = report.findings.iter().map(|finding| {
                json!({
                    "change": finding.change.name(),
                    "path": finding.path,
                    "detail": finding.detail,
                    "events": finding.events,
                })
            });
            let whole = json!({
                "schema": schema.name(),
                "events": report.events,
                "findings": findings.collect::<Vec<_>>(),
                "unseen": report.unseen,
            });
            print(&format!("{}\n", serde_json::to_string_pretty(&whole)?))?;
        }
    }
    Ok(if report.findings.is_empty() { exit::DONE } else { exit::TEST })
}

fn as_text(name: &str, report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let plural = if finding.events == 1 { "" } else { "s" };
        text.push_str(&format!("{finding} ({} event{plural})\n", finding.events));
    }
    let plural = if report.events == 1 { "" } else { "s" };
    text.push_str(&format!("{name}: {} event{plural}, {} findings", report.events, report.findings.len()));
    if !report.unseen.is_empty() {
        text.push_str(&format!("; {} optional fields in no event", report.unseen.len()));
    }
    text.push('\n');
    text
}

/// Hands on each document of the files.
fn for_samples(
    files: &[PathBuf],
    mut each: impl FnMut(&mut Json) -> Result<(), String>,
) -> anyhow::Result<()> {
    for path in files {
        let shown = path.display();
        let mut input: Box<dyn Read> = if path.as_os_str() == "-" {
            Box::new(std::io::stdin().lock())
        } else {
            Box::new(File::open(path).with_context(|| format!("cannot open {shown}"))?)
        };
        let mut framer = Framer::new(Codec::Json, SAMPLE_BYTES, 0, false);
        let mut events = Vec::new();
        let mut lines = Lines::default();
        loop {
            let mut chunk = vec![0; 64 << 10];
            let read = input.read(&mut chunk).with_context(|| format!("cannot read {shown}"))?;
            if read == 0 {
                lines.end();
                framer.finish(true, &mut events);
            } else {
                chunk.truncate(read);
                let chunk = Bytes::from(chunk);
                lines.add(&chunk);
                framer.feed(chunk, &mut events);
            }
            for event in events.drain(..) {
                let text = match &event.payload {
                    Payload::Json(text) => text,
                    Payload::Text(_) => continue,
                    Payload::Fault(fault) => {
                        let message = format!("{shown}: at byte {}: {}", event.offset, fault.message);
                        return Err(BadSample(message).into());
                    }
                };
                let bad = |offset, error: String| {
                    let line = lines.of(&event, text, offset);
                    anyhow::Error::from(BadSample(format!("{shown}:{line}: {error}")))
                };
                let mut json = Json::parse(text.clone(), Limits::default().depth)
                    .map_err(|error| bad(error.offset, format!("{error} of the document")))?;
                each(&mut json).map_err(|error| bad(0, error))?;
            }
            if read == 0 {
                break;
            }
        }
    }
    Ok(())
}

/// Counts the lines of a file that is read in chunks.
#[derive(Debug, Default)]
struct Lines {
    /// Bytes and ends of lines before the chunk in hand.
    bytes: u64,
    before: usize,
    /// Ends of lines in the white space behind all else.
    behind: usize,
    chunk: Bytes,
}

impl Lines {
    fn add(&mut self, chunk: &Bytes) {
        let last = std::mem::replace(&mut self.chunk, chunk.clone());
        self.bytes += last.len() as u64;
        self.before += ends(&last);
        let content = chunk.trim_ascii_end();
        let behind = ends(&chunk[content.len()..]);
        self.behind = if content.is_empty() { self.behind + behind } else { behind };
    }

    /// What is left when the file ends has no white space behind it.
    fn end(&mut self) {
        self.add(&Bytes::new());
        self.before -= self.behind;
    }

    /// The line of a byte of an event that ended in the chunk in hand, or at the end of the file.
    fn of(&self, event: &Event, text: &Bytes, offset: usize) -> usize {
        let end = event.offset + text.len() as u128;
        let here = usize::try_from(end.saturating_sub(u128::from(self.bytes))).unwrap_or(usize::MAX);
        let lines = self.before + ends(&self.chunk[..here.min(self.chunk.len())]);
        1 + lines.saturating_sub(ends(text.get(offset..).unwrap_or_default()))
    }
}

fn ends(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}
