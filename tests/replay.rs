//! `jaquard record` and `jaquard test`: what was recorded once is replayed offline, and what differs is said.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jaquard::testkit::fake_api::{Auth, Clock, Config, Digest, FakeApi, RateLimits, ServiceAccount};
use support::{Finished, Workspace, repository};

const STREAMS: [&str; 5] =
    ["organization_events", "project_events", "access_history", "auditing_config", "atlassian"];

const SECRETS: [&str; 3] = ["hidden-private-key", "hidden-client-secret", "hidden-atlassian-key"];

fn cassettes() -> PathBuf {
    repository().join("tests/cassettes")
}

fn api(stream: &str) -> FakeApi {
    let digest = Digest { public: "abcdefgh".into(), private: SECRETS[0].into(), ..Digest::default() };
    let account = ServiceAccount {
        client_id: "mdb_sa_id_1".into(),
        secret: SECRETS[1].into(),
        ..ServiceAccount::default()
    };
    let api = FakeApi::start_thread(Config {
        auth: if stream == "project_events" { Auth::ServiceAccount(account) } else { Auth::Digest(digest) },
        atlassian_key: Some(SECRETS[2].into()),
        atlassian_events: 12,
        projects: 2,
        hosts_per_project: 2,
        organization_events: 12,
        project_events: 6,
        access_records: 4,
        before: Duration::from_hours(48),
        limits: RateLimits::off(),
        clock: Clock::stopped(),
        ..Config::default()
    })
    .unwrap();
    api.clock().advance(Duration::from_mins(5));
    api
}

/// A copy of what is shipped for a stream: pipeline, test, golden file and cassette.
fn workspace(stream: &str) -> Workspace {
    let workspace = Workspace::new();
    for ending in ["toml", "test.toml", "golden.ndjson", "cassette"] {
        let name = format!("{stream}.{ending}");
        if let Ok(content) = fs::read(cassettes().join(&name)) {
            workspace.write(&name, content);
        }
    }
    workspace
}

