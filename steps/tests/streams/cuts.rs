//! Streams that are cut, or bring something else than was sent, at any byte.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use resplit_operations::pair::PairStatus;
use resplit_steps::failure::FailureClass;

use super::{
    loopback::{Loopback, Trouble, apart},
    support::{Bed, FileSystem, assert_same},
};

/// A bed whose way to the other host the test holds.
fn bed(file_system: &FileSystem, name: &str) -> (Bed, Arc<Loopback>) {
    let mut bed = Bed::new(file_system, name);
    let way = Loopback::new();
    bed.pair = apart(bed.pair);
    bed.driver = way.both(&file_system.root.join(format!("{name} told")));
    (bed, way)
}

/// What moves in one conversation about `verb` that is not disturbed, in each direction.
fn fill(bed: &Bed) {
    for file in 0..40_usize {
        bed.write(&format!("{}/{file}", file % 5), noise(file, 3_000 + file * 500));
    }
    bed.write("large", noise(77, 3 << 20));
    fs::hard_link(bed.primary().join("1/1"), bed.primary().join("again")).unwrap();
    symlink("1/1", bed.primary().join("link")).unwrap();
}

/// Bytes that no compression makes fewer.
fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed as u64);
    (0..length).map(|_| random.u8(..)).collect()
}

fn moved(way: &Loopback) -> u64 {
    way.sent.load(Ordering::SeqCst) + way.received.load(Ordering::SeqCst)
}

#[test]
fn a_stream_cut_anywhere_is_taken_up_again() {
    let file_system = FileSystem::here();
    let (whole, way) = bed(&file_system, "whole");
    fill(&whole);
    let _ = whole.driver.resync(&whole.pair, &whole.asked("1/resync")).unwrap();
    let (sent, received) = (way.sent.load(Ordering::SeqCst), way.received.load(Ordering::SeqCst));
    for part in 0..24_u64 {
        let (bed, way) = bed(&file_system, &format!("cut {part}"));
        fill(&bed);
        let to_secondary = part % 4 != 3;
        let all = if to_secondary { sent } else { received };
        way.trouble(&[Trouble::Cut { to_secondary, after: all * part / 26 }]);
        let report = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
        assert_eq!(way.untroubled(), 0, "{part}: it was cut");
        bed.assert_equal();
        assert_eq!((report.entries, report.fuzzy_count), (48, 0), "{part}");
        let status = bed.driver.status(&bed.pair).unwrap();
        assert_eq!(status.status, PairStatus::Pair);
        assert_eq!(status.last.unwrap().report.unwrap(), report);

        // And so is a restore, which writes to the primary.
        let _ = bed.driver.split(&bed.pair, 1, &bed.asked("1/split")).unwrap();
        let image = file_system.root.join(format!("image {part}"));
        super::support::run(&["cp", "-a", bed.data().to_str().unwrap(), image.to_str().unwrap()]);
        fs::remove_dir_all(bed.primary().join("2")).unwrap();
        bed.write("large", "ruined");
        bed.write("new", "new");
        let before = way.received.load(Ordering::SeqCst);
        way.trouble(&[Trouble::Cut { to_secondary: false, after: 1_000 + part * 120_000 }]);
        let _ = bed.driver.restore(&bed.pair, &bed.asked("1/restore")).unwrap();
        assert_eq!(way.untroubled(), 0, "{part}: it was cut after {before}");
        assert_same(&image, bed.primary());
        assert_eq!(bed.driver.status(&bed.pair).unwrap().status, PairStatus::Psus);
        let report = bed.driver.resync(&bed.pair, &bed.asked("2/resync")).unwrap();
        assert_eq!((report.changed, report.copied), (0, 0), "the restore was the last pass");
    }
}

#[test]
fn what_has_arrived_whole_is_not_sent_again() {
    let file_system = FileSystem::here();
    let (bed, way) = bed(&file_system, "resumed");
    let size = 200_000;
    (0..60).for_each(|file| drop(bed.write(&format!("{}/{file}", file % 7), noise(file, size))));
    let all = 60 * size as u64;
    // Cut three times, each after about a quarter.
    way.trouble(&[Trouble::Cut { to_secondary: true, after: all / 4 }; 3]);
    let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
    bed.assert_equal();
    assert_eq!(way.untroubled(), 0);
    let (sent, received) = (way.sent.load(Ordering::SeqCst), way.received.load(Ordering::SeqCst));
    // Each cut costs what was on its way and not in its place: some files, of which four threads hold one each, and what
    // waits for them and in the pipes.
    println!("{all} bytes of content: {sent} sent, {received} received");
    assert!(sent < all + all / 2, "{sent} bytes were sent of {all}");
    assert!(received < 100_000, "{received}");
}

