//! Trees of unusual shape, and what changes its shape.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, Mode, OFlags},
};

use super::support::{Bed, FileSystem, run};

/// Goes down, making directories if asked, and gives the last.
fn descend(root: &Path, depth: usize, name: &str, make: bool) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut at = rustix::fs::openat(CWD, root, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        if make {
            rustix::fs::mkdirat(&at, name, Mode::RWXU).unwrap();
        }
        at = rustix::fs::openat(&at, name, flags, Mode::empty()).unwrap();
    }
    at
}

#[test]
fn directories_may_be_deeper_than_any_path() {
    for (depth, name) in [(1_500, "deep"), (200, "n".repeat(255).as_str())] {
        let file_system = FileSystem::here();
        let bed = Bed::new(&file_system, "deep");
        let bottom = descend(bed.primary(), depth, name, true);
        rustix::fs::mknodat(&bottom, "file", rustix::fs::FileType::RegularFile, Mode::RUSR, 0).unwrap();
        let report = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap();
        assert_eq!(report.entries, u64::try_from(depth).unwrap() + 1);
        let copied = descend(&bed.data(), depth, name, false);
        assert!(rustix::fs::statat(&copied, "file", rustix::fs::AtFlags::empty()).is_ok());
        let _ = bed.driver.split(&bed.pair, 1, &bed.asked("run/split")).unwrap();
        run(&["rm", "-rf", bed.primary().join(name).to_str().unwrap()]);
        bed.write("other", "other");
        let difference = bed.driver.difference(&bed.pair, &bed.work).unwrap();
        assert_eq!((difference.removed, difference.returned), (1, u64::try_from(depth).unwrap() + 1));
        let _ = bed.driver.restore(&bed.pair, &bed.asked("run/restore")).unwrap();
        assert!(
            rustix::fs::statat(
                descend(bed.primary(), depth, name, false),
                "file",
                rustix::fs::AtFlags::empty()
            )
            .is_ok()
        );
        // And removed again.
        run(&["rm", "-rf", bed.primary().join(name).to_str().unwrap()]);
        let report = bed.driver.resync(&bed.pair, &bed.asked("next/resync")).unwrap();
        assert_eq!((report.entries, report.removed), (0, u64::try_from(depth).unwrap() + 1));
        bed.assert_equal();
    }
}

#[test]
fn an_entry_may_become_one_of_another_kind() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "kinds");
    let path = bed.primary().join("entry");
    let kinds: [(&str, &dyn Fn()); 4] = [
        ("file", &|| fs::write(&path, "a file").unwrap()),
        ("directory", &|| {
            fs::create_dir_all(path.join("with/content")).unwrap();
            fs::write(path.join("with/content/file"), "deep").unwrap();
        }),
        ("link", &|| symlink("anywhere", &path).unwrap()),
        ("pipe", &|| drop(run(&["mkfifo", path.to_str().unwrap()]))),
    ];
    for (first, make_first) in &kinds {
        for (second, make_second) in &kinds {
            for forget in [false, true] {
                println!("{first}, then {second}, index lost: {forget}");
                for make in [make_first, make_second] {
                    run(&["rm", "-rf", path.to_str().unwrap()]);
                    make();
                    if forget {
                        let _ = fs::remove_file(bed.pair.secondary.join("index"));
                    }
                    let _ = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap();
                    bed.assert_equal();
                }
            }
        }
    }
}

#[test]
fn names_of_one_file_may_come_and_go() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "links");
    let resync = || {
        let report = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap();
        bed.assert_equal();
        report
    };
    let at = |name: &str| bed.primary().join(name);
    let inode = |name: &str| fs::metadata(bed.data().join(name)).unwrap().ino();
    bed.write("x/a", "shared");
    bed.write("y/other", "other");
    fs::hard_link(at("x/a"), at("x/b")).unwrap();
    assert_eq!(resync().bytes, 11, "content counts once");
    fs::hard_link(at("x/a"), at("y/c")).unwrap();
    resync();
    assert_eq!(inode("x/a"), inode("y/c"));
    // Written through one name.
    fs::write(at("y/c"), "through another name").unwrap();
    resync();
    // One of them becomes a file of its own, with the same content and times but another owner's mode.
    run(&["cp", "-p", at("x/a").to_str().unwrap(), at("tmp").to_str().unwrap()]);
    fs::rename(at("tmp"), at("x/a")).unwrap();
    run(&["chmod", "600", at("x/a").to_str().unwrap()]);
    resync();
    assert_ne!(inode("x/a"), inode("x/b"));
    fs::remove_file(at("x/b")).unwrap();
    fs::rename(at("y/c"), at("x/moved")).unwrap();
    resync();
    fs::hard_link(at("y/other"), at("x/a2")).unwrap();
    fs::remove_file(at("x/moved")).unwrap();
    fs::hard_link(at("y/other"), at("x/moved")).unwrap();
    let _ = fs::remove_file(bed.pair.secondary.join("index"));
    resync();
    assert_eq!(inode("x/moved"), inode("y/other"));
    // What changed in the tick in which the last pass began is looked at again.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let _ = resync();
    assert_eq!(resync().changed, 0);
}

#[test]
fn nothing_is_written_where_nothing_changed() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "quiet");
    (0..300).for_each(|file| drop(bed.write(&format!("{}/{file}", file % 7), format!("file {file}"))));
    let _ = bed.driver.resync(&bed.pair, &bed.asked("1/resync")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let report = bed.driver.resync(&bed.pair, &bed.asked("2/resync")).unwrap();
    assert_eq!((report.changed, report.copied), (0, 0));
    let before = fs::metadata(bed.pair.secondary.join("index")).unwrap().ino();
    let report = bed.driver.resync(&bed.pair, &bed.asked("3/resync")).unwrap();
    assert_eq!((report.entries, report.changed, report.copied), (307, 0, 0));
    assert_eq!(fs::metadata(bed.pair.secondary.join("index")).unwrap().ino(), before, "the index is kept");
    bed.write("3/3", "changed");
    let report = bed.driver.resync(&bed.pair, &bed.asked("4/resync")).unwrap();
    assert_eq!((report.changed, report.copied), (1, 7));
    bed.assert_equal();
}