fn record(workspace: &Workspace, api: &FakeApi, stream: &str, more: &[&str]) -> Finished {
    let is_atlassian = stream == "atlassian";
    let (source, shown) = if is_atlassian {
        ("atlassian", "https://api.atlassian.com")
    } else {
        ("atlas", "https://cloud.mongodb.com")
    };
    let (file, cassette) = (format!("{stream}.toml"), format!("{stream}.cassette"));
    let stand_in = format!("{}={shown}", api.url());
    let arguments = ["record", &file, source, "-o", &cassette, "--stand-in", &stand_in];
    let mut command = workspace.command(&[&arguments, more].concat());
    command
        .env("ATLAS_URL", api.url())
        .env("ATLAS_ORG_ID", &api.config().organization)
        .env("ATLAS_PUBLIC_KEY", "abcdefgh")
        .env("ATLAS_PRIVATE_KEY", SECRETS[0])
        .env("ATLAS_CLIENT_ID", "mdb_sa_id_1")
        .env("ATLAS_CLIENT_SECRET", SECRETS[1])
        .env("ATLASSIAN_URL", api.url())
        .env("ATLASSIAN_ORG_ID", &api.config().atlassian_organization)
        .env("ATLASSIAN_API_KEY", SECRETS[2]);
    let output = command.output().unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn assert_no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn every_stream_is_recorded_without_secrets_and_replayed_without_a_server() {
    let update = std::env::var_os("UPDATE").is_some();
    for stream in STREAMS {
        let workspace = workspace(stream);
        let server = api(stream);
        let recorded = record(&workspace, &server, stream, &[]).expect_code(0);
        server.stop();
        assert!(recorded.stdout.contains("\nfirst run: "), "{}", recorded.stdout);
        assert!(recorded.stdout.contains("\nsecond run: 0 events, "), "{}", recorded.stdout);
        let cassette = workspace.read(&format!("{stream}.cassette"));
        assert_no_secret(&(cassette.clone() + &recorded.stdout + &recorded.stderr));
        assert!(!cassette.contains("127.0.0.1"), "{stream}");
        if update {
            workspace.run(&["test", "--update"]).expect_code(0);
            for ending in ["cassette", "test.toml", "golden.ndjson"] {
                let name = format!("{stream}.{ending}");
                fs::write(cassettes().join(&name), workspace.read(&name)).unwrap();
            }
        }
        let tested = workspace.run(&["test"]);
        assert_eq!(tested.code, Some(0), "{}{}", tested.stdout, tested.stderr);
        assert!(tested.stdout.ends_with("then 0 events)\n1 passed, 0 failed\n"), "{}", tested.stdout);
        assert!(!workspace.path("out").exists() && !workspace.path("state-home").exists());
    }
}

#[test]
fn the_shipped_cassettes_are_small_and_pass() {
    let workspace = Workspace::new();
    let folder = cassettes();
    let junit = workspace.path("junit.xml");
    let tested = workspace.run(&["test", folder.to_str().unwrap(), "--junit", junit.to_str().unwrap()]);
    assert_eq!(tested.code, Some(0), "{}{}", tested.stdout, tested.stderr);
    assert!(tested.stdout.ends_with("\n5 passed, 0 failed\n"), "{}", tested.stdout);
    assert!(workspace.read("junit.xml").contains("<testsuites tests=\"5\" failures=\"0\""));
    for stream in STREAMS {
        let cassette = fs::read_to_string(folder.join(format!("{stream}.cassette"))).unwrap();
        assert!(cassette.len() < 40 << 10, "{stream}: {}", cassette.len());
        assert_no_secret(&cassette);
    }
}

#[test]
fn a_transform_that_has_changed_fails_with_its_difference_and_update_takes_it() {
    let workspace = workspace("organization_events");
    let changed = workspace.read("organization_events.toml").replace("who: .username", "who: .userId");
    workspace.write("organization_events.toml", changed);
    let failed = workspace.run(&["test", "--junit", "junit.xml"]).expect_code(65);
    let out = &failed.stdout;
    for text in [
        "FAILED organization_events.test.toml: ",
        "  golden: ",
        "line 2 of 12 differs",
        "expected: {",
        "- .who: \"",
        "+ .who: \"",
        "0 passed, 1 failed",
    ] {
        assert!(out.contains(text), "{text}: {out}");
    }
    let junit = workspace.read("junit.xml");
    assert!(junit.contains("failures=\"1\"") && junit.contains("<failure message=\"golden\">"), "{junit}");
    let updated = workspace.run(&["test", "--update"]).expect_code(0);
    assert!(updated.stdout.contains(", updated)\n"), "{}", updated.stdout);
    workspace.run(&["test"]).expect_code(0);
}

#[test]
fn counts_that_are_wrong_are_said_and_update_mends_them() {
    let workspace = workspace("organization_events");
    let before = workspace.read("organization_events.test.toml");
    let wrong = before
        .replace("events = 12\n", "events = 13 # a comment\n")
        .replace("{ events = 0 }", "{ events = 7 }");
    assert_ne!(before, wrong);
    workspace.write("organization_events.test.toml", &wrong);
    let failed = workspace.run(&["test"]).expect_code(65);
    assert!(failed.stdout.contains("counts: 12 events, expected 13\n"), "{}", failed.stdout);
    assert!(failed.stdout.contains("cursor: 0 events, expected 7\n"), "{}", failed.stdout);
    workspace.run(&["test", "--update"]).expect_code(0);
    let mended = workspace.read("organization_events.test.toml");
    assert_eq!(mended, before.replace("events = 12\n", "events = 12 # a comment\n"));
}

#[test]
fn a_page_that_is_missing_and_one_that_is_not_asked_for_are_named() {
    let workspace = workspace("atlassian");
    let cassette = workspace.read("atlassian.cassette");
    let mut exchanges: Vec<&str> = cassette.split_inclusive("\n}\n").collect();
    let is_page =
        |text: &&str| text.lines().any(|line| line.contains("\"url\": ") && line.contains("cursor="));
    let at = exchanges.iter().position(is_page).expect("a second page");
    let page = exchanges.remove(at);
    workspace.write("atlassian.cassette", exchanges.concat());
    let failed = workspace.run(&["test"]).expect_code(65);
    let out = &failed.stdout;
    assert!(
        out.contains("  works: ") && out.contains("the cassette atlassian.cassette has no answer to GET"),
        "{out}"
    );
    assert!(out.contains("https://api.atlassian.com/") && out.contains("cursor="), "{out}");

    workspace.write("atlassian.cassette", cassette.clone() + &page.replace("limit=5", "limit=99"));
    let failed = workspace.run(&["test"]).expect_code(65);
    let out = &failed.stdout;
    assert!(out.contains("pages: 1 exchange of the recording not asked for:"), "{out}");
    assert!(out.contains("limit=99"), "{out}");
}

#[test]
fn members_of_a_query_may_differ_where_the_test_says_so() {
    let workspace = workspace("organization_events");
    let changed = workspace.read("organization_events.toml").replace("\"10m\"", "\"11m\"");
    workspace.write("organization_events.toml", changed);
    let failed = workspace.run(&["test"]).expect_code(65);
    assert!(failed.stdout.contains("the query has minDate="), "{}", failed.stdout);
    let test = workspace.read("organization_events.test.toml") + "ignore_query = [\"minDate\"]\n";
    workspace.write("organization_events.test.toml", test);
    workspace.run(&["test"]).expect_code(0);
}

#[test]
fn a_recording_can_be_scrubbed_and_limited() {
    let workspace = workspace("organization_events");
    let server = api("organization_events");
    let scrub = ".results[].username = \"somebody\"";
    let recorded = record(&workspace, &server, "organization_events", &["--scrub", scrub, "--limit", "6"])
        .expect_code(0);
    server.stop();
    assert!(!recorded.stdout.contains("second run"), "{}", recorded.stdout);
    let cassette = workspace.read("organization_events.cassette");
    let names: Vec<_> = cassette.lines().filter(|line| line.contains("\"username\": ")).collect();
    assert!(names.len() >= 6 && names.iter().all(|line| line.contains("\"somebody\"")), "{names:?}");
    let test = workspace.read("organization_events.test.toml");
    let kept = test.lines().filter(|line| !line.contains("events =") && !line.contains("requests ="));
    let test = kept.map(|line| format!("{line}\n")).collect::<String>() + "limit = 6\n";
    workspace.write("organization_events.test.toml", test);
    workspace.run(&["test", "--update"]).expect_code(0);
    let tested = workspace.run(&["test"]);
    assert_eq!(tested.code, Some(0), "{}{}", tested.stdout, tested.stderr);
    assert!(workspace.read("organization_events.golden.ndjson").contains("\"somebody\""));
}

#[test]
fn what_cannot_be_recorded_or_run_is_said() {
    let workspace = workspace("organization_events");
    workspace.write(
        "p.toml",
        "[sources.lines]\ntype = \"stdin\"\n[sources.audit]\ntype = \"http_poll\"\nbase_url = \"https://a.example\"\nurl = \"/x\"\n\
         [sinks.out]\ntype = \"blackhole\"\ninputs = [\"lines\", \"audit\"]\n",
    );
    let wrong = workspace.run(&["record", "p.toml", "lines", "-o", "c"]).expect_code(64);
    assert!(wrong.stderr.contains("these can be recorded: `audit`"), "{}", wrong.stderr);
    let wrong = workspace.run(&["record", "p.toml", "audi", "-o", "c"]).expect_code(64);
    assert!(wrong.stderr.contains("did you mean `audit`?"), "{}", wrong.stderr);
    workspace.run(&["record", "p.toml", "audit", "-o", "c", "--stand-in", "nothing"]).expect_code(64);
    workspace.run(&["record", "p.toml", "audit", "-o", "c", "--scrub", ".a |"]).expect_code(64);
    assert!(!workspace.path("c").exists());

    let test = workspace.read("organization_events.test.toml");
    workspace.write("organization_events.test.toml", test.replace("golden", "gloden"));
    let wrong = workspace.run(&["test"]).expect_code(78);
    assert!(
        wrong.stderr.contains("organization_events.test.toml:")
            && wrong.stderr.contains("did you mean `golden`?"),
        "{}",
        wrong.stderr
    );
    workspace.write("organization_events.test.toml", test.replace("events.toml", "events.nosuch"));
    let wrong = workspace.run(&["test"]).expect_code(78);
    assert!(wrong.stderr.contains("cannot read organization_events.nosuch"), "{}", wrong.stderr);
    workspace.run(&["test", "nosuch"]).expect_code(64);
    workspace.write("organization_events.test.toml", test);
    workspace.run(&["test", "--filter", "nosuch"]).expect_code(64);
    workspace.run(&["test", "--filter", "events of an"]).expect_code(0);
}
