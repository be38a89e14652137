//! `jaquard test`: one file per kind of test.

mod case;
mod compare;
mod conform;
mod coverage;
mod file;
mod format;
mod inputs;
mod leaves;
mod offline;
mod replay;
mod report;
mod transform;
mod watch;
mod writes;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;

use super::terminal::visible;
use super::{exit, print, print_diagnostics};
use crate::config::{Diagnostic, schema_of};
use crate::jq::{Coverage, Runner};
use file::{Kind, TestFile};
use report::Line;
use writes::{Held, Write};

/// How the names of test files end.
const ENDING: &str = ".test.toml";

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct TestArgs {
    /// Test files, and folders with `*.test.toml` files anywhere below. Default: the current folder.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write what the tests compare with instead of comparing: golden files and counts.
    #[arg(long)]
    update: bool,
    /// Run only tests whose file or name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Also write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Run again whenever a file changes that the tests have read.
    #[arg(long)]
    watch: bool,
    /// Say which places of the programs no input has come to.
    #[arg(long)]
    coverage: bool,
    /// Fail if a smaller part of the programs was reached.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    coverage_min: Option<f64>,
    /// Print the JSON Schema of test files, for editors.
    #[arg(long, exclusive = true)]
    schema: bool,
}

impl TestArgs {
    fn wants_coverage(&self) -> bool {
        self.coverage || self.coverage_min.is_some()
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("a number from 0 to 100".to_owned()),
    }
}

/// How a test went.
#[derive(Debug, Default)]
struct Verdict {
    /// Which level failed, and how.
    failures: Vec<(&'static str, String)>,
    /// What is wrong with the test or its pipeline, so that it cannot be run.
    diagnostics: Vec<Diagnostic>,
    /// What was counted.
    summary: String,
    /// What the test compares with, to be written.
    writes: Vec<Write>,
    /// Files that were written.
    updated: Vec<PathBuf>,
    /// Changes of the test file.
    edits: Vec<(Range<usize>, String)>,
    /// Files that the test has read or written.
    used: Vec<PathBuf>,
    /// What the inputs reached of its program, if somebody asks.
    coverage: Coverage,
}

impl Verdict {
    fn fail(&mut self, level: &'static str, message: impl Into<String>) {
        self.failures.push((level, message.into()));
    }
}

pub(super) fn test(args: &TestArgs) -> anyhow::Result<u8> {
    if args.schema {
        let schema = schema_of::<format::Tests>();
        print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))?;
        return Ok(exit::DONE);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code =
        if args.watch { watch::watch(args, &runtime) } else { round(args, &runtime).map(|round| round.code) };
    runtime.shutdown_background();
    code
}

/// What one run of all tests came to.
#[derive(Debug, Default)]
struct Round {
    code: u8,
    /// Folders that were searched for test files.
    folders: Vec<PathBuf>,
    /// Files that were read.
    used: Vec<PathBuf>,
}

/// Runs all tests once and reports them.
fn round(args: &TestArgs, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Round> {
    let mut outcome = Round::default();
    let found = match discover(&args.paths, &mut outcome.folders)? {
        Ok(found) => found,
        Err(message) => {
            eprintln!("error: {}", visible(&message));
            return Ok(Round { code: exit::USAGE, ..outcome });
        }
    };
    let mut code = exit::DONE;
    let mut files = Vec::new();
    for path in found {
        outcome.used.push(path.clone());
        match file::read(&path) {
            Ok(file) => files.push(file),
            Err(diagnostics) => {
                print_diagnostics(&diagnostics);
                code = exit::CONFIG;
            }
        }
    }
    let jobs = jobs(&files, args.filter.as_deref());
    if let (true, exit::DONE, Some(filter)) = (jobs.is_empty(), code, &args.filter) {
        eprintln!("error: no test has `{filter}` in its file or name");
        return Ok(Round { code: exit::USAGE, ..outcome });
    }
    let mut report = Report {
        files: &files,
        code,
        edits: BTreeMap::new(),
        held: Held::new(args.filter.is_none()),
        lines: Vec::new(),
        used: outcome.used,
        coverage: Coverage::new(),
    };
    let settings = Settings { update: args.update, coverage: args.wants_coverage(), runtime };
    run_all(&files, &jobs, settings, &mut |job, line| report.add(job, line))?;
    let Report { edits, lines, used, coverage, mut code, .. } = report;
    for (at, edits) in edits {
        let file = &files[at];
        file.write(edits).with_context(|| format!("cannot write {}", file.file.shown))?;
    }
    let failed = lines.iter().filter(|line| !line.verdict.failures.is_empty()).count();
    if let Some(path) = &args.junit {
        std::fs::write(path, report::junit(&lines))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.wants_coverage() {
        print(&visible(&coverage::report(&coverage)))?;
    }
    print(&format!("{} passed, {failed} failed\n", lines.len() - failed))?;
    if let Some(least) = args.coverage_min {
        let percent = coverage::percent(&coverage);
        if percent < least {
            eprintln!(
                "error: {percent:.1} % of the places in the programs were reached, and {least} % must be"
            );
            code = code.max(exit::TEST);
        }
    }
    Ok(Round { code, used, ..outcome })
}

/// The test files that the paths name, or why there are none.
fn discover(paths: &[PathBuf], folders: &mut Vec<PathBuf>) -> anyhow::Result<Result<Vec<PathBuf>, String>> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here[..] } else { paths };
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut below = Vec::new();
            find(path, &mut below, folders)
                .with_context(|| format!("cannot look through {}", path.display()))?;
            below.sort();
            found.append(&mut below);
        } else if path.exists() {
            found.push(path.clone());
        } else {
            return Ok(Err(format!("there is no {}", path.display())));
        }
    }
    let mut seen = HashSet::new();
    found.retain(|path| seen.insert(path.clone()));
    if found.is_empty() {
        return Ok(Err(format!("there is no file `*{ENDING}` here")));
    }
    Ok(Ok(found))
}

