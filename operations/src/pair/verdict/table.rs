//! The tables, as the manuals print them, and that of our own drivers: a row for each status, a column for each verb.
//!
//! Sources: CCI User and Reference Guide MK-90RD7010, Table 6-4 for remote copies and Table 6-5 for full copies inside
//! an array; the command results of Thin Image for VSP G200 to G800; Thin Image User Guide, pair operations by status.

use super::{
    ArrayStatus::{self, Copy, Pair, Pdub, Psue, Psus, Rcpy, Smpl, Splitting, Ssws},
    ArrayVerb::{
        self, Create, CreateEqual, CreateSplit, Delete, Restore, Resync, Split, SplitFenced, Suspend,
        SwapResync,
    },
    CopyType, Refusal, Source, Verdict,
};

/// One cell.
#[derive(Clone, Copy)]
enum Cell {
    /// Goes there, at once.
    To(ArrayStatus),
    /// Goes to the first at once, and to the second when the copy has ended.
    Via(ArrayStatus, ArrayStatus),
    /// Accepted without effect.
    Nop,
    /// Rejected.
    Rej,
    /// As the other cell says; editions disagree.
    DisputedNop,
    /// As `Rej`; editions disagree.
    DisputedRej,
    /// As `Rej`, which follows from the text.
    InferredRej,
    /// From memory, each.
    MemoryNop,
    MemoryRej,
    MemoryVia(ArrayStatus, ArrayStatus),
}

use Cell::{DisputedNop, DisputedRej, InferredRej, MemoryNop, MemoryRej, MemoryVia, Nop, Rej, To, Via};

/// The answers of one copy type. A verb that is no column is not offered.
pub(super) struct Table {
    verbs: &'static [ArrayVerb],
    rows: &'static [(ArrayStatus, &'static [Cell])],
}

impl Table {
    pub(super) fn answer(&self, verb: ArrayVerb, status: ArrayStatus) -> (Verdict, Source) {
        let column = self.verbs.iter().position(|one| *one == verb);
        let Some(column) = column else { return (Verdict::Rejected(Refusal::NotOffered), Source::Inferred) };
        let row = self.rows.iter().find(|(one, _)| *one == status);
        // A status that this copy type does not have admits nothing.
        row.and_then(|(_, cells)| cells.get(column)).copied().unwrap_or(InferredRej).meaning()
    }
}

impl Cell {
    fn meaning(self) -> (Verdict, Source) {
        let rejected = Verdict::Rejected(Refusal::Status);
        match self {
            To(status) => (Verdict::Done { at_once: status, finally: status }, Source::Manual),
            Via(at_once, finally) => (Verdict::Done { at_once, finally }, Source::Manual),
            MemoryVia(at_once, finally) => (Verdict::Done { at_once, finally }, Source::Recollected),
            Nop => (Verdict::WithoutEffect, Source::Manual),
            DisputedNop => (Verdict::WithoutEffect, Source::Disputed),
            MemoryNop => (Verdict::WithoutEffect, Source::Recollected),
            Rej => (rejected, Source::Manual),
            DisputedRej => (rejected, Source::Disputed),
            InferredRej => (rejected, Source::Inferred),
            MemoryRej => (rejected, Source::Recollected),
        }
    }
}

pub(super) fn of(copy_type: CopyType) -> &'static Table {
    match copy_type {
        CopyType::ShadowImage => &SHADOW_IMAGE,
        CopyType::ThinImage => &THIN_IMAGE,
        CopyType::TrueCopy | CopyType::UniversalReplicator => &REMOTE,
        CopyType::Mirror | CopyType::Snapshot => &OURS,
    }
}

/// Table 6-5. The manual heads the column of the ordinary split with its `-C` option. It has no column for `-restore`:
/// that it needs PSUS, and the secondary's SSUS, is said in the text.
static SHADOW_IMAGE: Table = Table {
    verbs: &[Create, CreateSplit, Suspend, Split, Delete, Resync, Restore],
    rows: &[
        (Smpl, &[Via(Copy, Pair), Via(Copy, Psus), Rej, Rej, Nop, Rej, MemoryRej]),
        (Copy, &[Nop, Via(Copy, Psus), To(Psue), Via(Copy, Psus), To(Smpl), Nop, MemoryNop]),
        (Rcpy, &[Nop, MemoryRej, To(Psue), MemoryRej, To(Smpl), Nop, MemoryNop]),
        (Pair, &[Nop, Via(Copy, Psus), To(Psue), Via(Copy, Psus), To(Smpl), Nop, MemoryNop]),
        (Psus, &[Rej, Nop, To(Psue), Nop, To(Smpl), Via(Copy, Pair), MemoryVia(Rcpy, Pair)]),
        (Splitting, &[Rej, Nop, To(Psue), Nop, DisputedRej, Via(Copy, Pair), InferredRej]),
        (Psue, &[Rej, Nop, Nop, Nop, To(Smpl), Via(Copy, Pair), MemoryRej]),
    ],
};

