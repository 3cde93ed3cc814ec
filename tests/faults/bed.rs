//! A site with one of its directories on a disk that can fail.

use std::{fs, path::Path, process::Output};

use resplit_test_disk::{Calls, Disk, Kind, Mounted};

use crate::{
    site::{Site, copy_tree, kill, told},
    world::{ended, gone},
};

/// Nothing takes longer, unless it hangs: the time limits of the program lie below.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

/// The quickstart, with a backup on tape.
pub(crate) struct Bed {
    mounted: Option<Mounted>,
    pub(crate) name: &'static str,
    pub(crate) site: Site,
    pub(crate) disk: Disk,
    /// The calls of a backup and a restore there, after and before.
    calls: [Calls; 2],
}

impl Bed {
    pub(crate) fn new(name: &'static str) -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
        let site = Site::new("", &[]);
        for file in ["site.yaml", "operations", "documents"] {
            let to = site.path(file);
            let _ = fs::remove_file(&to);
            let _ = fs::remove_dir_all(&to);
            copy_tree(&example.join(file), &to);
        }
        let disk = Disk::new();
        fs::create_dir(site.path(name)).unwrap();
        let mounted = Some(disk.mount(&site.path(name)).unwrap());
        let mut bed = Self { mounted, name, site, disk, calls: [Calls::default(); 2] };
        bed.succeed(&["run", "documents"]);
        bed.stop();
        let before = bed.disk.calls();
        bed.succeed(&["run", "documents"]);
        bed.succeed(&["restore", "documents", "--from", "tape", "--yes"]);
        bed.stop();
        bed.calls = [bed.disk.calls(), before];
        bed
    }

    /// About how many calls of a kind a backup and a restore make there.
    pub(crate) fn calls_of(&self, kind: Kind) -> u64 {
        self.calls[0].of(kind) - self.calls[1].of(kind)
    }

    /// Runs the program to its end, which must come without a panic.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        let output = ended(&self.site, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        output
    }

    /// The same; it must succeed.
    pub(crate) fn succeed(&self, arguments: &[&str]) {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {}\n{}", told(&output), self.logs());
    }

    /// What the engines noted last, for a failed assertion.
    pub(crate) fn logs(&self) -> String {
        let logs = ["state", "state-backup"].map(|state| {
            let text = fs::read_to_string(self.site.path(state).join("engine.log")).unwrap_or_default();
            let from = text.char_indices().rev().nth(3000).map_or(0, |(at, _)| at);
            format!("{state}: {}", &text[from..])
        });
        logs.join("\n")
    }

    /// The processes that work for the site.
    fn processes(&self) -> Vec<i32> {
        let site = self.site.path("").to_string_lossy().into_owned();
        let of_site = |pid: &i32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(site.trim_end_matches('/'))
        };
        let all =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        all.filter(of_site).collect()
    }

    /// Ends the engines in order: they must end.
    pub(crate) fn stop(&self) {
        let processes = self.processes();
        for pid in &processes {
            kill(*pid, "TERM");
        }
        for pid in processes {
            assert!(gone(pid, LIMIT), "an engine does not end: {}", self.logs());
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = self.disk.lift();
        for pid in self.processes() {
            kill(pid, "KILL");
            let _ = gone(pid, LIMIT);
        }
        // Before its directory is removed.
        drop(self.mounted.take());
    }
}
