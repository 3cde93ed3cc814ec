//! What every kind of pair promises, of an array's.

use std::{fs, process::Command};

use resplit_operations::pair::{PairStatus, PairVerb};
use resplit_steps::{
    drivers::{mounts, pairs::PairDriver},
    failure::FailureClass,
};

use crate::support::{Bed, shipped};

#[test]
fn a_pair_goes_through_its_life() {
    for copy_type in ["shadow-image", "thin-image"] {
        let bed = Bed::new(copy_type);
        let (pair, driver) = (&bed.pair, &bed.driver);
        assert_eq!((bed.status().status, bed.status().epoch), (PairStatus::Smpl, 0));
        assert!(!pair.secondary.exists(), "asking makes nothing");

        bed.write(b"alpha");
        let report = driver.resync(pair, &bed.asked("run/resync/1")).unwrap();
        let after = bed.status();
        assert_eq!((after.status, after.epoch, after.backed_up), (PairStatus::Pair, 1, 0));
        let last = after.last.unwrap();
        assert_eq!((last.verb, last.report), (PairVerb::Resync, Some(report)));
        assert!(driver.open_image(pair, &bed.path("at")).is_err(), "a pair that follows has no image");

        bed.write(b"alpha again");
        let report = driver.split(pair, 7, &bed.asked("run/split/1")).unwrap();
        assert_eq!(report.bytes, 1 << 20);
        assert_eq!((bed.status().status, bed.status().backed_up), (PairStatus::Psus, 7));
        assert!(bed.reads("s", b"alpha again"));
        assert_eq!(driver.split(pair, 8, &bed.asked("run/split/1")).unwrap(), report, "it was done already");
        let other = driver.split(pair, 8, &bed.asked("other/split/1")).unwrap_err();
        assert_eq!((other.class, bed.status().backed_up), (FailureClass::Refused, 7));

        bed.write(b"ruined");
        assert!(driver.difference(pair, &bed.work).unwrap().examples[0].contains("does not say which files"));
        driver.restore(pair, &bed.asked("run/restore/1")).unwrap();
        assert!(bed.reads("p", b"alpha again"));
        let restored = bed.status();
        assert_eq!((restored.status, restored.epoch, restored.backed_up), (PairStatus::Psus, 1, 7));
        let given = bed.given("pairresync");
        driver.restore(pair, &bed.asked("run/restore/1")).unwrap();
        assert_eq!(bed.given("pairresync"), given, "it was done already");

        driver.resync(pair, &bed.asked("later/resync/1")).unwrap();
        assert_eq!((bed.status().status, bed.status().epoch), (PairStatus::Pair, 2));
        assert!(!bed.path("arrays/queries").read_dir().unwrap().any(|_| true), "commands leave nothing");
        assert!(!bed.path("arrays/verbs/VG01,vol01").exists());
    }
}

#[test]
fn a_pair_is_dissolved_and_made_anew() {
    for copy_type in ["shadow-image", "thin-image"] {
        let bed = Bed::new(copy_type);
        let delete = |tag: &str| bed.driver.delete(&bed.pair, &bed.asked(tag));
        assert_eq!(delete("no/delete/1").unwrap().removed, 0);
        assert!(!bed.pair.secondary.exists(), "nothing is made of a pair that there never was");
        bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")).unwrap();
        bed.driver.split(&bed.pair, 7, &bed.asked("run/split/1")).unwrap();
        assert_eq!(delete("run/delete/1").unwrap().removed, 1);
        let after = bed.status();
        assert_eq!((after.status, after.epoch, after.backed_up), (PairStatus::Smpl, 2, 0));
        assert!(after.last.is_some_and(|last| last.verb == PairVerb::Delete && last.ended.is_some()));
        let given = bed.given("pairsplit");
        assert_eq!(delete("run/delete/1").unwrap().removed, 0, "it was done already");
        assert_eq!((bed.given("pairsplit"), bed.status().epoch), (given, 2));
        bed.driver.resync(&bed.pair, &bed.asked("later/resync/1")).unwrap();
        assert_eq!((bed.status().status, bed.status().epoch), (PairStatus::Pair, 3));
        // What somebody else has dissolved is noted.
        bed.command("pairsplit", &["-IM0", "-g", "VG01", "-S"]);
        assert_eq!(delete("last/delete/1").unwrap().removed, 0);
        assert_eq!((bed.status().status, bed.status().epoch), (PairStatus::Smpl, 4));
    }
}

