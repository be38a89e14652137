//! One request at a time, with everything that is the same for all of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

use super::auth::{Auth, Mark, Secret, Signer};
use super::body::BodyError;
use super::headers::{is_same_origin, redacted};
use super::limit::Limiter;
use super::oauth::TokenError;
use super::transport::Transport;

/// Redirects that one request follows.
const MAX_REDIRECTS: u32 = 5;

/// How long a request waits in line when the server has stopped its scope: others may need the room.
const PATIENCE: Duration = Duration::from_secs(10);

/// Times that a request is sent anew because its login was out of date.
const MAX_LOGINS: u32 = 4;

/// A request. Its login is added when it is sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to; without a fragment.
    pub url: Url,
    /// Headers, without the login.
    pub headers: HeaderMap,
    /// The body; it can be sent more than once.
    pub body: Option<Bytes>,
    /// A member of the query that is a login: on the wire only, in no log and no cassette.
    pub(super) secret_query: Option<(String, Secret)>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Request { method, url, headers: HeaderMap::new(), body: None, secret_query: None }
    }

    /// Method and URL for a message: no query, no user.
    pub fn shown(&self) -> String {
        format!("{} {}", self.method, redacted(self.url.as_str()))
    }
}

/// A response, its body read and decoded.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body behind all content encodings.
    pub body: Bytes,
    /// Where it came from, after redirects.
    pub url: Url,
    /// When it came, by the local clock.
    pub received_at: SystemTime,
}

/// Why there is no response, or none that can be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke; the body may have begun.
    #[error("{0}")]
    Connection(String),
    /// Nothing came for too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The certificate, or something else about TLS.
    #[error("TLS: {0}")]
    Tls(String),
    /// The body is larger than allowed, or damaged.
    #[error("the body cannot be read: {0}")]
    Body(#[from] BodyError),
    /// The server has stopped requests of this kind for longer than one should wait in line.
    #[error("the server asks to wait {} s", .0.as_secs())]
    Limited(Duration),
    /// The login was refused.
    #[error("{0}")]
    Login(String),
    /// There is no token.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// It leads elsewhere.
    #[error("{0}")]
    Redirect(String),
    /// The request cannot be made at all.
    #[error("{0}")]
    Unusable(String),
}

impl HttpError {
    /// Whether the same request may work in a moment.
    pub fn is_temporary(&self) -> bool {
        match self {
            HttpError::Connection(_) | HttpError::Timeout(_) | HttpError::Limited(_) => true,
            HttpError::Body(error) => error.is_truncation(),
            HttpError::Token(error) => matches!(error, TokenError::Unavailable { .. }),
            HttpError::Tls(_) | HttpError::Login(_) | HttpError::Redirect(_) | HttpError::Unusable(_) => {
                false
            }
        }
    }
}

/// How a client reaches its server.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The longest silence: while connecting, before the headers, between parts of the body.
    pub timeout: Duration,
    /// The largest body, decoded.
    pub max_body: u64,
    /// Certificates of authorities to trust besides the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Certificate and key of the client, as PEM.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// A proxy for all requests. Without it that of the environment.
    pub proxy: Option<String>,
}

/// Sends requests to one service. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    signer: Option<Arc<Signer>>,
    limiter: Option<Arc<Limiter>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// A client over a transport: the wire, or a cassette.
    pub fn over(
        transport: Arc<dyn Transport>,
        auth: Option<&Auth>,
        base: Option<&Url>,
        limiter: Option<Arc<Limiter>>,
    ) -> Result<Self, HttpError> {
        let signer = auth.map(|auth| Signer::new(auth, base, &transport)).transpose()?.map(Arc::new);
        Ok(Client { transport, signer, limiter })
    }

    /// Sends a request and reads the whole response. Any status is a response; what a status means is
    /// for the caller, but for a login that has only run out, and for redirects within the origin.
    ///
    /// Every request on the wire takes its turn in the rate limit of `scope`.
    pub async fn send(&self, request: &Request, scope: &str) -> Result<Response, HttpError> {
        let mut target = request.clone();
        let mut redirects = 0;
        let mut logins = 0;
        loop {
            if let Some(limiter) = &self.limiter {
                self.take_turn(limiter, scope).await?;
            }
            let mut signed = target.clone();
            let mark = match &self.signer {
                Some(signer) => signer.sign(&mut signed).await?,
                None => Mark::None,
            };
            let response = self.transport.execute(&signed).await?;
            if let Some(limiter) = &self.limiter {
                limiter.observe(scope, &response.headers, response.status, response.received_at);
            }
            if let Some(signer) = &self.signer {
                logins += 1;
                if signer.wants_another(&mark, &response, logins)? && logins <= MAX_LOGINS {
                    continue;
                }
            }
            if matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                redirects += 1;
                target = redirected(&target, &response, redirects)?;
                logins = 0;
                continue;
            }
            return Ok(response);
        }
    }

    /// Sends a request as it is: unsigned, and following nothing. For what the server tells anybody.
    pub async fn ask(&self, request: &Request) -> Result<Response, HttpError> {
        self.transport.execute(request).await
    }

    /// Waits for a turn in the rate limit; not for long if the server has stopped the scope.
    async fn take_turn(&self, limiter: &Limiter, scope: &str) -> Result<(), HttpError> {
        loop {
            if let Some(wait) = limiter.paused_for(scope).filter(|wait| *wait > PATIENCE) {
                return Err(HttpError::Limited(wait));
            }
            // taken for good: what was sent counts at the server, however it ends
            if tokio::time::timeout(PATIENCE, limiter.acquire(scope)).await.is_ok() {
                return Ok(());
            }
        }
    }

    /// Ends the login at the server, where there is something to end.
    pub async fn close(&self) {
        if let Some(signer) = &self.signer {
            signer.close().await;
        }
    }
}

/// The request that a redirect asks for. Credentials never leave the origin, so no request does.
fn redirected(request: &Request, response: &Response, count: u32) -> Result<Request, HttpError> {
    if count > MAX_REDIRECTS {
        return Err(HttpError::Redirect(format!("more than {MAX_REDIRECTS} redirects in a row")));
    }
    let location = response.headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
    let to = location.and_then(|location| request.url.join(location).ok());
    let Some(to) = to else {
        return Err(HttpError::Redirect(format!("status {} without a usable Location", response.status)));
    };
    if !is_same_origin(&request.url, &to) {
        return Err(HttpError::Redirect(format!(
            "a redirect to another origin, {}, is not followed: the login would leave its server",
            to.origin().ascii_serialization()
        )));
    }
    let mut next = Request { url: to, ..request.clone() };
    let rewrites = match response.status {
        303 => next.method != Method::HEAD,
        301 | 302 => next.method == Method::POST,
        _ => false,
    };
    if rewrites {
        next.method = Method::GET;
        next.body = None;
        next.headers.remove(http::header::CONTENT_TYPE);
    }
    Ok(next)
}
