//! `http_poll`: any paged JSON API, described with jq.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, Method};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::poll::{
    Code, Codec, Fixed, Partitions, Plan, Polled, Pull, RateLimit, RateScope, Spread, WindowOptions,
};
use super::{Network, Source, SourceContext, SourceError, SourceFactory};
use crate::config::{self, Check, Component, Program, Size, Start};
use crate::http::ClientOptions;
use crate::http::auth::AuthOption;
use crate::jq::Limits;

/// What a response becomes without a `records` program.
const DEFAULT_RECORDS: &str = r#".body | if . == null then empty
  elif type == "array" then .[]
  elif type == "string" then error("the answer is text and no JSON") else . end"#;

/// Between two polls at the least.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// The id of a partition without an `id` program.
const DEFAULT_PARTITION: &str = "if type == \"object\" then .id else . end";

/// Pulls events from a paged HTTP API. All logic is jq; programs see `$window`, `$state`, `$page`,
/// `$now`, `$start`, `$partition` and `$args`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpPoll {
    /// Scheme and host of the API, which relative URLs are completed with.
    pub(super) base_url: Option<String>,
    /// What to ask for, if it is always the same. One of `url` and `request`.
    pub(super) url: Option<String>,
    /// Method of `url`.
    pub(super) method: Option<String>,
    /// Headers of `url`.
    #[serde(default)]
    pub(super) headers: Map<String, Value>,
    /// Members of the query of `url`; a list is a member several times.
    #[serde(default)]
    pub(super) query: Map<String, Value>,
    /// Body of `url`: text as it is, anything else as JSON.
    pub(super) body: Option<Value>,
    /// Program that yields the first request of a poll: `{url, method?, headers?, query?, body?}`. Its
    /// input is an object of all variables.
    pub(super) request: Option<Program>,
    /// Program from the response `{status, headers, body}` to the events in it.
    pub(super) records: Option<Program>,
    /// Program from the response to what comes after it: null (nothing), a URL, or a JSON merge patch
    /// of the request.
    pub(super) next: Option<Program>,
    /// Program from a record to its id. Without it, and where it yields null, the digest of the
    /// record; equal records of one response are counted.
    pub(super) id: Option<Program>,
    /// Program from the response to the next `$state`, which is recorded once the response's events
    /// are delivered.
    pub(super) state: Option<Program>,
    /// Program from the response to whether the window holds more than the API gives, so that it is
    /// halved and asked for again.
    pub(super) overflow: Option<Program>,
    /// Where a source begins that has no cursor: `"now"`, `"all"` or a time.
    pub(super) start: Option<Start>,
    /// Between the end of a poll and the next one.
    #[serde(default = "default_interval")]
    pub(super) interval: config::Duration,
    /// Ask for closed spans of time, `$window.start` to `$window.end`.
    pub(super) window: Option<WindowOptions>,
    /// The resource has no events but a content: emit it when it differs from what was delivered last.
    #[serde(default)]
    pub(super) snapshot: bool,
    /// Without windows: how long the id of a record is kept after it was seen last.
    #[serde(default = "default_remember")]
    pub(super) remember: config::Duration,
    /// Poll parts, each with a cursor of its own, that a request of its own discovers.
    pub(super) partitions: Option<PartitionOptions>,
    /// How requests are signed. Of a list a service account is taken, otherwise the first.
    pub(super) auth: Option<AuthOption>,
    /// How many requests may be sent.
    pub(super) rate_limit: Option<RateLimitOptions>,
    /// How bodies are read.
    #[serde(default)]
    pub(super) codec: Codec,
    /// The largest body, behind its compression.
    #[serde(default = "default_max_body")]
    pub(super) max_body: Size,
    /// The longest silence of the server within a request.
    #[serde(default = "default_timeout")]
    pub(super) timeout: config::Duration,
    /// A proxy. Without it that of the environment (`HTTPS_PROXY`, `NO_PROXY`).
    pub(super) proxy: Option<String>,
    /// Certificates.
    pub(super) tls: Option<TlsOptions>,
    /// Partitions that are polled at the same time.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 256))]
    pub(super) concurrency: usize,
    /// Raise an alert when no events have come for this long. Off under `--once`.
    #[serde(default = "default_quiet")]
    pub(super) quiet_after: config::Duration,
    /// Folders that are searched for modules, after the folder of the pipeline file.
    #[serde(default)]
    pub(super) library: Vec<PathBuf>,
    /// Becomes `$args` in the programs.
    #[serde(default)]
    pub(super) args: Map<String, Value>,
}

