//! Takes what a sink would take, and keeps it in memory: for tests of a pipeline.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;

use super::{
    Delivery, Encoder, PositionRows, Sink, SinkContext, SinkError, SinkFactory, WriteError, not_json,
};
use crate::event::{Fault, Meta};
use crate::jq::{Json, Limits, WriteLimits};

/// What arrived at a sink. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Collected(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    /// What an epoch may have recorded.
    kept: Vec<u8>,
    /// What a restart undoes.
    open: Vec<u8>,
}

impl Collected {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events as lines of JSON, in their order.
    pub fn lines(&self) -> Vec<u8> {
        let taken = self.taken();
        [taken.kept.as_slice(), &taken.open].concat()
    }
}

/// Stands in the place of a sink. The sink's own programs and encoder run, so that what they refuse is refused
/// here too; nothing of the sink is opened or written.
pub(crate) struct Collecting {
    pub(crate) stands_for: Box<dyn SinkFactory>,
    pub(crate) collected: Collected,
}

impl SinkFactory for Collecting {
    fn encoder(&self) -> Box<dyn Encoder> {
        let limits = WriteLimits::from(&Limits::default());
        Box::new(Lines { stands_for: self.stands_for.encoder(), limits, scratch: Vec::new() })
    }

    fn build(&self, _: SinkContext) -> Result<Arc<dyn Sink>, SinkError> {
        Ok(Arc::new(Collector(self.collected.clone())))
    }
}

struct Lines {
    stands_for: Box<dyn Encoder>,
    limits: WriteLimits,
    scratch: Vec<u8>,
}

impl Encoder for Lines {
    fn partition(&mut self, event: &mut Json, meta: &Meta<'_>) -> Result<Arc<str>, Fault> {
        self.stands_for.partition(event, meta)
    }

    fn encode(&mut self, event: &mut Json, data: &mut Vec<u8>) -> Result<(), Fault> {
        self.scratch.clear();
        self.stands_for.encode(event, &mut self.scratch)?;
        event.write(self.limits, data).map_err(not_json)?;
        data.push(b'\n');
        Ok(())
    }
}

struct Collector(Collected);

#[async_trait]
impl Sink for Collector {
    async fn resume(&self, _: Vec<(String, Value)>) -> Result<(), SinkError> {
        self.0.taken().open.clear();
        Ok(())
    }

    async fn write(&self, delivery: &Delivery) -> Result<(), WriteError> {
        let parts = delivery.parts.iter();
        let mut events: Vec<(u32, &[u8])> = parts
            .flat_map(|part| {
                part.events.iter().enumerate().map(|(at, event)| (event.position, part.event(at)))
            })
            .collect();
        // over all places that they would go to
        events.sort_by_key(|(position, _)| *position);
        let mut taken = self.0.taken();
        events.iter().for_each(|(_, line)| taken.open.extend_from_slice(line));
        Ok(())
    }

    fn prepare(&self, _: u64) -> BoxFuture<'static, Result<PositionRows, SinkError>> {
        let mut taken = self.0.taken();
        let open = std::mem::take(&mut taken.open);
        taken.kept.extend(open);
        futures::future::ready(Ok(Vec::new())).boxed()
    }

    async fn publish(&self, _: u64) -> Result<(), SinkError> {
        Ok(())
    }
}
