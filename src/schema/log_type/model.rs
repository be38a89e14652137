//! What a schema file says, ready to check with.

use std::net::IpAddr;
use std::ops::Range;

use super::indicator::Indicator;
use crate::jq::{Instant, View};
use crate::schema::names::Names;

/// A log type schema.
#[derive(Debug)]
pub struct Schema {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) root: Object,
    /// Paths of all fields, by their numbers.
    pub(super) paths: Vec<String>,
}

impl Schema {
    /// The name of the log type.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the file says of it.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The fields of a record.
    pub fn root(&self) -> &Object {
        &self.root
    }

    /// The path of a field by its [`Field::number`], with `[]` for the items of an array.
    pub fn path(&self, number: u32) -> &str {
        self.paths.get(number as usize).map_or("", String::as_str)
    }

    /// How many fields there are on all levels.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}

/// The fields of an object.
#[derive(Debug, Default)]
pub struct Object {
    fields: Vec<Field>,
    required: usize,
    /// Finds the fields.
    names: Names,
}

impl Object {
    pub(super) fn new(fields: Vec<Field>) -> Self {
        let names = Names::of(fields.iter().map(|field| field.name.as_str()));
        let required = fields.iter().filter(|field| field.required).count();
        Object { fields, required, names }
    }

    /// The fields in the order of the file.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// How many fields are required.
    pub(super) fn required(&self) -> usize {
        self.required
    }

    /// The field of a name.
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.names.find(name, |at| &self.fields[at].name).map(|at| &self.fields[at])
    }
}

/// A field of an object.
#[derive(Debug)]
pub struct Field {
    /// Name of the member.
    pub name: String,
    /// Whether a record must have it, and not as null.
    pub required: bool,
    /// What the file says of it.
    pub description: String,
    /// Which one it is of the schema's fields.
    pub number: u32,
    /// What it holds.
    pub element: Element,
}

/// What a field or the items of an array hold.
#[derive(Debug)]
pub struct Element {
    /// The type.
    pub kind: Type,
    /// The value may be JSON in text.
    pub is_embedded: bool,
    /// Forms of a time, tried in order.
    pub times: Vec<TimeFormat>,
    /// If it may be the time of the record: the lowest number that is found is.
    pub event_time: Option<u32>,
    /// What the value is worth finding again as.
    pub indicators: Vec<Indicator>,
    /// What the text must be besides.
    pub validate: Option<Validate>,
}

/// The type of a value.
#[derive(Debug)]
pub enum Type {
    /// Text; numbers and booleans become text.
    String,
    /// An integer of so many bits, with sign.
    Integer(u8),
    /// A number of 64 bits with a fraction.
    Float,
    /// `true` or `false`.
    Boolean,
    /// A point of time.
    Timestamp,
    /// Values of one type.
    Array(Box<Element>),
    /// Members that are known.
    Object(Object),
    /// Anything.
    Json,
}

impl Type {
    /// The name in a schema file.
    pub fn name(&self) -> &'static str {
        match self {
            Type::String => "string",
            Type::Integer(16) => "smallint",
            Type::Integer(32) => "int",
            Type::Integer(_) => "bigint",
            Type::Float => "float",
            Type::Boolean => "boolean",
            Type::Timestamp => "timestamp",
            Type::Array(_) => "array",
            Type::Object(_) => "object",
            Type::Json => "json",
        }
    }
}

/// A form of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339, and what is commonly written instead.
    Rfc3339,
    /// A number since 1970; a second is ten to the power of this many.
    Unix(u32),
    /// Text after `strptime`, with names of zones.
    Strptime(String),
}

impl TimeFormat {
    /// The form of a name in a schema file; anything with a `%` is a `strptime` format.
    pub(super) fn of(text: &str) -> Option<Self> {
        Some(match text {
            "rfc3339" => TimeFormat::Rfc3339,
            "unix" => TimeFormat::Unix(0),
            "unix_ms" => TimeFormat::Unix(3),
            "unix_us" => TimeFormat::Unix(6),
            "unix_ns" => TimeFormat::Unix(9),
            other if other.contains('%') => TimeFormat::Strptime(other.to_owned()),
            _ => return None,
        })
    }

    /// The name in a schema file.
    pub fn name(&self) -> &str {
        match self {
            TimeFormat::Rfc3339 => "rfc3339",
            TimeFormat::Unix(0) => "unix",
            TimeFormat::Unix(3) => "unix_ms",
            TimeFormat::Unix(6) => "unix_us",
            TimeFormat::Unix(_) => "unix_ns",
            TimeFormat::Strptime(format) => format,
        }
    }

    /// Whether a time that it reads has a year of its own, and not that of the epoch.
    pub(super) fn has_year(&self) -> bool {
        let TimeFormat::Strptime(format) = self else { return true };
        let mut chars = format.chars();
        while chars.by_ref().any(|c| c == '%') {
            let letter = chars.find(|c| !matches!(c, '-' | '_' | '0' | '^' | '#' | 'E' | 'O'));
            if letter.is_some_and(|letter| YEARS.contains(letter)) {
                return true;
            }
        }
        false
    }

