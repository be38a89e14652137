//! What a file says arrives, and no text does harm.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::schema::log_type::{Checker, Options, TimeFormat, Type, Version};

fn read(text: &str) -> Schema {
    match Schema::read(Path::new("My.Log.yml"), text.to_owned()) {
        Ok((schema, _)) => schema,
        Err(errors) => panic!("{}", errors[0].render(false)),
    }
}

#[test]
fn everything_that_is_known_arrives() {
    let schema = read(
        "version: 0\nparser: {native: {name: x}}\ndescription: |\n  Two\n  lines\ndefinitions:\n  host: {type: string, indicators: [hostname, ip]}\nfields:\n\
         - {name: a, type: smallint, required: yes}\n\
         - &t {name: t, type: timestamp, timeFormats: [rfc3339, '%Y'], isEventTime: true}\n\
         - {<<: *t, name: u}\n\
         - name: h\n  type: array\n  element: {type: ref, target: host}\n\
         - {name: s, type: string, timeFormat: unix_us, isEventTime: true, validate: {allow: [a, 1], cidr: ipv6}}\n\
         - {name: j, type: json, isEmbeddedJSON: true}\n",
    );
    assert_eq!((schema.name(), schema.description()), ("My.Log", "Two\nlines"));
    let field = |name: &str| schema.root().get(name).unwrap();
    assert!(field("a").required && matches!(field("a").element.kind, Type::Integer(16)));
    assert_eq!(field("u").element.times, [TimeFormat::Rfc3339, TimeFormat::Strptime("%Y".to_owned())]);
    assert_eq!(
        ["t", "u", "s", "a"].map(|name| field(name).element.event_time),
        [Some(0), Some(1), Some(2), None]
    );
    let Type::Array(items) = &field("h").element.kind else { panic!() };
    assert_eq!(items.indicators, [Indicator::Hostname, Indicator::Ip]);
    let rules = field("s").element.validate.as_ref().unwrap();
    assert_eq!((&rules.allow[..], rules.cidr), (&["a".to_owned(), "1".to_owned()][..], Some(Version::V6)));
    assert_eq!(field("s").element.times, [TimeFormat::Unix(6)]);
    assert!(field("j").element.is_embedded);
}

#[test]
fn aliases_of_aliases_end_at_the_bound_of_fields() {
    let mut text = String::from("definitions:\n  l0: {type: string}\n");
    for level in 1..30 {
        let fields: Vec<_> =
            (0..9).map(|n| format!("{{name: f{n}, type: ref, target: l{}}}", level - 1)).collect();
        text.push_str(&format!("  l{level}: {{type: object, fields: [{}]}}\n", fields.join(", ")));
    }
    text.push_str("fields:\n  - {name: all, type: ref, target: l29}\n");
    let errors = Schema::read(Path::new("x.yml"), text).unwrap_err();
    assert!(errors.len() <= 100);
}

#[test]
fn what_aliases_stand_for_is_paid_for() {
    let long = "x".repeat(100_000);
    let list = vec!["'some word'"; 2000].join(", ");
    let many = |item: &str| {
        format!("fields:\n{}", (0..15_000).map(|n| item.replace('#', &n.to_string())).collect::<String>())
    };
    for (text, is_good) in [
        (
            format!("definitions: {{d: &d {long}}}\n") + &many("- {name: f#, type: int, description: *d}\n"),
            false,
        ),
        (
            format!("definitions: {{d: &v {{allow: [{list}]}}}}\n")
                + &many("- {name: f#, type: string, validate: *v}\n"),
            false,
        ),
        (
            format!("definitions: {{d: &v [{}]}}\n", vec!["ip"; 5000].join(", "))
                + &many("- {name: f#, type: string, indicators: *v}\n"),
            false,
        ),
        (
            format!("definitions: {{d: &v [{}]}}\n", vec!["'%Y'"; 5000].join(", "))
                + &many("- {name: f#, type: timestamp, timeFormats: *v}\n"),
            false,
        ),
        (
            format!("definitions: {{d: &v {{type: string, unknown_key: {long}}}}}\n")
                + &many("- {name: f#, type: ref, target: d}\n"),
            true,
        ),
        (many("- {name: f#, type: int, description: as short as they are}\n"), true),
    ] {
        let begin = std::time::Instant::now();
        let result = Schema::read(Path::new("x.yml"), text);
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
        match result {
            Ok((schema, _)) => assert!(is_good && schema.len() == 15_000),
            Err(errors) => {
                assert!(!is_good);
                assert_eq!(errors.len(), 1, "{}", errors[0].message);
                assert!(errors[0].message.contains("with what its aliases"), "{}", errors[0].message);
            }
        }
    }
}

