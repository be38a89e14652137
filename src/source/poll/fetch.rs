//! One request: made from what a program yields, sent with retries, reported when it fails.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, header};
use serde_json::Value;
use url::Url;

use super::plan::{Plan, RateScope};
use crate::http::headers::{is_same_origin, redacted, server_time};
use crate::http::limit::Feedback;
use crate::http::retry::{Backoff, Verdict};
use crate::http::{Client, HttpError, Request, Response};

/// Tries of one request within a turn. What lasts longer is waited for between turns.
const TRIES: u32 = 6;

/// The longest wait within a turn: others may need the room.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of an answer that an error shows.
const EXCERPT: usize = 300;

/// Waits between tries of one request.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(200),
    max: Duration::from_secs(10),
    budget: Duration::from_secs(90),
};

/// Why a turn could not go on.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// What happened, in words for a person; no secret, no query.
    pub(super) message: String,
    /// What to check, if somebody has to look at it.
    pub(super) help: Option<String>,
    /// A short word for an alert.
    pub(super) kind: &'static str,
    /// It may pass by itself.
    pub(super) is_temporary: bool,
    /// How long the server asked to be left alone.
    pub(super) wait: Option<Duration>,
    /// The status of the answer, if there was one.
    pub(super) status: Option<u16>,
}

impl Failure {
    /// Something that a person has to mend.
    pub(super) fn lasting(kind: &'static str, message: impl Into<String>) -> Self {
        Failure { message: message.into(), help: None, kind, is_temporary: false, wait: None, status: None }
    }
}

/// The newest time that the server has told, in milliseconds. It is never carried on by the local
/// clock: what lies between two answers is not known to have happened.
///
/// A time far ahead of the last one has to be told twice: a cursor that follows one wrong header into
/// the future would leave out what happens until then.
#[derive(Debug, Default)]
pub(super) struct ServerClock {
    newest: AtomicI64,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    /// A time that is too far ahead to be believed at once.
    doubtful: Option<i64>,
}

/// Milliseconds that a server's clock may be ahead of what has passed since its last word.
const JUMP: i64 = 300_000;

impl ServerClock {
    pub(super) fn get(&self) -> Option<i64> {
        Some(self.newest.load(Ordering::Relaxed)).filter(|time| *time > 0)
    }

    /// The time, if the server has told one within `age`.
    fn fresh(&self, age: Duration) -> Option<i64> {
        let told_at = self.told.lock().unwrap_or_else(PoisonError::into_inner).at;
        self.get().filter(|_| told_at.is_some_and(|told_at| told_at.elapsed() <= age))
    }

    /// Takes note of a response's `Date`. Whether it has one.
    fn observe(&self, headers: &HeaderMap) -> bool {
        let since = server_time(headers).and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let Some(millis) = since.and_then(|since| i64::try_from(since.as_millis()).ok()) else {
            return false;
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(newest), Some(at)) = (self.get(), told.at) {
            let passed = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
            let is_ahead = millis > newest.saturating_add(passed).saturating_add(JUMP);
            let is_confirmed = told.doubtful.is_some_and(|before| millis.abs_diff(before) <= JUMP as u64);
            if is_ahead && !is_confirmed {
                told.doubtful = Some(millis);
                return true;
            }
        }
        told.doubtful = None;
        told.at = Some(Instant::now());
        self.newest.fetch_max(millis, Ordering::Relaxed);
        true
    }
}

/// Sends the requests of one source.
#[derive(Debug, Clone)]
pub(super) struct Fetcher {
    pub(super) plan: Arc<Plan>,
    pub(super) client: Client,
    pub(super) clock: Arc<ServerClock>,
    /// Where the first request went, if there is no `base_url` to say it.
    origin: Arc<OnceLock<Url>>,
    secrets: Arc<[String]>,
}

