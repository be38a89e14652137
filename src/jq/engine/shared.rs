//! Definitions that come to a constant: they are computed once, and shared by all who call them.
//!
//! Inlining ends at some size, so that code stays small. A constant has no size, so calls of what may
//! come to one are inlined beyond that, too: a table that every event builds anew would cost more than
//! all else. Whether a call may come to a constant is seen from the syntax, because lowering it to find
//! out would leave its traces where it does not.

use std::rc::Rc;

use super::code::{Kind, Term};
use super::lower::{Lowerer, PRELUDE_FILE};
use super::marks::mark;
use super::scope::{Binding, Node, Scope, Shared, find};
use crate::jq::syntax::{self, Binary, Kind as Syntax, Part};
use crate::jq::write::{WriteLimits, measure};

/// Calls that are looked into, each inside the one before.
const MAX_DEPTH: usize = 60;

/// What is shared is no deeper, and has no longer text. A chain of definitions could make it endless.
const BOUNDS: WriteLimits = WriteLimits { depth: 256, bytes: 4 << 20 };

/// A name inside a definition that stands for something constant: a variable, a function, or both.
#[derive(Clone, Copy)]
struct Local<'a> {
    name: &'a str,
    is_variable: bool,
    is_function: bool,
}

impl<'a> Lowerer<'a> {
    /// What a definition came to when it was called before, if that is a constant.
    pub(super) fn share(&mut self, node: &Rc<Node<'a>>) -> Option<Term> {
        let Binding::Function { shared, .. } = &node.binding else { return None };
        let Shared { value, at, sites } = shared.get()?;
        self.terms += 1;
        self.made += 1;
        Some(mark(sites.to_vec(), Term::new(Kind::Const(value.clone()), *at)))
    }

    /// Keeps what the body of a definition without parameters came to, if that is a constant.
    pub(super) fn keep(&self, node: &Rc<Node<'a>>, term: &Term, errors: usize) {
        let Binding::Function { def, file, shared, .. } = &node.binding else { return };
        // an error is told, and a place in the prelude is that of the call
        if !def.params.is_empty() || *file == PRELUDE_FILE || self.undefined.len() > errors {
            return;
        }
        let (constant, sites) = match &term.kind {
            Kind::Mark(sites, inner) => (&**inner, sites.clone()),
            _ => (term, Box::default()),
        };
        if let Some(value) = constant.as_const()
            && measure(value, BOUNDS).is_ok()
        {
            // a second lowering of the same comes to the same
            let _ = shared.set(Shared { value: value.clone(), at: constant.at, sites });
        }
    }

    /// Whether a call may come to a constant.
    pub(super) fn may_be_constant(
        &mut self,
        node: &Rc<Node<'a>>,
        args: &'a [syntax::Term],
        scope: &Scope<'a>,
    ) -> bool {
        args.iter().all(|arg| self.may_fold(arg, scope, &mut Vec::new(), 0)) && self.def_may_fold(node, 0)
    }

    /// Whether a definition may come to a constant if its arguments are constant.
    fn def_may_fold(&mut self, node: &Rc<Node<'a>>, depth: usize) -> bool {
        let Binding::Function { def, file, is_recursive, may_fold, .. } = &node.binding else { return false };
        if let Some(known) = may_fold.get() {
            return known;
        }
        let mut locals = Vec::new();
        for param in &def.params {
            locals.push(Local { name: &param.name, is_variable: param.is_value, is_function: true });
        }
        let result = !is_recursive
            && *file != PRELUDE_FILE
            && depth < MAX_DEPTH
            && self.may_fold(&def.body, &Some(node.clone()), &mut locals, depth + 1);
        may_fold.set(Some(result));
        result
    }

    /// Whether a term is made of nothing but what can be computed before the program runs.
    fn may_fold(
        &mut self,
        term: &'a syntax::Term,
        scope: &Scope<'a>,
        locals: &mut Vec<Local<'a>>,
        depth: usize,
    ) -> bool {
        if self.fuel == 0 || depth > MAX_DEPTH {
            return false;
        }
        self.fuel -= 1;
        match &term.kind {
            Syntax::Null | Syntax::Bool(_) | Syntax::Number(_) | Syntax::Place(_) | Syntax::Array(None) => {
                true
            }
            Syntax::String { parts, .. } => parts.iter().all(|part| match part {
                Part::Text(_) => true,
                Part::Term(term) => self.may_fold(term, scope, locals, depth),
            }),
            Syntax::Array(Some(inner)) | Syntax::Negate(inner) => self.may_fold(inner, scope, locals, depth),
            Syntax::Pipe(terms) | Syntax::Comma(terms) => {
                terms.iter().all(|term| self.may_fold(term, scope, locals, depth))
            }
            Syntax::Binary(Binary::Multiply, ..) => false,
            Syntax::Binary(_, a, b) | Syntax::And(a, b) | Syntax::Or(a, b) | Syntax::Alternative(a, b) => {
                self.may_fold(a, scope, locals, depth) && self.may_fold(b, scope, locals, depth)
            }
            Syntax::If(branches, otherwise) => {
                let branches = branches.iter().flat_map(|(condition, then)| [condition, then]);
                branches.chain(otherwise.as_deref()).all(|term| self.may_fold(term, scope, locals, depth))
            }
            // `{a}` is `{a: .a}`, but `{$a}` is `{a: $a}`
            Syntax::Object(members) => members.iter().all(|member| {
                (member.value.is_some() || matches!(member.key.kind, Syntax::Var(_)))
                    && std::iter::once(&member.key)
                        .chain(&member.value)
                        .all(|term| self.may_fold(term, scope, locals, depth))
            }),
            Syntax::Path(head, steps) => {
                let mut keys = Vec::with_capacity(steps.len() + 1);
                keys.push(&**head);
                for step in steps {
                    match &step.kind {
                        syntax::StepKind::Field(key) | syntax::StepKind::Index(key) if !step.is_optional => {
                            keys.push(key);
                        }
                        _ => return false,
                    }
                }
                keys.into_iter().all(|key| self.may_fold(key, scope, locals, depth))
            }
            Syntax::Bind { source, patterns, body } => {
                let [syntax::Pattern::Var(name)] = patterns.as_slice() else { return false };
                if !self.may_fold(source, scope, locals, depth) {
                    return false;
                }
                locals.push(Local { name, is_variable: true, is_function: false });
                let result = self.may_fold(body, scope, locals, depth);
                locals.pop();
                result
            }
            Syntax::Var(name) => {
                locals.iter().any(|local| local.is_variable && local.name == name)
                    || is_constant_variable(scope, name)
            }
            Syntax::Call(name, args) => {
                if args.is_empty() && locals.iter().any(|local| local.is_function && local.name == name) {
                    return true;
                }
                let Some(node) = find(scope, name, args.len()) else { return false };
                match &node.binding {
                    Binding::Const { .. } => true,
                    Binding::Argument { term, scope, .. } => {
                        self.may_fold(term, scope, &mut Vec::new(), depth + 1)
                    }
                    Binding::Function { .. } => {
                        args.iter().all(|arg| self.may_fold(arg, scope, locals, depth))
                            && self.def_may_fold(&node, depth)
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

/// Whether a variable is bound to a constant.
fn is_constant_variable(scope: &Scope<'_>, name: &str) -> bool {
    let mut at = scope.as_ref();
    while let Some(node) = at {
        match &node.binding {
            Binding::Const { name: this, .. } if this == name => return true,
            Binding::Var { name: this, .. } | Binding::Given { name: this } if this == name => return false,
            _ => {}
        }
        at = node.parent.as_ref();
    }
    false
}