#[test]
fn warnings_do_not_push_errors_out() {
    let mut text = String::from("fields:\n");
    for n in 0..200 {
        text.push_str(&format!("- {{name: f{n}, type: int, quite_unknown: 1}}\n"));
    }
    let (_, warnings) = Schema::read(Path::new("x.yml"), text.clone()).unwrap();
    assert_eq!(warnings.len(), TOLD);
    text.push_str("- {name: last, type: sting}\n");
    let errors = Schema::read(Path::new("x.yml"), text).unwrap_err();
    assert_eq!(errors.len(), TOLD + 1);
    assert!(errors[TOLD].message.contains("sting"));
}

#[test]
fn a_key_without_a_value_is_not_there() {
    let schema = read(
        "schema: ~\ndescription:\nfields:\n- {name: a, type: timestamp, timeFormat: ~, timeFormats: [unix], isEventTime: ~}\n\
         - {name: b, type: string, indicators: , validate: ~, description: , required: ~}\n\
         - {name: c, type: string, validate: {allow: , ip: }}\n",
    );
    let field = |name: &str| schema.root().get(name).unwrap();
    assert_eq!((schema.name(), field("a").element.event_time), ("My.Log", None));
    assert!(field("b").element.indicators.is_empty() && field("b").element.validate.is_none());
    assert!(field("c").element.validate.as_ref().unwrap().refuse("anything").is_none());
    let errors = Schema::read(
        Path::new("x.yml"),
        "fields:\n- {name: ~, type: int}\n- {name: 'null', type: ~}\n".to_owned(),
    );
    let errors: Vec<_> = errors.unwrap_err().into_iter().map(|error| error.message).collect();
    assert_eq!(errors, ["the field has no `name`", "there is no `type`"]);
}

#[test]
fn a_time_has_a_year() {
    for (format, is_good) in [
        ("%b %d %H:%M:%S", false),
        ("%T", false),
        ("%%Y", false),
        ("%-y", true),
        ("%F %T", true),
        ("%s", true),
        ("%c", true),
    ] {
        let text = format!("fields:\n- {{name: a, type: timestamp, timeFormat: '{format}'}}\n");
        match Schema::read(Path::new("x.yml"), text) {
            Ok(_) => assert!(is_good, "{format}"),
            Err(errors) => assert!(!is_good && errors[0].message.ends_with("has no year"), "{format}"),
        }
    }
}

/// A schema with something of everything.
const WHOLE: &str = "schema: A.B\ndefinitions: {d: {type: string}}\nfields:\n  - name: \"é\"\n    required: true\n    type: object\n    fields:\n      - name: t\n        type: timestamp\n        timeFormats: [unix, '%Y-%m-%dT%H:%M:%S']\n        isEventTime: true\n      - &l\n        name: l\n        type: array\n        element: {type: ref, target: d}\n  - {<<: *l, name: m}\n  - name: s\n    description: |\n      text = \"é\"\n    type: string\n    validate: {allow: [x], ip: any}\n    indicators:\n      - url\n";

proptest! {
    #[test]
    fn no_text_does_harm(
        cuts in prop::collection::vec((0..WHOLE.len(), 0_usize..12, "[ -~\\n\\té&*:|>{}\\[\\]'\"%#=-]{0,6}"), 0..6),
        event in "[a-z{}\\[\\]\":,0-9]{0,30}",
    ) {
        let mut text = WHOLE.to_owned();
        for (at, length, with) in cuts {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let end = (at + length).min(text.len());
            let end = (end..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(at);
            text.replace_range(at..end, &with);
        }
        match Schema::read(Path::new("x.yml"), text.clone()) {
            Ok((schema, _)) => {
                let mut checker = Checker::new(vec![Arc::new(schema)], Options::default());
                if let Ok(mut event) = crate::jq::Json::parse(event.into(), 64) {
                    let _ = checker.check(&mut event).map(|matched| matched.reason());
                }
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(error.span.end <= text.len() && !error.render(false).is_empty());
                }
            }
        }
    }
}
