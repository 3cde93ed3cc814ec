//! What the engine offers through its socket.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use petgraph::graph::NodeIndex;
use resplit_operations::{
    ids::{BackupId, RunId, StepId},
    plan::Purpose,
    record::{CatalogChange, Lock, Record, TapeState},
};
use resplit_steps::{drivers::stream::Wire, failure::Failure};
use tokio::sync::mpsc::Receiver;

use crate::{
    catalog::entering,
    engine::Engine,
    failures::{conflict, defect, internal, not_found},
    forget, held, housekeeping, leftovers, names, place, preview,
    protocol::{
        Accepted, AnswerRequest, EngineInfo, EnterRequest, Entered, Event, LeaseReply, LeaseRequest,
        Leftover, LeftoversRequest, PlanPreview, RecordVerb, Recovery, Refusal, RefusalKind, ReleaseRequest,
        Released, Repair, RepairRequest, RunDetail, RunStatus, RunSummary, RunsQuery, StepDetail,
        StepMessage, StepRequest, Submit, Survey, SurveyRequest, What, World, WorldRequest,
    },
    repair,
    rows::{RunRow, StepRow, StepState},
    run::{
        claim::Claim,
        journal::{Illegal, runs::RunEvent, steps::StepEvent},
        load,
        perform::{self, Tried},
        set_back,
        state::RunState,
    },
    serve_step,
    service::{Reply, Service},
    store::Batch,
    survey,
    transaction::Transaction,
    world,
};

/// An engine, as whoever reaches its socket sees it.
pub struct Offer(pub Arc<Engine>);

fn defective(illegal: Illegal) -> Refusal {
    internally(illegal.into())
}

fn internally(failure: Failure) -> Refusal {
    failure.into()
}

impl Offer {
    fn row(&self, run: &RunId) -> Reply<RunRow> {
        let missing = || not_found(format!("there is no run {run}"));
        load::row(&self.0.store, run)?.ok_or_else(missing)
    }

    fn state(&self, run: &RunId) -> Reply<RunState> {
        load::state(&self.0.store, self.row(run)?).map_err(internally)
    }

    /// A run's name, taken: the operation, and the moment. To the millisecond, so that a host whose state was lost does
    /// not give again the name of a run that another host remembers.
    fn name(&self, submit: &Submit) -> Reply<Claim> {
        let now = self.0.clock.now();
        let verb = match submit.plan.purpose {
            Purpose::RestoreFromDisk
            | Purpose::RestoreFromTape
            | Purpose::FilesFromDisk
            | Purpose::FilesFromTape => "restore-",
            // What an operator asks of pairs is an operation named after the verb.
            _ => "",
        };
        let base = format!("{}-{verb}{}", submit.plan.operation, now.strftime("%Y%m%dT%H%M%S%3fZ"));
        for count in 1.. {
            let name = RunId(if count == 1 { base.clone() } else { format!("{base}-{count}") });
            // Taken before it is looked up, so that of two who ask at once only one gets it.
            if let Some(claim) = Claim::of(&self.0, &name)
                && load::row(&self.0.store, &name)?.is_none()
            {
                return Ok(claim);
            }
        }
        Err(internal("no name is free for this run"))
    }

    /// Takes a run up again, with some of its steps set back.
    async fn again(&self, claim: Claim, mut state: RunState, nodes: Vec<NodeIndex>) -> Reply<Accepted> {
        let engine = &self.0;
        // If everything is made anew, the pairs are chosen anew: others may have used them meanwhile.
        let pairs = state.on_pairs();
        let anew = !pairs.is_empty() && pairs.into_iter().all(|node| state.row_of(node).is_waiting());
        let event = if state.row.status.is_over() { RunEvent::Resumed { anew } } else { RunEvent::TakenUp };
        state.apply_to_run(&event).map_err(defective)?;
        let mut batch = Batch::default();
        load::put_row(&mut batch, &state.row)?;
        for node in nodes {
            state.put_step(&mut batch, node)?;
        }
        let _ = engine.store.commit_async(batch).await?;
        let run = state.run().clone();
        drop(perform::start(claim, state));
        Ok(Accepted { run })
    }
}

impl Service for Offer {
    fn info(&self) -> EngineInfo {
        self.0.describe()
    }

    async fn preview(&self, submit: Submit) -> Reply<PlanPreview> {
        preview::preview(&self.0, submit).await.map_err(internally)
    }

