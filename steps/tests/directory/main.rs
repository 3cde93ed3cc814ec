//! The contract of pairs, kept by the directory driver on the file systems of this machine.

#![allow(unused_crate_dependencies, reason = "a test needs fewer than the crate")]

mod attributes;
mod conformance;
mod support;
