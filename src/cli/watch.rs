//! Waiting for files to change, for commands that run again when they do.

use std::collections::HashSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context as _;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::print;

/// An editor writes a file in several steps: what comes within this time of each other is one change.
const GATHER: Duration = Duration::from_millis(10);

/// The top of an empty screen.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

/// Begins a screen anew, on a terminal.
pub(super) fn clear_screen() -> anyhow::Result<()> {
    if std::io::stdout().is_terminal() { print(CLEAR) } else { Ok(()) }
}

/// Files and folders that are watched.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    changes: Receiver<Vec<PathBuf>>,
    /// Folders that the system tells changes of.
    folders: HashSet<PathBuf>,
    /// Files whose changes matter.
    files: HashSet<PathBuf>,
}

impl Watch {
    /// Watches nothing yet.
    pub(super) fn start() -> anyhow::Result<Self> {
        let (sender, changes) = mpsc::channel();
        let on_event = move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event
                && !event.kind.is_access()
            {
                // whoever waits ends with the process
                let _ = sender.send(event.paths);
            }
        };
        let watcher = notify::recommended_watcher(on_event).context("cannot watch files")?;
        Ok(Watch { watcher, changes, folders: HashSet::new(), files: HashSet::new() })
    }

    /// A file whose changes matter. It need not be there: its folder is what is watched, because editors
    /// put a new file in the place of the old one. If it is a link, what it leads to matters as well.
    pub(super) fn file(&mut self, path: &Path) {
        self.entry(path);
        if let Ok(target) = path.canonicalize() {
            self.entry(&target);
        }
    }

    fn entry(&mut self, path: &Path) {
        let folder = path.parent().unwrap_or(Path::new(""));
        if let (Some(folder), Some(name)) = (self.folder(folder), path.file_name()) {
            self.files.insert(folder.join(name));
        }
    }

    /// A folder in which files may matter that are not there yet.
    pub(super) fn folder(&mut self, folder: &Path) -> Option<PathBuf> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // files are named in events as their folder was
        let folder = folder.canonicalize().ok()?;
        if !self.folders.contains(&folder) {
            match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.folders.insert(folder.clone())),
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), error = %error, "the folder is not watched");
                }
            }
        }
        Some(folder)
    }

    /// Waits for a change of a file, or of another path that matters, and for the end of those that
    /// come with it.
    pub(super) fn wait(&self, matters: impl Fn(&Path) -> bool) -> anyhow::Result<()> {
        let matters = |path: &PathBuf| self.files.contains(path) || matters(path);
        while !self.changes.recv().context("files are no longer watched")?.iter().any(matters) {}
        loop {
            match self.changes.recv_timeout(GATHER) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(error) => return Err(error).context("files are no longer watched"),
            }
        }
    }
}
