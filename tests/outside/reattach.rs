//! Engines killed while something outlives them, or is half done: a command, and a dataset on tape.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    hold::{interrupt, step, waiting_site},
    site::{DOCUMENTS, Site, TWO_PAIRS, assert_same_tree, kill},
};

fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The only command of a site's only run has written down how it ended.
fn has_ended(site: &Site) -> bool {
    let Ok(runs) = fs::read_dir(site.path("state/commands")) else { return false };
    let first = |directory: &Path| fs::read_dir(directory).ok()?.next()?.ok().map(|entry| entry.path());
    let run = runs.flatten().next().map(|entry| entry.path());
    run.and_then(|run| first(&run)).is_some_and(|command| command.join("ended.json").exists())
}

#[test]
fn a_command_that_ends_while_no_engine_runs_is_not_run_again() {
    let site = waiting_site("before");
    interrupt(&site);
    fs::write(site.path("go"), "").unwrap();
    until("the command does not end", || has_ended(&site));
    assert!(site.engines().is_empty(), "nobody was there to see it");
    site.succeed(&["status"]);
    site.settle();
    let shown = site.json(&["show", "latest"]);
    assert_eq!(shown["status"], "done", "{shown}");
    let command = step(&shown, "command");
    assert!(
        command["again"]["because"].as_str().unwrap().contains("ended meanwhile, with exit code 0"),
        "{command}"
    );
    assert_eq!(fs::read_to_string(site.path("began")).unwrap(), "x\n", "it ran once");
    site.assert_clean();
}

#[test]
fn how_a_command_failed_while_no_engine_ran_is_learnt() {
    let site = Site::small();
    let place = site.path(".").display().to_string();
    let script = format!("touch {place}/began; while [ ! -e {place}/go ]; do sleep 0.05; done; exit 7");
    let hook = format!("hooks: {{ before: [ {{ argv: [sh, -c, '{script}'] }} ] }}\n");
    fs::write(site.path("operations/documents.yaml"), format!("{DOCUMENTS}{hook}")).unwrap();
    interrupt(&site);
    fs::write(site.path("go"), "").unwrap();
    until("the command does not end", || has_ended(&site));
    site.succeed(&["status"]);
    site.settle();
    let run = &site.json(&["runs"])[0];
    assert_eq!(run["status"], "failed", "{run}");
    assert!(run["failure"]["message"].as_str().unwrap().contains("exit code 7"), "{run}");
    assert!(site.catalog("fileserver").is_empty(), "what follows was not begun");
    site.assert_clean();
}

/// The process IDs of the shim and the command of a site's only run.
pub(crate) fn processes(site: &Site) -> (i32, i32) {
    let mut found = (0, 0);
    until("the command's process is not written down", || {
        fs::read_dir(site.path("state/commands")).is_ok_and(|mut runs| runs.next().is_some())
    });
    let run = fs::read_dir(site.path("state/commands")).unwrap().next().unwrap().unwrap().path();
    let command = run.join("before-1-1");
    until("the command's process is not written down", || command.join("child.json").exists());
    let pid = |name: &str, place: &str| {
        let value: serde_json::Value =
            serde_json::from_slice(&fs::read(command.join(name)).unwrap()).unwrap();
        i32::try_from(value.pointer(place).unwrap().as_i64().unwrap()).unwrap()
    };
    found.0 = pid("started.json", "/shim/pid");
    found.1 = pid("child.json", "/pid");
    found
}

#[test]
fn a_command_that_is_killed_fails_its_step_and_one_whose_shim_is_killed_is_asked_about() {
    for kill_shim in [false, true] {
        let site = waiting_site("before");
        let run = site.spawn(&["run", "documents"]);
        until("the hook does not begin", || site.path("began").exists());
        let (shim, command) = processes(&site);
        kill(if kill_shim { shim } else { command }, "KILL");
        fs::write(site.path("go"), "").unwrap();
        let code = run.wait_with_output().unwrap().status.code();
        if kill_shim {
            // The command went on to its end, and nobody saw how it ended.
            assert_eq!(code, Some(4));
            let parked = &site.json(&["runs"])[0];
            assert!(parked["questions"]["before-1"].as_str().unwrap().contains("nobody saw"), "{parked}");
            site.succeed(&["answer", "latest", "before-1", "done"]);
            site.settle();
        } else {
            assert_eq!(code, Some(1));
            let failed = &site.json(&["runs"])[0];
            assert!(failed["failure"]["message"].as_str().unwrap().contains("exit code 137"), "{failed}");
            site.succeed(&["resume", "latest"]);
        }
        assert_eq!(site.json(&["runs"])[0]["status"], "done", "shim: {kill_shim}");
        let times = fs::read_to_string(site.path("began")).unwrap().lines().count();
        assert_eq!(times, if kill_shim { 1 } else { 2 });
        site.assert_clean();
    }
}

#[test]
fn engines_killed_while_the_tape_is_written_leave_the_dataset_on_it_once_and_whole() {
    let site = Site::new(TWO_PAIRS, &[("documents", DOCUMENTS)]);
    fs::create_dir_all(site.path("documents")).unwrap();
    // What does not compress takes a while.
    let noise = (0..6_u32 << 20).flat_map(|i| (i.wrapping_mul(2_654_435_761) ^ (i << 7)).to_le_bytes());
    fs::write(site.path("documents/noise"), noise.collect::<Vec<u8>>()).unwrap();
    let cartridge = site.path("vault/VT0001.cartridge");
    let length = || cartridge.metadata().map_or(0, |found| found.len());
    let run = site.spawn(&["run", "documents"]);
    until("no dataset is begun", || length() > 64 << 10);
    site.kill_engines();
    let _ = run.wait_with_output().unwrap();
    site.succeed(&["status"]);
    site.settle();
    assert_eq!(site.json(&["runs"])[0]["status"], "done");
    let listed = site.json(&["tape", "list"]);
    let datasets: u64 = listed.as_array().unwrap().iter().map(|c| c["datasets"].as_u64().unwrap()).sum();
    assert_eq!(datasets, 1, "{listed}");
    assert_eq!(site.json(&["leftovers"]).as_array().map(Vec::len), Some(0));
    site.assert_clean();
    let before = site.path("before");
    crate::site::copy_tree(&site.path("documents"), &before);
    fs::write(site.path("documents/noise"), "lost").unwrap();
    site.succeed(&["restore", "documents", "--from", "tape", "--yes"]);
    assert_same_tree(&before, &site.path("documents"));
}
