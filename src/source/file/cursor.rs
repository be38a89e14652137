//! Cursors of contents: how far each was read, and how to know it again.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::xxh3_128;

use super::content::Content;

/// Bytes at the beginning of a content that tell it from others.
pub(super) const HEAD: usize = 4096;

/// Bytes before the cursor that tell it from others.
pub(super) const TAIL: usize = 1024;

/// Cursors that are kept; of more, those seen longest ago are forgotten.
const MOST: usize = 10_000;

/// How far a content was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Path at which it was last read, for people.
    pub(super) path: String,
    /// Bytes of decompressed content that are settled.
    pub(super) offset: u64,
    /// Length and digest of the beginning.
    head: (u64, String),
    /// Length and digest of the bytes before `offset`.
    tail: (u64, String),
    /// Whether `offset` lies in a top-level array of the `json` codec.
    #[serde(default)]
    pub(super) in_array: bool,
    /// Digest of the first line, which with `occurrence` makes the ids of its events; empty until
    /// something of it is settled.
    line: String,
    /// Number among the contents that begin with the same line.
    occurrence: u64,
    /// When it was last read, in milliseconds since 1970.
    seen: u64,
    /// Whether a file is being read with it, before anything is settled.
    #[serde(skip)]
    begun: bool,
}

/// 32 hex digits of a SHA-256.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The first line of a content with its line break, or as much of it as the beginning holds.
fn first_line(head: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', head).map_or(head, |end| &head[..=end])
}

impl Cursor {
    fn fits_head(&self, head: &[u8]) -> bool {
        let (length, expected) = &self.head;
        head.get(..*length as usize).is_some_and(|head| digest(head) == *expected)
    }

    /// Whether the content begins with the line that this cursor's content begins with.
    fn shares_first_line(&self, head: &[u8]) -> bool {
        self.offset > 0 && self.line == digest(first_line(head))
    }

    /// Whether the bytes before the cursor are those that were read there.
    pub(super) fn fits_before(&self, content: &mut Content) -> io::Result<bool> {
        let (tail_length, tail_digest) = &self.tail;
        let bytes = content.bytes_at(self.offset - tail_length, *tail_length as usize)?;
        Ok(bytes.is_some_and(|bytes| digest(&bytes) == *tail_digest))
    }

    /// Identity of the content, for the ids of its events.
    pub(super) fn identity(&self) -> u128 {
        xxh3_128(format!("{}:{}", self.line, self.occurrence).as_bytes())
    }

    /// Key of the row.
    pub(super) fn key(&self) -> String {
        format!("{}-{}", self.line, self.occurrence)
    }

    /// Moves the cursor: `head` and `before` are the content's beginning and the bytes before the
    /// new offset.
    pub(super) fn advance(&mut self, offset: u64, in_array: bool, head: &[u8], before: &[u8]) {
        self.offset = offset;
        self.in_array = in_array;
        let head_length = (HEAD as u64).min(offset).min(head.len() as u64);
        if self.head.0 < head_length {
            self.head = (head_length, digest(&head[..head_length as usize]));
        }
        let tail = &before[before.len().saturating_sub(TAIL)..];
        self.tail = (tail.len() as u64, digest(tail));
        self.seen = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
    }
}

/// All cursors of a source.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    known: Vec<Cursor>,
}

impl Cursors {
    pub(super) fn from_rows(rows: &[(String, serde_json::Value)]) -> Self {
        let parsed = rows.iter().filter_map(|(key, row)| match serde_json::from_value(row.clone()) {
            Ok(cursor) => Some(cursor),
            Err(error) => {
                tracing::warn!(key, error = %error, "an unreadable cursor is forgotten");
                None
            }
        });
        Cursors { known: parsed.collect() }
    }

    pub(super) fn get(&self, number: usize) -> &Cursor {
        &self.known[number]
    }

    pub(super) fn get_mut(&mut self, number: usize) -> &mut Cursor {
        &mut self.known[number]
    }

    /// The cursors that a content fits, the furthest first.
    pub(super) fn fitting(&self, head: &[u8], content: &Content) -> io::Result<Vec<usize>> {
        let mut by_offset: Vec<usize> = (0..self.known.len()).collect();
        by_offset.sort_by_key(|number| self.known[*number].offset);
        let mut fitting = Vec::new();
        // offsets ascend, so one pass over a compressed content is enough but for overlaps
        let mut pass = content.again()?;
        for number in by_offset {
            let cursor = &self.known[number];
            // nothing is settled: there is nothing to know it by
            if cursor.offset == 0 || !cursor.fits_head(head) {
                continue;
            }
            if pass.position > cursor.offset.saturating_sub(TAIL as u64) {
                pass = content.again()?;
            }
            if cursor.fits_before(&mut pass)? {
                fitting.push(number);
            }
        }
        fitting.reverse();
        Ok(fitting)
    }

    /// Cursors of contents that begin with the same line: this one may be a shorter copy of theirs.
    pub(super) fn related(&self, head: &[u8]) -> Vec<usize> {
        (0..self.known.len()).filter(|number| self.known[*number].shares_first_line(head)).collect()
    }

    /// A new cursor at the beginning of a content.
    pub(super) fn begin(&mut self, path: String) -> usize {
        // one that was begun for this path and never settled anything serves again
        let unused = |cursor: &Cursor| cursor.offset == 0 && !cursor.begun && cursor.path == path;
        if let Some(number) = self.known.iter().position(unused) {
            self.known[number].begun = true;
            return number;
        }
        self.known.push(Cursor {
            path,
            offset: 0,
            head: (0, digest(b"")),
            tail: (0, digest(b"")),
            in_array: false,
            line: String::new(),
            occurrence: 0,
            seen: 0,
            begun: true,
        });
        self.known.len() - 1
    }

    /// A file is not read with this cursor any more.
    pub(super) fn release(&mut self, number: usize) {
        self.known[number].begun = false;
    }

    /// Gives a cursor its identity, once the first line of its content is there.
    pub(super) fn identify(&mut self, number: usize, head: &[u8]) {
        if !self.known[number].line.is_empty() {
            return;
        }
        let line = digest(first_line(head));
        let taken: Vec<u64> =
            self.known.iter().filter(|cursor| cursor.line == line).map(|cursor| cursor.occurrence).collect();
        let cursor = &mut self.known[number];
        // one of so many numbers and one more is free
        let free = (0..=taken.len() as u64).find(|number| !taken.contains(number));
        cursor.occurrence = free.unwrap_or_default();
        cursor.line = line;
    }

    /// Keys of rows to forget: cursors in excess, except those in use.
    pub(super) fn excess(&mut self, in_use: &[usize]) -> Vec<String> {
        let kept = self.known.iter().filter(|cursor| cursor.offset > 0).count();
        let excess = kept.saturating_sub(MOST);
        if excess == 0 {
            return Vec::new();
        }
        let mut idle: Vec<(u64, usize)> = self
            .known
            .iter()
            .enumerate()
            .filter(|(number, cursor)| !in_use.contains(number) && cursor.offset > 0)
            .map(|(number, cursor)| (cursor.seen, number))
            .collect();
        idle.sort_unstable();
        let mut keys = Vec::new();
        for (_, number) in idle.into_iter().take(excess) {
            let cursor = &mut self.known[number];
            keys.push(cursor.key());
            // numbers stay; a cursor at 0 is known to nothing
            cursor.offset = 0;
            cursor.path.clear();
            cursor.line.clear();
        }
        keys
    }
}
