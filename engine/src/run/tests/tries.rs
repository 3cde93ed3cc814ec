//! What is tried again, by the class of the failure; time limits; and what is not legal.

use std::time::Duration;

use resplit_operations::ids::RunId;
use resplit_steps::{
    drivers::command::{CommandState, Ended},
    failure::FailureClass,
};

use crate::{
    protocol::{RunDetail, RunStatus, StepStatus},
    run::{claim::Claim, load, perform},
    service::Service,
    store::Batch,
    testing::{Bench, DOCUMENTS, failure},
};

/// A run of one command with three tries.
async fn run(bench: &Bench, command: &str) -> RunDetail {
    let steps =
        format!("steps:\n  work: {{ {command}, host: fileserver, retry: {{ attempts: 3, pause: 1ms }} }}\n");
    let ended = tokio::time::timeout(Duration::from_secs(60), bench.run(&steps)).await.unwrap();
    bench.offer().run(ended.run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_failure_is_not_tried_again() {
    let bench = Bench::new();
    let run = run(&bench, "command: { argv: [never, a] }").await;
    assert_eq!(failure(&run.summary).class, FailureClass::Permanent);
    assert_eq!((bench.commands.ran().len(), run.step_list[0].attempts), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_failure_is_tried_again_as_often_as_the_step_says() {
    let bench = Bench::new();
    let run = run(&bench, "command: { argv: [fail, a] }").await;
    assert_eq!(failure(&run.summary).class, FailureClass::Temporary);
    assert_eq!((bench.commands.ran().len(), run.step_list[0].attempts), (3, 3));
    assert!(run.step_list[0].again.as_ref().unwrap().words().starts_with("tried again because"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_asked_about_before_each_next_try() {
    let bench = Bench::new();
    let run = run(&bench, "command: { argv: [lose, a] }").await;
    assert!(failure(&run.summary).message.contains("asked about since: it was not started"), "{run:?}");
    assert_eq!(
        (bench.commands.ran().len(), bench.commands.probed().len()),
        (3, 3 + 3),
        "each try, and its earlier ones"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_that_nobody_knows_parks() {
    let bench = Bench::new();
    bench.commands.say("a", CommandState::Lost);
    let run = run(&bench, "command: { argv: [lose, a] }").await;
    assert!(matches!(run.step_list[0].status, StepStatus::Parked { attempt: 1, .. }), "{run:?}");
    assert_eq!(bench.commands.ran().len(), 1, "it is not tried again blindly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_over_its_time_is_stopped_asked_about_and_tried_again() {
    let bench = Bench::new();
    let run = run(&bench, "command: { argv: [wait, a] }, timeout: 20ms").await;
    assert!(failure(&run.summary).message.contains("its limit of 20ms"), "{run:?}");
    assert_eq!(run.step_list[0].attempts, 3);
    assert!(bench.commands.probed().len() >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_over_its_time_that_had_ended_by_then_is_over() {
    let bench = Bench::new();
    bench.commands.say("a", CommandState::Ended(Ended { code: 0, output: String::new() }));
    let run = run(&bench, "command: { argv: [wait, a] }, timeout: 20ms");
    let let_go = async {
        while bench.commands.probed().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bench.commands.let_go("a", true);
    };
    let (run, ()) = tokio::join!(run, let_go);
    assert_eq!((run.summary.status, run.step_list[0].attempts), (RunStatus::Done, 1));
    assert!(run.step_list[0].again.as_ref().unwrap().words().starts_with("re-attached because"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_legal_fails_the_run_and_stores_nothing() {
    let bench = Bench::new();
    let run: RunId = bench.run(DOCUMENTS).await.run;
    let row = load::row(&bench.engine.store, &run).unwrap().unwrap();
    let before = bench.engine.store.commit(one(&bench)).unwrap();
    // A run that is done is started again, which nothing that is offered does.
    let claim = Claim::of(&bench.engine, &run).unwrap();
    drop(perform::start(claim, load::state(&bench.engine.store, row.clone()).unwrap()));
    while bench.engine.active().contains_key(&run) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(load::row(&bench.engine.store, &run).unwrap(), Some(row), "the store is as it was");
    assert!(bench.engine.store.commit(one(&bench)).unwrap() > before, "and takes more");
    assert_eq!(bench.run(DOCUMENTS).await.status, RunStatus::Done, "other runs go on");
}

/// A commit of no account.
fn one(bench: &Bench) -> Batch {
    let mut batch = Batch::default();
    crate::catalog::put_next_id(&mut batch, bench.engine.next_backup()).unwrap();
    batch
}
