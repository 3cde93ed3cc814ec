//! What a turn of the loop makes durable of one step: its intent, or how it ended. Each is an event of the journal, and
//! a part of the turn's commit.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use petgraph::graph::NodeIndex;
use resplit_operations::{action::Action, record::CatalogChange};
use resplit_steps::{
    contract::{Intent, Outcome},
    drivers::clocks::Since,
    facts::{Facts, Window},
    failure::{Failure, FailureClass},
};

use super::{
    drive::{Driver, is_held},
    finish,
    journal::{runs::RunEvent, steps::StepEvent},
    launch, load, set_back,
};
use crate::{
    protocol::{Again, StepEnd, What},
    rows::{self, StepState, TookMs},
    store::StoreError,
    transaction::Transaction,
};

/// What the end of a step means for the run.
pub(super) enum Concluded {
    Over,
    /// These are tried again after a pause.
    Again(Vec<NodeIndex>, Duration),
    Parked,
}

/// What is told of a turn.
pub(super) type Told = Vec<(NodeIndex, What)>;

impl Driver {
    /// Prepares a step and adds its intent to the commit; or says why it cannot begin.
    pub(super) async fn intend(
        &mut self,
        transaction: &mut Transaction,
        node: NodeIndex,
    ) -> Result<Result<(u32, Intent), Failure>, Failure> {
        let attempt = self.state.row_of(node).attempts.saturating_add(1);
        let _ = self.began.insert(node, (self.engine.clock.now(), Instant::now()));
        *self.tries.entry(node).or_default() += 1;
        let step = self.state.step(node).clone();
        let intent = if step.host == self.engine.host {
            let task = launch::task(self, node, attempt);
            match task.prepare(&self.engine, transaction.catalog.clone()).await {
                Ok(intent) => intent,
                Err(failure) => return Ok(Err(failure)),
            }
        } else {
            Intent { changes: self.marks(transaction, &step.action), ..Intent::default() }
        };
        transaction.intend(&self.engine, self.state.run(), &step.id, &intent)?;
        let event = StepEvent::Intended { attempt, at: self.engine.clock.now(), intent: intent.clone() };
        self.note(transaction, node, &event)?;
        Ok(Ok((attempt, intent)))
    }

    /// What the coordinator's own catalog loses by a step of another host: a restore from tape overwrites a secondary
    /// there, and this host's records of it are stale before it begins.
    fn marks(&self, transaction: &Transaction, action: &Action) -> Vec<CatalogChange> {
        let Action::TapeRestore(restore) = action else { return Vec::new() };
        if restore.to.is_some() {
            return Vec::new();
        }
        let reason = format!("restore from tape by run {}", self.state.run());
        let groups: Vec<_> = self.binding.pairs.values().map(|bound| &bound.pair.copy_group).collect();
        let hit = transaction.catalog.iter().filter(|record| groups.iter().any(|group| record.is_on(group)));
        hit.map(|record| CatalogChange::MarkStale { id: record.id, reason: reason.clone() }).collect()
    }

