//! What files declare: an operation or a driver, by their stems.

use std::{collections::BTreeMap, path::PathBuf};

use super::Source;
use crate::{
    ids::{NAME_WANTED, is_name},
    report::{Problem, shown},
};

/// The names seen so far, in lower case, each with its file.
pub(super) struct Names {
    /// What they name: an operation, a driver.
    what: &'static str,
    seen: BTreeMap<String, PathBuf>,
}

impl Names {
    /// None yet, of operations or drivers.
    pub(super) fn of(what: &'static str) -> Self {
        Self { what, seen: BTreeMap::new() }
    }

    /// The name of what a file declares; or why it declares nothing.
    pub(super) fn accept(&mut self, source: &Source) -> Result<String, Box<(String, Problem)>> {
        let path = &source.path;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let (id, what) = (stem.clone(), self.what);
        let problem = |message: String| Problem::of_file(path, message);
        if path.extension().is_some_and(|extension| extension == "yml") {
            let help = format!("rename it to {}.yaml", shown(&stem));
            return Err(Box::new((id, problem("named .yml, not read".to_owned()).warning().help(help))));
        }
        if path.extension().is_none_or(|extension| extension != "yaml") {
            let why = source.content.as_ref().err().cloned();
            return Err(Box::new((id, problem(why.unwrap_or_else(|| "not named .yaml".to_owned())))));
        }
        if !is_name(&stem) {
            let message = format!("{what} cannot be named '{}'", shown(&stem));
            return Err(Box::new((id, problem(message).help(format!("rename the file to {NAME_WANTED}")))));
        }
        if let Some(other) = self.seen.insert(stem.to_lowercase(), path.clone()) {
            let message =
                format!("{} declares the same {}, but for upper and lower case", other.display(), bare(what));
            return Err(Box::new((id, problem(message).help("rename one of the two"))));
        }
        Ok(id)
    }
}

/// Without its article.
fn bare(what: &str) -> &str {
    what.split_once(' ').map_or(what, |(_, noun)| noun)
}
