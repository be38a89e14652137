//! `generate`: audit events of the documented shapes, made up. The demo, test and load source.
//!
//! An event is a function of the shape, the seed and its number alone. So the same configuration
//! makes the same events, a cursor is a number, and a restart goes on with the next one.

mod shapes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::BytesMut;
use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{BATCH_EVENTS, Source, SourceContext, SourceError, SourceFactory};
use crate::config::{Check, Component};
use crate::event::{Batch, Event, Origin, Payload, Place};
use shapes::Random;

/// Key of the only cursor row.
const NEXT: &str = "next";

/// Bytes in one generated batch.
const CHUNK: usize = 256 << 10;

/// What the generated events look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub(super) enum Shape {
    /// Organisation events of MongoDB Atlas.
    #[default]
    #[serde(rename = "mongodb_atlas/organization_events")]
    AtlasOrganization,
    /// Project events of MongoDB Atlas.
    #[serde(rename = "mongodb_atlas/project_events")]
    AtlasProject,
    /// Database access history of MongoDB Atlas.
    #[serde(rename = "mongodb_atlas/access_history")]
    AtlasAccess,
    /// Auditing configurations of MongoDB Atlas.
    #[serde(rename = "mongodb_atlas/auditing_config")]
    AtlasAuditing,
    /// Organisation audit events of Atlassian.
    #[serde(rename = "atlassian/organization_events")]
    Atlassian,
}

/// Makes audit events: deterministic, at a rate or as fast as possible.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Generate {
    /// What the events look like.
    #[serde(default)]
    shape: Shape,
    /// Number of events; without end if not given.
    count: Option<u64>,
    /// Events a second; as fast as possible if not given.
    #[schemars(range(min = 1))]
    rate: Option<u64>,
    /// Another seed makes other events.
    #[serde(default)]
    seed: u64,
}

impl Component<dyn SourceFactory> for Generate {
    const NAME: &'static str = "generate";
    const SUMMARY: &'static str = "Made-up audit events of the documented shapes, for demos, tests and load.";
    const GUARANTEE: &'static str =
        "Deterministic: shape, seed and number determine an event. A restart goes on with the next number.";
    const EXAMPLE: &'static str =
        "[sources.demo]\ntype = \"generate\"\nshape = \"mongodb_atlas/organization_events\"\ncount = 1000\n";

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn SourceFactory>> {
        if check.once && self.count.is_none() {
            let help = "add `count = …`, or run without `--once`";
            check.error_here("`generate` without `count` has no end", Some(help.to_owned()));
            return None;
        }
        Some(Box::new(self))
    }
}

impl SourceFactory for Generate {
    fn build(&self, context: SourceContext) -> Result<Box<dyn Source>, SourceError> {
        let next = context.rows.iter().find(|(key, _)| key == NEXT).and_then(|(_, row)| row.as_u64());
        let next = next.unwrap_or(0);
        if self.count.is_some_and(|count| next >= count) {
            tracing::info!(
                source = &*context.name,
                "nothing new: all events were made before; `{} {}` makes them again",
                context.reset_hint,
                context.name
            );
        }
        let shape = serde_json::to_value(self.shape).ok();
        let shape = shape.as_ref().and_then(|shape| shape.as_str()).unwrap_or_default();
        let recipe = format!("{shape}:{}", self.seed);
        Ok(Box::new(Generator {
            name: context.name,
            recipe: Arc::from(recipe),
            config: self.clone(),
            first: next,
            next,
            started: Instant::now(),
            stopped: false,
        }))
    }
}

struct Generator {
    name: Arc<str>,
    recipe: Arc<str>,
    config: Generate,
    first: u64,
    next: u64,
    started: Instant,
    stopped: bool,
}

#[async_trait]
impl Source for Generator {
    async fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        let left = self.config.count.map_or(u64::MAX, |count| count.saturating_sub(self.next));
        if self.stopped || left == 0 {
            return Ok(None);
        }
        let mut many = left.min(BATCH_EVENTS as u64);
        if let Some(rate) = self.config.rate {
            let made = self.next - self.first;
            let due = (self.started.elapsed().as_secs_f64() * rate as f64) as u64 + 1;
            if due <= made {
                let at = self.started + Duration::from_secs_f64(made as f64 / rate as f64);
                tokio::time::sleep_until(at.into()).await;
            }
            let due = (self.started.elapsed().as_secs_f64() * rate as f64) as u64 + 1;
            many = many.min(due.saturating_sub(made)).max(1);
        }
        Ok(Some(self.make(many)))
    }

    fn stop(&mut self) {
        self.stopped = true;
    }
}

impl Generator {
    fn make(&mut self, many: u64) -> Batch {
        let mut text = Vec::with_capacity(CHUNK);
        let mut ends = Vec::with_capacity(many as usize);
        let first = self.next;
        while self.next < first + many && (text.len() < CHUNK || ends.is_empty()) {
            let random = Random::new(self.config.seed, self.next);
            shapes::write(self.config.shape, self.next, random, &mut text);
            ends.push(text.len());
            self.next += 1;
        }
        let mut text = BytesMut::from(text.as_slice()).freeze();
        let mut start = 0;
        let events = ends.into_iter().enumerate().map(|(number, end)| {
            let event = text.split_to(end - start);
            start = end;
            Event { payload: Payload::Json(event), offset: u128::from(first + number as u64) }
        });
        let events = events.collect();
        let origin = Origin {
            source: self.name.clone(),
            place: Place::Generated { recipe: self.recipe.clone() },
            ingested_at: Utc::now(),
        };
        Batch::new(events, Arc::new(origin), vec![(NEXT.to_owned(), Some(json!(self.next)))])
    }
}
