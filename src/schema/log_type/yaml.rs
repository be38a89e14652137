//! YAML as a tree whose every node knows its place, within bounds.
//!
//! The parser gives events; here they become nodes. An alias shares the node of its anchor, so a
//! document of aliases to aliases takes no more memory than its text; how often it is *walked* is
//! bounded where it is walked.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

/// Levels of lists and maps.
const DEPTH: usize = 100;

/// Nodes of a document.
const NODES: usize = 200_000;

/// Bytes of a key. Keys are compared and shown, also those of aliases, each time they are met.
const KEY_BYTES: usize = 1000;

/// Something in a YAML document.
#[derive(Debug)]
pub(super) struct Node {
    /// Bytes of the file; of a list or map where it begins.
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Text; `plain` if it stands without quotes, and so may be a number, a boolean or null.
    Scalar {
        text: Rc<str>,
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    /// Members by their keys, which are distinct texts.
    Map(Vec<Member>),
}

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) key: Rc<str>,
    pub(super) key_span: Range<usize>,
    pub(super) value: Rc<Node>,
}

/// Why a text is no YAML that can be used.
#[derive(Debug)]
pub(super) struct YamlError {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for a message.
    pub(super) fn what(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar { .. } => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}

/// Reads a text that holds one document.
pub(super) fn parse(text: &str) -> Result<Rc<Node>, YamlError> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        lines: Lines::of(text),
        anchors: HashMap::new(),
        nodes: 0,
    };
    reader.document()
}

/// The beginning of a text, for a message: of its first line at the most.
pub(super) fn clip(text: &str) -> String {
    let end = text.char_indices().nth(60).map_or(text.len(), |(at, _)| at);
    let end = text[..end].find('\n').unwrap_or(end);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}

