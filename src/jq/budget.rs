//! What one program may use for one event: steps, CPU time, memory, stack.
//!
//! Every evaluation on a thread counts against that thread's budget, whichever engine runs it. A
//! bound that is passed leaves the evaluation by unwinding, so that nothing in between has to know
//! of bounds, and is caught by the runner. What may take long or much in one go (a multiplied
//! string, a slot far beyond the end of an array, a sort) says so beforehand with [`charge`] and
//! [`work`].

use std::cell::Cell;
use std::panic;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::limits::Limits;
use super::memory;

/// Steps between two looks at the clock and the memory.
const STEPS_PER_LOOK: u64 = 1024;

/// Allocations below this are left to the next look.
const SMALL: usize = 4096;

/// The bound that stopped an evaluation; thrown through the evaluator and caught by the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Time,
    Steps,
    Memory,
    Stack,
    Outputs,
}

struct Budget {
    steps: Cell<u64>,
    next_look: Cell<u64>,
    max_steps: Cell<u64>,
    max_time: Cell<Duration>,
    started: Cell<Option<Duration>>,
    held_at_start: Cell<isize>,
    max_memory: Cell<isize>,
    floor: Cell<usize>,
    at: Cell<u32>,
}

thread_local! {
    static BUDGET: Budget = const {
        Budget {
            steps: Cell::new(0),
            next_look: Cell::new(u64::MAX),
            max_steps: Cell::new(u64::MAX),
            max_time: Cell::new(Duration::MAX),
            started: Cell::new(None),
            held_at_start: Cell::new(0),
            max_memory: Cell::new(isize::MAX),
            floor: Cell::new(0),
            at: Cell::new(0),
        }
    };
}

/// Sets all counters to the beginning of an event.
pub(super) fn begin(limits: &Limits, floor: usize) {
    BUDGET.with(|budget| {
        budget.steps.set(0);
        budget.max_steps.set(limits.steps);
        budget.next_look.set(STEPS_PER_LOOK.min(limits.steps));
        budget.max_time.set(limits.time.into());
        budget.started.set(None);
        budget.held_at_start.set(memory::held());
        budget.max_memory.set(isize::try_from(limits.memory.bytes()).unwrap_or(isize::MAX));
        budget.floor.set(floor);
        budget.at.set(0);
    });
}

/// Ends the bounds of an event.
pub(super) fn end() {
    BUDGET.with(|budget| {
        budget.next_look.set(u64::MAX);
        budget.max_memory.set(isize::MAX);
        budget.floor.set(0);
    });
}

/// The place of the program that last counted a step.
pub(super) fn last_place() -> u32 {
    BUDGET.with(|budget| budget.at.get())
}

/// Says which place of the program the next steps belong to.
#[inline]
pub(super) fn at(place: u32) {
    BUDGET.with(|budget| budget.at.set(place));
}

/// One step.
#[inline]
pub(super) fn tick() {
    BUDGET.with(|budget| {
        let here = 0_u8;
        let steps = budget.steps.get() + 1;
        budget.steps.set(steps);
        if (&raw const here as usize) < budget.floor.get() {
            stop(Stop::Stack);
        }
        if steps > budget.next_look.get() {
            budget.look(steps);
        }
    });
}

/// Many steps at once, for a loop inside a native function.
pub(super) fn work(steps: usize) {
    BUDGET.with(|budget| {
        let steps = budget.steps.get().saturating_add(steps as u64);
        budget.steps.set(steps);
        if steps > budget.next_look.get() {
            budget.look(steps);
        }
    });
}

/// Says that what comes next may take as long as this many steps, without being as many: the clock
/// is looked at sooner.
pub(super) fn hurry(steps: usize) {
    BUDGET.with(|budget| {
        let now = budget.steps.get();
        let next = budget.next_look.get().saturating_sub(steps as u64);
        budget.next_look.set(next);
        if now > next {
            budget.look(now);
        }
    });
}

/// Bytes that may still be asked for.
pub(super) fn memory_left() -> usize {
    BUDGET.with(|budget| {
        let held = memory::held().wrapping_sub(budget.held_at_start.get());
        usize::try_from(budget.max_memory.get().saturating_sub(held)).unwrap_or(0)
    })
}

/// Asks for memory before it is allocated.
#[inline]
pub(super) fn charge(bytes: usize) {
    if bytes >= SMALL {
        charge_much(bytes);
    }
}

#[cold]
fn charge_much(bytes: usize) {
    BUDGET.with(|budget| {
        let held = memory::held().wrapping_sub(budget.held_at_start.get());
        if held.saturating_add(isize::try_from(bytes).unwrap_or(isize::MAX)) > budget.max_memory.get() {
            stop(Stop::Memory);
        }
    });
}

impl Budget {
    #[cold]
    fn look(&self, steps: u64) {
        if steps > self.max_steps.get() {
            stop(Stop::Steps);
        }
        self.next_look.set((steps + STEPS_PER_LOOK).min(self.max_steps.get()));
        if memory::held().wrapping_sub(self.held_at_start.get()) > self.max_memory.get() {
            stop(Stop::Memory);
        }
        // the clock is read from the first look on: most events never get there
        let now = thread_cpu_time();
        match self.started.get() {
            None => self.started.set(Some(now)),
            Some(started) if now.saturating_sub(started) > self.max_time.get() => stop(Stop::Time),
            Some(_) => {}
        }
    }
}

/// Leaves the evaluator without running the panic hook.
pub(super) fn stop(stop: Stop) -> ! {
    panic::resume_unwind(Box::new(stop))
}

/// CPU time of this thread: a bound on it is not tripped by a busy machine.
fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
