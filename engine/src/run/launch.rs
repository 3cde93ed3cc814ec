//! Begins one step: on this host, or by asking the engine of another.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use petgraph::graph::NodeIndex;
use resplit_operations::{
    action::Action,
    ids::HostId,
    operation::{On, QuiesceMode},
    pair::Tag,
    plan::PlanStep,
};
use resplit_steps::{context::Work, contract::Intent, failure::FailureClass};

use super::{
    attempt::{Ended, attempt},
    drive::Driver,
};
use crate::{
    client::ClientError,
    engine::Engine,
    failures,
    peers::{PAUSE, TRIES},
    protocol::{Event, StepEnd, StepMessage, StepRequest, What},
    work::{OpenWindow, Task},
};

/// Progress is told at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// What a step is given.
pub(crate) fn task(driver: &Driver, node: NodeIndex, attempt: u32) -> Task {
    let step = driver.state.step(node).clone();
    let token = driver.binding.tokens.get(&driver.engine.host).copied().unwrap_or_default();
    Task {
        operation: driver.state.plan.operation.clone(),
        purpose: driver.state.plan.purpose,
        run: driver.state.run().clone(),
        work: reporting(&driver.engine, driver, &step, attempt),
        step,
        attempt,
        site: Arc::clone(&driver.site),
        binding: Arc::clone(&driver.binding),
        facts: driver.state.facts_of(node),
        token,
        window: window(driver, node),
    }
}

/// The window inside which a step stands, if something is held still in it: since when, and its budget. `online` holds
/// nothing: its budget is what is told, and stops nobody. What undoes something, or runs whatever happened, has its own
/// time.
fn window(driver: &Driver, node: NodeIndex) -> Option<OpenWindow> {
    let opened = driver.state.facts.quiesced?;
    let step = driver.state.step(node);
    let (Action::Split(_) | Action::Command(_)) = &step.action else { return None };
    if step.on != On::Success || driver.state.owner(node).is_some() {
        return None;
    }
    let quiesce = driver.state.window_of(node)?;
    match &driver.state.step(quiesce).action {
        Action::Quiesce(of) if of.mode == QuiesceMode::Freeze => {
            let since = *driver.opened.get(&quiesce)?;
            Some(OpenWindow { opened, since, budget: of.window })
        }
        _ => None,
    }
}

fn reporting(engine: &Arc<Engine>, driver: &Driver, step: &PlanStep, attempt: u32) -> Work {
    let (engine, run) = (Arc::downgrade(engine), driver.state.run().clone());
    let tag = Tag::of(&run, &step.id, attempt);
    let (step, host) = (step.id.clone(), step.host.clone());
    let last = std::sync::Mutex::new(None::<std::time::Instant>);
    Work::new(move |progress| {
        let now = std::time::Instant::now();
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.is_some_and(|last| now.duration_since(last) < PROGRESS_EVERY) {
            return;
        }
        *last = Some(now);
        let Some(engine) = engine.upgrade() else { return };
        engine.progress.note(&tag, progress);
        engine.logs.tell(Event {
            time: engine.clock.now(),
            run: run.clone(),
            step: Some(step.clone()),
            host: Some(host.clone()),
            what: What::Progress { progress },
        });
    })
}

/// Runs a step on this host.
pub(crate) async fn here(engine: &Arc<Engine>, task: Task, intent: Intent, interrupted: bool) -> Ended {
    let ended =
        attempt(engine, &task, &intent, interrupted, |again| note(engine, &task, again.words())).await;
    engine.progress.forget(&Tag::of(&task.run, &task.step.id, task.attempt));
    ended
}

fn note(engine: &Engine, task: &Task, text: String) {
    engine.logs.tell(Event {
        time: engine.clock.now(),
        run: task.run.clone(),
        step: Some(task.step.id.clone()),
        host: Some(task.step.host.clone()),
        what: What::Note { text },
    });
}

