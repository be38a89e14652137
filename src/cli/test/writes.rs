//! What `--update` writes: golden files and files of leaves, and never what a test reads.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use super::Verdict;
use super::file::TestFile;

/// Endings of what is written by hand. Nothing that `--update` writes is called so.
const BY_HAND: [&str; 4] = ["jq", "toml", "yml", "yaml"];

/// What a test compares with, anew.
#[derive(Debug)]
pub(super) struct Write {
    /// The option that names the file: `/case/0/golden`.
    pub(super) option: String,
    pub(super) path: PathBuf,
    pub(super) content: Vec<u8>,
    /// What is compared, for the report.
    pub(super) level: &'static str,
    /// Whether the file says the same already, if perhaps in other words.
    pub(super) is_same: bool,
}

/// What tests have written or found to be right, by the file.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<PathBuf, Holder>);

#[derive(Debug)]
struct Holder {
    content: u128,
    is_same: bool,
    test: String,
}

impl Held {
    /// Writes what a test compares with, unless it is there already. Refuses to write what tests read, and
    /// what another test compares with.
    pub(super) fn write(&mut self, file: &TestFile, test: &str, verdict: &mut Verdict) {
        for write in std::mem::take(&mut verdict.writes) {
            let path = identity(&write.path);
            let holder =
                Holder { content: xxh3_128(&write.content), is_same: write.is_same, test: test.to_owned() };
            if let Some(message) = self.objection(file, &path, &write, &holder) {
                let help = "name a file of its own: `--update` writes it anew".to_owned();
                verdict.diagnostics.push(file.error_at(&write.option, message, Some(help)));
                verdict.fail(write.level, format!("{} is not written", write.path.display()));
                continue;
            }
            if !write.is_same && std::fs::read(&write.path).is_ok_and(|found| found == write.content) {
                self.0.insert(path, Holder { is_same: true, ..holder });
                continue;
            }
            if !write.is_same {
                let folder = write.path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let made = folder.map_or(Ok(()), std::fs::create_dir_all);
                match made.and_then(|()| std::fs::write(&write.path, &write.content)) {
                    Ok(()) => verdict.updated.push(write.path.clone()),
                    Err(error) => {
                        verdict.fail(write.level, format!("cannot write {}: {error}", write.path.display()));
                        continue;
                    }
                }
            }
            // what was not there has its own name only now
            self.0.insert(identity(&write.path), holder);
        }
    }

    /// Why a file must not be written.
    fn objection(&self, file: &TestFile, path: &Path, write: &Write, new: &Holder) -> Option<String> {
        if let Some(old) = self.0.get(path)
            && old.content != new.content
            && !(old.is_same && new.is_same)
        {
            return Some(format!(
                "the case \"{}\" compares with this file, and with other content",
                old.test
            ));
        }
        if write.is_same || std::fs::read(&write.path).is_ok_and(|found| found == write.content) {
            return None;
        }
        if path == identity(&file.file.path) {
            return Some("this is the test file itself".to_owned());
        }
        if let Some((option, _)) = file.reads().into_iter().find(|(_, read)| identity(read) == path) {
            return Some(format!("a test reads this file as its `{option}`"));
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if BY_HAND.contains(&ending) {
            return Some(format!("a `.{ending}` file is written by hand"));
        }
        let (mine, other) = match write.level {
            "leaves" => ("leaves", "golden"),
            _ => ("golden", "leaves"),
        };
        let named =
            file.compared().into_iter().find(|(option, named)| *option == other && identity(named) == path);
        named.map(|_| format!("a test names this file as its `{other}`: it cannot be its `{mine}` too"))
    }
}

/// One name for one file, whichever way leads to it.
fn identity(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_path_buf(),
    }
}
