//! Polled sources against fake APIs: what is pulled is what is there, once.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use jaquard::testkit::fake_api::{
    Auth, Clock, Config, Digest, FakeApi, Faults, Partition, RateLimits, ServiceAccount,
};
use support::Workspace;

fn free(config: Config) -> Config {
    Config { limits: RateLimits::off(), clock: Clock::stopped(), ..config }
}

/// A pipeline from one source to one file of whole events.
fn pipeline(workspace: &Workspace, source: &str) {
    let text = format!(
        "data_dir = \"state\"\n[sources.api]\n{source}\n[sinks.out]\ntype = \"file\"\ninputs = [\"api\"]\npath = \"out.ndjson\"\n"
    );
    workspace.write("pipeline.toml", text);
}

fn atlas(api: &FakeApi, stream: &str, auth: &str, more: &str) -> String {
    format!(
        "type = \"mongodb_atlas\"\nstream = \"{stream}\"\norganization = \"{}\"\nbase_url = \"{}\"\nauth = {auth}\n{more}\n",
        api.config().organization,
        api.url()
    )
}

const DIGEST: &str = r#"{ type = "digest", public_key = "abcdefgh", private_key = "hidden-private-key" }"#;
const ACCOUNT: &str =
    r#"{ type = "service_account", client_id = "mdb_sa_id_1", client_secret = "hidden-client-secret" }"#;

fn digest() -> Auth {
    Auth::Digest(Digest {
        public: "abcdefgh".into(),
        private: "hidden-private-key".into(),
        ..Digest::default()
    })
}

fn account() -> Auth {
    Auth::ServiceAccount(ServiceAccount {
        client_id: "mdb_sa_id_1".into(),
        secret: "hidden-client-secret".into(),
        ..ServiceAccount::default()
    })
}

/// How often each record is in the file.
fn counted(workspace: &Workspace) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in workspace.lines("out.ndjson") {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

/// Fails unless the file holds exactly these records, each as often as it is there.
fn assert_exact(workspace: &Workspace, api: &FakeApi, partitions: &[Partition]) {
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    for truth in partitions.iter().flat_map(|partition| api.events(partition)) {
        *expected.entry(String::from_utf8(truth.record.to_vec()).unwrap()).or_default() += 1;
    }
    let found = counted(workspace);
    let missing: Vec<_> =
        expected.iter().filter(|(line, n)| found.get(*line).copied().unwrap_or(0) < **n).collect();
    let extra: Vec<_> =
        found.iter().filter(|(line, n)| expected.get(*line).copied().unwrap_or(0) < **n).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing {} of {}: {:?}\nrepeated or unknown {}: {:?}",
        missing.len(),
        expected.len(),
        missing.first(),
        extra.len(),
        extra.first()
    );
}

fn partitions(api: &FakeApi, stream: &str) -> Vec<Partition> {
    let all = api.partitions().into_iter();
    all.filter(|partition| {
        matches!(
            (stream, partition),
            ("organization_events", Partition::Organization)
                | ("project_events", Partition::Project(_))
                | ("access_history", Partition::Host { .. })
                | ("atlassian", Partition::Atlassian)
        )
    })
    .collect()
}

#[test]
fn every_atlas_stream_is_pulled_whole_and_a_second_run_adds_nothing() {
    let runs = [
        ("organization_events", DIGEST, digest(), "start = \"all\"\ninclude_raw = true"),
        ("project_events", ACCOUNT, account(), "start = \"all\"\ninclude_raw = true"),
        ("access_history", DIGEST, digest(), "start = \"all\"\nrecords_per_request = 40"),
    ];
    for (stream, auth, login, more) in runs {
        let api = FakeApi::start_thread(free(Config {
            auth: login,
            organization_events: 3_000,
            project_events: 1_200,
            ..Config::default()
        }))
        .unwrap();
        let workspace = Workspace::new();
        pipeline(&workspace, &atlas(&api, stream, auth, more));
        // nothing happens in the minute that has not settled
        api.clock().advance(Duration::from_mins(5));
        let run = workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
        assert_exact(&workspace, &api, &partitions(&api, stream));
        assert!(run.stderr.contains("dead_lettered=0 in_flight=0"), "{}", run.stderr);

        let before = api.requests().total();
        let run = workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
        assert!(run.stderr.contains("read=0"), "{}", run.stderr);
        assert_exact(&workspace, &api, &partitions(&api, stream));
        let requests = api.requests().total() - before;
        eprintln!("{stream}: {requests} requests in the second run");
        for secret in ["hidden-private-key", "hidden-client-secret"] {
            assert!(!run.stderr.contains(secret));
        }
    }
}

