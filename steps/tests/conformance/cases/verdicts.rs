//! Verbs do what the table of verdicts says of the copy type, in each status that a pair is brought to without harm; and
//! what dissolves a pair leaves nothing but what it has counted.

use resplit_operations::pair::{
    CopyReport, PairStatus,
    verdict::{ArrayVerb, CopyType, Verdict, verdict},
};
use resplit_steps::{
    context::Work,
    failure::{Failure, FailureClass},
};

use crate::bed::{Bed, Maker, Mounts, asked, assert_same};

fn call(bed: &dyn Bed, verb: ArrayVerb, tag: &str) -> Result<CopyReport, Failure> {
    match verb {
        ArrayVerb::Resync => bed.resync(tag),
        ArrayVerb::Split => bed.split(1, tag),
        ArrayVerb::Restore => bed.restore(tag),
        ArrayVerb::Delete => bed.driver().delete(bed.pair(), &asked(tag, &Work::silent())),
        other => panic!("drivers have no {}", other.word()),
    }
}

/// Asks verbs one after the other, and compares each answer with the table.
fn compare(bed: &dyn Bed, number: &mut u32, verbs: &[ArrayVerb]) {
    for verb in verbs {
        *number += 1;
        let before = bed.status();
        let called = call(bed, *verb, &format!("{number}/verb"));
        let (now, name) = (bed.status(), format!("{} of {}", verb.word(), before.status));
        match verdict(CopyType::Mirror, *verb, before.status.into()) {
            Verdict::Done { finally, .. } => {
                assert!(called.is_ok(), "{name}: {called:?}");
                assert_eq!(now.status, PairStatus::from(finally), "{name}");
            }
            Verdict::WithoutEffect => {
                assert_eq!((called, now), (Ok(CopyReport::default()), before), "{name}");
            }
            Verdict::Rejected(_) => {
                assert_eq!(called.map_err(|failure| failure.class), Err(FailureClass::Refused), "{name}");
                assert_eq!(now, before, "{name}");
            }
        }
    }
}

pub(crate) fn as_the_table_says(maker: &dyn Maker) {
    use ArrayVerb::{Delete, Restore, Resync, Split};
    let bed = &*maker.make("table");
    bed.write("a", "alpha");
    let mut number = 0;
    compare(bed, &mut number, &[Split, Restore, Delete, Resync, Restore, Resync, Split, Split, Restore]);
    compare(bed, &mut number, &[Resync, Delete, Resync, Split, Delete, Split, Restore, Delete, Resync]);
    for after in [&[Split, Restore, Resync][..], &[Delete, Resync]] {
        let at = Mounts::new();
        if !bed.overwrites_what_follows() {
            let refused = bed.driver().begin_overwrite(
                bed.pair(),
                &at.volume(),
                &asked("no/overwrite", &Work::silent()),
            );
            assert_eq!(refused.unwrap_err().class, FailureClass::Refused);
            let _ = bed.split(1, &format!("{number}/before")).unwrap();
        }
        number += 1;
        let tag = format!("{number}/overwrite");
        bed.driver().begin_overwrite(bed.pair(), &at.volume(), &asked(&tag, &Work::silent())).unwrap();
        at.close();
        assert_eq!(bed.status().status, PairStatus::Copy);
        compare(bed, &mut number, after);
    }
    let _ = bed.split(1, "last/split").unwrap();
    assert_same(&bed.primary(), &bed.image());
}

pub(crate) fn dissolved(maker: &dyn Maker) {
    let bed = maker.make("dissolved");
    bed.fill(b'a');
    assert_eq!(call(&*bed, ArrayVerb::Delete, "0/delete"), Ok(CopyReport::default()));
    assert!(!bed.pair().secondary.exists(), "nothing is made of a pair that there never was");
    let _ = bed.resync("1/resync").unwrap();
    let _ = bed.split(7, "1/split").unwrap();
    let _ = call(&*bed, ArrayVerb::Delete, "1/delete").unwrap();
    let after = bed.status();
    assert_eq!((after.status, after.epoch, after.backed_up), (PairStatus::Smpl, 2, 0));
    assert!(after.last.is_some_and(|last| last.tag.0 == "1/delete" && last.report.is_some()));
    assert!(bed.driver().open_image(bed.pair(), &Mounts::new().volume()).is_err());
    let mut left: Vec<_> = std::fs::read_dir(&bed.pair().secondary)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["lock", "pair.json"]);
    // Made anew, its epoch goes on: no record of the old image is taken for one of the new.
    let _ = bed.resync("2/resync").unwrap();
    assert_eq!(bed.status().epoch, 3);
    let _ = bed.split(8, "2/split").unwrap();
    assert_same(&bed.primary(), &bed.image());
}
