//! A plan: an immutable DAG of steps, hashed, carrying all that it means, so that a run is not changed by a later
//! edit of the files it came from.

pub(crate) mod names;
mod order;

use std::collections::{BTreeSet, HashMap};

use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Deserialize, Serialize};

use crate::{
    action::{Action, Retry},
    ids::{HostId, LibraryId, OperationId, StepId, VolumeId},
    operation::On,
    pair::{PairRef, verdict::ArrayVerb},
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
    /// To make pairs, at an operator's word, as for the verbs that follow.
    PairCreate,
    /// To make secondaries equal to their primaries.
    PairResync,
    /// To leave images that no backup describes.
    PairSplit,
    /// To copy images back, whether or not a backup describes them.
    PairRestore,
    /// To dissolve pairs.
    PairDelete,
}

impl Purpose {
    /// The verb, where an operator asked one of pairs.
    pub const fn pair_verb(self) -> Option<ArrayVerb> {
        match self {
            Self::PairCreate => Some(ArrayVerb::Create),
            Self::PairResync => Some(ArrayVerb::Resync),
            Self::PairSplit => Some(ArrayVerb::Split),
            Self::PairRestore => Some(ArrayVerb::Restore),
            Self::PairDelete => Some(ArrayVerb::Delete),
            Self::Backup
            | Self::RestoreFromDisk
            | Self::RestoreFromTape
            | Self::FilesFromDisk
            | Self::FilesFromTape => None,
        }
    }

    /// What is asked of pairs by a verb; `None` where no plan does that.
    pub const fn of_pair_verb(verb: ArrayVerb) -> Option<Self> {
        match verb {
            ArrayVerb::Create => Some(Self::PairCreate),
            ArrayVerb::Resync => Some(Self::PairResync),
            ArrayVerb::Split => Some(Self::PairSplit),
            ArrayVerb::Restore => Some(Self::PairRestore),
            ArrayVerb::Delete => Some(Self::PairDelete),
            _ => None,
        }
    }

    /// What it is for, in words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::RestoreFromDisk => "restore from disk",
            Self::RestoreFromTape => "restore from tape",
            Self::FilesFromDisk => "files from disk",
            Self::FilesFromTape => "files from tape",
            Self::PairCreate => "pair create",
            Self::PairResync => "pair resync",
            Self::PairSplit => "pair split",
            Self::PairRestore => "pair restore",
            Self::PairDelete => "pair delete",
        }
    }
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
    by_id: HashMap<StepId, NodeIndex>,
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
    /// A path is not UTF-8, so that the plan could be neither hashed nor kept.
    #[error("the plan cannot be written down: {0}; use paths that are UTF-8")]
    NotText(String),
}

impl Plan {
    /// Makes a plan of steps in any order. Edges run from what is needed to what needs it; nodes stand in topological
    /// order. A `finally` step needs the step that it undoes, whether or not that was written. O(V+E), no recursion.
    pub fn new(data: PlanData) -> Result<Self, PlanError> {
        let steps = order::in_order(data.steps)?;
        let mut graph = DiGraph::with_capacity(steps.len(), steps.len());
        let mut by_id = HashMap::with_capacity(steps.len());
        for step in steps {
            let id = step.id.clone();
            let node = graph.add_node(step);
            let _ = by_id.insert(id, node);
        }
        for node in graph.node_indices() {
            let before: Vec<NodeIndex> = graph[node].needs.iter().map(|id| by_id[id]).collect();
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
        names::check(&plan.site, plan.graph.node_weights())?;
        let bytes = serde_json::to_vec(&plan).map_err(|e| PlanError::NotText(e.to_string()))?;
        plan.hash = blake3::hash(&bytes).to_hex().to_string();
        Ok(plan)
    }

    /// The steps, each after all that it needs; among those that are free, in the order of their names.
    pub fn topological(&self) -> Vec<NodeIndex> {
        self.graph.node_indices().collect()
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
        self.graph.node_weights().collect()
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
            if let Some((id, volume)) =
                step.action.volume().and_then(|id| self.site.volumes.get_key_value(id))
            {
                let _ = all.insert((volume.primary.host.clone(), Resource::Volume(volume.base(id).clone())));
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
        // What is asked of pairs depends on those in front of and behind them, which nobody may change meanwhile.
        let touches_pairs = !all.is_empty();
        for (id, volume) in self.site.neighbours.iter().filter(|_| touches_pairs) {
            let _ = all.insert((volume.primary.host.clone(), Resource::Volume(volume.base(id).clone())));
        }
        all
    }

    /// Every pair of a volume, in the order of generations.
    pub fn pairs(&self, volume: &VolumeId) -> Vec<PairRef> {
        self.site.pairs(volume)
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
