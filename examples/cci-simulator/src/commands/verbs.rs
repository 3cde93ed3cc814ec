//! `paircreate`, `pairsplit`, `pairresync`: what they do is looked up in the table of verdicts.

use std::{env, path::Path};

use resplit_operations::pair::verdict::{
    ArrayStatus::{self, Copy, Psus, Smpl, Splitting},
    ArrayVerb, CopyType, Refusal, Source, Verdict, sourced,
};

use super::{Fault, hang};
use crate::{
    Ended,
    array::{Array, Locked, Pair},
    options::{Options, lacks_remote},
};

/// How fast a copy is to be if nothing is said; recollected.
const PACE: u8 = 3;

/// A verb, and what goes with it.
struct Asked {
    verb: ArrayVerb,
    pace: u8,
    /// The split takes effect before its copy has ended.
    quick: bool,
    /// The secondary is to be writable.
    writable: bool,
}

fn pace(options: &Options, name: &str) -> Result<u8, Fault> {
    let Some(text) = options.value(name) else { return Ok(PACE) };
    text.parse().ok().filter(|pace| (1..=15).contains(pace)).ok_or_else(|| "EX_INVARG".into())
}

/// `paircreate -g G -vl|-vr [-c PACE] [-split] [-nocopy] [-f FENCE]`.
pub(super) fn create(directory: &Path, arguments: &[String]) -> Result<Ended, Fault> {
    let own = [
        ("-vl", 0, 0),
        ("-vr", 0, 0),
        ("-c", 1, 1),
        ("-split", 0, 0),
        ("-nocopy", 0, 0),
        ("-f", 1, 2),
        ("-m", 1, 2),
        ("-pid", 1, 1),
        ("-fq", 1, 1),
        ("-jp", 1, 1),
        ("-js", 1, 1),
    ];
    let options = Options::read(arguments, &own)?;
    // Which side becomes the primary has to be said; for remote copies the fence level, too.
    if options.has("-vl") == options.has("-vr") || (!options.local_copies && !options.has("-f")) {
        return Err("EX_REQARG".into());
    }
    let verb = match (options.has("-split"), options.has("-nocopy")) {
        (true, _) => ArrayVerb::CreateSplit,
        (false, true) => ArrayVerb::CreateEqual,
        (false, false) => ArrayVerb::Create,
    };
    let asked = Asked { verb, pace: pace(&options, "-c")?, quick: is_quick(&options), writable: true };
    apply(directory, &options, &asked)
}

/// `pairsplit`: of `-r`, `-rw`, `-S`, `-R`, `-P` and `-E` the last one counts, silently.
pub(super) fn split(directory: &Path, arguments: &[String]) -> Result<Ended, Fault> {
    let own = [
        ("-r", 0, 0),
        ("-rw", 0, 0),
        ("-S", 0, 0),
        ("-R", 0, 0),
        ("-RS", 0, 0),
        ("-RB", 0, 0),
        ("-P", 0, 0),
        ("-E", 0, 0),
        ("-C", 1, 1),
        ("-fq", 1, 1),
        ("-l", 0, 0),
    ];
    let options = Options::read(arguments, &own)?;
    let kinds = ["-r", "-rw", "-S", "-R", "-P", "-E"];
    let last = options.own.iter().rev().map(|(name, _)| name.as_str()).find(|name| kinds.contains(name));
    let verb = match last {
        Some("-S" | "-R") => ArrayVerb::Delete,
        Some("-P") => ArrayVerb::SplitFenced,
        Some("-E") => ArrayVerb::Suspend,
        _ => ArrayVerb::Split,
    };
    // A local copy is writable once it is split; a remote one only if that is asked for.
    let writable = options.local_copies || last == Some("-rw");
    let asked = Asked { verb, pace: pace(&options, "-C")?, quick: is_quick(&options), writable };
    apply(directory, &options, &asked)
}

