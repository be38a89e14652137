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

use super::code::{Arg, Code, Fold, Kind, Outputs, Pattern, Patterns, Slot, Step, StepKind, Term, TextPart};
use crate::jq::budget;
use crate::jq::syntax::Binary;
use crate::jq::value::{self, Cause, Exn, Obj, Raised, Slice, Val};

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
    /// Executions of each branch, if they are counted.
    branches: Option<&'p mut [u64]>,
}

impl<'p> Machine<'p> {
    /// A machine whose outermost frame has `variables` in its first slots.
    pub(in crate::jq) fn new(
        code: &'p Code,
        stack: &'p mut Vec<Entry>,
        variables: impl IntoIterator<Item = Val>,
        branches: Option<&'p mut [u64]>,
    ) -> Self {
        stack.clear();
        stack.push(Entry::Link(0));
        stack.extend(variables.into_iter().map(Entry::Val));
        stack.resize_with(code.slots, || Entry::Val(Val::Null));
        Machine { code, stack, labels: 0, branches }
    }

    /// Runs the program.
    pub(in crate::jq) fn run(
        &mut self,
        input: Val,
        out: &mut dyn FnMut(Val) -> Result<(), Exn>,
    ) -> Result<(), Exn> {
        self.each(&self.code.main, 0, In::Own(input), &mut |_, value| out(value))
    }

    fn base(&self, frame: usize, up: u32) -> usize {
        let mut base = frame;
        for _ in 0..up {
            if let Some(Entry::Link(outer)) = self.stack.get(base) {
                base = *outer;
            }
        }
        base
    }

    #[inline]
    fn entry(&self, frame: usize, slot: Slot) -> &Entry {
        &self.stack[self.base(frame, slot.up) + slot.slot as usize]
    }

    #[inline]
    fn var(&self, frame: usize, slot: Slot) -> Val {
        match self.entry(frame, slot) {
            Entry::Val(value) => value.clone(),
            _ => Val::Null,
        }
    }

    #[inline]
    fn replace(&mut self, frame: usize, slot: u32, entry: Entry) -> Entry {
        std::mem::replace(&mut self.stack[frame + slot as usize], entry)
    }

    pub(super) fn fresh_label(&mut self) -> u64 {
        self.labels += 1;
        self.labels
    }

    #[inline]
    pub(super) fn branch(&mut self, number: u32, is_else: bool) {
        if let Some(branches) = &mut self.branches
            && let Some(count) = branches.get_mut(number as usize + usize::from(is_else))
        {
            *count += 1;
        }
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
        let mut found = None;
        let label = self.fresh_label();
        let result = self.each(term, frame, input, &mut |_, value| {
            found = Some(value);
            Err(Raised::new(Cause::Break(label)))
        });
        ended(result, label)?;
        Ok(found)
    }

