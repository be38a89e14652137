//! The exchanges of a cassette, and their text.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use crate::http::HttpError;
use crate::http::body::BodyError;
use crate::http::oauth::TokenError;

/// The version that is written and read.
const VERSION: u32 = 1;

/// Bytes in a line of base64.
const LINE: usize = 57;

/// JSON nested deeper is written as text: a reader goes to 128 levels, with those around the body.
const MAX_DEPTH: usize = 100;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    cassette: u32,
}

/// A request and what became of it: a response or an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    pub(super) request: Sent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Answer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Failure>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sent {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) login: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) headers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Body>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) status: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) headers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Body>,
}

/// A body: one of `json`, `text` and `base64`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "even_null")]
    pub(super) json: Option<Value>,
    #[serde(default, skip_serializing_if = "Layout::is_compact")]
    layout: Layout,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    after: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<Vec<String>>,
}

/// Where white space is in a JSON text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Layout {
    /// Nowhere.
    #[default]
    Compact,
    /// Indented by two.
    Pretty,
    /// Behind each comma and colon.
    Spaced,
}

/// What became of a request that got no response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failure {
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// The timeout, or the wait that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    millis: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

/// The kinds of [`HttpError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Connection,
    Timeout,
    Tls,
    Login,
    Redirect,
    Unusable,
    BodyUnsupported,
    BodyTooManyCodings,
    BodyTooLong,
    BodyInvalid,
    BodyTruncated,
    TokenRefused,
    TokenUnavailable,
    TokenMalformed,
    TokenClosed,
}

fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The text of a cassette.
pub(super) fn write(exchanges: &[Exchange]) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string(&Head { cassette: VERSION })?;
    for exchange in exchanges {
        text += "\n";
        text += &serde_json::to_string_pretty(exchange)?;
    }
    text += "\n";
    Ok(text)
}

/// The exchanges of a text, each with its first line; or the line that is wrong, and why.
pub(super) fn read(text: &str) -> Result<Vec<(usize, Exchange)>, (usize, String)> {
    let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
    let head: Head = serde_json::from_str(head)
        .map_err(|_| (1, r#"no cassette: its first line is not {"cassette":1}"#.to_owned()))?;
    if head.cassette != VERSION {
        return Err((1, format!("a cassette of version {}; only {VERSION} can be read", head.cassette)));
    }
    let mut found = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Exchange>();
    loop {
        let offset = stream.byte_offset();
        let space = rest[offset..].len() - rest[offset..].trim_start().len();
        let first = 2 + memchr::memchr_iter(b'\n', &rest.as_bytes()[..offset + space]).count();
        match stream.next() {
            None => return Ok(found),
            Some(Ok(exchange)) => {
                exchange.check().map_err(|reason| (first, reason))?;
                found.push((first, exchange));
            }
            Some(Err(error)) => {
                let reason = error.to_string();
                let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
                let line = error.line() + 1;
                return Err((line, format!("{reason} (in the exchange that begins in line {first})")));
            }
        }
    }
}

impl Exchange {
    /// Whether it can be played back.
    fn check(&self) -> Result<(), String> {
        if self.response.is_some() == self.error.is_some() {
            return Err("an exchange has either `response` or `error`".to_owned());
        }
        header_map(&self.request.headers)?;
        self.request.body.as_ref().map(Body::bytes).transpose()?;
        if let Some(response) = &self.response {
            if !(100..=999).contains(&response.status) {
                return Err(format!("{} is no status", response.status));
            }
            header_map(&response.headers)?;
            response.body.as_ref().map(Body::bytes).transpose()?;
        }
        self.error.as_ref().map(Failure::to_error).transpose().map(drop)
    }
}

/// Headers from their lines.
pub(super) fn header_map(lines: &[String]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let pair = line.split_once(": ").and_then(|(name, value)| {
            Some((
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::from_bytes(value.as_bytes()).ok()?,
            ))
        });
        let (name, value) = pair.ok_or_else(|| format!("{line:?} is no header; write \"name: value\""))?;
        headers.append(name, value);
    }
    Ok(headers)
}

impl Body {
    /// JSON, if it can be nested in a cassette.
    pub(super) fn json(value: Value, layout: Layout, after: &str) -> Self {
        if depth(&value) > MAX_DEPTH {
            return Body::text(&(layout.render(&value) + after));
        }
        Body { json: Some(value), layout, after: after.to_owned(), ..Body::default() }
    }

    /// Text.
    pub(super) fn text(text: &str) -> Self {
        Body { text: Some(text.split('\n').map(str::to_owned).collect()), ..Body::default() }
    }

    /// Bytes.
    pub(super) fn base64(bytes: &[u8]) -> Self {
        Body {
            base64: Some(bytes.chunks(LINE).map(|line| STANDARD.encode(line)).collect()),
            ..Body::default()
        }
    }

    /// What goes over the wire.
    pub(super) fn bytes(&self) -> Result<Bytes, String> {
        match (&self.json, &self.text, &self.base64) {
            (Some(value), None, None) => Ok((self.layout.render(value) + &self.after).into()),
            (None, Some(lines), None) => Ok(lines.join("\n").into()),
            (None, None, Some(lines)) => {
                let bytes = STANDARD.decode(lines.concat());
                bytes.map(Bytes::from).map_err(|error| format!("`base64` cannot be decoded: {error}"))
            }
            _ => Err("a body has one of `json`, `text` and `base64`".to_owned()),
        }
    }
}

fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    1 + inner.unwrap_or_default()
}

