//! The functions that take terms and that the evaluator knows itself.

use super::code::{Kind, Outputs, Special, Term};
use super::eval::{In, Machine, Out, ended, place};
use super::natives::regex;
use super::paths::Trail;
use crate::jq::budget;
use crate::jq::syntax::Binary;
use crate::jq::value::{self, Cause, Exn, Obj, Raised, Str, Val};

impl<'p> Machine<'p> {
    /// A special that has at most one output.
    pub(super) fn special(
        &mut self,
        special: Special,
        args: &'p [Term],
        frame: usize,
        input: In<'_>,
        term: &'p Term,
    ) -> Result<Option<Val>, Exn> {
        budget::at(term.at);
        budget::tick();
        match special {
            Special::Empty => Ok(None),
            Special::Error => {
                let value = match args.first() {
                    Some(message) => match self.first(message, frame, input.lend())? {
                        Some(value) => value,
                        None => return Ok(None),
                    },
                    None => input.get().clone(),
                };
                // the message is the author's: nothing is added but its place
                Err(place(Raised::error(value), term))
            }
            Special::First => self.first(&args[0], frame, input),
            Special::Last => {
                let mut last = None;
                self.each(&args[0], frame, input, &mut |_, value| {
                    last = Some(value);
                    Ok(())
                })?;
                Ok(last)
            }
            Special::Any => self.any(args, frame, input.get(), true).map(|found| Some(Val::Bool(found))),
            Special::All => self.any(args, frame, input.get(), false).map(|found| Some(Val::Bool(!found))),
            Special::IsEmpty => Ok(Some(Val::Bool(self.first(&args[0], frame, input)?.is_none()))),
            Special::Walk => self.walk(&args[0], frame, input.own()),
            Special::Del => {
                let mut paths = Vec::new();
                self.paths(&args[0], frame, &Trail::Root, In::Ref(input.get()), &mut |_, trail, value| {
                    paths.push(trail.to_keys(&value)?);
                    Ok(())
                })?;
                super::delete::delete(input.own(), paths).map(Some).map_err(|error| place(error, term))
            }
            Special::GetPath => {
                let Some(path) = self.maybe(&args[0], frame, input.lend())? else { return Ok(None) };
                get_path(input.get(), &path).map(Some).map_err(|error| place(error, term))
            }
            Special::Path | Special::Limit | Special::Skip | Special::Range | Special::Sub => {
                self.first_of(|this, out| this.specials(special, args, frame, input, term, out))
            }
        }
    }

    /// A special of many outputs.
    pub(super) fn specials(
        &mut self,
        special: Special,
        args: &'p [Term],
        frame: usize,
        input: In<'_>,
        term: &'p Term,
        out: Out<'_, 'p>,
    ) -> Result<(), Exn> {
        budget::at(term.at);
        match special {
            Special::Path => {
                self.paths(&args[0], frame, &Trail::Root, In::Ref(input.get()), &mut |this, trail, value| {
                    let keys = trail.to_keys(&value).map_err(|error| place(error, term))?;
                    out(this, Val::arr(keys))
                })
            }
            Special::Limit => self.each(&args[0], frame, input.lend(), &mut |this, count| {
                let mut left = counter(&count, "limit").map_err(|error| place(error, term))?;
                if left == 0 {
                    return Ok(());
                }
                let label = this.fresh_label();
                let result = this.each(&args[1], frame, input.lend(), &mut |this, value| {
                    left -= 1;
                    out(this, value)?;
                    if left == 0 { Err(Raised::new(Cause::Break(label))) } else { Ok(()) }
                });
                ended(result, label)
            }),
            Special::Skip => self.each(&args[0], frame, input.lend(), &mut |this, count| {
                let mut left = counter(&count, "skip").map_err(|error| place(error, term))?;
                this.each(&args[1], frame, input.lend(), &mut |this, value| {
                    if left > 0 {
                        left -= 1;
                        return Ok(());
                    }
                    out(this, value)
                })
            }),
            Special::Range => {
                let (Some(from), Some(to), Some(by)) = (
                    self.maybe(&args[0], frame, input.lend())?,
                    self.maybe(&args[1], frame, input.lend())?,
                    self.maybe(&args[2], frame, input.lend())?,
                ) else {
                    return Ok(());
                };
                self.range(from, &to, &by, term, out)
            }
            Special::Sub => self.substitute(args, frame, input.get(), term, out),
            Special::Walk => self.each_walk(&args[0], frame, input.own(), out),
            Special::GetPath => self.each(&args[0], frame, input.lend(), &mut |this, path| {
                let value = get_path(input.get(), &path).map_err(|error| place(error, term))?;
                out(this, value)
            }),
            _ => match self.special(special, args, frame, input, term)? {
                Some(value) => out(self, value),
                None => Ok(()),
            },
        }
    }

