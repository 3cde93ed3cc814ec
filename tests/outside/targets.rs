//! Several targets: pairs here and pairs elsewhere, split in one window; each a backup of its own.

use std::fs;

use serde_json::Value;

use crate::{
    hold::step,
    site::{Site, assert_same_tree, small_tree},
};

const SITE: &str = r#"
hosts:
  fileserver:   { connect: local, state: state }
  backupserver: { connect: local, state: state-backup }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: documents }
    pairs:
      - { copy_group: "VG01,vol01", secondary: { host: fileserver, path: mirrors/0 } }
      - { copy_group: "VG02,vol01", secondary: { host: fileserver, path: mirrors/1 } }
    targets:
      remote:
        driver: directory
        pairs: [{ copy_group: "TC01,vol01", secondary: { host: backupserver, path: far/0 } }]
"#;

fn site(targets: &str) -> Site {
    let operation =
        format!("protect: {{ filesystem: documents, volumes: [documents], targets: [{targets}] }}\n");
    let site = Site::new(SITE, &[("documents", &operation)]);
    small_tree(&site.path("documents"));
    site
}

/// The records of a host, as `pair original-id`, sorted.
fn records(site: &Site, host: &str) -> Vec<String> {
    let word = |record: &Value| {
        let group = record["images"][0]["copy_group"].as_str().unwrap();
        format!("{} {}", group.split(',').next().unwrap(), record["original_id"].as_str().unwrap())
    };
    let mut all: Vec<_> =
        site.catalog(host).iter().filter(|r| r["standing"]["standing"] == "current").map(word).collect();
    all.sort_unstable();
    all
}

#[test]
fn both_are_split_at_one_moment_and_neither_costs_a_backup_of_the_other() {
    let site = site("local, remote");
    site.succeed(&["check"]);
    let plan = site.succeed(&["plan", "documents"]);
    assert!(plan.contains("split-documents.remote") && plan.contains("TC01,vol01"), "{plan}");
    let said = site.succeed(&["run", "documents"]);
    assert!(
        said.contains("TC01,vol01 at backupserver") && said.contains("VG01,vol01 at fileserver"),
        "{said}"
    );
    let shown = site.json(&["show", "latest"]);
    assert_eq!(shown["windows"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(step(&shown, "quiesce")["status"], "done");
    let all = site.catalog("fileserver");
    assert_eq!(all.len(), 2);
    assert_eq!(all[0]["started"], all[1]["started"], "one moment");
    for place in ["mirrors/0/data", "far/0/data"] {
        assert_same_tree(&site.path("documents"), &site.path(place));
    }
    assert_eq!(records(&site, "backupserver").len(), 1, "what is there is known there");

    fs::write(site.path("documents/a.txt"), "newer").unwrap();
    site.succeed(&["run", "documents"]);
    let groups: Vec<_> =
        records(&site, "fileserver").iter().map(|text| text.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(groups, ["TC01", "VG01", "VG02"], "the local generations rotate, whatever is elsewhere");
    site.assert_clean();

    // Each is restored by its own ID.
    let remote = records(&site, "fileserver")[0].split(' ').nth(1).unwrap().to_owned();
    fs::write(site.path("documents/a.txt"), "ruined").unwrap();
    let shown = site.succeed(&["plan", "documents", "--restore", &format!("fileserver:{remote}")]);
    assert!(shown.contains("TC01,vol01"), "{shown}");
    site.succeed(&["restore", "documents", "--backup", &format!("fileserver:{remote}"), "--yes"]);
    assert_eq!(fs::read_to_string(site.path("documents/a.txt")).unwrap(), "newer");
    let oldest = records(&site, "fileserver")[1].split(' ').nth(1).unwrap().to_owned();
    site.succeed(&["restore", "documents", "--backup", &format!("fileserver:{oldest}"), "--yes"]);
    assert_eq!(fs::read_to_string(site.path("documents/a.txt")).unwrap(), "one");
    site.assert_clean();
}

#[test]
fn one_target_alone_leaves_the_others_as_they_are() {
    let site = site("remote");
    site.succeed(&["run", "documents"]);
    let statuses: Vec<_> = site.json(&["pair", "status"]).as_array().unwrap().clone();
    let status = |group: &str| {
        let found = statuses.iter().find(|pair| pair["pair"]["copy_group"] == group).unwrap();
        found["state"]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!((status("VG01,vol01"), status("TC01,vol01")), ("SMPL".to_owned(), "PSUS".to_owned()));
    assert_eq!(records(&site, "backupserver").len(), 1);
}

#[test]
fn targets_are_checked() {
    let site = site("local, remot");
    let said = site.fail(&["check"], 3);
    assert!(said.contains("volume 'documents' has no target 'remot'"), "{said}");
    let text = SITE.replace("      remote:", "      local:");
    fs::write(site.path("site.yaml"), text).unwrap();
    assert!(site.fail(&["check"], 3).contains("the target 'local' is the volume's own pairs"));
}

#[test]
fn a_killed_engine_completes_every_target() {
    let site = site("local, remote");
    let operation = site.path("operations/documents.yaml");
    let hook = format!(
        "hooks: {{ after_thaw: [{{ argv: [sh, -c, 'echo x > {0}/began; while [ ! -e {0}/go ]; do sleep 0.05; done'], timeout: 60s }}] }}\n",
        site.path(".").display()
    );
    fs::write(&operation, fs::read_to_string(&operation).unwrap() + &hook).unwrap();
    crate::hold::interrupt(&site);
    fs::write(site.path("go"), "").unwrap();
    site.settle();
    assert_eq!(site.json(&["runs"])[0]["status"], "done");
    assert_eq!((records(&site, "fileserver").len(), records(&site, "backupserver").len()), (2, 1));
    site.assert_clean();
}
