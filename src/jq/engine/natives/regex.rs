//! Regular expressions, compiled once for each thread.
//!
//! Patterns of the `regex` crate run in linear time. What it does not have (look-around, back
//! references) is matched by backtracking within a bound on its steps.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use fancy_regex::RegexBuilder as FancyBuilder;
use regex::RegexBuilder;

use super::super::native::{Native, native};
use crate::jq::value::{Exn, Obj, Raised, Str, Val};
use crate::jq::{budget, memory};

/// Compiled patterns that a thread keeps.
const KEPT: usize = 128;

/// Bytes that they may take together. Each may take as much again as [`MAX_LAZY`] while it matches.
const KEPT_BYTES: isize = 8 << 20;

/// Bytes that a pattern may take beyond its own while it matches.
const MAX_LAZY: usize = 256 << 10;

/// Bytes of a text that a pattern may be matched against by backtracking.
const MAX_BACKTRACKED: usize = 64 << 10;

/// Bytes of one compiled pattern.
const MAX_COMPILED: usize = 2 << 20;

/// Bytes of a pattern's text.
const MAX_PATTERN: usize = 64 << 10;

/// Steps of a pattern that needs backtracking.
const MAX_BACKTRACKS: usize = 20_000;

pub(super) const NATIVES: &[Native] = &[
    native("test", 1, |value, args| with_flags(&args[0], |re, flags| test(&value, re, flags))),
    native("test", 2, |value, args| test(&value, &args[0], &args[1])),
    native("_match", 2, |value, args| {
        let matches = find(&value, &args[0], &args[1])?;
        let Val::Str(text) = &value else { return Ok(Val::Null) };
        let mut counter = Counter { text: text.as_str(), bytes: 0, characters: 0 };
        Ok(Val::arr(matches.iter().map(|found| found.to_val(&mut counter)).collect()))
    }),
    native("_capture", 2, |value, args| {
        let matches = find(&value, &args[0], &args[1])?;
        Ok(Val::arr(matches.iter().map(Match::names).collect()))
    }),
    native("_scan", 2, |value, args| {
        let flags = match &args[1] {
            Val::Null => Val::str("g"),
            Val::Str(flags) => Val::string(format!("{}g", flags.as_str())),
            other => other.clone(),
        };
        let matches = find(&value, &args[0], &flags)?;
        Ok(Val::arr(matches.iter().map(Match::scanned).collect()))
    }),
];

fn with_flags(pattern: &Val, run: impl Fn(&Val, &Val) -> Result<Val, Exn>) -> Result<Val, Exn> {
    match pattern {
        Val::Str(_) => run(pattern, &Val::Null),
        other => {
            let items = other.as_items().filter(|items| !items.is_empty());
            let Some(items) = items else {
                return Err(Raised::about(other, format!("{} not a string or array", other.type_name())));
            };
            run(&items[0], items.get(1).unwrap_or(&Val::Null))
        }
    }
}

fn test(value: &Val, pattern: &Val, flags: &Val) -> Result<Val, Exn> {
    let (text, compiled) = prepare(value, pattern, flags)?;
    if compiled.no_empty {
        return Ok(Val::Bool(!find(value, pattern, flags)?.is_empty()));
    }
    budget::work(text.len() / 256);
    match &compiled.engine {
        Engine::Linear(regex) => Ok(Val::Bool(regex.is_match(text.as_str()))),
        Engine::Backtracking(regex) => match regex.is_match(text.as_str()) {
            Ok(found) => Ok(Val::Bool(found)),
            Err(error) => Err(too_hard(pattern, &error)),
        },
    }
}

enum Engine {
    Linear(regex::Regex),
    Backtracking(fancy_regex::Regex),
}

struct Compiled {
    engine: Engine,
    names: Vec<Option<Str>>,
    is_global: bool,
    no_empty: bool,
    /// Bytes that it took to compile.
    bytes: isize,
}

/// A match in a text, in bytes.
pub(in crate::jq::engine) struct Match {
    pub(in crate::jq::engine) start: usize,
    pub(in crate::jq::engine) end: usize,
    groups: Vec<Option<(usize, usize)>>,
    text: Str,
    compiled: Rc<Compiled>,
}

/// Counts characters from match to match, so that a text is walked once.
struct Counter<'t> {
    text: &'t str,
    bytes: usize,
    characters: usize,
}

