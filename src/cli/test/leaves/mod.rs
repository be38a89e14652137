//! Where each leaf of the inputs goes.
//!
//! For every input and every scalar in it, the scalar is replaced by a [`Sentinel`] and the transform
//! runs again; where the sentinel shows up in the outputs, there the leaf arrives. What arrives nowhere
//! has to be listed, as `dropped` or as `converted`, or it was lost.

mod check;
mod pattern;
mod sentinel;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;

use super::compare::{self, DEPTH, Leaf};
use super::inputs::Inputs;
use super::transform::Transform;
use crate::event::json::{self, Scalar, Tape};
use crate::jq::{Json, Runner, append_to_path};
pub(super) use check::{List, check_lists, compare_file};
use pattern::{Pattern, Step};
use sentinel::Sentinel;

/// Leaves of one input that are followed: the program runs once for each, on the whole input.
const MAX_LEAVES: usize = 5000;

/// Sentinels that are tried until one is found that stands nowhere.
const ATTEMPTS: u64 = 20;

/// Changed paths that a line of the file names.
const MAX_CHANGED: usize = 6;

/// What became of the leaves of all inputs, by their path.
#[derive(Debug, Default)]
pub(super) struct Traced {
    leaves: BTreeMap<Pattern, Fate>,
    /// Leaves that were followed, each input counted.
    pub(super) count: u64,
}

/// What became of the leaves with one path.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// Paths of the outputs at which it arrives.
    arrives: BTreeSet<Pattern>,
    /// The first leaf on which the outputs depend, and that is not found in them; how many there are.
    converted: Option<Example>,
    /// What changes with it.
    changes: BTreeSet<Pattern>,
    /// The first leaf that goes nowhere; how many there are.
    lost: Option<Example>,
}

/// A leaf of an input.
#[derive(Debug, Clone)]
pub(super) struct Example {
    pub(super) input: usize,
    /// `.links[0].rel`
    pub(super) path: String,
    /// What the transform said to the sentinel, if it failed.
    pub(super) error: Option<String>,
    /// Leaves like it.
    pub(super) count: u64,
}

impl Fate {
    /// What the file says of it: where it arrives, what changes with it, and whether it goes nowhere.
    fn line(&self) -> String {
        let mut words: Vec<String> = self.arrives.iter().map(ToString::to_string).collect();
        if self.converted.is_some() {
            match self.changes.len() {
                1..=MAX_CHANGED => words.extend(self.changes.iter().map(|path| format!("~{path}"))),
                _ => words.push("(converted)".to_owned()),
            }
        }
        if self.lost.is_some() && self.converted.is_none() {
            words.push("(dropped)".to_owned());
        }
        words.join(", ")
    }
}

impl Traced {
    /// The lines of the file.
    pub(super) fn text(&self) -> String {
        self.leaves.iter().map(|(path, fate)| format!("{path}\t{}\n", fate.line())).collect()
    }
}

/// Follows every leaf of every input that the transform gives an output for, or says which input has too
/// many of them.
pub(super) fn trace(transform: &Transform, inputs: &Inputs) -> Result<Traced, String> {
    let mut traced = Traced::default();
    let mut runner = transform.runner();
    for number in 0..inputs.events.len() {
        let text = inputs.text(number);
        let Ok(before) = run(transform, &mut runner, inputs, number, text.clone()) else { continue };
        if before.is_empty() {
            continue;
        }
        let mut known = String::from_utf8_lossy(&text).to_lowercase();
        before.iter().for_each(|(_, leaf)| known += &leaf.text.to_lowercase());
        let old: HashMap<(usize, &str), &str> =
            before.iter().map(|(output, leaf)| ((*output, leaf.path.as_str()), leaf.text.as_str())).collect();
        let sources = sources(&text);
        if sources.len() > MAX_LEAVES {
            let (name, count) = (inputs.name(number), sources.len());
            return Err(format!(
                "{name} has {count} leaves, more than the {MAX_LEAVES} that can be followed: \
                 give it shorter lists, or make several inputs of it"
            ));
        }
        for source in sources {
            let json = &text[source.start..source.end];
            let made =
                (0..ATTEMPTS).map_while(|attempt| Sentinel::of(source.kind, json, &source.path, attempt));
            let mut made = made.skip_while(|made| made.occurs_in(&known));
            let Some(sentinel) = made.next() else { continue };
            traced.count += 1;
            let changed = [&text[..source.start], sentinel.json.as_bytes(), &text[source.end..]].concat();
            let after = run(transform, &mut runner, inputs, number, changed.into());
            let fate = traced.leaves.entry(Pattern::of_path(&source.path)).or_default();
            let example = |error| Example { input: number, path: source.path.clone(), error, count: 0 };
            let after = match after {
                Ok(after) => after,
                Err(error) => {
                    fate.converted.get_or_insert_with(|| example(Some(error))).count += 1;
                    continue;
                }
            };
            let before_at = |output: usize, leaf: &Leaf| old.get(&(output, leaf.path.as_str())).copied();
            let mut arrived = false;
            let mut changes = BTreeSet::new();
            for (output, leaf) in &after {
                let before = before_at(*output, leaf);
                if before == Some(leaf.text.as_str()) {
                    continue;
                }
                let is_here = sentinel.is_in(&leaf.text.to_lowercase())
                    || before.is_some_and(|before| sentinel.explains(before, &leaf.text));
                if is_here || sentinel.is_in(&leaf.path.to_lowercase()) {
                    arrived = true;
                    fate.arrives.insert(without(Pattern::of_path(&leaf.path), &sentinel));
                } else {
                    changes.insert(Pattern::of_path(&leaf.path));
                }
            }
            let is_same = before == after;
            if !arrived && !is_same {
                let new: HashSet<(usize, &str)> =
                    after.iter().map(|(output, leaf)| (*output, leaf.path.as_str())).collect();
                let gone =
                    before.iter().filter(|(output, leaf)| !new.contains(&(*output, leaf.path.as_str())));
                changes.extend(gone.map(|(_, leaf)| Pattern::of_path(&leaf.path)));
                fate.changes.append(&mut changes);
                fate.converted.get_or_insert_with(|| example(None)).count += 1;
            } else if is_same {
                fate.lost.get_or_insert_with(|| example(None)).count += 1;
            }
        }
    }
    Ok(traced)
}

