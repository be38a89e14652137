//! Bytes to events: where one event ends and the next begins.
//!
//! A [`Framer`] is fed chunks of decompressed content and cuts events out of them without copying:
//! an event is a slice of its chunk, unless it straddles two. It knows at each point how many bytes
//! belong to finished events; that number is the cursor, and a framer can start at any such point.

use bytes::{Bytes, BytesMut};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config::Size;
use crate::event::json::trim;
use crate::event::{Clipped, Event, Fault, Payload};

/// Bytes that are kept of an event that is too long.
const KEPT_OF_OVERSIZE: usize = 64 << 10;

/// How events stand in the bytes of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Codec {
    /// One JSON value a line. Empty lines are no events.
    #[default]
    Ndjson,
    /// JSON documents of any layout; the elements of a top-level array are the events.
    Json,
    /// One line of text a line, as a JSON string.
    Text,
}

/// The longest event, unless a source says otherwise.
pub(super) fn default_max_line() -> Size {
    Size::mib(16)
}

/// Cuts events out of chunks.
#[derive(Debug)]
pub(crate) struct Framer {
    codec: Codec,
    max_event: usize,
    /// Bytes of an event whose end has not come.
    partial: BytesMut,
    /// Offset of the first byte of `partial`, or of the next event.
    offset: u64,
    oversize: Option<Oversize>,
    json: JsonState,
    at_start: bool,
}

/// An event that is too long: hashed on the way, its beginning kept.
#[derive(Debug)]
struct Oversize {
    kept: Vec<u8>,
    length: u64,
    hash: Sha256,
    start: u64,
    /// Whether a carriage return is held back: it may belong to the end of the line.
    held_return: bool,
}

/// Where the `json` codec is.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "the state of a scanner, each told apart by its comment")]
struct JsonState {
    /// Whether the top-level value is an array whose elements are events.
    in_array: bool,
    /// Whether a top-level array is one event.
    whole_arrays: bool,
    /// Open brackets of the current event.
    depth: u64,
    in_string: bool,
    escaped: bool,
    /// Whether a byte of the current event has come.
    started: bool,
    /// Whether the current event is a bare number or word, which ends at a delimiter.
    bare: bool,
}

impl Framer {
    /// A framer that starts at `offset`; `in_array` as [`Framer::in_array`] said there.
    pub(crate) fn new(codec: Codec, max_event: usize, offset: u64, in_array: bool) -> Self {
        Framer {
            codec,
            max_event,
            partial: BytesMut::new(),
            offset,
            oversize: None,
            json: JsonState { in_array, ..JsonState::default() },
            at_start: offset == 0,
        }
    }

    /// A framer of JSON documents, each of which is one event, arrays too.
    pub(crate) fn documents(max_event: usize) -> Self {
        let mut framer = Framer::new(Codec::Json, max_event, 0, false);
        framer.json.whole_arrays = true;
        framer
    }

    /// The offset after the last finished event: where a new framer may start.
    pub(crate) fn settled(&self) -> u64 {
        self.oversize.as_ref().map_or(self.offset, |oversize| oversize.start)
    }

    /// Whether [`Framer::settled`] lies inside a top-level array.
    pub(crate) fn in_array(&self) -> bool {
        self.json.in_array
    }

    /// Takes a chunk; appends the events that end in it.
    pub(crate) fn feed(&mut self, mut chunk: Bytes, events: &mut Vec<Event>) {
        if self.at_start && !chunk.is_empty() {
            self.at_start = false;
            if chunk.starts_with(b"\xef\xbb\xbf") {
                // a byte order mark is no part of the first event
                let _ = chunk.split_to(3);
                self.offset += 3;
            }
        }
        match self.codec {
            Codec::Ndjson | Codec::Text => self.feed_lines(chunk, events),
            Codec::Json => self.feed_json(chunk, events),
        }
    }

    /// The content has ended: what is left is an event if `complete`, and stays unsettled if the
    /// rest may still come.
    pub(crate) fn finish(&mut self, complete: bool, events: &mut Vec<Event>) {
        if !complete {
            return;
        }
        let rest = self.partial.split().freeze();
        if self.oversize.is_some() || !rest.is_empty() {
            let length = rest.len();
            self.end_event(&rest, length, events);
        }
        self.json = JsonState::default();
    }

    fn feed_lines(&mut self, mut chunk: Bytes, events: &mut Vec<Event>) {
        while let Some(end) = memchr::memchr(b'\n', &chunk) {
            let line = chunk.split_to(end + 1);
            if self.partial.is_empty() {
                let length = line.len();
                self.end_event(&line, length, events);
            } else {
                self.partial.extend_from_slice(&line);
                let line = self.partial.split().freeze();
                let length = line.len();
                self.end_event(&line, length, events);
            }
        }
        self.keep(&chunk);
    }

