//! The engine behind every polled source: `http_poll`, and the vendors that are data on top of it.
//!
//! # What moves a cursor
//!
//! A *turn* polls one partition a little further: one window, or one run of pages. The records of a
//! page become batches; each carries the ids that it is the first to hold, and the last one of a turn
//! carries the cursor. Rows are recorded with the epoch in which their batch is settled, so an id is
//! remembered if and only if its event was delivered, and the cursor moves when everything before it
//! was. A turn that is cut short is done again from its first page; what was delivered of it is
//! known by id.
//!
//! # Windows
//!
//! Where an API is asked for a span of time, both bounds are set. The upper one is the server's own
//! clock (the newest `Date` header) less the settle delay; the next window begins an overlap before
//! the end of the last one, for what came late. See [`window`].
//!
//! # Order of the files
//!
//! * [`plan`]: what to poll, checked.
//! * [`programs`]: the jq programs, on a thread of their own.
//! * [`fetch`]: one request, with its retries and its reports.
//! * [`window`], [`seen`], [`partition`]: time, ids, and what is known of one partition.
//! * [`turn`]: one turn of one partition.
//! * [`schedule`]: whose turn it is; partitions come and go.

mod fetch;
mod partition;
mod plan;
mod programs;
mod schedule;
mod seen;
mod turn;
mod window;

pub(super) use fetch::header_of;
pub(super) use plan::{
    Code, Codec, Fixed, Hint, Partitions, Plan, Pull, RateLimit, RateScope, Spread, WindowOptions,
};
pub(super) use programs::GIVEN;
pub(super) use schedule::Polled;

use std::sync::Arc;

/// Asks for what a first poll would ask for, and keeps nothing of it. What it found, or what is wrong.
pub(super) async fn probe(plan: &Arc<Plan>, context: super::SourceContext) -> Result<String, String> {
    let (batches, _unread) = tokio::sync::mpsc::channel(1);
    let turns = turn::Turns::new(plan, &context, batches).map_err(|error| error.to_string())?;
    let found = turns.probe().await.map_err(|failure| turns.fetcher.clean(failure));
    turns.fetcher.client.close().await;
    found.map_err(|failure| match failure.help {
        Some(help) => format!("{}\n  {help}", failure.message),
        None => failure.message,
    })
}
