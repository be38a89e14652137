//! Sources: where events come from.
//!
//! A source is pulled: one task owns it and calls [`Source::next`]. The batch it yields carries the
//! cursor that holds once the batch is settled; the runtime records that cursor with the epoch, and
//! hands the recorded rows back when the source is built again. So a source keeps its position in
//! plain sequential code and never decides when it moves.
//!
//! To add one: a file here with a config struct that implements [`Component`](crate::config::Component),
//! and a line in [`SPECS`].

mod alerts;
mod atlassian;
mod file;
pub(crate) mod framing;
mod generate;
mod http_poll;
mod mongodb_atlas;
mod poll;
mod stdin;
mod threaded;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::config::Spec;
use crate::event::Batch;
use crate::http::auth::Auth;
use crate::http::transport::Wire;

pub use alerts::{Alerts, Working};

/// All source types.
pub const SPECS: &[Spec<dyn SourceFactory>] = &[
    Spec::of::<alerts::AlertsSource>(),
    Spec::of::<atlassian::Atlassian>(),
    Spec::of::<file::FileSource>(),
    Spec::of::<generate::Generate>(),
    Spec::of::<http_poll::HttpPoll>(),
    Spec::of::<mongodb_atlas::MongodbAtlas>(),
    Spec::of::<stdin::Stdin>(),
];

/// Events in one batch at the most.
const BATCH_EVENTS: usize = 1024;

/// Bytes in one batch: a new event is not added to a batch that holds as many.
pub(crate) const BATCH_BYTES: usize = 256 << 10;

/// Why a source cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Reading failed for good.
    #[error("{context}: {error}")]
    Io {
        /// What was tried.
        context: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A part of it could not be read to its end; the rest was. Other sources are not concerned.
    #[error("{0}")]
    Incomplete(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// What a source is built with.
#[derive(Debug, Clone)]
pub struct SourceContext {
    /// Name in the pipeline file.
    pub name: Arc<str>,
    /// The rows that were recorded for it.
    pub rows: Vec<(String, Value)>,
    /// Whether it should end at what is there now.
    pub once: bool,
    /// How the user resets it, for messages.
    pub reset_hint: Arc<str>,
    /// Where it raises alerts.
    pub alerts: Alerts,
    /// How it reaches the network.
    pub wire: Wire,
}

/// A configured source type: makes sources, again after a rollback.
#[async_trait]
pub trait SourceFactory: Send + Sync {
    /// Opens what it reads from. Starts nothing that outlives the source.
    fn build(&self, context: SourceContext) -> Result<Box<dyn Source>, SourceError>;

    /// Whether a new source resumes at the recorded cursor. One that cannot (a pipe) cannot be
    /// rolled back.
    fn is_replayable(&self) -> bool {
        true
    }

    /// Asks the other side whether everything is right, where there is another side: what was found,
    /// or what is wrong and what to check. Takes no events.
    async fn probe(&self, _: SourceContext) -> Option<Result<String, String>> {
        None
    }

    /// What it asks over the network; `None` for one that asks nobody. Only that can be recorded.
    fn network(&self) -> Option<Network<'_>> {
        None
    }

    /// Whether it only tells of the others, and ends when they have ended.
    fn watches(&self) -> bool {
        false
    }
}

/// The other side of a source.
#[derive(Debug, Clone, Copy)]
pub struct Network<'s> {
    /// How it logs in there.
    pub auth: Option<&'s Auth>,
}

/// A source at work.
#[async_trait]
pub trait Source: Send {
    /// The next batch, or `None` at the end of a finite source. Cancel-safe: a call that was
    /// dropped has lost nothing.
    async fn next(&mut self) -> Result<Option<Batch>, SourceError>;

    /// Asks it to end. It may still yield what it has taken from a place that cannot be asked
    /// again; everything else is left for the next run.
    fn stop(&mut self);

    /// Bytes read and bytes in all, if the end is known.
    fn progress(&self) -> Option<Progress> {
        None
    }
}

/// How far a finite source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Done so far.
    pub done: u64,
    /// All there is.
    pub total: u64,
}
