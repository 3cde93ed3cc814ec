//! What holds whatever the plan is and however its steps end.

use petgraph::graph::NodeIndex;
use proptest::prelude::*;
use resplit_operations::operation::On;

use super::plans::{fate, plan, simulate, state, steps, well};
use crate::{
    rows::StepState,
    run::{set_back, state::RunState},
};

fn began(state: &RunState, node: NodeIndex) -> bool {
    matches!(state.row_of(node).state, StepState::Done { .. } | StepState::Failed { .. })
}

/// Whether a success-step must not run after this one: said in the words of the contract, by recursion.
fn spoils(state: &RunState, node: NodeIndex) -> bool {
    match (&state.row_of(node).state, state.owner(node)) {
        (StepState::Failed { .. }, _) => true,
        (StepState::Skipped { .. }, Some(owner)) => spoils(state, owner),
        (StepState::Skipped { .. }, None) => state.step(node).on != On::Failure,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_step_is_decided_once_and_as_the_ends_of_its_needs_say(steps in steps(), fate in fate()) {
        let mut state = state(plan(&steps));
        let trace = simulate(&mut state, &fate);
        let at = |node: NodeIndex| trace.ran.iter().position(|ran| *ran == node);
        for node in state.order().to_vec() {
            prop_assert_eq!(trace.decided.get(&node), Some(&1), "decided exactly once");
            prop_assert_eq!(began(&state, node), at(node).is_some(), "all that ran has ended");
            for need in state.needs(node) {
                prop_assert!(at(node).is_none_or(|begun| at(need).is_none_or(|before| before < begun)));
            }
            if let Some(owner) = state.owner(node) {
                prop_assert_eq!(began(&state, node), began(&state, owner), "a finally-step runs iff its owner began");
                continue;
            }
            let spoilt = state.needs(node).any(|need| spoils(&state, need));
            match state.step(node).on {
                On::Always => prop_assert!(began(&state, node)),
                On::Failure => prop_assert_eq!(began(&state, node), spoilt),
                On::Success if fate.cancel.is_none() => prop_assert_eq!(began(&state, node), !spoilt),
                On::Success => prop_assert!(!(began(&state, node) && spoilt)),
            }
        }
    }

    #[test]
    fn a_resumed_run_catches_up_and_repeats_nothing_that_stands(steps in steps(), fate in fate()) {
        let mut state = state(plan(&steps));
        let first = simulate(&mut state, &fate);
        let done: Vec<_> = state.order().iter().copied().filter(|node| {
            matches!(state.row_of(*node).state, StepState::Done { .. })
        }).collect();
        let bad: Vec<_> = state.order().iter().copied().filter(|node| spoils(&state, *node)).collect();
        let back = set_back::resume(&mut state).unwrap();
        prop_assert_eq!(back.is_empty(), bad.is_empty(), "a run in which all went well has nothing to catch up on");
        for node in &bad {
            prop_assert!(back.contains(node));
        }
        let second = simulate(&mut state, &well());
        for node in state.order().to_vec() {
            prop_assert!(second.decided.get(&node).copied().unwrap_or(0) <= 1);
            prop_assert_eq!(second.decided.contains_key(&node), back.contains(&node));
            let skipped = matches!(state.row_of(node).state, StepState::Skipped { .. });
            let idle = state.step(state.root(node)).on == On::Failure;
            prop_assert!(began(&state, node) || (skipped && idle), "in the end all is done");
            if done.contains(&node) && !back.contains(&node) {
                prop_assert!(!second.ran.contains(&node));
            }
        }
        // Nothing runs between a step and its finally-step while what the first did is undone.
        let ran: Vec<NodeIndex> = first.ran.iter().chain(&second.ran).copied().collect();
        for last in state.order().to_vec() {
            let Some(owner) = state.owner(last) else { continue };
            // What waits for a failure that is not there any more is not done again, and hinders nothing.
            if state.step(state.root(owner)).on == On::Failure {
                continue;
            }
            let inside = state.between(&[owner], last);
            let mut is_undone = false;
            for node in &ran {
                match *node {
                    node if node == owner => is_undone = false,
                    node if node == last => is_undone = true,
                    node if inside.contains(&node) => prop_assert!(!is_undone),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn each_step_and_edge_is_looked_at_once(steps in steps(), fate in fate()) {
        let mut state = state(plan(&steps));
        let edges = state.plan.graph().edge_count();
        let followers: usize = state.order().iter().map(|node| state.needs(*node).count()).sum();
        prop_assert_eq!(followers, edges, "an undone step is an edge like any other");
        let trace = simulate(&mut state, &fate);
        prop_assert_eq!(trace.decided.len(), steps.len());
        prop_assert!(state.visits <= steps.len() + edges, "{} visits", state.visits);
    }

    #[test]
    fn what_is_counted_on_the_way_is_what_is_counted_after_loading(steps in steps(), fate in fate()) {
        let mut state = state(plan(&steps));
        let _ = simulate(&mut state, &fate);
        let counted: Vec<_> = state.order().iter().map(|node| state.bad_need(*node)).collect();
        state.recount();
        let loaded: Vec<_> = state.order().iter().map(|node| state.bad_need(*node)).collect();
        prop_assert_eq!(counted, loaded);
        prop_assert_eq!(state.free(), Vec::new());
    }
}
