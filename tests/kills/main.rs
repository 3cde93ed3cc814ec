//! Engines killed at every commit that they make, on every host, before and after: what they began is finished, once,
//! or was never accepted.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod cases;
mod chaos;
mod matrix;
#[path = "../outside/mounted.rs"]
mod mounted;
mod point;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../outside/site.rs"]
mod site;
mod world;
