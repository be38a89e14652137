//! Atlas' access history and log files.

use serde_json::{Value, json};

use super::Shared;
use super::atlas::{invalid, not_found, write_all};
use super::config::EmptyLog;
use super::dataset::{Host, Project, Record, Window, micros};
use super::routes::{Api, Call, Endpoint, Route};
use super::server::{Answer, gzip};

/// The least time that is taken: the beginning of 2008, in milliseconds.
const LEAST: i64 = 1_199_145_600_000;

/// 30 days, in milliseconds.
const MONTH: i64 = 30 * 86_400_000;

/// The hosts that a path names.
fn hosts<'a>(route: &Route, project: &'a Project) -> Result<Vec<&'a Host>, Answer> {
    let name = route.name.as_deref().unwrap_or_default();
    let is_meant = |host: &&Host| match route.endpoint {
        Endpoint::AccessOfCluster => host.cluster == name,
        _ => host.name == name || host.name.rsplit_once(':').is_some_and(|(bare, _)| bare == name),
    };
    let hosts: Vec<&Host> = project.hosts.iter().filter(is_meant).collect();
    if hosts.is_empty() { Err(not_found(route)) } else { Ok(hosts) }
}

/// A page of the access history, which has no second one.
pub(super) fn history(
    shared: &Shared,
    call: &Call,
    route: &Route,
    project: &Project,
) -> Result<Vec<u8>, Answer> {
    let hosts = hosts(route, project)?;
    let options = &shared.config.atlas;
    let now = shared.clock.micros();
    let number = |name: &str| call.number(name).map_err(|name| invalid(&name));
    let (start, end) = (number("start")?, number("end")?);
    if route.api == Api::Atlas2 && start.is_some() != end.is_some() {
        return Err(invalid(if start.is_some() { "end" } else { "start" }));
    }
    let end = end.unwrap_or(now / 1000);
    let start = start.unwrap_or(now / 1000 - MONTH);
    if start < LEAST || end < start || end > i64::MAX / 2000 {
        return Err(invalid("start"));
    }
    let most =
        number("nLogs")?.map_or(Ok(options.max_logs), usize::try_from).map_err(|_| invalid("nLogs"))?;
    if most > options.max_logs {
        return Err(invalid("nLogs"));
    }
    let most = most.min(options.truncate_logs.unwrap_or(usize::MAX));
    let address = call.first("ipAddress").map(str::parse::<std::net::Ipv4Addr>).transpose();
    let address = address.map_err(|_| invalid("ipAddress"))?.map(u32::from);
    let result = call.first("authResult");
    if result.is_some_and(|result| result != "true" && result != "false") {
        return Err(invalid("authResult"));
    }
    let keep = |record: &Record| {
        address.is_none_or(|address| record.meta.tag == address)
            && result.is_none_or(|result| record.meta.kind == result)
    };
    let keep: Option<&dyn Fn(&Record) -> bool> = (address.is_some() || result.is_some()).then_some(&keep);
    // a record within the last millisecond is within the bound
    let window = Window { from: start * 1000, to: end * 1000 + 999, now, keep };
    let mut records: Vec<&Record> =
        hosts.iter().flat_map(|host| host.accesses.newest(&window, 0, most).0).collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.key));
    records.truncate(most);
    let mut out = b"{\"accessLogs\":[".to_vec();
    write_all(&records, true, &mut out);
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// A log file, compressed.
pub(super) fn log(shared: &Shared, call: &Call, route: &Route, project: &Project) -> Result<Vec<u8>, Answer> {
    let hosts = hosts(route, project)?;
    let name = route.log.as_deref().unwrap_or_default();
    if !["mongodb", "mongos", "mongodb-audit-log", "mongos-audit-log"].contains(&name) {
        return Err(not_found(route));
    }
    let number = |name: &str| call.number(name).map_err(|name| invalid(&name));
    let now = shared.clock.micros();
    let end = number("endDate")?.unwrap_or(now / 1_000_000);
    let start = number("startDate")?.unwrap_or(end - 86_400);
    let limit = i64::MAX / 2_000_000;
    if start < 0 || end < start || end > limit {
        return Err(invalid("startDate"));
    }
    let window = Window { from: start * 1_000_000, to: end * 1_000_000 + 999_999, now, keep: None };
    let window = Window { now: now - micros(shared.config.atlas.log_lag), ..window };
    let text: String =
        hosts.iter().flat_map(|host| lines(host, name, &window)).map(|line| line + "\n").collect();
    if text.is_empty() && shared.config.atlas.empty_log == EmptyLog::NoBody {
        return Ok(Vec::new());
    }
    Ok(gzip(text.as_bytes()))
}

/// The lines of a host's log, oldest first: the server's own, or those of the audit log.
pub(super) fn lines(host: &Host, name: &str, window: &Window<'_>) -> Vec<String> {
    if name.starts_with("mongos") {
        return Vec::new();
    }
    let (records, _) = host.accesses.newest(window, 0, usize::MAX);
    let line = |record: &&Record| {
        let record: Value = serde_json::from_slice(&record.bytes).unwrap_or_default();
        let text = |name: &str| record[name].as_str().unwrap_or_default();
        if name == "mongodb" {
            return text("logLine").to_owned();
        }
        let (user, source) = (text("username"), text("authSource"));
        let worked = record["authResult"] == true;
        let line = text("logLine");
        let time = serde_json::from_str::<Value>(line)
            .ok()
            .and_then(|line| line["t"]["$date"].as_str().map(str::to_owned));
        let time = time.unwrap_or_else(|| line.split(' ').next().unwrap_or_default().to_owned());
        let audit = json!({
            "atype": "authenticate",
            "ts": { "$date": time },
            "local": { "ip": "192.0.2.250", "port": 27017 },
            "remote": { "ip": record["ipAddress"], "port": 41234 },
            "users": if worked { json!([{ "user": user, "db": source }]) } else { json!([]) },
            "roles": [],
            "param": { "user": user, "db": source, "mechanism": "SCRAM-SHA-256" },
            "result": if worked { 0 } else { 18 },
        });
        audit.to_string()
    };
    records.iter().rev().map(line).collect()
}
