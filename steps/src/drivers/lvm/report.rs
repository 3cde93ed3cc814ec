//! What LVM says of its volumes.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::program::ask;
use crate::failure::Failure;

/// A logical volume.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "what LVM reports, each by itself")]
pub(super) struct Volume {
    pub(super) name: String,
    /// Whether it is a part of another one, which LVM writes in brackets.
    pub(super) is_hidden: bool,
    pub(super) uuid: String,
    pub(super) attributes: String,
    pub(super) tags: Vec<String>,
    /// Of what it is a snapshot.
    pub(super) origin: String,
    /// In bytes.
    pub(super) size: u64,
    /// As `raid,raid1`, `thin,sparse`, `linear`.
    pub(super) layout: String,
    /// Whether it is being merged.
    pub(super) is_merging: bool,
    /// Whether it is a snapshot that was full.
    pub(super) is_invalid: bool,
    /// What is wrong with it; empty if nothing is.
    pub(super) health: String,
    /// Whether somebody has it open.
    pub(super) is_open: bool,
    /// Whether its writers wait: a program of LVM was killed.
    pub(super) is_suspended: bool,
    /// How full a snapshot is, in per cent.
    pub(super) full: Option<f64>,
    /// The physical volumes, or other logical ones, on which it lies.
    pub(super) on: Vec<String>,
    pub(super) pool: String,
    pub(super) device: PathBuf,
}

/// The fields that are asked for.
const FIELDS: &str = "lv_name,lv_uuid,lv_attr,lv_tags,origin,lv_size,lv_layout,lv_merging,lv_snapshot_invalid,\
                      lv_health_status,lv_device_open,lv_suspended,data_percent,devices,pool_lv,lv_dm_path";

/// A row of `lvs --reportformat json`: all its values are text.
#[derive(Deserialize)]
struct Row {
    lv_name: String,
    lv_uuid: String,
    lv_attr: String,
    lv_tags: String,
    origin: String,
    lv_size: String,
    lv_layout: String,
    lv_merging: String,
    lv_snapshot_invalid: String,
    lv_health_status: String,
    lv_device_open: String,
    lv_suspended: String,
    data_percent: String,
    devices: String,
    pool_lv: String,
    lv_dm_path: PathBuf,
}

#[derive(Deserialize)]
struct Rows {
    lv: Vec<Row>,
}

#[derive(Deserialize)]
struct Group {
    vg_free: String,
}

#[derive(Deserialize)]
struct Groups {
    vg: Vec<Group>,
}

#[derive(Deserialize)]
struct Physical {
    vg_name: String,
    pv_free: String,
}

#[derive(Deserialize)]
struct Physicals {
    pv: Vec<Physical>,
}

#[derive(Deserialize)]
struct Report<R> {
    report: Vec<R>,
}

