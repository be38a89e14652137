//! The command line: subcommands, exit codes, generated pages, the shipped pipelines, the tutorial.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{Workspace, repository};

const SMALL: &str = "data_dir = \"state\"\n[sources.in]\ntype = \"stdin\"\n[transforms.kinds]\ntype = \"route\"\ninputs = [\"in\"]\nroutes.a = '.a'\n\
    [sinks.one]\ntype = \"console\"\ninputs = [\"kinds.a\"]\n[sinks.rest]\ntype = \"blackhole\"\ninputs = [\"kinds.unmatched\", \"one.errors\"]\n";

#[test]
fn wrong_usage_is_64_and_help_is_0() {
    let space = Workspace::new();
    space.run(&[]).expect_code(64);
    space.run(&["run"]).expect_code(64);
    space.run(&["nosuch"]).expect_code(64);
    space.run(&["run", "p.toml", "--grace", "soon"]).expect_code(64);
    assert!(space.run(&["--help"]).expect_code(0).stdout.contains("validate"));
    assert!(space.run(&["--version"]).expect_code(0).stdout.starts_with("jaquard "));
    space.run(&["run", "nosuch.toml"]).expect_code(78);
    space.run(&["components", "nosuch"]).expect_code(64);
}

#[test]
fn generate_without_an_end_cannot_run_once() {
    let space = Workspace::new();
    space.write(
        "p.toml",
        "[sources.in]\ntype = \"generate\"\n[sinks.out]\ntype = \"blackhole\"\ninputs = [\"in\"]\n",
    );
    space.run(&["validate", "--allow-missing", "p.toml"]).expect_code(0);
    let finished = space.run(&["run", "p.toml", "--once"]).expect_code(78);
    assert!(finished.stderr.contains("add `count = …`"), "{}", finished.stderr);
}

#[test]
fn graphs_in_three_forms() {
    let space = Workspace::new();
    space.write("p.toml", SMALL);
    let text = space.run(&["graph", "p.toml"]).expect_code(0).stdout;
    let expected = "in (stdin source)\n└─ kinds (route transform)\n   ├─ a: one (console sink)\n   │  └─ errors: rest (blackhole sink)\n   └─ unmatched: rest (blackhole sink)\n";
    assert_eq!(text, expected);
    let mermaid = space.run(&["graph", "p.toml", "--format", "mermaid"]).expect_code(0).stdout;
    assert!(
        mermaid.starts_with("flowchart LR\n") && mermaid.contains("n_kinds -->|unmatched| n_rest"),
        "{mermaid}"
    );
    let dot = space.run(&["graph", "p.toml", "--format", "dot"]).expect_code(0).stdout;
    assert!(
        dot.starts_with("digraph pipeline {") && dot.contains("\"kinds\" -> \"one\" [label=\"a\"];"),
        "{dot}"
    );
}

