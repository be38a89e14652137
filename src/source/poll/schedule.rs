//! Whose turn it is. Partitions come and go, each is polled by one turn at a time, and one that fails
//! is nobody else's concern.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::fetch::{Failure, following, request_of};
use super::partition::{Partition, Recorded};
use super::plan::Plan;
use super::programs::{Given, Which};
use super::turn::{Progress, Turns, lost, misdescribed, program_failure};
use crate::event::Batch;
use crate::source::{Source, SourceContext, SourceError};

/// Batches that may wait between the turns and the pipeline.
const AHEAD: usize = 2;

/// Turns in a row that may fail under `--once`, if the failure may pass by itself.
const ONCE_TRIES: u32 = 6;

/// First and longest wait after a failure that may pass by itself.
const SOON: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// First and longest wait after a failure that somebody has to mend.
const LATER: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(15));

/// The longest that a server may ask for, and what a run to its end waits at the most.
const LONGEST: Duration = Duration::from_hours(1);
const ONCE_PATIENCE: Duration = Duration::from_mins(2);

/// Failures in a row after which even one that may pass is worth an alert.
const ALARMING: u32 = 3;

/// How long the end of a login may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Between two words about progress.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Milliseconds that a partition may lie behind before that is worth an alert.
const BACKLOG: i64 = 3_600_000;

/// A source that polls. Its work is done by tasks that end with it.
pub(in crate::source) struct Polled {
    batches: mpsc::Receiver<Batch>,
    end: Option<oneshot::Receiver<Result<(), SourceError>>>,
    stop: watch::Sender<bool>,
    task: AbortHandle,
}

impl Polled {
    /// Starts polling.
    pub(in crate::source) fn start(plan: &Arc<Plan>, context: SourceContext) -> Result<Self, SourceError> {
        let (sender, batches) = mpsc::channel(AHEAD);
        let (stop, stopped) = watch::channel(false);
        let (report, end) = oneshot::channel();
        let turns = Turns::new(&plan.over(&context.wire), &context, sender)?;
        let schedule = Schedule {
            recorded: Recorded::new(context.rows),
            turns: Arc::new(turns),
            entries: HashMap::new(),
            due: BinaryHeap::new(),
            number: 0,
            given_up: Vec::new(),
            reset_hint: context.reset_hint,
            quiet_since: None,
            told_at: Instant::now(),
        };
        let task = tokio::spawn(async move {
            let result = schedule.run(stopped).await;
            // a source that is gone asks no more
            let _ = report.send(result);
        });
        Ok(Polled { batches, end: Some(end), stop, task: task.abort_handle() })
    }
}

#[async_trait]
impl Source for Polled {
    async fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        if !*self.stop.borrow()
            && let Some(batch) = self.batches.recv().await
        {
            return Ok(Some(batch));
        }
        match &mut self.end {
            None => Ok(None),
            Some(end) => {
                let ended = end.await;
                self.end = None;
                match ended {
                    Ok(Ok(())) => Ok(None),
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(SourceError::Other("the poller has failed".to_owned())),
                }
            }
        }
    }

    fn stop(&mut self) {
        self.stop.send_replace(true);
        // what waits here was not handed over, and is asked for again by the next run
        self.batches.close();
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether discovery knows a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here,
    /// Not any more.
    Gone,
    /// Not any more, and no turn of it is planned.
    Parked,
}

impl Failure {
    /// How long to wait after so many failures in a row.
    fn doubled_wait(&self, failures: u32) -> Duration {
        let (first, longest) = if self.is_temporary { SOON } else { LATER };
        first.saturating_mul(1 << (failures - 1).min(16)).min(longest)
    }

    /// How long the server asked to wait, within reason.
    fn asked_wait(&self) -> Duration {
        self.wait.unwrap_or_default().min(LONGEST)
    }
}

/// What is known of a partition between its turns.
struct Entry {
    /// `None` while its turn is on.
    partition: Option<Partition>,
    /// Up to where this poll goes.
    target: Option<i64>,
    failures: u32,
    /// What was reported, so that it is not reported again and again.
    reported: Option<&'static str>,
    has_backlog: bool,
    /// It was up to date once in this run: before that it is no backlog but the beginning.
    was_caught_up: bool,
    presence: Presence,
}

