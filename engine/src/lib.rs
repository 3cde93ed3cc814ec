//! What is being done: the store, the journal, the executor, recovery, leases, obligations, the catalog; the protocol
//! that engines and command lines speak, and its client.

pub mod background;
mod bind;
mod catalog;
pub mod client;
pub mod definitions;
pub mod engine;
mod failures;
mod forget;
mod held;
mod housekeeping;
#[cfg(test)]
mod killed;
mod leases;
mod leftovers;
mod logs;
mod names;
mod obligations;
pub mod offer;
pub mod peers;
mod place;
mod preview;
pub mod process;
mod progress;
pub mod protocol;
pub mod push;
pub mod relay;
mod repair;
mod rows;
mod run;
mod serve_step;
pub mod server;
pub mod service;
pub mod socket;
mod start;
pub mod store;
pub mod streams;
pub mod survey;
#[cfg(test)]
mod testing;
mod transaction;
mod work;
mod world;
