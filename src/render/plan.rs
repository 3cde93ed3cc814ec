//! The table of `resplit plan`: each step, what it acts on, the pair's status now and then, and how long it took last.

use jiff::tz::TimeZone;
use resplit_engine::protocol::{PlanPreview, PreviewRow};
use resplit_operations::{
    action::Action,
    bound::Eviction,
    operation::QuiesceMode,
    plan::{Plan, Purpose},
};
use resplit_steps::failure::Failure;
use serde::Serialize;

use super::{
    text::{add, pad, plain, shorten, width, wrap},
    units::{count, duration, minute},
};
use crate::output::{Tone, View};

/// The narrowest that a column is made when a line is too long.
const NARROWEST: usize = 10;

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
}

/// The plan and its preview as one document.
pub(crate) fn document<'a>(plan: &'a Plan, preview: &'a PlanPreview) -> Document<'a> {
    Document {
        operation: plan.operation.as_str(),
        purpose: plan.purpose,
        coordinator: plan.coordinator.as_str(),
        plan: plan.hash(),
        preview,
    }
}

/// The whole preview, its refusals left out.
pub(crate) fn table(plan: &Plan, preview: &PlanPreview, view: &View) -> String {
    let columns = Columns::of(preview, view.width);
    let mut text = wrap(&headline(plan, preview, &view.zone), view.width, 2) + "\n\n";
    text.push_str(&columns.line("step", "host", "what", "now", "then", "last time"));
    let unsaid = unsaid_evictions(preview);
    let budget_row = budget_row(preview);
    let first_resync = preview.rows.iter().position(|row| row.kind == "resync");
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
    for wait in &preview.waits {
        add(&mut text, format_args!("\n  {}\n", wrap(&format!("waits: {}", plain(wait)), view.width - 2, 2)));
    }
    text
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
        (None, Purpose::Backup) => generation(preview),
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
        None => "which is on no tape".to_owned(),
    };
    format!("evicts backup {host}:{id} of {}, {tape}", minute(*started, zone))
}

/// The widths of the columns.
#[derive(Debug)]
struct Columns {
    /// Where the bar of the window stands, in the first column.
    bar: usize,
    step: usize,
    host: usize,
    what: usize,
    now: usize,
    then: usize,
    last: usize,
    /// Of a whole line.
    line: usize,
}

impl Columns {
    fn of(preview: &PlanPreview, line: usize) -> Self {
        let rows = &preview.rows;
        let widest = |heading: &str, of: &dyn Fn(&PreviewRow) -> usize| {
            rows.iter().map(of).chain([heading.len()]).max().unwrap_or(0)
        };
        let mut columns = Self {
            bar: rows.iter().filter(|r| is_held(r)).map(|r| width(r.step.as_str()) + 2).max().unwrap_or(0),
            step: widest("step", &|r| width(r.step.as_str())),
            host: widest("host", &|r| width(r.host.as_str())),
            what: widest("what", &|r| width(&plain(&r.preview.what))),
            now: widest("now", &|r| width(&plain(&r.preview.now))),
            then: widest("then", &|r| width(&plain(&r.preview.then))),
            last: widest("last time", &|r| r.last_ms.map_or(0, |ms| duration(ms).len())),
            line,
        };
        if columns.bar > 0 {
            columns.step = columns.step.max(columns.bar + 1);
        }
        columns.narrow();
        columns
    }

    /// Makes the middle narrower until a line fits: first what is acted on, then the host, then the step.
    fn narrow(&mut self) {
        let mut excess = self.total().saturating_sub(self.line);
        for column in [&mut self.what, &mut self.host, &mut self.step] {
            let cut = excess.min(column.saturating_sub(NARROWEST));
            *column -= cut;
            excess -= cut;
        }
        self.bar = self.bar.min(self.step.saturating_sub(1));
    }

    const fn total(&self) -> usize {
        2 + self.step + 2 + self.host + 2 + self.what + 2 + self.now + 4 + self.then + 2 + self.last
    }

    fn row(&self, row: &PreviewRow) -> String {
        let step = if is_held(row) {
            let name = shorten(row.step.as_str(), self.bar.saturating_sub(1));
            format!("{}|", pad(&name, self.bar))
        } else {
            shorten(row.step.as_str(), self.step).into_owned()
        };
        let (what, host) = (plain(&row.preview.what), shorten(row.host.as_str(), self.host));
        let last = row.last_ms.map(duration).unwrap_or_default();
        let (now, then) = (plain(&row.preview.now), plain(&row.preview.then));
        let what = shorten(&what, self.what);
        self.line(&step, &host, &what, &now, &then, &last)
    }

    fn line(&self, step: &str, host: &str, what: &str, now: &str, then: &str, last: &str) -> String {
        let arrow = if then.is_empty() || now == "now" { "    " } else { " -> " };
        let line = format!(
            "  {}  {}  {}  {}{arrow}{}  {last}",
            pad(step, self.step),
            pad(host, self.host),
            pad(what, self.what),
            pad(now, self.now),
            pad(then, self.then)
        );
        format!("{}\n", line.trim_end())
    }

    /// A line without its end, filled up to the end of its last column.
    fn padded(&self, line: &str) -> String {
        pad(line.trim_end(), self.total())
    }

    /// A note below a step, under the column of hosts.
    fn note(&self, note: &str, view: &View) -> String {
        let indent = 2 + self.step + 2;
        let text = wrap(note, self.line.saturating_sub(indent).max(20), 2);
        let mut lines = String::new();
        for line in text.lines() {
            add(&mut lines, format_args!("{}{}\n", " ".repeat(indent), view.paint(Tone::Warning, line)));
        }
        lines
    }
}

/// Whether the step is inside the window, the steps that open and close it included.
fn is_held(row: &PreviewRow) -> bool {
    row.in_window || row.kind == "quiesce" || row.kind == "thaw"
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
