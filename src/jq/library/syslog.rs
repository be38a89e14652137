//! Syslog lines: RFC 5424, and the loose shape that RFC 3164 tells of.
//!
//! `<PRI>`, a version, a space and a stamp of RFC 3339 or `-` make RFC 5424, which is then read
//! strictly, though without its length limits. All else is RFC 3164: an optional `<PRI>`, an
//! optional sequence number of Cisco (`29: `), a stamp such as `Jan  2 03:04:05`, also with a year
//! on either side, a fraction or a zone, or one of RFC 3339, a host, `tag[pid]:`, and a message.
//! Stamps are given as written, without a year if they have none.
//!
//! The parser is our own: `syslog_loose` 0.23 turns stamps into dates, guesses years and takes any
//! text for a message; `syslog_rfc5424` knows only that RFC.
//!
//! Limits: a text with neither `<PRI>` nor a stamp is an error. A host is only looked for behind a
//! stamp, and is the next word unless that is a tag or the last word. A tag has no spaces.

use std::borrow::Cow;

use super::text::{excerpt, unescape};
use super::time::is_zone;

/// Keywords of facilities 0 to 23.
const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// Keywords of severities 0 to 7.
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// One line. What is not there is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::jq) struct Syslog<'a> {
    /// Version of RFC 5424; `None` means RFC 3164.
    pub(in crate::jq) version: Option<u16>,
    /// Facility and severity in one.
    pub(in crate::jq) priority: Option<Priority>,
    /// As written.
    pub(in crate::jq) timestamp: Option<&'a str>,
    /// Name or address of the sender.
    pub(in crate::jq) hostname: Option<&'a str>,
    /// The program; the tag in RFC 3164.
    pub(in crate::jq) appname: Option<&'a str>,
    /// Its process, mostly a number.
    pub(in crate::jq) procid: Option<&'a str>,
    /// Kind of message, RFC 5424 only.
    pub(in crate::jq) msgid: Option<&'a str>,
    /// Elements in the order of the text, RFC 5424 only.
    pub(in crate::jq) structured_data: Vec<Element<'a>>,
    /// The rest, without a byte order mark and without line breaks at its end.
    pub(in crate::jq) message: &'a str,
}

/// An element of structured data. Names may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jq) struct Element<'a> {
    /// Name of the element, such as `origin` or `x@32473`.
    pub(in crate::jq) id: &'a str,
    /// Parameters in the order of the text.
    pub(in crate::jq) params: Vec<(&'a str, Cow<'a, str>)>,
}

/// The number in `<…>`: at most 191.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jq) struct Priority(u8);

impl Priority {
    /// 0 to 23.
    pub(in crate::jq) fn facility(self) -> u8 {
        self.0 >> 3
    }

    /// 0 to 7, with 0 the worst.
    pub(in crate::jq) fn severity(self) -> u8 {
        self.0 & 7
    }

    /// Such as `authpriv`.
    pub(in crate::jq) fn facility_keyword(self) -> &'static str {
        FACILITIES[usize::from(self.0 >> 3)]
    }

    /// Such as `warning`.
    pub(in crate::jq) fn severity_keyword(self) -> &'static str {
        SEVERITIES[usize::from(self.0 & 7)]
    }
}

/// Parses one line of either RFC.
pub(in crate::jq) fn parse(text: &str) -> Result<Syslog<'_>, String> {
    let line = text.trim_end_matches(['\r', '\n', '\0']);
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let (priority, rest) = priority(line)?;
    if priority.is_some()
        && let Some((version, rest)) = version(rest)
    {
        return rfc5424(Syslog { version: Some(version), priority, ..Syslog::default() }, rest);
    }
    let syslog = rfc3164(Syslog { priority, ..Syslog::default() }, rest);
    if priority.is_none() && syslog.timestamp.is_none() {
        return Err(format!(
            "{} is no syslog: it begins with neither <priority> nor a timestamp",
            excerpt(text)
        ));
    }
    Ok(syslog)
}

