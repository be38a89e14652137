//! Events that leave their schema: fields that appear, vanish, or change their type.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Checker;
use super::check::Options;
use super::failure::Failure;
use super::model::{Element, Object, Schema, Type};
use super::watch::Watch;
use crate::jq::{Json, Kind, View};

/// Findings that are kept, to tell each once. What is found beyond is not told of.
const KEPT: usize = 1000;

/// Findings of one event.
const PER_EVENT: usize = 64;

/// Events after which a worker says what it has seen.
const ROUND: u64 = 1000;

/// Bytes of a value that is shown.
const EXCERPT: usize = 60;

/// Bytes of a path. Whoever writes the events chooses the names of their members.
const PATH: usize = 300;

/// How events differ from their schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// A field that the schema does not have.
    Appeared,
    /// A field that is missing.
    Vanished,
    /// A value that is not of the type in the schema.
    Changed,
}

impl Change {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Change::Appeared => "appeared",
            Change::Vanished => "vanished",
            Change::Changed => "changed",
        }
    }
}

/// One way in which events differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What happened.
    pub change: Change,
    /// The field, as a path with `[]` for the items of an array.
    pub path: String,
    /// What is there instead.
    pub detail: String,
    /// How many events have it.
    pub events: u64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.change.name(), self.path, self.detail)
    }
}

/// What events have shown, each with how many there were of it.
#[derive(Debug, Default)]
struct Gathered {
    /// Whether values are shown, or only their types.
    shows_values: bool,
    /// Of the event in hand.
    pending: Vec<(Change, String, String)>,
    seen: Vec<u32>,
}

impl Gathered {
    fn begin(&mut self) {
        self.pending.clear();
        self.seen.clear();
    }

    fn push(&mut self, change: Change, path: &str, detail: impl FnOnce() -> String) {
        let path = &*clipped(path);
        if self.pending.len() < PER_EVENT
            && !self.pending.iter().any(|(known, at, _)| *known == change && at == path)
        {
            self.pending.push((change, path.to_owned(), detail()));
        }
    }

    fn unknown(&mut self, path: &str, value: View<'_>) {
        let shows_values = self.shows_values;
        self.push(Change::Appeared, path, || format!("not in the schema; {}", of(value, shows_values)));
    }

    fn coerced(&mut self, path: &str, value: View<'_>) {
        let shows_values = self.shows_values;
        let detail = || format!("another type than in the schema; {}", of(value, shows_values));
        self.push(Change::Changed, path, detail);
    }

    fn refused(&mut self, failure: &Failure) {
        let path = failure.pattern();
        let got = if self.shows_values { failure.got() } else { failure.got_type() };
        if failure.is_missing() {
            self.push(Change::Vanished, &path, || format!("required, and {got}"));
        } else {
            self.push(Change::Changed, &path, || format!("expected {}, got {got}", failure.expected()));
        }
    }
}

fn of(value: View<'_>, shows_value: bool) -> String {
    match value.kind() {
        Kind::Null => "null".to_owned(),
        kind if !shows_value => kind.name().to_owned(),
        kind => format!("{} {}", kind.name(), value.excerpt(EXCERPT)),
    }
}

fn clipped(path: &str) -> Cow<'_, str> {
    if path.len() <= PATH {
        return Cow::Borrowed(path);
    }
    let end = (0..=PATH).rev().find(|at| path.is_char_boundary(*at)).unwrap_or(0);
    Cow::Owned(format!("{}…", &path[..end]))
}

/// What was told already, shared by the workers of one transform.
#[derive(Debug)]
pub struct Known {
    window: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    told: HashSet<(String, Change, String)>,
    /// By the name of the schema.
    sightings: HashMap<String, Sightings>,
}

#[derive(Debug, Default)]
struct Sightings {
    events: u64,
    /// By the number of the field: how many events there had been when it was last seen, or zero.
    last: Vec<u64>,
}

