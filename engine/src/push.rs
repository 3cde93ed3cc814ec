//! Definition files that come from another machine: put in place all or none, whenever this is killed. They are written
//! beside those that are there; a rename says that they are whole; then each takes its place. What was interrupted after
//! that rename is finished by whoever comes next.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use resplit_operations::{
    definitions::{Partial, Source, check_everything},
    ids::is_name,
};
use resplit_steps::failure::Failure;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::definitions::{self, DRIVERS, OPERATIONS, SITE_FILE};

/// The files while they are written, and once they are whole.
const COMING: &str = ".pushing";
const WHOLE: &str = ".pushed";
/// The names of all that came.
const ALL: &str = "all.json";
/// Held while files are put in place.
const LOCK: &str = ".push.lock";

/// Definition files, by their names relative to the site directory.
pub type Files = BTreeMap<String, String>;

/// What putting files in place changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Files that are not there yet.
    pub added: Vec<String>,
    /// Files that are there with another content.
    pub changed: Vec<String>,
    /// Files that are there and have not come: they are removed.
    pub removed: Vec<String>,
}

impl Changes {
    /// Whether everything is as it came.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// The definition files of a site directory.
pub fn files(site: &Path) -> Result<Files, Failure> {
    let (file, operations) = definitions::read(site);
    let all = [file].into_iter().chain(operations).chain(definitions::read_drivers(site));
    let text = |source: Source| {
        let name = source.path.strip_prefix(site).unwrap_or(&source.path).display().to_string();
        let bytes = source.content.map_err(|why| Failure::refused(format!("{name}: {why}")))?;
        let text = String::from_utf8(bytes).map_err(|_| Failure::refused(format!("{name} is not UTF-8")));
        text.map(|text| (name, text))
    };
    all.map(text).collect()
}

/// Checks files as they would be in a site directory, where nothing of them is needed to be there.
pub fn check(site: &Path, files: &Files) -> Result<Partial, Failure> {
    if let Some(name) = files.keys().find(|name| !is_definition(name)) {
        return Err(Failure::refused(format!("'{}' is no definition file", name.escape_default())));
    }
    let source = |(name, text): (&String, &String)| Source {
        path: site.join(name),
        content: Ok(text.clone().into_bytes()),
    };
    let below = |directory: &str| {
        let prefix = format!("{directory}/");
        files.iter().filter(move |(name, _)| name.starts_with(&prefix)).map(source).collect::<Vec<_>>()
    };
    let file = files.get_key_value(SITE_FILE).map(source);
    let file = file.ok_or_else(|| Failure::refused(format!("what came has no {SITE_FILE}")))?;
    Ok(check_everything(file, below(DRIVERS), below(OPERATIONS)))
}

/// `site.yaml`, or a YAML file with a plain name in one of the two directories.
fn is_definition(name: &str) -> bool {
    name == SITE_FILE
        || [OPERATIONS, DRIVERS].iter().any(|directory| {
            let stem = name.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/'));
            stem.and_then(|rest| rest.strip_suffix(".yaml")).is_some_and(is_name)
        })
}

/// What putting these files in place would change.
pub fn changes(site: &Path, files: &Files) -> Changes {
    let there = definitions::digests(site);
    let mut changes = Changes::default();
    for (name, text) in files {
        match there.get(name) {
            None => changes.added.push(name.clone()),
            Some(digest) if *digest == blake3::hash(text.as_bytes()).to_hex().as_str() => {}
            // What `digests` lists is there unless it is the site file, which it always lists.
            Some(_) if !site.join(name).exists() => changes.added.push(name.clone()),
            Some(_) => changes.changed.push(name.clone()),
        }
    }
    changes.removed = there.into_keys().filter(|name| !files.contains_key(name)).collect();
    changes
}

/// Puts files in place of all definition files of a site directory, which is made if it is not there. Check them first.
pub fn put(site: &Path, files: &Files) -> Result<(), Failure> {
    fs::create_dir_all(site).map_err(|error| Failure::io("make the site directory", site, &error))?;
    let _lock = lock(site)?;
    finish_locked(site)?;
    let coming = site.join(COMING);
    let failed = |error: io::Error| Failure::io("write the definition files in", &coming, &error);
    match fs::remove_dir_all(&coming) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    write_all(&coming, files).map_err(failed)?;
    fs::rename(&coming, site.join(WHOLE)).and_then(|()| sync(site)).map_err(failed)?;
    finish_locked(site)
}

/// Finishes what was interrupted once all had come; anything before that is as if it had not been.
pub fn finish(site: &Path) -> Result<(), Failure> {
    if !site.join(WHOLE).is_dir() {
        return Ok(());
    }
    let _lock = lock(site)?;
    finish_locked(site)
}

fn lock(site: &Path) -> Result<File, Failure> {
    let path = site.join(LOCK);
    let locked = File::options().write(true).create(true).truncate(false).open(&path).and_then(|file| {
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    });
    locked.map_err(|error| Failure::io("lock", &path, &error))
}

fn write_all(to: &Path, files: &Files) -> io::Result<()> {
    for directory in [OPERATIONS, DRIVERS] {
        fs::create_dir_all(to.join(directory))?;
    }
    let names = serde_json::to_vec(&files.keys().collect::<Vec<_>>())?;
    let texts = files.iter().map(|(name, text)| (name.as_str(), text.as_bytes()));
    for (name, bytes) in texts.chain([(ALL, names.as_slice())]) {
        let mut file = File::create_new(to.join(name))?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    [OPERATIONS, DRIVERS].iter().try_for_each(|directory| sync(&to.join(directory)))?;
    sync(to)
}

/// Each file takes its place by a rename; what did not come goes. Done again it does what is left.
fn finish_locked(site: &Path) -> Result<(), Failure> {
    let whole = site.join(WHOLE);
    let names = match fs::read(whole.join(ALL)) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::io("read", &whole.join(ALL), &error)),
    };
    let names: Vec<String> = serde_json::from_slice(&names)
        .map_err(|error| Failure::permanent(format!("{}: {error}", whole.join(ALL).display())))?;
    let failed = |error: io::Error| Failure::io("put in place the definition files in", &whole, &error);
    for directory in [OPERATIONS, DRIVERS] {
        fs::create_dir_all(site.join(directory)).map_err(failed)?;
    }
    for name in names.iter().filter(|name| is_definition(name)) {
        match fs::rename(whole.join(name), site.join(name)) {
            // It has taken its place before.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    let gone = definitions::digests(site).into_keys().filter(|name| !names.contains(name));
    for name in gone {
        fs::remove_file(site.join(name)).map_err(failed)?;
    }
    let places: [PathBuf; 3] = [site.join(OPERATIONS), site.join(DRIVERS), site.to_owned()];
    places.iter().try_for_each(|place| sync(place)).map_err(failed)?;
    // The list goes first: without it there is nothing to finish.
    fs::remove_file(whole.join(ALL)).and_then(|()| sync(&whole)).map_err(failed)?;
    fs::remove_dir_all(&whole).and_then(|()| sync(site)).map_err(failed)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
