//! One pass over a pair: what differs is found and written, is durable, is read back; the hash map is kept.

use std::path::Path;

use resplit_operations::pair::{CopyReport, PairRef};

use super::{
    blocks::{Blocks, Header},
    found::Found,
    guard,
    scan::Scan,
    state::{BLOCKS, NEW_BLOCKS, Seen, State, copy_of},
    verify::verify,
    volume::Volume,
    writes::Writes,
};
use crate::{
    drivers::{book::Verb, is_there, pairs::Difference},
    failure::Failure,
};

/// A verb that copies.
pub(super) struct Pass<'a> {
    pub(super) verb: Verb<'a>,
}

/// The map of the last pass, if it describes the copy as it is: no verb was begun since, and nobody else wrote to it.
fn map(pair: &PairRef, state: &State) -> Option<Blocks> {
    if !state.extra.settled || state.extra.copy != Seen::of(&copy_of(pair)) {
        return None;
    }
    let header = Header { pair: state.identity(), pass: state.extra.pass };
    let blocks = Blocks::read(&pair.secondary.join(BLOCKS), header)?;
    (blocks.size == state.extra.size).then_some(blocks)
}

impl Pass<'_> {
    /// Copies the primary to the secondary.
    pub(super) fn forward(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let pair = self.verb.pair;
        let copy = copy_of(pair);
        guard::held(&copy, "its pair cannot follow meanwhile")?;
        let from = Volume::open(&pair.primary)?;
        guard::emptied(pair, state, &from)?;
        guard::foreign(pair, state)?;
        let mut device = match &pair.device {
            Some(device) => Some(Volume::open_to_write(device)?),
            None => None,
        };
        if let Some(device) = &device {
            guard::fits(pair, device, from.size)?;
        }
        let notes = changed_size(state, from.size);
        let known = map(pair, state);
        let writes = Writes::of(&from)?;
        state.extra.settled = false;
        state.extra.replayed = false;
        self.verb.run(state, |state| {
            let to = match device.take() {
                Some(device) => device,
                None => Volume::open_or_make(&copy)?,
            };
            let found = self.copy_forward(&from, to, known, state)?;
            state.extra.settled = true;
            state.extra.copy = Seen::of(&copy);
            let fuzzy = if writes.since(&from)? { vec![name(&pair.primary)] } else { Vec::new() };
            Ok(CopyReport {
                fuzzy_count: u64::from(!fuzzy.is_empty()),
                fuzzy,
                notes,
                ..report(&found, state.extra.size)
            })
        })
    }

    fn copy_forward(
        &self,
        from: &Volume,
        mut to: Volume,
        known: Option<Blocks>,
        state: &mut State,
    ) -> Result<Found, Failure> {
        let work = self.verb.asked.work;
        // A file that has no byte yet is one of zeros when it has its size.
        let is_new = !to.is_device && to.size == 0;
        let is_cloned = is_new && to.clone_from(from).map_err(|error| to.failure("clone into", &error))?;
        let size = if is_cloned { to.size } else { from.size };
        // A file grows by zeros; what a device has beyond the last image is anything.
        let fits = |blocks: &Blocks| if to.is_device { blocks.size >= size } else { blocks.size == to.size };
        let known = known.filter(fits);
        let is_known = is_new || known.is_some();
        let is_same_size = known.as_ref().is_some_and(|blocks| blocks.size == size);
        let mut blocks = known.unwrap_or_else(|| Blocks::zeros(size));
        blocks.resize(size);
        to.resize(size).map_err(|error| to.failure("resize", &error))?;
        // A clone is a point in time; the primary goes on.
        let from = if is_cloned { &to } else { from };
        let scan = Scan { from, to: &to, known: is_known, write: !is_cloned, expected: None, work };
        let found = scan.run(&mut blocks)?;
        to.make_durable().map_err(|error| to.failure("make durable", &error))?;
        if !is_cloned {
            verify(&to, &found, &blocks, work)?;
        }
        state.extra.size = size;
        if found.changed > 0 || !is_known || !is_same_size {
            let secondary = &self.verb.pair.secondary;
            let (new, path) = (secondary.join(NEW_BLOCKS), secondary.join(BLOCKS));
            let header = Header { pair: state.identity(), pass: state.extra.pass + 1 };
            blocks.write(&new, &path, header).map_err(|error| Failure::io("write", &path, &error))?;
            state.extra.pass += 1;
        }
        Ok(found)
    }

    /// Copies the image back over the primary. Both sides are read, so that a damaged image is found before it is
    /// copied on; the map still holds afterwards.
    pub(super) fn back(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let pair = self.verb.pair;
        guard::held(&pair.primary, "what uses it would not see what is restored beneath it")?;
        guard::held(&copy_of(pair), "its image may be changed meanwhile")?;
        let from = image(&copy_of(pair), state)?;
        let is_lost = !is_there(&pair.primary)?;
        if is_lost && pair.primary.starts_with("/dev") {
            return Err(Failure::refused(format!("the primary {} is not there", pair.primary.display()))
                .with_help("attach the device, then run again; nothing was changed"));
        }
        let mut there = if is_lost { None } else { Some(Volume::open_to_write(&pair.primary)?) };
        if let Some(to) = &there {
            guard::fits(pair, to, from.size)?;
        }
        let expected = map(pair, state).filter(|blocks| blocks.size == from.size);
        self.verb.run(state, |_| {
            let to = match there.take() {
                Some(to) => to,
                None => Volume::open_or_make(&pair.primary)?,
            };
            self.copy_back(&from, to, expected.as_ref())
        })
    }

    fn copy_back(
        &self,
        from: &Volume,
        mut to: Volume,
        expected: Option<&Blocks>,
    ) -> Result<CopyReport, Failure> {
        let work = self.verb.asked.work;
        let notes = match to.size {
            size if to.is_device && size > from.size => {
                vec![format!(
                    "the primary has {size} bytes and the image {}: the rest is as it was",
                    from.size
                )]
            }
            _ => Vec::new(),
        };
        let is_new = !to.is_device && to.size == 0;
        to.resize(from.size).map_err(|error| to.failure("resize", &error))?;
        let mut blocks = Blocks::zeros(from.size);
        let found = Scan { from, to: &to, known: is_new, write: true, expected, work }.run(&mut blocks)?;
        to.make_durable().map_err(|error| to.failure("make durable", &error))?;
        verify(&to, &found, &blocks, work)?;
        Ok(CopyReport { notes, ..report(&found, from.size) })
    }

    /// How the primary differs from the image.
    pub(super) fn difference(&self, state: &State) -> Result<Difference, Failure> {
        let pair = self.verb.pair;
        let copy = image(&copy_of(pair), state)?;
        if !is_there(&pair.primary)? {
            return Ok(Difference {
                returned: Blocks::count(copy.size),
                bytes: copy.size,
                ..Difference::default()
            });
        }
        let primary = Volume::open(&pair.primary)?;
        let known = map(pair, state);
        let is_known = known.is_some();
        let mut blocks = known.unwrap_or_else(|| Blocks::zeros(primary.size));
        blocks.resize(primary.size);
        let scan = Scan {
            from: &primary,
            to: &copy,
            known: is_known,
            write: false,
            expected: None,
            work: self.verb.asked.work,
        };
        let found = scan.run(&mut blocks)?;
        let differing = |range: &std::ops::Range<u64>| range.end - range.start;
        let mut examples: Vec<_> = changed_size(state, primary.size).into_iter().collect();
        let ranges = found.ranges.iter().take(20 - examples.len());
        examples.extend(
            ranges.map(|range| format!("replaced: {} bytes at byte {}", differing(range), range.start)),
        );
        let bytes = found.ranges.iter().map(differing).sum();
        Ok(Difference { replaced: found.changed, bytes, examples, ..Difference::default() })
    }
}

