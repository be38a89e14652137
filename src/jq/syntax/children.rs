//! The walk over a syntax tree.

use super::{Kind, Part, Pattern, StepKind, Term};

impl Term {
    /// Calls `each` with every term directly below, those of definitions and patterns too.
    pub(in crate::jq) fn children<'t>(&'t self, each: &mut dyn FnMut(&'t Term)) {
        match &self.kind {
            Kind::Identity
            | Kind::Recurse
            | Kind::Null
            | Kind::Bool(_)
            | Kind::Number(_)
            | Kind::Format(_)
            | Kind::Break(_)
            | Kind::Var(_)
            | Kind::Place(_)
            | Kind::Array(None) => {}
            Kind::String { parts, .. } => parts.iter().for_each(|part| match part {
                Part::Text(_) => {}
                Part::Term(term) => each(term),
            }),
            Kind::Array(Some(inner)) | Kind::Negate(inner) | Kind::Label(_, inner) => each(inner),
            Kind::Object(members) => members.iter().for_each(|member| {
                each(&member.key);
                member.value.iter().for_each(&mut *each);
            }),
            Kind::Pipe(terms) | Kind::Comma(terms) | Kind::Call(_, terms) => terms.iter().for_each(each),
            Kind::Binary(_, a, b)
            | Kind::And(a, b)
            | Kind::Or(a, b)
            | Kind::Alternative(a, b)
            | Kind::Assign(a, b)
            | Kind::Update(a, b)
            | Kind::Arithmetic(_, a, b)
            | Kind::Default(a, b) => {
                each(a);
                each(b);
            }
            Kind::If(branches, otherwise) => {
                for (condition, then) in branches {
                    each(condition);
                    each(then);
                }
                otherwise.iter().for_each(|otherwise| each(otherwise));
            }
            Kind::Try(body, catch) => {
                each(body);
                catch.iter().for_each(|catch| each(catch));
            }
            Kind::Reduce { source, patterns, init, update } => {
                each(source);
                patterns.iter().for_each(|pattern| pattern.children(each));
                each(init);
                each(update);
            }
            Kind::Foreach { source, patterns, init, update, extract } => {
                each(source);
                patterns.iter().for_each(|pattern| pattern.children(each));
                each(init);
                each(update);
                extract.iter().for_each(|extract| each(extract));
            }
            Kind::Defs(defs, body) => {
                defs.iter().for_each(|def| each(&def.body));
                each(body);
            }
            Kind::Bind { source, patterns, body } => {
                each(source);
                patterns.iter().for_each(|pattern| pattern.children(each));
                each(body);
            }
            Kind::Path(head, steps) => {
                each(head);
                for step in steps {
                    match &step.kind {
                        StepKind::Field(key) | StepKind::Index(key) => each(key),
                        StepKind::Slice(start, end) => start.iter().chain(end).for_each(&mut *each),
                        StepKind::Iterate => {}
                    }
                }
            }
        }
    }
}

impl Pattern {
    /// Calls `each` with the keys of its members.
    fn children<'t>(&'t self, each: &mut dyn FnMut(&'t Term)) {
        match self {
            Pattern::Var(_) => {}
            Pattern::Array(items) => items.iter().for_each(|item| item.children(each)),
            Pattern::Object(members) => {
                for (_, key, inner) in members {
                    each(key);
                    inner.iter().for_each(|inner| inner.children(each));
                }
            }
        }
    }
}
