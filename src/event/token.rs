//! Delivery tokens: the fate of every source event, counted so that no path can forget it.
//!
//! A [`Token`] has one cell per source event of a batch: how many obligations are still open, and
//! which outcomes were reported. Inside a worker an obligation is a [`Held`]; on its way to a sink
//! it is an entry of a [`Share`]. Both count as [`Outcome::Failed`] when they are dropped without an
//! outcome, so a panic or an early return can delay a cursor and never move it.
//!
//! When the last reference to a token goes, its cells are added up into a [`Tally`]. A cell whose
//! obligations never came back (they were leaked) is in no sum at all: the ledger does not balance,
//! and says so.
//!
//! A token also takes the [`Note`]s of stateful steps along. They come back with the tally, so what
//! a step has to remember of a batch is recorded with the epoch that settles it, and never before.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// What became of a source event. The worst of its branches wins, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A program dropped it on purpose.
    Filtered,
    /// Every sink has taken it.
    Delivered,
    /// Its error record stands for it.
    DeadLettered,
    /// It was lost on the way inside the process; its epoch must not be recorded.
    Failed,
}

impl Outcome {
    const fn flag(self) -> u32 {
        1 << (24 + self as u32)
    }
}

const PENDING: u32 = (1 << 24) - 1;

/// Sums over the cells of a finished token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events dropped on purpose.
    pub filtered: u64,
    /// Events taken by their sinks.
    pub delivered: u64,
    /// Events that stand in a dead letter.
    pub dead_lettered: u64,
    /// Events that failed inside the process.
    pub failed: u64,
}

impl Tally {
    /// All events that came back.
    pub fn total(&self) -> u64 {
        self.filtered + self.delivered + self.dead_lettered + self.failed
    }

    /// Adds the sums of another one.
    pub fn add(&mut self, other: &Tally) {
        self.filtered += other.filtered;
        self.delivered += other.delivered;
        self.dead_lettered += other.dead_lettered;
        self.failed += other.failed;
    }
}

/// Events of one source that are on their way: in a living token, or back and waiting for their
/// epoch. One number, so that whoever reads it never sees an event twice or not at all.
#[derive(Debug, Default)]
pub struct InFlight(AtomicU64);

impl InFlight {
    /// How many there are.
    pub fn events(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The epoch of events that came back is over: it was recorded, or rolled back.
    pub fn settled(&self, events: u64) {
        self.0.fetch_sub(events, Ordering::Relaxed);
    }
}

/// What a stateful step has to remember of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Number of the step in its graph.
    pub step: usize,
    /// What it is to be given back when the epoch is recorded.
    pub content: Value,
}

/// What is told of a batch when it is finished.
#[derive(Debug, Default)]
pub struct Report {
    /// What became of its events.
    pub tally: Tally,
    /// What stateful steps have to remember of it, in the order in which they said so.
    pub notes: Vec<Note>,
}

/// Where the [`Report`] of a token arrives once its last reference is gone.
pub type Fate = oneshot::Receiver<Report>;

/// The cells of one batch.
#[derive(Debug)]
pub struct Token {
    cells: Box<[AtomicU32]>,
    notes: Mutex<Vec<Note>>,
    /// Taken when the token is dropped.
    fate: Option<oneshot::Sender<Report>>,
    in_flight: Arc<InFlight>,
    /// Room in the source's budget, given back when the batch is finished.
    _room: Option<OwnedSemaphorePermit>,
}

impl Token {
    /// A token for `events` source events, each with one open obligation: the one the worker takes
    /// up with [`Token::take`].
    pub fn new(
        events: usize,
        in_flight: Arc<InFlight>,
        room: Option<OwnedSemaphorePermit>,
    ) -> (Arc<Self>, Fate) {
        in_flight.0.fetch_add(events as u64, Ordering::Relaxed);
        let (sender, fate) = oneshot::channel();
        let token = Token {
            cells: (0..events).map(|_| AtomicU32::new(1)).collect(),
            notes: Mutex::default(),
            fate: Some(sender),
            in_flight,
            _room: room,
        };
        (Arc::new(token), fate)
    }

