//! Atlassian's organizations API: the stream of events in order of their processing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::config::{LastPage, NextStyle, Refusal};
use super::dataset::{Record, Stream, micros};
use super::random::Random;
use super::routes::{Call, Endpoint, Route, encode};
use super::server::{Answer, atlassian_error};
use super::{Shared, lock};

/// Events of a page if the request does not say.
const PAGE: i64 = 200;

/// The most events of a page.
const MOST: i64 = 500;

/// Checks the API key.
pub(super) fn user(shared: &Shared, call: &Call) -> Result<String, Answer> {
    let Some(key) = &shared.config.atlassian_key else { return Ok("anyone".to_owned()) };
    let (scheme, given) =
        call.header("authorization").and_then(|header| header.split_once(' ')).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") && given.trim() == key {
        return Ok("key".to_owned());
    }
    lock(&shared.login).seen.rejected += 1;
    let answer =
        atlassian_error(401, "ADMIN-401-1", "Unauthorized", "The API key is missing, wrong or expired.");
    Err(answer.with("WWW-Authenticate", "Bearer"))
}

/// Answers a request that has passed login and budget.
pub(super) fn answer(shared: &Shared, call: &Call, route: &Route) -> Answer {
    let organization = &shared.config.atlassian_organization;
    let scopes = [route.organization.as_deref(), Some("*")];
    let restrictions = lock(&shared.restrictions);
    let hit = scopes
        .into_iter()
        .flatten()
        .find_map(|scope| restrictions.get(scope).filter(|restriction| restriction.hits(route.endpoint)));
    match hit.map(|restriction| restriction.refusal) {
        Some(Refusal::NotAMember) => {
            return atlassian_error(
                401,
                "ADMIN-401-1",
                "Unauthorized",
                "The API key belongs to another organization.",
            );
        }
        Some(Refusal::NotFound) => return not_found(),
        Some(_) => {
            return atlassian_error(
                403,
                "ADMIN-403-3",
                "Forbidden",
                "The API key may not read audit events.",
            );
        }
        None => {}
    }
    if route.endpoint == Endpoint::AtlassianOrganizations {
        let item = json!({
            "id": organization,
            "type": "orgs",
            "attributes": { "name": "Example Organisation" },
            "links": { "self": format!("{}/admin/v1/orgs/{organization}", shared.url) },
        });
        let links = json!({ "self": format!("{}{}", shared.url, call.target), "prev": null, "next": null });
        return Answer::json(200, &json!({ "data": [item], "links": links }));
    }
    if route.organization.as_ref() != Some(organization) {
        return not_found();
    }
    match events(shared, call) {
        Ok(body) => Answer::new(200, "application/json", body),
        Err(refusal) => refusal,
    }
}

fn not_found() -> Answer {
    atlassian_error(404, "ADMIN-404-2", "Not Found", "There is no such organization.")
}

/// Where a reader stands, what it asked for, and in which order: all of it is in the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    is_ascending: bool,
    from: i64,
    to: i64,
    /// Time and number of the last event that was given; none before the first.
    last: Option<(i64, u64)>,
}

impl Cursor {
    fn encode(self) -> String {
        let (key, number) = self.last.map_or((String::new(), 0), |(key, number)| (key.to_string(), number));
        let order = if self.is_ascending { "asc" } else { "desc" };
        URL_SAFE_NO_PAD.encode(format!("1:{order}:{}:{}:{key}:{number}", self.from, self.to))
    }

