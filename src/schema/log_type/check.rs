//! Events held against schemas.

use std::fmt;
use std::sync::Arc;

use super::failure::Failure;
use super::indicator::Found;
use super::model::Schema;
use super::walk::{Changed, Pass, missing};
use super::watch::Watch;
use crate::jq::{Instant, Json};

/// Schemas that a message names.
const NAMED: usize = 8;

/// How strictly events are held against schemas, and how times are written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What a required field that is missing does.
    pub missing: Missing,
    /// How values of type `timestamp` are written.
    pub times: Times,
    /// The greatest depth of JSON in text.
    pub depth: usize,
    /// Whether [`Matched::reason`] is wanted. It costs another look at the schemas before the one that
    /// matches.
    pub reasons: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { missing: Missing::default(), times: Times::default(), depth: 512, reasons: false }
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
    /// What each schema has said of the event in hand.
    verdicts: Vec<Verdict>,
    pass: Pass,
    /// For looks that nobody watches.
    aside: Pass,
}

/// What a schema has said of an event.
#[derive(Debug)]
enum Verdict {
    /// Nothing yet, or that it matches.
    None,
    /// It does not match.
    Failed(Box<Failure>),
    /// It does not match, for it lacks a required field. There may be another failure before that.
    Lacks,
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
    /// Why it is none of the schemas before it.
    failures: Vec<(&'c Arc<Schema>, Box<Failure>)>,
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

    /// Why it is this schema, if there were others before it and [`Options::reasons`] asked for it.
    /// The same for the same event, whatever came before it.
    pub fn reason(&self) -> Option<String> {
        let reasons: Vec<_> = self
            .failures
            .iter()
            .map(|(schema, failure)| format!("not {}: {failure}", schema.name()))
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

impl Checker {
    /// A checker for schemas in this order.
    pub fn new(schemas: Vec<Arc<Schema>>, options: Options) -> Self {
        Checker {
            options,
            penalties: vec![0; schemas.len()],
            order: (0..schemas.len()).collect(),
            verdicts: schemas.iter().map(|_| Verdict::None).collect(),
            pass: Pass::default(),
            aside: Pass::default(),
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
        self.verdicts.iter_mut().for_each(|verdict| *verdict = Verdict::None);
        let Some((at, changed)) = self.classify(event) else { return Err(self.mismatch(event)) };
        self.pass.found.settle();
        let mut failures = Vec::new();
        if self.options.reasons {
            // what has failed above depends on the order in which schemas were tried; this does not
            for before in self.schemas.iter().take(at.min(NAMED)) {
                self.aside.begin(self.options);
                if let Err(failure) = self.aside.root(before, event.view()) {
                    failures.push((before, failure));
                }
            }
        }
        let schema = &self.schemas[at];
        if let Some(watch) = &mut self.pass.watch {
            watch.matched(schema);
        }
        Ok(Matched {
            schema,
            event: changed.unwrap_or_else(|| event.clone()),
            event_time: self.pass.event_time.map(|(_, time)| time),
            found: &self.pass.found,
            failures,
        })
    }

    /// Why no schema matches. Each has been tried.
    fn mismatch(&mut self, event: &mut Json) -> Mismatch {
        let mut failures = Vec::with_capacity(self.schemas.len());
        for (schema, verdict) in self.schemas.iter().zip(&mut self.verdicts) {
            if let Verdict::Failed(failure) = std::mem::replace(verdict, Verdict::None) {
                failures.push((schema.clone(), *failure));
            }
        }
        // an event that matches none of several schemas says nothing about any one of them
        if let [schema] = &self.schemas[..]
            && self.pass.watch.is_some()
        {
            self.pass.survey(self.options, schema, event.view());
            if let Some(watch) = &mut self.pass.watch {
                watch.failed(schema);
            }
        }
        Mismatch { failures }
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
                Err(failure) => self.verdicts[at] = Verdict::Failed(failure),
            }
        }
        let (tried_first, changed) = found?;
        // whoever stands before it in the list has the better claim
        let mut winner = (tried_first, changed);
        let mut is_overwritten = false;
        for at in 0..tried_first {
            if !matches!(self.verdicts[at], Verdict::None) {
                continue;
            }
            // as a rule it is told by its required fields that it is another record
            let root = &self.schemas[at].root;
            if self.options.missing == Missing::Fail && missing(root, event.view(), &[], &[]).next().is_some()
            {
                self.verdicts[at] = Verdict::Lacks;
                continue;
            }
            is_overwritten = true;
            match self.attempt(at, event) {
                Ok(changed) => {
                    winner = (at, changed);
                    break;
                }
                Err(failure) => self.verdicts[at] = Verdict::Failed(failure),
            }
        }
        let has_failed = |verdict: &Verdict| !matches!(verdict, Verdict::None);
        if self.verdicts.iter().any(has_failed) {
            for (penalty, verdict) in self.penalties.iter_mut().zip(&self.verdicts) {
                *penalty = penalty.saturating_add(u32::from(has_failed(verdict)));
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
