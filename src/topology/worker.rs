//! The transform graph on OS threads.
//!
//! A worker takes one batch at a time and runs it from end to end: validate, transform, encode for
//! each sink. Only at a transform that keeps state events wait for the rest of their batch. Batches run in parallel; each answers to its source's dispatcher, which hands the
//! results on in source order. Nothing in here awaits.

mod building;
mod stage;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

use super::graph::{Plan, Target};
use super::ledger::BestEffort;
use super::stages::Pass;
use super::validation::{Checker, Validation};
use crate::event::json::{self, Problem};
use crate::event::token::{Held, Outcome, Share, Token};
use crate::event::{Batch, Derivation, Event, Fault, Meta, Origin, Payload, TextHash, error_record};
use crate::jq::{Json, Limits, Runner, WriteLimits, panic_message};
use crate::sink::{Delivery, Encoder, PartEvent};
use crate::source::{Alerts, Working};
use crate::testkit;
use crate::transform::{Outputs, Transform, TransformContext};
use building::Building;
use stage::Waiting;

/// What a batch became: deliveries by sink.
pub(super) type Done = Vec<(usize, Delivery)>;

/// One piece of work.
pub(super) enum Work {
    /// A batch of a source.
    Batch {
        source: usize,
        batch: Batch,
        token: Arc<Token>,
        pass: Pass,
        reply: oneshot::Sender<Done>,
        /// Says, as long as it is there, that alerts may still come of the batch.
        working: Option<Arc<Working>>,
    },
    /// Error records of events that a sink has refused; they leave by the sink's error edge.
    Refused {
        sink: usize,
        records: Vec<(Bytes, PartEvent)>,
        share: Share,
        origin: Arc<Origin>,
        pass: Pass,
        reply: oneshot::Sender<Done>,
    },
}

/// The threads. They end when the pool and all its clones are gone.
#[derive(Clone)]
pub(super) struct Pool {
    work: Sender<Work>,
}

impl Pool {
    /// Starts the threads, each with its own compiled copy of the graph.
    pub(super) fn start(
        threads: usize,
        plan: &Arc<Plan>,
        best_effort: &[Option<Arc<BestEffort>>],
        alerts: &Alerts,
    ) -> std::io::Result<Self> {
        let (work, queue) = crossbeam_channel::unbounded();
        for number in 0..threads {
            let plan = plan.clone();
            let queue: Receiver<Work> = queue.clone();
            let best_effort = best_effort.to_vec();
            let alerts = alerts.clone();
            Runner::worker_thread(format!("worker {number}")).spawn(move || {
                Runner::enter_worker();
                let mut worker = Worker::new(plan, best_effort, &alerts);
                // how much can wait here is bounded by the room of the sources
                for work in queue {
                    worker.take(work);
                }
            })?;
        }
        Ok(Pool { work })
    }

    /// Hands work to the next free thread.
    pub(super) fn submit(&self, work: Work) {
        // the threads live as long as the pool; if they are gone the work's obligations fail
        let _ = self.work.send(work);
    }
}

/// What holds for one event on its way through the graph.
#[derive(Clone, Copy)]
struct Context<'a> {
    plan: &'a Plan,
    origin: &'a Arc<Origin>,
    offset: u128,
    text_hash: TextHash<'a>,
    derivation: Derivation,
    /// Text of the source event, for a record of an event that has no text of its own.
    source_text: &'a [u8],
}

impl<'a> Context<'a> {
    fn meta(&self) -> Meta<'a> {
        Meta {
            origin: self.origin,
            offset: self.offset,
            text_hash: self.text_hash,
            derivation: self.derivation,
        }
    }
}

/// One thread's copy of the graph, and the deliveries it is making.
struct Worker {
    plan: Arc<Plan>,
    transforms: Vec<Box<dyn Transform>>,
    /// By transform: what it is made with.
    contexts: Vec<TransformContext>,
    steps: Vec<u64>,
    encoders: Vec<Box<dyn Encoder>>,
    /// What the events of each transform are checked with, and of each sink.
    checkers: (Vec<Option<Checker>>, Vec<Option<Checker>>),
    best_effort: Vec<Option<Arc<BestEffort>>>,
    /// By sink; the last one is the dead-letter file.
    building: Vec<Option<Building>>,
    /// By transform: events that wait for an answer.
    waiting: Vec<Waiting>,
    spare_outputs: Vec<Outputs>,
    /// Events of the current batch whose obligations were taken up.
    taken: usize,
    /// Bytes that the current batch will take as it is.
    room: usize,
}

