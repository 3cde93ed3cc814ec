//! Places that must not be one another, nor lie in one another: what is copied, what it is copied to, and what resplit
//! keeps. Lexical: nothing is asked of a file system. Local hosts are on one machine, so their names tell no two paths
//! apart; those that ssh reaches under one name are on one, too.

use std::path::{Path, PathBuf};

use super::{at, hosts, site::children};
use crate::{
    report::{Problem, Span},
    site::absolute,
    yaml::{Tree, View},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Primary,
    Secondary,
    State,
    Library,
}

struct Place {
    role: Role,
    /// In words, with its name.
    what: String,
    /// The volume it belongs to, if any.
    volume: String,
    /// Of a secondary, its pair; of a primary, the pair in front.
    group: Option<String>,
    machine: String,
    path: PathBuf,
    span: Span,
}

/// Reports every two places that are one, or lie in one another where they must not.
pub(super) fn check(tree: &Tree, directory: &Path, problems: &mut Vec<Problem>) {
    let mut places = collect(tree, directory);
    // An ancestor sorts before all that lies in it, with nothing else in between.
    places.sort_by(|a, b| (&a.machine, &a.path, a.span.start).cmp(&(&b.machine, &b.path, b.span.start)));
    let mut around: Vec<&Place> = Vec::new();
    for place in &places {
        let within = |outer: &Place| outer.machine == place.machine && place.path.starts_with(&outer.path);
        while around.last().is_some_and(|outer| !within(outer)) {
            let _ = around.pop();
        }
        // The nearest that matters is reported; what is farther out, is reported for that one.
        if let Some(problem) = around.iter().rev().find_map(|outer| conflict(outer, place)) {
            problems.push(problem);
        }
        around.push(place);
    }
}

fn collect(tree: &Tree, directory: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    let mut add = |role,
                   what: String,
                   volume: &str,
                   host: Option<&str>,
                   group: Option<View<'_>>,
                   path: Option<View<'_>>| {
        if let Some((text, span)) =
            path.and_then(|path| Some((path.text().filter(|text| !text.is_empty())?, path.span())))
        {
            let (machine, base) = hosts::ground(tree, host, directory);
            let path = absolute(&base, Path::new(text));
            let group = group.and_then(View::text).map(str::to_owned);
            places.push(Place { role, what, volume: volume.to_owned(), group, machine, path, span });
        }
    };
    let host_of = |view: View<'_>| view.get("host").and_then(|host| host.text().map(str::to_owned));
    for (name, host) in children(at(tree, &["hosts"])) {
        add(
            Role::State,
            format!("the state directory of host '{name}'"),
            "",
            Some(name),
            None,
            host.get("state"),
        );
    }
    for (name, volume) in children(at(tree, &["volumes"])) {
        if let Some(primary) = volume.get("primary") {
            let what = format!("the primary of volume '{name}'");
            let host = host_of(primary);
            add(Role::Primary, what, name, host.as_deref(), volume.get("behind"), primary.get("path"));
        }
        let targets =
            children(volume.get("targets")).map(|(target, view)| (format!("{name}.{target}"), view));
        for (known, view) in std::iter::once((name.to_owned(), volume)).chain(targets) {
            for (generation, pair) in view.get("pairs").into_iter().flat_map(View::items).enumerate() {
                let (Some(secondary), group) = (pair.get("secondary"), pair.get("copy_group")) else {
                    continue;
                };
                let what = format!("the secondary of volume '{known}', generation {generation},");
                let host = host_of(secondary);
                for key in ["path", "device"] {
                    add(Role::Secondary, what.clone(), name, host.as_deref(), group, secondary.get(key));
                }
            }
        }
    }
    for (name, library) in children(at(tree, &["libraries"])) {
        let host = host_of(library);
        add(Role::Library, format!("the library '{name}'"), "", host.as_deref(), None, library.get("path"));
    }
    places
}

/// Why `inner`, which lies in `outer` or is the same, must not.
fn conflict(outer: &Place, inner: &Place) -> Option<Problem> {
    let same = outer.path == inner.path;
    // A cascade: the primary of the volume behind is what a pair has copied.
    let cascade = |front: &Place, behind: &Place| {
        (front.role, behind.role) == (Role::Secondary, Role::Primary)
            && front.group.is_some()
            && front.group == behind.group
    };
    if cascade(outer, inner) || cascade(inner, outer) {
        return None;
    }
    let kept = |place: &Place| matches!(place.role, Role::State | Role::Library);
    // A secondary or library may lie in a state directory, and state directories in one another: neither copies nor
    // deletes what it does not know. Primaries and secondaries do.
    if !same && kept(outer) && inner.role != Role::Primary {
        return None;
    }
    let own = !outer.volume.is_empty() && outer.volume == inner.volume && outer.role != inner.role;
    let help = match (outer.role, inner.role) {
        _ if own => "a pair needs two places, neither within the other",
        (Role::Secondary, Role::Secondary) if same => "give each pair a secondary of its own",
        (Role::State, Role::State) => "give each host a state directory of its own",
        (Role::Primary, Role::Primary) => {
            "what shares a directory is one volume: declare one, or directories side by side"
        }
        (Role::Secondary, Role::Primary) => {
            "of a volume behind this pair, a cascade, say so: behind: \"GROUP,DEVICE\"; else give it another place"
        }
        (Role::Primary, _) => "it would be copied with the primary, and overwritten by a restore",
        (Role::Secondary, _) => "a resync would remove or overwrite it",
        _ => "give it a directory of its own",
    };
    let relation = if same { "is also" } else { "lies in" };
    // The one that is written later is where the operator has to look.
    let (later, earlier) = if outer.span.start > inner.span.start { (outer, inner) } else { (inner, outer) };
    let role = |place: &Place| if std::ptr::eq(place, outer) { "the outer one" } else { "the inner one" };
    let (here, there) = if same { ("this place", "the same place") } else { (role(later), role(earlier)) };
    Some(
        Problem::at(
            later.span.clone(),
            format!("{} {relation} {}", inner.what, outer.what.trim_end_matches(',')),
        )
        .label(here)
        .related(earlier.span.clone(), there)
        .help(help),
    )
}
