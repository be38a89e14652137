//! OAuth 2 with client credentials: one token for all requests, requested as seldom as possible.
//!
//! - Any number of callers cause one request. If the one that makes it is dropped, the next one takes over.
//! - A token is renewed before it ends: a tenth of its life before, but at most 60 s. One caller does so;
//!   the others go on with the old one, which is good for most of that margin.
//! - A token that gets a 401 is replaced once. If the server hands out the same one again, that is an error.
//! - Failures are kept for a while that doubles, and answered without a request: at first a second if it
//!   may pass, half a minute if someone has to look at it.
//! - At most eight requests per minute go out in any case. Atlas allows ten, per address and client.
//!
//! How a request is made is up to an [`Endpoint`]; use [`parse_grant`] for its response.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turnstile, Notify};
use tokio::time::Instant;

mod grant;

pub use grant::{Grant, Secret, TokenError, parse_grant};

/// Token requests within [`WINDOW`].
const MAX_REQUESTS: usize = 8;

/// The time in which [`MAX_REQUESTS`] are allowed.
const WINDOW: Duration = Duration::from_mins(1);

/// A token is renewed this long before its end, or a tenth of its life if that is less.
const MARGIN: Duration = Duration::from_mins(1);

/// First and longest wait after a failure that may pass.
const SOON: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// First and longest wait after a refusal.
const LATER: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(10));

/// Makes the requests.
pub trait Endpoint: Send + Sync {
    /// Requests a token.
    fn fetch(&self) -> impl Future<Output = Result<Grant, TokenError>> + Send;

    /// Revokes a token.
    fn revoke(&self, token: &Secret) -> impl Future<Output = Result<(), TokenError>> + Send;
}

/// A token in use.
#[derive(Debug, Clone)]
pub struct Token(Arc<Held>);

#[derive(Debug)]
struct Held {
    secret: Secret,
    renew_at: Instant,
    ends_at: Instant,
}

impl Token {
    /// The text for `Authorization: Bearer …`.
    pub fn reveal(&self) -> &str {
        self.0.secret.reveal()
    }

    fn new(grant: Grant, requested_at: Instant) -> Self {
        let margin = MARGIN.min(grant.life / 10);
        let end = requested_at + grant.life;
        // the last sixth is for the way to the server
        Token(Arc::new(Held { secret: grant.token, renew_at: end - margin, ends_at: end - margin / 6 }))
    }
}

/// Keeps the token of one client.
pub struct TokenKeeper<E> {
    endpoint: E,
    /// Held by the one that makes a request.
    turnstile: Turnstile<()>,
    /// Wakes the one that waits for the limit of requests.
    closing: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Token>,
    /// The last token a server answered with 401.
    rejected: Option<Secret>,
    failure: Option<Failure>,
    /// Starts of the last requests.
    requests: VecDeque<Instant>,
    is_closed: bool,
}

#[derive(Debug)]
struct Failure {
    error: TokenError,
    until: Instant,
    /// Failures in a row.
    count: u32,
}

/// What a look at the state gives.
enum Look {
    Token(Token),
    /// It should be renewed, and can be used until then.
    Aging(Token),
    Missing,
}

impl<E: Endpoint> TokenKeeper<E> {
    /// Has no token yet, and requests none before it is asked for one.
    pub fn new(endpoint: E) -> Self {
        TokenKeeper {
            endpoint,
            turnstile: Turnstile::new(()),
            closing: Notify::new(),
            state: Mutex::default(),
        }
    }

