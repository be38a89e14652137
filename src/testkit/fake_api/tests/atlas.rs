//! Discovery, events, access history, logs, versions and restrictions of Atlas.

use chrono::{SecondsFormat, TimeDelta};

use super::*;

fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn still(config: Config) -> Config {
    Config { clock: Clock::stopped(), ..config }
}

/// All pages of a window.
async fn pages(api: &FakeApi, path: &str, size: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for page in 1.. {
        let reply = get(api, &format!("{path}&pageNum={page}&itemsPerPage={size}")).await;
        assert_eq!(reply.status, 200);
        ids.extend(reply.ids("results"));
        let links = reply.json()["links"].clone();
        let next = links.as_array().unwrap().iter().find(|link| link["rel"] == "next");
        let Some(next) = next else { break };
        assert!(next["href"].as_str().unwrap().contains(&format!("pageNum={}", page + 1)));
    }
    ids
}

#[tokio::test]
async fn pages_cover_everything_newest_first() {
    let faults = Faults { collisions: 0.3, ..Faults::default() };
    let api = FakeApi::start(still(Config { faults, ..Config::default() })).await.unwrap();
    let (id, path) = project(&api);
    let mut truth: Vec<String> =
        api.events(&Partition::Project(id)).into_iter().map(|truth| truth.id).collect();
    truth.reverse();
    for size in [7, 100, 200, 500] {
        assert_eq!(pages(&api, &format!("{path}?includeRaw=true"), size).await, truth);
    }
    assert_eq!(api.budget_violations(), 0);
    let path = format!("/orgs/{}/events?", api.config().organization);
    assert_eq!(pages(&api, &path, 33).await.len(), 200);
    assert_eq!(api.requests().endpoint(Endpoint::OrganizationEvents), 7);
    assert!(api.log().iter().all(|logged| logged.status == 200 && logged.auth == AuthKind::None));
}

#[tokio::test]
async fn windows_take_their_bounds() {
    for exclusive_max in [false, true] {
        let atlas = AtlasOptions { exclusive_max, rough_count: false, ..AtlasOptions::default() };
        let api = FakeApi::start(still(Config { atlas, ..Config::default() })).await.unwrap();
        let (id, path) = project(&api);
        let truth = api.events(&Partition::Project(id));
        let query = format!("{path}?minDate={}&maxDate={}", iso(truth[50].at), iso(truth[99].at));
        let reply = get(&api, &query).await;
        assert_eq!(reply.ids("results").len(), if exclusive_max { 49 } else { 50 });
        assert_eq!(reply.json()["totalCount"], if exclusive_max { 49 } else { 50 });
        assert_eq!(reply.ids("results").last(), Some(&truth[50].id));
        let reply = get(&api, &format!("{query}&includeCount=false")).await;
        assert_eq!(reply.json().get("totalCount"), None);
        let empty = get(&api, &format!("{path}?maxDate=2001-01-01T00:00:00")).await;
        assert_eq!((empty.status, empty.ids("results").len()), (200, 0));
    }
}

#[tokio::test]
async fn what_is_invalid_is_refused() {
    let api = FakeApi::start(Config::default()).await.unwrap();
    let (id, path) = project(&api);
    let bad = [
        "itemsPerPage=501",
        "itemsPerPage=0",
        "pageNum=0",
        "pageNum=x",
        "minDate=yesterday",
        // a plus that is not encoded is a space
        "minDate=2025-01-01T00:00:00+00:00",
        "minDate=2025-02-01&maxDate=2025-01-01",
    ];
    for query in bad {
        let reply = get(&api, &format!("{path}?{query}")).await;
        assert_eq!(reply.status, 400, "{query}");
        assert_eq!(reply.json()["errorCode"], "INVALID_QUERY_PARAMETER");
        assert_eq!(reply.json()["error"], 400);
    }
    for date in ["2025-01-01", "2025-01-01T00:00:00", "2025-01-01T00:00:00.5Z", "2025-01-01T00:00:00%2B0000"]
    {
        assert_eq!(get(&api, &format!("{path}?minDate={date}")).await.status, 200, "{date}");
    }
    let other = format!("/groups/{}/events", "0".repeat(24));
    assert_eq!(get(&api, &other).await.json()["errorCode"], "GROUP_NOT_FOUND");
    assert_eq!(get(&api, "/nothing").await.status, 404);
    let target = format!("/api/atlas/v2{path}");
    assert_eq!(send(&api, "POST", &target, &[ACCEPT], "").await.unwrap().status, 405);

    let host = format!("/groups/{id}/dbAccessHistory/clusters/Cluster0");
    for query in
        ["start=1748000000000", "start=1&end=1748000000000", "nLogs=20001", "ipAddress=x", "authResult=1"]
    {
        assert_eq!(get(&api, &format!("{host}?{query}")).await.status, 400, "{query}");
    }
    // the old version takes one of them alone
    let target = format!("/api/atlas/v1.0{host}?start=1748000000000");
    assert_eq!(send(&api, "GET", &target, &[], "").await.unwrap().status, 200);
}

