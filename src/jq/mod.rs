//! The jq engine behind one narrow interface: compile a program, run it on an event, get its
//! outputs or a located error. Nothing outside this folder knows which engine is inside; today it
//! is stock [jaq](https://github.com/01mf02/jaq), and only this folder imports its crates.
//!
//! * [`compile`]: text and its modules to a [`Program`], or every error with its place.
//! * [`Runner`]: one program on one thread, with the bounds of [`Limits`] around each event.
//! * [`Json`]: an event inside a worker: its text, parsed at the first touch.
//! * [`Template`]: the body of a jq string, as file names and partitions are written.
//!
//! A program has no way to the host: no files beyond its modules, no environment, no input but its
//! event, and `halt` fails the event. What stock jaq does inside one native call (a long sort, a
//! multiplied string) is noticed when that call is over.

mod compile;
mod limits;
mod memory;
mod modules;
mod native;
mod parse;
mod run;
mod template;
mod value;
mod write;

pub use compile::{CompileError, Compiled, MAIN, Program, compile, compile_with};
pub use limits::Limits;
pub use memory::CountingAllocator;
pub(crate) use run::panic_message;
pub use run::{RunError, Runner, with_stack};
pub use template::{Template, TemplateError};
pub use value::Json;
pub use write::{NotJson, WriteLimits};
