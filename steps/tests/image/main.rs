//! What the image driver does beside the contract of pairs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a helper of a test cannot do fails the test")]

#[path = "../conformance/disks.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod disks;

mod damage;
mod held;
mod mounted;
mod sizes;
mod sparse;
mod support;