    fn feed_json(&mut self, mut chunk: Bytes, events: &mut Vec<Event>) {
        let mut at = 0;
        while at < chunk.len() {
            let byte = chunk[at];
            let state = &mut self.json;
            let mut ends_after = false;
            let mut ends_before = false;
            if state.in_string {
                match byte {
                    _ if state.escaped => state.escaped = false,
                    b'\\' => state.escaped = true,
                    b'"' => {
                        state.in_string = false;
                        ends_after = state.depth == 0;
                    }
                    _ => {}
                }
            } else if state.started && state.bare {
                ends_before =
                    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b'[' | b']' | b'{' | b'}' | b'"');
            } else if !state.started {
                match byte {
                    b' ' | b'\t' | b'\n' | b'\r' => {
                        at += 1;
                        continue;
                    }
                    b'[' if !state.in_array && !state.whole_arrays => {
                        // the elements are the events; the bracket belongs to none
                        state.in_array = true;
                        self.skip(&mut chunk, at + 1);
                        at = 0;
                        continue;
                    }
                    b',' if state.in_array => {
                        self.skip(&mut chunk, at + 1);
                        at = 0;
                        continue;
                    }
                    b']' if state.in_array => {
                        state.in_array = false;
                        self.skip(&mut chunk, at + 1);
                        at = 0;
                        continue;
                    }
                    b'{' | b'[' => state.depth = 1,
                    b'"' => state.in_string = true,
                    _ => state.bare = true,
                }
                state.started = true;
            } else {
                match byte {
                    b'"' => state.in_string = true,
                    b'{' | b'[' => state.depth += 1,
                    b'}' | b']' => {
                        state.depth -= 1;
                        ends_after = state.depth == 0;
                    }
                    _ => {}
                }
            }
            if ends_before || ends_after {
                let end = at + usize::from(ends_after);
                let piece = chunk.split_to(end);
                self.json = JsonState {
                    in_array: self.json.in_array,
                    whole_arrays: self.json.whole_arrays,
                    ..JsonState::default()
                };
                if self.partial.is_empty() {
                    self.end_event(&piece, end, events);
                } else {
                    self.partial.extend_from_slice(&piece);
                    let whole = self.partial.split().freeze();
                    let length = whole.len();
                    self.end_event(&whole, length, events);
                }
                at = 0;
            } else {
                at += 1;
            }
        }
        self.keep(&chunk);
    }

    /// Leaves bytes out that belong to no event.
    fn skip(&mut self, chunk: &mut Bytes, bytes: usize) {
        let _ = chunk.split_to(bytes);
        self.offset += self.partial.len() as u64 + bytes as u64;
        self.partial.clear();
    }

    /// Keeps the beginning of an event whose end has not come.
    fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            return;
        }
        if let Some(oversize) = &mut self.oversize {
            oversize.add(rest);
            self.offset += rest.len() as u64;
            return;
        }
        self.partial.extend_from_slice(rest);
        // one byte more may be the carriage return of the line's end
        if self.partial.len() > self.max_event + 1 {
            let so_far = self.partial.split().freeze();
            self.oversize = Some(Oversize::new(&so_far, self.offset));
            self.offset += so_far.len() as u64;
        }
    }

    /// An event has ended: `bytes` are all of it, or its last part if it is oversize.
    fn end_event(&mut self, bytes: &Bytes, length: usize, events: &mut Vec<Event>) {
        let start = self.offset;
        self.offset += length as u64;
        let content = match self.codec {
            Codec::Json => &bytes[..],
            Codec::Ndjson | Codec::Text => without_line_end(bytes),
        };
        if let Some(mut oversize) = self.oversize.take() {
            oversize.add(bytes.strip_suffix(b"\n").filter(|_| self.codec != Codec::Json).unwrap_or(bytes));
            events.push(oversize.into_event(self.max_event, self.codec == Codec::Json));
            return;
        }
        if content.len() > self.max_event {
            events.push(Oversize::new(content, start).into_event(self.max_event, true));
            return;
        }
        match self.codec {
            Codec::Ndjson | Codec::Json => {
                let text = trim(bytes);
                if text.is_empty() {
                    return;
                }
                let lead = text.as_ptr() as usize - bytes.as_ptr() as usize;
                events.push(Event {
                    payload: Payload::Json(bytes.slice(lead..lead + text.len())),
                    offset: u128::from(start + lead as u64),
                });
            }
            Codec::Text => {
                let length = content.len();
                events
                    .push(Event { payload: Payload::Text(bytes.slice(..length)), offset: u128::from(start) });
            }
        }
    }
}

impl Oversize {
    fn new(bytes: &[u8], start: u64) -> Self {
        let mut oversize =
            Oversize { kept: Vec::new(), length: 0, hash: Sha256::new(), start, held_return: false };
        oversize.add(bytes);
        oversize
    }

