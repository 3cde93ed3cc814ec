//! A file system of its own: ext4 on a loop device. As root only.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use crate::site::{Site, told};

/// A mounted ext4, thawed and unmounted when it goes.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// Whether it can be had.
    pub(crate) fn is_possible() -> bool {
        rustix::process::geteuid().is_root()
    }

    /// Mounts one in a site, under this name.
    pub(crate) fn new(site: &Site, name: &str) -> Option<Self> {
        if !Self::is_possible() {
            eprintln!("skipped: only root can mount a file system");
            return None;
        }
        let (image, at) = (site.path(&format!("{name}.img")), site.path(name));
        File::create(&image).unwrap().set_len(64 << 20).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg(&image));
        Some(Self::of(&image, &at))
    }

    /// Mounts one that was made.
    pub(crate) fn of(image: &Path, at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        run(Command::new("mount").args(["-o", "loop"]).args([image, at]));
        Self(at.to_owned())
    }

    /// Where.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Frozen or not: a test that failed leaves nothing behind.
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.0).output();
        let plain = Command::new("umount").arg(&self.0).output();
        if !plain.is_ok_and(|ended| ended.status.success()) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).output();
        }
    }
}

/// Runs a program, which must succeed.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", told(&output));
}
