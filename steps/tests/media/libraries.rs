//! Inventory, choice, limits and locks.

use std::{fs, time::Duration};

use resplit_operations::ids::{Barcode, PoolId};
use resplit_steps::{context::Work, drivers::media::MediaDriver, failure::FailureClass};

use crate::{
    support::{DRIVER, Vault, noise, shell},
    trees::make_small,
};

fn choose(vault: &Vault, pool: &str, bound: u64) -> Result<Barcode, resplit_steps::failure::Failure> {
    DRIVER.choose(&vault.at(), &PoolId::from(pool), bound)
}

#[test]
fn a_library_gets_its_cartridges_once() {
    let mut vault = Vault::new(3, 1 << 20);
    assert_eq!(choose(&vault, "documents", 1000).unwrap().as_str(), "VT0001");
    assert!(!vault.library.path.exists(), "choosing changes nothing");
    let cartridges = DRIVER.inventory(&vault.at()).unwrap();
    let barcodes: Vec<&str> = cartridges.iter().map(|cartridge| cartridge.barcode.as_str()).collect();
    assert_eq!(barcodes, ["VT0001", "VT0002", "VT0003"]);
    assert!(cartridges.iter().all(|c| c.pool.is_none() && c.capacity == 1 << 20 && c.unusable.is_none()));
    let before = fs::read(vault.cartridge("VT0002")).unwrap();
    vault.library.slots = 4;
    assert_eq!(DRIVER.inventory(&vault.at()).unwrap().len(), 4);
    assert_eq!(fs::read(vault.cartridge("VT0002")).unwrap(), before);
    vault.library.slots = 1;
    let cartridges = DRIVER.inventory(&vault.at()).unwrap();
    assert_eq!(cartridges.len(), 4, "what is there is listed");
    assert!(cartridges[1].unusable.is_some());
}

#[test]
fn what_is_not_ours_is_told_and_left_alone() {
    let vault = Vault::new(6, 1 << 20);
    DRIVER.inventory(&vault.at()).unwrap();
    let other = {
        let mut other = Vault::new(1, 1 << 20);
        other.id = "attic".into();
        other
    };
    DRIVER.inventory(&other.at()).unwrap();
    fs::write(vault.cartridge("VT0001"), "somebody's notes").unwrap();
    fs::write(vault.cartridge("VT0002"), "").unwrap();
    fs::copy(vault.cartridge("VT0004"), vault.cartridge("VT0003")).unwrap();
    fs::copy(other.cartridge("VT0001"), vault.cartridge("VT0005")).unwrap();
    let mut label = fs::read(vault.cartridge("VT0006")).unwrap();
    label[30] ^= 1;
    fs::write(vault.cartridge("VT0006"), &label).unwrap();
    let before = shell(&vault.library.path, "sha256sum *.cartridge");
    let cartridges = DRIVER.inventory(&vault.at()).unwrap();
    let why: Vec<String> = cartridges.iter().map(|c| c.unusable.clone().unwrap_or_default()).collect();
    for (why, part) in why.iter().zip(["no label", "no label", "VT0004", "", "library 'attic'", "checksum"]) {
        assert!(why.contains(part) && why.is_empty() == part.is_empty(), "{why}: {part}");
    }
    assert_eq!(choose(&vault, "documents", 1000).unwrap().as_str(), "VT0004");
    let source = vault.path("source");
    make_small(&source);
    for barcode in ["VT0001", "VT0002", "VT0003", "VT0005", "VT0006"] {
        let failure = vault.write(barcode, "run/1", &source).unwrap_err();
        assert!(failure.message.contains("cannot be used"), "{failure}");
    }
    assert_eq!(shell(&vault.library.path, "sha256sum *.cartridge"), before);
}

