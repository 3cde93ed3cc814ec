//! Whole runs in one engine, on real directories, with commands that do as they are told.

use std::time::Duration;

use resplit_operations::ids::RunId;

use crate::{
    protocol::{Answer, AnswerRequest, RunStatus, StepStatus, What},
    service::Service,
    testing::{Bench, DOCUMENTS, failure},
};

/// The operation, with a hook before the application is held still.
fn hook(argv: &str) -> String {
    format!("{DOCUMENTS}hooks: {{ before_quiesce: [ {{ argv: {argv} }} ] }}\n")
}

async fn status(bench: &Bench, run: &RunId, step: &str) -> StepStatus {
    let detail = bench.offer().run(run.clone()).await.unwrap();
    detail.step_list.into_iter().find(|found| found.step.as_str() == step).unwrap().status
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_accepted_in_the_same_moment_each_has_a_name_of_its_own() {
    let bench = Bench::new();
    let offers: Vec<_> = (0..8).map(|_| (bench.offer(), bench.submit(DOCUMENTS))).collect();
    let asked: Vec<_> = offers
        .into_iter()
        .map(|(offer, submit)| tokio::spawn(async move { offer.submit(submit).await.unwrap().run }))
        .collect();
    let mut names = std::collections::BTreeSet::new();
    for run in asked {
        let run = run.await.unwrap();
        assert!(names.insert(run.clone()), "{run} was accepted twice");
        assert_eq!(within(bench.ended(&run)).await.status, RunStatus::Done);
    }
    let records = bench.offer().catalog().await.unwrap();
    assert_eq!(records.len(), 2, "two pairs, two images");
    assert!(bench.engine.leases.all().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_resumed_twice_at_once_is_taken_up_once() {
    let bench = Bench::new();
    bench.commands.let_go("hook", false);
    let failed = within(bench.run(&hook("[wait, hook]"))).await;
    assert!(failure(&failed).message.contains("exit code 1"), "{failed:?}");
    bench.commands.hold("hook");
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let (offer, run) = (bench.offer(), failed.run.clone());
            tokio::spawn(async move { offer.resume(run).await })
        })
        .collect();
    for resumed in asked {
        assert_eq!(resumed.await.unwrap().unwrap().run, failed.run);
    }
    within(bench.commands.until(2)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.commands.ran().len(), 2);
    bench.commands.let_go("hook", true);
    assert_eq!(within(bench.ended(&failed.run)).await.status, RunStatus::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_does_not_wait_for_the_pause_before_a_retry_and_still_cleans_up() {
    let bench = Bench::new();
    let steps = "steps:
  work:    { command: { argv: [fail, work] }, host: fileserver, retry: { attempts: 3, pause: 1h }, finally: cleanup }
  cleanup: { command: { argv: [ok, cleanup] }, host: fileserver, needs: [work] }
";
    let run = bench.offer().submit(bench.submit(steps)).await.unwrap().run;
    let mut events = bench.offer().events(run.clone(), true).await.unwrap();
    while let Some(event) = within(events.recv()).await {
        if matches!(event.what, What::Failed { retry_in_ms: Some(_), .. }) {
            break;
        }
    }
    bench.offer().cancel(run.clone()).await.unwrap();
    let summary = within(bench.ended(&run)).await;
    assert_eq!(summary.status, RunStatus::Cancelled);
    assert_eq!(bench.commands.ran(), ["work", "cleanup"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_stops_no_cleanup() {
    let bench = Bench::new();
    let steps = "steps:
  work:    { command: { argv: [ok, work] }, host: fileserver, finally: cleanup }
  cleanup: { command: { argv: [wait, cleanup] }, host: fileserver, needs: [work] }
  after:   { command: { argv: [ok, after] }, host: fileserver, needs: [cleanup] }
";
    let run = bench.offer().submit(bench.submit(steps)).await.unwrap().run;
    within(bench.commands.until(2)).await;
    bench.offer().cancel(run.clone()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(matches!(status(&bench, &run, "cleanup").await, StepStatus::Started { .. }));
    bench.commands.let_go("cleanup", true);
    let summary = within(bench.ended(&run)).await;
    assert_eq!(summary.status, RunStatus::Cancelled);
    assert!(matches!(status(&bench, &run, "cleanup").await, StepStatus::Done { .. }));
    assert_eq!(bench.commands.ran(), ["work", "cleanup"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_a_lease_can_be_cancelled() {
    let bench = Bench::new();
    let first = bench.offer().submit(bench.submit(&hook("[wait, hook]"))).await.unwrap().run;
    within(bench.commands.until(1)).await;
    let second = bench.offer().submit(bench.submit(DOCUMENTS)).await.unwrap().run;
    tokio::time::sleep(Duration::from_millis(50)).await;
    bench.offer().cancel(second.clone()).await.unwrap();
    assert_eq!(within(bench.ended(&second)).await.status, RunStatus::Cancelled);
    bench.commands.let_go("hook", true);
    assert_eq!(within(bench.ended(&first)).await.status, RunStatus::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_must_not_wait_leaves_no_lease_where_it_could_not_take_all() {
    let bench = Bench::new();
    // The drive belongs to a host that cannot be reached: the volume's lease is taken, the drive's is not.
    let site = crate::testing::SITE.replace("virtual, host: fileserver", "virtual, host: backupserver");
    let site = site.replace("secondary: { host: fileserver", "secondary: { host: backupserver");
    let operation = format!(
        "{DOCUMENTS}backup_server: backupserver\ntape: {{ library: vault, pool: documents, keep: 30d }}\n"
    );
    let mut submit = bench.submit(DOCUMENTS);
    submit.plan = crate::testing::backup(&site, &operation, bench.directory.path());
    submit.options.no_wait = true;
    let refusal = within(bench.offer().submit(submit)).await.unwrap_err();
    assert!(refusal.failure.message.contains("backupserver"), "{refusal:?}");
    assert!(bench.engine.leases.all().is_empty(), "{:?}", bench.engine.leases.all());
    assert!(bench.engine.active().is_empty());
    assert_eq!(within(bench.run(DOCUMENTS)).await.status, RunStatus::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_failed_in_its_window_is_made_anew_although_another_used_its_pair() {
    let bench = Bench::new();
    let window = format!("{DOCUMENTS}hooks: {{ in_window: [ {{ argv: [wait, window] }} ] }}\n");
    bench.commands.let_go("window", false);
    let failed = within(bench.run(&window)).await;
    assert!(matches!(failed.status, RunStatus::Failed { .. }), "{:?}", failed.status);
    // Another run takes the same pair, which is still the least recently backed up.
    assert_eq!(within(bench.run(DOCUMENTS)).await.status, RunStatus::Done);
    bench.commands.let_go("window", true);
    let _ = bench.offer().resume(failed.run.clone()).await.unwrap();
    let resumed = within(bench.ended(&failed.run)).await;
    assert_eq!(resumed.status, RunStatus::Done);
    let records = bench.offer().catalog().await.unwrap();
    let groups: std::collections::BTreeSet<_> =
        records.iter().map(|record| record.origin.images[0].copy_group.clone()).collect();
    assert_eq!(
        (records.len(), groups.len()),
        (2, 2),
        "the image of the other run is still there: {records:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_may_be_resumed_by_whoever_hears_of_it() {
    let bench = Bench::new();
    let run = bench.offer().submit(bench.submit(&hook("[fail, hook]"))).await.unwrap().run;
    for _ in 0..5 {
        let mut events = bench.offer().events(run.clone(), true).await.unwrap();
        while within(events.recv()).await.is_some() {}
        let before = bench.commands.ran().len();
        let _ = bench.offer().resume(run.clone()).await.unwrap();
        within(bench.commands.until(before + 1)).await;
    }
    let failed = within(bench.ended(&run)).await;
    assert!(failure(&failed).message.contains("exit code 1"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_answers_what_was_not_asked() {
    let bench = Bench::new();
    let run = within(bench.run(DOCUMENTS)).await.run;
    let answer = AnswerRequest { step: "split".into(), answer: Answer::Done };
    assert!(bench.offer().answer(run.clone(), answer).await.is_err());
    assert!(bench.offer().resume(run.clone()).await.is_err());
    assert!(bench.offer().cancel(run).await.is_err());
    assert!(bench.engine.active().is_empty());
    assert!(bench.offer().cancel(RunId::from("no-such-run")).await.is_err());
    assert!(bench.offer().run(RunId::from("../../etc/passwd")).await.is_err());
}
