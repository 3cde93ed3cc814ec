//! A plan: an immutable DAG of steps, hashed, carrying all that it means, so that a run is not changed by a later
//! edit of the files it came from.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::{Direction, graph::DiGraph, graph::NodeIndex};
use serde::{Deserialize, Serialize};

use crate::{
    action::{Action, Retry},
    ids::{HostId, LibraryId, OperationId, StepId, VolumeId},
    operation::On,
    pair::PairRef,
    site::Site,
    units::Period,
};

/// One node of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// Its name, unique within the plan.
    pub id: StepId,
    /// The host it runs on.
    pub host: HostId,
    /// What it does.
    pub action: Action,
    /// The steps that must have ended before.
    pub needs: Vec<StepId>,
    /// After which end of those it runs.
    #[serde(default)]
    pub on: On,
    /// How often a temporary failure is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// How long one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// The step that undoes this one: it runs once its needs have ended, however, if this one has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finally: Option<StepId>,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To make a backup.
    Backup,
    /// To restore a volume from the image on its secondary.
    RestoreFromDisk,
    /// To restore a volume from a dataset on tape.
    RestoreFromTape,
    /// To copy files out of the image on a secondary; no primary is touched.
    FilesFromDisk,
    /// To read files from a dataset on tape; no primary or secondary is touched.
    FilesFromTape,
}

/// What a run holds for itself while it runs. Sorts in the order in which leases are taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// The pairs of a volume.
    Volume(VolumeId),
    /// A drive of a library.
    Drive(LibraryId),
}

/// An immutable DAG of steps. The host of every volume's primary is one and the same: it coordinates.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The operation.
    pub operation: OperationId,
    /// What it is for.
    pub purpose: Purpose,
    /// The host that coordinates: the one with the primaries.
    pub coordinator: HostId,
    /// The parts of the site that the plan names, with absolute paths.
    pub site: Site,
    graph: DiGraph<PlanStep, ()>,
    by_id: BTreeMap<StepId, NodeIndex>,
    hash: String,
}

/// The serialised form of a plan: its steps in topological order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanData {
    /// See [`Plan::operation`].
    pub operation: OperationId,
    /// See [`Plan::purpose`].
    pub purpose: Purpose,
    /// See [`Plan::coordinator`].
    pub coordinator: HostId,
    /// See [`Plan::site`].
    pub site: Site,
    /// The steps.
    pub steps: Vec<PlanStep>,
}

/// Why steps do not make a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Two steps have one name.
    #[error("two steps are named '{0}'")]
    DuplicateStep(StepId),
    /// A step needs, or finally runs, one that does not exist.
    #[error("step '{step}' names '{missing}', which does not exist")]
    MissingStep {
        /// The step.
        step: StepId,
        /// What it names.
        missing: StepId,
    },
    /// Steps need each other in a circle.
    #[error("steps need each other in a circle: {}", .0.iter().map(StepId::as_str).collect::<Vec<_>>().join(" -> "))]
    Cycle(Vec<StepId>),
    /// A step names something that the site does not have.
    #[error("step '{step}' names {what}, which the site does not have")]
    NotInSite {
        /// The step.
        step: StepId,
        /// What it names, in words.
        what: String,
    },
}

impl Plan {
    /// Makes a plan of steps in any order. Edges run from what is needed to what needs it. O(V+E), no recursion.
    pub fn new(data: PlanData) -> Result<Self, PlanError> {
        let mut graph = DiGraph::with_capacity(data.steps.len(), data.steps.len());
        let mut by_id = BTreeMap::new();
        for step in data.steps {
            let id = step.id.clone();
            let node = graph.add_node(step);
            if by_id.insert(id.clone(), node).is_some() {
                return Err(PlanError::DuplicateStep(id));
            }
        }
        for node in graph.node_indices() {
            let step = &graph[node];
            let named = step.needs.iter().chain(&step.finally);
            if let Some(missing) = named.clone().find(|id| !by_id.contains_key(*id)) {
                return Err(PlanError::MissingStep { step: step.id.clone(), missing: missing.clone() });
            }
            let before: BTreeSet<NodeIndex> = step.needs.iter().map(|id| by_id[id]).collect();
            for earlier in before {
                let _ = graph.add_edge(earlier, node, ());
            }
        }
        let mut plan = Self {
            operation: data.operation,
            purpose: data.purpose,
            coordinator: data.coordinator,
            site: data.site,
            graph,
            by_id,
            hash: String::new(),
        };
        let order = plan.topological()?;
        plan.check_names(&order)?;
        plan.hash = plan.compute_hash();
        Ok(plan)
    }

    /// The steps, each after all that it needs; among those that are free, in the order of their names.
    pub fn topological(&self) -> Result<Vec<NodeIndex>, PlanError> {
        let mut missing: Vec<usize> = self
            .graph
            .node_indices()
            .map(|n| self.graph.neighbors_directed(n, Direction::Incoming).count())
            .collect();
        let mut free: BTreeSet<(&StepId, NodeIndex)> = self
            .graph
            .node_indices()
            .filter(|n| missing[n.index()] == 0)
            .map(|n| (&self.graph[n].id, n))
            .collect();
        let mut order = Vec::with_capacity(self.graph.node_count());
        while let Some((_, node)) = free.pop_first() {
            order.push(node);
            for next in self.graph.neighbors_directed(node, Direction::Outgoing) {
                missing[next.index()] -= 1;
                if missing[next.index()] == 0 {
                    let _ = free.insert((&self.graph[next].id, next));
                }
            }
        }
        if order.len() == self.graph.node_count() {
            Ok(order)
        } else {
            Err(PlanError::Cycle(self.cycle(&missing)))
        }
    }

