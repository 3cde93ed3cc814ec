//! A simulated array in a directory of its own.
#![allow(dead_code, reason = "not every test program uses all of it")]
#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// An array with one pair, VG01,vol01, whose instances 0 and 1 run.
pub(crate) struct Sim {
    directory: TempDir,
}

impl Sim {
    pub(crate) fn new(copy_type: &str) -> Self {
        let sim = Self { directory: tempfile::tempdir().unwrap() };
        sim.add("VG01", "vol01", copy_type);
        sim.done("horcmstart.sh 0 1");
        sim
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn add(&self, group: &str, device: &str, copy_type: &str) {
        let primary = self.path(&format!("{group}-{device}.p"));
        fs::write(&primary, vec![0; 4096]).unwrap();
        self.add_of(group, device, copy_type, &primary);
    }

    /// A further pair of a primary.
    pub(crate) fn add_of(&self, group: &str, device: &str, copy_type: &str, primary: &Path) {
        let secondary = self.path(&format!("{group}-{device}.s"));
        fs::write(&secondary, vec![0; 4096]).unwrap();
        let (primary, secondary) = (primary.display(), secondary.display());
        self.array(&format!("add {group} {device} {copy_type} {primary} {secondary}"));
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cci-simulator"));
        command.args(line.split(' ')).env("CCI_SIM", self.directory.path().join("array"));
        for name in ["HORCMINST", "HORCC_MRCF", "HORCC_SPLT"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn output(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs a command that has to end with 0; what it printed.
    pub(crate) fn done(&self, line: &str) -> String {
        let output = self.output(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that has to fail; what it said.
    pub(crate) fn fails(&self, line: &str, code: i32) -> String {
        let output = self.output(line);
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn code(&self, line: &str) -> i32 {
        self.output(line).status.code().unwrap()
    }

    /// One of the simulator's own verbs.
    pub(crate) fn array(&self, line: &str) -> String {
        self.done(&format!("array {line}"))
    }

    /// Writes to the beginning of the primary.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut volume = fs::read(self.path("VG01-vol01.p")).unwrap();
        volume[..bytes.len()].copy_from_slice(bytes);
        fs::write(self.path("VG01-vol01.p"), volume).unwrap();
    }

    pub(crate) fn secondary(&self) -> Vec<u8> {
        fs::read(self.path("VG01-vol01.s")).unwrap()
    }

    /// The statuses of both sides of the first pair, the primary's first.
    pub(crate) fn statuses(&self) -> [String; 2] {
        let out = self.done("pairdisplay -g VG01 -fc -CLI -IM0");
        [words(&out, 1)[10].clone(), words(&out, 2)[10].clone()]
    }
}

/// The words of a line.
pub(crate) fn words(text: &str, line: usize) -> Vec<String> {
    text.lines().nth(line).unwrap().split_whitespace().map(str::to_owned).collect()
}
