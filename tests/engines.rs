//! The two engines held against each other, and each against its bounds.
//!
//! `JAQUARD_ENGINE_PAIRS` is the number of generated programs times events, `JAQUARD_ENGINE_SEED`
//! what they are made from; a million pairs take minutes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jaquard::config::{self, Size};
use jaquard::event::json::Problem;
use jaquard::jq::{DOCS, Engine, Json, Limits, Program, Runner, WriteLimits, compile, names, with_stack};
use serde_json::{Value, json};

#[path = "engines/compare.rs"]
mod compare;
#[path = "engines/generate.rs"]
mod generate;

use compare::{Outcome, Verdict, outcome, verdict};
use generate::{Node, Random, event, program};

// without it no program holds any memory, as far as its bound can see
#[global_allocator]
static ALLOCATOR: jaquard::jq::CountingAllocator<mimalloc::MiMalloc> =
    jaquard::jq::CountingAllocator(mimalloc::MiMalloc);

const THREADS: u64 = 2;
const EVENTS_PER_PROGRAM: u64 = 10;

/// Differences of one thread that are shrunk and shown.
const SHOWN: usize = 3;

fn compiled(code: &str) -> Option<Arc<Program>> {
    compile(code, Path::new("."), &[]).ok()
}

fn runner(program: &Arc<Program>, engine: Engine, limits: &Limits) -> Result<Runner, String> {
    let mut runner = Runner::new(program.clone(), &json!({}), limits.clone());
    runner.use_engine(engine)?;
    Ok(runner)
}

/// A program on both engines.
struct Pair {
    ours: Runner,
    theirs: Runner,
    limits: Limits,
}

impl Pair {
    fn new(program: &Arc<Program>, limits: Limits) -> Result<Self, String> {
        let ours = runner(program, Engine::Jaquard, &limits)?;
        let theirs = runner(program, Engine::Jaq, &limits)?;
        Ok(Pair { ours, theirs, limits })
    }

    fn run(&mut self, event: &[u8]) -> (Outcome, Outcome) {
        let ours = outcome(&mut self.ours, event, &self.limits).expect("the event is JSON");
        let theirs = outcome(&mut self.theirs, event, &self.limits).expect("the event is JSON");
        (ours, theirs)
    }
}

/// Bounds that a generated program does not reach, unless it is one that would not end.
fn generated_limits() -> Limits {
    Limits { steps: 1_000_000, time: config::Duration::from_secs(5), ..Limits::default() }
}

#[derive(Default)]
struct Tally {
    programs: u64,
    not_ours: u64,
    not_jaqs: u64,
    pairs: u64,
    skipped: u64,
    different: u64,
    reports: String,
    /// A program that did not compile, to see why.
    refused: Option<String>,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.programs += other.programs;
        self.not_ours += other.not_ours;
        self.not_jaqs += other.not_jaqs;
        self.pairs += other.pairs;
        self.skipped += other.skipped;
        self.different += other.different;
        self.reports.push_str(&other.reports);
        self.refused = self.refused.take().or(other.refused);
    }

    fn report(&mut self, program: &str, event: &str, ours: &Outcome, theirs: &Outcome) {
        let _ =
            write!(self.reports, "\n  program: {program}\n  event: {event}\n  ours:\n{ours}  jaq:\n{theirs}");
    }
}

fn number_from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn engines_agree_on_generated_programs() {
    let pairs = number_from_environment("JAQUARD_ENGINE_PAIRS", 20_000);
    let seed = number_from_environment("JAQUARD_ENGINE_SEED", 1);
    let programs = pairs.div_ceil(EVENTS_PER_PROGRAM);
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let work = move |thread: u64| {
            with_stack(move || compare_generated(seed, (thread..programs).step_by(THREADS as usize)))
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        for thread in threads {
            tally.add(thread.join().unwrap());
        }
    });
    println!(
        "seed {seed}: {} programs, {} that ours refuses, {} that jaq refuses; {} pairs, {} skipped, {} different",
        tally.programs, tally.not_ours, tally.not_jaqs, tally.pairs, tally.skipped, tally.different
    );
    assert!(tally.different == 0, "seed {seed}: {} pairs differ{}", tally.different, tally.reports);
    let refused = tally.refused.unwrap_or_default();
    assert!(tally.not_ours * 20 <= tally.programs, "{} programs do not compile: {refused}", tally.not_ours);
    assert!(tally.not_jaqs * 20 <= tally.programs, "jaq refuses {} programs: {refused}", tally.not_jaqs);
    assert!(tally.skipped * 20 < tally.pairs, "{} of {} pairs are skipped", tally.skipped, tally.pairs);
}