impl Fetcher {
    pub(super) fn new(plan: Arc<Plan>, client: Client) -> Self {
        let secrets = plan.secrets();
        Fetcher { plan, client, clock: Arc::default(), origin: Arc::default(), secrets: secrets.into() }
    }

    /// Sends a request until it is answered well, or it makes no sense to go on.
    pub(super) async fn fetch(&self, request: &Request, scope: &str) -> Result<Response, Failure> {
        self.check_origin(request)?;
        let mut retries = BACKOFF.start();
        loop {
            let (failure, wait) = match self.client.send(request, scope).await {
                Ok(response) => {
                    self.clock.observe(&response.headers);
                    match Verdict::of_status(response.status) {
                        Verdict::Ok => return Ok(response),
                        Verdict::RetrySoon => {
                            let feedback = Feedback::read(&response.headers, response.received_at);
                            let wait = feedback.retry_after.or(match response.status {
                                429 => feedback.reset,
                                _ => None,
                            });
                            (self.refused(request, &response, true), wait)
                        }
                        Verdict::Ask | Verdict::Redirect => {
                            return Err(self.refused(request, &response, false));
                        }
                    }
                }
                Err(HttpError::Limited(wait)) => {
                    return Err(Failure { wait: Some(wait), ..broken(request, &HttpError::Limited(wait)) });
                }
                Err(error) if error.is_temporary() => (broken(request, &error), None),
                Err(error) => return Err(broken(request, &error)),
            };
            let pause = (retries.count() + 1 < TRIES).then(|| retries.next_wait(wait)).flatten();
            match pause {
                Some(pause) if pause <= PATIENCE => {
                    tracing::debug!(request = request.shown(), error = failure.message, "trying again");
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(Failure { wait, ..failure }),
            }
        }
    }

    /// The server's clock as it told it within `age`. Asks for nothing but that if it has not, unsigned:
    /// any answer tells it, also one that leads to a login page.
    pub(super) async fn probe_clock(&self, url: &Url, age: Duration) -> Result<i64, Failure> {
        if let Some(now) = self.clock.fresh(age) {
            return Ok(now);
        }
        let mut root = url.clone();
        root.set_path("/");
        root.set_query(None);
        let request = Request::new(Method::HEAD, root);
        let mut retries = BACKOFF.start();
        loop {
            let failure = match self.client.ask(&request).await {
                Ok(response) => {
                    let is_told = self.clock.observe(&response.headers);
                    if let Some(now) = self.clock.fresh(age.max(Duration::from_secs(5))) {
                        return Ok(now);
                    }
                    if is_told && retries.count() < TRIES {
                        // a time that is far ahead has to be told twice
                        let _ = retries.next_wait(None);
                        continue;
                    }
                    let message =
                        format!("{} has no `Date` header: windows need the server's clock", request.shown());
                    Failure::lasting("no_clock", message)
                }
                Err(error) => broken(&request, &error),
            };
            match retries.next_wait(None) {
                Some(pause) if failure.is_temporary && retries.count() < TRIES => {
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(failure),
            }
        }
    }

    /// Refuses a request that leads elsewhere than the source's own origin: what an answer says may
    /// become a URL, and the login would go there.
    pub(super) fn check_origin(&self, request: &Request) -> Result<(), Failure> {
        let own = match &self.plan.base {
            Some(base) => base,
            None => self.origin.get_or_init(|| request.url.clone()),
        };
        if is_same_origin(own, &request.url) {
            return Ok(());
        }
        let message = format!(
            "a request leads to another origin than {}: the login would leave its server",
            own.origin().ascii_serialization()
        );
        Err(Failure::lasting("program_failed", message))
    }

    /// A failure without anything secret: a server may repeat a login, a program may show its arguments.
    pub(super) fn clean(&self, mut failure: Failure) -> Failure {
        for secret in self.secrets.iter() {
            if failure.message.contains(secret.as_str()) {
                failure.message = failure.message.replace(secret.as_str(), "***");
            }
        }
        failure
    }

    /// What the server counts the requests of a partition with.
    pub(super) fn scope<'p>(&self, id: &'p str, about: &'p Value) -> &'p str {
        match self.plan.rate_limit.map(|limit| limit.scope) {
            Some(RateScope::Partition) => about.get("group").and_then(Value::as_str).unwrap_or(id),
            _ => "",
        }
    }

    fn refused(&self, request: &Request, response: &Response, is_temporary: bool) -> Failure {
        let excerpt: String = String::from_utf8_lossy(&response.body[..response.body.len().min(EXCERPT)])
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let said = if excerpt.trim().is_empty() { String::new() } else { format!(": {}", excerpt.trim()) };
        let kind = match response.status {
            401 | 403 => "auth_failed",
            429 => "rate_limited",
            _ => "request_failed",
        };
        Failure {
            message: format!("{} was answered with {}{said}", request.shown(), response.status),
            help: (!is_temporary).then(|| self.plan.hint(response.status)),
            kind,
            is_temporary,
            wait: None,
            status: Some(response.status),
        }
    }
}

fn broken(request: &Request, error: &HttpError) -> Failure {
    let kind = match error {
        HttpError::Login(_) => "auth_failed",
        HttpError::Limited(_) => "rate_limited",
        HttpError::Token(_) if !error.is_temporary() => "auth_failed",
        _ => "request_failed",
    };
    let help = match error {
        HttpError::Login(_) | HttpError::Token(_) if !error.is_temporary() => {
            Some("check the login: has the key or secret expired, is it the right one?".to_owned())
        }
        HttpError::Tls(_) => {
            Some("the certificate is not trusted: name its authority in `tls.ca_file`".to_owned())
        }
        _ => None,
    };
    Failure {
        message: format!("{} failed: {error}", request.shown()),
        help,
        kind,
        is_temporary: error.is_temporary(),
        wait: None,
        status: None,
    }
}

/// A request as a program describes it: `{url, method?, headers?, query?, body?}`.
pub(super) fn request_of(described: &Value, base: Option<&Url>) -> Result<Request, String> {
    let Some(members) = described.as_object() else {
        return Err(format!("a request must be an object with `url`, not {described}"));
    };
    if let Some(unknown) =
        members.keys().find(|key| !["url", "method", "headers", "query", "body"].contains(&key.as_str()))
    {
        return Err(format!(
            "a request has no member `{unknown}`: there are url, method, headers, query, body"
        ));
    }
    let text = described.get("url").and_then(Value::as_str).unwrap_or_default();
    let mut url = url_of(text, base)?;
    url.set_fragment(None);
    if let Some(query) = described.get("query").filter(|query| !query.is_null()) {
        let query = query.as_object().ok_or("the `query` of a request must be an object")?;
        let had_query = url.query().is_some();
        {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in query {
                match value {
                    Value::Null => {}
                    Value::Array(values) => {
                        for value in values {
                            pairs.append_pair(name, &scalar(value)?);
                        }
                    }
                    value => drop(pairs.append_pair(name, &scalar(value)?)),
                }
            }
        }
        if !had_query && url.query() == Some("") {
            url.set_query(None);
        }
    }
    let method = match described.get("method").and_then(Value::as_str) {
        None => Method::GET,
        Some(method) => Method::from_bytes(method.to_ascii_uppercase().as_bytes())
            .map_err(|_| format!("`{method}` is no HTTP method"))?,
    };
    let mut request = Request::new(method, url);
    if let Some(headers) = described.get("headers").and_then(Value::as_object) {
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_null()) {
            let (name, value) = header_of(name, &scalar(value)?)?;
            request.headers.insert(name, value);
        }
    }
    match described.get("body") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => request.body = Some(text.clone().into()),
        Some(json) => {
            request.body = Some(json.to_string().into());
            let json = HeaderValue::from_static("application/json");
            request.headers.entry(header::CONTENT_TYPE).or_insert(json);
        }
    }
    if !request.headers.contains_key(header::ACCEPT) {
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
    }
    Ok(request)
}

