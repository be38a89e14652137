//! What a response says about the server's limits.
//!
//! Understood are `RateLimit-Limit`, `-Remaining`, `-Reset` (drafts 3 to 6 of the IETF), one header
//! `RateLimit` (draft 7: `limit=…, remaining=…, reset=…`; since draft 8: `"name";r=…;t=…`), the `X-` forms
//! with a reset in seconds, in seconds or milliseconds since 1970 or as an ISO 8601 date, and
//! `Retry-After` as seconds or as a date.
//!
//! Dates are compared with the response's `Date`, so that it does not matter whether the local clock is
//! right. Only without one the local clock counts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, NaiveDateTime};
use http::HeaderMap;

use crate::http::headers::{http_date, server_time};

/// Numbers from here on are a time, in seconds since 1970 (2001), not a number of seconds (31 years).
const EPOCH_SECONDS: f64 = 1e9;

/// Numbers from here on are in milliseconds since 1970.
const EPOCH_MILLIS: f64 = 1e12;

/// The limits as the server sees them. What it does not say, or not understandably, is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Feedback {
    /// How many requests the limit allows.
    pub limit: Option<u64>,
    /// How many are left now.
    pub remaining: Option<u64>,
    /// How long until there are more.
    pub reset: Option<Duration>,
    /// How long to send nothing.
    pub retry_after: Option<Duration>,
}

impl Feedback {
    /// Reads the headers of a response that came at `now` by the local clock.
    pub fn read(headers: &HeaderMap, now: SystemTime) -> Self {
        let now = server_time(headers).unwrap_or(now);
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let combined = Combined::read(headers);
        let number = |name: &str| {
            let value =
                text(&format!("ratelimit-{name}")).or_else(|| text(&format!("x-ratelimit-{name}")))?;
            // `100, 100;w=60`
            first_number(value.split([',', ';']).next()?)
        };
        let reset = || wait(text("ratelimit-reset").or_else(|| text("x-ratelimit-reset"))?, now);
        Feedback {
            limit: combined.limit.or_else(|| number("limit")),
            remaining: combined.remaining.or_else(|| number("remaining")),
            reset: combined.reset.or_else(reset),
            retry_after: text("retry-after").and_then(|value| wait(value, now)),
        }
    }
}

/// The header `RateLimit`. Of several limits in it the one with the least left counts.
#[derive(Debug, Default)]
struct Combined {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<Duration>,
}

impl Combined {
    fn read(headers: &HeaderMap) -> Self {
        let mut tightest = Combined::default();
        for value in headers.get_all("ratelimit") {
            let Ok(value) = value.to_str() else { continue };
            // draft 7 separates the parts of one limit with commas, later drafts the limits
            let separator = if value.contains(';') { ',' } else { '\0' };
            for item in value.split(separator) {
                let next = Self::of_item(item);
                if next.remaining.is_some_and(|left| tightest.remaining.is_none_or(|least| left < least)) {
                    tightest = next;
                }
            }
        }
        tightest
    }

    fn of_item(item: &str) -> Self {
        let mut found = Combined::default();
        for part in item.split([';', ',']) {
            let Some((name, value)) = part.split_once('=') else { continue };
            match name.trim().to_ascii_lowercase().as_str() {
                "limit" => found.limit = first_number(value),
                "remaining" | "r" => found.remaining = first_number(value),
                "reset" | "t" => found.reset = seconds(value),
                _ => {}
            }
        }
        found
    }
}

fn first_number(text: &str) -> Option<u64> {
    text.trim().trim_matches('"').parse().ok()
}

/// A number of seconds, perhaps with a fraction.
fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(number(text)?).ok()
}

fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain { text.parse().ok() } else { None }
}

/// Seconds, or a date in any form, as a time from `now`; a date in the past is no wait.
fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    let until = match number(text) {
        Some(number) if number >= EPOCH_MILLIS => UNIX_EPOCH.checked_add(millis(number)?)?,
        Some(number) if number >= EPOCH_SECONDS => UNIX_EPOCH.checked_add(seconds(text)?)?,
        Some(_) => return seconds(text),
        None => http_date(text).or_else(|| iso_date(text.trim()))?,
    };
    Some(until.duration_since(now).unwrap_or_default())
}

fn millis(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number / 1000.0).ok()
}