impl Layout {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
    fn is_compact(&self) -> bool {
        *self == Layout::Compact
    }

    /// The layout and the white space behind it that make this text of the value, to the byte.
    pub(super) fn of<'t>(text: &'t str, value: &Value) -> Option<(Layout, &'t str)> {
        let inner = text.trim_end_matches([' ', '\t', '\r', '\n']);
        let layouts = [Layout::Compact, Layout::Pretty, Layout::Spaced];
        let layout = layouts.into_iter().find(|layout| layout.render(value) == inner)?;
        Some((layout, &text[inner.len()..]))
    }

    /// The text of a value.
    pub(super) fn render(self, value: &Value) -> String {
        fn with(value: &Value, formatter: impl Formatter) -> String {
            let mut bytes = Vec::new();
            // neither memory nor a value fails
            let _ = value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter));
            String::from_utf8(bytes).unwrap_or_default()
        }
        match self {
            Layout::Compact => with(value, CompactFormatter),
            Layout::Pretty => with(value, PrettyFormatter::new()),
            Layout::Spaced => with(value, SpacedFormatter),
        }
    }
}

/// `{"a": 1, "b": 2}`
struct SpacedFormatter;

impl Formatter for SpacedFormatter {
    fn begin_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

impl Failure {
    /// An error written down.
    pub(super) fn of(error: &HttpError) -> Self {
        let plain = |kind| Failure { kind, message: None, millis: None, coding: None, limit: None };
        let said = |kind, message: &str| Failure { message: Some(message.to_owned()), ..plain(kind) };
        let millis = |time: &Duration| u64::try_from(time.as_millis()).ok();
        match error {
            HttpError::Connection(message) => said(Kind::Connection, message),
            HttpError::Timeout(after) => Failure { millis: millis(after), ..plain(Kind::Timeout) },
            // never seen by a transport; the way it reads is what matters
            HttpError::Limited(_) => said(Kind::Connection, &error.to_string()),
            HttpError::Tls(message) => said(Kind::Tls, message),
            HttpError::Login(message) => said(Kind::Login, message),
            HttpError::Redirect(message) => said(Kind::Redirect, message),
            HttpError::Unusable(message) => said(Kind::Unusable, message),
            HttpError::Body(BodyError::Unsupported(coding)) => {
                Failure { coding: Some(coding.clone()), ..plain(Kind::BodyUnsupported) }
            }
            HttpError::Body(BodyError::TooManyCodings) => plain(Kind::BodyTooManyCodings),
            HttpError::Body(BodyError::TooLong { limit }) => {
                Failure { limit: Some(*limit), ..plain(Kind::BodyTooLong) }
            }
            HttpError::Body(BodyError::Invalid { coding, reason }) => {
                Failure { coding: Some((*coding).to_owned()), ..said(Kind::BodyInvalid, reason) }
            }
            HttpError::Body(BodyError::Truncated { coding }) => {
                Failure { coding: Some((*coding).to_owned()), ..plain(Kind::BodyTruncated) }
            }
            HttpError::Token(TokenError::Refused { reason }) => said(Kind::TokenRefused, reason),
            HttpError::Token(TokenError::Unavailable { reason, retry_after }) => Failure {
                millis: retry_after.as_ref().and_then(millis),
                ..said(Kind::TokenUnavailable, reason)
            },
            HttpError::Token(TokenError::Malformed { reason }) => said(Kind::TokenMalformed, reason),
            HttpError::Token(TokenError::Closed) => plain(Kind::TokenClosed),
        }
    }

    /// The error again.
    pub(super) fn to_error(&self) -> Result<HttpError, String> {
        let message = || self.message.clone().ok_or("this error has a `message`");
        let wait = self.millis.map(Duration::from_millis);
        let coding = || {
            let known = ["gzip", "deflate", "zstd"];
            let found = self.coding.as_ref().and_then(|coding| known.into_iter().find(|name| name == coding));
            found.ok_or("the `coding` of this error is gzip, deflate or zstd")
        };
        Ok(match self.kind {
            Kind::Connection => HttpError::Connection(message()?),
            Kind::Timeout => HttpError::Timeout(wait.ok_or("a timeout has `millis`")?),
            Kind::Tls => HttpError::Tls(message()?),
            Kind::Login => HttpError::Login(message()?),
            Kind::Redirect => HttpError::Redirect(message()?),
            Kind::Unusable => HttpError::Unusable(message()?),
            Kind::BodyUnsupported => {
                BodyError::Unsupported(self.coding.clone().ok_or("this error has a `coding`")?).into()
            }
            Kind::BodyTooManyCodings => BodyError::TooManyCodings.into(),
            Kind::BodyTooLong => {
                BodyError::TooLong { limit: self.limit.ok_or("this error has a `limit`")? }.into()
            }
            Kind::BodyInvalid => BodyError::Invalid { coding: coding()?, reason: message()? }.into(),
            Kind::BodyTruncated => BodyError::Truncated { coding: coding()? }.into(),
            Kind::TokenRefused => TokenError::Refused { reason: message()? }.into(),
            Kind::TokenUnavailable => {
                TokenError::Unavailable { reason: message()?, retry_after: wait }.into()
            }
            Kind::TokenMalformed => TokenError::Malformed { reason: message()? }.into(),
            Kind::TokenClosed => TokenError::Closed.into(),
        })
    }
}
