//! What operators ask of pairs: each verb, what rejects it, what it costs, and that a killed engine completes it.

use std::fs;

use serde_json::Value;

use crate::{
    hold::waiting_site,
    site::{DOCUMENTS, Site, TWO_PAIRS, assert_same_tree, copy_tree, small_tree},
};

mod kills;

const FIRST: &str = "VG01,vol01";

/// The status of a pair.
fn status(site: &Site, group: &str) -> String {
    let pairs = site.json(&["pair", "status"]);
    let found = pairs.as_array().unwrap().iter().find(|pair| pair["pair"]["copy_group"] == group);
    found.unwrap()["state"]["status"].as_str().unwrap().to_owned()
}

/// All that must not change when nothing is done.
fn everything(site: &Site) -> (Value, Value, Value, Option<String>) {
    let pairs = site.json(&["pair", "status"]);
    let (records, runs) = (site.json(&["catalog", "list"]), site.json(&["runs"]));
    (pairs, records, runs, fs::read_to_string(site.path("mirrors/0/pair.json")).ok())
}

/// What each verb is in a status: the status that follows, or that it is rejected.
fn predicted(site: &Site, wanted: [Option<&str>; 5]) {
    let before = everything(site);
    let verbs = ["create", "resync", "split", "restore", "delete"];
    for (verb, wanted) in verbs.into_iter().zip(wanted) {
        let output = site.output(&["pair", verb, FIRST, "--dry-run", "--json"]);
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        let row = plan["rows"].as_array().unwrap().last().unwrap();
        assert_eq!(row["now"].as_str(), before.0[0]["state"]["status"].as_str(), "{plan}");
        assert_eq!(row["then"].as_str(), Some(wanted.unwrap_or("rejected")), "{verb}: {plan}");
        assert_eq!(output.status.code(), Some(if wanted.is_some() { 0 } else { 4 }), "{verb}");
        if wanted.is_none() {
            let said = site.fail(&["pair", verb, FIRST, "--yes"], 4);
            assert!(said.contains(&format!("{verb} is rejected")) && said.contains("help: "), "{said}");
        }
    }
    assert!(site.fail(&["pair", "swap", FIRST], 4).contains("a mirror pair has no swap"));
    assert_eq!(everything(site), before, "nothing was done");
}

#[test]
fn each_verb_does_what_was_predicted_and_a_rejected_one_nothing() {
    let site = Site::small();
    let (pair, psus, smpl) = (Some("PAIR"), Some("PSUS"), Some("SMPL"));
    predicted(&site, [pair, pair, None, None, smpl]);
    let said = site.succeed(&["pair", "create", FIRST]);
    assert!(said.starts_with("VG01,vol01: create: "), "{said}");
    assert_same_tree(&site.path("documents"), &site.path("mirrors/0/data"));
    predicted(&site, [None, pair, psus, None, smpl]);
    fs::write(site.path("documents/later"), "later").unwrap();
    site.succeed(&["pair", "resync", FIRST]);
    assert_same_tree(&site.path("documents"), &site.path("mirrors/0/data"));
    let shown = site.succeed(&["pair", "split", FIRST, "--dry-run"]);
    assert!(shown.contains("no backup describes the image"), "{shown}");
    site.succeed(&["pair", "split", FIRST]);
    predicted(&site, [None, pair, None, psus, smpl]);

    let kept = site.path("kept");
    copy_tree(&site.path("documents"), &kept);
    fs::write(site.path("documents/a.txt"), "ruined").unwrap();
    let said = site.fail(&["pair", "restore", FIRST], 4);
    assert!(said.contains("is overwritten by the image") && said.contains("--yes"), "{said}");
    site.succeed(&["pair", "restore", FIRST, "--yes"]);
    assert_same_tree(&kept, &site.path("documents"));
    assert_eq!(status(&site, FIRST), "PSUS");

    let said = site.fail(&["pair", "resync", FIRST], 4);
    assert!(said.contains("its image is overwritten"), "{said}");
    site.succeed(&["pair", "resync", FIRST, "--yes"]);
    site.succeed(&["pair", "delete", FIRST, "--yes"]);
    assert!(!site.path("mirrors/0/data").exists());
    predicted(&site, [pair, pair, None, None, smpl]);
    // They are runs like any other.
    let run = &site.json(&["runs"])[0];
    assert_eq!((&run["purpose"], &run["status"]), (&"pair_delete".into(), &"done".into()));
    let shown = site.succeed(&["show", "pair-delete"]);
    assert!(shown.contains("delete-documents") && shown.contains(FIRST), "{shown}");
    site.assert_clean();
}

