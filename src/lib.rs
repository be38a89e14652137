//! jaquard: a stream transform pipeline for security audit logs.
//!
//! A *source* pulls or receives raw events, *jq* programs map them, *sinks* deliver them. People
//! write a TOML file and run one binary; this library is that binary, and the place to read how it
//! works.
//!
//! # A tour
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | TOML to checked values; every error of a file in one go |
//! | [`event`] | events, batches, delivery tokens, stable ids |
//! | [`jq`] | the language: compile, run within bounds |
//! | [`schema`] | what events should look like: OCSF |
//! | [`source`], [`transform`], [`sink`] | the component types, one file each |
//! | [`topology`] | the graph, the workers, epochs, the ledger |
//! | [`state`] | cursors and positions, durable |
//! | [`cli`] | one file per subcommand |
//! | [`testkit`] | faults on demand |
//!
//! Dependencies point one way: `cli` to `topology` to the components to the rest. Components never
//! import each other, and only [`jq`] knows the engine.
//!
//! # An example
//!
//! The engine by itself, as a transform uses it:
//!
//! ```
//! use std::path::Path;
//! use jaquard::jq::{Json, Limits, Runner, WriteLimits, compile};
//!
//! let program = compile("{id, who: (.username | ascii_upcase)}", Path::new("."), &[]).unwrap();
//! let limits = Limits::default();
//! let bounds = WriteLimits::from(&limits);
//! let mut runner = Runner::new(program, &serde_json::json!({}), limits);
//!
//! let mut event = Json::from_text(br#"{"id":12345678901234567890,"username":"ada"}"#.as_slice().into());
//! let mut lines = Vec::new();
//! runner.run(&mut event, None, &mut |output| output.write(bounds, &mut lines).is_ok()).unwrap();
//! assert_eq!(lines, br#"{"id":12345678901234567890,"who":"ADA"}"#);
//! ```
//!
//! A whole pipeline is [`topology::load`] and [`topology::run`].

pub mod cli;
pub mod config;
pub mod event;
pub mod http;
pub mod jq;
pub mod schema;
pub mod sink;
pub mod source;
pub mod state;
pub mod testkit;
pub mod topology;
pub mod transform;
