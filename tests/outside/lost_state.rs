//! State directories that are gone: what their engines have left is found by looking, and undone.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    freeze::{Writer, frozen_site, watchdogs},
    hold::{interrupt, waiting_site},
    reattach::processes,
    site::{Site, kill},
};

/// Takes the state of both hosts away.
fn lose(site: &Site) {
    assert!(site.engines().is_empty());
    for state in ["state", "state-backup"] {
        fs::remove_dir_all(site.path(state)).unwrap();
    }
}

pub(crate) fn of_kind<'l>(left: &'l Value, kind: &str) -> Vec<&'l Value> {
    left.as_array().unwrap().iter().filter(|row| row["kind"] == kind).collect()
}

fn lives(pid: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_host_that_has_lost_its_state_gives_no_backup_id_again_that_another_host_knows() {
    let site = Site::small();
    for text in ["first", "second"] {
        fs::write(site.path("documents/a.txt"), text).unwrap();
        site.succeed(&["run", "documents"]);
    }
    stop_engines(&site);
    fs::remove_dir_all(site.path("state")).unwrap();
    fs::write(site.path("documents/a.txt"), "third").unwrap();
    site.succeed(&["run", "documents"]);
    let ids: Vec<String> =
        site.catalog("fileserver").iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, ["0000000003"]);
    // So that the newest of all is still told from the others by its ID.
    fs::write(site.path("documents/a.txt"), "ruined").unwrap();
    site.succeed(&["restore", "documents", "--from", "tape", "--yes"]);
    assert_eq!(fs::read_to_string(site.path("documents/a.txt")).unwrap(), "third");
    assert_eq!(site.json(&["leftovers"]).as_array().map(Vec::len), Some(0));
}

/// Ends the engines in order, and waits until they have ended.
fn stop_engines(site: &Site) {
    let engines = site.engines();
    for pid in &engines {
        kill(*pid, "TERM");
    }
    let began = Instant::now();
    while engines.iter().any(|pid| lives(*pid)) {
        assert!(began.elapsed() < Duration::from_secs(30), "an engine does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_command_whose_engine_and_state_are_gone_is_found_and_ended() {
    let site = waiting_site("before");
    interrupt(&site);
    let (shim, command) = processes(&site);
    assert!(lives(shim) && lives(command));
    lose(&site);
    let left = site.json(&["leftovers"]);
    let [process] = of_kind(&left, "process")[..] else { panic!("{left}") };
    assert!(process["what"].as_str().unwrap().contains(&shim.to_string()), "{process}");
    assert_eq!((&process["standing"], &process["releasable"]), (&"unknown".into(), &true.into()));
    assert_eq!(process["next"], "resplit leftovers release");
    site.succeed(&["leftovers", "release", "--yes"]);
    assert!(!lives(shim) && !lives(command), "it still runs");
    assert_eq!(site.json(&["leftovers"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn a_command_whose_shim_is_gone_too_is_ended_by_a_release() {
    let site = waiting_site("before");
    interrupt(&site);
    let (shim, command) = processes(&site);
    kill(shim, "KILL");
    // What the run was is not known any more; the files of its command are still there.
    for name in ["log", "checkpoints", "view"] {
        let path = site.path("state").join(name);
        assert!(path.exists() || name == "checkpoints", "{}", path.display());
        let _ = fs::remove_dir_all(path);
    }
    fs::remove_dir_all(site.path("state-backup")).unwrap();
    let left = site.json(&["leftovers"]);
    let [process] = of_kind(&left, "process")[..] else { panic!("{left}") };
    assert!(process["what"].as_str().unwrap().contains(&command.to_string()), "{process}");
    site.succeed(&["leftovers", "release", "--yes"]);
    assert!(!lives(command), "it still runs");
    site.succeed(&["leftovers", "release", "--yes"]);
    assert_eq!(site.json(&["leftovers"]).as_array().map(Vec::len), Some(0));
    assert!(fs::read_dir(site.path("state/commands")).is_ok_and(|mut runs| runs.next().is_none()));
}

#[test]
fn a_watchdog_that_hangs_without_an_engine_is_found_and_thaws_when_it_is_released() {
    let (site, Some(mounted)) = frozen_site("hooks: { in_window: [ { argv: [sleep, '2'] } ] }\n") else {
        return;
    };
    let writer = Writer::new(mounted.path().join("written"));
    let run = site.spawn(&["run", "documents"]);
    let still = writer.until_still();
    let [watchdog] = watchdogs(&mounted)[..] else { panic!("one watchdog") };
    kill(watchdog, "STOP");
    let engines = site.engines();
    // All at once: the coordinator would thaw what a watchdog holds for too long.
    site.kill_engines();
    let _ = run.wait_with_output().unwrap();
    let began = Instant::now();
    while engines.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists() && lives(*pid)) {
        assert!(began.elapsed() < Duration::from_secs(10), "an engine does not end");
    }
    lose(&site);
    let left = site.json(&["leftovers"]);
    let found =
        of_kind(&left, "process").into_iter().find(|row| row["what"].as_str().unwrap().contains("watchdog"));
    let found = found.unwrap_or_else(|| panic!("{left}"));
    assert_eq!((&found["releasable"], &found["next"]), (&true.into(), &"resplit leftovers release".into()));
    let released = Instant::now();
    site.succeed(&["leftovers", "release", "--yes"]);
    while lives(watchdog) {
        assert!(released.elapsed() < Duration::from_secs(10), "it still runs");
    }
    writer.assert_goes_on(still, Instant::now());
    let _ = writer.stop();
    // The command of the window has ended by itself, or was ended.
    assert_eq!(of_kind(&site.json(&["leftovers"]), "process").len(), 0);
}
