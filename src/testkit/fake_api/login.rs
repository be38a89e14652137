//! Who asks: HTTP Digest after RFC 7616, service accounts with their tokens, and Atlassian's API key.
//!
//! Nonces and tokens live in real time, as clients measure it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::faults::Fault;
use super::random::Random;
use super::routes::{Call, Endpoint, form};
use super::server::{Answer, atlas_error};

/// The realm of the challenge.
const REALM: &str = "MMS Public API";

/// How Atlas wants clients to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    None,
    /// With an API key.
    Digest(Digest),
    /// With a service account.
    ServiceAccount(ServiceAccount),
    /// With either; requests without any get the digest's challenge.
    Both(Digest, ServiceAccount),
}

/// A hash of HTTP Digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `MD5`
    Md5,
    /// `SHA-256`
    Sha256,
}

/// An API key and how its digest is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The user.
    pub public: String,
    /// The password.
    pub private: String,
    /// The hash.
    pub algorithm: Algorithm,
    /// Whether the session variant is asked for (`MD5-sess`, `SHA-256-sess`).
    pub sess: bool,
    /// How long a nonce is good.
    pub nonce_life: Duration,
    /// Whether the same `nc` may come again for a nonce.
    pub allow_count_reuse: bool,
}

impl Default for Digest {
    fn default() -> Self {
        Digest {
            public: "fakepublic".to_owned(),
            private: "fake-private-key".to_owned(),
            algorithm: Algorithm::Md5,
            sess: false,
            nonce_life: Duration::from_mins(1),
            allow_count_reuse: false,
        }
    }
}

impl Digest {
    fn name(&self) -> &'static str {
        match (self.algorithm, self.sess) {
            (Algorithm::Md5, false) => "MD5",
            (Algorithm::Md5, true) => "MD5-sess",
            (Algorithm::Sha256, false) => "SHA-256",
            (Algorithm::Sha256, true) => "SHA-256-sess",
        }
    }

    fn hash(&self, text: &str) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.algorithm {
            Algorithm::Md5 => hex(&Md5::digest(text)),
            Algorithm::Sha256 => hex(&Sha256::digest(text)),
        }
    }

    /// The response of RFC 7616 with `qop=auth`.
    pub(super) fn response(
        &self,
        realm: &str,
        method: &str,
        uri: &str,
        nonce: &str,
        nc: &str,
        cnonce: &str,
    ) -> String {
        let mut secret = self.hash(&format!("{}:{realm}:{}", self.public, self.private));
        if self.sess {
            secret = self.hash(&format!("{secret}:{nonce}:{cnonce}"));
        }
        let request = self.hash(&format!("{method}:{uri}"));
        self.hash(&format!("{secret}:{nonce}:{nc}:{cnonce}:auth:{request}"))
    }
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub secret: String,
    /// How long a token is good; whole seconds of it are in `expires_in`.
    pub token_life: Duration,
}

impl Default for ServiceAccount {
    fn default() -> Self {
        ServiceAccount {
            client_id: "mdb_sa_id_fake".to_owned(),
            secret: "fake-client-secret".to_owned(),
            token_life: Duration::from_hours(1),
        }
    }
}

/// What was seen of logins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Logins {
    /// Requests without a digest that got a challenge.
    pub challenged: u64,
    /// Requests with a wrong digest, token or secret.
    pub rejected: u64,
    /// Good digests over a nonce that was too old, or was said to be.
    pub stale: u64,
    /// Good digests with an `nc` that was not greater than the last.
    pub replayed: u64,
    /// Requests for a token, whatever came of them.
    pub token_requests: u64,
    /// Tokens given out.
    pub tokens: u64,
    /// Tokens taken back, by the client or by a fault.
    pub revoked: u64,
}

#[derive(Debug)]
struct Nonce {
    since: Instant,
    count: u32,
    is_spent: bool,
}

