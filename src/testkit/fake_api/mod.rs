//! Fake audit APIs of MongoDB Atlas and Atlassian, for tests of what pulls from them.
//!
//! A [`FakeApi`] listens on a local port. It answers as the vendors' documents say, with made-up
//! records, and misbehaves as much as [`Faults`] wants: rate limits, errors, cut connections, stale
//! nonces, revoked tokens, events that come late. A test knows the truth: which records there are
//! and when they become visible ([`FakeApi::events`]), what was asked ([`FakeApi::log`],
//! [`FakeApi::requests`]) and whether the client kept its budget ([`FakeApi::budget_violations`]).
//!
//! Where the documents are silent the fake does what [`AtlasOptions`] and [`AtlassianOptions`] say.
//! Time is the server's own ([`ServerClock`]): what happens after the clock's start becomes visible
//! as the clock runs or is moved. Nonces, tokens and `Retry-After` are in real time.
//!
//! Names of error codes that the documents do not give are invented: only the status counts.

mod access;
mod atlas;
mod atlassian;
mod budget;
mod clock;
mod config;
mod dataset;
mod faults;
mod journal;
mod login;
mod random;
mod records;
mod routes;
mod server;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::oneshot;

pub use budget::{Budget, BudgetTime, Limit, RateLimits, RateSet, Refill};
pub use clock::{Clock, ServerClock};
pub use config::{
    AtlasOptions, AtlassianOptions, Config, EmptyLog, LastPage, NextStyle, Refusal, Restriction,
};
pub use dataset::{Partition, Truth};
pub use faults::{Fault, Faults};
pub use journal::{AuthKind, Logged, Requests};
pub use login::{Algorithm, Auth, Digest, Logins, ServiceAccount};
pub use routes::Endpoint;

/// What the server and its handles share.
#[derive(Debug)]
struct Shared {
    config: Config,
    url: String,
    clock: ServerClock,
    began: Instant,
    down: Arc<AtomicBool>,
    data: Mutex<dataset::Dataset>,
    login: Mutex<login::Login>,
    faults: Mutex<faults::Injector>,
    budgets: Mutex<budget::Budgets>,
    journal: Mutex<journal::Journal>,
    restrictions: Mutex<BTreeMap<String, Restriction>>,
}

