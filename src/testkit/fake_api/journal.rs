//! What was asked: counters per endpoint and status, and the last requests.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};

use super::{Endpoint, Fault};

/// How a request showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthKind {
    /// No `Authorization`.
    None,
    /// HTTP Digest.
    Digest,
    /// A bearer token or API key.
    Bearer,
    /// HTTP Basic, as the token endpoint takes it.
    Basic,
    /// Something else.
    Other,
}

impl AuthKind {
    pub(super) fn of(header: Option<&str>) -> Self {
        let scheme = header.map(|header| header.split(' ').next().unwrap_or_default().to_ascii_lowercase());
        match scheme.as_deref() {
            None => AuthKind::None,
            Some("digest") => AuthKind::Digest,
            Some("bearer") => AuthKind::Bearer,
            Some("basic") => AuthKind::Basic,
            Some(_) => AuthKind::Other,
        }
    }
}

/// A request of the log.
#[derive(Debug, Clone)]
pub struct Logged {
    /// When it came, by the server's clock.
    pub at: DateTime<Utc>,
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// What it was for.
    pub endpoint: Endpoint,
    /// The answer's status; 0 if the connection was cut before it.
    pub status: u16,
    /// How it showed who it is.
    pub auth: AuthKind,
    /// What went wrong on purpose.
    pub fault: Option<Fault>,
}

/// Numbers of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests(BTreeMap<(Endpoint, u16), u64>);

impl Requests {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Those to an endpoint.
    pub fn endpoint(&self, endpoint: Endpoint) -> u64 {
        self.0.iter().filter(|((at, _), _)| *at == endpoint).map(|(_, count)| count).sum()
    }

    /// Those answered with a status; 0 stands for a connection cut before the answer.
    pub fn status(&self, status: u16) -> u64 {
        self.0.iter().filter(|((_, with), _)| *with == status).map(|(_, count)| count).sum()
    }

    /// Those to an endpoint that were answered with a status.
    pub fn get(&self, endpoint: Endpoint, status: u16) -> u64 {
        self.0.get(&(endpoint, status)).copied().unwrap_or(0)
    }

    /// Endpoint, status and number, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Endpoint, u16, u64)> {
        self.0.iter().map(|((endpoint, status), count)| (*endpoint, *status, *count))
    }
}

/// The counters and the bounded log.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) requests: Requests,
    pub(super) log: VecDeque<Logged>,
}

impl Journal {
    pub(super) fn note(&mut self, logged: Logged, capacity: usize) {
        *self.requests.0.entry((logged.endpoint, logged.status)).or_default() += 1;
        while !self.log.is_empty() && self.log.len() >= capacity {
            self.log.pop_front();
        }
        if capacity > 0 {
            self.log.push_back(logged);
        }
    }
}
