//! The shapes: fields, order and oddities as the vendors document them; every value is made up.

use std::io::Write as _;

use chrono::{DateTime, SecondsFormat, TimeDelta};
use serde_json::{Map, Value, json};

use super::Shape;

/// The first event's time: 2025-01-01T00:00:00Z.
const BEGINNING: i64 = 1_735_689_600;

/// A small deterministic generator (`SplitMix64`).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let mut random = Random(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn object_id(&mut self) -> String {
        format!("{:08x}{:016x}", self.next() >> 32, self.next())
    }

    fn address(&mut self) -> String {
        let net = self.pick(&["192.0.2", "198.51.100", "203.0.113"]);
        format!("{net}.{}", self.below(254) + 1)
    }
}

const USERS: [&str; 8] = ["ada", "basil", "chiara", "deniz", "emeka", "freya", "goran", "hana"];

const ORGANIZATION_TYPES: [&str; 16] = [
    "USER_ROLES_CHANGED_AUDIT",
    "INVITED_TO_ORG",
    "JOINED_ORG",
    "REMOVED_FROM_ORG",
    "API_KEY_CREATED",
    "API_KEY_DELETED",
    "API_KEY_ACCESS_LIST_ENTRY_ADDED",
    "TEAM_CREATED",
    "JOINED_TEAM",
    "ORG_TWO_FACTOR_AUTH_REQUIRED",
    "ORG_RENAMED",
    "GROUP_CREATED",
    "GROUP_DELETED",
    "INVOICE_CLOSED",
    "IDENTITY_PROVIDER_CREATED",
    "DOMAINS_ASSOCIATED",
];

const PROJECT_TYPES: [&str; 12] = [
    "JOINED_GROUP",
    "REMOVED_FROM_GROUP",
    "MONGODB_USER_ADDED",
    "MONGODB_USER_DELETED",
    "MONGODB_ROLE_ADDED",
    "NETWORK_PERMISSION_ENTRY_ADDED",
    "NETWORK_PERMISSION_ENTRY_REMOVED",
    "AUDIT_LOG_CONFIGURATION_UPDATED",
    "MONGODB_LOGS_DOWNLOADED",
    "CLUSTER_CREATED",
    "CLUSTER_UPDATE_COMPLETED",
    "DATA_EXPLORER_CRUD",
];

const ATLASSIAN_ACTIONS: [&str; 8] = [
    "user_added_to_group",
    "user_removed_from_group",
    "user_granted_role",
    "policy_updated",
    "api_key_created",
    "user_login_event",
    "group_created",
    "jira_project_roles_changed",
];

/// Appends event `number` as one line of JSON, without the line's end.
pub(super) fn write(shape: Shape, number: u64, mut random: Random, out: &mut Vec<u8>) {
    let value = match shape {
        Shape::AtlasOrganization => atlas_event(number, &mut random, &ORGANIZATION_TYPES, false),
        Shape::AtlasProject => atlas_event(number, &mut random, &PROJECT_TYPES, true),
        Shape::AtlasAccess => access_record(number, &mut random),
        Shape::AtlasAuditing => auditing_config(&mut random),
        Shape::Atlassian => atlassian_event(number, &mut random),
    };
    // writing into memory does not fail
    let _ = write!(out, "{value}");
}

/// About one event every seven seconds, with fractions as the vendors write them.
fn time(number: u64, random: &mut Random) -> DateTime<chrono::Utc> {
    let beginning = DateTime::from_timestamp(BEGINNING, 0).unwrap_or_default();
    // a date outside of the calendar is centuries of events away
    let offset = TimeDelta::try_milliseconds((number * 7000 + random.below(7000)).min(1 << 52).cast_signed());
    offset.and_then(|offset| beginning.checked_add_signed(offset)).unwrap_or(beginning)
}

fn atlas_event(number: u64, random: &mut Random, types: &[&str], is_project: bool) -> Value {
    let kind = random.pick(types);
    let at = time(number, random);
    let created = match random.below(3) {
        0 => at.to_rfc3339_opts(SecondsFormat::Secs, true),
        1 => at.to_rfc3339_opts(SecondsFormat::Millis, true),
        _ => at.to_rfc3339_opts(SecondsFormat::Micros, true),
    };
    let organization = "6512f0a1c4d3e2b1a0f98700";
    let project = format!("6512f0a1c4d3e2b1a0f9{:04x}", random.below(12));
    let id = random.object_id();
    let user = random.pick(&USERS);
    let target = random.pick(&USERS);

    let mut event = Map::new();
    let by_key = random.chance(25);
    if by_key {
        event.insert("apiKeyId".into(), random.object_id().into());
    }
    event.insert("created".into(), created.into());
    event.insert("eventTypeName".into(), kind.into());
    if is_project || random.chance(30) {
        event.insert("groupId".into(), project.clone().into());
    }
    event.insert("id".into(), id.clone().into());
    event.insert("isGlobalAdmin".into(), random.chance(2).into());
    let base = format!("https://cloud.example.com/api/atlas/v2/orgs/{organization}");
    event.insert(
        "links".into(),
        json!([
            { "href": format!("{base}/events/{id}"), "rel": "self" },
            { "href": base, "rel": "https://cloud.example.com/org" },
        ]),
    );
    event.insert("orgId".into(), organization.into());
    if by_key {
        event.insert("publicKey".into(), format!("k{:07x}", random.below(1 << 28)).into());
    }
    if kind == "DATA_EXPLORER_CRUD" {
        event.insert("database".into(), "inventory".into());
        event.insert("collection".into(), random.pick(&["items", "orders", "prices"]).into());
        event.insert("opType".into(), random.pick(&["find", "insert", "update"]).into());
    }
    if kind.contains("USER")
        || kind.contains("JOINED")
        || kind.contains("INVITED")
        || kind.contains("REMOVED")
    {
        event.insert("targetUsername".into(), format!("{target}@example.com").into());
    }
    event.insert(
        "raw".into(),
        json!({
            "_t": "USER_AUDIT",
            "cid": project,
            "cre": at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "description": format!("{} by {user}", kind.to_ascii_lowercase().replace('_', " ")),
            "gn": format!("project-{}", random.below(12)),
            "id": id,
            "orgId": organization,
            "orgName": "Example Organisation",
            "severity": random.pick(&["INFO", "INFO", "INFO", "WARNING", "ERROR"]),
            "un": format!("{user}@example.com"),
        }),
    );
    event.insert("remoteAddress".into(), random.address().into());
    if !by_key {
        event.insert("userId".into(), random.object_id().into());
        event.insert("username".into(), format!("{user}@example.com").into());
    }
    Value::Object(event)
}

