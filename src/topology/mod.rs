//! From a pipeline file to delivered, accounted events.
//!
//! * `load`: text to a checked [`Pipeline`] — parse and validate, both without effects.
//! * `graph`: which component reads which; pure checks on it.
//! * `run`: build and run.
//! * `replay`: one source recorded, and a pipeline run on a recording.
//! * `worker`: the transform graph on OS threads, a batch from end to end without a queue between.
//! * `stages`: what workers share of stateful transforms, and the order in which they get to it.
//! * `source_task`, `sink_task`: one task each; the only owners of a source and a sink.
//! * `epoch`: commits: all cursors and positions of a part of the graph in one transaction.
//! * `validation`: what events have to fulfil before they go on.
//! * `ledger`: read = delivered + filtered + dead-lettered + in flight.

mod epoch;
mod graph;
mod ledger;
mod load;
mod replay;
mod run;
mod sink_task;
mod source_task;
mod stages;
mod validation;
mod worker;

pub use graph::{Edge, GraphView, NodeKind};
pub use ledger::{BestEffortLine, LedgerLine};
pub use load::{LoadError, Pipeline, load, load_given, pipeline_schema};
pub(crate) use load::{TypeReference, all_types};
pub use replay::{Pulled, Recording};
pub use run::{Outcome, ProgressFn, RunOptions, Stop, default_data_dir, run};
pub use validation::ValidationLine;
