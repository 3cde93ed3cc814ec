//! What verbs tell whoever waits for them.

use resplit_operations::pair::CopyReport;

use crate::{
    context::{Progress, Work},
    failure::Failure,
};

/// What is one entry of a volume, in bytes.
const BLOCK: u64 = 64 << 10;

/// Somebody may ask to stop here.
pub(super) fn safe_point(work: &Work) -> Result<(), Failure> {
    work.report(Progress::default());
    work.check()
}

/// Tells how far LVM has come, in per cent of a volume.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "for people: a per cent of what LVM rounds"
)]
pub(super) fn progress(work: &Work, size: u64, percent: Option<f64>) {
    let bytes = percent.map_or(0, |percent| (size as f64 * percent.clamp(0.0, 100.0) / 100.0) as u64);
    let (of_bytes, entries, of_entries) = (Some(size), bytes / BLOCK, Some(size.div_ceil(BLOCK)));
    work.report(Progress { bytes, of_bytes, entries, of_entries });
}

/// What is known of a pass that LVM makes: how large the image is. How much was copied, it does not say.
pub(super) fn report(size: u64) -> CopyReport {
    CopyReport { entries: size.div_ceil(BLOCK), bytes: size, ..CopyReport::default() }
}
