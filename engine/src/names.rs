//! Names that come through the socket and become parts of file names and keys. What is declared was checked when it was
//! read; what a plan or a request brings is checked here.

use resplit_operations::plan::{Plan, Resource};
use resplit_steps::failure::Failure;

use crate::protocol::{LeaseRequest, Refusal, RefusalKind};

/// The longest of them, a run's: an operation's name, what the run is for, and the moment.
const LONGEST: usize = 200;

/// Refuses a name that is none.
pub(crate) fn check(what: &str, name: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=LONGEST).contains(&name.len()) && !name.starts_with(['.', '-']) && name.chars().all(plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(LONGEST).collect();
    let failure = Failure::refused(format!("'{}' is not the name of {what}", shown.escape_default()));
    Err(Refusal { kind: RefusalKind::BadRequest, failure })
}

/// Refuses leases of what has no such name.
pub(crate) fn check_resources(request: &LeaseRequest) -> Result<(), Refusal> {
    request.resources.iter().try_for_each(|(resource, _)| match resource {
        Resource::Volume(volume) => check("a volume", volume.as_str()),
        Resource::Drive(library) => check("a library", library.as_str()),
    })
}

/// Refuses a plan with such a name.
pub(crate) fn check_plan(plan: &Plan) -> Result<(), Refusal> {
    check("an operation", plan.operation.as_str())?;
    plan.graph().node_weights().try_for_each(|step| check("a step", step.id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_elsewhere_is_no_name() {
        for name in ["", ".", "..", "../x", "a/b", "/etc", "-rf", "a\0b", "a\nb", "ä", &"x".repeat(201)] {
            assert!(check("a run", name).is_err(), "{name:?}");
        }
        for name in ["documents-20261120T020000Z-2", "a", "A.b_c-d"] {
            assert!(check("a run", name).is_ok(), "{name:?}");
        }
    }
}
