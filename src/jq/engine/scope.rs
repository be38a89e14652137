//! Names and what they stand for, innermost first.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use crate::jq::syntax::{self, Def, Kind as Syntax};
use crate::jq::value::Val;

/// What a name stands for.
pub(super) enum Binding<'a> {
    Function {
        def: &'a Def,
        file: u32,
        level: u32,
        /// Number of its function, once it has one.
        compiled: Cell<Option<usize>>,
        is_recursive: bool,
        /// What it comes to, if that is a constant; known once it was called.
        shared: OnceCell<Shared>,
        /// Whether it may come to a constant, given constant arguments; known once that was asked.
        may_fold: Cell<Option<bool>>,
    },
    /// A parameter of an inlined function: the argument, and where it is written.
    Argument {
        name: &'a str,
        term: &'a syntax::Term,
        file: u32,
        scope: Scope<'a>,
        stand_in: Option<u32>,
    },
    /// A parameter of a function that is called.
    Closure {
        name: &'a str,
        slot: u32,
        level: u32,
    },
    Var {
        name: String,
        slot: u32,
        level: u32,
        is_callable: bool,
    },
    Const {
        name: String,
        value: Val,
        is_callable: bool,
    },
    /// A member of the object in slot 1, which each run is given.
    Given {
        name: String,
    },
    Label {
        name: String,
        slot: u32,
        level: u32,
    },
    /// `import … as name`: the names of a module.
    Module {
        name: String,
        names: Scope<'a>,
    },
    /// `include`: the names of a module, as if they were here.
    Include {
        names: Scope<'a>,
    },
    /// Where the names of a module begin.
    Start,
}

/// A constant that all calls of a definition share.
pub(super) struct Shared {
    pub(super) value: Val,
    pub(super) at: u32,
    /// Sites that are reached with it.
    pub(super) sites: Box<[u32]>,
}

pub(super) struct Node<'a> {
    pub(super) binding: Binding<'a>,
    pub(super) parent: Scope<'a>,
}

pub(super) type Scope<'a> = Option<Rc<Node<'a>>>;

#[allow(clippy::unnecessary_wraps, reason = "a scope may be empty; this one is not")]
pub(super) fn push<'a>(parent: Scope<'a>, binding: Binding<'a>) -> Scope<'a> {
    Some(Rc::new(Node { binding, parent }))
}

impl Drop for Node<'_> {
    /// Unlinks what is around it one by one: there may be thousands.
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(node) = parent {
            match Rc::try_unwrap(node) {
                Ok(mut node) => parent = node.parent.take(),
                Err(_) => break,
            }
        }
    }
}

pub(super) fn find<'a>(scope: &Scope<'a>, name: &str, arity: usize) -> Scope<'a> {
    if let Some((module, rest)) = name.split_once("::") {
        let mut at = scope.as_ref();
        while let Some(node) = at {
            if let Binding::Module { name, names } = &node.binding
                && name == module
                && let Some(found) = find_exported(names, rest, arity)
            {
                return Some(found);
            }
            at = node.parent.as_ref();
        }
        return None;
    }
    let mut at = scope.as_ref();
    while let Some(node) = at {
        let is_found = match &node.binding {
            Binding::Function { def, .. } => def.name == name && def.params.len() == arity,
            Binding::Argument { name: this, .. } | Binding::Closure { name: this, .. } => {
                arity == 0 && *this == name
            }
            Binding::Var { name: this, is_callable: true, .. }
            | Binding::Const { name: this, is_callable: true, .. } => arity == 0 && this == name,
            Binding::Include { names } => {
                if let Some(found) = find_exported(names, name, arity) {
                    return Some(found);
                }
                false
            }
            _ => false,
        };
        if is_found {
            return Some(node.clone());
        }
        at = node.parent.as_ref();
    }
    None
}

/// A function of a module, not of what the module imports.
pub(super) fn find_exported<'a>(names: &Scope<'a>, name: &str, arity: usize) -> Scope<'a> {
    let mut at = names.as_ref();
    while let Some(node) = at {
        match &node.binding {
            Binding::Start => return None,
            Binding::Function { def, .. } if def.name == name && def.params.len() == arity => {
                return Some(node.clone());
            }
            Binding::Include { names } => {
                if let Some(found) = find_exported(names, name, arity) {
                    return Some(found);
                }
            }
            _ => {}
        }
        at = node.parent.as_ref();
    }
    None
}

/// Whether a term calls a function of this name. Another of the same name inside counts too.
pub(super) fn calls(term: &syntax::Term, name: &str, arity: usize) -> bool {
    if let Syntax::Call(this, args) = &term.kind
        && this == name
        && args.len() == arity
    {
        return true;
    }
    let mut found = false;
    term.children(&mut |term| found = found || calls(term, name, arity));
    found
}
