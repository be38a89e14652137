//! The files of one sink: which are open, how long they are, what is recorded of them.

mod rotation;

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{Delivery, PositionRows, Rejection, SinkError, WriteError};
use super::disk::{Disk, DiskFile};
use super::durable::{Sync, Unsynced};
use super::{Compression, Rotate};
use crate::config::Size;
use crate::event::Fault;
use crate::state::Journal;
use crate::testkit;
use rotation::Progress;

/// Bytes that wait uncompressed for one file before they become a member or frame.
const FRAME: usize = 1 << 20;

/// The least that becomes a member or frame before an epoch ends.
const SMALLEST_FRAME: usize = 64 << 10;

/// Bytes that wait uncompressed for all files together.
const WAITING: usize = 8 << 20;

/// Epochs without a write after which a file is closed and its row forgotten.
const IDLE_EPOCHS: u64 = 10;

/// With more files than this, one epoch without a write is enough.
const MANY_FILES: usize = 1024;

/// Settings of the sink.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Compression of the files.
    pub compression: Compression,
    /// When a new file is begun.
    pub rotate: Rotate,
    /// Files that are kept open at once.
    pub max_open_files: usize,
}

/// What the state store holds of a file: bytes beyond `len` may be ours and belong to no epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    /// See [`super::Stat::id`].
    id: String,
    /// Length that the last epoch recorded.
    len: u64,
    /// The path that events ask for; the file's own path is numbered if files rotate.
    logical: String,
    /// When the file was begun, in milliseconds since 1970.
    begun: u64,
}

/// A file that is written.
struct Active {
    /// Path below the base folder.
    physical: String,
    id: String,
    device: u64,
    file: Option<Arc<dyn DiskFile>>,
    len: u64,
    /// Uncompressed bytes that are taken and not in the file yet.
    waiting: Vec<u8>,
    begun: u64,
    /// Written since the last epoch.
    dirty: bool,
    /// The last epoch that it was written in.
    last_epoch: u64,
    last_used: u64,
}

/// Files that are being written in this process, by identity: the sink, and the path it has them by.
/// No two sinks share one, nor two paths of one sink that lead to the same file.
static CLAIMS: LazyLock<Mutex<HashMap<String, (u64, String)>>> = LazyLock::new(Mutex::default);

static NEXT_OWNER: AtomicU64 = AtomicU64::new(1);

pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    base: PathBuf,
    settings: Settings,
    journal: Journal,
    /// By the path that events ask for.
    files: HashMap<Arc<str>, Active>,
    /// Files that were rotated away since the last epoch; their rows go with it. They are never
    /// written again, so no new row of theirs can cross that transaction.
    rotated: BTreeSet<String>,
    /// Files that were rotated away and are dirty: handle (if open), path and device.
    retired: Vec<Unsynced>,
    /// Folders with new entries.
    new_entries: BTreeSet<PathBuf>,
    open: usize,
    clock: u64,
    owner: u64,
    canonical_base: Option<PathBuf>,
    /// The last number of each rotating path, so that no name is looked at twice.
    numbers: HashMap<Arc<str>, u32>,
    /// How much of the current delivery is written, if it is written in pieces.
    progress: Progress,
    /// Files to be cut to a length before anything else: a write to them failed half-way.
    repairs: Vec<(Arc<str>, u64)>,
}

/// Why a part was not opened.
enum OpenError {
    /// The path itself is at fault: its events are refused.
    Refused(String),
    /// It may work later.
    Later(String),
}

impl OpenError {
    fn into_message(self) -> String {
        match self {
            OpenError::Refused(message) | OpenError::Later(message) => message,
        }
    }
}

impl Writer {
    pub(super) fn new(disk: Arc<dyn Disk>, base: PathBuf, settings: Settings, journal: Journal) -> Self {
        Writer {
            disk,
            base,
            settings,
            journal,
            files: HashMap::new(),
            rotated: BTreeSet::new(),
            retired: Vec::new(),
            new_entries: BTreeSet::new(),
            open: 0,
            clock: 0,
            owner: NEXT_OWNER.fetch_add(1, Ordering::Relaxed),
            canonical_base: None,
            numbers: HashMap::new(),
            progress: Progress::default(),
            repairs: Vec::new(),
        }
    }