/// Locks; a test that panicked elsewhere does not make the server fail, too.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct FakeApi {
    shared: Arc<Shared>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeApi {
    fn bind(config: Config) -> io::Result<(TcpListener, Arc<Shared>)> {
        let listener = TcpListener::bind(config.address)?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            url: format!("http://{}", listener.local_addr()?),
            clock: ServerClock::new(config.clock, config.skew),
            began: Instant::now(),
            down: Arc::default(),
            data: Mutex::new(dataset::Dataset::new(&config)),
            login: Mutex::new(login::Login::new(config.auth.clone(), config.seed)),
            faults: Mutex::new(faults::Injector::new(config.faults.clone(), config.seed)),
            budgets: Mutex::new(budget::Budgets::new(config.limits.clone())),
            journal: Mutex::default(),
            restrictions: Mutex::default(),
            config,
        });
        // making the records took time that the clock should not have
        shared.clock.set(shared.config.clock.start);
        Ok((listener, shared))
    }

    /// Starts on the current runtime.
    #[expect(clippy::unused_async, reason = "it needs a runtime, and this is how it shows")]
    pub async fn start(config: Config) -> io::Result<FakeApi> {
        let (listener, shared) = FakeApi::bind(config)?;
        let (end, ended) = oneshot::channel();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(server::serve(listener, shared.clone(), ended));
        Ok(FakeApi { shared, end: Some(end), thread: None })
    }

    /// Starts on a thread with a runtime of its own.
    pub fn start_thread(config: Config) -> io::Result<FakeApi> {
        let (listener, shared) = FakeApi::bind(config)?;
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let served = shared.clone();
        let thread = std::thread::Builder::new().name("fake-api".to_owned()).spawn(move || {
            runtime.block_on(async {
                // a socket that cannot be registered is a server that does not answer
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    server::serve(listener, served, ended).await;
                }
            });
        })?;
        Ok(FakeApi { shared, end: Some(end), thread: Some(thread) })
    }

    /// Stops: no new connections, and an end of the old ones.
    pub fn stop(self) {}

    /// `http://127.0.0.1:port`. Atlas is below `/api/atlas/v2`, tokens are at `/api/oauth/token`,
    /// Atlassian is below `/admin`.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// What it was started with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The server's clock.
    pub fn clock(&self) -> ServerClock {
        self.shared.clock.clone()
    }

    /// All partitions, without those of removed projects.
    pub fn partitions(&self) -> Vec<Partition> {
        lock(&self.shared.data).partitions()
    }

    /// The ids of the projects that are there.
    pub fn projects(&self) -> Vec<String> {
        let data = lock(&self.shared.data);
        data.projects.iter().filter(|project| !project.is_removed).map(|project| project.id.clone()).collect()
    }

    /// The truth: all records of a partition that are or will become visible, oldest first.
    pub fn events(&self, partition: &Partition) -> Vec<Truth> {
        lock(&self.shared.data).truth(partition)
    }

    /// The ids of a partition's records. Equal access records are one here.
    pub fn ids(&self, partition: &Partition) -> BTreeSet<String> {
        self.events(partition).into_iter().map(|truth| truth.id).collect()
    }

    /// Adds records with the given times and yields their ids. They are visible at once, or from their
    /// time on if it is in the future: one in the past comes late. Atlassian's are processed at once, or
    /// at that time.
    pub fn add_events(&self, partition: &Partition, times: &[DateTime<Utc>]) -> Vec<String> {
        let times: Vec<i64> = times.iter().map(DateTime::timestamp_micros).collect();
        // under the lock, so that no request sees a time after an event's before the event
        let mut data = lock(&self.shared.data);
        let now = self.shared.clock.micros();
        data.add(partition, &times, now)
    }

    /// Adds a record with a text of its own, an object in JSON, and yields its id. Nothing is added if
    /// there is no such partition or the text is not JSON.
    pub fn add_record(
        &self,
        partition: &Partition,
        at: DateTime<Utc>,
        text: impl Into<Bytes>,
    ) -> Option<String> {
        let mut data = lock(&self.shared.data);
        let now = self.shared.clock.micros();
        data.add_record(partition, at.timestamp_micros(), now, text.into())
    }

    /// The lines that a host's log file has over all time, oldest first.
    pub fn log_lines(&self, project: &str, host: &str, log: &str) -> Vec<String> {
        let data = lock(&self.shared.data);
        let hosts = data.project(project).map(|project| project.hosts.as_slice()).unwrap_or_default();
        let window = dataset::Window { from: i64::MIN, to: i64::MAX, now: i64::MAX, keep: None };
        let host = hosts.iter().find(|known| known.name == host);
        host.map(|host| access::lines(host, log, &window)).unwrap_or_default()
    }

    /// Makes one more project, with events and hosts, and yields its id.
    pub fn add_project(&self) -> String {
        let faults = lock(&self.shared.faults).faults.clone();
        lock(&self.shared.data).add_project(&faults)
    }

    /// Removes a project: its paths answer 404, its truth stays. Yields whether it was there.
    pub fn remove_project(&self, id: &str) -> bool {
        let mut data = lock(&self.shared.data);
        let project = data.projects.iter_mut().find(|project| project.id == id && !project.is_removed);
        project.map(|project| project.is_removed = true).is_some()
    }

    /// A project's auditing configuration.
    pub fn auditing(&self, project: &str) -> Option<Value> {
        lock(&self.shared.data).project(project).map(|project| project.auditing.clone())
    }

    /// Changes a project's auditing configuration.
    pub fn set_auditing(&self, project: &str, auditing: Value) {
        let mut data = lock(&self.shared.data);
        if let Some(project) = data.projects.iter_mut().find(|known| known.id == project) {
            project.auditing = auditing;
        }
    }

    /// Refuses requests for a project, for an organisation, or, with `*`, for anything.
    pub fn restrict(&self, scope: &str, restriction: impl Into<Restriction>) {
        lock(&self.shared.restrictions).insert(scope.to_owned(), restriction.into());
    }

    /// Lifts a restriction.
    pub fn allow(&self, scope: &str) {
        lock(&self.shared.restrictions).remove(scope);
    }

    /// Changes the faults from the next request on. What was asked for by `fail_next` stays.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.shared.faults).faults = faults;
    }

    /// Lets the next requests fail whose path and query contain a text, before any chance is taken.
    pub fn fail_next(&self, contains: &str, fault: Fault, times: u32) {
        lock(&self.shared.faults).order(contains, fault, times);
    }

    /// How often each fault was used.
    pub fn faults_hit(&self) -> BTreeMap<Fault, u64> {
        lock(&self.shared.faults).hits.clone()
    }

    /// Takes back all tokens.
    pub fn revoke_tokens(&self) {
        lock(&self.shared.login).revoke_all();
    }

    /// Lets all nonces that were given out be stale.
    pub fn spend_nonces(&self) {
        lock(&self.shared.login).spend_all();
    }

    /// What was seen of logins.
    pub fn logins(&self) -> Logins {
        lock(&self.shared.login).seen
    }

    /// Requests for a token, whatever came of them.
    pub fn token_requests(&self) -> u64 {
        self.logins().token_requests
    }

    /// Numbers of requests per endpoint and status.
    pub fn requests(&self) -> Requests {
        lock(&self.shared.journal).requests.clone()
    }

    /// The last requests, oldest first.
    pub fn log(&self) -> Vec<Logged> {
        lock(&self.shared.journal).log.iter().cloned().collect()
    }

    /// Each rate limit's use so far.
    pub fn budgets(&self) -> Vec<Budget> {
        lock(&self.shared.budgets).report()
    }

    /// Requests that came while a bucket was empty, whether they were refused or not.
    pub fn budget_violations(&self) -> u64 {
        self.budgets().iter().map(|budget| budget.violations).sum()
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        self.shared.down.store(true, Ordering::Release);
        self.end.take();
        if let Some(thread) = self.thread.take() {
            // a panic of the server has been printed
            let _ = thread.join();
        }
    }
}
