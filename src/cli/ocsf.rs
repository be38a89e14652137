//! `jaquard ocsf`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};

use super::{exit, print};
use crate::event::{Event, Payload, json};
use crate::jq::{self, Json, Limits, View};
use crate::schema::ocsf::{Finding, Options, Schema, SchemaError, Severity, Validator};
use crate::source::framing::{Codec, Framer};

/// For events that name no version that is built in.
const DEFAULT_VERSION: &str = "1.8.0";

/// The longest event.
const MAX_EVENT: usize = 1 << 30;

#[derive(Debug, Args)]
pub(super) struct OcsfArgs {
    #[command(subcommand)]
    command: OcsfCommand,
}

#[derive(Debug, Subcommand)]
enum OcsfCommand {
    /// Check events against a version of OCSF.
    ///
    /// Exit code 0: all events are valid; 65: some are not.
    Validate(ValidateArgs),
    /// List the classes of the built-in tables, or of a compiled schema.
    Classes(ClassesArgs),
}

#[derive(Debug, Args)]
struct ValidateArgs {
    /// Files of JSON documents, or of arrays of events; standard input if there is none.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Check all events against this built-in version. Without it each is checked against the version
    /// that its `metadata.version` names, or 1.8.0 if that is not built in.
    #[arg(long = "version", value_name = "VERSION", conflicts_with = "schema")]
    version: Option<String>,
    /// Check all events against a compiled schema, as the official compiler writes it.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Print warnings too.
    #[arg(short, long)]
    warnings: bool,
    /// Also warn of recommended attributes that are missing.
    #[arg(short, long)]
    recommended: bool,
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Args)]
struct ClassesArgs {
    /// List those of a compiled schema.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
}

/// Form of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line each, for people.
    Text,
    /// A JSON object each.
    Json,
}

pub(super) fn ocsf(args: &OcsfArgs) -> anyhow::Result<u8> {
    match &args.command {
        OcsfCommand::Validate(args) => validate(args),
        OcsfCommand::Classes(args) => classes(args),
    }
}

/// Prints why there is no schema and returns the exit code.
fn no_schema(error: &SchemaError) -> u8 {
    eprintln!("error: {error}");
    match error {
        SchemaError::Unreadable { .. } => exit::IO,
        SchemaError::Invalid { .. } => exit::CONFIG,
    }
}

fn classes(args: &ClassesArgs) -> anyhow::Result<u8> {
    let mut schemas: Vec<Arc<Schema>> = Vec::new();
    match &args.schema {
        Some(path) => match Schema::read(path) {
            Ok(schema) => schemas.push(schema),
            Err(error) => return Ok(no_schema(&error)),
        },
        None => {
            schemas
                .extend(Schema::built_in_versions().iter().filter_map(|version| Schema::built_in(version)));
        }
    }
    let mut out = String::new();
    for schema in schemas {
        let note = schema.note().map_or_else(String::new, |note| format!(" ({note})"));
        let _ = writeln!(out, "OCSF {}{note}", schema.version());
        for class in schema.classes() {
            let deprecated =
                class.deprecated.map_or_else(String::new, |since| format!("  deprecated since {since}"));
            let _ = writeln!(out, "{:>8}  {}  {}{deprecated}", class.uid, class.name, class.caption);
        }
    }
    print(&out)?;
    Ok(exit::DONE)
}

fn validate(args: &ValidateArgs) -> anyhow::Result<u8> {
    let fixed = match (&args.schema, &args.version) {
        (Some(path), _) => match Schema::read(path) {
            Ok(schema) => Some(schema),
            Err(error) => return Ok(no_schema(&error)),
        },
        (None, Some(version)) => match Schema::known(version) {
            Ok(schema) => Some(schema),
            Err(message) => {
                eprintln!("error: {message}; give a compiled schema with --schema");
                return Ok(exit::USAGE);
            }
        },
        (None, None) => None,
    };
    jq::with_stack(|| check(args, fixed))
}