/// All volumes of a group, hidden ones among them.
pub(super) fn volumes(group: &str) -> Result<Vec<Volume>, Failure> {
    let argv = ["lvs", "--all", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", FIELDS, group];
    parse(&ask(&argv)?)
}

fn parse(said: &[u8]) -> Result<Vec<Volume>, Failure> {
    let mut found: Vec<Volume> = Vec::new();
    for row in rows::<Rows>(said)?.into_iter().flat_map(|rows| rows.lv) {
        let size = row.lv_size.parse().map_err(|_| unknown(said, "a size is no number"))?;
        let device = row.devices.split(',').map(|one| one.split('(').next().unwrap_or(one).to_owned());
        // A volume in several pieces has a row for each.
        if let Some(earlier) = found.iter_mut().find(|one| one.uuid == row.lv_uuid) {
            earlier.on.extend(device.filter(|one| !one.is_empty()));
            continue;
        }
        let name = row.lv_name.trim_start_matches('[').trim_end_matches(']');
        found.push(Volume {
            is_hidden: name != row.lv_name,
            name: name.to_owned(),
            uuid: row.lv_uuid,
            attributes: row.lv_attr,
            tags: row.lv_tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            origin: row.origin.trim_start_matches('[').trim_end_matches(']').to_owned(),
            size,
            layout: row.lv_layout,
            is_merging: row.lv_merging == "merging",
            is_invalid: row.lv_snapshot_invalid == "snapshot invalid",
            health: row.lv_health_status,
            is_open: row.lv_device_open == "open",
            is_suspended: row.lv_suspended == "suspended",
            full: row.data_percent.parse().ok(),
            on: device.filter(|one| !one.is_empty()).collect(),
            pool: row.pool_lv.trim_start_matches('[').trim_end_matches(']').to_owned(),
            device: row.lv_dm_path,
        });
    }
    Ok(found)
}

fn rows<R: for<'a> Deserialize<'a>>(said: &[u8]) -> Result<Vec<R>, Failure> {
    let report: Report<R> =
        serde_json::from_slice(said).map_err(|error| unknown(said, &error.to_string()))?;
    Ok(report.report)
}

/// That what LVM says is not understood, which shows it.
fn unknown(said: &[u8], why: &str) -> Failure {
    const MOST: usize = 2_000;
    let shown: String = String::from_utf8_lossy(said).chars().take(MOST).collect();
    Failure::permanent(format!("what LVM says is not understood ({why}); it said: {}", shown.trim()))
        .with_help("lvm version: resplit knows the reports of 2.03")
}

/// How equal the parts of a mirror are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mirror {
    pub(super) is_equal: bool,
    /// In per cent, of what is being copied.
    pub(super) percent: Option<f64>,
}

/// Asks the kernel itself. `lvs` says 100 % and a part that is in sync also of one that was just merged, and is not copied
/// to yet.
pub(super) fn mirror(device: &Path) -> Result<Mirror, Failure> {
    let name = device.file_name().unwrap_or_default().to_string_lossy();
    let said = ask(&["dmsetup", "status", "--target", "raid", &name])?;
    parse_mirror(&String::from_utf8_lossy(&said)).ok_or_else(|| unknown(&said, "it is no status of a mirror"))
}

/// `START LENGTH raid raid1 PARTS HEALTH DONE/ALL ACTION ...` (Documentation/admin-guide/device-mapper/dm-raid.rst): a part
/// is `A` once it is alive and in sync.
fn parse_mirror(said: &str) -> Option<Mirror> {
    let words: Vec<&str> = said.split_whitespace().collect();
    let [_, _, "raid", _, _, health, ratio, action, ..] = words.as_slice() else { return None };
    let (done, all) = ratio.split_once('/')?;
    let (done, all): (f64, f64) = (done.parse().ok()?, all.parse().ok()?);
    let is_equal = *action == "idle" && health.chars().all(|part| part == 'A') && done >= all;
    Some(Mirror { is_equal, percent: (all > 0.0).then(|| 100.0 * done / all) })
}

/// Bytes that are free in a group.
pub(super) fn free_in_group(group: &str) -> Result<u64, Failure> {
    let said = ask(&["vgs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", "vg_free", group])?;
    let groups = rows::<Groups>(&said)?;
    let free = groups.first().and_then(|groups| groups.vg.first()).map(|group| group.vg_free.parse());
    free.and_then(Result::ok).ok_or_else(|| unknown(&said, "it does not say what is free"))
}

/// A physical volume: its group, and the bytes that are free on it.
pub(super) fn physical(device: &str) -> Result<(String, u64), Failure> {
    let argv =
        ["pvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", "vg_name,pv_free", device];
    let said = ask(&argv).map_err(|failure| {
        failure.with_help("name a physical volume of the primary's group (pvs shows them) in the site file")
    })?;
    let all = rows::<Physicals>(&said)?;
    let one = all.into_iter().next().and_then(|all| all.pv.into_iter().next());
    let one = one.ok_or_else(|| unknown(&said, "it names no physical volume"))?;
    let free = one.pv_free.parse().map_err(|_| unknown(&said, "it does not say what is free"))?;
    Ok((one.vg_name, free))
}

#[cfg(test)]
mod tests;
