//! Polled sources against fake APIs: what is pulled is what is there, once.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use jaquard::testkit::fake_api::{
    Auth, Clock, Config, Digest, FakeApi, Faults, Partition, RateLimits, RateSet, ServiceAccount,
};
use support::{Random, Workspace, pause};

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

/// A number from the environment, for longer runs than the gate has time for.
fn scale(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs a pipeline and kills it at a random moment, many times; then once more to its end.
fn killed_again_and_again(workspace: &Workspace, api: &FakeApi, kills: usize) {
    let mut random = Random(2026);
    for _ in 0..kills {
        let mut child = workspace.start(&["run", "pipeline.toml"], "log");
        pause(Duration::from_millis(30 + random.below(350)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // everything there will ever be is visible and has settled
    api.clock().advance(Duration::from_hours(30 * 24));
    workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
}

#[test]
fn killed_at_any_moment_under_every_fault_nothing_is_lost_or_repeated() {
    let (events, kills) = (scale("JAQUARD_POLL_EVENTS", 20_000), scale("JAQUARD_POLL_KILLS", 25));
    let projects = scale("JAQUARD_POLL_PARTITIONS", 50);
    let api = FakeApi::start_thread(Config {
        auth: digest(),
        projects,
        hosts_per_project: 0,
        project_events: events / projects,
        before: Duration::from_hours(48),
        after: Duration::from_hours(12),
        clock: Clock { speed: 600.0, ..Clock::default() },
        limits: RateLimits::off(),
        faults: Faults {
            late: 0.05,
            lateness: Duration::from_mins(8),
            collisions: 0.2,
            retry_after: 1,
            slow_by: Duration::from_millis(50),
            // a date is by a clock that runs 600 times too fast here
            too_many_date: 0.0,
            ..Faults::some(0.05)
        },
        ..Config::default()
    })
    .unwrap();
    let workspace = Workspace::new();
    let source = "start = \"all\"\ninclude_raw = true\ninterval = \"50ms\"\nconcurrency = 16\nwindow = { length = \"6h\", overlap = \"10m\", settle = \"1m\" }";
    pipeline(&workspace, &atlas(&api, "project_events", DIGEST, source));
    killed_again_and_again(&workspace, &api, kills);
    assert_exact(&workspace, &api, &partitions(&api, "project_events"));
    assert!(api.requests().total() > 0);
    let log = workspace.read("log");
    assert!(!log.contains("hidden-private-key"));
}

#[test]
fn killed_at_any_moment_the_cursor_of_a_stream_loses_and_repeats_nothing() {
    let (events, kills) = (scale("JAQUARD_POLL_EVENTS", 20_000) / 2, scale("JAQUARD_POLL_KILLS", 25));
    let api = FakeApi::start_thread(Config {
        atlassian_key: Some("hidden-atlassian-key".into()),
        atlassian_events: events,
        before: Duration::from_hours(48),
        after: Duration::from_hours(12),
        clock: Clock { speed: 600.0, ..Clock::default() },
        // told but never reached: its reset is by a clock that runs 600 times too fast
        limits: RateLimits::off().with(RateSet::AtlassianUser, 1_000_000, 1_000_000).with(
            RateSet::AtlassianPath,
            1_000_000,
            1_000_000,
        ),
        faults: Faults {
            collisions: 0.2,
            slow_by: Duration::from_millis(50),
            // dates in `Retry-After` and `X-RateLimit-Reset` are by a clock that runs 600 times too fast here
            too_many_bare: 0.0,
            too_many_date: 0.0,
            ..Faults::some(0.05)
        },
        ..Config::default()
    })
    .unwrap();
    let workspace = Workspace::new();
    let source = format!(
        "type = \"atlassian\"\norganization = \"{}\"\nbase_url = \"{}\"\nauth = {{ type = \"bearer\", token = \"hidden-atlassian-key\" }}\nstart = \"all\"\ninterval = \"50ms\"\npage_size = 500",
        api.config().atlassian_organization,
        api.url()
    );
    pipeline(&workspace, &source);
    killed_again_and_again(&workspace, &api, kills);
    assert_exact(&workspace, &api, &partitions(&api, "atlassian"));
    assert!(!workspace.read("log").contains("hidden-atlassian-key"));
}

#[test]
fn what_is_wrong_is_said_in_the_users_terms() {
    use jaquard::testkit::fake_api::Refusal;
    let api = FakeApi::start_thread(free(Config { auth: digest(), ..Config::default() })).unwrap();
    let workspace = Workspace::new();
    pipeline(&workspace, &atlas(&api, "organization_events", DIGEST, "start = \"all\""));
    let fine = workspace.run(&["validate", "--connect", "pipeline.toml"]).expect_code(0);
    assert!(fine.stdout.contains("source `api`: answers:"), "{}", fine.stdout);
    assert!(!workspace.path("state").exists() && !workspace.path("out.ndjson").exists());

    for (refusal, status, advice) in [
        (Refusal::Role, "403", "Organization Member"),
        (Refusal::NotFound, "404", "check the ids"),
        (Refusal::AccessList, "", "access list"),
    ] {
        let organization = api.config().organization.clone();
        api.restrict(&organization, refusal);
        for arguments in [["validate", "--connect", "pipeline.toml"], ["run", "--once", "pipeline.toml"]] {
            let run = workspace.run(&arguments).expect_code(74);
            assert!(
                run.stderr.contains(status) && run.stderr.contains(advice),
                "{refusal:?}: {}",
                run.stderr
            );
            assert!(!run.stderr.contains("hidden"), "{}", run.stderr);
        }
        api.allow(&organization);
    }

    let wrong = DIGEST.replace("hidden-private-key", "hidden-wrong-key");
    pipeline(&workspace, &atlas(&api, "organization_events", &wrong, "start = \"all\""));
    let run = workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(74);
    assert!(run.stderr.contains("expired") && !run.stderr.contains("hidden"), "{}", run.stderr);
}

#[test]
fn a_project_that_fails_stops_no_other_and_is_told_as_an_alert() {
    use jaquard::testkit::fake_api::Refusal;
    let api =
        FakeApi::start_thread(free(Config { auth: digest(), projects: 4, ..Config::default() })).unwrap();
    api.clock().advance(Duration::from_mins(5));
    let projects = api.projects();
    api.restrict(&projects[1], Refusal::Role);
    let workspace = Workspace::new();
    let source = atlas(&api, "project_events", DIGEST, "start = \"all\"\ninclude_raw = true");
    let text = format!(
        "data_dir = \"state\"\n[sources.api]\n{source}\n[sources.alerts]\ntype = \"alerts\"\n\
         [sinks.out]\ntype = \"file\"\ninputs = [\"api\"]\npath = \"out.ndjson\"\n\
         [sinks.pager]\ntype = \"file\"\ninputs = [\"alerts\"]\npath = \"alerts.ndjson\"\n"
    );
    workspace.write("pipeline.toml", text);
    workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(74);
    let others = projects.iter().filter(|id| **id != projects[1]).map(|id| Partition::Project(id.clone()));
    assert_exact(&workspace, &api, &others.collect::<Vec<_>>());
    let alerts = workspace.lines("alerts.ndjson");
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert: serde_json::Value = serde_json::from_str(&alerts[0]).unwrap();
    assert_eq!((&alert["kind"], &alert["severity"]), (&"auth_failed".into(), &"critical".into()));
    assert_eq!((&alert["component"], &alert["partition"]), (&"api".into(), &projects[1].as_str().into()));

    // the cursor of the one that failed has not moved: now it may be read, and is read whole
    api.allow(&projects[1]);
    workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
    assert_exact(&workspace, &api, &partitions(&api, "project_events"));
}

#[test]
fn late_events_and_projects_that_come_and_go_are_followed() {
    let api =
        FakeApi::start_thread(free(Config { auth: digest(), projects: 2, ..Config::default() })).unwrap();
    let workspace = Workspace::new();
    let more = "start = \"all\"\ninclude_raw = true\ninterval = \"100ms\"\ndiscovery_interval = \"200ms\"";
    pipeline(&workspace, &atlas(&api, "project_events", DIGEST, more));
    let mut child = workspace.start(&["run", "pipeline.toml"], "log");
    api.clock().advance(Duration::from_mins(5));
    let count = |api: &FakeApi| partitions(api, "project_events").iter().map(|p| api.events(p).len()).sum();
    workspace.wait_for_lines("out.ndjson", count(&api));

    // events that appear inside the overlap, after the window that they belong to was read
    let project = Partition::Project(api.projects()[0].clone());
    let now = api.clock().now();
    api.add_events(&project, &[now - Duration::from_mins(4), now - Duration::from_mins(2)]);
    api.clock().advance(Duration::from_mins(2));
    workspace.wait_for_lines("out.ndjson", count(&api));

    let new = api.add_project();
    api.clock().advance(Duration::from_mins(5));
    workspace.wait_for_lines("out.ndjson", count(&api));
    let gone = partitions(&api, "project_events");
    assert!(api.remove_project(&new));
    workspace.wait_for_text("log", "the partition is gone");
    rustix_terminate(&child);
    assert!(child.wait().unwrap().success());
    let _ = gone;
    assert!(workspace.read("log").contains("in_flight=0"));
}

#[test]
fn a_stream_without_partitions_is_followed_by_the_servers_own_clock() {
    let api = FakeApi::start_thread(free(Config { auth: digest(), ..Config::default() })).unwrap();
    let workspace = Workspace::new();
    let more = "start = \"now\"\ninclude_raw = true\ninterval = \"50ms\"";
    pipeline(&workspace, &atlas(&api, "organization_events", DIGEST, more));
    let mut child = workspace.start(&["run", "pipeline.toml"], "log");
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while api.requests().total() < 4 && std::time::Instant::now() < until {
        pause(Duration::from_millis(20));
    }
    for round in 1..=3 {
        let now = api.clock().now();
        api.add_events(&Partition::Organization, &[now, now + chrono::Duration::milliseconds(1)]);
        api.clock().advance(Duration::from_mins(3));
        workspace.wait_for_lines("out.ndjson", 2 * round);
    }
    rustix_terminate(&child);
    assert!(child.wait().unwrap().success());
}

fn rustix_terminate(child: &std::process::Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[test]
fn requests_stay_within_the_budget_and_tokens_are_not_asked_for_again_and_again() {
    use jaquard::testkit::fake_api::Refill;
    let limits = RateLimits { refill: Refill::Continuous, ..RateLimits::default() }.with(
        RateSet::ProjectEvents,
        20,
        600,
    );
    let api = FakeApi::start_thread(Config {
        auth: account(),
        projects: 6,
        project_events: 900,
        limits,
        clock: Clock::stopped(),
        ..Config::default()
    })
    .unwrap();
    api.clock().advance(Duration::from_mins(5));
    let workspace = Workspace::new();
    pipeline(&workspace, &atlas(&api, "project_events", ACCOUNT, "start = \"all\"\ninclude_raw = true"));
    workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
    assert_exact(&workspace, &api, &partitions(&api, "project_events"));
    assert_eq!(api.token_requests(), 1);
    let violations = api.budget_violations();
    eprintln!("budget violations: {violations}");
}

#[test]
fn the_shipped_pipelines_run_as_they_are() {
    let api = FakeApi::start_thread(free(Config {
        auth: account(),
        atlassian_key: Some("hidden-atlassian-key".into()),
        ..Config::default()
    }))
    .unwrap();
    // whatever comes "from now on"
    let streams = [
        ("mongodb_atlas_organization_events", "organization_events", "atlas"),
        ("mongodb_atlas_project_events", "project_events", "atlas"),
        ("mongodb_atlas_access_history", "access_history", "atlas"),
        ("mongodb_atlas_auditing_config", "auditing_config", "atlas"),
        ("atlassian_organization_events", "atlassian", "atlassian"),
    ];
    let workspace = Workspace::new();
    for folder in ["pipelines", "transforms/lib", "transforms/mongodb_atlas", "transforms/atlassian"] {
        for entry in std::fs::read_dir(support::repository().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = format!("{folder}/{}", path.file_name().unwrap().to_string_lossy());
                workspace.write(&name, std::fs::read(&path).unwrap());
            }
        }
    }
    let run = |name: &str, arguments: &[&str]| {
        let file = format!("pipelines/{name}.toml");
        let mut command = workspace.command(&[arguments, &[&file]].concat());
        command
            .env("ATLAS_ORG_ID", &api.config().organization)
            .env("ATLAS_CLIENT_ID", "mdb_sa_id_1")
            .env("ATLAS_CLIENT_SECRET", "hidden-client-secret")
            .env("ATLASSIAN_ORG_ID", &api.config().atlassian_organization)
            .env("ATLASSIAN_API_KEY", "hidden-atlassian-key");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {text}");
        assert!(!text.contains("hidden"));
        text
    };
    for (name, _, vendor) in streams {
        let file = format!("pipelines/{name}.toml");
        let kind = if vendor == "atlas" { "mongodb_atlas" } else { "atlassian" };
        let line = format!("type = \"{kind}\"");
        let text = workspace.read(&file).replace(&line, &format!("{line}\nbase_url = \"{}\"", api.url()));
        workspace.write(&file, text);
        run(name, &["validate", "--connect"]);
        run(name, &["run", "--once"]);
    }
    let now = api.clock().now();
    for partition in api.partitions() {
        api.add_events(&partition, &[now, now + chrono::Duration::seconds(1)]);
    }
    api.clock().advance(Duration::from_mins(15));
    for (name, stream, _) in streams {
        let log = run(name, &["run", "--once"]);
        let expected = match stream {
            "auditing_config" => 0,
            stream => 2 * partitions(&api, stream).len(),
        };
        assert!(log.contains(&format!("read={expected} delivered={expected}")), "{name}: {log}");
    }
    let day = now.format("%Y-%m-%d");
    for (folder, count) in [("organization_events", 2), ("project_events", 6), ("atlassian", 2)] {
        let lines = workspace.lines(&format!("out/{folder}/{day}.ndjson"));
        assert_eq!(lines.len(), count, "{folder}");
        let envelope: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(envelope["metadata"]["custom_framework"], "my_framework");
        assert!(envelope["controls"][0]["id"].is_string());
    }
    let project = &api.projects()[0];
    let configuration = workspace.lines(&format!("out/auditing_config/{project}.ndjson"));
    let envelope: serde_json::Value = serde_json::from_str(&configuration[0]).unwrap();
    assert_eq!(envelope["controls"][0]["project"], project.as_str());
}

/// Every login there is, with the log turned up as far as it goes and something wrong everywhere:
/// no secret may be in what anybody can read.
#[test]
fn no_secret_is_in_any_output_log_error_or_file() {
    use base64::Engine as _;
    let api = FakeApi::start_thread(free(Config {
        auth: account(),
        atlassian_key: Some("hidden-atlassian-key".into()),
        faults: Faults { retry_after: 0, slow_by: Duration::ZERO, ..Faults::some(0.03) },
        ..Config::default()
    }))
    .unwrap();
    api.clock().advance(Duration::from_mins(5));
    let atlassian = api.config().atlassian_organization.clone();
    let url = format!("{}/admin/v1/orgs/{atlassian}/events-stream", api.url());
    let auths = [
        r#"{ type = "basic", username = "known-user", password = "hidden-password" }"#,
        r#"{ type = "bearer", token = "hidden-bearer" }"#,
        r#"{ type = "api_key", query = "key", value = "hidden-in-query" }"#,
        r#"{ type = "api_key", header = "x-key", value = "hidden-in-header" }"#,
        r#"{ type = "digest", username = "u", password = "hidden-digest" }"#,
        ACCOUNT,
    ];
    let encoded = base64::engine::general_purpose::STANDARD.encode("known-user:hidden-password");
    let encoded_client = base64::engine::general_purpose::STANDARD.encode("mdb_sa_id_1:hidden-client-secret");
    for (at, auth) in auths.iter().enumerate() {
        let workspace = Workspace::new();
        let source = if *auth == ACCOUNT {
            atlas(&api, "project_events", auth, "start = \"all\"")
        } else {
            format!(
                "type = \"http_poll\"\nurl = \"{url}?cursor=hidden-cursor\"\nauth = {auth}\ntimeout = \"2s\""
            )
        };
        pipeline(&workspace, &source);
        for arguments in [
            vec!["run", "--once"],
            vec!["validate", "--connect"],
            vec!["run", "--once", "--log-format", "json"],
        ] {
            let mut command = workspace.command(&[&arguments[..], &["pipeline.toml"]].concat());
            let output = command.env("JAQUARD_LOG", "trace").output().unwrap();
            let mut all = output.stdout;
            all.extend(output.stderr);
            let mut files = vec![workspace.path("state")];
            while let Some(path) = files.pop() {
                if path.is_dir() {
                    files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                } else {
                    all.extend(std::fs::read(&path).unwrap_or_default());
                }
            }
            let text = String::from_utf8_lossy(&all);
            for secret in ["hidden", &encoded, &encoded_client] {
                let found =
                    text.find(secret).map(|at| &text[at.saturating_sub(200)..(at + 60).min(text.len())]);
                assert!(found.is_none(), "login {at}: {found:?}");
            }
        }
    }
}

#[test]
fn a_second_that_holds_too_much_is_told_and_silence_too() {
    let api = FakeApi::start_thread(free(Config { access_records: 0, ..Config::default() })).unwrap();
    let host = api.partitions().into_iter().find(|p| matches!(p, Partition::Host { .. })).unwrap();
    let Partition::Host { project, host: name } = &host else { unreachable!() };
    let now = api.clock().now();
    api.add_events(&host, &vec![now; 30]);
    api.clock().advance(Duration::from_mins(5));
    let workspace = Workspace::new();
    let more = format!(
        "start = \"all\"\nrecords_per_request = 10\nprojects = [\"{project}\"]\nhosts = [\"{name}\"]\ninterval = \"50ms\"\nquiet_after = \"300ms\""
    );
    let source = atlas(&api, "access_history", DIGEST, &more);
    let text = format!(
        "data_dir = \"state\"\n[sources.api]\n{source}\n[sources.alerts]\ntype = \"alerts\"\n\
         [sinks.out]\ntype = \"file\"\ninputs = [\"api\"]\npath = \"out.ndjson\"\n\
         [sinks.pager]\ntype = \"file\"\ninputs = [\"alerts\"]\npath = \"alerts.ndjson\"\n"
    );
    workspace.write("pipeline.toml", text);
    let mut child = workspace.start(&["run", "pipeline.toml"], "log");
    workspace.wait_for_lines("out.ndjson", 10);
    workspace.wait_for_text("alerts.ndjson", "\"quiet\"");
    let alerts = workspace.read("alerts.ndjson");
    assert!(alerts.contains("\"window_overflow\",\"severity\":\"critical\""), "{alerts}");
    rustix_terminate(&child);
    assert!(child.wait().unwrap().success());
}

#[test]
fn every_documented_parameter_is_asked_for() {
    let api = FakeApi::start_thread(free(Config { auth: digest(), ..Config::default() })).unwrap();
    api.clock().advance(Duration::from_mins(5));
    let project = api.projects()[0].clone();
    let runs = [
        (
            "organization_events",
            "event_types = [\"JOINED_ORG\", \"API_KEY_CREATED\"]\ninclude_raw = false".to_owned(),
            vec!["eventType=JOINED_ORG&eventType=API_KEY_CREATED", "includeRaw=false", "itemsPerPage=500"],
        ),
        (
            "project_events",
            format!(
                "projects = [\"{project}\"]\nclusters = [\"Cluster0\"]\nexcluded_event_types = [\"JOINED_GROUP\"]"
            ),
            vec!["clusterNames=Cluster0", "excludedEventType=JOINED_GROUP"],
        ),
        (
            "access_history",
            format!(
                "projects = [\"{project}\"]\nclusters = [\"Cluster0\"]\nip_address = \"192.0.2.1\"\nauth_result = false"
            ),
            vec!["/clusters/Cluster0", "ipAddress=192.0.2.1", "authResult=false", "nLogs=20000"],
        ),
    ];
    for (stream, more, expected) in runs {
        let workspace = Workspace::new();
        let start = (api.clock().now() - chrono::Duration::hours(3)).to_rfc3339();
        pipeline(&workspace, &atlas(&api, stream, DIGEST, &format!("start = \"{start}\"\n{more}")));
        let before = api.log().len();
        workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
        let asked: Vec<String> = api.log()[before..].iter().map(|logged| logged.target.clone()).collect();
        for part in expected {
            assert!(asked.iter().any(|target| target.contains(part)), "{stream}: {part} in {asked:?}");
        }
    }
}
