//! HTTP Digest authentication: the client side of RFC 7616, RFC 2617 and RFC 2069.
//!
//! The first request goes out unsigned and brings a challenge. From then on every request is signed at
//! once with the remembered nonce and the next count of its use, so that it costs one round trip. Many
//! requests may be in flight with one nonce. A server that finds the nonce too old says so with a new
//! one, and the request is repeated: that is no refusal of the credentials.
//!
//! ```text
//! signed = digest.authorize(method, target)      // None: send unsigned
//! 401    → digest.challenged(signed, headers, attempt): Retry | Refused(why)
//! else   → digest.accepted(signed, headers)
//! ```
//!
//! Not done: `auth-int`, SHA-512-256, `domain`, proof of the server (`rspauth`; that is what TLS is for).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use md5::{Digest as _, Md5};
use sha2::Sha256;

mod challenge;
#[cfg(test)]
mod tests;

use challenge::{Challenge, Hash, Unusable};

/// With so many responses 401 a request is refused. One each is usual for a request without signature and
/// for a nonce that expired, another if the next nonce expired beside it.
pub const MAX_CHALLENGES: u32 = 4;

/// User name and password. The password is shown nowhere.
#[derive(Clone)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// For Atlas: the public and the private part of an API key.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Credentials { user: user.into(), password: password.into() }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).field("password", &"***").finish()
    }
}

/// What to do after a 401.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Call [`Digest::authorize`] again and repeat the request.
    Retry,
    /// Repeating does not help.
    Refused(Refusal),
}

/// Why a request stays unauthorized.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The credentials are wrong, expired or not allowed to do this.
    #[error("the server does not accept the credentials of {user}")]
    Credentials {
        /// The user name.
        user: String,
    },
    /// The server asks for something else than Digest.
    #[error("the server asks for no Digest authentication{}", schemes(offered))]
    NoDigest {
        /// The schemes it offers.
        offered: Vec<String>,
    },
    /// It asks for Digest in a form that is not supported.
    #[error("the server's Digest challenge is not supported: {0}")]
    Unsupported(String),
    /// New challenges without end.
    #[error("the server asked {MAX_CHALLENGES} times in a row for new authentication")]
    TooOften,
    /// The system has no random numbers.
    #[error("no random numbers for the client nonce: {0}")]
    Random(String),
}

fn schemes(offered: &[String]) -> String {
    match offered {
        [] => String::new(),
        offered => format!(", it offers {}", offered.join(", ")),
    }
}

/// The signature of one request. Keep it until the response is there.
#[derive(Debug, Clone)]
pub struct Signed {
    value: HeaderValue,
    session: Arc<Session>,
}

impl Signed {
    /// The value of the `Authorization` header, marked as sensitive.
    pub fn value(&self) -> &HeaderValue {
        &self.value
    }
}

/// A nonce in use.
struct Session {
    challenge: Challenge,
    /// The hash of the credentials, for `-sess` with the nonces of the challenge that began it.
    ha1: String,
    cnonce: String,
    /// Requests signed with this nonce.
    used: AtomicU64,
    /// One of them was not answered with 401.
    is_proven: AtomicBool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("challenge", &self.challenge)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// The authentication of one user at one server, for any number of concurrent requests.
#[derive(Debug)]
pub struct Digest {
    credentials: Credentials,
    current: Mutex<Option<Arc<Session>>>,
}

impl Digest {
    /// Knows no nonce yet.
    pub fn new(credentials: Credentials) -> Self {
        Digest { credentials, current: Mutex::new(None) }
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs the next request with the remembered nonce. `target` is path and query, exactly as they go
    /// over the wire. `None` if there is no nonce yet: send the request without, the answer brings one.
    ///
    /// Also `None` for a target with control characters, which cannot be sent anyway.
    pub fn authorize(&self, method: &str, target: &str) -> Option<Signed> {
        let session = self.current().clone()?;
        // the count has eight hex digits: after that, ask for a new nonce
        let count = u32::try_from(session.used.fetch_add(1, Ordering::Relaxed) + 1).ok()?;
        let text = header(&self.credentials, &session, method, target, count);
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(Signed { value, session })
    }

    /// Takes a 401 in: `signed` is what [`Self::authorize`] gave for the request, `headers` those of the
    /// response, `attempt` the number of 401 for this request so far, with this one.
    ///
    /// - Unsigned, or signed with a nonce that was replaced meanwhile: retry with the current one.
    /// - `stale=true`: retry with the new nonce.
    /// - Signed with the current nonce and not stale: refused. With one exception: if that nonce worked
    ///   before and the server now sends another one, retry with it, as there are servers that never say
    ///   `stale`. The new nonce is unproven, so that revoked credentials are refused with the next 401.
    /// - The fourth 401 of a request is a refusal in any case.
    pub fn challenged(&self, signed: Option<&Signed>, headers: &HeaderMap, attempt: u32) -> Next {
        let challenge = match challenge::choose(headers) {
            Ok(challenge) => challenge,
            Err(Unusable::NoDigest(offered)) => return Next::Refused(Refusal::NoDigest { offered }),
            Err(Unusable::Unsupported(what)) => return Next::Refused(Refusal::Unsupported(what)),
        };
        let is_stale = challenge.is_stale;
        // hashed outside of the lock; lost if another request was faster
        let session = match Session::new(&self.credentials, challenge) {
            Ok(session) => Arc::new(session),
            Err(error) => return Next::Refused(Refusal::Random(error.to_string())),
        };
        let mut current = self.current();
        let is_overtaken = match (signed, current.as_ref()) {
            (_, None) => false,
            (None, Some(current)) => current.used.load(Ordering::Relaxed) < u64::from(u32::MAX),
            (Some(signed), Some(current)) => !Arc::ptr_eq(&signed.session, current),
        };
        // a server with constant nonces expects the count to go on
        let is_same = current.as_ref().is_some_and(|old| old.challenge.is_same_session(&session.challenge));
        if !is_overtaken && !is_same {
            *current = Some(session);
        }
        drop(current);
        if attempt >= MAX_CHALLENGES {
            return Next::Refused(Refusal::TooOften);
        }
        let is_unproven = |signed: &Signed| is_same || !signed.session.is_proven.load(Ordering::Relaxed);
        if !is_overtaken && !is_stale && signed.is_some_and(is_unproven) {
            return Next::Refused(Refusal::Credentials { user: self.credentials.user.clone() });
        }
        Next::Retry
    }

    /// Takes any other response to a signed request in: the credentials are good, and
    /// `Authentication-Info` may bring the nonce for the next requests.
    pub fn accepted(&self, signed: &Signed, headers: &HeaderMap) {
        signed.session.is_proven.store(true, Ordering::Relaxed);
        let Some(nonce) = challenge::next_nonce(headers) else { return };
        let mut current = self.current();
        let is_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &signed.session));
        if is_current && nonce != signed.session.challenge.nonce {
            *current = Some(Arc::new(signed.session.continued(nonce)));
        }
    }
}

