//! The dead-letter file of a pipeline: where events go whose error edge is not connected.
//!
//! Lines are appended whole, and durable before a cursor moves. They are written at least once: a
//! process that dies between a letter and its epoch writes the letter again.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;

use super::{Delivery, PositionRows, Sink, SinkError, WriteError, blocking};

/// `dead_letters.ndjson`; one for all parts of a pipeline.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetters {
    path: PathBuf,
    file: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    file: Option<File>,
    dirty: bool,
    /// Length to cut to before the next write, after one that failed half-way.
    repair: Option<u64>,
    /// Whether an fsync has failed.
    broken: bool,
}

impl DeadLetters {
    /// The file in a pipeline's `data_dir`. It is created with its first letter.
    pub(crate) fn new(data_dir: &Path) -> Self {
        DeadLetters { path: data_dir.join("dead_letters.ndjson"), file: Arc::default() }
    }

    /// Where the letters are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn append(&self, delivery: &Delivery) -> std::io::Result<()> {
        let mut open = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if open.file.is_none() {
            open.file = Some(open_whole(&self.path)?);
        }
        open.dirty = true;
        let repair = open.repair;
        let Some(file) = open.file.as_mut() else {
            return Ok(());
        };
        if let Some(length) = repair {
            file.set_len(length)?;
        }
        let before = file.metadata()?.len();
        let written = delivery.parts.iter().try_for_each(|part| file.write_all(&part.data));
        open.repair = written.is_err().then_some(before);
        written
    }

    fn sync(&self) -> std::io::Result<()> {
        let mut open = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if open.broken {
            // another part of the pipeline was told; what was lost is unknown to this one too
            return Err(std::io::Error::other("an earlier fsync failed"));
        }
        if !std::mem::take(&mut open.dirty) {
            return Ok(());
        }
        let synced = open.file.as_ref().map_or(Ok(()), File::sync_all);
        open.broken = synced.is_err();
        synced
    }
}

/// Opens the file for appending and cuts a last line that a crash left without its end; the event
/// behind it was not settled and comes again.
fn open_whole(path: &Path) -> std::io::Result<File> {
    let existed = path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let length = file.metadata()?.len();
    let mut end = length;
    let mut block = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let block = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        if let Some(at) = memchr::memrchr(b'\n', block) {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
    }
    if !existed && let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

#[async_trait]
impl Sink for DeadLetters {
    async fn resume(&self, _: Vec<(String, Value)>) -> Result<(), SinkError> {
        Ok(())
    }

    async fn write(&self, delivery: &Delivery) -> Result<(), WriteError> {
        blocking(|| self.append(delivery)).map_err(|error| {
            WriteError::All(SinkError::Retry(format!("cannot write {}: {error}", self.path.display())))
        })
    }

    fn prepare(&self, _: u64) -> BoxFuture<'static, Result<PositionRows, SinkError>> {
        let letters = self.clone();
        async move {
            let path = letters.path.clone();
            let synced = tokio::task::spawn_blocking(move || letters.sync()).await;
            match synced {
                Ok(Ok(())) => Ok(Vec::new()),
                // what a failed fsync has lost is unknown, and asking again does not tell
                Ok(Err(error)) => {
                    Err(SinkError::Fatal(format!("cannot make {} durable: {error}", path.display())))
                }
                Err(error) => Err(SinkError::Fatal(error.to_string())),
            }
        }
        .boxed()
    }

    async fn publish(&self, _: u64) -> Result<(), SinkError> {
        Ok(())
    }
}