/// Asks the engine of another host to run a step. A line that is cut is taken up again: the same try is attached to, or
/// answered, never repeated. A host that stays out of reach is not a dead one: the step is parked, at once if nothing but
/// an operator can change it.
pub(crate) async fn there(engine: &Arc<Engine>, task: Task, host: HostId) -> Ended {
    let request = request(engine, &task);
    let mut patience = Patience::with(engine, &task, &host);
    loop {
        let (text, help) = match ask(engine, &task, &host, &request).await {
            Ok((end, again)) => {
                if let Some(again) = &again {
                    note(engine, &task, again.words());
                }
                return (end, again);
            }
            Err(Trouble::Refused(failure)) => return (StepEnd::Failed { failure }, None),
            Err(Trouble::Barred(failure)) => (failure.message, failure.help),
            Err(Trouble::Line(text, heard)) => {
                if patience.is_left(heard) && !task.work.is_cancelled() {
                    if patience.is_news(&text) {
                        note(engine, &task, format!("{text}; asking again"));
                    }
                    tokio::time::sleep(patience.pause()).await;
                    continue;
                }
                (text, None)
            }
        };
        let help = help.map(|help| format!("; {help}")).unwrap_or_default();
        let question =
            format!("host '{host}' cannot be reached ({text}){help}: is it back? answer redo to ask again");
        return (StepEnd::Parked { question, unreachable: true }, None);
    }
}

/// The longest pause before a host is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a host that is out of reach is asked again: on this machine a few times, on another as long as the site says.
struct Patience {
    failed: u32,
    since: Instant,
    wait: Option<Duration>,
    pause: Duration,
    last: String,
}

impl Patience {
    fn with(engine: &Engine, task: &Task, host: &HostId) -> Self {
        let far = task.site.hosts.get(host).filter(|_| engine.peers.is_far(&task.site, host));
        let wait = far.map(|far| far.wait().duration());
        Self { failed: 0, since: Instant::now(), wait, pause: PAUSE, last: String::new() }
    }

    /// Notes one more try in vain; whether another is worth it. A line that carried something was a good one: it is not
    /// the host that is out of reach.
    fn is_left(&mut self, heard: bool) -> bool {
        if heard {
            (self.failed, self.since, self.pause) = (0, Instant::now(), PAUSE);
            return true;
        }
        self.failed += 1;
        self.wait.map_or(self.failed < TRIES, |wait| self.since.elapsed() < wait)
    }

    fn is_news(&mut self, text: &str) -> bool {
        let is_news = self.last != text;
        text.clone_into(&mut self.last);
        is_news
    }

    fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// What another host's engine is given to run a step.
pub(crate) fn request(engine: &Engine, task: &Task) -> StepRequest {
    StepRequest {
        coordinator: engine.host.clone(),
        operation: task.operation.clone(),
        purpose: task.purpose,
        run: task.run.clone(),
        step: task.step.clone(),
        attempt: task.attempt,
        site: (*task.site).clone(),
        binding: (*task.binding).clone(),
        facts: task.facts.clone(),
        token: task.token,
    }
}

enum Trouble {
    /// The other engine says no.
    Refused(resplit_steps::failure::Failure),
    /// No engine there is to be had before an operator has done something: it is not known what became of the step.
    Barred(resplit_steps::failure::Failure),
    /// The line is cut: in which words, and whether anything was heard before.
    Line(String, bool),
}

async fn ask(
    engine: &Arc<Engine>,
    task: &Task,
    host: &HostId,
    request: &StepRequest,
) -> Result<Ended, Trouble> {
    let of = |error: ClientError, heard: bool| match error {
        ClientError::Refused(refusal) => Trouble::Refused(refusal.failure),
        ClientError::Away(failure) if failure.class == FailureClass::Refused => Trouble::Barred(failure),
        ClientError::NotRunning(_) | ClientError::Broken(_) | ClientError::Away(_) => {
            Trouble::Line(error.to_string(), heard)
        }
        other => Trouble::Refused(failures::of_client(other)),
    };
    let client = engine.peers.client(&task.site, host).await.map_err(|failure| match failure.class {
        FailureClass::Refused => Trouble::Barred(failure),
        _ => Trouble::Line(failure.message, false),
    })?;
    let mut messages = client.step(request).await.map_err(|error| of(error, false))?;
    let mut heard = false;
    while let Some(message) = messages.next().await {
        match message.map_err(|error| of(error, heard))? {
            StepMessage::Progress { progress } => task.work.report(progress),
            StepMessage::Beat => {}
            StepMessage::Ended { end, again } => return Ok((*end, again)),
        }
        heard = true;
    }
    Err(Trouble::Line(format!("the engine of host '{host}' closed the line"), heard))
}
