//! What a component's own check works with: errors at its options, programs compiled in place.

use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::jq::{self, CompileError, Limits, Template, TemplateError};

use super::diagnostic::{Diagnostic, SourceFile};
use super::walk::{OptionSpan, Walker, is_secret};

/// Where the options of a file stand.
#[derive(Debug, Clone)]
pub struct Options {
    file: Arc<SourceFile>,
    spans: std::collections::BTreeMap<String, OptionSpan>,
}

impl Options {
    /// The places that a walker saw.
    pub fn of(walker: &Walker<'_>, file: &Arc<SourceFile>) -> Self {
        Options { file: file.clone(), spans: walker.spans.clone() }
    }

    /// The place of an option's name.
    pub fn key(&self, path: &str) -> Option<Range<usize>> {
        self.spans.get(path).map(|span| span.key.clone())
    }

    /// The place of an option's value.
    pub fn value(&self, path: &str) -> Option<Range<usize>> {
        self.spans.get(path).map(|span| span.value.clone())
    }

    /// Where byte 0 of an option's text stands in the file, if the text stands there as it is.
    pub(crate) fn text_start(&self, path: &str, text: &str) -> Option<usize> {
        let span = self.spans.get(path)?;
        if span.outside || is_secret(path) {
            return None;
        }
        let raw = self.file.text.get(span.value.clone())?;
        let quotes = ["'''", "\"\"\"", "'", "\""].into_iter().find(|quote| raw.starts_with(quote))?;
        let mut start = quotes.len();
        if quotes.len() == 3 {
            // a line break right after the opening quotes is not part of the text
            start += usize::from(raw[start..].starts_with('\r'));
            start += usize::from(raw[start..].starts_with('\n'));
        }
        raw[start..].starts_with(text).then_some(span.value.start + start)
    }
}

/// Context of the check of one component. Pure but for reading the files that options name.
#[derive(Debug)]
pub struct Check<'a> {
    /// Name of the component.
    pub name: &'a str,
    /// Folder of the pipeline file.
    pub folder: &'a Path,
    /// Limits that hold for the component.
    pub limits: &'a Limits,
    /// Whether the run is `--once`.
    pub once: bool,
    /// `sources`, `transforms` or `sinks`, a slash, and the name.
    pub path: String,
    /// Place of the component's header.
    pub header: Range<usize>,
    /// Places of the options.
    pub options: &'a Options,
    /// Findings.
    pub diagnostics: &'a mut Vec<Diagnostic>,
}

impl Check<'_> {
    /// Reports an error at an option; at the component's header if the option is not written.
    pub fn error(&mut self, option: &str, message: impl Into<String>, help: impl Into<Option<String>>) {
        let path = format!("{}/{option}", self.path);
        let span = self.options.value(&path).unwrap_or_else(|| self.header.clone());
        self.diagnostics.push(Diagnostic::error(&self.options.file, span, message).help(help));
    }

    /// Reports an error about the component as a whole.
    pub fn error_here(&mut self, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.diagnostics.push(Diagnostic::error(&self.options.file, self.header.clone(), message).help(help));
    }

    /// A path of an option, resolved from the folder of the pipeline file.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        resolve(self.folder, path)
    }

    /// Compiles the program written in an option.
    pub fn program(&mut self, option: &str, code: &str, library: &[PathBuf]) -> Option<Arc<jq::Program>> {
        match jq::compile(code, self.folder, library) {
            Ok(program) => Some(program),
            Err(errors) => {
                self.program_errors(option, code, errors);
                None
            }
        }
    }

    /// Compiles the program written in an option, whose variables each run is given.
    pub fn program_given(
        &mut self,
        option: &str,
        code: &str,
        library: &[PathBuf],
        given: &[&str],
    ) -> Option<Arc<jq::Program>> {
        match jq::compile_given(code, self.folder, library, given) {
            Ok(program) => Some(program),
            Err(errors) => {
                self.program_errors(option, code, errors);
                None
            }
        }
    }

    /// Compiles the template written in an option.
    pub fn template(&mut self, option: &str, body: &str) -> Option<Template> {
        match Template::compile(body, self.folder, &[]) {
            Ok(template) => Some(template),
            Err(TemplateError::Unclosed(at)) => {
                let path = format!("{}/{option}", self.path);
                let message = "an interpolation `\\(` is never closed";
                match self.options.text_start(&path, body) {
                    Some(start) => {
                        let span = start + at..start + at + 2;
                        self.diagnostics.push(Diagnostic::error(&self.options.file, span, message));
                    }
                    None => self.error(option, message, None),
                }
                None
            }
            Err(TemplateError::Program(errors)) => {
                self.program_errors(option, body, errors);
                None
            }
        }
    }

    /// Compiles the program in a file that an option names.
    pub fn program_file(
        &mut self,
        option: &str,
        path: &Path,
        library: &[PathBuf],
    ) -> Option<Arc<jq::Program>> {
        let path = self.resolve(path);
        let code = match std::fs::read_to_string(&path) {
            Ok(code) => code,
            Err(error) => {
                self.error(
                    option,
                    format!("cannot read the program {}: {error}", path.display()),
                    Some("a relative path is resolved from the folder of the pipeline file".to_owned()),
                );
                return None;
            }
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        match jq::compile(&code, &folder, library) {
            Ok(program) => Some(program),
            Err(errors) => {
                let file = SourceFile::new(&path, code);
                for error in errors {
                    let file = if error.file == jq::MAIN {
                        file.clone()
                    } else {
                        SourceFile::new(Path::new(&error.file), error.text)
                    };
                    self.diagnostics
                        .push(Diagnostic::error(&file, error.span, error.message).help(error.help));
                }
                None
            }
        }
    }

    fn program_errors(&mut self, option: &str, code: &str, errors: Vec<CompileError>) {
        let path = format!("{}/{option}", self.path);
        for error in errors {
            let diagnostic = if error.file != jq::MAIN {
                let file = SourceFile::new(Path::new(&error.file), error.text);
                Diagnostic::error(&file, error.span, error.message)
            } else if let (Some(start), true) = (self.options.text_start(&path, code), error.text == code) {
                let span = start + error.span.start..start + error.span.end;
                Diagnostic::error(&self.options.file, span, error.message)
            } else {
                let (line, column) = line_and_column(&error.text, error.span.start);
                let span = self.options.value(&path).unwrap_or_else(|| self.header.clone());
                let message = format!("{} (line {line}, column {column} of the program)", error.message);
                Diagnostic::error(&self.options.file, span, message)
            };
            self.diagnostics.push(diagnostic.help(error.help));
        }
    }
}

/// A path of the pipeline file, resolved from its folder, without `.` in between.
pub(crate) fn resolve(folder: &Path, path: &Path) -> PathBuf {
    let resolved: PathBuf =
        folder.join(path).components().filter(|part| *part != Component::CurDir).collect();
    if resolved.as_os_str().is_empty() { PathBuf::from(".") } else { resolved }
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}
