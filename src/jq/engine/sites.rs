//! What coverage is about: places of a program's text that an event may reach or not. They are taken
//! from the syntax, because code has no trace of a function that is not called.

use std::collections::HashMap;

use super::code::Place;
use super::lower::Loaded;
use crate::jq::syntax::{Def, Kind as Syntax, Span, Term};

/// What a site of a program is, and so what it takes to reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SiteKind {
    /// A definition: it is called.
    Function,
    /// What follows the first `then` of an `if`: it is evaluated.
    Then,
    /// What follows the `then` of an `elif`: it is evaluated.
    Elif,
    /// What follows `else`: it is evaluated.
    Else,
    /// An `if` without `else`: no condition holds, and the input passes as it is.
    OmittedElse,
    /// The left side of `//`: it has an output that is neither null nor false.
    Preferred,
    /// The right side of `//`: it is evaluated. In `a // b // c` there is one for `c`; what is right
    /// of `a` is not a site of its own.
    Alternative,
    /// What follows `catch`: there is an error.
    Handler,
    /// The right side of `and` and `or`: the left side does not decide.
    Operand,
    /// A member of an object construction: its value is evaluated.
    ObjectKey,
}

impl SiteKind {
    /// A short word for a report.
    pub fn name(self) -> &'static str {
        match self {
            SiteKind::Function => "function",
            SiteKind::Then => "then",
            SiteKind::Elif => "elif",
            SiteKind::Else => "else",
            SiteKind::OmittedElse => "omitted else",
            SiteKind::Preferred => "left of //",
            SiteKind::Alternative => "right of //",
            SiteKind::Handler => "catch",
            SiteKind::Operand => "right of and/or",
            SiteKind::ObjectKey => "object key",
        }
    }

    /// Whether it is one of the ways that a program can go at an `if`, a `//` or a `try … catch`.
    pub fn is_branch(self) -> bool {
        match self {
            SiteKind::Then
            | SiteKind::Elif
            | SiteKind::Else
            | SiteKind::OmittedElse
            | SiteKind::Preferred
            | SiteKind::Alternative
            | SiteKind::Handler => true,
            SiteKind::Function | SiteKind::Operand | SiteKind::ObjectKey => false,
        }
    }
}

/// All sites of a program and its modules, numbered.
#[derive(Debug)]
pub(in crate::jq) struct Sites {
    /// File by file, and there in the order of the text.
    pub(in crate::jq) list: Vec<(Place, SiteKind)>,
    numbers: HashMap<(Place, SiteKind), u32>,
}

impl Sites {
    pub(in crate::jq) fn of(files: &[Loaded]) -> Self {
        let mut list = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let mut add = |kind, span| list.push((Place { file: number as u32, span }, kind));
            for def in &file.tree.defs {
                of_def(def, &mut add);
            }
            if let Some(body) = &file.tree.body {
                of_term(body, &mut add);
            }
        }
        list.sort_unstable();
        list.dedup();
        let numbers = list.iter().enumerate().map(|(number, site)| (*site, number as u32)).collect();
        Sites { list, numbers }
    }

    pub(in crate::jq) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn find(&self, place: Place, kind: SiteKind) -> Option<u32> {
        self.numbers.get(&(place, kind)).copied()
    }
}

/// Whether a term is itself a `//`, whose sides are sites already.
pub(super) fn is_chain(term: &Term) -> bool {
    matches!(term.kind, Syntax::Alternative(..))
}

fn of_def(def: &Def, add: &mut dyn FnMut(SiteKind, Span)) {
    add(SiteKind::Function, def.span);
    of_term(&def.body, add);
}

fn of_term(term: &Term, add: &mut dyn FnMut(SiteKind, Span)) {
    match &term.kind {
        Syntax::If(branches, otherwise) => {
            for (at, (_, then)) in branches.iter().enumerate() {
                add(if at == 0 { SiteKind::Then } else { SiteKind::Elif }, then.span);
            }
            match otherwise {
                Some(otherwise) => add(SiteKind::Else, otherwise.span),
                None => add(SiteKind::OmittedElse, term.span),
            }
        }
        Syntax::Alternative(left, right) => {
            add(SiteKind::Preferred, left.span);
            if !is_chain(right) {
                add(SiteKind::Alternative, right.span);
            }
        }
        Syntax::And(_, right) | Syntax::Or(_, right) => add(SiteKind::Operand, right.span),
        Syntax::Try(_, Some(catch)) => add(SiteKind::Handler, catch.span),
        Syntax::Object(members) => {
            members.iter().for_each(|member| add(SiteKind::ObjectKey, member.key.span));
        }
        Syntax::Defs(defs, _) => defs.iter().for_each(|def| add(SiteKind::Function, def.span)),
        _ => {}
    }
    term.children(&mut |term| of_term(term, add));
}