/// The state of logins.
#[derive(Debug)]
pub(super) struct Login {
    auth: Auth,
    nonces: HashMap<String, Nonce>,
    tokens: HashMap<String, Instant>,
    random: Random,
    pub(super) seen: Logins,
}

impl Login {
    pub(super) fn new(auth: Auth, seed: u64) -> Self {
        let random = Random::new(seed, 0x106e);
        Login { auth, nonces: HashMap::new(), tokens: HashMap::new(), random, seen: Logins::default() }
    }

    /// Forgets all tokens at once.
    pub(super) fn revoke_all(&mut self) {
        self.seen.revoked += self.tokens.len() as u64;
        self.tokens.clear();
    }

    /// Lets no nonce be good any more.
    pub(super) fn spend_all(&mut self) {
        self.nonces.values_mut().for_each(|nonce| nonce.is_spent = true);
    }

    fn account(&self) -> Option<ServiceAccount> {
        match &self.auth {
            Auth::ServiceAccount(account) | Auth::Both(_, account) => Some(account.clone()),
            _ => None,
        }
    }

    /// Checks a request to Atlas: the user's name, or the refusal.
    pub(super) fn check(&mut self, call: &Call, fault: Option<Fault>) -> Result<String, Answer> {
        let digest = match &self.auth {
            Auth::None => return Ok("anyone".to_owned()),
            Auth::Digest(digest) | Auth::Both(digest, _) => Some(digest.clone()),
            Auth::ServiceAccount(_) => None,
        };
        let (scheme, rest) =
            call.header("authorization").and_then(|header| header.split_once(' ')).unwrap_or_default();
        match (scheme.to_ascii_lowercase().as_str(), digest) {
            ("bearer", digest) => match self.account() {
                Some(account) => self.bearer(rest.trim(), account, fault),
                None => {
                    self.seen.rejected += 1;
                    Err(digest.map_or_else(unauthorized, |digest| self.challenge(&digest, false)))
                }
            },
            ("digest", Some(digest)) => self.digest(&digest, call, rest, fault),
            ("", Some(digest)) => {
                self.seen.challenged += 1;
                Err(self.challenge(&digest, false))
            }
            _ => {
                self.seen.rejected += 1;
                Err(unauthorized())
            }
        }
    }

    fn bearer(
        &mut self,
        token: &str,
        account: ServiceAccount,
        fault: Option<Fault>,
    ) -> Result<String, Answer> {
        let is_good = self.tokens.get(token).is_some_and(|end| Instant::now() < *end);
        if is_good && fault != Some(Fault::RevokeToken) {
            return Ok(account.client_id);
        }
        if self.tokens.remove(token).is_some() && is_good {
            self.seen.revoked += 1;
        } else {
            self.seen.rejected += 1;
        }
        Err(unauthorized().with("WWW-Authenticate", "Bearer error=\"invalid_token\""))
    }

    fn digest(
        &mut self,
        digest: &Digest,
        call: &Call,
        rest: &str,
        fault: Option<Fault>,
    ) -> Result<String, Answer> {
        let fields = fields(rest);
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let nonce = field("nonce").to_owned();
        let count = u32::from_str_radix(field("nc"), 16).unwrap_or(0);
        let expected =
            digest.response(REALM, &call.method, &call.target, &nonce, field("nc"), field("cnonce"));
        let is_right = field("username") == digest.public
            && field("realm") == REALM
            && field("uri") == call.target
            && field("qop") == "auth"
            && field("nc").len() == 8
            && count > 0
            && !field("cnonce").is_empty()
            && fields.get("algorithm").map_or(digest.name() == "MD5", |name| name == digest.name())
            && field("response") == expected;
        let Some(known) = self.nonces.get_mut(&nonce).filter(|_| is_right) else {
            self.seen.rejected += 1;
            return Err(self.challenge(digest, false));
        };
        let is_old = known.is_spent || known.since.elapsed() > digest.nonce_life;
        if is_old || fault == Some(Fault::StaleNonce) {
            known.is_spent = true;
            self.seen.stale += 1;
            return Err(self.challenge(digest, true));
        }
        if count <= known.count && !digest.allow_count_reuse {
            self.seen.replayed += 1;
            return Err(self.challenge(digest, true));
        }
        known.count = known.count.max(count);
        Ok(digest.public.clone())
    }

