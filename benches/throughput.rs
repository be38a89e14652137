//! End-to-end throughput of the release binary, beside the `jaq` command line if it is installed.
//!
//! `cargo bench` prints, for each job: events and megabytes a second, CPU seconds, peak memory, and
//! the ratio of CPU and of wall time to `jaq -c` running the same program on the same file in the
//! same run. `JAQUARD_BENCH_EVENTS` sets the number of events (default 500,000); `JAQ` names the
//! peer's binary.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a program for people")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Measured {
    wall: f64,
    cpu: f64,
    peak_kib: u64,
}

fn main() {
    let events: u64 =
        std::env::var("JAQUARD_BENCH_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(500_000);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let data = make_data(&folder, events);
    let megabytes = fs::metadata(&data).unwrap().len() as f64 / 1e6;
    println!("{events} events, {megabytes:.0} MB, {:.0} bytes an event", megabytes * 1e6 / events as f64);
    let jaq = find_jaq();
    if jaq.is_none() {
        println!("no `jaq` found: ratios are left out");
    }

    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/programs");
    let read = |name: &str| fs::read_to_string(programs.join(name)).unwrap();
    let jobs = [
        ("passthrough", None, ".".to_owned()),
        (
            "filter",
            Some(".raw.severity == \"ERROR\"".to_owned()),
            "select(.raw.severity == \"ERROR\")".to_owned(),
        ),
        ("small map", None, read("map.jq")),
        ("OCSF-sized map", None, read("ocsf.jq")),
    ];
    println!(
        "job | path | events/s | MB/s | CPU s | µs CPU/event | peak MiB | CPU ratio jaq/ours | wall ours/jaq"
    );
    println!("---|---|---|---|---|---|---|---|---");
    for (name, condition, program) in &jobs {
        let peer = jaq.as_ref().map(|jaq| {
            let out = File::create(folder.join("peer.ndjson")).unwrap();
            measure(Command::new(jaq).arg("-c").arg(program).arg(&data).stdout(out))
        });
        for (path, reads_stdin, sink) in
            [("stdin → file", true, "file"), ("file → blackhole", false, "blackhole")]
        {
            let pipeline = write_pipeline(&folder, condition.as_deref(), program, reads_stdin, sink, &data);
            let mut command = Command::new(env!("CARGO_BIN_EXE_jaquard"));
            command.args(["run", "-q", "--fresh"]).arg(&pipeline);
            if reads_stdin {
                command.stdin(File::open(&data).unwrap());
            }
            let ours = measure(&mut command);
            let ratios = peer.as_ref().map_or_else(String::new, |peer| {
                format!("{:.2} | {:.2}", peer.cpu / ours.cpu, ours.wall / peer.wall)
            });
            println!(
                "{name} | {path} | {:.0} | {:.0} | {:.2} | {:.2} | {:.1} | {ratios}",
                events as f64 / ours.wall,
                megabytes / ours.wall,
                ours.cpu,
                ours.cpu * 1e6 / events as f64,
                ours.peak_kib as f64 / 1024.0,
            );
            let _ = fs::remove_file(folder.join("out.ndjson"));
        }
        if let Some(peer) = &peer {
            println!(
                "{name} | jaq -c | {:.0} | {:.0} | {:.2} | {:.2} | {:.1} | |",
                events as f64 / peer.wall,
                megabytes / peer.wall,
                peer.cpu,
                peer.cpu * 1e6 / events as f64,
                peer.peak_kib as f64 / 1024.0
            );
        }
    }
    start_up(&folder);
    let size = fs::metadata(env!("CARGO_BIN_EXE_jaquard")).unwrap().len();
    println!("binary: {:.1} MB", size as f64 / 1e6);
}

/// Time from the start of the process to its first event on standard output.
fn start_up(folder: &Path) {
    let pipeline = folder.join("start.toml");
    let text = "data_dir = \"state\"\n[sources.in]\ntype = \"generate\"\ncount = 1\n[transforms.map]\ntype = \"jq\"\ninputs = [\"in\"]\nprogram = '{id}'\n[sinks.out]\ntype = \"console\"\ninputs = [\"map\"]\n";
    fs::write(&pipeline, text).unwrap();
    let mut times: Vec<f64> = (0..20)
        .map(|_| {
            let started = Instant::now();
            let mut child = Command::new(env!("CARGO_BIN_EXE_jaquard"))
                .args(["run", "-q", "--fresh"])
                .arg(&pipeline)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut line = String::new();
            std::io::BufRead::read_line(
                &mut std::io::BufReader::new(child.stdout.take().unwrap()),
                &mut line,
            )
            .unwrap();
            let elapsed = started.elapsed().as_secs_f64() * 1e3;
            child.wait().unwrap();
            elapsed
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("start-up to first event: median {:.1} ms, worst of 20 {:.1} ms", times[10], times[19]);
}

fn make_data(folder: &Path, events: u64) -> PathBuf {
    let data = folder.join("events.ndjson");
    let pipeline = folder.join("make.toml");
    let text = format!(
        "data_dir = \"make\"\n[sources.in]\ntype = \"generate\"\ncount = {events}\n[sinks.out]\ntype = \"file\"\ninputs = [\"in\"]\npath = \"events.ndjson\"\n"
    );
    fs::write(&pipeline, text).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_jaquard"))
        .args(["run", "-q", "--fresh"])
        .arg(&pipeline)
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    data
}

fn write_pipeline(
    folder: &Path,
    condition: Option<&str>,
    program: &str,
    reads_stdin: bool,
    sink: &str,
    data: &Path,
) -> PathBuf {
    let source = if reads_stdin {
        "type = \"stdin\"".to_owned()
    } else {
        format!("type = \"file\"\npaths = [{:?}]", data.display().to_string())
    };
    let (transform, input) = match (condition, program) {
        (Some(condition), _) => (
            format!("[transforms.t]\ntype = \"filter\"\ninputs = [\"in\"]\ncondition = '{condition}'\n"),
            "t",
        ),
        (None, ".") => (String::new(), "in"),
        (None, program) => {
            (format!("[transforms.t]\ntype = \"jq\"\ninputs = [\"in\"]\nprogram = '''\n{program}'''\n"), "t")
        }
    };
    let target = if sink == "file" { "path = \"out.ndjson\"\n" } else { "" };
    let text = format!(
        "data_dir = \"state\"\n[sources.in]\n{source}\n{transform}[sinks.out]\ntype = \"{sink}\"\ninputs = [\"{input}\"]\n{target}"
    );
    let path = folder.join("pipeline.toml");
    fs::write(&path, text).unwrap();
    path
}

fn find_jaq() -> Option<PathBuf> {
    let named = std::env::var_os("JAQ").map(PathBuf::from);
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|folder| folder.join("jaq")).find(|jaq| jaq.is_file())
    });
    named.or(on_path)
}

/// Runs a command to its end; CPU time from the system's accounts, memory by looking on.
fn measure(command: &mut Command) -> Measured {
    let started = Instant::now();
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut peak_kib = 0;
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    let cpu = loop {
        peak_kib = peak_kib.max(peak(&child));
        if let Some(cpu) = cpu_of_ended(&child) {
            break cpu;
        }
        let _ = never.recv_timeout(Duration::from_millis(2));
    };
    let wall = started.elapsed().as_secs_f64();
    assert!(child.wait().unwrap().success());
    Measured { wall, cpu, peak_kib }
}

fn peak(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// CPU seconds of a process that has ended and is not waited for yet.
fn cpu_of_ended(child: &Child) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    if fields.first() != Some(&"Z") {
        return None;
    }
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    Some((ticks(11) + ticks(12)) / 100.0)
}