fn compare_generated(seed: u64, numbers: impl Iterator<Item = u64>) -> Tally {
    let mut tally = Tally::default();
    for number in numbers {
        let tree = program(Random::new(seed, 2 * number));
        let text = tree.to_string();
        tally.programs += 1;
        let program = match compile(&text, Path::new("."), &[]) {
            Ok(program) => program,
            Err(errors) => {
                tally.not_ours += 1;
                tally.refused = Some(format!("{text}: {}", errors[0].message));
                continue;
            }
        };
        let mut pair = match Pair::new(&program, generated_limits()) {
            Ok(pair) => pair,
            Err(error) => {
                tally.not_jaqs += 1;
                tally.refused = Some(format!("{text}: {error}"));
                continue;
            }
        };
        let mut random = Random::new(seed, 2 * number + 1);
        for _ in 0..EVENTS_PER_PROGRAM {
            let event = event(&mut random);
            tally.pairs += 1;
            let (ours, theirs) = pair.run(event.as_bytes());
            match verdict(&ours, &theirs) {
                Verdict::Same => {}
                Verdict::Skipped => tally.skipped += 1,
                Verdict::Different => {
                    tally.different += 1;
                    if tally.different as usize <= SHOWN {
                        let (smaller, ours, theirs) = shrunk(tree.clone(), &event, ours, theirs);
                        tally.report(&smaller.to_string(), &event, &ours, &theirs);
                    }
                    // the other events would mostly show the same
                    break;
                }
            }
        }
    }
    tally
}

/// A shorter program on which the engines still differ.
fn shrunk(tree: Node, event: &str, ours: Outcome, theirs: Outcome) -> (Node, Outcome, Outcome) {
    let mut best = (tree, ours, theirs);
    let mut tries = 400;
    loop {
        let length = best.0.to_string().len();
        let mut candidates: Vec<_> =
            best.0.simpler().into_iter().map(|node| (node.to_string(), node)).collect();
        candidates.retain(|(text, _)| text.len() < length);
        candidates.sort_by_key(|(text, _)| text.len());
        let found = candidates.into_iter().take(tries).find_map(|(text, node)| {
            tries -= 1;
            let (ours, theirs) = Pair::new(&compiled(&text)?, generated_limits()).ok()?.run(event.as_bytes());
            (verdict(&ours, &theirs) == Verdict::Different).then_some((node, ours, theirs))
        });
        match found {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "jq") {
            found.push(path);
        }
    }
}

#[test]
fn engines_agree_on_every_shipped_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let events = fs::read_to_string(root.join("pipelines/data/organization_events.ndjson")).unwrap();
    let mut paths = Vec::new();
    files_below(&root.join("transforms"), &mut paths);
    files_below(&root.join("benches/programs"), &mut paths);
    paths.sort();
    let mut tally = Tally::default();
    let mut compared = 0;
    with_stack(|| {
        for path in &paths {
            let code = fs::read_to_string(path).unwrap();
            // the other engine loads no modules, and a module alone has nothing to run
            let is_import = |line: &str| line.starts_with("import ") || line.starts_with("include ");
            if code.lines().any(is_import) || code.trim_end().ends_with(';') {
                continue;
            }
            let program = compile(&code, path.parent().unwrap(), &[])
                .unwrap_or_else(|errors| panic!("{}: {}", path.display(), errors[0].message));
            let mut pair = Pair::new(&program, Limits::default())
                .unwrap_or_else(|error| panic!("jaq refuses {}: {error}", path.display()));
            compared += 1;
            for event in events.lines() {
                let (ours, theirs) = pair.run(event.as_bytes());
                // jaq passes an error on the left of `//` on, where jq takes the right side
                if theirs
                    .error
                    .as_ref()
                    .is_some_and(|(_, message)| message == "Cannot index object with null")
                {
                    continue;
                }
                if verdict(&ours, &theirs) != Verdict::Same {
                    tally.different += 1;
                    tally.report(&path.display().to_string(), event, &ours, &theirs);
                }
            }
        }
    });
    assert!(compared >= 4, "only {compared} programs were compared");
    assert!(tally.different == 0, "{} pairs differ{}", tally.different, tally.reports);
}

