//! A site in a temporary directory, and the program on it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// A site of two hosts, with engines that end with it.
pub(crate) struct Site {
    directory: TempDir,
}

/// The site file of most tests: two pairs, one library.
pub(crate) const TWO_PAIRS: &str = r#"
hosts:
  fileserver:   { connect: local, state: state }
  backupserver: { connect: local, state: state-backup }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: documents }
    pairs:
      - { copy_group: "VG01,vol01", secondary: { host: backupserver, path: mirrors/0 } }
      - { copy_group: "VG02,vol01", secondary: { host: backupserver, path: mirrors/1 } }
libraries:
  vault: { driver: virtual, host: backupserver, path: vault, slots: 4, drives: 2, cartridge_size: 2GiB, pools: [documents] }
"#;

/// The operation of most tests.
pub(crate) const DOCUMENTS: &str = "
protect: { filesystem: documents, volumes: [documents] }
backup_server: backupserver
tape: { library: vault, pool: documents, keep: 30d }
";

impl Site {
    /// A site with these files.
    pub(crate) fn new(site: &str, operations: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("operations")).unwrap();
        fs::write(directory.path().join("site.yaml"), site).unwrap();
        for (name, text) in operations {
            fs::write(directory.path().join(format!("operations/{name}.yaml")), text).unwrap();
        }
        Self { directory }
    }

    /// The usual site, with a small tree.
    pub(crate) fn small() -> Self {
        let site = Self::new(TWO_PAIRS, &[("documents", DOCUMENTS)]);
        small_tree(&site.path("documents"));
        site
    }

    /// A path in the site directory.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// The program with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_resplit"));
        command.arg("--site").arg(self.directory.path()).args(arguments).stdin(Stdio::null());
        command.env_remove("RESPLIT_HOST").env_remove("RESPLIT_SITE");
        command
    }

    /// Runs the program to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the program.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the program, which must succeed; what it printed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the program, which must exit with `code`; what it said.
    pub(crate) fn fail(&self, arguments: &[&str], code: i32) -> String {
        let output = self.output(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", told(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs the program with `--json`, which must succeed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        serde_json::from_str(&self.succeed(&all)).unwrap()
    }

    /// The records of a host.
    pub(crate) fn catalog(&self, host: &str) -> Vec<Value> {
        let all = self.json(&["catalog", "list"]);
        all.as_array().unwrap().iter().filter(|record| record["host"] == host).cloned().collect()
    }

    /// The process IDs of this site's engines.
    pub(crate) fn engines(&self) -> Vec<i32> {
        let state = |name: &str| fs::read_to_string(self.path(name).join("lock")).ok();
        let held = ["state", "state-backup"].into_iter().filter_map(state);
        held.filter_map(|text| text.trim().parse().ok()).filter(|pid| is_engine(*pid)).collect()
    }

    /// Ends this site's engines at once, as `kill -9` does, and waits until they have ended: on a busy machine that is a
    /// moment after they were killed. One that waits for a disk may take longer; whoever minds asks.
    pub(crate) fn kill_engines(&self) {
        let (killed, began) = (self.engines(), Instant::now());
        for pid in &killed {
            kill(*pid, "KILL");
        }
        while killed.iter().any(|pid| is_engine(*pid)) && began.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until no run is open.
    pub(crate) fn settle(&self) {
        for run in self.json(&["runs", "--open"]).as_array().unwrap() {
            let run = run["run"].as_str().unwrap();
            // Follows it to its end, whatever that is.
            let _ = self.output(&["logs", "--follow", run]);
        }
        let open = self.json(&["runs", "--open"]);
        assert_eq!(open.as_array().map(Vec::len), Some(0), "{open}");
    }

    /// Asserts that no run has left a lock or a lease, and that every current record on disk describes what is there.
    pub(crate) fn assert_clean(&self) {
        for pair in self.json(&["pair", "status"]).as_array().unwrap() {
            assert!(pair["lease"].is_null(), "{pair}");
            let epoch = &pair["state"]["epoch"];
            for record in self.json(&["catalog", "list"]).as_array().unwrap() {
                assert!(record["lock"].is_null(), "{record}");
                let image = &record["images"][0];
                let here =
                    image["copy_group"] == pair["pair"]["copy_group"] && record["medium"]["medium"] == "disk";
                if here && record["standing"]["standing"] == "current" {
                    assert_eq!(&image["epoch"], epoch, "{record} points at nothing: {pair}");
                }
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for pid in self.engines() {
            kill(pid, "TERM");
        }
    }
}

/// Whether a process is an engine, and has not ended.
fn is_engine(pid: i32) -> bool {
    let name = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&name).contains("resplit")
}

/// Sends a signal with the system's own program.
pub(crate) fn kill(pid: i32, signal: &str) {
    // It may be gone already.
    let _ =
        Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

/// What a program printed, for a failed assertion.
pub(crate) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// A small tree of several kinds of files.
pub(crate) fn small_tree(root: &Path) {
    fs::create_dir_all(root.join("reports/empty")).unwrap();
    for (name, text) in [("a.txt", "one"), ("reports/b.txt", "two"), ("reports/c.txt", "three")] {
        fs::write(root.join(name), text).unwrap();
    }
    std::os::unix::fs::symlink("reports/b.txt", root.join("latest")).unwrap();
    fs::hard_link(root.join("a.txt"), root.join("same")).unwrap();
}

/// Asserts that two trees are the same, by programs that are not ours: content, names, owners, modes, times, links,
/// extended attributes and ACLs.
pub(crate) fn assert_same_tree(a: &Path, b: &Path) {
    let diff = Command::new("diff").args(["-r", "--no-dereference"]).args([a, b]).output().unwrap();
    assert!(diff.status.success(), "{}", told(&diff));
    let rsync = Command::new("rsync")
        .args(["-aHAXn", "--delete", "--itemize-changes"])
        .arg(format!("{}/", a.display()))
        .arg(format!("{}/", b.display()))
        .output()
        .unwrap();
    assert!(rsync.status.success(), "{}", told(&rsync));
    assert_eq!(String::from_utf8_lossy(&rsync.stdout), "", "{} and {} differ", a.display(), b.display());
}

/// Copies a tree with the system's own program.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).output().unwrap();
    assert!(copied.status.success(), "{}", told(&copied));
}
