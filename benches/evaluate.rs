//! jq alone: parse, run and write events from memory on one thread, without a pipeline around it.
//!
//! ```text
//! cargo bench --bench evaluate -- EVENTS.ndjson PROGRAM.jq...
//! ```
//!
//! Prints nanoseconds an event, the best of several rounds. They are for comparing one build with
//! another on one machine; what a user sees is measured by the other benchmarks.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use jaquard::event::json;
use jaquard::jq::{Json, Limits, Runner, WriteLimits, compile, with_stack};

#[global_allocator]
static ALLOCATOR: jaquard::jq::CountingAllocator<mimalloc::MiMalloc> =
    jaquard::jq::CountingAllocator(mimalloc::MiMalloc);

const EVENTS: usize = 20_000;
const ROUNDS: usize = 7;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let Some((events, programs)) = args.split_first() else {
        println!("name a file of events and programs; nothing was measured");
        return;
    };
    let text = Bytes::from(std::fs::read(events).expect("read the events"));
    let lines: Vec<Bytes> = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .take(EVENTS)
        .map(|line| text.slice_ref(line))
        .collect();
    let bytes: usize = lines.iter().map(Bytes::len).sum();
    println!("{} events of {} bytes", lines.len(), bytes / lines.len());
    with_stack(|| {
        measure("validate", &lines, |line| json::validate(line, 512).unwrap());
        measure("parse", &lines, |line| drop(Json::parse(line.clone(), 512).unwrap()));
        for path in programs {
            let code = std::fs::read_to_string(path).expect("read a program");
            let folder = Path::new(path).parent().unwrap_or(Path::new("."));
            let program = compile(&code, folder, &[]).unwrap_or_else(|errors| panic!("{path}: {errors:?}"));
            let mut runner = Runner::new(program, &serde_json::json!({}), Limits::default());
            let bounds = WriteLimits::from(&Limits::default());
            let mut out = Vec::new();
            measure(path, &lines, |line| {
                let mut event = Json::parse(line.clone(), 512).unwrap();
                out.clear();
                runner
                    .run(&mut event, None, &mut |output| {
                        output.write(bounds, &mut out).unwrap();
                        true
                    })
                    .unwrap();
            });
        }
    });
}

fn measure(name: &str, lines: &[Bytes], mut work: impl FnMut(&Bytes)) {
    let best = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        lines.iter().for_each(&mut work);
        started.elapsed()
    });
    let best = best.min().unwrap();
    println!("{:>8.0} ns  {name}", best.as_secs_f64() * 1e9 / lines.len() as f64);
}
