//! Recursive descent over the grammar of jq 1.8.
//!
//! From the loosest to the tightest: `def`, `as` and `label` reach to the end; `|`; `,`; `//`;
//! assignments; `or`; `and`; comparisons; `+ -`; `* / %`; and terms with their steps.

use super::lexer::{Lexer, Token};
use super::terms::{is_constant, text_term};
use super::{Binary, Def, File, Import, Kind, Param, Part, Pattern, Span, Step, StepKind, Term, What};

/// Levels of a program's text. What handles the tree recurses.
const MAX_DEPTH: usize = 3000;

/// Brackets that may be open at one place.
pub(super) const MAX_BRACKETS: usize = 500;

/// Why a text is no program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jq) struct SyntaxError {
    pub(in crate::jq) span: Span,
    pub(in crate::jq) message: String,
    pub(in crate::jq) help: Option<String>,
}

pub(super) type Parsed<T> = Result<T, SyntaxError>;

/// Names that only the grammar may use.
pub(super) const KEYWORDS: &[&str] = &[
    "as", "import", "include", "module", "def", "if", "then", "else", "elif", "and", "or", "end", "reduce",
    "foreach", "try", "catch", "label", "break", "__loc__",
];

/// Parses a program, or a module if `is_module`.
pub(in crate::jq) fn parse(code: &str, is_module: bool) -> Parsed<File> {
    let mut lexer = Lexer::new(code);
    let (token, span) = lexer.next();
    let mut parser = Parser { code, lexer, token, span, last: span, depth: 0, brackets: Vec::new() };
    parser.file(is_module)
}

pub(super) struct Parser<'a> {
    pub(super) code: &'a str,
    pub(super) lexer: Lexer<'a>,
    pub(super) token: Token,
    pub(super) span: Span,
    /// Place of the token before.
    pub(super) last: Span,
    pub(super) depth: usize,
    /// Places of the brackets that are open.
    pub(super) brackets: Vec<Span>,
}

pub(super) fn binary_of(sign: &str) -> Option<(u8, Binary)> {
    Some(match sign {
        "==" => (5, Binary::Equal),
        "!=" => (5, Binary::NotEqual),
        "<" => (5, Binary::Less),
        "<=" => (5, Binary::LessOrEqual),
        ">" => (5, Binary::Greater),
        ">=" => (5, Binary::GreaterOrEqual),
        "+" => (6, Binary::Add),
        "-" => (6, Binary::Subtract),
        "*" => (7, Binary::Multiply),
        "/" => (7, Binary::Divide),
        "%" => (7, Binary::Remainder),
        _ => return None,
    })
}

