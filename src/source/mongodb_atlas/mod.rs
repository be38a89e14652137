//! `mongodb_atlas`: the audit streams of MongoDB Atlas. The requests and pages are data for the
//! poller, in the TOML files of this folder; what is here turns options into their arguments.
//!
//! The API has no cursor, no stated order, no stated inclusivity and no bound on how late an event
//! may come: closed windows, an overlap and durable ids are what makes it complete and free of
//! repeats.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::SourceFactory;
use super::http_poll::{HttpPoll, LevelOptions, PartitionOptions, Ready, TlsOptions};
use super::poll::{Hint, Partitions, WindowOptions};
use crate::config::{self, Check, Component, Start};
use crate::http::auth::{Auth, AuthOption};

/// Where the API is.
const BASE: &str = "https://cloud.mongodb.com";

/// 2008-01-01: access history knows nothing before it, and there was no Atlas.
const EARLIEST: i64 = 1_199_145_600_000;

/// Which of the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Stream {
    /// Events of the organisation.
    OrganizationEvents,
    /// Events of each project.
    ProjectEvents,
    /// Logins to databases, from every host.
    AccessHistory,
    /// The auditing configuration of each project, when it has changed.
    AuditingConfig,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::OrganizationEvents => "organization_events",
            Stream::ProjectEvents => "project_events",
            Stream::AccessHistory => "access_history",
            Stream::AuditingConfig => "auditing_config",
        }
    }

    fn recipe(self) -> &'static str {
        match self {
            Stream::OrganizationEvents => include_str!("organization_events.toml"),
            Stream::ProjectEvents => include_str!("project_events.toml"),
            Stream::AccessHistory => include_str!("access_history.toml"),
            Stream::AuditingConfig => include_str!("auditing_config.toml"),
        }
    }

    fn role(self) -> &'static str {
        match self {
            Stream::OrganizationEvents => "Organization Member",
            Stream::ProjectEvents => "Project Read Only",
            Stream::AccessHistory => "Project Database Access Admin (or Project Cluster Log Viewer)",
            Stream::AuditingConfig => "Project Owner",
        }
    }
}

/// Pulls audit streams of MongoDB Atlas.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MongodbAtlas {
    /// Which stream.
    stream: Stream,
    /// Id of the organisation, 24 hex digits. For project streams it limits which projects are found.
    organization: Option<String>,
    /// Ids of projects. Without it all that the login sees; they are looked for again and again.
    #[schemars(length(min = 1))]
    projects: Option<Vec<String>>,
    /// For `access_history`: hosts, all of the one project in `projects`. Without it all of each project.
    #[schemars(length(min = 1))]
    hosts: Option<Vec<String>>,
    /// For `access_history`: clusters in place of hosts, all of the one project in `projects`. For
    /// `project_events`: only events of these.
    #[schemars(length(min = 1))]
    clusters: Option<Vec<String>>,
    /// `digest` with an API key, or `service_account`; of a list the service account is taken.
    auth: AuthOption,
    /// Where a stream begins that has no cursor: `"now"`, `"all"` or a time.
    start: Option<Start>,
    /// Between the end of a poll and the next one. Configurations are looked at every 10 minutes.
    interval: Option<config::Duration>,
    /// How time is cut.
    window: Option<WindowOptions>,
    /// Scheme and host, for other clouds.
    base_url: Option<String>,
    /// For events: only these types.
    event_types: Option<Vec<String>>,
    /// For `project_events`: all types but these.
    excluded_event_types: Option<Vec<String>>,
    /// For events: ask for the raw document too.
    include_raw: Option<bool>,
    /// For `access_history`: only from this address.
    ip_address: Option<String>,
    /// For `access_history`: only logins that succeeded, or only those that failed.
    auth_result: Option<bool>,
    /// For `access_history`: what one answer holds at the most. A window that fills it is halved.
    #[schemars(range(min = 2, max = 20000))]
    records_per_request: Option<u32>,
    /// Between two looks for projects and hosts.
    #[serde(default = "default_discovery")]
    discovery_interval: config::Duration,
    /// Projects or hosts that are polled at the same time.
    #[schemars(range(min = 1, max = 256))]
    concurrency: Option<usize>,
    /// Raise an alert when no events have come for this long. Off under `--once`.
    quiet_after: Option<config::Duration>,
    /// The longest silence of the server within a request.
    timeout: Option<config::Duration>,
    /// A proxy. Without it that of the environment.
    proxy: Option<String>,
    /// Certificates.
    tls: Option<TlsOptions>,
}

