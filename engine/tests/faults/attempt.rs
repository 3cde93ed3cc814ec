//! One fault: what becomes of what was asked for, and what is left when the disk is well again.

use std::{collections::BTreeSet, fs, path::Path};

use resplit_engine::{
    protocol::{Answer, AnswerRequest, LeftoverKind, RecordVerb, RunStatus},
    service::Service,
};
use resplit_operations::{
    ids::BackupId,
    pair::PairStatus,
    record::{Medium, Record, TapeState},
};
use resplit_test_disk::Fault;

use crate::{
    bed::{Bed, Point},
    life::{Asked, Life},
};

/// What came of a fault.
pub(crate) struct Came {
    /// Whether a call was the one that was to fail.
    pub(crate) met: bool,
    /// How the first ended that did not end well: the engine's start, the backup, or the restore.
    pub(crate) ended: &'static str,
    /// What became of the last run that had not ended well, once the disk was well again.
    pub(crate) resumed: Option<&'static str>,
}

pub(crate) fn attempt(bed: &Bed, point: &Point) -> Came {
    let laid = bed.lay();
    bed.change(&point.to_string());
    let disk = laid.disk(point.place);
    disk.inject(Fault { kind: None, nth: point.nth, error: point.error, lasting: point.lasting });
    let (asked, ended) = disturbed(bed);
    let met = disk.lift() > 0;
    assert!(met || ended == "done", "{ended}, although nothing failed: {asked:?}");

    let life = Life::open(&bed.root()).unwrap_or_else(|text| panic!("no engine opens it: {text}"));
    assert!(life.is_whole(), "the store is damaged");
    let resumed = take_up(&life);
    let backups = on_tape(&life);
    assert!(backups.len() >= 2, "what was on tape before is lost: {backups:?}");
    let is_backed_up = asked.first() == Some(&Asked::Done);
    assert!(!is_backed_up || backups.len() > 2, "a backup that was done is not there");
    assert_left(bed, &life, false);

    // Of each pair, so that nothing of what failed is left in any.
    for _ in 0..2 {
        let again = life.perform(bed.backup());
        assert_eq!(again, Asked::Done, "the next backup");
    }
    let restored = life.perform(bed.restore());
    assert_eq!(restored, Asked::Done, "the next restore");
    assert_left(bed, &life, true);
    assert_true(bed, &life);
    life.close().unwrap_or_else(|error| panic!("the store does not close: {error}"));
    Came { met, ended, resumed }
}

/// An engine starts, makes a backup and restores it, and is ended, while a call fails.
fn disturbed(bed: &Bed) -> (Vec<Asked>, &'static str) {
    let life = match Life::open(&bed.root()) {
        Ok(life) => life,
        Err(text) => return (vec![Asked::Refused(text)], "not started"),
    };
    let mut asked = Vec::new();
    for submit in [bed.backup(), bed.restore()] {
        asked.push(life.perform(submit));
        if asked.last() == Some(&Asked::Ended) {
            break;
        }
    }
    // Whatever the disk says to that, the next engine opens what is there.
    let closed = life.close();
    let bad = asked.iter().find(|asked| **asked != Asked::Done).map(Asked::word);
    let ended = bad.unwrap_or(if closed.is_ok() { "done" } else { "not closed" });
    (asked, ended)
}

