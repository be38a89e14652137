//! Syntax tree to code: names are resolved, functions inlined, constants computed.
//!
//! A function that does not call itself is inlined where it is called, its parameters replaced by
//! the arguments as they are written there; so most of what a program defines costs nothing when it
//! runs. One that calls itself, and one that would make the code too long, becomes a function with
//! frames of its own.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::sync::LazyLock;

use super::code::{Code, Function, Kind, Place, Slot, Step, StepKind, Term, TextPart};
use super::constant::{constant_of, extend, fold, is_literal, join, number, shallow_size};
use super::inline::SPECIALS;
use super::native::Native;
use super::natives::{self, format};
use super::scope::{Binding, Scope, calls, push};
use super::sites::{SiteKind, Sites};
use crate::jq::syntax::{self, Def, Kind as Syntax, Part, Span};
use crate::jq::value::{Str, Val};

/// The definitions that every program begins with.
pub(super) static PRELUDE: LazyLock<syntax::File> =
    LazyLock::new(|| syntax::parse(include_str!("prelude.jq"), true).unwrap_or_default());

/// Text of the definitions that every program begins with.
pub(in crate::jq) const PRELUDE_TEXT: &str = include_str!("prelude.jq");

/// Number that stands for the prelude among files.
pub(super) const PRELUDE_FILE: u32 = u32::MAX;

/// A program or module as it was loaded.
#[derive(Debug)]
pub(in crate::jq) struct Loaded {
    pub(in crate::jq) tree: syntax::File,
    /// For each import the number of the file.
    pub(in crate::jq) imports: Vec<usize>,
}

/// A name that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jq) struct Undefined {
    pub(in crate::jq) place: Place,
    pub(in crate::jq) what: Missing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jq) enum Missing {
    Function(String, usize),
    Variable(String),
    Label(String),
    Format(String),
    /// An object's key that is no string.
    Key(String),
    /// The program is too large.
    Room,
}

/// Names and numbers of arguments of all functions that a program finds.
pub(in crate::jq) fn known_functions() -> Vec<(&'static str, usize)> {
    let mut known: Vec<_> = natives::all().map(|native| (native.name, native.arity)).collect();
    known.extend(PRELUDE.defs.iter().map(|def| (def.name.as_str(), def.params.len())));
    known.extend(SPECIALS.iter().map(|(name, arity, _)| (*name, *arity)));
    known.extend([("recurse", 0), ("range", 3), ("not", 0), ("null", 0), ("true", 0), ("false", 0)]);
    known.retain(|(name, _)| !name.starts_with('_'));
    known.sort_unstable();
    known.dedup();
    known
}

/// Terms that a program may be made of.
const MAX_CODE: usize = 400_000;

/// Terms of the syntax that are looked at to see whether what is not inlined may be constant.
const MAX_LOOKS: usize = 1_000_000;

/// Turns a loaded program into code. `variables` are bound to constants. What a run is given is in
/// slot 1: `$meta`, or an object whose members are the variables `given`.
///
/// Inlining copies arguments to where they are used, and a program can be written so that this
/// doubles with each of its lines. Such a program is made again with its functions called.
///
/// With `sites` the code counts how often each is reached.
pub(in crate::jq) fn lower(
    files: &[Loaded],
    variables: &[(&str, Val)],
    given: Option<&[String]>,
    sites: Option<&Sites>,
) -> Result<Code, Vec<Undefined>> {
    match lower_once(files, variables, given, sites, true) {
        Err(undefined) if undefined.iter().any(|undefined| undefined.what == Missing::Room) => {
            lower_once(files, variables, given, sites, false)
        }
        result => result,
    }
}

