//! Commits of one part of the graph.
//!
//! On a tick, or after enough input, the coordinator injects a barrier into every source of the
//! part. The barrier travels in order with the batches; when it has reached a sink on all edges the
//! sink *prepares*: what it took is made durable, but may still be undone. When all sinks are
//! prepared, one transaction records the cursors of the sources, what stateful transforms have to
//! remember of the events, and the positions of the sinks.
//! Only then is the epoch *published*. Meanwhile the next epoch fills; there are never more than
//! these two.
//!
//! Nothing is recorded when nothing happened. Nothing moves when an event failed inside the
//! process: the part is rolled back to its last epoch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::ledger::SourceLedger;
use super::run::Stop;
use super::source_task::{Activity, Command};
use super::stages::Stages;
use crate::sink::{PositionRows, Sink, SinkError};
use crate::source::SourceError;
use crate::state::{Change, StateError, Store};
use crate::testkit;

/// What tasks tell the coordinator.
pub(super) enum Notice {
    SourceEnded(usize),
    SourceFailed(usize, SourceError),
    Prepared(usize, u64, Result<PositionRows, SinkError>),
    SinkFailed(usize, SinkError),
}

/// A source of the part.
pub(super) struct SourceHandle {
    pub(super) number: usize,
    pub(super) name: Arc<str>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) ledger: Arc<SourceLedger>,
}

/// A required sink of the part.
pub(super) struct SinkHandle {
    pub(super) number: usize,
    pub(super) name: Arc<str>,
    pub(super) sink: Arc<dyn Sink>,
}

/// How a part ended.
#[derive(Debug)]
pub(super) enum End {
    /// All its sources ended, or it was stopped; everything is recorded.
    Done,
    /// The reader of a pipe is gone.
    OutputClosed,
    /// An event failed inside the process; the part has to be built again at its last epoch.
    RolledBack,
    /// It was stopped and did not finish in time.
    OutOfTime,
    /// An event is in no column of the ledger.
    Unbalanced,
    /// It cannot go on.
    Failed(String),
}

pub(super) struct Coordinator {
    pub(super) key: String,
    pub(super) sources: Vec<SourceHandle>,
    pub(super) sinks: Vec<SinkHandle>,
    pub(super) notices: mpsc::UnboundedReceiver<Notice>,
    pub(super) store: Store,
    pub(super) stages: Arc<Stages>,
    pub(super) activity: Arc<Activity>,
    pub(super) interval: Duration,
    pub(super) stop: watch::Receiver<Stop>,
    pub(super) grace: Duration,
    pub(super) epoch: u64,
    /// Filled in as it runs.
    pub(super) running: BTreeSet<usize>,
    pub(super) deadline: Option<Instant>,
    pub(super) failure: Option<String>,
}

impl Coordinator {
    /// Runs the part to its end.
    pub(super) async fn run(&mut self) -> End {
        // a stop that came before is no change any more
        if let Err(end) = self.heed_stop() {
            return end;
        }
        match self.commit_until_done().await {
            Ok(()) => match self.failure.take() {
                Some(failure) => End::Failed(failure),
                None => End::Done,
            },
            Err(end) => end,
        }
    }

    async fn commit_until_done(&mut self) -> Result<(), End> {
        loop {
            self.wait_for_reason().await?;
            if self.activity.batches.load(Ordering::Relaxed) > 0 {
                self.commit().await?;
            }
            if self.running.is_empty() && self.activity.batches.load(Ordering::Relaxed) == 0 {
                return self.close();
            }
        }
    }

    /// Waits for a reason to end the epoch: time, input, the end of all sources.
    async fn wait_for_reason(&mut self) -> Result<(), End> {
        let mut due: Option<Instant> = None;
        loop {
            if self.running.is_empty() {
                return Ok(());
            }
            if self.activity.batches.load(Ordering::Relaxed) > 0 {
                due.get_or_insert_with(|| Instant::now() + self.interval);
                if self.activity.bytes.load(Ordering::Relaxed) >= self.activity.max_bytes {
                    return Ok(());
                }
            }
            let activity = self.activity.clone();
            tokio::select! {
                notice = self.notices.recv() => self.heed(notice)?,
                () = changed(&mut self.stop) => self.heed_stop()?,
                () = activity.notify.notified() => {}
                () = until(due) => return Ok(()),
                () = until(self.deadline) => return Err(End::OutOfTime),
            }
        }
    }

