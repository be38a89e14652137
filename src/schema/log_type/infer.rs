//! Schemas out of sample events.
//!
//! What comes out accepts every sample it was made of. It depends on the samples and their order only.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use super::model::TimeFormat;
use crate::jq::{Json, Kind, View};

/// Levels of objects and arrays; what is below is `json`.
const LEVELS: usize = 20;

/// Members of an object; one with more is taken for a table of things, and becomes `json`.
const MEMBERS: usize = 300;

/// Members of all objects together.
const ALL_MEMBERS: usize = 10_000;

/// Longest name of a field.
const NAME: usize = 200;

/// Forms of a time in text, the likely ones first. A text of digits is none: it may be an id.
const TEXT_TIMES: [&str; 11] = [
    "rfc3339",
    "%a %b %d %H:%M:%S %Z %Y",
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %Z",
    "%d/%b/%Y:%H:%M:%S %z",
    "%d %b %Y %H:%M:%S",
    "%b %d %Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M:%S.%f",
];

/// Forms of a time in a number, and the numbers that are years from 2001 to 2100 in it.
const NUMBER_TIMES: [(&str, f64, f64); 4] =
    [("unix", 1e9, 4.1e9), ("unix_ms", 1e12, 4.1e12), ("unix_us", 1e15, 4.1e15), ("unix_ns", 1e18, 4.1e18)];

/// Words in the name of a field that holds a time; a number is none without one.
const TIME_WORDS: [&str; 7] = ["time", "date", "created", "updated", "timestamp", "_at", "ts"];

/// Names, in lower case, of a field that holds the time of the event, the likely ones first.
const EVENT_TIMES: [&str; 10] = [
    "eventtime",
    "event_time",
    "timestamp",
    "@timestamp",
    "time",
    "created",
    "createdat",
    "created_at",
    "ts",
    "date",
];

/// Names, in lower case and without `_`, of a field that holds a login.
const USERNAMES: [&str; 5] = ["username", "login", "userlogin", "loginname", "accountname"];

/// Gathers what samples have in common.
#[derive(Debug, Default)]
pub struct Samples {
    root: Profile,
    /// Members so far.
    members: usize,
    events: u64,
}

