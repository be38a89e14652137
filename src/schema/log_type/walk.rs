//! One walk over an event along a schema: types checked, values coerced, times and indicators gathered.

use std::borrow::Cow;

use super::check::{Failure, Missing, Options, Times};
use super::indicator::{Found, Indicator};
use super::model::{Element, Field, Object, Schema, Type};
use super::watch::Watch;
use crate::jq::{Instant, Json, Kind, View, append_to_path};

/// Bytes of a value in a message.
const EXCERPT: usize = 60;

/// Levels below a value of type `json` that are searched for indicators.
const INDICATOR_LEVELS: usize = 32;

/// What one walk over an event gathers.
#[derive(Debug, Default)]
pub(super) struct Pass {
    options: Options,
    /// Names and numbers on the way to the value in hand, for messages.
    trail: Vec<Step>,
    pub(super) found: Found,
    /// The lowest rank so far.
    pub(super) event_time: Option<(u32, Instant)>,
    pub(super) watch: Option<Box<dyn Watch>>,
}

/// A step on the way to a value.
#[derive(Debug)]
pub(super) enum Step {
    Member(String),
    Item(usize),
}

/// What a value becomes, if it changes, or why it must not be.
pub(super) type Changed = Result<Option<Json>, Box<Failure>>;

impl Pass {
    /// Makes ready for an event.
    pub(super) fn begin(&mut self, options: Options) {
        self.options = options;
        self.trail.clear();
        self.found.clear();
        self.event_time = None;
        if let Some(watch) = &mut self.watch {
            watch.begin();
        }
    }

    /// Holds an event against a schema.
    pub(super) fn root(&mut self, schema: &Schema, event: View<'_>) -> Changed {
        if event.kind() != Kind::Object {
            return Err(self.failure(None, "an object", event));
        }
        self.members(&schema.root, event)
    }

