//! Writing a program with `jaquard jq`: findings below the outputs, excerpts of what failed, and
//! everything anew at each save.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use support::Workspace;

const MAPPING: &str = r#"{ class_uid: 0, category_uid: 0, activity_id: 99, activity_name: .what, type_uid: 99,
  severity_id: .level, time: 1741678863000, metadata: { version: "1.9.0", product: { name: "door" } } }
"#;

#[test]
fn findings_stand_below_the_output_that_they_are_about() {
    let space = Workspace::new();
    space.write("door.jq", MAPPING);
    let events = "{\"what\":\"opened\",\"level\":1}\n{\"what\":\"forced\",\"level\":17}\n";
    for ocsf in ["--ocsf", "--ocsf=1.9.0"] {
        let finished = space.run_with_input(&["jq", "-c", "-f", "door.jq", ocsf], events).expect_code(1);
        assert_eq!(finished.stdout.lines().count(), 2);
        assert_eq!(
            finished.stderr,
            "ocsf: error attribute_enum_value_unknown .severity_id: 17 is none of the enum: \
             0, 1, 2, 3, 4, 5, 6, 99\n"
        );
    }
    let finished = space.run_with_input(&["jq", "-f", "door.jq", "--ocsf=1.7.0"], events).expect_code(64);
    assert_eq!(finished.stderr, "error: OCSF 1.7.0 is not built in, only 1.8.0 and 1.9.0\n");
    let valid = space.run_with_input(&["jq", "-c", "-f", "door.jq", "--ocsf"], &events[..27]).expect_code(0);
    assert_eq!(valid.stderr, "");
}

#[test]
fn what_fails_is_shown_where_it_stands_in_the_file() {
    let space = Workspace::new();
    space.write("main.jq", "import \"lib\" as lib;\n.a |\n\tlib::plus_one\n");
    space.write("lib.jq", "def plus_one:\n  . + 1;\n");
    let finished =
        space.run_with_input(&["jq", "-c", "-f", "main.jq"], "{\"a\":1}{\"a\":\"x\"}").expect_code(1);
    assert_eq!(finished.stdout, "2\n");
    assert_eq!(
        finished.stderr,
        "error: input at byte 7: lib.jq:2:3: string (\"x\") and number (1) cannot be added \
         (at .a of the event: \"x\")\n  |\n2 |   . + 1;\n  |   ^\n"
    );
}

/// A command that goes on, and the lines that it prints.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(space: &Workspace, arguments: &[&str]) -> Self {
        let mut child =
            space.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let errors = sender.clone();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        std::thread::spawn(move || {
            BufReader::new(err).lines().map_while(Result::ok).for_each(|line| drop(errors.send(line)));
        });
        Watching { child, lines }
    }

    /// Waits for a line that holds a text.
    fn sees(&self, text: &str) -> String {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("{text:?} never came"));
            if line.contains(text) {
                return line;
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_save_of_the_program_a_module_or_an_input_runs_it_again() {
    let space = Workspace::new();
    space.write("main.jq", "import \"lib\" as lib; .a | lib::double");
    space.write("lib.jq", "def double: . * 2;");
    space.write("in.ndjson", "{\"a\":21}\n");
    let watching = Watching::start(&space, &["jq", "-c", "-f", "main.jq", "in.ndjson", "--watch", "--ocsf"]);
    watching.sees("42");
    watching.sees("ocsf: error");
    space.write("lib.jq", "def double: . * 20;");
    watching.sees("420");
    space.write("in.ndjson", "{\"a\":3}\n");
    watching.sees("60");
    // an editor may put a new file in its place, and what is saved may be wrong
    space.write("main.jq.new", "import \"lib\" as lib; .a | lib::duble");
    std::fs::rename(space.path("main.jq.new"), space.path("main.jq")).unwrap();
    watching.sees("duble");
    space.write("main.jq", "\"mended\"");
    watching.sees("mended");
}

#[test]
fn standard_input_cannot_be_read_again() {
    let space = Workspace::new();
    let finished = space.run(&["jq", ".", "--watch"]).expect_code(64);
    assert_eq!(
        finished.stderr,
        "error: --watch needs files of events: standard input can be read only once\n"
    );
}

#[test]
fn a_module_that_is_broken_or_missing_at_first_is_waited_for() {
    let space = Workspace::new();
    space.write(
        "main.jq",
        "import \"late\" as late; import \"wrong\" as wrong; .a | late::double | wrong::again",
    );
    space.write("lib/wrong.jq", "def again: . + nosuch;");
    space.write("in.ndjson", "{\"a\":21}\n");
    let watching =
        Watching::start(&space, &["jq", "-c", "-f", "main.jq", "-L", "lib", "in.ndjson", "--watch"]);
    watching.sees("no module `late`");
    space.write("late.jq", "def double: . * 2;");
    watching.sees("undefined function `nosuch/0`");
    space.write("lib/wrong.jq", "def again: . + 1000;");
    watching.sees("1042");
}

#[test]
fn what_a_link_leads_to_is_watched() {
    let space = Workspace::new();
    space.write("real/map.jq", "\"first\"");
    space.write("real/in.ndjson", "1\n");
    for name in ["map.jq", "in.ndjson"] {
        std::os::unix::fs::symlink(space.path("real").join(name), space.path(name)).unwrap();
    }
    let watching = Watching::start(&space, &["jq", "-c", "-f", "map.jq", "in.ndjson", "--watch"]);
    watching.sees("first");
    space.write("real/map.jq", ". + 5");
    watching.sees("6");
    space.write("real/in.ndjson", "10\n");
    watching.sees("15");
}

#[test]
fn errors_name_the_argument_and_the_file() {
    let space = Workspace::new();
    let finished = space.run(&["jq", "-n", "--argjson", "x", "{", "$x"]).expect_code(64);
    assert!(finished.stderr.starts_with("error: the value of x is no JSON: "), "{}", finished.stderr);
    space.write("folder/a.json", "{\"a\":1}{\"a\":\"x\"}");
    space.write("folder/b.json", "{\"a\":2}");
    let finished = space.run(&["jq", ".", "folder"]).expect_code(74);
    assert!(finished.stderr.starts_with("error: cannot read folder: "), "{}", finished.stderr);
    let finished = space.run(&[
        "jq",
        "-c",
        ".a | if . == 1 then . else error(\"no\") end",
        "folder/a.json",
        "folder/b.json",
    ]);
    let finished = finished.expect_code(1);
    assert_eq!(
        finished.stderr,
        "error: input at byte 7 of folder/a.json: program:1:28: no\n\
         error: input at byte 0 of folder/b.json: program:1:28: no\n"
    );
    let finished = space.run(&["jq", ".a | error(\"no\")", "folder/b.json"]).expect_code(1);
    assert_eq!(finished.stderr, "error: input at byte 0: program:1:6: no\n");
}

#[test]
fn what_events_say_does_not_paint_the_terminal() {
    let space = Workspace::new();
    let program = "error(\"\\u001b[31m\" + .a)";
    let finished = space.run_with_input(&["jq", program], "{\"a\":\"\\u009b\\u0007x\"}").expect_code(1);
    assert_eq!(finished.stderr, "error: input at byte 0: program:1:1: \\u001b[31m\\u009b\\u0007x\n");
    let raw = space.run_with_input(&["jq", "-r", ".a"], "{\"a\":\"\\u001bx\"}").expect_code(0);
    assert_eq!(raw.stdout, "\u{1b}x\n", "data stays as it is");
}
