//! The test file: what it may say, where it says it, and how `--update` writes it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::de::DeTable;

use crate::config::{Diagnostic, Options, OutsideMode, Severity, SourceFile, Walker, schema_of};

/// A `*.test.toml` file: lists of tests, by kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tests {
    /// Pipelines run on recordings.
    #[serde(default)]
    pub(super) replay: Vec<Replay>,
}

/// A pipeline run offline, on what was recorded.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    /// What the test is called.
    pub(super) name: String,
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// The recording.
    pub(super) cassette: PathBuf,
    /// The source that was recorded, if the pipeline has several that could be.
    pub(super) source: Option<String>,
    /// A file of lines: what arrives in the first run.
    pub(super) golden: Option<PathBuf>,
    /// At which sink, if the pipeline has several.
    pub(super) sink: Option<String>,
    /// Events that the source brings in the first run.
    pub(super) events: Option<u64>,
    /// Requests of the first run, logins among them.
    pub(super) requests: Option<u64>,
    /// Dead letters of the first run.
    #[serde(default)]
    pub(super) dead_letters: u64,
    /// What a second run brings, from where the first one ended.
    pub(super) second_run: Option<SecondRun>,
    /// Members of queries that may differ from the recording.
    #[serde(default)]
    pub(super) ignore_query: Vec<String>,
    /// Environment variables, before those that are set.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// For a recording made with `--limit`: the same number.
    #[schemars(range(min = 1))]
    pub(super) limit: Option<u64>,
}

/// What a second run brings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecondRun {
    /// Events that the source brings.
    pub(super) events: u64,
}

/// A file that can be run.
pub(super) struct TestFile {
    pub(super) file: Arc<SourceFile>,
    pub(super) tests: Tests,
    options: Options,
}

/// Reads a file, or says everything that is wrong with it.
pub(super) fn read(path: &Path) -> Result<TestFile, Vec<Diagnostic>> {
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
    if found.iter().any(|found| found.severity == Severity::Error) {
        return Err(found);
    }
    match serde_json::from_value::<Tests>(values) {
        Ok(tests) if tests.replay.is_empty() => {
            let help = "add `[[replay]]` with `name`, `pipeline` and `cassette`".to_owned();
            found.push(Diagnostic::error(&file, 0..0, "there is no test").help(Some(help)));
            Err(found)
        }
        Ok(tests) => Ok(TestFile { file, tests, options }),
        Err(error) => {
            found.push(Diagnostic::error(&file, 0..0, error.to_string()));
            Err(found)
        }
    }
}

impl TestFile {
    /// A path that a test names.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        crate::config::resolve(self.file.path.parent().unwrap_or(Path::new("")), path)
    }

    /// An error at an option of a test.
    pub(super) fn error(
        &self,
        test: usize,
        option: &str,
        message: String,
        help: Option<String>,
    ) -> Diagnostic {
        let span = self.options.value(&format!("/replay/{test}/{option}")).unwrap_or(0..0);
        Diagnostic::error(&self.file, span, message).help(help)
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
