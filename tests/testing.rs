//! `jaquard test` on transforms and pipelines: `[[case]]`.
//!
//! What it says of tests that fail or are wrong is held against golden files: `NAME.test.toml` and what is
//! printed in `NAME.out`. `UPDATE=1` writes the latter anew.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use support::{Workspace, repository};

/// A workspace with what the golden tests name.
fn workspace() -> Workspace {
    let space = Workspace::new();
    copy(&repository().join("tests/golden/testing/files"), "files", &space);
    space
}

fn copy(folder: &Path, to: &str, space: &Workspace) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let to = format!("{to}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to, space);
        } else {
            space.write(&to, fs::read(entry.path()).unwrap());
        }
    }
}

#[test]
fn every_failure_is_shown_with_its_place_and_the_way_out() {
    let folder = repository().join("tests/golden/testing");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".test.toml"))
        .collect();
    names.sort();
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        let space = workspace();
        let test = fs::read_to_string(folder.join(&name)).unwrap();
        let code = test.lines().next().unwrap().strip_prefix("# exit ").expect(&name);
        space.write(&name, &test);
        let finished = space.run(&["test", &name]).expect_code(code.parse().unwrap());
        let golden = folder.join(name.replace(".test.toml", ".out"));
        let actual = format!("{}\n{}", finished.stdout, finished.stderr);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&golden, &actual).unwrap();
        }
        assert_eq!(actual, fs::read_to_string(&golden).unwrap_or_default(), "{name}");
    }
}

const PASSES: &str = r#"
args = { v = 1 }
library = ["lib"]
dropped = ["kind", "note"]

[[case]]
name = "every kind of expectation"
input_file = "samples/two.ndjson"
args = { w = 2 }
outputs = 2
expect = '''
{"uid":"id-a1","time":1767323045000,"user":{"name":"ada","is_admin":true},"size":1.10,"v":1}
{ "v": 1, "uid": "id-a2", "time": 1767323046000, "user": { "is_admin": false, "name": "bob" }, "size": 2 }
'''
golden = "map.golden.ndjson"
assert = ['.user.name == $input.user.name', '$args.w == 2', '.size >= 1']
leaves = "map.fields.tsv"

[[case]]
name = "what fails"
input = '{"kind":"broken"} {"kind":"other"} nonsense'
errors = [{ message = "cannot be read", kind = "jq" }, { kind = "invalid_json" }]
expect = ''

[[case]]
name = "meta as in a pipeline"
transform = "meta.jq"
input = '{} {}'
assert = ['.source == "test" and .origin.file == "map.test.toml" and (.id | length == 32)']
golden = "meta.golden.ndjson"

[[case]]
name = "a pipeline"
pipeline = "pipeline.toml"
source = "audit"
sink = "out"
input = '{"a":1} {"a":2} {"a":3}'
expect = '{"b":1} {"b":3}'
errors = [{ message = "two", kind = "jq" }]

[[case]]
name = "all of an API event"
transform = "api.jq"
input = '{"at":1767323045000}'
ocsf = { version = "1.8.0", warnings = true }

[[case]]
name = "a log type"
transform = "id.jq"
input = '{"id":"65f1a0c2b3d4e5f60718293a","created":"2026-01-02T03:04:05Z","eventTypeName":"X","isGlobalAdmin":false}'
schema = "note.yml"
"#;

#[test]
fn inputs_may_be_said_to_be_polled() {
    let space = Workspace::new();
    space.write("map.jq", "$meta.origin");
    let polled = r#"
[[case]]
name = "polled"
input = '1'
polled = { stream = "settings", partition = "p1", fetched_at = "2026-01-02T04:04:05+01:00", sequence = 3 }
assert = ['.stream == "settings" and .partition == "p1"', '.fetched_at | startswith("2026-01-02T03:04:05")', '.sequence == 3']
"#;
    space.write("map.test.toml", polled);
    let tested = space.run(&["test"]);
    assert_eq!(tested.code, Some(0), "{}{}", tested.stdout, tested.stderr);
}

fn passing() -> Workspace {
    let space = Workspace::new();
    copy(&repository().join("tests/golden/testing/files"), ".", &space);
    space.write("meta.jq", "$meta");
    space.write("id.jq", ".");
    space.write("api.jq", "{ class_uid: 6003, category_uid: 6, activity_id: 1, type_uid: 600301, severity_id: 1, time: .at, metadata: { version: \"1.8.0\", product: { name: \"example\" } }, actor: { user: { name: \"ada\" } }, api: { operation: \"x\" }, src_endpoint: { ip: \"192.0.2.1\" } }");
    space.write("note.yml", "schema: Example.Note\ndescription: A note.\nfields:\n  - name: id\n    type: string\n    required: true\n    description: Which one.\n");
    space.write("map.test.toml", PASSES);
    space
}

