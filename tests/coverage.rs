//! What coverage of a program says, and that counting it changes no result.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jaquard::config;
use jaquard::jq::{
    Coverage, Engine, FileCoverage, Json, Limits, Program, RunError, Runner, SiteKind, Total, WriteLimits,
    compile, with_stack,
};
use serde_json::{Value, json};

#[allow(dead_code, reason = "only whole programs are asked for here")]
#[path = "engines/generate.rs"]
mod generate;

use generate::Random;

fn compiled(code: &str) -> Arc<Program> {
    compile(code, Path::new("."), &[]).unwrap_or_else(|errors| panic!("{code}: {}", errors[0].message))
}

fn event(text: &str) -> Json {
    Json::parse(Bytes::from(text.to_owned()), 512).unwrap()
}

/// Outputs as texts, and how the run ended.
type Outcome = (Vec<String>, Result<(), RunError>);

fn run(runner: &mut Runner, text: &str) -> Outcome {
    let mut outputs = Vec::new();
    let result = runner.run(&mut event(text), None, &mut |output| {
        let mut text = Vec::new();
        output.write(WriteLimits::from(&Limits::default()), &mut text).unwrap();
        outputs.push(String::from_utf8(text).unwrap());
        true
    });
    (outputs, result)
}

/// A runner that counts, after these events. What they come to is the same without counting.
#[track_caller]
fn covered(program: &Arc<Program>, args: &Value, events: &[&str]) -> Runner {
    let mut plain = Runner::new(program.clone(), args, Limits::default());
    let mut counting = Runner::new(program.clone(), args, Limits::default());
    counting.cover();
    for event in events {
        assert_eq!(run(&mut counting, event), run(&mut plain, event), "{event}");
    }
    counting
}

/// `line:column kind hits` of each site of a file.
fn shown(coverage: &Coverage, path: &str) -> Vec<String> {
    let file = coverage.files().find(|file| file.path() == path);
    let file = file.unwrap_or_else(|| panic!("{path} is not among the files"));
    let site = |site: &jaquard::jq::Site| {
        format!("{}:{} {} {}", site.line, site.column, site.kind.name(), site.hits)
    };
    file.sites().iter().map(site).collect()
}

/// What of a program the events reach, each event in turn.
#[track_caller]
fn assert_reached(code: &str, events: &[&str], expected: &[&str]) {
    let mut coverage = Coverage::new();
    with_stack(|| coverage.add(&covered(&compiled(code), &json!({}), events), "main.jq"));
    assert_eq!(shown(&coverage, "main.jq"), expected, "{code}");
}

