//! A pipeline run on a recording, twice.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::Verdict;
use super::file::{Counts, TestFile};
use super::format::Replay;
use super::report::difference;
use crate::cli::record::counted;
use crate::config::{Diagnostic, OutsideMode, Severity, nearest};
use crate::http::cassette::{CassetteError, Player};
use crate::topology::{self, LoadError, Pipeline, RunOptions, Stop};

/// A run that takes longer does not end.
const PATIENCE: Duration = Duration::from_mins(2);

/// Exchanges that a message names.
const MAX_SHOWN: usize = 5;

/// What one run came to.
struct Ran {
    events: u64,
    dead_letters: u64,
    dead_letter: Option<String>,
    /// What arrived at the sink.
    lines: Vec<u8>,
    error: Option<String>,
    balances: bool,
}

/// Runs the test and says how it went; with `update`, writes what it would compare with.
pub(super) async fn run(file: &TestFile, number: usize, update: bool) -> Verdict {
    let mut verdict = Verdict::default();
    if let Err(diagnostics) = replay(file, number, update, &mut verdict).await {
        verdict.diagnostics = diagnostics;
        verdict.fail("works", "the test cannot be run");
    }
    verdict
}

async fn replay(
    file: &TestFile,
    number: usize,
    update: bool,
    verdict: &mut Verdict,
) -> Result<(), Vec<Diagnostic>> {
    let test = &file.tests.replay[number];
    let cassette = file.resolve(&test.cassette);
    verdict.used.extend([file.resolve(&test.pipeline), cassette.clone()]);
    let player = Player::load(&cassette).map_err(|error| {
        let help = matches!(&error, CassetteError::Io { .. })
            .then(|| "record it with `jaquard record FILE SOURCE -o CASSETTE`".to_owned());
        vec![file.error(number, "cassette", error.to_string(), help)]
    })?;
    let player = Arc::new(player.ignoring(&test.ignore_query));
    let data_dir = Temporary::new();

    let first = once(file, number, &player, &data_dir).await?;
    let requests = player.requests().len() as u64;
    let works = worked(verdict, "works", &first, test.dead_letters);
    let mut counts = Counts { events: first.events, requests, second: None };
    let first_left = player.unused().len();
    let is_whole = test.limit.is_none();
    if works && is_whole && (test.second_run.is_some() || first_left > 0) {
        let second = once(file, number, &player, &data_dir).await?;
        if worked(verdict, "cursor", &second, 0) {
            counts.second = Some(second.events);
        }
    }
    let all_work = verdict.failures.is_empty();
    let unused = player.unused();
    if all_work && is_whole && !unused.is_empty() {
        let mut message =
            format!("{} of the recording not asked for:", counted(unused.len() as u64, "exchange"));
        unused.iter().take(MAX_SHOWN).for_each(|exchange| message += &format!("\n  {exchange}"));
        if unused.len() > MAX_SHOWN {
            message += &format!("\n  and {} more", unused.len() - MAX_SHOWN);
        }
        verdict.fail("pages", message);
    }
    let summary = [Some(counted(counts.events, "event")), Some(counted(requests, "request"))];
    let second = counts.second.map(|events| format!("then {}", counted(events, "event")));
    verdict.summary = summary.into_iter().chain([second]).flatten().collect::<Vec<_>>().join(", ");

    if update && all_work {
        verdict.edits = file.count_edits(number, &counts);
    } else if !update {
        compare_counts(verdict, test, &counts);
    }
    if let Some(golden) = &test.golden
        && works
    {
        let path = file.resolve(golden);
        compare_golden(verdict, &path, &first.lines, update && all_work);
    }
    Ok(())
}

fn worked(verdict: &mut Verdict, level: &'static str, ran: &Ran, dead_letters: u64) -> bool {
    let whose = if level == "cursor" { "the second run: " } else { "" };
    let before = verdict.failures.len();
    if let Some(error) = &ran.error {
        verdict.fail(level, format!("{whose}{error}"));
    }
    if !ran.balances {
        verdict.fail(level, format!("{whose}the ledger does not balance"));
    }
    if ran.dead_letters != dead_letters {
        let first = ran.dead_letter.as_ref().map(|letter| format!("\n  {letter}")).unwrap_or_default();
        let found = counted(ran.dead_letters, "dead letter");
        verdict.fail(level, format!("{whose}{found}, expected {dead_letters}{first}"));
    }
    verdict.failures.len() == before
}

fn compare_counts(verdict: &mut Verdict, test: &Replay, counts: &Counts) {
    let mut check = |level, what: &str, actual: u64, expected: Option<u64>| {
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            verdict.fail(level, format!("{}, expected {expected}", counted(actual, what)));
        }
    };
    check("counts", "event", counts.events, test.events);
    check("pages", "request", counts.requests, test.requests);
    if let Some(second) = counts.second {
        check("cursor", "event", second, test.second_run.as_ref().map(|run| run.events));
    }
}

