//! Every error message of the configuration, against golden files: `NAME.toml` and what
//! `jaquard validate` says of it in `NAME.stderr`. `UPDATE=1` writes the latter anew.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod support;

use std::fs;

use support::{Workspace, repository};

#[test]
fn every_error_is_shown_with_its_place_and_the_way_out() {
    let folder = repository().join("tests/golden/config");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    names.sort();
    assert!(names.len() >= 10);
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap();
        let space = Workspace::new();
        space.write(name, fs::read(&path).unwrap());
        space.write("broken.jq", "import \"helper\" as h;\n.a | h::f(1)\n");
        space.write("helper.jq", "def f(x): .b |\n  nosuch(x);\n");
        let finished = space.run(&["validate", name]).expect_code(78);
        assert_eq!(finished.stdout, "", "{name}");
        let golden = path.with_extension("stderr");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&golden, &finished.stderr).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(finished.stderr, expected, "{name}");
        assert!(!finished.stderr.contains("hunter2"), "{name} shows a secret");
    }
}

#[test]
fn a_missing_file_is_a_configuration_error() {
    let space = Workspace::new();
    let finished = space.run(&["validate", "nosuch.toml"]).expect_code(78);
    assert!(finished.stderr.contains("cannot read nosuch.toml"), "{}", finished.stderr);
}

const OUTSIDE: &str = r#"
data_dir = { env = "DATA_DIR", default = "state" }
workers = { file = "workers.txt" }
[sources.in]
type = "file"
paths = { env = "PATHS" }
codec = { command = ["printf", "ndjson\n"] }
max_line = { env = "MAX_LINE", default = "1MiB" }
[transforms.map]
type = "jq"
inputs = ["in"]
program = '{a, args: $args}'
args = { key = { env = "KEY" }, fixed = { literal = { env = "KEY" } }, nested = { deep = [{ env = "KEY" }] } }
[sinks.out]
type = "file"
inputs = ["map"]
path = "out.ndjson"
"#;

#[test]
fn values_from_outside_take_the_type_of_their_option() {
    let space = Workspace::new();
    space.write("p.toml", OUTSIDE);
    space.write("workers.txt", "1\n");
    space.write("in.ndjson", "{\"a\":1}\n");
    let mut command = space.command(&["run", "p.toml"]);
    let status = command.env("PATHS", "in.ndjson\nother.ndjson").env("KEY", "va\"lue']").status().unwrap();
    // the second path is not there
    assert_eq!(status.code(), Some(74));
    let mut command = space.command(&["run", "p.toml"]);
    let status = command.env("PATHS", "[\"in.ndjson\"]").env("KEY", "va\"lue']").status().unwrap();
    assert_eq!(status.code(), Some(0));
    let event: serde_json::Value = serde_json::from_str(space.lines("out.ndjson").first().unwrap()).unwrap();
    let expected = serde_json::json!({
        "a": 1,
        "args": { "key": "va\"lue']", "fixed": { "env": "KEY" }, "nested": { "deep": ["va\"lue']"] } },
    });
    assert_eq!(event, expected);
}

#[test]
fn absent_values_are_errors_and_their_content_is_never_shown() {
    let space = Workspace::new();
    space.write("p.toml", OUTSIDE);
    space.write("workers.txt", "hunter2\n");
    let finished = space.run(&["validate", "p.toml"]).expect_code(78);
    for expected in
        ["`PATHS` is not set", "`KEY` is not set", "the value of the file `workers.txt` is no integer"]
    {
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
    assert!(!finished.stderr.contains("hunter2"));
    space.write("workers.txt", "2\n");
    let finished = space.run(&["validate", "p.toml", "--allow-missing"]).expect_code(0);
    assert!(finished.stdout.contains("valid, 3 components"), "{}", finished.stdout);
}

#[test]
fn validate_runs_no_command() {
    let space = Workspace::new();
    let pipeline = OUTSIDE
        .replace("[\"printf\", \"ndjson\\n\"]", "[\"touch\", \"ran\"]")
        .replace("{ env = \"PATHS\" }", "[\"x\"]");
    space.write("p.toml", pipeline.replace("{ env = \"KEY\" }", "1"));
    space.write("workers.txt", "1\n");
    space.run(&["validate", "p.toml"]).expect_code(0);
    assert!(!space.path("ran").exists());
    space.run(&["run", "p.toml"]).expect_code(78);
    assert!(space.path("ran").exists(), "run does, and its empty output is no codec");
}

#[test]
fn the_schema_knows_every_option_and_the_shipped_pipelines_fit_it() {
    let space = Workspace::new();
    let schema: serde_json::Value =
        serde_json::from_str(&space.run(&["schema"]).expect_code(0).stdout).unwrap();
    let components = |table: &str| {
        schema["properties"][table]["additionalProperties"]["oneOf"].as_array().unwrap().clone()
    };
    for (table, count) in [("sources", 7), ("transforms", 5), ("sinks", 3)] {
        let components = components(table);
        assert_eq!(components.len(), count);
        for component in components {
            let name = component["properties"]["type"]["const"].as_str().unwrap().to_owned();
            assert!(component["description"].as_str().unwrap().len() > 20, "{name}");
            for (option, property) in component["properties"].as_object().unwrap() {
                let described = property.get("description").is_some() || property.get("$ref").is_some();
                assert!(
                    described || option == "retry" || option == "rotate",
                    "{name}.{option} has no description"
                );
            }
        }
    }
    let text = schema.to_string();
    for part in ["#/$defs/outside", "\"data_dir\"", "max_bytes", "output_bytes"] {
        assert!(text.contains(part), "{part}");
    }
}
