//! The table of `resplit plan`: each step, what it acts on, the pair's status now and then, and how long it took last.

use jiff::tz::TimeZone;
use resplit_engine::protocol::{HeldNow, PlanPreview};
use resplit_operations::{
    action::Action,
    bound::Eviction,
    operation::QuiesceMode,
    plan::{Plan, Purpose, Resource},
};
use resplit_steps::failure::Failure;
use serde::Serialize;

use super::{
    columns::Columns,
    text::{add, plain, width, wrap},
    units::{count, duration, minute},
};
use crate::{
    collisions::Collision,
    output::{Tone, View},
};

/// What `plan --json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Document<'a> {
    operation: &'a str,
    purpose: Purpose,
    coordinator: &'a str,
    /// The hash of the plan.
    plan: &'a str,
    #[serde(flatten)]
    preview: &'a PlanPreview,
    /// Operations that fire meanwhile and need the same.
    collisions: &'a [Collision],
}

/// The plan and its preview as one document.
pub(crate) fn document<'a>(
    plan: &'a Plan,
    preview: &'a PlanPreview,
    collisions: &'a [Collision],
) -> Document<'a> {
    Document {
        operation: plan.operation.as_str(),
        purpose: plan.purpose,
        coordinator: plan.coordinator.as_str(),
        plan: plan.hash(),
        preview,
        collisions,
    }
}

/// The whole preview, its refusals left out.
pub(crate) fn table(plan: &Plan, preview: &PlanPreview, view: &View) -> String {
    let columns = Columns::of(preview, view.width);
    let mut text = wrap(&headline(plan, preview, &view.zone), view.width, 2) + "\n\n";
    text.push_str(&columns.line("step", "host", "what", "now", "then", "last time"));
    let unsaid = unsaid_evictions(preview);
    let budget_row = budget_row(preview);
    let overwrites = |kind: &str| matches!(kind, "resync" | "delete");
    let first_resync = preview.rows.iter().position(|row| overwrites(&row.kind));
    for (index, row) in preview.rows.iter().enumerate() {
        let mut line = columns.row(row);
        let mut notes: Vec<String> = row.preview.notes.iter().map(|note| plain(note).into_owned()).collect();
        if row.kind == "quiesce" {
            notes.retain(|note| !is_budget(note));
        }
        if Some(index) == budget_row
            && let Some(budget) = budget(plan)
        {
            let long = columns.padded(&line) + "  " + &budget;
            if width(&long) <= view.width {
                line = long + "\n";
            } else {
                notes.push(budget);
            }
        }
        if Some(index) == first_resync {
            notes.extend(unsaid.iter().map(|eviction| eviction_text(eviction, &view.zone)));
        }
        text.push_str(&line);
        for note in notes {
            text.push_str(&columns.note(&note, view));
        }
    }
    let mut below = Vec::new();
    if let Some(expected) = preview.expected_ms {
        below.push(format!("takes about {}, as last time", duration(expected)));
    }
    below.extend(preview.kept.iter().map(|kept| format!("kept: {kept}")));
    for HeldNow { what, run, coordinator, since } in &preview.waits {
        let since = minute(*since, &view.zone);
        below.push(format!("waits: {what}, held by run {run} of {coordinator} since {since}"));
    }
    text + &lines_below(&below, view)
}

/// Lines that follow the table.
fn lines_below(lines: &[String], view: &View) -> String {
    let mut text = String::new();
    for line in lines {
        add(&mut text, format_args!("\n  {}\n", wrap(&plain(line), view.width - 2, 2)));
    }
    text
}

/// Operations that fire while the plan is at work, and need what it needs.
pub(crate) fn collisions(found: &[Collision], view: &View) -> String {
    let told = |collision: &Collision| {
        let what = collision.resources.iter().map(|resource| match resource {
            Resource::Volume(volume) => format!("volume {volume}"),
            Resource::Drive(library) => format!("a drive of {library}"),
        });
        let what: Vec<_> = what.collect();
        let at = minute(collision.at, &view.zone);
        format!(
            "collides: operation {} fires at {at} and needs {}, too",
            collision.operation,
            what.join(", ")
        )
    };
    lines_below(&found.iter().map(told).collect::<Vec<_>>(), view)
}

