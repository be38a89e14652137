//! `jaquard record`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::{exit, load_one, print, print_diagnostics};
use crate::config::{self, Diagnostic, OutsideMode, Size, SourceFile};
use crate::http::cassette::{BodyScrub, Scrub};
use crate::jq::{self, Json, Limits, Program, Runner, WriteLimits};
use crate::topology::{NodeKind, Pipeline};

#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    /// The pipeline file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of the source in it.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The cassette to write.
    #[arg(short, long, value_name = "CASSETTE")]
    output: PathBuf,
    /// A program that changes the body of each response before it is written.
    #[arg(long, value_name = "JQ")]
    scrub: Option<String>,
    /// Write SHOWN wherever REAL stands, as for the id of an account.
    #[arg(long, value_name = "REAL=SHOWN", value_parser = stand_in)]
    stand_in: Vec<(String, String)>,
    /// End with the batch in which so many events have come, and pull only once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

fn stand_in(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((real, shown)) if !real.is_empty() && !shown.contains(real) => {
            Ok((real.to_owned(), shown.to_owned()))
        }
        Some((real, _)) if !real.is_empty() => Err("what is shown must not contain what it hides".to_owned()),
        _ => Err("write REAL=SHOWN".to_owned()),
    }
}

pub(super) fn record(args: &RecordArgs) -> anyhow::Result<u8> {
    let Ok(pipeline) = load_one(&args.file, OutsideMode::Resolve, true) else {
        return Ok(exit::CONFIG);
    };
    if !pipeline.network_sources().contains(&args.source.as_str()) {
        eprintln!("error: {}", not_recordable(&pipeline, &args.source));
        return Ok(exit::USAGE);
    }
    let mut scrub = Scrub::new();
    for (real, shown) in &args.stand_in {
        scrub = scrub.stand_in(real, shown);
    }
    let failures = Failures::default();
    if let Some(code) = &args.scrub {
        match compile(code) {
            Ok(program) => scrub = scrub.body(body_scrub(program, failures.clone())),
            Err(diagnostics) => {
                print_diagnostics(&diagnostics);
                return Ok(exit::USAGE);
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let recording = runtime.block_on(pipeline.record(&args.source, scrub, args.limit));
    runtime.shutdown_background();
    let Some(recording) = recording else {
        eprintln!("error: {}", not_recordable(&pipeline, &args.source));
        return Ok(exit::USAGE);
    };
    let mut code = exit::DONE;
    for error in recording.pulls.iter().filter_map(|pull| pull.error.as_ref()) {
        eprintln!("error: source `{}`: {error}", args.source);
        code = exit::IO;
    }
    let Some(tape) = recording.tape.filter(|tape| !tape.is_empty()) else {
        eprintln!("error: nothing was asked, and {} is not written", args.output.display());
        return Ok(exit::IO);
    };
    tape.save(&args.output)?;
    let mut text = format!("{}: {}\n", args.output.display(), counted(tape.len() as u64, "exchange"));
    for (pull, name) in recording.pulls.iter().zip(["first run", "second run"]) {
        let (events, exchanges) = (counted(pull.events, "event"), counted(pull.exchanges as u64, "exchange"));
        text += &format!("{name}: {events}, {exchanges}\n");
    }
    print(&text)?;
    let failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    if let (count @ 1.., Some(first)) = &*failures {
        let bodies = counted(*count, "body").replace("bodys", "bodies");
        eprintln!(
            "warning: the scrub program failed on {bodies}, which the cassette has as nothing: {first}"
        );
    }
    Ok(code)
}

pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn not_recordable(pipeline: &Pipeline, source: &str) -> String {
    let view = pipeline.graph();
    let sources: Vec<_> = view.nodes.iter().filter(|(_, kind, _)| *kind == NodeKind::Source).collect();
    let problem = match sources.iter().find(|(name, ..)| name == source) {
        Some((_, _, type_name)) => {
            format!(
                "source `{source}` asks nothing over the network: there is nothing to record of a `{type_name}`"
            )
        }
        None => format!("{} has no source `{source}`", pipeline.file.shown),
    };
    let known = pipeline.network_sources();
    let near = config::nearest(source, known.iter().copied());
    let help = match (near, known.as_slice()) {
        (_, []) => "no source of this pipeline can be recorded".to_owned(),
        (Some(near), _) if near != source => format!("did you mean `{near}`?"),
        (_, known) => {
            let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("these can be recorded: {}", known.join(", "))
        }
    };
    format!("{problem}; {help}")
}

/// How many bodies the program failed on, and what it said first.
type Failures = Arc<Mutex<(u64, Option<String>)>>;

fn compile(code: &str) -> Result<Arc<Program>, Vec<Diagnostic>> {
    jq::compile(code, Path::new("."), &[]).map_err(|errors| {
        let main = SourceFile::new(Path::new("--scrub"), code.to_owned());
        let found = errors.into_iter().map(|error| {
            let file = if error.file == jq::MAIN {
                main.clone()
            } else {
                SourceFile::new(Path::new(&error.file), error.text)
            };
            Diagnostic::error(&file, error.span, error.message).help(error.help)
        });
        found.collect()
    })
}

/// What a user wants out must not stay in because the program fails on it: such a body becomes nothing. The
/// answer to a request for a token is left alone: it has no events, and its secrets are out already.
fn body_scrub(program: Arc<Program>, failures: Failures) -> BodyScrub {
    Arc::new(move |body| {
        if body.get("access_token").is_some() {
            return body;
        }
        let nothing = if body.is_string() { Value::from("") } else { Value::Null };
        let is_text = body.is_string();
        let program = program.clone();
        let result = jq::with_stack(move || scrubbed(program, &body));
        match result {
            Ok(scrubbed) if !is_text || scrubbed.is_string() => scrubbed,
            // a text that became something else is no body any more
            Ok(_) => nothing,
            Err(message) => {
                let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.0 += 1;
                failures.1.get_or_insert(message);
                nothing
            }
        }
    })
}

fn scrubbed(program: Arc<Program>, body: &Value) -> Result<Value, String> {
    let limits = Limits {
        time: config::Duration::from_secs(30),
        memory: Size::mib(1024),
        steps: 1_000_000_000,
        output_bytes: Size::mib(1024),
        ..Limits::default()
    };
    let bounds = WriteLimits::from(&limits);
    let mut runner = Runner::new(program, &json!({}), limits);
    let mut outputs = Vec::new();
    let result = runner.run(&mut Json::from_text(body.to_string().into()), None, &mut |output| {
        outputs.push(output);
        true
    });
    result.map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    let Some(output) = outputs.first_mut() else { return Ok(Value::Null) };
    output.write(bounds, &mut text).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}
