//! Transforms: what happens to an event between a source and the sinks.
//!
//! A transform is CPU only and runs inside a worker, one compiled copy per worker. It gets one
//! event and gives any number, or a fault; a failed event takes the error edge with its original
//! and never passes through. What it emitted before the fault is discarded.
//!
//! To add one: a file here with a config struct that implements [`Component`](crate::config::Component),
//! and a line in [`SPECS`].

mod filter;
mod jq;
mod route;

use crate::config::Spec;
use crate::event::{Fault, Meta};
use crate::jq::{Json, MAIN, RunError};

/// All transform types.
pub const SPECS: &[Spec<dyn TransformFactory>] =
    &[Spec::of::<filter::Filter>(), Spec::of::<jq::Jq>(), Spec::of::<route::Route>()];

/// A configured transform: makes one copy per worker.
pub trait TransformFactory: Send + Sync {
    /// Names of its outputs, by number. The default output is the empty name.
    fn outputs(&self) -> Vec<String> {
        vec![String::new()]
    }

    /// Whether an output may be left unconnected; events there count as filtered.
    fn may_dangle(&self, _output: usize) -> bool {
        false
    }

    /// A copy for one worker.
    fn instantiate(&self) -> Box<dyn Transform>;
}

/// A transform in a worker.
pub trait Transform {
    /// Handles one event.
    fn apply(&mut self, event: Json, meta: &Meta<'_>, out: &mut Outputs);
}

/// What a transform made of one event.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Events and the number of the output they leave by.
    pub emitted: Vec<(usize, Json)>,
    /// Why the event failed, if it did.
    pub fault: Option<Fault>,
}

impl Outputs {
    /// Emits an event on an output.
    pub fn emit(&mut self, output: usize, event: Json) {
        self.emitted.push((output, event));
    }

    /// Fails the event.
    pub fn fail(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }
}

/// The fault of a program; `program` is its file, or the option it is written in.
pub(crate) fn fault_of(error: &RunError, program: &str) -> Fault {
    let position = match &error.position {
        Some(place) => {
            let file = if place.file == MAIN { program } else { &place.file };
            format!("{file}:{}:{}", place.line, place.column)
        }
        None => program.to_owned(),
    };
    Fault { position: Some(position), ..Fault::new(error.kind(), error.to_string()) }
}