/// Checks all inputs and returns the exit code.
fn check(args: &ValidateArgs, fixed: Option<Arc<Schema>>) -> anyhow::Result<u8> {
    let options = Options { missing_recommended: args.recommended };
    let mut session = Session {
        validators: Validators {
            fixed: fixed.map(|schema| Validator::new(schema, options)),
            by_version: Vec::new(),
            options,
        },
        report: Report {
            warnings: args.warnings || args.recommended,
            format: args.format,
            out: io::BufWriter::new(io::stdout().lock()),
            unwritten: None,
            counts: Counts::default(),
            not_checked: BTreeMap::new(),
        },
    };
    let mut unread = false;
    let standard_input = [PathBuf::from("-")];
    for path in if args.files.is_empty() { &standard_input[..] } else { &args.files } {
        let read = if path.as_os_str() == "-" {
            session.input(&mut io::stdin().lock(), "-")
        } else {
            File::open(path).and_then(|mut file| session.input(&mut file, &path.display().to_string()))
        };
        // the other files are checked all the same
        if let Err(error) = read {
            eprintln!("error: cannot read {}: {error}", path.display());
            unread = true;
        }
    }
    session.report.finish()?;
    Ok(match session.report.counts.invalid {
        _ if unread => exit::IO,
        0 => exit::DONE,
        _ => exit::TEST,
    })
}

struct Session<'a> {
    validators: Validators,
    report: Report<'a>,
}

