//! `file`: events into files, exactly once across restarts.
//!
//! # Why nothing is lost and nothing twice
//!
//! A *row* in the state store says of a file: this process may have appended to it beyond `len`.
//! It is recorded, durably, before the first byte goes to the file ([`Journal`]), and again with
//! each epoch, in the same transaction as the cursors of the sources, after the bytes up to the new
//! `len` are durable. After a crash, bytes beyond `len` were written by us and belong to events
//! that no cursor has passed: they are cut, and the events come again. When a file is done with (at
//! a clean end, after rotation, or when it got nothing for some epochs) its row goes, and from then on
//! nothing is ever cut from it.
//!
//! A row names the file by device, inode and birth time. A file that is missing, shorter than its
//! row says, or not the same file is left alone and reported.
//!
//! Compressed files are rows of gzip members or zstd frames, each of which ends before the epoch
//! that records it; a cut always falls between two of them.

mod disk;
mod durable;
mod path;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Delivery, Encoder, PositionRows, Sink, SinkContext, SinkError, SinkFactory, WriteError, blocking,
    not_json,
};
use crate::config::{Check, Component, Duration, Size, TemplateText};
use crate::event::{Fault, Meta};
use crate::jq::{Json, Limits, Program, Runner, WriteLimits};
use crate::state::Journal;

pub use disk::{Disk, DiskFile, RealDisk, Stat};
use path::PathMaker;
pub use writer::Settings;
use writer::Writer;

/// Compression of the written files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// By the path's ending: `.gz`, `.zst`, anything else is plain.
    #[default]
    Auto,
    /// Plain text.
    None,
    /// Gzip members.
    Gzip,
    /// Zstandard frames.
    Zstd,
}

/// When a new file is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Once the file is this large, compressed.
    pub size: Option<Size>,
    /// Once it was begun this long ago.
    pub age: Option<Duration>,
}

/// Appends events to files, one JSON value a line.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSink {
    /// Path of the file: the body of a jq string over the event, such as
    /// `'out/\(.kind)/\(.time[:10]).ndjson'`. The literal text before the first `\(`, up to its last
    /// `/`, is the base folder; no event can leave it.
    path: TemplateText,
    /// Compression of the files.
    #[serde(default)]
    compression: Compression,
    /// Begins a new file by size or age. Files are then numbered: `events.0001.ndjson`.
    #[serde(default)]
    rotate: Rotate,
    /// Files that are kept open at once. Others are opened again when needed.
    #[serde(default = "default_open_files")]
    #[schemars(range(min = 1, max = 100_000))]
    max_open_files: usize,
}

fn default_open_files() -> usize {
    256
}

impl Component<dyn SinkFactory> for FileSink {
    const NAME: &'static str = "file";
    const SUMMARY: &'static str =
        "Appends events to files whose path is a jq string over the event; rotation, gzip, zstd.";
    const GUARANTEE: &'static str = "Effectively once: after a crash or kill the files hold every event exactly once. Lengths are recorded with the cursors; a restart cuts what was written beyond.";
    const EXAMPLE: &'static str = "[sinks.lake]\ntype = \"file\"\ninputs = [\"events\"]\npath = 'out/\\(.eventTypeName)/\\(.created[:10]).ndjson.zst'\n";

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn SinkFactory>> {
        let template = check.template("path", &self.path.0)?;
        let maker = match PathMaker::new(&template.prefix, template.program.is_some()) {
            Ok(maker) => maker,
            Err((message, help)) => {
                check.error("path", message, Some(help));
                return None;
            }
        };
        Some(Box::new(Ready {
            base: check.resolve(&maker.base),
            maker,
            program: template.program,
            limits: check.limits.clone(),
            settings: Settings {
                compression: self.compression,
                rotate: self.rotate,
                max_open_files: self.max_open_files,
            },
        }))
    }
}

struct Ready {
    base: PathBuf,
    maker: PathMaker,
    program: Option<Arc<Program>>,
    limits: Limits,
    settings: Settings,
}

