//! One program on one thread: each event within its bounds.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use jaq_core::{Ctx, Exn, Vars};
use jaq_json::Val;

use super::compile::Program;
use super::limits::Limits;
use super::native::{Data, Host, Kind, Stop};
use super::value::{self, Json};
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

/// Why a program failed on an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunError {
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

impl RunError {
    /// The short word for a dead letter.
    pub fn kind(&self) -> &'static str {
        match self {
            RunError::Raised(_) => "jq",
            RunError::Halted => "halt",
            RunError::Limit(..) | RunError::Output(NotJson::Depth(_) | NotJson::Size(_)) => "limit",
            RunError::Output(_) => "not_json",
            RunError::Panicked(_) => "panic",
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Raised(message) => f.write_str(message),
            RunError::Halted => f.write_str("the program called halt"),
            RunError::Limit(name, value) => {
                write!(f, "the program exceeded its limit `{name}` of {value}")
            }
            RunError::Output(error) => write!(f, "an output is refused: {error}"),
            RunError::Panicked(message) => write!(f, "the engine failed: {message}"),
        }
    }
}

impl std::error::Error for RunError {}

/// A program made ready for one thread.
pub struct Runner {
    program: Arc<Program>,
    host: Host,
    limits: Limits,
    /// `$args`, and the variables after it.
    args: Vec<Val>,
    /// Variables of a program that does not ask for `$meta`, made once.
    vars: Vars<Val>,
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
        let args: Vec<_> = std::iter::once(args).chain(vars).map(value::from_json).collect();
        let vars = Vars::new([empty_object(), Val::Null].into_iter().chain(args.iter().cloned()));
        Runner { host: Host::new(&limits), program, limits, args, vars }
    }

    /// Runs the program on one event. `emit` gets each output in order; it says whether it wants
    /// more. An error ends the run; what was emitted before it is the caller's to discard.
    pub fn run(
        &mut self,
        input: &mut Json,
        meta: Option<&Meta<'_>>,
        emit: &mut dyn FnMut(Json) -> bool,
    ) -> Result<(), RunError> {
        if self.program.is_identity {
            emit(input.clone());
            return Ok(());
        }
        let here = 0_u8;
        let room = if DEEP.with(Cell::get) { EVALUATION_STACK } else { UNKNOWN_STACK };
        self.host.begin((&raw const here as usize).saturating_sub(room));

        let evaluated = panic::catch_unwind(AssertUnwindSafe(|| self.evaluate(input, meta, emit)));
        match evaluated {
            Ok(result) => result,
            Err(payload) => Err(self.describe(payload.as_ref())),
        }
    }

    fn evaluate(
        &self,
        input: &mut Json,
        meta: Option<&Meta<'_>>,
        emit: &mut dyn FnMut(Json) -> bool,
    ) -> Result<(), RunError> {
        let value = input.value().clone();
        let vars = match meta {
            Some(meta) if self.program.wants_meta => {
                let meta = value::from_json(&meta.to_value());
                Vars::new([empty_object(), meta].into_iter().chain(self.args.iter().cloned()))
            }
            _ => self.vars.clone(),
        };
        let data = Data { lut: &self.program.filter.lut, host: &self.host };
        let ctx = Ctx::<Kind>::new(data, vars);
        let mut outputs = 0;
        let mut bounds = WriteLimits::from(&self.limits);
        for output in self.program.filter.id.run((ctx, value)) {
            let output = output.map_err(|exception: Exn<'_, Val>| match exception.get_err() {
                Ok(error) => RunError::Raised(write::message(&error.into_val())),
                Err(other) => match other.get_halt() {
                    Ok(_) => RunError::Halted,
                    Err(_) => RunError::Raised("`break` outside of its label".to_owned()),
                },
            })?;
            outputs += 1;
            if outputs > self.limits.outputs {
                return Err(RunError::Limit("outputs", self.limits.outputs.to_string()));
            }
            let output = input.same_or(output);
            // what is not JSON, too deep or too long is this program's fault, not that of a sink
            bounds.bytes -= output.measure(bounds).map_err(|error| match error {
                NotJson::Size(_) => RunError::Output(NotJson::Size(self.limits.output_bytes.as_usize())),
                error => RunError::Output(error),
            })?;
            if !emit(output) {
                break;
            }
        }
        Ok(())
    }

    fn describe(&self, payload: &(dyn Any + Send)) -> RunError {
        if let Some(stop) = payload.downcast_ref::<Stop>() {
            return match stop {
                Stop::Time => RunError::Limit("time", self.limits.time.to_string()),
                Stop::Steps => RunError::Limit("steps", self.limits.steps.to_string()),
                Stop::Memory => RunError::Limit("memory", self.limits.memory.to_string()),
                Stop::Stack => RunError::Limit("depth", "the evaluator's recursion".to_owned()),
            };
        }
        RunError::Panicked(panic_message(payload))
    }

    /// Runs a condition: true if its only output is neither null nor false; no output is false,
    /// several are an error.
    pub fn holds(&mut self, input: &mut Json, meta: Option<&Meta<'_>>) -> Result<bool, RunError> {
        let mut verdicts = 0;
        let mut verdict = false;
        self.run(input, meta, &mut |output| {
            verdicts += 1;
            verdict = output.is_truthy();
            verdicts < 2
        })?;
        if verdicts > 1 {
            return Err(RunError::Raised("the condition has several outputs; it must have one".into()));
        }
        Ok(verdict)
    }
}

fn empty_object() -> Val {
    Val::obj(jaq_json::Map::default())
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic".to_owned())
}
