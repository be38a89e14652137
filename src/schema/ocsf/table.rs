//! The built-in tables.
//!
//! Lines of columns between tabs; an empty column at the end is left out; `#` starts a comment.
//!
//! ```text
//! version   NUMBER  note
//! profiles  NAME NAME …
//! type      NAME  parent  flags                 flags: range=LOW..HIGH max_len=N form=NAME
//! values    NAME  KEY=CAPTION|KEY=CAPTION …     an enum used more than once; ` (deprecated VERSION)` may follow a caption
//! every_class                                   the attributes below are in every class
//! class     NAME  UID CAPTION  flags            flags: at_least_one=A,B just_one=A,B deprecated=VERSION
//! object    NAME  flags
//!           NAME  TYPE  flags  ENUM             an attribute of the class or object above; TYPE[] is an array
//!                                               flags: required recommended profile=A,B sibling=NAME deprecated=VERSION
//!                                               ENUM: as in `values`; @NAME; (class) or (type): `class_uid` and
//!                                               `type_uid`, made of the class and its activities
//! ```
//!
//! A type whose name does not end in `_t` is an object; one that the table does not describe is not
//! checked.

use std::collections::HashMap;
use std::sync::Arc;

use super::form::Form;
use super::model::{AttributeDraft, Draft, Entry, Requirement, Schema, ShapeDraft, TypeDraft, Values};

/// Reads a table. The error names the line.
pub(super) fn read(text: &str) -> Result<Schema, String> {
    let mut draft = Draft { built_in: true, ..Draft::default() };
    let mut reader = Reader::default();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        reader.line(line, &mut draft).ok_or_else(|| format!("line {}: cannot read {line:?}", number + 1))?;
    }
    for shape in draft.shapes.iter_mut().filter(|shape| shape.uid.is_some()) {
        shape.attributes.extend(reader.every_class.iter().cloned());
        derive(shape).ok_or_else(|| format!("class {} has no activities", shape.name))?;
    }
    draft.finish()
}

#[derive(Default)]
struct Reader {
    values: HashMap<String, Arc<Values>>,
    every_class: Vec<AttributeDraft>,
}

impl Reader {
    fn line(&mut self, line: &str, draft: &mut Draft) -> Option<()> {
        let mut columns = line.split('\t');
        let kind = columns.next()?;
        let mut column = || columns.next().unwrap_or_default();
        match kind {
            "version" => {
                column().clone_into(&mut draft.version);
                draft.note = Some(column().to_owned()).filter(|note| !note.is_empty());
            }
            "profiles" => {
                draft.profiles = column().split(' ').map(|name| (name.to_owned(), None)).collect();
            }
            "type" => {
                let mut of = TypeDraft { name: column().to_owned(), ..TypeDraft::default() };
                of.parent = Some(column().to_owned()).filter(|parent| !parent.is_empty());
                for flag in column().split_whitespace() {
                    let (key, value) = flag.split_once('=')?;
                    match key {
                        "range" => {
                            let (low, high) = value.split_once("..")?;
                            of.range = Some((low.parse().ok()?, high.parse().ok()?));
                        }
                        "max_len" => of.max_len = Some(value.parse().ok()?),
                        "form" => of.form = Some(Form::named(value)?),
                        _ => return None,
                    }
                }
                draft.types.push(of);
            }
            "values" => {
                let name = column().to_owned();
                self.values.insert(name, Arc::new(parse_values(column())?));
            }
            "every_class" => {}
            "class" => {
                let name = column().to_owned();
                let (uid, caption) = column().split_once(' ')?;
                let (uid, caption) = (Some(uid.parse().ok()?), caption.to_owned());
                let mut shape = ShapeDraft { name, caption, uid, ..ShapeDraft::default() };
                shape_flags(column(), &mut shape)?;
                draft.shapes.push(shape);
            }
            "object" => {
                let mut shape = ShapeDraft { name: column().to_owned(), ..ShapeDraft::default() };
                shape_flags(column(), &mut shape)?;
                draft.shapes.push(shape);
            }
            "" => {
                let attribute = self.attribute(column(), column(), column(), column())?;
                match draft.shapes.last_mut() {
                    Some(shape) => shape.attributes.push(attribute),
                    None => self.every_class.push(attribute),
                }
            }
            _ => return None,
        }
        columns.next().is_none().then_some(())
    }

