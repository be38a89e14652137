//! One source recorded, and a pipeline run on a recording.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use super::graph::SinkNode;
use super::load::Pipeline;
use crate::event::{Batch, Event, Origin};
use crate::http::cassette::{Recorder, Scrub, Tape};
use crate::http::transport::{Transport, Wire, live};
use crate::sink::{Collected, Collecting};
use crate::source::{Alerts, Network, Progress, Source, SourceContext, SourceError, SourceFactory};

/// What was pulled while a tape ran.
#[derive(Debug)]
pub struct Recording {
    /// The exchanges of all pulls; none if nothing was asked.
    pub tape: Option<Tape>,
    /// The pulls: the first from nothing, the second from where the first one ended.
    pub pulls: Vec<Pulled>,
}

/// One pull of a source.
#[derive(Debug)]
pub struct Pulled {
    /// Events that came.
    pub events: u64,
    /// Exchanges that it took.
    pub exchanges: usize,
    /// Why it ended before its time, if it did.
    pub error: Option<String>,
}

type Slot = Arc<Mutex<Option<(Arc<dyn Transport>, Tape)>>>;

impl Pipeline {
    /// The sources that ask somebody over the network, and so can be recorded.
    pub fn network_sources(&self) -> Vec<&str> {
        let sources = self.plan.sources.iter().filter(|node| node.factory.network().is_some());
        sources.map(|node| &*node.name).collect()
    }

    /// The sources that bring events of their own.
    pub fn sources(&self) -> Vec<&str> {
        let sources = self.plan.sources.iter().filter(|node| !node.factory.watches());
        sources.map(|node| &*node.name).collect()
    }

    /// Pulls a source from nothing, as far as there is something or until `limit` events have come, and notes
    /// every exchange; then, without `limit`, once more from where that ended. Nothing is delivered, no state is
    /// read or written. `None` if there is no such source, or it asks nobody.
    pub async fn record(&self, source: &str, scrub: Scrub, limit: Option<u64>) -> Option<Recording> {
        let node = self.plan.sources.iter().find(|node| &*node.name == source)?;
        let scrub = match node.factory.network()?.auth {
            Some(auth) => scrub.auth(auth),
            None => scrub,
        };
        // both pulls on one tape, so that a secret of both has one name
        let slot = Slot::default();
        let made = slot.clone();
        let wire = Wire::Through(Arc::new(move |options| {
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            let (transport, tape) = match made.take() {
                Some(made) => made,
                None => Recorder::wrap(live(options)?, scrub.clone()),
            };
            *made = Some((transport.clone(), tape));
            Ok(transport)
        }));
        let tape =
            || slot.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, tape)| tape.clone());
        let exchanges = || tape().map_or(0, |tape| tape.len());

        let mut rows = BTreeMap::new();
        let mut pulls: Vec<Pulled> = Vec::new();
        for _ in 0..if limit.is_some() { 1 } else { 2 } {
            let before = exchanges();
            let context = SourceContext {
                name: node.name.clone(),
                rows: rows.clone().into_iter().collect(),
                once: true,
                reset_hint: Arc::from(format!("jaquard state {} --reset", self.file.shown)),
                alerts: Alerts::default(),
                wire: wire.clone(),
            };
            let (events, error) = pull(&*node.factory, context, limit, &mut rows).await;
            let has_failed = error.is_some();
            pulls.push(Pulled { events, exchanges: exchanges() - before, error });
            if has_failed {
                break;
            }
        }
        Some(Recording { tape: tape(), pulls })
    }

    /// Makes it a pipeline of one source over another wire, for `limit` events, whose sinks only collect: by
    /// name, what arrives at each. All other sources have nothing.
    pub fn replayed(&mut self, source: &str, wire: Wire, limit: Option<u64>) -> Vec<(String, Collected)> {
        self.wire = wire;
        for node in &mut self.plan.sources {
            let factory = std::mem::replace(&mut node.factory, Box::new(Nothing));
            if &*node.name == source {
                node.factory = match limit {
                    Some(limit) => Box::new(LimitedFactory { inner: factory, limit }),
                    None => factory,
                };
            }
        }
        self.collecting()
    }

    /// Makes it a pipeline in which a source brings these events, whose sinks only collect: by name, what
    /// arrives at each. All other sources have nothing. Of `origin` all holds but the name of the source.
    pub fn fed(&mut self, source: &str, origin: &Origin, events: &[Event]) -> Vec<(String, Collected)> {
        for node in &mut self.plan.sources {
            node.factory = if &*node.name == source {
                let origin = Origin {
                    source: node.name.clone(),
                    place: origin.place.clone(),
                    ingested_at: origin.ingested_at,
                };
                Box::new(Fed { origin: Arc::new(origin), events: Mutex::new(events.to_vec()) })
            } else {
                Box::new(Nothing)
            };
        }
        self.collecting()
    }

    /// Has something that only collects stand in the place of each sink.
    fn collecting(&mut self) -> Vec<(String, Collected)> {
        let mut all = Vec::new();
        for node in std::mem::take(&mut self.plan.sinks) {
            let collected = Collected::default();
            all.push((node.name.to_string(), collected.clone()));
            let collecting = Collecting { stands_for: node.factory, collected };
            // one that may drop what comes too fast would collect something else each time
            self.plan.sinks.push(SinkNode { factory: Box::new(collecting), required: true, ..node });
        }
        all
    }
}

