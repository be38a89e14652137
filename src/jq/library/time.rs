//! Timestamps as text and as milliseconds since 1970-01-01T00:00:00Z.
//!
//! [`to_epoch_ms`] takes RFC 3339 and what is commonly written instead:
//!
//! - `T`, `t` or spaces between date and time; seconds may be left out, and so may the time
//! - a fraction behind `.` or `,` with any number of digits; below milliseconds it is cut off
//! - `Z`, `±hh:mm`, `±hhmm`, `±hh` or an abbreviation in any case (the table is in `zone.rs`), with
//!   or without a space before it; UTC if there is none
//! - digits alone, also negative: below 10¹¹ they are seconds, below 10¹⁴ milliseconds, below 10¹⁷
//!   microseconds, and else nanoseconds; seconds may have a fraction
//!
//! Second 60, a leap second, is the first one of the next minute, as POSIX clocks have it. Years
//! have four digits. Digits without separators, such as `20240102`, are a number of seconds and no
//! date; [`parse_time`] takes `%Y%m%d`.

use std::num::ParseIntError;

use self::calendar::{civil_from_days, days_from_civil, days_in_month};
use super::text::excerpt;

mod calendar;
mod instant;
mod strftime;
mod strptime;
mod zone;

pub use instant::Instant;
pub(in crate::jq) use strftime::strftime;
pub(in crate::jq) use strptime::{parse_time, strptime};

const DAY_MS: i64 = 86_400_000;

/// A point of time in UTC as C has it in `struct tm`, and jq in an array of this order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::jq) struct BrokenDown {
    /// The year itself, not since 1900.
    pub(in crate::jq) year: i32,
    /// 0 is January.
    pub(in crate::jq) month0: i32,
    /// Day of the month, from 1.
    pub(in crate::jq) day: i32,
    /// From 0 to 23.
    pub(in crate::jq) hour: i32,
    /// From 0 to 59.
    pub(in crate::jq) minute: i32,
    /// With a fraction.
    pub(in crate::jq) seconds: f64,
    /// 0 is Sunday.
    pub(in crate::jq) weekday: i32,
    /// 0 is the first of January.
    pub(in crate::jq) yearday0: i32,
}

/// Seconds since the epoch. Values beyond their range count on, as in C: month 12 is the next
/// January. The fraction of seconds, the weekday and the day of the year do not count.
pub(in crate::jq) fn timegm(time: &BrokenDown) -> i64 {
    let month0 = i64::from(time.month0);
    let year = i64::from(time.year) + month0.div_euclid(12);
    let days = days_from_civil(year, month0.rem_euclid(12) + 1, i64::from(time.day));
    let seconds = i64::from(time.seconds as i32);
    ((days * 24 + i64::from(time.hour)) * 60 + i64::from(time.minute)) * 60 + seconds
}

/// The parts of a number of seconds since the epoch. The fraction goes with the seconds.
pub(in crate::jq) fn gmtime(seconds: f64) -> Result<BrokenDown, String> {
    let whole = seconds.floor();
    let day = (whole / 86_400.0).floor();
    let fail = || "error converting number of seconds since epoch to datetime".to_owned();
    // beyond, a year would not fit; no comparison holds for NaN
    if !(-7.8e11..7.8e11).contains(&day) {
        return Err(fail());
    }
    let whole_seconds = whole as i64;
    let days = whole_seconds.div_euclid(86_400);
    let of_day = whole_seconds.rem_euclid(86_400) as i32;
    let (year, month, day) = civil_from_days(days);
    Ok(BrokenDown {
        year: i32::try_from(year).map_err(|_| fail())?,
        month0: month as i32 - 1,
        day: day as i32,
        hour: of_day / 3600,
        minute: of_day / 60 % 60,
        seconds: f64::from(of_day % 60) + (seconds - whole),
        weekday: calendar::weekday(days) as i32,
        yearday0: (days - days_from_civil(year, 1, 1)) as i32,
    })
}

/// Milliseconds since the epoch of a timestamp in one of the forms above.
pub(in crate::jq) fn to_epoch_ms(text: &str) -> Result<i64, String> {
    match plain_utc(text.as_bytes()) {
        Some(ms) => Ok(ms),
        None => tolerant(text),
    }
}

