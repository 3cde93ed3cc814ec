//! Trees that want to lead a pass elsewhere, and places that are not what they should be.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use resplit_operations::pair::PairStatus;
use resplit_steps::failure::FailureClass;
use rustix::fs::{Mode, OFlags};

use super::support::{Bed, FileSystem, output, run};

fn outside(file_system: &FileSystem) -> PathBuf {
    let outside = file_system.root.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("b"), "not to be touched").unwrap();
    outside
}

fn assert_untouched(outside: &PathBuf) {
    let names: Vec<_> = fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["b"]);
    assert_eq!(fs::read(outside.join("b")).unwrap(), b"not to be touched");
}

#[test]
fn a_link_in_the_way_is_not_followed() {
    let file_system = FileSystem::here();
    let outside = outside(&file_system);
    let bed = Bed::new(&file_system, "link");
    bed.write("sub/b", "beta");
    bed.write("sub/deeper/c", "gamma");
    let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
    // Somebody puts a link where the copy's directory was.
    fs::remove_dir_all(bed.data().join("sub")).unwrap();
    symlink(&outside, bed.data().join("sub")).unwrap();
    bed.write("sub/b", "beta, changed");
    let failure = bed.driver.resync(&bed.pair, &bed.asked("2/resync")).unwrap_err();
    assert!(failure.message.contains("sub"), "{failure}");
    assert_eq!(bed.driver.status(&bed.pair).unwrap().status, PairStatus::Psue);
    assert_untouched(&outside);
    let _ = bed.driver.resync(&bed.pair, &bed.asked("3/resync")).unwrap();
    bed.assert_equal();
    assert_untouched(&outside);

    // And where the primary's was.
    let _ = bed.driver.split(&bed.pair, 1, &bed.asked("3/split")).unwrap();
    fs::remove_dir_all(bed.primary().join("sub")).unwrap();
    symlink(&outside, bed.primary().join("sub")).unwrap();
    let _ = bed.driver.restore(&bed.pair, &bed.asked("4/restore")).unwrap();
    bed.assert_equal();
    assert_untouched(&outside);
}

#[test]
fn a_directory_that_turns_into_a_link_and_back_leads_nowhere() {
    let file_system = FileSystem::here();
    let outside = outside(&file_system);
    let bed = Bed::new(&file_system, "race");
    (0..50).for_each(|file| drop(bed.write(&format!("sub/{file}"), "content")));
    bed.write("sub/b", "beta");
    let _ = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap();
    let _ = bed.driver.split(&bed.pair, 1, &bed.asked("run/split")).unwrap();
    let (sub, aside) = (bed.primary().join("sub"), file_system.root.join("aside"));
    // By its descriptor, since a path may lead outside by now.
    let directory = fs::File::open(&sub).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _ = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = fs::rename(&sub, &aside);
                let _ = symlink(&outside, &sub);
                thread::yield_now();
                let _ = fs::remove_file(&sub);
                let _ = fs::rename(&aside, &sub);
            }
        });
        for round in 0..60 {
            // It may fail, since what it works on goes away below it; it may not go elsewhere.
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
            if let Ok(file) = rustix::fs::openat(&directory, "7", flags, Mode::RUSR) {
                let _ = rustix::io::write(&file, format!("{round}").as_bytes());
            }
            let _ = bed.driver.restore(&bed.pair, &bed.asked(&format!("{round}/restore")));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_untouched(&outside);
    let _ = fs::remove_file(&sub);
    let _ = bed.driver.restore(&bed.pair, &bed.asked("last/restore")).unwrap();
    bed.assert_equal();
}

#[test]
fn what_is_mounted_below_a_primary_is_refused() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "mounts");
    bed.write("a", "alpha");
    let mount = bed.primary().join("sub");
    fs::create_dir(&mount).unwrap();
    let at = mount.to_str().unwrap();
    if let Err(reason) = output(&["mount", "-t", "tmpfs", "none", at]) {
        println!("skipped: {reason}");
        return;
    }
    let failure = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap_err();
    run(&["umount", at]);
    assert_eq!(failure.class, FailureClass::Refused);
    assert!(failure.message.contains("mounted at sub"), "{failure}");
    assert_eq!(bed.driver.status(&bed.pair).unwrap().status, PairStatus::Smpl);
    let _ = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap();
    let _ = bed.driver.split(&bed.pair, 1, &bed.asked("run/split")).unwrap();
    // What the image does not have would be removed, but not what is mounted.
    fs::create_dir_all(bed.primary().join("new/below")).unwrap();
    let below = bed.primary().join("new/below");
    run(&["mount", "-t", "tmpfs", "none", below.to_str().unwrap()]);
    fs::write(below.join("precious"), "data").unwrap();
    let failure = bed.driver.restore(&bed.pair, &bed.asked("run/restore")).unwrap_err();
    assert_eq!(fs::read(below.join("precious")).unwrap(), b"data");
    run(&["umount", below.to_str().unwrap()]);
    assert_eq!(failure.class, FailureClass::Refused);
    assert_eq!(bed.driver.status(&bed.pair).unwrap().status, PairStatus::Psus);
}

