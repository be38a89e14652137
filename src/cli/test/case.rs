//! A case: inputs, what is made of them, and what is expected of that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::compare::{DEPTH, compare};
use super::conform::{self, AsOcsf};
use super::file::TestFile;
use super::format::{Case, Expected};
use super::inputs::{Inputs, documents};
use super::leaves::{self, List};
use super::offline::{self, Feed, Offline, Temporary};
use super::report::clipped;
use super::transform::{Failure, RELATIVE, Transform, args_of};
use super::writes::Write;
use super::{Settings, Verdict};
use crate::cli::record::counted;
use crate::config::{Check, Diagnostic};
use crate::jq::{self, Json, Limits, Runner};

/// Failures of one kind that are shown.
const MAX_SHOWN: usize = 3;

/// An output and the input that it was made of, if that is known.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) text: Bytes,
    pub(super) input: Option<usize>,
}

/// What became of the inputs.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) outputs: Vec<Made>,
    pub(super) failures: Vec<(Option<usize>, Failure)>,
}

/// Runs the case and says how it went; with `update`, writes what it would compare with.
pub(super) fn run(file: &TestFile, number: usize, settings: Settings<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut running = Running { file, number, update: settings.update, verdict: &mut verdict };
    if let Err(diagnostics) = running.run(settings) {
        verdict.diagnostics = diagnostics;
        verdict.fail("works", "the test cannot be run");
    }
    verdict
}

struct Running<'a> {
    file: &'a TestFile,
    number: usize,
    update: bool,
    verdict: &'a mut Verdict,
}