/// The form of nearly all events, `YYYY-MM-DDTHH:MM:SS[.f…]Z`; `None` for all others and for errors.
fn plain_utc(text: &[u8]) -> Option<i64> {
    let (head, tail) = text.split_first_chunk::<19>()?;
    let date: &[u8; 10] = head.first_chunk()?;
    let clock: &[u8; 8] = head.last_chunk()?;
    let days = date_days(date)?;
    let time = clock_ms(*clock)?;
    let fraction = match tail {
        [b'Z'] => 0,
        [b'.', digits @ .., b'Z'] => fraction_ms(digits)?,
        _ => return None,
    };
    (head[10] == b'T').then_some(days * DAY_MS + time + fraction)
}

/// Days since the epoch of a valid `YYYY-MM-DD`.
fn date_days(text: &[u8; 10]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let year = two_digits(y1, y2)? * 100 + two_digits(y3, y4)?;
    let (month, day) = (two_digits(m1, m2)?, two_digits(d1, d2)?);
    (day >= 1 && day <= days_in_month(year, month)).then(|| days_from_civil(year, month, day))
}

/// Milliseconds of a valid `HH:MM:SS`.
fn clock_ms(text: [u8; 8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = text else { return None };
    let (hour, minute, second) = (two_digits(h1, h2)?, two_digits(m1, m2)?, two_digits(s1, s2)?);
    (hour < 24 && minute < 60 && second <= 60).then_some(((hour * 60 + minute) * 60 + second) * 1000)
}

fn two_digits(high: u8, low: u8) -> Option<i64> {
    let (high, low) = (high.wrapping_sub(b'0'), low.wrapping_sub(b'0'));
    (high < 10 && low < 10).then(|| i64::from(high * 10 + low))
}

/// Milliseconds of the digits behind a point; `None` if there are none or others.
fn fraction_ms(digits: &[u8]) -> Option<i64> {
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let at = |index: usize| digits.get(index).map_or(0, |digit| i64::from(digit - b'0'));
    valid.then(|| at(0) * 100 + at(1) * 10 + at(2))
}

fn tolerant(text: &str) -> Result<i64, String> {
    let fail = |why: &str| format!("{} is no timestamp: {why}", excerpt(text));
    let trimmed = text.trim();
    if let Some(number) = epoch_number(trimmed) {
        return number.map_err(|error| fail(&error.to_string()));
    }
    let bytes = trimmed.as_bytes();
    let days = bytes
        .first_chunk()
        .and_then(date_days)
        .ok_or_else(|| fail("it must begin with a valid date as 2024-01-31, or be a number"))?;
    // the date is ASCII, so its end is one of a character
    let behind = &trimmed[10..];
    if behind.is_empty() {
        return Ok(days * DAY_MS);
    }
    let clock = behind.strip_prefix(['T', 't']).unwrap_or_else(|| behind.trim_start_matches(' '));
    let bytes = clock.as_bytes();
    let bad_clock = || fail("a valid time as 23:59:59 must follow the date, behind a `T` or a space");
    if clock.len() == behind.len() {
        return Err(bad_clock());
    }
    let (time, rest) = match bytes.first_chunk().copied().and_then(clock_ms) {
        Some(time) => (time, &clock[8..]),
        None => match *bytes {
            [h1, h2, b':', m1, m2, ref rest @ ..] if !rest.starts_with(b":") => {
                (clock_ms([h1, h2, b':', m1, m2, b':', b'0', b'0']).ok_or_else(bad_clock)?, &clock[5..])
            }
            _ => return Err(bad_clock()),
        },
    };
    let (fraction, rest) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => {
            let end = rest.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
            let fraction =
                fraction_ms(&rest.as_bytes()[..end]).ok_or_else(|| fail("its fraction has no digits"))?;
            (fraction, &rest[end..])
        }
        None => (0, rest),
    };
    let zone = rest.trim_start_matches(' ');
    let offset = if zone.is_empty() { Some(0) } else { zone::parse(zone) };
    let offset = offset.ok_or_else(|| fail("its zone must be Z, an offset as +01:00, or a known name"))?;
    Ok(days * DAY_MS + time + fraction - i64::from(offset) * 1000)
}

/// Milliseconds of a text of digits; `None` for other texts.
fn epoch_number(text: &str) -> Option<Result<i64, ParseIntError>> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, fraction_ms(fraction.as_bytes())?),
        None => (digits, 0),
    };
    if whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let is_negative = digits.len() < text.len();
    let signed = |number: i64| if is_negative { -number } else { number };
    Some(whole.parse().map(|number: i64| match number {
        ..100_000_000_000 => signed(number * 1000 + fraction),
        // a fraction of a unit below seconds is below milliseconds
        100_000_000_000..100_000_000_000_000 => signed(number),
        100_000_000_000_000..100_000_000_000_000_000 => signed(number).div_euclid(1000),
        _ => signed(number).div_euclid(1_000_000),
    }))
}

