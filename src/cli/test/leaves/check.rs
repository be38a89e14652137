//! What was traced, held against the lists of the test file and the file of leaves.

use std::collections::HashSet;
use std::path::Path;

use super::{Example, Pattern, Traced};
use crate::cli::test::Verdict;
use crate::cli::test::file::TestFile;
use crate::cli::test::inputs::Inputs;
use crate::cli::test::report::clipped;
use crate::cli::test::transform::RELATIVE;
use crate::cli::test::writes::Write;
use crate::config::Diagnostic;

/// Leaves that are named.
const MAX_LEAVES: usize = 20;

/// Lines of a difference that are shown.
const MAX_LINES: usize = 20;

/// A list of patterns in a test file.
pub(in crate::cli::test) struct List {
    /// `/dropped`
    option: String,
    patterns: Vec<Pattern>,
}

impl List {
    /// A list of a case, or else of its file; what is wrong with it.
    pub(in crate::cli::test) fn of(
        file: &TestFile,
        number: usize,
        name: &str,
        own: Option<&Vec<String>>,
        common: &[String],
    ) -> Result<Self, Vec<Diagnostic>> {
        let (option, texts) = match own {
            Some(own) => (format!("/case/{number}/{name}"), own.as_slice()),
            None => (format!("/{name}"), common),
        };
        let (mut patterns, mut wrong) = (Vec::new(), Vec::new());
        for (at, text) in texts.iter().enumerate() {
            match Pattern::parse(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(message) => wrong.push(file.error_at(&format!("{option}/{at}"), message, None)),
            }
        }
        if wrong.is_empty() { Ok(List { option, patterns }) } else { Err(wrong) }
    }

    fn has(&self, path: &Pattern) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(path))
    }
}

/// Leaves that were lost, and lists that say what is not so.
pub(in crate::cli::test) fn check_lists(
    verdict: &mut Verdict,
    file: &TestFile,
    inputs: &Inputs,
    traced: &Traced,
    dropped: &List,
    converted: &List,
) {
    let mut lost = Vec::new();
    let mut changing = Vec::new();
    for (path, fate) in &traced.leaves {
        // what is converted in one event may make no difference in another
        if let Some(example) = &fate.lost
            && fate.converted.is_none()
            && !dropped.has(path)
            && !converted.has(path)
        {
            lost.push((path, example));
        }
        if let Some(example) = &fate.converted
            && !converted.has(path)
        {
            changing.push((path, example));
        }
    }
    tell(verdict, inputs, &lost, "goes nowhere: no output changes with it", "dropped");
    tell(verdict, inputs, &changing, "changes the outputs, and is not found in them", "converted");

    for (list, is_dropped) in [(dropped, true), (converted, false)] {
        for (at, pattern) in list.patterns.iter().enumerate() {
            let mut meant = traced.leaves.iter().filter(|(path, _)| pattern.matches(path)).peekable();
            let (message, help) = match meant.peek() {
                None => (
                    format!("`{pattern}` is no leaf of any input"),
                    "take it out, or add an input that has it",
                ),
                Some((_, first)) => {
                    let arrives = first.arrives.iter().next().map(|at| format!(" at `{at}`"));
                    let is_true = |fate: &super::Fate| {
                        if is_dropped { fate.lost.is_some() } else { fate.converted.is_some() }
                    };
                    if meant.any(|(_, fate)| is_true(fate)) {
                        continue;
                    }
                    match (arrives, is_dropped) {
                        (Some(at), _) => (format!("`{pattern}` arrives{at} in every input"), "take it out"),
                        (None, true) => {
                            (format!("`{pattern}` changes the outputs"), "list it in `converted` instead")
                        }
                        (None, false) => {
                            (format!("`{pattern}` changes no output"), "list it in `dropped` instead")
                        }
                    }
                }
            };
            let found = file.error_at(&format!("{}/{at}", list.option), message, Some(help.to_owned()));
            verdict.fail("leaves", found.render(false));
        }
    }
}

fn tell(verdict: &mut Verdict, inputs: &Inputs, found: &[(&Pattern, &Example)], what: &str, list: &str) {
    if found.is_empty() {
        return;
    }
    let mut text = String::new();
    for (_, example) in found.iter().take(MAX_LEAVES) {
        text += &format!("{} of {} {what}", example.path, inputs.name(example.input));
        if let Some(error) = &example.error {
            text += &format!(": with another value the transform fails: {}", clipped(error));
        }
        if example.count > 1 {
            text += &format!(" ({} times)", example.count);
        }
        text.push('\n');
    }
    if found.len() > MAX_LEAVES {
        text += &format!("and {} more\n", found.len() - MAX_LEAVES);
    }
    let patterns: Vec<String> =
        found.iter().map(|(path, _)| serde_json::Value::from(path.to_string()).to_string()).collect();
    text += &format!("map it, or list it: {list} = [{}]", patterns.join(", "));
    verdict.fail("leaves", text);
}

/// Compares with the file of leaves, or writes it.
pub(in crate::cli::test) fn compare_file(
    verdict: &mut Verdict,
    file: &TestFile,
    option: &str,
    path: &Path,
    traced: &Traced,
    update: bool,
) {
    verdict.used.push(path.to_path_buf());
    let actual = traced.text();
    if update {
        let (option, path) = (option.to_owned(), path.to_path_buf());
        let content = actual.into_bytes();
        return verdict.writes.push(Write { option, path, content, level: "leaves", is_same: false });
    }
    let shown = path.display();
    let expected = match std::fs::read_to_string(path) {
        Ok(expected) => expected,
        Err(error) => {
            let message = format!("cannot read {shown}: {error}");
            let help = format!("`jaquard test --update` writes it; {RELATIVE}");
            return verdict.fail("leaves", file.error_at(option, message, Some(help)).render(false));
        }
    };
    if expected == actual {
        return;
    }
    let (was, is): (HashSet<&str>, HashSet<&str>) = (expected.lines().collect(), actual.lines().collect());
    let gone = expected.lines().filter(|line| !is.contains(line));
    let new = actual.lines().filter(|line| !was.contains(line));
    // one path, one place: what it was and what it is
    let mut lines: Vec<(&str, char, &str)> = Vec::new();
    lines.extend(gone.map(|line| (line.split('\t').next().unwrap_or(line), '-', line)));
    lines.extend(new.map(|line| (line.split('\t').next().unwrap_or(line), '+', line)));
    lines.sort_by_key(|(path, sign, _)| (*path, *sign == '+'));
    if lines.is_empty() {
        return verdict
            .fail("leaves", format!("{shown}: the order of lines differs; `--update` writes it anew"));
    }
    let mut text = format!("{shown}: leaves go elsewhere");
    for (_, sign, line) in lines.iter().take(MAX_LINES) {
        text += &format!("\n  {sign} {}", clipped(&line.replacen('\t', " -> ", 1)));
    }
    if lines.len() > MAX_LINES {
        text += &format!("\n  and {} more lines", lines.len() - MAX_LINES);
    }
    text += "\nread it, then `jaquard test --update` takes it";
    verdict.fail("leaves", text);
}
