//! Reading one content after the other, and knowing which file holds which.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use chrono::Utc;

use super::super::framing::{Codec, Framer};
use super::super::threaded::{Emitter, Stopped};
use super::super::{BATCH_BYTES, BATCH_EVENTS, SourceContext, SourceError};
use super::FileSource;
use super::content::{Content, FileState, Inode, Packing, is_beginning_of};
use super::cursor::{Cursors, HEAD, TAIL};
use crate::event::{Batch, CursorRows, Event, Fault, Origin, Payload, Place};

/// The least that is read at once.
const SMALLEST_CHUNK: usize = 4 << 10;

/// Why reading ended before its time.
pub(super) enum Ended {
    /// The pipeline wants no more.
    Stopped,
    /// It cannot go on.
    Failed(SourceError),
}

impl From<Stopped> for Ended {
    fn from(_: Stopped) -> Self {
        Ended::Stopped
    }
}

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The content of this cursor.
    Known(usize),
    /// A copy of the content of this cursor that ends before it does.
    Copy(usize),
    /// A content never seen.
    New,
    /// Nothing yet.
    Empty,
}

/// A content that is being read.
pub(super) struct Track {
    pub(super) path: PathBuf,
    pub(super) content: Content,
    pub(super) cursor: usize,
    pub(super) inode: Inode,
    framer: Framer,
    head: Vec<u8>,
    /// The last bytes before the position.
    before: Vec<u8>,
    shown: Arc<str>,
    /// Bytes to read at once, so that they hold about as many events as a batch should.
    chunk: usize,
}

/// Reads files and emits their events.
pub(super) struct Reader {
    name: Arc<str>,
    codec: Codec,
    max_line: usize,
    patterns: Vec<PathBuf>,
    pub(super) cursors: Cursors,
    pub(super) once: bool,
    reset_hint: Arc<str>,
    done: u64,
    total: u64,
    /// Events read in this run.
    pub(super) events: u64,
}

impl Reader {
    pub(super) fn new(config: &FileSource, patterns: &[PathBuf], context: &SourceContext) -> Self {
        Reader {
            name: context.name.clone(),
            codec: config.codec,
            max_line: config.max_line.as_usize(),
            patterns: patterns.to_vec(),
            cursors: Cursors::from_rows(&context.rows),
            once: context.once,
            reset_hint: context.reset_hint.clone(),
            done: 0,
            total: 0,
            events: 0,
        }
    }

    /// Files that the patterns name now, by path, and what the system says of them. A file under
    /// two names is there once.
    pub(super) fn list(&self) -> BTreeMap<PathBuf, FileState> {
        let mut files = BTreeMap::new();
        let mut inodes = std::collections::BTreeSet::new();
        for path in self.patterns.iter().flat_map(|pattern| expand(pattern)) {
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let state = FileState::of(&metadata);
            if !metadata.is_dir() && !files.contains_key(&path) && inodes.insert(state.inode) {
                files.insert(path, state);
            }
        }
        files
    }

    /// Patterns, for watching.
    pub(super) fn patterns(&self) -> &[PathBuf] {
        &self.patterns
    }

    /// Reads every file to its end.
    pub(super) fn read_all(&mut self, emitter: &Emitter) -> Result<(), Ended> {
        let mut failure = None;
        for pattern in &self.patterns {
            if let (true, Err(error)) = (is_literal(pattern), std::fs::metadata(pattern)) {
                failure =
                    Some(SourceError::Io { context: format!("cannot open {}", pattern.display()), error });
            }
        }
        let files = self.list();
        if files.is_empty() && failure.is_none() {
            tracing::warn!(source = &*self.name, "no file matches `paths`");
        }
        self.total = files.values().map(|state| state.size).sum();
        let mut events = 0;
        for (path, state) in &files {
            match self.read_one(path, emitter) {
                Ok(emitted) => events += emitted,
                Err(Ended::Stopped) => return Err(Ended::Stopped),
                Err(Ended::Failed(error)) => {
                    tracing::error!(source = &*self.name, error = %error, "a file cannot be read");
                    failure.get_or_insert(error);
                }
            }
            self.done += state.size;
            emitter.progress(self.done, self.total);
        }
        if events == 0 && !files.is_empty() && failure.is_none() {
            self.tell_nothing_new();
        }
        failure.map_or(Ok(()), |error| Err(Ended::Failed(error)))
    }

    /// Says that there is nothing new, and how to read the old again.
    pub(super) fn tell_nothing_new(&self) {
        tracing::info!(
            source = &*self.name,
            "nothing new: all files were read before; `{} {}` reads them again",
            self.reset_hint,
            self.name
        );
    }

