//! Functions of values, for both engines.

use crate::jq::value::{Exn, Val};

/// A function that gets its input and the values of its arguments. It has one output, or raises an
/// error; it reads nothing else, except for the clock in `now`.
pub(in crate::jq) struct Native {
    pub(in crate::jq) name: &'static str,
    pub(in crate::jq) arity: usize,
    pub(in crate::jq) run: fn(Val, &[Val]) -> Result<Val, Exn>,
}

/// A native function of a name and a number of arguments.
pub(super) const fn native(
    name: &'static str,
    arity: usize,
    run: fn(Val, &[Val]) -> Result<Val, Exn>,
) -> Native {
    Native { name, arity, run }
}
