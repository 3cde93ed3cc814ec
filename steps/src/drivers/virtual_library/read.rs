//! Reads a dataset back.

use std::{collections::BTreeSet, fs, io, path::Path};

use resplit_operations::{
    ids::{Barcode, VolumeId},
    pair::CopyReport,
};

use super::{
    chunks::Source,
    closing::Closing,
    contents::Known,
    extract::Extractor,
    frame::{self, Damage, Kind},
    index,
    label::{self, Opened},
    locate::locate,
    locks,
    progress::Ticker,
    select::{Filter, NotSelected, Selection, select},
};
use crate::{
    context::Work,
    drivers::media::{LibraryRef, Wanted},
    failure::Failure,
};

/// Reads a dataset. Everything that is needed of it is verified before anything is written or removed.
pub(super) fn read(
    library: &LibraryRef<'_>,
    barcode: &Barcode,
    number: u32,
    wanted: &Wanted<'_>,
    work: &Work,
) -> Result<CopyReport, Failure> {
    let filter = Filter::new(wanted)?;
    let opened = label::open_existing(library, barcode)?;
    let _drive = locks::take_drive(library)?;
    let _cartridge = locks::take_cartridge(&opened)?;
    let known = find(library, &opened, number)?;
    let name = format!("dataset {number} on cartridge {barcode}");
    let damaged = |Damage(why)| {
        Failure::permanent(format!("{name} is damaged: {why}")).with_help(
            "nothing was written; its archive may still be read with tar and zstd, see the .txt beside it",
        )
    };
    check_volumes(&opened, &known, wanted).map_err(damaged)??;
    verify_parts(&opened, &known.closing).map_err(damaged)?;
    let source = Source::open(&opened.file, name.clone(), &known.closing).map_err(damaged)?;
    let lines = || index::lines(&opened.file, &known.closing);
    let selection = match select(&filter, wanted.replace, (source.archive_bytes, source.chunk_bytes), lines) {
        Ok(selection) => selection,
        Err(NotSelected::Damaged(why)) => return Err(damaged(Damage(why))),
        Err(NotSelected::Failed(failure)) => return Err(failure),
    };
    verify_chunks(&opened, &known, &source, &selection, &filter, work)?;

    let removed = remove(wanted, &filter, &selection, work)?;
    let ticker = Ticker::new(work, selection.bytes, selection.entries);
    let mut extractor = Extractor::new(&filter, &selection, wanted, ticker)?;
    source.stream(&selection.chunks, |stream| {
        for entry in lines() {
            extractor.entry(&entry.map_err(damaged)?, stream)?;
        }
        extractor.leave()
    })?;
    if !selection.borrowed.is_empty() {
        source.stream(&selection.chunks, |stream| {
            for entry in lines() {
                extractor.borrowed(&entry.map_err(damaged)?, stream)?;
            }
            extractor.leave()
        })?;
    }
    extractor.sync()?;
    Ok(CopyReport {
        entries: selection.entries,
        bytes: selection.bytes,
        changed: selection.entries,
        removed,
        copied: selection.bytes,
        ..CopyReport::default()
    })
}

fn find(library: &LibraryRef<'_>, opened: &Opened, number: u32) -> Result<Known, Failure> {
    let located = locate(library, opened)?;
    let found = located.datasets.into_iter().find(|known| known.dataset.number == number);
    found.ok_or_else(|| {
        let barcode = &opened.label.barcode;
        if located.damage.is_empty() {
            Failure::permanent(format!("cartridge {barcode} has no dataset {number}"))
        } else {
            Failure::permanent(format!(
                "dataset {number} on cartridge {barcode} cannot be found: {}",
                located.damage.join("; ")
            ))
        }
    })
}

/// The volumes that are wanted are in the dataset.
fn check_volumes(opened: &Opened, known: &Known, wanted: &Wanted<'_>) -> Result<Result<(), Failure>, Damage> {
    let (header, _) = known.closing.dataset(&opened.file, &opened.label)?;
    let missing: Vec<&str> = wanted
        .to
        .iter()
        .map(|(volume, _)| volume)
        .filter(|v| !header.volumes.contains(v))
        .map(VolumeId::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(Ok(()));
    }
    let has: Vec<&str> = header.volumes.iter().map(VolumeId::as_str).collect();
    Ok(Err(Failure::refused(format!(
        "dataset {} on cartridge {} does not have the volume {}; it has {}",
        header.number,
        header.barcode,
        missing.join(", "),
        has.join(", ")
    ))))
}

