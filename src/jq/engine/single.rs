//! Terms of at most one output whose evaluation is a function of its own: so the one that evaluates all
//! kinds stays small.

use super::code::{Kind, Outputs, Step, StepKind, Term, TextPart};
use super::eval::{In, Machine, compute, insert, place, text};
use super::native::Native;
use super::steps::has_many_keys;
use crate::jq::budget;
use crate::jq::syntax::Binary;
use crate::jq::value::{self, Exn, Obj, Str, Val};

impl<'p> Machine<'p> {
    /// `a + b + …`. Operands are evaluated from the last to the first, and added from the first on.
    pub(super) fn sum(&mut self, term: &'p Term, frame: usize, input: In<'_>) -> Result<Option<Val>, Exn> {
        let mut operands = Vec::with_capacity(8);
        let mut room = 0;
        let mut at = term;
        while let Kind::Binary(Binary::Add, left, right) = &at.kind {
            let Some(value) = self.maybe(right, frame, input.lend())? else { return Ok(None) };
            if let Val::Obj(members) = &value {
                room += members.len();
            }
            operands.push((at, value));
            at = left;
        }
        let Some(mut total) = self.maybe(at, frame, input)? else { return Ok(None) };
        while let Some((at, value)) = operands.pop() {
            total = total.add_own(value, room).map_err(|error| place(error, at))?;
        }
        Ok(Some(total))
    }

    #[inline(never)]
    pub(super) fn native(
        &mut self,
        native: &'static Native,
        args: &'p [Term],
        frame: usize,
        input: In<'_>,
        term: &'p Term,
    ) -> Result<Option<Val>, Exn> {
        budget::at(term.at);
        budget::tick();
        budget::work(input.get().weight());
        let result = match args {
            [] => (native.run)(input.own(), &[]),
            [only] => {
                let Some(only) = self.maybe(only, frame, input.lend())? else { return Ok(None) };
                (native.run)(input.own(), &[only])
            }
            args => {
                let mut values = Vec::with_capacity(args.len());
                // from the last to the first, as jq does
                for arg in args.iter().rev() {
                    match self.maybe(arg, frame, input.lend())? {
                        Some(value) => values.push(value),
                        None => return Ok(None),
                    }
                }
                values.reverse();
                (native.run)(input.own(), &values)
            }
        };
        result.map(Some).map_err(|error| place(error, term))
    }

    #[inline(never)]
    pub(super) fn record(
        &mut self,
        members: &'p [(Str, Term)],
        is_pruned: bool,
        frame: usize,
        input: &Val,
    ) -> Result<Option<Val>, Exn> {
        let mut entries = Vec::with_capacity(members.len());
        for (key, value) in members {
            let value = self.one(value, frame, In::Ref(input))?;
            if !(is_pruned && matches!(value, Val::Null)) {
                entries.push((key.clone(), value));
            }
        }
        Ok(Some(Val::obj(Obj::from_distinct(entries))))
    }

    #[inline(never)]
    pub(super) fn object(
        &mut self,
        members: &'p [(Term, Term)],
        frame: usize,
        input: &Val,
        term: &'p Term,
    ) -> Result<Option<Val>, Exn> {
        let mut object = Obj::new();
        for (key, value) in members {
            let Some(key) = self.maybe(key, frame, In::Ref(input))? else { return Ok(None) };
            let Some(value) = self.maybe(value, frame, In::Ref(input))? else { return Ok(None) };
            insert(&mut object, key, value).map_err(|error| place(error, term))?;
        }
        Ok(Some(Val::obj(object)))
    }

    #[inline(never)]
    pub(super) fn interpolated(
        &mut self,
        format: Option<super::code::Format>,
        parts: &'p [TextPart],
        frame: usize,
        input: &Val,
        term: &'p Term,
    ) -> Result<Option<Val>, Exn> {
        // from the last part to the first, as jq does: that is where an error shows
        let mut values = Vec::with_capacity(parts.len());
        for part in parts.iter().rev() {
            if let TextPart::Term(inner) = part {
                match self.maybe(inner, frame, In::Ref(input))? {
                    Some(value) => values.push(value),
                    None => return Ok(None),
                }
            }
        }
        text(format, parts, values).map(Some).map_err(|error| place(error, term))
    }

