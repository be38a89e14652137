//! `schema`: holds events against log type schemas, coerces their values, finds time and indicators.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Outputs, Transform, TransformContext, TransformFactory};
use crate::config::{Check, Component};
use crate::event::{Fault, Meta, Place};
use crate::jq::{Instant, Json};
use crate::schema::log_type::drift::{Known, Sentry};
use crate::schema::log_type::{Checker, Matched, Missing, Options, ReadError, Schema, Schemas, Times};

/// Events without a field after which it counts as vanished.
const WINDOW: u64 = 10_000;

/// Holds events against log type schemas.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogTypes {
    /// Names of schemas; `*` stands for any text. An event is of the first one that it matches, in the
    /// order of this list, and by name within one pattern.
    schemas: Vec<String>,
    /// Folders of schema files (`*.yml`, `*.yaml`), or such files. One of a name that is built in
    /// replaces that.
    #[serde(default)]
    paths: Vec<PathBuf>,
    /// What leaves: `plain`, the event with its values coerced; `annotated`, with what was found in a
    /// member `_schema` besides; `panther`, with the standard fields `p_*` besides.
    #[serde(default)]
    output: Output,
    /// What a required field that is missing or null does: `fail`, the event goes to `errors`;
    /// `keep`, nothing.
    #[serde(default)]
    missing: OnMissing,
    /// `p_source_id`; the name of the source by default.
    source_id: Option<String>,
    /// `p_source_label`; the name of the source by default.
    source_label: Option<String>,
    /// Raises an alert, once a run for each, when a field appears that its schema does not have, when
    /// one is missing in 10,000 events after it was there, and when a value is of another type than
    /// its schema has. The `alerts` source has them, of kind `schema_drift`.
    #[serde(default)]
    drift: bool,
}

/// What leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Output {
    /// The event.
    #[default]
    Plain,
    /// The event and `_schema`.
    Annotated,
    /// The event and the standard fields `p_*`.
    Panther,
}

/// What a required field that is missing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OnMissing {
    /// The event goes to `errors`.
    #[default]
    Fail,
    /// Nothing.
    Keep,
}

impl Component<dyn TransformFactory> for LogTypes {
    const NAME: &'static str = "schema";
    const SUMMARY: &'static str = "Finds the log type schema that an event matches, coerces its values to the types there, and finds its time and indicators.";
    const GUARANTEE: &'static str = "Pure: the same event gives the same output, whatever came before it. An event that matches no schema goes to `errors`, unchanged. Fields that a schema does not know are kept.";
    const EXAMPLE: &'static str = "[transforms.typed]\ntype = \"schema\"\ninputs = [\"events\"]\nschemas = [\"MongoDB.OrganizationEvent\"]\noutput = \"panther\"\n";

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn TransformFactory>> {
        let mut schemas = Schemas::built_in().clone();
        let mut is_good = true;
        for (at, path) in self.paths.iter().enumerate() {
            match schemas.read(&check.resolve(path)) {
                Ok(warnings) => check.diagnostics.extend(warnings),
                Err(ReadError::Invalid(errors)) => {
                    check.diagnostics.extend(errors);
                    is_good = false;
                }
                Err(error) => {
                    let help = "a relative path is resolved from the folder of the pipeline file";
                    check.error(&format!("paths/{at}"), error.to_string(), Some(help.to_owned()));
                    is_good = false;
                }
            }
        }
        if self.schemas.is_empty() {
            let help = "name one, like \"MongoDB.OrganizationEvent\", or a pattern, like \"MongoDB.*\"";
            check.error("schemas", "there is no schema", Some(help.to_owned()));
            return None;
        }
        if !is_good {
            // a schema that could not be read is not one that is not there
            return None;
        }
        let selected = match schemas.select(&self.schemas) {
            Ok(selected) => selected,
            Err(errors) => {
                for error in errors {
                    check.error(&format!("schemas/{}", error.at), error.to_string(), Some(error.help));
                }
                return None;
            }
        };
        let options = Options {
            missing: if self.missing == OnMissing::Keep { Missing::Keep } else { Missing::Fail },
            times: if self.output == Output::Panther { Times::Table } else { Times::Rfc3339 },
            depth: check.limits.depth,
            reasons: self.output == Output::Annotated,
        };
        Some(Box::new(Ready {
            known: self.drift.then(|| Arc::new(Known::new(WINDOW))),
            schemas: selected,
            options,
            output: self.output,
            source_id: self.source_id,
            source_label: self.source_label,
        }))
    }
}

