//! Where the definitions are on disk: finding the site directory, and reading what an operator wrote in it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use resplit_operations::definitions::{LARGEST, Source};
use resplit_steps::failure::Failure;

/// The file that makes a directory a site directory.
pub const SITE_FILE: &str = "site.yaml";
/// The directory of the operations in it.
pub const OPERATIONS: &str = "operations";
/// The directory of the drivers in it.
pub const DRIVERS: &str = "drivers";
/// The site directory if nothing else is said or found.
pub const SYSTEM: &str = "/etc/resplit";

/// The site directory, absolute and without symbolic links: what `--site` says, else what the variable `RESPLIT_SITE`
/// says, else the nearest of the current directory and its parents that has a `site.yaml`, else `/etc/resplit`.
pub fn find_site(
    explicit: Option<&Path>,
    environment: Option<&OsStr>,
    current: &Path,
) -> Result<PathBuf, Failure> {
    let environment = environment.filter(|value| !value.is_empty()).map(Path::new);
    for (said, by) in [(explicit, "--site"), (environment, "RESPLIT_SITE")] {
        if let Some(said) = said {
            return said_site(&current.join(said), by);
        }
    }
    let system = Path::new(SYSTEM);
    let found = current.ancestors().chain([system]).find(|directory| has_site(directory));
    let Some(found) = found else {
        let message = format!(
            "there is no {SITE_FILE} in {}, in a directory above it, or in {SYSTEM}",
            current.display()
        );
        return Err(Failure::refused(message)
            .with_help("write one with `resplit init`, or name its directory with --site DIR"));
    };
    fs::canonicalize(found).map_err(|error| Failure::io("find", found, &error))
}

/// Whether there is a site file, be it unreadable: then that is what has to be reported.
fn has_site(directory: &Path) -> bool {
    fs::symlink_metadata(directory.join(SITE_FILE)).is_ok()
}

fn said_site(said: &Path, by: &str) -> Result<PathBuf, Failure> {
    // The file itself may be named as well.
    let directory = if said.file_name() == Some(OsStr::new(SITE_FILE)) && !said.is_dir() {
        said.parent().unwrap_or(said)
    } else {
        said
    };
    let directory = fs::canonicalize(directory).map_err(|error| {
        Failure::refused(format!("cannot find the site directory {} ({by}): {error}", directory.display()))
    })?;
    if has_site(&directory) {
        return Ok(directory);
    }
    let help = format!("write one with `resplit init {}`", directory.display());
    Err(Failure::refused(format!("there is no {SITE_FILE} in {} ({by})", directory.display()))
        .with_help(help))
}

/// Reads the site file alone, for what concerns no operation.
pub fn read_site(site_directory: &Path) -> Source {
    source(site_directory.join(SITE_FILE))
}

/// Reads the site file and every operation file, in the order of their names. What cannot be read is returned with the
/// reason, to be reported among all other problems; editors' temporary files are passed over.
pub fn read(site_directory: &Path) -> (Source, Vec<Source>) {
    (read_site(site_directory), read_all(site_directory.join(OPERATIONS)))
}

/// The definition files of a site directory, relative to it, each with the BLAKE3 of what is in it in hexadecimal. One that
/// cannot be read has the reason instead.
pub fn digests(site_directory: &Path) -> BTreeMap<String, String> {
    let (site, operations) = read(site_directory);
    let all = [site].into_iter().chain(operations).chain(read_drivers(site_directory));
    let digest = |source: Source| {
        let name = source.path.strip_prefix(site_directory).unwrap_or(&source.path).display().to_string();
        let digest = source.content.map(|bytes| blake3::hash(&bytes).to_hex().to_string());
        (name, digest.unwrap_or_else(|reason| reason))
    };
    all.map(digest).collect()
}

/// Reads every driver file, in the order of their names.
pub fn read_drivers(site_directory: &Path) -> Vec<Source> {
    read_all(site_directory.join(DRIVERS))
}

fn read_all(directory: PathBuf) -> Vec<Source> {
    let entries = match fs::read_dir(&directory).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![Source { path: directory, content: Err(reason(&error)) }],
    };
    let mut paths: Vec<PathBuf> =
        entries.into_iter().map(|entry| entry.path()).filter(|p| is_wanted(p)).collect();
    paths.sort();
    paths.into_iter().map(source).collect()
}

/// Whether a file is, or was meant to be, an operation or a driver.
fn is_wanted(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
    !name.starts_with(b".") && (name.ends_with(b".yaml") || name.ends_with(b".yml"))
}

fn source(path: PathBuf) -> Source {
    let content = if path.extension().is_some_and(|extension| extension == "yml") {
        Err("named .yml, not read".to_owned())
    } else {
        contents(&path)
    };
    Source { path, content }
}

fn reason(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = fs::metadata(path).map_err(|error| {
        let target = fs::read_link(path).ok().filter(|_| error.kind() == io::ErrorKind::NotFound);
        target.map_or_else(
            || reason(&error),
            |to| format!("is a symbolic link to {}, which is not there", to.display()),
        )
    })?;
    if metadata.is_dir() {
        return Err("is a directory, not a file".to_owned());
    }
    // A pipe would never end, or never begin.
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let file = fs::File::open(path).map_err(|error| reason(&error))?;
    // One byte more than may be: then checking says that it is too large.
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(most)).unwrap_or_default());
    let _ = file.take(most).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
