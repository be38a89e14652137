//! Ids of records that were handed on, so that none comes twice. Bounded, and as durable as the
//! cursor they belong to.
//!
//! Ids are kept in buckets, one for each window or run of pages, and forgotten a bucket at a time:
//! a window's ids when no later request can reach back to its end.

use std::collections::{HashSet, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::event::CursorRows;

/// Ids of one partition.
#[derive(Debug, Default)]
pub(super) struct Seen {
    all: HashSet<u128>,
    buckets: VecDeque<Bucket>,
    next: u64,
}

#[derive(Debug)]
struct Bucket {
    number: u64,
    /// Milliseconds since 1970: once nothing at or before this moment can come again, it goes.
    until: i64,
    ids: Vec<u128>,
    /// How many of `ids` are in rows.
    written: usize,
    rows: u64,
}

impl Seen {
    /// Takes back a row. `key` is what follows the prefix.
    pub(super) fn load(&mut self, key: &str, row: &Value) -> Option<()> {
        let (number, part) = key.split_once('.')?;
        let (number, part): (u64, u64) = (number.parse().ok()?, part.parse().ok()?);
        let until = row.get("until")?.as_i64()?;
        let bytes = STANDARD.decode(row.get("ids")?.as_str()?).ok()?;
        let ids = bytes.chunks_exact(16).filter_map(|id| id.try_into().ok()).map(u128::from_le_bytes);
        let at = match self.buckets.iter().position(|bucket| bucket.number == number) {
            Some(at) => at,
            None => {
                let at = self.buckets.partition_point(|bucket| bucket.number < number);
                self.buckets.insert(at, Bucket { number, until, ids: Vec::new(), written: 0, rows: 0 });
                at
            }
        };
        let bucket = &mut self.buckets[at];
        bucket.ids.extend(ids);
        bucket.written = bucket.ids.len();
        bucket.rows = bucket.rows.max(part + 1);
        bucket.until = bucket.until.max(until);
        self.all.extend(&bucket.ids);
        self.next = self.next.max(number + 1);
        Some(())
    }

    /// Begins a bucket for what is first seen from now on.
    pub(super) fn begin(&mut self, until: i64) {
        // one that nothing came into has no rows and is not worth keeping
        if self.buckets.back().is_some_and(|bucket| bucket.ids.is_empty()) {
            self.buckets.pop_back();
        }
        let number = self.next;
        self.next += 1;
        self.buckets.push_back(Bucket { number, until, ids: Vec::new(), written: 0, rows: 0 });
    }

    /// Whether this is the first time; it is not from now on.
    pub(super) fn admit(&mut self, id: u128) -> bool {
        let Some(bucket) = self.buckets.back_mut() else { return true };
        let is_new = self.all.insert(id);
        if is_new {
            bucket.ids.push(id);
        }
        is_new
    }

    /// The ids admitted since the last call, as a row for the batch that holds their records.
    pub(super) fn write(&mut self, prefix: &str, rows: &mut CursorRows) {
        let Some(bucket) = self.buckets.back_mut() else { return };
        if bucket.written == bucket.ids.len() {
            return;
        }
        let new = &bucket.ids[bucket.written..];
        let bytes: Vec<u8> = new.iter().flat_map(|id| id.to_le_bytes()).collect();
        let key = format!("{prefix}{}.{}", bucket.number, bucket.rows);
        rows.push((key, Some(json!({ "until": bucket.until, "ids": STANDARD.encode(bytes) }))));
        bucket.written = bucket.ids.len();
        bucket.rows += 1;
    }

    /// Forgets buckets that end before this moment. The bucket in use stays.
    pub(super) fn expire(&mut self, before: i64, prefix: &str, rows: &mut CursorRows) {
        let current = self.buckets.back().map(|bucket| bucket.number);
        let all = &mut self.all;
        self.buckets.retain(|bucket| {
            if bucket.until >= before || Some(bucket.number) == current {
                return true;
            }
            for part in 0..bucket.rows {
                rows.push((format!("{prefix}{}.{part}", bucket.number), None));
            }
            for id in &bucket.ids {
                all.remove(id);
            }
            false
        });
    }

    /// Takes ids that came again over to the bucket in use, out of buckets that end before this
    /// moment: a feed may go on showing a record for longer than ids are kept.
    pub(super) fn carry_over(&mut self, before: i64, again: &HashSet<u128>) {
        let Some(mut current) = self.buckets.pop_back() else { return };
        for bucket in self.buckets.iter_mut().filter(|bucket| bucket.until < before) {
            bucket.ids.retain(|id| {
                let stays = again.contains(id);
                if stays {
                    current.ids.push(*id);
                }
                !stays
            });
        }
        self.buckets.push_back(current);
    }

    /// How many ids are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reload(rows: &CursorRows) -> Seen {
        let mut table: std::collections::BTreeMap<String, Value> = std::collections::BTreeMap::new();
        for (key, row) in rows {
            match row {
                Some(row) => table.insert(key.clone(), row.clone()),
                None => table.remove(key),
            };
        }
        let mut seen = Seen::default();
        for (key, row) in table {
            seen.load(key.strip_prefix("seen/").unwrap(), &row).unwrap();
        }
        seen
    }

    #[test]
    fn what_was_written_is_known_after_a_restart_and_nothing_else() {
        let mut seen = Seen::default();
        let mut rows = Vec::new();
        seen.begin(100);
        assert!(seen.admit(1) && seen.admit(2) && !seen.admit(1));
        seen.write("seen/", &mut rows);
        assert!(seen.admit(3));
        seen.write("seen/", &mut rows);
        assert!(seen.admit(4), "never written: its batch was not made");

        let mut seen = reload(&rows);
        seen.begin(200);
        assert!(!seen.admit(1) && !seen.admit(3) && seen.admit(4));
        seen.write("seen/", &mut rows);
        assert_eq!(reload(&rows).len(), 4);
    }

    #[test]
    fn old_buckets_go_with_their_rows() {
        let mut seen = Seen::default();
        let mut rows = Vec::new();
        for window in 0..50 {
            seen.begin(window * 10);
            for id in 0..20 {
                seen.admit((window * 20 + id) as u128);
            }
            seen.write("seen/", &mut rows);
            seen.expire(window * 10 - 30, "seen/", &mut rows);
            assert!(seen.len() <= 80, "{}", seen.len());
        }
        assert_eq!(reload(&rows).len(), seen.len());
    }

    #[test]
    fn an_id_that_keeps_coming_is_kept() {
        let mut seen = Seen::default();
        let mut rows = Vec::new();
        seen.begin(0);
        seen.admit(7);
        seen.admit(8);
        seen.write("seen/", &mut rows);
        seen.begin(1_000);
        assert!(!seen.admit(7));
        seen.carry_over(500, &HashSet::from([7]));
        seen.write("seen/", &mut rows);
        seen.expire(500, "seen/", &mut rows);
        let mut seen = reload(&rows);
        seen.begin(2_000);
        assert!(!seen.admit(7) && seen.admit(8));
    }
}