impl Worker {
    fn new(plan: Arc<Plan>, best_effort: Vec<Option<Arc<BestEffort>>>, alerts: &Alerts) -> Self {
        let context = |name: &Arc<str>| TransformContext { name: name.clone(), alerts: alerts.clone() };
        let contexts: Vec<_> = plan.transforms.iter().map(|node| context(&node.name)).collect();
        let checker = |validation: &Option<Arc<Validation>>| validation.as_ref().map(Validation::instantiate);
        Worker {
            transforms: plan
                .transforms
                .iter()
                .zip(&contexts)
                .map(|(node, context)| node.factory.instantiate(context))
                .collect(),
            contexts,
            checkers: (
                plan.transforms.iter().map(|node| checker(&node.validation)).collect(),
                plan.sinks.iter().map(|node| checker(&node.validation)).collect(),
            ),
            steps: plan.transforms.iter().map(|node| xxh3_64(node.name.as_bytes())).collect(),
            encoders: plan.sinks.iter().map(|node| node.factory.encoder()).collect(),
            building: (0..=plan.sinks.len()).map(|_| None).collect(),
            waiting: plan.transforms.iter().map(|_| Waiting::default()).collect(),
            spare_outputs: Vec::new(),
            taken: 0,
            room: 0,
            best_effort,
            plan,
        }
    }

    fn take(&mut self, work: Work) {
        let plan = self.plan.clone();
        match work {
            Work::Batch { source, batch, token, mut pass, reply, working } => {
                self.taken = 0;
                let done = self.guarded(|worker| worker.batch(&plan, source, &batch, &token, &mut pass));
                drop(pass);
                if done.is_none() {
                    // events that it did not come to fail with the one it failed on
                    (self.taken..batch.events.len()).for_each(|cell| drop(token.take(cell as u32)));
                }
                drop(batch);
                drop(token);
                drop(working);
                // a dispatcher that is gone has given up the run
                if let Some(done) = done {
                    let _ = reply.send(done);
                }
            }
            Work::Refused { sink, records, share, origin, mut pass, reply } => {
                let done =
                    self.guarded(|worker| worker.refused(&plan, sink, records, share, &origin, &mut pass));
                if let Some(done) = done {
                    let _ = reply.send(done);
                }
            }
        }
    }

