//! A bit that flips, an end that is cut off: an error, or the right data, never the wrong.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use resplit_steps::{drivers::media::MediaDriver, failure::FailureClass};

use crate::{
    support::{DRIVER, Vault, assert_same, look, noise},
    trees::make_small,
};

/// A cartridge with two datasets, and what it looks like when it is whole.
fn two_datasets() -> (Vault, PathBuf, Vec<u8>, Vec<u8>) {
    let vault = Vault::in_memory(64 << 20);
    let source = vault.path("source");
    fs::create_dir(&source).unwrap();
    for (name, length) in [("a", 0), ("b", 1000), ("c", 70_000), ("d", 513)] {
        fs::write(source.join(name), noise(7, length)).unwrap();
    }
    fs::write(source.join("text"), "compresses well, ".repeat(1000)).unwrap();
    for tag in ["run/1", "run/2"] {
        vault.write("VT0001", tag, &source).unwrap();
    }
    let whole = fs::read(vault.cartridge("VT0001")).unwrap();
    let contents = fs::read(vault.library.path.join("VT0001.contents")).unwrap();
    (vault, source, whole, contents)
}

fn put(vault: &Vault, cartridge: &[u8], contents: Option<&[u8]>) {
    fs::write(vault.cartridge("VT0001"), cartridge).unwrap();
    let path = vault.library.path.join("VT0001.contents");
    match contents {
        Some(contents) => fs::write(path, contents).unwrap(),
        None => drop(fs::remove_file(path)),
    }
}

/// Reads both datasets; gives how many could be read, having made sure that these are right.
fn read_both(vault: &Vault, source: &Path) -> usize {
    let to = vault.path("to");
    let mut right = 0;
    for number in [1, 2] {
        match vault.read("VT0001", number, &to, true) {
            Ok(_) => {
                assert_same(source, &to);
                right += 1;
            }
            Err(failure) => assert_ne!(failure.class, FailureClass::Temporary, "{failure}"),
        }
    }
    right
}

#[test]
fn a_flipped_bit_is_noticed_wherever_it_is() {
    let (vault, source, whole, contents) = two_datasets();
    let second = usize::try_from(vault.datasets("VT0001")[1].offset).unwrap();
    let archive_of_second = second..second + 70_000;
    // Every part of both datasets, more often where frames begin and end.
    let edges = [0, second, whole.len()].map(|edge| edge.saturating_sub(1100)..(edge + 600).min(whole.len()));
    let places = (0..whole.len()).step_by(1009).chain(edges.into_iter().flat_map(|edge| edge.step_by(41)));
    for place in places {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        for remembered in [true, false] {
            put(&vault, &damaged, remembered.then_some(&contents[..]));
            let right = read_both(&vault, &source);
            assert!(right <= 1, "the flipped bit at {place} went unnoticed");
            // Nothing that is there is written over, whatever is known of it.
            let _ = vault.write("VT0001", "run/3", &source);
            let after = fs::read(vault.cartridge("VT0001")).unwrap();
            assert!(after.len() >= damaged.len(), "cut at {place}, remembered: {remembered}");
            assert!(after[..damaged.len()] == damaged[..], "overwritten at {place}");
            let label_and_closing_are_whole = archive_of_second.contains(&place);
            assert!(
                !label_and_closing_are_whole || right == 1,
                "the first dataset is whole, damage is at {place}"
            );
        }
    }
}

#[test]
fn an_end_that_is_cut_off_is_noticed() {
    let (vault, source, whole, contents) = two_datasets();
    let second = usize::try_from(vault.datasets("VT0001")[1].offset).unwrap();
    for length in (0..whole.len()).step_by(1511).chain([second - 1, second, second + 1, whole.len() - 1]) {
        put(&vault, &whole[..length], Some(&contents));
        let right = read_both(&vault, &source);
        assert_eq!(right, usize::from(length >= second), "cut at {length}");
        let cartridge = &DRIVER.inventory(&vault.at()).unwrap()[0];
        assert!(cartridge.unusable.is_some(), "cut at {length}");
        let failure = vault.write("VT0001", "run/3", &source).unwrap_err();
        assert!(failure.message.contains("cannot be used"), "{failure}");
        assert_eq!(fs::read(vault.cartridge("VT0001")).unwrap(), whole[..length]);
        // Without what was remembered it may be what a killed writer leaves.
        put(&vault, &whole[..length], None);
        assert_eq!(read_both(&vault, &source), usize::from(length >= second), "cut at {length}");
    }
}

#[test]
fn damage_is_told_by_the_names_of_the_files_before_anything_is_lost() {
    let vault = Vault::in_memory(64 << 20);
    let source = vault.path("source");
    make_small(&source);
    for (name, seed) in [("x-first", 1), ("y-second", 2), ("z-third", 3)] {
        fs::write(source.join(name), noise(seed, 5 << 20)).unwrap();
    }
    let dataset = vault.write("VT0001", "run/1", &source).unwrap();
    let to = vault.path("to");
    vault.read("VT0001", 1, &to, true).unwrap();
    let file = fs::OpenOptions::new().write(true).open(vault.cartridge("VT0001")).unwrap();
    // Within the archive's last chunk: z-third lies there, and nothing else.
    file.write_all_at(b"damage", dataset.offset + dataset.bytes - (1 << 20)).unwrap();
    fs::write(to.join("kept"), "because the dataset was looked at first").unwrap();
    let before = look(&to);
    let failure = vault.read("VT0001", 1, &to, true).unwrap_err();
    assert!(failure.message.ends_with("cannot be relied on: documents/z-third"), "{failure}");
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(look(&to) == before, "nothing was touched");
    // The others can be had.
    let elsewhere = vault.path("elsewhere");
    vault.read_paths("VT0001", 1, &elsewhere, &["a", "c", "x-first", "y-second"], false).unwrap();
    assert_eq!(fs::read(elsewhere.join("y-second")).unwrap(), noise(2, 5 << 20));
}
