//! What is found by looking: staging files, mounted images, frozen file systems, processes, and what commands left.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use resplit_operations::ids::RunId;
use resplit_steps::{contract::Obligation, drivers::shim::commands_in, failure::Failure};

use super::{Found, Undo, freezes, images};
use crate::{
    engine::Engine,
    protocol::{LeftoverKind, LeftoversRequest},
};

/// All of it, but for what duties name already.
pub(super) fn seen(
    engine: &Engine,
    request: &LeftoversRequest,
    known: &[Found],
) -> Result<Vec<Found>, Failure> {
    let mut found = staging(engine, known)?;
    found.extend(images::images(engine, known)?);
    found.extend(commands(engine));
    found.extend(freezes::freezes(engine, request, known));
    Ok(found)
}

/// When a file was last changed.
pub(super) fn changed(path: &Path) -> Option<Timestamp> {
    let changed = path.symlink_metadata().and_then(|found| found.modified()).ok()?;
    Timestamp::try_from(changed).ok()
}

fn staging(engine: &Engine, known: &[Found]) -> Result<Vec<Found>, Failure> {
    let directory = &engine.directories.staging;
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::io("read", directory, &error)),
    };
    let owed: BTreeSet<PathBuf> = known.iter().filter_map(|found| owed_path(&found.undo)).collect();
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Failure::io("read", directory, &error))?.path();
        if owed.contains(&path) {
            continue;
        }
        let run = run_of(&path);
        let undo = match &run {
            Some(_) => Undo::RemoveFile(path.clone()),
            None => Undo::by(format!("look at it; if nobody needs it: rm {}", path.display())),
        };
        let whose = if run.is_some() { "" } else { ", which is none of resplit's own" };
        found.push(Found {
            kind: LeftoverKind::Staging,
            key: path.display().to_string(),
            what: format!("staging: {}{whose}", path.display()),
            since: changed(&path),
            run,
            undo,
        });
    }
    Ok(found)
}

fn owed_path(undo: &Undo) -> Option<PathBuf> {
    match undo {
        Undo::Duty(duty) => match &duty.obligation {
            Obligation::RemoveStaging { path } => Some(path.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The run that a staging file is named after: `export-RUN.json`, or `.json.partial` while it is written.
fn run_of(path: &Path) -> Option<RunId> {
    let name = path.file_name()?.to_str()?;
    let rest = ["import-", "export-"].iter().find_map(|kind| name.strip_prefix(kind))?;
    let run = [".json.partial", ".json", ".partial"].iter().find_map(|end| rest.strip_suffix(end))?;
    let run = run.split('+').next().unwrap_or(run);
    (!run.is_empty()).then(|| RunId(run.to_owned()))
}

/// Commands that still run; and what those of runs that nobody knows have left.
fn commands(engine: &Engine) -> Vec<Found> {
    let directory = &engine.directories.commands;
    let commands = match commands_in(directory) {
        Ok(commands) => commands,
        Err(failure) => {
            return vec![Found::untold(LeftoverKind::Process, &directory.display().to_string(), failure)];
        }
    };
    let mut found = Vec::new();
    let mut idle = BTreeSet::new();
    let working: BTreeSet<String> =
        commands.iter().filter(|command| command.running.is_some()).map(|c| c.run.clone()).collect();
    for command in commands {
        let run = Some(RunId(command.run.clone()));
        if let Some(running) = command.running {
            let (pid, program) = (running.pid(), command.program);
            // Where its directory was removed nobody knows any more what it is.
            let name = if program.is_empty() { "a command".to_owned() } else { format!("'{program}'") };
            found.push(Found {
                kind: LeftoverKind::Process,
                key: command.directory.display().to_string(),
                what: format!("{name} runs as, or under, process {pid}"),
                since: command.since,
                run,
                undo: Undo::EndCommand(running),
            });
        } else if !working.contains(&command.run) && idle.insert(command.run.clone()) {
            let path = directory.join(&command.run);
            found.push(Found {
                kind: LeftoverKind::CommandFiles,
                key: path.display().to_string(),
                what: format!("what the commands of run {} printed: {}", command.run, path.display()),
                since: changed(&path),
                run,
                undo: Undo::RemoveDirectory(path),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staging_files_name_their_run() {
        let of = |name: &str| run_of(Path::new(name)).map(|run| run.0);
        assert_eq!(of("/s/import-documents-1.json").as_deref(), Some("documents-1"));
        assert_eq!(of("/s/export-documents-1.partial").as_deref(), Some("documents-1"));
        assert_eq!(of("/s/export-documents-1.json.partial").as_deref(), Some("documents-1"));
        for other in ["/s/import-.json", "/s/notes.txt", "/s/import-documents-1.txt"] {
            assert_eq!(of(other), None);
        }
    }
}
