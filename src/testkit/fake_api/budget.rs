//! Rate limits: token buckets per set of endpoints and scope, and what was seen of them.
//!
//! Sets and numbers are the documented ones. Every request is accounted for even if the limits are
//! not enforced, so that a test can prove that a client kept its budget by itself.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Endpoint;
use super::routes::Route;

/// A group of endpoints that share a budget, each with its own kind of scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateSet {
    /// Events of a project: 300, 100 a minute.
    ProjectEvents,
    /// Events of an organisation: 500, 250 a minute.
    OrganizationEvents,
    /// Event types, per user: 300, 100 a minute.
    EventTypes,
    /// Processes, per user: 300, 100 a minute.
    ProcessesOfUser,
    /// Processes, per project: 300, 100 a minute.
    ProcessesOfProject,
    /// Access history, per project: 1200, 500 a minute.
    AccessHistory,
    /// Auditing configuration, per project: 1200, 500 a minute.
    Auditing,
    /// Downloads of logs, per project: 10000, 5000 a minute.
    Logs,
    /// Clusters, per project: 10000, 5000 a minute.
    Clusters,
    /// Projects of an organisation, per organisation: 500, 250 a minute.
    OrganizationProjects,
    /// Projects, per user: 1200, 500 a minute.
    Projects,
    /// Organisations, per user: 300, 100 a minute.
    Organizations,
    /// Tokens, per client: 10 a minute.
    Token,
    /// Atlassian's stream, per user: 60 a minute.
    AtlassianUser,
    /// Atlassian's stream, per path: 50 a minute.
    AtlassianPath,
}

/// A bucket's size and what comes back per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Requests at once.
    pub capacity: u32,
    /// Requests that come back per period.
    pub refill: u32,
}

/// How a bucket fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Refill {
    /// Evenly.
    #[default]
    Continuous,
    /// All at the end of a period.
    Stepped,
}

/// Which clock fills the buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BudgetTime {
    /// Real time.
    #[default]
    Real,
    /// The server's clock.
    Server,
}

/// The limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    /// Whether a request to an empty bucket is refused; it counts as a violation in any case.
    pub enforce: bool,
    /// The period of the refill.
    pub period: Duration,
    /// How buckets fill.
    pub refill: Refill,
    /// Which clock fills them.
    pub time: BudgetTime,
    /// The limits; a set that is missing has none.
    pub sets: BTreeMap<RateSet, Limit>,
}

impl Default for RateLimits {
    /// The documented ones, enforced.
    fn default() -> Self {
        use RateSet as S;
        let documented = [
            (S::ProjectEvents, 300, 100),
            (S::OrganizationEvents, 500, 250),
            (S::EventTypes, 300, 100),
            (S::ProcessesOfUser, 300, 100),
            (S::ProcessesOfProject, 300, 100),
            (S::AccessHistory, 1200, 500),
            (S::Auditing, 1200, 500),
            (S::Logs, 10_000, 5000),
            (S::Clusters, 10_000, 5000),
            (S::OrganizationProjects, 500, 250),
            (S::Projects, 1200, 500),
            (S::Organizations, 300, 100),
            (S::Token, 10, 10),
            (S::AtlassianUser, 60, 60),
            (S::AtlassianPath, 50, 50),
        ];
        let sets = documented.into_iter().map(|(set, capacity, refill)| (set, Limit { capacity, refill }));
        RateLimits {
            enforce: true,
            period: Duration::from_mins(1),
            refill: Refill::Continuous,
            time: BudgetTime::Real,
            sets: sets.collect(),
        }
    }
}

impl RateLimits {
    /// The documented limits, counted but not enforced.
    pub fn off() -> Self {
        RateLimits { enforce: false, ..RateLimits::default() }
    }

    /// With another limit for a set.
    #[must_use]
    pub fn with(mut self, set: RateSet, capacity: u32, refill: u32) -> Self {
        self.sets.insert(set, Limit { capacity, refill });
        self
    }
}

/// What was seen of one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The set of endpoints.
    pub set: RateSet,
    /// The project, organisation, user, client or path.
    pub scope: String,
    /// Its limit.
    pub limit: Limit,
    /// Requests, including the refused ones.
    pub requests: u64,
    /// Requests that came while it was empty.
    pub violations: u64,
    /// The most requests within any one period.
    pub most_in_period: usize,
}

#[derive(Debug)]
struct Bucket {
    limit: Limit,
    tokens: f64,
    filled: f64,
    arrivals: VecDeque<f64>,
    most: usize,
    requests: u64,
    violations: u64,
}

/// A bucket after a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) limit: Limit,
    pub(super) remaining: u32,
    /// Seconds of budget time until one more request is allowed, or, if one is, until it is full.
    pub(super) wait: f64,
    pub(super) is_refused: bool,
}

/// All buckets.
#[derive(Debug)]
pub(super) struct Budgets {
    limits: RateLimits,
    buckets: BTreeMap<(RateSet, String), Bucket>,
}

impl Budgets {
    pub(super) fn new(limits: RateLimits) -> Self {
        Budgets { limits, buckets: BTreeMap::new() }
    }

