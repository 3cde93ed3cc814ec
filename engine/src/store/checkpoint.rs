//! Checkpoints: all keys and values as of a place in the log, so that what the log had before may go. Each is made of
//! the one before and the closed segments since: of what is durable, never of the view.

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::{
    batch::operations,
    checkpoint_file::{Bad, Reader, Writer, verify},
    error::StoreError,
    files::{create_whole, numbered, sync_directory},
    frame::Point,
    log::read_sealed,
    place::Place,
    segment::{Segment, segments},
};

/// What the log changed: a value, or `None` for a removal, by key.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What is done with each key and value.
pub(super) type Emit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// Where all that is stored begins: a checkpoint that was verified, or nothing before the first record.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) point: Point,
    pub(super) path: Option<PathBuf>,
    /// Newer checkpoints that are damaged, and how.
    pub(super) damaged: Vec<String>,
}

/// What is lost with all of the log.
pub(super) const NO_LOG: &str = "every record since the last checkpoint is lost";

/// The newest checkpoint that is whole. Reads it whole; an I/O error is an error, damage is not as long as an older one
/// is whole, or the log has everything.
pub(super) fn choose(place: &Place, segments: &[Segment]) -> Result<Base, StoreError> {
    let mut damaged = Vec::new();
    for (sequence, path) in numbered(&place.checkpoints, "checkpoint")?.into_iter().rev() {
        match verify(&path) {
            Ok(point) if point.sequence == sequence && segments.iter().any(|s| s.before == point) => {
                return Ok(Base { point, path: Some(path), damaged });
            }
            Ok(point) => {
                let wrong =
                    format!("the log does not continue record {}, with which it ends", point.sequence);
                return Err(place.damaged(&path, wrong, "the records after that are lost"));
            }
            Err(Bad::Damaged(why)) => damaged.push(format!("{}: {why}", path.display())),
            Err(Bad::Error(error)) => return Err(error),
        }
    }
    match segments.first() {
        Some(first) if first.before.sequence == 0 => Ok(Base { point: first.before, path: None, damaged }),
        Some(first) => {
            let wrong = format!("no whole checkpoint leads to record {}", first.before.sequence);
            let wrong = [vec![wrong], damaged].concat().join("; ");
            Err(place.damaged(&place.checkpoints, wrong, "what was stored before it is lost"))
        }
        None => Err(place.damaged(&place.log, "every segment of the log is missing", NO_LOG)),
    }
}

/// Adds the writes of a record.
pub(super) fn collect(place: &Place, writes: &[u8], changes: &mut Changes) -> Result<(), StoreError> {
    for operation in operations(writes) {
        let Some((key, value)) = operation else {
            let wrong = "a record whose checksum is right makes no sense";
            return Err(place.damaged(&place.log, wrong, "it and what follows are lost"));
        };
        changes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
    }
    Ok(())
}

/// Goes through everything that is stored, in the order of keys: a base with the changes since. Memory is that of the
/// changes.
pub(super) fn merge(
    place: &Place,
    base: &Base,
    changes: &Changes,
    emit: &mut Emit<'_>,
) -> Result<(), StoreError> {
    let mut changes = changes.iter().peekable();
    if let Some(path) = &base.path {
        let bad = |bad: Bad| match bad {
            Bad::Damaged(why) => place.damaged(path, why, "what it held is lost"),
            Bad::Error(error) => error,
        };
        let mut reader = Reader::open(path).map_err(bad)?;
        while let Some((key, value)) = reader.next().map_err(bad)? {
            while let Some((changed, new)) = changes.next_if(|(changed, _)| **changed < key) {
                if let Some(new) = new {
                    emit(changed, new)?;
                }
            }
            match changes.next_if(|(changed, _)| **changed == key) {
                Some((_, Some(new))) => emit(&key, new)?,
                Some((_, None)) => {}
                None => emit(&key, &value)?,
            }
        }
    }
    for (changed, new) in changes {
        if let Some(new) = new {
            emit(changed, new)?;
        }
    }
    Ok(())
}

/// Writes a checkpoint as of the end of the closed segments; then removes what is no longer needed: all but this
/// checkpoint and the one it was made of, and the segments before that one.
pub(super) fn write(place: &Place) -> Result<(), StoreError> {
    let segments = segments(place)?;
    let base = choose(place, &segments)?;
    let mut changes = Changes::new();
    let point =
        read_sealed(place, &segments, base.point, &mut |writes| collect(place, writes, &mut changes))?;
    if point == base.point {
        return Ok(());
    }
    let path = place.checkpoints.join(format!("{:020}.checkpoint", point.sequence));
    create_whole(&path, |file, unfinished| {
        let failed = || StoreError::io("write", unfinished);
        let mut writer = Writer::begin(file, point).map_err(failed())?;
        merge(place, &base, &changes, &mut |key, value| writer.entry(key, value).map_err(failed()))?;
        writer.finish().map_err(failed())?;
        super::moment("checkpoint written");
        Ok(())
    })?;
    super::moment("checkpoint in place");
    for (_, old) in numbered(&place.checkpoints, "checkpoint")? {
        if old != path && Some(&old) != base.path.as_ref() {
            fs::remove_file(&old).map_err(StoreError::io("remove", &old))?;
            super::moment("checkpoint removed");
        }
    }
    // The oldest go first, so that those that remain never have a gap.
    for old in segments.iter().take_while(|segment| segment.before.sequence < base.point.sequence) {
        fs::remove_file(&old.path).map_err(StoreError::io("remove", &old.path))?;
        super::moment("segment removed");
    }
    sync_directory(&place.log)
}
