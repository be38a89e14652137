//! Tables are computed when a program is made ready, however large the program is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jaquard::jq::{Coverage, Json, Limits, Program, Runner, WriteLimits, compile, with_stack};
use serde_json::json;

fn compiled(code: &str) -> Arc<Program> {
    compile(code, Path::new("."), &[]).unwrap_or_else(|errors| panic!("{}", errors[0].message))
}

fn runner(program: &Arc<Program>, steps: u64) -> Runner {
    let limits = Limits { steps, ..Limits::default() };
    Runner::new(program.clone(), &json!({ "version": "b" }), limits)
}

#[track_caller]
fn output(runner: &mut Runner, event: &str) -> String {
    let mut text = Vec::new();
    let mut input = Json::parse(Bytes::from(event.to_owned()), 512).unwrap();
    let result = runner.run(&mut input, None, &mut |output| {
        output.write(WriteLimits::from(&Limits::default()), &mut text).unwrap();
        true
    });
    assert_eq!(result, Ok(()), "{event}");
    String::from_utf8(text).unwrap()
}

/// A line of `explain`.
#[track_caller]
fn explained(runner: &Runner, name: &str) -> String {
    let text = runner.explain();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).to_owned()
}

/// A table of this many members, each an object.
fn table(name: &str, members: usize) -> String {
    let members: Vec<_> =
        (0..members).map(|n| format!("\"k{n}\": {{ id: {n}, name: \"{name} \\({n})\" }}")).collect();
    format!("def {name}: {{ {} }};\n", members.join(", "))
}

/// What no constant can be made of, with many terms.
fn bulk() -> String {
    let mut code = "def f0: if .a then .b else .c end;\n".to_owned();
    for level in 1..=14 {
        code += &format!("def f{level}: [f{0}, f{0}];\n", level - 1);
    }
    code
}

const CALLED: &str = "functions called rather than inlined:";