/// How partitions are found.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PartitionOptions {
    /// Program that yields the request.
    pub(super) request: Program,
    /// Program from the response to a description of each partition: `$partition` later.
    pub(super) records: Option<Program>,
    /// Program from a description to the id that the cursor is kept by. Without it the member `id`.
    pub(super) id: Option<Program>,
    /// Program from the response to what comes after it.
    pub(super) next: Option<Program>,
    /// Parts of each part: its programs see the description above it as `$partition`, and what its
    /// `records` yield is polled.
    pub(super) partitions: Option<LevelOptions>,
    /// Between two discoveries.
    #[serde(default = "default_discovery")]
    pub(super) interval: config::Duration,
}

/// How the parts of a part are found.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LevelOptions {
    /// Program that yields the request.
    pub(super) request: Program,
    /// Program from the response to a description of each partition.
    pub(super) records: Option<Program>,
    /// Program from the response to what comes after it.
    pub(super) next: Option<Program>,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RateLimitOptions {
    /// So many requests in a time, in the long run.
    #[schemars(range(min = 1))]
    pub(super) requests: u32,
    /// That time.
    #[serde(default = "default_per")]
    pub(super) per: config::Duration,
    /// So many at once, after a rest. As many as `requests` if not given.
    pub(super) burst: Option<u32>,
    /// What the server counts together.
    #[serde(default)]
    pub(super) scope: RateScope,
}

/// Certificates. The server's is always verified.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsOptions {
    /// Authorities to trust besides the system's, as PEM.
    pub(super) ca_file: Option<PathBuf>,
    /// Certificate of this client, as PEM.
    pub(super) certificate_file: Option<PathBuf>,
    /// Its key, as PEM.
    pub(super) key_file: Option<PathBuf>,
}

fn default_interval() -> config::Duration {
    config::Duration::from_secs(60)
}

fn default_remember() -> config::Duration {
    config::Duration::from_secs(24 * 3600)
}

fn default_max_body() -> Size {
    Size::mib(64)
}

fn default_timeout() -> config::Duration {
    config::Duration::from_secs(60)
}

fn default_concurrency() -> usize {
    4
}

fn default_quiet() -> config::Duration {
    config::Duration::from_secs(24 * 3600)
}

fn default_discovery() -> config::Duration {
    config::Duration::from_secs(600)
}

fn default_per() -> config::Duration {
    config::Duration::from_secs(60)
}

impl Component<dyn SourceFactory> for HttpPoll {
    const NAME: &'static str = "http_poll";
    const SUMMARY: &'static str = "Pulls events from a paged HTTP API: requests, pages, cursors and ids are jq programs; windows, partitions, logins and limits are settings.";
    const GUARANTEE: &'static str = "Durable cursor per partition, moved only when everything before it is delivered; ids of what was delivered are recorded in the same transaction, so pages that shift, bounds that overlap and restarts repeat nothing.";
    const EXAMPLE: &'static str = r#"[sources.audit]
type = "http_poll"
base_url = "https://api.example.com"
request = '{url: "/v1/audit", query: {from: .window.start, to: .window.end, size: 500}}'
records = '.body.items[]'
next = 'if .body.next_page then {query: {page: .body.next_page}} else null end'
id = '.id'
start = "2025-01-01T00:00:00Z"
window = { length = "1h", overlap = "10m", settle = "60s" }
auth = { type = "bearer", token = { env = "API_TOKEN" } }
rate_limit = { requests = 100, per = "60s" }
"#;

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn SourceFactory>> {
        let plan = self.plan(check, None)?;
        Some(Box::new(Ready(Arc::new(plan))))
    }
}

/// A checked source.
pub(super) struct Ready(pub(super) Arc<Plan>);

#[async_trait]
impl SourceFactory for Ready {
    fn build(&self, context: SourceContext) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(Polled::start(&self.0, context)?))
    }

    async fn probe(&self, context: SourceContext) -> Option<Result<String, String>> {
        Some(super::poll::probe(&self.0, context).await)
    }

    fn network(&self) -> Option<Network<'_>> {
        Some(Network { auth: self.0.auth.as_ref() })
    }
}

