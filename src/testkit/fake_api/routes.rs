//! Requests taken apart, and what each path stands for.

use axum::http::HeaderMap;
use bytes::Bytes;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `POST /api/oauth/token`
    Token,
    /// `POST /api/oauth/revoke`
    Revoke,
    /// `/orgs`
    Organizations,
    /// `/orgs/{o}/groups`
    OrganizationProjects,
    /// `/groups`
    Projects,
    /// `/groups/{g}`
    Project,
    /// `/groups/{g}/processes`
    Processes,
    /// `/groups/{g}/clusters`
    Clusters,
    /// `/orgs/{o}/events`
    OrganizationEvents,
    /// `/orgs/{o}/events/{id}`
    OrganizationEvent,
    /// `/groups/{g}/events`
    ProjectEvents,
    /// `/groups/{g}/events/{id}`
    ProjectEvent,
    /// `/eventTypes`
    EventTypes,
    /// `/groups/{g}/dbAccessHistory/clusters/{c}`
    AccessOfCluster,
    /// `/groups/{g}/dbAccessHistory/processes/{h}`
    AccessOfHost,
    /// `/groups/{g}/auditLog`
    Auditing,
    /// `/groups/{g}/clusters/{h}/logs/{l}.gz`
    Logs,
    /// `/rateLimits`
    RateLimits,
    /// `/admin/v1/orgs`
    AtlassianOrganizations,
    /// `/admin/v1/orgs/{o}/events-stream`
    AtlassianEvents,
    /// Any other path.
    Unknown,
}

/// Which of the APIs a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Login,
    Atlas1,
    Atlas2,
    Atlassian,
}

/// A path, read.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) api: Api,
    pub(super) endpoint: Endpoint,
    pub(super) organization: Option<String>,
    pub(super) project: Option<String>,
    /// Cluster, host or event.
    pub(super) name: Option<String>,
    /// The log's name.
    pub(super) log: Option<String>,
}

impl Route {
    /// Reads a path.
    pub(super) fn of(call: &Call) -> Route {
        use Endpoint as E;
        let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        let (api, rest) = match segments.as_slice() {
            ["api", "oauth", rest @ ..] => (Api::Login, rest),
            ["api", "atlas", "v2", rest @ ..] => (Api::Atlas2, rest),
            ["api", "atlas", "v1.0", rest @ ..] => (Api::Atlas1, rest),
            ["admin", "v1", rest @ ..] => (Api::Atlassian, rest),
            ["admin", ..] => (Api::Atlassian, &[][..]),
            _ => (Api::Atlas2, &[][..]),
        };
        let mut route =
            Route { api, endpoint: E::Unknown, organization: None, project: None, name: None, log: None };
        let (endpoint, organization, project, name) = match (api, rest) {
            (Api::Login, ["token"]) => (E::Token, "", "", ""),
            (Api::Login, ["revoke"]) => (E::Revoke, "", "", ""),
            (Api::Login, _) => (E::Unknown, "", "", ""),
            (Api::Atlassian, ["orgs"]) => (E::AtlassianOrganizations, "", "", ""),
            (Api::Atlassian, ["orgs", o, "events-stream"]) => (E::AtlassianEvents, *o, "", ""),
            (Api::Atlassian, _) => (E::Unknown, "", "", ""),
            (_, ["orgs"]) => (E::Organizations, "", "", ""),
            (_, ["orgs", o, "groups"]) => (E::OrganizationProjects, *o, "", ""),
            (_, ["orgs", o, "events"]) => (E::OrganizationEvents, *o, "", ""),
            (_, ["orgs", o, "events", id]) => (E::OrganizationEvent, *o, "", *id),
            (_, ["groups"]) => (E::Projects, "", "", ""),
            (_, ["groups", g]) => (E::Project, "", *g, ""),
            (_, ["groups", g, "processes"]) => (E::Processes, "", *g, ""),
            (_, ["groups", g, "clusters"]) => (E::Clusters, "", *g, ""),
            (_, ["groups", g, "events"]) => (E::ProjectEvents, "", *g, ""),
            (_, ["groups", g, "events", id]) => (E::ProjectEvent, "", *g, *id),
            (_, ["groups", g, "dbAccessHistory", "clusters", name]) => (E::AccessOfCluster, "", *g, *name),
            (_, ["groups", g, "dbAccessHistory", "processes", name]) => (E::AccessOfHost, "", *g, *name),
            (_, ["groups", g, "auditLog"]) => (E::Auditing, "", *g, ""),
            (_, ["groups", g, "clusters", host, "logs", log]) => {
                route.log = log.strip_suffix(".gz").map(str::to_owned);
                (E::Logs, "", *g, *host)
            }
            (_, ["eventTypes"]) => (E::EventTypes, "", "", ""),
            (_, ["rateLimits"]) => (E::RateLimits, "", "", ""),
            _ => (E::Unknown, "", "", ""),
        };
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Route {
            endpoint,
            organization: given(organization),
            project: given(project),
            name: given(name),
            ..route
        }
    }

    /// The method that the endpoint takes.
    pub(super) fn method(&self) -> &'static str {
        if self.api == Api::Login { "POST" } else { "GET" }
    }
}

/// A request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    /// Path and query as sent.
    pub(super) target: String,
    /// The path's parts, decoded.
    segments: Vec<String>,
    /// The query, decoded.
    pub(super) query: Vec<(String, String)>,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn new(method: &str, target: &str, headers: HeaderMap, body: Bytes) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments = path.split('/').filter(|part| !part.is_empty()).map(|part| decode(part, false));
        Call {
            method: method.to_owned(),
            target: target.to_owned(),
            segments: segments.collect(),
            query: form(query),
            headers,
            body,
        }
    }

    /// A header's value, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The first value of a parameter.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A parameter as a number: none if it is missing, an error if it is something else.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, String> {
        let read = |text: &str| text.parse().map_err(|_| name.to_owned());
        self.first(name).map(read).transpose()
    }

    /// The path as sent.
    pub(super) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// Whether the client takes gzip.
    pub(super) fn takes_gzip(&self) -> bool {
        self.header("accept-encoding").is_some_and(|codings| {
            codings.split(',').any(|coding| coding.trim().split(';').next() == Some("gzip"))
        })
    }
}

/// A query or a form's body, decoded.
pub(super) fn form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(key, value)| (decode(key, true), decode(value, true))).collect()
}

/// Undoes percent encoding; in forms, `+` is a space.
fn decode(text: &str, is_form: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) if is_form => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent encoding of everything that is not unreserved.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
