//! Steps that another host asks for: once, whatever happens to the line.

use std::time::Duration;

use resplit_operations::{
    action::{Action, Command, Retry},
    bound::Binding,
    operation::On,
    plan::{PlanStep, Purpose},
    units::Period,
};
use resplit_steps::{
    contract::{Intent, Obligation},
    drivers::command::CommandState,
    facts::{ExportFact, Facts},
    failure::FailureClass,
};

use super::*;
use crate::{
    obligations,
    protocol::{Again, LeaseReply, LeaseRequest},
    service::Service,
    store::Batch,
    testing::{Bench, DOCUMENTS, SITE, definitions},
};

/// A request for a command.
fn request(argv: &[&str], attempt: u32, token: u64) -> StepRequest {
    let argv = argv.iter().map(|text| (*text).to_owned()).collect();
    StepRequest {
        coordinator: "elsewhere".into(),
        operation: "documents".into(),
        purpose: Purpose::Backup,
        run: "documents-1".into(),
        step: PlanStep {
            id: "hook".into(),
            host: "fileserver".into(),
            action: Action::Command(Command { argv, environment: [].into(), accept: vec![0] }),
            needs: Vec::new(),
            on: On::Success,
            retry: Retry::default(),
            timeout: None,
            finally: None,
        },
        attempt,
        site: definitions(SITE, DOCUMENTS).site,
        binding: Binding::default(),
        facts: Facts::default(),
        token,
    }
}

/// How a step that was asked for ended.
async fn end(mut messages: mpsc::Receiver<StepMessage>) -> StepEnd {
    let listen = async {
        while let Some(message) = messages.recv().await {
            if let StepMessage::Ended { end, .. } = message {
                return *end;
            }
        }
        panic!("the line was cut")
    };
    tokio::time::timeout(Duration::from_secs(20), listen).await.unwrap()
}