#[test]
fn jq_behaves_as_in_a_pipeline() {
    let space = Workspace::new();
    let run = |arguments: &[&str], input: &str| space.run_with_input(&[&["jq"], arguments].concat(), input);
    assert_eq!(
        run(&["-c", ".a"], "{\"a\":[1.10,{\"b\":12345678901234567890}]}").expect_code(0).stdout,
        "[1.10,{\"b\":12345678901234567890}]\n"
    );
    assert_eq!(run(&["."], "{\"a\":1}\n\n[2]").expect_code(0).stdout, "{\n  \"a\": 1\n}\n[\n  2\n]\n");
    assert_eq!(run(&["-r", ".[]"], "[\"a\\nb\", 1]").expect_code(0).stdout, "a\nb\n1\n");
    assert_eq!(
        run(&["-c", "--arg", "x", "1", "--argjson", "y", "[2]", "[$x, $y, $args]"], "null").stdout,
        "[\"1\",[2],{\"x\":\"1\",\"y\":[2]}]\n"
    );
    assert_eq!(run(&["-n", "-c", "[range(3)]"], "").expect_code(0).stdout, "[0,1,2]\n");
    assert_eq!(
        run(&["-c", "[1e1000, -1e1000, nan, 1.5, 3.0, 1e17]"], "0").stdout,
        "[1e1000,-1e1000,null,1.5,3.0,1e17]\n"
    );
    let wrong = run(&[".a | lenght"], "1").expect_code(78);
    assert!(
        wrong.stderr.contains("program:1:6") && wrong.stderr.contains("did you mean `length`?"),
        "{}",
        wrong.stderr
    );
    let failed = run(&["-c", "if . == 2 then error(\"two\") else . end"], "1 2 3").expect_code(1);
    assert_eq!(
        (failed.stdout.as_str(), failed.stderr.as_str()),
        ("1\n3\n", "error: input at byte 2: program:1:16: two\n")
    );
    run(&["def f: f; f"], "1").expect_code(1);

    space.write("lib/shapes.jq", "def small: {id};\n");
    space.write("map.jq", "import \"shapes\" as s; s::small\n");
    space.write("in.json", "{\"id\":7,\"x\":1}");
    assert_eq!(
        space.run(&["jq", "-c", "-L", "lib", "-f", "map.jq", "in.json"]).expect_code(0).stdout,
        "{\"id\":7}\n"
    );
}

#[test]
fn state_is_shown_set_and_reset() {
    let space = Workspace::new();
    space.write("p.toml", "data_dir = \"state\"\n[sources.in]\ntype = \"generate\"\ncount = 10\n[sinks.out]\ntype = \"file\"\ninputs = [\"in\"]\npath = \"out.ndjson\"\n");
    assert_eq!(space.run(&["state", "p.toml"]).expect_code(0).stdout, "{}\n");
    space.run(&["run", "p.toml"]).expect_code(0);
    let shown: Value = serde_json::from_str(&space.run(&["state", "p.toml"]).stdout).unwrap();
    assert_eq!(shown, serde_json::json!({ "in": { "next": 10 } }));
    space.run_with_input(&["state", "p.toml", "--set", "-"], "{\"in\":{\"next\":4}}").expect_code(0);
    space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(space.lines("out.ndjson").len(), 16);
    space.run(&["state", "p.toml", "--reset", "nosuch"]).expect_code(64);
    space.run(&["state", "p.toml", "--reset"]).expect_code(0);
    space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(space.lines("out.ndjson").len(), 26);
}

#[test]
fn fresh_runs_leave_the_state_alone() {
    let space = Workspace::new();
    space.write("p.toml", "data_dir = \"state\"\n[sources.in]\ntype = \"generate\"\ncount = 10\n[sinks.out]\ntype = \"console\"\ninputs = [\"in\"]\n");
    for _ in 0..2 {
        assert_eq!(space.run(&["run", "p.toml", "--fresh"]).expect_code(0).stdout.lines().count(), 10);
    }
    assert!(!space.path("state").exists());
}

