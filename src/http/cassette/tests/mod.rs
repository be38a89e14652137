//! Recording a server and playing it back.

mod format;
mod redact;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::http::auth::Auth;
use crate::http::transport::{Transport, live};
use crate::http::{Client, ClientOptions, HttpError, Request, Response};
use crate::testkit::fake_api::{self, Clock, Config, FakeApi, Fault, Partition, RateLimits};

/// Answers with what it was given, in order.
struct Script(std::sync::Mutex<Vec<Result<Response, HttpError>>>);

#[async_trait::async_trait]
impl Transport for Script {
    async fn execute(&self, request: &Request) -> Result<Response, HttpError> {
        let outcome = self.0.lock().unwrap().remove(0);
        outcome.map(|response| Response { url: request.url.clone(), ..response })
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let url = Url::parse("http://script.test/").unwrap();
    Response { status, headers: map, body: body.into(), url, received_at: std::time::SystemTime::now() }
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, Url::parse(url).unwrap())
}

fn auth(value: Value) -> Auth {
    serde_json::from_value(value).unwrap()
}

fn digest() -> Auth {
    auth(json!({"type": "digest", "public_key": "fakepublic", "private_key": "fake-private-key"}))
}

fn service_account() -> Auth {
    auth(
        json!({"type": "service_account", "client_id": "mdb_sa_id_fake", "client_secret": "fake-client-secret", "revoke": true}),
    )
}

fn options() -> ClientOptions {
    ClientOptions {
        timeout: Duration::from_secs(5),
        max_body: 1 << 20,
        ca_file: None,
        client_certificate: None,
        proxy: None,
    }
}

/// Notes what scripted outcomes make of requests, and gives the tape.
async fn scripted(scrub: Scrub, exchanges: Vec<(Request, Result<Response, HttpError>)>) -> Tape {
    let (requests, outcomes): (Vec<_>, Vec<_>) = exchanges.into_iter().unzip();
    let (transport, tape) = Recorder::wrap(Arc::new(Script(outcomes.into())), scrub);
    for request in requests {
        let _ = transport.execute(&request).await;
    }
    tape
}

fn player(tape: &Tape) -> Player {
    Player::parse("some.cassette", &tape.text()).unwrap()
}

fn hides(text: &str, secret: &str) {
    let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = serde_json::to_string(secret).unwrap();
    let mut forms = vec![secret.to_owned(), percent, json[1..json.len() - 1].to_owned()];
    for before in ["", "a", "ab", "abc", "user:", "mdb_sa_id_fake:", "fakepublic:"] {
        for encoded in [
            STANDARD.encode(format!("{before}{secret}")),
            URL_SAFE_NO_PAD.encode(format!("{before}{secret}")),
        ] {
            // the digits of what stands before are no secret
            forms.push(encoded.trim_end_matches('=')[(before.len() * 8).div_ceil(6)..].to_owned());
        }
    }
    for form in forms {
        assert!(!text.contains(&form), "{form} in\n{text}");
    }
}

/// Everything that a client can meet at Atlas: logins, pages, refusals.
async fn visit(client: &Client, base: &str, project: &str) -> Vec<(u16, Bytes)> {
    let mut seen = Vec::new();
    let mut url =
        Url::parse(&format!("{base}/api/atlas/v2/groups/{project}/events?itemsPerPage=50")).unwrap();
    for _ in 0..20 {
        let mut request = Request::new(Method::GET, url.clone());
        let accept = HeaderValue::from_static("application/vnd.atlas.2023-01-01+json");
        request.headers.insert(http::header::ACCEPT, accept);
        let Ok(response) = client.send(&request, "").await else {
            seen.push((0, Bytes::new()));
            continue;
        };
        let next = crate::http::headers::next_link(&response.headers, &url);
        let page: Value = serde_json::from_slice(&response.body).unwrap();
        let linked = page["links"].as_array().into_iter().flatten().find(|link| link["rel"] == "next");
        let linked = linked.and_then(|link| Url::parse(link["href"].as_str()?).ok());
        let is_good = response.status == 200;
        seen.push((response.status, response.body));
        match (next.or(linked), is_good) {
            (Some(next), true) => url = next,
            (None, true) => break,
            _ => {}
        }
    }
    client.close().await;
    seen
}

