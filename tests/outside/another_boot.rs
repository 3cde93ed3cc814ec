//! Who owns a lease, where the machine was booted again meanwhile: told by the boot's own name, in a mount namespace in
//! which it is another.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    hold::waiting_site,
    site::{Site, kill, told},
};

/// A command of a site's program in a world that was booted again.
fn booted(site: &Site, arguments: &[&str]) -> Command {
    let name = site.path("boot_id");
    fs::write(&name, "0b5e55ed-0000-4000-8000-000000000000\n").unwrap();
    let script = "mount --bind \"$1\" /proc/sys/kernel/random/boot_id && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    let _ = command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).arg(name);
    let _ = command.arg(env!("CARGO_BIN_EXE_resplit")).arg("--site").arg(site.path("")).args(arguments);
    let _ = command.env_remove("RESPLIT_HOST").env_remove("RESPLIT_SITE").stdin(Stdio::null());
    command
}

/// The leases that a host has given, in words.
fn leases(left: &[u8]) -> Vec<String> {
    let left: serde_json::Value = serde_json::from_slice(left).unwrap();
    let of_host = |row: &&serde_json::Value| row["host"] == "backupserver" && row["kind"] == "lease";
    left.as_array().unwrap().iter().filter(of_host).map(|row| row["what"].as_str().unwrap().into()).collect()
}

#[test]
fn an_owner_of_another_boot_is_dead_although_its_process_id_and_start_time_are_there() {
    let site = waiting_site("before");
    let tried = booted(&site, &["--version"]).output();
    if !tried.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no mount namespace of its own: {tried:?}");
        return;
    }
    let run = site.spawn(&["run", "documents"]);
    let began = Instant::now();
    while !site.path("began").exists() {
        assert!(began.elapsed() < Duration::from_secs(30), "the hook does not begin");
        std::thread::sleep(Duration::from_millis(2));
    }
    let before = site.output(&["--json", "leftovers", "--all"]);
    let held = leases(&before.stdout);
    assert!(held.len() == 1 && !held[0].contains("dead"), "{}", told(&before));
    // Only the library's host is started anew, under another boot; who holds its drive is there all the time.
    let engine = fs::read_to_string(site.path("state-backup/lock")).unwrap().trim().parse().unwrap();
    kill(engine, "KILL");
    let after = booted(&site, &["--json", "leftovers", "--all"]).output().unwrap();
    let dead = leases(&after.stdout);
    assert!(dead.len() == 1 && dead[0].contains("whose engine is dead"), "{}", told(&after));
    fs::write(site.path("go"), "").unwrap();
    let _ = run.wait_with_output().unwrap();
    site.settle();
    assert_eq!(site.json(&["runs"])[0]["status"], "done");
}
