//! Syntax tree to code: names are resolved, functions inlined, constants computed.
//!
//! A function that does not call itself is inlined where it is called, its parameters replaced by
//! the arguments as they are written there; so most of what a program defines costs nothing when it
//! runs. One that calls itself, and one that would make the code too long, becomes a function with
//! frames of its own.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::LazyLock;

use super::code::{
    Arg, Code, Doomed, Fold, Function, Kind, Outputs, Pattern, Patterns, Place, Slot, Special, Step,
    StepKind, Term, TextPart,
};
use super::eval::Machine;
use super::native::Native;
use super::natives::{self, format};
use super::special::is_not_null;
use super::update;
use crate::jq::syntax::{self, Binary, Def, Kind as Syntax, Part, Span};
use crate::jq::value::{Str, Val, parse_literal};

/// Terms beyond which functions are called rather than inlined.
const MAX_TERMS: usize = 20_000;

/// Functions inlined into each other.
const MAX_INLINED: usize = 60;

/// The definitions that every program begins with.
static PRELUDE: LazyLock<syntax::File> =
    LazyLock::new(|| syntax::parse(include_str!("prelude.jq"), true).unwrap_or_default());

/// Text of the definitions that every program begins with.
pub(in crate::jq) const PRELUDE_TEXT: &str = include_str!("prelude.jq");

/// Number that stands for the prelude among files.
const PRELUDE_FILE: u32 = u32::MAX;

const SPECIALS: &[(&str, usize, Special)] = &[
    ("empty", 0, Special::Empty),
    ("error", 0, Special::Error),
    ("error", 1, Special::Error),
    ("path", 1, Special::Path),
    ("first", 1, Special::First),
    ("last", 1, Special::Last),
    ("limit", 2, Special::Limit),
    ("skip", 2, Special::Skip),
    ("any", 2, Special::Any),
    ("all", 2, Special::All),
    ("isempty", 1, Special::IsEmpty),
    ("walk", 1, Special::Walk),
    ("del", 1, Special::Del),
    ("getpath", 1, Special::GetPath),
];

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

/// Turns a loaded program into code. `variables` are bound to constants; `$meta` is in slot 1.
pub(in crate::jq) fn lower(files: &[Loaded], variables: &[(&str, Val)]) -> Result<Code, Vec<Undefined>> {
    let mut lowerer = Lowerer {
        files,
        prelude: HashMap::new(),
        natives: natives::all().map(|native| ((native.name, native.arity), native)).collect(),
        functions: Vec::new(),
        closures: Vec::new(),
        places: Vec::new(),
        branches: Vec::new(),
        file: 0,
        stand_in: None,
        slots: 2,
        level: 0,
        inlined: 0,
        terms: 0,
        wants_meta: false,
        entry: None,
        undefined: Vec::new(),
    };
    let mut scope = None;
    for (name, value) in variables {
        scope = push(scope, Binding::Const { name: (*name).to_owned(), value: value.clone() });
    }
    scope = push(scope, Binding::Var { name: "meta".to_owned(), slot: 1, level: 0, is_callable: false });
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
        branches: lowerer.branches,
    };
    code.count_outputs();
    code.make_records();
    Ok(code)
}

/// What a name stands for.
enum Binding<'a> {
    Function {
        def: &'a Def,
        file: u32,
        level: u32,
        /// Number of its function, once it has one.
        compiled: Cell<Option<usize>>,
        is_recursive: bool,
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

struct Node<'a> {
    binding: Binding<'a>,
    parent: Scope<'a>,
}

type Scope<'a> = Option<Rc<Node<'a>>>;