    /// A term's only output where that needs no evaluation: it lies somewhere already.
    #[inline]
    fn peek<'v>(&'v self, term: &'v Term, frame: usize, input: &'v Val) -> Option<&'v Val> {
        match &term.kind {
            Kind::Const(value) => Some(value),
            Kind::Input => Some(input),
            Kind::Var(slot) => match self.entry(frame, *slot) {
                Entry::Val(value) => Some(value),
                _ => None,
            },
            _ => None,
        }
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

    fn maybe_from(
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
                    let mut entries = Vec::with_capacity(members.len());
                    for (key, value) in members {
                        let value = self.one(value, frame, input.lend())?;
                        if !(*is_pruned && matches!(value, Val::Null)) {
                            entries.push((key.clone(), value));
                        }
                    }
                    Val::obj(Obj::from_distinct(entries))
                }
                Kind::Object(members) => {
                    let mut object = Obj::new();
                    for (key, value) in members {
                        let Some(key) = self.maybe(key, frame, input.lend())? else { return Ok(None) };
                        let Some(value) = self.maybe(value, frame, input.lend())? else { return Ok(None) };
                        insert(&mut object, key, value).map_err(|error| place(error, term))?;
                    }
                    Val::obj(object)
                }
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
                Kind::Binary(operator, left, right) => {
                    let Some(right) = self.maybe(right, frame, input.lend())? else { return Ok(None) };
                    let Some(left) = self.maybe(left, frame, input)? else { return Ok(None) };
                    compute(*operator, left, &right).map_err(|error| place(error, term))?
                }
                Kind::And(left, right) => {
                    let Some(value) = self.maybe(left, frame, input.lend())? else { return Ok(None) };
                    if value.is_truthy() {
                        match self.maybe(right, frame, input)? {
                            Some(value) => Val::Bool(value.is_truthy()),
                            None => return Ok(None),
                        }
                    } else {
                        Val::Bool(false)
                    }
                }
                Kind::Or(left, right) => {
                    let Some(value) = self.maybe(left, frame, input.lend())? else { return Ok(None) };
                    if value.is_truthy() {
                        Val::Bool(true)
                    } else {
                        match self.maybe(right, frame, input)? {
                            Some(value) => Val::Bool(value.is_truthy()),
                            None => return Ok(None),
                        }
                    }
                }
                Kind::Alternative(left, right) => match self.maybe(left, frame, input.lend()) {
                    Ok(Some(value)) if value.is_truthy() => value,
                    Err(error) if !error.is_error() => return Err(error),
                    _ => {
                        term = right;
                        continue;
                    }
                },
                Kind::Text(format, parts) => {
                    // from the last part to the first, as jq does: that is where an error shows
                    let mut values = Vec::with_capacity(parts.len());
                    for part in parts.iter().rev() {
                        if let TextPart::Term(inner) = part {
                            match self.maybe(inner, frame, input.lend())? {
                                Some(value) => values.push(value),
                                None => return Ok(None),
                            }
                        }
                    }
                    text(*format, parts, values).map_err(|error| place(error, term))?
                }
                Kind::If(condition, then, otherwise, branch) => {
                    let Some(holds) = self.verdict(condition, frame, input.get())? else { return Ok(None) };
                    self.branch(*branch, !holds);
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
                Kind::Native(native, args) => {
                    budget::at(term.at);
                    budget::tick();
                    let result = match &args[..] {
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
                    result.map_err(|error| place(error, term))?
                }
                Kind::Special(special, args) => {
                    return self.special(*special, args, frame, input, term);
                }
                Kind::Assign(path, value) => {
                    let Some(value) = self.maybe(value, frame, input.lend())? else { return Ok(None) };
                    self.update(path, frame, input.own(), &mut |_, _| Ok(Some(value.clone())))?
                }
                Kind::Update(path, body) => self.update(path, frame, input.own(), &mut |this, value| {
                    this.first(body, frame, In::Own(value))
                })?,
                Kind::Arithmetic(operator, path, value) => {
                    let Some(value) = self.maybe(value, frame, input.lend())? else { return Ok(None) };
                    self.update(path, frame, input.own(), &mut |_, old| {
                        compute(*operator, old, &value).map(Some).map_err(|error| place(error, term))
                    })?
                }
                Kind::Default(path, value) => {
                    let Some(value) = self.maybe(value, frame, input.lend())? else { return Ok(None) };
                    self.update(path, frame, input.own(), &mut |_, old| {
                        Ok(Some(if old.is_truthy() { old } else { value.clone() }))
                    })?
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
                Kind::Recurse | Kind::Foreach(..) | Kind::Closure(_) => {
                    return self.first(term, frame, input);
                }
            };
            return Ok(Some(value));
        }
    }

    /// Makes the frame of a call. The caller's frame is given up where nothing can need it.
    fn enter(
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

    /// All outputs of a term as an array.
    pub(super) fn collect(&mut self, term: &'p Term, frame: usize, input: &Val) -> Result<Val, Exn> {
        let mut items = Vec::new();
        self.each(term, frame, In::Ref(input), &mut |_, value| {
            if items.len() == items.capacity() {
                budget::charge((items.len() + 1) * 2 * size_of::<Val>());
            }
            items.push(value);
            Ok(())
        })?;
        Ok(Val::arr(items))
    }

    /// Calls back with each output of a term.
    pub(super) fn each(
        &mut self,
        term: &'p Term,
        frame: usize,
        input: In<'_>,
        out: Out<'_, 'p>,
    ) -> Result<(), Exn> {
        if term.outputs.get() != Outputs::Many {
            return match self.maybe(term, frame, input)? {
                Some(value) => out(self, value),
                None => Ok(()),
            };
        }
        let height = self.stack.len();
        let result = self.each_from(term, frame, input, out, height);
        self.stack.truncate(height);
        result
    }

    fn each_from(
        &mut self,
        term: &'p Term,
        frame: usize,
        input: In<'_>,
        out: Out<'_, 'p>,
        height: usize,
    ) -> Result<(), Exn> {
        let (mut term, mut frame, mut input) = (term, frame, input);
        loop {
            if term.outputs.get() != Outputs::Many {
                return match self.maybe_from(term, frame, input, height)? {
                    Some(value) => out(self, value),
                    None => Ok(()),
                };
            }
            match &term.kind {
                Kind::Recurse => return self.recurse(input.own(), out),
                Kind::Path(head, steps) => return self.each_path(head, steps, frame, input, out),
                Kind::Pipe(first, second) => {
                    if first.outputs.get() == Outputs::Many {
                        return self.each(first, frame, input, &mut |this, value| {
                            this.each(second, frame, In::Own(value), out)
                        });
                    }
                    match self.maybe(first, frame, input)? {
                        Some(value) => input = In::Own(value),
                        None => return Ok(()),
                    }
                    term = second;
                }
                Kind::Comma(terms) => {
                    let Some((last, others)) = terms.split_last() else { return Ok(()) };
                    for other in others {
                        self.each(other, frame, input.lend(), out)?;
                    }
                    term = last;
                }
                Kind::Object(members) => {
                    return self.objects(members, frame, input.get(), Obj::new(), term, out);
                }
                Kind::Negate(inner) => {
                    return self.each(inner, frame, input, &mut |this, value| {
                        let value = value.negate().map_err(|error| place(error, term))?;
                        out(this, value)
                    });
                }
                Kind::Binary(operator, left, right) => {
                    return self.each(right, frame, input.lend(), &mut |this, right| {
                        this.each(left, frame, input.lend(), &mut |this, left| {
                            let value =
                                compute(*operator, left, &right).map_err(|error| place(error, term))?;
                            out(this, value)
                        })
                    });
                }
                Kind::And(left, right) | Kind::Or(left, right) => {
                    let is_and = matches!(term.kind, Kind::And(..));
                    return self.each(left, frame, input.lend(), &mut |this, value| {
                        if value.is_truthy() == is_and {
                            this.each(right, frame, input.lend(), &mut |this, value| {
                                out(this, Val::Bool(value.is_truthy()))
                            })
                        } else {
                            out(this, Val::Bool(!is_and))
                        }
                    });
                }
                Kind::Alternative(left, right) => {
                    let (mut found, mut escaped) = (false, false);
                    let result = self.each(left, frame, input.lend(), &mut |this, value| {
                        if !value.is_truthy() {
                            return Ok(());
                        }
                        found = true;
                        let result = out(this, value);
                        escaped |= result.is_err();
                        result
                    });
                    match result {
                        Err(error) if escaped || !error.is_error() => return Err(error),
                        _ if found => return Ok(()),
                        _ => term = right,
                    }
                }
                Kind::Text(format, parts) => {
                    return self.texts(
                        *format,
                        parts,
                        parts.len(),
                        Vec::new(),
                        frame,
                        input.get(),
                        term,
                        out,
                    );
                }
                Kind::If(condition, then, otherwise, branch) => {
                    if condition.outputs.get() == Outputs::Many {
                        return self.each(condition, frame, input.lend(), &mut |this, value| {
                            let holds = value.is_truthy();
                            this.branch(*branch, !holds);
                            this.each(if holds { then } else { otherwise }, frame, input.lend(), out)
                        });
                    }
                    let Some(value) = self.maybe(condition, frame, input.lend())? else { return Ok(()) };
                    let holds = value.is_truthy();
                    self.branch(*branch, !holds);
                    term = if holds { then } else { otherwise };
                }
                Kind::Try(body, catch) => {
                    let mut escaped = false;
                    let result = self.each(body, frame, input.lend(), &mut |this, value| {
                        let result = out(this, value);
                        escaped |= result.is_err();
                        result
                    });
                    match result {
                        Err(error) if !escaped && error.is_error() => {
                            match catch.as_deref().zip(error.cause.into_value_if(catch.is_some())) {
                                Some((catch, value)) => {
                                    input = In::Own(value);
                                    term = catch;
                                }
                                _ => return Ok(()),
                            }
                        }
                        other => return other,
                    }
                }
                Kind::Reduce(fold) => {
                    return self.each(&fold.init, frame, input.lend(), &mut |this, init| {
                        let value = this.reduce(fold, frame, input.get(), init)?;
                        out(this, value)
                    });
                }
                Kind::Foreach(fold, extract) => {
                    return self.each(&fold.init, frame, input.lend(), &mut |this, init| {
                        this.foreach(fold, extract.as_deref(), frame, input.get(), init, out)
                    });
                }
                Kind::Bind(source, slot, body) => {
                    if source.outputs.get() == Outputs::Many {
                        return self.each(source, frame, input.lend(), &mut |this, value| {
                            let before = this.replace(frame, *slot, Entry::Val(value));
                            let result = this.each(body, frame, input.lend(), out);
                            this.replace(frame, *slot, before);
                            result
                        });
                    }
                    let Some(value) = self.maybe(source, frame, input.lend())? else { return Ok(()) };
                    let before = self.replace(frame, *slot, Entry::Val(value));
                    if frame < height {
                        let result = self.each(body, frame, input, out);
                        self.replace(frame, *slot, before);
                        return result;
                    }
                    term = body;
                }
                Kind::Destructure(source, patterns, body) => {
                    return self.each(source, frame, input.lend(), &mut |this, value| {
                        this.destructure(patterns, frame, input.get(), &value, &mut |this| {
                            this.each(body, frame, input.lend(), out)
                        })
                    });
                }
                Kind::Label(slot, body) => {
                    let label = self.fresh_label();
                    let before = self.replace(frame, *slot, Entry::Label(label));
                    let result = self.each(body, frame, input, out);
                    self.replace(frame, *slot, before);
                    return ended(result, label);
                }
                Kind::Closure(slot) => {
                    budget::tick();
                    let Entry::Closure { term: closure, frame: home } = self.entry(frame, *slot) else {
                        return Ok(());
                    };
                    (term, frame) = (&self.code.closures[*closure], *home);
                }
                Kind::Call { function, up, args } => {
                    budget::at(term.at);
                    budget::tick();
                    let is_many =
                        |arg: &Arg| matches!(arg, Arg::Value(value) if value.outputs.get() == Outputs::Many);
                    if args.iter().any(is_many) {
                        return self.calls(*function, *up, args, Vec::new(), frame, input.get(), out);
                    }
                    let mut values = Vec::new();
                    for arg in args {
                        if let Arg::Value(value) = arg {
                            match self.maybe(value, frame, input.lend())? {
                                Some(value) => values.push(value),
                                None => return Ok(()),
                            }
                        }
                    }
                    frame = self.enter(*function, *up, args, values, frame, height);
                    term = &self.code.functions[*function].body;
                }
                Kind::Native(native, args) => {
                    return self.cartesian(args, frame, input.get(), &mut |this, values| {
                        budget::at(term.at);
                        budget::tick();
                        let value =
                            (native.run)(input.get().clone(), values).map_err(|error| place(error, term))?;
                        out(this, value)
                    });
                }
                Kind::Special(special, args) => {
                    return self.specials(*special, args, frame, input, term, out);
                }
                Kind::Assign(path, value) => {
                    return self.each(value, frame, input.lend(), &mut |this, value| {
                        let updated = this
                            .update(path, frame, input.get().clone(), &mut |_, _| Ok(Some(value.clone())))?;
                        out(this, updated)
                    });
                }
                Kind::Arithmetic(operator, path, value) => {
                    return self.each(value, frame, input.lend(), &mut |this, value| {
                        let updated = this.update(path, frame, input.get().clone(), &mut |_, old| {
                            compute(*operator, old, &value).map(Some).map_err(|error| place(error, term))
                        })?;
                        out(this, updated)
                    });
                }
                Kind::Default(path, value) => {
                    return self.each(value, frame, input.lend(), &mut |this, value| {
                        let updated = this.update(path, frame, input.get().clone(), &mut |_, old| {
                            Ok(Some(if old.is_truthy() { old } else { value.clone() }))
                        })?;
                        out(this, updated)
                    });
                }
                Kind::Prune(_, general) => term = general,
                // these never have many outputs
                Kind::Input
                | Kind::Const(_)
                | Kind::Var(_)
                | Kind::Array(_)
                | Kind::Record(..)
                | Kind::Break(_)
                | Kind::Update(..)
                | Kind::Entries { .. } => {
                    return match self.maybe(term, frame, input)? {
                        Some(value) => out(self, value),
                        None => Ok(()),
                    };
                }
            }
        }
    }

    /// `..`
    fn recurse(&mut self, value: Val, out: Out<'_, 'p>) -> Result<(), Exn> {
        budget::tick();
        out(self, value.clone())?;
        if value.is_array() || value.is_object() {
            value.for_each_child(|child| self.recurse(child, out))?;
        }
        Ok(())
    }

    /// A path of steps that have one output each.
    fn path(
        &mut self,
        head: &'p Term,
        steps: &'p [Step],
        frame: usize,
        input: &Val,
    ) -> Result<Option<Val>, Exn> {
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
    fn step(&mut self, step: &'p Step, frame: usize, dot: &Val, value: &Val) -> Result<Option<Val>, Exn> {
        match &step.kind {
            StepKind::Key(key) => value.member(key).map(Some).map_err(|error| error.at(step.at)),
            _ => self.computed_step(step, frame, dot, value),
        }
    }

    fn computed_step(
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

    fn each_path(
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

    fn each_step(
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

    fn objects(
        &mut self,
        members: &'p [(Term, Term)],
        frame: usize,
        input: &Val,
        object: Obj,
        term: &'p Term,
        out: Out<'_, 'p>,
    ) -> Result<(), Exn> {
        let Some(((key, value), rest)) = members.split_first() else {
            return out(self, Val::obj(object));
        };
        self.each(key, frame, In::Ref(input), &mut |this, key| {
            this.each(value, frame, In::Ref(input), &mut |this, value| {
                let mut object = object.clone();
                insert(&mut object, key.clone(), value).map_err(|error| place(error, term))?;
                this.objects(rest, frame, input, object, term, out)
            })
        })
    }

    #[allow(clippy::too_many_arguments, reason = "the state of a loop over parts")]
    fn texts(
        &mut self,
        format: Option<super::code::Format>,
        parts: &'p [TextPart],
        left: usize,
        values: Vec<Val>,
        frame: usize,
        input: &Val,
        term: &'p Term,
        out: Out<'_, 'p>,
    ) -> Result<(), Exn> {
        let Some(at) = left.checked_sub(1) else {
            let value = text(format, parts, values).map_err(|error| place(error, term))?;
            return out(self, value);
        };
        match &parts[at] {
            TextPart::Text(_) => self.texts(format, parts, at, values, frame, input, term, out),
            TextPart::Term(inner) => self.each(inner, frame, In::Ref(input), &mut |this, value| {
                let mut values = values.clone();
                values.push(value);
                this.texts(format, parts, at, values, frame, input, term, out)
            }),
        }
    }

    /// Calls back with every combination of the arguments' outputs, the first varying fastest.
    pub(super) fn cartesian(
        &mut self,
        args: &'p [Term],
        frame: usize,
        input: &Val,
        out: &mut dyn FnMut(&mut Self, &[Val]) -> Result<(), Exn>,
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
        out: &mut dyn FnMut(&mut Self, &[Val]) -> Result<(), Exn>,
    ) -> Result<(), Exn> {
        let Some(at) = left.checked_sub(1) else { return out(self, values) };
        self.each(&args[at], frame, In::Ref(input), &mut |this, value| {
            values[at] = value;
            this.combine(args, at, values, frame, input, out)
        })
    }

    /// A call whose value arguments have many outputs: the first is the outer loop.
    #[allow(clippy::too_many_arguments, reason = "the state of a loop over arguments")]
    fn calls(
        &mut self,
        function: usize,
        up: u32,
        args: &'p [Arg],
        values: Vec<Val>,
        frame: usize,
        input: &Val,
        out: Out<'_, 'p>,
    ) -> Result<(), Exn> {
        let value_args = || {
            args.iter().filter_map(|arg| match arg {
                Arg::Value(term) => Some(term),
                _ => None,
            })
        };
        if let Some(term) = value_args().nth(values.len()) {
            return self.each(term, frame, In::Ref(input), &mut |this, value| {
                let mut values = values.clone();
                values.push(value);
                this.calls(function, up, args, values, frame, input, out)
            });
        }
        let height = self.stack.len();
        let inner = self.enter(function, up, args, values, frame, height);
        let body = &self.code.functions[function].body;
        let result = self.each(body, inner, In::Ref(input), out);
        self.stack.truncate(height);
        result
    }

    fn reduce(&mut self, fold: &'p Fold, frame: usize, input: &Val, init: Val) -> Result<Val, Exn> {
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

    fn foreach(
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
                let old = std::mem::replace(&mut state, Val::Null);
                // without an output the state stays what it was
                let kept = if fold.update.outputs.get() == Outputs::One { Val::Null } else { old.clone() };
                let mut updated = false;
                this.each(&fold.update, frame, In::Own(old), &mut |this, new| {
                    updated = true;
                    match extract {
                        Some(extract) => {
                            let result = this.each(extract, frame, In::Ref(&new), out);
                            state = new;
                            result
                        }
                        None => {
                            state = new.clone();
                            out(this, new)
                        }
                    }
                })?;
                if !updated {
                    state = kept;
                }
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
        body: &mut dyn FnMut(&mut Self) -> Result<(), Exn>,
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
    fn bind(
        &mut self,
        todo: &[(&'p Pattern, Val)],
        frame: usize,
        dot: &Val,
        body: &mut dyn FnMut(&mut Self) -> Result<(), Exn>,
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

    fn bind_members(
        &mut self,
        members: &'p [(Option<u32>, Term, Option<Pattern>)],
        value: &Val,
        rest: &[(&'p Pattern, Val)],
        frame: usize,
        dot: &Val,
        body: &mut dyn FnMut(&mut Self) -> Result<(), Exn>,
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

    /// What a closure parameter stands for.
    pub(super) fn closure(&self, frame: usize, slot: Slot) -> Option<(&'p Term, usize)> {
        match self.entry(frame, slot) {
            Entry::Closure { term, frame } => Some((&self.code.closures[*term], *frame)),
            _ => None,
        }
    }

    /// Enters a call whose arguments are taken at their first outputs... one set of values at a
    /// time, and runs `body` in its frame.
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
        body: &mut dyn FnMut(&mut Self, Vec<Val>) -> Result<(), Exn>,
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

pub(super) fn has_many_keys(step: &Step) -> bool {
    let many = |term: &Term| term.outputs.get() == Outputs::Many;
    match &step.kind {
        StepKind::Index(term) => many(term),
        StepKind::Slice(start, end) => start.iter().chain(end).any(many),
        StepKind::Key(_) | StepKind::Iterate => false,
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

fn insert(object: &mut Obj, key: Val, value: Val) -> Result<(), Exn> {
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
fn text(format: Option<super::code::Format>, parts: &[TextPart], values: Vec<Val>) -> Result<Val, Exn> {
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
