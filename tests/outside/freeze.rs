//! A file system that is really frozen: ext4 on a loop device, under a writer. As root only.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    mounted::{Mounted, run},
    site::{DOCUMENTS, Site, TWO_PAIRS},
};

/// Writes all the time; remembers the longest pause.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    longest_ms: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn new(path: PathBuf) -> Self {
        let (stop, longest_ms, writes) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (stopped, longest, count) = (Arc::clone(&stop), Arc::clone(&longest_ms), Arc::clone(&writes));
        let thread = std::thread::spawn(move || {
            let mut file = File::create(path).unwrap();
            while !stopped.load(Ordering::Relaxed) {
                let before = Instant::now();
                file.write_all(b"x").unwrap();
                file.sync_data().unwrap();
                let took = u64::try_from(before.elapsed().as_millis()).unwrap();
                longest.fetch_max(took, Ordering::Relaxed);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, longest_ms, writes, thread: Some(thread) }
    }

    /// Waits until writes stand still: the window is open. Gives how many there were.
    pub(crate) fn until_still(&self) -> u64 {
        let mut last = (self.writes.load(Ordering::Relaxed), Instant::now());
        let began = Instant::now();
        while last.1.elapsed() < Duration::from_millis(300) {
            assert!(began.elapsed() < Duration::from_secs(30), "nothing was ever frozen");
            let now = self.writes.load(Ordering::Relaxed);
            if now != last.0 {
                last = (now, Instant::now());
            }
            std::thread::yield_now();
        }
        last.0
    }

    /// Asserts that writes go on within a second of this moment.
    pub(crate) fn assert_goes_on(&self, from: u64, killed: Instant) {
        while self.writes.load(Ordering::Relaxed) == from {
            assert!(killed.elapsed() < Duration::from_secs(1), "still frozen a second after the kill");
            std::thread::yield_now();
        }
    }

    /// Ends it; gives the longest time that a write took, in milliseconds.
    pub(crate) fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.longest_ms.load(Ordering::Relaxed)
    }
}

/// A site whose primary is really held still, with these hooks.
pub(crate) fn frozen_site(hooks: &str) -> (Site, Option<Mounted>) {
    let operation = format!("{DOCUMENTS}quiesce: {{ mode: freeze, window: 3s }}\n{hooks}");
    let site = Site::new(TWO_PAIRS, &[("documents", &operation)]);
    let mounted = Mounted::new(&site, "documents");
    (site, mounted)
}

#[test]
fn a_frozen_backup_under_a_writer_stays_within_its_budget() {
    let (site, Some(mounted)) = frozen_site("") else { return };
    let writer = Writer::new(mounted.path().join("written"));
    for _ in 0..5 {
        let before = writer.writes.load(Ordering::Relaxed);
        site.succeed(&["run", "documents"]);
        assert!(writer.writes.load(Ordering::Relaxed) > before);
    }
    let longest = writer.stop();
    assert!(longest < 3_000, "a write took {longest} ms, the budget is 3000 ms");
    let runs = site.json(&["runs"]);
    assert!(runs.as_array().unwrap().iter().all(|run| run["status"] == "done"), "{runs}");
    // Held still, nothing changed while it was copied.
    let records = site.catalog("fileserver");
    assert!(records.iter().all(|r| r["images"][0]["report"]["fuzzy_count"] == 0 && r["mode"] == "freeze"));
}

#[test]
fn an_engine_killed_inside_the_window_leaves_nothing_frozen() {
    let site_hook = "hooks: { in_window: [ { argv: [sleep, '2'] } ] }\n";
    let (site, Some(mounted)) = frozen_site(site_hook) else { return };
    let writer = Writer::new(mounted.path().join("written"));
    let run = site.spawn(&["run", "documents"]);
    let still = writer.until_still();
    let killed = Instant::now();
    site.kill_engines();
    writer.assert_goes_on(still, killed);
    let _ = run.wait_with_output().unwrap();
    // Started again, everything from the resync on runs again, and ends well.
    site.settle();
    assert_eq!(site.json(&["runs"])[0]["status"], "done");
    let said = site.succeed(&["show", "latest"]);
    assert!(said.contains("done"), "{said}");
    let longest = writer.stop();
    assert!(longest < 5_000, "a write took {longest} ms: two windows of 2 s were open");
    site.assert_clean();
}

