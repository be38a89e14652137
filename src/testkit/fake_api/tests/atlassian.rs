//! Atlassian's stream.

use chrono::TimeDelta;

use super::*;

async fn ask(api: &FakeApi, query: &str) -> Reply {
    let target = format!("/admin/v1/orgs/{}/events-stream{query}", api.config().atlassian_organization);
    send(api, "GET", &target, &[("Authorization", "Bearer the-key")], "").await.unwrap()
}

fn config(atlassian: AtlassianOptions) -> Config {
    let faults = Faults { collisions: 0.5, ..Faults::default() };
    let key = Some("the-key".to_owned());
    let clock = Clock::stopped();
    Config { atlassian, faults, atlassian_key: key, clock, limits: RateLimits::off(), ..Config::default() }
}

/// The cursor of a page, wherever it is.
fn next(reply: &Reply) -> Option<String> {
    let value = reply.json();
    let found =
        [&value["meta"]["next"], &value["links"]["next"]].into_iter().find_map(Value::as_str)?.to_owned();
    Some(found.split_once("cursor=").map_or(found.clone(), |(_, cursor)| cursor.to_owned()))
}

/// Reads on until a page is empty; yields the ids and the last cursor that was not null.
async fn read(api: &FakeApi, mut query: String) -> (Vec<String>, Option<String>, Reply) {
    let (mut ids, mut last) = (Vec::new(), None);
    loop {
        let reply = ask(api, &query).await;
        assert_eq!(reply.status, 200);
        let page = reply.ids("data");
        let cursor = next(&reply);
        last = cursor.clone().or(last);
        if page.is_empty() {
            return (ids, last, reply);
        }
        assert!(cursor.is_some());
        ids.extend(page);
        query = format!("?limit=7&cursor={}", cursor.unwrap());
    }
}

#[tokio::test]
async fn both_last_pages_and_all_cursors_cover_everything() {
    for last_page in [LastPage::KeepsCursor, LastPage::NullNext] {
        for style in [NextStyle::Bare, NextStyle::Url, NextStyle::Both, NextStyle::Swapped] {
            let options =
                AtlassianOptions { last_page, next: style, short_pages: 30, ..AtlassianOptions::default() };
            let api = FakeApi::start(config(options)).await.unwrap();
            let truth: Vec<String> =
                api.events(&Partition::Atlassian).into_iter().map(|truth| truth.id).collect();
            let (ids, cursor, end) = read(&api, "?limit=7".to_owned()).await;
            assert_eq!(ids, truth);
            assert_eq!(next(&end).is_some(), last_page == LastPage::KeepsCursor);
            // what comes later, at the same moment or after, is seen with the old cursor
            let added = api.add_events(&Partition::Atlassian, &[api.clock().now() - TimeDelta::hours(2); 2]);
            api.clock().advance(Duration::from_secs(1));
            let more = api.add_events(&Partition::Atlassian, &[api.clock().now()]);
            let (ids, ..) = read(&api, format!("?cursor={}", cursor.unwrap())).await;
            assert_eq!(ids, [added, more].concat());
        }
    }
}

#[tokio::test]
async fn times_collide_over_pages_and_come_late() {
    let api = FakeApi::start(config(AtlassianOptions::default())).await.unwrap();
    let truth = api.events(&Partition::Atlassian);
    assert!(
        truth.chunks(7).zip(truth.chunks(7).skip(1)).any(|(one, two)| one[one.len() - 1].at == two[0].at)
    );
    let mut fractions = 0;
    for truth in &truth {
        let record: Value = serde_json::from_slice(&truth.record).unwrap();
        let at = DateTime::parse_from_rfc3339(record["attributes"]["time"].as_str().unwrap()).unwrap();
        assert!(at <= truth.at);
        fractions += usize::from(truth.at.timestamp_subsec_micros() > 0);
    }
    assert!(fractions > 0);
    let (ids, ..) = read(&api, "?limit=7&sortOrder=desc".to_owned()).await;
    assert!(ids.iter().eq(truth.iter().rev().map(|truth| &truth.id)));
    let bounds = format!("?from={}&to={}", truth[20].at.timestamp_millis(), truth[60].at.timestamp_millis());
    let (ids, ..) = read(&api, bounds).await;
    assert!(ids.contains(&truth[20].id) && ids.contains(&truth[60].id) && ids.len() < 70);
    // 180 days later nothing is left
    api.clock().advance(Duration::from_hours(181 * 24));
    assert_eq!(ask(&api, "").await.ids("data").len(), 0);
}

#[tokio::test]
async fn errors_and_limits_are_atlassians() {
    let mut config = config(AtlassianOptions::default());
    config.limits = RateLimits::default().with(RateSet::AtlassianPath, 6, 6);
    let api = FakeApi::start(config).await.unwrap();
    let organization = api.config().atlassian_organization.clone();
    let target = format!("/admin/v1/orgs/{organization}/events-stream");
    let reply = send(&api, "GET", &target, &[("Authorization", "Bearer other")], "").await.unwrap();
    assert_eq!((reply.status, &reply.json()["errors"][0]["status"]), (401, &Value::from("401")));
    let other = "/admin/v1/orgs/other/events-stream";
    let reply = send(&api, "GET", other, &[("Authorization", "Bearer the-key")], "").await.unwrap();
    assert_eq!(reply.json()["errors"][0]["code"], "ADMIN-404-2");
    let orgs = send(&api, "GET", "/admin/v1/orgs", &[("Authorization", "Bearer the-key")], "").await.unwrap();
    assert_eq!(orgs.ids("data"), [organization.as_str()]);
    let cases = [("?cursor=x", "ADMIN-400-1"), ("?from=x", "ADMIN-400-3"), ("?from=2&to=1", "ADMIN-400-3")];
    for (query, code) in cases {
        assert_eq!(ask(&api, query).await.json()["errors"][0]["code"], code);
    }
    assert_eq!(ask(&api, "?limit=501").await.status, 400);
    api.restrict(&organization, Refusal::Role);
    assert_eq!(ask(&api, "").await.json()["errors"][0]["code"], "ADMIN-403-3");
    api.allow(&organization);
    let good = ask(&api, "").await;
    assert_eq!(good.ids("data").len(), 200);
    assert_eq!(
        (good.header("x-ratelimit-limit"), good.header("x-ratelimit-remaining")),
        (Some("6"), Some("0"))
    );
    let refused = ask(&api, "").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, None));
    assert_eq!(refused.json()["errors"][0]["code"], "ADMIN-429-1");
    assert!(DateTime::parse_from_rfc3339(refused.header("x-ratelimit-reset").unwrap()).is_ok());
    assert_eq!(api.budget_violations(), 1);
}
