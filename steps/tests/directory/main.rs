//! What the directory driver does beside the contract of pairs, on the file systems of this machine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a helper of a test cannot do fails the test")]

mod attributes;
mod crash;
mod hostile;
mod life;
mod power;
mod random;
mod shapes;
mod space;
mod support;
mod verbs;
mod verdicts;