/// `pairresync [-restore | -swaps | -swapp] [-c PACE]`.
pub(super) fn resync(directory: &Path, arguments: &[String]) -> Result<Ended, Fault> {
    let own =
        [("-restore", 0, 0), ("-swaps", 0, 0), ("-swapp", 0, 0), ("-c", 1, 1), ("-l", 0, 0), ("-fq", 1, 1)];
    let options = Options::read(arguments, &own)?;
    let swap = options.has("-swaps") || options.has("-swapp");
    let verb = match (options.has("-restore"), swap) {
        (true, true) => return Err("EX_INVARG".into()),
        (true, false) => ArrayVerb::Restore,
        (false, true) => ArrayVerb::SwapResync,
        (false, false) => ArrayVerb::Resync,
    };
    let asked = Asked { verb, pace: pace(&options, "-c")?, quick: false, writable: false };
    apply(directory, &options, &asked)
}

/// Quick split, by option or by `HORCC_SPLT`: the primary is PSUS while the secondary is still copied.
fn is_quick(options: &Options) -> bool {
    options.value("-fq") == Some("quick") || env::var("HORCC_SPLT").is_ok_and(|split| split == "QUICK")
}

/// Does it to every pair that is meant. Members that refuse leave the others done: there is no way back.
fn apply(directory: &Path, options: &Options, asked: &Asked) -> Result<Ended, Fault> {
    let mut locked = Locked::open(directory)?;
    let meant = options.meant(&locked.array)?;
    if lacks_remote(&locked.array, &meant) {
        if locked.array.edition.remote_hangs {
            drop(locked);
            hang();
        }
        return Err("EX_ENORMT".into());
    }
    let (mut accepted, mut refused) = (0, None);
    for meant in meant {
        let seen = options.seen(&locked.array.pairs[meant.at]);
        let answer = answer(&locked.array, &locked.array.pairs[meant.at], asked.verb, seen);
        let speed = locked.array.speed;
        let pair = &mut locked.array.pairs[meant.at];
        match answer {
            Verdict::Rejected(refusal) => refused = Some(code_of(&locked.array, refusal, seen)),
            Verdict::WithoutEffect => {
                pair.without_effect += 1;
                accepted += 1;
            }
            Verdict::Done { at_once, finally } => {
                pair.writable = asked.writable && finally == Psus;
                if asked.verb == ArrayVerb::SwapResync {
                    std::mem::swap(&mut pair.primary, &mut pair.secondary);
                }
                // A split with nothing left to copy is over at once, quick or not.
                let nothing_left = seen != Copy && finally == Psus && at_once == Copy && pair.equal == 100;
                if at_once == finally || nothing_left {
                    pair.go(finally)?;
                } else {
                    let at_once = if asked.quick && finally == Psus { Splitting } else { at_once };
                    pair.begin(at_once, finally, asked.pace, speed)?;
                }
                accepted += 1;
            }
        }
        locked.save()?;
    }
    match refused {
        None => Ok(Ended::default()),
        Some(_) if accepted > 0 => Err("EX_ENQVOL".into()),
        Some(code) => Err(code.into()),
    }
}

/// The table's answer; the older manuals' one, where they say the opposite and that edition is played.
fn answer(array: &Array, pair: &Pair, verb: ArrayVerb, seen: ArrayStatus) -> Verdict {
    match sourced(pair.copy_type, verb, seen) {
        (Verdict::WithoutEffect, Source::Disputed) if array.edition.older => {
            Verdict::Rejected(Refusal::Status)
        }
        (Verdict::Rejected(_), Source::Disputed)
            if array.edition.older && pair.copy_type == CopyType::ThinImage =>
        {
            Verdict::WithoutEffect
        }
        (verdict, _) => verdict,
    }
}

/// Under which name a refusal comes. That a simplex volume gives one of its own is recollected.
fn code_of(array: &Array, refusal: Refusal, seen: ArrayStatus) -> &'static str {
    match refusal {
        Refusal::NotOffered => "EX_INVARG",
        Refusal::Status if seen == Smpl => "EX_INVSTP",
        Refusal::Status if array.edition.refusal_is_io_error => "EX_CMDIOE",
        Refusal::Status => "EX_CMDRJE",
    }
}
