//! Puts the steps of a plan in topological order, or names the circle that they make. A step is known here by its
//! place among the names, so that comparing two is comparing two numbers.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use super::{PlanError, PlanStep};
use crate::ids::StepId;

/// The steps, each after all that it needs; among those that are free, in the order of their names. Their `needs` come
/// out sorted and each named once, and a `finally` step needs the step that it undoes.
pub(super) fn in_order(mut steps: Vec<PlanStep>) -> Result<Vec<PlanStep>, PlanError> {
    steps.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    if let Some(twice) = steps.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(PlanError::DuplicateStep(twice[0].id.clone()));
    }
    let earlier = earlier(&steps)?;
    let order = order(&steps, &earlier)?;
    let needs: Vec<Vec<StepId>> =
        earlier.iter().map(|list| list.iter().map(|&index| steps[index].id.clone()).collect()).collect();
    for (step, needs) in steps.iter_mut().zip(needs) {
        step.needs = needs;
    }
    let mut slots: Vec<Option<PlanStep>> = steps.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|index| slots[index].take()).collect())
}

/// For each step those that it needs, sorted, each once.
fn earlier(steps: &[PlanStep]) -> Result<Vec<Vec<usize>>, PlanError> {
    let places: HashMap<&StepId, usize> = steps.iter().map(|step| &step.id).zip(0..).collect();
    let place = |step: &PlanStep, named: &StepId| {
        let missing = || PlanError::MissingStep { step: step.id.clone(), missing: named.clone() };
        places.get(named).copied().ok_or_else(missing)
    };
    let mut earlier: Vec<Vec<usize>> = steps
        .iter()
        .map(|step| step.needs.iter().map(|named| place(step, named)).collect())
        .collect::<Result<_, _>>()?;
    for (index, step) in steps.iter().enumerate() {
        if let Some(undoing) = &step.finally {
            earlier[place(step, undoing)?].push(index);
        }
    }
    for list in &mut earlier {
        list.sort_unstable();
        list.dedup();
    }
    Ok(earlier)
}

/// The topological order: a step is taken when the last that it needs has been.
fn order(steps: &[PlanStep], earlier: &[Vec<usize>]) -> Result<Vec<usize>, PlanError> {
    let mut later = vec![Vec::new(); steps.len()];
    for (index, list) in earlier.iter().enumerate() {
        for &before in list {
            later[before].push(index);
        }
    }
    let mut missing: Vec<usize> = earlier.iter().map(Vec::len).collect();
    let mut free: BinaryHeap<Reverse<usize>> =
        (0..steps.len()).filter(|&index| missing[index] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(steps.len());
    while let Some(Reverse(index)) = free.pop() {
        order.push(index);
        for &next in &later[index] {
            missing[next] -= 1;
            if missing[next] == 0 {
                free.push(Reverse(next));
            }
        }
    }
    if order.len() == steps.len() { Ok(order) } else { Err(cycle(steps, earlier, &missing)) }
}

/// One whole circle among the steps that never became free: each of them needs another such step, so that walking back
/// along needs comes to one that was passed before.
fn cycle(steps: &[PlanStep], earlier: &[Vec<usize>], missing: &[usize]) -> PlanError {
    let mut path: Vec<usize> = Vec::new();
    let mut passed: Vec<Option<usize>> = vec![None; steps.len()];
    let mut at = (0..steps.len()).find(|&index| missing[index] > 0);
    while let Some(index) = at {
        if let Some(start) = passed[index] {
            let mut circle: Vec<StepId> =
                path[start..].iter().rev().map(|&index| steps[index].id.clone()).collect();
            circle.extend(circle.first().cloned());
            return PlanError::Cycle(circle);
        }
        passed[index] = Some(path.len());
        path.push(index);
        at = earlier[index].iter().copied().find(|&before| missing[before] > 0);
    }
    PlanError::Cycle(Vec::new())
}
