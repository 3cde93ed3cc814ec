//! Lines that are cut: what runs there goes on, and is taken up where it was.

use std::{fs, io::Write as _, process::Stdio};

use crate::bed::{Bed, DOCUMENTS, kill, told, wait_for};

/// The operation, with a command on the backup server that begins and waits until it may go on.
fn waiting(bed_hook: &str) -> String {
    format!(
        "{DOCUMENTS}hooks:\n  after: [ {{ argv: [sh, -c, '{bed_hook}'], host: backup, timeout: 10m }} ]\n"
    )
}

const HOOK: &str = "cd \"$PLACE\"; echo x >> began; while [ ! -e go ]; do sleep 0.05; done; echo x >> ended";

fn bed() -> Option<Bed> {
    let bed = Bed::with(", wait: 3s", "")?;
    let place = bed.path("backup", "").display().to_string();
    let text = waiting(&HOOK.replace("\"$PLACE\"", &place));
    for host in ["engine", "source", "backup"] {
        bed.write(host, "operations/documents.yaml", &text);
    }
    Some(bed)
}

fn lines(bed: &Bed, name: &str) -> usize {
    fs::read_to_string(bed.path("backup", name)).map_or(0, |text| text.lines().count())
}

#[test]
fn a_killed_ssh_is_made_anew_and_the_step_goes_on() {
    let Some(bed) = bed() else { return };
    let run = bed
        .command("engine", &["run", "documents"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the command to begin", || lines(&bed, "began") == 1);
    let lines_of_source = || bed.processes("source", &["ssh -T", "--host backup"]);
    let relays = || bed.processes("backup", &["--host backup agent"]);
    // The relay of the operator's own command line is there as well.
    let (first, before) = (lines_of_source(), relays());
    assert_eq!(first.len(), 1, "one line carries everything");
    for pid in &first {
        kill(*pid, "KILL");
    }
    wait_for("another line", || lines_of_source().iter().any(|pid| !first.contains(pid)));
    wait_for("the old relay to end", || before.iter().any(|pid| !relays().contains(pid)));
    wait_for("no more relays than lines", || relays().len() <= before.len());
    fs::File::create(bed.path("backup", "go")).unwrap().write_all(b"x").unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!((lines(&bed, "began"), lines(&bed, "ended")), (1, 1), "it was not repeated");
    assert_eq!(bed.ledger("backup"), ["1/1 disk", "2/1 tape"]);
}

#[test]
fn a_host_out_of_reach_parks_the_run_which_goes_on_when_it_is_back() {
    let Some(bed) = bed() else { return };
    let run = bed
        .command("engine", &["run", "documents"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the command to begin", || lines(&bed, "began") == 1);
    bed.cut("source", "backup");
    let output = run.wait_with_output().unwrap();
    let said = told(&output);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("host 'backup' cannot be reached") && said.contains("redo"), "{said}");
    // The command there goes on, whoever asked for it.
    fs::write(bed.path("backup", "go"), "x").unwrap();
    wait_for("the command to end", || lines(&bed, "ended") == 1);
    bed.mend("source", "backup");
    let runs = bed.json(&["runs", "--open"]);
    let name = runs[0]["run"].as_str().unwrap().to_owned();
    let detail = bed.json(&["show", &name]);
    let questions = detail["status"]["questions"].as_object().or_else(|| detail["questions"].as_object());
    let step = questions.unwrap_or_else(|| panic!("{detail}")).keys().next().unwrap().clone();
    bed.succeed(&["answer", &name, &step, "redo"]);
    wait_for("the run to end", || bed.json(&["runs", "--open"]) == serde_json::json!([]));
    assert_eq!((lines(&bed, "began"), lines(&bed, "ended")), (1, 1), "it was not repeated");
    assert_eq!(bed.ledger("source"), ["1/1 disk"]);
}

#[test]
fn a_killed_engine_there_is_started_again_and_probed() {
    let Some(bed) = bed() else { return };
    let run = bed
        .command("engine", &["run", "documents"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the command to begin", || lines(&bed, "began") == 1);
    bed.kill_engines("backup");
    fs::write(bed.path("backup", "go"), "x").unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!((lines(&bed, "began"), lines(&bed, "ended")), (1, 1), "it was attached to");
}

#[test]
fn a_killed_coordinator_attaches_again_to_what_runs_elsewhere() {
    let Some(bed) = bed() else { return };
    let run = bed
        .command("engine", &["run", "documents"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the command to begin", || lines(&bed, "began") == 1);
    bed.kill_engines("source");
    let output = run.wait_with_output().unwrap();
    assert_ne!(output.status.code(), Some(0), "{}", told(&output));
    // Its lines end with it, and what they relayed to does not.
    wait_for("its relay to end", || bed.processes("backup", &["--host backup agent"]).is_empty());
    let open = bed.json(&["runs", "--open"]);
    assert_eq!(open.as_array().map(Vec::len), Some(1), "{open}");
    fs::write(bed.path("backup", "go"), "x").unwrap();
    wait_for("the run to end", || bed.json(&["runs", "--open"]) == serde_json::json!([]));
    let runs = bed.json(&["runs"]);
    assert_eq!(runs[0]["status"], "done", "{runs}");
    assert_eq!((lines(&bed, "began"), lines(&bed, "ended")), (1, 1), "it was attached to");
    assert_eq!(bed.ledger("backup"), ["1/1 disk", "2/1 tape"]);
}