#[test]
fn pools_and_room_decide() {
    let vault = Vault::new(3, 3 << 20);
    let source = vault.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("data"), noise(1, 1 << 20)).unwrap();
    let bound = DRIVER.bound(std::slice::from_ref(&source)).unwrap();
    assert!(bound > 1 << 20 && bound < (1 << 20) + (128 << 10), "{bound}");
    vault.write("VT0002", "run/1", &source).unwrap();
    assert_eq!(choose(&vault, "documents", bound).unwrap().as_str(), "VT0002", "its own before a blank one");
    assert_eq!(choose(&vault, "others", bound).unwrap().as_str(), "VT0001");
    vault.write("VT0002", "run/2", &source).unwrap();
    assert_eq!(choose(&vault, "documents", bound).unwrap().as_str(), "VT0001", "the other is full");
    let length = fs::metadata(vault.cartridge("VT0002")).unwrap().len();
    let failure = vault.write("VT0002", "run/3", &source).unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused);
    assert!(failure.message.contains("bytes left"), "{failure}");
    assert_eq!(fs::metadata(vault.cartridge("VT0002")).unwrap().len(), length);
    for barcode in ["VT0001", "VT0003"] {
        vault.write(barcode, "run/4", &source).unwrap();
    }
    let failure = choose(&vault, "documents", 100 << 20).unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused);
    assert!(failure.message.contains("lacks"), "{failure}");
    let failure = choose(&vault, "others", bound).unwrap_err();
    assert!(failure.message.contains("is blank or in pool 'others'"), "{failure}");
}

#[test]
fn a_cartridge_keeps_its_pool() {
    let vault = Vault::new(1, 3 << 20);
    let source = vault.path("source");
    fs::create_dir(&source).unwrap();
    vault.write("VT0001", "run/1", &source).unwrap();
    let record = crate::support::record();
    let dataset = resplit_steps::drivers::media::NewDataset {
        barcode: &"VT0001".into(),
        pool: &"others".into(),
        tag: resplit_operations::pair::Tag("run/2".into()),
        host: &"backupserver".into(),
        sources: &[("documents".into(), source)],
        record: &record,
        expires: None,
        written: crate::support::at("2026-11-20T11:00:00Z"),
    };
    let failure = DRIVER.write(&vault.at(), &dataset, &Work::silent()).unwrap_err();
    assert!(failure.message.contains("belongs to the pool 'documents'"), "{failure}");
}

#[test]
fn a_drive_and_a_cartridge_have_one_user() {
    let mut vault = Vault::new(2, 256 << 20);
    let (source, small) = (vault.path("source"), vault.path("small"));
    fs::create_dir(&source).unwrap();
    make_small(&small);
    for number in 0..8 {
        fs::write(source.join(number.to_string()), noise(number, 4 << 20)).unwrap();
    }
    DRIVER.inventory(&vault.at()).unwrap();
    let begun = std::sync::Arc::new(std::sync::Barrier::new(2));
    for (drives, barcode, message) in [(1, "VT0002", "every drive"), (2, "VT0001", "in another drive")] {
        vault.library.drives = drives;
        let (first, begun) = (begun.clone(), begun.clone());
        let told = std::sync::Once::new();
        let work = Work::new(move |_| {
            told.call_once(|| {
                // The writer reports when it has both, and waits until the other one has tried.
                first.wait();
                first.wait();
            });
        });
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| vault.write_all("VT0001", "run/1", &[("documents", &source)], &work));
            begun.wait();
            let failure = vault.write(barcode, "run/2", &small).unwrap_err();
            begun.wait();
            assert_eq!(failure.class, FailureClass::Temporary);
            assert!(failure.message.contains(message), "{failure}");
            writer.join().unwrap().unwrap();
        });
    }
    vault.write("VT0002", "run/3", &small).unwrap();
}

#[test]
fn a_cancelled_writer_leaves_nothing() {
    let vault = Vault::new(1, 256 << 20);
    let (source, small) = (vault.path("source"), vault.path("small"));
    fs::create_dir(&source).unwrap();
    make_small(&small);
    for number in 0..40 {
        fs::write(source.join(number.to_string()), noise(number, 1 << 20)).unwrap();
    }
    vault.write("VT0001", "run/1", &small).unwrap();
    let before = fs::read(vault.cartridge("VT0001")).unwrap();
    for delay in [0, 10, 40, 100] {
        let work = Work::silent();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| vault.write_all("VT0001", "run/2", &[("documents", &source)], &work));
            std::thread::sleep(Duration::from_millis(delay));
            work.cancel();
            if let Err(failure) = writer.join().unwrap() {
                assert_eq!(failure.class, FailureClass::Cancelled, "{failure}");
                assert_eq!(vault.datasets("VT0001").len(), 1);
                assert!(fs::read(vault.cartridge("VT0001")).unwrap() == before);
            }
        });
        fs::write(vault.cartridge("VT0001"), &before).unwrap();
        drop(fs::remove_file(vault.library.path.join("VT0001.contents")));
    }
}
