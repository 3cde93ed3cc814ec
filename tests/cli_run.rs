//! The verbs that ask engines, on a site of one host.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{resplit, run};

/// A new site as `init` writes it, and its directory.
fn site() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let _ = run(home.path(), &["init", "site"]).with(0);
    let directory = home.path().join("site");
    (home, directory)
}

/// Gives the operation a command that runs before anything else.
fn with_hook(directory: &Path, argv: &str) {
    let file = directory.join("operations/example.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\nhooks: {{ before: [{{ argv: {argv} }}] }}\n")).unwrap();
}

fn json(directory: &Path, arguments: &[&str]) -> Value {
    let ended = run(directory, &[arguments, &["--json"]].concat()).with(0);
    serde_json::from_str(&ended.out).unwrap()
}

#[test]
fn a_backup_is_planned_made_shown_and_restored() {
    let (_home, site) = site();
    let planned = run(&site, &["plan", "example"]).with(0).out;
    assert!(planned.contains("resync") && planned.contains("SMPL -> PAIR"), "{planned}");
    assert!(planned.lines().all(|line| line.chars().count() <= 80), "{planned}");

    let made = run(&site, &["run", "example"]).with(0);
    assert!(made.out.starts_with("backup 0000000001 of example"), "{made:#?}");
    assert!(made.err.lines().any(|line| line.contains("split on here: done")), "{made:#?}");

    assert_eq!(json(&site, &["catalog", "list"])[0]["id"], "0000000001");
    let status = json(&site, &["status"]);
    assert_eq!(
        (&status[0]["operation"], &status[0]["last_backup"]["disk"]),
        (&"example".into(), &true.into())
    );
    let pairs = json(&site, &["pair", "status"]);
    assert_eq!((&pairs[0]["record"]["id"], &pairs[1]["record"]), (&"0000000001".into(), &Value::Null));
    for run_name in ["example", "latest"] {
        assert_eq!(json(&site, &["show", run_name])["status"], "done");
    }
    let log = run(&site, &["logs", "example"]).with(0).out;
    assert!(log.lines().next().unwrap().contains("accepted: 7 steps"), "{log}");

    let file = site.join("example/welcome.txt");
    let original = fs::read_to_string(&file).unwrap();
    fs::write(&file, "newer").unwrap();
    let asked = run(&site, &["restore", "example"]).with(4);
    assert!(asked.err.contains("--yes") && asked.err.contains("example"), "{asked:#?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "newer");
    let _ = run(&site, &["restore", "example", "--path", "welcome.txt", "--to", "out"]).with(0);
    assert_eq!(fs::read_to_string(site.join("out/welcome.txt")).unwrap(), original);
    assert_eq!(fs::read_to_string(&file).unwrap(), "newer");
    let _ = run(&site, &["restore", "example", "--yes"]).with(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), original);
}

#[test]
fn events_are_lines_of_json_and_the_result_comes_last() {
    let (_home, site) = site();
    let ended = run(&site, &["run", "example", "--json"]).with(0);
    let events: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["summary"]["status"]), (&"ended".into(), &"done".into()));
    assert!(events.iter().all(|event| event["time"].as_str().unwrap().ends_with('Z')), "{events:#?}");
    assert_eq!(ended.err, "");
}

#[test]
fn a_run_that_cannot_succeed_is_refused_before_anything_is_touched() {
    let (_home, site) = site();
    for _ in 0..2 {
        let _ = run(&site, &["run", "example"]).with(0);
    }
    for id in ["1", "here:0000000002"] {
        let _ = run(&site, &["catalog", "lock", id]).with(0);
    }
    let planned = run(&site, &["plan", "example"]).with(4);
    assert!(planned.err.starts_with("refused: ") && planned.err.contains("locked"), "{planned:#?}");
    let refused = run(&site, &["run", "example"]).with(4);
    assert!(refused.err.contains("nothing was touched"), "{refused:#?}");
    let status = run(&site, &["status"]).with(0).out;
    assert!(status.contains("last run refused, locked"), "{status}");
    let _ = run(&site, &["catalog", "unlock", "1"]).with(0);
    let made = run(&site, &["run", "example"]).with(0);
    assert!(made.out.starts_with("backup 0000000003 of example"), "{made:#?}");
    let _ = run(&site, &["catalog", "show", "1"]).with(2);
}

#[test]
fn a_step_that_fails_is_told_with_the_next_command() {
    let (_home, site) = site();
    with_hook(&site, "[\"false\"]");
    let failed = run(&site, &["run", "example"]).with(1);
    assert!(failed.err.contains("next: resplit resume example-"), "{failed:#?}");
    assert!(failed.out.is_empty(), "{failed:#?}");
    let _ = run(&site, &["resume", "latest"]).with(1);
    let status = run(&site, &["status"]).with(0).out;
    assert!(status.contains("last run failed") && status.contains("next: resplit resume"), "{status}");
}

#[test]
fn ctrl_c_cancels_safely_and_resume_takes_the_run_up_again() {
    let (_home, site) = site();
    with_hook(&site, "[sleep, \"3\"]");
    let mut child =
        resplit(&site, &["run", "example"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("bound") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "the run ended before it was bound");
    }
    let busy = run(&site, &["run", "example", "--no-wait"]).with(5);
    assert!(busy.err.contains("example"), "{busy:#?}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut rest = String::new();
    let _ = said.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("cancelling at the next safe point") && rest.contains("was cancelled"), "{rest}");
    let runs = json(&site, &["runs"]);
    let cancelled = runs.as_array().unwrap().iter().find(|run| run["status"] == "cancelled").unwrap();
    let name = cancelled["run"].as_str().unwrap();
    let resumed = run(&site, &["resume", name]).with(0);
    assert!(resumed.out.starts_with("backup 0000000001 of example"), "{resumed:#?}");
    assert!(!resumed.err.contains("accepted"), "what was told before is not told again: {resumed:#?}");
}

#[test]
fn a_detached_run_is_cancelled_by_its_name() {
    let (_home, site) = site();
    with_hook(&site, "[sleep, \"30\"]");
    let name = run(&site, &["run", "example", "--detach"]).with(0).out.trim().to_owned();
    assert_eq!(json(&site, &["runs", "--open"])[0]["run"], name.as_str());
    let _ = run(&site, &["cancel", &name[..name.len() - 1]]).with(0);
    let _ = run(&site, &["logs", "-f", &name]).with(0);
    assert_eq!(json(&site, &["show", &name])["status"], "cancelled");
    assert_eq!(json(&site, &["runs", "--open"]), Value::Array(Vec::new()));
}
