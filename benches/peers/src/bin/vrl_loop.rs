//! VRL as a library in the smallest loop that uses it: `vrl_loop PROGRAM.vrl OUT < events.ndjson`.
//!
//! One thread: parse a line, run the program on it, write what became of the event. An `abort` drops
//! the event, as Vector does with `drop_on_abort`; any other error of a program ends the run, because
//! a peer that fails events would be measured for work it has not done.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use jaquard_peers::{Out, each_line, invalid};
use vrl::compiler::runtime::{Runtime, Terminate};
use vrl::compiler::{Program, TargetValue, TimeZone};
use vrl::diagnostic::Formatter;
use vrl::value::{ObjectMap, Secrets, Value};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, out] = &arguments[..] else {
        eprintln!("usage: vrl_loop PROGRAM.vrl OUT < events.ndjson");
        return ExitCode::from(2);
    };
    match compile(Path::new(program)).and_then(|program| run(&program, Path::new(out))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vrl_loop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compile(path: &Path) -> io::Result<Program> {
    let source = std::fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    vrl::compiler::compile(&source, &vrl::stdlib::all())
        .map(|compiled| compiled.program)
        .map_err(|problems| io::Error::other(Formatter::new(&source, problems).to_string()))
}

fn run(program: &Program, out: &Path) -> io::Result<()> {
    let mut runtime = Runtime::default();
    let mut target = TargetValue {
        value: Value::Null,
        metadata: Value::Object(ObjectMap::new()),
        secrets: Secrets::new(),
    };
    let mut number = 0;
    let mut out = Out::create(out)?;
    each_line(
        &mut out,
        |out, line| {
            number += 1;
            target.value = sonic_rs::from_slice(line).map_err(|error| invalid(number, error))?;
            let outcome = runtime.resolve(&mut target, program, &TimeZone::default());
            runtime.clear();
            match outcome {
                Ok(_) => {
                    sonic_rs::to_writer(&mut out.buffer, &target.value).map_err(io::Error::other)?;
                    out.buffer.push(b'\n');
                    Ok(())
                }
                Err(Terminate::Abort(_)) => Ok(()),
                Err(error) => Err(invalid(number, error)),
            }
        },
        Out::flush_if_large,
    )?;
    out.finish()
}
