//! The verbs beside resync, split and restore; and two at once.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use resplit_operations::pair::{CopyReport, PairStatus, PairVerb};
use resplit_steps::{context::Work, failure::FailureClass};

use super::support::{Bed, FileSystem, assert_same};

#[test]
fn a_second_verb_is_told_who_holds_the_pair() {
    let file_system = FileSystem::here();
    let mut bed = Bed::new(&file_system, "two");
    (0..30).for_each(|file| drop(bed.write(&file.to_string(), vec![1; 8 << 20])));
    // The first verb waits within its first report until the second has been refused.
    let (reported, wait) = mpsc::channel();
    let (go_on, waits) = mpsc::sync_channel::<()>(0);
    let (waits, once) = (std::sync::Mutex::new(waits), AtomicBool::new(false));
    bed.work = Work::new(move |_| {
        if !once.swap(true, Ordering::Relaxed) {
            reported.send(()).unwrap();
            let _ = waits.lock().unwrap().recv_timeout(Duration::from_secs(20));
        }
    });
    let other = Bed::new(&file_system, "two");
    thread::scope(|scope| {
        let first = scope.spawn(|| bed.driver.resync(&bed.pair, &bed.asked("first/resync")));
        wait.recv_timeout(Duration::from_secs(60)).unwrap();
        let failure = other.driver.resync(&other.pair, &other.asked("second/resync")).unwrap_err();
        assert_eq!(failure.class, FailureClass::Temporary);
        assert!(failure.message.contains("first/resync"), "{failure}");
        assert!(other.driver.status(&other.pair).is_ok(), "asking is always possible");
        go_on.send(()).unwrap();
        let _ = first.join().unwrap().unwrap();
    });
    let _ = other.driver.resync(&other.pair, &other.asked("second/resync")).unwrap();
    bed.assert_equal();
}

#[test]
fn verbs_that_do_not_fit_the_status_change_nothing() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "fit");
    bed.write("a", "alpha");
    let refused = |failure: resplit_steps::failure::Failure| assert_eq!(failure.class, FailureClass::Refused);
    let (pair, driver) = (&bed.pair, &bed.driver);
    refused(driver.split(pair, 1, &bed.asked("1/split")).unwrap_err());
    refused(driver.restore(pair, &bed.asked("1/restore")).unwrap_err());
    refused(driver.difference(pair, &bed.work).unwrap_err());
    refused(driver.open_image(pair, Path::new("/")).unwrap_err());
    refused(driver.end_overwrite(pair, &CopyReport::default(), &bed.asked("1/overwrite")).unwrap_err());
    assert!(!pair.secondary.exists());
    let _ = driver.resync(pair, &bed.asked("1/resync")).unwrap();
    refused(driver.restore(pair, &bed.asked("1/restore")).unwrap_err());
    refused(driver.end_overwrite(pair, &CopyReport::default(), &bed.asked("1/overwrite")).unwrap_err());
    assert_eq!(driver.status(pair).unwrap().status, PairStatus::Pair);
    assert!(driver.purge_cache(pair).unwrap().starts_with("not needed"));
}

#[test]
fn what_was_written_from_elsewhere_becomes_the_image() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "overwrite");
    let (pair, driver) = (&bed.pair, &bed.driver);
    bed.write("a", "alpha");
    bed.write("sub/b", "beta");
    let _ = driver.resync(pair, &bed.asked("1/resync")).unwrap();
    let _ = driver.split(pair, 3, &bed.asked("1/split")).unwrap();
    for attempt in ["2/overwrite", "3/overwrite"] {
        let place = driver.begin_overwrite(pair, Path::new("/"), &bed.asked(attempt)).unwrap();
        let status = driver.status(pair).unwrap();
        assert_eq!(status.status, PairStatus::Copy);
        assert_eq!(status.last.unwrap().verb, PairVerb::Overwrite);
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0, "nothing old is left in the place");
        assert!(driver.open_image(pair, Path::new("/")).is_err());
        fs::write(place.join("from tape"), "older").unwrap();
    }
    let report = CopyReport { entries: 1, bytes: 5, ..CopyReport::default() };
    assert!(driver.end_overwrite(pair, &report, &bed.asked("2/overwrite")).is_err(), "it is another's");
    driver.end_overwrite(pair, &report, &bed.asked("3/overwrite")).unwrap();
    driver.end_overwrite(pair, &report, &bed.asked("3/overwrite")).unwrap();
    let status = driver.status(pair).unwrap();
    assert_eq!((status.status, status.epoch, status.backed_up), (PairStatus::Psus, 3, 3));
    assert_eq!(status.last.unwrap().report.as_ref(), Some(&report));
    let _ = driver.restore(pair, &bed.asked("3/restore")).unwrap();
    bed.assert_equal();
    assert_eq!(fs::read(bed.primary().join("from tape")).unwrap(), b"older");
    assert!(!bed.primary().join("a").exists());
    // So does a pair that follows a primary which is lost.
    let _ = driver.resync(pair, &bed.asked("4/resync")).unwrap();
    fs::remove_dir_all(bed.primary()).unwrap();
    let place = driver.begin_overwrite(pair, Path::new("/"), &bed.asked("5/overwrite")).unwrap();
    fs::write(place.join("from tape"), "older").unwrap();
    driver.end_overwrite(pair, &report, &bed.asked("5/overwrite")).unwrap();
    let _ = driver.restore(pair, &bed.asked("5/restore")).unwrap();
    assert_eq!(fs::read(bed.primary().join("from tape")).unwrap(), b"older");
    // A new pair can be made that way, too.
    let new = Bed::new(&file_system, "new");
    let place = new.driver.begin_overwrite(&new.pair, Path::new("/"), &new.asked("1/overwrite")).unwrap();
    fs::write(place.join("from tape"), "older").unwrap();
    new.driver.end_overwrite(&new.pair, &CopyReport::default(), &new.asked("1/overwrite")).unwrap();
    assert_eq!(new.driver.status(&new.pair).unwrap().epoch, 1);
    new.write("newer", "newer");
    let _ = new.driver.resync(&new.pair, &new.asked("2/resync")).unwrap();
    new.assert_equal();
}

