//! What the readers of log formats share: cutting at a marker, and quoting input in a message.

use std::borrow::Cow;

/// Longest part of an input that a message quotes, in characters.
const EXCERPT: usize = 48;

/// The input in back quotes, as a message names it: one line, and bounded however long it is.
pub(super) fn excerpt(text: &str) -> String {
    let mut out = String::from("`");
    for (count, c) in text.chars().enumerate() {
        if count == EXCERPT {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.push('`');
    out
}

/// Splits at the first `marker` that begins a word and has a digit behind it: the text before it,
/// without the space between, and the text from that digit on.
///
/// The digit keeps a host or a message that merely names the format from being taken for its begin.
pub(super) fn split_at_marker<'a>(text: &'a str, marker: &str) -> Option<(&'a str, &'a str)> {
    text.match_indices(marker).find_map(|(at, _)| {
        let (before, rest) = (&text[..at], text[at + marker.len()..].trim_start_matches(' '));
        let begins = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        (begins && rest.starts_with(|c: char| c.is_ascii_digit())).then(|| (before.trim_end(), rest))
    })
}

/// Replaces `\x` by what `meaning` has for `x`. A backslash before anything else stays.
pub(super) fn unescape(text: &str, meaning: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\'
            && let Some(escaped) = chars.clone().next().and_then(&meaning)
        {
            out.push(escaped);
            chars.next();
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        assert_eq!(excerpt("a\nb"), r"`a\nb`");
        assert_eq!(excerpt(&"é".repeat(1 << 20)).chars().count(), EXCERPT + 3);
    }

    #[test]
    fn a_marker_begins_a_word_and_precedes_a_digit() {
        assert_eq!(split_at_marker("h CEF:0|x", "CEF:"), Some(("h", "0|x")));
        assert_eq!(split_at_marker("XCEF:0 CEF: <1>CEF:1", "CEF:"), Some(("XCEF:0 CEF: <1>", "1")));
        assert_eq!(split_at_marker("CEF:", "CEF:"), None);
        // spaces behind many markers are not looked at again and again
        assert_eq!(split_at_marker(&"CEF:".repeat(1 << 18), "CEF:"), None);
    }

    #[test]
    fn a_strange_escape_stays() {
        let meaning = |c| (c == '|').then_some('|');
        assert_eq!(unescape(r"a\|b\c\", meaning), r"a|b\c\");
        assert!(matches!(unescape("plain", meaning), Cow::Borrowed("plain")));
    }
}
