//! The records' texts: fields, order and oddities as the vendors document them; every value is made up.
//!
//! Texts are put together by hand, once per record: a hundred thousand of them must not take a second
//! in a debug build.

use std::borrow::Cow;
use std::ops::Range;

use super::random::Random;

/// Microseconds of a day.
pub(super) const DAY: i64 = 86_400_000_000;

const USERS: [&str; 8] = ["ada", "basil", "chiara", "deniz", "emeka", "freya", "goran", "hana"];

pub(super) const ORGANIZATION_TYPES: [&str; 16] = [
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

pub(super) const PROJECT_TYPES: [&str; 12] = [
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

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What a record is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Id {
    /// 24 hexadecimal digits.
    Object(u128),
    /// A UUID.
    Uuid(u128),
    /// As given.
    Text(Box<str>),
    /// None: the hash of its text stands for it.
    Hash,
}

/// What the server needs to know of a record without reading it.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub(super) id: Id,
    /// The event's type, or whether an access worked.
    pub(super) kind: Cow<'static, str>,
    /// The number of the cluster plus one, or the address of an access.
    pub(super) tag: u32,
    /// Where `"raw":…,` is.
    pub(super) raw: Range<u32>,
}

/// A text that grows.
pub(super) struct Text<'a> {
    out: &'a mut Vec<u8>,
    from: usize,
}

impl<'a> Text<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        let from = out.len();
        Text { out, from }
    }

    fn len(&self) -> u32 {
        (self.out.len() - self.from) as u32
    }

    fn s(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    fn hex(&mut self, value: u64, digits: u32) -> &mut Self {
        for digit in (0..digits).rev() {
            self.out.push(b"0123456789abcdef"[(value >> (digit * 4) & 15) as usize]);
        }
        self
    }

    fn object_id(&mut self, id: u128) -> &mut Self {
        self.hex((id >> 64) as u64, 8).hex(id as u64, 16)
    }

    fn uuid(&mut self, id: u128) -> &mut Self {
        let (high, low) = ((id >> 64) as u64, id as u64);
        self.hex(high >> 32, 8).s("-").hex(high >> 16, 4).s("-").hex(high, 4).s("-");
        self.hex(low >> 48, 4).s("-").hex(low, 12)
    }

    /// A number with at least so many digits.
    fn dec(&mut self, value: u64, digits: usize) -> &mut Self {
        let mut buffer = [b'0'; 20];
        let (mut left, mut at) = (value, 20);
        while left > 0 || at == 20 || 20 - at < digits {
            at -= 1;
            buffer[at] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        self.out.extend_from_slice(&buffer[at..]);
        self
    }

    /// A time without its zone, with no fraction if there is none, else three or six digits of it.
    fn iso(&mut self, micros: i64) -> &mut Self {
        let digits = match (micros.rem_euclid(1_000_000), micros.rem_euclid(1000)) {
            (0, _) => 0,
            (_, 0) => 3,
            _ => 6,
        };
        self.iso_with(micros, digits)
    }

    fn iso_with(&mut self, micros: i64, digits: usize) -> &mut Self {
        let at = Civil::of(micros);
        self.dec(at.year, 4).s("-").dec(at.month, 2).s("-").dec(at.day, 2).s("T");
        self.dec(at.hour, 2).s(":").dec(at.minute, 2).s(":").dec(at.second, 2);
        match digits {
            0 => self,
            3 => self.s(".").dec(at.micro / 1000, 3),
            _ => self.s(".").dec(at.micro, 6),
        }
    }

    fn address(&mut self, address: u32) -> &mut Self {
        let [a, b, c, d] = address.to_be_bytes().map(u64::from);
        self.dec(a, 1).s(".").dec(b, 1).s(".").dec(c, 1).s(".").dec(d, 1)
    }
}

/// A time, taken apart.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    micro: u64,
    weekday: usize,
}

