//! Assignments and deletions.
//!
//! jq defines `p |= f` by the paths of `p`: each is read, mapped and written in turn, and those for
//! which `f` has no output are deleted at the end. Where every place is reached once, walking down
//! and rebuilding on the way up comes to the same and needs no paths; any other `p` is done as
//! defined.

use std::collections::HashSet;

use super::code::{Kind, Special, Step, StepKind, Term};
use super::eval::{In, Machine};
use super::paths::Trail;
use super::steps::has_many_keys;
use crate::jq::budget;
use crate::jq::value::{self, Exn, Obj, Str, Val};

/// What became of a place.
enum Updated {
    /// Nothing changed.
    Same(Val),
    New(Val),
    /// There was no output: the place is to go.
    Gone,
}

impl Updated {
    fn of(output: Option<Val>) -> Self {
        output.map_or(Updated::Gone, Updated::New)
    }

    /// What is there now, if anything is.
    fn into_output(self) -> Option<Val> {
        match self {
            Updated::Same(value) | Updated::New(value) => Some(value),
            Updated::Gone => None,
        }
    }
}

pub(super) type Map<'m, 'p> = &'m mut dyn FnMut(&mut Machine<'p>, Val) -> Result<Option<Val>, Exn>;

impl<'p> Machine<'p> {
    /// The input with `map` applied to every place that `path` leads to.
    pub(super) fn update(
        &mut self,
        path: &'p Term,
        frame: usize,
        input: Val,
        map: Map<'_, 'p>,
    ) -> Result<Val, Exn> {
        if is_direct(path) {
            return Ok(self.update_at(path, frame, input, map)?.into_output().unwrap_or(Val::Null));
        }
        let mut paths = Vec::new();
        self.paths(path, frame, &Trail::Root, In::Ref(&input), &mut |_, trail, value| {
            paths.push(trail.to_keys(&value).map_err(|error| error.at(path.at))?);
            Ok(())
        })?;
        let mut value = input;
        let mut gone = Vec::new();
        for keys in paths {
            budget::tick();
            match self.update_keys(&keys, value, map).map_err(|error| error.at(path.at))? {
                (changed, false) => value = changed,
                (changed, true) => {
                    value = changed;
                    gone.push(keys);
                }
            }
        }
        if gone.is_empty() { Ok(value) } else { super::delete::delete(value, gone) }
    }

    /// Maps the value at a path of keys. The flag says that there was no output.
    fn update_keys(&mut self, keys: &[Val], value: Val, map: Map<'_, 'p>) -> Result<(Val, bool), Exn> {
        let Some((key, rest)) = keys.split_first() else {
            let before = value.clone();
            return Ok(match map(self, value)? {
                Some(mapped) => (mapped, false),
                None => (before, true),
            });
        };
        let child = value.index(key)?;
        // the parent lets go of the child, so that it can be changed in place
        let value = if rest.is_empty() || matches!(child, Val::Null) { value } else { release(value, key)? };
        let (child, is_gone) = self.update_keys(rest, child, map)?;
        if is_gone && (rest.is_empty() || matches!(child, Val::Null)) {
            return Ok((value, true));
        }
        Ok((value.with_index(key, child)?, is_gone))
    }

    fn update_at(
        &mut self,
        path: &'p Term,
        frame: usize,
        input: Val,
        map: Map<'_, 'p>,
    ) -> Result<Updated, Exn> {
        match &path.kind {
            Kind::Input => map(self, input).map(Updated::of),
            Kind::Special(Special::Empty, _) => Ok(Updated::Same(input)),
            Kind::Path(head, steps) => {
                // only computed keys look at the whole
                let dot = if steps.iter().any(is_computed) { input.clone() } else { Val::Null };
                if matches!(head.kind, Kind::Input) {
                    return self.update_steps(steps, frame, &dot, input, map);
                }
                self.update_at(head, frame, input, &mut |this, value| {
                    this.update_steps(steps, frame, &dot, value, map).map(Updated::into_output)
                })
            }
            Kind::Pipe(first, second) => self.update_at(first, frame, input, &mut |this, value| {
                this.update_at(second, frame, value, map).map(Updated::into_output)
            }),
            Kind::Comma(terms) => {
                let mut value = input;
                for term in terms {
                    match self.update_at(term, frame, value, map)? {
                        Updated::Same(next) | Updated::New(next) => value = next,
                        Updated::Gone => return Ok(Updated::Gone),
                    }
                }
                Ok(Updated::New(value))
            }
            Kind::If(condition, then, otherwise) => {
                let Some(verdict) = self.maybe(condition, frame, In::Ref(&input))? else {
                    return Ok(Updated::Same(input));
                };
                let holds = verdict.is_truthy();
                self.update_at(if holds { then } else { otherwise }, frame, input, map)
            }
            Kind::Bind(source, slot, body) => {
                let Some(value) = self.maybe(source, frame, In::Ref(&input))? else {
                    return Ok(Updated::Same(input));
                };
                self.with_slot(frame, *slot, value, |this| this.update_at(body, frame, input, map))
            }
            Kind::Mark(sites, inner) => {
                self.code.hit(sites);
                self.update_at(inner, frame, input, map)
            }
            // `is_direct` lets nothing else pass
            _ => Ok(Updated::Same(input)),
        }
    }

