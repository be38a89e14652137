//! Atlas' administration API: versions, restrictions, discovery and events.

use chrono::{NaiveDate, SecondsFormat};
use serde_json::{Value, json};

use super::clock::parse_iso;
use super::config::Refusal;
use super::dataset::{Dataset, Project, Record, Stream, Window};
use super::records::{ORGANIZATION_TYPES, PROJECT_TYPES};
use super::routes::{Api, Call, Endpoint, Route, encode};
use super::server::{Answer, atlas_error};
use super::{Shared, access, lock};

/// The versions there are.
const VERSIONS: [&str; 10] = [
    "2023-01-01",
    "2023-02-01",
    "2023-10-01",
    "2023-11-15",
    "2024-05-30",
    "2024-08-05",
    "2024-10-23",
    "2024-11-13",
    "2025-02-19",
    "2025-03-12",
];

/// Answers a request that has passed login and budget.
pub(super) fn answer(shared: &Shared, call: &Call, route: &Route) -> Answer {
    let content_type = match version(shared, call, route) {
        Ok(content_type) => content_type,
        Err(refusal) => return refusal,
    };
    let data = lock(&shared.data);
    let body = restricted(shared, &data, route).and_then(|project| match (route.endpoint, project) {
        (Endpoint::Organizations, _) => list(shared, call, &[organization(shared)]),
        (Endpoint::Projects | Endpoint::OrganizationProjects, _) => {
            let projects = data.projects.iter().filter(|project| !project.is_removed);
            list(shared, call, &projects.map(|project| describe(shared, project)).collect::<Vec<_>>())
        }
        (Endpoint::Project, Some(project)) => Ok(describe(shared, project).to_string().into_bytes()),
        (Endpoint::Processes, Some(project)) => list(shared, call, &processes(project)),
        (Endpoint::Clusters, Some(project)) => list(shared, call, &clusters(project)),
        (Endpoint::OrganizationEvents, _) => events(shared, call, &data.organization),
        (Endpoint::ProjectEvents, Some(project)) => events(shared, call, &project.events),
        (Endpoint::OrganizationEvent, _) => event(shared, call, route, &data.organization),
        (Endpoint::ProjectEvent, Some(project)) => event(shared, call, route, &project.events),
        (Endpoint::EventTypes, _) => list(shared, call, &event_types()),
        (Endpoint::RateLimits, _) => list(shared, call, &rate_limits(shared)),
        (Endpoint::Auditing, Some(project)) => Ok(project.auditing.to_string().into_bytes()),
        (Endpoint::AccessOfCluster | Endpoint::AccessOfHost, Some(project)) => {
            access::history(shared, call, route, project)
        }
        (Endpoint::Logs, Some(project)) => access::log(shared, call, route, project),
        _ => Err(not_found(route)),
    });
    let answer = match body {
        Ok(body) => Answer::new(200, &content_type, body),
        Err(refusal) => return refusal,
    };
    let answer = if route.endpoint == Endpoint::Logs { answer.compressed() } else { answer };
    match &shared.config.atlas.deprecated {
        Some(deprecated) if call.header("accept").is_some_and(|accept| accept.contains(deprecated)) => answer
            .with("Deprecation", "Wed, 01 Jan 2025 00:00:00 GMT")
            .with("Sunset", "Fri, 01 Jan 2027 00:00:00 GMT"),
        _ => answer,
    }
}

/// The answer's content type, after the version that was asked for.
fn version(shared: &Shared, call: &Call, route: &Route) -> Result<String, Answer> {
    let is_log = route.endpoint == Endpoint::Logs;
    if route.api == Api::Atlas1 {
        return Ok(if is_log { "application/gzip" } else { "application/json" }.to_owned());
    }
    let first = match route.endpoint {
        Endpoint::Clusters => "2024-08-05",
        Endpoint::RateLimits => "2025-03-12",
        Endpoint::Logs => "2023-02-01",
        _ => "2023-01-01",
    };
    let suffix = if is_log { "+gzip" } else { "+json" };
    let accept = call.header("accept").unwrap_or_default();
    let asked = accept.split(',').find_map(|kind| {
        kind.trim().split(';').next()?.strip_prefix("application/vnd.atlas.")?.strip_suffix(suffix)
    });
    let Some(asked) = asked else {
        let detail = format!("Accept has to be application/vnd.atlas.YYYY-MM-DD{suffix}.");
        return Err(atlas_error(406, "INVALID_VERSION_DATE", &detail, &[accept.into()]));
    };
    if shared.config.atlas.sunset.as_deref() == Some(asked) {
        return Err(atlas_error(410, "VERSION_GONE", "This version is no more.", &[asked.into()]));
    }
    let is_known = VERSIONS.contains(&asked) && NaiveDate::parse_from_str(asked, "%Y-%m-%d").is_ok();
    if !is_known || asked < first {
        return Err(atlas_error(406, "INVALID_VERSION_DATE", "There is no such version.", &[asked.into()]));
    }
    // the latest version of the resource that is not after the date
    Ok(format!("application/vnd.atlas.{first}{suffix}"))
}

