#!/usr/bin/env python3
"""Measures jaquard beside its peers: the same jobs on the same events, interleaved in rounds.

Prints Markdown. See README.md beside this file.
"""

import argparse
import itertools
import json
import os
import platform
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAMS = HERE.parent / "programs"
TRANSFORMS = ROOT / "transforms"

# how the runs for the scaling table are called
WORKERS = {1: "1 worker", 2: "2 workers"}

# enough to meet every branch of the mappings
SAMPLE = 1000

# CPU seconds an event; where it costs more, some thousands of events hide the start of a process
DEAR = 50e-6


class Failed(Exception):
    """Ends the run with a message."""


@dataclass(frozen=True)
class Job:
    """One piece of work, as each peer words it."""

    shape: str
    # the jq program: a file, or text
    program: Path | str
    vrl: str
    # the condition of jaquard's filter, and what `bare` is told to do; None: not its job
    condition: str | None = None
    bare: tuple[str, ...] | None = None
    # the version of OCSF that jaquard's transform validates its events by; its peers validate nothing
    ocsf: str | None = None


ATLAS = "mongodb_atlas/organization_events"
ATLASSIAN = "atlassian/organization_events"
SHIPPED = TRANSFORMS / "mongodb_atlas/organization_events.ocsf.jq"
JOBS = {
    "passthrough": Job(ATLAS, ".", "passthrough", bare=()),
    "filter": Job(
        ATLAS,
        'select(.raw.severity == "ERROR")',
        "filter",
        condition='.raw.severity == "ERROR"',
        bare=("--filter", "raw.severity", "ERROR"),
    ),
    "map6": Job(ATLAS, PROGRAMS / "map.jq", "map6"),
    "oscf": Job(ATLAS, TRANSFORMS / "mongodb_atlas/organization_events.oscf.jq", "oscf"),
    "ocsf_shipped": Job(ATLAS, SHIPPED, "atlas_organization_events"),
    # the same mapping, and what comes of it validated: VRL has no way to do that
    "ocsf_validated": Job(ATLAS, SHIPPED, "atlas_organization_events", ocsf="1.8.0"),
    "ocsf_atlas": Job(ATLAS, PROGRAMS / "ocsf.jq", "ocsf_atlas"),
    # the same mapping as before: VRL has one way of pruning
    "ocsf_naive": Job(ATLAS, PROGRAMS / "ocsf_naive.jq", "ocsf_atlas"),
    "ocsf_atlassian": Job(ATLASSIAN, PROGRAMS / "ocsf_atlassian.jq", "ocsf_atlassian"),
}


@dataclass(frozen=True)
class Run:
    """A command; it reads `data` from standard input, or names it among its arguments."""

    argv: list[str]
    from_stdin: bool = True
    # standard output is the result
    to_stdout: bool = False


class Jaquard:
    def __init__(self, binary, workers=None):
        self.binary, self.workers = binary, workers

    def run(self, job, data, out):
        lines = [f"data_dir = {quoted(out.parent / 'state')}"]
        if self.workers:
            lines.append(f"workers = {self.workers}")
        lines += ["[sources.in]", 'type = "stdin"']
        last = "t"
        if job.condition:
            lines += ["[transforms.t]", 'type = "filter"', 'inputs = ["in"]']
            lines.append(f"condition = {quoted(job.condition)}")
        elif job.program == ".":
            last = "in"
        else:
            lines += ["[transforms.t]", 'type = "jq"', 'inputs = ["in"]', f"file = {quoted(job.program)}"]
            lines.append(f"library = [{quoted(TRANSFORMS / 'lib')}]")
            if job.ocsf:
                lines.append(f"validate = {{ ocsf = {quoted(job.ocsf)} }}")
        lines += ["[sinks.out]", 'type = "file"', f'inputs = ["{last}"]', f"path = {quoted(out)}"]
        return Run([self.binary, "run", "-q", "--fresh", write(out.parent / "pipeline.toml", lines)])


class Bare:
    def __init__(self, binary):
        self.binary = binary

    def run(self, job, data, out):
        return None if job.bare is None else Run([self.binary, str(out), *job.bare])


class VrlLoop:
    def __init__(self, binary):
        self.binary = binary

    def run(self, job, data, out):
        return Run([self.binary, str(HERE / "vrl" / f"{job.vrl}.vrl"), str(out)])


