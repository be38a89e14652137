//! The server's clock: runs at its own speed, can be set, advanced and stopped, and may show a wrong `Date`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::lock;

/// Where the server's clock begins and how fast it runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    /// The server's time when it starts.
    pub start: DateTime<Utc>,
    /// Server seconds per real second; 0 stops the clock.
    pub speed: f64,
}

impl Default for Clock {
    /// Noon of 2 June 2025, at the speed of real time.
    fn default() -> Self {
        Clock { start: time(1_748_865_600_000_000), speed: 1.0 }
    }
}

impl Clock {
    /// The time of this machine, at the speed of real time.
    pub fn live() -> Self {
        Clock { start: Utc::now(), speed: 1.0 }
    }

    /// The default time, which only moves when a test moves it.
    pub fn stopped() -> Self {
        Clock { speed: 0.0, ..Clock::default() }
    }
}

/// The running clock. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct ServerClock(Arc<Mutex<Running>>);

#[derive(Debug)]
struct Running {
    base: DateTime<Utc>,
    since: Instant,
    speed: f64,
    skew: TimeDelta,
}

impl Running {
    fn now(&self) -> DateTime<Utc> {
        let passed = self.since.elapsed().as_secs_f64() * self.speed;
        self.base + TimeDelta::microseconds((passed * 1e6) as i64)
    }

    fn rebase(&mut self, base: DateTime<Utc>) {
        self.base = base;
        self.since = Instant::now();
    }
}

impl ServerClock {
    pub(super) fn new(clock: Clock, skew: TimeDelta) -> Self {
        ServerClock(Arc::new(Mutex::new(Running {
            base: clock.start,
            since: Instant::now(),
            speed: clock.speed,
            skew,
        })))
    }

    /// The server's time, which decides what is visible.
    pub fn now(&self) -> DateTime<Utc> {
        lock(&self.0).now()
    }

    /// The time that `Date` shows: the server's time and its skew.
    pub fn date(&self) -> DateTime<Utc> {
        let running = lock(&self.0);
        running.now() + running.skew
    }

    /// Sets the time; the clock runs on from there.
    pub fn set(&self, to: DateTime<Utc>) {
        lock(&self.0).rebase(to);
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut running = lock(&self.0);
        let to = running.now() + TimeDelta::from_std(by).unwrap_or_default();
        running.rebase(to);
    }

    /// Changes the speed from now on.
    pub fn set_speed(&self, speed: f64) {
        let mut running = lock(&self.0);
        let now = running.now();
        running.rebase(now);
        running.speed = speed;
    }

    /// Changes how much `Date` is wrong.
    pub fn set_skew(&self, skew: TimeDelta) {
        lock(&self.0).skew = skew;
    }

    /// Server seconds per real second.
    pub fn speed(&self) -> f64 {
        lock(&self.0).speed
    }

    pub(super) fn micros(&self) -> i64 {
        self.now().timestamp_micros()
    }
}

/// Microseconds since 1970 as a time.
pub(super) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

/// A time as HTTP headers have it.
pub(super) fn http_date(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads ISO 8601 as the API takes it: any fraction, any zone, none means UTC.
pub(super) fn parse_iso(text: &str) -> Option<i64> {
    if let Ok(at) =
        DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, "%FT%T%.f%z"))
    {
        return Some(at.timestamp_micros());
    }
    let date = if text.len() == 10 { format!("{text}T00:00:00") } else { text.to_owned() };
    let at = NaiveDateTime::parse_from_str(&date, "%FT%T%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(&date, "%FT%H:%M"));
    at.ok().map(|at| at.and_utc().timestamp_micros())
}
