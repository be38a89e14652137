//! Recording.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, PROXY_AUTHORIZATION};
use serde_json::Value;

use super::CassetteError;
use super::exchange::{Answer, Body, Exchange, Failure, Layout, Sent, write};
use super::redact::Redactor;
use crate::http::auth::Auth;
use crate::http::transport::Transport;
use crate::http::{HttpError, Request, Response};

/// Headers of requests that are kept.
const REQUEST_HEADERS: [&str; 6] =
    ["accept", "content-type", "if-modified-since", "if-none-match", "prefer", "range"];

/// Headers of responses that are kept.
const RESPONSE_HEADERS: [&str; 12] = [
    "authentication-info",
    "content-range",
    "content-type",
    "date",
    "deprecation",
    "etag",
    "last-modified",
    "link",
    "location",
    "retry-after",
    "sunset",
    "www-authenticate",
];

/// Beginnings of the names of further ones.
const RESPONSE_HEADER_FAMILIES: [&str; 3] = ["ratelimit", "x-ratelimit-", "x-rate-limit-"];

/// Headers that are never kept, whoever asks for them.
const LOGIN_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];

/// A gzip file that unpacks to more is kept as it is.
const MAX_UNPACKED: u64 = 64 << 20;

/// Changes the body of a response before it is written down.
pub type BodyScrub = Arc<dyn Fn(Value) -> Value + Send + Sync>;

/// What must not be on a cassette, besides what never is.
#[derive(Clone, Default)]
pub struct Scrub {
    secrets: Vec<String>,
    members: Vec<String>,
    headers: Vec<String>,
    stand_ins: Vec<(String, String)>,
    body: Option<BodyScrub>,
}

impl std::fmt::Debug for Scrub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrub")
            .field("members", &self.members)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl Scrub {
    /// Nothing besides.
    pub fn new() -> Self {
        Scrub::default()
    }

    /// The secrets of a login.
    #[must_use]
    pub fn auth(self, auth: &Auth) -> Self {
        let secrets: Vec<String> = auth.secrets().iter().map(|secret| secret.reveal().to_owned()).collect();
        self.secrets(secrets)
    }

    /// Texts that are taken out wherever they stand, in any of their encodings.
    #[must_use]
    pub fn secrets<S: Into<String>>(mut self, secrets: impl IntoIterator<Item = S>) -> Self {
        self.secrets.extend(secrets.into_iter().map(Into::into));
        self
    }

    /// A name of members whose values are secret: in JSON, forms and queries; case and punctuation of the
    /// name do not matter.
    #[must_use]
    pub fn member(mut self, name: impl Into<String>) -> Self {
        self.members.push(name.into());
        self
    }

    /// A header of responses that is kept, too. Logins and cookies never are.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.headers.push(name.into().to_ascii_lowercase());
        self
    }

    /// Shows `shown` wherever `text` stands, in URLs, too: for the ids of a real account. `shown` does not
    /// contain `text`.
    #[must_use]
    pub fn stand_in(mut self, text: impl Into<String>, shown: impl Into<String>) -> Self {
        self.stand_ins.push((text.into(), shown.into()));
        self
    }

    /// Changes the body of every response: JSON as it is, other text as a string, which must stay one to
    /// count. It is not called for what is no text. What it gets has no secrets any more, and what it gives
    /// is searched again. Replaces one that was given before.
    ///
    /// It runs while the response waits, one at a time.
    #[must_use]
    pub fn body(mut self, scrub: BodyScrub) -> Self {
        self.body = Some(scrub);
        self
    }

    fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        self.secrets.iter().for_each(|secret| redactor.add_secret("secret", secret));
        self.members.iter().for_each(|name| redactor.add_name(name));
        self.stand_ins.iter().for_each(|(text, shown)| redactor.add_stand_in(text, shown));
        redactor
    }
}

/// A transport that notes what passes through it, and changes nothing.
pub struct Recorder {
    inner: Arc<dyn Transport>,
    tape: Tape,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("tape", &self.tape).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Puts a recorder before a transport. What is recorded is on the tape, to be saved at any time.
    ///
    /// An exchange is noted when it has ended: one whose future is dropped before that never was.
    pub fn wrap(inner: Arc<dyn Transport>, scrub: Scrub) -> (Arc<dyn Transport>, Tape) {
        let redactor = scrub.redactor();
        let state = State { scrub, redactor, exchanges: Vec::new() };
        let tape = Tape(Arc::new(Mutex::new(state)));
        (Arc::new(Recorder { inner, tape: tape.clone() }), tape)
    }
}