#[test]
fn a_directory_that_is_no_secondary_is_left_alone() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "foreign");
    bed.write("a", "alpha");
    fs::create_dir_all(&bed.pair.secondary).unwrap();
    fs::write(bed.pair.secondary.join("thesis.txt"), "years of work").unwrap();
    for failure in [
        bed.driver.status(&bed.pair).unwrap_err(),
        bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap_err(),
        bed.driver.begin_overwrite(&bed.pair, Path::new("/"), &bed.asked("run/overwrite")).unwrap_err(),
    ] {
        assert_eq!(failure.class, FailureClass::Refused);
        assert!(failure.message.contains("thesis.txt") && failure.help.is_some(), "{failure:?}");
    }
    assert_eq!(fs::read_dir(&bed.pair.secondary).unwrap().count(), 1);
}

#[test]
fn a_pair_file_that_is_damaged_or_of_another_pair_is_left_alone() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "damaged");
    bed.write("a", "alpha");
    let _ = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap();
    let path = bed.pair.secondary.join("pair.json");
    let whole = fs::read(&path).unwrap();

    let mut other = Bed::new(&file_system, "damaged");
    other.pair.volume = "accounts".into();
    let failure = other.driver.resync(&other.pair, &other.asked("run/resync")).unwrap_err();
    assert!(failure.message.contains("'documents'") && failure.message.contains("'accounts'"), "{failure}");

    let mut cut = 0;
    while cut < whole.len() - 2 {
        fs::write(&path, &whole[..cut]).unwrap();
        let failure = bed.driver.status(&bed.pair).unwrap_err();
        assert!(failure.message.contains("pair.json is damaged"), "{failure}");
        assert!(bed.driver.resync(&bed.pair, &bed.asked("run/resync")).is_err());
        assert_eq!(fs::read(&path).unwrap(), &whole[..cut], "it is not written over");
        cut += 97;
    }
    fs::write(&path, &whole).unwrap();
    let _ = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap();

    // A damaged index costs time, not truth.
    let index = bed.pair.secondary.join("index");
    let mut bytes = fs::read(&index).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&index, bytes).unwrap();
    bed.write("a", "omega");
    let _ = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap();
    bed.assert_equal();
}

#[test]
fn sides_that_lie_in_each_other_are_refused() {
    let file_system = FileSystem::here();
    let mut bed = Bed::new(&file_system, "nested");
    bed.write("a", "alpha");
    symlink(bed.primary(), file_system.root.join("alias")).unwrap();
    for secondary in
        [bed.primary().join("mirror"), file_system.root.join("alias/mirror"), file_system.root.join("nested")]
    {
        bed.pair.secondary = secondary;
        let failure = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap_err();
        assert_eq!(failure.class, FailureClass::Refused, "{failure}");
    }
    assert_eq!(fs::read_dir(bed.primary()).unwrap().count(), 1);
}

#[test]
fn a_primary_whose_file_system_is_not_mounted_empties_no_copy() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "unmounted");
    bed.write("a", "alpha");
    let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
    let aside = file_system.root.join("aside");
    fs::rename(bed.primary(), &aside).unwrap();
    let failure = bed.driver.resync(&bed.pair, &bed.asked("2/resync")).unwrap_err();
    assert!(failure.message.contains("not a directory"), "{failure}");
    fs::create_dir(bed.primary()).unwrap();
    let failure = bed.driver.resync(&bed.pair, &bed.asked("2/resync")).unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused);
    assert!(failure.message.contains("may not be mounted"), "{failure}");
    assert_eq!(fs::read(bed.data().join("a")).unwrap(), b"alpha");
    // Emptied on purpose, it is the same directory.
    fs::remove_dir(bed.primary()).unwrap();
    fs::rename(&aside, bed.primary()).unwrap();
    fs::remove_file(bed.primary().join("a")).unwrap();
    let report = bed.driver.resync(&bed.pair, &bed.asked("3/resync")).unwrap();
    assert_eq!((report.entries, report.removed), (0, 1));
    bed.assert_equal();
}
