//! The records: made once, kept as text in order of their time, found by binary search.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::clock::time;
use super::config::Config;
use super::faults::Faults;
use super::random::Random;
use super::records::{self, Id, Meta, Place};

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// Where a record belongs: what a client keeps a cursor for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// The events of Atlas' organisation.
    Organization,
    /// The events of a project.
    Project(String),
    /// The access history of a host.
    Host {
        /// The project.
        project: String,
        /// The host, with its port.
        host: String,
    },
    /// The events of Atlassian's organisation.
    Atlassian,
}

/// A record that the server has or will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Its id; for an access record, which has none, the SHA-256 of its text.
    pub id: String,
    /// Its time: `created`, the time of the access, or `processedAt`.
    pub at: DateTime<Utc>,
    /// When it becomes visible, by the server's clock.
    pub visible_at: DateTime<Utc>,
    /// Its text, with `raw`.
    pub record: Bytes,
}

/// A record and what the server needs to know of it. Times are microseconds.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) key: i64,
    pub(super) visible: i64,
    pub(super) number: u64,
    pub(super) meta: Meta,
    pub(super) bytes: Bytes,
}

impl Record {
    /// Appends the text, with or without its `raw`.
    pub(super) fn write(&self, with_raw: bool, out: &mut Vec<u8>) {
        let raw = self.meta.raw.start as usize..self.meta.raw.end as usize;
        if with_raw || raw.is_empty() {
            out.extend_from_slice(&self.bytes);
        } else {
            out.extend_from_slice(&self.bytes[..raw.start]);
            out.extend_from_slice(&self.bytes[raw.end..]);
        }
    }

    /// The id as text.
    pub(super) fn id(&self) -> String {
        records::id_text(&self.meta.id, &self.bytes)
    }
}

/// Which records are asked for.
pub(super) struct Window<'a> {
    /// The least time, inclusive.
    pub(super) from: i64,
    /// The greatest time, inclusive.
    pub(super) to: i64,
    /// The server's time.
    pub(super) now: i64,
    /// Which of them; all if none.
    pub(super) keep: Option<&'a dyn Fn(&Record) -> bool>,
}

/// Records in order of time, and of their numbers where times are equal.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) records: Vec<Record>,
    lateness: i64,
    next: u64,
}

impl Stream {
    fn insert(&mut self, key: i64, visible: i64, meta: Meta, bytes: Bytes) -> &Record {
        let number = self.next;
        self.next += 1;
        self.lateness = self.lateness.max(visible - key);
        let at = self.records.partition_point(|record| record.key <= key);
        self.records.insert(at, Record { key, visible, number, meta, bytes });
        &self.records[at]
    }

    /// A page, newest first, and how many records there are on all pages.
    pub(super) fn newest(&self, window: &Window<'_>, skip: usize, take: usize) -> (Vec<&Record>, usize) {
        let to = window.to.min(window.now);
        let from = self.records.partition_point(|record| record.key < window.from);
        let end = self.records.partition_point(|record| record.key <= to).max(from);
        let range = &self.records[from..end];
        let is_settled = range.last().is_none_or(|record| record.key + self.lateness <= window.now);
        if window.keep.is_none() && is_settled {
            return (range.iter().rev().skip(skip).take(take).collect(), range.len());
        }
        let (mut page, mut total) = (Vec::new(), 0);
        let shown = range.iter().rev().filter(|record| record.visible <= window.now);
        for record in shown.filter(|record| window.keep.is_none_or(|keep| keep(record))) {
            if total >= skip && page.len() < take {
                page.push(record);
            }
            total += 1;
        }
        (page, total)
    }

    /// A visible record by its id.
    pub(super) fn find(&self, id: &str, now: i64) -> Option<&Record> {
        self.records.iter().find(|record| record.visible <= now && record.id() == id)
    }

    fn truth(&self) -> Vec<Truth> {
        let records = self.records.iter().map(|record| Truth {
            id: record.id(),
            at: time(record.key),
            visible_at: time(record.visible),
            record: record.bytes.clone(),
        });
        records.collect()
    }
}

#[derive(Debug)]
pub(super) struct Host {
    /// With the port.
    pub(super) name: String,
    pub(super) cluster: String,
    pub(super) accesses: Stream,
}

#[derive(Debug)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) is_removed: bool,
    pub(super) auditing: Value,
    pub(super) events: Stream,
    pub(super) hosts: Vec<Host>,
}

impl Project {
    /// The names of the clusters and how many hosts each has.
    pub(super) fn clusters(&self) -> BTreeMap<&str, usize> {
        let mut clusters = BTreeMap::new();
        self.hosts.iter().for_each(|host| *clusters.entry(host.cluster.as_str()).or_default() += 1);
        clusters
    }
}

/// All records.
#[derive(Debug)]
pub(super) struct Dataset {
    pub(super) organization: Stream,
    pub(super) projects: Vec<Project>,
    pub(super) atlassian: Stream,
    random: Random,
    config: Config,
}