fn is_done(end: &StepEnd) -> bool {
    matches!(end, StepEnd::Done { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_again_it_is_answered_and_not_repeated() {
    let bench = Bench::new();
    let first = end(serve(&bench.engine, request(&["ok", "a"], 1, 5)).unwrap()).await;
    assert!(is_done(&first), "{first:?}");
    for token in [5, 6] {
        assert_eq!(end(serve(&bench.engine, request(&["ok", "a"], 1, token)).unwrap()).await, first);
    }
    assert_eq!(bench.commands.ran(), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_again_while_it_runs_it_is_attached_to() {
    let bench = Bench::new();
    let first = serve(&bench.engine, request(&["wait", "a"], 1, 5)).unwrap();
    bench.commands.until(1).await;
    let second = serve(&bench.engine, request(&["wait", "a"], 1, 5)).unwrap();
    // Whoever asked first goes away: the step goes on.
    drop(first);
    bench.commands.let_go("a", true);
    assert!(is_done(&end(second).await));
    assert_eq!(bench.commands.ran(), ["a"]);
    assert!(!bench.engine.serving.is_busy());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_try_begins_once_the_earlier_one_has_stopped() {
    let bench = Bench::new();
    let first = serve(&bench.engine, request(&["wait", "a"], 1, 5)).unwrap();
    bench.commands.until(1).await;
    let second = serve(&bench.engine, request(&["ok", "b"], 2, 6)).unwrap();
    let stopped = end(first).await;
    let is_stopped =
        matches!(&stopped, StepEnd::Failed { failure } if failure.class == FailureClass::Cancelled);
    assert!(is_stopped, "{stopped:?}");
    assert!(is_done(&end(second).await));
    assert_eq!(bench.commands.ran(), ["a", "b"]);
    assert!(!bench.engine.serving.is_busy());
    let row: ServedRow = rows::get(&bench.engine.store, "documents-1/hook").unwrap().unwrap();
    assert_eq!((row.attempt, row.token), (2, 6), "what is kept is the later try");
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_again_in_the_moment_in_which_it_ends_it_is_not_repeated() {
    let bench = Bench::new();
    for attempt in 1..40 {
        let asked: Vec<_> = (0..4)
            .map(|_| {
                let engine = Arc::clone(&bench.engine);
                tokio::spawn(
                    async move { end(serve(&engine, request(&["ok", "a"], attempt, 1)).unwrap()).await },
                )
            })
            .collect();
        for ended in asked {
            assert!(is_done(&ended.await.unwrap()));
        }
        assert_eq!(bench.commands.ran().len(), usize::try_from(attempt).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_try_or_token_is_refused() {
    let bench = Bench::new();
    assert!(is_done(&end(serve(&bench.engine, request(&["ok", "a"], 2, 5)).unwrap()).await));
    for (attempt, token) in [(1, 5), (2, 4), (3, 4)] {
        let refusal = serve(&bench.engine, request(&["ok", "a"], attempt, token)).unwrap_err();
        assert!(refusal.failure.message.contains("was asked for as try 2 under token 5"), "{refusal:?}");
    }
    assert!(is_done(&end(serve(&bench.engine, request(&["ok", "b"], 3, 5)).unwrap()).await));
    assert_eq!(bench.commands.ran(), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_failed_is_answered_with_its_failure() {
    let bench = Bench::new();
    let first = end(serve(&bench.engine, request(&["fail", "a"], 1, 1)).unwrap()).await;
    assert!(
        matches!(&first, StepEnd::Failed { failure } if failure.message.contains("exit code 1")),
        "{first:?}"
    );
    assert_eq!(end(serve(&bench.engine, request(&["ok", "b"], 1, 1)).unwrap()).await, first);
    assert_eq!(bench.commands.ran(), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_another_host_keeps_its_time_limit() {
    let bench = Bench::new();
    let mut asked = request(&["wait", "a"], 1, 1);
    asked.step.timeout = Some(Period(20));
    let ended = end(serve(&bench.engine, asked).unwrap()).await;
    let StepEnd::Failed { failure } = ended else { panic!("{ended:?}") };
    assert_eq!(failure.class, FailureClass::Temporary, "it was asked about, and had not happened");
    assert!(failure.message.contains("its limit of 20ms"), "{failure}");
    assert!(bench.commands.probed().contains(&"a".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_known_parks_and_is_not_repeated() {
    let bench = Bench::new();
    bench.commands.say("a", CommandState::Lost);
    let parked = end(serve(&bench.engine, request(&["lose", "a"], 1, 1)).unwrap()).await;
    assert!(matches!(&parked, StepEnd::Parked { unreachable: false, .. }), "{parked:?}");
    assert_eq!(end(serve(&bench.engine, request(&["lose", "a"], 1, 1)).unwrap()).await, parked);
    assert_eq!(bench.commands.ran(), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_interrupted_is_probed_under_the_intent_that_it_had() {
    let bench = Bench::new();
    let mut batch = Batch::default();
    let state = ServedState::Running { intent: Intent::default() };
    let row = ServedRow { coordinator: None, attempt: 1, token: 1, again: None, state };
    rows::put(&mut batch, "documents-1/hook", &row).unwrap();
    let _ = bench.engine.store.commit(batch).unwrap();
    assert!(is_done(&end(serve(&bench.engine, request(&["ok", "a"], 1, 1)).unwrap()).await));
    let row: ServedRow = rows::get(&bench.engine.store, "documents-1/hook").unwrap().unwrap();
    assert_eq!(row.again, Some(Again::RanAgain { because: "it was not started".to_owned() }));
    assert!(matches!(row.state, ServedState::Ended { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stops_a_run_stops_its_steps_and_no_other() {
    let bench = Bench::new();
    let messages = serve(&bench.engine, request(&["wait", "a"], 1, 1)).unwrap();
    bench.commands.until(1).await;
    assert!(!bench.engine.serving.cancel(&"documents-10".into()) && !bench.engine.serving.cancel(&"".into()));
    assert!(bench.engine.serving.cancel(&"documents-1".into()));
    let ended = end(messages).await;
    assert!(
        matches!(&ended, StepEnd::Failed { failure } if failure.class == FailureClass::Cancelled),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_undone_or_released_under_a_step_at_work() {
    let bench = Bench::new();
    let place = bench.directory.path().join("staging");
    std::fs::write(&place, "").unwrap();
    let mut batch = Batch::default();
    let duty = Obligation::RemoveStaging { path: place.clone() };
    let now = bench.engine.clock.now();
    obligations::put(&mut batch, &"documents-1".into(), &"hook".into(), &duty, now, 1).unwrap();
    let _ = bench.engine.store.commit(batch).unwrap();
    let messages = serve(&bench.engine, request(&["wait", "a"], 1, 1)).unwrap();
    bench.commands.until(1).await;
    let refusal = bench.offer().release("documents-1".into()).await.unwrap_err();
    assert!(refusal.failure.message.contains("still at work"), "{refusal:?}");
    assert!(place.exists());
    let _ = end(messages).await;
    bench.offer().release("documents-1".into()).await.unwrap();
    assert!(!place.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_coordinators_lease_stands_while_its_step_runs_here() {
    let bench = Bench::new();
    let lease = |run: &str, boot: &str| {
        let mut owner = bench.engine.owner.clone();
        owner.boot_id.push_str(boot);
        let resources = vec![(resplit_operations::plan::Resource::Drive("vault".into()), 1)];
        bench
            .engine
            .give_lease(&LeaseRequest {
                run: run.into(),
                coordinator: "x".into(),
                owner,
                far: None,
                resources,
            })
            .unwrap()
    };
    assert!(matches!(lease("documents-1", "gone"), LeaseReply::Granted { .. }));
    let messages = serve(&bench.engine, request(&["wait", "a"], 1, 1)).unwrap();
    bench.commands.until(1).await;
    let LeaseReply::Held { releases, .. } = lease("mail-1", "") else { panic!("it was taken over") };
    let wait = tokio::spawn({
        let engine = Arc::clone(&bench.engine);
        async move { engine.wait_for_release(releases).await }
    });
    bench.commands.let_go("a", true);
    assert!(is_done(&end(messages).await));
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap().unwrap().unwrap();
    assert!(matches!(lease("mail-1", ""), LeaseReply::Granted { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_elsewhere_are_refused() {
    let bench = Bench::new();
    for run in ["../../evil", "a/b", "", ".", "a\0"] {
        let asked = StepRequest { run: run.into(), ..request(&["ok", "a"], 1, 1) };
        assert!(bench.offer().step(asked).await.is_err(), "{run:?}");
        assert!(bench.offer().events(run.into(), true).await.is_err(), "{run:?}");
    }
    let mut asked = request(&["ok", "a"], 1, 1);
    asked.step.id = "../x".into();
    assert!(bench.offer().step(asked).await.is_err());
    for name in ["../x", "/etc/passwd", ".hidden", "", "a/b", "a\0b"] {
        let digest = blake3::hash(b"x").to_hex().to_string();
        assert!(bench.offer().place(name.to_owned(), digest, b"x".to_vec()).await.is_err(), "{name:?}");
    }
    assert!(bench.offer().place("a.json".to_owned(), "0".to_owned(), b"x".to_vec()).await.is_err());
    assert!(bench.commands.ran().is_empty());
    assert!(!bench.directory.path().join("state/staging/a.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_for_another_host_is_refused_and_nothing_is_noted() {
    let bench = Bench::new();
    let mut other = request(&["ok", "a"], 1, 5);
    other.step.host = "backupserver".into();
    let refusal = serve(&bench.engine, other).unwrap_err();
    assert!(
        refusal.failure.message.contains("is for host 'backupserver', this is 'fileserver'"),
        "{refusal:?}"
    );
    assert_eq!(rows::get::<ServedRow>(&bench.engine.store, "documents-1/hook").unwrap(), None);
    assert!(bench.commands.ran().is_empty() && !bench.engine.serving.is_busy());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_what_was_not_sent_here_is_refused_and_it_stays() {
    let bench = Bench::new();
    let precious = bench.directory.path().join("documents/a.txt");
    let staging = bench.engine.directories.staging.clone();
    let elsewhere =
        [precious.clone(), staging.join("../../documents/a.txt"), staging.join(".."), staging.clone()];
    // Over a transport a name alone leads nowhere else.
    let over = ["../a.txt", "..", "a/b", "/etc/passwd", ""].map(|name| (name.into(), Some("nas".into())));
    for (path, via) in elsewhere.into_iter().map(|path| (path, None)).chain(over) {
        let mut import = request(&[], 1, 5);
        import.step.action = Action::Import(resplit_operations::action::Nothing {});
        import.facts.received = Some(ExportFact { path, digest: String::new(), via });
        let refusal = serve(&bench.engine, import).unwrap_err();
        assert!(refusal.failure.message.contains("is not what was sent to this host"), "{refusal:?}");
    }
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "one");
    assert!(rows::scan::<ServedRow>(&bench.engine.store, "").unwrap().is_empty());
}
