//! Which backup a restore restores, and onto which pair.

use resplit_operations::{
    pair::PairStatus,
    record::{Record, TapeState},
};

use super::world::{Made, Wanted, locked, made, on_tape, record, stale, with_tape};

fn source(world: &Made) -> (String, u64) {
    let source = world.decide().unwrap().source.unwrap();
    (source.host.to_string(), source.record.id.0)
}

/// Three backups on both hosts, the last two on tape too.
fn three(wanted: &Wanted) -> Made {
    (0..3).fold(made(wanted).used(), |world, generation| {
        let original = u64::from(generation) + 1;
        let world = world
            .with("fileserver", record(original, original, generation))
            .with("backupserver", record(original + 10, original, generation));
        if generation == 0 {
            world
        } else {
            world.with("backupserver", on_tape(record(original + 20, original, generation)))
        }
    })
}

#[test]
fn the_newest_is_restored_as_the_coordinator_knows_it() {
    assert_eq!(source(&three(&Wanted::Disk)), ("fileserver".to_owned(), 3));
    assert_eq!(source(&three(&Wanted::Tape)), ("backupserver".to_owned(), 23));
    assert_eq!(three(&Wanted::Disk).generation(), 2);
}

#[test]
fn a_backup_is_named_by_host_and_id_or_the_coordinators_is_meant() {
    assert_eq!(source(&three(&Wanted::Disk).asked(Some("fileserver"), 1)), ("fileserver".to_owned(), 1));
    assert_eq!(
        source(&three(&Wanted::Disk).asked(Some("backupserver"), 11)),
        ("backupserver".to_owned(), 11)
    );
    assert_eq!(source(&three(&Wanted::Disk).asked(None, 2)), ("fileserver".to_owned(), 2));
    assert_eq!(source(&three(&Wanted::Disk).asked(None, 12)), ("backupserver".to_owned(), 12));
    assert!(three(&Wanted::Disk).asked(Some("fileserver"), 12).refusal().contains("no catalog has a backup"));
    // 1 on the backup server is something else.
    let world = three(&Wanted::Disk).with("backupserver", record(1, 3, 2));
    assert_eq!(source(&world.asked(None, 1)), ("fileserver".to_owned(), 1));
}

#[test]
fn one_that_is_named_by_its_place_on_disk_is_found_on_tape() {
    assert_eq!(source(&three(&Wanted::Tape).asked(None, 2)), ("backupserver".to_owned(), 22));
    assert_eq!(
        source(&three(&Wanted::Disk).asked(None, 22)),
        ("fileserver".to_owned(), 2),
        "and the other way"
    );
    let told = three(&Wanted::Tape).asked(None, 1).refusal();
    assert!(told.contains("backup 0000000001 of fileserver is not, or no longer, on tape"), "{told}");
}

#[test]
fn what_is_stale_or_of_another_operation_is_not_restored() {
    let world = made(&Wanted::Disk).used().with("fileserver", stale(record(1, 1, 0)));
    assert!(world.refusal().contains("there is no backup of documents on disk"));
    let world = world.asked(None, 1);
    assert!(world.refusal().contains("not, or no longer, on disk"), "{}", world.refusal());
    let mut other = record(1, 1, 0);
    other.origin.operation = "mail".into();
    let world = made(&Wanted::Disk).used().with("fileserver", other);
    assert!(world.refusal().contains("there is no backup of documents"));
    assert!(world.asked(None, 1).refusal().contains("is of operation 'mail'"));
}

#[test]
fn an_image_of_another_epoch_or_pair_is_gone() {
    let changed = |change: fn(&mut Record)| {
        let mut record = record(1, 1, 0);
        change(&mut record);
        made(&Wanted::Disk).used().with("fileserver", record).refusal()
    };
    assert!(changed(|record| record.origin.images[1].epoch = 2).contains("P0,v no longer holds the image"));
    assert!(changed(|record| record.origin.images[0].copy_group = "X0,v".into()).contains("no longer holds"));
    for status in [PairStatus::Pair, PairStatus::Copy, PairStatus::Psue, PairStatus::Smpl] {
        let world =
            made(&Wanted::Disk).pair(&["D0,v", "P0,v"], status, 1).with("fileserver", record(1, 1, 0));
        assert!(world.refusal().contains("it has no image at rest"), "{status}");
    }
    let half =
        made(&Wanted::Disk).used().pair(&["D0,v"], PairStatus::Rcpy, 1).with("fileserver", record(1, 1, 0));
    assert_eq!(half.generation(), 0, "a restore that was interrupted may be made again");
}

#[test]
fn a_locked_image_is_not_copied_back_but_may_be_read() {
    let kept = || locked(record(1, 1, 0), None);
    let told = made(&Wanted::Disk).used().with("fileserver", kept()).refusal();
    assert!(told.contains("is locked"), "{told}");
    let world = made(&Wanted::FilesFromDisk).used().with("fileserver", kept());
    assert_eq!(world.generation(), 0);
    assert!(world.decide().unwrap().evictions.is_empty());
    let wanted = made(&Wanted::Disk).used().with("fileserver", with_tape(record(1, 5, 0), TapeState::Wanted));
    assert!(wanted.refusal().contains("wanted on tape"));
}

#[test]
fn from_tape_the_pair_it_was_on_is_overwritten_or_else_the_least_recent() {
    let world = three(&Wanted::Tape);
    assert_eq!(world.generation(), 2);
    let binding = world.decide().unwrap();
    assert_eq!(binding.order, 0, "a restore does not change the order of backups");
    assert_eq!(binding.evictions.len(), 1, "the image that is there goes, on whichever host it is told");
    assert_eq!(binding.evictions[0].original_id.0, 3);
    let world = world.with("backupserver", locked(record(30, 3, 2), None));
    assert_eq!(world.generation(), 0, "the pair it was on is kept");
    let mut world = three(&Wanted::Tape);
    world.options.generation = Some(1);
    assert_eq!(world.generation(), 1);
}

#[test]
fn files_from_tape_touch_no_pair() {
    let binding = three(&Wanted::FilesFromTape).decide().unwrap();
    assert!(binding.pairs.is_empty() && binding.evictions.is_empty());
    assert_eq!(binding.source.unwrap().record.id.0, 23);
}
