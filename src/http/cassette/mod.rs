//! Cassettes: HTTP written down once and played back offline, on the level of [`Transport`].
//!
//! A [`Recorder`] stands before the wire and notes every exchange that passes, token requests, challenges
//! and failures of the wire included. A [`Player`] stands in its place and answers from the notes.
//!
//! # The file
//!
//! UTF-8. The first line is `{"cassette":1}`; after it comes one JSON object per exchange, indented by two
//! and in the order in which the exchanges ended, so that `jq` reads it and `diff` shows it.
//!
//! ```text
//! {"cassette":1}
//! {
//!   "request": {
//!     "method": "GET",
//!     "url": "https://api.test/events?page=2",
//!     "login": "digest",
//!     "headers": ["accept: application/json"]
//!   },
//!   "response": {
//!     "status": 200,
//!     "headers": ["content-type: application/json", "date: Mon, 02 Jun 2025 12:00:00 GMT"],
//!     "body": { "json": { "results": [] } }
//!   }
//! }
//! ```
//!
//! - `request.url` has its query as it was sent. `request.login` says how the request was signed (`basic`,
//!   `bearer`, `digest`, `header`, `query`), never with what.
//! - `headers` are those of a short list, sorted by name; more with [`Scrub::header`].
//! - `body` is one of `json` (numbers and the order of members as they were; `layout` is `pretty` or
//!   `spaced` if the text was not compact, `after` the white space behind it), `text` (a list of lines,
//!   joined by `\n`) and `base64` (a list of lines, joined by nothing). Without a body there is none. The
//!   bytes that come out are those that went in, but for what was redacted.
//! - Instead of `response`, `error` says what became of the wire: `kind`, and what else that kind has.
//! - How long anything took is not there, nor when it was, but for the `date` of a response.
//!
//! # What is never in it
//!
//! A cassette is made to be shown. What is secret is replaced by `REDACTED_<what>_<number>_`; the same
//! value has the same number, so that a token still is the one that was granted and a nonce a new one.
//!
//! - Logins: no `Authorization`, no cookies, no [`Request`] member that is a login.
//! - Members with names like `access_token`, `client_secret`, `password` or `api_key`, however spelled, in
//!   JSON, forms and queries, also where these stand in other text, and passwords in URLs; more with [`Scrub::member`].
//! - Nonces and the like of Digest.
//! - The text of every secret that was handed over, was sent as a login or was found by its name, anywhere:
//!   plain, percent-encoded, JSON-escaped, in base64 (with whatever stands before and behind it), and in
//!   gzip files. Listed secrets of less than four bytes count only where they are a whole value; found ones
//!   of less than twelve only where their name stands.
//!
//! Not found: names of secrets in XML and multipart; a text in another compression or cipher, cut in pieces.

mod compare;
mod exchange;
mod needle;
mod player;
mod recorder;
mod redact;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use player::{Asked, Player, Recorded};
pub use recorder::{BodyScrub, Recorder, Scrub, Tape};

#[cfg(doc)]
use super::{Request, transport::Transport};

/// Why a cassette cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CassetteError {
    /// The file system.
    #[error("cannot {action} the cassette {}: {error}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
    /// It is no cassette, or not a whole one.
    #[error("{}:{line}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
}
