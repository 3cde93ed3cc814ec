//! Which generation a backup goes to, what that costs, and which cartridge it would go to.

use resplit_operations::{pair::PairStatus, record::TapeState};

use super::world::{Wanted, cartridge, locked, made, on_tape, record, stale, with_tape};
use crate::protocol::World;

#[test]
fn the_least_recently_backed_up_generation_is_chosen() {
    let world = made(&Wanted::Backup);
    assert_eq!(world.generation(), 0, "of pairs that never were, the first");
    assert_eq!(world.decide().unwrap().order, 1);
    let world = made(&Wanted::Backup).used();
    assert_eq!(world.generation(), 0);
    assert_eq!(world.decide().unwrap().order, 4);
    let world = world.pair(&["D0,v", "P0,v"], PairStatus::Psus, 4);
    assert_eq!(world.generation(), 1);
}

#[test]
fn a_generation_is_as_recent_as_its_most_recent_pair() {
    // A backup of one volume alone has used D0 since.
    let world = made(&Wanted::Backup).used().pair(&["D0,v"], PairStatus::Psus, 9);
    assert_eq!(world.generation(), 1);
}

#[test]
fn a_pair_in_any_status_but_rcpy_may_be_chosen() {
    for status in [PairStatus::Smpl, PairStatus::Copy, PairStatus::Pair, PairStatus::Psue] {
        assert_eq!(made(&Wanted::Backup).used().pair(&["D0,v", "P0,v"], status, 0).generation(), 0);
    }
    let world = made(&Wanted::Backup).used().pair(&["P0,v"], PairStatus::Rcpy, 0);
    assert_eq!(world.generation(), 1, "a restore from it has not ended");
}

#[test]
fn a_lock_on_either_host_keeps_the_whole_generation() {
    for host in ["fileserver", "backupserver"] {
        for by in [None, Some("other-7")] {
            let world = made(&Wanted::Backup).used().with(host, locked(record(1, 1, 0), by));
            assert_eq!(world.generation(), 1, "{host} {by:?}");
        }
    }
    let own = made(&Wanted::Backup).used().with("backupserver", locked(record(1, 1, 0), Some("documents-1")));
    assert_eq!(own.generation(), 0, "a run's own lock does not hinder it");
}

#[test]
fn when_all_are_kept_every_reason_is_told() {
    let world = made(&Wanted::Backup)
        .used()
        .with("fileserver", locked(record(1, 1, 0), None))
        .with("fileserver", with_tape(record(2, 2, 1), TapeState::Wanted))
        .pair(&["D2,v"], PairStatus::Rcpy, 3);
    let told = world.refusal();
    for reason in [
        "locked with backup 0000000001",
        "wanted on tape",
        "RCPY",
        "catalog unlock fileserver:0000000001",
        "catalog waive fileserver:0000000002",
    ] {
        assert!(told.contains(reason), "{reason}: {told}");
    }
}

#[test]
fn an_image_that_is_wanted_on_tape_is_kept_from_other_runs() {
    let wanted = |run: &str| {
        let mut world =
            made(&Wanted::Backup).used().with("fileserver", with_tape(record(1, 5, 0), TapeState::Wanted));
        world.run = Some(run.into());
        world.generation()
    };
    assert_eq!(wanted("documents-9"), 1);
    assert_eq!(wanted("documents-5"), 0, "the run that made it may make it anew");
    let world =
        made(&Wanted::Backup).used().with("fileserver", stale(with_tape(record(1, 5, 0), TapeState::Wanted)));
    assert_eq!(world.generation(), 0, "of an image that is gone nothing can be put on tape");
}

#[test]
fn a_tape_that_is_waived_on_one_host_is_waived_on_both() {
    let both = |here: TapeState, there: TapeState| {
        made(&Wanted::Backup)
            .used()
            .with("fileserver", with_tape(record(1, 5, 0), here))
            .with("backupserver", with_tape(record(8, 5, 0), there))
    };
    let done = || TapeState::Done { barcode: "VT0001".into() };
    assert_eq!(both(TapeState::Wanted, TapeState::Wanted).generation(), 1);
    assert_eq!(both(TapeState::Waived, TapeState::Wanted).generation(), 0);
    assert_eq!(both(TapeState::Wanted, TapeState::Waived).generation(), 0);
    assert_eq!(both(TapeState::Wanted, done()).generation(), 0, "it is there, and only one host knows yet");
    let another = made(&Wanted::Backup)
        .used()
        .with("fileserver", with_tape(record(1, 5, 0), TapeState::Wanted))
        .with("backupserver", with_tape(record(8, 4, 0), TapeState::Waived));
    assert_eq!(another.generation(), 1, "another backup's does not count");
    let told = both(TapeState::Waived, TapeState::Wanted).decide().unwrap().evictions;
    assert_eq!(told.len(), 1, "the steps know from it that it goes: {told:?}");
}

