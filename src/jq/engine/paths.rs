//! Evaluation of terms as paths: where in the input an output stands.

use std::rc::Rc;

use super::code::{Fold, Kind, Special, Step, StepKind, Term};
use super::eval::{In, Machine, ended, place};
use super::steps::{has_many_keys, optional};
use crate::jq::budget;
use crate::jq::value::{self, Cause, Exn, Raised, Slice, Val, clip};

/// The way from the input to a value.
#[derive(Clone)]
pub(super) enum Trail {
    Root,
    Below(Rc<Link>),
    /// The value was computed: it stands nowhere.
    Lost,
}

/// A key and the way to it.
pub(super) struct Link {
    parent: Trail,
    key: Val,
}

impl Drop for Link {
    /// Unlinks the way up one by one: it may be longer than the stack is deep.
    fn drop(&mut self) {
        let mut parent = std::mem::replace(&mut self.parent, Trail::Root);
        while let Trail::Below(link) = parent {
            match Rc::try_unwrap(link) {
                Ok(mut link) => parent = std::mem::replace(&mut link.parent, Trail::Root),
                Err(_) => break,
            }
        }
    }
}

impl Trail {
    fn then(&self, key: Val) -> Trail {
        match self {
            Trail::Lost => Trail::Lost,
            parent => Trail::Below(Rc::new(Link { parent: parent.clone(), key })),
        }
    }

    /// The keys from the input on. An error if `value` was computed.
    pub(super) fn to_keys(&self, value: &Val) -> Result<Vec<Val>, Exn> {
        let mut keys = Vec::new();
        let mut at = self;
        loop {
            match at {
                Trail::Root => break,
                Trail::Below(link) => {
                    keys.push(link.key.clone());
                    at = &link.parent;
                }
                Trail::Lost => {
                    let message = format!("Invalid path expression with result {}", clip(value, 26));
                    return Err(Raised::about(value, message));
                }
            }
        }
        keys.reverse();
        Ok(keys)
    }
}

pub(super) type PathOut<'o, 'p> = &'o mut dyn FnMut(&mut Machine<'p>, Trail, Val) -> Result<(), Exn>;

