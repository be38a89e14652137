//! Events held against schemas.

use std::fmt;
use std::sync::Arc;

use super::indicator::{Found, Indicator};
use super::model::{Element, Field, Object, Schema, Type};
use super::watch::Watch;
use crate::jq::{Instant, Json, Kind, View, append_to_path};

/// Bytes of a value in a message.
const EXCERPT: usize = 60;

/// Schemas that a message names.
const NAMED: usize = 8;

/// Levels below a value of type `json` that are searched for indicators.
const INDICATOR_LEVELS: usize = 32;

/// How strictly events are held against schemas, and how times are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What a required field that is missing does.
    pub missing: Missing,
    /// How values of type `timestamp` are written.
    pub times: Times,
    /// The greatest depth of JSON in text.
    pub depth: Depth,
}

/// A depth of arrays and objects.
#[derive(Debug, Clone, Copy)]
pub struct Depth(pub usize);

impl Default for Depth {
    fn default() -> Self {
        Depth(512)
    }
}

/// What a required field that is missing, or null, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// The event does not match.
    #[default]
    Fail,
    /// Nothing.
    Keep,
}

/// How values of type `timestamp` are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// `2024-01-02T03:04:05.678Z`; what is RFC 3339 in UTC already stays as it is.
    #[default]
    Rfc3339,
    /// `2024-01-02 03:04:05.678000000`.
    Table,
}

/// Holds events against one or several schemas. One per thread.
///
/// An event is of the *first* of the schemas, in the order of their list, that it matches. Which one
/// is tried first is another matter: each failure while another schema matches counts as a penalty,
/// and those with the fewest are tried first. One that stands further up in the list and was not
/// tried yet is then looked at as well, so the result never depends on earlier events.
#[derive(Debug)]
pub struct Checker {
    schemas: Vec<Arc<Schema>>,
    options: Options,
    penalties: Vec<u32>,
    /// Numbers of the schemas in the order in which they are tried.
    order: Vec<usize>,
    /// Why each schema does not match, for the event in hand.
    failures: Vec<Option<Failure>>,
    pass: Pass,
}

/// An event that matches a schema.
#[derive(Debug)]
pub struct Matched<'c> {
    /// Which one.
    pub schema: &'c Arc<Schema>,
    /// The event with its values coerced; the same event, text and all, if there was nothing to do.
    pub event: Json,
    /// When it happened, by the first field that says so.
    pub event_time: Option<Instant>,
    found: &'c Found,
    failures: &'c [Option<Failure>],
    schemas: &'c [Arc<Schema>],
}

impl Matched<'_> {
    /// The indicators that are not empty: name of the list, the same as a standard field, and its
    /// values, sorted and each once.
    pub fn indicators(&self) -> impl Iterator<Item = (&'static str, &'static str, Json)> {
        self.found.lists().map(|(list, texts)| {
            let (name, field) = list.names();
            (name, field, Json::array(texts.map(Json::string).collect()))
        })
    }

    /// Why it is this schema, if there were others before it.
    pub fn reason(&self) -> Option<String> {
        let before = self
            .schemas
            .iter()
            .zip(self.failures)
            .take_while(|(schema, _)| !Arc::ptr_eq(schema, self.schema));
        let reasons: Vec<_> = before
            .filter_map(|(schema, failure)| Some(format!("not {}: {}", schema.name(), failure.as_ref()?)))
            .take(NAMED)
            .collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// An event that matches no schema.
#[derive(Debug, Clone)]
pub struct Mismatch {
    /// Why not, by schema, in the order of their list.
    pub failures: Vec<(Arc<Schema>, Failure)>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failures[..] {
            [] => f.write_str("there is no schema"),
            [(_, failure)] => write!(f, "{failure}"),
            failures => {
                write!(f, "the event matches none of {} schemas", failures.len())?;
                for (schema, failure) in failures.iter().take(NAMED) {
                    write!(f, "\n{}: {failure}", schema.name())?;
                }
                match failures.len().checked_sub(NAMED) {
                    None | Some(0) => Ok(()),
                    Some(more) => write!(f, "\nand {more} more"),
                }
            }
        }
    }
}

