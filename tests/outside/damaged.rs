//! The state itself is damaged: what can be trusted is shown, nothing is changed, and an operator decides.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    quickstart::quickstart,
    site::{Site, assert_same_tree},
};

/// The engines end at once, as after a power cut.
fn lose(site: &Site) {
    site.kill_engines();
}

fn segments(site: &Site, state: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(site.path(state).join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Flips a byte at so many parts of ten of what is written into a segment.
fn damage(path: &Path, tenths: usize) {
    let mut bytes = fs::read(path).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes[written * tenths / 10] ^= 0x41;
    fs::write(path, bytes).unwrap();
}

fn ids(site: &Site) -> BTreeSet<(String, String)> {
    let word = |record: &serde_json::Value, name: &str| record[name].as_str().unwrap().to_owned();
    let all = site.json(&["catalog", "list"]);
    all.as_array().unwrap().iter().map(|record| (word(record, "host"), word(record, "id"))).collect()
}

/// What a repair gives up on the only host that is damaged.
fn repaired(site: &Site) -> serde_json::Value {
    site.json(&["repair", "--yes"])[0].clone()
}

#[test]
fn damage_in_the_middle_is_read_around_until_an_operator_gives_it_up() {
    let site = quickstart();
    for _ in 0..3 {
        site.succeed(&["run", "documents"]);
    }
    let given = ids(&site);
    lose(&site);
    let log = segments(&site, "state")[0].clone();
    damage(&log, 6);
    let bytes = fs::read(&log).unwrap();

    let said = site.succeed(&["status"]);
    let first = said.lines().next().unwrap();
    assert!(first.starts_with("read-only: host 'fileserver'") && first.contains("at byte"), "{said}");
    assert!(first.contains(&log.display().to_string()) && first.contains("are lost"), "{said}");
    assert!(said.contains("documents"), "{said}");
    assert!(site.succeed(&["leftovers"]).starts_with("read-only: "));
    assert!(!site.catalog("fileserver").is_empty());
    for shown in [
        ["plan", "documents"].as_slice(),
        &["runs"],
        &["show", "latest"],
        &["logs", "latest"],
        &["pair", "status"],
        &["tape", "list"],
    ] {
        site.succeed(shown);
    }
    let id = site.catalog("fileserver")[0]["id"].as_str().unwrap().to_owned();
    let lock = format!("fileserver:{id}");
    for refused in [
        ["run", "documents"].as_slice(),
        &["run", "documents", "--detach"],
        &["restore", "documents", "--yes"],
        &["resume", "latest"],
        &["answer", "latest", "resync", "done"],
        &["cancel", "latest"],
        &["catalog", "lock", &lock],
        &["repair"],
    ] {
        let said = site.fail(refused, 4);
        assert!(said.contains("resplit repair"), "{refused:?}: {said}");
    }
    assert_eq!(fs::read(&log).unwrap(), bytes, "nothing is written to what is damaged");

    let repair = repaired(&site);
    assert_eq!(repair["host"], "fileserver");
    let aside = PathBuf::from(repair["set_aside"].as_str().unwrap());
    assert_eq!(fs::read(aside.join("log").join(log.file_name().unwrap())).unwrap(), bytes);
    assert!(!site.succeed(&["status"]).contains("read-only"));
    assert_eq!(site.output(&["repair"]).status.code(), Some(0), "a sound state");

    // What was interrupted as far as is known goes on by itself.
    site.settle();
    let known: BTreeSet<_> = ids(&site).union(&given).cloned().collect();
    fs::write(site.path("documents/new.txt"), "after").unwrap();
    site.succeed(&["run", "documents"]);
    let new: Vec<_> = ids(&site).difference(&known).cloned().collect();
    assert!(new.iter().any(|(host, _)| host == "fileserver"), "{new:?}");
    let next = repair["next_backup"].as_str().unwrap();
    for (_, id) in new.iter().filter(|(host, _)| host == "fileserver") {
        assert!(id.as_str() >= next, "{id} may have been given before {next}");
    }
    fs::remove_file(site.path("documents/new.txt")).unwrap();
    site.succeed(&["restore", "documents", "--yes"]);
    assert_eq!(fs::read_to_string(site.path("documents/new.txt")).unwrap(), "after");
    site.assert_clean();
}

#[test]
fn a_state_of_which_nothing_can_be_trusted_goes_on_above_what_the_world_remembers() {
    let site = quickstart();
    for _ in 0..2 {
        site.succeed(&["run", "documents"]);
    }
    let given = ids(&site);
    lose(&site);
    for state in ["state", "state-backup"] {
        // The header of the only segment: nothing leads to what follows.
        let log = segments(&site, state)[0].clone();
        let mut bytes = fs::read(&log).unwrap();
        bytes[20] ^= 1;
        fs::write(&log, bytes).unwrap();
    }
    site.fail(&["run", "documents"], 4);
    let said = site.succeed(&["status"]);
    assert_eq!(said.matches("read-only: host").count(), 2, "{said}");
    let repairs = site.json(&["repair", "--yes"]);
    assert_eq!(repairs.as_array().unwrap().len(), 2, "{repairs}");
    for repair in repairs.as_array().unwrap() {
        assert_eq!(repair["damage"]["trusted"], 0, "{repair}");
        assert!(repair["next_backup"].as_str().unwrap() > "0001000000", "{repair}");
        assert!(repair["next_token"].as_u64().unwrap() > 1_000_000, "{repair}");
    }
    assert!(ids(&site).is_empty());
    site.succeed(&["run", "documents"]);
    let now = ids(&site);
    assert!(!now.is_empty() && now.is_disjoint(&given), "{now:?}");
    let generation = site.catalog("fileserver")[0]["images"][0]["generation"].as_u64().unwrap();
    assert_same_tree(&site.path("documents"), &site.path(&format!("mirrors/{generation}/data")));
    site.assert_clean();
}

#[test]
fn a_run_that_needs_a_host_that_only_reads_is_refused_before_anything_is_touched() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    lose(&site);
    damage(&segments(&site, "state-backup")[0], 9);
    let (pairs, runs) = (site.json(&["pair", "status"]), site.json(&["runs"]));
    let said = site.fail(&["run", "documents"], 4);
    assert!(said.contains("host 'backupserver'") && said.contains("nothing was touched"), "{said}");
    assert_eq!((site.json(&["pair", "status"]), site.json(&["runs"])), (pairs, runs));
    // The engine of the other host is at work with a lease there, as far as is known: that hinders no repair.
    assert_eq!(repaired(&site)["host"], "backupserver");
    site.settle();
    site.succeed(&["run", "documents"]);
    // If the end of what was mounted there is lost, it is left behind as far as that host knows.
    site.succeed(&["leftovers", "release", "--yes"]);
    assert_eq!(site.json(&["leftovers"]), serde_json::json!([]));
    site.assert_clean();
}

#[test]
fn a_disk_that_cannot_be_read_is_looked_at_first() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    lose(&site);
    let log = segments(&site, "state")[0].clone();
    let aside = site.path("kept.log");
    fs::rename(&log, &aside).unwrap();
    // Reading it fails, as it does on a bad disk.
    fs::create_dir(&log).unwrap();
    assert!(site.succeed(&["status"]).starts_with("read-only: "));
    let said = site.fail(&["repair", "--yes"], 4);
    assert!(said.contains("look at the disk first"), "{said}");
    assert!(site.fail(&["run", "documents"], 4).contains("look at the disk first"));
    fs::remove_dir(&log).unwrap();
    fs::rename(&aside, &log).unwrap();
    let output = site.output(&["repair"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("whole again"), "{said}");
    site.succeed(&["run", "documents"]);
    assert_eq!(site.catalog("fileserver").len(), 2);
}
