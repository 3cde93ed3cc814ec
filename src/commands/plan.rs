//! `resplit plan`: what a run would do now, without doing it.

use clap::{Args, ValueEnum};
use resplit_engine::protocol::{RunOptions, Submit};
use resplit_operations::{compile, expand, ids::OperationId, plan::Plan};

use crate::{
    exit::{Exit, Stop},
    output, render,
    session::{self, Place, Session},
};

/// Show what a run would do now
///
/// Asks the engines for the state of every pair, and shows step by step what a run would do to which pair, which
/// backups it would overwrite, and how long each step took last time. Changes nothing. Exits with 4 if the run would be
/// refused.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    resplit plan documents\n  \
    resplit plan documents --generation 0\n  \
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
    let plan = compiled(session, &place, &arguments.operation)?;
    let json = session.global.json || arguments.format == Format::Json;
    if arguments.expand {
        if json {
            output::print_json(&plan)?;
        } else {
            output::print(&expand::to_yaml(&plan))?;
        }
        return Ok(Exit::Done);
    }
    let drawing = match arguments.format {
        Format::Dot => Some(render::dot(&plan)),
        Format::Mermaid => Some(render::mermaid(&plan)),
        Format::Svg => Some(render::svg(&plan)),
        Format::Text | Format::Json => None,
    };
    if let Some(drawing) = drawing {
        output::print(&drawing)?;
        return Ok(Exit::Done);
    }
    let options = RunOptions { generation: arguments.generation, ..RunOptions::default() };
    let client = place.coordinator(&plan).await?;
    let submit = Submit { plan, options };
    let preview = client.preview(&submit).await.map_err(session::stop)?;
    if json {
        output::print_json(&render::plan::document(&submit.plan, &preview))?;
    } else {
        output::print(&render::plan::table(&submit.plan, &preview, &session.view))?;
    }
    if preview.refusals.is_empty() {
        return Ok(Exit::Done);
    }
    output::note(&render::plan::refusals(&preview.refusals, &session.view));
    Ok(Exit::Operator)
}

/// The plan of a backup of an operation.
pub(crate) fn compiled(session: &Session, place: &Place, id: &OperationId) -> Result<Plan, Stop> {
    let operation = session.operation(place, id)?;
    compile::backup(&place.site, &place.directory, id, operation)
        .map_err(|error| Stop::new(Exit::Definitions, format!("operation '{id}': {error}")))
}
