//! Times read by a format, as C's `strptime` in the C locale and UTC, with what glibc adds.
//!
//! Conversions of both functions: `a A b B c C d D e F h H I j k l m M n p r R s S t T y Y z Z %`,
//! and `f`, a fraction of a second with any number of digits, which C does not have. Names match in
//! any case, in full or by three letters. White space in a format is any or none in the text, and
//! may stand before numbers. Flags (`-_0^#`) and `E` and `O` mean nothing.
//!
//! [`strptime`] also reads `g G u U V w W` and, as glibc does, takes any word for `%Z` and drops it,
//! like the offset of `%z`: its result is what is written, not UTC. [`parse_time`] counts offsets
//! in, and its `%Z` is an abbreviation of the table in `zone.rs`.

use super::super::text::excerpt;
use super::calendar::{days_before, days_from_civil, days_in_month, days_in_year, weekday};
use super::{BrokenDown, gmtime, timegm, zone};

pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Letters of the conversions of [`parse_time`].
const CONVERSIONS: &str = "aAbBcCdDeFfhHIjklmMnpPrRsStTxXyYzZ%";

/// Milliseconds since the epoch by the first format that fits all of the text, white space around
/// it apart.
///
/// A year that a format lacks is 1970, a month January, a day the first, and a zone UTC. A date that
/// no calendar has, such as 30 February, fits no format.
pub(in crate::jq) fn parse_time(text: &str, formats: &[&str]) -> Result<i64, String> {
    let trimmed = text.trim();
    let fitting = |format: &&str| match read(trimmed, format, Zones::Known) {
        Some((fields, "")) => fields.epoch_ms(),
        _ => None,
    };
    formats.iter().find_map(fitting).ok_or_else(|| {
        let tried: Vec<_> = formats.iter().map(|format| excerpt(format)).collect();
        match tried.as_slice() {
            [] => "there must be at least one time format".to_owned(),
            tried => format!("{} fits no time format, tried {}", excerpt(text), tried.join(", ")),
        }
    })
}

/// As [`parse_time`] with one format: seconds since the epoch, and nanoseconds on top.
pub(super) fn parse_seconds(text: &str, format: &str) -> Option<(i64, i64)> {
    match read(text.trim(), format, Zones::Known) {
        Some((fields, "")) => fields.epoch(),
        _ => None,
    }
}

/// The first conversion of a format that [`parse_time`] does not know, with its `%`.
pub(super) fn unknown_conversion(format: &str) -> Option<&str> {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let conversion = &rest[at..];
        let letter = conversion
            .char_indices()
            .skip(1)
            .find(|(_, c)| !matches!(c, '-' | '_' | '0' | '^' | '#' | 'E' | 'O'));
        let Some((letter_at, letter)) = letter else { return Some(conversion) };
        let end = letter_at + letter.len_utf8();
        if !CONVERSIONS.contains(letter) {
            return Some(&conversion[..end]);
        }
        rest = &conversion[end..];
    }
    None
}

/// Reads all of a text by a format. Parts that the format lacks are as jq has them: 1900, January,
/// day 0, midnight. The weekday and the day of the year follow from the date, also from day 0.
pub(in crate::jq) fn strptime(text: &str, format: &str) -> Result<BrokenDown, String> {
    match strptime_prefix(text, format) {
        Ok((time, "")) => Ok(time),
        _ => Err(mismatch(text, format)),
    }
}

/// As [`strptime`], but white space and anything behind it may follow, and is given back: jq adds
/// it to its array.
pub(in crate::jq) fn strptime_prefix<'a>(
    text: &'a str,
    format: &str,
) -> Result<(BrokenDown, &'a str), String> {
    read(text, format, Zones::Any)
        .filter(|(_, rest)| rest.is_empty() || rest.starts_with(is_space))
        .map(|(fields, rest)| (fields.broken_down(), rest))
        .ok_or_else(|| mismatch(text, format))
}

/// The words of jq.
fn mismatch(text: &str, format: &str) -> String {
    format!("date \"{text}\" does not match format \"{format}\"")
}

#[derive(Clone, Copy, PartialEq)]
enum Zones {
    Any,
    Known,
}

