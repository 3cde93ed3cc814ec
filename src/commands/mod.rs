//! The verbs, one file each.

pub(crate) mod answer;
pub(crate) mod cancel;
pub(crate) mod catalog;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod engine;
pub(crate) mod init;
pub(crate) mod leftovers;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod pair;
pub(crate) mod plan;
pub(crate) mod repair;
pub(crate) mod restore;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod shim;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod tape;
pub(crate) mod try_write;
pub(crate) mod watchdog;
