//! A schema, laid out for checking events.
//!
//! Both readers write a [`Draft`], which still speaks in names; [`Draft::finish`] resolves them.
//! Classes and objects are both [`Shape`]s: a name leads to its attribute by one hash and one
//! comparison, profiles are bits, and equal enums are shared.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use thiserror::Error;

use super::form::Form;
use super::{compiled, table};
use crate::schema::names::Names;

/// Why there is no schema.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not a compiled schema.
    #[error("{}{place}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// `:line:column` for text, ` at classes.x` for content.
        place: String,
        /// What is wrong, and the way out.
        message: String,
    },
}

/// A version of OCSF, or the part of it that the binary knows.
#[derive(Debug)]
pub struct Schema {
    pub(super) version: String,
    /// What to know about where it comes from.
    pub(super) note: Option<String>,
    /// Whether it is a part of the schema only.
    pub(super) built_in: bool,
    pub(super) shapes: Vec<Shape>,
    /// Places of the classes among the shapes, by their uid.
    pub(super) classes: Vec<(i64, usize)>,
    pub(super) types: Vec<ScalarType>,
    pub(super) profiles: Vec<Profile>,
}

/// A class of a schema, to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassInfo<'a> {
    /// The number events carry.
    pub uid: i64,
    /// The name in the schema, such as `api_activity`.
    pub name: &'a str,
    /// The name for people, such as `API Activity`.
    pub caption: &'a str,
    /// The version that deprecated it.
    pub deprecated: Option<&'a str>,
}

const TABLES: [(&str, &str); 2] =
    [("1.8.0", include_str!("tables/1.8.0.tsv")), ("1.9.0", include_str!("tables/1.9.0.tsv"))];

const VERSIONS: [&str; 2] = [TABLES[0].0, TABLES[1].0];

impl Schema {
    /// The table of a version that the binary holds: the classes that the shipped mappings use.
    pub fn built_in(version: &str) -> Option<Arc<Schema>> {
        static SCHEMAS: [OnceLock<Option<Arc<Schema>>>; 2] = [OnceLock::new(), OnceLock::new()];
        let at = VERSIONS.iter().position(|known| *known == version)?;
        // the tables are read by a test: an error cannot happen in a build that passed
        SCHEMAS[at].get_or_init(|| table::read(TABLES[at].1).ok().map(Arc::new)).clone()
    }

    /// The table of a version that a person names, or what to tell of it.
    pub fn known(version: &str) -> Result<Arc<Schema>, String> {
        Schema::built_in(version)
            .ok_or_else(|| format!("OCSF {version} is not built in, only {}", VERSIONS.join(" and ")))
    }

    /// The versions that the binary holds, oldest first.
    pub fn built_in_versions() -> &'static [&'static str] {
        &VERSIONS
    }

    /// Reads a compiled schema, as the official compiler writes it.
    pub fn read(path: &Path) -> Result<Arc<Schema>, SchemaError> {
        compiled::read(path).map(Arc::new)
    }

    /// The version of the schema.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What to know about where a built-in table comes from.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The classes, by number.
    pub fn classes(&self) -> impl Iterator<Item = ClassInfo<'_>> {
        self.classes.iter().map(|(uid, at)| {
            let shape = &self.shapes[*at];
            ClassInfo {
                uid: *uid,
                name: &shape.name,
                caption: &shape.caption,
                deprecated: shape.deprecated.as_deref(),
            }
        })
    }

    pub(super) fn class(&self, uid: i64) -> Option<usize> {
        let at = self.classes.binary_search_by_key(&uid, |(uid, _)| *uid).ok()?;
        Some(self.classes[at].1)
    }

    /// The bits of a profile's name, if there is such a profile.
    pub(super) fn profile(&self, name: &str) -> Option<(usize, &Profile)> {
        self.profiles.iter().enumerate().find(|(_, profile)| &*profile.name == name)
    }
}

/// A set of attributes that only some events have.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) name: Box<str>,
    pub(super) deprecated: Option<Box<str>>,
    /// Whether the schema defines it; some attribute may name one that it does not.
    pub(super) defined: bool,
}

