//! Random programs and random events that fit each other.

use std::fmt::Write as _;

/// A splitmix64 sequence: the same from the same seed, on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence with this number among those of a seed.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut random = Random(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// What an event usually looks like. Programs take their keys from it.
#[derive(Debug)]
enum Schema {
    Text,
    Time,
    Number,
    Bool,
    Any,
    Array(&'static Schema),
    Object(&'static [(&'static str, Schema)]),
}

use Schema::{Any, Array, Bool, Number, Object, Text, Time};

static EVENT: Schema = Object(&[
    ("id", Text),
    ("eventTypeName", Text),
    ("created", Time),
    ("isGlobalAdmin", Bool),
    ("username", Text),
    ("remoteAddress", Text),
    ("userId", Text),
    ("count", Number),
    ("links", Array(&Object(&[("href", Text), ("rel", Text)]))),
    (
        "raw",
        Object(&[
            ("_t", Text),
            ("cre", Time),
            ("description", Text),
            ("severity", Text),
            ("orgName", Text),
            ("size", Number),
            ("newRoles", Array(&Text)),
            ("limits", Array(&Number)),
        ]),
    ),
    (
        "attributes",
        Object(&[
            ("action", Text),
            ("time", Time),
            (
                "actor",
                Object(&[
                    ("id", Text),
                    ("name", Text),
                    ("email", Text),
                    ("auth", Object(&[("authType", Text), ("tokenId", Text)])),
                ]),
            ),
            ("location", Object(&[("ip", Text), ("geo", Text), ("city", Text)])),
            (
                "context",
                Array(&Object(&[("id", Text), ("type", Text), ("attributes", Object(&[("name", Text)]))])),
            ),
        ]),
    ),
    ("tags", Object(&[("a b", Text), ("é", Number), ("nested", Array(&Array(&Number)))])),
    ("extra", Any),
]);

static TEXTS: &[&str] = &[
    "ORG_CREATED",
    "TEAM_CREATED",
    "JOINED_ORG",
    "WARNING",
    "INFO",
    "mira.solheim@example.com",
    "192.0.2.14",
    "2001:db8::7",
    "48.1,11.5",
    "a b  c",
    " padded ",
    "",
    "17",
    "-2.50",
    "[1,2]",
    "Straße 日本 🦀",
    "e\u{301}",
    r#"quote \" and \\ back"#,
    r"line\nbreak\ttab\u0001",
    "x=1&y=%20<tag>'",
];

static TIMES: &[&str] = &[
    "2025-03-11T06:58:12Z",
    "2024-02-29T23:59:59Z",
    "1970-01-01T00:00:00Z",
    "2025-03-11T07:41:03.218Z",
    "yesterday",
];

static NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "7",
    "42",
    "1741676292",
    "1.5",
    "-0.25",
    "1.50",
    "100",
    "9007199254740993",
    "12345678901234567890",
    "-98765432109876543210",
    "3.14159265358979323846",
    "1e3",
    "0.1",
];

static ODD: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1.5",
    "12345678901234567890",
    "1e400",
    r#""""#,
    r#""text""#,
    r#""日本 🦀 \" \\ \n""#,
    "[]",
    "{}",
    "[[]]",
    r#"[[],[[1,[2]],{}],{"a":[]}]"#,
    r#"[1,"x",null,true,{"id":"n","name":null}]"#,
    r#"[3,1,2,1.0,1,"b","a"]"#,
    r#"{"a":{"b":[1,null,{"c":"d"}]},"":0}"#,
    r#"{"id":null,"name":false,"raw":{},"attributes":[]}"#,
    r#"[{"key":"k","value":1},{"key":"l","value":null}]"#,
];

/// The text of an event, in the form in which jaquard writes JSON.
pub(crate) fn event(random: &mut Random) -> String {
    let mut text = String::new();
    if random.percent(15) {
        text.push_str(random.pick(ODD));
    } else {
        value(random, &EVENT, &mut text);
    }
    text
}

fn value(random: &mut Random, schema: &Schema, out: &mut String) {
    if random.percent(6) {
        return out.push_str(random.pick(ODD));
    }
    match schema {
        Text => drop(write!(out, "\"{}\"", random.pick(TEXTS))),
        Time => drop(write!(out, "\"{}\"", random.pick(TIMES))),
        Number => out.push_str(random.pick(NUMBERS)),
        Bool => out.push_str(random.pick(&["true", "false"])),
        Any => out.push_str(random.pick(ODD)),
        Array(item) => {
            out.push('[');
            for at in 0..random.below(4) {
                if at > 0 {
                    out.push(',');
                }
                value(random, item, out);
            }
            out.push(']');
        }
        Object(members) => {
            out.push('{');
            let start = out.len();
            for (key, member) in *members {
                if random.percent(15) {
                    continue;
                }
                if out.len() > start {
                    out.push(',');
                }
                let _ = write!(out, "\"{key}\":");
                value(random, member, out);
            }
            out.push('}');
        }
    }
}

/// What is known of a term's outputs.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "four questions that are asked one by one")]
struct Shape {
    /// It may have more than one.
    many: bool,
    /// It may have none.
    none: bool,
    /// It may raise an error.
    raises: bool,
    /// They stand in its input.
    path: bool,
}

const TOTAL: Shape = Shape { many: false, none: false, raises: false, path: false };
const ONE: Shape = Shape { raises: true, ..TOTAL };
const LOOSE: Shape = Shape { many: true, none: true, raises: true, path: false };

impl Shape {
    /// Whether a term of this shape may stand where one of the other did.
    fn fits(self, other: Shape) -> bool {
        self.many <= other.many
            && self.none <= other.none
            && self.raises <= other.raises
            && self.path >= other.path
    }
}

/// A term: its text, with the terms in it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    parts: Vec<Part>,
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Term(Node),
}

fn leaf(text: impl Into<String>, shape: Shape) -> Node {
    Node { parts: vec![Part::Text(text.into())], shape }
}

/// A term from a template in which each `§` is a term.
fn node<const N: usize>(template: &str, terms: [Node; N], shape: Shape) -> Node {
    let mut parts = Vec::with_capacity(2 * N + 1);
    let mut terms = terms.into_iter();
    for (at, text) in template.split('§').enumerate() {
        if at > 0 {
            parts.extend(terms.next().map(Part::Term));
        }
        parts.push(Part::Text(text.to_owned()));
    }
    Node { parts, shape }
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Term(term) => term.fmt(f),
        })
    }
}

