//! Log type schemas: wrong files against golden files, the transform in a pipeline, `schema infer` and
//! `schema drift`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Workspace, repository};

#[test]
fn every_error_of_a_schema_file_is_shown_with_its_place_and_the_way_out() {
    let folder = repository().join("tests/golden/schema");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yml"))
        .collect();
    names.sort();
    assert!(names.len() >= 9);
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap();
        let space = Workspace::new();
        space.write(name, fs::read(&path).unwrap());
        space.write("sample.ndjson", "{}\n");
        let finished = space.run(&["schema", "drift", "--schema", name, "sample.ndjson"]).expect_code(78);
        assert_eq!(finished.stdout, "", "{name}");
        let golden = path.with_extension("stderr");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&golden, &finished.stderr).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(finished.stderr, expected, "{name}");
    }
}

fn pipeline(options: &str) -> String {
    format!(
        "data_dir = \"state\"\nworkers = 2\n[sources.atlas]\ntype = \"file\"\npaths = [\"in.ndjson\"]\n[transforms.typed]\ntype = \"schema\"\n\
         inputs = [\"atlas\"]\n{options}\n[sinks.out]\ntype = \"file\"\ninputs = [\"typed\"]\npath = \"out.ndjson\"\n"
    )
}

const EVENT: &str = r#"{"created":"2024-05-06T07:08:09.5Z","eventTypeName":"API_KEY_CREATED","id":"65a1b2c3d4e5f60718293a4b","port":"27017","remoteAddress":"192.0.2.10","username":"ada@example.com","targetUsername":"bob@example.com","hostname":"192.0.2.11","links":[{"href":"https://cloud.example.com/api/1","rel":"self"}],"new":12345678901234567890.10}"#;

fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn plain_events_are_coerced_and_otherwise_as_they_came() {
    let space = Workspace::new();
    space.write("p.toml", pipeline("schemas = [\"MongoDB.*\"]"));
    let untouched = r#"{ "id":"x",  "created":"2024-05-06T07:08:09Z", "eventTypeName":"A", "n":1.00 }"#;
    space.write("in.ndjson", format!("{EVENT}\n{untouched}\n"));
    space.run(&["run", "p.toml", "--once"]).expect_code(0);
    let lines = space.lines("out.ndjson");
    assert_eq!(lines[0], EVENT.replace("\"27017\"", "27017"));
    assert_eq!(lines[1], untouched);
}

#[test]
fn standard_fields_are_the_same_in_every_run() {
    let space = Workspace::new();
    let options = "schemas = [\"MongoDB.OrganizationEvent\"]\noutput = \"panther\"\nsource_label = \"prod\"";
    space.write("p.toml", pipeline(options));
    space.write("in.ndjson", format!("{EVENT}\n{EVENT}\n"));
    space.run(&["run", "p.toml", "--once", "--fresh"]).expect_code(0);
    let first = parsed(&space.lines("out.ndjson"));
    fs::remove_file(space.path("out.ndjson")).unwrap();
    space.run(&["run", "p.toml", "--once", "--fresh"]).expect_code(0);
    let second = parsed(&space.lines("out.ndjson"));

    let event = &first[0];
    for (field, expected) in [
        ("p_log_type", json!("MongoDB.OrganizationEvent")),
        ("p_event_time", json!("2024-05-06 07:08:09.500000000")),
        ("created", json!("2024-05-06 07:08:09.500000000")),
        ("p_source_id", json!("atlas")),
        ("p_source_label", json!("prod")),
        ("p_schema_version", json!(0)),
        ("p_any_ip_addresses", json!(["192.0.2.10", "192.0.2.11"])),
        ("p_any_domain_names", json!(["cloud.example.com"])),
        ("p_any_usernames", json!(["ada@example.com", "bob@example.com"])),
        ("port", json!(27017)),
    ] {
        assert_eq!(event[field], expected, "{field}");
    }
    assert!(event["p_source_file"]["path"].as_str().unwrap().ends_with("in.ndjson"));
    assert!(event.get("p_any_emails").is_none(), "what is empty is left out");
    assert_eq!(event["p_parse_time"].as_str().unwrap().len(), "2024-05-06 07:08:09.500000000".len());
    // equal events are two rows, and each is the same row when it is read again
    assert_ne!(first[0]["p_row_id"], first[1]["p_row_id"]);
    for (one, two) in first.iter().zip(&second) {
        assert_eq!(one["p_row_id"], two["p_row_id"]);
        assert_eq!(one["p_row_id"].as_str().unwrap().len(), 32);
    }
}

