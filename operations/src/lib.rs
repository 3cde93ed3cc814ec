//! What is declared: names, the site, operations and their checks; the plan that an operation compiles to; and the
//! plain nouns (records, catalog changes, pair status) that everything else speaks of. Pure: it touches no world.
//! The only crate that knows YAML.

pub mod action;
pub mod bound;
mod check;
pub mod compile;
pub mod definitions;
pub mod driver;
pub mod expand;
mod fires;
pub mod ids;
pub mod operation;
pub mod pace;
pub mod pair;
pub mod plan;
pub mod record;
pub mod report;
pub mod schema;
pub mod secret;
pub mod site;
pub mod step_schema;
pub mod units;
mod yaml;
