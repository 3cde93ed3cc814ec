//! Engines killed at every commit that they make, on every host, before and after: what they began is finished, once,
//! or was never accepted. And several operations at once, while whatever works for them is killed at random.
//!
//! A part of all points is tried, drawn by a seed; all of them, and chaos for so many seconds, with `RESPLIT_SOAK=60`.
//! To look into some of them: `RESPLIT_POINT='Split Backup, fileserver killed before 7'`, or the beginning of that.
//! Engines of debug builds obey a file `kill-at` in their state directory; those of release builds know nothing of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod cases;
mod chaos;
#[path = "../support/exists.rs"]
mod exists;
#[path = "../support/many.rs"]
mod many;
mod matrix;
#[path = "../outside/mounted.rs"]
mod mounted;
mod point;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../outside/site.rs"]
mod site;
mod world;
