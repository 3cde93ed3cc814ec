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
    machine: String,
    /// Of a secondary, its pair; of a primary, the pair in front.
    group: Option<String>,
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

/// The host that a place is on, and the pair that it belongs to.
#[derive(Clone, Copy)]
struct Of<'a> {
    host: Option<&'a str>,
    group: Option<View<'a>>,
}

fn host_of(view: View<'_>) -> Option<&str> {
    view.get("host")?.text()
}

fn collect(tree: &Tree, directory: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    let mut add = |role, what: String, volume: &str, of: Of<'_>, path: Option<View<'_>>| {
        if let Some((text, span)) =
            path.and_then(|path| Some((path.text().filter(|text| !text.is_empty())?, path.span())))
        {
            let (machine, base) = hosts::ground(tree, of.host, directory);
            let path = absolute(&base, Path::new(text));
            let group = of.group.and_then(View::text).map(str::to_owned);
            places.push(Place { role, what, volume: volume.to_owned(), machine, group, path, span });
        }
    };
    for (name, host) in children(at(tree, &["hosts"])) {
        let of = Of { host: Some(name), group: None };
        add(Role::State, format!("the state directory of host '{name}'"), "", of, host.get("state"));
    }
    for (name, volume) in children(at(tree, &["volumes"])) {
        let primary = volume.get("primary");
        let of = Of { host: primary.and_then(host_of), group: volume.get("behind") };
        let path = primary.and_then(|primary| primary.get("path"));
        add(Role::Primary, format!("the primary of volume '{name}'"), name, of, path);
        let targets =
            children(volume.get("targets")).map(|(target, view)| (format!("{name}.{target}"), view));
        for (known, view) in std::iter::once((name.to_owned(), volume)).chain(targets) {
            for (generation, pair) in view.get("pairs").into_iter().flat_map(View::items).enumerate() {
                let secondary = pair.get("secondary");
                let of = Of { host: secondary.and_then(host_of), group: pair.get("copy_group") };
                let what = format!("the secondary of volume '{known}', generation {generation},");
                for key in ["path", "device"] {
                    let path = secondary.and_then(|side| side.get(key));
                    add(Role::Secondary, what.clone(), name, of, path);
                }
            }
        }
    }
    for (name, library) in children(at(tree, &["libraries"])) {
        let of = Of { host: host_of(library), group: None };
        add(Role::Library, format!("the library '{name}'"), "", of, library.get("path"));
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
