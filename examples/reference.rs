//! Writes the generated reference below `docs/`; with `--check` only says whether it is current.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::path::Path;
use std::process::ExitCode;

fn main() -> std::io::Result<ExitCode> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    let check = std::env::args().any(|argument| argument == "--check");
    std::fs::create_dir_all(&folder)?;
    let mut stale = false;
    for (name, text) in jaquard::cli::reference_pages() {
        let path = folder.join(&name);
        if std::fs::read_to_string(&path).unwrap_or_default() == text {
            continue;
        }
        stale = true;
        if check {
            println!("{} is not current: run `cargo run --example reference`", path.display());
        } else {
            std::fs::write(&path, text)?;
            println!("wrote {}", path.display());
        }
    }
    Ok(if check && stale { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
