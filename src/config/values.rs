//! Option types with a text form of their own: durations, sizes, times, programs.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A span of time, written `"500ms"`, `"30s"`, `"10m"`, `"24h"` or `"7d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(std::time::Duration);

impl Duration {
    /// A number of seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Duration(std::time::Duration::from_secs(seconds))
    }

    /// A number of milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Duration(std::time::Duration::from_millis(millis))
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split_number(text);
        let millis_per_unit: f64 = match unit {
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3_600e3,
            "d" => 86_400e3,
            _ => return Err(DURATION_HINT.to_owned()),
        };
        let number: f64 = number.parse().map_err(|_| DURATION_HINT.to_owned())?;
        let millis = number * millis_per_unit;
        if !(0.0..=1e15).contains(&millis) {
            return Err(DURATION_HINT.to_owned());
        }
        Ok(Duration(std::time::Duration::from_secs_f64(millis / 1e3)))
    }
}

const DURATION_HINT: &str = "write a duration like \"500ms\", \"30s\", \"10m\" or \"24h\"";

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if millis >= size && millis.is_multiple_of(size) {
                return write!(f, "{}{unit}", millis / size);
            }
        }
        write!(f, "{millis}ms")
    }
}

/// A number of bytes, written `"10MB"` or `"64MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// A number of bytes.
    pub const fn new(bytes: u64) -> Self {
        Size(bytes)
    }

    /// A number of mebibytes.
    pub const fn mib(mib: u64) -> Self {
        Size(mib << 20)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes, as far as memory can be addressed.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const SIZE_UNITS: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("kB", 1_000),
    ("B", 1),
];

const SIZE_HINT: &str = "write a size like \"500KB\", \"10MB\" or \"64MiB\"";

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split_number(text);
        let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or(SIZE_HINT)?;
        let number: f64 = number.parse().map_err(|_| SIZE_HINT)?;
        let bytes = number * *factor as f64;
        if !(0.0..=1e18).contains(&bytes) {
            return Err(SIZE_HINT.to_owned());
        }
        Ok(Size(bytes as u64))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in SIZE_UNITS {
            if unit != "kB" && self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "0B")
    }
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], &text[end..])
}

/// A moment, written in RFC 3339: `"2025-01-01T00:00:00Z"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub DateTime<Utc>);

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Timestamp(time.with_timezone(&Utc)))
            .map_err(|_| "write a time in RFC 3339, like \"2025-01-01T00:00:00Z\"".to_owned())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }
}

/// Where a polled source begins: `"now"`, `"all"`, or a moment in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With what comes from now on.
    Now,
    /// With the oldest there is.
    All,
    /// At a moment.
    At(DateTime<Utc>),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "now" => Ok(Start::Now),
            "all" => Ok(Start::All),
            _ => match text.parse() {
                Ok(Timestamp(time)) => Ok(Start::At(time)),
                Err(_) => Err("write \"now\", \"all\" or a time like \"2025-01-01T00:00:00Z\"".to_owned()),
            },
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Start::Now => f.write_str("now"),
            Start::All => f.write_str("all"),
            Start::At(time) => Timestamp(*time).fmt(f),
        }
    }
}

/// The text of a jq program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(pub String);

impl FromStr for Program {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Program(text.to_owned()))
    }
}

/// The body of a jq string, with interpolations `\(…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateText(pub String);

impl FromStr for TemplateText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(TemplateText(text.to_owned()))
    }
}

/// A path that may hold wildcards: `*`, `?`, `[…]`, `**`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard(pub String);

impl FromStr for Wildcard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match glob::Pattern::new(text) {
            Ok(_) => Ok(Wildcard(text.to_owned())),
            Err(error) => Err(format!("invalid wildcard: {}", error.msg)),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TemplateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Gives a type that is written as text its serde and schema sides.
macro_rules! written_as_text {
    ($($type:ty, $name:literal, $format:literal, $description:literal;)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "x-form": $description })
            }
        }
    )*};
}

written_as_text! {
    Duration, "Duration", "duration", "duration";
    Size, "Size", "size", "size";
    Timestamp, "Timestamp", "date-time", "time";
    Start, "Start", "start", "\"now\", \"all\" or a time";
    Program, "Program", "jq", "jq program";
    TemplateText, "Template", "jq-string", "body of a jq string";
    Wildcard, "Wildcard", "glob", "path or glob";
}

/// Checks text against the format of a schema. `Err` is what to write instead.
pub(super) fn check_format(format: &str, text: &str) -> Result<(), String> {
    match format {
        "duration" => text.parse::<Duration>().map(drop),
        "size" => text.parse::<Size>().map(drop),
        "date-time" => text.parse::<Timestamp>().map(drop),
        "start" => text.parse::<Start>().map(drop),
        "glob" => text.parse::<Wildcard>().map(drop),
        _ => Ok(()),
    }
}

/// A value that passes [`check_format`], for an option whose real value is not there.
pub(super) fn placeholder(format: Option<&str>) -> &'static str {
    match format {
        Some("duration") => "1s",
        Some("size") => "1MiB",
        Some("date-time") => "1970-01-01T00:00:00Z",
        Some("start") => "now",
        Some("jq") => ".",
        _ => "absent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_one_meaning() {
        for (text, millis) in [("500ms", 500), ("30s", 30_000), ("1.5m", 90_000), ("24h", 86_400_000)] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(std::time::Duration::from(duration).as_millis(), millis);
        }
        for (text, bytes) in [("10MB", 10_000_000), ("64MiB", 67_108_864), ("1KB", 1_000), ("7B", 7)] {
            assert_eq!(text.parse::<Size>().unwrap().bytes(), bytes);
        }
        for wrong in ["", "10", "s", "-1s", "1 s", "1w", "ten s"] {
            assert!(wrong.parse::<Duration>().is_err(), "{wrong}");
        }
        for wrong in ["", "10", "MB", "1 MB", "1mb"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn they_print_as_they_are_written() {
        for text in ["500ms", "30s", "10m", "24h", "1500ms"] {
            let shown = text.parse::<Duration>().unwrap().to_string();
            assert_eq!(shown.parse::<Duration>(), text.parse());
        }
        assert_eq!(Size::mib(64).to_string(), "64MiB");
        assert_eq!(Size::new(10_000_000).to_string(), "10MB");
        assert_eq!(Size::new(1234).to_string(), "1234B");
    }
}
