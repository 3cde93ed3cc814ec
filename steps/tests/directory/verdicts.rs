//! The table of verdicts says what this driver does: every verb in every status that a pair can be brought into.

use std::{fs, path::Path};

use resplit_operations::pair::{
    CopyReport, PairStatus,
    foresee::after,
    verdict::{ArrayVerb, CopyType, Verdict, verdict},
};
use resplit_steps::failure::{Failure, FailureClass};

use super::support::{Bed, FileSystem, run};

const STATUSES: [PairStatus; 6] = [
    PairStatus::Smpl,
    PairStatus::Copy,
    PairStatus::Pair,
    PairStatus::Psus,
    PairStatus::Psue,
    PairStatus::Rcpy,
];

/// What nobody can change or remove, until it is dropped.
struct Immutable<'a>(&'a Path);

impl<'a> Immutable<'a> {
    fn new(path: &'a Path) -> Self {
        let _ = run(&["chattr", "+i", path.to_str().unwrap()]);
        Self(path)
    }
}

impl Drop for Immutable<'_> {
    fn drop(&mut self) {
        let _ = run(&["chattr", "-i", self.0.to_str().unwrap()]);
    }
}

/// A pair in a status.
fn bed(file_system: &FileSystem, name: &str, status: PairStatus) -> Bed {
    let bed = Bed::new(file_system, name);
    let (pair, driver) = (&bed.pair, &bed.driver);
    bed.write("sub/a", "alpha");
    bed.write("sub/b", "beta");
    if status != PairStatus::Smpl {
        let _ = driver.resync(pair, &bed.asked("0/resync")).unwrap();
    }
    match status {
        PairStatus::Smpl | PairStatus::Pair => {}
        PairStatus::Copy => drop(driver.begin_overwrite(pair, Path::new("/"), &bed.asked("0/tape")).unwrap()),
        PairStatus::Psus => drop(driver.split(pair, 1, &bed.asked("0/split")).unwrap()),
        PairStatus::Psue => {
            bed.write("sub/a", "alpha, changed");
            let copy = bed.data().join("sub/a");
            let _kept = Immutable::new(&copy);
            assert!(driver.resync(pair, &bed.asked("0/again")).is_err());
        }
        PairStatus::Rcpy => {
            let _ = driver.split(pair, 1, &bed.asked("0/split")).unwrap();
            let changed = bed.write("sub/a", "alpha, changed");
            let _kept = Immutable::new(&changed);
            assert!(driver.restore(pair, &bed.asked("0/restore")).is_err());
        }
    }
    assert_eq!(driver.status(pair).unwrap().status, status);
    bed
}

fn call(bed: &Bed, verb: ArrayVerb) -> Result<CopyReport, Failure> {
    let asked = bed.asked("1/asked");
    match verb {
        ArrayVerb::Create | ArrayVerb::Resync => bed.driver.resync(&bed.pair, &asked),
        ArrayVerb::Split => bed.driver.split(&bed.pair, 2, &asked),
        ArrayVerb::Restore => bed.driver.restore(&bed.pair, &asked),
        ArrayVerb::Delete => bed.driver.delete(&bed.pair, &asked),
        other => panic!("the driver has no {}", other.word()),
    }
}

