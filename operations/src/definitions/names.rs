//! Operation IDs: the stems of the files.

use std::{collections::BTreeMap, path::PathBuf};

use super::Source;
use crate::{
    ids::{NAME_WANTED, OperationId, is_name},
    report::{Problem, shown},
};

/// The IDs seen so far, in lower case, each with its file.
#[derive(Default)]
pub(super) struct Names(BTreeMap<String, PathBuf>);

impl Names {
    /// The ID of the operation that a file declares; or why it declares none.
    pub(super) fn accept(&mut self, source: &Source) -> Result<OperationId, Box<(OperationId, Problem)>> {
        let path = &source.path;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let id = OperationId::from(stem.as_str());
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
            let message = format!("an operation cannot be named '{}'", shown(&stem));
            return Err(Box::new((id, problem(message).help(format!("rename the file to {NAME_WANTED}")))));
        }
        if let Some(other) = self.0.insert(stem.to_lowercase(), path.clone()) {
            let message =
                format!("{} declares the same operation, but for upper and lower case", other.display());
            return Err(Box::new((id, problem(message).help("rename one of the two"))));
        }
        Ok(id)
    }
}