/// Why a sample is of no use.
#[derive(Debug, thiserror::Error)]
#[error("a sample must be an object, this is {0}")]
pub struct NoObject(&'static str);

/// What was seen in one place.
#[derive(Debug, Default)]
struct Profile {
    strings: u64,
    /// Of them, those that are empty.
    empty: u64,
    integers: u64,
    floats: u64,
    booleans: u64,
    arrays: u64,
    objects: u64,
    /// Some integer is beyond 64 bits, or some number beyond a float.
    beyond_integer: bool,
    beyond_float: bool,
    texts: Option<Texts>,
    numbers: Option<Numbers>,
    members: Vec<(String, Profile)>,
    by_name: HashMap<String, usize>,
    items: Option<Box<Profile>>,
    /// There is more below than a schema should tell of.
    is_opaque: bool,
}

/// What all texts of a place are; the empty ones say nothing.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a guess of its own that may fall")]
struct Texts {
    /// By the numbers of [`TEXT_TIMES`].
    times: Vec<bool>,
    addresses: bool,
    emails: bool,
    urls: bool,
    json: bool,
    any: bool,
}

/// What all numbers of a place are.
#[derive(Debug)]
struct Numbers {
    least: f64,
    most: f64,
}

impl Samples {
    /// Takes a sample in.
    pub fn add(&mut self, event: &mut Json) -> Result<(), NoObject> {
        let view = event.view();
        if view.kind() != Kind::Object {
            return Err(NoObject(view.kind().name()));
        }
        self.events += 1;
        self.root.add(view, LEVELS, &mut self.members);
        Ok(())
    }

    /// How many samples there were.
    pub fn len(&self) -> u64 {
        self.events
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// The schema, as the text of a file. `None` if no sample has a member that a field can be made of.
    pub fn to_yaml(&self, name: &str) -> Option<String> {
        if self.root.members.is_empty() || self.root.is_opaque {
            return None;
        }
        let event_time = self.root.event_time();
        let mut out = String::new();
        // writing into a string does not fail
        let _ = writeln!(out, "schema: {}", quoted(name));
        let _ = writeln!(out, "description: Inferred from {} sample events.", self.events);
        out.push_str("fields:\n");
        self.root.fields(self.events, 2, &mut Vec::new(), event_time.as_deref(), &mut out);
        Some(out)
    }
}

impl Profile {
    fn add(&mut self, value: View<'_>, levels: usize, budget: &mut usize) {
        match value.kind() {
            Kind::Null => {}
            Kind::Boolean(_) => self.booleans += 1,
            Kind::Number => self.number(value),
            Kind::String => {
                self.strings += 1;
                self.empty += u64::from(value.as_str().is_some_and(str::is_empty));
                let texts = self.texts.get_or_insert_with(Texts::new);
                texts.add(value.as_str().unwrap_or_default());
            }
            Kind::Array => {
                self.arrays += 1;
                if levels == 0 {
                    self.is_opaque = true;
                    return;
                }
                let items = self.items.get_or_insert_with(Box::default);
                value.for_items(|item| items.add(item, levels - 1, budget));
            }
            Kind::Object => {
                self.objects += 1;
                if levels == 0 || value.len() > MEMBERS {
                    self.is_opaque = true;
                }
                if !self.is_opaque {
                    value.for_members(|name, member| self.member(name, member, levels - 1, budget));
                }
            }
        }
    }

    fn member(&mut self, name: &str, value: View<'_>, levels: usize, budget: &mut usize) {
        if self.is_opaque {
            return;
        }
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None => {
                let is_too_many = self.members.len() >= MEMBERS || *budget >= ALL_MEMBERS;
                if is_too_many || name.is_empty() || name.len() > NAME {
                    self.is_opaque = true;
                    self.members.clear();
                    self.by_name.clear();
                    return;
                }
                *budget += 1;
                self.by_name.insert(name.to_owned(), self.members.len());
                self.members.push((name.to_owned(), Profile::default()));
                self.members.len() - 1
            }
        };
        if let Some((_, profile)) = self.members.get_mut(at) {
            profile.add(value, levels, budget);
        }
    }

    fn number(&mut self, value: View<'_>) {
        if value.is_integer() {
            self.integers += 1;
            self.beyond_integer |= value.as_i64().is_none();
        } else {
            self.floats += 1;
        }
        let number = value.number_text().and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
        self.beyond_float |= !number.is_finite();
        let numbers = self.numbers.get_or_insert(Numbers { least: number, most: number });
        numbers.least = numbers.least.min(number);
        numbers.most = numbers.most.max(number);
    }

    /// Events in which something other than null stands here.
    fn present(&self) -> u64 {
        self.strings + self.integers + self.floats + self.booleans + self.arrays + self.objects
    }

    /// The type, and the forms of its time.
    fn shape(&self, name: &str) -> (&'static str, Option<&'static str>) {
        let numbers = self.integers + self.floats;
        let present = self.present();
        if present == 0 {
            return ("json", None);
        }
        if self.strings == present {
            let texts = self.texts.as_ref();
            return match texts.and_then(Texts::time) {
                Some(format) => ("timestamp", Some(format)),
                None if texts.is_some_and(|texts| texts.any && texts.json) => ("json", None),
                None => ("string", None),
            };
        }
        if numbers == present {
            if let Some(format) = self.number_time(name) {
                return ("timestamp", Some(format));
            }
            return match () {
                () if self.floats == 0 && !self.beyond_integer => ("bigint", None),
                () if self.beyond_float => ("json", None),
                () => ("float", None),
            };
        }
        match () {
            () if self.booleans == present => ("boolean", None),
            () if self.arrays == present && !self.is_opaque => ("array", None),
            () if self.objects == present && !self.is_opaque && !self.members.is_empty() => ("object", None),
            // text and numbers as well: whichever of them the type were, the other would differ from it
            () => ("json", None),
        }
    }

    fn number_time(&self, name: &str) -> Option<&'static str> {
        let name = name.to_ascii_lowercase();
        let numbers = self.numbers.as_ref()?;
        let may_be = TIME_WORDS.iter().any(|word| match *word {
            "ts" => name == "ts" || name.ends_with("_ts"),
            word => name.contains(word),
        });
        let fits = |(_, from, to): &&(&str, f64, f64)| numbers.least >= *from && numbers.most < *to;
        let (format, ..) = NUMBER_TIMES.iter().find(fits)?;
        may_be.then_some(*format)
    }

    /// The path of the time of the event: of a name that says so, else the first one that is always
    /// there, else the first one. What is further up is preferred.
    fn event_time(&self) -> Option<Vec<String>> {
        let mut level: Vec<(Vec<String>, &Profile)> = vec![(Vec::new(), self)];
        let mut first: Option<(u32, Vec<String>)> = None;
        for _ in 0..4 {
            let mut next = Vec::new();
            for (path, object) in &level {
                for (name, member) in &object.members {
                    let path: Vec<_> = path.iter().cloned().chain([name.clone()]).collect();
                    match member.shape(name).0 {
                        "timestamp" => {
                            let lower = name.to_ascii_lowercase();
                            let by_name = EVENT_TIMES.iter().position(|known| *known == lower);
                            let is_always = member.present() == object.objects;
                            let rank = by_name.map_or(100, |at| at as u32) + if is_always { 0 } else { 50 };
                            if first.as_ref().is_none_or(|(best, _)| rank < *best) {
                                first = Some((rank, path));
                            }
                        }
                        "object" => next.push((path, member)),
                        _ => {}
                    }
                }
            }
            if first.is_some() {
                break;
            }
            level = next;
        }
        first.map(|(_, path)| path)
    }

    /// Writes the members as a list of fields.
    fn fields<'p>(
        &'p self,
        objects: u64,
        indent: usize,
        path: &mut Vec<&'p str>,
        event_time: Option<&[String]>,
        out: &mut String,
    ) {
        for (name, member) in &self.members {
            let pad = " ".repeat(indent);
            let _ = writeln!(out, "{pad}- name: {}", quoted(name));
            // an empty text stands for null where a time is expected, or JSON in text
            let is_text = member.strings > 0 && member.strings == member.present();
            let is_null_if_empty = is_text && matches!(member.shape(name).0, "timestamp" | "json");
            let null = if is_null_if_empty { member.empty } else { 0 };
            if objects > 0 && member.present() - null == objects {
                let _ = writeln!(out, "{pad}  required: true");
            }
            path.push(name);
            member.element(name, indent + 2, path, event_time, out);
            path.pop();
        }
    }

    /// Writes a type and what belongs to it.
    fn element<'p>(
        &'p self,
        name: &str,
        indent: usize,
        path: &mut Vec<&'p str>,
        event_time: Option<&[String]>,
        out: &mut String,
    ) {
        let pad = " ".repeat(indent);
        let (kind, format) = self.shape(name);
        let _ = writeln!(out, "{pad}type: {kind}");
        if let Some(format) = format {
            let _ = writeln!(out, "{pad}timeFormat: {}", quoted(format));
            if event_time.is_some_and(|time| time == path.as_slice()) {
                let _ = writeln!(out, "{pad}isEventTime: true");
            }
        }
        match kind {
            "array" => {
                let _ = writeln!(out, "{pad}element:");
                // an array has items, if only none that were seen
                let none = Profile::default();
                let items = self.items.as_deref();
                match items {
                    // the items of an array have no one time
                    Some(items) => items.element(name, indent + 2, path, None, out),
                    None => none.element(name, indent + 2, &mut Vec::new(), None, out),
                }
            }
            "object" => {
                let _ = writeln!(out, "{pad}fields:");
                self.fields(self.objects, indent + 2, path, event_time, out);
            }
            "json" if self.strings > 0 && self.strings == self.present() => {
                let _ = writeln!(out, "{pad}isEmbeddedJSON: true");
            }
            "string" => {
                if let Some(indicator) = self.indicator(name) {
                    let _ = writeln!(out, "{pad}indicators:\n{pad}  - {indicator}");
                }
            }
            _ => {}
        }
    }

    fn indicator(&self, name: &str) -> Option<&'static str> {
        let texts = self.texts.as_ref().filter(|texts| texts.any && self.strings == self.present())?;
        let name = name.to_ascii_lowercase().replace('_', "");
        match () {
            () if texts.addresses => Some("ip"),
            () if USERNAMES.contains(&&*name) => Some("username"),
            () if texts.emails => Some("email"),
            () if texts.urls => Some("url"),
            () if matches!(&*name, "host" | "hostname") => Some("hostname"),
            () => None,
        }
    }
}

