//! Files for another place: collected beside it, whole, then moved into it one name at a time, never over anything.
//! Killed while collecting, it collects anew; killed while moving, it moves the rest.

use std::{
    fs::{self, File},
    path::{Component, Path, PathBuf},
};

use resplit_operations::{ids::RunId, pair::CopyReport};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::failure::Failure;

/// A place that is being filled.
pub(super) struct Elsewhere<'a> {
    to: &'a Path,
    paths: &'a [PathBuf],
    staging: PathBuf,
}

impl<'a> Elsewhere<'a> {
    /// The place `to`, for these paths (all that is collected if empty), by this run.
    pub(super) fn new(to: &'a Path, paths: &'a [PathBuf], run: &RunId) -> Self {
        Self { to, paths, staging: to.join(format!(".resplit-{run}")) }
    }

    /// The directory in which files are collected; it stays behind, empty, until the run is over.
    pub(super) fn staging(&self) -> &Path {
        &self.staging
    }

    /// Refuses a place that has any of the paths already, or anything at all if everything is wanted.
    pub(super) fn check_free(&self) -> Result<(), Failure> {
        let refuse = |path: &Path| {
            Err(Failure::refused(format!("{} is in the way", path.display()))
                .with_help("name another place with --to, or move it away"))
        };
        for path in self.paths {
            let harmless = path.components().all(|part| matches!(part, Component::Normal(_)));
            if !harmless {
                let text = format!("'{}' is not a path relative to the volume's root", path.display());
                return Err(Failure::refused(text).with_help("name it as --path reports/2026.txt"));
            }
            if self.to.join(path).symlink_metadata().is_ok() {
                return refuse(&self.to.join(path));
            }
        }
        match self.to.symlink_metadata() {
            Ok(found) if !found.is_dir() => refuse(self.to),
            Ok(_) if self.paths.is_empty() => {
                let mut entries =
                    fs::read_dir(self.to).map_err(|error| Failure::io("read", self.to, &error))?;
                entries.next().map_or(Ok(()), |_| refuse(self.to))
            }
            _ => Ok(()),
        }
    }

    /// Fills the place with what `collect` puts into the directory that it is given.
    pub(super) fn fill(
        &self,
        collect: impl FnOnce(&Path) -> Result<CopyReport, Failure>,
    ) -> Result<CopyReport, Failure> {
        let (content, whole) = (self.staging.join("content"), self.staging.join("whole.json"));
        let report = if let Some(report) =
            fs::read(&whole).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
        {
            report
        } else {
            if self.staging.exists() {
                fs::remove_dir_all(&self.staging)
                    .map_err(|error| Failure::io("remove", &self.staging, &error))?;
            }
            let was_there = self.to.exists();
            fs::create_dir_all(&content).map_err(|error| Failure::io("create", &content, &error))?;
            let report = collect(&content).inspect_err(|_| self.take_back(was_there))?;
            self.keep(&whole, &report).map_err(|error| Failure::io("write", &whole, &error))?;
            report
        };
        self.publish(&content)?;
        Ok(report)
    }

    /// What could not be collected leaves nothing behind; what cannot be removed is an obligation of the run anyway.
    fn take_back(&self, was_there: bool) {
        let _ = fs::remove_dir_all(&self.staging);
        if !was_there {
            // Only if it is empty.
            let _ = fs::remove_dir(self.to);
        }
    }

    fn keep(&self, whole: &Path, report: &CopyReport) -> std::io::Result<()> {
        rustix::fs::syncfs(File::open(&self.staging)?)?;
        let partial = whole.with_extension("partial");
        fs::write(&partial, serde_json::to_vec(report)?)?;
        File::open(&partial)?.sync_all()?;
        fs::rename(&partial, whole)?;
        File::open(&self.staging)?.sync_all()
    }

    fn publish(&self, content: &Path) -> Result<(), Failure> {
        let names: Vec<PathBuf> = if self.paths.is_empty() {
            let entries = fs::read_dir(content).map_err(|error| Failure::io("read", content, &error))?;
            entries
                .map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())))
                .collect::<Result<_, _>>()
                .map_err(|error| Failure::io("read", content, &error))?
        } else {
            self.paths.to_vec()
        };
        for name in names {
            let (from, to) = (content.join(&name), self.to.join(&name));
            // Moved before we were killed, or inside a directory that was wanted as well.
            if from.symlink_metadata().is_err() {
                continue;
            }
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(|error| Failure::io("create", parent, &error))?;
            }
            renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE)
                .map_err(|error| Failure::io("move a restored file to", &to, &error.into()))?;
        }
        let synced = File::open(self.to).and_then(|place| Ok(rustix::fs::syncfs(place)?));
        synced.map_err(|error| Failure::io("sync", self.to, &error))
    }
}