impl Node {
    /// The same with one term in it replaced by a simpler one. Some do not compile: what is left may
    /// use a variable whose binding is gone.
    pub(crate) fn simpler(&self) -> Vec<Node> {
        let identity = leaf(".", Shape { path: true, ..TOTAL });
        let mut found: Vec<Node> = [leaf("0", TOTAL), identity].into();
        found.extend(self.terms().map(|(_, term)| term.clone()));
        found.retain(|simpler| simpler.shape.fits(self.shape));
        for (at, term) in self.terms() {
            for simpler in term.simpler() {
                let mut copy = self.clone();
                copy.parts[at] = Part::Term(simpler);
                found.push(copy);
            }
        }
        found
    }

    fn terms(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.parts.iter().enumerate().filter_map(|(at, part)| match part {
            Part::Term(term) => Some((at, term)),
            Part::Text(_) => None,
        })
    }
}

/// The kind of value that a term should give for the usual event.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Number,
    Bool,
    List,
    Record,
}

impl Kind {
    fn schema(self) -> &'static Schema {
        static LIST: Schema = Array(&Any);
        match self {
            Kind::Text => &Text,
            Kind::Number => &Number,
            Kind::Bool => &Bool,
            Kind::List => &LIST,
            Kind::Record => &Any,
        }
    }
}

static KINDS: &[Kind] = &[Kind::Text, Kind::Number, Kind::Bool, Kind::List, Kind::Record];

#[derive(Debug, Clone, Copy)]
enum Param {
    None,
    Closure,
    Value,
}

/// Makes programs.
///
/// It leaves out what jaq-core does otherwise than jq, because ours does it as jq does:
///
/// * the order in which operands are evaluated, which shows where there is more than one output or
///   more than one error: of the operands of an operator, the terms of an interpolation, the keys
///   and values of an object, the arguments of a native function or of `$` parameters at most one
///   is more than a [`TOTAL`] term, and computed indices and the bounds of slices are total;
/// * an error on the left of `//`, which jaq passes on;
/// * `reduce` and `foreach` whose update has not exactly one output;
/// * updates without an output, except directly on `.[]`; updates through paths that overlap, through
///   `limit`, `first`, `label`, `try`, and through `select` or `[]?` below a member that may be
///   missing, where jaq leaves a null; conditions that raise errors inside of updated paths;
/// * `limit` and `skip` with a negative count, paths of what is no path, `getpath` of odd keys;
/// * `?//`, `$__loc__`, and anything that hangs on the precedence of `as`, `reduce`, `-`, `def`:
///   there are parentheses around all of them.
struct Generator {
    random: Random,
    /// What `.` usually is.
    input: &'static Schema,
    /// In scope.
    variables: Vec<String>,
    functions: Vec<(String, Param)>,
    label: Option<String>,
    names: u32,
}

/// A program from the sequence of a seed.
pub(crate) fn program(random: Random) -> Node {
    let mut generator = Generator {
        random,
        input: &EVENT,
        variables: Vec::new(),
        functions: Vec::new(),
        label: None,
        names: 0,
    };
    let depth = 2 + generator.random.below(3);
    generator.any(depth)
}

