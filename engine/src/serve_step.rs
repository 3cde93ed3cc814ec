//! Steps that this host runs for another that coordinates: journaled here, each with its two commits. Asked again with
//! the same run, step and attempt, it is attached to, or answered, never repeated.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use resplit_operations::{action::Action, ids::RunId};
use resplit_steps::{
    context::{Progress, Work},
    failure::Failure,
};
use tokio::sync::{mpsc, watch};

use crate::{
    engine::Engine,
    failures,
    protocol::{Recovery, Refusal, RefusalKind, StepEnd, StepMessage, StepRequest},
    rows::{self, ServedRow, ServedState},
    run::{
        attempt::{Ended, attempt},
        journal::served::{self, ServedEvent},
    },
    store::StoreError,
    transaction::Transaction,
    work::Task,
};

/// How often a step that says nothing says that it still works.
const BEAT: Duration = Duration::from_secs(1);

/// The steps that run here for others now.
#[derive(Default)]
pub(crate) struct Serving(Mutex<HashMap<String, Arc<Running>>>);

struct Running {
    attempt: u32,
    work: Work,
    state: watch::Sender<(Option<Progress>, Option<Ended>)>,
}

impl Serving {
    fn map(&self) -> MutexGuard<'_, HashMap<String, Arc<Running>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_busy(&self) -> bool {
        !self.map().is_empty()
    }

    /// Whether steps of a run are at work here.
    pub(crate) fn serves(&self, run: &RunId) -> bool {
        let prefix = format!("{run}/");
        self.map().keys().any(|key| key.starts_with(&prefix))
    }

    /// Asks the steps of a run to stop at their next safe point; whether there were any.
    pub(crate) fn cancel(&self, run: &RunId) -> bool {
        let prefix = format!("{run}/");
        let map = self.map();
        let ours: Vec<_> = map.iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
        for (_, running) in &ours {
            running.work.cancel();
        }
        !ours.is_empty()
    }
}

fn key(request: &StepRequest) -> String {
    format!("{}/{}", request.run, request.step.id)
}

/// Refuses what is not for this host, or would have it read and remove what it has not received.
fn check(engine: &Engine, request: &StepRequest) -> Result<(), Refusal> {
    let refused = |text: String, help: &str| {
        tracing::warn!(run = %request.run, step = %request.step.id, "refused: {text}");
        let failure = Failure::refused(text).with_help(help);
        Err(Refusal { kind: RefusalKind::BadRequest, failure })
    };
    if request.step.host != engine.host {
        let text =
            format!("step {} is for host '{}', this is '{}'", key(request), request.step.host, engine.host);
        return refused(text, "resplit check --hosts");
    }
    if let (Action::Import(_), Some(received)) = (&request.step.action, &request.facts.received) {
        let path = &received.path;
        let parent = path.file_name().and(path.parent());
        // Over a transport it has a name there, and no path.
        let is_own = match received.via {
            Some(_) => parent == Some(Path::new("")),
            None => parent == Some(&engine.directories.staging),
        };
        if !is_own {
            let staging = engine.directories.staging.display();
            let text = format!("{} is not what was sent to this host, which is in {staging}", path.display());
            return refused(text, "resplit check --hosts");
        }
    }
    Ok(())
}

/// Runs, attaches to, or answers a step; the receiver gets its progress, and how it ended.
pub(crate) fn serve(
    engine: &Arc<Engine>,
    request: StepRequest,
) -> Result<mpsc::Receiver<StepMessage>, Refusal> {
    check(engine, &request)?;
    let key = key(&request);
    // One that ends is in the store before it leaves the map: under the map's lock it is in one of them.
    let mut map = engine.serving.map();
    let row: Option<ServedRow> = rows::get(&engine.store, &key)?;
    if let Some(row) = row.as_ref().filter(|row| row.attempt > request.attempt || row.token > request.token) {
        let text = format!(
            "step {key} was asked for as try {} under token {}, this is try {} under token {}",
            row.attempt, row.token, request.attempt, request.token
        );
        return Err(failures::conflict(text, "resplit runs --open"));
    }
    let earlier = map.get(&key).cloned();
    if let Some(running) = earlier.as_ref().filter(|running| running.attempt == request.attempt) {
        return Ok(follow(running));
    }
    let state = watch::Sender::new((None, None));
    let reports = state.clone();
    let work = Work::new(move |progress| reports.send_modify(|(last, _)| *last = Some(progress)));
    let running = Arc::new(Running { attempt: request.attempt, work: work.clone(), state });
    let _ = map.insert(key.clone(), Arc::clone(&running));
    let (engine, served) = (Arc::clone(engine), Arc::clone(&running));
    drop(tokio::spawn(async move {
        // What was asked for by a coordinator that was killed, and is asked for anew, does not go on beside itself.
        if let Some(earlier) = earlier {
            earlier.work.cancel();
            let _ = earlier.state.subscribe().wait_for(|(_, end)| end.is_some()).await;
        }
        let end = execute(&engine, &key, request, row, work).await;
        let end = end.unwrap_or_else(|failure| (StepEnd::Failed { failure }, None));
        let mut map = engine.serving.map();
        if map.get(&key).is_some_and(|last| Arc::ptr_eq(last, &served)) {
            let _ = map.remove(&key);
        }
        drop(map);
        // A lease of a dead coordinator stood for it.
        engine.leases.nudge();
        served.state.send_modify(|(_, last)| *last = Some(end));
        engine.note_quiet();
    }));
    drop(map);
    Ok(follow(&running))
}

