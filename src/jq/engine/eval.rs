//! Evaluation of terms.
//!
//! A term of at most one output is evaluated by [`Machine::maybe`], which returns it; any other by
//! [`Machine::each`], which calls back with each output. So evaluation is nested throughout: what a
//! term's output leads to is over before the term goes on. That is why variables can be plain slots
//! of a stack of frames, set before the body runs and put back after it, and why a function's
//! argument is a term and the frame it was written in, with no closure on the heap.
//!
//! A call in tail position takes the place of its caller's frame where that belongs to the same
//! activation, so loops written as recursion need no stack.

use super::code::{Arg, Code, Kind, Outputs, Slot, Step, StepKind, Term, TextPart, type_bit};
use crate::jq::budget;
use crate::jq::syntax::Binary;
use crate::jq::value::{self, Cause, Exn, Obj, Raised, Val};

/// An input: lent, or one's own to change.
pub(super) enum In<'v> {
    Ref(&'v Val),
    Own(Val),
}

impl In<'_> {
    #[inline]
    pub(super) fn get(&self) -> &Val {
        match self {
            In::Ref(value) => value,
            In::Own(value) => value,
        }
    }

    #[inline]
    pub(super) fn lend(&self) -> In<'_> {
        In::Ref(self.get())
    }

    #[inline]
    pub(super) fn own(self) -> Val {
        match self {
            In::Ref(value) => value.clone(),
            In::Own(value) => value,
        }
    }
}

/// What a slot of a frame holds.
pub(in crate::jq) enum Entry {
    Val(Val),
    /// Base of the frame of the definition around this one.
    Link(usize),
    Label(u64),
    Closure {
        term: usize,
        frame: usize,
    },
}

pub(super) type Out<'o, 'p> = &'o mut dyn FnMut(&mut Machine<'p>, Val) -> Result<(), Exn>;

/// One evaluation.
pub(in crate::jq) struct Machine<'p> {
    pub(super) code: &'p Code,
    pub(super) stack: &'p mut Vec<Entry>,
    labels: u64,
    /// What is not there.
    null: Val,
}

impl<'p> Machine<'p> {
    /// A machine whose outermost frame has `variables` in its first slots.
    pub(in crate::jq) fn new(
        code: &'p Code,
        stack: &'p mut Vec<Entry>,
        variables: impl IntoIterator<Item = Val>,
    ) -> Self {
        stack.clear();
        stack.push(Entry::Link(0));
        stack.extend(variables.into_iter().map(Entry::Val));
        stack.resize_with(code.slots, || Entry::Val(Val::Null));
        Machine { code, stack, labels: 0, null: Val::Null }
    }

    /// Runs the program.
    pub(in crate::jq) fn run(
        &mut self,
        input: Val,
        out: &mut dyn FnMut(Val) -> Result<(), Exn>,
    ) -> Result<(), Exn> {
        self.each(&self.code.main, 0, In::Own(input), &mut |_, value| out(value))
    }

    /// Whether the program's output is true; not, if there is none. It must have at most one.
    pub(in crate::jq) fn verdict_of(&mut self, input: &Val) -> Result<bool, Exn> {
        Ok(self.verdict(&self.code.main, 0, input)?.unwrap_or(false))
    }

    pub(super) fn base(&self, frame: usize, up: u32) -> usize {
        let mut base = frame;
        for _ in 0..up {
            if let Some(Entry::Link(outer)) = self.stack.get(base) {
                base = *outer;
            }
        }
        base
    }

    #[inline]
    pub(super) fn entry(&self, frame: usize, slot: Slot) -> &Entry {
        &self.stack[self.base(frame, slot.up) + slot.slot as usize]
    }

    #[inline]
    pub(super) fn var(&self, frame: usize, slot: Slot) -> Val {
        match self.entry(frame, slot) {
            Entry::Val(value) => value.clone(),
            _ => Val::Null,
        }
    }

    #[inline]
    pub(super) fn replace(&mut self, frame: usize, slot: u32, entry: Entry) -> Entry {
        std::mem::replace(&mut self.stack[frame + slot as usize], entry)
    }

    pub(super) fn fresh_label(&mut self) -> u64 {
        self.labels += 1;
        self.labels
    }

    /// The only output of a term that has exactly one.
    #[inline]
    pub(super) fn one(&mut self, term: &'p Term, frame: usize, input: In<'_>) -> Result<Val, Exn> {
        match &term.kind {
            Kind::Const(value) => Ok(value.clone()),
            Kind::Var(slot) => Ok(self.var(frame, *slot)),
            _ => Ok(self.maybe(term, frame, input)?.unwrap_or(Val::Null)),
        }
    }

