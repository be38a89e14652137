//! Events on their way from a source to the sinks.
//!
//! Between tasks an event is its JSON **text** (a slice of the read buffer, never copied) and a
//! few numbers that say where it came from. Nothing is parsed here: a worker does that at the first
//! touch, and text that no program changed leaves the pipeline as it came.
//!
//! * [`Batch`]: what a source emits, all from one place (one file, one stream), so that what its
//!   events share is stored once.
//! * [`Fault`]: an event that could not be read. It travels in order with the good ones and takes
//!   the source's error edge.
//! * [`token`]: the delivery token that no path can forget.
//! * [`json`]: the validating pass that every event takes before a program sees it.

pub mod json;
mod meta;
pub mod token;

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

pub use meta::{Derivation, Meta, TextHash, error_record};

/// What all events of one batch share.
#[derive(Debug)]
pub struct Origin {
    /// Name of the source in the pipeline file.
    pub source: Arc<str>,
    /// Where the bytes come from.
    pub place: Place,
    /// When the batch was read.
    pub ingested_at: DateTime<Utc>,
}

/// The place that the events of a batch were read from.
#[derive(Debug, Clone)]
pub enum Place {
    /// Standard input of this run.
    Stdin,
    /// A file, named as it was when the batch was read.
    File {
        /// Path as the user would write it.
        path: Arc<str>,
        /// Identity of the content: the same for renamed, copied and compressed forms.
        identity: u128,
    },
    /// Made by the `generate` source.
    Generated {
        /// Shape and seed, which together with the position determine the event.
        recipe: Arc<str>,
    },
    /// Pulled from an API.
    Polled {
        /// What is pulled, the same whatever partition it comes from.
        stream: Arc<str>,
        /// The part of it: a project, a host. Empty if there are no parts.
        partition: Arc<str>,
        /// When the response came, by the server's clock.
        fetched_at: DateTime<Utc>,
        /// For a snapshot, how many came before it.
        sequence: Option<u64>,
    },
    /// Raised by the pipeline itself.
    Alerts {
        /// Which run of the process.
        run: Arc<str>,
    },
}

/// One event, or what is known of one that could not be read.
#[derive(Debug, Clone)]
pub struct Event {
    /// The event itself.
    pub payload: Payload,
    /// Which one it is in its [`Place`]: a byte offset of the decompressed content, a number, or the
    /// digest of a record's id.
    pub offset: u128,
}

/// Content of an [`Event`].
#[derive(Debug, Clone)]
pub enum Payload {
    /// JSON text, not validated yet.
    Json(Bytes),
    /// A line of text, to become a JSON string.
    Text(Bytes),
    /// An event that the source could not read.
    Fault(Box<Fault>),
}

impl Payload {
    /// Bytes that this event holds in memory.
    pub fn size(&self) -> usize {
        match self {
            Payload::Json(text) | Payload::Text(text) => text.len(),
            Payload::Fault(fault) => fault.raw.len() + fault.message.len(),
        }
    }
}

/// Why an event failed, in the words of a dead letter.
#[derive(Debug, Clone)]
pub struct Fault {
    /// A short stable word: `invalid_json`, `invalid_utf8`, `line_too_long`, `jq`, `limit`, …
    pub kind: &'static str,
    /// One sentence for a person.
    pub message: String,
    /// Place in the program or in the input, where one is known.
    pub position: Option<String>,
    /// Original bytes, where the event is no JSON value (clipped for an oversize line).
    pub raw: Bytes,
    /// Length and digest of an original of which `raw` holds only the beginning.
    pub clipped: Option<Clipped>,
}

/// What is told of an original that was too long to keep.
#[derive(Debug, Clone)]
pub struct Clipped {
    /// Length in bytes.
    pub length: u64,
    /// SHA-256 in lowercase hex.
    pub sha256: String,
}

impl Fault {
    /// A fault without raw bytes: the event itself is a JSON value and is kept beside it.
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Fault { kind, message: message.into(), position: None, raw: Bytes::new(), clipped: None }
    }
}

/// Rows of a cursor, by key: what the state store records for a source once the batch that carries
/// them is settled. Later rows replace earlier ones; `None` forgets a key.
pub type CursorRows = Vec<(String, Option<serde_json::Value>)>;

/// What a source emits.
///
/// A batch may be empty: its rows still move the cursor.
#[derive(Debug)]
#[must_use = "a batch that goes nowhere is lost"]
pub struct Batch {
    /// The events, in order.
    pub events: Vec<Event>,
    /// What they share.
    pub origin: Arc<Origin>,
    /// The cursor once all of them are settled.
    pub cursor: CursorRows,
    /// Bytes held by the events.
    pub bytes: usize,
}

impl Batch {
    /// Makes a batch and adds up its size.
    pub fn new(events: Vec<Event>, origin: Arc<Origin>, cursor: CursorRows) -> Self {
        let bytes = events.iter().map(|event| event.payload.size()).sum();
        Batch { events, origin, cursor, bytes }
    }
}
