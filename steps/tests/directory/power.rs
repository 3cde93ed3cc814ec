//! The power is cut under a real file system while a pair is resynced and split: what was split is whole, and no status
//! says more than what is there.
//!
//! An ext4 with its own journal and barriers lies in a file of a disk that loses what was not synced, so that a cut is
//! one of the device. `RESPLIT_SOAK=600` goes on for so many seconds.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use fastrand::Rng;
use resplit_operations::pair::PairStatus;
use resplit_test_disk::{Disk, Mounted};
use tempfile::TempDir;

use super::support::{Bed, assert_same, output, run};

/// Backups of a round.
const BACKUPS: u64 = 3;
/// Rounds, and cuts of each.
const ROUNDS: u64 = 2;
const CUTS: usize = 16;

/// An ext4 on a disk, mounted. The fields are dropped from the inside out.
struct Ext4 {
    mounted: Unmount,
    _disk: Mounted,
    _directory: TempDir,
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = output(&["umount", self.0.to_str().unwrap_or_default()]);
    }
}

impl Ext4 {
    fn mount(disk: &Disk) -> Result<Self, String> {
        let mounted = disk.mount_or_skip().ok_or("FUSE cannot be used here")?;
        let directory = TempDir::new().unwrap();
        let (image, at) = (mounted.path().join("image"), directory.path().to_owned());
        output(&["mount", "-o", "loop", image.to_str().unwrap(), at.to_str().unwrap()])?;
        Ok(Self { mounted: Unmount(at), _disk: mounted, _directory: directory })
    }

    fn path(&self) -> &Path {
        &self.mounted.0
    }
}

/// A disk with an empty ext4 in the file `image`.
fn formatted() -> Option<Disk> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root mounts");
        return None;
    }
    let disk = Disk::new();
    let mounted = disk.mount_or_skip()?;
    let scratch = TempDir::new().unwrap();
    let image = scratch.path().join("image");
    fs::File::create(&image).unwrap().set_len(12 << 20).unwrap();
    run(&["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image.to_str().unwrap()]);
    fs::copy(&image, mounted.path().join("image")).unwrap();
    for path in [mounted.path().join("image"), mounted.path().to_owned()] {
        fs::File::open(path).unwrap().sync_all().unwrap();
    }
    drop(mounted);
    Some(disk)
}

/// What was acknowledged by a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The backup whose image is at rest: it was split, and nothing was begun since.
    split: Option<u64>,
    /// The last backup that was begun.
    begun: u64,
}

/// A primary that changes with each backup, and copies of what it was.
struct Primary(TempDir);

impl Primary {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn bed(&self, secondary: &Path) -> Bed {
        Bed::across(self.0.path(), secondary)
    }

    fn version(&self, backup: u64) -> PathBuf {
        self.0.path().join(format!("version-{backup}"))
    }

    /// Changes a part of the files, and keeps a copy.
    fn change(&self, bed: &Bed, backup: u64) {
        for file in (0..24).filter(|file| backup == 1 || file % 3 == backup % 3) {
            let size = usize::try_from(500 + file * 900 + backup * 77).unwrap();
            bed.write(&format!("{}/{file}", file % 4), vec![b'a' + u8::try_from(backup).unwrap(); size]);
        }
        let (from, to) = (bed.primary().to_str().unwrap().to_owned(), self.version(backup));
        let _ = fs::remove_dir_all(&to);
        run(&["cp", "-a", &from, to.to_str().unwrap()]);
    }
}

fn backup(primary: &Primary, bed: &Bed, number: u64, note: &dyn Fn(Progress)) {
    primary.change(bed, number);
    note(Progress { split: None, begun: number });
    bed.driver.resync(&bed.pair, &bed.asked(&format!("{number}/resync"))).unwrap();
    bed.driver.split(&bed.pair, number, &bed.asked(&format!("{number}/split"))).unwrap();
    note(Progress { split: Some(number), begun: number });
}

/// Makes backups on a disk; gives copies of it at so many moments out of `calls`, and how many calls there were.
fn round(primary: &Primary, empty: &Disk, calls: &[u64]) -> (Vec<(u64, Disk, Progress)>, u64) {
    let disk = empty.cut(0);
    let progress = Arc::new(Mutex::new(Progress::default()));
    let taken = Arc::new(Mutex::new(Vec::new()));
    disk.watch(calls.iter().copied(), {
        let (progress, taken) = (Arc::clone(&progress), Arc::clone(&taken));
        move |call, disk| taken.lock().unwrap().push((call, disk, *progress.lock().unwrap()))
    });
    let ext4 = Ext4::mount(&disk).unwrap();
    let bed = primary.bed(ext4.path());
    for number in 1..=BACKUPS {
        backup(primary, &bed, number, &|now| *progress.lock().unwrap() = now);
    }
    drop(ext4);
    let taken = std::mem::take(&mut *taken.lock().unwrap());
    (taken, disk.calls().all())
}

/// Looks at a pair after a cut, and makes one more backup.
fn check(primary: &Primary, disk: &Disk, progress: Progress) -> &'static str {
    let ext4 = Ext4::mount(disk).unwrap();
    let bed = primary.bed(ext4.path());
    let state = bed.driver.status(&bed.pair).unwrap();
    let found = match (state.status, progress.split) {
        (PairStatus::Psus, Some(number)) => {
            assert_eq!(state.backed_up, number, "{progress:?}");
            assert_same(&primary.version(number), &bed.data());
            "whole"
        }
        (other, Some(_)) => panic!("{progress:?} is {other}"),
        (PairStatus::Psus, None) => {
            assert_same(&primary.version(state.backed_up), &bed.data());
            "split"
        }
        (PairStatus::Pair, None) => {
            assert_same(&primary.version(progress.begun), &bed.data());
            "paired"
        }
        _ => "neither",
    };
    backup(primary, &bed, BACKUPS + 1, &|_| {});
    bed.assert_equal();
    found
}

#[test]
fn a_power_cut_leaves_every_split_image_whole_and_no_status_says_too_much() {
    let Some(empty) = formatted() else { return };
    if let Err(reason) = Ext4::mount(&empty.cut(0)) {
        eprintln!("skipped: {reason}");
        return;
    }
    let soak = env::var("RESPLIT_SOAK").ok().map(|text| Duration::from_secs(text.parse().unwrap()));
    let (_, all) = round(&Primary::new(), &empty, &[]);
    let began = Instant::now();
    let mut found = std::collections::BTreeMap::<&str, u64>::new();
    for seed in (0..).take_while(|seed| soak.map_or(*seed < ROUNDS, |soak| began.elapsed() < soak)) {
        let mut random = Rng::with_seed(seed);
        let calls: Vec<u64> = (0..CUTS).map(|_| random.u64(1..=all)).collect();
        let primary = Primary::new();
        for (call, disk, progress) in round(&primary, &empty, &calls).0 {
            eprintln!("seed {seed}, call {call}: {progress:?}");
            *found.entry(check(&primary, &disk.cut(seed << 20 | call), progress)).or_default() += 1;
        }
    }
    eprintln!("directory pairs: {} power cuts: {found:?}, 0 bad", found.values().sum::<u64>());
    assert!(found.values().sum::<u64>() > 0);
}
