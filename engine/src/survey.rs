//! Whether this host is what the site says it is: the source side of an operation has the primaries and can hold their file
//! systems still, the backup side has places for secondaries and the libraries, and each reaches whom it has to ask.

use std::{fs, io, path::Path, sync::Arc};

use resplit_operations::{
    ids::HostId,
    site::{MediaDriverKind, PairDriverKind, Site, Volume},
};
use resplit_steps::{drivers::mounts, failure::Failure};

use crate::{
    definitions,
    engine::Engine,
    failures,
    protocol::{Finding, Survey, SurveyRequest},
};

/// Looks at all that the request names.
pub(crate) async fn survey(engine: &Arc<Engine>, request: SurveyRequest) -> Result<Survey, Failure> {
    let mut findings = Vec::new();
    for host in request.reaches.iter().filter(|host| **host != engine.host) {
        // A line that is open may be cut by now: only an answer tells.
        let reached = match engine.peers.client(&request.site, host).await {
            Ok(client) => client.verify(host).await.map(drop).map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        findings.extend(reached.err().map(|failure| finding(format!("line to host '{host}'"), failure)));
    }
    let (here, directory) = (Arc::clone(engine), engine.peers.site.clone());
    let seen = tokio::task::spawn_blocking(move || (look(&here, &request), definitions::digests(&directory)));
    let (seen, definitions) = seen.await.map_err(|error| failures::defect(&error))?;
    findings.extend(seen);
    Ok(Survey {
        engine: engine.describe(),
        machine: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        directory: engine.peers.site.clone(),
        definitions,
        findings,
    })
}

fn finding(about: String, failure: Failure) -> Finding {
    Finding { about, failure }
}

fn look(engine: &Engine, request: &SurveyRequest) -> Vec<Finding> {
    let (site, host) = (&request.site, &engine.host);
    let mut findings = Vec::new();
    let mut found = |about: String, looked: Result<(), Failure>| {
        findings.extend(looked.err().map(|failure| finding(about, failure)));
    };
    for (id, volume) in &site.volumes {
        if volume.primary.host == *host {
            found(format!("primary of volume '{id}'"), primary(host, volume));
            for pair in site.pairs(id) {
                let status = engine.drivers.pairs(volume.driver).and_then(|driver| driver.status(&pair));
                found(format!("pair {}", pair.copy_group), status.map(drop));
            }
        }
        for pair in volume.pairs.iter().filter(|pair| pair.secondary.host == *host) {
            found(format!("secondary of pair {}", pair.copy_group), secondary(volume, &pair.secondary.path));
        }
    }
    for (id, library) in site.libraries.iter().filter(|(_, library)| library.host == *host) {
        let MediaDriverKind::Virtual = library.driver;
        found(format!("library '{id}'"), place(&library.path));
    }
    for path in &request.filesystems {
        found(format!("file system {}", path.display()), mounts::source(host, path).map(drop));
    }
    if engine.store.is_low_on_space() {
        let state = engine.directories.state.display();
        let failure = Failure::refused(format!("the disk with {state} is full, or nearly so"))
            .with_help(format!("make room there: df {state}"));
        found("state directory".to_owned(), Err(failure));
    }
    if let Some(damage) = engine.store.damage() {
        found(
            "state directory".to_owned(),
            Err(Failure::refused(damage.to_string()).with_help(damage.help())),
        );
    }
    findings
}

/// The primary is there, on whatever file system is mounted.
fn primary(host: &HostId, volume: &Volume) -> Result<(), Failure> {
    let path = &volume.primary.path;
    let absent = |error: &io::Error| {
        Failure::refused(format!("{} is not there: {error}", path.display()))
            .with_help("mount its file system, or correct 'primary' in site.yaml")
    };
    let metadata = fs::metadata(path).map_err(|error| absent(&error))?;
    match volume.driver {
        PairDriverKind::Directory | PairDriverKind::Btrfs | PairDriverKind::Declared
            if !metadata.is_dir() =>
        {
            Err(Failure::refused(format!("{} is not a directory", path.display()))
                .with_help("correct 'primary' in site.yaml"))
        }
        PairDriverKind::Image | PairDriverKind::Qemu => Ok(()),
        _ => mounts::source(host, path).map(drop),
    }
}

/// What keeps a copy is there, or is made when it is first needed. An array keeps its copies itself.
fn secondary(volume: &Volume, path: &Path) -> Result<(), Failure> {
    if volume.driver == PairDriverKind::Declared { Ok(()) } else { place(path) }
}

/// A directory that is there, or can be made: the nearest of its parents that is there is a directory.
fn place(path: &Path) -> Result<(), Failure> {
    for near in path.ancestors() {
        match fs::metadata(near) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => {
                return Err(Failure::refused(format!("{} is not a directory", near.display()))
                    .with_help("name another place in site.yaml"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io("look at", near, &error)),
        }
    }
    Ok(())
}

/// The hosts that each host of a site has to reach: whoever coordinates asks those of the secondaries and libraries.
pub fn reaches(site: &Site, host: &HostId) -> std::collections::BTreeSet<HostId> {
    let primaries = site.volumes.values().filter(|volume| volume.primary.host == *host);
    primaries
        .flat_map(|volume| &volume.pairs)
        .map(|pair| pair.secondary.host.clone())
        .filter(|to| to != host)
        .collect()
}