impl Running<'_> {
    fn case(&self) -> &Case {
        &self.file.tests.case[self.number]
    }

    fn option(&self, option: &str) -> String {
        format!("/case/{}/{option}", self.number)
    }

    fn error(&self, option: &str, message: impl Into<String>, help: &str) -> Vec<Diagnostic> {
        vec![self.file.error_at(&self.option(option), message, Some(help.to_owned()))]
    }

    fn run(&mut self, settings: Settings<'_>) -> Result<(), Vec<Diagnostic>> {
        let file = self.file;
        let case = &file.tests.case[self.number];
        self.check_options()?;
        let mut inputs = self.inputs()?;
        if let Some(from) = &self.file.tests.case[self.number].polled {
            inputs = inputs.polled(from).map_err(|error| {
                self.error(
                    "polled/fetched_at",
                    format!("`{}` is no time: {error}", from.fetched_at),
                    "write it as \"2025-03-11T07:41:03Z\"",
                )
            })?;
        }
        let transform = match &case.pipeline {
            None => Some(Transform::of(file, self.number, &mut self.verdict.used)?),
            Some(_) => None,
        };
        let given = if transform.is_some() { &["input"][..] } else { &[] };
        let conditions = self.conditions(given)?;
        let expect = match &case.expect {
            Some(text) => Some(self.expected_here(text)?),
            None => None,
        };
        let ocsf = AsOcsf::of(file, self.number, &mut self.verdict.used)?;
        let log_type = conform::log_type(file, self.number, &mut self.verdict.used)?;

        let ran = match (&transform, &case.pipeline) {
            (None, Some(pipeline)) => settings.runtime.block_on(self.run_pipeline(pipeline, &inputs))?,
            (Some(transform), _) => {
                let mut runner = transform.runner();
                if settings.coverage {
                    runner.cover();
                }
                let ran = run_transform(transform, &mut runner, &inputs);
                self.verdict.coverage.add(&runner, transform.name());
                ran
            }
            (None, None) => Ran::default(),
        };
        let counts = [(inputs.events.len(), "input"), (ran.outputs.len(), "output")];
        let counts = counts.iter().skip(usize::from(case.cassette.is_some()));
        let counts: Vec<_> = counts.map(|(count, what)| counted(*count as u64, what)).collect();
        self.verdict.summary = counts.join(", ");
        self.compare_failures(&inputs, &ran);
        let has_run = self.verdict.failures.is_empty();
        self.compare_count(&ran);
        if let Some(expected) = expect {
            self.compare_expect(&inputs, &ran, &expected, has_run);
        }
        if let Some(golden) = &case.golden {
            self.compare_golden(&inputs, &ran, &file.resolve(golden), has_run);
        }
        self.check_conditions(&conditions, &inputs, &ran);
        let of = |output: usize| of_input(&inputs, ran.outputs[output].input);
        if let Some(found) = ocsf.and_then(|ocsf| ocsf.check(&ran.outputs).report(&of)) {
            self.verdict.fail("ocsf", found);
        }
        if let Some(schema) = log_type
            && let Some(found) = conform::check_log_type(&schema, &ran.outputs).report(&of)
        {
            self.verdict.fail("schema", found);
        }
        if let (Some(leaves), Some(transform)) = (&case.leaves, &transform) {
            self.check_leaves(transform, &inputs, &file.resolve(leaves))?;
        }
        Ok(())
    }

    /// Options that have no meaning here are not passed over.
    fn check_options(&self) -> Result<(), Vec<Diagnostic>> {
        let case = self.case();
        let lists = [("dropped", case.dropped.is_some()), ("converted", case.converted.is_some())];
        if let (None, Some((list, _))) = (&case.leaves, lists.iter().find(|(_, is_given)| *is_given)) {
            let message = format!("`{list}` is about `leaves`, and this case does not follow any");
            return Err(self.error(list, message, "add `leaves = \"FILE.tsv\"`, or take it out"));
        }
        if case.cassette.is_some() && case.polled.is_some() {
            let message = "`polled` is about inputs, and this case has a recording of its own";
            return Err(self.error(
                "polled",
                message,
                "take it out: a recording says where events come from",
            ));
        }
        let Some(_) = &case.pipeline else {
            let given = [
                ("source", case.source.is_some()),
                ("sink", case.sink.is_some()),
                ("env", !case.env.is_empty()),
                ("cassette", case.cassette.is_some()),
            ];
            return match given.iter().find(|(_, is_given)| *is_given) {
                Some((option, _)) => {
                    let message = format!("`{option}` is for a pipeline, and this case tests a transform");
                    Err(self.error(option, message, "add `pipeline = \"FILE.toml\"`, or take it out"))
                }
                None => Ok(()),
            };
        };
        let given = [
            ("transform", case.transform.is_some(), "name one of both"),
            ("args", !case.args.is_empty(), "a pipeline has its own `args`"),
            ("library", case.library.is_some(), "a pipeline has its own `library`"),
            ("leaves", case.leaves.is_some(), "leaves are followed through a transform alone"),
        ];
        match given.iter().find(|(_, is_given, _)| *is_given) {
            Some((option, _, help)) => {
                let message = format!("`{option}` is for a transform, and this case tests a pipeline");
                Err(self.error(option, message, help))
            }
            None => Ok(()),
        }
    }

    async fn run_pipeline(&mut self, pipeline: &Path, inputs: &Inputs) -> Result<Ran, Vec<Diagnostic>> {
        let file = self.file;
        let case = &file.tests.case[self.number];
        let test = format!("/case/{}", self.number);
        self.verdict.used.push(file.resolve(pipeline));
        let feed = match &case.cassette {
            Some(cassette) => {
                let cassette = file.resolve(cassette);
                self.verdict.used.push(cassette.clone());
                let player = Arc::new(offline::player(file, &test, &cassette)?);
                Feed::Tape { wire: player.wire(), limit: None }
            }
            None => Feed::Inputs(inputs),
        };
        let source = case.source.as_deref();
        let sink = case.sink.as_deref();
        let offline =
            Offline { file, test, pipeline, source, sink, compares: Some("pipeline"), env: &case.env, feed };
        let ran = offline.run(&Temporary::new()).await?;
        if let Some(error) = &ran.error {
            self.verdict.fail("works", error.as_str());
        } else if !ran.balances {
            self.verdict.fail("works", "the ledger does not balance");
        }
        let outputs = ran.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let outputs = outputs.map(|line| Made { text: Bytes::copy_from_slice(line), input: None }).collect();
        let mut failures: Vec<_> = ran.letters.iter().map(|letter| failure_of(letter, inputs)).collect();
        failures.sort_by_key(|(input, _)| *input);
        Ok(Ran { outputs, failures })
    }

    fn inputs(&mut self) -> Result<Inputs, Vec<Diagnostic>> {
        let file = self.file;
        let case = &file.tests.case[self.number];
        let given = [
            ("input", case.input.is_some()),
            ("input_file", case.input_file.is_some()),
            ("cassette", case.cassette.is_some()),
        ];
        let mut given = given.iter().filter(|(_, is_given)| *is_given).map(|(option, _)| *option);
        if let (Some(one), Some(other)) = (given.next(), given.next()) {
            let message = format!("both `{one}` and `{other}` are given");
            return Err(self.error(other, message, "keep one of them"));
        }
        if let Some(text) = &case.input {
            let inputs = Inputs::inline(text, &file.own_name());
            if inputs.events.is_empty() {
                return Err(self.error("input", "there is no input", "write one JSON document or several"));
            }
            return Ok(inputs);
        }
        if let Some(name) = &case.input_file {
            let path = file.resolve(name);
            self.verdict.used.push(path.clone());
            let text = std::fs::read(&path).map_err(|error| {
                self.error("input_file", format!("cannot read {}: {error}", path.display()), RELATIVE)
            })?;
            let inputs = Inputs::file(text, &name.display().to_string());
            if inputs.events.is_empty() {
                let message = format!("there is no input in {}", path.display());
                return Err(self.error("input_file", message, "put JSON documents into it"));
            }
            return Ok(inputs);
        }
        if case.cassette.is_some() {
            return Ok(Inputs::inline("", &file.own_name()));
        }
        let help = "add `input = '''{…}'''` or `input_file = \"FILE.ndjson\"`";
        Err(self.error("name", "the case has no input", help))
    }

    /// The documents of `expect`.
    fn expected_here(&self, text: &str) -> Result<Vec<Bytes>, Vec<Diagnostic>> {
        documents(text.as_bytes(), DEPTH).map_err(|(at, message)| {
            let path = self.option("expect");
            let span = match self.file.options.text_start(&path, text) {
                Some(start) => start + at..start + at + 1,
                None => self.file.options.value(&path).unwrap_or(0..0),
            };
            let help = "`expect` holds JSON documents, one after the other".to_owned();
            vec![Diagnostic::error(&self.file.file, span, message).help(Some(help))]
        })
    }

    /// The conditions of the case, compiled.
    fn conditions(&mut self, given: &[&str]) -> Result<Vec<Arc<jq::Program>>, Vec<Diagnostic>> {
        let file = self.file;
        let case = &file.tests.case[self.number];
        let library = case.library.as_ref().unwrap_or(&self.file.tests.library);
        let library: Vec<PathBuf> = library.iter().map(|folder| self.file.resolve(folder)).collect();
        let mut diagnostics = Vec::new();
        let limits = Limits::default();
        let mut check = Check {
            name: &case.name,
            folder: self.file.folder(),
            limits: &limits,
            once: true,
            path: format!("/case/{}", self.number),
            header: self.file.options.value(&self.option("assert")).unwrap_or(0..0),
            options: &self.file.options,
            diagnostics: &mut diagnostics,
        };
        let compiled = case.assert.iter().enumerate();
        let compiled: Vec<_> = compiled
            .filter_map(|(at, code)| check.program_given(&format!("assert/{at}"), &code.0, &library, given))
            .collect();
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        for program in &compiled {
            self.verdict.used.extend(program.module_files().map(PathBuf::from));
        }
        Ok(compiled)
    }

    fn compare_failures(&mut self, inputs: &Inputs, ran: &Ran) {
        let expected = &self.case().errors;
        let mut lines = Vec::new();
        for at in 0..expected.len().max(ran.failures.len()) {
            match (expected.get(at), ran.failures.get(at)) {
                (Some(expected), Some((_, failure))) if expected.fits(failure) => {}
                (Some(expected), Some((input, failure))) => {
                    lines.push(format!("{}: expected {expected}, found {failure}", named(inputs, *input)));
                }
                (None, Some((input, failure))) => lines.push(format!("{}: {failure}", named(inputs, *input))),
                (expected, None) => {
                    let expected = expected.map(ToString::to_string).unwrap_or_default();
                    lines.push(format!("error {}: expected {expected}, and no input fails", at + 1));
                }
            }
        }
        self.fail_with("errors", lines);
    }

    fn compare_count(&mut self, ran: &Ran) {
        let Some(expected) = self.case().outputs else { return };
        let actual = ran.outputs.len() as u64;
        if actual == expected {
            return;
        }
        if self.update {
            if let Some(span) = self.file.options.value(&self.option("outputs")) {
                self.verdict.edits.push((span, actual.to_string()));
            }
        } else {
            self.verdict.fail("outputs", format!("{}, expected {expected}", counted(actual, "output")));
        }
    }

    fn compare_expect(&mut self, inputs: &Inputs, ran: &Ran, expected: &[Bytes], has_run: bool) {
        let Some(difference) = difference(inputs, ran, expected) else { return };
        if self.update && has_run {
            if let Some(span) = self.file.options.value(&self.option("expect")) {
                self.verdict.edits.push((span, block(ran)));
            }
        } else {
            self.verdict.fail("expect", difference);
        }
    }

    fn compare_golden(&mut self, inputs: &Inputs, ran: &Ran, path: &Path, has_run: bool) {
        self.verdict.used.push(path.to_path_buf());
        let shown = path.display();
        let found = std::fs::read(path);
        if let Ok(text) = &found {
            match documents(text, DEPTH) {
                Ok(expected) => match difference(inputs, ran, &expected) {
                    None if self.update => return self.write_golden(ran, path, true),
                    None => return,
                    Some(difference) if !self.update => {
                        let difference = difference.replace('\n', "\n  ");
                        return self.verdict.fail("golden", format!("{shown}\n  {difference}"));
                    }
                    Some(_) => {}
                },
                Err((at, message)) if !self.update => {
                    let line = memchr::memchr_iter(b'\n', &text[..at.min(text.len())]).count() + 1;
                    let message = format!("{shown}:{line}: {message}; `--update` writes the file anew");
                    return self.verdict.fail("golden", message);
                }
                Err(_) => {}
            }
        }
        match found {
            Err(error) if !self.update => {
                let message = format!("cannot read {shown}: {error}");
                let help = format!("`jaquard test --update` writes it; {RELATIVE}");
                let found = self.file.error_at(&self.option("golden"), message, Some(help));
                self.verdict.fail("golden", found.render(false));
            }
            _ if has_run => self.write_golden(ran, path, false),
            _ => {}
        }
    }

    fn write_golden(&mut self, ran: &Ran, path: &Path, is_same: bool) {
        let option = self.option("golden");
        let (path, content) = (path.to_path_buf(), lines(ran));
        self.verdict.writes.push(Write { option, path, content, level: "golden", is_same });
    }

    fn check_conditions(&mut self, conditions: &[Arc<jq::Program>], inputs: &Inputs, ran: &Ran) {
        if conditions.is_empty() {
            return;
        }
        let case = self.case();
        let is_meant = case.outputs == Some(0) || !case.errors.is_empty();
        if ran.outputs.is_empty() && ran.failures.is_empty() && !is_meant {
            let help = "if there is to be none, say `outputs = 0`".to_owned();
            let message = "there is no output to hold it against";
            let found = self.file.error_at(&self.option("assert"), message, Some(help));
            return self.verdict.fail("assert", found.render(false));
        }
        let args = Value::Object(args_of(self.file, self.number));
        for (at, condition) in conditions.iter().enumerate() {
            let mut runner = Runner::new(condition.clone(), &args, Limits::default());
            let mut failed = Vec::new();
            for (number, made) in ran.outputs.iter().enumerate() {
                let verdict = holds(&mut runner, made, inputs);
                if verdict != Ok(true) {
                    failed.push((number, made, verdict));
                }
            }
            let Some((number, made, verdict)) = failed.first() else { continue };
            let mut message = match verdict {
                Ok(_) => "the condition does not hold for".to_owned(),
                Err(error) => format!("the condition fails ({error}) for"),
            };
            message += &format!(" output {}{}", number + 1, of_input(inputs, made.input));
            if failed.len() > 1 {
                message += &format!(", and for {}", counted(failed.len() as u64 - 1, "other output"));
            }
            let help = format!("the output is {}", clipped(&String::from_utf8_lossy(&made.text)));
            let found = self.file.error_at(&self.option(&format!("assert/{at}")), message, Some(help));
            self.verdict.fail("assert", found.render(false));
        }
    }

    fn check_leaves(
        &mut self,
        transform: &Transform,
        inputs: &Inputs,
        path: &Path,
    ) -> Result<(), Vec<Diagnostic>> {
        let (file, case) = (self.file, &self.file.tests.case[self.number]);
        let list =
            |name, own: &Option<Vec<String>>, common| List::of(file, self.number, name, own.as_ref(), common);
        let dropped = list("dropped", &case.dropped, &file.tests.dropped)?;
        let converted = list("converted", &case.converted, &file.tests.converted)?;
        let traced = match leaves::trace(transform, inputs) {
            Ok(traced) => traced,
            Err(too_many) => {
                self.verdict.fail("leaves", too_many);
                return Ok(());
            }
        };
        if traced.count == 0 {
            self.verdict.fail("leaves", "no leaf can be followed: no input gives an output");
            return Ok(());
        }
        self.verdict.summary += &format!(", {}", super::report::many(traced.count, "leaf", "leaves"));
        leaves::check_lists(self.verdict, file, inputs, &traced, &dropped, &converted);
        leaves::compare_file(self.verdict, file, &self.option("leaves"), path, &traced, self.update);
        Ok(())
    }

    fn fail_with(&mut self, level: &'static str, mut lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        if lines.len() > MAX_SHOWN {
            let more = lines.len() - MAX_SHOWN;
            lines.truncate(MAX_SHOWN);
            lines.push(format!("and {more} more"));
        }
        self.verdict.fail(level, lines.join("\n"));
    }
}

