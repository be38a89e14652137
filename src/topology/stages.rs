//! Stateful transforms: what all workers share of them, and the order in which batches get to it.
//!
//! A batch passes the stages of its part of the graph one after the other. What a transform can do
//! for an event alone it has done before that, in parallel; a pass is only the step that depends on
//! earlier events. The batches of one source pass a stage in source order: each waits for the one
//! before it. That cannot lock up. Workers take batches in order, so the batch before is finished
//! or has a thread of its own, and waits for earlier ones at the most. Batches of several sources,
//! and events that a sink has refused, come in between as they come.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::graph::{Node, Plan};
use crate::event::token::Note;
use crate::state::{Change, StateError, Store};
use crate::transform::{Answers, Shared, SharedContext};

/// The stateful transforms of one part of the graph, in one build of it. Built from what is
/// recorded, so a rollback forgets what was not.
pub(super) struct Stages {
    /// Each after all that lead to it.
    all: Vec<Stage>,
}

struct Stage {
    transform: usize,
    name: Arc<str>,
    shared: Arc<dyn Shared>,
    /// By source.
    queues: Vec<Queue>,
}

/// The batches of one source at one stage.
#[derive(Default)]
struct Queue {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Default)]
struct Line {
    /// The first batch that has not passed.
    next: u64,
    /// Later ones that had nothing to ask and did not wait.
    ahead: BTreeSet<u64>,
}

impl Queue {
    /// Waits until all batches before this one have passed.
    fn wait(&self, number: u64) {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = self.moved.wait_while(line, |line| line.next < number);
        drop(turn.unwrap_or_else(PoisonError::into_inner));
    }

    fn leave(&self, number: u64) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.ahead.insert(number);
        let before = line.next;
        while line.ahead.first() == Some(&line.next) {
            line.ahead.pop_first();
            line.next += 1;
        }
        if line.next > before {
            self.moved.notify_all();
        }
    }
}

impl Stages {
    /// The stages that events of these sources can reach.
    pub(super) fn build(
        plan: &Plan,
        sources: &BTreeSet<usize>,
        store: &Store,
    ) -> Result<Arc<Self>, StateError> {
        let mut all = Vec::new();
        for transform in in_order(plan, sources) {
            let node = &plan.transforms[transform];
            let Some(stateful) = node.factory.stateful() else { continue };
            let rows = store.rows(&node.name)?;
            all.push(Stage {
                transform,
                name: node.name.clone(),
                shared: stateful.share(SharedContext { name: node.name.clone(), rows }),
                queues: plan.sources.iter().map(|_| Queue::default()).collect(),
            });
        }
        Ok(Arc::new(Stages { all }))
    }

    /// The pass of a batch of a source. Batches are numbered from zero, in the order in which
    /// workers get them.
    pub(super) fn pass(self: &Arc<Self>, source: usize, number: u64) -> Pass {
        Pass { stages: self.clone(), turn: Some((source, number)), at: 0 }
    }

    /// The pass of events that come beside the batches.
    pub(super) fn pass_beside(self: &Arc<Self>) -> Pass {
        Pass { stages: self.clone(), turn: None, at: 0 }
    }

    /// The rows to be recorded with the epoch that these notes belong to.
    pub(super) fn record(&self, notes: Vec<Note>) -> Vec<Change> {
        let mut by_stage: Vec<Vec<_>> = self.all.iter().map(|_| Vec::new()).collect();
        for note in notes {
            let stage = self.all.iter().position(|stage| stage.transform == note.step);
            debug_assert!(stage.is_some(), "a note of a transform that is no stage");
            if let Some(stage) = stage {
                by_stage[stage].push(note.content);
            }
        }
        let rows = self.all.iter().zip(by_stage).flat_map(|(stage, notes)| {
            let rows = stage.shared.record(notes).into_iter();
            rows.map(|(key, row)| (stage.name.clone(), key, row))
        });
        rows.collect()
    }
}

/// The way of one batch through the stages. Dropped half-way it leaves the others, so that a batch
/// on which a worker failed holds nobody up.
pub(super) struct Pass {
    stages: Arc<Stages>,
    /// Source and number of the batch.
    turn: Option<(usize, u64)>,
    at: usize,
}

impl Pass {
    /// The transform of the next stage.
    pub(super) fn transform(&self) -> Option<usize> {
        self.stages.all.get(self.at).map(|stage| stage.transform)
    }