#[test]
fn a_table_is_computed_once_however_often_it_is_named() {
    let mut code = table("small", 400);
    code += "def head(class; activity): { class: small[\"k\\(class)\"], activity: activity };\n";
    let uses: Vec<_> = (0..400).map(|n| format!("head({n}; {})", n + 1)).collect();
    code += &format!("def all: [{}];\nsmall[.key].name, all[.at].class.id", uses.join(", "));
    with_stack(|| {
        let started = Instant::now();
        let program = compiled(&code);
        let mut runner = runner(&program, 100);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        assert_eq!(explained(&runner, CALLED), "0");
        assert!(explained(&runner, "terms:").split(',').next().unwrap().parse::<u32>().unwrap() < 100);
        assert_eq!(output(&mut runner, r#"{"key":"k7","at":9}"#), r#""small 7"9"#);
    });
}

#[test]
fn beyond_the_limit_of_inlining_tables_are_constants_still() {
    let mut code = bulk() + &table("large", 2000);
    code += "def versions: { a: 1, b: 2 };\n";
    code += "def pick(x; y): if $args.version == \"a\" then x else y end;\n";
    code +=
        "def tables: large as $large | { large: $large, more: pick(large; {}) + { version: versions } };\n";
    code += "def entry(tables; $n): tables.large[\"k\\($n)\"] + { n: $n };\n";
    let each: Vec<_> = (0..200).map(|n| format!("k{n}: entry($tables; {n})")).collect();
    code += &format!("def entries: tables as $tables | {{ {} }};\n", each.join(", "));
    code += "if .bulk then [f14, f14, f14] else [] end\n";
    code += "| length, (tables.large | length), entries.k7.n, entries.k9.name, tables.more.version.b";
    with_stack(|| {
        // called, each of the entries would be a step at least
        let mut runner = runner(&compiled(&code), 250);
        assert_ne!(explained(&runner, CALLED), "0");
        assert_eq!(output(&mut runner, "{}"), "020007\"large 9\"2");
    });
}

#[test]
fn counting_coverage_keeps_tables_constant() {
    let mut code = table("large", 3000);
    code += "def tables: { large: large, small: { a: 1 } };\n";
    code += "def version: { \"null\": \"a\", b: \"b\" }[\"\\($args.version)\"];\n";
    code +=
        "tables as $tables | $tables.large[.key].id, (if version == \"b\" then large else {} end | length)";
    with_stack(|| {
        let program = compiled(&code);
        let mut plain = runner(&program, 1000);
        let mut counting = runner(&program, 1000);
        counting.cover();
        for runner in [&plain, &counting] {
            let terms = explained(runner, "terms:");
            assert!(terms.split(',').next().unwrap().parse::<u32>().unwrap() < 100, "{terms}");
        }
        for _ in 0..3 {
            assert_eq!(output(&mut plain, r#"{"key":"k2999"}"#), "29993000");
            assert_eq!(output(&mut counting, r#"{"key":"k2999"}"#), "29993000");
        }
        let mut coverage = Coverage::new();
        coverage.add(&counting, "main.jq");
        let file = coverage.files().next().unwrap();
        // each evaluation counts, though nothing is computed
        assert!(
            file.sites()
                .iter()
                .all(|site| site.hits == if site.kind.name() == "else" { 0 } else { 3 } || site.hits == 6)
        );
    });
}

#[test]
fn constants_that_double_end_somewhere() {
    for (first, next) in [
        ("\"0123456789\"", "# + #"),
        ("[1]", "# + #"),
        ("[1]", "[#, #]"),
        ("{ a: 1 }", "{ a: #, b: # }"),
        ("\"x\"", "\"\\(#)\\(#)\""),
        ("[1]", "[# == #, #]"),
    ] {
        let mut code = format!("def f0: {first};\n");
        for level in 1..=60 {
            code += &format!("def f{level}: {};\n", next.replace('#', &format!("f{}", level - 1)));
        }
        with_stack(|| {
            let started = Instant::now();
            let program = compiled(&format!("{code} if .a then f60 else 1 end"));
            let mut runner = runner(&program, 100_000);
            assert!(started.elapsed() < Duration::from_secs(20), "{next}: {:?}", started.elapsed());
            assert_eq!(output(&mut runner, "{}"), "1", "{next}");
        });
    }
}

#[test]
fn what_is_shared_is_not_changed_by_one_who_uses_it() {
    let code =
        "def t: { a: { b: [1] } }; (t | .a.b[0] = .x | .a.c = 2), (t + { a: 3 }), (t * { a: { d: 4 } }), t";
    with_stack(|| {
        let mut runner = runner(&compiled(code), 1000);
        let expected = r#"{"a":{"b":[null],"c":2}}{"a":3}{"a":{"b":[1],"d":4}}{"a":{"b":[1]}}"#;
        assert_eq!(output(&mut runner, "{}"), expected);
        assert_eq!(output(&mut runner, "{}"), expected);
    });
}

/// A name inside a definition hides one outside.
#[test]
fn names_mean_what_they_mean_where_they_stand() {
    for (code, expected) in [
        ("def t: 1; def f(t): { v: t }; f(.a)", r#"{"v":5}"#),
        ("def t: 1; def f($t): { v: t, w: $t }; f(.a), f(7)", r#"{"v":5,"w":5}{"v":7,"w":7}"#),
        ("1 as $x | def t: $x; 2 as $x | [t, $x]", "[1,2]"),
        (".a as $x | def t: { x: $x }; 2 as $x | [t, $x]", r#"[{"x":5},2]"#),
        ("def f(g): def t: { g: g }; t; [f(1), f(2), f(.a)]", r#"[{"g":1},{"g":2},{"g":5}]"#),
        ("def f($n): def t: { n: $n }; t; [f(1), f(2), f(.a)]", r#"[{"n":1},{"n":2},{"n":5}]"#),
        (
            "def t: if true then 1 else error end; def u: false or null; [t, u, (null // t), (true and .a)]",
            "[1,false,1,true]",
        ),
    ] {
        with_stack(|| {
            let mut runner = runner(&compiled(code), 1000);
            assert_eq!(output(&mut runner, r#"{"a":5}"#), expected, "{code}");
        });
    }
}