fn still(auth: fake_api::Auth, address: Option<SocketAddr>) -> Config {
    let mut config = Config { auth, clock: Clock::stopped(), limits: RateLimits::off(), ..Config::default() };
    if let Some(address) = address {
        config.address = address;
    }
    config
}

/// Records a visit with some trouble on the way.
async fn recorded(
    config: Config,
    login: &Auth,
    faults: &[(&str, Fault)],
) -> (Vec<(u16, Bytes)>, Tape, SocketAddr, String) {
    let api = FakeApi::start(config).await.unwrap();
    for (place, fault) in faults {
        api.fail_next(place, *fault, 1);
    }
    let (transport, tape) = Recorder::wrap(live(&options()).unwrap(), Scrub::new().auth(login));
    let base = Url::parse(api.url()).unwrap();
    let client = Client::over(transport, Some(login), Some(&base), None).unwrap();
    let project = api.projects()[0].clone();
    let seen = visit(&client, api.url(), &project).await;
    let total = api.events(&Partition::Project(project.clone())).len();
    assert!(total > 100 && seen.iter().filter(|(status, _)| *status == 200).count() >= 3);
    let address = api.url().trim_start_matches("http://").parse().unwrap();
    (seen, tape, address, project)
}

async fn replayed(player: Player, login: &Auth, address: SocketAddr, project: &str) -> Vec<(u16, Bytes)> {
    let base = format!("http://{address}");
    let player = Arc::new(player);
    let client = Client::over(player.clone(), Some(login), Some(&Url::parse(&base).unwrap()), None).unwrap();
    let seen = visit(&client, &base, project).await;
    assert_eq!(player.unused(), []);
    assert!(player.requests().iter().all(|asked| asked.line.is_some()));
    seen
}