    /// The first output of any term.
    pub(super) fn first(&mut self, term: &'p Term, frame: usize, input: In<'_>) -> Result<Option<Val>, Exn> {
        if term.outputs.get() != Outputs::Many {
            return self.maybe(term, frame, input);
        }
        match &term.kind {
            Kind::Comma(terms) => {
                for term in terms {
                    let found = self.first(term, frame, input.lend())?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Ok(None)
            }
            Kind::Pipe(source, then) if then.outputs.get() != Outputs::Many => {
                self.first_through(source, then, frame, input)
            }
            _ => self.first_of(|this, out| this.each(term, frame, input, out)),
        }
    }

    /// The first output of what calls back with each.
    pub(super) fn first_of(
        &mut self,
        run: impl FnOnce(&mut Self, Out<'_, 'p>) -> Result<(), Exn>,
    ) -> Result<Option<Val>, Exn> {
        let mut found = None;
        let label = self.fresh_label();
        let result = run(self, &mut |_, value| {
            found = Some(value);
            Err(Raised::new(Cause::Break(label)))
        });
        ended(result, label)?;
        Ok(found)
    }

    /// A term's only output where that needs no evaluation: it lies somewhere already.
    #[inline]
    pub(super) fn peek<'v>(&'v self, term: &'v Term, frame: usize, input: &'v Val) -> Option<&'v Val> {
        match &term.kind {
            Kind::Const(value) => Some(value),
            Kind::Input => Some(input),
            Kind::Var(slot) => match self.entry(frame, *slot) {
                Entry::Val(value) => Some(value),
                _ => None,
            },
            Kind::Path(head, steps) => self.peek_path(head, steps, frame, input),
            _ => None,
        }
    }

    /// What members of objects that the program made lead to, where it lies.
    #[inline]
    pub(super) fn peek_path<'v>(
        &'v self,
        head: &'v Term,
        steps: &[Step],
        frame: usize,
        input: &'v Val,
    ) -> Option<&'v Val> {
        let mut at = match &head.kind {
            Kind::Input => input,
            Kind::Const(value) => value,
            Kind::Var(slot) => match self.entry(frame, *slot) {
                Entry::Val(value) => value,
                _ => return None,
            },
            _ => return None,
        };
        for step in steps {
            let StepKind::Key(key) = &step.kind else { return None };
            at = match at {
                Val::Obj(members) => members.value_of(key).unwrap_or(&self.null),
                Val::Null => at,
                _ => return None,
            };
        }
        Some(at)
    }

    /// Whether the output of a condition is true.
    pub(super) fn verdict(
        &mut self,
        condition: &'p Term,
        frame: usize,
        input: &Val,
    ) -> Result<Option<bool>, Exn> {
        match &condition.kind {
            Kind::Binary(operator, left, right) if operator.compares() => {
                self.compare(*operator, left, right, frame, input)
            }
            Kind::And(left, right) => match self.verdict(left, frame, input)? {
                Some(true) => self.verdict(right, frame, input),
                other => Ok(other),
            },
            Kind::Or(left, right) => match self.verdict(left, frame, input)? {
                Some(false) => self.verdict(right, frame, input),
                other => Ok(other),
            },
            Kind::Is(types) => Ok(Some(types & type_bit(input.kind()) != 0)),
            Kind::Pipe(first, second) => match self.maybe(first, frame, In::Ref(input))? {
                Some(value) => self.verdict(second, frame, &value),
                None => Ok(None),
            },
            _ => {
                if let Some(value) = self.peek(condition, frame, input) {
                    return Ok(Some(value.is_truthy()));
                }
                Ok(self.maybe(condition, frame, In::Ref(input))?.map(|value| value.is_truthy()))
            }
        }
    }

    /// Compares the outputs of two terms, where they lie if they can be looked at there.
    fn compare(
        &mut self,
        operator: Binary,
        left: &'p Term,
        right: &'p Term,
        frame: usize,
        input: &Val,
    ) -> Result<Option<bool>, Exn> {
        if let Some(right_value) = self.peek(right, frame, input)
            && let Some(left_value) = self.peek(left, frame, input)
        {
            return Ok(Some(holds(operator, left_value, right_value)));
        }
        if let Kind::Const(right) = &right.kind {
            let Some(left) = self.maybe(left, frame, In::Ref(input))? else { return Ok(None) };
            return Ok(Some(holds(operator, &left, right)));
        }
        let Some(right) = self.maybe(right, frame, In::Ref(input))? else { return Ok(None) };
        let Some(left) = self.maybe(left, frame, In::Ref(input))? else { return Ok(None) };
        Ok(Some(holds(operator, &left, &right)))
    }

    /// The output, if any, of a term that has at most one.
    #[inline]
    pub(super) fn maybe(&mut self, term: &'p Term, frame: usize, input: In<'_>) -> Result<Option<Val>, Exn> {
        match &term.kind {
            Kind::Const(value) => Ok(Some(value.clone())),
            Kind::Var(slot) => Ok(Some(self.var(frame, *slot))),
            Kind::Path(head, steps) => self.path(head, steps, frame, input.get()),
            _ => self.maybe_framed(term, frame, input),
        }
    }

    fn maybe_framed(&mut self, term: &'p Term, frame: usize, input: In<'_>) -> Result<Option<Val>, Exn> {
        let height = self.stack.len();
        let result = self.maybe_from(term, frame, input, height);
        self.stack.truncate(height);
        result
    }

    pub(super) fn maybe_from(
        &mut self,
        term: &'p Term,
        frame: usize,
        input: In<'_>,
        height: usize,
    ) -> Result<Option<Val>, Exn> {
        let (mut term, mut frame, mut input) = (term, frame, input);
        loop {
            let value = match &term.kind {
                Kind::Input => input.own(),
                Kind::Const(value) => value.clone(),
                Kind::Var(slot) => self.var(frame, *slot),
                Kind::Path(head, steps) => return self.path(head, steps, frame, input.get()),
                Kind::Pipe(first, second) => match self.maybe(first, frame, input)? {
                    Some(value) => {
                        input = In::Own(value);
                        term = second;
                        continue;
                    }
                    None => return Ok(None),
                },
                Kind::Comma(terms) => {
                    term = &terms[0];
                    continue;
                }
                Kind::Array(None) => Val::arr(Vec::new()),
                Kind::Array(Some(inner)) => self.collect(inner, frame, input.get())?,
                Kind::Record(members, is_pruned) => {
                    return self.record(members, *is_pruned, frame, input.get());
                }
                Kind::Object(members) => return self.object(members, frame, input.get(), term),
                Kind::Negate(inner) => match self.maybe(inner, frame, input)? {
                    Some(value) => value.negate().map_err(|error| place(error, term))?,
                    None => return Ok(None),
                },
                Kind::Binary(operator, left, right) if operator.compares() => {
                    match self.compare(*operator, left, right, frame, input.get())? {
                        Some(verdict) => Val::Bool(verdict),
                        None => return Ok(None),
                    }
                }
                Kind::Binary(Binary::Add, ..) => return self.sum(term, frame, input),
                Kind::Binary(operator, left, right) => {
                    let Some(right) = self.maybe(right, frame, input.lend())? else { return Ok(None) };
                    let Some(left) = self.maybe(left, frame, input)? else { return Ok(None) };
                    compute(*operator, left, &right).map_err(|error| place(error, term))?
                }
                Kind::And(..) | Kind::Or(..) => match self.verdict(term, frame, input.get())? {
                    Some(verdict) => Val::Bool(verdict),
                    None => return Ok(None),
                },
                Kind::Is(types) => Val::Bool(types & type_bit(input.get().kind()) != 0),
                Kind::Alternative(left, right) => match self.maybe(left, frame, input.lend()) {
                    Ok(Some(value)) if value.is_truthy() => value,
                    Err(error) if !error.is_error() => return Err(error),
                    _ => {
                        term = right;
                        continue;
                    }
                },
                Kind::Text(format, parts) => {
                    return self.interpolated(*format, parts, frame, input.get(), term);
                }
                Kind::If(condition, then, otherwise) => {
                    let Some(holds) = self.verdict(condition, frame, input.get())? else { return Ok(None) };
                    term = if holds { then } else { otherwise };
                    continue;
                }
                Kind::Try(body, catch) => match self.maybe(body, frame, input.lend()) {
                    Err(error) if error.is_error() => {
                        match catch.as_deref().zip(error.cause.into_value_if(catch.is_some())) {
                            Some((catch, value)) => {
                                input = In::Own(value);
                                term = catch;
                                continue;
                            }
                            _ => return Ok(None),
                        }
                    }
                    other => return other,
                },
                Kind::Reduce(fold) => {
                    let Some(init) = self.maybe(&fold.init, frame, input.lend())? else { return Ok(None) };
                    self.reduce(fold, frame, input.get(), init)?
                }
                Kind::Bind(source, slot, body) => {
                    let Some(value) = self.maybe(source, frame, input.lend())? else { return Ok(None) };
                    let before = self.replace(frame, *slot, Entry::Val(value));
                    if frame >= height {
                        // nothing but this activation reads the frame: a tail call may follow
                        term = body;
                        continue;
                    }
                    let result = self.maybe(body, frame, input);
                    self.replace(frame, *slot, before);
                    return result;
                }
                Kind::Label(slot, body) => {
                    let label = self.fresh_label();
                    let before = self.replace(frame, *slot, Entry::Label(label));
                    let result = self.maybe(body, frame, input);
                    self.replace(frame, *slot, before);
                    return match result {
                        Err(error) if error.breaks(label) => Ok(None),
                        other => other,
                    };
                }
                Kind::Break(slot) => {
                    let label = match self.entry(frame, *slot) {
                        Entry::Label(label) => *label,
                        _ => 0,
                    };
                    return Err(Raised::new(Cause::Break(label)));
                }
                Kind::Call { function, up, args } => {
                    budget::at(term.at);
                    budget::tick();
                    let mut values = Vec::new();
                    for arg in args {
                        if let Arg::Value(value) = arg {
                            match self.maybe(value, frame, input.lend())? {
                                Some(value) => values.push(value),
                                None => return Ok(None),
                            }
                        }
                    }
                    frame = self.enter(*function, *up, args, values, frame, height);
                    term = &self.code.functions[*function].body;
                    continue;
                }
                Kind::Native(native, args) => return self.native(native, args, frame, input, term),
                Kind::Special(special, args) => {
                    return self.special(*special, args, frame, input, term);
                }
                Kind::Assign(..) | Kind::Update(..) | Kind::Arithmetic(..) | Kind::Default(..) => {
                    return self.updated(term, frame, input);
                }
                Kind::Entries { key, value, keep } => {
                    return self.entries(*key, *value, keep, frame, input.own(), term).map(Some);
                }
                Kind::Prune(doomed, general) => match self.prune(doomed, frame, input.get())? {
                    Some(pruned) => pruned,
                    None => {
                        term = general;
                        continue;
                    }
                },
                Kind::Destructure(source, patterns, body) => {
                    let Some(value) = self.maybe(source, frame, input.lend())? else { return Ok(None) };
                    let mut output = None;
                    self.destructure(patterns, frame, input.get(), &value, &mut |this| {
                        output = this.maybe(body, frame, input.lend())?;
                        Ok(())
                    })?;
                    return Ok(output);
                }
                Kind::Mark(sites, inner) => {
                    self.code.hit(sites);
                    term = inner;
                    continue;
                }
                Kind::MarkTrue(site, inner) => {
                    let Some(value) = self.maybe(inner, frame, input)? else { return Ok(None) };
                    if value.is_truthy() {
                        self.code.hit(&[*site]);
                    }
                    value
                }
                Kind::Recurse | Kind::Foreach(..) | Kind::Closure(_) => {
                    return self.first(term, frame, input);
                }
            };
            return Ok(Some(value));
        }
    }
}

