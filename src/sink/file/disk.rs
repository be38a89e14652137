//! The few things that the file sink asks of a file system, so that tests can take one that loses
//! and tears what was not synced.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// What identifies a file, and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Device, inode, and birth time where the file system tells it.
    pub id: String,
    /// Device.
    pub device: u64,
    /// Length in bytes.
    pub len: u64,
    /// When the file was begun, in milliseconds since 1970.
    pub born_ms: u64,
}

/// A file system.
pub trait Disk: Send + Sync {
    /// Makes a folder and those above it; returns the folders that got a new entry.
    fn create_dir_all(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// Opens a file for appending, creating it if it is missing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// What is at a path, if anything is.
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>>;
    /// The path with all links followed.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;
    /// Makes the entries of a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes everything durable on the file system that holds this file or folder.
    fn sync_all(&self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Appends bytes, all of them or an unknown part.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes content and length durable.
    fn sync(&self) -> io::Result<()>;
    /// Identity and length.
    fn stat(&self) -> io::Result<Stat>;
}

/// The machine's own file system.
#[derive(Debug, Clone, Copy)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut changed = Vec::new();
        let mut missing = path;
        while !missing.as_os_str().is_empty() && !missing.is_dir() {
            let Some(parent) = missing.parent() else { break };
            changed.push(if parent.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                parent.to_path_buf()
            });
            missing = parent;
        }
        if !changed.is_empty() {
            std::fs::create_dir_all(path)?;
        }
        Ok(changed)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(stat(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        path.canonicalize()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    #[cfg(target_os = "linux")]
    fn sync_all(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(path)?)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn sync_all(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match self.0.set_len(len) {
            // a device or a pipe has no length
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && !self.0.metadata()?.is_file() => {
                Ok(())
            }
            cut => cut,
        }
    }

    fn sync(&self) -> io::Result<()> {
        match self.0.sync_data() {
            // a device or a pipe keeps nothing that could be synced
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && !self.0.metadata()?.is_file() => {
                Ok(())
            }
            synced => synced,
        }
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(stat(&self.0.metadata()?))
    }
}

fn stat(metadata: &std::fs::Metadata) -> Stat {
    let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let nanos = born.map_or(0, |born| born.as_nanos());
    Stat {
        id: format!("{}:{}:{nanos}", metadata.dev(), metadata.ino()),
        device: metadata.dev(),
        len: metadata.len(),
        born_ms: born.map_or(0, |born| born.as_millis() as u64),
    }
}
