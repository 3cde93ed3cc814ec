//! `pairdisplay`: a row for each side of each pair. Layouts as in field logs of RM 01-29 (local copies) and CCI with
//! `-CLI` (both kinds); the row of a simplex volume is recollected.

use std::{fmt::Write as _, path::Path};

use resplit_operations::pair::verdict::{
    ArrayStatus::{self, Copy, Pair as Paired, Pdub, Pful, Pfus, Psue, Psus, Rcpy, Smpl, Splitting, Ssws},
    CopyType,
};

use super::{Fault, hang};
use crate::{
    Ended,
    array::{Array, Locked, Pair},
    options::{Meant, Options, lacks_remote},
};

/// The word for the status of one side; only with `-fc` are PFUL, PFUS and SSWS told from PAIR and PSUS.
pub(super) fn status_of(status: ArrayStatus, is_primary: bool, in_full: bool) -> &'static str {
    match (status, is_primary) {
        (Smpl, _) => "SMPL",
        (Copy, _) | (Splitting, false) => "COPY",
        (Rcpy, _) => "RCPY",
        (Pful, _) if in_full => "PFUL",
        (Paired | Pful, _) => "PAIR",
        (Pfus, _) if in_full => "PFUS",
        (Ssws, false) if in_full => "SSWS",
        (Psus | Pfus | Splitting | Ssws, true) => "PSUS",
        (Psus | Pfus | Ssws, false) => "SSUS",
        (Psue, _) => "PSUE",
        (Pdub, _) => "PDUB",
    }
}

/// What is shown, and how.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
struct Layout {
    /// Per cent, and what only that tells apart.
    in_full: bool,
    hexadecimal: bool,
    /// One word for each column, nearly.
    plain: bool,
    local_copies: bool,
    without_hyphen: bool,
}

impl Layout {
    fn header(&self) -> &'static str {
        match (self.plain, self.local_copies, self.in_full) {
            // One word for two columns: so it is.
            (true, true, true) => {
                "Group   PairVol L/R   Port# TID  LU-M   Seq# LDEV# P/S Status    %  P-LDEV# M\n"
            }
            (true, true, false) => {
                "Group   PairVol L/R   Port# TID  LU-M   Seq# LDEV# P/S Status  P-LDEV# M\n"
            }
            (true, false, true) => {
                "Group   PairVol L/R Port#   TID  LU Seq#    LDEV# P/S Status Fence    % P-LDEV# M\n"
            }
            (true, false, false) => {
                "Group   PairVol L/R Port#   TID  LU Seq#    LDEV# P/S Status Fence  P-LDEV# M\n"
            }
            (false, true, true) => {
                "Group   PairVol(L/R) (Port#,TID, LU-M) ,Seq#,LDEV#.P/S,Status,   % ,P-LDEV# M\n"
            }
            (false, true, false) => {
                "Group   PairVol(L/R) (Port#,TID, LU-M) ,Seq#,LDEV#.P/S,Status, Seq#,P-LDEV# M\n"
            }
            (false, false, true) => {
                "Group   PairVol(L/R) (Port#,TID, LU),Seq#,LDEV#.P/S,Status,Fence,   %,P-LDEV# M\n"
            }
            (false, false, false) => {
                "Group   PairVol(L/R) (Port#,TID, LU),Seq#,LDEV#.P/S,Status,Fence,Seq#,P-LDEV# M\n"
            }
        }
    }

    fn number(&self, ldev: u32) -> String {
        if self.hexadecimal { format!("{ldev:x}") } else { ldev.to_string() }
    }

    /// The row of one side. `unit` stands for where the volume is attached.
    fn row(
        &self,
        out: &mut String,
        pair: &Pair,
        seen: ArrayStatus,
        is_primary: bool,
        letter: char,
        unit: usize,
    ) {
        let (side, other) =
            if is_primary { (&pair.primary, &pair.secondary) } else { (&pair.secondary, &pair.primary) };
        let (group, device, mu) = (&pair.group, &pair.device, pair.mu);
        let (serial, ldev) = (side.serial, self.number(side.ldev));
        let place = match (self.plain, self.local_copies) {
            (true, true) => format!("{device} {letter}   CL1-A-1  0  {unit:>3} {mu}  {serial} {ldev:>5}"),
            (true, false) => format!("{device} {letter}   CL1-A-1  0  {unit:>3} {serial} {ldev:>5}"),
            (false, true) => format!("{device}({letter}) (CL1-A-1, 0, {unit:>3}-{mu} ){serial:>5} {ldev:>5}"),
            (false, false) => format!("{device}({letter}) (CL1-A-1, 0, {unit:>3}){serial:>5} {ldev:>5}"),
        };
        let _ = write!(out, "{group:<7} {place}");
        let (dot, comma) = if self.plain { (" ", " ") } else { (".", ",") };
        if seen == Smpl {
            let _ = writeln!(out, "{dot}SMPL ----{comma} ----- ---- -");
            return;
        }
        let role = match (is_primary, self.without_hyphen) {
            (true, false) => "P-VOL",
            (false, false) => "S-VOL",
            (true, true) => "PVOL",
            (false, true) => "SVOL",
        };
        let status = status_of(seen, is_primary, self.in_full);
        let _ = write!(out, "{dot}{role} {status}{comma}");
        if !self.local_copies {
            let fence = if pair.copy_type == CopyType::UniversalReplicator { "ASYNC" } else { "NEVER" };
            let _ = write!(out, "{fence:<5}{comma}");
        }
        if self.in_full {
            let _ = write!(out, " {:>4} ", per_cent(pair, seen));
        } else if !self.plain {
            let _ = write!(out, " {:>5} ", other.serial);
        }
        let _ = writeln!(out, "{:>7} {}", self.number(other.ldev), marked(pair, seen, is_primary));
    }
}