impl Dataset {
    pub(super) fn new(config: &Config) -> Self {
        let mut data = Dataset {
            organization: Stream::default(),
            projects: Vec::new(),
            atlassian: Stream::default(),
            random: Random::new(config.seed, 0xda7a),
            config: config.clone(),
        };
        let faults = &config.faults;
        let place = Place { organization: &config.organization, project: None, clusters: 0 };
        data.organization = data.fill(config.organization_events, 1, 0, faults, |out, random, at| {
            records::atlas(out, random, at, place)
        });
        // what is late there is the processing, which makes the order
        let on_time = Faults { late: 0.0, ..faults.clone() };
        let (organization, late, lateness) = (&config.atlassian_organization, faults.late, faults.lateness);
        data.atlassian = data.fill(config.atlassian_events, 1, 0, &on_time, |out, random, at| {
            let delay =
                if random.chance(late) { micros(lateness) } else { random.below(5_000_000).cast_signed() };
            records::atlassian(out, random, at - delay, at, organization)
        });
        for _ in 0..config.projects {
            data.add_project(faults);
        }
        data
    }

    /// Makes a project with its events and hosts, and yields its id.
    pub(super) fn add_project(&mut self, faults: &Faults) -> String {
        let number = self.projects.len();
        let id = format!("6512f0a1c4d3e2b1a0{number:06x}");
        let name = format!("project-{number}");
        let organization = self.config.organization.clone();
        let clusters = self.config.hosts_per_project.div_ceil(3) as u64;
        let place = Place { organization: &organization, project: Some((&id, &name)), clusters };
        let events = self.fill(self.config.project_events, 1, 0, faults, |out, random, at| {
            records::atlas(out, random, at, place)
        });
        let mut hosts = Vec::new();
        for index in 0..self.config.hosts_per_project {
            let (cluster, member) = (format!("Cluster{}", index / 3), index % 3);
            let host = format!("cluster{}-shard-00-{member:02}.p{number}.example.net:27017", index / 3);
            let twins = self.config.atlas.twins;
            let accesses = self.fill(self.config.access_records, 1000, twins, faults, |out, random, at| {
                records::access(out, random, at, &id, &cluster, &host)
            });
            hosts.push(Host { name: host, cluster, accesses });
        }
        let auditing = serde_json::json!({
            "auditAuthorizationSuccess": false,
            "auditFilter": "{\"atype\":\"authenticate\",\"param.db\":\"admin\"}",
            "configurationType": "FILTER_JSON",
            "enabled": true,
        });
        let project = Project { id: id.clone(), name, is_removed: false, auditing, events, hosts };
        self.projects.push(project);
        id
    }

    /// Makes records over the configured time. Times are multiples of `step` microseconds.
    fn fill(
        &mut self,
        count: usize,
        step: i64,
        twins: u32,
        faults: &Faults,
        mut write: impl FnMut(&mut Vec<u8>, &mut Random, i64) -> Meta,
    ) -> Stream {
        let random = &mut self.random;
        let start = self.config.clock.start.timestamp_micros();
        let from = start - micros(self.config.before);
        let keys = times(random, from, start + micros(self.config.after), count, faults.collisions);
        let mut texts = Vec::with_capacity(count * 1000);
        let mut made: Vec<(i64, i64, Meta, usize, usize)> = Vec::with_capacity(count);
        for key in keys {
            let key = key - key.rem_euclid(step);
            if let Some(last) = made.last().filter(|_| random.below(100) < u64::from(twins)).cloned() {
                made.push(last);
                continue;
            }
            let late = if random.chance(faults.late) { micros(faults.lateness) } else { 0 };
            let begin = texts.len();
            let meta = write(&mut texts, random, key);
            made.push((key, key + late, meta, begin, texts.len()));
        }
        let texts = Bytes::from(texts);
        let mut stream = Stream { records: Vec::with_capacity(made.len()), ..Stream::default() };
        for (number, (key, visible, meta, begin, end)) in made.into_iter().enumerate() {
            let bytes = texts.slice(begin..end);
            stream.lateness = stream.lateness.max(visible - key);
            stream.records.push(Record { key, visible, number: number as u64, meta, bytes });
        }
        stream.next = stream.records.len() as u64;
        stream
    }

