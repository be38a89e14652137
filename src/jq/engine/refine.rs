//! What is done to code when all of it is there: forms that are faster than what was written, and come
//! to the same.

use super::code::{Code, Kind, Outputs, Term, type_bit};
use super::special::is_not_null;
use crate::jq::syntax::Binary;
use crate::jq::value::{Str, Type, Val};

impl Term {
    /// Makes records of the objects whose keys are constant and whose values have one output each.
    pub(super) fn refine(&mut self) {
        self.children_mut(&mut Term::refine);
        if let Kind::Pipe(first, second) = &mut self.kind
            && let (Kind::Record(members, _), Kind::Entries { value, keep, .. }) =
                (&mut first.kind, &second.kind)
            && is_not_null(keep, *value)
        {
            // what would be taken out again is not put in
            let members = std::mem::take(members).into_vec().into_iter();
            let members = members.filter(|(_, value)| !matches!(value.as_const(), Some(Val::Null)));
            self.kind = Kind::Record(members.collect(), true);
            return;
        }
        if let Some(types) = asked_types(&self.kind) {
            self.kind = Kind::Is(types);
            return;
        }
        if let Kind::Prune(doomed, _) = &mut self.kind {
            doomed.prepare();
            return;
        }
        let Kind::Object(members) = &mut self.kind else { return };
        let mut keys: Vec<&Str> = Vec::with_capacity(members.len());
        for (key, value) in members.iter() {
            match key.as_const() {
                Some(Val::Str(name)) if value.outputs.get() == Outputs::One && !keys.contains(&name) => {
                    keys.push(name);
                }
                _ => return,
            }
        }
        let members = std::mem::take(members).into_vec().into_iter().map(|(key, value)| match key.kind {
            Kind::Const(Val::Str(name)) => (name, value),
            _ => (Str::EMPTY, value),
        });
        self.kind = Kind::Record(members.collect(), false);
    }
}

/// The types for which a term is true, if it asks for nothing but the type of its input.
fn asked_types(kind: &Kind) -> Option<u8> {
    let all = u8::MAX >> 1;
    match kind {
        Kind::Native(native, args) if args.is_empty() && native.name == "not" => {
            Some(type_bit(Type::Null) | type_bit(Type::False))
        }
        Kind::Binary(operator @ (Binary::Equal | Binary::NotEqual), left, right) => {
            let types = match (&left.kind, right.as_const()?) {
                (Kind::Native(native, args), Val::Str(name)) if args.is_empty() && native.name == "type" => {
                    let named = Type::ALL.into_iter().filter(|kind| kind.name() == name.as_str());
                    named.fold(0, |types, kind| types | type_bit(kind))
                }
                (Kind::Input, value @ (Val::Null | Val::Bool(_))) => type_bit(value.kind()),
                _ => return None,
            };
            Some(if *operator == Binary::Equal { types } else { all & !types })
        }
        Kind::And(left, right) | Kind::Or(left, right) => {
            let (Kind::Is(left), Kind::Is(right)) = (&left.kind, &right.kind) else { return None };
            Some(if matches!(kind, Kind::And(..)) { left & right } else { left | right })
        }
        _ => None,
    }
}

impl Code {
    pub(super) fn refine(&mut self) {
        self.main.refine();
        self.closures.iter_mut().for_each(Term::refine);
        self.functions.iter_mut().for_each(|function| function.body.refine());
    }
}