impl Expected {
    fn fits(&self, failure: &Failure) -> bool {
        self.kind.as_ref().is_none_or(|kind| *kind == failure.kind)
            && self.message.as_ref().is_none_or(|part| failure.message.contains(part.as_str()))
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.kind, &self.message) {
            (Some(kind), Some(message)) => write!(f, "{kind}: …{message}…"),
            (Some(kind), None) => write!(f, "an error of kind {kind}"),
            (None, Some(message)) => write!(f, "…{message}…"),
            (None, None) => write!(f, "an error"),
        }
    }
}

fn run_transform(transform: &Transform, runner: &mut Runner, inputs: &Inputs) -> Ran {
    let mut ran = Ran::default();
    for number in 0..inputs.events.len() {
        match transform.run_input(runner, inputs, number) {
            Ok(outputs) => {
                let made = outputs.into_iter().map(|text| Made { text, input: Some(number) });
                ran.outputs.extend(made);
            }
            Err(failure) => ran.failures.push((Some(number), failure)),
        }
    }
    ran
}

/// Why an input failed, as its dead letter has it.
fn failure_of(letter: &str, inputs: &Inputs) -> (Option<usize>, Failure) {
    let letter: Value = serde_json::from_str(letter).unwrap_or_default();
    let word = |name: &str| letter["error"][name].as_str().unwrap_or_default().to_owned();
    let offset = letter["meta"]["origin"]["offset"].as_u64();
    let input = inputs.events.iter().position(|event| Some(event.offset) == offset.map(u128::from));
    let position = match letter["error"]["position"].as_str() {
        Some(position) => format!("{} ({position})", word("component")),
        None => word("component"),
    };
    (input, Failure { kind: word("kind"), message: word("message"), position: Some(position) })
}

