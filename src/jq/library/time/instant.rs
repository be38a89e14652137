//! A point of time to the nanosecond.

use std::fmt;

use super::calendar::civil_from_days;
use super::{excerpt, push_digits, strptime, to_epoch_ms};

const BILLION: i128 = 1_000_000_000;

/// A point of time to the nanosecond, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    /// Since 1970-01-01T00:00:00Z, rounded down.
    pub seconds: i64,
    /// On top of the seconds; below a billion.
    pub nanos: u32,
}

impl Instant {
    /// Reads RFC 3339 and what is commonly written instead (a space for the `T`, `+0000`, no zone for
    /// UTC, a fraction of any length, of which nine digits count), but no numbers.
    pub fn rfc3339(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.as_bytes().get(4) != Some(&b'-') {
            return Err(format!(
                "{} is no timestamp: it must begin with a date as 2024-01-31",
                excerpt(text)
            ));
        }
        let ms = to_epoch_ms(text)?;
        // behind a date and a time with seconds, and behind nothing else, there may be a fraction
        let begin = if text.as_bytes().get(10) == Some(&b' ') {
            text.len() - text[10..].trim_start_matches(' ').len() + 8
        } else {
            19
        };
        let fraction = text.get(begin..).and_then(|rest| rest.strip_prefix(['.', ',']));
        let digits = fraction.unwrap_or_default().bytes().take_while(u8::is_ascii_digit);
        let below_ms = digits
            .chain(std::iter::repeat(b'0'))
            .skip(3)
            .take(6)
            .fold(0, |n, d| n * 10 + u32::from(d - b'0'));
        Ok(Instant { seconds: ms.div_euclid(1000), nanos: ms.rem_euclid(1000) as u32 * 1_000_000 + below_ms })
    }

    /// Reads all of a text by a `strptime` format.
    pub fn by_format(text: &str, format: &str) -> Option<Self> {
        let (seconds, nanos) = strptime::parse_seconds(text, format)?;
        Some(Instant { seconds, nanos: u32::try_from(nanos).ok()? })
    }

    /// The first conversion of a `strptime` format that is not known.
    pub fn unknown_conversion(format: &str) -> Option<&str> {
        strptime::unknown_conversion(format)
    }