impl Known {
    /// Nothing is told yet. A field counts as vanished after a window of events without it.
    pub fn new(window: u64) -> Self {
        Known { window, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is told of now for the first time.
    fn is_news(&self, schema: &str, change: Change, path: &str) -> bool {
        let told = &mut self.inner().told;
        told.len() < KEPT && told.insert((schema.to_owned(), change, path.to_owned()))
    }

    /// Adds what a worker has seen; the paths of fields that have vanished.
    fn add(&self, schema: &Schema, events: u64, seen: &[bool]) -> Vec<String> {
        let mut inner = self.inner();
        let sightings = inner.sightings.entry(schema.name().to_owned()).or_default();
        sightings.events += events;
        sightings.last.resize(schema.len(), 0);
        let mut vanished = Vec::new();
        for (number, (last, seen)) in sightings.last.iter_mut().zip(seen).enumerate() {
            if *seen {
                *last = sightings.events;
            } else if *last > 0 && sightings.events - *last >= self.window {
                vanished.push(schema.path(number as u32).to_owned());
                *last = 0;
            }
        }
        vanished
    }
}

/// Says of each finding once, whatever worker comes upon it. It names types and no values: what it
/// says goes further than the events do.
pub struct Sentry {
    known: Arc<Known>,
    tell: Box<dyn Fn(&str)>,
    gathered: Gathered,
    /// Findings that need no look at what is shared.
    old: HashSet<(usize, Change, String)>,
    /// By schema: events and fields seen since the last round.
    rounds: Vec<(Arc<Schema>, u64, Vec<bool>)>,
}

impl fmt::Debug for Sentry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentry").field("known", &self.known).finish_non_exhaustive()
    }
}

impl Sentry {
    /// A sentry that tells of what is not known yet.
    pub fn new(known: Arc<Known>, tell: Box<dyn Fn(&str)>) -> Self {
        Sentry { known, tell, gathered: Gathered::default(), old: HashSet::new(), rounds: Vec::new() }
    }

    fn tell(&self, schema: &str, finding: &(Change, String, String)) {
        let (change, path, detail) = finding;
        if self.known.is_news(schema, *change, path) {
            (self.tell)(&format!("{schema}: {} {path}: {detail}", change.name()));
        }
    }

    fn report(&mut self, schema: &Arc<Schema>) {
        let findings = std::mem::take(&mut self.gathered.pending);
        for finding in &findings {
            let key = (Arc::as_ptr(schema) as usize, finding.0, finding.1.clone());
            if !self.old.contains(&key) {
                self.tell(schema.name(), finding);
                if self.old.len() < KEPT {
                    self.old.insert(key);
                }
            }
        }
        self.gathered.pending = findings;
    }
}

impl Watch for Sentry {
    fn begin(&mut self) {
        self.gathered.begin();
    }

    fn unknown(&mut self, path: &str, value: View<'_>) {
        self.gathered.unknown(path, value);
    }

    fn seen(&mut self, number: u32) {
        self.gathered.seen.push(number);
    }

    fn coerced(&mut self, path: &str, value: View<'_>) {
        self.gathered.coerced(path, value);
    }

    fn matched(&mut self, schema: &Arc<Schema>) {
        self.report(schema);
        let at = match self.rounds.iter().position(|(known, ..)| Arc::ptr_eq(known, schema)) {
            Some(at) => at,
            None => {
                self.rounds.push((schema.clone(), 0, vec![false; schema.len()]));
                self.rounds.len() - 1
            }
        };
        let (_, events, seen) = &mut self.rounds[at];
        *events += 1;
        for number in self.gathered.seen.drain(..) {
            if let Some(seen) = seen.get_mut(number as usize) {
                *seen = true;
            }
        }
        if *events >= ROUND.min(self.known.window) {
            let vanished = self.known.add(schema, *events, seen);
            *events = 0;
            seen.fill(false);
            for path in vanished {
                let detail = format!("in none of the last {} events", self.known.window);
                self.tell(schema.name(), &(Change::Vanished, path, detail));
            }
        }
    }

    fn refused(&mut self, failure: &Failure) {
        self.gathered.refused(failure);
    }

    fn failed(&mut self, schema: &Arc<Schema>) {
        self.report(schema);
    }
}

/// How a number of events differs from one schema.
#[derive(Debug)]
pub struct Report {
    /// What differs, in the order of changes and paths.
    pub findings: Vec<Finding>,
    /// Fields that the schema has and no event, and that need not be there.
    pub unseen: Vec<String>,
    /// How many events there were.
    pub events: u64,
}

/// Finds how events differ from a schema.
#[derive(Debug)]
pub struct Comparison {
    schema: Arc<Schema>,
    checker: Checker,
    collected: Arc<Mutex<Collected>>,
    events: u64,
}

#[derive(Debug, Default)]
struct Collected {
    gathered: Gathered,
    found: BTreeMap<(Change, String), (String, u64)>,
    seen: Vec<bool>,
}

/// Collects for a [`Comparison`], which holds the other end.
#[derive(Debug)]
struct Collector(Arc<Mutex<Collected>>);

