//! What a plan is bound to, in worlds made up for it.

mod backup;
mod pairs;
mod restore;
mod world;