#[test]
fn several_pipelines_run_side_by_side() {
    let space = Workspace::new();
    for name in ["one", "two"] {
        space.write(&format!("{name}.toml"), format!("[sources.{name}]\ntype = \"generate\"\ncount = 10\n[sinks.out]\ntype = \"file\"\ninputs = [\"{name}\"]\npath = \"{name}.ndjson\"\n"));
    }
    let finished = space.run(&["run", "--once", "one.toml", "two.toml"]).expect_code(0);
    assert_eq!(finished.ledger("one", "delivered") + finished.ledger("two", "delivered"), 20);
    let states: Vec<_> = fs::read_dir(space.path("state-home/jaquard"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(states.len(), 2);
    assert!(states.iter().all(|name| name.to_str().unwrap().len() == "one-01234567".len()), "{states:?}");
}

#[test]
fn the_ledger_and_the_log_come_as_json_when_asked() {
    let space = Workspace::new();
    space.write("p.toml", SMALL);
    let finished =
        space.run_with_input(&["run", "p.toml", "--log-format", "json"], "{\"a\":1}\nnope\n").expect_code(0);
    let lines: Vec<Value> = finished.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ledger = lines.iter().find(|line| line["ledger"] == "in").unwrap();
    assert_eq!(
        (&ledger["read"], &ledger["delivered"], &ledger["dead_lettered"]),
        (&2.into(), &1.into(), &1.into())
    );
}

#[test]
fn completions_for_each_shell() {
    let space = Workspace::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(space.run(&["completions", shell]).expect_code(0).stdout.contains("jaquard"));
    }
}

#[test]
fn the_reference_names_every_component() {
    let space = Workspace::new();
    let all = space.run(&["components"]).expect_code(0).stdout;
    for (name, kinds) in [
        ("file", 2),
        ("stdin", 1),
        ("generate", 1),
        ("jq", 1),
        ("filter", 1),
        ("route", 1),
        ("console", 1),
        ("blackhole", 1),
    ] {
        assert!(all.contains(name));
        let page = space.run(&["components", name]).expect_code(0).stdout;
        assert_eq!(page.matches("**Guarantee:**").count(), kinds, "{name}");
    }
}

/// Each example of the reference is a valid part of a pipeline.
#[test]
fn the_examples_of_the_reference_are_valid() {
    for (name, page) in jaquard::cli::reference_pages() {
        let Some(example) = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()) else {
            continue;
        };
        let space = Workspace::new();
        let mut pipeline = example.to_owned();
        if name.starts_with("source_") {
            let source = example.split(['.', ']']).nth(1).unwrap();
            pipeline += &format!("[sinks.x]\ntype = \"blackhole\"\ninputs = [\"{source}\"]\n");
        } else {
            pipeline += "[sources.events]\ntype = \"stdin\"\n";
        }
        if name.starts_with("transform_") {
            let transform = example.split(['.', ']']).nth(1).unwrap();
            let inputs = if name == "transform_route.md" {
                format!("[\"{transform}.users\", \"{transform}.keys\"]")
            } else {
                format!("[\"{transform}\"]")
            };
            pipeline += &format!("[sinks.x]\ntype = \"blackhole\"\ninputs = {inputs}\n");
        }
        space.write("p.toml", pipeline);
        space.run(&["validate", "--allow-missing", "p.toml"]).expect_code(0);
    }
}

/// A copy of what the repository ships, to run in.
fn shipped() -> Workspace {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let space = Workspace::new();
    for folder in ["pipelines", "transforms"] {
        copy(&repository().join(folder), &space.path(folder));
    }
    space
}

#[track_caller]
fn assert_golden(name: &str, actual: &str) {
    let path = repository().join("tests/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
    }
    assert_eq!(actual, fs::read_to_string(&path).unwrap_or_default(), "{name}");
}

#[test]
fn the_quickstart_maps_every_event() {
    let space = shipped();
    let finished = space.run(&["run", "pipelines/quickstart.toml"]).expect_code(0);
    let events = fs::read_to_string(space.path("pipelines/data/organization_events.ndjson")).unwrap();
    let count = events.lines().count() as u64;
    assert_eq!((finished.ledger("atlas", "read"), finished.ledger("atlas", "delivered")), (count, count));
    assert_golden("quickstart/console.ndjson", &finished.stdout);
    let oscf = space.read("out/quickstart/oscf.ndjson");
    assert_golden("quickstart/oscf.ndjson", &oscf);
    // the envelope holds the event unchanged, one envelope an event
    for (event, envelope) in events.lines().zip(oscf.lines()) {
        assert!(envelope.contains(event), "{envelope}");
        let envelope: Value = serde_json::from_str(envelope).unwrap();
        assert_eq!(envelope["metadata"]["custom_framework"], "my_framework");
        assert_eq!(envelope["controls"].as_array().unwrap().len(), 1);
    }
    let again = space.run(&["run", "pipelines/quickstart.toml"]).expect_code(0);
    assert!(again.stderr.contains("nothing new") && again.ledger("atlas", "read") == 0, "{}", again.stderr);
}

