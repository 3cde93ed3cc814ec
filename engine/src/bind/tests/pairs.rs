//! What a verb on pairs is bound to, and what it costs.

use resplit_operations::{pair::PairStatus, plan::Purpose, record::TapeState};

use super::world::{Made, Wanted, locked, made, record, stale, with_tape};

fn asked(purpose: Purpose) -> Made {
    made(&Wanted::Pairs(purpose, 1)).used()
}

#[test]
fn the_pairs_that_were_named_are_bound_whichever_a_backup_would_choose() {
    let world = asked(Purpose::PairSplit);
    assert_eq!(world.generation(), 1);
    assert_eq!(world.decide().unwrap().order, 4, "its image is the newest of the volume");
    let mut unsaid = asked(Purpose::PairSplit);
    unsaid.options.pairs.clear();
    assert!(unsaid.refusal().contains("does not say which pair"));
}

#[test]
fn a_pair_that_is_kept_is_kept_from_every_verb() {
    for purpose in [Purpose::PairResync, Purpose::PairRestore, Purpose::PairDelete] {
        let told = asked(purpose).with("backupserver", locked(record(1, 1, 1), None)).refusal();
        assert!(told.contains("is locked"), "{told}");
        let wanted = with_tape(record(1, 5, 1), TapeState::Wanted);
        let told = asked(purpose).with("fileserver", wanted).refusal();
        assert!(told.contains("wanted on tape"), "{told}");
        let other = asked(purpose).with("fileserver", locked(record(1, 1, 0), None));
        assert_eq!(other.generation(), 1, "another generation's lock is none of its");
    }
}

#[test]
fn records_go_with_what_is_overwritten_and_stay_with_what_is_not() {
    for (purpose, evicted) in [
        (Purpose::PairCreate, 1),
        (Purpose::PairResync, 1),
        (Purpose::PairDelete, 1),
        (Purpose::PairSplit, 0),
        (Purpose::PairRestore, 0),
    ] {
        let world = asked(purpose).with("fileserver", record(1, 1, 1)).with("backupserver", record(9, 1, 1));
        assert_eq!(world.decide().unwrap().evictions.len(), evicted, "{purpose:?}");
    }
}

#[test]
fn what_pairs_reject_is_known_before_anything_is_touched() {
    let world = asked(Purpose::PairSplit);
    assert_eq!(
        world.rejections(),
        [
            "D1,v is PSUS, it is split already; split is rejected",
            "P1,v is PSUS, it is split already; split is rejected"
        ]
    );
    let half = asked(Purpose::PairSplit).pair(&["D1,v"], PairStatus::Pair, 2);
    assert_eq!(half.rejections().len(), 1, "of a group every member has to admit it");
    let both = asked(Purpose::PairSplit).pair(&["D1,v", "P1,v"], PairStatus::Pair, 2);
    assert!(both.rejections().is_empty());
    let create = asked(Purpose::PairCreate);
    assert!(create.rejections()[0].contains("it is a pair already"), "{:?}", create.rejections());
    let half_restored = asked(Purpose::PairDelete).pair(&["P1,v"], PairStatus::Rcpy, 2);
    assert!(half_restored.rejections()[0].starts_with("P1,v is RCPY, a restore from it has begun"));
}

#[test]
fn a_restore_is_of_the_record_that_describes_the_image_if_there_is_one() {
    let world = asked(Purpose::PairRestore);
    assert!(world.decide().unwrap().source.is_none());
    let known = asked(Purpose::PairRestore).with("fileserver", record(5, 1, 1));
    assert_eq!(known.decide().unwrap().source.unwrap().record.id.0, 5);
    let old = asked(Purpose::PairRestore).with("fileserver", stale(record(5, 1, 1)));
    assert!(old.decide().unwrap().source.is_none());
    let mut elsewhere = record(5, 1, 1);
    elsewhere.origin.images[0].epoch = 7;
    let apart = asked(Purpose::PairRestore).with("fileserver", elsewhere);
    assert!(apart.decide().unwrap().source.is_none(), "it does not describe all of the images");
}