#[tokio::test]
async fn digest_pages_and_trouble_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/atlas.cassette");
    let faults = [
        ("pageNum=2", Fault::TooManySeconds),
        ("pageNum=2", Fault::CutBeforeHeaders),
        ("pageNum=3", Fault::StaleNonce),
        ("pageNum=3", Fault::CutInBody),
        ("pageNum=4", Fault::TooManyDate),
    ];
    let config = still(fake_api::Auth::Digest(fake_api::Digest::default()), None);
    let (seen, tape, address, project) = recorded(config, &digest(), &faults).await;
    tape.save(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    let statuses: Vec<u16> = seen.iter().map(|(status, _)| *status).collect();
    assert!(statuses.contains(&429) && statuses.contains(&0), "{statuses:?}");
    hides(&text, "fake-private-key");
    for absent in ["response=", "cnonce", "uri=\\\"", "fakepublic"] {
        assert!(!text.contains(absent), "{absent}");
    }
    assert!(
        text.contains(r#"nonce=\"REDACTED_nonce_1_\""#) && text.contains(r#"nonce=\"REDACTED_nonce_2_\""#)
    );
    let other = auth(json!({"type": "digest", "public_key": "anyone", "private_key": "anything"}));
    assert_eq!(replayed(Player::load(&path).unwrap(), &other, address, &project).await, seen);
}

#[tokio::test]
async fn tokens_are_granted_refused_and_revoked_again() {
    let config = still(fake_api::Auth::ServiceAccount(fake_api::ServiceAccount::default()), None);
    let faults = [("pageNum=2", Fault::RevokeToken), ("pageNum=3", Fault::Unavailable)];
    let (seen, tape, address, project) = recorded(config, &service_account(), &faults).await;
    let text = tape.text();
    hides(&text, "fake-client-secret");
    assert!(!text.contains("fake."));
    for present in ["REDACTED_access_token_1_", "REDACTED_access_token_2_", "token_type_hint", "oauth/revoke"]
    {
        assert!(text.contains(present), "{present} in\n{text}");
    }
    let other = auth(
        json!({"type": "service_account", "client_id": "other", "client_secret": "other", "revoke": true}),
    );
    assert_eq!(replayed(player(&tape), &other, address, &project).await, seen);
}

#[tokio::test]
async fn the_same_server_makes_the_same_cassette() {
    let faults = [("pageNum=2", Fault::TooManyBare), ("pageNum=3", Fault::StaleNonce)];
    let server = || fake_api::Auth::Digest(fake_api::Digest::default());
    let (_, first, address, _) = recorded(still(server(), None), &digest(), &faults).await;
    // the port may be busy for a moment
    let mut tries = 0;
    while let Err(error) = std::net::TcpListener::bind(address) {
        tries += 1;
        assert!(tries < 100, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut other = still(server(), Some(address));
    other.gzip = false;
    let (_, second, ..) = recorded(other, &digest(), &faults).await;
    assert_eq!(first.text(), second.text());
}

#[tokio::test]
async fn no_login_of_any_kind_is_written() {
    let secret = "S3cr/et+käy \"quoted\"";
    let token = "a-token-nobody-listed";
    let mut basic = get("http://h/basic");
    let pair = STANDARD.encode("user:an-unlisted-password");
    basic.headers.insert("authorization", format!("Basic {pair}").parse().unwrap());
    let mut bearer = get(&format!("http://user:url-password@h/bearer/{token}?api_key={token}&x={token}"));
    bearer.headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    bearer.headers.insert("cookie", "session=the-cookie".parse().unwrap());
    let mut keyed = get("http://h/keyed");
    let mut value = HeaderValue::from_static("key-in-a-header");
    value.set_sensitive(true);
    keyed.headers.insert("x-api-key", value);
    let mut form = Request::new(Method::POST, Url::parse("http://h/form").unwrap());
    form.headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    form.body = Some(format!("client_secret=short&q={encoded}&password={encoded}").into());
    let echo = json!({
        "plain": secret, "twice": serde_json::to_string(secret).unwrap(), "percent": encoded,
        "basic": STANDARD.encode(format!("user:{secret}")), "safe": URL_SAFE_NO_PAD.encode(secret),
        secret: [token, "an-unlisted-password", pair, "key-in-a-header", "url-password"],
    });
    let headers = [
        ("set-cookie", "session=the-cookie"),
        ("location", "/next?access_token=in-the-location&page=2"),
        ("link", r#"<http://h/p?token=page-7>; rel="next""#),
        ("x-echo", token),
        ("x-other", "gone"),
    ];
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut file, format!("line\n{{\"user\":\"{token}\"}}\n").as_bytes()).unwrap();
    let scrub = Scrub::new().secrets([secret]).header("X-Echo").header("Set-Cookie");
    let ok = |body: Bytes| Ok(response(200, &headers, body));
    let tape = scripted(
        scrub,
        vec![
            // before anything is known of the token
            (get("http://h/early"), ok(json!({ "echo": token }).to_string().into())),
            (basic, ok(Bytes::new())),
            (bearer, Err(HttpError::Connection(format!("cannot reach {token}")))),
            (keyed, ok(Bytes::new())),
            (form, ok(echo.to_string().into())),
            (get("http://h/text"), ok(format!("<p>{secret}</p>\npassword=\"x\" token=in-the-text").into())),
            (get("http://h/file"), ok(file.finish().unwrap().into())),
            (get("http://h/bytes"), ok([b"\xff\0", token.as_bytes()].concat().into())),
        ],
    )
    .await;
    let text = tape.text();
    for secret in [secret, token, "an-unlisted-password", "key-in-a-header", "url-password"] {
        hides(&text, secret);
    }
    for absent in [
        "the-cookie",
        "in-the-location",
        "page-7",
        "in-the-text",
        "client_secret=short",
        "gone",
        "x-api-key",
        "user:",
    ] {
        assert!(!text.contains(absent), "{absent} in\n{text}");
    }
    assert!(text.contains(r#""x-echo: REDACTED_"#));
    let player = player(&tape);
    let file = player.execute(&get("http://h/file")).await.unwrap().body;
    let mut plain = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&file[..]), &mut plain).unwrap();
    assert!(plain.starts_with("line\n{\"user\":\"REDACTED_"), "{plain}");
    let bytes = player.execute(&get("http://h/bytes")).await.unwrap().body;
    assert!(bytes.starts_with(b"\xff\0REDACTED_"));
    // whoever plays it back has secrets of his own
    player.execute(&get("http://h/bearer/mine?x=mine&api_key=mine")).await.unwrap_err();
    assert_eq!(player.requests()[2].url, "http://h/bearer/mine?x=mine&api_key=REDACTED_api_key_1_");
    assert!(player.requests()[2].line.is_some());
}

#[tokio::test]
async fn bodies_are_scrubbed_and_ids_replaced() {
    let scrub = Scrub::new().stand_in("real-org", "some-org").body(Arc::new(|mut body: Value| {
        match &mut body {
            Value::Object(members) => drop(members.insert("name".to_owned(), json!("nobody"))),
            Value::String(text) => *text = text.replace("Ann", "nobody"),
            _ => {}
        }
        body
    }));
    let mut post = Request::new(Method::POST, Url::parse("http://h/orgs/real-org").unwrap());
    post.body = Some(r#"{"name":"Ann"}"#.into());
    let tape = scripted(
        scrub,
        vec![
            (post.clone(), Ok(response(200, &[], r#"{"name":"Ann","org":"real-org","n":1.10}"#))),
            (get("http://h/text"), Ok(response(200, &[], "Ann\nwas here\n"))),
        ],
    )
    .await;
    let player = player(&tape);
    post.url = Url::parse("http://h/orgs/some-org").unwrap();
    let body = player.execute(&post).await.unwrap().body;
    assert_eq!(body, r#"{"name":"nobody","org":"some-org","n":1.10}"#);
    assert_eq!(player.execute(&get("http://h/text")).await.unwrap().body, "nobody\nwas here\n");
    assert!(!tape.text().contains("real-org"));
}

#[tokio::test]
async fn what_is_not_on_it_is_named() {
    let ok = |body: &'static str| Ok(response(200, &[], body));
    let exchanges = vec![
        (get("http://h/events?from=1&page=1"), ok("a")),
        (get("http://h/events?from=2&page=1"), ok("b")),
        (get("http://h/users"), ok("c")),
    ];
    let tape = scripted(Scrub::new(), exchanges).await;
    let ask = async |player: &Player, url: &str| match player.execute(&get(url)).await {
        Ok(response) => String::from_utf8(response.body.to_vec()).unwrap(),
        Err(error) => {
            assert!(matches!(error, HttpError::Unusable(_)) && !error.is_temporary());
            error.to_string()
        }
    };
    let strict = player(&tape);
    assert_eq!(ask(&strict, "http://h/events?page=1&from=2#x").await, "b");
    assert_eq!(
        ask(&strict, "http://h/events?page=2&from=3").await,
        "the cassette some.cassette has no answer to GET http://h/events?page=2&from=3; nearest is \
         GET http://h/events?from=1&page=1 (line 2): the query has page=2 & from=3 only now; \
         the query had from=1 & page=1 when recorded"
    );
    let post = Request::new(Method::POST, Url::parse("http://h/users?token=mine").unwrap());
    assert_eq!(
        strict.execute(&post).await.unwrap_err().to_string(),
        "the cassette some.cassette has no answer to POST http://h/users?token=REDACTED_token_1_; nearest is \
         GET http://h/users (line 30): the method is GET; the query has token=*** only now"
    );
    assert_eq!(
        ask(&strict, "http://h/events?page=1&from=2").await,
        "the cassette some.cassette has no further answer to GET http://h/events?page=1&from=2: \
         the answer was given already (the last in line 16)"
    );
    let unused: Vec<String> = strict.unused().iter().map(ToString::to_string).collect();
    assert_eq!(unused, ["GET http://h/events?from=1&page=1 (line 2)", "GET http://h/users (line 30)"]);
    let lines: Vec<Option<usize>> = strict.requests().iter().map(|asked| asked.line).collect();
    assert_eq!(lines, [Some(16), None, None, None]);
    // times differ from run to run
    let loose = player(&tape).ignoring(["from"]).repeating();
    for (from, expected) in [(2, "b"), (9, "a"), (9, "b"), (1, "a")] {
        assert_eq!(ask(&loose, &format!("http://h/events?page=1&from={from}")).await, expected);
    }
    let empty = Player::parse("e", "{\"cassette\":1}\n").unwrap();
    assert_eq!(ask(&empty, "http://h/").await, "the cassette e has no answer to GET http://h/: it is empty");
}