    /// The obligation that a source event is born with. To be called once for each cell; a cell
    /// that nobody takes up stays open and is missing in the sums.
    pub fn take(&self, cell: u32) -> Held<'_> {
        Held { token: self, cell, armed: true }
    }

    /// Takes a note along, to come back with the tally.
    pub fn note(&self, note: Note) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    fn settle(&self, cell: u32, outcome: Outcome) {
        let cell = &self.cells[cell as usize];
        cell.fetch_or(outcome.flag(), Ordering::Relaxed);
        // the release pairs with the acquire of the last reference's drop
        let before = cell.fetch_sub(1, Ordering::Release);
        debug_assert!(before & PENDING > 0, "an obligation was settled twice");
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let mut tally = Tally::default();
        for cell in &self.cells {
            let state = cell.load(Ordering::Acquire);
            if state & PENDING > 0 {
                continue;
            }
            if state & Outcome::Failed.flag() > 0 {
                tally.failed += 1;
            } else if state & Outcome::DeadLettered.flag() > 0 {
                tally.dead_lettered += 1;
            } else if state & Outcome::Delivered.flag() > 0 {
                tally.delivered += 1;
            } else {
                tally.filtered += 1;
            }
        }
        // what did not come back is in flight no more, and in no other column
        self.in_flight.settled(self.cells.len() as u64 - tally.total());
        if let Some(fate) = self.fate.take() {
            let notes = self.notes.get_mut().unwrap_or_else(PoisonError::into_inner);
            let report = Report { tally, notes: std::mem::take(notes) };
            // nobody waits for it any more when a run is given up
            let _ = fate.send(report);
        }
    }
}

/// One open obligation for one source event, inside a worker.
#[derive(Debug)]
#[must_use = "dropping an obligation counts its event as failed"]
pub struct Held<'t> {
    token: &'t Token,
    cell: u32,
    armed: bool,
}

impl Held<'_> {
    /// Reports the outcome of this branch.
    pub fn resolve(mut self, outcome: Outcome) {
        self.armed = false;
        self.token.settle(self.cell, outcome);
    }

    /// Marks the source event without ending the obligation: an event that took an error edge is
    /// dead-lettered wherever its record goes.
    pub fn mark(&self, outcome: Outcome) {
        self.token.cells[self.cell as usize].fetch_or(outcome.flag(), Ordering::Relaxed);
    }
}

impl Clone for Held<'_> {
    /// One more branch, one more obligation.
    fn clone(&self) -> Self {
        self.token.cells[self.cell as usize].fetch_add(1, Ordering::Relaxed);
        self.token.take(self.cell)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.token.settle(self.cell, Outcome::Failed);
        }
    }
}

/// Obligations of many source events on their way to one sink.
#[derive(Debug)]
#[must_use = "dropping a share counts its events as failed"]
pub struct Share {
    token: Arc<Token>,
    cells: Vec<u32>,
}

impl Share {
    /// An empty share of a token.
    pub fn new(token: Arc<Token>) -> Self {
        Share { token, cells: Vec::new() }
    }

    /// Takes an obligation over from a worker.
    pub fn adopt(&mut self, mut held: Held<'_>) {
        debug_assert!(std::ptr::eq(held.token, &raw const *self.token));
        held.armed = false;
        self.cells.push(held.cell);
    }

    /// How many obligations it holds.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Number of the source event that an obligation is for, in its batch.
    pub fn cell(&self, position: usize) -> u32 {
        self.cells[position]
    }

    /// Reports the same outcome for all of them.
    pub fn resolve(mut self, outcome: Outcome) {
        for cell in std::mem::take(&mut self.cells) {
            self.token.settle(cell, outcome);
        }
    }

