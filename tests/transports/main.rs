//! Records handed over by transports: real servers, with what goes wrong with each.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod bed;
mod cut;
mod directory;
mod exercise;
mod ftp;
mod s3;
mod secrets;
mod servers;
mod sftp;
#[path = "../outside/site.rs"]
#[allow(dead_code, reason = "shared with the tests of everything else, which use more of it")]
mod site;
