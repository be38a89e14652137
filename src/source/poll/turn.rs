//! One turn: a partition is polled a little further.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_128;

use super::fetch::{Failure, Fetcher, following, request_of};
use super::partition::{Cursor, Partition, Recorded, Snapshot, rfc3339};
use super::plan::Plan;
use super::programs::{Given, Page, ProgramError, ProgramSet, Record, Which};
use super::window::{LONG, Span, Windows};
use crate::config::Start;
use crate::event::{Batch, CursorRows, Event, Origin, Payload, Place};
use crate::http::limit::{Limiter, Rate};
use crate::http::{Client, HttpError, Response};
use crate::source::{Alerts, BATCH_BYTES, BATCH_EVENTS, SourceContext, SourceError};

/// Key of the row that says what `start = "now"` meant.
const BEGUN: &str = "begun";

/// Pages of one run at the most: a paging that goes in circles must end.
const MAX_PAGES: u64 = 100_000;

/// How old the server's word about its clock may be. Others' answers tell it too.
const CLOCK_AGE: Duration = Duration::from_secs(15);

/// Milliseconds that a cursor which only time has moved may go unrecorded.
const CURSOR_EVERY: i64 = 60_000;

/// What a turn works with.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    pub(super) source: Arc<str>,
    pub(super) plan: Arc<Plan>,
    pub(super) fetcher: Fetcher,
    pub(super) programs: ProgramSet,
    pub(super) batches: mpsc::Sender<Batch>,
    pub(super) alerts: Alerts,
    pub(super) once: bool,
    pub(super) began: Instant,
    /// What `start = "now"` meant when the source had its first turn.
    pub(super) begun: Arc<Mutex<Option<i64>>>,
    /// Milliseconds after `began`: when the last event came.
    pub(super) last_event: Arc<AtomicU64>,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more to ask for.
    More,
    /// Nothing is left for now.
    CaughtUp,
}

/// What a run of pages brought.
#[derive(Debug, Default)]
struct Run {
    pages: u64,
    records: usize,
    fresh: usize,
    /// The pages ended by themselves.
    ended: bool,
    /// The window holds more than the API gives.
    overflow: bool,
    /// The last page's `$state`.
    state: Option<Value>,
    /// Ids that were sent, new or not.
    sighted: HashSet<u128>,
}

/// How a run of pages is to be read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    window: Option<Span>,
    /// It may be cut in halves, so a page that overflows is not emitted.
    divisible: bool,
    most_pages: u64,
    /// Whether each page moves the cursor.
    by_page: bool,
}

impl Turns {
    /// Everything that turns of a source need. Starts the thread of its programs; opens no connection.
    pub(super) fn new(
        plan: &Arc<Plan>,
        context: &SourceContext,
        batches: mpsc::Sender<Batch>,
    ) -> Result<Self, SourceError> {
        let failed = |error: HttpError| SourceError::Other(error.to_string());
        let begun = context.rows.iter().find(|(key, _)| key == BEGUN);
        let begun = begun.and_then(|(_, row)| DateTime::parse_from_rfc3339(row.get("at")?.as_str()?).ok());
        let begun = Arc::new(Mutex::new(begun.map(|time| time.timestamp_millis())));
        let limiter = plan
            .rate_limit
            .map(|limit| Arc::new(Limiter::new(Rate::new(limit.burst, limit.requests, limit.per))));
        let transport = context.wire.transport(&plan.client).map_err(failed)?;
        let client =
            Client::over(transport, plan.auth.as_ref(), plan.base.as_ref(), limiter).map_err(failed)?;
        let programs = ProgramSet::start(&context.name, plan)
            .map_err(|error| SourceError::Io { context: "cannot start a thread".to_owned(), error })?;
        Ok(Turns {
            source: context.name.clone(),
            plan: plan.clone(),
            fetcher: Fetcher::new(plan.clone(), client),
            begun,
            programs,
            batches,
            alerts: context.alerts.clone(),
            once: context.once,
            began: Instant::now(),
            last_event: Arc::new(AtomicU64::new(0)),
        })
    }

