//! A service that runs nothing: it keeps what it was asked and answers what a test can foresee.

use std::{
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use resplit_engine::{
    protocol::{
        self, Accepted, AnswerRequest, EngineInfo, EnterRequest, Entered, Event, LeaseReply, LeaseRequest,
        Leftover, LeftoverKind, LeftoversRequest, PlanPreview, RecordVerb, Recovery, Refusal, RefusalKind,
        ReleaseRequest, Released, Repair, RepairRequest, RunDetail, RunStanding, RunStatus, RunSummary,
        RunsQuery, StepEnd, StepMessage, StepRequest, Submit, Survey, SurveyRequest, What, World,
        WorldRequest,
    },
    service::{Reply, Service},
};
use resplit_operations::{
    bound::Binding,
    ids::{BackupId, HostId, RunId},
    operation::QuiesceMode,
    plan::Purpose,
    record::{Lock, Medium, Origin, Record, Standing, TapeState},
};
use resplit_steps::{context::Progress, contract::Outcome, drivers::stream::Wire, failure::Failure};
use tokio::sync::{
    Notify,
    mpsc::{Receiver, Sender, channel},
};

/// The run that does not exist.
pub const MISSING: &str = "missing";
/// The run whose events are those that the test sends.
pub const LIVE: &str = "live";
/// The run that takes a while to cancel.
pub const SLOW: &str = "slow";
/// How long that takes.
pub const A_WHILE: Duration = Duration::from_millis(200);
/// The run over which the service breaks down.
pub const POISON: &str = "poison";

pub struct Fake {
    pub info: EngineInfo,
    /// What it was asked, in words.
    pub asked: Mutex<Vec<String>>,
    /// Where a test sends the events of [`LIVE`].
    pub live: Mutex<Option<Sender<Event>>>,
    /// How many slow cancellations have ended.
    pub cancelled: AtomicUsize,
    /// How many wait for leases.
    pub waiting: AtomicUsize,
    /// Told when `stop` was asked and nothing is busy.
    pub stop: Notify,
}

/// Counts one who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let _ = self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Fake {
    pub fn new(host: &str, build: &str) -> Self {
        let info = EngineInfo {
            protocol: protocol::VERSION,
            build: build.to_owned(),
            host: HostId::from(host),
            pid: std::process::id(),
            started: Timestamp::now(),
            busy: false,
            store: None,
            read_only: None,
            hold: false,
            held: Vec::new(),
        };
        Self {
            info,
            asked: Mutex::default(),
            live: Mutex::default(),
            cancelled: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            stop: Notify::new(),
        }
    }

    fn note(&self, what: impl Into<String>) {
        self.asked.lock().unwrap().push(what.into());
    }

    fn found(run: &RunId) -> Reply<()> {
        if run.as_str() == MISSING {
            Err(refusal(RefusalKind::NotFound, "there is no such run"))
        } else {
            Ok(())
        }
    }
}

pub fn refusal(kind: RefusalKind, text: &str) -> Refusal {
    Refusal { kind, failure: Failure::refused(text).with_help("look again") }
}

pub fn summary(run: &RunId, status: RunStatus) -> RunSummary {
    RunSummary {
        run: run.clone(),
        operation: "documents".into(),
        purpose: Purpose::Backup,
        status,
        accepted: Timestamp::UNIX_EPOCH,
        ended: None,
        steps: 3,
        plan: "hash".to_owned(),
        result: vec!["one".to_owned()],
    }
}

pub fn note_event(run: &RunId, number: usize) -> Event {
    Event {
        time: Timestamp::UNIX_EPOCH,
        run: run.clone(),
        step: Some("copy".into()),
        host: None,
        what: What::Note { text: format!("ünïcode \"{number}\"\n") },
    }
}

pub fn record(id: BackupId, lock: Option<Lock>) -> Record {
    let origin = Origin {
        original_id: id,
        source_host: "here".into(),
        operation: "documents".into(),
        run: "documents-1".into(),
        mode: QuiesceMode::Online,
        started: Timestamp::UNIX_EPOCH,
        ended: Timestamp::UNIX_EPOCH,
        images: Vec::new(),
    };
    let entered = Timestamp::UNIX_EPOCH;
    Record {
        id,
        origin,
        medium: Medium::Disk,
        standing: Standing::Current,
        lock,
        tape: TapeState::NotWanted,
        entered,
    }
}

pub fn leftover(id: &str) -> Leftover {
    Leftover {
        id: id.to_owned(),
        kind: LeftoverKind::Lease,
        what: "the lease of volume documents".to_owned(),
        since: Some(Timestamp::UNIX_EPOCH),
        run: Some("documents-1".into()),
        standing: RunStanding::Over,
        releasable: true,
        next: "resplit leftovers release".to_owned(),
    }
}

impl Service for Fake {
    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    async fn preview(&self, submit: Submit) -> Reply<PlanPreview> {
        self.note(format!("preview {}", submit.plan.hash()));
        let refusals = vec![Failure::refused("no pair is free")];
        Ok(PlanPreview { refusals, ..PlanPreview::default() })
    }

    async fn submit(&self, submit: Submit) -> Reply<Accepted> {
        self.note(format!("submit {} {:?}", submit.plan.hash(), submit.options));
        if submit.options.no_wait {
            return Err(refusal(RefusalKind::Busy, "somebody has it"));
        }
        Ok(Accepted { run: "documents-1".into() })
    }

