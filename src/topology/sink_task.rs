//! The one owner of a sink: writes in order, retries, refusals, barriers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::future::poll_fn;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::epoch::Notice;
use super::ledger::BestEffort;
use super::load::Retry;
use super::source_task::BestEffortQueue;
use super::stages::Stages;
use super::worker::{Pool, Work};
use crate::event::token::Outcome;
use crate::event::{Meta, TextHash, error_record};
use crate::sink::{Delivery, PartEvent, Rejection, Sink, SinkError, WriteError};

/// Deliveries that may wait on one edge.
pub(super) const EDGE_QUEUE: usize = 2;

/// What comes along an edge.
pub(super) enum Message {
    Delivery(Delivery),
    /// Everything of this edge that belongs to the epoch has come.
    Barrier(u64),
}

pub(super) struct SinkTask {
    pub(super) number: usize,
    pub(super) name: Arc<str>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) inputs: Vec<mpsc::Receiver<Message>>,
    /// Where the events go that the sink refuses: sinks and edges to them.
    pub(super) error_edges: Vec<(usize, mpsc::Sender<Message>)>,
    /// Queues of best effort sinks among them, by sink.
    pub(super) best_effort: Vec<Option<BestEffortQueue>>,
    pub(super) pool: Pool,
    pub(super) stages: Arc<Stages>,
    pub(super) retry: Retry,
    pub(super) once: bool,
    pub(super) notices: mpsc::UnboundedSender<Notice>,
}

enum Next {
    Delivery(Delivery),
    /// All edges have reached the barrier.
    Aligned(u64),
    Ended,
}

impl SinkTask {
    pub(super) async fn run(mut self) {
        let mut inputs: Vec<Input> = std::mem::take(&mut self.inputs).into_iter().map(Input::new).collect();
        let mut turn = 0;
        loop {
            match next(&mut inputs, &mut turn).await {
                Next::Delivery(delivery) => {
                    if let Err(error) = self.deliver(delivery).await {
                        let _ = self.notices.send(Notice::SinkFailed(self.number, error));
                        return;
                    }
                }
                Next::Aligned(epoch) => {
                    if let Err(error) = self.flush().await {
                        let _ = self.notices.send(Notice::SinkFailed(self.number, error));
                        return;
                    }
                    for (_, edge) in &self.error_edges {
                        // a sink task that is gone has given up the run
                        let _ = edge.send(Message::Barrier(epoch)).await;
                    }
                    let prepared = self.sink.prepare(epoch);
                    let (number, notices) = (self.number, self.notices.clone());
                    tokio::spawn(async move {
                        let _ = notices.send(Notice::Prepared(number, epoch, prepared.await));
                    });
                    for input in &mut inputs {
                        input.barrier = None;
                    }
                }
                Next::Ended => return,
            }
        }
    }

    /// Writes a delivery, for as long as it takes.
    async fn deliver(&self, mut delivery: Delivery) -> Result<(), SinkError> {
        let Some(rejections) = self.write(&delivery).await? else {
            if let Some(share) = delivery.share.take() {
                share.resolve(Outcome::Delivered);
            }
            return Ok(());
        };
        self.refuse(delivery, rejections).await
    }

    async fn write(&self, delivery: &Delivery) -> Result<Option<Vec<Rejection>>, SinkError> {
        let mut tries = Tries::new(self);
        loop {
            match self.sink.write(delivery).await {
                Ok(()) => return tries.worked().map(|()| None),
                Err(WriteError::Rejected(rejections)) => return tries.worked().map(|()| Some(rejections)),
                Err(WriteError::All(error)) => tries.failed(error).await?,
            }
        }
    }

    async fn flush(&self) -> Result<(), SinkError> {
        let mut tries = Tries::new(self);
        loop {
            match self.sink.flush().await {
                Ok(()) => return tries.worked(),
                Err(error) => tries.failed(error).await?,
            }
        }
    }

    /// Sends refused events by the error edge; the others are delivered.
    async fn refuse(&self, mut delivery: Delivery, rejections: Vec<Rejection>) -> Result<(), SinkError> {
        let Some(mut share) = delivery.share.take() else { return Ok(()) };
        let mut refused: Vec<(usize, Bytes, PartEvent)> = Vec::with_capacity(rejections.len());
        for rejection in rejections {
            let part = &delivery.parts[rejection.part];
            let event = part.events[rejection.event];
            let meta = Meta {
                origin: &delivery.origin,
                offset: event.offset,
                text_hash: TextHash::Known(event.text_hash),
                derivation: event.derivation,
            };
            let text = part.event(rejection.event).trim_ascii_end();
            let record = error_record(&self.name, &rejection.fault, Some(text), &meta);
            refused.push((event.position as usize, record.into(), event));
        }
        refused.sort_by_key(|(position, ..)| *position);
        let positions: Vec<_> = refused.iter().map(|(position, ..)| *position).collect();
        let refused_share = share.split_off_rejected(&positions);
        share.resolve(Outcome::Delivered);

        let (reply, done) = oneshot::channel();
        self.pool.submit(Work::Refused {
            sink: self.number,
            records: refused.into_iter().map(|(_, record, event)| (record, event)).collect(),
            share: refused_share,
            origin: delivery.origin.clone(),
            pass: self.stages.pass_beside(),
            reply,
        });
        // a worker that failed leaves a failed token behind
        for (sink, delivery) in done.await.unwrap_or_default() {
            if let Some(Some(queue)) = self.best_effort.get(sink) {
                queue.offer(delivery);
                continue;
            }
            if let Some((_, edge)) = self.error_edges.iter().find(|(known, _)| *known == sink) {
                let _ = edge.send(Message::Delivery(delivery)).await;
            }
        }
        Ok(())
    }
}