/// Does what an operator does: takes up again what has failed, has asked again what could not be told, and gives up what
/// was to go to tape and does not.
fn take_up(life: &Life) -> Option<&'static str> {
    let mut resumed = None;
    let mut runs = life.settled();
    runs.reverse();
    for run in runs {
        if let RunStatus::Parked { questions } = run.status {
            for step in questions.into_keys() {
                let answer = AnswerRequest { step, answer: Answer::Redo };
                life.ask(life.offer.answer(run.run.clone(), answer)).unwrap();
            }
            resumed = Some("answered");
        } else if matches!(run.status, RunStatus::Failed { .. }) {
            match life.resume(&run.run) {
                Asked::Done => resumed = Some("resumed"),
                Asked::Failed(_) | Asked::Refused(_) => resumed = Some("made anew"),
                other => panic!("resumed, {} is {other:?}", run.run),
            }
        }
    }
    for run in life.settled() {
        let is_parked = matches!(run.status, RunStatus::Parked { .. });
        assert!(!is_parked, "it is asked again what can be told now: {:?}", run.status);
    }
    for record in life.ask(life.offer.catalog()).unwrap() {
        if record.tape == TapeState::Wanted && record.is_current() {
            // That of the same backup may have been waived with it.
            let _ = life.ask(life.offer.record(record.id, RecordVerb::Waive));
        }
    }
    resumed
}

/// Asserts that nothing is left that an engine has to undo; once all rests again, nothing at all.
fn assert_left(bed: &Bed, life: &Life, rests: bool) {
    let left = life.ask(life.offer.leftovers(bed.leftovers())).unwrap();
    let ends = |kind| {
        matches!(kind, LeftoverKind::Pair | LeftoverKind::TemporaryFile | LeftoverKind::UnclosedDataset)
    };
    let wrong: Vec<_> = left.iter().filter(|row| rests || !ends(row.kind) || row.next.is_empty()).collect();
    assert!(wrong.is_empty(), "left behind: {wrong:?}");
}

/// Asserts that every record describes what is there, and that what was backed up last is what was restored.
fn assert_true(bed: &Bed, life: &Life) {
    let world = life.ask(life.offer.world(bed.world())).unwrap();
    let pairs: Vec<_> = world.pairs.iter().map(|view| (&view.pair, view.state.as_ref().unwrap())).collect();
    let on_disk = |record: &&Record| record.medium == Medium::Disk && record.is_current();
    for record in world.catalog.iter().filter(on_disk) {
        for image in &record.origin.images {
            let (_, state) = pairs.iter().find(|(pair, _)| pair.copy_group == image.copy_group).unwrap();
            assert_eq!((image.epoch, PairStatus::Psus), (state.epoch, state.status), "{record:?}");
        }
    }
    let on_tape: Vec<_> = world.catalog.iter().filter(|r| matches!(r.medium, Medium::Tape(_))).collect();
    let originals: BTreeSet<BackupId> = on_tape.iter().map(|record| record.origin.original_id).collect();
    assert_eq!(originals.len(), on_tape.len(), "on tape twice");
    let cartridges = world.cartridges.values().flat_map(|cartridges| cartridges.as_ref().unwrap());
    let datasets: u64 = cartridges.map(|cartridge| u64::from(cartridge.datasets)).sum();
    assert_eq!(datasets, on_tape.len() as u64, "each dataset has its record");
    let (newest, _) = pairs.iter().max_by_key(|(_, state)| state.backed_up).unwrap();
    assert_eq!(tree(&newest.secondary.join("data")), tree(&bed.root().join("documents")));
}

/// The backups on tape, by original ID.
fn on_tape(life: &Life) -> BTreeSet<BackupId> {
    let records = life.ask(life.offer.catalog()).unwrap();
    let on_tape = records.iter().filter(|record| matches!(record.medium, Medium::Tape(_)));
    on_tape.map(|record| record.origin.original_id).collect()
}

/// A tree, an entry a line: names, and what is in them.
fn tree(root: &Path) -> Vec<String> {
    let (mut lines, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let (shown, kind) =
                (path.strip_prefix(root).unwrap().to_owned(), path.symlink_metadata().unwrap());
            let content = if kind.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else if kind.is_dir() {
                open.push(path);
                String::new()
            } else {
                blake3::hash(&fs::read(&path).unwrap()).to_string()
            };
            lines.push(format!("{} {content}", shown.display()));
        }
    }
    lines.sort();
    lines
}
