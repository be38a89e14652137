//! `jq`: a program that maps each event to none, one or several.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Outputs, Transform, TransformContext, TransformFactory, fault_of};
use crate::config::{Check, Component, Program};
use crate::event::Meta;
use crate::jq::{self, Json, Limits, Runner};

/// Maps events with a jq program.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Jq {
    /// The program, written here. One of `program` and `file`.
    program: Option<Program>,
    /// File that holds the program.
    file: Option<PathBuf>,
    /// Folders that are searched for modules, after the folder of the program.
    #[serde(default)]
    library: Vec<PathBuf>,
    /// Becomes `$args` in the program.
    #[serde(default)]
    args: Map<String, Value>,
}

impl Component<dyn TransformFactory> for Jq {
    const NAME: &'static str = "jq";
    const SUMMARY: &'static str = "Maps each event with a jq program to no event, one, or several.";
    const GUARANTEE: &'static str = "Pure: the same event and arguments give the same outputs.";
    const EXAMPLE: &'static str = "[transforms.flat]\ntype = \"jq\"\ninputs = [\"events\"]\nprogram = '{id, time: .created, kind: .eventTypeName}'\n";

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn TransformFactory>> {
        let library: Vec<_> = self.library.iter().map(|folder| check.resolve(folder)).collect();
        for (at, folder) in library.iter().enumerate() {
            if !folder.is_dir() {
                let message = format!("there is no folder {}", folder.display());
                check.error(&format!("library/{at}"), message, None);
            }
        }
        let program = match (&self.program, &self.file) {
            (Some(program), None) => check.program("program", &program.0, &library)?,
            (None, Some(file)) => check.program_file("file", file, &library)?,
            (Some(_), Some(_)) => {
                check.error(
                    "file",
                    "both `program` and `file` are given",
                    Some("keep one of them".to_owned()),
                );
                return None;
            }
            (None, None) => {
                let help = "add `program = '…'` or `file = \"path\"`";
                check.error_here("missing option `program` or `file`", Some(help.to_owned()));
                return None;
            }
        };
        let name = self.file.map_or_else(|| "program".to_owned(), |file| file.display().to_string());
        Some(Box::new(Ready { program, name, args: Value::Object(self.args), limits: check.limits.clone() }))
    }
}

#[derive(Debug)]
struct Ready {
    program: Arc<jq::Program>,
    /// Its file, or the option it is written in.
    name: String,
    args: Value,
    limits: Limits,
}

impl TransformFactory for Ready {
    fn instantiate(&self, _: &TransformContext) -> Box<dyn Transform> {
        Box::new(Copy {
            runner: Runner::new(self.program.clone(), &self.args, self.limits.clone()),
            name: self.name.clone(),
        })
    }
}

struct Copy {
    runner: Runner,
    name: String,
}

impl Transform for Copy {
    fn apply(&mut self, mut event: Json, meta: &Meta<'_>, out: &mut Outputs) {
        let result = self.runner.run(&mut event, Some(meta), &mut |output| {
            out.emit(0, output);
            true
        });
        if let Err(error) = result {
            out.fail(fault_of(&error, &self.name));
        }
    }
}
