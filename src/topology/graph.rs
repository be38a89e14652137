//! Which component reads which, and whether that makes sense. Pure.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::load::Retry;
use super::validation::Validation;
use crate::config::{Diagnostic, SourceFile, nearest};
use crate::event::json::{self, JsonError};
use crate::event::{Fault, Meta};
use crate::jq::{Json, Limits};
use crate::sink::{Encoder, Sink, SinkContext, SinkError, SinkFactory};
use crate::source::{Source, SourceContext, SourceError, SourceFactory};
use crate::transform::{Outputs, Transform, TransformContext, TransformFactory};

/// A component as the file declares it, checked for itself.
pub(super) struct Declared {
    pub(super) name: Arc<str>,
    pub(super) type_name: &'static str,
    pub(super) header: Range<usize>,
    pub(super) inputs: Vec<(String, Range<usize>)>,
    pub(super) required: bool,
    pub(super) retry: Retry,
    pub(super) limits: Limits,
    pub(super) validation: Option<Arc<Validation>>,
    pub(super) part: Part,
}

/// What kind of component it is.
pub(super) enum Part {
    Source(Box<dyn SourceFactory>),
    Transform(Box<dyn TransformFactory>),
    Sink(Box<dyn SinkFactory>),
}

/// Where an output leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Transform(usize),
    /// A transform that keeps state.
    Stage(usize),
    Sink(usize),
}

/// A linked graph.
pub(super) struct Plan {
    pub(super) sources: Vec<SourceNode>,
    pub(super) transforms: Vec<TransformNode>,
    pub(super) sinks: Vec<SinkNode>,
}

pub(super) struct SourceNode {
    pub(super) name: Arc<str>,
    pub(super) type_name: &'static str,
    pub(super) factory: Box<dyn SourceFactory>,
    /// Nesting that its events may have.
    pub(super) depth: usize,
    pub(super) output: Vec<Target>,
    /// Empty means the dead-letter file.
    pub(super) errors: Vec<Target>,
}

impl SourceNode {
    /// Checks the text of an event. What goes to a transform is made ready to be looked into in the
    /// same pass.
    pub(super) fn read(&self, text: &Bytes) -> Result<Json, JsonError> {
        if self.output.iter().any(|target| !matches!(target, Target::Sink(_))) {
            return Json::parse(text.clone(), self.depth);
        }
        json::validate(text, self.depth)?;
        Ok(Json::from_text(text.clone()))
    }
}

pub(super) struct TransformNode {
    pub(super) name: Arc<str>,
    pub(super) type_name: &'static str,
    pub(super) factory: Box<dyn TransformFactory>,
    /// What its outputs are checked against.
    pub(super) validation: Option<Arc<Validation>>,
    /// Name and readers of each output.
    pub(super) outputs: Vec<(String, Vec<Target>)>,
    pub(super) errors: Vec<Target>,
}

pub(super) struct SinkNode {
    pub(super) name: Arc<str>,
    pub(super) type_name: &'static str,
    pub(super) factory: Box<dyn SinkFactory>,
    pub(super) required: bool,
    pub(super) retry: Retry,
    /// What its events are checked against.
    pub(super) validation: Option<Arc<Validation>>,
    pub(super) errors: Vec<Target>,
}

/// One node of the graph: its kind and its number among its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    Source(usize),
    Transform(usize),
    Sink(usize),
}

/// Stands for a component that could not be read, so that the graph around it can be checked all the
/// same. Its outputs are those that somebody reads.
pub(super) struct Unread {
    pub(super) outputs: Vec<String>,
}

impl TransformFactory for Unread {
    fn outputs(&self) -> Vec<String> {
        self.outputs.clone()
    }

    fn may_dangle(&self, _: usize) -> bool {
        true
    }

    fn instantiate(&self, _: &TransformContext) -> Box<dyn Transform> {
        Box::new(Nothing)
    }
}

impl SourceFactory for Unread {
    fn build(&self, _: SourceContext) -> Result<Box<dyn Source>, SourceError> {
        Err(SourceError::Other("the component could not be read".to_owned()))
    }
}

impl SinkFactory for Unread {
    fn encoder(&self) -> Box<dyn Encoder> {
        Box::new(Nothing)
    }

