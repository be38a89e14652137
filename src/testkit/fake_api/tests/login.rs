//! Digest, service accounts and budgets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// The value of a field of a challenge.
fn field(challenge: &str, name: &str) -> String {
    let rest = challenge.split(&format!("{name}=")).nth(1).unwrap();
    rest.trim_start_matches('"').split(['"', ',']).next().unwrap().to_owned()
}

fn header(digest: &Digest, nonce: &str, target: &str, count: u32) -> String {
    let response = digest.response("MMS Public API", "GET", target, nonce, &format!("{count:08x}"), "c");
    let algorithm = match (digest.algorithm, digest.sess) {
        (Algorithm::Md5, false) => "MD5",
        (Algorithm::Md5, true) => "MD5-sess",
        (Algorithm::Sha256, false) => "SHA-256",
        (Algorithm::Sha256, true) => "SHA-256-sess",
    };
    format!(
        "Digest username=\"{}\", realm=\"MMS Public API\", nonce=\"{nonce}\", uri=\"{target}\", qop=auth, \
         nc={count:08x}, cnonce=\"c\", response=\"{response}\", algorithm={algorithm}",
        digest.public
    )
}

const TARGET: &str = "/api/atlas/v2/groups?pageNum=1&itemsPerPage=2";

async fn ask(api: &FakeApi, authorization: &str) -> Reply {
    send(api, "GET", TARGET, &[ACCEPT, ("Authorization", authorization)], "").await.unwrap()
}

async fn challenge(api: &FakeApi) -> String {
    let reply = send(api, "GET", TARGET, &[ACCEPT], "").await.unwrap();
    assert_eq!(reply.status, 401);
    reply.header("www-authenticate").unwrap().to_owned()
}