impl Generator {
    fn percent(&mut self, chance: usize) -> bool {
        self.random.percent(chance)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        self.random.pick(from)
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// Makes a term for another input.
    fn with_input<T>(&mut self, input: &'static Schema, make: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.input, input);
        let made = make(self);
        self.input = before;
        made
    }

    /// Makes a term in which more variables are bound.
    fn with_variables<T>(&mut self, names: &[String], make: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.variables.len();
        self.variables.extend_from_slice(names);
        let made = make(self);
        self.variables.truncate(before);
        made
    }

    fn literal(&mut self, kind: Kind) -> Node {
        let text = match kind {
            Kind::Text => format!("\"{}\"", self.pick(TEXTS)),
            Kind::Number => match self.pick(NUMBERS) {
                negative if negative.starts_with('-') => format!("({negative})"),
                number => number.to_owned(),
            },
            Kind::Bool => self.pick(&["true", "false", "null"]).to_owned(),
            Kind::List => self
                .pick(&["[]", "[1, 2, 3]", r#"["a", "b", "a"]"#, r#"[[1], [], {"a": null}]"#, "[3, null, 1]"])
                .to_owned(),
            Kind::Record => self
                .pick(&["{}", "{a: 1}", r#"{"a b": [1], id: "x"}"#, r#"{raw: {x: 1}, "é": null}"#])
                .to_owned(),
        };
        leaf(text, TOTAL)
    }

    /// One output, whatever the input is.
    fn total(&mut self, kind: Kind, depth: usize) -> Node {
        // a `break` would pass through what catches errors
        let label = self.label.take();
        let made = self.total_here(kind, depth);
        self.label = label;
        made
    }

    fn total_here(&mut self, kind: Kind, depth: usize) -> Node {
        match self.random.below(if depth == 0 { 5 } else { 8 }) {
            0..=2 => self.literal(kind),
            3 if !self.variables.is_empty() => {
                let at = self.random.below(self.variables.len());
                leaf(self.variables[at].clone(), TOTAL)
            }
            3 | 4 => {
                let (path, _) = self.steps(false);
                let fallback = self.literal(kind);
                node("((§)? // §)", [path, fallback], TOTAL)
            }
            5 => {
                let body = self.one(kind, depth - 1);
                let fallback = self.literal(kind);
                node("(try (§) catch §)", [body, fallback], TOTAL)
            }
            6 => {
                let items = self.any(depth - 1);
                node("[(§)?]", [items], TOTAL)
            }
            _ => {
                let text = self.pick(&["type", "tojson", "tostring", "[paths]", "not", "[..]", "[.[]?]"]);
                leaf(format!("({text})"), TOTAL)
            }
        }
    }

    fn total_bool(&mut self, depth: usize) -> Node {
        let kind = self.pick(KINDS);
        let operator = self.pick(&["==", "!=", "<", "<=", ">", ">="]);
        let (left, right) = (self.total(kind, depth), self.total(kind, 0));
        node(&format!("(§ {operator} §)"), [left, right], TOTAL)
    }

    /// A path of steps, and what it usually leads to. With `iterates` it may have many outputs.
    fn steps(&mut self, iterates: bool) -> (Node, &'static Schema) {
        let mut schema = self.input;
        let mut text = String::new();
        let mut terms: Vec<Node> = Vec::new();
        let mut shape = Shape { path: true, ..TOTAL };
        for _ in 0..=self.random.below(4) {
            match schema {
                Object(members) => {
                    let at = self.random.below(members.len());
                    let (mut key, mut below) = (members[at].0, &members[at].1);
                    if self.percent(4) {
                        (key, below) = (self.pick(&["missing", "a", "id", "type"]), &Any);
                    }
                    schema = below;
                    let is_name = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    match self.random.below(8) {
                        0 if text.is_empty() => drop(write!(text, ".[\"{key}\"]")),
                        0 => drop(write!(text, "[\"{key}\"]")),
                        1 => drop(write!(text, ".\"{key}\"")),
                        _ if is_name => drop(write!(text, ".{key}")),
                        _ => drop(write!(text, ".\"{key}\"")),
                    }
                }
                Array(item) => {
                    let dot = if text.is_empty() { "." } else { "" };
                    match self.random.below(8) {
                        0..=2 if iterates => {
                            let _ = write!(text, "{dot}[]");
                            shape = Shape { many: true, none: true, ..shape };
                            schema = item;
                        }
                        0..=3 => {
                            let _ = write!(text, "{dot}[{}]", self.pick(&["0", "1", "-1", "5"]));
                            schema = item;
                        }
                        4 => {
                            let _ = write!(text, "{dot}[§]");
                            let index = self.total(Kind::Number, 0);
                            terms.push(index);
                            schema = item;
                        }
                        5 | 6 => {
                            let _ = write!(text, "{dot}{}", self.pick(&["[1:]", "[:2]", "[-2:]", "[0:1]"]));
                        }
                        _ => break,
                    }
                }
                _ if text.is_empty() => text.push_str(self.pick(&[".", ".", ".id", ".[0]"])),
                _ => break,
            }
            shape.raises = true;
        }
        if text.is_empty() {
            text.push('.');
        }
        if text == "." {
            shape.raises = false;
        }
        // a list of terms that is not known in advance: the template is taken apart here
        let mut parts = Vec::new();
        let mut terms = terms.into_iter();
        for (at, text) in text.split('§').enumerate() {
            if at > 0 {
                parts.extend(terms.next().map(Part::Term));
            }
            parts.push(Part::Text(text.to_owned()));
        }
        (Node { parts, shape }, schema)
    }

    /// A term whose outputs stand in its input.
    fn path(&mut self, depth: usize) -> (Node, &'static Schema) {
        if depth == 0 {
            return self.steps(true);
        }
        let loose = Shape { path: true, ..LOOSE };
        match self.random.below(13) {
            0..=3 => self.steps(true),
            4 => {
                let (first, schema) = self.path(depth - 1);
                let (second, schema) = self.with_input(schema, |this| this.path(depth - 1));
                (node("(§ | §)", [first, second], loose), schema)
            }
            5 => {
                let ((one, schema), (other, _)) = (self.path(depth - 1), self.path(depth - 1));
                (node("(§, §)", [one, other], loose), schema)
            }
            6 => {
                let (first, schema) = self.path(depth - 1);
                let condition = self.with_input(schema, |this| this.one(Kind::Bool, depth - 1));
                (node("(§ | select(§))", [first, condition], loose), schema)
            }
            7 => {
                let (first, schema) = self.path(depth - 1);
                let some =
                    self.pick(&["first(§)", "last(§)", "limit(2; §)", "skip(1; §)", "(§)?", "(try § )"]);
                (node(some, [first], loose), schema)
            }
            8 => {
                let condition = self.one(Kind::Bool, depth - 1);
                let ((then, schema), (other, _)) = (self.path(depth - 1), self.path(depth - 1));
                (node("(if § then § else § end)", [condition, then, other], loose), schema)
            }
            9 => {
                // one output on the left: of several jaq also takes those that are false
                let ((left, schema), (right, _)) = (self.steps(false), self.path(depth - 1));
                (node("((§)? // §)", [left, right], loose), schema)
            }
            10 => {
                let condition = self.total_bool(0);
                (node("(.. | select(§))", [condition], loose), &Any)
            }
            11 => {
                let text = self.pick(&[
                    "..",
                    ".[]?",
                    "recurse(.[]?)",
                    "(.. | strings)",
                    "(.. | numbers)",
                    "(.. | scalars)",
                    r#"getpath(["raw", "newRoles", 0])"#,
                    r#"getpath(["attributes", "actor"])"#,
                    r"(.. | objects | .id?)",
                ]);
                (leaf(text, loose), &Any)
            }
            _ => {
                let at = self.name("$p");
                let source = self.total(Kind::Number, 0);
                let (body, schema) =
                    self.with_variables(std::slice::from_ref(&at), |this| this.path(depth - 1));
                (node(&format!("(§ as {at} | §)"), [source, body], loose), schema)
            }
        }
    }

    /// A path to update, what is there, and whether an update may have no output.
    fn update_path(&mut self, depth: usize) -> (Node, &'static Schema, bool) {
        let place = Shape { path: true, ..LOOSE };
        match self.random.below(9) {
            0..=3 => {
                let (path, schema) = self.steps(true);
                (path, schema, false)
            }
            4 => (leaf(self.pick(&[".[]", ".[]?"]), place), &Any, true),
            5 => {
                let condition = self.with_input(&Any, |this| this.total_bool(depth.min(1)));
                (node("(.[] | select(§))", [condition], place), &Any, true)
            }
            6 => {
                let lists = [".links", ".raw.newRoles", ".attributes.context", ".raw.limits"];
                let list = self.pick(&lists);
                let condition = self.with_input(&Any, |this| this.total_bool(0));
                (node(&format!("({list}[] | select(§))"), [condition], place), &Any, false)
            }
            7 => {
                let both = ["(.id, .username)", "(.raw.severity, .raw.size, .count)", "(.tags, .links)"];
                (leaf(self.pick(&both), place), &Any, false)
            }
            _ => {
                let (of, schema): (_, &'static Schema) =
                    self.pick(&[("string", &Text), ("number", &Number), ("boolean", &Bool)]);
                (leaf(format!("(.. | select(type == \"{of}\"))"), place), schema, false)
            }
        }
    }

    /// One output or an error: an operand or argument that is not total.
    fn one(&mut self, kind: Kind, depth: usize) -> Node {
        if depth == 0 || self.percent(12) {
            return match self.random.below(10) {
                0 | 1 => self.literal(kind),
                2 => self.total(kind, 0),
                _ => self.steps_to(kind),
            };
        }
        let depth = depth - 1;
        if self.percent(10) {
            let condition = self.one(Kind::Bool, depth);
            let (then, other) = (self.one(kind, depth), self.one(kind, depth));
            if self.percent(30) {
                let second = self.one(Kind::Bool, depth);
                let last = self.literal(kind);
                let template = "(if § then § elif § then § else § end)";
                return node(template, [condition, then, second, other, last], ONE);
            }
            return node("(if § then § else § end)", [condition, then, other], ONE);
        }
        if self.percent(8) {
            let name = self.name("$v");
            let of = self.pick(KINDS);
            let source = self.one(of, depth);
            let body = self.with_variables(std::slice::from_ref(&name), |this| this.one(kind, depth));
            return node(&format!("(§ as {name} | §)"), [source, body], ONE);
        }
        match kind {
            Kind::Text => self.text(depth),
            Kind::Number => self.number(depth),
            Kind::Bool => self.boolean(depth),
            Kind::List => self.list(depth),
            Kind::Record => self.record(depth),
        }
    }

    /// Steps that usually lead to a kind of value.
    fn steps_to(&mut self, kind: Kind) -> Node {
        let fits = |schema: &Schema| {
            matches!(
                (kind, schema),
                (Kind::Text, Text | Time)
                    | (Kind::Number, Number)
                    | (Kind::Bool, Bool)
                    | (Kind::List, Array(_))
                    | (Kind::Record, Object(_))
            )
        };
        for _ in 0..6 {
            let (path, schema) = self.steps(false);
            if fits(schema) {
                return path;
            }
        }
        match kind {
            Kind::Record | Kind::Text if !fits(self.input) => self.literal(kind),
            _ => self.steps(false).0,
        }
    }

    fn text(&mut self, depth: usize) -> Node {
        match self.random.below(14) {
            0..=4 => {
                let inner = self.one(Kind::Text, depth);
                let function = self.pick(&[
                    "ascii_downcase",
                    "ascii_upcase",
                    r#"ltrimstr("ORG")"#,
                    r#"rtrimstr("ED")"#,
                    r#"trimstr("a")"#,
                    "trim",
                    "ltrim",
                    "rtrim",
                    "tojson",
                    "tostring",
                    "(tojson | fromjson)",
                    "@base64",
                    "(@base64 | @base64d)",
                    "@base32",
                    "@uri",
                    "@html",
                    "@sh",
                    "@json",
                    "@text",
                    ".[1:4]",
                    ".[:-1]",
                    "(explode | implode)",
                    "(explode | reverse | implode)",
                    r#"(split("_") | join("-"))"#,
                    r#"(split(", *"; null) | join("/"))"#,
                    r#"([splits("[ _.]")] | join(""))"#,
                    r#"sub("[aeiou]"; "*")"#,
                    r#"gsub("(?<c>[A-Z])"; "<\(.c)>")"#,
                    r#"gsub("\\s+"; " ")"#,
                    r#"sub("(?<first>\\w+)_(?<rest>.*)"; "\(.rest) \(.first | ascii_downcase)"; "x")"#,
                    r#"gsub("^|e"; "+"; "i")"#,
                    "(ascii_downcase | @base64)",
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            5 => {
                let inner = self.one(Kind::List, depth);
                let function = self.pick(&[
                    r#"join(",")"#,
                    "map(tostring) | add",
                    "@csv",
                    "@tsv",
                    "@sh",
                    "tojson",
                    "first",
                    "last",
                    "@json",
                    r#"(map(type) | join("/"))"#,
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            6 | 7 => {
                let (head, kind) = (self.total(Kind::Text, depth), self.pick(KINDS));
                let inner = self.one(kind, depth);
                node(r#""\(§): \(§)!""#, [head, inner], ONE)
            }
            8 => {
                let kind = self.pick(KINDS);
                let inner = self.one(kind, depth);
                let format =
                    self.pick(&["text", "json", "html", "uri", "sh", "base64", "base32", "csv", "tsv"]);
                node(&format!("@{format} \"<\\(§)&\""), [inner], ONE)
            }
            9 => {
                let (left, right) = (self.one(Kind::Text, depth), self.total(Kind::Text, 0));
                let swapped = self.percent(50);
                let sides = if swapped { [right, left] } else { [left, right] };
                node("(§ + §)", sides, ONE)
            }
            10 => {
                let inner = self.one(Kind::Text, depth);
                let times = self.pick(&["2", "3", "0", "0.5", "(-1)"]);
                node(&format!("(§ * {times})"), [inner], ONE)
            }
            11 => {
                let inner = self.one(Kind::Number, depth);
                let function = self.pick(&[
                    "tostring",
                    "todate",
                    "tojson",
                    r#"strftime("%Y-%m-%dT%H:%M:%SZ")"#,
                    r#"(gmtime | strftime("%A, %B %d, %Y"))"#,
                    "@text",
                    "@json",
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            12 => {
                let kind = self.pick(KINDS);
                let inner = self.one(kind, depth);
                node("(§ | type)", [inner], ONE)
            }
            _ => {
                let (path, _) = self.steps(false);
                let kind = self.pick(KINDS);
                let fallback = self.one(kind, depth);
                node("((§)? // § | tostring)", [path, fallback], ONE)
            }
        }
    }

    fn number(&mut self, depth: usize) -> Node {
        match self.random.below(10) {
            0..=2 => {
                let (left, right) = (self.one(Kind::Number, depth), self.total(Kind::Number, depth.min(1)));
                let operator = self.pick(&["+", "-", "*", "/", "%"]);
                let swapped = self.percent(40);
                let sides = if swapped { [right, left] } else { [left, right] };
                node(&format!("(§ {operator} §)"), sides, ONE)
            }
            3 => {
                let inner = self.one(Kind::Number, depth);
                let function = self.pick(&[
                    "floor",
                    "ceil",
                    "round",
                    "sqrt",
                    "fabs",
                    "abs",
                    "trunc",
                    "tostring | tonumber",
                    "tojson | fromjson",
                    "-(.)",
                    "(. * .) % 7",
                    "todate | fromdate",
                    "gmtime | mktime",
                    "until(. > 100 or . < 1; . * 3)",
                    "[limit(5; range(.))] | length",
                    "pow(.; 2)",
                    "log2 | floor",
                    "[while(. > 1 and . < 1e6; . / 2)] | length",
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            4 => {
                let kind = self.pick(&[Kind::Text, Kind::List, Kind::Record]);
                let inner = self.one(kind, depth);
                let function =
                    self.pick(&["length", "length", "tojson | length", "utf8bytelength", "[..] | length"]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            5 => {
                let inner = self.one(Kind::Text, depth);
                let function = self.pick(&[
                    "tonumber",
                    "fromdateiso8601",
                    "fromdate",
                    r#"strptime("%Y-%m-%dT%H:%M:%SZ") | mktime"#,
                    r#"index("_")"#,
                    r#"rindex("e")"#,
                    r#"(split(".") | length)"#,
                    r#"[match("[a-z]+"; "g").offset] | add"#,
                    "explode | add",
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            6 => {
                let inner = self.one(Kind::List, depth);
                let function = self.pick(&[
                    "add",
                    "min",
                    "max",
                    "length",
                    "map(length) | add",
                    r#"index("a")"#,
                    "add(.[]?)",
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            7 => {
                let name = self.name("$n");
                let source = self.path(depth).0;
                let update = self.with_input(&Number, |this| {
                    this.with_variables(std::slice::from_ref(&name), |this| {
                        this.one(Kind::Number, depth.min(1))
                    })
                });
                node(&format!("(reduce (§) as {name} (0; §))"), [source, update], ONE)
            }
            8 => {
                let source = self.any(depth);
                let update = self.pick(&[". + 1", ". + ($x | length)", "[., $x] | max", ". * 2 + 1"]);
                node(&format!("(reduce (§) as $x (0; {update}))"), [source], ONE)
            }
            _ => {
                let name = self.name("rec");
                let start = self.total(Kind::Number, 0);
                let template = format!(
                    "(def {name}($n; $sum): if $n > 0 and $n < 50 then {name}($n - 1; $sum + $n) else $sum end; {name}(§ | numbers // 3; 0))"
                );
                node(&template, [start], ONE)
            }
        }
    }

    fn boolean(&mut self, depth: usize) -> Node {
        match self.random.below(12) {
            0..=3 => {
                let kind = self.pick(KINDS);
                let (left, right) = (self.one(kind, depth), self.total(kind, depth.min(1)));
                let operator = self.pick(&["==", "!=", "<", "<=", ">", ">="]);
                let swapped = self.percent(30);
                let sides = if swapped { [right, left] } else { [left, right] };
                node(&format!("(§ {operator} §)"), sides, ONE)
            }
            4 | 5 => {
                let (left, right) = (self.one(Kind::Bool, depth), self.one(Kind::Bool, depth));
                let operator = self.pick(&["and", "or"]);
                node(&format!("(§ {operator} §)"), [left, right], ONE)
            }
            6 => {
                let inner = self.one(Kind::Bool, depth);
                node("(§ | not)", [inner], ONE)
            }
            7 | 8 => {
                let inner = self.one(Kind::Text, depth);
                let function = self.pick(&[
                    r#"test("^ORG_")"#,
                    r#"test("created"; "i")"#,
                    r#"test(["[0-9]+", "x"])"#,
                    r#"startswith("a")"#,
                    r#"endswith("Z")"#,
                    r#"contains("_")"#,
                    r#"inside("ORG_CREATED, INFO")"#,
                    r#"IN("INFO", "WARNING")"#,
                    r#"(. as $t | ["INFO", "x"] | any(. == $t))"#,
                    "isempty(.[1:] | select(length > 3))",
                    r#"test("(?<!x)a(?=b)")"#,
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            9 => {
                let inner = self.one(Kind::Record, depth);
                let function = self.pick(&[
                    r#"has("id")"#,
                    r#"has("raw")"#,
                    r"contains({raw: {}})",
                    "any",
                    "all",
                    r#"any(.[]; type == "string")"#,
                    r"all(.[]?; . != null)",
                    r#"(.id? // "") == """#,
                    "isempty(.[]?)",
                    "(keys | length) > 2",
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            10 => {
                let inner = self.one(Kind::List, depth);
                let condition = self.with_input(&Any, |this| this.one(Kind::Bool, depth.min(1)));
                let function =
                    self.pick(&["any(.[]?; §)", "all(.[]?; §)", "any(§)", "all(§)", "(map(§) | any)"]);
                node(&format!("(§ | {function})"), [inner, condition], ONE)
            }
            _ => {
                let inner = self.one(Kind::List, depth);
                let item = self.total(Kind::Number, 0);
                let function = self.pick(&[
                    "has(0)",
                    "contains([])",
                    "IN(.[]?; 1, 2, §)",
                    "any(.[]?; . == §)",
                    "length > 1",
                ]);
                if function.contains('§') {
                    node(&format!("(§ | {function})"), [inner, item], ONE)
                } else {
                    node(&format!("(§ | {function})"), [inner], ONE)
                }
            }
        }
    }

    fn list(&mut self, depth: usize) -> Node {
        match self.random.below(14) {
            0 | 1 => {
                let items = self.any(depth);
                node("[§]", [items], ONE)
            }
            2 | 3 => {
                let inner = self.one(Kind::List, depth);
                let function = self.pick(&[
                    "reverse",
                    "sort",
                    "unique",
                    "flatten",
                    "flatten(1)",
                    "map(type)",
                    "tojson | fromjson",
                    "to_entries",
                    "map(tostring)",
                    ".[1:]",
                    ".[:-1]",
                    "[.[-1:][]]",
                    "indices(1)",
                    "[tostream]",
                    "fromstream(tostream)",
                    "[paths]",
                    "keys",
                    "map(select(. != null))",
                    "[combinations]? // []",
                    "[limit(3; .[]?)]",
                    "[.[]?, 1]",
                    "[foreach (.[]) as $x (0; . + 1; [., $x])]",
                    "[.[] as [$a, $b] | {a: $a, b: $b}]",
                    "transpose",
                    ". - [1, null]",
                    "[to_entries[] | .key]",
                    "[first(.[]?), last(.[]?)]",
                    "[nth(1; .[]?)]",
                    "[range(0; length; 2)]",
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            4..=6 => {
                let (inner, item) = self.list_of();
                let term = self.with_input(item, |this| this.any(depth.min(1)));
                let function = self.pick(&[
                    "map(§)",
                    "map(§)",
                    "[.[]? | §]",
                    "sort_by(§)",
                    "group_by(§)",
                    "unique_by(§)",
                    "map([§])",
                    "[limit(2; .[] | §)]",
                    "[.[] | try (§) catch .]",
                ]);
                node(&format!("(§ | {function})"), [inner, term], ONE)
            }
            7 => {
                let (inner, item) = self.list_of();
                let condition = self.with_input(item, |this| this.one(Kind::Bool, depth));
                node("(§ | map(select(§)))", [inner, condition], ONE)
            }
            8 => {
                let path = self.path(depth).0;
                let function =
                    self.pick(&["[path(§)]", "[paths(§)]", "[path(§) | length]", "[path(§) | tojson]"]);
                if function.starts_with("[paths") {
                    let condition = self.with_input(&Any, |this| this.total_bool(0));
                    return node(function, [condition], ONE);
                }
                node(function, [path], ONE)
            }
            9 => {
                let inner = self.one(Kind::Record, depth);
                let function = self.pick(&[
                    "keys",
                    "keys_unsorted",
                    "to_entries",
                    "[.[]]",
                    "[.[]?]",
                    "[paths]",
                    "[leaf_paths]",
                    "[tostream]",
                    "[.. | scalars]",
                    "[getpath(paths)]",
                    "[.. | select(type == \"string\")]",
                    "(to_entries | map(.key))",
                    "(to_entries | sort_by(.value | tojson) | map(.value))",
                    "[paths(type == \"number\")]",
                    "[recurse]",
                    "[recurse(.[]?; . != null)]",
                    "[.[]? | objects]",
                    "[tostream | select(length == 2) | .[1]]",
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            10 => {
                let inner = self.one(Kind::Text, depth);
                let function = self.pick(&[
                    r#"split("_")"#,
                    r#"split("")"#,
                    r#"(. / ".")"#,
                    "explode",
                    r#"[match("[a-z]+"; "g") | .string]"#,
                    r#"[match("(?<a>[a-z])(?<n>[0-9])?"; "g") | .captures[] | [.name, .string, .offset]]"#,
                    r#"[scan("[A-Z]+")]"#,
                    r#"[scan("([a-z])([a-z])")]"#,
                    r#"[capture("(?<user>[^@]+)@(?<host>.+)")]"#,
                    r#"[splits(", *")]"#,
                    r#"indices("a")"#,
                    r"[., ascii_downcase]",
                    "(try fromjson catch [.])",
                    r#"(try strptime("%Y-%m-%dT%H:%M:%SZ") catch [])"#,
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            11 => {
                let (left, right) = (self.one(Kind::List, depth), self.total(Kind::List, 0));
                let operator = self.pick(&["+", "-", "+"]);
                node(&format!("(§ {operator} §)"), [left, right], ONE)
            }
            12 => {
                let inner = self.one(Kind::List, depth);
                self.updated(inner, &Any, depth)
            }
            _ => {
                let (name, source) = (self.name("$e"), self.path(depth).0);
                let update = self.pick(&[". + [", "[", ".[:2] + ["]);
                let template = format!("(reduce (§) as {name} ([]; {update}{name}]))");
                node(&template, [source], ONE)
            }
        }
    }

    /// A list that is there in the event, and what its items are.
    fn list_of(&mut self) -> (Node, &'static Schema) {
        for _ in 0..5 {
            if let (path, Array(item)) = self.steps(false) {
                return (path, item);
            }
        }
        (self.literal(Kind::List), &Any)
    }

    fn record(&mut self, depth: usize) -> Node {
        match self.random.below(12) {
            0..=2 => {
                let (kind, other) = (self.pick(KINDS), self.pick(KINDS));
                let (first, second) = (self.one(kind, depth), self.one(other, depth));
                let key = self.total(Kind::Text, 0);
                match self.random.below(5) {
                    0 => node("{a: §, \"b c\": §}", [first, second], ONE),
                    1 => node("{id, x: §}", [first], ONE),
                    2 => node("{(§ | tostring): 1, v: §}", [key, first], ONE),
                    3 => {
                        let name = self.name("$k");
                        node(&format!("(§ as {name} | {{{name}, raw: {{y: §}}}})"), [first, second], ONE)
                    }
                    _ => node("{\"k\\(§)\": 0, username}", [key], ONE),
                }
            }
            3 | 4 => {
                let inner = self.one(Kind::Record, depth);
                let value = self.with_input(&Any, |this| this.one(Kind::Text, depth.min(1)));
                let entry = self.pick(&[
                    "select(.value != null)",
                    r#"select(.key | test("^[a-m]"))"#,
                    r".key |= ascii_upcase",
                    r#".key |= ("x_" + .)"#,
                    ".value |= §",
                    "{key: .key, value: (.value | §)}",
                    ".value = 1",
                    r#"select(.value | type == "string") | .value |= ascii_downcase"#,
                    "select((.value | §) != null)",
                    ".value |= (. // 0)",
                    "select(.key | IN(\"id\", \"raw\") | not)",
                ]);
                if entry.contains('§') {
                    node(&format!("(§ | with_entries({entry}))"), [inner, value], ONE)
                } else {
                    node(&format!("(§ | with_entries({entry}))"), [inner], ONE)
                }
            }
            5 => {
                let inner = self.one(Kind::Record, depth);
                let function = self.pick(&[
                    r#"walk(if type == "string" then ascii_downcase else . end)"#,
                    r#"walk(if type == "object" then del(.id) else . end)"#,
                    r#"walk(if type == "array" then sort else . end)"#,
                    r#"walk(if type == "number" then . + 1 else . end)"#,
                    r#"walk(if type == "object" then with_entries(select(.value != null)) else . end)"#,
                    "walk(select(. != null))",
                    "walk(.)",
                    "map_values(tojson)",
                    "map_values(select(. != null))",
                    "map_values(., 1)",
                    "map_values(empty)",
                    "to_entries | from_entries",
                    "to_entries | map({name: .key, value}) | from_entries",
                    "fromstream(tostream)",
                    "tojson | fromjson",
                    "del(.id, .username)",
                    "del(.raw.newRoles[0], .links[1:])",
                    "del(.[] | nulls)",
                    "delpaths([paths(type == \"number\")])",
                    "pick(.id, .raw.severity)",
                    "pick(.links[1].href)",
                    r#"setpath(["raw", "n", "m"]; 1)"#,
                    r#". + {id: 1, "new": [1]}"#,
                    r#". * {raw: {severity: "X", z: {}}}"#,
                    r#"{a: ., b: .} | .a.id = "x""#,
                    "(. as {id: $i, raw: {severity: $s}} | {$i, $s})",
                    r#"(. as {$id, "links": [$first]} | {$id, $first})"#,
                    "(reduce (to_entries[]) as {$key, $value} ({}; .[$value | type] += [$key]))",
                    r#"(reduce (paths(type != "object")) as $p ({}; .[$p | map(tostring) | join(".")] = 1))"#,
                    r#"[paths(scalars) as $p | {key: ($p | map(tostring) | join(".")), value: getpath($p)}] | from_entries"#,
                ]);
                node(&format!("(§ | {function})"), [inner], ONE)
            }
            6 => {
                let path = self.path(depth).0;
                node("del(§)", [path], ONE)
            }
            7 | 8 => {
                let input = self.input;
                self.updated(leaf(".", Shape { path: true, ..TOTAL }), input, depth)
            }
            9 => {
                let (left, right) = (self.one(Kind::Record, depth), self.total(Kind::Record, 0));
                let operator = self.pick(&["+", "*"]);
                node(&format!("(§ {operator} §)"), [left, right], ONE)
            }
            10 => {
                let (inner, item) = self.list_of();
                let key = self.with_input(item, |this| this.one(Kind::Text, 1));
                let function =
                    self.pick(&["INDEX(§)", "min_by(§)", "max_by(§)", "group_by(§) | map({k: length})"]);
                node(&format!("(§ | {function})"), [inner, key], ONE)
            }
            _ => {
                let path = self.steps(false).0;
                let kind = self.pick(KINDS);
                let value = self.total(kind, depth);
                let keys = self.pick(&[r#"["x"]"#, r#"["raw", "x"]"#, r#"["links", 0, "rel"]"#, "[]"]);
                if self.percent(50) {
                    return node(&format!("setpath({keys}; §)"), [value], ONE);
                }
                node("(first(path(§)) as $q | setpath($q; §))", [path, value], ONE)
            }
        }
    }

    /// A term with something in it changed.
    fn updated(&mut self, inner: Node, schema: &'static Schema, depth: usize) -> Node {
        let (path, below, may_vanish) = self.with_input(schema, |this| this.update_path(depth));
        let kind = self.pick(KINDS);
        match self.random.below(10) {
            0..=3 => {
                let value = if may_vanish && self.percent(25) {
                    self.pick_leaf(&[
                        "empty",
                        "select(. != null)",
                        "strings",
                        "(select(type == \"number\") | . + 1)",
                    ])
                } else {
                    self.with_input(below, |this| this.one(kind, depth))
                };
                node("(§ | § |= §)", [inner, path, value], ONE)
            }
            4 => {
                let value = self.with_input(below, |this| this.one(kind, depth.min(1)));
                node("(§ | § += §)", [inner, path, value], ONE)
            }
            5 | 6 => {
                let value = self.with_input(schema, |this| this.one(kind, depth));
                node("(§ | § = §)", [inner, path, value], ONE)
            }
            7 => {
                let value = self.with_input(schema, |this| this.one(kind, depth));
                node("(§ | § //= §)", [inner, path, value], ONE)
            }
            _ => {
                let operator = self.pick(&["+", "-", "*", "/", "%", "+"]);
                let value = self.with_input(schema, |this| this.one(kind, depth.min(1)));
                node(&format!("(§ | § {operator}= §)"), [inner, path, value], ONE)
            }
        }
    }

    fn pick_leaf(&mut self, from: &[&str]) -> Node {
        leaf(self.pick(from), LOOSE)
    }

    /// Any number of outputs.
    fn any(&mut self, depth: usize) -> Node {
        if depth == 0 {
            let kind = self.pick(KINDS);
            return match self.random.below(8) {
                0 => self.literal(kind),
                1 => self.total(kind, 0),
                2 => self.steps_to(kind),
                _ => self.steps(true).0,
            };
        }
        let kind = self.pick(KINDS);
        let depth = depth - 1;
        match self.random.below(32) {
            0..=5 => self.one(kind, depth + 1),
            6..=8 => self.path(depth).0,
            9 | 10 => {
                let (first, schema) = self.path(depth);
                let second = self.with_input(schema, |this| this.any(depth));
                node("(§ | §)", [first, second], LOOSE)
            }
            11 | 12 => {
                let first = self.one(kind, depth);
                let second = self.with_input(kind.schema(), |this| this.any(depth));
                node("(§ | §)", [first, second], LOOSE)
            }
            13 => {
                let (one, other) = (self.any(depth), self.any(depth));
                node("(§, §)", [one, other], LOOSE)
            }
            14 | 15 => {
                let (condition, then) = (self.one(Kind::Bool, depth), self.any(depth));
                if self.percent(25) {
                    return node("(if § then § end)", [condition, then], LOOSE);
                }
                let other = self.any(depth);
                node("(if § then § else § end)", [condition, then, other], LOOSE)
            }
            16 => {
                let body = self.any(depth);
                let catch = self.with_input(&Text, |this| this.any(depth.min(1)));
                node("(try (§) catch (§))", [body, catch], LOOSE)
            }
            17 => {
                let body = self.any(depth);
                let template = self.pick(&["(§)?", "(try (§))", "[(§)?]", "(try (§) catch .)"]);
                node(template, [body], LOOSE)
            }
            18 | 19 => {
                let (left, right) = (self.any(depth), self.any(depth));
                node("((§)? // §)", [left, right], LOOSE)
            }
            20 => {
                let (source, name) = (self.any(depth), self.name("$s"));
                let body = self.with_variables(std::slice::from_ref(&name), |this| this.any(depth));
                node(&format!("((§) as {name} | §)"), [source, body], LOOSE)
            }
            21 => {
                let (a, b) = (self.name("$d"), self.name("$d"));
                let pattern = match self.random.below(5) {
                    0 => format!("[{a}, {b}]"),
                    1 => format!("[{a}, [{b}]]"),
                    2 => format!("{{id: {a}, raw: {b}}}"),
                    3 => format!("{{\"id\": {a}, (\"ra\" + \"w\"): {{severity: {b}}}}}"),
                    _ => format!("[{{href: {a}, rel: {b}}}]"),
                };
                let is_list = pattern.starts_with('[');
                let of = if is_list { Kind::List } else { Kind::Record };
                let source = self.one(of, depth);
                let body = self.with_variables(&[a, b], |this| this.any(depth));
                node(&format!("(§ as {pattern} | §)"), [source, body], LOOSE)
            }
            22 => {
                let (source, name) = (self.any(depth), self.name("$r"));
                let init = self.one(kind, 0);
                let update = self.with_input(kind.schema(), |this| {
                    this.with_variables(std::slice::from_ref(&name), |this| this.one(kind, depth))
                });
                let template = self.pick(&["(reduce (§) as # (§; §))", "(foreach (§) as # (§; §))"]);
                node(&template.replace('#', &name), [source, init, update], LOOSE)
            }
            23 => {
                let (source, name) = (self.path(depth).0, self.name("$f"));
                let extract = self.with_input(&Number, |this| {
                    this.with_variables(std::slice::from_ref(&name), |this| this.any(depth.min(1)))
                });
                let template = format!("(foreach (§) as {name} (0; . + 1; ({name}, .) | §))");
                node(&template, [source, extract], LOOSE)
            }
            24 => {
                let label = self.name("$l");
                let outer = self.label.replace(label.clone());
                let body = self.any(depth);
                self.label = outer;
                let template = match self.random.below(2) {
                    0 => format!("(label {label} | §)"),
                    _ => format!(
                        "(label {label} | foreach (§) as $i (0; . + 1; if . > 2 then ., break {label} else $i end))"
                    ),
                };
                node(&template, [body], LOOSE)
            }
            25 => match &self.label {
                Some(label) => {
                    let label = label.clone();
                    let first = self.any(depth);
                    node(&format!("(§, break {label})"), [first], LOOSE)
                }
                None => leaf(
                    self.pick(&["empty", "error", "error(\"raised\")", "error({a: 1})", "error(null)"]),
                    LOOSE,
                ),
            },
            26 => self.definition(kind, depth),
            27 => self.call(depth),
            28 => {
                let (body, count) = (self.any(depth), self.pick(&["0", "1", "2", "3"]));
                let template = match self.random.below(5) {
                    0 => "first(§)".to_owned(),
                    1 => "last(§)".to_owned(),
                    2 => format!("limit({count}; §)"),
                    3 => format!("skip({count}; §)"),
                    _ => format!("nth({count}; §)"),
                };
                node(&template, [body], LOOSE)
            }
            29 => leaf(
                self.pick(&[
                    "range(3)",
                    "range(1; 8; 3)",
                    "range(5; 0; -2)",
                    "range(0; 1; 0.3)",
                    "(0 | while(. < 4; . + 1))",
                    "(1 | until(. > 50; . * 2))",
                    "(.. | strings)",
                    "..",
                    "tostream",
                    "paths",
                    "[limit(3; .[]?)]",
                    "(to_entries[]? | .key)",
                    "(.. | numbers | . + 1)",
                    "$args",
                    "$meta",
                    "limit(3; repeat(.))",
                    "([.[]?] | combinations(2)? | tojson)",
                    "(def fac: if . <= 1 then 1 else . * (. - 1 | fac) end; 10 | fac)",
                    "(def down: if . > 0 then ., (. - 1 | down) else empty end; 4 | down)",
                    r"(.created | fromdateiso8601 | todate)",
                    r#"(.created | strptime("%Y-%m-%dT%H:%M:%SZ") | mktime | strftime("%j %U"))"#,
                ]),
                LOOSE,
            ),
            30 => {
                let (path, schema) = self.path(depth);
                let condition = self.with_input(schema, |this| this.one(Kind::Bool, depth));
                node("(§ | select(§))", [path, condition], LOOSE)
            }
            _ => {
                let (many, single) = (self.any(depth), self.total(kind, depth.min(1)));
                node("{x: (§), y: §}", [many, single], LOOSE)
            }
        }
    }

    fn definition(&mut self, kind: Kind, depth: usize) -> Node {
        let name = self.name("f");
        let param = self.pick(&[Param::None, Param::Closure, Param::Value]);
        // a `break` out of a function may be called where the label is gone
        let label = self.label.take();
        let (head, body) = match param {
            Param::None => (name.clone(), self.any(depth)),
            Param::Closure => {
                let inner = self.any(depth.min(1));
                let template = self.pick(&[
                    "(g | §)",
                    "[g, (§)]",
                    "(§ | g)",
                    "(g, g)",
                    "(first(g)? // §)",
                    "[.[]? | g]",
                ]);
                let body = if template.contains('§') {
                    node(template, [inner], LOOSE)
                } else {
                    leaf(template, LOOSE)
                };
                (format!("{name}(g)"), body)
            }
            Param::Value => {
                let variable = self.name("$a");
                let head = format!("{name}({variable})");
                (head, self.with_variables(&[variable], |this| this.any(depth)))
            }
        };
        self.label = label;
        self.functions.push((name, param));
        let call = if self.percent(60) { self.call(depth) } else { self.one(kind, depth) };
        self.functions.pop();
        node(&format!("(def {head}: §; §)"), [body, call], LOOSE)
    }

    fn call(&mut self, depth: usize) -> Node {
        if self.functions.is_empty() {
            return self.path(depth).0;
        }
        let at = self.random.below(self.functions.len());
        let (name, param) = self.functions[at].clone();
        match param {
            Param::None => leaf(name, LOOSE),
            Param::Closure => {
                // its input is not the one here
                let closure = self.with_input(&Any, |this| this.any(depth));
                node(&format!("{name}(§)"), [closure], LOOSE)
            }
            Param::Value => {
                let value = self.any(depth);
                node(&format!("{name}(§)"), [value], LOOSE)
            }
        }
    }
}