impl HttpPoll {
    /// Checks everything. `stream` names what is pulled where the source's own name would not do:
    /// events keep their ids when a source gets another name.
    pub(super) fn plan(self, check: &mut Check<'_>, stream: Option<&str>) -> Option<Plan> {
        let errors = check.diagnostics.len();
        if self.url.is_some() == self.request.is_some() {
            let help = "`url` for a request that is always the same, `request` for a program that makes it";
            check.error_here("give either `url` or `request`", Some(help.to_owned()));
        }
        if self.request.is_some() {
            let unused = [
                ("method", self.method.is_some()),
                ("headers", !self.headers.is_empty()),
                ("query", !self.query.is_empty()),
                ("body", self.body.is_some()),
            ];
            for (option, _) in unused.into_iter().filter(|(_, given)| *given) {
                let help = "let the program yield it: `{url, method, headers, query, body}`".to_owned();
                check.error(
                    option,
                    format!("`{option}` belongs to `url`, and there is a `request`"),
                    Some(help),
                );
            }
        }
        let is_relative = self.url.as_deref().is_some_and(|url| !url.contains("://"));
        if is_relative && self.base_url.is_none() {
            let help = "write the whole URL, or add `base_url = \"https://…\"`".to_owned();
            check.error("url", "a relative URL needs a `base_url`", Some(help));
        }
        if Duration::from(self.interval) < SHORTEST_INTERVAL {
            check.error("interval", "the interval is too short", Some("the least is 10ms".to_owned()));
        }
        if self.snapshot && self.window.is_some() {
            check.error("snapshot", "a snapshot has no windows", Some("take one of them away".to_owned()));
        }
        if self.start.is_none() && !self.snapshot && (self.window.is_some() || self.state.is_some()) {
            let help = "add `start = \"now\"`, `\"all\"` or a time: it decides what the first run brings";
            check.error_here("missing option `start`", Some(help.to_owned()));
        }
        if self.overflow.is_some() && self.window.is_none() {
            let help = "it halves windows; add `window = {}`".to_owned();
            check.error("overflow", "`overflow` works on windows only", Some(help));
        }
        let base = self.base(check);
        let auth = self.auth.as_ref().and_then(AuthOption::chosen).cloned();
        if let Some(problem) = auth.as_ref().and_then(crate::http::auth::Auth::problem) {
            check.error("auth", problem, None);
        }
        let auth = auth.map(|mut auth| {
            auth.resolve(check.folder);
            auth
        });
        let library: Vec<_> = self.library.iter().map(|folder| check.resolve(folder)).collect();
        let pull = self.pull(check, &library);
        let partitions = self.partitions.as_ref().map(|found| found.check(check, &library, self.codec));
        let client = self.client(check);
        let limits = self.limits(check);
        if check.diagnostics[errors..].iter().any(|found| found.severity == config::Severity::Error) {
            return None;
        }
        Some(Plan {
            stream: Arc::from(stream.unwrap_or(check.name)),
            pull: pull?,
            partitions: match partitions {
                Some(found) => Some(found?),
                None => None,
            },
            args: Value::Object(self.args.clone()),
            start: self.start,
            earliest: 0,
            interval: self.interval.into(),
            windows: self.window.map(WindowOptions::windows),
            snapshot: self.snapshot,
            remember: self.remember.into(),
            base,
            auth,
            client,
            rate_limit: self.rate_limit.map(|limit| RateLimit {
                burst: limit.burst.unwrap_or(limit.requests),
                requests: limit.requests,
                per: limit.per.into(),
                scope: limit.scope,
            }),
            concurrency: self.concurrency,
            quiet_after: Some(Duration::from(self.quiet_after))
                .filter(|after| !check.once && !after.is_zero()),
            limits,
            hints: Vec::new(),
        })
    }

    fn base(&self, check: &mut Check<'_>) -> Option<Url> {
        let text = self.base_url.as_ref()?;
        match Url::parse(text) {
            Ok(url)
                if matches!(url.scheme(), "http" | "https")
                    && url.host_str().is_some()
                    && url.path() == "/"
                    && url.query().is_none()
                    && url.username().is_empty() =>
            {
                Some(url)
            }
            _ => {
                let help = "write scheme and host: \"https://api.example.com\"".to_owned();
                check.error("base_url", "this is no base of URLs", Some(help));
                None
            }
        }
    }

    fn pull(&self, check: &mut Check<'_>, library: &[PathBuf]) -> Option<Pull> {
        let request = match &self.request {
            Some(program) => code(check, "request", program, library).map(Spread::Program),
            None => self.fixed(check),
        };
        let records = match &self.records {
            Some(program) => code(check, "records", program, library),
            None => code(check, "records", &Program(DEFAULT_RECORDS.to_owned()), library),
        };
        let mut optional = |name, program: &Option<Program>| match program {
            Some(program) => code(check, name, program, library).map(Some),
            None => Some(None),
        };
        let (next, id) = (optional("next", &self.next), optional("id", &self.id));
        let (state, overflow) = (optional("state", &self.state), optional("overflow", &self.overflow));
        Some(Pull {
            request: request?,
            codec: self.codec,
            records: records?,
            next: next?,
            id: id?,
            state: state?,
            overflow: overflow?,
        })
    }

