//! What a store holds after a cut, and what was found in all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use fastrand::Rng;
use resplit_engine::store::{Store, Table as Stored};
use resplit_test_disk::{Disk, Mounted};

use crate::writer::{Content, Cut, commit, content, options};

/// What was wrong.
enum Bad {
    /// It could not be opened or read.
    Refused(String),
    /// Acknowledged commits are missing.
    Lost(String),
    /// What is there is not what any commit left.
    Torn(String),
}

/// What was found after all cuts.
#[derive(Default)]
pub(crate) struct Table {
    cuts: u64,
    again: u64,
    bad: BTreeMap<&'static str, Vec<String>>,
}

impl Table {
    /// Opens the store after a cut; and after another one while it was being opened.
    pub(crate) fn add(&mut self, seed: u64, cut: &Cut) {
        let place = format!("RESPLIT_SEED={seed}, call {}", cut.call);
        self.cuts += 1;
        let mut random = Rng::with_seed((cut.seed ^ cut.call << 20) + self.cuts);
        let disk = cut.disk.cut(random.u64(..));
        let taken = Arc::new(Mutex::new(Vec::new()));
        // To open it and look into it takes about so many calls.
        disk.watch((0..2).map(|_| random.u64(1..340)), {
            let taken = Arc::clone(&taken);
            move |call, disk| taken.lock().unwrap().push((call, disk))
        });
        self.note(&place, opened(cut, &disk, cut.begun));
        for (call, disk) in std::mem::take(&mut *taken.lock().unwrap()) {
            self.again += 1;
            let place = format!("{place}, and again at call {call}");
            // The check commits one more.
            self.note(&place, opened(cut, &disk.cut(random.u64(..)), cut.begun + 1));
        }
    }

    /// Opens the store as it is, without a cut.
    pub(crate) fn add_whole(&mut self, seed: u64, cut: &Cut) {
        self.note(&format!("number {seed}, not cut"), opened(cut, &cut.disk, cut.begun));
    }

    fn note(&mut self, place: &str, opened: Result<(), Bad>) {
        let Err(bad) = opened else { return };
        let (kind, why) = match bad {
            Bad::Refused(why) => ("refused", why),
            Bad::Lost(why) => ("lost", why),
            Bad::Torn(why) => ("torn", why),
        };
        self.bad.entry(kind).or_default().push(format!("{kind}: {place}: {why}"));
    }

    pub(crate) fn bad(&self) -> usize {
        self.bad.values().map(Vec::len).sum()
    }

    pub(crate) fn first(&self) -> String {
        self.bad.values().flatten().take(5).cloned().collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn print(&self, what: &str) {
        let count = |kind| self.bad.get(kind).map_or(0, Vec::len);
        eprintln!(
            "{what}: {} power cuts, {} more during recovery: lost {}, torn {}, refused {}",
            self.cuts,
            self.again,
            count("lost"),
            count("torn"),
            count("refused")
        );
    }
}

/// Opens a store, compares what it holds with what was committed, and commits once more.
fn opened(cut: &Cut, disk: &Disk, begun: u64) -> Result<(), Bad> {
    let mounted: Mounted = disk.mount_or_skip().unwrap();
    let refused = |error| Bad::Refused(format!("{error}"));
    let (store, opened) = Store::open_with(&mounted.path().join("state"), options()).map_err(refused)?;
    let last: Option<String> = store.get(Stored::Meta, "last").map_err(refused)?;
    let last = last.map_or(0, |last| last.parse().unwrap());
    if last < cut.acknowledged {
        return Err(Bad::Lost(format!("{} acknowledged, {last} there", cut.acknowledged)));
    }
    if last > begun {
        return Err(Bad::Torn(format!("{begun} begun, {last} there")));
    }
    // One record a commit: the view and the log speak of the same.
    if opened.sequence != last {
        return Err(Bad::Torn(format!("the log ends with {}, the view with {last}", opened.sequence)));
    }
    if all(&store).map_err(refused)? != content(cut.seed, last) {
        return Err(Bad::Torn(format!("it holds something else than commit {last} left")));
    }
    let next = commit(&store, cut.seed, last + 1).map_err(refused)?;
    if next != last + 1 || all(&store).map_err(refused)? != content(cut.seed, next) {
        return Err(Bad::Torn(format!("commit {next} after {last} is not applied")));
    }
    Ok(())
}

fn all(store: &Store) -> Result<Content, resplit_engine::store::StoreError> {
    let mut all = Content::new();
    for table in [Stored::Meta, Stored::Runs, Stored::History] {
        all.extend(store.scan(table, "")?.into_iter().map(|(key, value)| ((table as u8, key), value)));
    }
    Ok(all)
}
