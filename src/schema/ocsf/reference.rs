//! The names of observables: paths such as `resources[0].owner.name`.

use super::model::{Content, Schema};

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    /// To an attribute of the class.
    Attribute,
    /// To nothing.
    Nothing,
    /// Into an object that the tables do not describe: its place among the shapes.
    Beyond(usize),
}

/// Follows a path from a class, through attributes that the active profiles allow.
///
/// A step may carry an index in brackets, `name[0]` or `name[]`. As in the reference validator, an
/// array needs none, and the last step may carry one even if it is no array.
pub(super) fn follow(schema: &Schema, class: usize, active: u128, path: &str) -> Reference {
    let mut shape = class;
    let mut steps = Steps(Some(path));
    let mut step = steps.next();
    while let Some(current) = step {
        let (name, has_index) = without_index(current);
        if !schema.shapes[shape].known {
            return Reference::Beyond(shape);
        }
        let Some(at) = schema.shapes[shape].find(name) else { return Reference::Nothing };
        let attribute = &schema.shapes[shape].attributes[at];
        if attribute.gate != 0 && attribute.gate & active == 0 {
            return Reference::Nothing;
        }
        step = steps.next();
        if step.is_none() {
            return Reference::Attribute;
        }
        match attribute.content {
            Content::Object(object) if attribute.is_array || !has_index => shape = object,
            _ => return Reference::Nothing,
        }
    }
    Reference::Nothing
}

/// Cuts a path at the dots that are not within brackets.
struct Steps<'a>(Option<&'a str>);

impl<'a> Iterator for Steps<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        let end = rest.bytes().enumerate().position(|(at, byte)| {
            // a dot is within brackets if a `]` follows before any `[`
            let next_bracket = || rest[at + 1..].bytes().find(|byte| matches!(byte, b'[' | b']'));
            byte == b'.' && next_bracket() != Some(b']')
        });
        match end {
            Some(end) => {
                self.0 = Some(&rest[end + 1..]);
                Some(&rest[..end])
            }
            None => self.0.take(),
        }
    }
}

fn without_index(step: &str) -> (&str, bool) {
    match step.split_once('[') {
        Some((name, rest)) if !name.is_empty() && rest.ends_with(']') => (name, true),
        _ => (step, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_attributes_of_the_class() {
        let schema = Schema::built_in("1.8.0").unwrap();
        let class = schema.class(6003).unwrap();
        let (cloud, _) = schema.profile("cloud").unwrap();
        for (path, profiles, expected) in [
            ("actor.user.name", 0, Reference::Attribute),
            ("resources.name", 0, Reference::Attribute),
            ("resources[0].owner.name", 0, Reference::Attribute),
            ("resources[].name", 0, Reference::Attribute),
            ("actor[0].user.name", 0, Reference::Nothing),
            ("metadata.profiles[1]", 0, Reference::Attribute),
            ("message[0]", 0, Reference::Attribute),
            ("message.text", 0, Reference::Nothing),
            ("unmapped.anything", 0, Reference::Nothing),
            ("cloud.provider", 0, Reference::Nothing),
            ("cloud.provider", 1 << cloud, Reference::Attribute),
            ("", 0, Reference::Nothing),
            ("actor.", 0, Reference::Nothing),
            ("actor..name", 0, Reference::Nothing),
            ("nothing", 0, Reference::Nothing),
            ("resources[a.b].name", 0, Reference::Attribute),
        ] {
            assert_eq!(follow(&schema, class, profiles, path), expected, "{path}");
        }
    }
}