/// The image, of the size that it has within a device that may be larger.
pub(super) fn image(copy: &Path, state: &State) -> Result<Volume, Failure> {
    let mut volume = Volume::open(copy)?;
    if volume.size < state.extra.size {
        return Err(Failure::permanent(format!(
            "{} has {} bytes and the image that was made there had {}",
            copy.display(),
            volume.size,
            state.extra.size
        ))
        .with_help("resync and split the pair again, or restore from another generation"));
    }
    if volume.is_device && state.extra.size > 0 {
        volume.size = state.extra.size;
    }
    Ok(volume)
}

fn report(found: &Found, size: u64) -> CopyReport {
    CopyReport {
        entries: Blocks::count(size),
        bytes: size,
        changed: found.changed,
        copied: found.bytes,
        ..CopyReport::default()
    }
}

/// That the primary has grown or shrunk since the last pass.
fn changed_size(state: &State, size: u64) -> Vec<String> {
    let how = match size.cmp(&state.extra.size) {
        _ if state.extra.size == 0 => return Vec::new(),
        std::cmp::Ordering::Equal => return Vec::new(),
        std::cmp::Ordering::Less => "shrunk",
        std::cmp::Ordering::Greater => "grown",
    };
    vec![format!("the primary has {how}: from {} to {size} bytes", state.extra.size)]
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
