//! The status of a group whose members differ, as the field's check of a group says it.

use super::ArrayStatus::{self, Copy, Pair, Pdub, Pful, Pfus, Psue, Psus, Rcpy, Smpl, Splitting, Ssws};

/// From which side a group is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The primaries (`pairvolchk`).
    Primary,
    /// The secondaries (`pairvolchk -ss`).
    Secondary,
}

/// What is said of primaries, by the first of them that there is.
const PRIMARY: [ArrayStatus; 11] = [Copy, Rcpy, Splitting, Psue, Ssws, Pdub, Pfus, Psus, Pful, Pair, Smpl];
/// What is said of secondaries. One that still follows its primary is told before those that are split: a group that is
/// half split is PAIR, seen from there, and PSUS, seen from the primaries.
const SECONDARY: [ArrayStatus; 11] = [Copy, Rcpy, Splitting, Psue, Ssws, Pdub, Pful, Pair, Pfus, Psus, Smpl];

/// The status of a group: the first, in the order of the field, that any member has. `None` if the group has no member,
/// or if some are SMPL and others are not, which the field refuses as unmatched (`EX_ENQVOL`).
///
/// Source: CCI User and Reference Guide MK-90RD011, Table 4.15. SSWS stands where PSUE does, as in
/// [`PairStatus`](crate::pair::PairStatus): the table has no row for it.
pub fn group_status(members: &[ArrayStatus], side: Side) -> Option<ArrayStatus> {
    let singles = members.iter().filter(|status| **status == Smpl).count();
    if singles != 0 && singles != members.len() {
        return None;
    }
    let order = match side {
        Side::Primary => PRIMARY,
        Side::Secondary => SECONDARY,
    };
    order.into_iter().find(|status| members.contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_half_split_is_told_by_the_side() {
        let half = [Pair, Psus, Pair];
        assert_eq!(group_status(&half, Side::Primary), Some(Psus));
        assert_eq!(group_status(&half, Side::Secondary), Some(Pair));
        assert_eq!(group_status(&[Pful, Pfus], Side::Primary), Some(Pfus));
        assert_eq!(group_status(&[Pful, Pfus], Side::Secondary), Some(Pful));
    }

    #[test]
    fn what_is_being_copied_or_broken_is_told_before_what_is_at_rest() {
        for side in [Side::Primary, Side::Secondary] {
            assert_eq!(group_status(&[Psus, Psue, Copy, Pair], side), Some(Copy));
            assert_eq!(group_status(&[Psus, Psue, Rcpy], side), Some(Rcpy));
            assert_eq!(group_status(&[Psus, Pdub, Psue, Pair], side), Some(Psue));
            assert_eq!(group_status(&[Psus, Pdub, Pair], side), Some(Pdub));
            assert_eq!(group_status(&[Smpl, Smpl], side), Some(Smpl));
            assert_eq!(group_status(&[Smpl, Pair], side), None);
            assert_eq!(group_status(&[], side), None);
            for status in ArrayStatus::ALL {
                assert_eq!(group_status(&[status; 2], side), Some(status), "the order names each");
            }
        }
    }
}
