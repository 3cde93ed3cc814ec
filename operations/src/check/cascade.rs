//! Cascades: a volume whose primary is the secondary of another volume's pair. The pair in front is named, must exist, and
//! must be where the volume says that its primary is.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::site::{children, text};
use crate::{
    report::{Problem, shown},
    schema::nearest,
    site::PairDriverKind,
    yaml::View,
};

/// A pair that may stand in front: the volume it belongs to, and what is written of it.
struct Front<'a> {
    volume: &'a str,
    driver: Option<String>,
    pair: View<'a>,
}

/// Reports volumes that name a pair in front which cannot be that.
pub(super) fn check(volumes: View<'_>, problems: &mut Vec<Problem>) {
    let mut fronts = BTreeMap::new();
    for (name, volume) in children(Some(volumes)) {
        let targets = children(volume.get("targets")).map(|(_, target)| target);
        for view in std::iter::once(volume).chain(targets) {
            for pair in view.get("pairs").into_iter().flat_map(View::items) {
                if let Some(group) = pair.get("copy_group").and_then(View::text) {
                    let _ =
                        fronts.insert(group, Front { volume: name, driver: text(view, &["driver"]), pair });
                }
            }
        }
    }
    for (name, volume) in children(Some(volumes)) {
        let Some(behind) = volume.get("behind") else { continue };
        let Some(group) = behind.text() else { continue };
        if let Some(problem) = refused(name, volume, behind, group, &fronts, volumes) {
            problems.push(problem);
        }
    }
}

fn refused(
    name: &str,
    volume: View<'_>,
    behind: View<'_>,
    group: &str,
    fronts: &BTreeMap<&str, Front<'_>>,
    volumes: View<'_>,
) -> Option<Problem> {
    let Some(front) = fronts.get(group) else {
        let near = nearest(group, fronts.keys().copied());
        let problem = Problem::at(behind.span(), format!("there is no pair '{}'", shown(group)));
        return Some(
            problem.label("unknown pair").help_if(near.map(|near| format!("did you mean '{near}'?"))),
        );
    };
    if let Some(circle) = circle(name, fronts, volumes) {
        let problem =
            Problem::at(behind.span(), format!("pairs lie behind each other in a circle: {circle}"));
        return Some(
            problem.label("part of the circle").help("name the pair whose secondary this primary is"),
        );
    }
    let host = |view: View<'_>, side: &str| text(view, &[side, "host"]);
    let (of_pair, of_primary) = (host(front.pair, "secondary"), host(volume, "primary"));
    if let (Some(there), Some(here)) = (&of_pair, &of_primary)
        && there != here
    {
        let message = format!(
            "the secondary of '{}' is on host '{}', and this primary on '{}'",
            shown(group),
            shown(there),
            shown(here)
        );
        let problem = Problem::at(behind.span(), message).label("another host");
        return Some(
            problem.related(front.pair.span(), "the pair").help("they are one place: name one host"),
        );
    }
    // Where an array keeps its copy, and where that is mounted, is nothing that a path could tell.
    let is_ours = |driver: &String| PairDriverKind::BUILT_IN.iter().any(|kind| kind.to_string() == *driver);
    let primary = text(volume, &["primary", "path"])?;
    let place = |key: &str| text(front.pair, &["secondary", key]);
    let within = place("path").is_none_or(|path| Path::new(&primary).starts_with(Path::new(&path)));
    let is_device = place("device").is_some_and(|device| device == primary);
    if front.driver.as_ref().is_some_and(is_ours) && !within && !is_device {
        let message = format!("this primary is not the secondary of '{}'", shown(group));
        let help = format!(
            "what the pair copies to is in {}: a directory in its 'data'",
            place("path").unwrap_or_default()
        );
        let problem = Problem::at(behind.span(), message).label("another place");
        return Some(problem.related(front.pair.span(), "the pair").help(help));
    }
    None
}

/// The circle of volumes that one is in, if it is.
fn circle(name: &str, fronts: &BTreeMap<&str, Front<'_>>, volumes: View<'_>) -> Option<String> {
    let (mut at, mut seen, mut path) = (name, BTreeSet::new(), vec![name]);
    while seen.insert(at) {
        let group = volumes.get(at)?.get("behind")?.text()?;
        at = fronts.get(group)?.volume;
        path.push(at);
    }
    (at == name).then(|| path.join(" -> "))
}
