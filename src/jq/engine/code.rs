//! Programs as the evaluator runs them.
//!
//! Names are gone: a variable is a slot of a frame, a function is inlined where it is called, or a
//! number if it calls itself. What is constant is a value. Each term knows how many outputs it can
//! have, because most have one, and those need no callback.

use std::cell::Cell;

use super::native::Native;
use crate::jq::syntax::{Binary, Span};
use crate::jq::value::{Str, Type, Val};

/// A program ready to run on one thread.
pub(in crate::jq) struct Code {
    pub(super) main: Term,
    /// Slots of the outermost frame.
    pub(super) slots: usize,
    pub(super) functions: Vec<Function>,
    /// Arguments of calls that are not values.
    pub(super) closures: Vec<Term>,
    /// Where each term stands, by [`Term::at`].
    pub(in crate::jq) places: Vec<Place>,
    /// Whether it reads `$meta`.
    pub(in crate::jq) wants_meta: bool,
    /// How often each site was reached, by its number; nothing if that is not to be known.
    pub(in crate::jq) hits: Box<[Cell<u64>]>,
}

/// Bytes of one of the program's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::jq) struct Place {
    /// Number of the file; the program itself is 0.
    pub(in crate::jq) file: u32,
    pub(in crate::jq) span: Span,
}

/// A function that is called rather than inlined.
pub(super) struct Function {
    pub(super) body: Term,
    /// Slots of its frame: the link, the parameters, the variables.
    pub(super) slots: usize,
    pub(super) outputs: Cell<Outputs>,
}

/// How many outputs a term can have, if it raises no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outputs {
    One,
    /// None or one.
    Maybe,
    Many,
}

pub(super) struct Term {
    pub(super) kind: Kind,
    /// Number of its [`Place`].
    pub(super) at: u32,
    pub(super) outputs: Cell<Outputs>,
}

/// A slot of the frame `up` definitions further out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) up: u32,
    pub(super) slot: u32,
}

pub(super) enum Kind {
    Input,
    Const(Val),
    Var(Slot),
    /// `..`
    Recurse,
    Path(Box<Term>, Box<[Step]>),
    Pipe(Box<Term>, Box<Term>),
    Comma(Box<[Term]>),
    Array(Option<Box<Term>>),
    /// Keys that are constant and differ, each with a term of one output; and whether members that
    /// are null are left out.
    Record(Box<[(Str, Term)]>, bool),
    Object(Box<[(Term, Term)]>),
    Negate(Box<Term>),
    Binary(Binary, Box<Term>, Box<Term>),
    And(Box<Term>, Box<Term>),
    Or(Box<Term>, Box<Term>),
    Alternative(Box<Term>, Box<Term>),
    /// Text and terms; a term's output is formatted.
    Text(Option<Format>, Box<[TextPart]>),
    If(Box<Term>, Box<Term>, Box<Term>),
    Try(Box<Term>, Option<Box<Term>>),
    Reduce(Box<Fold>),
    Foreach(Box<Fold>, Option<Box<Term>>),
    /// The source's outputs, each in a slot, for the body.
    Bind(Box<Term>, u32, Box<Term>),
    /// The source's outputs, each taken apart by the first pattern that fits.
    Destructure(Box<Term>, Box<Patterns>, Box<Term>),
    Label(u32, Box<Term>),
    Break(Slot),
    /// A parameter of a function that was not inlined.
    Closure(Slot),
    Call {
        function: usize,
        up: u32,
        args: Box<[Arg]>,
    },
    Native(&'static Native, Box<[Term]>),
    Special(Special, Box<[Term]>),
    /// `path = value`
    Assign(Box<Term>, Box<Term>),
    /// `path |= f`
    Update(Box<Term>, Box<Term>),
    /// `path op= value`
    Arithmetic(Binary, Box<Term>, Box<Term>),
    /// `path //= value`
    Default(Box<Term>, Box<Term>),
    /// `with_entries(select(keep))` where `keep` looks at the entry only through its key and value,
    /// which are in these slots.
    Entries {
        key: u32,
        value: u32,
        keep: Box<Term>,
    },
    /// `del` of paths that can be followed downwards, and the general way to do it.
    Prune(Box<Doomed>, Box<Term>),
    /// Whether the input is of one of these types, as bits by [`type_bit`].
    Is(u8),
    /// Sites that are reached when the term is evaluated. Only where coverage is counted.
    Mark(Box<[u32]>, Box<Term>),
    /// A site that is reached by each output that is true. Only where coverage is counted.
    MarkTrue(u32, Box<Term>),
}

/// What is to be deleted at and below a value.
#[derive(Default)]
pub(super) struct Doomed {
    /// The value itself.
    pub(super) whole: bool,
    pub(super) members: Vec<(Str, Doomed)>,
    /// In every child.
    pub(super) children: Option<Box<Doomed>>,
    /// What goes only if a condition holds for the value.
    pub(super) guarded: Vec<(Term, Doomed)>,
    /// Fingerprints of the keys of `members`, in their order.
    pub(super) marks: Vec<u64>,
    /// Whether it is known to come to nothing where there is null.
    pub(super) is_calm: bool,
}

/// The bit of a value's type.
#[inline]
pub(super) fn type_bit(kind: Type) -> u8 {
    1 << (kind as u8)
}

pub(super) enum TextPart {
    Text(Str),
    Term(Term),
}

/// What `@name` does to a value.
pub(super) type Format = fn(&Val) -> Result<Val, crate::jq::value::Exn>;

pub(super) struct Step {
    pub(super) kind: StepKind,
    pub(super) is_optional: bool,
    pub(super) at: u32,
}

pub(super) enum StepKind {
    Key(Str),
    Index(Term),
    Slice(Option<Term>, Option<Term>),
    Iterate,
}

/// A `reduce` or `foreach`.
pub(super) struct Fold {
    pub(super) source: Term,
    pub(super) patterns: Patterns,
    pub(super) init: Term,
    pub(super) update: Term,
}

/// Patterns to be tried in turn, and all slots that they bind.
pub(super) struct Patterns {
    pub(super) patterns: Vec<Pattern>,
    pub(super) slots: Vec<u32>,
}

pub(super) enum Pattern {
    Var(u32),
    Array(Vec<Pattern>),
    Object(Vec<(Option<u32>, Term, Option<Pattern>)>),
}

/// An argument of a call.
pub(super) enum Arg {
    /// A term with the frame it was written in; its number.
    Closure(usize),
    /// A parameter handed on.
    Same(Slot),
    /// `$name`: a value.
    Value(Term),
}

/// Functions that the evaluator knows itself, because they take terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jq) enum Special {
    Empty,
    Error,
    Path,
    First,
    Last,
    Limit,
    Skip,
    Range,
    Any,
    All,
    IsEmpty,
    Walk,
    Del,
    GetPath,
    Sub,
}

