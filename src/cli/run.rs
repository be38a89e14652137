//! `jaquard run`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::logging::Logging;
use super::{LogFormat, exit, load_all};
use crate::config::OutsideMode;
use crate::topology::{self, Outcome, Pipeline, RunOptions, Stop};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Pipeline files; each is a pipeline of its own.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// End when everything that is there now is delivered.
    #[arg(long)]
    once: bool,
    /// Start from nothing, with an empty, temporary `data_dir`.
    #[arg(long)]
    fresh: bool,
    /// Exit with 1 if there are dead letters.
    #[arg(long)]
    strict: bool,
    /// How long a drain may take after the first signal.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    grace: crate::config::Duration,
}

pub(super) fn run(args: &RunArgs, format: LogFormat, logging: &Logging) -> anyhow::Result<u8> {
    let pipelines = match load_all(&args.files, OutsideMode::Resolve, args.once) {
        Ok(pipelines) => pipelines,
        Err(code) => return Ok(code),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code = runtime.block_on(run_all(args, pipelines, format, logging));
    // a source's thread may still wait for standard input; nothing does for it
    runtime.shutdown_background();
    code
}

async fn run_all(
    args: &RunArgs,
    pipelines: Vec<Pipeline>,
    format: LogFormat,
    logging: &Logging,
) -> anyhow::Result<u8> {
    let interrupt = signal(SignalKind::interrupt())?;
    let terminate = signal(SignalKind::terminate())?;
    let (stop, stopped) = watch::channel(Stop::No);
    // events printed to the same terminal would run through the line
    let prints = pipelines
        .iter()
        .any(|pipeline| pipeline.graph().nodes.iter().any(|(_, _, type_name)| *type_name == "console"));
    let shows_events = prints && std::io::stdout().is_terminal();
    let progress = if args.once && !shows_events { logging.progress.function() } else { None };

    let mut runs = Vec::new();
    for pipeline in pipelines {
        let options = RunOptions {
            data_dir: match (&pipeline.data_dir, args.fresh) {
                (_, true) => fresh_folder(&pipeline),
                (Some(data_dir), _) => data_dir.clone(),
                (None, _) => topology::default_data_dir(&pipeline.file.path),
            },
            once: args.once,
            grace: args.grace.into(),
            stop: stopped.clone(),
            progress: progress.clone(),
        };
        runs.push(run_one(pipeline, options, args.fresh));
    }
    let all = futures::future::join_all(runs);
    tokio::pin!(all);
    let mut listener = Signals { interrupt, terminate, stop, seen: 0 };
    let (outcomes, killed) = loop {
        tokio::select! {
            outcomes = &mut all => break (outcomes, None),
            code = listener.next() => if let Some(code) = code {
                // the runs see the second signal too and end at once; their ledgers are printed
                let grace = tokio::time::timeout(Duration::from_secs(1), &mut all).await;
                break (grace.unwrap_or_default(), Some(code));
            },
        }
    };
    logging.progress.finish();
    let code = outcomes.iter().map(|outcome| report(outcome, args, format)).max().unwrap_or(exit::DONE);
    Ok(killed.unwrap_or(code))
}

async fn run_one(pipeline: Pipeline, options: RunOptions, fresh: bool) -> Result<Outcome, String> {
    let data_dir = options.data_dir.clone();
    let outcome = topology::run(pipeline, options).await;
    if fresh {
        let has_letters = outcome.as_ref().is_ok_and(|outcome| outcome.dead_letters.exists());
        if has_letters {
            tracing::warn!(folder = %data_dir.display(), "the temporary data_dir is kept: it holds dead letters");
        } else if let Err(error) = std::fs::remove_dir_all(&data_dir) {
            tracing::debug!(error = %error, "the temporary data_dir is not removed");
        }
    }
    outcome
}

fn fresh_folder(pipeline: &Pipeline) -> PathBuf {
    let stem = pipeline.file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    std::env::temp_dir().join(format!("jaquard-{stem}-{}-{nanos}", std::process::id()))
}

/// The first signal drains, the second one ends.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    stop: watch::Sender<Stop>,
    seen: u32,
}

impl Signals {
    /// Waits for a signal. Returns an exit code when it is the second one.
    async fn next(&mut self) -> Option<u8> {
        let number = tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
        };
        self.seen += 1;
        if self.seen == 1 {
            tracing::info!("stopping: delivering what was read; a second signal ends at once");
            self.stop.send_replace(Stop::Drain);
            return None;
        }
        self.stop.send_replace(Stop::Now);
        Some(128 + number)
    }
}

/// Prints the ledger and says how it went.
fn report(outcome: &Result<Outcome, String>, args: &RunArgs, format: LogFormat) -> u8 {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("error: {error}");
            return exit::IO;
        }
    };
    for line in &outcome.ledger {
        match format {
            LogFormat::Text => eprintln!("{line}"),
            LogFormat::Json => eprintln!("{}", line.to_json()),
        }
    }
    for line in &outcome.best_effort {
        match format {
            LogFormat::Text => eprintln!("{line}"),
            LogFormat::Json => eprintln!("{}", line.to_json()),
        }
    }
    for line in &outcome.validations {
        match format {
            LogFormat::Text => eprintln!("{line}"),
            LogFormat::Json => eprintln!("{}", line.to_json()),
        }
    }
    let dead: u64 = outcome.ledger.iter().map(|line| line.dead_lettered).sum();
    if dead > 0 && outcome.dead_letters.exists() {
        tracing::warn!(events = dead, file = %outcome.dead_letters.display(), "there are dead letters");
    }
    let mut code = exit::DONE;
    for line in outcome.ledger.iter().filter(|line| !line.balances()) {
        tracing::error!(source = line.source, "the ledger does not balance");
        code = exit::LEDGER;
    }
    if args.strict && dead > 0 {
        code = exit::LEDGER;
    }
    if let Some(error) = &outcome.error {
        eprintln!("error: {error}");
        code = exit::IO;
    }
    code
}
