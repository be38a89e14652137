//! Lowering of calls: what the evaluator knows itself, what is inlined, what becomes a function.

use std::cell::Cell;
use std::rc::Rc;

use super::code::{Arg, Doomed, Function, Kind, Outputs, Slot, Special, Term};
use super::constant::fold;
use super::delete;
use super::lower::{Lowerer, Missing, PRELUDE, PRELUDE_FILE};
use super::scope::{Binding, Node, Scope, find, push};
use crate::jq::syntax::{self, Def, Kind as Syntax, Span};
use crate::jq::value::Val;

/// Terms beyond which functions are called rather than inlined, unless they come to a constant.
const MAX_TERMS: usize = 20_000;

/// Terms made on the way to those and to constants beyond which nothing is inlined any more.
const MAX_MADE: usize = 200_000;

/// Functions inlined into each other.
const MAX_INLINED: usize = 60;

/// The functions that the evaluator knows itself.
pub(super) const SPECIALS: &[(&str, usize, Special)] = &[
    ("empty", 0, Special::Empty),
    ("error", 0, Special::Error),
    ("error", 1, Special::Error),
    ("path", 1, Special::Path),
    ("first", 1, Special::First),
    ("last", 1, Special::Last),
    ("limit", 2, Special::Limit),
    ("skip", 2, Special::Skip),
    ("any", 2, Special::Any),
    ("all", 2, Special::All),
    ("isempty", 1, Special::IsEmpty),
    ("walk", 1, Special::Walk),
    ("del", 1, Special::Del),
    ("getpath", 1, Special::GetPath),
];

