//! Killed at any moment, nothing is lost and nothing comes twice.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use support::{Random, Workspace, pause};

const PIPELINE: &str = r#"
data_dir = "state"
commit = { interval = "40ms" }

[sources.a]
type = "file"
paths = ["in/a.ndjson"]
mode = "tail"

[sources.b]
type = "file"
paths = ["in/b.ndjson"]
mode = "tail"

[transforms.both]
type = "jq"
inputs = ["a", "b"]
program = '{n, s, p: (.n % 10)}'

[sinks.all]
type = "file"
inputs = ["both"]
path = "out/all.ndjson"

[sinks.parts]
type = "file"
inputs = ["both"]
path = 'out/part/\(.p).ndjson'
"#;

/// Fails unless the lines are each number of each source exactly once.
#[track_caller]
fn assert_exactly_once(lines: impl Iterator<Item = String>, each: u64, what: &str) {
    let mut seen: BTreeMap<(String, u64), u32> = BTreeMap::new();
    for line in lines {
        let event: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{what}: torn line {line:?}"));
        let key = (event["s"].as_str().unwrap().to_owned(), event["n"].as_u64().unwrap());
        *seen.entry(key).or_default() += 1;
    }
    let repeated: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).take(5).collect();
    assert!(repeated.is_empty(), "{what}: repeated {repeated:?}");
    for source in ["a", "b"] {
        let missing = (0..each).find(|n| !seen.contains_key(&(source.to_owned(), *n)));
        assert_eq!(missing, None, "{what}: lost from {source}");
    }
    assert_eq!(seen.len() as u64, 2 * each, "{what}");
}

fn all_lines(space: &Workspace, folder: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(space.path(folder)).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let text = match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => {
                let mut text = String::new();
                let mut decoder = flate2::read::MultiGzDecoder::new(&bytes[..]);
                std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
                text
            }
            Some("zst") => String::from_utf8(zstd::stream::decode_all(&bytes[..]).unwrap()).unwrap(),
            _ => String::from_utf8(bytes).unwrap(),
        };
        assert!(text.is_empty() || text.ends_with('\n'), "{}", path.display());
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}

