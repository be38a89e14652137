//! The ledger: every source event in exactly one column.
//!
//! What was read is counted when a batch leaves its source, what became of it when its epoch is
//! recorded. In flight is counted by itself: the events of living tokens, and those that came back
//! and wait for their epoch. So an event that is lost inside the process is missing in the sum, and
//! is seen.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::event::token::{InFlight, Tally};

/// Counters of one source.
#[derive(Debug, Default)]
pub(super) struct SourceLedger {
    read: AtomicU64,
    pub(super) in_flight: Arc<InFlight>,
    recorded: Mutex<Tally>,
}

impl SourceLedger {
    pub(super) fn read(&self, events: u64) {
        self.read.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn events_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The epoch of events that came back is recorded.
    pub(super) fn recorded(&self, tally: &Tally) {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).add(tally);
        self.in_flight.settled(tally.total());
    }

    /// The source is rolled back to its last epoch: everything since will be read again.
    pub(super) fn rolled_back(&self, in_flight_before: u64) {
        let now = self.in_flight.events();
        let undone = now.saturating_sub(in_flight_before);
        self.in_flight.settled(undone);
        self.read.fetch_sub(undone, Ordering::Relaxed);
    }

    pub(super) fn line(&self, source: &str) -> LedgerLine {
        let recorded = *self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        LedgerLine {
            source: source.to_owned(),
            read: self.read.load(Ordering::Relaxed),
            delivered: recorded.delivered,
            filtered: recorded.filtered,
            dead_lettered: recorded.dead_lettered,
            in_flight: self.in_flight.events(),
        }
    }
}

/// The ledger of one source, as it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerLine {
    /// Name of the source.
    pub source: String,
    /// Events read.
    pub read: u64,
    /// Events that all their sinks have, durably.
    pub delivered: u64,
    /// Events dropped on purpose.
    pub filtered: u64,
    /// Events that stand in a dead letter.
    pub dead_lettered: u64,
    /// Events read and not accounted for yet; the next run reads them again.
    pub in_flight: u64,
}

impl LedgerLine {
    /// Whether the sum is right.
    pub fn balances(&self) -> bool {
        self.read == self.delivered + self.filtered + self.dead_lettered + self.in_flight
    }

    /// The line as a JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "ledger": self.source,
            "read": self.read,
            "delivered": self.delivered,
            "filtered": self.filtered,
            "dead_lettered": self.dead_lettered,
            "in_flight": self.in_flight,
        })
    }
}

impl fmt::Display for LedgerLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LedgerLine { source, read, delivered, filtered, dead_lettered, in_flight } = self;
        write!(
            f,
            "ledger {source}: read={read} delivered={delivered} filtered={filtered} dead_lettered={dead_lettered} in_flight={in_flight}"
        )
    }
}

/// Counters of a best effort sink.
#[derive(Debug, Default)]
pub(super) struct BestEffort {
    pub(super) delivered: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) dropped: AtomicU64,
}

impl BestEffort {
    pub(super) fn line(&self, sink: &str) -> BestEffortLine {
        BestEffortLine {
            sink: sink.to_owned(),
            delivered: self.delivered.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}

/// What became of the events of a best effort sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestEffortLine {
    /// Name of the sink.
    pub sink: String,
    /// Events it took.
    pub delivered: u64,
    /// Events it could not take.
    pub rejected: u64,
    /// Events dropped because its queue was full.
    pub dropped: u64,
}

impl BestEffortLine {
    /// The line as a JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "best_effort": self.sink,
            "delivered": self.delivered,
            "rejected": self.rejected,
            "dropped": self.dropped,
        })
    }
}

impl fmt::Display for BestEffortLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BestEffortLine { sink, delivered, rejected, dropped } = self;
        write!(f, "best_effort {sink}: delivered={delivered} rejected={rejected} dropped={dropped}")
    }
}
