//! The validator: one walk over an event.
//!
//! It goes over the members that are there, marks them in a set of bits, and then asks the shape
//! what else should have been there. Where it is stands on a stack, which becomes the text of a path
//! only for a finding.

use std::fmt::Write as _;
use std::sync::Arc;

use super::finding::{Finding, Rule, Severity};
use super::form::Form;
use super::model::{
    Attribute, Constraint, ConstraintKind, Content, Primitive, Requirement, ScalarType, Schema, Shape, Values,
};
use super::reference::{Reference, follow};
use super::version::Version;
use crate::config::nearest;
use crate::jq::{Kind, View, append_to_path};

/// Findings of one severity that are kept of an event.
const MAX_FINDINGS: usize = 1000;

/// Errors of an event up to which a similar name is looked for.
const MAX_GUESSES: usize = 8;

/// Objects within objects that are looked at. The schema has circles, such as `process.parent_process`.
const MAX_DEPTH: usize = 64;

/// Bytes of a value that a message shows.
const SHOWN: usize = 80;

/// What to report beyond the rules that always hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether a missing recommended attribute is worth a warning.
    pub missing_recommended: bool,
}

/// Checks events against a schema. It keeps its buffers from event to event: one a thread.
#[derive(Debug)]
pub struct Validator {
    schema: Arc<Schema>,
    options: Options,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    findings: Vec<Finding>,
    /// Errors and warnings so far.
    counts: [usize; 2],
    /// Objects beyond the tables that have been named.
    beyond: Vec<usize>,
    /// Where the walk is.
    steps: Vec<Step>,
    /// Bits of the attributes that are there, of every object from the event down to here.
    seen: Vec<u64>,
    /// Enums whose sibling is still to be compared, likewise.
    enums: Vec<SeenEnum>,
    /// Siblings, likewise.
    texts: Vec<SeenText>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A shape and its attribute.
    Attribute(usize, usize),
    Item(usize),
}

#[derive(Debug, Clone, Copy)]
struct SeenEnum {
    attribute: usize,
    /// The place of its value in the enum; arrays have many and are read again.
    entry: Option<usize>,
    is_other: bool,
}

/// A text beside an enum.
#[derive(Debug, Clone, Copy)]
struct SeenText {
    /// The place of the enum.
    of: usize,
    /// The place of the value that has this caption.
    entry: Option<usize>,
}

impl Validator {
    /// A validator for the events of one thread.
    pub fn new(schema: Arc<Schema>, options: Options) -> Self {
        Validator { schema, options, scratch: Scratch::default() }
    }

    /// The schema it checks against.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// What there is to say of an event: nothing, if it is valid and good. The findings hold until the
    /// next call. Of one severity no more than a thousand are kept.
    pub fn check(&mut self, event: View<'_>) -> &[Finding] {
        self.scratch.reset();
        let mut walk =
            Walk { schema: &self.schema, options: self.options, active: 0, out: &mut self.scratch };
        walk.event(event);
        &self.scratch.findings
    }
}

impl Scratch {
    fn reset(&mut self) {
        self.findings.clear();
        self.counts = [0; 2];
        self.beyond.clear();
        self.steps.clear();
        self.seen.clear();
        self.enums.clear();
        self.texts.clear();
    }
}

struct Walk<'a> {
    schema: &'a Schema,
    options: Options,
    /// Bits of the profiles that the event names.
    active: u128,
    out: &'a mut Scratch,
}