    fn fixed(&self, check: &mut Check<'_>) -> Option<Spread> {
        let method = self.method.as_deref().unwrap_or("GET").to_ascii_uppercase();
        let Ok(method) = Method::from_bytes(method.as_bytes()) else {
            check.error("method", "this is no HTTP method", None);
            return None;
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match super::poll::header_of(name, &text) {
                Ok((name, value)) => drop(headers.insert(name, value)),
                Err(message) => check.error(&format!("headers/{name}"), message, None),
            }
        }
        let url = self.url.clone().unwrap_or_default();
        let fixed = Fixed { method, url, headers, query: self.query.clone(), body: self.body.clone() };
        Some(Spread::Fixed(Box::new(fixed)))
    }

    fn client(&self, check: &mut Check<'_>) -> ClientOptions {
        let tls = self.tls.clone().unwrap_or_default();
        for (option, path) in [
            ("tls/ca_file", &tls.ca_file),
            ("tls/certificate_file", &tls.certificate_file),
            ("tls/key_file", &tls.key_file),
        ] {
            let path = path.as_ref().map(|path| check.resolve(path));
            if let Some(path) = path.filter(|path| !path.is_file()) {
                check.error(option, format!("there is no file {}", path.display()), None);
            }
        }
        let client_certificate = match (&tls.certificate_file, &tls.key_file) {
            (Some(certificate), Some(key)) => Some((check.resolve(certificate), check.resolve(key))),
            (None, None) => None,
            _ => {
                let help = "a certificate of the client needs its key".to_owned();
                check.error("tls", "give both `certificate_file` and `key_file`", Some(help));
                None
            }
        };
        ClientOptions {
            timeout: self.timeout.into(),
            max_body: self.max_body.bytes(),
            ca_file: tls.ca_file.map(|path| check.resolve(&path)),
            client_certificate,
            proxy: self.proxy.clone(),
        }
    }

    /// Bounds sized to a response, unless the source has its own.
    fn limits(&self, check: &Check<'_>) -> Limits {
        let own = check.options.key(&format!("{}/limits", check.path)).is_some();
        if own {
            return check.limits.clone();
        }
        let sized = Size::new(self.max_body.bytes().saturating_mul(4));
        Limits {
            time: check.limits.time.max(config::Duration::from_secs(30)),
            steps: check.limits.steps.max(1_000_000_000),
            memory: check.limits.memory.max(sized),
            outputs: check.limits.outputs.max(1_000_000),
            output_bytes: check.limits.output_bytes.max(sized),
            ..check.limits.clone()
        }
    }
}

impl PartitionOptions {
    fn check(&self, check: &mut Check<'_>, library: &[PathBuf], codec: Codec) -> Option<Partitions> {
        let one =
            level(check, library, codec, PARTS, &self.request, self.records.as_ref(), self.next.as_ref());
        let two = self.partitions.as_ref().map(|below| {
            let (records, next) = (below.records.as_ref(), below.next.as_ref());
            level(check, library, codec, BELOW, &below.request, records, next)
        });
        let id = self.id.clone().unwrap_or_else(|| Program(DEFAULT_PARTITION.to_owned()));
        let id = code(check, "partitions/id", &id, library);
        let mut levels = vec![one?];
        if let Some(two) = two {
            levels.push(two?);
        }
        Some(Partitions { roots: Vec::new(), levels, id: id?, interval: self.interval.into() })
    }
}

/// Names of the programs of a level of discovery.
type Names = [&'static str; 3];

const PARTS: Names = ["partitions/request", "partitions/records", "partitions/next"];
const BELOW: Names =
    ["partitions/partitions/request", "partitions/partitions/records", "partitions/partitions/next"];

fn level(
    check: &mut Check<'_>,
    library: &[PathBuf],
    codec: Codec,
    names: Names,
    request: &Program,
    records: Option<&Program>,
    next: Option<&Program>,
) -> Option<Pull> {
    let request = code(check, names[0], request, library);
    let default = Program(DEFAULT_RECORDS.to_owned());
    let records = code(check, names[1], records.unwrap_or(&default), library);
    let next = match next {
        Some(program) => code(check, names[2], program, library).map(Some),
        None => Some(None),
    };
    Some(Pull {
        request: Spread::Program(request?),
        codec,
        records: records?,
        next: next?,
        id: None,
        state: None,
        overflow: None,
    })
}

fn code(check: &mut Check<'_>, option: &'static str, program: &Program, library: &[PathBuf]) -> Option<Code> {
    let program = check.program_given(option, &program.0, library, &super::poll::GIVEN)?;
    Some(Code { program, name: option })
}
