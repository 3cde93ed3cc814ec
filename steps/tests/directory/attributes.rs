//! What a copy keeps besides content.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        net::UnixListener,
    },
};

use super::support::{Bed, FileSystem, run};

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn everything_that_an_entry_has_is_kept() {
    for file_system in FileSystem::all() {
        println!("on {}", file_system.name);
        let bed = Bed::new(&file_system, "attributes");
        populate(&bed);
        let _ = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap();
        bed.assert_equal();
        // Once more, with all of it there already, and without an index.
        fs::remove_file(bed.pair.secondary.join("index")).unwrap();
        let report = bed.driver.resync(&bed.pair, &bed.asked("run/resync")).unwrap();
        assert_eq!(report.removed, 0);
        bed.assert_equal();
        let _ = bed.driver.split(&bed.pair, 1, &bed.asked("run/split")).unwrap();
        run(&["rm", "-rf", text(bed.primary())]);
        let _ = bed.driver.restore(&bed.pair, &bed.asked("run/restore")).unwrap();
        bed.assert_equal();
        let sparse = fs::metadata(bed.primary().join("sparse")).unwrap();
        assert!(sparse.blocks() * 512 < 4 << 20, "holes stay holes: {} blocks", sparse.blocks());
    }
}

fn populate(bed: &Bed) {
    let primary = bed.primary();
    let is_root = rustix::process::geteuid().is_root();
    let file = bed.write("file", "content");
    run(&["setfattr", "-n", "user.colour", "-v", "blue", text(&file)]);
    run(&["setfacl", "-m", "u:1234:rw,g:99:r", text(&file)]);
    let directory = primary.join("directory");
    fs::create_dir(&directory).unwrap();
    run(&["setfacl", "-d", "-m", "u:1234:rwx", text(&directory)]);
    run(&["setfattr", "-n", "user.note", "-v", "directories have them too", text(&directory)]);
    fs::write(directory.join("inherits"), "the default list").unwrap();
    fs::write(directory.join("plain"), "no list").unwrap();
    run(&["setfacl", "-b", text(&directory.join("plain"))]);
    for (name, mode) in [("suid", 0o4755), ("sgid", 0o2755), ("closed", 0o000), ("read-only", 0o444)] {
        let path = bed.write(name, name);
        if is_root {
            chown(&path, Some(1000), Some(1001)).unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let sticky = primary.join("sticky");
    fs::create_dir(&sticky).unwrap();
    fs::set_permissions(&sticky, fs::Permissions::from_mode(0o1777)).unwrap();
    let odd = primary.join(OsStr::from_bytes(b"not \xff UTF-8\nbut a name"));
    fs::write(&odd, "odd").unwrap();
    fs::write(primary.join("n".repeat(255)), "long").unwrap();
    symlink("file", primary.join("link")).unwrap();
    symlink("/nowhere/at all", primary.join("dangling")).unwrap();
    run(&["touch", "-h", "-d", "2001-02-03 04:05:06.123456789", text(&primary.join("dangling"))]);
    fs::hard_link(&file, primary.join("second name")).unwrap();
    fs::hard_link(&file, directory.join("third name")).unwrap();
    let sparse = fs::File::create(primary.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"in the middle", 5 << 20).unwrap();
    sparse.set_len(16 << 20).unwrap();
    run(&["mkfifo", text(&primary.join("pipe"))]);
    drop(UnixListener::bind(primary.join("socket")).unwrap());
    if is_root {
        run(&["mknod", text(&primary.join("device")), "c", "1", "3"]);
        std::os::unix::fs::lchown(primary.join("link"), Some(1000), Some(1000)).unwrap();
        run(&["setfattr", "-n", "trusted.secret", "-v", "root's", text(&file)]);
        run(&["setfattr", "-h", "-n", "trusted.link", "-v", "of the link", text(&primary.join("link"))]);
        // A capability: cap_net_raw, as setcap writes it.
        let capability = "0x0100000200200000000000000000000000000000";
        let able = bed.write("able", "able");
        chown(&able, Some(1000), Some(1000)).unwrap();
        run(&["setfattr", "-n", "security.capability", "-v", capability, text(&able)]);
    }
    fs::create_dir(primary.join("empty")).unwrap();
    for (name, date) in
        [("empty", "1969-12-31 23:59:59.5 UTC"), ("directory", "2030-01-01 00:00:00.000000001")]
    {
        run(&["touch", "-d", date, text(&primary.join(name))]);
    }
    fs::set_permissions(primary, fs::Permissions::from_mode(0o2750)).unwrap();
    run(&["touch", "-d", "2020-02-02 20:20:20.2", text(primary)]);
}