#[async_trait]
impl Transport for Recorder {
    async fn execute(&self, request: &Request) -> Result<Response, HttpError> {
        let outcome = self.inner.execute(request).await;
        self.tape.with(|state| state.note(request, outcome.as_ref()));
        outcome
    }
}

/// What was recorded so far. Clones are the same tape.
#[derive(Clone)]
pub struct Tape(Arc<Mutex<State>>);

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("exchanges", &self.len()).finish_non_exhaustive()
    }
}

impl Tape {
    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many exchanges there are.
    pub fn len(&self) -> usize {
        self.with(|state| state.exchanges.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of the cassette.
    pub fn text(&self) -> String {
        self.with(|state| {
            // an early exchange may hold what became known as a secret later
            let State { redactor, exchanges, .. } = state;
            exchanges.iter_mut().for_each(|exchange| redactor.again(exchange));
            // only a value that is no JSON fails
            write(exchanges).unwrap_or_default()
        })
    }

    /// Writes the cassette so that the file is the old one or the whole new one, whatever happens. Folders
    /// that are missing are made. Blocks.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CassetteError> {
        let path = path.as_ref();
        replace(path, self.text().as_bytes()).map_err(|error| CassetteError::Io {
            action: "write",
            path: path.to_owned(),
            error,
        })
    }
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().ok_or(std::io::ErrorKind::IsADirectory)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut beside = name.to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = folder.join(beside);
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        // it may not even be there
        let _ = fs::remove_file(&beside);
    }
    written
}

struct State {
    scrub: Scrub,
    redactor: Redactor,
    exchanges: Vec<Exchange>,
}

impl State {
    fn note(&mut self, request: &Request, outcome: Result<&Response, &HttpError>) {
        self.learn(request);
        // the response first: it may name secrets that the request holds, too, as a token's answer does
        let (mut response, mut error) = (None, None);
        match outcome {
            Ok(answer) => {
                let body = self.body(&answer.body, &answer.headers, true);
                let extra = self.scrub.headers.clone();
                let headers = self.headers(&answer.headers, |name| {
                    RESPONSE_HEADERS.contains(&name)
                        || RESPONSE_HEADER_FAMILIES.iter().any(|family| name.starts_with(family))
                        || extra.iter().any(|other| other == name)
                });
                response = Some(Answer { status: answer.status, headers, body });
            }
            Err(failure) => {
                let mut failure = Failure::of(failure);
                failure.message = failure.message.map(|message| self.redactor.text(&message));
                error = Some(failure);
            }
        }
        let request = Sent {
            method: request.method.to_string(),
            url: self.redactor.url(&request.url),
            login: login_of(request),
            headers: self.headers(&request.headers, |name| REQUEST_HEADERS.contains(&name)),
            body: request.body.as_ref().and_then(|body| self.body(body, &request.headers, false)),
        };
        self.exchanges.push(Exchange { request, response, error });
    }

    /// Takes note of what a request was signed with.
    fn learn(&mut self, request: &Request) {
        if let Some((_, secret)) = &request.secret_query {
            self.redactor.add_secret("api_key", secret.reveal());
        }
        for (name, value) in &request.headers {
            let Ok(text) = value.to_str() else { continue };
            if !is_login(name) {
                if value.is_sensitive() {
                    self.redactor.add_secret("api_key", text);
                }
                continue;
            }
            let (scheme, rest) = text.split_once(' ').unwrap_or(("", text));
            let rest = rest.trim();
            match scheme.to_ascii_lowercase().as_str() {
                "digest" => {}
                "basic" => {
                    let pair = STANDARD.decode(rest).ok().and_then(|pair| String::from_utf8(pair).ok());
                    if let Some((_, password)) = pair.as_deref().and_then(|pair| pair.split_once(':')) {
                        self.redactor.add_secret("password", password);
                    }
                    self.redactor.add_secret("basic", rest);
                }
                "bearer" => self.redactor.add_secret("access_token", rest),
                _ => self.redactor.add_secret("authorization", rest),
            }
        }
    }

