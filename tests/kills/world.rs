//! The world of a site as an operator, and the stores themselves, tell it.

use std::{
    fs,
    process::Output,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use serde_json::Value;

use crate::{
    exists,
    site::{Site, kill, told},
};

/// Nothing takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until a process is gone; whether it is.
pub(crate) fn gone(pid: i32, limit: Duration) -> bool {
    let Ok(process) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else { return true };
    let until = Instant::now() + limit;
    loop {
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now())).unwrap();
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            ready => return ready.unwrap() > 0,
        }
    }
}

/// Runs the program to its end, which must come.
pub(crate) fn ended(site: &Site, arguments: &[&str]) -> Output {
    let child = site.spawn(arguments);
    let pid = i32::try_from(child.id()).unwrap();
    // Read while it runs: it may say more than a pipe holds.
    let output = std::thread::spawn(move || child.wait_with_output().unwrap());
    let hangs = !gone(pid, LIMIT);
    if hangs {
        kill(pid, "KILL");
    }
    let output = output.join().unwrap();
    if hangs {
        let open = site.output(&["runs", "--open", "--limit", "1000"]);
        let shown = site.output(&["show", arguments.last().unwrap_or(&"latest")]);
        panic!("{arguments:?} hangs: {}\n{}\n{}", told(&output), told(&open), told(&shown));
    }
    output
}

/// Ends the engines in order, and waits until they are gone.
pub(crate) fn stop_engines(site: &Site) {
    for pid in site.engines() {
        kill(pid, "TERM");
        assert!(gone(pid, LIMIT), "an engine does not end");
    }
}

/// What is read while engines may be killed: asked again until it is told.
pub(crate) fn json(site: &Site, arguments: &[&str]) -> Value {
    let mut all = vec!["--json"];
    all.extend(arguments);
    let mut last = None;
    for _ in 0..6 {
        let output = ended(site, &all);
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).unwrap();
        }
        last = Some(output);
    }
    panic!("{arguments:?}: {}", last.map(|output| told(&output)).unwrap_or_default())
}

/// Starts the engines again, and waits until no run goes on: only what is parked may be left.
pub(crate) fn settle(site: &Site) {
    for _ in 0..20 {
        let open = json(site, &["runs", "--open", "--limit", "1000"]);
        let on: Vec<_> = open.as_array().unwrap().iter().filter(|run| run["status"] != "parked").collect();
        if on.is_empty() {
            return;
        }
        for run in on {
            // Follows it to its end, whatever that is.
            let _ = ended(site, &["logs", "--follow", run["run"].as_str().unwrap()]);
        }
    }
    panic!("runs go on and on: {}", json(site, &["runs", "--open", "--limit", "1000"]));
}

/// What a host's store holds once its engine does not run.
pub(crate) fn store(site: &Site, state: &str) -> (u64, Vec<String>) {
    exists::store(&site.path(state))
}

/// What exists, in words.
pub(crate) fn snapshot(site: &Site) -> Vec<String> {
    exists::snapshot(|arguments| json(site, arguments))
}

/// Asserts what always holds once nothing runs. Ends the engines.
pub(crate) fn assert_sound(site: &Site, hosts: &[(&str, &str)]) {
    let records = json(site, &["catalog", "list"]);
    let records = records.as_array().unwrap();
    assert!(records.iter().all(|record| record["lock"].is_null()), "a lock is left: {records:?}");
    let pairs = json(site, &["pair", "status"]);
    for pair in pairs.as_array().unwrap() {
        assert!(pair["lease"].is_null(), "a lease is left: {pair}");
        let last = &pair["state"]["last"];
        assert!(last.is_null() || !last["ended"].is_null(), "a verb has not ended: {pair}");
    }
    for record in records.iter().filter(|r| r["medium"]["medium"] == "disk") {
        for image in record["images"].as_array().unwrap() {
            let pair =
                pairs.as_array().unwrap().iter().find(|p| p["pair"]["copy_group"] == image["copy_group"]);
            let state = &pair.unwrap_or_else(|| panic!("no pair of {record}"))["state"];
            if record["standing"]["standing"] == "current" {
                assert_eq!(image["epoch"], state["epoch"], "{record} points at nothing: {state}");
                assert_eq!(state["status"], "PSUS", "{record} has no image at rest");
            }
        }
    }
    exists::assert_tapes(records, &json(site, &["tape", "list"]));
    stop_engines(site);
    for (host, state) in hosts {
        let (_, left) = store(site, state);
        assert!(left.is_empty(), "{host} still has {left:?}");
        let staged: Vec<_> = fs::read_dir(site.path(state).join("staging"))
            .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
            .unwrap_or_default();
        assert!(staged.is_empty(), "{host} has staged {staged:?}");
    }
}
