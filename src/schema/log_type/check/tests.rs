//! Values coerced or refused, schemas chosen, times and indicators found.

use std::path::Path;

use super::*;
use crate::schema::log_type::Schemas;

fn json(text: &str) -> Json {
    Json::parse(bytes::Bytes::copy_from_slice(text.as_bytes()), 512).unwrap()
}

fn schema(fields: &str) -> Arc<Schema> {
    let text = format!("schema: Test\nfields:\n{fields}");
    let read = Schema::read(Path::new("test.yml"), text);
    Arc::new(read.unwrap_or_else(|errors| panic!("{}", errors[0].render(false))).0)
}

fn written(json: &Json) -> String {
    let mut text = Vec::new();
    json.write(crate::jq::WriteLimits { depth: 512, bytes: 1 << 20 }, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn checked(checker: &mut Checker, event: &str) -> String {
    match checker.check(&mut json(event)) {
        Ok(matched) => written(&matched.event),
        Err(mismatch) => format!("! {mismatch}"),
    }
}

#[test]
fn values_are_coerced_or_refused() {
    for (kind, value, expected) in [
        ("string", "\"x\"", "\"x\""),
        ("string", "1.10", "\"1.10\""),
        ("string", "true", "\"true\""),
        ("string", "[1]", "! .f: expected string, got the array [1]"),
        ("string", "null", "null"),
        ("int", "2147483647", "2147483647"),
        ("int", "2147483648", "! .f: expected int from -2147483648 to 2147483647, got the number 2147483648"),
        ("int", "\"-5\"", "-5"),
        ("int", "\"\"", "null"),
        ("int", "\" +007 \"", "7"),
        ("int", "\" \"", "null"),
        ("int", "\"5.\"", "! .f: expected int, got the string \"5.\""),
        ("int", "\"x\"", "! .f: expected int, got the string \"x\""),
        ("int", "1.0", "! .f: expected int, got the number 1.0"),
        ("int", "true", "! .f: expected int, got true"),
        ("smallint", "-32768", "-32768"),
        ("smallint", "\"32768\"", "! .f: expected smallint, got the string \"32768\""),
        ("bigint", "9223372036854775807", "9223372036854775807"),
        ("bigint", "-9223372036854775808", "-9223372036854775808"),
        (
            "bigint",
            "9223372036854775808",
            "! .f: expected bigint from -9223372036854775808 to 9223372036854775807, got the number 9223372036854775808",
        ),
        ("float", "1.10", "1.10"),
        ("float", "12345678901234567890", "12345678901234567890"),
        ("float", "\"1.50\"", "1.50"),
        ("float", "1e999", "! .f: expected float that 64 bits hold, got the number 1e999"),
        ("float", "\".5\"", "0.5"),
        ("float", "\"5.\"", "5"),
        ("float", "\" +5 \"", "5"),
        ("float", "\"-00.50\"", "-0.50"),
        ("float", "\"-.5e+3\"", "-0.5e+3"),
        ("float", "\"\\t\"", "null"),
        ("float", "\".\"", "! .f: expected float, got the string \".\""),
        ("float", "\"1e\"", "! .f: expected float, got the string \"1e\""),
        ("float", "\"--1\"", "! .f: expected float, got the string \"--1\""),
        ("float", "\"1e999\"", "! .f: expected float, got the string \"1e999\""),
        ("float", "\"NaN\"", "! .f: expected float, got the string \"NaN\""),
        ("boolean", "false", "false"),
        ("boolean", "1", "true"),
        ("boolean", "\"T\"", "true"),
        ("boolean", "\"no\"", "! .f: expected boolean, got the string \"no\""),
        ("boolean", "2", "! .f: expected boolean, got the number 2"),
        ("json", "{\"a\": 1.0}", "{\"a\": 1.0}"),
        ("{type: json, isEmbeddedJSON: true}", "\"{\\\"a\\\": 1.0}\"", "{\"a\": 1.0}"),
        ("{type: json, isEmbeddedJSON: true}", "\"\"", "null"),
        (
            "{type: json, isEmbeddedJSON: true}",
            "\"{\"",
            "! .f: expected json as JSON in text, got the string \"{\"",
        ),
        ("{type: json, isEmbeddedJSON: true}", "7", "7"),
        ("{type: array, element: {type: int}}", "[1,\"2\",null]", "[1,2,null]"),
        ("{type: array, element: {type: int}}", "[1,{}]", "! .f[1]: expected int, got the object {}"),
        ("{type: array, element: {type: int}}", "1", "! .f: expected array, got the number 1"),
        (
            "{type: object, isEmbeddedJSON: true, fields: [{name: a b, type: int}]}",
            "\"{\\\"a b\\\":\\\"x\\\"}\"",
            "! .f.\"a b\": expected int, got the string \"x\"",
        ),
        (
            "{type: timestamp, timeFormat: rfc3339}",
            "\"2024-01-02T03:04:05.10Z\"",
            "\"2024-01-02T03:04:05.10Z\"",
        ),
        (
            "{type: timestamp, timeFormat: rfc3339}",
            "\"2024-01-02 05:04:05.1+0200\"",
            "\"2024-01-02T03:04:05.100Z\"",
        ),
        (
            "{type: timestamp, timeFormat: rfc3339}",
            "1704164645",
            "! .f: expected timestamp as `rfc3339`, got the number 1704164645",
        ),
        (
            "{type: timestamp, timeFormat: rfc3339}",
            "\"2016-12-31T23:59:60.5Z\"",
            "\"2017-01-01T00:00:00.500Z\"",
        ),
        (
            "{type: timestamp, timeFormat: rfc3339}",
            "\"0000-01-01T00:00:00+01:00\"",
            "! .f: expected timestamp as `rfc3339`, got the string \"0000-01-01T00:00:00+01:00\"",
        ),
        (
            "{type: timestamp, timeFormat: '%Y-%m-%d %z'}",
            "\"9999-12-31 -2400\"",
            "! .f: expected timestamp as `%Y-%m-%d %z`, got the string \"9999-12-31 -2400\"",
        ),
        ("{type: timestamp, timeFormat: unix}", "\" \"", "null"),
        ("{type: timestamp, timeFormats: [rfc3339, unix]}", "1704164645", "\"2024-01-02T03:04:05Z\""),
        ("{type: timestamp, timeFormat: unix_ms}", "\"1704164645678\"", "\"2024-01-02T03:04:05.678Z\""),
        (
            "{type: timestamp, timeFormat: '%d.%m.%Y %H:%M %Z'}",
            "\"2.1.2024 4:04 CET\"",
            "\"2024-01-02T03:04:00Z\"",
        ),
        (
            "{type: string, validate: {allow: [a]}}",
            "\"b\"",
            "! .f: expected one of `a`, got the string \"b\"",
        ),
    ] {
        let kind = if kind.starts_with('{') {
            kind.trim_matches(['{', '}']).to_owned()
        } else {
            format!("type: {kind}")
        };
        // the braces at the end may belong to something inside
        let open = kind.matches('{').count() - kind.matches('}').count();
        let schema = schema(&format!("  - {{name: f, {kind}{}}}\n", "}".repeat(open)));
        let mut checker = Checker::new(vec![schema], Options::default());
        let expected = if expected.starts_with('!') {
            expected.to_owned()
        } else {
            format!("{{\"u\":[ 1.0 ],\"f\":{expected}}}")
        };
        // what is not known stays as it was written, whatever happens beside it
        let event = format!("{{\"u\":[ 1.0 ],\"f\":{value}}}");
        assert_eq!(checked(&mut checker, &event), expected, "{kind} {value}");
    }
}

#[test]
fn an_event_that_does_not_change_is_its_own_text() {
    let schema = schema("  - {name: a, type: int}\n");
    let mut checker = Checker::new(vec![schema], Options::default());
    let event = r#"{ "a":1,  "b" : 1.00, "a" : 2 }"#;
    assert_eq!(checked(&mut checker, event), event);
    assert_eq!(checked(&mut checker, r#"{"a":"x","a":"2"}"#), r#"{"a":2}"#);
}

#[test]
fn required_fields_are_there_and_not_null() {
    let schema = schema(
        "  - {name: a, required: true, type: int}\n  - name: o\n    type: object\n    fields: [{name: b, required: yes, type: string}]\n",
    );
    let mut checker = Checker::new(vec![schema.clone()], Options::default());
    assert_eq!(checked(&mut checker, "{}"), "! .a: expected int (required), got nothing");
    assert_eq!(checked(&mut checker, r#"{"a":null}"#), "! .a: expected int (required), got null");
    assert_eq!(checked(&mut checker, r#"{"a":1}"#), r#"{"a":1}"#);
    assert_eq!(checked(&mut checker, r#"{"a":1,"o":{}}"#), "! .o.b: expected string (required), got nothing");
    assert_eq!(checked(&mut checker, "[1]"), "! .: expected an object, got the array [1]");
    let mut loose = Checker::new(vec![schema], Options { missing: Missing::Keep, ..Options::default() });
    assert_eq!(checked(&mut loose, r#"{"a":null,"o":{}}"#), r#"{"a":null,"o":{}}"#);
}

#[test]
fn the_time_is_that_of_the_first_field_that_has_one() {
    let schema = schema(
        "  - {name: s, type: string, timeFormat: rfc3339, isEventTime: true}\n  - name: o\n    type: object\n    fields: [{name: t, type: timestamp, timeFormat: unix, isEventTime: true}]\n",
    );
    let mut checker = Checker::new(vec![schema], Options::default());
    let mut time = |event: &str| {
        let matched = checker.check(&mut json(event)).unwrap().event_time;
        matched.map(Instant::to_rfc3339)
    };
    assert_eq!(time(r#"{"o":{"t":1},"s":"2024-01-02T03:04:05+00:00"}"#).unwrap(), "2024-01-02T03:04:05Z");
    assert_eq!(
        time(r#"{"o":{"t":1},"s":"no time, which is no fault of a text"}"#).unwrap(),
        "1970-01-01T00:00:01Z"
    );
    assert_eq!(time("{}"), None);
}

#[test]
fn indicators_of_an_object_hold_for_the_texts_below_it() {
    let schema = schema(
        "  - name: links\n    type: object\n    indicators: [url]\n    fields: [{name: self, type: string}, {name: ip, type: string, indicators: [ip]}]\n  - {name: j, type: json, indicators: [username]}\n",
    );
    let mut checker = Checker::new(vec![schema], Options::default());
    let event = r#"{"links":{"self":"https://b.example.com/x","ip":"192.0.2.7","other":"https://c.example.com"},"j":[{"k":["ada",1]}]}"#;
    let mut event = json(event);
    let matched = checker.check(&mut event).unwrap();
    let lists: Vec<_> =
        matched.indicators().map(|(_, field, list)| format!("{field}={}", written(&list))).collect();
    let expected = [
        "p_any_domain_names=[\"b.example.com\"]",
        "p_any_ip_addresses=[\"192.0.2.7\"]",
        "p_any_usernames=[\"1\",\"ada\"]",
    ];
    assert_eq!(lists, expected);
}

#[test]
fn the_first_schema_of_the_list_wins_whatever_came_before() {
    let schemas: Vec<_> = [("A", "a"), ("B", "b"), ("C", "b")]
        .iter()
        .map(|(name, field)| {
            let text = format!("schema: {name}\nfields:\n  - {{name: {field}, required: true, type: int}}\n");
            Arc::new(Schema::read(Path::new("x.yml"), text).unwrap().0)
        })
        .collect();
    let mut checker = Checker::new(schemas, Options { reasons: true, ..Options::default() });
    let of = |checker: &mut Checker, event: &str| {
        let mut event = json(event);
        let matched = checker.check(&mut event).map_err(|error| error.to_string())?;
        Ok::<_, String>((matched.schema.name().to_owned(), matched.reason()))
    };
    let b = Ok(("B".to_owned(), Some("not A: .a: expected int (required), got nothing".to_owned())));
    let both = r#"{"a":1,"b":2}"#;
    let a = Ok(("A".to_owned(), None));
    assert_eq!(of(&mut checker, both), a);
    for _ in 0..5 {
        assert_eq!(of(&mut checker, r#"{"b":1}"#), b);
    }
    // B is tried first by now
    assert_eq!(checker.order[0], 1);
    assert_eq!(of(&mut checker, both), a);
    assert_eq!(of(&mut checker, r#"{"a":"x","b":2}"#).unwrap().0, "B");
    assert_eq!(
        of(&mut checker, "{}").unwrap_err(),
        "the event matches none of 3 schemas\nA: .a: expected int (required), got nothing\nB: .b: expected int (required), got nothing\nC: .b: expected int (required), got nothing"
    );
}

#[test]
fn the_reason_is_the_same_whatever_came_before() {
    let schemas: Vec<_> = [
        ("A", "{name: a, required: true, type: int}, {name: x, type: int}"),
        ("B", "{name: b, required: true, type: int}"),
    ]
    .iter()
    .map(|(name, fields)| {
        let text = format!("schema: {name}\nfields: [{fields}]\n");
        Arc::new(Schema::read(Path::new("x.yml"), text).unwrap().0)
    })
    .collect();
    let mut checker = Checker::new(schemas, Options { reasons: true, ..Options::default() });
    let mut reason = || checker.check(&mut json(r#"{"b":1,"x":"no"}"#)).unwrap().reason().unwrap();
    // A is tried first at first, and then its required fields are looked for alone
    for _ in 0..3 {
        assert_eq!(reason(), "not A: .x: expected int, got the string \"no\"");
    }
}

#[test]
fn required_values_that_become_null_are_missing() {
    for (kind, value, got) in [
        ("type: timestamp, timeFormat: rfc3339", "\"\"", "the string \"\""),
        ("type: int", "\" \"", "the string \" \""),
        ("type: float", "\"\"", "the string \"\""),
        ("type: boolean", "\"\"", "the string \"\""),
        ("type: json, isEmbeddedJSON: true", "\"null\"", "the string \"null\""),
        ("type: json, isEmbeddedJSON: true", "\" \"", "the string \" \""),
    ] {
        let schema = schema(&format!("  - {{name: f, required: true, {kind}}}\n"));
        let mut checker = Checker::new(vec![schema.clone()], Options::default());
        let event = format!("{{\"f\":{value}}}");
        let name = schema.root().get("f").unwrap().element.kind.name();
        assert_eq!(checked(&mut checker, &event), format!("! .f: expected {name} (required), got {got}"));
        let mut loose = Checker::new(vec![schema], Options { missing: Missing::Keep, ..Options::default() });
        assert_eq!(checked(&mut loose, &event), "{\"f\":null}");
    }
}

#[test]
fn live_shaped_events_match_the_schemas_in_the_binary() {
    let schemas = Schemas::built_in();
    for (name, event, time) in [
        (
            "MongoDB.OrganizationEvent",
            r#"{"created":"2024-05-06T07:08:09Z","eventTypeName":"API_KEY_CREATED","id":"65a1b2c3d4e5f60718293a4b","isGlobalAdmin":false,"links":[{"href":"https://cloud.example.com/api/1","rel":"self"}],"orgId":"65a1b2c3d4e5f60718293a00","remoteAddress":"192.0.2.10","username":"ada@example.com","port":27017,"currentValue":{"number":1.50,"units":"RAW"},"somethingNew":{"x":1}}"#,
            Some("2024-05-06T07:08:09Z"),
        ),
        (
            "MongoDB.AccessHistory",
            r#"{"authResult":false,"authSource":"admin","failureReason":"UserNotFound","groupId":"65a1b2c3d4e5f60718293a00","hostname":"node-00.example.net:27017","ipAddress":"198.51.100.4","logLine":"x","timestamp":"Sun Jul 25 9:14:42 EDT 2019","username":"ada"}"#,
            Some("2019-07-25T13:14:42Z"),
        ),
        (
            "MongoDB.AuditingConfig",
            r#"{"auditAuthorizationSuccess":false,"auditFilter":"{\"atype\":\"authenticate\"}","configurationType":"FILTER_JSON","enabled":true}"#,
            None,
        ),
        (
            "Atlassian.Audit",
            r#"{"id":"a1","type":"events","attributes":{"time":"2024-05-06T07:08:09.123456Z","action":"user_granted_role","actor":{"id":"confluence","email":"Some app","name":null},"context":[{"id":"c","type":"user","attributes":{"x":[1]},"links":{"self":"https://admin.example.com/u","alt":null}}],"container":[],"location":{"ip":"203.0.113.9"},"processedAt":"2024-05-06T07:08:10Z"},"message":{"content":"x","format":"simple"},"links":{}}"#,
            Some("2024-05-06T07:08:09.123456Z"),
        ),
    ] {
        let mut checker = Checker::new(schemas.select(&["*".to_owned()]).unwrap(), Options::default());
        let mut event = json(event);
        let matched = checker.check(&mut event).unwrap();
        assert_eq!(matched.schema.name(), name);
        assert_eq!(matched.event_time.map(Instant::to_rfc3339).as_deref(), time, "{name}");
    }
}