impl Civil {
    fn of(micros: i64) -> Civil {
        let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY).unsigned_abs());
        // years that begin in March, in eras of 400 years
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let second = rest / 1_000_000;
        Civil {
            year: year.unsigned_abs(),
            month: month.unsigned_abs(),
            day: (day_of_year - (153 * from_march + 2) / 5 + 1).unsigned_abs(),
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            micro: rest % 1_000_000,
            weekday: (days + 4).rem_euclid(7) as usize,
        }
    }
}

fn object_id(random: &mut Random) -> u128 {
    (u128::from(random.next()) << 64 | u128::from(random.next())) & (u128::MAX >> 32)
}

fn address(random: &mut Random) -> u32 {
    let net = random.pick(&[[192, 0, 2], [198, 51, 100], [203, 0, 113]]);
    u32::from_be_bytes([net[0], net[1], net[2], random.below(254) as u8 + 1])
}

/// Where an event of Atlas happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) organization: &'a str,
    /// The project's id and name.
    pub(super) project: Option<(&'a str, &'a str)>,
    pub(super) clusters: u64,
}

/// An event of Atlas.
pub(super) fn atlas(out: &mut Vec<u8>, random: &mut Random, at: i64, place: Place<'_>) -> Meta {
    let kind = match place.project {
        Some(_) => random.pick(&PROJECT_TYPES),
        None => random.pick(&ORGANIZATION_TYPES),
    };
    let (user, target, id) = (random.pick(&USERS), random.pick(&USERS), object_id(random));
    let by_key = random.below(4) == 0;
    let mut t = Text::new(out);
    t.s("{");
    if by_key {
        t.s("\"apiKeyId\":\"").object_id(object_id(random)).s("\",");
    }
    let mut tag = 0;
    if kind.starts_with("CLUSTER_") && place.clusters > 0 {
        tag = random.below(place.clusters) as u32 + 1;
        t.s("\"clusterName\":\"Cluster").dec(u64::from(tag) - 1, 1).s("\",");
    }
    let is_explorer = kind == "DATA_EXPLORER_CRUD";
    if is_explorer {
        t.s("\"collection\":\"").s(random.pick(&["items", "orders", "prices"])).s("\",");
    }
    t.s("\"created\":\"").iso(at).s("Z\",");
    if is_explorer {
        t.s("\"database\":\"inventory\",");
    }
    if random.below(20) == 0 {
        t.s("\"delegatePrincipal\":{\"id\":\"").object_id(object_id(random));
        t.s("\",\"name\":\"").s(target).s("\",\"onBehalfOf\":\"").s(user).s("@example.com\"},");
    }
    t.s("\"eventTypeName\":\"").s(kind).s("\",");
    if let Some((project, _)) = place.project {
        t.s("\"groupId\":\"").s(project).s("\",");
    }
    t.s("\"id\":\"").object_id(id).s("\",\"isGlobalAdmin\":").s(if random.below(50) == 0 {
        "true"
    } else {
        "false"
    });
    t.s(",\"links\":[{\"href\":\"https://cloud.example.com/api/atlas/v2/");
    match place.project {
        Some((project, _)) => t.s("groups/").s(project),
        None => t.s("orgs/").s(place.organization),
    };
    t.s("/events/").object_id(id).s("\",\"rel\":\"self\"}],");
    if is_explorer {
        t.s("\"opType\":\"").s(random.pick(&["find", "insert", "update"])).s("\",");
    }
    t.s("\"orgId\":\"").s(place.organization).s("\",");
    if by_key {
        t.s("\"publicKey\":\"k").hex(random.next(), 7).s("\",");
    }
    let raw = t.len();
    t.s("\"raw\":{\"_t\":\"USER_AUDIT\",\"cid\":\"")
        .s(place.project.map_or(place.organization, |(id, _)| id));
    t.s("\",\"cre\":\"").iso_with(at, 3).s("Z\",\"description\":\"").s(kind).s(" by ").s(user);
    t.s("\",\"et\":\"").s(kind).s("\",\"gn\":\"").s(place.project.map_or("", |(_, name)| name));
    t.s("\",\"id\":\"").object_id(id).s("\",\"isMmsAdmin\":false,\"orgId\":\"").s(place.organization);
    t.s("\",\"orgName\":\"Example Organisation\",\"severity\":\"");
    t.s(random.pick(&["INFO", "INFO", "INFO", "WARNING", "ERROR"])).s("\",\"source\":\"USER\",\"un\":\"");
    t.s(user).s("@example.com\",\"ut\":\"LOCAL\"},");
    let raw = raw..t.len();
    t.s("\"remoteAddress\":\"").address(address(random));
    if kind.contains("USER")
        || kind.contains("JOINED")
        || kind.contains("INVITED")
        || kind.contains("REMOVED")
    {
        t.s("\",\"targetUsername\":\"").s(target).s("@example.com");
    }
    if !by_key {
        t.s("\",\"userId\":\"")
            .object_id(object_id(random))
            .s("\",\"username\":\"")
            .s(user)
            .s("@example.com");
    }
    t.s("\"}");
    Meta { id: Id::Object(id), kind: kind.into(), tag, raw }
}

