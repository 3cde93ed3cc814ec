//! What holds at the moment of a death, and what the world is like once nothing runs any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use resplit_operations::{
    ids::LibraryId,
    pair::{PairRef, PairState, PairStatus},
    record::{Medium, Record},
};
use resplit_steps::drivers::media::LibraryRef;

use super::{life::Life, site::Site};
use crate::{
    obligations,
    protocol::{RunStatus, StepStatus},
    rows::RunRow,
    run::load,
};

/// The pairs of a site, as their drivers find them.
fn pairs(site: &Site, life: &Life) -> Vec<(PairRef, PairState)> {
    let engine = life.engine();
    let mut found = Vec::new();
    let declared = site.checked.site.resolved(&site.root());
    for (id, volume) in &declared.volumes {
        for pair in declared.pairs(id) {
            let state = engine.drivers.pairs(volume.driver).unwrap().status(&pair).unwrap();
            found.push((pair, state));
        }
    }
    found
}

/// Asserts of all catalogs that no record describes an image that is not there.
pub(super) fn assert_no_empty_record(site: &Site, lives: &[&Life]) {
    // The pairs first: a record that goes meanwhile is no lie.
    let pairs = pairs(site, lives[0]);
    for life in lives {
        for record in life.engine().catalog().unwrap().iter() {
            if !matches!(record.medium, Medium::Disk) || !record.is_current() {
                continue;
            }
            for image in &record.origin.images {
                let (_, state) = pairs.iter().find(|(pair, _)| pair.copy_group == image.copy_group).unwrap();
                assert_eq!(
                    (image.epoch, PairStatus::Psus),
                    (state.epoch, state.status),
                    "{} has a record of what is not there: {record:?}",
                    life.host
                );
            }
        }
    }
}

/// Asserts what always holds once nothing runs.
pub(super) fn assert_sound(site: &Site, lives: &[&Life]) {
    assert_no_empty_record(site, lives);
    for (pair, state) in pairs(site, lives[0]) {
        let ended = state.last.as_ref().is_none_or(|last| last.ended.is_some());
        assert!(ended, "a verb on {} has not ended: {state:?}", pair.copy_group);
        let next = next_token(lives[0]);
        assert!(state.token < next, "{} saw token {}, the next is {next}", pair.copy_group, state.token);
    }
    let mut on_tape = BTreeSet::new();
    for life in lives {
        let engine = life.engine();
        assert_eq!(engine.leases.all(), [], "leases of {}", life.host);
        assert_eq!(obligations::standing(&engine.store, None).unwrap(), [], "obligations of {}", life.host);
        let staged = fs::read_dir(&engine.directories.staging).map_or(0, Iterator::count);
        assert_eq!(staged, 0, "staging of {}", life.host);
        for record in engine.catalog().unwrap().iter() {
            assert_eq!(record.lock, None, "{}: {record:?}", life.host);
            if matches!(record.medium, Medium::Tape(_)) {
                assert!(on_tape.insert(record.origin.original_id), "on tape twice: {record:?}");
            }
        }
        for row in load::rows(&engine.store).unwrap() {
            assert!(!engine.windows.is_open(&row.run), "a window of {} is open", row.run);
            assert_ended(life, row);
        }
    }
}

fn next_token(life: &Life) -> u64 {
    crate::leases::next_token(&life.engine().store).unwrap()
}

/// Of a run that is done every step has its outcome, and none an intent that waits for one.
fn assert_ended(life: &Life, row: RunRow) {
    if !matches!(row.status, RunStatus::Done) {
        return;
    }
    let state = load::state(&life.engine().store, row).unwrap();
    for (node, step) in state.order().iter().zip(&state.steps) {
        let ended = matches!(step.status(), StepStatus::Done { .. } | StepStatus::Skipped { .. });
        assert!(ended, "{}: {step:?}", state.step(*node).id);
    }
}

