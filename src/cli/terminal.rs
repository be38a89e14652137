//! What people are shown.

use std::borrow::Cow;

/// A text as a terminal may have it: control characters stand as `\u001b`, so that no event moves its
/// cursor or paints it. Ends of lines and tabs stay.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            shown += &format!("\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_seen_and_do_nothing() {
        assert_eq!(visible("\u{1b}[31ma\u{9b}b\r\u{7f}\n\tc"), "\\u001b[31ma\\u009bb\\u000d\\u007f\n\tc");
        assert!(matches!(visible("plain é\n"), Cow::Borrowed(_)));
    }
}
