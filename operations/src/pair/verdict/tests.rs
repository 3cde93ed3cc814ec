//! The tables against the manuals' words, and against each other.

use super::{
    ArrayStatus::{self, Copy, Pair, Pful, Pfus, Psue, Psus, Rcpy, Smpl, Splitting, Ssws},
    ArrayVerb::{self, Create, Delete, Restore, Resync, Split, SplitFenced, SwapResync},
    CopyType::{self, ShadowImage, ThinImage, TrueCopy, UniversalReplicator},
    Refusal, Source, Verdict, sourced, table, verdict,
};
use crate::pair::PairStatus;

fn done(at_once: ArrayStatus, finally: ArrayStatus) -> Verdict {
    Verdict::Done { at_once, finally }
}

const REJECTED: Verdict = Verdict::Rejected(Refusal::Status);

#[test]
fn every_row_has_every_column() {
    for copy_type in CopyType::ALL {
        assert!(table::is_complete(copy_type), "{copy_type:?}");
    }
}

#[test]
fn accepted_is_not_done() {
    let nothing = Verdict::WithoutEffect;
    assert_eq!(verdict(ShadowImage, Split, Psus), nothing);
    assert_eq!(verdict(ShadowImage, Split, Psue), nothing);
    assert_eq!(verdict(ShadowImage, Resync, Pair), nothing);
    assert_eq!(verdict(ShadowImage, Create, Copy), nothing);
    assert_eq!(verdict(ThinImage, Split, Psue), REJECTED);
    for copy_type in CopyType::ARRAYS {
        assert_eq!(verdict(copy_type, Delete, Smpl), nothing);
        assert_eq!(verdict(copy_type, Resync, Smpl), REJECTED);
        assert_eq!(verdict(copy_type, Split, Smpl), REJECTED);
        assert_eq!(verdict(copy_type, Resync, Psus), done(Copy, Pair));
    }
}

#[test]
fn a_quick_split_is_neither_restored_nor_dissolved_before_its_copy_has_ended() {
    assert_eq!(verdict(ShadowImage, Restore, Splitting), REJECTED);
    assert_eq!(sourced(ShadowImage, Delete, Splitting), (REJECTED, Source::Disputed));
    assert_eq!(verdict(ShadowImage, Restore, Psus), done(Rcpy, Pair));
    assert_eq!(PairStatus::from(Splitting), PairStatus::Copy);
}

#[test]
fn a_pair_that_was_taken_over_is_only_swapped() {
    assert_eq!(verdict(UniversalReplicator, Resync, Ssws), REJECTED);
    assert_eq!(verdict(UniversalReplicator, SwapResync, Ssws), done(Copy, Pair));
    assert_eq!(PairStatus::from(Ssws), PairStatus::Psue);
}

#[test]
fn a_verb_of_another_copy_type_is_not_offered() {
    let not_offered = Verdict::Rejected(Refusal::NotOffered);
    assert_eq!(verdict(TrueCopy, Restore, Psus), not_offered);
    assert_eq!(verdict(ShadowImage, SplitFenced, Pair), not_offered);
    assert_eq!(verdict(ThinImage, SwapResync, Psus), not_offered);
}

#[test]
fn over_a_threshold_is_still_paired_or_split() {
    for copy_type in CopyType::ALL {
        for verb in ArrayVerb::ALL {
            assert_eq!(verdict(copy_type, verb, Pful), verdict(copy_type, verb, Pair));
            assert_eq!(verdict(copy_type, verb, Pfus), verdict(copy_type, verb, Psus));
        }
    }
}

#[test]
fn drivers_of_ours_create_by_resync_and_end_no_restore_but_by_restoring() {
    for copy_type in CopyType::ALL.into_iter().filter(|one| one.is_ours()) {
        for status in [Smpl, Copy, Pair, Psus, Psue] {
            assert_eq!(verdict(copy_type, Resync, status), done(Pair, Pair), "{status:?}");
        }
        for verb in [Create, Resync, Split, Delete] {
            assert_eq!(verdict(copy_type, verb, Rcpy), REJECTED);
        }
        assert_eq!(verdict(copy_type, Restore, Rcpy), done(Psus, Psus));
        assert_eq!(verdict(copy_type, SwapResync, Psus), Verdict::Rejected(Refusal::NotOffered));
        assert_eq!(sourced(copy_type, Split, Pair), (done(Psus, Psus), Source::Driver));
    }
    assert!(CopyType::ARRAYS.iter().all(|one| !one.is_ours()));
}

#[test]
fn what_is_done_ends_in_a_status_of_rest() {
    for copy_type in CopyType::ALL {
        for verb in ArrayVerb::ALL {
            for status in ArrayStatus::ALL {
                if let Verdict::Done { finally, .. } = verdict(copy_type, verb, status) {
                    assert!(matches!(finally, Smpl | Pair | Psus | Psue), "{copy_type:?} {verb} {status:?}");
                }
            }
        }
    }
}
