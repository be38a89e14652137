//! What is known of one partition, and the rows it is kept in.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::seen::Seen;
use crate::event::CursorRows;

/// A part of a stream with a cursor of its own.
#[derive(Debug)]
pub(super) struct Partition {
    /// Its id; empty if the stream has no parts.
    pub(super) id: Arc<str>,
    /// The id as it stands in the keys of rows.
    key: String,
    /// What discovery said of it: `$partition` in programs.
    pub(super) about: Value,
    /// Where it is, once it has begun.
    pub(super) cursor: Option<Cursor>,
    pub(super) seen: Seen,
    /// For snapshots: what was delivered last, by the record's key.
    pub(super) snapshots: HashMap<String, Snapshot>,
    /// A row that was recorded and cannot be read.
    pub(super) unreadable: Option<String>,
    /// The cursor as it was recorded last, and when, by the server's clock.
    pub(super) kept: Option<(Cursor, i64)>,
}

/// How far a partition is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cursor {
    /// Milliseconds: nothing before this is asked for.
    pub(super) floor: Option<i64>,
    /// Milliseconds: everything up to here is done.
    pub(super) through: Option<i64>,
    /// Doublings of the window.
    pub(super) stretch: u32,
    /// `$state` of the programs.
    pub(super) state: Value,
}

/// What was delivered of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) digest: String,
    pub(super) sequence: u64,
}

impl Partition {
    /// A partition with what was recorded of it.
    pub(super) fn new(id: &str, about: Value, recorded: &mut Recorded) -> Self {
        let key = escaped(id);
        let rows = recorded.0.remove(&key).unwrap_or_default();
        let mut partition = Partition {
            id: Arc::from(id),
            key,
            about,
            cursor: None,
            seen: Seen::default(),
            snapshots: HashMap::new(),
            unreadable: None,
            kept: None,
        };
        for (kind, rest, row) in rows {
            let known = match kind {
                "cursor" => {
                    partition.cursor = Cursor::from_row(&row);
                    partition.cursor.is_some()
                }
                "seen" => partition.seen.load(&rest, &row).is_some(),
                _ => {
                    let snapshot = Snapshot::from_row(&row);
                    snapshot.map(|snapshot| partition.snapshots.insert(rest.clone(), snapshot)).is_some()
                }
            };
            if !known {
                partition.unreadable = Some(format!("{kind}/{}", partition.key));
            }
        }
        partition
    }

    pub(super) fn cursor_key(&self) -> String {
        format!("cursor/{}", self.key)
    }

    pub(super) fn seen_prefix(&self) -> String {
        format!("seen/{}/", self.key)
    }

    pub(super) fn snapshot_prefix(&self) -> String {
        format!("snapshot/{}/", self.key)
    }

    /// Whether the cursor is not what was recorded last.
    pub(super) fn is_moved(&self) -> bool {
        self.cursor.as_ref() != self.kept.as_ref().map(|(cursor, _)| cursor)
    }

    /// Adds the cursor to the rows of a batch.
    pub(super) fn write_cursor(&mut self, clock: i64, rows: &mut CursorRows) {
        if let Some(cursor) = &self.cursor {
            rows.push((self.cursor_key(), Some(cursor.to_row())));
            self.kept = Some((cursor.clone(), clock));
        }
    }
}

/// The rows of a source, by partition.
#[derive(Debug)]
pub(super) struct Recorded(HashMap<String, Vec<(&'static str, String, Value)>>);

impl Recorded {
    pub(super) fn new(rows: Vec<(String, Value)>) -> Self {
        let mut by_partition: HashMap<String, Vec<_>> = HashMap::new();
        for (key, row) in rows {
            let mut parts = key.splitn(3, '/');
            let (kind, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let Some(kind) = ["cursor", "seen", "snapshot"].into_iter().find(|known| *known == kind) else {
                continue;
            };
            let rest = parts.next().unwrap_or_default().to_owned();
            by_partition.entry(id.to_owned()).or_default().push((kind, rest, row));
        }
        Recorded(by_partition)
    }
}

/// An id without what separates the parts of a key.
fn escaped(id: &str) -> String {
    id.replace('%', "%25").replace('/', "%2F").replace('\0', "%00")
}

impl Cursor {
    fn from_row(row: &Value) -> Option<Self> {
        let time = |name: &str| match row.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => Some(Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.timestamp_millis())),
        };
        Some(Cursor {
            floor: time("start")?,
            through: time("through")?,
            stretch: row.get("stretch").and_then(Value::as_u64).unwrap_or(0) as u32,
            state: row.get("state").cloned().unwrap_or_default(),
        })
    }

    fn to_row(&self) -> Value {
        let mut row = json!({ "start": self.floor.map(rfc3339) });
        if let Some(through) = self.through {
            row["through"] = rfc3339(through).into();
            row["stretch"] = self.stretch.into();
        }
        if !self.state.is_null() {
            row["state"] = self.state.clone();
        }
        row
    }
}

impl Snapshot {
    fn from_row(row: &Value) -> Option<Self> {
        let digest = row.get("digest")?.as_str()?.to_owned();
        Some(Snapshot { digest, sequence: row.get("sequence")?.as_u64()? })
    }

    pub(super) fn to_row(&self) -> Value {
        json!({ "digest": self.digest, "sequence": self.sequence })
    }
}

/// Milliseconds since 1970 as programs and people read them.
pub(super) fn rfc3339(millis: i64) -> String {
    let time = DateTime::<Utc>::from_timestamp_millis(millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