/// The job grows while the process is killed again and again; the kills fall all over its life.
fn kill_cycles(pipeline: &str, cycles: u64, events: u64, seed: u64) -> (Workspace, usize) {
    let space = Workspace::new();
    space.write("p.toml", pipeline);
    space.write("in/a.ndjson", "");
    space.write("in/b.ndjson", "");
    let mut random = Random(seed);
    let mut written = 0;
    for cycle in 0..cycles {
        let mut child = space.start(&["run", "p.toml"], "log");
        let due = events * (cycle + 1) / cycles;
        // some is there when it starts, some comes while it runs
        while written < due {
            let until = (written + 1 + random.below(400)).min(due);
            for source in ["a", "b"] {
                let lines: String = (written..until)
                    .map(|n| {
                        format!(
                            "{{\"n\":{n},\"s\":\"{source}\",\"pad\":\"{}\"}}\n",
                            "x".repeat((n % 60) as usize)
                        )
                    })
                    .collect();
                space.append(&format!("in/{source}.ndjson"), lines);
            }
            written = until;
            pause(Duration::from_millis(random.below(20)));
        }
        pause(Duration::from_millis(random.below(90)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let finished = space.run(&["run", "p.toml", "--once"]).expect_code(0);
    assert_eq!(finished.ledger("a", "in_flight"), 0);
    let log = space.read("log") + &finished.stderr;
    // a restart may cut several files
    let mut restarts_with_cuts = 0;
    let mut last = String::new();
    for line in log.lines().filter(|line| line.contains("cut what no epoch had recorded")) {
        let second = line.get(..22).unwrap_or_default().to_owned();
        restarts_with_cuts += usize::from(second != last);
        last = second;
    }
    (space, restarts_with_cuts)
}

#[test]
fn two_hundred_kills_lose_and_repeat_nothing() {
    let (space, cuts) = kill_cycles(PIPELINE, 200, 100_000, 0x5eed);
    println!("{cuts} of 200 restarts had bytes to cut");
    assert_exactly_once(space.lines("out/all.ndjson").into_iter(), 100_000, "one file");
    assert_exactly_once(all_lines(&space, "out/part").into_iter(), 100_000, "ten partitions");
    for part in 0..10 {
        let lines = space.lines(&format!("out/part/{part}.ndjson"));
        assert!(lines.iter().all(|line| line.contains(&format!("\"p\":{part}"))));
    }
    assert!(cuts >= 50, "only {cuts} restarts had bytes to cut: the kills test too little");
}

#[test]
fn compressed_and_rotated_files_survive_kills() {
    let pipeline = PIPELINE
        .replace(
            "path = \"out/all.ndjson\"",
            "path = \"out/all/events.ndjson\"\nrotate = { size = \"100KB\" }",
        )
        .replace(".ndjson'\n", ".ndjson.gz'\nrotate = { size = \"20KB\" }\n");
    let (space, cuts) = kill_cycles(&pipeline, 40, 20_000, 0xfeed);
    println!("{cuts} of 40 restarts had bytes to cut");
    assert_exactly_once(all_lines(&space, "out/all").into_iter(), 20_000, "rotated files");
    assert_exactly_once(all_lines(&space, "out/part").into_iter(), 20_000, "compressed files");
    assert!(fs::read_dir(space.path("out/all")).unwrap().count() > 3, "it did rotate");
}

/// The process ends itself at the points where it matters, at the n-th time.
#[test]
fn crashes_at_each_critical_point_are_harmless() {
    let pipeline = PIPELINE
        .replace("mode = \"tail\"", "mode = \"read\"")
        .replace("interval = \"40ms\"", "interval = \"1ms\", max_bytes = \"64KB\"");
    for point in ["epoch.prepared", "epoch.recorded", "file.intent", "file.written", "file.torn"] {
        for nth in [1, 2, 5] {
            let space = Workspace::new();
            space.write("p.toml", &pipeline);
            let each = 20_000;
            for source in ["a", "b"] {
                let lines: String =
                    (0..each).map(|n| format!("{{\"n\":{n},\"s\":\"{source}\"}}\n")).collect();
                space.write(&format!("in/{source}.ndjson"), lines);
            }
            let mut crashed = 0;
            for round in 0..4 {
                let mut command = space.command(&["run", "p.toml", "--once"]);
                if round < 3 {
                    command.env("JAQUARD_TESTKIT", format!("{point}@{nth}"));
                }
                let status = command.stderr(std::process::Stdio::null()).status().unwrap();
                crashed += u32::from(status.code().is_none());
            }
            // how many epochs there are depends on the machine; two there always are
            assert!(crashed > 0 || nth > 2, "{point}@{nth} was never reached");
            let what = format!("{point}@{nth}");
            assert_exactly_once(space.lines("out/all.ndjson").into_iter(), each, &what);
            assert_exactly_once(all_lines(&space, "out/part").into_iter(), each, &what);
        }
    }
}

/// A file that somebody else changed is not touched beyond what is proven to be ours.
#[test]
fn foreign_bytes_are_never_cut() {
    let space = Workspace::new();
    space.write("p.toml", PIPELINE.replace("mode = \"tail\"", "mode = \"read\""));
    let lines = |from: u64, to: u64, source: &str| -> String {
        (from..to).map(|n| format!("{{\"n\":{n},\"s\":\"{source}\"}}\n")).collect()
    };
    space.write("in/a.ndjson", lines(0, 100, "a"));
    space.write("in/b.ndjson", lines(0, 100, "b"));
    space.run(&["run", "p.toml"]).expect_code(0);

    // appended by somebody after a clean end
    space.append("out/all.ndjson", "{\"mine\":1}\n");
    space.append("in/a.ndjson", lines(100, 200, "a"));
    space.run(&["run", "p.toml"]).expect_code(0);
    let all = space.read("out/all.ndjson");
    assert_eq!(all.matches("mine").count(), 1);
    assert_eq!(all.lines().count(), 301);

    // replaced by another file after a crash
    space.append("in/a.ndjson", lines(200, 300, "a"));
    let mut command = space.command(&["run", "p.toml", "--once"]);
    let status = command.env("JAQUARD_TESTKIT", "epoch.prepared").status().unwrap();
    assert_eq!(status.code(), None);
    let path = space.path("out/all.ndjson");
    let other = space.write("other", "somebody's file, longer than what is recorded\n".repeat(1000));
    fs::rename(other, &path).unwrap();
    let finished = space.run(&["run", "p.toml"]).expect_code(0);
    assert!(finished.stderr.contains("it is another file"), "{}", finished.stderr);
    let all = space.read("out/all.ndjson");
    assert_eq!(all.matches("somebody's file").count(), 1000);
    assert_eq!(all.lines().count(), 1100);
}

/// The first moments of a `data_dir`: a kill there must not leave a state that no run can open.
#[test]
fn a_kill_while_the_state_is_made_leaves_nothing_in_the_way() {
    let space = Workspace::new();
    space.write("in.ndjson", "{\"n\":1}\n");
    space.write(
        "p.toml",
        "data_dir = \"state\"\n[sources.in]\ntype = \"file\"\npaths = [\"in.ndjson\"]\n\
         [sinks.out]\ntype = \"file\"\ninputs = [\"in\"]\npath = 'out.ndjson'\n",
    );
    let killed = space.command(&["run", "p.toml"]).env("JAQUARD_TESTKIT", "state.begun").status().unwrap();
    assert!(!killed.success());
    space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(space.lines("out.ndjson"), ["{\"n\":1}"]);
}