struct Schedule {
    turns: Arc<Turns>,
    recorded: Recorded,
    entries: HashMap<Arc<str>, Entry>,
    due: BinaryHeap<Reverse<(Instant, u64, Arc<str>)>>,
    number: u64,
    given_up: Vec<String>,
    reset_hint: Arc<str>,
    /// The last event before a silence that was told.
    quiet_since: Option<u64>,
    /// When progress was told last.
    told_at: Instant,
}

type Finished = (Partition, Option<i64>, Result<Progress, Failure>);

impl Schedule {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Result<(), SourceError> {
        let mut running: JoinSet<Finished> = JoinSet::new();
        tokio::select! {
            () = self.poll(&mut running) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        running.shutdown().await;
        let farewell = tokio::time::timeout(FAREWELL, self.turns.fetcher.client.close());
        if farewell.await.is_err() {
            tracing::debug!(source = &*self.turns.source, "the login was not ended in time");
        }
        match self.given_up.as_slice() {
            [] => Ok(()),
            all => Err(SourceError::Incomplete(all.join("; "))),
        }
    }

    /// Polls until, under `--once`, everything is done; otherwise for ever.
    async fn poll(&mut self, running: &mut JoinSet<Finished>) {
        let once = self.turns.once;
        let mut discovery = Discovery::new(&self.turns.plan);
        if self.turns.plan.partitions.is_none() {
            self.appear("", Value::Null);
        }
        loop {
            self.start_turns(running);
            if once && running.is_empty() && self.due.is_empty() && discovery.is_over() {
                self.say_done();
                return;
            }
            let next = self.due.peek().map(|Reverse((at, ..))| *at);
            let may_start = running.len() < self.turns.plan.concurrency;
            tokio::select! {
                Some(finished) = running.join_next() => match finished {
                    Ok((partition, target, result)) => self.finished(partition, target, result),
                    Err(error) => {
                        tracing::error!(source = &*self.turns.source, error = %error, "a turn has failed");
                        self.given_up.push("a turn of the poller has failed".to_owned());
                        return;
                    }
                },
                () = until(next), if may_start && next.is_some() => {}
                found = discovery.find(&self.turns) => self.discovered(&mut discovery, found),
                () = self.silence() => self.report_silence(),
            }
        }
    }

    fn start_turns(&mut self, running: &mut JoinSet<Finished>) {
        while running.len() < self.turns.plan.concurrency {
            match self.due.peek() {
                Some(Reverse((at, ..))) if *at <= Instant::now() => {}
                _ => return,
            }
            let Some(Reverse((_, _, id))) = self.due.pop() else { return };
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            if entry.presence != Presence::Here {
                // it keeps what it knows, should it come back
                entry.presence = Presence::Parked;
                continue;
            }
            let Some(mut partition) = entry.partition.take() else { continue };
            let mut target = entry.target;
            let turns = self.turns.clone();
            running.spawn(async move {
                let result = turns.turn(&mut partition, &mut target).await;
                (partition, target, result)
            });
        }
    }

    fn finished(&mut self, partition: Partition, target: Option<i64>, result: Result<Progress, Failure>) {
        let id = partition.id.clone();
        self.watch_backlog(&partition);
        self.tell_progress(&partition, target);
        let once = self.turns.once;
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.partition = Some(partition);
        entry.target = target;
        let wait = match result {
            Ok(progress) => {
                entry.failures = 0;
                if let Some(kind) = entry.reported.take() {
                    let message = format!("polling works again after `{kind}`");
                    tracing::info!(source = &*self.turns.source, partition = &*id, "{message}");
                    self.turns.alerts.raise("recovered", "info", &self.turns.source, &id, &message);
                }
                match progress {
                    Progress::More => Duration::ZERO,
                    Progress::CaughtUp if once => return,
                    Progress::CaughtUp => {
                        entry.target = None;
                        self.turns.plan.interval
                    }
                }
            }
            Err(failure) => {
                entry.failures += 1;
                let failures = entry.failures;
                self.report(&id, &failure, failures);
                let is_long = failure.wait.is_some_and(|wait| wait > ONCE_PATIENCE);
                if once && (!failure.is_temporary || is_long || failures >= ONCE_TRIES) {
                    let whose = if id.is_empty() { String::new() } else { format!("partition `{id}`: ") };
                    let help = failure.help.map(|help| format!(" ({help})")).unwrap_or_default();
                    self.given_up.push(format!("{whose}{}{help}", failure.message));
                    return;
                }
                let doubled = failure.doubled_wait(failures);
                // a number of its own spreads partitions that failed together
                let spread = doubled.mul_f64(0.5 + 0.5 * ((self.number % 97) as f64 / 97.0));
                spread.max(failure.asked_wait())
            }
        };
        self.plan_turn(id, wait);
    }

