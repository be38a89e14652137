//! Lowering of patterns and of what binds variables.

use super::code::{Fold, Kind, Pattern, Patterns, Term};
use super::constant::is_literal;
use super::lower::{Lowerer, Missing};
use super::marks::mark;
use super::scope::{Binding, Scope, push};
use crate::jq::syntax::{self, Span};
use crate::jq::value::{Val, clip};

impl<'a> Lowerer<'a> {
    pub(super) fn fold(
        &mut self,
        source: &'a syntax::Term,
        patterns: &'a [syntax::Pattern],
        init: &'a syntax::Term,
        update: &'a syntax::Term,
        scope: &Scope<'a>,
    ) -> (Fold, Scope<'a>) {
        let source = self.term(source, scope);
        let init = self.term(init, scope);
        let (patterns, inner) = self.patterns(patterns, scope);
        let update = self.elsewhere(|this| this.term(update, &inner));
        (Fold { source, patterns, init, update }, inner)
    }

    pub(super) fn bind(
        &mut self,
        source: &'a syntax::Term,
        patterns: &'a [syntax::Pattern],
        body: &'a syntax::Term,
        scope: &Scope<'a>,
        span: Span,
    ) -> Term {
        let source = self.term(source, scope);
        if let [syntax::Pattern::Var(name)] = patterns {
            return self.bind_to(source, name, false, scope, span, |this, scope| this.term(body, scope));
        }
        let (patterns, inner) = self.patterns(patterns, scope);
        let body = self.term(body, &inner);
        let kind = Kind::Destructure(Box::new(source), Box::new(patterns), Box::new(body));
        self.make(kind, span)
    }

    /// Binds a variable to a term. Of a constant or another variable nothing is left to do.
    pub(super) fn bind_to(
        &mut self,
        source: Term,
        name: &str,
        is_callable: bool,
        scope: &Scope<'a>,
        span: Span,
        body: impl FnOnce(&mut Self, &Scope<'a>) -> Term,
    ) -> Term {
        let name = name.to_owned();
        match source.kind {
            Kind::Const(value) => {
                let scope = push(scope.clone(), Binding::Const { name, value, is_callable });
                body(self, &scope)
            }
            Kind::Mark(sites, inner) if inner.as_const().is_some() => {
                let body = self.bind_to(*inner, &name, is_callable, scope, span, body);
                mark(sites.into(), body)
            }
            Kind::Var(slot) => {
                let level = self.level - slot.up;
                let scope = push(scope.clone(), Binding::Var { name, slot: slot.slot, level, is_callable });
                body(self, &scope)
            }
            _ => {
                let slot = self.slot();
                let scope = push(scope.clone(), Binding::Var { name, slot, level: self.level, is_callable });
                let body = body(self, &scope);
                self.make(Kind::Bind(Box::new(source), slot, Box::new(body)), span)
            }
        }
    }

    pub(super) fn patterns(
        &mut self,
        patterns: &'a [syntax::Pattern],
        scope: &Scope<'a>,
    ) -> (Patterns, Scope<'a>) {
        // a variable of several alternatives is one variable
        let mut slots: Vec<(String, u32)> = Vec::new();
        for pattern in patterns {
            self.pattern_slots(pattern, &mut slots);
        }
        let mut inner = scope.clone();
        if patterns.len() > 1 {
            // all are there in every alternative, null where a pattern does not have them
            for (name, slot) in &slots {
                let binding =
                    Binding::Var { name: name.clone(), slot: *slot, level: self.level, is_callable: false };
                inner = push(inner, binding);
            }
        }
        let mut lowered = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            lowered.push(self.pattern(pattern, &slots, &mut inner));
        }
        (Patterns { patterns: lowered, slots: slots.into_iter().map(|(_, slot)| slot).collect() }, inner)
    }

    pub(super) fn pattern_slots(&mut self, pattern: &'a syntax::Pattern, slots: &mut Vec<(String, u32)>) {
        let mut add = |this: &mut Self, name: &str| {
            if !slots.iter().any(|(known, _)| known == name) {
                let slot = this.slot();
                slots.push((name.to_owned(), slot));
            }
        };
        match pattern {
            syntax::Pattern::Var(name) => add(self, name),
            syntax::Pattern::Array(items) => items.iter().for_each(|item| self.pattern_slots(item, slots)),
            syntax::Pattern::Object(members) => {
                for (variable, _, inner) in members {
                    if let Some(name) = variable {
                        let known = slots.iter().any(|(known, _)| known == name);
                        if !known {
                            let slot = self.slot();
                            slots.push((name.clone(), slot));
                        }
                    }
                    if let Some(inner) = inner {
                        self.pattern_slots(inner, slots);
                    }
                }
            }
        }
    }

    pub(super) fn pattern(
        &mut self,
        pattern: &'a syntax::Pattern,
        slots: &[(String, u32)],
        scope: &mut Scope<'a>,
    ) -> Pattern {
        let bound = |this: &mut Self, name: &str, scope: &mut Scope<'a>| {
            let slot = slots.iter().find(|(known, _)| known == name).map_or(0, |(_, slot)| *slot);
            let binding = Binding::Var { name: name.to_owned(), slot, level: this.level, is_callable: false };
            *scope = push(scope.take(), binding);
            slot
        };
        match pattern {
            syntax::Pattern::Var(name) => Pattern::Var(bound(self, name, scope)),
            syntax::Pattern::Array(items) => {
                Pattern::Array(items.iter().map(|item| self.pattern(item, slots, scope)).collect())
            }
            syntax::Pattern::Object(members) => {
                let mut lowered = Vec::with_capacity(members.len());
                for (variable, key, inner) in members {
                    let here = scope.clone();
                    let key_term = self.term(key, &here);
                    if let Some(constant) = key_term.as_const()
                        && !matches!(constant, Val::Str(_))
                        && is_literal(key)
                    {
                        let shown = format!("{} ({})", constant.type_name(), clip(constant, 11));
                        self.missing(key.span, Missing::Key(shown));
                    }
                    let variable = variable.as_ref().map(|name| bound(self, name, scope));
                    let inner = inner.as_ref().map(|inner| self.pattern(inner, slots, scope));
                    lowered.push((variable, key_term, inner));
                }
                Pattern::Object(lowered)
            }
        }
    }
}