    fn headers(&mut self, headers: &HeaderMap, is_kept: impl Fn(&str) -> bool) -> Vec<String> {
        let mut kept: Vec<(&str, String)> = Vec::new();
        for (name, value) in headers {
            let name = name.as_str();
            if !is_kept(name) || LOGIN_HEADERS.contains(&name) || value.is_sensitive() {
                continue;
            }
            let text = String::from_utf8_lossy(value.as_bytes());
            let text = match name {
                "www-authenticate" | "authentication-info" => self.redactor.challenge(&text),
                _ => self.redactor.text(&text),
            };
            kept.push((name, text));
        }
        // those of one name stay in their order
        kept.sort_by_key(|(name, _)| *name);
        kept.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    fn body(&mut self, bytes: &[u8], headers: &HeaderMap, is_response: bool) -> Option<Body> {
        if bytes.is_empty() {
            return None;
        }
        let scrub = self.scrub.body.clone().filter(|_| is_response);
        let Ok(text) = std::str::from_utf8(bytes) else { return Some(self.binary(bytes)) };
        if is_form(headers) {
            return Some(Body::text(&self.redactor.form(text)));
        }
        if let Ok(original) = serde_json::from_str::<Value>(text) {
            let mut value = original.clone();
            self.redactor.value(&mut value);
            if let Some(scrub) = scrub {
                value = scrub(value);
                self.redactor.value(&mut value);
            }
            match Layout::of(text, &original) {
                Some((layout, after)) => return Some(Body::json(value, layout, after)),
                None if value != original => return Some(Body::json(value, Layout::Compact, "")),
                // nothing to hide, and only the text itself has every byte
                None => return Some(Body::text(&self.redactor.text(text))),
            }
        }
        let mut text = self.redactor.text(text);
        if let Some(scrub) = scrub
            && let Value::String(scrubbed) = scrub(Value::String(text.clone()))
        {
            text = self.redactor.text(&scrubbed);
        }
        Some(Body::text(&text))
    }

    /// What is no text: a gzip file is unpacked, searched and, if need be, packed again.
    fn binary(&mut self, bytes: &[u8]) -> Body {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            let read =
                flate2::read::MultiGzDecoder::new(bytes).take(MAX_UNPACKED + 1).read_to_end(&mut plain);
            if read.is_ok_and(|length| length as u64 <= MAX_UNPACKED) {
                let clean = match std::str::from_utf8(&plain) {
                    Ok(text) => Some(self.redactor.text(text).into_bytes()).filter(|clean| *clean != plain),
                    Err(_) => self.redactor.bytes(&plain),
                };
                let Some(clean) = clean else { return Body::base64(bytes) };
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                // memory does not fail
                let _ = packed.write_all(&clean);
                return Body::base64(&packed.finish().unwrap_or_default());
            }
        }
        Body::base64(&self.redactor.bytes(bytes).unwrap_or_else(|| bytes.to_vec()))
    }
}

/// How a request was signed; nothing of what it was signed with.
pub(super) fn login_of(request: &Request) -> Option<String> {
    if let Some(value) = request.headers.get(AUTHORIZATION) {
        let scheme = value.to_str().ok().and_then(|text| text.split_once(' ')).map(|(scheme, _)| scheme);
        let is_name =
            |scheme: &&str| matches!(scheme.to_ascii_lowercase().as_str(), "basic" | "bearer" | "digest");
        return Some(scheme.filter(is_name).unwrap_or("header").to_ascii_lowercase());
    }
    if request.secret_query.is_some() {
        return Some("query".to_owned());
    }
    request.headers.values().any(http::HeaderValue::is_sensitive).then(|| "header".to_owned())
}

/// Whether a header tells how long to wait.
pub(super) fn is_limit(name: &str) -> bool {
    name == "retry-after" || RESPONSE_HEADER_FAMILIES.iter().any(|family| name.starts_with(family))
}

fn is_login(name: &HeaderName) -> bool {
    name == AUTHORIZATION || name == PROXY_AUTHORIZATION
}

/// Whether headers tell of a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind =
        headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
}