fn compare_golden(verdict: &mut Verdict, path: &Path, actual: &[u8], update: bool) {
    verdict.used.push(path.to_path_buf());
    let shown = path.display();
    let found = std::fs::read(path);
    if found.as_ref().is_ok_and(|found| found == actual) {
        return;
    }
    if update {
        return verdict.write(path, actual, "golden");
    }
    match found {
        Ok(expected) => {
            let difference = difference(&expected, actual);
            verdict.fail("golden", format!("{shown}: {difference}"));
        }
        Err(error) => {
            verdict.fail("golden", format!("cannot read {shown}: {error}; `--update` writes it"));
        }
    }
}

/// Loads the pipeline and runs it to its end.
async fn once(
    file: &TestFile,
    number: usize,
    player: &Arc<Player>,
    data_dir: &Temporary,
) -> Result<Ran, Vec<Diagnostic>> {
    let test = &file.tests.replay[number];
    let path = file.resolve(&test.pipeline);
    let loaded = topology::load_given(&path, OutsideMode::AllowMissing, true, &test.env);
    let mut pipeline = loaded.map_err(|error| match error {
        LoadError::Unreadable(path, error) => {
            let message = format!("cannot read {}: {error}", path.display());
            let help = "a relative path is resolved from the folder of the test file".to_owned();
            vec![file.error(number, "pipeline", message, Some(help))]
        }
        LoadError::Invalid(mut found) => {
            found.retain(|found| found.severity == Severity::Error);
            found
        }
    })?;
    let source = source_of(file, number, &pipeline)?;
    let sinks = pipeline.replayed(&source, player.wire(), test.limit);
    let names: Vec<&str> = sinks.iter().map(|(name, _)| name.as_str()).collect();
    let sink = match (&test.sink, sinks.as_slice()) {
        (None, [one]) => Some(one),
        (None, _) if test.golden.is_none() => None,
        (None, _) => {
            let message = "the pipeline has several sinks, and the test does not say which is compared";
            let help = format!("add `sink = …`, one of {}", listed(&names));
            return Err(vec![file.error(number, "golden", message.to_owned(), Some(help))]);
        }
        (Some(wanted), sinks) => match sinks.iter().find(|(name, _)| name == wanted) {
            Some(found) => Some(found),
            None => {
                let message = format!("the pipeline has no sink `{wanted}`");
                return Err(vec![file.error(number, "sink", message, Some(did_you_mean(wanted, &names)))]);
            }
        },
    };
    let (_stop, stopped) = watch::channel(Stop::No);
    let options = RunOptions {
        data_dir: data_dir.0.clone(),
        once: true,
        grace: Duration::from_secs(5),
        stop: stopped,
        progress: None,
    };
    let dead_letter = data_dir.0.join("dead_letters.ndjson");
    let outcome = match tokio::time::timeout(PATIENCE, topology::run(pipeline, options)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("the run does not end: stopped after {} s", PATIENCE.as_secs())),
    };
    let lines = sink.map(|(_, collected)| collected.lines()).unwrap_or_default();
    let letters = std::fs::read_to_string(&dead_letter).unwrap_or_default();
    let dead_letter = letters.lines().next().map(super::report::clipped);
    Ok(match outcome {
        Ok(outcome) => Ran {
            events: outcome.ledger.iter().map(|line| line.read).sum(),
            dead_letters: outcome.ledger.iter().map(|line| line.dead_lettered).sum(),
            dead_letter,
            lines,
            error: outcome.error,
            balances: outcome.ledger.iter().all(topology::LedgerLine::balances),
        },
        Err(error) => {
            Ran { events: 0, dead_letters: 0, dead_letter, lines, error: Some(error), balances: true }
        }
    })
}

/// The source that was recorded.
fn source_of(file: &TestFile, number: usize, pipeline: &Pipeline) -> Result<String, Vec<Diagnostic>> {
    let known = pipeline.network_sources();
    let error = |option: &str, message: String, help: Option<String>| {
        Err(vec![file.error(number, option, message, help)])
    };
    match (&file.tests.replay[number].source, known.as_slice()) {
        (Some(wanted), known) if known.contains(&wanted.as_str()) => Ok(wanted.clone()),
        (Some(wanted), known) => {
            let message = format!("the pipeline has no source `{wanted}` that asks over the network");
            error("source", message, Some(did_you_mean(wanted, known)))
        }
        (None, [one]) => Ok((*one).to_owned()),
        (None, []) => {
            error("pipeline", "the pipeline has no source that asks over the network".to_owned(), None)
        }
        (None, known) => {
            let message = "the pipeline has several sources, and the test does not say which was recorded";
            error("pipeline", message.to_owned(), Some(format!("add `source = …`, one of {}", listed(known))))
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
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
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
