//! OCSF: is this event what the schema says?
//!
//! A [`Schema`] comes from one of the tables in the binary ([`Schema::built_in`]) or from a compiled
//! schema, as the official compiler writes it ([`Schema::read`]). It is shared by all threads. A
//! [`Validator`] belongs to one thread and looks at events as [`View`]s, where they are: nothing is
//! copied and, as long as there is nothing to report, nothing is allocated.
//!
//! The rules and their names are those of the reference validator; `docs/ocsf.md` lists them and
//! the few differences.
//!
//! ```
//! use jaquard::jq::Json;
//! use jaquard::schema::ocsf::{Options, Schema, Validator};
//!
//! let schema = Schema::built_in("1.8.0").unwrap();
//! let mut validator = Validator::new(schema, Options::default());
//! let mut event = Json::from_text(br#"{"class_uid": 6003, "activity_id": 99}"#.as_slice().into());
//! let missing: Vec<&str> = validator.check(event.view()).iter().map(|found| found.path.as_str()).collect();
//! assert!(missing.contains(&".metadata"));
//! ```
//!
//! [`View`]: crate::jq::View

mod check;
mod compiled;
mod finding;
mod form;
mod model;
mod reference;
mod table;
mod version;

pub use check::{Options, Validator};
pub use finding::{Finding, Rule, Severity};
pub use model::{ClassInfo, Schema, SchemaError};
