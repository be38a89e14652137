//! `validate` on transforms and sinks: what is not valid takes the error edge or is counted, and the
//! run says how much of it there was.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::Workspace;

/// The smallest valid event of a class in the tables.
const VALID: &str = r#"{"class_uid":0,"category_uid":0,"activity_id":99,"activity_name":"seen","type_uid":99,"severity_id":1,"time":1741678863000,"metadata":{"version":"1.8.0","product":{"name":"door"}}}"#;

fn events() -> String {
    let broken = VALID.replace("\"severity_id\":1", "\"severity_id\":17");
    let unknown = VALID.replace("\"severity_id\":1", "\"severity_id\":1,\"colour\":\"red\"");
    let both = broken.replace("\"time\":1741678863000,", "");
    [VALID, &broken, &unknown, &both, VALID].map(|event| format!("{event}\n")).concat()
}

fn pipeline(validate_at: &str, validate: &str) -> String {
    let (transform, sink) = if validate_at == "same" { (validate, "") } else { ("", validate) };
    format!(
        "data_dir = \"state\"\n[sources.in]\ntype = \"file\"\npaths = [\"in.ndjson\"]\n\
         [transforms.same]\ntype = \"jq\"\ninputs = [\"in\"]\nprogram = '. + {{}}'\n{transform}\n\
         [sinks.out]\ntype = \"file\"\ninputs = [\"same\"]\npath = 'out.ndjson'\n{sink}\n"
    )
}

#[test]
fn what_is_not_valid_is_a_dead_letter_with_its_original_and_every_reason() {
    for component in ["same", "out"] {
        let space = Workspace::new();
        space.write("in.ndjson", events());
        space.write("p.toml", pipeline(component, "validate = { ocsf = \"1.8.0\" }"));
        let finished = space.run(&["run", "p.toml", "--once"]).expect_code(0);
        assert!(
            finished.stderr.contains("ledger in: read=5 delivered=2 filtered=0 dead_lettered=3 in_flight=0"),
            "{}",
            finished.stderr
        );
        let line = format!("validation {component}: checked=5 invalid=3 errors=4 warnings=0");
        assert!(finished.stderr.contains(&line), "{}", finished.stderr);
        assert_eq!(space.lines("out.ndjson"), [VALID, VALID]);

        let dead = space.lines("state/dead_letters.ndjson");
        let dead: Vec<serde_json::Value> =
            dead.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(dead.len(), 3);
        assert!(dead.iter().all(|letter| letter["error"]["component"] == component));
        assert!(dead.iter().all(|letter| letter["error"]["kind"] == "ocsf"));
        assert_eq!(dead[1]["event"]["colour"], "red");
        let message = dead[2]["error"]["message"].as_str().unwrap();
        assert!(message.contains("severity_id") && message.contains("time"), "{message}");
    }
}

#[test]
fn violations_can_be_counted_only() {
    let space = Workspace::new();
    space.write("in.ndjson", events());
    space.write("p.toml", pipeline("same", "validate = { ocsf = \"1.8.0\", violations = \"count\" }"));
    let finished = space.run(&["run", "p.toml", "--once", "--log-format", "json"]).expect_code(0);
    assert_eq!(space.lines("out.ndjson").len(), 5);
    let line = r#"{"validation":"same","checked":5,"invalid":3,"errors":4,"warnings":0}"#;
    assert!(finished.stderr.contains(line), "{}", finished.stderr);
}

#[test]
fn warnings_count_where_one_wants_them_to() {
    let caption = VALID.replace("\"severity_id\":1", "\"severity_id\":1,\"severity\":\"Harmless\"");
    for (option, delivered) in [("", 1), (", warnings = true", 0)] {
        let space = Workspace::new();
        space.write("in.ndjson", format!("{caption}\n"));
        space.write("p.toml", pipeline("out", &format!("validate = {{ ocsf = \"1.8.0\"{option} }}")));
        let finished = space.run(&["run", "p.toml", "--once"]).expect_code(0);
        assert!(finished.stderr.contains(&format!("delivered={delivered} ")), "{}", finished.stderr);
        assert!(finished.stderr.contains("errors=0 warnings=1"), "{}", finished.stderr);
    }
}

#[test]
fn a_log_of_findings_says_each_once_and_shows_no_value() {
    let space = Workspace::new();
    let event = VALID.replace("\"severity_id\":1", "\"severity_id\":\"hunter2\"");
    space.write("in.ndjson", format!("{event}\n").repeat(50));
    space.write("p.toml", pipeline("same", "validate = { ocsf = \"1.8.0\" }"));
    let finished = space.run(&["run", "p.toml", "--once"]).expect_code(0);
    // it is of the wrong type, and no number of the enumeration
    assert_eq!(finished.stderr.matches("said once").count(), 2, "{}", finished.stderr);
    assert!(!finished.stderr.contains("hunter2"), "{}", finished.stderr);
}