#[test]
fn the_response_is_that_of_the_standard() {
    let digest = |algorithm| Digest {
        public: "Mufasa".to_owned(),
        private: "Circle of Life".to_owned(),
        algorithm,
        ..Digest::default()
    };
    let response = |algorithm| {
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        digest(algorithm).response(
            "http-auth@example.org",
            "GET",
            "/dir/index.html",
            nonce,
            "00000001",
            cnonce,
        )
    };
    assert_eq!(response(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
    assert_eq!(
        response(Algorithm::Sha256),
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    );
}

#[tokio::test]
async fn digests_are_checked() {
    for (algorithm, sess) in [(Algorithm::Md5, false), (Algorithm::Sha256, false), (Algorithm::Md5, true)] {
        let digest = Digest { algorithm, sess, ..Digest::default() };
        let config = Config { auth: Auth::Digest(digest.clone()), ..Config::default() };
        let api = FakeApi::start(config).await.unwrap();
        let text = challenge(&api).await;
        assert!(text.starts_with("Digest realm=\"MMS Public API\"") && text.ends_with("stale=false"));
        assert_eq!(field(&text, "qop"), "auth");
        let nonce = field(&text, "nonce");
        assert_eq!(ask(&api, &header(&digest, &nonce, TARGET, 1)).await.status, 200);
        assert_eq!(ask(&api, &header(&digest, &nonce, TARGET, 2)).await.status, 200);
        // the same count again, another path, another password, another nonce
        let again = ask(&api, &header(&digest, &nonce, TARGET, 2)).await;
        assert_eq!((again.status, api.logins().replayed), (401, 1));
        let other = Digest { private: "wrong".to_owned(), ..digest.clone() };
        let path = "/api/atlas/v2/groups?pageNum=2&itemsPerPage=2";
        let wrong = [
            header(&digest, &nonce, path, 3),
            header(&other, &nonce, TARGET, 3),
            header(&digest, "n", TARGET, 1),
        ];
        for wrong in &wrong {
            let reply = ask(&api, wrong).await;
            assert_eq!(reply.status, 401);
            assert_eq!(field(reply.header("www-authenticate").unwrap(), "stale"), "false");
        }
        assert_eq!((api.logins().rejected, api.logins().challenged), (3, 1));
        assert_eq!(ask(&api, &header(&digest, &nonce, TARGET, 9)).await.status, 200);
        assert_eq!(api.log().last().unwrap().auth, AuthKind::Digest);
    }
}

#[tokio::test]
async fn nonces_get_stale() {
    let digest =
        Digest { nonce_life: Duration::from_millis(60), allow_count_reuse: true, ..Digest::default() };
    let api =
        FakeApi::start(Config { auth: Auth::Digest(digest.clone()), ..Config::default() }).await.unwrap();
    let nonce = field(&challenge(&api).await, "nonce");
    assert_eq!(ask(&api, &header(&digest, &nonce, TARGET, 1)).await.status, 200);
    assert_eq!(ask(&api, &header(&digest, &nonce, TARGET, 1)).await.status, 200);
    tokio::time::sleep(Duration::from_millis(80)).await;
    let stale = ask(&api, &header(&digest, &nonce, TARGET, 2)).await;
    let text = stale.header("www-authenticate").unwrap();
    assert_eq!((stale.status, field(text, "stale").as_str()), (401, "true"));
    let fresh = field(text, "nonce");
    api.fail_next("/groups", Fault::StaleNonce, 1);
    let early = ask(&api, &header(&digest, &fresh, TARGET, 1)).await;
    let text = early.header("www-authenticate").unwrap();
    assert_eq!((early.status, field(text, "stale").as_str()), (401, "true"));
    assert_eq!(ask(&api, &header(&digest, &field(text, "nonce"), TARGET, 1)).await.status, 200);
    assert_eq!(api.logins().stale, 2);
}

async fn token(api: &FakeApi, credentials: &str, path: &str, form: &str) -> Reply {
    let basic = format!("Basic {}", STANDARD.encode(credentials));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    send(api, "POST", &format!("/api/oauth/{path}"), &headers, form).await.unwrap()
}

#[tokio::test]
async fn tokens_are_given_expire_and_are_revoked() {
    let account = ServiceAccount { token_life: Duration::from_millis(1200), ..ServiceAccount::default() };
    let auth = Auth::Both(Digest::default(), account);
    let limits = RateLimits::default().with(RateSet::Token, 5, 1);
    let api = FakeApi::start(Config { auth, limits, ..Config::default() }).await.unwrap();
    let (good, grant) = ("mdb_sa_id_fake:fake-client-secret", "grant_type=client_credentials");
    assert_eq!(token(&api, "mdb_sa_id_fake:wrong", "token", grant).await.status, 401);
    assert_eq!(token(&api, good, "token", "grant_type=password").await.status, 400);
    let reply = token(&api, good, "token", grant).await.json();
    assert_eq!((&reply["token_type"], &reply["expires_in"]), (&Value::from("Bearer"), &Value::from(1)));
    let bearer = format!("Bearer {}", reply["access_token"].as_str().unwrap());
    assert_eq!(ask(&api, &bearer).await.status, 200);
    assert_eq!(ask(&api, "Bearer other").await.status, 401);
    tokio::time::sleep(Duration::from_millis(1250)).await;
    assert_eq!(ask(&api, &bearer).await.status, 401);
    // one that is revoked in the middle of things
    let reply = token(&api, good, "token", grant).await.json();
    let bearer = format!("Bearer {}", reply["access_token"].as_str().unwrap());
    api.fail_next("pageNum=1", Fault::RevokeToken, 1);
    assert_eq!((ask(&api, &bearer).await.status, ask(&api, &bearer).await.status), (401, 401));
    let reply = token(&api, good, "token", grant).await.json();
    let revoked = reply["access_token"].as_str().unwrap();
    let form = format!("token={revoked}&token_type_hint=access_token");
    assert_eq!(ask(&api, &format!("Bearer {revoked}")).await.status, 200);
    assert_eq!(token(&api, good, "revoke", &form).await.status, 200);
    assert_eq!(ask(&api, &format!("Bearer {revoked}")).await.status, 401);
    // five were allowed
    let refused = token(&api, good, "token", grant).await;
    assert_eq!(refused.status, 429);
    assert!(matches!(refused.header("retry-after"), Some("58" | "59" | "60")));
    assert_eq!((api.token_requests(), api.logins().tokens, api.logins().revoked), (6, 3, 2));
    assert_eq!(api.budget_violations(), 1);
}

#[tokio::test]
async fn budgets_are_kept_per_scope() {
    let limits = |enforce, refill, time| RateLimits {
        enforce,
        refill,
        time,
        period: Duration::from_mins(1),
        ..RateLimits::default().with(RateSet::ProjectEvents, 3, 2)
    };
    let config = |limits| Config { limits, clock: Clock::stopped(), ..Config::default() };
    for refill in [Refill::Continuous, Refill::Stepped] {
        let api = FakeApi::start(config(limits(true, refill, BudgetTime::Server))).await.unwrap();
        let (id, path) = project(&api);
        let statuses = async |count: usize| {
            let mut statuses = Vec::new();
            for _ in 0..count {
                statuses.push(get(&api, &path).await.status);
            }
            statuses
        };
        assert_eq!(statuses(4).await, [200, 200, 200, 429]);
        let other = format!("/groups/{}/events", api.projects()[1]);
        let reply = get(&api, &other).await;
        assert_eq!((reply.status, reply.header("ratelimit-remaining")), (200, Some("2")));
        api.clock().advance(Duration::from_secs(31));
        let half = if refill == Refill::Continuous { [200, 429] } else { [429, 429] };
        assert_eq!(statuses(2).await, half);
        api.clock().advance(Duration::from_secs(30));
        assert_eq!(statuses(1).await, [200]);
        let budgets = api.budgets();
        let budget = budgets.iter().find(|budget| budget.scope == id).unwrap();
        assert_eq!(budget.violations, if refill == Refill::Continuous { 2 } else { 3 });
        assert_eq!((budget.requests, budget.most_in_period), (7, 6));
        assert_eq!(api.budget_violations(), budget.violations);
    }
    // not enforced, but seen
    let api = FakeApi::start(config(limits(false, Refill::Continuous, BudgetTime::Real))).await.unwrap();
    let (_, path) = project(&api);
    for _ in 0..5 {
        assert_eq!(get(&api, &path).await.status, 200);
    }
    assert_eq!(api.budget_violations(), 2);
    let api = FakeApi::start(config(limits(true, Refill::Continuous, BudgetTime::Real))).await.unwrap();
    let (_, path) = project(&api);
    for _ in 0..3 {
        get(&api, &path).await;
    }
    let refused = get(&api, &path).await;
    let retry: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(refused.status == 429 && (29..=30).contains(&retry));
    let body = refused.json();
    assert_eq!(body["errorCode"], "RATE_LIMITED_TOKEN_BUCKET");
    assert_eq!(body["parameters"], serde_json::json!([format!("/api/atlas/v2{path}"), retry, 3, 2, 60]));
}