    fn range(&mut self, from: Val, to: &Val, by: &Val, term: &'p Term, out: Out<'_, 'p>) -> Result<(), Exn> {
        if let (Val::Int(from), Val::Int(to), Val::Int(by)) = (&from, to, by) {
            let (mut at, to, by) = (*from, *to, *by);
            while (by > 0 && at < to) || (by < 0 && at > to) {
                budget::tick();
                out(self, Val::Int(at))?;
                match at.checked_add(by) {
                    Some(next) => at = next,
                    None => break,
                }
            }
            return Ok(());
        }
        if [&from, to, by].into_iter().any(|bound| bound.as_f64().is_none()) {
            return Err(place(Raised::message("Range bounds must be numeric"), term));
        }
        let up = value::less(&Val::Int(0), by);
        let down = value::less(by, &Val::Int(0));
        let mut at = from;
        while (up && value::less(&at, to)) || (down && value::less(to, &at)) {
            budget::tick();
            let next = at.clone().add(by)?;
            // an addend too small to count would never end: it is stopped by its steps
            out(self, std::mem::replace(&mut at, next))?;
        }
        Ok(())
    }

    /// Whether for some output of the first argument some output of the second is true (or, if not
    /// `wanted`, false).
    fn any(&mut self, args: &'p [Term], frame: usize, input: &Val, wanted: bool) -> Result<bool, Exn> {
        let mut found = false;
        let label = self.fresh_label();
        let result = self.each(&args[0], frame, In::Ref(input), &mut |this, item| {
            budget::tick();
            let mut look = |is_true: bool| {
                if is_true == wanted {
                    found = true;
                    return Err(Raised::new(Cause::Break(label)));
                }
                Ok(())
            };
            if args[1].outputs.get() != Outputs::Many {
                return this.verdict(&args[1], frame, &item)?.map_or(Ok(()), look);
            }
            this.each(&args[1], frame, In::Own(item), &mut |_, verdict| look(verdict.is_truthy()))
        });
        ended(result, label)?;
        Ok(found)
    }