/// What a format found.
#[derive(Default)]
struct Fields {
    epoch: Option<i64>,
    century: Option<i64>,
    year: Option<i64>,
    /// `year` came from two digits.
    is_short: bool,
    month0: Option<i64>,
    day: Option<i64>,
    yearday0: Option<i64>,
    weekday: Option<i64>,
    /// Number of the week, and the weekday it begins with.
    week: Option<(i64, i64)>,
    hour: i64,
    is_hour12: bool,
    is_pm: bool,
    minute: i64,
    second: i64,
    /// Digits behind the point, of which 9 are kept.
    nanos: i64,
    offset: i64,
}

impl Fields {
    fn year(&self, default: i64) -> i64 {
        match (self.century, self.year) {
            (Some(century), year) => century * 100 + year.map_or(0, |year| year % 100),
            (None, Some(year)) if self.is_short => year + if year < 69 { 2000 } else { 1900 },
            (None, Some(year)) => year,
            (None, None) => default,
        }
    }

    fn hour(&self) -> i64 {
        if self.is_hour12 { self.hour % 12 + if self.is_pm { 12 } else { 0 } } else { self.hour }
    }

    /// Month and day from the day or the week of the year, for what is not given itself.
    fn month_day(&self, year: i64) -> (Option<i64>, Option<i64>) {
        if self.month0.is_some() && self.day.is_some() {
            return (self.month0, self.day);
        }
        let from_week = || {
            let ((week, begin), weekday_read) = (self.week?, self.weekday?);
            let first = weekday(days_from_civil(year, 1, 1));
            // as glibc has it
            Some((7 - (first - begin)) % 7 + (week - 1) * 7 + (weekday_read - begin + 7) % 7)
        };
        let Some(yearday0) = self.yearday0.or_else(from_week) else {
            return (self.month0, self.day);
        };
        let month0 = (0..12).rev().find(|month0| days_before(year, *month0) <= yearday0).unwrap_or(0);
        (self.month0.or(Some(month0)), self.day.or(Some(yearday0 - days_before(year, month0) + 1)))
    }

    fn broken_down(&self) -> BrokenDown {
        let fraction = self.nanos as f64 / 1e9;
        if let Some(epoch) = self.epoch
            && let Ok(time) = gmtime(epoch as f64)
        {
            return BrokenDown { seconds: time.seconds + fraction, ..time };
        }
        let year = self.year(1900);
        let (month0, day) = self.month_day(year);
        let (month0, day) = (month0.unwrap_or(0), day.unwrap_or(0));
        let yearday0 = days_before(year, month0) + day - 1;
        BrokenDown {
            year: year as i32,
            month0: month0 as i32,
            day: day as i32,
            hour: self.hour() as i32,
            minute: self.minute as i32,
            seconds: self.second as f64 + fraction,
            weekday: weekday(days_from_civil(year, month0 + 1, day)) as i32,
            yearday0: yearday0 as i32,
        }
    }

    fn epoch_ms(&self) -> Option<i64> {
        let (seconds, nanos) = self.epoch()?;
        seconds.checked_mul(1000)?.checked_add(nanos / 1_000_000)
    }

    /// Seconds since the epoch, and nanoseconds on top.
    fn epoch(&self) -> Option<(i64, i64)> {
        if let Some(epoch) = self.epoch {
            return Some((epoch, self.nanos));
        }
        let year = self.year(1970);
        if self.yearday0.is_some_and(|yearday0| yearday0 >= days_in_year(year)) {
            return None;
        }
        let (month0, day) = self.month_day(year);
        let (month0, day) = (month0.unwrap_or(0), day.unwrap_or(1));
        if day > days_in_month(year, month0 + 1) || self.second > 60 {
            return None;
        }
        let time =
            BrokenDown { day: day as i32, month0: month0 as i32, year: year as i32, ..self.broken_down() };
        Some((timegm(&time) - self.offset, self.nanos))
    }
}

/// Reads a text by a format: what was found, and the text behind it.
fn read<'a>(text: &'a str, format: &str, zones: Zones) -> Option<(Fields, &'a str)> {
    let mut reader = Reader { rest: text, fields: Fields::default(), zones };
    reader.format(format)?;
    Some((reader.fields, reader.rest))
}

struct Reader<'a> {
    rest: &'a str,
    fields: Fields,
    zones: Zones,
}