/// Pulls a source to its end, or until `limit` events have come. Its rows are kept as the state store would.
async fn pull(
    factory: &dyn SourceFactory,
    context: SourceContext,
    limit: Option<u64>,
    rows: &mut BTreeMap<String, Value>,
) -> (u64, Option<String>) {
    let source = factory.build(context).map(|source| Limited { inner: source, left: limit });
    let mut source = match source {
        Ok(source) => source,
        Err(error) => return (0, Some(error.to_string())),
    };
    let mut events = 0;
    loop {
        match source.next().await {
            Ok(Some(batch)) => {
                events += batch.events.len() as u64;
                for (key, row) in batch.cursor {
                    match row {
                        Some(row) => drop(rows.insert(key, row)),
                        None => drop(rows.remove(&key)),
                    }
                }
            }
            Ok(None) => return (events, None),
            Err(error) => return (events, Some(error.to_string())),
        }
    }
}

/// A source that ends with the batch in which its limit is reached.
struct Limited {
    inner: Box<dyn Source>,
    left: Option<u64>,
}

#[async_trait]
impl Source for Limited {
    async fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let batch = self.inner.next().await?;
        if let (Some(left), Some(batch)) = (&mut self.left, &batch) {
            *left = left.saturating_sub(batch.events.len() as u64);
        }
        Ok(batch)
    }

    fn stop(&mut self) {
        self.inner.stop();
    }

    fn progress(&self) -> Option<Progress> {
        self.inner.progress()
    }
}

struct LimitedFactory {
    inner: Box<dyn SourceFactory>,
    limit: u64,
}

impl SourceFactory for LimitedFactory {
    fn build(&self, context: SourceContext) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(Limited { inner: self.inner.build(context)?, left: Some(self.limit) }))
    }

    fn is_replayable(&self) -> bool {
        self.inner.is_replayable()
    }

    fn network(&self) -> Option<Network<'_>> {
        self.inner.network()
    }
}

/// Events of a batch that is fed.
const BATCH: usize = 1024;

/// A source that brings what it was made with, once.
struct Fed {
    origin: Arc<Origin>,
    events: Mutex<Vec<Event>>,
}

impl SourceFactory for Fed {
    fn build(&self, _: SourceContext) -> Result<Box<dyn Source>, SourceError> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(Feeding { origin: self.origin.clone(), events: std::mem::take(&mut *events).into() }))
    }

    fn is_replayable(&self) -> bool {
        false
    }
}

struct Feeding {
    origin: Arc<Origin>,
    events: VecDeque<Event>,
}

#[async_trait]
impl Source for Feeding {
    async fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        if self.events.is_empty() {
            return Ok(None);
        }
        let events = self.events.drain(..self.events.len().min(BATCH)).collect();
        Ok(Some(Batch::new(events, self.origin.clone(), Vec::new())))
    }

    fn stop(&mut self) {
        self.events.clear();
    }
}

/// A source that has no events.
struct Nothing;

impl SourceFactory for Nothing {
    fn build(&self, _: SourceContext) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(Nothing))
    }
}

#[async_trait]
impl Source for Nothing {
    async fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        Ok(None)
    }

    fn stop(&mut self) {}
}
