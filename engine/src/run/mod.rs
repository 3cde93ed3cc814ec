//! One run: what is decided of its steps, and when.

pub(crate) mod claim;
pub(crate) mod decide;
pub(crate) mod drive;
pub(crate) mod finish;
pub(crate) mod launch;
pub(crate) mod load;
pub(crate) mod perform;
pub(crate) mod recover;
pub(crate) mod state;
#[cfg(test)]
mod tests;
