//! Vectors of the RFCs, and the life of a nonce.

use http::header::WWW_AUTHENTICATE;
use proptest::prelude::*;

use super::*;

const UNQUOTED: [&str; 6] = ["algorithm", "qop", "nc", "userhash", "stale", "username*"];

fn headers(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
    headers
}

fn challenge(value: &str) -> Challenge {
    challenge::choose(&headers(value)).unwrap()
}

fn signed_header(credentials: &Credentials, value: &str, cnonce: &str, target: &str, count: u32) -> String {
    let session = Session::with_cnonce(credentials, challenge(value), cnonce.to_owned());
    header(credentials, &session, "GET", target, count)
}

/// A parameter of an `Authorization` header.
fn param<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    let rest = &header[header.find(&format!(" {name}="))? + name.len() + 2..];
    if UNQUOTED.contains(&name) { rest.split(',').next() } else { rest[1..].split('"').next() }
}

fn field(signed: &Signed, name: &str) -> String {
    param(signed.value().to_str().unwrap(), name).unwrap().to_owned()
}

#[test]
fn rfc_7616() {
    let mufasa = Credentials::new("Mufasa", "Circle of Life");
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let value = format!(
            r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
        );
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let text = signed_header(&mufasa, &value, cnonce, "/dir/index.html", 1);
        for (name, expected) in [
            ("username", "Mufasa"),
            ("realm", "http-auth@example.org"),
            ("uri", "/dir/index.html"),
            ("algorithm", algorithm),
            ("nonce", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
            ("nc", "00000001"),
            ("cnonce", cnonce),
            ("qop", "auth"),
            ("response", response),
            ("opaque", "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"),
        ] {
            assert_eq!(param(&text, name), Some(expected), "{name}");
        }
    }
}

#[test]
fn rfc_2617() {
    let value = r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
    let text =
        signed_header(&Credentials::new("Mufasa", "Circle Of Life"), value, "0a4f113b", "/dir/index.html", 1);
    assert_eq!(param(&text, "response"), Some("6629fae49393a05397450978507c4ef1"));
    assert_eq!(param(&text, "algorithm"), None);
}

/// The example of RFC 2069, with the response of its erratum 749.
#[test]
fn rfc_2069() {
    let value = r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093""#;
    let text = signed_header(&Credentials::new("Mufasa", "CircleOfLife"), value, "x", "/dir/index.html", 1);
    assert_eq!(param(&text, "response"), Some("1949323746fe6a43ef61f9606e7febea"));
    assert_eq!((param(&text, "cnonce"), param(&text, "nc"), param(&text, "qop")), (None, None, None));
}

/// Expected values: computed with Python's hashlib.
#[test]
fn sessions_and_user_hashes() {
    let jason = Credentials::new("Jäsøn Doe", "Secret, or not?");
    for (algorithm, response) in [
        ("SHA-256-sess", "a693cf9bfbec1d3bfc6a07e1886f5231ac617704172b1d4874ed6cee8274b932"),
        ("MD5-sess", "4fb9524fd65107340edb7a6eba17ec79"),
    ] {
        let value = format!(
            r#"Digest realm="api@example.org", qop=auth, algorithm={algorithm}, nonce=n0, userhash=true, charset=UTF-8"#
        );
        let text = signed_header(&jason, &value, "c0", "/doe.json?a=1&b=2", 10);
        assert_eq!(param(&text, "response"), Some(response));
        assert_eq!(param(&text, "userhash"), Some("true"));
        if algorithm.starts_with("SHA") {
            let hash = "5a1a8a47df5c298551b9b42ba9b05835174a5bd7d511ff7fe9191d8e946fc4e7";
            assert_eq!(param(&text, "username"), Some(hash));
        }
    }
    let text = signed_header(&jason, "Digest realm=r, nonce=n", "c", "/", 1);
    assert_eq!(param(&text, "username*"), Some("UTF-8''J%C3%A4s%C3%B8n%20Doe"));
}

