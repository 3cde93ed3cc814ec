//! What a volume of LVM has to say, and no other says.

use super::site::children;
use crate::{
    report::{Problem, shown},
    yaml::View,
};

/// Checks `lvm` of every volume, where it has to be, and where it must not be.
pub(super) fn check(volumes: View<'_>, problems: &mut Vec<Problem>) {
    for (name, volume) in children(Some(volumes)) {
        let Some(driver) = volume.get("driver") else { continue };
        match (driver.text(), volume.get("lvm")) {
            (Some("lvm"), None) => problems.push(
                Problem::at(driver.span(), format!("volume '{}' does not say what LVM makes", shown(name)))
                    .label("needs `lvm`")
                    .help("add for example `lvm: { kind: snapshot, size: 20GiB }`"),
            ),
            (Some("lvm"), Some(lvm)) => {
                check_primary(volume, problems);
                check_kind(volume, lvm, problems);
            }
            (Some(other), Some(lvm)) => problems.push(
                Problem::at(lvm.span(), format!("driver '{}' does not ask LVM", shown(other)))
                    .label("only with `driver: lvm`")
                    .help("remove 'lvm', or write `driver: lvm`"),
            ),
            _ => {}
        }
    }
}

/// LVM knows a volume by its group and its name, which the path has to say.
fn check_primary(volume: View<'_>, problems: &mut Vec<Problem>) {
    let Some(path) = volume.get("primary").and_then(|primary| primary.get("path")) else { return };
    let Some(text) = path.text().filter(|text| !text.is_empty()) else { return };
    let mut words = text.strip_prefix("/dev/").unwrap_or_default().split('/');
    let is_one = matches!(
        (words.next(), words.next(), words.next()),
        (Some(group), Some(volume), None) if !group.is_empty() && !volume.is_empty()
    );
    if !is_one {
        problems.push(
            Problem::at(path.span(), format!("'{}' is no path of a logical volume", shown(text)))
                .label("expected /dev/GROUP/VOLUME")
                .help("lvs shows groups and volumes"),
        );
    }
}

fn check_kind(volume: View<'_>, lvm: View<'_>, problems: &mut Vec<Problem>) {
    let Some(kind) = lvm.get("kind") else { return };
    let Some(word @ ("snapshot" | "thin" | "raid1")) = kind.text() else { return };
    for (key, wanted, example) in [
        ("size", "snapshot", "size: 20GiB`: how much may be written until it is full"),
        ("device", "raid1", "device: /dev/disk/by-id/NAME`: the physical volume whose half is split"),
    ] {
        match lvm.get(key) {
            None if word == wanted => problems.push(
                Problem::at(kind.span(), format!("kind '{word}' does not say its {key}"))
                    .label(format!("needs `{key}`"))
                    .help(format!("add `{example}")),
            ),
            Some(said) if word != wanted => problems.push(
                Problem::at(said.span(), format!("kind '{word}' has no {key}"))
                    .label(format!("only with `kind: {wanted}`"))
                    .help(format!("remove '{key}'")),
            ),
            _ => {}
        }
    }
    let pairs = volume.get("pairs").into_iter().flat_map(View::items).nth(1);
    if let Some(second) = pairs.filter(|_| word == "raid1") {
        problems.push(
            Problem::at(second.span(), "LVM tracks what is written since one half was split, not since two")
                .label("the second pair of a raid1")
                .help("remove it; for more generations use `kind: snapshot` or `kind: thin`"),
        );
    }
}