impl<'a> Lowerer<'a> {
    pub(super) fn prelude(&mut self, name: &str, arity: usize) -> Scope<'a> {
        if let Some(scope) = self.prelude.get(&(name, arity)) {
            return scope.clone();
        }
        let def = PRELUDE.defs.iter().find(|def| def.name == name && def.params.len() == arity)?;
        let level = std::mem::replace(&mut self.level, 0);
        let scope = self.define(def, PRELUDE_FILE, None);
        self.level = level;
        self.prelude.insert((&def.name, arity), scope.clone());
        scope
    }

    pub(super) fn call(
        &mut self,
        name: &str,
        args: &'a [syntax::Term],
        scope: &Scope<'a>,
        span: Span,
    ) -> Term {
        // a definition of the prelude sees the prelude and nothing else around it
        let found = find(scope, name, args.len());
        if let Some(node) = found {
            return self.call_node(&node, args, scope, span);
        }
        if let Some(term) = self.known(name, args, scope, span) {
            return fold(term);
        }
        if let Some(node) = self.prelude(name, args.len()) {
            return self.call_node(&node, args, scope, span);
        }
        for arg in args {
            self.term(arg, scope);
        }
        // of a call only the name is wrong
        let span = Span { start: span.start, end: span.start + name.len() as u32 };
        self.missing(span, Missing::Function(name.to_owned(), args.len()))
    }

    /// A call of what the evaluator knows itself.
    pub(super) fn known(
        &mut self,
        name: &str,
        args: &'a [syntax::Term],
        scope: &Scope<'a>,
        span: Span,
    ) -> Option<Term> {
        match (name, args) {
            ("recurse", []) => {
                self.uses_input();
                return Some(self.make(Kind::Recurse, span));
            }
            ("with_entries", [body]) => {
                if let Some(term) = self.entries(body, scope, span) {
                    return Some(term);
                }
            }
            ("range", [from, to, by]) => return Some(self.range([from, to, by], scope, span)),
            ("_sub", [re, body, flags]) => {
                self.uses_input();
                let re = self.elsewhere(|this| this.term(re, scope));
                let body = self.elsewhere(|this| this.term(body, scope));
                let flags = self.elsewhere(|this| this.term(flags, scope));
                return Some(self.make(Kind::Special(Special::Sub, Box::new([re, body, flags])), span));
            }
            _ => {}
        }
        let special = SPECIALS.iter().find(|(this, arity, _)| *this == name && *arity == args.len());
        if let Some((_, _, special)) = special {
            let is_of_input =
                !matches!(special, Special::Empty | Special::First | Special::Last | Special::IsEmpty);
            if is_of_input {
                self.uses_input();
            }
            let mut lowered = Vec::with_capacity(args.len());
            for (number, arg) in args.iter().enumerate() {
                // the condition of `any` and `all` gets each item
                let is_elsewhere = matches!(special, Special::Any | Special::All) && number == 1;
                let term = if is_elsewhere || is_of_input {
                    self.elsewhere(|this| this.term(arg, scope))
                } else {
                    self.term(arg, scope)
                };
                lowered.push(term);
            }
            if *special == Special::Del && self.is_generous && self.sites.is_none() {
                // a condition may be evaluated in both ways; where coverage is counted it counts once
                // the paths are lowered twice: for the way down, and for the general way
                let whole = Doomed { whole: true, ..Doomed::default() };
                let paths = self.elsewhere(|this| this.term(&args[0], scope));
                if let Some(doomed) = delete::doomed(paths, whole) {
                    let general = self.make(Kind::Special(*special, lowered.into()), span);
                    return Some(self.make(Kind::Prune(Box::new(doomed), Box::new(general)), span));
                }
            }
            return Some(self.make(Kind::Special(*special, lowered.into()), span));
        }
        let native = *self.natives.get(&(name, args.len()))?;
        self.uses_input();
        let args: Box<[Term]> = args.iter().map(|arg| self.elsewhere(|this| this.term(arg, scope))).collect();
        Some(self.make(Kind::Native(native, args), span))
    }

    /// `range` of three terms: the first is the outer loop.
    pub(super) fn range(&mut self, args: [&'a syntax::Term; 3], scope: &Scope<'a>, span: Span) -> Term {
        let mut slots = Vec::new();
        let mut bounds = Vec::new();
        for arg in args {
            let arg = self.term(arg, scope);
            bounds.push(match arg.kind {
                Kind::Const(_) | Kind::Var(_) => arg,
                _ => {
                    let slot = self.slot();
                    slots.push((arg, slot));
                    self.make(Kind::Var(Slot { up: 0, slot }), span)
                }
            });
        }
        let mut term = self.make(Kind::Special(Special::Range, bounds.into()), span);
        for (arg, slot) in slots.into_iter().rev() {
            term = self.make(Kind::Bind(Box::new(arg), slot, Box::new(term)), span);
        }
        term
    }

    /// `with_entries(select(condition))`, if the condition looks at the entry only by `.key` and
    /// `.value`.
    pub(super) fn entries(&mut self, body: &'a syntax::Term, scope: &Scope<'a>, span: Span) -> Option<Term> {
        let Syntax::Call(name, args) = &body.kind else { return None };
        let ("select", [condition]) = (name.as_str(), args.as_slice()) else { return None };
        if !self.is_generous || find(scope, "select", 1).is_some() {
            return None;
        }
        let (key, value) = (self.slot(), self.slot());
        let errors = self.undefined.len();
        let before = self.entry.replace((key, value, false));
        let condition = self.term(condition, scope);
        let used = std::mem::replace(&mut self.entry, before);
        // with many outputs an entry would come as often as the condition is true
        condition.settle_alone();
        let is_single = condition.outputs.get() != Outputs::Many && !condition.calls_functions();
        if used.is_none_or(|(_, _, is_used)| is_used) || self.undefined.len() > errors || !is_single {
            self.undefined.truncate(errors);
            return None;
        }
        self.uses_input();
        Some(self.make(Kind::Entries { key, value, keep: Box::new(condition) }, span))
    }

    pub(super) fn call_node(
        &mut self,
        node: &Rc<Node<'a>>,
        args: &'a [syntax::Term],
        scope: &Scope<'a>,
        span: Span,
    ) -> Term {
        match &node.binding {
            Binding::Argument { term, file, scope, stand_in, .. } => {
                let (term, file, scope, stand_in) = (*term, *file, scope.clone(), *stand_in);
                self.within(file, stand_in, |this| this.term(term, &scope))
            }
            Binding::Closure { slot, level, .. } => {
                self.uses_input();
                let slot = Slot { up: self.level - level, slot: *slot };
                self.make(Kind::Closure(slot), span)
            }
            Binding::Var { slot, level, .. } => {
                let slot = Slot { up: self.level - level, slot: *slot };
                self.make(Kind::Var(slot), span)
            }
            Binding::Function { def, file, level, compiled, is_recursive, .. } => {
                // inside the prelude everything stands where the prelude was called
                let stand_in = match *file {
                    PRELUDE_FILE => Some(self.place(span)),
                    _ => None,
                };
                if let Some(constant) = self.share(node) {
                    return constant;
                }
                let may_go_on =
                    !is_recursive && self.inlined < MAX_INLINED && self.made + self.effort < MAX_MADE;
                let has_room = self.is_generous && self.terms < MAX_TERMS;
                let is_inlined = may_go_on && (has_room || self.may_be_constant(node, args, scope));
                if !is_inlined {
                    return self
                        .call_function(node, def, *file, *level, compiled, args, scope, span, stand_in);
                }
                self.inlined += 1;
                let errors = self.undefined.len();
                let mut inner = Some(node.clone());
                let term = self.inline(def, *file, args, scope, &mut inner, 0, span, stand_in);
                self.inlined -= 1;
                self.keep(node, &term, errors);
                term
            }
            Binding::Const { value, .. } => self.make(Kind::Const(value.clone()), span),
            // no other binding is found by the name of a function
            _ => self.make(Kind::Const(Val::Null), span),
        }
    }

    /// Inlines a definition: binds its parameters from number `at` on, then lowers its body.
    #[allow(clippy::too_many_arguments, reason = "a call and the definition that it calls")]
    pub(super) fn inline(
        &mut self,
        def: &'a Def,
        file: u32,
        args: &'a [syntax::Term],
        scope: &Scope<'a>,
        inner: &mut Scope<'a>,
        at: usize,
        span: Span,
        stand_in: Option<u32>,
    ) -> Term {
        let Some((param, arg)) = def.params.get(at).zip(args.get(at)) else {
            let inner = inner.clone();
            return self.within(file, stand_in, |this| this.body(def, &inner));
        };
        if param.is_value {
            let source = self.term(arg, scope);
            let outer = inner.clone();
            return self.bind_to(source, &param.name, true, &outer, span, |this, bound| {
                this.inline(def, file, args, scope, &mut bound.clone(), at + 1, span, stand_in)
            });
        }
        let binding = Binding::Argument {
            name: &param.name,
            term: arg,
            file: self.file,
            scope: scope.clone(),
            stand_in: self.stand_in,
        };
        *inner = push(inner.take(), binding);
        self.inline(def, file, args, scope, inner, at + 1, span, stand_in)
    }

    #[allow(clippy::too_many_arguments, reason = "a call and the definition that it calls")]
    pub(super) fn call_function(
        &mut self,
        node: &Rc<Node<'a>>,
        def: &'a Def,
        file: u32,
        level: u32,
        compiled: &Cell<Option<usize>>,
        args: &'a [syntax::Term],
        scope: &Scope<'a>,
        span: Span,
        stand_in: Option<u32>,
    ) -> Term {
        self.uses_input();
        let function = match compiled.get() {
            Some(function) => function,
            None => {
                let number = self.functions.len();
                self.functions.push(None);
                compiled.set(Some(number));
                let before = (self.slots, self.level, self.entry.take(), self.inlined);
                (self.slots, self.level) = (1, level + 1);
                let mut inner = Some(node.clone());
                for param in &def.params {
                    let slot = self.slot();
                    inner = push(
                        inner,
                        if param.is_value {
                            Binding::Var {
                                name: param.name.clone(),
                                slot,
                                level: self.level,
                                is_callable: true,
                            }
                        } else {
                            Binding::Closure { name: &param.name, slot, level: self.level }
                        },
                    );
                }
                let body = self.within(file, stand_in, |this| this.body(def, &inner));
                let slots = self.slots;
                (self.slots, self.level, self.entry, self.inlined) = before;
                self.functions[number] = Some(Function { body, slots, outputs: Cell::new(Outputs::One) });
                number
            }
        };
        let args = def.params.iter().zip(args).map(|(param, arg)| {
            if param.is_value {
                return Arg::Value(self.elsewhere(|this| this.term(arg, scope)));
            }
            let term = self.elsewhere(|this| this.term(arg, scope));
            match term.kind {
                Kind::Closure(slot) => Arg::Same(slot),
                _ => {
                    self.closures.push(term);
                    Arg::Closure(self.closures.len() - 1)
                }
            }
        });
        let args = args.collect();
        self.make(Kind::Call { function, up: self.level - level, args }, span)
    }
}
