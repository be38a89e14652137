//! One walk over an event along a schema: types checked, values coerced, times and indicators gathered.

use std::borrow::Cow;

use super::check::{Missing, Options, Times};
use super::failure::{Failure, Step, pattern_of};
use super::indicator::{Found, Indicator};
use super::model::{Element, Field, Object, Schema, Type};
use super::watch::Watch;
use crate::jq::{Instant, Json, Kind, View};

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
    /// Goes on behind a failure, and gives it to the watch.
    is_survey: bool,
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
        self.is_survey = false;
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

    /// Has the watch look at all of an event that does not match: at every failure, and at what is
    /// beside and behind it.
    pub(super) fn survey(&mut self, options: Options, schema: &Schema, event: View<'_>) {
        self.begin(options);
        self.is_survey = true;
        if let Err(failure) = self.root(schema, event) {
            // what was not told of below: the event itself is none
            self.refuse(failure);
        }
    }

    /// Gives a failure to the watch and nothing back in a survey; else gives it back.
    fn refuse(&mut self, failure: Box<Failure>) -> Option<Box<Failure>> {
        match &mut self.watch {
            Some(watch) if self.is_survey => {
                watch.refused(&failure);
                None
            }
            _ => Some(failure),
        }
    }

    /// Checks the members of an object, and gives it with those that change.
    fn members(&mut self, object: &Object, value: View<'_>) -> Changed {
        let mut changes: Vec<(usize, Json)> = Vec::new();
        let mut failure = None;
        let (mut at, mut required) = (0, 0);
        // required fields whose values stand for null
        let mut blank: Vec<u32> = Vec::new();
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
                Ok(Some(mut changed)) => {
                    if field.required && changed.view().kind() == Kind::Null {
                        required -= 1;
                        blank.push(field.number);
                    }
                    changes.push((number, changed));
                }
                Err(found) => failure = self.refuse(found),
            }
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        if required < object.required() && self.options.missing == Missing::Fail {
            let trail = std::mem::take(&mut self.trail);
            let mut missing = missing(object, value, &trail, &blank);
            let first = missing.find_map(|failure| self.refuse(Box::new(failure)));
            drop(missing);
            self.trail = trail;
            if let Some(first) = first {
                return Err(first);
            }
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
                Err(found) => failure = self.refuse(found),
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
        match value.as_str() {
            Some(text) if element.is_embedded => self.embedded(element, field, text, value),
            _ => self.direct(element, field, value),
        }
    }

    /// The same for a value that stands there itself, and not in text.
    fn direct(&mut self, element: &Element, field: Option<&Field>, value: View<'_>) -> Changed {
        let changed = match &element.kind {
            Type::String => self.string(element, field, value)?,
            Type::Integer(bits) => self.integer(*bits, field, value)?,
            Type::Float => self.float(field, value)?,
            Type::Boolean => self.boolean(field, value)?,
            Type::Timestamp => return self.timestamp(element, field, value),
            Type::Json => {
                if !element.indicators.is_empty() {
                    self.scan_below(&element.indicators, value, INDICATOR_LEVELS);
                }
                return Ok(None);
            }
            Type::Array(_) if value.kind() != Kind::Array => {
                return Err(self.failure(field, "array", value));
            }
            Type::Object(_) if value.kind() != Kind::Object => {
                return Err(self.failure(field, "object", value));
            }
            Type::Array(items) => return self.below(field, |pass| pass.items(items, value)),
            Type::Object(object) => return self.below(field, |pass| pass.members(object, value)),
        };
        if !element.indicators.is_empty() {
            self.scan(&element.indicators, value);
        }
        Ok(changed)
    }

    /// Looks at what is in a field.
    fn below(&mut self, field: Option<&Field>, look: impl FnOnce(&mut Self) -> Changed) -> Changed {
        let before = self.trail.len();
        self.trail.extend(field.map(|field| Step::Member(field.name.clone())));
        let changed = look(self);
        self.trail.truncate(before);
        changed
    }

    /// JSON in text.
    fn embedded(&mut self, element: &Element, field: Option<&Field>, text: &str, value: View<'_>) -> Changed {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Some(Json::null()));
        }
        let bytes = bytes::Bytes::copy_from_slice(text.as_bytes());
        let Ok(mut inner) = Json::parse(bytes, self.options.depth) else {
            return Err(self.failure(field, &format!("{} as JSON in text", element.kind.name()), value));
        };
        if inner.view().kind() == Kind::Null {
            return Ok(Some(inner));
        }
        let changed = self.direct(element, field, inner.view())?;
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
            Some(text) if is_blank(text) => Ok(Some(Json::null())),
            // a sign of either kind and zeros in front are read
            Some(text) => match text.trim().parse::<i64>() {
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
            Some(text) if is_blank(text) => Ok(Some(Json::null())),
            Some(text) => {
                let number = decimal(text.trim()).filter(|text| is_finite(text));
                match number.and_then(|text| Json::number(&text)) {
                    Some(number) => {
                        self.coerced(field, value);
                        Ok(Some(number))
                    }
                    None => Err(self.failure(field, "float", value)),
                }
            }
            None => Err(self.failure(field, "float", value)),
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
            _ => match value.as_str().map(str::trim) {
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
        if value.as_str().is_some_and(is_blank) {
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
        Box::new(Failure::of(&self.trail, field.map(|field| &*field.name), expected, got))
    }
}

/// The required fields that an object lacks, or has as null, or as one of the values that stand for
/// null, in the order of the schema.
pub(super) fn missing<'m>(
    object: &'m Object,
    value: View<'m>,
    trail: &'m [Step],
    blank: &'m [u32],
) -> impl Iterator<Item = Failure> + 'm {
    let required = object.fields().iter().filter(|field| field.required);
    required.filter_map(move |field| {
        let kind = field.element.kind.name();
        let failed = |got: Option<View<'_>>| Failure::missing(trail, &field.name, kind, got);
        let found = value.member(&field.name, |member| {
            let is_there = member.kind() != Kind::Null && !blank.contains(&field.number);
            (!is_there).then(|| failed(Some(member)))
        });
        found.unwrap_or_else(|| Some(failed(None)))
    })
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// A decimal number as JSON writes it: without `+` and zeros in front, and with digits on both sides
/// of the point. The digits stay as they are.
fn decimal(text: &str) -> Option<String> {
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => unsigned.split_at(at),
        None => (unsigned, ""),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let power = exponent.get(1..).unwrap_or_default();
    let power = power.strip_prefix(['+', '-']).unwrap_or(power);
    let is_number = is_digits(whole)
        && is_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && is_digits(power)
        && exponent.is_empty() == power.is_empty();
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    is_number.then(|| format!("{sign}{whole}{point}{fraction}{exponent}"))
}

/// `2024-01-02T03:04:05Z`, with any fraction: written as it would be written here. The second 60 and
/// the hour 24 are times of the next minute and day, and are written so.
fn is_plain_utc(text: &str) -> bool {
    let Some((seconds, rest)) = text.split_at_checked(19) else { return false };
    let is_date = seconds.bytes().zip(*b"dddd-dd-ddTdd:dd:dd").all(|(byte, wanted)| match wanted {
        b'd' => byte.is_ascii_digit(),
        mark => byte == mark,
    });
    let fraction = rest.strip_suffix('Z');
    let is_fraction = fraction.is_some_and(|fraction| {
        let digits = fraction.strip_prefix('.');
        fraction.is_empty()
            || digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    });
    // that the rest is a time has been seen already
    is_date && is_fraction && &seconds[17..] < "60" && &seconds[11..13] < "24"
}