#[test]
fn files_are_copied_out_to_another_place() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "out");
    bed.write("sub/one/a", "alpha");
    bed.write("sub/one/b", "beta");
    bed.write("sub/two/c", "gamma");
    bed.write("top", "top");
    fs::hard_link(bed.primary().join("top"), bed.primary().join("sub/linked")).unwrap();
    let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
    let _ = bed.driver.split(&bed.pair, 1, &bed.asked("1/split")).unwrap();
    let image = bed.driver.open_image(&bed.pair, Path::new("/")).unwrap();
    let out = |paths: &[&str], to: &Path| {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        bed.driver.copy_out(&image, &paths, to, &bed.work)
    };
    let all = file_system.root.join("deep/all");
    let report = out(&[], &all).unwrap();
    assert_eq!((report.entries, report.bytes), (8, 17));
    fs::set_permissions(&all, fs::metadata(&image).unwrap().permissions()).unwrap();
    fs::File::open(&all).unwrap().set_modified(fs::metadata(&image).unwrap().modified().unwrap()).unwrap();
    assert_same(&image, &all);

    let some = file_system.root.join("some");
    let report = out(&["sub/one", "sub/one/a", "./top", "sub/linked"], &some).unwrap();
    assert_eq!((report.entries, report.bytes), (6, 12));
    assert_same(&image.join("sub/one"), &some.join("sub/one"));
    assert!(!some.join("sub/two").exists());
    assert_eq!(
        fs::metadata(some.join("sub")).unwrap().modified().unwrap(),
        fs::metadata(image.join("sub")).unwrap().modified().unwrap(),
        "what leads there has its times"
    );
    let _ = out(&["sub/two"], &some).unwrap();
    assert_same(&image.join("sub/two"), &some.join("sub/two"));

    for (paths, word) in [
        (&["sub/two", "sub/one/b"][..], "there already"),
        (&["sub/three"], "not in the image"),
        (&["../primary"], "not a path within"),
        (&["/etc"], "not a path within"),
        (&["."], "root"),
    ] {
        let failure = out(paths, &some).unwrap_err();
        assert_eq!(failure.class, FailureClass::Refused);
        assert!(failure.message.contains(word), "{failure}");
    }
    assert!(out(&[], &image.join("below")).is_err());
}

#[test]
fn files_that_change_while_they_are_copied_are_named() {
    let file_system = FileSystem::here();
    // A writer into memory is never made to wait for a disk.
    let memory = tempfile::TempDir::new_in("/dev/shm").unwrap();
    fs::create_dir(memory.path().join("primary")).unwrap();
    let bed = Bed::across(memory.path(), &file_system.root);
    let path = bed.write("busy", vec![1; 48 << 20]);
    bed.write("quiet", "quiet");
    let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writing = stop.clone();
    let writer = thread::spawn(move || {
        let file = fs::File::options().write(true).open(path).unwrap();
        let mut round = 0_u64;
        while !writing.load(Ordering::Relaxed) {
            round += 1;
            std::os::unix::fs::FileExt::write_all_at(&file, &round.to_le_bytes(), round % (48 << 20))
                .unwrap();
        }
    });
    thread::sleep(Duration::from_millis(30));
    // On a busy machine the writer may come to stand still for a whole copy: then it is no fuzzy one.
    let mut report = CopyReport::default();
    for round in 0..20 {
        report = bed.driver.split(&bed.pair, 1, &bed.asked(&format!("{round}/split"))).unwrap();
        if report.fuzzy_count > 0 {
            break;
        }
        let _ = bed.driver.resync(&bed.pair, &bed.asked("again/resync")).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!((report.fuzzy, report.fuzzy_count), (vec!["busy".to_owned()], 1));
    assert_eq!(bed.driver.status(&bed.pair).unwrap().status, PairStatus::Psus);
    let report = bed.driver.resync(&bed.pair, &bed.asked("2/resync")).unwrap();
    assert_eq!(report.fuzzy_count, 0);
    bed.assert_equal();
}