impl Term {
    pub(super) fn new(kind: Kind, at: u32) -> Self {
        Term { kind, at, outputs: Cell::new(Outputs::Many) }
    }

    pub(super) fn as_const(&self) -> Option<&Val> {
        match &self.kind {
            Kind::Const(value) => Some(value),
            _ => None,
        }
    }

    /// How many outputs it can have, by what is known of the terms below and of functions.
    fn count(&self, functions: &[Function]) -> Outputs {
        use Outputs::{Many, Maybe, One};
        let of = |term: &Term| term.outputs.get();
        let all = |terms: &mut dyn Iterator<Item = &Term>| terms.map(of).max().unwrap_or(One);
        match &self.kind {
            Kind::Input | Kind::Const(_) | Kind::Var(_) | Kind::Array(_) | Kind::Record(..) | Kind::Is(_) => {
                One
            }
            Kind::Recurse | Kind::Closure(_) => Many,
            Kind::Path(head, steps) => steps.iter().fold(of(head), |most, step| {
                let most = if step.is_optional { most.max(Maybe) } else { most };
                most.max(match &step.kind {
                    StepKind::Key(_) => One,
                    StepKind::Index(term) => of(term),
                    StepKind::Slice(start, end) => all(&mut start.iter().chain(end)),
                    StepKind::Iterate => Many,
                })
            }),
            Kind::Pipe(a, b) | Kind::Binary(_, a, b) | Kind::Bind(a, _, b) => of(a).max(of(b)),
            Kind::And(a, b) | Kind::Or(a, b) => of(a).max(of(b)),
            Kind::Alternative(a, b) => match of(a) {
                // without an output, or with an error, the other side is taken
                One | Maybe => of(b),
                Many => Many,
            },
            Kind::Comma(terms) => {
                if terms.len() == 1 {
                    all(&mut terms.iter())
                } else {
                    Many
                }
            }
            Kind::Object(members) => all(&mut members.iter().flat_map(|(key, value)| [key, value])),
            Kind::Negate(term) | Kind::Label(_, term) => match (of(term), &self.kind) {
                (Many, _) => Many,
                (_, Kind::Label(..)) => Maybe,
                (most, _) => most,
            },
            Kind::Prune(_, term) | Kind::Mark(_, term) | Kind::MarkTrue(_, term) => of(term),
            Kind::Text(_, parts) => all(&mut parts.iter().filter_map(|part| match part {
                TextPart::Text(_) => None,
                TextPart::Term(term) => Some(term),
            })),
            Kind::If(condition, a, b) => of(condition).max(of(a)).max(of(b)),
            Kind::Try(body, catch) => match catch {
                Some(catch) => of(body).max(of(catch)),
                None => of(body).max(Maybe),
            },
            // an update without an output makes the state null
            Kind::Reduce(fold) => of(&fold.init),
            Kind::Foreach(..) => Many,
            Kind::Destructure(source, patterns, body) => match patterns.patterns.as_slice() {
                [pattern] => {
                    let mut most = of(source).max(of(body));
                    pattern.children(&mut |key| most = most.max(of(key)));
                    most
                }
                _ => Many,
            },
            Kind::Break(_) => Maybe,
            Kind::Call { function, args, .. } => {
                let body = functions.get(*function).map_or(One, |function| function.outputs.get());
                args.iter().fold(body, |most, arg| match arg {
                    Arg::Value(term) => most.max(of(term)),
                    Arg::Closure(_) | Arg::Same(_) => most,
                })
            }
            Kind::Native(_, args) => all(&mut args.iter()),
            Kind::Special(special, args) => match special {
                Special::Empty | Special::First | Special::Last => Maybe,
                Special::Error => args.iter().map(of).max().unwrap_or(One).max(Maybe),
                Special::Path | Special::Limit | Special::Skip | Special::Range | Special::Sub => Many,
                Special::Any | Special::All | Special::IsEmpty | Special::Del => One,
                Special::Walk => of(&args[0]),
                Special::GetPath => of(&args[0]),
            },
            Kind::Assign(_, value) | Kind::Arithmetic(_, _, value) | Kind::Default(_, value) => of(value),
            Kind::Update(..) | Kind::Entries { .. } => One,
        }
    }

