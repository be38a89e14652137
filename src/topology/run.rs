//! Build and run: a checked pipeline to its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::epoch::{Coordinator, End, SinkHandle, SourceHandle};
use super::graph::Plan;
use super::ledger::{BestEffort, BestEffortLine, LedgerLine, SourceLedger};
use super::load::{Commit, Pipeline};
use super::sink_task::{self, EDGE_QUEUE, SinkTask};
use super::source_task::{self, Activity, BestEffortQueue, ORDER_QUEUE, SharedProgress, SourceTask};
use super::stages::Stages;
use super::validation::ValidationLine;
use super::worker::Pool;
use crate::http::transport::Wire;
use crate::sink::{DeadLetters, Sink, SinkContext};
use crate::source::{Alerts, SourceContext, Working};
use crate::state::{DataDir, Journal, Store};

/// Times that a part is rolled back without an epoch in between before the run ends.
const MAX_ROLLBACKS: u32 = 3;

/// Deliveries that wait for a best effort sink at the most.
const BEST_EFFORT_QUEUE: usize = 64;

/// How long tasks that were told to end are waited for. One may be blocked in a write for ever.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// What a run should do about an early end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Go on.
    No,
    /// Stop the sources, deliver what was read, record it, end.
    Drain,
    /// End at once; what is in flight is read again by the next run.
    Now,
}

/// How to run a pipeline.
#[derive(Clone)]
pub struct RunOptions {
    /// `data_dir`, created when missing.
    pub data_dir: PathBuf,
    /// End when all that is there now is delivered; give up on a sink after its retry budget.
    pub once: bool,
    /// How long a drain may take.
    pub grace: Duration,
    /// Tells the run to end early.
    pub stop: watch::Receiver<Stop>,
    /// Called now and then with how far the run is.
    pub progress: Option<ProgressFn>,
}

/// Takes the events read so far, the bytes done, and the bytes in all (0: unknown).
pub type ProgressFn = Arc<dyn Fn(u64, u64, u64) + Send + Sync>;

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The ledger, a line a source.
    pub ledger: Vec<LedgerLine>,
    /// Best effort sinks.
    pub best_effort: Vec<BestEffortLine>,
    /// What the `validate` of components found.
    pub validations: Vec<ValidationLine>,
    /// The dead-letter file.
    pub dead_letters: PathBuf,
    /// Why it ended before its time, if it did: an I/O error that no retry mended.
    pub error: Option<String>,
}

