//! Following files: growth, rotation by rename and by copy-truncate, new files.
//!
//! The system's file events wake the loop; a slow poll beside them covers file systems that have
//! none. Each round looks at every path again, so a missed event costs time and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use notify::{RecursiveMode, Watcher};

use super::super::SourceError;
use super::super::threaded::Emitter;
use super::content::{Content, FileState, Packing};
use super::reader::{Ended, Found, Reader, Step, StepError, Track};

/// The longest time between two rounds.
const POLL: Duration = Duration::from_secs(1);

/// File events that come together are handled together.
const GATHER: Duration = Duration::from_millis(10);

/// How long a file that no path leads to any more is kept open after it last grew.
const ORPHAN_PATIENCE: Duration = Duration::from_mins(1);

/// A file that is followed.
struct Followed {
    track: Track,
    state: FileState,
    last_growth: Instant,
    /// Where a run under `--once` stops.
    limit: u64,
    /// Not read yet.
    fresh: bool,
    /// Since when no path leads to it.
    unnamed_since: Option<Instant>,
}

/// What reading a file came to.
enum Reading {
    /// It was read to its end.
    Done,
    /// Its content is no longer what was read: it was cut, or written anew.
    Anew,
    /// It cannot be read on as it is.
    Stuck,
}

/// Follows the reader's files until stopped; under `--once` to the sizes of the first round.
pub(super) fn follow(
    reader: &mut Reader,
    emitter: &Emitter,
    wake: &SyncSender<()>,
    woken: &Receiver<()>,
) -> Result<(), Ended> {
    let _watcher = if reader.once { None } else { watch(reader.patterns(), wake) };
    let mut tail = Tail { followed: Vec::new(), parked: BTreeMap::new(), warned: BTreeMap::new() };
    loop {
        tail.round(reader, emitter)?;
        if reader.once {
            if reader.events == 0 && !tail.followed.is_empty() {
                reader.tell_nothing_new();
            }
            return Ok(());
        }
        if emitter.is_stopped() {
            return Err(Ended::Stopped);
        }
        if woken.recv_timeout(POLL).is_ok() {
            // a burst of events is one round
            let until = Instant::now() + GATHER;
            while woken.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
        }
        if emitter.is_stopped() {
            return Err(Ended::Stopped);
        }
    }
}

/// Watches the folders above the patterns. Without a watcher the poll does the work.
fn watch(patterns: &[PathBuf], wake: &SyncSender<()>) -> Option<notify::RecommendedWatcher> {
    let wake = wake.clone();
    let on_event = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // one word is enough, and the loop may have ended
            let _ = wake.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(on_event)
        .inspect_err(|error| tracing::warn!(error = %error, "no file events; looking once a second"))
        .ok()?;
    for pattern in patterns {
        let mut folder = PathBuf::new();
        let mut recursive = RecursiveMode::NonRecursive;
        let parts: Vec<_> = pattern.components().collect();
        for (at, part) in parts.iter().enumerate() {
            let text = part.as_os_str().to_string_lossy();
            if text.contains(['*', '?', '[']) {
                if at + 1 < parts.len() {
                    recursive = RecursiveMode::Recursive;
                }
                break;
            }
            if at + 1 < parts.len() {
                folder.push(part);
            }
        }
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        if let Err(error) = watcher.watch(folder, recursive) {
            tracing::debug!(folder = %folder.display(), error = %error, "not watched; looking once a second");
        }
    }
    Some(watcher)
}

struct Tail {
    followed: Vec<Followed>,
    /// Files that are copies of what is followed, or empty, by path: looked at again when they change.
    parked: BTreeMap<PathBuf, FileState>,
    /// Files that could not be opened, so that each is reported once.
    warned: BTreeMap<PathBuf, String>,
}

impl Tail {
    fn round(&mut self, reader: &mut Reader, emitter: &Emitter) -> Result<(), Ended> {
        // what is followed first: a cut frees a cursor for its copy
        self.read_followed(reader, emitter)?;
        let mut files = reader.list();
        while !emitter.is_stopped() {
            self.rename(reader, &files);
            if self.take_up(reader, &files, emitter)? == 0 {
                break;
            }
            files = reader.list();
        }
        self.drop_orphans(reader, &files, emitter)?;
        self.forget_excess(reader, emitter)
    }

