//! Sinks: where events go.
//!
//! A sink has two halves. Its [`Encoder`] is the last step in the workers: it runs the sink's own
//! programs (a path) and makes bytes, in parallel. The [`Sink`] itself writes what one task hands it
//! in order. Retries, back pressure, dead letters and epochs belong to the runtime.
//!
//! # Epochs
//!
//! [`Sink::write`] takes events; they may still be undone. [`Sink::prepare`] makes everything taken
//! so far durable and names the position in rows; the runtime records them in one transaction with
//! the cursors of the sources. [`Sink::resume`] gets the recorded rows after a restart and undoes
//! what no epoch recorded.
//!
//! To add one: a file here with a config struct that implements [`Component`](crate::config::Component),
//! and a line in [`SPECS`].

mod blackhole;
mod collect;
mod console;
mod dead_letter;
pub mod file;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::config::Spec;
use crate::event::token::Share;
use crate::event::{Derivation, Fault, Meta, Origin};
use crate::jq::{Json, NotJson};
use crate::state::Journal;

pub use collect::Collected;
pub(crate) use collect::Collecting;
pub(crate) use console::append_pretty;
pub(crate) use dead_letter::DeadLetters;

/// All sink types.
pub const SPECS: &[Spec<dyn SinkFactory>] =
    &[Spec::of::<blackhole::Blackhole>(), Spec::of::<console::Console>(), Spec::of::<file::FileSink>()];

/// Changed rows of a sink's position, as the state store records them.
pub type PositionRows = Vec<(String, Option<Value>)>;

/// Why a sink cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Nothing will help: the run has to end.
    #[error("{0}")]
    Fatal(String),
    /// It may work later.
    #[error("{0}")]
    Retry(String),
    /// The reader at the other end of a pipe is gone, which is no error.
    #[error("the output was closed")]
    Closed,
}

/// Why a delivery was not taken.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Nothing of it was taken.
    #[error(transparent)]
    All(#[from] SinkError),
    /// All was taken but these, which are refused for what they are.
    #[error("{} events refused", .0.len())]
    Rejected(Vec<Rejection>),
}

/// A refused event.
#[derive(Debug)]
pub struct Rejection {
    /// Number of the part in the delivery.
    pub part: usize,
    /// Number of the event in the part.
    pub event: usize,
    /// Why.
    pub fault: Fault,
}

/// What one worker made of one batch for one sink.
#[derive(Debug)]
pub struct Delivery {
    /// The events, grouped by where they go; order is kept within a part.
    pub parts: Vec<Part>,
    /// What the source events have in common.
    pub origin: Arc<Origin>,
    /// Open obligations, one per event, in the order of [`PartEvent::position`]; `None` for a best
    /// effort sink.
    pub share: Option<Share>,
}

impl Delivery {
    /// Number of events.
    pub fn events(&self) -> usize {
        self.parts.iter().map(|part| part.events.len()).sum()
    }
}

/// Events that go to one place, encoded.
#[derive(Debug)]
pub struct Part {
    /// The place; empty if the sink has only one.
    pub partition: Arc<str>,
    /// The encoded events, one after the other.
    pub data: Vec<u8>,
    /// Where each event ends in `data`, and what it is.
    pub events: Vec<PartEvent>,
}

impl Part {
    /// Where an event begins in the data.
    pub fn start_of(&self, number: usize) -> usize {
        number.checked_sub(1).map_or(0, |before| self.events[before].end)
    }

    /// The bytes of one event.
    pub fn event(&self, number: usize) -> &[u8] {
        &self.data[self.start_of(number)..self.events[number].end]
    }
}

/// An event of a [`Part`].
#[derive(Debug, Clone, Copy)]
pub struct PartEvent {
    /// Where it ends in the part's data.
    pub end: usize,
    /// Number of its obligation in the delivery's share.
    pub position: u32,
    /// For its [`Meta`].
    pub offset: u128,
    /// For its [`Meta`].
    pub text_hash: u64,
    /// For its [`Meta`].
    pub derivation: Derivation,
}

/// A configured sink.
pub trait SinkFactory: Send + Sync {
    /// A copy of the encoder for one worker.
    fn encoder(&self) -> Box<dyn Encoder>;

    /// Makes the sink. Creates what it needs at the most; starts nothing.
    fn build(&self, context: SinkContext) -> Result<Arc<dyn Sink>, SinkError>;

    /// Path of the file that it writes, or the folder below which it writes files, if that is
    /// known. Two sinks on one file are refused.
    fn claims(&self) -> Option<PathBuf> {
        None
    }
}

/// What a sink is built with.
#[derive(Clone)]
pub struct SinkContext {
    /// Name in the pipeline file.
    pub name: Arc<str>,
    /// Writes rows that have to be durable before an epoch.
    pub journal: Journal,
}

/// The worker's half of a sink.
pub trait Encoder {
    /// Names the place where an event goes; empty if the sink has only one.
    fn partition(&mut self, event: &mut Json, meta: &Meta<'_>) -> Result<Arc<str>, Fault>;

    /// Appends an event to `data`. One that cannot be encoded is a fault, and takes the error edge;
    /// the caller cuts off what was appended.
    fn encode(&mut self, event: &mut Json, data: &mut Vec<u8>) -> Result<(), Fault>;
}

/// A sink at work. Its calls come from one task, one after the other; what [`Sink::prepare`]
/// returns runs beside the writes of the next epoch.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Takes up after a restart: undoes what no epoch recorded. Called once, before any write.
    async fn resume(&self, rows: Vec<(String, Value)>) -> Result<(), SinkError>;

    /// Takes events. What was taken may still be undone by a restart, until an epoch records it.
    async fn write(&self, delivery: &Delivery) -> Result<(), WriteError>;

    /// Brings everything taken to where [`Sink::prepare`] can make it durable. Called before that;
    /// tried again like a write.
    async fn flush(&self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Ends an epoch: everything taken so far belongs to it. The future makes it durable and yields
    /// the position as rows.
    fn prepare(&self, epoch: u64) -> BoxFuture<'static, Result<PositionRows, SinkError>>;

    /// The epoch is recorded: make it final outside. Idempotent.
    async fn publish(&self, epoch: u64) -> Result<(), SinkError>;

    /// The run is over and its last epoch recorded; the rows to record with that.
    fn close(&self) -> PositionRows {
        Vec::new()
    }
}

/// Runs blocking I/O in place of the current task, without holding up the others.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// The fault of an event that is beyond a bound of what is written.
pub(crate) fn not_json(error: NotJson) -> Fault {
    Fault::new("limit", format!("the event is not written: {error}"))
}
