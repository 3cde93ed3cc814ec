//! sled panics or hangs, in each of its calls: nothing that was acknowledged is missing, and the store goes on, or the
//! process says why it ends and the next one goes on.

use std::{
    env,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::{SMALL, all, commit_numbers, content, put, scratch, thirty};
use crate::store::{
    Batch, Found, Options, Store, Table,
    struck::{Stroke, is_done, order},
};

/// The calls that are made as long as a store is open.
const CALLS: [&str; 4] = ["get", "insert", "remove", "range"];

#[test]
fn a_panic_in_any_call_has_the_view_built_again_while_reads_wait_and_commits_go_on() {
    for doing in CALLS {
        for nth in [1, 4] {
            let directory = scratch();
            let mut states = thirty(directory.path());
            let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
            let view = store.inner.shared.with_view(|view| view.path().to_owned());
            order(directory.path(), doing, nth, Stroke::Panic);
            let writing = AtomicBool::new(true);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        while writing.load(Ordering::Relaxed) {
                            assert!(!all(&store).is_empty());
                            assert!(store.get::<String>(Table::Runs, "none").unwrap().is_none());
                        }
                    });
                }
                commit_numbers(&store, &mut states, 60);
                writing.store(false, Ordering::Relaxed);
            });
            // The readers may have been slow to begin.
            for _ in 0..4 {
                assert_eq!(content(&store), states[60], "{doing} {nth}");
                assert!(store.get::<String>(Table::Runs, "none").unwrap().is_none());
            }
            assert!(is_done(directory.path()), "{doing} {nth}");
            assert_eq!(content(&store), states[60], "{doing} {nth}");
            let other = store.inner.shared.with_view(|view| view.path().to_owned());
            assert!(other != view && !view.exists(), "it was built in a fresh directory");
            store.close().unwrap();
            let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
            assert_eq!((opened.found, content(&store)), (Found::Clean, states[60].clone()));
        }
    }
}

#[test]
fn a_panic_while_it_is_built_again_does_not_end_it() {
    for doing in ["open", "insert", "close"] {
        let directory = scratch();
        let mut states = thirty(directory.path());
        let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
        order(directory.path(), "get", 1, Stroke::Panic);
        order(directory.path(), doing, 1, Stroke::Panic);
        assert!(store.get::<String>(Table::Runs, "none").unwrap().is_none());
        assert!(is_done(directory.path()), "{doing}");
        commit_numbers(&store, &mut states, 31);
        assert_eq!(content(&store), states[31], "{doing}");
    }
}

#[test]
fn a_panic_in_a_store_that_nobody_closes_harms_nobody() {
    let directory = scratch();
    let states = thirty(directory.path());
    let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
    order(directory.path(), "drop", 1, Stroke::Panic);
    drop(store);
    assert!(is_done(directory.path()));
    let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
    assert_eq!(content(&store), states[30]);
}

#[test]
fn a_panic_in_opening_or_closing_loses_nothing() {
    let directory = scratch();
    let states = thirty(directory.path());
    let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
    order(directory.path(), "close", 1, Stroke::Panic);
    assert!(store.close().unwrap_err().to_string().contains("nothing is lost"));
    let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
    assert!(matches!(opened.found, Found::Rebuilt { .. }));
    store.close().unwrap();
    for _ in 0..6 {
        // As often as opening is tried.
        order(directory.path(), "open", 1, Stroke::Panic);
    }
    let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
    assert!(matches!(opened.found, Found::Rebuilt { .. }), "{opened:?}");
    assert_eq!(content(&store), states[30]);
}

const DIRECTORY: &str = "RESPLIT_TEST_HANG";
const DOING: &str = "RESPLIT_TEST_HANG_IN";

/// Not a test of its own: what the process does that hangs.
#[test]
fn hanging_process() {
    let (Ok(directory), Ok(doing)) = (env::var(DIRECTORY), env::var(DOING)) else { return };
    let directory = Path::new(&directory);
    let options = Options { patience: Duration::from_millis(400), ..SMALL };
    let doing = ["open", "close", "drop"].into_iter().chain(CALLS).find(|call| *call == doing).unwrap();
    if doing == "open" {
        order(directory, doing, 1, Stroke::Hang);
    }
    let (store, _) = Store::open_with(directory, options).unwrap();
    order(directory, doing, 1, Stroke::Hang);
    if doing == "drop" {
        drop(store);
        panic!("{doing} did not hang");
    }
    if doing == "close" {
        let error = store.close().unwrap_err().to_string();
        assert!(error.contains("did not close within"), "{error}");
        return;
    }
    let mut batch = Batch::default();
    batch.delete(Table::Runs, "k1");
    if doing == "insert" {
        batch.append(put("hung", "1"));
    }
    let _ = store.commit(batch);
    let _ = store.get::<String>(Table::Runs, "k2");
    let _ = all(&store);
    panic!("{doing} did not hang");
}

#[test]
fn a_call_that_hangs_ends_the_process_which_says_so() {
    for doing in ["open", "close", "drop"].into_iter().chain(CALLS) {
        let directory = scratch();
        let states = thirty(directory.path());
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "store::tests::view_fails::hanging_process", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .env(DOING, doing)
            .stdout(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if doing == "close" {
            assert!(output.status.success(), "{said}");
        } else {
            assert_eq!(output.status.signal(), Some(9), "{doing}: {said}");
            assert!(said.contains(&format!("'{doing}' has not returned")), "{said}");
            assert!(said.contains("the engine ends") && said.contains("nothing is lost"), "{said}");
        }
        let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
        assert!(matches!(opened.found, Found::Rebuilt { .. }));
        let mut expected = states[30].clone();
        if !matches!(doing, "open" | "close" | "drop") {
            // It was durable before it was applied, and so it is there.
            let _ = expected.remove("k1");
        }
        let mut found = content(&store);
        let _ = found.remove("hung");
        assert_eq!(found, expected, "{doing}");
    }
}