    /// One epoch, from its barrier to its record.
    async fn commit(&mut self) -> Result<(), End> {
        self.epoch += 1;
        let epoch = self.epoch;
        self.activity.batches.store(0, Ordering::Relaxed);
        self.activity.bytes.store(0, Ordering::Relaxed);
        for source in &self.sources {
            self.send(source, Command::Barrier(epoch)).await?;
        }

        let mut waiting: BTreeSet<usize> = self.sinks.iter().map(|sink| sink.number).collect();
        let mut changes: Vec<Change> = Vec::new();
        while !waiting.is_empty() {
            let notice = tokio::select! {
                notice = self.notices.recv() => notice,
                () = changed(&mut self.stop) => {
                    self.heed_stop()?;
                    continue;
                }
                () = until(self.deadline) => return Err(End::OutOfTime),
            };
            match notice {
                Some(Notice::Prepared(sink, prepared, rows)) if prepared == epoch => {
                    let rows = rows.map_err(|error| self.sink_failed(sink, &error))?;
                    if waiting.remove(&sink) {
                        changes.extend(rows.into_iter().map(|(key, row)| (self.sink_name(sink), key, row)));
                    }
                }
                other => self.heed(other)?,
            }
        }
        testkit::crash_point("epoch.prepared");

        let mut tallies = Vec::with_capacity(self.sources.len());
        let mut notes = Vec::new();
        for source in &self.sources {
            let (reply, settled) = oneshot::channel();
            self.send(source, Command::Settle(epoch, reply)).await?;
            let settled = settled.await.map_err(|_| gone(&source.name))?;
            if settled.missing > 0 {
                tracing::error!(
                    source = &*source.name,
                    events = settled.missing,
                    "the ledger does not balance: events are neither delivered, filtered, dead-lettered nor in flight; the cursor stays"
                );
                return Err(End::Unbalanced);
            }
            if settled.tally.failed > 0 {
                tracing::warn!(
                    source = &*source.name,
                    events = settled.tally.failed,
                    "events failed inside the process; going back to the last epoch"
                );
                return Err(End::RolledBack);
            }
            changes.extend(settled.rows.into_iter().map(|(key, row)| (source.name.clone(), key, row)));
            tallies.push(settled.tally);
            notes.extend(settled.notes);
        }
        changes.extend(self.stages.record(notes));

        changes.push(Store::epoch_change(&self.key, epoch));
        self.record(&changes)?;
        testkit::crash_point("epoch.recorded");
        for (source, tally) in self.sources.iter().zip(&tallies) {
            source.ledger.recorded(tally);
        }
        for sink in &self.sinks {
            if let Err(error) = sink.sink.publish(epoch).await {
                return Err(self.sink_failed(sink.number, &error));
            }
        }
        Ok(())
    }

    /// The last epoch is recorded: sinks say what holds while nobody writes.
    fn close(&self) -> Result<(), End> {
        let rows = self.sinks.iter().flat_map(|sink| {
            let rows = sink.sink.close().into_iter();
            rows.map(|(key, row)| (sink.name.clone(), key, row))
        });
        let changes: Vec<Change> = rows.collect();
        if changes.is_empty() { Ok(()) } else { self.record(&changes) }
    }

    fn record(&self, changes: &[Change]) -> Result<(), End> {
        crate::sink::blocking(|| self.store.commit(changes))
            .map_err(|error: StateError| End::Failed(error.to_string()))
    }

    async fn send(&self, source: &SourceHandle, command: Command) -> Result<(), End> {
        source.commands.send(command).await.map_err(|_| gone(&source.name))
    }

    /// Takes note of what happens beside an epoch.
    fn heed(&mut self, notice: Option<Notice>) -> Result<(), End> {
        match notice {
            Some(Notice::SourceEnded(source)) => {
                self.running.remove(&source);
                Ok(())
            }
            Some(Notice::SourceFailed(source, error)) => {
                self.running.remove(&source);
                let name =
                    self.sources.iter().find(|known| known.number == source).map(|known| known.name.clone());
                tracing::error!(source = name.as_deref(), error = %error, "the source cannot go on");
                let is_whole = !matches!(error, SourceError::Incomplete(_));
                self.failure
                    .get_or_insert_with(|| format!("source `{}`: {error}", name.as_deref().unwrap_or("?")));
                if is_whole {
                    // the others finish what they have, and the part ends
                    self.stop_sources();
                }
                Ok(())
            }
            Some(Notice::SinkFailed(sink, SinkError::Closed)) => {
                tracing::info!(sink = &*self.sink_name(sink), "the output was closed; ending here");
                Err(End::OutputClosed)
            }
            Some(Notice::SinkFailed(sink, error) | Notice::Prepared(sink, _, Err(error))) => {
                Err(self.sink_failed(sink, &error))
            }
            Some(Notice::Prepared(_, _, Ok(_))) => Ok(()),
            None => Err(End::Failed("all tasks of the pipeline are gone".to_owned())),
        }
    }

    fn heed_stop(&mut self) -> Result<(), End> {
        match *self.stop.borrow() {
            Stop::No => Ok(()),
            Stop::Drain => {
                self.deadline.get_or_insert_with(|| Instant::now() + self.grace);
                self.stop_sources();
                Ok(())
            }
            Stop::Now => Err(End::OutOfTime),
        }
    }

    fn stop_sources(&self) {
        for source in &self.sources {
            // the queue holds a few commands, and a source that is gone has ended
            let _ = source.commands.try_send(Command::Stop);
        }
    }

    fn sink_name(&self, number: usize) -> Arc<str> {
        let found = self.sinks.iter().find(|sink| sink.number == number);
        found.map_or_else(|| Arc::from("?"), |sink| sink.name.clone())
    }

    fn sink_failed(&self, sink: usize, error: &SinkError) -> End {
        End::Failed(format!("sink `{}`: {error}", self.sink_name(sink)))
    }
}

fn gone(source: &str) -> End {
    End::Failed(format!("the task of source `{source}` is gone"))
}

/// Waits for a word to stop; for ever if nobody can say it any more.
async fn changed(stop: &mut watch::Receiver<Stop>) {
    if stop.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until a moment, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