/// Of local copies what both sides have in common. Of journals in PAIR, how full the journal is: there 0 is good.
fn per_cent(pair: &Pair, seen: ArrayStatus) -> u8 {
    if pair.copy_type == CopyType::UniversalReplicator && matches!(seen, Paired | Pful) {
        0
    } else {
        pair.equal
    }
}

/// The column M: W on a split primary says that the secondary is writable.
fn marked(pair: &Pair, seen: ArrayStatus, is_primary: bool) -> &'static str {
    match seen {
        Psus | Splitting | Pfus if is_primary && pair.writable => "W",
        _ => "-",
    }
}

pub(super) fn display(directory: &Path, arguments: &[String]) -> Result<Ended, Fault> {
    let shapes = ["-fc", "-fx", "-fcx", "-fxc", "-fd", "-fcd", "-fe", "-fxce", "-fcxd", "-fcxe"];
    let mut own = vec![("-l", 0, 0), ("-CLI", 0, 0)];
    own.extend(shapes.map(|shape| (shape, 0, 0)));
    let options = Options::read(arguments, &own)?;
    let locked = Locked::open(directory)?;
    let array = &locked.array;
    let meant = options.meant(array)?;
    let only_local = options.has("-l");
    if !only_local && lacks_remote(array, &meant) {
        if array.edition.remote_hangs {
            drop(locked);
            hang();
        }
        return Err("EX_ENORMT".into());
    }
    Ok(Ended::said(rows(array, &options, &meant, only_local)))
}

fn rows(array: &Array, options: &Options, meant: &[Meant], only_local: bool) -> String {
    let shape = |letter| options.own.iter().any(|(name, _)| name.starts_with("-f") && name.contains(letter));
    let layout = Layout {
        in_full: shape('c'),
        hexadecimal: shape('x'),
        plain: options.has("-CLI"),
        local_copies: options.local_copies,
        without_hyphen: array.edition.without_hyphen,
    };
    let mut out = String::new();
    let mut count = 0;
    for meant in meant {
        let pair = &array.pairs[meant.at];
        let seen = options.seen(pair);
        for letter in ['L', 'R'].into_iter().take(if only_local { 1 } else { 2 }) {
            let every = array.edition.header_every;
            if count == 0 || (every > 0 && count % every == 0) {
                out.push_str(layout.header());
            }
            let is_primary = meant.local_is_primary == (letter == 'L');
            layout.row(&mut out, pair, seen, is_primary, letter, meant.at);
            count += 1;
        }
    }
    out
}