impl Challenge {
    /// Whether this is the same nonce for the same thing.
    fn is_same_session(&self, other: &Challenge) -> bool {
        (&self.nonce, &self.realm, self.hash, self.is_session, self.has_qop)
            == (&other.nonce, &other.realm, other.hash, other.is_session, other.has_qop)
    }
}

impl Session {
    fn new(credentials: &Credentials, challenge: Challenge) -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 18];
        getrandom::fill(&mut bytes)?;
        Ok(Self::with_cnonce(credentials, challenge, URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn with_cnonce(credentials: &Credentials, challenge: Challenge, cnonce: String) -> Self {
        let hash = challenge.hash;
        let mut ha1 = hash.of(&[&credentials.user, &challenge.realm, &credentials.password]);
        if challenge.is_session {
            ha1 = hash.of(&[&ha1, &challenge.nonce, &cnonce]);
        }
        Session { challenge, ha1, cnonce, used: AtomicU64::new(0), is_proven: AtomicBool::new(false) }
    }

    /// The same authentication with the next nonce. A `-sess` key lasts until the next challenge.
    fn continued(&self, nonce: String) -> Self {
        Session {
            challenge: Challenge { nonce, ..self.challenge.clone() },
            ha1: self.ha1.clone(),
            cnonce: self.cnonce.clone(),
            used: AtomicU64::new(0),
            is_proven: AtomicBool::new(true),
        }
    }

    fn response(&self, method: &str, target: &str, count: u32) -> String {
        let Challenge { hash, nonce, .. } = &self.challenge;
        let ha2 = hash.of(&[method, target]);
        if self.challenge.has_qop {
            hash.of(&[&self.ha1, nonce, &format!("{count:08x}"), &self.cnonce, "auth", &ha2])
        } else {
            hash.of(&[&self.ha1, nonce, &ha2])
        }
    }
}

/// The `Authorization` header.
fn header(credentials: &Credentials, session: &Session, method: &str, target: &str, count: u32) -> String {
    let challenge = &session.challenge;
    let user = &credentials.user;
    let mut text = if challenge.userhash {
        format!("Digest username=\"{}\"", challenge.hash.of(&[user, &challenge.realm]))
    } else if user.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        format!("Digest username={}", quoted(user))
    } else {
        format!("Digest username*=UTF-8''{}", percent_encoded(user))
    };
    text += &format!(
        ", realm={}, nonce={}, uri={}, response=\"{}\"",
        quoted(&challenge.realm),
        quoted(&challenge.nonce),
        quoted(target),
        session.response(method, target, count),
    );
    if let Some(algorithm) = &challenge.algorithm {
        text += &format!(", algorithm={algorithm}");
    }
    if let Some(opaque) = &challenge.opaque {
        text += &format!(", opaque={}", quoted(opaque));
    }
    if challenge.has_qop || challenge.is_session {
        text += &format!(", cnonce={}", quoted(&session.cnonce));
    }
    if challenge.has_qop {
        text += &format!(", qop=auth, nc={count:08x}");
    }
    if challenge.userhash {
        text += ", userhash=true";
    }
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

/// `ext-value` of RFC 8187, with a few more characters encoded than needed.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

impl Hash {
    /// Hex digits of the hash of `parts`, joined with colons.
    fn of(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Hash::Md5 => hex(&Md5::digest(text)),
            Hash::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}
