//! Windows that are over their budget: measured, and opened again from the resync on.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use resplit_operations::{action::Quiesce, ids::RunId};
use resplit_steps::{
    drivers::quiesce::{LeftFrozen, Watchdog, WindowKeeper},
    facts::Window,
    failure::Failure,
};

use super::clock::SetClock;
use crate::{
    protocol::{Again, RunDetail, RunStatus, StepStatus},
    service::Service,
    testing::{Bench, DOCUMENTS, failure},
};

/// Windows whose lengths are given beforehand, in milliseconds; those over their budget fail, as a watchdog's do.
struct Lengths {
    open: Mutex<Vec<(RunId, u64)>>,
    lengths: Mutex<VecDeque<u64>>,
}

impl WindowKeeper for Lengths {
    fn check(&self, _: &Quiesce, _: &[PathBuf]) -> Result<(), Failure> {
        Ok(())
    }

    fn open(&self, run: &RunId, quiesce: &Quiesce) -> Result<(), Failure> {
        self.open.lock().unwrap().push((run.clone(), quiesce.window.0));
        Ok(())
    }

    fn close(&self, run: &RunId) -> Result<Window, Failure> {
        let (of, budget_ms) = self.open.lock().unwrap().pop().unwrap();
        assert_eq!(of, *run);
        let length_ms = self.lengths.lock().unwrap().pop_front().unwrap();
        let window = Window { opened: Timestamp::UNIX_EPOCH, length_ms, budget_ms };
        if window.is_over_budget() {
            let text = format!("over its budget of {budget_ms} ms: it was thawed after {length_ms} ms");
            return Err(Failure::permanent(text).with_help("give it more time").of_window(window));
        }
        Ok(window)
    }

    fn is_open(&self, run: &RunId) -> bool {
        self.open.lock().unwrap().iter().any(|(of, _)| of == run)
    }

    fn left_frozen(&self) -> Result<Vec<LeftFrozen>, Failure> {
        Ok(Vec::new())
    }

    fn thaw(&self, _: &Path) -> Result<bool, Failure> {
        Ok(false)
    }

    fn is_frozen(&self, _: &Path) -> Result<bool, Failure> {
        Ok(false)
    }

    fn watchdogs(&self) -> Result<Vec<Watchdog>, Failure> {
        Ok(Vec::new())
    }
}

/// Two hooks, one on each side of the resync.
const HOOKS: &str =
    "hooks: { before: [ { argv: [ok, before] } ], before_quiesce: [ { argv: [ok, inside] } ] }\n";

/// Runs the operation with windows of these lengths; gives the run, and the commands that ran.
async fn run(lengths: &[u64]) -> (RunDetail, Vec<String>) {
    let lengths = Lengths { open: Mutex::default(), lengths: Mutex::new(lengths.iter().copied().collect()) };
    let bench = Bench::with(Arc::new(lengths));
    let operation = format!("{DOCUMENTS}quiesce: {{ mode: freeze, window: 3m }}\n{HOOKS}");
    let ended = tokio::time::timeout(Duration::from_secs(60), bench.run(&operation)).await.unwrap();
    (bench.offer().run(ended.run).await.unwrap(), bench.commands.ran())
}

fn attempts(run: &RunDetail, step: &str) -> u32 {
    run.step_list.iter().find(|found| found.step.as_str() == step).unwrap().attempts
}

fn lengths_of(run: &RunDetail) -> Vec<u64> {
    run.windows.iter().map(|window| window.length_ms).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_over_its_budget_runs_again_from_the_resync_on_and_both_are_kept() {
    let (run, commands) = run(&[180_001, 20]).await;
    assert_eq!(run.summary.status, RunStatus::Done, "{run:?}");
    assert_eq!(lengths_of(&run), [180_001, 20]);
    for step in ["resync", "before-quiesce-1", "quiesce", "split", "thaw"] {
        assert_eq!(attempts(&run, step), 2, "{step}");
        let found = run.step_list.iter().find(|found| found.step.as_str() == step).unwrap();
        assert!(
            matches!(&found.again, Some(Again::SetBack { because }) if because.contains("180001 ms")),
            "{found:?}"
        );
    }
    for step in ["before-1", "purge-cache", "record", "confirm"] {
        assert_eq!(attempts(&run, step), 1, "{step}");
    }
    assert_eq!(commands, ["before", "inside", "inside"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_window_over_its_budget_is_the_last() {
    let (run, _) = run(&[180_001, 190_000]).await;
    assert_eq!(lengths_of(&run), [180_001, 190_000]);
    let failed = failure(&run.summary);
    assert!(failed.message.contains("180000 ms") && failed.message.contains("190000 ms"), "{failed}");
    assert!(failed.help.is_some());
    let record = run.step_list.iter().find(|step| step.step.as_str() == "record").unwrap();
    assert!(matches!(record.status, StepStatus::Skipped { .. }), "{record:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_window_is_measured_too() {
    let (run, _) = run(&[7]).await;
    assert_eq!((lengths_of(&run), attempts(&run, "resync")), (vec![7], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_forward_inside_a_window_does_not_use_its_budget_up() {
    let lengths = Lengths { open: Mutex::default(), lengths: Mutex::new([20].into()) };
    let clock = Arc::new(SetClock::default());
    let bench = Bench::made(Arc::new(lengths), Arc::<SetClock>::clone(&clock));
    let operation = format!(
        "{DOCUMENTS}quiesce: {{ mode: freeze, window: 3m }}\nhooks: {{ in_window: [ {{ argv: [wait, window] }} ] }}\n"
    );
    let run = bench.offer().submit(bench.submit(&operation)).await.unwrap().run;
    tokio::time::timeout(Duration::from_secs(60), bench.commands.until(1)).await.unwrap();
    clock.add_hours(5);
    bench.commands.let_go("window", true);
    let ended = tokio::time::timeout(Duration::from_secs(60), bench.ended(&run)).await.unwrap();
    assert_eq!(ended.status, RunStatus::Done);
    let run = bench.offer().run(run).await.unwrap();
    assert_eq!((attempts(&run, "split"), lengths_of(&run)), (1, vec![20]));
}