/// `data_dir` of a pipeline file that names none: in the user's state folder, by the file's name
/// and the absolute path's digest.
pub fn default_data_dir(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    let digest = Sha256::digest(absolute.as_os_str().as_encoded_bytes());
    let short: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let stem = absolute.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = home("XDG_STATE_HOME")
        .or_else(|| home("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir);
    state.join("jaquard").join(format!("{stem}-{short}"))
}

/// Builds and runs a pipeline to its end.
pub async fn run(pipeline: Pipeline, options: RunOptions) -> Result<Outcome, String> {
    let data_dir =
        DataDir::lock(&options.data_dir, &pipeline.file.path).map_err(|error| error.to_string())?;
    let store = crate::sink::blocking(|| Store::open(data_dir.path())).map_err(|error| error.to_string())?;
    raise_open_files();

    let Pipeline { file, commit, workers, plan, wire, .. } = pipeline;
    let plan = Arc::new(plan);
    let workers = workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let best_effort: Vec<_> =
        plan.sinks.iter().map(|node| (!node.required).then(|| Arc::new(BestEffort::default()))).collect();
    let alerts = Alerts::default();
    let pool = Pool::start(workers, &plan, &best_effort, &alerts)
        .map_err(|error| format!("cannot start workers: {error}"))?;
    let running = Running {
        dead_letters: DeadLetters::new(data_dir.path()),
        ledgers: plan.sources.iter().map(|_| Arc::default()).collect(),
        progress: plan.sources.iter().map(|_| Arc::default()).collect(),
        working: plan
            .sources
            .iter()
            .map(|node| Arc::new(Mutex::new((!node.factory.watches()).then(|| Arc::new(alerts.working())))))
            .collect(),
        alerts,
        wire,
        reset_hint: Arc::from(format!("jaquard state {} --reset", file.shown)),
        best_effort,
        plan,
        store,
        pool,
        workers,
        commit,
        options,
    };
    running.alerts.all_counted();
    Ok(running.finish().await)
}

/// What the parts of a running pipeline share.
struct Running {
    plan: Arc<Plan>,
    store: Store,
    pool: Pool,
    workers: usize,
    commit: Commit,
    dead_letters: DeadLetters,
    ledgers: Vec<Arc<SourceLedger>>,
    progress: Vec<Arc<SharedProgress>>,
    best_effort: Vec<Option<Arc<BestEffort>>>,
    reset_hint: Arc<str>,
    alerts: Alerts,
    wire: Wire,
    /// By source: held until it has ended.
    working: Vec<Arc<Mutex<Option<Arc<Working>>>>>,
    options: RunOptions,
}

impl Running {
    async fn finish(self) -> Outcome {
        let (queues, best_effort_tasks) = self.start_best_effort();
        let (stop_parts, stopped) = watch::channel(*self.options.stop.borrow());
        let parts = self.plan.parts();
        let all = futures::future::join_all(parts.iter().map(|(sources, sinks)| async {
            let failure = self.part(sources, sinks, &queues, &stopped).await;
            self.nothing_more_from(sources);
            if let (Some(error), true) = (&failure, parts.len() > 1) {
                tracing::error!(error = %error, "a part of the pipeline cannot go on; ending the others");
                stop_parts.send_if_modified(|stop| std::mem::replace(stop, Stop::Drain) == Stop::No);
            }
            failure
        }));
        let ends = tokio::select! {
            ends = all => ends,
            () = self.report_progress() => Vec::new(),
            () = forward(self.options.stop.clone(), &stop_parts) => Vec::new(),
        };
        let error = ends.into_iter().flatten().next();
        drop(queues);
        finish_best_effort(best_effort_tasks, self.options.grace).await;
        Outcome {
            ledger: self
                .plan
                .sources
                .iter()
                .zip(&self.ledgers)
                .map(|(source, ledger)| ledger.line(&source.name))
                .collect(),
            best_effort: self
                .plan
                .sinks
                .iter()
                .zip(&self.best_effort)
                .filter_map(|(sink, counters)| Some(counters.as_ref()?.line(&sink.name)))
                .collect(),
            validations: self.plan.validations().map(|validation| validation.line()).collect(),
            dead_letters: self.dead_letters.path().to_path_buf(),
            error,
        }
    }

    /// However a part has ended: nothing more comes from its sources.
    fn nothing_more_from(&self, sources: &std::collections::BTreeSet<usize>) {
        for source in sources {
            self.working[*source].lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Calls the progress function until the end of time.
    async fn report_progress(&self) {
        let Some(report) = &self.options.progress else {
            return std::future::pending().await;
        };
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        loop {
            tick.tick().await;
            let events = self.ledgers.iter().map(|ledger| ledger.events_read()).sum();
            let done = self.progress.iter().map(|progress| progress.done.load(Ordering::Relaxed)).sum();
            let total = self.progress.iter().map(|progress| progress.total.load(Ordering::Relaxed)).sum();
            report(events, done, total);
        }
    }

    /// Runs one part of the graph, building it anew after a rollback. Returns what went wrong.
    async fn part(
        &self,
        sources: &std::collections::BTreeSet<usize>,
        sinks: &std::collections::BTreeSet<usize>,
        queues: &[Option<BestEffortQueue>],
        stop: &watch::Receiver<Stop>,
    ) -> Option<String> {
        let key =
            sources.iter().map(|source| &*self.plan.sources[*source].name).collect::<Vec<_>>().join(",");
        let mut rollbacks = 0;
        loop {
            let before: Vec<_> =
                sources.iter().map(|source| self.ledgers[*source].in_flight.events()).collect();
            let epoch = match self.store.last_epoch(&key) {
                Ok(epoch) => epoch,
                Err(error) => return Some(error.to_string()),
            };
            let mut tasks = JoinSet::new();
            let mut coordinator =
                match self.build(&key, epoch, sources, sinks, queues, stop, &mut tasks).await {
                    Ok(coordinator) => coordinator,
                    Err(error) => return Some(error),
                };
            let end = coordinator.run().await;
            let recorded = coordinator.epoch > epoch + 1;
            drop(coordinator);
            if matches!(end, End::Done) {
                while tasks.join_next().await.is_some() {}
            } else if tokio::time::timeout(LAST_WAIT, tasks.shutdown()).await.is_err() {
                tracing::warn!("a task is held up in a write; it is left behind");
                tasks.detach_all();
            }
            match end {
                End::Done | End::OutputClosed | End::Unbalanced => return None,
                End::OutOfTime => {
                    tracing::warn!("not everything was delivered in time; the next run takes it up again");
                    return None;
                }
                End::Failed(error) => return Some(error),
                End::RolledBack => {
                    if let Some(pipe) =
                        sources.iter().find(|source| !self.plan.sources[**source].factory.is_replayable())
                    {
                        return Some(format!(
                            "events failed inside the process, and source `{}` cannot be asked again",
                            self.plan.sources[*pipe].name
                        ));
                    }
                    rollbacks = if recorded { 1 } else { rollbacks + 1 };
                    if rollbacks >= MAX_ROLLBACKS {
                        return Some(format!("events failed inside the process {rollbacks} times in a row"));
                    }
                    for (source, before) in sources.iter().zip(before) {
                        self.ledgers[*source].rolled_back(before);
                    }
                }
            }
        }
    }

    /// Builds sources, sinks, what stateful transforms share, and the tasks between them, at the
    /// last recorded epoch.
    #[allow(clippy::too_many_arguments, reason = "all of it is what one part is made of")]
    async fn build(
        &self,
        key: &str,
        epoch: u64,
        sources: &std::collections::BTreeSet<usize>,
        sinks: &std::collections::BTreeSet<usize>,
        queues: &[Option<BestEffortQueue>],
        stop: &watch::Receiver<Stop>,
        tasks: &mut JoinSet<()>,
    ) -> Result<Coordinator, String> {
        let plan = &self.plan;
        let dead_letters = plan.sinks.len();
        let (notices, notices_in) = mpsc::unbounded_channel();
        let stages = Stages::build(plan, sources, &self.store).map_err(|error| error.to_string())?;

        let mut handles = Vec::new();
        for number in sinks.iter().copied().filter(|sink| plan.sinks[*sink].required) {
            let node = &plan.sinks[number];
            let failed = |error: String| format!("sink `{}`: {error}", node.name);
            let journal = Journal::new(self.store.clone(), node.name.clone());
            let context = SinkContext { name: node.name.clone(), journal };
            let sink = node.factory.build(context).map_err(|error| failed(error.to_string()))?;
            let rows = self.store.rows(&node.name).map_err(|error| error.to_string())?;
            sink.resume(rows).await.map_err(|error| failed(error.to_string()))?;
            handles.push(SinkHandle { number, name: node.name.clone(), sink });
        }
        let letters: Arc<dyn Sink> = Arc::new(self.dead_letters.clone());
        handles.push(SinkHandle { number: dead_letters, name: Arc::from("dead_letters"), sink: letters });

        // edges into each sink: from the dispatcher of each source, and from sinks that refuse
        let mut inputs: BTreeMap<usize, Vec<mpsc::Receiver<sink_task::Message>>> = BTreeMap::new();
        let mut edge_to = |sink: usize| {
            let (edge, input) = mpsc::channel(EDGE_QUEUE);
            inputs.entry(sink).or_default().push(input);
            (sink, edge)
        };
        let is_task = |sink: &usize| *sink == dead_letters || plan.sinks[*sink].required;
        let mut source_edges = Vec::new();
        for source in sources {
            let reached = plan.sinks_of_source(*source).into_iter().chain([dead_letters]).filter(is_task);
            source_edges.push(reached.map(&mut edge_to).collect::<Vec<_>>());
        }
        let mut error_edges: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for handle in handles.iter().filter(|handle| handle.number != dead_letters) {
            let errors = &plan.sinks[handle.number].errors;
            let reached = plan.sinks_from(errors, true).into_iter().chain([dead_letters]).filter(is_task);
            error_edges.insert(handle.number, reached.map(&mut edge_to).collect());
        }

        for handle in &handles {
            let retry = plan.sinks.get(handle.number).map(|node| node.retry.clone()).unwrap_or_default();
            let task = SinkTask {
                number: handle.number,
                name: handle.name.clone(),
                sink: handle.sink.clone(),
                inputs: inputs.remove(&handle.number).unwrap_or_default(),
                error_edges: error_edges.remove(&handle.number).unwrap_or_default(),
                best_effort: queues.to_vec(),
                pool: self.pool.clone(),
                stages: stages.clone(),
                retry,
                once: self.options.once,
                notices: notices.clone(),
            };
            tasks.spawn(task.run());
        }

        let activity =
            Arc::new(Activity { max_bytes: self.commit.max_bytes.bytes().max(1), ..Activity::default() });
        let mut source_handles = Vec::new();
        for (number, edges) in sources.iter().copied().zip(source_edges) {
            let node = &plan.sources[number];
            let context = SourceContext {
                name: node.name.clone(),
                rows: self.store.rows(&node.name).map_err(|error| error.to_string())?,
                once: self.options.once,
                reset_hint: self.reset_hint.clone(),
                alerts: self.alerts.clone(),
                wire: self.wire.clone(),
            };
            let source =
                node.factory.build(context).map_err(|error| format!("source `{}`: {error}", node.name))?;
            let (commands, commands_in) = mpsc::channel(8);
            let (ordered, ordered_in) = mpsc::channel(ORDER_QUEUE);
            let task = SourceTask {
                number,
                source,
                commands: commands_in,
                notices: notices.clone(),
                ordered,
                pool: self.pool.clone(),
                ledger: self.ledgers[number].clone(),
                activity: activity.clone(),
                progress: self.progress[number].clone(),
                workers: self.workers,
                working: self.working[number].clone(),
                stages: stages.clone(),
                submitted: 0,
            };
            tasks.spawn(task.run());
            tasks.spawn(source_task::dispatch(ordered_in, edges, queues.to_vec()));
            source_handles.push(SourceHandle {
                number,
                name: node.name.clone(),
                commands,
                ledger: self.ledgers[number].clone(),
            });
        }

        Ok(Coordinator {
            key: key.to_owned(),
            running: sources.clone(),
            sources: source_handles,
            sinks: handles,
            notices: notices_in,
            store: self.store.clone(),
            stages,
            activity,
            interval: self.commit.interval.into(),
            stop: stop.clone(),
            grace: self.options.grace,
            epoch,
            deadline: None,
            failure: None,
        })
    }

    /// Builds the best effort sinks and their tasks. They serve all parts and outlive rollbacks. One
    /// that cannot be built drops everything, and holds up nobody.
    fn start_best_effort(&self) -> (Vec<Option<BestEffortQueue>>, JoinSet<()>) {
        let mut tasks = JoinSet::new();
        let mut queues = Vec::new();
        for (node, counters) in self.plan.sinks.iter().zip(&self.best_effort) {
            let Some(counters) = counters else {
                queues.push(None);
                continue;
            };
            // no epoch would ever take its rows away, so it leaves none
            let context = SinkContext { name: node.name.clone(), journal: Journal::none(node.name.clone()) };
            let sink = node.factory.build(context);
            if let Err(error) = &sink {
                tracing::warn!(sink = &*node.name, error = %error, "the best effort sink drops all events");
            }
            let (queue, deliveries) = mpsc::channel(BEST_EFFORT_QUEUE);
            tasks.spawn(sink_task::run_best_effort(
                node.name.clone(),
                sink.ok(),
                deliveries,
                counters.clone(),
            ));
            queues.push(Some(BestEffortQueue { queue, counters: counters.clone() }));
        }
        (queues, tasks)
    }
}

/// Hands the caller's words to stop on to the parts.
async fn forward(mut from: watch::Receiver<Stop>, to: &watch::Sender<Stop>) {
    loop {
        let stop = *from.borrow_and_update();
        if stop != Stop::No {
            to.send_replace(stop);
        }
        if from.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Gives best effort sinks some time to finish what they have.
async fn finish_best_effort(mut tasks: JoinSet<()>, grace: Duration) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, all).await.is_err() {
        tracing::warn!("a best effort sink did not finish in time");
    }
}

/// Lets the process open as many files as the system allows it: tails and partitions hold many.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(error = %error, "the limit of open files stays as it is");
        }
    }
}