    fn read_one(&mut self, path: &Path, emitter: &Emitter) -> Result<u64, Ended> {
        let failed = |error| {
            Ended::Failed(SourceError::Io { context: format!("cannot read {}", path.display()), error })
        };
        let content = Content::open(path).map_err(failed)?;
        let (mut found, head) = self.identify(&content).map_err(failed)?;
        if found == Found::Empty && content.packing != Packing::Plain {
            // whether it is empty or cut off shows in reading it
            found = Found::New;
        }
        if let Found::Copy(cursor) = found {
            tracing::info!(
                source = &*self.name,
                file = %path.display(),
                copy_of = self.cursors.get(cursor).path,
                "a copy of what was read; it is not read again"
            );
            return Ok(0);
        }
        let Some(mut track) = self.track(path, content, found, head).map_err(failed)? else { return Ok(0) };
        let mut events = 0;
        loop {
            match self.step(&mut track, u64::MAX, emitter) {
                Ok(Step::Read(emitted)) => events += emitted,
                Ok(Step::End) => {
                    events += self.finish(&mut track, emitter)?;
                    return Ok(events);
                }
                Err(StepError::Stopped) => return Err(Ended::Stopped),
                Err(StepError::Io(error)) if track.content.packing != Packing::Plain => {
                    // what came before is good; the cursor stays before the damage
                    self.report_damage(&track, &error, emitter)?;
                    return Ok(events + 1);
                }
                Err(StepError::Io(error)) => return Err(failed(error)),
            }
            emitter.progress(self.done + track.content.position.min(self.total - self.done), self.total);
        }
    }

    /// What the file at hand is, and its first bytes.
    pub(super) fn identify(&self, content: &Content) -> io::Result<(Found, Vec<u8>)> {
        let mut head = Vec::with_capacity(HEAD);
        match content.again()?.take(HEAD as u64).read_to_end(&mut head) {
            Ok(_) => {}
            // a compressed file that is still being written
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error),
        }
        if head.is_empty() {
            return Ok((Found::Empty, head));
        }
        if let Some(furthest) = self.cursors.fitting(&head, content)?.first() {
            return Ok((Found::Known(*furthest), head));
        }
        for number in self.cursors.related(&head) {
            let cursor = self.cursors.get(number);
            let Ok(original) = Content::open(Path::new(&cursor.path)) else { continue };
            if original.state()?.inode == content.state()?.inode {
                continue;
            }
            // only what was read of the original counts
            let longer = original.again().and_then(|mut original| original.skip_to(cursor.offset));
            if !longer.unwrap_or(false) {
                continue;
            }
            if is_beginning_of(content.again()?, original)? {
                return Ok((Found::Copy(number), head));
            }
        }
        Ok((Found::New, head))
    }

    /// Starts to read a content at its cursor. `None` if there is nothing in it.
    pub(super) fn track(
        &mut self,
        path: &Path,
        mut content: Content,
        found: Found,
        head: Vec<u8>,
    ) -> io::Result<Option<Track>> {
        let shown: Arc<str> = Arc::from(path.display().to_string());
        let cursor = match found {
            Found::Known(cursor) => cursor,
            Found::New => self.cursors.begin(shown.to_string()),
            Found::Copy(_) | Found::Empty => return Ok(None),
        };
        let state = self.cursors.get_mut(cursor);
        shown.as_ref().clone_into(&mut state.path);
        let (offset, in_array) = (state.offset, state.in_array);
        let lead = offset.min(TAIL as u64);
        let Some(before) = content.bytes_at(offset - lead, lead as usize)? else {
            // cut since it was looked at
            return Ok(None);
        };
        Ok(Some(Track {
            path: path.to_path_buf(),
            inode: content.state()?.inode,
            framer: Framer::new(self.codec, self.max_line, offset, in_array),
            content,
            cursor,
            head,
            before,
            shown,
            chunk: BATCH_BYTES / 4,
        }))
    }

    /// Reads one chunk, not beyond `limit`, and emits its events.
    pub(super) fn step(
        &mut self,
        track: &mut Track,
        limit: u64,
        emitter: &Emitter,
    ) -> Result<Step, StepError> {
        let room = limit.saturating_sub(track.content.position).min(track.chunk as u64) as usize;
        let mut chunk = BytesMut::zeroed(room);
        let read = match track.content.read(&mut chunk) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Step::Read(0)),
            Err(error) => return Err(StepError::Io(error)),
        };
        if read == 0 {
            return Ok(Step::End);
        }
        chunk.truncate(read);
        let chunk = chunk.freeze();
        if track.content.position == read as u64 {
            // what was seen of the beginning before may have been cut since
            track.head.clear();
        }
        if track.head.len() < HEAD && track.content.position - read as u64 <= track.head.len() as u64 {
            let known = track.head.len() - (track.content.position - read as u64) as usize;
            let fresh = chunk.get(known..).unwrap_or_default();
            track.head.extend_from_slice(&fresh[..fresh.len().min(HEAD - track.head.len())]);
        }
        let chunk_start = track.content.position - read as u64;
        let mut events = Vec::new();
        track.framer.feed(chunk.clone(), &mut events);
        let count = events.len() as u64;
        self.events += count;
        if events.len() > 2 * BATCH_EVENTS {
            track.chunk = (track.chunk / 2).max(SMALLEST_CHUNK);
        } else if events.len() < BATCH_EVENTS / 2 {
            track.chunk = (track.chunk * 2).min(BATCH_BYTES);
        }
        let rows = self.advance(track, chunk_start, &chunk);
        self.emit(track, events, rows, emitter)?;
        Ok(Step::Read(count))
    }

    /// The content is complete: what is left without a line break is an event.
    pub(super) fn finish(&mut self, track: &mut Track, emitter: &Emitter) -> Result<u64, Ended> {
        let mut events = Vec::new();
        track.framer.finish(true, &mut events);
        let count = events.len() as u64;
        let rows = self.advance(track, track.content.position, &Bytes::new());
        self.emit(track, events, rows, emitter).map_err(|_| Ended::Stopped)?;
        Ok(count)
    }

    /// Moves the cursor to what the framer has settled; the row, if it moved.
    fn advance(&mut self, track: &mut Track, chunk_start: u64, chunk: &Bytes) -> CursorRows {
        let settled = track.framer.settled();
        if settled > 0 {
            self.cursors.identify(track.cursor, &track.head);
        }
        let cursor = self.cursors.get_mut(track.cursor);
        let mut rows = CursorRows::new();
        if settled > cursor.offset && settled >= chunk_start {
            let in_chunk = (settled - chunk_start) as usize;
            let mut before = std::mem::take(&mut track.before);
            before.extend_from_slice(&chunk[..in_chunk]);
            cursor.advance(settled, track.framer.in_array(), &track.head, &before);
            before.extend_from_slice(&chunk[in_chunk..]);
            track.before = before;
            rows.push((cursor.key(), serde_json::to_value(&*cursor).ok()));
        } else {
            track.before.extend_from_slice(chunk);
        }
        let excess = track.before.len().saturating_sub(TAIL);
        track.before.drain(..excess);
        rows
    }

    fn emit(
        &self,
        track: &Track,
        events: Vec<Event>,
        rows: CursorRows,
        emitter: &Emitter,
    ) -> Result<(), Stopped> {
        if events.is_empty() && rows.is_empty() {
            return Ok(());
        }
        // one batch, for a barrier between two would find one cursor for both
        emitter.emit(Batch::new(events, Arc::new(self.origin(track)), rows))
    }

    fn origin(&self, track: &Track) -> Origin {
        Origin {
            source: self.name.clone(),
            place: Place::File {
                path: track.shown.clone(),
                identity: self.cursors.get(track.cursor).identity(),
            },
            ingested_at: Utc::now(),
        }
    }

    /// A compressed file ends in the middle or is damaged: an error event tells so.
    fn report_damage(&self, track: &Track, error: &io::Error, emitter: &Emitter) -> Result<(), Ended> {
        let message = format!("{} cannot be decompressed to its end: {error}", track.shown);
        let event = Event {
            payload: Payload::Fault(Box::new(Fault::new("damaged_file", message))),
            offset: u128::from(track.content.position),
        };
        emitter.emit(Batch::new(vec![event], Arc::new(self.origin(track)), CursorRows::new()))?;
        Ok(())
    }

    /// Forgets cursors in excess of what is kept; the rows go with a batch of any content.
    pub(super) fn forget_excess(
        &mut self,
        in_use: &[usize],
        any: Option<&Track>,
        emitter: &Emitter,
    ) -> Result<(), Ended> {
        let rows: CursorRows = self.cursors.excess(in_use).into_iter().map(|key| (key, None)).collect();
        if let (false, Some(track)) = (rows.is_empty(), any) {
            emitter.emit(Batch::new(Vec::new(), Arc::new(self.origin(track)), rows))?;
        }
        Ok(())
    }

    /// Whether what is there can be told apart: a plain file that is followed has no event, and no
    /// identity, before its first line is complete.
    pub(super) fn is_unfinished(&self, content: &Content, head: &[u8]) -> bool {
        let may_wait = content.packing == Packing::Plain && self.codec != Codec::Json;
        may_wait && head.len() < HEAD && memchr::memchr(b'\n', head).is_none()
    }
}

