//! The media driver: what it writes, GNU tar and zstd read; what is killed, damaged or hostile never becomes wrong data.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;
mod trees;

mod basics;
mod crashes;
mod damage;
mod libraries;
mod power;
mod random;
mod sources;
mod tools;