    fn visit(&self, each: &mut dyn FnMut(&Term)) {
        each(self);
        self.children(&mut |term| term.visit(each));
    }

    /// Whether anything in it calls a function, whose outputs are not known yet.
    pub(super) fn calls_functions(&self) -> bool {
        let mut found = matches!(self.kind, Kind::Call { .. });
        self.children(&mut |term| found |= term.calls_functions());
        found
    }

    /// Counts outputs from the leaves up. True if anything changed.
    pub(super) fn settle(&self, functions: &[Function]) -> bool {
        let mut changed = false;
        self.children(&mut |term| changed |= term.settle(functions));
        let count = self.count(functions);
        changed |= self.outputs.replace(count) != count;
        changed
    }
}

/// Defines the walk over the terms directly below, to be read or to be changed.
macro_rules! walk {
    ($children:ident, $iter:ident $(, $mutable:tt)?) => {
        impl Term {
            /// Calls `each` with every term directly below.
            pub(super) fn $children<'t>(
                &'t $($mutable)? self,
                each: &mut dyn FnMut(&'t $($mutable)? Term),
            ) {
                match & $($mutable)? self.kind {
                    Kind::Input
                    | Kind::Const(_)
                    | Kind::Var(_)
                    | Kind::Recurse
                    | Kind::Break(_)
                    | Kind::Closure(_)
                    | Kind::Is(_)
                    | Kind::Array(None) => {}
                    Kind::Path(head, steps) => {
                        each(head);
                        for step in steps.$iter() {
                            match & $($mutable)? step.kind {
                                StepKind::Index(term) => each(term),
                                StepKind::Slice(start, end) => {
                                    start.$iter().chain(end.$iter()).for_each(&mut *each);
                                }
                                StepKind::Key(_) | StepKind::Iterate => {}
                            }
                        }
                    }
                    Kind::Pipe(a, b)
                    | Kind::Binary(_, a, b)
                    | Kind::And(a, b)
                    | Kind::Or(a, b)
                    | Kind::Alternative(a, b)
                    | Kind::Bind(a, _, b)
                    | Kind::Assign(a, b)
                    | Kind::Update(a, b)
                    | Kind::Arithmetic(_, a, b)
                    | Kind::Default(a, b) => {
                        each(a);
                        each(b);
                    }
                    Kind::Comma(terms) | Kind::Native(_, terms) | Kind::Special(_, terms) => {
                        terms.$iter().for_each(each);
                    }
                    Kind::Array(Some(term))
                    | Kind::Negate(term)
                    | Kind::Label(_, term)
                    | Kind::Mark(_, term)
                    | Kind::MarkTrue(_, term) => each(term),
                    Kind::Prune(doomed, term) => {
                        doomed.$children(each);
                        each(term);
                    }
                    Kind::Record(members, _) => members.$iter().for_each(|(_, term)| each(term)),
                    Kind::Object(members) => members.$iter().for_each(|(key, value)| {
                        each(key);
                        each(value);
                    }),
                    Kind::Text(_, parts) => parts.$iter().for_each(|part| {
                        if let TextPart::Term(term) = part {
                            each(term);
                        }
                    }),
                    Kind::If(a, b, c) => [a, b, c].into_iter().for_each(|term| each(term)),
                    Kind::Try(body, catch) => {
                        each(body);
                        catch.$iter().for_each(|term| each(term));
                    }
                    Kind::Reduce(fold) => fold.$children(each),
                    Kind::Foreach(fold, extract) => {
                        fold.$children(each);
                        extract.$iter().for_each(|term| each(term));
                    }
                    Kind::Destructure(source, patterns, body) => {
                        each(source);
                        patterns.patterns.$iter().for_each(|pattern| pattern.$children(each));
                        each(body);
                    }
                    Kind::Call { args, .. } => args.$iter().for_each(|arg| match arg {
                        Arg::Value(term) => each(term),
                        Arg::Closure(_) | Arg::Same(_) => {}
                    }),
                    Kind::Entries { keep, .. } => each(keep),
                }
            }
        }

        impl Fold {
            fn $children<'t>(&'t $($mutable)? self, each: &mut dyn FnMut(&'t $($mutable)? Term)) {
                each(& $($mutable)? self.source);
                self.patterns.patterns.$iter().for_each(|pattern| pattern.$children(each));
                each(& $($mutable)? self.init);
                each(& $($mutable)? self.update);
            }
        }

        impl Pattern {
            fn $children<'t>(&'t $($mutable)? self, each: &mut dyn FnMut(&'t $($mutable)? Term)) {
                match self {
                    Pattern::Var(_) => {}
                    Pattern::Array(items) => items.$iter().for_each(|item| item.$children(each)),
                    Pattern::Object(members) => {
                        for (_, key, inner) in members {
                            each(key);
                            inner.$iter().for_each(|inner| inner.$children(each));
                        }
                    }
                }
            }
        }

        impl Doomed {
            fn $children<'t>(&'t $($mutable)? self, each: &mut dyn FnMut(&'t $($mutable)? Term)) {
                self.members.$iter().for_each(|(_, below)| below.$children(each));
                self.children.$iter().for_each(|below| below.$children(each));
                for (condition, below) in self.guarded.$iter() {
                    each(condition);
                    below.$children(each);
                }
            }
        }
    };
}

