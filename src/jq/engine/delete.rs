//! Deletions: of paths, and downwards where the paths can be followed so.

use super::code::{Doomed, Kind, Outputs, Special, StepKind, Term, type_bit};
use super::eval::Machine;
use super::update::release;
use crate::jq::budget;
use crate::jq::value::{self, Exn, Obj, Str, Type, Val};

/// The value without what stands at `paths`, all meant as the value is now.
pub(super) fn delete(value: Val, paths: Vec<Vec<Val>>) -> Result<Val, Exn> {
    budget::work(paths.len());
    let mut paths = paths;
    paths.sort_by(|a, b| {
        let differing = a.iter().zip(b).map(|(a, b)| value::order(a, b)).find(|order| order.is_ne());
        differing.unwrap_or_else(|| a.len().cmp(&b.len()))
    });
    delete_sorted(value, &paths, 0)
}

fn delete_sorted(value: Val, paths: &[Vec<Val>], depth: usize) -> Result<Val, Exn> {
    value::guard();
    if paths.first().is_some_and(|path| path.len() == depth) {
        return Ok(Val::Null);
    }
    let mut value = value;
    let mut gone = Vec::new();
    let mut rest = paths;
    // from the last key to the first, so that slices before are still where they were
    while let Some(last) = rest.last() {
        let key = &last[depth];
        let start = rest.partition_point(|path| value::order(&path[depth], key).is_lt());
        let group = &rest[start..];
        rest = &rest[..start];
        if group[0].len() == depth + 1 {
            gone.push(key.clone());
            continue;
        }
        let child = value.index(key)?;
        if !matches!(child, Val::Null) {
            value = release(value, key)?;
            let child = delete_sorted(child, group, depth + 1)?;
            value = value.with_index(key, child)?;
        }
    }
    if gone.is_empty() { Ok(value) } else { value.without(&gone) }
}

/// What the paths of a term delete, if they can be followed downwards from the input: keys, children,
/// and values for which a condition holds.
pub(super) fn doomed(paths: Term, below: Doomed) -> Option<Doomed> {
    match paths.kind {
        Kind::Input => Some(below),
        Kind::Path(head, steps) => {
            let mut below = below;
            for step in steps.into_iter().rev() {
                if step.is_optional {
                    return None;
                }
                let mut around = Doomed::default();
                match step.kind {
                    StepKind::Key(key) => around.members.push((key, below)),
                    StepKind::Iterate => around.children = Some(Box::new(below)),
                    StepKind::Index(_) | StepKind::Slice(..) => return None,
                }
                below = around;
            }
            doomed(*head, below)
        }
        Kind::Pipe(first, second) => {
            let below = doomed(*second, below)?;
            doomed(*first, below)
        }
        Kind::Comma(terms) => {
            // what follows would belong to each of them
            if !is_leaf(&below) {
                return None;
            }
            let mut all = Doomed::default();
            for term in terms {
                all.merge(doomed(term, Doomed { whole: true, ..Doomed::default() })?);
            }
            Some(all)
        }
        // `select(condition)`
        Kind::If(condition, then, otherwise)
            if matches!(then.kind, Kind::Input)
                && matches!(otherwise.kind, Kind::Special(Special::Empty, _)) =>
        {
            Some(Doomed { guarded: vec![(*condition, below)], ..Doomed::default() })
        }
        _ => None,
    }
}

fn is_leaf(doomed: &Doomed) -> bool {
    doomed.whole && doomed.members.is_empty() && doomed.children.is_none() && doomed.guarded.is_empty()
}

impl Doomed {
    /// Finds out beforehand what is the same for each value.
    pub(super) fn prepare(&mut self) {
        self.members.iter_mut().for_each(|(_, below)| below.prepare());
        self.children.iter_mut().for_each(|below| below.prepare());
        self.guarded.iter_mut().for_each(|(_, below)| below.prepare());
        self.marks = self.members.iter().map(|(key, _)| value::fingerprint(key.as_bytes())).collect();
        self.is_calm = self.is_clear_at_null();
    }