fn default_discovery() -> config::Duration {
    config::Duration::from_secs(600)
}

impl Component<dyn SourceFactory> for MongodbAtlas {
    const NAME: &'static str = "mongodb_atlas";
    const SUMMARY: &'static str = "Audit streams of MongoDB Atlas: organisation and project events, database access history, auditing configuration.";
    const GUARANTEE: &'static str = "That of `http_poll`: a durable cursor per project or host, closed windows by the server's clock, an overlap for late events, ids recorded with the cursor.";
    const EXAMPLE: &'static str = r#"[sources.atlas]
type = "mongodb_atlas"
stream = "organization_events"
organization = { env = "ATLAS_ORG_ID" }
auth = { type = "service_account", client_id = { env = "ATLAS_CLIENT_ID" }, client_secret = { env = "ATLAS_CLIENT_SECRET" } }
start = "2025-01-01T00:00:00Z"
"#;

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn SourceFactory>> {
        let is_sound = self.check_options(check);
        let stream = self.stream;
        let mut recipe = recipe::<HttpPoll>(check, stream.recipe())?;
        recipe.base_url = Some(self.base_url.clone().unwrap_or_else(|| BASE.to_owned()));
        recipe.auth = Some(self.auth.clone());
        recipe.start = self.start;
        recipe.window = (stream != Stream::AuditingConfig).then(|| self.window.unwrap_or_default());
        recipe.proxy.clone_from(&self.proxy);
        recipe.tls.clone_from(&self.tls);
        recipe.interval = self.interval.unwrap_or(recipe.interval);
        recipe.timeout = self.timeout.unwrap_or(recipe.timeout);
        recipe.concurrency = self.concurrency.unwrap_or(recipe.concurrency);
        recipe.quiet_after = match stream {
            // a configuration is meant to stay as it is
            Stream::AuditingConfig => config::Duration::from_secs(0),
            _ => self.quiet_after.unwrap_or(recipe.quiet_after),
        };
        let args = json!({
            "organization": self.organization,
            "clusters": self.clusters,
            "event_types": self.event_types,
            "excluded_event_types": self.excluded_event_types,
            "include_raw": self.include_raw,
            "ip_address": self.ip_address,
            "auth_result": self.auth_result,
            "records_per_request": self.records_per_request.unwrap_or(20_000),
        });
        if let Value::Object(args) = args {
            recipe.args = args;
        }
        if stream != Stream::OrganizationEvents {
            recipe.partitions = Some(self.discovery(check)?);
        }
        let mut plan = recipe.plan(check, Some(&format!("mongodb_atlas/{}", stream.name())))?;
        plan.earliest = EARLIEST;
        plan.hints = hints(stream);
        if let Some(found) = &mut plan.partitions {
            self.known_partitions(found);
        }
        is_sound.then(|| Box::new(Ready(Arc::new(plan))) as Box<dyn SourceFactory>)
    }
}

