//! A pipeline run on a recording, twice.

use std::path::PathBuf;
use std::sync::Arc;

use super::Verdict;
use super::file::{Counts, TestFile};
use super::format::Replay;
use super::offline::{Feed, Offline, Ran, Temporary, player};
use super::report::{clipped, difference};
use super::writes::Write;
use crate::cli::record::counted;
use crate::config::Diagnostic;
use crate::http::cassette::Player;

/// Exchanges that a message names.
const MAX_SHOWN: usize = 5;

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
    let player = player(file, &format!("/replay/{number}"), &cassette)?;
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
        let option = format!("/replay/{number}/golden");
        compare_golden(verdict, option, path, first.lines, update && all_work);
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
        let first = ran.letters.first().map(|letter| format!("\n  {}", clipped(letter))).unwrap_or_default();
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

fn compare_golden(verdict: &mut Verdict, option: String, path: PathBuf, actual: Vec<u8>, update: bool) {
    verdict.used.push(path.clone());
    let shown = path.display();
    let found = std::fs::read(&path);
    let is_same = found.as_ref().is_ok_and(|found| *found == actual);
    if update {
        return verdict.writes.push(Write { option, path, content: actual, level: "golden", is_same });
    }
    if is_same {
        return;
    }
    match found {
        Ok(expected) => {
            let difference = difference(&expected, &actual);
            verdict.fail("golden", format!("{shown}: {difference}"));
        }
        Err(error) => {
            verdict.fail("golden", format!("cannot read {shown}: {error}; `--update` writes it"));
        }
    }
}

/// Runs the pipeline to its end.
async fn once(
    file: &TestFile,
    number: usize,
    player: &Arc<Player>,
    data_dir: &Temporary,
) -> Result<Ran, Vec<Diagnostic>> {
    let test = &file.tests.replay[number];
    let offline = Offline {
        file,
        test: format!("/replay/{number}"),
        pipeline: &test.pipeline,
        source: test.source.as_deref(),
        sink: test.sink.as_deref(),
        compares: test.golden.is_some().then_some("golden"),
        env: &test.env,
        feed: Feed::Tape { wire: player.wire(), limit: test.limit },
    };
    offline.run(data_dir).await
}
