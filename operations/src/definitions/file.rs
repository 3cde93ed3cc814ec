//! One file on its way to a model.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::{Map, Number};

use super::Source;
use crate::{
    report::{Problem, Report, Severity},
    schema::{self, Found, Rules},
    yaml::{self, Tree, Value, View},
};

/// A file that was read as far as possible.
pub(super) struct File {
    path: PathBuf,
    text: Option<String>,
    pub(super) tree: Tree,
    pub(super) found: Found,
}

impl File {
    /// Reads a file and checks its structure. `needed` says what an empty file lacks.
    pub(super) fn read(source: Source, rules: &'static Rules, needed: &str) -> Self {
        let mut file = Self { path: source.path, text: None, tree: Tree::unread(), found: Found::default() };
        let bytes = match source.content {
            Ok(bytes) => bytes,
            Err(why) => {
                file.found.problems.push(Problem::of_file(&file.path, why));
                return file;
            }
        };
        let text = match yaml::decode(&bytes) {
            Ok(text) => text,
            Err(refused) => {
                let (problem, shown) = *refused;
                file.found.problems.push(problem);
                file.text = Some(shown);
                return file;
            }
        };
        let (tree, problems) = yaml::parse(text);
        if let Some(root) = tree.root() {
            let empty = *root.value() == Value::Null && tree.is_whole();
            if !empty {
                file.found = schema::walk(rules, root);
            }
        }
        let nothing = tree.root().is_none_or(|root| *root.value() == Value::Null);
        if nothing && tree.is_whole() && problems.is_empty() {
            let problem = Problem::of_file(&file.path, "the file is empty");
            file.found.problems.push(problem.help(needed));
        }
        file.found.problems.extend(problems);
        file.tree = tree;
        file.text = Some(text.to_owned());
        file
    }

    /// Hands over the problems, and the model if none of them is an error: neither in the file nor in what `also` finds in
    /// the model.
    pub(super) fn finish<T: DeserializeOwned>(
        mut self,
        report: &mut Report,
        also: impl FnOnce(&T, &Tree) -> Option<Problem>,
    ) -> Option<T> {
        let mut model = None;
        if self.found.problems.iter().all(|problem| problem.severity == Severity::Warning) {
            let json = self.tree.root().map(to_json).unwrap_or_default();
            match serde_json::from_value(json) {
                Ok(decoded) => match also(&decoded, &self.tree) {
                    Some(problem) => self.found.problems.push(problem),
                    None => model = Some(decoded),
                },
                // Schema and model disagree: a mistake of ours, and nothing an operator should meet as a panic.
                Err(error) => self.found.problems.push(Problem::of_file(&self.path, error.to_string())),
            }
        }
        report.add(&self.path, self.text.as_deref(), self.found.problems);
        model
    }
}

/// A value as the models are decoded from it. The nesting is limited, and so is what aliases repeat.
fn to_json(view: View<'_>) -> serde_json::Value {
    match view.value() {
        Value::Invalid | Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => Number::from_f64(*value).map_or(serde_json::Value::Null, Into::into),
        Value::Text(text) => text.clone().into(),
        Value::List(_) => view.items().map(to_json).collect(),
        Value::Map(entries) => {
            entries.iter().map(|e| (e.key.clone(), to_json(view.at(e.value)))).collect::<Map<_, _>>().into()
        }
    }
}