#[test]
fn every_kind_of_expectation_passes_where_it_holds() {
    let space = passing();
    let updated = space.run(&["test", "--update"]).expect_code(0);
    assert!(updated.stdout.contains("(2 inputs, 2 outputs, 13 leaves, updated)\n"), "{}", updated.stdout);
    assert_eq!(space.read("map.test.toml"), PASSES, "nothing in it was wrong");
    assert_eq!(
        space.read("map.fields.tsv"),
        "created\ttime\nid\tuid\nkind\t(dropped)\nnote\t(dropped)\nsize\tsize\nuser.admin\tuser.is_admin\nuser.name\tuser.name\n"
    );
    let tested = space.run(&["test", "--junit", "junit.xml"]);
    assert_eq!(tested.code, Some(0), "{}{}", tested.stdout, tested.stderr);
    assert_eq!(
        tested.stdout,
        "ok     map.test.toml: every kind of expectation (2 inputs, 2 outputs, 13 leaves)\n\
         ok     map.test.toml: what fails (3 inputs, 0 outputs)\n\
         ok     map.test.toml: meta as in a pipeline (2 inputs, 2 outputs)\n\
         ok     map.test.toml: a pipeline (3 inputs, 2 outputs)\n\
         ok     map.test.toml: all of an API event (1 input, 1 output)\n\
         ok     map.test.toml: a log type (1 input, 1 output)\n\
         6 passed, 0 failed\n"
    );
    assert!(space.read("junit.xml").contains("<testsuites tests=\"6\" failures=\"0\""));
    let filtered = space.run(&["test", "--filter", "toml: a pipe"]).expect_code(0);
    assert!(filtered.stdout.ends_with("\n1 passed, 0 failed\n"), "{}", filtered.stdout);
    space.run(&["test", "--filter", "nosuch"]).expect_code(64);
    assert!(!space.path("state-home").exists());
}

#[test]
fn a_warning_of_ocsf_fails_unless_it_is_allowed() {
    let space = passing();
    let test = PASSES.replace("{ version = \"1.8.0\", warnings = true }", "\"1.8.0\"");
    let warned = space.read("api.jq").replace("severity_id: 1,", "severity_id: 1, severity: \"wrong\",");
    space.write("api.jq", warned);
    space.run(&["test", "--filter", "API event"]).expect_code(0);
    space.write("map.test.toml", test);
    let failed = space.run(&["test", "--filter", "API event"]).expect_code(65);
    assert!(failed.stdout.contains("  ocsf: output 1 of input 1: warning: .severity: "), "{}", failed.stdout);
}

#[test]
fn a_case_may_run_on_a_recording() {
    let space = Workspace::new();
    copy(&repository().join("tests/cassettes"), ".", &space);
    let replay = space.read("organization_events.test.toml");
    let env = replay.lines().find(|line| line.starts_with("env = ")).unwrap_or_default();
    let case = format!(
        "[[case]]\nname = \"recorded\"\npipeline = \"organization_events.toml\"\ncassette = \"organization_events.cassette\"\n{env}\n\
         golden = \"organization_events.golden.ndjson\"\noutputs = 12\nassert = ['.id != null']\n"
    );
    space.write("case.test.toml", &case);
    let tested = space.run(&["test", "case.test.toml"]);
    assert_eq!(tested.code, Some(0), "{}{}", tested.stdout, tested.stderr);
    assert_eq!(tested.stdout, "ok     case.test.toml: recorded (12 outputs)\n1 passed, 0 failed\n");
    space.write("case.test.toml", case.replace("'.id != null'", "'.id == $input.id'"));
    let wrong = space.run(&["test", "case.test.toml"]).expect_code(78);
    assert!(wrong.stderr.contains("undefined variable `$input`"), "{}", wrong.stderr);
}

#[test]
fn a_leaf_that_a_change_loses_is_found() {
    let space = passing();
    space.run(&["test", "--update"]).expect_code(0);
    let program = space.read("map.jq");
    space.write("map.jq", program.replace("name: .user.name, ", "name: (.user.name | length), "));
    let failed = space.run(&["test", "--filter", "every kind", "--junit", "junit.xml"]).expect_code(65);
    assert!(failed.stdout.contains(".user.name of input 1 (samples/two.ndjson:1) changes the outputs, and is not found in them (2 times)"), "{}", failed.stdout);
    assert!(failed.stdout.contains("map it, or list it: converted = [\"user.name\"]"), "{}", failed.stdout);
    assert!(space.read("junit.xml").contains("<failure message=\"expect, golden, assert, leaves\">"));
    space.write("map.jq", program.replace("name: .user.name, ", ""));
    let failed = space.run(&["test", "--filter", "every kind"]).expect_code(65);
    assert!(
        failed.stdout.contains(".user.name of input 1 (samples/two.ndjson:1) goes nowhere"),
        "{}",
        failed.stdout
    );
    assert!(
        failed.stdout.contains("    - user.name -> user.name\n    + user.name -> (dropped)\n"),
        "{}",
        failed.stdout
    );
}