/// Header, index, table and record are what the closing frame says.
fn verify_parts(opened: &Opened, closing: &Closing) -> Result<(), Damage> {
    let mut hasher = blake3::Hasher::new();
    let mut add = |position: u64, end: u64, kind: Kind| {
        let (bytes, frame_end) = frame::read_whole(&opened.file, position, end, kind)?;
        let _ = hasher.update(&bytes);
        Ok::<u64, Damage>(frame_end)
    };
    let _ = add(closing.offset, closing.archive_at(), Kind::Header)?;
    let mut position = closing.index_at();
    while position < closing.table_at() {
        position = add(position, closing.table_at(), Kind::Index)?;
    }
    let _ = add(closing.table_at(), closing.record_at(), Kind::Table)?;
    let _ = add(closing.record_at(), closing.closing_at(), Kind::Record)?;
    if hasher.finalize().to_hex().as_str() == closing.blake3 {
        Ok(())
    } else {
        Err(Damage("its parts are not those of its closing frame".to_owned()))
    }
}

/// The parts of the archive that are needed are whole; else the failure names every file that is not.
fn verify_chunks(
    opened: &Opened,
    known: &Known,
    source: &Source<'_>,
    selection: &Selection,
    filter: &Filter<'_>,
    work: &Work,
) -> Result<(), Failure> {
    const MOST: usize = 20;
    let damaged: BTreeSet<u64> =
        source.damaged(&selection.chunks, work)?.into_iter().map(|chunk| chunk as u64).collect();
    if damaged.is_empty() {
        return Ok(());
    }
    let mut names = Vec::new();
    let mut count = 0_u64;
    let mut last: Option<(String, u64)> = None;
    let mut meet = |next: Option<(String, u64)>, offset: u64| {
        if let Some((name, start)) = last.take()
            && offset > start
            && damaged.range(start / source.chunk_bytes..=(offset - 1) / source.chunk_bytes).next().is_some()
        {
            count += 1;
            if names.len() < MOST {
                names.push(name);
            }
        }
        last = next;
    };
    for entry in index::lines(&opened.file, &known.closing) {
        let Ok(entry) = entry else { break };
        let wanted = filter.choose(&entry.path.0) == super::select::Choice::Yes;
        let wanted = wanted || selection.borrowed.contains_key(&entry.path.0);
        meet(wanted.then(|| (entry.path.shown(), entry.offset)), entry.offset);
    }
    meet(None, source.archive_bytes);
    let more = count - names.len() as u64;
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Err(Failure::permanent(format!(
        "dataset {} on cartridge {} is damaged; {count} of the entries wanted cannot be relied on: {}{more}",
        known.dataset.number,
        opened.label.barcode,
        names.join(", ")
    ))
    .with_help(
        "nothing was written; restore from another backup, or the other files of this one by their paths",
    ))
}

/// Removes what is to be replaced, and says how many entries that were.
fn remove(
    wanted: &Wanted<'_>,
    filter: &Filter<'_>,
    selection: &Selection,
    work: &Work,
) -> Result<u64, Failure> {
    let mut removed = 0;
    if wanted.replace && filter.everything() {
        for (_, to) in wanted.to {
            removed += clear(to, work)?;
        }
    }
    for path in &selection.in_the_way {
        work.check()?;
        removed += remove_entry(path, work).map_err(|error| Failure::io("remove", path, &error))?;
    }
    work.check()?;
    Ok(removed)
}

fn clear(directory: &Path, work: &Work) -> Result<u64, Failure> {
    let failed = |error: &io::Error| Failure::io("remove what is in", directory, error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(&error)),
    };
    let mut removed = 0;
    for entry in entries {
        work.check()?;
        let path = entry.map_err(|error| failed(&error))?.path();
        removed += remove_entry(&path, work).map_err(|error| failed(&error))?;
    }
    Ok(removed)
}

/// Removes an entry with all that is in it, and says how many entries that were.
fn remove_entry(path: &Path, work: &Work) -> io::Result<u64> {
    let mut count = 1;
    if !fs::symlink_metadata(path)?.is_dir() {
        fs::remove_file(path)?;
        return Ok(count);
    }
    let mut waiting = vec![path.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            count += 1;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
        if work.is_cancelled() {
            return Ok(0);
        }
    }
    fs::remove_dir_all(path)?;
    Ok(count)
}