    /// The token to use now. Requests one if need be, which may wait for the limit of requests.
    ///
    /// An error comes at once as long as a failure is kept; try again with a backoff of your own.
    pub async fn get(&self) -> Result<Token, TokenError> {
        let seen = self.state().look()?;
        let _turn = match seen {
            Look::Token(token) => return Ok(token),
            Look::Aging(token) => match self.turnstile.try_lock() {
                Ok(turn) => turn,
                // someone renews it already
                Err(_) => return Ok(token),
            },
            Look::Missing => self.turnstile.lock().await,
        };
        let old = loop {
            // someone else may have been faster
            let seen = self.state().look()?;
            let wait = self.state().request_wait();
            match seen {
                Look::Token(token) => return Ok(token),
                Look::Aging(token) if wait.is_zero() => break Some(token),
                Look::Aging(token) => return Ok(token),
                Look::Missing if wait.is_zero() => break None,
                // either way: look again
                Look::Missing => drop(tokio::time::timeout(wait, self.closing.notified()).await),
            }
        };
        let started = Instant::now();
        self.state().requests.push_back(started);
        let result = self.endpoint.fetch().await;
        let mut state = self.state();
        match (state.settle(result, started), old) {
            (Err(_), Some(old)) if !state.is_closed && state.is_current(&old) => Ok(old),
            (result, _) => result,
        }
    }

    /// Says that the server answered a request with this token with 401.
    ///
    /// `true`: get the token and repeat the request, once. Either this was the current token, which is
    /// replaced by the next [`Self::get`], or it has been replaced already. `false`: the keeper has ended.
    pub fn invalidate(&self, token: &Token) -> bool {
        let mut state = self.state();
        if state.is_current(token) {
            state.rejected = Some(token.0.secret.clone());
            state.current = None;
        }
        !state.is_closed
    }

    /// Ends the keeper and revokes the token, if there is one. Waits for a request under way.
    pub async fn close(&self) -> Result<(), TokenError> {
        self.state().is_closed = true;
        self.closing.notify_one();
        let _turn = self.turnstile.lock().await;
        let token = self.state().current.take();
        match token {
            Some(token) => self.endpoint.revoke(&token.0.secret).await,
            None => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn look(&self) -> Result<Look, TokenError> {
        if self.is_closed {
            return Err(TokenError::Closed);
        }
        let now = Instant::now();
        let failure = self.failure.as_ref().filter(|failure| failure.until > now);
        match (&self.current, failure) {
            (Some(token), _) if now < token.0.renew_at => Ok(Look::Token(token.clone())),
            (Some(token), Some(_)) if now < token.0.ends_at => Ok(Look::Token(token.clone())),
            (Some(token), None) if now < token.0.ends_at => Ok(Look::Aging(token.clone())),
            (_, Some(failure)) => Err(failure.error.clone()),
            (_, None) => Ok(Look::Missing),
        }
    }

    fn is_current(&self, token: &Token) -> bool {
        self.current.as_ref().is_some_and(|current| Arc::ptr_eq(&current.0, &token.0))
    }

    /// How long until another request is allowed.
    fn request_wait(&mut self) -> Duration {
        let now = Instant::now();
        while self.requests.front().is_some_and(|first| *first + WINDOW <= now) {
            self.requests.pop_front();
        }
        if self.requests.len() < MAX_REQUESTS {
            return Duration::ZERO;
        }
        self.requests.front().map_or(Duration::ZERO, |first| (*first + WINDOW).saturating_duration_since(now))
    }

    /// Takes the result of a request in.
    fn settle(&mut self, result: Result<Grant, TokenError>, started: Instant) -> Result<Token, TokenError> {
        let result = result.and_then(|grant| match &self.rejected {
            Some(rejected) if *rejected == grant.token => Err(TokenError::Refused {
                reason: "the server handed out the token again that it did not accept".to_owned(),
            }),
            _ => Ok(grant),
        });
        match result {
            Ok(grant) => {
                let token = Token::new(grant, started);
                self.failure = None;
                // if the keeper is closed meanwhile: kept to be revoked
                self.current = Some(token.clone());
                if self.is_closed { Err(TokenError::Closed) } else { Ok(token) }
            }
            Err(error) => {
                let count = self.failure.as_ref().map_or(0, |failure| failure.count);
                let ((first, longest), asked) = match &error {
                    TokenError::Unavailable { retry_after, .. } => (SOON, retry_after.unwrap_or_default()),
                    _ => (LATER, Duration::ZERO),
                };
                let wait = first.saturating_mul(2_u32.saturating_pow(count)).min(longest);
                let until = Instant::now() + wait.max(asked.min(LATER.1));
                self.failure = Some(Failure { error: error.clone(), until, count: count.saturating_add(1) });
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
