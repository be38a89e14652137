//! `jaquard validate`.

use std::path::PathBuf;

use clap::Args;

use super::{exit, load_all, print};
use crate::config::OutsideMode;

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// Pipeline files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Accept values from outside that are not there.
    #[arg(long)]
    allow_missing: bool,
    /// Also ask the other side of each source: is it there, is the login right, may it read. Takes no
    /// events.
    #[arg(long, conflicts_with = "allow_missing")]
    connect: bool,
}

pub(super) fn validate(args: &ValidateArgs) -> anyhow::Result<u8> {
    let mode = match (args.allow_missing, args.connect) {
        (true, _) => OutsideMode::AllowMissing,
        (false, true) => OutsideMode::Resolve,
        (false, false) => OutsideMode::WithoutCommands,
    };
    let pipelines = match load_all(&args.files, mode, false) {
        Ok(pipelines) => pipelines,
        Err(code) => return Ok(code),
    };
    let mut code = exit::DONE;
    for pipeline in pipelines {
        let components = pipeline.graph().nodes.len();
        print(&format!("{}: valid, {components} components\n", pipeline.file.shown))?;
        if args.connect {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            for (name, found) in runtime.block_on(pipeline.probe()) {
                match found {
                    Ok(found) => print(&format!("source `{name}`: {found}\n"))?,
                    Err(wrong) => {
                        eprintln!("error: source `{name}`: {wrong}");
                        code = exit::IO;
                    }
                }
            }
        }
    }
    Ok(code)
}
