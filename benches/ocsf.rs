//! What OCSF validation costs, beside the mapping whose output it checks.
//!
//! ```text
//! cargo bench --bench ocsf -- EVENTS.ndjson [PROGRAM.jq...]
//! ```
//!
//! Prints nanoseconds an event, the best of several rounds: of the mapping with its reading and
//! writing, what checking each output before it is written adds, and the share of the one in the other.
//! Without programs it measures `benches/programs/ocsf.jq`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jaquard::jq::{Json, Limits, Runner, WriteLimits, compile, with_stack};
use jaquard::schema::ocsf::{Options, Schema, Validator};

#[global_allocator]
static ALLOCATOR: jaquard::jq::CountingAllocator<mimalloc::MiMalloc> =
    jaquard::jq::CountingAllocator(mimalloc::MiMalloc);

const EVENTS: usize = 20_000;
const ROUNDS: usize = 7;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let Some((events, programs)) = args.split_first() else {
        println!("name a file of events; nothing was measured");
        return;
    };
    let text = Bytes::from(std::fs::read(events).expect("read the events"));
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(EVENTS);
    let lines: Vec<Bytes> = lines.map(|line| text.slice_ref(line)).collect();
    let shipped = [concat!(env!("CARGO_MANIFEST_DIR"), "/benches/programs/ocsf.jq").to_owned()];
    with_stack(|| {
        let started = Instant::now();
        for version in Schema::built_in_versions() {
            Schema::built_in(version).unwrap();
        }
        println!("{} events; both tables were read in {:.1?}", lines.len(), started.elapsed());
        for path in if programs.is_empty() { &shipped[..] } else { programs } {
            measure(path, &lines);
        }
    });
}

fn measure(path: &str, lines: &[Bytes]) {
    let code = std::fs::read_to_string(path).expect("read a program");
    let folder = Path::new(path).parent().unwrap_or(Path::new("."));
    let program = compile(&code, folder, &[]).unwrap_or_else(|errors| panic!("{path}: {errors:?}"));
    let mut runner = Runner::new(program, &serde_json::json!({}), Limits::default());
    let bounds = WriteLimits::from(&Limits::default());
    let mut validator = Validator::new(Schema::built_in("1.8.0").unwrap(), Options::default());
    let mut best = [Duration::MAX; 2];
    let (mut outputs, mut findings, mut first) = (0, 0, String::new());
    for round in 0..2 * ROUNDS {
        let checks = round % 2 == 1;
        (outputs, findings) = (0, 0);
        let mut text = Vec::new();
        let started = Instant::now();
        for line in lines {
            let mut event = Json::parse(line.clone(), 512).unwrap();
            text.clear();
            let mut look = |mut output: Json| {
                outputs += 1;
                if checks {
                    let found = validator.check(output.view());
                    findings += found.len();
                    if let (Some(one), true) = (found.first(), first.is_empty()) {
                        first = format!("; the first: {} {} {}", one.rule.name(), one.path, one.message);
                    }
                }
                output.write(bounds, &mut text).unwrap();
                true
            };
            runner.run(&mut event, None, &mut look).unwrap();
        }
        best[usize::from(checks)] = best[usize::from(checks)].min(started.elapsed());
    }
    let [mapping, both] = best.map(|time| time.as_secs_f64() * 1e9 / lines.len() as f64);
    let checking = both - mapping;
    println!(
        "{path}\n{mapping:>8.0} ns  mapping\n{checking:>8.0} ns  checking, {:.0} % of it",
        checking / mapping * 100.0
    );
    println!("{outputs} outputs, {findings} findings{first}");
}