/// A header of a name and a value that a user wrote.
pub(in crate::source) fn header_of(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header name"))?;
    // the value may be a secret
    let value =
        HeaderValue::from_str(value).map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
    Ok((known, value))
}

fn url_of(text: &str, base: Option<&Url>) -> Result<Url, String> {
    if text.is_empty() {
        return Err("a request must have a `url`".to_owned());
    }
    let parsed = match (Url::parse(text), base) {
        (Ok(url), _) => Ok(url),
        (Err(url::ParseError::RelativeUrlWithoutBase), Some(base)) => base.join(text),
        (Err(error), _) => Err(error),
    };
    let url = parsed.map_err(|error| format!("`{}` is no URL: {error}", redacted(text)))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("`{}` is no http or https URL", redacted(text)));
    }
    Ok(url)
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => {
            Err("members of `query` and `headers` are texts, numbers, booleans, or lists of them".to_owned())
        }
    }
}

/// The description of the next page's request, from what `next` gave. A URL that leads to another
/// origin is refused: the login would go with it.
pub(super) fn following(described: &Value, next: &Value, response: &Response) -> Result<Value, String> {
    let mut request = described.clone();
    match next {
        Value::String(text) => {
            let to = url_of(text, Some(&response.url))?;
            request["url"] = to.as_str().into();
            if let Some(members) = request.as_object_mut() {
                members.remove("query");
            }
        }
        patch => {
            merge(&mut request, patch);
            if let Some(text) = patch.get("url").and_then(Value::as_str) {
                request["url"] = url_of(text, Some(&response.url))?.as_str().into();
            }
        }
    }
    let to = request_of(&request, Some(&response.url))?;
    if !is_same_origin(&to.url, &response.url) {
        return Err(format!(
            "`next` leads to another origin, {}: the login would leave its server",
            to.url.origin().ascii_serialization()
        ));
    }
    Ok(request)
}

