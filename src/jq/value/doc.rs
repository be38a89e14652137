//! A document: the text of an event with the places of its tokens.
//!
//! The pass that validates an event also writes down where each token begins and ends, and where
//! each array and object is over. A value that a program does not touch is never more than a place
//! in this table: looking up a member walks the keys of one object and skips what is below it,
//! and what was not changed is copied from the text as it was written.

use std::cell::{Cell, OnceCell};
use std::collections::HashSet;
use std::rc::Rc;

use bytes::Bytes;

use super::object::Obj;
use super::text::fingerprint;
use super::{Decimal, Str, Val};
use crate::event::json::{self, JsonError, Scalar, Tape};

/// Members up to which duplicate keys are looked for pair by pair.
const FEW: u32 = 24;

/// Lookups that are made without an index: most programs that make no more ask for a member or two.
const FIRST_LOOKUPS: u8 = 4;

/// Validated text and its tokens.
#[derive(Debug)]
pub(in crate::jq) struct Doc {
    text: Bytes,
    nodes: Vec<Node>,
    /// Whether there are line breaks between its tokens, which one line of output cannot have.
    has_breaks: bool,
    /// Levels of arrays and objects.
    depth: u32,
    /// Members that were looked for in the outermost object so far, up to a few.
    lookups: Cell<u8>,
    keys: OnceCell<Option<Box<[Key]>>>,
}

/// A key of the outermost object: its fingerprint and its node.
type Key = (u64, u32);

#[derive(Debug, Clone, Copy)]
struct Node {
    /// First byte.
    at: u32,
    /// Bytes; of a string with its quotes.
    len: u32,
    /// Number of the first node that is not inside this one.
    next: u32,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar(Scalar),
    Array,
    Object,
}

/// The nodes as the scan tells of them. While a container is open its `len` holds the number of the
/// one around it.
struct Nodes {
    nodes: Vec<Node>,
    open: u32,
    has_breaks: bool,
    depth: u32,
    deepest: u32,
}

impl Tape for Nodes {
    #[inline]
    fn scalar(&mut self, kind: Scalar, start: usize, end: usize) {
        let next = self.nodes.len() as u32 + 1;
        let len = (end - start) as u32;
        self.nodes.push(Node { at: start as u32, len, next, kind: Kind::Scalar(kind) });
    }

    #[inline]
    fn open(&mut self, is_object: bool, start: usize) {
        let kind = if is_object { Kind::Object } else { Kind::Array };
        let number = self.nodes.len() as u32;
        self.nodes.push(Node { at: start as u32, len: self.open, next: 0, kind });
        self.open = number;
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
    }

    #[inline]
    fn line_break(&mut self) {
        self.has_breaks = true;
    }

    #[inline]
    fn close(&mut self, end: usize) {
        let next = self.nodes.len() as u32;
        if let Some(node) = self.nodes.get_mut(self.open as usize) {
            self.open = node.len;
            self.depth -= 1;
            node.len = end as u32 - node.at;
            node.next = next;
        }
    }
}

impl Doc {
    /// Validates a text and keeps the places of its tokens. At most 4 GiB.
    pub(in crate::jq) fn parse(text: Bytes, max_depth: usize) -> Result<Rc<Doc>, JsonError> {
        if u32::try_from(text.len()).is_err() {
            return Err(JsonError { offset: u32::MAX as usize, problem: json::Problem::TooLong });
        }
        // security events have a token every dozen bytes; with less room the table grows
        let room = text.len() / 12 + 4;
        let mut tape = Nodes {
            nodes: Vec::with_capacity(room),
            open: u32::MAX,
            has_breaks: false,
            depth: 0,
            deepest: 0,
        };
        json::scan(&text, max_depth, &mut tape)?;
        Ok(Rc::new(Doc {
            text,
            nodes: tape.nodes,
            has_breaks: tape.has_breaks,
            depth: tape.deepest,
            lookups: Cell::new(0),
            keys: OnceCell::new(),
        }))
    }