walk!(children, iter);
walk!(children_mut, iter_mut, mut);

impl Doomed {
    /// All of what `more` says, too.
    pub(super) fn merge(&mut self, more: Doomed) {
        self.whole |= more.whole;
        for (key, below) in more.members {
            match self.members.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => known.merge(below),
                None => self.members.push((key, below)),
            }
        }
        if let Some(below) = more.children {
            self.children.get_or_insert_default().merge(*below);
        }
        self.guarded.extend(more.guarded);
    }
}

impl Code {
    /// Code that does nothing. It stands for a program that was not compiled before it was run.
    pub(in crate::jq) fn failing() -> Code {
        Code {
            main: Term::new(Kind::Special(Special::Empty, Box::default()), 0),
            slots: 2,
            functions: Vec::new(),
            closures: Vec::new(),
            places: Vec::new(),
            wants_meta: false,
            hits: Box::default(),
        }
    }

    /// Counts that sites were reached.
    pub(super) fn hit(&self, sites: &[u32]) {
        for site in sites {
            if let Some(count) = self.hits.get(*site as usize) {
                count.set(count.get() + 1);
            }
        }
    }

    /// Whether the program has at most one output for any event.
    pub(in crate::jq) fn has_one_output(&self) -> bool {
        self.main.outputs.get() != Outputs::Many
    }

    /// How the program runs, for a person.
    pub(in crate::jq) fn explain(&self) -> String {
        let (mut terms, mut constants, mut many) = (0, 0, 0);
        let mut count = |term: &Term| {
            terms += 1;
            constants += usize::from(matches!(term.kind, Kind::Const(_)));
            many += usize::from(term.outputs.get() == Outputs::Many);
        };
        self.main.visit(&mut count);
        self.closures.iter().for_each(|term| term.visit(&mut count));
        self.functions.iter().for_each(|function| function.body.visit(&mut count));
        format!(
            "engine: jaquard (all of the program)\n\
             terms: {terms}, of which {constants} constants and {many} with more than one output\n\
             functions called rather than inlined: {}\n\
             reads $meta: {}\n",
            self.functions.len(),
            if self.wants_meta { "yes" } else { "no" },
        )
    }

    /// Finds out how many outputs each term can have. A function that calls itself is taken to have
    /// one until something says otherwise.
    pub(super) fn count_outputs(&self) {
        loop {
            let mut changed = self.main.settle(&self.functions);
            self.closures.iter().for_each(|term| changed |= term.settle(&self.functions));
            for function in &self.functions {
                changed |= function.body.settle(&self.functions);
                let count = function.body.outputs.get();
                changed |= function.outputs.replace(count) != count;
            }
            if !changed {
                return;
            }
        }
    }
}
