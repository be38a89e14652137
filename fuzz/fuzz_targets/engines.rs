//! Both engines on any program and any event.
#![no_main]

use std::path::Path;

use jaquard::config::{Duration, Size};
use jaquard::jq::{CountingAllocator, Engine, Limits, Runner, compile, with_stack};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/engines/compare.rs"]
mod compare;

use compare::{Verdict, outcome, verdict};

#[global_allocator]
static ALLOCATOR: CountingAllocator<std::alloc::System> = CountingAllocator(std::alloc::System);

fn limits() -> Limits {
    Limits {
        time: Duration::from_millis(200),
        steps: 100_000,
        memory: Size::mib(16),
        outputs: 1_000,
        output_bytes: Size::mib(1),
        // what serde_json reads too, which compares the outputs
        depth: 100,
    }
}

fuzz_target!(|data: &[u8]| {
    let mut halves = data.splitn(2, |byte| *byte == 0);
    let (Some(code), Some(event)) = (halves.next(), halves.next()) else { return };
    let Ok(code) = std::str::from_utf8(code) else { return };
    // the clock gives two runs two answers
    if ["now", "localtime", "strflocaltime", "mktime"].iter().any(|name| code.contains(name)) {
        return;
    }
    with_stack(|| {
        // no folder: a program must not read what lies around
        let Ok(program) = compile(code, Path::new("/nonexistent"), &[]) else { return };
        let args = serde_json::json!({});
        let mut ours = Runner::new(program.clone(), &args, limits());
        let mut theirs = Runner::new(program, &args, limits());
        if theirs.use_engine(Engine::Jaq).is_err() {
            return;
        }
        let Some(our_outcome) = outcome(&mut ours, event, &limits()) else { return };
        let Some(their_outcome) = outcome(&mut theirs, event, &limits()) else { return };
        assert!(
            verdict(&our_outcome, &their_outcome) != Verdict::Different,
            "program: {code}\nevent: {}\nours:\n{our_outcome}jaq:\n{their_outcome}",
            String::from_utf8_lossy(event)
        );
    });
});
