//! The names in directories: what programs see, and what a power cut leaves of them.
//!
//! There is no journal. A change of a name is durable once a directory that it changes was synced, and nothing else
//! makes it so. Of the others a cut keeps none, those up to a moment, or any: only that a rename happens at once in
//! both places, and that what happens to one file happens in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
};

use fastrand::Rng;

/// The number of a file, directory or other.
pub(crate) type Number = u64;
type Map = BTreeMap<Number, BTreeMap<OsString, Number>>;

/// A change that was not synced: a name goes, a name comes, or both at once.
#[derive(Clone, Debug)]
struct Change {
    subject: Number,
    from: Option<(Number, OsString)>,
    to: Option<(Number, OsString)>,
}

impl Change {
    fn touches(&self, directory: Number) -> bool {
        [&self.from, &self.to].into_iter().flatten().any(|(parent, _)| *parent == directory)
    }

    fn apply(&self, map: &mut Map) {
        if let Some((parent, name)) = &self.from {
            let names = map.entry(*parent).or_default();
            // Another file may have the name by now, where a later change is kept and this one only now made durable.
            if names.get(name) == Some(&self.subject) {
                names.remove(name);
            }
        }
        if let Some((parent, name)) = &self.to {
            map.entry(*parent).or_default().insert(name.clone(), self.subject);
        }
    }
}

/// The names in all directories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    seen: Map,
    durable: Map,
    pending: Vec<Change>,
}

impl Names {
    /// What a name stands for.
    pub(crate) fn get(&self, directory: Number, name: &OsStr) -> Option<Number> {
        self.seen.get(&directory)?.get(name).copied()
    }

    /// The names in a directory.
    pub(crate) fn list(&self, directory: Number) -> impl Iterator<Item = (&OsString, Number)> {
        self.seen.get(&directory).into_iter().flatten().map(|(name, number)| (name, *number))
    }

    /// Gives a name to something.
    pub(crate) fn add(&mut self, directory: Number, name: &OsStr, subject: Number) {
        self.change(Change { subject, from: None, to: Some((directory, name.to_owned())) });
    }

    /// Takes a name away.
    pub(crate) fn remove(&mut self, directory: Number, name: &OsStr, subject: Number) {
        self.change(Change { subject, from: Some((directory, name.to_owned())), to: None });
    }

    /// Moves a name, over another one if there is one.
    pub(crate) fn rename(&mut self, from: (Number, &OsStr), to: (Number, &OsStr), subject: Number) {
        let own = |(directory, name): (Number, &OsStr)| Some((directory, name.to_owned()));
        self.change(Change { subject, from: own(from), to: own(to) });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    /// Makes the names in a directory durable, and what must have happened before.
    pub(crate) fn sync(&mut self, directory: Number) {
        let keep: Vec<bool> = self.pending.iter().map(|change| change.touches(directory)).collect();
        let keep = self.with_those_before(keep);
        let mut keep = keep.into_iter();
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let kept = keep.next().unwrap_or(false);
            if kept {
                change.apply(durable);
            }
            !kept
        });
    }

    /// Adds the earlier changes of the same subjects.
    fn with_those_before(&self, mut keep: Vec<bool>) -> Vec<bool> {
        let mut subjects = BTreeSet::new();
        for (change, keep) in self.pending.iter().zip(&mut keep).rev() {
            *keep |= subjects.contains(&change.subject);
            if *keep {
                subjects.insert(change.subject);
            }
        }
        keep
    }

    /// What a power cut leaves.
    pub(crate) fn cut(&self, random: &mut Rng) -> Self {
        let count = self.pending.len();
        let until = random.usize(..=count);
        let keep: Vec<bool> = match random.u8(..4) {
            0 => vec![false; count],
            1 => (0..count).map(|at| at < until).collect(),
            _ => {
                // One that is lost takes the later ones of its subject along.
                let mut lost = BTreeSet::new();
                self.pending
                    .iter()
                    .map(|change| {
                        let kept = random.bool() && !lost.contains(&change.subject);
                        if !kept {
                            lost.insert(change.subject);
                        }
                        kept
                    })
                    .collect()
            }
        };
        let mut left = self.durable.clone();
        for (change, _) in self.pending.iter().zip(keep).filter(|(_, keep)| *keep) {
            change.apply(&mut left);
        }
        Self { seen: left.clone(), durable: left, pending: Vec::new() }
    }

    /// Everything that a path leads to from a directory, itself included, with the number of its names.
    pub(crate) fn reachable(&self, root: Number) -> BTreeMap<Number, u32> {
        let mut found = BTreeMap::from([(root, 1)]);
        let mut waiting = vec![root];
        while let Some(directory) = waiting.pop() {
            for (_, number) in self.list(directory) {
                let links = found.entry(number).or_insert(0);
                *links += 1;
                if *links == 1 {
                    waiting.push(number);
                }
            }
        }
        found
    }

    /// Forgets the directories that nothing leads to.
    pub(crate) fn keep(&mut self, reachable: &BTreeMap<Number, u32>) {
        self.seen.retain(|directory, _| reachable.contains_key(directory));
        self.durable.retain(|directory, _| reachable.contains_key(directory));
    }
}