    /// Asks for what a first poll would ask for, and keeps nothing of it. What it found, in a line.
    pub(super) async fn probe(&self) -> Result<String, Failure> {
        let (id, about, found) = match &self.plan.partitions {
            None => (String::new(), Value::Null, String::new()),
            Some(_) => {
                let mut found = super::schedule::discover(self).await?;
                if let Some(failure) = found.failures.pop() {
                    return Err(failure);
                }
                let count = found.partitions.len();
                let Some((id, about)) = found.partitions.into_iter().next() else {
                    return Ok("the login works, and sees no partitions".to_owned());
                };
                let found = format!("{count} partitions; `{id}` ");
                (id, about, found)
            }
        };
        let mut partition = Partition::new(&id, about, &mut Recorded::new(Vec::new()));
        let window = match self.plan.windows {
            None => None,
            Some(windows) => {
                let end = windows.settled(self.clock(&partition).await?);
                Some(Span { start: end - windows.length, end })
            }
        };
        let floor = match self.plan.start {
            Some(Start::At(time)) => Some(time.timestamp_millis()),
            Some(Start::Now) => self.fetcher.clock.get(),
            _ => None,
        };
        partition.cursor = Some(Cursor { floor, through: None, stretch: 0, state: Value::Null });
        let described = self.describe(&partition, window, 1).await?;
        let given = self.given(&partition, window, 1);
        let (_, turning, content) = self.page(&partition, &described, &given).await?;
        let page = content.await.map_err(|_| lost())?.map_err(program_failure)?;
        let more = if turning.next.is_null() { "" } else { " and there are more pages" };
        let span = window.map(|span| format!(" from {} to {}", rfc3339(span.start), rfc3339(span.end)));
        Ok(format!(
            "{found}answers: {} records on the first page{}{more}",
            page.records.len(),
            span.unwrap_or_default()
        ))
    }

    /// Polls a partition a little further. `target` is where a window need not go beyond.
    pub(super) async fn turn(
        &self,
        partition: &mut Partition,
        target: &mut Option<i64>,
    ) -> Result<Progress, Failure> {
        let turned = async {
            self.begin(partition).await?;
            match (self.plan.snapshot, self.plan.windows) {
                (true, _) => self.snapshot(partition).await,
                (false, Some(windows)) => self.window(partition, windows, target).await,
                (false, None) => self.pages_from_state(partition).await,
            }
        };
        turned.await.map_err(|failure| self.fetcher.clean(failure))
    }

    /// Gives a partition without a cursor one.
    async fn begin(&self, partition: &mut Partition) -> Result<(), Failure> {
        if let Some(row) = &partition.unreadable {
            let message =
                format!("the recorded row `{row}` makes no sense, so it is not known where to go on");
            let help =
                "`jaquard state FILE` shows it, `--set` mends it, `--reset NAME` begins again".to_owned();
            return Err(Failure { help: Some(help), ..Failure::lasting("state_unreadable", message) });
        }
        if partition.cursor.is_some() {
            return Ok(());
        }
        let floor = match self.plan.start {
            Some(Start::At(time)) => Some(time.timestamp_millis()),
            Some(Start::Now) => Some(self.now(partition).await?),
            Some(Start::All) if self.plan.windows.is_some() => Some(self.plan.earliest),
            Some(Start::All) | None => None,
        };
        let through = self.plan.windows.and(floor);
        partition.cursor = Some(Cursor { floor, through, stretch: 0, state: Value::Null });
        Ok(())
    }

