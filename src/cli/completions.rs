//! `jaquard completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, exit, print};

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "jaquard", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(exit::DONE)
}