    fn build(&self, _: SinkContext) -> Result<Arc<dyn Sink>, SinkError> {
        Err(SinkError::Fatal("the component could not be read".to_owned()))
    }
}

/// A part of an [`Unread`] component: never run, for such a pipeline is not.
struct Nothing;

impl Transform for Nothing {
    fn apply(&mut self, _: Json, _: &Meta<'_>, _: &mut Outputs) {}
}

impl Encoder for Nothing {
    fn partition(&mut self, _: &mut Json, _: &Meta<'_>) -> Result<Arc<str>, Fault> {
        Err(Fault::new("internal", "the component could not be read"))
    }

    fn encode(&mut self, _: &mut Json, _: &mut Vec<u8>) -> Result<(), Fault> {
        Err(Fault::new("internal", "the component could not be read"))
    }
}

fn unknown_input<'n>(
    file: &Arc<SourceFile>,
    span: &Range<usize>,
    name: &str,
    known: impl Iterator<Item = &'n str>,
) -> Diagnostic {
    let known: Vec<_> = known.collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!(
            "there are {}",
            known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    Diagnostic::error(file, span.clone(), format!("there is no component `{name}`")).help(help)
}

/// Links declared components to a graph and checks it. `None` if anything is wrong. `knows_edges` is
/// false if a component's inputs could not be read, so that nothing can be said of loose ends.
pub(super) fn link(
    declared: Vec<Declared>,
    knows_edges: bool,
    file: &Arc<SourceFile>,
    found: &mut Vec<Diagnostic>,
) -> Option<Plan> {
    let errors_before = found.len();
    let mut plan = Plan { sources: Vec::new(), transforms: Vec::new(), sinks: Vec::new() };
    let mut readers = Vec::new();
    let mut headers = Vec::new();
    for component in declared {
        let Declared { name, type_name, header, inputs, required, retry, limits, validation, part } =
            component;
        let node = match part {
            Part::Source(factory) => {
                plan.sources.push(SourceNode {
                    name,
                    type_name,
                    factory,
                    depth: limits.depth,
                    output: Vec::new(),
                    errors: Vec::new(),
                });
                Node::Source(plan.sources.len() - 1)
            }
            Part::Transform(factory) => {
                let outputs = factory.outputs().into_iter().map(|output| (output, Vec::new())).collect();
                let errors = Vec::new();
                plan.transforms.push(TransformNode { name, type_name, factory, validation, outputs, errors });
                Node::Transform(plan.transforms.len() - 1)
            }
            Part::Sink(factory) => {
                let errors = Vec::new();
                plan.sinks.push(SinkNode { name, type_name, factory, required, retry, validation, errors });
                Node::Sink(plan.sinks.len() - 1)
            }
        };
        headers.push((node, header));
        readers.push((node, inputs));
    }

    for (reader, inputs) in &readers {
        for (input, span) in inputs {
            if let Err(diagnostic) = plan.connect(*reader, input, span, file) {
                found.push(diagnostic);
            }
        }
    }
    if found.len() > errors_before {
        return None;
    }

    let header = |node: Node| {
        let found = headers.iter().find(|(known, _)| *known == node);
        found.map_or(0..0, |(_, header)| header.clone())
    };
    plan.check_cycles(&header, file, found);
    if knows_edges {
        plan.check_ends(&header, file, found);
    }
    plan.check_files(&header, file, found);
    (found.len() == errors_before).then_some(plan)
}

impl Plan {
    fn name(&self, node: Node) -> &Arc<str> {
        match node {
            Node::Source(at) => &self.sources[at].name,
            Node::Transform(at) => &self.transforms[at].name,
            Node::Sink(at) => &self.sinks[at].name,
        }
    }

    /// All validations, of transforms first.
    pub(super) fn validations(&self) -> impl Iterator<Item = &Arc<Validation>> {
        let transforms = self.transforms.iter().filter_map(|node| node.validation.as_ref());
        transforms.chain(self.sinks.iter().filter_map(|node| node.validation.as_ref()))
    }

    fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        let sources = (0..self.sources.len()).map(Node::Source);
        let transforms = (0..self.transforms.len()).map(Node::Transform);
        let sinks = (0..self.sinks.len()).map(Node::Sink);
        sources.chain(transforms).chain(sinks)
    }

    /// Connects one input of a reader.
    fn connect(
        &mut self,
        reader: Node,
        input: &str,
        span: &Range<usize>,
        file: &Arc<SourceFile>,
    ) -> Result<(), Diagnostic> {
        let target = match reader {
            Node::Source(_) => return Ok(()),
            Node::Transform(at) if self.transforms[at].factory.stateful().is_some() => Target::Stage(at),
            Node::Transform(at) => Target::Transform(at),
            Node::Sink(at) => Target::Sink(at),
        };
        let fail = |message: String, help: Option<String>| {
            Err(Diagnostic::error(file, span.clone(), message).help(help))
        };

        if input.contains('*') {
            let Ok(pattern) = glob::Pattern::new(input) else {
                return fail(format!("`{input}` is no wildcard"), None);
            };
            let matching: Vec<_> = self
                .nodes()
                .filter(|node| {
                    *node != reader && self.has_default_output(*node) && pattern.matches(self.name(*node))
                })
                .collect();
            if matching.is_empty() {
                let help = "a wildcard matches names of sources and transforms with a default output";
                return fail(format!("nothing matches `{input}`"), Some(help.to_owned()));
            }
            for node in matching {
                self.add(node, "", target);
            }
            return Ok(());
        }

        let (name, output) = match input.split_once('.') {
            Some((name, output)) => (name, output),
            None => (input, ""),
        };
        let Some(node) = self.nodes().find(|node| &**self.name(*node) == name) else {
            let readable = self.nodes().filter(|node| !matches!(node, Node::Sink(_)));
            let names: Vec<_> = readable.map(|node| self.name(node).clone()).collect();
            return Err(unknown_input(file, span, name, names.iter().map(|name| &**name)));
        };
        let outputs = self.output_names(node);
        if outputs.iter().any(|known| known == output) {
            self.add(node, output, target);
            return Ok(());
        }
        let written: Vec<_> =
            outputs.iter().filter(|name| !name.is_empty()).map(|output| format!("{name}.{output}")).collect();
        match (output, node) {
            ("", Node::Sink(_)) => fail(
                format!("`{name}` is a sink and has no output"),
                Some(format!("only its errors can be read: \"{name}.errors\"")),
            ),
            ("", _) => fail(
                format!("`{name}` has no default output"),
                Some(format!("name one of {}", written.join(", "))),
            ),
            _ => {
                let near =
                    nearest(output, outputs.iter().map(String::as_str).filter(|name| !name.is_empty()));
                let help = match near {
                    Some(near) => format!("did you mean \"{name}.{near}\"?"),
                    None => format!("it has {}", written.join(", ")),
                };
                fail(format!("`{name}` has no output `{output}`"), Some(help))
            }
        }
    }

    fn has_default_output(&self, node: Node) -> bool {
        match node {
            Node::Source(_) => true,
            Node::Transform(at) => self.transforms[at].outputs.iter().any(|(name, _)| name.is_empty()),
            Node::Sink(_) => false,
        }
    }

    fn output_names(&self, node: Node) -> Vec<String> {
        let mut names = match node {
            Node::Source(_) => vec![String::new()],
            Node::Transform(at) => self.transforms[at].outputs.iter().map(|(name, _)| name.clone()).collect(),
            Node::Sink(_) => Vec::new(),
        };
        names.push("errors".to_owned());
        names
    }

    fn add(&mut self, node: Node, output: &str, target: Target) {
        let targets = match (node, output) {
            (Node::Source(at), "errors") => &mut self.sources[at].errors,
            (Node::Source(at), _) => &mut self.sources[at].output,
            (Node::Transform(at), "errors") => &mut self.transforms[at].errors,
            (Node::Transform(at), output) => {
                match self.transforms[at].outputs.iter_mut().find(|(name, _)| name == output) {
                    Some((_, targets)) => targets,
                    None => return,
                }
            }
            (Node::Sink(at), _) => &mut self.sinks[at].errors,
        };
        // named twice is read once
        if !targets.contains(&target) {
            targets.push(target);
        }
    }

    /// Edges that leave a node: output name and target.
    pub(super) fn edges(&self, node: Node) -> Vec<(&str, Target)> {
        fn named<'n>(name: &'n str, targets: &[Target]) -> Vec<(&'n str, Target)> {
            targets.iter().map(|target| (name, *target)).collect()
        }
        match node {
            Node::Source(at) => {
                let source = &self.sources[at];
                [named("", &source.output), named("errors", &source.errors)].concat()
            }
            Node::Transform(at) => {
                let transform = &self.transforms[at];
                let mut edges: Vec<_> =
                    transform.outputs.iter().flat_map(|(name, targets)| named(name, targets)).collect();
                edges.extend(named("errors", &transform.errors));
                edges
            }
            Node::Sink(at) => named("errors", &self.sinks[at].errors),
        }
    }

    /// Reports each cycle once, spelled out.
    fn check_cycles(
        &self,
        header: &dyn Fn(Node) -> Range<usize>,
        file: &Arc<SourceFile>,
        found: &mut Vec<Diagnostic>,
    ) {
        fn visit(
            plan: &Plan,
            node: Node,
            path: &mut Vec<Node>,
            done: &mut BTreeSet<Node>,
            cycles: &mut Vec<Vec<Node>>,
        ) {
            if let Some(start) = path.iter().position(|before| *before == node) {
                cycles.push(path[start..].to_vec());
                return;
            }
            if !done.insert(node) {
                return;
            }
            path.push(node);
            for (_, target) in plan.edges(node) {
                visit(plan, target.into(), path, done, cycles);
            }
            path.pop();
        }
        let mut cycles = Vec::new();
        let mut done = BTreeSet::new();
        for node in self.nodes() {
            visit(self, node, &mut Vec::new(), &mut done, &mut cycles);
        }
        for cycle in cycles {
            let names: Vec<_> = cycle.iter().chain(cycle.first()).map(|node| &**self.name(*node)).collect();
            let first = cycle.first().copied().map_or(0..0, header);
            found.push(
                Diagnostic::error(file, first, format!("the graph has a cycle: {}", names.join(" → ")))
                    .help("events flow from sources to sinks; take one of these inputs away".to_owned()),
            );
        }
    }

    /// Every source reaches a required sink, and no output goes nowhere.
    fn check_ends(
        &self,
        header: &dyn Fn(Node) -> Range<usize>,
        file: &Arc<SourceFile>,
        found: &mut Vec<Diagnostic>,
    ) {
        if self.sources.is_empty() {
            found.push(
                Diagnostic::error(file, 0..0, "there is no source").help("add `[sources.NAME]`".to_owned()),
            );
        }
        let is_stdin = |at: &usize| self.sources[*at].type_name == "stdin";
        for second in (0..self.sources.len()).filter(is_stdin).skip(1) {
            found.push(
                Diagnostic::error(file, header(Node::Source(second)), "standard input is read twice")
                    .help("only one source can be `stdin`; let both readers name it in `inputs`".to_owned()),
            );
        }
        for (at, transform) in self.transforms.iter().enumerate() {
            for (number, (output, targets)) in transform.outputs.iter().enumerate() {
                if !targets.is_empty() || transform.factory.may_dangle(number) {
                    continue;
                }
                let shown = if output.is_empty() {
                    transform.name.to_string()
                } else {
                    format!("{}.{output}", transform.name)
                };
                found.push(
                    Diagnostic::error(file, header(Node::Transform(at)), format!("nothing reads `{shown}`"))
                        .help(format!("add \"{shown}\" to the `inputs` of a transform or a sink")),
                );
            }
        }
        for (at, source) in self.sources.iter().enumerate() {
            if source.output.is_empty() {
                found.push(
                    Diagnostic::error(
                        file,
                        header(Node::Source(at)),
                        format!("nothing reads `{}`", source.name),
                    )
                    .help(format!("add \"{}\" to the `inputs` of a transform or a sink", source.name)),
                );
                continue;
            }
            let sinks = self.sinks_from(&source.output, false);
            if !sinks.is_empty() && !sinks.iter().any(|sink| self.sinks[*sink].required) {
                found.push(
                    Diagnostic::error(file, header(Node::Source(at)), format!("`{}` reaches no required sink", source.name))
                        .help("all its sinks have `required = false`, so nothing would keep its events; make one of them required".to_owned()),
                );
            }
        }
    }

    /// Two sinks may not write one file.
    fn check_files(
        &self,
        header: &dyn Fn(Node) -> Range<usize>,
        file: &Arc<SourceFile>,
        found: &mut Vec<Diagnostic>,
    ) {
        let claims: Vec<Option<PathBuf>> = self.sinks.iter().map(|sink| sink.factory.claims()).collect();
        for (second, claim) in claims.iter().enumerate() {
            let first = claims[..second].iter().position(|earlier| claim.is_some() && earlier == claim);
            if let (Some(first), Some(path)) = (first, claim) {
                found.push(
                    Diagnostic::error(
                        file,
                        header(Node::Sink(second)),
                        format!(
                            "`{}` and `{}` write the same file {}",
                            self.sinks[first].name,
                            self.sinks[second].name,
                            path.display()
                        ),
                    )
                    .help("give one sink both inputs, or the sinks different paths".to_owned()),
                );
            }
        }
    }

    /// Sinks that events at these targets can reach; over error edges too if asked.
    pub(super) fn sinks_from(&self, targets: &[Target], over_errors: bool) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<Node> = targets.iter().map(|target| (*target).into()).collect();
        while let Some(node) = open.pop() {
            if !seen.insert(node) {
                continue;
            }
            let follow = self.edges(node).into_iter().filter(|(name, _)| over_errors || *name != "errors");
            open.extend(follow.map(|(_, target)| Node::from(target)));
        }
        let sinks = seen.into_iter().filter_map(|node| match node {
            Node::Sink(at) => Some(at),
            _ => None,
        });
        sinks.collect()
    }

    /// Every sink that events of a source can reach, over error edges too.
    pub(super) fn sinks_of_source(&self, source: usize) -> BTreeSet<usize> {
        let source = &self.sources[source];
        let targets: Vec<_> = source.output.iter().chain(&source.errors).copied().collect();
        self.sinks_from(&targets, true)
    }

    /// The parts of the graph that share no source and no sink: sources and sinks of each. Epochs
    /// run for each part alone.
    pub(super) fn parts(&self) -> Vec<(BTreeSet<usize>, BTreeSet<usize>)> {
        let mut parts: Vec<(BTreeSet<usize>, BTreeSet<usize>)> = Vec::new();
        for source in 0..self.sources.len() {
            let mut part = (BTreeSet::from([source]), self.sinks_of_source(source));
            let (joined, apart): (Vec<_>, Vec<_>) =
                parts.into_iter().partition(|(_, sinks)| !sinks.is_disjoint(&part.1));
            for (sources, sinks) in joined {
                part.0.extend(sources);
                part.1.extend(sinks);
            }
            parts = apart;
            parts.push(part);
        }
        parts
    }

    /// The graph for printing.
    pub(super) fn view(&self) -> GraphView {
        let mut view = GraphView { nodes: Vec::new(), edges: Vec::new() };
        for node in self.nodes() {
            let (kind, type_name) = match node {
                Node::Source(at) => (NodeKind::Source, self.sources[at].type_name),
                Node::Transform(at) => (NodeKind::Transform, self.transforms[at].type_name),
                Node::Sink(at) => (NodeKind::Sink, self.sinks[at].type_name),
            };
            view.nodes.push((self.name(node).to_string(), kind, type_name));
            for (output, target) in self.edges(node) {
                view.edges.push(Edge {
                    from: self.name(node).to_string(),
                    output: output.to_owned(),
                    to: self.name(target.into()).to_string(),
                });
            }
        }
        view
    }
}

impl From<Target> for Node {
    fn from(target: Target) -> Self {
        match target {
            Target::Transform(at) | Target::Stage(at) => Node::Transform(at),
            Target::Sink(at) => Node::Sink(at),
        }
    }
}

/// Kind of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// Where events come from.
    Source,
    /// What happens to them.
    Transform,
    /// Where they go.
    Sink,
}

/// An edge by names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The component that is read.
    pub from: String,
    /// Its output; empty for the default.
    pub output: String,
    /// The component that reads.
    pub to: String,
}

/// A graph for printing.
#[derive(Debug, Clone)]
pub struct GraphView {
    /// Name, kind and type of each component.
    pub nodes: Vec<(String, NodeKind, &'static str)>,
    /// All edges.
    pub edges: Vec<Edge>,
}