    fn forget_excess(&self, reader: &mut Reader, emitter: &Emitter) -> Result<(), Ended> {
        let in_use: Vec<usize> = self.followed.iter().map(|followed| followed.track.cursor).collect();
        let any = self.followed.first().map(|followed| &followed.track);
        reader.forget_excess(&in_use, any, emitter)
    }

    /// Gives followed files the names that they have now.
    fn rename(&mut self, reader: &mut Reader, files: &BTreeMap<PathBuf, FileState>) {
        for followed in &mut self.followed {
            let inode = followed.track.inode;
            if files.get(&followed.track.path).is_some_and(|state| state.inode == inode) {
                continue;
            }
            if let Some((path, _)) = files.iter().find(|(_, state)| state.inode == inode) {
                tracing::debug!(from = %followed.track.path.display(), to = %path.display(), "the file was renamed");
                followed.track.renamed(path, &mut reader.cursors);
            }
        }
    }

    /// Starts to follow files that are there and not followed; how many. Each is read at once, so
    /// that the next one can be known as its copy.
    fn take_up(
        &mut self,
        reader: &mut Reader,
        files: &BTreeMap<PathBuf, FileState>,
        emitter: &Emitter,
    ) -> Result<usize, Ended> {
        let mut taken = 0;
        self.parked.retain(|path, _| files.contains_key(path));
        for (path, state) in files {
            if self.followed.iter().any(|followed| followed.track.inode == state.inode) {
                continue;
            }
            // a copy that has not changed is still one
            if self.parked.get(path) == Some(state) {
                continue;
            }
            match self.try_take_up(reader, path, *state) {
                Ok(false) => {}
                Ok(true) => {
                    taken += 1;
                    self.warned.remove(path);
                    self.read_on(self.followed.len() - 1, reader, emitter)?;
                }
                // a compressed file that is still being written
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    self.parked.insert(path.clone(), *state);
                }
                Err(error) => {
                    let message = error.to_string();
                    if self.warned.get(path) != Some(&message) {
                        tracing::warn!(file = %path.display(), error = message, "the file cannot be read; trying again");
                        self.warned.insert(path.clone(), message);
                    }
                }
            }
        }
        Ok(taken)
    }

    /// Whether the file is followed now.
    fn try_take_up(&mut self, reader: &mut Reader, path: &Path, state: FileState) -> std::io::Result<bool> {
        let content = Content::open(path)?;
        let (found, head) = reader.identify(&content)?;
        if found == Found::New && reader.is_unfinished(&content, &head) {
            self.parked.insert(path.to_path_buf(), state);
            return Ok(false);
        }
        let is_followed = |cursor| self.followed.iter().any(|followed| followed.track.cursor == cursor);
        match found {
            Found::Empty | Found::Copy(_) => {
                self.parked.insert(path.to_path_buf(), state);
                return Ok(false);
            }
            Found::Known(cursor) if is_followed(cursor) => {
                // as long as both are equal one of them is read; the longer one, if there is one
                let position = reader.cursors.get(cursor).offset;
                let other = self.followed.iter().position(|followed| followed.track.cursor == cursor);
                let is_longer = content.packing == Packing::Plain
                    && state.size > position
                    && other.is_some_and(|other| self.followed[other].state.size <= position);
                if !is_longer {
                    self.parked.insert(path.to_path_buf(), state);
                    return Ok(false);
                }
                if let Some(other) = other {
                    let other = self.let_go(other, reader);
                    self.parked.insert(other.track.path.clone(), other.state);
                }
            }
            Found::Known(_) | Found::New => {}
        }
        let limit = if reader.once && content.packing == Packing::Plain { state.size } else { u64::MAX };
        let Some(track) = reader.track(path, content, found, head)? else { return Ok(false) };
        self.parked.remove(path);
        self.followed.push(Followed {
            track,
            state,
            last_growth: Instant::now(),
            limit,
            fresh: true,
            unnamed_since: None,
        });
        Ok(true)
    }

    /// Reads what is new in the followed files.
    fn read_followed(&mut self, reader: &mut Reader, emitter: &Emitter) -> Result<(), Ended> {
        let mut at = 0;
        while at < self.followed.len() {
            if self.read_on(at, reader, emitter)? {
                at += 1;
            }
        }
        Ok(())
    }

    /// Reads one file to its end, or lets it go; whether it is still followed.
    fn read_on(&mut self, at: usize, reader: &mut Reader, emitter: &Emitter) -> Result<bool, Ended> {
        let reading = match self.read(at, reader, emitter) {
            Ok(reading) => reading,
            Err(Ended::Stopped) => return Err(Ended::Stopped),
            Err(Ended::Failed(error)) => {
                let path = &self.followed[at].track.path;
                tracing::warn!(file = %path.display(), error = %error, "the file cannot be read; trying again when it changes");
                Reading::Stuck
            }
        };
        match reading {
            Reading::Done => return Ok(true),
            Reading::Anew => {
                let gone = self.let_go(at, reader);
                tracing::debug!(file = %gone.track.path.display(), "the file was cut or written anew");
                // its copies may be the only place where the rest of it is
                self.parked.clear();
            }
            Reading::Stuck => {
                let gone = self.let_go(at, reader);
                self.parked.insert(gone.track.path.clone(), gone.state);
            }
        }
        Ok(false)
    }

    /// A file is not followed any more.
    fn let_go(&mut self, at: usize, reader: &mut Reader) -> Followed {
        let gone = self.followed.remove(at);
        reader.cursors.release(gone.track.cursor);
        gone
    }

    /// Reads one file to its end.
    fn read(&mut self, at: usize, reader: &mut Reader, emitter: &Emitter) -> Result<Reading, Ended> {
        let followed = &mut self.followed[at];
        let failed = |track: &Track, error| {
            Ended::Failed(SourceError::Io { context: format!("cannot read {}", track.path.display()), error })
        };
        let state = followed.track.content.state().map_err(|error| failed(&followed.track, error))?;
        if followed.track.content.packing != Packing::Plain {
            return read_packed(followed, state, reader, emitter);
        }
        if state.size < followed.track.position() {
            return Ok(Reading::Anew);
        }
        if state != followed.state {
            let cursor = reader.cursors.get(followed.track.cursor);
            let mut look = followed.track.content.again().map_err(|error| failed(&followed.track, error))?;
            if !cursor.fits_before(&mut look).map_err(|error| failed(&followed.track, error))? {
                return Ok(Reading::Anew);
            }
        }
        if state.size > followed.state.size {
            followed.last_growth = Instant::now();
        }
        followed.state = state;
        loop {
            match reader.step(&mut followed.track, followed.limit, emitter) {
                Ok(Step::Read(_)) => {}
                Ok(Step::End) => return Ok(Reading::Done),
                Err(StepError::Stopped) => return Err(Ended::Stopped),
                Err(StepError::Io(error)) => return Err(failed(&followed.track, error)),
            }
        }
    }

    /// Lets files go that no path leads to any more and that have stopped to grow. What they hold
    /// without a line break is complete then.
    fn drop_orphans(
        &mut self,
        reader: &mut Reader,
        files: &BTreeMap<PathBuf, FileState>,
        emitter: &Emitter,
    ) -> Result<(), Ended> {
        let mut at = 0;
        while at < self.followed.len() {
            let followed = &mut self.followed[at];
            if files.values().any(|state| state.inode == followed.track.inode) {
                followed.unnamed_since = None;
                at += 1;
                continue;
            }
            // the writer may still have it open, however long it was quiet before
            let unnamed_since = *followed.unnamed_since.get_or_insert_with(Instant::now);
            if unnamed_since.max(followed.last_growth).elapsed() < ORPHAN_PATIENCE {
                at += 1;
                continue;
            }
            let mut gone = self.let_go(at, reader);
            reader.finish(&mut gone.track, emitter)?;
        }
        Ok(())
    }
}

/// A compressed file is read when it has changed, from its cursor on. One that ends in the middle
/// of a member is still being written.
fn read_packed(
    followed: &mut Followed,
    state: FileState,
    reader: &mut Reader,
    emitter: &Emitter,
) -> Result<Reading, Ended> {
    if state != followed.state {
        // taken up again at its cursor
        return Ok(Reading::Anew);
    }
    if !std::mem::take(&mut followed.fresh) {
        return Ok(Reading::Done);
    }
    loop {
        match reader.step(&mut followed.track, u64::MAX, emitter) {
            Ok(Step::Read(_)) => {}
            Ok(Step::End) => {
                reader.finish(&mut followed.track, emitter)?;
                return Ok(Reading::Done);
            }
            Err(StepError::Stopped) => return Err(Ended::Stopped),
            // still being written, or damaged: taken up again at its cursor when it has changed
            Err(StepError::Io(_)) => return Ok(Reading::Stuck),
        }
    }
}
