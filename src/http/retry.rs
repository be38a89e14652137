//! What to do after a response, and how long to wait before the next try.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// What a status means for the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeded.
    Ok,
    /// The server or something on the way is in trouble or busy; the same request may succeed soon.
    RetrySoon,
    /// Someone has to look at it: credentials, permissions, versions, the request itself. Report it at
    /// once, and try again slowly, as the cause may be mended without a restart.
    Ask,
    /// Follow `Location`, with credentials only within the origin.
    Redirect,
}

impl Verdict {
    /// Judges a final status. A 401 is for the authentication to see first (stale nonce, expired token).
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Verdict::Ok,
            301 | 302 | 303 | 307 | 308 => Verdict::Redirect,
            408 | 425 | 429 | 500..=599 => Verdict::RetrySoon,
            _ => Verdict::Ask,
        }
    }
}

/// How to wait between tries: randomly between half of `base` and a limit that doubles with every try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The limit of the first wait.
    pub base: Duration,
    /// The limit of all waits, except for what the server asks for.
    pub max: Duration,
    /// All waits of one request together. `Duration::MAX`: never give up.
    pub budget: Duration,
}

impl Backoff {
    /// The waits of one request.
    pub fn start(self) -> Retries {
        // the keys of a hasher are random
        self.start_seeded(RandomState::new().hash_one(0))
    }

    /// The waits of one request, the same for every run with this seed.
    pub fn start_seeded(self, seed: u64) -> Retries {
        Retries { backoff: self, count: 0, spent: Duration::ZERO, random: seed }
    }
}

/// The waits of one request.
#[derive(Debug, Clone)]
pub struct Retries {
    backoff: Backoff,
    count: u32,
    spent: Duration,
    random: u64,
}

impl Retries {
    /// How long to wait before the next try; `None` if the budget does not suffice for the wait.
    ///
    /// Never less than the server asked for in `at_least`. Then up to `base` is added, so that not all
    /// who were told the same come back together.
    pub fn next_wait(&mut self, at_least: Option<Duration>) -> Option<Duration> {
        let Backoff { base, max, budget } = self.backoff;
        let limit = base.saturating_mul(2_u32.saturating_pow(self.count)).min(max);
        let mut wait = self.between(base.min(max) / 2, limit);
        if let Some(at_least) = at_least {
            wait = wait.max(at_least.saturating_add(self.between(Duration::ZERO, base.min(max))));
        }
        let spent = self.spent.checked_add(wait).filter(|spent| *spent <= budget)?;
        self.spent = spent;
        self.count = self.count.saturating_add(1);
        Some(wait)
    }

    /// Waits so far since the start or the last [`Self::reset`].
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.count = 0;
        self.spent = Duration::ZERO;
    }

    fn between(&mut self, low: Duration, high: Duration) -> Duration {
        // SplitMix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let span = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
        let part = (u128::from(bits) * (u128::from(span) + 1)) >> 64;
        low + Duration::from_nanos(part as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(1),
        max: Duration::from_mins(1),
        budget: Duration::from_mins(10),
    };

    #[test]
    fn verdicts() {
        for status in [200, 204, 206] {
            assert_eq!(Verdict::of_status(status), Verdict::Ok);
        }
        for status in [408, 425, 429, 500, 501, 502, 503, 504, 529, 599] {
            assert_eq!(Verdict::of_status(status), Verdict::RetrySoon);
        }
        for status in [0, 101, 300, 304, 400, 401, 402, 403, 404, 406, 409, 410, 422, 451, 600] {
            assert_eq!(Verdict::of_status(status), Verdict::Ask);
        }
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(Verdict::of_status(status), Verdict::Redirect);
        }
    }

    #[test]
    fn waits_grow_to_the_limit() {
        let endless = Backoff { budget: Duration::MAX, ..BACKOFF };
        let mut longest = [Duration::ZERO; 12];
        for seed in 0..500 {
            let mut retries = endless.start_seeded(seed);
            for (try_index, longest) in longest.iter_mut().enumerate() {
                let wait = retries.next_wait(None).unwrap();
                let limit = Duration::from_secs(1 << try_index).min(endless.max);
                assert!(wait >= Duration::from_millis(500) && wait <= limit, "{try_index}: {wait:?}");
                *longest = (*longest).max(wait);
            }
        }
        assert!(
            longest[0] > Duration::from_millis(950) && longest[11] > Duration::from_secs(58),
            "{longest:?}"
        );
        let mut retries = endless.start_seeded(1);
        for _ in 0..200 {
            assert!(retries.next_wait(None).unwrap() <= endless.max);
        }
        retries.reset();
        assert!(retries.next_wait(None).unwrap() <= endless.base);
        assert_eq!(retries.count(), 1);
    }

    #[test]
    fn seeds_make_the_difference() {
        let waits = |mut retries: Retries| [(); 5].map(|()| retries.next_wait(None));
        assert_eq!(waits(BACKOFF.start_seeded(7)), waits(BACKOFF.start_seeded(7)));
        assert_ne!(waits(BACKOFF.start_seeded(7)), waits(BACKOFF.start_seeded(8)));
        assert_ne!(waits(BACKOFF.start()), waits(BACKOFF.start()));
    }

    #[test]
    fn a_budget_ends() {
        let mut retries = BACKOFF.start_seeded(3);
        let mut total = Duration::ZERO;
        while let Some(wait) = retries.next_wait(None) {
            total += wait;
        }
        assert!(total <= BACKOFF.budget && total + BACKOFF.max > BACKOFF.budget, "{total:?}");
        // what cannot be waited for is not begun
        assert_eq!(BACKOFF.start_seeded(3).next_wait(Some(Duration::from_secs(601))), None);
    }

    proptest! {
        #[test]
        fn never_less_than_asked_for(
            seed: u64, base in 0_u64..u64::MAX, max in 0_u64..u64::MAX, asked in 0_u64..u64::MAX
        ) {
            let backoff = Backoff {
                base: Duration::from_nanos(base),
                max: Duration::from_nanos(max),
                budget: Duration::MAX,
            };
            let mut retries = backoff.start_seeded(seed);
            for _ in 0..70 {
                let wait = retries.next_wait(Some(Duration::from_nanos(asked))).unwrap();
                prop_assert!(wait >= Duration::from_nanos(asked));
            }
        }
    }
}
