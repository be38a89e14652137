//! Pulling at full speed: the whole binary against the fake Atlas API, beside a client that asks for the
//! same pages on one connection and throws them away.
//!
//! ```text
//! cargo bench --bench pull
//! ```
//!
//! Once against a server that answers at once, which measures how much work a page is, and once against
//! one that takes 20 ms for an answer, still much less than a real one does. The client beside it is
//! measured twice: it throws pages away unread, or reads them as JSON to find the next one, as any
//! client of this API has to.
//!
//! Then: what a thousand partitions cost that are polled each minute.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jaquard::http::transport::Wire;
use jaquard::http::{Client, ClientOptions, Request};
use jaquard::testkit::fake_api::{Clock, Config, FakeApi, Faults, RateLimits, RateSet};

const EVENTS: usize = 100_000;
const ROUNDS: usize = 3;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    full_speed(folder.path(), Duration::ZERO);
    full_speed(folder.path(), Duration::from_millis(20));
    many_partitions(folder.path());
}

fn full_speed(folder: &Path, delay: Duration) {
    let slow = if delay.is_zero() { 0.0 } else { 1.0 };
    let api = FakeApi::start_thread(Config {
        faults: Faults { slow, slow_by: delay, ..Faults::default() },
        organization_events: EVENTS,
        projects: 0,
        // a limit that is told but never reached
        limits: RateLimits::off().with(RateSet::OrganizationEvents, 10_000_000, 10_000_000),
        clock: Clock::stopped(),
        ..Config::default()
    })
    .unwrap();
    api.clock().advance(Duration::from_mins(5));
    let began = api.clock().now() - chrono::Duration::days(8);
    let source = format!(
        "organization = \"{}\"\nstream = \"organization_events\"\nstart = \"{}\"\n",
        api.config().organization,
        began.to_rfc3339()
    );
    let mut best = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let pages = plain(&api, false);
        best.0 = best.0.min(started.elapsed().as_secs_f64());
        let started = Instant::now();
        assert_eq!(plain(&api, true), pages);
        best.2 = best.2.min(started.elapsed().as_secs_f64());

        let pipeline = write_pipeline(folder, &api, &source);
        let started = Instant::now();
        let status = jaquard(&["run", "--once", "--fresh", &pipeline]).status().unwrap();
        assert!(status.success());
        best.1 = best.1.min(started.elapsed().as_secs_f64());
        let lines = fs::read(folder.join("out.ndjson")).unwrap().split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(lines, EVENTS);
        fs::remove_file(folder.join("out.ndjson")).unwrap();
    }
    println!(
        "{EVENTS} events, {delay:?} an answer: client that reads nothing {:.2} s, client that reads JSON {:.2} s, jaquard {:.2} s: {:.2} and {:.2} of their speed",
        best.0,
        best.2,
        best.1,
        best.0 / best.1,
        best.2 / best.1
    );
}

/// Asks for all pages on one connection, one after the other.
fn plain(api: &FakeApi, reads: bool) -> u32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = ClientOptions {
        timeout: Duration::from_mins(1),
        max_body: 64 << 20,
        ca_file: None,
        client_certificate: None,
        proxy: None,
    };
    let client = Client::over(Wire::Live.transport(&options).unwrap(), None, None, None).unwrap();
    let base = format!(
        "{}/api/atlas/v2/orgs/{}/events?itemsPerPage=500&includeCount=false",
        api.url(),
        api.config().organization
    );
    runtime.block_on(async {
        let mut page = 0;
        loop {
            page += 1;
            let url = format!("{base}&pageNum={page}").parse().unwrap();
            let mut request = Request::new(http::Method::GET, url);
            let accept = "application/vnd.atlas.2023-01-01+json".parse().unwrap();
            request.headers.insert(http::header::ACCEPT, accept);
            let response = client.send(&request, "").await.unwrap();
            assert_eq!(response.status, 200);
            let has_next = if reads {
                let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
                body["links"].as_array().unwrap().iter().any(|link| link["rel"] == "next")
            } else {
                memchr::memmem::find(&response.body, b"\"next\"").is_some()
            };
            if !has_next {
                return page;
            }
        }
    })
}

fn many_partitions(folder: &Path) {
    const PARTITIONS: usize = 1_000;
    const FOR: Duration = Duration::from_mins(1);
    let api = FakeApi::start_thread(Config {
        projects: PARTITIONS,
        hosts_per_project: 0,
        organization_events: 0,
        project_events: 20,
        limits: RateLimits::off(),
        clock: Clock::live(),
        ..Config::default()
    })
    .unwrap();
    let source = format!(
        "organization = \"{}\"\nstream = \"project_events\"\nstart = \"now\"\ninterval = \"20s\"\n",
        api.config().organization
    );
    let pipeline = write_pipeline(folder, &api, &source);
    let mut child = jaquard(&["run", "--fresh", &pipeline]).spawn().unwrap();
    wait(Duration::from_secs(15));
    let (before, asked) = (cpu_of(child.id()), api.requests().total());
    wait(FOR);
    let (cpu, asked) = (cpu_of(child.id()) - before, api.requests().total() - asked);
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    child.kill().unwrap();
    child.wait().unwrap();
    println!(
        "{PARTITIONS} partitions: {asked} requests in {} s took {cpu:.2} s of CPU: {:.2} % of a core at one poll a minute each; {peak}",
        FOR.as_secs(),
        cpu / asked as f64 * PARTITIONS as f64 / 60.0 * 100.0
    );
}

#[expect(clippy::disallowed_methods, reason = "what is measured is what happens in a time")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// CPU seconds of a process so far.
fn cpu_of(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

fn write_pipeline(folder: &Path, api: &FakeApi, source: &str) -> String {
    let text = format!(
        "[sources.api]\ntype = \"mongodb_atlas\"\nbase_url = \"{}\"\nauth = {{ type = \"digest\", public_key = \"p\", private_key = \"k\" }}\n{source}\n[sinks.out]\ntype = \"file\"\ninputs = [\"api\"]\npath = \"out.ndjson\"\n",
        api.url()
    );
    let path = folder.join("pipeline.toml");
    fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

fn jaquard(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jaquard"));
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