/// The project of the path, if it may be seen.
fn restricted<'a>(shared: &Shared, data: &'a Dataset, route: &Route) -> Result<Option<&'a Project>, Answer> {
    let restrictions = lock(&shared.restrictions);
    let scopes = [route.project.as_deref(), route.organization.as_deref(), Some("*")];
    let hit = scopes
        .into_iter()
        .flatten()
        .find_map(|scope| restrictions.get(scope).filter(|restriction| restriction.hits(route.endpoint)));
    if let Some(restriction) = hit {
        return Err(match restriction.refusal {
            Refusal::NotAMember => atlas_error(
                401,
                "USER_UNAUTHORIZED",
                "Current user is not authorized to perform this action.",
                &[],
            ),
            Refusal::AccessList => {
                let detail = "IP address 192.0.2.1 is not allowed to access this resource.";
                atlas_error(403, "IP_ADDRESS_NOT_ON_ACCESS_LIST", detail, &["192.0.2.1".into()])
            }
            Refusal::Role => atlas_error(403, "USER_CANNOT_ACCESS", "The key lacks the role for this.", &[]),
            Refusal::NotFound => not_found(route),
            Refusal::Tier => atlas_error(
                400,
                "CLUSTER_TIER_NOT_SUPPORTED",
                "Not available for M0, M2 and M5 clusters.",
                &[],
            ),
        });
    }
    if route.organization.as_ref().is_some_and(|organization| *organization != shared.config.organization) {
        return Err(not_found(route));
    }
    match &route.project {
        None => Ok(None),
        Some(id) => data.project(id).map(Some).ok_or_else(|| not_found(route)),
    }
}

/// 404 for whatever the path names.
pub(super) fn not_found(route: &Route) -> Answer {
    let (code, kind, id) = match (&route.name, &route.project, &route.organization) {
        (Some(name), ..) => ("RESOURCE_NOT_FOUND", "resource", name),
        (_, Some(project), _) => ("GROUP_NOT_FOUND", "group", project),
        (_, _, Some(organization)) => ("ORG_NOT_FOUND", "organization", organization),
        _ => return atlas_error(404, "RESOURCE_NOT_FOUND", "Cannot find the resource.", &[]),
    };
    atlas_error(404, code, &format!("No {kind} with ID {id} exists."), &[id.as_str().into()])
}

/// 400 for a parameter.
pub(super) fn invalid(name: &str) -> Answer {
    let detail = format!("An invalid value was given for the query parameter {name}.");
    atlas_error(400, "INVALID_QUERY_PARAMETER", &detail, &[name.into()])
}

/// `pageNum` and `itemsPerPage`.
fn paging(shared: &Shared, call: &Call) -> Result<(usize, usize), Answer> {
    let number = |name: &str, missing: usize, most: usize| {
        let value = call.number(name).map_err(|name| invalid(&name))?;
        let value = value.map_or(Ok(missing), usize::try_from).map_err(|_| invalid(name))?;
        if (1..=most).contains(&value) { Ok(value) } else { Err(invalid(name)) }
    };
    Ok((number("pageNum", 1, usize::MAX >> 16)?, number("itemsPerPage", 100, shared.config.atlas.max_page)?))
}

/// The envelope around a page's records, which are written by a function.
fn envelope(
    shared: &Shared,
    call: &Call,
    (page, size): (usize, usize),
    total: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let link = |rel: &str, page: usize| {
        let others = call.query.iter().filter(|(name, _)| name != "pageNum" && name != "itemsPerPage");
        let others: String =
            others.map(|(name, value)| format!("{}={}&", encode(name), encode(value))).collect();
        let (url, path) = (&shared.url, call.path());
        json!({ "href": format!("{url}{path}?{others}pageNum={page}&itemsPerPage={size}"), "rel": rel })
    };
    let mut links = vec![link("self", page)];
    if page > 1 {
        links.push(link("previous", page - 1));
    }
    if page.saturating_mul(size) < total {
        links.push(link("next", page + 1));
    }
    let mut out = format!("{{\"links\":{},\"results\":[", Value::from(links)).into_bytes();
    write(&mut out);
    out.push(b']');
    if call.first("includeCount") != Some("false") {
        let rough = if shared.config.atlas.rough_count { total / 10 + usize::from(total > 0) } else { 0 };
        out.extend_from_slice(format!(",\"totalCount\":{}", total + rough).as_bytes());
    }
    out.push(b'}');
    out
}

/// A page of a short list.
fn list(shared: &Shared, call: &Call, items: &[Value]) -> Result<Vec<u8>, Answer> {
    let (page, size) = paging(shared, call)?;
    let shown = items.iter().skip((page - 1).saturating_mul(size)).take(size).map(Value::to_string);
    let text = shown.collect::<Vec<_>>().join(",");
    Ok(envelope(shared, call, (page, size), items.len(), |out| out.extend_from_slice(text.as_bytes())))
}

/// Appends records, separated by commas.
pub(super) fn write_all(records: &[&Record], with_raw: bool, out: &mut Vec<u8>) {
    out.reserve(records.iter().map(|record| record.bytes.len() + 1).sum());
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        record.write(with_raw, out);
    }
}

