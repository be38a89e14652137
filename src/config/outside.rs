//! Values from outside: `{ env = "NAME" }`, `{ file = "path" }`, `{ command = ["prog", "arg"] }`
//! in the place of a scalar or a list.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How long a command may take.
const COMMAND_TIME: Duration = Duration::from_secs(10);

/// What a value from outside may hold at the most.
const MAX_VALUE: u64 = 1 << 20;

/// What to do about values from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutsideMode {
    /// Get them all: `run`.
    Resolve,
    /// Get environment and files, run no command: `validate`.
    WithoutCommands,
    /// The same, and an absent one is no error: `validate --allow-missing`.
    AllowMissing,
}

/// What an outside table asks for.
pub(super) enum Outside<'a> {
    Env { name: &'a str, default: Option<&'a Spanned<DeValue<'a>>> },
    File(&'a str),
    Command(Vec<&'a str>),
}

/// Why a value from outside is not there.
#[derive(Debug)]
pub enum Absent {
    /// It is, by design, not looked up in this mode, or missing ones are allowed.
    Skipped,
    /// A message and the way out.
    Missing(String, String),
}

/// Reads a table as a value from outside, if it is one: exactly the known members.
pub(super) fn recognise<'a>(table: &'a DeTable<'a>) -> Option<Outside<'a>> {
    let get = |name: &str| table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value);
    let text = |name: &str| get(name).and_then(|value| value.get_ref().as_str());
    match table.len() {
        1 => {
            if let Some(name) = text("env") {
                return Some(Outside::Env { name, default: None });
            }
            if let Some(path) = text("file") {
                return Some(Outside::File(path));
            }
            let words = get("command")?.get_ref().as_array()?;
            let words: Option<Vec<&str>> = words.iter().map(|word| word.get_ref().as_str()).collect();
            words.filter(|words| !words.is_empty()).map(Outside::Command)
        }
        2 => Some(Outside::Env { name: text("env")?, default: Some(get("default")?) }),
        _ => None,
    }
}

/// Gets the value. `Ok(None)` means: take the default.
pub(super) fn get(outside: &Outside<'_>, folder: &Path, mode: OutsideMode) -> Result<Option<String>, Absent> {
    let missing = |message: String, help: &str| {
        Err(match mode {
            OutsideMode::AllowMissing => Absent::Skipped,
            _ => Absent::Missing(message, help.to_owned()),
        })
    };
    match outside {
        Outside::Env { name, default } => match std::env::var(name) {
            Ok(value) => Ok(Some(trim_newline(value))),
            Err(_) if default.is_some() => Ok(None),
            Err(std::env::VarError::NotPresent) => missing(
                format!("the environment variable `{name}` is not set"),
                "set it, or give a `default`",
            ),
            Err(std::env::VarError::NotUnicode(_)) => {
                missing(format!("the environment variable `{name}` is not UTF-8"), "set it to text")
            }
        },
        Outside::File(path) => {
            let path = folder.join(path);
            let read = || {
                let mut text = String::new();
                std::fs::File::open(&path)?.take(MAX_VALUE).read_to_string(&mut text)?;
                Ok::<_, std::io::Error>(text)
            };
            match read() {
                Ok(text) => Ok(Some(trim_newline(text))),
                Err(error) => missing(
                    format!("cannot read {}: {error}", path.display()),
                    "a relative path is resolved from the folder of the pipeline file",
                ),
            }
        }
        Outside::Command(_) if mode != OutsideMode::Resolve => Err(Absent::Skipped),
        Outside::Command(words) => match run_command(words, folder) {
            Ok(text) => Ok(Some(trim_newline(text))),
            Err(message) => missing(
                format!("the command `{}` {message}", words[0]),
                "it is run without a shell, in the folder of the pipeline file, for 10 s at the most",
            ),
        },
    }
}

fn trim_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

pub(crate) fn run_command(words: &[&str], folder: &Path) -> Result<String, String> {
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .current_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("did not start: {error}"))?;
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.take(MAX_VALUE).read_to_end(&mut bytes);
            // the receiver may have given up
            let _ = sender.send(read.map(|_| bytes));
        });
    }
    let output = receiver.recv_timeout(COMMAND_TIME);
    if output.is_err() {
        // it may have ended by itself in the meantime
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("cannot be waited for: {error}"))?;
    match output {
        Err(_) => Err(format!("took longer than {} s", COMMAND_TIME.as_secs())),
        Ok(Err(error)) => Err(format!("cannot be read: {error}")),
        Ok(Ok(_)) if !status.success() => Err(format!("failed: {status}")),
        Ok(Ok(bytes)) => String::from_utf8(bytes).map_err(|_| "printed no UTF-8".to_owned()),
    }
}
