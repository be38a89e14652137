//! The server: connections that can be cut, and the way of a request from its faults to its answer.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, connect_info::Connected};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use bytes::Bytes;
use chrono::{SecondsFormat, TimeDelta};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::budget::{self, BudgetTime, Level};
use super::clock::http_date;
use super::faults::{Drawn, Fault};
use super::journal::{AuthKind, Logged};
use super::login;
use super::routes::{Api, Call, Endpoint, Route};
use super::{Shared, atlas, atlassian, lock};

/// Ends a connection: its own flag, and that of the whole server.
#[derive(Debug, Clone)]
pub(super) struct Cutter {
    cut: Arc<AtomicBool>,
    down: Arc<AtomicBool>,
}

impl Cutter {
    fn check(&self) -> io::Result<()> {
        if self.cut.load(Ordering::Acquire) || self.down.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

/// A connection.
#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    cutter: Cutter,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => Poll::Ready(self.cutter.check()),
            other => other,
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.cutter.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where connections come in.
#[derive(Debug)]
struct Door {
    listener: TcpListener,
    down: Arc<AtomicBool>,
}

impl Listener for Door {
    type Io = Wire;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Wire, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // a fake that is a little slower is still a fake
                    let _ = stream.set_nodelay(true);
                    let cutter = Cutter { cut: Arc::default(), down: self.down.clone() };
                    return (Wire { stream, cutter }, address);
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Door>> for Cutter {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().cutter.clone()
    }
}

/// Serves until the other end of `ended` is gone.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, ended: oneshot::Receiver<()>) {
    let door = Door { listener, down: shared.down.clone() };
    let router: Router = Router::new().fallback(move |request: Request| handle(shared.clone(), request));
    let served = axum::serve(door, router.into_make_service_with_connect_info::<Cutter>());
    tokio::select! {
        _ = served.into_future() => {}
        _ = ended => {}
    }
}

/// An answer before it is sent.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    is_compressed: bool,
}

impl Answer {
    /// A body of a type.
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Answer { status, headers, body: body.into(), is_compressed: false }
    }

    /// JSON.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Answer::new(status, "application/json", body.to_string())
    }

    /// With one more header.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// A body that is a compressed file.
    #[must_use]
    pub(super) fn compressed(mut self) -> Self {
        self.is_compressed = true;
        self
    }

    fn respond(mut self, takes_gzip: bool, cut: Option<u64>) -> Response {
        if takes_gzip && !self.is_compressed && !self.body.is_empty() {
            self.body = gzip(&self.body).into();
            self.headers.push(("Content-Encoding", "gzip".to_owned()));
        }
        if self.status == 200 {
            self.headers.push(("Vary", "Accept-Encoding".to_owned()));
        }
        let length = self.body.len();
        let body = match cut {
            None => Body::from(self.body),
            Some(coin) => {
                if coin & 1 == 0 {
                    self.headers.push(("Content-Length", length.to_string()));
                }
                let kept = ((coin >> 1) % length.max(1) as u64) as usize;
                // the first part has to leave before the connection ends
                let first = futures::stream::iter([Ok(self.body.slice(..kept))]);
                let end = futures::stream::once(async {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Err(io::Error::from(io::ErrorKind::ConnectionReset))
                });
                Body::from_stream(first.chain(end))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers: &mut HeaderMap = response.headers_mut();
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value))
            {
                headers.append(name, value);
            }
        }
        response
    }
}

/// Compresses; memory does not fail.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// An error as Atlas puts it.
pub(super) fn atlas_error(status: u16, code: &str, detail: &str, parameters: &[Value]) -> Answer {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let body = json!({
        "detail": detail,
        "error": status,
        "errorCode": code,
        "parameters": parameters,
        "reason": reason.unwrap_or_default(),
    });
    Answer::json(status, &body)
}

/// An error as Atlassian puts it.
pub(super) fn atlassian_error(status: u16, code: &str, title: &str, detail: &str) -> Answer {
    let error = json!({
        "id": "00000000-0000-4000-8000-000000000000",
        "status": status.to_string(),
        "code": code,
        "title": title,
        "detail": detail,
    });
    Answer::json(status, &json!({ "errors": [error] }))
}

async fn handle(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let cutter = parts.extensions.get::<ConnectInfo<Cutter>>().map(|info| info.0.clone());
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let call = Call::new(parts.method.as_str(), target, parts.headers, body);
    let route = Route::of(&call);
    let auth = AuthKind::of(call.header("authorization"));
    let drawn = lock(&shared.faults).draw(&call.target, auth);
    if let Some(slow) = drawn.slow {
        tokio::time::sleep(slow).await;
    }
    let answer = shared.answer(&call, &route, &drawn);
    let mut cut = drawn.answer == Some(Fault::CutBeforeHeaders);
    if drawn.answer == Some(Fault::CutInBody) && answer.body.is_empty() {
        cut = true;
    }
    let logged = Logged {
        at: shared.clock.now(),
        method: call.method.clone(),
        target: call.target.clone(),
        endpoint: route.endpoint,
        status: if cut { 0 } else { answer.status },
        auth,
        fault: drawn.name(),
    };
    lock(&shared.journal).note(logged, shared.config.log_capacity);
    if let Some(cutter) = cutter.filter(|_| cut) {
        cutter.cut.store(true, Ordering::Release);
    }
    let within = (drawn.answer == Some(Fault::CutInBody)).then_some(drawn.coin);
    let takes_gzip = shared.config.gzip && call.takes_gzip();
    answer.with("Date", &http_date(shared.clock.date())).respond(takes_gzip, within)
}

