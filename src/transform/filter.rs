//! `filter`: passes the events for which a condition holds.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Outputs, Transform, TransformContext, TransformFactory, fault_of};
use crate::config::{Check, Component, Program};
use crate::event::Meta;
use crate::jq::{self, Json, Limits, Runner};

/// Passes events on, unchanged, if a condition holds for them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// A jq program. It holds if its only output is neither null nor false; no output is false,
    /// several are an error.
    condition: Program,
    /// Becomes `$args` in the condition.
    #[serde(default)]
    args: Map<String, Value>,
}

impl Component<dyn TransformFactory> for Filter {
    const NAME: &'static str = "filter";
    const SUMMARY: &'static str = "Passes the events for which a jq condition holds.";
    const GUARANTEE: &'static str = "Events that do not pass are counted as filtered.";
    const EXAMPLE: &'static str = "[transforms.logins]\ntype = \"filter\"\ninputs = [\"events\"]\ncondition = '.eventTypeName | test(\"LOGIN\")'\n";

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn TransformFactory>> {
        Some(Box::new(Ready {
            program: check.program("condition", &self.condition.0, &[])?,
            args: Value::Object(self.args),
            limits: check.limits.clone(),
        }))
    }
}

#[derive(Debug)]
struct Ready {
    program: Arc<jq::Program>,
    args: Value,
    limits: Limits,
}

impl TransformFactory for Ready {
    fn instantiate(&self, _: &TransformContext) -> Box<dyn Transform> {
        Box::new(Copy(Runner::new(self.program.clone(), &self.args, self.limits.clone())))
    }
}

struct Copy(Runner);

impl Transform for Copy {
    fn apply(&mut self, mut event: Json, meta: &Meta<'_>, out: &mut Outputs) {
        match self.0.holds(&mut event, Some(meta)) {
            Ok(true) => out.emit(0, event),
            Ok(false) => {}
            Err(error) => out.fail(fault_of(&error, "condition")),
        }
    }
}