/// A path in which the sentinel itself is no name, but any.
fn without(path: Pattern, sentinel: &Sentinel) -> Pattern {
    let steps = path.0.into_iter().map(|step| match step {
        Step::Member(name) if sentinel.is_in(&name.to_lowercase()) => Step::Any,
        step => step,
    });
    Pattern(steps.collect())
}

/// The leaves of all outputs for a text, each with the number of its output.
fn run(
    transform: &Transform,
    runner: &mut Runner,
    inputs: &Inputs,
    number: usize,
    text: Bytes,
) -> Result<Vec<(usize, Leaf)>, String> {
    let mut event = Json::parse(text, DEPTH).map_err(|error| error.to_string())?;
    let outputs =
        transform.run(runner, &mut event, &inputs.meta(number)).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for (output, mut json) in outputs.into_iter().enumerate() {
        found.extend(compare::leaves(json.view()).into_iter().map(|leaf| (output, leaf)));
    }
    Ok(found)
}

/// A scalar of an input.
struct Source {
    kind: Scalar,
    /// `.links[0].rel`
    path: String,
    start: usize,
    end: usize,
}

/// All scalars of a JSON text.
fn sources(text: &[u8]) -> Vec<Source> {
    let mut finder = Finder { text, path: String::new(), levels: Vec::new(), found: Vec::new() };
    match json::scan(text, DEPTH, &mut finder) {
        Ok(()) => finder.found,
        Err(_) => Vec::new(),
    }
}

struct Finder<'t> {
    text: &'t [u8],
    path: String,
    levels: Vec<Level>,
    found: Vec<Source>,
}

struct Level {
    /// Length of the path to it.
    length: usize,
    /// Items so far; `None` for an object.
    items: Option<usize>,
    /// Whether the key of the next value has come.
    has_key: bool,
}

impl Finder<'_> {
    /// A value begins: its place in an array belongs to its path.
    fn enter(&mut self) {
        if let Some(Level { items: Some(items), .. }) = self.levels.last_mut() {
            self.path += &format!("[{items}]");
            *items += 1;
        }
    }

    /// A value has ended.
    fn leave(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.has_key = false;
            self.path.truncate(level.length);
        }
    }
}

impl Tape for Finder<'_> {
    fn scalar(&mut self, kind: Scalar, start: usize, end: usize) {
        if let Some(level) = self.levels.last_mut()
            && level.items.is_none()
            && !level.has_key
        {
            level.has_key = true;
            let key: String = serde_json::from_slice(&self.text[start..end]).unwrap_or_default();
            append_to_path(&mut self.path, &key);
            return;
        }
        self.enter();
        let path = if self.path.is_empty() { ".".to_owned() } else { self.path.clone() };
        self.found.push(Source { kind, path, start, end });
        self.leave();
    }

    fn open(&mut self, is_object: bool, _: usize) {
        self.enter();
        let length = self.path.len();
        self.levels.push(Level { length, items: (!is_object).then_some(0), has_key: false });
    }

    fn close(&mut self, _: usize) {
        self.levels.pop();
        self.leave();
    }

    fn line_break(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scalar_has_its_path() {
        let text = br#"{"a":[1,{"b c":true},[]],"d":{"e":null,"f":"x"}}"#;
        let found: Vec<_> = sources(text)
            .iter()
            .map(|source| {
                format!("{}={}", source.path, String::from_utf8_lossy(&text[source.start..source.end]))
            })
            .collect();
        assert_eq!(found, [".a[0]=1", ".a[1].\"b c\"=true", ".d.e=null", ".d.f=\"x\""]);
        assert_eq!(sources(b" 7 ")[0].path, ".");
    }
}
