//! What is being done: definitions on disk, store, journal, executor, recovery, leases, obligations, catalog, protocol,
//! client.

pub mod definitions;
