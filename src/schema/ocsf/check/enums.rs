//! Values of an enum, and the texts beside them.

use super::Walk;
use super::report::{SHOWN, since_text};
use crate::jq::{Kind, View};
use crate::schema::ocsf::finding::Rule;
use crate::schema::ocsf::model::{Shape, Values};

#[derive(Debug, Clone, Copy)]
pub(super) struct SeenEnum {
    pub(super) attribute: usize,
    /// The place of its value in the enum; arrays have many and are read again.
    pub(super) entry: Option<usize>,
    pub(super) is_other: bool,
}

/// A text beside an enum.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenText {
    /// The place of the enum.
    pub(super) of: usize,
    /// The place of the value that has this caption.
    pub(super) entry: Option<usize>,
}

impl Walk<'_> {
    /// Checks a value of an enum and returns its place there.
    pub(super) fn enumerated(
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

    pub(super) fn sibling(
        &mut self,
        bits: usize,
        texts: usize,
        shape: &Shape,
        seen: SeenEnum,
        object: View<'_>,
    ) {
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

    pub(super) fn array_sibling(&mut self, values: &Values, sibling: &str, items: View<'_>, texts: View<'_>) {
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

    pub(super) fn array_sibling_missing(&mut self, sibling: &str, index: usize, caption: &str) {
        self.report(Rule::ArraySiblingMissing, Some(&format!("{sibling}[{index}]")), || {
            format!("expected {caption:?}, got nothing")
        });
    }
}