/// A JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.shift_remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn response(url: &str) -> Response {
        Response {
            status: 200,
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
            url: Url::parse(url).unwrap(),
            received_at: std::time::SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_request_has_what_a_program_describes() {
        let base = Url::parse("https://api.example.com").unwrap();
        let described = json!({"url": "/v1/events?fixed=1", "query": {"page": 2, "kind": ["a b", "c"], "no": null},
            "headers": {"x-version": 3}, "body": {"q": 1}, "method": "post"});
        let request = request_of(&described, Some(&base)).unwrap();
        assert_eq!(request.url.as_str(), "https://api.example.com/v1/events?fixed=1&page=2&kind=a+b&kind=c");
        assert_eq!((request.method, request.headers["x-version"].to_str().unwrap()), (Method::POST, "3"));
        assert_eq!(request.body.unwrap(), r#"{"q":1}"#);
        for wrong in [
            json!("https://a"),
            json!({"url": "ftp://a/b"}),
            json!({"url": "/x"}),
            json!({"uri": "https://a"}),
        ] {
            assert!(request_of(&wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pages_follow_a_url_or_a_patch_and_never_leave_the_origin() {
        let first = json!({"url": "https://a.example/v1", "query": {"page": 1, "size": 5}});
        let here = response("https://a.example/v1?page=1");
        assert_eq!(
            following(&first, &json!({"query": {"page": 2}}), &here).unwrap(),
            json!({"url": "https://a.example/v1", "query": {"page": 2, "size": 5}})
        );
        assert_eq!(
            following(&first, &json!("?page=9"), &here).unwrap(),
            json!({"url": "https://a.example/v1?page=9"})
        );
        for elsewhere in ["https://b.example/v1", "http://a.example/v1", "https://a.example:444/"] {
            let error = following(&first, &json!(elsewhere), &here).unwrap_err();
            assert!(error.contains("origin"), "{error}");
        }
    }
}