impl Reader<'_> {
    fn format(&mut self, format: &str) -> Option<()> {
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if is_space(c) {
                self.space();
            } else if c == '%' {
                let letter = chars.find(|c| !matches!(c, '-' | '_' | '0' | '^' | '#' | 'E' | 'O'))?;
                self.conversion(letter)?;
            } else {
                self.rest = self.rest.strip_prefix(c)?;
            }
        }
        Some(())
    }

    fn conversion(&mut self, letter: char) -> Option<()> {
        match letter {
            'a' | 'A' => self.fields.weekday = Some(self.name(&DAYS)?),
            'b' | 'B' | 'h' => self.fields.month0 = Some(self.name(&MONTHS)?),
            'c' => self.format("%a %b %e %H:%M:%S %Y")?,
            'C' => self.fields.century = Some(self.number(0, 99, 2)?),
            'd' | 'e' => self.fields.day = Some(self.number(1, 31, 2)?),
            'D' | 'x' => self.format("%m/%d/%y")?,
            'f' => self.fields.nanos = self.fraction()?,
            'F' => self.format("%Y-%m-%d")?,
            'H' | 'k' => {
                self.fields.hour = self.number(0, 23, 2)?;
                self.fields.is_hour12 = false;
            }
            'I' | 'l' => {
                self.fields.hour = self.number(1, 12, 2)?;
                self.fields.is_hour12 = true;
            }
            'j' => self.fields.yearday0 = Some(self.number(1, 366, 3)? - 1),
            'm' => self.fields.month0 = Some(self.number(1, 12, 2)? - 1),
            'M' => self.fields.minute = self.number(0, 59, 2)?,
            'n' | 't' => self.space(),
            'p' | 'P' => self.fields.is_pm = self.name(&["AM", "PM"])? == 1,
            'r' => self.format("%I:%M:%S %p")?,
            'R' => self.format("%H:%M")?,
            's' => self.fields.epoch = Some(self.epoch()?),
            'S' => self.fields.second = self.number(0, 61, 2)?,
            'T' | 'X' => self.format("%H:%M:%S")?,
            'y' => (self.fields.year, self.fields.is_short) = (Some(self.number(0, 99, 2)?), true),
            'Y' => {
                (self.fields.year, self.fields.is_short) = (Some(self.number(0, 9999, 4)?), false);
                self.fields.century = None;
            }
            'z' => self.fields.offset = self.offset()?,
            'Z' => self.zone_name()?,
            '%' => self.rest = self.rest.strip_prefix('%')?,
            _ if self.zones == Zones::Known => return None,
            'g' => drop(self.number(0, 99, 2)?),
            'G' => drop(self.number(0, 9999, 4)?),
            'u' => self.fields.weekday = Some(self.number(1, 7, 1)? % 7),
            'w' => self.fields.weekday = Some(self.number(0, 6, 1)?),
            'U' => self.fields.week = Some((self.number(0, 53, 2)?, 0)),
            'W' => self.fields.week = Some((self.number(0, 53, 2)?, 1)),
            'V' => drop(self.number(0, 53, 2)?),
            _ => return None,
        }
        Some(())
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    /// As glibc: no further digit is taken if the number could only be too large with it.
    fn number(&mut self, from: i64, to: i64, digits: usize) -> Option<i64> {
        self.space();
        let mut value = 0;
        let mut count = 0;
        for byte in self.rest.bytes().take(digits) {
            if !byte.is_ascii_digit() || (count > 0 && value * 10 > to) {
                break;
            }
            value = value * 10 + i64::from(byte - b'0');
            count += 1;
        }
        self.rest = &self.rest[count..];
        (count > 0 && value >= from && value <= to).then_some(value)
    }

    /// Index of the name that stands here, in full or by three letters.
    fn name(&mut self, names: &[&str]) -> Option<i64> {
        let text = self.rest;
        let fits = |name: &str| text.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
        let (index, length) = names.iter().zip(0..).find_map(|(name, index)| {
            let short = name.get(..3).unwrap_or(name);
            [*name, short].into_iter().find(|name| fits(name)).map(|name| (index, name.len()))
        })?;
        self.rest = &text[length..];
        Some(index)
    }

    /// Digits, of which nine count.
    fn digits(&mut self) -> Option<&str> {
        let end = self.rest.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        (end > 0).then_some(digits)
    }

    fn fraction(&mut self) -> Option<i64> {
        let digits = self.digits()?;
        let nanos = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
        Some(nanos.fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
    }

    fn epoch(&mut self) -> Option<i64> {
        self.space();
        let is_negative = self.rest.starts_with('-');
        self.rest = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let value: i64 = self.digits()?.parse().ok()?;
        Some(if is_negative { -value } else { value })
    }

    fn offset(&mut self) -> Option<i64> {
        self.space();
        if let Some(rest) = self.rest.strip_prefix(['Z', 'z']) {
            self.rest = rest;
            return Some(0);
        }
        let (offset, rest) = zone::numeric(self.rest)?;
        self.rest = rest;
        Some(offset.into())
    }

    fn zone_name(&mut self) -> Option<()> {
        self.space();
        let is_end = |c: char| match self.zones {
            Zones::Any => is_space(c),
            Zones::Known => !c.is_ascii_alphabetic(),
        };
        let (name, rest) = self.rest.split_at(self.rest.find(is_end).unwrap_or(self.rest.len()));
        if self.zones == Zones::Known {
            self.fields.offset = zone::named(name)?.into();
        }
        self.rest = rest;
        Some(())
    }
}

/// White space of C.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

#[cfg(test)]
mod tests {
    use super::super::to_epoch_ms;
    use super::*;

    fn parts(text: &str, format: &str) -> [i64; 8] {
        let t = strptime(text, format).unwrap();
        [t.year, t.month0, t.day, t.hour, t.minute, t.seconds as i32, t.weekday, t.yearday0].map(i64::from)
    }

    #[test]
    fn as_jq_has_it() {
        let expected = [2015, 2, 5, 23, 51, 47, 4, 63];
        for (text, format) in [
            ("2015-03-05T23:51:47Z", "%Y-%m-%dT%H:%M:%SZ"),
            ("Thu, 05 Mar 2015 23:51:47 +0100", "%a, %d %b %Y %T %z"),
            ("thursday march 5 11:51:47 pm CET 15", "%A %B %d %r %Z %y"),
            ("Thu Mar  5 23:51:47 2015", "%c"),
            ("20150305 235147", "%Y%m%d%n%H%M%S"),
            ("03/05/15 23:51:47", "%D%t%X"),
            ("2015 064 23:51:47", "%Y %j %T"),
            ("2015 9 4 23:51:47", "%Y %U %w %T"),
            ("2015 9 4 23:51:47", "%Y %W %u %T"),
            ("1425599507", "%s"),
            ("20 15-3- 5%23:51 :47", "%C %y-%-m-%e%%%R :%S"),
        ] {
            assert_eq!(parts(text, format), expected, "{format}");
        }
        assert_eq!(strptime("x", "%Y").unwrap_err(), "date \"x\" does not match format \"%Y\"");
        assert!((strptime("47.678", "%S.%f").unwrap().seconds - 47.678).abs() < 1e-9);
    }

    #[test]
    fn what_follows_is_an_error_or_given_back() {
        assert!(strptime("2015 x", "%Y").is_err());
        assert_eq!(strptime_prefix("2015 x", "%Y").unwrap().1, " x");
        assert!(strptime_prefix("2015x", "%Y").is_err());
        assert!(strptime_prefix("20155", "%Y").is_err());
    }

    #[test]
    fn parts_that_are_missing() {
        assert_eq!(parts("10:20", "%H:%M")[..6], [1900, 0, 0, 10, 20, 0]);
        assert_eq!(parts("2024-03", "%Y-%m")[..3], [2024, 2, 0]);
        assert_eq!(parts("12 AM", "%I %p")[3], 0);
        assert_eq!(parts("12 PM", "%I %p")[3], 12);
        assert_eq!((parts("68", "%y")[0], parts("69", "%y")[0]), (2068, 1969));
        // 30 February is as in C: only its weekday counts on
        assert_eq!(parts("2015-02-30", "%F"), [2015, 1, 30, 0, 0, 0, 1, 60]);
    }

    #[test]
    fn texts_that_do_not_fit() {
        for (text, format) in [
            ("", "%Y"),
            ("13", "%m"),
            ("0", "%d"),
            ("32", "%d"),
            ("24", "%H"),
            ("60", "%M"),
            ("62", "%S"),
            ("0", "%I"),
            ("367", "%j"),
            ("Foo", "%b"),
            ("Thé", "%a"),
            ("+1", "%z"),
            ("", "%f"),
            ("1", "%Q"),
            ("1", "%"),
            ("1", "%-"),
            ("9223372036854775808", "%s"),
            ("-1", "%Y"),
            ("٣", "%d"),
        ] {
            assert!(strptime(text, format).is_err(), "{text} {format}");
        }
    }

    #[test]
    fn the_first_format_that_fits_all_wins() {
        let formats = ["%Y-%m-%d", "%d/%b/%Y:%H:%M:%S %z", "%Y-%m-%d %H:%M:%S.%f %Z", "%s.%f", "%b %d %T %Y"];
        for (text, same) in [
            ("2024-01-02", "2024-01-02"),
            ("02/Jan/2024:03:04:05 +0200", "2024-01-02T01:04:05Z"),
            ("2024-01-02 03:04:05.5 CET", "2024-01-02T02:04:05.5Z"),
            ("1704164645.678", "2024-01-02T03:04:05.678Z"),
            (" Jan  2 03:04:05 2024\n", "2024-01-02T03:04:05Z"),
        ] {
            assert_eq!(parse_time(text, &formats), to_epoch_ms(same), "{text}");
        }
        let error = parse_time("2024-01-02x", &["%F", "%s"]).unwrap_err();
        assert_eq!(error, "`2024-01-02x` fits no time format, tried `%F`, `%s`");
        assert!(parse_time("x", &[]).is_err());
    }

    #[test]
    fn dates_that_no_calendar_has_fit_nothing() {
        for (text, format) in [
            ("2023-02-29", "%F"),
            ("2023 366", "%Y %j"),
            ("10:00 XYZ", "%H:%M %Z"),
            ("10:00:61", "%T"),
            ("99999999999999999", "%s"),
            ("2024 1", "%Y %U"),
        ] {
            assert!(parse_time(text, &[format]).is_err(), "{text}");
        }
        assert_eq!(parse_time("Jan 2", &["%b %d"]), Ok(86_400_000));
        assert_eq!(parse_time("2024 366", &["%Y %j"]), to_epoch_ms("2024-12-31"));
        assert_eq!(parse_time("23:59:60", &["%T"]), Ok(86_400_000));
    }

    #[test]
    fn conversions_are_known_exactly_if_they_are_read() {
        for letter in
            (b' '..=b'~').map(char::from).filter(|c| !matches!(c, '-' | '_' | '0' | '^' | '#' | 'E' | 'O'))
        {
            let format = format!("%{letter}");
            // one of these texts fits each conversion there is
            let texts = [
                "",
                "1",
                "Mon",
                "Jan",
                "AM",
                "+00",
                "UTC",
                "%",
                "2024-01-02",
                "01/02/24",
                "10:20",
                "10:20:30",
                "10:20:30 AM",
                "Mon Jan  1 10:20:30 2024",
            ];
            let is_read = texts.iter().any(|text| matches!(read(text, &format, Zones::Known), Some((_, ""))));
            assert_eq!(unknown_conversion(&format).is_none(), is_read, "{format}");
        }
        assert_eq!(unknown_conversion("%Y %-d é%Q%H"), Some("%Q"));
        assert_eq!(unknown_conversion("%Y%"), Some("%"));
        assert_eq!(unknown_conversion("%Yé%é"), Some("%é"));
    }

    #[test]
    fn hostile_texts_take_one_pass() {
        let n = 1 << 18;
        assert!(strptime(&" ".repeat(n), &" ".repeat(n)).is_ok());
        assert!(strptime(&" ".repeat(n), &"%n".repeat(n)).is_ok());
        assert!(strptime(&" ".repeat(n), &"%Y".repeat(n)).is_err());
        assert!(strptime(&"1 ".repeat(n), &"%d%n".repeat(n)).is_ok());
        assert!(strptime("", &format!("%{}", "-".repeat(n))).is_err());
        assert!(parse_time(&format!(".{}", "9".repeat(n)), &[".%f"]).is_ok());
        assert!(parse_time(&"é".repeat(n), &["%Y"; 3]).unwrap_err().len() < 400);
        assert!(parse_time(&"9".repeat(n), &["%s"]).is_err());
    }
}
