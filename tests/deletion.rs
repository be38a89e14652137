//! `del` in one walk comes to what its definition says, whatever is guarded, missing or in the way.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use bytes::Bytes;
use jaquard::jq::{Json, Limits, Runner, WriteLimits, compile, with_stack};
use serde_json::json;

fn outputs(code: &str, event: &str) -> String {
    let program = compile(code, Path::new("."), &[]).unwrap_or_else(|e| panic!("{code}: {}", e[0].message));
    let mut runner = Runner::new(program, &json!({}), Limits::default());
    let mut text = Vec::new();
    let mut input = Json::parse(Bytes::from(event.to_owned()), 512).unwrap();
    let result = runner.run(&mut input, None, &mut |output| {
        output.write(WriteLimits::from(&Limits::default()), &mut text).unwrap();
        true
    });
    assert_eq!(result, Ok(()), "{code} on {event}");
    String::from_utf8(text).unwrap()
}

const TAKEN: &str = "def taken: select(type == \"string\" or . == null); ";

const PATHS: &[&str] = &[
    ".a",
    ".a.b",
    ".b",
    ".c[]",
    "(.a | taken)",
    "(.a | objects | .b | taken)",
    "(.a | objects | .b)",
    "(.a | select(. == null or . == $x or . == $x.y))",
    "(.a | select(. == {}))",
    "(.b | select($x != null) | taken)",
    "(.b | select($x.y.z == 1) | taken)",
    "(.b | select(not))",
    "(.b | select(type != \"object\") | select(. != true))",
    "(select(.a | type == \"string\") | .b | taken)",
    "(.c | arrays | .[] | select(type == \"number\" and . != null))",
    "(.c[] | select(type == \"object\") | .d | taken)",
    "(.zz | select(. == null) | .b | taken)",
    "(.zz | select(.) | .b)",
];

const EVENTS: &[&str] = &[
    "{}",
    "null",
    r#"{"a":"x","b":"y","c":[1,"2",null]}"#,
    r#"{"a":null,"b":null}"#,
    r#"{"a":{"b":"q","e":1},"b":false,"c":[{"d":"x"},{"d":{}},[]]}"#,
    r#"{"a":{"b":{}},"b":{"b":1},"c":{"d":"x"}}"#,
    r#"{"b":[1],"a":{},"longer than eight":1,"longer than nine":2}"#,
    r#"{"a":1,"a":"twice","b":true}"#,
    r#"{"zz":{"b":"x","c":1},"\u0061":"escaped"}"#,
    r#"[{"a":1}]"#,
    "\"text\"",
];

#[test]
fn one_walk_deletes_what_the_paths_say() {
    with_stack(|| {
        for (at, first) in PATHS.iter().enumerate() {
            for second in &PATHS[at..] {
                for bound in ["null", "{ y: \"x\" }"] {
                    let code = |body: &str| {
                        format!(
                            "{TAKEN} . as $in | {bound} as $const | (.x // $const) as $x | try {body} catch \"E\""
                        )
                    };
                    let paths = format!("{first}, {second}");
                    let fast = code(&format!("del({paths})"));
                    let plain = code(&format!("delpaths([path({paths})])"));
                    for event in EVENTS {
                        // what is not changed may stay as it was written
                        let [fast, plain] = [&fast, &plain].map(|code| outputs(code, event));
                        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
                        let order = |text: &str| read(text).to_string();
                        assert_eq!(order(&fast), order(&plain), "del({paths}) on {event}");
                    }
                }
            }
        }
    });
}

#[test]
fn types_are_asked_for_in_all_ways() {
    let event = r#"[null,false,true,0,-1.50,"",[],{},"number"]"#;
    for (code, expected) in [
        ("[.[] | type == \"number\"]", "[false,false,false,true,true,false,false,false,false]"),
        ("[.[] | type != \"boolean\"]", "[true,false,false,true,true,true,true,true,true]"),
        ("[.[] | type == \"none\" or . == null]", "[true,false,false,false,false,false,false,false,false]"),
        ("[.[] | . == false or . == true]", "[false,true,true,false,false,false,false,false,false]"),
        ("[.[] | not]", "[true,true,false,false,false,false,false,false,false]"),
        ("[.[] | type == 1]", "[false,false,false,false,false,false,false,false,false]"),
        (
            "[.[] | (type == \"string\" and . != \"\")]",
            "[false,false,false,false,false,false,false,false,true]",
        ),
        ("[.[] | type == \"array\" | not]", "[true,true,true,true,true,true,false,true,true]"),
        ("[.[] | if type == \"object\" then 1 elif . == true then 2 else 3 end]", "[3,3,2,3,3,3,3,1,3]"),
        ("[paths(type == \"number\")]", "[[3],[4]]"),
    ] {
        with_stack(|| assert_eq!(outputs(code, event), expected, "{code}"));
    }
}

#[test]
fn sums_of_objects_keep_the_order_and_the_last_value() {
    let event = r#"{"a":{"x":1,"y":2},"b":{"y":3,"z":4},"d":{"k":1,"k":2}}"#;
    for (code, expected) in [
        (".a + .b", r#"{"x":1,"y":3,"z":4}"#),
        (".a + .b + { x: 5 } + null + .c", r#"{"x":5,"y":3,"z":4}"#),
        ("null + .b + {} + .a", r#"{"y":2,"z":4,"x":1}"#),
        ("{} + .d", r#"{"k":2}"#),
        (".d + {}", r#"{"k":2}"#),
        ("{} + .a | .q = 1", r#"{"x":1,"y":2,"q":1}"#),
        (
            ". as $e | { p: 1 } as $p | ($p + .a + $p), $p, ($e.a + $p + $e.a)",
            r#"{"p":1,"x":1,"y":2}{"p":1}{"x":1,"y":2,"p":1}"#,
        ),
        ("[.[] | length] | add", "5"),
        ("1 + 2 + 3 - 1 + 4", "9"),
        ("\"a\" + \"b\" + (\"c\" * 2)", "\"abcc\""),
        ("(1, 2) + (10, 20)", "11122122"),
        ("try (.a + 1 + 2) catch .", "\"object ({\\\"x\\\":1,\\\"y\\\":2}) and number (1) cannot be added\""),
    ] {
        with_stack(|| assert_eq!(outputs(code, event), expected, "{code}"));
    }
}

#[test]
fn keys_are_written_as_json_whatever_is_in_them() {
    for key in [
        "",
        "a",
        "fifteen bytes !",
        "sixteen bytes !!",
        "seventeen bytes !",
        "q\\\"q",
        "t\\tt",
        "\\u0000",
        "é",
        "back\\\\slash",
    ] {
        let event = format!(r#"{{"k":"{key}","v":1}}"#);
        with_stack(|| assert_eq!(outputs("{ (.k): .v } + {}", &event), format!(r#"{{"{key}":1}}"#)));
    }
}