impl<'p> Machine<'p> {
    /// Calls back with each output of a term and its place, given the place of the input.
    pub(super) fn paths(
        &mut self,
        term: &'p Term,
        frame: usize,
        trail: &Trail,
        input: In<'_>,
        out: PathOut<'_, 'p>,
    ) -> Result<(), Exn> {
        match &term.kind {
            Kind::Input => out(self, trail.clone(), input.own()),
            Kind::Recurse => self.recurse_paths(trail, input.own(), out),
            Kind::Path(head, steps) => self.path_steps(head, steps, frame, trail, input, out),
            Kind::Pipe(first, second) => self.paths(first, frame, trail, input, &mut |this, trail, value| {
                this.paths(second, frame, &trail, In::Own(value), out)
            }),
            Kind::Comma(terms) => {
                terms.iter().try_for_each(|term| self.paths(term, frame, trail, input.lend(), out))
            }
            Kind::If(condition, then, otherwise) => {
                self.each(condition, frame, input.lend(), &mut |this, value| {
                    let holds = value.is_truthy();
                    this.paths(if holds { then } else { otherwise }, frame, trail, input.lend(), out)
                })
            }
            Kind::Alternative(left, right) => {
                let (mut found, mut escaped) = (false, false);
                let result = self.paths(left, frame, trail, input.lend(), &mut |this, trail, value| {
                    if !value.is_truthy() {
                        return Ok(());
                    }
                    found = true;
                    let result = out(this, trail, value);
                    escaped |= result.is_err();
                    result
                });
                match result {
                    Err(error) if escaped || !error.is_error() => Err(error),
                    _ if found => Ok(()),
                    _ => self.paths(right, frame, trail, input, out),
                }
            }
            Kind::Try(body, catch) => {
                let mut escaped = false;
                let result = self.paths(body, frame, trail, input.lend(), &mut |this, trail, value| {
                    let result = out(this, trail, value);
                    escaped |= result.is_err();
                    result
                });
                match result {
                    Err(error) if !escaped && error.is_error() => match catch
                        .as_deref()
                        .zip(error.cause.into_value_if(catch.is_some()))
                    {
                        Some((catch, value)) => self.paths(catch, frame, &Trail::Lost, In::Own(value), out),
                        _ => Ok(()),
                    },
                    other => other,
                }
            }
            Kind::Reduce(fold) => {
                self.paths(&fold.init, frame, trail, input.lend(), &mut |this, init_trail, init| {
                    let (trail, value) = this.reduce_paths(fold, frame, input.get(), init_trail, init)?;
                    out(this, trail, value)
                })
            }
            Kind::Foreach(fold, extract) => {
                self.paths(&fold.init, frame, trail, input.lend(), &mut |this, init_trail, init| {
                    let mut state = (init_trail, init);
                    this.each(&fold.source, frame, input.lend(), &mut |this, item| {
                        budget::tick();
                        this.destructure(&fold.patterns, frame, input.get(), &item, &mut |this| {
                            // without an output the state is null
                            let (old_trail, old) = std::mem::replace(&mut state, (Trail::Root, Val::Null));
                            this.paths(
                                &fold.update,
                                frame,
                                &old_trail,
                                In::Own(old),
                                &mut |this, trail, value| {
                                    state = (trail.clone(), value.clone());
                                    match extract {
                                        Some(extract) => {
                                            this.paths(extract, frame, &trail, In::Own(value), out)
                                        }
                                        None => out(this, trail, value),
                                    }
                                },
                            )
                        })
                    })
                })
            }
            Kind::Bind(source, slot, body) => self.each(source, frame, input.lend(), &mut |this, value| {
                this.with_slot(frame, *slot, value, |this| this.paths(body, frame, trail, input.lend(), out))
            }),
            Kind::Destructure(source, patterns, body) => {
                self.each(source, frame, input.lend(), &mut |this, value| {
                    this.destructure(patterns, frame, input.get(), &value, &mut |this| {
                        this.paths(body, frame, trail, input.lend(), out)
                    })
                })
            }
            Kind::Label(slot, body) => {
                self.with_label(frame, *slot, |this| this.paths(body, frame, trail, input, out))
            }
            Kind::Closure(slot) => {
                budget::tick();
                match self.closure(frame, *slot) {
                    Some((closure, home)) => self.paths(closure, home, trail, input, out),
                    None => Ok(()),
                }
            }
            Kind::Call { .. } => {
                let input = input.own();
                self.in_call(term, frame, &input, &mut |this, body, inner| {
                    this.paths(body, inner, trail, In::Ref(&input), out)
                })
            }
            Kind::Special(special, args) => {
                self.special_paths(*special, args, frame, trail, input, term, out)
            }
            Kind::Mark(sites, inner) => {
                self.code.hit(sites);
                self.paths(inner, frame, trail, input, out)
            }
            Kind::MarkTrue(site, inner) => {
                self.paths(inner, frame, trail, input, &mut |this, trail, value| {
                    if value.is_truthy() {
                        this.code.hit(&[*site]);
                    }
                    out(this, trail, value)
                })
            }
            Kind::Prune(_, general) => self.computed(general, frame, trail, input, out),
            _ => self.computed(term, frame, trail, input, out),
        }
    }

    /// A term that is no path. An output that is the input itself still stands where it stood.
    fn computed(
        &mut self,
        term: &'p Term,
        frame: usize,
        trail: &Trail,
        input: In<'_>,
        out: PathOut<'_, 'p>,
    ) -> Result<(), Exn> {
        self.each(term, frame, input.lend(), &mut |this, value| {
            let trail = if value.is_same(input.get()) { trail.clone() } else { Trail::Lost };
            out(this, trail, value)
        })
    }

