//! Calls that fail, each in its turn, while a backup goes to tape and comes back: of the state directories, of the
//! secondaries and of the library, with EIO, ENOSPC and EROFS, once and from then on.
//!
//! Whatever fails, a run ends done, parked or failed, or says why it was not begun; nothing hangs. Once the disk is well
//! again the engines open their stores with all that was acknowledged, finish or give up what was begun, and leave
//! nothing behind; and the next run succeeds.
//!
//! Which calls is drawn by a seed. Every call in its turn, of one engine in one process, is made to fail by
//! `engine/tests/faults`; here are whole programs, two hosts, their sockets and processes; and what is held still or
//! mounted while the disk with the state fails.
//!
//! A sample is tried; `RESPLIT_SOAK=600` goes on for so many seconds, and `RESPLIT_FAULT='state, 17'` (the
//! place and the number of a fault) tries one alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bed;
#[path = "../support/exists.rs"]
mod exists;
mod held;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../outside/mounted.rs"]
mod mounted;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../outside/site.rs"]
mod site;
mod tried;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../kills/world.rs"]
mod world;

use std::{
    collections::BTreeMap,
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use bed::Bed;
use tried::Ended;

/// What lies on the disk that fails.
const PLACES: [&str; 4] = ["state", "state-backup", "mirrors", "vault"];
/// Faults that are tried of each.
const FAULTS: u64 = 15;

/// What came of the faults of one place.
#[derive(Default)]
struct Came {
    ended: BTreeMap<(&'static str, Ended), u64>,
    not_met: u64,
    bad: Vec<String>,
}

/// Tries one fault after the other on one site; a new site after one that went wrong.
fn place(name: &'static str, numbers: impl Iterator<Item = u64>) -> Came {
    let mut came = Came::default();
    let mut bed = None;
    for number in numbers {
        let tried = catch_unwind(AssertUnwindSafe(|| {
            let bed = bed.get_or_insert_with(|| Bed::new(name));
            tried::attempt(bed, number)
        }));
        if number % 20 == 19 {
            // Its catalogs grow with each.
            bed = None;
        }
        match tried {
            Ok(Some((error, ended))) => *came.ended.entry((error, ended)).or_default() += 1,
            Ok(None) => came.not_met += 1,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let text = text.unwrap_or_default();
                came.bad.push(format!("RESPLIT_FAULT='{name}, {number}': {text}"));
                bed = None;
            }
        }
    }
    came
}

/// The numbers of the faults to try.
fn numbers(name: &str) -> Box<dyn Iterator<Item = u64> + Send> {
    if let Ok(one) = env::var("RESPLIT_FAULT") {
        let (place, number) = one.split_once(", ").unwrap();
        let number = number.parse().unwrap();
        return Box::new((place == name).then_some(number).into_iter());
    }
    match env::var("RESPLIT_SOAK") {
        Ok(seconds) => {
            let until = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
            Box::new((0..).take_while(move |_| Instant::now() < until))
        }
        Err(_) => Box::new(0..FAULTS),
    }
}

#[test]
fn whatever_call_fails_nothing_is_lost_and_nothing_is_left() {
    if resplit_test_disk::Disk::new().mount_or_skip().is_none() {
        return;
    }
    let all: Vec<Came> = thread::scope(|scope| {
        let places = PLACES.map(|name| scope.spawn(move || place(name, numbers(name))));
        places.into_iter().map(|place| place.join().unwrap()).collect()
    });
    for (name, came) in PLACES.iter().zip(&all) {
        let count = |error| {
            let of = |(wanted, ended): &(&str, Ended), count: &u64| {
                (*wanted == error).then(|| format!("{count} {ended:?}").to_lowercase())
            };
            came.ended.iter().filter_map(|(key, count)| of(key, count)).collect::<Vec<_>>().join(", ")
        };
        eprintln!(
            "{name}: EIO: {}; ENOSPC: {}; EROFS: {}; not met {}, bad {}",
            count("EIO"),
            count("ENOSPC"),
            count("EROFS"),
            came.not_met,
            came.bad.len()
        );
    }
    let bad: Vec<String> = all.into_iter().flat_map(|came| came.bad).collect();
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
}
