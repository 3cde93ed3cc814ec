//! The power is cut while a library is written: what was acknowledged is there byte for byte, what was interrupted is
//! there whole or not at all, and the next dataset can be written.
//!
//! `RESPLIT_SEED=17` tries one round alone; `RESPLIT_SOAK=600` goes on for so many seconds.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use fastrand::Rng;
use resplit_steps::{
    drivers::media::{Dataset, MediaDriver},
    failure::Failure,
};
use resplit_test_disk::{Disk, Mounted};

use crate::support::{DRIVER, Vault, assert_same, noise};

const ROUNDS: u64 = 12;
const CUTS: usize = 25;
/// About how many calls a round has.
const CALLS: u64 = 300;
const BARCODES: [&str; 2] = ["VT0001", "VT0002"];

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

fn seeds() -> impl Iterator<Item = u64> {
    let one = number("RESPLIT_SEED");
    let began = Instant::now();
    let soak = number("RESPLIT_SOAK").map(Duration::from_secs);
    (one.unwrap_or(0)..).take_while(move |seed| match (one, soak) {
        (Some(one), _) => *seed == one,
        (None, Some(soak)) => began.elapsed() < soak,
        (None, None) => *seed < ROUNDS,
    })
}

/// Closed datasets, by cartridge.
type Datasets = BTreeMap<&'static str, Vec<Dataset>>;

/// What was acknowledged by a moment.
#[derive(Clone, Default)]
struct Progress {
    done: Datasets,
    /// The tag of what is being written.
    begun: Option<String>,
}

/// A library on a disk, and sources of several sizes elsewhere.
struct Bed {
    vault: Vault,
    /// By the last part of a tag.
    sources: BTreeMap<String, PathBuf>,
}

impl Bed {
    fn new() -> Self {
        let vault = Vault::in_memory(8 << 20);
        let mut sources = BTreeMap::new();
        for (number, size) in [(0, 700), (1, 90_000), (2, 1_300_000)] {
            let source = vault.path(&format!("source-{number}"));
            fs::create_dir_all(source.join("a")).unwrap();
            fs::write(source.join("a/one"), format!("first of {number}")).unwrap();
            fs::write(source.join("two"), noise(number, size)).unwrap();
            sources.insert(number.to_string(), source);
        }
        Self { vault, sources }
    }

    /// The same with its library on a disk.
    fn on(&mut self, mounted: &Mounted) -> &Vault {
        self.vault.library.path = mounted.path().join("vaults/vault");
        self.vault.library.slots = 2;
        &self.vault
    }

    fn source(&self, tag: &str) -> &Path {
        &self.sources[tag.rsplit('/').next().unwrap()]
    }

    fn write(&self, barcode: &str, tag: &str) -> Result<Dataset, Failure> {
        self.vault.write(barcode, tag, self.source(tag))
    }

    fn look(&self) -> Result<Datasets, Failure> {
        let cartridges = DRIVER.inventory(&self.vault.at())?;
        if let Some(bad) = cartridges.iter().find_map(|cartridge| cartridge.unusable.clone()) {
            return Err(Failure::permanent(format!("a cartridge is unusable: {bad}")));
        }
        let datasets =
            |barcode: &'static str| Ok((barcode, DRIVER.datasets(&self.vault.at(), &barcode.into())?));
        BARCODES.into_iter().map(datasets).collect()
    }

    /// What is wrong with the library on a disk, if anything.
    fn check(&mut self, disk: &Disk, progress: &Progress) -> Result<(), String> {
        let mounted = disk.mount_or_skip().unwrap();
        let _ = self.on(&mounted);
        let told = |failure: Failure| failure.to_string();
        let mut found = self.look().map_err(told)?;
        for barcode in BARCODES {
            let (found, done) = (&found[barcode], progress.done.get(barcode).cloned().unwrap_or_default());
            let (known, more) = found.split_at_checked(done.len()).ok_or("a dataset is lost")?;
            let more: Vec<_> = more.iter().map(|dataset| Some(dataset.tag.0.clone())).collect();
            if known != done || !(more.is_empty() || more == [progress.begun.clone()]) {
                return Err(format!("{barcode} has {found:?}, not {done:?}"));
            }
        }
        for barcode in BARCODES {
            let next = self.write(barcode, &format!("next/{barcode}/1")).map_err(told)?;
            found.get_mut(barcode).unwrap().push(next);
        }
        if self.look().map_err(told)? != found {
            return Err("the next dataset is not listed".to_owned());
        }
        for (barcode, datasets) in &found {
            for dataset in datasets {
                let to = self.vault.path("to");
                self.vault.read(barcode, dataset.number, &to, true).map_err(told)?;
                assert_same(self.source(&dataset.tag.0), &to);
            }
        }
        Ok(())
    }
}

