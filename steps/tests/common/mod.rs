//! What the tests from outside share.
#![allow(dead_code, reason = "not every test file uses all of it")]
#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

/// The program that plays the hidden verbs.
pub(crate) fn helper() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_steps-test-helper"))
}

/// A file system of its own on a loop device, thawed and unmounted when it goes.
pub(crate) struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    /// `None`, and why is printed, where that cannot be made.
    pub(crate) fn new(kind: &str, mebibytes: u32) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: not root");
            return None;
        }
        let disk = Self { directory: tempfile::tempdir().unwrap() };
        let (image, root) = (disk.image(), disk.root());
        fs::create_dir(&root).unwrap();
        fs::File::create(&image).unwrap().set_len(u64::from(mebibytes) << 20).unwrap();
        let quiet = if kind == "btrfs" { "--quiet" } else { "-q" };
        for command in [vec![&format!("mkfs.{kind}")[..], quiet], vec!["mount", "-o", "loop"]] {
            let mut run = Command::new(command[0]);
            let _ = run.args(&command[1..]).arg(&image);
            if command[0] == "mount" {
                let _ = run.arg(&root);
            }
            match run.output() {
                Ok(output) if output.status.success() => {}
                other => {
                    println!("skipped: {command:?}: {other:?}");
                    return None;
                }
            }
        }
        assert!(is_mounted(&root), "nothing here may ever freeze /");
        Some(disk)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    /// Freezes or thaws it from outside.
    pub(crate) fn fsfreeze(&self, option: &str) -> Output {
        assert!(is_mounted(&self.root()), "nothing here may ever freeze /");
        Command::new("fsfreeze").arg(option).arg(self.root()).output().unwrap()
    }

    /// How long one write of a new file takes. A panic if it takes too long: the disk is thawed by that.
    pub(crate) fn write(&self) -> Duration {
        let began = Instant::now();
        let script = ["-c", "echo x > \"$0\""];
        let mut writer = Command::new("sh").args(script).arg(self.root().join("w")).spawn().unwrap();
        let mut status = None;
        let is_written = until(Duration::from_secs(20), || {
            status = writer.try_wait().unwrap();
            status.is_some()
        });
        assert!(is_written, "{} stays frozen", self.root().display());
        assert!(status.is_some_and(|status| status.success()));
        began.elapsed()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let root = self.root();
        if is_mounted(&root) {
            let _ = Command::new("fsfreeze").arg("-u").arg(&root).output();
            let _ = Command::new("umount").arg("--lazy").arg(&root).output();
        }
    }
}

fn is_mounted(root: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|status| status.dev()).ok();
    let (own, above) = (device(root), root.parent().and_then(device));
    own.is_some() && own != above && own != device(Path::new("/"))
}

/// Waits until something is so, at most so long.
pub(crate) fn until(limit: Duration, mut so: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !so() {
        if began.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// The processes, zombies left out, whose command line holds all of these words.
pub(crate) fn processes(words: &[&str]) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line: Vec<_> = line.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
        if words.iter().all(|word| line.iter().any(|part| part == word)) {
            found.push(pid);
        }
    }
    found
}

/// Kills as `kill -9` does.
pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Whether a process is there and no zombie.
pub(crate) fn is_running(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
