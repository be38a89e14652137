//! Playing back.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;

use super::CassetteError;
use super::compare::{Shape, clipped};
use super::exchange::{Body, Exchange, header_map, read};
use super::recorder::{is_limit, login_of};
use super::redact::Redactor;
use crate::http::headers::server_time;
use crate::http::transport::{Transport, Wire};
use crate::http::{HttpError, Request, Response};

/// Differences that a message names.
const MAX_PARTS: usize = 6;

/// A transport that answers from a cassette and opens no connection.
///
/// The answer to a request is that of the first recorded one that is equal and was not given before: in
/// method, URL and body, the query and a form as sets, JSON as values. Headers do not count, logins
/// neither; where several are equal, one recorded with a login goes to a request with one, so that no
/// challenge meets a client that has signed already. A placeholder in the cassette stands for any text.
///
/// A request without an answer is [`HttpError::Unusable`], which names the nearest recorded one.
pub struct Player {
    path: PathBuf,
    entries: Vec<Entry>,
    ignored: Vec<String>,
    repeats: bool,
    state: Mutex<State>,
}

/// An exchange that can be given.
struct Entry {
    line: usize,
    url: String,
    shape: Shape,
    answer: Result<(u16, HeaderMap, Bytes), HttpError>,
}

#[derive(Default)]
struct State {
    /// Per entry: whether it was given.
    given: Vec<bool>,
    asked: Vec<Asked>,
}

/// A request that a player got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The URL; what its query holds under the name of a secret is redacted.
    pub url: String,
    /// The line of the exchange that was the answer, if there was one.
    pub line: Option<usize>,
}

