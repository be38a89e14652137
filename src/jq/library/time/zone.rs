//! Offsets from UTC: `Z`, `+02:00`, `-0530`, `+02`, and abbreviations.
//!
//! Abbreviations are no standard, and some have several meanings. This table has those of RFC 2822
//! and the common ones of large zones. Where one is ambiguous, it means:
//!
//! - `AST`, `ADT`: Atlantic, not Arabia
//! - `BST`: British summer, not Bangladesh
//! - `CST`, `CDT`: North America, not China or Cuba
//! - `EST`, `EDT`: North America, not Australia (`AEST`)
//! - `IST`: India, not Israel or Ireland
//! - `MST`: North America, not Malaysia or Myanmar
//! - `PST`: North America, not the Philippines
//! - `GST`: the Gulf, not South Georgia
//!
//! Military letters other than `Z` are not known: RFC 2822 calls their meaning unpredictable.

/// Upper case, and minutes east of UTC.
const ZONES: [(&str, i32); 45] = [
    ("Z", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("UT", 0),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("CET", 60),
    ("MET", 60),
    ("CEST", 120),
    ("MEST", 120),
    ("EET", 120),
    ("SAST", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("EAT", 180),
    ("GST", 240),
    ("PKT", 300),
    ("IST", 330),
    ("ICT", 420),
    ("WIB", 420),
    ("SGT", 480),
    ("HKT", 480),
    ("AWST", 480),
    ("JST", 540),
    ("KST", 540),
    ("ACST", 570),
    ("AEST", 600),
    ("ACDT", 630),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
    ("AST", -240),
    ("ADT", -180),
];

/// Seconds east of UTC of an abbreviation, in any case.
pub(super) fn named(name: &str) -> Option<i32> {
    ZONES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, minutes)| minutes * 60)
}

/// Takes `±hh`, `±hhmm` or `±hh:mm` from the begin of a text: seconds east of UTC, and the rest.
pub(super) fn numeric(text: &str) -> Option<(i32, &str)> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = two_digits(&text[1..])?;
    let (minutes, rest) = two_digits(rest.strip_prefix(':').unwrap_or(rest)).unwrap_or((0, rest));
    (hours <= 23 && minutes <= 59).then_some((sign * (hours * 60 + minutes) * 60, rest))
}

/// Seconds east of UTC of a zone that is all of the text.
pub(super) fn parse(text: &str) -> Option<i32> {
    match numeric(text) {
        Some((offset, "")) => Some(offset),
        Some(_) => None,
        None => named(text),
    }
}

fn two_digits(text: &str) -> Option<(i32, &str)> {
    let digits = text.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some((digits.parse().ok()?, &text[2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones() {
        for (text, minutes) in [
            ("Z", 0),
            ("z", 0),
            ("+00", 0),
            ("-00:00", 0),
            ("+0530", 330),
            ("-03:30", -210),
            ("+23:59", 1439),
            ("utc", 0),
            ("Cest", 120),
            ("IST", 330),
            ("PDT", -420),
        ] {
            assert_eq!(parse(text), Some(minutes * 60), "{text}");
        }
        for text in ["", "+", "+1", "+24", "+0160", "+01:", "+01:6", "+010", "+01:00x", "XYZ", "+é1", "A"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_offset_leaves_what_is_behind_it() {
        assert_eq!(numeric("+01 x"), Some((3600, " x")));
        assert_eq!(numeric("+01:x"), Some((3600, ":x")));
        assert_eq!(numeric("+0100é"), Some((3600, "é")));
    }
}