fn priority(line: &str) -> Result<(Option<Priority>, &str), String> {
    let Some((digits, rest)) = line.strip_prefix('<').and_then(|line| line.split_once('>')) else {
        return Ok((None, line));
    };
    if !(1..=3).contains(&digits.len()) || !all_digits(digits) {
        return Ok((None, line));
    }
    match digits.parse() {
        Ok(number @ ..=191) => Ok((Some(Priority(number)), rest)),
        _ => Err(format!("the syslog priority {digits} must be at most 191")),
    }
}

/// The version and what follows it, if the text is one of RFC 5424.
fn version(text: &str) -> Option<(u16, &str)> {
    let (version, rest) = text.split_once(' ')?;
    let known = (1..=3).contains(&version.len()) && all_digits(version) && !version.starts_with('0');
    let stamped = rest.starts_with("- ") || full_date(rest);
    (known && stamped).then(|| version.parse().ok().map(|version| (version, rest)))?
}

fn rfc5424<'a>(mut syslog: Syslog<'a>, mut rest: &'a str) -> Result<Syslog<'a>, String> {
    let mut field = |name: &str| {
        let (field, behind) =
            rest.split_once(' ').filter(|(field, _)| !field.is_empty()).ok_or_else(|| {
                format!("the RFC 5424 header must have a {name} and a space behind it; `-` if none")
            })?;
        rest = behind;
        Ok::<_, String>(Some(field).filter(|field| *field != "-"))
    };
    syslog.timestamp = field("timestamp")?;
    syslog.hostname = field("hostname")?;
    syslog.appname = field("app name")?;
    syslog.procid = field("process ID")?;
    syslog.msgid = field("message ID")?;
    if let Some(behind) = rest.strip_prefix('-') {
        rest = behind;
    } else {
        (syslog.structured_data, rest) = structured_data(rest)?;
    }
    let message = match rest.strip_prefix(' ') {
        Some(message) => message,
        None if rest.is_empty() => rest,
        None => {
            return Err(format!(
                "a space must stand between structured data and message, not {}",
                excerpt(rest)
            ));
        }
    };
    syslog.message = message.strip_prefix('\u{feff}').unwrap_or(message);
    Ok(syslog)
}

/// Reads `[id name="value" …]…` and gives what is behind.
fn structured_data(text: &str) -> Result<(Vec<Element<'_>>, &str), String> {
    let fail = |rest: &str| {
        Err(format!("structured data must be `-` or written as [id name=\"value\"], not {}", excerpt(rest)))
    };
    let mut elements = Vec::new();
    let mut rest = text;
    while let Some(element) = rest.strip_prefix('[') {
        let Some(end) = element.find([' ', ']']).filter(|end| *end > 0) else {
            return fail(rest);
        };
        let (id, mut inside) = element.split_at(end);
        let mut params = Vec::new();
        loop {
            inside = inside.trim_start_matches(' ');
            if let Some(behind) = inside.strip_prefix(']') {
                rest = behind;
                break;
            }
            let Some(end) = inside.find(['=', ' ', ']', '"']).filter(|end| *end > 0) else {
                return fail(inside);
            };
            let (name, behind) = inside.split_at(end);
            let Some(value) = behind.strip_prefix("=\"") else {
                return fail(inside);
            };
            let mut escaped = false;
            let quote = value.bytes().position(|b| {
                let closes = b == b'"' && !escaped;
                escaped = b == b'\\' && !escaped;
                closes
            });
            let Some(quote) = quote else {
                return Err(format!(
                    "the value of {} in structured data has no closing quote",
                    excerpt(name)
                ));
            };
            let is_special = |c| matches!(c, '"' | '\\' | ']').then_some(c);
            params.push((name, unescape(&value[..quote], is_special)));
            inside = &value[quote + 1..];
        }
        elements.push(Element { id, params });
    }
    if elements.is_empty() { fail(text) } else { Ok((elements, rest)) }
}

