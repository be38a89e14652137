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
#[derive(Debug)]
pub(super) struct Held {
    files: HashMap<PathBuf, Holder>,
    /// Whether all tests are run, so that what they compare with is known.
    is_whole: bool,
}

#[derive(Debug)]
struct Holder {
    content: u128,
    is_same: bool,
    test: String,
}

impl Held {
    /// Nothing yet.
    pub(super) fn new(is_whole: bool) -> Self {
        Held { files: HashMap::new(), is_whole }
    }

    /// Writes what a test compares with, unless it is there already. Refuses to write what tests read, and
    /// what another test compares with.
    pub(super) fn write(&mut self, file: &TestFile, test: &str, verdict: &mut Verdict) {
        for write in std::mem::take(&mut verdict.writes) {
            let Write { option, path, content, level, is_same } = write;
            let is_same = is_same || std::fs::read(&path).is_ok_and(|found| found == content);
            let holder = Holder { content: xxh3_128(&content), is_same, test: test.to_owned() };
            if let Some(message) = self.objection(file, &identity(&path), level, &holder) {
                let help = "name a file of its own: `--update` writes it anew".to_owned();
                verdict.diagnostics.push(file.error_at(&option, message, Some(help)));
                verdict.fail(level, format!("{} is not written", path.display()));
                continue;
            }
            if !is_same {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let made = folder.map_or(Ok(()), std::fs::create_dir_all);
                if let Err(error) = made.and_then(|()| std::fs::write(&path, &content)) {
                    verdict.fail(level, format!("cannot write {}: {error}", path.display()));
                    continue;
                }
                verdict.updated.push(path.clone());
            }
            // what was not there has its own name only now
            self.files.insert(identity(&path), holder);
        }
    }

    /// Why a file must not be written.
    fn objection(&self, file: &TestFile, path: &Path, level: &str, new: &Holder) -> Option<String> {
        if let Some(old) = self.files.get(path)
            && old.content != new.content
            && !(old.is_same && new.is_same)
        {
            return Some(format!(
                "the case \"{}\" compares with this file, and with other content",
                old.test
            ));
        }
        if new.is_same {
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
        let (mine, other) = match level {
            "leaves" => ("leaves", "golden"),
            _ => ("golden", "leaves"),
        };
        let compared = file.compared();
        let mut named =
            compared.iter().filter(|(_, named)| identity(named) == path).map(|(option, _)| *option);
        if named.clone().any(|option| option == other) {
            return Some(format!("a test names this file as its `{other}`: it cannot be its `{mine}` too"));
        }
        let is_shared = named.nth(1).is_some();
        (is_shared && !self.is_whole)
            .then(|| "several tests compare with this file: run them all, without `--filter`".to_owned())
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
