//! `.a`, `.[i]`, `.[from:to]` and `.[]`.

use super::code::{Kind, Outputs, Step, StepKind, Term};
use super::eval::{In, Machine, Out};
use crate::jq::budget;
use crate::jq::value::{self, Exn, Raised, Slice, Val};

impl<'p> Machine<'p> {
    /// A path of steps that have one output each.
    pub(super) fn path(
        &mut self,
        head: &'p Term,
        steps: &'p [Step],
        frame: usize,
        input: &Val,
    ) -> Result<Option<Val>, Exn> {
        if let Some(value) = self.peek_path(head, steps, frame, input) {
            return Ok(Some(value.clone()));
        }
        let (first, rest) = (&steps[0], &steps[1..]);
        let mut value = match (&first.kind, self.peek(head, frame, input)) {
            // the head lies somewhere: its member is all that is copied
            (StepKind::Key(key), Some(head)) => match head.member(key) {
                Ok(value) => value,
                Err(error) => return optional(Err(error.at(first.at)), first),
            },
            _ => {
                let Some(head) = self.maybe(head, frame, In::Ref(input))? else { return Ok(None) };
                match self.step(first, frame, input, &head) {
                    Ok(Some(value)) => value,
                    other => return optional(other, first),
                }
            }
        };
        for step in rest {
            match self.step(step, frame, input, &value) {
                Ok(Some(next)) => value = next,
                other => return optional(other, step),
            }
        }
        Ok(Some(value))
    }

    #[inline]
    pub(super) fn step(
        &mut self,
        step: &'p Step,
        frame: usize,
        dot: &Val,
        value: &Val,
    ) -> Result<Option<Val>, Exn> {
        match &step.kind {
            StepKind::Key(key) => value.member(key).map(Some).map_err(|error| error.at(step.at)),
            _ => self.computed_step(step, frame, dot, value),
        }
    }

    pub(super) fn computed_step(
        &mut self,
        step: &'p Step,
        frame: usize,
        dot: &Val,
        value: &Val,
    ) -> Result<Option<Val>, Exn> {
        let found = match &step.kind {
            StepKind::Key(key) => value.member(key),
            StepKind::Index(term) => {
                // an error of the key is not one of the step
                let Some(key) = self.maybe(term, frame, In::Ref(dot)).map_err(Raised::inner)? else {
                    return Ok(None);
                };
                value.index(&key)
            }
            StepKind::Slice(start, end) => {
                let mut bound = |term: &'p Option<Term>| match term {
                    Some(term) => self.maybe(term, frame, In::Ref(dot)).map_err(Raised::inner),
                    None => Ok(Some(Val::Null)),
                };
                let (Some(start), Some(end)) = (bound(start)?, bound(end)?) else { return Ok(None) };
                value.slice(&Slice { start, end })
            }
            StepKind::Iterate => return Ok(None),
        };
        found.map(Some).map_err(|error| error.at(step.at))
    }

    pub(super) fn each_path(
        &mut self,
        head: &'p Term,
        steps: &'p [Step],
        frame: usize,
        input: In<'_>,
        out: Out<'_, 'p>,
    ) -> Result<(), Exn> {
        // keys with many outputs are the outer loops, the last step's first
        if let Some(many) = steps.iter().rposition(has_many_keys) {
            return self.keys(&steps[many], frame, input.get(), &mut |this, key| {
                this.each_path(head, &steps[..many], frame, input.lend(), &mut |this, value| {
                    let step = &steps[many];
                    let found = value.index(&key).map(Some).map_err(|error| error.at(step.at));
                    match optional(found, step)? {
                        Some(value) => this.each_step(&steps[many + 1..], frame, input.get(), value, out),
                        None => Ok(()),
                    }
                })
            });
        }
        if matches!(head.kind, Kind::Input) {
            return self.each_step(steps, frame, input.get(), input.get().clone(), out);
        }
        self.each(head, frame, input.lend(), &mut |this, value| {
            this.each_step(steps, frame, input.get(), value, out)
        })
    }

    /// The outputs of the key of a step, a slice as the object that stands for it.
    pub(super) fn keys(
        &mut self,
        step: &'p Step,
        frame: usize,
        dot: &Val,
        out: Out<'_, 'p>,
    ) -> Result<(), Exn> {
        match &step.kind {
            StepKind::Index(term) => self.each(term, frame, In::Ref(dot), out),
            StepKind::Slice(start, end) => {
                let mut ends = |this: &mut Self, start: Val| match end {
                    Some(end) => this.each(end, frame, In::Ref(dot), &mut |this, end| {
                        out(this, Slice { start: start.clone(), end }.to_key())
                    }),
                    None => out(this, Slice { start, end: Val::Null }.to_key()),
                };
                match start {
                    Some(start) => self.each(start, frame, In::Ref(dot), &mut ends),
                    None => ends(self, Val::Null),
                }
            }
            StepKind::Key(key) => out(self, Val::Str(key.clone())),
            StepKind::Iterate => Ok(()),
        }
    }

    pub(super) fn each_step(
        &mut self,
        steps: &'p [Step],
        frame: usize,
        dot: &Val,
        value: Val,
        out: Out<'_, 'p>,
    ) -> Result<(), Exn> {
        let mut value = value;
        for (at, step) in steps.iter().enumerate() {
            if matches!(step.kind, StepKind::Iterate) {
                let rest = &steps[at + 1..];
                if !(value.is_array() || value.is_object()) {
                    return match step.is_optional {
                        true => Ok(()),
                        false => Err(value::no_iteration(&value).at(step.at)),
                    };
                }
                budget::at(step.at);
                return value.for_each_child(|child| {
                    budget::tick();
                    self.each_step(rest, frame, dot, child, out)
                });
            }
            let found = self.step(step, frame, dot, &value);
            match optional(found, step)? {
                Some(next) => value = next,
                None => return Ok(()),
            }
        }
        out(self, value)
    }
}

pub(super) fn has_many_keys(step: &Step) -> bool {
    let many = |term: &Term| term.outputs.get() == Outputs::Many;
    match &step.kind {
        StepKind::Index(term) => many(term),
        StepKind::Slice(start, end) => start.iter().chain(end).any(many),
        StepKind::Key(_) | StepKind::Iterate => false,
    }
}

/// What becomes of a step's error if the step is optional.
#[inline]
pub(super) fn optional(found: Result<Option<Val>, Exn>, step: &Step) -> Result<Option<Val>, Exn> {
    match found {
        Err(error) if step.is_optional && error.is_error() && !error.is_inner => Ok(None),
        Err(mut error) => {
            error.is_inner = false;
            Err(error)
        }
        other => other,
    }
}
