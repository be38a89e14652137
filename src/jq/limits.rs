//! Bounds on one program and one event.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Duration, Size};

/// Bounds on what one program may use for one event. An event that exceeds one fails with the name
/// of the bound and takes the error edge; the worker goes on at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// CPU time of the worker.
    pub time: Duration,
    /// Steps of the evaluator: calls, iterations and native functions, and what these do inside.
    pub steps: u64,
    /// Memory that the program may hold at once, beyond the event itself.
    pub memory: Size,
    /// Number of outputs.
    pub outputs: u64,
    /// Bytes of all outputs together, as JSON text.
    pub output_bytes: Size,
    /// Nesting of events and of outputs, in arrays and objects.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            time: Duration::from_secs(1),
            steps: 50_000_000,
            memory: Size::mib(64),
            outputs: 10_000,
            output_bytes: Size::mib(64),
            depth: 512,
        }
    }
}