class Jq:
    """`jq` and `jaq`: one command line."""

    def __init__(self, binary):
        self.binary = binary

    def run(self, job, data, out):
        argv = [self.binary, "-c", "-L", str(TRANSFORMS / "lib"), "--argjson", "args", "{}"]
        argv += ["-f", str(job.program)] if isinstance(job.program, Path) else [job.program]
        return Run([*argv, str(data)], from_stdin=False, to_stdout=True)


class Vector:
    def __init__(self, binary):
        self.binary = binary

    def run(self, job, data, out):
        lines = [
            f"data_dir = {quoted(out.parent)}",
            # without it the source adds fields of its own to each event
            "schema.log_namespace = true",
            "[sources.in]",
            'type = "stdin"',
            'decoding.codec = "json"',
        ]
        last = "in"
        if job.vrl != "passthrough":
            lines += ["[transforms.t]", 'type = "remap"', 'inputs = ["in"]']
            lines += [f"file = {quoted(HERE / 'vrl' / f'{job.vrl}.vrl')}", "drop_on_abort = true"]
            last = "t"
        lines += ["[sinks.out]", 'type = "file"', f'inputs = ["{last}"]']
        lines += [f"path = {quoted(out)}", 'encoding.codec = "json"']
        return Run([self.binary, "--quiet", "--config", write(out.parent / "vector.toml", lines)])


@dataclass
class Measured:
    """Of one run, per event where that makes sense; of several, the best of each."""

    cpu: float
    wall: float
    peak: float

    def best(self, other):
        return Measured(min(self.cpu, other.cpu), min(self.wall, other.wall), min(self.peak, other.peak))


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="peers-", dir=options.folder) as folder:
        folder = Path(folder)
        peers, notes = find_peers(options)
        for name in peers:
            if isinstance(peers[name], (Jq, Vector)) or name == "jaquard":
                print(f"- {name}: {version(peers[name].binary)}")
        for note in notes:
            print(f"- {note}")
        measured, spread, shares = measure_all(options, peers, folder)
    report(options, peers, measured, spread, shares)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--jaquard", default=ROOT / "target/release/jaquard", help="jaquard's release binary")
    add("--events", type=int, default=500_000, help="events of a run (default: 500000)")
    add("--rounds", type=int, default=5, help="rounds; the best counts (default: 5)")
    add("--jobs", help=f"of {','.join(JOBS)} (default: all)")
    add("--peers", help="of bare,vrl_loop,jaq,jq,vector (default: all that are there)")
    add("--scaling", action=argparse.BooleanOptionalAction, default=True, help="1 worker against 2")
    add("--seconds", type=float, default=5, help="CPU time of a run where events are dear (default: 5)")
    add("--folder", help="for events and results, on a real disk (default: the system's temporary one)")
    options = parser.parse_args()
    if options.events < SAMPLE or options.rounds < 1 or options.seconds <= 0:
        raise Failed(f"at least {SAMPLE} events, one round, and some seconds")
    options.jobs = listed(options.jobs, JOBS, "job")
    return options


def listed(text, known, kind):
    names = list(known) if text is None else text.split(",")
    for name in names:
        if name not in known:
            raise Failed(f"there is no {kind} `{name}`; there are {', '.join(known)}")
    return names


def find_peers(options):
    """jaquard and every peer that is there; a line for each that is not."""
    jaquard = shutil.which(options.jaquard)
    if not jaquard:
        raise Failed(f"no jaquard at {options.jaquard}: `cargo build --release`, or name it with --jaquard")
    built = Path(os.environ.get("CARGO_TARGET_DIR") or HERE / "target") / "release"
    build = "cargo build --release in benches/peers builds it"
    places = {
        "bare": (Bare, built / "bare", build),
        "vrl_loop": (VrlLoop, built / "vrl_loop", build),
        "jaq": (Jq, os.environ.get("JAQ", "jaq"), "put it on the PATH, or name it in JAQ"),
        "jq": (Jq, os.environ.get("JQ", "jq"), "put it on the PATH, or name it in JQ"),
        "vector": (Vector, "vector", "put it on the PATH"),
    }
    peers, notes = {"jaquard": Jaquard(str(Path(jaquard).resolve()))}, []
    for name in listed(options.peers, places, "peer"):
        kind, place, hint = places[name]
        if binary := shutil.which(place):
            peers[name] = kind(binary)
        elif options.peers:
            raise Failed(f"no {name} at `{place}`: {hint}")
        else:
            notes.append(f"no {name} found, left out: {hint}")
    if options.scaling:
        for workers, name in WORKERS.items():
            peers[name] = Jaquard(peers["jaquard"].binary, workers)
    return peers, notes


