//! The host side of an evaluation: what jaq asks of us for each term, and the native functions
//! that differ from its own.

use std::cell::Cell;
use std::cmp::Ordering;
use std::panic;
use std::time::Duration;

use jaq_core::data::HasLut;
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Ctx, DataT, Exn, Lut, ValT as _, ValX, ValXs};
use jaq_json::Val;
use rustix::time::{ClockId, clock_gettime};

use super::limits::Limits;
use super::{memory, write};

/// Steps between two looks at the clock and the stop flag.
const STEPS_PER_LOOK: u64 = 2048;

/// Bytes of a `debug` message that reach the log.
const DEBUG_CLIP: usize = 1024;

/// The bound that stopped an evaluation; thrown through the evaluator and caught by the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Time,
    Steps,
    Memory,
    Stack,
}

/// Counters of the evaluation of one event.
pub(super) struct Host {
    steps: Cell<u64>,
    next_look: Cell<u64>,
    max_steps: u64,
    max_time: Duration,
    started: Cell<Option<Duration>>,
    held_at_start: Cell<isize>,
    max_memory: isize,
    stack_floor: Cell<usize>,
}

impl Host {
    pub(super) fn new(limits: &Limits) -> Self {
        Host {
            steps: Cell::new(0),
            next_look: Cell::new(0),
            max_steps: limits.steps,
            max_time: limits.time.into(),
            started: Cell::new(None),
            held_at_start: Cell::new(0),
            max_memory: isize::try_from(limits.memory.bytes()).unwrap_or(isize::MAX),
            stack_floor: Cell::new(0),
        }
    }

    /// Sets all counters to the beginning of an event.
    pub(super) fn begin(&self, stack_floor: usize) {
        self.steps.set(0);
        self.next_look.set(STEPS_PER_LOOK.min(self.max_steps));
        self.started.set(None);
        self.held_at_start.set(memory::held());
        self.stack_floor.set(stack_floor);
    }

    /// One step. Throws a [`Stop`] when a bound is passed.
    #[inline]
    fn tick(&self) {
        let here = 0_u8;
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if (&raw const here as usize) < self.stack_floor.get() {
            stop(Stop::Stack);
        }
        if memory::held().wrapping_sub(self.held_at_start.get()) > self.max_memory {
            stop(Stop::Memory);
        }
        if steps > self.next_look.get() {
            self.look(steps);
        }
    }

    #[cold]
    fn look(&self, steps: u64) {
        if steps > self.max_steps {
            stop(Stop::Steps);
        }
        self.next_look.set((steps + STEPS_PER_LOOK).min(self.max_steps));
        // the clock is read from the first look on: most events never get there
        let now = thread_cpu_time();
        match self.started.get() {
            None => self.started.set(Some(now)),
            Some(started) if now.saturating_sub(started) > self.max_time => stop(Stop::Time),
            Some(_) => {}
        }
    }
}

/// Leaves the evaluator without running the panic hook.
fn stop(stop: Stop) {
    panic::resume_unwind(Box::new(stop))
}

/// CPU time of this thread: a bound on it is not tripped by a busy machine.
fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Our kind of evaluation data.
pub(super) struct Kind;

/// What the evaluator carries along: the lookup table, and the host.
#[derive(Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) lut: &'a Lut<Kind>,
    pub(super) host: &'a Host,
}

impl DataT for Kind {
    type V<'a> = Val;
    type Data<'a> = Data<'a>;
}

impl<'a> HasLut<'a, Kind> for Data<'a> {
    /// Called by the evaluator for every term: the place where bounds are enforced.
    fn lut(&self) -> &'a Lut<Kind> {
        self.host.tick();
        self.lut
    }
}

/// All native functions. The first of a name wins, so ours come first.
pub(super) fn funs() -> impl Iterator<Item = Fun<Kind>> {
    ours().into_iter().chain(jaq_core::funs()).chain(jaq_std::funs()).chain(jaq_json::funs())
}

fn ours() -> [Fun<Kind>; 4] {
    [
        // the environment of the process is not the program's business
        run(("env", v(0), |_| bome(Val::from_map([])))),
        run(("debug_empty", v(0), |cv| log_debug(&cv.1))),
        run(("stderr_empty", v(0), |cv| log_debug(&cv.1))),
        // jaq's own `range` loops inside one native call, out of reach of the bounds
        run(("range", v(3), |mut cv| {
            let by = cv.0.pop_var();
            let to = cv.0.pop_var();
            let from = cv.0.pop_var();
            Box::new(range(cv.0, from, to, by))
        })),
    ]
}

fn log_debug<'a>(value: &Val) -> ValXs<'a, Val> {
    if tracing::enabled!(tracing::Level::DEBUG) {
        let mut text = Vec::new();
        if write::write(value, write::WriteLimits::SHORT, &mut text).is_err() {
            text.clear();
        }
        let clipped = text.len().min(DEBUG_CLIP);
        let shown = String::from_utf8_lossy(&text[..clipped]);
        tracing::debug!(value = %shown, clipped = text.len() > clipped, "debug output of a program");
    }
    Box::new(std::iter::empty())
}

/// `range($from; $to; $by)`, a step at a time under the host's eye.
fn range(ctx: Ctx<'_, Kind>, from: Val, to: Val, by: Val) -> impl Iterator<Item = ValX<'_, Val>> {
    let direction = by.partial_cmp(&Val::from(0_isize)).unwrap_or(Ordering::Equal);
    let mut next = Some(Ok(from));
    std::iter::from_fn(move || {
        ctx.data().host.tick();
        let value = match next.take()? {
            Ok(value) => value,
            Err(error) => return Some(Err(error)),
        };
        let goes_on = match direction {
            Ordering::Greater => value < to,
            Ordering::Less => value > to,
            Ordering::Equal => value != to,
        };
        if !goes_on {
            return None;
        }
        next = Some((value.clone() + by.clone()).map_err(Exn::from));
        Some(Ok(value))
    })
}
