//! Driver files: the site's own, and those that come with the program.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use super::{File, Source, names::Names};
use crate::{
    check,
    driver::{DriverFile, SHIPPED, shipped_source},
    ids::DriverId,
    report::Report,
    schema,
    site::{PairDriverKind, Site},
};

/// The drivers that a site may name: each with what its file says, or nothing if that has errors.
#[derive(Debug, Default)]
pub(crate) struct Drivers(BTreeMap<DriverId, Option<Arc<DriverFile>>>);

impl Drivers {
    /// Reads a site's own files; those that come with the program are read where it has none of that name.
    pub(super) fn read(sources: Vec<Source>, directory: &Path, report: &mut Report) -> Self {
        let mut drivers = Self::default();
        let mut names = Names::of("a driver");
        for source in sources {
            match names.accept(&source) {
                Ok(name) => drivers.add(&name, source, report),
                Err(refused) => {
                    let (name, problem) = *refused;
                    report.add(&source.path, None, vec![problem]);
                    let _ = drivers.0.entry(name.into()).or_default();
                }
            }
        }
        for (name, _) in SHIPPED {
            if !drivers.0.contains_key(&DriverId::from(name))
                && let Some(source) = shipped_source(directory, name)
            {
                drivers.add(name, source, report);
            }
        }
        drivers
    }

    fn add(&mut self, name: &str, source: Source, report: &mut Report) {
        let mut file = File::read(source, schema::driver_rules(), "status: and verbs: are needed");
        check::check_driver(&file.tree, &mut file.found.problems);
        let model = file.finish(report, check::check_defaults).map(Arc::new);
        let _ = self.0.insert(DriverId::from(name), model);
    }

    /// What the file of a driver says, if it has no error.
    pub(crate) fn file(&self, name: &str) -> Option<&Arc<DriverFile>> {
        self.0.get(&DriverId::from(name))?.as_ref()
    }

    /// The names that `driver:` may have.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let own = PairDriverKind::BUILT_IN.iter().map(ToString::to_string);
        self.0.keys().map(ToString::to_string).chain(own).collect()
    }

    /// The site with what its drivers' files say; nothing if one that it names has errors.
    pub(super) fn complete(&self, mut site: Site) -> Option<Site> {
        for volume in site.volumes.values_mut() {
            if let Some(declared) = &mut volume.declared {
                declared.file = Some(Arc::clone(self.file(declared.name.as_str())?));
            }
        }
        Some(site)
    }
}
