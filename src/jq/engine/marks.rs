//! Lowering of what has sites of its own, and the marks that count them.
//!
//! A mark is a term of its own around the one that it counts. It is there only if coverage is counted;
//! code without it runs as if there were no such thing.

use super::code::{Kind, Place, StepKind, Term, TextPart};
use super::constant::{constant_of, take_constant};
use super::lower::Lowerer;
use super::scope::Scope;
use super::sites::{SiteKind, is_chain};
use crate::jq::syntax::{self, Def, Span};
use crate::jq::value::Val;

impl<'a> Lowerer<'a> {
    /// Counts evaluations of a term, if they are to be counted.
    pub(super) fn marked(&self, kind: SiteKind, span: Span, term: Term) -> Term {
        match self.site(kind, span) {
            Some(site) => mark(vec![site], term),
            None => term,
        }
    }

    /// Number of a site of the current file.
    fn site(&self, kind: SiteKind, span: Span) -> Option<u32> {
        self.sites?.find(Place { file: self.file, span }, kind)
    }

    /// The right side of `and` and `or`.
    pub(super) fn operand(&mut self, right: &'a syntax::Term, scope: &Scope<'a>) -> Term {
        let term = self.term(right, scope);
        self.marked(SiteKind::Operand, right.span, term)
    }

    /// `left // right`
    pub(super) fn alternative(
        &mut self,
        left: &'a syntax::Term,
        right: &'a syntax::Term,
        scope: &Scope<'a>,
    ) -> Kind {
        let mut preferred = self.term(left, scope);
        if let Some(site) = self.site(SiteKind::Preferred, left.span) {
            let at = preferred.at;
            preferred = Term::new(Kind::MarkTrue(site, Box::new(preferred)), at);
        }
        let mut alternative = self.term(right, scope);
        if !is_chain(right) {
            alternative = self.marked(SiteKind::Alternative, right.span, alternative);
        }
        Kind::Alternative(Box::new(preferred), Box::new(alternative))
    }

    pub(super) fn condition(
        &mut self,
        branches: &'a [(syntax::Term, syntax::Term)],
        otherwise: Option<&'a syntax::Term>,
        scope: &Scope<'a>,
        span: Span,
    ) -> Term {
        self.branch(branches, SiteKind::Then, otherwise, scope, span)
    }

    /// An `if` from one of its conditions on.
    fn branch(
        &mut self,
        branches: &'a [(syntax::Term, syntax::Term)],
        first: SiteKind,
        otherwise: Option<&'a syntax::Term>,
        scope: &Scope<'a>,
        span: Span,
    ) -> Term {
        let Some(((condition, then), rest)) = branches.split_first() else {
            return match otherwise {
                Some(otherwise) => {
                    let term = self.term(otherwise, scope);
                    self.marked(SiteKind::Else, otherwise.span, term)
                }
                None => {
                    self.uses_input();
                    let term = self.make(Kind::Input, span);
                    self.marked(SiteKind::OmittedElse, span, term)
                }
            };
        };
        let condition = self.term(condition, scope);
        let lowered = self.term(then, scope);
        let then = self.marked(first, then.span, lowered);
        let otherwise = self.branch(rest, SiteKind::Elif, otherwise, scope, span);
        // of a condition that is known only one way is left
        let condition = match take_constant(condition) {
            Ok((sites, verdict)) => return mark(sites, if verdict.is_truthy() { then } else { otherwise }),
            Err(condition) => condition,
        };
        self.make(Kind::If(Box::new(condition), Box::new(then), Box::new(otherwise)), span)
    }

    /// The body of a definition of the current file.
    pub(super) fn body(&mut self, def: &'a Def, scope: &Scope<'a>) -> Term {
        let body = self.term(&def.body, scope);
        self.marked(SiteKind::Function, def.span, body)
    }
}

/// A term and the sites that are reached with it.
pub(super) fn mark(sites: Vec<u32>, term: Term) -> Term {
    if sites.is_empty() {
        return term;
    }
    let at = term.at;
    let (sites, term) = match term.kind {
        // one mark, so that it is still seen what a constant is
        Kind::Mark(more, inner) => (sites.into_iter().chain(more).collect(), inner),
        kind => (sites.into(), Box::new(Term { kind, ..term })),
    };
    Term::new(Kind::Mark(sites, term), at)
}

/// Takes the marks from the constants that a term is made of, if it is made of nothing else: whoever
/// reaches it reaches them all.
pub(super) fn unmark(term: &mut Term) -> Vec<u32> {
    let is_fixed = |term: &Term| match &term.kind {
        Kind::Mark(_, inner) => inner.as_const().is_some(),
        kind => matches!(kind, Kind::Const(_)),
    };
    let mut parts: Vec<&mut Term> = match &mut term.kind {
        Kind::Array(Some(inner)) => match &mut inner.kind {
            Kind::Comma(items) => items.iter_mut().collect(),
            Kind::Mark(..) => vec![inner],
            _ => return Vec::new(),
        },
        Kind::Object(members) => {
            if members.iter().any(|(key, _)| !matches!(constant_of(key), Some(Val::Str(_)))) {
                return Vec::new();
            }
            members.iter_mut().flat_map(|(key, value)| [key, value]).collect()
        }
        Kind::Negate(inner) => vec![inner],
        Kind::Binary(_, left, right) => vec![left, right],
        Kind::Text(_, parts) => {
            let terms = parts.iter_mut().filter_map(|part| match part {
                TextPart::Text(_) => None,
                TextPart::Term(term) => Some(term),
            });
            terms.collect()
        }
        Kind::Path(head, steps) => {
            let mut parts = vec![&mut **head];
            for step in steps {
                match &mut step.kind {
                    StepKind::Key(_) if !step.is_optional => {}
                    StepKind::Index(key) if !step.is_optional => parts.push(key),
                    _ => return Vec::new(),
                }
            }
            parts
        }
        _ => return Vec::new(),
    };
    if !parts.iter().all(|part| is_fixed(part)) {
        return Vec::new();
    }
    let mut sites = Vec::new();
    for part in &mut parts {
        let kind = std::mem::replace(&mut part.kind, Kind::Input);
        part.kind = match kind {
            Kind::Mark(these, inner) => {
                sites.extend(these);
                inner.kind
            }
            kind => kind,
        };
    }
    sites
}
