//! A disk that is full: runs are refused before anything is touched, what must be undone is undone, and once there is
//! room everything goes on. On a small file system of our own, which needs the right to mount.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::site::{DOCUMENTS, Site, told};

/// A file system of 16 MiB in memory.
struct Small(PathBuf);

impl Small {
    /// Mounted on a new directory; `None`, said aloud, where that is not allowed.
    fn on(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m,mode=700", "none"])
            .arg(&path)
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        eprintln!("skipped: no file system can be mounted here");
        None
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let (mut size, mut number) = (1 << 20, 0);
        while size > 0 {
            let file = self.0.join(format!("filler{number}"));
            if fs::write(&file, vec![1; size]).is_err() {
                fs::remove_file(&file).unwrap();
                size /= 2;
            }
            number += 1;
        }
    }

    fn make_room(&self) {
        for entry in fs::read_dir(&self.0).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("filler") {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn staging(state: &Path) -> usize {
    fs::read_dir(state.join("staging")).map_or(0, Iterator::count)
}

#[test]
fn a_full_state_disk_refuses_runs_and_keeps_its_word() {
    let site = Site::small();
    let Some(disk) = Small::on(site.path("state")) else { return };
    // The hook's own files are on the other host's disk, so that it ends well.
    let hook = format!(
        "hooks: {{ after: [ {{ host: backupserver, argv: [sh, -c, 'touch {0}/began; while [ ! -e {0}/go ]; do sleep 0.05; done'], timeout: 60s }} ] }}\n",
        site.path(".").display()
    );
    fs::write(site.path("operations/documents.yaml"), format!("{DOCUMENTS}{hook}")).unwrap();
    let run = site.spawn(&["run", "documents"]);
    until("the hook does not begin", || site.path("began").exists());
    assert!(staging(&disk.0) > 0, "the exported file is a duty of the run");
    disk.fill();
    fs::write(site.path("go"), "").unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(staging(&disk.0), 0, "its duty is discharged on a full disk");
    assert_eq!(site.json(&["runs"])[0]["status"], "done");
    let (pairs, catalog) = (site.json(&["pair", "status"]), site.json(&["catalog", "list"]));

    let refused = |site: &Site| {
        let said = site.fail(&["run", "documents"], 4);
        assert!(said.contains("is full") && said.contains("df "), "{said}");
        assert_eq!(site.json(&["pair", "status"]), pairs);
        assert_eq!(site.json(&["catalog", "list"]), catalog);
        assert_eq!(site.json(&["runs"]).as_array().unwrap().len(), 1, "nothing was accepted");
    };
    disk.fill();
    refused(&site);
    // One that starts on a full disk does the same.
    site.kill_engines();
    site.succeed(&["status"]);
    disk.fill();
    refused(&site);

    disk.make_room();
    site.succeed(&["run", "documents"]);
    assert_eq!(site.catalog("fileserver").len(), 2);
    assert_eq!(site.json(&["leftovers"]), serde_json::json!([]));
    site.assert_clean();
    // Its engines end before what they work on goes.
    site.kill_engines();
}