impl std::error::Error for Mismatch {}

/// The first thing that keeps an event from matching a schema.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Where, as a jq path.
    pub path: String,
    /// What the schema wants there.
    pub expected: String,
    /// What is there; nothing if that is missing.
    pub got: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.path, self.expected, self.got)
    }
}

impl Checker {
    /// A checker for schemas in this order.
    pub fn new(schemas: Vec<Arc<Schema>>, options: Options) -> Self {
        Checker {
            options,
            penalties: vec![0; schemas.len()],
            order: (0..schemas.len()).collect(),
            failures: vec![None; schemas.len()],
            pass: Pass::default(),
            schemas,
        }
    }

    /// Has a watch look on: at fields that are not known, at those that are seen, and at types that
    /// are not those of the schema.
    pub fn watch(&mut self, watch: Box<dyn Watch>) {
        self.pass.watch = Some(watch);
    }

    /// Which schema an event matches, and what becomes of it.
    pub fn check(&mut self, event: &mut Json) -> Result<Matched<'_>, Mismatch> {
        self.failures.iter_mut().for_each(|failure| *failure = None);
        match self.classify(event) {
            Some((at, changed)) => {
                self.pass.found.settle();
                let schema = &self.schemas[at];
                if let Some(watch) = &mut self.pass.watch {
                    watch.matched(schema);
                }
                Ok(Matched {
                    schema,
                    event: changed.unwrap_or_else(|| event.clone()),
                    event_time: self.pass.event_time.map(|(_, time)| time),
                    found: &self.pass.found,
                    failures: &self.failures,
                    schemas: &self.schemas,
                })
            }
            None => {
                let failures = self.schemas.iter().zip(&mut self.failures);
                let failures: Vec<_> = failures
                    .filter_map(|(schema, failure)| Some((schema.clone(), failure.take()?)))
                    .collect();
                if let Some(watch) = &mut self.pass.watch {
                    watch.failed(&failures);
                }
                Err(Mismatch { failures })
            }
        }
    }

    /// The number of the schema, and the event if it changes.
    fn classify(&mut self, event: &mut Json) -> Option<(usize, Option<Json>)> {
        let mut found = None;
        for turn in 0..self.order.len() {
            let at = self.order[turn];
            if let Some(changed) = self.attempt(at, event) {
                found = Some((at, changed));
                break;
            }
        }
        let (tried_first, changed) = found?;
        // whoever stands before it in the list has the better claim
        let mut winner = (tried_first, changed);
        let mut is_overwritten = false;
        for at in 0..tried_first {
            if self.failures[at].is_some() {
                continue;
            }
            // as a rule it is told by its required fields that it is another record
            if self.options.missing == Missing::Fail {
                self.failures[at] = missing(&self.schemas[at].root, event.view(), &[]);
            }
            if self.failures[at].is_none() {
                is_overwritten = true;
                if let Some(changed) = self.attempt(at, event) {
                    winner = (at, changed);
                    break;
                }
            }
        }
        let has_failures = self.failures.iter().any(Option::is_some);
        if has_failures {
            for (penalty, failure) in self.penalties.iter_mut().zip(&self.failures) {
                *penalty = penalty.saturating_add(u32::from(failure.is_some()));
            }
            let penalties = &self.penalties;
            self.order.sort_by_key(|at| (penalties[*at], *at));
        }
        if winner.0 == tried_first && is_overwritten {
            // looking at others has replaced what the pass had gathered
            return self.attempt(tried_first, event).map(|changed| (tried_first, changed));
        }
        Some(winner)
    }

    /// Holds an event against one schema: what it becomes, or `None` with the failure noted.
    fn attempt(&mut self, at: usize, event: &mut Json) -> Option<Option<Json>> {
        let schema = &self.schemas[at];
        self.pass.begin(self.options);
        match self.pass.root(schema, event.view()) {
            Ok(changed) => Some(changed),
            Err(failure) => {
                self.failures[at] = Some(*failure);
                None
            }
        }
    }
}

