//! Checkpoints bound the log and what opening reads, and a process that is killed while one is made loses nothing.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{Content, SMALL, commit_numbers, content, put, scratch, thirty};
use crate::store::{Options, Store, Table, moments};

/// Bytes of the files in a directory.
fn size(directory: &Path) -> u64 {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().map_or(0, |found| found.len()))
        .sum()
}

#[test]
fn two_hundred_thousand_commits_keep_the_log_and_what_opening_reads_within_their_bounds() {
    const COMMITS: usize = 200_000;
    const KEYS: usize = 5_000;
    let options = Options { log_bound: 2 << 20, segment_size: 256 << 10, ..Options::DEFAULT };
    let directory = scratch();
    let (store, _) = Store::open_with(directory.path(), options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut largest = 0;
    for thousand in 0..COMMITS / 1000 {
        runtime.block_on(async {
            let number = |n: usize| thousand * 1000 + n;
            let waiting: Vec<_> = (0..1000)
                .map(|n| put(&format!("{:05}", number(n) % KEYS), &format!("value {:060}", number(n))))
                .map(|batch| Box::pin(store.commit_async(batch)))
                .collect();
            for commit in waiting {
                let _ = commit.await.unwrap();
            }
        });
        largest = largest.max(size(&directory.path().join("log")));
    }
    // What two checkpoints need, what is written while one is made, and the segment that is being written.
    let bound = 4 * options.log_bound + 2 * options.segment_size;
    assert!(largest <= bound, "the log has had {largest} bytes, at most {bound} are meant");
    assert_eq!(fs::read_dir(directory.path().join("checkpoints")).unwrap().count(), 2);
    drop(store);

    let (store, opened) = Store::open_with(directory.path(), options).unwrap();
    let most = 2 * options.log_bound;
    assert!(
        opened.log_bytes <= most,
        "{} bytes of log were read, at most {most} are meant",
        opened.log_bytes
    );
    let found: Vec<(String, String)> = store.scan(Table::Runs, "").unwrap();
    assert_eq!(found.len(), KEYS);
    for (at, (key, value)) in found.iter().enumerate() {
        assert_eq!(
            (key.as_str(), value.as_str()),
            (format!("{at:05}").as_str(), format!("value {:060}", COMMITS - KEYS + at).as_str())
        );
    }
}

const DIRECTORY: &str = "RESPLIT_TEST_CHECKPOINT";

/// Not a test of its own: what the killed process does.
#[test]
fn checkpointing_process() {
    let Ok(directory) = env::var(DIRECTORY) else { return };
    let (store, _) = Store::open_with(Path::new(&directory), SMALL).unwrap();
    store.commit(put("last", "1")).unwrap();
    store.checkpoint().unwrap();
    store.commit(put("after", "1")).unwrap();
}

#[test]
fn killed_at_any_moment_of_a_checkpoint_nothing_is_lost() {
    let moments = ["segment made", "checkpoint written", "checkpoint in place", "checkpoint removed"];
    let removed = (1..=3).map(|count| format!("segment removed/{count}"));
    for moment in moments.map(str::to_owned).into_iter().chain(removed) {
        let directory = scratch();
        let mut states = thirty(directory.path());
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", "store::tests::bounds::checkpointing_process"])
            .env(DIRECTORY, directory.path())
            .env(moments::VARIABLE, &moment)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(!status.success(), "{moment}");
        let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
        let mut expected: Content = states[30].clone();
        // Where the segment is made for the commit itself, that was not acknowledged yet.
        if opened.sequence == 31 {
            let _ = expected.insert("last".to_owned(), "1".to_owned());
        } else {
            assert_eq!((opened.sequence, moment.as_str()), (30, "segment made"));
        }
        assert_eq!((content(&store), opened.damaged_checkpoints), (expected, Vec::new()), "{moment}");
        // The next checkpoint tidies up.
        if opened.sequence == 30 {
            commit_numbers(&store, &mut states, 31);
        } else {
            store.commit(put("again", "1")).unwrap();
        }
        store.checkpoint().unwrap();
        drop(store);
        assert_eq!(fs::read_dir(directory.path().join("checkpoints")).unwrap().count(), 2, "{moment}");
        assert!(Store::open_with(directory.path(), SMALL).is_ok(), "{moment}");
    }
}