    /// Gives the obligations back to a worker, which takes them up cell by cell.
    pub fn into_cells(mut self) -> (Arc<Token>, Vec<u32>) {
        (self.token.clone(), std::mem::take(&mut self.cells))
    }

    /// Gives the obligations at `positions` (ascending) to a share of their own, all marked as
    /// dead-lettered, and keeps the others.
    pub fn split_off_rejected(&mut self, positions: &[usize]) -> Share {
        let mut rejected = Share::new(self.token.clone());
        let mut kept = Vec::with_capacity(self.cells.len());
        let mut next = positions.iter().copied().peekable();
        for (at, cell) in std::mem::take(&mut self.cells).into_iter().enumerate() {
            if next.next_if_eq(&at).is_some() {
                self.token.cells[cell as usize].fetch_or(Outcome::DeadLettered.flag(), Ordering::Relaxed);
                rejected.cells.push(cell);
            } else {
                kept.push(cell);
            }
        }
        self.cells = kept;
        rejected
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        for cell in &self.cells {
            self.token.settle(*cell, Outcome::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(events: usize) -> (Arc<Token>, Fate, Arc<InFlight>) {
        let in_flight = Arc::new(InFlight::default());
        let (token, fate) = Token::new(events, in_flight.clone(), None);
        (token, fate, in_flight)
    }

    #[test]
    fn the_worst_branch_wins_and_live_events_are_counted() {
        let (token, mut fate, in_flight) = token(3);
        assert_eq!(in_flight.events(), 3);
        let held = token.take(0);
        let branch = held.clone();
        held.resolve(Outcome::DeadLettered);
        branch.resolve(Outcome::Delivered);
        token.take(1).resolve(Outcome::Filtered);
        let held = token.take(2);
        held.clone().resolve(Outcome::Filtered);
        held.resolve(Outcome::Delivered);
        assert!(fate.try_recv().is_err());
        drop(token);
        let expected = Tally { filtered: 1, delivered: 1, dead_lettered: 1, failed: 0 };
        assert_eq!(fate.try_recv().map(|report| report.tally), Ok(expected));
        assert_eq!(in_flight.events(), 3, "they came back, and wait for their epoch");
        in_flight.settled(3);
        assert_eq!(in_flight.events(), 0);
    }

    #[test]
    fn a_dropped_obligation_is_a_failure() {
        let (token, mut fate, _) = token(2);
        let mut share = Share::new(token.clone());
        share.adopt(token.take(0));
        drop(share);
        drop(token.take(1));
        drop(token);
        assert_eq!(fate.try_recv().map(|report| report.tally.failed), Ok(2));
    }

    #[test]
    fn a_leaked_obligation_is_in_no_sum() {
        let (token, mut fate, _) = token(2);
        token.take(0).resolve(Outcome::Delivered);
        std::mem::forget(token.take(1));
        drop(token);
        assert_eq!(fate.try_recv().map(|report| report.tally.total()), Ok(1));
    }

    #[test]
    fn notes_come_back_when_everything_has() {
        let (token, mut fate, _) = token(1);
        let note = Note { step: 3, content: Value::from("seen") };
        token.note(note.clone());
        assert!(fate.try_recv().is_err());
        token.take(0).resolve(Outcome::Filtered);
        drop(token);
        assert_eq!(fate.try_recv().unwrap().notes, [note]);
    }

    #[test]
    fn rejected_events_leave_the_share() {
        let (token, mut fate, _) = token(3);
        let mut share = Share::new(token.clone());
        for cell in 0..3 {
            share.adopt(token.take(cell));
        }
        let rejected = share.split_off_rejected(&[1]);
        assert_eq!((share.len(), rejected.len()), (2, 1));
        share.resolve(Outcome::Delivered);
        rejected.resolve(Outcome::Delivered);
        drop(token);
        let tally = fate.try_recv().unwrap().tally;
        assert_eq!((tally.delivered, tally.dead_lettered), (2, 1));
    }
}
