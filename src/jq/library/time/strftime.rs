//! Times written by a format, as C's `strftime` in the C locale and UTC, with what glibc adds.
//!
//! Conversions: `a A b B c C d D e F g G h H I j k l m M n p P r R s S t T u U V w W x X y Y z Z %`.
//! Between `%` and the letter may stand flags (`-` no padding, `_` spaces, `0` zeros, `^` upper case,
//! `#` the other case), and `E` or `O`, which mean nothing here. A name beyond its range is `?`. As
//! in glibc, years below 1000 are not padded.
//!
//! Limits: widths (`%10Y`) and unknown conversions are written as they are. `%z` takes no flags.
//! Seconds have no fraction.

use super::calendar::days_in_year;
use super::strptime::{DAYS, MONTHS};
use super::{BrokenDown, timegm};

/// Writes a time. Its parts are taken as they are, in range or not.
pub(in crate::jq) fn strftime(time: &BrokenDown, format: &str) -> String {
    let mut out = String::with_capacity(format.len() + 16);
    write(&mut out, time, format);
    out
}

#[derive(Clone, Copy, Default)]
struct Flags {
    pad: Option<char>,
    upper: bool,
    swap: bool,
}

fn write(out: &mut String, time: &BrokenDown, format: &str) {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (flags, modified) = flags(&rest[at + 1..]);
        let letter = modified.strip_prefix(['E', 'O']).unwrap_or(modified);
        let Some(conversion) = letter.chars().next() else {
            out.push_str(&rest[at..]);
            return;
        };
        let behind = &letter[conversion.len_utf8()..];
        let start = out.len();
        if !convert(out, time, conversion, flags) {
            out.push_str(&rest[at..rest.len() - behind.len()]);
        } else if conversion != 'P' && (flags.upper || flags.swap && conversion != 'c') {
            // the other case of what is upper case already is lower case
            let is_lower = flags.swap && matches!(conversion, 'p' | 'Z');
            let part = out.split_off(start);
            out.push_str(&if is_lower { part.to_ascii_lowercase() } else { part.to_ascii_uppercase() });
        }
        rest = behind;
    }
    out.push_str(rest);
}

