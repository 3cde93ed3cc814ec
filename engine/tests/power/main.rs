//! The power is cut while the store is written: whatever was acknowledged is there, whole and in order, and nothing is
//! there in part.
//!
//! The store lies on a file system that keeps of what was not synced whatever a seed says. It is opened after cuts at
//! many calls, and again after cuts at calls of that recovery. `RESPLIT_SEED=17` tries one round alone;
//! `RESPLIT_SOAK=600` goes on for so many seconds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod check;
mod full;
mod writer;

use std::{
    env,
    time::{Duration, Instant},
};

use check::Table;
use fastrand::Rng;
use resplit_test_disk::{Disk, Error, Fault, Kind};

/// Rounds that are tried in any case.
const ROUNDS: u64 = 24;
/// Cuts of each.
const CUTS: usize = 30;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

/// The seeds to try, one after the other.
fn seeds() -> impl Iterator<Item = u64> {
    let one = number("RESPLIT_SEED");
    let began = Instant::now();
    let soak = number("RESPLIT_SOAK").map(Duration::from_secs);
    (one.unwrap_or(0)..).take_while(move |seed| match (one, soak) {
        (Some(one), _) => *seed == one,
        (None, Some(soak)) => began.elapsed() < soak,
        (None, None) => *seed < ROUNDS,
    })
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_and_leaves_nothing_in_part() {
    if Disk::new().mount_or_skip().is_none() {
        return;
    }
    let mut table = Table::default();
    for seed in seeds() {
        for cut in writer::round(seed, CUTS, false) {
            table.add(seed, &cut);
        }
    }
    table.print("store");
    assert_eq!(table.bad(), 0, "{}", table.first());
}

#[test]
fn what_a_killed_writer_had_made_is_made_durable_by_the_next_one() {
    if Disk::new().mount_or_skip().is_none() {
        return;
    }
    let mut table = Table::default();
    for call in 1..=80 {
        let cut = writer::killed_at(call);
        for _ in 0..2 {
            table.add(call, &cut);
        }
    }
    table.print("store, its first writer killed");
    assert_eq!(table.bad(), 0, "{}", table.first());
}

#[test]
fn after_a_call_that_failed_and_a_power_cut_what_was_acknowledged_is_there() {
    if Disk::new().mount_or_skip().is_none() {
        return;
    }
    let mut table = Table::default();
    for number in 0..72 {
        let mut random = Rng::with_seed(number);
        let error = Error::ALL[usize::try_from(number % 3).unwrap()];
        // What may leave less than it should, more often than what only refuses.
        let kinds = [None, Some(Kind::Sync), Some(Kind::Write), Some(Kind::SyncDirectory)];
        let kind = kinds[random.usize(..kinds.len())];
        let nth = random.u64(1..=if kind.is_none() { writer::CALLS } else { 60 });
        let fault = Fault { kind, nth, error, lasting: random.bool() };
        if let Some(cut) = writer::faulted(number, fault) {
            table.add(number, &cut);
            table.add_whole(number, &cut);
        }
    }
    table.print("store, a call of it failed");
    assert_eq!(table.bad(), 0, "{}", table.first());
}

#[test]
fn a_store_whose_syncs_do_nothing_is_found_out() {
    if Disk::new().mount_or_skip().is_none() {
        return;
    }
    let mut table = Table::default();
    for seed in 0..4 {
        for cut in writer::round(seed, CUTS, true) {
            table.add(seed, &cut);
        }
    }
    table.print("store without fdatasync");
    assert!(table.bad() > 10, "the instrument does not see what it should");
}
