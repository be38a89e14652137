//! `jaquard graph`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{exit, load_all, print};
use crate::config::OutsideMode;
use crate::topology::{GraphView, NodeKind};

#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    /// The pipeline file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Form of the graph.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal.
    Text,
    /// For Markdown.
    Mermaid,
    /// For Graphviz.
    Dot,
}

pub(super) fn graph(args: &GraphArgs) -> anyhow::Result<u8> {
    let files = [args.file.clone()];
    let pipelines = match load_all(&files, OutsideMode::AllowMissing, false) {
        Ok(pipelines) => pipelines,
        Err(code) => return Ok(code),
    };
    for pipeline in pipelines {
        let view = pipeline.graph();
        print(&match args.format {
            Format::Text => text(&view),
            Format::Mermaid => mermaid(&view),
            Format::Dot => dot(&view),
        })?;
    }
    Ok(exit::DONE)
}

/// A tree from each source; a component that is read by several is spelled out once.
fn text(view: &GraphView) -> String {
    let mut out = String::new();
    let mut spelled = Vec::new();
    for (name, kind, _) in &view.nodes {
        if *kind == NodeKind::Source {
            branch(view, name, "", "", &mut spelled, &mut out);
        }
    }
    out
}

fn branch<'v>(
    view: &'v GraphView,
    name: &'v str,
    lead: &str,
    below: &str,
    spelled: &mut Vec<&'v str>,
    out: &mut String,
) {
    let Some((_, kind, type_name)) = view.nodes.iter().find(|(known, ..)| known == name) else { return };
    let kind = match kind {
        NodeKind::Source => "source",
        NodeKind::Transform => "transform",
        NodeKind::Sink => "sink",
    };
    let edges: Vec<_> = view.edges.iter().filter(|edge| edge.from == name).collect();
    let again = spelled.contains(&name) && !edges.is_empty();
    let tail = if again { ", as above" } else { "" };
    // writing into a string does not fail
    let _ = writeln!(out, "{lead}{name} ({type_name} {kind}{tail})");
    if again {
        return;
    }
    spelled.push(name);
    for (at, edge) in edges.iter().enumerate() {
        let is_last = at + 1 == edges.len();
        let label = if edge.output.is_empty() { String::new() } else { format!("{}: ", edge.output) };
        let lead = format!("{below}{} {label}", if is_last { "└─" } else { "├─" });
        let below = format!("{below}{}", if is_last { "   " } else { "│  " });
        branch(view, &edge.to, &lead, &below, spelled, out);
    }
}

fn mermaid(view: &GraphView) -> String {
    let mut out = String::from("flowchart LR\n");
    for (name, kind, type_name) in &view.nodes {
        let (open, close) = match kind {
            NodeKind::Source => ("([", "])"),
            NodeKind::Transform => ("[", "]"),
            NodeKind::Sink => ("[(", ")]"),
        };
        let _ = writeln!(out, "  {}{open}\"{name}<br/><i>{type_name}</i>\"{close}", node_id(name));
    }
    for edge in &view.edges {
        let label = if edge.output.is_empty() { String::new() } else { format!("|{}|", edge.output) };
        let _ = writeln!(out, "  {} -->{label} {}", node_id(&edge.from), node_id(&edge.to));
    }
    out
}

/// A name that is no keyword of the format and has only its letters.
fn node_id(name: &str) -> String {
    format!("n_{}", name.replace('-', "_2d"))
}

fn dot(view: &GraphView) -> String {
    let mut out = String::from("digraph pipeline {\n  rankdir=LR;\n");
    for (name, kind, type_name) in &view.nodes {
        let shape = match kind {
            NodeKind::Source => "ellipse",
            NodeKind::Transform => "box",
            NodeKind::Sink => "cylinder",
        };
        let _ = writeln!(out, "  \"{name}\" [shape={shape}, label=\"{name}\\n{type_name}\"];");
    }
    for edge in &view.edges {
        let label =
            if edge.output.is_empty() { String::new() } else { format!(" [label=\"{}\"]", edge.output) };
        let _ = writeln!(out, "  \"{}\" -> \"{}\"{label};", edge.from, edge.to);
    }
    out.push_str("}\n");
    out
}
