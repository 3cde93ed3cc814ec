//! Every point of every case; and a table of what came of them.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    thread,
    time::Instant,
};

use super::{
    cases::{self, Case},
    fate::Moment,
    point::{Came, Order, Ready},
};

/// Of the points of recoveries one of so many is tried, unless all are asked for.
const SAMPLE: u64 = 100;
/// What decides which.
const SEED: u64 = 20_261_120;

/// What came of the points of a case: killed once, and killed again while recovering.
#[derive(Default)]
struct Row {
    points: [u32; 2],
    recovered: u32,
    not_accepted: u32,
    not_reached: u32,
    parked: u32,
    failed: u32,
}

/// The rows, and what went wrong.
#[derive(Default)]
struct Table {
    rows: BTreeMap<String, Row>,
    wrong: String,
}

fn text(orders: &[Order]) -> String {
    orders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then ")
}

/// A number that a text and the seed decide.
fn drawn(text: &str) -> u64 {
    let hash = blake3::hash(format!("{SEED} {text}").as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
}

/// The moments of these engines, as orders.
fn orders(moments: &[(&'static str, BTreeMap<Moment, u64>)]) -> Vec<Order> {
    let of_host = |(host, moments): &(&'static str, BTreeMap<Moment, u64>)| {
        let host = *host;
        let every = move |(moment, count): (&Moment, &u64)| {
            let moment = *moment;
            (1..=*count).map(move |count| Order { host, moment, count }).collect::<Vec<_>>()
        };
        moments.iter().flat_map(every).collect::<Vec<_>>()
    };
    moments.iter().flat_map(of_host).collect()
}

/// Tries a point; gives the moments of the engines that recovered it.
fn attempt(ready: &Ready, point: &[Order], table: &Mutex<Table>) -> Vec<Order> {
    let ended = catch_unwind(AssertUnwindSafe(|| ready.attempt(point))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    });
    let mut table = table.lock().unwrap();
    let row = table.rows.entry(ready.site.case.to_string()).or_default();
    row.points[usize::from(point.len() > 1)] += 1;
    let wrong = match &ended {
        Ok(ended) => match &ended.came {
            Came::Recovered => {
                row.recovered += 1;
                None
            }
            Came::NotAccepted => {
                row.not_accepted += 1;
                None
            }
            Came::NotReached => {
                row.not_reached += 1;
                None
            }
            Came::Parked(question) => {
                row.parked += 1;
                Some(question)
            }
        },
        Err(text) => {
            row.failed += 1;
            Some(text)
        }
    };
    if let Some(text_of_it) = wrong {
        let case = ready.site.case;
        writeln!(table.wrong, "\n{case}, {}:\n{text_of_it}", text(point)).unwrap();
    }
    // Of the host that was killed: those of others are points of their own.
    let killed = |order: &Order| order.host == point[0].host;
    ended.map_or_else(|_| Vec::new(), |ended| orders(&ended.moments)).into_iter().filter(killed).collect()
}

fn prove(case: Case, table: &Mutex<Table>) {
    let wanted = env::var("RESPLIT_POINT").ok();
    let is_wanted = |point: &[Order]| {
        wanted.as_ref().is_none_or(|wanted| format!("{case}, {}", text(point)).contains(wanted))
    };
    if wanted.as_ref().is_some_and(|wanted| !wanted.starts_with(&case.to_string())) {
        return;
    }
    let ready = match catch_unwind(|| Ready::new(case)) {
        Ok(ready) => ready,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            return writeln!(table.lock().unwrap().wrong, "\n{case}, undisturbed:\n{text}").unwrap();
        }
    };
    let is_soak = env::var_os("RESPLIT_SOAK").is_some();
    for first in orders(&ready.moments) {
        let recovery = if is_wanted(&[first]) { attempt(&ready, &[first], table) } else { Vec::new() };
        for second in recovery {
            let point = [first, second];
            if is_soak || drawn(&format!("{case} {}", text(&point))).is_multiple_of(SAMPLE) {
                let _ = attempt(&ready, &point, table);
            }
        }
    }
}

#[test]
fn killed_at_every_write_and_after_every_effect_an_engine_finishes_what_it_began() {
    let began = Instant::now();
    let table = &Mutex::<Table>::default();
    // All at once: most of the time each waits, for locks, sockets and processes.
    thread::scope(|scope| {
        for case in cases::all() {
            let _ = scope.spawn(move || prove(case, table));
        }
    });
    let Table { rows, wrong } = std::mem::take(&mut *table.lock().unwrap());
    let mut told = format!(
        "\nkilled in process, in {} s\n{:22}{:>8}{:>8}{:>11}{:>14}{:>13}{:>8}{:>8}\n",
        began.elapsed().as_secs(),
        "operation",
        "once",
        "again",
        "recovered",
        "not accepted",
        "not reached",
        "parked",
        "failed"
    );
    let (mut reached, mut all) = (0, 0);
    for (case, row) in &rows {
        let Row { points: [once, again], recovered, not_accepted, not_reached, parked, failed } = row;
        writeln!(
            told,
            "{case:22}{once:>8}{again:>8}{recovered:>11}{not_accepted:>14}{not_reached:>13}{parked:>8}{failed:>8}"
        )
        .unwrap();
        (reached, all) = (reached + recovered + not_accepted, all + once + again);
    }
    // Past the test's own capture: the table is what this test is for.
    std::io::stdout().write_all(told.as_bytes()).unwrap();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(reached * 10 >= all * 9, "only {reached} of {all} points were reached");
}
