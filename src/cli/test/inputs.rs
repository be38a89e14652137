//! What a case is given: JSON documents, and where each of them stands.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use xxhash_rust::xxh3::xxh3_128;

use super::format::PolledFrom;
use crate::event::{Derivation, Event, Meta, Origin, Payload, Place, TextHash};
use crate::source::framing::{Codec, Framer};

/// What `$meta.source` says.
const SOURCE: &str = "test";

/// The moment at which every input of every test was read, so that golden files may hold it.
const INGESTED_AT: i64 = 1_767_225_600;

/// The longest document; no test has one.
const MAX_TEXT: usize = 1 << 30;

/// The inputs of a case.
#[derive(Debug)]
pub(super) struct Inputs {
    /// The file as the test names it; `None` if they stand in the test.
    pub(super) shown: Option<String>,
    pub(super) origin: Arc<Origin>,
    pub(super) events: Vec<Event>,
    /// The line on which each begins.
    lines: Vec<usize>,
}

impl Inputs {
    /// The documents of `input`; `test_file` is the name of the test file.
    pub(super) fn inline(text: &str, test_file: &str) -> Self {
        Self::cut(text.as_bytes().to_vec(), None, test_file, Framer::documents(MAX_TEXT))
    }

    /// The documents of a file that is called `shown`.
    pub(super) fn file(text: Vec<u8>, shown: &str) -> Self {
        let is_lines = Path::new(shown).extension().is_some_and(|ending| ending == "ndjson");
        let framer = if is_lines {
            Framer::new(Codec::Ndjson, MAX_TEXT, 0, false)
        } else {
            Framer::documents(MAX_TEXT)
        };
        Self::cut(text, Some(shown.to_owned()), shown, framer)
    }

    fn cut(text: Vec<u8>, shown: Option<String>, place: &str, mut framer: Framer) -> Self {
        let text = Bytes::from(text);
        let mut events = Vec::new();
        framer.feed(text.clone(), &mut events);
        framer.finish(true, &mut events);
        let mut lines = Vec::with_capacity(events.len());
        let (mut line, mut counted) = (1, 0);
        for event in &events {
            let at = (event.offset as usize).clamp(counted, text.len());
            line += memchr::memchr_iter(b'\n', &text[counted..at]).count();
            counted = at;
            lines.push(line);
        }
        let origin = Origin {
            source: Arc::from(SOURCE),
            place: Place::File { path: Arc::from(place), identity: xxh3_128(place.as_bytes()) },
            ingested_at: DateTime::<Utc>::from_timestamp(INGESTED_AT, 0).unwrap_or_default(),
        };
        Inputs { shown, origin: Arc::new(origin), events, lines }
    }

    /// The same inputs, as if they had been pulled from an API. Fails if its time is none.
    pub(super) fn polled(mut self, from: &PolledFrom) -> Result<Self, chrono::ParseError> {
        let place = Place::Polled {
            stream: Arc::from(from.stream.as_str()),
            partition: Arc::from(from.partition.as_str()),
            fetched_at: DateTime::parse_from_rfc3339(&from.fetched_at)?.to_utc(),
            sequence: from.sequence,
        };
        let Origin { source, ingested_at, .. } = &*self.origin;
        self.origin = Arc::new(Origin { source: source.clone(), place, ingested_at: *ingested_at });
        Ok(self)
    }

    /// `$meta` of an input.
    pub(super) fn meta(&self, number: usize) -> Meta<'_> {
        Meta {
            origin: &self.origin,
            offset: self.events[number].offset,
            text_hash: TextHash::Known(0),
            derivation: Derivation::default(),
        }
    }

    /// The text of an input.
    pub(super) fn text(&self, number: usize) -> Bytes {
        match &self.events[number].payload {
            Payload::Json(text) | Payload::Text(text) => text.clone(),
            Payload::Fault(fault) => fault.raw.clone(),
        }
    }

    /// Which one it is, for a message.
    pub(super) fn name(&self, number: usize) -> String {
        match (&self.shown, self.lines.get(number)) {
            (Some(shown), Some(line)) => format!("input {} ({shown}:{line})", number + 1),
            _ => format!("input {}", number + 1),
        }
    }
}

/// The JSON documents in a text, each of which is checked; the byte at which one is none, and why.
pub(super) fn documents(text: &[u8], max_depth: usize) -> Result<Vec<Bytes>, (usize, String)> {
    let mut framer = Framer::documents(MAX_TEXT);
    let mut events = Vec::new();
    framer.feed(Bytes::copy_from_slice(text), &mut events);
    framer.finish(true, &mut events);
    let mut found = Vec::with_capacity(events.len());
    for event in events {
        let Payload::Json(text) = event.payload else { continue };
        let start = event.offset as usize;
        crate::event::json::validate(&text, max_depth)
            .map_err(|error| (start + error.offset, error.to_string()))?;
        found.push(text);
    }
    Ok(found)
}
