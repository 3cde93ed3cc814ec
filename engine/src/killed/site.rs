//! A site that is ready for its case, and how it is put back as it was.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use resplit_operations::{
    compile::{self, RestoreFrom, RestoreRequest},
    definitions::Checked,
    expand,
    ids::OperationId,
    record::{Medium, Record},
};

use super::{
    cases::{Act, Case},
    world::Known,
};
use crate::{
    protocol::{RunOptions, Selector, Submit},
    testing::definitions,
};

/// The site of one case, in a directory of its own.
pub(super) struct Site {
    pub(super) case: Case,
    pub(super) checked: Checked,
    directory: tempfile::TempDir,
}

impl Site {
    /// Makes its primaries. Where the machine has memory for files it is there: a kill takes nothing from a disk.
    pub(super) fn new(case: Case) -> Self {
        let memory = Path::new("/dev/shm");
        let directory = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
        let told = directory.path().join("site/told").display().to_string();
        let (form, site) = (case.form, case.form.site());
        let mut operation = form.operation(&told);
        let mut checked = definitions(&site, &operation);
        if let Some(branches) = form.branches(&told) {
            let id = OperationId::from("documents");
            let root = directory.path().join("site");
            let plan = compile::backup(&checked.site, &root, &id, &checked.operations[&id]).unwrap();
            operation = expand::to_yaml(&plan) + &branches;
            checked = definitions(&site, &operation);
        }
        let site = Self { case, checked, directory };
        for (name, _) in form.volumes() {
            let root = site.primary(name);
            fs::create_dir_all(root.join("reports")).unwrap();
            for (file, text) in [("a.txt", "one"), ("reports/b.txt", "two"), ("volume.txt", name)] {
                fs::write(root.join(file), text).unwrap();
            }
            std::os::unix::fs::symlink("reports/b.txt", root.join("latest")).unwrap();
        }
        site
    }

    /// Where everything of it is.
    pub(super) fn root(&self) -> PathBuf {
        self.directory.path().join("site")
    }

    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// The primary of a volume.
    pub(super) fn primary(&self, volume: &str) -> PathBuf {
        let found = self.case.form.volumes().iter().find(|(name, _)| *name == volume);
        self.path(found.unwrap().1)
    }

    /// Changes the primaries, so that the next backup has something to do.
    pub(super) fn change(&self, count: u32) {
        for (name, _) in self.case.form.volumes() {
            let root = self.primary(name);
            fs::write(root.join("a.txt"), format!("changed {count}")).unwrap();
            fs::write(root.join(format!("reports/new{count}.txt")), vec![b'n'; 5_000]).unwrap();
        }
    }

    /// Keeps a copy of all as it is now.
    pub(super) fn keep(&self) {
        self.copy(&self.root(), &self.directory.path().join("kept"));
    }

    /// Puts all back as it was kept.
    pub(super) fn put_back(&self) {
        fs::remove_dir_all(self.root()).unwrap();
        self.copy(&self.directory.path().join("kept"), &self.root());
    }

    fn copy(&self, from: &Path, to: &Path) {
        let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
        assert!(copied.success(), "{}", self.case);
    }

    /// A backup by the operation.
    pub(super) fn backup(&self) -> Submit {
        let id = OperationId::from("documents");
        let operation = &self.checked.operations[&id];
        let plan = compile::backup(&self.checked.site, &self.root(), &id, operation).unwrap();
        Submit { plan, options: RunOptions::default(), measure: false }
    }

    /// What the case does, given the catalogs of all hosts.
    pub(super) fn submit(&self, catalogs: &[Known]) -> Submit {
        let (from, files) = match self.case.act {
            Act::Backup => return self.backup(),
            Act::RestoreDisk => (RestoreFrom::Disk, false),
            Act::RestoreTape => (RestoreFrom::Tape, false),
            Act::FilesDisk => (RestoreFrom::Disk, true),
            Act::FilesTape => (RestoreFrom::Tape, true),
        };
        let volumes = self.case.form.volumes();
        let path = |volume: &str, path: &str| {
            PathBuf::from(if volumes.len() == 1 { path.to_owned() } else { format!("{volume}/{path}") })
        };
        let paths = volumes.iter().flat_map(|(volume, _)| [path(volume, "a.txt"), path(volume, "reports")]);
        let (paths, to) = if files { (paths.collect(), Some(self.path("out"))) } else { (Vec::new(), None) };
        let id = OperationId::from("documents");
        let operation = &self.checked.operations[&id];
        let request = RestoreRequest { from, paths, to, volume: None };
        let plan = compile::restore(&self.checked.site, &self.root(), &id, operation, &request).unwrap();
        let on = |record: &&Record| match from {
            RestoreFrom::Disk => matches!(record.medium, Medium::Disk) && record.is_current(),
            RestoreFrom::Tape => matches!(record.medium, Medium::Tape(_)) && record.is_current(),
        };
        let all = catalogs.iter().flat_map(|(host, records)| records.iter().filter(on).map(|r| (*host, r)));
        let (host, record) = all.max_by_key(|(_, record)| record.origin.original_id).unwrap();
        let backup = Some(Selector { host: Some(host.into()), id: record.id });
        Submit { plan, options: RunOptions { backup, ..RunOptions::default() }, measure: false }
    }
}