/// What one walk over an event gathers.
#[derive(Debug, Default)]
struct Pass {
    options: Options,
    /// Names and numbers on the way to the value in hand, for messages.
    trail: Vec<Step>,
    found: Found,
    /// The lowest rank so far.
    event_time: Option<(u32, Instant)>,
    watch: Option<Box<dyn Watch>>,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Item(usize),
}

type Changed = Result<Option<Json>, Box<Failure>>;

impl Pass {
    fn begin(&mut self, options: Options) {
        self.options = options;
        self.trail.clear();
        self.found.clear();
        self.event_time = None;
        if let Some(watch) = &mut self.watch {
            watch.begin();
        }
    }

    fn root(&mut self, schema: &Schema, event: View<'_>) -> Changed {
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
            Kind::Number => value.number_text().map(|text| text.into_owned()),
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
        Box::new(Failure { path, expected: expected.to_owned(), got })
    }
}

/// The first required field that an object lacks, or has as null.
fn missing(object: &Object, value: View<'_>, trail: &[Step]) -> Option<Failure> {
    let is_missing = |field: &&Field| {
        field.required && value.member(&field.name, |member| member.kind() == Kind::Null).unwrap_or(true)
    };
    let field = object.fields().iter().find(is_missing)?;
    Some(Failure {
        path: text_of(trail, Some(&field.name)),
        expected: format!("{} (required)", field.element.kind.name()),
        got: value.member(&field.name, |_| "null").unwrap_or("nothing").to_owned(),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Schemas;
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(bytes::Bytes::copy_from_slice(text.as_bytes()), 512).unwrap()
    }

    fn schema(fields: &str) -> Arc<Schema> {
        let text = format!("schema: Test\nfields:\n{fields}");
        let read = Schema::read(Path::new("test.yml"), text);
        Arc::new(read.unwrap_or_else(|errors| panic!("{}", errors[0].render(false))).0)
    }

    fn written(json: &Json) -> String {
        let mut text = Vec::new();
        json.write(crate::jq::WriteLimits { depth: 512, bytes: 1 << 20 }, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn checked(checker: &mut Checker, event: &str) -> String {
        match checker.check(&mut json(event)) {
            Ok(matched) => written(&matched.event),
            Err(mismatch) => format!("! {mismatch}"),
        }
    }

    #[test]
    fn values_are_coerced_or_refused() {
        for (kind, value, expected) in [
            ("string", "\"x\"", "\"x\""),
            ("string", "1.10", "\"1.10\""),
            ("string", "true", "\"true\""),
            ("string", "[1]", "! .f: expected string, got the array [1]"),
            ("string", "null", "null"),
            ("int", "2147483647", "2147483647"),
            (
                "int",
                "2147483648",
                "! .f: expected int from -2147483648 to 2147483647, got the number 2147483648",
            ),
            ("int", "\"-5\"", "-5"),
            ("int", "\"\"", "null"),
            ("int", "\"x\"", "! .f: expected int, got the string \"x\""),
            ("int", "1.0", "! .f: expected int, got the number 1.0"),
            ("int", "true", "! .f: expected int, got true"),
            ("smallint", "-32768", "-32768"),
            ("smallint", "\"32768\"", "! .f: expected smallint, got the string \"32768\""),
            ("bigint", "9223372036854775807", "9223372036854775807"),
            ("bigint", "-9223372036854775808", "-9223372036854775808"),
            (
                "bigint",
                "9223372036854775808",
                "! .f: expected bigint from -9223372036854775808 to 9223372036854775807, got the number 9223372036854775808",
            ),
            ("float", "1.10", "1.10"),
            ("float", "12345678901234567890", "12345678901234567890"),
            ("float", "\"1.50\"", "1.50"),
            ("float", "1e999", "! .f: expected float that 64 bits hold, got the number 1e999"),
            ("float", "\"NaN\"", "! .f: expected float, got the string \"NaN\""),
            ("boolean", "false", "false"),
            ("boolean", "1", "true"),
            ("boolean", "\"T\"", "true"),
            ("boolean", "\"no\"", "! .f: expected boolean, got the string \"no\""),
            ("boolean", "2", "! .f: expected boolean, got the number 2"),
            ("json", "{\"a\": 1.0}", "{\"a\": 1.0}"),
            ("{type: json, isEmbeddedJSON: true}", "\"{\\\"a\\\": 1.0}\"", "{\"a\": 1.0}"),
            ("{type: json, isEmbeddedJSON: true}", "\"\"", "null"),
            (
                "{type: json, isEmbeddedJSON: true}",
                "\"{\"",
                "! .f: expected json as JSON in text, got the string \"{\"",
            ),
            ("{type: json, isEmbeddedJSON: true}", "7", "7"),
            ("{type: array, element: {type: int}}", "[1,\"2\",null]", "[1,2,null]"),
            ("{type: array, element: {type: int}}", "[1,{}]", "! .f[1]: expected int, got the object {}"),
            ("{type: array, element: {type: int}}", "1", "! .f: expected array, got the number 1"),
            (
                "{type: object, isEmbeddedJSON: true, fields: [{name: a b, type: int}]}",
                "\"{\\\"a b\\\":\\\"x\\\"}\"",
                "! .f.\"a b\": expected int, got the string \"x\"",
            ),
            (
                "{type: timestamp, timeFormat: rfc3339}",
                "\"2024-01-02T03:04:05.10Z\"",
                "\"2024-01-02T03:04:05.10Z\"",
            ),
            (
                "{type: timestamp, timeFormat: rfc3339}",
                "\"2024-01-02 05:04:05.1+0200\"",
                "\"2024-01-02T03:04:05.100Z\"",
            ),
            (
                "{type: timestamp, timeFormat: rfc3339}",
                "1704164645",
                "! .f: expected timestamp as `rfc3339`, got the number 1704164645",
            ),
            ("{type: timestamp, timeFormats: [rfc3339, unix]}", "1704164645", "\"2024-01-02T03:04:05Z\""),
            ("{type: timestamp, timeFormat: unix_ms}", "\"1704164645678\"", "\"2024-01-02T03:04:05.678Z\""),
            (
                "{type: timestamp, timeFormat: '%d.%m.%Y %H:%M %Z'}",
                "\"2.1.2024 4:04 CET\"",
                "\"2024-01-02T03:04:00Z\"",
            ),
            (
                "{type: string, validate: {allow: [a]}}",
                "\"b\"",
                "! .f: expected one of `a`, got the string \"b\"",
            ),
        ] {
            let kind = if kind.starts_with('{') {
                kind.trim_matches(['{', '}']).to_owned()
            } else {
                format!("type: {kind}")
            };
            // the braces at the end may belong to something inside
            let open = kind.matches('{').count() - kind.matches('}').count();
            let schema = schema(&format!("  - {{name: f, {kind}{}}}\n", "}".repeat(open)));
            let mut checker = Checker::new(vec![schema], Options::default());
            let expected = if expected.starts_with('!') {
                expected.to_owned()
            } else {
                format!("{{\"u\":[ 1.0 ],\"f\":{expected}}}")
            };
            // what is not known stays as it was written, whatever happens beside it
            let event = format!("{{\"u\":[ 1.0 ],\"f\":{value}}}");
            assert_eq!(checked(&mut checker, &event), expected, "{kind} {value}");
        }
    }

    #[test]
    fn an_event_that_does_not_change_is_its_own_text() {
        let schema = schema("  - {name: a, type: int}\n");
        let mut checker = Checker::new(vec![schema], Options::default());
        let event = r#"{ "a":1,  "b" : 1.00, "a" : 2 }"#;
        assert_eq!(checked(&mut checker, event), event);
        assert_eq!(checked(&mut checker, r#"{"a":"x","a":"2"}"#), r#"{"a":2}"#);
    }

    #[test]
    fn required_fields_are_there_and_not_null() {
        let schema = schema(
            "  - {name: a, required: true, type: int}\n  - name: o\n    type: object\n    fields: [{name: b, required: yes, type: string}]\n",
        );
        let mut checker = Checker::new(vec![schema.clone()], Options::default());
        assert_eq!(checked(&mut checker, "{}"), "! .a: expected int (required), got nothing");
        assert_eq!(checked(&mut checker, r#"{"a":null}"#), "! .a: expected int (required), got null");
        assert_eq!(checked(&mut checker, r#"{"a":1}"#), r#"{"a":1}"#);
        assert_eq!(
            checked(&mut checker, r#"{"a":1,"o":{}}"#),
            "! .o.b: expected string (required), got nothing"
        );
        assert_eq!(checked(&mut checker, "[1]"), "! .: expected an object, got the array [1]");
        let mut loose = Checker::new(vec![schema], Options { missing: Missing::Keep, ..Options::default() });
        assert_eq!(checked(&mut loose, r#"{"a":null,"o":{}}"#), r#"{"a":null,"o":{}}"#);
    }

    #[test]
    fn the_time_is_that_of_the_first_field_that_has_one() {
        let schema = schema(
            "  - {name: s, type: string, timeFormat: rfc3339, isEventTime: true}\n  - name: o\n    type: object\n    fields: [{name: t, type: timestamp, timeFormat: unix, isEventTime: true}]\n",
        );
        let mut checker = Checker::new(vec![schema], Options::default());
        let mut time = |event: &str| {
            let matched = checker.check(&mut json(event)).unwrap().event_time;
            matched.map(Instant::to_rfc3339)
        };
        assert_eq!(time(r#"{"o":{"t":1},"s":"2024-01-02T03:04:05+00:00"}"#).unwrap(), "2024-01-02T03:04:05Z");
        assert_eq!(
            time(r#"{"o":{"t":1},"s":"no time, which is no fault of a text"}"#).unwrap(),
            "1970-01-01T00:00:01Z"
        );
        assert_eq!(time("{}"), None);
    }

    #[test]
    fn indicators_of_an_object_hold_for_the_texts_below_it() {
        let schema = schema(
            "  - name: links\n    type: object\n    indicators: [url]\n    fields: [{name: self, type: string}, {name: ip, type: string, indicators: [ip]}]\n  - {name: j, type: json, indicators: [username]}\n",
        );
        let mut checker = Checker::new(vec![schema], Options::default());
        let event = r#"{"links":{"self":"https://b.example.com/x","ip":"192.0.2.7","other":"https://c.example.com"},"j":[{"k":["ada",1]}]}"#;
        let mut event = json(event);
        let matched = checker.check(&mut event).unwrap();
        let lists: Vec<_> =
            matched.indicators().map(|(_, field, list)| format!("{field}={}", written(&list))).collect();
        let expected = [
            "p_any_domain_names=[\"b.example.com\"]",
            "p_any_ip_addresses=[\"192.0.2.7\"]",
            "p_any_usernames=[\"1\",\"ada\"]",
        ];
        assert_eq!(lists, expected);
    }

    #[test]
    fn the_first_schema_of_the_list_wins_whatever_came_before() {
        let schemas: Vec<_> = [("A", "a"), ("B", "b"), ("C", "b")]
            .iter()
            .map(|(name, field)| {
                let text =
                    format!("schema: {name}\nfields:\n  - {{name: {field}, required: true, type: int}}\n");
                Arc::new(Schema::read(Path::new("x.yml"), text).unwrap().0)
            })
            .collect();
        let mut checker = Checker::new(schemas, Options::default());
        let of = |checker: &mut Checker, event: &str| {
            let mut event = json(event);
            let matched = checker.check(&mut event).map_err(|error| error.to_string())?;
            Ok::<_, String>((matched.schema.name().to_owned(), matched.reason()))
        };
        let b = Ok(("B".to_owned(), Some("not A: .a: expected int (required), got nothing".to_owned())));
        let both = r#"{"a":1,"b":2}"#;
        let a = Ok(("A".to_owned(), None));
        assert_eq!(of(&mut checker, both), a);
        for _ in 0..5 {
            assert_eq!(of(&mut checker, r#"{"b":1}"#), b);
        }
        // B is tried first by now
        assert_eq!(checker.order[0], 1);
        assert_eq!(of(&mut checker, both), a);
        assert_eq!(of(&mut checker, r#"{"a":"x","b":2}"#).unwrap().0, "B");
        assert_eq!(
            of(&mut checker, "{}").unwrap_err(),
            "the event matches none of 3 schemas\nA: .a: expected int (required), got nothing\nB: .b: expected int (required), got nothing\nC: .b: expected int (required), got nothing"
        );
    }

    #[test]
    fn live_shaped_events_match_the_schemas_in_the_binary() {
        let schemas = Schemas::built_in();
        for (name, event, time) in [
            (
                "MongoDB.OrganizationEvent",
                r#"{"created":"2024-05-06T07:08:09Z","eventTypeName":"API_KEY_CREATED","id":"65a1b2c3d4e5f60718293a4b","isGlobalAdmin":false,"links":[{"href":"https://cloud.example.com/api/1","rel":"self"}],"orgId":"65a1b2c3d4e5f60718293a00","remoteAddress":"192.0.2.10","username":"ada@example.com","port":27017,"currentValue":{"number":1.50,"units":"RAW"},"somethingNew":{"x":1}}"#,
                Some("2024-05-06T07:08:09Z"),
            ),
            (
                "MongoDB.AccessHistory",
                r#"{"authResult":false,"authSource":"admin","failureReason":"UserNotFound","groupId":"65a1b2c3d4e5f60718293a00","hostname":"node-00.example.net:27017","ipAddress":"198.51.100.4","logLine":"x","timestamp":"Sun Jul 25 9:14:42 EDT 2019","username":"ada"}"#,
                Some("2019-07-25T13:14:42Z"),
            ),
            (
                "MongoDB.AuditingConfig",
                r#"{"auditAuthorizationSuccess":false,"auditFilter":"{\"atype\":\"authenticate\"}","configurationType":"FILTER_JSON","enabled":true}"#,
                None,
            ),
            (
                "Atlassian.Audit",
                r#"{"id":"a1","type":"events","attributes":{"time":"2024-05-06T07:08:09.123456Z","action":"user_granted_role","actor":{"id":"confluence","email":"Some app","name":null},"context":[{"id":"c","type":"user","attributes":{"x":[1]},"links":{"self":"https://admin.example.com/u","alt":null}}],"container":[],"location":{"ip":"203.0.113.9"},"processedAt":"2024-05-06T07:08:10Z"},"message":{"content":"x","format":"simple"},"links":{}}"#,
                Some("2024-05-06T07:08:09.123456Z"),
            ),
        ] {
            let mut checker = Checker::new(schemas.select(&["*".to_owned()]).unwrap(), Options::default());
            let mut event = json(event);
            let matched = checker.check(&mut event).unwrap();
            assert_eq!(matched.schema.name(), name);
            assert_eq!(matched.event_time.map(Instant::to_rfc3339).as_deref(), time, "{name}");
        }
    }
}
