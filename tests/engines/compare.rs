//! What it means that two engines agree on a program and an event. Shared with the fuzz target.

use bytes::Bytes;
use jaquard::jq::{Json, Limits, Reason, Runner, WriteLimits};

/// What a run gave: the outputs before the first error, and that error.
#[derive(Debug)]
pub(crate) struct Outcome {
    outputs: Vec<Vec<u8>>,
    /// Its kind, and its message.
    pub(crate) error: Option<(&'static str, String)>,
}

/// The verdict on two outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// A bound stopped one of them: engines take different numbers of steps to one result.
    Skipped,
    Different,
}

/// Runs a program on the text of an event. None if that is no event within the limits.
pub(crate) fn outcome(runner: &mut Runner, event: &[u8], limits: &Limits) -> Option<Outcome> {
    let mut input = Json::parse(Bytes::copy_from_slice(event), limits.depth).ok()?;
    let bounds = WriteLimits::from(limits);
    let mut outputs = Vec::new();
    let result = runner.run(&mut input, None, &mut |output| {
        let mut text = Vec::new();
        // the runner has measured it, so an error here is one to show
        if let Err(error) = output.write(bounds, &mut text) {
            text = error.to_string().into_bytes();
        }
        outputs.push(text);
        true
    });
    let error = result.err().map(|error| {
        let kind = error.kind();
        (kind, if let Reason::Raised(message) = error.reason { message } else { error.to_string() })
    });
    Some(Outcome { outputs, error })
}

/// Whether two engines came to the same.
pub(crate) fn verdict(ours: &Outcome, theirs: &Outcome) -> Verdict {
    let is_limit = |outcome: &Outcome| matches!(outcome.error, Some(("limit", _)));
    if is_limit(ours) || is_limit(theirs) {
        return Verdict::Skipped;
    }
    let same_outputs = ours.outputs.len() == theirs.outputs.len()
        && ours.outputs.iter().zip(&theirs.outputs).all(|(ours, theirs)| is_same_text(ours, theirs));
    let same_errors = match (&ours.error, &theirs.error) {
        (None, None) => true,
        (Some((kind, message)), Some((their_kind, their_message))) => {
            let is_own_wording = is_worded_by_jaq(message) || is_worded_by_jaq(their_message);
            // a panic is a bug even if both have it
            kind == their_kind && *kind != "panic" && (is_own_wording || message == their_message)
        }
        _ => false,
    };
    if same_outputs && same_errors { Verdict::Same } else { Verdict::Different }
}

/// Whether jaq-core raised it itself, where jq says something else.
fn is_worded_by_jaq(message: &str) -> bool {
    message.starts_with("invalid path expression") || message.starts_with("cannot ")
}

/// Equal texts, or texts of one value: what an engine leaves alone it writes as the event had it,
/// what it rebuilds it writes its own way. Numbers are held against each other as text.
fn is_same_text(one: &[u8], other: &[u8]) -> bool {
    let normal = |text| serde_json::from_slice::<serde_json::Value>(text).map(|value| value.to_string());
    one == other || matches!((normal(one), normal(other)), (Ok(one), Ok(other)) if one == other)
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for output in &self.outputs {
            writeln!(f, "    {}", String::from_utf8_lossy(output))?;
        }
        match &self.error {
            Some((kind, message)) => writeln!(f, "    error ({kind}): {message}"),
            None => writeln!(f, "    end"),
        }
    }
}
