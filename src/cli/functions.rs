//! `jaquard functions`, and the reference page made of the same text.

use std::fmt::Write as _;

use clap::Args;

use super::{exit, print};
use crate::config::nearest;
use crate::jq::{self, DOCS, Doc};

#[derive(Debug, Args)]
pub(super) struct FunctionsArgs {
    /// A function, such as `ip_in`.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// List every function a program finds, jq's own too, as name/arity.
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

pub(super) fn functions(args: &FunctionsArgs) -> anyhow::Result<u8> {
    if args.all {
        print(&jq::names().map(|name| name + "\n").collect::<String>())?;
        return Ok(exit::DONE);
    }
    let Some(name) = &args.name else {
        let mut out = String::from("native functions beyond jq's own\n");
        let width = DOCS.iter().map(|doc| doc.name.len()).max().unwrap_or(0);
        for subject in subjects() {
            let _ = writeln!(out, "\n{subject}");
            for doc in DOCS.iter().filter(|doc| doc.subject == subject) {
                let _ = writeln!(out, "  {:width$}  {}", doc.name, first_sentence(doc.about));
            }
        }
        out.push_str("\n`jaquard functions NAME` shows one with examples; `--all` lists jq's too.\n");
        print(&out)?;
        return Ok(exit::DONE);
    };
    if let Some(doc) = DOCS.iter().find(|doc| doc.name == name) {
        print(&page(doc))?;
        return Ok(exit::DONE);
    }
    let own: Vec<String> = jq::names().filter(|known| known.split('/').next() == Some(name)).collect();
    if !own.is_empty() {
        print(&format!("{} is a function of jq 1.8; its manual describes it\n", own.join(", ")))?;
        return Ok(exit::DONE);
    }
    let near = nearest(name, DOCS.iter().map(|doc| doc.name));
    let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    eprintln!("error: there is no function `{name}`{hint}");
    Ok(exit::USAGE)
}

/// Headings in the order of the table.
fn subjects() -> Vec<&'static str> {
    let mut subjects: Vec<&str> = Vec::new();
    for doc in DOCS {
        if !subjects.contains(&doc.subject) {
            subjects.push(doc.subject);
        }
    }
    subjects
}

fn first_sentence(about: &str) -> &str {
    about.split_once(". ").map_or(about, |(first, _)| first).trim_end_matches('.')
}

fn page(doc: &Doc) -> String {
    let mut out = format!("{}\n\n{}\n", doc.usage, doc.about);
    for example in doc.examples {
        let _ = write!(
            out,
            "\n  {}\n    input   {}\n    output  {}\n",
            example.program, example.input, example.output
        );
    }
    out
}

/// The generated reference of all functions, in Markdown.
pub(super) fn reference_page() -> String {
    let mut out = String::from(
        "# Native functions\n\nWhat programs can call beyond jq's own functions. All are pure. Made from the code by \
         `cargo run --example reference`; every example is run as a test.\n",
    );
    for subject in subjects() {
        let _ = write!(out, "\n## {subject}\n");
        for doc in DOCS.iter().filter(|doc| doc.subject == subject) {
            let _ = write!(out, "\n### {}\n\n`{}`\n\n{}\n\n```text\n", doc.name, doc.usage, doc.about);
            for example in doc.examples {
                let _ = writeln!(out, "{}\n  {}\n  {}", example.program, example.input, example.output);
            }
            out.push_str("```\n");
        }
    }
    out
}
