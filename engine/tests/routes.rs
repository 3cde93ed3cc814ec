//! Every call of the service, from the client through the socket and back.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Serving, fake, fake::MISSING, site, step, submit};
use resplit_engine::{
    client::ClientError,
    protocol::{
        Answer, AnswerRequest, EnterRequest, LeaseReply, LeaseRequest, LeftoversRequest, RecordVerb,
        Recovery, RefusalKind, ReleaseRequest, RunStatus, RunsQuery, StepMessage, StepRequest, WorldRequest,
    },
};
use resplit_operations::{
    bound::Binding,
    ids::{BackupId, HostId},
    operation::UsualState,
    plan::{Purpose, Resource},
    record::ExportFile,
    site::{Library, MediaDriverKind},
    units::Size,
};
use resplit_steps::{drivers::identity::Owner, facts::Facts, failure::FailureClass};

#[tokio::test]
async fn the_engine_says_what_it_is_and_stops() {
    let serving = Serving::start();
    assert_eq!(serving.client.info().await.unwrap(), serving.fake.info);
    assert_eq!(serving.client.verify(&HostId::from("here")).await.unwrap(), serving.fake.info);
    let other = serving.client.verify(&HostId::from("there")).await.unwrap_err();
    assert!(matches!(other, ClientError::OtherHost { .. }));
    assert!(other.to_string().contains("'here'") && other.to_string().contains("'there'"), "{other}");
    serving.client.stop().await.unwrap();
    serving.client.stop_process(serving.fake.info.pid).await.unwrap();
    let refused = serving.client.stop_process(1).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused(r) if r.kind == RefusalKind::Conflict));
}

#[tokio::test]
async fn plans_are_previewed_and_submitted_whole() {
    let serving = Serving::start();
    let mut submit = submit();
    let preview = serving.client.preview(&submit).await.unwrap();
    assert_eq!(preview.refusals[0].message, "no pair is free");
    assert_eq!(serving.client.submit(&submit).await.unwrap().run.as_str(), "documents-1");
    submit.options.no_wait = true;
    let refused = serving.client.submit(&submit).await.unwrap_err();
    let ClientError::Refused(refusal) = refused else { panic!("{refused}") };
    assert_eq!(refusal, fake::refusal(RefusalKind::Busy, "somebody has it"));
    let hash = submit.plan.hash();
    assert_eq!(serving.asked()[0], format!("preview {hash}"));
    assert!(serving.asked()[1].starts_with(&format!("submit {hash}")));
}

#[tokio::test]
async fn runs_are_listed_shown_and_acted_on() {
    let serving = Serving::start();
    let client = &serving.client;
    let query = RunsQuery { operation: Some("documents".into()), limit: Some(3), open: true };
    let runs = client.runs(&query).await.unwrap();
    assert_eq!(runs[0].status.word(), "failed");
    let _ = client.runs(&RunsQuery::default()).await.unwrap();
    let detail = client.run(&"documents-1".into()).await.unwrap();
    assert_eq!(detail.summary.status, RunStatus::Waiting { waiting_for: "volume documents".to_owned() });
    client.cancel(&"a/../b?c=d#é %".into()).await.unwrap();
    let answer = AnswerRequest { step: "tape".into(), answer: Answer::Redo };
    client.answer(&"documents-1".into(), &answer).await.unwrap();
    let expected = [
        format!("runs {query:?}"),
        format!("runs {:?}", RunsQuery::default()),
        "cancel a/../b?c=d#é %".to_owned(),
        format!("answer documents-1 {answer:?}"),
    ];
    assert_eq!(serving.asked(), expected);
    let refused = client.resume(&"documents-1".into()).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused(r) if r.kind == RefusalKind::Conflict));
    let missing = client.run(&MISSING.into()).await.unwrap_err();
    assert!(matches!(&missing, ClientError::Refused(r) if r.kind == RefusalKind::NotFound));
    assert_eq!(missing.to_string(), "there is no such run");
    let missing = client.events(&MISSING.into(), true).await.unwrap_err();
    assert!(matches!(missing, ClientError::Refused(r) if r.kind == RefusalKind::NotFound));
}

#[tokio::test]
async fn a_service_that_breaks_down_over_one_request_answers_the_next() {
    let serving = Serving::start();
    let broken = serving.client.resume(&fake::POISON.into()).await.unwrap_err();
    let ClientError::Refused(refusal) = broken else { panic!("{broken}") };
    assert_eq!((refusal.kind, refusal.failure.class), (RefusalKind::Internal, FailureClass::Unknown));
    let _ = serving.client.info().await.unwrap();
}

