//! Transforms: what happens to an event between a source and the sinks.
//!
//! A transform is CPU only and runs inside a worker, one compiled copy per worker. It gets one
//! event and gives any number, or a fault; a failed event takes the error edge with its original
//! and never passes through. What it emitted before the fault is discarded.
//!
//! A transform that keeps state has a second half, [`Shared`], which all workers share. The first half
//! does what it can for an event alone, in parallel, and asks a question; the second answers the
//! questions of a batch at once, in source order. What it has to remember is recorded with the epoch
//! that settles the batch, so it is exactly as durable as the cursors are.
//!
//! To add one: a file here with a config struct that implements [`Component`](crate::config::Component),
//! and a line in [`SPECS`].

mod dedupe;
mod filter;
mod jq;
mod route;
mod schema;

use std::sync::Arc;

use serde_json::Value;

use crate::config::Spec;
use crate::event::{Fault, Meta};
use crate::jq::{Json, MAIN, RunError};
use crate::source::Alerts;
use crate::state::Rows;

/// All transform types.
pub const SPECS: &[Spec<dyn TransformFactory>] = &[
    Spec::of::<dedupe::Dedupe>(),
    Spec::of::<filter::Filter>(),
    Spec::of::<jq::Jq>(),
    Spec::of::<route::Route>(),
    Spec::of::<schema::LogTypes>(),
];

/// A configured transform: makes one copy per worker.
pub trait TransformFactory: Send + Sync {
    /// Names of its outputs, by number. The default output is the empty name.
    fn outputs(&self) -> Vec<String> {
        vec![String::new()]
    }

    /// Whether an output may be left unconnected; events there count as filtered.
    fn may_dangle(&self, _output: usize) -> bool {
        false
    }

    /// A copy for one worker.
    fn instantiate(&self, context: &TransformContext) -> Box<dyn Transform>;

    /// Its second half, if it keeps state.
    fn stateful(&self) -> Option<&dyn Stateful> {
        None
    }
}

/// What a copy of a transform is made with.
#[derive(Debug, Clone)]
pub struct TransformContext {
    /// Name in the pipeline file.
    pub name: Arc<str>,
    /// Where alerts are raised.
    pub alerts: Alerts,
}

/// A configured transform that keeps state.
pub trait Stateful {
    /// Makes what all workers share, out of what is recorded. Called again after a rollback, when
    /// workers may still be busy with what came before it: nothing of that may be in the new one.
    fn share(&self, context: SharedContext) -> Arc<dyn Shared>;
}

/// What the shared half of a transform is built with.
#[derive(Debug, Clone)]
pub struct SharedContext {
    /// Name in the pipeline file.
    pub name: Arc<str>,
    /// The rows that were recorded for it.
    pub rows: Vec<(String, Value)>,
}

/// The half of a stateful transform that all workers share.
pub trait Shared: Send + Sync {
    /// Answers what the events of one batch have asked, in their order.
    ///
    /// Called for the batches of one source in source order, and not at the same time; the next batch
    /// waits for the answer. Batches of other sources, and events that a sink refused and that come
    /// here by its error edge, may ask at the same time and in any order.
    fn answer(&self, questions: &[u128]) -> Answers;

    /// The rows to be recorded with an epoch, given the notes of its batches. Called for each epoch
    /// of its part of the graph, even if there are no notes. If the record fails the run ends.
    fn record(&self, notes: Vec<Value>) -> Rows;
}

/// What [`Shared::answer`] says.
#[derive(Debug, Default)]
pub struct Answers {
    /// For each question whether its event may pass. One that may not is filtered.
    pub pass: Vec<bool>,
    /// What is to be remembered of the batch. It comes back with [`Shared::record`] once all events
    /// of the batch are delivered, filtered or dead-lettered.
    pub note: Option<Value>,
}

/// A transform in a worker.
pub trait Transform {
    /// Handles one event.
    fn apply(&mut self, event: Json, meta: &Meta<'_>, out: &mut Outputs);
}

/// What a transform made of one event.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Events and the number of the output they leave by.
    pub emitted: Vec<(usize, Json)>,
    /// What has to be answered before the events go on; only of a transform that keeps state.
    pub question: Option<u128>,
    /// Why the event failed, if it did.
    pub fault: Option<Fault>,
}

impl Outputs {
    /// Emits an event on an output.
    pub fn emit(&mut self, output: usize, event: Json) {
        self.emitted.push((output, event));
    }

    /// Has the other half of the transform decide whether what is emitted goes on.
    pub fn ask(&mut self, question: u128) {
        self.question = Some(question);
    }

    /// Fails the event.
    pub fn fail(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }
}

/// The fault of a program; `program` is its file, or the option it is written in.
pub(crate) fn fault_of(error: &RunError, program: &str) -> Fault {
    let position = match &error.position {
        Some(place) => {
            let file = if place.file == MAIN { program } else { &place.file };
            format!("{file}:{}:{}", place.line, place.column)
        }
        None => program.to_owned(),
    };
    Fault { position: Some(position), ..Fault::new(error.kind(), error.to_string()) }
}
