//! The compiler: from what is declared of an operation to the plan of a backup or a restore. Pure.
//!
//! The declarative form is first turned into the explicit one; both then become a plan in the same way, so that the
//! explicit form of a plan, compiled again, is that plan.

mod backup;
mod draft;
mod error;
mod explicit;
mod hooks;
mod pairs;
mod places;
mod restore;
mod setting;

use std::path::Path;

pub use error::CompileError;
pub use pairs::{PairRequest, pair};
pub use restore::{RestoreFrom, RestoreRequest, by_volume};

use crate::{ids::OperationId, operation::Operation, plan::Plan, site::Site};

/// The plan of a backup: of what `protect` declares, or of the `steps` as they are written.
///
/// `site` is the site as written; relative paths, its own and the operation's, are relative to `directory`, which must
/// be absolute. The plan carries only the parts of the site that its steps name.
pub fn backup(
    site: &Site,
    directory: &Path,
    id: &OperationId,
    operation: &Operation,
) -> Result<Plan, CompileError> {
    let steps = match (&operation.protect, &operation.steps) {
        (Some(_), Some(_)) => return Err(CompileError::BothForms),
        (None, None) => return Err(CompileError::Nothing),
        (None, Some(steps)) => steps.clone(),
        (Some(protect), None) => backup::steps(&setting::Setting::of(site, operation, protect)?),
    };
    explicit::plan(site, directory, id, steps)
}

/// The plan of a restore of a backup that the operation makes: in place, or of files to another place.
pub fn restore(
    site: &Site,
    directory: &Path,
    id: &OperationId,
    operation: &Operation,
    request: &RestoreRequest,
) -> Result<Plan, CompileError> {
    let source = match (&operation.protect, &operation.steps) {
        (Some(protect), None) => {
            restore::Source::declared(&setting::Setting::of(site, operation, protect)?, request)
        }
        _ => restore::Source::explicit(&backup(site, directory, id, operation)?, request)?,
    };
    explicit::plan(site, directory, id, restore::steps(&source, request)?)
}
