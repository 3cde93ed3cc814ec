//! The driver of arrays, against a simulated one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

#[path = "../common/mod.rs"]
mod common;
mod instances;
mod life;
mod support;
mod traps;
mod troubles;
