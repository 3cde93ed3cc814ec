//! What is refused before anything is touched.

use std::path::{Path, PathBuf};

use resplit_operations::pair::PairRef;

use super::{state::State, survey::Survey};
use crate::failure::Failure;

/// Refuses a primary that is no directory.
pub(super) fn is_there(primary: &Path) -> Result<(), Failure> {
    if primary.is_dir() {
        return Ok(());
    }
    Err(Failure::refused(format!("the primary {} is not a directory", primary.display()))
        .with_help("mount or make it, or correct its path in the site file"))
}

/// Refuses a primary and a secondary of which one contains the other. On two machines neither can.
pub(in crate::drivers) fn nested(pair: &PairRef) -> Result<(), Failure> {
    if pair.apart.as_ref().is_some_and(|apart| !apart.is_one_machine()) {
        return Ok(());
    }
    let (primary, secondary) = (real(&pair.primary), real(&pair.secondary));
    if !primary.starts_with(&secondary) && !secondary.starts_with(&primary) {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "pair {}: primary {} and secondary {} lie one in the other",
        pair.copy_group,
        primary.display(),
        secondary.display()
    ))
    .with_help("give the secondary a directory of its own, outside the primary, in the site file"))
}

/// A path without symbolic links, as far as it exists.
pub(in crate::drivers) fn real(path: &Path) -> PathBuf {
    for existing in path.ancestors() {
        if let (Ok(found), Ok(rest)) = (existing.canonicalize(), path.strip_prefix(existing)) {
            return found.join(rest);
        }
    }
    path.to_owned()
}

/// Refuses to make the copy as empty as a mount point on which the primary's file system is not mounted.
pub(super) fn emptied(pair: &PairRef, state: &State, inode: u64, survey: &Survey) -> Result<(), Failure> {
    if survey.entries > 0 || survey.extra.entries == 0 || state.extra.primary_inode == inode {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "the primary {} is empty, and is not the directory that was copied before: its file system may not be \
         mounted. The copy holds {} entries, which would be removed",
        pair.primary.display(),
        survey.extra.entries
    ))
    .with_help(format!(
        "mount it, then run again; if it is empty on purpose, move {} away to begin anew",
        pair.secondary.display()
    )))
}
