//! A run in memory: its plan, and a row for each step. Every question about the graph is answered in O(V+E) over the
//! whole life of the run: each end of a step visits its outgoing edges once.

use petgraph::{Direction, graph::NodeIndex};
use resplit_operations::{
    action::Action,
    ids::RunId,
    operation::On,
    plan::{Plan, PlanStep, Purpose},
};
use resplit_steps::facts::Facts;

use super::journal::{
    Illegal,
    runs::{self, RunEvent},
    steps::{self, StepEvent},
};
use crate::{
    rows::{self, RunRow, StepRow, StepState, step_key},
    store::{Batch, StoreError},
};

/// What the needs of a step have come to. Each adds to it once, when it ends.
#[derive(Clone, Copy, Default)]
struct Needs {
    /// Those that have not ended.
    missing: u32,
    /// The first of those that ended so that the step must not run, in topological order.
    bad: Option<NodeIndex>,
}

/// A run in memory.
pub(crate) struct RunState {
    pub row: RunRow,
    pub plan: Plan,
    pub facts: Facts,
    /// The steps' rows, by their place in topological order.
    pub steps: Vec<StepRow>,
    /// Node -> place in topological order, and back.
    place: Vec<usize>,
    order: Vec<NodeIndex>,
    /// The step whose `finally` a step is, by node.
    owner: Vec<Option<NodeIndex>>,
    /// The step at the end of the chain of owners, by node; of a step without an owner, itself.
    root: Vec<NodeIndex>,
    /// The step that undoes a step, by node.
    finally: Vec<Option<NodeIndex>>,
    /// Each quiesce with the thaw that ends its window.
    windows: Vec<(NodeIndex, NodeIndex)>,
    /// The quiesce of the window inside which a step stands, by node; quiesce and thaw are not inside.
    inside: Vec<Option<NodeIndex>>,
    /// Whether more than one backup is recorded.
    has_several_records: bool,
    /// What each step's needs have come to, by node.
    waits: Vec<Needs>,
    /// How many steps and edges were looked at.
    #[cfg(test)]
    pub visits: usize,
}

impl RunState {
    /// A run with these rows, in the plan's topological order.
    pub(crate) fn new(row: RunRow, plan: Plan, steps: Vec<StepRow>) -> Self {
        let order = plan.topological();
        let count = order.len();
        let mut place = vec![0; count];
        for (index, node) in order.iter().enumerate() {
            place[node.index()] = index;
        }
        let mut owner = vec![None; count];
        let mut finally = vec![None; count];
        for node in &order {
            let target = plan.graph()[*node].finally.as_ref().and_then(|id| plan.node(id));
            finally[node.index()] = target;
            if let Some(target) = target {
                owner[target.index()] = Some(*node);
            }
        }
        let mut root = order.clone();
        for node in &order {
            // A finally-step stands after what it undoes.
            root[node.index()] = owner[node.index()].map_or(*node, |owner| root[owner.index()]);
        }
        let mut state = Self {
            row,
            plan,
            facts: Facts::default(),
            steps,
            place,
            order,
            owner,
            root,
            finally,
            windows: Vec::new(),
            inside: vec![None; count],
            has_several_records: false,
            waits: vec![Needs::default(); count],
            #[cfg(test)]
            visits: 0,
        };
        state.has_several_records = state.those(|action| matches!(action, Action::Record(_))).len() > 1;
        state.find_windows();
        state.recount();
        state
    }

    fn find_windows(&mut self) {
        let is_quiesce = |node: &NodeIndex| matches!(self.step(*node).action, Action::Quiesce(_));
        let quiesces = self.order.iter().copied().filter(is_quiesce);
        self.windows = quiesces.filter_map(|node| Some((node, self.finally[node.index()]?))).collect();
        for (quiesce, thaw) in self.windows.clone() {
            for node in self.between(&[quiesce], thaw) {
                if node != quiesce && node != thaw {
                    self.inside[node.index()] = Some(quiesce);
                }
            }
        }
    }

