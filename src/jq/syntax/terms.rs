//! Terms: what operators and steps are applied to.

use super::lexer::{TextEnd, Token};
use super::parser::{KEYWORDS, MAX_BRACKETS, Parsed, Parser, SyntaxError, binary_of};
use super::{Kind, Member, Part, Span, Step, StepKind, Term};

impl Parser<'_> {
    pub(super) fn term(&mut self) -> Parsed<Term> {
        let start = self.span;
        let kind = match &self.token {
            Token::Sign(".") => {
                self.advance();
                // `."name"` and `.[…]` are steps of the identity
                let head = Term { span: start, kind: Kind::Identity };
                let kind = match &self.token {
                    Token::Quote => StepKind::Field(self.string(None)?),
                    Token::Format(_) => StepKind::Field(self.term()?),
                    _ => return Ok(head),
                };
                let is_optional = self.accept_question();
                let step = Step { span: start.to(self.last), kind, is_optional };
                Kind::Path(Box::new(head), vec![step])
            }
            Token::Field(name) => {
                let name = name.clone();
                let (_, span) = self.advance();
                let head =
                    Term { span: Span { start: span.start, end: span.start + 1 }, kind: Kind::Identity };
                let is_optional = self.accept_question();
                let key = text_term(span, &name);
                let step = Step { span: start.to(self.last), kind: StepKind::Field(key), is_optional };
                Kind::Path(Box::new(head), vec![step])
            }
            Token::Sign("..") => {
                self.advance();
                Kind::Recurse
            }
            Token::Sign("-") => {
                self.advance();
                Kind::Negate(Box::new(self.postfix()?))
            }
            Token::Sign("(") => {
                let mut inner = self.bracket(")", Self::pipe)?;
                inner.span = start.to(self.last);
                // the parentheses keep a path's steps apart from those that follow
                return Ok(match inner.kind {
                    Kind::Path(..) => Term { span: inner.span, kind: Kind::Pipe(vec![inner]) },
                    _ => inner,
                });
            }
            Token::Sign("[") => {
                let inner =
                    self.bracket("]", |this| if this.is("]") { Ok(None) } else { this.pipe().map(Some) })?;
                Kind::Array(inner.map(Box::new))
            }
            Token::Sign("{") => Kind::Object(self.object()?),
            Token::Number(text) => {
                let text = text.clone();
                self.advance();
                Kind::Number(text)
            }
            Token::Quote => return self.string(None),
            Token::Format(name) => {
                let name = name.clone();
                self.advance();
                if matches!(self.token, Token::Quote) {
                    let mut text = self.string(Some(name))?;
                    text.span = start.to(self.last);
                    return Ok(text);
                }
                Kind::Format(name)
            }
            Token::Variable(name) => {
                let name = name.clone();
                self.advance();
                if name == "__loc__" {
                    Kind::Place(self.code[..start.start as usize].matches('\n').count() + 1)
                } else {
                    Kind::Var(name)
                }
            }
            Token::Name(word) => {
                let word = word.clone();
                return self.word(&word);
            }
            _ => return self.unexpected("a term"),
        };
        Ok(Term { span: start.to(self.last), kind })
    }

    /// A term that begins with a name.
    pub(super) fn word(&mut self, word: &str) -> Parsed<Term> {
        let start = self.span;
        let kind = match word {
            "if" => self.condition()?,
            "try" => {
                self.advance();
                let body = Box::new(self.postfix()?);
                let catch = if self.accept_word("catch") { Some(Box::new(self.postfix()?)) } else { None };
                Kind::Try(body, catch)
            }
            "reduce" | "foreach" => self.fold(word == "reduce")?,
            "break" => {
                self.advance();
                match self.advance().0 {
                    Token::Variable(name) => Kind::Break(name),
                    _ => return Self::fail(self.last, "`break` needs the `$name` of a label"),
                }
            }
            "label" | "def" => {
                let help = format!("put the `{word}` and what belongs to it in parentheses");
                return Self::fail_help(start, format!("`{word}` cannot stand here"), help);
            }
            _ if KEYWORDS.contains(&word) => return self.unexpected("a term"),
            _ => {
                self.advance();
                let mut args = Vec::new();
                if self.is("(") {
                    self.bracket(")", |this| {
                        loop {
                            args.push(this.pipe()?);
                            if !this.accept(";") {
                                return Ok(());
                            }
                        }
                    })?;
                }
                match word {
                    "null" if args.is_empty() => Kind::Null,
                    "true" if args.is_empty() => Kind::Bool(true),
                    "false" if args.is_empty() => Kind::Bool(false),
                    _ => Kind::Call(word.to_owned(), args),
                }
            }
        };
        Ok(Term { span: start.to(self.last), kind })
    }

    pub(super) fn condition(&mut self) -> Parsed<Kind> {
        let (_, open) = self.advance();
        self.brackets.push(open);
        let mut branches = Vec::new();
        loop {
            let condition = self.pipe()?;
            self.expect_word("then")?;
            branches.push((condition, self.pipe()?));
            if !self.accept_word("elif") {
                break;
            }
        }
        let otherwise = if self.accept_word("else") { Some(Box::new(self.pipe()?)) } else { None };
        if !self.is_word("end") {
            return self.unexpected(if otherwise.is_some() { "`end`" } else { "`elif`, `else` or `end`" });
        }
        self.advance();
        self.brackets.pop();
        Ok(Kind::If(branches, otherwise))
    }

    pub(super) fn fold(&mut self, is_reduce: bool) -> Parsed<Kind> {
        self.advance();
        let source = Box::new(self.expression(1)?);
        self.expect_word("as")?;
        let patterns = self.patterns()?;
        if !self.is("(") {
            return self.unexpected("`(`");
        }
        self.bracket(")", |this| {
            let init = Box::new(this.pipe()?);
            this.expect(";")?;
            let update = Box::new(this.pipe()?);
            if is_reduce {
                return Ok(Kind::Reduce { source, patterns, init, update });
            }
            let extract = if this.accept(";") { Some(Box::new(this.pipe()?)) } else { None };
            Ok(Kind::Foreach { source, patterns, init, update, extract })
        })
    }

    pub(super) fn object(&mut self) -> Parsed<Vec<Member>> {
        self.bracket("}", |this| {
            let mut members = Vec::new();
            while !this.is("}") {
                members.push(this.member()?);
                if !this.accept(",") {
                    break;
                }
            }
            Ok(members)
        })
    }

    pub(super) fn member(&mut self) -> Parsed<Member> {
        let start = self.span;
        let (key, is_short) = match &self.token {
            Token::Variable(name) => {
                let name = name.clone();
                let (_, span) = self.advance();
                let kind = if name == "__loc__" {
                    Kind::Place(self.code[..span.start as usize].matches('\n').count() + 1)
                } else {
                    Kind::Var(name)
                };
                (Term { span, kind }, true)
            }
            Token::Name(name) => {
                let name = name.clone();
                let (_, span) = self.advance();
                (text_term(span, &name), true)
            }
            Token::Quote => (self.string(None)?, true),
            Token::Format(_) => (self.term()?, true),
            Token::Sign("(") => (self.bracket(")", Self::pipe)?, false),
            Token::Number(_) | Token::Field(_) | Token::Sign("-" | "." | "[" | "{") => {
                let help = "put the key in parentheses";
                return Self::fail_help(
                    self.span,
                    format!("{} cannot be a key", self.token.describe()),
                    help,
                );
            }
            _ => return self.unexpected("a key, or `}`"),
        };
        if !self.accept(":") {
            if !is_short {
                return self.unexpected("`:` after the key");
            }
            if !self.is(",") && !self.is("}") {
                if binary_of(match &self.token {
                    Token::Sign(sign) => sign,
                    _ => "",
                })
                .is_some()
                {
                    let help = "put the key in parentheses";
                    return Self::fail_help(start.to(self.span), "a key that is an expression", help);
                }
                return self.unexpected("`:`, `,` or `}`");
            }
            return Ok(Member { key, value: None });
        }
        let first = self.expression(1)?;
        let value = if self.is("|") {
            let value_start = first.span;
            let mut stages = vec![first];
            while self.accept("|") {
                stages.push(self.expression(1)?);
            }
            Term { span: value_start.to(self.last), kind: Kind::Pipe(stages) }
        } else {
            first
        };
        Ok(Member { key, value: Some(value) })
    }

    /// The string whose quote is the current token.
    pub(super) fn string(&mut self, format: Option<String>) -> Parsed<Term> {
        let start = self.span;
        let mut parts = Vec::new();
        // the lexer stands behind the quote: the token after it was not read yet
        loop {
            let (text, end) = self.lexer.text().map_err(|(span, message)| SyntaxError {
                span: if span.start == span.end {
                    Span { start: start.start, end: start.start + 1 }
                } else {
                    span
                },
                message,
                help: None,
            })?;
            if !text.is_empty() {
                parts.push(Part::Text(text));
            }
            match end {
                TextEnd::Quote => break,
                TextEnd::Interpolation => {
                    let at = self.lexer.at as u32;
                    self.brackets.push(Span { start: at - 2, end: at });
                    if self.brackets.len() > MAX_BRACKETS {
                        return Self::fail(
                            start,
                            format!("brackets nested deeper than {MAX_BRACKETS} levels"),
                        );
                    }
                    self.advance();
                    let term = self.pipe()?;
                    // not `expect`: what follows the bracket is text
                    if !self.is(")") {
                        return self.unexpected("`)`");
                    }
                    self.brackets.pop();
                    self.lexer.at = self.span.end as usize;
                    parts.push(Part::Term(term));
                }
            }
        }
        let end = Span { start: start.start, end: self.lexer.at as u32 };
        let (token, span) = self.lexer.next();
        self.token = token;
        self.span = span;
        self.last = end;
        Ok(Term { span: end, kind: Kind::String { format, parts } })
    }
}

pub(super) fn text_term(span: Span, text: &str) -> Term {
    let parts = if text.is_empty() { Vec::new() } else { vec![Part::Text(text.to_owned())] };
    Term { span, kind: Kind::String { format: None, parts } }
}

pub(super) fn is_constant(term: &Term) -> bool {
    match &term.kind {
        Kind::Null | Kind::Bool(_) | Kind::Number(_) => true,
        Kind::String { parts, .. } => parts.iter().all(|part| matches!(part, Part::Text(_))),
        Kind::Array(inner) => inner.as_ref().is_none_or(|inner| is_constant(inner)),
        Kind::Comma(items) => items.iter().all(is_constant),
        Kind::Object(members) => members
            .iter()
            .all(|member| is_constant(&member.key) && member.value.as_ref().is_some_and(is_constant)),
        _ => false,
    }
}
