//! What a user writes as `auth`, and how requests are signed with it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use tokio::time::Instant;

use super::digest::{Credentials, Digest, Next, Refusal, Signed};
use super::oauth::{Endpoint, Grant, Secret as Token, Token as Lease, TokenError, TokenKeeper, parse_grant};
use super::transport::Transport;
use super::{HttpError, Request, Response};

/// A password, key or token. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "x-secret": true, "x-form": "secret" })
    }
}

/// How requests are signed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// User name and password in the clear, over TLS.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token in `Authorization: Bearer`: one of `token`, `token_file`, `token_command`.
    Bearer {
        /// The token.
        token: Option<Secret>,
        /// A file that holds it; read again when the server refuses what was read.
        token_file: Option<PathBuf>,
        /// A command that prints it; run again when the server refuses what was printed.
        token_command: Option<Vec<String>>,
        /// Where the command runs.
        #[serde(skip)]
        #[schemars(skip)]
        folder: PathBuf,
    },
    /// A key in a header or in the query.
    ApiKey {
        /// Name of the header.
        header: Option<String>,
        /// Name of the member of the query.
        query: Option<String>,
        /// The key.
        value: Secret,
    },
    /// HTTP Digest (RFC 7616): MD5, SHA-256, their `-sess` forms; nonces are used again.
    Digest {
        /// Public API key.
        public_key: Option<String>,
        /// Private API key.
        private_key: Option<Secret>,
        /// User name, for servers that have users and no keys.
        username: Option<String>,
        /// Its password.
        password: Option<Secret>,
    },
    /// OAuth 2 with client credentials.
    Oauth2 {
        /// Where tokens are requested.
        token_url: String,
        /// Where they are revoked at the end; they are left to expire without it.
        revoke_url: Option<String>,
        /// Public name of the client.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
        /// What the token is asked for.
        scope: Option<String>,
    },
    /// A service account of MongoDB Atlas: OAuth 2 with its token address known.
    ServiceAccount {
        /// Public name of the client.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
        /// Revoke the token at the end; it is left to expire otherwise.
        #[serde(default)]
        revoke: bool,
    },
}

/// One `auth`, or a list of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AuthOption {
    /// One.
    One(Auth),
    /// Several: a service account among them wins, otherwise the first.
    Several(#[schemars(length(min = 1))] Vec<Auth>),
}

impl AuthOption {
    /// The one that counts.
    pub fn chosen(&self) -> Option<&Auth> {
        match self {
            AuthOption::One(auth) => Some(auth),
            AuthOption::Several(all) => {
                all.iter().find(|auth| matches!(auth, Auth::ServiceAccount { .. })).or(all.first())
            }
        }
    }
}