    /// Counts needs and facts anew, from the rows: after loading, and after steps were set back.
    pub(crate) fn recount(&mut self) {
        self.facts = Facts::default();
        for (node, waits) in self.plan.graph().node_indices().zip(&mut self.waits) {
            let missing = self.plan.graph().neighbors_directed(node, Direction::Incoming).count();
            *waits = Needs { missing: u32::try_from(missing).unwrap_or(u32::MAX), bad: None };
        }
        for place in 0..self.order.len() {
            if let Some(facts) = self.steps[place].facts().cloned() {
                self.facts.add(facts);
            }
            if self.steps[place].is_over() {
                let _ = self.note_end(self.order[place]);
            }
        }
    }

    /// The first need of a step, in topological order, after whose end it must not run.
    pub(crate) fn bad_need(&self, node: NodeIndex) -> Option<NodeIndex> {
        self.waits[node.index()].bad
    }

    /// Whether what needs a step must not run: it failed, or it was skipped although it should have run. A step that waits
    /// for a failure and saw none is no failure; a finally-step that was skipped counts as what it would have undone.
    pub(crate) fn is_bad(&self, node: NodeIndex) -> bool {
        match self.row_of(node).state {
            StepState::Failed { .. } => true,
            StepState::Skipped { .. } => self.step(self.root(node)).on != On::Failure,
            _ => false,
        }
    }

    /// What a step waits for; the step that it undoes is among them.
    #[cfg(test)]
    pub(crate) fn needs(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> + '_ {
        self.plan.graph().neighbors_directed(node, Direction::Incoming)
    }

    /// Steps that wait for nothing any more and have not begun.
    pub(crate) fn free(&self) -> Vec<NodeIndex> {
        self.order.iter().copied().filter(|node| self.is_free(*node)).collect()
    }

    /// Whether a step waits for nothing any more and has not begun, or is to be tried again.
    pub(crate) fn is_free(&self, node: NodeIndex) -> bool {
        let begins = matches!(self.row_of(node).state, StepState::Waiting | StepState::Retrying { .. });
        begins && self.waits[node.index()].missing == 0
    }

    /// Notes that a step is over; gives the steps that wait for nothing any more.
    pub(crate) fn note_end(&mut self, node: NodeIndex) -> Vec<NodeIndex> {
        let bad = self.is_bad(node).then_some(node);
        let mut free = Vec::new();
        let mut followers = self.plan.graph().neighbors(node).detach();
        while let Some(follower) = followers.next_node(self.plan.graph()) {
            let waits = &mut self.waits[follower.index()];
            waits.missing = waits.missing.saturating_sub(1);
            waits.bad = [waits.bad, bad].into_iter().flatten().min();
            if waits.missing == 0 && self.row_of(follower).is_waiting() {
                free.push(follower);
            }
        }
        #[cfg(test)]
        {
            self.visits += 1 + self.plan.graph().neighbors(node).count();
        }
        free
    }

    pub(crate) const fn run(&self) -> &RunId {
        &self.row.run
    }

    pub(crate) fn order(&self) -> &[NodeIndex] {
        &self.order
    }

    pub(crate) fn place(&self, node: NodeIndex) -> usize {
        self.place[node.index()]
    }

    pub(crate) fn owner(&self, node: NodeIndex) -> Option<NodeIndex> {
        self.owner[node.index()]
    }

    /// What the chain of finally-steps that a step belongs to undoes in the end; a step that undoes nothing is its own.
    pub(crate) fn root(&self, node: NodeIndex) -> NodeIndex {
        self.root[node.index()]
    }

    pub(crate) fn step(&self, node: NodeIndex) -> &PlanStep {
        &self.plan.graph()[node]
    }

    pub(crate) fn row_of(&self, node: NodeIndex) -> &StepRow {
        &self.steps[self.place[node.index()]]
    }

    /// Makes a step what the journal says that it is after an event.
    pub(crate) fn apply(&mut self, node: NodeIndex, event: &StepEvent) -> Result<(), Illegal> {
        let place = self.place[node.index()];
        self.steps[place] = steps::transition(&self.steps[place], event)?;
        Ok(())
    }

    /// Makes the run what the journal says that it is after an event.
    pub(crate) fn apply_to_run(&mut self, event: &RunEvent) -> Result<(), Illegal> {
        self.row = runs::transition(&self.row, event)?;
        Ok(())
    }

    /// Adds a step's row to a batch.
    pub(crate) fn put_step(&self, batch: &mut Batch, node: NodeIndex) -> Result<(), StoreError> {
        rows::put(batch, &step_key(self.run(), self.place(node)), self.row_of(node))
    }