fn rfc3164<'a>(mut syslog: Syslog<'a>, text: &'a str) -> Syslog<'a> {
    let start = cisco_sequence(text.trim_start_matches(' '));
    let mut rest = text;
    if let Some(length) = stamp(start) {
        syslog.timestamp = Some(&start[..length]);
        rest = &start[length..];
        // Cisco has no host, but a colon instead
        if let Some(behind) = rest.strip_prefix(": ") {
            rest = behind;
        } else {
            rest = rest.trim_start_matches(' ');
            if let Some((host, behind)) = rest.split_once(' ')
                && !host.is_empty()
                && tag(rest).is_none()
            {
                syslog.hostname = Some(host);
                rest = behind.strip_prefix(": ").unwrap_or(behind);
            }
        }
    }
    rest = rest.trim_start_matches(' ');
    if let Some((name, pid, message)) = tag(rest) {
        syslog.appname = Some(name);
        syslog.procid = pid;
        rest = message.strip_prefix(' ').unwrap_or(message);
    }
    syslog.message = rest;
    syslog
}

/// Skips `29: ` and the mark of a clock that is not in step.
fn cisco_sequence(text: &str) -> &str {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text[digits..].strip_prefix(": ").filter(|_| digits > 0).unwrap_or(text);
    rest.strip_prefix(['*', '.']).unwrap_or(rest)
}

/// Takes `name:` or `name[pid]:`, with a space or the end behind it.
fn tag(text: &str) -> Option<(&str, Option<&str>, &str)> {
    // what begins a JSON value, or a pair, is no name
    let end = text.find(|c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, ':' | '[' | ']' | '{' | '}' | '"' | '\'' | '=' | ',')
    })?;
    let (name, mut rest) = text.split_at(end);
    let mut pid = None;
    if let Some(inside) = rest.strip_prefix('[') {
        let end = inside.find(|c: char| c.is_whitespace() || matches!(c, ']' | '['))?;
        pid = Some(&inside[..end]).filter(|pid| !pid.is_empty());
        rest = inside[end..].strip_prefix(']')?;
    }
    let rest = rest.strip_prefix(':')?;
    (!name.is_empty() && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some((name, pid, rest))
}

/// Length of the stamp that the text begins with.
fn stamp(text: &str) -> Option<usize> {
    if full_date(text) {
        let behind = text.as_bytes().get(10)?;
        let end = |from: usize| text[from..].find(' ').map_or(text.len(), |at| from + at);
        return match behind {
            b'T' | b't' => Some(end(11)),
            b' ' if clock(&text[11..]).is_some() => Some(end(11)),
            _ => None,
        };
    }
    let mut at = 0;
    if let Some(year) = year(text) {
        at = year + 1;
    }
    let month = text.get(at..at + 3)?;
    if !MONTHS.iter().any(|name| name.eq_ignore_ascii_case(month)) {
        return None;
    }
    at += 3;
    at += Some(spaces(&text[at..])).filter(|count| (1..=2).contains(count))?;
    let day = text[at..].bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=2).contains(&day) {
        return None;
    }
    at += day;
    at += Some(spaces(&text[at..])).filter(|count| *count == 1)?;
    if let Some(year) = year(&text[at..]) {
        at += year + 1;
    }
    at += clock(&text[at..])?;
    // a year and a zone behind it, told from a host by their shape
    for _ in 0..2 {
        let Some(rest) = text[at..].strip_prefix(' ') else { break };
        let word = rest.split(' ').next().unwrap_or_default();
        let word = word.strip_suffix(':').unwrap_or(word);
        let shouts = word.bytes().all(|b| b.is_ascii_uppercase()) || word.starts_with(['+', '-']);
        if year(rest).is_none() && !(shouts && is_zone(word)) {
            break;
        }
        at += 1 + word.len();
    }
    Some(at)
}

/// Length of a year with a space behind it.
fn year(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_year = matches!(bytes, [b'1' | b'2', b'9' | b'0' | b'1', _, _, b' ', ..]);
    (is_year && bytes[..4].iter().all(u8::is_ascii_digit)).then_some(4)
}

/// Length of `hh:mm:ss`, and of a fraction behind it.
fn clock(text: &str) -> Option<usize> {
    let shape = text.as_bytes().get(..8)?;
    if !shape.iter().enumerate().all(|(at, b)| if at % 3 == 2 { *b == b':' } else { b.is_ascii_digit() }) {
        return None;
    }
    let fraction =
        text[8..].strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    Some(if fraction == 0 { 8 } else { 9 + fraction })
}