    fn update_steps(
        &mut self,
        steps: &'p [Step],
        frame: usize,
        dot: &Val,
        value: Val,
        map: Map<'_, 'p>,
    ) -> Result<Updated, Exn> {
        let Some((step, rest)) = steps.split_first() else {
            return map(self, value).map(Updated::of);
        };
        let is_last = rest.is_empty();
        match &step.kind {
            StepKind::Key(key) => {
                let refusal = match &value {
                    Val::Null => None,
                    other if other.is_object() => None,
                    other => other.member(key).err(),
                };
                if let Some(error) = refusal {
                    return if step.is_optional { Ok(Updated::Same(value)) } else { Err(error.at(step.at)) };
                }
                self.update_member(key, rest, frame, dot, value, map)
            }
            StepKind::Iterate => {
                budget::at(step.at);
                if !(value.is_array() || value.is_object()) {
                    return match step.is_optional {
                        true => Ok(Updated::Same(value)),
                        false => Err(value::no_iteration(&value).at(step.at)),
                    };
                }
                self.update_children(rest, frame, dot, value, map).map(Updated::New)
            }
            StepKind::Index(_) | StepKind::Slice(..) => {
                let mut key = None;
                self.keys(step, frame, dot, &mut |_, value| {
                    key = Some(value);
                    Ok(())
                })?;
                let Some(key) = key else { return Ok(Updated::Same(value)) };
                if let Val::Str(key) = &key
                    && (value.is_object() || matches!(value, Val::Null))
                {
                    return self.update_member(key, rest, frame, dot, value, map);
                }
                let child = match value.index(&key) {
                    Ok(child) => child,
                    Err(error) if step.is_optional && error.is_error() => return Ok(Updated::Same(value)),
                    Err(error) => return Err(error.at(step.at)),
                };
                let value = if matches!(child, Val::Null) { value } else { release(value, &key)? };
                let before = child.clone();
                match self.update_steps(rest, frame, dot, child, map)? {
                    Updated::Same(_) => {
                        if matches!(before, Val::Null) {
                            Ok(Updated::Same(value))
                        } else {
                            value.with_index(&key, before).map(Updated::Same)
                        }
                    }
                    Updated::New(child) => {
                        value.with_index(&key, child).map(Updated::New).map_err(|e| e.at(step.at))
                    }
                    Updated::Gone if matches!(value, Val::Null) => Ok(Updated::Same(value)),
                    Updated::Gone if is_last => value.without(&[key]).map(Updated::New),
                    Updated::Gone => Ok(Updated::Same(value)),
                }
            }
        }
    }

    fn update_member(
        &mut self,
        key: &Str,
        rest: &'p [Step],
        frame: usize,
        dot: &Val,
        value: Val,
        map: Map<'_, 'p>,
    ) -> Result<Updated, Exn> {
        let Val::Obj(mut object) = value.own() else {
            // null: what comes of it is an object, unless nothing does
            return Ok(match self.update_steps(rest, frame, dot, Val::Null, map)? {
                Updated::New(child) => Updated::New(Val::obj(Obj::from_distinct(vec![(key.clone(), child)]))),
                Updated::Same(_) | Updated::Gone => Updated::Same(Val::Null),
            });
        };
        let members = std::rc::Rc::make_mut(&mut object);
        let Some(slot) = members.get_mut(key.as_bytes()) else {
            return Ok(match self.update_steps(rest, frame, dot, Val::Null, map)? {
                Updated::New(child) => {
                    members.insert(key.clone(), child);
                    Updated::New(Val::Obj(object))
                }
                Updated::Same(_) | Updated::Gone => Updated::Same(Val::Obj(object)),
            });
        };
        let child = std::mem::replace(slot, Val::Null);
        let is_absent = matches!(child, Val::Null);
        match self.update_steps(rest, frame, dot, child, map)? {
            Updated::Same(child) => {
                *slot = child;
                Ok(Updated::Same(Val::Obj(object)))
            }
            Updated::New(child) => {
                *slot = child;
                Ok(Updated::New(Val::Obj(object)))
            }
            Updated::Gone => {
                if rest.is_empty() {
                    members.remove(key.as_bytes());
                } else if !is_absent {
                    *slot = Val::Null;
                }
                Ok(Updated::New(Val::Obj(object)))
            }
        }
    }