impl Shared {
    fn answer(&self, call: &Call, route: &Route, drawn: &Drawn) -> Answer {
        if route.endpoint == Endpoint::Token {
            lock(&self.login).seen.token_requests += 1;
        }
        if let Some(failure) = self.failure(call, route, drawn) {
            return failure;
        }
        if route.endpoint == Endpoint::Unknown {
            return match route.api {
                Api::Atlassian => atlassian_error(404, "ADMIN-404-2", "Not found", "There is no such path."),
                _ => {
                    atlas_error(404, "RESOURCE_NOT_FOUND", "Cannot find the resource.", &[call.path().into()])
                }
            };
        }
        if call.method != route.method() {
            return match route.api {
                Api::Atlassian => atlassian_error(405, "ADMIN-405-1", "Not allowed", "Wrong method."),
                _ => atlas_error(405, "METHOD_NOT_ALLOWED", "Wrong method.", &[call.method.as_str().into()]),
            };
        }
        let user = match route.api {
            Api::Login => Ok(login::basic(call).map_or_else(|| "unknown".to_owned(), |(id, _)| id)),
            Api::Atlassian => atlassian::user(self, call),
            Api::Atlas1 | Api::Atlas2 => lock(&self.login).check(call, drawn.login),
        };
        let user = match user {
            Ok(user) => user,
            Err(refusal) => return refusal,
        };
        let level = lock(&self.budgets).take(&budget::scopes(route, &user), self.budget_now());
        let answer = match level {
            Some(level) if level.is_refused => self.exhausted(call, route, level),
            _ => match route.api {
                Api::Login => lock(&self.login).token(call, route.endpoint),
                Api::Atlassian => atlassian::answer(self, call, route),
                Api::Atlas1 | Api::Atlas2 => atlas::answer(self, call, route),
            },
        };
        match (level, route.api) {
            (None, _) => answer,
            (Some(level), Api::Atlassian) => {
                let reset = self.clock.now() + seconds(self.real_wait(level) * self.clock.speed());
                answer
                    .with("X-RateLimit-Limit", &level.limit.capacity.to_string())
                    .with("X-RateLimit-Remaining", &level.remaining.to_string())
                    .with("X-RateLimit-Reset", &reset.to_rfc3339_opts(SecondsFormat::Secs, true))
            }
            (Some(level), _) => answer
                .with("RateLimit-Limit", &level.limit.capacity.to_string())
                .with("RateLimit-Remaining", &level.remaining.to_string()),
        }
    }

    fn budget_now(&self) -> f64 {
        match self.config.limits.time {
            BudgetTime::Real => self.began.elapsed().as_secs_f64(),
            BudgetTime::Server => self.clock.micros() as f64 / 1e6,
        }
    }

    fn real_wait(&self, level: Level) -> f64 {
        match self.config.limits.time {
            BudgetTime::Real => level.wait,
            BudgetTime::Server => level.wait / self.clock.speed().max(1e-6),
        }
    }

    /// The answer to a request for which the bucket is empty.
    fn exhausted(&self, call: &Call, route: &Route, level: Level) -> Answer {
        let retry = (self.real_wait(level).ceil() as u64).max(1);
        let period = self.config.limits.period.as_secs();
        let limit = (level.limit.capacity, level.limit.refill);
        // Atlassian only says when its budget comes back, in `X-RateLimit-Reset`
        let answer = too_many(call, route, retry, limit, period);
        if route.api == Api::Atlassian { answer } else { answer.with("Retry-After", &retry.to_string()) }
    }

    /// The answer of a fault that needs no look at the request.
    fn failure(&self, call: &Call, route: &Route, drawn: &Drawn) -> Option<Answer> {
        let is_atlassian = route.api == Api::Atlassian;
        let retry = drawn.retry_after;
        let seconds_of = |answer: Answer| answer.with("Retry-After", &retry.to_string());
        let too_many = too_many(call, route, retry, (300, 100), 60);
        Some(match drawn.answer? {
            Fault::TooManySeconds => seconds_of(too_many),
            Fault::TooManyDate => {
                let date = self.clock.date() + seconds(retry as f64);
                too_many.with("Retry-After", &http_date(date))
            }
            Fault::TooManyBare => too_many,
            Fault::InternalError if is_atlassian => {
                atlassian_error(500, "ADMIN-500-1", "Internal Server Error", "Something went wrong.")
            }
            Fault::InternalError => atlas_error(500, "UNEXPECTED_ERROR", "Unexpected error.", &[]),
            Fault::Unavailable => {
                let answer = if is_atlassian {
                    atlassian_error(503, "ADMIN-503-1", "Service Unavailable", "Try again later.")
                } else {
                    atlas_error(503, "SERVICE_UNAVAILABLE", "Service is temporarily unavailable.", &[])
                };
                if drawn.coin & 2 == 0 { seconds_of(answer) } else { answer }
            }
            _ => return None,
        })
    }
}

fn too_many(call: &Call, route: &Route, retry: u64, limit: (u32, u32), period: u64) -> Answer {
    if route.api == Api::Atlassian {
        return atlassian_error(429, "ADMIN-429-1", "Too Many Requests", "The rate limit is exceeded.");
    }
    let parameters = [call.path().into(), retry.into(), limit.0.into(), limit.1.into(), period.into()];
    let detail = format!("Rate limit exceeded for {}. Try again in {retry} seconds.", call.path());
    atlas_error(429, "RATE_LIMITED_TOKEN_BUCKET", &detail, &parameters)
}

fn seconds(seconds: f64) -> TimeDelta {
    TimeDelta::milliseconds((seconds * 1000.0) as i64)
}
