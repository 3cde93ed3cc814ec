//! What is held still, or mounted, while the disk with the state fails: it is let go, whatever can be written down of it.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use resplit_test_disk::{Disk, Error, Fault, Mounted as OnDisk};

use crate::{
    mounted::{Mounted, run},
    site::{DOCUMENTS, Site, TWO_PAIRS, copy_tree, kill, small_tree, told},
    world::{assert_sound, ended, gone, json, settle},
};

/// Nothing takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A site one of whose state directories lies on a disk that can fail. What is mounted below goes before.
struct Failing {
    site: Site,
    disk: Disk,
    on_disk: Option<OnDisk>,
}

impl Failing {
    /// `None` where FUSE or loop devices may not be used.
    fn new(site: Site, state: &str) -> Option<Self> {
        let disk = Disk::new();
        fs::create_dir(site.path(state)).unwrap();
        match disk.mount(&site.path(state)) {
            Ok(on_disk) => Some(Self { site, disk, on_disk: Some(on_disk) }),
            Err(error) => {
                eprintln!("skipped: no FUSE file system can be mounted here: {error}");
                None
            }
        }
    }

    fn fail(&self, error: Error) {
        self.disk.inject(Fault { kind: None, nth: 1, error, lasting: true });
    }

    /// Ends the engines in order.
    fn stop(&self) {
        for pid in self.site.engines() {
            kill(pid, "TERM");
            assert!(gone(pid, LIMIT), "an engine does not end");
        }
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        let _ = self.disk.lift();
        for pid in self.site.engines() {
            kill(pid, "KILL");
            let _ = gone(pid, LIMIT);
        }
        drop(self.on_disk.take());
    }
}

fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < LIMIT, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for the end of the program, which must come.
fn end_of(run: Child) -> String {
    let pid = i32::try_from(run.id()).unwrap();
    let output = std::thread::spawn(move || run.wait_with_output().unwrap());
    assert!(gone(pid, LIMIT), "the run hangs");
    let said = told(&output.join().unwrap());
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn a_window_is_closed_although_the_disk_with_the_state_fails_in_it() {
    if !Mounted::is_possible() {
        return;
    }
    for error in Error::ALL {
        let hook = "hooks: { in_window: [ { host: backupserver, argv: [sh, -c, 'touch BEGAN; while [ ! -e GO ]; do sleep 0.01; done'] } ] }\n";
        let operation = format!("{DOCUMENTS}quiesce: {{ mode: freeze, window: 30s }}\n{hook}");
        let site = Site::new(TWO_PAIRS, &[("documents", &operation)]);
        let place = |name: &str| site.path(name).display().to_string();
        let operation = operation.replace("BEGAN", &place("began")).replace("GO", &place("go"));
        fs::write(site.path("operations/documents.yaml"), operation).unwrap();
        let Some(failing) = Failing::new(site, "state") else { return };
        let Some(mounted) = Mounted::new(&failing.site, "documents") else { return };
        let site = &failing.site;
        let run = site.spawn(&["run", "documents"]);
        until("the window is not opened", || site.path("began").exists());
        let mut touch = Command::new("touch").arg(mounted.path().join("touched")).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert!(touch.try_wait().unwrap().is_none(), "it is not frozen");
        failing.fail(error);
        fs::write(site.path("go"), "").unwrap();
        let failed = Instant::now();
        while touch.try_wait().unwrap().is_none() {
            // Long before the budget is used up.
            assert!(failed.elapsed() < Duration::from_secs(15), "{error:?}: it is still frozen");
            std::thread::sleep(Duration::from_millis(5));
        }
        let said = end_of(run);
        assert!(failing.disk.lift() > 0, "{error:?}: nothing failed: {said}");
        finish(site, "documents");
        assert_sound(site, &[("fileserver", "state"), ("backupserver", "state-backup")]);
        failing.stop();
        drop(mounted);
    }
}

/// What an operator does once the disk is well again: takes up what failed, and runs it again.
fn finish(site: &Site, operation: &str) {
    settle(site);
    for run in json(site, &["runs"]).as_array().unwrap() {
        let name = run["run"].as_str().unwrap();
        // What could not be asked about can be now.
        for step in run["questions"].as_object().into_iter().flat_map(|questions| questions.keys()) {
            let answered = ended(site, &["answer", name, step, "redo"]);
            assert!(answered.status.success(), "{}", told(&answered));
        }
    }
    settle(site);
    for run in json(site, &["runs"]).as_array().unwrap().iter().filter(|run| run["status"] == "failed") {
        let resumed = ended(site, &["resume", run["run"].as_str().unwrap()]);
        assert!(resumed.status.success(), "{run}: {}", told(&resumed));
    }
    for _ in 0..2 {
        let again = ended(site, &["run", operation]);
        assert!(again.status.success(), "{}", told(&again));
    }
    assert_eq!(site.json(&["leftovers"]), serde_json::json!([]));
}

/// Whether something is mounted below a directory.
fn is_mounted(below: &Path) -> bool {
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut points = all.lines().filter_map(|line| line.split(' ').nth(4));
    points.any(|point| Path::new(point).starts_with(below))
}

#[test]
fn an_image_is_unmounted_although_the_disk_with_the_state_fails_meanwhile() {
    if !Mounted::is_possible() {
        return;
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/image");
    for error in [Error::Io, Error::ReadOnly] {
        let site = Site::new("", &[]);
        fs::remove_dir_all(site.path("operations")).unwrap();
        for name in ["site.yaml", "operations"] {
            let _ = fs::remove_file(site.path(name));
            copy_tree(&example.join(name), &site.path(name));
        }
        let image = site.path("disk.img");
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg(&image));
        let Some(failing) = Failing::new(site, "state-backup") else { return };
        let site = &failing.site;
        let mounted = Mounted::made(&image, &site.path("mounted"));
        small_tree(mounted.path());
        // So that the tape takes a while.
        let noise = (0..6u32 << 20).flat_map(|i| (i.wrapping_mul(2_654_435_761) ^ (i << 7)).to_le_bytes());
        fs::write(mounted.path().join("noise"), noise.collect::<Vec<u8>>()).unwrap();
        let place = site.path("state-backup/mounts");
        let run = site.spawn(&["run", "disk"]);
        until("no image is mounted", || is_mounted(&place));
        failing.fail(error);
        let _ = end_of(run);
        assert!(failing.disk.lift() > 0, "{error:?}: nothing failed");
        finish(site, "disk");
        assert!(!is_mounted(&place), "{error:?}: an image is still mounted");
        failing.stop();
        drop(mounted);
    }
}
