//! What an interrupted verb left behind: files under names of our own, which the next pass removes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use resplit_operations::pair::{PairRef, PairStatus, PairVerb};

use super::state::{DATA, NEW_DATA, State};
use crate::{drivers::book::NEW, failure::Failure};

/// The most that are named.
const MOST: usize = 1000;

/// Only where a verb has not ended is the tree looked through: whatever has ended has removed its own.
pub(super) fn remnants(pair: &PairRef) -> Result<Vec<PathBuf>, Failure> {
    let state = State::read(pair)?;
    let mut found = Vec::new();
    for name in [NEW, NEW_DATA] {
        let path = pair.secondary.join(name);
        if path.symlink_metadata().is_ok() {
            found.push(path);
        }
    }
    let Some(state) = state else { return Ok(found) };
    if !matches!(state.status, PairStatus::Copy | PairStatus::Psue | PairStatus::Rcpy) {
        return Ok(found);
    }
    // Where the primary is elsewhere, so is what a restore has left.
    if pair.apart.is_some() && state.last.as_ref().is_some_and(|last| last.verb == PairVerb::Restore) {
        return Ok(found);
    }
    let restoring = state.last.as_ref().is_some_and(|last| last.verb == PairVerb::Restore);
    let root = if restoring { pair.primary.clone() } else { pair.secondary.join(DATA) };
    walk(&root, &mut found).map_err(|error| Failure::io("look through", &root, &error))?;
    Ok(found)
}

/// Without recursion; no symbolic link is followed.
fn walk(root: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            } else if is_temporary(entry.file_name().as_encoded_bytes()) {
                found.push(entry.path());
            }
            if found.len() >= MOST {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// `.resplit-PROCESS-NUMBER`.
fn is_temporary(name: &[u8]) -> bool {
    let number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let mut parts = name.strip_prefix(b".resplit-").unwrap_or_default().split(|byte| *byte == b'-');
    matches!((parts.next(), parts.next(), parts.next()), (Some(a), Some(b), None) if number(a) && number(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_are_taken_for_ours() {
        assert!(is_temporary(b".resplit-12-0"));
        for other in [&b".resplit-documents-1"[..], b".resplit-1", b".resplit-1-2-3", b"resplit-1-2", b""] {
            assert!(!is_temporary(other));
        }
    }
}
