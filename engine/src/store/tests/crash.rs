//! A process that is killed while it commits: whatever it was told is there.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{put, scratch};
use crate::store::{Options, Store, Table};

const DIRECTORY: &str = "RESPLIT_TEST_STORE";
/// How many numbers the process keeps.
const KEPT: u64 = 50;

/// Not a test of its own: what the killed process does.
#[test]
fn killed_process() {
    let Ok(directory) = env::var(DIRECTORY) else { return };
    let options = Options { log_bound: 16 << 10, segment_size: 4 << 10, ..Options::DEFAULT };
    let (store, _) = Store::open_with(Path::new(&directory), options).unwrap();
    let mut number: u64 = store.get(Table::Meta, "last").unwrap().unwrap_or(0);
    // A line of the process alone: the test harness writes to the same pipe.
    let mut acknowledged = std::io::stderr();
    loop {
        number += 1;
        let mut batch =
            put(&format!("{number:010}"), &"x".repeat(usize::try_from(number * 37 % 6000).unwrap()));
        batch.delete(Table::Runs, &format!("{:010}", number.saturating_sub(KEPT)));
        batch.put(Table::Meta, "last", &number).unwrap();
        store.commit(batch).unwrap();
        writeln!(acknowledged, "acknowledged {number}").unwrap();
    }
}

fn start(directory: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "store::tests::crash::killed_process", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there() {
    let directory = scratch();
    let mut reached = 0;
    for round in 0..25 {
        let mut child = start(directory.path());
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let number = |line: String| line.strip_prefix("acknowledged ")?.parse::<u64>().ok();
        let mut acknowledged = reached;
        let began = Instant::now();
        // Some rounds end while the store is being opened, others after many commits.
        if round % 5 == 0 {
            std::thread::sleep(Duration::from_millis(round * 3));
        } else {
            acknowledged =
                lines.by_ref().filter_map(number).nth(usize::try_from(round * 11).unwrap()).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = lines.filter_map(number).last().unwrap_or(acknowledged);
        assert!(began.elapsed() < Duration::from_secs(60));

        let (store, opened) = Store::open(directory.path()).unwrap();
        let last: u64 = store.get(Table::Meta, "last").unwrap().unwrap_or(0);
        // At most the one commit that was on its way is there beyond what was acknowledged.
        assert!(
            last == acknowledged || last == acknowledged + 1,
            "{acknowledged} acknowledged, {last} there"
        );
        assert_eq!(opened.sequence, last, "one record a commit, and none of this test's own");
        let expected: Vec<_> = (last.saturating_sub(KEPT) + 1..=last)
            .map(|n| (format!("{n:010}"), "x".repeat(usize::try_from(n * 37 % 6000).unwrap())))
            .collect();
        assert_eq!(store.scan::<String>(Table::Runs, "").unwrap(), expected);
        reached = last;
        if round % 3 == 0 {
            store.close().unwrap();
        }
    }
    assert!(reached > 1000, "{reached}");
}