impl Texts {
    fn new() -> Self {
        Texts {
            times: vec![true; TEXT_TIMES.len()],
            addresses: true,
            emails: true,
            urls: true,
            json: true,
            any: false,
        }
    }

    fn add(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.any = true;
        // no form of a time is longer, and none is a day alone
        let may_be_time = (14..=64).contains(&text.len()) && !text.bytes().all(|b| b.is_ascii_digit());
        let value = Json::string(text);
        for (fits, format) in self.times.iter_mut().zip(TEXT_TIMES) {
            *fits =
                *fits && may_be_time && TimeFormat::of(format).is_some_and(|format| reads(&format, &value));
        }
        self.addresses = self.addresses && text.parse::<IpAddr>().is_ok();
        self.emails = self.emails && is_email(text);
        self.urls = self.urls && is_url(text);
        self.json = self.json && is_json(text);
    }

    fn time(&self) -> Option<&'static str> {
        let at = self.times.iter().position(|fits| *fits).filter(|_| self.any)?;
        TEXT_TIMES.get(at).copied()
    }
}

fn reads(format: &TimeFormat, value: &Json) -> bool {
    format.read(value.clone().view()).is_some()
}

fn is_email(text: &str) -> bool {
    let Some((user, host)) = text.split_once('@') else { return false };
    let is_plain = !text.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ':' | '@') && c != '@');
    !user.is_empty() && is_plain && !host.contains('@') && host.contains('.') && !host.starts_with('.')
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+');
    is_scheme && !rest.is_empty() && !text.contains(char::is_whitespace)
}

/// An array or object in text. A text that only looks like one is none.
fn is_json(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(['{', '[']) && Json::parse(bytes::Bytes::copy_from_slice(text.as_bytes()), 512).is_ok()
}

/// Text as YAML reads it back: plain where nothing can be misunderstood.
fn quoted(text: &str) -> String {
    let is_word = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    let lower = text.to_ascii_lowercase();
    let means_more = matches!(&*lower, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if is_word && !means_more {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control()
                || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
