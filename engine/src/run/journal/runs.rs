//! What may happen to a run.

use jiff::Timestamp;
use resplit_operations::{bound::Binding, ids::HostId};
use resplit_steps::facts::Window;

use super::Illegal;
use crate::{
    protocol::{RunStatus, Selector},
    rows::RunRow,
};

/// Something that happens to a run that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunEvent {
    /// Somebody else holds what it needs.
    WaitsFor { waiting_for: String },
    /// It has its leases, its plan is bound, and its steps begin.
    Bound { binding: Box<Binding> },
    /// A window of it has been closed, and its length is known.
    Measured { window: Window },
    /// It has gone as far as it goes; `status` says how.
    Ended { at: Timestamp, status: RunStatus, result: Vec<String>, unreleased: Vec<HostId> },
    /// Its engine had ended; this one goes on with it.
    TakenUp,
    /// An operator has it go on; `anew` if its pairs are chosen anew.
    Resumed { anew: bool },
    /// Hosts that had to be told that it is over were told; these are left.
    Released { unreleased: Vec<HostId> },
}

impl RunEvent {
    /// The word for it.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::WaitsFor { .. } => "made to wait",
            Self::Bound { .. } => "bound",
            Self::Measured { .. } => "measured",
            Self::Ended { .. } => "ended",
            Self::TakenUp => "taken up",
            Self::Resumed { .. } => "resumed",
            Self::Released { .. } => "released",
        }
    }
}

/// What a run is after an event.
///
/// # Contract
///
/// - Total: every event in every status gives a row, or is not legal.
/// - A run runs, and is done, only once it is bound; it is refused only as long as it is not.
/// - What is done, or was refused, is never resumed. A run that is not over has no end, no result and nobody to tell.
pub(crate) fn transition(row: &RunRow, event: &RunEvent) -> Result<RunRow, Illegal> {
    let illegal = Illegal { what: "a run", status: row.status.word(), event: event.word() };
    let mut next = row.clone();
    let is_over = row.status.is_over();
    match event {
        RunEvent::WaitsFor { waiting_for } if matches!(row.status, RunStatus::Waiting { .. }) => {
            next.status = RunStatus::Waiting { waiting_for: waiting_for.clone() };
        }
        RunEvent::Bound { binding } if matches!(row.status, RunStatus::Waiting { .. }) => {
            next.binding = Some((**binding).clone());
            next.status = RunStatus::Running;
        }
        RunEvent::Measured { window } if matches!(row.status, RunStatus::Running) => {
            next.windows.push(*window);
        }
        RunEvent::Ended { at, status, result, unreleased } if !is_over && may_end(row, status) => {
            next.status = status.clone();
            next.ended = Some(*at);
            next.result.clone_from(result);
            next.unreleased.clone_from(unreleased);
        }
        RunEvent::TakenUp if !is_over => wait(&mut next),
        RunEvent::Resumed { anew } => match row.status {
            RunStatus::Failed { .. } | RunStatus::Cancelled | RunStatus::Parked { .. } => {
                wait(&mut next);
                if *anew {
                    bind_anew(&mut next);
                }
            }
            _ => return Err(illegal),
        },
        RunEvent::Released { unreleased } if is_over => next.unreleased.clone_from(unreleased),
        RunEvent::WaitsFor { .. }
        | RunEvent::Bound { .. }
        | RunEvent::Measured { .. }
        | RunEvent::Ended { .. }
        | RunEvent::TakenUp
        | RunEvent::Released { .. } => return Err(illegal),
    }
    Ok(next)
}

/// Whether a run may come to this end.
const fn may_end(row: &RunRow, status: &RunStatus) -> bool {
    match status {
        RunStatus::Waiting { .. } | RunStatus::Running => false,
        RunStatus::Done => matches!(row.status, RunStatus::Running),
        RunStatus::Refused { .. } => row.binding.is_none(),
        RunStatus::Failed { .. } | RunStatus::Parked { .. } | RunStatus::Cancelled => true,
    }
}

fn wait(row: &mut RunRow) {
    row.status = RunStatus::Waiting { waiting_for: "its turn".to_owned() };
    row.ended = None;
    row.result = Vec::new();
    row.unreleased = Vec::new();
}

/// Others may have used the pairs meanwhile. What is restored stays what was accepted.
fn bind_anew(row: &mut RunRow) {
    if let Some(source) = row.binding.take().and_then(|binding| binding.source) {
        row.options.backup = Some(Selector { host: Some(source.host), id: source.record.id });
    }
}
