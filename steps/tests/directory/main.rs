//! The contract of pairs, kept by the directory driver on the file systems of this machine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a helper of a test cannot do fails the test")]

mod attributes;
mod conformance;
mod crash;
mod hostile;
mod random;
mod shapes;
mod space;
mod support;
mod verbs;
mod verdicts;
