//! `raidscan -p PORT`: the volumes at a port. Every simulated volume is at CL1-A. Columns as CCI of 2023 prints them
//! with `-fw`, without the last.

use std::{fmt::Write as _, path::Path};

use resplit_operations::pair::verdict::ArrayStatus;

use super::{Fault, display::status_of};
use crate::{Ended, array::Locked, options::Options};

pub(super) fn scan(directory: &Path, arguments: &[String]) -> Result<Ended, Fault> {
    let own = [("-p", 1, 1), ("-t", 1, 1), ("-l", 1, 1), ("-m", 1, 1), ("-fx", 0, 0), ("-CLI", 0, 0)];
    let options = Options::read(arguments, &own)?;
    let port = options.value("-p").ok_or("EX_REQARG")?.to_owned();
    let locked = Locked::open(directory)?;
    if !locked.array.running.contains(&options.instance) {
        return Err("EX_ATTHOR".into());
    }
    let mut out = "PORT# /ALPA/C,TID#, LU#.Num(LDEV#....)...P/S, Status,Fence, LDEV#\n".to_owned();
    for (lun, pair) in locked.array.pairs.iter().enumerate().filter(|_| port.starts_with("CL1-A")) {
        for (side, is_primary) in [(&pair.primary, true), (&pair.secondary, false)] {
            let seen = options.seen(pair);
            let (role, other) =
                if is_primary { ("P-VOL", &pair.secondary) } else { ("S-VOL", &pair.primary) };
            let (ldev, number) = (side.ldev, lun * 2 + usize::from(!is_primary));
            let _ = if seen == ArrayStatus::Smpl {
                writeln!(out, "{port} /e1/ 4,  0, {number:>3}.1({ldev})...........SMPL  ----  ------ -----")
            } else {
                let status = status_of(seen, is_primary, false);
                writeln!(
                    out,
                    "{port} /e1/ 4,  0, {number:>3}.1({ldev})...........{role} {status}  NEVER  {:>5}",
                    other.ldev
                )
            };
        }
    }
    Ok(Ended::said(out))
}
