//! The command line: one file per subcommand.
//!
//! Data goes to standard output, everything else to standard error. This is the only place that
//! prints and the only one that knows exit codes.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where the program speaks")]

mod completions;
mod components;
mod functions;
mod graph;
mod jq;
mod logging;
mod ocsf;
mod progress;
mod record;
mod run;
mod schema;
mod state;
mod terminal;
mod test;
mod validate;
mod watch;

use std::io::{IsTerminal as _, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::config::{Diagnostic, OutsideMode, Severity, SourceFile};
use crate::jq::{CompileError, MAIN};
use crate::topology::{LoadError, Pipeline, load};

pub use components::reference_pages;

/// Exit codes; the numbers are those of `sysexits.h`.
pub(crate) mod exit {
    /// Everything went as asked.
    pub(crate) const DONE: u8 = 0;
    /// It ran, but the ledger holds dead letters under `--strict`, or does not balance.
    pub(crate) const LEDGER: u8 = 1;
    /// The command line is wrong.
    pub(crate) const USAGE: u8 = 64;
    /// A test failed.
    pub(crate) const TEST: u8 = 65;
    /// The program failed.
    pub(crate) const INTERNAL: u8 = 70;
    /// Reading, writing or a lock failed.
    pub(crate) const IO: u8 = 74;
    /// A pipeline file or something it names is wrong.
    pub(crate) const CONFIG: u8 = 78;
}

/// A stream transform pipeline for security audit logs: pull, map with jq, deliver, and prove it.
#[derive(Debug, Parser)]
#[command(name = "jaquard", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Log more; twice for still more. `JAQUARD_LOG` sets levels by module.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Log less; twice for errors only.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    quiet: u8,
    /// How logs and the ledger are written to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run pipelines until stopped or all sources have ended.
    Run(run::RunArgs),
    /// Check pipeline files without running them.
    Validate(validate::ValidateArgs),
    /// Run the tests in `*.test.toml` files.
    Test(test::TestArgs),
    /// Record what a source asks over the network, redacted, to replay it offline.
    Record(record::RecordArgs),
    /// Try a jq program on events, with the pipeline's own engine and limits.
    Jq(jq::JqArgs),
    /// Check events against OCSF.
    Ocsf(ocsf::OcsfArgs),
    /// Print the topology of a pipeline.
    Graph(graph::GraphArgs),
    /// Print the reference of all sources, transforms and sinks, or of one.
    Components(components::ComponentsArgs),
    /// Print the reference of the native jq functions, or of one.
    Functions(functions::FunctionsArgs),
    /// Print the JSON Schema of the pipeline file, for editors; or infer a log type schema from sample
    /// events, or tell how events differ from one.
    Schema(schema::SchemaArgs),
    /// Show, edit or reset the cursors of a pipeline.
    State(state::StateArgs),
    /// Print completions for a shell.
    Completions(completions::CompletionsArgs),
}

/// Runs the command line of this process and returns its exit code.
pub fn main() -> u8 {
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // where to print it is clap's choice; if that fails there is nobody to tell
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE } else { exit::DONE };
        }
    };
    if matches!(cli.command, Command::Test(_) | Command::Record(_)) {
        // what a run has to tell its operator is no news here
        cli.global.quiet = cli.global.quiet.saturating_add(1);
    }
    let logging = logging::Logging::start(&cli.global);
    match panic::catch_unwind(AssertUnwindSafe(|| dispatch(cli, &logging))) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) if is_broken_pipe(&error) => exit::DONE,
        Ok(Err(error)) => {
            eprintln!("error: {error:#}");
            exit::IO
        }
        // the panic hook has said what and where
        Err(_) => exit::INTERNAL,
    }
}

fn dispatch(cli: Cli, logging: &logging::Logging) -> anyhow::Result<u8> {
    match cli.command {
        Command::Run(args) => run::run(&args, cli.global.log_format, logging),
        Command::Validate(args) => validate::validate(&args),
        Command::Test(args) => test::test(&args),
        Command::Record(args) => record::record(&args),
        Command::Jq(args) => jq::jq(&args),
        Command::Ocsf(args) => ocsf::ocsf(&args),
        Command::Graph(args) => graph::graph(&args),
        Command::Components(args) => components::components(&args),
        Command::Functions(args) => functions::functions(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::State(args) => state::state(&args),
        Command::Completions(args) => completions::completions(&args),
    }
}

/// The reader of our output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Whether to colour what goes to a stream.
fn wants_colour(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints text to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Loads pipeline files; prints everything that is wrong with any of them.
fn load_all(files: &[PathBuf], mode: OutsideMode, once: bool) -> Result<Vec<Pipeline>, u8> {
    let mut pipelines = Vec::new();
    let mut errors = 0;
    for file in files {
        match load_one(file, mode, once) {
            Ok(pipeline) => pipelines.push(pipeline),
            Err(found) => errors += found,
        }
    }
    if errors > 0 {
        let plural = if errors == 1 { "" } else { "s" };
        eprintln!("error: {errors} error{plural} in the configuration");
        return Err(exit::CONFIG);
    }
    Ok(pipelines)
}

/// Loads one file; prints what is wrong and returns the number of errors.
fn load_one(file: &Path, mode: OutsideMode, once: bool) -> Result<Pipeline, usize> {
    match load(file, mode, once) {
        Ok(pipeline) => {
            print_diagnostics(&pipeline.warnings);
            Ok(pipeline)
        }
        Err(LoadError::Unreadable(path, error)) => {
            eprintln!("error: cannot read {}: {error}", path.display());
            Err(1)
        }
        Err(LoadError::Invalid(diagnostics)) => {
            print_diagnostics(&diagnostics);
            let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
            Err(errors.max(1))
        }
    }
}

/// The errors of a program, each where it stands: in the program or in one of its modules.
fn described(main: &Arc<SourceFile>, errors: Vec<CompileError>) -> Vec<Diagnostic> {
    let describe = |error: CompileError| {
        let file = if error.file == MAIN {
            main.clone()
        } else {
            SourceFile::new(Path::new(&error.file), error.text)
        };
        Diagnostic::error(&file, error.span, error.message).help(error.help)
    };
    errors.into_iter().map(describe).collect()
}

fn print_diagnostics(diagnostics: &[Diagnostic]) {
    let colour = wants_colour(std::io::stderr().is_terminal());
    for diagnostic in diagnostics {
        eprintln!("{}\n", diagnostic.render(colour));
    }
}