/// Writes `2024-01-02T03:04:05.678Z`, or without the fraction if it is zero.
///
/// A year beyond 0 to 9999 has a sign and all of its digits, as ISO 8601 allows.
pub(in crate::jq) fn format_epoch_ms(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil_from_days(days);
    let mut out = String::with_capacity(24);
    if (0..10_000).contains(&year) {
        push_digits(&mut out, year, 4);
    } else {
        out.push_str(&format!("{year:+05}"));
    }
    for (mark, value) in [
        ('-', month),
        ('-', day),
        ('T', of_day / 3_600_000),
        (':', of_day / 60_000 % 60),
        (':', of_day / 1000 % 60),
    ] {
        out.push(mark);
        push_digits(&mut out, value, 2);
    }
    if of_day % 1000 != 0 {
        out.push('.');
        push_digits(&mut out, of_day % 1000, 3);
    }
    out.push('Z');
    out
}

fn push_digits(out: &mut String, value: i64, width: u32) {
    for place in (0..width).rev() {
        let digit = value / 10i64.pow(place) % 10;
        out.push(char::from(b'0' + digit as u8));
    }
}

/// Whether a text is an offset or a known abbreviation.
pub(super) fn is_zone(text: &str) -> bool {
    zone::parse(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_704_164_645_000;

    fn both(text: &str) -> i64 {
        let ms = to_epoch_ms(text).unwrap();
        // the fast path and the other one agree
        assert_eq!(tolerant(text), Ok(ms), "{text}");
        ms
    }

    #[test]
    fn rfc_3339() {
        for (text, ms) in [
            ("2024-01-02T03:04:05Z", MS),
            ("2024-01-02T03:04:05.6Z", MS + 600),
            ("2024-01-02T03:04:05.678Z", MS + 678),
            ("2024-01-02T03:04:05.678999999999999Z", MS + 678),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("2016-12-31T23:59:60.5Z", 1_483_228_800_500),
        ] {
            assert_eq!(both(text), ms, "{text}");
        }
        assert_eq!(plain_utc(b"2024-01-02T03:04:05.678Z"), Some(MS + 678));
    }

    #[test]
    fn what_is_written_instead() {
        for text in [
            "2024-01-02t03:04:05z",
            "2024-01-02 03:04:05",
            "2024-01-02  03:04:05 Z",
            "2024-01-02T03:04:05+0000",
            "2024-01-02T03:04:05 +00",
            "2024-01-02T05:04:05+02:00",
            "2024-01-01T23:34:05.000-0330",
            "2024-01-02 03:04:05 UTC",
            "2024-01-02 03:04:05utc",
            "2024-01-01 22:04:05 est",
            "2024-01-02T08:34:05 IST",
            "2024-01-02T03:04:05,0",
            " 2024-01-02T03:04:05Z\n",
            "1704164645",
            "1704164645.000",
            "1704164645000",
            "1704164645000000",
            "1704164645000999999",
        ] {
            assert_eq!(to_epoch_ms(text), Ok(MS), "{text}");
        }
        assert_eq!(to_epoch_ms("2024-01-02"), Ok(MS - 11_045_000));
        assert_eq!(to_epoch_ms("2024-01-02T03:04Z"), Ok(MS - 5000));
        assert_eq!(to_epoch_ms("2024-01-02T03:04"), Ok(MS - 5000));
        assert_eq!(to_epoch_ms("2024-01-02T03:04.5"), Ok(MS - 4500));
        assert_eq!(to_epoch_ms("-1.5"), Ok(-1500));
        assert_eq!(to_epoch_ms("-100000000000000001"), Ok(-100_000_000_001));
        assert_eq!(to_epoch_ms("20240102"), Ok(20_240_102_000));
        assert_eq!(to_epoch_ms("99999999999"), Ok(99_999_999_999_000));
    }

    #[test]
    fn what_is_no_timestamp_says_why() {
        for (text, part) in [
            ("", "date"),
            ("yesterday", "date"),
            ("2024-13-01T00:00:00Z", "date"),
            ("2024-00-01T00:00:00Z", "date"),
            ("2023-02-29T00:00:00Z", "date"),
            ("1900-02-29", "date"),
            ("2024-01-00", "date"),
            ("2024-1-2", "date"),
            ("+024-01-02", "date"),
            ("2024-01-02Z", "time"),
            ("2024-01-02T", "time"),
            ("2024-01-02T24:00:00Z", "time"),
            ("2024-01-02T23:60:00Z", "time"),
            ("2024-01-02T23:59:61Z", "time"),
            ("2024-01-02T23:59:Z", "time"),
            ("2024-01-02x23:59:00Z", "time"),
            ("2024-01-02T23:59:00.Z", "fraction"),
            ("2024-01-02T23:59:00ZZ", "zone"),
            ("2024-01-02T23:59:00 XYZ", "zone"),
            ("2024-01-02T23:59:00+24:00", "zone"),
            ("2024-01-02T23:59:00é", "zone"),
            ("2024-01-0é", "date"),
            ("2024-01-02é", "time"),
            ("2024-01-02Té3:04:05", "time"),
            ("９", "date"),
            ("-", "date"),
            ("1.", "date"),
            (".5", "date"),
            ("99999999999999999999", "too large"),
        ] {
            let error = to_epoch_ms(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(to_epoch_ms(&"9".repeat(1 << 20)).unwrap_err().len() < 200);
        assert!(to_epoch_ms(&format!("2024-01-02T03:04:05.{}Z", "9".repeat(1 << 20))).is_ok());
        assert!(to_epoch_ms(&format!("2024-01-02{}", " ".repeat(1 << 20))).is_ok());
    }

    #[test]
    fn back_to_text() {
        for text in [
            "2024-01-02T03:04:05.678Z",
            "2024-01-02T03:04:05Z",
            "0000-01-01T00:00:00.001Z",
            "9999-12-31T23:59:59.999Z",
            "1969-12-31T23:59:59.999Z",
        ] {
            assert_eq!(format_epoch_ms(both(text)), text);
        }
        assert_eq!(format_epoch_ms(i64::MAX), "+292278994-08-17T07:12:55.807Z");
        assert_eq!(format_epoch_ms(i64::MIN), "-292275055-05-16T16:47:04.192Z");
        assert_eq!(format_epoch_ms(-62_167_219_200_001), "-0001-12-31T23:59:59.999Z");
    }

    #[test]
    fn parts_and_back() {
        let parts = gmtime(1_425_599_621.678).unwrap();
        assert_eq!((parts.year, parts.month0, parts.day), (2015, 2, 5));
        assert_eq!((parts.hour, parts.minute, parts.weekday, parts.yearday0), (23, 53, 4, 63));
        assert!((parts.seconds - 41.678).abs() < 1e-6);
        assert_eq!(timegm(&parts), 1_425_599_621);
        assert!((gmtime(-0.5).unwrap().seconds - 59.5).abs() < 1e-9);
        for seconds in [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e18, -1e300, 6.9e16] {
            assert!(gmtime(seconds).is_err(), "{seconds}");
        }
        for seconds in [0.0, -1.0, 1e11, -1e11, 6.7e16, -6.7e16] {
            assert_eq!(timegm(&gmtime(seconds).unwrap()), seconds as i64);
        }
    }

    #[test]
    fn parts_beyond_their_range_count_on() {
        let base = BrokenDown {
            year: 2024,
            month0: 0,
            day: 1,
            hour: 0,
            minute: 0,
            seconds: 0.9,
            weekday: 99,
            yearday0: 99,
        };
        let at = |text| to_epoch_ms(text).unwrap() / 1000;
        assert_eq!(timegm(&base), at("2024-01-01"));
        assert_eq!(timegm(&BrokenDown { month0: 14, ..base }), at("2025-03-01"));
        assert_eq!(timegm(&BrokenDown { month0: -1, day: 0, ..base }), at("2023-11-30"));
        assert_eq!(
            timegm(&BrokenDown { hour: -1, minute: 90, seconds: 61.0, ..base }),
            at("2024-01-01T00:31:01")
        );
        for extreme in [i32::MIN, i32::MAX] {
            let (year, month0, day, hour, minute) = (extreme, extreme, extreme, extreme, extreme);
            timegm(&BrokenDown { year, month0, day, hour, minute, seconds: f64::from(extreme), ..base });
        }
        timegm(&BrokenDown { seconds: f64::NAN, ..base });
    }
}
