//! A site whose two hosts hand records over by a transport, with a step in between that meddles when it is told to.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::site::{DOCUMENTS, Site, TWO_PAIRS};

/// Every step, as written, so that something can happen between transfer and import.
const MEDDLED: &str = r"
steps:
  resync: { resync: { volume: documents }, host: fileserver }
  split: { split: { volume: documents }, host: fileserver, needs: [resync] }
  record: { record: { volumes: [documents], mode: online, tape_wanted: false }, host: fileserver, needs: [split] }
  export: { export: {}, host: fileserver, needs: [record] }
  transfer: { transfer: { to: backupserver, via: exchange }, host: fileserver, needs: [export] }
  meddle: { command: { argv: [/bin/sh, %SCRIPT%] }, host: fileserver, needs: [transfer] }
  import: { import: {}, host: backupserver, needs: [meddle] }
";

/// The site, and beside it the place in which records are handed over.
pub(crate) struct Bed {
    pub(crate) site: Site,
    home: TempDir,
    mounted: bool,
}

impl Bed {
    /// A place for a transport, and no site yet; `None`, with the reason said, where none can be mounted.
    pub(crate) fn new() -> Option<Self> {
        let mut bed = Self { site: Site::small(), home: tempfile::tempdir().unwrap(), mounted: false };
        fs::create_dir(bed.place()).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k,mode=0777", "tmpfs"])
            .arg(bed.place())
            .output()
            .unwrap();
        if !mount.status.success() {
            println!("skipped: no file system can be mounted here");
            return None;
        }
        fs::set_permissions(bed.home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        bed.mounted = true;
        Some(bed)
    }

    /// Where records are handed over: a small file system.
    pub(crate) fn place(&self) -> PathBuf {
        self.home.path().join("place")
    }

    /// A path beside it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a secret.
    pub(crate) fn secret(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, format!("{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Declares the transport, and the operations `documents`, with tape, and `meddled`.
    pub(crate) fn declare(&self, transport: &str) {
        let site = format!("{TWO_PAIRS}transports:\n  exchange: {transport}\n");
        fs::write(self.site.path("site.yaml"), site).unwrap();
        let documents = format!("{DOCUMENTS}transfer: {{ via: exchange }}\n");
        fs::write(self.site.path("operations/documents.yaml"), documents).unwrap();
        let script = self.path("meddle");
        let meddled = MEDDLED.replace("%SCRIPT%", script.to_str().unwrap());
        fs::write(self.site.path("operations/meddled.yaml"), meddled).unwrap();
        fs::write(script, "exit 0\n").unwrap();
    }

    /// What is done to each file that is handed over, from now on: a command that takes its name.
    pub(crate) fn meddle(&self, directory: &Path, command: &str) {
        let text = format!("for file in '{}'/resplit+*; do {command} \"$file\"; done\n", directory.display());
        fs::write(self.path("meddle"), text).unwrap();
    }

    /// Files that were handed over, and are still there.
    pub(crate) fn left(directory: &Path) -> Vec<String> {
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).filter(|name| name.starts_with("resplit+")).collect()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.site.kill_engines();
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(self.place()).status();
        }
    }
}
