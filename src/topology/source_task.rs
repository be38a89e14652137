//! The one owner of a source, and the dispatcher that keeps its order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::epoch::Notice;
use super::ledger::{BestEffort, SourceLedger};
use super::sink_task::Message;
use super::stages::Stages;
use super::worker::{Done, Pool, Work};
use crate::event::token::{Fate, Note, Tally, Token};
use crate::event::{Batch, CursorRows};
use crate::sink::Delivery;
use crate::source::{BATCH_BYTES, Progress, Source, Working};

/// Batches that may be between a source and its dispatcher.
pub(super) const ORDER_QUEUE: usize = 8;

/// Bytes of input that one source may have in the pipeline at the least.
const ROOM: usize = 2 << 20;

/// Unit of that room: a semaphore counts no more than 2^32.
const ROOM_UNIT: usize = 1 << 10;

/// What the coordinator asks of a source.
pub(super) enum Command {
    /// Inject the barrier of an epoch.
    Barrier(u64),
    /// All sinks are prepared: what is the cursor of the epoch?
    Settle(u64, oneshot::Sender<Settled>),
    /// End.
    Stop,
}

/// The part of a source in an epoch.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// The rows to be recorded.
    pub(super) rows: CursorRows,
    /// What became of its events.
    pub(super) tally: Tally,
    /// What stateful transforms have to remember of them.
    pub(super) notes: Vec<Note>,
    /// Events that are in no column.
    pub(super) missing: u64,
}

/// What sources tell the coordinator by the way.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Bytes since the last epoch.
    pub(super) bytes: AtomicU64,
    /// Batches since the last epoch.
    pub(super) batches: AtomicU64,
    pub(super) max_bytes: u64,
    /// There is something to record, or a lot.
    pub(super) notify: Notify,
}

/// Progress of a source, for a terminal.
#[derive(Debug, Default)]
pub(super) struct SharedProgress {
    pub(super) done: AtomicU64,
    pub(super) total: AtomicU64,
}

/// What is on its way to the dispatcher, in order.
pub(super) enum Ordered {
    Batch(oneshot::Receiver<Done>),
    Barrier(u64),
}

enum Outgoing {
    Batch(Batch),
    Barrier(u64),
}

enum Pending {
    Batch { fate: Fate, events: u64, rows: CursorRows },
    Barrier(u64),
}

pub(super) struct SourceTask {
    pub(super) number: usize,
    pub(super) source: Box<dyn Source>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) notices: mpsc::UnboundedSender<Notice>,
    pub(super) ordered: mpsc::Sender<Ordered>,
    pub(super) pool: Pool,
    pub(super) ledger: Arc<SourceLedger>,
    pub(super) activity: Arc<Activity>,
    pub(super) progress: Arc<SharedProgress>,
    pub(super) workers: usize,
    /// Dropped when the source has ended, for those that watch it. A batch in the workers has its share.
    pub(super) working: Arc<Mutex<Option<Arc<Working>>>>,
    pub(super) stages: Arc<Stages>,
    /// Batches handed to the workers so far.
    pub(super) submitted: u64,
}