#[test]
fn what_cannot_be_dissolved_is_left_as_it_is() {
    let bed = Bed::new("shadow-image");
    bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")).unwrap();
    bed.array(&["inject", "pairsplit", "EX_CMDRJE"]);
    let failure = bed.driver.delete(&bed.pair, &bed.asked("run/delete/1")).unwrap_err();
    assert!(failure.message.contains("EX_CMDRJE"), "{failure}");
    assert_eq!(bed.status().status, PairStatus::Pair);
    // A command that fails after it was carried out has carried it out.
    bed.array(&["inject", "pairsplit", "EX_COMERR", "done"]);
    bed.driver.delete(&bed.pair, &bed.asked("run/delete/2")).unwrap();
    assert_eq!(bed.status().status, PairStatus::Smpl);

    let remote = Bed::new("true-copy");
    remote.command("paircreate", &["-IH0", "-g", "VG01", "-vl", "-f", "never"]);
    let failure = remote.driver.delete(&remote.pair, &remote.asked("run/delete/1")).unwrap_err();
    assert!(failure.class == FailureClass::Refused && failure.message.contains("true-copy"), "{failure}");
    let (start, end) = (shipped().find("  delete:").unwrap(), shipped().find("  purge_cache:").unwrap());
    let mut file = shipped();
    file.replace_range(start..end, "");
    let without = Bed::with("shadow-image", "", &file);
    without.driver.resync(&without.pair, &without.asked("run/resync/1")).unwrap();
    let failure = without.driver.delete(&without.pair, &without.asked("run/delete/1")).unwrap_err();
    assert!(failure.help.unwrap().contains("verbs.delete"));
    assert_eq!(without.status().status, PairStatus::Pair);
}

#[test]
fn an_older_token_touches_nothing() {
    let bed = Bed::new("shadow-image");
    let mut asked = bed.asked("run/resync/1");
    asked.token = 5;
    bed.driver.resync(&bed.pair, &asked).unwrap();
    let (before, given) = (bed.status(), bed.given("pairsplit"));
    asked.token = 4;
    let failure = bed.driver.split(&bed.pair, 1, &asked).unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused);
    assert!(failure.message.contains("token 5"), "{failure}");
    assert_eq!((bed.status(), bed.given("pairsplit")), (before, given));
}

#[test]
fn what_somebody_else_did_is_noted_once_and_for_all() {
    let bed = Bed::new("shadow-image");
    bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")).unwrap();
    bed.driver.split(&bed.pair, 1, &bed.asked("run/split/1")).unwrap();
    assert_eq!(bed.status().epoch, 1);
    bed.command("pairresync", &["-IM0", "-g", "VG01"]);
    assert_eq!((bed.status().status, bed.status().epoch), (PairStatus::Pair, 2));
    bed.command("pairsplit", &["-IM0", "-g", "VG01"]);
    assert_eq!((bed.status().status, bed.status().epoch), (PairStatus::Psus, 3), "it is another image");
    let failure = bed.driver.split(&bed.pair, 2, &bed.asked("run/split/1")).unwrap();
    assert_eq!(failure.changed, 0);
}

#[test]
fn an_image_is_mounted_and_not_overwritten_while_it_is() {
    let bed = Bed::new("shadow-image");
    for side in ["p", "s"] {
        fs::File::create(bed.path(&format!("VG01-vol01.{side}"))).unwrap().set_len(8 << 20).unwrap();
    }
    let made = Command::new("mkfs.ext4").arg("-q").arg(bed.path("VG01-vol01.p")).status();
    bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")).unwrap();
    bed.driver.split(&bed.pair, 1, &bed.asked("run/split/1")).unwrap();
    let at = bed.path("mounts/run/v");
    let opened = bed.driver.open_image(&bed.pair, &at);
    if !made.is_ok_and(|made| made.success()) || opened.is_err() {
        println!("skipped: no mkfs.ext4, or no loop devices: {opened:?}");
        return;
    }
    assert!(opened.unwrap().join("lost+found").is_dir());
    assert_eq!(bed.driver.open_image(&bed.pair, &at).unwrap(), at);
    for refused in [
        bed.driver.resync(&bed.pair, &bed.asked("later/resync/1")).map(drop),
        bed.driver.restore(&bed.pair, &bed.asked("later/restore/1")).map(drop),
        bed.driver.purge_cache(&bed.pair).map(drop),
    ] {
        let failure = refused.unwrap_err();
        assert!(
            failure.class == FailureClass::Refused && failure.message.contains("is mounted at"),
            "{failure}"
        );
    }
    assert_eq!(bed.status().epoch, 1);
    mounts::close(&bed.path("mounts/run")).unwrap();

    // From tape: the secondary is emptied, written and is the image.
    let root = bed.driver.begin_overwrite(&bed.pair, &at, &bed.asked("tape/restore/1")).unwrap();
    assert_eq!((bed.status().status, bed.status().epoch), (PairStatus::Copy, 2));
    fs::write(root.join("from-tape"), "whole").unwrap();
    let report = resplit_operations::pair::CopyReport::default();
    bed.driver.end_overwrite(&bed.pair, &report, &bed.asked("tape/restore/1")).unwrap();
    assert_eq!((bed.status().status, bed.status().epoch), (PairStatus::Psus, 2));
    bed.driver.open_image(&bed.pair, &at).unwrap();
    assert_eq!(fs::read(at.join("from-tape")).unwrap(), b"whole");
    mounts::close(&bed.path("mounts/run")).unwrap();
    assert!(bed.driver.purge_cache(&bed.pair).unwrap().starts_with("not needed"));
}
