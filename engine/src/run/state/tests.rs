//! Plans of any shape, run in memory: every step ends, each decision is what its needs make of it, each step and edge is
//! looked at once, and what is counted on the way is what is counted after loading.

use std::collections::VecDeque;

use proptest::prelude::*;
use resplit_operations::{
    action::{Action, Confirm, Retry},
    ids::{OperationId, StepId},
    plan::{Plan, PlanData, PlanStep, Purpose},
};
use resplit_steps::failure::Failure;

use super::*;
use crate::{
    protocol::{RunOptions, RunStatus},
    run::decide::{Decision, decide},
};

/// A step as it is drawn: which earlier ones it needs, after which end of them it runs, and how it ends.
#[derive(Clone, Debug)]
struct Drawn {
    needs: Vec<prop::sample::Index>,
    on: On,
    fails: bool,
}

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let on = prop_oneof![6 => Just(On::Success), 1 => Just(On::Failure), 1 => Just(On::Always)];
    let needs = prop::collection::vec(any::<prop::sample::Index>(), 0..6);
    let step =
        (needs, on, prop::bool::weighted(0.1)).prop_map(|(needs, on, fails)| Drawn { needs, on, fails });
    prop::collection::vec(step, 1..60)
}

fn id(index: usize) -> StepId {
    StepId(format!("s{index:03}"))
}

fn state(drawn: &[Drawn]) -> RunState {
    let needs = |at: usize, step: &Drawn| -> Vec<StepId> {
        if at == 0 { Vec::new() } else { step.needs.iter().map(|need| id(need.index(at))).collect() }
    };
    let steps = drawn.iter().enumerate().map(|(at, step)| PlanStep {
        id: id(at),
        host: "here".into(),
        action: Action::Confirm(Confirm::default()),
        needs: needs(at, step),
        on: step.on,
        retry: Retry::default(),
        timeout: None,
        finally: None,
    });
    let site = serde_json::json!({
        "hosts": { "here": { "connect": "local", "state": "/state" } }, "volumes": {}, "libraries": {}
    });
    let operation = OperationId("any".to_owned());
    let plan = Plan::new(PlanData {
        operation: operation.clone(),
        purpose: Purpose::Backup,
        coordinator: "here".into(),
        site: serde_json::from_value(site).unwrap(),
        steps: steps.collect(),
    });
    let plan = plan.unwrap();
    let row = RunRow {
        run: RunId("any-1".to_owned()),
        operation,
        purpose: Purpose::Backup,
        status: RunStatus::Running,
        accepted: jiff::Timestamp::UNIX_EPOCH,
        ended: None,
        steps: 0,
        plan: plan.hash().to_owned(),
        options: RunOptions::default(),
        binding: None,
        unreleased: Vec::new(),
        result: Vec::new(),
    };
    let rows = vec![StepRow::waiting(0); plan.graph().node_count()];
    RunState::new(row, plan, rows)
}

/// Whether a need stands in the way, as it is defined: asked of the whole graph each time.
fn is_bad(state: &RunState, node: NodeIndex) -> bool {
    let mut needs = state.plan.graph().neighbors_directed(node, Direction::Incoming);
    match state.row_of(node).status {
        StepStatus::Failed { .. } => true,
        StepStatus::Skipped { .. } => {
            let failed = |need| matches!(state.row_of(need).status, StepStatus::Failed { .. });
            state.step(node).on != On::Failure || needs.any(failed)
        }
        _ => false,
    }
}

fn end(state: &RunState, node: NodeIndex, drawn: &[Drawn]) -> StepStatus {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let drawn = &drawn[state.step(node).id.as_str()[1..].parse::<usize>().unwrap()];
    match decide(state, node, false) {
        Decision::Skip(because) => StepStatus::Skipped { because },
        Decision::Run if drawn.fails => {
            StepStatus::Failed { at, failure: Failure::permanent("it was drawn so") }
        }
        Decision::Run => StepStatus::Done { began: at, at, summary: String::new(), adopted: None },
    }
}

proptest! {
    #[test]
    fn each_step_and_edge_is_looked_at_once(drawn in drawn()) {
        let mut state = state(&drawn);
        let size = state.plan.graph().node_count() + state.plan.graph().edge_count();
        let mut free = VecDeque::from(state.free());
        let mut ended = 0;
        while let Some(node) = free.pop_front() {
            let needs = state.plan.graph().neighbors_directed(node, Direction::Incoming);
            prop_assert!(needs.clone().all(|need| is_over(state.row_of(need))));
            let bad = needs.filter(|need| is_bad(&state, *need)).min();
            prop_assert_eq!(state.bad_need(node), bad);
            let runs = match state.step(node).on {
                On::Always => true,
                On::Failure => bad.is_some(),
                On::Success => bad.is_none(),
            };
            prop_assert_eq!(decide(&state, node, false) == Decision::Run, runs);
            state.row_mut(node).status = end(&state, node, &drawn);
            free.extend(state.note_end(node));
            ended += 1;
        }
        prop_assert_eq!(ended, state.plan.graph().node_count());
        prop_assert!(state.visits <= size, "{} visits of {size}", state.visits);
    }

    #[test]
    fn a_run_that_is_loaded_goes_on_as_it_would_have(drawn in drawn(), stop in any::<prop::sample::Index>()) {
        let mut state = state(&drawn);
        let mut free = VecDeque::from(state.free());
        for _ in 0..stop.index(drawn.len()) {
            let Some(node) = free.pop_front() else { break };
            state.row_mut(node).status = end(&state, node, &drawn);
            free.extend(state.note_end(node));
        }
        let loaded = RunState::new(state.row.clone(), state.plan.clone(), state.steps.clone());
        let mut waiting: Vec<_> = free.into();
        waiting.sort();
        prop_assert_eq!(loaded.free(), waiting.clone());
        for node in waiting {
            prop_assert_eq!(decide(&loaded, node, false), decide(&state, node, false));
        }
    }
}