#[derive(Debug)]
struct Ready {
    schemas: Vec<Arc<Schema>>,
    options: Options,
    output: Output,
    source_id: Option<String>,
    source_label: Option<String>,
    /// What alerts were raised for, by all workers together; there if they are wanted.
    known: Option<Arc<Known>>,
}

impl TransformFactory for Ready {
    fn instantiate(&self, context: &TransformContext) -> Box<dyn Transform> {
        let mut checker = Checker::new(self.schemas.clone(), self.options);
        if let Some(known) = &self.known {
            let TransformContext { name, alerts } = context.clone();
            let tell = move |message: &str| alerts.raise("schema_drift", "warning", &name, "", message);
            checker.watch(Box::new(Sentry::new(known.clone(), Box::new(tell))));
        }
        Box::new(Copy {
            checker,
            output: self.output,
            source_id: self.source_id.clone(),
            source_label: self.source_label.clone(),
        })
    }
}

struct Copy {
    checker: Checker,
    output: Output,
    source_id: Option<String>,
    source_label: Option<String>,
}

impl Transform for Copy {
    fn apply(&mut self, mut event: Json, meta: &Meta<'_>, out: &mut Outputs) {
        let matched = match self.checker.check(&mut event) {
            Ok(matched) => matched,
            Err(mismatch) => {
                out.fail(Fault::new("schema", mismatch.to_string()));
                return;
            }
        };
        let members = match self.output {
            Output::Plain => {
                out.emit(0, matched.event);
                return;
            }
            Output::Annotated => vec![("_schema", annotation(&matched))],
            Output::Panther => {
                standard_fields(&matched, meta, self.source_id.as_deref(), self.source_label.as_deref())
            }
        };
        let mut event = matched.event;
        let event = event.view().with_members([], members);
        out.emit(0, event);
    }
}

/// `{name, event_time?, indicators, reason?}`.
fn annotation(matched: &Matched<'_>) -> Json {
    let mut members = vec![("name", Json::string(matched.schema.name()))];
    if let Some(time) = matched.event_time {
        members.push(("event_time", Json::string(&time.to_rfc3339())));
    }
    let indicators = matched.indicators().map(|(name, _, values)| (name, values));
    members.push(("indicators", Json::record(indicators.collect())));
    if let Some(reason) = matched.reason() {
        members.push(("reason", Json::string(&reason)));
    }
    Json::record(members)
}

fn standard_fields(
    matched: &Matched<'_>,
    meta: &Meta<'_>,
    source_id: Option<&str>,
    source_label: Option<&str>,
) -> Vec<(&'static str, Json)> {
    let ingested_at = meta.origin.ingested_at;
    let parse_time = Instant {
        seconds: ingested_at.timestamp(),
        nanos: ingested_at.timestamp_subsec_nanos().min(999_999_999),
    };
    let parse_text = Json::string(&parse_time.to_table_text());
    let event_text =
        matched.event_time.map_or_else(|| parse_text.clone(), |time| Json::string(&time.to_table_text()));
    let mut fields = Vec::with_capacity(14);
    fields.extend([
        ("p_log_type", Json::string(matched.schema.name())),
        ("p_row_id", Json::string(&meta.key())),
        ("p_event_time", event_text),
        ("p_parse_time", parse_text),
        ("p_source_id", Json::string(source_id.unwrap_or(&meta.origin.source))),
        ("p_source_label", Json::string(source_label.unwrap_or(&meta.origin.source))),
        ("p_schema_version", Json::integer(0)),
    ]);
    if let Place::File { path, .. } = &meta.origin.place {
        fields.push(("p_source_file", Json::record(vec![("path", Json::string(path))])));
    }
    fields.extend(matched.indicators().map(|(_, field, values)| (field, values)));
    fields
}
