//! A pair of directories through its life, with the numbers that it reports.

use std::{fs, path::Path};

use resplit_operations::pair::{PairStatus, PairVerb};
use resplit_steps::{drivers::pairs::Difference, failure::FailureClass};

use super::support::{Bed, FileSystem, assert_same};

#[test]
fn a_pair_goes_through_its_life() {
    for file_system in FileSystem::all() {
        println!("on {}", file_system.name);
        life(&Bed::new(&file_system, "life"));
    }
}

fn life(bed: &Bed) {
    let (pair, driver) = (&bed.pair, &*bed.driver);
    let status = || driver.status(pair).unwrap();
    assert_eq!((status().status, status().epoch), (PairStatus::Smpl, 0));
    assert!(!pair.secondary.exists(), "asking makes nothing");

    bed.write("a", "alpha");
    bed.write("sub/b", "beta");
    fs::create_dir(bed.primary().join("empty")).unwrap();
    let report = driver.resync(pair, &bed.asked("run/resync")).unwrap();
    assert_eq!((report.entries, report.bytes, report.removed), (4, 9, 0));
    bed.assert_equal();
    let after = status();
    assert_eq!((after.status, after.epoch, after.backed_up), (PairStatus::Pair, 1, 0));
    let last = after.last.unwrap();
    assert_eq!((last.verb, last.report), (PairVerb::Resync, Some(report)));
    assert!(driver.open_image(pair, Path::new("/")).is_err(), "a pair that follows has no image");

    bed.write("a", "alpha again");
    let report = driver.split(pair, 7, &bed.asked("run/split")).unwrap();
    assert_eq!((report.entries, report.bytes, report.changed, report.copied), (4, 15, 1, 11));
    assert_eq!(report.fuzzy_count, 0);
    assert_eq!((status().status, status().epoch, status().backed_up), (PairStatus::Psus, 1, 7));
    let image = driver.open_image(pair, Path::new("/")).unwrap();
    assert_same(bed.primary(), &image);
    assert_eq!(driver.split(pair, 8, &bed.asked("run/split")).unwrap(), report, "it was done already");
    assert_eq!(status().backed_up, 7);
    assert_eq!(driver.split(pair, 8, &bed.asked("other/split")).unwrap_err().class, FailureClass::Refused);

    // The primary goes on; the image does not.
    bed.write("a", "ruined");
    bed.write("new", "new");
    fs::remove_file(bed.primary().join("sub/b")).unwrap();
    let difference = driver.difference(pair, &bed.work).unwrap();
    assert_eq!((difference.removed, difference.replaced, difference.returned), (1, 1, 1));
    assert_eq!(difference.bytes, 15);
    assert_eq!(difference.examples, ["removed: new", "replaced: a"]);
    assert_eq!(fs::read(image.join("a")).unwrap(), b"alpha again");

    let report = driver.restore(pair, &bed.asked("run/restore")).unwrap();
    assert_eq!((report.entries, report.changed, report.removed), (4, 2, 1));
    bed.assert_equal();
    assert_eq!(fs::read(bed.primary().join("a")).unwrap(), b"alpha again");
    assert_eq!((status().status, status().epoch, status().backed_up), (PairStatus::Psus, 1, 7));
    assert_eq!(driver.restore(pair, &bed.asked("run/restore")).unwrap(), report);
    let difference = driver.difference(pair, &bed.work).unwrap();
    assert_eq!(difference, Difference::default());

    let report = driver.resync(pair, &bed.asked("later/resync")).unwrap();
    assert_eq!((report.changed, report.removed, report.copied), (0, 0, 0), "the restore was the last pass");
    assert_eq!((status().status, status().epoch, status().backed_up), (PairStatus::Pair, 2, 7));
    bed.write("sub/c", "gamma");
    let _ = driver.resync(pair, &bed.asked("later/resync")).unwrap();
    bed.assert_equal();
    assert_eq!((status().status, status().epoch), (PairStatus::Pair, 3));
}
