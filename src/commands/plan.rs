//! `resplit plan`: what a run would do now, without doing it.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};
use resplit_engine::protocol::{RunOptions, Submit};
use resplit_operations::{compile, expand, ids::OperationId, plan::Plan};

use super::restore::{self, From, Wanted};
use crate::{
    accepted, collisions,
    exit::{Exit, Stop},
    output,
    references::BackupName,
    render,
    session::{self, Place, Session},
};

/// Show what a run would do now
///
/// Asks the engines for the state of every pair, and shows step by step what a run would do to which pair, which
/// backups it would overwrite, and how long each step took last time. Changes nothing. Exits with 4 if the run would be
/// refused. With --out the plan is kept: `resplit run --plan FILE` does this and nothing else, or refuses.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    resplit plan documents\n  \
    resplit plan documents --generation 0\n  \
    resplit plan documents --diff --out accepted.json\n  \
    resplit plan documents --restore 0000000009 --from tape\n  \
    resplit plan documents --expand > operations/documents-steps.yaml\n  \
    resplit plan documents --format svg > documents.svg")]
pub(crate) struct Arguments {
    /// The operation
    #[arg(value_name = "OPERATION")]
    operation: OperationId,
    /// How to show it: text, json, or a drawing of the steps: dot, mermaid, svg
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    format: Format,
    /// Print the operation with every step written out, as a definition file
    #[arg(long, conflicts_with = "format")]
    expand: bool,
    /// Use the pairs of this generation [default: the least recently backed up]
    #[arg(long, value_name = "N")]
    generation: Option<u32>,
    /// Plan the restore of this backup, in place, rather than a backup: its ID, or `newest`
    #[arg(long, value_name = "[HOST:]ID", conflicts_with_all = ["generation", "diff"])]
    restore: Option<Restored>,
    /// Where the restore is from: disk or tape [default: disk if the image is still there]
    #[arg(long, value_enum, value_name = "MEDIUM", requires = "restore", hide_possible_values = true)]
    from: Option<From>,
    /// Measure what a resync would copy: reads the primaries' directories, or blocks
    #[arg(long, conflicts_with = "expand")]
    diff: bool,
    /// Keep what is shown in a new file, for `resplit run --plan FILE`
    #[arg(long, value_name = "FILE", conflicts_with = "expand")]
    out: Option<PathBuf>,
}

/// How a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Dot,
    Mermaid,
    Svg,
}

/// Shows the plan.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.place()?;
    let submit = submission(arguments, session, &place).await?;
    let plan = &submit.plan;
    let json = session.global.json || arguments.format == Format::Json;
    if arguments.expand {
        if json {
            output::print_json(plan)?;
        } else {
            output::print(&expand::to_yaml(plan))?;
        }
        return Ok(Exit::Done);
    }
    let drawing = match arguments.format {
        Format::Dot => Some(render::dot(plan)),
        Format::Mermaid => Some(render::mermaid(plan)),
        Format::Svg => Some(render::svg(plan)),
        Format::Text | Format::Json => None,
    };
    if let Some(drawing) = drawing {
        if arguments.out.is_some() || arguments.diff {
            return Err(Stop::usage("a drawing asks no engine: --out and --diff go with text or json"));
        }
        output::print(&drawing)?;
        return Ok(Exit::Done);
    }
    let client = place.coordinator(plan).await?;
    let preview = client.preview(&submit).await.map_err(session::stop)?;
    let view = &session.view;
    // How long what was never done takes is not known, nor what it would meet.
    let meets = |expected| collisions::of_place(&place, &submit.plan, expected, view.now, &view.zone);
    let collisions = preview.expected_ms.map(meets).unwrap_or_default();
    if json {
        output::print_json(&render::plan::document(&submit.plan, &preview, &collisions))?;
    } else {
        let table = render::plan::table(&submit.plan, &preview, view);
        output::print(&(table + &render::plan::collisions(&collisions, view)))?;
    }
    if preview.refusals.is_empty() {
        if let Some(path) = &arguments.out {
            accepted::write(path, &submit, &preview)?;
            output::note(&format!("to run exactly this: resplit run --plan {}", path.display()));
        }
        return Ok(Exit::Done);
    }
    output::note(&render::plan::refusals(&preview.refusals, &session.view));
    Ok(Exit::Operator)
}

/// The backup whose restore is planned.
#[derive(Clone, Debug)]
enum Restored {
    Newest,
    This(BackupName),
}

impl FromStr for Restored {
    type Err = <BackupName as FromStr>::Err;

    fn from_str(said: &str) -> Result<Self, Self::Err> {
        if said == "newest" { Ok(Self::Newest) } else { said.parse().map(Self::This) }
    }
}

/// What is planned: a backup, or a restore.
async fn submission(arguments: &Arguments, session: &Session, place: &Place) -> Result<Submit, Stop> {
    let Some(restored) = &arguments.restore else {
        let plan = compiled(session, place, &arguments.operation)?;
        let options = RunOptions { generation: arguments.generation, ..RunOptions::default() };
        return Ok(Submit { plan, options, measure: arguments.diff });
    };
    let backup = match restored {
        Restored::Newest => None,
        Restored::This(name) => Some(name),
    };
    let wanted =
        Wanted { operation: &arguments.operation, backup, from: arguments.from, paths: &[], to: None };
    restore::submission(session, place, wanted, RunOptions::default()).await
}

/// The plan of a backup of an operation.
pub(crate) fn compiled(session: &Session, place: &Place, id: &OperationId) -> Result<Plan, Stop> {
    let operation = session.operation(place, id)?;
    compile::backup(&place.site, &place.directory, id, operation)
        .map_err(|error| Stop::new(Exit::Definitions, format!("operation '{id}': {error}")))
}
