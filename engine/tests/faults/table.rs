//! What came of the faults, in a table.

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _, time::Instant};

use resplit_test_disk::{Calls, Error};

use crate::{
    attempt::Came,
    bed::{Place, Point, name},
};

/// How what was asked for ended, and what became of it afterwards.
const COLUMNS: [&str; 11] = [
    "not met",
    "done",
    "not closed",
    "not started",
    "refused",
    "failed",
    "parked",
    "ended",
    "resumed",
    "made anew",
    "answered",
];

pub(crate) struct Table {
    rows: BTreeMap<(Place, &'static str, bool), BTreeMap<&'static str, u64>>,
    wrong: Vec<String>,
    began: Instant,
}

impl Default for Table {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), wrong: Vec::new(), began: Instant::now() }
    }
}

impl Table {
    pub(crate) fn add(&mut self, point: &Point, came: &Came) {
        let row = self.rows.entry((point.place, name(point.error), point.lasting)).or_default();
        let ended = if came.met { came.ended } else { "not met" };
        for column in [Some(ended), came.resumed].into_iter().flatten() {
            *row.entry(column).or_default() += 1;
        }
    }

    pub(crate) fn wrong(&mut self, point: &Point, text: &str) {
        // At once: there may be hours of it.
        eprintln!("RESPLIT_FAULT='{point}': {text}");
        self.wrong.push(format!("RESPLIT_FAULT='{point}': {text}"));
    }

    pub(crate) fn panicked(&mut self, text: &str) {
        self.wrong.push(format!("a panic: {text}"));
    }

    pub(crate) fn is_good(&self) -> bool {
        self.wrong.is_empty()
    }

    pub(crate) fn wrongs(&self) -> String {
        self.wrong.join("\n\n")
    }

    pub(crate) fn print(&self, counted: &[(Place, Calls)], tried: usize) {
        let mut told = String::new();
        for (place, calls) in counted {
            let by_error = Error::ALL.map(|error| format!("{} {}", calls.suiting(error), name(error)));
            writeln!(
                told,
                "\n{}: {} calls; that can fail with: {}",
                place.name(),
                calls.all(),
                by_error.join(", ")
            )
            .unwrap();
        }
        let (seconds, wrong) = (self.began.elapsed().as_secs(), self.wrong.len());
        write!(told, "{tried} faults in {seconds} s, {wrong} wrong\n{:24}", "").unwrap();
        for column in COLUMNS {
            write!(told, "{column:>12}").unwrap();
        }
        for ((place, error, lasting), row) in &self.rows {
            let how = if *lasting { "lasting" } else { "once" };
            write!(told, "\n{:24}", format!("{} {error} {how}", place.name())).unwrap();
            for column in COLUMNS {
                write!(told, "{:>12}", row.get(column).copied().unwrap_or(0)).unwrap();
            }
        }
        told.push('\n');
        // Past the test's own capture: the table is what this test is for.
        std::io::stdout().write_all(told.as_bytes()).unwrap();
    }
}
