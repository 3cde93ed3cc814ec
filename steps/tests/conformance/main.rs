//! What every kind of pair promises, kept by every driver on every kind of file system that this machine has. A driver
//! joins by a [`bed::Bed`] of its own and a row in [`beds::rows`].
//!
//! The whole table: `cargo test -p resplit-steps --test conformance`; what it prints is the table, also of the rows that run
//! in user-mode Linux.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a helper of a test cannot do fails the test")]

mod bed;
mod beds;
mod cases;
mod disks;
#[path = "../common/loopback.rs"]
mod loopback;
mod own;
mod table;
mod uml;

#[test]
fn every_driver_keeps_the_contract() {
    let mut rows = beds::rows();
    // For who works on one driver: only the rows, or cases, whose names contain this.
    if let Ok(wanted) = std::env::var("CONFORMANCE_ROWS") {
        rows.retain(|row| row.name.contains(&wanted));
    }
    let mut cases = cases::all();
    if let Ok(wanted) = std::env::var("CONFORMANCE_CASES") {
        cases.retain(|(name, _)| name.contains(&wanted));
    }
    let failed = table::run(&rows, &cases);
    assert!(failed.is_empty(), "{} cells failed:\n{}", failed.len(), failed.join("\n"));
}