/// The functions of jq 1.8. Natives of our own are none of these, or a program would mean something
/// else here.
const OF_JQ: &[&str] = &[
    "IN",
    "INDEX",
    "JOIN",
    "abs",
    "acos",
    "acosh",
    "add",
    "all",
    "any",
    "arrays",
    "ascii",
    "ascii_downcase",
    "ascii_upcase",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "booleans",
    "bsearch",
    "builtins",
    "capture",
    "cbrt",
    "ceil",
    "combinations",
    "contains",
    "copysign",
    "cos",
    "cosh",
    "dateadd",
    "date",
    "datesub",
    "debug",
    "del",
    "delpaths",
    "drem",
    "empty",
    "endswith",
    "env",
    "erf",
    "erfc",
    "error",
    "exp",
    "exp10",
    "exp2",
    "explode",
    "expm1",
    "fabs",
    "fdim",
    "finites",
    "first",
    "flatten",
    "floor",
    "fma",
    "fmax",
    "fmin",
    "fmod",
    "format",
    "frexp",
    "from_entries",
    "fromdate",
    "fromdateiso8601",
    "fromjson",
    "fromstream",
    "gamma",
    "get_search_list",
    "getpath",
    "gmtime",
    "group_by",
    "gsub",
    "halt",
    "halt_error",
    "has",
    "have_decnum",
    "have_literal_numbers",
    "hypot",
    "implode",
    "in",
    "index",
    "indices",
    "infinite",
    "input",
    "input_filename",
    "input_line_number",
    "inputs",
    "inside",
    "isempty",
    "isfinite",
    "isinfinite",
    "isnan",
    "isnormal",
    "isvalid",
    "iterables",
    "j0",
    "j1",
    "jn",
    "join",
    "keys",
    "keys_unsorted",
    "last",
    "ldexp",
    "length",
    "lgamma",
    "lgamma_r",
    "limit",
    "localtime",
    "log",
    "log10",
    "log1p",
    "log2",
    "logb",
    "ltrim",
    "ltrimstr",
    "map",
    "map_values",
    "match",
    "max",
    "max_by",
    "min",
    "min_by",
    "mktime",
    "modf",
    "modulemeta",
    "nan",
    "nearbyint",
    "nextafter",
    "nexttoward",
    "normals",
    "not",
    "now",
    "nth",
    "nulls",
    "numbers",
    "objects",
    "path",
    "paths",
    "pick",
    "pow",
    "range",
    "recurse",
    "remainder",
    "repeat",
    "reverse",
    "rindex",
    "rint",
    "round",
    "rtrim",
    "rtrimstr",
    "scalars",
    "scalb",
    "scalbln",
    "scan",
    "select",
    "setpath",
    "significand",
    "sin",
    "sinh",
    "skip",
    "sort",
    "sort_by",
    "split",
    "splits",
    "sqrt",
    "startswith",
    "stderr",
    "strflocaltime",
    "strftime",
    "strings",
    "strptime",
    "sub",
    "tan",
    "tanh",
    "test",
    "tgamma",
    "to_entries",
    "toarray",
    "toboolean",
    "todate",
    "todateiso8601",
    "tojson",
    "tonumber",
    "tostream",
    "tostring",
    "transpose",
    "trim",
    "trimstr",
    "trunc",
    "truncate_stream",
    "type",
    "unique",
    "unique_by",
    "until",
    "utf8bytelength",
    "values",
    "walk",
    "while",
    "with_entries",
    "y0",
    "y1",
    "yn",
];

