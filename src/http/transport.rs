//! What carries a signed request: the wire, a recorder before it, or a cassette in its place.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, USER_AGENT};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::body::{BodyError, Decoder};
use super::{ClientOptions, HttpError, Request, Response};

/// No response takes longer in all.
const MOST_PATIENCE: u32 = 20;

/// Idle connections that are kept to one host.
const KEPT_CONNECTIONS: usize = 16;

/// Carries one request. Knows nothing of logins, limits and redirects.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends the request and reads the whole response.
    async fn execute(&self, request: &Request) -> Result<Response, HttpError>;
}

/// How a client gets its transport.
#[derive(Clone, Default)]
pub enum Wire {
    /// The wire.
    #[default]
    Live,
    /// The wire with something around it that writes down what passes: one request after the other, so that
    /// the same requests are made when it is played back.
    Through(Arc<MakeTransport>),
    /// A recording in its place: one request after the other, and no limits to keep.
    Played(Arc<MakeTransport>),
}

/// Makes a transport with the options that a client has.
pub type MakeTransport = dyn Fn(&ClientOptions) -> Result<Arc<dyn Transport>, HttpError> + Send + Sync;

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Wire::Live => "Live",
            Wire::Through(_) => "Through",
            Wire::Played(_) => "Played",
        })
    }
}

impl Wire {
    /// The transport of a client with these options.
    pub fn transport(&self, options: &ClientOptions) -> Result<Arc<dyn Transport>, HttpError> {
        match self {
            Wire::Live => live(options),
            Wire::Through(make) | Wire::Played(make) => make(options),
        }
    }
}

/// The wire, for a [`Client`](super::Client) over it with something between. Opens no connection.
pub fn live(options: &ClientOptions) -> Result<Arc<dyn Transport>, HttpError> {
    Ok(Arc::new(Live::new(options)?))
}

/// The wire itself.
struct Live {
    client: reqwest::Client,
    timeout: Duration,
    max_body: u64,
}

impl Live {
    fn new(options: &ClientOptions) -> Result<Self, HttpError> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(options)?)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(options.timeout)
            .pool_max_idle_per_host(KEPT_CONNECTIONS)
            .tcp_nodelay(true);
        if let Some(proxy) = &options.proxy {
            let proxy = reqwest::Proxy::all(proxy)
                .map_err(|error| HttpError::Unusable(format!("the proxy: {}", innermost(&error))))?;
            builder = builder.proxy(proxy);
        }
        let client = builder
            .build()
            .map_err(|error| HttpError::Unusable(format!("the HTTP client: {}", innermost(&error))))?;
        Ok(Live { client, timeout: options.timeout, max_body: options.max_body })
    }

    async fn exchange(&self, request: &Request) -> Result<Response, HttpError> {
        let mut url = request.url.clone();
        if let Some((name, value)) = &request.secret_query {
            url.query_pairs_mut().append_pair(name, value.reveal());
        }
        let mut headers = request.headers.clone();
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip, deflate, zstd"));
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!("jaquard/", env!("CARGO_PKG_VERSION"))));
        let mut wire = self.client.request(request.method.clone(), url).headers(headers);
        if let Some(body) = &request.body {
            wire = wire.body(body.clone());
        }
        let sent = tokio::time::timeout(self.timeout, wire.send()).await;
        let mut response = sent.map_err(|_| HttpError::Timeout(self.timeout))?.map_err(|e| failure(&e))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let received_at = SystemTime::now();
        let mut body = Vec::new();
        let has_body = request.method != http::Method::HEAD && !matches!(status, 204 | 304);
        if has_body {
            let mut decoder = Decoder::for_headers(&headers, self.max_body)?;
            if let Some(length) = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok()) {
                let length: u64 = length;
                body.reserve(length.min(self.max_body).min(16 << 20) as usize);
            }
            loop {
                let part = tokio::time::timeout(self.timeout, response.chunk()).await;
                let part = part.map_err(|_| HttpError::Timeout(self.timeout))?.map_err(|e| failure(&e))?;
                let Some(part) = part else { break };
                decoder.extend(&part, &mut body)?;
            }
            decoder.finish()?;
        }
        let mut headers = headers;
        headers.remove(CONTENT_ENCODING);
        Ok(Response { status, headers, body: Bytes::from(body), url: request.url.clone(), received_at })
    }
}

#[async_trait]
impl Transport for Live {
    async fn execute(&self, request: &Request) -> Result<Response, HttpError> {
        let patience = self.timeout * MOST_PATIENCE;
        match tokio::time::timeout(patience, self.exchange(request)).await {
            Ok(response) => response,
            Err(_) => Err(HttpError::Timeout(patience)),
        }
    }
}

/// TLS with certificates always verified: by the system's authorities and those the user adds.
fn tls(options: &ClientOptions) -> Result<rustls::ClientConfig, HttpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |error: rustls::Error| HttpError::Unusable(format!("TLS: {error}"));
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match &options.ca_file {
        None => builder.with_platform_verifier().map_err(unusable)?,
        Some(path) => {
            let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
            let found = found.map_err(|error| {
                HttpError::Unusable(format!("cannot read certificates from {}: {error}", path.display()))
            })?;
            if found.is_empty() {
                return Err(HttpError::Unusable(format!("{} holds no certificate", path.display())));
            }
            let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(found, provider)
                .map_err(unusable)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    match &options.client_certificate {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain: Result<Vec<_>, _> =
                CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
            let chain = chain.map_err(|error| {
                HttpError::Unusable(format!("cannot read {}: {error}", certificate.display()))
            })?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| HttpError::Unusable(format!("cannot read {}: {error}", key.display())))?;
            builder.with_client_auth_cert(chain, key).map_err(unusable)
        }
    }
}

/// A failure of the wire in our words, without the URL: its query may hold anything.
fn failure(error: &reqwest::Error) -> HttpError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if inner.downcast_ref::<rustls::Error>().is_some() {
            return HttpError::Tls(inner.to_string());
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            return HttpError::Tls(inner.to_string());
        }
        cause = inner.source();
    }
    if error.is_timeout() {
        return HttpError::Connection("no connection within the timeout".to_owned());
    }
    let what = if error.is_connect() { "cannot connect" } else { "the connection broke" };
    HttpError::Connection(format!("{what}: {}", innermost(error)))
}

/// The last cause of an error, which says most and repeats nothing.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

impl BodyError {
    /// Whether the body just ended too soon.
    pub fn is_truncation(&self) -> bool {
        matches!(self, BodyError::Truncated { .. })
    }
}
