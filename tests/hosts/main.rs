//! Hosts on other machines: real sshds in networks of their own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod bed;
mod checks;
mod errors;
mod ledgers;
mod lines;
mod moving;
