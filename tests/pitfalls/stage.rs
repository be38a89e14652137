//! Where scenarios are played: a fake API, who pulls from it, and what became of the records.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jaquard::testkit::fake_api::{
    self, AtlasOptions, Auth, Config, Digest, FakeApi, Partition, RateLimits, ServiceAccount,
};
use serde_json::Value;

use crate::puller::{Policy, Puller, ask};
use crate::support::Workspace;

pub(crate) const KEY: (&str, &str) = ("abcdefgh", "hidden-private-key");
pub(crate) const ACCOUNT: (&str, &str) = ("mdb_sa_id_1", "hidden-client-secret");

/// Records of one answer of the access history.
pub(crate) const MOST_LOGS: usize = 40;

/// When all streams begin: a day and a half before the server's clock.
pub(crate) fn start() -> DateTime<Utc> {
    "2025-06-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stream {
    Organization,
    Projects,
    Access,
    Atlassian,
    /// A host's audit log, as files.
    Log,
}

/// No records, no limits, no login, and a clock that stands still.
pub(crate) fn empty() -> Config {
    Config {
        projects: 1,
        hosts_per_project: 1,
        organization_events: 0,
        project_events: 0,
        access_records: 0,
        atlassian_events: 0,
        before: Duration::from_hours(12),
        clock: fake_api::Clock::stopped(),
        limits: RateLimits::off(),
        atlas: AtlasOptions { max_logs: MOST_LOGS, twins: 0, ..AtlasOptions::default() },
        ..Config::default()
    }
}

pub(crate) fn digest() -> Auth {
    Auth::Digest(Digest { public: KEY.0.into(), private: KEY.1.into(), ..Digest::default() })
}

pub(crate) fn account() -> Auth {
    Auth::ServiceAccount(ServiceAccount {
        client_id: ACCOUNT.0.into(),
        secret: ACCOUNT.1.into(),
        ..ServiceAccount::default()
    })
}

/// What became of the records.
#[derive(Debug, Default)]
pub(crate) struct Conservation {
    /// Delivered less often than they are there.
    pub(crate) lost: BTreeSet<String>,
    /// Delivered more often than they are there.
    pub(crate) repeated: BTreeSet<String>,
}

/// Holds what was delivered against what is there.
pub(crate) fn conservation(truth: Vec<Value>, delivered: Vec<Value>) -> Conservation {
    let mut balance: BTreeMap<String, i64> = BTreeMap::new();
    truth.into_iter().for_each(|record| *balance.entry(record.to_string()).or_default() -= 1);
    delivered.into_iter().for_each(|record| *balance.entry(record.to_string()).or_default() += 1);
    let of = |is_meant: fn(i64) -> bool| {
        balance.iter().filter(|(_, n)| is_meant(**n)).map(|(record, _)| record.clone()).collect()
    };
    Conservation { lost: of(|n| n < 0), repeated: of(|n| n > 0) }
}

/// A server and the stream that is pulled from it.
pub(crate) struct Stage {
    pub(crate) api: FakeApi,
    pub(crate) stream: Stream,
    relay: Option<Relay>,
}

impl Stage {
    pub(crate) fn new(config: Config, stream: Stream) -> Self {
        let api = FakeApi::start_thread(config).unwrap();
        let relay = (stream == Stream::Access).then(|| Relay::start(api.url()));
        Stage { api, stream, relay }
    }

    pub(crate) fn url(&self) -> &str {
        self.relay.as_ref().map_or(self.api.url(), |relay| &relay.url)
    }

    /// The partitions of the stream.
    pub(crate) fn partitions(&self) -> Vec<Partition> {
        let is_meant = |partition: &Partition| {
            matches!(
                (self.stream, partition),
                (Stream::Organization, Partition::Organization)
                    | (Stream::Projects, Partition::Project(_))
                    | (Stream::Access | Stream::Log, Partition::Host { .. })
                    | (Stream::Atlassian, Partition::Atlassian)
            )
        };
        self.api.partitions().into_iter().filter(is_meant).collect()
    }

    /// Adds events to the first partition, so many seconds before the server's time.
    pub(crate) fn happened(&self, seconds_ago: &[f64]) {
        let now = self.api.clock().now();
        let at = |ago: &f64| now - TimeDelta::microseconds((ago * 1e6) as i64);
        self.api.add_events(&self.partitions()[0], &seconds_ago.iter().map(at).collect::<Vec<_>>());
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.api.clock().advance(by);
    }

    /// Whether discovery says that there are no hosts.
    pub(crate) fn hide_hosts(&self, hidden: bool) {
        self.relay.as_ref().unwrap().hides_hosts.store(hidden, Ordering::Release);
    }

