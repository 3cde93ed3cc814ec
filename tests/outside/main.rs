//! The program from outside: real engines, real files, real file systems; what an operator types and sees.

mod concurrent;
mod freeze;
mod kills;
mod ledgers;
mod operators;
mod quickstart;
mod restore;
mod site;
mod tape;
