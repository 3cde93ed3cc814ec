//! What `plan` tells of others: who holds a lock or a lease, and since when; and what it refuses before anything changes.

use std::fs;

use crate::{
    hold::waiting_site,
    site::{Site, TWO_PAIRS},
};

#[test]
fn a_plan_says_who_holds_what_it_needs() {
    let site = waiting_site("before");
    let run = site.spawn(&["run", "documents"]);
    while !site.path("began").exists() {
        std::thread::yield_now();
    }
    let plan = site.succeed(&["plan", "documents"]);
    let told = plan.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("waits: volume documents, held by run documents-"), "{plan}");
    assert!(told.contains(" of fileserver since 20"), "{plan}");
    let json = site.json(&["plan", "documents"]);
    let held = &json["waits"][0];
    assert!(held["run"].as_str().unwrap().starts_with("documents-") && held["since"].is_string(), "{json}");
    assert!(json["expected_ms"].is_null(), "it was never done: {json}");
    fs::write(site.path("go"), "").unwrap();
    assert!(run.wait_with_output().unwrap().status.success());
    let plan = site.succeed(&["plan", "documents"]);
    assert!(plan.contains("takes about ") && !plan.contains("waits:"), "{plan}");
    assert!(site.json(&["plan", "documents"])["expected_ms"].as_u64().is_some());
}

#[test]
fn a_plan_says_which_pairs_are_locked_and_since_when() {
    let site = Site::small();
    site.succeed(&["run", "documents", "--generation", "0"]);
    site.succeed(&["catalog", "lock", "--copy-group", "VG01,vol01"]);
    let plan = site.succeed(&["plan", "documents"]);
    let told = plan.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("kept: VG01,vol01 is locked with backup"), "{plan}");
    assert!(told.contains("by an operator, since 20"), "{plan}");
    assert!(plan.lines().all(|line| line.chars().count() <= 80), "{plan}");
    assert_eq!(site.json(&["plan", "documents"])["kept"].as_array().unwrap().len(), 1);
}

#[test]
fn bad_input_is_refused_before_anything_changes() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    let before = (site.json(&["pair", "status"]), site.json(&["catalog", "list"]), site.json(&["runs"]));
    for verb in ["plan", "run"] {
        let said = site.fail(&[verb, "documents", "--generation", "7"], 4);
        assert!(said.contains("there is no generation 7") && said.contains("resplit pair list"), "{said}");
    }
    let said = site.fail(&["pair", "split", "VG01,vol01"], 4);
    assert!(said.contains("split is rejected") && said.contains("resplit pair resync VG01,vol01"), "{said}");
    let after = (site.json(&["pair", "status"]), site.json(&["catalog", "list"]));
    assert_eq!(after, (before.0, before.1));
    // Whatever the driver: a secondary of two pairs is none.
    for driver in ["directory", "image", "btrfs", "cci"] {
        let settings = if driver == "cci" {
            "settings: { instance: \"0\", remote_instance: \"1\" }"
        } else {
            "settings: {}"
        };
        let text = TWO_PAIRS
            .replace("driver: directory", &format!("driver: {driver}\n    {settings}"))
            .replace("mirrors/1", "mirrors/0");
        fs::write(site.path("site.yaml"), text).unwrap();
        for verb in ["check", "plan"] {
            let all: &[&str] = if verb == "check" { &["check"] } else { &["plan", "documents"] };
            let said = site.fail(all, 3);
            assert!(said.contains("give each pair a secondary of its own"), "{driver}: {said}");
        }
    }
    fs::write(site.path("site.yaml"), TWO_PAIRS).unwrap();
}
