//! Drives one run: an event loop that owns its state and its channel. Steps run as soon as their needs are done; the
//! outcomes of one turn and the intents of what follows are one commit.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use petgraph::graph::NodeIndex;
use resplit_operations::{action::Action, bound::Binding, ids::HostId, operation::On, site::Site};
use resplit_steps::{
    context::Work,
    contract::{Intent, Outcome},
    facts::Facts,
    failure::{Failure, FailureClass},
};
use tokio::sync::{Notify, mpsc, watch};

use super::{
    decide::{Decision, decide},
    launch,
    state::RunState,
};
use crate::{
    engine::Engine,
    protocol::{Event, StepEnd, StepStatus, What},
    rows::{StepRow, step_key},
    store::{StoreError, Table},
    transaction::Transaction,
};

/// How a run is reached from outside.
#[derive(Default)]
pub(crate) struct Control {
    cancelled: watch::Sender<bool>,
    pub wake: Notify,
    works: Mutex<HashMap<NodeIndex, (Work, HostId)>>,
}

impl Control {
    /// Asks the run to stop at its next safe point.
    pub(crate) fn cancel(&self) {
        let _ = self.cancelled.send_replace(true);
        self.wake.notify_one();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    /// Returns once it has been asked.
    async fn until_cancelled(&self) {
        let mut cancelled = self.cancelled.subscribe();
        // The sender lives as long as this value does.
        let _ = cancelled.wait_for(|is_so| *is_so).await;
    }

    fn works(&self) -> std::sync::MutexGuard<'_, HashMap<NodeIndex, (Work, HostId)>> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes back to the loop.
enum Message {
    /// A step that was launched has ended.
    Ended { node: NodeIndex, end: Box<StepEnd>, again: Option<String> },
    /// The pause before a step's next try is over.
    Again { node: NodeIndex },
}

/// One run at work.
pub(crate) struct Driver {
    pub engine: Arc<Engine>,
    pub state: RunState,
    pub control: Arc<Control>,
    pub binding: Arc<Binding>,
    pub site: Arc<Site>,
    sender: mpsc::UnboundedSender<Message>,
    receiver: mpsc::UnboundedReceiver<Message>,
    running: usize,
    /// How many steps run between quiesce and the record of the backup.
    held: usize,
    /// When each began, by the wall clock for people, and by one that nobody sets for how long it took.
    began: BTreeMap<NodeIndex, (Timestamp, Instant)>,
    /// Tries of this turn of the run, which is what `retry` limits.
    tries: BTreeMap<NodeIndex, u32>,
}

impl Driver {
    pub(crate) fn new(engine: Arc<Engine>, state: RunState, control: Arc<Control>, binding: Binding) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let site = Arc::new(state.plan.site.clone());
        let (binding, began, tries) = (Arc::new(binding), BTreeMap::new(), BTreeMap::new());
        let held = state.order().iter().filter(|node| is_held(&state, **node)).count();
        Self { engine, state, control, binding, site, sender, receiver, running: 0, held, began, tries }
    }

    /// Takes every step as far as it goes: until all are over, or what is not waits for an operator. After an error
    /// nothing more is begun, and what runs is waited for: it holds the leases of the run.
    pub(crate) async fn drive(&mut self) -> Result<(), Failure> {
        let driven = self.drive_on().await;
        if driven.is_err() {
            self.stop_steps();
            while self.running > 0 && self.receiver.recv().await.is_some() {
                self.running -= 1;
            }
        }
        driven
    }

    async fn drive_on(&mut self) -> Result<(), Failure> {
        for node in self.interrupted() {
            let row = self.state.row_of(node).clone();
            let _ = self.began.insert(node, (self.engine.clock.now(), Instant::now()));
            self.launch(node, row.attempts, row.intent.unwrap_or_default(), true);
        }
        self.begin_free().await?;
        let mut told_to_stop = false;
        while self.running > 0 {
            let mut messages = Vec::new();
            tokio::select! {
                Some(first) = self.receiver.recv() => messages.push(first),
                () = self.control.wake.notified() => {}
            }
            while let Ok(more) = self.receiver.try_recv() {
                messages.push(more);
            }
            self.turn(messages).await?;
            if self.control.is_cancelled() && !told_to_stop && self.held == 0 {
                told_to_stop = true;
                self.stop_steps();
            }
        }
        Ok(())
    }

    /// Steps with an intent and without an outcome: they are probed before anything runs again.
    fn interrupted(&self) -> Vec<NodeIndex> {
        let started =
            |node: &NodeIndex| matches!(self.state.row_of(*node).status, StepStatus::Started { .. });
        self.state.order().iter().copied().filter(started).collect()
    }

    /// Asks what runs to stop, but for what undoes something, or runs whatever happened.
    fn stop_steps(&self) {
        let mut hosts = BTreeSet::new();
        for (node, (work, host)) in self.control.works().iter() {
            if self.state.owner(*node).is_none() && self.state.step(*node).on == On::Success {
                work.cancel();
                let _ = hosts.insert(host.clone());
            }
        }
        for host in hosts.into_iter().filter(|host| *host != self.engine.host) {
            let (engine, site, run) =
                (Arc::clone(&self.engine), Arc::clone(&self.site), self.state.run().clone());
            drop(tokio::spawn(async move {
                let asked = match engine.peers.client(&site, &host).await {
                    Ok(client) => client.cancel(&run).await.map_err(|error| error.to_string()),
                    Err(failure) => Err(failure.message),
                };
                if let Err(error) = asked {
                    tracing::warn!(%run, "cannot ask host {host} to stop: {error}");
                }
            }));
        }
    }

    /// One turn: notes what has ended, decides what follows, makes both durable in one commit, then begins it.
    async fn turn(&mut self, messages: Vec<Message>) -> Result<(), Failure> {
        self.advance(messages, VecDeque::new()).await
    }

    /// The first turn: begins what waits for nothing.
    async fn begin_free(&mut self) -> Result<(), Failure> {
        let free = self.state.free().into();
        self.advance(Vec::new(), free).await
    }

    async fn advance(
        &mut self,
        messages: Vec<Message>,
        mut free: VecDeque<NodeIndex>,
    ) -> Result<(), Failure> {
        let engine = Arc::clone(&self.engine);
        let shared = engine.changing.read().await;
        let mut transaction = Transaction::new(&engine)?;
        let mut events = Vec::new();
        let mut begin: Vec<(NodeIndex, u32, Intent)> = Vec::new();
        let mut again: Vec<(NodeIndex, Duration)> = Vec::new();
        for message in messages {
            self.running -= 1;
            let (node, end) = match message {
                Message::Ended { node, end, again } => {
                    if again.is_some() {
                        self.state.row_mut(node).again = again;
                    }
                    (node, *end)
                }
                // It has begun, and so has failed: what undoes it runs.
                Message::Again { node } if self.control.is_cancelled() => {
                    (node, StepEnd::Failed { failure: Failure::cancelled() })
                }
                Message::Again { node } => {
                    free.push_back(node);
                    continue;
                }
            };
            let _ = self.control.works().remove(&node);
            match self.conclude(&mut transaction, node, end, &mut events)? {
                Concluded::Over => free.extend(self.state.note_end(node)),
                Concluded::Again(pause) => again.push((node, pause)),
                Concluded::Parked => {}
            }
        }
        while let Some(node) = free.pop_front() {
            if let Decision::Skip(because) = decide(&self.state, node, self.control.is_cancelled()) {
                self.set(
                    &mut transaction,
                    node,
                    StepRow {
                        status: StepStatus::Skipped { because: because.clone() },
                        ..self.state.row_of(node).clone()
                    },
                )?;
                events.push((node, What::Skipped { because }));
                free.extend(self.state.note_end(node));
                continue;
            }
            match self.intend(&mut transaction, node).await? {
                Ok((attempt, intent)) => begin.push((node, attempt, intent)),
                Err(failure) => {
                    let end = StepEnd::Failed { failure };
                    match self.conclude(&mut transaction, node, end, &mut events)? {
                        Concluded::Over => free.extend(self.state.note_end(node)),
                        Concluded::Again(pause) => again.push((node, pause)),
                        Concluded::Parked => {}
                    }
                }
            }
        }
        transaction.commit(&engine).await?;
        drop(shared);
        let started = |(node, attempt, _): &(_, u32, _)| (*node, What::Started { attempt: *attempt });
        events.extend(begin.iter().map(started));
        self.tell(events);
        for (node, attempt, intent) in begin {
            self.launch(node, attempt, intent, false);
        }
        for (node, pause) in again {
            self.launch_later(node, pause);
        }
        Ok(())
    }

    /// Prepares a step and adds its intent to the commit; or says why it cannot begin.
    async fn intend(
        &mut self,
        transaction: &mut Transaction,
        node: NodeIndex,
    ) -> Result<Result<(u32, Intent), Failure>, StoreError> {
        let attempt = self.state.row_of(node).attempts + 1;
        let _ = self.began.insert(node, (self.engine.clock.now(), Instant::now()));
        *self.tries.entry(node).or_default() += 1;
        let step = self.state.step(node).clone();
        let intent = if step.host == self.engine.host {
            let task = launch::task(self, node, attempt);
            match task.prepare(&self.engine, transaction.catalog.clone()).await {
                Ok(intent) => intent,
                Err(failure) => {
                    self.state.row_mut(node).attempts = attempt;
                    return Ok(Err(failure));
                }
            }
        } else {
            Intent { changes: self.marks(transaction, &step.action), ..Intent::default() }
        };
        transaction.intend(&self.engine, self.state.run(), &step.id, &intent)?;
        let status = StepStatus::Started { attempt, at: self.engine.clock.now() };
        self.set(
            transaction,
            node,
            StepRow {
                status,
                attempts: attempt,
                intent: Some(intent.clone()),
                facts: None,
                again: self.state.row_of(node).again.clone(),
            },
        )?;
        Ok(Ok((attempt, intent)))
    }

    /// What the coordinator's own catalog loses by a step of another host: a restore from tape overwrites a secondary
    /// there, and this host's records of it are stale before it begins.
    fn marks(
        &self,
        transaction: &Transaction,
        action: &Action,
    ) -> Vec<resplit_operations::record::CatalogChange> {
        let Action::TapeRestore(restore) = action else { return Vec::new() };
        if restore.to.is_some() {
            return Vec::new();
        }
        let reason = format!("restore from tape by run {}", self.state.run());
        let groups: Vec<_> = self.binding.pairs.values().map(|bound| &bound.pair.copy_group).collect();
        let hit = transaction.catalog.iter().filter(|record| groups.iter().any(|group| record.is_on(group)));
        hit.map(|record| resplit_operations::record::CatalogChange::MarkStale {
            id: record.id,
            reason: reason.clone(),
        })
        .collect()
    }

    /// Adds how a step ended to the commit.
    fn conclude(
        &mut self,
        transaction: &mut Transaction,
        node: NodeIndex,
        end: StepEnd,
        events: &mut Vec<(NodeIndex, What)>,
    ) -> Result<Concluded, StoreError> {
        let now = self.engine.clock.now();
        let row = self.state.row_of(node).clone();
        // One that was interrupted began under an engine that is gone; how long it took says nothing of the next.
        let began_here = self.began.get(&node).copied();
        let began = began_here.map_or(
            match row.status {
                StepStatus::Started { at, .. } => at,
                _ => now,
            },
            |(at, _)| at,
        );
        let took = began_here.map(|(_, since)| since.elapsed());
        // Whatever became of the wall clock meanwhile, a step ends as long after it began as it took.
        let now = took.and_then(|took| began.checked_add(took).ok()).unwrap_or(now);
        match end {
            StepEnd::Done { outcome, adopted } => {
                self.conclude_done(transaction, node, &outcome)?;
                let took_ms = took.map_or(0, |took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
                if adopted.is_none() && began_here.is_some() {
                    let key = format!("{}/{}", self.state.plan.operation, self.state.step(node).id);
                    transaction.batch.put(Table::History, &key, &took_ms)?;
                }
                let summary = outcome.summary;
                let status =
                    StepStatus::Done { began, at: now, summary: summary.clone(), adopted: adopted.clone() };
                let facts = (outcome.facts != Facts::default()).then(|| Box::new(outcome.facts));
                if let Some(facts) = &facts {
                    self.state.facts.add(Facts::clone(facts));
                }
                self.set(transaction, node, StepRow { status, intent: None, facts, ..row })?;
                events.push((node, What::Done { summary, took_ms, adopted }));
                Ok(Concluded::Over)
            }
            StepEnd::Failed { failure } => {
                let retry = self.state.step(node).retry;
                let tries = self.tries.get(&node).copied().unwrap_or(1);
                let worth = failure.class == FailureClass::Temporary && !self.control.is_cancelled();
                if worth && tries < retry.attempts {
                    let pause = retry.pause.duration().saturating_mul(1 << (tries - 1).min(16));
                    let retry_in_ms = Some(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
                    self.set(transaction, node, row)?;
                    events.push((node, What::Failed { failure, retry_in_ms }));
                    return Ok(Concluded::Again(pause));
                }
                let status = StepStatus::Failed { at: now, failure: failure.clone() };
                self.set(transaction, node, StepRow { status, ..row })?;
                events.push((node, What::Failed { failure, retry_in_ms: None }));
                Ok(Concluded::Over)
            }
            StepEnd::Parked { question, unreachable } => {
                let status =
                    StepStatus::Parked { attempt: row.attempts, at: now, question: question.clone() };
                let intent = row.intent.clone().filter(|_| unreachable);
                self.set(transaction, node, StepRow { status, intent, ..row })?;
                events.push((node, What::Parked { question }));
                Ok(Concluded::Parked)
            }
        }
    }

    fn conclude_done(
        &self,
        transaction: &mut Transaction,
        node: NodeIndex,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        if self.state.step(node).host == self.engine.host {
            return transaction.conclude(&self.engine, self.state.run(), outcome);
        }
        // The other host has entered its own records. This one's record is on tape now, too.
        if let Some(tape) = &outcome.facts.on_tape {
            let changes = super::finish::on_tape(&transaction.catalog, tape);
            transaction.change(&self.engine, &changes);
        }
        Ok(())
    }

    fn set(
        &mut self,
        transaction: &mut Transaction,
        node: NodeIndex,
        row: StepRow,
    ) -> Result<(), StoreError> {
        let key = step_key(self.state.run(), self.state.place(node));
        transaction.batch.put(Table::Steps, &key, &row)?;
        self.held -= usize::from(is_held(&self.state, node));
        *self.state.row_mut(node) = row;
        self.held += usize::from(is_held(&self.state, node));
        Ok(())
    }

    /// Begins a step whose intent is durable; or, if it was interrupted, asks what became of it first.
    fn launch(&mut self, node: NodeIndex, attempt: u32, intent: Intent, interrupted: bool) {
        let task = launch::task(self, node, attempt);
        let host = self.state.step(node).host.clone();
        let _ = self.control.works().insert(node, (task.work.clone(), host.clone()));
        self.running += 1;
        let (engine, sender) = (Arc::clone(&self.engine), self.sender.clone());
        drop(tokio::spawn(async move {
            let (end, again) = if host == engine.host {
                launch::here(&engine, task, intent, interrupted).await
            } else {
                launch::there(&engine, task, host).await
            };
            // The driver outlives what it has launched.
            let _ = sender.send(Message::Ended { node, end: Box::new(end), again });
        }));
    }

    /// Tries a step again after a pause: in the loop it counts as running, and comes back as free.
    fn launch_later(&mut self, node: NodeIndex, pause: Duration) {
        self.running += 1;
        let (sender, control) = (self.sender.clone(), Arc::clone(&self.control));
        drop(tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = control.until_cancelled() => {}
            }
            // The driver outlives what it has launched.
            let _ = sender.send(Message::Again { node });
        }));
    }

    /// Tells what one turn came to.
    fn tell(&self, events: Vec<(NodeIndex, What)>) {
        let (time, run) = (self.engine.clock.now(), self.state.run());
        let event = |(node, what)| {
            let step = self.state.step(node);
            let (step, host) = (Some(step.id.clone()), Some(step.host.clone()));
            Event { time, run: run.clone(), step, host, what }
        };
        self.engine.logs.tell_all(run, &events.into_iter().map(event).collect::<Vec<_>>());
    }
}

/// Whether a step runs between quiesce and the record of the backup. Nothing is stopped while one does: what is held is
/// released sooner that way.
fn is_held(state: &RunState, node: NodeIndex) -> bool {
    let held = matches!(
        state.step(node).action,
        Action::Quiesce(_) | Action::Split(_) | Action::Thaw(_) | Action::Record(_)
    );
    held && matches!(state.row_of(node).status, StepStatus::Started { .. })
}

/// What the end of a step means for the run.
enum Concluded {
    Over,
    Again(Duration),
    Parked,
}
