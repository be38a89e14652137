//! The file, and that all comes back from it.

use proptest::prelude::*;

use super::*;
use crate::http::body::BodyError;
use crate::http::oauth::TokenError;

#[tokio::test]
async fn every_error_comes_back() {
    let text = |text: &str| text.to_owned();
    let errors: Vec<HttpError> = vec![
        HttpError::Connection(text("cannot connect: refused")),
        HttpError::Timeout(Duration::from_millis(1500)),
        HttpError::Tls(text("expired")),
        HttpError::Login(text("no")),
        HttpError::Redirect(text("elsewhere")),
        HttpError::Unusable(text("never")),
        BodyError::Unsupported(text("br")).into(),
        BodyError::TooManyCodings.into(),
        BodyError::TooLong { limit: u64::MAX }.into(),
        BodyError::Invalid { coding: "zstd", reason: text("x") }.into(),
        BodyError::Truncated { coding: "gzip" }.into(),
        TokenError::Refused { reason: text("r") }.into(),
        TokenError::Unavailable { reason: text("u"), retry_after: Some(Duration::from_secs(3)) }.into(),
        TokenError::Unavailable { reason: text("u"), retry_after: None }.into(),
        TokenError::Malformed { reason: text("m") }.into(),
        TokenError::Closed.into(),
    ];
    let exchanges = errors.iter().cloned().map(|error| (get("http://h/p"), Err(error))).collect();
    let player = player(&scripted(Scrub::new(), exchanges).await);
    for error in &errors {
        let again = player.execute(&get("http://h/p")).await.unwrap_err();
        assert_eq!(format!("{again:?}"), format!("{error:?}"));
    }
}

#[tokio::test]
async fn the_format_is_as_documented() {
    let mut request = get("https://api.test/events?page=2&a=1");
    request.headers.insert("accept", "application/json".parse().unwrap());
    request.headers.insert("authorization", "Digest username=x".parse().unwrap());
    let headers = [
        ("x-request-id", "7"),
        ("ratelimit-remaining", "3"),
        ("content-type", "application/json"),
        ("link", "<b>"),
        ("link", "<a>"),
    ];
    let tape = scripted(
        Scrub::new(),
        vec![
            (
                request,
                Ok(response(
                    200,
                    &headers,
                    "{\"id\": 1.10, \"big\": 123456789012345678901234567890, \"e\": []}\n",
                )),
            ),
            (get("https://api.test/log"), Ok(response(206, &[], "one\r\ntwo\n"))),
            (get("https://api.test/file"), Ok(response(200, &[], &b"\xff\xfe"[..]))),
            (get("https://api.test/slow"), Err(HttpError::Timeout(Duration::from_secs(30)))),
        ],
    )
    .await;
    let expected = r#"{"cassette":1}
{
  "request": {
    "method": "GET",
    "url": "https://api.test/events?page=2&a=1",
    "login": "digest",
    "headers": [
      "accept: application/json"
    ]
  },
  "response": {
    "status": 200,
    "headers": [
      "content-type: application/json",
      "link: <b>",
      "link: <a>",
      "ratelimit-remaining: 3"
    ],
    "body": {
      "json": {
        "id": 1.10,
        "big": 123456789012345678901234567890,
        "e": []
      },
      "layout": "spaced",
      "after": "\n"
    }
  }
}
{
  "request": {
    "method": "GET",
    "url": "https://api.test/log"
  },
  "response": {
    "status": 206,
    "body": {
      "text": [
        "one\r",
        "two",
        ""
      ]
    }
  }
}
{
  "request": {
    "method": "GET",
    "url": "https://api.test/file"
  },
  "response": {
    "status": 200,
    "body": {
      "base64": [
        "//4="
      ]
    }
  }
}
{
  "request": {
    "method": "GET",
    "url": "https://api.test/slow"
  },
  "error": {
    "kind": "timeout",
    "millis": 30000
  }
}
"#;
    assert_eq!(tape.text(), expected);
}

