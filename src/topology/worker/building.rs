//! What a batch becomes for one sink.

use std::collections::HashMap;
use std::sync::Arc;

use super::Context;
use crate::event::token::{Held, Outcome, Share, Token};
use crate::sink::{Part, PartEvent};

/// Parts of a delivery that are searched before a new one is made: with more partitions than that
/// in a batch the search is by map.
type Index = HashMap<Arc<str>, usize>;

/// A delivery in the making.
pub(super) struct Building {
    /// Room to give the first part at once: as a rule a batch goes to one place, at its own size.
    room: usize,
    pub(super) parts: Vec<Part>,
    index: Index,
    last: usize,
    /// Whether events came that had waited at a stage, behind others that had not.
    is_mixed: bool,
    pub(super) share: Option<Share>,
}

impl Building {
    pub(super) fn of<'b>(
        slot: &'b mut Option<Building>,
        token: &Arc<Token>,
        is_best_effort: bool,
        room: usize,
    ) -> &'b mut Building {
        slot.get_or_insert_with(|| Building {
            room,
            parts: Vec::new(),
            index: Index::new(),
            last: 0,
            is_mixed: false,
            share: (!is_best_effort).then(|| Share::new(token.clone())),
        })
    }

    /// The part of a partition; most often the one of the event before.
    pub(super) fn part(&mut self, partition: Arc<str>) -> usize {
        if self.parts.get(self.last).is_some_and(|part| part.partition == partition) {
            return self.last;
        }
        self.last = *self.index.entry(partition).or_insert_with_key(|partition| {
            let data = Vec::with_capacity(std::mem::take(&mut self.room));
            self.parts.push(Part { partition: partition.clone(), data, events: Vec::new() });
            self.parts.len() - 1
        });
        self.last
    }

    /// The event whose bytes were just appended to the last part is complete.
    pub(super) fn count(&mut self, context: Context<'_>, held: Held<'_>) {
        let position = match &mut self.share {
            Some(share) => {
                share.adopt(held);
                (share.len() - 1) as u32
            }
            None => {
                held.resolve(Outcome::Delivered);
                0
            }
        };
        let part = &mut self.parts[self.last];
        part.events.push(PartEvent {
            end: part.data.len(),
            position,
            offset: context.offset,
            text_hash: context.text_hash.get(&context.origin.place),
            derivation: context.derivation,
        });
    }

    /// What is there now was encoded before events that waited, and may come after them in the source.
    pub(super) fn interrupt(&mut self) {
        self.is_mixed |= self.parts.iter().any(|part| !part.events.is_empty());
    }

    /// Puts the events of each part back into source order, if some of them have waited.
    pub(super) fn put_in_order(&mut self) {
        let (true, Some(share)) = (self.is_mixed, &self.share) else { return };
        for part in &mut self.parts {
            let cell = |event: &PartEvent| share.cell(event.position as usize);
            if part.events.is_sorted_by_key(cell) {
                continue;
            }
            let mut order: Vec<usize> = (0..part.events.len()).collect();
            order.sort_by_key(|number| cell(&part.events[*number]));
            let mut data = Vec::with_capacity(part.data.len());
            let events = order.into_iter().map(|number| {
                data.extend_from_slice(part.event(number));
                PartEvent { end: data.len(), ..part.events[number] }
            });
            part.events = events.collect();
            part.data = data;
        }
    }
}