/// ISO 8601 as servers write it: seconds and zone may be missing; no zone is UTC.
fn iso_date(text: &str) -> Option<SystemTime> {
    if let Ok(date) = DateTime::parse_from_rfc3339(text) {
        return Some(date.into());
    }
    // Atlassian: `2024-05-01T12:00Z`
    let zoned = ["%Y-%m-%dT%H:%M%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"];
    if let Some(date) = zoned.iter().find_map(|format| DateTime::parse_from_str(text, format).ok()) {
        return Some(date.into());
    }
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    local
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|date| date.and_utc().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2024-05-01T12:00:00Z
    const NOON: u64 = 1_714_564_800;

    fn read(pairs: &[(&'static str, &str)]) -> Feedback {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        Feedback::read(&headers, UNIX_EPOCH + Duration::from_secs(NOON))
    }

    fn numbers(feedback: Feedback) -> [Option<u64>; 4] {
        let whole = |wait: Option<Duration>| wait.map(|wait| wait.as_secs());
        [feedback.limit, feedback.remaining, whole(feedback.reset), whole(feedback.retry_after)]
    }

    #[test]
    fn header_styles() {
        for (pairs, expected) in [
            (
                &[("ratelimit-limit", "300"), ("ratelimit-remaining", "299")][..],
                [Some(300), Some(299), None, None],
            ),
            (
                &[
                    ("RateLimit-Limit", "100, 100;w=60"),
                    ("ratelimit-remaining", " 5 "),
                    ("ratelimit-reset", "30"),
                ],
                [Some(100), Some(5), Some(30), None],
            ),
            (&[("ratelimit", "limit=100, remaining=50, reset=30")], [Some(100), Some(50), Some(30), None]),
            (&[("ratelimit", "\"a\";r=50;t=30, \"b\"; r=3; t=9")], [None, Some(3), Some(9), None]),
            (
                &[("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "17")],
                [Some(10), Some(0), Some(17), None],
            ),
            (&[("x-ratelimit-remaining", "-1"), ("ratelimit-limit", "many")], [None; 4]),
            (&[("ratelimit", "limit"), ("retry-after", "soon")], [None; 4]),
        ] {
            assert_eq!(numbers(read(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn forms_of_a_time() {
        for (text, expected) in [
            ("0", Some(0)),
            ("90", Some(90)),
            ("1.5", Some(1)),
            ("1714564860", Some(60)),
            ("1714564860.25", Some(60)),
            ("1714564860000", Some(60)),
            ("1714560000", Some(0)),
            ("2024-05-01T12:01:00Z", Some(60)),
            ("2024-05-01T12:01Z", Some(60)),
            ("2024-05-01T14:01:00.500+0200", Some(60)),
            ("2024-05-01T12:01:00", Some(60)),
            ("2024-05-01 12:01:00Z", Some(60)),
            ("Wed, 01 May 2024 12:01:00 GMT", Some(60)),
            ("Wed, 01 May 2024 11:00:00 GMT", Some(0)),
            ("-5", None),
            ("1e9", None),
            ("inf", None),
            ("", None),
            ("99999999999999999999999999999999999999999999999", None),
        ] {
            assert_eq!(numbers(read(&[("retry-after", text)]))[3], expected, "{text}");
            assert_eq!(numbers(read(&[("x-ratelimit-reset", text)]))[2], expected, "{text}");
        }
    }

    #[test]
    fn dates_are_relative_to_the_server_s_clock() {
        let date = ("date", "Wed, 01 May 2019 12:00:00 GMT");
        let until = ("retry-after", "Wed, 01 May 2019 12:00:42 GMT");
        assert_eq!(numbers(read(&[date, until]))[3], Some(42));
        assert_eq!(numbers(read(&[date, ("x-ratelimit-reset", "2019-05-01T12:00:07Z")]))[2], Some(7));
        assert_eq!(numbers(read(&[("date", "yesterday"), until]))[3], Some(0));
    }

    proptest! {
        #[test]
        fn any_value_is_read(value in "[ -~]*", date in "[ -~]*") {
            read(&[("ratelimit", &value), ("retry-after", &value), ("x-ratelimit-reset", &date), ("date", &date)]);
        }

        #[test]
        fn any_number_is_read(value in "[0-9]{0,30}(\\.[0-9]{0,10})?") {
            read(&[("ratelimit", &format!("r={value};t={value}")), ("retry-after", &value)]);
        }
    }
}