/// A class or an object.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) name: Box<str>,
    pub(super) caption: Box<str>,
    /// The number of a class; an object has none.
    pub(super) uid: Option<i64>,
    /// The version that deprecated it.
    pub(super) deprecated: Option<Box<str>>,
    /// Whether the schema says what is in it. Objects that are too deep for the tables have a name only.
    pub(super) known: bool,
    pub(super) attributes: Vec<Attribute>,
    pub(super) required: Vec<u16>,
    pub(super) recommended: Vec<u16>,
    pub(super) constraints: Vec<Constraint>,
    /// Finds the attributes.
    names: Names,
}

impl Shape {
    /// Whether anything may stand in it.
    pub(super) fn is_open(&self) -> bool {
        self.attributes.is_empty()
    }

    /// The place of an attribute.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.find(name, |at| &self.attributes[at].name)
    }

    fn index(&mut self) {
        self.names = Names::of(self.attributes.iter().map(|attribute| &*attribute.name));
    }
}

/// Attributes of which some must be there.
#[derive(Debug)]
pub(super) struct Constraint {
    pub(super) kind: ConstraintKind,
    pub(super) names: Vec<Box<str>>,
    /// Places of those that the shape has.
    pub(super) places: Vec<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConstraintKind {
    AtLeastOne,
    JustOne,
    Unknown(Box<str>),
}

impl ConstraintKind {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "at_least_one" => ConstraintKind::AtLeastOne,
            "just_one" => ConstraintKind::JustOne,
            other => ConstraintKind::Unknown(other.into()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Requirement {
    Required,
    Recommended,
    #[default]
    Optional,
}

/// An attribute of a class or object.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) name: Box<str>,
    pub(super) content: Content,
    pub(super) is_array: bool,
    pub(super) requirement: Requirement,
    /// Bits of the profiles that bring it; zero if it is always there.
    pub(super) gate: u128,
    pub(super) values: Option<Arc<Values>>,
    /// The attribute that holds the text of the enum's value.
    pub(super) sibling: Option<Sibling>,
    /// The place of the enum that this is the sibling of.
    pub(super) text_of: Option<usize>,
    pub(super) deprecated: Option<Box<str>>,
}

#[derive(Debug)]
pub(super) struct Sibling {
    pub(super) name: Box<str>,
    /// Its place in the shape, if it is an attribute of it.
    pub(super) place: Option<usize>,
}

/// What an attribute holds.
#[derive(Debug)]
pub(super) enum Content {
    /// A place among the types.
    Scalar(usize),
    /// A place among the shapes.
    Object(usize),
    /// A type that the schema does not define.
    Missing(Box<str>),
}

/// An enum.
#[derive(Debug, Default)]
pub(super) struct Values {
    entries: Vec<Entry>,
    /// Places of the entries whose key is an integer, by it.
    integers: Vec<(i64, u32)>,
}

/// A value of an enum.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) key: Box<str>,
    pub(super) caption: Box<str>,
    pub(super) deprecated: Option<Box<str>>,
}

impl Values {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let mut integers: Vec<(i64, u32)> = entries
            .iter()
            .enumerate()
            .filter_map(|(at, entry)| {
                let number: i64 = entry.key.parse().ok()?;
                (number.to_string() == *entry.key).then_some((number, at as u32))
            })
            .collect();
        integers.sort_unstable();
        Values { entries, integers }
    }

    /// The place of a value's entry.
    pub(super) fn of_integer(&self, value: i64) -> Option<usize> {
        // most enums count from zero
        let at = match usize::try_from(value).ok().and_then(|at| self.integers.get(at)) {
            Some((integer, at)) if *integer == value => *at,
            _ => self.integers[self.integers.binary_search_by_key(&value, |(integer, _)| *integer).ok()?].1,
        };
        Some(at as usize)
    }

    /// The place of the entry of a value in text.
    pub(super) fn of_text(&self, text: &str) -> Option<usize> {
        self.entries.iter().position(|entry| *entry.key == *text)
    }

