//! Every call that an engine makes of a disk fails, each in its turn: while it opens its store, while a backup goes to
//! tape, and while that comes back. The calls of an undisturbed engine are counted for each place (the state directory,
//! the secondaries, the library); then each is made to fail with EIO, and with ENOSPC and EROFS where a call can fail so,
//! once and from then on.
//!
//! Whatever fails, what was asked for ends done, failed or parked, or is refused; nothing hangs, and nothing panics. Once
//! the disk is well again the next engine opens the store with all that was acknowledged, undoes what stands, takes up
//! what was begun, and the next backup and restore succeed.
//!
//! A sample is tried, drawn by a seed; all of it with `RESPLIT_SOAK=1`, and `RESPLIT_FAULT='state EIO 17 lasting'` tries
//! that alone, or `vault` all that begin so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod attempt;
mod bed;
mod life;
mod panics;
mod table;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bed::{Bed, Place, Point};
use resplit_test_disk::{Disk, Error};
use table::Table;

/// Faults that are tried unless all are.
const SAMPLE: usize = 120;
/// What decides which.
const SEED: u64 = 20_261_120;
/// How many are at work at once: most of the time they wait for a disk.
const AT_ONCE: usize = 4;

/// Every fault of every place.
fn all(bed: &Bed) -> Vec<Point> {
    let mut points = Vec::new();
    for place in Place::ALL {
        let calls = bed.calls(place);
        for error in Error::ALL {
            for nth in 1..=calls.suiting(error) {
                points.extend([false, true].map(|lasting| Point { place, error, nth, lasting }));
            }
        }
    }
    points
}

/// Those to be tried.
fn wanted(mut points: Vec<Point>) -> Vec<Point> {
    if let Ok(one) = env::var("RESPLIT_FAULT") {
        points.retain(|point| point.to_string().starts_with(&one));
        assert!(!points.is_empty(), "there is no fault '{one}'");
    } else if env::var_os("RESPLIT_SOAK").is_none() {
        fastrand::Rng::with_seed(SEED).shuffle(&mut points);
        points.truncate(SAMPLE);
    }
    points
}

#[test]
fn whatever_call_fails_what_was_begun_is_finished_or_given_up_and_nothing_is_left() {
    if Disk::new().mount_or_skip().is_none() {
        return;
    }
    panics::watch();
    let bed = Bed::new();
    let counted = Place::ALL.map(|place| (place, bed.calls(place)));
    let points = wanted(all(&bed));
    let (next, table) = (AtomicUsize::new(0), Mutex::new(Table::default()));
    let work = |mut bed: Bed| {
        while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
            let tried = catch_unwind(AssertUnwindSafe(|| attempt::attempt(&bed, point)));
            let mut table = table.lock().unwrap();
            match tried {
                Ok(came) => table.add(point, &came),
                Err(panic) => {
                    table.wrong(point, &panics::text(&*panic));
                    // Whatever it has left.
                    bed = Bed::new();
                }
            }
        }
    };
    thread::scope(|scope| {
        let mut beds = vec![bed];
        while beds.len() < AT_ONCE.min(points.len()) {
            beds.push(Bed::new());
        }
        for (number, bed) in beds.into_iter().enumerate() {
            let name = format!("{}{number}", panics::TESTERS);
            let _ = thread::Builder::new().name(name).spawn_scoped(scope, || work(bed)).unwrap();
        }
    });
    let mut table = table.into_inner().unwrap();
    for text in panics::caught() {
        table.panicked(&text);
    }
    table.print(&counted, points.len());
    assert!(table.is_good(), "{}", table.wrongs());
}