    /// Adds how a step ended to the commit; `again` is why it ran again, or ran on, if it did.
    pub(super) fn conclude(
        &mut self,
        transaction: &mut Transaction,
        node: NodeIndex,
        end: StepEnd,
        again: Option<Again>,
        told: &mut Told,
    ) -> Result<Concluded, Failure> {
        let row = self.state.row_of(node);
        // What could not be prepared has not been intended: its try is the next one.
        let attempt = if row.is_started() { row.attempts } else { row.attempts.saturating_add(1) };
        // One that was interrupted began under an engine that is gone; how long it took says nothing of the next.
        let began_here = self.began.get(&node).copied();
        let now = self.engine.clock.now();
        let began = match (began_here, &row.state) {
            (Some((began, _)), _) => began,
            (None, StepState::Started { at, .. }) => *at,
            (None, _) => now,
        };
        let took = began_here.map(|(_, since)| since.elapsed());
        // Whatever became of the wall clock meanwhile, a step ends as long after it began as it took.
        let at = took.and_then(|took| began.checked_add(took).ok()).unwrap_or(now);
        if let Some(how) = again {
            self.note(transaction, node, &StepEvent::TakenUp { attempt, how })?;
        }
        match end {
            StepEnd::Done { outcome, adopted } => {
                let is_seen = adopted.is_none() && began_here.is_some();
                if matches!(self.state.step(node).action, Action::Quiesce(_)) {
                    let _ = self.opened.insert(node, Since::now());
                }
                self.conclude_done(transaction, node, &outcome)?;
                let took_ms = took.map_or(0, |took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
                if is_seen {
                    let key = format!("{}/{}", self.state.plan.operation, self.state.step(node).id);
                    rows::put(&mut transaction.batch, &key, &TookMs(took_ms))?;
                }
                let (summary, window) = (outcome.summary, outcome.facts.window);
                let facts = (outcome.facts != Facts::default()).then(|| Box::new(outcome.facts));
                if let Some(facts) = &facts {
                    self.state.facts.add(Facts::clone(facts));
                }
                let event = StepEvent::Done {
                    attempt,
                    began,
                    at,
                    summary: summary.clone(),
                    adopted: adopted.clone(),
                    facts,
                };
                self.note(transaction, node, &event)?;
                told.push((node, What::Done { summary, took_ms, adopted }));
                self.measured(transaction, window)?;
                self.window_ended(transaction, node, told)
            }
            StepEnd::Failed { failure } => {
                self.conclude_failed(transaction, node, (attempt, at), failure, told)
            }
            StepEnd::Parked { question, unreachable } => {
                let event = StepEvent::Parked { attempt, at, question: question.clone(), unreachable };
                self.note(transaction, node, &event)?;
                told.push((node, What::Parked { question }));
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
            let changes = finish::on_tape(&transaction.catalog, tape);
            transaction.change(&self.engine, &changes);
        }
        Ok(())
    }

    fn conclude_failed(
        &mut self,
        transaction: &mut Transaction,
        node: NodeIndex,
        (attempt, at): (u32, Timestamp),
        failure: Failure,
        told: &mut Told,
    ) -> Result<Concluded, Failure> {
        let retry = self.state.step(node).retry;
        let tries = self.tries.get(&node).copied().unwrap_or(1);
        let worth = failure.class == FailureClass::Temporary && !self.control.is_cancelled();
        if worth && tries < retry.attempts {
            let pause = retry.pause.duration().saturating_mul(1 << (tries - 1).min(16));
            let retry_in_ms = Some(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
            let event = StepEvent::Retried { attempt, at, failure: failure.clone() };
            self.note(transaction, node, &event)?;
            told.push((node, What::Failed { failure, retry_in_ms }));
            return Ok(Concluded::Again(vec![node], pause));
        }
        let event = StepEvent::Failed { attempt, at, failure: failure.clone() };
        self.note(transaction, node, &event)?;
        let is_thaw = matches!(self.state.step(node).action, Action::Thaw(_));
        let window = failure.window.filter(|_| is_thaw);
        told.push((node, What::Failed { failure, retry_in_ms: None }));
        self.measured(transaction, window)?;
        self.window_ended(transaction, node, told)
    }

    /// Adds the length of a window to what is kept of the run.
    fn measured(&mut self, transaction: &mut Transaction, window: Option<Window>) -> Result<(), Failure> {
        let Some(window) = window else { return Ok(()) };
        self.state.apply_to_run(&RunEvent::Measured { window })?;
        Ok(load::put_row(&mut transaction.batch, &self.state.row)?)
    }

    /// What follows a window that a thaw has ended: one that was over its budget runs again, from the resyncs on, for
    /// every pair of it, as often as the `retry` of its quiesce says.
    fn window_ended(
        &mut self,
        transaction: &mut Transaction,
        node: NodeIndex,
        told: &mut Told,
    ) -> Result<Concluded, Failure> {
        if !matches!(self.state.step(node).action, Action::Thaw(_)) || self.control.is_cancelled() {
            return Ok(Concluded::Over);
        }
        let Some(quiesce) = set_back::over_budget(&self.state, node) else { return Ok(Concluded::Over) };
        let (retry, opened) =
            (self.state.step(quiesce).retry, self.tries.get(&quiesce).copied().unwrap_or(1));
        if opened >= retry.attempts {
            return Ok(Concluded::Over);
        }
        let because = match self.state.row.windows.last() {
            Some(window) => format!(
                "the window was over its budget of {} ms: it was thawed after {} ms",
                window.budget_ms, window.length_ms
            ),
            None => "the window was over its budget".to_owned(),
        };
        let back = set_back::repeat_window(&mut self.state, quiesce, node, &because)?;
        if back.is_empty() {
            return Ok(Concluded::Over);
        }
        for node in &back {
            self.state.put_step(&mut transaction.batch, *node)?;
            let _ = self.began.remove(node);
            if *node != quiesce {
                let _ = self.tries.remove(node);
            }
        }
        let names: Vec<_> = back.iter().map(|node| self.state.step(*node).id.to_string()).collect();
        let text = format!(
            "{because}; window {} of {} follows: {} run again",
            opened.saturating_add(1),
            retry.attempts,
            names.join(", ")
        );
        told.push((node, What::Note { text }));
        let first = back.into_iter().filter(|node| self.state.is_free(*node)).collect();
        Ok(Concluded::Again(first, retry.pause.duration()))
    }

    /// Makes a step what an event makes of it, and adds its row to the commit.
    pub(super) fn note(
        &mut self,
        transaction: &mut Transaction,
        node: NodeIndex,
        event: &StepEvent,
    ) -> Result<(), Failure> {
        let before = is_held(&self.state, node);
        self.state.apply(node, event)?;
        self.state.put_step(&mut transaction.batch, node)?;
        self.held = (self.held + usize::from(is_held(&self.state, node))).saturating_sub(usize::from(before));
        Ok(())
    }
}