    fn plan_turn(&mut self, id: Arc<str>, wait: Duration) {
        self.number += 1;
        self.due.push(Reverse((Instant::now() + wait, self.number, id)));
    }

    /// Reports a failure: at once if somebody has to mend it, and once.
    fn report(&mut self, id: &Arc<str>, failure: &Failure, failures: u32) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let is_new = entry.reported != Some(failure.kind);
        let (source, help) = (&*self.turns.source, failure.help.as_deref().unwrap_or("it is tried again"));
        if failure.kind == "stopped" {
            return;
        }
        if failure.is_temporary {
            tracing::warn!(source, partition = &**id, failures, "{}; {help}", failure.message);
        } else if is_new {
            tracing::error!(source, partition = &**id, "{}; {help}", failure.message);
        }
        let is_alarming = !failure.is_temporary || failures >= ALARMING;
        if is_new && is_alarming {
            entry.reported = Some(failure.kind);
            let severity = if failure.is_temporary { "warning" } else { "critical" };
            let message = format!("{}; {help}", failure.message);
            self.turns.alerts.raise(failure.kind, severity, source, id, &message);
        }
    }

    /// Tells now and then how far a long way has been gone.
    fn tell_progress(&mut self, partition: &Partition, target: Option<i64>) {
        let cursor = partition.cursor.as_ref();
        let (Some(target), Some(floor), Some(through)) =
            (target, cursor.and_then(|cursor| cursor.floor), cursor.and_then(|cursor| cursor.through))
        else {
            return;
        };
        if through >= target || self.told_at.elapsed() < TELL_EVERY {
            return;
        }
        self.told_at = Instant::now();
        let percent = (through - floor).saturating_mul(100) / (target - floor).max(1);
        tracing::info!(
            source = &*self.turns.source,
            partition = &*partition.id,
            through = super::partition::rfc3339(through),
            "{percent} % of the time that lies behind is pulled"
        );
    }

    /// Raises an alert when a partition that was up to date falls behind, and when it has caught up.
    fn watch_backlog(&mut self, partition: &Partition) {
        let Some(windows) = self.turns.plan.windows else { return };
        let (Some(clock), Some(through)) =
            (self.turns.fetcher.clock.get(), partition.cursor.as_ref().and_then(|cursor| cursor.through))
        else {
            return;
        };
        let Some(entry) = self.entries.get_mut(&partition.id) else { return };
        let interval = i64::try_from(self.turns.plan.interval.as_millis()).unwrap_or(i64::MAX);
        let behind = windows.settled(clock) - through;
        let is_behind = behind > BACKLOG.max(interval.saturating_mul(3));
        entry.was_caught_up |= !is_behind;
        if entry.was_caught_up && is_behind != entry.has_backlog {
            entry.has_backlog = is_behind;
            let (severity, message) = match is_behind {
                true => {
                    ("warning", format!("the cursor is {} min behind the server's clock", behind / 60_000))
                }
                false => ("info", "the cursor has caught up with the server's clock".to_owned()),
            };
            tracing::info!(source = &*self.turns.source, partition = &*partition.id, "{message}");
            self.turns.alerts.raise("backlog", severity, &self.turns.source, &partition.id, &message);
        }
    }