impl Walk<'_> {
    fn event(&mut self, event: View<'_>) {
        if event.kind() != Kind::Object {
            self.wrong_type("an event (object)", event);
            return;
        }
        let Some(class) = self.class(event) else { return };
        event.member("metadata", |metadata| {
            metadata.member("profiles", |profiles| self.profiles(profiles));
            metadata.member("version", |version| self.version(version));
        });
        let shape = &self.schema.shapes[class];
        if let Some(since) = &shape.deprecated {
            self.report(Rule::ClassDeprecated, Some("class_uid"), || {
                format!("class {} is deprecated{}", shape.caption, since_text(since))
            });
        }
        self.members(class, event);
        self.type_uid(event);
        event.member("observables", |observables| self.observables(class, observables));
    }

    /// The class of the event; without one nothing else can be said.
    fn class(&mut self, event: View<'_>) -> Option<usize> {
        let schema = self.schema;
        let found = event.member("class_uid", |value| {
            let Some(uid) = value.as_i64() else {
                self.report(Rule::WrongType, Some("class_uid"), || {
                    format!("expected an integer (integer_t), got {}", described(value))
                });
                return None;
            };
            let class = schema.class(uid);
            if class.is_none() {
                self.report(Rule::ClassUnknown, Some("class_uid"), || unknown_class(schema, uid));
            }
            class
        });
        if found.is_none() {
            self.report(Rule::RequiredMissing, Some("class_uid"), || {
                "required in every event; nothing else was checked".to_owned()
            });
        }
        found.flatten()
    }

    fn profiles(&mut self, profiles: View<'_>) {
        let schema = self.schema;
        let mut index = 0;
        profiles.for_items(|profile| {
            if let Some(name) = profile.as_str() {
                let found = schema.profile(name);
                if let Some((at, _)) = found {
                    self.active |= 1 << at;
                }
                let problem = match found.filter(|(_, profile)| profile.defined) {
                    Some((_, profile)) => {
                        profile.deprecated.as_ref().map(|since| (Rule::ProfileDeprecated, Some(since)))
                    }
                    None => Some((Rule::ProfileUnknown, None)),
                };
                if let Some((rule, since)) = problem {
                    let place = format!("metadata.profiles[{index}]");
                    self.report(rule, Some(&place), || match since {
                        Some(since) => format!("profile {name:?} is deprecated{}", since_text(since)),
                        None => {
                            let known = schema.profiles.iter().filter(|profile| profile.defined);
                            let known = known.map(|profile| &*profile.name);
                            let near = if name.len() <= SHOWN { nearest(name, known) } else { None };
                            format!("no profile is called {}{}", clipped(name), did_you_mean(near))
                        }
                    });
                }
            }
            index += 1;
        });
    }

    fn version(&mut self, version: View<'_>) {
        let schema = self.schema;
        let Some(text) = version.as_str() else { return };
        if text == schema.version {
            return;
        }
        let own = Version::parse(&schema.version);
        let (rule, what, consequence) = match (Version::parse(text), own) {
            (Some(version), Some(own)) if version.order(own).is_eq() => return,
            (Some(version), own) if own.is_none_or(|own| version.order(own).is_gt()) => {
                (Rule::VersionLater, "is later than", "which may not know what the event holds")
            }
            (Some(version), _) if version.is_initial_development() => (
                Rule::VersionInitialDevelopment,
                "is an initial development version before",
                "to which it promises nothing",
            ),
            (Some(version), _) if version.is_prerelease() => {
                (Rule::VersionPrerelease, "is a prerelease before", "to which it promises nothing")
            }
            (Some(_), _) => {
                (Rule::VersionEarlier, "is earlier than", "which may have deprecated what the event holds")
            }
            (None, _) => (
                Rule::VersionEarlier,
                "is no version; it is taken as earlier than",
                "by which the event was checked",
            ),
        };
        self.report(rule, Some("metadata.version"), || {
            format!("{} {what} the schema's {}, {consequence}", clipped(text), schema.version)
        });
    }

    fn type_uid(&mut self, event: View<'_>) {
        // `None`: not there, or no integer, which is said elsewhere; `Some(None)`: of more than 128 bits
        let number =
            |name: &str| event.member(name, |value| is_integer(value).then(|| long(value))).flatten();
        let (Some(Some(class)), Some(activity), Some(found)) =
            (number("class_uid"), number("activity_id"), number("type_uid"))
        else {
            return;
        };
        let expected = activity.and_then(|activity| class.checked_mul(100)?.checked_add(activity));
        if found != expected || found.is_none() {
            self.report(Rule::TypeUidIncorrect, Some("type_uid"), || match expected {
                Some(expected) => {
                    let found = found.map_or_else(|| "a larger number".to_owned(), |found| found.to_string());
                    format!("expected {expected} (`class_uid` × 100 + `activity_id`), got {found}")
                }
                None => "`activity_id` is too large for a `type_uid`".to_owned(),
            });
        }
    }

    fn observables(&mut self, class: usize, observables: View<'_>) {
        let mut index = 0;
        observables.for_items(|observable| {
            observable.member("name", |name| {
                let Some(name) = name.as_str() else { return };
                match follow(self.schema, class, self.active, name) {
                    Reference::Attribute => {}
                    Reference::Beyond(object) => self.beyond(object),
                    Reference::Nothing => {
                        let caption = &self.schema.shapes[class].caption;
                        self.report(
                            Rule::ObservableName,
                            Some(&format!("observables[{index}].name")),
                            || format!("{} is no path of an attribute of class {caption}", clipped(name)),
                        );
                    }
                }
            });
            index += 1;
        });
    }

    fn object(&mut self, at: usize, object: View<'_>) {
        let shape = &self.schema.shapes[at];
        if let Some(since) = &shape.deprecated {
            self.report(Rule::ObjectDeprecated, None, || {
                format!("object {} is deprecated{}", shape.name, since_text(since))
            });
        }
        if !shape.known {
            self.beyond(at);
        } else if self.out.steps.len() >= MAX_DEPTH {
            self.report(Rule::NotChecked, None, || {
                format!("nested deeper than {MAX_DEPTH} levels; what is in it was not checked")
            });
        } else {
            self.members(at, object);
        }
    }

    /// Says once an event that the tables do not describe an object.
    fn beyond(&mut self, at: usize) {
        if self.out.beyond.contains(&at) {
            return;
        }
        self.out.beyond.push(at);
        let (name, version) = (&self.schema.shapes[at].name, &self.schema.version);
        self.report(Rule::NotChecked, None, || {
            format!("the built-in table of {version} does not describe object {name}; a compiled schema does")
        });
    }

    fn members(&mut self, at: usize, object: View<'_>) {
        let schema = self.schema;
        let shape = &schema.shapes[at];
        let bits = self.out.seen.len();
        let (enums, texts) = (self.out.enums.len(), self.out.texts.len());
        self.out.seen.resize(bits + shape.attributes.len().div_ceil(64), 0);
        if !shape.is_open() {
            object.for_members(|name, value| {
                let Some(place) = shape.find(name) else {
                    self.unknown(shape, name);
                    return;
                };
                self.out.seen[bits + place / 64] |= 1 << (place % 64);
                let attribute = &shape.attributes[place];
                if attribute.gate != 0 && attribute.gate & self.active == 0 {
                    self.gated(attribute);
                    return;
                }
                self.out.steps.push(Step::Attribute(at, place));
                self.attribute(shape, place, value);
                self.out.steps.pop();
            });
            for place in &shape.required {
                self.missing(bits, shape, usize::from(*place));
            }
            if self.options.missing_recommended {
                for place in &shape.recommended {
                    self.missing(bits, shape, usize::from(*place));
                }
            }
        }
        while self.out.enums.len() > enums {
            if let Some(seen) = self.out.enums.pop() {
                self.sibling(bits, texts, shape, seen, object);
            }
        }
        self.out.texts.truncate(texts);
        for constraint in &shape.constraints {
            self.constraint(bits, shape, constraint, object);
        }
        self.out.seen.truncate(bits);
    }

    fn is_seen(&self, bits: usize, place: usize) -> bool {
        self.out.seen[bits + place / 64] & (1 << (place % 64)) != 0
    }

    fn unknown(&mut self, shape: &Shape, name: &str) {
        // looking for a similar name takes longer than all the rest
        let guess = self.out.counts[0] < MAX_GUESSES && name.len() <= SHOWN;
        self.report_member(Rule::AttributeUnknown, name, || {
            let known = shape.attributes.iter().map(|attribute| &*attribute.name);
            let near = if guess { nearest(name, known) } else { None };
            format!("{} has no such attribute{}", shape_text(shape), did_you_mean(near))
        });
    }

    fn gated(&mut self, attribute: &Attribute) {
        let schema = self.schema;
        self.report_member(Rule::AttributeUnknown, &attribute.name, || {
            let names = schema.profiles.iter().enumerate();
            let names =
                names.filter(|(at, _)| attribute.gate & (1 << at) != 0).map(|(_, profile)| &*profile.name);
            let names: Vec<&str> = names.collect();
            let plural = if names.len() == 1 { "profile" } else { "profiles" };
            format!("belongs to the {plural} {}, which `metadata.profiles` does not name", names.join(", "))
        });
    }

    fn missing(&mut self, bits: usize, shape: &Shape, place: usize) {
        let attribute = &shape.attributes[place];
        if !self.is_seen(bits, place) && (attribute.gate == 0 || attribute.gate & self.active != 0) {
            let rule = match attribute.requirement {
                Requirement::Required => Rule::RequiredMissing,
                _ => Rule::RecommendedMissing,
            };
            self.report_member(rule, &attribute.name, || missing_text(attribute, shape));
        }
    }

    fn attribute(&mut self, shape: &Shape, place: usize, value: View<'_>) {
        let attribute = &shape.attributes[place];
        let kind = value.kind();
        if kind == Kind::Null {
            let rule = match attribute.requirement {
                Requirement::Required => Some(Rule::RequiredMissing),
                Requirement::Recommended if self.options.missing_recommended => {
                    Some(Rule::RecommendedMissing)
                }
                _ => None,
            };
            if let Some(rule) = rule {
                self.report(rule, None, || "null stands for a missing value".to_owned());
            }
            if let Some(values) = attribute.values.as_ref().filter(|_| !attribute.is_array) {
                self.enumerated(values, value, Rule::EnumValueUnknown, Rule::EnumValueDeprecated);
            }
            return;
        }
        if let Some(since) = &attribute.deprecated {
            self.report(Rule::AttributeDeprecated, None, || format!("deprecated{}", since_text(since)));
        }
        if attribute.is_array {
            if kind != Kind::Array {
                self.report(Rule::WrongType, None, || {
                    format!(
                        "expected an array of {}, got {}",
                        type_name(self.schema, attribute),
                        described(value)
                    )
                });
                return;
            }
            let mut index = 0;
            value.for_items(|item| {
                self.out.steps.push(Step::Item(index));
                self.value(attribute, item);
                if let Some(values) = &attribute.values {
                    self.enumerated(
                        values,
                        item,
                        Rule::EnumArrayValueUnknown,
                        Rule::EnumArrayValueDeprecated,
                    );
                }
                self.out.steps.pop();
                index += 1;
            });
            if attribute.values.is_some() && attribute.sibling.is_some() {
                self.out.enums.push(SeenEnum { attribute: place, entry: None, is_other: false });
            }
        } else {
            self.value(attribute, value);
            if let Some(of) = attribute.text_of
                && let Some(values) = &shape.attributes[of].values
                && let Some(text) = value.as_str()
            {
                self.out.texts.push(SeenText { of, entry: values.of_caption(text) });
            }
            if let Some(values) = &attribute.values {
                let entry = self.enumerated(values, value, Rule::EnumValueUnknown, Rule::EnumValueDeprecated);
                if entry.is_some() && attribute.sibling.is_some() {
                    let is_other = value.as_i64() == Some(99);
                    self.out.enums.push(SeenEnum { attribute: place, entry, is_other });
                }
            }
        }
    }

    fn value(&mut self, attribute: &Attribute, value: View<'_>) {
        let schema = self.schema;
        match &attribute.content {
            Content::Scalar(at) => self.scalar(&schema.types[*at], value),
            Content::Object(at) if value.kind() == Kind::Object => self.object(*at, value),
            Content::Object(at) => {
                self.wrong_type(&format!("an object {}", schema.shapes[*at].name), value);
            }
            Content::Missing(name) => self.report(Rule::SchemaTypeMissing, None, || {
                format!("the schema does not define the type {name}")
            }),
        }
    }

    fn wrong_type(&mut self, expected: &str, value: View<'_>) {
        self.report(Rule::WrongType, None, || format!("expected {expected}, got {}", described(value)));
    }

    fn scalar(&mut self, of: &ScalarType, value: View<'_>) {
        let fits = match of.primitive {
            Primitive::Json => return,
            Primitive::Boolean => matches!(value.kind(), Kind::Boolean(_)),
            Primitive::Integer => value.as_i64().is_some(),
            Primitive::Long => long(value).is_some(),
            Primitive::Float => value.kind() == Kind::Number && !is_integer(value),
            Primitive::String => value.as_str().is_some(),
            Primitive::Unknown => {
                self.report(Rule::SchemaPrimitiveUnknown, None, || {
                    let parent = of.parent.as_ref().unwrap_or(&of.name);
                    format!("the schema has {parent} as a basic type, which OCSF does not know")
                });
                return;
            }
        };
        if !fits {
            self.report(Rule::WrongType, None, || {
                format!("expected {}, got {}", type_text(of), described(value))
            });
            return;
        }
        if let Some(text) = value.as_str() {
            self.text(of, text);
        } else if let Some(range) = &of.range {
            let number = value.as_i64().map_or_else(|| float(value), |number| number as f64);
            let (low, high) = range.rule;
            if !(low..=high).contains(&number) {
                let rule = if range.from_parent { Rule::ExceedsSuperRange } else { Rule::ExceedsRange };
                self.report(rule, None, || {
                    format!("{} is outside {low} to {high} of {}", value.excerpt(SHOWN), of.name)
                });
            }
        }
        if let Some(values) = &of.values
            && !values.rule.iter().any(|allowed| equals(allowed, value))
        {
            let rule = if values.from_parent { Rule::NotInSuperTypeValues } else { Rule::NotInTypeValues };
            self.report(rule, None, || {
                format!("{} is none of the values of {}", value.excerpt(SHOWN), of.name)
            });
        }
    }

    fn text(&mut self, of: &ScalarType, text: &str) {
        // characters are no more than bytes: most texts need no counting
        if let Some(max) = &of.max_len
            && text.len() > max.rule
        {
            let length = text.chars().count();
            if length > max.rule {
                let rule = if max.from_parent { Rule::ExceedsSuperMaxLen } else { Rule::ExceedsMaxLen };
                self.report(rule, None, || {
                    format!("{length} characters are more than the {} of {}", max.rule, of.name)
                });
            }
        }
        let Some(form) = &of.form else { return };
        if let Form::BadPattern(why) = &form.rule {
            self.report(Rule::SchemaRegexInvalid, None, || {
                format!("the pattern of {} in the schema is no regular expression: {why}", of.name)
            });
        } else if !form.rule.matches(text) {
            let rule = if form.from_parent { Rule::SuperRegexNotMatched } else { Rule::RegexNotMatched };
            self.report(rule, None, || match form.rule.about() {
                Some(about) => format!("{} is not {about} ({})", clipped(text), of.name),
                None => format!("{} does not match the pattern of {}", clipped(text), of.name),
            });
        }
    }

    /// Checks a value of an enum and returns its place there.
    fn enumerated(
        &mut self,
        values: &Values,
        value: View<'_>,
        unknown: Rule,
        deprecated: Rule,
    ) -> Option<usize> {
        let entry = match value.kind() {
            // that it is no number or text has been said
            Kind::Object => return None,
            Kind::String => value.as_str().and_then(|text| values.of_text(text)),
            Kind::Boolean(value) => values.of_text(if value { "true" } else { "false" }),
            Kind::Number => match value.as_i64() {
                Some(number) => values.of_integer(number),
                None => value.number_text().and_then(|text| values.of_text(&text)),
            },
            Kind::Null | Kind::Array => None,
        };
        let Some(place) = entry else {
            self.report(unknown, None, || {
                let known: Vec<&str> = values.entries().iter().take(12).map(|entry| &*entry.key).collect();
                let more = if values.entries().len() > known.len() { ", …" } else { "" };
                format!("{} is none of the enum: {}{more}", value.excerpt(SHOWN), known.join(", "))
            });
            return None;
        };
        let entry = &values.entries()[place];
        if let Some(since) = &entry.deprecated {
            self.report(deprecated, None, || {
                format!("{} ({}) is deprecated{}", value.excerpt(SHOWN), entry.caption, since_text(since))
            });
        }
        Some(place)
    }

    fn sibling(&mut self, bits: usize, texts: usize, shape: &Shape, seen: SeenEnum, object: View<'_>) {
        let attribute = &shape.attributes[seen.attribute];
        let (Some(values), Some(sibling)) = (&attribute.values, &attribute.sibling) else { return };
        // the usual case needs no second look at the object
        let text = self.out.texts[texts..].iter().find(|text| text.of == seen.attribute);
        if text.is_some_and(|text| !seen.is_other && text.entry.is_some() && text.entry == seen.entry) {
            return;
        }
        if sibling.place.is_some_and(|place| !self.is_seen(bits, place)) {
            return;
        }
        object.member(&sibling.name, |text| match seen.entry {
            None => {
                object
                    .member(&attribute.name, |items| self.array_sibling(values, &sibling.name, items, text));
            }
            Some(entry) => {
                let entry = &values.entries()[entry];
                let is_caption = text.as_str() == Some(&*entry.caption);
                if is_caption && seen.is_other {
                    self.report_member(Rule::SiblingSuspiciousOther, &sibling.name, || {
                        format!(
                            "{:?} beside `{}` 99 should be the source's own word",
                            entry.caption, attribute.name
                        )
                    });
                } else if !is_caption && !seen.is_other {
                    self.report_member(Rule::SiblingIncorrect, &sibling.name, || {
                        format!(
                            "expected {:?}, the caption of `{}` {}, got {}",
                            entry.caption,
                            attribute.name,
                            entry.key,
                            text.excerpt(SHOWN)
                        )
                    });
                }
            }
        });
    }

    fn array_sibling(&mut self, values: &Values, sibling: &str, items: View<'_>, texts: View<'_>) {
        if texts.kind() != Kind::Array {
            return;
        }
        // both are short; a list of what the enum wants is made first, since views do not outlive their loop
        let mut wanted: Vec<Option<usize>> = Vec::new();
        items.for_items(|item| {
            let entry = match item.as_i64() {
                Some(99) => None,
                Some(number) => values.of_integer(number),
                None => item.as_str().and_then(|text| values.of_text(text)),
            };
            wanted.push(entry);
        });
        let mut index = 0;
        texts.for_items(|text| {
            if let Some(entry) = wanted.get(index).copied().flatten() {
                let entry = &values.entries()[entry];
                if text.kind() == Kind::Null {
                    self.array_sibling_missing(sibling, index, &entry.caption);
                } else if text.as_str() != Some(&*entry.caption) {
                    let place = format!("{sibling}[{index}]");
                    self.report(Rule::ArraySiblingIncorrect, Some(&place), || {
                        format!(
                            "expected {:?}, the caption of {}, got {}",
                            entry.caption,
                            entry.key,
                            text.excerpt(SHOWN)
                        )
                    });
                }
            }
            index += 1;
        });
        for (index, entry) in wanted.iter().enumerate().skip(index) {
            if let Some(entry) = entry {
                self.array_sibling_missing(sibling, index, &values.entries()[*entry].caption);
            }
        }
    }

    fn array_sibling_missing(&mut self, sibling: &str, index: usize, caption: &str) {
        self.report(Rule::ArraySiblingMissing, Some(&format!("{sibling}[{index}]")), || {
            format!("expected {caption:?}, got nothing")
        });
    }

    fn constraint(&mut self, bits: usize, shape: &Shape, constraint: &Constraint, object: View<'_>) {
        let count = if constraint.names.len() == constraint.places.len() {
            constraint.places.iter().filter(|place| self.is_seen(bits, usize::from(**place))).count()
        } else {
            constraint.names.iter().filter(|name| object.member(name, |_| ()).is_some()).count()
        };
        let wanted = match &constraint.kind {
            ConstraintKind::AtLeastOne if count > 0 => return,
            ConstraintKind::JustOne if count == 1 => return,
            ConstraintKind::AtLeastOne => "at least one",
            ConstraintKind::JustOne => "just one",
            ConstraintKind::Unknown(name) => {
                self.report(Rule::ConstraintUnknown, None, || {
                    format!(
                        "the schema has a constraint {name:?} on {}, which OCSF does not know",
                        shape_text(shape)
                    )
                });
                return;
            }
        };
        self.report(Rule::ConstraintFailed, None, || {
            format!("{} needs {wanted} of {}; got {count}", shape_text(shape), constraint.names.join(", "))
        });
    }

    /// Reports a finding at a member of where the walk is.
    fn report_member(&mut self, rule: Rule, name: &str, message: impl FnOnce() -> String) {
        let mut path = self.path();
        append_to_path(&mut path, name);
        self.add(rule, path, message);
    }

    /// Reports a finding where the walk is, or below at a path that needs no quotes.
    fn report(&mut self, rule: Rule, below: Option<&str>, message: impl FnOnce() -> String) {
        let mut path = self.path();
        if let Some(below) = below {
            path.push('.');
            path.push_str(below);
        } else if path.is_empty() {
            path.push('.');
        }
        self.add(rule, path, message);
    }

    #[cold]
    fn add(&mut self, rule: Rule, path: String, message: impl FnOnce() -> String) {
        let severity = rule.severity();
        if severity != Severity::NotChecked {
            let count = &mut self.out.counts[usize::from(severity == Severity::Warning)];
            *count += 1;
            if *count > MAX_FINDINGS {
                if *count == MAX_FINDINGS + 1 {
                    let message = format!(
                        "more than {MAX_FINDINGS} findings of severity {}; no more are listed",
                        severity.name()
                    );
                    let severity = Severity::NotChecked;
                    self.out.findings.push(Finding { severity, rule: Rule::NotChecked, path, message });
                }
                return;
            }
        }
        self.out.findings.push(Finding { severity, rule, path, message: message() });
    }

    /// The path of where the walk is; empty at the event.
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.out.steps {
            match step {
                Step::Attribute(shape, at) => {
                    append_to_path(&mut path, &self.schema.shapes[*shape].attributes[*at].name);
                }
                Step::Item(index) => {
                    let _ = write!(path, "[{index}]");
                }
            }
        }
        path
    }
}

