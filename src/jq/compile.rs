//! Text to program: jaq's loader and compiler under our rules, and their errors with places.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jaq_core::compile::Undefined;
use jaq_core::load::{self, Arena, File, Import, Loader};
use jaq_core::{Compiler, Filter};

use super::native::{self, Kind};
use super::{modules, run};

/// Name of the program itself among the files of a [`CompileError`].
pub const MAIN: &str = "";

/// Brackets that may be open at one place of a program's text. The parser beneath recurses.
const MAX_NESTING: usize = 500;

/// Global variables, in the order in which [`super::Runner`] binds them.
const GLOBALS: [&str; 3] = ["$ENV", "$meta", "$args"];

/// A compiled program. Shared by all workers.
pub struct Program {
    pub(super) filter: Filter<Kind>,
    /// Whether the text speaks of `$meta`, which costs something to make.
    pub(super) wants_meta: bool,
    /// Whether the program is `.`, so that text can pass as it is.
    pub(super) is_identity: bool,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

/// What a compilation gives: the program or all its errors, and each file that was read.
pub type Compiled = Result<Arc<Program>, Vec<CompileError>>;

/// One error of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// Shown path of the module, or [`MAIN`].
    pub file: String,
    /// Text of that file.
    pub text: String,
    /// Bytes of `text` that the error is about.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do instead.
    pub help: Option<String>,
}

/// Compiles a program whose modules are searched from `folder`, then in `library`.
pub fn compile(code: &str, folder: &Path, library: &[PathBuf]) -> Compiled {
    compile_with(code, folder, library, &[])
}

/// Compiles a program that also has the variables `names`, each with its `$`.
pub fn compile_with(code: &str, folder: &Path, library: &[PathBuf], names: &[String]) -> Compiled {
    // the parser recurses over the text; a thread with a known stack makes that safe
    run::with_stack(|| compile_here(code, folder, library, names))
}

fn compile_here(code: &str, folder: &Path, library: &[PathBuf], names: &[String]) -> Compiled {
    let texts: RefCell<BTreeMap<String, String>> = RefCell::default();
    texts.borrow_mut().insert(MAIN.to_owned(), code.to_owned());
    let error_at = |file: &str, span: Range<usize>, message: String, help: Option<String>| {
        let text = texts.borrow().get(file).cloned().unwrap_or_default();
        CompileError { file: file.to_owned(), text, span, message, help }
    };

    if let Some(span) = too_nested(code) {
        let message = format!("brackets nested deeper than {MAX_NESTING} levels");
        return Err(vec![error_at(MAIN, span, message, None)]);
    }

    let defs = || jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let funs = || native::funs();
    let arena = Arena::default();
    let loader = Loader::new(defs()).with_read(|import: Import<'_, &str, String>| {
        if import.meta.is_some() {
            return Err("search metadata is not supported; name the folder in `library`".to_owned());
        }
        let (text, path) = modules::read(import.path, import.parent, folder, library)?;
        if too_nested(&text).is_some() {
            return Err(format!("{path}: brackets nested deeper than {MAX_NESTING} levels"));
        }
        texts.borrow_mut().insert(path.clone(), text.clone());
        Ok(File { code: text, path })
    });

    let main = File { code, path: MAIN.to_owned() };
    let loaded = loader.load(&arena, main).map_err(|errors| {
        let mut found = Vec::new();
        for (file, error) in errors {
            let at = |part: &str| span_of(file.code, part);
            match error {
                load::Error::Io(failed) => {
                    for (path, message) in failed {
                        found.push(error_at(&file.path, at(path), message, None));
                    }
                }
                load::Error::Lex(failed) => {
                    for (expected, rest) in failed {
                        let mut span = at(rest);
                        span.end = span.end.min(span.start + first_char_len(rest));
                        let message = format!("expected {} here", expected.as_str());
                        found.push(error_at(&file.path, span, message, None));
                    }
                }
                load::Error::Parse(failed) => {
                    for (expected, token) in failed {
                        let shown = match token {
                            "" => "the end of the program".to_owned(),
                            token => format!("`{token}`"),
                        };
                        let expected = match expected.as_str() {
                            "nothing" => "the end of the program",
                            expected => expected,
                        };
                        let message = format!("expected {expected}, found {shown}");
                        found.push(error_at(&file.path, at(token), message, None));
                    }
                }
            }
        }
        found
    })?;

    load::import(&loaded, |_| Err("data".to_owned())).map_err(|errors: load::Errors<&str, String>| {
        let mut found = Vec::new();
        for (file, error) in errors {
            if let load::Error::Io(failed) = error {
                for (path, _) in failed {
                    found.push(error_at(
                        &file.path,
                        span_of(file.code, path),
                        "data files cannot be imported".to_owned(),
                        Some("give the data in `args` and read it from `$args`".to_owned()),
                    ));
                }
            }
        }
        found
    })?;

    let filter = Compiler::default()
        .with_funs(funs())
        .with_global_vars(GLOBALS.into_iter().chain(names.iter().map(String::as_str)))
        .compile(loaded)
        .map_err(|errors| {
            let names = known_names(
                defs()
                    .map(|def| (def.name, def.args.len()))
                    .chain(funs().map(|(name, args, _)| (name, args.len()))),
            );
            let mut found = Vec::new();
            for (file, undefined) in errors {
                for (name, kind) in undefined {
                    let (message, help) = describe_undefined(name, &kind, &names);
                    found.push(error_at(&file.path, span_of(file.code, name), message, help));
                }
            }
            found
        })?;

    let wants_meta = texts.borrow().values().any(|text| text.contains("$meta"));
    Ok(Arc::new(Program { filter, wants_meta, is_identity: code.trim() == "." }))
}

