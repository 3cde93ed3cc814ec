//! The ledgers of the field: which IDs a backup has on which host, through export, import, tape and restore.

use std::{
    io::Read,
    process::{Command, Stdio},
};

use crate::site::{DOCUMENTS, Site, TWO_PAIRS, small_tree};

/// A host's records as `id/original id medium`, in order.
fn ledger(site: &Site, host: &str) -> Vec<String> {
    let short = |value: &serde_json::Value| value.as_str().unwrap().trim_start_matches('0').to_owned();
    site.catalog(host)
        .iter()
        .map(|r| {
            format!(
                "{}/{} {}",
                short(&r["id"]),
                short(&r["original_id"]),
                r["medium"]["medium"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn a_tape_round_trip_gives_the_ids_of_the_field() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    assert_eq!(ledger(&site, "fileserver"), ["1/1 disk"]);
    assert_eq!(ledger(&site, "backupserver"), ["1/1 disk", "2/1 tape"]);
    let before = site.catalog("backupserver")[1].clone();
    site.succeed(&["restore", "documents", "--from", "tape", "--yes"]);
    assert_eq!(ledger(&site, "fileserver"), ["2/1 disk"]);
    assert_eq!(ledger(&site, "backupserver"), ["2/1 tape", "3/1 disk"]);
    for record in site.json(&["catalog", "list"]).as_array().unwrap() {
        for constant in ["started", "ended", "source_host", "mode", "operation", "run"] {
            assert_eq!(record[constant], before[constant], "{constant} never changes");
        }
    }
}

#[test]
fn each_host_counts_its_own_ids_and_keeps_those_of_the_source() {
    let alone = "protect: { filesystem: documents, volumes: [documents] }\n";
    let site = Site::new(TWO_PAIRS, &[("alone", alone), ("documents", DOCUMENTS)]);
    small_tree(&site.path("documents"));
    site.succeed(&["run", "alone"]);
    site.succeed(&["run", "alone"]);
    assert_eq!(ledger(&site, "fileserver"), ["1/1 disk", "2/2 disk"]);
    site.succeed(&["run", "documents"]);
    assert_eq!(ledger(&site, "fileserver"), ["2/2 disk", "3/3 disk"]);
    assert_eq!(ledger(&site, "backupserver"), ["1/3 disk", "2/3 tape"]);
    site.succeed(&["restore", "documents", "--from", "tape", "--yes"]);
    assert_eq!(ledger(&site, "backupserver").last().unwrap(), "3/3 disk");
    assert_eq!(ledger(&site, "fileserver").last().unwrap(), "4/3 disk");
    site.assert_clean();
}

#[test]
fn a_locked_generation_is_passed_over_until_it_is_unlocked() {
    let three = TWO_PAIRS.replace(
        "libraries:",
        r#"      - { copy_group: "VG03,vol01", secondary: { host: backupserver, path: mirrors/2 } }
libraries:"#,
    );
    let site =
        Site::new(&three, &[("documents", "protect: { filesystem: documents, volumes: [documents] }\n")]);
    small_tree(&site.path("documents"));
    let run = || site.succeed(&["run", "documents"]);
    let generations = |site: &Site| -> Vec<String> {
        let records = site.catalog("fileserver");
        let name = |r: &serde_json::Value| {
            let id = r["id"].as_str().unwrap().trim_start_matches('0').to_owned();
            format!("{}={id}", r["images"][0]["copy_group"].as_str().unwrap().split(',').next().unwrap())
        };
        records.iter().map(name).collect()
    };
    for _ in 0..4 {
        run();
    }
    assert_eq!(generations(&site), ["VG02=2", "VG03=3", "VG01=4"]);
    site.succeed(&["catalog", "lock", "fileserver:4"]);
    for _ in 0..4 {
        run();
    }
    assert_eq!(generations(&site), ["VG01=4", "VG02=7", "VG03=8"]);
    site.succeed(&["catalog", "unlock", "fileserver:4"]);
    run();
    assert_eq!(generations(&site), ["VG02=7", "VG03=8", "VG01=9"]);
}

#[test]
fn a_backup_that_is_wanted_on_tape_is_not_overwritten_before_it_is_there() {
    let site = Site::new(&TWO_PAIRS.replace("drives: 2", "drives: 1"), &[("documents", DOCUMENTS)]);
    small_tree(&site.path("documents"));
    site.succeed(&["run", "documents"]);
    // Somebody else has the only drive.
    let mut holder = Command::new("flock")
        .arg(site.path("vault/drive-1.lock"))
        .args(["sh", "-c", "echo held; cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = [0; 5];
    holder.stdout.as_mut().unwrap().read_exact(&mut held).unwrap();
    let said = site.fail(&["run", "documents"], 1);
    assert!(said.contains("tape-backup"), "{said}");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    let waiting = || site.catalog("fileserver").into_iter().find(|r| r["tape"]["tape"] == "wanted");
    let id = waiting().unwrap()["id"].as_str().unwrap().to_owned();
    // The other pair is free; once that one is locked, only the one that waits for its tape is left.
    let other = site.catalog("fileserver").into_iter().find(|r| r["tape"]["tape"] == "done").unwrap();
    let other = format!("fileserver:{}", other["id"].as_str().unwrap());
    site.succeed(&["catalog", "lock", &other]);
    let said = site.fail(&["run", "documents"], 4);
    assert!(said.contains("wanted on tape") && said.contains("waive"), "{said}");
    assert!(waiting().is_some());
    // What is resumed goes on from the mount, and then the pair is free again.
    let run = site.catalog("fileserver").into_iter().find(|r| r["id"] == id.as_str()).unwrap()["run"].clone();
    site.succeed(&["resume", run.as_str().unwrap()]);
    assert!(waiting().is_none());
    site.succeed(&["run", "documents"]);
    site.succeed(&["catalog", "unlock", &other]);
    site.assert_clean();
}