#[tokio::test]
async fn versions_are_checked() {
    let atlas = AtlasOptions {
        sunset: Some("2023-11-15".to_owned()),
        deprecated: Some("2023-10-01".to_owned()),
        ..AtlasOptions::default()
    };
    let api = FakeApi::start(Config { atlas, ..Config::default() }).await.unwrap();
    let (id, path) = project(&api);
    let ask = async |path: &str, accept: &str| {
        let target = format!("/api/atlas/v2{path}");
        send(&api, "GET", &target, &[("Accept", accept)], "").await.unwrap()
    };
    let vendor = |version: &str| format!("application/vnd.atlas.{version}+json");
    assert_eq!(ask(&path, "*/*").await.status, 406);
    assert_eq!(ask(&path, &vendor("2023-01-02")).await.status, 406);
    assert_eq!(ask(&path, &vendor("2023-11-15")).await.status, 410);
    let newer = ask(&path, &vendor("2025-03-12")).await;
    assert_eq!((newer.status, newer.header("content-type")), (200, Some(&*vendor("2023-01-01"))));
    assert_eq!(newer.header("sunset"), None);
    assert!(ask(&path, &vendor("2023-10-01")).await.header("sunset").is_some());
    let clusters = format!("/groups/{id}/clusters");
    assert_eq!(ask(&clusters, &vendor("2023-01-01")).await.status, 406);
    assert_eq!(ask(&clusters, &vendor("2024-08-05")).await.json()["results"][0]["name"], "Cluster0");
}

#[tokio::test]
async fn filters_raw_and_gzip_work() {
    let api = FakeApi::start(still(Config::default())).await.unwrap();
    let (_, path) = project(&api);
    let all = get(&api, &format!("{path}?itemsPerPage=500&includeRaw=true")).await.json();
    let all = all["results"].as_array().unwrap();
    let of = |keep: &dyn Fn(&Value) -> bool| all.iter().filter(|event| keep(event)).count();
    let joined = |event: &Value| event["eventTypeName"] == "JOINED_GROUP";
    let ask = async |query: &str| {
        let reply = get(&api, &format!("{path}?itemsPerPage=500&{query}")).await.json();
        reply["results"].as_array().unwrap().clone()
    };
    assert_eq!(ask("eventType=JOINED_GROUP").await.len(), of(&joined));
    assert_eq!(ask("excludedEventType=JOINED_GROUP").await.len(), of(&|event| !joined(event)));
    assert_eq!(
        ask("eventType=JOINED_GROUP&eventType=MONGODB_USER_ADDED").await.len(),
        of(&|event| joined(event) || event["eventTypeName"] == "MONGODB_USER_ADDED")
    );
    assert_eq!(ask("clusterNames=Cluster0").await.len(), of(&|event| event["clusterName"] == "Cluster0"));
    assert_eq!(ask("clusterNames=Cluster1").await.len(), 0);
    assert!(all.iter().all(|event| event["raw"]["cre"].is_string()));
    let bare = ask("").await;
    assert!(bare.iter().all(|event| event.get("raw").is_none()));
    let one = get(&api, &format!("{path}/{}", bare[3]["id"].as_str().unwrap())).await.json();
    assert_eq!(one, bare[3]);

    let headers = [ACCEPT, ("Accept-Encoding", "br, gzip;q=0.8")];
    let zipped = send(&api, "GET", &format!("/api/atlas/v2{path}"), &headers, "").await.unwrap();
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_eq!(gunzip(&zipped.body), get(&api, &path).await.body);
}

#[tokio::test]
async fn offsets_shift_when_events_appear() {
    let config = Config { after: Duration::from_hours(24), ..Config::default() };
    let api = FakeApi::start(still(config)).await.unwrap();
    let (id, path) = project(&api);
    let open = format!("{path}?itemsPerPage=20");
    let closed = format!("{open}&maxDate={}", iso(api.clock().now()));
    let (first, first_closed) =
        (get(&api, &open).await.ids("results"), get(&api, &closed).await.ids("results"));
    assert_eq!(first, first_closed);
    api.clock().advance(Duration::from_hours(6));
    let appeared = api
        .events(&Partition::Project(id))
        .into_iter()
        .filter(|truth| truth.at <= api.clock().now() && truth.at > api.config().clock.start);
    let appeared = appeared.count();
    assert!((1..20).contains(&appeared), "{appeared}");
    let second = get(&api, &format!("{open}&pageNum=2")).await.ids("results");
    assert_eq!(second.iter().filter(|id| first.contains(id)).count(), appeared);
    let second = get(&api, &format!("{closed}&pageNum=2")).await.ids("results");
    assert!(second.iter().all(|id| !first.contains(id)));
}

