//! Rows of every version that ever was: each has a file of samples, a stored value a line, which must load for ever.
//! `RESPLIT_WRITE_SAMPLES=1 cargo test -p resplit-engine samples` writes the file of a new version from the samples of
//! the one before it; values that are new in it are added by hand.

use std::{collections::BTreeSet, fs, path::PathBuf};

use resplit_operations::{plan::PlanStep, record::Record};

use super::{
    version::{Row, Stored, Versioned, known},
    *,
};
use crate::{
    obligations::Duty,
    protocol::Lease,
    store::{Batch, Store, StoreError, Table},
};

/// A stored value read, and written in the form of today.
fn again<T: Row>(stored: &str) -> Result<String, serde_json::Error> {
    let Stored(row) = serde_json::from_str::<Stored<T>>(stored)?;
    serde_json::to_string(&Versioned { v: T::VERSION, row: &row })
}

/// The same, of a kind.
fn of_kind(kind: &str, stored: &str) -> Result<String, serde_json::Error> {
    match kind {
        RunRow::KIND => again::<RunRow>(stored),
        PlanRow::KIND => again::<PlanRow>(stored),
        PlanStep::KIND => again::<PlanStep>(stored),
        StepRow::KIND => again::<StepRow>(stored),
        ServedRow::KIND => again::<ServedRow>(stored),
        Record::KIND => again::<Record>(stored),
        Lease::KIND => again::<Lease>(stored),
        Duty::KIND => again::<Duty>(stored),
        NextNumber::KIND => again::<NextNumber>(stored),
        TookMs::KIND => again::<TookMs>(stored),
        HostPlace::KIND => again::<HostPlace>(stored),
        LibraryPlace::KIND => again::<LibraryPlace>(stored),
        other => panic!("there is no kind {other}"),
    }
}

fn samples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/rows/samples")
}

fn file(kind: &str, version: u32) -> PathBuf {
    samples().join(format!("{kind}-{version}.jsonl"))
}

/// The kind and the version of each file of samples.
fn files() -> BTreeSet<(String, u32)> {
    let names =
        fs::read_dir(samples()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| {
            let (kind, version) = name.strip_suffix(".jsonl").and_then(|stem| stem.rsplit_once('-')).unwrap();
            (kind.to_owned(), version.parse().unwrap())
        })
        .collect()
}

#[test]
fn samples_of_every_version_load() {
    for (kind, version) in files() {
        let text = fs::read_to_string(file(&kind, version)).unwrap();
        assert!(!text.is_empty(), "{kind}-{version} has no sample");
        for line in text.lines() {
            let written =
                of_kind(&kind, line).unwrap_or_else(|error| panic!("{kind}-{version}: {error}: {line}"));
            assert_eq!(of_kind(&kind, &written).unwrap(), written, "{kind}-{version}: {line}");
        }
    }
}

#[test]
fn samples_of_the_present_versions_are_what_is_written_today() {
    for (kind, version) in known() {
        let place = file(&kind, version);
        if std::env::var_os("RESPLIT_WRITE_SAMPLES").is_some() && !place.exists() {
            let before = fs::read_to_string(file(&kind, version - 1)).unwrap();
            let lines: Vec<String> =
                before.lines().map(|line| of_kind(&kind, line).unwrap() + "\n").collect();
            fs::write(&place, lines.concat()).unwrap();
        }
        let text = fs::read_to_string(&place).unwrap_or_else(|error| {
            panic!("{}: {error}: a new version needs samples, see the top of this file", place.display())
        });
        for line in text.lines() {
            assert_eq!(
                of_kind(&kind, line).unwrap(),
                line,
                "{kind} rows of version {version} are not written as they were: raise the version, and see the top of \
                 this file"
            );
        }
    }
    let unknown: Vec<_> =
        files().into_iter().filter(|(kind, version)| known().get(kind) < Some(version)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn samples_show_every_status() {
    let text = fs::read_to_string(file(StepRow::KIND, StepRow::VERSION)).unwrap();
    let words: BTreeSet<&str> = text
        .lines()
        .map(|line| serde_json::from_str::<Stored<StepRow>>(line).unwrap().0.state.word())
        .collect();
    let all = ["done", "failed", "parked", "retrying", "skipped", "started", "waiting"];
    assert_eq!(words.into_iter().collect::<Vec<_>>(), all);
    let text = fs::read_to_string(file(RunRow::KIND, RunRow::VERSION)).unwrap();
    let words: BTreeSet<&str> = text
        .lines()
        .map(|line| serde_json::from_str::<Stored<RunRow>>(line).unwrap().0.status.word())
        .collect();
    let all = ["cancelled", "done", "failed", "parked", "refused", "running", "waiting"];
    assert_eq!(words.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn what_was_stored_before_there_were_versions_keeps_its_meaning() {
    let read = |text: &str| serde_json::from_str::<Stored<StepRow>>(text).unwrap().0;
    let row = read(r#"{"status":"waiting","attempts":2,"again":"it was not started"}"#);
    let again = Some(Again::RanAgain { because: "it was not started".to_owned() });
    assert_eq!(row, StepRow { attempts: 2, again, state: StepState::Waiting });
    let failed = r#"{"status":"failed","at":"2026-11-20T00:00:00Z","failure":{"class":"permanent","message":"no"},"attempts":1,"intent":{"reserved":"0000000001"}}"#;
    assert!(
        matches!(read(failed).state, StepState::Failed { .. }),
        "an intent that outlived its outcome is gone"
    );
    let next = serde_json::from_str::<Stored<NextNumber>>("7").unwrap().0;
    assert_eq!(next, NextNumber(7));
}

#[test]
fn a_row_of_a_newer_resplit_is_refused_and_said_to_be_one() {
    let newer = format!(r#"{{"v":{},"row":{{"unheard":"of"}}}}"#, StepRow::VERSION + 1);
    let error = of_kind(StepRow::KIND, &newer).unwrap_err().to_string();
    assert!(error.contains("written by a newer resplit"), "{error}");
}

#[test]
fn a_store_of_a_newer_resplit_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(directory.path()).unwrap().0;
    let store = open();
    formats::check(&store).unwrap();
    formats::check(&store).unwrap();
    for (kind, newer) in [("step", StepRow::VERSION + 1), ("schedule", 1)] {
        let mut noted = known();
        let _ = noted.insert(kind.to_owned(), newer);
        let mut batch = Batch::default();
        batch.put(Table::Meta, "formats", &noted).unwrap();
        let before = store.commit(batch).unwrap();
        let error = formats::check(&store).unwrap_err();
        assert!(matches!(&error, StoreError::Newer { kind: of, found, .. } if of == kind && *found == newer));
        assert!(error.to_string().contains("written by a newer resplit"), "{error}");
        let mut batch = Batch::default();
        batch.delete(Table::Meta, "nothing");
        assert_eq!(store.commit(batch).unwrap(), before + 1, "the refusal wrote nothing");
    }
}
