//! `pairvolchk`: the status as an exit code. Codes and the rule for groups: CCI User and Reference Guide MK-90RD011,
//! Tables 4.15 and the return values of `pairvolchk`.

use std::path::Path;

use resplit_operations::pair::verdict::{ArrayStatus, CopyType};

use super::{Fault, display::status_of};
use crate::{
    Ended,
    array::{Locked, Pair},
    options::{Options, lacks_remote},
};

/// In which order one member's status stands for its group's.
const RULE: [&str; 7] = ["COPY", "PSUE", "PDUB", "PFUS", "PSUS", "PFUL", "PAIR"];
/// The same with `-ss`: one member that is still PAIR hides one that is PSUS.
const RULE_OF_SS: [&str; 7] = ["COPY", "PSUE", "PDUB", "PFUL", "PAIR", "PFUS", "PSUS"];

pub(super) fn check(directory: &Path, arguments: &[String]) -> Result<Ended, Fault> {
    let options = Options::read(arguments, &[("-c", 0, 0), ("-s", 0, 0), ("-ss", 0, 0)])?;
    let locked = Locked::open(directory)?;
    let array = &locked.array;
    let meant = options.meant(array)?;
    if options.has("-c") && lacks_remote(array, &meant) {
        return Err("EX_ENORMT".into());
    }
    let Some(first) = meant.first() else { return Err("EX_ENOGRP".into()) };
    let pair = &array.pairs[first.at];
    let seen: Vec<ArrayStatus> = meant.iter().map(|meant| options.seen(&array.pairs[meant.at])).collect();
    if seen.iter().all(|status| *status == ArrayStatus::Smpl) {
        let code = if options.has("-s") || options.has("-ss") { 11 } else { 1 };
        return Ok(Ended::coded(code, "pairvolchk : Volstat is SMPL.[status = SMPL]\n"));
    }
    let is_primary = first.local_is_primary;
    let role = if is_primary { "P-VOL" } else { "S-VOL" };
    if !options.has("-s") && !options.has("-ss") {
        return Ok(Ended::coded(if is_primary { 2 } else { 3 }, message(pair, role, "")));
    }
    let by_ss = options.has("-ss") && !array.edition.old_volchk;
    let rule = if by_ss { RULE_OF_SS } else { RULE };
    let words: Vec<&str> = seen.iter().map(|status| counted(*status)).collect();
    let word = rule.into_iter().find(|word| words.contains(word)).unwrap_or("PSUE");
    let code = code(word, is_primary, pair.copy_type == CopyType::UniversalReplicator);
    Ok(Ended::coded(code, message(pair, role, word)))
}

/// The word of a status here: SSWS is not told from PSUS.
fn counted(status: ArrayStatus) -> &'static str {
    match status_of(status, true, true) {
        "RCPY" => "COPY",
        word => word,
    }
}

fn code(word: &str, is_primary: bool, by_journal: bool) -> u8 {
    let place = ["COPY", "PAIR", "PSUS", "PSUE", "PDUB", "PFUL", "PFUS"].iter().position(|one| *one == word);
    let base = if is_primary { 22 } else { 32 };
    base + u8::try_from(place.unwrap_or(3)).unwrap_or(3) + if by_journal { 20 } else { 0 }
}

fn message(pair: &Pair, role: &str, word: &str) -> String {
    let word = if word.is_empty() { status_of(pair.status, role == "P-VOL", false) } else { word };
    let fence = match pair.copy_type {
        CopyType::TrueCopy => " fence = NEVER",
        CopyType::UniversalReplicator => " fence = ASYNC CTGID = 2",
        CopyType::ShadowImage | CopyType::ThinImage | CopyType::Mirror | CopyType::Snapshot => "",
    };
    format!("pairvolchk : Volstat is {role}.[status = {word}{fence} ]\n")
}
