//! Objects: a vector of members in the order of their first insertion, with an index beside it
//! once there are many.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;

use super::{Str, Val};

/// Members up to which a key is looked for one by one.
const FEW: usize = 32;

/// An object with each key once.
#[derive(Clone, Default)]
pub(in crate::jq) struct Obj {
    entries: Vec<(Str, Val)>,
    /// Positions by key. There exactly when there are more than a [`FEW`] members.
    index: Option<HashMap<Str, u32, RandomState>>,
}

impl Obj {
    pub(in crate::jq) fn new() -> Self {
        Obj::default()
    }

    /// An object of members whose keys are known to differ.
    pub(in crate::jq) fn from_distinct(entries: Vec<(Str, Val)>) -> Self {
        let mut object = Obj { entries, index: None };
        object.reindex();
        object
    }

    fn reindex(&mut self) {
        self.index = (self.entries.len() > FEW).then(|| {
            let places = self.entries.iter().enumerate();
            places.map(|(at, (key, _))| (key.clone(), at as u32)).collect()
        });
    }

    pub(in crate::jq) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(in crate::jq) fn position(&self, key: &[u8]) -> Option<usize> {
        match &self.index {
            None => self.entries.iter().position(|(k, _)| k.as_bytes() == key),
            Some(index) => {
                // keys are looked up as strings: a borrowed form would need their hash to agree
                let key = std::str::from_utf8(key).ok()?;
                index.get(&Str::new(key)).map(|at| *at as usize)
            }
        }
    }

    /// Where a key stands.
    #[inline]
    fn place_of(&self, key: &Str) -> Option<usize> {
        match &self.index {
            None => self.entries.iter().position(|(k, _)| k == key),
            Some(index) => index.get(key).map(|at| *at as usize),
        }
    }

    /// The same members, with room for as many in all.
    pub(super) fn with_room(&self, room: usize) -> Self {
        let mut entries = Vec::with_capacity(room.max(self.entries.len()));
        entries.extend_from_slice(&self.entries);
        Obj { entries, index: self.index.clone() }
    }

    /// Makes room for more members.
    pub(super) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
    }

    /// The value of a key.
    #[inline]
    pub(in crate::jq) fn value_of(&self, key: &Str) -> Option<&Val> {
        self.place_of(key).map(|at| &self.entries[at].1)
    }

    pub(in crate::jq) fn get(&self, key: &[u8]) -> Option<&Val> {
        self.position(key).map(|at| &self.entries[at].1)
    }

    pub(in crate::jq) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Val> {
        self.position(key).map(|at| &mut self.entries[at].1)
    }

    /// Sets a member; a new one goes to the end.
    pub(in crate::jq) fn insert(&mut self, key: Str, value: Val) {
        match self.place_of(&key) {
            Some(at) => self.entries[at].1 = value,
            None => {
                if let Some(index) = &mut self.index {
                    index.insert(key.clone(), self.entries.len() as u32);
                }
                self.entries.push((key, value));
                if self.index.is_none() {
                    self.reindex();
                }
            }
        }
    }

    /// Replaces the value of the member of a number.
    pub(in crate::jq) fn replace(&mut self, at: usize, value: Val) {
        if let Some((_, slot)) = self.entries.get_mut(at) {
            *slot = value;
        }
    }

    /// Takes a member out. The others keep their order.
    pub(in crate::jq) fn remove(&mut self, key: &[u8]) -> Option<Val> {
        let at = self.position(key)?;
        let (_, value) = self.entries.remove(at);
        self.reindex();
        Some(value)
    }

    /// Keeps the members for which `keep` is true.
    pub(in crate::jq) fn retain(&mut self, mut keep: impl FnMut(&Str, &mut Val) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
        self.reindex();
    }

    pub(in crate::jq) fn iter(&self) -> std::slice::Iter<'_, (Str, Val)> {
        self.entries.iter()
    }

    pub(in crate::jq) fn values_mut(&mut self) -> impl Iterator<Item = &mut Val> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Its members, leaving it empty.
    pub(super) fn take(&mut self) -> Vec<(Str, Val)> {
        self.index = None;
        std::mem::take(&mut self.entries)
    }

    /// Members in the order of their keys.
    pub(in crate::jq) fn sorted(&self) -> Vec<&(Str, Val)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        entries
    }
}

impl<R: std::slice::SliceIndex<[(Str, Val)]>> std::ops::Index<R> for Obj {
    type Output = R::Output;

    fn index(&self, range: R) -> &R::Output {
        &self.entries[range]
    }
}

impl FromIterator<(Str, Val)> for Obj {
    fn from_iter<I: IntoIterator<Item = (Str, Val)>>(entries: I) -> Self {
        let mut object = Obj::new();
        for (key, value) in entries {
            object.insert(key, value);
        }
        object
    }
}
