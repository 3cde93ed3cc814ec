//! A file system of its own: ext4 on a loop device. As root only.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::site::{Site, told};

/// A mounted ext4, thawed and unmounted when it goes.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// Whether it can be had: found out once, by mounting one. A root of a container may lack loop devices.
    pub(crate) fn is_possible() -> bool {
        static POSSIBLE: OnceLock<bool> = OnceLock::new();
        *POSSIBLE.get_or_init(|| match try_one() {
            Ok(()) => true,
            Err(reason) => {
                eprintln!("skipped: no file system can be mounted: {reason}");
                false
            }
        })
    }

    /// Mounts one in a site, under this name.
    pub(crate) fn new(site: &Site, name: &str) -> Option<Self> {
        if !Self::is_possible() {
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

/// Makes, mounts, freezes, thaws and unmounts a small file system; or says what cannot be done.
fn try_one() -> Result<(), String> {
    let ended = |command: &mut Command| {
        let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        output.status.success().then_some(()).ok_or_else(|| told(&output))
    };
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (image, at) = (directory.path().join("image"), directory.path().join("at"));
    File::create(&image).and_then(|file| file.set_len(8 << 20)).map_err(|error| error.to_string())?;
    fs::create_dir(&at).map_err(|error| error.to_string())?;
    ended(Command::new("mkfs.ext4").arg("-q").arg(&image))?;
    ended(Command::new("mount").args(["-o", "loop"]).args([&image, &at]))?;
    let frozen = ended(Command::new("fsfreeze").arg("-f").arg(&at));
    let thawed = frozen.and_then(|()| ended(Command::new("fsfreeze").arg("-u").arg(&at)));
    ended(Command::new("umount").arg(&at)).and(thawed)
}

/// Runs a program, which must succeed.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", told(&output));
}