    fn host(&self) -> (String, String) {
        match self.partitions().swap_remove(0) {
            Partition::Host { project, host } => (project, host),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn log_path(&self) -> String {
        let (project, host) = self.host();
        let host = host.trim_end_matches(":27017");
        format!("/api/atlas/v2/groups/{project}/clusters/{host}/logs/mongodb-audit-log.gz")
    }

    fn truth(&self) -> Vec<Value> {
        let read = |text: &[u8]| serde_json::from_slice(text).unwrap();
        if self.stream == Stream::Log {
            let (project, host) = self.host();
            let lines = self.api.log_lines(&project, &host, "mongodb-audit-log");
            return lines.iter().map(|line| read(line.as_bytes())).collect();
        }
        let partitions = self.partitions();
        partitions.iter().flat_map(|p| self.api.events(p)).map(|truth| read(&truth.record)).collect()
    }
}

/// A server before the server, which can hide the hosts.
struct Relay {
    url: String,
    hides_hosts: Arc<AtomicBool>,
}

impl Relay {
    fn start(to: &str) -> Relay {
        let (to, listener) = (to.to_owned(), TcpListener::bind("127.0.0.1:0").unwrap());
        let url = format!("http://{}", listener.local_addr().unwrap());
        let hides_hosts = Arc::<AtomicBool>::default();
        let hides = hides_hosts.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                // a connection on which nothing is asked must not keep the others waiting
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let Some(first) = lines.next() else { continue };
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let headers = head.iter().filter_map(|line| line.split_once(": "));
                let wanted = ["accept", "authorization"];
                let headers: Vec<_> =
                    headers.filter(|(name, _)| wanted.contains(&&*name.to_ascii_lowercase())).collect();
                let mut words = first.split(' ');
                let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
                let Ok(mut reply) = ask(&to, method, target, &headers, "") else { continue };
                if hides.load(Ordering::Acquire) && target.contains("/processes?") {
                    reply.body = br#"{"links":[],"results":[],"totalCount":0}"#.to_vec();
                }
                let header = |name| reply.headers.get(name).map_or("", String::as_str);
                // a client that is gone needs no answer
                let _ = write!(
                    stream,
                    "HTTP/1.1 {} .\r\ndate: {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    reply.status,
                    header("date"),
                    header("content-type"),
                    reply.body.len()
                );
                let _ = stream.write_all(&reply.body);
            }
        });
        Relay { url, hides_hosts }
    }
}

/// Who pulls.
pub(crate) trait Subject {
    /// Pulls what there is to be pulled.
    fn poll(&mut self);

    /// Ends and begins again.
    fn restart(&mut self) {}
}

impl Subject for Puller<'_> {
    fn poll(&mut self) {
        Puller::poll(self);
    }

    fn restart(&mut self) {
        Puller::restart(self);
    }
}

/// The real binary. Each poll is a process of its own.
pub(crate) struct Jaquard<'a> {
    stage: &'a Stage,
    pub(crate) workspace: Workspace,
}

impl<'a> Jaquard<'a> {
    pub(crate) fn new(stage: &'a Stage, options: &str) -> Self {
        let workspace = Workspace::new();
        let (api, url) = (&stage.api, stage.url());
        let auth = match api.config().auth {
            Auth::ServiceAccount(_) => format!(
                "{{ type = \"service_account\", client_id = \"{}\", client_secret = \"{}\" }}",
                ACCOUNT.0, ACCOUNT.1
            ),
            _ => format!("{{ type = \"digest\", public_key = \"{}\", private_key = \"{}\" }}", KEY.0, KEY.1),
        };
        let atlas = |stream: &str| {
            let organization = &api.config().organization;
            format!(
                "type = \"mongodb_atlas\"\nstream = \"{stream}\"\norganization = \"{organization}\"\nauth = {auth}"
            )
        };
        let source = match stage.stream {
            Stream::Organization => format!("{}\ninclude_raw = true", atlas("organization_events")),
            Stream::Projects => format!("{}\ninclude_raw = true", atlas("project_events")),
            Stream::Access => format!("{}\nrecords_per_request = {MOST_LOGS}", atlas("access_history")),
            Stream::Atlassian => format!(
                "type = \"atlassian\"\norganization = \"{}\"\nauth = {{ type = \"bearer\", token = \"hidden\" }}",
                api.config().atlassian_organization
            ),
            Stream::Log => format!(
                r#"type = "http_poll"
request = '''
{{
  url: "{}",
  headers: {{ accept: "application/vnd.atlas.2023-02-01+gzip" }},
  query: {{ startDate: (.window.start | to_epoch_ms / 1000), endDate: (.window.end | to_epoch_ms / 1000) }}
}}
'''
records = ".body[]"
codec = "ndjson"
window = {{ settle = "10m" }}"#,
                stage.log_path()
            ),
        };
        let start = start().to_rfc3339();
        workspace.write(
            "pipeline.toml",
            format!(
                "data_dir = \"state\"\n[sources.api]\n{source}\nbase_url = \"{url}\"\nstart = \"{start}\"\n{options}\n\
                 [sources.alerts]\ntype = \"alerts\"\n\
                 [sinks.out]\ntype = \"file\"\ninputs = [\"api\"]\npath = \"out.ndjson\"\n\
                 [sinks.pager]\ntype = \"file\"\ninputs = [\"alerts\"]\npath = \"alerts.ndjson\"\n"
            ),
        );
        Jaquard { stage, workspace }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        Outcome::new(self.stage, self.read("out.ndjson"), self.read("alerts.ndjson").len())
    }

