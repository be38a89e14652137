//! Which keys have passed: in memory for all of them, in rows what is recorded.
//!
//! A row holds the marks of an epoch (several rows, if they are many): a list of
//! `{"at": milliseconds, "keys": base64}`, one for each batch, the keys 16 bytes each. Rows are
//! numbered in the order in which they were recorded, and go as a whole when all they hold is
//! forgotten.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::state::Rows;
use crate::transform::{Answers, Shared, SharedContext};

/// A row is not added to once it holds as many keys.
const ROW_KEYS: usize = 8192;

/// Bytes of a key.
const KEY: usize = 16;

/// How long and how much is remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Milliseconds.
    pub(super) within: u64,
    pub(super) max_keys: usize,
}

/// The marks of one `dedupe`.
pub(super) struct Marks {
    name: Arc<str>,
    bounds: Bounds,
    clock: Clock,
    is_warned: Arc<AtomicBool>,
    keys: Mutex<Keys>,
    recorded: Mutex<Recorded>,
}

/// Wall-clock time that neither jumps nor goes back while the process lives.
struct Clock {
    began: u64,
    at_start: Duration,
}

/// The keys that are remembered, by age.
#[derive(Default)]
struct Keys {
    known: HashSet<u128, BuildHasherDefault<OwnBits>>,
    /// The same keys, oldest first.
    by_age: VecDeque<u128>,
    /// When they passed: a time, and how many of the next keys have it.
    times: VecDeque<(u64, usize)>,
}

/// Takes the low half of a key for its hash: a key is a digest already.
#[derive(Default)]
struct OwnBits(u64);

/// What the store holds.
#[derive(Default)]
struct Recorded {
    rows: VecDeque<Row>,
    keys: usize,
    next: u64,
}

struct Row {
    key: String,
    /// The last time in it.
    newest: u64,
    keys: usize,
}

impl Clock {
    fn start() -> Self {
        let began = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
        Clock { began, at_start: since_boot() }
    }

    fn now(&self) -> u64 {
        self.began + since_boot().saturating_sub(self.at_start).as_millis() as u64
    }
}

/// Includes the time that the machine slept.
fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

impl Hasher for OwnBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

impl Keys {
    /// Whether each of the keys is new, and the new ones. Also how many were forgotten before their
    /// time.
    fn mark(&mut self, keys: &[u128], now: u64, bounds: Bounds) -> (Vec<bool>, Vec<u128>, usize) {
        self.expire(now, bounds.within);
        let (mut pass, mut new, mut forgotten) = (Vec::with_capacity(keys.len()), Vec::new(), 0);
        for key in keys {
            let is_new = self.known.insert(*key);
            pass.push(is_new);
            if !is_new {
                continue;
            }
            new.push(*key);
            self.by_age.push_back(*key);
            match self.times.back_mut() {
                Some((at, count)) if *at == now => *count += 1,
                _ => self.times.push_back((now, 1)),
            }
            if self.by_age.len() > bounds.max_keys {
                self.forget_oldest();
                forgotten += 1;
            }
        }
        (pass, new, forgotten)
    }