    /// Waits until no events have come for too long.
    async fn silence(&self) {
        let Some(quiet_after) = self.turns.plan.quiet_after else { return std::future::pending().await };
        loop {
            let last = self.turns.last_event.load(Ordering::Relaxed);
            if self.quiet_since == Some(last) {
                // told already; it can only be told again after an event
                tokio::time::sleep(quiet_after).await;
                continue;
            }
            let last = Duration::from_millis(last);
            let end = self.turns.began + last + quiet_after;
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    fn report_silence(&mut self) {
        self.quiet_since = Some(self.turns.last_event.load(Ordering::Relaxed));
        let after = self.turns.plan.quiet_after.unwrap_or_default();
        let message = format!("no events for {} min: is the source still logging?", after.as_secs() / 60);
        tracing::warn!(source = &*self.turns.source, "{message}");
        self.turns.alerts.raise("quiet", "warning", &self.turns.source, "", &message);
    }

    fn appear(&mut self, id: &str, about: Value) {
        if let Some(entry) = self.entries.get_mut(id) {
            let before = std::mem::replace(&mut entry.presence, Presence::Here);
            if let Some(partition) = &mut entry.partition {
                partition.about = about;
            }
            if before == Presence::Parked
                && let Some(partition) = &entry.partition
            {
                let id = partition.id.clone();
                self.plan_turn(id, Duration::ZERO);
            }
            return;
        }
        let partition = Partition::new(id, about, &mut self.recorded);
        let id = partition.id.clone();
        let entry = Entry {
            partition: Some(partition),
            target: None,
            failures: 0,
            reported: None,
            has_backlog: false,
            was_caught_up: false,
            presence: Presence::Here,
        };
        self.entries.insert(id.clone(), entry);
        self.plan_turn(id, Duration::ZERO);
    }

    fn discovered(&mut self, discovery: &mut Discovery, found: Found) {
        let source = self.turns.source.clone();
        match found {
            Ok(found) => {
                let known: HashSet<&str> = found.partitions.iter().map(|(id, _)| id.as_str()).collect();
                for (id, entry) in &mut self.entries {
                    if !known.contains(&**id) && entry.presence == Presence::Here && found.failures.is_empty()
                    {
                        tracing::info!(source = &*source, partition = &**id, "the partition is gone");
                        entry.presence = Presence::Gone;
                    }
                }
                tracing::debug!(source = &*source, partitions = known.len(), "partitions are discovered");
                for (id, about) in found.partitions {
                    self.appear(&id, about);
                }
                for failure in &found.failures {
                    let help = failure.help.as_deref().unwrap_or("it is tried again");
                    let message =
                        format!("some partitions cannot be discovered: {}; {help}", failure.message);
                    tracing::error!(source = &*source, "{message}");
                    if discovery.is_news(failure) {
                        self.turns.alerts.raise(failure.kind, "critical", &source, "", &message);
                    }
                    if self.turns.once {
                        self.given_up.push(message);
                    }
                }
                discovery.succeeded(self.turns.once);
            }
            Err(failure) => {
                let help = failure.help.as_deref().unwrap_or("it is tried again");
                let message = format!("partitions cannot be discovered: {}; {help}", failure.message);
                let failures = discovery.failed(&failure);
                if failures == 1 || failure.is_temporary {
                    tracing::error!(source = &*source, "{message}");
                }
                if failures == if failure.is_temporary { ALARMING } else { 1 } {
                    self.turns.alerts.raise(failure.kind, "critical", &source, "", &message);
                }
                if self.turns.once && (!failure.is_temporary || failures >= ONCE_TRIES) {
                    self.given_up.push(message);
                    discovery.give_up();
                }
            }
        }
    }

    fn say_done(&self) {
        if self.given_up.is_empty() && self.turns.last_event.load(Ordering::Relaxed) == 0 {
            tracing::info!(
                source = &*self.turns.source,
                "nothing new; to begin again: {} {}",
                self.reset_hint,
                self.turns.source
            );
        }
    }
}

/// What discovery brings.
pub(super) struct Discovered {
    /// Ids and descriptions.
    pub(super) partitions: Vec<(String, Value)>,
    /// What could not be looked into; its partitions are as they were before.
    pub(super) failures: Vec<Failure>,
}

type Found = Result<Discovered, Failure>;

/// Finds partitions, now and then.
struct Discovery {
    interval: Option<Duration>,
    next: Option<Instant>,
    failures: u32,
    /// Failures of some of it that were told.
    told: HashSet<String>,
    /// The one under way.
    task: JoinSet<Found>,
}

impl Discovery {
    fn new(plan: &Plan) -> Self {
        let interval = plan.partitions.as_ref().map(|found| found.interval);
        Discovery {
            interval,
            next: interval.map(|_| Instant::now()),
            failures: 0,
            told: HashSet::new(),
            task: JoinSet::new(),
        }
    }

    /// Nothing more will be found.
    fn is_over(&self) -> bool {
        self.next.is_none() && self.task.is_empty()
    }

    /// Waits for the next result. Cancel-safe.
    async fn find(&mut self, turns: &Arc<Turns>) -> Found {
        loop {
            if let Some(found) = self.task.join_next().await {
                return found.unwrap_or_else(|_| Err(lost()));
            }
            until(self.next).await;
            let turns = turns.clone();
            self.task.spawn(async move {
                let found = discover(&turns).await;
                found.map_err(|failure| turns.fetcher.clean(failure))
            });
        }
    }

    /// Under `--once` partitions are discovered one time.
    fn succeeded(&mut self, once: bool) {
        self.failures = 0;
        self.next = self.interval.filter(|_| !once).map(|interval| Instant::now() + interval);
    }

    fn failed(&mut self, failure: &Failure) -> u32 {
        self.failures += 1;
        let wait = failure.doubled_wait(self.failures).max(failure.asked_wait());
        self.next = Some(Instant::now() + wait);
        self.failures
    }

    /// Whether this failure was not told before.
    fn is_news(&mut self, failure: &Failure) -> bool {
        self.told.insert(failure.message.clone())
    }

    fn give_up(&mut self) {
        self.next = None;
    }
}

/// Asks for the partitions, level by level. What one request of a level cannot tell does not keep the
/// others from being found.
pub(super) async fn discover(turns: &Turns) -> Result<Discovered, Failure> {
    let Some(plan) = &turns.plan.partitions else { return Err(lost()) };
    let mut about = plan.roots.clone();
    let mut failures = Vec::new();
    for level in 0..plan.levels.len() {
        let mut below = Vec::new();
        let is_first = level == 0 && about.is_empty();
        for parent in if is_first { vec![Value::Null] } else { about } {
            match discover_below(turns, level, &parent).await {
                Ok(found) => below.extend(found),
                Err(failure) if is_first => return Err(failure),
                Err(failure) => failures.push(turns.fetcher.clean(failure)),
            }
        }
        about = below;
    }
    let mut partitions = Vec::with_capacity(about.len());
    let mut ids = HashSet::new();
    for about in about {
        let id = turns.programs.id(about.clone()).await.map_err(program_failure)?;
        if !ids.insert(id.clone()) {
            let message = format!("two partitions have the id `{id}`: look at `partitions.id`");
            return Err(Failure::lasting("program_failed", message));
        }
        partitions.push((id, about));
    }
    Ok(Discovered { partitions, failures })
}

/// Asks for the partitions below one description.
async fn discover_below(turns: &Turns, level: usize, parent: &Value) -> Result<Vec<Value>, Failure> {
    let which = Which::Partitions(level);
    let mut given = Given {
        page: 1,
        now: turns.fetcher.clock.get().map(super::partition::rfc3339),
        partition: parent.clone(),
        ..Given::default()
    };
    let mut described = turns.programs.request(which, given.clone()).await.map_err(program_failure)?;
    let mut found = Vec::new();
    loop {
        let request = request_of(&described, turns.plan.base.as_ref()).map_err(misdescribed)?;
        let response = turns.fetcher.fetch(&request, turns.fetcher.scope("", parent)).await?;
        let read = turns.programs.page(which, given.clone(), response.clone()).await;
        let (turning, content) = read.map_err(program_failure)?;
        let page = content.await.map_err(|_| lost())?.map_err(program_failure)?;
        for record in page.records {
            let text = record.content.map_err(|fault| misdescribed(fault.message))?;
            found.push(serde_json::from_slice(&text).unwrap_or_default());
        }
        if turning.next.is_null() {
            return Ok(found);
        }
        described = following(&described, &turning.next, &response).map_err(misdescribed)?;
        given.page += 1;
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