    /// `walk(f)` for an `f` of at most one output. What `f` leaves as it is stays as it was written.
    fn walk(&mut self, term: &'p Term, frame: usize, value: Val) -> Result<Option<Val>, Exn> {
        if term.outputs.get() == Outputs::Many {
            return self.first_of(|this, out| this.each_walk(term, frame, value, out));
        }
        budget::tick();
        let walked = match value {
            Val::Raw(_) | Val::Obj(_) if value.is_object() => {
                let Some(members) = value.as_members() else { return Ok(None) };
                let mut changed: Option<Vec<(Str, Val)>> = None;
                for (at, (key, member)) in members.iter().enumerate() {
                    let walked = self.walk(term, frame, member.clone())?;
                    let is_same = walked.as_ref().is_some_and(|walked| walked.is_same(member));
                    if changed.is_none() && !is_same {
                        changed = Some(members.iter().take(at).cloned().collect());
                    }
                    if let (Some(changed), Some(walked)) = (&mut changed, walked) {
                        changed.push((key.clone(), walked));
                    }
                }
                changed.map_or(value, |members| Val::obj(Obj::from_distinct(members)))
            }
            Val::Raw(_) | Val::Arr(_) => {
                let Some(items) = value.as_items() else { return Ok(None) };
                let mut changed: Option<Vec<Val>> = None;
                for (at, item) in items.iter().enumerate() {
                    let walked = self.walk(term, frame, item.clone())?;
                    let is_same = walked.as_ref().is_some_and(|walked| walked.is_same(item));
                    if changed.is_none() && !is_same {
                        changed = Some(items[..at].to_vec());
                    }
                    if let (Some(changed), Some(walked)) = (&mut changed, walked) {
                        changed.push(walked);
                    }
                }
                changed.map_or(value, Val::arr)
            }
            scalar => scalar,
        };
        self.maybe(term, frame, In::Own(walked))
    }

    /// `walk(f)` for any `f`: all outputs for the items of an array, the first for a member.
    fn each_walk(&mut self, term: &'p Term, frame: usize, value: Val, out: Out<'_, 'p>) -> Result<(), Exn> {
        budget::tick();
        let walked = if value.is_object() {
            let Some(members) = value.as_members() else { return Ok(()) };
            let mut kept = Vec::with_capacity(members.len());
            for (key, member) in members.iter() {
                if let Some(walked) = self.walk(term, frame, member.clone())? {
                    kept.push((key.clone(), walked));
                }
            }
            Val::obj(Obj::from_distinct(kept))
        } else if value.is_array() {
            let mut items = Vec::new();
            value.for_each_child(|child| {
                self.each_walk(term, frame, child, &mut |_, value| {
                    items.push(value);
                    Ok(())
                })
            })?;
            Val::arr(items)
        } else {
            value
        };
        self.each(term, frame, In::Own(walked), out)
    }

    /// `sub` and `gsub`: with several outputs of the replacement, as many results.
    fn substitute(
        &mut self,
        args: &'p [Term],
        frame: usize,
        input: &Val,
        term: &'p Term,
        out: Out<'_, 'p>,
    ) -> Result<(), Exn> {
        let (Some(pattern), Some(flags)) =
            (self.maybe(&args[0], frame, In::Ref(input))?, self.maybe(&args[2], frame, In::Ref(input))?)
        else {
            return Ok(());
        };
        let found = regex::find(input, &pattern, &flags).map_err(|error| place(error, term))?;
        let Val::Str(text) = input else { return Ok(()) };
        let text = text.as_str();
        let mut results: Vec<Val> = Vec::new();
        let mut previous = 0;
        for edit in found {
            let gap = Val::str(text.get(previous..edit.start).unwrap_or_default());
            let mut number = 0;
            self.each(&args[1], frame, In::Own(edit.names()), &mut |_, insert| {
                if number == results.len() {
                    results.push(Val::Null);
                }
                let before = std::mem::replace(&mut results[number], Val::Null);
                let piece = gap.clone().add(&insert).map_err(|error| place(error, term))?;
                results[number] = before.add(&piece).map_err(|error| place(error, term))?;
                number += 1;
                Ok(())
            })?;
            previous = edit.end;
        }
        if results.is_empty() {
            return out(self, input.clone());
        }
        let rest = Val::str(text.get(previous..).unwrap_or_default());
        for result in results {
            let whole = result.add(&rest).map_err(|error| place(error, term))?;
            out(self, whole)?;
        }
        Ok(())
    }

