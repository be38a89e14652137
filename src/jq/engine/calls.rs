//! Frames of functions, and arguments with many outputs.

use super::code::{Arg, Kind, Slot, Term};
use super::eval::{Entry, In, Machine, ended};
use crate::jq::budget;
use crate::jq::value::{Exn, Val};

/// Gets the values of arguments.
type Values<'o, 'p> = &'o mut dyn FnMut(&mut Machine<'p>, &[Val]) -> Result<(), Exn>;

/// Gets the values of arguments to keep.
type OwnValues<'o, 'p> = &'o mut dyn FnMut(&mut Machine<'p>, Vec<Val>) -> Result<(), Exn>;

impl<'p> Machine<'p> {
    /// Makes the frame of a call. The caller's frame is given up where nothing can need it.
    pub(super) fn enter(
        &mut self,
        function: usize,
        up: u32,
        args: &'p [Arg],
        values: Vec<Val>,
        frame: usize,
        height: usize,
    ) -> usize {
        let outer = self.base(frame, up);
        let mut params = Vec::with_capacity(args.len());
        let mut values = values.into_iter();
        let mut is_captured = outer >= height;
        for arg in args {
            params.push(match arg {
                Arg::Closure(term) => {
                    is_captured = true;
                    Entry::Closure { term: *term, frame }
                }
                Arg::Same(slot) => match self.entry(frame, *slot) {
                    Entry::Closure { term, frame: home } => {
                        is_captured |= *home >= height;
                        Entry::Closure { term: *term, frame: *home }
                    }
                    _ => Entry::Val(Val::Null),
                },
                Arg::Value(_) => Entry::Val(values.next().unwrap_or(Val::Null)),
            });
        }
        if !is_captured && frame >= height {
            self.stack.truncate(height);
        }
        let base = self.stack.len();
        self.stack.push(Entry::Link(outer));
        self.stack.append(&mut params);
        self.stack.resize_with(base + self.code.functions[function].slots, || Entry::Val(Val::Null));
        base
    }

    /// Calls back with every combination of the arguments' outputs, the first varying fastest.
    pub(super) fn cartesian(
        &mut self,
        args: &'p [Term],
        frame: usize,
        input: &Val,
        out: Values<'_, 'p>,
    ) -> Result<(), Exn> {
        let mut values = vec![Val::Null; args.len()];
        self.combine(args, args.len(), &mut values, frame, input, out)
    }

    fn combine(
        &mut self,
        args: &'p [Term],
        left: usize,
        values: &mut Vec<Val>,
        frame: usize,
        input: &Val,
        out: Values<'_, 'p>,
    ) -> Result<(), Exn> {
        let Some(at) = left.checked_sub(1) else { return out(self, values) };
        self.each(&args[at], frame, In::Ref(input), &mut |this, value| {
            values[at] = value;
            this.combine(args, at, values, frame, input, out)
        })
    }

    /// What a closure parameter stands for.
    pub(super) fn closure(&self, frame: usize, slot: Slot) -> Option<(&'p Term, usize)> {
        match self.entry(frame, slot) {
            Entry::Closure { term, frame } => Some((&self.code.closures[*term], *frame)),
            _ => None,
        }
    }

    /// Enters a call once for each combination of its value arguments' outputs, the first as the outer
    /// loop, and runs `body` in its frame.
    pub(super) fn in_call(
        &mut self,
        term: &'p Term,
        frame: usize,
        input: &Val,
        body: &mut dyn FnMut(&mut Self, &'p Term, usize) -> Result<(), Exn>,
    ) -> Result<(), Exn> {
        let Kind::Call { function, up, args } = &term.kind else { return Ok(()) };
        budget::at(term.at);
        budget::tick();
        self.call_values(args, Vec::new(), frame, input, &mut |this, values| {
            let height = this.stack.len();
            let inner = this.enter(*function, *up, args, values, frame, height);
            let result = body(this, &this.code.functions[*function].body, inner);
            this.stack.truncate(height);
            result
        })
    }

    fn call_values(
        &mut self,
        args: &'p [Arg],
        values: Vec<Val>,
        frame: usize,
        input: &Val,
        body: OwnValues<'_, 'p>,
    ) -> Result<(), Exn> {
        let value_args = || {
            args.iter().filter_map(|arg| match arg {
                Arg::Value(term) => Some(term),
                _ => None,
            })
        };
        match value_args().nth(values.len()) {
            None => body(self, values),
            Some(term) => self.each(term, frame, In::Ref(input), &mut |this, value| {
                let mut values = values.clone();
                values.push(value);
                this.call_values(args, values, frame, input, body)
            }),
        }
    }

    /// Sets a slot while `body` runs.
    pub(super) fn with_slot<T>(
        &mut self,
        frame: usize,
        slot: u32,
        value: Val,
        body: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = self.replace(frame, slot, Entry::Val(value));
        let result = body(self);
        self.replace(frame, slot, before);
        result
    }

    /// Makes a label for the slot while `body` runs, and ends it where it is broken.
    pub(super) fn with_label(
        &mut self,
        frame: usize,
        slot: u32,
        body: impl FnOnce(&mut Self) -> Result<(), Exn>,
    ) -> Result<(), Exn> {
        let label = self.fresh_label();
        let before = self.replace(frame, slot, Entry::Label(label));
        let result = body(self);
        self.replace(frame, slot, before);
        ended(result, label)
    }
}
