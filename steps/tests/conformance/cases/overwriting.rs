//! A secondary that something else writes: a dataset from tape.

use std::fs;

use resplit_operations::pair::{CopyReport, PairStatus, PairVerb};
use resplit_steps::context::Work;

use crate::bed::{Bed, Maker, Mounts, asked, assert_same, contents, refused};

/// Overwrites the secondary with one file, and gives the report.
fn overwrite(bed: &dyn Bed, tag: &str) -> CopyReport {
    let (at, work) = (Mounts::new(), Work::silent());
    let place = bed.driver().begin_overwrite(bed.pair(), &at.volume(), &asked(tag, &work)).unwrap();
    assert_eq!(contents(&place).len(), 0, "nothing old is left in the place");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
    let status = bed.status();
    assert_eq!(status.status, PairStatus::Copy);
    let last = status.last.unwrap();
    assert_eq!((last.verb, last.ended), (PairVerb::Overwrite, None));
    let _ = refused(bed.driver().open_image(bed.pair(), &at.volume()));
    fs::write(place.join("from tape"), "older").unwrap();
    let report = CopyReport { entries: 1, bytes: 5, ..CopyReport::default() };
    let wrong = bed.driver().end_overwrite(bed.pair(), &report, &asked("another", &work));
    let _ = refused(wrong);
    bed.driver().end_overwrite(bed.pair(), &report, &asked(tag, &work)).unwrap();
    bed.driver().end_overwrite(bed.pair(), &report, &asked(tag, &work)).unwrap();
    at.close();
    report
}

pub(crate) fn written(maker: &dyn Maker) {
    let bed = maker.make("written");
    bed.fill(b'a');
    let _ = bed.resync("1/resync").unwrap();
    let _ = bed.split(3, "1/split").unwrap();
    for round in 2..4 {
        let report = overwrite(&*bed, &format!("{round}/overwrite"));
        let status = bed.status();
        assert_eq!((status.status, status.epoch, status.backed_up), (PairStatus::Psus, round, 3));
        assert_eq!(status.last.unwrap().report, Some(report));
    }
    assert_eq!(bed.image().len(), 1);
    let _ = bed.restore("3/restore").unwrap();
    assert_same(&bed.image(), &bed.primary());
    assert_eq!(fs::read(bed.tree().join("from tape")).unwrap(), b"older");
    // And the pair goes on as any other.
    bed.write("new", "new");
    let _ = bed.resync("4/resync").unwrap();
    let _ = bed.split(4, "4/split").unwrap();
    assert_same(&bed.primary(), &bed.image());
}

pub(crate) fn lost(maker: &dyn Maker) {
    let bed = maker.make("lost");
    bed.fill(b'a');
    let _ = bed.resync("1/resync").unwrap();
    bed.lose();
    let _ = overwrite(&*bed, "2/overwrite");
    let _ = bed.driver().restore(bed.pair(), &asked("2/restore", &Work::silent())).unwrap();
    bed.attach();
    assert_same(&bed.image(), &bed.primary());
    assert_eq!(fs::read(bed.tree().join("from tape")).unwrap(), b"older");
}
