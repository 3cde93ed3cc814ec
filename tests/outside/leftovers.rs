//! What is left behind is listed, with what undoes it; what a run at work, held or parked has made is left alone.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    hold::{interrupt, waiting_site},
    kills::large_tree,
    site::{DOCUMENTS, Site, TWO_PAIRS, kill},
};

/// What is listed, as `host kind standing`, each once, in order.
fn listed(left: &Value) -> Vec<String> {
    let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = left.as_array().unwrap().iter();
    let mut words: Vec<_> = rows
        .map(|row| format!("{} {} {}", word(row, "host"), word(row, "kind"), word(row, "standing")))
        .collect();
    words.sort();
    words.dedup();
    words
}

fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn nothing_is_left_behind_by_a_run_that_ends_well_and_nothing_of_one_at_work_is() {
    let site = waiting_site("before");
    assert_eq!(listed(&site.json(&["leftovers"])), Vec::<String>::new(), "of a site that was never used");
    assert!(!site.path("vault").exists(), "looking makes nothing");
    let run = site.spawn(&["run", "documents"]);
    until("the hook does not begin", || site.path("began").exists());
    assert_eq!(listed(&site.json(&["leftovers"])), Vec::<String>::new());
    let all = listed(&site.json(&["leftovers", "--all"]));
    let expected = ["backupserver lease at_work", "fileserver lease at_work", "fileserver process at_work"];
    assert_eq!(all, expected);
    let output = site.output(&["leftovers"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.stdout.is_empty() && said.contains("3 things more") || said.contains("belong to runs at work")
    );
    fs::write(site.path("go"), "").unwrap();
    assert!(run.wait_with_output().unwrap().status.success());
    assert_eq!(listed(&site.json(&["leftovers", "--all"])), Vec::<String>::new());
}

#[test]
fn what_a_held_run_has_made_is_listed_and_never_released() {
    let site = waiting_site("before");
    interrupt(&site);
    let held = [
        "backupserver lease held",
        "fileserver lease held",
        "fileserver process held",
        "fileserver run held",
    ];
    assert_eq!(listed(&site.json(&["--hold", "leftovers"])), held);
    let output = site.output(&["leftovers", "release", "--yes"]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot be released"));
    assert_eq!(listed(&site.json(&["leftovers"])), held);
    fs::write(site.path("go"), "").unwrap();
    site.succeed(&["resume", "latest"]);
    assert_eq!(listed(&site.json(&["leftovers"])), Vec::<String>::new());
}

#[test]
fn what_a_parked_run_has_made_waits_for_its_answer() {
    let site = waiting_site("before");
    let run = site.spawn(&["run", "documents"]);
    until("the hook does not begin", || site.path("began").exists());
    // Engines, shim and command at once: nobody sees how the command ends.
    let commands = site.path("state/commands");
    let directory = fs::read_dir(&commands).unwrap().next().unwrap().unwrap().path().join("before-1-1");
    let child = directory.join("child.json");
    until("the command's process is not written down", || child.exists());
    let pid = |name: &str, place: &str| {
        let text = fs::read(directory.join(name)).unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        i32::try_from(value.pointer(place).unwrap().as_i64().unwrap()).unwrap()
    };
    let (shim, command) = (pid("started.json", "/shim/pid"), pid("child.json", "/pid"));
    site.kill_engines();
    kill(shim, "KILL");
    kill(command, "KILL");
    assert!(!run.wait_with_output().unwrap().status.success());
    site.succeed(&["status"]);
    let is_parked = || site.json(&["runs"])[0]["status"] == "parked";
    until("the run is not parked", is_parked);
    let left = site.json(&["leftovers"]);
    let parked = ["backupserver lease parked", "fileserver lease parked", "fileserver run parked"];
    assert_eq!(listed(&left), parked);
    for row in left.as_array().unwrap() {
        assert!(row["next"].as_str().unwrap().starts_with("resplit answer documents-"), "{row}");
        assert_eq!(row["releasable"], false);
    }
    site.succeed(&["leftovers", "release", "--yes"]);
    assert_eq!(listed(&site.json(&["leftovers"])), parked);
    site.succeed(&["answer", "latest", "before-1", "abort"]);
    site.settle();
    assert_eq!(listed(&site.json(&["leftovers"])), Vec::<String>::new());
}

#[test]
fn a_resync_that_was_killed_leaves_a_pair_that_is_listed() {
    let site = Site::new(TWO_PAIRS, &[("documents", DOCUMENTS)]);
    large_tree(&site.path("documents"));
    site.succeed(&["run", "documents"]);
    let run = site.spawn(&["run", "documents"]);
    let status = |generation: u32| {
        let path = site.path(&format!("mirrors/{generation}/pair.json"));
        fs::read_to_string(path).unwrap_or_default().contains("\"COPY\"")
    };
    until("no pair is copied", || status(0) || status(1));
    site.kill_engines();
    let _ = run.wait_with_output().unwrap();
    let left = site.json(&["--hold", "leftovers"]);
    let pair = left.as_array().unwrap().iter().find(|row| row["kind"] == "pair").unwrap();
    let what = pair["what"].as_str().unwrap();
    assert!(what.contains("is COPY") || what.contains("is PAIR"), "{pair}");
    assert!(pair["next"].as_str().unwrap().starts_with("resplit resume"), "{pair}");
    site.succeed(&["resume", "latest"]);
    assert_eq!(listed(&site.json(&["leftovers"])), Vec::<String>::new());
}

/// Kills both engines while the tape is written, and takes the coordinator's state away.
pub(crate) fn lose_the_coordinator(site: &Site) {
    let noise = (0..8u32 << 20).flat_map(|i| (i.wrapping_mul(2_654_435_761) ^ (i << 7)).to_le_bytes());
    let noise: Vec<u8> = noise.collect();
    fs::create_dir_all(site.path("documents")).unwrap();
    fs::write(site.path("documents/noise"), noise).unwrap();
    let run = site.spawn(&["run", "documents"]);
    let cartridge = site.path("vault/VT0001.cartridge");
    let length = |path: &Path| path.metadata().map_or(0, |found| found.len());
    until("no dataset is begun", || length(&cartridge) > 64 << 10);
    site.kill_engines();
    let _ = run.wait_with_output().unwrap();
    fs::remove_dir_all(site.path("state")).unwrap();
}

#[test]
fn what_a_run_that_nobody_knows_has_left_is_released() {
    let site = Site::new(TWO_PAIRS, &[("documents", DOCUMENTS)]);
    lose_the_coordinator(&site);
    fs::write(site.path("state-backup/staging/notes.txt"), "mine").unwrap();
    let left = site.json(&["leftovers"]);
    let expected = [
        "backupserver interlock unknown",
        "backupserver lease unknown",
        "backupserver mount unknown",
        "backupserver staging unknown",
        "backupserver unclosed_dataset unknown",
    ];
    assert_eq!(listed(&left), expected);
    let releasable =
        |left: &Value| left.as_array().unwrap().iter().filter(|row| row["releasable"] == true).count();
    assert_eq!(releasable(&left), 3, "{left}");
    // It names what it would do, and does nothing.
    let said = site.fail(&["leftovers", "release"], 4);
    assert!(said.contains("is mounted, and so locked") && said.contains("--yes"), "{said}");
    assert_eq!(site.json(&["leftovers"]), left);
    let released = site.succeed(&["leftovers", "release", "--yes"]);
    assert_eq!(released.lines().filter(|line| line.contains("released: ")).count(), 3, "{released}");
    let left = site.json(&["leftovers"]);
    let rest = [
        "backupserver interlock unknown",
        "backupserver staging unknown",
        "backupserver unclosed_dataset unknown",
    ];
    assert_eq!(listed(&left), rest);
    assert_eq!(releasable(&left), 0);
    assert!(site.path("state-backup/staging/notes.txt").exists(), "what is not resplit's own is left alone");
    assert!(site.catalog("backupserver").iter().all(|record| record["lock"].is_null()));
    // What is left says what to do, and that does it.
    let waive =
        left.as_array().unwrap().iter().find(|row| row["kind"] == "interlock").unwrap()["next"].clone();
    let words: Vec<&str> = waive.as_str().unwrap().split(' ').skip(1).collect();
    site.succeed(&words);
    fs::remove_file(site.path("state-backup/staging/notes.txt")).unwrap();
    // A host that has lost its state may give a run of the same second the same name.
    std::thread::sleep(Duration::from_millis(1100));
    site.succeed(&["run", "documents", "--generation", "0"]);
    assert_eq!(listed(&site.json(&["leftovers"])), Vec::<String>::new());
    site.assert_clean();
}
