//! Streams between the engines of two hosts, for pairs whose sides no process reaches both: the body of a request one way,
//! the body of its reply the other way, both read while they are written.

mod far;
mod wire;

pub(crate) use far::Ways;
pub use wire::{Flow, Incoming, Outgoing, ends};
