//! Runs jq's own test files through jaquard's engine:
//!
//! ```text
//! cargo run --example conformance -- FOLDER [--verbose] [--write FILE]
//! ```
//!
//! `FOLDER` holds files in the format of jq's tests (`jq.test`, `man.test`, …): groups of a program,
//! an input and the expected outputs, with blank lines between; `%%FAIL` before a program that must
//! not compile. Modules are looked for in `FOLDER/modules`. With `--write` the list of what differs
//! goes into the section of `FILE` between its `conformance` marks.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jaquard::jq::{self, Json, Limits, Runner, WriteLimits};
use serde_json::json;

struct Case {
    line: usize,
    program: String,
    input: String,
    expected: Vec<String>,
    must_fail: bool,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = PathBuf::from(args.iter().find(|arg| !arg.starts_with("--")).expect("name a folder"));
    let is_verbose = args.iter().any(|arg| arg == "--verbose");
    let target = args.iter().position(|arg| arg == "--write").map(|at| PathBuf::from(&args[at + 1]));

    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("read the folder")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    files.sort();
    let mut report = String::from("| file | passed | cases |\n|---|---|---|\n");
    let mut differing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("read a test file");
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let cases = parse(&text);
        let mut passed = 0;
        for case in &cases {
            match jq::with_stack(|| run(case, &folder.join("modules"))) {
                Ok(()) => passed += 1,
                Err(difference) => {
                    if is_verbose {
                        println!(
                            "{name}:{}: {}\n    input: {}\n    {difference}",
                            case.line, case.program, case.input
                        );
                    }
                    differing
                        .entry(reason(case, &difference))
                        .or_default()
                        .push(format!("{name}:{}", case.line));
                }
            }
        }
        println!("{name}: {passed} / {}", cases.len());
        report.push_str(&format!("| `{name}` | {passed} | {} |\n", cases.len()));
    }
    if let Some(target) = target {
        let text = std::fs::read_to_string(&target).expect("read the file to write");
        let (start, end) = ("<!-- conformance -->\n", "<!-- /conformance -->");
        let from = text.find(start).expect("a start mark") + start.len();
        let to = text.find(end).expect("an end mark");
        let reasons = differing.iter().map(|(reason, places)| format!("- {reason}: {}\n", places.join(", ")));
        let reasons: String = reasons.collect();
        let (before, after) = (&text[..from], &text[to..]);
        let written = format!("{before}{report}\nCases with another result, and why:\n\n{reasons}{after}");
        std::fs::write(&target, written).expect("write the file");
    }
}

/// Why a case differs, as far as its text tells.
fn reason(case: &Case, difference: &str) -> &'static str {
    let says = |part: &str| difference.contains(part) || case.program.contains(part);
    if says("search metadata") || says("data files") || says("modulemeta") {
        "no search metadata, no data files and no `modulemeta`"
    } else if says("undefined function `input`") {
        "there is no other input"
    } else if says("ENV") || says("env.") {
        "the environment is empty"
    } else if difference.starts_with("input: ") {
        "NaN and infinities are no JSON, coming in"
    } else if ["13911860366432", "900719925474099", "1000000000000000000000000000000"].iter().any(|n| says(n))
    {
        "integers are exact"
    } else if says("100e-2") || case.input.contains("100e-2") {
        "a number keeps the form it was written in"
    } else if says("range(1000") || says("range(10001)") {
        "depth is bounded by `limits.depth`, not at 10,000 levels"
    } else if says("fromjson") {
        "the words of a `fromjson` error"
    } else if says("_strindices") {
        "functions that jq keeps for itself"
    } else if says("Cannot index") || says("cannot be ") || says("is not valid base64") {
        "the words of an error that is newer than jq 1.8.1"
    } else {
        "other"
    }
}

fn parse(text: &str) -> Vec<Case> {
    let is_skipped = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let mut lines = text.lines().enumerate().peekable();
    let mut cases = Vec::new();
    while let Some((number, line)) = lines.next() {
        if is_skipped(line) {
            continue;
        }
        let must_fail = line.starts_with("%%FAIL");
        let (number, program) = if must_fail { lines.next().expect("a program") } else { (number, line) };
        let mut case = Case {
            line: number + 1,
            program: program.to_owned(),
            input: String::new(),
            expected: Vec::new(),
            must_fail,
        };
        if !must_fail {
            let (_, input) = lines.next().expect("an input");
            input.trim_start_matches('\u{feff}').clone_into(&mut case.input);
        }
        while let Some((_, line)) = lines.next_if(|(_, line)| !is_skipped(line)) {
            case.expected.push(line.to_owned());
        }
        cases.push(case);
    }
    cases
}

fn run(case: &Case, modules: &Path) -> Result<(), String> {
    let program = match jq::compile(&case.program, modules, &[modules.to_path_buf()]) {
        Ok(_) if case.must_fail => return Err("compiles".to_owned()),
        Ok(program) => program,
        Err(_) if case.must_fail => return Ok(()),
        Err(errors) => return Err(format!("does not compile: {}", errors[0].message)),
    };
    let mut runner = Runner::new(program, &json!({}), Limits::default());
    let mut input =
        Json::parse(Bytes::from(case.input.clone()), 10_000).map_err(|error| format!("input: {error}"))?;
    let mut outputs = Vec::new();
    let result = runner.run(&mut input, None, &mut |output| {
        let mut text = Vec::new();
        let unbounded = WriteLimits { depth: usize::MAX, bytes: usize::MAX };
        output.write(unbounded, &mut text).unwrap();
        outputs.push(String::from_utf8(text).unwrap());
        true
    });
    let error = result.err().map(|error| format!(", then error: {error}")).unwrap_or_default();
    if outputs.len() != case.expected.len() {
        return Err(format!(
            "{} outputs instead of {}: {outputs:?}{error}",
            outputs.len(),
            case.expected.len()
        ));
    }
    for (output, expected) in outputs.iter().zip(&case.expected) {
        if !equal(output, expected) {
            return Err(format!("got {output} instead of {expected}"));
        }
    }
    Ok(())
}

fn equal(a: &str, b: &str) -> bool {
    let program = jq::compile(".[0] == .[1]", Path::new("."), &[]).unwrap();
    let mut runner = Runner::new(program, &json!({}), Limits::default());
    let Ok(mut input) = Json::parse(Bytes::from(format!("[{a},{b}]")), 20_000) else { return a == b };
    runner.holds(&mut input, None).unwrap_or(false)
}
