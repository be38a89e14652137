//! jaquard's evaluator: code made for one purpose, mapping many small values with one program.
//!
//! * [`lower`](lower::lower): a syntax tree to [`Code`], with names resolved and constants computed.
//! * [`Machine`]: an evaluation of it.
//! * [`natives`]: functions of values, which both engines share.

mod binding;
mod calls;
mod code;
mod constant;
mod delete;
mod each;
mod eval;
mod inline;
mod lower;
mod marks;
mod native;
mod natives;
mod paths;
mod patterns;
mod refine;
mod scope;
mod shared;
mod single;
mod sites;
mod special;
mod steps;
mod update;

pub(super) use code::{Code, Place};
pub(super) use eval::{Entry, Machine};
pub(super) use lower::{Loaded, Missing, PRELUDE_TEXT, Undefined, known_functions, lower};
pub(super) use natives::all as natives;
pub(super) use natives::format::NAMES as FORMATS;
pub use natives::{DOCS, Doc, Example};
pub use sites::SiteKind;
pub(super) use sites::Sites;
