//! The members of an object: which there may be, which there must be, and what they hold.

use super::enums::{SeenEnum, SeenText};
use super::report::{
    SHOWN, clipped, described, did_you_mean, equals, float, is_integer, long, missing_text, shape_text,
    since_text, type_name, type_text,
};
use super::{Step, Walk};
use crate::config::nearest;
use crate::jq::{Kind, View};
use crate::schema::ocsf::finding::Rule;
use crate::schema::ocsf::form::Form;
use crate::schema::ocsf::model::{
    Attribute, Constraint, ConstraintKind, Content, Primitive, Requirement, ScalarType, Shape,
};

/// Errors of an event up to which a similar name is looked for.
const MAX_GUESSES: usize = 8;

/// Objects within objects that are looked at. The schema has circles, such as `process.parent_process`.
const MAX_DEPTH: usize = 64;

impl Walk<'_> {
    pub(super) fn object(&mut self, at: usize, object: View<'_>) {
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
    pub(super) fn beyond(&mut self, at: usize) {
        if self.out.beyond.contains(&at) {
            return;
        }
        self.out.beyond.push(at);
        let (name, version) = (&self.schema.shapes[at].name, &self.schema.version);
        self.report(Rule::NotChecked, None, || {
            format!("the built-in table of {version} does not describe object {name}; a compiled schema does")
        });
    }

    pub(super) fn members(&mut self, at: usize, object: View<'_>) {
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

    pub(super) fn is_seen(&self, bits: usize, place: usize) -> bool {
        self.out.seen[bits + place / 64] & (1 << (place % 64)) != 0
    }

    pub(super) fn unknown(&mut self, shape: &Shape, name: &str) {
        // looking for a similar name takes longer than all the rest
        let guess = self.out.counts[0] < MAX_GUESSES && name.len() <= SHOWN;
        self.report_member(Rule::AttributeUnknown, name, || {
            let known = shape.attributes.iter().map(|attribute| &*attribute.name);
            let near = if guess { nearest(name, known) } else { None };
            format!("{} has no such attribute{}", shape_text(shape), did_you_mean(near))
        });
    }

    pub(super) fn gated(&mut self, attribute: &Attribute) {
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

    pub(super) fn missing(&mut self, bits: usize, shape: &Shape, place: usize) {
        let attribute = &shape.attributes[place];
        if !self.is_seen(bits, place) && (attribute.gate == 0 || attribute.gate & self.active != 0) {
            let rule = match attribute.requirement {
                Requirement::Required => Rule::RequiredMissing,
                _ => Rule::RecommendedMissing,
            };
            self.report_member(rule, &attribute.name, || missing_text(attribute, shape));
        }
    }

    pub(super) fn attribute(&mut self, shape: &Shape, place: usize, value: View<'_>) {
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

    pub(super) fn value(&mut self, attribute: &Attribute, value: View<'_>) {
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

    pub(super) fn wrong_type(&mut self, expected: &str, value: View<'_>) {
        self.report(Rule::WrongType, None, || format!("expected {expected}, got {}", described(value)));
    }

    pub(super) fn scalar(&mut self, of: &ScalarType, value: View<'_>) {
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

    pub(super) fn text(&mut self, of: &ScalarType, text: &str) {
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

    pub(super) fn constraint(
        &mut self,
        bits: usize,
        shape: &Shape,
        constraint: &Constraint,
        object: View<'_>,
    ) {
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
}