impl Auth {
    /// What is wrong with it, beyond its form.
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            Auth::Bearer { token, token_file, token_command, .. } => {
                let given = [token.is_some(), token_file.is_some(), token_command.is_some()];
                (given.iter().filter(|given| **given).count() != 1)
                    .then_some("give one of `token`, `token_file` and `token_command`")
            }
            Auth::ApiKey { header, query, .. } => {
                (header.is_some() == query.is_some()).then_some("give either `header` or `query`")
            }
            Auth::Digest { public_key, private_key, username, password } => {
                let keys = public_key.is_some() && private_key.is_some();
                let user = username.is_some() && password.is_some();
                (keys == user).then_some("give `public_key` and `private_key`, or `username` and `password`")
            }
            _ => None,
        }
    }

    /// Makes relative paths start at the folder of the pipeline file.
    pub fn resolve(&mut self, base: &Path) {
        if let Auth::Bearer { token_file, folder, .. } = self {
            *token_file = token_file.take().map(|path| crate::config::resolve(base, &path));
            *folder = base.to_path_buf();
        }
    }

    /// Its name as the user wrote it.
    pub fn kind(&self) -> &'static str {
        match self {
            Auth::Basic { .. } => "basic",
            Auth::Bearer { .. } => "bearer",
            Auth::ApiKey { .. } => "api_key",
            Auth::Digest { .. } => "digest",
            Auth::Oauth2 { .. } => "oauth2",
            Auth::ServiceAccount { .. } => "service_account",
        }
    }

    /// What stands in the header in the place of user and password.
    pub fn encoded(&self) -> Option<String> {
        let (user, password) = match self {
            Auth::Basic { username, password } => (username, password),
            Auth::Oauth2 { client_id, client_secret, .. }
            | Auth::ServiceAccount { client_id, client_secret, .. } => (client_id, client_secret),
            _ => return None,
        };
        basic(user, password.reveal()).strip_prefix("Basic ").map(str::to_owned)
    }

    /// Every secret in it, for a recorder to take out.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Auth::Basic { password, .. } => vec![password.clone()],
            Auth::Bearer { token, .. } => token.iter().cloned().collect(),
            Auth::ApiKey { value, .. } => vec![value.clone()],
            Auth::Digest { private_key, password, .. } => {
                private_key.iter().chain(password).cloned().collect()
            }
            Auth::Oauth2 { client_secret, .. } | Auth::ServiceAccount { client_secret, .. } => {
                vec![client_secret.clone()]
            }
        }
    }
}

/// Signs requests of one login.
pub(super) enum Signer {
    Header(HeaderName, HeaderValue),
    Query(String, Secret),
    Read(ReadToken),
    Digest(Digest),
    Token(Arc<TokenKeeper<TokenRequests>>),
}

/// What a request was signed with.
pub(super) enum Mark {
    None,
    Digest(Option<Signed>),
    Lease(Lease),
}