impl Parser<'_> {
    pub(super) fn advance(&mut self) -> (Token, Span) {
        let (token, span) = self.lexer.next();
        let token = std::mem::replace(&mut self.token, token);
        self.last = std::mem::replace(&mut self.span, span);
        (token, self.last)
    }

    pub(super) fn is(&self, sign: &str) -> bool {
        matches!(&self.token, Token::Sign(this) if *this == sign)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Name(this) if this == word)
    }

    pub(super) fn accept(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.advance();
        }
        found
    }

    /// A `?`, also one that the lexer took for the beginning of `?//`: that sign stands only
    /// between patterns.
    pub(super) fn accept_question(&mut self) -> bool {
        if self.is("?//") {
            self.last = Span { start: self.span.start, end: self.span.start + 1 };
            self.token = Token::Sign("//");
            self.span.start += 1;
            return true;
        }
        self.accept("?")
    }

    pub(super) fn accept_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn fail<T>(span: Span, message: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { span, message: message.into(), help: None })
    }

    pub(super) fn fail_help<T>(span: Span, message: impl Into<String>, help: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { span, message: message.into(), help: Some(help.into()) })
    }

    pub(super) fn unexpected<T>(&self, expected: &str) -> Parsed<T> {
        let message = format!("expected {expected}, found {}", self.token.describe());
        let help = match &self.token {
            Token::End if !self.brackets.is_empty() => self.brackets.last().map(|open| {
                let line = self.code[..open.start as usize].matches('\n').count() + 1;
                format!("`{}` of line {line} is still open", &self.code[open.range()])
            }),
            Token::Name(word) if KEYWORDS.contains(&word.as_str()) && expected == "a term" => {
                Some(format!("`{word}` is a keyword; write .[\"{word}\"] for a member of that name"))
            }
            Token::Sign("==") => None,
            Token::Unknown('\'') => Some("strings are written in double quotes".to_owned()),
            Token::Unknown('&') => Some("write `and`".to_owned()),
            Token::Unknown('!') => Some("write `| not`".to_owned()),
            _ => None,
        };
        Err(SyntaxError { span: self.span, message, help })
    }

    pub(super) fn expect(&mut self, sign: &str) -> Parsed<Span> {
        if self.is(sign) { Ok(self.advance().1) } else { self.unexpected(&format!("`{sign}`")) }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Parsed<Span> {
        if self.is_word(word) { Ok(self.advance().1) } else { self.unexpected(&format!("`{word}`")) }
    }

    /// Runs `work` one level deeper.
    pub(super) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Self::fail(self.span, format!("nested deeper than {MAX_DEPTH} levels"));
        }
        let result = work(self);
        self.depth -= 1;
        result
    }

    /// Runs `work` inside the bracket that is the current token.
    pub(super) fn bracket<T>(&mut self, close: &str, work: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let (_, open) = self.advance();
        self.brackets.push(open);
        if self.brackets.len() > MAX_BRACKETS {
            return Self::fail(open, format!("brackets nested deeper than {MAX_BRACKETS} levels"));
        }
        let result = work(self)?;
        self.expect(close)?;
        self.brackets.pop();
        Ok(result)
    }

    pub(super) fn file(&mut self, is_module: bool) -> Parsed<File> {
        let mut file = File::default();
        if self.is_word("module") {
            let (_, span) = self.advance();
            self.metadata(span)?;
            self.expect(";")?;
        }
        while self.is_word("import") || self.is_word("include") {
            file.imports.push(self.import()?);
        }
        while self.is_word("def") {
            file.defs.push(self.def()?);
        }
        if !matches!(self.token, Token::End) {
            if is_module {
                return self.unexpected("a definition or the end of the module");
            }
            file.body = Some(self.pipe()?);
        } else if !is_module {
            let end = self.span;
            file.body = Some(Term { span: end, kind: Kind::Identity });
        }
        match self.token {
            Token::End => Ok(file),
            _ => self.unexpected("an operator or the end of the program"),
        }
    }

    pub(super) fn metadata(&mut self, after: Span) -> Parsed<()> {
        let term = self.postfix()?;
        if !is_constant(&term) {
            return Self::fail(term.span, "module metadata must be constant");
        }
        if !matches!(term.kind, Kind::Object(_)) {
            return Self::fail(after.to(term.span), "module metadata must be an object");
        }
        Ok(())
    }

    pub(super) fn import(&mut self) -> Parsed<Import> {
        let is_include = self.is_word("include");
        let (_, start) = self.advance();
        if !matches!(self.token, Token::Quote) {
            return self.unexpected("the name of a module in quotes");
        }
        let quote = self.span;
        let path = match self.string(None)?.kind {
            Kind::String { parts, .. } => match parts.as_slice() {
                [] => String::new(),
                [Part::Text(text)] => text.clone(),
                _ => return Self::fail(quote, "the name of a module must be constant"),
            },
            _ => String::new(),
        };
        let span = quote.to(self.last);
        let what = if is_include {
            What::Include
        } else {
            self.expect_word("as")?;
            match self.advance().0 {
                Token::Name(name) => What::Module(name),
                Token::Variable(_) => What::Data,
                _ => return Self::fail(self.last, "expected a name or a `$name` after `as`"),
            }
        };
        let has_meta = !self.is(";");
        if has_meta {
            self.metadata(start)?;
        }
        self.expect(";")?;
        Ok(Import { path, span, what, has_meta })
    }

    pub(super) fn def(&mut self) -> Parsed<Def> {
        self.deeper(|this| {
            this.advance();
            let (name, span) = match this.advance() {
                (Token::Name(name), span) => (name, span),
                (_, span) => return Self::fail(span, "expected the name of a function after `def`"),
            };
            if name.contains("::") {
                return Self::fail(span, "a definition has no module in its name");
            }
            let mut params = Vec::new();
            if this.is("(") {
                this.bracket(")", |this| {
                    loop {
                        params.push(match this.advance().0 {
                            Token::Name(name) => Param { name, is_value: false },
                            Token::Variable(name) => Param { name, is_value: true },
                            _ => return Self::fail(this.last, "expected a parameter: `name` or `$name`"),
                        });
                        if !this.accept(";") {
                            return Ok(());
                        }
                    }
                })?;
            }
            this.expect(":")?;
            let body = this.pipe()?;
            this.expect(";")?;
            Ok(Def { name, span, params, body })
        })
    }

    /// What may stand in brackets.
    pub(super) fn pipe(&mut self) -> Parsed<Term> {
        self.deeper(|this| {
            let first = this.comma()?;
            if !this.is("|") {
                return Ok(first);
            }
            let start = first.span;
            let mut stages = vec![first];
            while this.accept("|") {
                stages.push(this.comma()?);
            }
            Ok(Term { span: start.to(this.last), kind: Kind::Pipe(stages) })
        })
    }

    pub(super) fn comma(&mut self) -> Parsed<Term> {
        let first = self.item()?;
        if !self.is(",") {
            return Ok(first);
        }
        let start = first.span;
        let mut items = vec![first];
        while self.accept(",") {
            items.push(self.item()?);
        }
        Ok(Term { span: start.to(self.last), kind: Kind::Comma(items) })
    }

    /// An expression, or one of the forms that take all that follows.
    pub(super) fn item(&mut self) -> Parsed<Term> {
        let start = self.span;
        if self.is_word("def") {
            let mut defs = Vec::new();
            while self.is_word("def") {
                defs.push(self.def()?);
            }
            let body = self.pipe()?;
            return Ok(Term { span: start.to(self.last), kind: Kind::Defs(defs, Box::new(body)) });
        }
        if self.is_word("label") {
            self.advance();
            let Token::Variable(name) = self.advance().0 else {
                return Self::fail(self.last, "expected `$name` after `label`");
            };
            self.expect("|")?;
            let body = self.pipe()?;
            return Ok(Term { span: start.to(self.last), kind: Kind::Label(name, Box::new(body)) });
        }
        let source = self.expression(1)?;
        if !self.accept_word("as") {
            return Ok(source);
        }
        let patterns = self.patterns()?;
        self.expect("|")?;
        let body = self.pipe()?;
        let kind = Kind::Bind { source: Box::new(source), patterns, body: Box::new(body) };
        Ok(Term { span: start.to(self.last), kind })
    }

    /// Operators of at least this tightness.
    pub(super) fn expression(&mut self, tightness: u8) -> Parsed<Term> {
        let mut left = self.postfix()?;
        let mut links = 0;
        // comparisons and assignments do not chain
        let mut ceiling = u8::MAX;
        loop {
            let level = match &self.token {
                Token::Sign("//") => 1,
                Token::Sign("=" | "|=" | "+=" | "-=" | "*=" | "/=" | "%=" | "//=") => 2,
                Token::Name(word) if word == "or" => 3,
                Token::Name(word) if word == "and" => 4,
                Token::Sign(sign) => match binary_of(sign) {
                    Some((level, _)) => level,
                    None => return Ok(left),
                },
                _ => return Ok(left),
            };
            if level < tightness {
                return Ok(left);
            }
            if level >= ceiling {
                let message = format!("{} does not chain", self.token.describe());
                return Self::fail_help(self.span, message, "put one side in parentheses");
            }
            links += 1;
            if links + self.depth > MAX_DEPTH {
                return Self::fail(self.span, format!("nested deeper than {MAX_DEPTH} levels"));
            }
            let (operator, _) = self.advance();
            // `//` associates to the right
            let right = self.deeper(|this| this.expression(if level == 1 { 1 } else { level + 1 }))?;
            let span = left.span.to(right.span);
            let (left_side, right) = (Box::new(left), Box::new(right));
            let kind = match operator {
                Token::Sign("//") => Kind::Alternative(left_side, right),
                Token::Sign("=") => Kind::Assign(left_side, right),
                Token::Sign("|=") => Kind::Update(left_side, right),
                Token::Sign("//=") => Kind::Default(left_side, right),
                Token::Sign("+=") => Kind::Arithmetic(Binary::Add, left_side, right),
                Token::Sign("-=") => Kind::Arithmetic(Binary::Subtract, left_side, right),
                Token::Sign("*=") => Kind::Arithmetic(Binary::Multiply, left_side, right),
                Token::Sign("/=") => Kind::Arithmetic(Binary::Divide, left_side, right),
                Token::Sign("%=") => Kind::Arithmetic(Binary::Remainder, left_side, right),
                Token::Name(word) if word == "or" => Kind::Or(left_side, right),
                Token::Name(_) => Kind::And(left_side, right),
                Token::Sign(sign) => match binary_of(sign) {
                    Some((_, binary)) => Kind::Binary(binary, left_side, right),
                    None => return self.unexpected("an operator"),
                },
                _ => return self.unexpected("an operator"),
            };
            left = Term { span, kind };
            ceiling = match level {
                2 | 5 => level,
                _ => u8::MAX,
            };
        }
    }

    pub(super) fn patterns(&mut self) -> Parsed<Vec<Pattern>> {
        let mut patterns = vec![self.pattern()?];
        while self.accept("?//") {
            patterns.push(self.pattern()?);
        }
        Ok(patterns)
    }

    pub(super) fn pattern(&mut self) -> Parsed<Pattern> {
        if let Token::Variable(name) = &self.token {
            let name = name.clone();
            self.advance();
            return Ok(Pattern::Var(name));
        }
        if self.is("[") {
            let mut items = Vec::new();
            self.deeper(|this| {
                this.bracket("]", |this| {
                    loop {
                        items.push(this.pattern()?);
                        if !this.accept(",") {
                            return Ok(());
                        }
                    }
                })
            })?;
            return Ok(Pattern::Array(items));
        }
        if self.is("{") {
            let mut members = Vec::new();
            self.deeper(|this| {
                this.bracket("}", |this| {
                    loop {
                        members.push(this.member_pattern()?);
                        if !this.accept(",") {
                            return Ok(());
                        }
                    }
                })
            })?;
            return Ok(Pattern::Object(members));
        }
        self.unexpected("a pattern: `$name`, `[…]` or `{…}`")
    }

    pub(super) fn member_pattern(&mut self) -> Parsed<(Option<String>, Term, Option<Pattern>)> {
        let start = self.span;
        if let Token::Variable(name) = &self.token {
            let name = name.clone();
            let (_, span) = self.advance();
            let inner = if self.accept(":") { Some(self.pattern()?) } else { None };
            let key = text_term(span, &name);
            return Ok((Some(name), key, inner));
        }
        let key = match &self.token {
            Token::Name(name) => {
                let name = name.clone();
                let (_, span) = self.advance();
                text_term(span, &name)
            }
            Token::Quote => self.string(None)?,
            Token::Format(_) => self.postfix()?,
            Token::Sign("(") => self.bracket(")", Self::pipe)?,
            _ => return self.unexpected("a key: a name, `$name`, a string or an expression in parentheses"),
        };
        if !self.is(":") {
            let help = "write `key: $name`, or `$name` to bind the member of that name";
            return Self::fail_help(start.to(self.last), "the pattern says no variable", help);
        }
        self.advance();
        Ok((None, key, Some(self.pattern()?)))
    }

    /// A term with its steps.
    pub(super) fn postfix(&mut self) -> Parsed<Term> {
        self.deeper(|this| {
            let start = this.span;
            let mut term = this.term()?;
            let mut links = 0;
            loop {
                links += 1;
                if links + this.depth > MAX_DEPTH {
                    return Self::fail(this.span, format!("nested deeper than {MAX_DEPTH} levels"));
                }
                let step_start = this.span;
                let kind = match &this.token {
                    Token::Field(name) => {
                        let name = name.clone();
                        let (_, span) = this.advance();
                        StepKind::Field(text_term(span, &name))
                    }
                    Token::Sign(".") => {
                        this.advance();
                        match &this.token {
                            Token::Quote => StepKind::Field(this.string(None)?),
                            Token::Format(_) => StepKind::Field(this.term()?),
                            Token::Sign("[") => this.brackets_step()?,
                            _ => return this.unexpected("a member or `[` after `.`"),
                        }
                    }
                    Token::Sign("[") => this.brackets_step()?,
                    Token::Sign("?" | "?//") => {
                        this.accept_question();
                        let span = start.to(this.last);
                        term = Term { span, kind: Kind::Try(Box::new(term), None) };
                        continue;
                    }
                    _ => return Ok(term),
                };
                let is_optional = this.accept_question();
                let step = Step { span: step_start.to(this.last), kind, is_optional };
                let span = start.to(this.last);
                term = match term.kind {
                    Kind::Path(head, mut steps) => {
                        steps.push(step);
                        Term { span, kind: Kind::Path(head, steps) }
                    }
                    kind => {
                        let head = Term { span: term.span, kind };
                        Term { span, kind: Kind::Path(Box::new(head), vec![step]) }
                    }
                };
            }
        })
    }

    /// `[…]` after a term.
    pub(super) fn brackets_step(&mut self) -> Parsed<StepKind> {
        self.bracket("]", |this| {
            if this.is("]") {
                return Ok(StepKind::Iterate);
            }
            if this.accept(":") {
                return Ok(StepKind::Slice(None, Some(this.pipe()?)));
            }
            let first = this.pipe()?;
            if !this.accept(":") {
                return Ok(StepKind::Index(first));
            }
            if this.is("]") {
                return Ok(StepKind::Slice(Some(first), None));
            }
            Ok(StepKind::Slice(Some(first), Some(this.pipe()?)))
        })
    }
}
