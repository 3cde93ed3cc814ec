//! Clocks that are not what they were: a second life of an engine in another time namespace, in which the clocks of the
//! boot, and the start times in `/proc`, are shifted; and the clock of a window's budget.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    freeze::{Writer, frozen_site, watchdogs},
    hold::waiting_site,
    reattach::processes,
    site::{Site, kill, told},
};

/// The clocks of a machine that has been up for a hundred thousand seconds more; and of one that started just now.
fn shifts() -> [String; 2] {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let seconds: u64 = uptime.split('.').next().unwrap().parse().unwrap();
    ["100000".to_owned(), format!("-{}", seconds - 1)]
}

/// A command of a site's program whose clocks are shifted by so many seconds.
fn shifted(site: &Site, seconds: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    let _ = command.arg("--time").arg(format!("--boottime={seconds}")).arg(format!("--monotonic={seconds}"));
    let _ = command.arg(env!("CARGO_BIN_EXE_resplit")).arg("--site").arg(site.path("")).args(arguments);
    let _ = command.env_remove("RESPLIT_HOST").env_remove("RESPLIT_SITE").stdin(Stdio::null());
    command
}

fn is_possible(site: &Site, seconds: &str) -> bool {
    let tried = shifted(site, seconds, &["--version"]).output();
    let is_so = tried.as_ref().is_ok_and(|output| output.status.success());
    if !is_so {
        eprintln!("skipped: no time namespace of its own: {tried:?}");
    }
    is_so
}

fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn json(site: &Site, seconds: &str, arguments: &[&str]) -> Value {
    let output = shifted(site, seconds, &[&["--json"], arguments].concat()).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_owner_lives_although_its_start_time_looks_another() {
    for seconds in shifts() {
        let site = waiting_site("before");
        if !is_possible(&site, &seconds) {
            return;
        }
        let run = site.spawn(&["run", "documents"]);
        until("the hook does not begin", || site.path("began").exists());
        // Only the library's host is started anew, by other clocks; who holds its drive is there all the time.
        let engine = fs::read_to_string(site.path("state-backup/lock")).unwrap().trim().parse().unwrap();
        kill(engine, "KILL");
        let left = json(&site, &seconds, &["leftovers", "--all"]);
        let leases: Vec<&Value> = left
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["host"] == "backupserver" && row["kind"] == "lease")
            .collect();
        assert_eq!(leases.len(), 1, "{left}");
        assert!(!leases[0]["what"].as_str().unwrap().contains("dead"), "by {seconds} s: {left}");
        fs::write(site.path("go"), "").unwrap();
        let ended = run.wait_with_output().unwrap();
        assert!(ended.status.success(), "by {seconds} s: {}", told(&ended));
    }
}

#[test]
fn a_command_is_attached_to_again_and_its_time_is_not_up_by_other_clocks() {
    for seconds in shifts() {
        // Its time limit is far less than what the clocks are shifted by. It says that it ended by itself.
        let site = waiting_site("before");
        if !is_possible(&site, &seconds) {
            return;
        }
        let operation = site.path("operations/documents.yaml");
        let last = format!("done; touch {}'", site.path("ended").display());
        let text = fs::read_to_string(&operation).unwrap().replace("done'", &last);
        fs::write(&operation, text).unwrap();
        let run = site.spawn(&["run", "documents"]);
        until("the hook does not begin", || site.path("began").exists());
        let (shim, command) = processes(&site);
        // The engine that follows waits for the command itself, by what is written down of it.
        kill(shim, "STOP");
        site.kill_engines();
        kill(shim, "KILL");
        let _ = run.wait_with_output().unwrap();
        let left = json(&site, &seconds, &["leftovers", "--all"]);
        let process = left.as_array().unwrap().iter().find(|row| row["kind"] == "process");
        let process = process.unwrap_or_else(|| panic!("by {seconds} s the command is not seen: {left}"));
        assert!(process["what"].as_str().unwrap().contains(&command.to_string()), "{process}");
        assert_eq!(process["standing"], "at_work", "by {seconds} s: {left}");
        fs::write(site.path("go"), "").unwrap();
        // How it ended nobody saw; but it was waited for, and not ended.
        until("the run goes on", || json(&site, &seconds, &["runs"])[0]["status"] == "parked");
        assert!(site.path("ended").exists(), "by {seconds} s the command was ended");
        site.succeed(&["answer", "latest", "before-1", "done"]);
        site.settle();
        assert_eq!(site.json(&["runs"])[0]["status"], "done");
        site.assert_clean();
    }
}

#[test]
fn a_window_that_was_lost_is_opened_again_by_other_clocks() {
    for seconds in shifts() {
        let (site, Some(mounted)) = frozen_site("hooks: { in_window: [ { argv: [sleep, '1'] } ] }\n") else {
            return;
        };
        if !is_possible(&site, &seconds) {
            return;
        }
        let writer = Writer::new(mounted.path().join("written"));
        let run = site.spawn(&["run", "documents"]);
        let _ = writer.until_still();
        site.kill_engines();
        let _ = run.wait_with_output().unwrap();
        until("the run goes on", || json(&site, &seconds, &["runs", "--open"]) == serde_json::json!([]));
        let longest = writer.stop();
        assert!(longest < 3_000, "by {seconds} s a write took {longest} ms");
        let shown = site.json(&["show", "latest"]);
        assert_eq!(shown["status"], "done", "{shown}");
        let length = shown["windows"][0]["length_ms"].as_u64().unwrap();
        assert!((1_000..3_000).contains(&length), "by {seconds} s: {shown}");
        site.assert_clean();
    }
}

#[test]
fn the_budget_of_a_window_goes_on_while_the_machine_is_suspended() {
    // CLOCK_BOOTTIME, as the kernel tells it of a timer.
    const SUSPENDED_TOO: &str = "clockid: 7";
    let (site, Some(mounted)) = frozen_site("hooks: { in_window: [ { argv: [sleep, '1'] } ] }\n") else {
        return;
    };
    let writer = Writer::new(mounted.path().join("written"));
    let run = site.spawn(&["run", "documents"]);
    let _ = writer.until_still();
    let [watchdog] = watchdogs(&mounted)[..] else { panic!("one watchdog") };
    let descriptors = fs::read_dir(format!("/proc/{watchdog}/fdinfo")).unwrap();
    let told_of: Vec<String> =
        descriptors.filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok()).collect();
    let timer =
        told_of.iter().find(|text| text.contains("clockid:")).unwrap_or_else(|| panic!("{told_of:?}"));
    assert!(timer.contains(SUSPENDED_TOO), "{timer}");
    // It is set, to what is left of three seconds.
    let left = timer.lines().find_map(|line| line.strip_prefix("it_value: (")).unwrap();
    let left: u64 = left.split(',').next().unwrap().parse().unwrap();
    assert!(left < 3, "{timer}");
    let ended = run.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", told(&ended));
    let _ = writer.stop();
}
