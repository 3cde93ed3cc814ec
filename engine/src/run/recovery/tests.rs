//! Every combination of what is known of a try and what the world says of it.

use super::*;

fn doubt() -> Failure {
    Failure::unknown("it was stopped after its limit of 1s")
}

fn over() -> Failure {
    let window = resplit_steps::facts::Window {
        opened: jiff::Timestamp::UNIX_EPOCH,
        length_ms: 3_001,
        budget_ms: 3_000,
    };
    doubt().of_window(window)
}

/// What is to be done, in a word; a failure with its class.
fn word(course: &Course) -> String {
    match course {
        Course::Ask => "ask".to_owned(),
        Course::Run(None) => "run".to_owned(),
        Course::Run(Some(Again::RanAgain { .. })) => "run again".to_owned(),
        Course::Run(Some(Again::Reattached { .. })) => "re-attach".to_owned(),
        Course::Run(Some(other)) => format!("run: {other:?}"),
        Course::Adopt { .. } => "adopt".to_owned(),
        Course::Park { unreachable: false, .. } => "park".to_owned(),
        Course::Park { unreachable: true, .. } => "park, ask again".to_owned(),
        Course::Fail(failure) => format!("fail, {:?}", failure.class).to_lowercase(),
    }
}

#[test]
fn every_combination_has_its_course() {
    let because = || "the world says so".to_owned();
    let asked = || {
        [
            None,
            Some(Ok(Probe::NotDone { because: because() })),
            Some(Ok(Probe::Running { because: because() })),
            Some(Ok(Probe::Done { outcome: Box::default(), because: because() })),
            Some(Ok(Probe::Unknown { question: "did it?".to_owned() })),
            Some(Err(Failure::temporary("nobody answers"))),
        ]
    };
    #[rustfmt::skip]
    let table = [
        // what is known          not asked  not done            running             done     unknown  cannot be asked
        (Known::New,                    ["run", "run again",       "re-attach",        "adopt", "park", "park, ask again"]),
        (Known::Interrupted,            ["ask", "run again",       "re-attach",        "adopt", "park", "park, ask again"]),
        (Known::InDoubt(doubt()),       ["ask", "fail, temporary", "re-attach",        "adopt", "park", "park, ask again"]),
        (Known::InDoubt(over()),        ["ask", "fail, permanent", "re-attach",        "adopt", "park", "park, ask again"]),
        (Known::StillInDoubt(doubt()),  ["ask", "fail, temporary", "fail, temporary",  "adopt", "park", "park, ask again"]),
        (Known::StillInDoubt(over()),   ["ask", "fail, permanent", "fail, permanent",  "adopt", "park", "park, ask again"]),
    ];
    for (known, expected) in table {
        let found = asked().map(|asked| word(&course(known.clone(), asked)));
        assert_eq!(found, expected, "{known:?}");
    }
}

#[test]
fn a_reason_a_question_and_a_measure_are_passed_on() {
    let because = "VG01,vol01 says so".to_owned();
    let adopted = course(Known::Interrupted, Some(Ok(Probe::Done { outcome: Box::default(), because })));
    assert!(matches!(adopted, Course::Adopt { because, .. } if because == "VG01,vol01 says so"));
    let parked = course(Known::Interrupted, Some(Err(Failure::temporary("nobody answers"))));
    assert!(
        matches!(parked, Course::Park { question, .. } if question.contains("nobody answers") && question.contains("redo"))
    );
    let failed =
        course(Known::InDoubt(over()), Some(Ok(Probe::NotDone { because: "it is PAIR".to_owned() })));
    let Course::Fail(failure) = failed else { panic!("{failed:?}") };
    assert!(failure.message.contains("limit of 1s") && failure.message.contains("it is PAIR"), "{failure}");
    assert_eq!(failure.window, over().window);
}

#[test]
fn what_is_foreseen_is_what_would_be_done() {
    let because = || "so it is".to_owned();
    let foreseen = [
        foresee(Ok(Probe::NotDone { because: because() })),
        foresee(Ok(Probe::Done { outcome: Box::default(), because: because() })),
        foresee(Ok(Probe::Running { because: because() })),
        foresee(Ok(Probe::Unknown { question: "did it?".to_owned() })),
    ];
    let expected = [
        Recovery::Run { because: because() },
        Recovery::Adopt { because: because() },
        Recovery::WaitFor { because: because() },
        Recovery::Park { question: "did it?".to_owned() },
    ];
    assert_eq!(foreseen, expected);
}
