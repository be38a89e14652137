//! A hash table of names that stand elsewhere: both kinds of schema look up each member of each event.

use xxhash_rust::xxh3::xxh3_64;

/// Places of names, found by hash.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The upper half of the hash, and the place plus one; zero is free. At most half of them are taken.
    slots: Vec<(u32, u32)>,
}

impl Names {
    /// A table of names that are known to differ; their places are their numbers.
    pub(super) fn of<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> Self {
        if names.len() == 0 {
            return Names::default();
        }
        let mask = (names.len() * 2).next_power_of_two() - 1;
        let mut slots = vec![(0, 0); mask + 1];
        for (place, name) in (1_u32..).zip(names) {
            let hash = xxh3_64(name.as_bytes());
            let mut slot = hash as usize & mask;
            while slots[slot].1 != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = ((hash >> 32) as u32, place);
        }
        Names { slots }
    }

    /// The place of a name; `at` says which name stands at a place.
    #[inline]
    pub(super) fn find<'n>(&self, name: &str, at: impl Fn(usize) -> &'n str) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let hash = xxh3_64(name.as_bytes());
        let mut slot = hash as usize & mask;
        loop {
            let (tag, place) = self.slots[slot];
            let place = (place as usize).checked_sub(1)?;
            if tag == (hash >> 32) as u32 && at(place) == name {
                return Some(place);
            }
            slot = (slot + 1) & mask;
        }
    }
}
