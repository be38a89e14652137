//! `dedupe`: each key once, in source order, whatever happens to the process or to the events.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Random, Workspace, pause};

/// A pipeline from a file through `once` to `out.ndjson`.
fn pipeline(options: &str) -> String {
    format!(
        "data_dir = \"state\"\n[sources.in]\ntype = \"file\"\npaths = [\"in.ndjson\"]\n[transforms.once]\ntype = \"dedupe\"\n\
         inputs = [\"in\"]\n{options}\n[sinks.out]\ntype = \"file\"\ninputs = [\"once\"]\npath = \"out.ndjson\"\n"
    )
}

/// Events `{"k": key, "n": number}`, keys from 0 to below `keys`, each several times.
fn events(count: u64, keys: u64, seed: u64) -> String {
    let mut random = Random(seed);
    (0..count)
        .map(|n| {
            let (k, pad) = (random.below(keys), "x".repeat(random.below(100) as usize));
            format!("{{\"k\":{k},\"n\":{n},\"pad\":\"{pad}\"}}\n")
        })
        .collect()
}

/// The first line of each key.
fn firsts(input: &str) -> String {
    let mut seen = std::collections::HashSet::new();
    let is_first = |line: &&str| seen.insert(key_of(line));
    input.lines().filter(is_first).map(|line| format!("{line}\n")).collect()
}

fn key_of(line: &str) -> String {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("torn line {line:?}"));
    event["k"].to_string()
}

#[track_caller]
fn assert_each_key_once(output: &str, keys: u64, what: &str) {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    output.lines().for_each(|line| *seen.entry(key_of(line)).or_default() += 1);
    let repeated: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).take(5).collect();
    assert!(repeated.is_empty(), "{what}: repeated {repeated:?}");
    assert_eq!(seen.len() as u64, keys, "{what}: lost");
}

#[test]
fn the_first_of_each_key_passes_and_a_restart_remembers() {
    let space = Workspace::new();
    space.write("p.toml", pipeline("key = '.k'"));
    let input = [
        r#"{"k":"a","n":1}"#,
        r#"{"k":"b","n":2}"#,
        r#"{"k":"\u0061","n":3}"#,
        r#"{"k":1,"n":4}"#,
        r#"{"k":1.0,"n":5}"#,
        r#"{"k":"1","n":6}"#,
        r#"{"k":{"x":1,"y":2},"n":7}"#,
        r#"{"k":{"y":2,"x":1},"n":8}"#,
        r#"{"k":null,"n":9}"#,
        r#"{"n":10}"#,
        r#"{"k":false,"n":11}"#,
        r#"{"k":false,"n":12}"#,
    ];
    space.write("in.ndjson", input.join("\n") + "\n");
    let finished = space.run(&["run", "p.toml"]).expect_code(0);
    let numbers = |lines: Vec<String>| -> Vec<u64> {
        let number = |line: &String| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64().unwrap();
        lines.iter().map(number).collect()
    };
    assert_eq!(numbers(space.lines("out.ndjson")), [1, 2, 4, 6, 7, 9, 10, 11]);
    assert_eq!((finished.ledger("in", "delivered"), finished.ledger("in", "filtered")), (8, 4));

    // again, all of them and one more
    space.append("in.ndjson", input.join("\n") + "\n{\"k\":\"new\",\"n\":13}\n");
    let finished = space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(numbers(space.lines("out.ndjson"))[8..], [9, 10, 13]);
    assert_eq!(finished.ledger("in", "filtered"), 10);

    // what is forgotten passes again; a reset of the source alone says that it is not
    let reset = space.run(&["state", "p.toml", "--reset"]).expect_code(0);
    assert!(reset.stderr.contains("`once` still knows"), "{}", reset.stderr);
    space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(numbers(space.lines("out.ndjson"))[11..], [9, 10, 9, 10]);
    space.run(&["state", "p.toml", "--reset", "once"]).expect_code(0);
    space.append("in.ndjson", "{\"k\":\"a\",\"n\":14}\n");
    space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(numbers(space.lines("out.ndjson"))[15..], [14]);
}