    fn update_children(
        &mut self,
        rest: &'p [Step],
        frame: usize,
        dot: &Val,
        value: Val,
        map: Map<'_, 'p>,
    ) -> Result<Val, Exn> {
        if value.is_array() {
            let items = value.into_items().unwrap_or_default();
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                budget::tick();
                match self.update_steps(rest, frame, dot, item, map)? {
                    Updated::Same(item) | Updated::New(item) => kept.push(item),
                    Updated::Gone => {}
                }
            }
            return Ok(Val::arr(kept));
        }
        let Val::Obj(mut object) = value.own() else { return Ok(Val::Null) };
        let members = std::rc::Rc::make_mut(&mut object);
        let mut gone = HashSet::new();
        let keys: Vec<Str> = members.iter().map(|(key, _)| key.clone()).collect();
        for (slot, key) in members.values_mut().zip(keys) {
            budget::tick();
            let child = std::mem::replace(slot, Val::Null);
            match self.update_steps(rest, frame, dot, child, map)? {
                Updated::Same(child) | Updated::New(child) => *slot = child,
                Updated::Gone => drop(gone.insert(key)),
            }
        }
        if !gone.is_empty() {
            members.retain(|key, _| !gone.contains(key));
        }
        Ok(Val::Obj(object))
    }
}

/// The value with nothing at `key`, so that what stood there has one owner less.
pub(super) fn release(value: Val, key: &Val) -> Result<Val, Exn> {
    match key {
        Val::Str(_) => value.with_index(key, Val::Null),
        key if key.as_f64().is_some_and(|at| at >= 0.0) => value.with_index(key, Val::Null),
        _ => Ok(value),
    }
}

fn is_computed(step: &Step) -> bool {
    matches!(step.kind, StepKind::Index(_) | StepKind::Slice(..))
}

/// Whether walking down `path` comes to each place once, and what it looks at on the way is what
/// the input had there.
fn is_direct(path: &Term) -> bool {
    let single = |term: &Term| term.outputs.get() != super::code::Outputs::Many;
    match &path.kind {
        Kind::Input | Kind::Special(Special::Empty, _) => true,
        Kind::Path(head, steps) => is_direct(head) && !steps.iter().any(has_many_keys),
        Kind::Pipe(first, second) => is_direct(first) && is_direct(second),
        Kind::If(condition, then, otherwise) => single(condition) && is_direct(then) && is_direct(otherwise),
        Kind::Bind(source, _, body) => single(source) && is_direct(body),
        Kind::Mark(_, inner) => is_direct(inner),
        Kind::Comma(terms) => {
            let paths: Option<Vec<_>> = terms.iter().map(constant_keys).collect();
            paths.is_some_and(|paths| {
                paths.iter().enumerate().all(|(at, path)| {
                    paths[..at].iter().all(|other| !path.starts_with(other) && !other.starts_with(path))
                })
            })
        }
        _ => false,
    }
}

/// The keys of a path that is nothing but constant keys.
fn constant_keys(path: &Term) -> Option<Vec<Str>> {
    let (head, steps) = match &path.kind {
        Kind::Path(head, steps) => (head, steps),
        Kind::Mark(_, inner) => return constant_keys(inner),
        _ => return None,
    };
    let mut keys = match &head.kind {
        Kind::Input => Vec::new(),
        Kind::Path(..) | Kind::Mark(..) => constant_keys(head)?,
        _ => return None,
    };
    for step in steps {
        match &step.kind {
            StepKind::Key(key) if !step.is_optional => keys.push(key.clone()),
            _ => return None,
        }
    }
    Some(keys)
}
