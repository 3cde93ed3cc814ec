//! File systems and block devices to test on, made in files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Runs a command and gives what it printed.
pub(crate) fn output(argv: &[&str]) -> Result<String, String> {
    let done = Command::new(argv[0]).args(&argv[1..]).output().map_err(|e| format!("{}: {e}", argv[0]))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() {
        Ok(text(&done.stdout))
    } else {
        Err(format!("{argv:?}: {}", text(&done.stderr)))
    }
}

/// A file of so many MiB, with a file system if one is named.
pub(crate) fn volume(path: &Path, kind: Option<&str>, mebibytes: u64) -> Result<(), String> {
    let file = fs::File::create(path).and_then(|file| file.set_len(mebibytes << 20));
    file.map_err(|error| format!("{}: {error}", path.display()))?;
    kind.map_or(Ok(()), |kind| format(path, kind))
}

/// Makes a file system on a volume.
pub(crate) fn format(path: &Path, kind: &str) -> Result<(), String> {
    output(&[&format!("mkfs.{kind}"), "-q", path.to_str().unwrap_or_default()]).map(drop)
}

/// A mounted file system, until it goes.
pub(crate) struct Mounted(pub(crate) PathBuf);

impl Mounted {
    pub(crate) fn new(source: &Path, at: &Path) -> Result<Self, String> {
        fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let [source, to] = [source, at].map(|path| path.to_str().unwrap_or_default());
        // A device that was just closed may be open for a moment in a program that another thread is starting.
        let began = Instant::now();
        loop {
            match output(&["mount", source, to]) {
                Err(text) if text.contains("busy") && began.elapsed() < Duration::from_secs(30) => {
                    thread::sleep(Duration::from_millis(10));
                }
                ended => return ended.map(|_| Self(at.to_owned())),
            }
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A case that failed within a window leaves it frozen.
        let _ = Command::new("fsfreeze").arg("--unfreeze").arg(&self.0).output();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            let ended = Command::new("umount").arg(&self.0).output();
            if ended.is_ok_and(|ended| ended.status.success()) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

/// A file as a block device, until it goes.
pub(crate) struct Loop(pub(crate) PathBuf);

impl Loop {
    pub(crate) fn new(file: &Path) -> Result<Self, String> {
        let device = output(&["losetup", "--find", "--show", file.to_str().unwrap_or_default()])?;
        Ok(Self(device.trim().into()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.0).output();
    }
}

/// A file system of its own to put pairs on.
pub(crate) struct Disk {
    _mounted: Option<Mounted>,
    directory: TempDir,
}

impl Disk {
    /// Where temporary files are.
    pub(crate) fn here() -> Self {
        Self { _mounted: None, directory: TempDir::new().unwrap() }
    }

    /// A new file system of so many MiB; not where the machine cannot.
    pub(crate) fn new(kind: &str, mebibytes: u64) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root mounts".to_owned());
        }
        let directory = TempDir::new().unwrap();
        let image = directory.path().join("disk");
        volume(&image, Some(kind), mebibytes)?;
        let mounted = Mounted::new(&image, &directory.path().join("place"))?;
        Ok(Self { _mounted: Some(mounted), directory })
    }

    /// The directory on it to use.
    pub(crate) fn place(&self) -> PathBuf {
        let place = self.directory.path().join("place");
        fs::create_dir_all(&place).unwrap();
        place
    }
}
