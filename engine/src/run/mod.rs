//! One run: what is decided of its steps, and when.

pub(crate) mod attempt;
pub(crate) mod claim;
mod conclude;
pub(crate) mod decide;
pub(crate) mod drive;
pub(crate) mod finish;
pub(crate) mod journal;
pub(crate) mod launch;
pub(crate) mod load;
pub(crate) mod perform;
pub(crate) mod recovery;
pub(crate) mod set_back;
pub(crate) mod state;
#[cfg(test)]
pub(crate) mod tests;
