//! A plan that was shown, kept and accepted: exactly that runs, or nothing.

use std::fs;

use crate::site::Site;

fn accept(site: &Site, name: &str, arguments: &[&str]) -> String {
    let file = site.path(name).display().to_string();
    let mut all = vec!["plan", "documents", "--out", &file];
    all.extend(arguments);
    site.succeed(&all);
    file
}

#[test]
fn an_accepted_plan_runs_once_and_then_means_something_else() {
    let site = Site::small();
    let file = accept(&site, "accepted.json", &[]);
    assert!(site.fail(&["plan", "documents", "--out", &file], 2).contains("is there already"));
    site.succeed(&["run", "--plan", &file]);
    // The other generation is the least recently backed up now.
    let said = site.fail(&["run", "--plan", &file], 4);
    assert!(said.contains("not what would be done now"), "{said}");
    assert!(said.contains("VG01,vol01") && said.contains("VG02,vol01") && said.contains("--out"), "{said}");
    assert_eq!(site.catalog("fileserver").len(), 1, "nothing was done");
    let again = accept(&site, "again.json", &[]);
    site.succeed(&["run", "--plan", &again]);
    assert_eq!(site.catalog("fileserver").len(), 2);
}

#[test]
fn a_restore_is_accepted_too_and_a_newer_backup_of_its_pair_undoes_that() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    let shown = site.succeed(&["plan", "documents", "--restore", "newest"]);
    assert!(shown.contains("restores backup") && shown.contains("overwrites"), "{shown}");
    fs::write(site.path("documents/a.txt"), "newer").unwrap();
    let file = accept(&site, "restore.json", &["--restore", "fileserver:0000000001"]);
    site.succeed(&["run", "--plan", &file]);
    assert_eq!(fs::read_to_string(site.path("documents/a.txt")).unwrap(), "one");
    site.succeed(&["run", "documents", "--generation", "0"]);
    let said = site.fail(&["run", "--plan", &file], 4);
    assert!(said.contains("0000000001"), "{said}");
}

#[test]
fn what_differs_is_measured_when_asked() {
    let site = Site::small();
    let first = site.succeed(&["plan", "documents", "--diff"]);
    assert!(first.contains("differs by"), "{first}");
    site.succeed(&["run", "documents", "--generation", "0"]);
    fs::write(site.path("documents/a.txt"), "twelve bytes").unwrap();
    fs::write(site.path("documents/new"), "five!").unwrap();
    fs::remove_file(site.path("documents/reports/b.txt")).unwrap();
    let shown = site.succeed(&["plan", "documents", "--generation", "0", "--diff"]);
    assert!(shown.contains("1 new, ") && shown.contains("1 removed: "), "{shown}");
    assert!(!site.succeed(&["plan", "documents", "--generation", "0"]).contains("differs by"));
    assert!(
        site.fail(&["plan", "documents", "--diff", "--format", "svg"], 2)
            .contains("a drawing asks no engine")
    );
}

#[test]
fn a_file_that_is_no_accepted_plan_is_told_with_its_place() {
    let site = Site::small();
    let file = site.path("plan.json").display().to_string();
    assert!(site.fail(&["run", "--plan", &file], 2).contains("cannot read"));
    fs::write(&file, "{\n  \"resplit\": \"accepted plan\",\n  \"format\": \"one\"\n}").unwrap();
    let said = site.fail(&["run", "--plan", &file], 3);
    assert!(said.contains("plan.json:3:") && said.contains("resplit plan OPERATION --out FILE"), "{said}");
    let good = fs::read_to_string(accept(&site, "good.json", &[])).unwrap();
    fs::write(&file, good.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert!(site.fail(&["run", "--plan", &file], 3).contains("format 2"));
    // A plan that was changed by hand is another plan.
    fs::write(&file, good.replace("\"coordinator\": \"fileserver\"", "\"coordinator\": \"elsewhere\""))
        .unwrap();
    let output = site.output(&["run", "--plan", &file]);
    assert!(!output.status.success());
    assert!(site.catalog("fileserver").is_empty());
}