    fn add(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.release_return();
        let content = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        self.held_return = content.len() < bytes.len();
        self.add_content(content);
    }

    fn release_return(&mut self) {
        if std::mem::take(&mut self.held_return) {
            self.add_content(b"\r");
        }
    }

    fn add_content(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        let room = KEPT_OF_OVERSIZE - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// `keeps_return`: whether a carriage return at the end is content.
    fn into_event(mut self, max_event: usize, keeps_return: bool) -> Event {
        if keeps_return {
            self.release_return();
        }
        let digest = self.hash.finalize();
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut fault =
            Fault::new("line_too_long", format!("{} bytes, and `max_line` is {max_event}", self.length));
        fault.raw = self.kept.into();
        fault.clipped = Some(Clipped { length: self.length, sha256 });
        Event { payload: Payload::Fault(Box::new(fault)), offset: u128::from(self.start) }
    }
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(codec: Codec, max: usize, content: &[u8], cuts: &[usize]) -> Vec<(u128, String)> {
        let mut framer = Framer::new(codec, max, 0, false);
        let mut events = Vec::new();
        let mut from = 0;
        for cut in cuts.iter().copied().chain([content.len()]) {
            let cut = cut.clamp(from, content.len());
            framer.feed(Bytes::copy_from_slice(&content[from..cut]), &mut events);
            from = cut;
        }
        framer.finish(true, &mut events);
        assert_eq!(framer.settled(), content.len() as u64);
        events
            .into_iter()
            .map(|event| match event.payload {
                Payload::Json(text) | Payload::Text(text) => {
                    (event.offset, String::from_utf8_lossy(&text).into_owned())
                }
                Payload::Fault(fault) => {
                    (event.offset, format!("{}:{}", fault.kind, fault.clipped.unwrap().length))
                }
            })
            .collect()
    }

    fn texts(codec: Codec, content: &str) -> Vec<String> {
        frame(codec, 1000, content.as_bytes(), &[]).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn lines() {
        assert_eq!(texts(Codec::Ndjson, "{\"a\":1}\r\n\n  2 \n\u{feff}"), ["{\"a\":1}", "2", "\u{feff}"]);
        assert_eq!(texts(Codec::Text, "a b \r\n\n c"), ["a b ", "", " c"]);
        assert_eq!(frame(Codec::Ndjson, 99, b"\xef\xbb\xbf1\n 2", &[]), [(3, "1".into()), (6, "2".into())]);
    }

    #[test]
    fn documents_and_array_elements() {
        assert_eq!(
            texts(Codec::Json, "[1, {\"a\": [2, \"]\"]} ,\n\"x\\\"]\"]"),
            ["1", "{\"a\": [2, \"]\"]}", "\"x\\\"]\""]
        );
        assert_eq!(
            texts(Codec::Json, "{\n\"a\": 1\n}\n{}  true 3\n[[4]]"),
            ["{\n\"a\": 1\n}", "{}", "true", "3", "[4]"]
        );
        assert_eq!(texts(Codec::Json, ""), Vec::<String>::new());
        assert_eq!(texts(Codec::Json, "[]"), Vec::<String>::new());
    }

    #[test]
    fn an_oversize_line_is_hashed_and_skipped() {
        let content = format!("1\n{}\n2\n", "x".repeat(5000));
        for cuts in [vec![], vec![100, 2000, 4000], vec![5001, 5002]] {
            let events = frame(Codec::Ndjson, 1000, content.as_bytes(), &cuts);
            assert_eq!(events, [(0, "1".into()), (2, "line_too_long:5000".into()), (5003, "2".into())]);
        }
    }

    #[test]
    fn a_tail_waits_for_the_end_of_its_line() {
        let mut framer = Framer::new(Codec::Ndjson, 1000, 0, false);
        let mut events = Vec::new();
        framer.feed(Bytes::from_static(b"1\n{\"a\":"), &mut events);
        framer.finish(false, &mut events);
        assert_eq!((events.len(), framer.settled()), (1, 2));
    }

    proptest! {
        /// Chunks never change what is cut, nor where a restart may begin.
        #[test]
        fn chunking_changes_nothing(
            content in "([\\[\\]{},:\" \n\\\\a0]|\"[a\\]\\[]{0,3}\"){0,40}",
            cuts in proptest::collection::vec(0_usize..80, 0..6),
            max in 1_usize..30,
        ) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            for codec in [Codec::Ndjson, Codec::Json, Codec::Text] {
                let whole = frame(codec, max, content.as_bytes(), &[]);
                let pieces = frame(codec, max, content.as_bytes(), &cuts);
                prop_assert_eq!(whole, pieces);
            }
        }
    }
}
