//! Trees that change at random, resynced and restored again and again.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::support::{Bed, FileSystem, output};

/// A generator whose seed is printed when a test fails.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }
}

/// A path in the tree: a few names at a few depths, so that changes meet.
fn somewhere(bed: &Bed, dice: &mut Dice) -> PathBuf {
    let mut path = bed.primary().to_owned();
    for _ in 0..=dice.roll(3) {
        path.push(["a", "b", "c", "d.e", "d", "f"][dice.roll(6)]);
    }
    path
}

fn clear(path: &Path) {
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        fs::remove_dir_all(path).unwrap();
    } else {
        let _ = fs::remove_file(path);
    }
}

/// One change. What cannot be done to the tree as it is (a file is in the way) is no change.
fn mutate(bed: &Bed, dice: &mut Dice) {
    let path = somewhere(bed, dice);
    let other = somewhere(bed, dice);
    let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
    match dice.roll(14) {
        0..=2 => {
            clear(&path);
            let _ = path.parent().is_some_and(|parent| fs::create_dir_all(parent).is_ok());
            let _ = fs::write(&path, vec![b'a' + u8::try_from(dice.roll(26)).unwrap(); dice.roll(9_000)]);
        }
        3 => {
            clear(&path);
            let _ = fs::create_dir_all(&path);
        }
        4 => clear(&path),
        5 => drop(fs::rename(&path, &other)),
        6 if is_file => drop(fs::hard_link(&path, &other)),
        7 => drop(symlink(["target", "/elsewhere", "a/b"][dice.roll(3)], &path)),
        8 if is_file => {
            // In place, through every name of the file.
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_len(u64::try_from(dice.roll(9_000)).unwrap()).unwrap();
        }
        9 if path.symlink_metadata().is_ok_and(|found| !found.is_symlink()) => {
            let mode = [0o600, 0o644, 0o4755, 0o000, 0o700][dice.roll(5)];
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        10 if is_file => {
            let file = fs::File::options().write(true).open(&path).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(dice.0 >> 3);
            file.set_modified(time).unwrap();
        }
        11 if is_file => {
            // Other content of the same size, and the time put back: only the change time tells.
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            let content: Vec<u8> = fs::read(&path).unwrap().iter().map(|byte| byte ^ 1).collect();
            let _ = fs::write(&path, content);
            fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        }
        12 if rustix::process::geteuid().is_root() => {
            let _ = chown(&path, Some(u32::try_from(dice.roll(3)).unwrap()), None);
        }
        _ => {
            let value = format!("value {}", dice.roll(9));
            let _ = output(&["setfattr", "-h", "-n", "user.random", "-v", &value, path.to_str().unwrap()]);
        }
    }
}

fn rounds(bed: &Bed, seed: u64, rounds: usize) {
    println!("seed {seed:#x}");
    let mut dice = Dice(seed);
    for round in 0..rounds {
        for _ in 0..=dice.roll(25) {
            mutate(bed, &mut dice);
        }
        let tag = format!("run {round}/verb");
        match dice.roll(8) {
            0 => {
                // Back to what it was.
                let _ = bed.driver.resync(&bed.pair, &bed.asked(&tag)).unwrap();
                let _ = bed.driver.split(&bed.pair, 1, &bed.asked(&tag)).unwrap();
                for _ in 0..=dice.roll(25) {
                    mutate(bed, &mut dice);
                }
                let _ = bed.driver.restore(&bed.pair, &bed.asked(&tag)).unwrap();
                let left = bed.driver.difference(&bed.pair, &bed.work).unwrap();
                assert_eq!(
                    (left.removed, left.replaced, left.returned),
                    (0, 0, 0),
                    "round {round}: {left:?}"
                );
            }
            1 => {
                // The index is lost: both sides are compared.
                let _ = fs::remove_file(bed.pair.secondary.join("index"));
                let _ = bed.driver.resync(&bed.pair, &bed.asked(&tag)).unwrap();
            }
            _ => drop(bed.driver.resync(&bed.pair, &bed.asked(&tag)).unwrap()),
        }
        bed.assert_equal();
    }
}

#[test]
fn random_changes_are_followed() {
    for (file_system, count) in FileSystem::all().iter().zip([60, 25, 40, 25]) {
        println!("on {}", file_system.name);
        for seed in [0x5EED_0001, 0x5EED_0002] {
            rounds(&Bed::new(file_system, &format!("random {seed}")), seed, count);
        }
    }
}