    fn recurse_paths(&mut self, trail: &Trail, value: Val, out: PathOut<'_, 'p>) -> Result<(), Exn> {
        budget::tick();
        out(self, trail.clone(), value.clone())?;
        if value.is_array() || value.is_object() {
            return each_key(&value, |key, child| self.recurse_paths(&trail.then(key), child, out));
        }
        Ok(())
    }

    fn path_steps(
        &mut self,
        head: &'p Term,
        steps: &'p [Step],
        frame: usize,
        trail: &Trail,
        input: In<'_>,
        out: PathOut<'_, 'p>,
    ) -> Result<(), Exn> {
        // as for values: keys with many outputs are the outer loops
        if let Some(many) = steps.iter().rposition(has_many_keys) {
            return self.keys(&steps[many], frame, input.get(), &mut |this, key| {
                this.path_steps(
                    head,
                    &steps[..many],
                    frame,
                    trail,
                    input.lend(),
                    &mut |this, trail, value| {
                        let step = &steps[many];
                        let found = keyed(&trail, &value, &key).map_err(|error| error.at(step.at));
                        match optional(found.map(Some), step)? {
                            Some(child) => this.path_rest(
                                &steps[many + 1..],
                                frame,
                                input.get(),
                                &trail.then(key.clone()),
                                child,
                                out,
                            ),
                            None => Ok(()),
                        }
                    },
                )
            });
        }
        if matches!(head.kind, Kind::Input) {
            return self.path_rest(steps, frame, input.get(), trail, input.get().clone(), out);
        }
        self.paths(head, frame, trail, input.lend(), &mut |this, trail, value| {
            this.path_rest(steps, frame, input.get(), &trail, value, out)
        })
    }

