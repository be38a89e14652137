//! Text to program: files and modules are loaded, names resolved, and every error has its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::engine::{self, Code, Loaded, Missing, Sites, Undefined};
use super::syntax::{self, Span, What};
use super::value::Val;
use super::{modules, run};

/// Name of the program itself among the files of a [`CompileError`].
pub const MAIN: &str = "";

/// Bytes of a program's file.
const MAX_TEXT: usize = 4 << 20;

/// A compiled program. Shared by all workers, each of which makes its own code of it.
pub struct Program {
    files: Vec<Loaded>,
    /// Shown path and text of each file.
    texts: Vec<(String, String)>,
    /// Variables besides `$meta` and `$args`.
    names: Vec<String>,
    /// Variables that each run is given, in the place of `$meta`.
    given: Option<Vec<String>>,
    /// Whether the program is `.`, so that text can pass as it is.
    pub(super) is_identity: bool,
    /// Made when coverage is first asked for.
    sites: OnceLock<Sites>,
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

/// A place in a program, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Shown path of the module, or [`MAIN`].
    pub file: String,
    /// From one.
    pub line: usize,
    /// From one, in characters.
    pub column: usize,
}

/// Compiles a program whose modules are searched from `folder`, then in `library`.
pub fn compile(code: &str, folder: &Path, library: &[PathBuf]) -> Compiled {
    compile_with(code, folder, library, &[])
}

/// Compiles a program that also has the variables `names`, each with its `$`.
pub fn compile_with(code: &str, folder: &Path, library: &[PathBuf], names: &[String]) -> Compiled {
    // what handles the tree recurses; a thread with a known stack makes that safe
    run::with_stack(|| compile_here(code, folder, library, names, None))
}

/// Compiles a program that has, in the place of `$meta`, variables whose values each run is given.
pub fn compile_given(code: &str, folder: &Path, library: &[PathBuf], given: &[&str]) -> Compiled {
    let given = given.iter().map(|name| (*name).to_owned()).collect();
    run::with_stack(|| compile_here(code, folder, library, &[], Some(given)))
}

fn compile_here(
    code: &str,
    folder: &Path,
    library: &[PathBuf],
    names: &[String],
    given: Option<Vec<String>>,
) -> Compiled {
    let mut loader = Loader {
        folder,
        library,
        texts: Vec::new(),
        files: Vec::new(),
        by_path: BTreeMap::new(),
        errors: Vec::new(),
    };
    loader.load(MAIN.to_owned(), code.to_owned(), false);
    if !loader.errors.is_empty() {
        return Err(loader.errors);
    }
    let files: Option<Vec<Loaded>> = loader.files.into_iter().collect();
    let program = Program {
        files: files.unwrap_or_default(),
        texts: loader.texts,
        names: names.iter().map(|name| name.trim_start_matches('$').to_owned()).collect(),
        given,
        is_identity: code.trim() == ".",
        sites: OnceLock::new(),
    };
    match program.lower(None, None) {
        Ok(_) => Ok(Arc::new(program)),
        Err(undefined) => Err(undefined.iter().map(|undefined| program.describe(undefined)).collect()),
    }
}

struct Loader<'a> {
    folder: &'a Path,
    library: &'a [PathBuf],
    texts: Vec<(String, String)>,
    files: Vec<Option<Loaded>>,
    by_path: BTreeMap<String, usize>,
    errors: Vec<CompileError>,
}

impl Loader<'_> {
    fn error(&mut self, number: usize, span: Span, message: String, help: Option<String>) {
        let (file, text) = self.texts[number].clone();
        self.errors.push(CompileError { file, text, span: span.range(), message, help });
    }

    /// Loads a file and what it imports; its number.
    fn load(&mut self, path: String, text: String, is_module: bool) -> usize {
        let number = self.texts.len();
        self.by_path.insert(path.clone(), number);
        self.texts.push((path.clone(), text));
        self.files.push(None);
        let text = &self.texts[number].1;
        if text.len() > MAX_TEXT {
            let message = format!("a program of more than {} MiB", MAX_TEXT >> 20);
            self.error(number, Span::default(), message, None);
            return number;
        }
        let tree = match syntax::parse(text, is_module) {
            Ok(tree) => tree,
            Err(error) => {
                self.error(number, error.span, error.message, error.help);
                return number;
            }
        };
        let mut imports = Vec::with_capacity(tree.imports.len());
        for import in &tree.imports {
            if matches!(import.what, What::Data) {
                let help = "give the data in `args` and read it from `$args`".to_owned();
                self.error(number, import.span, "data files cannot be imported".to_owned(), Some(help));
                continue;
            }
            if import.has_meta {
                let help = "name the folder in `library`".to_owned();
                self.error(number, import.span, "search metadata is not supported".to_owned(), Some(help));
                continue;
            }
            match modules::read(&import.path, &path, self.folder, self.library) {
                Ok((text, found)) => match self.by_path.get(&found) {
                    Some(known) if self.files[*known].is_some() => imports.push(*known),
                    Some(_) => {
                        let message = format!("module `{}` imports itself", import.path);
                        self.error(number, import.span, message, None);
                    }
                    None => imports.push(self.load(found, text, true)),
                },
                Err((message, help)) => self.error(number, import.span, message, help),
            }
        }
        self.files[number] = Some(Loaded { tree, imports });
        number
    }
}

