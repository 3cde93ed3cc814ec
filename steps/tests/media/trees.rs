//! Trees with everything that a file system can hold.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, fs::symlink, net::UnixListener},
    path::Path,
    process::Command,
};

use crate::support::{is_root, noise, set_time};

/// Makes a tree with every kind of entry, and odd names.
pub(crate) fn make_odd(root: &Path) {
    fs::create_dir_all(root.join("empty")).unwrap();
    let deep = "directory-with-a-long-name-for-long-paths/".repeat(9);
    fs::create_dir_all(root.join(&deep)).unwrap();
    fs::write(root.join(&deep).join("n".repeat(255)), b"long").unwrap();
    fs::write(root.join("empty-file"), b"").unwrap();
    fs::write(root.join("text"), "line\n".repeat(100_000)).unwrap();
    fs::write(root.join("large"), noise(1, 9 << 20)).unwrap();
    for (name, content) in [
        (b"newline\nin name".as_slice(), b"a".as_slice()),
        (b"latin1-\xe9\xff", b"b"),
        ("Grüße-日本".as_bytes(), b"c"),
        (b"-rf *; \"quoted\" 'x' \\", b"d"),
        (b" space ", b"e"),
    ] {
        fs::write(root.join(OsStr::from_bytes(name)), content).unwrap();
    }
    symlink("text", root.join("link")).unwrap();
    symlink("/nonexistent/".repeat(30), root.join("dangling")).unwrap();
    symlink(OsStr::from_bytes(b"\xff\xfe"), root.join("odd-target")).unwrap();
    fs::hard_link(root.join("text"), root.join("empty").join("hard")).unwrap();
    fs::hard_link(root.join("text"), root.join("z-hard")).unwrap();
    fs::hard_link(root.join("dangling"), root.join("z-hard-symlink")).unwrap();
    make_sparse(&root.join("sparse"));
    let _ = UnixListener::bind(root.join("socket")).unwrap();
    assert!(Command::new("mkfifo").arg(root.join("fifo")).status().unwrap().success());
    if is_root() {
        for (name, kind, major, minor) in [("null", "c", "1", "3"), ("disk", "b", "259", "1048575")] {
            let made = Command::new("mknod").arg(root.join(name)).args([kind, major, minor]).status();
            assert!(made.unwrap().success());
        }
        std::os::unix::fs::chown(root.join("large"), Some(12_345), Some(4_000_000_000)).unwrap();
        std::os::unix::fs::lchown(root.join("link"), Some(77), Some(78)).unwrap();
    }
    fs::set_permissions(root.join("text"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o1777)).unwrap();
    set_attribute(&root.join("text"), "user.note", b"two\nlines\0and a zero");
    set_attribute(&root.join("text"), "user.a=b", b"equals");
    set_attribute(&root.join("empty"), "user.empty", b"");
    set_attribute(&root.join("large"), "user.big", &noise(3, 2000));
    for command in [vec!["-m", "u:12345:rw,g:54321:r"], vec!["-d", "-m", "u:12345:rwx"]] {
        let on = if command.len() == 2 { "large" } else { "empty" };
        assert!(Command::new("setfacl").args(command).arg(root.join(on)).status().unwrap().success());
    }
    set_time(&root.join("text"), 1_700_000_000, 123_456_789);
    set_time(&root.join("large"), -86_400, 500_000_000);
    set_time(&root.join("link"), 1_000_000_000, 1);
    set_time(&root.join("fifo"), 5, 0);
    set_time(&root.join("empty-file"), 20_000_000_000, 999_999_999);
    set_time(&root.join("empty"), 1_600_000_000, 7);
    set_time(root, 1_500_000_000, 42);
}

/// Sets an extended attribute.
pub(crate) fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

/// A file of 64 MiB with three short parts, and a hole at its end.
pub(crate) fn make_sparse(path: &Path) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::create(path).unwrap();
    file.set_len(64 << 20).unwrap();
    for position in [0, 5 << 20, 40 << 20] {
        file.write_all_at(&noise(position, 10_000), position + 123).unwrap();
    }
}

/// A few small files.
pub(crate) fn make_small(root: &Path) {
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::create_dir_all(root.join("c")).unwrap();
    fs::write(root.join("a/one"), "first").unwrap();
    fs::write(root.join("a/b/two"), noise(2, 100_000)).unwrap();
    fs::write(root.join("c/three"), noise(3, 5_000_000)).unwrap();
    fs::hard_link(root.join("a/one"), root.join("c/one-too")).unwrap();
    fs::hard_link(root.join("a/one"), root.join("c/one-again")).unwrap();
    set_time(&root.join("c"), 1_234_567_890, 5);
    set_time(&root.join("a/b"), 1_234_567_891, 6);
    set_time(&root.join("a"), 1_234_567_892, 7);
}
