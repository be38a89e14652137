//! Strings: short ones inline, slices of an event's text, or shared on the heap.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::doc::Doc;

/// Bytes that fit inside the value itself.
const INLINE: usize = 16;

/// Room for them. Aligned as the other forms are: a value whose bytes began right behind its tag would
/// be moved in odd pieces, which the processor cannot put together again without a stall.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Room([u8; INLINE]);

/// A UTF-8 string. Cheap to clone: none of its forms copies more than a few words.
#[derive(Clone)]
pub(in crate::jq) struct Str(Repr);

#[derive(Clone)]
enum Repr {
    Inline {
        len: u32,
        bytes: Room,
    },
    Shared(Rc<str>),
    /// Content of a string without escapes in the text of a document.
    Slice {
        doc: Rc<Doc>,
        at: u32,
        len: u32,
    },
}

impl Str {
    pub(in crate::jq) const EMPTY: Str = Str(Repr::Inline { len: 0, bytes: Room([0; INLINE]) });

    pub(in crate::jq) fn new(text: &str) -> Self {
        if text.len() <= INLINE {
            let mut bytes = [0; INLINE];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Str(Repr::Inline { len: text.len() as u32, bytes: Room(bytes) })
        } else {
            Str(Repr::Shared(Rc::from(text)))
        }
    }

    /// A slice of a document, which must lie on character boundaries of its text.
    pub(super) fn slice(doc: Rc<Doc>, at: u32, len: u32) -> Self {
        debug_assert!(doc.text_at(at, len).is_some_and(|text| std::str::from_utf8(text).is_ok()));
        Str(Repr::Slice { doc, at, len })
    }

    #[inline]
    pub(in crate::jq) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes.0[..(*len as usize).min(INLINE)],
            Repr::Shared(text) => text.as_bytes(),
            Repr::Slice { doc, at, len } => doc.text_at(*at, *len).unwrap_or_default(),
        }
    }

    #[inline]
    pub(in crate::jq) fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Shared(text) => text,
            // SAFETY: inline bytes are copied from a `str`; a document's text was validated as
            // UTF-8 before it was made, and slices of it are cut at quotes, which are ASCII.
            #[allow(unsafe_code, reason = "checking each short string again costs more than using it")]
            _ => unsafe { std::str::from_utf8_unchecked(self.as_bytes()) },
        }
    }

    pub(in crate::jq) fn len(&self) -> usize {
        match &self.0 {
            Repr::Inline { len, .. } => *len as usize,
            Repr::Shared(text) => text.len(),
            Repr::Slice { len, .. } => *len as usize,
        }
    }

    /// A short string with zeros behind its end, and its length.
    #[inline]
    pub(in crate::jq) fn as_short(&self) -> Option<(&[u8; INLINE], usize)> {
        match &self.0 {
            Repr::Inline { len, bytes } => Some((&bytes.0, *len as usize)),
            _ => None,
        }
    }

    pub(in crate::jq) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the string may stand between quotes as it is.
    pub(in crate::jq) fn is_plain(&self) -> bool {
        matches!(self.0, Repr::Slice { .. })
    }

    /// Where the string stands in the text of a document, if it is a slice of one.
    pub(in crate::jq) fn place(&self) -> Option<(&Rc<Doc>, usize)> {
        match &self.0 {
            Repr::Slice { doc, at, .. } => Some((doc, *at as usize)),
            _ => None,
        }
    }
}

/// The length and the first seven bytes of a text, as one number.
#[inline]
pub(in crate::jq) fn fingerprint(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    match text.first_chunk::<8>() {
        Some(eight) => bytes = *eight,
        None => bytes[..text.len()].copy_from_slice(text),
    }
    bytes[7] = text.len() as u8;
    u64::from_le_bytes(bytes)
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        if text.len() <= INLINE { Str::new(&text) } else { Str(Repr::Shared(Rc::from(text))) }
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Str::new(text)
    }
}

impl PartialEq for Str {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            // behind its end a short string has zeros
            (Repr::Inline { len: a, bytes: x }, Repr::Inline { len: b, bytes: y }) => a == b && x.0 == y.0,
            _ => self.len() == other.len() && self.as_bytes() == other.as_bytes(),
        }
    }
}

impl Eq for Str {}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By code points, which is the order of UTF-8 bytes.
impl Ord for Str {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