#[test]
fn every_verb_in_every_status_does_what_the_table_says() {
    let file_system = match FileSystem::new("ext4", 200) {
        Ok(made) => made,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let mut compared = 0;
    for status in STATUSES {
        for verb in [ArrayVerb::Resync, ArrayVerb::Split, ArrayVerb::Restore, ArrayVerb::Delete] {
            let name = format!("{status}-{}", verb.word());
            let bed = bed(&file_system, &name, status);
            let before = bed.driver.status(&bed.pair).unwrap();
            let called = call(&bed, verb);
            let now = bed.driver.status(&bed.pair).unwrap();
            match verdict(CopyType::Mirror, verb, status.into()) {
                Verdict::Done { at_once, finally } => {
                    assert!(called.is_ok(), "{name}: {called:?}");
                    assert_eq!(at_once, finally, "the driver returns when all is copied");
                    assert_eq!(now.status, PairStatus::from(finally), "{name}");
                    assert_ne!(now.last, before.last, "{name}");
                }
                Verdict::WithoutEffect => {
                    assert_eq!((called, now), (Ok(CopyReport::default()), before), "{name}");
                }
                Verdict::Rejected(_) => {
                    assert_eq!(called.unwrap_err().class, FailureClass::Refused, "{name}");
                    assert_eq!(now, before, "{name}");
                }
            }
            compared += 1;
        }
        // To create is to resync what is no pair, and nothing else.
        let created = after(CopyType::Mirror, ArrayVerb::Create, status);
        assert_eq!(created.ok(), (status == PairStatus::Smpl).then_some(PairStatus::Pair), "{status}");
    }
    assert_eq!(compared, 24);
}

#[test]
fn what_is_dissolved_is_gone_and_can_be_made_anew() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "dissolved");
    let (pair, driver) = (&bed.pair, &bed.driver);
    bed.write("sub/deeper/a", "alpha");
    assert_eq!(driver.delete(pair, &bed.asked("0/delete")), Ok(CopyReport::default()));
    assert!(!pair.secondary.exists(), "nothing is made of a pair that there never was");
    let _ = driver.resync(pair, &bed.asked("1/resync")).unwrap();
    let _ = driver.split(pair, 4, &bed.asked("1/split")).unwrap();
    let report = driver.delete(pair, &bed.asked("1/delete")).unwrap();
    assert_eq!(report.removed, 4);
    let mut left: Vec<_> =
        fs::read_dir(&pair.secondary).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["lock", "pair.json"]);
    let status = driver.status(pair).unwrap();
    assert_eq!((status.status, status.epoch, status.backed_up), (PairStatus::Smpl, 2, 0));
    assert!(driver.open_image(pair, Path::new("/")).is_err());

    // Made anew, its epoch goes on: no record of the old image is taken for one of the new.
    let _ = driver.resync(pair, &bed.asked("2/resync")).unwrap();
    bed.assert_equal();
    assert_eq!(driver.status(pair).unwrap().epoch, 3);
    let mut late = bed.asked("late/resync");
    late.token = 0;
    assert_eq!(driver.delete(pair, &late).unwrap_err().class, FailureClass::Refused);
    bed.assert_equal();

    // The place of what was dissolved is free for another pair.
    let _ = driver.delete(pair, &bed.asked("3/delete")).unwrap();
    let mut other = Bed::across(&file_system.root.join("dissolved"), &file_system.root.join("dissolved"));
    other.pair.copy_group = "VG09,vol09".into();
    let _ = other.driver.resync(&other.pair, &other.asked("4/resync")).unwrap();
    other.assert_equal();
    assert_eq!(other.driver.status(&other.pair).unwrap().epoch, 5);
    assert!(driver.delete(pair, &bed.asked("5/delete")).is_err(), "it is another's now");
    other.assert_equal();
}

#[test]
fn a_delete_that_stops_halfway_is_completed_or_made_good_by_a_resync() {
    let file_system = match FileSystem::new("ext4", 200) {
        Ok(made) => made,
        Err(reason) => return println!("skipped: {reason}"),
    };
    for verb in [ArrayVerb::Delete, ArrayVerb::Resync] {
        let bed = Bed::new(&file_system, verb.word());
        (0..30).for_each(|file| drop(bed.write(&format!("{}/{file}", file % 5), "content")));
        let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
        let _ = bed.driver.split(&bed.pair, 1, &bed.asked("1/split")).unwrap();
        let kept = bed.data().join("4/24");
        {
            let _kept = Immutable::new(&kept);
            let failure = bed.driver.delete(&bed.pair, &bed.asked("2/delete")).unwrap_err();
            assert!(failure.message.contains("4/24"), "{failure}");
        }
        let status = bed.driver.status(&bed.pair).unwrap();
        assert_eq!((status.status, status.epoch), (PairStatus::Psue, 2));
        assert!(kept.exists() && !bed.data().join("0/0").exists(), "it has stopped halfway");
        let _ = call(&bed, verb).unwrap();
        if verb == ArrayVerb::Resync {
            bed.assert_equal();
        } else {
            assert!(!bed.data().exists());
        }
    }
}