fn unknown_class(schema: &Schema, uid: i64) -> String {
    if !schema.built_in {
        return format!("the schema {} has no class {uid}", schema.version);
    }
    let known: Vec<String> = schema.classes().map(|class| class.uid.to_string()).collect();
    let mut text =
        format!("the built-in table of {} has no class {uid}, only {}", schema.version, known.join(", "));
    let others = Schema::built_in_versions().iter().filter(|version| **version != schema.version);
    for version in others {
        if Schema::built_in(version).is_some_and(|other| other.class(uid).is_some()) {
            let _ = write!(text, "; that of {version} has it");
        }
    }
    text.push_str("; a compiled schema (`ocsf_schema`, or `--schema` on the command line) has every class");
    text
}

fn type_name<'a>(schema: &'a Schema, attribute: &'a Attribute) -> &'a str {
    match &attribute.content {
        Content::Scalar(at) => &schema.types[*at].name,
        Content::Object(at) => &schema.shapes[*at].name,
        Content::Missing(name) => name,
    }
}

fn shape_text(shape: &Shape) -> String {
    match shape.uid {
        Some(_) => format!("class {}", shape.caption),
        None => format!("object {}", shape.name),
    }
}

fn missing_text(attribute: &Attribute, shape: &Shape) -> String {
    let requirement = match attribute.requirement {
        Requirement::Required => "required",
        _ => "recommended",
    };
    format!("{requirement} in {}", shape_text(shape))
}

