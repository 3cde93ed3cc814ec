//! Damage of what is durable: refused without a change, or what was torn is cut off; never a wrong value.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf};

use super::{Content, SMALL, commit_numbers, content, durable, files, scratch, thirty, write_files};
use crate::store::{
    Found, Store, StoreError,
    checkpoint::{Changes, collect, merge},
    log,
    open::survey,
    place::Place,
};

/// The number of the last commit and everything that is stored, read without changing anything.
fn load(directory: &Path) -> Result<(usize, Content), StoreError> {
    let place = Place::of(directory);
    let survey = survey(&place)?.unwrap();
    let (mut changes, mut content) = (Changes::new(), Content::new());
    log::read(&place, &survey.segments, survey.base.point, &mut |w| collect(&place, w, &mut changes))?;
    merge(&place, &survey.base, &changes, &mut |key, value| {
        let key = String::from_utf8(key[1..].to_vec()).unwrap();
        content.insert(key, serde_json::from_slice(value).unwrap());
        Ok(())
    })?;
    Ok((usize::try_from(survey.end.point.sequence).unwrap(), content))
}

fn is_damaged<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Damaged { .. }))
}

fn last_segment(files: &BTreeMap<PathBuf, Vec<u8>>) -> PathBuf {
    files.keys().rfind(|path| path.starts_with("log")).unwrap().clone()
}

/// Opening must refuse and leave every byte as it is.
fn assert_refused(directory: &Path) -> String {
    let before = durable(directory);
    let outcome = Store::open_with(directory, SMALL).map(|_| ());
    assert!(is_damaged(&outcome), "{outcome:?}");
    assert_eq!(durable(directory), before);
    assert!(!directory.join("view").exists());
    outcome.unwrap_err().to_string()
}

#[test]
fn a_log_torn_anywhere_in_its_tail_holds_a_prefix_and_goes_on() {
    let origin = scratch();
    let states = thirty(origin.path());
    let intact = durable(origin.path());
    let last = last_segment(&intact);
    let size = intact[&last].len();
    let written = intact[&last].iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut seen = std::collections::BTreeSet::new();
    // What a crash leaves of a record: a part of it, with the zeros that were there or with anything behind.
    for (length, rest) in (64..size).rev().flat_map(|length| [(length, 0), (length, 0x5a)]) {
        let mut torn = intact.clone();
        torn.get_mut(&last).unwrap()[length..].fill(rest);
        let directory = write_files(&torn);
        let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
        let sequence = usize::try_from(opened.sequence).unwrap();
        seen.insert(sequence);
        assert_eq!(content(&store), states[sequence], "torn at {length}");
        assert!(sequence == 30 || length < written);
        assert!(rest == 0 || opened.torn_bytes >= (size - length) as u64);
        let mut states = states[..=sequence].to_vec();
        commit_numbers(&store, &mut states, 33);
        drop(store);
        assert_eq!(load(directory.path()).unwrap(), (33, states[33].clone()), "torn at {length}");
    }
    let first = *seen.first().unwrap();
    assert!(first > 20 && seen == (first..=30).collect(), "{seen:?}");
}

#[test]
fn a_segment_cut_short_is_refused() {
    let origin = scratch();
    thirty(origin.path());
    let intact = durable(origin.path());
    let last = last_segment(&intact);
    for length in 0..intact[&last].len() {
        let mut cut = intact.clone();
        cut.get_mut(&last).unwrap().truncate(length);
        assert_refused(write_files(&cut).path());
    }
}

#[test]
fn a_flipped_byte_anywhere_never_gives_a_wrong_value() {
    let origin = scratch();
    let states = thirty(origin.path());
    let intact = durable(origin.path());
    let last = last_segment(&intact);
    let mut outcomes = [0, 0, 0];
    for (path, bytes) in &intact {
        let directory = write_files(&intact);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x41;
            fs::write(directory.path().join(path), damaged).unwrap();
            match load(directory.path()) {
                Ok((sequence, content)) => {
                    assert_eq!(content, states[sequence], "byte {at} of {}", path.display());
                    assert!(sequence == 30 || (sequence == 29 && *path == last));
                    outcomes[30 - sequence] += 1;
                }
                damaged => {
                    assert!(is_damaged(&damaged), "byte {at} of {}: {damaged:?}", path.display());
                    outcomes[2] += 1;
                }
            }
        }
    }
    // Free space and what older checkpoints need; the last record; all else.
    assert!(outcomes.iter().all(|count| *count > 50), "{outcomes:?}");
}