#[test]
fn an_event_whose_key_fails_takes_the_error_edge() {
    let space = Workspace::new();
    space.write(
        "p.toml",
        pipeline("key = 'if .bad then error(\"no key\") elif .many then .k, 1 else select(.k) | .k end'"),
    );
    let input =
        "{\"k\":1}\n{\"bad\":true}\n{\"many\":true,\"k\":1}\n{\"k\":false}\n{\"k\":false}\n{\"k\":1}\n";
    space.write("in.ndjson", input);
    let finished = space.run(&["run", "p.toml"]).expect_code(0);
    // no output is no key
    assert_eq!(space.read("out.ndjson"), "{\"k\":1}\n{\"k\":false}\n{\"k\":false}\n");
    let columns = ["delivered", "filtered", "dead_lettered"].map(|column| finished.ledger("in", column));
    assert_eq!(columns, [3, 1, 2]);
    let letters: Vec<Value> = space
        .lines("state/dead_letters.ndjson")
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(letters[0]["event"], json!({ "bad": true }));
    assert_eq!(letters[0]["error"]["component"], json!("once"));
    assert_eq!(letters[0]["error"]["message"], json!("no key"));
    assert!(letters[1]["error"]["message"].as_str().unwrap().contains("several outputs"), "{}", letters[1]);
}

#[test]
fn a_key_passes_again_after_its_time() {
    let space = Workspace::new();
    space.write("p.toml", pipeline("key = '.k'\nwithin = \"1s\""));
    space.write("in.ndjson", "{\"k\":1}\n{\"k\":1}\n");
    space.run(&["run", "p.toml"]).expect_code(0);
    pause(Duration::from_millis(1100));
    space.append("in.ndjson", "{\"k\":1}\n{\"k\":1}\n");
    space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(space.lines("out.ndjson").len(), 2);
    let state: Value = serde_json::from_str(&space.run(&["state", "p.toml"]).stdout).unwrap();
    assert_eq!(state["once"].as_object().unwrap().len(), 1, "the old row is gone: {state}");
}

#[test]
fn the_oldest_are_forgotten_beyond_the_bound_with_one_warning() {
    let space = Workspace::new();
    space.write("p.toml", pipeline("key = '.k'\nmax_keys = 100"));
    let lines = |from: u64, to: u64| -> String { (from..to).map(|k| format!("{{\"k\":{k}}}\n")).collect() };
    space.write("in.ndjson", lines(0, 20_000) + &lines(19_900, 20_000) + &lines(0, 1));
    let finished = space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(finished.ledger("in", "filtered"), 100);
    assert_eq!(finished.stderr.matches("`max_keys`").count(), 1, "{}", finished.stderr);
    let state: Value = serde_json::from_str(&space.run(&["state", "p.toml"]).stdout).unwrap();
    assert_eq!(state["once"].as_object().unwrap().len(), 1);
    space.write("p.toml", pipeline("key = '.k'\nmax_keys = 0"));
    space.run(&["validate", "p.toml"]).expect_code(78);
    space.write("p.toml", pipeline("key = '.k'\nwithin = \"0s\""));
    space.run(&["validate", "p.toml"]).expect_code(78);
}

/// Many batches on several threads, with work before and behind that takes its time: what comes out
/// is what one thread would give.
#[test]
fn the_first_in_source_order_wins_with_any_number_of_workers() {
    let space = Workspace::new();
    let input = events(40_000, 9000, 0xd0_0d);
    space.write("in.ndjson", &input);
    let uneven = "if .k % 97 == 0 then . as $e | reduce range(3000) as $i (0; . + $i) | $e else . end";
    for workers in [1, 2, 7] {
        space.write(
            "p.toml",
            format!("workers = {workers}\n")
                + &pipeline("key = '.k'").replace("inputs = [\"in\"]", "inputs = [\"before\"]").replace("inputs = [\"once\"]", "inputs = [\"behind\"]")
                + &format!("[transforms.before]\ntype = \"jq\"\ninputs = [\"in\"]\nprogram = '{uneven}'\n[transforms.behind]\ntype = \"jq\"\ninputs = [\"once\"]\nprogram = '{uneven}'\n"),
        );
        let finished = space.run(&["run", "p.toml", "--fresh"]).expect_code(0);
        assert_eq!(space.read("out.ndjson"), firsts(&input), "{workers} workers");
        assert_eq!(finished.ledger("in", "delivered"), firsts(&input).lines().count() as u64);
        std::fs::remove_file(space.path("out.ndjson")).unwrap();
    }
}