fn since_text(since: &str) -> String {
    if since.is_empty() { String::new() } else { format!(" since {since}") }
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// A text as a message shows it.
fn clipped(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn type_text(of: &ScalarType) -> String {
    let kind = match of.primitive {
        Primitive::Boolean => "a boolean",
        Primitive::Float => "a number with a fraction",
        Primitive::Integer | Primitive::Long => "an integer",
        Primitive::String => "a string",
        Primitive::Json | Primitive::Unknown => "a value",
    };
    format!("{kind} ({})", of.name)
}

/// A value as a message names it.
fn described(value: View<'_>) -> String {
    let kind = match value.kind() {
        Kind::Null => return "null".to_owned(),
        Kind::Array => return "an array".to_owned(),
        Kind::Object => return "an object".to_owned(),
        Kind::Boolean(_) => "the boolean",
        Kind::String => "the string",
        Kind::Number if !is_integer(value) => "the number",
        Kind::Number if value.as_i64().is_none() => "the integer of more than 64 bits",
        Kind::Number => "the integer",
    };
    format!("{kind} {}", value.excerpt(SHOWN))
}

/// Whether a number is, or would be, written as an integer.
fn is_integer(value: View<'_>) -> bool {
    value.is_integer()
        || value
            .number_text()
            .is_some_and(|text| text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()))
}

/// An integer of 128 bits, which is what OCSF calls long.
fn long(value: View<'_>) -> Option<i128> {
    match value.as_i64() {
        Some(number) => Some(i128::from(number)),
        None => value.number_text()?.parse().ok(),
    }
}

fn float(value: View<'_>) -> f64 {
    value.number_text().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

/// Whether a value is one that a type allows.
fn equals(allowed: &serde_json::Value, value: View<'_>) -> bool {
    match (allowed, value.kind()) {
        (serde_json::Value::Bool(allowed), Kind::Boolean(value)) => *allowed == value,
        (serde_json::Value::String(allowed), Kind::String) => value.as_str() == Some(allowed),
        (serde_json::Value::Number(allowed), Kind::Number) => match (allowed.as_i64(), value.as_i64()) {
            (Some(allowed), Some(value)) => allowed == value,
            _ => allowed.as_f64() == Some(float(value)),
        },
        _ => false,
    }
}
