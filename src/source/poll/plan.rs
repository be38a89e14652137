//! What to poll and how, checked: the form that `http_poll` and the vendors' sources share.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::window::Windows;
use crate::config::{self, Start};
use crate::http::ClientOptions;
use crate::http::auth::Auth;
use crate::http::transport::Wire;
use crate::jq::{Limits, Program};

/// A polled source, ready to be built.
#[derive(Debug, Clone)]
pub(in crate::source) struct Plan {
    /// What the events' ids and `$meta.origin.stream` begin with.
    pub(in crate::source) stream: Arc<str>,
    /// How a page is asked for and read.
    pub(in crate::source) pull: Pull,
    /// How the parts of the stream are found.
    pub(in crate::source) partitions: Option<Partitions>,
    /// `$args`.
    pub(in crate::source) args: Value,
    /// Where a partition begins that has no cursor.
    pub(in crate::source) start: Option<Start>,
    /// What `"all"` means, for an API that has a first day.
    pub(in crate::source) earliest: i64,
    /// Between the end of a poll and the next.
    pub(in crate::source) interval: Duration,
    /// How time is cut, if the API is asked for spans of it.
    pub(in crate::source) windows: Option<Windows>,
    /// Emit what has changed since it was delivered last.
    pub(in crate::source) snapshot: bool,
    /// How long ids are kept without windows.
    pub(in crate::source) remember: Duration,
    /// What stands before relative URLs.
    pub(in crate::source) base: Option<Url>,
    pub(in crate::source) auth: Option<Auth>,
    pub(in crate::source) client: ClientOptions,
    pub(in crate::source) rate_limit: Option<RateLimit>,
    /// Partitions that are polled at the same time.
    pub(in crate::source) concurrency: usize,
    /// No events for this long is worth an alert.
    pub(in crate::source) quiet_after: Option<Duration>,
    /// Bounds of the programs.
    pub(in crate::source) limits: Limits,
    /// What to check when the server answers with a status.
    pub(in crate::source) hints: Vec<Hint>,
}

impl Plan {
    /// The plan over a wire. What is recorded or played back asks for one thing after the other, so that it asks
    /// for the same again; a recording has no limits to keep.
    pub(super) fn over(self: &Arc<Self>, wire: &Wire) -> Arc<Plan> {
        match wire {
            Wire::Live => self.clone(),
            Wire::Through(_) => Arc::new(Plan { concurrency: 1, ..(**self).clone() }),
            Wire::Played(_) => Arc::new(Plan { concurrency: 1, rate_limit: None, ..(**self).clone() }),
        }
    }
}

/// How the pages of one resource are asked for and read.
#[derive(Debug, Clone)]
pub(in crate::source) struct Pull {
    pub(in crate::source) request: Spread,
    pub(in crate::source) codec: Codec,
    pub(in crate::source) records: Code,
    pub(in crate::source) next: Option<Code>,
    pub(in crate::source) id: Option<Code>,
    pub(in crate::source) state: Option<Code>,
    pub(in crate::source) overflow: Option<Code>,
}

/// The first request of a turn.
#[derive(Debug, Clone)]
pub(in crate::source) enum Spread {
    /// A program yields it.
    Program(Code),
    /// It is always the same.
    Fixed(Box<Fixed>),
}

/// A request that is always the same.
#[derive(Debug, Clone)]
pub(in crate::source) struct Fixed {
    pub(in crate::source) method: Method,
    pub(in crate::source) url: String,
    pub(in crate::source) headers: HeaderMap,
    pub(in crate::source) query: Map<String, Value>,
    pub(in crate::source) body: Option<Value>,
}

/// A compiled program and what to call it in an error.
#[derive(Debug, Clone)]
pub(in crate::source) struct Code {
    pub(in crate::source) program: Arc<Program>,
    pub(in crate::source) name: &'static str,
}

