//! Single cases of what is set back when a run is resumed.

use petgraph::graph::NodeIndex;
use resplit_operations::operation::On;

use super::plans::{Fate, index, plan, simulate, state, well};
use crate::run::{set_back, state::RunState};

type Steps = [(Vec<usize>, On, Option<usize>)];

fn indices(state: &RunState, nodes: &[NodeIndex]) -> Vec<usize> {
    let mut all: Vec<_> = nodes.iter().map(|node| index(state, *node)).collect();
    all.sort_unstable();
    all
}

/// The steps that run again after those in `failed` did not end well the first time.
fn again(steps: &Steps, failed: &[usize]) -> Vec<usize> {
    let mut state = state(plan(steps));
    let mut fate = Fate { cancel: None, ..well() };
    for index in failed {
        fate.fails[*index] = true;
    }
    let _ = simulate(&mut state, &fate);
    let _ = set_back::resume(&mut state).unwrap();
    let second = simulate(&mut state, &well());
    indices(&state, &second.ran)
}

#[test]
fn a_hook_that_waits_for_a_failure_takes_nothing_back_that_follows_it() {
    // 0, then a hook for its failure, then 2 whatever the hook did, then 3, which fails.
    let steps = [
        (vec![], On::Success, None),
        (vec![0], On::Failure, None),
        (vec![0, 1], On::Success, None),
        (vec![2], On::Success, None),
    ];
    assert_eq!(again(&steps, &[3]), [3]);
}

#[test]
fn what_was_undone_is_done_again_before_what_needs_it() {
    // mount, tape-backup, unmount, confirm.
    let steps = [
        (vec![], On::Success, Some(2)),
        (vec![0], On::Success, None),
        (vec![0, 1], On::Success, None),
        (vec![1, 2], On::Success, None),
    ];
    assert_eq!(again(&steps, &[1]), [0, 1, 2, 3]);
    assert_eq!(again(&steps, &[2]), [2, 3], "what could not be undone is only undone");
    assert_eq!(again(&steps, &[3]), [3]);
}

#[test]
fn a_finally_step_that_had_nothing_to_undo_lets_nothing_run_that_follows_it() {
    // A failure, what is skipped for it, its finally-step, and what needs that one alone.
    let steps = [
        (vec![], On::Success, None),
        (vec![0], On::Success, Some(2)),
        (vec![1], On::Success, None),
        (vec![2], On::Success, None),
    ];
    let mut state = state(plan(&steps));
    let mut fate = well();
    fate.fails[0] = true;
    let first = simulate(&mut state, &fate);
    assert_eq!(indices(&state, &first.ran), [0]);
}
