//! Days and dates of the Gregorian calendar, before its time too.
//!
//! Arithmetic after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in
//! March there, so that a leap day is the last day of a year. All is exact for years of 32 bits.

/// Days before each month of a common year.
const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(super) fn days_in_year(year: i64) -> i64 {
    365 + i64::from(is_leap(year))
}

/// Days of a month from 1 to 12; 0 for no month.
pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap(year)),
        _ => 0,
    }
}

/// Days of the year before a month from 0 to 11; other months count from there.
pub(super) fn days_before(year: i64, month0: i64) -> i64 {
    let days = usize::try_from(month0).ok().and_then(|month0| BEFORE.get(month0)).copied();
    days.map_or(0, |days| days + i64::from(month0 > 1 && is_leap(year)))
}

/// Days from 1970-01-01 to a date with a month from 1 to 12. Any day counts on.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day that many days after 1970-01-01.
pub(super) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march0 = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march0 + 2) / 5 + 1;
    let month = if march0 < 10 { march0 + 3 } else { march0 - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Day of the week with 0 for Sunday.
pub(super) fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_for_each_day_of_800_years() {
        let mut expected = (1600, 1, 1);
        let first = days_from_civil(1600, 1, 1);
        for days in first..first + 2 * 146_097 {
            assert_eq!(civil_from_days(days), expected);
            let (year, month, day) = expected;
            assert_eq!(days_from_civil(year, month, day), days);
            assert_eq!(days - days_from_civil(year, 1, 1), days_before(year, month - 1) + day - 1);
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                _ if day == days_in_month(year, month) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn known_days() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 3, 1), 11_017);
        assert_eq!(weekday(0), 4);
        assert_eq!(weekday(-1), 3);
        assert_eq!((days_in_year(1900), days_in_year(2000)), (365, 366));
        for year in [i64::from(i32::MIN), -1, 0, i64::from(i32::MAX)] {
            assert_eq!(civil_from_days(days_from_civil(year, 12, 31)), (year, 12, 31));
        }
    }
}
