//! What is refused, and changes nothing.

use std::{fs, path::Path};

use resplit_operations::pair::{CopyReport, PairRef, PairStatus};
use resplit_steps::{context::Work, drivers::pairs::Asked};

use crate::bed::{Maker, Mounts, asked, assert_same, refused};

pub(crate) fn old_token(maker: &dyn Maker) {
    let bed = maker.make("token");
    bed.fill(b'a');
    let work = Work::silent();
    let with = |token| Asked { token, ..asked("1/verb", &work) };
    let (pair, at) = (bed.pair(), Mounts::new());
    let _ = bed.driver().resync(pair, &with(5)).unwrap();
    bed.write("0/0", "since");
    let before = bed.status();
    let said = refused(bed.driver().resync(pair, &with(4)));
    assert!(said.contains("token 5") && said.contains("token 4"), "{said}");
    let _ = refused(bed.driver().split(pair, 1, &with(4)));
    let _ = refused(bed.driver().begin_overwrite(pair, &at.volume(), &with(4)));
    assert_eq!(bed.status(), before);
    let _ = bed.held(|| bed.driver().split(pair, 1, &with(6)).unwrap());
    let _ = bed.unused(|| refused(bed.driver().restore(pair, &with(5))));
    assert_eq!((bed.status().status, bed.status().token), (PairStatus::Psus, 6));
    assert_same(&bed.primary(), &bed.image());
}

pub(crate) fn unfitting(maker: &dyn Maker) {
    let bed = maker.make("unfitting");
    bed.fill(b'a');
    let (pair, work, at) = (bed.pair(), Work::silent(), Mounts::new());
    let asked = |tag| asked(tag, &work);
    let driver = bed.driver();
    let report = CopyReport::default();
    let never = || {
        let _ = refused(driver.restore(pair, &asked("1/restore")));
        let _ = refused(driver.difference(pair, &work));
        let _ = refused(driver.open_image(pair, &at.volume()));
        let _ = refused(driver.end_overwrite(pair, &report, &asked("1/overwrite")));
    };
    bed.unused(never);
    let _ = refused(driver.split(pair, 1, &asked("1/split")));
    assert!(!pair.secondary.exists());
    let _ = bed.resync("1/resync").unwrap();
    let before = bed.status();
    bed.unused(never);
    assert_eq!(bed.status(), before);
    assert!(!driver.purge_cache(pair).unwrap().is_empty());
    let _ = bed.split(1, "1/split").unwrap();
    let _ = refused(bed.split(2, "2/split"));
    let _ = driver.purge_cache(pair).unwrap();
    assert_same(&bed.primary(), &bed.image());
}

pub(crate) fn bad_paths(maker: &dyn Maker) {
    let bed = maker.make("paths");
    bed.fill(b'a');
    let (work, good) = (Work::silent(), bed.pair());
    let secondary = good.secondary.with_file_name("other");
    let with = |primary: &Path, secondary: &Path| PairRef {
        apart: None,
        primary: primary.to_owned(),
        secondary: secondary.to_owned(),
        ..good.clone()
    };
    let missing = with(&good.primary.with_file_name("missing"), &secondary);
    let _ = refused(bed.driver().resync(&missing, &asked("1/resync", &work)));
    let wrong = with(Path::new("/dev/null"), &secondary);
    let _ = refused(bed.driver().resync(&wrong, &asked("1/resync", &work)));
    let nested = with(&good.primary, &good.primary.join("below"));
    let _ = refused(bed.driver().resync(&nested, &asked("1/resync", &work)));
    assert!(!secondary.exists());
    // What is no pair's directory is nobody's to overwrite.
    fs::create_dir(&secondary).unwrap();
    fs::write(secondary.join("wanted"), "by somebody").unwrap();
    let said = refused(bed.driver().resync(&with(&good.primary, &secondary), &asked("1/resync", &work)));
    assert!(said.contains("wanted"), "{said}");
    assert_eq!(fs::read_dir(&secondary).unwrap().count(), 1);
    // A file where the directory has to be.
    let file = good.secondary.with_file_name("file");
    fs::write(&file, "wanted").unwrap();
    assert!(bed.driver().resync(&with(&good.primary, &file), &asked("1/resync", &work)).is_err());
    assert_eq!(fs::read(&file).unwrap(), b"wanted");
    bed.is(PairStatus::Smpl);
}

pub(crate) fn foreign(maker: &dyn Maker) {
    let bed = maker.make("foreign");
    bed.fill(b'a');
    let _ = bed.resync("1/resync").unwrap();
    let _ = bed.split(1, "1/split").unwrap();
    let before = (bed.status(), bed.image());
    let other = PairRef { copy_group: "VG02,vol01".into(), ..bed.pair().clone() };
    let (work, at) = (Work::silent(), Mounts::new());
    let said = refused(bed.driver().resync(&other, &asked("2/resync", &work)));
    assert!(said.contains("another pair") && said.contains("VG01,vol01"), "{said}");
    let _ = refused(bed.driver().status(&other));
    let _ = refused(bed.driver().open_image(&other, &at.volume()));
    let _ = refused(bed.driver().begin_overwrite(&other, &at.volume(), &asked("2/overwrite", &work)));
    let _ = bed.unused(|| refused(bed.driver().restore(&other, &asked("2/restore", &work))));
    assert_eq!(bed.status(), before.0);
    assert_same(&bed.image(), &before.1);
}