    async fn submit(&self, submit: Submit) -> Reply<Accepted> {
        self.0.check_writable()?;
        let engine = &self.0;
        names::check_plan(&submit.plan)?;
        if submit.plan.coordinator != engine.host {
            let text = format!("this plan is coordinated by host '{}'", submit.plan.coordinator);
            let failure =
                Failure::refused(text).with_help(format!("ask the engine of '{}'", submit.plan.coordinator));
            return Err(Refusal { kind: RefusalKind::BadRequest, failure });
        }
        if engine.store.is_low_on_space() {
            let state = engine.directories.state.display();
            let text = format!("the disk with {state} is full, or nearly so; nothing was touched");
            return Err(conflict(text, format!("make room there (df {state}), then run again")));
        }
        let claim = self.name(&submit)?;
        let run = claim.run.clone();
        if submit.options.no_wait
            && let Tried::Held { waiting_for, .. } =
                perform::try_leases(engine, &submit.plan, &run, false).await.map_err(internally)?
        {
            let failure = Failure::refused(format!("busy: {waiting_for}")).with_help("resplit runs --open");
            return Err(Refusal { kind: RefusalKind::Busy, failure });
        }
        let steps = submit.plan.graph().node_count();
        let row = RunRow::accepted(run.clone(), &submit.plan, submit.options, engine.clock.now());
        let state = RunState::new(row, submit.plan, vec![StepRow::new(); steps]);
        let mut batch = Batch::default();
        let written = match load::put_new(&mut batch, &state) {
            Ok(()) => engine.store.commit_async(batch).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            if state.row.options.no_wait {
                perform::give_back(engine, &state.plan, &run, &perform::lease_hosts(&state.plan)).await;
            }
            return Err(error.into());
        }
        let (accepted, step, host) = (engine.clock.now(), None, None);
        let what = What::Accepted { steps: state.row.steps };
        engine.logs.tell(Event { time: accepted, run: run.clone(), step, host, what });
        drop(perform::start(claim, state));
        Ok(Accepted { run })
    }

    async fn runs(&self, query: RunsQuery) -> Reply<Vec<RunSummary>> {
        let mut rows = load::rows(&self.0.store)?;
        rows.retain(|row| query.operation.as_ref().is_none_or(|operation| *operation == row.operation));
        let open = |row: &RunRow| !row.status.is_over() || matches!(row.status, RunStatus::Parked { .. });
        rows.retain(|row| !query.open || open(row));
        rows.sort_by(|a, b| b.accepted.cmp(&a.accepted).then_with(|| b.run.cmp(&a.run)));
        rows.truncate(query.limit.unwrap_or(20));
        Ok(rows.iter().map(RunRow::summary).collect())
    }

    async fn run(&self, run: RunId) -> Reply<RunDetail> {
        let state = self.state(&run)?;
        let held = self.0.held().contains(&run);
        let mut foreseen =
            if held { held::foresee(&self.0, &mut self.state(&run)?).await } else { BTreeMap::new() };
        let step_list = state
            .order()
            .iter()
            .map(|node| StepDetail {
                step: state.step(*node).id.clone(),
                kind: state.step(*node).action.kind().to_owned(),
                host: state.step(*node).host.clone(),
                attempts: state.row_of(*node).attempts,
                status: state.row_of(*node).status(),
                again: state.row_of(*node).again.clone(),
                recovery: foreseen.remove(node),
            })
            .collect();
        let (summary, binding) = (state.row.summary(), state.row.binding.clone());
        let windows = state.row.windows.clone();
        Ok(RunDetail { summary, held, binding, windows, step_list })
    }

    async fn events(&self, run: RunId, follow: bool) -> Reply<Receiver<Event>> {
        names::check("a run", run.as_str())?;
        let follow = follow && self.0.active().contains_key(&run);
        let none = |error| not_found(format!("there is no log of run {run}: {error}"));
        self.0.logs.follow(&run, follow).map_err(none)
    }

    async fn resume(&self, run: RunId) -> Reply<Accepted> {
        self.0.check_writable()?;
        // An engine that was started to resume it has taken it up by itself.
        let Some(claim) = Claim::of(&self.0, &run) else { return Ok(Accepted { run }) };
        let mut state = self.state(&run)?;
        // One that is held goes on as it would have done by itself: nothing that has failed is tried again yet.
        if self.0.held().contains(&run) {
            let _ = self.0.take_up(claim, state).await.map_err(internally)?;
            return Ok(Accepted { run });
        }
        match &state.row.status {
            RunStatus::Done => {
                return Err(conflict(format!("run {run} is done"), format!("resplit show {run}")));
            }
            RunStatus::Refused { .. } => {
                let help = format!("resplit run {}", state.row.operation);
                return Err(conflict(format!("run {run} was refused before anything was touched"), help));
            }
            RunStatus::Parked { questions } => {
                let step = questions.keys().next().map_or("STEP", |step| step.as_str());
                let help = format!("resplit answer {run} {step} done|redo|abort");
                return Err(conflict(format!("run {run} waits for an answer"), help));
            }
            RunStatus::Failed { .. }
            | RunStatus::Cancelled
            | RunStatus::Waiting { .. }
            | RunStatus::Running => {}
        }
        let mut nodes = set_back::lost_windows(&mut state).map_err(defective)?;
        nodes.extend(set_back::resume(&mut state).map_err(defective)?);
        self.again(claim, state, nodes).await
    }