    /// A document of one number.
    pub(super) fn number(text: String) -> Rc<Doc> {
        Rc::new(Doc {
            text: text.into(),
            nodes: Vec::new(),
            has_breaks: false,
            depth: 0,
            lookups: Cell::new(0),
            keys: OnceCell::new(),
        })
    }

    pub(super) fn text_at(&self, at: u32, len: u32) -> Option<&[u8]> {
        self.text.get(at as usize..(at + len) as usize)
    }

    /// Its value. Containers stay in the text.
    pub(in crate::jq) fn root(self: &Rc<Self>) -> Val {
        if self.nodes.is_empty() { Val::Null } else { self.value(0) }
    }

    fn node(&self, number: u32) -> Node {
        self.nodes[number as usize]
    }

    fn slice(&self, node: Node) -> &[u8] {
        self.text_at(node.at, node.len).unwrap_or_default()
    }

    /// A string's content between its quotes, escapes and all.
    fn content(&self, node: Node) -> &[u8] {
        self.text_at(node.at + 1, node.len - 2).unwrap_or_default()
    }

    /// The length and the first seven bytes of a string, as one number.
    fn fingerprint(&self, node: Node) -> u64 {
        let start = node.at as usize + 1;
        let mut bytes = [0; 8];
        match self.text.get(start..start + 8) {
            Some(eight) => bytes.copy_from_slice(eight),
            // at the end of the text there may be fewer
            None => {
                let rest = self.text.get(start..).unwrap_or_default();
                bytes[..rest.len()].copy_from_slice(rest);
            }
        }
        let word = u64::from_le_bytes(bytes);
        let length = (node.len - 2).min(7);
        let kept = (1_u64 << (8 * length)) - 1;
        (word & kept) | u64::from(node.len - 2) << 56
    }

    fn value(self: &Rc<Self>, number: u32) -> Val {
        let node = self.node(number);
        match node.kind {
            Kind::Scalar(Scalar::Null) => Val::Null,
            Kind::Scalar(Scalar::True) => Val::Bool(true),
            Kind::Scalar(Scalar::False) => Val::Bool(false),
            Kind::Scalar(Scalar::Integer) => small_integer(self.slice(node)).map_or_else(
                || Val::Dec(Decimal { doc: self.clone(), at: node.at, len: node.len }),
                Val::Int,
            ),
            Kind::Scalar(Scalar::Decimal) => {
                Val::Dec(Decimal { doc: self.clone(), at: node.at, len: node.len })
            }
            Kind::Scalar(Scalar::Plain | Scalar::Escaped) => Val::Str(self.string(node)),
            Kind::Array | Kind::Object => Val::Raw(Raw { doc: self.clone(), node: number }),
        }
    }

    fn string(self: &Rc<Self>, node: Node) -> Str {
        if node.kind == Kind::Scalar(Scalar::Plain) {
            return Str::slice(self.clone(), node.at + 1, node.len - 2);
        }
        Str::from(unescape(self.content(node)))
    }

    /// Whether a key node says `key`.
    fn key_is(&self, node: Node, key: &[u8]) -> bool {
        if node.kind == Kind::Scalar(Scalar::Plain) {
            node.len as usize == key.len() + 2 && self.content(node) == key
        } else {
            unescape(self.content(node)).as_bytes() == key
        }
    }

    /// The keys of the outermost object, once it pays to have them at hand: from the first few lookups
    /// on, if they are simple and differ.
    fn keys(&self) -> Option<&[Key]> {
        let lookups = self.lookups.get();
        if lookups < FIRST_LOOKUPS {
            self.lookups.set(lookups + 1);
            return None;
        }
        self.keys.get_or_init(|| self.collect_keys().map(Vec::into_boxed_slice)).as_deref()
    }