#[test]
fn annotations_say_which_schema_and_why() {
    let space = Workspace::new();
    space.write("my/a.yml", "schema: Custom.A\nfields:\n  - {name: a, required: true, type: int}\n");
    space.write("my/b.yaml", "schema: Custom.B\nfields:\n  - {name: t, required: true, type: timestamp, timeFormat: unix, isEventTime: true}\n");
    let options = "schemas = [\"Custom.*\"]\npaths = [\"my\"]\noutput = \"annotated\"";
    space.write("p.toml", pipeline(options));
    space.write("in.ndjson", "{\"a\":1}\n{\"t\":\"1704164645.25\",\"z\":0}\n");
    space.run(&["run", "p.toml", "--once"]).expect_code(0);
    let lines = space.lines("out.ndjson");
    assert_eq!(lines[0], r#"{"a":1,"_schema":{"name":"Custom.A","indicators":{}}}"#);
    assert_eq!(
        lines[1],
        r#"{"t":"2024-01-02T03:04:05.250Z","z":0,"_schema":{"name":"Custom.B","event_time":"2024-01-02T03:04:05.250Z","indicators":{},"reason":"not Custom.A: .a: expected int (required), got nothing"}}"#
    );
}

#[test]
fn an_event_that_matches_nothing_is_a_dead_letter_with_its_reason() {
    let space = Workspace::new();
    let options = "schemas = [\"MongoDB.OrganizationEvent\"]";
    space.write("p.toml", pipeline(options));
    let wrong = EVENT.replace("\"27017\"", "\"many\"");
    space.write("in.ndjson", format!("{wrong}\n{EVENT}\n"));
    let finished = space.run(&["run", "p.toml", "--once"]).expect_code(0);
    assert_eq!((finished.ledger("atlas", "delivered"), finished.ledger("atlas", "dead_lettered")), (1, 1));
    let letter = &parsed(&space.lines("state/dead_letters.ndjson"))[0];
    assert_eq!(letter["error"]["kind"], "schema");
    assert_eq!(letter["error"]["component"], "typed");
    assert_eq!(letter["error"]["message"], ".port: expected bigint, got the string \"many\"");
    assert_eq!(letter["event"]["port"], "many");
}

#[test]
fn what_is_missing_is_kept_if_asked() {
    let space = Workspace::new();
    let options = "schemas = [\"MongoDB.OrganizationEvent\"]\nmissing = \"keep\"";
    space.write("p.toml", pipeline(options));
    space.write("in.ndjson", "{\"id\":\"a\"}\n");
    let finished = space.run(&["run", "p.toml", "--once"]).expect_code(0);
    assert_eq!(finished.ledger("atlas", "delivered"), 1);
}

#[test]
fn a_wrong_schema_file_is_an_error_of_the_pipeline() {
    let space = Workspace::new();
    space.write("my/bad.yml", "schema: Custom.Bad\nfields:\n  - name: a\n    type: sting\n");
    space.write("p.toml", pipeline("schemas = [\"Custom.Bad\"]\npaths = [\"my\"]"));
    let finished = space.run(&["validate", "p.toml"]).expect_code(78);
    for part in ["unknown type `sting`", "my/bad.yml:4:11", "did you mean `string`?"] {
        assert!(finished.stderr.contains(part), "{part} in\n{}", finished.stderr);
    }
    assert!(!finished.stderr.contains("no schema is called"), "{}", finished.stderr);
}

#[test]
fn files_that_are_no_schemas_of_their_own_are_told_of_with_their_place() {
    let space = Workspace::new();
    space.write("p.toml", pipeline("schemas = [\"Custom.A\"]\npaths = [\"my\"]"));
    let text = "# a schema\nschema: Custom.A\nfields:\n  - {name: a, type: int}\n";
    space.write("my/a.yml", text);
    space.write("my/b.yml", text);
    let finished = space.run(&["validate", "p.toml"]).expect_code(78);
    for part in ["`Custom.A` is the name of another schema", "my/b.yml:2:9", "my/a.yml; rename"] {
        assert!(finished.stderr.contains(part), "{part} in\n{}", finished.stderr);
    }
    space.write("my/b.yml", b"# a schema\nschema: Custom.\xff\nfields: []\n");
    let finished = space.run(&["validate", "p.toml"]).expect_code(78);
    for part in ["this is no UTF-8", "my/b.yml:2:16"] {
        assert!(finished.stderr.contains(part), "{part} in\n{}", finished.stderr);
    }
    space.write("my/b.yml", "#".repeat((4 << 20) + 1));
    let finished = space.run(&["validate", "p.toml"]).expect_code(78);
    for part in ["longer than 4194304 bytes", "my/b.yml"] {
        assert!(finished.stderr.contains(part), "{part} in\n{}", finished.stderr);
    }
    // the same name in two folders: the later one replaces the other
    space.write("my/b.yml", text.replace(".A", ".B"));
    space.write("mine/a.yml", text);
    space.write("p.toml", pipeline("schemas = [\"Custom.A\"]\npaths = [\"my\", \"mine\"]"));
    space.run(&["validate", "p.toml"]).expect_code(0);
}

#[test]
fn drift_raises_each_alert_once() {
    let space = Workspace::new();
    let options = "schemas = [\"MongoDB.OrganizationEvent\"]\ndrift = true";
    let alerts = "[sources.alerts]\ntype = \"alerts\"\n[sinks.pager]\ntype = \"file\"\ninputs = [\"alerts\"]\npath = \"alerts.ndjson\"\n";
    space.write("p.toml", pipeline(options) + alerts);
    space.write("in.ndjson", format!("{EVENT}\n").repeat(500));
    space.run(&["run", "p.toml", "--once"]).expect_code(0);
    let mut alerts = parsed(&space.lines("alerts.ndjson"));
    alerts.sort_by_key(|alert| alert["message"].to_string());
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    assert_eq!(alerts[0]["kind"], "schema_drift");
    assert_eq!(alerts[0]["component"], "typed");
    let messages: Vec<_> = alerts.iter().map(|alert| alert["message"].as_str().unwrap()).collect();
    assert_eq!(
        messages,
        [
            "MongoDB.OrganizationEvent: appeared .new: not in the schema; number",
            "MongoDB.OrganizationEvent: changed .port: another type than in the schema; string",
        ]
    );
}

#[test]
fn a_schema_is_inferred_and_nothing_drifts_from_it_until_something_does() {
    let space = Workspace::new();
    space.write("audit-log.ndjson", format!("[{EVENT},\n{EVENT},{EVENT}]"));
    // of standard input there is no name
    let finished = space.run_with_input(&["schema", "infer", "-", "--name", "My.Log"], EVENT).expect_code(0);
    assert!(finished.stdout.starts_with("schema: My.Log\n"), "{}", finished.stdout);
    let finished = space.run(&["schema", "infer", "audit-log.ndjson"]).expect_code(0);
    assert!(finished.stdout.starts_with("schema: Custom.AuditLog\n"), "{}", finished.stdout);
    space.write("inferred.yml", &finished.stdout);
    let drift = |sample: &str, more: &[&str]| {
        let arguments = [&["schema", "drift", "--schema", "inferred.yml", sample], more].concat();
        space.run(&arguments)
    };
    let finished = drift("audit-log.ndjson", &[]).expect_code(0);
    assert_eq!(finished.stdout, "Custom.AuditLog: 3 events, 0 findings\n");
    space.write("new.ndjson", EVENT.replace("\"id\"", "\"Id\"").replace("0.10}", "0.10,\"more\":[1]}"));
    let finished = drift("new.ndjson", &[]).expect_code(65);
    assert_eq!(
        finished.stdout,
        "appeared .Id: not in the schema; string \"65a1b2c3d4e5f60718293a4b\" (1 event)\n\
         appeared .more: not in the schema; array [1] (1 event)\n\
         vanished .id: required, and nothing (1 event)\n\
         Custom.AuditLog: 1 event, 3 findings\n"
    );
    let finished = drift("new.ndjson", &["--format", "json"]).expect_code(65);
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(
        report["findings"][2],
        json!({"change": "vanished", "path": ".id", "detail": "required, and nothing", "events": 1})
    );
}

#[test]
fn wrong_samples_and_names_are_told_of() {
    let space = Workspace::new();
    let long = "\n".repeat(70_000);
    for (name, text, told) in [
        ("list", "{\"a\":1}\n\n 7\n".to_owned(), "list.ndjson:3: a sample must be an object, this is number"),
        ("torn", "{}\n{\"a\":\n\n".to_owned(), "torn.ndjson:2: the text ends inside a value"),
        ("inside", "{\"a\":1}\n{\"a\":\n 1 x\n}\n".to_owned(), "inside.ndjson:3: unexpected `x`"),
        ("deep", format!("[{{}},{long}{{\"a\":{long}x}}]"), "deep.ndjson:140001: unexpected `x`"),
        ("long", format!("{{}}{long}{{\"a\":{long}"), "long.ndjson:70001: the text ends inside a value"),
        ("empty", "{}\n".to_owned(), "the samples hold no fields"),
    ] {
        let file = format!("{name}.ndjson");
        space.write(&file, text);
        let finished = space.run(&["schema", "infer", &file]).expect_code(65);
        assert!(finished.stderr.contains(told), "{told}: {}", finished.stderr);
    }
    let finished =
        space.run(&["schema", "drift", "--schema", "Atlassian.Audit", "torn.ndjson"]).expect_code(65);
    assert!(finished.stderr.contains("torn.ndjson:2"), "{}", finished.stderr);
    space.run(&["schema", "infer", "no-such-file.ndjson"]).expect_code(74);
    let finished = space.run(&["schema", "drift", "--schema", "No.Such", "empty.ndjson"]).expect_code(64);
    assert!(finished.stderr.contains("MongoDB.AccessHistory"), "{}", finished.stderr);
    space.write("a.ndjson", "{\"a\":1}\n");
    space.run(&["schema", "infer", "a.ndjson", "--name", "no name"]).expect_code(64);
}

#[test]
fn nothing_drifts_from_what_is_inferred_of_the_samples_of_this_repository() {
    let mut count = 0;
    for vendor in fs::read_dir(repository().join("transforms")).unwrap() {
        let Ok(samples) = fs::read_dir(vendor.unwrap().path().join("samples")) else { continue };
        for sample in samples.map(|entry| entry.unwrap().path()) {
            if sample.extension().is_none_or(|extension| extension != "ndjson") {
                continue;
            }
            let space = Workspace::new();
            let sample = sample.to_str().unwrap();
            let inferred = space.run(&["schema", "infer", sample, "--name", "My.Log"]).expect_code(0);
            space.write("inferred.yml", inferred.stdout);
            let finished = space.run(&["schema", "drift", "--schema", "inferred.yml", sample]).expect_code(0);
            assert!(finished.stdout.contains(", 0 findings"), "{sample}: {}", finished.stdout);
            count += 1;
        }
    }
    assert!(count >= 5, "{count}");
}
