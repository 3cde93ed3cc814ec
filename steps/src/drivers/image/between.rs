//! Two devices that another driver makes pairs of, compared block by block, or one made equal to the other.

use std::{ops::Range, path::Path};

use resplit_operations::pair::CopyReport;

use super::{blocks::Blocks, found::Found, scan::Scan, verify::verify, volume::Volume};
use crate::{context::Work, drivers::pairs::Difference, failure::Failure};

/// Writes to a device what differs from another, which is as large; durable when it returns, and read back.
pub(in crate::drivers) fn make_equal(from: &Path, to: &Path, work: &Work) -> Result<CopyReport, Failure> {
    let (from, to) = (Volume::open(from)?, Volume::open_to_write(to)?);
    let (found, blocks) = scan(&from, &to, true, work)?;
    to.make_durable().map_err(|error| to.failure("make durable", &error))?;
    verify(&to, &found, &blocks, work)?;
    Ok(CopyReport {
        entries: Blocks::count(from.size),
        bytes: from.size,
        changed: found.changed,
        copied: found.bytes,
        ..CopyReport::default()
    })
}

/// How one device differs from another.
pub(in crate::drivers) fn difference(from: &Path, to: &Path, work: &Work) -> Result<Difference, Failure> {
    let (found, _) = scan(&Volume::open(from)?, &Volume::open(to)?, false, work)?;
    let length = |range: &Range<u64>| range.end - range.start;
    let examples = found.ranges.iter().take(20);
    let examples =
        examples.map(|range| format!("replaced: {} bytes at byte {}", length(range), range.start)).collect();
    let bytes = found.ranges.iter().map(length).sum();
    Ok(Difference { replaced: found.changed, bytes, examples, ..Difference::default() })
}

fn scan(from: &Volume, to: &Volume, write: bool, work: &Work) -> Result<(Found, Blocks), Failure> {
    if from.size > to.size {
        return Err(Failure::refused(format!(
            "{} has {} bytes, and {} has {}",
            to.path.display(),
            to.size,
            from.path.display(),
            from.size
        ))
        .with_help("give it the size that it had (lvextend), then run again; nothing was changed"));
    }
    let mut blocks = Blocks::zeros(from.size);
    let found = Scan { from, to, known: false, write, expected: None, work }.run(&mut blocks)?;
    Ok((found, blocks))
}
