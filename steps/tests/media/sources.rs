//! Trees that are not what they should be: in use, unreadable, missing.

use std::{
    fs,
    io::Write,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use resplit_operations::ids::VolumeId;
use resplit_steps::{context::Work, failure::FailureClass};

use crate::support::{Vault, assert_same, noise, shell};

/// Writes the tree while `disturb` is called all the time. A write during which `disturb` got no turn is a good one: it is
/// repeated until one was disturbed.
fn write_disturbed(vault: &Vault, disturb: impl Fn() + Sync) -> String {
    let source = vault.path("source");
    for _ in 0..20 {
        let before = fs::read(vault.cartridge("VT0001")).unwrap();
        let over = AtomicBool::new(false);
        let result = thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    disturb();
                }
            });
            let result = vault.write("VT0001", "run/2", &source);
            over.store(true, Ordering::Relaxed);
            result
        });
        if let Err(failure) = result {
            assert_eq!(failure.class, FailureClass::Temporary, "{failure}");
            assert!(fs::read(vault.cartridge("VT0001")).unwrap() == before, "it was not kept");
            return failure.message;
        }
    }
    panic!("nothing was disturbed in twenty writes");
}

#[test]
fn a_file_that_changes_meanwhile_is_named_and_nothing_is_kept() {
    let vault = Vault::new(1, 1 << 30);
    let source = vault.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("quiet"), noise(1, 1 << 20)).unwrap();
    fs::write(source.join("busy"), noise(2, 24 << 20)).unwrap();
    vault.write("VT0001", "run/1", &source).unwrap();

    let grows = write_disturbed(&vault, || {
        let mut file = fs::OpenOptions::new().append(true).open(source.join("busy")).unwrap();
        file.write_all(b"x").unwrap();
    });
    assert!(grows.contains("documents/busy") && !grows.contains("quiet"), "{grows}");
    let shrinks = write_disturbed(&vault, || {
        let file = fs::OpenOptions::new().write(true).open(source.join("busy")).unwrap();
        file.set_len(20 << 20).unwrap();
        thread::sleep(std::time::Duration::from_millis(1));
        file.set_len(24 << 20).unwrap();
        file.write_all_at(b"y", 3).unwrap();
    });
    assert!(shrinks.contains("documents/busy"), "{shrinks}");

    vault.write("VT0001", "run/3", &source).unwrap();
    let to = vault.path("to");
    vault.read("VT0001", 2, &to, true).unwrap();
    assert_same(&source, &to);
}

#[test]
fn a_tree_that_is_missing_changes_nothing() {
    let vault = Vault::new(1, 1 << 20);
    let failure = vault.write("VT0001", "run/1", &vault.path("none")).unwrap_err();
    assert!(failure.message.contains("none"), "{failure}");
    assert_eq!(vault.datasets("VT0001"), []);
    let names: Vec<(VolumeId, _)> = vec![("a/b".into(), vault.path("x")), ("..".into(), vault.path("x"))];
    for (name, path) in names {
        let result = vault.write_all("VT0001", "run/1", &[(name.as_str(), &path)], &Work::silent());
        assert_eq!(result.unwrap_err().class, FailureClass::Refused);
    }
}

#[test]
fn a_very_large_file_and_a_deep_tree_fit() {
    let vault = Vault::new(1, 64 << 20);
    let source = vault.path("source");
    let deep = source.join("d/".repeat(300));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("bottom"), "reached").unwrap();
    let file = fs::File::create(source.join("huge")).unwrap();
    file.set_len(20 << 30).unwrap();
    file.write_all_at(b"beyond 8 GiB", 19 << 30).unwrap();
    drop(file);
    let dataset = vault.write("VT0001", "run/1", &source).unwrap();
    assert_eq!(dataset.content_bytes, (20 << 30) + 7);
    let to = vault.path("to");
    vault.read("VT0001", 1, &to, true).unwrap();
    for root in [&to, &vault.path("tar")] {
        if !root.exists() {
            fs::create_dir(root).unwrap();
            let cartridge = vault.cartridge("VT0001");
            shell(root, &format!("zstd -dc {} | tar -xpi --strip-components=1", cartridge.display()));
        }
        let file = fs::File::open(root.join("huge")).unwrap();
        let mut bytes = [0; 12];
        file.read_exact_at(&mut bytes, 19 << 30).unwrap();
        assert_eq!((&bytes, file.metadata().unwrap().len()), (b"beyond 8 GiB", 20 << 30));
        assert_eq!(fs::read(root.join("d/".repeat(300)).join("bottom")).unwrap(), b"reached");
    }
}