    /// The steps from `first` (themselves included) that lead to `last` (itself included). O(V+E), no recursion.
    pub(crate) fn between(&self, first: &[NodeIndex], last: NodeIndex) -> Vec<NodeIndex> {
        let after = self.reach(first, Direction::Outgoing);
        let before = self.reach(&[last], Direction::Incoming);
        self.order.iter().copied().filter(|node| after[node.index()] && before[node.index()]).collect()
    }

    /// These steps, and what needs them, directly or not. O(V+E), no recursion.
    pub(crate) fn after(&self, first: &[NodeIndex]) -> Vec<NodeIndex> {
        let after = self.reach(first, Direction::Outgoing);
        self.order.iter().copied().filter(|node| after[node.index()]).collect()
    }

    /// These steps, and all that has to run again with them: what needs them, directly or not, and where that undoes a
    /// step, that step. O(V+E), no recursion.
    pub(crate) fn again(&self, first: &[NodeIndex]) -> Vec<NodeIndex> {
        let mut seen = vec![false; self.order.len()];
        let mut open = first.to_vec();
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut seen[node.index()], true) {
                continue;
            }
            for follower in self.plan.graph().neighbors(node) {
                open.push(follower);
                open.extend(self.owner[follower.index()]);
            }
        }
        self.order.iter().copied().filter(|node| seen[node.index()]).collect()
    }

    /// What a step is told of the run. Where a run makes several backups, each goes its own way: then a step knows what the
    /// steps before it have established, and nothing of the others. O(V+E) then, and else nothing.
    pub(crate) fn facts_of(&self, node: NodeIndex) -> Facts {
        if !self.has_several_records {
            return self.facts.clone();
        }
        let before = self.reach(&[node], Direction::Incoming);
        let mut facts = Facts::default();
        for earlier in self.order.iter().filter(|earlier| before[earlier.index()] && **earlier != node) {
            if let Some(established) = self.row_of(*earlier).facts().cloned() {
                facts.add(established);
            }
        }
        facts
    }

    fn reach(&self, from: &[NodeIndex], direction: Direction) -> Vec<bool> {
        let mut seen = vec![false; self.order.len()];
        let mut open = from.to_vec();
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut seen[node.index()], true) {
                open.extend(self.plan.graph().neighbors_directed(node, direction));
            }
        }
        seen
    }

    /// The windows of the plan: each quiesce with the thaw that ends it.
    pub(crate) fn windows(&self) -> &[(NodeIndex, NodeIndex)] {
        &self.windows
    }

    /// The quiesce of the window inside which a step stands, if it does.
    pub(crate) fn window_of(&self, node: NodeIndex) -> Option<NodeIndex> {
        self.inside[node.index()]
    }

    /// The resyncs of the plan.
    pub(crate) fn resyncs(&self) -> Vec<NodeIndex> {
        self.those(|action| matches!(action, Action::Resync(_)))
    }

    /// The steps that do something to the pairs that were chosen, rather than to an image whose epoch they check.
    pub(crate) fn on_pairs(&self) -> Vec<NodeIndex> {
        self.those(|action| match action {
            Action::PurgeCache(_)
            | Action::Resync(_)
            | Action::Split(_)
            | Action::AbortSplit(_)
            | Action::Delete(_) => true,
            Action::TapeRestore(restore) => restore.to.is_none(),
            Action::Restore(restore) => restore.to.is_none(),
            _ => false,
        })
    }

    /// Whether no step has begun, or been decided about.
    pub(crate) fn is_untouched(&self) -> bool {
        self.steps.iter().all(StepRow::is_waiting)
    }

    /// Whether a step was begun of which it is not known how it ended.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.steps.iter().any(StepRow::is_started)
    }

    /// Whether the image that a run makes is not there yet: no record describes it.
    pub(crate) fn has_no_image_yet(&self) -> bool {
        let made = self.those(|action| match action {
            Action::Record(_) => self.plan.purpose == Purpose::Backup,
            Action::TapeRestore(restore) => restore.to.is_none(),
            _ => false,
        });
        made.into_iter().any(|node| !self.row_of(node).is_done())
    }

    fn those(&self, wanted: impl Fn(&Action) -> bool) -> Vec<NodeIndex> {
        self.order.iter().copied().filter(|node| wanted(&self.step(*node).action)).collect()
    }
}