    /// Checks the members of an object, and gives it with those that change.
    fn members(&mut self, object: &Object, value: View<'_>) -> Changed {
        let mut changes: Vec<(usize, Json)> = Vec::new();
        let mut failure = None;
        let (mut at, mut required) = (0, 0);
        value.for_members(|name, member| {
            let number = at;
            at += 1;
            if failure.is_some() {
                return;
            }
            let Some(field) = object.get(name) else {
                if let Some(watch) = &mut self.watch {
                    watch.unknown(&pattern_of(&self.trail, Some(name)), member);
                }
                return;
            };
            if member.kind() == Kind::Null {
                return;
            }
            required += usize::from(field.required);
            if let Some(watch) = &mut self.watch {
                watch.seen(field.number);
            }
            match self.value(&field.element, Some(field), member) {
                Ok(None) => {}
                Ok(Some(changed)) => changes.push((number, changed)),
                Err(found) => failure = Some(found),
            }
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        if required < object.required()
            && self.options.missing == Missing::Fail
            && let Some(failure) = missing(object, value, &self.trail)
        {
            return Err(Box::new(failure));
        }
        Ok((!changes.is_empty()).then(|| value.with_members(changes, [])))
    }

    fn items(&mut self, element: &Element, value: View<'_>) -> Changed {
        let mut changes: Vec<(usize, Json)> = Vec::new();
        let mut failure = None;
        let mut at = 0;
        self.trail.push(Step::Item(0));
        value.for_items(|item| {
            let number = at;
            at += 1;
            if failure.is_some() || item.kind() == Kind::Null {
                return;
            }
            if let Some(step) = self.trail.last_mut() {
                *step = Step::Item(number);
            }
            match self.value(element, None, item) {
                Ok(None) => {}
                Ok(Some(changed)) => changes.push((number, changed)),
                Err(found) => failure = Some(found),
            }
        });
        self.trail.pop();
        match failure {
            Some(failure) => Err(failure),
            None => Ok((!changes.is_empty()).then(|| value.with_items(changes))),
        }
    }

    /// Checks a value that is not null; what it becomes, if it changes. `field` is whose it is, if it
    /// is no item of an array.
    fn value(&mut self, element: &Element, field: Option<&Field>, value: View<'_>) -> Changed {
        let changed = match &element.kind {
            Type::String => self.string(element, field, value)?,
            Type::Integer(bits) => self.integer(*bits, field, value)?,
            Type::Float => self.float(field, value)?,
            Type::Boolean => self.boolean(field, value)?,
            Type::Timestamp => self.timestamp(element, field, value)?,
            Type::Array(_) | Type::Object(_) | Type::Json if element.is_embedded => {
                return self.embedded(element, field, value);
            }
            Type::Array(_) | Type::Object(_) | Type::Json => return self.nested(element, field, value),
        };
        if !element.indicators.is_empty() && !matches!(element.kind, Type::Timestamp) {
            self.scan(&element.indicators, value);
        }
        Ok(changed)
    }

    /// A value whose content is elsewhere: below it.
    fn nested(&mut self, element: &Element, field: Option<&Field>, value: View<'_>) -> Changed {
        let (wanted, kind) = match &element.kind {
            Type::Array(_) => (Kind::Array, "array"),
            Type::Object(_) => (Kind::Object, "object"),
            _ => {
                if !element.indicators.is_empty() {
                    self.scan_below(&element.indicators, value, INDICATOR_LEVELS);
                }
                return Ok(None);
            }
        };
        if value.kind() != wanted {
            return Err(self.failure(field, kind, value));
        }
        if let Some(field) = field {
            self.trail.push(Step::Member(field.name.clone()));
        }
        let changed = match &element.kind {
            Type::Array(items) => self.items(items, value),
            Type::Object(object) => self.members(object, value),
            _ => Ok(None),
        };
        if field.is_some() {
            self.trail.pop();
        }
        changed
    }

    /// A value that may be JSON in text.
    fn embedded(&mut self, element: &Element, field: Option<&Field>, value: View<'_>) -> Changed {
        let Some(text) = value.as_str() else { return self.nested(element, field, value) };
        if text.trim().is_empty() {
            return Ok(Some(Json::null()));
        }
        let bytes = bytes::Bytes::copy_from_slice(text.trim().as_bytes());
        let Ok(mut inner) = Json::parse(bytes, self.options.depth.0) else {
            return Err(self.failure(field, &format!("{} as JSON in text", element.kind.name()), value));
        };
        if inner.view().kind() == Kind::Null {
            return Ok(Some(inner));
        }
        let changed = self.nested(element, field, inner.view())?;
        Ok(Some(changed.unwrap_or_else(|| inner.view().to_json())))
    }

    fn string(&mut self, element: &Element, field: Option<&Field>, value: View<'_>) -> Changed {
        let changed = match value.kind() {
            Kind::String => None,
            Kind::Number => value.number_text().map(Cow::into_owned),
            Kind::Boolean(value) => Some(value.to_string()),
            _ => return Err(self.failure(field, "string", value)),
        };
        if changed.is_some() {
            self.coerced(field, value);
        }
        let text = changed.as_deref().or_else(|| value.as_str()).unwrap_or_default();
        if let Some(expected) = element.validate.as_ref().and_then(|rules| rules.refuse(text)) {
            return Err(self.failure(field, &expected, value));
        }
        if let Some(rank) = element.event_time
            && let Some(time) = element.times.iter().find_map(|format| format.read(value))
        {
            self.time(rank, time);
        }
        Ok(changed.map(|text| Json::string(&text)))
    }

    fn integer(&mut self, bits: u8, field: Option<&Field>, value: View<'_>) -> Changed {
        let most = i64::MAX >> (64 - u32::from(bits));
        let name = Type::Integer(bits).name();
        let within = |number: i64| (-most - 1..=most).contains(&number);
        if value.as_i64().is_some_and(within) {
            return Ok(None);
        }
        if value.is_integer() {
            return Err(self.failure(field, &format!("{name} from {} to {most}", -most - 1), value));
        }
        match value.as_str() {
            Some("") => Ok(Some(Json::null())),
            Some(text) => match text.parse::<i64>() {
                Ok(number) if within(number) => {
                    self.coerced(field, value);
                    Ok(Some(Json::integer(number)))
                }
                _ => Err(self.failure(field, name, value)),
            },
            None => Err(self.failure(field, name, value)),
        }
    }

    fn float(&mut self, field: Option<&Field>, value: View<'_>) -> Changed {
        let is_finite = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
        if let Some(text) = value.number_text() {
            return if is_finite(&text) {
                Ok(None)
            } else {
                Err(self.failure(field, "float that 64 bits hold", value))
            };
        }
        match value.as_str() {
            Some("") => Ok(Some(Json::null())),
            Some(text) if is_finite(text.trim()) => match Json::number(text.trim()) {
                Some(number) => {
                    self.coerced(field, value);
                    Ok(Some(number))
                }
                None => Err(self.failure(field, "float", value)),
            },
            _ => Err(self.failure(field, "float", value)),
        }
    }

    fn boolean(&mut self, field: Option<&Field>, value: View<'_>) -> Changed {
        let changed = match value.kind() {
            Kind::Boolean(_) => return Ok(None),
            Kind::Number => match value.as_i64() {
                Some(0) => false,
                Some(1) => true,
                _ => return Err(self.failure(field, "boolean", value)),
            },
            _ => match value.as_str() {
                Some("") => return Ok(Some(Json::null())),
                Some("true" | "True" | "TRUE" | "t" | "T" | "1") => true,
                Some("false" | "False" | "FALSE" | "f" | "F" | "0") => false,
                _ => return Err(self.failure(field, "boolean", value)),
            },
        };
        self.coerced(field, value);
        Ok(Some(Json::boolean(changed)))
    }

    fn timestamp(&mut self, element: &Element, field: Option<&Field>, value: View<'_>) -> Changed {
        if value.as_str() == Some("") {
            return Ok(Some(Json::null()));
        }
        let Some(time) = element.times.iter().find_map(|format| format.read(value)) else {
            let formats: Vec<_> = element.times.iter().map(|format| format!("`{}`", format.name())).collect();
            return Err(self.failure(field, &format!("timestamp as {}", formats.join(" or ")), value));
        };
        if let Some(rank) = element.event_time {
            self.time(rank, time);
        }
        Ok(match self.options.times {
            Times::Rfc3339 if value.as_str().is_some_and(is_plain_utc) => None,
            Times::Rfc3339 => Some(Json::string(&time.to_rfc3339())),
            Times::Table => Some(Json::string(&time.to_table_text())),
        })
    }

    fn time(&mut self, rank: u32, time: Instant) {
        if self.event_time.is_none_or(|(known, _)| rank < known) {
            self.event_time = Some((rank, time));
        }
    }

    fn scan(&mut self, indicators: &[Indicator], value: View<'_>) {
        let number = value.number_text();
        if let Some(text) = value.as_str().or(number.as_deref()) {
            indicators.iter().for_each(|indicator| indicator.scan(text, &mut self.found));
        }
    }

    fn scan_below(&mut self, indicators: &[Indicator], value: View<'_>, levels: usize) {
        let Some(levels) = levels.checked_sub(1) else { return };
        match value.kind() {
            Kind::Array => value.for_items(|item| self.scan_below(indicators, item, levels)),
            Kind::Object => value.for_members(|_, member| self.scan_below(indicators, member, levels)),
            _ => self.scan(indicators, value),
        }
    }

    fn coerced(&mut self, field: Option<&Field>, value: View<'_>) {
        if let Some(watch) = &mut self.watch {
            let path = pattern_of(&self.trail, field.map(|field| &*field.name));
            watch.coerced(&path, value);
        }
    }

    fn failure(&self, field: Option<&Field>, expected: &str, got: View<'_>) -> Box<Failure> {
        let got = match got.kind() {
            Kind::Null => "null".to_owned(),
            Kind::Boolean(value) => value.to_string(),
            kind => format!("the {} {}", kind.name(), got.excerpt(EXCERPT)),
        };
        let path = text_of(&self.trail, field.map(|field| &*field.name));
        Box::new(Failure { path, expected: expected.to_owned(), got, is_missing: false })
    }
}

/// The first required field that an object lacks, or has as null.
pub(super) fn missing(object: &Object, value: View<'_>, trail: &[Step]) -> Option<Failure> {
    let is_missing = |field: &&Field| {
        field.required && value.member(&field.name, |member| member.kind() == Kind::Null).unwrap_or(true)
    };
    let field = object.fields().iter().find(is_missing)?;
    Some(Failure {
        path: text_of(trail, Some(&field.name)),
        expected: format!("{} (required)", field.element.kind.name()),
        got: value.member(&field.name, |_| "null").unwrap_or("nothing").to_owned(),
        is_missing: true,
    })
}

/// The path of a member of what a trail leads to.
fn text_of(trail: &[Step], name: Option<&str>) -> String {
    path_of(trail, name, |path, number| path.push_str(&format!("[{number}]")))
}

/// The same for all items of an array.
fn pattern_of(trail: &[Step], name: Option<&str>) -> String {
    path_of(trail, name, |path, _| path.push_str("[]"))
}

fn path_of(trail: &[Step], name: Option<&str>, append_item: impl Fn(&mut String, usize)) -> String {
    let mut path = String::new();
    for step in trail {
        match step {
            Step::Member(name) => append_to_path(&mut path, name),
            Step::Item(number) => append_item(&mut path, *number),
        }
    }
    if let Some(name) = name {
        append_to_path(&mut path, name);
    }
    if path.is_empty() || path.starts_with('[') {
        path.insert(0, '.');
    }
    path
}

/// `2024-01-02T03:04:05Z`, with any fraction: written as it would be written here.
fn is_plain_utc(text: &str) -> bool {
    let bytes = text.as_bytes();
    let fraction = match bytes {
        [_, .., b'Z'] if bytes.len() == 20 => true,
        [.., b'Z'] if bytes.len() > 21 => {
            bytes[19] == b'.' && bytes[20..bytes.len() - 1].iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    // that the rest is a time has been seen already
    fraction && bytes[10] == b'T'
}
