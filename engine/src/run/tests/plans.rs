//! Random plans, and a pure simulator of a run over them.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use petgraph::graph::NodeIndex;
use proptest::prelude::*;
use resplit_operations::{
    action::{Action, Command, Retry},
    ids::{RunId, StepId},
    operation::On,
    plan::{Plan, PlanData, PlanStep, Purpose},
    site::{Host, Site},
};
use resplit_steps::{contract::Intent, failure::Failure};

use crate::{
    protocol::{RunOptions, RunStatus},
    rows::{RunRow, StepRow},
    run::{
        decide::{Decision, decide},
        journal::steps::StepEvent,
        state::RunState,
    },
};

/// How the steps of a random plan end, and in which order those that run at once do.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    /// By name: whether the step fails when it runs.
    pub fails: Vec<bool>,
    /// Which of the running steps ends next.
    pub order: Vec<usize>,
    /// After how many ends the run is cancelled.
    pub cancel: Option<usize>,
}

/// What a simulated run did.
#[derive(Default)]
pub(super) struct Trace {
    /// The steps that ran, in the order in which they began.
    pub ran: Vec<NodeIndex>,
    /// How often each was decided about.
    pub decided: BTreeMap<NodeIndex, u32>,
}

fn name(index: usize) -> StepId {
    StepId(format!("s{index:03}"))
}

/// A command of no account.
pub(super) fn command() -> Action {
    Action::Command(Command { argv: vec!["ok".to_owned()], environment: BTreeMap::new(), accept: vec![0] })
}

/// A plan of these steps: needs and finally-step by index, and on which end they run.
pub(crate) fn plan(steps: &[(Vec<usize>, On, Option<usize>)]) -> Plan {
    let step = |(index, (needs, on, finally)): (usize, &(Vec<usize>, On, Option<usize>))| PlanStep {
        id: name(index),
        host: "here".into(),
        action: command(),
        needs: needs.iter().copied().map(name).collect(),
        on: *on,
        retry: Retry::default(),
        timeout: None,
        finally: finally.map(name),
    };
    let here = Host::local("/state");
    Plan::new(PlanData {
        operation: "documents".into(),
        purpose: Purpose::Backup,
        coordinator: "here".into(),
        site: Site {
            neighbours: [].into(),
            transports: [].into(),
            hosts: [("here".into(), here)].into(),
            volumes: BTreeMap::new(),
            libraries: BTreeMap::new(),
        },
        steps: steps.iter().enumerate().map(step).collect(),
    })
    .unwrap()
}

/// A new run of a plan.
pub(crate) fn state(plan: Plan) -> RunState {
    let steps = plan.graph().node_count();
    let mut row =
        RunRow::accepted(RunId::from("documents-1"), &plan, RunOptions::default(), Timestamp::UNIX_EPOCH);
    row.status = RunStatus::Running;
    RunState::new(row, plan, vec![StepRow::new(); steps])
}

prop_compose! {
    fn step(index: usize)(
        needs in proptest::collection::vec(0..index.max(1), 0..3),
        on in prop_oneof![4 => Just(On::Success), 1 => Just(On::Failure), 1 => Just(On::Always)],
        finally in proptest::option::weighted(0.3, index + 1..index + 5),
    ) -> (Vec<usize>, On, Option<usize>) {
        let mut needs = if index == 0 { Vec::new() } else { needs };
        needs.sort_unstable();
        needs.dedup();
        (needs, on, finally)
    }
}

/// Random steps, in topological order; each is the finally-step of at most one other.
pub(super) fn steps() -> impl Strategy<Value = Vec<(Vec<usize>, On, Option<usize>)>> {
    let all = (2_usize..16).prop_flat_map(|count| (0..count).map(step).collect::<Vec<_>>());
    all.prop_map(|mut steps| {
        let count = steps.len();
        let mut undoes = vec![false; count];
        for index in 0..count {
            let target = steps[index].2.filter(|target| *target < count && !undoes[*target]);
            if let Some(target) = target {
                undoes[target] = true;
                steps[target].1 = On::Success;
                if !steps[target].0.contains(&index) {
                    steps[target].0.push(index);
                }
            }
            steps[index].2 = target;
        }
        steps
    })
}

/// A random fate.
pub(super) fn fate() -> impl Strategy<Value = Fate> {
    (
        proptest::collection::vec(proptest::bool::weighted(0.25), 16),
        proptest::collection::vec(0_usize..16, 16),
        proptest::option::weighted(0.2, 0_usize..10),
    )
        .prop_map(|(fails, order, cancel)| Fate { fails, order, cancel })
}

/// A fate in which all goes well.
pub(super) fn well() -> Fate {
    Fate { fails: vec![false; 16], order: vec![0; 16], cancel: None }
}

/// Runs a state as far as it goes, as the driver does.
pub(super) fn simulate(state: &mut RunState, fate: &Fate) -> Trace {
    let (mut trace, mut running, mut ends) = (Trace::default(), Vec::new(), 0);
    let mut free: VecDeque<NodeIndex> = state.free().into();
    loop {
        while let Some(node) = free.pop_front() {
            *trace.decided.entry(node).or_default() += 1;
            let cancelled = fate.cancel.is_some_and(|after| ends >= after);
            match decide(state, node, cancelled) {
                Decision::Run => {
                    begin(state, node);
                    trace.ran.push(node);
                    running.push(node);
                }
                Decision::Skip(because) => {
                    state.apply(node, &StepEvent::Skipped { because }).unwrap();
                    free.extend(state.note_end(node));
                }
            }
        }
        if running.is_empty() {
            return trace;
        }
        let node = running.swap_remove(fate.order[ends % fate.order.len()] % running.len());
        ends += 1;
        end(state, node, fate.fails[index(state, node)]);
        free.extend(state.note_end(node));
    }
}

/// Which step of the plan as written a node is.
pub(super) fn index(state: &RunState, node: NodeIndex) -> usize {
    state.step(node).id.as_str()[1..].parse().unwrap()
}

/// Begins a step.
pub(super) fn begin(state: &mut RunState, node: NodeIndex) {
    let attempt = state.row_of(node).attempts + 1;
    let intended = StepEvent::Intended { attempt, at: Timestamp::UNIX_EPOCH, intent: Intent::default() };
    state.apply(node, &intended).unwrap();
}

/// Ends a step that was begun, well or not.
pub(super) fn end(state: &mut RunState, node: NodeIndex, fails: bool) {
    let (attempt, at) = (state.row_of(node).attempts, Timestamp::UNIX_EPOCH);
    let event = if fails {
        StepEvent::Failed { attempt, at, failure: Failure::permanent("it broke") }
    } else {
        let (summary, adopted, facts) = (String::new(), None, None);
        StepEvent::Done { attempt, began: at, at, summary, adopted, facts }
    };
    state.apply(node, &event).unwrap();
}
