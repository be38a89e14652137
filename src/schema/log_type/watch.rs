//! Who looks on while events are held against schemas.

use std::fmt::Debug;
use std::sync::Arc;

use super::failure::Failure;
use super::model::Schema;
use crate::jq::View;

/// Looks on while a [`Checker`](super::Checker) works. What it is told since `begin` holds for the
/// event if `matched` or `failed` follows. An event that does not match the only schema there is is
/// looked at once more, all of it.
pub trait Watch: Debug {
    /// The event is held against a schema, from the start.
    fn begin(&mut self);
    /// A member that the schema does not know.
    fn unknown(&mut self, path: &str, value: View<'_>);
    /// The field of a number is there and not null.
    fn seen(&mut self, number: u32);
    /// A value is not of its field's type, but stands for one that is.
    fn coerced(&mut self, path: &str, value: View<'_>);
    /// The event matches.
    fn matched(&mut self, schema: &Arc<Schema>);
    /// Something keeps the event from matching.
    fn refused(&mut self, failure: &Failure);
    /// The event does not match the only schema; it was told why before.
    fn failed(&mut self, schema: &Arc<Schema>);
}