#[test]
fn the_password_is_not_shown() {
    let digest = Digest::new(Credentials::new("key", "hunter2"));
    digest.challenged(None, &headers("Digest realm=r, nonce=n, qop=auth"), 1);
    let signed = digest.authorize("GET", "/").unwrap();
    let text = format!("{digest:?} {signed:?}");
    assert!(!text.contains("hunter2") && !text.contains("response="), "{text}");
}

#[test]
fn a_nonce_is_reused_until_it_is_stale() {
    let digest = Digest::new(Credentials::new("u", "p"));
    assert!(digest.authorize("GET", "/").is_none());
    assert_eq!(digest.challenged(None, &headers("Digest realm=r, nonce=n1, qop=auth"), 1), Next::Retry);
    let first = digest.authorize("GET", "/a?b=\"c\"").unwrap();
    assert_eq!((field(&first, "nonce"), field(&first, "nc")), ("n1".into(), "00000001".into()));
    assert!(first.value().to_str().unwrap().contains(r#"uri="/a?b=\"c\"""#));
    digest.accepted(&first, &HeaderMap::new());
    let second = digest.authorize("GET", "/").unwrap();
    assert_eq!((field(&second, "nonce"), field(&second, "nc")), ("n1".into(), "00000002".into()));
    let stale = headers("Digest realm=r, nonce=n2, qop=auth, stale=TRUE");
    assert_eq!(digest.challenged(Some(&second), &stale, 1), Next::Retry);
    let third = digest.authorize("GET", "/").unwrap();
    assert_eq!((field(&third, "nonce"), field(&third, "nc")), ("n2".into(), "00000001".into()));
    assert!(digest.authorize("GET", "/\r\n").is_none());
}

#[test]
fn wrong_credentials_are_refused() {
    let digest = Digest::new(Credentials::new("u", "p"));
    digest.challenged(None, &headers("Digest realm=r, nonce=n1, qop=auth"), 1);
    let signed = digest.authorize("GET", "/").unwrap();
    let refused = Next::Refused(Refusal::Credentials { user: "u".into() });
    assert_eq!(digest.challenged(Some(&signed), &headers("Digest realm=r, nonce=n2, qop=auth"), 2), refused);
    // the next request is signed with the newest nonce
    let signed = digest.authorize("GET", "/").unwrap();
    assert_eq!(field(&signed, "nonce"), "n2");
    assert_eq!(digest.challenged(Some(&signed), &headers("Digest realm=r, nonce=n2, qop=auth"), 1), refused);
    let Next::Refused(refusal) = digest.challenged(Some(&signed), &headers("Basic realm=x"), 1) else {
        panic!()
    };
    assert_eq!(refusal.to_string(), "the server asks for no Digest authentication, it offers Basic");
}

#[test]
fn a_proven_nonce_gets_one_more_try() {
    let digest = Digest::new(Credentials::new("u", "p"));
    digest.challenged(None, &headers("Digest realm=r, nonce=n1, qop=auth"), 1);
    digest.accepted(&digest.authorize("GET", "/").unwrap(), &HeaderMap::new());
    let reused = digest.authorize("GET", "/").unwrap();
    assert_eq!(
        digest.challenged(Some(&reused), &headers("Digest realm=r, nonce=n2, qop=auth"), 1),
        Next::Retry
    );
    let again = digest.authorize("GET", "/").unwrap();
    let next = digest.challenged(Some(&again), &headers("Digest realm=r, nonce=n3, qop=auth"), 2);
    assert_eq!(next, Next::Refused(Refusal::Credentials { user: "u".into() }));
    // a constant nonce gives no new chance
    let digest = Digest::new(Credentials::new("u", "p"));
    let constant = headers("Digest realm=r, nonce=n1, qop=auth");
    digest.challenged(None, &constant, 1);
    digest.accepted(&digest.authorize("GET", "/").unwrap(), &HeaderMap::new());
    let reused = digest.authorize("GET", "/").unwrap();
    assert!(matches!(digest.challenged(Some(&reused), &constant, 1), Next::Refused(_)));
    assert_eq!(field(&digest.authorize("GET", "/").unwrap(), "nc"), "00000003");
}

#[test]
fn requests_beside_each_other() {
    let digest = Digest::new(Credentials::new("u", "p"));
    // two unsigned ones: the first challenge wins, the second request uses it
    digest.challenged(None, &headers("Digest realm=r, nonce=n1, qop=auth"), 1);
    assert_eq!(digest.challenged(None, &headers("Digest realm=r, nonce=n2, qop=auth"), 1), Next::Retry);
    let one = digest.authorize("GET", "/").unwrap();
    let two = digest.authorize("GET", "/").unwrap();
    assert_eq!((field(&two, "nonce"), field(&two, "nc")), ("n1".into(), "00000002".into()));
    // the nonce expires for both; for the second it is an older one already, stale or not
    assert_eq!(
        digest.challenged(Some(&one), &headers("Digest realm=r, nonce=n3, stale=true"), 1),
        Next::Retry
    );
    assert_eq!(digest.challenged(Some(&two), &headers("Digest realm=r, nonce=n4"), 1), Next::Retry);
    assert_eq!(field(&digest.authorize("GET", "/").unwrap(), "nonce"), "n3");
}

#[test]
fn stale_without_end_is_bounded() {
    let digest = Digest::new(Credentials::new("u", "p"));
    let mut signed = None;
    for attempt in 1.. {
        let value = format!("Digest realm=r, nonce=n{attempt}, qop=auth, stale=true");
        match digest.challenged(signed.as_ref(), &headers(&value), attempt) {
            Next::Retry => signed = digest.authorize("GET", "/"),
            Next::Refused(refusal) => {
                assert_eq!((attempt, refusal), (MAX_CHALLENGES, Refusal::TooOften));
                break;
            }
        }
    }
}

#[test]
fn the_server_names_the_next_nonce() {
    let info = |nonce: &str| {
        let mut headers = HeaderMap::new();
        headers.append("authentication-info", format!("nextnonce=\"{nonce}\"").parse().unwrap());
        headers
    };
    let digest = Digest::new(Credentials::new("u", "p"));
    digest.challenged(None, &headers("Digest realm=r, nonce=n1, qop=auth, algorithm=MD5-sess"), 1);
    let one = digest.authorize("GET", "/").unwrap();
    let two = digest.authorize("GET", "/").unwrap();
    digest.accepted(&one, &info("n2"));
    digest.accepted(&two, &info("n3"));
    let next = digest.authorize("GET", "/").unwrap();
    assert_eq!((field(&next, "nonce"), field(&next, "nc")), ("n2".into(), "00000001".into()));
    assert_eq!(field(&next, "cnonce"), field(&one, "cnonce"));
    assert_eq!(next.session.ha1, one.session.ha1);
    digest.accepted(&next, &info("n2"));
    assert_eq!(field(&digest.authorize("GET", "/").unwrap(), "nc"), "00000002");
}

#[test]
fn counts_are_unique_over_threads() {
    let digest = Digest::new(Credentials::new("u", "p"));
    digest.challenged(None, &headers("Digest realm=r, nonce=n1, qop=auth"), 1);
    let mut counts: Vec<String> = std::thread::scope(|scope| {
        let run = || -> Vec<String> {
            (0..200).map(|_| field(&digest.authorize("GET", "/").unwrap(), "nc")).collect()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    counts.sort();
    let expected: Vec<String> = (1..=800).map(|count| format!("{count:08x}")).collect();
    assert_eq!(counts, expected);
}

proptest! {
    #[test]
    fn any_exchange_is_survived(values in proptest::collection::vec(
        r#"Digest ((nonce|realm|qop|stale|algorithm|nextnonce)=(a|"b"|true|auth|MD5|SHA-256-sess|"),? ?)*"#, 1..8
    )) {
        let digest = Digest::new(Credentials::new("u\u{7}é", "p"));
        let mut signed = None;
        for (attempt, value) in (1..).zip(&values) {
            let map = headers(value);
            digest.challenged(signed.as_ref(), &map, attempt);
            signed = digest.authorize("GET", "/é");
            if let Some(signed) = &signed {
                digest.accepted(signed, &map);
            }
        }
    }
}
