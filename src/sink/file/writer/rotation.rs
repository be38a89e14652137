//! Rotation: files that end where they are large or old enough, and are numbered.

use std::sync::Arc;

use super::super::super::{Delivery, Part, PartEvent, Rejection, SinkError, WriteError};
use super::super::path::with_number;
use super::super::{Compression, Rotate};
use super::{OpenError, Writer, now_ms, refuse};

/// How much of a delivery is written: parts, events of the next one, and what was refused.
#[derive(Default)]
pub(super) struct Progress {
    part: usize,
    event: usize,
    refused: Vec<Rejection>,
}

impl Writer {
    pub(super) fn rotates(&self) -> bool {
        self.settings.rotate.size.is_some() || self.settings.rotate.age.is_some()
    }

    /// Files that rotate are written piece by piece, so that each ends where it is full. What a try
    /// has written before it failed stays, and the next try of the same delivery goes on after it.
    pub(super) fn write_in_pieces(&mut self, delivery: &Delivery) -> Result<(), WriteError> {
        while let Some(part) = delivery.parts.get(self.progress.part) {
            let first = self.progress.event;
            if first == part.events.len() {
                self.progress.part += 1;
                self.progress.event = 0;
                continue;
            }
            let mut intents = Vec::new();
            let activated = self.activate(&part.partition, &mut intents);
            self.record(intents).map_err(WriteError::All)?;
            match activated {
                Ok(()) => {}
                Err(OpenError::Refused(message)) => {
                    let part_number = self.progress.part;
                    self.progress.refused.extend(refuse(part_number, first..part.events.len(), &message));
                    self.progress.event = part.events.len();
                    continue;
                }
                Err(OpenError::Later(message)) => return Err(WriteError::All(SinkError::Retry(message))),
            }
            let next = self.end_of_piece(part, first);
            let piece = &part.data[part.start_of(first)..part.start_of(next)];
            let mut before = Vec::new();
            if let Err(error) = self.append(&part.partition, piece, &mut before) {
                return Err(self.undo(&part.partition, &error, before));
            }
            self.progress.event = next;
            self.rotate();
        }
        let refused = std::mem::take(&mut self.progress).refused;
        if refused.is_empty() { Ok(()) } else { Err(WriteError::Rejected(refused)) }
    }

    /// The event after the last one that still goes into the current file of a part.
    fn end_of_piece(&self, part: &Part, first: usize) -> usize {
        let all = part.events.len();
        let Some(size) = self.settings.rotate.size else { return all };
        if self.compression(&part.partition) != Compression::None {
            return all;
        }
        let start = part.start_of(first) as u64;
        let len = self.files.get(&part.partition).map_or(0, |file| file.len);
        let full = |event: &PartEvent| len + event.end as u64 - start >= size.bytes();
        part.events[first..].iter().position(full).map_or(all, |at| first + at + 1)
    }

    /// Ends files that are large or old enough. They stay as they are; the next event of their path
    /// begins a new one.
    pub(super) fn rotate(&mut self) {
        if !self.rotates() {
            return;
        }
        let now = now_ms();
        let Rotate { size, age } = self.settings.rotate;
        let age_ms = age.map(|age| std::time::Duration::from(age).as_millis() as u64);
        let done: Vec<Arc<str>> = self
            .files
            .iter()
            .filter(|(_, file)| file.waiting.is_empty() && file.len > 0)
            .filter(|(_, file)| {
                size.is_some_and(|size| file.len >= size.bytes())
                    || age_ms.is_some_and(|age| now.saturating_sub(file.begun) >= age)
            })
            .map(|(logical, _)| logical.clone())
            .collect();
        for logical in done {
            if let Some(file) = self.files.remove(&logical) {
                self.open -= usize::from(file.file.is_some());
                self.release(&file.id);
                self.retired.push((file.file, self.base.join(&file.physical), file.device));
                self.rotated.insert(file.physical);
            }
        }
    }

    /// The file of a rotating path: the last one there is, if it has room, or the next.
    pub(super) fn numbered(&mut self, logical: &Arc<str>) -> Result<String, OpenError> {
        let mut last = None;
        let known = self.numbers.get(logical).copied().unwrap_or(1);
        for number in known.. {
            let physical = with_number(logical, number);
            let path = self.base.join(&physical);
            let Some(stat) = self.disk.stat(&path).map_err(|error| Self::classify(&path, &error))? else {
                break;
            };
            last = Some((number, physical, stat));
        }
        let Some((number, physical, stat)) = last else { return Ok(with_number(logical, known)) };
        self.numbers.insert(logical.clone(), number);
        let Rotate { size, age } = self.settings.rotate;
        let is_full = size.is_some_and(|size| stat.len >= size.bytes());
        let is_old = age.is_some_and(|age| {
            now_ms().saturating_sub(stat.born_ms) >= std::time::Duration::from(age).as_millis() as u64
        });
        let was_rotated = self.rotated.contains(&physical);
        Ok(if is_full || is_old || was_rotated { with_number(logical, number + 1) } else { physical })
    }
}
