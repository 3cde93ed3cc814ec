//! `resplit check`: every problem of every definition file, each at its place.

use clap::Args;
use resplit_engine::definitions;
use resplit_operations::{definitions::check_everything, ids::OperationId};

use crate::{
    exit::{Exit, Stop},
    output,
    render::units::count,
    session::{MOST_PROBLEMS, Session},
};

/// Check the definition files
///
/// Reads site.yaml, drivers/*.yaml and operations/*.yaml and reports every problem of every file at once: file, line, column, what
/// was expected, what to do. Needs no engine and changes nothing. With --hosts every host is asked, too: whether it is
/// reached, has the same files and the same version, and is what the site says it is.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  resplit check\n  resplit check documents\n  resplit check --json\n  resplit check --hosts"
)]
pub(crate) struct Arguments {
    /// Only these operations, and the site
    #[arg(value_name = "OPERATION")]
    operations: Vec<OperationId>,
    /// Ask every host, too
    #[arg(long)]
    hosts: bool,
}

/// Checks, and reports on standard error; as JSON on standard output.
pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let directory = session.directory()?;
    let (site, operations) = definitions::read(&directory);
    let site_file = site.path.clone();
    let found = check_everything(site, definitions::read_drivers(&directory), operations);
    let mut report = found.report.clone();
    let mut checked = found.operations.len() + found.broken.len();
    if !arguments.operations.is_empty() {
        if found.site.is_some() {
            for id in &arguments.operations {
                if !found.operations.contains_key(id) && !found.broken.contains_key(id) {
                    let unknown = |report| Stop { exit: Exit::Usage, ..session.problems(&report) };
                    let _ = found.operation(id).map_err(unknown)?;
                }
            }
        }
        let file = |id: &OperationId| site_file.with_file_name("operations").join(format!("{id}.yaml"));
        let wanted: Vec<_> = arguments.operations.iter().map(file).chain([site_file.clone()]).collect();
        let drivers = site_file.with_file_name(definitions::DRIVERS);
        report =
            report.about(|path| path.starts_with(&drivers) || wanted.iter().any(|wanted| wanted == path));
        checked = arguments.operations.len();
    }
    let errors = report.errors();
    // With --hosts the data is what the hosts say.
    if session.global.json && (!arguments.hosts || errors > 0) {
        output::print_json(&report.to_json())?;
    } else if !report.is_empty() {
        output::note(report.render(MOST_PROBLEMS, session.view.error_colour).trim_end());
    }
    if errors > 0 {
        return Ok(Exit::Definitions);
    }
    if arguments.hosts {
        return super::survey::run(session, directory, found);
    }
    if !session.global.json {
        let verdict = match report.problems().len() {
            0 => "no problems".to_owned(),
            warnings => format!("no errors, {}", count(warnings, "warning")),
        };
        output::print(&format!("{}, {verdict}\n", count(checked, "operation")))?;
    }
    Ok(Exit::Done)
}