    fn challenge(&mut self, digest: &Digest, stale: bool) -> Answer {
        if self.nonces.len() > 10_000 {
            self.nonces.retain(|_, nonce| nonce.since.elapsed() < digest.nonce_life * 2);
        }
        let nonce =
            STANDARD.encode([self.random.next().to_be_bytes(), self.random.next().to_be_bytes()].concat());
        self.nonces.insert(nonce.clone(), Nonce { since: Instant::now(), count: 0, is_spent: false });
        let name = digest.name();
        let header = format!(
            "Digest realm=\"{REALM}\", domain=\"\", nonce=\"{nonce}\", algorithm={name}, qop=\"auth\", \
             stale={stale}"
        );
        unauthorized().with("WWW-Authenticate", &header)
    }

    /// Gives out a token, or takes one back.
    pub(super) fn token(&mut self, call: &Call, endpoint: Endpoint) -> Answer {
        let problem = |status: u16, error: &str, text: &str| {
            Answer::json(status, &json!({ "error": error, "error_description": text }))
        };
        let Some(account) = self.account() else {
            return problem(401, "invalid_client", "This server knows no service account.");
        };
        if basic(call).is_none_or(|(id, secret)| id != account.client_id || secret != account.secret) {
            self.seen.rejected += 1;
            let answer = problem(401, "invalid_client", "Client authentication failed.");
            return answer.with("WWW-Authenticate", "Basic realm=\"oauth\"");
        }
        let form = form(&String::from_utf8_lossy(&call.body));
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if endpoint == Endpoint::Revoke {
            let Some(token) = field("token") else {
                return problem(400, "invalid_request", "There is no token.");
            };
            self.seen.revoked += u64::from(self.tokens.remove(token).is_some());
            return Answer::json(200, &json!({}));
        }
        if field("grant_type") != Some("client_credentials") {
            return problem(400, "unsupported_grant_type", "Only client_credentials is supported.");
        }
        self.tokens.retain(|_, end| Instant::now() < *end);
        let token = format!("fake.{:016x}{:016x}", self.random.next(), self.random.next());
        self.tokens.insert(token.clone(), Instant::now() + account.token_life);
        self.seen.tokens += 1;
        let life = account.token_life.as_secs();
        Answer::json(200, &json!({ "access_token": token, "expires_in": life, "token_type": "Bearer" }))
    }
}

/// The name and secret of HTTP Basic.
pub(super) fn basic(call: &Call) -> Option<(String, String)> {
    let (scheme, rest) = call.header("authorization")?.split_once(' ')?;
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| (id.to_owned(), secret.to_owned()))
}

fn unauthorized() -> Answer {
    atlas_error(401, "UNAUTHORIZED", "You are not authorized for this resource.", &[])
}

/// The fields of a digest: `name=value` or `name="value"`, separated by commas.
fn fields(text: &str) -> HashMap<String, String> {
    let mut fields = HashMap::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let mut value = String::new();
        let used = if let Some(quoted) = after.strip_prefix('"') {
            let mut is_escaped = false;
            let end = quoted.char_indices().find(|(_, c)| {
                let ends = *c == '"' && !is_escaped;
                is_escaped = *c == '\\' && !is_escaped;
                if !ends && !is_escaped {
                    value.push(*c);
                }
                ends
            });
            end.map_or(after.len(), |(at, _)| at + 2)
        } else {
            let end = after.find(',').unwrap_or(after.len());
            after[..end].trim().clone_into(&mut value);
            end
        };
        fields.insert(name.trim().to_ascii_lowercase(), value);
        rest = after[used..].trim_start_matches([',', ' ', '\t']);
    }
    fields
}
