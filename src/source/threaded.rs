//! A source whose reading blocks: it runs on a thread of its own and hands batches over a short
//! channel, so that it never holds up a shutdown.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{Progress, Source, SourceError};
use crate::event::Batch;
use crate::jq::panic_message;

/// Batches that may wait between the thread and the pipeline.
const AHEAD: usize = 2;

/// The thread's side: emits batches until told to stop.
#[derive(Debug)]
pub(super) struct Emitter {
    batches: mpsc::Sender<Result<Batch, SourceError>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    holds: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
}

/// The pipeline is not interested in more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

impl Emitter {
    /// Hands a batch over, waiting for room.
    pub(super) fn emit(&self, batch: Batch) -> Result<(), Stopped> {
        self.batches.blocking_send(Ok(batch)).map_err(|_| Stopped)
    }

    /// Says whether the thread holds what it has taken from a place that cannot be asked again, and
    /// has not handed it over yet.
    pub(super) fn holds(&self, holds: bool) {
        self.shared.holds.store(holds, Ordering::SeqCst);
    }

    /// Whether the pipeline wants no more.
    pub(super) fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Relaxed) || self.batches.is_closed()
    }

    /// Reports progress.
    pub(super) fn progress(&self, done: u64, total: u64) {
        self.shared.done.store(done, Ordering::Relaxed);
        self.shared.total.store(total, Ordering::Relaxed);
    }
}

/// What wakes the thread when it should stop.
type Waker = Box<dyn Fn() + Send>;

/// The pipeline's side.
pub(super) struct Threaded {
    batches: mpsc::Receiver<Result<Batch, SourceError>>,
    shared: Arc<Shared>,
    /// Whether batches that were read before a stop are still handed on.
    keeps_what_it_took: bool,
    stopped: bool,
    wake: Option<Waker>,
}

impl Threaded {
    /// Starts `read` on a thread. `keeps_what_it_took` is for places that cannot be asked again.
    pub(super) fn spawn(
        name: &str,
        keeps_what_it_took: bool,
        wake: Option<Waker>,
        read: impl FnOnce(&Emitter) -> Result<(), SourceError> + Send + 'static,
    ) -> Result<Self, SourceError> {
        let (sender, batches) = mpsc::channel(AHEAD);
        let shared = Arc::new(Shared::default());
        let emitter = Emitter { batches: sender, shared: shared.clone() };
        std::thread::Builder::new()
            .name(format!("source {name}"))
            .spawn(move || {
                let result = panic::catch_unwind(AssertUnwindSafe(|| read(&emitter)));
                let result = result.unwrap_or_else(|payload| {
                    Err(SourceError::Other(format!("the reader failed: {}", panic_message(payload.as_ref()))))
                });
                if let Err(error) = result {
                    // if nobody listens, nobody needs to know
                    let _ = emitter.batches.blocking_send(Err(error));
                }
            })
            .map_err(|error| SourceError::Io { context: "cannot start a thread".to_owned(), error })?;
        Ok(Threaded { batches, shared, keeps_what_it_took, stopped: false, wake })
    }
}

#[async_trait]
impl Source for Threaded {
    async fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        if self.stopped {
            if !self.keeps_what_it_took {
                return Ok(None);
            }
            // asked before looking, so that what is handed over in between is seen
            let holds = self.shared.holds.load(Ordering::SeqCst);
            return match self.batches.try_recv() {
                Ok(batch) => batch.map(Some),
                Err(mpsc::error::TryRecvError::Empty) if holds => self.batches.recv().await.transpose(),
                Err(_) => Ok(None),
            };
        }
        self.batches.recv().await.transpose()
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.shared.stopped.store(true, Ordering::Relaxed);
        if !self.keeps_what_it_took {
            self.batches.close();
        }
        if let Some(wake) = &self.wake {
            wake();
        }
    }

    fn progress(&self) -> Option<Progress> {
        let total = self.shared.total.load(Ordering::Relaxed);
        (total > 0).then(|| Progress { done: self.shared.done.load(Ordering::Relaxed), total })
    }
}

impl Drop for Threaded {
    fn drop(&mut self) {
        self.stop();
    }
}
