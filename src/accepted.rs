//! A plan in a file: what `plan --out` showed and an operator accepted, for `run --plan`.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::Path,
};

use resplit_engine::protocol::{PlanPreview, RunOptions, Submit};
use resplit_operations::plan::Plan;
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Stop};

/// The format that is written and read.
const FORMAT: u32 = 1;

/// What the file holds. The plan carries the part of the site that it needs, so that a later edit does not change it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    /// `accepted plan`: what kind of file this is.
    resplit: String,
    format: u32,
    plan: Plan,
    options: RunOptions,
}

const KIND: &str = "accepted plan";

/// Writes what was previewed. A file that is there already is not overwritten.
pub(crate) fn write(path: &Path, submit: &Submit, preview: &PlanPreview) -> Result<(), Stop> {
    let binding = Box::new(preview.binding.clone());
    let accepted = Accepted {
        resplit: KIND.to_owned(),
        format: FORMAT,
        plan: submit.plan.clone(),
        options: RunOptions { accepted: Some(binding), ..submit.options.clone() },
    };
    let stop = |what: &str| Stop::new(Exit::Failed, format!("cannot write {}: {what}", path.display()));
    let mut text = serde_json::to_string_pretty(&accepted).map_err(|error| stop(&error.to_string()))?;
    text.push('\n');
    let mut file = fs::File::create_new(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Stop::usage(format!("{} is there already", path.display()))
            .help("name another file, or remove it"),
        _ => stop(&error.to_string()),
    })?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| stop(&error.to_string()))
}

/// Reads a plan that was accepted.
pub(crate) fn read(path: &Path) -> Result<Submit, Stop> {
    let place = path.display();
    let again = "write it anew: resplit plan OPERATION --out FILE";
    let text = fs::read_to_string(path)
        .map_err(|error| Stop::new(Exit::Usage, format!("cannot read {place}: {error}")).help(again))?;
    let accepted: Accepted = serde_json::from_str(&text).map_err(|error| {
        let at = format!("{place}:{}:{}", error.line(), error.column());
        Stop::new(Exit::Definitions, format!("{at}: not a plan that was accepted: {error}")).help(again)
    })?;
    if accepted.resplit != KIND || accepted.format != FORMAT {
        let text = format!("{place} is '{}' of format {}", accepted.resplit, accepted.format);
        let wanted = format!("; this version reads '{KIND}' of format {FORMAT}");
        return Err(Stop::new(Exit::Definitions, text + &wanted).help(again));
    }
    if accepted.options.accepted.is_none() {
        let text = format!("{place} does not say what was accepted");
        return Err(Stop::new(Exit::Definitions, text).help(again));
    }
    Ok(Submit { plan: accepted.plan, options: accepted.options, measure: false })
}
