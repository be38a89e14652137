//! Bad input, slow and broken sinks, signals: what happens to events when things go wrong.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod support;

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Workspace, pause, signal};

/// A pipeline from standard input to `out.ndjson` by one jq program.
fn mapping(program: &str) -> String {
    format!(
        "data_dir = \"state\"\n[sources.in]\ntype = \"stdin\"\n[transforms.map]\ntype = \"jq\"\ninputs = [\"in\"]\n\
         program = '''{program}'''\n[sinks.out]\ntype = \"file\"\ninputs = [\"map\"]\npath = \"out.ndjson\"\n"
    )
}

fn letters(space: &Workspace) -> Vec<Value> {
    space.lines("state/dead_letters.ndjson").iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_no_json_becomes_a_dead_letter_with_its_bytes() {
    let space = Workspace::new();
    space.write("p.toml", mapping("."));
    let input = b"{\"a\":1}\n{\"a\":\n\xff\xfe\n[1,2\n{\"b\":1.10,\"c\":12345678901234567890}\nnull\n";
    let finished = space.run_with_input(&["run", "p.toml"], input).expect_code(0);
    assert_eq!(space.read("out.ndjson"), "{\"a\":1}\n{\"b\":1.10,\"c\":12345678901234567890}\nnull\n");
    assert_eq!(finished.ledger("in", "read"), 6);
    assert_eq!(finished.ledger("in", "delivered"), 3);
    assert_eq!(finished.ledger("in", "dead_lettered"), 3);
    let letters = letters(&space);
    assert_eq!((&letters[0]["event"], &letters[0]["raw"]), (&Value::Null, &json!("{\"a\":")));
    assert_eq!(letters[1]["raw_base64"], json!("//4="));
    assert_eq!(letters[1]["error"]["kind"], json!("invalid_utf8"));
    assert_eq!(letters[2]["error"]["kind"], json!("invalid_json"));
    assert_eq!(letters[2]["error"]["component"], json!("in"));
    assert_eq!(letters[2]["meta"]["source"], json!("in"));

    let strict = space.run_with_input(&["run", "p.toml", "--strict"], "nope\n");
    assert_eq!(strict.code, Some(1));
}

#[test]
fn untouched_events_leave_as_they_came_and_touched_ones_are_exact() {
    let space = Workspace::new();
    space.write("p.toml", mapping("if .touch then .x = .n else . end"));
    let input = "{ \"b\" : 1.10, \"a\":\"\\u00e9\", \"b\":2 }\n{\"touch\":true,\"n\":9007199254740993,\"z\":1.10,\"e\":1e400}\n";
    space.run_with_input(&["run", "p.toml"], input).expect_code(0);
    let expected = "{ \"b\" : 1.10, \"a\":\"\\u00e9\", \"b\":2 }\n{\"touch\":true,\"n\":9007199254740993,\"z\":1.10,\"e\":1e400,\"x\":9007199254740993}\n";
    assert_eq!(space.read("out.ndjson"), expected);
}

#[test]
fn a_line_of_100_megabytes_is_a_dead_letter_and_costs_little_memory() {
    let space = Workspace::new();
    space.write(
        "p.toml",
        "data_dir = \"state\"\n[sources.in]\ntype = \"file\"\npaths = [\"in.ndjson\"]\n[sinks.out]\ntype = \"file\"\ninputs = [\"in\"]\npath = \"out.ndjson\"\n",
    );
    let mut file = fs::File::create(space.path("in.ndjson")).unwrap();
    file.write_all(b"{\"first\":1}\n").unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        file.write_all(&block).unwrap();
    }
    file.write_all(b"\n{\"last\":1}\n").unwrap();
    drop(file);
    space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(space.read("out.ndjson"), "{\"first\":1}\n{\"last\":1}\n");
    let letter = &letters(&space)[0];
    assert_eq!(letter["error"]["kind"], json!("line_too_long"));
    assert_eq!(letter["error"]["length"], json!(100 << 20));
    assert_eq!(letter["error"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(letter["raw"].as_str().unwrap().len(), 64 << 10);
    assert_eq!(letter["meta"]["origin"], json!({ "file": "in.ndjson", "offset": 12 }));
}

#[test]
fn deep_nesting_and_empty_input_are_harmless() {
    let space = Workspace::new();
    space.write("p.toml", mapping("[..] | length"));
    let deep = format!("{}1{}\n[[1]]\n", "[".repeat(100_000), "]".repeat(100_000));
    let finished = space.run_with_input(&["run", "p.toml"], deep).expect_code(0);
    assert_eq!(finished.ledger("in", "dead_lettered"), 1);
    assert_eq!(letters(&space)[0]["error"]["kind"], json!("limit"));
    assert_eq!(space.read("out.ndjson"), "3\n");
    let empty = space.run_with_input(&["run", "p.toml"], "").expect_code(0);
    assert_eq!(empty.ledger("in", "read"), 0);
}

#[test]
fn programs_without_end_fail_their_event_and_nothing_else() {
    let programs = [
        ("def f: f; f", "limit"),
        ("repeat(1)", "limit"),
        ("[repeat(1)]", "limit"),
        ("last(range(1e12))", "limit"),
        ("[range(1e9)] | length", "limit"),
        ("def f: 1 + f; f", "limit"),
        ("def f: try (1 + f) catch .; f", "limit"),
        ("reduce range(100) as $i (\"x\"; . + .)", "limit"),
        ("reduce range(100000) as $i (null; [.])", "limit"),
        ("reduce range(40) as $i (1; [., .])", "limit"),
        ("\"abc\" * 9223372036854775807", "jq"),
        ("\"abc\" * 500000000 | length", "limit"),
        ("reduce range(100000) as $i (null; [.]) | tojson", "jq"),
        ("[limit(1e12; repeat(1))]", "limit"),
        ("reduce repeat(1) as $i (0; . + 1)", "limit"),
        ("def f(x): f(x | x); f(.)", "limit"),
        ("halt", "halt"),
        ("halt_error", "halt"),
        ("error(\"no\")", "jq"),
        ("1, 2, error(\"late\")", "jq"),
        ("{(length): 2}", "jq"),
        (".a.b.c", "jq"),
    ];
    for (program, kind) in programs {
        let space = Workspace::new();
        let guarded = format!("if . == \"bad\" then ({program}) else . end");
        space.write(
            "p.toml",
            mapping(&guarded).replace("[sources", "limits = { time = \"300ms\" }\n[sources"),
        );
        let started = Instant::now();
        let input = "\"good 1\"\n\"bad\"\n\"good 2\"\n";
        let finished = space.run_with_input(&["run", "p.toml"], input).expect_code(0);
        assert_eq!(space.read("out.ndjson"), "\"good 1\"\n\"good 2\"\n", "{program}");
        assert_eq!(finished.ledger("in", "dead_lettered"), 1, "{program}");
        let letter = &letters(&space)[0];
        assert_eq!(letter["error"]["kind"], json!(kind), "{program}: {letter}");
        assert_eq!(letter["event"], json!("bad"), "{program}");
        assert!(started.elapsed() < Duration::from_secs(20), "{program}");
    }
}

#[test]
fn programs_cannot_see_the_host() {
    let space = Workspace::new();
    space.write("secret.json", "{\"a\":1}");
    space.write("p.toml", mapping("[env, $ENV]"));
    space.run_with_input(&["run", "p.toml"], "1\n").expect_code(0);
    assert_eq!(space.read("out.ndjson"), "[{},{}]\n");
    for program in
        ["input", "inputs", "import \"secret\" as $s; $s", "import \"../x\" as x; 1", "include \"/etc/x\"; 1"]
    {
        space.write("p.toml", mapping(program));
        space.run(&["validate", "p.toml"]).expect_code(78);
    }
}

#[test]
fn errors_take_their_edge_and_count_as_dead_letters_wherever_they_go() {
    let space = Workspace::new();
    let pipeline = mapping("if .a > 1 then error(\"too much\") else . end")
        + "[transforms.drop]\ntype = \"filter\"\ninputs = [\"map.errors\", \"in.errors\"]\ncondition = '.event.a != 3'\n\
           [sinks.errors]\ntype = \"file\"\ninputs = [\"drop\"]\npath = 'errors/\\(.error.kind).ndjson'\n";
    space.write("p.toml", pipeline);
    let input = "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\nnope\n";
    let finished = space.run_with_input(&["run", "p.toml"], input).expect_code(0);
    assert_eq!(finished.ledger("in", "delivered"), 1);
    assert_eq!(finished.ledger("in", "dead_lettered"), 3);
    assert_eq!(finished.ledger("in", "filtered"), 0);
    assert!(!space.path("state/dead_letters.ndjson").exists());
    let record: Value = serde_json::from_str(&space.read("errors/jq.ndjson")).unwrap();
    assert_eq!(record["event"], json!({ "a": 2 }));
    assert_eq!(
        record["error"],
        json!({ "component": "map", "kind": "jq", "message": "too much", "position": "program:1:16" })
    );
    assert_eq!(space.lines("errors/invalid_json.ndjson").len(), 1);
}

#[test]
fn paths_made_from_events_stay_in_their_folder() {
    let space = Workspace::new();
    let pipeline = mapping(".").replace("\"out.ndjson\"", "'out/\\(.k).ndjson'");
    space.write(
        "p.toml",
        pipeline + "[sinks.bad]\ntype = \"file\"\ninputs = [\"out.errors\"]\npath = \"bad.ndjson\"\n",
    );
    space.write("out/file.ndjson", "");
    fs::create_dir_all(space.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(space.path("elsewhere"), space.path("out/link")).unwrap();
    let long = "x".repeat(300);
    let keys = [
        "ok",
        "sub/ok",
        "../up",
        "/etc/passwd",
        "x/../y",
        "a//b",
        "nul\\u0000",
        &long,
        "file.ndjson/below",
        "link/through",
    ];
    let input: String = keys.iter().map(|key| format!("{{\"k\":\"{key}\"}}\n")).collect();
    let finished = space.run_with_input(&["run", "p.toml"], input).expect_code(0);
    assert_eq!(finished.ledger("in", "delivered"), 2);
    assert_eq!(finished.ledger("in", "dead_lettered"), 8);
    let bad = space.lines("bad.ndjson");
    assert_eq!(bad.len(), 8);
    for record in &bad {
        let record: Value = serde_json::from_str(record).unwrap();
        assert_eq!(
            (&record["error"]["kind"], &record["error"]["component"]),
            (&json!("path"), &json!("out"))
        );
        assert!(record["event"]["k"].is_string());
    }
    assert_eq!(fs::read_dir(space.path("elsewhere")).unwrap().count(), 0);
    assert!(!space.path("up.ndjson").exists());
}

#[test]
fn a_full_disk_stalls_and_loses_nothing() {
    let space = Workspace::new();
    let pipeline = |path: &str| {
        format!(
            "data_dir = \"state\"\n[sources.in]\ntype = \"generate\"\ncount = 3000\n[sinks.out]\ntype = \"file\"\n\
             inputs = [\"in\"]\npath = \"{path}\"\nretry = {{ initial = \"10ms\", budget = \"200ms\" }}\n"
        )
    };
    space.write("p.toml", pipeline("/dev/full"));
    let finished = space.run(&["run", "p.toml", "--once"]).expect_code(74);
    assert!(finished.stderr.contains("No space left on device"), "{}", finished.stderr);
    assert_eq!(finished.ledger("in", "delivered"), 0);
    assert_eq!(finished.ledger("in", "in_flight"), finished.ledger("in", "read"));
    // with room again everything comes, once
    space.write("p.toml", pipeline("out.ndjson"));
    space.run(&["run", "p.toml", "--once"]).expect_code(0);
    assert_eq!(space.lines("out.ndjson").len(), 3000);
}

#[test]
fn dead_letters_that_cannot_be_written_stall_the_pipeline() {
    let space = Workspace::new();
    space.write("p.toml", mapping("."));
    fs::create_dir_all(space.path("state")).unwrap();
    std::os::unix::fs::symlink("/dev/full", space.path("state/dead_letters.ndjson")).unwrap();
    let mut child = space
        .command(&["run", "p.toml", "--grace", "300ms"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"nope\n").unwrap();
    pause(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it waits for room");
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("in_flight=1"), "{stderr}");
}

#[test]
fn what_cannot_be_opened_is_an_error_with_its_name() {
    let space = Workspace::new();
    space.write("file", "");
    for path in ["file/out.ndjson", "/proc/none/out.ndjson"] {
        space.write("p.toml", mapping(".").replace("out.ndjson", path));
        let finished = space.run_with_input(&["run", "p.toml"], "1\n").expect_code(74);
        assert!(finished.stderr.contains("sink `out`"), "{}", finished.stderr);
    }
    space.write(
        "p.toml",
        mapping(".").replace("type = \"stdin\"", "type = \"file\"\npaths = [\"no/such.ndjson\"]"),
    );
    let finished = space.run(&["run", "p.toml"]).expect_code(74);
    assert!(finished.stderr.contains("no/such.ndjson"), "{}", finished.stderr);
    space.write(
        "p.toml",
        mapping(".").replace("type = \"stdin\"", "type = \"file\"\npaths = [\"no/*.ndjson\"]"),
    );
    let finished = space.run(&["run", "p.toml"]).expect_code(0);
    assert!(finished.stderr.contains("no file matches"), "{}", finished.stderr);
}

#[test]
fn a_best_effort_sink_is_in_nobodys_way() {
    let space = Workspace::new();
    space.write(
        "p.toml",
        "data_dir = \"state\"\n[sources.in]\ntype = \"generate\"\ncount = 5000\n[sinks.out]\ntype = \"file\"\ninputs = [\"in\"]\npath = \"out.ndjson\"\n\
         [sinks.extra]\ntype = \"file\"\ninputs = [\"in\"]\npath = \"/dev/full\"\nrequired = false\n",
    );
    let finished = space.run(&["run", "p.toml", "--once"]).expect_code(0);
    assert_eq!(finished.ledger("in", "delivered"), 5000);
    assert_eq!(space.lines("out.ndjson").len(), 5000);
    assert!(
        finished.stderr.contains("best_effort extra: delivered=0 rejected=0 dropped=5000"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_closed_pipe_is_no_error() {
    let space = Workspace::new();
    space.write("p.toml", "data_dir = \"state\"\n[sources.in]\ntype = \"generate\"\n[sinks.out]\ntype = \"console\"\ninputs = [\"in\"]\n");
    let mut child =
        space.command(&["run", "p.toml"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert!(line.starts_with('{'));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_signal_under_load_drains_and_the_next_run_goes_on() {
    let space = Workspace::new();
    space.write("p.toml", "data_dir = \"state\"\n[sources.in]\ntype = \"generate\"\n[sinks.out]\ntype = \"file\"\ninputs = [\"in\"]\npath = \"out.ndjson\"\n");
    for round in 1..=3 {
        let child = space.start(&["run", "p.toml"], "log");
        space.wait_for_lines("out.ndjson", round * 2000);
        signal(&child, "INT");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", space.read("log"));
    }
    let ids: Vec<String> = space.lines("out.ndjson");
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(ids.len(), distinct.len());
    let state: Value = serde_json::from_str(&space.run(&["state", "p.toml"]).stdout).unwrap();
    assert_eq!(state["in"]["next"], json!(ids.len()));
    assert!(!space.read("log").contains("does not balance"));
}

#[test]
fn a_second_signal_ends_at_once_and_an_open_pipe_holds_nothing_up() {
    let space = Workspace::new();
    let stuck = mapping(".").replace("out.ndjson", "/dev/full");
    space.write("p.toml", stuck);
    let mut child =
        space.command(&["run", "p.toml"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"1\n2\n").unwrap();
    pause(Duration::from_millis(300));
    signal(&child, "TERM");
    pause(Duration::from_millis(100));
    assert!(child.try_wait().unwrap().is_none(), "the first one drains");
    let started = Instant::now();
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(output.status.code(), Some(143));
    assert!(String::from_utf8_lossy(&output.stderr).contains("in_flight=2"));

    // the pipe stays open, and the run ends all the same
    space.write("p.toml", mapping("."));
    let mut child =
        space.command(&["run", "p.toml"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"1\n").unwrap();
    space.wait_for_lines("out.ndjson", 1);
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn memory_stays_flat_behind_a_stalled_sink() {
    let space = Workspace::new();
    space.write("p.toml", "data_dir = \"state\"\n[sources.in]\ntype = \"generate\"\n[sinks.out]\ntype = \"file\"\ninputs = [\"in\"]\npath = \"/dev/full\"\n");
    let mut child = space.start(&["run", "p.toml"], "log");
    pause(Duration::from_millis(1500));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(peak < 96 << 10, "{peak} kB");
}

#[test]
fn a_second_process_on_one_data_dir_is_told_who_has_it() {
    let space = Workspace::new();
    space.write("p.toml", "data_dir = \"state\"\n[sources.in]\ntype = \"generate\"\nrate = 10\n[sinks.out]\ntype = \"blackhole\"\ninputs = [\"in\"]\n");
    let mut child = space.start(&["run", "p.toml"], "log");
    space.wait_for_text("state/lock", "process");
    let second = space.run(&["run", "p.toml"]).expect_code(74);
    assert!(second.stderr.contains(&format!("process {}", child.id())), "{}", second.stderr);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_forgotten_event_is_seen_and_comes_again() {
    let space = Workspace::new();
    let numbers: String = (0..3000).map(|n| format!("{n}\n")).collect();
    space.write("in.ndjson", numbers);
    space.write(
        "p.toml",
        mapping(".").replace("type = \"stdin\"", "type = \"file\"\npaths = [\"in.ndjson\"]"),
    );
    let output =
        space.command(&["run", "p.toml"]).env("JAQUARD_TESTKIT", "worker.forget@1234").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the ledger does not balance"), "{stderr}");
    assert!(stderr.contains("read=3000 delivered=0 filtered=0 dead_lettered=0 in_flight=2999"), "{stderr}");
    space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(space.lines("out.ndjson").len(), 3000);
}

#[test]
fn a_failure_inside_the_process_is_rolled_back_and_replayed() {
    let space = Workspace::new();
    let numbers: String = (0..20_000).map(|n| format!("{n}\n")).collect();
    space.write("in.ndjson", &numbers);
    let pipeline = mapping(".").replace("type = \"stdin\"", "type = \"file\"\npaths = [\"in.ndjson\"]");
    space.write("p.toml", &pipeline);
    let output = space.command(&["run", "p.toml"]).env("JAQUARD_TESTKIT", "worker.batch@3").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("going back to the last epoch"), "{stderr}");
    assert!(stderr.contains("read=20000 delivered=20000"), "{stderr}");
    assert_eq!(space.read("out.ndjson"), numbers);

    // again and again: the run ends, and the next one delivers
    let space = Workspace::new();
    space.write("in.ndjson", "1\n2\n");
    space.write("p.toml", &pipeline);
    let points = "worker.batch@1,worker.batch@2,worker.batch@3";
    let output = space.command(&["run", "p.toml"]).env("JAQUARD_TESTKIT", points).output().unwrap();
    assert_eq!(output.status.code(), Some(74), "{}", String::from_utf8_lossy(&output.stderr));
    space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(space.read("out.ndjson"), "1\n2\n");
}

#[test]
fn fan_out_counts_each_source_event_once() {
    let space = Workspace::new();
    space.write(
        "p.toml",
        r#"data_dir = "state"
[sources.in]
type = "stdin"
[transforms.kinds]
type = "route"
inputs = ["in"]
all = true
routes.even = '. % 2 == 0'
routes.third = '. % 3 == 0'
[transforms.many]
type = "jq"
inputs = ["kinds.even"]
program = 'range(3) | {n: ., key: $meta.key}'
[sinks.even]
type = "file"
inputs = ["many"]
path = "even.ndjson"
[sinks.third]
type = "file"
inputs = ["kinds.third", "many"]
path = "third.ndjson"
"#,
    );
    let numbers: String = (1..=12).map(|n| format!("{n}\n")).collect();
    let finished = space.run_with_input(&["run", "p.toml"], numbers).expect_code(0);
    assert_eq!(finished.ledger("in", "read"), 12);
    assert_eq!(finished.ledger("in", "delivered"), 8);
    assert_eq!(finished.ledger("in", "filtered"), 4);
    let even = space.lines("even.ndjson");
    assert_eq!((even.len(), space.lines("third.ndjson").len()), (18, 22));
    let keys: std::collections::BTreeSet<_> = even.iter().collect();
    assert_eq!(keys.len(), 18, "each output has its own key");
}

#[test]
fn two_paths_to_one_file_are_refused() {
    let space = Workspace::new();
    space.write("p.toml", mapping(".").replace("\"out.ndjson\"", "'out/\\(.k).ndjson'"));
    space.write("out/a.ndjson", "");
    std::os::unix::fs::symlink("a.ndjson", space.path("out/b.ndjson")).unwrap();
    let finished = space.run_with_input(&["run", "p.toml"], "{\"k\":\"a\"}\n{\"k\":\"b\"}\n").expect_code(0);
    assert_eq!(finished.ledger("in", "delivered"), 1);
    assert!(letters(&space)[0]["error"]["message"].as_str().unwrap().contains("the same file"));
}

#[test]
fn a_best_effort_sink_leaves_nothing_behind_and_stops_nobody() {
    let space = Workspace::new();
    let pipeline = |extra: &str| {
        format!(
            "data_dir = \"state\"\n[sources.in]\ntype = \"stdin\"\n[sinks.out]\ntype = \"file\"\ninputs = [\"in\"]\npath = \"out.ndjson\"\n\
             [sinks.extra]\ntype = \"file\"\ninputs = [\"in\"]\n{extra}"
        )
    };
    space.write("p.toml", pipeline("path = \"extra.ndjson\"\nrequired = false\n"));
    space.run_with_input(&["run", "p.toml"], "1\n2\n").expect_code(0);
    space.write("p.toml", pipeline("path = \"extra.ndjson\"\n"));
    space.run_with_input(&["run", "p.toml"], "3\n").expect_code(0);
    assert_eq!(space.read("extra.ndjson"), "1\n2\n3\n");

    space.write("p.toml", pipeline("path = \"/proc/none/extra.ndjson\"\nrequired = false\n"));
    let finished = space.run_with_input(&["run", "p.toml"], "4\n").expect_code(0);
    assert!(
        finished.stderr.contains("best_effort extra: delivered=0 rejected=0 dropped=1"),
        "{}",
        finished.stderr
    );
    assert_eq!(space.lines("out.ndjson").len(), 4);
}

#[test]
fn a_write_that_never_ends_does_not_hold_up_the_grace_period() {
    let space = Workspace::new();
    space.write("p.toml", "data_dir = \"state\"\n[sources.in]\ntype = \"generate\"\n[sinks.out]\ntype = \"console\"\ninputs = [\"in\"]\n");
    // a reader that never reads
    let mut child = space
        .command(&["run", "p.toml", "--grace", "200ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    pause(Duration::from_millis(500));
    signal(&child, "TERM");
    let started = Instant::now();
    let status = child.wait().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(status.code(), Some(0));
}

#[test]
fn rotated_files_end_where_they_are_full() {
    let space = Workspace::new();
    space.write(
        "p.toml",
        mapping(".").replace("\"out.ndjson\"", "\"out/e.ndjson\"\nrotate = { size = \"1KB\" }"),
    );
    let input: String =
        (0..100).map(|n| format!("{{\"n\":{n},\"pad\":\"{}\"}}\n", "x".repeat(100))).collect();
    space.run_with_input(&["run", "p.toml"], &input).expect_code(0);
    let mut all = String::new();
    for number in 1.. {
        let name = format!("out/e.{number:04}.ndjson");
        if !space.path(&name).exists() {
            break;
        }
        let part = space.read(&name);
        assert!(part.len() < 1000 + 130, "{name} has {} bytes", part.len());
        all += &part;
    }
    assert_eq!(all, input);
}

#[test]
fn devices_can_be_written_to() {
    let space = Workspace::new();
    space.write("p.toml", mapping(".").replace("out.ndjson", "/dev/null"));
    let finished = space.run_with_input(&["run", "p.toml"], "1\n").expect_code(0);
    assert_eq!(finished.ledger("in", "delivered"), 1);
}