fn flags(text: &str) -> (Flags, &str) {
    let mut flags = Flags::default();
    let mut rest = text;
    while let Some(flag) = rest.bytes().next() {
        match flag {
            b'-' | b'_' | b'0' => flags.pad = Some(char::from(flag)),
            b'^' => flags.upper = true,
            b'#' => flags.swap = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    (flags, rest)
}

/// Writes one conversion; `false` if there is none of that letter.
fn convert(out: &mut String, time: &BrokenDown, conversion: char, flags: Flags) -> bool {
    let number = |out: &mut String, value: i64, width: usize, pad: char| {
        let digits = match flags.pad.unwrap_or(pad) {
            '-' => value.to_string(),
            '_' | ' ' => format!("{value:width$}"),
            _ => format!("{value:0width$}"),
        };
        out.push_str(&digits);
    };
    let name = |names: &[&'static str], index: i32| -> &'static str {
        usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or("?")
    };
    let short = |name: &'static str| name.get(..3).unwrap_or(name);
    let year = i64::from(time.year);
    let hour12 = match time.hour {
        13.. => time.hour - 12,
        0 => 12,
        hour => hour,
    };
    let (weekday, yearday0) = (i64::from(time.weekday), i64::from(time.yearday0));
    match conversion {
        'a' => out.push_str(short(name(&DAYS, time.weekday))),
        'A' => out.push_str(name(&DAYS, time.weekday)),
        'b' | 'h' => out.push_str(short(name(&MONTHS, time.month0))),
        'B' => out.push_str(name(&MONTHS, time.month0)),
        'c' => write(out, time, "%a %b %e %H:%M:%S %Y"),
        'C' => number(out, year.div_euclid(100), 1, '0'),
        'd' => number(out, time.day.into(), 2, '0'),
        'D' | 'x' => write(out, time, "%m/%d/%y"),
        'e' => number(out, time.day.into(), 2, ' '),
        'F' => write(out, time, "%Y-%m-%d"),
        'g' => number(out, iso_week(time).0.rem_euclid(100), 2, '0'),
        'G' => number(out, iso_week(time).0, 1, '0'),
        'H' => number(out, time.hour.into(), 2, '0'),
        'I' => number(out, hour12.into(), 2, '0'),
        'j' => number(out, yearday0 + 1, 3, '0'),
        'k' => number(out, time.hour.into(), 2, ' '),
        'l' => number(out, hour12.into(), 2, ' '),
        'm' => number(out, i64::from(time.month0) + 1, 2, '0'),
        'M' => number(out, time.minute.into(), 2, '0'),
        'n' => out.push('\n'),
        'p' => out.push_str(if time.hour > 11 { "PM" } else { "AM" }),
        'P' => out.push_str(if time.hour > 11 { "pm" } else { "am" }),
        'r' => write(out, time, "%I:%M:%S %p"),
        'R' => write(out, time, "%H:%M"),
        's' => number(out, timegm(time), 1, '0'),
        'S' => number(out, i64::from(time.seconds as i32), 2, '0'),
        't' => out.push('\t'),
        'T' | 'X' => write(out, time, "%H:%M:%S"),
        'u' => number(out, (weekday - 1).rem_euclid(7) + 1, 1, '0'),
        'U' => number(out, (yearday0 - weekday + 7) / 7, 2, '0'),
        'V' => number(out, iso_week(time).1, 2, '0'),
        'w' => number(out, weekday, 1, '0'),
        'W' => number(out, (yearday0 - (weekday - 1).rem_euclid(7) + 7) / 7, 2, '0'),
        'y' => number(out, year.rem_euclid(100), 2, '0'),
        'Y' => number(out, year, 1, '0'),
        'z' => out.push_str("+0000"),
        'Z' => out.push_str("UTC"),
        '%' => out.push('%'),
        _ => return false,
    }
    true
}

/// Year and number of the week after ISO 8601: it has most of its days in that year.
fn iso_week(time: &BrokenDown) -> (i64, i64) {
    let (year, weekday) = (i64::from(time.year), i64::from(time.weekday));
    // days since the Monday of week 1, for a day of the year
    let days = |yearday0: i64| yearday0 - (yearday0 - weekday + 4).rem_euclid(7) + 3;
    let yearday0 = i64::from(time.yearday0);
    let here = days(yearday0);
    let next = days(yearday0 - days_in_year(year));
    if here < 0 {
        (year - 1, days(yearday0 + days_in_year(year - 1)) / 7 + 1)
    } else if next >= 0 {
        (year + 1, next / 7 + 1)
    } else {
        (year, here / 7 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::gmtime;
    use super::*;

    fn at(seconds: i64, format: &str) -> String {
        strftime(&gmtime(seconds as f64).unwrap(), format)
    }

    #[test]
    fn all_conversions() {
        // Thursday
        let t = 1_425_599_621;
        for (format, expected) in [
            ("%Y-%m-%dT%H:%M:%SZ", "2015-03-05T23:53:41Z"),
            ("%a %A %b %B %h", "Thu Thursday Mar March Mar"),
            ("%c|%x|%X", "Thu Mar  5 23:53:41 2015|03/05/15|23:53:41"),
            ("%C %d %D %e %F", "20 05 03/05/15  5 2015-03-05"),
            ("%g %G %V %U %W", "15 2015 10 09 09"),
            ("%H %I %j %k %l", "23 11 064 23 11"),
            ("%m %M %p %P %r %R", "03 53 PM pm 11:53:41 PM 23:53"),
            ("%s %S %T %u %w", "1425599621 41 23:53:41 4 4"),
            ("%y %Y %z %Z %%", "15 2015 +0000 UTC %"),
            ("%n%t", "\n\t"),
            ("é%Y日", "é2015日"),
        ] {
            assert_eq!(at(t, format), expected, "{format}");
        }
    }

    #[test]
    fn flags_and_modifiers() {
        assert_eq!(at(1_425_599_621, "%-d %_d %0e %^a %#p %-j %Ey %Od"), "5  5 05 THU pm 64 15 05");
    }

    #[test]
    fn what_is_unknown_stays() {
        assert_eq!(at(0, "%f %Q %10Y %"), "%f %Q %10Y %");
        assert_eq!(at(0, "%é %- %E"), "%é %- %E");
    }

    #[test]
    fn weeks_around_a_new_year() {
        // from C: 2010-01-03 is in week 53 of 2009, 2018-12-31 in week 1 of 2019
        assert_eq!(at(1_262_476_800, "%F %G-W%V-%u %U %W"), "2010-01-03 2009-W53-7 01 00");
        assert_eq!(at(1_546_214_400, "%F %G-W%V-%u %U %W"), "2018-12-31 2019-W01-1 52 53");
    }

    #[test]
    fn parts_beyond_their_range() {
        let none = BrokenDown {
            year: i32::MIN,
            month0: i32::MAX,
            day: i32::MIN,
            hour: i32::MIN,
            minute: i32::MAX,
            seconds: f64::NAN,
            weekday: i32::MIN,
            yearday0: i32::MIN,
        };
        assert_eq!(strftime(&none, "%a %b %S"), "? ? 00");
        let all =
            "%a %A %b %B %c %C %d %D %e %F %g %G %H %I %j %k %l %m %M %p %r %s %S %T %u %U %V %w %W %y %Y";
        strftime(&none, all);
        strftime(&BrokenDown { year: i32::MAX, weekday: i32::MAX, yearday0: i32::MAX, ..none }, all);
    }

    #[test]
    fn hostile_formats_take_one_pass() {
        let n = 1 << 18;
        assert_eq!(at(0, &"%".repeat(n)).len(), n / 2);
        assert_eq!(at(0, &format!("%{}", "-".repeat(n))).len(), n + 1);
        assert_eq!(at(0, &"%-".repeat(n)).len(), n);
        assert_eq!(at(0, &"%c".repeat(n)).len(), 24 * n);
    }
}
