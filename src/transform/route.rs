//! `route`: sends each event by the first condition that holds, or by all.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Outputs, Transform, TransformContext, TransformFactory, fault_of};
use crate::config::{Check, Component, Program};
use crate::event::Meta;
use crate::jq::{self, Json, Limits, Runner};

/// Sends events by condition: each route is an output `NAME.route`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    /// Conditions by the name of their route, tried in the order of the file.
    #[schemars(with = "std::collections::BTreeMap<String, Program>")]
    routes: Map<String, Value>,
    /// Sends an event by every route whose condition holds, not only by the first.
    #[serde(default)]
    all: bool,
    /// Becomes `$args` in the conditions.
    #[serde(default)]
    args: Map<String, Value>,
}

/// Outputs that every component has, or that this one adds.
const RESERVED: [&str; 2] = ["errors", "unmatched"];

impl Component<dyn TransformFactory> for Route {
    const NAME: &'static str = "route";
    const SUMMARY: &'static str =
        "Sends each event to the output whose jq condition holds; the others to `unmatched`.";
    const GUARANTEE: &'static str = "Each event leaves by one output (`all = true`: by each that matches). An unconnected `unmatched` counts as filtered.";
    const EXAMPLE: &'static str = "[transforms.kind]\ntype = \"route\"\ninputs = [\"events\"]\nroutes.users = '.eventTypeName | startswith(\"USER_\")'\nroutes.keys = '.eventTypeName | startswith(\"API_KEY_\")'\n";

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn TransformFactory>> {
        if self.routes.is_empty() {
            check.error("routes", "there is no route", Some("add `routes.NAME = 'condition'`".to_owned()));
            return None;
        }
        let mut routes = Vec::new();
        for (name, condition) in &self.routes {
            let option = format!("routes/{name}");
            let is_name = !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
            if RESERVED.contains(&name.as_str()) {
                let help = format!("`{name}` is an output that is always there; choose another name");
                check.error(&option, format!("the name `{name}` is reserved"), Some(help));
            } else if !is_name {
                let help = "use letters, digits, `_` and `-`";
                check.error(&option, format!("`{name}` is no name"), Some(help.to_owned()));
            } else if let Some(program) = check.program(&option, condition.as_str().unwrap_or_default(), &[])
            {
                routes.push((name.clone(), program));
            }
        }
        if routes.len() < self.routes.len() {
            return None;
        }
        Some(Box::new(Ready {
            routes,
            all: self.all,
            args: Value::Object(self.args),
            limits: check.limits.clone(),
        }))
    }
}

#[derive(Debug)]
struct Ready {
    routes: Vec<(String, Arc<jq::Program>)>,
    all: bool,
    args: Value,
    limits: Limits,
}

impl TransformFactory for Ready {
    fn outputs(&self) -> Vec<String> {
        let names = self.routes.iter().map(|(name, _)| name.clone());
        names.chain(["unmatched".to_owned()]).collect()
    }

    fn may_dangle(&self, output: usize) -> bool {
        output == self.routes.len()
    }

    fn instantiate(&self, _: &TransformContext) -> Box<dyn Transform> {
        let runner =
            |program: &Arc<jq::Program>| Runner::new(program.clone(), &self.args, self.limits.clone());
        Box::new(Copy {
            names: self.routes.iter().map(|(name, _)| name.clone()).collect(),
            conditions: self.routes.iter().map(|(_, program)| runner(program)).collect(),
            all: self.all,
        })
    }
}

struct Copy {
    names: Vec<String>,
    conditions: Vec<Runner>,
    all: bool,
}

impl Transform for Copy {
    fn apply(&mut self, mut event: Json, meta: &Meta<'_>, out: &mut Outputs) {
        let unmatched = self.conditions.len();
        let mut matched = false;
        for (output, condition) in self.conditions.iter_mut().enumerate() {
            match condition.holds(&mut event, Some(meta)) {
                Ok(true) => {
                    matched = true;
                    out.emit(output, event.clone());
                    if !self.all {
                        return;
                    }
                }
                Ok(false) => {}
                Err(error) => {
                    out.fail(fault_of(&error, &format!("routes.{}", self.names[output])));
                    return;
                }
            }
        }
        if !matched {
            out.emit(unmatched, event);
        }
    }
}
