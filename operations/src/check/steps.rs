//! What the explicit form means: steps that name each other.

use std::collections::BTreeMap;

use super::{
    MOST_GUESSES, SiteFacts, not_cold, not_zero,
    operation::{check_command, pool_of_library},
    repeated,
    site::children,
    unknown,
};
use crate::{
    report::{Problem, Span, shown},
    schema::Reference,
    yaml::View,
};

/// Checks all steps of an operation.
pub(super) fn check(
    steps: View<'_>,
    site: &SiteFacts,
    references: &[Reference],
    problems: &mut Vec<Problem>,
) {
    if steps.entries().is_empty() && matches!(steps.value(), crate::yaml::Value::Map(_)) {
        problems.push(Problem::at(steps.span(), "there are no steps").label("expected at least one"));
    }
    let names: Vec<&str> = steps.entries().iter().map(|entry| entry.key.as_str()).collect();
    let by_name: BTreeMap<&str, usize> = names.iter().enumerate().map(|(i, name)| (*name, i)).collect();
    if steps.tree().is_whole() {
        let missing =
            references.iter().filter(|r| r.collection == "/steps" && !by_name.contains_key(r.name.as_str()));
        for (number, reference) in missing.enumerate() {
            let known = if number < MOST_GUESSES { names.as_slice() } else { &[] };
            problems.push(unknown("step", &reference.name, reference.span.clone(), known, "the steps are"));
        }
    }
    for (name, step) in children(Some(steps)) {
        check_step(name, step, site, problems);
    }
    one_coordinator(steps, site, problems);
    let edges = edges(steps, &by_name);
    for cycle in cycles(&edges) {
        problems.extend(circle(&names, &cycle));
    }
}

fn check_step(name: &str, step: View<'_>, site: &SiteFacts, problems: &mut Vec<Problem>) {
    not_zero(step.get("timeout"), "a timeout", problems);
    repeated(step.get("needs").into_iter().flat_map(View::items), "step", problems);
    if let Some(finally) = step.get("finally").filter(|finally| finally.text() == Some(name)) {
        problems.push(
            Problem::at(finally.span(), "a step cannot undo itself")
                .label(format!("'{}' itself", shown(name))),
        );
    }
    if let Some(quiesce) = step.get("quiesce") {
        not_cold(quiesce.get("mode"), problems);
        not_zero(quiesce.get("window"), "the window", problems);
    }
    if let Some(record) = step.get("record") {
        not_cold(record.get("mode"), problems);
        repeated(record.get("volumes").into_iter().flat_map(View::items), "volume", problems);
    }
    if let Some(command) = step.get("command") {
        check_command(command, "the step", problems);
    }
    for kind in ["tape-backup", "tape-restore"] {
        if let Some(tape) = step.get(kind) {
            not_zero(tape.get("keep"), "the time that a dataset is kept", problems);
            pool_of_library(tape, site, problems);
            at_the_library(step, tape, site, problems);
        }
    }
}

/// A step that moves a tape runs where the library is.
fn at_the_library(step: View<'_>, tape: View<'_>, site: &SiteFacts, problems: &mut Vec<Problem>) {
    let facts = tape.get("library").and_then(View::text).and_then(|name| site.libraries.get(name));
    let Some(attached) = facts.and_then(|facts| facts.host.as_deref()) else { return };
    let host = step.get("host").filter(|host| site.has_host(*host));
    if let Some((host, name)) = host.and_then(|host| Some((host, host.text()?)))
        && name != attached
    {
        problems.push(
            Problem::at(
                host.span(),
                format!("the library is attached to host '{attached}', not to '{}'", shown(name)),
            )
            .label(format!("expected '{attached}'")),
        );
    }
}

