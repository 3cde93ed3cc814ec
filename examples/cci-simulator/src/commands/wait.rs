//! `pairevtwait`: waits until every pair has a status, or says at once which they have. CCI User and Reference Guide
//! MK-90RD011, and HP P9000 RAID Manager Reference Guide for `-ss`. Which code goes with which end is recollected.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use resplit_operations::pair::verdict::ArrayStatus;

use super::{Fault, display::status_of, hang};
use crate::{
    Ended,
    array::Locked,
    options::{Options, lacks_remote},
};

/// How often the array is looked at, however long the interval is: nobody can tell the difference.
const LOOK: Duration = Duration::from_millis(20);

pub(super) fn wait(directory: &Path, arguments: &[String]) -> Result<Ended, Fault> {
    let own =
        [("-s", 1, 6), ("-ss", 1, 6), ("-t", 1, 2), ("-nowait", 0, 0), ("-nowaits", 0, 0), ("-l", 0, 0)];
    let options = Options::read(arguments, &own)?;
    let now = options.has("-nowait") || options.has("-nowaits");
    let wanted = |name: &str| -> Vec<String> {
        options.own.iter().filter(|(one, _)| one == name).flat_map(|(_, values)| values.clone()).collect()
    };
    let (primary, secondary) = (wanted("-s"), wanted("-ss"));
    let known = ["smpl", "copy", "pair", "psus", "psue", "ssus"];
    if primary.iter().chain(&secondary).any(|word| !known.contains(&word.as_str())) {
        return Err("EX_INVARG".into());
    }
    let limit = options.value("-t").map(str::parse).transpose().map_err(|_| "EX_INVARG")?;
    if !now && (limit.is_none() || (primary.is_empty() && secondary.is_empty())) {
        return Err("EX_REQARG".into());
    }
    let until = Instant::now() + Duration::from_secs(limit.unwrap_or(0));
    loop {
        let statuses = look(directory, &options)?;
        if now {
            return at_once(&statuses, options.has("-nowaits"));
        }
        let has = |words: &[String], is_primary| {
            words.is_empty() || statuses.iter().all(|status| is(words, *status, is_primary))
        };
        if has(&primary, true) && has(&secondary, false) {
            return Ok(Ended::said("pairevtwait : Wait status done.\n"));
        }
        if statuses.iter().any(|status| matches!(status, ArrayStatus::Psue | ArrayStatus::Pfus)) {
            return Err("EX_EWSUSE".into());
        }
        if Instant::now() >= until {
            return Err(if options.has("-l") { "EX_EWSLTO" } else { "EX_EWSTOT" }.into());
        }
        thread::sleep(LOOK);
    }
}

fn look(directory: &Path, options: &Options) -> Result<Vec<ArrayStatus>, Fault> {
    let locked = Locked::open(directory)?;
    let meant = options.meant(&locked.array)?;
    if !options.has("-l") && lacks_remote(&locked.array, &meant) {
        if locked.array.edition.remote_hangs {
            drop(locked);
            hang();
        }
        return Err("EX_ENORMT".into());
    }
    // What time has finished is kept.
    locked.save()?;
    Ok(meant.iter().map(|meant| options.seen(&locked.array.pairs[meant.at])).collect())
}

/// Whether a status is one of the words: COPY is also RCPY, and PSUS is SSUS on the secondary.
fn is(words: &[String], status: ArrayStatus, is_primary: bool) -> bool {
    let word = match status_of(status, is_primary, false) {
        "RCPY" => "copy".to_owned(),
        word => word.to_lowercase(),
    };
    words.iter().any(|wanted| *wanted == word || (wanted == "psus" && word == "ssus"))
}

/// The status as a code: 1 SMPL, 2 COPY, 3 PAIR, 4 PSUS, 5 PSUE (recollected); a group has to have one.
fn at_once(statuses: &[ArrayStatus], of_secondary: bool) -> Result<Ended, Fault> {
    let code = |status: &ArrayStatus| match status_of(*status, !of_secondary, false) {
        "SMPL" => 1,
        "COPY" | "RCPY" => 2,
        "PAIR" => 3,
        "PSUS" | "SSUS" => 4,
        _ => 5,
    };
    let codes: Vec<u8> = statuses.iter().map(code).collect();
    match codes.as_slice() {
        [first, rest @ ..] if rest.iter().all(|one| one == first) => Ok(Ended::coded(*first, "")),
        _ => Err("EX_ENQVOL".into()),
    }
}