fn push<'a>(parent: Scope<'a>, binding: Binding<'a>) -> Scope<'a> {
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

struct Lowerer<'a> {
    files: &'a [Loaded],
    prelude: HashMap<(&'static str, usize), Scope<'a>>,
    natives: HashMap<(&'static str, usize), &'static Native>,
    functions: Vec<Option<Function>>,
    closures: Vec<Term>,
    places: Vec<Place>,
    branches: Vec<Place>,
    /// File of what is being lowered.
    file: u32,
    /// Place that stands for everything in a definition of the prelude: its call.
    stand_in: Option<u32>,
    /// Slots of the current frame.
    slots: usize,
    /// Depth of the current frame.
    level: u32,
    inlined: usize,
    /// Terms made so far.
    terms: usize,
    wants_meta: bool,
    /// While the input is the entry of a `with_entries`: its two slots, and whether it was used
    /// other than through them.
    entry: Option<(u32, u32, bool)>,
    undefined: Vec<Undefined>,
}

impl<'a> Lowerer<'a> {
    fn place(&mut self, span: Span) -> u32 {
        if let Some(place) = self.stand_in {
            return place;
        }
        let place = Place { file: self.file, span };
        if self.places.last() != Some(&place) {
            self.places.push(place);
        }
        (self.places.len() - 1) as u32
    }

    fn make(&mut self, kind: Kind, span: Span) -> Term {
        let at = self.place(span);
        self.terms += 1;
        Term::new(kind, at)
    }

    fn missing(&mut self, span: Span, what: Missing) -> Term {
        let place = match self.stand_in {
            Some(place) => self.places[place as usize],
            None => Place { file: self.file, span },
        };
        self.undefined.push(Undefined { place, what });
        self.make(Kind::Const(Val::Null), span)
    }

    fn slot(&mut self) -> u32 {
        self.slots += 1;
        (self.slots - 1) as u32
    }

    /// Runs `work` with another file and stand-in.
    fn within<T>(&mut self, file: u32, stand_in: Option<u32>, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = (self.file, self.stand_in);
        (self.file, self.stand_in) = (file, stand_in);
        let result = work(self);
        (self.file, self.stand_in) = before;
        result
    }

    /// Adds what a file imports and defines.
    fn file_scope(&mut self, number: usize, scope: Scope<'a>, globals: &Scope<'a>) -> Scope<'a> {
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

    fn define(&self, def: &'a Def, file: u32, scope: Scope<'a>) -> Scope<'a> {
        let binding = Binding::Function {
            def,
            file,
            level: self.level,
            compiled: Cell::new(None),
            is_recursive: calls(&def.body, &def.name, def.params.len()),
        };
        push(scope, binding)
    }

    fn find(scope: &Scope<'a>, name: &str, arity: usize) -> Scope<'a> {
        if let Some((module, rest)) = name.split_once("::") {
            let mut at = scope.clone();
            while let Some(node) = at {
                if let Binding::Module { name, names } = &node.binding
                    && name == module
                    && let Some(found) = Self::find_exported(names, rest, arity)
                {
                    return Some(found);
                }
                at = node.parent.clone();
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
                Binding::Var { name: this, is_callable: true, .. } => arity == 0 && this == name,
                Binding::Include { names } => {
                    if let Some(found) = Self::find_exported(names, name, arity) {
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
    fn find_exported(names: &Scope<'a>, name: &str, arity: usize) -> Scope<'a> {
        let mut at = names.as_ref();
        while let Some(node) = at {
            match &node.binding {
                Binding::Start => return None,
                Binding::Function { def, .. } if def.name == name && def.params.len() == arity => {
                    return Some(node.clone());
                }
                Binding::Include { names } => {
                    if let Some(found) = Self::find_exported(names, name, arity) {
                        return Some(found);
                    }
                }
                _ => {}
            }
            at = node.parent.as_ref();
        }
        None
    }

    fn prelude(&mut self, name: &str, arity: usize) -> Scope<'a> {
        if let Some(((name, arity), scope)) = self.prelude.get_key_value(&(name, arity)) {
            let _ = (name, arity);
            return scope.clone();
        }
        let def = PRELUDE.defs.iter().find(|def| def.name == name && def.params.len() == arity)?;
        let level = std::mem::replace(&mut self.level, 0);
        let scope = self.define(def, PRELUDE_FILE, None);
        self.level = level;
        self.prelude.insert((&def.name, arity), scope.clone());
        scope
    }

    /// Says that the input itself is used.
    fn uses_input(&mut self) {
        if let Some((_, _, is_used)) = &mut self.entry {
            *is_used = true;
        }
    }

    /// Lowers what gets another input than the term around it.
    fn elsewhere<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let entry = self.entry.take();
        let result = work(self);
        self.entry = entry;
        result
    }

    fn term(&mut self, term: &'a syntax::Term, scope: &Scope<'a>) -> Term {
        let span = term.span;
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
                Kind::And(Box::new(left), Box::new(self.term(right, scope)))
            }
            Syntax::Or(left, right) => {
                let left = self.term(left, scope);
                Kind::Or(Box::new(left), Box::new(self.term(right, scope)))
            }
            Syntax::Alternative(left, right) => {
                let left = self.term(left, scope);
                Kind::Alternative(Box::new(left), Box::new(self.term(right, scope)))
            }
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
                let catch = catch.as_ref().map(|catch| self.elsewhere(|this| this.term(catch, scope)));
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

    fn label(&self, scope: &Scope<'a>, name: &str) -> Option<Slot> {
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

    fn variable(&mut self, name: &str, scope: &Scope<'a>, span: Span) -> Term {
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
                Binding::Const { name: this, value } if this == name => {
                    let value = value.clone();
                    return self.make(Kind::Const(value), span);
                }
                _ => {}
            }
            at = node.parent.as_ref();
        }
        self.missing(span, Missing::Variable(name.to_owned()))
    }

    fn string(&mut self, format: Option<&str>, parts: &'a [Part], scope: &Scope<'a>, span: Span) -> Term {
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

    fn object(&mut self, members: &'a [syntax::Member], scope: &Scope<'a>, span: Span) -> Term {
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
            pairs.push((key, value));
        }
        let term = self.make(Kind::Object(pairs.into()), span);
        fold(term)
    }

    /// `.step`, with the entry of a `with_entries` in mind.
    fn step_of_input(&mut self, kind: StepKind, span: Span) -> Term {
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

    fn pipe(&mut self, stages: &'a [syntax::Term], scope: &Scope<'a>, span: Span) -> Term {
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

    fn condition(
        &mut self,
        branches: &'a [(syntax::Term, syntax::Term)],
        otherwise: Option<&'a syntax::Term>,
        scope: &Scope<'a>,
        span: Span,
    ) -> Term {
        let Some(((condition, then), rest)) = branches.split_first() else {
            return match otherwise {
                Some(otherwise) => self.term(otherwise, scope),
                None => {
                    self.uses_input();
                    self.make(Kind::Input, span)
                }
            };
        };
        let number = self.branches.len() as u32;
        let is_counted = self.stand_in.is_none();
        if is_counted {
            let file = self.file;
            let last = rest.first().map(|(condition, _)| condition.span).or(otherwise.map(|term| term.span));
            self.branches.push(Place { file, span: then.span });
            self.branches.push(Place { file, span: last.unwrap_or(span) });
        }
        let condition = self.term(condition, scope);
        let then = self.term(then, scope);
        let otherwise = self.condition(rest, otherwise, scope, span);
        let number = if is_counted { number } else { u32::MAX };
        let kind = Kind::If(Box::new(condition), Box::new(then), Box::new(otherwise), number);
        self.make(kind, span)
    }

    fn fold(
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

    fn bind(
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
    fn bind_to(
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
            Kind::Const(value) if !is_callable => {
                let scope = push(scope.clone(), Binding::Const { name, value });
                body(self, &scope)
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

    fn patterns(&mut self, patterns: &'a [syntax::Pattern], scope: &Scope<'a>) -> (Patterns, Scope<'a>) {
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

    fn pattern_slots(&mut self, pattern: &'a syntax::Pattern, slots: &mut Vec<(String, u32)>) {
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

    fn pattern(
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
                        let shown =
                            format!("{} ({})", constant.type_name(), crate::jq::value::clip(constant, 11));
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

    fn path(
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

    fn call(&mut self, name: &str, args: &'a [syntax::Term], scope: &Scope<'a>, span: Span) -> Term {
        // a definition of the prelude sees the prelude and nothing else around it
        let found = Self::find(scope, name, args.len());
        if let Some(node) = found {
            return self.call_node(&node, args, scope, span);
        }
        if let Some(term) = self.known(name, args, scope, span) {
            return fold(term);
        }
        if let Some(node) = self.prelude(name, args.len()) {
            return self.call_node(&node, args, scope, span);
        }
        for arg in args {
            self.term(arg, scope);
        }
        // of a call only the name is wrong
        let span = Span { start: span.start, end: span.start + name.len() as u32 };
        self.missing(span, Missing::Function(name.to_owned(), args.len()))
    }

    /// A call of what the evaluator knows itself.
    fn known(&mut self, name: &str, args: &'a [syntax::Term], scope: &Scope<'a>, span: Span) -> Option<Term> {
        match (name, args) {
            ("recurse", []) => {
                self.uses_input();
                return Some(self.make(Kind::Recurse, span));
            }
            ("with_entries", [body]) => {
                if let Some(term) = self.entries(body, scope, span) {
                    return Some(term);
                }
            }
            ("range", [from, to, by]) => return Some(self.range([from, to, by], scope, span)),
            ("_sub", [re, body, flags]) => {
                self.uses_input();
                let re = self.elsewhere(|this| this.term(re, scope));
                let body = self.elsewhere(|this| this.term(body, scope));
                let flags = self.elsewhere(|this| this.term(flags, scope));
                return Some(self.make(Kind::Special(Special::Sub, Box::new([re, body, flags])), span));
            }
            _ => {}
        }
        let special = SPECIALS.iter().find(|(this, arity, _)| *this == name && *arity == args.len());
        if let Some((_, _, special)) = special {
            let is_of_input = match special {
                Special::Empty => false,
                Special::First | Special::Last | Special::IsEmpty => false,
                _ => true,
            };
            if is_of_input {
                self.uses_input();
            }
            let mut lowered = Vec::with_capacity(args.len());
            for (number, arg) in args.iter().enumerate() {
                // the condition of `any` and `all` gets each item
                let is_elsewhere = matches!(special, Special::Any | Special::All) && number == 1;
                let term = if is_elsewhere || is_of_input {
                    self.elsewhere(|this| this.term(arg, scope))
                } else {
                    self.term(arg, scope)
                };
                lowered.push(term);
            }
            if *special == Special::Del {
                // the paths are lowered twice: for the way down, and for the general way
                let whole = Doomed { whole: true, ..Doomed::default() };
                let paths = self.elsewhere(|this| this.term(&args[0], scope));
                if let Some(doomed) = update::doomed(paths, whole) {
                    let general = self.make(Kind::Special(*special, lowered.into()), span);
                    return Some(self.make(Kind::Prune(Box::new(doomed), Box::new(general)), span));
                }
            }
            return Some(self.make(Kind::Special(*special, lowered.into()), span));
        }
        let native = *self.natives.iter().find(|((this, arity), _)| *this == name && *arity == args.len())?.1;
        self.uses_input();
        let args: Box<[Term]> = args.iter().map(|arg| self.elsewhere(|this| this.term(arg, scope))).collect();
        Some(self.make(Kind::Native(native, args), span))
    }

    /// `range` of three terms: the first is the outer loop.
    fn range(&mut self, args: [&'a syntax::Term; 3], scope: &Scope<'a>, span: Span) -> Term {
        let mut slots = Vec::new();
        let mut bounds = Vec::new();
        for arg in args {
            let arg = self.term(arg, scope);
            bounds.push(match arg.kind {
                Kind::Const(_) | Kind::Var(_) => arg,
                _ => {
                    let slot = self.slot();
                    slots.push((arg, slot));
                    self.make(Kind::Var(Slot { up: 0, slot }), span)
                }
            });
        }
        let mut term = self.make(Kind::Special(Special::Range, bounds.into()), span);
        for (arg, slot) in slots.into_iter().rev() {
            term = self.make(Kind::Bind(Box::new(arg), slot, Box::new(term)), span);
        }
        term
    }

    /// `with_entries(select(condition))`, if the condition looks at the entry only by `.key` and
    /// `.value`.
    fn entries(&mut self, body: &'a syntax::Term, scope: &Scope<'a>, span: Span) -> Option<Term> {
        let Syntax::Call(name, args) = &body.kind else { return None };
        let ("select", [condition]) = (name.as_str(), args.as_slice()) else { return None };
        if Self::find(scope, "select", 1).is_some() {
            return None;
        }
        let (key, value) = (self.slot(), self.slot());
        let errors = self.undefined.len();
        let before = self.entry.replace((key, value, false));
        let condition = self.term(condition, scope);
        let used = std::mem::replace(&mut self.entry, before);
        // with many outputs an entry would come as often as the condition is true
        condition.settle_alone();
        let is_single = condition.outputs.get() != Outputs::Many && !condition.calls_functions();
        if used.is_none_or(|(_, _, is_used)| is_used) || self.undefined.len() > errors || !is_single {
            self.undefined.truncate(errors);
            return None;
        }
        self.uses_input();
        Some(self.make(Kind::Entries { key, value, keep: Box::new(condition) }, span))
    }

    fn call_node(
        &mut self,
        node: &Rc<Node<'a>>,
        args: &'a [syntax::Term],
        scope: &Scope<'a>,
        span: Span,
    ) -> Term {
        match &node.binding {
            Binding::Argument { term, file, scope, stand_in, .. } => {
                let (term, file, scope, stand_in) = (*term, *file, scope.clone(), *stand_in);
                self.within(file, stand_in, |this| this.term(term, &scope))
            }
            Binding::Closure { slot, level, .. } => {
                self.uses_input();
                let slot = Slot { up: self.level - level, slot: *slot };
                self.make(Kind::Closure(slot), span)
            }
            Binding::Var { slot, level, .. } => {
                let slot = Slot { up: self.level - level, slot: *slot };
                self.make(Kind::Var(slot), span)
            }
            Binding::Function { def, file, level, compiled, is_recursive } => {
                // inside the prelude everything stands where the prelude was called
                let stand_in = match *file {
                    PRELUDE_FILE => Some(self.place(span)),
                    _ => None,
                };
                let is_inlined = !is_recursive && self.terms < MAX_TERMS && self.inlined < MAX_INLINED;
                if !is_inlined {
                    return self
                        .call_function(node, def, *file, *level, compiled, args, scope, span, stand_in);
                }
                self.inlined += 1;
                let mut inner = Some(node.clone());
                let term = self.inline(def, *file, args, scope, &mut inner, 0, span, stand_in);
                self.inlined -= 1;
                term
            }
            // no other binding is found by the name of a function
            _ => self.make(Kind::Const(Val::Null), span),
        }
    }

    /// Inlines a definition: binds its parameters from number `at` on, then lowers its body.
    #[allow(clippy::too_many_arguments, reason = "a call and the definition that it calls")]
    fn inline(
        &mut self,
        def: &'a Def,
        file: u32,
        args: &'a [syntax::Term],
        scope: &Scope<'a>,
        inner: &mut Scope<'a>,
        at: usize,
        span: Span,
        stand_in: Option<u32>,
    ) -> Term {
        let Some((param, arg)) = def.params.get(at).zip(args.get(at)) else {
            let inner = inner.clone();
            return self.within(file, stand_in, |this| this.term(&def.body, &inner));
        };
        if param.is_value {
            let source = self.term(arg, scope);
            let outer = inner.clone();
            return self.bind_to(source, &param.name, true, &outer, span, |this, bound| {
                this.inline(def, file, args, scope, &mut bound.clone(), at + 1, span, stand_in)
            });
        }
        let binding = Binding::Argument {
            name: &param.name,
            term: arg,
            file: self.file,
            scope: scope.clone(),
            stand_in: self.stand_in,
        };
        *inner = push(inner.take(), binding);
        self.inline(def, file, args, scope, inner, at + 1, span, stand_in)
    }

    #[allow(clippy::too_many_arguments, reason = "a call and the definition that it calls")]
    fn call_function(
        &mut self,
        node: &Rc<Node<'a>>,
        def: &'a Def,
        file: u32,
        level: u32,
        compiled: &Cell<Option<usize>>,
        args: &'a [syntax::Term],
        scope: &Scope<'a>,
        span: Span,
        stand_in: Option<u32>,
    ) -> Term {
        self.uses_input();
        let function = match compiled.get() {
            Some(function) => function,
            None => {
                let number = self.functions.len();
                self.functions.push(None);
                compiled.set(Some(number));
                let before = (self.slots, self.level, self.entry.take(), self.inlined);
                (self.slots, self.level) = (1, level + 1);
                let mut inner = Some(node.clone());
                for param in &def.params {
                    let slot = self.slot();
                    inner = push(
                        inner,
                        if param.is_value {
                            Binding::Var {
                                name: param.name.clone(),
                                slot,
                                level: self.level,
                                is_callable: true,
                            }
                        } else {
                            Binding::Closure { name: &param.name, slot, level: self.level }
                        },
                    );
                }
                let body = self.within(file, stand_in, |this| this.term(&def.body, &inner));
                let slots = self.slots;
                (self.slots, self.level, self.entry, self.inlined) = before;
                self.functions[number] = Some(Function { body, slots, outputs: Cell::new(Outputs::One) });
                number
            }
        };
        let args = def.params.iter().zip(args).map(|(param, arg)| {
            if param.is_value {
                return Arg::Value(self.elsewhere(|this| this.term(arg, scope)));
            }
            let term = self.elsewhere(|this| this.term(arg, scope));
            match term.kind {
                Kind::Closure(slot) => Arg::Same(slot),
                _ => {
                    self.closures.push(term);
                    Arg::Closure(self.closures.len() - 1)
                }
            }
        });
        let args = args.collect();
        self.make(Kind::Call { function, up: self.level - level, args }, span)
    }
}

/// Whether a term is constant as it is written, whatever the arguments are.
fn is_literal(term: &syntax::Term) -> bool {
    matches!(term.kind, Syntax::Null | Syntax::Bool(_) | Syntax::Number(_) | Syntax::Array(None))
}

fn number(text: &str) -> Val {
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
fn join(first: Term, second: Term, at: u32) -> Term {
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
fn extend(head: Term, more: Vec<Step>) -> Term {
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
fn same_dot(steps: &[Step]) -> bool {
    steps.iter().all(|step| match &step.kind {
        StepKind::Key(_) | StepKind::Iterate => true,
        StepKind::Index(term) => term.as_const().is_some(),
        StepKind::Slice(start, end) => start.iter().chain(end).all(|term| term.as_const().is_some()),
    })
}

/// Computes what is constant. An error stays for the run.
fn fold(term: Term) -> Term {
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
        branches: Vec::new(),
    };
    let mut stack = Vec::new();
    let mut outputs = Vec::new();
    let result = Machine::new(&code, &mut stack, [], None).run(Val::Null, &mut |value| {
        outputs.push(value);
        Ok(())
    });
    drop(stack);
    match (result, outputs.pop()) {
        (Ok(()), Some(value)) if outputs.is_empty() => Term::new(Kind::Const(value), at),
        _ => code.main,
    }
}

/// Whether a term calls a function of this name. Another of the same name inside counts too.
fn calls(term: &syntax::Term, name: &str, arity: usize) -> bool {
    use Syntax as S;
    let in_term = |term: &syntax::Term| calls(term, name, arity);
    let in_box = |term: &Box<syntax::Term>| calls(term, name, arity);
    match &term.kind {
        S::Call(this, args) => (this == name && args.len() == arity) || args.iter().any(in_term),
        S::Identity
        | S::Recurse
        | S::Null
        | S::Bool(_)
        | S::Number(_)
        | S::Format(_)
        | S::Break(_)
        | S::Var(_)
        | S::Place(_) => false,
        S::String { parts, .. } => parts.iter().any(|part| matches!(part, Part::Term(term) if in_term(term))),
        S::Array(inner) => inner.as_ref().is_some_and(in_box),
        S::Object(members) => {
            members.iter().any(|member| in_term(&member.key) || member.value.as_ref().is_some_and(in_term))
        }
        S::Negate(inner) | S::Label(_, inner) => in_box(inner),
        S::Pipe(terms) | S::Comma(terms) => terms.iter().any(in_term),
        S::Binary(_, a, b)
        | S::And(a, b)
        | S::Or(a, b)
        | S::Alternative(a, b)
        | S::Assign(a, b)
        | S::Update(a, b)
        | S::Arithmetic(_, a, b)
        | S::Default(a, b) => in_box(a) || in_box(b),
        S::If(branches, otherwise) => {
            branches.iter().any(|(condition, then)| in_term(condition) || in_term(then))
                || otherwise.as_ref().is_some_and(in_box)
        }
        S::Try(body, catch) => in_box(body) || catch.as_ref().is_some_and(in_box),
        S::Reduce { source, patterns, init, update } => {
            in_box(source)
                || in_box(init)
                || in_box(update)
                || patterns.iter().any(|p| in_pattern(p, name, arity))
        }
        S::Foreach { source, patterns, init, update, extract } => {
            in_box(source)
                || in_box(init)
                || in_box(update)
                || extract.as_ref().is_some_and(in_box)
                || patterns.iter().any(|p| in_pattern(p, name, arity))
        }
        S::Defs(defs, body) => defs.iter().any(|def| in_term(&def.body)) || in_box(body),
        S::Bind { source, patterns, body } => {
            in_box(source) || in_box(body) || patterns.iter().any(|p| in_pattern(p, name, arity))
        }
        S::Path(head, steps) => {
            in_box(head)
                || steps.iter().any(|step| match &step.kind {
                    syntax::StepKind::Field(key) | syntax::StepKind::Index(key) => in_term(key),
                    syntax::StepKind::Slice(start, end) => start.iter().chain(end).any(in_term),
                    syntax::StepKind::Iterate => false,
                })
        }
    }
}

fn in_pattern(pattern: &syntax::Pattern, name: &str, arity: usize) -> bool {
    match pattern {
        syntax::Pattern::Var(_) => false,
        syntax::Pattern::Array(items) => items.iter().any(|item| in_pattern(item, name, arity)),
        syntax::Pattern::Object(members) => members.iter().any(|(_, key, inner)| {
            calls(key, name, arity) || inner.as_ref().is_some_and(|inner| in_pattern(inner, name, arity))
        }),
    }
}

impl Term {
    /// Counts outputs where no function is called.
    fn settle_alone(&self) {
        while self.settle(&[]) {}
    }

    /// Makes records of the objects whose keys are constant and whose values have one output each.
    fn make_records(&mut self) {
        self.children_mut(&mut Term::make_records);
        if let Kind::Pipe(first, second) = &mut self.kind
            && let (Kind::Record(members, _), Kind::Entries { value, keep, .. }) =
                (&mut first.kind, &second.kind)
            && is_not_null(keep, *value)
        {
            // what would be taken out again is not put in
            self.kind = Kind::Record(std::mem::take(members), true);
            return;
        }
        let Kind::Object(members) = &mut self.kind else { return };
        let mut keys: Vec<&Str> = Vec::with_capacity(members.len());
        for (key, value) in members.iter() {
            match key.as_const() {
                Some(Val::Str(name)) if value.outputs.get() == Outputs::One && !keys.contains(&name) => {
                    keys.push(name)
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

impl Code {
    fn make_records(&mut self) {
        self.main.make_records();
        self.closures.iter_mut().for_each(Term::make_records);
        self.functions.iter_mut().for_each(|function| function.body.make_records());
    }
}