impl Counter<'_> {
    fn at(&mut self, bytes: usize) -> Val {
        if bytes < self.bytes {
            // a group may begin before the end of the one before it
            return Val::of_usize(self.text[..bytes].chars().count());
        }
        self.characters += self.text[self.bytes..bytes].chars().count();
        self.bytes = bytes;
        Val::of_usize(self.characters)
    }
}

impl Match {
    fn piece(&self, place: Option<(usize, usize)>) -> Val {
        match place {
            Some((start, end)) => Val::str(self.text.as_str().get(start..end).unwrap_or_default()),
            None => Val::Null,
        }
    }

    fn to_val(&self, counter: &mut Counter<'_>) -> Val {
        let length = |piece: &Val| match piece {
            Val::Str(text) => Val::of_usize(text.as_str().chars().count()),
            _ => Val::Int(0),
        };
        let string = self.piece(Some((self.start, self.end)));
        let offset = counter.at(self.start);
        let captures = self.groups.iter().zip(&self.compiled.names).map(|(group, name)| {
            let string = self.piece(*group);
            Val::record([
                ("offset", group.map_or(Val::Int(-1), |(start, _)| counter.at(start))),
                ("length", length(&string)),
                ("string", string),
                ("name", name.clone().map_or(Val::Null, Val::Str)),
            ])
        });
        let captures = Val::arr(captures.collect());
        Val::record([
            ("offset", offset),
            ("length", length(&string)),
            ("string", string),
            ("captures", captures),
        ])
    }

    /// The named groups as an object.
    pub(in crate::jq::engine) fn names(&self) -> Val {
        let mut object = Obj::new();
        for (group, name) in self.groups.iter().zip(&self.compiled.names) {
            if let Some(name) = name {
                object.insert(name.clone(), self.piece(*group));
            }
        }
        Val::obj(object)
    }

    /// The groups as an array, or the match if there are none.
    fn scanned(&self) -> Val {
        if self.groups.is_empty() {
            return self.piece(Some((self.start, self.end)));
        }
        Val::arr(self.groups.iter().map(|group| self.piece(*group)).collect())
    }
}

/// The matches of a pattern: the first, or all with the flag `g`.
pub(in crate::jq::engine) fn find(value: &Val, pattern: &Val, flags: &Val) -> Result<Vec<Match>, Exn> {
    let (text, compiled) = prepare(value, pattern, flags)?;
    let mut found = Vec::new();
    let mut from = 0;
    let whole = text.as_str();
    while from <= whole.len() {
        // the pattern may look at all that is left before it matches or fails
        budget::work(1);
        budget::hurry((whole.len() - from) / 64);
        budget::charge((found.len() + 1) * size_of::<Match>());
        let groups: Vec<Option<(usize, usize)>> = match &compiled.engine {
            Engine::Linear(regex) => match regex.captures_at(whole, from) {
                Some(captures) => captures.iter().map(|group| group.map(|g| (g.start(), g.end()))).collect(),
                None => break,
            },
            Engine::Backtracking(regex) => match regex.captures_from_pos(whole, from) {
                Ok(Some(captures)) => {
                    captures.iter().map(|group| group.map(|g| (g.start(), g.end()))).collect()
                }
                Ok(None) => break,
                Err(error) => return Err(too_hard(pattern, &error)),
            },
        };
        let Some(Some((start, end))) = groups.first().copied() else { break };
        // after an empty match the search goes on one character further
        from = if end > start { end } else { end + whole[end..].chars().next().map_or(1, char::len_utf8) };
        if !(compiled.no_empty && start == end) {
            found.push(Match {
                start,
                end,
                groups: groups[1..].to_vec(),
                text: text.clone(),
                compiled: compiled.clone(),
            });
            if !compiled.is_global {
                break;
            }
        }
    }
    Ok(found)
}

#[cold]
fn too_hard(pattern: &Val, error: &fancy_regex::Error) -> Exn {
    Raised::about(pattern, format!("the regular expression gave up: {error}"))
}

type Cache = HashMap<(Str, Str), Rc<Compiled>>;

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::new(HashMap::new());
}

