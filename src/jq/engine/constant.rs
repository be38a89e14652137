//! What can be computed or joined before the program runs.

use super::code::{Code, Kind, Step, StepKind, Term, TextPart};
use super::eval::Machine;
use crate::jq::syntax::{self, Binary, Kind as Syntax};
use crate::jq::value::{Val, parse_literal};

/// Whether a term is constant as it is written, whatever the arguments are.
pub(super) fn is_literal(term: &syntax::Term) -> bool {
    matches!(term.kind, Syntax::Null | Syntax::Bool(_) | Syntax::Number(_) | Syntax::Array(None))
}

pub(super) fn number(text: &str) -> Val {
    // the grammar allows `1.` and `.5`, which JSON does not
    let mut json = text.to_owned();
    if json.starts_with('.') {
        json.insert(0, '0');
    }
    if let Some(point) = json.find('.')
        && !json[point + 1..].starts_with(|c: char| c.is_ascii_digit())
    {
        json.remove(point);
    }
    let zeros = json.len() - json.trim_start_matches('0').len();
    if zeros > 0 && json[zeros..].starts_with(|c: char| c.is_ascii_digit()) {
        json.drain(..zeros);
    } else if zeros > 1 {
        json.drain(..zeros - 1);
    }
    parse_literal(&json).unwrap_or(Val::Float(f64::NAN))
}

/// One term after another.
pub(super) fn join(first: Term, second: Term, at: u32) -> Term {
    match (&first.kind, &second.kind) {
        (Kind::Input, _) => return second,
        (_, Kind::Input) => return first,
        _ => {}
    }
    match second.kind {
        // `.a | .b` is `.a.b`
        Kind::Path(head, steps)
            if matches!(head.kind, Kind::Input)
                && matches!(first.kind, Kind::Path(..) | Kind::Var(_) | Kind::Const(_))
                && !steps
                    .iter()
                    .any(|step| matches!(step.kind, StepKind::Index(_) | StepKind::Slice(..))) =>
        {
            extend(first, steps.into_vec())
        }
        kind => Term::new(Kind::Pipe(Box::new(first), Box::new(Term { kind, ..second })), at),
    }
}

/// A term with more steps.
pub(super) fn extend(head: Term, more: Vec<Step>) -> Term {
    let at = head.at;
    match head.kind {
        // a computed key is about the input of its own path
        Kind::Path(inner, steps)
            if !(steps
                .iter()
                .chain(&more)
                .any(|step| matches!(step.kind, StepKind::Index(_) | StepKind::Slice(..))))
                || matches!(inner.kind, Kind::Input) && same_dot(&more) =>
        {
            let mut steps = steps.into_vec();
            steps.extend(more);
            Term::new(Kind::Path(inner, steps.into()), at)
        }
        kind => {
            let head = Term { kind, ..head };
            Term::new(Kind::Path(Box::new(head), more.into()), at)
        }
    }
}

/// Whether steps may be moved to a path of another head: their keys are constant.
pub(super) fn same_dot(steps: &[Step]) -> bool {
    steps.iter().all(|step| match &step.kind {
        StepKind::Key(_) | StepKind::Iterate => true,
        StepKind::Index(term) => term.as_const().is_some(),
        StepKind::Slice(start, end) => start.iter().chain(end).all(|term| term.as_const().is_some()),
    })
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

/// Takes the marks from the constants that an array or object is made of, if it is made of nothing
/// else: whoever reaches it reaches them all.
fn unmark(term: &mut Term) -> Vec<u32> {
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
            if members.iter().any(|(key, _)| !matches!(key.as_const(), Some(Val::Str(_)))) {
                return Vec::new();
            }
            members.iter_mut().map(|(_, value)| value).collect()
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

/// Computes what is constant. An error stays for the run.
pub(super) fn fold(mut term: Term) -> Term {
    let sites = unmark(&mut term);
    mark(sites, fold_unmarked(term))
}

fn fold_unmarked(term: Term) -> Term {
    let is_const = |term: &Term| term.as_const().is_some();
    let is_ready = match &term.kind {
        Kind::Array(Some(inner)) => match &inner.kind {
            Kind::Const(_) => true,
            Kind::Comma(items) => items.iter().all(is_const),
            _ => false,
        },
        Kind::Object(members) => members.iter().all(|(key, value)| is_const(key) && is_const(value)),
        Kind::Negate(inner) => is_const(inner),
        Kind::Binary(operator, left, right) => {
            // a multiplied string may be long
            is_const(left) && is_const(right) && *operator != Binary::Multiply
        }
        Kind::Text(_, parts) => parts.iter().all(|part| match part {
            TextPart::Text(_) => true,
            TextPart::Term(term) => is_const(term),
        }),
        Kind::Path(head, steps) => {
            is_const(head)
                && steps.iter().all(|step| match &step.kind {
                    StepKind::Key(_) => !step.is_optional,
                    StepKind::Index(term) => is_const(term) && !step.is_optional,
                    _ => false,
                })
        }
        _ => false,
    };
    if !is_ready {
        return term;
    }
    term.settle_alone();
    let at = term.at;
    let code = Code {
        main: term,
        slots: 1,
        functions: Vec::new(),
        closures: Vec::new(),
        places: Vec::new(),
        wants_meta: false,
        hits: Box::default(),
    };
    let mut stack = Vec::new();
    let mut outputs = Vec::new();
    let result = Machine::new(&code, &mut stack, []).run(Val::Null, &mut |value| {
        outputs.push(value);
        Ok(())
    });
    drop(stack);
    match (result, outputs.pop()) {
        (Ok(()), Some(value)) if outputs.is_empty() => Term::new(Kind::Const(value), at),
        _ => code.main,
    }
}
