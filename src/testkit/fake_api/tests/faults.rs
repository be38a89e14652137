//! Each fault comes as often as it should and looks as it should.

use chrono::{NaiveDateTime, TimeDelta};

use super::*;

/// Asks often; yields how many answers had each status, 0 for what was cut.
async fn statuses(api: &FakeApi, count: usize) -> BTreeMap<u16, usize> {
    let mut statuses = BTreeMap::new();
    for _ in 0..count {
        let reply = send(api, "GET", "/api/atlas/v2/orgs", &[ACCEPT], "").await;
        *statuses.entry(reply.map_or(0, |reply| reply.status)).or_default() += 1;
    }
    statuses
}

/// Switches a fault on.
type Set = fn(&mut Faults);

#[tokio::test]
async fn each_fault_has_its_rate() {
    let config = Config { limits: RateLimits::off(), ..Config::default() };
    let api = FakeApi::start(config).await.unwrap();
    let none = Faults { slow_by: Duration::from_millis(1), ..Faults::default() };
    let cases: [(Fault, Set, u16); 8] = [
        (Fault::TooManySeconds, |faults| faults.too_many_seconds = 0.3, 429),
        (Fault::TooManyDate, |faults| faults.too_many_date = 0.3, 429),
        (Fault::TooManyBare, |faults| faults.too_many_bare = 0.3, 429),
        (Fault::InternalError, |faults| faults.internal_error = 0.3, 500),
        (Fault::Unavailable, |faults| faults.unavailable = 0.3, 503),
        (Fault::Slow, |faults| faults.slow = 0.3, 200),
        (Fault::CutBeforeHeaders, |faults| faults.cut_before_headers = 0.3, 0),
        (Fault::CutInBody, |faults| faults.cut_in_body = 0.3, 0),
    ];
    for (fault, set, status) in cases {
        let mut faults = none.clone();
        set(&mut faults);
        api.set_faults(faults);
        let seen = statuses(&api, 200).await;
        let hit = api.faults_hit()[&fault];
        assert!((35..85).contains(&hit), "{fault:?} {hit}");
        assert_eq!(seen.values().sum::<usize>(), 200);
        if status != 200 {
            assert_eq!(seen.get(&status).copied(), Some(hit as usize), "{fault:?} {seen:?}");
            assert_eq!(seen.len(), 2);
        }
    }
    api.set_faults(none);
    assert_eq!(statuses(&api, 20).await, BTreeMap::from([(200, 20)]));
    assert_eq!(api.requests().status(0), api.faults_hit()[&Fault::CutBeforeHeaders]);
    assert_eq!(api.requests().total(), 1620);
    assert!(api.log().iter().any(|logged| logged.fault == Some(Fault::CutInBody) && logged.status == 200));
}

#[tokio::test]
async fn retry_after_has_both_forms() {
    let faults = Faults { retry_after: 7, ..Faults::default() };
    let api = FakeApi::start(Config { faults, ..Config::default() }).await.unwrap();
    let reply = async |fault| {
        api.fail_next("/orgs", fault, 1);
        get(&api, "/orgs").await
    };
    assert_eq!(reply(Fault::TooManySeconds).await.header("retry-after"), Some("7"));
    assert_eq!(reply(Fault::TooManyBare).await.header("retry-after"), None);
    let dated = reply(Fault::TooManyDate).await;
    let parse = |name: &str| {
        NaiveDateTime::parse_from_str(dated.header(name).unwrap(), "%a, %d %b %Y %H:%M:%S GMT").unwrap()
    };
    let wait = (parse("retry-after") - parse("date")).num_seconds();
    assert!((6..=7).contains(&wait), "{wait}");
    assert_eq!(get(&api, "/orgs").await.status, 200);
}

#[tokio::test]
async fn dates_are_the_servers_and_may_be_wrong() {
    let clock = Clock { speed: 3600.0, ..Clock::default() };
    let api = FakeApi::start(Config { clock, skew: TimeDelta::days(-1), ..Config::default() }).await.unwrap();
    let date = async || {
        let reply = get(&api, "/orgs").await;
        let date = reply.header("date").unwrap().to_owned();
        assert_eq!(reply.headers.iter().filter(|(name, _)| name == "date").count(), 1);
        NaiveDateTime::parse_from_str(&date, "%a, %d %b %Y %H:%M:%S GMT").unwrap().and_utc()
    };
    let first = date().await;
    assert!(first >= clock.start - TimeDelta::days(1) && first < clock.start);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(date().await - first >= TimeDelta::seconds(72));
    api.clock().set_speed(0.0);
    api.clock().set_skew(TimeDelta::zero());
    api.clock().set(clock.start);
    assert_eq!(date().await, clock.start);
}

#[tokio::test]
async fn a_connection_is_used_again_and_ends_with_the_server() {
    let api = FakeApi::start(Config { log_capacity: 2, ..Config::default() }).await.unwrap();
    let mut stream = TcpStream::connect(api.url().trim_start_matches("http://")).await.unwrap();
    let request = b"GET /api/atlas/v1.0/orgs HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut buffer = [0; 4096];
    for _ in 0..3 {
        stream.write_all(request).await.unwrap();
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!((api.log().len(), api.requests().total()), (2, 3));
    api.stop();
    let _ = stream.write_all(request).await;
    assert!(stream.read(&mut buffer).await.map_or(0, |read| read) == 0);
}

#[tokio::test]
async fn a_page_run_through_everything_is_complete_in_the_end() {
    let faults = Faults { slow_by: Duration::from_millis(1), ..Faults::some(0.4) };
    let digest = Auth::None;
    let api = FakeApi::start(Config { faults, auth: digest, ..Config::default() }).await.unwrap();
    let (id, path) = project(&api);
    api.clock().advance(Duration::from_mins(10));
    let mut ids = Vec::new();
    let mut tries = 0;
    while ids.len() < 200 {
        tries += 1;
        let target = format!("/api/atlas/v2{path}?itemsPerPage=10&pageNum={}", ids.len() / 10 + 1);
        if let Ok(reply) = send(&api, "GET", &target, &[ACCEPT], "").await
            && reply.status == 200
        {
            ids.extend(reply.ids("results"));
        }
    }
    assert!(tries > 20);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), api.ids(&Partition::Project(id)));
}