#[test]
fn a_damaged_cassette_says_where() {
    let good = "{\"cassette\":1}\n{\n \"request\": {\"method\":\"GET\",\"url\":\"http://h/\"},\n \"response\": {\"status\": 200}\n}\n";
    assert!(Player::parse("c", good).is_ok() && Player::parse("c", "{\"cassette\":1}").is_ok());
    let error = |text: &str| Player::parse("c", text).unwrap_err().to_string();
    let again = |from: &str, to: &str| {
        error(&format!("{good}\n{}", good.split_once('\n').unwrap().1.replace(from, to)))
    };
    assert_eq!(error(""), r#"c:1: no cassette: its first line is not {"cassette":1}"#);
    assert_eq!(error("{\"cassette\":2}\n"), "c:1: a cassette of version 2; only 1 can be read");
    assert_eq!(
        error(good.trim_end().trim_end_matches('}')),
        "c:5: EOF while parsing an object (in the exchange that begins in line 2)"
    );
    assert_eq!(
        again("url", "uri"),
        "c:8: unknown field `uri`, expected one of `method`, `url`, `login`, `headers`, `body` \
         (in the exchange that begins in line 7)"
    );
    assert_eq!(
        again("200}", "200}, \"error\": {\"kind\": \"timeout\"}"),
        "c:7: an exchange has either `response` or `error`"
    );
    assert_eq!(
        again("\"response\": {\"status\": 200}", "\"error\": {\"kind\": \"timeout\"}"),
        "c:7: a timeout has `millis`"
    );
    assert_eq!(again("200", "2"), "c:7: 2 is no status");
    assert_eq!(
        again("200", "200, \"headers\": [\"date\"]"),
        "c:7: \"date\" is no header; write \"name: value\""
    );
    assert_eq!(again("200", "200, \"body\": {}"), "c:7: a body has one of `json`, `text` and `base64`");
    assert!(
        again("200", "200, \"body\": {\"base64\": [\"?\"]}").starts_with("c:7: `base64` cannot be decoded")
    );
    let missing = Player::load("/nonexistent/c").unwrap_err().to_string();
    assert!(missing.starts_with("cannot read the cassette /nonexistent/c: "), "{missing}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    std::fs::write(&path, b"{\"cassette\":1}\n\n\xff").unwrap();
    assert_eq!(
        Player::load(&path).unwrap_err().to_string(),
        format!("{}:3: this is not UTF-8", path.display())
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let number =
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?".prop_map(|text| serde_json::from_str(&text).unwrap());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number,
        ".*".prop_map(Value::String)
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            proptest::collection::vec((".*", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn round(body: Bytes) -> Bytes {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let tape = scripted(
            Scrub::new().secrets(["never-in-it"]),
            vec![(get("http://h/"), Ok(response(200, &[], body)))],
        )
        .await;
        player(&tape).execute(&get("http://h/")).await.unwrap().body
    })
}

#[test]
fn awkward_bodies_come_back() {
    let deep = format!("{}1{}", "[".repeat(126), "]".repeat(126));
    for body in [
        "",
        "null",
        "\"x\"",
        "1e5",
        "1E+5",
        "-0.0",
        r#"{"a":1,"a":2}"#,
        r#"{"a":"\/\u00e9"}"#,
        "[1, 2]\r\n",
        "\u{feff}{}",
        " {}",
        "{\n  \"a\": [],\n  \"b\": {}\n}\n",
        "{\"a\":1}\n{\"a\":2}\n",
        "\n\n",
        "NaN",
        r#"{"$serde_json::private::Number":"7"}"#,
        &deep,
    ] {
        assert_eq!(round(body.to_owned().into()), body);
    }
}

proptest! {
    #[test]
    fn json_comes_back_to_the_byte(value in any_json(), layout in 0..3, after in "[ \n]{0,2}") {
        let text = match layout {
            0 => value.to_string(),
            1 => serde_json::to_string_pretty(&value).unwrap(),
            _ => value.to_string().replace(',', " , "),
        } + &after;
        prop_assert_eq!(round(text.clone().into()), text);
    }

    #[test]
    fn bytes_come_back(bytes: Vec<u8>) {
        prop_assert_eq!(round(bytes.clone().into()), bytes);
    }
}
