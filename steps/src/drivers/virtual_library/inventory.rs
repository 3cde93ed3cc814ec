//! Which cartridges a library has, and which of them a dataset goes to.

use std::{collections::BTreeSet, fs};

use resplit_operations::ids::{Barcode, PoolId};

use super::{
    contents,
    label::{self, NotOpened},
    locate::locate,
    locks,
};
use crate::{
    drivers::media::{Cartridge, LibraryRef, choose_from},
    failure::Failure,
};

/// The cartridges in the order of their slots. Those that are missing are made if `make`.
pub(super) fn inventory(library: &LibraryRef<'_>, make: bool) -> Result<Vec<Cartridge>, Failure> {
    let slots = slots(library)?;
    if make && slots.iter().any(|slot| !exists(library, *slot)) {
        label::make_directory(library)?;
        let _lock = locks::take_library(library)?;
        for slot in slots.iter().filter(|slot| !exists(library, **slot)) {
            make_blank(library, &label::barcode(*slot))?;
        }
    }
    slots.into_iter().map(|slot| look(library, slot, make)).collect()
}

/// Makes a blank cartridge with an empty contents table.
pub(super) fn make_blank(library: &LibraryRef<'_>, barcode: &Barcode) -> Result<(), Failure> {
    label::make_blank(library, barcode)?;
    let opened = label::open_existing(library, barcode)?;
    contents::save(library, &opened.label, &[])
}

/// The declared slots, and those beyond that have a cartridge all the same.
fn slots(library: &LibraryRef<'_>) -> Result<BTreeSet<u32>, Failure> {
    let mut slots: BTreeSet<u32> = (1..=library.library.slots).collect();
    let path = &library.library.path;
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(slots),
        Err(error) => return Err(Failure::io("read the library's directory", path, &error)),
    };
    for entry in entries {
        let name =
            entry.map_err(|error| Failure::io("read the library's directory", path, &error))?.file_name();
        let barcode = name.to_str().and_then(|name| name.strip_suffix(".cartridge"));
        slots.extend(barcode.and_then(label::slot));
    }
    Ok(slots)
}

fn exists(library: &LibraryRef<'_>, slot: u32) -> bool {
    // What cannot be looked at is there: it is not made anew.
    let path = label::path(library, &label::barcode(slot), "cartridge");
    !matches!(path.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

fn look(library: &LibraryRef<'_>, slot: u32, repair: bool) -> Result<Cartridge, Failure> {
    let barcode = label::barcode(slot);
    let mut cartridge = Cartridge {
        barcode: barcode.clone(),
        slot,
        pool: None,
        capacity: library.library.cartridge_size.0,
        used: 0,
        unclosed: 0,
        datasets: 0,
        unusable: None,
    };
    let opened = match label::open(library, &barcode) {
        Ok(opened) => opened,
        Err(NotOpened::Missing) => return Ok(cartridge),
        Err(NotOpened::Unusable(why)) => {
            cartridge.unusable = Some(why);
            return Ok(cartridge);
        }
        Err(NotOpened::Failed(failure)) => {
            cartridge.unusable = Some(failure.message);
            return Ok(cartridge);
        }
    };
    let located = locate(library, &opened)?;
    if repair
        && located.outdated
        && located.damage.is_empty()
        && let Ok(_cartridge) = locks::take_cartridge(&opened)
        && let Err(failure) = contents::save(library, &opened.label, &located.datasets)
    {
        // What is known is known all the same.
        tracing::warn!("{failure}");
    }
    cartridge.pool = located.pool().cloned();
    cartridge.capacity = opened.label.capacity;
    cartridge.used = located.end;
    let length = opened.file.metadata().map_err(|error| Failure::io("look at", &opened.path, &error))?.len();
    // What is damaged is no beginning of a dataset, or may be more than that.
    cartridge.unclosed = if located.damage.is_empty() { length.saturating_sub(located.end) } else { 0 };
    cartridge.datasets = u32::try_from(located.datasets.len()).unwrap_or(u32::MAX);
    if !located.damage.is_empty() {
        cartridge.unusable = Some(located.damage.join("; "));
    } else if slot > library.library.slots {
        cartridge.unusable =
            Some(format!("the library has {} slots: it can be read, not written", library.library.slots));
    }
    Ok(cartridge)
}

/// The cartridge that [`choose_from`] gives, passing over those that another drive has while there is another one.
pub(super) fn choose(library: &LibraryRef<'_>, pool: &PoolId, bound: u64) -> Result<Barcode, Failure> {
    let all = inventory(library, false)?;
    let mut free = all.clone();
    while let Ok(barcode) = choose_from(library.id, &free, pool, bound) {
        let is_free = label::open_existing(library, &barcode)
            .is_ok_and(|opened| locks::take_cartridge(&opened).is_ok());
        if is_free || !label::path(library, &barcode, "cartridge").exists() {
            return Ok(barcode);
        }
        free.retain(|cartridge| cartridge.barcode != barcode);
    }
    // All that have room are in use, or none has: then say so.
    choose_from(library.id, &all, pool, bound)
}
