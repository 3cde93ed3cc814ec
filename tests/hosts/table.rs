//! All points, some at a time; and a table of what came of them.

use std::{collections::BTreeMap, env, fmt::Write as _, io::Write as _, time::Instant};

use crate::{
    many::{drawn, each},
    point::{Act, Came, Point, Undisturbed, When, attempt, undisturbed},
    trouble::{self, Trouble},
};

/// One of so many points is tried, drawn by a seed, unless all are asked for; of those that wait for a line to be given up, fewer.
const SAMPLE: u64 = 32;
const SAMPLE_OF_SLOW: u64 = 96;

fn points(of: &Undisturbed) -> Vec<Point> {
    let act = of.act;
    let mut all = Vec::new();
    for (step, event) in &of.events {
        for trouble in trouble::all() {
            all.push(Point { act, when: When::Step { step: step.clone(), event }, trouble });
        }
    }
    for (host, commits) in &of.commits {
        for commit in 1..=*commits {
            for side in ["before", "after"] {
                let when = When::Commit { host, side, commit };
                all.push(Point { act, when, trouble: Trouble::Killed(host) });
            }
        }
    }
    all
}

fn is_wanted(point: &Point) -> bool {
    if let Ok(text) = env::var("RESPLIT_POINT") {
        return point.to_string().contains(&text);
    }
    let sample = if point.trouble.is_slow() { SAMPLE_OF_SLOW } else { SAMPLE };
    env::var_os("RESPLIT_SOAK").is_some() || drawn(&point.to_string()).is_multiple_of(sample)
}

#[test]
fn whatever_befalls_a_line_or_a_machine_what_began_is_finished_once() {
    let began = Instant::now();
    let of = each(&[Act::Backup, Act::Restore], |act| undisturbed(*act));
    let of: Vec<_> =
        of.into_iter().filter_map(|ended| ended.unwrap_or_else(|text| panic!("{text}"))).collect();
    let points: Vec<_> = of.iter().flat_map(points).filter(is_wanted).collect();
    let came = each(&points, |point| attempt(point, of.iter().find(|of| of.act == point.act).unwrap()));
    let mut rows: BTreeMap<(String, String), [u32; 5]> = BTreeMap::new();
    let mut failures = String::new();
    for (point, came) in points.iter().zip(&came) {
        let what = match &point.when {
            When::Commit { .. } => format!("{} at a commit", point.trouble),
            When::Step { .. } => point.trouble.to_string(),
        };
        let row = rows.entry((point.act.to_string(), what)).or_default();
        row[match came {
            Ok(Came::Recovered) => 0,
            Ok(Came::Answered) => 1,
            Ok(Came::NotAccepted) => 2,
            Ok(Came::NotReached) => 3,
            Err(text) => {
                writeln!(failures, "\n{point}:\n{text}").unwrap();
                4
            }
        }] += 1;
    }
    let mut table = format!(
        "\nthree machines, troubled once: {} points in {} s\n{:10}{:36}{:>8}{:>11}{:>10}{:>14}{:>13}{:>8}\n",
        points.len(),
        began.elapsed().as_secs(),
        "operation",
        "what befell it",
        "points",
        "recovered",
        "answered",
        "not accepted",
        "not reached",
        "failed"
    );
    for ((act, what), row) in rows {
        let [recovered, answered, refused, missed, failed] = row;
        let all: u32 = row.iter().sum();
        writeln!(
            table,
            "{act:10}{what:36}{all:>8}{recovered:>11}{answered:>10}{refused:>14}{missed:>13}{failed:>8}"
        )
        .unwrap();
    }
    // Past the test's own capture: the table is what this test is for.
    std::io::stdout().write_all(table.as_bytes()).unwrap();
    assert!(failures.is_empty(), "{failures}");
    let missed = came.iter().flatten().filter(|came| **came == Came::NotReached).count();
    assert!(missed * 5 <= points.len(), "{missed} of {} points were not reached", points.len());
}
