//! The program from outside: real engines, real files, real file systems; what an operator types and sees.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod aborts;
mod accepted;
mod another_boot;
mod array;
mod btrfs;
mod cascade;
mod catalogs;
mod clocks;
mod concurrent;
mod damaged;
mod drift;
mod durable;
mod foretold;
mod found;
mod freeze;
mod frozen_kills;
mod full;
mod hold;
mod image;
mod kills;
mod ledgers;
mod leftovers;
mod lost_state;
mod lvm;
mod mounted;
mod obstacles;
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
mod targets;
