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
use resplit_steps::{context::Work, contract::Intent, drivers::clocks::Since, failure::Failure};
use tokio::sync::{Notify, mpsc, watch};

use super::{
    conclude::{Concluded, Told},
    decide::{Decision, decide},
    journal::steps::StepEvent,
    launch,
    state::RunState,
};
use crate::{
    engine::Engine,
    protocol::{Again, Event, StepEnd, What},
    rows::StepState,
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
    Ended { node: NodeIndex, end: Box<StepEnd>, again: Option<Again> },
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
    pub(super) held: usize,
    /// When each began, by the wall clock for people, and by one that nobody sets for how long it took.
    pub(super) began: BTreeMap<NodeIndex, (Timestamp, Instant)>,
    /// When each quiesce that ended here opened its window, by a clock that nobody sets and no suspend stops.
    pub(super) opened: BTreeMap<NodeIndex, Since>,
    /// Tries of this turn of the run, which is what `retry` limits.
    pub(super) tries: BTreeMap<NodeIndex, u32>,
}

impl Driver {
    pub(crate) fn new(engine: Arc<Engine>, state: RunState, control: Arc<Control>, binding: Binding) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let site = Arc::new(state.plan.site.clone());
        let (binding, began, tries) = (Arc::new(binding), BTreeMap::new(), BTreeMap::new());
        let opened = BTreeMap::new();
        let held = state.order().iter().filter(|node| is_held(&state, **node)).count();
        Self {
            engine,
            state,
            control,
            binding,
            site,
            sender,
            receiver,
            running: 0,
            held,
            began,
            opened,
            tries,
        }
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
            if let StepState::Started { intent, .. } = row.state {
                self.launch(node, row.attempts, intent, true);
            }
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
        let started = |node: &NodeIndex| self.state.row_of(*node).is_started();
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
        let mut told = Told::new();
        let mut begin: Vec<(NodeIndex, u32, Intent)> = Vec::new();
        let mut later: Vec<(NodeIndex, Duration)> = Vec::new();
        for message in messages {
            self.running -= 1;
            match message {
                Message::Ended { node, end, again } => {
                    let _ = self.control.works().remove(&node);
                    let concluded = self.conclude(&mut transaction, node, *end, again, &mut told)?;
                    self.follow(node, concluded, &mut free, &mut later);
                }
                Message::Again { node } => free.push_back(node),
            }
        }
        while let Some(node) = free.pop_front() {
            // What it needs may have been set back since.
            if !self.state.is_free(node) {
                continue;
            }
            let (cancelled, retries) = (self.control.is_cancelled(), !self.state.row_of(node).is_waiting());
            if retries && cancelled {
                // It has begun, and so has failed: what undoes it runs.
                self.note(&mut transaction, node, &StepEvent::Cancelled { at: engine.clock.now() })?;
                told.push((node, What::Failed { failure: Failure::cancelled(), retry_in_ms: None }));
                self.follow(node, Concluded::Over, &mut free, &mut later);
                continue;
            }
            // What is tried again was decided about when it first began.
            let decision = if retries { Decision::Run } else { decide(&self.state, node, cancelled) };
            if let Decision::Skip(because) = decision {
                self.note(&mut transaction, node, &StepEvent::Skipped { because: because.clone() })?;
                told.push((node, What::Skipped { because }));
                self.follow(node, Concluded::Over, &mut free, &mut later);
                continue;
            }
            match self.intend(&mut transaction, node).await? {
                Ok((attempt, intent)) => begin.push((node, attempt, intent)),
                Err(failure) => {
                    let end = StepEnd::Failed { failure };
                    let concluded = self.conclude(&mut transaction, node, end, None, &mut told)?;
                    self.follow(node, concluded, &mut free, &mut later);
                }
            }
        }
        transaction.commit(&engine).await?;
        drop(shared);
        let started = |(node, attempt, _): &(_, u32, _)| (*node, What::Started { attempt: *attempt });
        told.extend(begin.iter().map(started));
        self.tell(told);
        for (node, attempt, intent) in begin {
            self.launch(node, attempt, intent, false);
        }
        for (node, pause) in later {
            self.launch_later(node, pause);
        }
        Ok(())
    }

    /// Adds what follows the end of a step to what is free, now or later.
    fn follow(
        &mut self,
        node: NodeIndex,
        concluded: Concluded,
        free: &mut VecDeque<NodeIndex>,
        later: &mut Vec<(NodeIndex, Duration)>,
    ) {
        match concluded {
            Concluded::Over => free.extend(self.state.note_end(node)),
            Concluded::Again(nodes, pause) => later.extend(nodes.into_iter().map(|node| (node, pause))),
            Concluded::Parked => {}
        }
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
    fn tell(&self, told: Told) {
        let (time, run) = (self.engine.clock.now(), self.state.run());
        let event = |(node, what)| {
            let step = self.state.step(node);
            let (step, host) = (Some(step.id.clone()), Some(step.host.clone()));
            Event { time, run: run.clone(), step, host, what }
        };
        self.engine.logs.tell_all(run, &told.into_iter().map(event).collect::<Vec<_>>());
    }
}

/// Whether a step runs between quiesce and the record of the backup. Nothing is stopped while one does: what is held is
/// released sooner that way.
pub(super) fn is_held(state: &RunState, node: NodeIndex) -> bool {
    let held = matches!(
        state.step(node).action,
        Action::Quiesce(_) | Action::Split(_) | Action::Thaw(_) | Action::Record(_)
    );
    held && state.row_of(node).is_started()
}
