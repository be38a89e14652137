//! The validator: one walk over an event.
//!
//! It goes over the members that are there, marks them in a set of bits, and then asks the shape
//! what else should have been there. Where it is stands on a stack, which becomes the text of a path
//! only for a finding.

mod enums;
mod members;
mod report;

use std::sync::Arc;

use self::enums::{SeenEnum, SeenText};
use self::report::{SHOWN, clipped, described, did_you_mean, is_integer, long, since_text, unknown_class};
use super::finding::{Finding, Rule};
use super::model::Schema;
use super::reference::{Reference, follow};
use super::version::Version;
use crate::config::nearest;
use crate::jq::{Kind, View};

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
}
