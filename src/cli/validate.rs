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
}

pub(super) fn validate(args: &ValidateArgs) -> anyhow::Result<u8> {
    let mode = if args.allow_missing { OutsideMode::AllowMissing } else { OutsideMode::WithoutCommands };
    let pipelines = match load_all(&args.files, mode, false) {
        Ok(pipelines) => pipelines,
        Err(code) => return Ok(code),
    };
    for pipeline in pipelines {
        let components = pipeline.graph().nodes.len();
        print(&format!("{}: valid, {components} components\n", pipeline.file.shown))?;
    }
    Ok(exit::DONE)
}