#[tokio::test]
async fn the_world_and_the_catalog_are_read() {
    let serving = Serving::start();
    let library = Library {
        driver: MediaDriverKind::Virtual,
        host: "here".into(),
        path: "/vault".into(),
        slots: 2,
        drives: 1,
        cartridge_size: Size(64 << 20),
        pools: vec!["documents".into()],
    };
    let request = WorldRequest {
        pairs: Vec::new(),
        libraries: [("vault".into(), library)].into(),
        ..WorldRequest::default()
    };
    let world = serving.client.world(&request).await.unwrap();
    assert_eq!(world.cartridges[&"vault".into()].as_ref().unwrap_err().message, "the drive is busy");
    let catalog = serving.client.catalog().await.unwrap();
    assert_eq!(catalog, world.catalog);
    let locked = serving.client.record(BackupId(12), RecordVerb::Lock).await.unwrap();
    assert!(locked.lock.is_some() && locked.id == BackupId(12));
    for verb in [RecordVerb::Unlock, RecordVerb::Waive] {
        assert_eq!(serving.client.record(BackupId(12), verb).await.unwrap().lock, None);
    }
    assert_eq!(serving.asked()[2], "record 0000000012 Waive");
    let file = ExportFile::of(&fake::record(BackupId(7), None));
    let entered = serving.client.enter(&EnterRequest { file, pairs: Vec::new() }).await.unwrap();
    assert_eq!((entered.record.id, entered.was_there), (BackupId(7), true));
    let deleted = serving.client.record(BackupId(12), RecordVerb::Delete).await.unwrap();
    assert_eq!(deleted.id, BackupId(12));
}

#[tokio::test]
async fn leftovers_are_listed_and_released_by_their_ids() {
    let serving = Serving::start();
    let of = LeftoversRequest {
        site: site(),
        resting: [("documents".into(), ("documents".into(), UsualState::Paired))].into(),
        filesystems: ["/srv".into()].into(),
    };
    let listed = serving.client.leftovers(&of).await.unwrap();
    assert_eq!(listed, [fake::leftover("lease:volume/documents")]);
    assert_eq!(serving.asked(), ["leftovers {\"/srv\"}"]);
    let request = ReleaseRequest { of, ids: [listed[0].id.clone()].into() };
    let released = serving.client.release_leftovers(&request).await.unwrap();
    assert_eq!((&released[0].leftover, &released[0].failure), (&listed[0], &None));
}

#[tokio::test]
async fn leases_are_asked_waited_for_and_released() {
    let serving = Serving::start();
    let owner = Owner { boot_id: "boot".to_owned(), pid: 1, start_time: 2 };
    let resources = vec![(Resource::Volume("documents".into()), 1), (Resource::Drive("vault".into()), 2)];
    let request = LeaseRequest {
        far: None,
        run: "documents-1".into(),
        coordinator: "here".into(),
        owner,
        resources: resources.clone(),
    };
    assert_eq!(serving.client.lease(&request).await.unwrap(), LeaseReply::Granted { token: 5 });
    serving.client.lease_wait(0).await.unwrap();
    serving.client.release(&"documents-1".into()).await.unwrap();
    assert_eq!(serving.asked(), [format!("lease {resources:?}"), "release documents-1".to_owned()]);
}

#[tokio::test]
async fn a_step_is_asked_of_another_engine() {
    let serving = Serving::start();
    let request = StepRequest {
        coordinator: "here".into(),
        operation: "documents".into(),
        purpose: Purpose::Backup,
        run: "documents-1".into(),
        step: step("export"),
        attempt: 1,
        site: site(),
        binding: Binding::default(),
        facts: Facts::default(),
        token: 9,
    };
    let mut messages = serving.client.step(&request).await.unwrap();
    let mut received = Vec::new();
    while let Some(message) = messages.next().await {
        received.push(message.unwrap());
    }
    assert!(matches!(
        received.as_slice(),
        [StepMessage::Progress { .. }, StepMessage::Beat, StepMessage::Ended { .. }]
    ));
    let foreseen = serving.client.foresee(&request).await.unwrap();
    assert_eq!(foreseen, Recovery::Adopt { because: "it has ended".to_owned() });
    assert_eq!(serving.asked(), ["step export 9", "foresee export 1"]);
}

#[tokio::test]
async fn a_file_is_placed_under_any_name() {
    let serving = Serving::start();
    let path = serving.client.place("a b&c=ä.json", "d1", vec![7; 3 << 20]).await.unwrap();
    assert_eq!(path.to_str(), Some("/staging/a b&c=ä.json"));
    assert_eq!(serving.asked(), ["place \"a b&c=ä.json\" d1 3145728"]);
}