fn lower_once(
    files: &[Loaded],
    variables: &[(&str, Val)],
    given: Option<&[String]>,
    sites: Option<&Sites>,
    is_generous: bool,
) -> Result<Code, Vec<Undefined>> {
    let mut lowerer = Lowerer {
        files,
        prelude: HashMap::new(),
        natives: natives::all().map(|native| ((native.name, native.arity), native)).collect(),
        functions: Vec::new(),
        closures: Vec::new(),
        places: Vec::new(),
        sites,
        file: 0,
        stand_in: None,
        slots: 2,
        level: 0,
        inlined: 0,
        is_generous,
        terms: 0,
        made: 0,
        effort: 0,
        fuel: MAX_LOOKS,
        wants_meta: false,
        entry: None,
        undefined: Vec::new(),
    };
    let mut scope = None;
    for (name, value) in variables {
        let (name, value) = ((*name).to_owned(), value.clone());
        scope = push(scope, Binding::Const { name, value, is_callable: false });
    }
    match given {
        None => {
            let meta = Binding::Var { name: "meta".to_owned(), slot: 1, level: 0, is_callable: false };
            scope = push(scope, meta);
        }
        Some(names) => {
            for name in names {
                scope = push(scope, Binding::Given { name: name.clone() });
            }
        }
    }
    let globals = scope.clone();
    let scope = lowerer.file_scope(0, scope, &globals);
    let main = match &files[0].tree.body {
        Some(body) => lowerer.term(body, &scope),
        None => lowerer.make(Kind::Input, Span::default()),
    };
    if !lowerer.undefined.is_empty() {
        lowerer.undefined.dedup();
        return Err(lowerer.undefined);
    }
    let mut code = Code {
        main,
        slots: lowerer.slots,
        functions: lowerer.functions.into_iter().flatten().collect(),
        closures: lowerer.closures,
        places: lowerer.places,
        wants_meta: lowerer.wants_meta,
        hits: vec![Cell::new(0); sites.map_or(0, Sites::len)].into(),
    };
    code.count_outputs();
    code.refine();
    Ok(code)
}