    /// What `start = "now"` means: when the source had its first turn. A partition that is found later
    /// begins there too, for something may have happened in it before it was found.
    async fn now(&self, partition: &Partition) -> Result<i64, Failure> {
        let known = *self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known {
            return Ok(known);
        }
        let clock = self.clock(partition).await?;
        let now = self.plan.windows.map_or(clock, |windows| windows.settled(clock));
        let now = *self.begun.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now);
        // the next run must know it, whatever comes of this turn
        let rows = vec![(BEGUN.to_owned(), Some(serde_json::json!({ "at": rfc3339(now) })))];
        self.emit(partition, Vec::new(), rows, None).await?;
        Ok(now)
    }

    /// The server's clock; asks for it if nothing has come from the server yet.
    async fn clock(&self, partition: &Partition) -> Result<i64, Failure> {
        // one run to its end goes to the time that it began; a poller needs the time of each poll
        let age = if self.once { Duration::MAX } else { (self.plan.interval / 2).min(CLOCK_AGE) };
        if let Some(base) = &self.plan.base {
            return self.fetcher.probe_clock(base, age).await;
        }
        let described = self.describe(partition, None, 1).await?;
        let request = request_of(&described, None).map_err(misdescribed)?;
        self.fetcher.probe_clock(&request.url, age).await
    }

    async fn window(
        &self,
        partition: &mut Partition,
        windows: Windows,
        target: &mut Option<i64>,
    ) -> Result<Progress, Failure> {
        let mut rows = CursorRows::new();
        let clock = self.clock(partition).await?;
        let target = *target.get_or_insert(windows.settled(clock));
        let Some(cursor) = partition.cursor.clone() else { return Ok(Progress::CaughtUp) };
        let through = cursor.through.unwrap_or(self.plan.earliest);
        let floor = cursor.floor.unwrap_or(self.plan.earliest);
        let span = windows.next(floor, through, cursor.stretch, clock);
        let Some(span) = span.filter(|_| through < target) else { return Ok(Progress::CaughtUp) };

        partition.seen.begin(span.end);
        let (mut pages, mut records, mut fresh, mut was_cut) = (0, 0, 0, false);
        let mut state = None;
        let mut spans = vec![span];
        while let Some(part) = spans.pop() {
            let halves = part.halves();
            let is_long = part.end - part.start > windows.length + windows.overlap;
            let reading = Reading {
                window: Some(part),
                divisible: halves.is_some(),
                most_pages: if is_long && halves.is_some() { LONG } else { MAX_PAGES },
                by_page: false,
            };
            let run = match self.run(partition, reading).await {
                // some servers take only so much time in one request
                Err(failure) if failure.status == Some(400) && cursor.stretch > 0 => {
                    if let Some(cursor) = &mut partition.cursor {
                        cursor.stretch = 0;
                    }
                    return Ok(Progress::More);
                }
                run => run?,
            };
            pages += run.pages;
            records += run.records;
            fresh += run.fresh;
            match halves {
                Some((first, second)) if run.overflow || !run.ended => {
                    was_cut = true;
                    spans.push(second);
                    spans.push(first);
                }
                _ => {
                    if !run.ended {
                        return Err(endless());
                    }
                    if run.overflow {
                        self.report_overflow(partition, part);
                    }
                    state = run.state.or(state);
                }
            }
        }

        let stretch = if was_cut {
            cursor.stretch.saturating_sub(2)
        } else {
            Windows::stretch(cursor.stretch, records, pages)
        };
        if let Some(cursor) = &mut partition.cursor {
            cursor.through = Some(span.end);
            cursor.stretch = stretch;
            if let Some(state) = state {
                cursor.state = state;
            }
        }
        let is_caught_up = span.end >= target;
        partition.seen.write(&partition.seen_prefix(), &mut rows);
        let reach = span.end.saturating_sub(windows.overlap);
        partition.seen.expire(reach, &partition.seen_prefix(), &mut rows);
        let is_due = partition.kept.as_ref().is_none_or(|(_, at)| clock - at >= CURSOR_EVERY);
        if fresh > 0 || !rows.is_empty() || is_due || self.once || !is_caught_up {
            partition.write_cursor(clock, &mut rows);
            self.emit(partition, Vec::new(), rows, None).await?;
        }
        Ok(if is_caught_up { Progress::CaughtUp } else { Progress::More })
    }

    async fn pages_from_state(&self, partition: &mut Partition) -> Result<Progress, Failure> {
        // how long ids are kept is a matter between this machine and itself
        let now = Utc::now().timestamp_millis();
        partition.seen.begin(now);
        let reading = Reading { window: None, divisible: false, most_pages: MAX_PAGES, by_page: true };
        let run = self.run(partition, reading).await?;
        if !run.ended {
            return Err(endless());
        }
        let remembered = i64::try_from(self.plan.remember.as_millis()).unwrap_or(i64::MAX);
        let before = now.saturating_sub(remembered);
        let mut rows = CursorRows::new();
        partition.seen.carry_over(before, &run.sighted);
        partition.seen.write(&partition.seen_prefix(), &mut rows);
        partition.seen.expire(before, &partition.seen_prefix(), &mut rows);
        if !rows.is_empty() || partition.is_moved() {
            partition.write_cursor(now, &mut rows);
            self.emit(partition, Vec::new(), rows, None).await?;
        }
        Ok(Progress::CaughtUp)
    }

    async fn snapshot(&self, partition: &mut Partition) -> Result<Progress, Failure> {
        let mut given = self.given(partition, None, 1);
        let mut described = self.describe(partition, None, 1).await?;
        let mut position = 0_u64;
        for page in 1..=MAX_PAGES {
            given.page = page;
            let (response, turning, content) = self.page(partition, &described, &given).await?;
            let next = match turning.next {
                Value::Null => None,
                next => Some(following(&described, &next, &response).map_err(misdescribed)?),
            };
            let content = content.await.map_err(|_| lost())?.map_err(program_failure)?;
            for record in content.records {
                let key = record.name.clone().unwrap_or_else(|| position.to_string());
                position += 1;
                self.snapshot_of(partition, key, record, &response).await?;
            }
            let Some(next) = next else { return Ok(Progress::CaughtUp) };
            described = next;
        }
        Err(endless())
    }

    async fn snapshot_of(
        &self,
        partition: &mut Partition,
        key: String,
        record: Record,
        response: &Response,
    ) -> Result<(), Failure> {
        let digest = match &record.content {
            Ok(text) => format!("{:032x}", xxh3_128(canonical(text).as_bytes())),
            Err(fault) => format!("{:032x}", xxh3_128(&fault.raw)),
        };
        let last = partition.snapshots.get(&key);
        if last.is_some_and(|last| last.digest == digest) {
            return Ok(());
        }
        let sequence = last.map_or(0, |last| last.sequence + 1);
        // a content that comes under a number that another one had is another event
        let identity = format!("{key}\0{digest}");
        let snapshot = Snapshot { digest, sequence };
        let mut rows = vec![(format!("{}{key}", partition.snapshot_prefix()), Some(snapshot.to_row()))];
        partition.snapshots.insert(key, snapshot);
        partition.write_cursor(self.fetcher.clock.get().unwrap_or_default(), &mut rows);
        let event = Event { offset: xxh3_128(identity.as_bytes()), payload: payload(record.content) };
        let fetched = fetched_at(response);
        self.emit(partition, vec![event], rows, Some((fetched, Some(sequence)))).await
    }

    /// Reads pages until there is no next one, and hands on what is new in them.
    async fn run(&self, partition: &mut Partition, reading: Reading) -> Result<Run, Failure> {
        let mut run = Run::default();
        let mut given = self.given(partition, reading.window, 1);
        let mut described = self.describe(partition, reading.window, 1).await?;
        let mut fetched = self.send(partition, &described).await?;
        loop {
            run.pages += 1;
            given.page = run.pages;
            let response = fetched;
            let (turning, content) = self
                .programs
                .page(Which::Stream, given.clone(), response.clone())
                .await
                .map_err(program_failure)?;
            run.overflow |= turning.overflow;
            if run.overflow && reading.divisible {
                return Ok(run);
            }
            let next = match &turning.next {
                Value::Null => None,
                next => Some(following(&described, next, &response).map_err(misdescribed)?),
            };
            // a page that is followed by itself is the last one: some cursors stay where they are
            let next = next.filter(|next| *next != described);
            run.ended = next.is_none();
            let next = next.filter(|_| run.pages < reading.most_pages);
            // the next page is on its way while this one is read and handed on
            let ahead = async {
                match &next {
                    Some(next) => Some(self.send(partition, next).await),
                    None => None,
                }
            };
            let reading_on = async { content.await.map_err(|_| lost())?.map_err(program_failure) };
            let (content, ahead) = tokio::join!(reading_on, ahead);
            self.hand_on(partition, content?, &response, &reading, &mut given, &mut run).await?;
            match (next, ahead) {
                (Some(next), Some(response)) => {
                    described = next;
                    fetched = response?;
                }
                _ => return Ok(run),
            }
        }
    }

    /// Hands on what is new in a page.
    async fn hand_on(
        &self,
        partition: &mut Partition,
        page: Page,
        response: &Response,
        reading: &Reading,
        given: &mut Given,
        run: &mut Run,
    ) -> Result<(), Failure> {
        let fetched = fetched_at(response);
        run.records += page.records.len();
        let mut events = Vec::new();
        let mut bytes = 0;
        for record in page.records {
            if reading.by_page {
                run.sighted.insert(record.id);
            }
            if !partition.seen.admit(record.id) {
                continue;
            }
            run.fresh += 1;
            let event = Event { offset: record.id, payload: payload(record.content) };
            bytes += event.payload.size();
            events.push(event);
            if events.len() >= BATCH_EVENTS || bytes >= BATCH_BYTES {
                let mut rows = CursorRows::new();
                partition.seen.write(&partition.seen_prefix(), &mut rows);
                bytes = 0;
                self.emit(partition, std::mem::take(&mut events), rows, Some((fetched, None))).await?;
            }
        }
        let mut rows = CursorRows::new();
        partition.seen.write(&partition.seen_prefix(), &mut rows);
        if let Some(state) = page.state {
            given.state = state.clone();
            if reading.by_page {
                if let Some(cursor) = &mut partition.cursor {
                    cursor.state = state;
                }
                if partition.is_moved() {
                    partition.write_cursor(self.fetcher.clock.get().unwrap_or_default(), &mut rows);
                }
            } else {
                run.state = Some(state);
            }
        }
        if !events.is_empty() || !rows.is_empty() {
            self.emit(partition, events, rows, Some((fetched, None))).await?;
        }
        Ok(())
    }

    fn given(&self, partition: &Partition, window: Option<Span>, page: u64) -> Given {
        let cursor = partition.cursor.as_ref();
        Given {
            window: window.map(|span| (rfc3339(span.start), rfc3339(span.end))),
            state: cursor.map(|cursor| cursor.state.clone()).unwrap_or_default(),
            page,
            now: self.fetcher.clock.get().map(rfc3339),
            start: cursor.and_then(|cursor| cursor.floor).map(rfc3339),
            partition: partition.about.clone(),
        }
    }

    async fn describe(
        &self,
        partition: &Partition,
        window: Option<Span>,
        page: u64,
    ) -> Result<Value, Failure> {
        let given = self.given(partition, window, page);
        self.programs.request(Which::Stream, given).await.map_err(program_failure)
    }

    async fn send(&self, partition: &Partition, described: &Value) -> Result<Response, Failure> {
        let request = request_of(described, self.plan.base.as_ref()).map_err(misdescribed)?;
        let scope = self.fetcher.scope(&partition.id, &partition.about);
        self.fetcher.fetch(&request, scope).await
    }

    async fn page(
        &self,
        partition: &Partition,
        described: &Value,
        given: &Given,
    ) -> Result<
        (Response, super::programs::Turning, tokio::sync::oneshot::Receiver<Result<Page, ProgramError>>),
        Failure,
    > {
        let response = self.send(partition, described).await?;
        let read = self.programs.page(Which::Stream, given.clone(), response.clone()).await;
        let (turning, content) = read.map_err(program_failure)?;
        Ok((response, turning, content))
    }

    async fn emit(
        &self,
        partition: &Partition,
        events: Vec<Event>,
        rows: CursorRows,
        fetched: Option<(DateTime<Utc>, Option<u64>)>,
    ) -> Result<(), Failure> {
        if !events.is_empty() {
            self.last_event.store(self.began.elapsed().as_millis() as u64, Ordering::Relaxed);
        }
        let now = Utc::now();
        let (fetched_at, sequence) = fetched.unwrap_or((now, None));
        let origin = Origin {
            source: self.source.clone(),
            place: Place::Polled {
                stream: self.plan.stream.clone(),
                partition: partition.id.clone(),
                fetched_at,
                sequence,
            },
            ingested_at: now,
        };
        let batch = Batch::new(events, Arc::new(origin), rows);
        let stopped =
            || Failure { is_temporary: true, ..Failure::lasting("stopped", "the pipeline has stopped") };
        self.batches.send(batch).await.map_err(|_| stopped())
    }

    fn report_overflow(&self, partition: &Partition, span: Span) {
        let message = format!(
            "{} to {} holds more records than one answer: some of them cannot be had",
            rfc3339(span.start),
            rfc3339(span.end)
        );
        tracing::error!(source = &*self.source, partition = &*partition.id, "{message}");
        self.alerts.raise("window_overflow", "critical", &self.source, &partition.id, &message);
    }
}