impl MongodbAtlas {
    fn check_options(&self, check: &mut Check<'_>) -> bool {
        let before = check.diagnostics.len();
        let stream = self.stream;
        let of = |streams: &[Stream]| streams.contains(&stream);
        let events = of(&[Stream::OrganizationEvents, Stream::ProjectEvents]);
        let access = of(&[Stream::AccessHistory]);
        let given = [
            ("organization", self.organization.is_some(), true),
            ("projects", self.projects.is_some(), stream != Stream::OrganizationEvents),
            ("hosts", self.hosts.is_some(), access),
            ("clusters", self.clusters.is_some(), of(&[Stream::AccessHistory, Stream::ProjectEvents])),
            ("event_types", self.event_types.is_some(), events),
            ("excluded_event_types", self.excluded_event_types.is_some(), of(&[Stream::ProjectEvents])),
            ("include_raw", self.include_raw.is_some(), events),
            ("ip_address", self.ip_address.is_some(), access),
            ("auth_result", self.auth_result.is_some(), access),
            ("records_per_request", self.records_per_request.is_some(), access),
            ("window", self.window.is_some(), stream != Stream::AuditingConfig),
        ];
        for (option, is_given, fits) in given {
            if is_given && !fits {
                let message = format!("`{option}` means nothing for the stream \"{}\"", stream.name());
                check.error(option, message, Some("take it away".to_owned()));
            }
        }
        if stream == Stream::OrganizationEvents && self.organization.is_none() {
            let help = "add `organization = { env = \"ATLAS_ORG_ID\" }`: 24 hex digits, from the address of the organisation's page".to_owned();
            check.error_here("missing option `organization`", Some(help));
        }
        let names_places = access && (self.hosts.is_some() || self.clusters.is_some());
        if names_places && self.projects.as_ref().map_or(0, Vec::len) != 1 {
            let help = "name the one project that they belong to in `projects`".to_owned();
            let option = if self.hosts.is_some() { "hosts" } else { "clusters" };
            check.error(option, "hosts and clusters need their project", Some(help));
        }
        if let Some(auth) = self.auth.chosen()
            && !matches!(auth, Auth::Digest { .. } | Auth::ServiceAccount { .. })
        {
            let help = "use `digest` with an API key, or `service_account`".to_owned();
            check.error("auth", format!("Atlas knows no login of type `{}`", auth.kind()), Some(help));
        }
        check.diagnostics.len() == before
    }

    /// How projects, and hosts in them, are found.
    fn discovery(&self, check: &mut Check<'_>) -> Option<PartitionOptions> {
        let projects = recipe::<LevelOptions>(check, include_str!("projects.toml"))?;
        let hosts = match self.stream {
            Stream::AccessHistory => Some(recipe::<LevelOptions>(check, include_str!("processes.toml"))?),
            _ => None,
        };
        Some(PartitionOptions {
            request: projects.request,
            records: projects.records,
            id: Some(config::Program(
                "if .cluster then \"\\(.group)/\\(.cluster)\" elif .host then \"\\(.group)/\\(.host)\" else .id end".to_owned(),
            )),
            next: projects.next,
            partitions: hosts,
            interval: self.discovery_interval,
        })
    }

    /// Leaves out of the discovery what the options name.
    fn known_partitions(&self, found: &mut Partitions) {
        let Some(projects) = &self.projects else { return };
        found.levels.remove(0);
        found.roots = projects.iter().map(|id| json!({ "id": id, "group": id })).collect();
        if self.stream != Stream::AccessHistory {
            return;
        }
        let (member, names) = match (&self.hosts, &self.clusters) {
            (Some(hosts), _) => ("host", hosts),
            (None, Some(clusters)) => ("cluster", clusters),
            (None, None) => return,
        };
        found.levels.clear();
        let group = projects.first().cloned().unwrap_or_default();
        found.roots = names.iter().map(|name| json!({ "group": group, member: name })).collect();
    }
}

/// A part of the poller's configuration that is built in.
pub(super) fn recipe<T: serde::de::DeserializeOwned>(check: &mut Check<'_>, text: &str) -> Option<T> {
    match toml::from_str(text) {
        Ok(recipe) => Some(recipe),
        Err(error) => {
            check.error_here(format!("a built-in description is broken: {error}"), None);
            None
        }
    }
}

fn hints(stream: Stream) -> Vec<Hint> {
    let hint = |status: u16, text: String| Hint { status, text };
    vec![
        hint(
            401,
            "Atlas does not accept the login: is it the right key, has its secret expired (after a year at the latest), does it belong to this organisation, and is this machine's address on its access list?".to_owned(),
        ),
        hint(
            403,
            format!(
                "the login may not read this: it needs the role {}, and this machine's address on its access list",
                stream.role()
            ),
        ),
        hint(
            404,
            "Atlas does not know it, or the login may not see it: check the ids of organisation and projects".to_owned(),
        ),
        hint(
            400,
            "Atlas refuses the request; M0, M2 and M5 clusters have neither access history nor auditing".to_owned(),
        ),
    ]
}
