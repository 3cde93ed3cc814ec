//! What an engine does beside runs: giving leases, undoing what a run left here, and putting the catalog beside
//! the library, so that losing the store does not lose the tapes.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use jiff::Timestamp;
use resplit_operations::{
    ids::{HostId, LibraryId, RunId},
    plan::Resource,
    record::Record,
    site::Site,
};
use resplit_steps::failure::Failure;
use serde::Serialize;

use crate::{
    engine::Engine,
    obligations,
    protocol::{Lease, LeaseReply, LeaseRequest, RunStatus},
    rows::{self, LibraryPlace},
    run::load,
    store::{Batch, StoreError},
};

/// The catalog of a host, as it is put beside a library.
#[derive(Serialize)]
struct CatalogFile<'a> {
    format: u32,
    host: &'a HostId,
    written: Timestamp,
    records: &'a [Record],
}

impl Engine {
    /// Gives leases, or says who holds them. Those of a run of this host that is still to be finished stand, although the
    /// engine that took them is dead.
    pub(crate) fn give_lease(&self, request: &LeaseRequest) -> Result<LeaseReply, StoreError> {
        self.leases.request(&self.store, request, self.clock.now(), |lease| self.is_open(lease))
    }

    /// Who holds leases that would be asked for, if somebody does.
    pub(crate) fn look_at_leases(&self, request: &LeaseRequest) -> Option<LeaseReply> {
        self.leases.look(request, |lease| self.is_open(lease))
    }

    /// Whether a lease stands although the engine that took it may be dead: its run is still to be finished here, or a
    /// step of it still runs here.
    fn is_open(&self, lease: &Lease) -> bool {
        let row = load::row(&self.store, &lease.run).ok().flatten();
        let is_unfinished =
            row.is_some_and(|row| !row.status.is_over() || matches!(row.status, RunStatus::Parked { .. }));
        is_unfinished || self.serving.serves(&lease.run)
    }

    /// Waits until this host's count of releases of leases is another than `releases`.
    pub(crate) async fn wait_for_release(&self, releases: u64) -> Result<(), StoreError> {
        self.leases.wait(&self.store, releases, |lease| self.is_open(lease)).await
    }

    /// Undoes what a run that is over has left on this host; gives what there was to undo. May block.
    pub(crate) fn end_run_here(&self, run: &RunId) -> Result<Vec<String>, Failure> {
        let told = obligations::discharge(self, run)?;
        let Ok(entries) = fs::read_dir(&self.directories.staging) else { return Ok(told) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let of_run = ["import-", "export-"]
                .iter()
                .any(|kind| name.to_string_lossy().strip_prefix(kind).is_some_and(|rest| is_of(rest, run)));
            if of_run {
                let path = entry.path();
                fs::remove_file(&path).map_err(|error| Failure::io("remove", &path, &error))?;
            }
        }
        Ok(told)
    }

    /// Undoes what a run that is over has left on this host, and releases what it held here; gives what there was to
    /// undo. May block.
    pub(crate) fn leave(&self, run: &RunId) -> Result<Vec<String>, Failure> {
        let told = self.end_run_here(run)?;
        for resource in self.leases.release(&self.store, run)? {
            if let Resource::Drive(library) = resource {
                self.export_catalog(&library);
            }
        }
        Ok(told)
    }

    /// Puts this host's catalog beside a library. That it could not be written is told, and fails nothing.
    pub(crate) fn export_catalog(&self, library: &LibraryId) {
        if let Err(error) = self.try_export(library) {
            tracing::warn!("cannot put the catalog beside library '{library}': {error}");
        }
    }

    fn try_export(&self, library: &LibraryId) -> Result<(), Failure> {
        let Some(directory) = rows::get::<LibraryPlace>(&self.store, &library_key(library))? else {
            return Ok(());
        };
        let records = self.catalog()?;
        let file = CatalogFile { format: 1, host: &self.host, written: self.clock.now(), records: &records };
        let bytes =
            serde_json::to_vec_pretty(&file).map_err(|error| Failure::permanent(error.to_string()))?;
        let path = directory.0.join(format!("catalog-{}.json", self.host));
        replace(&directory.0, &path, &bytes).map_err(|error| Failure::io("write", &path, &error))
    }
}

fn is_of(rest: &str, run: &RunId) -> bool {
    rest.strip_prefix(run.as_str()).is_some_and(|rest| rest.starts_with(['.', '+']))
}

fn library_key(library: &LibraryId) -> String {
    format!("library/{library}")
}

/// Remembers where the libraries of this host are.
pub(crate) fn remember_libraries(engine: &Engine, site: &Site) -> Result<(), StoreError> {
    for (id, library) in site.libraries.iter().filter(|(_, library)| library.host == engine.host) {
        let place = LibraryPlace(library.path.clone());
        if rows::get(&engine.store, &library_key(id))?.as_ref() != Some(&place) {
            let mut batch = Batch::default();
            rows::put(&mut batch, &library_key(id), &place)?;
            let _ = engine.store.commit(batch)?;
        }
    }
    Ok(())
}

fn replace(directory: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    File::open(directory)?.sync_all()
}
