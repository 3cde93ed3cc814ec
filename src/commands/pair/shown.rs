//! The listing of `resplit pair status`: a line for each pair, and below it what an operator should know.

use resplit_operations::{
    pair::{PairState, PairStatus},
    record::Standing,
};
use resplit_steps::failure::Failure;

use super::status::{Group, Status, describes};
use crate::{
    output::{Tone, View},
    render::{
        table::Table,
        text::{plain, wrap},
        units::{minute, size},
    },
};

/// How far the notes are indented.
const INDENT: usize = 4;

/// The lines, within the width of the view unless names alone are longer.
pub(super) fn listing(rows: &[Status], view: &View) -> String {
    let mut table =
        Table::new(&["COPY-GROUP", "VOLUME", ">GEN", "PRIMARY", "SECONDARY", ">COPIED", "BACKUP"]);
    for row in rows {
        let state = row.view.state.as_ref().ok();
        let status = state.map_or("unknown", |state| state.status.word());
        table.row([
            row.view.pair.copy_group.to_string(),
            row.view.pair.volume.to_string(),
            row.view.pair.generation.to_string(),
            status.to_owned(),
            row.secondary_status.unwrap_or("unknown").to_owned(),
            state.and_then(|state| state.percent).map(|percent| format!("{percent} %")).unwrap_or_default(),
            row.record.as_ref().map(|record| record.id.to_string()).unwrap_or_default(),
        ]);
    }
    let text = table.text();
    let mut lines = text.split_inclusive('\n');
    let mut listing = lines.next().unwrap_or_default().to_owned();
    // What does not fit a narrow terminal stands below: then a row has several lines.
    let lines: Vec<&str> = lines.collect();
    let each = lines.len() / rows.len().max(1);
    for (row, lines) in rows.iter().zip(lines.chunks(each.max(1))) {
        listing.extend(lines.iter().copied());
        for note in notes(row, view) {
            listing.push_str(&indented(&note, view));
        }
    }
    for group in groups(rows) {
        listing.push_str(&told(group));
    }
    listing
}

fn indented(note: &str, view: &View) -> String {
    let text = wrap(&plain(note), view.width.saturating_sub(INDENT).max(20), 2);
    let line = |line: &str| format!("{}{}\n", " ".repeat(INDENT), view.paint(Tone::Warning, line));
    text.lines().map(line).collect()
}

fn notes(row: &Status, view: &View) -> Vec<String> {
    let mut notes = Vec::new();
    let run = row.lease.as_ref().map(|lease| &lease.run);
    notes.extend(run.map(|run| format!("held by run {run}")));
    match &row.view.state {
        Err(Failure { message, .. }) => notes.push(message.clone()),
        Ok(state) => {
            if let Some(last) = state.last.as_ref().filter(|last| last.ended.is_none()) {
                // What the run that has the pair has begun is not what was left undone.
                let is_its = run.is_some() && last.tag.run().as_ref() == run;
                let how = if is_its { "is at work" } else { "has not ended" };
                notes.push(format!("{} by {} {how}", last.verb, last.tag.0));
            }
            notes.extend(image(row, state));
        }
    }
    for locked in &row.locks {
        let by = locked.lock.run.as_ref().map_or("an operator".to_owned(), |run| format!("run {run}"));
        let since = minute(locked.lock.since, &view.zone);
        notes.push(format!("locked by {by} on {} since {since}", locked.host));
    }
    if let Some(found) = &row.view.difference {
        notes.push(format!(
            "differs by {} new, {} changed, {} removed: {} to be copied",
            found.returned,
            found.replaced,
            found.removed,
            size(found.bytes)
        ));
    }
    if let Some(failure) = &row.view.no_difference {
        notes.push(format!("cannot be compared: {}", failure.message));
    }
    notes
}

/// What is to be said of the image beside its ID.
fn image(row: &Status, state: &PairState) -> Option<String> {
    let group = &row.view.pair.copy_group;
    match &row.record {
        Some(record) => match &record.standing {
            Standing::Stale { reason, .. } => Some(format!("backup {} is stale: {reason}", record.id)),
            Standing::Current if !describes(record, group, state.epoch) => {
                Some(format!("backup {} is no longer what the pair holds", record.id))
            }
            Standing::Current => None,
        },
        None if state.status == PairStatus::Psus => {
            Some("holds an image that no backup describes".to_owned())
        }
        None => None,
    }
}

/// The groups of several devices, each once.
fn groups(rows: &[Status]) -> Vec<&Group> {
    let mut groups: Vec<&Group> = rows.iter().filter_map(|row| row.group.as_ref()).collect();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    groups.dedup_by(|a, b| a.name == b.name);
    groups
}

fn told(group: &Group) -> String {
    let devices = group.devices;
    let status = group.status.map(PairStatus::from);
    match (status, group.secondary_status) {
        (Some(primary), Some(secondary)) => {
            format!("group {} of {devices} devices: {primary}, secondaries {secondary}\n", group.name)
        }
        _ => format!("group {} of {devices} devices: their statuses do not match\n", group.name),
    }
}
