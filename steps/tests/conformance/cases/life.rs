//! What a pair does when nothing disturbs it.

use std::fs;

use resplit_operations::pair::{PairStatus, PairVerb};
use resplit_steps::{context::Work, drivers::pairs::Difference};

use crate::bed::{Bed, Maker, asked, assert_same, contents, settle};

/// Little was copied: a file that changed, and what a file system writes about it.
fn is_small(copied: u64, bytes: u64) {
    assert!(copied * 5 < bytes, "{copied} bytes of {bytes} were copied");
}

pub(crate) fn create(maker: &dyn Maker) {
    let bed = maker.make("create");
    let first = bed.status();
    assert_eq!((first.status, first.epoch, first.backed_up, first.last), (PairStatus::Smpl, 0, 0, None));
    assert!(!bed.pair().secondary.exists());
    bed.fill(b'a');
    let report = bed.resync("1/resync").unwrap();
    assert!(report.bytes > 0 && (report.entries > 0 || !bed.counts()), "{report:?}");
    assert!(report.changed > 0 && report.copied > 0 || !bed.counts(), "{report:?}");
    let after = bed.status();
    assert_eq!((after.status, after.epoch, after.backed_up, after.token), (PairStatus::Pair, 1, 0, 1));
    let last = after.last.unwrap();
    assert_eq!((last.tag.0.as_str(), last.verb), ("1/resync", PairVerb::Resync));
    assert!(last.ended.is_some());
    assert_eq!(last.report, Some(report));
}

pub(crate) fn resync(maker: &dyn Maker) {
    let bed = maker.make("resync");
    bed.fill(b'a');
    let first = bed.resync("1/resync").unwrap();
    let again = bed.unused(|| {
        let _ = bed.driver().resync(bed.pair(), &asked("2/resync", &Work::silent())).unwrap();
        bed.driver().resync(bed.pair(), &asked("3/resync", &Work::silent())).unwrap()
    });
    assert_eq!((again.changed, again.removed, again.copied), (0, 0, 0));
    assert_eq!(again.bytes, first.bytes);
    bed.write("3/33", "changed");
    let little = bed.resync("4/resync").unwrap();
    assert!(little.changed > 0 || !bed.counts(), "{little:?}");
    is_small(little.copied, little.bytes);
    assert_eq!((bed.status().status, bed.status().epoch), (PairStatus::Pair, 4));
    let _ = bed.split(1, "4/split").unwrap();
    assert_same(&bed.primary(), &bed.image());
}

pub(crate) fn split(maker: &dyn Maker) {
    let bed = maker.make("split");
    bed.fill(b'a');
    let _ = bed.resync("1/resync").unwrap();
    bed.write("0/0", "since the resync");
    let wanted = bed.primary();
    let report = bed.split(7, "1/split").unwrap();
    assert_eq!(report.fuzzy_count, 0, "{report:?}");
    let after = bed.status();
    assert_eq!((after.status, after.epoch, after.backed_up), (PairStatus::Psus, 1, 7));
    assert_eq!(after.last.unwrap().verb, PairVerb::Split);
    bed.with_image(|image| {
        bed.fill(b'b');
        bed.write("new", "not in the image");
        fs::remove_dir_all(bed.tree().join("5")).unwrap();
        settle(&bed.tree());
        assert_same(&wanted, &contents(image));
    });
    assert_same(&wanted, &bed.image());
    assert_eq!(bed.split(8, "1/split").unwrap(), report, "it was done already");
    assert_eq!(bed.status().backed_up, 7);
}

/// A pair that was split, whose primary has changed since; and what the image holds.
fn changed_since(bed: &dyn Bed) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    bed.fill(b'a');
    let _ = bed.resync("1/resync").unwrap();
    let _ = bed.split(7, "1/split").unwrap();
    let image = bed.image();
    bed.write("3/3", "ruined");
    bed.write("new", "since the split");
    fs::remove_dir_all(bed.tree().join("4")).unwrap();
    settle(&bed.tree());
    image
}

pub(crate) fn restore(maker: &dyn Maker) {
    let bed = maker.make("restore");
    let image = changed_since(&*bed);
    let before = bed.status();
    let report = bed.unused(|| {
        let differs = bed.driver().difference(bed.pair(), &Work::silent()).unwrap();
        assert!(differs.replaced > 0 && differs.bytes > 0 && !differs.examples.is_empty(), "{differs:?}");
        let work = Work::silent();
        let asked = asked("1/restore", &work);
        let report = bed.driver().restore(bed.pair(), &asked).unwrap();
        assert_eq!(bed.driver().difference(bed.pair(), &work).unwrap(), Difference::default());
        assert_eq!(bed.driver().restore(bed.pair(), &asked).unwrap(), report, "it was done already");
        report
    });
    assert!(report.changed > 0 || !bed.counts(), "{report:?}");
    let after = bed.status();
    assert_eq!(
        (after.status, after.epoch, after.backed_up),
        (PairStatus::Psus, before.epoch, before.backed_up)
    );
    assert_eq!(after.last.unwrap().verb, PairVerb::Restore);
    assert_same(&image, &bed.primary());
    assert_same(&image, &bed.image());
}

pub(crate) fn after_restore(maker: &dyn Maker) {
    let bed = maker.make("after");
    let _ = changed_since(&*bed);
    let _ = bed.restore("1/restore").unwrap();
    let report = bed.resync("2/resync").unwrap();
    is_small(report.copied, report.bytes);
    assert_eq!((bed.status().status, bed.status().epoch, bed.status().backed_up), (PairStatus::Pair, 2, 7));
    bed.write("1/1", "after the restore");
    let _ = bed.split(8, "2/split").unwrap();
    assert_same(&bed.primary(), &bed.image());
}

pub(crate) fn deleted(maker: &dyn Maker) {
    let bed = maker.make("deleted");
    bed.fill(b'a');
    let _ = bed.resync("1/resync").unwrap();
    let _ = bed.split(1, "1/split").unwrap();
    bed.forget();
    assert_eq!((bed.status().status, bed.status().epoch), (PairStatus::Smpl, 0));
    bed.write("0/0", "once more");
    let _ = bed.resync("2/resync").unwrap();
    let _ = bed.split(2, "2/split").unwrap();
    assert_same(&bed.primary(), &bed.image());
}
