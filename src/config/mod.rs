//! Configuration text to checked values.
//!
//! The structs of the components are the only description of their options: [`schemars`] turns
//! them into JSON Schema, and that schema drives everything else. A [`Walker`] checks the TOML
//! text against it and finds *every* error with its place; `jaquard schema` and the reference
//! pages print it. Only a tree without errors is handed to serde.
//!
//! Values from outside (`{ env = … }`) are put in after parsing, so they cannot inject syntax, and are
//! parsed to the type of the option they stand for.

mod check;
mod diagnostic;
mod outside;
mod spec;
mod values;
mod walk;

pub(crate) use check::resolve;
pub use check::{Check, Options};
pub(crate) use diagnostic::is_secret_name;
pub use diagnostic::{Diagnostic, Severity, SourceFile, nearest};
pub(crate) use outside::run_command;
pub use outside::{Absent, OutsideMode};
pub(crate) use spec::schema_of;
pub use spec::{Component, Spec};
pub use values::{Duration, Program, Size, Start, TemplateText, Timestamp, Wildcard};
pub use walk::Walker;
pub(crate) use walk::schema_form;
