//! A damaged store is read as far as it can be trusted, written to by nobody, and goes on once the rest is given up.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Content, SMALL, commit_numbers, content, durable, put, scratch, thirty, write_files};
use crate::store::{Batch, Store, StoreError, Table, moments};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Opens a store that is damaged; every byte of it stays as it is.
fn read_only(directory: &Path) -> Store {
    let before = durable(directory);
    let cause = Store::open_with(directory, SMALL).map(|_| ()).unwrap_err();
    assert!(cause.spoils_what_is_stored(), "{cause}");
    let store = Store::open_read_only(directory, &cause).unwrap();
    let refused = store.commit(put("a", "1")).unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly(_)), "{refused}");
    assert!(matches!(store.checkpoint(), Err(StoreError::ReadOnly(_))));
    assert_eq!(durable(directory), before);
    store
}

/// What is read must be what was stored after the commit that is said to be the last one trusted.
fn assert_trusted(store: &Store, states: &[Content], what: &str) -> usize {
    let trusted = usize::try_from(store.damage().unwrap().trusted).unwrap();
    assert_eq!(content(store), states[trusted], "{what}");
    trusted
}

/// Gives the rest up, and goes on.
fn assert_repaired(directory: &Path, store: Store, states: &[Content]) {
    let damage = store.damage().unwrap();
    let before = durable(directory);
    let mut more = Batch::default();
    more.put(Table::Ids, "next", &7).unwrap();
    let aside = store.repair(&more, "20261120T020000Z").unwrap();
    assert_eq!(durable(&aside), before);
    store.close().unwrap();
    let (store, opened) = Store::open_with(directory, SMALL).unwrap();
    assert_eq!(opened.sequence, damage.known.max(1), "no number of a commit is given twice");
    assert_eq!(content(&store), states[usize::try_from(damage.trusted).unwrap()]);
    assert_eq!(store.get::<u64>(Table::Ids, "next").unwrap(), Some(7));
    store.commit(put("after", "1")).unwrap();
    store.checkpoint().unwrap();
    drop(store);
    let (store, _) = Store::open_with(directory, SMALL).unwrap();
    assert_eq!(store.get::<String>(Table::Runs, "after").unwrap().as_deref(), Some("1"));
}

fn last_closed(files: &Files) -> PathBuf {
    files.keys().filter(|path| path.starts_with("log")).nth_back(1).unwrap().clone()
}

/// Every kind of damage that a store of thirty commits can have, with the last commit that must be trusted at least.
fn damages(intact: &Files) -> Vec<(&'static str, Files, u64)> {
    let segments: Vec<_> = intact.keys().filter(|path| path.starts_with("log")).cloned().collect();
    let checkpoints: Vec<_> = intact.keys().filter(|path| path.starts_with("checkpoints")).cloned().collect();
    let closed = last_closed(intact);
    let changed = |change: &dyn Fn(&mut Files)| {
        let mut files = intact.clone();
        change(&mut files);
        files
    };
    vec![
        ("a bad record", changed(&|files| files.get_mut(&closed).unwrap()[100] ^= 1), 20),
        ("a bad header", changed(&|files| files.get_mut(&closed).unwrap()[20] ^= 1), 20),
        ("a cut segment", changed(&|files| files.get_mut(&closed).unwrap().truncate(200)), 20),
        ("a missing segment", changed(&|files| drop(files.remove(&closed))), 20),
        ("the last segment is missing", changed(&|files| drop(files.remove(segments.last().unwrap()))), 20),
        ("the whole log is missing", changed(&|files| files.retain(|path, _| !path.starts_with("log"))), 20),
        (
            "an older checkpoint, and a bad record after it",
            changed(&|files| {
                files.get_mut(&checkpoints[1]).unwrap()[60] ^= 1;
                files.get_mut(&closed).unwrap()[100] ^= 1;
            }),
            10,
        ),
        (
            "no checkpoint for a log that does not begin at 1",
            changed(&|files| files.retain(|path, _| !path.starts_with("checkpoints"))),
            0,
        ),
        (
            "a bad header of a segment that is not needed",
            changed(&|files| files.get_mut(&segments[0]).unwrap()[20] ^= 1),
            30,
        ),
    ]
}

#[test]
fn every_kind_of_damage_is_read_up_to_it_and_goes_on_once_it_is_given_up() {
    let origin = scratch();
    let states = thirty(origin.path());
    let mut seen = Vec::new();
    for (what, files, at_least) in damages(&durable(origin.path())) {
        let directory = write_files(&files);
        let store = read_only(directory.path());
        let trusted = assert_trusted(&store, &states, what);
        let damage = store.damage().unwrap();
        assert!(trusted as u64 >= at_least, "{what}: {damage}");
        assert!(damage.known >= damage.trusted && !damage.unreadable, "{what}: {damage}");
        assert!(damage.to_string().contains(&damage.path.display().to_string()), "{damage}");
        assert!(damage.help().contains("resplit repair"));
        seen.push((what, trusted, damage.known));
        assert_repaired(directory.path(), store, &states);
    }
    // Of what is only damaged in the middle, the last commit is known all the same.
    assert_eq!(seen[0].2, 30, "{seen:?}");
    assert_eq!(seen.last().unwrap().1, 30);
}

#[test]
fn a_byte_flipped_anywhere_is_never_read_as_a_wrong_value() {
    let origin = scratch();
    let states = thirty(origin.path());
    let intact = durable(origin.path());
    let directory = write_files(&intact);
    let mut damaged = 0;
    for (path, bytes) in &intact {
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x41;
            fs::write(directory.path().join(path), &flipped).unwrap();
            let what = format!("byte {at} of {}", path.display());
            let Err(cause) = crate::store::open::survey(&crate::store::place::Place::of(directory.path()))
            else {
                continue;
            };
            damaged += 1;
            let store = Store::open_read_only(directory.path(), &cause).unwrap();
            let trusted = assert_trusted(&store, &states, &what);
            assert!(trusted >= 10, "{what}: {trusted}");
        }
        fs::write(directory.path().join(path), bytes).unwrap();
    }
    assert!(damaged > 1000, "{damaged}");
}

