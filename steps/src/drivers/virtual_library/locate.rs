//! Which datasets are on a cartridge: as its contents file says, where the cartridge bears that out; else as found
//! by walking.

use std::fs::File;

use resplit_operations::ids::PoolId;

use super::{
    closing::{CLOSING_BYTES, Closing},
    contents::{self, Known},
    frame::{self, Damage, Kind, Met},
    label::{Label, Opened},
};
use crate::{drivers::media::LibraryRef, failure::Failure};

/// What is on a cartridge.
pub(super) struct Located {
    /// The closed datasets that can be relied on.
    pub(super) datasets: Vec<Known>,
    /// Where the last closed dataset ends: where the next begins. What lies beyond was never closed.
    pub(super) end: u64,
    /// What is damaged. With any of it nothing is written any more.
    pub(super) damage: Vec<String>,
    /// Whether the contents file says less than the cartridge does.
    pub(super) outdated: bool,
}

impl Located {
    /// The pool, which the first dataset has decided.
    pub(super) fn pool(&self) -> Option<&PoolId> {
        self.datasets.first().map(|known| &known.pool)
    }
}

/// Looks.
pub(super) fn locate(library: &LibraryRef<'_>, opened: &Opened) -> Result<Located, Failure> {
    let io = |error: &std::io::Error| Failure::io("read the cartridge", &opened.path, error);
    let length = opened.file.metadata().map_err(|error| io(&error))?.len();
    let remembered = contents::load(library, &opened.label)
        .filter(|all| all.first().is_none_or(|first| first.closing.offset == opened.label_end));
    let mut located = Located {
        datasets: Vec::new(),
        end: opened.label_end,
        damage: Vec::new(),
        outdated: remembered.is_none(),
    };
    let certain = remembered.is_some();
    for known in remembered.unwrap_or_default() {
        let read = if known.closing.end() > length {
            Err(Damage("the cartridge's file ends before it does".to_owned()))
        } else {
            Closing::read(&opened.file, known.closing.end())
        };
        located.end = known.closing.end();
        match read {
            Ok(closing) if closing == known.closing => located.datasets.push(known),
            Ok(_) => located.damage.push(format!(
                "dataset {} is another one than {}.contents says",
                known.dataset.number, opened.label.barcode
            )),
            Err(Damage(why)) => {
                located.damage.push(format!("dataset {} is damaged: {why}", known.dataset.number));
            }
        }
    }
    if located.end < length && located.damage.is_empty() {
        let (last, reached) = backwards(&opened.file, located.end, length);
        let mut closings = Vec::new();
        if reached > located.end {
            let next = u32::try_from(located.datasets.len()).unwrap_or(u32::MAX).saturating_add(1);
            let walked = forwards(&opened.file, located.end, reached, next).map_err(|error| io(&error))?;
            closings = walked.closings;
            if reached < length {
                // What is followed by a closed dataset was closed too.
                let from = closings.last().map_or(located.end, Closing::end);
                located.damage.push(format!("what stands from byte {from} to byte {reached} is damaged"));
            } else if !certain {
                // A writer that was killed leaves the beginning of a dataset. Anything else may be a dataset whose end
                // is damaged, if nobody remembers whether it was closed.
                located.damage.extend(walked.doubt);
            }
        }
        closings.extend(last);
        if !closings.is_empty() {
            // A writer that was killed may not have synced what it closed; whoever finds it relies on it.
            opened.file.sync_data().map_err(|error| io(&error))?;
        }
        for closing in closings {
            add(&mut located, closing, &opened.file, &opened.label);
        }
    }
    Ok(located)
}

fn add(located: &mut Located, closing: Closing, file: &File, label: &Label) {
    located.outdated = true;
    located.end = closing.end();
    match closing.dataset(file, label) {
        Ok((header, dataset)) => located.datasets.push(Known { pool: header.pool, closing, dataset }),
        Err(Damage(why)) => located.damage.push(format!("dataset {} is damaged: {why}", closing.number)),
    }
}

/// From the end of the file, closing frame by closing frame, towards `start`: those found, and how far that went.
fn backwards(file: &File, start: u64, length: u64) -> (Vec<Closing>, u64) {
    let mut closings = Vec::new();
    let mut end = length;
    while end > start {
        match Closing::read(file, end) {
            Ok(closing) if closing.offset >= start => {
                end = closing.offset;
                closings.push(closing);
            }
            _ => break,
        }
    }
    closings.reverse();
    (closings, end)
}

struct Walked {
    closings: Vec<Closing>,
    /// Why what follows may be more than a dataset that was never closed.
    doubt: Option<String>,
}

/// From `start`, frame by frame, as far as it goes.
fn forwards(file: &File, start: u64, length: u64, first_number: u32) -> std::io::Result<Walked> {
    let mut walked = Walked { closings: Vec::new(), doubt: None };
    let mut number = first_number;
    let mut begins = start;
    let mut position = start;
    while position < length {
        match frame::meet(file, position, length)? {
            Met::CutOff => break,
            Met::Compressed(end) if position > begins => position = end,
            Met::Own(Kind::Header, end) if position == begins => position = end,
            Met::Own(Kind::Index | Kind::Table | Kind::Record, end) if position > begins => position = end,
            Met::Own(Kind::Closing, end) if position > begins && end == position + CLOSING_BYTES => {
                match Closing::read(file, end) {
                    Ok(closing) if closing.offset == begins && closing.number == number => {
                        walked.closings.push(closing);
                    }
                    Ok(_) => {
                        walked.doubt =
                            Some(format!("the closing frame at byte {position} is of another place"));
                        break;
                    }
                    Err(Damage(why)) => {
                        walked.doubt = Some(why);
                        break;
                    }
                }
                number = number.saturating_add(1);
                begins = end;
                position = end;
            }
            Met::Own(..) | Met::Compressed(_) | Met::Unknown => {
                walked.doubt = Some(format!("what stands at byte {position} cannot be read"));
                break;
            }
        }
    }
    Ok(walked)
}
