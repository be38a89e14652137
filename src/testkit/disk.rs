//! A simulated file system that loses and tears what was not synced.
//!
//! Writes go to a live image; [`SimDisk::crash`] makes the image that a machine would find after a
//! power cut: everything that was synced, and of the rest any part — each write there, gone, or cut
//! to some of its bytes. New entries of a folder that was not synced may be gone with their file.
//! After a number of operations every call fails, so that code is stopped at any point.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::sink::file::{Disk, DiskFile, Stat};

/// The disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

impl Default for SimDisk {
    fn default() -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        SimDisk(Arc::new(Mutex::new(State { serial, ..State::default() })))
    }
}

#[derive(Debug, Default)]
struct State {
    /// Tells the files of several disks apart.
    serial: u64,
    nodes: BTreeMap<u64, Node>,
    entries: BTreeMap<PathBuf, u64>,
    /// Entries that a crash cannot take away.
    durable_entries: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
    next_id: u64,
    operations: u64,
    /// The number of operations after which everything fails.
    dies_after: Option<u64>,
    /// Bytes that all files together may have.
    room: Option<u64>,
}

#[derive(Debug, Default, Clone)]
struct Node {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(offset, data) => {
                let end = *offset as usize + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset as usize..end].copy_from_slice(data);
            }
            Change::SetLen(length) => bytes.resize(*length as usize, 0),
        }
    }
}

fn dead() -> io::Error {
    io::Error::other("the simulated machine is off")
}

impl SimDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everything fail after so many more operations.
    pub fn die_after(&self, operations: u64) {
        let mut state = self.state();
        state.dies_after = Some(state.operations + operations);
    }

    /// Bounds the bytes of all files, or lifts the bound.
    pub fn set_room(&self, room: Option<u64>) {
        self.state().room = room;
    }

    /// The disk after a power cut. `random(n)` yields a number below `n`.
    #[must_use]
    pub fn crash(&self, random: &mut dyn FnMut(u64) -> u64) -> SimDisk {
        let state = self.state();
        let mut after = State {
            serial: state.serial,
            folders: state.folders.clone(),
            next_id: state.next_id,
            ..State::default()
        };
        for (path, id) in &state.entries {
            if !state.durable_entries.contains(path) && random(2) == 0 {
                continue;
            }
            let node = state.nodes.get(id).cloned().unwrap_or_default();
            let mut bytes = node.durable;
            for change in &node.unsynced {
                match (random(4), change) {
                    (0, _) => {}
                    (1, Change::Write(offset, data)) if !data.is_empty() => {
                        let kept = random(data.len() as u64) as usize;
                        Change::Write(*offset, data[..kept].to_vec()).apply(&mut bytes);
                    }
                    (_, change) => change.apply(&mut bytes),
                }
            }
            after.entries.insert(path.clone(), *id);
            after.durable_entries.insert(path.clone());
            after.nodes.insert(*id, Node { live: bytes.clone(), durable: bytes, unsynced: Vec::new() });
        }
        SimDisk(Arc::new(Mutex::new(after)))
    }

    /// Content of all files below a folder, by path.
    pub fn files(&self, below: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state();
        let entries = state.entries.iter().filter(|(path, _)| path.starts_with(below));
        entries.map(|(path, id)| (path.clone(), state.nodes[id].live.clone())).collect()
    }

    /// A file as storage of the state store.
    pub fn storage(&self, path: &Path) -> io::Result<impl StorageBackend + use<>> {
        let id = self.state().open(path)?;
        self.state().durable_entries.insert(path.to_path_buf());
        Ok(SimFile { disk: self.clone(), id })
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.dies_after {
            Some(end) if self.operations > end => Err(dead()),
            _ => Ok(()),
        }
    }

    fn open(&mut self, path: &Path) -> io::Result<u64> {
        self.step()?;
        if let Some(id) = self.entries.get(path) {
            return Ok(*id);
        }
        self.next_id += 1;
        let id = self.next_id;
        self.nodes.insert(id, Node::default());
        self.entries.insert(path.to_path_buf(), id);
        self.durable_entries.remove(path);
        Ok(id)
    }

    fn change(&mut self, id: u64, change: Change) -> io::Result<()> {
        self.step()?;
        let used: u64 = self.nodes.values().map(|node| node.live.len() as u64).sum();
        let node = self.nodes.entry(id).or_default();
        if let (Change::Write(offset, data), Some(room)) = (&change, self.room) {
            let grows = (*offset + data.len() as u64).saturating_sub(node.live.len() as u64);
            if used + grows > room {
                // a part of it may have found room
                let kept = data[..data.len() / 2].to_vec();
                if used + kept.len() as u64 <= room {
                    let part = Change::Write(*offset, kept);
                    part.apply(&mut node.live);
                    node.unsynced.push(part);
                }
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
        }
        change.apply(&mut node.live);
        node.unsynced.push(change);
        Ok(())
    }

    fn sync(&mut self, id: u64) -> io::Result<()> {
        self.step()?;
        if let Some(node) = self.nodes.get_mut(&id) {
            node.durable.clone_from(&node.live);
            node.unsynced.clear();
        }
        Ok(())
    }

    fn stat(&self, id: u64) -> Stat {
        let len = self.nodes.get(&id).map_or(0, |node| node.live.len() as u64);
        Stat { id: format!("{}:{id}", self.serial), device: 1, len, born_ms: 0 }
    }
}

impl Disk for SimDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut state = self.state();
        state.step()?;
        // folders survive; what is tested are files
        Ok(if state.folders.insert(path.to_path_buf()) { vec![path.to_path_buf()] } else { Vec::new() })
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let id = self.state().open(path)?;
        Ok(Arc::new(SimFile { disk: self.clone(), id }))
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let mut state = self.state();
        state.step()?;
        Ok(state.entries.get(path).map(|id| state.stat(*id)))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let inside: Vec<_> =
            state.entries.keys().filter(|entry| entry.parent() == Some(path)).cloned().collect();
        state.durable_entries.extend(inside);
        Ok(())
    }

    fn sync_all(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let all: Vec<_> = state.entries.keys().cloned().collect();
        state.durable_entries.extend(all);
        for node in state.nodes.values_mut() {
            node.durable.clone_from(&node.live);
            node.unsynced.clear();
        }
        Ok(())
    }
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    id: u64,
}

impl DiskFile for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let offset = state.stat(self.id).len;
        state.change(self.id, Change::Write(offset, bytes.to_vec()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.state().change(self.id, Change::SetLen(len))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.state().sync(self.id)
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(self.disk.state().stat(self.id))
    }
}

impl StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().stat(self.id).len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.step()?;
        let node = state.nodes.get(&self.id).ok_or_else(dead)?;
        let bytes = node.live.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.state().change(self.id, Change::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.state().sync(self.id)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.state().change(self.id, Change::Write(offset, data.to_vec()))
    }
}
