//! All points, some at a time; and a table of what came of them.

use std::{collections::BTreeMap, env, fmt::Write as _, io::Write as _, time::Instant};

use crate::{
    cases,
    many::{drawn, each},
    point::{Came, Order, Point, Undisturbed, attempt, undisturbed},
};

/// One of so many points is tried, unless all are asked for.
const SAMPLE: u64 = 3;

fn is_soak() -> bool {
    env::var_os("RESPLIT_SOAK").is_some()
}

/// Whether this one is tried: one of so many, or only what contains a text, to look into it.
fn is_wanted(point: &Point, sample: u64) -> bool {
    match env::var("RESPLIT_POINT") {
        Ok(text) => point.to_string().contains(&text),
        Err(_) => is_soak() || drawn(&point.to_string()).is_multiple_of(sample),
    }
}

/// How every case ends undisturbed.
fn all_undisturbed() -> Vec<Undisturbed> {
    let wanted = env::var("RESPLIT_POINT").ok();
    let named = |case: &cases::Case| {
        let case = case.to_string();
        wanted.as_ref().is_none_or(|text| text.starts_with(&case) || case.starts_with(text))
    };
    let cases: Vec<_> = cases::all().into_iter().filter(named).collect();
    let ended = each(&cases, |case| undisturbed(*case));
    ended
        .into_iter()
        .zip(cases)
        .map(|(ended, case)| ended.unwrap_or_else(|text| panic!("{case}: {text}")))
        .collect()
}

/// Tries these points, prints what came of them, and fails if anything failed.
fn prove(title: &str, undisturbed: &[Undisturbed], points: &[Point]) {
    let began = Instant::now();
    let came = each(points, |point| {
        let of = undisturbed.iter().find(|of| of.case == point.case).unwrap();
        attempt(point, of)
    });
    let mut rows: BTreeMap<(String, &str), [u32; 5]> = BTreeMap::new();
    let mut failures = String::new();
    for (point, came) in points.iter().zip(&came) {
        let row = rows.entry((point.case.to_string(), point.orders[0].host)).or_default();
        let (column, text) = match came {
            Ok(Came::Recovered) => (0, None),
            Ok(Came::NotAccepted) => (1, None),
            Ok(Came::NotReached) => (2, None),
            Ok(Came::Parked(question)) => (3, Some(question)),
            Err(text) => (4, Some(text)),
        };
        if let Some(text) = text {
            writeln!(failures, "\n{point}:\n{text}").unwrap();
        }
        row[column] += 1;
    }
    let mut table = format!(
        "\n{title}: {} points in {} s\n{:24}{:14}{:>8}{:>11}{:>14}{:>13}{:>8}{:>8}\n",
        points.len(),
        began.elapsed().as_secs(),
        "operation",
        "host",
        "points",
        "recovered",
        "not accepted",
        "not reached",
        "parked",
        "failed"
    );
    for ((case, host), row) in rows {
        let [recovered, refused, missed, parked, failed] = row;
        let all: u32 = row.iter().sum();
        writeln!(
            table,
            "{case:24}{host:14}{all:>8}{recovered:>11}{refused:>14}{missed:>13}{parked:>8}{failed:>8}"
        )
        .unwrap();
    }
    // Past the test's own capture: the table is what this test is for.
    std::io::stdout().write_all(table.as_bytes()).unwrap();
    assert!(failures.is_empty(), "{failures}");
    let reached = came.iter().flatten().filter(|came| **came != Came::NotReached).count();
    assert!(reached * 10 >= points.len() * 9, "only {reached} of {} points were reached", points.len());
}

/// Every commit of every host, in every case.
fn all_commits(undisturbed: &[Undisturbed]) -> impl Iterator<Item = (&Undisturbed, &'static str, u64)> {
    undisturbed.iter().flat_map(|of| {
        of.commits
            .iter()
            .flat_map(move |(host, commits)| (1..=*commits).map(move |commit| (of, *host, commit)))
    })
}

#[test]
fn engines_killed_at_every_commit_finish_what_they_began() {
    let undisturbed = all_undisturbed();
    let mut points: Vec<_> = all_commits(&undisturbed)
        .flat_map(|(of, host, commit)| {
            ["before", "after"]
                .map(|side| Point { case: of.case, orders: vec![Order { host, side, commit }] })
        })
        .collect();
    points.retain(|point| is_wanted(point, SAMPLE));
    prove("killed once", &undisturbed, &points);
    points = all_commits(&undisturbed).map(|(of, host, commit)| killed_again(of, host, commit)).collect();
    points.retain(|point| is_wanted(point, SAMPLE * 3));
    prove("killed again while recovering", &undisturbed, &points);
}

/// Kills an engine at this commit, and then once or twice more: itself while it recovers, or another host's.
fn killed_again(of: &Undisturbed, host: &'static str, commit: u64) -> Point {
    let side = |by: u64| if by.is_multiple_of(2) { "before" } else { "after" };
    let chance = drawn(&format!("{} {host} {commit}", of.case));
    let mut orders = vec![Order { host, side: side(chance), commit }];
    for by in [chance >> 8, chance >> 24].into_iter().take(1 + usize::from(chance & 4 != 0)) {
        let (host, _) = of.commits[usize::try_from(by >> 1 & 0xff).unwrap() % of.commits.len()];
        orders.push(Order { host, side: side(by), commit: 1 + (by >> 9) % 8 });
    }
    Point { case: of.case, orders }
}
