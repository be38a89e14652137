//! Making an epoch's bytes durable, beside the writes of the next one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile};

/// Files that are synced one by one; more are synced with their whole file system.
const SINGLE_SYNCS: usize = 32;

/// A file with bytes that are not durable: its handle if it is open, its path and its device.
pub(super) type Unsynced = (Option<Arc<dyn DiskFile>>, PathBuf, u64);

/// What has to be made durable for an epoch.
pub(super) struct Sync {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) files: Vec<Unsynced>,
    pub(super) folders: Vec<PathBuf>,
    pub(super) base: PathBuf,
}

impl Sync {
    pub(super) fn run(self) -> Result<(), String> {
        let fail = |path: &Path, error: io::Error| format!("cannot make {} durable: {error}", path.display());
        let is_single =
            self.files.len() <= SINGLE_SYNCS && self.files.iter().all(|(file, ..)| file.is_some());
        if is_single {
            for (file, path, _) in &self.files {
                if let Some(file) = file {
                    file.sync().map_err(|error| fail(path, error))?;
                }
            }
            for folder in &self.folders {
                self.disk.sync_dir(folder).map_err(|error| fail(folder, error))?;
            }
            return Ok(());
        }
        // files may have been moved away since; the base folder stays, and is most often on the device
        let by_device: BTreeMap<u64, &PathBuf> =
            self.files.iter().map(|(_, path, device)| (*device, path)).collect();
        let base_device = self.disk.stat(&self.base).ok().flatten().map(|stat| stat.device);
        for (device, path) in by_device {
            let path = if base_device == Some(device) { &self.base } else { path };
            self.disk.sync_all(path).map_err(|error| fail(path, error))?;
        }
        Ok(())
    }
}
