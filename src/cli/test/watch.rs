//! Tests run again when something changes that they have read.

use super::{ENDING, Round, TestArgs, round};
use crate::cli::watch::{Watch, clear_screen};
use crate::cli::{exit, print};

/// Runs the tests, and again after each change, until the process is stopped.
pub(super) fn watch(args: &TestArgs, runtime: &tokio::runtime::Runtime) -> anyhow::Result<u8> {
    let mut watch = Watch::start()?;
    let mut is_first = true;
    loop {
        clear_screen()?;
        let Round { code, used, folders } = round(args, runtime)?;
        if code == exit::USAGE && used.is_empty() && folders.is_empty() && is_first {
            // nothing that could change
            return Ok(code);
        }
        is_first = false;
        for folder in &folders {
            watch.folder(folder);
        }
        // what a broken program would have read is what it read when it worked
        for path in &used {
            watch.file(path);
            if path.is_dir() {
                watch.folder(path);
            }
        }
        print("watching for changes\n")?;
        watch.wait(|path| {
            let name = path.to_string_lossy();
            name.ends_with(ENDING) || name.ends_with(".jq") || path.is_dir()
        })?;
    }
}