#[test]
fn a_generation_that_is_asked_for_is_taken_or_refused() {
    let mut world = made(&Wanted::Backup).used();
    world.options.generation = Some(2);
    assert_eq!(world.generation(), 2);
    world.options.generation = Some(u32::MAX);
    assert!(world.refusal().contains("there is no generation 4294967295: the pairs are numbered 0 to 2"));
    world.options.generation = Some(0);
    let world = world.with("backupserver", locked(record(1, 1, 0), None));
    assert!(world.refusal().contains("D0,v is locked"), "{}", world.refusal());
}

#[test]
fn each_backup_that_goes_is_told_once_and_those_on_tape_stay() {
    let world = made(&Wanted::Backup)
        .used()
        .with("fileserver", with_tape(record(1, 1, 0), TapeState::Done { barcode: "VT0001".into() }))
        .with("backupserver", record(4, 1, 0))
        .with("backupserver", on_tape(record(5, 1, 0)))
        .with("fileserver", record(2, 2, 1))
        .with("backupserver", stale(record(3, 0, 0)));
    let going = world.decide().unwrap().evictions;
    assert_eq!(going.len(), 1, "{going:?}");
    assert_eq!((going[0].host.as_str(), going[0].id.0), ("fileserver", 1));
    assert_eq!(going[0].on_tape.as_ref().map(resplit_operations::ids::Barcode::as_str), Some("VT0001"));
}

#[test]
fn the_largest_order_that_a_damaged_pair_can_name_is_no_panic() {
    let world = made(&Wanted::Backup).used().pair(&["D2,v"], PairStatus::Psus, u64::MAX);
    assert_eq!(world.generation(), 0);
    assert_eq!(world.decide().unwrap().order, u64::MAX);
}

#[test]
fn a_pair_that_cannot_be_asked_is_not_chosen() {
    let mut world = made(&Wanted::Backup).used();
    let view = &mut world.worlds.get_mut(&"fileserver".into()).unwrap().pairs[0];
    view.state = Err(resplit_steps::failure::Failure::permanent("pair.json is damaged"));
    assert_eq!(world.generation(), 1);
    let world = super::world::Made { worlds: [("fileserver".into(), World::default())].into(), ..world };
    assert!(world.refusal().contains("nobody was asked about pair"), "{}", world.refusal());
}

#[test]
fn the_first_cartridge_of_the_pool_with_room_is_named() {
    let choose = |cartridges: Vec<_>, bound| {
        let mut world = made(&Wanted::Backup);
        world.worlds.get_mut(&"backupserver".into()).unwrap().cartridges =
            [("vault".into(), Ok(cartridges))].into();
        world.bound = bound;
        world.decide().map(|binding| binding.cartridge.unwrap().0).map_err(|failure| failure.message)
    };
    let (full, other) = (cartridge("A", Some("documents"), 1 << 30), cartridge("B", Some("other"), 0));
    let (blank, ours) = (cartridge("C", None, 0), cartridge("D", Some("documents"), 1 << 20));
    let all = vec![full.clone(), other.clone(), blank.clone(), ours.clone()];
    assert_eq!(choose(all.clone(), 1).unwrap(), "D", "the pool's before a blank one");
    assert_eq!(choose(all.clone(), 1 << 30).unwrap(), "C", "a blank one where the pool's have no room");
    assert!(choose(all, (1 << 30) + 7).unwrap_err().contains("lacks 7 bytes"));
    assert!(choose(vec![other], 1).unwrap_err().contains("is blank or in pool 'documents'"));
    let mut damaged = blank;
    damaged.unusable = Some("foreign".to_owned());
    assert!(choose(vec![damaged, full], 1).is_err());
}
