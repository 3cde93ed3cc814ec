//! Hosts on other machines: real sshds in networks of their own.
//!
//! `table` troubles a backup and a restore at each of their steps: a part of all points, drawn by a seed; all of them
//! with `RESPLIT_SOAK`. To look into some of them: `RESPLIT_POINT='backup, mount begun'`, or another part of a line.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod bed;
mod checks;
mod errors;
#[path = "../support/exists.rs"]
mod exists;
mod ledgers;
mod lines;
#[path = "../support/many.rs"]
mod many;
mod moving;
mod point;
mod table;
mod trouble;
