//! The test file: where it says what, and how `--update` writes it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::format::Tests;
use crate::config::{Diagnostic, Options, OutsideMode, Severity, SourceFile, Walker, schema_of};

/// Kinds of test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[[replay]]`
    Replay,
    /// `[[case]]`
    Case,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Kind::Replay => "replay",
            Kind::Case => "case",
        }
    }
}

/// A file that can be run.
pub(super) struct TestFile {
    pub(super) file: Arc<SourceFile>,
    pub(super) tests: Tests,
    pub(super) options: Options,
}

/// Reads a file, or says everything that is wrong with it.
pub(super) fn read(path: &Path) -> Result<TestFile, Vec<Diagnostic>> {
    // without the `./` of a search that began here
    let path = &crate::config::resolve(Path::new(""), path);
    let text = std::fs::read_to_string(path).map_err(|error| {
        let file = SourceFile::new(path, String::new());
        vec![Diagnostic::error(&file, 0..0, format!("cannot read the file: {error}"))]
    })?;
    let file = SourceFile::new(path, text);
    let (root, errors) = DeTable::parse_recoverable(&file.text);
    let errors = errors
        .iter()
        .map(|error| Diagnostic::error(&file, error.span().unwrap_or(0..0), error.message().to_owned()));
    let errors: Vec<_> = errors.collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut walker = Walker::new(&file, path.parent().unwrap_or(Path::new("")), OutsideMode::WithoutCommands);
    let values = walker.table(root.get_ref(), 0..0, &schema_of::<Tests>(), "", &[]);
    let options = Options::of(&walker, &file);
    let mut found = walker.diagnostics;
    for (name, value) in root.get_ref() {
        find_commands(&file, name.get_ref(), value, &mut found);
    }
    if found.iter().any(|found| found.severity == Severity::Error) {
        return Err(found);
    }
    match serde_json::from_value::<Tests>(values) {
        Ok(tests) if tests.replay.is_empty() && tests.case.is_empty() => {
            let help = "add `[[case]]` with `name` and `input`, or `[[replay]]` with `name`, `pipeline` and `cassette`"
                .to_owned();
            found.push(Diagnostic::error(&file, 0..0, "there is no test").help(Some(help)));
            Err(found)
        }
        Ok(tests) => {
            let lists = [("dropped", &tests.dropped), ("converted", &tests.converted)];
            let follows = tests.case.iter().any(|case| case.leaves.is_some());
            for (list, _) in lists.iter().filter(|(_, patterns)| !patterns.is_empty() && !follows) {
                let message = format!("`{list}` is about `leaves`, and no case here follows any");
                let span = options.value(&format!("/{list}")).unwrap_or(0..0);
                let help = "add `leaves = \"FILE.tsv\"` to a case, or take it out".to_owned();
                found.push(Diagnostic::error(&file, span, message).help(Some(help)));
            }
            if found.iter().any(|found| found.severity == Severity::Error) {
                return Err(found);
            }
            Ok(TestFile { file, tests, options })
        }
        Err(error) => {
            found.push(Diagnostic::error(&file, 0..0, error.to_string()));
            Err(found)
        }
    }
}

/// A test runs no commands, and what one would have printed is not made up.
fn find_commands(
    file: &Arc<SourceFile>,
    name: &str,
    value: &Spanned<DeValue<'_>>,
    found: &mut Vec<Diagnostic>,
) {
    match value.get_ref() {
        DeValue::Array(items) => {
            for item in items {
                find_commands(file, name, item, found);
            }
        }
        DeValue::Table(table) => {
            let command = table.iter().next().filter(|_| table.len() == 1);
            if let Some((key, words)) = command
                && key.get_ref() == "command"
                && matches!(words.get_ref(), DeValue::Array(_))
            {
                let help = "write the value itself, or `{ env = \"NAME\" }`".to_owned();
                let message = format!("a test runs no command, so `{name}` would have no value");
                found.push(Diagnostic::error(file, value.span(), message).help(Some(help)));
                return;
            }
            for (name, value) in table {
                find_commands(file, name.get_ref(), value, found);
            }
        }
        _ => {}
    }
}

