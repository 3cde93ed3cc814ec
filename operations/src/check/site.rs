//! What a site means.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    LibraryFacts, SiteFacts, VolumeFacts, at, cascade, hosts, lvm, places, repeated, settings, transports,
};
use crate::{
    definitions::Drivers,
    ids::is_name,
    pace,
    report::{Problem, shown},
    schema::Reference,
    site::{PairDriverKind, absolute, targets::LOCAL},
    units::Size,
    yaml::{Tree, View},
};

/// The smallest cartridge: room for a label, an index and some data.
const SMALLEST_CARTRIDGE: Size = Size(1 << 20);

/// The drivers whose primary is a volume. Of all others, also those that a file declares, it is a directory.
const VOLUMES: [&str; 3] = ["image", "lvm", "qemu"];

/// The drivers whose copy can be a block device.
const ON_DEVICES: [&str; 1] = ["image"];

/// The drivers that can send what differs from one engine to another.
const STREAMS: [&str; 1] = ["directory"];

/// Checks a site in its directory; returns what operations are checked against.
pub(crate) fn check(
    tree: &Tree,
    directory: &Path,
    drivers: &Drivers,
    references: &[Reference],
    problems: &mut Vec<Problem>,
) -> SiteFacts {
    let facts = SiteFacts { drivers: drivers.names(), ..facts(tree, directory, drivers) };
    facts.unknown_names(references, problems);
    if let Some(volumes) = at(tree, &["volumes"]) {
        target_names(volumes, problems);
        unique_copy_groups(volumes, problems);
        cascade::check(volumes, problems);
        devices(volumes, problems);
        streams(tree, volumes, problems);
        settings::check(volumes, drivers, problems);
        disks(volumes, problems);
        lvm::check(volumes, problems);
    }
    for (_, library) in children(at(tree, &["libraries"])) {
        check_library(library, problems);
    }
    transports::check(tree, problems);
    hosts::check(tree, directory, problems);
    places::check(tree, directory, problems);
    facts
}

/// The names and values of a map.
pub(super) fn children(view: Option<View<'_>>) -> impl Iterator<Item = (&str, View<'_>)> {
    view.into_iter().flat_map(|view| view.entries().iter().map(move |e| (e.key.as_str(), view.at(e.value))))
}

/// Every volume, and each of its further targets under the name that it has as a volume.
pub(super) fn with_targets(volumes: View<'_>) -> Vec<(String, View<'_>)> {
    let mut all = Vec::new();
    for (name, volume) in children(Some(volumes)) {
        all.push((name.to_owned(), volume));
        all.extend(children(volume.get("targets")).map(|(target, view)| (format!("{name}.{target}"), view)));
    }
    all
}

/// Reports targets whose names cannot be those of volumes, or that are another's, and those that QEMU would have to make.
fn target_names(volumes: View<'_>, problems: &mut Vec<Problem>) {
    for (name, volume) in children(Some(volumes)) {
        for entry in volume.get("targets").into_iter().flat_map(View::entries) {
            let whole = format!("{name}.{}", entry.key);
            let (what, help) = if entry.key == LOCAL {
                ("is the volume's own pairs", "give the target another name")
            } else if !is_name(&whole) {
                ("makes a name that is too long", "shorten the name of the volume, or of the target")
            } else if volumes.get(&whole).is_some() {
                ("makes the name of another volume", "rename one of the two")
            } else {
                continue;
            };
            let message = format!("the target '{}' {what}", shown(&entry.key));
            problems.push(
                Problem::at(entry.key_span.clone(), message).label(format!("'{}'", shown(&whole))).help(help),
            );
        }
        for (_, target) in children(volume.get("targets")) {
            if let Some(driver) = target.get("driver").filter(|driver| driver.text() == Some("qemu")) {
                let message = "QEMU copies a disk to the pairs of the volume that names the disk";
                problems.push(
                    Problem::at(driver.span(), message)
                        .label("not for a further target")
                        .help("list these pairs among the volume's own"),
                );
            }
        }
    }
}

pub(super) fn text(view: View<'_>, path: &[&str]) -> Option<String> {
    path.iter().try_fold(view, |view, key| view.get(key))?.text().map(str::to_owned)
}

fn facts(tree: &Tree, directory: &Path, drivers: &Drivers) -> SiteFacts {
    let ground =
        |view: View<'_>| hosts::ground(tree, text(view, &["primary", "host"]).as_deref(), directory).1;
    let volume = |base: View<'_>, view: View<'_>| VolumeFacts {
        host: text(base, &["primary", "host"]),
        primary: text(base, &["primary", "path"]).map(|path| absolute(&ground(base), Path::new(&path))),
        base: ground(base),
        is_tree: text(view, &["driver"]).is_some_and(|driver| !VOLUMES.contains(&driver.as_str())),
        wants_freeze: text(view, &["lvm", "kind"]).as_deref() == Some("raid1"),
        has_pace: text(view, &["driver"])
            .is_some_and(|driver| pace::is_taken(&driver, drivers.file(&driver).map(|file| &**file))),
        secondary_hosts: view
            .get("pairs")
            .into_iter()
            .flat_map(View::items)
            .filter_map(|pair| text(pair, &["secondary", "host"]))
            .collect(),
    };
    let library = |view: View<'_>| LibraryFacts {
        host: text(view, &["host"]),
        pools: view
            .get("pools")
            .into_iter()
            .flat_map(View::items)
            .filter_map(|pool| pool.text().map(str::to_owned))
            .collect(),
    };
    SiteFacts {
        drivers: BTreeSet::new(),
        transports: children(at(tree, &["transports"])).map(|(name, _)| name.to_owned()).collect(),
        whole: tree.is_whole() && ["hosts", "volumes"].iter().all(|key| at(tree, &[key]).is_some()),
        hosts: children(at(tree, &["hosts"])).map(|(name, _)| name.to_owned()).collect(),
        volumes: children(at(tree, &["volumes"]))
            .flat_map(|(name, base)| {
                let targets = children(base.get("targets"));
                let targets =
                    targets.map(move |(target, view)| (format!("{name}.{target}"), volume(base, view)));
                std::iter::once((name.to_owned(), volume(base, base))).chain(targets)
            })
            .collect(),
        libraries: children(at(tree, &["libraries"]))
            .map(|(name, v)| (name.to_owned(), library(v)))
            .collect(),
    }
}

