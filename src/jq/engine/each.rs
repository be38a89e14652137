//! Evaluation of terms with any number of outputs, by callback.

use super::code::{Arg, Kind, Outputs, Term, TextPart};
use super::eval::{Entry, In, Machine, Out, compute, ended, insert, place, text};
use crate::jq::budget;
use crate::jq::value::{Exn, Obj, Val};

impl<'p> Machine<'p> {
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

    pub(super) fn each_from(
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
                Kind::If(condition, then, otherwise) => {
                    if condition.outputs.get() == Outputs::Many {
                        return self.each(condition, frame, input.lend(), &mut |this, value| {
                            let holds = value.is_truthy();
                            this.each(if holds { then } else { otherwise }, frame, input.lend(), out)
                        });
                    }
                    let Some(holds) = self.verdict(condition, frame, input.get())? else { return Ok(()) };
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
                    let is_many =
                        |arg: &Arg| matches!(arg, Arg::Value(value) if value.outputs.get() == Outputs::Many);
                    if args.iter().any(is_many) {
                        return self.in_call(term, frame, input.get(), &mut |this, body, inner| {
                            this.each(body, inner, input.lend(), out)
                        });
                    }
                    budget::at(term.at);
                    budget::tick();
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
                        budget::work(input.get().weight());
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
                Kind::Mark(sites, inner) => {
                    self.code.hit(sites);
                    term = inner;
                }
                Kind::MarkTrue(site, inner) => {
                    return self.each(inner, frame, input, &mut |this, value| {
                        if value.is_truthy() {
                            this.code.hit(&[*site]);
                        }
                        out(this, value)
                    });
                }
                // these never have many outputs
                Kind::Input
                | Kind::Const(_)
                | Kind::Var(_)
                | Kind::Array(_)
                | Kind::Record(..)
                | Kind::Is(_)
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
    pub(super) fn recurse(&mut self, value: Val, out: Out<'_, 'p>) -> Result<(), Exn> {
        budget::tick();
        out(self, value.clone())?;
        if value.is_array() || value.is_object() {
            value.for_each_child(|child| self.recurse(child, out))?;
        }
        Ok(())
    }

    pub(super) fn objects(
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
    pub(super) fn texts(
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
}