    /// The place of the first entry of a caption.
    pub(super) fn of_caption(&self, caption: &str) -> Option<usize> {
        self.entries.iter().position(|entry| *entry.caption == *caption)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// A type of values that are no objects.
#[derive(Debug)]
pub(super) struct ScalarType {
    pub(super) name: Box<str>,
    pub(super) primitive: Primitive,
    /// The type it derives from.
    pub(super) parent: Option<Box<str>>,
    pub(super) range: Option<Inherited<(f64, f64)>>,
    pub(super) max_len: Option<Inherited<usize>>,
    pub(super) form: Option<Inherited<Form>>,
    pub(super) values: Option<Inherited<Vec<serde_json::Value>>>,
}

/// A rule of a type, or of the type it derives from.
#[derive(Debug, Clone)]
pub(super) struct Inherited<T> {
    pub(super) rule: T,
    pub(super) from_parent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Primitive {
    Boolean,
    Float,
    Integer,
    Json,
    Long,
    String,
    Unknown,
}

impl Primitive {
    fn named(name: &str) -> Self {
        match name {
            "boolean_t" => Primitive::Boolean,
            "float_t" => Primitive::Float,
            "integer_t" => Primitive::Integer,
            "json_t" => Primitive::Json,
            "long_t" => Primitive::Long,
            "string_t" => Primitive::String,
            _ => Primitive::Unknown,
        }
    }
}

/// A schema in names.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) version: String,
    pub(super) note: Option<String>,
    pub(super) built_in: bool,
    pub(super) profiles: Vec<(String, Option<String>)>,
    pub(super) types: Vec<TypeDraft>,
    pub(super) shapes: Vec<ShapeDraft>,
}

#[derive(Debug, Default)]
pub(super) struct TypeDraft {
    pub(super) name: String,
    pub(super) parent: Option<String>,
    pub(super) range: Option<(f64, f64)>,
    pub(super) max_len: Option<usize>,
    pub(super) form: Option<Form>,
    pub(super) values: Option<Vec<serde_json::Value>>,
}

#[derive(Debug, Default)]
pub(super) struct ShapeDraft {
    pub(super) name: String,
    pub(super) caption: String,
    pub(super) uid: Option<i64>,
    pub(super) deprecated: Option<String>,
    pub(super) constraints: Vec<(String, Vec<String>)>,
    pub(super) attributes: Vec<AttributeDraft>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct AttributeDraft {
    pub(super) name: String,
    /// The name of a type, or of an object.
    pub(super) of: String,
    pub(super) is_object: bool,
    pub(super) is_array: bool,
    pub(super) requirement: Requirement,
    pub(super) profiles: Vec<String>,
    pub(super) sibling: Option<String>,
    pub(super) deprecated: Option<String>,
    pub(super) values: Option<Arc<Values>>,
}

impl Draft {
    /// Resolves the names. The error names the place of what cannot be resolved.
    pub(super) fn finish(self) -> Result<Schema, String> {
        let mut profiles: Vec<Profile> = self
            .profiles
            .into_iter()
            .map(|(name, deprecated)| Profile {
                name: name.into(),
                deprecated: deprecated.map(Into::into),
                defined: true,
            })
            .collect();
        let types = finish_types(self.types);
        let type_places: HashMap<&str, usize> =
            types.iter().enumerate().map(|(at, of)| (&*of.name, at)).collect();

        // objects first by their names: attributes point to each other in circles
        let mut objects: HashMap<String, usize> = HashMap::new();
        for (at, shape) in self.shapes.iter().enumerate() {
            if shape.uid.is_none() && objects.insert(shape.name.clone(), at).is_some() {
                return Err(format!("two objects are called {}", shape.name));
            }
        }
        let mut next = self.shapes.len();
        let mut beyond = Vec::new();
        let mut shapes = Vec::with_capacity(next);
        let mut classes = Vec::new();
        for (at, draft) in self.shapes.into_iter().enumerate() {
            if let Some(uid) = draft.uid {
                classes.push((uid, at));
            }
            if draft.attributes.len() >= usize::from(u16::MAX) {
                return Err(format!("{} has too many attributes", draft.name));
            }
            let mut shape = Shape {
                name: draft.name.into(),
                caption: draft.caption.into(),
                uid: draft.uid,
                deprecated: draft.deprecated.map(Into::into),
                known: true,
                ..Shape::default()
            };
            for attribute in draft.attributes {
                let content = if attribute.is_object {
                    let place = match objects.get(&attribute.of) {
                        Some(place) => *place,
                        None if self.built_in => {
                            beyond.push(attribute.of.clone());
                            objects.insert(attribute.of, next);
                            next += 1;
                            next - 1
                        }
                        None => {
                            return Err(format!(
                                "{}.{} is an object {}, which the schema does not define",
                                shape.name, attribute.name, attribute.of
                            ));
                        }
                    };
                    Content::Object(place)
                } else {
                    match type_places.get(&*attribute.of) {
                        Some(place) => Content::Scalar(*place),
                        None => Content::Missing(attribute.of.into()),
                    }
                };
                shape.attributes.push(Attribute {
                    name: attribute.name.into(),
                    content,
                    is_array: attribute.is_array,
                    requirement: attribute.requirement,
                    gate: gate(&attribute.profiles, &mut profiles)?,
                    values: attribute.values,
                    sibling: attribute.sibling.map(|name| Sibling { name: name.into(), place: None }),
                    text_of: None,
                    deprecated: attribute.deprecated.map(Into::into),
                });
            }
            shape.index();
            for at in 0..shape.attributes.len() {
                let place =
                    shape.attributes[at].sibling.as_ref().and_then(|sibling| shape.find(&sibling.name));
                if let Some(sibling) = &mut shape.attributes[at].sibling {
                    sibling.place = place;
                }
                if let Some(place) = place {
                    shape.attributes[place].text_of = Some(at);
                }
            }
            for (at, attribute) in shape.attributes.iter().enumerate() {
                match attribute.requirement {
                    Requirement::Required => shape.required.push(at as u16),
                    Requirement::Recommended => shape.recommended.push(at as u16),
                    Requirement::Optional => {}
                }
            }
            for (kind, names) in draft.constraints {
                let places = names.iter().filter_map(|name| shape.find(name)).map(|at| at as u16).collect();
                let names = names.into_iter().map(Into::into).collect();
                shape.constraints.push(Constraint { kind: ConstraintKind::named(&kind), names, places });
            }
            shapes.push(shape);
        }
        shapes.extend(beyond.into_iter().map(|name| Shape { name: name.into(), ..Shape::default() }));
        classes.sort_unstable();
        if let Some(pair) = classes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("two classes have the uid {}", pair[0].0));
        }
        Ok(Schema {
            version: self.version,
            note: self.note,
            built_in: self.built_in,
            shapes,
            classes,
            types,
            profiles,
        })
    }
}

/// The bits of profiles; those that nothing defines get one too.
fn gate(names: &[String], profiles: &mut Vec<Profile>) -> Result<u128, String> {
    let mut gate = 0;
    for name in names {
        let at = match profiles.iter().position(|profile| *profile.name == **name) {
            Some(at) => at,
            None => {
                profiles.push(Profile { name: name.as_str().into(), deprecated: None, defined: false });
                profiles.len() - 1
            }
        };
        if at >= 128 {
            return Err("there are more than 128 profiles".into());
        }
        gate |= 1 << at;
    }
    Ok(gate)
}

/// A type without a rule of its own has that of the type it derives from.
fn finish_types(drafts: Vec<TypeDraft>) -> Vec<ScalarType> {
    fn inherit<T: Clone>(own: Option<&T>, parent: Option<&T>) -> Option<Inherited<T>> {
        let own = own.map(|rule| Inherited { rule: rule.clone(), from_parent: false });
        own.or_else(|| parent.map(|rule| Inherited { rule: rule.clone(), from_parent: true }))
    }
    drafts
        .iter()
        .map(|draft| {
            let parent_name = draft.parent.as_deref();
            let parent = drafts.iter().find(|other| Some(other.name.as_str()) == parent_name);
            ScalarType {
                name: draft.name.as_str().into(),
                primitive: Primitive::named(parent_name.unwrap_or(&draft.name)),
                parent: parent_name.map(Into::into),
                range: inherit(draft.range.as_ref(), parent.and_then(|of| of.range.as_ref())),
                max_len: inherit(draft.max_len.as_ref(), parent.and_then(|of| of.max_len.as_ref())),
                form: inherit(draft.form.as_ref(), parent.and_then(|of| of.form.as_ref())),
                values: inherit(draft.values.as_ref(), parent.and_then(|of| of.values.as_ref())),
            }
        })
        .collect()
}
