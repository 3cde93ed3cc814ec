//! What comes from outside, damaged in every way that chance finds: definition files, exported records, requests to a real
//! engine's socket, answers of a peer. Nothing panics, nothing is changed by what is refused, everything ends.
//!
//! Each goes on for `RESPLIT_FUZZ` seconds (4 without it) from the seed `RESPLIT_SEED`, and prints how many executions
//! that were. What fails is printed with its number: the same seed comes to it again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod answers;
mod definitions;
mod engine_bed;
mod exported;
mod hostile;
mod mutate;
mod requests;
mod running;