#[test]
fn pairs_are_named_by_group_device_group_or_volume() {
    let site = Site::small();
    assert!(site.fail(&["pair", "create", "documents"], 2).contains("several pairs of volume"));
    site.succeed(&["pair", "create", "documents", "--generation", "1"]);
    assert_eq!((status(&site, FIRST).as_str(), status(&site, "VG02,vol01").as_str()), ("SMPL", "PAIR"));
    site.succeed(&["pair", "create", "VG01"]);
    assert_eq!(status(&site, FIRST), "PAIR");
    assert!(site.fail(&["pair", "split", "VG0l"], 2).contains("did you mean 'VG01'?"));
    assert!(site.fail(&["pair", "split", "documents", "--generation", "2"], 2).contains("no generation 2"));
}

/// The records of a host that are on the first pair.
fn on_first(site: &Site, host: &str) -> Vec<Value> {
    let mut records = site.catalog(host);
    records
        .retain(|record| record["medium"]["medium"] == "disk" && record["images"][0]["copy_group"] == FIRST);
    records
}

#[test]
fn what_overwrites_an_image_evicts_its_records_on_every_host() {
    for verb in ["resync", "delete"] {
        let site = Site::small();
        site.succeed(&["run", "documents", "--generation", "0"]);
        assert_eq!((on_first(&site, "fileserver").len(), on_first(&site, "backupserver").len()), (1, 1));
        let before = everything(&site);
        let said = site.fail(&["pair", verb, FIRST], 4);
        assert!(said.contains("evicts backup fileserver:0000000001") && said.contains("on tape"), "{said}");
        let shown = site.succeed(&["pair", verb, FIRST, "--dry-run"]);
        assert!(shown.contains("evicts backup fileserver:0000000001"), "{shown}");
        assert_eq!(everything(&site), before);

        site.succeed(&["pair", verb, FIRST, "--yes"]);
        assert!(on_first(&site, "fileserver").is_empty());
        let left = on_first(&site, "backupserver");
        assert!(left.iter().all(|record| record["standing"]["standing"] == "stale"), "{left:?}");
        site.assert_clean();
        // A pair that was dissolved is made again by the next backup that chooses it.
        site.succeed(&["run", "documents", "--generation", "0"]);
        assert_same_tree(&site.path("documents"), &site.path("mirrors/0/data"));
    }
}

#[test]
fn a_lock_or_a_missing_tape_keeps_a_pair_from_every_verb() {
    let site = Site::small();
    let wanted = "
steps:
  resync: { resync: { volume: documents }, host: fileserver }
  split: { split: { volume: documents }, host: fileserver, needs: [resync] }
  record: { record: { volumes: [documents], mode: online, tape_wanted: true }, host: fileserver, needs: [split] }
";
    fs::write(site.path("operations/disk.yaml"), wanted).unwrap();
    site.succeed(&["run", "disk", "--generation", "0"]);
    let refused = |because: &str| {
        let before = everything(&site);
        for verb in ["resync", "restore", "delete"] {
            let said = site.fail(&["pair", verb, FIRST, "--yes"], 4);
            assert!(said.contains(because), "{verb}: {said}");
        }
        assert_eq!(everything(&site), before);
    };
    refused("wanted on tape and is not there yet");
    site.succeed(&["catalog", "waive", "fileserver:1"]);
    site.succeed(&["catalog", "lock", "fileserver:1"]);
    refused("is locked with backup 0000000001 of fileserver by an operator");
    let shown = site.succeed(&["pair", "status"]);
    assert!(shown.contains("locked by an operator on fileserver since "), "{shown}");
    site.succeed(&["catalog", "unlock", "fileserver:1"]);
    fs::write(site.path("documents/new"), "new").unwrap();
    site.succeed(&["pair", "restore", FIRST, "--yes"]);
    assert_same_tree(&site.path("documents"), &site.path("mirrors/0/data"));
    assert_eq!(on_first(&site, "fileserver").len(), 1, "a restore leaves the image, and its record");
}

