//! Engines killed at any moment: what they began is finished, once.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use crate::site::{DOCUMENTS, Site, TWO_PAIRS, assert_same_tree};

/// A tree that takes a moment to copy and to write to tape.
pub(crate) fn large_tree(root: &Path) {
    for directory in 0..40 {
        let path = root.join(format!("d{directory}"));
        fs::create_dir_all(&path).unwrap();
        for file in 0..50 {
            let size = (directory * 50 + file) * 37 % 30_000;
            fs::write(path.join(format!("f{file}")), vec![u8::try_from(file).unwrap(); size]).unwrap();
        }
    }
}

/// A seeded sequence, so that a failure can be repeated.
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

#[test]
fn engines_killed_at_thirty_moments_finish_what_they_began() {
    let text = TWO_PAIRS.replace("slots: 4", "slots: 2");
    let site = Site::new(&text, &[("documents", DOCUMENTS)]);
    large_tree(&site.path("documents"));
    site.succeed(&["run", "documents"]);
    // The moments lie within what a run takes on this machine.
    let began = std::time::Instant::now();
    site.succeed(&["run", "documents"]);
    let within = u64::try_from(began.elapsed().as_millis()).unwrap().max(20);
    let mut moments = Moments(20_261_120);
    let mut interrupted = 0;
    for count in 0..30_u32 {
        fs::write(site.path("documents/d1/changed"), count.to_string()).unwrap();
        fs::write(site.path(&format!("documents/new{count}")), vec![7; 50_000]).unwrap();
        let run = site.spawn(&["run", "documents"]);
        std::thread::sleep(Duration::from_millis(moments.next(within)));
        match moments.next(3) {
            0 => site.engines().into_iter().take(1).for_each(|pid| crate::site::kill(pid, "KILL")),
            1 => site.engines().into_iter().skip(1).for_each(|pid| crate::site::kill(pid, "KILL")),
            _ => site.kill_engines(),
        }
        let output = run.wait_with_output().unwrap();
        interrupted += u32::from(!output.status.success());
        // Any command starts the engines again, and they go on by themselves.
        site.settle();
        let last = site.json(&["runs", "--limit", "1"]);
        // Killed before the run was accepted, there is none: then nothing was done at all.
        assert!(["done", "refused"].contains(&last[0]["status"].as_str().unwrap()), "{count}: {last}");
        site.assert_clean();
    }
    assert!(interrupted > 5, "only {interrupted} of 30 kills interrupted anything");
    // Undisturbed, as the last of many: the end is the same.
    site.succeed(&["run", "documents"]);
    let newest =
        site.catalog("fileserver").into_iter().max_by_key(|r| r["id"].as_str().unwrap().to_owned()).unwrap();
    let generation = newest["images"][0]["generation"].as_u64().unwrap();
    assert_same_tree(&site.path("documents"), &site.path(&format!("mirrors/{generation}/data")));
    // No dataset is there twice: each backup is on tape once.
    let tapes: Vec<_> =
        site.catalog("backupserver").into_iter().filter(|r| r["medium"]["medium"] == "tape").collect();
    let originals: BTreeSet<_> = tapes.iter().map(|r| r["original_id"].to_string()).collect();
    assert_eq!(originals.len(), tapes.len());
    let listed = site.json(&["tape", "list"]);
    let datasets: u64 = listed.as_array().unwrap().iter().map(|c| c["datasets"].as_u64().unwrap()).sum();
    assert_eq!(datasets, tapes.len() as u64, "{listed}");
}

#[test]
fn a_command_that_outlives_the_engine_is_found_again() {
    let site = Site::small();
    let hook = format!(
        "hooks: {{ before: [ {{ argv: [sh, -c, 'echo x >> {0}/began; while [ ! -e {0}/go ]; do sleep 0.05; done'], timeout: 60s }} ] }}\n",
        site.path(".").display()
    );
    fs::write(site.path("operations/documents.yaml"), format!("{DOCUMENTS}{hook}")).unwrap();
    let run = site.spawn(&["run", "documents"]);
    while !site.path("began").exists() {
        std::thread::yield_now();
    }
    site.kill_engines();
    assert!(!run.wait_with_output().unwrap().status.success());
    site.succeed(&["status"]);
    fs::write(site.path("go"), "").unwrap();
    site.settle();
    assert_eq!(fs::read_to_string(site.path("began")).unwrap(), "x\n", "it ran once");
    assert_eq!(site.json(&["runs"])[0]["status"], "done");
}

/// Kills engines while a command in the window runs, on `host`; the next try of it must not find the first at work.
fn lose_a_window(host: &str, kill: impl Fn(&Site)) {
    let site = Site::small();
    let script = "cd \"$1\"
mkdir busy 2> no || echo twice > twice
trap 'rmdir busy; exit 1' TERM
echo x >> began
if [ ! -e go ]; then sleep 60 & wait; fi
rmdir busy
";
    fs::write(site.path("hook.sh"), script).unwrap();
    let place = site.path(".").display().to_string();
    let hook =
        format!("hooks: {{ in_window: [ {{ argv: [sh, {place}/hook.sh, {place}], host: {host} }} ] }}\n");
    fs::write(site.path("operations/documents.yaml"), format!("{DOCUMENTS}{hook}")).unwrap();
    let run = site.spawn(&["run", "documents"]);
    while !site.path("began").exists() {
        std::thread::yield_now();
    }
    fs::write(site.path("go"), "").unwrap();
    kill(&site);
    assert!(!run.wait_with_output().unwrap().status.success());
    site.settle();
    assert_eq!(site.json(&["runs"])[0]["status"], "done");
    assert_eq!(fs::read_to_string(site.path("began")).unwrap(), "x\nx\n");
    assert!(!site.path("twice").exists(), "it ran beside itself");
    site.assert_clean();
}

#[test]
fn a_command_of_a_lost_window_is_ended_before_it_runs_again() {
    lose_a_window("fileserver", Site::kill_engines);
}

#[test]
fn a_command_that_another_host_runs_for_a_lost_window_is_ended_before_it_runs_again() {
    lose_a_window("backupserver", |site| {
        site.engines().into_iter().take(1).for_each(|pid| crate::site::kill(pid, "KILL"));
    });
}