    /// `with_entries(select(keep))` with the key and value of the entry in two slots.
    pub(super) fn entries(
        &mut self,
        key_slot: u32,
        value_slot: u32,
        keep: &'p Term,
        frame: usize,
        input: Val,
        term: &'p Term,
    ) -> Result<Val, Exn> {
        budget::at(term.at);
        let is_null_check = is_not_null(keep, value_slot);
        let mut input = input;
        if let (true, Val::Obj(object)) = (is_null_check, &mut input)
            && let Some(members) = std::rc::Rc::get_mut(object)
        {
            // nobody else has it: it is changed where it is
            budget::work(members.len());
            if members.iter().any(|(_, value)| matches!(value, Val::Null)) {
                members.retain(|_, value| !matches!(value, Val::Null));
            }
            return Ok(input);
        }
        let Some(members) = input.as_members() else {
            return self.indexed_entries(key_slot, value_slot, keep, frame, &input, term);
        };
        budget::work(members.len());
        let mut kept: Option<Vec<(Str, Val)>> = None;
        for (at, (name, member)) in members.iter().enumerate() {
            let is_kept = if is_null_check {
                !matches!(member, Val::Null)
            } else {
                self.entry_verdict(key_slot, value_slot, keep, frame, Val::Str(name.clone()), member.clone())?
            };
            match (&mut kept, is_kept) {
                (None, true) => {}
                (None, false) => {
                    let mut before = Vec::with_capacity(members.len());
                    before.extend(members[..at].iter().cloned());
                    kept = Some(before);
                }
                (Some(kept), true) => kept.push((name.clone(), member.clone())),
                (Some(_), false) => {}
            }
        }
        Ok(match kept {
            None => input,
            Some(kept) => Val::obj(Obj::from_distinct(kept)),
        })
    }

    fn entry_verdict(
        &mut self,
        key_slot: u32,
        value_slot: u32,
        keep: &'p Term,
        frame: usize,
        key: Val,
        value: Val,
    ) -> Result<bool, Exn> {
        let verdict = self.with_slot(frame, key_slot, key, |this| {
            this.with_slot(frame, value_slot, value, |this| this.verdict(keep, frame, &Val::Null))
        })?;
        Ok(verdict.unwrap_or(false))
    }

    /// The same for an array, whose keys are numbers: what is kept cannot be a member.
    fn indexed_entries(
        &mut self,
        key_slot: u32,
        value_slot: u32,
        keep: &'p Term,
        frame: usize,
        input: &Val,
        term: &'p Term,
    ) -> Result<Val, Exn> {
        let Some(items) = input.as_items() else { return Err(place(super::natives::no_keys(input), term)) };
        for (at, item) in items.iter().enumerate() {
            let key = Val::of_usize(at);
            if self.entry_verdict(key_slot, value_slot, keep, frame, key.clone(), item.clone())? {
                let message = format!("Cannot use number ({at}) as object key");
                return Err(place(Raised::about(&key, message), term));
            }
        }
        Ok(Val::record([]))
    }
}

/// Whether a condition is `.value != null` of the entry in `slot`.
pub(super) fn is_not_null(keep: &Term, slot: u32) -> bool {
    let Kind::Binary(Binary::NotEqual, left, right) = &keep.kind else { return false };
    let is_value = matches!(&left.kind, Kind::Var(var) if (var.up, var.slot) == (0, slot));
    is_value && matches!(right.as_const(), Some(Val::Null))
}

/// The count of `limit` and `skip`.
fn counter(count: &Val, name: &str) -> Result<u64, Exn> {
    match count.as_f64() {
        Some(n) if n < 0.0 => value::raise(format!("{name} doesn't support negative count")),
        Some(n) => Ok(n.ceil() as u64),
        None => Err(Raised::typed(count, format!("cannot be the count of {name}"))),
    }
}

/// `getpath`: what is below null is null.
pub(super) fn get_path(value: &Val, path: &Val) -> Result<Val, Exn> {
    let Some(keys) = path.as_items() else { return value::raise("Path must be specified as an array") };
    let mut at = value.clone();
    for key in keys.iter() {
        if matches!(at, Val::Null) {
            return Ok(Val::Null);
        }
        at = at.index(key)?;
    }
    Ok(at)
}
