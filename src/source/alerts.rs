//! `alerts`: what the pipeline itself has to say, as events.
//!
//! Components raise an alert when something happens that is worth waking someone for. The source
//! hands alerts on like any other event, so a `filter` and a sink decide who hears of what.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Source, SourceContext, SourceError, SourceFactory};
use crate::config::{Check, Component};
use crate::event::{Batch, Event, Origin, Payload, Place};

/// Alerts that are kept for a source that has not taken them. The oldest go first.
const KEPT: usize = 10_000;

/// Row key of the number of the next alert.
const NEXT: &str = "next";

/// Where components of one pipeline raise alerts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Alerts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    run: Arc<str>,
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    first: u64,
    alerts: VecDeque<Bytes>,
    /// Sources at work that are no `alerts` themselves.
    working: usize,
    /// Whether all of them have ended.
    ended: bool,
}

impl Default for Alerts {
    fn default() -> Self {
        let run = format!("{:016x}", Utc::now().timestamp_nanos_opt().unwrap_or_default());
        Alerts(Arc::new(Shared { run: run.into(), queue: Mutex::default(), changed: Notify::new() }))
    }
}

/// A source at work; dropped when it has ended.
#[derive(Debug)]
pub struct Working(Alerts);

impl Drop for Working {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.working -= 1;
        queue.ended = queue.working == 0;
        drop(queue);
        self.0.0.changed.notify_waiters();
    }
}

impl Alerts {
    /// Raises an alert: `{time, kind, severity, component, partition?, message}`. `severity` is one of
    /// `info`, `warning`, `critical`.
    pub fn raise(&self, kind: &str, severity: &str, component: &str, partition: &str, message: &str) {
        let mut alert = json!({
            "time": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "kind": kind,
            "severity": severity,
            "component": component,
        });
        if !partition.is_empty() {
            alert["partition"] = partition.into();
        }
        alert["message"] = message.into();
        let mut queue = self.queue();
        queue.alerts.push_back(Bytes::from(alert.to_string()));
        if queue.alerts.len() > KEPT {
            queue.alerts.pop_front();
            queue.first += 1;
        }
        drop(queue);
        self.0.changed.notify_waiters();
    }

    /// Counts a source that alerts may come from. Without one there will be no more.
    pub fn working(&self) -> Working {
        let mut queue = self.queue();
        queue.working += 1;
        queue.ended = false;
        drop(queue);
        Working(self.clone())
    }

    /// All sources that alerts may come from are counted. Without any there will be none.
    pub fn all_counted(&self) {
        let mut queue = self.queue();
        queue.ended = queue.working == 0;
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the pipeline has to say: logins that are refused, windows that overflow, silence.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertsSource {}

impl Component<dyn SourceFactory> for AlertsSource {
    const NAME: &'static str = "alerts";
    const SUMMARY: &'static str = "What the pipeline itself has to say, as events: refused logins, overflowing windows, failing partitions, silence.";
    const GUARANTEE: &'static str =
        "In order, within one run of the process; what was not delivered when it ends is gone.";
    const EXAMPLE: &'static str = "[sources.alerts]\ntype = \"alerts\"\n\n[sinks.pager]\ntype = \"file\"\ninputs = [\"alerts\"]\npath = \"out/alerts.ndjson\"\n";

    fn check(self, _: &mut Check<'_>) -> Option<Box<dyn SourceFactory>> {
        Some(Box::new(self))
    }
}

impl SourceFactory for AlertsSource {
    fn build(&self, context: SourceContext) -> Result<Box<dyn Source>, SourceError> {
        let run = context.alerts.0.run.clone();
        let row = context.rows.iter().find(|(key, _)| key == NEXT).map(|(_, row)| row);
        let of_this_run = row.filter(|row| row.get("run").and_then(Value::as_str) == Some(&*run));
        let next = of_this_run.and_then(|row| row.get("number")?.as_u64()).unwrap_or(0);
        Ok(Box::new(Reader { name: context.name, alerts: context.alerts, next, stopped: false }))
    }

    fn watches(&self) -> bool {
        true
    }
}

struct Reader {
    name: Arc<str>,
    alerts: Alerts,
    next: u64,
    stopped: bool,
}

#[async_trait]
impl Source for Reader {
    async fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        loop {
            let shared = self.alerts.0.clone();
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            // from here on no change is missed
            changed.as_mut().enable();
            let (events, is_over) = {
                let queue = self.alerts.queue();
                let first = self.next.max(queue.first);
                let new = queue.alerts.iter().skip((first - queue.first) as usize);
                let events: Vec<Event> = new
                    .zip(first..)
                    .map(|(alert, number)| Event {
                        payload: Payload::Json(alert.clone()),
                        offset: number.into(),
                    })
                    .collect();
                self.next = first + events.len() as u64;
                (events, queue.ended)
            };
            if !events.is_empty() {
                let run = shared.run.clone();
                let row = json!({ "run": &*run, "number": self.next });
                let place = Place::Alerts { run };
                let origin = Origin { source: self.name.clone(), place, ingested_at: Utc::now() };
                return Ok(Some(Batch::new(events, Arc::new(origin), vec![(NEXT.to_owned(), Some(row))])));
            }
            if self.stopped || is_over {
                return Ok(None);
            }
            changed.await;
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
    }
}