impl SourceTask {
    pub(super) async fn run(mut self) {
        let units = ROOM.max(self.workers * 2 * BATCH_BYTES) / ROOM_UNIT;
        let room = Arc::new(Semaphore::new(units));
        let mut outgoing: VecDeque<Outgoing> = VecDeque::new();
        let mut pending: VecDeque<Pending> = VecDeque::new();
        let mut ended = false;
        let order = self.ordered.clone();
        loop {
            let needs = outgoing.front().map(|next| match next {
                Outgoing::Batch(batch) => (batch.bytes / ROOM_UNIT + 1).min(units),
                Outgoing::Barrier(_) => 0,
            });
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(Command::Barrier(epoch)) => outgoing.push_back(Outgoing::Barrier(epoch)),
                    Some(Command::Settle(epoch, reply)) => {
                        // a coordinator that is gone has given up the run
                        let _ = reply.send(settle(&mut pending, epoch).await);
                    }
                    Some(Command::Stop) => self.source.stop(),
                    None => return,
                },
                admitted = admit(&room, &order, needs.unwrap_or(0)), if needs.is_some() => {
                    let Some((permit, slot)) = admitted else { return };
                    match outgoing.pop_front() {
                        Some(Outgoing::Batch(batch)) => {
                            let (ordered, entry) = self.submit(batch, permit);
                            slot.send(ordered);
                            pending.push_back(entry);
                        }
                        Some(Outgoing::Barrier(epoch)) => {
                            slot.send(Ordered::Barrier(epoch));
                            pending.push_back(Pending::Barrier(epoch));
                        }
                        None => {}
                    }
                }
                next = self.source.next(), if needs.is_none() && !ended => { match next {
                    Ok(Some(batch)) => outgoing.push_back(Outgoing::Batch(batch)),
                    Ok(None) => {
                        ended = true;
                        let _ = self.notices.send(Notice::SourceEnded(self.number));
                    }
                    Err(error) => {
                        ended = true;
                        let _ = self.notices.send(Notice::SourceFailed(self.number, error));
                    }
                }
                if ended {
                    self.working.lock().unwrap_or_else(PoisonError::into_inner).take();
                } },
            }
        }
    }

    /// Hands a batch to the workers.
    fn submit(&mut self, mut batch: Batch, permit: Option<OwnedSemaphorePermit>) -> (Ordered, Pending) {
        let events = batch.events.len() as u64;
        let rows = std::mem::take(&mut batch.cursor);
        self.ledger.read(events);
        if let Some(Progress { done, total }) = self.source.progress() {
            self.progress.done.store(done, Ordering::Relaxed);
            self.progress.total.store(total, Ordering::Relaxed);
        }
        let bytes = self.activity.bytes.fetch_add(batch.bytes as u64, Ordering::Relaxed);
        let first = self.activity.batches.fetch_add(1, Ordering::Relaxed) == 0;
        if first || (bytes < self.activity.max_bytes && bytes + batch.bytes as u64 >= self.activity.max_bytes)
        {
            self.activity.notify.notify_one();
        }
        let (token, fate) = Token::new(batch.events.len(), self.ledger.in_flight.clone(), permit);
        let (reply, done) = oneshot::channel();
        let pass = self.stages.pass(self.number, self.submitted);
        self.submitted += 1;
        let working = self.working.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.pool.submit(Work::Batch { source: self.number, batch, token, pass, reply, working });
        (Ordered::Batch(done), Pending::Batch { fate, events, rows })
    }
}

/// Waits for room for `units` of input and for a place in the order.
async fn admit<'o>(
    room: &Arc<Semaphore>,
    ordered: &'o mpsc::Sender<Ordered>,
    units: usize,
) -> Option<(Option<OwnedSemaphorePermit>, mpsc::Permit<'o, Ordered>)> {
    let permit = match units {
        0 => None,
        units => Some(room.clone().acquire_many_owned(units as u32).await.ok()?),
    };
    let slot = ordered.reserve().await.ok()?;
    Some((permit, slot))
}

/// Adds up everything before a barrier. All sinks are prepared, so every token comes back.
async fn settle(pending: &mut VecDeque<Pending>, epoch: u64) -> Settled {
    let mut settled = Settled::default();
    while let Some(entry) = pending.pop_front() {
        match entry {
            Pending::Barrier(barrier) if barrier == epoch => break,
            Pending::Barrier(_) => {}
            Pending::Batch { fate, events, rows } => {
                let report = fate.await.unwrap_or_default();
                settled.missing += events.saturating_sub(report.tally.total());
                settled.tally.add(&report.tally);
                settled.notes.extend(report.notes);
                settled.rows.extend(rows);
            }
        }
    }
    settled
}

/// A best effort sink's queue and counters.
#[derive(Clone)]
pub(super) struct BestEffortQueue {
    pub(super) queue: mpsc::Sender<Delivery>,
    pub(super) counters: Arc<BestEffort>,
}

impl BestEffortQueue {
    /// Hands a delivery over if there is room, and counts it as dropped otherwise.
    pub(super) fn offer(&self, delivery: Delivery) {
        if let Err(error) = self.queue.try_send(delivery) {
            let dropped = error.into_inner().events() as u64;
            self.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }
}

/// Hands results to the sinks in source order. Barriers go to all of them.
pub(super) async fn dispatch(
    mut ordered: mpsc::Receiver<Ordered>,
    edges: Vec<(usize, mpsc::Sender<Message>)>,
    best_effort: Vec<Option<BestEffortQueue>>,
) {
    while let Some(next) = ordered.recv().await {
        match next {
            Ordered::Batch(done) => {
                // a batch on which a worker failed has no result; its token says so
                let Ok(done) = done.await else { continue };
                for (sink, delivery) in done {
                    if let Some(Some(queue)) = best_effort.get(sink) {
                        queue.offer(delivery);
                        continue;
                    }
                    if let Some((_, edge)) = edges.iter().find(|(known, _)| *known == sink) {
                        // a sink task that is gone has given up the run
                        let _ = edge.send(Message::Delivery(delivery)).await;
                    }
                }
            }
            Ordered::Barrier(epoch) => {
                for (_, edge) in &edges {
                    let _ = edge.send(Message::Barrier(epoch)).await;
                }
            }
        }
    }
}