/// As VSP G200 to G800 answer. `-E` on PSUE is without effect on XP24000 and in Table 6-6 (Copy-on-Write).
static THIN_IMAGE: Table = Table {
    verbs: &[Create, CreateSplit, Split, Resync, Restore, Delete, Suspend],
    rows: &[
        (Smpl, &[Via(Copy, Pair), Rej, Rej, Rej, Rej, Nop, Rej]),
        (Copy, &[Nop, Rej, Rej, Nop, Nop, Rej, Rej]),
        (Pair, &[Nop, To(Psus), To(Psus), Nop, Nop, To(Smpl), Rej]),
        (Psus, &[Rej, Nop, Nop, Via(Copy, Pair), Via(Rcpy, Pair), To(Smpl), Rej]),
        (Rcpy, &[Nop, Rej, Rej, Nop, Nop, Rej, Rej]),
        (Psue, &[Rej, Rej, Rej, Via(Copy, Pair), Rej, To(Smpl), DisputedRej]),
    ],
};

/// Table 6-4, and for SSWS its footnote: then a plain resync is rejected, and only `-swaps` or `-swapp` is left. A split
/// of PSUE was rejected in the 2000s (MK-90RD011).
static REMOTE: Table = Table {
    verbs: &[Create, CreateEqual, Split, SplitFenced, Delete, Resync, SwapResync],
    rows: &[
        (Smpl, &[Via(Copy, Pair), To(Pair), Rej, Rej, Nop, Rej, MemoryRej]),
        (Copy, &[Nop, Nop, To(Psus), Rej, To(Smpl), Nop, MemoryNop]),
        (Pair, &[Nop, Nop, To(Psus), To(Psus), To(Smpl), Nop, MemoryNop]),
        (Psus, &[Rej, Rej, Nop, Nop, To(Smpl), Via(Copy, Pair), MemoryVia(Copy, Pair)]),
        (Psue, &[Rej, Rej, DisputedNop, DisputedNop, To(Smpl), Via(Copy, Pair), MemoryRej]),
        (Pdub, &[Rej, Rej, Rej, Rej, To(Smpl), Via(Copy, Pair), MemoryRej]),
        (Ssws, &[Rej, Rej, Nop, Nop, To(Smpl), Rej, Via(Copy, Pair)]),
    ],
};

/// What the pair drivers of ours promise, mirrors and snapshots alike. They return when the copy has ended, so that nothing
/// comes between. A resync of PAIR makes a pass; one of COPY completes what was interrupted. A split leaves an image
/// only where the pair follows its primary, since the last pass is made from what the one before has seen. A restore leaves
/// the image, so the pair stays split; one that was interrupted has left the primary half overwritten, and then the
/// image is the only whole copy: only the restore itself goes on.
static OURS: Table = Table {
    verbs: &[Create, Resync, Split, Restore, Delete],
    rows: &[
        (Smpl, &[To(Pair), To(Pair), Rej, Rej, Nop]),
        (Copy, &[Rej, To(Pair), Rej, Rej, To(Smpl)]),
        (Pair, &[Rej, To(Pair), To(Psus), Rej, To(Smpl)]),
        (Psus, &[Rej, To(Pair), Rej, To(Psus), To(Smpl)]),
        (Rcpy, &[Rej, Rej, Rej, To(Psus), Rej]),
        (Psue, &[Rej, To(Pair), Rej, Rej, To(Smpl)]),
    ],
};

#[cfg(test)]
pub(super) fn is_complete(copy_type: CopyType) -> bool {
    let table = of(copy_type);
    table.rows.iter().all(|(_, cells)| cells.len() == table.verbs.len())
}
