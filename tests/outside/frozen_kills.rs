//! Whoever is killed while a file system is held still: it is let go, or never was.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    freeze::{Writer, frozen_site, watchdogs},
    mounted::Mounted,
    site::{Site, kill, told},
};

pub(crate) const LONG: &str = "hooks: { in_window: [ { argv: [sleep, '2'] } ] }\n";

/// The ID of the group that a process belongs to.
fn group(pid: i32) -> i32 {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::getpgid(Some(pid)).unwrap().as_raw_nonzero().get()
}

#[test]
fn engines_whose_process_groups_are_killed_inside_the_window_leave_nothing_frozen() {
    let (site, Some(mounted)) = frozen_site(LONG) else { return };
    let writer = Writer::new(mounted.path().join("written"));
    let run = site.spawn(&["run", "documents"]);
    let still = writer.until_still();
    let groups: Vec<i32> = site.engines().into_iter().map(group).collect();
    assert!(watchdogs(&mounted).into_iter().all(|pid| !groups.contains(&group(pid))));
    let killed = Instant::now();
    for group in &groups {
        let ended = Command::new("kill").args(["-9", "--", &format!("-{group}")]).output().unwrap();
        assert!(ended.status.success(), "{}", told(&ended));
    }
    // Nothing is started meanwhile.
    writer.assert_goes_on(still, killed);
    assert!(site.engines().is_empty());
    let _ = run.wait_with_output().unwrap();
    site.settle();
    assert_eq!(site.json(&["runs"])[0]["status"], "done");
    let _ = writer.stop();
    site.assert_clean();
}

/// Kills engines and watchdog such that neither notices the other's end: it stays frozen.
pub(crate) fn freeze_for_good(site: &Site, mounted: &Mounted) {
    let writer = Writer::new(mounted.path().join("written"));
    let run = site.spawn(&["run", "documents"]);
    let _ = writer.until_still();
    let all = watchdogs(mounted);
    assert_eq!(all.len(), 1);
    for pid in site.engines().iter().chain(&all) {
        kill(*pid, "STOP");
    }
    for pid in site.engines().iter().chain(&all) {
        kill(*pid, "KILL");
    }
    let _ = run.wait_with_output().unwrap();
    // The writer waits in the kernel until somebody thaws.
    drop(writer);
}

#[test]
fn what_engine_and_watchdog_have_left_frozen_is_thawed_when_an_engine_starts_and_by_a_release() {
    for command in [&["status"][..], &["leftovers", "release", "--yes"]] {
        let (site, Some(mounted)) = frozen_site(LONG) else { return };
        freeze_for_good(&site, &mounted);
        let mut touch = Command::new("touch").arg(mounted.path().join("touched")).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        assert!(touch.try_wait().unwrap().is_none(), "it is not frozen");
        site.succeed(command);
        let began = Instant::now();
        while touch.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(1), "{command:?} left it frozen");
            std::thread::sleep(Duration::from_millis(5));
        }
        site.settle();
        assert_eq!(site.json(&["leftovers"]).as_array().map(Vec::len), Some(0));
    }
}

#[test]
fn without_a_watchdog_nothing_is_frozen() {
    let hooks =
        "hooks: { before: [ { argv: [sh, -c, 'touch BEGAN; while [ ! -e GO ]; do sleep 0.01; done'] } ] }\n";
    let (site, Some(mounted)) = frozen_site("") else { return };
    let place = |name: &str| site.path(name).display().to_string();
    let hooks = hooks.replace("BEGAN", &place("began")).replace("GO", &place("go"));
    let operation = site.path("operations/documents.yaml");
    fs::write(&operation, fs::read_to_string(&operation).unwrap() + &hooks).unwrap();
    // An engine whose program is taken away before it opens its window.
    let program = site.path("resplit");
    let _ = fs::copy(env!("CARGO_BIN_EXE_resplit"), &program).unwrap();
    let mut run = Command::new(&program);
    let _ = run.arg("--site").arg(site.path("")).args(["run", "documents"]);
    let run = run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !site.path("began").exists() {
        assert!(began.elapsed() < Duration::from_secs(30), "the hook does not begin");
        std::thread::sleep(Duration::from_millis(2));
    }
    let writer = Writer::new(mounted.path().join("written"));
    fs::remove_file(&program).unwrap();
    fs::write(site.path("go"), "").unwrap();
    let output = run.wait_with_output().unwrap();
    let said = told(&output);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("cannot be started, so nothing was frozen"), "{said}");
    let longest = writer.stop();
    assert!(longest < 1_000, "a write took {longest} ms");
    assert!(site.catalog("fileserver").is_empty());
}
