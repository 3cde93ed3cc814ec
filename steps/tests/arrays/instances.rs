//! The instances that commands need: started if they are down, stopped only by who started them.

use std::thread;

use resplit_operations::pair::PairStatus;
use resplit_steps::{drivers::pairs::PairDriver, failure::FailureClass};

use crate::support::{Bed, shipped};

/// The instances that run.
fn running(bed: &Bed) -> Vec<u64> {
    let all: serde_json::Value = serde_json::from_str(&bed.array(&["show"])).unwrap();
    all["running"].as_array().unwrap().iter().filter_map(serde_json::Value::as_u64).collect()
}

#[test]
fn what_runs_is_left_running_and_what_was_started_is_stopped() {
    let bed = Bed::new("shadow-image");
    bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")).unwrap();
    assert_eq!((running(&bed), bed.given("horcmstart.sh")), (vec![0, 1], 1));
    // A start of both would end at the one that runs: only what is down is started.
    bed.command("horcmshutdown.sh", &["1"]);
    assert_eq!(bed.status().status, PairStatus::Pair);
    assert_eq!((running(&bed), bed.given("horcmstart.sh")), (vec![0], 2));
    bed.command("horcmshutdown.sh", &["0"]);
    bed.driver.split(&bed.pair, 1, &bed.asked("run/split/1")).unwrap();
    assert_eq!((running(&bed), bed.given("horcmstart.sh")), (vec![], 4));
    assert!(bed.path("arrays/started").read_dir().unwrap().next().is_none());
}

#[test]
fn who_uses_it_at_once_stops_it_once() {
    let bed = Bed::new("shadow-image");
    bed.command("horcmshutdown.sh", &["0", "1"]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(bed.status().status, PairStatus::Smpl));
        }
    });
    assert_eq!(running(&bed), Vec::<u64>::new());
}

#[test]
fn what_an_engine_that_was_killed_has_started_is_stopped_by_the_next() {
    let mut bed = Bed::new("shadow-image");
    bed.command("horcmshutdown.sh", &["1"]);
    bed.array(&["inject", "horcmshutdown.sh", "EX_ATTHOR"]);
    assert_eq!(bed.status().status, PairStatus::Smpl);
    assert_eq!(running(&bed), [0, 1], "it could not be stopped");
    bed.restarted();
    assert_eq!(bed.status().status, PairStatus::Smpl);
    assert_eq!(running(&bed), [0]);
}

#[test]
fn what_cannot_be_started_is_told_and_each_host_has_its_own() {
    let bed = Bed::with("shadow-image", "instances: own,", &shipped());
    bed.command("horcmshutdown.sh", &["1"]);
    // The other host has to run its own: what is asked there fails, and may be tried again.
    let failure = bed.driver.status(&bed.pair).unwrap_err();
    assert_eq!(failure.class, FailureClass::Temporary);
    assert!(failure.message.contains("EX_ENORMT"), "{failure}");
    bed.command("horcmshutdown.sh", &["0"]);
    bed.array(&["inject", "horcmstart.sh", "EX_ENOPOL"]);
    let failure = bed.driver.status(&bed.pair).unwrap_err();
    assert!(failure.message.contains("horcmstart.sh ended with exit code 206"), "{failure}");
    assert_eq!(running(&bed), Vec::<u64>::new());
}
