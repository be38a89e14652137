//! One program on one thread: each event within its bounds.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use super::budget::{self, Stop};
use super::compile::{Position, Program};
use super::engine::{Code, Entry, Machine};
use super::jaq;
use super::json::Json;
use super::limits::Limits;
use super::value::{self, Cause, Exn, Raised, Val};
use super::view::View;
use super::write::{self, NotJson, WriteLimits};
use crate::event::Meta;

/// Stack of a thread that evaluates or compiles programs. Address space, not memory: pages are
/// taken as they are touched.
const STACK: usize = 512 << 20;

/// How much of it an evaluation may use. The rest is for dropping what it built, which recurses.
const EVALUATION_STACK: usize = 48 << 20;

/// What an evaluation may use on a thread whose stack is unknown.
const UNKNOWN_STACK: usize = 512 << 10;

thread_local! {
    /// Whether this thread was started by [`with_stack`] or as a worker.
    static DEEP: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a thread with room for deep recursion and waits for it.
pub fn with_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if DEEP.with(Cell::get) {
        return work();
    }
    std::thread::scope(|scope| {
        let deep = || {
            DEEP.with(|deep| deep.set(true));
            work()
        };
        match std::thread::Builder::new().stack_size(STACK).name("jq".into()).spawn_scoped(scope, deep) {
            Ok(thread) => match thread.join() {
                Ok(result) => result,
                Err(panic) => panic::resume_unwind(panic),
            },
            Err(error) => panic::panic_any(format!("cannot start a thread: {error}")),
        }
    })
}

impl Runner {
    /// A thread builder for workers that run programs.
    pub fn worker_thread(name: String) -> std::thread::Builder {
        std::thread::Builder::new().stack_size(STACK).name(name)
    }

    /// To be called once at the start of such a thread.
    pub fn enter_worker() {
        DEEP.with(|deep| deep.set(true));
    }
}

/// Bytes of a value that an error shows.
const EXCERPT: usize = 120;

/// Why a program failed on an event, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    /// What happened.
    pub reason: Reason,
    /// The place in the program that raised it.
    pub position: Option<Position>,
    /// What it was about: the path in the event, if the value is still part of it, and the
    /// beginning of the value's text.
    pub subject: Option<(Option<String>, String)>,
}

/// What made a program fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The program raised an error; its message.
    Raised(String),
    /// `halt` was called.
    Halted,
    /// A bound was passed: its name in `limits`, and its value for a person.
    Limit(&'static str, String),
    /// An output cannot be written as JSON, or is beyond a bound.
    Output(NotJson),
    /// The engine itself failed.
    Panicked(String),
}

impl From<Reason> for RunError {
    fn from(reason: Reason) -> Self {
        RunError { reason, position: None, subject: None }
    }
}