fn prepare<'v>(value: &'v Val, pattern: &Val, flags: &Val) -> Result<(&'v Str, Rc<Compiled>), Exn> {
    let Val::Str(text) = value else {
        return Err(Raised::typed(value, "cannot be matched, as it is not a string"));
    };
    let Val::Str(source) = pattern else {
        let message = format!(
            "{} ({}) cannot be matched, as it is not a string",
            pattern.type_name(),
            crate::jq::value::clip(pattern, 11)
        );
        return Err(Raised::about(pattern, message));
    };
    let flags = match flags {
        Val::Null => Str::EMPTY,
        Val::Str(flags) => flags.clone(),
        other => return Err(Raised::typed(other, "is not a string")),
    };
    // keys are copied out of the event: it must not live as long as the cache
    let key = (Str::new(source.as_str()), Str::new(flags.as_str()));
    let cached = CACHE.with_borrow(|cache| cache.get(&key).cloned());
    if let Some(compiled) = cached {
        return fitting(text, compiled);
    }
    let held = memory::held();
    let mut compiled = compile(source, &flags)?;
    compiled.bytes = memory::held().wrapping_sub(held);
    let compiled = Rc::new(compiled);
    CACHE.with_borrow_mut(|cache| {
        let bytes: isize = cache.values().map(|compiled| compiled.bytes).sum();
        if cache.len() >= KEPT || bytes + compiled.bytes > KEPT_BYTES {
            cache.clear();
        }
        cache.insert(key, compiled.clone());
    });
    fitting(text, compiled)
}

/// The pattern with its text, unless the text is too long for how the pattern is matched.
fn fitting(text: &Str, compiled: Rc<Compiled>) -> Result<(&Str, Rc<Compiled>), Exn> {
    if matches!(compiled.engine, Engine::Backtracking(_)) && text.len() > MAX_BACKTRACKED {
        let message = format!(
            "a text of more than {} KiB cannot be matched by a pattern with look-around or back references",
            MAX_BACKTRACKED >> 10
        );
        return Err(Raised::about(&Val::Str(text.clone()), message));
    }
    Ok((text, compiled))
}

fn compile(source: &Str, flags: &Str) -> Result<Compiled, Exn> {
    let pattern = source.as_str();
    let (mut is_global, mut no_empty) = (false, false);
    let (mut ignore_case, mut extended, mut dot_all) = (false, false, false);
    for flag in flags.as_str().chars() {
        match flag {
            'g' => is_global = true,
            'i' => ignore_case = true,
            'x' => extended = true,
            'p' => dot_all = true,
            'n' => no_empty = true,
            // matches are leftmost first, and `^` and `$` are the ends of the text, in any case
            's' | 'l' => {}
            _ => {
                return Err(Raised::about(
                    &Val::Str(flags.clone()),
                    format!("{} is not a valid modifier string", flags.as_str()),
                ));
            }
        }
    }
    let refused = |message: String| {
        Raised::about(
            &Val::Str(source.clone()),
            format!("{pattern} (at offset 0) is not a valid regex: {message}"),
        )
    };
    if pattern.len() > MAX_PATTERN {
        return Err(Raised::message(format!("a regular expression of more than {MAX_PATTERN} bytes")));
    }
    budget::work(pattern.len() * 16);
    let linear = RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .ignore_whitespace(extended)
        .dot_matches_new_line(dot_all)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_LAZY)
        .nest_limit(100)
        .build();
    let (engine, names) = match linear {
        Ok(regex) => {
            let names = regex.capture_names().skip(1).map(|name| name.map(Str::new)).collect();
            (Engine::Linear(regex), names)
        }
        Err(regex::Error::CompiledTooBig(limit)) => {
            return Err(refused(format!("it needs more than {limit} bytes when compiled")));
        }
        Err(linear_error) => {
            let regex = FancyBuilder::new(pattern)
                .case_insensitive(ignore_case)
                .ignore_whitespace(extended)
                .dot_matches_new_line(dot_all)
                .backtrack_limit(MAX_BACKTRACKS)
                .delegate_size_limit(MAX_COMPILED)
                .delegate_dfa_size_limit(MAX_LAZY)
                .build()
                .map_err(|_| refused(last_line(&linear_error.to_string())))?;
            let names = regex.capture_names().skip(1).map(|name| name.map(Str::new)).collect();
            (Engine::Backtracking(regex), names)
        }
    };
    Ok(Compiled { engine, names, is_global, no_empty, bytes: 0 })
}

/// The sentence of an error that also draws a picture.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or(message);
    line.trim_start_matches("error: ").to_owned()
}