#[tokio::test]
async fn late_events_appear_in_the_past() {
    let faults = Faults { late: 0.2, lateness: Duration::from_hours(12), ..Faults::default() };
    let api = FakeApi::start(still(Config { faults, ..Config::default() })).await.unwrap();
    let (id, path) = project(&api);
    let truth = api.events(&Partition::Project(id.clone()));
    let closed = format!("{path}?itemsPerPage=500&maxDate={}", iso(api.clock().now()));
    let early = get(&api, &closed).await.ids("results");
    let missing = truth.iter().filter(|truth| truth.visible_at > api.clock().now()).count();
    assert!(missing > 0);
    assert_eq!(early.len(), truth.len() - missing);
    api.clock().advance(Duration::from_hours(12));
    assert_eq!(get(&api, &closed).await.ids("results").len(), truth.len());

    let added =
        api.add_events(&Partition::Project(id.clone()), &[truth[3].at, truth[3].at + TimeDelta::days(99)]);
    let now = get(&api, &closed).await.ids("results");
    assert_eq!((added.len(), now.len()), (2, truth.len() + 1));
    assert!(now.contains(&added[0]));
    let text = format!("{{\"id\":\"own\",\"created\":\"{}\",\"eventTypeName\":\"NEW\"}}", iso(truth[3].at));
    assert_eq!(api.add_record(&Partition::Project(id), truth[3].at, text).as_deref(), Some("own"));
    assert_eq!(get(&api, &format!("{closed}&eventType=NEW")).await.ids("results"), ["own"]);
}

#[tokio::test]
async fn access_history_is_capped() {
    let atlas = AtlasOptions { max_logs: 40, ..AtlasOptions::default() };
    let api = FakeApi::start(still(Config { atlas, ..Config::default() })).await.unwrap();
    let (id, _) = project(&api);
    let processes = get(&api, &format!("/groups/{id}/processes")).await.json();
    let host = processes["results"][0]["id"].as_str().unwrap().to_owned();
    let truth = api.events(&Partition::Host { project: id.clone(), host: host.clone() });
    assert_eq!(truth.len(), 100);
    let base = format!("/groups/{id}/dbAccessHistory");
    let ask = async |path: &str| {
        let reply = get(&api, &format!("{base}/{path}")).await;
        assert_eq!(reply.status, 200);
        reply.json()["accessLogs"].as_array().unwrap().clone()
    };
    let bounds = |from: usize, to: usize| {
        format!("start={}&end={}", truth[from].at.timestamp_millis(), truth[to].at.timestamp_millis())
    };
    let encoded = host.replace(':', "%3A");
    assert_eq!(ask(&format!("processes/{host}?{}", bounds(0, 99))).await.len(), 40);
    let bare = host.split(':').next().unwrap();
    assert_eq!(ask(&format!("processes/{bare}?{}&nLogs=5", bounds(0, 99))).await.len(), 5);
    let some = ask(&format!("processes/{encoded}?{}", bounds(10, 29))).await;
    // twins at the bounds share their time
    assert!((20..=24).contains(&some.len()), "{}", some.len());
    let texts = truth.iter().map(|truth| serde_json::from_slice::<Value>(&truth.record).unwrap());
    let mut texts: Vec<Value> = texts.collect();
    texts.reverse();
    assert_eq!(ask(&format!("processes/{host}")).await, texts[..40]);
    let address = texts[0]["ipAddress"].as_str().unwrap();
    let found =
        ask(&format!("processes/{host}?ipAddress={address}&authResult={}", texts[0]["authResult"])).await;
    assert!(found.contains(&texts[0]) && found.iter().all(|record| record["ipAddress"] == address));
    let cluster = ask("clusters/Cluster0").await;
    let hosts: BTreeSet<&str> = cluster.iter().map(|record| record["hostname"].as_str().unwrap()).collect();
    assert_eq!((cluster.len(), hosts.len()), (40, 3));
    assert_eq!(get(&api, &format!("{base}/clusters/Nowhere")).await.status, 404);
}

