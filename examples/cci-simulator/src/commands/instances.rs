//! The instances of the manager: starting, stopping and asking them. Lines and codes as a vendor's start script of 2017
//! prints and gives them.

use std::{fmt::Write as _, path::Path};

use super::Fault;
use crate::{
    Ended,
    array::{Array, Locked},
    options::Options,
};

fn wanted(arguments: &[String]) -> Result<Vec<u32>, Fault> {
    if arguments.is_empty() {
        let from = std::env::var("HORCMINST").unwrap_or_else(|_| "0".to_owned());
        return from.parse().map(|number| vec![number]).map_err(|_| "EX_INVARG".into());
    }
    arguments.iter().map(|text| text.parse().map_err(|_| "EX_INVARG".into())).collect()
}

fn is_known(array: &Array, instance: u32) -> bool {
    array.pairs.iter().any(|pair| pair.primary.instance == instance || pair.secondary.instance == instance)
}

/// `horcmstart.sh [instance ...]`: one that runs already ends it with 1, and those after it are not started.
pub(super) fn start(directory: &Path, arguments: &[String]) -> Result<Ended, Fault> {
    let mut out = String::new();
    let mut locked = Locked::open(directory)?;
    for instance in wanted(arguments)? {
        if locked.array.running.contains(&instance) {
            let _ = writeln!(out, "HORCM inst {instance} has already been running.");
            return Ok(Ended::coded(1, out));
        }
        let _ = writeln!(out, "starting HORCM inst {instance}");
        if !is_known(&locked.array, instance) {
            let _ = writeln!(out, "HORCM inst {instance} has failed to start.");
            return Ok(Ended::coded(3, out));
        }
        let _ = locked.array.running.insert(instance);
        locked.save()?;
        let _ = writeln!(out, "HORCM inst {instance} starts successfully.");
    }
    Ok(Ended::said(out))
}

/// `horcmshutdown.sh [instance ...]`.
pub(super) fn shutdown(directory: &Path, arguments: &[String]) -> Result<Ended, Fault> {
    let mut out = String::new();
    let mut locked = Locked::open(directory)?;
    for instance in wanted(arguments)? {
        let _ = writeln!(out, "inst {instance}:");
        if !locked.array.running.remove(&instance) {
            return Err("EX_ATTHOR".into());
        }
        locked.save()?;
        let _ = writeln!(out, "HORCM Shutdown inst {instance} !!!");
    }
    Ok(Ended::said(out))
}

/// `raidqry -l`, `-g` and `-h`. The columns of `-l` are those of CCI 01-35; the rest of `-g` is recollected.
pub(super) fn query(directory: &Path, arguments: &[String]) -> Result<Ended, Fault> {
    let options = Options::read(arguments, &[("-l", 0, 0), ("-g", 0, 0), ("-h", 0, 0)])?;
    if options.has("-h") {
        return Ok(Ended::said(
            "Model  : simulated\nVer&Rev: 01-35-03/08\nUsage  : raidqry [options] -l | -g\n",
        ));
    }
    let locked = Locked::open(directory)?;
    let array = &locked.array;
    if !array.running.contains(&options.instance) {
        return Err("EX_ATTHOR".into());
    }
    if options.has("-g") {
        let mut groups: Vec<&str> = array.pairs.iter().map(|pair| pair.group.as_str()).collect();
        groups.dedup();
        let mut out = "GNo  Group  RAID_type\n".to_owned();
        for (number, group) in (1..).zip(groups) {
            let _ = writeln!(out, "{number:>3}  {group}  simulated");
        }
        return Ok(Ended::said(out));
    }
    if !options.has("-l") {
        return Err("EX_REQARG".into());
    }
    let mut serials: Vec<u32> =
        array.pairs.iter().flat_map(|pair| [pair.primary.serial, pair.secondary.serial]).collect();
    serials.sort_unstable();
    serials.dedup();
    let mut out =
        "No  Group    Hostname     HORCM_ver   Uid   Serial#   Micro_ver     Cache(MB)\n".to_owned();
    for (unit, serial) in serials.into_iter().enumerate() {
        let _ = writeln!(
            out,
            "{:>2}    ---   localhost   01-35-03-08 {unit:>5} {serial:>8}   83-01-28/00      320000",
            unit + 1
        );
    }
    Ok(Ended::said(out))
}
