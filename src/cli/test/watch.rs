//! Tests run again when something changes that they have read.

use std::collections::HashSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context as _;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::{ENDING, Round, TestArgs, round};
use crate::cli::print;

/// An editor writes a file in several steps: what comes within this time of each other is one change.
const GATHER: Duration = Duration::from_millis(50);

/// The top of an empty screen.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Runs the tests, and again after each change, until the process is stopped.
pub(super) fn watch(args: &TestArgs, runtime: &tokio::runtime::Runtime) -> anyhow::Result<u8> {
    let (sender, changes) = mpsc::channel();
    let on_event = move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event
            && !event.kind.is_access()
        {
            // the loop ends with the process
            let _ = sender.send(event.paths);
        }
    };
    let watcher = notify::recommended_watcher(on_event).context("cannot watch files")?;
    let mut watched = Watched { watcher, folders: HashSet::new() };
    let mut known = HashSet::new();
    loop {
        if std::io::stdout().is_terminal() {
            print(CLEAR)?;
        }
        let Round { used, folders, .. } = round(args, runtime)?;
        folders.iter().for_each(|folder| watched.add(folder));
        // what a broken program would have read is what it read when it worked
        known.extend(used.iter().filter_map(|path| real(path)));
        let folder_of = |path: &'_ PathBuf| {
            if path.is_dir() { Some(path.clone()) } else { path.parent().map(Path::to_path_buf) }
        };
        let parents: HashSet<_> = known.iter().filter_map(folder_of).collect();
        parents.iter().for_each(|folder| watched.add(folder));
        print("watching for changes\n")?;
        wait(&changes, &known)?;
    }
}

struct Watched {
    watcher: RecommendedWatcher,
    folders: HashSet<PathBuf>,
}

impl Watched {
    fn add(&mut self, folder: &Path) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // files are named in events as their folder was
        let Ok(folder) = folder.canonicalize() else { return };
        if self.folders.contains(&folder) {
            return;
        }
        match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
            Ok(()) => drop(self.folders.insert(folder)),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), error = %error, "the folder is not watched");
            }
        }
    }
}

/// Waits for a change that matters, and for the end of those that come with it.
fn wait(changes: &Receiver<Vec<PathBuf>>, known: &HashSet<PathBuf>) -> anyhow::Result<()> {
    let matters = |path: &PathBuf| {
        let name = path.to_string_lossy();
        known.contains(path) || name.ends_with(ENDING) || name.ends_with(".jq") || path.is_dir()
    };
    while !changes.recv().context("files are no longer watched")?.iter().any(matters) {}
    loop {
        match changes.recv_timeout(GATHER) {
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(error) => return Err(error).context("files are no longer watched"),
        }
    }
}

/// A file's path as events have it; the file need not be there.
fn real(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(folder.canonicalize().ok()?.join(path.file_name()?))
}