    /// Assignments of all kinds.
    #[inline(never)]
    pub(super) fn updated(
        &mut self,
        term: &'p Term,
        frame: usize,
        input: In<'_>,
    ) -> Result<Option<Val>, Exn> {
        let (path, value) = match &term.kind {
            Kind::Assign(path, value) | Kind::Arithmetic(_, path, value) | Kind::Default(path, value) => {
                (path, value)
            }
            Kind::Update(path, body) => {
                let updated = self.update(path, frame, input.own(), &mut |this, value| {
                    this.first(body, frame, In::Own(value))
                });
                return updated.map(Some);
            }
            _ => return Ok(None),
        };
        let Some(value) = self.maybe(value, frame, input.lend())? else { return Ok(None) };
        let updated = self.update(path, frame, input.own(), &mut |_, old| match &term.kind {
            Kind::Arithmetic(operator, ..) => {
                compute(*operator, old, &value).map(Some).map_err(|error| place(error, term))
            }
            Kind::Default(..) if old.is_truthy() => Ok(Some(old)),
            _ => Ok(Some(value.clone())),
        });
        updated.map(Some)
    }

    /// The first output of `then`, which has at most one, for the outputs of `source`. What many programs
    /// look for among a few terms or items is found without calling back.
    pub(super) fn first_through(
        &mut self,
        source: &'p Term,
        then: &'p Term,
        frame: usize,
        input: In<'_>,
    ) -> Result<Option<Val>, Exn> {
        match &source.kind {
            Kind::Comma(terms) if terms.iter().all(|term| term.outputs.get() != Outputs::Many) => {
                for term in terms {
                    let Some(value) = self.maybe(term, frame, input.lend())? else { continue };
                    let found = self.maybe(then, frame, In::Own(value))?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Ok(None)
            }
            Kind::Path(head, steps) if iterates_last(head, steps) => {
                let Some((last, before)) = steps.split_last() else { return Ok(None) };
                let whole = match before {
                    [] => self.maybe(head, frame, input.lend())?,
                    before => self.path(head, before, frame, input.get())?,
                };
                let Some(whole) = whole else { return Ok(None) };
                if !(whole.is_array() || whole.is_object()) {
                    return match last.is_optional {
                        true => Ok(None),
                        false => Err(value::no_iteration(&whole).at(last.at)),
                    };
                }
                budget::at(last.at);
                match &whole {
                    Val::Arr(items) => self.first_of_items(items.iter().cloned(), then, frame),
                    Val::Raw(raw) if !raw.is_object() => self.first_of_items(raw.children(), then, frame),
                    other => {
                        let Some(members) = other.as_members() else { return Ok(None) };
                        self.first_of_items(members.iter().map(|(_, value)| value.clone()), then, frame)
                    }
                }
            }
            _ => self.first_of(|this, out| {
                this.each(source, frame, input, &mut |this, value| match this.maybe(
                    then,
                    frame,
                    In::Own(value),
                )? {
                    Some(value) => out(this, value),
                    None => Ok(()),
                })
            }),
        }
    }

    fn first_of_items(
        &mut self,
        items: impl Iterator<Item = Val>,
        then: &'p Term,
        frame: usize,
    ) -> Result<Option<Val>, Exn> {
        for item in items {
            budget::tick();
            let found = self.maybe(then, frame, In::Own(item))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Whether a path has many outputs by its last step only, a `[]`.
fn iterates_last(head: &Term, steps: &[Step]) -> bool {
    let is_iterate = |step: &Step| matches!(step.kind, StepKind::Iterate);
    head.outputs.get() != Outputs::Many
        && steps.split_last().is_some_and(|(last, before)| {
            is_iterate(last) && !before.iter().any(|step| is_iterate(step) || has_many_keys(step))
        })
}