    /// Reads a decimal number of units since the epoch, of which a second has ten to the power of
    /// `digits`. What is below a nanosecond is cut off. `None` for what is no number, and beyond the
    /// years that have four digits.
    pub fn by_number(text: &str, digits: u32) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let is_negative = mantissa.starts_with('-');
        let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_number =
            !whole.is_empty() && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
        // more digits than any time has
        if !is_number || whole.trim_start_matches('0').len() > 30 {
            return None;
        }
        let fraction = &fraction[..fraction.len().min(30 - whole.trim_start_matches('0').len().min(30))];
        let mut nanos: i128 =
            whole.bytes().chain(fraction.bytes()).fold(0, |n, digit| n * 10 + i128::from(digit - b'0'));
        let shift = i32::from(exponent) + 9 - digits as i32 - fraction.len() as i32;
        for _ in 0..shift.min(40) {
            nanos = nanos.checked_mul(10)?;
        }
        for _ in 0..(-shift).min(40) {
            nanos /= 10;
        }
        let nanos = if is_negative { -nanos } else { nanos };
        let seconds = i64::try_from(nanos.div_euclid(BILLION)).ok()?;
        // 0000-01-01 to 9999-12-31
        let instant = Instant { seconds, nanos: nanos.rem_euclid(BILLION) as u32 };
        (-62_167_219_200..253_402_300_800).contains(&seconds).then_some(instant)
    }

    /// Writes `2024-01-02T03:04:05.678Z`: with three, six or nine digits of a fraction, or none.
    pub fn to_rfc3339(self) -> String {
        let mut text = self.to_string_with('T');
        match self.nanos {
            0 => {}
            nanos if nanos % 1_000_000 == 0 => text.push_str(&format!(".{:03}", nanos / 1_000_000)),
            nanos if nanos % 1000 == 0 => text.push_str(&format!(".{:06}", nanos / 1000)),
            nanos => text.push_str(&format!(".{nanos:09}")),
        }
        text.push('Z');
        text
    }

    /// Writes `2024-01-02 03:04:05.678000000`, as warehouses take it.
    pub fn to_table_text(self) -> String {
        let mut text = self.to_string_with(' ');
        text.push('.');
        push_digits(&mut text, i64::from(self.nanos), 9);
        text
    }

    fn to_string_with(self, mark: char) -> String {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(86_400));
        let of_day = self.seconds.rem_euclid(86_400);
        let mut text = String::with_capacity(30);
        if (0..10_000).contains(&year) {
            push_digits(&mut text, year, 4);
        } else {
            text.push_str(&format!("{year:+05}"));
        }
        for (mark, value) in
            [('-', month), ('-', day), (mark, of_day / 3600), (':', of_day / 60 % 60), (':', of_day % 60)]
        {
            text.push(mark);
            push_digits(&mut text, value, 2);
        }
        text
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_down_to_nanoseconds_counts() {
        for (text, expected) in [
            ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
            ("2024-01-02T03:04:05.6Z", "2024-01-02T03:04:05.600Z"),
            ("2024-01-02T03:04:05.678901+0000", "2024-01-02T03:04:05.678901Z"),
            ("2024-01-02T05:04:05.123456789999+02:00", "2024-01-02T03:04:05.123456789Z"),
            ("2024-01-02   03:04:05.000000001 UTC", "2024-01-02T03:04:05.000000001Z"),
            ("2024-01-02T03:04Z", "2024-01-02T03:04:00Z"),
            ("2024-01-02", "2024-01-02T00:00:00Z"),
            ("1969-12-31T23:59:59.9999995Z", "1969-12-31T23:59:59.999999500Z"),
        ] {
            assert_eq!(Instant::rfc3339(text).unwrap().to_rfc3339(), expected, "{text}");
        }
        for text in ["", "1704164645", "2024", "2024-01-02T", "2024é01", "x"] {
            assert!(Instant::rfc3339(text).is_err(), "{text}");
        }
        let instant = Instant::rfc3339("2024-01-02T03:04:05.678Z").unwrap();
        assert_eq!(instant.to_table_text(), "2024-01-02 03:04:05.678000000");
    }

    #[test]
    fn numbers_of_units() {
        let expected = "2024-01-02T03:04:05.678Z";
        for (text, digits) in [
            ("1704164645.678", 0),
            ("1.704164645678e9", 0),
            ("1704164645678", 3),
            ("1704164645678.0", 3),
            ("1704164645678000", 6),
            ("1704164645678000000", 9),
            ("0001704164645678000000", 9),
            ("1704164645678000000.99", 9),
        ] {
            assert_eq!(Instant::by_number(text, digits).unwrap().to_rfc3339(), expected, "{text}");
        }
        assert_eq!(Instant::by_number("-0.5", 0).unwrap().to_rfc3339(), "1969-12-31T23:59:59.500Z");
        for text in ["", ".5", "x", "1e", "1e999", "+1", "--1", "9999999999999", "1.x", "1704164645678é"] {
            assert_eq!(Instant::by_number(text, 0), None, "{text}");
        }
        assert_eq!(Instant::by_number(&"9".repeat(1 << 16), 9), None);
        assert!(Instant::by_number(&format!("1.{}", "9".repeat(1 << 16)), 0).is_some());
        assert_eq!(Instant::by_number("1e-300", 0).unwrap().seconds, 0);
    }

    #[test]
    fn texts_by_format() {
        let by = |text, format| Instant::by_format(text, format).map(Instant::to_rfc3339);
        let expected = Some("2019-07-25T13:14:42Z".to_owned());
        assert_eq!(by("Sun Jul 25 9:14:42 EDT 2019", "%a %b %d %H:%M:%S %Z %Y"), expected);
        assert_eq!(by("x", "%Y"), None);
    }
}
