//! What an operator's confirmation does: the damaged files are set aside, and a checkpoint and a log of what could be
//! trusted take their place.
//!
//! All of it is made under another name first. One rename to `repaired` is the moment: before it nothing has happened,
//! after it whoever opens the store carries on with moving the parts. Nothing is ever removed but that directory, once
//! it is empty.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::{
    batch::{Batch, operations},
    checkpoint_file::Writer,
    error::StoreError,
    files::{create_directory, create_whole, sync_directory},
    frame::Point,
    place::Place,
    salvage::Content,
    segment,
};

/// In `repaired`: the name of the directory that the damaged files go to.
const ASIDE: &str = "aside";
/// How the name of such a directory begins.
const DAMAGED: &str = "damaged-";
/// What is moved, in this order: the log last but for the view, which is made anew anyway.
const PARTS: [&str; 3] = ["checkpoints", "log", "view"];

/// Makes what takes the place of the damaged files: everything that could be trusted, with some writes more, as of a
/// number that no commit had. Then it takes that place. Gives the directory that the damaged files are in.
pub(super) fn repair(
    place: &Place,
    content: &Content,
    more: &Batch,
    sequence: u64,
    aside: &str,
    segment_size: u64,
) -> Result<PathBuf, StoreError> {
    let unfinished = Place::of(&place.repaired().with_extension("new"));
    remove(&unfinished.root)?;
    let aside = free_name(place, aside);
    let made = make(&unfinished, content, more, sequence, &aside, segment_size);
    super::moment("repair made");
    let renamed = made.and_then(|()| {
        fs::rename(&unfinished.root, place.repaired()).map_err(StoreError::io("rename", &unfinished.root))?;
        sync_directory(&place.root)
    });
    if let Err(error) = renamed {
        // What is left of it would only take room; the next repair removes it, too.
        let _ = fs::remove_dir_all(&unfinished.root);
        return Err(error);
    }
    super::moment("repair decided");
    carry_on(place)?;
    Ok(place.root.join(aside))
}

fn make(
    unfinished: &Place,
    content: &Content,
    more: &Batch,
    sequence: u64,
    aside: &str,
    segment_size: u64,
) -> Result<(), StoreError> {
    for directory in [&unfinished.log, &unfinished.checkpoints, &unfinished.view] {
        create_directory(directory)?;
    }
    // Drawn by chance, so that nothing that is set aside continues it.
    let point = Point { sequence, hash: random()? };
    let mut all: std::collections::BTreeMap<&[u8], &[u8]> =
        content.0.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
    for (key, value) in operations(&more.operations).flatten() {
        let _ = match value {
            Some(value) => all.insert(key, value),
            None => all.remove(key),
        };
    }
    let path = unfinished.checkpoints.join(format!("{sequence:020}.checkpoint"));
    let _ = create_whole(&path, |file, partial| {
        let failed = || StoreError::io("write", partial);
        let mut writer = Writer::begin(file, point).map_err(failed())?;
        for (key, value) in all {
            writer.entry(key, value).map_err(failed())?;
        }
        writer.finish().map_err(failed())
    })?;
    let _ = segment::create(unfinished, point, segment_size)?;
    let name = unfinished.root.join(ASIDE);
    let _ = create_whole(&name, |file, partial| {
        file.write_all(aside.as_bytes()).map_err(StoreError::io("write", partial))
    })?;
    Ok(())
}

/// Moves the damaged files aside, and what was made into their place, as far as that was not done yet. Does nothing
/// unless a repair was decided.
pub(super) fn carry_on(place: &Place) -> Result<(), StoreError> {
    let repaired = place.repaired();
    let name = match fs::read_to_string(repaired.join(ASIDE)) {
        Ok(name) => name,
        // None, or one that was carried out.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return remove_empty(&repaired),
        Err(error) => return Err(StoreError::io("read", &repaired.join(ASIDE))(error)),
    };
    if !name.starts_with(DAMAGED) || name.contains('/') {
        let wrong = "it does not name a directory for damaged files".to_owned();
        return Err(place.damaged(&repaired.join(ASIDE), wrong, "nothing is lost by that"));
    }
    let aside = place.root.join(name);
    create_directory(&aside)?;
    for part in PARTS {
        let (here, made) = (place.root.join(part), repaired.join(part));
        if !made.is_dir() {
            continue;
        }
        if here.is_dir() {
            exchange(&here, &aside.join(part))?;
            super::moment("repair set aside");
        }
        exchange(&made, &here)?;
        super::moment("repair put in place");
    }
    remove_empty(&repaired)
}

/// A rename that is durable before the next one is made.
fn exchange(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(StoreError::io("rename", from))?;
    for parent in [to.parent(), from.parent()].into_iter().flatten() {
        sync_directory(parent)?;
    }
    Ok(())
}

/// Removes what a repair that was carried out has left: a name, and empty places.
fn remove_empty(repaired: &Path) -> Result<(), StoreError> {
    if !repaired.is_dir() {
        return Ok(());
    }
    match fs::remove_file(repaired.join(ASIDE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::io("remove", &repaired.join(ASIDE))(error));
        }
        _ => {}
    }
    fs::remove_dir(repaired).map_err(StoreError::io("remove", repaired))
}

fn remove(directory: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", directory)(error))
        }
        _ => Ok(()),
    }
}

/// A name that nothing has yet.
fn free_name(place: &Place, moment: &str) -> String {
    let mut name = format!("{DAMAGED}{moment}");
    let mut count = 1;
    while place.root.join(&name).symlink_metadata().is_ok() {
        count += 1;
        name = format!("{DAMAGED}{moment}-{count}");
    }
    name
}

/// Bytes that nobody can foresee.
pub(super) fn random() -> Result<[u8; 32], StoreError> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; 32];
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(StoreError::io("read", source))?;
    Ok(bytes)
}