/// Where lines begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// The place that was asked for last: its line, its character in the line, and its byte. The next
    /// one is near, and a file may be one line.
    last: Cell<(usize, usize, usize)>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        Lines { text, starts: starts.collect(), last: Cell::new((0, 0, 0)) }
    }

    /// The byte of a place. The parser counts lines from 1, and characters of a line from 0.
    fn byte(&self, marker: &Marker) -> usize {
        let line = marker.line().saturating_sub(1);
        let Some(start) = self.starts.get(line) else { return self.text.len() };
        let end = self.starts.get(line + 1).copied().unwrap_or(self.text.len());
        let (known, column, byte) = match self.last.get() {
            (known, column, byte) if known == line => (known, column, byte),
            _ => (line, 0, *start),
        };
        let byte = match marker.col().checked_sub(column) {
            Some(more) => {
                let rest = self.text.get(byte..end).unwrap_or_default();
                match rest.char_indices().nth(more) {
                    Some((at, _)) => byte + at,
                    // behind the end of the line, where no column is remembered
                    None => return byte + rest.len(),
                }
            }
            None => {
                let before = self.text.get(*start..byte).unwrap_or_default();
                let back = column - marker.col();
                start + before.char_indices().rev().nth(back - 1).map_or(0, |(at, _)| at)
            }
        };
        self.last.set((known, marker.col(), byte));
        byte
    }

    /// The bytes of a span, of its first line at the most.
    fn bytes(&self, span: &Span) -> Range<usize> {
        let start = self.byte(&span.start);
        let end = self.byte(&span.end).max(start);
        let first_line = self.text.get(start..end).unwrap_or_default();
        let first_line = first_line.split('\n').next().unwrap_or_default().trim_end();
        // a place of no width is shown as the character that stands there
        let here = self.text.get(start..).and_then(|rest| rest.chars().next());
        let width = here.filter(|c| *c != '\n').map_or(0, char::len_utf8);
        start..start + first_line.len().max(width)
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    lines: Lines<'a>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Rc<Node>, YamlError> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if document.is_some() => {
                    return Err(self.error(
                        &span,
                        "there is a second document",
                        Some("keep one schema a file"),
                    ));
                }
                event => document = Some(self.node(event, &span, DEPTH)?),
            }
        }
        let end = self.lines.text.len();
        document.ok_or(YamlError { span: end..end, message: "the file is empty".into(), help: None })
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = self.lines.bytes(&Span::empty(*error.marker()));
                let message = format!("this is no YAML: {}", error.info());
                Err(YamlError { span: at, message, help: None })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn error(&self, span: &Span, message: impl Into<String>, help: Option<&'static str>) -> YamlError {
        YamlError { span: self.lines.bytes(span), message: message.into(), help }
    }

    fn node(&mut self, event: Event<'a>, span: &Span, levels: usize) -> Result<Rc<Node>, YamlError> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(self.error(span, format!("the file has more than {NODES} values"), None));
        }
        if levels == 0 {
            return Err(self.error(span, format!("the file is nested deeper than {DEPTH} levels"), None));
        }
        // before what is inside: places are looked for from the last one on
        let place = self.lines.bytes(span);
        let (kind, anchor) = match event {
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                return known.ok_or_else(|| self.error(span, "an alias stands inside its own anchor", None));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| tag.suffix != "str");
                (Kind::Scalar { text: text.into(), plain }, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, &span, levels - 1)?),
                    }
                }
                (Kind::List(items), anchor)
            }
            Event::MappingStart(anchor, _) => (Kind::Map(self.map(levels)?), anchor),
            _ => return Err(self.error(span, "this is no value", None)),
        };
        let node = Rc::new(Node { span: place, kind });
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn map(&mut self, levels: usize) -> Result<Vec<Member>, YamlError> {
        let mut members: Vec<Member> = Vec::new();
        let mut merged: Vec<Member> = Vec::new();
        let mut known = std::collections::HashSet::new();
        loop {
            let (key, key_span, key_place) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (event, span) => {
                    let place = self.lines.bytes(&span);
                    (self.node(event, &span, levels - 1)?, span, place)
                }
            };
            let (event, span) = self.next()?;
            let value = self.node(event, &span, levels - 1)?;
            let Kind::Scalar { text, plain } = &key.kind else {
                return Err(self.error(
                    &key_span,
                    format!("a key must be text, this is {}", key.what()),
                    None,
                ));
            };
            if text.len() > KEY_BYTES {
                let message = format!("a key is longer than {KEY_BYTES} bytes");
                return Err(self.error(&key_span, message, None));
            }
            if *plain && &**text == "<<" {
                let sources: Vec<&Rc<Node>> = match &value.kind {
                    Kind::List(items) => items.iter().collect(),
                    _ => vec![&value],
                };
                for source in sources {
                    let Kind::Map(members) = &source.kind else {
                        return Err(self.error(
                            &span,
                            format!("`<<` merges maps, this is {}", source.what()),
                            None,
                        ));
                    };
                    merged.extend(members.iter().cloned());
                    self.nodes += members.len();
                    if self.nodes > NODES {
                        return Err(self.error(
                            &span,
                            format!("the file has more than {NODES} values"),
                            None,
                        ));
                    }
                }
                continue;
            }
            if !known.insert(text.clone()) {
                let message = format!("the key `{}` is written twice", clip(text));
                return Err(self.error(&key_span, message, Some("keep one of them")));
            }
            members.push(Member { key: text.clone(), key_span: key_place, value });
        }
        // what is written in the map itself wins, then what is merged first
        merged.retain(|member| known.insert(member.key.clone()));
        members.extend(merged);
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Node) -> String {
        match &node.kind {
            Kind::Scalar { text, plain: true } => (**text).to_owned(),
            Kind::Scalar { text, .. } => format!("{text:?}"),
            Kind::List(items) => {
                format!("[{}]", items.iter().map(|item| shown(item)).collect::<Vec<_>>().join(","))
            }
            Kind::Map(members) => {
                let members = members.iter().map(|member| format!("{}:{}", member.key, shown(&member.value)));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
        }
    }

    #[test]
    fn documents_become_trees() {
        for (text, expected) in [
            ("a: 1\nb: [x, 'y']\n", "{a:1,b:[x,\"y\"]}"),
            (
                "a: &x {k: v}\nb: *x\nc:\n  <<: *x\n  k: w\n  z: 1\nd: {<<: [*x, {q: r}]}",
                "{a:{k:v},b:{k:v},c:{k:w,z:1},d:{k:v,q:r}}",
            ),
            ("---\n- |\n  two\n  lines\n- !!str 5\n- ~\n...\n", "[\"two\\nlines\\n\",\"5\",~]"),
            ("{\"a\": [1, 2], }", "{a:[1,2]}"),
        ] {
            assert_eq!(shown(&parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn places_are_those_of_bytes_behind_wide_characters() {
        let text = "# é ü\na: 'é'\nß: &x\n  - ö: wörd # é\n  - z";
        let node = parse(text).unwrap();
        let Kind::Map(members) = &node.kind else { panic!() };
        assert_eq!(&text[members[1].key_span.clone()], "ß");
        assert_eq!(&text[members[0].value.span.clone()], "'é'");
        let Kind::List(items) = &members[1].value.kind else { panic!() };
        let Kind::Map(inner) = &items[0].kind else { panic!() };
        assert_eq!(&text[inner[0].key_span.clone()], "ö");
        assert_eq!(&text[inner[0].value.span.clone()], "wörd");
        assert_eq!(&text[items[1].span.clone()], "z");
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        for (text, part, message) in [
            ("a: 1\na: 2\n", "a: 2", "written twice"),
            ("a: [1\n", "", "no YAML"),
            ("a: 1\n---\nb: 2\n", "b: 2", "second document"),
            ("", "", "empty"),
            ("# nothing\n", "", "empty"),
            ("? [a]\n: 1\n", "[a]", "key must be text"),
            ("a: &x [*x]\n", "*x", "own anchor"),
            ("<<: 1\n", "1", "merges maps"),
            ("a: *none", "*none", "no YAML"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(message), "{text}: {}", error.message);
            assert!(text.get(error.span.start..).unwrap().starts_with(part), "{text}: {:?}", error.span);
        }
    }

    #[test]
    fn one_long_line_is_read_in_one_go() {
        for key in ["a", "é"] {
            let item = format!("{{\"{key}\": [1, 'two', three], b: {{c: , d: e}}}}");
            let text = format!("[{}]", vec![&*item; 15_000].join(","));
            let begin = std::time::Instant::now();
            let node = parse(&text).unwrap();
            // from the beginning of the line each time it would be minutes
            assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
            let Kind::List(items) = &node.kind else { panic!() };
            let Kind::Map(members) = &items[14_999].kind else { panic!() };
            assert_eq!(text.get(members[0].key_span.clone()).unwrap(), format!("\"{key}\""));
            assert_eq!(&text[members[1].key_span.clone()], "b");
        }
    }

    #[test]
    fn hostile_documents_end_soon() {
        for text in ["[".repeat(1 << 16), "{a: ".repeat(1 << 12), "- ".repeat(1 << 14), "? ".repeat(1 << 12)]
        {
            assert!(parse(&text).is_err());
        }
        let nested: String = (0..300).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        assert!(parse(&nested).unwrap_err().message.contains("deeper"));
        let many = "- 1\n".repeat(NODES + 1);
        assert!(parse(&many).unwrap_err().message.contains("more than"));
        let laughs: String =
            (1..40).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(9))).collect();
        assert!(parse(&format!("a0: &a0 [x]\n{laughs}")).is_ok());
        let long = format!("{}: 1\n? {}\n: 1", "k".repeat(900), "k".repeat(KEY_BYTES + 1));
        assert!(parse(&long).unwrap_err().message.contains("longer than"));
    }
}
