//! Duties that are taken on and discharged.

use std::path::PathBuf;

use super::*;
use crate::testing::Bench;

fn staging(path: PathBuf) -> Obligation {
    Obligation::RemoveStaging { path }
}

/// Takes on duties, one after the other, and makes them durable.
fn take(bench: &Bench, run: &RunId, paths: &[PathBuf]) {
    for path in paths {
        let mut batch = Batch::default();
        put(
            &mut batch,
            run,
            &"step".into(),
            &staging(path.clone()),
            bench.engine.clock.now(),
            bench.engine.next_duty(),
        )
        .unwrap();
        let _ = bench.engine.store.commit(batch).unwrap();
    }
}

#[test]
fn what_was_taken_on_last_is_discharged_first() {
    let bench = Bench::new();
    let run = RunId::from("documents-1");
    // Each is inside the one before: removed in another order, what follows would not be there.
    let outer = bench.directory.path().join("a");
    let paths: Vec<_> = (0..6).map(|depth| outer.join("b/".repeat(depth))).collect();
    take(&bench, &run, &paths);
    let order: Vec<_> =
        standing(&bench.engine.store, Some(&run)).unwrap().into_iter().map(|duty| duty.obligation).collect();
    assert_eq!(order, paths.iter().cloned().map(staging).collect::<Vec<_>>());
    std::fs::create_dir_all(&paths[5]).unwrap();
    assert!(discharge(&bench.engine, &run).unwrap().is_empty());
    assert!(!outer.exists());
    assert!(standing(&bench.engine.store, None).unwrap().is_empty());
}

#[test]
fn what_cannot_be_undone_stays_a_duty_and_keeps_nothing_else_from_being_undone() {
    let bench = Bench::new();
    let run = RunId::from("documents-1");
    let place = bench.directory.path();
    std::fs::write(place.join("file"), "").unwrap();
    // Neither there nor absent: its parent is a file.
    let stuck = PathBuf::from("/proc/self/status");
    take(&bench, &run, &[stuck.clone(), place.join("file")]);
    let told = discharge(&bench.engine, &run).unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("could not be undone"), "{told:?}");
    assert!(!place.join("file").exists());
    let left = standing(&bench.engine.store, Some(&run)).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].obligation, staging(stuck));
}

#[test]
fn duties_of_a_run_whose_name_begins_another_are_its_own() {
    let bench = Bench::new();
    let (short, long) = (RunId::from("documents-1"), RunId::from("documents-1-2"));
    let place = bench.directory.path();
    take(&bench, &short, &[place.join("short")]);
    take(&bench, &long, &[place.join("long")]);
    std::fs::write(place.join("short"), "").unwrap();
    std::fs::write(place.join("long"), "").unwrap();
    let _ = discharge(&bench.engine, &short).unwrap();
    assert!(!place.join("short").exists() && place.join("long").exists());
}
