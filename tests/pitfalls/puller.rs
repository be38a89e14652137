//! A small puller with a policy. With the policy of `Policy::default` it is right in the scenarios of
//! this test; each pitfall is one or two members that differ.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use md5::{Digest as _, Md5};
use serde_json::Value;

use crate::stage::{ACCOUNT, KEY, Stage, Stream};
use crate::support::pause;

type Time = DateTime<Utc>;

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// One request over a connection of its own.
pub(crate) fn ask(
    base: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(base.trim_start_matches("http://"))?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(stream, "{method} {target} HTTP/1.0\r\n{headers}content-length: {length}\r\n\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Ok(Reply { status, headers, body: answer.split_off(end + 4) })
}

/// Where a poll begins.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum From {
    /// Some time before the end of the last window.
    Overlap(TimeDelta),
    /// The end of the last window.
    Through,
    /// The time at which was asked last.
    LastRequest,
    /// The time of the newest event that came.
    LastEvent,
    /// A millisecond after it.
    AfterLastEvent,
}

/// Where a poll ends.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Until {
    /// So long before now.
    Settled(TimeDelta),
    /// Nowhere: whatever there is.
    Open,
}

/// What a first poll begins with.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum First {
    /// A time that somebody has chosen.
    At(Time),
    /// The last interval.
    Interval(TimeDelta),
}

/// Which ids are known.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Memory {
    /// All that ever came.
    All,
    /// Those that were new in the last poll.
    NewOfLastPoll,
    /// None.
    Nothing,
}

/// When the cursor moves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Saves {
    AfterAllPages,
    BeforeTheFirstPage,
    EvenAfterAnError,
}

/// Whose clock it is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Clock {
    /// The server's, from its `Date` header.
    Server,
    /// This machine's, which is so much ahead of the server's.
    Local(TimeDelta),
}

/// What to do about an answer that holds as many records as an answer can.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Full {
    /// Halve the window.
    Halve,
    /// Take it as all there is.
    Take,
    /// Go on before the oldest timestamp of the answer.
    StepBack,
}

/// How to wait after 429.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Waits {
    AsTold,
    Fixed(Duration),
}

/// How a puller of a stream with cursors finds its place again.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Resumes {
    ByCursor,
    /// By the newest `processedAt`, cut to so many milliseconds.
    ByTime(i64),
}

/// How to get and keep a token.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Tokens {
    KeptAndRenewed,
    KeptForEver,
    OneForEachRequest,
}

/// Everything that can be done wrong.
#[allow(clippy::struct_excessive_bools, reason = "each is a mistake of its own")]
#[derive(Clone)]
pub(crate) struct Policy {
    pub(crate) from: From,
    pub(crate) until: Until,
    pub(crate) first: First,
    pub(crate) memory: Memory,
    pub(crate) saves: Saves,
    pub(crate) clock: Clock,
    pub(crate) most_pages: usize,
    pub(crate) full: Full,
    pub(crate) waits: Waits,
    pub(crate) resumes: Resumes,
    pub(crate) tokens: Tokens,
    /// A `stale=true` is not a refusal.
    pub(crate) knows_stale_nonces: bool,
    /// After a restart the cursor is where it was.
    pub(crate) restores: bool,
    /// What is not discovered any more loses its cursor.
    pub(crate) forgets_what_is_gone: bool,
    /// An answer without records is one.
    pub(crate) accepts_empty: bool,
    /// 401 is an error, and told.
    pub(crate) tells_401: bool,
    /// Reads the time of a record; one without a time is passed over.
    pub(crate) time: fn(&str) -> Option<Time>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            from: From::Overlap(TimeDelta::minutes(10)),
            until: Until::Settled(TimeDelta::minutes(1)),
            first: First::At(crate::stage::start()),
            memory: Memory::All,
            saves: Saves::AfterAllPages,
            clock: Clock::Server,
            most_pages: usize::MAX,
            full: Full::Halve,
            waits: Waits::AsTold,
            resumes: Resumes::ByCursor,
            tokens: Tokens::KeptAndRenewed,
            knows_stale_nonces: true,
            restores: true,
            forgets_what_is_gone: false,
            accepts_empty: true,
            tells_401: true,
            time: tolerant,
        }
    }
}