/// A recorded exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its first line in the cassette.
    pub line: usize,
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (line {})", self.method, self.url, self.line)
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player")
            .field("path", &self.path)
            .field("exchanges", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl Player {
    /// Reads a cassette. Blocks.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CassetteError> {
        let path = path.as_ref();
        let text = std::fs::read(path).map_err(|error| CassetteError::Io {
            action: "read",
            path: path.to_owned(),
            error,
        })?;
        let text = String::from_utf8(text).map_err(|error| {
            let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = 1 + memchr::memchr_iter(b'\n', before).count();
            CassetteError::Damaged { path: path.to_owned(), line, reason: "this is not UTF-8".to_owned() }
        })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a cassette; `path` is for messages.
    pub fn parse(path: impl AsRef<Path>, text: &str) -> Result<Self, CassetteError> {
        let path = path.as_ref().to_owned();
        let damaged = |(line, reason)| CassetteError::Damaged { path: path.clone(), line, reason };
        let found = read(text).map_err(damaged)?;
        let entries = found
            .into_iter()
            .map(|(line, exchange)| Entry::new(line, exchange).map_err(|reason| (line, reason)));
        let entries: Vec<Entry> = entries.collect::<Result<_, _>>().map_err(damaged)?;
        let state = State { given: vec![false; entries.len()], asked: Vec::new() };
        Ok(Player { path, entries, ignored: Vec::new(), repeats: false, state: Mutex::new(state) })
    }

    /// Ignores members of these names in queries, forms and JSON bodies, as for times. A request that is
    /// equal in them, too, still comes first.
    #[must_use]
    pub fn ignoring<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.ignored.extend(names.into_iter().map(Into::into));
        self
    }

    /// Gives the last answer to a request again and again, instead of an error.
    #[must_use]
    pub fn repeating(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// The player in the place of a source's wire. Answers say nothing of limits, and nobody waits for them.
    pub fn wire(self: &Arc<Self>) -> Wire {
        let player = self.clone();
        Wire::Played(Arc::new(move |_| Ok(Arc::new(Unhurried(player.clone())))))
    }

    /// The recorded exchanges that were not asked for so far.
    pub fn unused(&self) -> Vec<Recorded> {
        let state = self.state();
        let open = self.entries.iter().zip(&state.given).filter(|(_, given)| !**given);
        open.map(|(entry, _)| entry.recorded()).collect()
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry that answers, or why none does.
    fn find(&self, asked: &Shape, shown: &str, given: &[bool]) -> Result<usize, String> {
        let path = self.path.display();
        let met: Vec<usize> = (0..self.entries.len())
            .filter(|at| self.entries[*at].shape.is_met_by(asked, &self.ignored))
            .collect();
        let rank = |at: usize| {
            let shape = &self.entries[at].shape;
            let is_exact = self.ignored.is_empty() || shape.is_met_by(asked, &[]);
            (!is_exact, shape.is_signed != asked.is_signed)
        };
        let open = met.iter().copied().filter(|at| !given[*at]).min_by_key(|at| (rank(*at), *at));
        if let Some(at) = open {
            return Ok(at);
        }
        if let Some(last) = met.iter().copied().min_by_key(|at| (rank(*at), std::cmp::Reverse(*at))) {
            if self.repeats {
                return Ok(last);
            }
            let line = self.entries[last].line;
            let count = match met.len() {
                1 => "the answer was given already".to_owned(),
                count => format!("all {count} answers were given already"),
            };
            return Err(format!(
                "the cassette {path} has no further answer to {shown}: {count} (the last in line {line})"
            ));
        }
        let apart = self.entries.iter().map(|entry| (entry, entry.shape.difference(asked, &self.ignored)));
        let Some((nearest, difference)) = apart.min_by_key(|(_, difference)| difference.distance) else {
            return Err(format!("the cassette {path} has no answer to {shown}: it is empty"));
        };
        let mut parts = difference.parts;
        if parts.len() > MAX_PARTS {
            let more = parts.len() - MAX_PARTS;
            parts.truncate(MAX_PARTS);
            parts.push(format!("and {more} more"));
        }
        let nearest = nearest.recorded();
        Err(format!(
            "the cassette {path} has no answer to {shown}; nearest is {nearest}: {}",
            parts.join("; ")
        ))
    }
}

impl Entry {
    fn new(line: usize, exchange: Exchange) -> Result<Self, String> {
        let request = exchange.request;
        let headers = header_map(&request.headers)?;
        let body = request.body.as_ref().map(Body::bytes).transpose()?.unwrap_or_default();
        let shape = Shape::new(&request.method, &request.url, &headers, &body, request.login.is_some());
        let answer = match (exchange.response, exchange.error) {
            (Some(response), None) => {
                let body = response.body.as_ref().map(Body::bytes).transpose()?.unwrap_or_default();
                Ok((response.status, header_map(&response.headers)?, body))
            }
            (None, Some(error)) => Err(error.to_error()?),
            _ => return Err("an exchange has either `response` or `error`".to_owned()),
        };
        Ok(Entry { line, url: request.url, shape, answer })
    }

    fn recorded(&self) -> Recorded {
        Recorded { line: self.line, method: self.shape.method.clone(), url: self.url.clone() }
    }
}

#[async_trait]
impl Transport for Player {
    /// The recorded answer, or the recorded error. It came when its `Date` says, if it has one.
    async fn execute(&self, request: &Request) -> Result<Response, HttpError> {
        let mut url = request.url.clone();
        // fails for URLs that cannot have a user
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        let body = request.body.as_deref().unwrap_or_default();
        let is_signed = login_of(request).is_some();
        let asked = Shape::new(request.method.as_str(), url.as_str(), &request.headers, body, is_signed);
        // placeholders of a recording stay, everything else under a secret's name goes
        let shown = Redactor::default().url(&url);
        let message = format!("{} {}", request.method, clipped(&shown));
        let mut state = self.state();
        let found = self.find(&asked, &message, &state.given);
        let line = found.as_ref().ok().map(|at| self.entries[*at].line);
        state.asked.push(Asked { method: request.method.to_string(), url: shown, line });
        let at = found.map_err(HttpError::Unusable)?;
        state.given[at] = true;
        drop(state);
        let (status, headers, body) = self.entries[at].answer.clone()?;
        let received_at = server_time(&headers).unwrap_or_else(SystemTime::now);
        Ok(Response { status, headers, body, url: request.url.clone(), received_at })
    }
}

/// A player whose answers ask for no patience.
struct Unhurried(Arc<Player>);

#[async_trait]
impl Transport for Unhurried {
    async fn execute(&self, request: &Request) -> Result<Response, HttpError> {
        let mut response = self.0.execute(request).await?;
        let limits: Vec<_> =
            response.headers.keys().filter(|name| is_limit(name.as_str())).cloned().collect();
        for name in limits {
            response.headers.remove(name);
        }
        Ok(response)
    }
}
