//! What a component type tells of itself. One list of these per kind is all there is to register.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Check;

/// The options of a component type, and how they become a component of kind `B`.
///
/// The doc comments of the struct's fields are its reference.
pub trait Component<B: ?Sized>: DeserializeOwned + JsonSchema + 'static {
    /// `type` in the pipeline file.
    const NAME: &'static str;
    /// One sentence.
    const SUMMARY: &'static str;
    /// What holds across a restart or a crash.
    const GUARANTEE: &'static str;
    /// A whole pipeline file that uses it, or the part of one.
    const EXAMPLE: &'static str;

    /// Checks the options and makes them ready. Reads the files they name at the most; opens no
    /// connection, starts nothing. Reports everything that is wrong and then returns `None`.
    fn check(self, check: &mut Check<'_>) -> Option<Box<B>>;
}

/// A [`Component`] with its type erased.
#[derive(Debug)]
pub struct Spec<B: ?Sized> {
    /// `type` in the pipeline file.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What holds across a restart or a crash.
    pub guarantee: &'static str,
    /// An example.
    pub example: &'static str,
    /// JSON Schema of the options.
    pub schema: fn() -> Value,
    /// Checks options that fit the schema.
    pub check: fn(Value, &mut Check<'_>) -> Option<Box<B>>,
}

impl<B: ?Sized> Spec<B> {
    /// The entry of a component type.
    pub const fn of<C: Component<B>>() -> Self {
        Spec {
            name: C::NAME,
            summary: C::SUMMARY,
            guarantee: C::GUARANTEE,
            example: C::EXAMPLE,
            schema: schema_of::<C>,
            check: |options, check| match serde_json::from_value::<C>(options) {
                Ok(component) => component.check(check),
                Err(error) => {
                    check.error_here(error.to_string(), None);
                    None
                }
            },
        }
    }
}

/// JSON Schema (draft 2020-12) of a type.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    schema.to_value()
}