impl Signer {
    /// The signer of a login. `service_tokens` is the base of a service account's token address.
    pub(super) fn new(
        auth: &Auth,
        service_tokens: Option<&url::Url>,
        transport: &Arc<dyn Transport>,
    ) -> Result<Self, HttpError> {
        let unusable = |what: &str| HttpError::Unusable(format!("{what} cannot be sent in a header"));
        let secret_header = |text: &str, what: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| unusable(what))?;
            value.set_sensitive(true);
            Ok::<_, HttpError>(value)
        };
        Ok(match auth {
            Auth::Basic { username, password } => Signer::Header(
                AUTHORIZATION,
                secret_header(&basic(username, password.reveal()), "the login")?,
            ),
            Auth::Bearer { token: Some(token), .. } => {
                let value = secret_header(&format!("Bearer {}", token.reveal()), "the token")?;
                Signer::Header(AUTHORIZATION, value)
            }
            Auth::Bearer { token_file, token_command, folder, .. } => {
                let from = match (token_file, token_command) {
                    (Some(path), _) => TokenFrom::File(path.clone()),
                    (_, Some(words)) => TokenFrom::Command(words.clone(), folder.clone()),
                    _ => return Err(HttpError::Unusable("`auth` has no token".to_owned())),
                };
                Signer::Read(ReadToken { from, last: Mutex::default() })
            }
            Auth::ApiKey { header: Some(header), value, .. } => {
                let name = HeaderName::from_bytes(header.as_bytes()).map_err(|_| unusable("the name"))?;
                Signer::Header(name, secret_header(value.reveal(), "the key")?)
            }
            Auth::ApiKey { query, value, .. } => {
                Signer::Query(query.clone().unwrap_or_default(), value.clone())
            }
            Auth::Digest { public_key, private_key, username, password } => {
                let user = public_key.as_ref().or(username.as_ref()).cloned().unwrap_or_default();
                let password = private_key.as_ref().or(password.as_ref()).map(Secret::reveal);
                Signer::Digest(Digest::new(Credentials::new(user, password.unwrap_or_default())))
            }
            Auth::Oauth2 { token_url, revoke_url, client_id, client_secret, scope } => {
                let parse = |text: &str| {
                    url::Url::parse(text).map_err(|error| HttpError::Unusable(format!("token_url: {error}")))
                };
                Signer::Token(Arc::new(TokenKeeper::new(TokenRequests {
                    transport: transport.clone(),
                    token_url: parse(token_url)?,
                    revoke_url: revoke_url.as_deref().map(parse).transpose()?,
                    client_id: client_id.clone(),
                    client_secret: client_secret.clone(),
                    scope: scope.clone(),
                })))
            }
            Auth::ServiceAccount { client_id, client_secret, revoke } => {
                let base = service_tokens.cloned().ok_or_else(|| {
                    HttpError::Unusable("`service_account` is a login of MongoDB Atlas; use `oauth2`".into())
                })?;
                let join = |path: &str| {
                    base.join(path).map_err(|error| HttpError::Unusable(format!("base_url: {error}")))
                };
                Signer::Token(Arc::new(TokenKeeper::new(TokenRequests {
                    transport: transport.clone(),
                    token_url: join("/api/oauth/token")?,
                    revoke_url: if *revoke { Some(join("/api/oauth/revoke")?) } else { None },
                    client_id: client_id.clone(),
                    client_secret: client_secret.clone(),
                    scope: None,
                })))
            }
        })
    }

    /// Puts the login into a request.
    pub(super) async fn sign(&self, request: &mut Request) -> Result<Mark, HttpError> {
        match self {
            Signer::Header(name, value) => {
                request.headers.insert(name.clone(), value.clone());
                Ok(Mark::None)
            }
            Signer::Query(name, value) => {
                request.secret_query = Some((name.clone(), value.clone()));
                Ok(Mark::None)
            }
            Signer::Read(token) => {
                request.headers.insert(AUTHORIZATION, token.get().await?);
                Ok(Mark::None)
            }
            Signer::Digest(digest) => {
                let target = target_of(&request.url);
                let signed = digest.authorize(request.method.as_str(), &target);
                if let Some(signed) = &signed {
                    request.headers.insert(AUTHORIZATION, signed.value().clone());
                }
                Ok(Mark::Digest(signed))
            }
            Signer::Token(keeper) => {
                let lease = keeper.get().await?;
                let mut value = HeaderValue::from_str(&format!("Bearer {}", lease.reveal()))
                    .map_err(|_| HttpError::Unusable("the token cannot be sent in a header".into()))?;
                value.set_sensitive(true);
                request.headers.insert(AUTHORIZATION, value);
                Ok(Mark::Lease(lease))
            }
        }
    }

    /// Looks at a response. Whether the request should be sent again, signed anew.
    pub(super) fn wants_another(
        &self,
        mark: &Mark,
        response: &Response,
        attempt: u32,
    ) -> Result<bool, HttpError> {
        if response.status != 401 {
            if let (Signer::Digest(digest), Mark::Digest(Some(signed))) = (self, mark) {
                digest.accepted(signed, &response.headers);
            }
            return Ok(false);
        }
        match (self, mark) {
            (Signer::Digest(digest), Mark::Digest(signed)) => {
                match digest.challenged(signed.as_ref(), &response.headers, attempt) {
                    Next::Retry => Ok(true),
                    // nonces that run out under one's hands say nothing about the key
                    Next::Refused(refusal @ Refusal::TooOften) => {
                        Err(HttpError::Connection(refusal.to_string()))
                    }
                    Next::Refused(refusal) => Err(HttpError::Login(refusal.to_string())),
                }
            }
            (Signer::Token(keeper), Mark::Lease(lease)) => Ok(keeper.invalidate(lease) && attempt == 1),
            (Signer::Read(token), _) => Ok(token.forget() && attempt == 1),
            _ => Ok(false),
        }
    }

    /// Ends the login at the server, where there is something to end.
    pub(super) async fn close(&self) {
        if let Signer::Token(keeper) = self
            && let Err(error) = keeper.close().await
        {
            tracing::debug!(error = %error, "the token was not revoked");
        }
    }
}