/// Reports volumes whose primaries are on another host than that of the first: one host coordinates.
fn one_coordinator(steps: View<'_>, site: &SiteFacts, problems: &mut Vec<Problem>) {
    let mut first: Option<(&str, View<'_>)> = None;
    let kinds = steps.entries().iter().flat_map(|step| {
        let step = steps.at(step.value);
        step.entries().iter().map(move |entry| step.at(entry.value))
    });
    for kind in kinds {
        let volumes = kind.get("volumes").into_iter().flat_map(View::items).chain(kind.get("volume"));
        for volume in volumes {
            let facts = volume.text().and_then(|name| site.volumes.get(name));
            let Some(host) = facts.and_then(|facts| facts.host.as_deref()) else { continue };
            match first {
                Some((other, place)) if other != host => {
                    problems.push(different_hosts(host, volume, other, place));
                }
                Some(_) => {}
                None => first = Some((host, volume)),
            }
        }
    }
}

/// The problem that the primaries of one operation are on two hosts.
pub(super) fn different_hosts(host: &str, volume: View<'_>, other: &str, first: View<'_>) -> Problem {
    Problem::at(volume.span(), "the primaries of one operation are on different hosts")
        .label(format!("on host '{host}'"))
        .related(first.span(), format!("on host '{other}'"))
        .help("the host of the primaries coordinates: make one operation a host")
}

/// What each step needs, and where that is written.
fn edges(steps: View<'_>, by_name: &BTreeMap<&str, usize>) -> Vec<Vec<(usize, Span)>> {
    let needs = |step: View<'_>| {
        let items = step.get("needs").into_iter().flat_map(View::items);
        items.filter_map(|need| Some((*by_name.get(need.text()?)?, need.span()))).collect()
    };
    children(Some(steps)).map(|(_, step)| needs(step)).collect()
}

/// So many circles are looked for.
const MOST_CIRCLES: usize = 10;

/// Circles in which steps need each other: one at least if there is any. Each is a list of steps with the place where the next is named. Depth first, without recursion: O(V+E).
fn cycles(edges: &[Vec<(usize, Span)>]) -> Vec<Vec<(usize, Span)>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open(usize),
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    let mut found = Vec::new();
    for start in 0..edges.len() {
        if marks[start] != Mark::New {
            continue;
        }
        // The way from the start: each step, and how many of its needs have been looked at.
        let mut way = vec![(start, 0)];
        marks[start] = Mark::Open(0);
        while let Some((step, looked)) = way.last_mut() {
            if found.len() == MOST_CIRCLES {
                return found;
            }
            let Some((next, _)) = edges[*step].get(*looked) else {
                marks[*step] = Mark::Done;
                let _ = way.pop();
                continue;
            };
            *looked += 1;
            match marks[*next] {
                Mark::New => {
                    marks[*next] = Mark::Open(way.len());
                    way.push((*next, 0));
                }
                Mark::Open(depth) => {
                    let edge = |(step, looked): &(usize, usize)| (*step, edges[*step][looked - 1].1.clone());
                    found.push(way[depth..].iter().map(edge).collect());
                }
                Mark::Done => {}
            }
        }
    }
    found
}

/// The problem that a circle is, with every edge of it.
fn circle(names: &[&str], cycle: &[(usize, Span)]) -> Option<Problem> {
    /// The most edges that are shown in the file, and the most steps that are named.
    const MOST: usize = 12;
    const MOST_NAMED: usize = 50;
    let (first, place) = cycle.first()?;
    if cycle.len() == 1 {
        let message = format!("the step '{}' needs itself", shown(names[*first]));
        return Some(Problem::at(place.clone(), message).label("itself"));
    }
    let mut way: Vec<&str> = cycle.iter().map(|(step, _)| names[*step]).collect();
    way.push(names[*first]);
    let label = |i: usize| format!("'{}' needs '{}'", way[i], way[i + 1]);
    let circle = if way.len() > MOST_NAMED {
        let left_out = way.len() - MOST_NAMED;
        format!("{} -> ... {left_out} more ... -> {}", way[..MOST_NAMED - 1].join(" -> "), names[*first])
    } else {
        way.join(" -> ")
    };
    let mut problem = Problem::at(place.clone(), format!("the steps need each other in a circle: {circle}"))
        .label(label(0))
        .help("remove one of these needs");
    for (i, (_, place)) in cycle.iter().enumerate().skip(1).take(MOST) {
        problem = problem.related(place.clone(), label(i));
    }
    Some(problem)
}