/// An evaluation that may have been left by a label of our own.
pub(super) fn ended(result: Result<(), Exn>, label: u64) -> Result<(), Exn> {
    match result {
        Err(error) if error.breaks(label) => Ok(()),
        other => other,
    }
}

/// Names the place of an error that has none yet.
#[cold]
pub(super) fn place(error: Exn, term: &Term) -> Exn {
    error.at(term.at)
}

pub(super) fn insert(object: &mut Obj, key: Val, value: Val) -> Result<(), Exn> {
    match key {
        Val::Str(key) => {
            object.insert(key, value);
            Ok(())
        }
        other => {
            let message =
                format!("Cannot use {} ({}) as object key", other.type_name(), value::clip(&other, 11));
            Err(Raised::about(&other, message))
        }
    }
}

pub(super) fn compute(operator: Binary, left: Val, right: &Val) -> Result<Val, Exn> {
    match operator {
        Binary::Add => left.add(right),
        Binary::Subtract => left.subtract(right),
        Binary::Multiply => left.multiply(right),
        Binary::Divide => left.divide(right),
        Binary::Remainder => left.remainder(right),
        comparison => Ok(Val::Bool(holds(comparison, &left, right))),
    }
}

/// Whether a comparison holds. Other operators are none.
#[inline]
fn holds(operator: Binary, left: &Val, right: &Val) -> bool {
    match operator {
        Binary::Equal => value::equal(left, right),
        Binary::NotEqual => !value::equal(left, right),
        Binary::Less => value::less(left, right),
        Binary::LessOrEqual => value::less_or_equal(left, right),
        Binary::Greater => value::less(right, left),
        Binary::GreaterOrEqual => value::less_or_equal(right, left),
        Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder => false,
    }
}

/// Puts a string together. `values` are the outputs of its terms, the last first.
pub(super) fn text(
    format: Option<super::code::Format>,
    parts: &[TextPart],
    values: Vec<Val>,
) -> Result<Val, Exn> {
    let mut out = Vec::new();
    let mut values = values;
    for part in parts {
        match part {
            TextPart::Text(text) => out.extend_from_slice(text.as_bytes()),
            TextPart::Term(_) => {
                let value = values.pop().unwrap_or(Val::Null);
                let value = match format {
                    Some(format) => format(&value)?,
                    None => value,
                };
                super::natives::append_as_text(&value, &mut out);
            }
        }
        budget::charge(out.len());
    }
    Ok(Val::string(String::from_utf8(out).unwrap_or_default()))
}
