//! What can be computed or joined before the program runs.

use super::code::{Code, Kind, Step, StepKind, Term, TextPart};
use super::eval::Machine;
use super::marks::{mark, unmark};
use crate::jq::syntax::{self, Binary, Kind as Syntax};
use crate::jq::value::{Val, parse_literal};
use crate::jq::write::{WriteLimits, measure};

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
        // what has one output whatever it is
        (Kind::Const(_) | Kind::Var(_), Kind::Const(_)) => return second,
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

/// The constant that a term is, whether it is counted or not.
pub(super) fn constant_of(term: &Term) -> Option<&Val> {
    match &term.kind {
        Kind::Mark(_, inner) => inner.as_const(),
        _ => term.as_const(),
    }
}

/// The sites and the value of a constant.
pub(super) fn take_constant(term: Term) -> Result<(Vec<u32>, Val), Term> {
    match term.kind {
        Kind::Const(value) => Ok((Vec::new(), value)),
        Kind::Mark(sites, inner) if inner.as_const().is_some() => match inner.kind {
            Kind::Const(value) => Ok((sites.into(), value)),
            kind => Err(Term { kind, ..*inner }),
        },
        kind => Err(Term { kind, ..term }),
    }
}

/// Bytes or items of a value's own level.
pub(super) fn shallow_size(value: &Val) -> usize {
    match value {
        Val::Str(text) => text.len(),
        Val::Arr(items) => items.len(),
        Val::Obj(members) => members.len(),
        _ => 1,
    }
}

/// Whether a constant may be added to another: sums of sums would grow without end.
fn is_addend(value: &Val) -> bool {
    match value {
        Val::Arr(items) => items.len() <= 4096,
        Val::Obj(members) => members.len() <= 65_536,
        other => is_short(other),
    }
}

/// Whether a constant may be computed with, however often it is named.
fn is_short(value: &Val) -> bool {
    match value {
        Val::Null | Val::Bool(_) | Val::Int(_) | Val::Float(_) => true,
        other => measure(other, WriteLimits { depth: 256, bytes: 4096 }).is_ok(),
    }
}

/// Computes what is constant. An error stays for the run.
pub(super) fn fold(term: Term) -> Term {
    let mut term = decide(term);
    let sites = unmark(&mut term);
    mark(sites, fold_unmarked(term))
}

/// `and`, `or` and `//` whose left side is known.
fn decide(term: Term) -> Term {
    let (Kind::And(left, right) | Kind::Or(left, right) | Kind::Alternative(left, right)) = &term.kind else {
        return term;
    };
    let Some(is_true) = constant_of(left).map(Val::is_truthy) else { return term };
    let is_known = constant_of(right).is_some();
    let at = term.at;
    let operand = |left: Term, right: Term| match (take_constant(left), take_constant(right)) {
        (Ok((mut sites, _)), Ok((more, value))) => {
            sites.extend(more);
            mark(sites, Term::new(Kind::Const(Val::Bool(value.is_truthy())), at))
        }
        (Ok((sites, value)), Err(_)) => mark(sites, Term::new(Kind::Const(Val::Bool(value.is_truthy())), at)),
        (Err(term), _) => term,
    };
    match term.kind {
        Kind::And(left, _) if !is_true => operand(*left, Term::new(Kind::Input, at)),
        Kind::Or(left, _) if is_true => operand(*left, Term::new(Kind::Input, at)),
        Kind::And(left, right) | Kind::Or(left, right) if is_known => operand(*left, *right),
        Kind::Alternative(left, _) if is_true => *left,
        Kind::Alternative(left, right) => match take_constant(*left) {
            Ok((sites, _)) => mark(sites, *right),
            Err(left) => left,
        },
        kind => Term { kind, ..term },
    }
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
            let is_bounded = |term: &Term| match operator {
                // a multiplied string may be long
                Binary::Multiply => false,
                Binary::Add => term.as_const().is_some_and(is_addend),
                // what is shared is walked over wherever it stands
                _ => term.as_const().is_some_and(is_short),
            };
            is_bounded(left) && is_bounded(right)
        }
        Kind::Text(_, parts) => parts.iter().all(|part| match part {
            TextPart::Text(_) => true,
            TextPart::Term(term) => term.as_const().is_some_and(is_short),
        }),
        Kind::Path(head, steps) => {
            is_const(head)
                && steps.iter().all(|step| match &step.kind {
                    StepKind::Key(_) => !step.is_optional,
                    StepKind::Index(term) => {
                        !step.is_optional && term.as_const().is_some_and(|key| !key.is_array())
                    }
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