impl RunError {
    /// The short word for a dead letter.
    pub fn kind(&self) -> &'static str {
        match &self.reason {
            Reason::Raised(_) => "jq",
            Reason::Halted => "halt",
            Reason::Limit(..) | Reason::Output(_) => "limit",
            Reason::Panicked(_) => "panic",
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Raised(message) => f.write_str(message),
            Reason::Halted => f.write_str("the program called halt"),
            Reason::Limit(name, value) => {
                write!(f, "the program exceeded its limit `{name}` of {value}")
            }
            Reason::Output(error) => write!(f, "an output is refused: {error}"),
            Reason::Panicked(message) => write!(f, "the engine failed: {message}"),
        }?;
        match &self.subject {
            Some((Some(path), excerpt)) => write!(f, " (at {path} of the event: {excerpt})"),
            Some((None, excerpt)) => write!(f, " (on {excerpt})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RunError {}

/// Which evaluator runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// jaquard's own.
    #[default]
    Jaquard,
    /// jaq-core, to compare with.
    Jaq,
}

/// What a run is given besides its event.
#[derive(Clone, Copy)]
enum Given<'a> {
    Meta(Option<&'a Meta<'a>>),
    Variables(&'a Val),
}

/// A program made ready for one thread.
pub struct Runner {
    program: Arc<Program>,
    code: Code,
    /// The program for the other engine, if that one is to run.
    other: Option<jaq::Program>,
    limits: Limits,
    /// `$args`, and the variables after it.
    args: Vec<Val>,
    /// Frames, kept from event to event.
    stack: Vec<Entry>,
    /// Whether the code counts what it reaches.
    is_covered: bool,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

impl Runner {
    /// Makes a program ready; `args` becomes `$args`.
    pub fn new(program: Arc<Program>, args: &serde_json::Value, limits: Limits) -> Self {
        Self::with_vars(program, args, &[], limits)
    }

    /// Makes a program ready that was compiled with variables of its own.
    pub fn with_vars(
        program: Arc<Program>,
        args: &serde_json::Value,
        vars: &[serde_json::Value],
        limits: Limits,
    ) -> Self {
        let args: Vec<Val> = std::iter::once(args).chain(vars).map(Val::from).collect();
        // the program was compiled once; with arguments in it it compiles again
        let code = program.lower(Some((&args[0], &args[1..])), None).unwrap_or_else(|_| Code::failing());
        Runner { program, code, other: None, limits, args, stack: Vec::new(), is_covered: false }
    }

    /// Has another engine run the program. Fails if that engine does not know it.
    pub fn use_engine(&mut self, engine: Engine) -> Result<(), String> {
        self.other = match engine {
            Engine::Jaquard => None,
            Engine::Jaq => Some(self.program.for_jaq()?),
        };
        Ok(())
    }

    /// Counts from now on how often each site of the program is reached, for a
    /// [`Coverage`](super::Coverage) to take. The program's results stay the same; it runs slower.
    /// Another engine than jaquard's own counts nothing.
    pub fn cover(&mut self) {
        let sites = self.program.sites();
        // what was compiled without sites compiles with them
        if let Ok(code) = self.program.lower(Some((&self.args[0], &self.args[1..])), Some(sites)) {
            self.code = code;
            self.is_covered = true;
        }
    }

    /// The program, and how often each of its sites was reached since this was last asked; nothing
    /// before [`cover`](Self::cover).
    pub(super) fn take_hits(&self) -> Option<(&Program, Vec<u64>)> {
        let hits = self.code.hits.iter().map(Cell::take);
        self.is_covered.then(|| (&*self.program, hits.collect()))
    }

    /// What the program was made into, for a person who wants to know how it runs.
    pub fn explain(&self) -> String {
        match &self.other {
            None => self.code.explain(),
            Some(_) => "engine: jaq-core (all of the program), because it was asked for\n".to_owned(),
        }
    }

    /// Runs a program whose variables each run is given, as the members of `given`.
    pub fn run_given(
        &mut self,
        input: &mut Json,
        given: &mut Json,
        emit: &mut dyn FnMut(Json) -> bool,
    ) -> Result<(), RunError> {
        let given = given.value().clone();
        self.run_in(input, Given::Variables(&given), emit)
    }

    /// Runs the program on one event. `emit` gets each output in order; it says whether it wants
    /// more. An error ends the run; what was emitted before it is the caller's to discard.
    pub fn run(
        &mut self,
        input: &mut Json,
        meta: Option<&Meta<'_>>,
        emit: &mut dyn FnMut(Json) -> bool,
    ) -> Result<(), RunError> {
        self.run_in(input, Given::Meta(meta), emit)
    }

    fn run_in(
        &mut self,
        input: &mut Json,
        given: Given<'_>,
        emit: &mut dyn FnMut(Json) -> bool,
    ) -> Result<(), RunError> {
        if self.program.is_identity {
            emit(input.clone());
            return Ok(());
        }
        // the event itself is not the program's doing
        input.value();
        let limits = self.limits.clone();
        let evaluated = bounded(&limits, || self.evaluate(input, given, emit));
        self.stack.clear();
        match evaluated {
            Ok(result) => result,
            Err(payload) => Err(self.describe(payload.as_ref())),
        }
    }

    fn evaluate(
        &mut self,
        input: &mut Json,
        given: Given<'_>,
        emit: &mut dyn FnMut(Json) -> bool,
    ) -> Result<(), RunError> {
        let value = input.value().clone();
        let meta = match given {
            Given::Variables(given) => given.clone(),
            Given::Meta(Some(meta)) if self.code.wants_meta || self.other.is_some() => {
                Val::from(&meta.to_value())
            }
            Given::Meta(_) => Val::Null,
        };
        let mut outputs = 0;
        let mut bounds = WriteLimits::from(&self.limits);
        let mut refusal = None;
        let limits = &self.limits;
        let mut out = |output: Val| {
            outputs += 1;
            if outputs > limits.outputs {
                budget::stop(Stop::Outputs);
            }
            let output = input.same_or(output);
            // what is too deep or too long is this program's fault, not that of a sink
            match output.measure(bounds) {
                Ok(bytes) => bounds.bytes -= bytes,
                Err(error) => {
                    refusal = Some(match error {
                        NotJson::Size(_) => NotJson::Size(limits.output_bytes.as_usize()),
                        NotJson::Depth(levels) => NotJson::Depth(levels),
                    });
                    return Err(Raised::new(Cause::Enough));
                }
            }
            if emit(output) { Ok(()) } else { Err(Raised::new(Cause::Enough)) }
        };
        let result = match &self.other {
            None => Machine::new(&self.code, &mut self.stack, [meta]).run(value, &mut out),
            Some(other) => {
                let variables = [Val::record([]), meta].into_iter().chain(self.args.iter().cloned());
                other.run(value, variables, &mut out)
            }
        };
        if let Some(refusal) = refusal {
            return Err(self.placed(Reason::Output(refusal)));
        }
        match result {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.cause, Cause::Enough) => Ok(()),
            Err(error) => Err(self.failure(error, input)),
        }
    }

    /// [`holds`](Self::holds) for a condition of at most one output, which nobody else will see.
    fn verdict(&mut self, input: &mut Json, meta: Option<&Meta<'_>>) -> Result<bool, RunError> {
        let event = input.value().clone();
        let meta = match meta {
            Some(meta) if self.code.wants_meta => Val::from(&meta.to_value()),
            _ => Val::Null,
        };
        let (code, stack) = (&self.code, &mut self.stack);
        let evaluated = bounded(&self.limits, || Machine::new(code, stack, [meta]).verdict_of(&event));
        self.stack.clear();
        match evaluated {
            Ok(Ok(verdict)) => Ok(verdict),
            Ok(Err(error)) => Err(self.failure(error, input)),
            Err(payload) => Err(self.describe(payload.as_ref())),
        }
    }

    fn failure(&self, error: Exn, input: &Json) -> RunError {
        let mut error = error;
        let position =
            error.at.and_then(|at| self.code.places.get(at as usize)).and_then(|p| self.program.position(*p));
        let subject = error.take_subject().map(|subject| {
            let path = subject.place().and_then(|(doc, offset)| match input.doc() {
                Some(mine) if std::rc::Rc::ptr_eq(mine, doc) => doc.path_to(offset),
                _ => None,
            });
            (path, View::of(&subject).excerpt(EXCERPT))
        });
        let (reason, subject) = match error.cause {
            Cause::Halt => (Reason::Halted, None),
            Cause::Break(_) | Cause::Enough => {
                (Reason::Raised("`break` outside of its label".to_owned()), None)
            }
            cause => (Reason::Raised(write::message(&cause.into_value().unwrap_or(Val::Null))), subject),
        };
        RunError { reason, position, subject }
    }

    /// A failure at the place that was evaluated last.
    fn placed(&self, reason: Reason) -> RunError {
        let place = self.code.places.get(budget::last_place() as usize);
        let position = match &self.other {
            None => place.and_then(|place| self.program.position(*place)),
            Some(_) => None,
        };
        RunError { reason, position, subject: None }
    }

    fn describe(&self, payload: &(dyn Any + Send)) -> RunError {
        let Some(stop) = payload.downcast_ref::<Stop>() else {
            return self.placed(Reason::Panicked(panic_message(payload)));
        };
        self.placed(match stop {
            Stop::Time => Reason::Limit("time", self.limits.time.to_string()),
            Stop::Steps => Reason::Limit("steps", self.limits.steps.to_string()),
            Stop::Memory => Reason::Limit("memory", self.limits.memory.to_string()),
            Stop::Outputs => Reason::Limit("outputs", self.limits.outputs.to_string()),
            Stop::Stack => Reason::Limit("depth", "the evaluator's recursion".to_owned()),
        })
    }

    /// Runs a condition: true if its only output is neither null nor false; no output is false,
    /// several are an error.
    pub fn holds(&mut self, input: &mut Json, meta: Option<&Meta<'_>>) -> Result<bool, RunError> {
        if self.other.is_none() && self.code.has_one_output() {
            return self.verdict(input, meta);
        }
        let mut verdicts = 0;
        let mut verdict = false;
        self.run(input, meta, &mut |output| {
            verdicts += 1;
            verdict = output.is_truthy();
            verdicts < 2
        })?;
        if verdicts > 1 {
            let message = "the condition has several outputs; it must have one";
            return Err(Reason::Raised(message.into()).into());
        }
        Ok(verdict)
    }
}

/// Evaluates within bounds. What passes one of them is what comes back as a panic.
fn bounded<T>(limits: &Limits, evaluate: impl FnOnce() -> T) -> std::thread::Result<T> {
    let here = 0_u8;
    let room = if DEEP.with(Cell::get) { EVALUATION_STACK } else { UNKNOWN_STACK };
    let floor = (&raw const here as usize).saturating_sub(room);
    budget::begin(limits, floor);
    let floor_before = value::set_floor(floor);
    let evaluated = panic::catch_unwind(AssertUnwindSafe(evaluate));
    budget::end();
    value::drain_deferred();
    value::set_floor(floor_before);
    evaluated
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic".to_owned())
}
