//! How things are shown.

pub(crate) mod bars;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod record;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod units;
