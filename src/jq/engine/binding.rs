//! Patterns and the variables they bind, and the loops that bind them again and again.

use super::code::{Fold, Outputs, Pattern, Patterns, Term};
use super::eval::{Entry, In, Machine, Out};
use crate::jq::budget;
use crate::jq::value::{Exn, Raised, Val};

/// What runs once variables are bound.
type Body<'b, 'p> = &'b mut dyn FnMut(&mut Machine<'p>) -> Result<(), Exn>;

/// A member of an object pattern: the variable that is bound to it, its key, what takes it apart.
type MemberPattern = (Option<u32>, Term, Option<Pattern>);

impl<'p> Machine<'p> {
    pub(super) fn reduce(
        &mut self,
        fold: &'p Fold,
        frame: usize,
        input: &Val,
        init: Val,
    ) -> Result<Val, Exn> {
        let mut state = Some(init);
        self.each(&fold.source, frame, In::Ref(input), &mut |this, value| {
            budget::tick();
            this.destructure(&fold.patterns, frame, input, &value, &mut |this| {
                let old = state.take().unwrap_or(Val::Null);
                if fold.update.outputs.get() == Outputs::Many {
                    // of many outputs the last is the state; of none, null
                    this.each(&fold.update, frame, In::Own(old), &mut |_, new| {
                        state = Some(new);
                        Ok(())
                    })
                } else {
                    state = this.maybe(&fold.update, frame, In::Own(old))?;
                    Ok(())
                }
            })
        })?;
        Ok(state.unwrap_or(Val::Null))
    }

    pub(super) fn foreach(
        &mut self,
        fold: &'p Fold,
        extract: Option<&'p Term>,
        frame: usize,
        input: &Val,
        init: Val,
        out: Out<'_, 'p>,
    ) -> Result<(), Exn> {
        let mut state = init;
        self.each(&fold.source, frame, In::Ref(input), &mut |this, value| {
            budget::tick();
            this.destructure(&fold.patterns, frame, input, &value, &mut |this| {
                // without an output the state is null
                let old = std::mem::replace(&mut state, Val::Null);
                this.each(&fold.update, frame, In::Own(old), &mut |this, new| match extract {
                    Some(extract) => {
                        let result = this.each(extract, frame, In::Ref(&new), out);
                        state = new;
                        result
                    }
                    None => {
                        state = new.clone();
                        out(this, new)
                    }
                })?;
                Ok(())
            })
        })
    }

    /// Binds the variables of the first pattern for which neither the matching nor `body` fails.
    pub(super) fn destructure(
        &mut self,
        patterns: &'p Patterns,
        frame: usize,
        dot: &Val,
        value: &Val,
        body: Body<'_, 'p>,
    ) -> Result<(), Exn> {
        if let [Pattern::Var(slot)] = patterns.patterns.as_slice() {
            let before = self.replace(frame, *slot, Entry::Val(value.clone()));
            let result = body(self);
            self.replace(frame, *slot, before);
            return result;
        }
        let before: Vec<_> =
            patterns.slots.iter().map(|slot| self.replace(frame, *slot, Entry::Val(Val::Null))).collect();
        let mut result = Ok(());
        for (at, pattern) in patterns.patterns.iter().enumerate() {
            for slot in &patterns.slots {
                self.replace(frame, *slot, Entry::Val(Val::Null));
            }
            result = self.bind(&[(pattern, value.clone())], frame, dot, body);
            let is_last = at + 1 == patterns.patterns.len();
            match &result {
                Err(error) if error.is_error() && !is_last => {}
                _ => break,
            }
        }
        for (slot, entry) in patterns.slots.iter().zip(before) {
            self.replace(frame, *slot, entry);
        }
        result
    }

    /// Binds the first of the patterns in `todo`, then the others, then runs `body`. The key of a
    /// member may have many outputs.
    pub(super) fn bind(
        &mut self,
        todo: &[(&'p Pattern, Val)],
        frame: usize,
        dot: &Val,
        body: Body<'_, 'p>,
    ) -> Result<(), Exn> {
        let Some(((pattern, value), rest)) = todo.split_first() else { return body(self) };
        match pattern {
            Pattern::Var(slot) => {
                self.replace(frame, *slot, Entry::Val(value.clone()));
                self.bind(rest, frame, dot, body)
            }
            Pattern::Array(items) => {
                let mut inner = Vec::with_capacity(items.len() + rest.len());
                for (at, item) in items.iter().enumerate() {
                    inner.push((item, value.index(&Val::of_usize(at))?));
                }
                inner.extend(rest.iter().cloned());
                self.bind(&inner, frame, dot, body)
            }
            Pattern::Object(members) => self.bind_members(members, value, rest, frame, dot, body),
        }
    }

    pub(super) fn bind_members(
        &mut self,
        members: &'p [MemberPattern],
        value: &Val,
        rest: &[(&'p Pattern, Val)],
        frame: usize,
        dot: &Val,
        body: Body<'_, 'p>,
    ) -> Result<(), Exn> {
        let Some(((variable, key, inner), others)) = members.split_first() else {
            return self.bind(rest, frame, dot, body);
        };
        self.each(key, frame, In::Ref(dot), &mut |this, key_value| {
            if !matches!(key_value, Val::Str(_)) {
                let message = format!("Cannot index {} with {}", value.type_name(), key_value.type_name());
                return Err(Raised::about(value, message).at(key.at));
            }
            let member = value.index(&key_value).map_err(|error| error.at(key.at))?;
            if let Some(slot) = variable {
                this.replace(frame, *slot, Entry::Val(member.clone()));
            }
            match inner {
                Some(inner) => this.bind(&[(inner, member)], frame, dot, &mut |this| {
                    this.bind_members(others, value, rest, frame, dot, body)
                }),
                None => this.bind_members(others, value, rest, frame, dot, body),
            }
        })
    }
}