impl SinkFactory for Ready {
    fn encoder(&self) -> Box<dyn Encoder> {
        let runner = |program: &Arc<Program>| {
            Runner::new(program.clone(), &Value::Object(serde_json::Map::new()), self.limits.clone())
        };
        Box::new(Lines {
            program: self.program.as_ref().map(runner),
            maker: self.maker.clone(),
            limits: WriteLimits::from(&self.limits),
            last: self.maker.constant(),
        })
    }

    fn build(&self, context: SinkContext) -> Result<Arc<dyn Sink>, SinkError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let sink = Files::new(disk, self.base.clone(), self.settings, context.journal);
        let file = self.maker.is_constant().then(|| self.maker.constant());
        sink.ready(file.as_deref())?;
        Ok(Arc::new(sink))
    }

    fn claims(&self) -> Option<PathBuf> {
        self.maker.is_constant().then(|| self.base.join(&*self.maker.constant()))
    }
}

/// Lines of JSON, and the path each belongs to.
struct Lines {
    program: Option<Runner>,
    maker: PathMaker,
    limits: WriteLimits,
    last: Arc<str>,
}

impl Encoder for Lines {
    fn partition(&mut self, event: &mut Json, meta: &Meta<'_>) -> Result<Arc<str>, Fault> {
        let Some(program) = &mut self.program else { return Ok(self.last.clone()) };
        let mut rendered = None;
        let mut outputs = 0;
        program
            .run(event, Some(meta), &mut |mut output| {
                outputs += 1;
                rendered = output.as_string();
                outputs < 2
            })
            .map_err(|error| Fault {
                position: Some("path".to_owned()),
                ..Fault::new(error.kind(), error.to_string())
            })?;
        let Some(rendered) = rendered.filter(|_| outputs == 1) else {
            return Err(Fault::new("path", "`path` does not yield one text"));
        };
        let relative = self.maker.relative(&rendered).map_err(|message| Fault::new("path", message))?;
        if relative != &*self.last {
            self.last = Arc::from(relative);
        }
        Ok(self.last.clone())
    }

    fn encode(&mut self, event: &mut Json, data: &mut Vec<u8>) -> Result<(), Fault> {
        event.write(self.limits, data).map_err(not_json)?;
        data.push(b'\n');
        Ok(())
    }
}

/// The sink at work.
#[derive(Clone)]
pub struct Files(Arc<Mutex<Writer>>);

impl Files {
    /// A sink over a disk; `journal` takes rows that must be durable before a byte is written.
    pub fn new(disk: Arc<dyn Disk>, base: PathBuf, settings: Settings, journal: Journal) -> Self {
        Files(Arc::new(Mutex::new(Writer::new(disk, base, settings, journal))))
    }

    /// Sees at the start what would otherwise be seen with the first event: whether the folder is
    /// there, or can be made, and the file can be opened.
    fn ready(&self, file: Option<&str>) -> Result<(), SinkError> {
        blocking(|| self.writer().ready(file))
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // calls come from one task; a panic while writing ends the run in any case
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sink for Files {
    async fn resume(&self, rows: Vec<(String, Value)>) -> Result<(), SinkError> {
        blocking(|| self.writer().resume(rows))
    }

    async fn write(&self, delivery: &Delivery) -> Result<(), WriteError> {
        blocking(|| self.writer().write(delivery))
    }

    async fn flush(&self) -> Result<(), SinkError> {
        blocking(|| self.writer().flush())
    }

    fn prepare(&self, epoch: u64) -> BoxFuture<'static, Result<PositionRows, SinkError>> {
        let (sync, rows) = self.writer().cut(epoch);
        async move {
            match tokio::task::spawn_blocking(move || sync.run()).await {
                Ok(Ok(())) => Ok(rows),
                // what a failed fsync has lost is unknown, and asking again does not tell
                Ok(Err(message)) => Err(SinkError::Fatal(message)),
                Err(error) => Err(SinkError::Fatal(error.to_string())),
            }
        }
        .boxed()
    }

    async fn publish(&self, epoch: u64) -> Result<(), SinkError> {
        blocking(|| self.writer().published(epoch))
    }

    fn close(&self) -> PositionRows {
        self.writer().close()
    }
}