    /// Whether nothing is to be done and nothing can fail where there is null.
    fn is_clear_at_null(&self) -> bool {
        let mut active = vec![self];
        let mut at = 0;
        while let Some(next) = active.get(at).copied() {
            at += 1;
            for (condition, below) in &next.guarded {
                match verdict_at_null(condition) {
                    Some(true) => active.push(below),
                    Some(false) => {}
                    None => return false,
                }
            }
        }
        let goes_deeper = active.iter().any(|doomed| !doomed.members.is_empty());
        let is_whole = active.iter().any(|doomed| doomed.whole);
        active.iter().all(|doomed| doomed.children.is_none())
            && !(goes_deeper && is_whole)
            && active.iter().flat_map(|doomed| &doomed.members).all(|(_, below)| below.is_calm)
    }

    /// Whether it is nothing but conditions.
    fn is_guard(&self) -> bool {
        !self.whole && self.members.is_empty() && self.children.is_none()
    }

    fn member(&self, mark: u64, key: &[u8]) -> Option<&Doomed> {
        let mut marks = self.marks.iter().zip(&self.members);
        let found = marks.find(|(this, (name, _))| **this == mark && name.as_bytes() == key);
        found.map(|(_, (_, below))| below)
    }
}

/// Whether a condition holds for null, if that is plain to see.
fn verdict_at_null(condition: &Term) -> Option<bool> {
    match &condition.kind {
        Kind::Const(value) => Some(value.is_truthy()),
        Kind::Input => Some(false),
        Kind::Is(types) => Some(types & type_bit(Type::Null) != 0),
        Kind::And(left, right) => match verdict_at_null(left)? {
            true => verdict_at_null(right),
            false => Some(false),
        },
        Kind::Or(left, right) => match verdict_at_null(left)? {
            true => Some(true),
            false => verdict_at_null(right),
        },
        _ => None,
    }
}

/// Members that an object has room for while things are deleted from it.
const USUAL: usize = 16;

/// What became of a value that something of was deleted.
enum Pruned {
    Kept(Val),
    Gone,
    /// Only the general way knows what to do here, an error as a rule.
    Unclear,
}

impl<'p> Machine<'p> {
    /// The value without what is doomed. `None` where the general way has to decide.
    pub(super) fn prune(
        &mut self,
        doomed: &'p Doomed,
        frame: usize,
        value: &Val,
    ) -> Result<Option<Val>, Exn> {
        Ok(match self.prune_all(&[doomed], frame, value)? {
            Pruned::Kept(value) => Some(value),
            Pruned::Gone => Some(Val::Null),
            Pruned::Unclear => None,
        })
    }