/// What holds for all tests.
#[derive(Clone, Copy)]
struct Settings<'a> {
    /// Whether to write what is compared.
    update: bool,
    /// Whether to see what is reached of the programs.
    coverage: bool,
    runtime: &'a tokio::runtime::Runtime,
}

/// A test of a file, by their numbers.
#[derive(Debug, Clone, Copy)]
struct Job {
    file: usize,
    kind: Kind,
    number: usize,
}

/// The tests to be run, in the order of the files and of what stands in them.
fn jobs(files: &[TestFile], filter: Option<&str>) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (at, file) in files.iter().enumerate() {
        for (kind, number) in file.order() {
            let full = format!("{}: {}", file.shown(), file.name((kind, number)));
            if filter.is_none_or(|filter| full.contains(filter)) {
                jobs.push(Job { file: at, kind, number });
            }
        }
    }
    jobs
}

/// Runs tests side by side. `report` gets them in their order, each as soon as all before it are there.
fn run_all(
    files: &[TestFile],
    jobs: &[Job],
    settings: Settings<'_>,
    report: &mut dyn FnMut(Job, Line) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    let next = AtomicUsize::new(0);
    let (done, finished) = mpsc::channel();
    std::thread::scope(|scope| {
        for number in 0..threads {
            let (done, next) = (done.clone(), &next);
            let work = move || {
                Runner::enter_worker();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(at) else { break };
                    // nobody listens once a report could not be printed
                    if done.send((at, run_one(&files[job.file], *job, settings))).is_err() {
                        break;
                    }
                }
            };
            Runner::worker_thread(format!("test {number}"))
                .spawn_scoped(scope, work)
                .context("cannot start a thread")?;
        }
        drop(done);
        let mut waiting = BTreeMap::new();
        let mut reported = 0;
        for (at, line) in finished {
            waiting.insert(at, line);
            while let Some(line) = waiting.remove(&reported) {
                report(jobs[reported], line)?;
                reported += 1;
            }
        }
        Ok(())
    })
}

fn run_one(file: &TestFile, job: Job, settings: Settings<'_>) -> Line {
    let began = Instant::now();
    let verdict = match job.kind {
        Kind::Replay => settings.runtime.block_on(replay::run(file, job.number, settings.update)),
        Kind::Case => case::run(file, job.number, settings),
    };
    Line {
        file: file.shown().to_owned(),
        name: file.name((job.kind, job.number)).to_owned(),
        took: began.elapsed(),
        verdict,
    }
}

/// Prints what comes in, and keeps it.
struct Report<'a> {
    files: &'a [TestFile],
    code: u8,
    /// Changes by test file.
    edits: BTreeMap<usize, Vec<(Range<usize>, String)>>,
    /// What was written, or would be the same.
    held: Held,
    lines: Vec<Line>,
    used: Vec<PathBuf>,
    coverage: Coverage,
}

impl Report<'_> {
    fn add(&mut self, job: Job, mut line: Line) -> anyhow::Result<()> {
        let file = &self.files[job.file];
        let full = format!("{}: {}", file.shown(), line.name).replace('\n', "\\n");
        let verdict = &mut line.verdict;
        self.held.write(file, &line.name, verdict);
        let mut text = String::new();
        if verdict.failures.is_empty() {
            let is_updated = !verdict.edits.is_empty() || !verdict.updated.is_empty();
            let note = if is_updated { ", updated" } else { "" };
            text += &format!("ok     {full} ({}{note})\n", verdict.summary);
        } else {
            text += &format!("FAILED {full}\n");
            for (level, message) in &verdict.failures {
                text += &format!("  {level}: {}\n", message.replace('\n', "\n  "));
            }
            self.code = self.code.max(exit::TEST);
        }
        print(&visible(&text))?;
        if !verdict.diagnostics.is_empty() {
            print_diagnostics(&verdict.diagnostics);
            self.code = exit::CONFIG;
        }
        self.edits.entry(job.file).or_default().append(&mut verdict.edits);
        self.used.append(&mut verdict.used);
        self.coverage.merge(std::mem::take(&mut verdict.coverage));
        self.lines.push(line);
        Ok(())
    }
}

/// All test files below a folder. Hidden folders and `target` are left out, links to folders not followed.
fn find(folder: &Path, found: &mut Vec<PathBuf>, folders: &mut Vec<PathBuf>) -> std::io::Result<()> {
    folders.push(folder.to_path_buf());
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && name != "target" {
                find(&entry.path(), found, folders)?;
            }
        } else if name.ends_with(ENDING) {
            found.push(entry.path());
        }
    }
    Ok(())
}
