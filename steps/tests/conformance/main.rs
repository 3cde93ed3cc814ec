//! What every kind of pair promises, kept by every driver on every kind of file system that this machine has. A driver
//! joins by a [`bed::Bed`] of its own and a row in [`beds::rows`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a helper of a test cannot do fails the test")]

mod bed;
mod beds;
mod cases;
mod disks;
mod table;

#[test]
fn every_driver_keeps_the_contract() {
    let failed = table::run(&beds::rows(), &cases::all());
    assert!(failed.is_empty(), "{} cells failed:\n{}", failed.len(), failed.join("\n"));
}
