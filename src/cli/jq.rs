//! `jaquard jq`.

use std::fs::File;
use std::io::{IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use super::ocsf::Validators;
use super::terminal::visible;
use super::watch::{Watch, clear_screen};
use super::{described, exit, print, print_diagnostics, wants_colour};
use crate::config::SourceFile;
use crate::event::{Derivation, Event, Meta, Origin, Payload, Place, TextHash, json};
use crate::jq::{self, Engine, Json, Limits, Position, Runner, WriteLimits};
use crate::sink::append_pretty;
use crate::source::framing::Framer;

/// Names of the evaluators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineName {
    /// jaquard's own.
    Jaquard,
    /// jaq-core's interpreter over the same values.
    Jaq,
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct JqArgs {
    /// The program; with -f, the first file of events.
    #[arg(value_name = "PROGRAM")]
    program: Option<String>,
    /// Files of JSON documents; standard input if there is none.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read the program from a file.
    #[arg(short = 'f', long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Print strings as they are.
    #[arg(short, long)]
    raw_output: bool,
    /// One line an output.
    #[arg(short, long)]
    compact_output: bool,
    /// Run once, on null.
    #[arg(short, long)]
    null_input: bool,
    /// Set `$NAME` and `$args.NAME` to a text.
    #[arg(long, num_args = 2, value_names = ["NAME", "VALUE"])]
    arg: Vec<String>,
    /// Set `$NAME` and `$args.NAME` to a JSON value.
    #[arg(long, num_args = 2, value_names = ["NAME", "JSON"])]
    argjson: Vec<String>,
    /// Say how the program runs, and run it on nothing.
    #[arg(long)]
    explain: bool,
    /// Which evaluator runs it: jaquard's own, or jaq's interpreter to compare with.
    #[arg(long, value_enum, default_value_t = EngineName::Jaquard)]
    engine: EngineName,
    /// Folders searched for modules.
    #[arg(short = 'L', long, value_name = "FOLDER")]
    library: Vec<PathBuf>,
    /// Check the outputs against a built-in version of OCSF; without VERSION, against the one that each
    /// names in `metadata.version`.
    #[arg(long, value_name = "VERSION", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    ocsf: Option<String>,
    /// Print everything anew whenever the program, one of its modules or an input file changes.
    #[arg(long, conflicts_with_all = ["null_input", "explain"])]
    watch: bool,
}

pub(super) fn jq(args: &JqArgs) -> anyhow::Result<u8> {
    let mut files = args.files.clone();
    let source = match (&args.from_file, &args.program) {
        (Some(path), first) => {
            files.splice(0..0, first.iter().map(PathBuf::from));
            Source::File(path)
        }
        (None, Some(code)) => Source::Argument(code),
        (None, None) => {
            eprintln!("error: give a PROGRAM, or a file with -f");
            return Ok(exit::USAGE);
        }
    };
    let validators = match &args.ocsf {
        None => None,
        Some(version) => {
            match Validators::built_in(Some(version.as_str()).filter(|version| !version.is_empty())) {
                Ok(validators) => Some(validators),
                Err(message) => {
                    eprintln!("error: {message}");
                    return Ok(exit::USAGE);
                }
            }
        }
    };
    let mut named = Map::new();
    for pair in args.arg.chunks(2) {
        named.insert(pair[0].clone(), Value::from(pair[1].as_str()));
    }
    for pair in args.argjson.chunks(2) {
        match serde_json::from_str(&pair[1]) {
            Ok(value) => drop(named.insert(pair[0].clone(), value)),
            Err(error) => {
                eprintln!("error: the value of {} is no JSON: {error}", visible(&pair[0]));
                return Ok(exit::USAGE);
            }
        }
    }
    let mut job = Job { args, source, files, named, validators };
    if !args.watch {
        return job.run().map(|done| done.code);
    }
    if job.files.is_empty() {
        eprintln!("error: --watch needs files of events: standard input can be read only once");
        return Ok(exit::USAGE);
    }
    job.watch()
}

/// Where the program stands.
#[derive(Clone, Copy)]
enum Source<'a> {
    Argument(&'a str),
    File(&'a Path),
}

/// What the command line asks for.
struct Job<'a> {
    args: &'a JqArgs,
    source: Source<'a>,
    files: Vec<PathBuf>,
    named: Map<String, Value>,
    validators: Option<Validators>,
}

/// How it went.
struct Done {
    code: u8,
    /// Files of modules that the program was made of, or that are wrong.
    modules: Vec<String>,
}

impl Job<'_> {
    /// Runs, and again after each change, until the process is stopped.
    fn watch(&mut self) -> anyhow::Result<u8> {
        let mut watch = Watch::start()?;
        let program = match self.source {
            Source::Argument(_) => Path::new(""),
            Source::File(path) => path.parent().unwrap_or(Path::new("")),
        };
        let folders: Vec<&Path> =
            std::iter::once(program).chain(self.args.library.iter().map(PathBuf::as_path)).collect();
        loop {
            for file in &self.files {
                watch.file(file);
            }
            if let Source::File(path) = self.source {
                watch.file(path);
            }
            // a module that is missing may come to be in any of them
            let searched: Vec<PathBuf> = folders.iter().filter_map(|folder| watch.folder(folder)).collect();
            clear_screen()?;
            match self.run() {
                Ok(done) => done.modules.iter().for_each(|module| watch.file(Path::new(module))),
                // a file that is just being written may be gone for a moment
                Err(error) if !super::is_broken_pipe(&error) => {
                    eprintln!("error: {}", visible(&format!("{error:#}")));
                }
                Err(error) => return Err(error),
            }
            watch.wait(|path| {
                path.extension().is_some_and(|ending| ending == "jq")
                    && path.parent().is_some_and(|folder| searched.iter().any(|known| known == folder))
            })?;
        }
    }

    /// Compiles the program and runs it on all inputs.
    fn run(&mut self) -> anyhow::Result<Done> {
        let (code, shown, folder) = match self.source {
            Source::Argument(code) => (code.to_owned(), Path::new("program"), Path::new(".")),
            Source::File(path) => {
                let code = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                (code, path, path.parent().unwrap_or(Path::new("")))
            }
        };
        let names: Vec<String> = self.named.keys().map(|name| format!("${name}")).collect();
        let values: Vec<Value> = self.named.values().cloned().collect();
        let main = SourceFile::new(shown, code);
        let program = match jq::compile_with(&main.text, folder, &self.args.library, &names) {
            Ok(program) => program,
            Err(errors) => {
                let files = errors.iter().map(|error| error.file.clone());
                let modules = files.filter(|file| file != jq::MAIN).collect();
                print_diagnostics(&described(&main, errors));
                return Ok(Done { code: exit::CONFIG, modules });
            }
        };
        let modules = program.module_files().map(str::to_owned).collect();
        let code = jq::with_stack(|| self.evaluate(program, &main, &values))?;
        Ok(Done { code, modules })
    }

    fn evaluate(
        &mut self,
        program: Arc<jq::Program>,
        main: &SourceFile,
        values: &[Value],
    ) -> anyhow::Result<u8> {
        let limits = Limits::default();
        let named = Value::Object(self.named.clone());
        let mut runner = Runner::with_vars(program, &named, values, limits.clone());
        if self.args.engine == EngineName::Jaq
            && let Err(message) = runner.use_engine(Engine::Jaq)
        {
            eprintln!("error: jaq does not take this program: {message}");
            return Ok(exit::CONFIG);
        }
        if self.args.explain {
            print(&runner.explain())?;
            return Ok(exit::DONE);
        }
        let mut session = Session {
            runner,
            bounds: WriteLimits::from(&limits),
            limits,
            args: self.args,
            main,
            names_inputs: self.files.len() > 1,
            validators: self.validators.as_mut(),
            colour: wants_colour(std::io::stdout().is_terminal()),
            failed: false,
        };
        if self.args.null_input {
            let origin = origin(Place::Stdin);
            session.event(&mut Json::from_text(Bytes::from_static(b"null")), &meta(&origin, 0))?;
        } else if self.files.is_empty() {
            session.input(std::io::stdin().lock(), Place::Stdin)?;
        } else {
            for path in &self.files {
                let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
                let place = Place::File { path: Arc::from(path.display().to_string()), identity: 0 };
                session.input(file, place)?;
            }
        }
        Ok(if session.failed { exit::LEDGER } else { exit::DONE })
    }
}