/// Whether the text begins with `yyyy-mm-dd`.
fn full_date(text: &str) -> bool {
    let Some(shape) = text.as_bytes().get(..10) else { return false };
    shape.iter().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { *b == b'-' } else { b.is_ascii_digit() })
}

fn spaces(text: &str) -> usize {
    text.bytes().take_while(|b| *b == b' ').count()
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stamp, host, name, process and message of an RFC 3164 line.
    fn loose(text: &str) -> [&str; 5] {
        let s = parse(text).unwrap();
        assert_eq!(s.version, None);
        [s.timestamp, s.hostname, s.appname, s.procid, Some(s.message)].map(Option::unwrap_or_default)
    }

    #[test]
    fn the_examples_of_rfc_5424() {
        let s = parse(
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed\n",
        )
        .unwrap();
        let priority = s.priority.unwrap();
        assert_eq!((priority.facility(), priority.severity()), (4, 2));
        assert_eq!((priority.facility_keyword(), priority.severity_keyword()), ("auth", "crit"));
        assert_eq!(
            (s.version, s.timestamp, s.hostname),
            (Some(1), Some("2003-10-11T22:14:15.003Z"), Some("mymachine.example.com"))
        );
        assert_eq!((s.appname, s.procid, s.msgid), (Some("su"), None, Some("ID47")));
        assert_eq!((s.structured_data.len(), s.message), (0, "'su root' failed"));

        let s = parse(concat!(
            r#"<165>1 - - - - - [exampleSDID@32473 iut="3" eventSource="App \"x\" \] \\ \n"]"#,
            r#"[examplePriority@32473 class="high"][empty]"#
        ))
        .unwrap();
        assert_eq!((s.timestamp, s.message), (None, ""));
        assert_eq!(s.structured_data[0].id, "exampleSDID@32473");
        assert_eq!(
            s.structured_data[0].params,
            [("iut", "3".into()), ("eventSource", r#"App "x" ] \ \n"#.into())]
        );
        assert_eq!(s.structured_data[1].params, [("class", "high".into())]);
        assert_eq!(s.structured_data[2], Element { id: "empty", params: vec![] });
    }

    #[test]
    fn invalid_rfc_5424_says_why() {
        for (text, part) in [
            ("<34>1 - h", "hostname"),
            ("<34>1 2003-10-11T22:14:15Z", "timestamp"),
            ("<34>1 - h a p m", "message ID"),
            ("<34>1 - h a p m x", "`x`"),
            ("<34>1 -  a p m -", "hostname"),
            ("<34>1 - h a p m -x", "`x`"),
            ("<34>1 - h a p m [", "structured data"),
            ("<34>1 - h a p m []", "structured data"),
            ("<34>1 - h a p m [i", "structured data"),
            ("<34>1 - h a p m [i a]", "`a]`"),
            ("<34>1 - h a p m [i a=\"b]", "closing quote"),
            ("<34>1 - h a p m [i a=\"b\"", "structured data"),
            ("<192>x", "191"),
            ("<256>x", "191"),
            ("", "neither"),
            ("hello world", "neither"),
            ("<>x", "neither"),
            ("<1234>x", "neither"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn rfc_3164_as_it_is_met() {
        let stamp = "Oct 11 22:14:15";
        assert_eq!(
            loose("<34>Oct 11 22:14:15 mymachine su: 'su root' failed"),
            [stamp, "mymachine", "su", "", "'su root' failed"]
        );
        assert_eq!(loose("Oct 11 22:14:15 h sshd[12]: ok\r\n"), [stamp, "h", "sshd", "12", "ok"]);
        assert_eq!(loose("<13>Oct 11 22:14:15 su: no host"), [stamp, "", "su", "", "no host"]);
        assert_eq!(loose("<13>Oct 11 22:14:15 h no tag: here"), [stamp, "h", "", "", "no tag: here"]);
        assert_eq!(loose("<13>Oct 11 22:14:15 last"), [stamp, "", "", "", "last"]);
        assert_eq!(loose("<13>Oct 11 22:14:15"), [stamp, "", "", "", ""]);
        assert_eq!(loose("<13>Oct 11 22:14:15 h {\"a\": 1}"), [stamp, "h", "", "", "{\"a\": 1}"]);
        assert_eq!(
            loose("<13>Oct 11 22:14:15 fe80::1 a/b.c[x-1]: m"),
            [stamp, "fe80::1", "a/b.c", "x-1", "m"]
        );
        assert_eq!(loose("<13>su: x"), ["", "", "su", "", "x"]);
        assert_eq!(loose("<13>http://x y"), ["", "", "", "", "http://x y"]);
        assert_eq!(loose("<13>"), [""; 5]);
        assert_eq!(loose("<0>ünï: cödé"), ["", "", "ünï", "", "cödé"]);
        assert_eq!(loose("<1>1 is no version"), ["", "", "", "", "1 is no version"]);
    }

    #[test]
    fn stamps_as_they_are_met() {
        for stamp in [
            "Jan  2 03:04:05",
            "Jan 2 03:04:05",
            "jan 02 03:04:05",
            "Jan 02 2024 03:04:05",
            "2024 Jan  2 03:04:05",
            "Jan  2 03:04:05 2024",
            "Jan  2 03:04:05.123",
            "Jan  2 03:04:05 UTC",
            "Jan  2 03:04:05 +0200",
            "Jan  2 03:04:05.1 CEST 2024",
            "2024-01-02T03:04:05.123456+02:00",
            "2024-01-02 03:04:05",
        ] {
            assert_eq!(loose(&format!("<13>{stamp} host app: m")), [stamp, "host", "app", "", "m"]);
        }
        for stamp in
            ["Foo  2 03:04:05", "Jan   2 03:04:05", "Jan 123 03:04:05", "Jan  2 3:4:5", "2024-01-02 x"]
        {
            assert_eq!(parse(&format!("<13>{stamp} host app: m")).unwrap().timestamp, None, "{stamp}");
        }
        // a tag that is also a zone
        assert_eq!(loose("Jan  2 03:04:05 est: m"), ["Jan  2 03:04:05", "", "est", "", "m"]);
    }

    #[test]
    fn cisco_lines() {
        assert_eq!(
            loose("<189>29: *Mar  1 18:46:11.123: %SYS-5-CONFIG_I: Configured"),
            ["Mar  1 18:46:11.123", "", "%SYS-5-CONFIG_I", "", "Configured"]
        );
        assert_eq!(
            loose("<166>Jan 02 2024 03:04:05 fw1 : %ASA-6-302013: Built"),
            ["Jan 02 2024 03:04:05", "fw1", "%ASA-6-302013", "", "Built"]
        );
        assert_eq!(loose("<189>29: *Mar  1 18:46:11 UTC: %X: y"), ["Mar  1 18:46:11 UTC", "", "%X", "", "y"]);
    }

    #[test]
    fn hostile_texts_take_one_pass() {
        let n = 1 << 18;
        let data = "[a b=\"c\"]".repeat(n);
        assert_eq!(parse(&format!("<1>1 - - - - - {data}")).unwrap().structured_data.len(), n);
        assert!(parse(&format!("<1>1 - - - - - {}", "[a".repeat(n))).is_err());
        assert!(parse(&format!("<1>1 - - - - - [a b=\"{}", "\\\"".repeat(n))).is_err());
        assert!(parse(&format!("<1>{}", "a".repeat(n))).is_ok());
        assert!(parse(&format!("<1>a[{}", "b".repeat(n))).is_ok());
        assert!(parse(&format!("Jan  2 03:04:05{}", " ".repeat(n))).is_ok());
        assert!(parse(&"é".repeat(n)).is_err());
        assert_eq!(parse("<1>\u{0}\u{1}x").unwrap().message, "\u{0}\u{1}x");
        assert!(parse("<1>Jané 2 03:04:05").is_ok());
        assert!(parse("<1>Jaé").is_ok());
        assert!(parse("<1>2024-01-02é").is_ok());
        assert!(parse("<1>2024-01-02 é").is_ok());
    }
}
