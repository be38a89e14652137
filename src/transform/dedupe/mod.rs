//! `dedupe`: passes the first event of each key.
//!
//! The key is computed in the workers, in parallel; [`marks`] is what they share. Why it is built like
//! this: `docs/decisions/0007-stateful-transforms.md`.

mod marks;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Outputs, Shared, SharedContext, Stateful, Transform, TransformContext, TransformFactory, fault_of,
};
use crate::config::{Check, Component, Duration, Program};
use crate::event::{Fault, Meta};
use crate::jq::{self, Json, Limits, Runner};
use marks::{Bounds, Marks};

/// Passes an event on, unchanged, unless one with the same key has passed before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dedupe {
    /// A jq program whose output is the key; any value, compared as `==` does. An event without a key
    /// (null, or no output) passes. Several outputs are an error: make an array of them.
    key: Program,
    /// How long a key is remembered after its event has passed. Events that are dropped do not prolong
    /// it.
    #[serde(default = "default_within")]
    within: Duration,
    /// Keys remembered at the most, about 80 bytes of memory each. Beyond it the oldest are forgotten
    /// before their time, and the log says so once.
    #[serde(default = "default_max_keys")]
    #[schemars(range(min = 1))]
    max_keys: usize,
    /// Becomes `$args` in the key.
    #[serde(default)]
    args: Map<String, Value>,
}

fn default_within() -> Duration {
    Duration::from_secs(24 * 60 * 60)
}

fn default_max_keys() -> usize {
    1_000_000
}

impl Component<dyn TransformFactory> for Dedupe {
    const NAME: &'static str = "dedupe";
    const SUMMARY: &'static str = "Passes the first event of each key; the others are filtered.";
    const GUARANTEE: &'static str = "The first event of a key in source order passes, each within the time once, across restarts and kills too: a key is recorded with the epoch that settles its event, never before. Between several sources the first to arrive counts.";
    const EXAMPLE: &'static str =
        "[transforms.once]\ntype = \"dedupe\"\ninputs = [\"events\"]\nkey = '.id'\nwithin = \"24h\"\n";

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn TransformFactory>> {
        let within = std::time::Duration::from(self.within);
        if within.is_zero() {
            let help = "write how long a key is remembered, like \"24h\"";
            check.error("within", "nothing is remembered", Some(help.to_owned()));
        }
        let program = check.program("key", &self.key.0, &[])?;
        Some(Box::new(Ready {
            program,
            args: Value::Object(self.args),
            limits: check.limits.clone(),
            bounds: Bounds { within: within.as_millis() as u64, max_keys: self.max_keys },
            is_warned: Arc::default(),
        }))
    }
}

#[derive(Debug)]
struct Ready {
    program: Arc<jq::Program>,
    args: Value,
    limits: Limits,
    bounds: Bounds,
    /// Whether the log has said that keys are forgotten: once a run, not once a rollback.
    is_warned: Arc<AtomicBool>,
}

impl TransformFactory for Ready {
    fn instantiate(&self, _: &TransformContext) -> Box<dyn Transform> {
        Box::new(Copy(Runner::new(self.program.clone(), &self.args, self.limits.clone())))
    }

    fn stateful(&self) -> Option<&dyn Stateful> {
        Some(self)
    }
}

impl Stateful for Ready {
    fn share(&self, context: SharedContext) -> Arc<dyn Shared> {
        Arc::new(Marks::load(context, self.bounds, self.is_warned.clone()))
    }
}

struct Copy(Runner);

impl Transform for Copy {
    fn apply(&mut self, mut event: Json, meta: &Meta<'_>, out: &mut Outputs) {
        let mut key: Option<Json> = None;
        let mut is_several = false;
        let result = self.0.run(&mut event, Some(meta), &mut |output| {
            is_several = key.replace(output).is_some();
            !is_several
        });
        if let Err(error) = result {
            out.fail(fault_of(&error, "key"));
        } else if is_several {
            let message = "the key has several outputs; it must have one, such as an array of them";
            out.fail(Fault { position: Some("key".to_owned()), ..Fault::new("jq", message) });
        } else {
            if let Some(key) = key.as_mut().and_then(Json::identity) {
                out.ask(key);
            }
            out.emit(0, event);
        }
    }
}
