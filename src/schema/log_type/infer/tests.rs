//! What is seen in samples, and that a schema accepts its own.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::schema::log_type::drift::Comparison;
use crate::schema::log_type::{Checker, Options, Schema};

fn json(text: &str) -> Json {
    Json::parse(bytes::Bytes::copy_from_slice(text.as_bytes()), 512).unwrap()
}

fn inferred(samples: &[&str]) -> String {
    let mut gathered = Samples::default();
    samples.iter().for_each(|sample| gathered.add(&mut json(sample)).unwrap());
    gathered.to_yaml("Custom.Test").unwrap()
}

#[test]
fn types_times_and_indicators_are_seen() {
    let schema = inferred(&[
        r#"{"id":"7","created":"2024-01-02T03:04:05.123Z","n":1,"x":1.5,"ok":true,"ip":"192.0.2.1","who":{"email":"ada@example.com","login":"ada"},"tags":["a"],"raw":"{\"a\":1}","seen_at":1704164645678,"size":1704164645678,"odd":1,"none":null,"yes":"","empty":{},"log":"Sun Jul 25 9:14:42 EDT 2019"}"#,
        r#"{"id":"8","created":"2024-01-02T03:04:06Z","n":-2,"x":2,"ok":false,"ip":"2001:db8::1","who":{"email":"bob@example.org"},"tags":[],"raw":"","seen_at":1704164645679,"size":5,"odd":"two","link":"https://example.com/x","l":[{"a b":1},{}],"log":"Mon Jul 26 19:14:42 GMT 2019"}"#,
    ]);
    let expected = r#"schema: Custom.Test
description: Inferred from 2 sample events.
fields:
  - name: id
    required: true
    type: string
  - name: created
    required: true
    type: timestamp
    timeFormat: rfc3339
    isEventTime: true
  - name: "n"
    required: true
    type: bigint
  - name: x
    required: true
    type: float
  - name: ok
    required: true
    type: boolean
  - name: ip
    required: true
    type: string
    indicators:
      - ip
  - name: who
    required: true
    type: object
    fields:
      - name: email
        required: true
        type: string
        indicators:
          - email
      - name: login
        type: string
        indicators:
          - username
  - name: tags
    required: true
    type: array
    element:
      type: string
  - name: raw
    type: json
    isEmbeddedJSON: true
  - name: seen_at
    required: true
    type: timestamp
    timeFormat: unix_ms
  - name: size
    required: true
    type: bigint
  - name: odd
    required: true
    type: json
  - name: none
    type: json
  - name: "yes"
    type: string
  - name: empty
    type: json
  - name: log
    required: true
    type: timestamp
    timeFormat: "%a %b %d %H:%M:%S %Z %Y"
  - name: link
    type: string
    indicators:
      - url
  - name: l
    type: array
    element:
      type: object
      fields:
        - name: a b
          type: bigint
"#;
    assert_eq!(schema, expected.replace("name: a b", "name: \"a b\""));
}

#[test]
fn samples_that_say_nothing() {
    let mut samples = Samples::default();
    assert!(samples.add(&mut json("[1]")).is_err());
    samples.add(&mut json("{}")).unwrap();
    assert_eq!(samples.to_yaml("X"), None);
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[a-c\"é:#\\n -]{0,6}".prop_map(Into::into),
        prop_oneof![
            Just(""),
            Just("192.0.2.1"),
            Just("2024-01-02T03:04:05Z"),
            Just("2024-01-02 03:04:05.5 CET"),
            Just("{\"a\":1}"),
            Just("[\" "),
            Just("1704164645"),
            Just("a@example.com"),
            Just(" ")
        ]
        .prop_map(Into::into),
        (1_000_000_000_i64..2_000_000_000).prop_map(Into::into),
    ];
    scalar.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            members(inner).prop_map(serde_json::Value::Object),
        ]
    })
}

fn members(
    inner: impl Strategy<Value = serde_json::Value>,
) -> impl Strategy<Value = serde_json::Map<String, serde_json::Value>> {
    let name = prop_oneof![
        "[a-c]{1,2}",
        Just("time".to_owned()),
        Just("created_at".to_owned()),
        Just("ip".to_owned()),
        Just("no".to_owned()),
        Just("<<".to_owned()),
        Just("~".to_owned()),
        "[ -~é\u{1}\u{85}\u{2028}]{0,5}",
    ];
    prop::collection::vec((name, inner), 0..6).prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn what_is_inferred_loads_and_accepts_its_samples(events in prop::collection::vec(members(value()), 1..6)) {
        let mut samples = Samples::default();
        let texts: Vec<_> = events.iter().map(|event| serde_json::Value::Object(event.clone()).to_string()).collect();
        for text in &texts {
            samples.add(&mut json(text)).unwrap();
        }
        if let Some(yaml) = samples.to_yaml("Custom.Test") {
            let read = Schema::read(Path::new("x.yml"), yaml.clone());
            let (schema, warnings) = match read {
                Ok(read) => read,
                Err(errors) => panic!("{}", errors[0].render(false)),
            };
            prop_assert!(warnings.is_empty(), "{}", yaml);
            let schema = Arc::new(schema);
            let mut checker = Checker::new(vec![schema.clone()], Options::default());
            let mut comparison = Comparison::new(schema);
            for text in &texts {
                let result = checker.check(&mut json(text)).map(|_| ()).map_err(|error| error.to_string());
                prop_assert!(result.is_ok(), "{:?}\n{}\n{}", result, text, yaml);
                comparison.add(&mut json(text));
            }
            let report = comparison.finish();
            prop_assert!(report.findings.is_empty(), "{:?}\n{}", report, yaml);
        }
    }
}