impl Track {
    /// Bytes of content that were read.
    pub(super) fn position(&self) -> u64 {
        self.content.position
    }

    /// The file is known by another name now.
    pub(super) fn renamed(&mut self, path: &Path, cursors: &mut Cursors) {
        cursors.get_mut(self.cursor).path = path.display().to_string();
        self.path = path.to_path_buf();
        self.shown = Arc::from(path.display().to_string());
    }
}

/// What a step did.
pub(super) enum Step {
    /// So many events.
    Read(u64),
    /// The content ends here, for now.
    End,
}

/// Why a step failed.
pub(super) enum StepError {
    Stopped,
    Io(io::Error),
}

impl From<Stopped> for StepError {
    fn from(_: Stopped) -> Self {
        StepError::Stopped
    }
}

/// Whether a pattern is a plain path.
fn is_literal(pattern: &Path) -> bool {
    !pattern.as_os_str().as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

fn expand(pattern: &Path) -> Vec<PathBuf> {
    if is_literal(pattern) || pattern.exists() {
        return vec![pattern.to_path_buf()];
    }
    let Some(text) = pattern.to_str() else { return Vec::new() };
    match glob::glob(text) {
        Ok(paths) => paths.flatten().collect(),
        Err(_) => Vec::new(),
    }
}