/// Passes on what a running step says.
fn follow(running: &Running) -> mpsc::Receiver<StepMessage> {
    let (sender, receiver) = mpsc::channel(16);
    let mut state = running.state.subscribe();
    drop(tokio::spawn(async move {
        loop {
            let (progress, end) = state.borrow_and_update().clone();
            let message = match (progress, end) {
                (_, Some((end, again))) => {
                    // Whoever asked may be gone; they will ask again.
                    let _ = sender.send(StepMessage::Ended { end: Box::new(end), again }).await;
                    return;
                }
                (Some(progress), None) => StepMessage::Progress { progress },
                (None, None) => StepMessage::Beat,
            };
            if sender.send(message).await.is_err() {
                return;
            }
            tokio::select! {
                changed = state.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(BEAT) => {}
                () = sender.closed() => return,
            }
        }
    }));
    receiver
}

async fn execute(
    engine: &Arc<Engine>,
    key: &str,
    request: StepRequest,
    row: Option<ServedRow>,
    work: Work,
) -> Result<Ended, Failure> {
    let (run, step, number, token) =
        (request.run.clone(), request.step.id.clone(), request.attempt, request.token);
    let coordinator = request.coordinator.clone();
    let task = task(request, work);
    let (row, intent, interrupted) = match row {
        Some(ServedRow { attempt, again, state: ServedState::Ended { end }, .. }) if attempt == number => {
            return Ok((*end, again));
        }
        Some(ServedRow { coordinator, attempt, token, again, state: ServedState::Running { intent } })
            if attempt == number =>
        {
            let state = ServedState::Running { intent: intent.clone() };
            (ServedRow { coordinator, attempt, token, again, state }, intent, true)
        }
        earlier => {
            let _shared = engine.changing.read().await;
            let mut transaction = Transaction::new(engine)?;
            let intent = task.clone().prepare(engine, transaction.catalog.clone()).await?;
            transaction.intend(engine, &run, &step, &intent)?;
            let intended =
                ServedEvent::Intended { coordinator, attempt: number, token, intent: intent.clone() };
            let row = served::transition(earlier.as_ref(), &intended)?;
            rows::put(&mut transaction.batch, key, &row)?;
            transaction.commit(engine).await?;
            (row, intent, false)
        }
    };
    let (end, again) = attempt(engine, &task, &intent, interrupted, |_| {}).await;
    if matches!(end, StepEnd::Parked { unreachable: true, .. }) {
        // It has not ended: asked for again, it is asked about again.
        return Ok((end, again));
    }
    let _shared = engine.changing.read().await;
    let mut transaction = Transaction::new(engine)?;
    if let StepEnd::Done { outcome, .. } = &end {
        transaction.conclude(engine, &run, outcome)?;
    }
    let ended = ServedEvent::Ended { attempt: number, end: Box::new(end.clone()), again: again.clone() };
    rows::put(&mut transaction.batch, key, &served::transition(Some(&row), &ended)?)?;
    transaction.commit(engine).await?;
    Ok((end, again))
}

fn task(request: StepRequest, work: Work) -> Task {
    Task {
        operation: request.operation,
        purpose: request.purpose,
        run: request.run,
        step: request.step,
        attempt: request.attempt,
        site: Arc::new(request.site),
        binding: Arc::new(request.binding),
        facts: request.facts,
        token: request.token,
        // What is held still is held on the coordinator's host.
        window: None,
        work,
    }
}

/// What recovery would do of a step that was asked for before: asks the world, changes nothing.
pub(crate) async fn foresee(engine: &Arc<Engine>, request: StepRequest) -> Result<Recovery, StoreError> {
    let key = key(&request);
    if engine.serving.map().contains_key(&key) {
        return Ok(Recovery::WaitFor { because: format!("it runs on host '{}'", engine.host) });
    }
    let row: Option<ServedRow> = rows::get(&engine.store, &key)?;
    let because = |text: &str| format!("{text} on host '{}'", engine.host);
    Ok(match row.filter(|row| row.attempt == request.attempt).map(|row| row.state) {
        Some(ServedState::Ended { .. }) => Recovery::Adopt { because: because("it has ended") },
        Some(ServedState::Running { intent }) => task(request, Work::silent()).foresee(engine, intent).await,
        None => Recovery::Run { because: because("it did not begin") },
    })
}

#[cfg(test)]
mod tests;