#[test]
fn update_writes_what_is_expected_and_leaves_the_rest_of_the_file() {
    let space = passing();
    let test = "# kept\ntransform = 'map.jq' # this too\nlibrary = [ 'lib' ]\n\n[[case]]\nname = 'one'\nexpect = '{\"uid\":\"wrong\"}' # and this\noutputs = 7\ninput_file = 'samples/two.ndjson'\n\
                [[case]]\nname = 'quotes'\ntransform = 'id.jq'\nexpect = '1'\ninput = '[\"it is '', \\u0001 \\\\\"]'\n\
                [[case]]\nname = 'none'\nexpect = '1'\ninput = '{\"kind\":\"other\"}'\n";
    let test = test.replace("'[\"it is '', \\u0001 \\\\\"]'", "\"\"\"[\"it is ''' and \\\\\\\\\"]\"\"\"");
    fs::remove_file(space.path("map.test.toml")).unwrap();
    space.write("x.test.toml", &test);
    space.run(&["test"]).expect_code(65);
    let updated = space.run(&["test", "--update"]);
    assert_eq!(updated.code, Some(0), "{}{}", updated.stdout, updated.stderr);
    let written = space.read("x.test.toml");
    let outputs = "'''\n{\"uid\":\"id-a1\",\"time\":1767323045000,\"user\":{\"name\":\"ada\",\"is_admin\":true},\"size\":1.10,\"v\":null}\n{\"uid\":\"id-a2\",\"time\":1767323046000,\"user\":{\"name\":\"bob\",\"is_admin\":false},\"size\":2,\"v\":null}\n'''";
    let expected = test
        .replace("'{\"uid\":\"wrong\"}'", outputs)
        .replace("outputs = 7", "outputs = 2")
        .replace(
            "transform = 'id.jq'\nexpect = '1'",
            "transform = 'id.jq'\nexpect = \"\"\"\n[\\\"it is ''' and \\\\\\\\\\\"]\n\"\"\"",
        )
        .replace("name = 'none'\nexpect = '1'", "name = 'none'\nexpect = ''");
    assert_eq!(written, expected);
    let again = space.run(&["test", "--update"]).expect_code(0);
    assert!(!again.stdout.contains("updated"), "{}", again.stdout);
    space.run(&["test"]).expect_code(0);
}

#[test]
fn results_come_in_the_order_of_the_files() {
    let space = Workspace::new();
    let mut expected = String::new();
    for file in ["a", "b", "c"] {
        space.write(&format!("{file}.jq"), "[limit(.; repeat(1))] | length");
        let mut test = String::new();
        for number in 0..12 {
            // the first ones take longest
            let work = if number < 2 { 20_000 } else { 1 };
            test += &format!("[[case]]\nname = \"{number}\"\ninput = '{work}'\nexpect = '{work}'\n");
            expected += &format!("ok     {file}.test.toml: {number} (1 input, 1 output)\n");
        }
        space.write(&format!("{file}.test.toml"), test);
    }
    let tested = space.run(&["test"]).expect_code(0);
    assert_eq!(tested.stdout, expected + "36 passed, 0 failed\n");
}

#[test]
fn what_no_input_reaches_is_named() {
    let space = Workspace::new();
    space.write("map.jq", "import \"kinds\" as k;\nif .a then k::name\nelse \"none\" end\n");
    space.write("kinds.jq", "def name: .name // \"anybody\";\ndef unused: 1;\n");
    let test = "[[case]]\nname = \"one\"\ninput = '{\"a\":true,\"name\":\"ada\"}'\nexpect = '\"ada\"'\n";
    space.write("map.test.toml", test);
    let covered = space.run(&["test", "--coverage"]).expect_code(0);
    for line in ["map.jq:3:6: else\n", "kinds.jq:1:20: right of //\n", "kinds.jq:2:5: function\n"] {
        assert!(covered.stdout.contains(line), "{line}: {}", covered.stdout);
    }
    let low = space.run(&["test", "--coverage-min", "90"]).expect_code(65);
    assert!(low.stderr.contains("90 % must be"), "{}", low.stderr);
    space.run(&["test", "--coverage-min", "10"]).expect_code(0);
    space.run(&["test", "--coverage-min", "101"]).expect_code(64);
    let more = "[[case]]\nname = \"two\"\ninput = '{\"a\":true} {}'\nexpect = '\"anybody\" \"none\"'\n";
    space.append("map.test.toml", more);
    let covered = space.run(&["test", "--coverage"]).expect_code(0);
    assert!(!covered.stdout.contains("map.jq:3:6"), "{}", covered.stdout);
    assert!(covered.stdout.contains("100 % map.jq\n"), "{}", covered.stdout);
}

