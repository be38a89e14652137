//! What a test file may say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::Program;

/// A `*.test.toml` file: lists of tests, by kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tests {
    /// Pipelines run on recordings.
    #[serde(default)]
    pub(super) replay: Vec<Replay>,
    /// A transform, or a pipeline from its source to its sink, run on inputs.
    #[serde(default)]
    pub(super) case: Vec<Case>,
    /// The jq program that the cases test. Default: the `.jq` of the same name beside this file.
    pub(super) transform: Option<PathBuf>,
    /// Becomes `$args` in the program.
    #[serde(default)]
    pub(super) args: Map<String, Value>,
    /// Folders searched for modules, after the folder of the program.
    #[serde(default)]
    pub(super) library: Vec<PathBuf>,
    /// Leaves of the inputs that go nowhere on purpose, as patterns: `links.[].rel`, `raw.*`.
    #[serde(default)]
    pub(super) dropped: Vec<String>,
    /// Leaves of the inputs that change the outputs and are not found in them.
    #[serde(default)]
    pub(super) converted: Vec<String>,
}

/// A transform, or a pipeline from its source to its sink, run on inputs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// What the test is called.
    pub(super) name: String,
    /// The jq program, instead of the one that the file names.
    pub(super) transform: Option<PathBuf>,
    /// Put over the `args` of the file, member by member.
    #[serde(default)]
    pub(super) args: Map<String, Value>,
    /// Folders searched for modules, instead of those that the file names.
    pub(super) library: Option<Vec<PathBuf>>,
    /// A pipeline file, instead of a transform: the inputs are fed into its source, and the outputs are
    /// what arrives at its sink.
    pub(super) pipeline: Option<PathBuf>,
    /// Which source, if the pipeline has several.
    pub(super) source: Option<String>,
    /// Which sink, if the pipeline has several.
    pub(super) sink: Option<String>,
    /// Environment variables for the pipeline, before those that are set.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// JSON documents, one or several.
    pub(super) input: Option<String>,
    /// A file of them: one a line if it is called `.ndjson`.
    pub(super) input_file: Option<PathBuf>,
    /// What `$meta.origin` says of the inputs, as if they had been pulled from an API.
    pub(super) polled: Option<PolledFrom>,
    /// A recording, for a pipeline: its source asks that instead of anybody.
    pub(super) cassette: Option<PathBuf>,
    /// All outputs in their order, as JSON documents.
    pub(super) expect: Option<String>,
    /// The same in a file.
    pub(super) golden: Option<PathBuf>,
    /// jq conditions, each of which holds for every output. `$input` is what the output was made of.
    #[serde(default)]
    pub(super) assert: Vec<Program>,
    /// The number of outputs.
    pub(super) outputs: Option<u64>,
    /// The version of OCSF by which every output is valid.
    pub(super) ocsf: Option<Ocsf>,
    /// A compiled OCSF schema, instead of one that is built in.
    pub(super) ocsf_schema: Option<PathBuf>,
    /// The log type by whose schema every output is valid: its name, or its `.yml` file.
    pub(super) schema: Option<String>,
    /// A file that says where each leaf of the inputs goes. A leaf that arrives nowhere has to be
    /// listed, in `dropped` or in `converted`.
    pub(super) leaves: Option<PathBuf>,
    /// Leaves that go nowhere on purpose, instead of those that the file names.
    pub(super) dropped: Option<Vec<String>>,
    /// Leaves that change the outputs and are not found in them, instead of those that the file names.
    pub(super) converted: Option<Vec<String>>,
    /// Inputs that fail, in their order. By default none may.
    #[serde(default)]
    pub(super) errors: Vec<Expected>,
}

/// Where inputs are said to come from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolledFrom {
    /// What is pulled.
    #[serde(default)]
    pub(super) stream: String,
    /// The part of it: a project, a host.
    #[serde(default)]
    pub(super) partition: String,
    /// When the response came, in RFC 3339.
    pub(super) fetched_at: String,
    /// For a snapshot, how many came before it.
    pub(super) sequence: Option<u64>,
}

/// How strictly outputs are held against OCSF.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Ocsf {
    /// Neither errors nor warnings.
    Version(String),
    /// As it says.
    Options(OcsfOptions),
}

/// The version of OCSF, and what is allowed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OcsfOptions {
    /// The version.
    pub(super) version: String,
    /// Whether warnings are allowed.
    #[serde(default)]
    pub(super) warnings: bool,
}

/// How an input fails.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    /// A part of the message.
    pub(super) message: Option<String>,
    /// The kind of the error: `jq`, `limit`, `halt`, `panic`, `invalid_json`, `invalid_utf8`; of a pipeline
    /// also those of its components, such as `ocsf`, `schema` or `path`.
    pub(super) kind: Option<String>,
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