/// What exists, in words that do not depend on when, under which IDs and after how many tries it came to be.
pub(super) fn snapshot(site: &Site, lives: &[&Life]) -> Vec<String> {
    let catalogs: Vec<_> = lives.iter().map(|life| (life.host, life.engine().catalog().unwrap())).collect();
    let originals: BTreeSet<_> =
        catalogs.iter().flat_map(|(_, records)| records.iter().map(|r| r.origin.original_id)).collect();
    let rank: BTreeMap<_, _> = originals.into_iter().zip(1..).collect();
    let mut told: Vec<String> = Vec::new();
    for (host, records) in &catalogs {
        told.extend(records.iter().map(|record| in_words(host, record, rank[&record.origin.original_id])));
    }
    told.sort();
    for (pair, state) in pairs(site, lives[0]) {
        told.push(format!("pair {} {}", pair.copy_group, state.status));
    }
    for (id, library) in &site.checked.site.libraries {
        told.extend(cartridges(site, lives[0], id, library));
    }
    let places = site.case.form.volumes().iter().map(|(_, path)| *path);
    let mirrors = site.case.form.mirrors().iter().map(|mirror| format!("{mirror}/data"));
    for place in places.map(str::to_owned).chain(mirrors).chain(["out".to_owned()]) {
        told.extend(tree(&site.path(&place)).into_iter().map(|entry| format!("{place}: {entry}")));
    }
    told
}

fn in_words(host: &str, record: &Record, rank: u32) -> String {
    let images = record.origin.images.iter().map(|image| {
        let report = &image.report;
        let (entries, bytes, fuzzy) = (report.entries, report.bytes, report.fuzzy_count);
        format!("{} {} {entries} entries {bytes} bytes {fuzzy} fuzzy", image.volume, image.copy_group)
    });
    let medium = match &record.medium {
        Medium::Disk => "disk".to_owned(),
        Medium::Tape(place) => format!("tape {} dataset {}", place.barcode, place.dataset),
    };
    let (current, tape) = (record.is_current(), &record.tape);
    let images: Vec<_> = images.collect();
    format!("{host}: backup {rank} on {medium}, current {current}, {tape:?}: {}", images.join(", "))
}

/// The cartridges of a library, and the datasets that are whole on them.
fn cartridges(
    site: &Site,
    life: &Life,
    id: &LibraryId,
    library: &resplit_operations::site::Library,
) -> Vec<String> {
    let absolute =
        resplit_operations::site::Library { path: site.root().join(&library.path), ..library.clone() };
    let driver = life.engine().drivers.media(library);
    let reference = LibraryRef { id, library: &absolute };
    let used = driver.inventory(&reference).unwrap().into_iter().filter(|cartridge| cartridge.datasets > 0);
    used.map(|cartridge| {
        let datasets = driver.datasets(&reference, &cartridge.barcode).unwrap();
        let datasets = datasets.iter().map(|set| format!("{} with {} entries", set.number, set.entries));
        let (unclosed, datasets) = (cartridge.unclosed, datasets.collect::<Vec<_>>().join(", "));
        format!("cartridge {}: datasets {datasets}; {unclosed} bytes unclosed", cartridge.barcode)
    })
    .collect()
}

/// A tree, an entry a line: kind, mode, and of files their size, time and content.
pub(super) fn tree(root: &Path) -> Vec<String> {
    let (mut lines, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(root.join(&directory)) else { continue };
        for entry in entries {
            let path = directory.join(entry.unwrap().file_name());
            let (full, shown) = (root.join(&path), path.display().to_string());
            let found = full.symlink_metadata().unwrap();
            let kind = found.file_type();
            lines.push(if kind.is_symlink() {
                format!("{shown} -> {}", fs::read_link(&full).unwrap().display())
            } else if kind.is_dir() {
                open.push(path);
                format!("{shown}/ {:o}", found.mode())
            } else {
                let content = blake3::hash(&fs::read(&full).unwrap());
                format!("{shown} {:o} {}.{} {content}", found.mode(), found.mtime(), found.mtime_nsec())
            });
        }
    }
    lines.sort();
    lines
}
