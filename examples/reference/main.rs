//! Writes the generated pages below `docs/`: the reference, from the code, and a page for each shipped
//! mapping, from its program, its samples and its field table. With `--check` it only says whether
//! they are current.
#![allow(clippy::print_stdout, reason = "a program for people")]

mod mappings;

use std::path::Path;
use std::process::ExitCode;

fn main() -> std::io::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let check = std::env::args().any(|argument| argument == "--check");
    let reference = jaquard::cli::reference_pages().into_iter();
    let reference = reference.map(|(name, text)| (root.join("docs/reference").join(name), text));
    let mappings = mappings::pages(root)?.into_iter();
    let mappings = mappings.map(|(name, text)| (root.join("docs/mappings").join(name), text));
    let mut stale = false;
    for (path, text) in reference.chain(mappings) {
        if std::fs::read_to_string(&path).unwrap_or_default() == text {
            continue;
        }
        stale = true;
        if check {
            println!("{} is not current: run `cargo run --example reference`", path.display());
        } else {
            std::fs::create_dir_all(path.parent().unwrap_or(root))?;
            std::fs::write(&path, text)?;
            println!("wrote {}", path.display());
        }
    }
    Ok(if check && stale { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