impl Policy {
    /// For records without ids: windows that do not overlap.
    pub(crate) fn without_ids() -> Self {
        Policy { from: From::Through, memory: Memory::Nothing, ..Policy::default() }
    }
}

/// Where a partition is.
#[derive(Clone, Default)]
struct Place {
    through: Option<Time>,
    asked: Option<Time>,
    newest: Option<Time>,
    cursor: Option<String>,
    known: HashSet<String>,
    new: HashSet<String>,
}

struct Failed;

pub(crate) struct Puller<'a> {
    stage: &'a Stage,
    policy: Policy,
    places: BTreeMap<String, Place>,
    nonce: Option<(String, u32)>,
    token: Option<String>,
    has_given_up: bool,
    pub(crate) out: Vec<Value>,
    pub(crate) alerts: usize,
}

impl<'a> Puller<'a> {
    pub(crate) fn new(stage: &'a Stage, policy: Policy) -> Self {
        Puller {
            stage,
            policy,
            places: BTreeMap::new(),
            nonce: None,
            token: None,
            has_given_up: false,
            out: Vec::new(),
            alerts: 0,
        }
    }

    pub(crate) fn restart(&mut self) {
        if !self.policy.restores {
            self.places.clear();
        }
    }

    pub(crate) fn poll(&mut self) {
        let Ok(paths) = self.paths() else { return };
        if self.policy.forgets_what_is_gone {
            self.places.retain(|path, _| paths.contains(path));
        }
        for path in paths {
            if self.has_given_up {
                return;
            }
            let before = self.places.get(&path).cloned().unwrap_or_default();
            let (mut place, mut out) = (before.clone(), Vec::new());
            if self.pull(&path, &mut place, &mut out).is_err() && self.policy.saves == Saves::AfterAllPages {
                (place, out) = (before, Vec::new());
            }
            self.places.insert(path, place);
            self.out.append(&mut out);
        }
    }

    /// The paths to poll: one for each partition.
    fn paths(&mut self) -> Result<Vec<String>, Failed> {
        let api = &self.stage.api;
        let (v2, organization) = ("/api/atlas/v2", api.config().organization.clone());
        Ok(match self.stage.stream {
            Stream::Organization => vec![format!("{v2}/orgs/{organization}/events")],
            Stream::Atlassian => {
                vec![format!("/admin/v1/orgs/{}/events-stream", api.config().atlassian_organization)]
            }
            Stream::Log => vec![self.stage.log_path()],
            Stream::Projects => {
                let list = self.list(&format!("{v2}/orgs/{organization}/groups?itemsPerPage=500"), "id")?;
                list.into_iter().map(|id| format!("{v2}/groups/{id}/events")).collect()
            }
            Stream::Access => {
                let mut paths = Vec::new();
                for id in self.list(&format!("{v2}/orgs/{organization}/groups?itemsPerPage=500"), "id")? {
                    let hosts =
                        self.list(&format!("{v2}/groups/{id}/processes?itemsPerPage=500"), "hostname")?;
                    let path = |host| format!("{v2}/groups/{id}/dbAccessHistory/processes/{host}");
                    paths.extend(hosts.into_iter().map(path));
                }
                paths
            }
        })
    }

    fn list(&mut self, target: &str, member: &str) -> Result<Vec<String>, Failed> {
        let list = self.get(target)?.json();
        Ok(list["results"].as_array().unwrap().iter().map(|item| text(item, member)).collect())
    }

