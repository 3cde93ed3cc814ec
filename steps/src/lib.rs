//! What can be done: one file a step kind, and drivers behind small traits. A step returns catalog changes; it never
//! writes a store.

pub mod context;
pub mod contract;
pub mod drivers;
pub mod facts;
pub mod failure;
pub mod kinds;
