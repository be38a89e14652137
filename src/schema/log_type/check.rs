//! Events held against schemas.

use std::fmt;
use std::sync::Arc;

use super::indicator::Found;
use super::model::Schema;
use super::walk::{Changed, Pass, missing};
use super::watch::Watch;
use crate::jq::{Instant, Json};

/// Schemas that a message names.
const NAMED: usize = 8;

/// How strictly events are held against schemas, and how times are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What a required field that is missing does.
    pub missing: Missing,
    /// How values of type `timestamp` are written.
    pub times: Times,
    /// The greatest depth of JSON in text.
    pub depth: Depth,
}

/// A depth of arrays and objects.
#[derive(Debug, Clone, Copy)]
pub struct Depth(pub usize);

impl Default for Depth {
    fn default() -> Self {
        Depth(512)
    }
}

/// What a required field that is missing, or null, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// The event does not match.
    #[default]
    Fail,
    /// Nothing.
    Keep,
}

/// How values of type `timestamp` are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// `2024-01-02T03:04:05.678Z`; what is RFC 3339 in UTC already stays as it is.
    #[default]
    Rfc3339,
    /// `2024-01-02 03:04:05.678000000`.
    Table,
}

/// Holds events against one or several schemas. One per thread.
///
/// An event is of the *first* of the schemas, in the order of their list, that it matches. Which one
/// is tried first is another matter: each failure while another schema matches counts as a penalty,
/// and those with the fewest are tried first. One that stands further up in the list and was not
/// tried yet is then looked at as well, so the result never depends on earlier events.
#[derive(Debug)]
pub struct Checker {
    schemas: Vec<Arc<Schema>>,
    options: Options,
    penalties: Vec<u32>,
    /// Numbers of the schemas in the order in which they are tried.
    order: Vec<usize>,
    /// Why each schema does not match, for the event in hand.
    failures: Vec<Option<Failure>>,
    pass: Pass,
}

/// An event that matches a schema.
#[derive(Debug)]
pub struct Matched<'c> {
    /// Which one.
    pub schema: &'c Arc<Schema>,
    /// The event with its values coerced; the same event, text and all, if there was nothing to do.
    pub event: Json,
    /// When it happened, by the first field that says so.
    pub event_time: Option<Instant>,
    found: &'c Found,
    failures: &'c [Option<Failure>],
    schemas: &'c [Arc<Schema>],
}

impl Matched<'_> {
    /// The indicators that are not empty: name of the list, the same as a standard field, and its
    /// values, sorted and each once.
    pub fn indicators(&self) -> impl Iterator<Item = (&'static str, &'static str, Json)> {
        self.found.lists().map(|(list, texts)| {
            let (name, field) = list.names();
            (name, field, Json::array(texts.map(Json::string).collect()))
        })
    }

    /// Why it is this schema, if there were others before it.
    pub fn reason(&self) -> Option<String> {
        let before = self
            .schemas
            .iter()
            .zip(self.failures)
            .take_while(|(schema, _)| !Arc::ptr_eq(schema, self.schema));
        let reasons: Vec<_> = before
            .filter_map(|(schema, failure)| Some(format!("not {}: {}", schema.name(), failure.as_ref()?)))
            .take(NAMED)
            .collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// An event that matches no schema.
#[derive(Debug, Clone)]
pub struct Mismatch {
    /// Why not, by schema, in the order of their list.
    pub failures: Vec<(Arc<Schema>, Failure)>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failures[..] {
            [] => f.write_str("there is no schema"),
            [(_, failure)] => write!(f, "{failure}"),
            failures => {
                write!(f, "the event matches none of {} schemas", failures.len())?;
                for (schema, failure) in failures.iter().take(NAMED) {
                    write!(f, "\n{}: {failure}", schema.name())?;
                }
                match failures.len().checked_sub(NAMED) {
                    None | Some(0) => Ok(()),
                    Some(more) => write!(f, "\nand {more} more"),
                }
            }
        }
    }
}

impl std::error::Error for Mismatch {}

/// The first thing that keeps an event from matching a schema.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Where, as a jq path.
    pub path: String,
    /// What the schema wants there.
    pub expected: String,
    /// What is there; nothing if that is missing.
    pub got: String,
    /// Whether it is a required field that is missing or null.
    pub is_missing: bool,
}

