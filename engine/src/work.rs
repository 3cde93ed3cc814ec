//! One step at work on this host: what it is given, and its calls, each on a thread that may block.

use std::{sync::Arc, time::Duration};

use resplit_operations::{
    bound::Binding,
    ids::{HostId, OperationId, RunId},
    plan::{PlanStep, Purpose},
    record::Record,
    site::Site,
};
use resplit_steps::{
    context::{Context, Work},
    contract::{Intent, Outcome, Preview, Probe},
    facts::Facts,
    failure::{Failure, FailureClass},
    kinds,
};
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::{engine::Engine, failures, peers::StepPeers, protocol::Recovery};

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
        let peers = StepPeers { engines: &engine.peers, site: &self.site, handle: Handle::current() };
        with(&Context {
            operation: &self.operation,
            purpose: self.purpose,
            run: &self.run,
            step: &self.step.id,
            attempt: self.attempt,
            action: &self.step.action,
            timeout: self.step.timeout.map(resplit_operations::units::Period::duration),
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
    pub(crate) async fn foresee(self, engine: &Arc<Engine>, intent: Intent) -> Result<Recovery, Failure> {
        Ok(match self.probe(engine, intent).await? {
            Probe::NotDone { because } => Recovery::Run { because },
            Probe::Done { because, .. } => Recovery::Adopt { because },
            Probe::Running { because } => Recovery::WaitFor { because },
            Probe::Unknown { question } => Recovery::Park { question },
        })
    }

    /// Does it. Over its time limit it is told to stop, and has failed.
    pub(crate) async fn run(self, engine: &Arc<Engine>, intent: Intent) -> Result<Outcome, Failure> {
        let engine = Arc::clone(engine);
        let (limit, work) = (self.step.timeout, self.work.clone());
        let mut call = spawn_blocking(move || {
            #[cfg(test)]
            crate::killed::end_if_dead(&engine.directories.state);
            let records = engine.catalog()?;
            let action = &self.step.action;
            let ended = self.context(&engine, &engine.host, &records, false, |context| {
                kinds::step(action).run(context, &intent)
            });
            #[cfg(test)]
            crate::killed::reached(&engine.directories.state, crate::killed::Moment::AfterEffect);
            ended
        });
        let Some(limit) = limit else {
            return call.await.unwrap_or_else(|error| Err(failures::defect(&error)));
        };
        if let Ok(ended) = tokio::time::timeout(limit.duration(), &mut call).await {
            return ended.unwrap_or_else(|error| Err(failures::defect(&error)));
        }
        work.cancel();
        let ended = match tokio::time::timeout(GRACE, &mut call).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!("a step over its limit of {limit} does not stop; waiting for it");
                call.await
            }
        };
        let ended = ended.unwrap_or_else(|error| Err(failures::defect(&error)));
        // It may have ended just in time; then it is done, not late.
        ended.map_err(|failure| match failure.class {
            FailureClass::Cancelled => Failure::temporary(format!("was stopped after its limit of {limit}")),
            _ => failure,
        })
    }
}