    fn collect_keys(&self) -> Option<Vec<Key>> {
        let mut keys: Vec<Key> = Vec::with_capacity(FEW as usize);
        let (mut number, end) = (1, self.node(0).next);
        while number < end {
            let node = self.node(number);
            if keys.len() == FEW as usize || node.kind != Kind::Scalar(Scalar::Plain) {
                return None;
            }
            let mark = self.fingerprint(node);
            if keys.iter().any(|(this, _)| *this == mark) {
                return None;
            }
            keys.push((mark, number));
            number = self.node(number + 1).next;
        }
        Some(keys)
    }

    /// The path to the token at a byte of the text, as a person writes it.
    pub(in crate::jq) fn path_to(&self, offset: usize) -> Option<String> {
        let mut path = String::new();
        let mut number = 0;
        loop {
            let node = *self.nodes.get(number as usize)?;
            let inside = |node: Node| (node.at as usize..(node.at + node.len) as usize).contains(&offset);
            if node.kind == Kind::Object {
                let mut key = number + 1;
                while key < node.next && !inside(self.node(key + 1)) && !inside(self.node(key)) {
                    key = self.node(key + 1).next;
                }
                if key >= node.next {
                    break;
                }
                append_key(&mut path, &unescape(self.content(self.node(key))));
                number = key + 1;
            } else if node.kind == Kind::Array {
                let (mut item, mut index) = (number + 1, 0);
                while item < node.next && !inside(self.node(item)) {
                    item = self.node(item).next;
                    index += 1;
                }
                if item >= node.next {
                    break;
                }
                path.push_str(&format!("[{index}]"));
                number = item;
            } else {
                break;
            }
            if self.node(number).at as usize == offset {
                break;
            }
        }
        Some(if path.is_empty() {
            ".".to_owned()
        } else if path.starts_with('[') {
            format!(".{path}")
        } else {
            path
        })
    }
}

/// Appends `.key`, quoted where jq wants it so.
pub(in crate::jq) fn append_key(path: &mut String, key: &str) {
    let is_name = |key: &str| {
        key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && key.bytes().next().is_some_and(|b| !b.is_ascii_digit())
    };
    path.push('.');
    if is_name(key) {
        path.push_str(key);
    } else {
        path.push_str(&serde_json::Value::from(key).to_string());
    }
}