#[test]
fn atlassian_is_pulled_whole_whatever_its_last_page_says() {
    use jaquard::testkit::fake_api::{AtlassianOptions, LastPage, NextStyle};
    for last_page in [LastPage::KeepsCursor, LastPage::NullNext] {
        for next in [NextStyle::Bare, NextStyle::Url, NextStyle::Both, NextStyle::Swapped] {
            let api = FakeApi::start_thread(free(Config {
                atlassian_key: Some("hidden-atlassian-key".into()),
                atlassian_events: 2_345,
                atlassian: AtlassianOptions { last_page, next, ..AtlassianOptions::default() },
                ..Config::default()
            }))
            .unwrap();
            let workspace = Workspace::new();
            let source = format!(
                "type = \"atlassian\"\nstream = \"organization_events\"\norganization = \"{}\"\nbase_url = \"{}\"\nauth = {{ type = \"bearer\", token = \"hidden-atlassian-key\" }}\nstart = \"all\"\n",
                api.config().atlassian_organization,
                api.url()
            );
            pipeline(&workspace, &source);
            workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
            assert_exact(&workspace, &api, &partitions(&api, "atlassian"));
            let now = api.clock().now();
            api.add_events(&Partition::Atlassian, &[now, now]);
            api.clock().advance(Duration::from_mins(10));
            let run = workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
            assert!(run.stderr.contains("read=2 delivered=2"), "{last_page:?} {next:?}: {}", run.stderr);
            assert_exact(&workspace, &api, &partitions(&api, "atlassian"));
        }
    }
}

#[test]
fn a_configuration_is_emitted_when_it_has_changed() {
    let api = FakeApi::start_thread(free(Config::default())).unwrap();
    let workspace = Workspace::new();
    pipeline(&workspace, &atlas(&api, "auditing_config", DIGEST, ""));
    let emitted = || {
        workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
        workspace.lines("out.ndjson").len()
    };
    assert_eq!(emitted(), 3);
    assert_eq!(emitted(), 3);
    let project = api.projects().remove(1);
    let before = api.auditing(&project).unwrap();
    let mut changed = before.clone();
    changed["enabled"] = (!before["enabled"].as_bool().unwrap_or(false)).into();
    api.set_auditing(&project, changed);
    assert_eq!(emitted(), 4);
    api.set_auditing(&project, before);
    assert_eq!(emitted(), 5, "back to what it was is a change too");
    assert_eq!(emitted(), 5);
}

#[test]
fn faults_of_every_kind_lose_and_repeat_nothing() {
    let api = FakeApi::start_thread(Config {
        auth: account(),
        projects: 4,
        project_events: 2_000,
        faults: Faults::some(0.05),
        clock: Clock::stopped(),
        limits: RateLimits::off(),
        ..Config::default()
    })
    .unwrap();
    let workspace = Workspace::new();
    pipeline(&workspace, &atlas(&api, "project_events", ACCOUNT, "start = \"all\"\ninclude_raw = true"));
    api.clock().advance(Duration::from_hours(24));
    workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
    assert_exact(&workspace, &api, &partitions(&api, "project_events"));
    let hit = api.faults_hit();
    assert!(hit.values().sum::<u64>() > 5, "{hit:?}");
}