impl Collector {
    fn inner(&self) -> MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collected {
    fn close(&mut self) {
        for (change, path, detail) in self.gathered.pending.drain(..) {
            if self.found.len() < 10 * KEPT || self.found.contains_key(&(change, path.clone())) {
                self.found.entry((change, path)).or_insert((detail, 0)).1 += 1;
            }
        }
        for number in self.gathered.seen.drain(..) {
            if let Some(seen) = self.seen.get_mut(number as usize) {
                *seen = true;
            }
        }
    }
}

impl Watch for Collector {
    fn begin(&mut self) {
        self.inner().gathered.begin();
    }

    fn unknown(&mut self, path: &str, value: View<'_>) {
        self.inner().gathered.unknown(path, value);
    }

    fn seen(&mut self, number: u32) {
        self.inner().gathered.seen.push(number);
    }

    fn coerced(&mut self, path: &str, value: View<'_>) {
        self.inner().gathered.coerced(path, value);
    }

    fn matched(&mut self, _: &Arc<Schema>) {
        self.inner().close();
    }

    fn refused(&mut self, failure: &Failure) {
        self.inner().gathered.refused(failure);
    }

    fn failed(&mut self, _: &Arc<Schema>) {
        self.inner().close();
    }
}

impl Comparison {
    /// A comparison with a schema.
    pub fn new(schema: Arc<Schema>) -> Self {
        let gathered = Gathered { shows_values: true, ..Gathered::default() };
        let collected = Collected { gathered, seen: vec![false; schema.len()], ..Collected::default() };
        let collected = Arc::new(Mutex::new(collected));
        let mut checker = Checker::new(vec![schema.clone()], Options::default());
        checker.watch(Box::new(Collector(collected.clone())));
        Comparison { checker, schema, collected, events: 0 }
    }

    /// Takes an event in.
    pub fn add(&mut self, event: &mut Json) {
        self.events += 1;
        // the watch is told of all that there is to it
        let _ = self.checker.check(event);
    }

