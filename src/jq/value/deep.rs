//! Recursion over values, on a stack that ends.
//!
//! A program can nest values deeper than any stack: `reduce range(1e6) as $i (null; [.])`. What
//! walks over values (comparing, writing, merging) asks [`guard`] at each level and is stopped like
//! any other evaluation that goes too deep. Dropping cannot be stopped, so it is put off: near the
//! end of the stack a container hands its content to a list that is emptied from above.

use std::cell::{Cell, RefCell};

use super::{Items, Obj, Val};
use crate::jq::budget::{Stop, stop, tick};

/// Stack left for what is in no way deep: a native function, the allocator, a signal.
const RESERVE: usize = 128 << 10;

thread_local! {
    /// Lowest address of the stack that an evaluation may reach; zero if none is running.
    static FLOOR: Cell<usize> = const { Cell::new(0) };
    static DEFERRED: RefCell<Vec<Content>> = const { RefCell::new(Vec::new()) };
}

/// Content of a container that was dropped too deep.
#[allow(dead_code, reason = "it is kept to be dropped")]
enum Content {
    Items(Vec<Val>),
    Members(Vec<(super::Str, Val)>),
}

/// Sets the lowest address that recursion on this thread may reach; returns the one before.
pub(in crate::jq) fn set_floor(floor: usize) -> usize {
    FLOOR.replace(floor)
}

/// One container of a walk over values: stops the evaluation if it has used up its stack, and counts
/// as a step, because what is shared in memory is walked over each time.
#[inline]
pub(in crate::jq) fn guard() {
    tick();
    let here = 0_u8;
    if (&raw const here as usize) < FLOOR.get() {
        stop(Stop::Stack);
    }
}

/// Whether dropping had better be put off.
#[inline]
fn is_deep() -> bool {
    let here = 0_u8;
    // an exiting thread has no floor, and no deep values
    let floor = FLOOR.try_with(Cell::get).unwrap_or(0);
    (&raw const here as usize) < floor.saturating_sub(RESERVE)
}

/// Drops what was put off. To be called from a shallow place.
pub(in crate::jq) fn drain() {
    while let Some(content) = DEFERRED.with_borrow_mut(Vec::pop) {
        drop(content);
    }
}

#[cold]
fn defer(content: Content) {
    // without a list the content is dropped here after all
    let _ = DEFERRED.try_with(|list| list.try_borrow_mut().map(|mut list| list.push(content)));
}

impl Drop for Items {
    fn drop(&mut self) {
        if is_deep() {
            defer(Content::Items(std::mem::take(&mut self.0)));
        }
    }
}

impl Drop for Obj {
    fn drop(&mut self) {
        if is_deep() {
            defer(Content::Members(self.take()));
        }
    }
}