    fn pull(&mut self, path: &str, place: &mut Place, out: &mut Vec<Value>) -> Result<(), Failed> {
        let now = self.now()?;
        let end = match self.policy.until {
            Until::Settled(settle) => now - settle,
            Until::Open => now,
        };
        let first = match self.policy.first {
            First::At(time) => time,
            First::Interval(interval) => now - interval,
        };
        let start = match self.policy.from {
            From::Overlap(overlap) => place.through.map(|through| through - overlap),
            From::Through => place.through,
            From::LastRequest => place.asked,
            From::LastEvent => place.newest,
            From::AfterLastEvent => place.newest.map(|newest| newest + TimeDelta::milliseconds(1)),
        };
        let start = start.unwrap_or(first);
        if self.policy.saves == Saves::BeforeTheFirstPage {
            (place.through, place.asked) = (Some(end), Some(now));
        }
        let is_first = place.through.is_none();
        let result = match self.stage.stream {
            Stream::Organization | Stream::Projects => self.events(path, place, start, end, out),
            Stream::Access => {
                let start = start.timestamp_millis() + i64::from(!is_first);
                self.access(path, start, end.timestamp_millis(), out)
            }
            Stream::Atlassian => self.stream(path, place, first, out),
            Stream::Log => {
                let start = start.timestamp() + i64::from(!is_first);
                self.log(path, start, end.timestamp(), out)
            }
        };
        if result.is_ok() || self.policy.saves == Saves::EvenAfterAnError {
            (place.through, place.asked) = (Some(end), Some(now));
        }
        if self.policy.memory == Memory::NewOfLastPoll {
            place.known = std::mem::take(&mut place.new);
        }
        result
    }

    /// Offset pages of events.
    fn events(
        &mut self,
        path: &str,
        place: &mut Place,
        start: Time,
        end: Time,
        out: &mut Vec<Value>,
    ) -> Result<(), Failed> {
        let mut page = 1;
        loop {
            let mut target = format!("{path}?includeRaw=true&itemsPerPage=500&pageNum={page}");
            target += &format!("&minDate={}", iso(start));
            if self.policy.until != Until::Open {
                target += &format!("&maxDate={}", iso(end));
            }
            let records = array(self.get(&target)?.json(), "results");
            let is_last = records.len() < 500 || page == self.policy.most_pages;
            self.take(records, |record| text(record, "created"), place, out);
            if is_last {
                return Ok(());
            }
            page += 1;
        }
    }

    fn take(
        &self,
        records: Vec<Value>,
        time: impl Fn(&Value) -> String,
        place: &mut Place,
        out: &mut Vec<Value>,
    ) {
        for record in records {
            let Some(at) = (self.policy.time)(&time(&record)) else { continue };
            place.newest = place.newest.max(Some(at));
            let id = text(&record, "id");
            let is_new = match self.policy.memory {
                Memory::All => place.known.insert(id),
                Memory::NewOfLastPoll => !place.known.contains(&id) && place.new.insert(id),
                Memory::Nothing => true,
            };
            if is_new {
                out.push(record);
            }
        }
    }

    /// The access history between two milliseconds, which has no pages.
    fn access(&mut self, path: &str, start: i64, end: i64, out: &mut Vec<Value>) -> Result<(), Failed> {
        if end < start {
            return Ok(());
        }
        let most = crate::stage::MOST_LOGS;
        let target = format!("{path}?start={start}&end={end}&nLogs={most}");
        let records = array(self.get(&target)?.json(), "accessLogs");
        let is_full = records.len() >= most;
        if is_full && self.policy.full == Full::Halve && start < end {
            let middle = start + (end - start) / 2;
            self.access(path, start, middle, out)?;
            return self.access(path, middle + 1, end, out);
        }
        let times: Vec<_> = records.iter().map(|r| (self.policy.time)(&text(r, "timestamp"))).collect();
        // one that is older than what was asked for cannot be meant
        let is_meant = |at: Time| at.timestamp_millis() + 999 >= start;
        let meant = records.into_iter().zip(&times).filter(|(_, at)| at.is_some_and(is_meant));
        out.extend(meant.map(|(record, _)| record));
        match times.into_iter().flatten().min() {
            Some(oldest) if is_full && self.policy.full == Full::StepBack => {
                self.access(path, start, oldest.timestamp_millis() - 1, out)
            }
            _ => Ok(()),
        }
    }