    fn expire(&mut self, now: u64, within: u64) {
        while self.times.front().is_some_and(|(at, _)| is_over(*at, now, within)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(key) = self.by_age.pop_front() {
            self.known.remove(&key);
        }
        if let Some((_, count)) = self.times.front_mut() {
            *count -= 1;
            if *count == 0 {
                self.times.pop_front();
            }
        }
    }
}

fn is_over(at: u64, now: u64, within: u64) -> bool {
    now.saturating_sub(at) >= within
}

impl Recorded {
    /// Makes rows of notes, and takes rows away that hold only what is forgotten.
    fn record(&mut self, notes: Vec<Value>, now: u64, bounds: Bounds) -> Rows {
        let mut changes = Rows::new();
        let (mut row, mut keys, mut newest) = (Vec::new(), 0, 0);
        let mut notes = notes.into_iter().peekable();
        while let Some(note) = notes.next() {
            keys += note["keys"].as_str().map_or(0, count_of);
            newest = newest.max(note["at"].as_u64().unwrap_or(0));
            row.push(note);
            if keys >= ROW_KEYS || notes.peek().is_none() {
                let key = format!("{:016}", self.next);
                self.next += 1;
                changes.push((key.clone(), Some(Value::Array(std::mem::take(&mut row)))));
                self.keys += keys;
                self.rows.push_back(Row { key, newest, keys });
                (keys, newest) = (0, 0);
            }
        }
        while let Some(oldest) = self.rows.front() {
            let is_beyond = self.keys - oldest.keys >= bounds.max_keys;
            if !is_beyond && !is_over(oldest.newest, now, bounds.within) {
                break;
            }
            self.keys -= oldest.keys;
            changes.extend(self.rows.pop_front().map(|row| (row.key, None)));
        }
        changes
    }
}

impl Marks {
    /// Takes up what is recorded.
    pub(super) fn load(context: SharedContext, bounds: Bounds, is_warned: Arc<AtomicBool>) -> Self {
        let SharedContext { name, mut rows } = context;
        let clock = Clock::start();
        let now = clock.now();
        rows.sort_by(|one, two| one.0.cmp(&two.0));
        let mut recorded = Recorded::default();
        let mut groups: Vec<(u64, Vec<u128>)> = Vec::new();
        for (key, row) in rows {
            let before = groups.len();
            let read = read_row(&row, now, &mut groups);
            if !read {
                tracing::warn!(
                    transform = &*name,
                    row = key,
                    "a row of marks cannot be read; it is forgotten"
                );
                groups.truncate(before);
            }
            let newest = groups[before..].iter().map(|(at, _)| *at).max().unwrap_or(0);
            let keys = groups[before..].iter().map(|(_, keys)| keys.len()).sum();
            recorded.keys += keys;
            recorded.next = recorded.next.max(key.parse::<u64>().map_or(0, |number| number + 1));
            recorded.rows.push_back(Row { key, newest, keys });
        }
        groups.retain(|(at, _)| !is_over(*at, now, bounds.within));
        groups.sort_by_key(|(at, _)| *at);
        let keys = Keys::of(&groups, bounds.max_keys);
        Marks { name, bounds, clock, is_warned, keys: Mutex::new(keys), recorded: Mutex::new(recorded) }
    }
}

impl Keys {
    /// The newest of these groups, which are given oldest first. A key may be in several, if it was
    /// forgotten in between; then the last time counts.
    fn of(groups: &[(u64, Vec<u128>)], max_keys: usize) -> Self {
        let mut keys = Keys::default();
        let newest_first =
            groups.iter().rev().flat_map(|(at, keys)| keys.iter().rev().map(|key| (*at, *key)));
        for (at, key) in newest_first {
            if keys.by_age.len() == max_keys {
                break;
            }
            if !keys.known.insert(key) {
                continue;
            }
            keys.by_age.push_front(key);
            match keys.times.front_mut() {
                Some((first, count)) if *first == at => *count += 1,
                _ => keys.times.push_front((at, 1)),
            }
        }
        keys
    }
}

/// Appends the groups of a row. A time in the future is taken for now: a clock that was wrong must
/// not make marks that last.
fn read_row(row: &Value, now: u64, groups: &mut Vec<(u64, Vec<u128>)>) -> bool {
    let Some(notes) = row.as_array() else { return false };
    notes.iter().all(|note| {
        let (Some(at), Some(keys)) = (note["at"].as_u64(), note["keys"].as_str()) else { return false };
        let Ok(keys) = STANDARD.decode(keys) else { return false };
        let (keys, rest) = keys.as_chunks::<KEY>();
        groups.push((at.min(now), keys.iter().map(|key| u128::from_le_bytes(*key)).collect()));
        rest.is_empty()
    })
}

fn note_of(at: u64, keys: &[u128]) -> Value {
    let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
    json!({ "at": at, "keys": STANDARD.encode(bytes) })
}

/// Keys in a base64 text.
fn count_of(text: &str) -> usize {
    text.len() / 4 * 3 / KEY
}

impl Shared for Marks {
    fn answer(&self, questions: &[u128]) -> Answers {
        let (at, (pass, new, forgotten)) = {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            // read under the lock, so that times are in order
            let now = self.clock.now();
            (now, keys.mark(questions, now, self.bounds))
        };
        if forgotten > 0 && !self.is_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                transform = &*self.name,
                max_keys = self.bounds.max_keys,
                "more keys than `max_keys` within the time: the oldest are forgotten, and their duplicates pass"
            );
        }
        Answers { pass, note: (!new.is_empty()).then(|| note_of(at, &new)) }
    }

    fn record(&self, notes: Vec<Value>) -> Rows {
        let now = self.clock.now();
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).record(notes, now, self.bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { within: 1000, max_keys: 1_000_000 };

    fn loaded(rows: &[(String, Value)], bounds: Bounds) -> Marks {
        let context = SharedContext { name: Arc::from("once"), rows: rows.to_vec() };
        Marks::load(context, bounds, Arc::default())
    }

    /// What the store holds after these changes.
    fn apply(store: &mut Vec<(String, Value)>, changes: Rows) {
        for (key, row) in changes {
            store.retain(|(known, _)| *known != key);
            store.extend(row.map(|row| (key, row)));
        }
    }

    #[test]
    fn the_first_passes_until_its_time_is_over() {
        let mut keys = Keys::default();
        assert_eq!(keys.mark(&[1, 2, 1], 0, BOUNDS), (vec![true, true, false], vec![1, 2], 0));
        assert_eq!(keys.mark(&[2, 3], 999, BOUNDS).0, [false, true]);
        // what was dropped has prolonged nothing
        assert_eq!(keys.mark(&[2, 3], 1000, BOUNDS).0, [true, false]);
        assert_eq!((keys.known.len(), keys.by_age.len()), (2, 2));
        assert_eq!(keys.times, [(999, 1), (1000, 1)]);
        assert!(keys.mark(&[], 9999, BOUNDS).0.is_empty());
        assert!(keys.known.is_empty() && keys.by_age.is_empty() && keys.times.is_empty());
    }

    #[test]
    fn the_oldest_are_forgotten_beyond_the_bound() {
        let bounds = Bounds { max_keys: 3, ..BOUNDS };
        let mut keys = Keys::default();
        assert_eq!(keys.mark(&[1, 2, 3, 3], 0, bounds).2, 0);
        assert_eq!(keys.mark(&[4, 1, 2, 4], 1, bounds), (vec![true, true, true, false], vec![4, 1, 2], 3));
        assert_eq!((keys.known.len(), keys.by_age.len()), (3, 3));
    }

    #[test]
    fn what_is_recorded_is_known_again_and_what_is_not_is_not() {
        let mut store = Vec::new();
        let marks = loaded(&store, BOUNDS);
        let first = marks.answer(&[1, 2, u128::MAX]);
        let lost = marks.answer(&[3]);
        assert_eq!((first.pass, lost.pass), (vec![true; 3], vec![true]));
        assert!(marks.answer(&[1]).note.is_none());
        apply(&mut store, marks.record(vec![first.note.unwrap()]));
        assert_eq!(store.len(), 1);

        let marks = loaded(&store, BOUNDS);
        let again = marks.answer(&[3, 2, u128::MAX, 1]);
        assert_eq!(again.pass, [true, false, false, false]);
        apply(&mut store, marks.record(vec![again.note.unwrap()]));
        assert_eq!(store.len(), 2, "a row of its own");
        assert_eq!(loaded(&store, BOUNDS).answer(&[3, 1]).pass, [false, false]);
    }

    #[test]
    fn rows_go_when_all_they_hold_is_forgotten() {
        let mut recorded = Recorded::default();
        let mut store = Vec::new();
        apply(&mut store, recorded.record(vec![note_of(0, &[1]), note_of(500, &[2])], 500, BOUNDS));
        apply(&mut store, recorded.record(vec![note_of(600, &[3])], 600, BOUNDS));
        apply(&mut store, recorded.record(Vec::new(), 1499, BOUNDS));
        assert_eq!(store.len(), 2, "key 2 is not over");
        apply(&mut store, recorded.record(Vec::new(), 1500, BOUNDS));
        assert_eq!(store.len(), 1);
        apply(&mut store, recorded.record(Vec::new(), 9999, BOUNDS));
        assert_eq!((store.len(), recorded.keys), (0, 0));

        let bounds = Bounds { max_keys: 4, ..BOUNDS };
        for n in 0..10 {
            apply(&mut store, recorded.record(vec![note_of(9999, &[n * 2, n * 2 + 1])], 9999, bounds));
        }
        assert_eq!(store.len(), 2);
    }

    #[test]
    fn many_marks_are_several_rows() {
        let keys: Vec<u128> = (0..1024).collect();
        let notes: Vec<_> = (0..20).map(|_| note_of(7, &keys)).collect();
        let rows = Recorded::default().record(notes, 7, BOUNDS);
        let sizes: Vec<_> =
            rows.iter().map(|(_, row)| row.as_ref().unwrap().as_array().unwrap().len()).collect();
        assert_eq!(sizes, [8, 8, 4]);
        assert_eq!(count_of(note_of(0, &keys[..5])["keys"].as_str().unwrap()), 5);
    }

    #[test]
    fn rows_of_other_bounds_and_other_clocks_are_taken_as_they_are_meant() {
        let now = Clock::start().now();
        let row = |number: u64, notes: Vec<Value>| (format!("{number:016}"), Value::Array(notes));
        let rows = [
            row(0, vec![note_of(now - 5000, &[1, 9]), note_of(now - 300, &[2])]),
            // a clock that was wrong; and a key that had been forgotten in between
            row(1, vec![note_of(now + 1_000_000_000, &[3, 2])]),
            ("not a number".to_owned(), json!("garbage")),
        ];
        let marks = loaded(&rows, Bounds { within: 60_000, ..BOUNDS });
        assert_eq!(marks.answer(&[1, 9, 2, 3]).pass, [false; 4]);
        let marks = loaded(&rows, Bounds { within: 2000, ..BOUNDS });
        assert_eq!(marks.answer(&[1, 9, 2, 3]).pass, [true, true, false, false]);
        assert_eq!(marks.record(Vec::new()), [], "rows go oldest first");
        let mut keys = marks.keys.lock().unwrap();
        keys.expire(now + 100_000, 2000);
        assert!(keys.known.is_empty(), "no mark of the future stays");

        // the newest two, and the newest time of each
        let marks = loaded(&rows, Bounds { within: 60_000, max_keys: 2 });
        assert_eq!(marks.keys.lock().unwrap().by_age, [3, 2]);
        assert_eq!(marks.record(Vec::new()), [(rows[0].0.clone(), None)]);
    }
}