    /// Adds records with the given times. They are visible from `now` on, or from their time if that is
    /// later. For Atlassian the times are those of the events, which are processed when they are added.
    pub(super) fn add(&mut self, to: &Partition, times: &[i64], now: i64) -> Vec<String> {
        let mut ids = Vec::new();
        for at in times {
            let (mut text, mut random) = (Vec::new(), self.random.clone());
            let (organization, atlassian) = (&self.config.organization, &self.config.atlassian_organization);
            let (mut at, visible) = (*at, now.max(*at));
            let meta = match to {
                Partition::Organization => {
                    let place = Place { organization, project: None, clusters: 0 };
                    records::atlas(&mut text, &mut random, at, place)
                }
                Partition::Project(id) => {
                    let Some(project) = self.projects.iter().find(|project| project.id == *id) else {
                        continue;
                    };
                    let clusters = project.clusters().len() as u64;
                    let place = Place { organization, project: Some((id, &project.name)), clusters };
                    records::atlas(&mut text, &mut random, at, place)
                }
                Partition::Host { project, host } => {
                    let Some(known) = self.host(project, host) else { continue };
                    at -= at.rem_euclid(1000);
                    records::access(&mut text, &mut random, at, project, &known.cluster, host)
                }
                Partition::Atlassian => {
                    let happened = at;
                    at = visible;
                    records::atlassian(&mut text, &mut random, happened, at, atlassian)
                }
            };
            self.random = random;
            if let Some(stream) = self.stream_mut(to) {
                ids.push(stream.insert(at, visible, meta, text.into()).id());
            }
        }
        ids
    }

    /// Adds a record with a text of its own, which is an object in JSON.
    pub(super) fn add_record(&mut self, to: &Partition, at: i64, now: i64, text: Bytes) -> Option<String> {
        let value: Value = serde_json::from_slice(&text).ok()?;
        let text_of = |name: &str| value.get(name).and_then(Value::as_str);
        let kind = match value.get("authResult").and_then(Value::as_bool) {
            Some(worked) => worked.to_string(),
            None => text_of("eventTypeName").unwrap_or_default().to_owned(),
        };
        let cluster =
            text_of("clusterName").and_then(|name| name.strip_prefix("Cluster")?.parse::<u32>().ok());
        let address = text_of("ipAddress").and_then(|address| address.parse::<Ipv4Addr>().ok());
        let tag = address.map_or(cluster.map_or(0, |cluster| cluster + 1), u32::from);
        let id = text_of("id").map_or(Id::Hash, |id| Id::Text(id.into()));
        let visible = now.max(at);
        let key = if *to == Partition::Atlassian { visible } else { at };
        let meta = Meta { id, kind: kind.into(), tag, raw: 0..0 };
        Some(self.stream_mut(to)?.insert(key, visible, meta, text).id())
    }

    /// A project that is there.
    pub(super) fn project(&self, id: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.id == id && !project.is_removed)
    }

    fn host(&self, project: &str, host: &str) -> Option<&Host> {
        let project = self.projects.iter().find(|known| known.id == project)?;
        project.hosts.iter().find(|known| known.name == host)
    }

    fn stream_mut(&mut self, of: &Partition) -> Option<&mut Stream> {
        match of {
            Partition::Organization => Some(&mut self.organization),
            Partition::Atlassian => Some(&mut self.atlassian),
            Partition::Project(id) => {
                self.projects.iter_mut().find(|project| project.id == *id).map(|project| &mut project.events)
            }
            Partition::Host { project, host } => {
                let project = self.projects.iter_mut().find(|known| known.id == *project)?;
                project.hosts.iter_mut().find(|known| known.name == *host).map(|host| &mut host.accesses)
            }
        }
    }

    /// All records of a partition, also of a removed project.
    pub(super) fn truth(&self, of: &Partition) -> Vec<Truth> {
        match of {
            Partition::Organization => self.organization.truth(),
            Partition::Atlassian => self.atlassian.truth(),
            Partition::Project(id) => {
                let project = self.projects.iter().find(|project| project.id == *id);
                project.map(|project| project.events.truth()).unwrap_or_default()
            }
            Partition::Host { project, host } => {
                self.host(project, host).map(|host| host.accesses.truth()).unwrap_or_default()
            }
        }
    }

    /// All partitions but those of removed projects.
    pub(super) fn partitions(&self) -> Vec<Partition> {
        let mut partitions = vec![Partition::Organization, Partition::Atlassian];
        for project in self.projects.iter().filter(|project| !project.is_removed) {
            partitions.push(Partition::Project(project.id.clone()));
            let host = |host: &Host| Partition::Host { project: project.id.clone(), host: host.name.clone() };
            partitions.extend(project.hosts.iter().map(host));
        }
        partitions
    }
}

/// Times in order, spread over a span; some of them collide.
fn times(random: &mut Random, from: i64, to: i64, count: usize, collisions: f64) -> Vec<i64> {
    let step = ((to - from) / (count as i64).max(1)).max(1);
    let mut times: Vec<i64> = Vec::with_capacity(count);
    for index in 0..count as i64 {
        let mut at = from + index * step + random.below(step.unsigned_abs()).cast_signed();
        at -= at.rem_euclid(random.pick(&[1_000_000, 1000, 1]));
        if random.chance(collisions) {
            let last = times.last().copied().unwrap_or(at);
            at = match random.below(3) {
                0 => at - at.rem_euclid(HOUR),
                1 => last,
                _ => last + random.pick(&[1, 1000, 999_000, 999_999]),
            };
        }
        times.push(at.clamp(from, to.max(from)));
    }
    times.sort_unstable();
    times
}

/// A duration in microseconds.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}
