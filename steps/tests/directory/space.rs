//! Targets that are, or become, full.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use resplit_operations::pair::PairStatus;
use resplit_steps::{context::Work, failure::FailureClass};
use rustix::fs::{FallocateFlags, fallocate};

use super::support::{Bed, FileSystem};

fn small() -> Option<FileSystem> {
    FileSystem::new("ext4", 24).map_err(|reason| println!("skipped: ext4: {reason}")).ok()
}

#[test]
fn a_pass_without_room_is_refused_before_it_begins() {
    let (here, Some(small)) = (FileSystem::here(), small()) else { return };
    fs::create_dir(here.root.join("primary")).unwrap();
    let bed = Bed::across(&here.root, &small.root);
    bed.write("fits", vec![1; 4 << 20]);
    let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
    let before = bed.driver.status(&bed.pair).unwrap();
    bed.write("does not", vec![2; 30 << 20]);
    let failure = bed.driver.resync(&bed.pair, &bed.asked("2/resync")).unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused);
    assert!(failure.message.contains("no room"), "{failure}");
    assert!(failure.help.as_ref().is_some_and(|help| help.contains("free at least")), "{failure:?}");
    assert_eq!(bed.driver.status(&bed.pair).unwrap(), before);
    assert!(bed.data().join("fits").exists() && !bed.data().join("does not").exists());
    // A sparse file takes what it holds only.
    fs::File::create(bed.primary().join("does not")).unwrap().set_len(1 << 40).unwrap();
    let _ = bed.driver.resync(&bed.pair, &bed.asked("3/resync")).unwrap();
    bed.driver.status(&bed.pair).unwrap();
    fs::remove_file(bed.primary().join("does not")).unwrap();
    // What goes makes room for what comes.
    fs::remove_file(bed.primary().join("fits")).unwrap();
    for file in 0..4 {
        bed.write(&format!("other {file}"), vec![3; 4 << 20]);
    }
    let _ = bed.driver.resync(&bed.pair, &bed.asked("4/resync")).unwrap();
    bed.assert_equal();
    fs::remove_dir_all(bed.primary()).unwrap();
    fs::create_dir(bed.primary()).unwrap();
    bed.write("large", vec![4; 15 << 20]);
    let _ = bed.driver.resync(&bed.pair, &bed.asked("5/resync")).unwrap();
    bed.assert_equal();
}

/// Takes all the room that is left, at once.
fn take_the_rest(file: &fs::File) {
    let (mut at, mut size) = (0, 64 << 20);
    while size >= 4096 {
        match fallocate(file, FallocateFlags::empty(), at, size) {
            Ok(()) => at += size,
            Err(_) => size /= 2,
        }
    }
}

#[test]
fn a_disk_that_fills_up_breaks_the_pair_and_the_next_resync_mends_it() {
    let (here, Some(small)) = (FileSystem::here(), small()) else { return };
    fs::create_dir(here.root.join("primary")).unwrap();
    let mut bed = Bed::across(&here.root, &small.root);
    bed.write("a", "alpha");
    let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
    // As soon as anything was copied, somebody else takes the rest. Whether that is before all was copied is a race: it is
    // run until the disk has won.
    let filler = small.root.join("filler");
    let failure = (0..50_u8).find_map(|count| {
        let _ = fs::remove_file(&filler);
        (0..40).for_each(|file| drop(bed.write(&format!("b{file:02}"), vec![count; 256 << 10])));
        bed.write("a00", vec![count; 8 << 20]);
        let (place, done) = (filler.clone(), AtomicBool::new(false));
        bed.work = Work::new(move |progress| {
            if progress.bytes > 0 && !done.swap(true, Ordering::Relaxed) {
                take_the_rest(&fs::File::create(&place).unwrap());
            }
        });
        let failure = bed.driver.resync(&bed.pair, &bed.asked(&format!("2/resync/{count}"))).err();
        if failure.is_none() {
            let _ = fs::remove_file(&filler);
            fs::remove_dir_all(bed.primary()).unwrap();
            fs::create_dir(bed.primary()).unwrap();
            bed.write("a", "alpha");
            bed.work = Work::silent();
            let _ = bed.driver.resync(&bed.pair, &bed.asked(&format!("2/again/{count}"))).unwrap();
        }
        // Refused before it began: what the filler had is not free again yet.
        failure.filter(|failure| failure.class != FailureClass::Refused)
    });
    bed.work = Work::silent();
    let failure = failure.expect("there was room after all, fifty times");
    assert_eq!(failure.class, FailureClass::Temporary, "{failure}");
    assert!(failure.message.contains("No space left"), "{failure}");
    let status = bed.driver.status(&bed.pair).unwrap();
    assert!(matches!(status.status, PairStatus::Psue | PairStatus::Copy), "{status:?}");
    assert!(bed.driver.split(&bed.pair, 1, &bed.asked("2/split")).is_err());
    let _ = fs::remove_file(&filler);
    let _ = bed.driver.resync(&bed.pair, &bed.asked("3/resync")).unwrap();
    bed.assert_equal();
    assert_eq!(bed.driver.status(&bed.pair).unwrap().status, PairStatus::Pair);
}