#[test]
fn a_window_over_its_budget_is_thawed_opened_once_more_and_then_fails() {
    let (site, Some(mounted)) = frozen_site("hooks: { in_window: [ { argv: [sleep, '6'] } ] }\n") else {
        return;
    };
    let writer = Writer::new(mounted.path().join("written"));
    let said = site.fail(&["run", "documents"], 1);
    let longest = writer.stop();
    assert!(longest < 4_000, "a write took {longest} ms, the budget is 3000 ms");
    assert!(said.contains("budget of 3000 ms") && said.contains("window 2 of 2"), "{said}");
    assert!(site.catalog("fileserver").is_empty(), "an image that is no point in time has no record");
    let shown = site.json(&["show", "latest"]);
    let windows = shown["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 2, "{shown}");
    for window in windows {
        let length = window["length_ms"].as_u64().unwrap();
        assert!((3_000..4_000).contains(&length) && window["budget_ms"] == 3_000, "{window}");
    }
    let text = site.succeed(&["show", "latest"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.matches("over its budget").count() >= 2, "{text}");
    assert!(text.contains("quiesce.window"), "{text}");
    site.assert_clean();
}

#[test]
fn a_window_over_its_budget_runs_again_from_the_resync_on_and_then_is_good() {
    // The command is slow the first time, and quick once its mark is there.
    let hook = "hooks: { in_window: [ { argv: [sh, -c, 'test -e \"$0\" || { : > \"$0\"; exec sleep 6; }', MARK] } ] }\n";
    let mark = tempfile::tempdir().unwrap();
    let hook = hook.replace("MARK", &mark.path().join("mark").display().to_string());
    let (site, Some(mounted)) = frozen_site(&hook) else { return };
    let writer = Writer::new(mounted.path().join("written"));
    site.succeed(&["run", "documents"]);
    let longest = writer.stop();
    assert!(longest < 4_000, "a write took {longest} ms, the budget is 3000 ms");
    let shown = site.json(&["show", "latest"]);
    assert_eq!(shown["status"], "done", "{shown}");
    let lengths: Vec<u64> =
        shown["windows"].as_array().unwrap().iter().map(|w| w["length_ms"].as_u64().unwrap()).collect();
    assert!(matches!(lengths[..], [first, second] if first >= 3_000 && second < 3_000), "{lengths:?}");
    for step in shown["step_list"].as_array().unwrap() {
        let is_in_window =
            matches!(step["kind"].as_str(), Some("resync" | "quiesce" | "split" | "thaw" | "command"));
        // The split was not even begun in the first window: the command before it was stopped with that.
        let tries = if is_in_window && step["kind"] != "split" { 2 } else { 1 };
        assert_eq!(step["attempts"], tries, "{step}");
        assert!(!is_in_window || step["again"]["how"] == "set_back", "{step}");
    }
    assert_eq!(site.catalog("fileserver").len(), 1, "the image of the good window, and no other");
    site.assert_clean();
}

#[test]
fn what_is_no_mount_point_is_not_frozen() {
    let operation = format!("{DOCUMENTS}quiesce: {{ mode: freeze, window: 3s }}\n");
    let site = Site::new(TWO_PAIRS, &[("documents", &operation)]);
    crate::site::small_tree(&site.path("documents"));
    let said = site.fail(&["run", "documents"], 4);
    assert!(said.contains("mount point") || said.contains("root"), "{said}");
    assert!(site.catalog("fileserver").is_empty());
}

#[test]
fn what_somebody_else_froze_is_listed_and_left_alone() {
    let (site, Some(mounted)) = frozen_site("") else { return };
    run(Command::new("fsfreeze").arg("-f").arg(mounted.path()));
    let left = site.json(&["leftovers"]);
    assert_eq!(left[0]["kind"], "freeze", "{left}");
    assert!(left[0]["next"].as_str().unwrap().contains("fsfreeze --unfreeze"), "{left}");
    site.succeed(&["leftovers", "release", "--yes"]);
    assert_eq!(site.json(&["leftovers"]), left, "only what resplit froze is thawed");
    run(Command::new("fsfreeze").arg("-u").arg(mounted.path()));
    assert_eq!(site.json(&["leftovers"]).as_array().map(Vec::len), Some(0));
}

/// The processes that hold a file system.
pub(crate) fn watchdogs(mounted: &Mounted) -> Vec<i32> {
    let pattern = format!("watchdog --filesystem {}", mounted.path().display());
    let found = Command::new("pgrep").args(["-f", &pattern]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().lines().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn an_engine_that_holds_thaws_all_the_same() {
    let (site, Some(mounted)) = frozen_site("hooks: { in_window: [ { argv: [sleep, '2'] } ] }\n") else {
        return;
    };
    let child = site.spawn(&["run", "documents"]);
    let watchdogs = || watchdogs(&mounted);
    let hook = || fs::read_dir(site.path("state/commands")).is_ok_and(|mut runs| runs.next().is_some());
    let began = Instant::now();
    while watchdogs().is_empty() || !hook() {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing was ever frozen");
    }
    // All at once: neither notices the other's end.
    let all = watchdogs();
    for pid in &all {
        crate::site::kill(*pid, "STOP");
    }
    site.kill_engines();
    for pid in &all {
        crate::site::kill(*pid, "KILL");
    }
    let _ = child.wait_with_output().unwrap();
    site.succeed(&["--hold", "status"]);
    let before = Instant::now();
    fs::write(mounted.path().join("written"), "x").unwrap();
    assert!(before.elapsed() < Duration::from_secs(1), "it was still frozen");
    let shown = site.json(&["show", "latest"]);
    let split = shown["step_list"].as_array().unwrap().iter().find(|step| step["kind"] == "quiesce").unwrap();
    assert_eq!(split["recovery"]["recovery"], "run", "{shown}");
    assert!(split["recovery"]["because"].as_str().unwrap().contains("window"), "{shown}");
    let left = site.json(&["leftovers"]);
    assert!(left.as_array().unwrap().iter().any(|row| row["kind"] == "freeze" && row["standing"] == "held"));
    site.succeed(&["resume", "latest"]);
    let shown = site.json(&["show", "latest"]);
    let resync = shown["step_list"].as_array().unwrap().iter().find(|step| step["kind"] == "resync").unwrap();
    assert!(resync["again"]["because"].as_str().unwrap().contains("window"), "{resync}");
    assert_eq!(site.json(&["leftovers"]).as_array().map(Vec::len), Some(0));
    site.assert_clean();
}
