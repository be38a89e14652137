//! Outputs held against schemas: OCSF, and log types.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::case::Made;
use super::compare::DEPTH;
use super::file::TestFile;
use super::format::Ocsf;
use super::transform::RELATIVE;
use crate::config::{Diagnostic, nearest};
use crate::jq::Json;
use crate::schema::log_type::{self, Checker, ReadError, Schemas};
use crate::schema::ocsf::{self, Severity, Validator};

/// Findings that are shown.
const MAX_SHOWN: usize = 10;

/// What is wrong with outputs: the same thing at the same place is one thing.
#[derive(Default)]
pub(super) struct Complaints(Vec<Complaint>);

struct Complaint {
    text: String,
    /// The first output that it is about.
    output: usize,
    outputs: usize,
}

impl Complaints {
    fn add(&mut self, text: String, output: usize) {
        match self.0.iter_mut().find(|known| known.text == text) {
            Some(known) => known.outputs += 1,
            None => self.0.push(Complaint { text, output, outputs: 1 }),
        }
    }

    /// A line for each, and where it is; `None` if there are none. `of` says what an output was made of.
    pub(super) fn report(&self, of: &dyn Fn(usize) -> String) -> Option<String> {
        let mut text = String::new();
        for Complaint { text: complaint, output, outputs } in self.0.iter().take(MAX_SHOWN) {
            text += &format!("output {}{}: {complaint}", output + 1, of(*output));
            match outputs - 1 {
                0 => {}
                1 => text += " (and 1 more output)",
                more => text += &format!(" (and {more} more outputs)"),
            }
            text.push('\n');
        }
        if self.0.len() > MAX_SHOWN {
            text += &format!("and {} more findings\n", self.0.len() - MAX_SHOWN);
        }
        (!self.0.is_empty()).then(|| text.trim_end().to_owned())
    }
}

/// OCSF, as a case wants it.
pub(super) struct AsOcsf {
    schema: Arc<ocsf::Schema>,
    allows_warnings: bool,
}

impl fmt::Debug for AsOcsf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsOcsf").field("version", &self.schema.version()).finish_non_exhaustive()
    }
}

impl AsOcsf {
    /// The schema that a case names, if it names one.
    pub(super) fn of(
        file: &TestFile,
        number: usize,
        used: &mut Vec<PathBuf>,
    ) -> Result<Option<Self>, Vec<Diagnostic>> {
        let case = &file.tests.case[number];
        let error = |option: &str, message: String, help: String| {
            Err(vec![file.error_at(&format!("/case/{number}/{option}"), message, Some(help))])
        };
        let (option, version, allows_warnings) = match &case.ocsf {
            None => ("ocsf_schema", None, false),
            Some(Ocsf::Version(version)) => ("ocsf", Some(version), false),
            Some(Ocsf::Options(options)) => ("ocsf/version", Some(&options.version), options.warnings),
        };
        let schema = match (&case.ocsf_schema, version) {
            (None, None) => return Ok(None),
            (Some(path), version) => {
                let path = file.resolve(path);
                used.push(path.clone());
                match ocsf::Schema::read(&path) {
                    Ok(schema) => match version.filter(|version| *version != schema.version()) {
                        None => schema,
                        Some(version) => {
                            let message =
                                format!("{} is OCSF {}, not {version}", path.display(), schema.version());
                            return error(option, message, format!("write \"{}\"", schema.version()));
                        }
                    },
                    Err(found) => return error("ocsf_schema", found.to_string(), RELATIVE.to_owned()),
                }
            }
            (None, Some(version)) => match ocsf::Schema::known(version) {
                Ok(schema) => schema,
                Err(message) => {
                    let help = "write one of these, or name a compiled schema in `ocsf_schema`";
                    return error(option, message, help.to_owned());
                }
            },
        };
        Ok(Some(AsOcsf { schema, allows_warnings }))
    }

    /// What is wrong with the outputs.
    pub(super) fn check(&self, outputs: &[Made]) -> Complaints {
        let mut complaints = Complaints::default();
        let mut validator = Validator::new(self.schema.clone(), ocsf::Options::default());
        for (number, made) in outputs.iter().enumerate() {
            let Some(mut json) = parsed(made, number, &mut complaints) else { continue };
            for finding in validator.check(json.view()) {
                let counts = match finding.severity {
                    Severity::Error => true,
                    Severity::Warning => !self.allows_warnings,
                    Severity::NotChecked => false,
                };
                if counts {
                    let ocsf::Finding { severity, rule, path, message } = finding;
                    let (severity, rule) = (severity.name(), rule.name());
                    complaints.add(format!("{severity}: {path}: {message} [{rule}]"), number);
                }
            }
        }
        complaints
    }
}

/// The log type that a case names, if it names one: built in, or in a file.
pub(super) fn log_type(
    file: &TestFile,
    number: usize,
    used: &mut Vec<PathBuf>,
) -> Result<Option<Arc<log_type::Schema>>, Vec<Diagnostic>> {
    let Some(name) = &file.tests.case[number].schema else { return Ok(None) };
    let option = format!("/case/{number}/schema");
    let error = |message: String, help: String| Err(vec![file.error_at(&option, message, Some(help))]);
    let is_file = Path::new(name).extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
    if !is_file {
        let built_in = Schemas::built_in();
        return match built_in.get(name) {
            Some(schema) => Ok(Some(schema)),
            None => {
                let help = match nearest(name, built_in.names()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => "name its `.yml` file".to_owned(),
                };
                error(format!("there is no log type \"{name}\""), help)
            }
        };
    }
    let path = file.resolve(name.as_ref());
    used.push(path.clone());
    let mut schemas = Schemas::default();
    match schemas.read(&path) {
        Ok(_) => match schemas.names().next().and_then(|name| schemas.get(name)) {
            Some(schema) => Ok(Some(schema)),
            None => error(format!("there is no schema in {}", path.display()), RELATIVE.to_owned()),
        },
        Err(ReadError::Invalid(found)) => Err(found),
        Err(found) => error(found.to_string(), RELATIVE.to_owned()),
    }
}

/// What is wrong with the outputs, by a log type.
pub(super) fn check_log_type(schema: &Arc<log_type::Schema>, outputs: &[Made]) -> Complaints {
    let mut complaints = Complaints::default();
    let mut checker = Checker::new(vec![schema.clone()], log_type::Options::default());
    for (number, made) in outputs.iter().enumerate() {
        let Some(mut json) = parsed(made, number, &mut complaints) else { continue };
        if let Err(mismatch) = checker.check(&mut json) {
            complaints.add(mismatch.to_string(), number);
        }
    }
    complaints
}

fn parsed(made: &Made, number: usize, complaints: &mut Complaints) -> Option<Json> {
    match Json::parse(made.text.clone(), DEPTH) {
        Ok(json) => Some(json),
        Err(error) => {
            complaints.add(error.to_string(), number);
            None
        }
    }
}
