//! The view may be lost or damaged at any time: it is built again, and nothing is missing.

use std::fs;

use super::{SMALL, commit_numbers, content, files, scratch, thirty, write_files};
use crate::store::{Found, Store, StoreError, Table};

#[test]
fn a_view_that_is_gone_or_damaged_is_built_again() {
    let origin = scratch();
    let states = thirty(origin.path());
    Store::open_with(origin.path(), SMALL).unwrap().0.close().unwrap();
    let intact = files(origin.path());
    let view: Vec<_> = intact.keys().filter(|path| path.starts_with("view")).cloned().collect();
    assert!(view.len() > 2, "{view:?}");
    for path in &view {
        for damage in 0..4 {
            let mut damaged = intact.clone();
            let bytes = damaged.get_mut(path).unwrap();
            match damage {
                0 => drop(damaged.remove(path)),
                1 => bytes.truncate(bytes.len() / 2),
                2 => bytes.iter_mut().for_each(|byte| *byte ^= 0xa5),
                _ => *bytes = b"{}".repeat(bytes.len()),
            }
            let directory = write_files(&damaged);
            let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
            assert_eq!(opened.sequence, 30);
            assert_eq!(content(&store), states[30], "{} damage {damage}", path.display());
            let mut states = states.clone();
            commit_numbers(&store, &mut states, 32);
            store.close().unwrap();
            let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
            assert_eq!((opened.found, content(&store)), (Found::Clean, states[32].clone()));
        }
    }
    let directory = write_files(&intact);
    fs::remove_dir_all(directory.path().join("view")).unwrap();
    let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
    assert!(matches!(opened.found, Found::Rebuilt { .. }));
    assert_eq!(content(&store), states[30]);
}

#[test]
fn an_older_view_put_back_is_not_used() {
    let directory = scratch();
    let mut states = thirty(directory.path());
    Store::open_with(directory.path(), SMALL).unwrap().0.close().unwrap();
    let older = files(directory.path());
    let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
    commit_numbers(&store, &mut states, 35);
    store.close().unwrap();
    let mut mixed = files(directory.path());
    mixed.retain(|path, _| !path.starts_with("view"));
    mixed.extend(older.into_iter().filter(|(path, _)| path.starts_with("view")));
    let copy = write_files(&mixed);
    let (store, opened) = Store::open_with(copy.path(), SMALL).unwrap();
    assert!(matches!(opened.found, Found::Rebuilt { .. }));
    assert_eq!(content(&store), states[35]);
}

#[test]
fn a_view_that_fails_a_reader_is_built_again_meanwhile() {
    let directory = scratch();
    let states = thirty(directory.path());
    let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
    let key = states[30].keys().next().unwrap();
    store.inner.shared.with_view(|view| view.damage(Table::Runs, key));
    assert_eq!(store.get::<String>(Table::Runs, key).unwrap().as_ref(), Some(&states[30][key]));
    store.inner.shared.with_view(|view| view.damage(Table::Runs, key));
    assert_eq!(content(&store), states[30]);
}

#[test]
fn a_view_that_fails_a_commit_is_built_again_with_it() {
    let directory = scratch();
    let mut states = thirty(directory.path());
    let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
    let broken = || StoreError::View { path: "elsewhere".into(), message: "tried".to_owned(), full: false };
    store.inner.shared.fail(broken());
    commit_numbers(&store, &mut states, 31);
    assert_eq!(content(&store), states[31]);
    store.inner.shared.fail(broken());
    assert_eq!(content(&store), states[31]);
    store.close().unwrap();
    assert_eq!(Store::open_with(directory.path(), SMALL).unwrap().1.found, Found::Clean);
}
