//! HTTP for sources and sinks: one client with every kind of login, limits, and bounded bodies.
//!
//! * [`Client`]: sends one request: waits for the rate limit, signs, follows redirects within the
//!   origin, renews a login once, reads a bounded body.
//! * [`auth`]: what a user writes as `auth`.
//! * [`transport`]: the wire. [`cassette`]: a recorder before it, or a player in its place.
//! * [`digest`], [`oauth`], [`limit`], [`retry`], [`body`], [`headers`]: building blocks that make no
//!   connection themselves.

pub mod auth;
pub mod body;
pub mod cassette;
mod client;
pub mod digest;
pub mod headers;
pub mod limit;
pub mod oauth;
pub mod retry;
pub mod transport;

pub use client::{Client, ClientOptions, HttpError, Request, Response};
