//! Program text to syntax tree: the grammar of jq 1.8, with the place of everything.

mod children;
mod lexer;
mod parser;
mod terms;

pub(super) use parser::parse;

/// Bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end }
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A program or a module.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) imports: Vec<Import>,
    pub(super) defs: Vec<Def>,
    /// The program itself. A module has none.
    pub(super) body: Option<Term>,
}

/// `import "path" as name;` or `include "path";`
#[derive(Debug)]
pub(super) struct Import {
    pub(super) path: String,
    pub(super) span: Span,
    pub(super) what: What,
    pub(super) has_meta: bool,
}

/// What an import binds.
#[derive(Debug)]
pub(super) enum What {
    /// `as name`: its functions, as `name::function`.
    Module(String),
    /// `as $name`: data, which has no place here.
    Data,
    /// `include`: its functions, as if they were written here.
    Include,
}

/// `def name(params): body;`
#[derive(Debug)]
pub(super) struct Def {
    pub(super) name: String,
    /// Of its name.
    pub(super) span: Span,
    pub(super) params: Vec<Param>,
    pub(super) body: Term,
}

/// A parameter of a definition.
#[derive(Debug)]
pub(super) struct Param {
    pub(super) name: String,
    /// `$name`: each output of the argument is bound in turn.
    pub(super) is_value: bool,
}

#[derive(Debug)]
pub(super) struct Term {
    pub(super) span: Span,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// `.`
    Identity,
    /// `..`
    Recurse,
    Null,
    Bool(bool),
    /// Text of a number.
    Number(String),
    /// A string with its interpolations, each formatted by `format` if there is one.
    String {
        format: Option<String>,
        parts: Vec<Part>,
    },
    /// `@name` by itself.
    Format(String),
    Array(Option<Box<Term>>),
    Object(Vec<Member>),
    Negate(Box<Term>),
    Pipe(Vec<Term>),
    Comma(Vec<Term>),
    Binary(Binary, Box<Term>, Box<Term>),
    And(Box<Term>, Box<Term>),
    Or(Box<Term>, Box<Term>),
    /// `a // b`
    Alternative(Box<Term>, Box<Term>),
    /// `a = b`
    Assign(Box<Term>, Box<Term>),
    /// `a |= b`
    Update(Box<Term>, Box<Term>),
    /// `a += b`
    Arithmetic(Binary, Box<Term>, Box<Term>),
    /// `a //= b`
    Default(Box<Term>, Box<Term>),
    /// Pairs of condition and branch.
    If(Vec<(Term, Term)>, Option<Box<Term>>),
    Try(Box<Term>, Option<Box<Term>>),
    Reduce {
        source: Box<Term>,
        patterns: Vec<Pattern>,
        init: Box<Term>,
        update: Box<Term>,
    },
    Foreach {
        source: Box<Term>,
        patterns: Vec<Pattern>,
        init: Box<Term>,
        update: Box<Term>,
        extract: Option<Box<Term>>,
    },
    Defs(Vec<Def>, Box<Term>),
    Bind {
        source: Box<Term>,
        patterns: Vec<Pattern>,
        body: Box<Term>,
    },
    Label(String, Box<Term>),
    Break(String),
    Call(String, Vec<Term>),
    Var(String),
    /// `$__loc__`: the line.
    Place(usize),
    Path(Box<Term>, Vec<Step>),
}

/// Part of a string.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Term(Term),
}

/// One step of a path.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) span: Span,
    pub(super) kind: StepKind,
    /// Whether an error of this step is no output.
    pub(super) is_optional: bool,
}

#[derive(Debug)]
pub(super) enum StepKind {
    /// `.name` and `."name"`.
    Field(Term),
    /// `.[term]`
    Index(Term),
    /// `.[from:to]`
    Slice(Option<Term>, Option<Term>),
    /// `.[]`
    Iterate,
}

/// A member of an object construction.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: Term,
    /// `{$x}`, `{a}` and `{"a"}` say only the key.
    pub(super) value: Option<Term>,
}

#[derive(Debug)]
pub(super) enum Pattern {
    Var(String),
    Array(Vec<Pattern>),
    /// For each member the variable that is bound to it, its key, and what it is taken apart by.
    Object(Vec<(Option<String>, Term, Option<Pattern>)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Binary {
    /// Whether it compares rather than computes.
    pub(super) fn compares(self) -> bool {
        matches!(
            self,
            Binary::Equal
                | Binary::NotEqual
                | Binary::Less
                | Binary::LessOrEqual
                | Binary::Greater
                | Binary::GreaterOrEqual
        )
    }
}
