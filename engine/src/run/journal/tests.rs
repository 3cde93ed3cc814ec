//! What holds of every transition: any status, any event, any order.

use jiff::Timestamp;
use proptest::prelude::*;
use resplit_operations::ids::BackupId;
use resplit_steps::{
    contract::{Intent, Outcome},
    facts::{Facts, Window},
    failure::Failure,
};

use super::{
    runs::{self, RunEvent},
    served::{self, ServedEvent},
    steps::{StepEvent, transition},
};
use crate::{
    protocol::{Again, Answer, RunStatus, StepEnd},
    rows::{RunRow, ServedRow, ServedState, StepRow, StepState},
    run::tests::plans,
};

fn time() -> impl Strategy<Value = Timestamp> {
    (0_i64..1_000_000).prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn intent() -> impl Strategy<Value = Intent> {
    proptest::option::of(1_u64..9).prop_map(|id| Intent { reserved: id.map(BackupId), ..Intent::default() })
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        Just(Failure::permanent("no")),
        Just(Failure::temporary("not now")),
        Just(Failure::unknown("who knows")),
        Just(Failure::cancelled()),
    ]
}

fn again() -> impl Strategy<Value = Again> {
    let because = || "it was asked about".to_owned();
    prop_oneof![
        Just(Again::RanAgain { because: because() }),
        Just(Again::Reattached { because: because() }),
        Just(Again::SetBack { because: because() }),
    ]
}

fn facts() -> impl Strategy<Value = Option<Box<Facts>>> {
    proptest::option::of(
        (0_i32..3).prop_map(|code| Box::new(Facts { exit_code: Some(code), ..Facts::default() })),
    )
}

/// Any event; the numbers of tries are near those that a short history has.
fn event() -> impl Strategy<Value = StepEvent> {
    let answer = prop_oneof![Just(Answer::Done), Just(Answer::Redo), Just(Answer::Abort)];
    let attempt = || prop_oneof![9 => 0_u32..6, 1 => Just(u32::MAX)];
    let text = || "a reason".to_owned();
    prop_oneof![
        (attempt(), time(), intent()).prop_map(|(attempt, at, intent)| StepEvent::Intended {
            attempt,
            at,
            intent
        }),
        (attempt(), again()).prop_map(|(attempt, how)| StepEvent::TakenUp { attempt, how }),
        (attempt(), time(), time(), facts(), proptest::option::of(Just(text()))).prop_map(
            move |(attempt, began, at, facts, adopted)| {
                StepEvent::Done { attempt, began, at, summary: text(), adopted, facts }
            }
        ),
        (attempt(), time(), failure()).prop_map(|(attempt, at, failure)| StepEvent::Failed {
            attempt,
            at,
            failure
        }),
        (attempt(), time(), failure()).prop_map(|(attempt, at, failure)| StepEvent::Retried {
            attempt,
            at,
            failure
        }),
        (attempt(), time(), any::<bool>()).prop_map(move |(attempt, at, unreachable)| {
            StepEvent::Parked { attempt, at, question: text(), unreachable }
        }),
        (answer, time()).prop_map(|(answer, at)| StepEvent::Answered { answer, at }),
        time().prop_map(|at| StepEvent::Cancelled { at }),
        Just(StepEvent::Skipped { because: text() }),
        Just(StepEvent::SetBack { because: text() }),
    ]
}

/// Any row, whether or not any history leads to it.
fn row() -> impl Strategy<Value = StepRow> {
    let state = prop_oneof![
        Just(StepState::Waiting),
        (time(), intent()).prop_map(|(at, intent)| StepState::Started { at, intent }),
        (time(), failure()).prop_map(|(at, failure)| StepState::Retrying { at, failure }),
        (time(), time(), facts()).prop_map(|(began, at, facts)| {
            StepState::Done { began, at, summary: String::new(), adopted: None, facts }
        }),
        (time(), failure()).prop_map(|(at, failure)| StepState::Failed { at, failure }),
        Just(StepState::Skipped { because: "'a' failed".to_owned() }),
        (time(), proptest::option::of(intent()))
            .prop_map(|(at, intent)| { StepState::Parked { at, question: "well?".to_owned(), intent } }),
    ];
    (prop_oneof![9 => 0_u32..6, 1 => Just(u32::MAX)], proptest::option::of(again()), state)
        .prop_map(|(attempts, again, state)| StepRow { attempts, again, state })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_event_in_every_status_gives_a_row_or_is_not_legal(row in row(), event in event()) {
        let Ok(next) = transition(&row, &event) else { return Ok(()) };
        prop_assert!(next.attempts >= row.attempts, "attempts never decrease");
        let is_new = matches!(event, StepEvent::Intended { .. });
        prop_assert!(!is_new || next.attempts == row.attempts + 1, "a number is used once");
        if row.is_done() {
            prop_assert!(matches!(event, StepEvent::SetBack { .. }), "{event:?}");
            prop_assert!(next.is_waiting() && next.facts().is_none());
        }
        let text = serde_json::to_string(&next).unwrap();
        let has_intent = matches!(next.state, StepState::Started { .. } | StepState::Parked { intent: Some(_), .. });
        prop_assert_eq!(text.contains("\"intent\""), has_intent, "an intent does not outlive its outcome: {}", text);
    }

    #[test]
    fn the_events_folded_are_the_row_that_is_stored(events in proptest::collection::vec(event(), 0..60)) {
        let (mut row, mut legal, mut intended) = (StepRow::new(), Vec::new(), Vec::new());
        for event in &events {
            if let Ok(next) = transition(&row, event) {
                if let StepEvent::Intended { attempt, .. } = event {
                    prop_assert!(!intended.contains(attempt), "try {attempt} was intended twice");
                    intended.push(*attempt);
                }
                row = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
                prop_assert_eq!(&row, &next, "what is stored is what was decided");
                legal.push(event);
            }
        }
        let folded = legal.iter().try_fold(StepRow::new(), |row, event| transition(&row, event));
        prop_assert_eq!(folded, Ok(row));
    }
}