fn payload(content: Result<Bytes, Box<crate::event::Fault>>) -> Payload {
    match content {
        Ok(text) => Payload::Json(text),
        Err(fault) => Payload::Fault(fault),
    }
}

/// When a response was made: by the server's clock, or the local one if it has none.
fn fetched_at(response: &Response) -> DateTime<Utc> {
    crate::http::headers::server_time(&response.headers).unwrap_or(response.received_at).into()
}

/// A JSON text that is the same for the same content, however its members are ordered and spaced.
fn canonical(text: &[u8]) -> String {
    fn sorted(value: Value) -> Value {
        match value {
            Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
            Value::Object(members) => {
                let mut members: Vec<_> = members.into_iter().collect();
                members.sort_by(|(one, _), (other, _)| one.cmp(other));
                Value::Object(members.into_iter().map(|(name, value)| (name, sorted(value))).collect())
            }
            scalar => scalar,
        }
    }
    match serde_json::from_slice(text) {
        Ok(value) => sorted(value).to_string(),
        Err(_) => String::from_utf8_lossy(text).into_owned(),
    }
}

fn endless() -> Failure {
    Failure::lasting("program_failed", format!("more than {MAX_PAGES} pages in a row: look at `next`"))
}

pub(super) fn program_failure(error: ProgramError) -> Failure {
    match error {
        // it may have been cut where the server did not say how long it is
        ProgramError::Body(message) => {
            Failure { is_temporary: true, ..Failure::lasting("request_failed", message) }
        }
        ProgramError::Program(message) => Failure::lasting("program_failed", message),
    }
}

pub(super) fn misdescribed(message: String) -> Failure {
    Failure::lasting("program_failed", message)
}

pub(super) fn lost() -> Failure {
    Failure::lasting("program_failed", "the thread of the programs is gone")
}