    /// A panic here is a bug in the graph itself: the obligations of the batch fail, and the part
    /// is rolled back.
    fn guarded(&mut self, work: impl FnOnce(&mut Self) -> Done) -> Option<Done> {
        match panic::catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(done) => Some(done),
            Err(payload) => {
                tracing::error!(panic = panic_message(payload.as_ref()), "a worker failed on a batch");
                self.building.iter_mut().for_each(|building| *building = None);
                self.waiting.iter_mut().for_each(|waiting| *waiting = Waiting::default());
                None
            }
        }
    }

    fn batch(
        &mut self,
        plan: &Plan,
        source: usize,
        batch: &Batch,
        token: &Arc<Token>,
        pass: &mut Pass,
    ) -> Done {
        testkit::panic_point("worker.batch");
        // a batch that is mapped to less gives the rest back when it is written
        self.room = batch.bytes + batch.events.len();
        for (cell, event) in batch.events.iter().enumerate() {
            let held = token.take(cell as u32);
            self.taken = cell + 1;
            if testkit::hit("worker.forget") {
                std::mem::forget(held);
                continue;
            }
            self.event(plan, source, event, &batch.origin, token, held);
        }
        self.pass_stages(plan, pass, Some(batch), &batch.origin, token);
        self.finish(&batch.origin)
    }

    fn refused(
        &mut self,
        plan: &Plan,
        sink: usize,
        records: Vec<(Bytes, PartEvent)>,
        share: Share,
        origin: &Arc<Origin>,
        pass: &mut Pass,
    ) -> Done {
        let (token, cells) = share.into_cells();
        // all are taken up at once: should this fail half-way, the rest fail too
        let obligations: Vec<_> = cells.into_iter().map(|cell| token.take(cell)).collect();
        for ((record, event), held) in records.into_iter().zip(obligations) {
            let context = Context {
                plan,
                origin,
                offset: event.offset,
                text_hash: TextHash::Known(event.text_hash),
                derivation: event.derivation,
                source_text: &[],
            };
            held.mark(Outcome::DeadLettered);
            let errors = &plan.sinks[sink].errors;
            self.record(context, errors, Json::from_text(record), &token, held);
        }
        self.pass_stages(plan, pass, None, origin, &token);
        self.finish(origin)
    }

    fn event(
        &mut self,
        plan: &Plan,
        source: usize,
        event: &Event,
        origin: &Arc<Origin>,
        token: &Arc<Token>,
        held: Held<'_>,
    ) {
        let node = &plan.sources[source];
        let text = text_of(event);
        let context = Context {
            plan,
            origin,
            offset: event.offset,
            text_hash: TextHash::Of(text),
            derivation: Derivation::default(),
            source_text: text,
        };
        let checked = match &event.payload {
            Payload::Json(text) => match node.read(text) {
                Ok(json) => Ok(json),
                Err(error) => {
                    let kind = match error.problem {
                        Problem::Utf8 => "invalid_utf8",
                        Problem::TooDeep(_) => "limit",
                        _ => "invalid_json",
                    };
                    let mut fault = Fault::new(kind, error.to_string());
                    fault.raw = text.clone();
                    Err(fault)
                }
            },
            Payload::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Ok(Json::string(text)),
                Err(error) => {
                    let mut fault = Fault::new("invalid_utf8", error.to_string());
                    fault.raw = text.clone();
                    Err(fault)
                }
            },
            Payload::Fault(fault) => Err((**fault).clone()),
        };
        match checked {
            Ok(json) => self.pass(context, &node.output, json, token, held),
            Err(fault) => {
                held.mark(Outcome::DeadLettered);
                let record = error_record(&node.name, &fault, None, &context.meta());
                self.record(context, &node.errors, Json::from_text(record.into()), token, held);
            }
        }
    }

    /// Hands an event to every reader of an output.
    fn pass(
        &mut self,
        context: Context<'_>,
        targets: &[Target],
        json: Json,
        token: &Arc<Token>,
        held: Held<'_>,
    ) {
        let Some((last, others)) = targets.split_last() else {
            held.resolve(Outcome::Filtered);
            return;
        };
        for target in others {
            self.reach(context, *target, json.clone(), token, held.clone());
        }
        self.reach(context, *last, json, token, held);
    }

    /// Hands an error record to the readers of an error edge, or to the dead-letter file.
    fn record(
        &mut self,
        context: Context<'_>,
        targets: &[Target],
        record: Json,
        token: &Arc<Token>,
        held: Held<'_>,
    ) {
        if targets.is_empty() {
            let dead_letters = context.plan.sinks.len();
            self.append(context, dead_letters, Arc::from(""), token, held, |data| {
                // a record is valid JSON within the bounds of the event it is made of
                let unbounded = WriteLimits { depth: usize::MAX, bytes: usize::MAX };
                record.write(unbounded, data).map_err(crate::sink::not_json)?;
                data.push(b'\n');
                Ok(())
            });
        } else {
            self.pass(context, targets, record, token, held);
        }
    }

    fn reach(
        &mut self,
        context: Context<'_>,
        target: Target,
        json: Json,
        token: &Arc<Token>,
        held: Held<'_>,
    ) {
        match target {
            Target::Transform(at) => self.transform(context, at, json, token, held),
            Target::Stage(at) => self.wait(context, at, json, token, held),
            Target::Sink(at) => self.sink(context, at, json, token, held),
        }
    }

    fn transform(&mut self, context: Context<'_>, at: usize, json: Json, token: &Arc<Token>, held: Held<'_>) {
        let input = json.clone();
        let mut out = self.apply(context, at, json);
        if let Some(fault) = out.fault.take() {
            out.emitted.clear();
            let node = &context.plan.transforms[at];
            self.fail(context, &node.name, &node.errors, &fault, &input, token, held);
        } else {
            debug_assert!(out.question.is_none(), "only a transform that keeps state may ask");
            drop(input);
            self.emit(context, at, &mut out.emitted, token, held);
        }
        self.spare_outputs.push(out);
    }

    /// Runs a transform on one event. The outputs are one of the spare ones, to be given back.
    fn apply(&mut self, context: Context<'_>, at: usize, json: Json) -> Outputs {
        let mut out = self.spare_outputs.pop().unwrap_or_default();
        let meta = context.meta();
        let transform = &mut self.transforms[at];
        let checker = &mut self.checkers.0[at];
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| {
            transform.apply(json, &meta, &mut out);
            if let (Some(checker), None) = (checker, &out.fault) {
                out.fault = out.emitted.iter_mut().find_map(|(_, event)| checker.check(event));
            }
        })) {
            // its state is unknown now
            self.transforms[at] = context.plan.transforms[at].factory.instantiate(&self.contexts[at]);
            out.fail(Fault::new(
                "panic",
                format!("the component failed: {}", panic_message(payload.as_ref())),
            ));
        }
        out
    }

    /// Hands on what a transform made of an event.
    fn emit(
        &mut self,
        context: Context<'_>,
        at: usize,
        emitted: &mut Vec<(usize, Json)>,
        token: &Arc<Token>,
        held: Held<'_>,
    ) {
        let node = &context.plan.transforms[at];
        let count = emitted.len();
        let mut held = Some(held);
        for (number, (output, json)) in emitted.drain(..).enumerate() {
            let branch = if number + 1 == count { held.take() } else { held.clone() };
            let Some(branch) = branch else { continue };
            let context =
                Context { derivation: context.derivation.step(self.steps[at], number as u64), ..context };
            self.pass(context, &node.outputs[output].1, json, token, branch);
        }
        if let Some(held) = held {
            held.resolve(Outcome::Filtered);
        }
    }

    /// An event takes an error edge, with what the component was given.
    #[allow(clippy::too_many_arguments, reason = "all of it is the one event")]
    fn fail(
        &mut self,
        context: Context<'_>,
        component: &str,
        errors: &[Target],
        fault: &Fault,
        input: &Json,
        token: &Arc<Token>,
        held: Held<'_>,
    ) {
        held.mark(Outcome::DeadLettered);
        let mut text = Vec::new();
        if input.write(WriteLimits::from(&Limits::default()), &mut text).is_err() {
            // the value is what was wrong; what it was made of is the better original
            text.clear();
            text.extend_from_slice(context.source_text);
        }
        let meta = context.meta();
        let record = if json::validate(&text, usize::MAX).is_ok() {
            error_record(component, fault, Some(&text), &meta)
        } else {
            let fault = Fault { raw: text.into(), ..fault.clone() };
            error_record(component, &fault, None, &meta)
        };
        self.record(context, errors, Json::from_text(record.into()), token, held);
    }

    fn sink(&mut self, context: Context<'_>, at: usize, mut json: Json, token: &Arc<Token>, held: Held<'_>) {
        let meta = context.meta();
        let encoder = &mut self.encoders[at];
        let checker = &mut self.checkers.1[at];
        let encoded = panic::catch_unwind(AssertUnwindSafe(|| {
            match checker.as_mut().and_then(|checker| checker.check(&mut json)) {
                Some(violation) => Err(violation),
                None => encoder.partition(&mut json, &meta),
            }
        }));
        let partition = encoded.unwrap_or_else(|payload| {
            Err(Fault::new("panic", format!("the component failed: {}", panic_message(payload.as_ref()))))
        });
        let fault = match partition {
            Ok(partition) => self.encode(context, at, partition, &mut json, token, held),
            Err(fault) => Some((fault, held)),
        };
        let Some((fault, held)) = fault else { return };
        match &self.best_effort[at] {
            Some(counters) => {
                counters.rejected.fetch_add(1, Ordering::Relaxed);
                held.resolve(Outcome::Delivered);
            }
            None => {
                let node = &context.plan.sinks[at];
                self.fail(context, &node.name, &node.errors, &fault, &json, token, held);
            }
        }
    }

    /// Encodes an event into its part. Gives the obligation back with the fault if that fails.
    fn encode<'h>(
        &mut self,
        context: Context<'_>,
        at: usize,
        partition: Arc<str>,
        json: &mut Json,
        token: &Arc<Token>,
        held: Held<'h>,
    ) -> Option<(Fault, Held<'h>)> {
        let is_best_effort = self.best_effort[at].is_some();
        let building = Building::of(&mut self.building[at], token, is_best_effort, self.room);
        let part = building.part(partition);
        let part = &mut building.parts[part];
        let before = part.data.len();
        if let Err(fault) = self.encoders[at].encode(json, &mut part.data) {
            part.data.truncate(before);
            return Some((fault, held));
        }
        building.count(context, held);
        None
    }

    /// Appends a record that needs no encoder.
    fn append(
        &mut self,
        context: Context<'_>,
        at: usize,
        partition: Arc<str>,
        token: &Arc<Token>,
        held: Held<'_>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
    ) {
        let building = Building::of(&mut self.building[at], token, false, 0);
        let part = building.part(partition);
        if let Err(fault) = write(&mut building.parts[part].data) {
            // the obligation drops and fails: the batch is rolled back rather than lost
            tracing::error!(kind = fault.kind, "a dead letter cannot be written as JSON");
            return;
        }
        building.count(context, held);
    }

    fn finish(&mut self, origin: &Arc<Origin>) -> Done {
        let mut done = Vec::new();
        for (sink, building) in self.building.iter_mut().enumerate() {
            if let Some(mut building) = building.take() {
                building.parts.retain(|part| !part.events.is_empty());
                building.put_in_order();
                if building.parts.is_empty() {
                    continue;
                }
                done.push((
                    sink,
                    Delivery { parts: building.parts, origin: origin.clone(), share: building.share },
                ));
            }
        }
        done
    }
}

/// The text of a source event.
fn text_of(event: &Event) -> &[u8] {
    match &event.payload {
        Payload::Json(text) | Payload::Text(text) => text,
        Payload::Fault(_) => &[],
    }
}