/// One edge, and the barrier it has reached.
struct Input {
    messages: mpsc::Receiver<Message>,
    barrier: Option<u64>,
    closed: bool,
}

impl Input {
    fn new(messages: mpsc::Receiver<Message>) -> Self {
        Input { messages, barrier: None, closed: false }
    }
}

/// The next thing to do: a delivery of an edge that has not reached the barrier, taken in turn, or
/// the barrier once all edges have.
async fn next(inputs: &mut [Input], turn: &mut usize) -> Next {
    poll_fn(|context| {
        let count = inputs.len();
        for step in 0..count {
            let at = (*turn + step) % count;
            let input = &mut inputs[at];
            while !input.closed && input.barrier.is_none() {
                match input.messages.poll_recv(context) {
                    Poll::Ready(Some(Message::Delivery(delivery))) => {
                        *turn = at + 1;
                        return Poll::Ready(Next::Delivery(delivery));
                    }
                    Poll::Ready(Some(Message::Barrier(epoch))) => input.barrier = Some(epoch),
                    Poll::Ready(None) => input.closed = true,
                    Poll::Pending => break,
                }
            }
        }
        if inputs.iter().all(|input| input.closed) {
            return Poll::Ready(Next::Ended);
        }
        let is_aligned = inputs.iter().all(|input| input.closed || input.barrier.is_some());
        match inputs.iter().find_map(|input| input.barrier) {
            Some(epoch) if is_aligned => Poll::Ready(Next::Aligned(epoch)),
            _ => Poll::Pending,
        }
    })
    .await
}

/// Tries of one call, with pauses between: doubled each time, with jitter, up to the longest.
struct Tries<'t> {
    task: &'t SinkTask,
    started: Instant,
    pause: Duration,
    failures: u32,
}

impl<'t> Tries<'t> {
    fn new(task: &'t SinkTask) -> Self {
        Tries { task, started: Instant::now(), pause: task.retry.initial.into(), failures: 0 }
    }

    #[allow(clippy::unnecessary_wraps, reason = "reads as the end of the loop it stands in")]
    fn worked(&self) -> Result<(), SinkError> {
        if self.failures > 0 {
            tracing::info!(sink = &*self.task.name, "the sink takes events again");
        }
        Ok(())
    }

    /// Waits for the next try, or says why there is none.
    async fn failed(&mut self, error: SinkError) -> Result<(), SinkError> {
        let SinkError::Retry(message) = error else { return Err(error) };
        if self.task.once && self.started.elapsed() >= self.task.retry.budget.into() {
            return Err(SinkError::Fatal(message));
        }
        if self.failures == 0 {
            tracing::warn!(sink = &*self.task.name, error = %message, "the sink takes no events; trying again");
        }
        self.failures += 1;
        let longest: Duration = self.task.retry.max.into();
        let full = self.pause.min(longest);
        self.pause = (self.pause * 2).min(longest);
        // between half and all of it; the clock's fine digits are random enough to spread retries
        let fine = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos() % 1000);
        tokio::time::sleep(full.mul_f64(0.5 + f64::from(fine) / 2000.0)).await;
        Ok(())
    }
}

/// Drives a best effort sink: one try, no obligations, never in the way of anybody.
pub(super) async fn run_best_effort(
    name: Arc<str>,
    sink: Option<Arc<dyn Sink>>,
    mut queue: mpsc::Receiver<Delivery>,
    counters: Arc<BestEffort>,
) {
    let mut failing = false;
    while let Some(delivery) = queue.recv().await {
        let events = delivery.events() as u64;
        let Some(sink) = &sink else {
            counters.dropped.fetch_add(events, Ordering::Relaxed);
            continue;
        };
        match sink.write(&delivery).await {
            Ok(()) => {
                counters.delivered.fetch_add(events, Ordering::Relaxed);
                failing = false;
            }
            Err(WriteError::Rejected(rejections)) => {
                let rejected = rejections.len() as u64;
                counters.rejected.fetch_add(rejected, Ordering::Relaxed);
                counters.delivered.fetch_add(events - rejected, Ordering::Relaxed);
            }
            Err(WriteError::All(error)) => {
                counters.dropped.fetch_add(events, Ordering::Relaxed);
                if !failing {
                    tracing::warn!(sink = &*name, error = %error, "the best effort sink drops events");
                }
                failing = true;
            }
        }
    }
    let Some(sink) = sink else { return };
    // what the sink took is made durable as far as it goes; nothing waits for it
    let finished = match sink.flush().await {
        Ok(()) => sink.prepare(u64::MAX).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = finished {
        tracing::warn!(sink = &*name, error = %error, "the best effort sink did not finish");
    }
}