/// A page of events, newest first.
fn events(shared: &Shared, call: &Call, stream: &Stream) -> Result<Vec<u8>, Answer> {
    let (page, size) = paging(shared, call)?;
    let date = |name: &str| match call.first(name) {
        None => Ok(None),
        Some(text) => parse_iso(text).map(Some).ok_or_else(|| invalid(name)),
    };
    let from = date("minDate")?.unwrap_or(i64::MIN);
    let to = date("maxDate")?.map_or(i64::MAX, |to| to - i64::from(shared.config.atlas.exclusive_max));
    if from > to.saturating_add(1) {
        return Err(invalid("maxDate"));
    }
    let (only, but) = (call.all("eventType"), call.all("excludedEventType"));
    let clusters: Vec<u32> = call.all("clusterNames").into_iter().map(cluster_tag).collect();
    let keep = |record: &Record| {
        let kind = record.meta.kind.as_ref();
        (only.is_empty() || only.contains(&kind))
            && !but.contains(&kind)
            && (clusters.is_empty() || clusters.contains(&record.meta.tag))
    };
    let is_filtered = !(only.is_empty() && but.is_empty() && clusters.is_empty());
    let keep: Option<&dyn Fn(&Record) -> bool> = is_filtered.then_some(&keep);
    let window = Window { from, to, now: shared.clock.micros(), keep };
    let (records, total) = stream.newest(&window, (page - 1).saturating_mul(size), size);
    let with_raw = call.first("includeRaw") == Some("true");
    Ok(envelope(shared, call, (page, size), total, |out| write_all(&records, with_raw, out)))
}

/// The tag of a cluster's events; one that no event has if there is no such cluster.
fn cluster_tag(name: &str) -> u32 {
    let number = name.strip_prefix("Cluster").and_then(|number| number.parse::<u32>().ok());
    number.map_or(u32::MAX, |number| number.saturating_add(1))
}

fn event(shared: &Shared, call: &Call, route: &Route, stream: &Stream) -> Result<Vec<u8>, Answer> {
    let id = route.name.as_deref().unwrap_or_default();
    let record = stream.find(id, shared.clock.micros()).ok_or_else(|| not_found(route))?;
    let mut out = Vec::new();
    record.write(call.first("includeRaw") == Some("true"), &mut out);
    Ok(out)
}

fn organization(shared: &Shared) -> Value {
    let id = &shared.config.organization;
    json!({ "id": id, "isDeleted": false, "links": [], "name": "Example Organisation" })
}

fn describe(shared: &Shared, project: &Project) -> Value {
    let created = shared.config.clock.start.to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({
        "clusterCount": project.clusters().len(),
        "created": created,
        "id": project.id,
        "links": [{ "href": format!("{}/api/atlas/v2/groups/{}", shared.url, project.id), "rel": "self" }],
        "name": project.name,
        "orgId": shared.config.organization,
    })
}

fn processes(project: &Project) -> Vec<Value> {
    let processes = project.hosts.iter().enumerate().map(|(index, host)| {
        let (name, port) = host.name.rsplit_once(':').unwrap_or((&host.name, "27017"));
        json!({
            "groupId": project.id,
            "hostname": name,
            "id": host.name,
            "port": port.parse::<u32>().unwrap_or(27017),
            "replicaSetName": format!("atlas-{}-shard-0", host.cluster.to_ascii_lowercase()),
            "typeName": if index % 3 == 0 { "REPLICA_PRIMARY" } else { "REPLICA_SECONDARY" },
            "userAlias": name,
            "version": "7.0.12",
        })
    });
    processes.collect()
}

fn clusters(project: &Project) -> Vec<Value> {
    let clusters = project.clusters().into_iter().map(|(name, nodes)| {
        json!({
            "clusterType": "REPLICASET",
            "groupId": project.id,
            "name": name,
            "replicationSpecs": [{ "regionConfigs": [{
                "electableSpecs": { "instanceSize": "M10", "nodeCount": nodes },
                "providerName": "AWS",
                "regionName": "EU_WEST_1",
            }] }],
            "stateName": "IDLE",
        })
    });
    clusters.collect()
}

fn event_types() -> Vec<Value> {
    let types = ORGANIZATION_TYPES.iter().chain(&PROJECT_TYPES);
    let describe = |name: &&str| {
        let description = name.to_ascii_lowercase().replace('_', " ");
        json!({ "alertable": name.starts_with("CLUSTER"), "description": description, "eventType": *name })
    };
    types.map(describe).collect()
}

fn rate_limits(shared: &Shared) -> Vec<Value> {
    let budgets = lock(&shared.budgets);
    let limits = budgets.limits();
    let sets = limits.sets.iter().map(|(set, limit)| {
        json!({
            "endpointSetId": format!("{set:?}"),
            "capacity": limit.capacity,
            "refillRate": limit.refill,
            "refillDurationSeconds": limits.period.as_secs(),
        })
    });
    sets.collect()
}
