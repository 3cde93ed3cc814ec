//! What a verb would do to the pair that was chosen, as the table of verdicts says it.

use resplit_operations::{
    ids::VolumeId,
    pair::{foresee, verdict::ArrayVerb},
};

use crate::{context::Context, contract::Preview, failure::Failure};

/// The `then` of a verb that is rejected.
pub(super) const REJECTED: &str = "rejected";

/// The pair, its status now and then, or that the verb is rejected, and why.
pub(super) fn foreseen(
    context: &Context<'_>,
    volume: &VolumeId,
    verb: ArrayVerb,
) -> Result<Preview, Failure> {
    let bound = context.bound(volume)?;
    let missing = || Failure::permanent(format!("the plan's site has no volume '{volume}'"));
    let copy_type = context.site.volumes.get(volume).ok_or_else(missing)?.copy_type();
    let mut preview = Preview {
        what: bound.pair.copy_group.to_string(),
        now: bound.status.to_string(),
        ..Preview::default()
    };
    preview.then = match foresee::after(copy_type, verb, bound.status) {
        Ok(status) => status.to_string(),
        Err(_) => REJECTED.to_owned(),
    };
    Ok(preview)
}