impl Session<'_> {
    /// Checks the events of a file. Fails if it cannot be read.
    fn input(&mut self, input: &mut impl Read, shown: &str) -> io::Result<()> {
        let mut framer = Framer::new(Codec::Json, MAX_EVENT, 0, false);
        let mut events = Vec::new();
        let mut lines = Lines::default();
        loop {
            let mut chunk = vec![0; 64 << 10];
            let read = input.read(&mut chunk)?;
            if read == 0 {
                framer.finish(true, &mut events);
            } else {
                chunk.truncate(read);
                lines.feed(&chunk);
                framer.feed(chunk.into(), &mut events);
            }
            for event in events.drain(..) {
                let place = Place { file: shown, line: lines.line_of(event.offset) };
                self.event(&event, place)?;
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    fn event(&mut self, event: &Event, place: Place<'_>) -> io::Result<()> {
        let Payload::Json(text) = &event.payload else {
            self.report.not_json(place, "not JSON, or longer than 1 GiB");
            return Ok(());
        };
        if let Err(error) = json::validate(text, Limits::default().depth) {
            self.report.not_json(place, &error.to_string());
            return Ok(());
        }
        let mut event = Json::from_text(text.clone());
        let view = event.view();
        let validator = self.validators.of(view)?;
        self.report.event(validator.check(view), place);
        Ok(())
    }
}

/// Which validator an event gets.
pub(super) struct Validators {
    /// The validator of all events, if the command line names a schema.
    fixed: Option<Validator>,
    by_version: Vec<(&'static str, Validator)>,
    options: Options,
}

impl Validators {
    /// Those of a built-in version, or of the version that each event names.
    pub(super) fn built_in(version: Option<&str>) -> Result<Self, String> {
        let options = Options { missing_recommended: false };
        let fixed = match version {
            Some(version) => Some(Validator::new(Schema::known(version)?, options)),
            None => None,
        };
        Ok(Validators { fixed, by_version: Vec::new(), options })
    }

    /// Prints what is to be said of an event, and whether there is an error among it.
    pub(super) fn explain(&mut self, event: &mut Json, colour: bool) -> anyhow::Result<bool> {
        let (red, yellow, off) = if colour { ("\x1b[31m", "\x1b[33m", "\x1b[0m") } else { ("", "", "") };
        let event = event.view();
        let findings = self.of(event)?.check(event);
        for found in findings {
            let hue = if found.severity == Severity::Error { red } else { yellow };
            let (severity, rule) = (found.severity.name(), found.rule.name());
            eprintln!("ocsf: {hue}{severity}{off} {rule} {}: {}", found.path, found.message);
        }
        Ok(findings.iter().any(|found| found.severity == Severity::Error))
    }

    fn of(&mut self, event: View<'_>) -> io::Result<&mut Validator> {
        if let Some(validator) = &mut self.fixed {
            return Ok(validator);
        }
        let version = built_in_version(event);
        let at = match self.by_version.iter().position(|(known, _)| *known == version) {
            Some(at) => at,
            None => {
                let schema = Schema::known(version).map_err(io::Error::other)?;
                self.by_version.push((version, Validator::new(schema, self.options)));
                self.by_version.len() - 1
            }
        };
        Ok(&mut self.by_version[at].1)
    }
}

/// The version that an event names, if it is built in.
fn built_in_version(event: View<'_>) -> &'static str {
    let versions = Schema::built_in_versions();
    event
        .member("metadata", |metadata| {
            metadata.member("version", |version| {
                let named = version.as_str()?;
                versions.iter().copied().find(|known| *known == named)
            })
        })
        .flatten()
        .flatten()
        .unwrap_or(DEFAULT_VERSION)
}

/// Where an event stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a str,
    line: u64,
}

#[derive(Default)]
struct Counts {
    events: u64,
    /// Events with an error.
    invalid: u64,
    errors: u64,
    warnings: u64,
}

struct Report<'a> {
    warnings: bool,
    format: Format,
    out: io::BufWriter<io::StdoutLock<'a>>,
    /// Why findings are no longer printed.
    unwritten: Option<io::Error>,
    counts: Counts,
    /// What was not checked, and in how many events: people are told once, not for every event.
    not_checked: BTreeMap<String, u64>,
}

impl Report<'_> {
    fn not_json(&mut self, place: Place<'_>, problem: &str) {
        self.counts.events += 1;
        self.counts.invalid += 1;
        self.counts.errors += 1;
        self.line(place, Severity::Error.name(), "not_json", ".", problem);
    }

    fn event(&mut self, findings: &[Finding], place: Place<'_>) {
        self.counts.events += 1;
        self.counts.invalid += u64::from(findings.iter().any(|found| found.severity == Severity::Error));
        for found in findings {
            match found.severity {
                Severity::Error => self.counts.errors += 1,
                Severity::Warning => self.counts.warnings += 1,
                Severity::NotChecked if self.format == Format::Text => {
                    *self.not_checked.entry(format!("{}: {}", found.path, found.message)).or_default() += 1;
                    continue;
                }
                Severity::NotChecked => {}
            }
            if found.severity != Severity::Warning || self.warnings {
                self.line(place, found.severity.name(), found.rule.name(), &found.path, &found.message);
            }
        }
    }

    /// Prints a finding, as long as somebody reads; what is counted does not depend on it.
    fn line(&mut self, place: Place<'_>, severity: &str, rule: &str, path: &str, message: &str) {
        if self.unwritten.is_some() {
            return;
        }
        let Place { file, line } = place;
        let written = match self.format {
            Format::Text => writeln!(self.out, "{file}:{line}: {severity} {rule} {path}: {message}"),
            Format::Json => {
                let finding = serde_json::json!({
                    "file": file, "line": line, "severity": severity, "rule": rule, "path": path, "message": message,
                });
                writeln!(self.out, "{finding}")
            }
        };
        self.unwritten = written.err();
    }

    /// Says what was not checked, and the sums.
    fn finish(&mut self) -> anyhow::Result<()> {
        let flushed = self.out.flush();
        match self.unwritten.take().or(flushed.err()) {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
            // a reader that has seen enough is no error
            _ => {}
        }
        for (message, events) in &self.not_checked {
            eprintln!("not checked in {}: {message}", counted(*events, "event"));
        }
        let Counts { events, invalid, errors, warnings } = &self.counts;
        let hint = if *warnings > 0 && !self.warnings { "; --warnings shows them" } else { "" };
        eprintln!(
            "{}, {invalid} invalid: {}, {}{hint}",
            counted(*events, "event"),
            counted(*errors, "error"),
            counted(*warnings, "warning")
        );
        Ok(())
    }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The line of an offset, of offsets that grow.
struct Lines {
    /// Offsets of line breaks ahead.
    breaks: VecDeque<u128>,
    /// Bytes fed so far.
    fed: u128,
    line: u64,
}

impl Default for Lines {
    fn default() -> Self {
        Lines { breaks: VecDeque::new(), fed: 0, line: 1 }
    }
}

impl Lines {
    fn feed(&mut self, chunk: &[u8]) {
        let fed = self.fed;
        self.breaks.extend(memchr::memchr_iter(b'\n', chunk).map(|at| fed + at as u128));
        self.fed += chunk.len() as u128;
    }

    fn line_of(&mut self, offset: u128) -> u64 {
        while self.breaks.front().is_some_and(|at| *at < offset) {
            self.breaks.pop_front();
            self.line += 1;
        }
        self.line
    }
}
