//! The ledger balances over random graphs, and says what a model of the graph says.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::time::Duration;

use jaquard::config::OutsideMode;
use jaquard::topology::{RunOptions, Stop, load, run};
use proptest::prelude::*;
use tokio::sync::watch;

/// What a random transform does to the number `n`.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Passes multiples.
    Filter(u64),
    /// Makes so many numbers of one.
    Fan(u64),
    /// Fails on multiples.
    Fail(u64),
    /// Multiples by one way, the rest by another.
    Route(u64),
}

/// A component output that can be read: transform (or the source), output name.
type Output = (Option<usize>, &'static str);

#[derive(Debug, Clone)]
struct Graph {
    /// Each transform, and which of the outputs before it it reads.
    steps: Vec<(Step, Vec<prop::sample::Index>)>,
    /// Whether error edges are connected, per transform.
    wired: Vec<bool>,
    events: u64,
}

fn graphs() -> impl Strategy<Value = Graph> {
    let step = prop_oneof![
        (2_u64..5).prop_map(Step::Filter),
        (0_u64..4).prop_map(Step::Fan),
        (2_u64..6).prop_map(Step::Fail),
        (2_u64..4).prop_map(Step::Route),
    ];
    let inputs = prop::collection::vec(any::<prop::sample::Index>(), 1..3);
    let steps = prop::collection::vec((step, inputs), 1..7);
    (steps, prop::collection::vec(any::<bool>(), 7), 1_u64..3000).prop_map(|(steps, wired, events)| Graph {
        steps,
        wired,
        events,
    })
}

fn outputs_of(step: Step, number: usize) -> Vec<Output> {
    match step {
        Step::Route(_) => vec![(Some(number), "yes"), (Some(number), "unmatched")],
        _ => vec![(Some(number), "")],
    }
}

fn name(output: Output) -> String {
    match output {
        (None, _) => "in".to_owned(),
        (Some(number), "") => format!("t{number}"),
        (Some(number), output) => format!("t{number}.{output}"),
    }
}

/// The outputs that transform `number` reads, without repeats.
fn inputs(graph: &Graph, number: usize) -> Vec<Output> {
    let mut before: Vec<Output> = vec![(None, "")];
    for (earlier, (step, _)) in graph.steps[..number].iter().enumerate() {
        before.extend(outputs_of(*step, earlier));
    }
    let mut chosen: Vec<Output> = graph.steps[number].1.iter().map(|index| *index.get(&before)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// Outputs that no transform reads; a sink reads them, but for an `unmatched`, which may dangle.
fn unread(graph: &Graph) -> Vec<Output> {
    let read: Vec<Output> = (0..graph.steps.len()).flat_map(|number| inputs(graph, number)).collect();
    let mut all: Vec<Output> = vec![(None, "")];
    all.extend(graph.steps.iter().enumerate().flat_map(|(number, (step, _))| outputs_of(*step, number)));
    all.into_iter().filter(|output| !read.contains(output) && output.1 != "unmatched").collect()
}

fn pipeline(graph: &Graph) -> String {
    let mut text = String::from(
        "workers = 2\ncommit = { interval = \"5ms\" }\n[sources.in]\ntype = \"file\"\npaths = [\"in.ndjson\"]\n",
    );
    for (number, (step, _)) in graph.steps.iter().enumerate() {
        let inputs: Vec<String> =
            inputs(graph, number).into_iter().map(|output| format!("{:?}", name(output))).collect();
        let options = match step {
            Step::Filter(m) => format!("type = \"filter\"\ncondition = '. % {m} == 0'"),
            Step::Fan(k) => format!("type = \"jq\"\nprogram = '. as $n | range({k}) | $n + .'"),
            Step::Fail(m) => {
                format!("type = \"jq\"\nprogram = 'if . % {m} == 0 then ., error(\"multiple\") else . end'")
            }
            Step::Route(m) => format!("type = \"route\"\nroutes.yes = '. % {m} == 0'"),
        };
        writeln!(text, "[transforms.t{number}]\n{options}\ninputs = [{}]", inputs.join(", ")).unwrap();
    }
    let unread: Vec<String> = unread(graph).into_iter().map(|output| format!("{:?}", name(output))).collect();
    // the first sink gets the source too, so that every source reaches one
    writeln!(
        text,
        "[sinks.one]\ntype = \"file\"\npath = \"out.ndjson\"\ninputs = [\"in\", {}]",
        unread.join(", ")
    )
    .unwrap();
    let wired: Vec<String> = (0..graph.steps.len())
        .filter(|number| graph.wired[*number])
        .map(|number| format!("\"t{number}.errors\""))
        .collect();
    if !wired.is_empty() {
        writeln!(text, "[sinks.errors]\ntype = \"blackhole\"\ninputs = [{}]", wired.join(", ")).unwrap();
    }
    text
}

/// Whether a number that leaves by an output fails somewhere behind it.
fn fails(graph: &Graph, output: Output, n: u64) -> bool {
    (0..graph.steps.len()).filter(|number| inputs(graph, *number).contains(&output)).any(|number| {
        let (step, _) = graph.steps[number];
        match step {
            Step::Filter(m) => n.is_multiple_of(m) && fails(graph, (Some(number), ""), n),
            Step::Fan(k) => (0..k).any(|i| fails(graph, (Some(number), ""), n + i)),
            Step::Fail(m) => n.is_multiple_of(m) || fails(graph, (Some(number), ""), n),
            Step::Route(m) if n.is_multiple_of(m) => fails(graph, (Some(number), "yes"), n),
            Step::Route(_) => fails(graph, (Some(number), "unmatched"), n),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_balances_over_random_graphs(graph in graphs()) {
        let folder = tempfile::tempdir().unwrap();
        let numbers: String = (0..graph.events).map(|n| format!("{n}\n")).collect();
        std::fs::write(folder.path().join("in.ndjson"), numbers).unwrap();
        let path = folder.path().join("p.toml");
        std::fs::write(&path, pipeline(&graph)).unwrap();
        let loaded = load(&path, OutsideMode::Resolve, true);
        prop_assert!(loaded.is_ok(), "{loaded:?}\n{}", pipeline(&graph));

        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (_keep, stop) = watch::channel(Stop::No);
        let options = RunOptions { data_dir: folder.path().join("state"), once: true, grace: Duration::from_secs(30), stop, progress: None };
        let outcome = runtime.block_on(run(loaded.unwrap(), options)).unwrap();
        prop_assert_eq!(outcome.error, None);
        let line = &outcome.ledger[0];
        prop_assert!(line.balances(), "{}", line);
        prop_assert_eq!((line.read, line.in_flight), (graph.events, 0));
        // the first sink reads the source itself, so what does not fail is delivered
        let failed = (0..graph.events).filter(|n| fails(&graph, (None, ""), *n)).count() as u64;
        prop_assert_eq!((line.dead_lettered, line.delivered, line.filtered), (failed, graph.events - failed, 0));
    }
}
