//! Dissolves a pair: the image file and the hash map go; what a device holds stays on it; the book stays, and says so.

use std::{fs, io::ErrorKind, path::Path};

use resplit_operations::pair::CopyReport;

use super::{
    guard,
    state::{BLOCKS, IMAGE, Known, NEW_BLOCKS, State, copy_of},
};
use crate::{
    drivers::book::{NEW, Verb},
    failure::Failure,
};

/// Removes what the driver has made of a pair. Asked again after it was interrupted, it goes on.
pub(super) fn delete(verb: &Verb<'_>, state: &mut State) -> Result<CopyReport, Failure> {
    let pair = verb.pair;
    guard::held(&copy_of(pair), "the pair cannot be dissolved meanwhile")?;
    // Whatever becomes of it, the hash map no longer describes what is there.
    state.extra.settled = false;
    verb.run(state, |state| {
        let mut report = CopyReport::default();
        for name in [IMAGE, BLOCKS, NEW_BLOCKS, NEW] {
            let removed = remove(&pair.secondary.join(name))?;
            report.removed += u64::from(removed && name == IMAGE);
        }
        let directory = fs::File::open(&pair.secondary);
        directory
            .and_then(|directory| directory.sync_all())
            .map_err(|error| Failure::io("make durable", &pair.secondary, &error))?;
        if let Some(device) = &pair.device {
            report.notes.push(format!("{} keeps what was copied to it", device.display()));
        }
        state.extra = Known::default();
        // It holds no backup: of all pairs of the volume it is the first to be chosen.
        state.backed_up = 0;
        Ok(report)
    })
}

/// Whether there was something to remove.
fn remove(path: &Path) -> Result<bool, Failure> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::io("remove", path, &error)),
    }
}