pub(super) struct Lowerer<'a> {
    pub(super) files: &'a [Loaded],
    pub(super) prelude: HashMap<(&'static str, usize), Scope<'a>>,
    pub(super) natives: HashMap<(&'static str, usize), &'static Native>,
    pub(super) functions: Vec<Option<Function>>,
    pub(super) closures: Vec<Term>,
    pub(super) places: Vec<Place>,
    /// What is to be counted, if anything is.
    pub(super) sites: Option<&'a Sites>,
    /// File of what is being lowered.
    pub(super) file: u32,
    /// Place that stands for everything in a definition of the prelude: its call.
    pub(super) stand_in: Option<u32>,
    /// Slots of the current frame.
    pub(super) slots: usize,
    /// Depth of the current frame.
    pub(super) level: u32,
    pub(super) inlined: usize,
    /// Whether functions are inlined, and terms lowered more than once to see which way is better.
    pub(super) is_generous: bool,
    /// Terms that there are so far. What became part of a constant is none.
    pub(super) terms: usize,
    /// Terms made so far.
    pub(super) made: usize,
    /// What constants took to compute, in terms that would have been made in that time.
    pub(super) effort: usize,
    /// Terms of the syntax that may still be looked at to see whether they may be constant.
    pub(super) fuel: usize,
    pub(super) wants_meta: bool,
    /// While the input is the entry of a `with_entries`: its two slots, and whether it was used
    /// other than through them.
    pub(super) entry: Option<(u32, u32, bool)>,
    pub(super) undefined: Vec<Undefined>,
}

impl<'a> Lowerer<'a> {
    pub(super) fn place(&mut self, span: Span) -> u32 {
        if let Some(place) = self.stand_in {
            return place;
        }
        let place = Place { file: self.file, span };
        if self.places.last() != Some(&place) {
            self.places.push(place);
        }
        (self.places.len() - 1) as u32
    }

    pub(super) fn make(&mut self, kind: Kind, span: Span) -> Term {
        let at = self.place(span);
        self.terms += 1;
        self.made += 1;
        Term::new(kind, at)
    }

    pub(super) fn missing(&mut self, span: Span, what: Missing) -> Term {
        let place = match self.stand_in {
            Some(place) => self.places[place as usize],
            None => Place { file: self.file, span },
        };
        self.undefined.push(Undefined { place, what });
        self.make(Kind::Const(Val::Null), span)
    }

    pub(super) fn slot(&mut self) -> u32 {
        self.slots += 1;
        (self.slots - 1) as u32
    }

    /// Runs `work` with another file and stand-in.
    pub(super) fn within<T>(
        &mut self,
        file: u32,
        stand_in: Option<u32>,
        work: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = (self.file, self.stand_in);
        (self.file, self.stand_in) = (file, stand_in);
        let result = work(self);
        (self.file, self.stand_in) = before;
        result
    }

    /// Adds what a file imports and defines.
    pub(super) fn file_scope(&mut self, number: usize, scope: Scope<'a>, globals: &Scope<'a>) -> Scope<'a> {
        let files = self.files;
        let file = &files[number];
        let mut scope = scope;
        for (import, target) in file.tree.imports.iter().zip(&file.imports) {
            let start = push(globals.clone(), Binding::Start);
            let names = self.within(*target as u32, None, |this| this.file_scope(*target, start, globals));
            scope = push(
                scope,
                match &import.what {
                    syntax::What::Module(name) => Binding::Module { name: name.clone(), names },
                    syntax::What::Include | syntax::What::Data => Binding::Include { names },
                },
            );
        }
        for def in &file.tree.defs {
            scope = self.define(def, number as u32, scope);
        }
        scope
    }

    pub(super) fn define(&self, def: &'a Def, file: u32, scope: Scope<'a>) -> Scope<'a> {
        let binding = Binding::Function {
            def,
            file,
            level: self.level,
            compiled: Cell::new(None),
            is_recursive: calls(&def.body, &def.name, def.params.len()),
            shared: OnceCell::new(),
            may_fold: Cell::new(None),
        };
        push(scope, binding)
    }

    /// Says that the input itself is used.
    pub(super) fn uses_input(&mut self) {
        if let Some((_, _, is_used)) = &mut self.entry {
            *is_used = true;
        }
    }

    /// Lowers what gets another input than the term around it.
    pub(super) fn elsewhere<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let entry = self.entry.take();
        let result = work(self);
        self.entry = entry;
        result
    }

    pub(super) fn term(&mut self, term: &'a syntax::Term, scope: &Scope<'a>) -> Term {
        let before = self.terms;
        let lowered = self.lowered(term, scope);
        if let Some(value) = constant_of(&lowered) {
            // what it was made of is gone
            self.terms = self.terms.min(before + 1);
            if matches!(term.kind, Syntax::Binary(..) | Syntax::String { .. }) {
                self.effort += shallow_size(value) / 16;
            }
        }
        lowered
    }

    fn lowered(&mut self, term: &'a syntax::Term, scope: &Scope<'a>) -> Term {
        let span = term.span;
        if self.made > MAX_CODE {
            // told once; nothing of it will run
            if self.undefined.last().is_none_or(|last| last.what != Missing::Room) {
                return self.missing(span, Missing::Room);
            }
            return Term::new(Kind::Const(Val::Null), 0);
        }
        let kind = match &term.kind {
            Syntax::Identity => {
                self.uses_input();
                Kind::Input
            }
            Syntax::Recurse => {
                self.uses_input();
                Kind::Recurse
            }
            Syntax::Null => Kind::Const(Val::Null),
            Syntax::Bool(value) => Kind::Const(Val::Bool(*value)),
            Syntax::Number(text) => Kind::Const(number(text)),
            Syntax::String { format, parts } => return self.string(format.as_deref(), parts, scope, span),
            Syntax::Format(name) => {
                self.uses_input();
                let Some(format) = format::find(name) else {
                    return self.missing(span, Missing::Format(name.clone()));
                };
                let input = self.make(Kind::Input, span);
                Kind::Text(Some(format), Box::new([TextPart::Term(input)]))
            }
            Syntax::Array(None) => Kind::Const(Val::arr(Vec::new())),
            Syntax::Array(Some(inner)) => {
                let inner = self.term(inner, scope);
                Kind::Array(Some(Box::new(inner)))
            }
            Syntax::Object(members) => return self.object(members, scope, span),
            Syntax::Negate(inner) => Kind::Negate(Box::new(self.term(inner, scope))),
            Syntax::Pipe(stages) => return self.pipe(stages, scope, span),
            Syntax::Comma(items) => Kind::Comma(items.iter().map(|item| self.term(item, scope)).collect()),
            Syntax::Binary(operator, left, right) => {
                let left = self.term(left, scope);
                let right = self.term(right, scope);
                Kind::Binary(*operator, Box::new(left), Box::new(right))
            }
            Syntax::And(left, right) => {
                let left = self.term(left, scope);
                Kind::And(Box::new(left), Box::new(self.operand(right, scope)))
            }
            Syntax::Or(left, right) => {
                let left = self.term(left, scope);
                Kind::Or(Box::new(left), Box::new(self.operand(right, scope)))
            }
            Syntax::Alternative(left, right) => self.alternative(left, right, scope),
            Syntax::Assign(path, value) => {
                self.uses_input();
                let path = self.elsewhere(|this| this.term(path, scope));
                Kind::Assign(Box::new(path), Box::new(self.term(value, scope)))
            }
            Syntax::Update(path, body) => {
                self.uses_input();
                self.elsewhere(|this| {
                    let path = this.term(path, scope);
                    Kind::Update(Box::new(path), Box::new(this.term(body, scope)))
                })
            }
            Syntax::Arithmetic(operator, path, value) => {
                self.uses_input();
                let path = self.elsewhere(|this| this.term(path, scope));
                Kind::Arithmetic(*operator, Box::new(path), Box::new(self.term(value, scope)))
            }
            Syntax::Default(path, value) => {
                self.uses_input();
                let path = self.elsewhere(|this| this.term(path, scope));
                Kind::Default(Box::new(path), Box::new(self.term(value, scope)))
            }
            Syntax::If(branches, otherwise) => {
                return self.condition(branches, otherwise.as_deref(), scope, span);
            }
            Syntax::Try(body, catch) => {
                let body = self.term(body, scope);
                let catch = catch.as_ref().map(|catch| {
                    let lowered = self.elsewhere(|this| this.term(catch, scope));
                    self.marked(SiteKind::Handler, catch.span, lowered)
                });
                Kind::Try(Box::new(body), catch.map(Box::new))
            }
            Syntax::Reduce { source, patterns, init, update } => {
                let (fold, _) = self.fold(source, patterns, init, update, scope);
                Kind::Reduce(Box::new(fold))
            }
            Syntax::Foreach { source, patterns, init, update, extract } => {
                let (fold, inner) = self.fold(source, patterns, init, update, scope);
                let extract =
                    extract.as_ref().map(|extract| self.elsewhere(|this| this.term(extract, &inner)));
                Kind::Foreach(Box::new(fold), extract.map(Box::new))
            }
            Syntax::Defs(defs, body) => {
                let mut scope = scope.clone();
                for def in defs {
                    scope = self.define(def, self.file, scope);
                }
                return self.term(body, &scope);
            }
            Syntax::Bind { source, patterns, body } => return self.bind(source, patterns, body, scope, span),
            Syntax::Label(name, body) => {
                let slot = self.slot();
                let binding = Binding::Label { name: name.clone(), slot, level: self.level };
                let scope = push(scope.clone(), binding);
                Kind::Label(slot, Box::new(self.term(body, &scope)))
            }
            Syntax::Break(name) => match self.label(scope, name) {
                Some(slot) => Kind::Break(slot),
                None => return self.missing(span, Missing::Label(name.clone())),
            },
            Syntax::Call(name, args) => return self.call(name, args, scope, span),
            Syntax::Var(name) => return self.variable(name, scope, span),
            Syntax::Place(line) => {
                let file =
                    if self.file == 0 { "<top-level>".to_owned() } else { format!("<module {}>", self.file) };
                let line = Val::Int(i64::try_from(*line).unwrap_or(i64::MAX));
                Kind::Const(Val::record([("file", Val::string(file)), ("line", line)]))
            }
            Syntax::Path(head, steps) => return self.path(head, steps, scope, span),
        };
        let term = self.make(kind, span);
        fold(term)
    }

    pub(super) fn label(&self, scope: &Scope<'a>, name: &str) -> Option<Slot> {
        let mut at = scope.as_ref();
        while let Some(node) = at {
            if let Binding::Label { name: this, slot, level } = &node.binding
                && this == name
            {
                return Some(Slot { up: self.level - level, slot: *slot });
            }
            at = node.parent.as_ref();
        }
        None
    }

    pub(super) fn variable(&mut self, name: &str, scope: &Scope<'a>, span: Span) -> Term {
        let mut at = scope.as_ref();
        while let Some(node) = at {
            match &node.binding {
                Binding::Var { name: this, slot, level, .. } if this == name => {
                    if (*slot, *level) == (1, 0) {
                        self.wants_meta = true;
                    }
                    let slot = Slot { up: self.level - level, slot: *slot };
                    return self.make(Kind::Var(slot), span);
                }
                Binding::Given { name: this } if this == name => {
                    let given = Kind::Var(Slot { up: self.level, slot: 1 });
                    let given = self.make(given, span);
                    let at = given.at;
                    let step = Step { kind: StepKind::Key(Str::new(name)), is_optional: false, at };
                    return self.make(Kind::Path(Box::new(given), [step].into()), span);
                }
                Binding::Const { name: this, value, .. } if this == name => {
                    let value = value.clone();
                    return self.make(Kind::Const(value), span);
                }
                _ => {}
            }
            at = node.parent.as_ref();
        }
        self.missing(span, Missing::Variable(name.to_owned()))
    }

    pub(super) fn string(
        &mut self,
        format: Option<&str>,
        parts: &'a [Part],
        scope: &Scope<'a>,
        span: Span,
    ) -> Term {
        let format = match format {
            None => None,
            Some(name) => match format::find(name) {
                Some(format) => Some(format),
                None => return self.missing(span, Missing::Format(name.to_owned())),
            },
        };
        let parts: Box<[TextPart]> = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => TextPart::Text(Str::new(text)),
                Part::Term(term) => TextPart::Term(self.term(term, scope)),
            })
            .collect();
        let kind = match &parts[..] {
            [] => Kind::Const(Val::Str(Str::EMPTY)),
            [TextPart::Text(text)] => Kind::Const(Val::Str(text.clone())),
            _ => Kind::Text(format, parts),
        };
        let term = self.make(kind, span);
        fold(term)
    }

    pub(super) fn object(&mut self, members: &'a [syntax::Member], scope: &Scope<'a>, span: Span) -> Term {
        let mut pairs = Vec::with_capacity(members.len());
        for member in members {
            let name_span = member.key.span;
            let (key, value) = match (&member.key.kind, &member.value) {
                (Syntax::Var(name), None) => {
                    let key = self.make(Kind::Const(Val::str(name)), name_span);
                    (key, self.variable(name, scope, name_span))
                }
                (Syntax::Place(_), None) => {
                    let key = self.make(Kind::Const(Val::str("__loc__")), name_span);
                    (key, self.term(&member.key, scope))
                }
                (_, Some(value)) => {
                    let key = self.term(&member.key, scope);
                    (key, self.term(value, scope))
                }
                (_, None) => {
                    let key = self.term(&member.key, scope);
                    // `{a}` is `{a: .a}`
                    let step = match key.as_const() {
                        Some(Val::Str(name)) => StepKind::Key(name.clone()),
                        _ => StepKind::Index(self.term(&member.key, scope)),
                    };
                    let value = self.step_of_input(step, name_span);
                    (key, value)
                }
            };
            if let Some(constant) = key.as_const()
                && !matches!(constant, Val::Str(_))
                && is_literal(&member.key)
            {
                let shown = format!("{} ({})", constant.type_name(), crate::jq::value::clip(constant, 11));
                return self.missing(name_span, Missing::Key(shown));
            }
            let value = self.marked(SiteKind::ObjectKey, name_span, value);
            pairs.push((key, value));
        }
        let term = self.make(Kind::Object(pairs.into()), span);
        fold(term)
    }

    /// `.step`, with the entry of a `with_entries` in mind.
    pub(super) fn step_of_input(&mut self, kind: StepKind, span: Span) -> Term {
        if let (Some((key, value, _)), StepKind::Key(name)) = (self.entry, &kind) {
            let slot = match name.as_str() {
                "key" => Some(key),
                "value" => Some(value),
                _ => None,
            };
            if let Some(slot) = slot {
                return self.make(Kind::Var(Slot { up: 0, slot }), span);
            }
        }
        self.uses_input();
        let at = self.place(span);
        let head = self.make(Kind::Input, span);
        self.make(Kind::Path(Box::new(head), Box::new([Step { kind, is_optional: false, at }])), span)
    }

    pub(super) fn pipe(&mut self, stages: &'a [syntax::Term], scope: &Scope<'a>, span: Span) -> Term {
        let Some((last, before)) = stages.split_last() else { return self.make(Kind::Input, span) };
        let mut lowered = Vec::with_capacity(stages.len());
        for (at, stage) in before.iter().enumerate() {
            let term = if at == 0 {
                self.term(stage, scope)
            } else {
                self.elsewhere(|this| this.term(stage, scope))
            };
            lowered.push(term);
        }
        let mut term = if before.is_empty() {
            self.term(last, scope)
        } else {
            self.elsewhere(|this| this.term(last, scope))
        };
        for first in lowered.into_iter().rev() {
            let at = first.at;
            term = join(first, term, at);
        }
        fold(term)
    }

    pub(super) fn path(
        &mut self,
        head: &'a syntax::Term,
        steps: &'a [syntax::Step],
        scope: &Scope<'a>,
        span: Span,
    ) -> Term {
        let mut lowered = Vec::with_capacity(steps.len());
        let is_of_input = matches!(head.kind, Syntax::Identity);
        let mut first = None;
        for (number, step) in steps.iter().enumerate() {
            let kind = match &step.kind {
                syntax::StepKind::Iterate => StepKind::Iterate,
                syntax::StepKind::Field(key) | syntax::StepKind::Index(key) => {
                    let key = self.term(key, scope);
                    match key.kind {
                        Kind::Const(Val::Str(name)) => StepKind::Key(name),
                        kind => StepKind::Index(Term { kind, ..key }),
                    }
                }
                syntax::StepKind::Slice(start, end) => {
                    let start = start.as_ref().map(|start| self.term(start, scope));
                    StepKind::Slice(start, end.as_ref().map(|end| self.term(end, scope)))
                }
            };
            let at = self.place(step.span);
            if number == 0 && is_of_input && !step.is_optional {
                first = Some(self.step_of_input(kind, step.span));
                continue;
            }
            lowered.push(Step { kind, is_optional: step.is_optional, at });
        }
        let head = match first {
            Some(first) => first,
            None => self.term(head, scope),
        };
        let head = if lowered.is_empty() { head } else { extend(head, lowered) };
        let _ = span;
        fold(head)
    }
}

impl Term {
    /// Counts outputs where no function is called.
    pub(super) fn settle_alone(&self) {
        while self.settle(&[]) {}
    }
}
