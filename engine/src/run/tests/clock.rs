//! A wall clock that is set, by hours and in the middle of a run: nothing is over too early or too late for it, nothing
//! takes less than no time, and nothing gets a name or an ID twice.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use resplit_steps::context::Clock;

use crate::{
    protocol::{RunStatus, StepStatus, What},
    service::Service,
    testing::{Bench, DOCUMENTS},
};

/// The machine's clock, set back or forward by so many hours.
#[derive(Default)]
pub(super) struct SetClock(AtomicI64);

impl SetClock {
    /// Sets it.
    pub(super) fn add_hours(&self, hours: i64) {
        let _ = self.0.fetch_add(hours, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_hours(self.0.load(Ordering::SeqCst))
    }
}

/// A clock that stands still.
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_during_a_run_changes_no_duration_and_ends_no_time_limit() {
    for hours in [-5, 5, 24 * 400] {
        let clock = Arc::new(SetClock::default());
        let bench = Bench::with_clock(Arc::<SetClock>::clone(&clock));
        let operation = format!(
            "{DOCUMENTS}quiesce: {{ mode: online, window: 50s }}\nhooks:\n  before: [ {{ argv: [wait, before], timeout: 50s }} ]\n  in_window: [ {{ argv: [wait, window], timeout: 50s }} ]\n"
        );
        let run = bench.offer().submit(bench.submit(&operation)).await.unwrap().run;
        for (count, name) in [(1, "before"), (2, "window")] {
            within(bench.commands.until(count)).await;
            let _ = clock.0.fetch_add(hours, Ordering::SeqCst);
            bench.commands.let_go(name, true);
        }
        assert_eq!(within(bench.ended(&run)).await.status, RunStatus::Done, "{hours} hours");
        for step in bench.offer().run(run.clone()).await.unwrap().step_list {
            let StepStatus::Done { began, at, .. } = step.status else { panic!("{step:?}") };
            let took = at.duration_since(began);
            let limit = SignedDuration::from_secs(50);
            assert!(!took.is_negative() && took < limit, "{hours} hours: {} took {took:?}", step.step);
        }
        let mut events = bench.offer().events(run, false).await.unwrap();
        while let Some(event) = within(events.recv()).await {
            if let What::Done { took_ms, .. } = event.what {
                assert!(took_ms < 50_000, "{hours} hours: {:?} took {took_ms} ms", event.step);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_or_stands_still_gives_no_name_or_id_twice() {
    let (set, stopped): (Arc<SetClock>, Arc<dyn Clock>) = (Arc::default(), Arc::new(StoppedClock));
    let back = Bench::with_clock(Arc::<SetClock>::clone(&set));
    for bench in [back, Bench::with_clock(stopped)] {
        let (mut runs, mut backups) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..4 {
            let summary = within(bench.run(DOCUMENTS)).await;
            assert_eq!(summary.status, RunStatus::Done);
            assert!(runs.insert(summary.run.clone()), "{} was given twice", summary.run);
            let records = bench.offer().catalog().await.unwrap();
            let made = records.into_iter().find(|record| record.origin.run == summary.run).unwrap();
            assert!(backups.insert(made.id), "{} was given twice", made.id);
            let _ = set.0.fetch_sub(3, Ordering::SeqCst);
        }
        // Which image is the oldest is a matter of order, not of the clock.
        let kept: Vec<_> =
            bench.offer().catalog().await.unwrap().into_iter().map(|record| record.id).collect();
        assert_eq!(kept, backups.into_iter().skip(2).collect::<Vec<_>>());
    }
}
