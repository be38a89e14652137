//! `jaquard test`: one file per kind of test.

mod file;
mod replay;
mod report;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;

use super::{exit, print, print_diagnostics};
use crate::config::Diagnostic;
use file::TestFile;
use report::Line;

/// How the names of test files end.
const ENDING: &str = ".test.toml";

#[derive(Debug, Args)]
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
    /// Golden files that were written.
    updated: Vec<PathBuf>,
    /// Changes of the test file.
    edits: Vec<(Range<usize>, String)>,
}

impl Verdict {
    fn fail(&mut self, level: &'static str, message: impl Into<String>) {
        self.failures.push((level, message.into()));
    }
}

pub(super) fn test(args: &TestArgs) -> anyhow::Result<u8> {
    let here = [PathBuf::from(".")];
    let paths = if args.paths.is_empty() { &here[..] } else { &args.paths };
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut below = Vec::new();
            find(path, &mut below).with_context(|| format!("cannot look through {}", path.display()))?;
            below.sort();
            found.append(&mut below);
        } else if path.exists() {
            found.push(path.clone());
        } else {
            eprintln!("error: there is no {}", path.display());
            return Ok(exit::USAGE);
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|path| seen.insert(path.clone()));
    if found.is_empty() {
        eprintln!("error: there is no file `*{ENDING}` here");
        return Ok(exit::USAGE);
    }

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let mut code = exit::DONE;
    let mut lines = Vec::new();
    for path in found {
        match file::read(&path) {
            Ok(file) => run_file(&file, args, &runtime, &mut lines, &mut code)?,
            Err(diagnostics) => {
                print_diagnostics(&diagnostics);
                code = exit::CONFIG;
            }
        }
    }
    runtime.shutdown_background();
    let failed = lines.iter().filter(|line| !line.verdict.failures.is_empty()).count();
    if let Some(path) = &args.junit {
        std::fs::write(path, report::junit(&lines))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let (true, exit::DONE, Some(filter)) = (lines.is_empty(), code, &args.filter) {
        eprintln!("error: no test has `{filter}` in its file or name");
        return Ok(exit::USAGE);
    }
    print(&format!("{} passed, {failed} failed\n", lines.len() - failed))?;
    Ok(code)
}

fn run_file(
    file: &TestFile,
    args: &TestArgs,
    runtime: &tokio::runtime::Runtime,
    lines: &mut Vec<Line>,
    code: &mut u8,
) -> anyhow::Result<()> {
    let shown = file.file.shown.clone();
    let shown = shown.strip_prefix("./").unwrap_or(&shown);
    let mut edits = Vec::new();
    for (number, test) in file.tests.replay.iter().enumerate() {
        let full = format!("{shown}: {}", test.name);
        if args.filter.as_ref().is_some_and(|filter| !full.contains(filter)) {
            continue;
        }
        let began = Instant::now();
        let mut verdict = runtime.block_on(replay::run(file, number, args.update));
        let took = began.elapsed();
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
            *code = (*code).max(exit::TEST);
        }
        print(&text)?;
        if !verdict.diagnostics.is_empty() {
            print_diagnostics(&verdict.diagnostics);
            *code = exit::CONFIG;
        }
        edits.append(&mut verdict.edits);
        lines.push(Line { file: shown.to_owned(), name: test.name.clone(), took, verdict });
    }
    file.write(edits).with_context(|| format!("cannot write {shown}"))
}

/// All test files below a folder. Hidden folders and `target` are left out, links to folders not followed.
fn find(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && name != "target" {
                find(&entry.path(), found)?;
            }
        } else if name.ends_with(ENDING) {
            found.push(entry.path());
        }
    }
    Ok(())
}
