//! What a cut keeps and loses, what a fault does, and that the rest is as on any file system.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::{
        fs::{FileExt, MetadataExt},
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use resplit_test_disk::{Disk, Error, Fault, Kind};

fn sync_directory(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

/// What a file holds after a cut with each of so many seeds; `None` where it is not there.
fn after_cuts(disk: &Disk, name: &str, seeds: u64) -> Vec<Option<Vec<u8>>> {
    (0..seeds)
        .map(|seed| {
            let place = disk.cut(seed).mount_or_skip().unwrap();
            fs::read(place.path().join(name)).ok()
        })
        .collect()
}

#[test]
fn what_was_synced_survives_every_cut() {
    let disk = Disk::new();
    let Some(place) = disk.mount_or_skip() else { return };
    fs::create_dir(place.path().join("d")).unwrap();
    let mut file = File::create(place.path().join("d/file")).unwrap();
    file.write_all(&[7; 5000]).unwrap();
    file.sync_data().unwrap();
    sync_directory(&place.path().join("d"));
    sync_directory(place.path());
    assert!(after_cuts(&disk, "d/file", 40).iter().all(|found| found.as_deref() == Some(&[7; 5000][..])));
    // The disk itself goes on.
    assert_eq!(fs::read(place.path().join("d/file")).unwrap(), [7; 5000]);
}

#[test]
fn what_was_not_synced_is_kept_lost_or_torn_by_sectors() {
    let disk = Disk::new();
    let Some(place) = disk.mount_or_skip() else { return };
    let file = File::create(place.path().join("file")).unwrap();
    file.write_all_at(&[1; 4096], 0).unwrap();
    file.sync_all().unwrap();
    sync_directory(place.path());
    file.write_all_at(&[2; 2048], 0).unwrap();
    file.write_all_at(&[3; 2048], 2048).unwrap();
    let mut seen = BTreeSet::new();
    for found in after_cuts(&disk, "file", 60) {
        let found = found.unwrap();
        assert_eq!(found.len(), 4096);
        let sectors: Vec<u8> = found
            .chunks(512)
            .map(|sector| {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is written whole");
                sector[0]
            })
            .collect();
        assert!(sectors[..4].iter().all(|byte| [1, 2].contains(byte)));
        assert!(sectors[4..].iter().all(|byte| [1, 3].contains(byte)));
        seen.insert(sectors);
    }
    // All, nothing, torn, and the second without the first.
    for wanted in [[2, 2, 2, 2, 3, 3, 3, 3], [1; 8], [1, 1, 1, 1, 3, 3, 3, 3], [2, 2, 2, 2, 1, 1, 1, 1]] {
        assert!(seen.contains(&wanted[..]), "{wanted:?} never came");
    }
    assert!(seen.iter().any(|sectors| sectors[..4].contains(&1) && sectors[..4].contains(&2)));
    // And a seed says the same each time.
    assert_eq!(after_cuts(&disk, "file", 9), after_cuts(&disk, "file", 9));
}

#[test]
fn a_size_may_be_there_without_the_bytes_and_none_without_its_size() {
    let disk = Disk::new();
    let Some(place) = disk.mount_or_skip() else { return };
    let file = File::create(place.path().join("file")).unwrap();
    sync_directory(place.path());
    file.write_all_at(&[5; 1024], 0).unwrap();
    let found: BTreeSet<_> = after_cuts(&disk, "file", 60).into_iter().map(Option::unwrap).collect();
    assert!(found.contains(&Vec::new()) && found.contains(&vec![0; 1024]) && found.contains(&vec![5; 1024]));
    assert!(found.iter().all(|bytes| [0, 1024].contains(&bytes.len())));
}

#[test]
fn a_name_is_durable_only_with_its_directory_and_a_rename_is_whole() {
    let disk = Disk::new();
    let Some(place) = disk.mount_or_skip() else { return };
    for (name, text) in [("old", "old"), ("new", "new")] {
        let mut file = File::create(place.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.sync_all().unwrap();
    }
    let found = after_cuts(&disk, "old", 40);
    assert!(found.contains(&None) && found.contains(&Some(b"old".to_vec())), "{found:?}");
    sync_directory(place.path());
    fs::create_dir(place.path().join("to")).unwrap();
    sync_directory(place.path());
    fs::rename(place.path().join("new"), place.path().join("to/new")).unwrap();
    fs::rename(place.path().join("to/new"), place.path().join("old")).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        let place = disk.cut(seed).mount_or_skip().unwrap();
        let text = |name| fs::read_to_string(place.path().join(name)).ok();
        let state = (text("old"), text("new"), text("to/new"));
        let own = |text: &str| Some(text.to_owned());
        // Never in two places, never in none.
        assert!(
            [(own("old"), own("new"), None), (own("old"), None, own("new")), (own("new"), None, None)]
                .contains(&state),
            "{state:?}"
        );
        seen.insert(state);
    }
    assert_eq!(seen.len(), 3);
    sync_directory(place.path());
    assert!(after_cuts(&disk, "old", 20).iter().all(|found| found.as_deref() == Some(b"new")));
    // What was replaced comes back no more; what is removed may.
    fs::remove_file(place.path().join("old")).unwrap();
    let found = after_cuts(&disk, "old", 40);
    assert!(found.contains(&None) && found.contains(&Some(b"new".to_vec())), "{found:?}");
}

#[test]
fn a_call_fails_once_or_from_then_on() {
    let disk = Disk::new();
    let Some(place) = disk.mount_or_skip() else { return };
    let mut file = File::create(place.path().join("file")).unwrap();
    disk.inject(Fault { kind: Some(Kind::Write), nth: 2, error: Error::NoSpace, lasting: false });
    file.write_all(b"a").unwrap();
    assert_eq!(file.write(b"b").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    file.write_all(b"c").unwrap();
    assert_eq!(disk.lift(), 1);
    disk.inject(Fault { kind: None, nth: 1, error: Error::ReadOnly, lasting: true });
    assert_eq!(file.write(b"d").unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert!(fs::create_dir(place.path().join("d")).is_err());
    assert_eq!(fs::read(place.path().join("file")).unwrap(), b"ac", "what only reads goes on");
    assert_eq!(disk.lift(), 2);
    file.write_all(b"e").unwrap();
    let writes = disk.calls().of(Kind::Write);
    assert_eq!(writes, 5);
    disk.stop_at(disk.calls().all() + 1);
    assert!(fs::read(place.path().join("file")).is_err());
    assert!(file.write_all(b"f").is_err());
    assert_eq!(disk.calls().of(Kind::Write), writes);
    disk.go_on();
    assert_eq!(fs::read(place.path().join("file")).unwrap(), b"ace");
}

#[test]
fn a_sync_that_failed_is_not_tried_again_by_the_next_one() {
    let disk = Disk::new();
    let Some(place) = disk.mount_or_skip() else { return };
    let file = File::create(place.path().join("file")).unwrap();
    sync_directory(place.path());
    let mut lost = 0;
    for round in 1..=20_u8 {
        file.write_all_at(&[round; 512], 0).unwrap();
        disk.inject(Fault { kind: Some(Kind::Sync), nth: 1, error: Error::Io, lasting: false });
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert_eq!(fs::read(place.path().join("file")).unwrap(), [round; 512], "it is seen all the same");
        let found = after_cuts(&disk, "file", 2);
        assert_eq!(found[0], found[1], "chance has decided when the sync failed");
        lost += u32::from(found[0].as_deref() != Some(&[round; 512][..]));
    }
    assert!((1..20).contains(&lost), "{lost} of 20 lost");
}

#[test]
fn a_disk_that_lies_loses_what_was_synced() {
    let disk = Disk::new();
    let Some(place) = disk.mount_or_skip() else { return };
    disk.set_forgetful(true);
    let mut file = File::create(place.path().join("file")).unwrap();
    file.write_all(&[1; 512]).unwrap();
    file.sync_all().unwrap();
    sync_directory(place.path());
    let found = after_cuts(&disk, "file", 40);
    assert!(found.iter().any(|found| found.as_deref() != Some(&[1; 512][..])));
}

#[test]
fn a_copy_is_given_before_the_calls_that_are_watched() {
    let disk = Disk::new();
    let Some(place) = disk.mount_or_skip() else { return };
    let (sender, copies) = std::sync::mpsc::channel();
    disk.watch(1..=1000, move |call, copy| sender.send((call, copy)).unwrap());
    let mut file = File::create(place.path().join("file")).unwrap();
    sync_directory(place.path());
    for _ in 0..3 {
        file.write_all(&[1; 512]).unwrap();
        file.sync_data().unwrap();
    }
    let copies: Vec<_> = copies.try_iter().collect();
    assert!(copies.iter().map(|(call, _)| *call).eq(1..=disk.calls().all()));
    let mut lengths = BTreeSet::new();
    for (call, copy) in &copies {
        let place = copy.cut(*call).mount_or_skip().unwrap();
        lengths.insert(fs::read(place.path().join("file")).map_or(0, |bytes| bytes.len()));
    }
    assert_eq!(lengths, BTreeSet::from([0, 512, 1024, 1536]));
}

#[test]
fn room_is_limited_and_given_back() {
    let disk = Disk::new();
    let Some(place) = disk.mount_or_skip() else { return };
    disk.set_room(Some(64 << 10));
    let reserve = File::create(place.path().join("reserve")).unwrap();
    rustix::fs::fallocate(&reserve, rustix::fs::FallocateFlags::empty(), 0, 48 << 10).unwrap();
    let stat = rustix::fs::statvfs(place.path()).unwrap();
    assert_eq!((stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize), (64 << 10, 16 << 10));
    assert!(fs::write(place.path().join("large"), vec![1; 17 << 10]).is_err());
    fs::remove_file(place.path().join("large")).unwrap();
    reserve.write_all_at(&vec![1; 48 << 10], 0).unwrap();
    fs::remove_file(place.path().join("reserve")).unwrap();
    assert!(fs::write(place.path().join("large"), vec![1; 17 << 10]).is_err(), "it is still open");
    drop(reserve);
    // The kernel tells of a close in its own time.
    while disk.used() > 20 << 10 {
        std::thread::yield_now();
    }
    fs::write(place.path().join("large"), vec![1; 17 << 10]).unwrap();
    disk.set_room(None);
    fs::write(place.path().join("larger"), vec![1; 1 << 20]).unwrap();
}

#[test]
fn the_rest_is_as_on_any_file_system() {
    let disk = Disk::new();
    let Some(place) = disk.mount_or_skip() else { return };
    let mut first = OpenOptions::new().append(true).create(true).open(place.path().join("log")).unwrap();
    let mut second = OpenOptions::new().append(true).read(true).open(place.path().join("log")).unwrap();
    first.write_all(b"one ").unwrap();
    second.write_all(b"two ").unwrap();
    first.write_all(b"three").unwrap();
    let mut text = String::new();
    second.seek(SeekFrom::Start(0)).unwrap();
    second.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one two three");
    first.set_len(3).unwrap();
    first.set_len(5).unwrap();
    assert_eq!(fs::read(place.path().join("log")).unwrap(), b"one\0\0");
    first.lock().unwrap();
    assert!(second.try_lock().is_err());
    drop(first);
    second.lock().unwrap();

    fs::hard_link(place.path().join("log"), place.path().join("again")).unwrap();
    assert_eq!(fs::metadata(place.path().join("again")).unwrap().nlink(), 2);
    std::os::unix::fs::symlink("log", place.path().join("link")).unwrap();
    assert_eq!(fs::read(place.path().join("link")).unwrap(), b"one\0\0");
    let listener = UnixListener::bind(place.path().join("socket")).unwrap();
    let mut caller = UnixStream::connect(place.path().join("socket")).unwrap();
    caller.write_all(b"hello").unwrap();
    drop(caller);
    let mut heard = String::new();
    listener.accept().unwrap().0.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");

    for number in 0..500 {
        let path = place.path().join(format!("many/{}/{number}", number % 3));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }
    assert_eq!(fs::read_dir(place.path().join("many/1")).unwrap().count(), 167);
    assert!(fs::remove_dir(place.path().join("many")).is_err());
    fs::remove_dir_all(place.path().join("many")).unwrap();
    assert!(!place.path().join("many").exists());
}

#[test]
fn what_is_unmounted_is_gone_even_while_it_is_open() {
    let disk = Disk::new();
    let Some(place) = disk.mount_or_skip() else { return };
    let mut file = File::create(place.path().join("file")).unwrap();
    drop(place);
    file.write_all(b"still").unwrap();
    let again = disk.mount_or_skip().unwrap();
    assert_eq!(fs::read(again.path().join("file")).unwrap(), b"still");
}