    /// Takes one request from each of the buckets, or from none. Yields the tightest.
    pub(super) fn take(&mut self, scopes: &[(RateSet, String)], now: f64) -> Option<Level> {
        let period = self.limits.period.as_secs_f64().max(1e-3);
        let scopes: Vec<_> = scopes.iter().filter(|(set, _)| self.limits.sets.contains_key(set)).collect();
        let mut is_empty = false;
        for key in &scopes {
            let limit = self.limits.sets[&key.0];
            let refill = self.limits.refill;
            let bucket = self.buckets.entry((*key).clone()).or_insert_with(|| Bucket::new(limit, now));
            bucket.fill(now, period, refill);
            bucket.arrive(now, period);
            if bucket.tokens < 1.0 {
                bucket.violations += 1;
                is_empty = true;
            }
        }
        let mut tightest: Option<Level> = None;
        for key in scopes {
            let Some(bucket) = self.buckets.get_mut(key) else { continue };
            if !is_empty {
                bucket.tokens -= 1.0;
            }
            let level = bucket.level(now, period, self.limits.refill, is_empty && self.limits.enforce);
            if tightest.is_none_or(|other| level.remaining < other.remaining) {
                tightest = Some(level);
            }
        }
        tightest
    }

    /// What was seen.
    pub(super) fn report(&self) -> Vec<Budget> {
        let buckets = self.buckets.iter().map(|((set, scope), bucket)| Budget {
            set: *set,
            scope: scope.clone(),
            limit: bucket.limit,
            requests: bucket.requests,
            violations: bucket.violations,
            most_in_period: bucket.most,
        });
        buckets.collect()
    }

    /// The limits of the sets.
    pub(super) fn limits(&self) -> &RateLimits {
        &self.limits
    }
}

impl Bucket {
    fn new(limit: Limit, now: f64) -> Self {
        Bucket {
            limit,
            tokens: f64::from(limit.capacity),
            filled: now,
            arrivals: VecDeque::new(),
            most: 0,
            requests: 0,
            violations: 0,
        }
    }

    fn fill(&mut self, now: f64, period: f64, refill: Refill) {
        let periods = ((now - self.filled) / period).max(0.0);
        let periods = match refill {
            Refill::Continuous => periods,
            Refill::Stepped => periods.floor(),
        };
        self.filled += periods * period;
        let tokens = self.tokens + periods * f64::from(self.limit.refill);
        self.tokens = tokens.min(f64::from(self.limit.capacity));
    }

    fn arrive(&mut self, now: f64, period: f64) {
        self.requests += 1;
        self.arrivals.push_back(now);
        while self.arrivals.front().is_some_and(|first| *first <= now - period) {
            self.arrivals.pop_front();
        }
        self.most = self.most.max(self.arrivals.len());
    }

    fn level(&self, now: f64, period: f64, refill: Refill, is_refused: bool) -> Level {
        let wanted = if self.tokens < 1.0 { 1.0 } else { f64::from(self.limit.capacity) } - self.tokens;
        let wait = match refill {
            Refill::Continuous => wanted / f64::from(self.limit.refill.max(1)) * period,
            Refill::Stepped => self.filled + period - now,
        };
        Level { limit: self.limit, remaining: self.tokens.max(0.0) as u32, wait: wait.max(0.0), is_refused }
    }
}

/// The buckets that a request is taken from.
pub(super) fn scopes(route: &Route, user: &str) -> Vec<(RateSet, String)> {
    let project = || route.project.clone().unwrap_or_default();
    let organization = || route.organization.clone().unwrap_or_default();
    let user = || user.to_owned();
    match route.endpoint {
        Endpoint::ProjectEvents | Endpoint::ProjectEvent => vec![(RateSet::ProjectEvents, project())],
        Endpoint::OrganizationEvents | Endpoint::OrganizationEvent => {
            vec![(RateSet::OrganizationEvents, organization())]
        }
        Endpoint::EventTypes => vec![(RateSet::EventTypes, user())],
        Endpoint::Processes => {
            vec![(RateSet::ProcessesOfUser, user()), (RateSet::ProcessesOfProject, project())]
        }
        Endpoint::AccessOfCluster | Endpoint::AccessOfHost => vec![(RateSet::AccessHistory, project())],
        Endpoint::Auditing => vec![(RateSet::Auditing, project())],
        Endpoint::Logs => vec![(RateSet::Logs, project())],
        Endpoint::Clusters => vec![(RateSet::Clusters, project())],
        Endpoint::OrganizationProjects => vec![(RateSet::OrganizationProjects, organization())],
        Endpoint::Projects | Endpoint::Project => vec![(RateSet::Projects, user())],
        Endpoint::Organizations => vec![(RateSet::Organizations, user())],
        Endpoint::Token => vec![(RateSet::Token, user())],
        Endpoint::AtlassianEvents => {
            vec![(RateSet::AtlassianUser, user()), (RateSet::AtlassianPath, organization())]
        }
        Endpoint::Revoke | Endpoint::RateLimits | Endpoint::AtlassianOrganizations | Endpoint::Unknown => {
            Vec::new()
        }
    }
}
