//! One step at work on this host: what it is given, and its calls, each on a thread that may block.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use resplit_operations::{
    bound::Binding,
    ids::{HostId, OperationId, RunId},
    plan::{PlanStep, Purpose},
    record::Record,
    site::Site,
    units::Period,
};
use resplit_steps::{
    context::{Context, Work},
    contract::{Intent, Outcome, Preview, Probe},
    drivers::clocks::Since,
    facts::{Facts, Window},
    failure::{Failure, FailureClass},
    kinds,
};
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::{engine::Engine, failures, peers::StepPeers, protocol::Recovery, run::recovery};

/// How long a step that was told to stop may take to do so before that is told.
const GRACE: Duration = Duration::from_secs(30);

/// Everything that a step is given but the catalog.
#[derive(Clone)]
pub(crate) struct Task {
    pub operation: OperationId,
    pub purpose: Purpose,
    pub run: RunId,
    pub step: PlanStep,
    pub attempt: u32,
    pub site: Arc<Site>,
    pub binding: Arc<Binding>,
    pub facts: Facts,
    pub token: u64,
    /// The window inside which it runs while something is held still.
    pub window: Option<OpenWindow>,
    pub work: Work,
}

impl Task {
    /// Calls `with` with what the step is given.
    fn context<T>(
        &self,
        engine: &Engine,
        host: &HostId,
        records: &[Record],
        peek: bool,
        with: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        let reserve =
            || if peek { resplit_operations::ids::BackupId(engine.next_backup()) } else { engine.reserve() };
        let (engines, handle) = (&engine.peers, Handle::current());
        let peers = StepPeers { engines, site: &self.site, handle, work: &self.work };
        with(&Context {
            operation: &self.operation,
            purpose: self.purpose,
            run: &self.run,
            step: &self.step.id,
            attempt: self.attempt,
            action: &self.step.action,
            timeout: self.step.timeout.map(Period::duration),
            host,
            site: &self.site,
            binding: &self.binding,
            facts: &self.facts,
            catalog: records,
            directories: &engine.directories,
            token: self.token,
            reserve: &reserve,
            drivers: &engine.drivers,
            windows: &*engine.windows,
            peers: &peers,
            work: &self.work,
            clock: &*engine.clock,
        })
    }

    /// What it would do, as seen by a host whose records these are.
    pub(crate) fn preview(
        &self,
        engine: &Engine,
        host: &HostId,
        records: &[Record],
    ) -> Result<Preview, Failure> {
        self.context(engine, host, records, true, |context| kinds::step(&self.step.action).preview(context))
    }

    /// What must be durable before its first effect, given the catalog as it will be.
    pub(crate) async fn prepare(
        self,
        engine: &Arc<Engine>,
        records: Arc<Vec<Record>>,
    ) -> Result<Intent, Failure> {
        // A thread of its own costs more than most intents.
        if kinds::step(&self.step.action).prepares_at_once() {
            return self.prepare_here(engine, &records);
        }
        let engine = Arc::clone(engine);
        let call = spawn_blocking(move || self.prepare_here(&engine, &records));
        call.await.unwrap_or_else(|error| Err(failures::defect(&error)))
    }

    fn prepare_here(&self, engine: &Engine, records: &[Record]) -> Result<Intent, Failure> {
        let action = &self.step.action;
        self.context(engine, &engine.host, records, false, |context| kinds::step(action).prepare(context))
    }

    /// What became of it.
    pub(crate) async fn probe(self, engine: &Arc<Engine>, intent: Intent) -> Result<Probe, Failure> {
        let engine = Arc::clone(engine);
        let call = spawn_blocking(move || {
            let records = engine.catalog()?;
            let action = &self.step.action;
            self.context(&engine, &engine.host, &records, false, |context| {
                kinds::step(action).probe(context, &intent)
            })
        });
        call.await.unwrap_or_else(|error| Err(failures::defect(&error)))
    }

    /// What recovery would do of it: asks the world, changes nothing.
    pub(crate) async fn foresee(self, engine: &Arc<Engine>, intent: Intent) -> Recovery {
        recovery::foresee(self.probe(engine, intent).await)
    }