/// Writes datasets to both cartridges; gives copies of the disk at so many moments, with what was acknowledged by then.
fn round(bed: &mut Bed, seed: u64) -> Vec<(u64, Disk, Progress)> {
    let mut random = Rng::with_seed(seed);
    let disk = Disk::new();
    let Some(mounted) = disk.mount_or_skip() else { return Vec::new() };
    let _ = bed.on(&mounted);
    let progress = Arc::new(Mutex::new(Progress::default()));
    let taken = Arc::new(Mutex::new(Vec::new()));
    disk.watch((0..CUTS).map(|_| random.u64(1..CALLS)), {
        let (progress, taken) = (Arc::clone(&progress), Arc::clone(&taken));
        move |call, disk| taken.lock().unwrap().push((call, disk, progress.lock().unwrap().clone()))
    });
    // Every other round the writer is killed once, and its successor relies on what it finds.
    if seed % 2 == 1 {
        disk.stop_at(random.u64(1..CALLS / 2));
    }
    for number in 0..6 {
        let barcode = BARCODES[random.usize(..2)];
        let tag = format!("{seed}/{number}/{}", random.u8(..3));
        progress.lock().unwrap().begun = Some(tag.clone());
        if let Ok(dataset) = bed.write(barcode, &tag) {
            let mut progress = progress.lock().unwrap();
            progress.done.entry(barcode).or_default().push(dataset);
            progress.begun = None;
        } else {
            assert_eq!(seed % 2, 1, "nothing was to fail");
            disk.go_on();
            let found = bed.look().unwrap();
            let mut progress = progress.lock().unwrap();
            progress.done = found;
            progress.begun = None;
        }
    }
    std::mem::take(&mut *taken.lock().unwrap())
}

#[test]
fn a_power_cut_loses_no_dataset_and_leaves_none_in_part() {
    if Disk::new().mount_or_skip().is_none() {
        return;
    }
    let mut bed = Bed::new();
    let (mut cuts, mut bad) = (0, Vec::new());
    for seed in seeds() {
        for (call, disk, progress) in round(&mut bed, seed) {
            cuts += 1;
            if let Err(why) = bed.check(&disk.cut(seed << 20 | call), &progress) {
                bad.push(format!("RESPLIT_SEED={seed}, call {call}: {why}"));
            }
        }
    }
    eprintln!("virtual library: {cuts} power cuts, {} bad", bad.len());
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn what_a_killed_writer_closed_is_durable_once_it_was_seen() {
    if Disk::new().mount_or_skip().is_none() {
        return;
    }
    let mut bed = Bed::new();
    let (mut cuts, mut bad) = (0, Vec::new());
    for call in 1.. {
        let disk = Disk::new();
        let mounted = disk.mount_or_skip().unwrap();
        let _ = bed.on(&mounted);
        disk.stop_at(call);
        let written = bed.write("VT0001", "killed/0");
        let ended = written.is_ok() && disk.calls().all() < call;
        disk.go_on();
        let done = bed.look().unwrap();
        assert!(written.is_err() || done["VT0001"].len() == 1);
        let progress = Progress { done, begun: None };
        for seed in 0..2 {
            cuts += 1;
            if let Err(why) = bed.check(&disk.cut(call << 20 | seed), &progress) {
                bad.push(format!("killed at call {call}: {why}"));
            }
        }
        if ended {
            break;
        }
    }
    eprintln!("virtual library, its writer killed: {cuts} power cuts, {} bad", bad.len());
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
