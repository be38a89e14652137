//! The OCSF validator: broken events with what must be said of them, compiled schemas good and bad,
//! and the command line.
//!
//! `tests/ocsf/events.ndjson` holds a valid event of each class, `tests/ocsf/cases.tsv` what is done
//! to it and what must be found then. What the findings say is in `tests/golden/ocsf`; `UPDATE=1`
//! writes that anew.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jaquard::jq::{Json, Limits, Runner, compile, with_stack};
use jaquard::schema::ocsf::{Finding, Options, Rule, Schema, Validator};
use proptest::prelude::*;
use support::{Workspace, repository};

fn folder() -> std::path::PathBuf {
    repository().join("tests/ocsf")
}

fn same_as_golden(name: &str, text: &str) {
    let path = repository().join("tests/golden/ocsf").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{} differs; UPDATE=1 writes it anew and git shows how", path.display());
}

/// One line of the table.
struct Case {
    class: i64,
    versions: Vec<&'static str>,
    recommended: bool,
    mutation: String,
    expected: String,
    /// What the reference validator does otherwise.
    difference: Option<String>,
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(folder().join("cases.tsv")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let case = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let class = columns[0].parse().unwrap();
        let (version, option) = columns[1].split_once('+').unwrap_or((columns[1], ""));
        let versions = Schema::built_in_versions().iter().copied();
        Case {
            class,
            versions: versions.filter(|known| version == "*" || version == *known).collect(),
            recommended: option == "recommended",
            mutation: columns[2].to_owned(),
            expected: columns[3].to_owned(),
            difference: columns.get(4).map(|text| (*text).to_owned()),
        }
    };
    lines.map(case).collect()
}

/// The valid events by class, as text.
fn events() -> BTreeMap<i64, String> {
    let text = fs::read_to_string(folder().join("events.ndjson")).unwrap();
    let class =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["class_uid"].as_i64().unwrap();
    text.lines().map(|line| (class(line), line.to_owned())).collect()
}

/// What a program makes of an event.
fn mutate(event: &str, version: &str, mutation: &str) -> Json {
    let code = format!(".metadata.version = {version:?} | ({mutation})");
    let program =
        compile(&code, Path::new("."), &[]).unwrap_or_else(|errors| panic!("{mutation}: {errors:?}"));
    let mut runner = Runner::new(program, &serde_json::json!({}), Limits::default());
    let mut output = None;
    let mut input = Json::from_text(Bytes::copy_from_slice(event.as_bytes()));
    let take = &mut |one| {
        output = Some(one);
        true
    };
    runner.run(&mut input, None, take).unwrap_or_else(|error| panic!("{mutation}: {error}"));
    output.unwrap()
}

/// `rule path` of each finding, by path.
fn summary(findings: &[Finding]) -> String {
    let mut all: Vec<_> = findings.iter().map(|found| (found.path.as_str(), found.rule.name())).collect();
    all.sort_unstable();
    all.dedup();
    let all: Vec<String> = all.into_iter().map(|(path, rule)| format!("{rule} {path}")).collect();
    if all.is_empty() { "valid".to_owned() } else { all.join("; ") }
}

fn show(findings: &[Finding], out: &mut String) {
    for Finding { severity, rule, path, message } in findings {
        writeln!(out, "  {} {} {path}: {message}", severity.name(), rule.name()).unwrap();
    }
}

/// Rules that events cannot break in what the built-in tables hold.
const OF_SCHEMAS: &[Rule] = &[
    Rule::ProfileDeprecated,
    Rule::ObjectDeprecated,
    Rule::ConstraintUnknown,
    Rule::EnumArrayValueDeprecated,
    Rule::ExceedsSuperRange,
    Rule::ExceedsSuperMaxLen,
    Rule::SuperRegexNotMatched,
    Rule::NotInTypeValues,
    Rule::NotInSuperTypeValues,
    Rule::SchemaTypeMissing,
    Rule::SchemaPrimitiveUnknown,
    Rule::SchemaRegexInvalid,
];