    /// What was found.
    pub fn finish(self) -> Report {
        let collected = Collector(self.collected).inner_taken();
        let findings = collected
            .found
            .into_iter()
            .map(|((change, path), (detail, events))| Finding { change, path, detail, events })
            .collect::<Vec<_>>();
        let mut is_required = vec![false; self.schema.len()];
        mark_required(self.schema.root(), &mut is_required);
        let is_told = |path: &str| {
            findings.iter().any(|finding| finding.change != Change::Appeared && finding.path == path)
        };
        let unseen = (0..)
            .zip(collected.seen.iter().zip(&is_required))
            .filter(|(_, (seen, is_required))| !**seen && !**is_required)
            .map(|(number, _)| self.schema.path(number).to_owned())
            .filter(|path| !is_told(path))
            .collect();
        Report { findings, unseen, events: self.events }
    }
}

impl Collector {
    fn inner_taken(self) -> Collected {
        std::mem::take(&mut *self.inner())
    }
}

/// Notes which fields are required, by their numbers.
fn mark_required(object: &Object, required: &mut [bool]) {
    fn below(element: &Element, required: &mut [bool]) {
        match &element.kind {
            Type::Array(items) => below(items, required),
            Type::Object(object) => mark_required(object, required),
            _ => {}
        }
    }
    for field in object.fields() {
        if let Some(mark) = required.get_mut(field.number as usize) {
            *mark = field.required;
        }
        below(&field.element, required);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::Path;
    use std::rc::Rc;

    use super::*;

    fn schema() -> Arc<Schema> {
        let text = "schema: Test\nfields:\n  - {name: id, required: true, type: string}\n  - {name: n, type: int}\n  - name: l\n    type: array\n    element:\n      type: object\n      fields: [{name: a, type: int}]\n";
        Arc::new(Schema::read(Path::new("x.yml"), text.to_owned()).unwrap().0)
    }

    fn json(text: &str) -> Json {
        Json::parse(bytes::Bytes::copy_from_slice(text.as_bytes()), 512).unwrap()
    }

    #[test]
    fn a_comparison_tells_what_appears_vanishes_and_changes() {
        let mut comparison = Comparison::new(schema());
        for event in [
            r#"{"id":"a","l":[{"a":1,"b":2},{"b":3}]}"#,
            r#"{"n":"5","new":{"x":1}}"#,
            r#"{"id":"c","l":[{"a":"x"}]}"#,
        ] {
            comparison.add(&mut json(event));
        }
        let report = comparison.finish();
        let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            findings,
            [
                "appeared .l[].b: not in the schema; number 2",
                "appeared .new: not in the schema; object {\"x\":1}",
                "vanished .id: required, and nothing",
                "changed .l[].a: expected int, got the string \"x\"",
                "changed .n: another type than in the schema; string \"5\"",
            ]
        );
        assert_eq!((report.events, report.unseen.len()), (3, 0));
    }

    #[test]
    fn each_finding_is_told_once_by_all_workers_together() {
        let known = Arc::new(Known::new(10));
        let told = Rc::new(RefCell::new(Vec::new()));
        let worker = || {
            let told = told.clone();
            let mut checker = Checker::new(vec![schema()], Options::default());
            let tell = move |message: &str| told.borrow_mut().push(message.to_owned());
            checker.watch(Box::new(Sentry::new(known.clone(), Box::new(tell))));
            checker
        };
        let mut workers = [worker(), worker()];
        for worker in &mut workers {
            for _ in 0..2 {
                let _ = worker.check(&mut json(r#"{"id":"a","x":1}"#));
                let _ = worker.check(&mut json(r#"{"id":"a","n":{}}"#));
            }
        }
        assert_eq!(
            *told.borrow(),
            [
                "Test: appeared .x: not in the schema; number",
                "Test: changed .n: expected int, got the object",
            ]
        );
        told.borrow_mut().clear();
        for number in 0..60 {
            let event = if number < 20 { r#"{"id":"a","n":1}"# } else { r#"{"id":"a"}"# };
            let _ = workers[number % 2].check(&mut json(event));
        }
        assert_eq!(*told.borrow(), ["Test: vanished .n: in none of the last 10 events"]);
    }

    #[test]
    fn a_name_of_any_length_is_told_of_in_short() {
        let mut comparison = Comparison::new(schema());
        comparison.add(&mut json(&format!("{{\"id\":\"a\",\"{}\":1}}", "é".repeat(1 << 16))));
        let report = comparison.finish();
        assert!(report.findings[0].path.len() < PATH + 10 && report.findings[0].path.ends_with('…'));
    }

    #[test]
    fn one_failure_does_not_hide_the_others() {
        let text = "schema: Test\nfields:\n  - {name: a, required: true, type: int}\n  - {name: b, required: true, type: string}\n  - {name: c, type: int}\n  - {name: d, type: int}\n  - name: o\n    type: object\n    fields: [{name: r, required: true, type: int}, {name: s, type: int}]\n  - {name: 'a[5]', type: int}\n";
        let schema = Arc::new(Schema::read(Path::new("x.yml"), text.to_owned()).unwrap().0);
        let event = r#"{"c":"x","d":"y","zz":1,"a[5]":[],"o":{"s":"z","t":1}}"#;
        let mut comparison = Comparison::new(schema.clone());
        comparison.add(&mut json(event));
        comparison.add(&mut json("[1]"));
        let report = comparison.finish();
        let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            findings,
            [
                "appeared .o.t: not in the schema; number 1",
                "appeared .zz: not in the schema; number 1",
                "vanished .a: required, and nothing",
                "vanished .b: required, and nothing",
                "vanished .o.r: required, and nothing",
                "changed .: expected an object, got the array [1]",
                "changed .\"a[5]\": expected int, got the array []",
                "changed .c: expected int, got the string \"x\"",
                "changed .d: expected int, got the string \"y\"",
                "changed .o.s: expected int, got the string \"z\"",
            ]
        );
        assert!(report.unseen.is_empty(), "{:?}", report.unseen);

        let told = Rc::new(RefCell::new(0));
        let mut checker = Checker::new(vec![schema], Options::default());
        let count = told.clone();
        let tell = move |_: &str| *count.borrow_mut() += 1;
        checker.watch(Box::new(Sentry::new(Arc::new(Known::new(10)), Box::new(tell))));
        assert!(checker.check(&mut json(event)).is_err());
        assert_eq!(*told.borrow(), 9, "while a pipeline runs as well");
    }

    #[test]
    fn what_is_required_is_never_called_optional() {
        let text = "schema: Test\nfields:\n  - {name: a, required: true, type: int}\n  - name: l\n    type: array\n    element: {type: object, fields: [{name: r, required: true, type: int}, {name: s, type: int}]}\n";
        let schema = Arc::new(Schema::read(Path::new("x.yml"), text.to_owned()).unwrap().0);
        assert_eq!(Comparison::new(schema).finish().unseen, [".l", ".l[].s"]);
    }
}