fn origin(place: Place) -> Arc<Origin> {
    Arc::new(Origin { source: Arc::from("jq"), place, ingested_at: chrono::Utc::now() })
}

fn meta(origin: &Origin, offset: u128) -> Meta<'_> {
    Meta { origin, offset, text_hash: TextHash::Known(0), derivation: Derivation::default() }
}

struct Session<'a> {
    runner: Runner,
    limits: Limits,
    bounds: WriteLimits,
    args: &'a JqArgs,
    /// The program, as errors show it.
    main: &'a SourceFile,
    /// Whether errors say which file an input is in.
    names_inputs: bool,
    validators: Option<&'a mut Validators>,
    colour: bool,
    failed: bool,
}

impl Session<'_> {
    fn input(&mut self, mut input: impl Read, place: Place) -> anyhow::Result<()> {
        let origin = origin(place);
        let mut framer = Framer::documents(1 << 30);
        let mut events = Vec::new();
        loop {
            let mut chunk = vec![0; 64 << 10];
            let read = input.read(&mut chunk).with_context(|| match &origin.place {
                Place::File { path, .. } => format!("cannot read {path}"),
                _ => "cannot read standard input".to_owned(),
            })?;
            if read == 0 {
                framer.finish(true, &mut events);
            } else {
                chunk.truncate(read);
                framer.feed(chunk.into(), &mut events);
            }
            for event in events.drain(..) {
                self.document(&event, &origin)?;
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    fn document(&mut self, event: &Event, origin: &Arc<Origin>) -> anyhow::Result<()> {
        let Payload::Json(text) = &event.payload else { return Ok(()) };
        if let Err(error) = json::validate(text, self.limits.depth) {
            self.tell(&meta(origin, event.offset), &format!(" {error}"));
            return Ok(());
        }
        self.event(&mut Json::from_text(text.clone()), &meta(origin, event.offset))
    }

    fn event(&mut self, input: &mut Json, meta: &Meta<'_>) -> anyhow::Result<()> {
        let mut outputs = Vec::new();
        let result = self.runner.run(input, Some(meta), &mut |output| {
            outputs.push(output);
            true
        });
        let mut text = Vec::new();
        for mut output in outputs {
            if self.args.raw_output
                && let Some(string) = output.as_string()
            {
                text.extend_from_slice(string.as_bytes());
            } else {
                let mut line = Vec::new();
                if let Err(error) = output.write(self.bounds, &mut line) {
                    self.tell(meta, &format!(" the output is not JSON: {error}"));
                    continue;
                }
                if self.args.compact_output {
                    text.append(&mut line);
                } else {
                    append_pretty(&line, self.colour, &mut text);
                }
            }
            text.push(b'\n');
            if let Some(validators) = &mut self.validators {
                // findings stand below the output that they are about
                std::io::stdout().lock().write_all(&text)?;
                text.clear();
                self.failed |= validators.explain(&mut output, self.colour)?;
            }
        }
        std::io::stdout().lock().write_all(&text)?;
        if let Err(error) = result {
            let place = match &error.position {
                Some(at) if at.file == jq::MAIN => {
                    format!(" {}:{}:{}:", self.main.shown, at.line, at.column)
                }
                Some(at) => format!(" {}:{}:{}:", at.file, at.line, at.column),
                None => String::new(),
            };
            self.tell(meta, &format!("{place} {error}"));
            if let (Some(at), Some(_)) = (&error.position, &self.args.from_file) {
                eprint!("{}", visible(&self.excerpt(at)));
            }
        }
        Ok(())
    }

    /// Says what is wrong with an input.
    fn tell(&mut self, meta: &Meta<'_>, what: &str) {
        let file = match &meta.origin.place {
            Place::File { path, .. } if self.names_inputs => format!(" of {path}"),
            _ => String::new(),
        };
        eprintln!("{}", visible(&format!("error: input at byte {}{file}:{what}", meta.offset)));
        self.failed = true;
    }

    /// The line of a place in the program or one of its files, and a mark below it.
    fn excerpt(&self, at: &Position) -> String {
        let text = match at.file.as_str() {
            jq::MAIN => self.main.text.clone(),
            // a built-in module is no file
            path => std::fs::read_to_string(path).unwrap_or_default(),
        };
        let Some(line) = text.lines().nth(at.line - 1) else { return String::new() };
        let margin = at.line.to_string().len();
        let shown: String = line.chars().take(200).collect();
        // tabs stay tabs, so that the mark stands below its place
        let before = line.chars().take(at.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' });
        let before: String = before.collect();
        format!("{:margin$} |\n{} | {shown}\n{:margin$} | {before}^\n", "", at.line, "")
    }
}