/// Events that wait for an answer and events that do not come out in source order, also from two
/// stages, one behind the other.
#[test]
fn events_that_pass_by_keep_their_place() {
    let space = Workspace::new();
    space.write(
        "p.toml",
        r#"data_dir = "state"
[sources.in]
type = "file"
paths = ["in.ndjson"]
[transforms.kind]
type = "route"
inputs = ["in"]
routes.plain = '.k % 3 == 0'
routes.one = '.k % 3 == 1'
routes.two = '.k % 3 == 2'
[transforms.one]
type = "dedupe"
inputs = ["kind.one", "two"]
key = '.k'
[transforms.two]
type = "dedupe"
inputs = ["kind.two"]
key = '.k'
[sinks.out]
type = "file"
inputs = ["kind.plain", "one", "two"]
path = "out.ndjson"
[sinks.parts]
type = "file"
inputs = ["kind.plain", "one"]
path = 'parts/\(.k % 2).ndjson'
"#,
    );
    let input = events(20_000, 6000, 0xfeed);
    space.write("in.ndjson", &input);
    space.run(&["run", "p.toml"]).expect_code(0);
    let mut seen = std::collections::HashSet::new();
    let mut expected: Vec<String> = Vec::new();
    for line in input.lines() {
        let k: u64 = key_of(line).parse().unwrap();
        if k.is_multiple_of(3) {
            expected.push(line.to_owned());
        } else if seen.insert(k) {
            // the second kind comes by both ways
            expected.extend(std::iter::repeat_n(line.to_owned(), 1 + usize::from(k % 3 == 2)));
        }
    }
    assert!(space.lines("out.ndjson") == expected, "order or content differs");
    expected.dedup();
    for parity in 0..2 {
        let of_part: Vec<_> =
            expected.iter().filter(|line| key_of(line).parse::<u64>().unwrap() % 2 == parity).collect();
        let lines = space.lines(&format!("parts/{parity}.ndjson"));
        assert!(lines.iter().eq(of_part), "part {parity}");
    }
}

#[test]
fn a_rollback_forgets_what_was_not_recorded() {
    let input = events(30_000, 5000, 0xabad_1dea);
    for point in ["worker.batch@3", "worker.batch@1,worker.batch@4", "worker.batch@9"] {
        let space = Workspace::new();
        space.write(
            "p.toml",
            "workers = 3\ncommit = { interval = \"5ms\" }\n".to_owned() + &pipeline("key = '.k'"),
        );
        space.write("in.ndjson", &input);
        let output = space.command(&["run", "p.toml"]).env("JAQUARD_TESTKIT", point).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert!(stderr.contains("going back to the last epoch"), "{stderr}");
        let (delivered, read) = (firsts(&input).lines().count(), 30_000);
        let columns = format!("read={read} delivered={delivered} filtered={}", read - delivered);
        assert!(stderr.contains(&columns), "{stderr}");
        assert_eq!(space.read("out.ndjson"), firsts(&input), "{point}");
    }
}

/// The process ends itself around the record: marks of a recorded epoch hold, others never were.
#[test]
fn marks_are_recorded_with_the_events_they_are_for() {
    let keys = 4000;
    let input = events(30_000, keys, 0x5eed_5eed);
    for point in ["epoch.prepared", "epoch.recorded", "file.written", "file.torn"] {
        for nth in [1, 2, 5] {
            let space = Workspace::new();
            let options = "commit = { interval = \"1ms\", max_bytes = \"64KB\" }\n";
            space.write("p.toml", options.to_owned() + &pipeline("key = '.k'"));
            space.write("in.ndjson", &input);
            let mut crashed = 0;
            for round in 0..4 {
                let mut command = space.command(&["run", "p.toml", "--once"]);
                if round < 3 {
                    command.env("JAQUARD_TESTKIT", format!("{point}@{nth}"));
                }
                let status = command.stderr(Stdio::null()).status().unwrap();
                crashed += u32::from(status.code().is_none());
            }
            assert!(crashed > 0 || nth > 2, "{point}@{nth} was never reached");
            assert_eq!(space.read("out.ndjson"), firsts(&input), "{point}@{nth}");
        }
    }
}

