//! Errors and warnings of a configuration, each with its place and the way out.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A text that diagnostics point into.
#[derive(Debug)]
pub struct SourceFile {
    /// Path as it is shown.
    pub shown: String,
    /// Path as it is opened.
    pub path: PathBuf,
    /// Content.
    pub text: String,
    /// Content as it may be shown: literal secrets are masked, lengths kept.
    masked: String,
}

impl SourceFile {
    /// Takes a file's content.
    pub fn new(path: &Path, text: String) -> Arc<Self> {
        Arc::new(SourceFile {
            shown: path.display().to_string(),
            path: path.to_path_buf(),
            masked: mask_secrets(&text),
            text,
        })
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The pipeline cannot run.
    Error,
    /// It can, and should be mended.
    Warning,
}

/// One finding.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The text it is about.
    pub file: Arc<SourceFile>,
    /// The bytes it is about.
    pub span: Range<usize>,
    /// What is wrong: one lowercase sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(file: &Arc<SourceFile>, span: Range<usize>, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            file: file.clone(),
            span,
            message: message.into(),
            help: None,
        }
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The finding as text: message, `file:line:column`, the line with a marker, and the help.
    pub fn render(&self, colour: bool) -> String {
        let text = &self.file.masked;
        let start = floor_char(text, self.span.start);
        let end = floor_char(text, self.span.end).max(start);
        let snippet = Snippet::source(text.as_str())
            .path(self.file.shown.as_str())
            .annotation(AnnotationKind::Primary.span(start..end));
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level.primary_title(self.message.as_str()).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.decor_style(DecorStyle::Ascii).render(&[group])
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The known name nearest to a wrong one, if one is near enough to be meant.
pub fn nearest<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let length = wrong.chars().count();
    // comparing takes the product of both lengths, and nobody misspells a name as long as that
    if length > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| {
            *distance <= (length.max(name.chars().count()) / 3).max(1)
                || (length >= 4 && name.contains(wrong))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Parts of option names whose literal values are never shown.
const SECRET_NAMES: [&str; 7] =
    ["password", "secret", "token", "private_key", "api_key", "credential", "authorization"];

/// Whether a literal value of this option must not be shown.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    // a misspelt name is an unknown option, and its value a secret all the same
    // `value` is what a key in a header or a query is called
    name == "value"
        || SECRET_NAMES
            .iter()
            .any(|secret| name.contains(secret) || strsim::damerau_levenshtein(&name, secret) <= 2)
}

/// Replaces literal values of options with a secret's name by asterisks of the same length.
///
/// It works on the text and not on the parsed tree, so that it also holds for a file that does not
/// parse. Values that are tables (a value from outside) stay: they hold names, not secrets.
fn mask_secrets(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut in_block: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        if let Some(quote) = in_block {
            let end = line.find(quote);
            push_masked(&mut masked, &line[..end.unwrap_or(line.len())]);
            if let Some(end) = end {
                masked.push_str(&line[end..]);
                in_block = None;
            }
            continue;
        }
        let mut spans = Vec::new();
        for (at, _) in line.match_indices('=') {
            let name = line[..at].trim_end().trim_end_matches(['"', '\'']);
            let name_start = name
                .char_indices()
                .rfind(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
                .map_or(0, |(before, c)| before + c.len_utf8());
            if !is_secret_name(&name[name_start..]) {
                continue;
            }
            let value = at + 1 + (line[at + 1..].len() - line[at + 1..].trim_start().len());
            let rest = &line[value..];
            let block = [r#"""""#, "'''"].into_iter().find(|quote| rest.starts_with(quote));
            let end = if let Some(quote) = block {
                match rest[3..].find(quote) {
                    Some(end) => 3 + end,
                    None => {
                        in_block = Some(quote);
                        rest.len()
                    }
                }
            } else {
                match rest.chars().next() {
                    Some(quote @ ('"' | '\'')) => {
                        let inner = &rest[1..];
                        let closing = inner
                            .char_indices()
                            .find(|(at, c)| *c == quote && (quote == '\'' || !inner[..*at].ends_with('\\')));
                        closing.map_or(rest.len(), |(at, _)| at + 1)
                    }
                    None | Some('{' | '[') => continue,
                    Some(_) => rest.find([',', '}', '\n']).unwrap_or(rest.len()),
                }
            };
            let opening = rest.len() - rest.trim_start_matches(['"', '\'']).len();
            spans.push(value + opening.min(end)..value + end);
        }
        let mut done = 0;
        for span in spans {
            if span.start < done {
                continue;
            }
            masked.push_str(&line[done..span.start]);
            push_masked(&mut masked, &line[span.clone()]);
            done = span.end;
        }
        masked.push_str(&line[done..]);
    }
    masked
}

/// Appends asterisks for text, byte for byte; line breaks stay.
fn push_masked(out: &mut String, text: &str) {
    for c in text.chars() {
        if matches!(c, '\n' | '\r') {
            out.push(c);
        } else {
            out.extend(std::iter::repeat_n('*', c.len_utf8()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_in_place() {
        let text = "a = \"shown\"\npassword = \"hidden\" # c\nauth = { type = \"digest\", private_key = 'hid\"den', public_key = \"shown\" }\n\
                    token = { env = \"NAME\" }\nclient_secret = \"\"\"\nhidden\nmore\"\"\"\nb = 1\nsecret = \"hidden\n";
        let masked = mask_secrets(text);
        assert_eq!(masked.len(), text.len());
        assert!(!masked.contains("hid"), "{masked}");
        assert!(!masked.contains("more"), "{masked}");
        assert_eq!(masked.matches("shown").count(), 2);
        assert!(masked.contains("env = \"NAME\""));
        assert!(masked.contains("b = 1\n"));
        assert!(masked.contains("# c\n"));
    }

    #[test]
    fn letters_beyond_ascii_before_a_value_do_no_harm() {
        let text = "é=1\n# ü password = \"hidden\"\nétoken='hidden'\n";
        let masked = mask_secrets(text);
        assert_eq!(masked.len(), text.len());
        assert!(!masked.contains("hidden"), "{masked}");
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("pth", ["path", "codec"]), Some("path"));
        assert_eq!(nearest("conditon", ["condition", "inputs"]), Some("condition"));
        assert_eq!(nearest("zzz", ["path", "codec"]), None);
    }
}
