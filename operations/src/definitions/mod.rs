//! From files to models: every file is read and checked, every problem of every file is collected, and what has none
//! is decoded.

mod drivers;
mod file;
mod names;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    check::{self, SiteFacts},
    compile,
    ids::OperationId,
    operation::Operation,
    report::{Problem, Report, Severity},
    schema,
    site::Site,
    yaml::Tree,
};
pub(crate) use drivers::Drivers;
use file::File;

/// The largest file that is read, in bytes.
pub const LARGEST: usize = 16 << 20;

/// A file as it was found.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes, or why it could not be read.
    pub content: Result<Vec<u8>, String>,
}

/// Definitions without an error.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The site, as written: its paths are relative to its directory.
    pub site: Site,
    /// The operations by ID.
    pub operations: BTreeMap<OperationId, Operation>,
    /// What was noticed and hinders nothing.
    pub warnings: Report,
}

/// Definitions of which some have errors. What has none can be used.
#[derive(Clone, Debug, Default)]
pub struct Partial {
    /// The site, if it has no error. Paths are as written.
    pub site: Option<Site>,
    /// The operations without an error.
    pub operations: BTreeMap<OperationId, Operation>,
    /// The files of the others, by what their ID would be.
    pub broken: BTreeMap<OperationId, PathBuf>,
    /// Every problem of every file.
    pub report: Report,
    site_file: PathBuf,
}

/// Reads and checks all files, and refuses if there is an error in any.
pub fn check_all(site: Source, operations: Vec<Source>) -> Result<Checked, Report> {
    let partial = check_all_partial(site, operations);
    match partial.site {
        Some(site) if partial.report.errors() == 0 => {
            Ok(Checked { site, operations: partial.operations, warnings: partial.report })
        }
        _ => Err(partial.report),
    }
}

/// Reads and checks a site without drivers of its own, and operations; an error in one keeps no other from being used.
pub fn check_all_partial(site: Source, operations: Vec<Source>) -> Partial {
    check_everything(site, Vec::new(), operations)
}

/// Reads and checks all files; an error in one keeps no other from being used, but the site from using its driver.
pub fn check_everything(site: Source, drivers: Vec<Source>, operations: Vec<Source>) -> Partial {
    let mut partial = Partial { site_file: site.path.clone(), ..Partial::default() };
    let directory = site.path.parent().map(Path::to_owned).unwrap_or_default();
    let drivers = Drivers::read(drivers, &directory, &mut partial.report);
    let facts = check_site(site, &directory, &drivers, &mut partial);
    let mut ids = names::Names::of("an operation");
    for source in operations {
        match ids.accept(&source) {
            Ok(id) => check_operation(id.into(), source, &facts, &directory, &mut partial),
            Err(refused) => {
                let (id, problem) = *refused;
                let id = OperationId::from(id);
                if problem.severity == Severity::Error {
                    let _ = partial.broken.insert(id, source.path.clone());
                }
                partial.report.add(&source.path, None, vec![problem]);
            }
        }
    }
    partial
}

fn check_site(source: Source, directory: &Path, drivers: &Drivers, partial: &mut Partial) -> SiteFacts {
    let mut file = File::read(source, schema::site_rules(), "hosts: and volumes: are needed");
    let found = &mut file.found;
    let facts = check::check_site(&file.tree, directory, drivers, &found.references, &mut found.problems);
    let site = file.finish(&mut partial.report, |_: &Site, _| None);
    partial.site = site.and_then(|site| drivers.complete(site));
    facts
}

fn check_operation(
    id: OperationId,
    source: Source,
    facts: &SiteFacts,
    directory: &Path,
    partial: &mut Partial,
) {
    let path = source.path.clone();
    let mut file = File::read(source, schema::operation_rules(), "protect: or steps: is needed");
    let found = &mut file.found;
    check::check_operation(&file.tree, facts, &found.references, &mut found.problems);
    let site = partial.site.as_ref();
    let compiled = |operation: &Operation, tree: &Tree| no_plan(site?, directory, &id, operation, tree);
    match file.finish(&mut partial.report, compiled) {
        Some(operation) => {
            let _ = partial.operations.insert(id, operation);
        }
        None => {
            let _ = partial.broken.insert(id, path);
        }
    }
}

/// Why steps that are written out make no plan, although each of them is well written. What is declared always makes one.
fn no_plan(
    site: &Site,
    directory: &Path,
    id: &OperationId,
    operation: &Operation,
    tree: &Tree,
) -> Option<Problem> {
    let _ = operation.steps.as_ref()?;
    let directory = if directory.is_absolute() { directory } else { Path::new("/") };
    let error = compile::backup(site, directory, id, operation).err()?;
    let steps = tree.root()?.get("steps")?;
    let place = error.step().and_then(|step| steps.get(step.as_str())).unwrap_or(steps);
    Some(Problem::at(place.span(), error.to_string()))
}

impl Partial {
    /// The site and one operation, to be used although others may be broken; or what is wrong with these two.
    pub fn operation(&self, id: &OperationId) -> Result<(&Site, &Operation), Report> {
        let site = self.site.as_ref();
        if let (Some(site), Some(operation)) = (site, self.operations.get(id)) {
            return Ok((site, operation));
        }
        let file = self.broken.get(id);
        if site.is_some() && file.is_none() {
            return Err(self.unknown_operation(id));
        }
        Err(self.report.about(|path| path == self.site_file || Some(path) == file.map(PathBuf::as_path)))
    }

    fn unknown_operation(&self, id: &OperationId) -> Report {
        let known: BTreeSet<&str> =
            self.operations.keys().chain(self.broken.keys()).map(OperationId::as_str).collect();
        let help = match schema::nearest(id.as_str(), known.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None if known.is_empty() => "no operation is declared: write operations/NAME.yaml".to_owned(),
            None => format!("the operations are {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        };
        let directory = self.site_file.with_file_name("operations");
        let message = format!("there is no operation '{}'", crate::report::shown(id.as_str()));
        let mut report = Report::default();
        report.add(&directory, None, vec![Problem::of_file(&directory, message).help(help)]);
        report
    }
}
