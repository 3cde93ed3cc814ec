//! Steps that are drawn as one block: those of one host that run after the same end of the same
//! steps and are waited for by the same, such as the splits of several volumes. One line then stands for all of theirs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use resplit_operations::{ids::HostId, plan::Plan};

use super::graph::{Line, hosts, lines};

/// One step, or several that stand together in a frame.
pub(super) struct Block {
    /// The steps, in topological order.
    pub(super) steps: Vec<usize>,
    /// The row: the longest way from a first step, in steps.
    pub(super) row: usize,
    /// The host's number.
    pub(super) lane: usize,
}

/// The blocks of a plan, and the lines between them; blocks are numbered as their first steps are ordered.
pub(super) fn blocks(plan: &Plan) -> (Vec<Block>, Vec<Line>) {
    let steps = plan.steps();
    let lines = lines(plan);
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    let mut alone = BTreeSet::new();
    for line in &lines {
        before[line.to].push(line.from);
        after[line.from].push(line.to);
        if line.finally {
            alone.extend([line.from, line.to]);
        }
    }
    let lane_of: HashMap<&HostId, usize> = hosts(plan).into_iter().zip(0..).collect();
    let mut rows: Vec<usize> = Vec::with_capacity(steps.len());
    let mut blocks: Vec<Block> = Vec::new();
    let mut block_of: Vec<usize> = Vec::with_capacity(steps.len());
    let mut known = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        let row = before[at].iter().map(|&need| rows[need] + 1).max().unwrap_or_default();
        rows.push(row);
        let lane = lane_of.get(&step.host).copied().unwrap_or_default();
        before[at].sort_unstable();
        after[at].sort_unstable();
        // What undoes or is undone stands by itself, as does what hangs on nothing.
        let single = alone.contains(&at) || (before[at].is_empty() && after[at].is_empty());
        let alike = (single.then_some(at), lane, step.on as u8, before[at].clone(), after[at].clone());
        let block = *known.entry(alike).or_insert(blocks.len());
        if block == blocks.len() {
            blocks.push(Block { steps: Vec::new(), row, lane });
        }
        blocks[block].steps.push(at);
        block_of.push(block);
    }
    let between: BTreeSet<(usize, usize, bool)> =
        lines.iter().map(|line| (block_of[line.from], block_of[line.to], line.finally)).collect();
    (blocks, between.into_iter().map(|(from, to, finally)| Line { from, to, finally }).collect())
}