fn window() -> Window {
    Window { opened: Timestamp::UNIX_EPOCH, length_ms: 3_001, budget_ms: 3_000 }
}

fn statuses() -> Vec<RunStatus> {
    vec![
        RunStatus::Waiting { waiting_for: "volume documents".to_owned() },
        RunStatus::Running,
        RunStatus::Done,
        RunStatus::Failed { failure: Failure::permanent("no") },
        RunStatus::Refused { failure: Failure::refused("no") },
        RunStatus::Parked { questions: [("hook".into(), "well?".to_owned())].into() },
        RunStatus::Cancelled,
    ]
}

/// An event of each kind; of an end, one with each status.
fn run_events() -> Vec<RunEvent> {
    let at = Timestamp::UNIX_EPOCH;
    let ends = statuses().into_iter().map(|status| RunEvent::Ended {
        at,
        status,
        result: Vec::new(),
        unreleased: vec!["backupserver".into()],
    });
    let others = [
        RunEvent::WaitsFor { waiting_for: "a drive of vault".to_owned() },
        RunEvent::Bound { binding: Box::default() },
        RunEvent::Measured { window: window() },
        RunEvent::TakenUp,
        RunEvent::Resumed { anew: true },
        RunEvent::Resumed { anew: false },
        RunEvent::Released { unreleased: Vec::new() },
    ];
    others.into_iter().chain(ends).collect()
}

/// A run in a status, as a history leaves it.
fn run(status: RunStatus, is_bound: bool) -> RunRow {
    let mut row = plans::state(plans::plan(&[])).row;
    row.binding = is_bound.then(Default::default);
    row.ended = status.is_over().then_some(Timestamp::UNIX_EPOCH);
    row.status = status;
    row
}

#[test]
fn every_event_of_a_run_in_every_status_is_legal_or_not_and_leaves_what_is_valid() {
    for (status, is_bound) in
        statuses().into_iter().flat_map(|status| [(status.clone(), false), (status, true)])
    {
        for event in run_events() {
            let before = run(status.clone(), is_bound);
            let Ok(after) = runs::transition(&before, &event) else { continue };
            let told = format!("{status:?}, {event:?}: {after:?}");
            assert_eq!(after.ended.is_some(), after.status.is_over(), "{told}");
            assert!(
                after.status.is_over() || after.unreleased.is_empty() && after.result.is_empty(),
                "{told}"
            );
            assert!(
                !matches!(after.status, RunStatus::Running) || after.binding.is_some() || !is_bound,
                "{told}"
            );
            let is_final = matches!(status, RunStatus::Done | RunStatus::Refused { .. });
            assert!(!is_final || after.status == status, "{told}");
        }
    }
}

#[test]
fn a_run_comes_to_its_end_as_it_may() {
    let legal = |status: &RunStatus, is_bound, event: &RunEvent| {
        runs::transition(&run(status.clone(), is_bound), event).is_ok()
    };
    let end = |status| RunEvent::Ended {
        at: Timestamp::UNIX_EPOCH,
        status,
        result: Vec::new(),
        unreleased: Vec::new(),
    };
    let waiting = RunStatus::Waiting { waiting_for: String::new() };
    let refused = end(RunStatus::Refused { failure: Failure::refused("no") });
    assert!(legal(&RunStatus::Running, true, &end(RunStatus::Done)));
    assert!(!legal(&waiting, false, &end(RunStatus::Done)), "nothing was done");
    assert!(legal(&waiting, false, &refused) && !legal(&waiting, true, &refused));
    assert!(!legal(&RunStatus::Running, true, &end(RunStatus::Running)));
    assert!(!legal(&RunStatus::Done, true, &end(RunStatus::Done)));
    assert!(legal(&RunStatus::Cancelled, true, &RunEvent::Resumed { anew: true }));
    assert!(!legal(&RunStatus::Done, true, &RunEvent::Resumed { anew: true }));
    let measured = runs::transition(&run(RunStatus::Running, true), &RunEvent::Measured { window: window() });
    assert_eq!(measured.unwrap().windows, [window()]);
}

#[test]
fn a_served_try_is_intended_once_and_ends_once() {
    let intended = |attempt, token| ServedEvent::Intended {
        coordinator: "fileserver".into(),
        attempt,
        token,
        intent: Intent::default(),
    };
    let ended = |attempt, end| ServedEvent::Ended { attempt, end: Box::new(end), again: None };
    let done = || StepEnd::Done { outcome: Outcome::default(), adopted: None };
    let running = served::transition(None, &intended(2, 5)).unwrap();
    assert!(matches!(running.state, ServedState::Running { .. }));
    for (attempt, token) in [(1, 5), (2, 5), (3, 4)] {
        assert!(served::transition(Some(&running), &intended(attempt, token)).is_err(), "{attempt}, {token}");
    }
    assert!(served::transition(None, &ended(1, done())).is_err());
    assert!(served::transition(Some(&running), &ended(1, done())).is_err());
    let unasked = StepEnd::Parked { question: "well?".to_owned(), unreachable: true };
    assert!(served::transition(Some(&running), &ended(2, unasked)).is_err(), "it has not ended");
    let over: ServedRow = served::transition(Some(&running), &ended(2, done())).unwrap();
    assert!(served::transition(Some(&over), &ended(2, done())).is_err());
    assert!(served::transition(Some(&over), &intended(3, 5)).is_ok());
}