    fn read(&self, name: &str) -> Vec<Value> {
        if !self.workspace.path(name).exists() {
            return Vec::new();
        }
        let lines = self.workspace.lines(name);
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Subject for Jaquard<'_> {
    fn poll(&mut self) {
        let run = self.workspace.run(&["run", "--once", "pipeline.toml"]);
        // 74: something could not be had, as scenarios mean it to be
        assert!(matches!(run.code, Some(0 | 74)), "{:?}: {}", self.stage.stream, run.stderr);
    }
}

/// What was seen of one who pulled.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) lost: BTreeSet<String>,
    pub(crate) repeated: BTreeSet<String>,
    pub(crate) violations: u64,
    pub(crate) token_requests: u64,
    pub(crate) alerts: usize,
}

impl Outcome {
    fn new(stage: &Stage, delivered: Vec<Value>, alerts: usize) -> Self {
        let Conservation { lost, repeated } = conservation(stage.truth(), delivered);
        let (violations, token_requests) = (stage.api.budget_violations(), stage.api.token_requests());
        Outcome { lost, repeated, violations, token_requests, alerts }
    }

    #[track_caller]
    pub(crate) fn assert_exact(&self, who: &str) {
        assert!(
            self.lost.is_empty() && self.repeated.is_empty(),
            "{who}: {} lost, {} repeated; one of them: {:?}",
            self.lost.len(),
            self.repeated.len(),
            self.lost.first().or(self.repeated.first())
        );
    }

    #[track_caller]
    pub(crate) fn assert_loses_only(&self) {
        assert!(
            !self.lost.is_empty() && self.repeated.is_empty(),
            "{} lost, {} repeated",
            self.lost.len(),
            self.repeated.len()
        );
    }

    #[track_caller]
    pub(crate) fn assert_repeats_only(&self) {
        assert!(
            self.lost.is_empty() && !self.repeated.is_empty(),
            "{} lost, {} repeated",
            self.lost.len(),
            self.repeated.len()
        );
    }
}

type Scenario<'a> = &'a dyn Fn(&Stage, &mut dyn Subject);

/// A scenario and where it is played.
pub(crate) struct Play<'a> {
    pub(crate) config: Config,
    pub(crate) stream: Stream,
    /// Options of jaquard's source.
    pub(crate) options: &'a str,
    pub(crate) scenario: Scenario<'a>,
}

impl Play<'_> {
    fn stage(&self) -> Stage {
        Stage::new(self.config.clone(), self.stream)
    }

    /// The scenario, and a last poll when everything has settled.
    fn play(&self, stage: &Stage, subject: &mut dyn Subject) {
        (self.scenario)(stage, subject);
        stage.advance(Duration::from_hours(24));
        subject.poll();
    }

    /// Plays it with a puller.
    pub(crate) fn puller(&self, policy: Policy) -> Outcome {
        let stage = self.stage();
        let mut puller = Puller::new(&stage, policy);
        self.play(&stage, &mut puller);
        Outcome::new(&stage, std::mem::take(&mut puller.out), puller.alerts)
    }

    /// Plays it with jaquard, which has to be exact.
    #[track_caller]
    pub(crate) fn jaquard(&self) -> Outcome {
        let stage = self.stage();
        let mut jaquard = Jaquard::new(&stage, self.options);
        self.play(&stage, &mut jaquard);
        let outcome = jaquard.outcome();
        outcome.assert_exact("jaquard");
        outcome
    }

    /// Plays it with jaquard and with the puller without its mistake, which both have to be exact: it
    /// is the mistake and nothing else that makes the difference. Yields what the mistake does.
    #[track_caller]
    pub(crate) fn contrast(&self, right: &Policy, wrong: Policy) -> Outcome {
        self.puller(right.clone()).assert_exact("the puller without the mistake");
        self.jaquard();
        self.puller(wrong)
    }
}