fn unique_copy_groups(volumes: View<'_>, problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for (_, volume) in with_targets(volumes) {
        for pair in volume.get("pairs").into_iter().flat_map(View::items) {
            let Some(name) = pair.get("copy_group") else { continue };
            let Some(text) = name.text() else { continue };
            if let Some(first) = seen.insert(text, name.span()) {
                problems.push(
                    Problem::at(name.span(), format!("two pairs have the copy group '{}'", shown(text)))
                        .label("again")
                        .related(first, "first here")
                        .help("give each pair a name of its own"),
                );
            }
        }
    }
}

/// A device means nothing to a driver that copies into a directory.
fn devices(volumes: View<'_>, problems: &mut Vec<Problem>) {
    for (_, volume) in with_targets(volumes) {
        let Some(driver) = text(volume, &["driver"]) else { continue };
        for pair in volume.get("pairs").into_iter().flat_map(View::items) {
            let device = pair.get("secondary").and_then(|secondary| secondary.get("device"));
            if let Some(device) = device.filter(|_| !ON_DEVICES.contains(&driver.as_str())) {
                problems.push(
                    Problem::at(device.span(), format!("driver '{}' copies to no device", shown(&driver)))
                        .label("only with `driver: image`")
                        .help("remove 'device': the copy is made in 'path'"),
                );
            }
        }
    }
}

/// Most drivers copy by means of what they drive, which has to reach both sides by their paths.
fn streams(tree: &Tree, volumes: View<'_>, problems: &mut Vec<Problem>) {
    let connect = |host: &str| at(tree, &["hosts", host, "connect"]).and_then(View::text);
    for (_, volume) in children(Some(volumes)) {
        let Some(driver) = text(volume, &["driver"]).filter(|driver| !STREAMS.contains(&driver.as_str()))
        else {
            continue;
        };
        let built_in = PairDriverKind::BUILT_IN.iter().any(|kind| kind.to_string() == driver);
        let primary = text(volume, &["primary", "host"]);
        for pair in volume.get("pairs").into_iter().flat_map(View::items) {
            let Some(secondary) = pair.get("secondary") else { continue };
            let reach = secondary.get("reach");
            if let Some(reach) = reach.filter(|reach| reach.text() == Some("stream")) {
                problems.push(
                    Problem::at(reach.span(), format!("driver '{}' sends no streams", shown(&driver)))
                        .label("only with `driver: directory`")
                        .help("remove 'reach': what the driver asks to copy has to reach both sides"),
                );
            }
            let (Some(host), Some(primary)) = (secondary.get("host"), &primary) else { continue };
            let both = [host.text().and_then(connect), connect(primary)];
            if built_in && reach.is_none() && both[0].is_some() && both[1].is_some() && both[0] != both[1] {
                problems.push(
                    Problem::at(
                        host.span(),
                        format!("driver '{}' reaches both sides by their paths", shown(&driver)),
                    )
                    .label(format!("not on the machine of host '{}'", shown(primary)))
                    .help(
                        "name a host on that machine, or, if the path is the same place on both, add `reach: path`; \
                         `driver: directory` needs neither",
                    ),
                );
            }
        }
    }
}

/// A disk behind QEMU is asked for by QEMU's own names; no other driver asks QEMU. Two volumes are not one disk.
fn disks(volumes: View<'_>, problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for (name, volume) in children(Some(volumes)) {
        let Some(driver) = volume.get("driver") else { continue };
        match (driver.text(), volume.get("qemu")) {
            (Some("qemu"), None) => problems.push(
                Problem::at(driver.span(), format!("volume '{}' does not say which disk it is", shown(name)))
                    .label("needs `qemu`")
                    .help("add for example `qemu: { socket: /run/disks/qmp.sock, node: disk0 }`"),
            ),
            (Some("qemu"), Some(disk)) => {
                let (Some(socket), Some(node)) = (text(disk, &["socket"]), text(disk, &["node"])) else {
                    continue;
                };
                if let Some(first) = seen.insert((socket, node), disk.span()) {
                    problems.push(
                        Problem::at(
                            disk.span(),
                            format!("volume '{}' is another volume's disk", shown(name)),
                        )
                        .label("again")
                        .related(first, "first here")
                        .help("declare the disk once, with all its pairs"),
                    );
                }
            }
            (Some(other), Some(disk)) => problems.push(
                Problem::at(disk.span(), format!("driver '{}' does not ask QEMU", shown(other)))
                    .label("only with `driver: qemu`")
                    .help("remove 'qemu', or write `driver: qemu`"),
            ),
            _ => {}
        }
    }
}

fn check_library(library: View<'_>, problems: &mut Vec<Problem>) {
    repeated(library.get("pools").into_iter().flat_map(View::items), "pool", problems);
    let Some(size) = library.get("cartridge_size") else { return };
    if size.text().and_then(Size::parse).is_some_and(|bytes| bytes < SMALLEST_CARTRIDGE) {
        problems.push(
            Problem::at(
                size.span(),
                format!("a cartridge of {} is too small", size.text().unwrap_or_default()),
            )
            .label(format!("expected at least {SMALLEST_CARTRIDGE}")),
        );
    }
}
