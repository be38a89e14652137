//! What the tests of the real binary share.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::must_use_candidate,
    clippy::new_without_default,
    reason = "each test file takes what it needs"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A temporary folder with pipeline files and what they read and write.
pub struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    pub fn new() -> Self {
        Workspace { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, making its folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Appends to a file.
    pub fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(content.as_ref()).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn lines(&self, name: &str) -> Vec<String> {
        self.read(name).lines().map(str::to_owned).collect()
    }

    /// The binary, in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jaquard"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("JAQUARD_LOG")
            .env_remove("JAQUARD_TESTKIT")
            .env("XDG_STATE_HOME", self.path("state-home"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        Finished::of(&self.command(arguments).output().unwrap())
    }

    /// Runs the binary to its end on some input.
    pub fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]> + Send) -> Finished {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // the process may end before it has read everything
            scope.spawn(move || drop(stdin.write_all(input.as_ref())));
            Finished::of(&child.wait_with_output().unwrap())
        })
    }

    /// Starts the binary with its log in a file.
    pub fn start(&self, arguments: &[&str], log: &str) -> Child {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.path(log)).unwrap();
        self.command(arguments).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// Waits until a file holds so many lines.
    pub fn wait_for_lines(&self, name: &str, count: usize) {
        let started = Instant::now();
        loop {
            let lines =
                fs::read(self.path(name)).map_or(0, |content| content.split(|b| *b == b'\n').count() - 1);
            if lines >= count {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "{name} has {lines} lines, expected {count}"
            );
            pause(Duration::from_millis(5));
        }
    }

    /// Waits until a file holds a text.
    pub fn wait_for_text(&self, name: &str, text: &str) {
        let started = Instant::now();
        while !fs::read_to_string(self.path(name)).unwrap_or_default().contains(text) {
            assert!(started.elapsed() < Duration::from_secs(30), "{name} does not say {text:?}");
            pause(Duration::from_millis(5));
        }
    }
}

/// A process that has ended.
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    fn of(output: &Output) -> Self {
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test unless the process ended with this code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "standard error:\n{}", self.stderr);
        self
    }

    /// A column of a source's ledger line.
    #[track_caller]
    pub fn ledger(&self, source: &str, column: &str) -> u64 {
        let line = self
            .stderr
            .lines()
            .find(|line| line.starts_with(&format!("ledger {source}:")))
            .unwrap_or_else(|| panic!("no ledger of {source} in:\n{}", self.stderr));
        let value = line.split(' ').find_map(|word| word.strip_prefix(&format!("{column}="))).unwrap();
        value.parse().unwrap()
    }
}

/// Sends a signal to a process.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Lets time pass. The tests that need it kill processes at random moments or poll a file.
pub fn pause(time: Duration) {
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

/// A small deterministic random generator.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The repository's folder.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