    fn attribute(&self, name: &str, of: &str, flags: &str, values: &str) -> Option<AttributeDraft> {
        let (of, is_array) = match of.strip_suffix("[]") {
            Some(item) => (item, true),
            None => (of, false),
        };
        let mut attribute = AttributeDraft {
            name: name.to_owned(),
            of: of.to_owned(),
            is_object: !of.ends_with("_t"),
            is_array,
            ..AttributeDraft::default()
        };
        for flag in flags.split_whitespace() {
            match flag.split_once('=') {
                None if flag == "required" => attribute.requirement = Requirement::Required,
                None if flag == "recommended" => attribute.requirement = Requirement::Recommended,
                Some(("profile", names)) => {
                    attribute.profiles = names.split(',').map(str::to_owned).collect();
                }
                Some(("sibling", name)) => attribute.sibling = Some(name.to_owned()),
                Some(("deprecated", version)) => attribute.deprecated = Some(version.to_owned()),
                _ => return None,
            }
        }
        attribute.values = match values {
            "" | "(class)" | "(type)" => None,
            named if named.starts_with('@') => Some(self.values.get(&named[1..])?.clone()),
            text => Some(Arc::new(parse_values(text)?)),
        };
        Some(attribute)
    }
}

fn shape_flags(flags: &str, shape: &mut ShapeDraft) -> Option<()> {
    for flag in flags.split_whitespace() {
        match flag.split_once('=')? {
            ("deprecated", version) => shape.deprecated = Some(version.to_owned()),
            (kind @ ("at_least_one" | "just_one"), names) => {
                let names = names.split(',').map(str::to_owned).collect();
                shape.constraints.push((kind.to_owned(), names));
            }
            _ => return None,
        }
    }
    Some(())
}

fn parse_values(text: &str) -> Option<Values> {
    let entry = |part: &str| {
        let (key, mut caption) = part.split_once('=')?;
        let mut deprecated = None;
        if let Some((before, version)) = caption.split_once(" (deprecated ") {
            deprecated = Some(version.strip_suffix(')')?.into());
            caption = before;
        }
        Some(Entry { key: key.into(), caption: caption.into(), deprecated })
    };
    text.split('|').map(entry).collect::<Option<Vec<_>>>().map(Values::new)
}

/// Makes the enums that follow from the class and its activities.
fn derive(shape: &mut ShapeDraft) -> Option<()> {
    let uid = shape.uid?;
    let activities =
        shape.attributes.iter().find(|attribute| attribute.name == "activity_id")?.values.clone()?;
    let class =
        vec![Entry { key: uid.to_string().into(), caption: shape.caption.as_str().into(), deprecated: None }];
    let mut types = Vec::new();
    for activity in activities.entries() {
        let number: i64 = activity.key.parse().ok()?;
        types.push(Entry {
            key: (uid * 100 + number).to_string().into(),
            caption: format!("{}: {}", shape.caption, activity.caption).into(),
            deprecated: None,
        });
    }
    for (name, entries) in [("class_uid", class), ("type_uid", types)] {
        let attribute = shape.attributes.iter_mut().find(|attribute| attribute.name == name)?;
        attribute.values = Some(Arc::new(Values::new(entries)));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_can_be_read() {
        for version in Schema::built_in_versions() {
            let schema = Schema::built_in(version).unwrap();
            assert_eq!(schema.version(), *version);
            assert!(schema.classes().count() >= 11);
            assert_eq!(schema.note().is_some(), *version == "1.9.0");
            for shape in schema.shapes.iter().filter(|shape| shape.known) {
                for (at, attribute) in shape.attributes.iter().enumerate() {
                    assert_eq!(shape.find(&attribute.name), Some(at), "{}.{}", shape.name, attribute.name);
                    // objects are given siblings by the dictionary that they do not always have
                    if let (Some(sibling), Some(_)) = (&attribute.sibling, shape.uid) {
                        assert!(sibling.place.is_some(), "{}.{}", shape.name, sibling.name);
                    }
                }
                for constraint in &shape.constraints {
                    assert_eq!(constraint.names.len(), constraint.places.len(), "{}", shape.name);
                }
            }
            assert!(schema.profiles.iter().all(|profile| profile.defined));
        }
    }

    #[test]
    fn what_follows_from_the_class_is_made() {
        let schema = Schema::built_in("1.9.0").unwrap();
        let class = &schema.shapes[schema.class(3007).unwrap()];
        let of = |name: &str| class.attributes[class.find(name).unwrap()].values.clone().unwrap();
        let caption = |name: &str, value| {
            let values = of(name);
            values.of_integer(value).map(|at| values.entries()[at].caption.to_string())
        };
        assert_eq!(caption("class_uid", 3007).unwrap(), "User Management");
        assert_eq!(caption("type_uid", 300_716).unwrap(), "User Management: Assign Roles");
        assert!(of("type_uid").of_integer(300_750).is_none());
        assert!(of("severity_id").of_text("99").is_some());
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let error = read("version\t1\nfoo\tbar").unwrap_err();
        assert!(error.starts_with("line 2: "), "{error}");
        assert!(read("version\t1\nclass\tx\tnone\n").is_err());
    }
}