/// An integer of at most 18 digits. Not `-0`, whose sign an integer would lose.
fn small_integer(digits: &[u8]) -> Option<i64> {
    let (negative, magnitude) = match digits {
        [b'-', b'0'] => return None,
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    if magnitude.len() > 18 {
        return None;
    }
    let number = magnitude.iter().fold(0_i64, |number, digit| number * 10 + i64::from(digit & 15));
    Some(if negative { -number } else { number })
}

/// The text that a validated string's content stands for.
fn unescape(content: &[u8]) -> String {
    let mut out = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = rest.get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or_default();
        match escape {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let mut unit = hex4(rest);
                rest = rest.get(4..).unwrap_or_default();
                if (0xd800..0xdc00).contains(&unit) {
                    let low = hex4(rest.get(2..).unwrap_or_default());
                    rest = rest.get(6..).unwrap_or_default();
                    unit = 0x10000 + ((unit - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
                }
                let c = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest);
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex4(digits: &[u8]) -> u32 {
    let digits = digits.get(..4).unwrap_or_default();
    digits.iter().fold(0, |unit, digit| unit << 4 | (*digit as char).to_digit(16).unwrap_or(0))
}

/// An array or object that is still text.
#[derive(Debug, Clone)]
pub(in crate::jq) struct Raw {
    doc: Rc<Doc>,
    node: u32,
}

impl Raw {
    #[inline]
    fn node(&self) -> Node {
        self.doc.node(self.node)
    }

    #[inline]
    pub(in crate::jq) fn is_object(&self) -> bool {
        self.node().kind == Kind::Object
    }

    /// Whether there is nothing in it.
    pub(in crate::jq) fn is_empty(&self) -> bool {
        self.node().next == self.node + 1
    }

    /// The same text of the same document.
    pub(in crate::jq) fn is_same(&self, other: &Raw) -> bool {
        Rc::ptr_eq(&self.doc, &other.doc) && self.node == other.node
    }

    /// Appends the text as it was written, without line breaks between its tokens.
    pub(in crate::jq) fn append(&self, out: &mut Vec<u8>) {
        let text = self.doc.slice(self.node());
        if self.doc.has_breaks {
            json::append_compact(text, out);
        } else {
            out.extend_from_slice(text);
        }
    }

    /// Bytes of the text.
    pub(in crate::jq) fn size(&self) -> usize {
        self.node().len as usize
    }

    /// Whether the text has more than this many levels.
    pub(in crate::jq) fn is_deeper_than(&self, levels: usize) -> bool {
        // as a rule the whole event is not
        if self.doc.depth as usize <= levels {
            return false;
        }
        let node = self.node();
        let mut ends = Vec::new();
        (self.node..node.next).any(|number| {
            while ends.last().is_some_and(|end| *end <= number) {
                ends.pop();
            }
            let node = self.doc.node(number);
            if matches!(node.kind, Kind::Array | Kind::Object) {
                ends.push(node.next);
            }
            ends.len() > levels
        })
    }

    pub(in crate::jq) fn place(&self) -> (&Rc<Doc>, usize) {
        (&self.doc, self.node().at as usize)
    }

    /// The member of an object. Of members with one key the last counts.
    pub(in crate::jq) fn get(&self, key: &[u8]) -> Option<Val> {
        if self.node == 0
            && let Some(keys) = self.doc.keys()
        {
            let mark = fingerprint(key);
            let (_, found) = keys.iter().find(|(this, _)| *this == mark)?;
            return self.doc.key_is(self.doc.node(*found), key).then(|| self.doc.value(found + 1));
        }
        let object = self.node();
        let mut found = None;
        let mut number = self.node + 1;
        while number < object.next {
            if self.doc.key_is(self.doc.node(number), key) {
                found = Some(number + 1);
            }
            number = self.doc.node(number + 1).next;
        }
        found.map(|number| self.doc.value(number))
    }

    /// The items of an array, or the values of an object as they are written.
    pub(in crate::jq) fn children(&self) -> Children<'_> {
        let node = self.node();
        Children { doc: &self.doc, next: self.node + 1, end: node.next, is_object: node.kind == Kind::Object }
    }

    /// Number of items, or of members as they are written.
    pub(in crate::jq) fn written(&self) -> usize {
        let node = self.node();
        let step = u32::from(node.kind == Kind::Object);
        let (mut count, mut number) = (0, self.node + 1);
        while number < node.next {
            number = self.doc.node(number + step).next;
            count += 1;
        }
        count
    }

    /// Whether an object has two members of one key.
    pub(in crate::jq) fn has_duplicates(&self) -> bool {
        let object = self.node();
        let count = self.written() as u32;
        let keys = || {
            let mut number = self.node + 1;
            std::iter::from_fn(move || {
                (number < object.next).then(|| {
                    let key = self.doc.node(number);
                    number = self.doc.node(number + 1).next;
                    key
                })
            })
        };
        if count > FEW || keys().any(|key| key.kind == Kind::Scalar(Scalar::Escaped)) {
            let mut seen = HashSet::new();
            return !keys().all(|key| seen.insert(unescape(self.doc.content(key))));
        }
        // most keys differ in their length or their first bytes
        let mut seen = [0; FEW as usize];
        keys().enumerate().any(|(at, key)| {
            let mark = self.doc.fingerprint(key);
            let is_known = seen[..at].contains(&mark);
            seen[at] = mark;
            is_known && keys().take(at).any(|other| self.doc.content(other) == self.doc.content(key))
        })
    }

    /// Calls `each` with the key of each member as it is written, its name, and its value. Keys must
    /// differ.
    pub(in crate::jq) fn for_each_member(
        &self,
        mut each: impl FnMut(&[u8], &dyn Fn() -> Str, &dyn Fn() -> Val),
    ) {
        let object = self.node();
        let mut number = self.node + 1;
        while number < object.next {
            let key = self.doc.node(number);
            let value = number + 1;
            if key.kind == Kind::Scalar(Scalar::Plain) {
                each(self.doc.content(key), &|| self.doc.string(key), &|| self.doc.value(value));
            } else {
                let name = unescape(self.doc.content(key));
                each(name.as_bytes(), &|| Str::new(&name), &|| self.doc.value(value));
            }
            number = self.doc.node(value).next;
        }
    }

    /// The object with its members as values, each key once.
    pub(in crate::jq) fn to_obj(&self) -> Obj {
        let object = self.node();
        let mut entries = Vec::with_capacity(self.written() + 1);
        let mut number = self.node + 1;
        while number < object.next {
            let key = self.doc.string(self.doc.node(number));
            entries.push((key, self.doc.value(number + 1)));
            number = self.doc.node(number + 1).next;
        }
        if self.has_duplicates() { entries.into_iter().collect() } else { Obj::from_distinct(entries) }
    }

    /// The items of an array.
    pub(in crate::jq) fn to_vec(&self) -> Vec<Val> {
        let mut items = Vec::with_capacity(self.written());
        items.extend(self.children());
        items
    }
}

/// Values inside a [`Raw`].
pub(in crate::jq) struct Children<'a> {
    doc: &'a Rc<Doc>,
    next: u32,
    end: u32,
    is_object: bool,
}

impl Iterator for Children<'_> {
    type Item = Val;

    fn next(&mut self) -> Option<Val> {
        if self.next >= self.end {
            return None;
        }
        let value = self.next + u32::from(self.is_object);
        self.next = self.doc.node(value).next;
        Some(self.doc.value(value))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn raw(text: &str) -> Raw {
        match Doc::parse(Bytes::copy_from_slice(text.as_bytes()), 512).unwrap().root() {
            Val::Raw(raw) => raw,
            _ => panic!("{text} is a scalar"),
        }
    }

    #[test]
    fn duplicates_are_seen_wherever_they_stand() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"":1,"":2}"#,
            r#"{"longer than eight 1":1,"x":2,"longer than eight 1":3}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"k":1},"y":[1,2],"x":0}"#,
        ] {
            assert!(raw(text).has_duplicates(), "{text}");
        }
        for text in [
            r#"{"a":1,"b":2}"#,
            r#"{"longer than eight 1":1,"longer than eight 2":1}"#,
            "{}",
            r#"{"aa":1,"a":1}"#,
        ] {
            assert!(!raw(text).has_duplicates(), "{text}");
        }
    }

    #[test]
    fn paths_lead_to_the_token_at_a_byte() {
        let text = r#"{"a":{"b c":[1,{"d":"x"}]},"e":"y"}"#;
        let doc = Doc::parse(Bytes::copy_from_slice(text.as_bytes()), 512).unwrap();
        for (part, path) in [("x\"", r#".a."b c"[1].d"#), ("y\"", ".e"), ("[1,", r#".a."b c""#)] {
            assert_eq!(doc.path_to(text.find(part).unwrap()).unwrap(), path);
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let scalar = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            r#"[a-cé"\\/ ]{0,20}"#.prop_map(Into::into),
        ];
        scalar.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec(("[a-d]{0,9}", inner), 0..40)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn looking_inside_finds_what_a_full_parse_finds(value in json()) {
            let text = value.to_string();
            let doc = Doc::parse(Bytes::copy_from_slice(text.as_bytes()), 512).unwrap();
            let mine = doc.root();
            prop_assert!(crate::jq::value::equal(&mine, &Val::from(&value)));
            if let serde_json::Value::Object(members) = &value {
                for (key, member) in members {
                    let found = mine.member(&Str::new(key));
                    prop_assert!(found.is_ok_and(|found| crate::jq::value::equal(&found, &Val::from(member))));
                }
            }
            let mut out = Vec::new();
            crate::jq::write::write(&mine.own(), crate::jq::WriteLimits { depth: 512, bytes: 1 << 20 }, &mut out).unwrap();
            let again: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(again, value);
        }
    }
}
