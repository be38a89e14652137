//! Faults: what goes wrong, how often, and what is to go wrong next.

use std::collections::BTreeMap;
use std::time::Duration;

use super::journal::AuthKind;
use super::random::Random;

/// One way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// 429 with `Retry-After` in seconds.
    TooManySeconds,
    /// 429 with `Retry-After` as an HTTP date.
    TooManyDate,
    /// 429 without `Retry-After`.
    TooManyBare,
    /// 500.
    InternalError,
    /// 503, with `Retry-After` in every other one.
    Unavailable,
    /// The answer comes late, by [`Faults::slow_by`].
    Slow,
    /// The connection ends before any byte of the answer.
    CutBeforeHeaders,
    /// The connection ends within the body.
    CutInBody,
    /// A good nonce is taken for stale. Only requests with a digest are hit.
    StaleNonce,
    /// A good token is revoked: 401. Only requests with a bearer token of Atlas are hit.
    RevokeToken,
}

/// Probabilities, from 0 to 1 per request, and their settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// Probability of [`Fault::TooManySeconds`].
    pub too_many_seconds: f64,
    /// Probability of [`Fault::TooManyDate`].
    pub too_many_date: f64,
    /// Probability of [`Fault::TooManyBare`].
    pub too_many_bare: f64,
    /// Probability of [`Fault::InternalError`].
    pub internal_error: f64,
    /// Probability of [`Fault::Unavailable`].
    pub unavailable: f64,
    /// Probability of [`Fault::Slow`]; comes on top of another fault.
    pub slow: f64,
    /// Probability of [`Fault::CutBeforeHeaders`].
    pub cut_before_headers: f64,
    /// Probability of [`Fault::CutInBody`].
    pub cut_in_body: f64,
    /// Probability of [`Fault::StaleNonce`] for requests with a digest.
    pub stale_nonce: f64,
    /// Probability of [`Fault::RevokeToken`] for requests with a token.
    pub revoke_token: f64,
    /// Seconds in `Retry-After`.
    pub retry_after: u64,
    /// How long [`Fault::Slow`] takes, in real time.
    pub slow_by: Duration,
    /// Fraction of the events that come late. It counts when events are made: at the start and by
    /// `add_project`. Atlassian's are late in another way: `processedAt` is that much after `time`.
    pub late: f64,
    /// How long after `created` a late event becomes visible, in server time.
    pub lateness: Duration,
    /// Fraction of the events that share a round hour with others, or the time of the one before them,
    /// or are its neighbours within a second. It counts when events are made.
    pub collisions: f64,
}

impl Default for Faults {
    /// None, with `Retry-After: 1`, 200 ms of slowness and five minutes of lateness once they are on.
    fn default() -> Self {
        Faults {
            too_many_seconds: 0.0,
            too_many_date: 0.0,
            too_many_bare: 0.0,
            internal_error: 0.0,
            unavailable: 0.0,
            slow: 0.0,
            cut_before_headers: 0.0,
            cut_in_body: 0.0,
            stale_nonce: 0.0,
            revoke_token: 0.0,
            retry_after: 1,
            slow_by: Duration::from_millis(200),
            late: 0.0,
            lateness: Duration::from_mins(5),
            collisions: 0.0,
        }
    }
}

impl Faults {
    /// Every fault of an answer, together at the given rate; stale nonces, revoked tokens, late events
    /// and collisions each at that rate.
    pub fn some(rate: f64) -> Self {
        let each = rate / 8.0;
        Faults {
            too_many_seconds: each,
            too_many_date: each,
            too_many_bare: each,
            internal_error: each,
            unavailable: each,
            slow: each,
            cut_before_headers: each,
            cut_in_body: each,
            stale_nonce: rate,
            revoke_token: rate,
            late: rate,
            collisions: rate,
            ..Faults::default()
        }
    }

    fn answers(&self) -> [(Fault, f64); 7] {
        [
            (Fault::CutBeforeHeaders, self.cut_before_headers),
            (Fault::CutInBody, self.cut_in_body),
            (Fault::InternalError, self.internal_error),
            (Fault::Unavailable, self.unavailable),
            (Fault::TooManySeconds, self.too_many_seconds),
            (Fault::TooManyDate, self.too_many_date),
            (Fault::TooManyBare, self.too_many_bare),
        ]
    }
}

/// A fault that was asked for.
#[derive(Debug)]
struct Order {
    contains: String,
    fault: Fault,
    times: u32,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drawn {
    /// The answer itself.
    pub(super) answer: Option<Fault>,
    /// The login.
    pub(super) login: Option<Fault>,
    /// How long to wait first.
    pub(super) slow: Option<Duration>,
    /// Seconds for `Retry-After`.
    pub(super) retry_after: u64,
    /// Random bits: where to cut, which variant to take.
    pub(super) coin: u64,
}

impl Drawn {
    /// The fault for the log.
    pub(super) fn name(&self) -> Option<Fault> {
        self.answer.or(self.login).or(self.slow.map(|_| Fault::Slow))
    }
}

/// Decides for each request.
#[derive(Debug)]
pub(super) struct Injector {
    pub(super) faults: Faults,
    orders: Vec<Order>,
    random: Random,
    pub(super) hits: BTreeMap<Fault, u64>,
}

impl Injector {
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        Injector { faults, orders: Vec::new(), random: Random::new(seed, 0xfa17), hits: BTreeMap::new() }
    }

    /// Lets the next `times` requests fail whose target contains a text.
    pub(super) fn order(&mut self, contains: &str, fault: Fault, times: u32) {
        self.orders.push(Order { contains: contains.to_owned(), fault, times });
    }

    /// What goes wrong with this request.
    pub(super) fn draw(&mut self, target: &str, auth: AuthKind) -> Drawn {
        let login = match auth {
            AuthKind::Digest => Some((Fault::StaleNonce, self.faults.stale_nonce)),
            AuthKind::Bearer if !target.starts_with("/admin") => {
                Some((Fault::RevokeToken, self.faults.revoke_token))
            }
            _ => None,
        };
        let mut drawn =
            Drawn { retry_after: self.faults.retry_after, coin: self.random.next(), ..Drawn::default() };
        if let Some(order) = self.orders.iter_mut().find(|order| {
            let hits_login = matches!(order.fault, Fault::StaleNonce | Fault::RevokeToken);
            target.contains(&order.contains)
                && (!hits_login || login.is_some_and(|(fault, _)| fault == order.fault))
        }) {
            let fault = order.fault;
            order.times = order.times.saturating_sub(1);
            self.orders.retain(|order| order.times > 0);
            match fault {
                Fault::StaleNonce | Fault::RevokeToken => drawn.login = Some(fault),
                Fault::Slow => drawn.slow = Some(self.faults.slow_by),
                _ => drawn.answer = Some(fault),
            }
        } else {
            let mut left = self.random.fraction();
            drawn.answer = self.faults.answers().into_iter().find_map(|(fault, probability)| {
                let is_hit = left < probability;
                left -= probability;
                is_hit.then_some(fault)
            });
            drawn.slow = self.random.chance(self.faults.slow).then_some(self.faults.slow_by);
            // an answer that fails by itself never looks at the login
            let looks = drawn.answer.is_none_or(|fault| fault == Fault::CutInBody);
            drawn.login = login
                .filter(|(_, probability)| looks && self.random.chance(*probability))
                .map(|(fault, _)| fault);
        }
        let hits = [drawn.answer, drawn.login, drawn.slow.map(|_| Fault::Slow)];
        for fault in hits.into_iter().flatten() {
            *self.hits.entry(fault).or_default() += 1;
        }
        drawn
    }
}
