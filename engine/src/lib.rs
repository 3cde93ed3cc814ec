//! What is being done: definitions on disk, the store, the journal, the executor, recovery, leases, obligations, the
//! catalog; the protocol that engines and command lines speak, and its client.

pub mod background;
pub mod client;
pub mod definitions;
pub mod protocol;
pub mod server;
pub mod service;
pub mod socket;
pub mod store;