    fn decode(text: &str) -> Option<Cursor> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let parts: Vec<&str> = text.split(':').collect();
        let ["1", order, from, to, key, number] = parts.as_slice() else { return None };
        let last = if key.is_empty() { None } else { Some((key.parse().ok()?, number.parse().ok()?)) };
        let is_ascending = *order == "asc";
        Some(Cursor { is_ascending, from: from.parse().ok()?, to: to.parse().ok()?, last })
    }

    /// What the request asks for.
    fn of(call: &Call) -> Result<Cursor, Answer> {
        if let Some(text) = call.first("cursor").filter(|text| !text.is_empty()) {
            let cursor = Cursor::decode(text);
            return cursor.ok_or_else(|| problem("ADMIN-400-1", "The cursor is not valid."));
        }
        let time = |name: &str| {
            let value = call
                .number(name)
                .ok()
                .filter(|value| value.is_none_or(|value| (0..1 << 50).contains(&value)));
            value.ok_or_else(|| problem("ADMIN-400-3", &format!("{name} is not a time in milliseconds.")))
        };
        let (from, to) = (time("from")?, time("to")?);
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return Err(problem("ADMIN-400-3", "from is after to."));
        }
        let is_ascending = match call.first("sortOrder") {
            None | Some("asc") => true,
            Some("desc") => false,
            Some(_) => return Err(problem("ADMIN-400-2", "sortOrder is asc or desc.")),
        };
        let to = to.map_or(i64::MAX, |to| to * 1000 + 999);
        Ok(Cursor { is_ascending, from: from.map_or(i64::MIN, |from| from * 1000), to, last: None })
    }

    /// The next events.
    fn read(self, stream: &Stream, least: i64, now: i64, count: usize) -> Vec<&Record> {
        let records = &stream.records;
        let least = self.from.max(least);
        let most = self.to.min(now);
        let from = records.partition_point(|record| record.key < least);
        let end = records.partition_point(|record| record.key <= most);
        let (from, end) = match self.last {
            None => (from, end),
            Some(last) if self.is_ascending => {
                (from.max(records.partition_point(|record| (record.key, record.number) <= last)), end)
            }
            Some(last) => {
                (from, end.min(records.partition_point(|record| (record.key, record.number) < last)))
            }
        };
        let range = &records[from..end.max(from)];
        if self.is_ascending {
            range.iter().take(count).collect()
        } else {
            range.iter().rev().take(count).collect()
        }
    }
}

fn problem(code: &str, detail: &str) -> Answer {
    atlassian_error(400, code, "Bad Request", detail)
}

fn events(shared: &Shared, call: &Call) -> Result<Vec<u8>, Answer> {
    let options = &shared.config.atlassian;
    let limit =
        call.number("limit").map_err(|_| problem("ADMIN-400-2", "limit is not a number."))?.unwrap_or(PAGE);
    if !(1..=MOST).contains(&limit) {
        return Err(problem("ADMIN-400-2", "limit is from 1 to 500."));
    }
    let cursor = Cursor::of(call)?;
    let data = lock(&shared.data);
    let now = shared.clock.micros();
    let mut count = limit as usize;
    let mut random = Random::new(shared.config.seed, cursor.last.map_or(0, |(_, number)| number));
    if random.below(100) < u64::from(options.short_pages) {
        count = random.below(limit.unsigned_abs()).max(1) as usize;
    }
    let page = cursor.read(&data.atlassian, now - micros(options.retention), now, count);
    let next = match page.last() {
        Some(last) => Some(Cursor { last: Some((last.key, last.number)), ..cursor }),
        // the same place, from where newer events will be seen
        None => Some(cursor).filter(|_| options.last_page == LastPage::KeepsCursor),
    };
    let next = next.map(Cursor::encode);
    let url = |cursor: &String| format!("{}{}?cursor={}", shared.url, call.path(), encode(cursor));
    let (bare, link) = (next.clone(), next.as_ref().map(url));
    let (in_meta, in_links) = match options.next {
        NextStyle::Bare => (Some(json!(bare)), None),
        NextStyle::Url => (None, Some(json!(link))),
        NextStyle::Both => (Some(json!(bare)), Some(json!(link))),
        NextStyle::Swapped => (Some(json!(link)), Some(json!(bare))),
    };
    let mut meta = json!({ "page_size": options.page_size.unwrap_or(count) });
    let mut links = json!({ "self": format!("{}{}", shared.url, call.target) });
    if let Some(next) = in_meta {
        meta["next"] = next;
    }
    if let Some(next) = in_links {
        links["next"] = next;
    }
    let mut out = b"{\"data\":[".to_vec();
    super::atlas::write_all(&page, true, &mut out);
    out.extend_from_slice(format!("],\"meta\":{meta},\"links\":{links}}}").as_bytes());
    Ok(out)
}
