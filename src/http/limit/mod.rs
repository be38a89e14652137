//! Rate limits: a token bucket per scope, corrected by what the server says.
//!
//! A scope is whatever the server counts together, for example the events of one project. All requests
//! of a scope go through [`Limiter::acquire`], first come, first served. Only the first waiter of a scope
//! has a timer, so thousands of them cost little.
//!
//! The bucket only ever gets stricter than configured: the server's `remaining` may take tokens away, as
//! others may use the same limit, and its `limit` may shrink the bucket. A 429 stops the whole scope.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use tokio::sync::Mutex as Turnstile;
use tokio::time::Instant;

mod feedback;

pub use feedback::Feedback;

/// How long a server may stop a scope, unless [`Limiter::with_max_pause`] says otherwise.
pub const MAX_PAUSE: Duration = Duration::from_hours(1);

/// A bucket: so many tokens at most, and so many new ones in a time, evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    capacity: u32,
    refill: u32,
    per: Duration,
}

impl Rate {
    /// `capacity` requests at once, `refill` more `per` time. Zeros count as one (nanosecond).
    pub fn new(capacity: u32, refill: u32, per: Duration) -> Self {
        Rate { capacity: capacity.max(1), refill: refill.max(1), per: per.max(Duration::from_nanos(1)) }
    }

    /// What one token costs. In this unit a nanosecond brings `refill`, so that nothing is ever rounded.
    fn cost(self) -> u128 {
        self.per.as_nanos()
    }
}

/// Token buckets for any number of scopes.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    max_pause: Duration,
    scopes: Mutex<HashMap<String, Arc<Scope>>>,
}

#[derive(Debug)]
struct Scope {
    /// Its queue is the order of the waiters; the holder is the one that waits for time.
    turnstile: Turnstile<()>,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    /// The capacity, or what the server says if that is less.
    capacity: u32,
    /// In the unit of [`Rate::cost`].
    level: u128,
    filled_at: Instant,
    paused_until: Option<Instant>,
}

/// The right to send one request. Dropping it is using it.
#[derive(Debug)]
pub struct Permit {
    scope: Arc<Scope>,
}

impl Permit {
    /// Puts it back, as the request was not sent after all.
    pub fn give_back(self) {
        let mut bucket = self.scope.bucket();
        bucket.fill(Instant::now());
        let full = bucket.full();
        bucket.level = (bucket.level + bucket.rate.cost()).min(full);
    }
}

impl Limiter {
    /// Scopes get full buckets of this rate when they are first used.
    pub fn new(rate: Rate) -> Self {
        Limiter { rate, max_pause: MAX_PAUSE, scopes: Mutex::default() }
    }

    /// Longer pauses than this are cut; at most a day.
    #[must_use]
    pub fn with_max_pause(self, max_pause: Duration) -> Self {
        Limiter { max_pause: max_pause.min(MAX_PAUSE * 24), ..self }
    }

    /// Gives a scope a rate of its own, and a full bucket if it has none yet.
    pub fn set_rate(&self, scope: &str, rate: Rate) {
        let scope = self.scope(scope, rate);
        let mut bucket = scope.bucket();
        if bucket.rate != rate {
            let now = Instant::now();
            bucket.fill(now);
            let tokens = bucket.level / bucket.rate.cost();
            let paused_until = bucket.paused_until;
            *bucket = Bucket { level: tokens * rate.cost(), paused_until, ..Bucket::new(rate, now) };
            bucket.fill(now);
        }
    }

    /// Waits for a token of the scope, behind all that came before.
    ///
    /// A waiter may be dropped at any time; it takes no token with it. For a request that belongs to two
    /// scopes, acquire both, one after the other, always in the same order.
    pub async fn acquire(&self, scope: &str) -> Permit {
        let scope = self.scope(scope, self.rate);
        {
            let _turn = scope.turnstile.lock().await;
            loop {
                let ready = scope.bucket().take(Instant::now());
                match ready {
                    Ok(()) => break,
                    // the pause may have grown meanwhile, so look again
                    Err(at) => tokio::time::sleep_until(at).await,
                }
            }
        }
        Permit { scope }
    }