    /// Asks at the stage, in the batch's turn, and leaves it.
    pub(super) fn ask(&mut self, questions: &[u128]) -> Answers {
        let Some(stage) = self.stages.all.get(self.at) else { return Answers::default() };
        if let Some((source, number)) = self.turn {
            stage.queues[source].wait(number);
        }
        let answers = stage.shared.answer(questions);
        self.leave();
        answers
    }

    /// Leaves the stage without a question.
    pub(super) fn leave(&mut self) {
        if let (Some(stage), Some((source, number))) = (self.stages.all.get(self.at), self.turn) {
            stage.queues[source].leave(number);
        }
        self.at += 1;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        while self.transform().is_some() {
            self.leave();
        }
    }
}

/// Transforms that events of these sources can reach, over error edges too; each after all that lead
/// to it.
fn in_order(plan: &Plan, sources: &BTreeSet<usize>) -> Vec<usize> {
    fn visit(plan: &Plan, node: Node, seen: &mut BTreeSet<Node>, order: &mut Vec<usize>) {
        if !seen.insert(node) {
            return;
        }
        for (_, target) in plan.edges(node) {
            visit(plan, target.into(), seen, order);
        }
        if let Node::Transform(at) = node {
            order.push(at);
        }
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for source in sources {
        visit(plan, Node::Source(*source), &mut seen, &mut order);
    }
    order.reverse();
    order
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::state::Rows;

    /// Remembers in which order it was asked.
    #[derive(Default)]
    struct Asked(Mutex<Vec<u128>>);

    impl Shared for Asked {
        fn answer(&self, questions: &[u128]) -> Answers {
            self.0.lock().unwrap().extend(questions);
            Answers { pass: vec![true; questions.len()], note: None }
        }

        fn record(&self, notes: Vec<Value>) -> Rows {
            notes.into_iter().map(|note| ("row".to_owned(), Some(note))).collect()
        }
    }

    fn stages(count: usize) -> (Arc<Stages>, Vec<Arc<Asked>>) {
        let asked: Vec<Arc<Asked>> = (0..count).map(|_| Arc::default()).collect();
        let stage = |(transform, shared): (usize, &Arc<Asked>)| Stage {
            transform,
            name: Arc::from(format!("stage {transform}")),
            shared: shared.clone(),
            queues: vec![Queue::default(), Queue::default()],
        };
        (Arc::new(Stages { all: asked.iter().enumerate().map(stage).collect() }), asked)
    }

    #[test]
    fn batches_of_a_source_ask_in_order_whatever_order_they_come_in() {
        let (stages, asked) = stages(2);
        let batches = 64;
        std::thread::scope(|scope| {
            // the later, the sooner: each waits for the one before it
            for number in (0..batches).rev() {
                let mut pass = stages.pass(1, number);
                scope.spawn(move || match number % 4 {
                    // with nothing to ask at the first stage
                    1 => {
                        pass.leave();
                        pass.ask(&[u128::from(number)]);
                    }
                    // given up half-way
                    2 => drop(pass.ask(&[u128::from(number)])),
                    3 => drop(pass),
                    _ => {
                        pass.ask(&[u128::from(number)]);
                        pass.ask(&[u128::from(number)]);
                    }
                });
            }
        });
        let expected = |keep: &[u64]| -> Vec<u128> {
            (0..batches).filter(|n| keep.contains(&(n % 4))).map(u128::from).collect()
        };
        assert_eq!(*asked[0].0.lock().unwrap(), expected(&[0, 2]));
        assert_eq!(*asked[1].0.lock().unwrap(), expected(&[0, 1]));
        // another source, and what comes beside the batches, wait for none of them
        let _first_of_source_0 = stages.pass(0, 0);
        stages.pass(1, batches).ask(&[]);
        stages.pass_beside().ask(&[]);
    }

    #[test]
    fn notes_become_rows_of_their_transform() {
        let (stages, _) = stages(2);
        let note = |step, content| Note { step, content };
        let rows = stages.record(vec![note(1, json!("x")), note(0, json!("y"))]);
        let change = |name: &str, content| (Arc::from(name), "row".to_owned(), Some(content));
        assert_eq!(rows, [change("stage 0", json!("y")), change("stage 1", json!("x"))]);
    }
}