/// Path and query of a URL as they stand in a request line.
pub(super) fn target_of(url: &url::Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

fn basic(user: &str, password: &str) -> String {
    let pair = format!("{user}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// Where a token is read from, again and again.
enum TokenFrom {
    File(PathBuf),
    Command(Vec<String>, PathBuf),
}

/// A token that is read when it is needed, and again after a refusal or a while.
pub(super) struct ReadToken {
    from: TokenFrom,
    last: Mutex<Option<(HeaderValue, Instant)>>,
}

/// How long a token that was read is used before it is looked at again.
const READ_AGAIN: Duration = Duration::from_mins(5);

impl ReadToken {
    async fn get(&self) -> Result<HeaderValue, HttpError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((value, read_at)) = last
            && read_at.elapsed() < READ_AGAIN
        {
            return Ok(value);
        }
        let text = match &self.from {
            TokenFrom::File(path) => {
                let path = path.clone();
                let shown = path.display().to_string();
                let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
                let read =
                    read.map_err(|error| std::io::Error::other(error.to_string())).and_then(|read| read);
                read.map_err(|error| {
                    HttpError::Unusable(format!("cannot read the token in {shown}: {error}"))
                })?
            }
            TokenFrom::Command(words, folder) => {
                let (words, folder) = (words.clone(), folder.clone());
                let shown = words.first().cloned().unwrap_or_default();
                let run = tokio::task::spawn_blocking(move || {
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    crate::config::run_command(&words, &folder)
                })
                .await;
                let run = run.map_err(|error| error.to_string()).and_then(|run| run);
                run.map_err(|error| HttpError::Unusable(format!("the command `{shown}` {error}")))?
            }
        };
        let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
            .map_err(|_| HttpError::Unusable("the token cannot be sent in a header".to_owned()))?;
        value.set_sensitive(true);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((value.clone(), Instant::now()));
        Ok(value)
    }

    /// Whether there was something to forget.
    fn forget(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }
}

/// Requests tokens over the client's own transport.
pub(super) struct TokenRequests {
    transport: Arc<dyn Transport>,
    token_url: url::Url,
    revoke_url: Option<url::Url>,
    client_id: String,
    client_secret: Secret,
    scope: Option<String>,
}

impl TokenRequests {
    async fn post(&self, url: &url::Url, form: &[(&str, &str)]) -> Result<Response, HttpError> {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::new(http::Method::POST, url.clone());
        let mut login = HeaderValue::from_str(&basic(&self.client_id, self.client_secret.reveal()))
            .map_err(|_| HttpError::Unusable("the client cannot be sent in a header".to_owned()))?;
        login.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, login);
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(http::header::CONTENT_TYPE, form_type);
        request.headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        request.body = Some(body.into());
        self.transport.execute(&request).await
    }
}

impl Endpoint for TokenRequests {
    async fn fetch(&self) -> Result<Grant, TokenError> {
        let mut form = vec![("grant_type", "client_credentials")];
        if let Some(scope) = &self.scope {
            form.push(("scope", scope));
        }
        let response = self
            .post(&self.token_url, &form)
            .await
            .map_err(|error| TokenError::Unavailable { reason: error.to_string(), retry_after: None })?;
        let retry_after = super::limit::Feedback::read(&response.headers, response.received_at).retry_after;
        parse_grant(response.status, &response.body, retry_after, &[self.client_secret.reveal()])
    }

    async fn revoke(&self, token: &Token) -> Result<(), TokenError> {
        let Some(url) = &self.revoke_url else { return Ok(()) };
        let form = [("token", token.reveal()), ("token_type_hint", "access_token")];
        let sent = self.post(url, &form).await;
        sent.map(drop)
            .map_err(|error| TokenError::Unavailable { reason: error.to_string(), retry_after: None })
    }
}