/// Two sources with the same keys, killed again and again while they grow.
#[test]
fn kills_lose_no_key_and_repeat_none() {
    let space = Workspace::new();
    let two = pipeline("key = '.k'").replace("inputs = [\"in\"]", "inputs = [\"in\", \"more\"]");
    space.write(
        "p.toml",
        "commit = { interval = \"20ms\" }\n".to_owned()
            + &two.replace("paths = [\"in.ndjson\"]", "paths = [\"in.ndjson\"]\nmode = \"tail\"")
            + "[sources.more]\ntype = \"file\"\nmode = \"tail\"\npaths = [\"more.ndjson\"]\n",
    );
    space.write("in.ndjson", "");
    space.write("more.ndjson", "");
    let mut random = Random(0xcafe);
    let (cycles, per_cycle) = (40, 500);
    for cycle in 0..cycles {
        let mut child = space.start(&["run", "p.toml"], "log");
        for step in 0..5 {
            // both get each key, and some keys of before
            let from = cycle * per_cycle + step * (per_cycle / 5);
            for file in ["in.ndjson", "more.ndjson"] {
                let old = random.below(from + 1);
                let new = (from..from + per_cycle / 5).chain(old..(old + 20).min(from));
                let lines: String = new.map(|k| format!("{{\"k\":{k}}}\n")).collect();
                space.append(file, lines);
            }
            pause(Duration::from_millis(random.below(25)));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let finished = space.run(&["run", "p.toml", "--once"]).expect_code(0);
    assert_eq!(finished.ledger("in", "in_flight") + finished.ledger("more", "in_flight"), 0);
    assert_each_key_once(&space.read("out.ndjson"), cycles * per_cycle, "after kills");
}

/// The mark of an event stands whatever becomes of it behind: its dead letter stands for it.
#[test]
fn a_dead_letter_is_the_first_of_its_key_too() {
    let space = Workspace::new();
    let failing = "[transforms.map]\ntype = \"jq\"\ninputs = [\"once\"]\nprogram = 'if .bad then error(\"bad\") else . end'\n";
    // refused by the sink when it opens the file: `blocked` is a file and no folder
    let refusing = pipeline("key = '.k'").replace("\"out.ndjson\"", "'out/\\(.to).ndjson'");
    space.write("p.toml", refusing.replace("inputs = [\"once\"]", "inputs = [\"map\"]") + failing);
    space.write("out/blocked.ndjson", "");
    let input = "{\"k\":1,\"to\":\"a\",\"bad\":true}\n{\"k\":1,\"to\":\"a\"}\n{\"k\":2,\"to\":\"blocked.ndjson/x\"}\n{\"k\":2,\"to\":\"a\"}\n{\"k\":3,\"to\":\"a\"}\n";
    space.write("in.ndjson", input);
    for round in 0..2 {
        let finished = space.run(&["run", "p.toml"]).expect_code(0);
        let columns = ["delivered", "filtered", "dead_lettered"].map(|column| finished.ledger("in", column));
        assert_eq!(columns, if round == 0 { [1, 2, 2] } else { [0, 5, 0] });
        assert_eq!(space.read("out/a.ndjson"), "{\"k\":3,\"to\":\"a\"}\n");
        space.append("in.ndjson", input);
    }
    assert_eq!(space.lines("state/dead_letters.ndjson").len(), 2);
}

/// What a sink refuses comes to a stage beside the batches, and is recorded like them.
#[test]
fn events_that_a_sink_refused_are_deduplicated_too() {
    let space = Workspace::new();
    space.write(
        "p.toml",
        "data_dir = \"state\"\n[sources.in]\ntype = \"file\"\npaths = [\"in.ndjson\"]\n\
         [sinks.out]\ntype = \"file\"\ninputs = [\"in\"]\npath = 'out/\\(.to).ndjson'\n\
         [transforms.once]\ntype = \"dedupe\"\ninputs = [\"out.errors\"]\nkey = '.event.k'\n\
         [sinks.refused]\ntype = \"file\"\ninputs = [\"once\"]\npath = \"refused.ndjson\"\n",
    );
    space.write("out/blocked.ndjson", "");
    let lines = |from: u64, to: u64| -> String {
        (from..to)
            .map(|n| {
                format!("{{\"k\":{},\"to\":\"blocked.ndjson/x\",\"n\":{n}}}\n{{\"to\":\"a\"}}\n", n % 10)
            })
            .collect()
    };
    space.write("in.ndjson", lines(0, 3000));
    let finished = space.run(&["run", "p.toml"]).expect_code(0);
    let columns = ["delivered", "filtered", "dead_lettered"].map(|column| finished.ledger("in", column));
    assert_eq!(columns, [3000, 0, 3000]);
    assert_eq!(space.lines("refused.ndjson").len(), 10);
    space.append("in.ndjson", lines(3000, 4000));
    space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(space.lines("refused.ndjson").len(), 10);
    assert_eq!(space.lines("out/a.ndjson").len(), 4000);
}