/// How partitions are found.
#[derive(Debug, Clone)]
pub(in crate::source) struct Partitions {
    /// What the first request is made for: descriptions that are known beforehand.
    pub(in crate::source) roots: Vec<Value>,
    /// Each is asked once for every description of the one before; its `records` yield
    /// descriptions.
    pub(in crate::source) levels: Vec<Pull>,
    /// From a description to its id.
    pub(in crate::source) id: Code,
    /// Between two discoveries.
    pub(in crate::source) interval: Duration,
}

/// How many requests may be sent.
#[derive(Debug, Clone, Copy)]
pub(in crate::source) struct RateLimit {
    pub(in crate::source) burst: u32,
    pub(in crate::source) requests: u32,
    pub(in crate::source) per: Duration,
    pub(in crate::source) scope: RateScope,
}

/// What the server counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::source) enum RateScope {
    /// All requests of the source.
    #[default]
    Source,
    /// The requests of each partition, or of all whose descriptions have the same `group`.
    Partition,
}

/// How the body of a response is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::source) enum Codec {
    /// By its content type and its first bytes; a gzip file is unpacked.
    #[default]
    Auto,
    /// One JSON value.
    Json,
    /// A JSON value a line: `.body` is the list of them. A line that is no JSON is a dead letter.
    Ndjson,
    /// Text: `.body` is a string.
    Text,
}

/// Spans of time that the API is asked for.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::source) struct WindowOptions {
    /// The length of a window. Windows over a time with little in it get longer by themselves.
    #[serde(default = "WindowOptions::length")]
    pub(in crate::source) length: config::Duration,
    /// How far a window reaches back into the one before it, for events that the server shows late.
    #[serde(default = "WindowOptions::overlap")]
    pub(in crate::source) overlap: config::Duration,
    /// How far behind the server's clock a window ends.
    #[serde(default = "WindowOptions::settle")]
    pub(in crate::source) settle: config::Duration,
}

impl WindowOptions {
    fn length() -> config::Duration {
        config::Duration::from_secs(3600)
    }

    fn overlap() -> config::Duration {
        config::Duration::from_secs(600)
    }

    fn settle() -> config::Duration {
        config::Duration::from_secs(60)
    }

    pub(in crate::source) fn windows(self) -> Windows {
        Windows::new(self.length.into(), self.overlap.into(), self.settle.into())
    }
}

impl Default for WindowOptions {
    fn default() -> Self {
        WindowOptions { length: Self::length(), overlap: Self::overlap(), settle: Self::settle() }
    }
}

/// What a status means with a vendor, and what to check.
#[derive(Debug, Clone)]
pub(in crate::source) struct Hint {
    pub(in crate::source) status: u16,
    pub(in crate::source) text: String,
}

impl Plan {
    /// Everything that no message may show: the login, its encoded form, and arguments that are named
    /// like secrets.
    pub(super) fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        if let Some(auth) = &self.auth {
            secrets.extend(auth.secrets().iter().map(|secret| secret.reveal().to_owned()));
            secrets.extend(auth.encoded());
        }
        let named = self.args.as_object().into_iter().flatten();
        let named = named.filter(|(name, _)| config::is_secret_name(name));
        secrets.extend(named.filter_map(|(_, value)| value.as_str().map(str::to_owned)));
        secrets.retain(|secret| secret.len() >= 4);
        secrets
    }

    /// What to check when the server answers with a status that no retry mends.
    pub(super) fn hint(&self, status: u16) -> String {
        if let Some(hint) = self.hints.iter().find(|hint| hint.status == status) {
            return hint.text.clone();
        }
        let text = match status {
            400 => "the server does not understand the request: look at `request` and `query`",
            401 => "check the login: has the key or secret expired, is it the right one?",
            403 => "the login is known but may not do this: check its role and any IP access list",
            404 => "check the URL, and that what it names exists and can be seen with this login",
            406 => "the server does not have the version that the `Accept` header asks for",
            410 => "this version of the API is gone: ask for a newer one in the `Accept` header",
            _ => "the server refuses the request",
        };
        text.to_owned()
    }
}
