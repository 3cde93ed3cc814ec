//! What may happen to a step that this host runs for another.

use resplit_operations::ids::HostId;
use resplit_steps::contract::Intent;

use super::Illegal;
use crate::{
    protocol::{Again, StepEnd},
    rows::{ServedRow, ServedState},
};

/// Something that happens to a step that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServedEvent {
    /// A try was asked for, and its intent is durable with this event.
    Intended { coordinator: HostId, attempt: u32, token: u64, intent: Intent },
    /// It has ended, so that whoever asks again is answered.
    Ended { attempt: u32, end: Box<StepEnd>, again: Option<Again> },
}

/// What a served step is after an event; it had no row before its first.
///
/// # Contract
///
/// - Total: every event in every status gives a row, or is not legal.
/// - A try is intended only under a number above the last one's, and a token not below its.
/// - A try ends once. One that could not be asked about has not ended.
pub(crate) fn transition(row: Option<&ServedRow>, event: &ServedEvent) -> Result<ServedRow, Illegal> {
    let status = row.map_or("not there", |row| row.state.word());
    let illegal = |event| Illegal { what: "a served step", status, event };
    match (row, event) {
        (_, ServedEvent::Intended { coordinator, attempt, token, intent }) => {
            if row.is_some_and(|row| row.attempt >= *attempt || row.token > *token) {
                return Err(illegal("intended"));
            }
            let state = ServedState::Running { intent: intent.clone() };
            let coordinator = Some(coordinator.clone());
            Ok(ServedRow { coordinator, attempt: *attempt, token: *token, again: None, state })
        }
        (Some(row), ServedEvent::Ended { attempt, end, again }) => {
            let asks_again = matches!(**end, StepEnd::Parked { unreachable: true, .. });
            if row.attempt != *attempt || !matches!(row.state, ServedState::Running { .. }) || asks_again {
                return Err(illegal("ended"));
            }
            let (attempt, token) = (row.attempt, row.token);
            Ok(ServedRow {
                coordinator: row.coordinator.clone(),
                attempt,
                token,
                again: again.clone(),
                state: ServedState::Ended { end: end.clone() },
            })
        }
        (None, ServedEvent::Ended { .. }) => Err(illegal("ended")),
    }
}
