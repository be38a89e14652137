//! `file`: events from files, read to their end or followed as they grow.
//!
//! # What a cursor is keyed by
//!
//! By content, not by name or inode. A cursor holds how far a content was read, a digest of its
//! beginning, and a digest of the bytes right before that point. A file *is* that content if both
//! are found in it, wherever it lies, whatever it is called, compressed or not. So a renamed, copied
//! or compressed rotation is not read twice, and a file that was cut and written anew is seen as new
//! even after it has grown past the old point.
//!
//! Two files that are equal as far as they go are one content, until they differ; from then on each
//! is read in full. A file that is a shorter copy of another one is not read at all.
//!
//! # Copy-truncate
//!
//! A rotation that copies a file and then cuts it is followed exactly if the copy is among `paths`
//! and the writer was quiet between the copy and the cut. What is written in between is in neither
//! file: no reader can have it.

mod content;
mod cursor;
mod reader;
mod tail;

use std::path::PathBuf;
use std::sync::mpsc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::framing::{Codec, default_max_line};
use super::threaded::Threaded;
use super::{Source, SourceContext, SourceError, SourceFactory};
use crate::config::{Check, Component, Size, Wildcard};
use reader::Reader;

/// Whether files are read to their end or followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// To the end of each file. A last line without a line break is an event.
    #[default]
    Read,
    /// Follow growth, rotation and new files. A last line without a line break waits for it.
    Tail,
}

/// Reads events from files; gzip and zstd are seen by their first bytes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSource {
    /// Paths and globs (`*`, `?`, `[…]`, `**`).
    #[schemars(length(min = 1))]
    paths: Vec<Wildcard>,
    /// Whether files are read to their end or followed.
    #[serde(default)]
    mode: Mode,
    /// How events stand in the bytes.
    #[serde(default)]
    codec: Codec,
    /// The longest event. A longer one is an error event with its first 64 KiB, length and SHA-256.
    #[serde(default = "default_max_line")]
    max_line: Size,
}

impl Component<dyn SourceFactory> for FileSource {
    const NAME: &'static str = "file";
    const SUMMARY: &'static str =
        "Events from files: read to the end, or followed through growth and rotation; gzip and zstd too.";
    const GUARANTEE: &'static str = "Durable cursor per content: a restart goes on where the last epoch ended; renamed, copied and compressed rotations are not read twice.";
    const EXAMPLE: &'static str = "[sources.audit]\ntype = \"file\"\npaths = [\"/var/log/audit/*.ndjson\", \"archive/*.ndjson.gz\"]\nmode = \"tail\"\n";

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn SourceFactory>> {
        let patterns = self.paths.iter().map(|path| check.resolve(&PathBuf::from(&path.0))).collect();
        Some(Box::new(Ready { config: self, patterns }))
    }
}

struct Ready {
    config: FileSource,
    patterns: Vec<PathBuf>,
}

impl SourceFactory for Ready {
    fn build(&self, context: SourceContext) -> Result<Box<dyn Source>, SourceError> {
        let (wake, woken) = mpsc::sync_channel(1);
        let stop = wake.clone();
        let mut reader = Reader::new(&self.config, &self.patterns, &context);
        let tails = self.config.mode == Mode::Tail;
        let source = Threaded::spawn(
            &context.name,
            false,
            // if the thread is gone there is nobody to wake
            Some(Box::new(move || {
                let _ = stop.try_send(());
            })),
            move |emitter| {
                let result = if tails {
                    tail::follow(&mut reader, emitter, &wake, &woken)
                } else {
                    reader.read_all(emitter)
                };
                match result {
                    Ok(()) | Err(reader::Ended::Stopped) => Ok(()),
                    Err(reader::Ended::Failed(error)) => Err(error),
                }
            },
        )?;
        Ok(Box::new(source))
    }
}
