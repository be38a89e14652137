//! Events at a transform that keeps state.
//!
//! What it does for an event alone is done when the event comes. Then the event waits here until the
//! whole batch is there; the batch asks at once, in its turn, and what may pass goes on. So only the
//! answer is one after the other, and everything before and behind it runs in parallel.

use std::sync::Arc;

use super::{Building, Context, Worker, text_of};
use crate::event::token::{Held, Note, Outcome, Share, Token};
use crate::event::{Batch, Derivation, Origin, TextHash};
use crate::jq::Json;
use crate::topology::graph::Plan;
use crate::topology::stages::Pass;

/// Events of a batch that wait at one transform.
#[derive(Default)]
pub(super) struct Waiting {
    events: Vec<Event>,
    /// In the order of the events that ask.
    questions: Vec<u128>,
    /// Their obligations, which fail if the events are dropped here.
    share: Option<Share>,
}

/// One of them: what the transform made of it, and what it takes to make its [`Context`] again.
struct Event {
    emitted: Vec<(usize, Json)>,
    asks: bool,
    offset: u128,
    text_hash: u64,
    derivation: Derivation,
}

impl Worker {
    /// Applies the transform to an event, and has what it made wait.
    pub(super) fn wait(
        &mut self,
        context: Context<'_>,
        at: usize,
        json: Json,
        token: &Arc<Token>,
        held: Held<'_>,
    ) {
        let input = json.clone();
        let mut out = self.apply(context, at, json);
        let question = out.question.take();
        if let Some(fault) = out.fault.take() {
            out.emitted.clear();
            let node = &context.plan.transforms[at];
            self.fail(context, &node.name, &node.errors, &fault, &input, token, held);
        } else if out.emitted.is_empty() {
            held.resolve(Outcome::Filtered);
        } else {
            let waiting = &mut self.waiting[at];
            waiting.share.get_or_insert_with(|| Share::new(token.clone())).adopt(held);
            waiting.questions.extend(question);
            // one without a question waits as well: order is kept
            waiting.events.push(Event {
                emitted: std::mem::take(&mut out.emitted),
                asks: question.is_some(),
                offset: context.offset,
                text_hash: context.text_hash.get(&context.origin.place),
                derivation: context.derivation,
            });
        }
        self.spare_outputs.push(out);
    }

    /// Takes the batch through all stages, and what may pass on from each.
    pub(super) fn pass_stages(
        &mut self,
        plan: &Plan,
        pass: &mut Pass,
        batch: Option<&Batch>,
        origin: &Arc<Origin>,
        token: &Arc<Token>,
    ) {
        while let Some(at) = pass.transform() {
            let Waiting { events, questions, share } = std::mem::take(&mut self.waiting[at]);
            let Some(share) = share else {
                pass.leave();
                continue;
            };
            let answers = pass.ask(&questions);
            if let Some(content) = answers.note {
                token.note(Note { step: at, content });
            }
            self.building.iter_mut().flatten().for_each(Building::interrupt);

            let (_, cells) = share.into_cells();
            // all are taken up at once: should this fail half-way, the rest fail too
            let obligations: Vec<_> = cells.iter().map(|cell| (*cell, token.take(*cell))).collect();
            let mut answers = answers.pass.into_iter();
            for (mut event, (cell, held)) in events.into_iter().zip(obligations) {
                let passes = if event.asks { answers.next() } else { Some(true) };
                match passes {
                    Some(true) => {
                        let source = batch.and_then(|batch| batch.events.get(cell as usize));
                        let context = Context {
                            plan,
                            origin,
                            offset: event.offset,
                            text_hash: TextHash::Known(event.text_hash),
                            derivation: event.derivation,
                            source_text: source.map_or(&[], text_of),
                        };
                        self.emit(context, at, &mut event.emitted, token, held);
                    }
                    Some(false) => held.resolve(Outcome::Filtered),
                    // a bug in the transform: the obligation fails, and with it the epoch
                    None => drop(held),
                }
            }
        }
    }
}
