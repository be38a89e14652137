//! A transform alone: compiled as a pipeline would, and run on one input after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::file::TestFile;
use super::inputs::Inputs;
use crate::cli::described;
use crate::config::{Diagnostic, SourceFile};
use crate::event::json::Problem;
use crate::event::{Meta, Payload};
use crate::jq::{self, Json, Limits, Runner, WriteLimits};

/// The program of a case.
#[derive(Debug)]
pub(super) struct Transform {
    program: Arc<jq::Program>,
    /// Its path, for messages.
    name: String,
    args: Value,
    limits: Limits,
}

/// Why an input failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: String,
    pub(super) message: String,
    /// `file:line:column` in the program.
    pub(super) position: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { kind, message, position } = self;
        match position {
            Some(position) => write!(f, "{kind}: {position}: {message}"),
            None => write!(f, "{kind}: {message}"),
        }
    }
}

impl Transform {
    /// The program that a case tests, or what is wrong with it.
    pub(super) fn of(
        file: &TestFile,
        number: usize,
        used: &mut Vec<PathBuf>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let case = &file.tests.case[number];
        let (path, option) = match (&case.transform, &file.tests.transform) {
            (Some(path), _) => (file.resolve(path), format!("/case/{number}/transform")),
            (None, Some(path)) => (file.resolve(path), "/transform".to_owned()),
            (None, None) => match file.program_beside() {
                Some(path) => (path, format!("/case/{number}/name")),
                None => {
                    let help = "add `transform = \"FILE.jq\"`, here or for the whole file";
                    let message = "the case does not say which transform it tests, and there is no `.jq` of the same name beside this file";
                    return Err(vec![file.error_at(
                        &format!("/case/{number}/name"),
                        message,
                        Some(help.to_owned()),
                    )]);
                }
            },
        };
        used.push(path.clone());
        let code = std::fs::read_to_string(&path).map_err(|error| {
            let message = format!("cannot read the program {}: {error}", path.display());
            vec![file.error_at(&option, message, Some(RELATIVE.to_owned()))]
        })?;
        let (folders, library) = match &case.library {
            Some(library) => (format!("/case/{number}/library"), library),
            None => ("/library".to_owned(), &file.tests.library),
        };
        let mut resolved = Vec::new();
        for (at, folder) in library.iter().enumerate() {
            let folder = file.resolve(folder);
            if !folder.is_dir() {
                let message = format!("there is no folder {}", folder.display());
                return Err(vec![file.error_at(
                    &format!("{folders}/{at}"),
                    message,
                    Some(RELATIVE.to_owned()),
                )]);
            }
            used.push(folder.clone());
            resolved.push(folder);
        }
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let program = match jq::compile(&code, &folder, &resolved) {
            Ok(program) => program,
            Err(errors) => {
                let files = errors.iter().map(|error| error.file.as_str());
                used.extend(files.filter(|file| *file != jq::MAIN).map(PathBuf::from));
                return Err(described(&SourceFile::new(&path, code), errors));
            }
        };
        used.extend(program.module_files().map(PathBuf::from));
        Ok(Transform {
            program,
            name: path.display().to_string(),
            args: Value::Object(args_of(file, number)),
            limits: Limits::default(),
        })
    }

    /// Its path, for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The program on this thread.
    pub(super) fn runner(&self) -> Runner {
        Runner::new(self.program.clone(), &self.args, self.limits.clone())
    }

    /// Runs it on an event of an input.
    pub(super) fn run(
        &self,
        runner: &mut Runner,
        event: &mut Json,
        meta: &Meta<'_>,
    ) -> Result<Vec<Json>, Failure> {
        let mut outputs = Vec::new();
        let result = runner.run(event, Some(meta), &mut |output| {
            outputs.push(output);
            true
        });
        match result {
            Ok(()) => Ok(outputs),
            Err(error) => {
                let fault = crate::transform::fault_of(&error, &self.name);
                Err(Failure { kind: fault.kind.to_owned(), message: fault.message, position: fault.position })
            }
        }
    }

    /// Runs it on an input, and writes the outputs as a sink would.
    pub(super) fn run_input(
        &self,
        runner: &mut Runner,
        inputs: &Inputs,
        number: usize,
    ) -> Result<Vec<Bytes>, Failure> {
        let mut event = self.read(&inputs.events[number].payload)?;
        let outputs = self.run(runner, &mut event, &inputs.meta(number))?;
        let bounds = WriteLimits::from(&self.limits);
        let written = outputs.iter().map(|output| {
            let mut text = Vec::new();
            match output.write(bounds, &mut text) {
                Ok(()) => Ok(Bytes::from(text)),
                Err(error) => {
                    let message = format!("the output is not JSON: {error}");
                    Err(Failure { kind: "limit".to_owned(), message, position: None })
                }
            }
        });
        written.collect()
    }

    fn read(&self, payload: &Payload) -> Result<Json, Failure> {
        let failure =
            |kind: &str, message: String| Failure { kind: kind.to_owned(), message, position: None };
        match payload {
            Payload::Json(text) => Json::parse(text.clone(), self.limits.depth).map_err(|error| {
                let kind = match error.problem {
                    Problem::Utf8 => "invalid_utf8",
                    Problem::TooDeep(_) => "limit",
                    _ => "invalid_json",
                };
                failure(kind, error.to_string())
            }),
            Payload::Text(text) => Ok(Json::string(&String::from_utf8_lossy(text))),
            Payload::Fault(fault) => Err(failure(fault.kind, fault.message.clone())),
        }
    }
}

/// Where a path of a test file starts.
pub(super) const RELATIVE: &str = "a relative path is resolved from the folder of the test file";

/// `$args` of a case: its own over those of its file.
pub(super) fn args_of(file: &TestFile, number: usize) -> Map<String, Value> {
    let mut args = file.tests.args.clone();
    args.extend(file.tests.case[number].args.clone());
    args
}