impl Program {
    /// Code for one thread. With arguments they are constants of it; without, it only shows whether
    /// all names mean something. With sites it counts how often they are reached.
    pub(super) fn lower(
        &self,
        args: Option<(&Val, &[Val])>,
        sites: Option<&Sites>,
    ) -> Result<Code, Vec<Undefined>> {
        let mut variables = vec![("ENV", Val::record([]))];
        variables.push(("args", args.map_or(Val::Null, |(args, _)| args.clone())));
        for (at, name) in self.names.iter().enumerate() {
            let value = args.and_then(|(_, values)| values.get(at)).cloned().unwrap_or(Val::Null);
            variables.push((name, value));
        }
        engine::lower(&self.files, &variables, self.given.as_deref(), sites)
    }

    /// What coverage of it and its modules is about.
    pub(super) fn sites(&self) -> &Sites {
        self.sites.get_or_init(|| Sites::of(&self.files))
    }

    /// Shown path and text of each of its files, by number; its own path is [`MAIN`].
    pub(super) fn texts(&self) -> &[(String, String)] {
        &self.texts
    }

    /// Paths of the modules that were read from files.
    pub fn module_files(&self) -> impl Iterator<Item = &str> {
        let paths = self.texts.iter().map(|(path, _)| path.as_str());
        paths.filter(|path| *path != MAIN && !path.starts_with(modules::BUILT_IN_PREFIX))
    }

    /// The program for the other engine.
    pub(super) fn for_jaq(&self) -> Result<super::jaq::Program, String> {
        if self.files.len() > 1 {
            return Err("the program has modules, which only jaquard's own engine loads".to_owned());
        }
        let names = ["ENV", "meta", "args"].into_iter().chain(self.names.iter().map(String::as_str));
        super::jaq::Program::compile(&self.texts[0].1, &names.collect::<Vec<_>>())
    }

    /// Where a place of its code stands.
    pub(super) fn position(&self, place: engine::Place) -> Option<Position> {
        let (file, text) = self.texts.get(place.file as usize)?;
        let before = text.get(..place.span.start as usize)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some(Position {
            file: file.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        })
    }

    fn describe(&self, undefined: &Undefined) -> CompileError {
        let (file, text) = self.texts.get(undefined.place.file as usize).cloned().unwrap_or_default();
        let (message, help) = describe(&undefined.what, self.given.as_deref());
        CompileError { file, text, span: undefined.place.span.range(), message, help }
    }
}

fn describe(missing: &Missing, given: Option<&[String]>) -> (String, Option<String>) {
    match missing {
        Missing::Function(name, arity) => {
            if matches!((name.as_str(), arity), ("input" | "inputs", 0)) {
                let help = "a program sees one event as `.`; there is no other input";
                return (format!("undefined function `{name}`"), Some(help.to_owned()));
            }
            if let Some((module, _)) = name.split_once("::") {
                let help = format!("`{module}` is what an `import … as {module};` would bind");
                return (format!("undefined function `{name}/{arity}`"), Some(help));
            }
            let known = engine::known_functions();
            let arities: Vec<_> = known.iter().filter(|(this, _)| this == name).map(|(_, n)| *n).collect();
            if !arities.is_empty() {
                let forms: Vec<_> = arities.iter().map(|n| format!("{name}/{n}")).collect();
                let message = format!("`{name}` takes no {arity} arguments");
                return (message, Some(format!("there is {}", forms.join(", "))));
            }
            let help = crate::config::nearest(name, known.iter().map(|(name, _)| *name))
                .map(|near| format!("did you mean `{near}`?"));
            (format!("undefined function `{name}/{arity}`"), help)
        }
        Missing::Variable(name) => {
            let shown = format!("${name}");
            let known: Vec<String> = match given {
                None => vec!["$meta".to_owned(), "$args".to_owned()],
                Some(given) => given.iter().map(|name| format!("${name}")).chain(["$args".into()]).collect(),
            };
            let help = crate::config::nearest(&shown, known.iter().map(String::as_str)).map_or_else(
                || format!("this program has {}, and what it binds with `as`", known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            (format!("undefined variable `{shown}`"), Some(help))
        }
        Missing::Label(name) => (
            format!("`break ${name}` is outside of a `label ${name}`"),
            Some(format!("write `label ${name} | …` around it")),
        ),
        Missing::Format(name) => {
            let known = engine::FORMATS;
            let help = crate::config::nearest(name, known.iter().copied()).map_or_else(
                || format!("there are @{}", known.join(", @")),
                |near| format!("did you mean `@{near}`?"),
            );
            (format!("undefined format `@{name}`"), Some(help))
        }
        Missing::Room => (
            "the program is too large".to_owned(),
            Some("put tables into `args`, and split it into several transforms".to_owned()),
        ),
        Missing::Key(shown) => (
            format!("Cannot use {shown} as object key"),
            Some("keys are strings; `tostring` makes one".to_owned()),
        ),
    }
}