#[test]
fn examples_of_native_functions_hold() {
    let known: Vec<String> = names().collect();
    let bounds = WriteLimits::from(&Limits::default());
    with_stack(|| {
        for doc in DOCS {
            let prefix = format!("{}/", doc.name);
            assert!(known.iter().any(|name| name.starts_with(&prefix)), "no function is named {}", doc.name);
            assert!(!OF_JQ.contains(&doc.name), "jq has a function of the name {}", doc.name);
            assert!(!doc.examples.is_empty(), "{} has no example", doc.name);
            for example in doc.examples {
                let program = example.program;
                let code =
                    compiled(program).unwrap_or_else(|| panic!("{}: {program} is no program", doc.name));
                let mut runner = runner(&code, Engine::Jaquard, &Limits::default()).unwrap();
                let mut input = Json::parse(Bytes::from_static(example.input.as_bytes()), 512).unwrap();
                let mut outputs: Vec<Value> = Vec::new();
                let result = runner.run(&mut input, None, &mut |output| {
                    let mut text = Vec::new();
                    output.write(bounds, &mut text).unwrap();
                    outputs.push(serde_json::from_slice(&text).unwrap());
                    true
                });
                if let Err(error) = result {
                    panic!("{program} on {}: {error}", example.input);
                }
                let expected: Value = serde_json::from_str(example.output).unwrap();
                assert_eq!(outputs, [expected], "{program} on {}", example.input);
            }
        }
    });
}

