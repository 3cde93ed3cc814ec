//! What LVM's pairs do that no others do. `uml` runs it where there is a device mapper.

use std::fs;

use resplit_operations::{
    pair::{PairRef, PairStatus},
    site::{LvmKind, LvmVolume},
    units::Size,
};
use resplit_steps::{context::Work, failure::FailureClass};

use crate::{
    bed::{Maker, Mounts, asked, assert_same, refused, settle},
    beds::lvm::Volumes,
    disks::output,
};

fn volumes(kind: LvmKind) -> Option<Volumes> {
    Volumes::new(kind, "ext4").map_err(|reason| eprintln!("skipped: {reason}")).ok()
}

/// The names of the volumes in the group of a pair, hidden ones in brackets.
fn names(pair: &PairRef) -> Vec<String> {
    let group = pair.primary.parent().unwrap().file_name().unwrap().to_str().unwrap();
    let said = output(&["lvs", "--all", "--noheadings", "-o", "lv_name", group]).unwrap();
    said.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_snapshot_that_is_full_is_no_image_and_is_told() {
    let Some(volumes) = volumes(LvmKind::Snapshot) else { return };
    let bed = volumes.make("full");
    let lvm = LvmVolume { kind: LvmKind::Snapshot, size: Some(Size(16 << 20)), device: None };
    let pair = PairRef { lvm: Some(lvm), ..bed.pair().clone() };
    let (driver, work, at) = (bed.driver(), Work::silent(), Mounts::new());
    let _ = driver.resync(&pair, &asked("1/resync", &work)).unwrap();
    let _ = driver.split(&pair, 1, &asked("1/split", &work)).unwrap();
    assert_eq!(driver.status(&pair).unwrap().status, PairStatus::Psus);
    bed.write("large", vec![7; 32 << 20]);
    settle(&bed.tree());
    assert_eq!(driver.status(&pair).unwrap().status, PairStatus::Psue);
    let said = refused(driver.open_image(&pair, &at.volume()));
    assert!(said.contains("more was written") && said.contains("`size`"), "{said}");
    let failure = bed.unused(|| driver.restore(&pair, &asked("1/restore", &work)).unwrap_err());
    assert!(failure.message.contains("more was written"), "{failure}");
    // And the pair goes on as any other.
    let _ = bed.resync("2/resync").unwrap();
    let _ = bed.split(2, "2/split").unwrap();
    assert_same(&bed.primary(), &bed.image());
}

#[test]
fn a_volume_of_the_name_that_is_not_ours_is_left_alone() {
    let Some(volumes) = volumes(LvmKind::Snapshot) else { return };
    let bed = volumes.make("foreign");
    let _ = bed.resync("1/resync").unwrap();
    let _ = bed.split(1, "1/split").unwrap();
    let before = names(bed.pair());
    assert!(before.iter().any(|name| name.starts_with("resplit.VG01.vol01.")), "{before:?}");
    // Another pair of the same name, as of a site that was set up anew.
    fs::remove_dir_all(&bed.pair().secondary).unwrap();
    let said = refused(bed.resync("2/resync"));
    assert!(said.contains("was not made for it") && said.contains("lvremove"), "{said}");
    assert_eq!(names(bed.pair()), before);
    bed.is(PairStatus::Smpl);
}

#[test]
fn a_frozen_file_system_is_told_and_nothing_is_left_behind() {
    let Some(volumes) = volumes(LvmKind::Snapshot) else { return };
    let bed = volumes.make("frozen");
    let _ = bed.resync("1/resync").unwrap();
    let before = names(bed.pair());
    let tree = bed.tree();
    let _ = output(&["fsfreeze", "--freeze", tree.to_str().unwrap()]).unwrap();
    let split = bed.driver().split(bed.pair(), 1, &asked("1/split", &Work::silent()));
    let _ = output(&["fsfreeze", "--unfreeze", tree.to_str().unwrap()]).unwrap();
    assert!(split.unwrap_err().help.unwrap().contains("LVM freezes it itself"));
    bed.is(PairStatus::Psue);
    // Nobody waits, and nothing is left of it once the pair goes on.
    bed.write("written", "afterwards");
    settle(&tree);
    let _ = bed.resync("2/resync").unwrap();
    assert_eq!(names(bed.pair()), before);
    let _ = bed.split(2, "2/split").unwrap();
    assert_same(&bed.primary(), &bed.image());
}

#[test]
fn a_merge_that_is_put_off_is_told_and_gone_on_with() {
    let Some(volumes) = volumes(LvmKind::Snapshot) else { return };
    let bed = volumes.make("open");
    bed.write("a", "alpha");
    let _ = bed.resync("1/resync").unwrap();
    let _ = bed.split(1, "1/split").unwrap();
    let image = bed.image();
    bed.write("a", "changed");
    let work = Work::silent();
    bed.unused(|| {
        let held = fs::File::open(&bed.pair().primary).unwrap();
        let failure = bed.driver().restore(bed.pair(), &asked("1/restore", &work)).unwrap_err();
        assert_eq!(failure.class, FailureClass::Temporary, "{failure}");
        assert!(failure.message.contains("at its next activation"), "{failure}");
        bed.is(PairStatus::Rcpy);
        drop(held);
        let _ = bed.driver().restore(bed.pair(), &asked("1/restore", &work)).unwrap();
    });
    bed.is(PairStatus::Psus);
    assert_same(&image, &bed.primary());
    assert_same(&image, &bed.image());
}

#[test]
fn a_half_that_was_there_before_stays_and_one_that_others_split_is_left_alone() {
    let Some(volumes) = volumes(LvmKind::Raid1) else { return };
    let bed = volumes.make("there");
    let device = bed.pair().lvm.as_ref().unwrap().device.clone().unwrap();
    let (device, primary) = (device.to_str().unwrap(), bed.pair().primary.to_str().unwrap());
    let _ = output(&["lvconvert", "-q", "-y", "--type", "raid1", "-m", "1", primary, device]).unwrap();
    let report = bed.resync("1/resync").unwrap();
    assert!(report.notes[0].contains("was there already"), "{report:?}");
    let before = names(bed.pair());
    // Somebody else splits it.
    let _ =
        output(&["lvconvert", "-q", "-y", "--splitmirrors", "1", "--trackchanges", primary, device]).unwrap();
    bed.is(PairStatus::Psue);
    let said = refused(bed.resync("2/resync"));
    assert!(said.contains("not by pair VG01,vol01") && said.contains("lvconvert --merge"), "{said}");
    let _ = output(&["lvconvert", "-q", "-y", "--merge", &format!("{primary}_rimage_1")]).unwrap();
    let _ = bed.resync("3/resync").unwrap();
    // Split while its file system is in use, it cannot be put at rest any more.
    let _ = bed.driver().split(bed.pair(), 1, &asked("3/split", &Work::silent())).unwrap();
    let said = refused(bed.driver().open_image(bed.pair(), &Mounts::new().volume()));
    assert!(said.contains("quiesce: { mode: freeze }"), "{said}");
    let _ = bed.driver().delete(bed.pair(), &asked("3/delete", &Work::silent())).unwrap();
    assert_eq!(names(bed.pair()), before);
    bed.is(PairStatus::Smpl);
}