#[test]
fn a_change_runs_the_tests_again() {
    let space = passing();
    space.run(&["test", "--update"]).expect_code(0);
    // what a link leads to is a file that is read, too
    fs::create_dir(space.path("elsewhere")).unwrap();
    fs::rename(space.path("samples/two.ndjson"), space.path("elsewhere/two.ndjson")).unwrap();
    std::os::unix::fs::symlink(space.path("elsewhere/two.ndjson"), space.path("samples/two.ndjson")).unwrap();
    let mut watch = space.command(&["test", "--watch"]);
    let mut child = watch.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let until = |end: &str| {
        let mut seen = Vec::new();
        loop {
            match lines.recv_timeout(Duration::from_mins(1)) {
                Ok(line) if line == end => return seen.join("\n"),
                Ok(line) => seen.push(line),
                Err(error) => panic!("{error} before `{end}`:\n{}", seen.join("\n")),
            }
        }
    };
    let round = || until("watching for changes");
    assert!(round().contains("6 passed, 0 failed"));
    let module = space.read("lib/ids.jq");
    space.write("lib/ids.jq", module.replace("id-", "ID-"));
    assert!(round().contains("- .uid: \"id-a1\""));
    space.write("lib/ids.jq", "def uid: nosuch;");
    assert!(round().contains("the test cannot be run"));
    space.write("lib/ids.jq", &module);
    assert!(round().contains("6 passed, 0 failed"));
    let samples = space.read("samples/two.ndjson");
    space.write("elsewhere/two.ndjson", samples.replace("bob", "eve"));
    assert!(round().contains("+ .user.name: \"eve\""));
    space.write("more/id.jq", ".");
    space.write("more/id.test.toml", "[[case]]\nname = \"new\"\ninput = '1'\nexpect = '1'\n");
    while !round().contains("ok     more/id.test.toml: new") {}
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn editors_get_a_schema() {
    let schema = Workspace::new().run(&["test", "--schema"]).expect_code(0);
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    assert!(
        schema["properties"]["case"].is_object()
            && schema["$defs"]["Case"]["properties"]["leaves"].is_object()
    );
}

#[test]
fn update_writes_over_nothing_that_a_test_reads() {
    let files = [
        ("map.jq", "{ n: .a }"),
        ("other.jq", "import \"part\" as part; part::all"),
        ("part.jq", "def all: .;"),
        ("in.ndjson", "{\"a\":1}\n"),
        ("log.yml", "schema: Example.Note\n"),
    ];
    let space = Workspace::new();
    for (name, text) in files {
        space.write(name, text);
    }
    let case = |option: &str| {
        format!(
            "[[case]]\nname = \"one\"\ninput_file = \"in.ndjson\"\n{option}\n[[case]]\nname = \"two\"\ntransform = \"other.jq\"\ninput = '1'\n"
        )
    };
    for (option, named, reason) in [
        ("golden", "in.ndjson", "a test reads this file as its `input_file`"),
        ("golden", "./in.ndjson", "a test reads this file as its `input_file`"),
        ("leaves", "other.jq", "a test reads this file as its `transform`"),
        ("golden", "part.jq", "a `.jq` file is written by hand"),
        ("golden", "log.yml", "a `.yml` file is written by hand"),
        ("leaves", "map.test.toml", "this is the test file itself"),
    ] {
        let test = case(&format!("{option} = \"{named}\""));
        space.write("map.test.toml", &test);
        let refused = space.run(&["test", "--update"]).expect_code(78);
        assert!(refused.stderr.contains(&format!("error: {reason}\n")), "{named}: {}", refused.stderr);
        assert!(refused.stderr.contains(&format!("{option} = \"{named}\"")), "{}", refused.stderr);
        assert_eq!(space.read("map.test.toml"), test);
        for (name, text) in files {
            assert_eq!(space.read(name), text, "{named}");
        }
    }
}

#[test]
fn update_does_not_write_one_file_for_two_cases() {
    let space = Workspace::new();
    space.write("map.jq", ".");
    let cases = |other: &str, options: &str| {
        format!(
            "[[case]]\nname = \"one\"\ninput = '1'\ngolden = \"out.ndjson\"\n[[case]]\nname = \"two\"\ninput = '{other}'\n{options}\n"
        )
    };
    space.write("map.test.toml", cases("1", "golden = \"out.ndjson\""));
    space.run(&["test", "--update"]).expect_code(0);
    space.write("map.test.toml", cases("2", "golden = \"./out.ndjson\""));
    for _ in 0..2 {
        let refused = space.run(&["test", "--update"]).expect_code(78);
        let reason = "the case \"one\" compares with this file, and with other content";
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
        assert_eq!(space.read("out.ndjson"), "1\n");
    }
    let refused = space.run(&["test", "--update", "--filter", "two"]).expect_code(78);
    assert!(refused.stderr.contains("run them all, without `--filter`"), "{}", refused.stderr);
    assert_eq!(space.read("out.ndjson"), "1\n");
    space.write("map.test.toml", cases("2", "leaves = \"out.ndjson\""));
    space.run(&["test", "--update"]).expect_code(78);
    let refused = space.run(&["test", "--update", "--filter", "two"]).expect_code(78);
    assert!(refused.stderr.contains("a test names this file as its `golden`"), "{}", refused.stderr);
    assert_eq!(space.read("out.ndjson"), "1\n");
}

#[test]
fn lost_milliseconds_are_found() {
    let space = Workspace::new();
    let test = "[[case]]\nname = \"a time\"\ninput = '{\"at\":\"2026-01-02T03:04:05.678Z\"}'\nleaves = \"map.tsv\"\n";
    space.write("map.test.toml", test);
    space.write("map.tsv", "at\ttime\n");
    let seconds = "(.at[:19] + \"Z\" | fromdate)";
    space.write("map.jq", format!("{{ time: ({seconds} * 1000) }}"));
    let lost = space.run(&["test"]).expect_code(65);
    assert!(lost.stdout.contains("converted = [\"at\"]"), "{}", lost.stdout);
    space.write("map.jq", format!("{{ time: ({seconds} * 1000 + (.at[20:23] | tonumber)) }}"));
    space.run(&["test"]).expect_code(0);
}

#[test]
fn long_documents_are_followed_and_longer_ones_refused() {
    let space = Workspace::new();
    // nothing arrives, and everything changes
    space.write(
        "map.jq",
        "{ (.list | map(tostring) | join(\",\") | @base64): .list | length, all: (.list | map(length)) }",
    );
    let test = "converted = [\"list.[]\"]\n[[case]]\nname = \"long\"\ninput_file = \"in.json\"\nleaves = \"map.tsv\"\n";
    space.write("map.test.toml", test);
    let list = |count: usize| {
        let items: Vec<String> = (0..count).map(|number| format!("\"item{number}\"")).collect();
        format!("{{\"list\":[{}]}}", items.join(","))
    };
    space.write("in.json", list(600));
    let long = space.run(&["test", "--update"]).expect_code(0);
    assert!(long.stdout.contains("600 leaves"), "{}", long.stdout);
    space.write("in.json", list(5001));
    let longer = space.run(&["test"]).expect_code(65);
    assert!(
        longer.stdout.contains("leaves: input 1 (in.json:1) has 5001 leaves, more than the 5000"),
        "{}",
        longer.stdout
    );
}

#[test]
fn what_events_say_does_not_paint_the_terminal() {
    let space = Workspace::new();
    space.write("map.jq", "if .fail then error(\"\\u001b[31m\" + .a) else .a end");
    let test = "[[case]]\nname = \"red \\u001B[31m\\n\"\ninput = '{\"a\":\"\\u009b\",\"fail\":true} {\"a\":\"\\u009b\"}'\nexpect = '\"\\u009c\"'\n";
    space.write("map.test.toml", test);
    let failed = space.run(&["test"]).expect_code(65);
    assert!(!failed.stdout.contains(|c: char| c.is_control() && c != '\n'), "{:?}", failed.stdout);
    assert!(failed.stdout.starts_with("FAILED map.test.toml: red \\u001b[31m\\n\n"), "{}", failed.stdout);
    assert!(failed.stdout.contains("\\u001b[31m\\u009b"), "{}", failed.stdout);
}

#[test]
fn watching_nothing_ends() {
    let refused = Workspace::new().run(&["test", "--watch", "nothere"]).expect_code(64);
    assert_eq!(refused.stderr, "error: there is no nothere\n");
}
