//! The program from outside: real engines, real files, real file systems; what an operator types and sees.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod accepted;
mod another_boot;
mod array;
mod btrfs;
mod concurrent;
mod damaged;
mod drift;
mod durable;
mod freeze;
mod frozen_kills;
mod full;
mod hold;
mod image;
mod kills;
mod ledgers;
mod leftovers;
mod lost_state;
mod mounted;
mod operators;
mod pairs;
mod qemu;
mod quickstart;
mod real_tree;
mod reattach;
mod restore;
mod several;
mod site;
mod streams;
mod tape;