fn access_record(number: u64, random: &mut Random) -> Value {
    let at = time(number, random);
    let user = random.pick(&USERS);
    let address = random.address();
    let worked = random.chance(85);
    let reason = format!("UserNotFound: Could not find user \"{user}\" for db \"admin\"");
    let message = if worked {
        format!(
            "Successfully authenticated as principal {user} on admin from client {address}:{}",
            40_000 + random.below(20_000)
        )
    } else {
        format!(
            "SASL SCRAM-SHA-256 authentication failed for {user} on admin from client {address}; {reason}"
        )
    };
    json!({
        "authResult": worked,
        "authSource": "admin",
        "failureReason": if worked { Value::Null } else { reason.into() },
        "groupId": "6512f0a1c4d3e2b1a0f90001",
        "hostname": format!("cluster0-shard-00-0{}.example.net:27017", random.below(3)),
        "ipAddress": address,
        "logLine": format!("{} I  ACCESS   [conn{}] {message}", at.format("%Y-%m-%dT%H:%M:%S%.3f+0000"), random.below(100_000)),
        "timestamp": at.format("%a %b %d %H:%M:%S GMT %Y").to_string(),
        "username": user,
    })
}

fn auditing_config(random: &mut Random) -> Value {
    let kind = random.pick(&["NONE", "FILTER_BUILDER", "FILTER_JSON"]);
    let filter = json!({ "atype": "authenticate", "param": { "user": random.pick(&USERS), "db": "admin" } });
    json!({
        "auditAuthorizationSuccess": random.chance(20),
        "auditFilter": if kind == "NONE" { "{}".to_owned() } else { filter.to_string() },
        "configurationType": kind,
        "enabled": kind != "NONE",
    })
}

fn atlassian_event(number: u64, random: &mut Random) -> Value {
    let at = time(number, random);
    let user = random.pick(&USERS);
    let target = random.pick(&USERS);
    let action = random.pick(&ATLASSIAN_ACTIONS);
    let id = format!("{:08x}-0000-4000-8000-{:012x}", random.next() >> 32, random.next() >> 16);
    let account = format!("557058:{:016x}", random.next());
    let is_system = random.chance(5);
    let actor = if is_system {
        json!({ "id": "confluence", "name": "Confluence", "email": "Atlassian app" })
    } else {
        json!({
            "id": account,
            "name": user,
            "email": format!("{user}@example.com"),
            "auth": { "authType": "user", "tokenId": random.object_id(), "tokenLabel": "admin console" },
            "links": { "self": format!("https://admin.example.com/v1/users/{account}") },
        })
    };
    let mut attributes = json!({
        "time": at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "processedAt": (at + TimeDelta::milliseconds(random.below(5000).cast_signed())).to_rfc3339_opts(SecondsFormat::Millis, true),
        "action": action,
        "actor": actor,
        "container": [{
            "id": "a1b2c3d4-0000-4000-8000-00000000c0de",
            "type": "organizations",
            "attributes": { "name": "Example Organisation" },
            "links": { "self": "https://admin.example.com/v1/orgs/a1b2c3d4" },
        }],
    });
    if random.chance(90) {
        attributes["context"] = json!([{
            "id": format!("557058:{:016x}", random.next()),
            "type": "users",
            "attributes": { "name": target, "email": format!("{target}@example.com"), "picture": null },
            "links": { "alt": format!("https://admin.example.com/users/{target}") },
        }]);
    }
    if !is_system {
        attributes["location"] = json!({
            "ip": random.address(), "geo": "52.37,4.90", "countryName": "Netherlands", "regionName": "North Holland", "city": "Amsterdam",
        });
    }
    json!({
        "id": id,
        "type": "events",
        "attributes": attributes,
        "message": { "content": format!("{user} {} {target}", action.replace('_', " ")), "format": "simple" },
        "links": if random.chance(90) { json!({ "self": format!("https://admin.example.com/v1/events/{id}") }) } else { json!({}) },
    })
}