    /// A stream that says where it goes on.
    fn stream(
        &mut self,
        path: &str,
        place: &mut Place,
        first: Time,
        out: &mut Vec<Value>,
    ) -> Result<(), Failed> {
        let mut cursor = place.cursor.clone();
        if let Resumes::ByTime(_) = self.policy.resumes {
            cursor = None;
        }
        let from = place.newest.unwrap_or(first).timestamp_millis();
        let from = match self.policy.resumes {
            Resumes::ByTime(step) => from - from.rem_euclid(step),
            Resumes::ByCursor => from,
        };
        loop {
            let whence = cursor.as_ref().map_or(format!("from={from}"), |cursor| format!("cursor={cursor}"));
            let reply = self.get(&format!("{path}?limit=200&sortOrder=asc&{whence}"))?.json();
            let next = reply["meta"]["next"].as_str().map(str::to_owned);
            let records = array(reply, "data");
            let is_last = records.is_empty() || next.is_none();
            cursor = next.or(cursor);
            place.cursor.clone_from(&cursor);
            self.take(records, |record| text(&record["attributes"], "processedAt"), place, out);
            if is_last {
                return Ok(());
            }
        }
    }

    /// The lines of a log file between two seconds.
    fn log(&mut self, path: &str, start: i64, end: i64, out: &mut Vec<Value>) -> Result<(), Failed> {
        if end < start {
            return Ok(());
        }
        let reply = self.get(&format!("{path}?startDate={start}&endDate={end}"))?;
        let mut lines = String::new();
        let is_file = flate2::read::GzDecoder::new(&*reply.body).read_to_string(&mut lines).is_ok();
        if !self.policy.accepts_empty && (!is_file || lines.is_empty()) {
            self.has_given_up = true;
            return Err(Failed);
        }
        out.extend(lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        Ok(())
    }

    fn now(&mut self) -> Result<Time, Failed> {
        match self.policy.clock {
            Clock::Local(ahead) => Ok(self.stage.api.clock().now() + ahead),
            Clock::Server => {
                let reply = ask(self.stage.url(), "HEAD", "/", &[], "").map_err(|_| Failed)?;
                DateTime::parse_from_rfc2822(reply.header("date")).map(Into::into).map_err(|_| Failed)
            }
        }
    }

    /// Asks until there is an answer or nothing more can be done.
    fn get(&mut self, target: &str) -> Result<Reply, Failed> {
        let accept = match self.stage.stream {
            Stream::Log => "application/vnd.atlas.2023-02-01+gzip",
            _ => "application/vnd.atlas.2023-01-01+json",
        };
        let mut was_renewed = false;
        for _ in 0..5 {
            let authorization = self.authorization(target)?;
            let mut headers = vec![("accept", accept)];
            headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
            let reply = ask(self.stage.url(), "GET", target, &headers, "").map_err(|_| Failed)?;
            match reply.status {
                200 => return Ok(reply),
                401 if self.renew(&reply, was_renewed) => was_renewed = true,
                401 if !self.policy.tells_401 => {
                    let body = br#"{"results":[],"accessLogs":[],"data":[]}"#.to_vec();
                    return Ok(Reply { status: 200, headers: BTreeMap::new(), body });
                }
                401 => {
                    self.alerts += 1;
                    return Err(Failed);
                }
                429 => pause(match self.policy.waits {
                    Waits::Fixed(wait) => wait,
                    Waits::AsTold => Duration::from_secs(reply.header("retry-after").parse().unwrap_or(1)),
                }),
                _ => return Err(Failed),
            }
        }
        Err(Failed)
    }

    /// Whether a 401 is no refusal but asks for another nonce or token.
    fn renew(&mut self, reply: &Reply, was_renewed: bool) -> bool {
        let challenge = reply.header("www-authenticate");
        let nonce = challenge.split_once("nonce=\"").and_then(|(_, rest)| rest.split('"').next());
        if let Some(nonce) = nonce {
            let is_stale = challenge.contains("stale=true") && self.policy.knows_stale_nonces;
            if self.nonce.is_some() && !is_stale {
                self.has_given_up = true;
                return false;
            }
            self.nonce = Some((nonce.to_owned(), 0));
            return true;
        }
        let renews = self.policy.tokens == Tokens::KeptAndRenewed && self.token.is_some() && !was_renewed;
        if renews {
            self.token = None;
        }
        renews
    }

    fn authorization(&mut self, target: &str) -> Result<Option<String>, Failed> {
        use jaquard::testkit::fake_api::Auth;
        match &self.stage.api.config().auth {
            Auth::Digest(_) => {
                let Some((nonce, count)) = &mut self.nonce else { return Ok(None) };
                *count += 1;
                let hash = |text: String| Md5::digest(text).iter().map(|b| format!("{b:02x}")).collect();
                let realm = "MMS Public API";
                let secret: String = hash(format!("{}:{realm}:{}", KEY.0, KEY.1));
                let request: String = hash(format!("GET:{target}"));
                let response: String = hash(format!("{secret}:{nonce}:{count:08x}:c:auth:{request}"));
                Ok(Some(format!(
                    "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{target}\", \
                     qop=auth, nc={count:08x}, cnonce=\"c\", response=\"{response}\"",
                    KEY.0
                )))
            }
            Auth::ServiceAccount(_) => {
                let kept = self.token.take().filter(|_| self.policy.tokens != Tokens::OneForEachRequest);
                let token = match kept {
                    Some(token) => token,
                    None => self.new_token()?,
                };
                self.token = Some(token.clone());
                Ok(Some(format!("Bearer {token}")))
            }
            _ => Ok(None),
        }
    }

    fn new_token(&self) -> Result<String, Failed> {
        let secret = format!("{}:{}", ACCOUNT.0, ACCOUNT.1);
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(secret));
        let headers = [("authorization", &*basic), ("content-type", "application/x-www-form-urlencoded")];
        let body = "grant_type=client_credentials";
        let reply = ask(self.stage.url(), "POST", "/api/oauth/token", &headers, body).map_err(|_| Failed)?;
        if reply.status == 200 { Ok(text(&reply.json(), "access_token")) } else { Err(Failed) }
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

fn array(mut value: Value, member: &str) -> Vec<Value> {
    match value[member].take() {
        Value::Array(items) => items,
        other => panic!("{other}"),
    }
}

fn iso(at: Time) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Any of the forms that times come in.
pub(crate) fn tolerant(text: &str) -> Option<Time> {
    rfc3339(text).or_else(|| {
        // the day of the week may be wrong
        let (_, date) = text.split_once(' ')?;
        let date = date.replace("GMT", "+0000").replace("EDT", "-0400");
        DateTime::parse_from_str(&date, "%b %d %H:%M:%S %z %Y").ok().map(Into::into)
    })
}

/// RFC 3339 and nothing else.
pub(crate) fn rfc3339(text: &str) -> Option<Time> {
    DateTime::parse_from_rfc3339(text).ok().map(Into::into)
}

/// Whole seconds in UTC.
pub(crate) fn whole_seconds(text: &str) -> Option<Time> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%SZ").ok().map(|at| at.and_utc())
}

/// The documented form of the access history.
pub(crate) fn gmt_only(text: &str) -> Option<Time> {
    NaiveDateTime::parse_from_str(text, "%a %b %d %H:%M:%S GMT %Y").ok().map(|at| at.and_utc())
}

/// The same, and 1970 for whatever it cannot read.
#[allow(clippy::unnecessary_wraps, reason = "one of several readers of times")]
pub(crate) fn gmt_or_1970(text: &str) -> Option<Time> {
    Some(gmt_only(text).unwrap_or_default())
}