    /// One whole cycle, among the nodes that are never free: walk back along needs until a node comes again.
    fn cycle(&self, missing: &[usize]) -> Vec<StepId> {
        let Some(mut node) = self.graph.node_indices().find(|n| missing[n.index()] > 0) else {
            return Vec::new();
        };
        let mut seen = BTreeMap::new();
        let mut path = Vec::new();
        while seen.insert(node, path.len()).is_none() {
            path.push(node);
            let before =
                self.graph.neighbors_directed(node, Direction::Incoming).find(|n| missing[n.index()] > 0);
            match before {
                Some(before) => node = before,
                None => return Vec::new(),
            }
        }
        let first = seen.get(&node).copied().unwrap_or_default();
        let start = path.iter().position(|n| *n == node).unwrap_or(first);
        let mut names: Vec<StepId> = path[start..].iter().map(|n| self.graph[*n].id.clone()).collect();
        names.reverse();
        if let Some(first) = names.first().cloned() {
            names.push(first);
        }
        names
    }

    fn check_names(&self, order: &[NodeIndex]) -> Result<(), PlanError> {
        for node in order {
            let step = &self.graph[*node];
            let missing = |what: String| PlanError::NotInSite { step: step.id.clone(), what };
            if !self.site.hosts.contains_key(&step.host) {
                return Err(missing(format!("host '{}'", step.host)));
            }
            if let Some(volume) = step.action.volume().filter(|v| !self.site.volumes.contains_key(*v)) {
                return Err(missing(format!("volume '{volume}'")));
            }
            let library = match &step.action {
                Action::TapeBackup(tape) => Some(&tape.library),
                Action::TapeRestore(tape) => Some(&tape.library),
                _ => None,
            };
            if let Some(library) = library.filter(|l| !self.site.libraries.contains_key(*l)) {
                return Err(missing(format!("library '{library}'")));
            }
        }
        Ok(())
    }

    fn compute_hash(&self) -> String {
        // A struct of strings and numbers always serialises.
        let bytes = serde_json::to_vec(&self.data()).unwrap_or_default();
        blake3::hash(&bytes).to_hex().to_string()
    }

    /// BLAKE3, in hexadecimal, of all that the plan says, whatever order it was written in.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The graph; edges run from what is needed to what needs it.
    pub const fn graph(&self) -> &DiGraph<PlanStep, ()> {
        &self.graph
    }

    /// A step by its name.
    pub fn step(&self, id: &StepId) -> Option<&PlanStep> {
        self.by_id.get(id).map(|node| &self.graph[*node])
    }

    /// A node by its step's name.
    pub fn node(&self, id: &StepId) -> Option<NodeIndex> {
        self.by_id.get(id).copied()
    }

    /// The steps in topological order.
    pub fn steps(&self) -> Vec<&PlanStep> {
        // A plan that was made is without cycles.
        self.topological().unwrap_or_default().into_iter().map(|n| &self.graph[n]).collect()
    }

    /// The serialised form.
    pub fn data(&self) -> PlanData {
        PlanData {
            operation: self.operation.clone(),
            purpose: self.purpose,
            coordinator: self.coordinator.clone(),
            site: self.site.clone(),
            steps: self.steps().into_iter().cloned().collect(),
        }
    }

    /// What the run leases, and on which host, in the one order in which leases are taken.
    pub fn resources(&self) -> BTreeSet<(HostId, Resource)> {
        let mut all = BTreeSet::new();
        for step in self.graph.node_weights() {
            if let Some(volume) = step.action.volume().and_then(|id| self.site.volumes.get_key_value(id)) {
                let _ = all.insert((volume.1.primary.host.clone(), Resource::Volume(volume.0.clone())));
            }
            let library = match &step.action {
                Action::TapeBackup(tape) => &tape.library,
                Action::TapeRestore(tape) => &tape.library,
                _ => continue,
            };
            if let Some(found) = self.site.libraries.get(library) {
                let _ = all.insert((found.host.clone(), Resource::Drive(library.clone())));
            }
        }
        all
    }

    /// Every pair of a volume, in the order of generations.
    pub fn pairs(&self, volume: &VolumeId) -> Vec<PairRef> {
        let Some(found) = self.site.volumes.get(volume) else { return Vec::new() };
        (0..)
            .zip(&found.pairs)
            .map(|(generation, pair)| PairRef {
                volume: volume.clone(),
                copy_group: pair.copy_group.clone(),
                generation,
                primary: found.primary.path.clone(),
                secondary: pair.secondary.path.clone(),
            })
            .collect()
    }
}

impl Serialize for Plan {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.data().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(PlanData::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
