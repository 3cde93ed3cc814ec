//! One fault: what the program says to it, and what is left when the disk is well again.

use fastrand::Rng;
use resplit_test_disk::{Error, Fault, Kind};

use crate::{
    bed::Bed,
    site::{assert_same_tree, told},
    world::{assert_sound, json, settle},
};

/// How a run ended under a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ended {
    Done,
    Failed,
    Parked,
    Refused,
}

/// What the number of a fault stands for: half of them at any call, half at a call of one kind, somewhere on the way.
fn fault(bed: &Bed, number: u64) -> Fault {
    let seed = blake3::hash(format!("{} {number}", bed.name).as_bytes());
    let mut random = Rng::with_seed(u64::from_le_bytes(seed.as_bytes()[..8].try_into().unwrap()));
    let error = Error::ALL[usize::try_from(number % 3).unwrap()];
    let kinds = Kind::ALL.into_iter().filter(|kind| error.suits(*kind, true));
    let kinds: Vec<(Kind, u64)> =
        kinds.map(|kind| (kind, bed.calls_of(kind))).filter(|(_, calls)| *calls > 0).collect();
    let (kind, calls) = kinds[random.usize(..kinds.len())];
    // Files that are only read are opened too: of all calls, these cannot fail with every error.
    let all = kinds.iter().filter(|(kind, _)| *kind != Kind::Open).map(|(_, calls)| calls).sum();
    let (kind, calls) = if random.bool() { (Some(kind), calls) } else { (None, all) };
    Fault { kind, nth: random.u64(1..=calls), error, lasting: random.bool() }
}

/// Tries it. What error was met and how the backup ended; `None` if no call was the one that was to fail.
pub(crate) fn attempt(bed: &Bed, number: u64) -> Option<(&'static str, Ended)> {
    let tapes = on_tape(bed);
    bed.stop();
    let fault = fault(bed, number);
    eprintln!("{}, {number}: {fault:?}", bed.name);
    std::fs::write(bed.site.path("documents/count"), number.to_string()).unwrap();
    bed.disk.inject(fault);
    let run = bed.output(&["run", "documents"]);
    let restore = bed.output(&["restore", "documents", "--from", "tape", "--yes"]);
    bed.stop();
    let met = bed.disk.lift() > 0;

    settle(&bed.site);
    take_up(bed);
    let now = on_tape(bed);
    assert!(now.starts_with(&tapes), "acknowledged tapes are lost: {tapes:?}, now {now:?}");
    if run.status.success() {
        assert!(now.len() > tapes.len(), "a backup that was done is not there: {}", told(&run));
    }
    if !met {
        assert!(run.status.success() && restore.status.success(), "{} {}", told(&run), told(&restore));
    }
    // Of each pair, so that nothing of what failed is left in any.
    bed.succeed(&["run", "documents"]);
    bed.succeed(&["run", "documents"]);
    bed.succeed(&["restore", "documents", "--from", "tape", "--yes"]);
    let newest = json(&bed.site, &["pair", "status"]);
    let newest = newest.as_array().unwrap().iter().max_by_key(|pair| pair["state"]["backed_up"].as_u64());
    let secondary = newest.unwrap()["pair"]["secondary"].as_str().unwrap().to_owned();
    assert_same_tree(&bed.site.path("documents"), &std::path::Path::new(&secondary).join("data"));
    assert_sound(&bed.site, &[("fileserver", "state"), ("backupserver", "state-backup")]);
    let error = match fault.error {
        Error::Io => "EIO",
        Error::NoSpace => "ENOSPC",
        Error::ReadOnly => "EROFS",
    };
    met.then_some((error, ended(&run)))
}

/// What a run's exit code stands for.
fn ended(run: &std::process::Output) -> Ended {
    let said = String::from_utf8_lossy(&run.stderr);
    match run.status.code() {
        Some(0) => Ended::Done,
        Some(1) => Ended::Failed,
        Some(4) if said.contains("parked") => Ended::Parked,
        Some(4) => Ended::Refused,
        _ => panic!("{}", told(run)),
    }
}

/// The backups on tape, by original ID.
fn on_tape(bed: &Bed) -> Vec<String> {
    let records = json(&bed.site, &["catalog", "list"]);
    let on_tape = records.as_array().unwrap().iter().filter(|r| r["medium"]["medium"] == "tape");
    let mut all: Vec<String> = on_tape.map(|r| r["original_id"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

/// Does what an operator does: takes up again what failed, gives up what waits for an answer, and backups that were to go
/// to tape and do not.
fn take_up(bed: &Bed) {
    let runs = json(&bed.site, &["runs", "--limit", "2"]);
    for run in runs.as_array().unwrap().iter().rev().filter(|run| run["status"] == "failed") {
        let _ = bed.output(&["resume", run["run"].as_str().unwrap()]);
    }
    for run in json(&bed.site, &["runs", "--open"]).as_array().unwrap() {
        bed.succeed(&["cancel", run["run"].as_str().unwrap()]);
    }
    settle(&bed.site);
    for record in json(&bed.site, &["catalog", "list"]).as_array().unwrap() {
        if record["tape"]["tape"] == "wanted" && record["medium"]["medium"] == "disk" {
            let backup = format!("{}:{}", record["host"].as_str().unwrap(), record["id"].as_str().unwrap());
            // That of the other host may have been waived with it.
            let _ = bed.output(&["catalog", "waive", &backup]);
        }
    }
}