/// Why the plan cannot succeed, and what to do, for standard error.
pub(crate) fn refusals(refusals: &[Failure], view: &View) -> String {
    let mut lines = Vec::new();
    for refusal in refusals {
        let refused = view.paint_error(Tone::Bad, "refused");
        lines.push(format!("{refused}: {}", super::text::lines(&refusal.message)));
        if let Some(help) = &refusal.help {
            lines.push(format!("{}: {}", view.paint_error(Tone::Help, "help"), super::text::lines(help)));
        }
    }
    lines.join("\n")
}

fn headline(plan: &Plan, preview: &PlanPreview, zone: &TimeZone) -> String {
    let hosts: std::collections::BTreeSet<_> = preview.rows.iter().map(|row| &row.host).collect();
    let steps = format!("{} on {}", count(preview.rows.len(), "step"), count(hosts.len(), "host"));
    let what = match (&preview.binding.source, plan.purpose) {
        (Some(source), purpose) => {
            let origin = &source.record.origin;
            let how = match purpose {
                Purpose::FilesFromDisk | Purpose::FilesFromTape => "copies files of",
                _ => "restores",
            };
            let started = minute(origin.started, zone);
            format!("; {how} backup {}:{} of {started}", source.host, source.record.id)
        }
        (None, purpose) if purpose == Purpose::Backup || purpose.pair_verb().is_some() => generation(preview),
        (None, _) => String::new(),
    };
    format!("{}: {steps}{what}", plan.operation)
}

/// The generation that was chosen: one for all volumes, or else each.
fn generation(preview: &PlanPreview) -> String {
    let mut said: Vec<String> = Vec::new();
    let pairs = &preview.binding.pairs;
    let same =
        pairs.values().all(|b| Some(b.pair.generation) == pairs.values().next().map(|f| f.pair.generation));
    for (volume, bound) in pairs {
        let text = format!("generation {} of {} ({})", bound.pair.generation, bound.of, plain(&bound.reason));
        said.push(if same { text } else { format!("{volume}: {text}") });
        if same {
            break;
        }
    }
    if said.is_empty() { String::new() } else { format!("; {}", said.join("; ")) }
}

/// The row that the window's budget is told on: the first split in it, else the quiesce.
fn budget_row(preview: &PlanPreview) -> Option<usize> {
    let find = |kind: &str| preview.rows.iter().position(|row| row.kind == kind);
    find("quiesce").map(|quiesce| find("split").filter(|split| *split > quiesce).unwrap_or(quiesce))
}

fn budget(plan: &Plan) -> Option<String> {
    plan.graph().node_weights().find_map(|step| match &step.action {
        Action::Quiesce(quiesce) if quiesce.mode == QuiesceMode::Freeze => {
            Some(format!("held still at most {}", duration(quiesce.window.0)))
        }
        Action::Quiesce(quiesce) => Some(format!("window at most {}", duration(quiesce.window.0))),
        _ => None,
    })
}

/// Whether a note tells of the window's budget, which stands beside the split.
fn is_budget(note: &str) -> bool {
    note.starts_with("window at most ") && !note.contains(',')
}

/// The evictions that no step has told of.
fn unsaid_evictions(preview: &PlanPreview) -> Vec<&Eviction> {
    let notes = || preview.rows.iter().flat_map(|row| &row.preview.notes);
    let said = |eviction: &&Eviction| {
        let id = eviction.id.to_string();
        notes().any(|note| note.contains(&id))
    };
    preview.binding.evictions.iter().filter(|eviction| !said(eviction)).collect()
}

/// One eviction, in words.
pub(crate) fn eviction_text(eviction: &Eviction, zone: &TimeZone) -> String {
    let Eviction { host, id, started, on_tape, .. } = eviction;
    let tape = match on_tape {
        Some(barcode) => format!("which is on tape {}", plain(barcode.as_str())),
        None => "which is on no tape: its only copy".to_owned(),
    };
    format!("evicts backup {host}:{id} of {}, {tape}", minute(*started, zone))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