    async fn runs(&self, query: RunsQuery) -> Reply<Vec<RunSummary>> {
        self.note(format!("runs {query:?}"));
        Ok(vec![summary(&"documents-1".into(), RunStatus::Failed { failure: Failure::permanent("no") })])
    }

    async fn run(&self, run: RunId) -> Reply<RunDetail> {
        Self::found(&run)?;
        let summary = summary(&run, RunStatus::Waiting { waiting_for: "volume documents".to_owned() });
        let (binding, windows, step_list) = (Some(Binding::default()), Vec::new(), Vec::new());
        Ok(RunDetail { summary, held: false, binding, windows, step_list })
    }

    async fn events(&self, run: RunId, follow: bool) -> Reply<Receiver<Event>> {
        Self::found(&run)?;
        let (sender, receiver) = channel(4);
        if run.as_str() == LIVE && follow {
            *self.live.lock().unwrap() = Some(sender);
        } else {
            drop(tokio::spawn(async move {
                for number in 0..1000 {
                    if sender.send(note_event(&run, number)).await.is_err() {
                        return;
                    }
                }
            }));
        }
        Ok(receiver)
    }

    async fn resume(&self, run: RunId) -> Reply<Accepted> {
        assert_ne!(run.as_str(), POISON, "the service breaks down");
        Err(refusal(RefusalKind::Conflict, "it runs"))
    }

    async fn cancel(&self, run: RunId) -> Reply<()> {
        self.note(format!("cancel {run}"));
        if run.as_str() == SLOW {
            tokio::time::sleep(A_WHILE).await;
            let _ = self.cancelled.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn answer(&self, run: RunId, answer: AnswerRequest) -> Reply<()> {
        self.note(format!("answer {run} {answer:?}"));
        Ok(())
    }

    async fn world(&self, request: WorldRequest) -> Reply<World> {
        let cartridges = request
            .libraries
            .into_keys()
            .map(|id| (id, Err(Failure::temporary("the drive is busy"))))
            .collect();
        Ok(World { catalog: vec![record(BackupId(7), None)], cartridges, ..World::default() })
    }

    async fn catalog(&self) -> Reply<Vec<Record>> {
        Ok(vec![record(BackupId(7), None)])
    }

    async fn enter(&self, request: EnterRequest) -> Reply<Entered> {
        let id = request.file.origin.original_id;
        self.note(format!("enter {id}"));
        Ok(Entered { record: record(id, None), was_there: true })
    }

    async fn record(&self, id: BackupId, verb: RecordVerb) -> Reply<Record> {
        self.note(format!("record {id} {verb:?}"));
        let lock = (verb == RecordVerb::Lock).then_some(Lock { run: None, since: Timestamp::UNIX_EPOCH });
        Ok(record(id, lock))
    }

    async fn lease(&self, request: LeaseRequest) -> Reply<LeaseReply> {
        self.note(format!("lease {:?}", request.resources));
        Ok(LeaseReply::Granted { token: 5 })
    }

    async fn lease_wait(&self, releases: u64) -> Reply<()> {
        let _ = self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        if releases > 0 {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn release(&self, run: RunId) -> Reply<()> {
        self.note(format!("release {run}"));
        Ok(())
    }

    async fn step(&self, request: StepRequest) -> Reply<Receiver<StepMessage>> {
        self.note(format!("step {} {}", request.step.id, request.token));
        let (sender, receiver) = channel(4);
        let progress = Progress { bytes: 1, of_bytes: Some(2), entries: 3, of_entries: None };
        let outcome = Outcome { summary: "done".to_owned(), ..Outcome::default() };
        let end = Box::new(StepEnd::Done { outcome, adopted: None });
        for message in
            [StepMessage::Progress { progress }, StepMessage::Beat, StepMessage::Ended { end, again: None }]
        {
            sender.send(message).await.unwrap();
        }
        Ok(receiver)
    }

    async fn foresee(&self, request: StepRequest) -> Reply<Recovery> {
        self.note(format!("foresee {} {}", request.step.id, request.attempt));
        Ok(Recovery::Adopt { because: "it has ended".to_owned() })
    }

    async fn leftovers(&self, request: LeftoversRequest) -> Reply<Vec<Leftover>> {
        self.note(format!("leftovers {:?}", request.filesystems));
        Ok(vec![leftover("lease:volume/documents")])
    }

    async fn release_leftovers(&self, request: ReleaseRequest) -> Reply<Vec<Released>> {
        let released = |id: &String| Released { leftover: leftover(id), failure: None };
        Ok(request.ids.iter().map(released).collect())
    }

    async fn place(&self, name: String, digest: String, bytes: Vec<u8>) -> Reply<PathBuf> {
        self.note(format!("place {name:?} {digest} {}", bytes.len()));
        Ok(PathBuf::from("/staging").join(name))
    }

    async fn repair(&self, _: RepairRequest) -> Reply<Repair> {
        Err(refusal(RefusalKind::Conflict, "nothing is damaged"))
    }

    async fn survey(&self, _: SurveyRequest) -> Reply<Survey> {
        Err(refusal(RefusalKind::Internal, "this engine looks at nothing"))
    }

    async fn converse(&self, _: Wire) {
        self.note("converse");
    }

    async fn stop(&self) -> Reply<()> {
        if self.info.busy {
            return Err(refusal(RefusalKind::Busy, "a run is going on"));
        }
        self.stop.notify_one();
        Ok(())
    }
}