    fn path_rest(
        &mut self,
        steps: &'p [Step],
        frame: usize,
        dot: &Val,
        trail: &Trail,
        value: Val,
        out: PathOut<'_, 'p>,
    ) -> Result<(), Exn> {
        let Some((step, rest)) = steps.split_first() else { return out(self, trail.clone(), value) };
        let key = match &step.kind {
            StepKind::Key(key) => Val::Str(key.clone()),
            StepKind::Index(term) => match self.maybe(term, frame, In::Ref(dot))? {
                Some(key) => key,
                None => return Ok(()),
            },
            StepKind::Slice(start, end) => {
                let mut bound = |term: &'p Option<Term>| match term {
                    Some(term) => self.maybe(term, frame, In::Ref(dot)),
                    None => Ok(Some(Val::Null)),
                };
                let (Some(start), Some(end)) = (bound(start)?, bound(end)?) else { return Ok(()) };
                Slice { start, end }.to_key()
            }
            StepKind::Iterate => {
                if matches!(trail, Trail::Lost) {
                    let message = format!(
                        "Invalid path expression near attempt to iterate through {}",
                        clip(&value, 26)
                    );
                    return Err(Raised::about(&value, message).at(step.at));
                }
                if !(value.is_array() || value.is_object()) {
                    return match step.is_optional {
                        true => Ok(()),
                        false => Err(value::no_iteration(&value).at(step.at)),
                    };
                }
                return each_key(&value, |key, child| {
                    budget::tick();
                    self.path_rest(rest, frame, dot, &trail.then(key), child, out)
                });
            }
        };
        let found = keyed(trail, &value, &key).map(Some).map_err(|error| error.at(step.at));
        match optional(found, step)? {
            Some(child) => self.path_rest(rest, frame, dot, &trail.then(key), child, out),
            None => Ok(()),
        }
    }

    fn reduce_paths(
        &mut self,
        fold: &'p Fold,
        frame: usize,
        input: &Val,
        trail: Trail,
        init: Val,
    ) -> Result<(Trail, Val), Exn> {
        let mut state = Some((trail, init));
        self.each(&fold.source, frame, In::Ref(input), &mut |this, item| {
            budget::tick();
            this.destructure(&fold.patterns, frame, input, &item, &mut |this| {
                let (old_trail, old) = state.take().unwrap_or((Trail::Root, Val::Null));
                this.paths(&fold.update, frame, &old_trail, In::Own(old), &mut |_, trail, value| {
                    state = Some((trail, value));
                    Ok(())
                })
            })
        })?;
        Ok(state.unwrap_or((Trail::Root, Val::Null)))
    }

    #[allow(clippy::too_many_arguments, reason = "a call, its place and its reader")]
    fn special_paths(
        &mut self,
        special: Special,
        args: &'p [Term],
        frame: usize,
        trail: &Trail,
        input: In<'_>,
        term: &'p Term,
        out: PathOut<'_, 'p>,
    ) -> Result<(), Exn> {
        budget::at(term.at);
        budget::tick();
        match special {
            Special::Empty => Ok(()),
            Special::First => {
                let label = self.fresh_label();
                let result = self.paths(&args[0], frame, trail, input, &mut |this, trail, value| {
                    out(this, trail, value)?;
                    Err(Raised::new(Cause::Break(label)))
                });
                ended(result, label)
            }
            Special::Last => {
                let mut last = None;
                self.paths(&args[0], frame, trail, input, &mut |_, trail, value| {
                    last = Some((trail, value));
                    Ok(())
                })?;
                match last {
                    Some((trail, value)) => out(self, trail, value),
                    None => Ok(()),
                }
            }
            Special::Limit | Special::Skip => self.each(&args[0], frame, input.lend(), &mut |this, count| {
                let count = count.as_f64().unwrap_or(0.0);
                if count < 0.0 {
                    let name = if special == Special::Limit { "limit" } else { "skip" };
                    let message = format!("{name} doesn't support negative count");
                    return Err(place(Raised::message(message), term));
                }
                let mut left = count.ceil() as u64;
                if special == Special::Limit && left == 0 {
                    return Ok(());
                }
                let label = this.fresh_label();
                let result = this.paths(&args[1], frame, trail, input.lend(), &mut |this, trail, value| {
                    if special == Special::Skip {
                        if left > 0 {
                            left -= 1;
                            return Ok(());
                        }
                        return out(this, trail, value);
                    }
                    left -= 1;
                    out(this, trail, value)?;
                    if left == 0 { Err(Raised::new(Cause::Break(label))) } else { Ok(()) }
                });
                ended(result, label)
            }),
            Special::GetPath => self.each(&args[0], frame, input.lend(), &mut |this, path| {
                let value =
                    super::special::get_path(input.get(), &path).map_err(|error| place(error, term))?;
                let keys = path.as_items().unwrap_or_default();
                let trail = keys.iter().fold(trail.clone(), |trail, key| trail.then(key.clone()));
                out(this, trail, value)
            }),
            _ => self.computed(term, frame, trail, input, out),
        }
    }
}

/// `.[key]` of a value that must stand somewhere.
fn keyed(trail: &Trail, value: &Val, key: &Val) -> Result<Val, Exn> {
    if matches!(trail, Trail::Lost) {
        let message = format!(
            "Invalid path expression near attempt to access element {} of {}",
            clip(key, 11),
            clip(value, 26)
        );
        return Err(Raised::about(value, message));
    }
    value.index(key)
}

/// Calls `each` with the keys and children of an array or object.
pub(super) fn each_key(value: &Val, mut each: impl FnMut(Val, Val) -> Result<(), Exn>) -> Result<(), Exn> {
    if let Some(members) = value.as_members() {
        return members.iter().try_for_each(|(key, child)| each(Val::Str(key.clone()), child.clone()));
    }
    let items = value.as_items().unwrap_or_default();
    items.iter().enumerate().try_for_each(|(at, child)| each(Val::of_usize(at), child.clone()))
}
