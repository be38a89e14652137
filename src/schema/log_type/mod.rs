//! Log type schemas: the fields of a kind of record, in YAML.
//!
//! A schema says which fields a record has, of which types, which are required, where its time
//! stands, and which values are worth finding again (indicators). The format is the one that users of
//! log type schemas have files in already; [`Schema::read`] says what of it is known.
//!
//! * [`Schemas`]: the schemas built into the binary and those of the user's folders, by name.
//! * [`Checker`]: holds events against schemas, coerces their values, finds time and indicators.
//!
//! ```
//! use jaquard::jq::Json;
//! use jaquard::schema::log_type::{Checker, Options, Schemas};
//!
//! let schemas = Schemas::built_in().select(&["MongoDB.AuditingConfig".to_owned()]).unwrap();
//! let mut checker = Checker::new(schemas, Options::default());
//!
//! let mut event = Json::parse(br#"{"enabled":"true"}"#.as_slice().into(), 512).unwrap();
//! let matched = checker.check(&mut event).unwrap();
//! assert_eq!(matched.schema.name(), "MongoDB.AuditingConfig");
//! assert_eq!(matched.event.to_tree().unwrap(), serde_json::json!({"enabled": true}));
//!
//! let mut event = Json::parse(br#"{"enabled":7}"#.as_slice().into(), 512).unwrap();
//! let mismatch = checker.check(&mut event).unwrap_err();
//! assert_eq!(mismatch.to_string(), ".enabled: expected boolean, got the number 7");
//! ```

mod check;
pub mod drift;
mod failure;
mod indicator;
pub mod infer;
mod library;
mod load;
mod model;
mod walk;
mod watch;
mod yaml;

pub use check::{Checker, Matched, Mismatch, Missing, Options, Times};
pub use failure::Failure;
pub use indicator::Indicator;
pub use library::{ReadError, Schemas, SelectError};
pub use model::{Element, Field, Object, Schema, TimeFormat, Type, Validate, Version};
pub use watch::Watch;