impl Failure {
    /// What is there, without its value.
    pub fn got_type(&self) -> &str {
        // `the string "…"`; what has no article is no more than a word
        match self.got.strip_prefix("the ").and_then(|rest| rest.find(' ')) {
            Some(end) => &self.got[..4 + end],
            None => &self.got,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.path, self.expected, self.got)
    }
}

impl Checker {
    /// A checker for schemas in this order.
    pub fn new(schemas: Vec<Arc<Schema>>, options: Options) -> Self {
        Checker {
            options,
            penalties: vec![0; schemas.len()],
            order: (0..schemas.len()).collect(),
            failures: vec![None; schemas.len()],
            pass: Pass::default(),
            schemas,
        }
    }

    /// Has a watch look on: at fields that are not known, at those that are seen, and at types that
    /// are not those of the schema.
    pub fn watch(&mut self, watch: Box<dyn Watch>) {
        self.pass.watch = Some(watch);
    }

    /// Which schema an event matches, and what becomes of it.
    pub fn check(&mut self, event: &mut Json) -> Result<Matched<'_>, Mismatch> {
        self.failures.iter_mut().for_each(|failure| *failure = None);
        match self.classify(event) {
            Some((at, changed)) => {
                self.pass.found.settle();
                let schema = &self.schemas[at];
                if let Some(watch) = &mut self.pass.watch {
                    watch.matched(schema);
                }
                Ok(Matched {
                    schema,
                    event: changed.unwrap_or_else(|| event.clone()),
                    event_time: self.pass.event_time.map(|(_, time)| time),
                    found: &self.pass.found,
                    failures: &self.failures,
                    schemas: &self.schemas,
                })
            }
            None => {
                let failures = self.schemas.iter().zip(&mut self.failures);
                let failures: Vec<_> = failures
                    .filter_map(|(schema, failure)| Some((schema.clone(), failure.take()?)))
                    .collect();
                if let Some(watch) = &mut self.pass.watch {
                    watch.failed(&failures);
                }
                Err(Mismatch { failures })
            }
        }
    }

    /// The number of the schema, and the event if it changes.
    fn classify(&mut self, event: &mut Json) -> Option<(usize, Option<Json>)> {
        let mut found = None;
        for turn in 0..self.order.len() {
            let at = self.order[turn];
            match self.attempt(at, event) {
                Ok(changed) => {
                    found = Some((at, changed));
                    break;
                }
                Err(failure) => self.failures[at] = Some(*failure),
            }
        }
        let (tried_first, changed) = found?;
        // whoever stands before it in the list has the better claim
        let mut winner = (tried_first, changed);
        let mut is_overwritten = false;
        for at in 0..tried_first {
            if self.failures[at].is_some() {
                continue;
            }
            // as a rule it is told by its required fields that it is another record
            if self.options.missing == Missing::Fail {
                self.failures[at] = missing(&self.schemas[at].root, event.view(), &[]);
            }
            if self.failures[at].is_none() {
                is_overwritten = true;
                match self.attempt(at, event) {
                    Ok(changed) => {
                        winner = (at, changed);
                        break;
                    }
                    Err(failure) => self.failures[at] = Some(*failure),
                }
            }
        }
        if self.failures.iter().any(Option::is_some) {
            for (penalty, failure) in self.penalties.iter_mut().zip(&self.failures) {
                *penalty = penalty.saturating_add(u32::from(failure.is_some()));
            }
            let penalties = &self.penalties;
            self.order.sort_by_key(|at| (penalties[*at], *at));
        }
        if winner.0 == tried_first && is_overwritten {
            // looking at others has replaced what the pass had gathered
            return self.attempt(tried_first, event).ok().map(|changed| (tried_first, changed));
        }
        Some(winner)
    }

    /// Holds an event against one schema: what it becomes, if it changes.
    fn attempt(&mut self, at: usize, event: &mut Json) -> Changed {
        self.pass.begin(self.options);
        self.pass.root(&self.schemas[at], event.view())
    }
}

#[cfg(test)]
mod tests;
