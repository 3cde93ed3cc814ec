//! What every drawing of a plan shows: hosts, edges, and a few words on each step.

use std::collections::HashSet;

use resplit_operations::{
    action::Action,
    ids::HostId,
    operation::{On, QuiesceMode},
    plan::{Plan, PlanStep},
};

/// One line of a drawing, from one step to another. Steps are numbered in topological order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The step that comes first.
    pub(super) from: usize,
    /// The step that comes after it.
    pub(super) to: usize,
    /// Whether the second undoes the first, whatever happens.
    pub(super) finally: bool,
}

/// The hosts of the steps, the one that coordinates first, then as they come.
pub(super) fn hosts(plan: &Plan) -> Vec<&HostId> {
    let mut hosts: Vec<&HostId> = Vec::new();
    for step in plan.steps() {
        if !hosts.contains(&&step.host) {
            hosts.push(&step.host);
        }
    }
    hosts.sort_by_key(|host| **host != plan.coordinator);
    hosts
}

/// The lines to be drawn: every need that does not follow from another one, and every `finally`.
pub(super) fn lines(plan: &Plan) -> Vec<Line> {
    let number = |id| plan.node(id).map(petgraph::graph::NodeIndex::index);
    let needs: Vec<Vec<usize>> =
        plan.steps().iter().map(|step| step.needs.iter().filter_map(number).collect()).collect();
    let mut lines = Vec::new();
    for (from, step) in plan.steps().iter().enumerate() {
        lines.extend(step.finally.as_ref().and_then(number).map(|to| Line { from, to, finally: true }));
    }
    let undone: HashSet<(usize, usize)> = lines.iter().map(|l| (l.from, l.to)).collect();
    for (to, needs) in reduced(needs).into_iter().enumerate() {
        let needs = needs.into_iter().filter(|from| !undone.contains(&(*from, to)));
        lines.extend(needs.map(|from| Line { from, to, finally: false }));
    }
    lines
}

/// The largest graph in which edges that follow from others are looked for: that takes steps times edges.
const MOST_REDUCED: usize = 2_000;

/// For each step those needs that no other need of it needs, directly or not.
fn reduced(needs: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    if needs.len() > MOST_REDUCED {
        return needs;
    }
    // Of each step, one bit for each step before it.
    let words = needs.len().div_ceil(64);
    let mut before: Vec<Vec<u64>> = Vec::with_capacity(needs.len());
    for list in &needs {
        let mut all = vec![0_u64; words];
        for &need in list {
            all.iter_mut().zip(&before[need]).for_each(|(word, of_need)| *word |= of_need);
            all[need / 64] |= 1 << (need % 64);
        }
        before.push(all);
    }
    let is_before = |early: usize, late: usize| before[late][early / 64] & (1 << (early % 64)) != 0;
    needs
        .iter()
        .map(|list| list.iter().copied().filter(|&a| !list.iter().any(|&b| is_before(a, b))).collect())
        .collect()
}

/// The title of a drawing.
pub(super) fn title(plan: &Plan) -> String {
    let purpose = plan.purpose.word();
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let (steps, hosts) = (count(plan.steps().len(), "step"), count(hosts(plan).len(), "host"));
    format!("{}: {purpose}, {steps} on {hosts}", plan.operation)
}

/// What a step acts on, in a few words; empty where its name says it all.
pub(super) fn detail(step: &PlanStep) -> String {
    let what = match &step.action {
        Action::PurgeCache(on) | Action::Split(on) | Action::AbortSplit(on) | Action::Delete(on) => {
            on.volume.to_string()
        }
        Action::Resync(resync) => resync.volume.to_string(),
        Action::Restore(restore) => match &restore.to {
            Some(to) => format!("{} to {}", restore.volume, to.display()),
            None => restore.volume.to_string(),
        },
        Action::Quiesce(quiesce) => {
            let mode = match quiesce.mode {
                QuiesceMode::Online => "online",
                QuiesceMode::Freeze => "freeze",
                QuiesceMode::Cold => "cold",
            };
            format!("{mode}, {}", last_part(&quiesce.filesystem))
        }
        Action::Thaw(thaw) => last_part(&thaw.filesystem),
        Action::Record(record) => join(&record.volumes),
        Action::Transfer(transfer) => format!("to {}", transfer.to),
        Action::Confirm(confirm) if !confirm.unused.is_empty() => format!("{} unused", join(&confirm.unused)),
        Action::Confirm(confirm) if confirm.tape => "on tape".to_owned(),
        Action::Confirm(_) => "on disk".to_owned(),
        Action::TapeBackup(tape) => format!("{}, pool {}", tape.library, tape.pool),
        Action::TapeRestore(tape) => format!("from {}", tape.library),
        Action::Command(command) => command.argv.join(" "),
        Action::Export(_) | Action::Import(_) | Action::Mount(_) | Action::Unmount(_) => String::new(),
    };
    match step.on {
        On::Success => what,
        On::Failure => format!("on failure: {what}"),
        On::Always => format!("always: {what}"),
    }
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn last_part(path: &std::path::Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The windows: for each quiesce with its thaw, both numbers and the budget in words.
pub(super) fn windows(plan: &Plan) -> Vec<(usize, usize, String)> {
    let steps = plan.steps();
    let window = |(at, step): (usize, &&PlanStep)| {
        let Action::Quiesce(quiesce) = &step.action else { return None };
        let thaw = plan.node(step.finally.as_ref()?)?;
        Some((at, thaw.index(), format!("window, at most {}", quiesce.window)))
    };
    steps.iter().enumerate().filter_map(window).collect()
}
