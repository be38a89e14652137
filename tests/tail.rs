//! Following files through growth and rotation; cursors by content.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod support;

use std::fs;
use std::io::Write as _;

use support::{Workspace, signal};

const TAIL: &str = r#"
data_dir = "state"
commit = { interval = "20ms" }
[sources.logs]
type = "file"
paths = ["in/*.log*"]
mode = "tail"
codec = "text"
[sinks.out]
type = "file"
inputs = ["logs"]
path = "out.ndjson"
"#;

fn start(space: &Workspace) -> std::process::Child {
    let child = space.start(&["run", "p.toml"], "log");
    space.wait_for_text("state/lock", "process");
    child
}

/// Ends the run as a service manager would and returns the sorted events.
fn stop(space: &Workspace, mut child: std::process::Child) -> Vec<String> {
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success(), "{}", space.read("log"));
    sorted(space)
}

fn sorted(space: &Workspace) -> Vec<String> {
    let mut lines = space.lines("out.ndjson");
    lines.sort();
    lines
}

fn expected(texts: &[&str]) -> Vec<String> {
    let mut lines: Vec<_> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    lines.sort();
    lines
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn growth_and_new_files_are_followed_and_a_last_line_waits() {
    let space = Workspace::new();
    space.write("p.toml", TAIL);
    space.write("in/a.log", "a1\na2\nunfinished");
    let child = start(&space);
    space.wait_for_lines("out.ndjson", 2);
    space.append("in/a.log", " business\na4\n");
    space.write("in/b.log", "b1\n");
    space.wait_for_lines("out.ndjson", 5);
    assert_eq!(stop(&space, child), expected(&["a1", "a2", "unfinished business", "a4", "b1"]));
}

#[test]
fn rotation_by_rename_reads_each_line_once() {
    let space = Workspace::new();
    space.write("p.toml", TAIL);
    space.write("in/app.log", "1\n2\n");
    let child = start(&space);
    space.wait_for_lines("out.ndjson", 2);
    // the writer still has the old file open for a moment
    fs::rename(space.path("in/app.log"), space.path("in/app.log.1")).unwrap();
    space.append("in/app.log.1", "3\n");
    space.write("in/app.log", "4\n");
    space.wait_for_lines("out.ndjson", 4);
    fs::rename(space.path("in/app.log.1"), space.path("in/app.log.2")).unwrap();
    fs::rename(space.path("in/app.log"), space.path("in/app.log.1")).unwrap();
    space.write("in/app.log", "5\n");
    space.wait_for_lines("out.ndjson", 5);
    assert_eq!(stop(&space, child), expected(&["1", "2", "3", "4", "5"]));
}

#[test]
fn rotation_by_rename_out_of_the_globs_is_read_to_its_end() {
    let space = Workspace::new();
    space.write("p.toml", TAIL.replace("in/*.log*", "in/app.log"));
    space.write("in/app.log", "1\n");
    let child = start(&space);
    space.wait_for_lines("out.ndjson", 1);
    fs::rename(space.path("in/app.log"), space.path("in/old")).unwrap();
    space.append("in/old", "2\n");
    space.write("in/app.log", "3\n");
    space.wait_for_lines("out.ndjson", 3);
    assert_eq!(stop(&space, child), expected(&["1", "2", "3"]));
}

#[test]
fn rotation_by_copy_and_truncate_reads_each_line_once() {
    let space = Workspace::new();
    space.write("p.toml", TAIL);
    space.write("in/app.log", "1\n2\n");
    let child = start(&space);
    space.wait_for_lines("out.ndjson", 2);
    for round in 0..3 {
        space.append("in/app.log", format!("before {round}\n"));
        fs::copy(space.path("in/app.log"), space.path(&format!("in/app.log.{round}"))).unwrap();
        space.write("in/app.log", "");
        space.append("in/app.log", format!("after {round}\n"));
        space.wait_for_lines("out.ndjson", 2 + 2 * (round + 1));
    }
    let all = ["1", "2", "before 0", "after 0", "before 1", "after 1", "before 2", "after 2"];
    assert_eq!(stop(&space, child), expected(&all));
}

#[test]
fn a_compressed_rotation_is_not_read_twice_across_restarts() {
    let space = Workspace::new();
    space.write("p.toml", TAIL);
    space.write("in/app.log", "1\n2\n");
    let child = start(&space);
    space.wait_for_lines("out.ndjson", 2);
    stop(&space, child);

    // while nobody looks: one more line, then rotated and compressed
    let content = "1\n2\n3\n";
    fs::remove_file(space.path("in/app.log")).unwrap();
    space.write("in/app.log.1.gz", gzip(content));
    space.write("in/app.log.2.zst", zstd::stream::encode_all(content.as_bytes(), 0).unwrap());
    space.write("in/app.log", "4\n");
    let child = start(&space);
    space.wait_for_lines("out.ndjson", 4);
    assert_eq!(stop(&space, child), expected(&["1", "2", "3", "4"]));
}

#[test]
fn a_compressed_file_that_is_still_written_waits() {
    let space = Workspace::new();
    space.write("p.toml", TAIL);
    let packed = gzip(&"a line of some length\n".repeat(2000));
    space.write("in/a.log.gz", &packed[..packed.len() / 2]);
    space.write("in/b.log", "b\n");
    let child = start(&space);
    space.wait_for_text("out.ndjson", "\"b\"");
    space.append("in/a.log.gz", &packed[packed.len() / 2..]);
    space.wait_for_lines("out.ndjson", 2001);
    assert_eq!(stop(&space, child).len(), 2001);
}

#[test]
fn files_with_a_long_common_beginning_are_told_apart() {
    let space = Workspace::new();
    space.write("p.toml", TAIL);
    let header = "the same header in every file\n".repeat(300);
    space.write("in/a.log", format!("{header}a\n"));
    space.write("in/b.log", format!("{header}b\n"));
    let child = start(&space);
    space.wait_for_lines("out.ndjson", 602);
    // equal as far as it goes: a copy, until it differs
    space.write("in/c.log", &header);
    space.append("in/a.log", "a2\n");
    space.wait_for_lines("out.ndjson", 603);
    space.append("in/c.log", "c\n");
    space.wait_for_lines("out.ndjson", 904);
    let lines = stop(&space, child);
    for end in ["a", "a2", "b", "c"] {
        assert_eq!(lines.iter().filter(|line| **line == format!("\"{end}\"")).count(), 1, "{end}");
    }
    assert_eq!(lines.len(), 904);
}

#[test]
fn a_file_written_anew_beyond_the_old_length_is_new() {
    let space = Workspace::new();
    space.write("p.toml", TAIL);
    space.write("in/a.log", "old 1\nold 2\n");
    let child = start(&space);
    space.wait_for_lines("out.ndjson", 2);
    stop(&space, child);
    space.write("in/a.log", "new 1\nnew 2\nnew 3\nnew 4\n");
    let child = start(&space);
    space.wait_for_lines("out.ndjson", 6);
    assert_eq!(stop(&space, child), expected(&["old 1", "old 2", "new 1", "new 2", "new 3", "new 4"]));
}

#[test]
fn once_stops_at_the_size_of_the_start() {
    let space = Workspace::new();
    space.write("p.toml", TAIL);
    space.write("in/a.log", "1\n2\nrest");
    space.run(&["run", "p.toml", "--once"]).expect_code(0);
    assert_eq!(sorted(&space), expected(&["1", "2"]));
    let again = space.run(&["run", "p.toml", "--once"]).expect_code(0);
    assert_eq!(again.ledger("logs", "read"), 0);
}

#[test]
fn read_mode_ends_and_takes_up_where_it_was() {
    let space = Workspace::new();
    space.write("p.toml", TAIL.replace("mode = \"tail\"", "mode = \"read\""));
    space.write("in/a.log", "1\n2");
    space.write("in/copy.log", "1\n2");
    space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(sorted(&space), expected(&["1", "2"]));
    let again = space.run(&["run", "p.toml"]).expect_code(0);
    assert!(again.stderr.contains("nothing new"), "{}", again.stderr);
    assert!(again.stderr.contains("jaquard state p.toml --reset logs"), "{}", again.stderr);

    // renamed and grown
    fs::remove_file(space.path("in/copy.log")).unwrap();
    fs::rename(space.path("in/a.log"), space.path("in/z.log")).unwrap();
    space.append("in/z.log", "\n3\n");
    let third = space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(third.ledger("logs", "read"), 2, "an empty line and the third");
    space.run(&["state", "p.toml", "--reset", "logs"]).expect_code(0);
    let fresh = space.run(&["run", "p.toml"]).expect_code(0);
    assert_eq!(fresh.ledger("logs", "read"), 3);
}

#[test]
fn a_damaged_archive_gives_what_is_good_and_an_error_event() {
    let space = Workspace::new();
    space.write("p.toml", TAIL.replace("mode = \"tail\"", "mode = \"read\""));
    let packed = gzip(&(0..5000).map(|n| format!("line {n} {}\n", n * n)).collect::<String>());
    space.write("in/a.log.gz", &packed[..packed.len() - 2000]);
    let finished = space.run(&["run", "p.toml"]).expect_code(0);
    assert!(finished.ledger("logs", "delivered") > 100);
    assert_eq!(finished.ledger("logs", "dead_lettered"), 1);
    assert!(space.read("state/dead_letters.ndjson").contains("damaged_file"));
}

#[test]
fn ids_are_the_same_for_renamed_and_compressed_content() {
    let ids = |name: &str, bytes: &[u8]| {
        let space = Workspace::new();
        let pipeline = TAIL.replace("mode = \"tail\"", "mode = \"read\"").replace(
            "inputs = [\"logs\"]",
            "inputs = [\"id\"]\n[transforms.id]\ntype = \"jq\"\ninputs = [\"logs\"]\nprogram = '$meta.id'",
        );
        // the transform has to stand before its sink's other options end up in it
        let pipeline = pipeline
            .replace("\npath = \"out.ndjson\"\n", "\n")
            .replace("[sinks.out]", "[sinks.out]\npath = \"out.ndjson\"");
        space.write("p.toml", pipeline);
        space.write(name, bytes);
        space.run(&["run", "p.toml"]).expect_code(0);
        space.lines("out.ndjson")
    };
    let content = "same\nsame\nother\n";
    let plain = ids("in/a.log", content.as_bytes());
    assert_eq!(plain.len(), 3);
    assert_ne!(plain[0], plain[1], "equal records are told apart by their place");
    assert_eq!(plain, ids("in/renamed.log.gz", &gzip(content)));
}

#[test]
fn a_damaged_archive_does_not_hold_up_a_tail() {
    let space = Workspace::new();
    space.write("p.toml", TAIL);
    let packed = gzip(&"a line of some length\n".repeat(2000));
    space.write("in/a.log.gz", &packed[..20]);
    space.write("in/b.log.gz", &packed[..packed.len() / 2]);
    space.write("in/c.log", "c\n");
    space.run(&["run", "p.toml", "--once"]).expect_code(0);
    assert!(space.read("out.ndjson").contains("\"c\""));
}

#[test]
fn copies_that_are_there_from_the_start_are_read_once() {
    for mode in ["tail", "read"] {
        let space = Workspace::new();
        space.write("p.toml", TAIL.replace("\"tail\"", &format!("{mode:?}")));
        let content = "1\n2\n3\n";
        space.write("in/x.log", content);
        space.write("in/x.log.1", content);
        space.write("in/x.log.1.gz", gzip(content));
        space.run(&["run", "p.toml", "--once"]).expect_code(0);
        assert_eq!(sorted(&space), expected(&["1", "2", "3"]), "{mode}");
    }
}
