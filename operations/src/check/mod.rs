//! What definitions mean: names that must exist, places that must not overlap, keys that need each other. Works on the
//! tree, so that it reports beside structural errors, not after them.

mod cascade;
pub(crate) mod cron;
mod driver;
mod hosts;
mod lvm;
mod operation;
mod places;
mod settings;
mod site;
mod steps;
mod transports;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    report::{Problem, Span, shown},
    schema::{Reference, nearest},
    yaml::{Tree, View},
};

pub(crate) use driver::{check as check_driver, check_defaults};
pub(crate) use operation::check as check_operation;
pub(crate) use site::check as check_site;

/// What a site declares, as far as it could be read: what operations are checked against.
#[derive(Debug, Default)]
pub(crate) struct SiteFacts {
    /// Whether all of the site could be read. If not, a name that is not in it may be in what is missing.
    pub(crate) whole: bool,
    pub(crate) hosts: BTreeSet<String>,
    pub(crate) volumes: BTreeMap<String, VolumeFacts>,
    pub(crate) libraries: BTreeMap<String, LibraryFacts>,
    pub(crate) drivers: BTreeSet<String>,
    pub(crate) transports: BTreeSet<String>,
}

/// What a site says of a volume.
#[derive(Debug, Default)]
pub(crate) struct VolumeFacts {
    pub(crate) host: Option<String>,
    /// Absolute.
    pub(crate) primary: Option<std::path::PathBuf>,
    /// What relative paths on the primary's host are relative to.
    pub(crate) base: std::path::PathBuf,
    /// Whether the primary is a tree within the file system that is quiesced, and not a volume beneath it.
    pub(crate) is_tree: bool,
    /// Whether its image is at rest only if its file system was frozen: the half of a mirror, which cannot be written.
    pub(crate) wants_freeze: bool,
    pub(crate) secondary_hosts: Vec<String>,
    /// Whether its driver copies at a pace.
    pub(crate) has_pace: bool,
}

/// What a site says of a library.
#[derive(Debug, Default)]
pub(crate) struct LibraryFacts {
    pub(crate) host: Option<String>,
    pub(crate) pools: Vec<String>,
}

impl SiteFacts {
    /// Whether this names a host of the site. If not, that has been reported, and nothing more can be said of it.
    fn has_host(&self, view: View<'_>) -> bool {
        view.text().is_some_and(|name| self.hosts.contains(name))
    }

    /// Reports every reference to something that is not declared.
    fn unknown_names(&self, references: &[Reference], problems: &mut Vec<Problem>) {
        if !self.whole {
            return;
        }
        let mut guesses = MOST_GUESSES;
        for reference in references {
            let name = reference.name.as_str();
            let (what, declared) = match reference.collection {
                "/hosts" => ("host", self.hosts.contains(name)),
                "/volumes" => ("volume", self.volumes.contains_key(name)),
                "/libraries" => ("library", self.libraries.contains_key(name)),
                "/transports" => ("transport", self.transports.contains(name)),
                "/drivers" => ("driver", self.drivers.contains(name)),
                _ => continue,
            };
            if declared {
                continue;
            }
            let known: Vec<&str> = match what {
                _ if guesses == 0 => Vec::new(),
                "host" => self.hosts.iter().map(String::as_str).collect(),
                "volume" => self.volumes.keys().map(String::as_str).collect(),
                "transport" => self.transports.iter().map(String::as_str).collect(),
                "driver" => self.drivers.iter().map(String::as_str).collect(),
                _ => self.libraries.keys().map(String::as_str).collect(),
            };
            guesses = guesses.saturating_sub(1);
            let has = if what == "driver" { "there are" } else { "site.yaml has" };
            problems.push(unknown(what, name, reference.span.clone(), &known, has));
        }
    }
}

/// For so many unknown names in a file it is guessed what was meant: guessing compares each with all that there are.
const MOST_GUESSES: usize = 100;

/// The problem that a name is not declared; `has` begins the list of what there is.
fn unknown(what: &str, name: &str, span: Span, known: &[&str], has: &str) -> Problem {
    const MOST: usize = 10;
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => Some(format!("did you mean '{near}'?")),
        None if known.is_empty() => None,
        None => {
            let more = if known.len() > MOST { ", ..." } else { "" };
            Some(format!("{has} {}{more}", known[..known.len().min(MOST)].join(", ")))
        }
    };
    Problem::at(span, format!("there is no {what} '{}'", shown(name)))
        .label(format!("unknown {what}"))
        .help_if(help)
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