#[test]
fn damage_changes_nothing_and_says_what_is_lost() {
    let origin = scratch();
    thirty(origin.path());
    let intact = durable(origin.path());
    let closed = intact.keys().rev().nth(1).unwrap();
    for at in [3, 20, 40, 60, 70, 100, 150, 250] {
        let mut damaged = intact.clone();
        damaged.get_mut(closed).unwrap()[at] ^= 1;
        let directory = write_files(&damaged);
        let message = assert_refused(directory.path());
        assert!(message.contains("are lost") && message.contains("nothing was changed"), "{message}");
    }
}

#[test]
fn a_missing_exchanged_or_foreign_segment_is_noticed() {
    let origin = scratch();
    let states = thirty(origin.path());
    let intact = durable(origin.path());
    let segments: Vec<_> = intact.keys().filter(|path| path.starts_with("log")).cloned().collect();
    // A checkpoint of 20 commits leaves those since the one before it.
    let needed = segments.iter().filter(|path| path.as_path() > Path::new("log/00000000000000000020.log"));
    assert!(needed.clone().count() >= 2 && needed.clone().count() < segments.len());
    for missing in &segments {
        let mut left = intact.clone();
        left.remove(missing);
        let directory = write_files(&left);
        if needed.clone().any(|path| path == missing) {
            assert_refused(directory.path());
        } else {
            assert_eq!(load(directory.path()).unwrap(), (30, states[30].clone()));
        }
    }
    let (one, other) = (&segments[segments.len() - 2], &segments[segments.len() - 1]);
    let mut exchanged = intact.clone();
    exchanged.insert(one.clone(), intact[other].clone());
    exchanged.insert(other.clone(), intact[one].clone());
    assert_refused(write_files(&exchanged).path());

    let twin = scratch();
    thirty(twin.path());
    let mut foreign = intact.clone();
    foreign.insert(other.clone(), durable(twin.path())[other].clone());
    assert_refused(write_files(&foreign).path());
}

#[test]
fn a_damaged_checkpoint_is_replaced_by_the_one_before() {
    let origin = scratch();
    let mut states = thirty(origin.path());
    let intact = durable(origin.path());
    let checkpoints: Vec<_> = intact.keys().filter(|path| path.starts_with("checkpoints")).collect();
    assert_eq!(checkpoints.len(), 2);
    let mut damaged = intact.clone();
    damaged.get_mut(checkpoints[1]).unwrap()[60] ^= 1;
    let directory = write_files(&damaged);
    let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
    assert_eq!(opened.damaged_checkpoints.len(), 1, "{opened:?}");
    assert_eq!(content(&store), states[30]);
    // The next checkpoint takes its place.
    commit_numbers(&store, &mut states, 40);
    store.checkpoint().unwrap();
    drop(store);
    let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
    assert_eq!(opened.damaged_checkpoints, Vec::<String>::new());
    assert_eq!(content(&store), states[40]);
    drop(store);

    damaged.get_mut(checkpoints[0]).unwrap()[60] ^= 1;
    assert!(assert_refused(write_files(&damaged).path()).contains("no whole checkpoint"));
    damaged.retain(|path, _| !path.starts_with("checkpoints"));
    assert_refused(write_files(&damaged).path());
    let mut left = intact.clone();
    left.retain(|path, _| path.starts_with("checkpoints"));
    assert!(assert_refused(write_files(&left).path()).contains("does not continue record 20"));
    left.retain(|path, _| path != checkpoints[1] && path != checkpoints[0]);
    left.insert("view/1/db".into(), b"a view alone".to_vec());
    let outcome = Store::open_with(write_files(&left).path(), SMALL).map(|_| ());
    assert!(outcome.unwrap_err().to_string().contains("every segment"));

    // A whole checkpoint that is newer than the log: older files were mixed with newer ones.
    let mut mixed = intact.clone();
    mixed.retain(|path, _| path.as_path() < Path::new("log/00000000000000000020"));
    assert_refused(write_files(&mixed).path());
}

#[test]
fn a_commit_lost_after_an_orderly_end_is_noticed() {
    let origin = scratch();
    let mut states = thirty(origin.path());
    let (store, _) = Store::open_with(origin.path(), SMALL).unwrap();
    commit_numbers(&store, &mut states, 31);
    store.close().unwrap();
    let intact = files(origin.path());
    let last = last_segment(&durable(origin.path()));
    let mut torn = intact.clone();
    let bytes = torn.get_mut(&last).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end] = 0;
    let directory = write_files(&torn);
    let outcome = Store::open_with(directory.path(), SMALL).map(|_| ());
    assert!(is_damaged(&outcome), "{outcome:?}");
    assert!(outcome.unwrap_err().to_string().contains("ends with record 30, and had record 31"));

    let directory = write_files(&intact);
    let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
    assert_eq!((opened.found, content(&store)), (Found::Clean, states[31].clone()));
}
