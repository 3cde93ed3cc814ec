use std::{fs, path::Path, process::Command};

use super::*;

fn fake(root: &Path, boot: &str, pid: u32, state: char, start: u64) {
    let random = root.join("sys/kernel/random");
    fs::create_dir_all(&random).unwrap();
    fs::write(random.join("boot_id"), format!("{boot}\n")).unwrap();
    let directory = root.join(pid.to_string());
    fs::create_dir_all(&directory).unwrap();
    let rest = "1 77 77 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0";
    fs::write(directory.join("stat"), format!("{pid} (a) b) S (c) {state} {rest} {start} 0 0\n")).unwrap();
}

#[test]
fn another_process_with_the_same_id_is_not_the_owner() {
    let root = tempfile::tempdir().unwrap();
    let table = Processes::at(root.path());
    fake(root.path(), "first", 42, 'S', 1000);
    let owner = table.owner(42).unwrap().unwrap();
    assert_eq!(owner, Owner { boot_id: "first".into(), pid: 42, start_time: 1000 });
    assert!(table.is_alive(&owner));
    assert_eq!(table.group(77).unwrap(), [42]);

    // The next one is not had in the next moment: there are thousands of IDs before.
    fake(root.path(), "first", 42, 'S', 1002);
    assert!(!table.is_alive(&owner), "the ID was given out again");
    fake(root.path(), "first", 42, 'Z', 1000);
    assert!(!table.is_alive(&owner), "a zombie");
    assert_eq!(table.owner(42).unwrap(), None);
    assert_eq!(table.group(77).unwrap(), Vec::<u32>::new());
    fake(root.path(), "second", 42, 'S', 1000);
    assert!(!table.is_alive(&owner), "another boot");
    fs::remove_dir_all(root.path().join("42")).unwrap();
    fake(root.path(), "first", 43, 'S', 1);
    assert!(!table.is_alive(&owner), "gone");
}

#[test]
fn an_owner_is_the_same_from_every_time_namespace() {
    let root = tempfile::tempdir().unwrap();
    let table = Processes::at(root.path());
    fake(root.path(), "first", 42, 'S', 1000);
    let owner = table.owner(42).unwrap().unwrap();
    fs::create_dir(root.path().join("self")).unwrap();
    for (offsets, seen) in
        [("boottime 100000 0", 10_001_000), ("boottime -5 0", 500), ("boottime 0 15000000", 1001)]
    {
        fake(root.path(), "first", 42, 'S', seen);
        fs::write(root.path().join("self/timens_offsets"), format!("monotonic 7 0\n{offsets}\n")).unwrap();
        assert!(table.is_alive(&owner), "{offsets}");
        assert!(table.owner(42).unwrap().unwrap().start_time.abs_diff(1000) <= 1, "{offsets}");
    }
    fake(root.path(), "first", 42, 'S', 1000);
    fs::write(root.path().join("self/timens_offsets"), "monotonic 0 0\nboottime 100000 0\n").unwrap();
    assert!(!table.is_alive(&owner), "there, that is another process");
}

#[test]
fn what_cannot_be_read_counts_as_alive() {
    let root = tempfile::tempdir().unwrap();
    let table = Processes::at(root.path());
    fake(root.path(), "first", 42, 'S', 1000);
    let owner = table.owner(42).unwrap().unwrap();
    fs::write(root.path().join("42/stat"), "nonsense").unwrap();
    assert!(table.is_alive(&owner));
    assert!(table.owner(42).unwrap_err().to_string().contains("42/stat"));
    fs::remove_file(root.path().join("sys/kernel/random/boot_id")).unwrap();
    assert!(table.is_alive(&owner));
}

#[test]
fn a_real_process_lives_until_it_ends_even_before_it_is_reaped() {
    assert!(Owner::current().unwrap().is_alive());
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let owner = Owner::of(child.id()).unwrap().unwrap();
    assert!(owner.is_alive());
    let descriptor = owner.descriptor().unwrap().unwrap();
    child.kill().unwrap();
    let mut ready = [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)];
    let _ = rustix::event::poll(&mut ready, None).unwrap();
    assert!(!owner.is_alive(), "a zombie is dead");
    assert!(owner.descriptor().unwrap().is_none());
    let _ = child.wait().unwrap();
    assert!(!owner.is_alive());
}