#[tokio::test]
async fn logs_lag_and_may_be_empty() {
    let atlas = AtlasOptions { empty_log: EmptyLog::NoBody, ..AtlasOptions::default() };
    let api = FakeApi::start(still(Config { atlas, ..Config::default() })).await.unwrap();
    let (id, _) = project(&api);
    let Partition::Host { host, .. } = api.partitions()[3].clone() else { panic!() };
    let accept = [("Accept", "application/vnd.atlas.2023-02-01+gzip"), ("Accept-Encoding", "gzip")];
    let ask = async |log: &str| {
        let target = format!("/api/atlas/v2/groups/{id}/clusters/{host}/logs/{log}.gz?startDate=1700000000");
        send(&api, "GET", &target, &accept, "").await.unwrap()
    };
    let reply = ask("mongodb").await;
    assert_eq!(reply.header("content-encoding"), None);
    let text = String::from_utf8(gunzip(&reply.body)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, api.log_lines(&id, &host, "mongodb")[..lines.len()]);
    assert!(lines.len() > 90);
    let audit = String::from_utf8(gunzip(&ask("mongodb-audit-log").await.body)).unwrap();
    assert!(
        audit.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["ts"]["$date"].is_string())
    );
    assert_eq!(ask("mongos").await.body.len(), 0);
    assert_eq!(ask("other").await.status, 404);
}

#[tokio::test]
async fn restrictions_apply_where_they_should() {
    let api = FakeApi::start(Config::default()).await.unwrap();
    let (id, path) = project(&api);
    let auditing = format!("/groups/{id}/auditLog");
    assert_eq!(get(&api, &auditing).await.json(), api.auditing(&id).unwrap());
    api.set_auditing(&id, serde_json::json!({ "enabled": false }));
    assert_eq!(get(&api, &auditing).await.json(), serde_json::json!({ "enabled": false }));
    let cases = [
        (Refusal::NotAMember, 401, 401),
        (Refusal::AccessList, 403, 403),
        (Refusal::Role, 403, 403),
        (Refusal::NotFound, 404, 404),
        (Refusal::Tier, 200, 400),
    ];
    for (refusal, events, audit) in cases {
        api.restrict(&id, refusal);
        assert_eq!(get(&api, &path).await.status, events);
        let reply = get(&api, &auditing).await;
        assert_eq!(reply.status, audit);
        assert!(reply.json()["errorCode"].is_string() && reply.json()["parameters"].is_array());
        assert_eq!(get(&api, &format!("/groups/{}/events", api.projects()[1])).await.status, 200);
    }
    api.restrict(&id, Restriction { refusal: Refusal::Role, only: vec![Endpoint::Auditing] });
    assert_eq!((get(&api, &path).await.status, get(&api, &auditing).await.status), (200, 403));
    api.allow(&id);
    assert_eq!(get(&api, &auditing).await.status, 200);
    let added = api.add_project();
    assert_eq!(get(&api, "/groups").await.ids("results"), api.projects());
    assert!(api.projects().contains(&added) && api.remove_project(&id) && !api.remove_project(&id));
    assert_eq!(get(&api, &path).await.status, 404);
    assert_eq!(api.events(&Partition::Project(id)).len(), 200);
    let path = format!("/orgs/{}/groups", api.config().organization);
    assert_eq!(get(&api, &path).await.ids("results"), api.projects());
    assert_eq!(get(&api, "/eventTypes?itemsPerPage=3").await.json()["results"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn everything_is_discovered() {
    let config = Config { projects: 3, hosts_per_project: 4, project_events: 0, ..Config::default() };
    let api = FakeApi::start(config).await.unwrap();
    let (id, path) = project(&api);
    assert_eq!(get(&api, "/orgs").await.ids("results"), [api.config().organization.clone()]);
    assert_eq!(
        get(&api, "/groups?itemsPerPage=2&pageNum=2").await.ids("results"),
        [api.projects()[2].clone()]
    );
    let one = get(&api, &format!("/groups/{id}")).await.json();
    assert_eq!((&one["id"], &one["clusterCount"]), (&Value::from(id.as_str()), &Value::from(2)));
    let hosts = get(&api, &format!("/groups/{id}/processes")).await.ids("results");
    let truth = api.partitions().into_iter().filter_map(|partition| match partition {
        Partition::Host { project, host } if project == id => Some(host),
        _ => None,
    });
    assert!(hosts.len() == 4 && truth.eq(hosts));
    let empty = get(&api, &path).await.json();
    assert_eq!((&empty["results"], &empty["totalCount"]), (&serde_json::json!([]), &Value::from(0)));
    let accept = [("Accept", "application/vnd.atlas.2025-03-12+json")];
    let limits = send(&api, "GET", "/api/atlas/v2/rateLimits", &accept, "").await.unwrap().json();
    assert!(limits["results"].as_array().unwrap().iter().any(|limit| limit["capacity"] == 1200));
    let path = format!("/orgs/{}/events", "0".repeat(24));
    assert_eq!(get(&api, &path).await.status, 404);
    // a page of the old version, without a version to ask for
    let target = format!("/api/atlas/v1.0/orgs/{}/events", api.config().organization);
    let old = send(&api, "GET", &target, &[], "").await.unwrap();
    assert_eq!(old.header("content-type"), Some("application/json"));
    assert_eq!(old.ids("results").len(), 100);
}
