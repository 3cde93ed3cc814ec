//! The listing of `resplit status`.

use resplit_engine::protocol::{RunStatus, RunSummary};

use super::{
    table::Table,
    text::{add, plain},
    units::{age, count, minute},
};
use crate::{
    commands::status::{LastBackup, Status},
    output::View,
};

/// A line for each operation; below, what needs an operator.
pub(crate) fn listing(rows: &[Status], view: &View) -> String {
    let mut table = Table::new(&["OPERATION", "LAST BACKUP", ">AGE", "ON", "NOW", "NEXT RUN"]);
    let mut notes = String::new();
    for row in rows {
        let last = row.last_backup.as_ref();
        table.row([
            row.operation.to_string(),
            last.map_or("never".to_owned(), |last| minute(last.started, &view.zone)),
            last.map(|last| age(last.started, view.now)).unwrap_or_default(),
            last.map(places).unwrap_or_default(),
            now(row),
            next_run(row),
        ]);
        if let Some(run) = &row.last_failure {
            notes.push_str(&failure(run));
        }
        for run in &row.open_runs {
            notes.push_str(&if row.held.contains(&run.run) { held(run) } else { question(run) });
        }
    }
    if notes.is_empty() { table.text() } else { format!("{}\n{notes}", table.text()) }
}

/// Where a backup is.
fn places(last: &LastBackup) -> String {
    let disk = last.disk.then(|| "disk".to_owned());
    let tapes = last.tapes.iter().map(|barcode| format!("tape {barcode}"));
    disk.into_iter().chain(tapes).collect::<Vec<_>>().join(", ")
}

/// What is going on: the most urgent first.
fn now(row: &Status) -> String {
    let at_work = || row.open_runs.iter().filter(|run| !row.held.contains(&run.run));
    let open = |word: &str| at_work().filter(|run| run.status.word() == word).count();
    let mut said = Vec::new();
    if !row.held.is_empty() {
        said.push("held".to_owned());
    }
    for word in ["parked", "running", "waiting"] {
        match open(word) {
            0 => {}
            1 => said.push(word.to_owned()),
            several => said.push(format!("{several} {word}")),
        }
    }
    if let Some(run) = &row.last_failure {
        said.push(format!("last run {}", run.status.word()));
    }
    if !row.locked.is_empty() {
        said.push("locked".to_owned());
    }
    if !row.wanted_on_tape.is_empty() {
        said.push("wanted on tape".to_owned());
    }
    said.join(", ")
}

fn next_run(row: &Status) -> String {
    match &row.schedule {
        _ if !row.declared => "not declared".to_owned(),
        None => "not scheduled".to_owned(),
        Some(schedule) => {
            let zone = schedule.timezone.as_ref().map(|zone| format!(" {zone}")).unwrap_or_default();
            format!("{}{zone} (does not fire)", schedule.cron)
        }
    }
}

/// Why the last run made no backup, and the command that helps.
fn failure(run: &RunSummary) -> String {
    let why = match &run.status {
        RunStatus::Failed { failure } | RunStatus::Refused { failure } => {
            format!(": {}", plain(&failure.message))
        }
        _ => String::new(),
    };
    let next = if matches!(run.status, RunStatus::Refused { .. }) { "plan" } else { "resume" };
    let what = if next == "plan" { run.operation.as_str() } else { run.run.as_str() };
    let was = if matches!(run.status, RunStatus::Failed { .. }) { "" } else { "was " };
    format!("{} {was}{}{why}\n  next: resplit {next} {what}\n", run.run, run.status.word())
}

/// That a run is held, and the commands that help.
fn held(run: &RunSummary) -> String {
    format!(
        "{0} was interrupted and is held, since its engine was started with --hold, or only reads\n  next: resplit show \
         {0}, then resplit resume {0}\n",
        run.run
    )
}

/// What a run waits for, and the command that helps.
fn question(run: &RunSummary) -> String {
    match &run.status {
        RunStatus::Parked { questions } => {
            let mut text = format!("{} is parked, with {}:\n", run.run, count(questions.len(), "question"));
            for (step, question) in questions {
                add(&mut text, format_args!("  {}: {}\n", plain(step.as_str()), plain(question)));
                add(&mut text, format_args!("  next: resplit answer {} {step} done|redo|abort\n", run.run));
            }
            text
        }
        RunStatus::Waiting { waiting_for } => format!("{} waits for {}\n", run.run, plain(waiting_for)),
        _ => format!("{} is {}; follow it with: resplit logs -f {0}\n", run.run, run.status.word()),
    }
}
