//! The program from outside: real engines, real files, real file systems; what an operator types and sees.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod accepted;
mod array;
mod concurrent;
mod freeze;
mod hold;
mod kills;
mod ledgers;
mod leftovers;
mod mounted;
mod operators;
mod quickstart;
mod real_tree;
mod restore;
mod site;
mod tape;
