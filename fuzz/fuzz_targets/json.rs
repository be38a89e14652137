//! Any bytes as an event: refused as serde_json refuses them, or written as what was read.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jaquard::event::json;
use jaquard::jq::{Json, Limits, Program, Runner, WriteLimits, compile, with_stack};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Below the depth at which serde_json gives up.
const DEPTH: usize = 100;

/// Rebuilds every array and object, so that none is written as the text it was.
const COPY: &str = r#"
def copy:
  if type == "object" then reduce to_entries[] as $entry ({}; .[$entry.key] = ($entry.value | copy))
  elif type == "array" then [.[] | copy]
  else . end;
copy"#;

thread_local! {
    static REBUILD: Arc<Program> =
        compile(COPY, Path::new("/nonexistent"), &[]).unwrap_or_else(|errors| panic!("{errors:?}"));
}

fuzz_target!(|data: &[u8]| {
    // in this member serde_json hides its numbers
    if data.windows(11).any(|part| part == b"$serde_json") {
        return;
    }
    let theirs = serde_json::from_slice::<Value>(data);
    let parsed = Json::parse(Bytes::copy_from_slice(data), DEPTH);
    assert_eq!(parsed.is_ok(), json::validate(data, DEPTH).is_ok(), "the two passes over a text disagree");
    let event = match (parsed, &theirs) {
        (Ok(event), Ok(_)) => event,
        (Err(_), Err(_)) => return,
        // it reads levels that we do not
        (Err(error), Ok(_)) if matches!(error.problem, json::Problem::TooDeep(_)) => return,
        (Ok(_), Err(error)) => panic!("only serde_json refuses it: {error}"),
        (Err(error), Ok(_)) => panic!("only we refuse it: {error}"),
    };
    let Ok(theirs) = theirs else { return };
    let limits = Limits { depth: DEPTH, ..Limits::default() };
    let bounds = WriteLimits::from(&limits);

    let mut text = Vec::new();
    event.write(bounds, &mut text).unwrap_or_else(|error| panic!("it cannot be written: {error}"));
    check(&text, &theirs);

    let program = REBUILD.with(Arc::clone);
    let rebuilt = with_stack(|| {
        let mut runner = Runner::new(program, &Value::Null, limits);
        let mut input = Json::from_text(Bytes::copy_from_slice(data));
        let mut text = Vec::new();
        let result = runner.run(&mut input, None, &mut |output| output.write(bounds, &mut text).is_ok());
        result.map(|()| text)
    });
    match rebuilt {
        Ok(text) => check(&text, &theirs),
        // a long text takes its time
        Err(error) if error.kind() == "limit" => {}
        Err(error) => panic!("it cannot be rebuilt: {error}"),
    }
});

/// That a text is one line of JSON and says what serde_json read.
fn check(text: &[u8], expected: &Value) {
    assert!(!text.contains(&b'\n') && !text.contains(&b'\r'), "more than one line");
    json::validate(text, DEPTH).unwrap_or_else(|error| panic!("what was written is no JSON: {error}"));
    let read: Value = serde_json::from_slice(text).unwrap_or_else(|error| panic!("serde_json: {error}"));
    // the order of members is another matter where a key is there twice
    assert_eq!(&read, expected);
}