#[test]
fn each_way_of_an_if_is_a_branch() {
    let code = "if .a then 1\nelif .b then 2\nelse 3 end";
    let events = [r#"{"a":true}"#, r#"{"b":true}"#, "{}", "{}"];
    assert_reached(code, &events, &["1:12 then 1", "2:14 elif 1", "3:6 else 2"]);
    assert_reached(code, &[], &["1:12 then 0", "2:14 elif 0", "3:6 else 0"]);
    // what passes is the input of the whole `if`
    assert_reached(" if .a then 1 end", &["{}"], &["1:2 omitted else 1", "1:13 then 0"]);
    assert_reached(
        "if .a then 1 elif .b then 2 end",
        &[r#"{"b":1}"#],
        &["1:1 omitted else 0", "1:12 then 0", "1:27 elif 1"],
    );
    // a condition of several outputs, and one without
    assert_reached("if (true, false, true) then 1 else 2 end", &["0"], &["1:29 then 2", "1:36 else 1"]);
    assert_reached("if empty then 1 else 2 end", &["0"], &["1:15 then 0", "1:22 else 0"]);
    assert_reached("if error then 1 else 2 end", &["0"], &["1:15 then 0", "1:22 else 0"]);
}

#[test]
fn a_condition_that_is_constant_has_both_branches_all_the_same() {
    assert_reached("if true then 1 else 2 end", &["0"], &["1:14 then 1", "1:21 else 0"]);
    assert_reached(r#""a" // "b""#, &["0"], &["1:1 left of // 1", "1:8 right of // 0"]);
    assert_reached("null // 1", &["0"], &["1:1 left of // 0", "1:9 right of // 1"]);
}

#[test]
fn an_alternative_has_two_sides() {
    let sites = |left, right| [format!("1:1 left of // {left}"), format!("1:7 right of // {right}")];
    for (event, left, right) in [(r#"{"a":1}"#, 1, 0), ("{}", 0, 1), (r#"{"a":false}"#, 0, 1), ("[]", 0, 1)] {
        let sites = sites(left, right);
        assert_reached(".a // .b", &[event], &[&sites[0], &sites[1]]);
    }
    // several outputs
    assert_reached(".[] // 1", &["[1,null,2]"], &["1:1 left of // 2", "1:8 right of // 0"]);
    assert_reached("first(.[]) // 1", &["[]"], &["1:1 left of // 0", "1:15 right of // 1"]);
    // of a chain each link is a site, not what is left of the chain
    assert_reached(
        ".a // .b // 1",
        &[r#"{"b":1}"#],
        &["1:1 left of // 0", "1:7 left of // 1", "1:13 right of // 0"],
    );
    assert_reached(".a //= 1", &["{}"], &[]);
}

#[test]
fn a_handler_is_reached_by_an_error_and_a_question_mark_is_no_site() {
    assert_reached(r#"try .a catch "no""#, &["{}", "[]", "1"], &["1:14 catch 2"]);
    assert_reached(
        r#"try error("x") catch ., (try (1, error) catch 2)"#,
        &["null"],
        &["1:22 catch 1", "1:47 catch 1"],
    );
    assert_reached(".a?, .[]?, (.a | .b)?, try .c", &["[]"], &[]);
    // leaving by a label is no error
    assert_reached("label $out | try break $out catch 1", &["0"], &["1:35 catch 0"]);
}

#[test]
fn the_right_side_of_and_and_or_is_a_site_but_no_branch() {
    assert_reached(".a and .b", &["{}", r#"{"a":1}"#], &["1:8 right of and/or 1"]);
    assert_reached(".a or .b", &["{}", r#"{"a":1}"#, "{}"], &["1:7 right of and/or 2"]);
    assert_reached(".[] and .[]", &["[true,false,true]"], &["1:9 right of and/or 2"]);
    assert_reached("map(select(.a and .b == 1))", &[r#"[{"a":1},{}]"#], &["1:19 right of and/or 1"]);
    assert!(
        !SiteKind::Operand.is_branch() && !SiteKind::ObjectKey.is_branch() && !SiteKind::Function.is_branch()
    );
    assert!(
        SiteKind::Preferred.is_branch() && SiteKind::Handler.is_branch() && SiteKind::OmittedElse.is_branch()
    );
}

#[test]
fn members_are_reached_one_by_one() {
    let keys = |hits: [u32; 3]| {
        [2, 9, 12].iter().zip(hits).map(|(at, hits)| format!("1:{at} object key {hits}")).collect::<Vec<_>>()
    };
    for (event, hits) in [(r#"{"x":1}"#, [1, 1, 1]), (r#"{"x":[]}"#, [1, 1, 1]), ("[]", [1, 0, 0])] {
        let expected = keys(hits);
        assert_reached(
            "{a: .x, b, c: 1}",
            &[event],
            &expected.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    // what has no output ends the object
    assert_reached("{a: empty, b: 1}", &["0"], &["1:2 object key 1", "1:12 object key 0"]);
    // one value for each output of the others
    assert_reached("{a: (1, 2), b: .}", &["0"], &["1:2 object key 1", "1:13 object key 2"]);
}

#[test]
fn members_in_short_form_are_reached_too() {
    assert_reached(
        r#". as $v | {$v, a, "b", "c\(1)", $__loc__, @base64 "d", (.k): 1}"#,
        &[r#"{"k":"x"}"#],
        &[
            "1:12 object key 1",
            "1:16 object key 1",
            "1:19 object key 1",
            "1:24 object key 1",
            "1:33 object key 1",
            "1:43 object key 1",
            "1:57 object key 1",
        ],
    );
}

#[test]
fn constants_count_when_they_are_evaluated() {
    let code = "if .a then {x: [{y: 1}, {z: {}}]} else {w: 2} end | .x";
    assert_reached(
        code,
        &[r#"{"a":1}"#, r#"{"a":1}"#],
        &[
            "1:12 then 2",
            "1:13 object key 2",
            "1:18 object key 2",
            "1:26 object key 2",
            "1:40 else 0",
            "1:41 object key 0",
        ],
    );
    assert_reached(
        "def table: {a: 1, b: 2}; table[.k] // 0",
        &[r#"{"k":"a"}"#, r#"{"k":"c"}"#],
        &[
            "1:5 function 2",
            "1:13 object key 2",
            "1:19 object key 2",
            "1:26 left of // 1",
            "1:39 right of // 1",
        ],
    );
}

#[test]
fn a_function_is_reached_where_it_is_called() {
    assert_reached(
        "def used: 1; def unused: if . then 2 else 3 end; used, used",
        &["0"],
        &["1:5 function 2", "1:18 function 0", "1:36 then 0", "1:43 else 0"],
    );
    // one inside another, and one inside a term
    assert_reached(
        "def outer: def inner: .; inner | inner; outer | (def here: .; def there: .; here)",
        &["0"],
        &["1:5 function 1", "1:16 function 2", "1:54 function 1", "1:67 function 0"],
    );
    // a parameter without an output: nothing is called
    assert_reached("def f($x): $x; f(empty), f(1)", &["0"], &["1:5 function 1"]);
}

#[test]
fn a_function_that_calls_itself_counts_each_call() {
    assert_reached(
        "def down: if . > 0 then . - 1 | down else . end; down",
        &["3"],
        &["1:5 function 4", "1:25 then 3", "1:43 else 1"],
    );
    // deep enough to need its tail call
    assert_reached(
        "def down: if . > 0 then . - 1 | down else . end; down",
        &["200000"],
        &["1:5 function 200001", "1:25 then 200000", "1:43 else 1"],
    );
    // with a closure
    let code =
        "def up(f): if . < 1000 then f | up(f) else . end; up(if . % 2 == 0 then . + 1 else . + 1 end)";
    assert_reached(
        code,
        &["0"],
        &["1:5 function 1001", "1:29 then 1000", "1:44 else 1", "1:73 then 500", "1:84 else 500"],
    );
}

#[test]
fn what_is_inlined_in_several_places_is_one_site() {
    let code = "def f(g): if . then g else 0 end; (.a | f(1)), (.b | f(if . then 2 else 3 end))";
    assert_reached(
        code,
        &[r#"{"a":true,"b":true}"#, r#"{"a":true}"#],
        &["1:5 function 4", "1:21 then 3", "1:28 else 1", "1:66 then 1", "1:73 else 0"],
    );
    // an argument that is used twice, and one that is not used
    assert_reached(
        "def twice(g): g, g; def never(g): 0; twice(. // 1), never(. // 2)",
        &["null"],
        &[
            "1:5 function 1",
            "1:25 function 1",
            "1:44 left of // 0",
            "1:49 right of // 2",
            "1:59 left of // 0",
            "1:64 right of // 0",
        ],
    );
    // arguments of jq's own definitions
    assert_reached(
        "map(if . then 1 else 2 end) | map_values(. // 0) | with_entries(.value |= {v: .}?)",
        &["[true,false,true]", "[]"],
        &["1:15 then 2", "1:22 else 1", "1:42 left of // 3", "1:47 right of // 0", "1:76 object key 3"],
    );
}

#[test]
fn paths_and_updates_reach_what_they_go_through() {
    let both = |then: u32, otherwise: u32, code: &str, event: &str| {
        let mut coverage = Coverage::new();
        with_stack(|| coverage.add(&covered(&compiled(code), &json!({}), &[event]), "x"));
        let sites: Vec<_> =
            coverage.files().flat_map(FileCoverage::sites).map(|site| site.hits as u32).collect();
        assert_eq!(sites, [then, otherwise], "{code}");
    };
    let event = r#"{"a":1,"b":2,"c":[true,false,true]}"#;
    both(1, 0, "path(if .a then .b else .c end)", event);
    both(0, 1, "path(.z // .b)", event);
    both(1, 0, "path(.a // .b)", event);
    both(1, 0, "del(if .a then .b else .c end)", event);
    both(2, 1, "del(.c[] | if . then . else empty end)", event);
    both(2, 1, ".c[] |= if . then 1 else 2 end", event);
    both(2, 1, ".c[] |= if . then empty else . end", event);
    both(1, 0, "(if .a then .b else .c end) |= 1", event);
    both(1, 0, "(if .a then .b else .c end) = 1", event);
    both(1, 0, "(if .a then .b else .c end) += 1", event);
    both(0, 1, "(.z // .b) |= 1", event);
    both(1, 0, ".a = if .b then 1 else 2 end", event);
    both(1, 0, ".a += (.b // 2)", event);
    both(1, 0, ".a //= if .b then 1 else 2 end", event);
    both(2, 1, "to_entries | .[2].value[] |= if . then 1 else 2 end", event);
}

#[test]
fn loops_reach_their_bodies() {
    assert_reached(
        "reduce .[] as $x (.[0] // 0; if $x > 1 then . + $x else . end)",
        &["[1,2,3]"],
        &["1:19 left of // 1", "1:27 right of // 0", "1:45 then 2", "1:57 else 1"],
    );
    assert_reached(
        "foreach (.[] | . // 9) as $x (0; . + $x; if . > 3 then {$x} else empty end)",
        &["[1,null]"],
        &["1:16 left of // 1", "1:21 right of // 1", "1:56 then 1", "1:57 object key 1", "1:66 else 1"],
    );
    assert_reached(
        "[limit(2; .[] | if . then 1 else 2 end)], first(.[] | . // 1), [range(.[0] // 1; 3)]",
        &["[null,true,true]"],
        &[
            "1:27 then 1",
            "1:34 else 1",
            "1:55 left of // 0",
            "1:60 right of // 1",
            "1:71 left of // 0",
            "1:79 right of // 1",
        ],
    );
    assert_reached(
        "any(.[]; . == 2 and true), all(.[]; . == 1 or false), isempty(.[] | {a: .})",
        &["[1,2,3]"],
        &["1:21 right of and/or 1", "1:47 right of and/or 1", "1:70 object key 1"],
    );
    assert_reached(
        "until(. > 3; if . == 2 then 4 else . + 1 end), [recurse(if . < 2 then . + 1 else empty end)]",
        &["0"],
        &["1:29 then 1", "1:36 else 2", "1:71 then 2", "1:82 else 1"],
    );
    assert_reached(
        "walk(if type == \"array\" then . elif . then 1 else 2 end)",
        &["[true,[false]]"],
        &["1:30 then 2", "1:44 elif 1", "1:51 else 1"],
    );
    assert_reached(
        r#"gsub("(?<x>.)"; if .x == "a" then "b" else .x end)"#,
        &[r#""abca""#],
        &["1:35 then 2", "1:44 else 2"],
    );
}

#[test]
fn strings_and_patterns_reach_what_is_inside() {
    assert_reached(
        r#""\(.a // "x") and \(if .b then 1 else 2 end)" | @json "\({a: .})""#,
        &["{}"],
        &["1:4 left of // 0", "1:10 right of // 1", "1:32 then 0", "1:39 else 1", "1:59 object key 1"],
    );
    // of several patterns the first that fits; its body begins anew
    assert_reached(
        r#".[] as [$a] ?// {a: $a} ?// $a | if $a then {$a} else error("none") end"#,
        &[r#"[[1],{"a":2}]"#],
        &["1:45 then 2", "1:46 object key 2", "1:55 else 0"],
    );
    assert_reached(
        r#". as {(.k // "a"): $x} | $x.y // 1"#,
        &["{}"],
        &["1:8 left of // 0", "1:14 right of // 1", "1:26 left of // 0", "1:34 right of // 1"],
    );
}

#[test]
fn a_condition_of_entries_reaches_its_sides() {
    assert_reached(
        r#"with_entries(select(.value != null and .key != "b"))"#,
        &[r#"{"a":1,"b":2,"c":null}"#],
        &["1:40 right of and/or 2"],
    );
    assert_reached(
        "def kept: .value // false; with_entries(select(kept))",
        &[r#"{"a":1,"b":null}"#],
        &["1:5 function 2", "1:11 left of // 1", "1:21 right of // 1"],
    );
}

#[test]
fn a_condition_counts_where_only_its_verdict_is_asked_for() {
    with_stack(|| {
        let mut runner = covered(&compiled(".a and .b"), &json!({}), &[]);
        assert!(runner.holds(&mut event(r#"{"a":1,"b":1}"#), None).unwrap());
        assert!(!runner.holds(&mut event("{}"), None).unwrap());
        let mut coverage = Coverage::new();
        coverage.add(&runner, "filter");
        assert_eq!(shown(&coverage, "filter"), ["1:8 right of and/or 1"]);
    });
}

#[test]
fn runs_under_several_arguments_are_one_coverage() {
    with_stack(|| {
        let program = compiled(r#"if $args.x == "a" then 1 else 2 end, ($args.y // 3)"#);
        let mut coverage = Coverage::new();
        coverage.add(&covered(&program, &json!({"x": "a"}), &["0"]), "p.jq");
        assert_eq!(coverage.branches(), Total { hit: 2, all: 4 });
        let percent = |hit, all| Total { hit, all }.percent().to_string();
        assert_eq!((percent(2, 4), percent(2, 3), percent(0, 0)), ("50".into(), "66.6".into(), "100".into()));
        assert_eq!(percent(99_999, 100_000), "99.9");
        coverage.add(&covered(&program, &json!({"x": "b", "y": 1}), &["0", "1"]), "p.jq");
        assert!(coverage.branches().is_complete());
        let sites = ["1:24 then 1", "1:31 else 2", "1:39 left of // 2", "1:50 right of // 1"];
        assert_eq!(shown(&coverage, "p.jq"), sites);
    });
}

#[test]
fn what_was_added_is_not_added_again() {
    with_stack(|| {
        let mut runner = covered(&compiled(".a // 1"), &json!({}), &["{}"]);
        let mut coverage = Coverage::new();
        coverage.add(&runner, "p.jq");
        coverage.add(&runner, "p.jq");
        assert_eq!(shown(&coverage, "p.jq"), ["1:1 left of // 0", "1:7 right of // 1"]);
        drop(run(&mut runner, r#"{"a":1}"#));
        coverage.add(&runner, "p.jq");
        assert_eq!(shown(&coverage, "p.jq"), ["1:1 left of // 1", "1:7 right of // 1"]);
    });
}

#[test]
fn a_runner_that_was_not_asked_to_count_adds_nothing() {
    with_stack(|| {
        let mut runner = Runner::new(compiled(".a // 1"), &json!({}), Limits::default());
        drop(run(&mut runner, "{}"));
        let mut coverage = Coverage::new();
        coverage.add(&runner, "p.jq");
        assert_eq!(coverage.files().count(), 0);
        assert!(coverage.total().is_complete());
        // one without sites is there all the same
        coverage.add(&covered(&compiled(".a"), &json!({}), &["{}"]), "q.jq");
        assert_eq!(
            coverage.files().map(|file| (file.path(), file.total())).collect::<Vec<_>>(),
            [("q.jq", Total::default())]
        );
    });
}

#[test]
fn a_file_written_anew_begins_anew() {
    with_stack(|| {
        let mut coverage = Coverage::new();
        coverage.add(&covered(&compiled(".a // 1"), &json!({}), &["{}"]), "p.jq");
        coverage.add(&covered(&compiled(" .a // 1"), &json!({}), &[r#"{"a":1}"#]), "p.jq");
        assert_eq!(shown(&coverage, "p.jq"), ["1:2 left of // 1", "1:8 right of // 0"]);
    });
}

#[test]
fn a_run_that_passes_a_bound_counts_what_it_reached() {
    with_stack(|| {
        let limits = Limits { steps: 1000, ..Limits::default() };
        let program = compiled("(.a // 1) | last(range(1e9)) | if . then 1 else 2 end");
        let mut runner = Runner::new(program, &json!({}), limits);
        runner.cover();
        assert_eq!(run(&mut runner, "{}").1.unwrap_err().kind(), "limit");
        let mut coverage = Coverage::new();
        coverage.add(&runner, "p.jq");
        let sites = ["1:2 left of // 0", "1:8 right of // 1", "1:42 then 0", "1:49 else 0"];
        assert_eq!(shown(&coverage, "p.jq"), sites);
    });
}

#[test]
fn a_program_too_long_to_inline_counts_too() {
    // each function doubles what the next one is made of
    let mut code = "def f0(g): if . then g else 0 end; ".to_owned();
    for level in 1..=40 {
        code += &format!("def f{level}(g): f{}(g | g); ", level - 1);
    }
    code += "f3(. // 1) | empty";
    with_stack(|| {
        let mut coverage = Coverage::new();
        coverage.add(&covered(&compiled(&code), &json!({}), &["true"]), "p.jq");
        assert_eq!(coverage.of_kind(SiteKind::Function), Total { hit: 4, all: 41 });
        assert_eq!(coverage.of_kind(SiteKind::Then), Total { hit: 1, all: 1 });
        assert_eq!(coverage.of_kind(SiteKind::Preferred), Total { hit: 1, all: 1 });
        assert_eq!(coverage.branches(), Total { hit: 2, all: 4 });
    });
}

/// Two programs in two folders and the module that both load, each over a way of its own.
#[test]
fn a_module_of_several_programs_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("a/main.jq", "");
    write("b/main.jq", "");
    write("lib/shared.jq", "include \"inner\";\ndef one: if . then 1 else inner end;\ndef two: 2;");
    write("lib/inner.jq", "def inner: {x: 1};\ndef unused: .a // .b;");
    let program = |sub: &str, code: &str| {
        let here = folder.path().join(sub);
        compile(code, &here, &[here.join("../lib")]).unwrap()
    };
    with_stack(|| {
        let first = program("a", "import \"shared\" as s; s::one");
        let second = program("b", "import \"shared\" as s; import \"inner\" as i; s::one, i::inner");
        let mut coverage = Coverage::new();
        coverage.add(&covered(&first, &json!({}), &["true"]), "a/main.jq");
        let mut other = Coverage::new();
        other.add(&covered(&second, &json!({}), &["false"]), "./b/../b/main.jq");
        coverage.merge(other);
        let root = folder.path().display();
        let paths: Vec<_> = coverage.files().map(|file| file.path().to_owned()).collect();
        let library = |name: &str| format!("{root}/lib/{name}.jq");
        assert_eq!(paths, [library("inner"), library("shared"), "a/main.jq".into(), "b/main.jq".into()]);
        assert_eq!(
            shown(&coverage, &library("shared")),
            ["2:5 function 2", "2:20 then 1", "2:27 else 1", "3:5 function 0"]
        );
        assert_eq!(
            shown(&coverage, &library("inner")),
            [
                "1:5 function 2",
                "1:13 object key 2",
                "2:5 function 0",
                "2:13 left of // 0",
                "2:19 right of // 0"
            ]
        );
        let file = coverage.files().next().unwrap();
        assert_eq!(&file.text()[file.sites()[3].span.clone()], ".a");
        coverage.retain(|path| path.ends_with("shared.jq"));
        assert_eq!(coverage.branches(), Total { hit: 2, all: 2 });
        assert_eq!(coverage.total(), Total { hit: 3, all: 4 });
    });
}

#[test]
fn columns_are_in_characters() {
    assert_reached(
        "\"é\" | # ünd\n \"日本\" | .a? // 1",
        &["{}"],
        &["2:9 left of // 0", "2:16 right of // 1"],
    );
}

/// A program with and without counting.
struct Both {
    plain: Runner,
    counting: Runner,
}

impl Both {
    fn new(program: &Arc<Program>, args: &Value, limits: &Limits) -> Self {
        let plain = Runner::new(program.clone(), args, limits.clone());
        let mut counting = Runner::new(program.clone(), args, limits.clone());
        counting.cover();
        Both { plain, counting }
    }

    /// Runs both, whose outcome must be the same to the byte, the place of an error included. True
    /// unless a bound stopped one.
    fn agree(&mut self, shown: &str, event: &str) -> bool {
        let (plain, counting) = (run(&mut self.plain, event), run(&mut self.counting, event));
        let is_limit = |outcome: &Outcome| outcome.1.as_ref().is_err_and(|error| error.kind() == "limit");
        if is_limit(&plain) || is_limit(&counting) {
            return false;
        }
        assert_eq!(plain, counting, "{shown}\nevent: {event}");
        true
    }
}

#[test]
fn counting_changes_no_result_of_generated_programs() {
    let limits = Limits { steps: 1_000_000, time: config::Duration::from_secs(5), ..Limits::default() };
    let programs =
        std::env::var("JAQUARD_ENGINE_PAIRS").map_or(1000, |pairs| pairs.parse::<u64>().unwrap() / 10);
    let (mut compared, mut all) = (0, 0);
    let mut coverage = Coverage::new();
    with_stack(|| {
        for number in 0..programs {
            let text = generate::program(Random::new(7, 2 * number)).to_string();
            let Ok(program) = compile(&text, Path::new("."), &[]) else { continue };
            let mut both = Both::new(&program, &json!({}), &limits);
            let mut random = Random::new(7, 2 * number + 1);
            for _ in 0..10 {
                all += 1;
                compared += u64::from(both.agree(&text, &generate::event(&mut random)));
            }
            coverage.add(&both.counting, &number.to_string());
        }
    });
    assert!(compared * 20 > all * 19, "only {compared} of {all} were compared");
    // what is generated has all kinds of sites, and reaches many of them
    for kind in
        [SiteKind::Then, SiteKind::Else, SiteKind::Alternative, SiteKind::Handler, SiteKind::ObjectKey]
    {
        let total = coverage.of_kind(kind);
        assert!(total.hit * 4 > total.all && total.all > 20, "{}: {total:?}", kind.name());
    }
}

fn programs_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            programs_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "jq") {
            found.push(path);
        }
    }
}

#[test]
fn counting_changes_no_result_of_shipped_programs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let events = fs::read_to_string(root.join("pipelines/data/organization_events.ndjson")).unwrap();
    let mut paths = Vec::new();
    programs_below(&root.join("transforms"), &mut paths);
    programs_below(&root.join("benches/programs"), &mut paths);
    let library = root.join("transforms/lib");
    // a module alone has nothing to run
    let is_module = |path: &PathBuf| {
        let code = fs::read_to_string(path).unwrap();
        code.trim_end().ends_with(';')
    };
    paths.retain(|path| !is_module(path));
    assert!(paths.len() >= 8, "only {paths:?}");
    with_stack(|| {
        for path in &paths {
            let code = fs::read_to_string(path).unwrap();
            let program = compile(&code, path.parent().unwrap(), std::slice::from_ref(&library))
                .unwrap_or_else(|errors| panic!("{}: {}", path.display(), errors[0].message));
            let mut both = Both::new(&program, &json!({}), &Limits::default());
            for event in events.lines() {
                assert!(both.agree(&path.display().to_string(), event), "{}", path.display());
            }
            let mut coverage = Coverage::new();
            coverage.add(&both.counting, &path.display().to_string());
            assert!(coverage.total().hit > 0, "{}", path.display());
        }
    });
}

#[test]
fn the_other_engine_counts_nothing() {
    with_stack(|| {
        let mut runner = Runner::new(compiled(".a // 1"), &json!({}), Limits::default());
        runner.use_engine(Engine::Jaq).unwrap();
        runner.cover();
        assert_eq!(run(&mut runner, "{}").0, ["1"]);
        let mut coverage = Coverage::new();
        coverage.add(&runner, "p.jq");
        assert_eq!(coverage.total(), Total { hit: 0, all: 2 });
    });
}