def version(binary):
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    return said.strip() or "unknown version"


def measure_all(options, peers, folder):
    """Checks every peer on a sample, then runs all in rounds: {(job, peer): Measured}."""
    data = {}
    for name in options.jobs:
        shape = JOBS[name].shape
        if shape not in data:
            data[shape] = make_data(peers["jaquard"].binary, shape, options.events, folder)
    plan, shares = {}, {}
    for job, peer in itertools.product(options.jobs, peers):
        events = check(job, peer, peers, data, folder, options)
        if peer in WORKERS.values():
            # jaquard with jaquard is compared on the same events
            events = plan[job, "jaquard"]
        elif events and events < options.events:
            shares.setdefault(job, []).append(f"{peer} {events}")
        if events:
            plan[job, peer] = events
    best, worst = {}, {}
    for number in range(options.rounds):
        for (job, peer), events in plan.items():
            progress(f"round {number + 1} of {options.rounds}: {job}, {peer}")
            lines = first_lines(data[JOBS[job].shape], events)
            one = run(peers[peer], JOBS[job], lines, folder)
            one.cpu, one.wall = one.cpu / events, one.wall / events
            best[job, peer] = one.best(best.get((job, peer), one))
            worst[job, peer] = max(one.cpu, worst.get((job, peer), 0))
    progress("")
    return best, {at: worst[at] / best[at].cpu - 1 for at in best}, shares


def make_data(jaquard, shape, events, folder):
    data = folder / f"{shape.replace('/', '-')}.ndjson"
    progress(f"making {events} events {shape}")
    lines = [f"data_dir = {quoted(folder / 'made')}", "[sources.in]", 'type = "generate"']
    lines += [f"shape = {quoted(shape)}", f"count = {events}"]
    lines += ["[sinks.out]", 'type = "file"', 'inputs = ["in"]', f"path = {quoted(data)}"]
    made = Run([jaquard, "run", "-q", "--fresh", write(folder / "make.toml", lines)], from_stdin=False)
    execute(made, None, None)
    progress("")
    print(f"- {events} events {shape}, {data.stat().st_size / events:.0f} bytes each")
    return data


def check(job, peer, peers, data, folder, options):
    """Lets a peer do its job on a sample. The number of events it is measured with; 0 if it has not
    the job, or does not do it right."""
    progress(f"check: {job}, {peer}")
    lines = first_lines(data[JOBS[job].shape], SAMPLE)
    expected = folder / f"{job}.expected"
    try:
        sample = run(peers[peer], JOBS[job], lines, folder, keep=folder / "sample")
    except Failed as failure:
        if peer == "jaquard":
            raise
        progress("")
        print(f"- {peer} left out of {job}: {failure}")
        return 0
    if sample is None:
        return 0
    if peer == "jaquard":
        (folder / "sample").replace(expected)
    elif values(folder / "sample") != values(expected):
        progress("")
        print(f"- {peer} left out of {job}: its result differs from jaquard's")
        return 0
    events, cost = options.events, sample.cpu / SAMPLE
    if cost > DEAR:
        # or is it the start: a long program takes a while to compile
        start = run(peers[peer], JOBS[job], first_lines(data[JOBS[job].shape], 1), folder)
        cost = (sample.cpu - start.cpu) / SAMPLE
    if cost > DEAR:
        while events > SAMPLE and cost * events > options.seconds:
            events //= 2
    return max(events, SAMPLE)


def values(path):
    """The events of a file, comparable: neither the order of lines and keys counts nor how a number
    is written."""

    def number(text):
        value = float(text)
        return int(value) if value.is_integer() else value

    with path.open(encoding="utf-8") as lines:
        return sorted(json.dumps(json.loads(line, parse_float=number), sort_keys=True) for line in lines)


def first_lines(data, events):
    """The file, or one with its first lines."""
    part = data.with_suffix(f".{events}")
    if not part.exists():
        with data.open("rb") as lines, part.open("wb") as out:
            out.writelines(itertools.islice(lines, events))
    return part