    async fn cancel(&self, run: RunId) -> Reply<()> {
        self.0.check_writable()?;
        let claim = loop {
            let control = self.0.active().get(&run).cloned();
            if let Some(control) = control {
                control.cancel();
                return Ok(());
            }
            if self.0.serving.cancel(&run) {
                return Ok(());
            }
            if let Some(claim) = Claim::of(&self.0, &run) {
                break claim;
            }
        };
        let mut state = self.state(&run)?;
        if self.0.held().contains(&run) {
            self.0.take_up(claim, state).await.map_err(internally)?.cancel();
            return Ok(());
        }
        let RunStatus::Parked { questions } = state.row.status.clone() else {
            return Err(conflict(
                format!("run {run} is {}", state.row.status.word()),
                format!("resplit show {run}"),
            ));
        };
        let mut nodes = Vec::new();
        for step in questions.keys() {
            nodes.extend(settle(&mut state, step, &StepEvent::Cancelled { at: self.0.clock.now() })?);
        }
        claim.control.cancel();
        let _ = self.again(claim, state, nodes).await?;
        Ok(())
    }

    async fn answer(&self, run: RunId, answer: AnswerRequest) -> Reply<()> {
        self.0.check_writable()?;
        let Some(claim) = Claim::of(&self.0, &run) else {
            return Err(conflict(
                format!("run {run} is at work; answer when it has parked"),
                format!("resplit show {run}"),
            ));
        };
        let mut state = self.state(&run)?;
        let answered = StepEvent::Answered { answer: answer.answer, at: self.0.clock.now() };
        let Some(node) = settle(&mut state, &answer.step, &answered)? else {
            let text = format!("step '{}' of run {run} does not wait for an answer", answer.step);
            return Err(conflict(text, format!("resplit show {run}")));
        };
        let _ = self.again(claim, state, vec![node]).await?;
        Ok(())
    }

    async fn world(&self, request: WorldRequest) -> Reply<World> {
        let engine = Arc::clone(&self.0);
        let world = tokio::task::spawn_blocking(move || world::here(&engine, &request)).await;
        world.unwrap_or_else(|error| Err(defect(&error))).map_err(internally)
    }

    async fn catalog(&self) -> Reply<Vec<Record>> {
        Ok(self.0.catalog()?.to_vec())
    }

    async fn enter(&self, request: EnterRequest) -> Reply<Entered> {
        self.0.check_writable()?;
        entering::enter(&self.0, request).await
    }

    async fn record(&self, id: BackupId, verb: RecordVerb) -> Reply<Record> {
        self.0.check_writable()?;
        let engine = &self.0;
        let _alone = engine.changing.write().await;
        let mut transaction = Transaction::new(engine)?;
        let found = transaction.catalog.iter().find(|record| record.id == id).cloned();
        let record =
            found.ok_or_else(|| not_found(format!("the catalog of {} has no backup {id}", engine.host)))?;
        let change = match verb {
            RecordVerb::Lock if record.lock.is_none() => {
                CatalogChange::Lock { id, lock: Lock { run: None, since: engine.clock.now() } }
            }
            RecordVerb::Lock => return Ok(record),
            RecordVerb::Unlock => {
                let holder = record.lock.as_ref().and_then(|lock| lock.run.clone());
                let holds = holder.filter(|run| {
                    engine.leases.all().iter().any(|l| l.run == *run && (l.far || l.owner.is_alive()))
                });
                if let Some(run) = holds {
                    let text = format!("backup {id} is mounted by run {run}, which is at work");
                    return Err(conflict(text, format!("resplit cancel {run}")));
                }
                CatalogChange::Unlock { id }
            }
            RecordVerb::Waive if record.tape == TapeState::Wanted => {
                CatalogChange::SetTape { id, tape: TapeState::Waived }
            }
            RecordVerb::Waive => {
                return Err(conflict(
                    format!("backup {id} does not wait for a tape"),
                    "resplit catalog list",
                ));
            }
            RecordVerb::Delete => {
                entering::refuse_if_kept(&record, &engine.host)?;
                let reason = "deleted by an operator".to_owned();
                transaction.change(engine, &[CatalogChange::Evict { id, reason }]);
                transaction.commit(engine).await?;
                return Ok(record);
            }
        };
        transaction.change(engine, std::slice::from_ref(&change));
        let changed = transaction.catalog.iter().find(|record| record.id == id).cloned();
        transaction.commit(engine).await?;
        changed.ok_or_else(|| internal(format!("backup {id} is gone")))
    }

