use resplit_operations::site::Host;
use resplit_steps::contract::Intent;

use super::*;
use crate::{
    protocol::{RunStatus, RunSummary},
    rows::{self, HostPlace, ServedState, step_key},
    server::{Activity, serve},
    socket::{Listener, prepare_directory},
    testing::{Bench, DOCUMENTS},
};

/// So many runs more, each over an hour after the one before, as copies of one that was made.
fn remember(bench: &Bench, like: &RunSummary, from: usize, count: usize) {
    let engine = &bench.engine;
    let row: RunRow = rows::get(&engine.store, like.run.as_str()).unwrap().unwrap();
    let numbers: Vec<_> = (from..from + count).collect();
    for some in numbers.chunks(500) {
        let mut batch = Batch::default();
        for number in some {
            let run = RunId(format!("documents-old-{number:06}"));
            let accepted = row.accepted - SignedDuration::from_hours(i64::try_from(number + 1).unwrap());
            let old = RunRow { run: run.clone(), accepted, ended: Some(accepted), ..row.clone() };
            load::put_row(&mut batch, &old).unwrap();
            batch.put(Table::Steps, &step_key(&run, 0), &"a step").unwrap();
        }
        let _ = engine.store.commit(batch).unwrap();
    }
}

fn count(bench: &Bench, table: Table) -> usize {
    bench.engine.store.keys(table, "documents-old-").unwrap().len()
}

#[tokio::test]
async fn of_ten_thousand_runs_the_newest_stay_and_few_runs_pay_for_that() {
    let bench = Bench::new();
    let run = Box::pin(bench.run(DOCUMENTS)).await;
    assert_eq!(run.status, RunStatus::Done);
    remember(&bench, &run, 0, 10_000);
    // What an engine does when it starts.
    bench.engine.forget_old_runs(load::rows(&bench.engine.store).unwrap()).unwrap();
    assert_eq!((count(&bench, Table::Runs), count(&bench, Table::Steps)), (MOST_RUNS - 1, MOST_RUNS - 1));
    assert!(load::row(&bench.engine.store, &run.run).unwrap().is_some());

    remember(&bench, &run, 20_000, 100);
    let begun = bench.engine.ended.load(Ordering::Relaxed);
    for _ in begun + 1..LOOK_EVERY {
        bench.engine.note_end().unwrap();
    }
    assert_eq!(count(&bench, Table::Runs), MOST_RUNS + 99, "nobody has looked");
    bench.engine.note_end().unwrap();
    assert_eq!(count(&bench, Table::Runs), MOST_RUNS - 1);
}

#[tokio::test]
async fn what_is_old_goes_but_for_the_newest_and_what_is_open_or_untold() {
    let bench = Bench::new();
    let run = Box::pin(bench.run(DOCUMENTS)).await;
    let row: RunRow = rows::get(&bench.engine.store, run.run.as_str()).unwrap().unwrap();
    let now = row.accepted;
    let aged = |number: i64| {
        let accepted = now - LONGEST - SignedDuration::from_hours(24 + number);
        RunRow { run: RunId(format!("r{number}")), accepted, ended: Some(accepted), ..row.clone() }
    };
    let mut rows: Vec<RunRow> = (0..10).map(aged).collect();
    rows[7].status = RunStatus::Parked { questions: BTreeMap::new() };
    rows[8].unreleased = vec!["backupserver".into()];
    let gone: Vec<_> = old(rows, now).into_iter().map(|run| run.0).collect();
    assert_eq!(gone, ["r5", "r6", "r9"]);
}

/// The runs of which steps are remembered.
fn served(bench: &Bench) -> Vec<String> {
    let keys = bench.engine.store.keys(Table::Served, "").unwrap();
    keys.into_iter().filter_map(|key| key.split_once('/').map(|(run, _)| run.to_owned())).collect()
}

#[tokio::test]
async fn served_steps_are_forgotten_once_their_coordinator_says_so_and_never_if_it_cannot_be_asked() {
    let (coordinator, bench) = (Bench::new(), Bench::new());
    let done = Box::pin(coordinator.run(DOCUMENTS)).await;
    let hook = "hooks: { before: [ { argv: [wait, one] } ] }\n";
    let submit = coordinator.submit(&format!("{DOCUMENTS}{hook}"));
    let open = Box::pin(crate::service::Service::submit(&coordinator.offer(), submit)).await.unwrap().run;
    coordinator.commands.until(1).await;

    let state = coordinator.directory.path().join("state");
    let mut batch = Batch::default();
    let host = Host::local(state.clone());
    rows::put(&mut batch, &host_key(&"fileserver".into()), &HostPlace(host)).unwrap();
    for run in [done.run.as_str(), open.as_str(), "unknown"] {
        let row = ServedRow {
            coordinator: Some("fileserver".into()),
            attempt: 1,
            token: 1,
            state: ServedState::Running { intent: Intent::default() },
            again: None,
        };
        rows::put(&mut batch, &format!("{run}/mount"), &row).unwrap();
        rows::put(&mut batch, &format!("{run}/unmount"), &row).unwrap();
    }
    let _ = bench.engine.store.commit(batch).unwrap();
    let commands = bench.engine.directories.commands.join("unknown");
    fs::create_dir_all(&commands).unwrap();

    forget_served(&bench.engine).await.unwrap();
    assert_eq!(served(&bench).len(), 6, "its coordinator does not listen");

    prepare_directory(&state).unwrap();
    let listener = Listener::bind(&state).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let serving = tokio::spawn(serve(listener, Arc::new(coordinator.offer()), Activity::new(), stopped));
    forget_served(&bench.engine).await.unwrap();
    assert_eq!(served(&bench), [open.as_str(), open.as_str()]);
    assert!(!commands.exists());

    coordinator.commands.let_go("one", true);
    assert_eq!(coordinator.ended(&open).await.status, RunStatus::Done);
    forget_served(&bench.engine).await.unwrap();
    assert_eq!(served(&bench), Vec::<String>::new());
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
