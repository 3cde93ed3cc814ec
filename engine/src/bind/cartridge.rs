//! Whether a dataset has room: told before anything is touched.

use resplit_operations::{action::Action, ids::Barcode};
use resplit_steps::{drivers::media::choose_from, failure::Failure};

use super::Known;

/// The cartridge that the plan's dataset would go to; `None` without tape.
pub(super) fn choose(known: &Known<'_>) -> Result<Option<Barcode>, Failure> {
    let tape = known.plan.graph().node_weights().find_map(|step| match &step.action {
        Action::TapeBackup(tape) => Some((tape, &step.host)),
        _ => None,
    });
    let (Some((tape, host)), Some(bound)) = (tape, known.tape_bound) else { return Ok(None) };
    let listed = known.worlds.get(host).and_then(|world| world.cartridges.get(&tape.library));
    match listed {
        Some(Ok(cartridges)) => choose_from(&tape.library, cartridges, &tape.pool, bound).map(Some),
        Some(Err(failure)) => Err(failure.clone()),
        None => Err(Failure::permanent(format!(
            "host '{host}' did not say what library '{}' holds",
            tape.library
        ))),
    }
}