def run(peer, job, data, folder, keep=None):
    """One run, from a clean folder; None if the job is not the peer's."""
    place = folder / "run"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    out = place / "out.ndjson"
    command = peer.run(job, data, out)
    if command is None:
        return None
    # what earlier runs wrote is not to be written back during this one
    os.sync()
    one = execute(command, data, out)
    if not out.exists():
        raise Failed("it wrote nothing")
    if keep:
        out.replace(keep)
    return one


def execute(command, data, out):
    with tempfile.TemporaryFile() as errors:
        stdin = data.open("rb") if command.from_stdin else None
        stdout = out.open("wb") if command.to_stdout else None
        try:
            begin = time.perf_counter()
            child = subprocess.Popen(
                command.argv,
                stdin=stdin or subprocess.DEVNULL,
                stdout=stdout or subprocess.DEVNULL,
                stderr=errors,
            )
            try:
                peak = watch(child.pid)
            except BaseException:
                child.kill()
                raise
            wall = time.perf_counter() - begin
            _, status, usage = os.wait4(child.pid, 0)
        finally:
            for stream in filter(None, (stdin, stdout)):
                stream.close()
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    name = Path(command.argv[0]).name
    # jq goes on after a failed event, and tells of the last one only
    if child.returncode or (command.to_stdout and said):
        raise Failed(f"{name} ended with {child.returncode}: {said[0][:200] if said else 'no message'}")
    return Measured(usage.ru_utime + usage.ru_stime, wall, peak / 1024)


def watch(pid):
    """Waits for the end of a process. Its peak memory in KiB, looked up now and then: the system's
    account of it begins with the memory of this runner."""
    peak, process = 0, os.pidfd_open(pid)
    try:
        ended = False
        while not ended:
            with open(f"/proc/{pid}/status", encoding="utf-8") as status:
                marks = [int(line.split()[1]) for line in status if line.startswith("VmHWM:")]
            peak = max([peak, *marks])
            ended = select.select([process], [], [], 0.01)[0]
    finally:
        os.close(process)
    return peak


def report(options, peers, measured, spread, shares):
    shown = [peer for peer in peers if not isinstance(peers[peer], Jaquard) or peers[peer].workers is None]
    for job, fewer in shares.items():
        print(f"- fewer events of {job}: {', '.join(fewer)}")
    print(f"- {platform.machine()}, {os.cpu_count()} cores, best of {options.rounds} rounds; ", end="")
    print(f"CPU between rounds differed by up to {max(spread.values()) * 100:.0f} %")

    compared = [peer for peer in ("bare", "vrl_loop", "jaq", "vector") if peer in shown]
    print("\nCPU µs an event\n")
    table(["job", *shown, *(f"jaquard/{peer}" for peer in compared)])
    for job in options.jobs:
        ours = measured[job, "jaquard"].cpu
        costs = [cell(measured, job, peer, lambda one: f"{one.cpu * 1e6:.2f}") for peer in shown]
        ratios = [cell(measured, job, peer, lambda one: f"{ours / one.cpu:.2f}") for peer in compared]
        row([job, *costs, *ratios])

    print("\nWall µs an event, and peak MiB\n")
    table(["job", *shown])
    for job in options.jobs:
        pair = lambda one: f"{one.wall * 1e6:.2f}, {one.peak:.0f}"
        both = (cell(measured, job, peer, pair) for peer in shown)
        row([job, *both])

    if options.scaling:
        print("\nEvents a second by workers of jaquard\n")
        table(["job", "1 worker", "2 workers", "speed-up", "CPU of 2 / CPU of 1"])
        for job in options.jobs:
            one, two = (measured[job, name] for name in WORKERS.values())
            rates = [f"{1 / one.wall:.0f}", f"{1 / two.wall:.0f}"]
            row([job, *rates, f"{one.wall / two.wall:.2f}", f"{two.cpu / one.cpu:.2f}"])


def table(heads):
    row(heads)
    row(["---"] + ["---:"] * (len(heads) - 1))


def row(cells):
    print(f"| {' | '.join(cells)} |")


def cell(measured, job, peer, text):
    return text(measured[job, peer]) if (job, peer) in measured else "–"


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def quoted(text):
    """A TOML string; JSON writes it the same way."""
    return json.dumps(str(text), ensure_ascii=False)


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    # a long run is watched through a pipe too
    sys.stdout.reconfigure(line_buffering=True)
    try:
        main()
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