/// Where `part`, a slice of `whole`, stands in it. Errors may speak of text that is not from the
/// file (a definition of the standard library); those point to its end.
fn span_of(whole: &str, part: &str) -> Range<usize> {
    let inside = whole.as_bytes().as_ptr_range();
    let part_range = part.as_bytes().as_ptr_range();
    if inside.start <= part_range.start && part_range.end <= inside.end {
        load::span(whole, part)
    } else {
        whole.len()..whole.len()
    }
}

fn first_char_len(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// The place where a program opens more brackets than the parser should recurse into.
///
/// Brackets in strings and comments count too: it is a bound, not a parser.
fn too_nested(code: &str) -> Option<Range<usize>> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Some(at..at + 1);
        }
    }
    None
}

type Names = BTreeMap<&'static str, Vec<usize>>;

fn known_names(all: impl Iterator<Item = (&'static str, usize)>) -> Names {
    let mut names = Names::new();
    for (name, arity) in all {
        let arities = names.entry(name).or_default();
        if !arities.contains(&arity) {
            arities.push(arity);
        }
    }
    names
}

fn describe_undefined(name: &str, kind: &Undefined, names: &Names) -> (String, Option<String>) {
    match kind {
        Undefined::Filter(arity) => {
            if matches!((name, arity), ("input" | "inputs", 0)) {
                let help = "a program sees one event as `.`; there is no other input";
                return (format!("undefined function `{name}`"), Some(help.to_owned()));
            }
            if let Some(arities) = names.get(name) {
                let mut arities = arities.clone();
                arities.sort_unstable();
                let forms: Vec<_> = arities.iter().map(|n| format!("{name}/{n}")).collect();
                return (
                    format!("`{name}` takes no {arity} arguments"),
                    Some(format!("there is {}", forms.join(", "))),
                );
            }
            let help = crate::config::nearest(name, names.keys().copied())
                .map(|near| format!("did you mean `{near}`?"));
            (format!("undefined function `{name}/{arity}`"), help)
        }
        Undefined::Var => {
            let help = crate::config::nearest(name, ["$meta", "$args"]).map_or_else(
                || "a program has `$meta` and `$args`, and what it binds with `as`".into(),
                |near| format!("did you mean `{near}`?"),
            );
            (format!("undefined variable `{name}`"), Some(help))
        }
        other => (format!("undefined {} `{name}`", other.as_str()), None),
    }
}