#[test]
fn a_commit_lost_after_an_orderly_end_is_the_only_one_given_up() {
    let origin = scratch();
    let mut states = thirty(origin.path());
    let (store, _) = Store::open_with(origin.path(), SMALL).unwrap();
    commit_numbers(&store, &mut states, 31);
    store.close().unwrap();
    let last = durable(origin.path()).into_keys().rfind(|path| path.starts_with("log")).unwrap();
    let path = origin.path().join(last);
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end] = 0;
    fs::write(&path, bytes).unwrap();
    let store = read_only(origin.path());
    assert_eq!(assert_trusted(&store, &states, "the end"), 30);
    let damage = store.damage().unwrap();
    assert!(damage.lost().starts_with("commit 31 is lost"), "{damage}");
    assert_repaired(origin.path(), store, &states);
    // The view is set aside, too: what it was closed with is no measure of the new log.
    assert!(origin.path().join("damaged-20261120T020000Z/view").is_dir());
}

#[test]
fn counters_in_the_part_that_is_lost_are_seen() {
    let directory = scratch();
    let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
    for next in 1..=40_u64 {
        let mut batch = put("k", &next.to_string());
        batch.put(Table::Ids, "backup", &next).unwrap();
        store.commit(batch).unwrap();
        if next == 20 {
            store.checkpoint().unwrap();
        }
    }
    drop(store);
    let files = durable(directory.path());
    let first = files.keys().filter(|path| path.starts_with("log")).nth(1).unwrap();
    let mut bytes = files[first].clone();
    bytes[80] ^= 1;
    fs::write(directory.path().join(first), bytes).unwrap();
    for checkpoint in files.keys().filter(|path| path.starts_with("checkpoints")) {
        fs::remove_file(directory.path().join(checkpoint)).unwrap();
    }
    let store = read_only(directory.path());
    let damage = store.damage().unwrap();
    assert!(damage.trusted < 20 && damage.known == 40, "{damage}");
    assert_eq!((store.counter_seen("backup"), store.counter_seen("token")), (40, 0));
}

#[test]
fn what_the_disk_does_not_give_back_is_not_given_up() {
    let directory = scratch();
    let states = thirty(directory.path());
    let closed = last_closed(&durable(directory.path()));
    let path = directory.path().join(closed);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    // Reading a directory fails as reading a bad disk does.
    fs::create_dir(&path).unwrap();
    let cause = Store::open_with(directory.path(), SMALL).map(|_| ()).unwrap_err();
    assert!(matches!(cause, StoreError::Io { .. }) && cause.spoils_what_is_stored(), "{cause}");
    let store = Store::open_read_only(directory.path(), &cause).unwrap();
    let damage = store.damage().unwrap();
    assert!(damage.unreadable && damage.help().contains("look at the disk first"), "{damage}");
    assert!(damage.to_string().contains("cannot be read") && !damage.lost().contains("lost"), "{damage}");
    assert!(assert_trusted(&store, &states, "an I/O error") >= 20);
    assert!(matches!(store.repair(&Batch::default(), "now"), Err(StoreError::ReadOnly(_))));
    drop(store);
    fs::remove_dir(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
    assert_eq!(content(&store), states[30]);
}

const DIRECTORY: &str = "RESPLIT_TEST_REPAIR";

/// Not a test of its own: what the killed process does.
#[test]
fn repairing_process() {
    let Ok(directory) = env::var(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let cause = Store::open_with(directory, SMALL).map(|_| ()).unwrap_err();
    let store = Store::open_read_only(directory, &cause).unwrap();
    let _ = store.repair(&Batch::default(), "20261120T020000Z").unwrap();
}

#[test]
fn killed_at_any_moment_of_a_repair_it_is_as_before_or_done() {
    let origin = scratch();
    let states = thirty(origin.path());
    // With a view, so that all of it has to be moved.
    let mut files = durable(origin.path());
    let closed = last_closed(&files);
    files.get_mut(&closed).unwrap()[100] ^= 1;
    let _ = files.insert("view/closed.json".into(), b"{}".to_vec());
    let moments = ["repair made", "repair decided"].map(str::to_owned).into_iter();
    let moved = ["repair set aside", "repair put in place"];
    let moved = moved.iter().flat_map(|name| (1..=3).map(move |count| format!("{name}/{count}")));
    for moment in moments.chain(moved) {
        let directory = write_files(&files);
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", "store::tests::salvage::repairing_process"])
            .env(DIRECTORY, directory.path())
            .env(moments::VARIABLE, &moment)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(!status.success(), "{moment}");
        if moment == "repair made" {
            let store = read_only(directory.path());
            assert_trusted(&store, &states, &moment);
            assert_repaired(directory.path(), store, &states);
            continue;
        }
        let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
        assert!(states[20..30].contains(&content(&store)), "{moment}");
        store.commit(put("after", "1")).unwrap();
        let aside = directory.path().join("damaged-20261120T020000Z");
        let set_aside = durable(&aside);
        let kept = |path: &&PathBuf| !path.starts_with("view");
        assert_eq!(set_aside.keys().collect::<Vec<_>>(), files.keys().filter(kept).collect::<Vec<_>>());
        assert!(set_aside.iter().all(|(path, bytes)| files[path] == *bytes), "{moment}");
        assert!(!directory.path().join("repaired").exists());
    }
}
