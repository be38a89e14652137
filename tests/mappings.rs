//! The shipped mappings: their tests pass, every branch of every one of them is reached, and the samples
//! are as wide as they should be.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use support::{Workspace, repository};

#[test]
fn their_tests_pass_and_reach_every_branch() {
    let space = Workspace::new();
    let mut command = space.command(&["test", "transforms", "--coverage-min", "100"]);
    let output = command.current_dir(repository()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_mapping_has_a_test_beside_it() {
    let mut programs = 0;
    for folder in ["atlassian", "mongodb_atlas"] {
        for entry in fs::read_dir(repository().join("transforms").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let Some(stem) = name.strip_suffix(".jq") else { continue };
            if stem.contains('.') {
                programs += 1;
                let test = path.with_file_name(format!("{stem}.test.toml"));
                assert!(test.is_file(), "{} is not there", test.display());
            }
        }
    }
    assert_eq!(programs, 15, "five streams in three shapes");
}

/// The types of the events in a file of samples.
fn types(samples: &str, pointer: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(repository().join("transforms").join(samples)).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter_map(|event| Some(event.pointer(pointer)?.as_str()?.to_owned())).collect()
}

#[test]
fn the_samples_are_wide() {
    let mut atlas = types("mongodb_atlas/samples/organization_events.ndjson", "/eventTypeName");
    atlas.append(&mut types("mongodb_atlas/samples/project_events.ndjson", "/eventTypeName"));
    assert!(atlas.len() >= 250, "{}", atlas.len());
    let atlassian = types("atlassian/samples/organization_events.ndjson", "/attributes/action");
    assert!(atlassian.len() >= 60, "{}", atlassian.len());
}

/// All but those with members of a wrong type, which are there on purpose.
#[test]
fn the_samples_are_of_their_log_types() {
    let streams = [
        ("MongoDB.OrganizationEvent", "mongodb_atlas/samples/organization_events", 0),
        ("MongoDB.ProjectEvent", "mongodb_atlas/samples/project_events", 0),
        ("MongoDB.AccessHistory", "mongodb_atlas/samples/access_history", 0),
        ("MongoDB.AuditingConfig", "mongodb_atlas/samples/auditing_config", 1),
        ("Atlassian.Audit", "atlassian/samples/organization_events", 2),
    ];
    for (name, samples, odd) in streams {
        let space = Workspace::new();
        let pipeline = format!(
            "data_dir = \"state\"\n[sources.in]\ntype = \"stdin\"\n[transforms.typed]\ntype = \"schema\"\n\
             inputs = [\"in\"]\nschemas = [\"{name}\"]\noutput = \"panther\"\n\
             [sinks.out]\ntype = \"blackhole\"\ninputs = [\"typed\"]\n"
        );
        space.write("p.toml", pipeline);
        let events = fs::read(repository().join(format!("transforms/{samples}.ndjson"))).unwrap();
        let finished = space.run_with_input(&["run", "p.toml"], events).expect_code(0);
        assert!(finished.ledger("in", "read") > odd, "{name}: {}", finished.stderr);
        assert_eq!(finished.ledger("in", "dead_lettered"), odd, "{name}: {}", finished.stderr);
    }
}
