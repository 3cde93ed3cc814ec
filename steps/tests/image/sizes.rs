//! Sides of different sizes.

use std::fs::{self, File};

use resplit_operations::pair::PairStatus;
use resplit_steps::drivers::pairs::PairDriver;

use crate::{
    disks::Loop,
    support::{BLOCK, Pair, refused},
};

fn resize(pair: &Pair, size: u64) {
    File::options().write(true).open(&pair.pair.primary).unwrap().set_len(size).unwrap();
}

#[test]
fn a_primary_that_grows_or_shrinks_is_followed_and_told() {
    let pair = Pair::new(10 * BLOCK + 100);
    pair.write(0, &vec![3; usize::try_from(10 * BLOCK + 100).unwrap()]);
    assert_eq!(pair.resync().unwrap().notes, [""; 0]);
    for (size, how) in [
        (14 * BLOCK, "grown"),
        (12 * BLOCK + 5, "shrunk"),
        (12 * BLOCK + 9, "grown"),
        (BLOCK - 1, "shrunk"),
        (7, "shrunk"),
        (3 * BLOCK, "grown"),
    ] {
        resize(&pair, size);
        let report = pair.resync().unwrap();
        assert_eq!(report.bytes, size);
        assert!(report.notes.iter().any(|note| note.contains(how)), "{report:?}");
        pair.assert_equal();
        assert_eq!(pair.resync().unwrap().changed, 0, "{size}");
    }
    let _ = pair.split().unwrap();
    // Restored, the primary has the image's size again.
    let image = fs::read(pair.copy()).unwrap();
    for size in [BLOCK, 9 * BLOCK] {
        resize(&pair, size);
        let differs = pair.driver.difference(&pair.pair, &resplit_steps::context::Work::silent()).unwrap();
        assert!(differs.examples.iter().any(|example| example.contains("the primary has")), "{differs:?}");
        let _ = pair.restore(&size.to_string()).unwrap();
        assert_eq!(fs::read(&pair.pair.primary).unwrap(), image);
    }
    fs::remove_file(&pair.pair.primary).unwrap();
    let _ = pair.restore("lost").unwrap();
    assert_eq!(fs::read(&pair.pair.primary).unwrap(), image);
}

#[test]
fn an_emptied_primary_does_not_empty_the_copy() {
    let pair = Pair::new(4 * BLOCK);
    pair.write(5, b"wanted");
    let _ = pair.resync().unwrap();
    let before = (pair.state(), fs::read(pair.copy()).unwrap());
    resize(&pair, 0);
    let said = refused(pair.resync());
    assert!(said.contains("is empty"), "{said}");
    assert_eq!((pair.state(), fs::read(pair.copy()).unwrap()), before);
}

#[test]
fn a_device_that_is_too_small_or_holds_something_is_refused_before_anything_changes() {
    let mut pair = Pair::new(100 * BLOCK);
    pair.write(0, b"primary");
    let file = pair.directory.path().join("device");
    File::create(&file).unwrap().set_len(99 * BLOCK).unwrap();
    let device = match Loop::new(&file) {
        Ok(device) => device,
        Err(reason) => return println!("skipped: {reason}"),
    };
    pair.pair.device = Some(device.0.clone());
    let said = refused(pair.resync());
    assert!(said.contains("has 6488064 bytes") && said.contains("6553600"), "{said}");
    assert_eq!(pair.state().status, PairStatus::Smpl);
    drop(device);
    // Large enough, but somebody's.
    crate::disks::volume(&file, Some("ext4"), 8).unwrap();
    let device = Loop::new(&file).unwrap();
    pair.pair.device = Some(device.0.clone());
    let before = fs::read(&file).unwrap();
    let said = refused(pair.resync());
    assert!(said.contains("ext4") && said.contains("wipefs"), "{said}");
    assert!(fs::read(&file).unwrap() == before);
    let _ = crate::disks::output(&["wipefs", "--all", device.0.to_str().unwrap()]).unwrap();
    let report = pair.resync().unwrap();
    assert_eq!(report.bytes, 100 * BLOCK);
    // What the primary outgrows is refused, too, and the image of before stays.
    let _ = pair.split().unwrap();
    let _ = pair.resync().unwrap();
    let before = pair.state();
    resize(&pair, 200 * BLOCK);
    assert!(refused(pair.resync()).contains("at least as large"));
    assert_eq!(pair.state(), before);
}
