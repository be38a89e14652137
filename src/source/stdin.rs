//! `stdin`: events from standard input.

use std::sync::Arc;

use chrono::Utc;
use rustix::buffer::spare_capacity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::framing::{Codec, Framer, default_max_line};
use super::threaded::{Emitter, Threaded};
use super::{BATCH_BYTES, BATCH_EVENTS, Source, SourceContext, SourceError, SourceFactory};
use crate::config::{Check, Component, Size};
use crate::event::{Batch, Event, Origin, Place};

/// Reads standard input to its end.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stdin {
    /// How events stand in the bytes.
    #[serde(default)]
    codec: Codec,
    /// The longest event. A longer one is an error event with its first 64 KiB, length and SHA-256.
    #[serde(default = "default_max_line")]
    max_line: Size,
}

impl Component<dyn SourceFactory> for Stdin {
    const NAME: &'static str = "stdin";
    const SUMMARY: &'static str = "Events from standard input, to its end.";
    const GUARANTEE: &'static str =
        "No cursor: each run is new input. What a run did not finish has to be sent again.";
    const EXAMPLE: &'static str = "[sources.events]\ntype = \"stdin\"\n";

    fn check(self, _: &mut Check<'_>) -> Option<Box<dyn SourceFactory>> {
        Some(Box::new(self))
    }
}

impl SourceFactory for Stdin {
    fn build(&self, context: SourceContext) -> Result<Box<dyn Source>, SourceError> {
        let config = self.clone();
        let name = context.name.clone();
        let source = Threaded::spawn(&context.name, true, None, move |emitter| config.read(&name, emitter))?;
        Ok(Box::new(source))
    }

    fn is_replayable(&self) -> bool {
        false
    }
}

impl Stdin {
    fn read(&self, name: &Arc<str>, emitter: &Emitter) -> Result<(), SourceError> {
        let mut framer = Framer::new(self.codec, self.max_line.as_usize(), 0, false);
        while !emitter.is_stopped() {
            // into memory that nobody has cleared before: each read returns what the pipe has
            let mut chunk = Vec::with_capacity(BATCH_BYTES);
            let read = match rustix::io::read(rustix::stdio::stdin(), spare_capacity(&mut chunk)) {
                Ok(read) => read,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => {
                    let context = "cannot read standard input".to_owned();
                    return Err(SourceError::Io { context, error: error.into() });
                }
            };
            emitter.holds(true);
            let mut events = Vec::new();
            if read == 0 {
                framer.finish(true, &mut events);
            } else {
                framer.feed(chunk.into(), &mut events);
            }
            for events in split(events) {
                let origin = Origin { source: name.clone(), place: Place::Stdin, ingested_at: Utc::now() };
                if emitter.emit(Batch::new(events, Arc::new(origin), Vec::new())).is_err() {
                    return Ok(());
                }
            }
            emitter.holds(false);
            if read == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// Cuts events into batches of bounded size.
fn split(mut events: Vec<Event>) -> Vec<Vec<Event>> {
    let mut batches = Vec::with_capacity(1);
    while events.len() > BATCH_EVENTS {
        let rest = events.split_off(BATCH_EVENTS);
        batches.push(std::mem::replace(&mut events, rest));
    }
    if !events.is_empty() {
        batches.push(events);
    }
    batches
}