    async fn lease(&self, request: LeaseRequest) -> Reply<LeaseReply> {
        self.0.check_writable()?;
        names::check("a run", request.run.as_str())?;
        names::check_resources(&request)?;
        forget::remember_far(&self.0, &request)?;
        let reply = self.0.give_lease(&request)?;
        if let LeaseReply::Held { by, .. } = &reply
            && by.iter().any(|lease| lease.far)
        {
            // Whoever waits hears of it if that releases something.
            let engine = Arc::clone(&self.0);
            drop(tokio::spawn(async move {
                if let Err(failure) = forget::release_far(&engine).await {
                    tracing::warn!("cannot release what a run on another machine held: {failure}");
                }
            }));
        }
        Ok(reply)
    }

    async fn lease_wait(&self, releases: u64) -> Reply<()> {
        self.0.check_writable()?;
        Ok(self.0.wait_for_release(releases).await?)
    }

    async fn release(&self, run: RunId) -> Reply<()> {
        self.0.check_writable()?;
        if self.0.serving.cancel(&run) {
            let text = format!(
                "a step of run {run} is still at work on host '{}'; it was told to stop",
                self.0.host
            );
            return Err(conflict(text, "resplit runs --open"));
        }
        let engine = Arc::clone(&self.0);
        let ended = tokio::task::spawn_blocking(move || {
            for text in engine.leave(&run)? {
                tracing::info!(%run, "{text}");
            }
            engine.note_quiet();
            Ok(())
        });
        ended.await.unwrap_or_else(|error| Err(defect(&error))).map_err(internally)
    }

    async fn step(&self, request: StepRequest) -> Reply<Receiver<StepMessage>> {
        self.0.check_writable()?;
        names::check("a run", request.run.as_str())?;
        names::check("a step", request.step.id.as_str())?;
        names::check("an operation", request.operation.as_str())?;
        housekeeping::remember_libraries(&self.0, &request.site)?;
        forget::remember_coordinator(&self.0, &request)?;
        serve_step::serve(&self.0, request)
    }

    async fn foresee(&self, request: StepRequest) -> Reply<Recovery> {
        Ok(serve_step::foresee(&self.0, request).await?)
    }

    async fn leftovers(&self, request: LeftoversRequest) -> Reply<Vec<Leftover>> {
        leftovers::list(&self.0, &request).await.map_err(internally)
    }

    async fn release_leftovers(&self, request: ReleaseRequest) -> Reply<Vec<Released>> {
        self.0.check_writable()?;
        leftovers::release(&self.0, &request).await.map_err(internally)
    }

    async fn place(&self, name: String, digest: String, bytes: Vec<u8>) -> Reply<PathBuf> {
        self.0.check_writable()?;
        let staging = self.0.directories.staging.clone();
        let placed =
            tokio::task::spawn_blocking(move || place::place(&staging, &name, &digest, &bytes)).await;
        placed.unwrap_or_else(|error| Err(internally(defect(&error))))
    }

    async fn converse(&self, wire: Wire) {
        let engine = Arc::clone(&self.0);
        let answered = tokio::task::spawn_blocking(move || {
            let may_write = engine.check_writable().map_err(Failure::from);
            engine.answering.answer(&engine.drivers, &engine.host, wire, may_write);
            engine.note_quiet();
        });
        if let Err(error) = answered.await {
            tracing::error!("{}", defect(&error));
        }
    }

    async fn repair(&self, request: RepairRequest) -> Reply<Repair> {
        repair::repair(&self.0, request).await
    }

    async fn survey(&self, request: SurveyRequest) -> Reply<Survey> {
        survey::survey(&self.0, request).await.map_err(internally)
    }

    async fn stop(&self) -> Reply<()> {
        if self.0.is_busy() {
            return Err(conflict("the engine is at work", "resplit runs --open"));
        }
        self.0.stop.notify_one();
        Ok(())
    }
}

/// Settles a parked step as an operator answers, or cancels; gives its node if it was parked.
fn settle(state: &mut RunState, step: &StepId, event: &StepEvent) -> Reply<Option<NodeIndex>> {
    let is_parked = |node: &NodeIndex| matches!(state.row_of(*node).state, StepState::Parked { .. });
    let Some(node) = state.plan.node(step).filter(is_parked) else { return Ok(None) };
    state.apply(node, event).map_err(defective)?;
    state.recount();
    Ok(Some(node))
}
