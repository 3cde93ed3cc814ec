//! What is being done: the store, the journal and what acts on them.

pub mod store;