#[test]
fn what_arrives_as_something_else_is_sent_anew_and_never_kept() {
    let file_system = FileSystem::here();
    for at in [3_u64, 900, 5_000, 60_000, 500_000, 2_500_000] {
        let (bed, way) = bed(&file_system, &format!("flip {at}"));
        fill(&bed);
        way.trouble(&[Trouble::Flip { to_secondary: true, at }]);
        match bed.driver.resync(&bed.pair, &bed.asked("1/resync")) {
            Ok(_) => {}
            // What makes no sense at all is refused, in words; and the next try is made by who asks.
            Err(failure) => {
                assert!(failure.message.contains("what the other host sent is refused"), "{failure}");
                let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
            }
        }
        assert_eq!(way.untroubled(), 0);
        bed.assert_equal();
    }
}

#[test]
fn within_the_window_only_what_has_changed_since_the_resync_is_sent() {
    let file_system = FileSystem::here();
    let (bed, way) = bed(&file_system, "window");
    for file in 0..3_000 {
        bed.write(&format!("{}/{file}", file % 50), format!("file {file}"));
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
    bed.write("7/7", noise(7, 50_000));
    let (before, conversations) = (moved(&way), way.conversations.load(Ordering::SeqCst));
    let report = bed.driver.split(&bed.pair, 1, &bed.asked("1/split")).unwrap();
    let within = moved(&way) - before;
    assert_eq!(report.changed, 1);
    assert_eq!(way.conversations.load(Ordering::SeqCst), conversations + 1);
    // The file, the names in its directory, and the names of the other directories: no list of the files that did not change.
    println!("{within} bytes within the window, for 50 000 of content");
    assert!(within < 58_000, "{within} bytes moved within the window");
    bed.assert_equal();
    // Nothing changed: less than a kilobyte and the directories' names.
    let _ = bed.driver.resync(&bed.pair, &bed.asked("2/resync")).unwrap();
    let before = moved(&way);
    let _ = bed.driver.split(&bed.pair, 2, &bed.asked("2/split")).unwrap();
    println!("{} bytes within the window, for none", moved(&way) - before);
    assert!(moved(&way) - before < 6_000);
}

#[test]
fn files_of_an_image_elsewhere_are_taken_to_another_place() {
    let file_system = FileSystem::here();
    let (bed, way) = bed(&file_system, "files");
    fill(&bed);
    let out = |name: &str| {
        let out = file_system.root.join(name);
        fs::create_dir(&out).unwrap();
        out
    };
    let fetch = |paths: &[&str], to: &Path| {
        let paths: Vec<_> = paths.iter().map(PathBuf::from).collect();
        bed.driver.fetch(&bed.pair, Path::new("/"), (&paths, to), &bed.work)
    };
    assert_eq!(fetch(&[], &out("none")).unwrap_err().class, FailureClass::Refused);
    let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
    assert_eq!(fetch(&[], &out("following")).unwrap_err().class, FailureClass::Refused);
    let _ = bed.driver.split(&bed.pair, 1, &bed.asked("1/split")).unwrap();
    let some = out("some");
    let report = fetch(&["large", "3", "4/4"], &some).unwrap();
    assert_eq!(report.entries, 12);
    assert_same(&bed.data().join("3"), &some.join("3"));
    assert_eq!(fs::read(bed.data().join("4/4")).unwrap(), fs::read(some.join("4/4")).unwrap());
    assert!(!some.join("4/9").exists() && !some.join("link").exists());
    let failure = fetch(&["large"], &some).unwrap_err();
    assert!(failure.message.contains("is there already"), "{failure}");
    let failure = fetch(&["missing"], &some).unwrap_err();
    assert!(failure.message.contains("missing is not in the image"), "{failure}");
    let failure = fetch(&["../outside"], &some).unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused);
    // All of it, cut on the way.
    let all = out("all");
    way.trouble(&[Trouble::Cut { to_secondary: false, after: 1_000_000 }]);
    let _ = fetch(&[], &all).unwrap();
    assert_eq!(way.untroubled(), 0);
    // The directory that was named is the operator's own: it keeps its attributes.
    (0..5).for_each(|part| assert_same(&bed.data().join(part.to_string()), &all.join(part.to_string())));
    assert_eq!(fs::read(bed.data().join("large")).unwrap(), fs::read(all.join("large")).unwrap());
    assert_eq!(fs::read_link(all.join("link")).unwrap(), Path::new("1/1"));
}

#[test]
fn a_host_that_does_not_answer_is_told_and_nothing_is_lost() {
    let file_system = FileSystem::here();
    let (bed, way) = bed(&file_system, "gone");
    fill(&bed);
    way.trouble(&[Trouble::Cut { to_secondary: true, after: 50_000 }; 6]);
    let failure = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap_err();
    assert_eq!(failure.class, FailureClass::Temporary, "{failure}");
    assert!(failure.message.contains("backupserver") && failure.message.contains("cut"), "{failure}");
    let status = bed.driver.status(&bed.pair).unwrap();
    assert_eq!((status.status, status.last.unwrap().ended), (PairStatus::Copy, None));
    assert!(!bed.data().exists(), "a first copy is there when it is whole");
    assert!(Path::new(&bed.pair.secondary).join("data.new").exists());
    let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
    bed.assert_equal();
}
