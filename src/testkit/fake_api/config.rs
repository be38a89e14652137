//! What a fake API is made of: its data, clock, logins, limits, and the choices its documents leave open.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use chrono::TimeDelta;

use super::{Auth, Clock, Endpoint, Faults, RateLimits};

/// Everything that can be chosen at the start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// The same seed makes the same records and the same faults.
    pub seed: u64,
    /// Atlas' organisation.
    pub organization: String,
    /// Atlassian's organisation.
    pub atlassian_organization: String,
    /// Projects.
    pub projects: usize,
    /// Hosts of each project, three to a cluster.
    pub hosts_per_project: usize,
    /// Events of the organisation.
    pub organization_events: usize,
    /// Events of each project.
    pub project_events: usize,
    /// Access records of each host.
    pub access_records: usize,
    /// Events of Atlassian's organisation.
    pub atlassian_events: usize,
    /// How far before the clock's start the records begin.
    pub before: Duration,
    /// How far after it they go on: these become visible as the clock moves.
    pub after: Duration,
    /// The server's clock.
    pub clock: Clock,
    /// What `Date` adds to the server's clock.
    pub skew: TimeDelta,
    /// How Atlas wants clients to log in.
    pub auth: Auth,
    /// Atlassian's API key; without one anyone may ask.
    pub atlassian_key: Option<String>,
    /// The rate limits.
    pub limits: RateLimits,
    /// The faults.
    pub faults: Faults,
    /// Atlas' choices.
    pub atlas: AtlasOptions,
    /// Atlassian's choices.
    pub atlassian: AtlassianOptions,
    /// Whether answers are compressed for clients that take gzip.
    pub gzip: bool,
    /// Requests that the log keeps.
    pub log_capacity: usize,
}

impl Default for Config {
    /// Three projects with three hosts, some hundred records each, over the last week; no login, no faults.
    fn default() -> Self {
        Config {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            seed: 1,
            organization: "6512f0a1c4d3e2b1a0f98700".to_owned(),
            atlassian_organization: "a1b2c3d4-0000-4000-8000-00000000c0de".to_owned(),
            projects: 3,
            hosts_per_project: 3,
            organization_events: 200,
            project_events: 200,
            access_records: 100,
            atlassian_events: 200,
            before: Duration::from_hours(7 * 24),
            after: Duration::ZERO,
            clock: Clock::default(),
            skew: TimeDelta::zero(),
            auth: Auth::None,
            atlassian_key: None,
            limits: RateLimits::default(),
            faults: Faults::default(),
            atlas: AtlasOptions::default(),
            atlassian: AtlassianOptions::default(),
            gzip: true,
            log_capacity: 10_000,
        }
    }
}

/// What a log download without lines looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmptyLog {
    /// A gzip file of nothing.
    #[default]
    Gzip,
    /// No byte at all.
    NoBody,
}

/// The choices Atlas' documents leave open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtlasOptions {
    /// Whether `maxDate` is exclusive. `minDate` is always inclusive.
    pub exclusive_max: bool,
    /// The greatest `itemsPerPage`.
    pub max_page: usize,
    /// The greatest `nLogs`, and its default.
    pub max_logs: usize,
    /// Access records that are given at most, whatever was asked for: a silent loss.
    pub truncate_logs: Option<usize>,
    /// Whether `totalCount` is wrong by a tenth, as an estimate may be.
    pub rough_count: bool,
    /// A version that is no more: 410.
    pub sunset: Option<String>,
    /// A version that will be no more: `Deprecation` and `Sunset` headers.
    pub deprecated: Option<String>,
    /// How long log files lag behind the server's clock.
    pub log_lag: Duration,
    /// What an empty log looks like.
    pub empty_log: EmptyLog,
    /// Percent of the access records that are there twice, equal to the byte.
    pub twins: u32,
}

impl Default for AtlasOptions {
    fn default() -> Self {
        AtlasOptions {
            exclusive_max: false,
            max_page: 500,
            max_logs: 20_000,
            truncate_logs: None,
            rough_count: true,
            sunset: None,
            deprecated: None,
            log_lag: Duration::from_mins(5),
            empty_log: EmptyLog::Gzip,
            twins: 2,
        }
    }
}

/// How Atlassian's last page looks: its sources disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastPage {
    /// Every page has a cursor; the last one's yields newer events later.
    #[default]
    KeepsCursor,
    /// After the last event comes a page without data and without a cursor.
    NullNext,
}

/// Where Atlassian's next cursor is, and in what form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NextStyle {
    /// The bare cursor in `meta.next`.
    Bare,
    /// A URL in `links.next`.
    Url,
    /// The bare cursor in `meta.next` and a URL in `links.next`.
    #[default]
    Both,
    /// A URL in `meta.next` and the bare cursor in `links.next`.
    Swapped,
}

/// The choices Atlassian's documents leave open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtlassianOptions {
    /// The last page.
    pub last_page: LastPage,
    /// The next cursor.
    pub next: NextStyle,
    /// Percent of the pages that are shorter than asked for, though more follow.
    pub short_pages: u32,
    /// What `meta.page_size` says; the number of events asked for if none.
    pub page_size: Option<usize>,
    /// How long events are kept.
    pub retention: Duration,
}

impl Default for AtlassianOptions {
    fn default() -> Self {
        AtlassianOptions {
            last_page: LastPage::default(),
            next: NextStyle::default(),
            short_pages: 0,
            page_size: Some(100),
            retention: Duration::from_hours(180 * 24),
        }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 401: the key does not belong to the organisation.
    NotAMember,
    /// 403: the address is not on the access list.
    AccessList,
    /// 403: the key's roles do not allow it.
    Role,
    /// 404: there is no such thing.
    NotFound,
    /// 400 for access history, auditing and logs: not with this cluster tier.
    Tier,
}

/// A refusal, and where it applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    /// Why.
    pub refusal: Refusal,
    /// Only for these endpoints; for all if empty.
    pub only: Vec<Endpoint>,
}

impl Restriction {
    /// Whether it applies to an endpoint.
    pub(super) fn hits(&self, endpoint: Endpoint) -> bool {
        use Endpoint as E;
        let tiers = [E::AccessOfCluster, E::AccessOfHost, E::Auditing, E::Logs];
        let is_meant = self.only.is_empty() || self.only.contains(&endpoint);
        is_meant && (self.refusal != Refusal::Tier || tiers.contains(&endpoint))
    }
}

impl From<Refusal> for Restriction {
    fn from(refusal: Refusal) -> Self {
        Restriction { refusal, only: Vec::new() }
    }
}
