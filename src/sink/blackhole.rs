//! `blackhole`: takes everything and keeps nothing.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Delivery, Encoder, PositionRows, Sink, SinkContext, SinkError, SinkFactory, WriteError, not_json,
};
use crate::config::{Check, Component};
use crate::event::{Fault, Meta};
use crate::jq::{Json, WriteLimits};

/// Takes events and drops them: for measuring, and for trying a pipeline.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Blackhole {}

impl Component<dyn SinkFactory> for Blackhole {
    const NAME: &'static str = "blackhole";
    const SUMMARY: &'static str = "Takes every event and keeps none; events are encoded as for a file.";
    const GUARANTEE: &'static str = "Nothing is kept.";
    const EXAMPLE: &'static str = "[sinks.nowhere]\ntype = \"blackhole\"\ninputs = [\"events\"]\n";

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn SinkFactory>> {
        Some(Box::new(Ready(WriteLimits::from(check.limits))))
    }
}

#[derive(Debug, Clone, Copy)]
struct Ready(WriteLimits);

impl SinkFactory for Ready {
    fn encoder(&self) -> Box<dyn Encoder> {
        Box::new(Lines { limits: self.0, partition: Arc::from("") })
    }

    fn build(&self, _: SinkContext) -> Result<Arc<dyn Sink>, SinkError> {
        Ok(Arc::new(*self))
    }
}

struct Lines {
    limits: WriteLimits,
    partition: Arc<str>,
}

impl Encoder for Lines {
    fn partition(&mut self, _: &mut Json, _: &Meta<'_>) -> Result<Arc<str>, Fault> {
        Ok(self.partition.clone())
    }

    fn encode(&mut self, event: &mut Json, data: &mut Vec<u8>) -> Result<(), Fault> {
        event.write(self.limits, data).map_err(not_json)?;
        data.push(b'\n');
        Ok(())
    }
}

#[async_trait]
impl Sink for Ready {
    async fn resume(&self, _: Vec<(String, Value)>) -> Result<(), SinkError> {
        Ok(())
    }

    async fn write(&self, _: &Delivery) -> Result<(), WriteError> {
        Ok(())
    }

    fn prepare(&self, _: u64) -> BoxFuture<'static, Result<PositionRows, SinkError>> {
        futures::future::ready(Ok(Vec::new())).boxed()
    }

    async fn publish(&self, _: u64) -> Result<(), SinkError> {
        Ok(())
    }
}