#[test]
fn verbs_wait_for_the_runs_that_have_the_pair() {
    let site = waiting_site("after_thaw");
    let mut run = site.spawn(&["run", "documents", "--generation", "0"]);
    while !site.path("began").exists() {
        std::thread::yield_now();
    }
    let shown = site.succeed(&["pair", "status"]);
    assert!(shown.contains("held by run documents-"), "{shown}");
    site.fail(&["pair", "create", "VG02", "--no-wait"], 5);
    let create = site.spawn(&["pair", "create", "VG02"]);
    let waiting = site.spawn(&["pair", "wait", "VG02", "--status", "PAIR", "--interval", "100ms"]);
    fs::write(site.path("go"), "").unwrap();
    assert!(run.wait().unwrap().success());
    assert!(create.wait_with_output().unwrap().status.success());
    let waited = waiting.wait_with_output().unwrap();
    assert!(waited.status.success());
    assert_eq!(String::from_utf8(waited.stdout).unwrap(), "VG02,vol01: PAIR\n");
}

#[test]
fn waiting_ends_at_its_limit_and_names_the_status() {
    let site = Site::small();
    site.succeed(&["pair", "create", FIRST]);
    site.succeed(&["pair", "wait", FIRST, "--status", "pair"]);
    let said = site.fail(&["pair", "wait", FIRST, "--status", "SSUS", "--timeout", "1ms"], 1);
    assert!(said.contains("after 1ms VG01,vol01 is PAIR, not PSUS"), "{said}");
    assert!(site.fail(&["pair", "wait", FIRST, "--status", "SPLIT"], 2).contains("it is one of SMPL"));
    site.fail(&["pair", "wait", FIRST, "--status", "PAIR", "--timeout", "soon"], 2);
}

#[test]
fn a_group_whose_members_differ_is_told_by_the_rule_of_the_field() {
    let text = TWO_PAIRS.replace("path: documents }", "path: all/documents }").replace(
        "libraries:",
        r#"  pictures:
    driver: directory
    primary: { host: fileserver, path: all/pictures }
    pairs:
      - { copy_group: "VG01,vol02", secondary: { host: backupserver, path: mirrors/2 } }
libraries:"#,
    );
    let site = Site::new(&text, &[("documents", DOCUMENTS)]);
    small_tree(&site.path("all/documents"));
    small_tree(&site.path("all/pictures"));
    site.succeed(&["pair", "create", FIRST]);
    let listed = |wanted: &str| {
        let shown = site.succeed(&["pair", "status", "--diff"]);
        assert!(shown.contains(wanted), "{wanted}: {shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    };
    listed("group VG01 of 2 devices: their statuses do not match");
    assert!(site.fail(&["pair", "split", "VG01"], 4).contains("VG01,vol02 is SMPL"));
    assert_eq!(status(&site, FIRST), "PAIR", "of a group all are done or none is begun");
    site.succeed(&["pair", "create", "VG01,vol02"]);
    listed("group VG01 of 2 devices: PAIR, secondaries PAIR");
    site.succeed(&["pair", "split", FIRST]);
    listed("group VG01 of 2 devices: PSUS, secondaries PAIR");
    listed("holds an image that no backup describes");
    listed("differs by 0 new, 0 changed, 0 removed");
    site.succeed(&["pair", "split", "VG01,vol02"]);
    listed("group VG01 of 2 devices: PSUS, secondaries SSUS");
    let group = &site.json(&["pair", "status"])[0]["group"];
    assert_eq!((&group["devices"], &group["status"]), (&2.into(), &"PSUS".into()), "{group}");
    site.succeed(&["pair", "restore", "VG01", "--yes"]);
    site.succeed(&["pair", "delete", "VG01", "--yes"]);
    assert!(!site.path("mirrors/0/data").exists() && !site.path("mirrors/2/data").exists());
}
