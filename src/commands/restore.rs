//! `resplit restore`: a backup back over its primaries, or some of its files elsewhere.

use std::{collections::BTreeSet, path::PathBuf};

use clap::{Args, ValueEnum};
use resplit_engine::{
    client::Client,
    protocol::{RunOptions, Submit},
};
use resplit_operations::{
    compile::{self, RestoreFrom, RestoreRequest},
    ids::OperationId,
    plan::Plan,
};

use super::{
    catalog::catalogs,
    plan::compiled,
    run::{How, start},
};
use crate::{
    backups::{Asked, Chosen, choose},
    exit::{Exit, Stop},
    output,
    references::BackupName,
    render,
    session::{self, Place, Session, absolute},
};

/// Restore a backup, or some of its files
///
/// Without --to the whole volumes are restored in place: what the primaries have that the backup does not is lost. That is
/// shown first, and asked on a terminal; elsewhere it needs --yes. With --to files are put into another directory, and no
/// primary is touched.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    resplit restore documents\n  \
    resplit restore documents --backup fileserver:0000000009 --from tape\n  \
    resplit restore documents --path letters/2026 --to /tmp/restored")]
pub(crate) struct Arguments {
    /// The operation
    #[arg(value_name = "OPERATION")]
    operation: OperationId,
    /// The backup [default: the newest that is still there]
    #[arg(long, value_name = "[HOST:]ID")]
    backup: Option<BackupName>,
    /// Where from: disk or tape [default: disk if the image is still there]
    #[arg(long, value_enum, value_name = "MEDIUM", hide_possible_values = true)]
    from: Option<From>,
    /// Only these files and directories, relative to the volume's root
    #[arg(long = "path", value_name = "PATH", num_args = 1.., requires = "to")]
    paths: Vec<PathBuf>,
    /// Put files into this directory, rather than in place
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Restore though processes use the primary
    #[arg(long, conflicts_with = "to")]
    force: bool,
    /// Restore though the volume is not what the backup was made from
    #[arg(long, conflicts_with = "to")]
    accept_drift: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    how: How,
}

/// A medium, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    Disk,
    Tape,
}

/// Chooses the backup, shows what would be lost, and restores.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.place()?;
    let to = arguments.to.as_deref().map(absolute).transpose()?;
    let in_place = to.is_none();
    let wanted = Wanted {
        operation: &arguments.operation,
        backup: arguments.backup.as_ref(),
        from: arguments.from,
        paths: &arguments.paths,
        to,
    };
    let options = RunOptions {
        no_wait: arguments.how.no_wait,
        force: arguments.force,
        accept_drift: arguments.accept_drift,
        ..RunOptions::default()
    };
    let submit = submission(session, &place, wanted, options).await?;
    let client = place.writing_coordinator(&submit.plan).await?;
    if in_place && !agreed(&client, &submit, arguments.yes, session).await? {
        return Err(Stop::new(Exit::Operator, "nothing was restored"));
    }
    // Whoever was asked may have taken longer than idle engines wait.
    let client = place.coordinator(&submit.plan).await?;
    start(&client, &submit, arguments.how, session).await
}

/// What is to be restored, as it was said.
pub(crate) struct Wanted<'a> {
    pub(crate) operation: &'a OperationId,
    /// The newest that is still there, if not said.
    pub(crate) backup: Option<&'a BackupName>,
    /// Disk if the image is still there, if not said.
    pub(crate) from: Option<From>,
    /// All of the volumes, if none.
    pub(crate) paths: &'a [PathBuf],
    /// In place, if not said.
    pub(crate) to: Option<PathBuf>,
}

/// Chooses the backup among the catalogs of all hosts, and compiles its restore.
pub(crate) async fn submission(
    session: &Session,
    place: &Place,
    wanted: Wanted<'_>,
    options: RunOptions,
) -> Result<Submit, Stop> {
    let id = wanted.operation;
    let backup = compiled(session, place, id)?;
    let coordinator = backup.coordinator.clone();
    // All that may have it: the newest of some is not the newest.
    let said =
        wanted.backup.and_then(|name| name.0.host.clone()).filter(|host| place.site.hosts.contains_key(host));
    let engines =
        place.engines(session::plan_hosts(&backup).into_iter().chain(said).collect::<BTreeSet<_>>()).await?;
    let from = wanted.from.map(|from| match from {
        From::Disk => RestoreFrom::Disk,
        From::Tape => RestoreFrom::Tape,
    });
    let asked = Asked { operation: id, coordinator: &coordinator, backup: wanted.backup, from };
    let Chosen { selector, from, volume } = choose(&catalogs(&engines).await?, asked)?;
    let request = RestoreRequest { from, paths: wanted.paths.to_vec(), to: wanted.to, volume };
    let (_, operation) = place.definitions.operation(id).map_err(|report| session.problems(&report))?;
    let plan = compile::restore(&place.site, &place.directory, id, operation, &request)
        .map_err(|error| Stop::usage(format!("operation '{id}': {error}")))?;
    Ok(Submit { plan, options: RunOptions { backup: Some(selector), ..options }, measure: false })
}

/// Shows what a restore in place would do. Whether it is to be done: as was said, or is said now.
async fn agreed(client: &Client, submit: &Submit, yes: bool, session: &Session) -> Result<bool, Stop> {
    let preview = client.preview(submit).await.map_err(session::stop)?;
    if !session.global.json {
        output::note(render::plan::table(&submit.plan, &preview, &session.error_view()).trim_end());
    }
    if !preview.refusals.is_empty() {
        output::note(&render::plan::refusals(&preview.refusals, &session.view));
        return Err(Stop::silent(Exit::Operator));
    }
    if yes {
        return Ok(true);
    }
    let notes: Vec<&str> =
        preview.rows.iter().flat_map(|row| &row.preview.notes).map(String::as_str).collect();
    let lost = format!("restoring '{}' overwrites {}", submit.plan.operation, primaries(&submit.plan));
    if output::can_ask() {
        return Ok(output::ask(&format!("{lost}. Go on?")));
    }
    // Where the plan was shown, the notes have been told.
    let notes = notes.into_iter().filter(|_| session.global.json);
    let told: Vec<_> = [lost.as_str()].into_iter().chain(notes).map(render::text::plain).collect();
    Err(Stop::new(Exit::Operator, told.join("\n  "))
        .help("--yes does it; --to DIR puts the files into another directory"))
}

/// The primaries that a plan restores, as an operator knows them.
fn primaries(plan: &Plan) -> String {
    let volumes = plan.graph().node_weights().filter(|step| step.action.kind() == "restore");
    let volumes = volumes.filter_map(|step| plan.site.volumes.get(step.action.volume()?));
    let names: Vec<String> =
        volumes.map(|volume| format!("{}:{}", volume.primary.host, volume.primary.path.display())).collect();
    names.join(", ")
}