#[test]
fn every_shipped_pipeline_is_valid_and_every_transform_compiles() {
    let space = shipped();
    let mut pipelines = 0;
    for entry in fs::read_dir(space.path("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            pipelines += 1;
            space.run(&["validate", "--allow-missing", path.to_str().unwrap()]).expect_code(0);
        }
    }
    assert!(pipelines >= 2);
    for transform in [
        "oscf/envelope.jq",
        "mongodb_atlas/organization_events.oscf.jq",
        "mongodb_atlas/organization_events.flat.jq",
    ] {
        let program = format!("transforms/{transform}");
        let outputs = space
            .run(&["jq", "-c", "-f", &program, "pipelines/data/organization_events.ndjson"])
            .expect_code(0);
        assert_eq!(outputs.stdout.lines().count(), 40, "{transform}");
    }
}

/// Every file, command and output of the tutorial.
#[test]
fn the_tutorial_is_true() {
    follow("docs/tutorial.md", 8);
}

#[test]
fn the_page_on_jq_is_true() {
    follow("docs/jq.md", 5);
}

#[test]
fn the_page_on_a_first_mapping_is_true() {
    follow("docs/mapping.md", 9);
}

#[test]
fn the_page_on_testing_is_true() {
    follow("docs/testing.md", 5);
}

/// Does what a page says: writes its files, runs its commands, compares what they print.
fn follow(page: &str, at_least: u32) {
    let text = fs::read_to_string(repository().join(page)).unwrap();
    let space = Workspace::new();
    let mut lines = text.lines();
    let mut commands = 0;
    while let Some(line) = lines.next() {
        let directive = line.trim();
        let mut block = || {
            let fence = lines.next().unwrap_or_default();
            assert!(fence.starts_with("```"), "a fenced block after {directive}");
            lines
                .by_ref()
                .take_while(|line| !line.starts_with("```"))
                .map(|line| format!("{line}\n"))
                .collect::<String>()
        };
        if let Some(name) = directive.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->")) {
            space.write(name, block());
        } else if directive == "<!-- run -->" {
            let block = block();
            let mut steps: Vec<(String, Vec<String>)> = Vec::new();
            for line in block.lines() {
                match line.strip_prefix("$ ") {
                    Some(command) => steps.push((command.to_owned(), Vec::new())),
                    None => steps.last_mut().unwrap().1.push(line.to_owned()),
                }
            }
            for (command, expected) in steps {
                commands += 1;
                let actual = shell(&space, &command);
                assert!(
                    fits(&expected, &actual),
                    "$ {command}\nexpected:\n{}\n\nactual:\n{}",
                    expected.join("\n"),
                    actual.join("\n")
                );
            }
        }
    }
    assert!(commands >= at_least, "{page} has {commands} commands");
}

fn shell(space: &Workspace, command: &str) -> Vec<String> {
    let binary = Path::new(env!("CARGO_BIN_EXE_jaquard")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {command}\n}} 2>&1")])
        .current_dir(space.path(""))
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env("XDG_STATE_HOME", space.path("state-home"))
        .env_remove("JAQUARD_LOG")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Whether lines are as expected; `...` stands for any number of lines.
fn fits(expected: &[String], actual: &[String]) -> bool {
    match (expected.split_first(), actual.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "..." => {
            (0..=actual.len()).any(|skip| fits(rest, &actual[skip..]))
        }
        (Some((one, rest)), Some((other, others))) => one == other && fits(rest, others),
        _ => false,
    }
}

/// The commands of the README are those that the gate and a newcomer run.
#[test]
fn the_readme_has_two_commands() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.contains("cargo run --release -- run pipelines/quickstart.toml"));
    assert!(readme.contains("cargo test"));
}