    /// The time that a value says. None beyond the years of four digits: it could not be written.
    pub(super) fn read(&self, value: View<'_>) -> Option<Instant> {
        let number = value.number_text();
        let text = match (&number, value.as_str()) {
            (Some(number), _) => number,
            (None, Some(text)) => text,
            (None, None) => return None,
        };
        let time = match self {
            TimeFormat::Rfc3339 if number.is_none() => Instant::rfc3339(text).ok(),
            TimeFormat::Rfc3339 => None,
            TimeFormat::Unix(digits) => Instant::by_number(text, *digits),
            TimeFormat::Strptime(format) => Instant::by_format(text, format),
        };
        time.filter(|time| SECONDS.contains(&time.seconds))
    }
}

/// Conversions of `strptime` that read a year, or a point of time as a whole.
const YEARS: &str = "cCDFsxyY";

/// From 0000-01-01 to 9999-12-31, in seconds since 1970.
const SECONDS: Range<i64> = -62_167_219_200..253_402_300_800;

/// What a text must be besides being text.
#[derive(Debug, Default)]
pub struct Validate {
    /// One of these, if there are any.
    pub allow: Vec<String>,
    /// None of these.
    pub deny: Vec<String>,
    /// An address of this version.
    pub ip: Option<Version>,
    /// A network of this version.
    pub cidr: Option<Version>,
}

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Either.
    Any,
    /// Version 4.
    V4,
    /// Version 6.
    V6,
}

impl Version {
    fn holds(self, address: IpAddr) -> bool {
        match self {
            Version::Any => true,
            Version::V4 => address.is_ipv4(),
            Version::V6 => address.is_ipv6(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Version::Any => "IP",
            Version::V4 => "IPv4",
            Version::V6 => "IPv6",
        }
    }
}

impl Validate {
    /// What was expected instead of this text, if anything.
    pub(super) fn refuse(&self, text: &str) -> Option<String> {
        if !self.allow.is_empty() && !self.allow.iter().any(|allowed| allowed == text) {
            let shown: Vec<_> = self.allow.iter().take(8).map(|one| format!("`{one}`")).collect();
            let more = if self.allow.len() > 8 { ", …" } else { "" };
            return Some(format!("one of {}{more}", shown.join(", ")));
        }
        if self.deny.iter().any(|denied| denied == text) {
            return Some(format!("anything but `{text}`"));
        }
        if let Some(version) = self.ip
            && !text.parse().is_ok_and(|address| version.holds(address))
        {
            return Some(format!("an {} address", version.name()));
        }
        if let Some(version) = self.cidr
            && !is_network(text, version)
        {
            return Some(format!("an {} network as 192.0.2.0/24", version.name()));
        }
        None
    }
}

fn is_network(text: &str, version: Version) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let digits = length.bytes().all(|b| b.is_ascii_digit());
    digits && length.parse::<u8>().is_ok_and(|length| length <= most) && version.holds(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        for count in 0..40 {
            let names: Vec<_> = (0..count).map(|n| format!("field {n}")).collect();
            let element = || Element {
                kind: Type::Json,
                is_embedded: false,
                times: vec![],
                event_time: None,
                indicators: vec![],
                validate: None,
            };
            let field = |name: &String| Field {
                name: name.clone(),
                required: false,
                description: String::new(),
                number: 0,
                element: element(),
            };
            let object = Object::new(names.iter().map(field).collect());
            for name in &names {
                assert_eq!(&object.get(name).unwrap().name, name);
            }
            assert!((count..200).all(|n| object.get(&format!("field {n}")).is_none()));
        }
    }

    #[test]
    fn texts_are_validated() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let rule = Validate { allow: words(&["a", "b"]), deny: words(&["b"]), ..Validate::default() };
        assert_eq!(rule.refuse("a"), None);
        assert_eq!(rule.refuse("b").unwrap(), "anything but `b`");
        assert_eq!(rule.refuse("c").unwrap(), "one of `a`, `b`");
        let ip = |version| Validate { ip: Some(version), ..Validate::default() };
        assert!(ip(Version::Any).refuse("2001:db8::1").is_none());
        assert_eq!(ip(Version::V4).refuse("2001:db8::1").unwrap(), "an IPv4 address");
        assert!(ip(Version::V6).refuse("192.0.2.1").is_some());
        let cidr = Validate { cidr: Some(Version::V4), ..Validate::default() };
        assert!(cidr.refuse("192.0.2.0/24").is_none());
        for text in ["192.0.2.0", "192.0.2.0/33", "192.0.2.0/+8", "2001:db8::/32", "192.0.2.0/"] {
            assert!(cidr.refuse(text).is_some(), "{text}");
        }
    }
}
