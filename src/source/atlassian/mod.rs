//! `atlassian`: the audit stream of an Atlassian organisation. The requests and pages are data for the
//! poller, in the TOML file of this folder.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::SourceFactory;
use super::http_poll::{HttpPoll, Ready, TlsOptions};
use super::mongodb_atlas::recipe;
use super::poll::Hint;
use crate::config::{self, Check, Component, Start};
use crate::http::auth::{Auth, AuthOption};

/// Where the API is.
const BASE: &str = "https://api.atlassian.com";

/// Which of the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Stream {
    /// Audit events of the organisation.
    #[default]
    OrganizationEvents,
}

/// Pulls the audit stream of an Atlassian organisation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Atlassian {
    /// Which stream.
    #[serde(default)]
    #[allow(dead_code, reason = "there is one so far, and the file says which")]
    stream: Stream,
    /// Id of the organisation.
    organization: String,
    /// `bearer` with an API key of the organisation.
    auth: AuthOption,
    /// Where the stream begins: `"now"`, `"all"` or a time. The server keeps 180 days.
    start: Start,
    /// Between the end of a poll and the next one.
    interval: Option<config::Duration>,
    /// Scheme and host, for tests.
    base_url: Option<String>,
    /// Events of a page.
    #[serde(default = "default_page")]
    #[schemars(range(min = 1, max = 500))]
    page_size: u32,
    /// How far to reach back where the server has given no cursor to go on from.
    #[serde(default = "default_overlap")]
    overlap: config::Duration,
    /// Raise an alert when no events have come for this long. Off under `--once`.
    quiet_after: Option<config::Duration>,
    /// The longest silence of the server within a request.
    timeout: Option<config::Duration>,
    /// A proxy. Without it that of the environment.
    proxy: Option<String>,
    /// Certificates.
    tls: Option<TlsOptions>,
}

fn default_page() -> u32 {
    200
}

fn default_overlap() -> config::Duration {
    config::Duration::from_secs(600)
}

impl Component<dyn SourceFactory> for Atlassian {
    const NAME: &'static str = "atlassian";
    const SUMMARY: &'static str =
        "The audit stream of an Atlassian organisation (Guard Standard or Premium, or Enterprise).";
    const GUARANTEE: &'static str = "That of `http_poll`: the stream's own cursor, recorded page by page once the page is delivered; ids keep a page that is asked for again from being repeated.";
    const EXAMPLE: &'static str = r#"[sources.atlassian]
type = "atlassian"
stream = "organization_events"
organization = { env = "ATLASSIAN_ORG_ID" }
auth = { type = "bearer", token = { env = "ATLASSIAN_API_KEY" } }
start = "now"
"#;

    fn check(self, check: &mut Check<'_>) -> Option<Box<dyn SourceFactory>> {
        let before = check.diagnostics.len();
        if let Some(auth) = self.auth.chosen()
            && !matches!(auth, Auth::Bearer { .. })
        {
            let help = "use `bearer` with an API key of the organisation".to_owned();
            check.error("auth", format!("the API knows no login of type `{}`", auth.kind()), Some(help));
        }
        let is_sound = check.diagnostics.len() == before;
        let mut recipe = recipe::<HttpPoll>(check, include_str!("organization_events.toml"))?;
        recipe.base_url = Some(self.base_url.unwrap_or_else(|| BASE.to_owned()));
        recipe.auth = Some(self.auth);
        recipe.start = Some(self.start);
        recipe.proxy = self.proxy;
        recipe.tls = self.tls;
        recipe.interval = self.interval.unwrap_or(recipe.interval);
        recipe.timeout = self.timeout.unwrap_or(recipe.timeout);
        recipe.quiet_after = self.quiet_after.unwrap_or(recipe.quiet_after);
        let args = json!({
            "organization": self.organization,
            "page_size": self.page_size,
            "overlap_ms": std::time::Duration::from(self.overlap).as_millis() as u64,
        });
        if let serde_json::Value::Object(args) = args {
            recipe.args = args;
        }
        let mut plan = recipe.plan(check, Some("atlassian/organization_events"))?;
        plan.hints = hints();
        is_sound.then(|| Box::new(Ready(Arc::new(plan))) as Box<dyn SourceFactory>)
    }
}

fn hints() -> Vec<Hint> {
    let hint = |status: u16, text: &str| Hint { status, text: text.to_owned() };
    vec![
        hint(
            401,
            "Atlassian does not accept the API key: keys live a week unless told otherwise, and a year at the most; make a new one under Settings, API keys",
        ),
        hint(
            403,
            "the API key may not read audit events: a key with scopes needs `read:events:admin`, and the organisation Guard Standard or Premium, or Enterprise",
        ),
        hint(404, "there is no such organisation, or the key does not belong to it: check `organization`"),
        hint(
            400,
            "Atlassian refuses the request; if it is the cursor that has expired: `jaquard state FILE > state.json`, take `cursor` out of the row's `state`, and `jaquard state FILE --set state.json` goes on from the time in `from`",
        ),
    ]
}