    /// How long it may take from now on: what the step was given, and no longer than its window holds.
    pub(crate) fn limit(&self) -> Limit {
        let given = self.step.timeout.map(Period::duration);
        let left = |window: OpenWindow| window.budget.duration().saturating_sub(window.since.elapsed());
        match (given, self.window) {
            (given, Some(window)) if given.is_none_or(|given| left(window) <= given) => {
                Limit { after: Some(left(window)), window: Some(window) }
            }
            (given, _) => Limit { after: given, window: None },
        }
    }

    /// Does it here and now, if it asks neither drivers nor files.
    fn run_here(
        &self,
        engine: &Engine,
        records: &[Record],
        intent: &Intent,
    ) -> Option<Result<Outcome, Failure>> {
        // Where a step's end may be a kill, it is one of a thread of its own.
        #[cfg(test)]
        if crate::killed::is_watched(&engine.directories.state) {
            return None;
        }
        let step = kinds::step(&self.step.action);
        self.context(engine, &engine.host, records, false, |context| {
            step.runs_at_once(context).then(|| step.run(context, intent))
        })
    }

    /// Does it. Over its limit it is stopped at its next safe point, and has ended so that its effect is unknown.
    pub(crate) async fn run(
        self,
        engine: &Arc<Engine>,
        intent: Intent,
        limit: Limit,
    ) -> Result<Outcome, Failure> {
        // A thread of its own costs more than a step that asks nobody.
        let records = engine.catalog()?;
        if let Some(ended) = self.run_here(engine, &records, &intent) {
            return ended;
        }
        let (whole, part) = (self.work.clone(), self.work.part());
        let task = Self { work: part.clone(), ..self };
        let (shared, kind) = (Arc::clone(engine), task.step.action.kind());
        let mut call = spawn_blocking(move || {
            #[cfg(test)]
            crate::killed::end_if_dead(&shared.directories.state);
            let action = &task.step.action;
            let ended = task.context(&shared, &shared.host, &records, false, |context| {
                kinds::step(action).run(context, &intent)
            });
            #[cfg(test)]
            crate::killed::reached(&shared.directories.state, crate::killed::Moment::AfterEffect);
            ended
        });
        let Some(after) = limit.after else {
            return call.await.unwrap_or_else(|error| Err(failures::defect(&error)));
        };
        if let Ok(ended) = tokio::time::timeout(after, &mut call).await {
            return ended.unwrap_or_else(|error| Err(failures::defect(&error)));
        }
        part.cancel();
        let ended = match tokio::time::timeout(GRACE, &mut call).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!(
                    "a {kind} over its limit of {} ms does not stop; waiting for it",
                    after.as_millis()
                );
                call.await
            }
        };
        let ended = ended.unwrap_or_else(|error| Err(failures::defect(&error)));
        // It may have ended just in time; then it is done, not late. One that an operator stopped is that.
        ended.map_err(|failure| match failure.class {
            FailureClass::Cancelled if !whole.is_cancelled() => limit.passed(),
            _ => failure,
        })
    }
}

/// How long a try may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limit {
    after: Option<Duration>,
    /// The window whose end it is.
    window: Option<OpenWindow>,
}

/// A window while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenWindow {
    /// Since when, for people.
    pub opened: Timestamp,
    /// Since when, by a clock that nobody sets and no suspend stops.
    pub since: Since,
    /// How long it may be open.
    pub budget: Period,
}

impl Limit {
    /// That of what has been told to stop.
    pub(crate) const fn grace() -> Self {
        Self { after: Some(GRACE), window: None }
    }

    /// That it has passed.
    fn passed(self) -> Failure {
        let Some(OpenWindow { opened, since, budget }) = self.window else {
            let limit = Period(u64::try_from(self.after.unwrap_or_default().as_millis()).unwrap_or(u64::MAX));
            return Failure::unknown(format!("it was stopped after its limit of {limit}"));
        };
        let length_ms = since.elapsed_ms();
        Failure::unknown(format!(
            "it was stopped when the window's budget of {} ms was used up, after {length_ms} ms",
            budget.0
        ))
        .with_help("give `quiesce.window` more time, then run the operation again")
        .of_window(Window { opened, length_ms, budget_ms: budget.0 })
    }
}