impl TestFile {
    /// A path that a test names.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        crate::config::resolve(self.folder(), path)
    }

    /// Its path, as reports have it.
    pub(super) fn shown(&self) -> &str {
        &self.file.shown
    }

    /// The folder that its paths start from.
    pub(super) fn folder(&self) -> &Path {
        self.file.path.parent().unwrap_or(Path::new(""))
    }

    /// Its name without the folder.
    pub(super) fn own_name(&self) -> String {
        self.file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The program of the same name beside it, if there is one.
    pub(super) fn program_beside(&self) -> Option<PathBuf> {
        let stem = self.own_name().strip_suffix(super::ENDING)?.to_owned();
        let path = self.resolve(Path::new(&format!("{stem}.jq")));
        path.is_file().then_some(path)
    }

    /// An error at the value of an option, `/case/0/input`; at the file's beginning if it is not written.
    pub(super) fn error_at(
        &self,
        option: &str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) -> Diagnostic {
        Diagnostic::error(&self.file, self.options.value(option).unwrap_or(0..0), message).help(help)
    }

    /// The tests in the order in which they stand in the file.
    pub(super) fn order(&self) -> Vec<(Kind, usize)> {
        let replays = (0..self.tests.replay.len()).map(|number| (Kind::Replay, number));
        let cases = (0..self.tests.case.len()).map(|number| (Kind::Case, number));
        let mut all: Vec<_> = replays.chain(cases).collect();
        all.sort_by_key(|(kind, number)| {
            self.options.value(&format!("/{}/{number}/name", kind.key())).map(|span| span.start)
        });
        all
    }

    /// What a test is called.
    pub(super) fn name(&self, (kind, number): (Kind, usize)) -> &str {
        match kind {
            Kind::Replay => &self.tests.replay[number].name,
            Kind::Case => &self.tests.case[number].name,
        }
    }

    /// Files that tests read, and the options that name them.
    pub(super) fn reads(&self) -> Vec<(&'static str, PathBuf)> {
        let Tests { replay, case, transform, .. } = &self.tests;
        let mut named: Vec<(&'static str, &Path)> = Vec::new();
        named.extend(transform.iter().map(|path| ("transform", path.as_path())));
        for test in replay {
            named.extend([("pipeline", test.pipeline.as_path()), ("cassette", test.cassette.as_path())]);
        }
        for test in case {
            let options = [
                ("transform", &test.transform),
                ("pipeline", &test.pipeline),
                ("input_file", &test.input_file),
                ("cassette", &test.cassette),
                ("ocsf_schema", &test.ocsf_schema),
            ];
            named.extend(options.into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?))));
        }
        named.into_iter().map(|(option, path)| (option, self.resolve(path))).collect()
    }

    /// Files that tests compare with, and the options that name them.
    pub(super) fn compared(&self) -> Vec<(&'static str, PathBuf)> {
        let golden = self.tests.replay.iter().filter_map(|test| test.golden.as_ref());
        let golden = golden.chain(self.tests.case.iter().filter_map(|test| test.golden.as_ref()));
        let leaves = self.tests.case.iter().filter_map(|test| test.leaves.as_ref());
        let named = golden.map(|path| ("golden", path)).chain(leaves.map(|path| ("leaves", path)));
        named.map(|(option, path)| (option, self.resolve(path))).collect()
    }

    /// Where counts have to be written: a place and the text for it.
    pub(super) fn count_edits(&self, test: usize, counts: &Counts) -> Vec<(Range<usize>, String)> {
        let mut edits = Vec::new();
        let mut missing = String::new();
        let mut set = |option: &str, is_same: bool, text: String, line: String| match self
            .options
            .value(&format!("/replay/{test}/{option}"))
        {
            Some(_) if is_same => {}
            Some(span) => edits.push((span, text)),
            None => missing += &line,
        };
        let was = &self.tests.replay[test];
        let Counts { events, requests, second } = *counts;
        set("events", was.events == Some(events), events.to_string(), format!("events = {events}\n"));
        let same = was.requests == Some(requests);
        set("requests", same, requests.to_string(), format!("requests = {requests}\n"));
        if let Some(second) = second {
            let same = was.second_run.as_ref().is_some_and(|run| run.events == second);
            let line = format!("second_run = {{ events = {second} }}\n");
            set("second_run/events", same, second.to_string(), line);
        }
        if !missing.is_empty() {
            let at = self.options.value(&format!("/replay/{test}/cassette")).map_or(0, |span| span.end);
            let text = &self.file.text;
            match text[at..].find('\n') {
                Some(end) => edits.push((at + end + 1..at + end + 1, missing)),
                None => edits.push((text.len()..text.len(), format!("\n{missing}"))),
            }
        }
        edits
    }

    /// Writes the file with some places changed.
    pub(super) fn write(&self, mut edits: Vec<(Range<usize>, String)>) -> std::io::Result<()> {
        if edits.is_empty() {
            return Ok(());
        }
        edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        let mut text = self.file.text.clone();
        for (span, new) in edits {
            text.replace_range(span, &new);
        }
        std::fs::write(&self.file.path, text)
    }
}

/// What a test counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) requests: u64,
    /// Events of the second run, if there was one.
    pub(super) second: Option<u64>,
}
