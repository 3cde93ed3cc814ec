//! Evictions and stale marks of what overwrites an image.

use jiff::Timestamp;
use resplit_operations::{
    action::{Action, Nothing, ResyncStep, VolumeStep},
    bound::Eviction,
    record::{CatalogChange, Lock, Medium, Record, TapePlace, TapeState},
};

use super::world::{World, record, stale};

fn purge() -> Action {
    Action::PurgeCache(VolumeStep { volume: "v".into() })
}

fn resync() -> Action {
    Action::Resync(ResyncStep { volume: "v".into(), pace: None })
}

/// What an intent changes: `evict 1`, `stale 2`.
fn changes(world: &World, action: &Action) -> Vec<String> {
    let word = |change: &CatalogChange| match change {
        CatalogChange::Evict { id, .. } => format!("evict {}", id.0),
        CatalogChange::MarkStale { id, .. } => format!("stale {}", id.0),
        other => panic!("{other:?}"),
    };
    world.prepare(action).unwrap().changes.iter().map(word).collect()
}

fn wanted(record: Record) -> Record {
    Record { tape: TapeState::Wanted, ..record }
}

fn on_tape(record: Record) -> Record {
    let (library, barcode) = ("vault".into(), "VT0001".into());
    Record {
        medium: Medium::Tape(TapePlace { library, barcode, dataset: 1, bytes: 1, expires: None }),
        ..record
    }
}

fn elsewhere(mut record: Record) -> Record {
    record.origin.images[0].copy_group = "B,v".into();
    record
}

fn filled(host: &str) -> World {
    World::at(host)
        .with(record(1, 1))
        .with(stale(record(2, 2)))
        .with(on_tape(record(3, 1)))
        .with(elsewhere(record(4, 4)))
}

#[test]
fn a_resync_evicts_whole_records_of_its_pair_and_no_dataset() {
    assert_eq!(changes(&filled("fileserver"), &resync()), ["evict 1", "evict 2"]);
}

#[test]
fn a_purge_marks_what_is_current_on_the_secondarys_host_and_nothing_on_the_primarys() {
    assert_eq!(changes(&filled("backupserver"), &purge()), ["stale 1"]);
    assert!(changes(&filled("fileserver"), &purge()).is_empty(), "there the resync evicts");
}

#[test]
fn a_lock_or_a_tape_that_is_wanted_keeps_the_image() {
    for (host, action) in [("fileserver", resync()), ("backupserver", purge())] {
        for run in [None, Some("documents-1".into())] {
            let lock = Some(Lock { run, since: Timestamp::UNIX_EPOCH });
            let failure = World::at(host).with(Record { lock, ..record(1, 1) }).prepare(&action).unwrap_err();
            assert!(failure.message.contains("is locked by"), "{failure}");
            assert_eq!(failure.help.unwrap(), format!("resplit catalog unlock {host}:0000000001"));
        }
        let failure = World::at(host).with(wanted(record(1, 1))).prepare(&action).unwrap_err();
        assert!(failure.message.contains("wanted on tape"), "{failure}");
        assert!(failure.help.unwrap().contains(&format!("resplit catalog waive {host}:0000000001")));
    }
}

#[test]
fn a_tape_that_was_given_up_on_another_host_keeps_nothing_here() {
    let going = |original| Eviction {
        host: "fileserver".into(),
        id: record(1, original).id,
        original_id: record(1, original).origin.original_id,
        started: record(1, original).origin.started,
        on_tape: None,
    };
    let mut world = World::at("backupserver").with(wanted(record(7, 1)));
    world.binding.evictions = vec![going(1)];
    assert_eq!(changes(&world, &purge()), ["stale 7"]);
    world.binding.evictions = vec![going(2)];
    assert!(world.prepare(&purge()).is_err(), "it was decided about another backup");
    world.binding.evictions = vec![going(1)];
    world.catalog[0].lock = Some(Lock { run: None, since: Timestamp::UNIX_EPOCH });
    assert!(world.prepare(&purge()).is_err(), "a lock is another matter");
}

#[test]
fn a_stale_record_is_not_mounted_and_one_of_another_epoch_neither() {
    let mount = Action::Mount(Nothing {});
    let mounted = |change: fn(Record) -> Record| {
        let mut world = World::at("fileserver").with(change(record(1, 1)));
        world.facts.record = Some(record(1, 1));
        world.prepare(&mount)
    };
    let intent = mounted(|record| record).unwrap();
    assert_eq!(
        (intent.changes.len(), intent.obligations.len()),
        (1, 1),
        "a lock, and the duty to take it off"
    );
    assert!(mounted(stale).unwrap_err().message.contains("is stale"));
    let changed = |mut record: Record| {
        record.origin.images[0].epoch = 2;
        record
    };
    assert!(mounted(changed).unwrap_err().message.contains("no longer holds the image"));
    let locked = |record| {
        let lock = Some(Lock { run: Some("other-1".into()), since: Timestamp::UNIX_EPOCH });
        Record { lock, ..record }
    };
    assert!(mounted(locked).unwrap_err().message.contains("is mounted by run other-1"));
}
