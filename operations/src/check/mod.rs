//! What definitions mean: names that must exist, places that must not overlap, keys that need each other. Works on the
//! tree, so that it reports beside structural errors, not after them.

mod cron;
mod operation;
mod places;
mod site;
mod steps;

use std::collections::BTreeMap;

use crate::{
    report::{Problem, shown},
    schema::{Reference, nearest},
    yaml::{Tree, View},
};

pub(crate) use operation::check as check_operation;
pub(crate) use site::check as check_site;

/// What a site declares, as far as it could be read: what operations are checked against.
#[derive(Debug, Default)]
pub(crate) struct SiteFacts {
    /// Whether all of the site could be read. If not, a name that is not in it may be in what is missing.
    pub(crate) whole: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) volumes: BTreeMap<String, VolumeFacts>,
    pub(crate) libraries: BTreeMap<String, LibraryFacts>,
}

/// What a site says of a volume.
#[derive(Debug, Default)]
pub(crate) struct VolumeFacts {
    pub(crate) host: Option<String>,
    /// Absolute.
    pub(crate) primary: Option<std::path::PathBuf>,
    pub(crate) secondary_hosts: Vec<String>,
}

/// What a site says of a library.
#[derive(Debug, Default)]
pub(crate) struct LibraryFacts {
    pub(crate) host: Option<String>,
    pub(crate) pools: Vec<String>,
}

impl SiteFacts {
    /// Reports every reference to something that is not declared.
    fn unknown_names(&self, references: &[Reference], problems: &mut Vec<Problem>) {
        if !self.whole {
            return;
        }
        for reference in references {
            let name = reference.name.as_str();
            let (what, known) = match reference.collection {
                "/hosts" => ("host", self.hosts.iter().map(String::as_str).collect::<Vec<_>>()),
                "/volumes" => ("volume", self.volumes.keys().map(String::as_str).collect()),
                "/libraries" => ("library", self.libraries.keys().map(String::as_str).collect()),
                _ => continue,
            };
            if !known.contains(&name) {
                problems.push(
                    unknown(what, name, &known, "site.yaml has").into_problem(reference.span.clone(), what),
                );
            }
        }
    }
}

/// A name that is not declared.
struct Unknown {
    message: String,
    help: String,
}

impl Unknown {
    fn into_problem(self, span: crate::report::Span, what: &str) -> Problem {
        Problem::at(span, self.message).label(format!("unknown {what}")).help(self.help)
    }
}

fn unknown(what: &str, name: &str, known: &[&str], has: &str) -> Unknown {
    const MOST: usize = 10;
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None if known.is_empty() => format!("{has} none"),
        None => {
            let more = if known.len() > MOST { ", ..." } else { "" };
            format!("{has} {}{more}", known[..known.len().min(MOST)].join(", "))
        }
    };
    Unknown { message: format!("there is no {what} '{}'", shown(name)), help }
}

/// The value at a path of keys.
fn at<'a>(tree: &'a Tree, path: &[&str]) -> Option<View<'a>> {
    path.iter().try_fold(tree.root()?, |view, key| view.get(key))
}

/// Reports every text of a list that came before.
fn repeated<'a>(items: impl Iterator<Item = View<'a>>, what: &str, problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for item in items {
        let Some(text) = item.text() else { continue };
        if let Some(first) = seen.insert(text, item.span()) {
            problems.push(
                Problem::at(item.span(), format!("the {what} '{}' is named twice", shown(text)))
                    .label("again")
                    .related(first, "first here")
                    .help("remove one of the two"),
            );
        }
    }
}

/// Reports a duration that is zero.
fn not_zero(view: Option<View<'_>>, what: &str, problems: &mut Vec<Problem>) {
    let Some(view) = view else { return };
    if view.text().and_then(crate::units::Period::parse).is_some_and(|period| period.0 == 0) {
        problems
            .push(Problem::at(view.span(), format!("{what} cannot be zero")).label("expected more than 0"));
    }
}

/// Reports the mode that is not built.
fn not_cold(view: Option<View<'_>>, problems: &mut Vec<Problem>) {
    if let Some(view) = view.filter(|view| view.text() == Some("cold")) {
        problems.push(
            Problem::at(view.span(), "quiesce mode cold is not built; use online or freeze")
                .label("not built"),
        );
    }
}