    fn prune_all(&mut self, doomed: &[&'p Doomed], frame: usize, value: &Val) -> Result<Pruned, Exn> {
        value::guard();
        if let [only] = doomed
            && only.is_guard()
            && let [(condition, below)] = only.guarded.as_slice()
        {
            // as a rule there is one condition, and the value goes if it holds
            if condition.outputs.get() == Outputs::Many {
                return Ok(Pruned::Unclear);
            }
            return match self.verdict(condition, frame, value) {
                Ok(Some(true)) if is_leaf(below) => Ok(Pruned::Gone),
                Ok(Some(true)) => self.prune_all(&[below], frame, value),
                Ok(_) => Ok(Pruned::Kept(value.clone())),
                Err(error) if error.is_error() => Ok(Pruned::Unclear),
                Err(other) => Err(other),
            };
        }
        let mut active: Vec<&'p Doomed> = Vec::new();
        let mut all = doomed;
        if doomed.iter().any(|doomed| !doomed.guarded.is_empty()) {
            active.extend_from_slice(doomed);
            let mut at = 0;
            while let Some(next) = active.get(at).copied() {
                at += 1;
                for (condition, below) in &next.guarded {
                    if condition.outputs.get() == Outputs::Many {
                        return Ok(Pruned::Unclear);
                    }
                    match self.verdict(condition, frame, value) {
                        Ok(Some(true)) => active.push(below),
                        Ok(_) => {}
                        Err(error) if error.is_error() => return Ok(Pruned::Unclear),
                        Err(other) => return Err(other),
                    }
                }
            }
            all = &active;
        }
        let goes_deeper = all.iter().any(|doomed| !doomed.members.is_empty() || doomed.children.is_some());
        if all.iter().any(|doomed| doomed.whole) {
            // what is deleted below may be an error all the same
            return Ok(if goes_deeper { Pruned::Unclear } else { Pruned::Gone });
        }
        if !goes_deeper {
            return Ok(Pruned::Kept(value.clone()));
        }
        match value {
            Val::Null if all.iter().any(|doomed| doomed.children.is_some()) => Ok(Pruned::Unclear),
            Val::Null => {
                for below in all.iter().flat_map(|doomed| &doomed.members) {
                    if let Pruned::Unclear = self.prune_all(&[&below.1], frame, &Val::Null)? {
                        return Ok(Pruned::Unclear);
                    }
                }
                Ok(Pruned::Kept(Val::Null))
            }
            value if value.is_object() => self.prune_object(all, frame, value),
            value if value.is_array() && all.iter().all(|doomed| doomed.members.is_empty()) => {
                let below: Vec<&'p Doomed> =
                    all.iter().filter_map(|doomed| doomed.children.as_deref()).collect();
                let mut kept = Vec::new();
                let mut is_unclear = false;
                value.for_each_child(|item| {
                    match self.prune_all(&below, frame, &item)? {
                        Pruned::Kept(item) => kept.push(item),
                        Pruned::Gone => {}
                        Pruned::Unclear => is_unclear = true,
                    }
                    Ok(())
                })?;
                Ok(if is_unclear { Pruned::Unclear } else { Pruned::Kept(Val::arr(kept)) })
            }
            _ => Ok(Pruned::Unclear),
        }
    }

    fn prune_object(&mut self, doomed: &[&'p Doomed], frame: usize, value: &Val) -> Result<Pruned, Exn> {
        let wanted: usize = doomed.iter().map(|doomed| doomed.members.len()).sum();
        let mut found = 0;
        let mut kept: Vec<(Str, Val)> = Vec::with_capacity(USUAL);
        let mut outcome = Ok(true);
        let mut below: Vec<&'p Doomed> = Vec::with_capacity(doomed.len() * 2);
        let mut member = |this: &mut Self, key: &[u8], name: &dyn Fn() -> Str, value: &dyn Fn() -> Val| {
            below.clear();
            let mark = value::fingerprint(key);
            for doomed in doomed {
                if let Some(member) = doomed.member(mark, key) {
                    found += 1;
                    below.push(member);
                }
                below.extend(doomed.children.as_deref());
            }
            match below.as_slice() {
                [] => kept.push((name(), value())),
                [only] if is_leaf(only) => {}
                several => match this.prune_all(several, frame, &value()) {
                    Ok(Pruned::Kept(value)) => kept.push((name(), value)),
                    Ok(Pruned::Gone) => {}
                    Ok(Pruned::Unclear) => outcome = Ok(false),
                    Err(error) => outcome = Err(error),
                },
            }
        };
        match value {
            Val::Raw(raw) if !raw.has_duplicates() => {
                raw.for_each_member(|key, name, value| member(self, key, name, value));
            }
            other => {
                let members = other.as_members().unwrap_or_default();
                for (key, value) in members.iter() {
                    member(self, key.as_bytes(), &|| key.clone(), &|| value.clone());
                }
            }
        }
        if !outcome? {
            return Ok(Pruned::Unclear);
        }
        if found < wanted {
            // what is not there is null, and what is below null may be an error
            for (key, below) in doomed.iter().flat_map(|doomed| &doomed.members) {
                if !below.is_calm && matches!(value.member(key)?, Val::Null) {
                    let nothing = self.prune_all(&[below], frame, &Val::Null)?;
                    if matches!(nothing, Pruned::Unclear) {
                        return Ok(Pruned::Unclear);
                    }
                }
            }
        }
        Ok(Pruned::Kept(Val::obj(Obj::from_distinct(kept))))
    }
}
