//! The columns of a plan's table, as wide as they need to be and together no wider than a line.

use resplit_engine::protocol::{PlanPreview, PreviewRow};

use super::{
    text::{add, pad, plain, shorten, width, wrap},
    units::duration,
};
use crate::output::{Tone, View};

/// The narrowest that a column is made when a line is too long.
const NARROWEST: usize = 10;

/// The widths of the columns.
#[derive(Debug)]
pub(super) struct Columns {
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
    pub(super) fn of(preview: &PlanPreview, line: usize) -> Self {
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
        let with_status =
            rows.iter().filter(|row| has_status(row)).map(|row| width(&plain(&row.preview.what)));
        let least = with_status.max().unwrap_or(0).max(columns.what.saturating_sub(columns.status()));
        columns.narrow(least.max(NARROWEST));
        columns
    }

    /// What the columns of pair status add to the one of what is acted on, in rows that have none.
    const fn status(&self) -> usize {
        2 + self.now + 4 + self.then
    }

    /// Makes the middle narrower until a line fits: first what is acted on, as far as rows without a pair status can
    /// use that room; then by shortening what is acted on, the host, and the step.
    fn narrow(&mut self, least_what: usize) {
        let mut excess = self.total().saturating_sub(self.line);
        let cut = excess.min(self.what.saturating_sub(least_what));
        self.what -= cut;
        excess -= cut;
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

    pub(super) fn row(&self, row: &PreviewRow) -> String {
        let step = if is_held(row) {
            let name = shorten(row.step.as_str(), self.bar.saturating_sub(1));
            format!("{}|", pad(&name, self.bar))
        } else {
            shorten(row.step.as_str(), self.step).into_owned()
        };
        let (what, host) = (plain(&row.preview.what), shorten(row.host.as_str(), self.host));
        let last = row.last_ms.map(duration).unwrap_or_default();
        let (now, then) = (plain(&row.preview.now), plain(&row.preview.then));
        if has_status(row) {
            return self.line(&step, &host, &shorten(&what, self.what), &now, &then, &last);
        }
        let room = self.what + self.status();
        let (step, host) = (pad(&step, self.step), pad(&host, self.host));
        let line = format!("  {step}  {host}  {}  {last}", pad(&shorten(&what, room), room));
        format!("{}\n", line.trim_end())
    }

    pub(super) fn line(
        &self,
        step: &str,
        host: &str,
        what: &str,
        now: &str,
        then: &str,
        last: &str,
    ) -> String {
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
    pub(super) fn padded(&self, line: &str) -> String {
        pad(line.trim_end(), self.total())
    }

    /// A note below a step, under the column of hosts.
    pub(super) fn note(&self, note: &str, view: &View) -> String {
        let indent = 2 + self.step + 2;
        let text = wrap(note, self.line.saturating_sub(indent).max(20), 2);
        let mut lines = String::new();
        for line in text.lines() {
            add(&mut lines, format_args!("{}{}\n", " ".repeat(indent), view.paint(Tone::Warning, line)));
        }
        lines
    }
}

/// Whether the step acts on a pair whose status is told.
fn has_status(row: &PreviewRow) -> bool {
    !row.preview.now.is_empty() || !row.preview.then.is_empty()
}

/// Whether the step is inside the window, the steps that open and close it included.
fn is_held(row: &PreviewRow) -> bool {
    row.in_window || row.kind == "quiesce" || row.kind == "thaw"
}
