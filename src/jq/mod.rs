//! The jq engine behind one narrow interface: compile a program, run it on an event, get its
//! outputs or a located error. Nothing outside this folder knows what is inside.
//!
//! * [`compile`]: text and its modules to a [`Program`], or every error with its place.
//! * [`Runner`]: one program on one thread, with the bounds of [`Limits`] around each event.
//! * [`Coverage`]: which branches, definitions and object keys of programs were reached.
//! * [`Json`]: an event inside a worker: its text, read where it is touched.
//! * [`Template`]: the body of a jq string, as file names and partitions are written.
//!
//! Inside: `syntax` is the grammar, `engine` the evaluator and its native functions, `value` the
//! values they work on, `budget` what one event may use. `jaq` runs the same programs on
//! [jaq](https://github.com/01mf02/jaq)'s interpreter over the same values; tests hold the two
//! engines against each other, and only that file imports its crate.
//!
//! A program has no way to the host: no files beyond its modules, no environment, no input but its
//! event, and `halt` fails the event.

mod budget;
mod compile;
mod coverage;
mod engine;
mod identity;
mod jaq;
mod json;
mod library;
mod limits;
mod memory;
mod modules;
mod run;
mod syntax;
mod template;
mod value;
mod view;
mod write;

pub use compile::{CompileError, Compiled, MAIN, Position, Program, compile, compile_given, compile_with};
pub use coverage::{Coverage, FileCoverage, Site, Total};
pub use engine::{DOCS, Doc, Example, SiteKind};
pub use json::Json;
pub use library::time::Instant;
pub use limits::Limits;
pub use memory::CountingAllocator;
pub(crate) use run::panic_message;
pub use run::{Engine, Reason, RunError, Runner, with_stack};
pub use template::{Template, TemplateError};
pub use view::{Kind, View, append_to_path};
pub use write::{NotJson, WriteLimits};

/// `name/arity` of every function that a program finds.
pub fn names() -> impl Iterator<Item = String> {
    engine::known_functions().into_iter().map(|(name, arity)| format!("{name}/{arity}"))
}