/// Whether a condition holds for an output: its only output is neither null nor false.
fn holds(runner: &mut Runner, made: &Made, inputs: &Inputs) -> Result<bool, String> {
    let mut output = Json::parse(made.text.clone(), DEPTH).map_err(|error| error.to_string())?;
    let mut given = match made.input {
        Some(input) => {
            let input = Json::parse(inputs.text(input), DEPTH).map_err(|error| error.to_string())?;
            Json::record(vec![("input", input)])
        }
        None => Json::record(Vec::new()),
    };
    let mut verdicts = Vec::new();
    let result = runner.run_given(&mut output, &mut given, &mut |verdict| {
        verdicts.push(verdict.is_truthy());
        verdicts.len() < 2
    });
    if let Err(error) = result {
        let position = error.position.as_ref().map(|at| format!("line {}, column {}: ", at.line, at.column));
        return Err(format!("{}{error}", position.unwrap_or_default()));
    }
    match verdicts.as_slice() {
        [] => Ok(false),
        [verdict] => Ok(*verdict),
        _ => Err("it has several outputs; it must have one".to_owned()),
    }
}

/// How the outputs differ from those that are expected.
fn difference(inputs: &Inputs, ran: &Ran, expected: &[Bytes]) -> Option<String> {
    let actual: Vec<Bytes> = ran.outputs.iter().map(|made| made.text.clone()).collect();
    compare(expected, &actual, &|at| of_input(inputs, ran.outputs.get(at).and_then(|made| made.input)))
}

fn of_input(inputs: &Inputs, input: Option<usize>) -> String {
    input.map(|input| format!(" of {}", inputs.name(input))).unwrap_or_default()
}

fn named(inputs: &Inputs, input: Option<usize>) -> String {
    input.map_or_else(|| "an input".to_owned(), |input| inputs.name(input))
}

/// The outputs as lines.
fn lines(ran: &Ran) -> Vec<u8> {
    let mut text = Vec::new();
    for made in &ran.outputs {
        text.extend_from_slice(&made.text);
        text.push(b'\n');
    }
    text
}

/// The outputs as a text of TOML.
fn block(ran: &Ran) -> String {
    let text = String::from_utf8_lossy(&lines(ran)).into_owned();
    if text.is_empty() {
        return "''".to_owned();
    }
    let is_plain = !text.contains("'''") && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
    if is_plain {
        return format!("'''\n{text}'''");
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped += "\\\\",
            '"' => escaped += "\\\"",
            '\n' => escaped.push('\n'),
            c if c.is_control() => escaped += &format!("\\u{:04X}", u32::from(c)),
            c => escaped.push(c),
        }
    }
    format!("\"\"\"\n{escaped}\"\"\"")
}