/// Programs that would take for ever, or all memory, or the stack; and whether jaq runs them too.
/// jaq nests its own iterators, and drops deep values by recursion, where ours does not.
const HOSTILE: &[(&str, bool)] = &[
    ("[limit(1e12; repeat(1))]", true),
    ("[repeat(1)]", true),
    ("def f: f; f", true),
    ("reduce repeat(1) as $x (0; . + 1)", true),
    ("def f: 1 + f; f", true),
    ("try (def f: 1 + f; f) catch .", true),
    (r#"reduce range(100) as $i ("x"; . + .)"#, true),
    ("last(range(1e12))", true),
    ("[range(1e9)] | length", true),
    (r#""abc" * 1000000000 | length"#, true),
    (r#""abc" * 9223372036854775807"#, true),
    (r#"("a" * 30) | test("(a?){1000}{1000}")"#, true),
    ("range(20000)", true),
    (r#"range(100) | "x" * 100000"#, true),
    // what is shared in memory is small until somebody walks over it
    (
        "(reduce range(40) as $i ({a: 1}; {a: ., b: .})) as $a | (reduce range(40) as $i ({a: 1}; {a: ., b: .})) as $b | ($a * $b) | length",
        true,
    ),
    ("reduce range(40) as $i ([1]; [., .]) | tojson", true),
    (r#"(reduce range(40) as $i ([1]; [., .])) | "\(.)""#, false),
    (
        "(reduce range(40) as $i ([1]; [., .])) as $a | (reduce range(40) as $i ([1]; [., .])) as $b | $a == $b",
        true,
    ),
    (
        "(reduce range(40) as $i ([1]; [., .])) as $a | (reduce range(40) as $i ([1]; [., .])) as $b | [$a, $b] | sort",
        true,
    ),
    // one step each, and each as long as the array
    ("[range(1000000)] as $d | [range(3000) as $i | $d == ($d[1:])]", false),
    ("reduce range(3000) as $i ([range(1000000)]; . as $x | .[0] = $i)", false),
    (r#"("a" * 4000000) as $d | [range(30000) as $i | $d | ascii_downcase | length]"#, false),
    (r#"("a" * 200000) | test("(?=a*b)x")"#, true),
    ("reduce range(100000) as $i (null; [.]) | tojson", false),
    ("reduce range(100000) as $i (null; [.])", false),
    ("def f(x): f(x | x); f(.)", false),
];

#[test]
fn budgets_hold_on_both_engines() {
    let limits =
        Limits { time: config::Duration::from_millis(300), output_bytes: Size::mib(1), ..Limits::default() };
    with_stack(|| {
        for (hostile, on_jaq) in HOSTILE {
            // hostile on one event only, so that the next one shows what was left behind
            let code = format!("if .hostile then ({hostile}) else .id end");
            let program = compiled(&code).unwrap_or_else(|| panic!("{code} is no program"));
            for engine in [Engine::Jaquard, Engine::Jaq] {
                if engine == Engine::Jaq && !on_jaq {
                    continue;
                }
                let mut runner = runner(&program, engine, &limits)
                    .unwrap_or_else(|error| panic!("{engine:?} refuses {hostile}: {error}"));
                for round in 0..2 {
                    let started = Instant::now();
                    let mut input = Json::from_text(Bytes::from_static(br#"{"hostile":true}"#));
                    let error = runner
                        .run(&mut input, None, &mut |_| true)
                        .expect_err(&format!("{engine:?} lets {hostile} end well"));
                    let took = started.elapsed();
                    assert!(matches!(error.kind(), "limit" | "jq"), "{engine:?}, {hostile}: {error:?}");
                    assert!(took < Duration::from_secs(5), "{engine:?} takes {took:?} for {hostile}");
                    println!("{engine:?}, {hostile}, round {round}: {took:?}, {error}");
                    let next = outcome(&mut runner, br#"{"id":"next"}"#, &limits).unwrap();
                    assert_eq!(next.to_string(), "    \"next\"\n    end\n", "{engine:?} after {hostile}");
                }
            }
        }
    });
}

#[test]
fn no_program_catches_its_bounds() {
    let limits = Limits { time: config::Duration::from_millis(300), ..Limits::default() };
    with_stack(|| {
        let program = compiled("try (def f: 1 + f; f) catch .").unwrap();
        for engine in [Engine::Jaquard, Engine::Jaq] {
            let mut runner = runner(&program, engine, &limits).unwrap();
            let mut input = Json::from_text(Bytes::from_static(b"null"));
            let error = runner.run(&mut input, None, &mut |_| true).unwrap_err();
            assert_eq!(error.kind(), "limit", "{engine:?}: {error}");
        }
    });
}

#[test]
fn deep_texts_are_refused() {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let depth = Limits::default().depth;
    let error = Json::parse(Bytes::from(deep), depth).unwrap_err();
    assert_eq!(error.problem, Problem::TooDeep(depth));
    for (open, close) in [("(", ")"), ("[", "]"), ("{a: ", "}"), ("-(", ")"), ("try (", ")")] {
        let code = format!("{}.{}", open.repeat(5_000), close.repeat(5_000));
        assert!(compiled(&code).is_none(), "5,000 times `{open}` compiles");
    }
}

/// What once was wrong, as program, input and output.
#[test]
fn what_reviews_found_stays_mended() {
    let cases = [
        (
            "keys, length, ([.[]] | length), (.b = 3)",
            r#"{"a":1,"a":2}"#,
            &[r#"["a"]"#, "1", "1", r#"{"a":2,"b":3}"#][..],
        ),
        (".id = 9, del(.zz)", r#"{"id":"u1","zz":3,"id":4}"#, &[r#"{"id":9,"zz":3}"#, r#"{"id":4}"#]),
        (".x | length", r#"{"x":{"a":1,"a":2}}"#, &["1"]),
        ("[foreach (1, 2, 3) as $x (5; if $x == 2 then empty else . + $x end; .)]", "null", &["[6,3]"]),
        (".a[1] |= empty", "{}", &["{}"]),
        ("del(.[nan])", "[1,2]", &["[1,2]"]),
        (r#"indices("")"#, r#""a""#, &["[]"]),
        (r#"gsub(" "; "") | length"#, &format!("{:?}", "a ".repeat(60_000)), &["60000"]),
        ("del(.a | values | .b), del(.a[]?.b)", r#"{"c":1}"#, &[r#"{"c":1}"#, r#"{"c":1}"#]),
    ];
    with_stack(|| {
        for (code, input, expected) in &cases {
            let program = compiled(code).unwrap_or_else(|| panic!("{code} is no program"));
            let mut runner = runner(&program, Engine::Jaquard, &Limits::default()).unwrap();
            let mut event = Json::parse(Bytes::from((*input).to_owned()), 512).unwrap();
            let mut outputs = Vec::new();
            let bounds = WriteLimits::from(&Limits::default());
            let result = runner.run(&mut event, None, &mut |output| {
                let mut text = Vec::new();
                output.write(bounds, &mut text).unwrap();
                outputs.push(String::from_utf8(text).unwrap());
                true
            });
            assert!(result.is_ok(), "{code}: {result:?}");
            assert_eq!(&outputs, expected, "{code}");
        }
    });
}

/// Arguments that double with each function: inlining them all would never end.
#[test]
fn programs_that_double_when_inlined_compile_all_the_same() {
    let mut code = "def f0(g): g; ".to_owned();
    for level in 1..=40 {
        code += &format!("def f{level}(g): f{}(g | g); ", level - 1);
    }
    let started = Instant::now();
    assert!(compiled(&format!("{code} .id")).is_some());
    assert!(compiled(&format!("{code} f40(.)")).is_some());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
