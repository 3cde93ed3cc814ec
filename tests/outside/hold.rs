//! Engines that are started to hold: interrupted runs are looked at first, and go on when that is said.

use std::fs;

use serde_json::Value;

use crate::site::{DOCUMENTS, Site, told};

/// A site whose operation waits in a hook until `go` is there; the hook leaves `began`.
pub(crate) fn waiting_site(stage: &str) -> Site {
    let site = Site::small();
    let hook = format!(
        "hooks: {{ {stage}: [ {{ argv: [sh, -c, 'echo x >> {0}/began; while [ ! -e {0}/go ]; do sleep 0.05; done'], timeout: 60s }} ] }}\n",
        site.path(".").display()
    );
    fs::write(site.path("operations/documents.yaml"), format!("{DOCUMENTS}{hook}")).unwrap();
    site
}

/// Starts the operation, and kills its engines as soon as its hook runs.
pub(crate) fn interrupt(site: &Site) {
    let run = site.spawn(&["run", "documents"]);
    while !site.path("began").exists() {
        std::thread::yield_now();
    }
    site.kill_engines();
    assert!(!run.wait_with_output().unwrap().status.success());
}

/// A step of a run as it is shown.
pub(crate) fn step<'r>(run: &'r Value, kind: &str) -> &'r Value {
    run["step_list"].as_array().unwrap().iter().find(|step| step["kind"] == kind).unwrap()
}

#[test]
fn what_is_held_is_shown_and_goes_on_when_it_is_resumed() {
    let site = waiting_site("before");
    interrupt(&site);
    let said = site.succeed(&["--hold", "status"]);
    assert!(said.contains("held") && said.contains("resplit resume documents-"), "{said}");
    assert_eq!(site.json(&["status"])[0]["held"].as_array().unwrap().len(), 1);
    let shown = site.json(&["show", "latest"]);
    assert_eq!((&shown["held"], &shown["status"]), (&true.into(), &"running".into()));
    let command = step(&shown, "command");
    assert_eq!(command["recovery"]["recovery"], "wait_for", "{command}");
    assert!(command["recovery"]["because"].as_str().unwrap().contains("runs as process"), "{command}");
    assert_eq!(step(&shown, "resync")["status"], "waiting");
    let said = site.succeed(&["show", "latest"]);
    assert!(said.contains("waited for: it runs as process") && said.contains("resplit resume"), "{said}");
    // It stays as it is until somebody says so, and another run waits for it.
    site.fail(&["run", "documents", "--no-wait"], 5);
    assert_eq!(step(&site.json(&["show", "latest"]), "command")["status"], "started");
    fs::write(site.path("go"), "").unwrap();
    site.succeed(&["resume", "latest"]);
    let shown = site.json(&["show", "latest"]);
    assert_eq!((&shown["held"], &shown["status"]), (&Value::Null, &"done".into()), "{shown}");
    assert!(step(&shown, "command")["again"]["because"].as_str().unwrap().contains("it "), "{shown}");
    assert!(site.succeed(&["show", "latest"]).contains("because it "), "the reason is durable");
    assert_eq!(fs::read_to_string(site.path("began")).unwrap(), "x\n", "it ran once");
    site.assert_clean();
}

#[test]
fn what_is_held_can_be_cancelled() {
    let site = waiting_site("before");
    interrupt(&site);
    site.succeed(&["--hold", "status"]);
    site.succeed(&["cancel", "latest"]);
    site.settle();
    assert_eq!(site.json(&["runs"])[0]["status"], "cancelled");
    site.assert_clean();
}

#[test]
fn an_engine_that_has_taken_up_its_runs_cannot_be_asked_to_hold_them() {
    let site = Site::small();
    site.succeed(&["status"]);
    let said = site.fail(&["--hold", "status"], 5);
    assert!(said.contains("at work already"), "{said}");
}

#[test]
fn a_step_on_another_host_is_asked_about_there() {
    let site = Site::small();
    let hook = format!(
        "hooks: {{ after: [ {{ host: backupserver, argv: [sh, -c, 'echo x >> {0}/began; while [ ! -e {0}/go ]; do sleep 0.05; done'], timeout: 60s }} ] }}\n",
        site.path(".").display()
    );
    fs::write(site.path("operations/documents.yaml"), format!("{DOCUMENTS}{hook}")).unwrap();
    interrupt(&site);
    let output = site.output(&["--hold", "show", "latest", "--json"]);
    assert!(output.status.success(), "{}", told(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let command = step(&shown, "command");
    assert_eq!(command["recovery"]["recovery"], "wait_for", "{command}");
    fs::write(site.path("go"), "").unwrap();
    site.succeed(&["resume", "latest"]);
    let shown = site.json(&["show", "latest"]);
    assert_eq!(shown["status"], "done", "{shown}");
    assert!(step(&shown, "command")["again"]["because"].is_string(), "{shown}");
}