    /// Takes in what a response says about the scope. `now` is the local time of day.
    ///
    /// Gives the pause the whole scope now keeps, if the server asked for one: with `Retry-After` of a 429
    /// or 503, or, lacking that, with the reset of a 429 or of a limit with nothing remaining.
    pub fn observe(
        &self,
        scope: &str,
        headers: &HeaderMap,
        status: u16,
        now: SystemTime,
    ) -> Option<Duration> {
        let feedback = Feedback::read(headers, now);
        let is_busy = matches!(status, 429 | 503);
        let is_empty = status == 429 || feedback.remaining == Some(0);
        let pause = match feedback.retry_after {
            Some(wait) if is_busy => Some(wait),
            _ if is_empty => feedback.reset,
            _ => None,
        };
        let is_silent = feedback.limit.is_none() && feedback.remaining.is_none();
        if is_silent && !is_busy && pause.is_none() {
            return None;
        }
        let scope = self.scope(scope, self.rate);
        let mut bucket = scope.bucket();
        let now = Instant::now();
        bucket.fill(now);
        if let Some(limit) = feedback.limit {
            bucket.capacity = u32::try_from(limit).unwrap_or(u32::MAX).clamp(1, bucket.rate.capacity);
        }
        let remaining = if status == 429 { Some(0) } else { feedback.remaining };
        let most = remaining.map_or(u128::MAX, |left| u128::from(left).saturating_mul(bucket.rate.cost()));
        bucket.level = bucket.level.min(most).min(bucket.full());
        let pause = pause?.min(self.max_pause);
        bucket.pause(now + pause);
        Some(pause)
    }

    /// Stops the whole scope for a time, for servers that ask for it in the body. Never shortens a pause.
    pub fn pause(&self, scope: &str, pause: Duration) {
        let scope = self.scope(scope, self.rate);
        scope.bucket().pause(Instant::now() + pause.min(self.max_pause));
    }

    /// How long the server still wants the whole scope to be left alone.
    pub fn paused_for(&self, scope: &str) -> Option<Duration> {
        let scope = self.scope(scope, self.rate);
        let until = scope.bucket().paused_until?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    fn scope(&self, name: &str, rate: Rate) -> Arc<Scope> {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scope) = scopes.get(name) {
            return Arc::clone(scope);
        }
        let bucket = Mutex::new(Bucket::new(rate, Instant::now()));
        let scope = Arc::new(Scope { turnstile: Turnstile::new(()), bucket });
        scopes.insert(name.to_owned(), Arc::clone(&scope));
        scope
    }
}

impl Scope {
    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn new(rate: Rate, now: Instant) -> Self {
        let level = u128::from(rate.capacity) * rate.cost();
        Bucket { rate, capacity: rate.capacity, level, filled_at: now, paused_until: None }
    }

    fn full(&self) -> u128 {
        u128::from(self.capacity) * self.rate.cost()
    }

    fn fill(&mut self, now: Instant) {
        let gain = now.saturating_duration_since(self.filled_at).as_nanos() * u128::from(self.rate.refill);
        self.level = self.level.saturating_add(gain).min(self.full());
        self.filled_at = self.filled_at.max(now);
    }

    /// Takes a token, or says when to try again.
    fn take(&mut self, now: Instant) -> Result<(), Instant> {
        if let Some(until) = self.paused_until {
            if until > now {
                return Err(until);
            }
            self.paused_until = None;
        }
        self.fill(now);
        let cost = self.rate.cost();
        if self.level >= cost {
            self.level -= cost;
            return Ok(());
        }
        let wait = (cost - self.level).div_ceil(u128::from(self.rate.refill));
        Err(now + Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    fn pause(&mut self, until: Instant) {
        self.paused_until = self.paused_until.max(Some(until));
    }
}

#[cfg(test)]
mod tests;
