//! Backups that are aborted once their resync has begun: pairs are left as they are, or split, as the operation says.

use std::fs;

use crate::{
    hold::step,
    site::{Site, TWO_PAIRS, small_tree},
};

/// An operation that runs this script between its resync and its window.
fn site(policy: &str, script: &str) -> Site {
    let site = Site::new(TWO_PAIRS, &[]);
    let script = script.replace("HERE", &site.path(".").display().to_string());
    let operation = format!(
        "protect: {{ filesystem: documents, volumes: [documents] }}\nbackup_server: backupserver\n\
         on_abort: {policy}\nhooks: {{ before_quiesce: [{{ argv: [sh, -c, '{script}'], timeout: 60s }}] }}\n"
    );
    fs::write(site.path("operations/documents.yaml"), operation).unwrap();
    small_tree(&site.path("documents"));
    site
}

const WAIT: &str = "echo x > HERE/began; while [ ! -e HERE/go ]; do sleep 0.05; done";

/// The statuses of the pairs, in the order of generations.
fn statuses(site: &Site) -> Vec<String> {
    let pairs = site.json(&["pair", "status"]);
    let status = |pair: &serde_json::Value| pair["state"]["status"].as_str().unwrap().to_owned();
    pairs.as_array().unwrap().iter().map(status).collect()
}

fn wait_for_hook(site: &Site) {
    while !site.path("began").exists() {
        std::thread::yield_now();
    }
}

#[test]
fn a_failed_backup_leaves_its_pair_as_the_operation_says() {
    for (policy, left) in [("as-is", "PAIR"), ("split", "PSUS")] {
        let site = site(policy, "exit 3");
        let said = site.fail(&["run", "documents"], 1);
        assert!(said.contains("exit code 3"), "{said}");
        assert_eq!(statuses(&site), [left, "SMPL"], "{policy}");
        assert!(site.catalog("fileserver").is_empty(), "what is split then is no backup");
        // The pair is overwritten next, as if nothing had been split.
        site.fail(&["run", "documents"], 1);
        assert_eq!(statuses(&site), [left, "SMPL"], "{policy}");
        site.assert_clean();
    }
}

#[test]
fn a_backup_that_ends_splits_nothing_more() {
    let site = site("split", "exit 0");
    let plan = site.succeed(&["plan", "documents"]);
    assert!(plan.contains("abort-split") && plan.contains("fails or is cancelled"), "{plan}");
    site.succeed(&["run", "documents"]);
    let shown = site.json(&["show", "latest"]);
    let summary = step(&shown, "abort-split")["summary"].as_str().unwrap().to_owned();
    assert_eq!(summary, "VG01,vol01 is PSUS: it does not follow its primary");
    site.assert_clean();
}

#[test]
fn a_backup_that_is_cancelled_splits_its_pair() {
    for (policy, left) in [("as-is", "PAIR"), ("split", "PSUS")] {
        let site = site(policy, WAIT);
        let run = site.spawn(&["run", "documents"]);
        wait_for_hook(&site);
        site.succeed(&["cancel", "latest"]);
        assert_eq!(run.wait_with_output().unwrap().status.code(), Some(130));
        assert_eq!(statuses(&site), [left, "SMPL"], "{policy}");
        assert!(site.catalog("fileserver").is_empty());
        site.assert_clean();
    }
}

#[test]
fn an_engine_that_is_killed_before_it_could_split_does_so_when_it_is_back() {
    let site = site("split", WAIT);
    let run = site.spawn(&["run", "documents"]);
    wait_for_hook(&site);
    site.kill_engines();
    let _ = run.wait_with_output().unwrap();
    site.succeed(&["--hold", "status"]);
    assert_eq!(statuses(&site), ["PAIR", "SMPL"]);
    site.succeed(&["cancel", "latest"]);
    site.settle();
    assert_eq!(statuses(&site), ["PSUS", "SMPL"]);
    assert_eq!(site.json(&["runs"])[0]["status"], "cancelled");
    site.assert_clean();
}
