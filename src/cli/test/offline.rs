//! A pipeline from its source to its sink without anybody outside: what it is fed comes from a recording
//! or from a test, and its sinks only collect.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::file::TestFile;
use super::inputs::Inputs;
use super::transform::RELATIVE;
use crate::config::{Diagnostic, OutsideMode, Severity, nearest};
use crate::http::cassette::{CassetteError, Player};
use crate::http::transport::Wire;
use crate::sink::Collected;
use crate::topology::{self, LoadError, Pipeline, RunOptions, Stop};

/// A run that takes longer does not end.
const PATIENCE: Duration = Duration::from_mins(2);

/// What one run came to.
pub(super) struct Ran {
    pub(super) events: u64,
    pub(super) dead_letters: u64,
    /// Lines of the dead-letter file.
    pub(super) letters: Vec<String>,
    /// What arrived at the sink.
    pub(super) lines: Vec<u8>,
    pub(super) error: Option<String>,
    pub(super) balances: bool,
}

/// What a source is fed with.
pub(super) enum Feed<'a> {
    /// What was recorded of it.
    Tape { wire: Wire, limit: Option<u64> },
    /// Events, in its place.
    Inputs(&'a Inputs),
}

/// A pipeline to be run, and who says so.
pub(super) struct Offline<'a> {
    pub(super) file: &'a TestFile,
    /// `/case/0`
    pub(super) test: String,
    pub(super) pipeline: &'a Path,
    pub(super) source: Option<&'a str>,
    pub(super) sink: Option<&'a str>,
    /// The option that wants to know what arrives at the sink.
    pub(super) compares: Option<&'static str>,
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) feed: Feed<'a>,
}

/// Reads a recording.
pub(super) fn player(file: &TestFile, test: &str, cassette: &Path) -> Result<Player, Vec<Diagnostic>> {
    Player::load(cassette).map_err(|error| {
        let help = matches!(&error, CassetteError::Io { .. })
            .then(|| "record it with `jaquard record FILE SOURCE -o CASSETTE`".to_owned());
        vec![file.error_at(&format!("{test}/cassette"), error.to_string(), help)]
    })
}

impl Offline<'_> {
    fn error(&self, option: &str, message: impl Into<String>, help: Option<String>) -> Vec<Diagnostic> {
        vec![self.file.error_at(&format!("{}/{option}", self.test), message, help)]
    }

    /// Loads the pipeline and runs it to its end.
    pub(super) async fn run(&self, data_dir: &Temporary) -> Result<Ran, Vec<Diagnostic>> {
        let path = self.file.resolve(self.pipeline);
        let loaded = topology::load_given(&path, OutsideMode::AllowMissing, true, self.env);
        let mut pipeline = loaded.map_err(|error| match error {
            LoadError::Unreadable(path, error) => {
                let message = format!("cannot read {}: {error}", path.display());
                self.error("pipeline", message, Some(RELATIVE.to_owned()))
            }
            LoadError::Invalid(mut found) => {
                found.retain(|found| found.severity == Severity::Error);
                found
            }
        })?;
        let source = self.source(&pipeline)?;
        let sinks = match &self.feed {
            Feed::Tape { wire, limit } => pipeline.replayed(&source, wire.clone(), *limit),
            Feed::Inputs(inputs) => pipeline.fed(&source, &inputs.origin, &inputs.events),
        };
        let sink = self.sink(&sinks)?;
        let (_stop, stopped) = watch::channel(Stop::No);
        let options = RunOptions {
            data_dir: data_dir.0.clone(),
            once: true,
            grace: Duration::from_secs(5),
            stop: stopped,
            progress: None,
        };
        let dead_letters = data_dir.0.join("dead_letters.ndjson");
        let outcome = match tokio::time::timeout(PATIENCE, topology::run(pipeline, options)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("the run does not end: stopped after {} s", PATIENCE.as_secs())),
        };
        let lines = sink.map(Collected::lines).unwrap_or_default();
        let letters = std::fs::read_to_string(&dead_letters).unwrap_or_default();
        let letters = letters.lines().map(str::to_owned).collect();
        Ok(match outcome {
            Ok(outcome) => Ran {
                events: outcome.ledger.iter().map(|line| line.read).sum(),
                dead_letters: outcome.ledger.iter().map(|line| line.dead_lettered).sum(),
                letters,
                lines,
                error: outcome.error,
                balances: outcome.ledger.iter().all(topology::LedgerLine::balances),
            },
            Err(error) => {
                Ran { events: 0, dead_letters: 0, letters, lines, error: Some(error), balances: true }
            }
        })
    }

    /// The sink whose events are compared.
    fn sink<'s>(&self, sinks: &'s [(String, Collected)]) -> Result<Option<&'s Collected>, Vec<Diagnostic>> {
        let names: Vec<&str> = sinks.iter().map(|(name, _)| name.as_str()).collect();
        match (self.sink, sinks) {
            (None, [(_, one)]) => Ok(Some(one)),
            (None, _) => {
                let Some(option) = self.compares else { return Ok(None) };
                let message = "the pipeline has several sinks, and the test does not say which is compared";
                let help = format!("add `sink = …`, one of {}", listed(&names));
                Err(self.error(option, message, Some(help)))
            }
            (Some(wanted), sinks) => match sinks.iter().find(|(name, _)| name == wanted) {
                Some((_, found)) => Ok(Some(found)),
                None => {
                    let message = format!("the pipeline has no sink `{wanted}`");
                    Err(self.error("sink", message, Some(did_you_mean(wanted, &names))))
                }
            },
        }
    }

    /// The source that is fed.
    fn source(&self, pipeline: &Pipeline) -> Result<String, Vec<Diagnostic>> {
        let (known, which, done) = match self.feed {
            Feed::Tape { .. } => (pipeline.network_sources(), " that asks over the network", "was recorded"),
            Feed::Inputs(_) => (pipeline.sources(), "", "is fed"),
        };
        match (self.source, known.as_slice()) {
            (Some(wanted), known) if known.contains(&wanted) => Ok(wanted.to_owned()),
            (Some(wanted), known) => {
                let message = format!("the pipeline has no source `{wanted}`{which}");
                Err(self.error("source", message, Some(did_you_mean(wanted, known))))
            }
            (None, [one]) => Ok((*one).to_owned()),
            (None, []) => Err(self.error("pipeline", format!("the pipeline has no source{which}"), None)),
            (None, known) => {
                let message =
                    format!("the pipeline has several sources, and the test does not say which {done}");
                let help = format!("add `source = …`, one of {}", listed(known));
                Err(self.error("pipeline", message, Some(help)))
            }
        }
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn did_you_mean(wanted: &str, known: &[&str]) -> String {
    match nearest(wanted, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("write one of {}", listed(known)),
    }
}

/// A folder that goes when it is dropped.
pub(super) struct Temporary(PathBuf);

impl Temporary {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("jaquard-test-{}-{nanos}-{number}", std::process::id());
        Temporary(std::env::temp_dir().join(name))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(error = %error, "the temporary data_dir is not removed");
        }
    }
}