    /// Makes the base folder and tries to open the file, if there is only one.
    pub(super) fn ready(&mut self, file: Option<&str>) -> Result<(), SinkError> {
        let fail = |path: &Path, error: io::Error| {
            SinkError::Fatal(format!("cannot write {}: {error}", path.display()))
        };
        self.make_folder(&self.base.clone()).map_err(|error| fail(&self.base, error))?;
        match file {
            Some(file) if !self.rotates() => {
                let path = self.base.join(file);
                self.disk.open(&path).map(drop).map_err(|error| fail(&path, error))?;
                self.new_entries.insert(self.base.clone());
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes up after a restart: cuts what no epoch recorded.
    pub(super) fn resume(&mut self, rows: Vec<(String, Value)>) -> Result<(), SinkError> {
        let mut forgotten = Vec::new();
        for (physical, row) in rows {
            let Ok(row) = serde_json::from_value::<Row>(row) else {
                tracing::warn!(file = physical, "an unreadable row is forgotten");
                forgotten.push((physical, None));
                continue;
            };
            let path = self.base.join(&physical);
            let later =
                |error: io::Error| SinkError::Fatal(format!("cannot take up {}: {error}", path.display()));
            let problem = match self.disk.stat(&path).map_err(later)? {
                None => "the file is missing",
                Some(stat) if stat.id != row.id => "it is another file",
                Some(stat) if stat.len < row.len => "the file is shorter than it was",
                Some(stat) => {
                    let file = self.disk.open(&path).map_err(later)?;
                    if stat.len > row.len {
                        file.set_len(row.len).map_err(later)?;
                        file.sync().map_err(later)?;
                        tracing::info!(
                            file = %path.display(),
                            bytes = stat.len - row.len,
                            "cut what no epoch had recorded; its events come again"
                        );
                    }
                    self.claim(&stat.id, &physical).map_err(SinkError::Fatal)?;
                    let active = Active {
                        physical,
                        id: row.id,
                        device: stat.device,
                        file: None,
                        len: row.len,
                        waiting: Vec::new(),
                        begun: row.begun,
                        dirty: false,
                        last_epoch: 0,
                        last_used: 0,
                    };
                    if let Some(older) = self.take_up(Arc::from(row.logical), active) {
                        forgotten.push((older, None));
                    }
                    continue;
                }
            };
            tracing::warn!(
                file = %path.display(),
                recorded = row.len,
                "{problem}; it is left as it is and appended to"
            );
            forgotten.push((physical, None));
        }
        self.record(forgotten)
    }

    /// Takes up a file after a restart. A crash may leave rows of a file that was just rotated away
    /// and of the next one: the last one goes on, and the path of the other, which is final, is
    /// returned.
    fn take_up(&mut self, logical: Arc<str>, active: Active) -> Option<String> {
        let order = |file: &Active| (file.physical.len(), file.physical.clone());
        let older = match self.files.remove(&logical) {
            Some(other) if order(&other) > order(&active) => {
                self.files.insert(logical, other);
                active
            }
            Some(other) => {
                self.files.insert(logical, active);
                other
            }
            None => {
                self.files.insert(logical, active);
                return None;
            }
        };
        self.release(&older.id);
        Some(older.physical)
    }

    pub(super) fn write(&mut self, delivery: &Delivery) -> Result<(), WriteError> {
        self.repair().map_err(WriteError::All)?;
        self.flush_full().map_err(WriteError::All)?;
        self.clock += 1;
        if self.rotates() {
            return self.write_in_pieces(delivery);
        }

        let mut rejections = Vec::new();
        let mut intents = Vec::new();
        let mut refused = vec![false; delivery.parts.len()];
        for (number, part) in delivery.parts.iter().enumerate() {
            match self.activate(&part.partition, &mut intents) {
                Ok(()) => {}
                Err(OpenError::Refused(message)) => {
                    refused[number] = true;
                    rejections.extend(refuse(number, 0..part.events.len(), &message));
                }
                Err(OpenError::Later(message)) => {
                    self.record(intents).map_err(WriteError::All)?;
                    return Err(WriteError::All(SinkError::Retry(message)));
                }
            }
        }
        // before the first byte in a file, what a restart needs to cut it again
        self.record(intents).map_err(WriteError::All)?;
        testkit::crash_point("file.intent");

        let mut before = Vec::with_capacity(delivery.parts.len());
        let parts = delivery.parts.iter().zip(&refused).filter(|(_, refused)| !**refused);
        for (part, _) in parts {
            if let Err(error) = self.append(&part.partition, &part.data, &mut before) {
                return Err(self.undo(&part.partition, &error, before));
            }
        }
        testkit::crash_point("file.written");
        if rejections.is_empty() { Ok(()) } else { Err(WriteError::Rejected(rejections)) }
    }

    /// Compresses what waits and appends it.
    pub(super) fn flush(&mut self) -> Result<(), SinkError> {
        self.repair()?;
        let waiting: Vec<Arc<str>> = self
            .files
            .iter()
            .filter(|(_, file)| !file.waiting.is_empty())
            .map(|(path, _)| path.clone())
            .collect();
        for path in waiting {
            self.flush_one(&path)?;
        }
        self.rotate();
        Ok(())
    }

    /// Ends an epoch: what has to be synced, and the rows that hold once it is.
    pub(super) fn cut(&mut self, epoch: u64) -> (Sync, PositionRows) {
        let mut sync = Sync {
            disk: self.disk.clone(),
            files: std::mem::take(&mut self.retired),
            folders: std::mem::take(&mut self.new_entries).into_iter().collect(),
            base: self.base.clone(),
        };
        let rotated = std::mem::take(&mut self.rotated).into_iter();
        let mut rows: PositionRows = rotated.map(|physical| (physical, None)).collect();
        for (logical, file) in self.files.iter_mut().filter(|(_, file)| file.dirty) {
            file.dirty = false;
            file.last_epoch = epoch;
            if let Some(stat) = file.file.as_ref().and_then(|handle| handle.stat().ok())
                && stat.len > file.len
                && stat.device == file.device
            {
                // somebody else appends too: what is there now is never cut
                tracing::warn!(
                    file = %self.base.join(&file.physical).display(),
                    bytes = stat.len - file.len,
                    "the file holds bytes that are not from here"
                );
                file.len = stat.len;
            }
            sync.files.push((file.file.clone(), self.base.join(&file.physical), file.device));
            rows.push((file.physical.clone(), Some(file.row(logical))));
        }
        (sync, rows)
    }

    /// An epoch is recorded: files that got nothing for a while need no row any more, for nothing
    /// of ours is in them beyond their recorded length.
    ///
    /// Their rows are not taken away with an epoch: it would race with the row that is recorded
    /// when such a file is written again.
    pub(super) fn published(&mut self, epoch: u64) -> Result<(), SinkError> {
        let patience = if self.files.len() > MANY_FILES { 1 } else { IDLE_EPOCHS };
        let idle: Vec<Arc<str>> = self
            .files
            .iter()
            .filter(|(_, file)| !file.dirty && file.last_epoch + patience <= epoch)
            .map(|(logical, _)| logical.clone())
            .collect();
        let mut rows = Vec::with_capacity(idle.len());
        for logical in idle {
            if let Some(file) = self.files.remove(&logical) {
                self.open -= usize::from(file.file.is_some());
                self.release(&file.id);
                rows.push((file.physical, None));
            }
        }
        self.record(rows)
    }

    /// The last epoch is recorded and nobody writes any more.
    pub(super) fn close(&mut self) -> PositionRows {
        let files = std::mem::take(&mut self.files);
        for file in files.values() {
            self.release(&file.id);
        }
        self.open = 0;
        files.into_values().map(|file| (file.physical, None)).collect()
    }

    fn record(&self, rows: PositionRows) -> Result<(), SinkError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.journal.record(rows).map_err(|error| SinkError::Fatal(error.to_string()))
    }

    /// Makes sure that the file of a path is known and open, and its row recorded or in `intents`.
    fn activate(&mut self, logical: &Arc<str>, intents: &mut PositionRows) -> Result<(), OpenError> {
        let clock = self.clock;
        if let Some(file) = self.files.get_mut(logical) {
            file.last_used = clock;
            return self.handle(logical).map(drop);
        }
        let physical = if self.rotates() { self.numbered(logical)? } else { logical.to_string() };
        let path = self.base.join(&physical);
        let existed = self.disk.stat(&path).map_err(|error| Self::classify(&path, &error))?.is_some();
        let handle = self.open_file(&physical)?;
        if !existed {
            self.new_entries.insert(parent_of(&path));
        }
        let stat = handle.stat().map_err(|error| Self::classify(&path, &error))?;
        if let Err(message) = self.claim(&stat.id, &physical) {
            self.open -= 1;
            return Err(OpenError::Refused(message));
        }
        let active = Active {
            physical: physical.clone(),
            id: stat.id,
            device: stat.device,
            file: Some(handle),
            len: stat.len,
            waiting: Vec::new(),
            begun: if stat.len > 0 && stat.born_ms > 0 { stat.born_ms } else { now_ms() },
            dirty: false,
            last_epoch: 0,
            last_used: clock,
        };
        intents.push((physical, Some(active.row(logical))));
        self.files.insert(logical.clone(), active);
        Ok(())
    }

    /// The open file of a path that is known.
    fn handle(&mut self, logical: &Arc<str>) -> Result<Arc<dyn DiskFile>, OpenError> {
        let Some(file) = self.files.get(logical) else {
            return Err(OpenError::Later(format!("{logical} is not known")));
        };
        if let Some(handle) = &file.file {
            return Ok(handle.clone());
        }
        let physical = file.physical.clone();
        let handle = self.open_file(&physical)?;
        if let Some(file) = self.files.get_mut(logical) {
            file.file = Some(handle.clone());
        }
        Ok(handle)
    }

    /// Opens a file below the base folder, closing another one if too many are open.
    fn open_file(&mut self, physical: &str) -> Result<Arc<dyn DiskFile>, OpenError> {
        let path = self.base.join(physical);
        let folder = parent_of(&path);
        self.make_folder(&folder).map_err(|error| Self::classify(&path, &error))?;
        if self.canonical_base.is_none() {
            let base = self.base.clone();
            self.canonical_base =
                Some(self.disk.canonical(&base).map_err(|error| Self::classify(&path, &error))?);
        }
        let canonical = self.disk.canonical(&folder).map_err(|error| Self::classify(&path, &error))?;
        if self.canonical_base.as_ref().is_some_and(|base| !canonical.starts_with(base)) {
            return Err(OpenError::Refused(format!(
                "the path {} leaves its base folder by a symbolic link",
                path.display()
            )));
        }
        while self.open >= self.settings.max_open_files && self.close_one() {}
        let handle = self.disk.open(&path).map_err(|error| Self::classify(&path, &error))?;
        self.open += 1;
        Ok(handle)
    }

    /// Closes the file that was not used for the longest time. It is opened again when needed.
    fn close_one(&mut self) -> bool {
        let open = self.files.values_mut().filter(|file| file.file.is_some());
        let oldest = open.min_by_key(|file| file.last_used);
        match oldest {
            Some(file) => {
                // its dirty pages are synced with the file system
                file.file = None;
                self.open -= 1;
                true
            }
            None => false,
        }
    }

    fn make_folder(&mut self, folder: &Path) -> io::Result<()> {
        self.new_entries.extend(self.disk.create_dir_all(folder)?);
        Ok(())
    }

    /// Whether an error is the path's own fault, or one that may pass.
    fn classify(path: &Path, error: &io::Error) -> OpenError {
        use io::ErrorKind::{AlreadyExists, InvalidFilename, IsADirectory, NotADirectory};
        let message = format!("cannot write {}: {error}", path.display());
        match error.kind() {
            // a folder where a file should be, or the other way round: no retry mends that
            IsADirectory | NotADirectory | InvalidFilename | AlreadyExists => OpenError::Refused(message),
            _ => OpenError::Later(message),
        }
    }

    fn claim(&self, id: &str, physical: &str) -> Result<(), String> {
        let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
        let (owner, path) = claims.entry(id.to_owned()).or_insert_with(|| (self.owner, physical.to_owned()));
        match (*owner == self.owner, path == physical) {
            (true, true) => Ok(()),
            (true, false) => Err(format!("{physical} is the same file as {path}")),
            (false, _) => Err(format!("another sink writes {physical}")),
        }
    }

    fn release(&self, id: &str) {
        let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.get(id).is_some_and(|(owner, _)| *owner == self.owner) {
            claims.remove(id);
        }
    }

    fn append(
        &mut self,
        logical: &Arc<str>,
        data: &[u8],
        before: &mut Vec<(Arc<str>, u64)>,
    ) -> io::Result<()> {
        let compresses = self.compression(logical) != Compression::None;
        if compresses {
            if let Some(file) = self.files.get_mut(logical) {
                file.waiting.extend_from_slice(data);
                file.dirty = true;
            }
            return Ok(());
        }
        // a delivery to more files than may be open has closed some of them again
        let handle = self.handle(logical).map_err(|error| io::Error::other(error.into_message()))?;
        let Some(file) = self.files.get_mut(logical) else { return Ok(()) };
        before.push((logical.clone(), file.len));
        file.dirty = true;
        if testkit::hit("file.torn") {
            // as a kill in the middle of a write would leave it
            handle.append(&data[..data.len() / 2])?;
            std::process::abort();
        }
        handle.append(data)?;
        file.len += data.len() as u64;
        Ok(())
    }

    /// A write failed half-way: all of it or nothing, so what it wrote is cut again.
    fn undo(&mut self, logical: &str, error: &io::Error, before: Vec<(Arc<str>, u64)>) -> WriteError {
        self.repairs = before;
        if let Err(again) = self.repair() {
            tracing::debug!(error = %again, "what was half-written is cut before the next try");
        }
        let path = self.base.join(logical);
        WriteError::All(SinkError::Retry(format!("cannot write {}: {error}", path.display())))
    }

    /// Cuts files back to where they were before a delivery that failed half-way.
    fn repair(&mut self) -> Result<(), SinkError> {
        while let Some((logical, len)) = self.repairs.last().cloned() {
            if let Some(file) = self.files.get_mut(&logical) {
                let path = self.base.join(&file.physical);
                let cut = match &file.file {
                    Some(handle) => handle.set_len(len),
                    None => self.disk.open(&path).and_then(|handle| handle.set_len(len)),
                };
                cut.map_err(|error| SinkError::Retry(format!("cannot cut {}: {error}", path.display())))?;
                file.len = len;
            }
            self.repairs.pop();
        }
        Ok(())
    }

    /// Makes members of what has waited long enough.
    fn flush_full(&mut self) -> Result<(), SinkError> {
        let total: usize = self.files.values().map(|file| file.waiting.len()).sum();
        let all = total > WAITING;
        // files of a small size are made of small members
        let size = self.settings.rotate.size.map_or(u64::MAX, Size::bytes);
        let frame = size.saturating_mul(4).clamp(SMALLEST_FRAME as u64, FRAME as u64) as usize;
        let full: Vec<Arc<str>> = self
            .files
            .iter()
            .filter(|(_, file)| file.waiting.len() >= frame || (all && !file.waiting.is_empty()))
            .map(|(logical, _)| logical.clone())
            .collect();
        for logical in full {
            self.flush_one(&logical)?;
        }
        self.rotate();
        Ok(())
    }

    fn flush_one(&mut self, logical: &Arc<str>) -> Result<(), SinkError> {
        let compression = self.compression(logical);
        let Some(file) = self.files.get(logical) else { return Ok(()) };
        let path = self.base.join(&file.physical);
        let fail = |error: io::Error| SinkError::Retry(format!("cannot write {}: {error}", path.display()));
        let frame = compress(compression, &file.waiting).map_err(fail)?;
        let handle = self.handle(logical).map_err(|error| SinkError::Retry(error.into_message()))?;
        let Some(file) = self.files.get_mut(logical) else { return Ok(()) };
        if let Err(error) = handle.append(&frame) {
            self.repairs = vec![(logical.clone(), file.len)];
            return Err(fail(error));
        }
        file.len += frame.len() as u64;
        file.waiting.clear();
        file.waiting.shrink_to(FRAME);
        Ok(())
    }

    fn compression(&self, logical: &str) -> Compression {
        match self.settings.compression {
            Compression::Auto => match logical.rsplit('.').next() {
                Some("gz") => Compression::Gzip,
                Some("zst") => Compression::Zstd,
                _ => Compression::None,
            },
            other => other,
        }
    }
}

impl Active {
    fn row(&self, logical: &str) -> Value {
        let row = Row { id: self.id.clone(), len: self.len, logical: logical.to_owned(), begun: self.begun };
        serde_json::to_value(row).unwrap_or_default()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        for file in self.files.values() {
            self.release(&file.id);
        }
    }
}

/// Events of a part whose path is at fault.
fn refuse(part: usize, events: Range<usize>, message: &str) -> impl Iterator<Item = Rejection> {
    events.map(move |event| Rejection { part, event, fault: Fault::new("path", message) })
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn now_ms() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}

fn compress(compression: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::bulk::compress(bytes, 0),
        Compression::Auto | Compression::None => Ok(bytes.to_vec()),
    }
}
