//! `validate`: what every event that leaves a transform, or comes to a sink, has to fulfil.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::config::Check;
use crate::event::Fault;
use crate::jq::Json;
use crate::schema::ocsf::{self, Finding, Rule, Schema, Severity, Validator};

/// Findings that a dead letter shows; the others are counted.
const SHOWN: usize = 5;

/// Different findings that a component logs; after that it only counts.
const LOGGED: usize = 100;

/// What events are checked against.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Validate {
    /// The version of OCSF that events must be valid in: `"1.8.0"` or `"1.9.0"` for the classes in the
    /// built-in tables (`jaquard ocsf classes`), any other with `ocsf_schema`.
    ocsf: String,
    /// A compiled OCSF schema, as the official compiler writes it, in place of the built-in tables.
    ocsf_schema: Option<PathBuf>,
    /// What becomes of an event that is not valid: it takes the error edge (`"errors"`), or goes on
    /// and is counted (`"count"`).
    #[serde(default)]
    violations: Violations,
    /// Whether warnings (a deprecated attribute, a caption that differs from its number, …) make an
    /// event invalid too.
    #[serde(default)]
    warnings: bool,
    /// Whether recommended attributes that are missing are warnings.
    #[serde(default)]
    recommended: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Violations {
    #[default]
    Errors,
    Count,
}

impl Validate {
    /// Reads the schema.
    pub(super) fn check(self, check: &mut Check<'_>) -> Option<Arc<Validation>> {
        let schema = match &self.ocsf_schema {
            None => match Schema::known(&self.ocsf) {
                Ok(schema) => schema,
                Err(message) => {
                    let help = "write one of these, or name a compiled schema: `ocsf_schema = \"path\"`";
                    check.error("validate/ocsf", message, help.to_owned());
                    return None;
                }
            },
            Some(path) => match Schema::read(&check.resolve(path)) {
                Ok(schema) if schema.version() == self.ocsf => schema,
                Ok(schema) => {
                    let message = format!("the schema is OCSF {}, not {}", schema.version(), self.ocsf);
                    let help = format!("write `ocsf = \"{}\"`, or name another file", schema.version());
                    check.error("validate/ocsf_schema", message, help);
                    return None;
                }
                Err(error) => {
                    let help = "it takes the compiled form, as ocsf-schema-compiler writes it".to_owned();
                    check.error("validate/ocsf_schema", error.to_string(), help);
                    return None;
                }
            },
        };
        Some(Arc::new(Validation {
            name: Arc::from(check.name),
            schema,
            violations: self.violations,
            warnings: self.warnings,
            recommended: self.recommended,
            counts: Counts::default(),
            logged: Mutex::default(),
            is_quiet: AtomicBool::new(false),
        }))
    }
}

/// The validation of one component, and what it found in this run.
#[derive(Debug)]
pub(super) struct Validation {
    name: Arc<str>,
    schema: Arc<Schema>,
    violations: Violations,
    warnings: bool,
    recommended: bool,
    counts: Counts,
    /// What was logged, so that it is said once.
    logged: Mutex<HashMap<Rule, HashSet<String>>>,
    /// Whether as much was logged as may be.
    is_quiet: AtomicBool,
}

#[derive(Debug, Default)]
struct Counts {
    checked: AtomicU64,
    invalid: AtomicU64,
    errors: AtomicU64,
    warnings: AtomicU64,
}

impl Validation {
    /// A copy for one worker.
    pub(super) fn instantiate(self: &Arc<Self>) -> Checker {
        let options = ocsf::Options { missing_recommended: self.recommended };
        let validator = Validator::new(self.schema.clone(), options);
        Checker { validation: self.clone(), validator }
    }

    pub(super) fn line(&self) -> ValidationLine {
        let Counts { checked, invalid, errors, warnings } = &self.counts;
        ValidationLine {
            component: self.name.to_string(),
            checked: checked.load(Ordering::Relaxed),
            invalid: invalid.load(Ordering::Relaxed),
            errors: errors.load(Ordering::Relaxed),
            warnings: warnings.load(Ordering::Relaxed),
        }
    }

    /// Counts the findings of an event. If it has to take the error edge, says why.
    fn judge(&self, findings: &[Finding]) -> Option<Fault> {
        let of = |severity| findings.iter().filter(move |finding| finding.severity == severity);
        let (errors, warnings) = (of(Severity::Error).count(), of(Severity::Warning).count());
        self.counts.errors.fetch_add(errors as u64, Ordering::Relaxed);
        self.counts.warnings.fetch_add(warnings as u64, Ordering::Relaxed);
        self.log(findings);
        if errors == 0 && !(self.warnings && warnings > 0) {
            return None;
        }
        self.counts.invalid.fetch_add(1, Ordering::Relaxed);
        if self.violations == Violations::Count {
            return None;
        }
        let counted = errors + if self.warnings { warnings } else { 0 };
        let mut message = format!("the event is not valid OCSF {}", self.schema.version());
        let shown = of(Severity::Error).chain(of(Severity::Warning).filter(|_| self.warnings));
        for finding in shown.take(SHOWN) {
            message += &format!("; {} {}: {}", finding.rule.name(), finding.path, finding.message);
        }
        if counted > SHOWN {
            message += &format!("; and {} more", counted - SHOWN);
        }
        Some(Fault::new("ocsf", message))
    }

    /// Logs each kind of finding once, without the values that it is about.
    fn log(&self, findings: &[Finding]) {
        if self.is_quiet.load(Ordering::Relaxed) {
            return;
        }
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        for finding in findings {
            let what = match finding.severity {
                Severity::Error => "an event is not valid OCSF",
                Severity::Warning => "an event is valid OCSF, but not as it should be",
                Severity::NotChecked => continue,
            };
            let paths = logged.entry(finding.rule).or_default();
            if !paths.contains(&finding.path) {
                paths.insert(finding.path.clone());
                let (rule, path) = (finding.rule.name(), &finding.path);
                tracing::warn!(component = %self.name, rule, path, "{what}; said once");
            }
        }
        if logged.values().map(HashSet::len).sum::<usize>() >= LOGGED {
            self.is_quiet.store(true, Ordering::Relaxed);
        }
    }
}

/// A [`Validation`] in a worker.
pub(super) struct Checker {
    validation: Arc<Validation>,
    validator: Validator,
}

impl Checker {
    /// Checks an event. If it has to take the error edge, says why.
    pub(super) fn check(&mut self, event: &mut Json) -> Option<Fault> {
        self.validation.counts.checked.fetch_add(1, Ordering::Relaxed);
        match self.validator.check(event.view()) {
            [] => None,
            findings => self.validation.judge(findings),
        }
    }
}

/// What a validation found, as it is printed at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationLine {
    /// Name of the component.
    pub component: String,
    /// Events checked.
    pub checked: u64,
    /// Events that were not valid.
    pub invalid: u64,
    /// Errors in all of them.
    pub errors: u64,
    /// Warnings in all of them.
    pub warnings: u64,
}

impl ValidationLine {
    /// The line as a JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "validation": self.component,
            "checked": self.checked,
            "invalid": self.invalid,
            "errors": self.errors,
            "warnings": self.warnings,
        })
    }
}

impl fmt::Display for ValidationLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ValidationLine { component, checked, invalid, errors, warnings } = self;
        write!(
            f,
            "validation {component}: checked={checked} invalid={invalid} errors={errors} warnings={warnings}"
        )
    }
}