#[test]
fn every_broken_event_is_found_out() {
    with_stack(|| {
        let events = events();
        let mut messages = String::new();
        let mut wrong = String::new();
        let mut broken = 0;
        let mut rules = BTreeSet::new();
        for case in cases() {
            assert!(!case.versions.is_empty(), "{}", case.mutation);
            for version in &case.versions {
                let options = Options { missing_recommended: case.recommended };
                let mut validator = Validator::new(Schema::built_in(version).unwrap(), options);
                let mut event = mutate(&events[&case.class], version, &case.mutation);
                let findings = validator.check(event.view());
                let found = summary(findings);
                if found != case.expected {
                    let Case { class, mutation, expected, .. } = &case;
                    writeln!(
                        wrong,
                        "{class} {version} {mutation}\n  expected {expected}\n  got      {found}"
                    )
                    .unwrap();
                }
                broken += usize::from(!findings.is_empty());
                rules.extend(findings.iter().map(|found| found.rule));
                if *version == case.versions[0] {
                    writeln!(messages, "{} {version} {}", case.class, case.mutation).unwrap();
                    show(findings, &mut messages);
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        assert!(broken >= 400, "{broken}");
        rules.extend(OF_SCHEMAS);
        let all: BTreeSet<Rule> = Rule::ALL.iter().copied().collect();
        assert_eq!(rules, all);
        same_as_golden("messages.txt", &messages);
    });
}

#[test]
fn the_differences_to_the_reference_are_few_and_known() {
    let different: Vec<Case> = cases().into_iter().filter(|case| case.difference.is_some()).collect();
    assert!(different.len() <= 12, "{}", different.len());
    for case in different {
        let is_known = match case.difference.as_deref().unwrap() {
            "reference fails" => true,
            _ if case.expected.contains("attribute_value_regex_not_matched") => {
                case.mutation.contains("ip =")
            }
            _ => case.expected.contains("not_checked"),
        };
        assert!(is_known, "{}", case.mutation);
    }
}

#[test]
fn the_page_lists_every_rule() {
    let path = repository().join("docs/ocsf.md");
    let page = fs::read_to_string(&path).unwrap();
    let (start, end) = ("<!-- rules -->\n", "<!-- end of rules -->");
    let (before, rest) = page.split_once(start).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let mut rules = String::from("\n| rule | severity | found when |\n|---|---|---|\n");
    for rule in Rule::ALL {
        writeln!(rules, "| `{}` | {} | {} |", rule.name(), rule.severity().name(), rule.about()).unwrap();
    }
    let expected = format!("{before}{start}{rules}\n{end}{after}");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &expected).unwrap();
    } else {
        assert!(page == expected, "the table of rules is not current; UPDATE=1 writes it");
    }
}

fn custom(events: &str) -> (Arc<Schema>, Vec<Json>) {
    let schema = Schema::read(&folder().join("schema.json")).unwrap();
    let events =
        events.lines().map(|line| Json::from_text(Bytes::copy_from_slice(line.as_bytes()))).collect();
    (schema, events)
}

#[test]
fn a_compiled_schema_of_ones_own_is_followed() {
    let text = fs::read_to_string(folder().join("schema_events.ndjson")).unwrap();
    with_stack(|| {
        let (schema, events) = custom(&text);
        assert_eq!(schema.version(), "1.2.0-own");
        assert_eq!(schema.classes().count(), 2);
        let mut validator = Validator::new(schema, Options::default());
        let mut messages = String::new();
        let mut rules = BTreeSet::new();
        for (mut event, line) in events.into_iter().zip(text.lines()) {
            let findings = validator.check(event.view());
            rules.extend(findings.iter().map(|found| found.rule));
            writeln!(messages, "{line}").unwrap();
            show(findings, &mut messages);
        }
        for rule in OF_SCHEMAS {
            assert!(rules.contains(rule), "{}", rule.name());
        }
        same_as_golden("schema.txt", &messages);
    });
}

#[test]
fn a_wrong_schema_file_is_shown_with_its_place_and_the_way_out() {
    let space = Workspace::new();
    let good = fs::read_to_string(folder().join("schema.json")).unwrap();
    let files = [
        ("not_json", "{\"version\": \"1.0.0\",\n  \"classes\": oops}".to_owned()),
        ("empty", String::new()),
        ("an_event", "{\"class_uid\": 3002, \"version\": \"1.0.0\"}".to_owned()),
        ("a_list", "[]".to_owned()),
        ("no_version", good.replacen("\"version\"", "\"versions\"", 1)),
        ("no_uid", good.replacen("\"uid\": 1001,", "", 1)),
        ("same_uid", good.replacen("\"uid\": 1002,", "\"uid\": 1001,", 1)),
        ("no_object", good.replacen("\"object_type\": \"thing\"", "\"object_type\": \"things\"", 1)),
        ("no_object_type", good.replacen("\"object_type\": \"thing\",", "", 1)),
        ("wrong_range", good.replacen("[0, 100]", "[0]", 1)),
    ];
    let mut messages = String::new();
    for (name, text) in files {
        let file = format!("{name}.json");
        assert_ne!(text, good, "{name}");
        space.write(&file, text);
        let finished = space.run_with_input(&["ocsf", "validate", "--schema", &file], "{}").expect_code(78);
        assert_eq!(finished.stdout, "");
        messages.push_str(&finished.stderr);
    }
    let finished = space.run(&["ocsf", "validate", "--schema", "nosuch.json"]).expect_code(74);
    messages.push_str(&finished.stderr);
    let finished = space.run(&["ocsf", "validate", "--version", "1.7.0"]).expect_code(64);
    messages.push_str(&finished.stderr);
    same_as_golden("bad_schemas.txt", &messages);
}

#[test]
fn the_command_line_reports_and_counts() {
    let space = Workspace::new();
    let events = events();
    let mut text = String::from("\n");
    for event in events.values() {
        text.push_str(&event.replace("\"version\":\"\"", "\"version\":\"1.9.0\""));
        text.push('\n');
    }
    let finished = space.run_with_input(&["ocsf", "validate"], &text).expect_code(0);
    assert_eq!(finished.stdout, "");
    assert_eq!(finished.stderr, "13 events, 0 invalid: 0 errors, 2 warnings; --warnings shows them\n");
    let finished = space.run_with_input(&["ocsf", "validate", "--version", "1.8.0"], &text).expect_code(65);
    assert!(finished.stderr.starts_with("13 events, 13 invalid: "), "{}", finished.stderr);
    assert!(
        finished.stdout.contains("-:2: error version_incompatible_later .metadata.version: "),
        "{}",
        finished.stdout
    );
    assert!(finished.stdout.contains("that of 1.9.0 has it"), "{}", finished.stdout);

    // documents of any layout, and what is none; the default is the event's own version
    space.write(
        "a.json",
        "[{\n \"class_uid\": 3007\n},\n\n {\"metadata\": {\"version\": \"1.9.0\"},\n\"class_uid\": 3007}]",
    );
    space.write("b.ndjson", "{\"class_uid\": 77}\n{\"class\"\n");
    let finished = space.run(&["ocsf", "validate", "--format", "json", "a.json", "b.ndjson"]).expect_code(65);
    let lines: Vec<serde_json::Value> =
        finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let place = |rule: &str, file: &str| {
        let found = lines.iter().filter(|line| line["rule"] == rule && line["file"] == file);
        found.map(|line| line["line"].as_u64().unwrap()).collect::<BTreeSet<_>>()
    };
    assert_eq!(place("class_uid_unknown", "a.json"), BTreeSet::from([1]));
    assert_eq!(place("attribute_required_missing", "a.json"), BTreeSet::from([5]));
    assert_eq!(place("class_uid_unknown", "b.ndjson"), BTreeSet::from([1]));
    assert_eq!(place("not_json", "b.ndjson"), BTreeSet::from([2]));

    space.run(&["ocsf", "validate", "nosuch.json"]).expect_code(74);
    space.run(&["ocsf", "validate", "--version", "1.8.0", "--schema", "x"]).expect_code(64);
    space.run(&["ocsf"]).expect_code(64);
    let listed = space.run(&["ocsf", "classes"]).expect_code(0).stdout;
    assert!(listed.contains("OCSF 1.9.0 (development tree, eleven days before the release)\n"), "{listed}");
    assert!(
        listed.contains("    3001  account_change  Account Change  deprecated since 1.9.0\n"),
        "{listed}"
    );
    let schema = folder().join("schema.json");
    let listed = space.run(&["ocsf", "classes", "--schema", schema.to_str().unwrap()]).expect_code(0).stdout;
    assert!(listed.starts_with("OCSF 1.2.0-own\n    1001  reading  Reading\n"), "{listed}");
}

#[test]
fn an_event_without_end_is_bounded() {
    with_stack(|| {
        let mut validator = Validator::new(Schema::built_in("1.8.0").unwrap(), Options::default());
        let members: String = (0..5000).map(|at| format!(",\"foo{at}\":1")).collect();
        let mut event = Json::from_text(Bytes::from(format!("{{\"class_uid\":3002{members}}}")));
        let findings = validator.check(event.view());
        assert_eq!(findings.len(), 1001);
        assert!(findings.last().unwrap().message.starts_with("more than 1000 findings"));

        let mut process = String::from("{\"pid\":1}");
        for _ in 0..200 {
            process = format!("{{\"pid\":1,\"parent_process\":{process}}}");
        }
        let text = format!("{{\"class_uid\":3002,\"actor\":{{\"process\":{process}}}}}");
        let mut event = Json::from_text(Bytes::from(text));
        let findings = validator.check(event.view());
        let deep = findings.iter().find(|found| found.rule == Rule::NotChecked).unwrap();
        assert!(deep.message.starts_with("nested deeper than 64 levels"), "{}", deep.message);
    });
}

/// JSON of names that OCSF has and of any others.
fn anything() -> impl Strategy<Value = serde_json::Value> {
    let names = [
        "class_uid",
        "activity_id",
        "type_uid",
        "metadata",
        "version",
        "profiles",
        "observables",
        "name",
        "type_id",
        "user",
        "actor",
        "time",
        "cloud",
        "src_endpoint",
        "ip",
        "category_ids",
        "categories",
        "a b",
        "",
    ];
    let name = prop_oneof![4 => prop::sample::select(names.to_vec()).prop_map(str::to_owned), 1 => ".{0,8}"];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (0..100i64).prop_map(Into::into),
        any::<f64>().prop_filter("JSON has no such number", |number| number.is_finite()).prop_map(Into::into),
        prop::sample::select(vec![3002i64, 6003, 99, 0]).prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        prop::sample::select(vec!["1.8.0", "cloud", "user.name", "[", "a[.]b", "2001:db8::1"])
            .prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_event_is_too_odd(anything in anything(), class in prop::sample::select(vec![0i64, 2003, 3002, 6003])) {
        with_stack(|| {
            for version in Schema::built_in_versions() {
                let schema = Schema::built_in(version).unwrap();
                let mut validator = Validator::new(schema, Options { missing_recommended: true });
                let mut event = anything.clone();
                validator.check(Json::from_text(Bytes::from(event.to_string())).view());
                if let Some(members) = event.as_object_mut() {
                    members.insert("class_uid".into(), class.into());
                }
                let findings = validator.check(Json::from_text(Bytes::from(event.to_string())).view()).to_vec();
                // the same event says the same again, whatever came before
                let again = validator.check(Json::from_text(Bytes::from(event.to_string())).view());
                assert_eq!(findings, again);
                assert!(findings.iter().all(|found| found.path.starts_with('.') && !found.message.is_empty()));
            }
        });
    }
}

#[test]
fn what_cannot_be_read_keeps_no_other_file_from_being_checked() {
    let space = Workspace::new();
    space.write("bad.ndjson", "{\"class_uid\":0}\n");
    let finished = space.run(&["ocsf", "validate", "nosuch.ndjson", ".", "bad.ndjson"]).expect_code(74);
    assert!(finished.stderr.contains("cannot read nosuch.ndjson"), "{}", finished.stderr);
    assert!(finished.stderr.contains("cannot read .: Is a directory"), "{}", finished.stderr);
    assert!(finished.stdout.contains("bad.ndjson:1: error attribute_required_missing .time"));
    let piped = space.run_with_input(&["ocsf", "validate", "-"], "{\"class_uid\":0}\n").expect_code(65);
    assert!(piped.stdout.contains("-:1: error attribute_required_missing .time"), "{}", piped.stdout);
}

/// Whoever looks at the first line only still learns that there were errors.
#[test]
fn a_closed_pipe_does_not_make_events_valid() {
    let space = Workspace::new();
    space.write("bad.ndjson", "{\"class_uid\":0}\n".repeat(20_000));
    let mut child = space
        .command(&["ocsf", "validate", "bad.ndjson"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(65));
}