/// A record of the access history: no id, a time in seconds and in odd formats.
pub(super) fn access(
    out: &mut Vec<u8>,
    random: &mut Random,
    at: i64,
    project: &str,
    cluster: &str,
    host: &str,
) -> Meta {
    let (user, address) = (random.pick(&USERS), address(random));
    let worked = random.below(100) < 85;
    let mut t = Text::new(out);
    t.s("{\"authResult\":").s(if worked { "true" } else { "false" });
    t.s(",\"authSource\":\"admin\",\"clusterName\":\"").s(cluster).s("\",\"failureReason\":");
    if worked {
        t.s("null");
    } else {
        t.s("\"UserNotFound: Could not find user \\\"").s(user).s("\\\" for db \\\"admin\\\"\"");
    }
    t.s(",\"groupId\":\"")
        .s(project)
        .s("\",\"hostname\":\"")
        .s(host)
        .s("\",\"ipAddress\":\"")
        .address(address);
    t.s("\",\"logLine\":\"");
    let (connection, port) = (random.below(100_000), 40_000 + random.below(20_000));
    if random.below(4) == 0 {
        t.iso_with(at, 3).s("+0000 I  ACCESS   [conn").dec(connection, 1).s("] ");
        t.s(if worked { "Successfully authenticated as principal " } else { "Authentication failed for " });
        t.s(user).s(" on admin from client ").address(address).s(":").dec(port, 1);
    } else {
        t.s(r#"{\"t\":{\"$date\":\""#).iso_with(at, 3).s(r#"+00:00\"},\"s\":\"I\",\"c\":\"ACCESS\",\"id\":"#);
        t.s(if worked { "20250" } else { "20249" }).s(r#",\"ctx\":\"conn"#).dec(connection, 1);
        t.s(r#"\",\"msg\":\"Authentication "#).s(if worked { "succeeded" } else { "failed" });
        t.s(r#"\",\"attr\":{\"mechanism\":\"SCRAM-SHA-256\",\"principalName\":\""#).s(user);
        t.s(r#"\",\"authenticationDatabase\":\"admin\",\"client\":\""#).address(address).s(":").dec(port, 1);
        t.s(r#"\"}}"#);
    }
    t.s("\",\"timestamp\":\"");
    let is_odd = random.below(10) == 0;
    let civil = Civil::of(if is_odd { at - 4 * 3_600_000_000 } else { at });
    // one in four of the odd ones has the wrong day of the week, as the documents have
    let weekday = if is_odd && random.below(4) == 0 { civil.weekday + 3 } else { civil.weekday };
    t.s(WEEKDAYS[weekday % 7]).s(" ").s(MONTHS[civil.month as usize - 1]).s(" ").dec(civil.day, 2).s(" ");
    t.dec(civil.hour, if is_odd { 1 } else { 2 }).s(":").dec(civil.minute, 2).s(":").dec(civil.second, 2);
    t.s(if is_odd { " EDT " } else { " GMT " }).dec(civil.year, 4).s("\",\"username\":\"").s(user).s("\"}");
    Meta { id: Id::Hash, kind: if worked { "true" } else { "false" }.into(), tag: address, raw: 0..0 }
}

/// An event of Atlassian, which happened at one time and was processed at another.
pub(super) fn atlassian(
    out: &mut Vec<u8>,
    random: &mut Random,
    at: i64,
    processed: i64,
    organization: &str,
) -> Meta {
    let (user, target) = (random.pick(&USERS), random.pick(&USERS));
    let action = random.pick(&ATLASSIAN_ACTIONS);
    // a UUID of version 4
    let id = (u128::from(random.next() & !0xf000 | 0x4000) << 64) | u128::from(random.next() >> 2 | 1 << 63);
    let account = random.next();
    let is_system = random.below(20) == 0;
    let mut t = Text::new(out);
    t.s("{\"id\":\"").uuid(id).s("\",\"type\":\"events\",\"attributes\":{\"time\":\"").iso_with(at, 3);
    t.s("Z\",\"processedAt\":\"").iso_with(processed, if processed % 1000 == 0 { 3 } else { 6 });
    t.s("Z\",\"action\":\"").s(action).s("\",\"actor\":{\"id\":\"");
    if is_system {
        t.s("confluence\",\"name\":\"Confluence\",\"email\":\"Atlassian app\"}");
    } else {
        t.s("557058:").hex(account, 16).s("\",\"name\":\"").s(user).s("\",\"email\":\"").s(user);
        t.s("@example.com\",\"auth\":{\"authType\":\"user\",\"tokenId\":\"").hex(random.next(), 16);
        t.s("\",\"tokenLabel\":\"admin console\"},\"links\":{\"self\":\"");
        t.s("https://admin.example.com/v1/users/557058:").hex(account, 16).s("\"}}");
    }
    if random.below(10) > 0 {
        t.s(",\"context\":[{\"id\":\"557058:")
            .hex(random.next(), 16)
            .s("\",\"type\":\"users\",\"attributes\":{\"name\":\"");
        t.s(target)
            .s("\",\"email\":\"")
            .s(target)
            .s("@example.com\",\"picture\":null},\"links\":{\"alt\":\"");
        t.s("https://admin.example.com/users/").s(target).s("\"}}]");
    }
    t.s(",\"container\":[{\"id\":\"")
        .s(organization)
        .s("\",\"type\":\"organizations\",\"attributes\":{\"name\":");
    t.s("\"Example Organisation\"},\"links\":{\"self\":\"https://admin.example.com/v1/orgs/")
        .s(organization)
        .s("\"}}]");
    if !is_system {
        t.s(",\"location\":{");
        if random.below(10) > 0 {
            t.s("\"ip\":\"").address(address(random)).s("\",");
        }
        t.s("\"geo\":\"52.37,4.90\",\"countryName\":\"Netherlands\",");
        t.s("\"regionName\":\"North Holland\",\"city\":\"Amsterdam\"}");
    }
    t.s("},\"message\":{\"content\":\"")
        .s(user)
        .s(" ")
        .s(action)
        .s(" ")
        .s(target)
        .s("\",\"format\":\"simple\"}");
    match random.below(20) {
        0 => t.s(",\"links\":{}}"),
        1 => t.s("}"),
        _ => t.s(",\"links\":{\"self\":\"https://admin.example.com/v1/events/").uuid(id).s("\"}}"),
    };
    Meta { id: Id::Uuid(id), kind: action.into(), tag: 0, raw: 0..0 }
}

/// An id as text.
pub(super) fn id_text(id: &Id, record: &[u8]) -> String {
    use sha2::Digest as _;
    let mut out = Vec::new();
    match id {
        Id::Object(id) => {
            Text::new(&mut out).object_id(*id);
        }
        Id::Uuid(id) => {
            Text::new(&mut out).uuid(*id);
        }
        Id::Text(text) => out.extend_from_slice(text.as_bytes()),
        Id::Hash => {
            let hash = sha2::Sha256::digest(record);
            let mut text = Text::new(&mut out);
            for byte in hash {
                text.hex(u64::from(byte), 2);
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
