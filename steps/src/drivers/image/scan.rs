//! One side of a pair read from front to back, on several threads: what differs from the other side is found, and written
//! if asked.

use std::{
    io,
    iter::Enumerate,
    ops::Range,
    slice::ChunksMut,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    blocks::{BLOCK, Blocks, Hash, UNKNOWN, ZEROS, bytes, hash},
    found::{Found, Part, differing},
    threads::{cores, on_threads},
    volume::{Buffer, Reader, Volume},
};
use crate::{context::Work, drivers::directory::progress::Counter, failure::Failure};

/// Blocks that are read at once.
const BLOCKS_AT_ONCE: usize = 64;
const CHUNK: usize = BLOCKS_AT_ONCE * BLOCK;
/// Chunks that one thread reads one after the other: the system reads ahead of whoever reads in order.
const STRETCH: usize = 32;

/// What is to be done.
pub(super) struct Scan<'a> {
    /// The side that is read.
    pub(super) from: &'a Volume,
    /// The other one.
    pub(super) to: &'a Volume,
    /// Whether the map that is given describes the other side. Else that is read, too.
    pub(super) known: bool,
    /// Whether what differs is written to it.
    pub(super) write: bool,
    /// What has to be on the side that is read.
    pub(super) expected: Option<&'a Blocks>,
    pub(super) work: &'a Work,
}

/// The stretches that no thread has taken yet.
type Waiting<'a> = Mutex<Enumerate<ChunksMut<'a, Hash>>>;

/// What one thread works with.
struct Worker<'a> {
    counter: &'a Counter<'a>,
    /// The side that is read, read in order by this thread alone.
    reader: Reader,
    /// The other one.
    other: Reader,
    source: Buffer,
    /// The same part of the other side, where it has to be read.
    target: Option<Buffer>,
    /// A block of the other side.
    there: Buffer,
    found: Found,
}

impl Scan<'_> {
    /// Reads all of it. `blocks` is of the size of the side that is read, and describes it afterwards.
    pub(super) fn run(&self, blocks: &mut Blocks) -> Result<Found, Failure> {
        let counter = Counter::new(self.work, None, Some(self.from.size));
        let threads = cores();
        // All threads have something to do in a small volume, too.
        let stretch = blocks.hashes.len().div_ceil(threads * BLOCKS_AT_ONCE).clamp(1, STRETCH);
        let waiting = Mutex::new(blocks.hashes.chunks_mut(stretch * BLOCKS_AT_ONCE).enumerate());
        let found = on_threads(threads, |stopped| {
            let reader = |of: &Volume| of.reader().map_err(|error| of.failure("read", &error));
            let worker = Worker {
                counter: &counter,
                reader: reader(self.from)?,
                other: reader(self.to)?,
                source: Buffer::new(CHUNK),
                target: (!self.known).then(|| Buffer::new(CHUNK)),
                there: Buffer::new(BLOCK),
                found: Found::default(),
            };
            self.work_off(&waiting, stretch, worker, stopped)
        })?;
        let mut found = found.into_iter().fold(Found::default(), Found::merge);
        found.sort();
        counter.finish();
        Ok(found)
    }

    fn work_off(
        &self,
        waiting: &Waiting<'_>,
        stretch: usize,
        mut worker: Worker<'_>,
        stopped: &AtomicBool,
    ) -> Result<Found, Failure> {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((number, hashes)) = next else { return Ok(worker.found) };
            for (chunk, hashes) in hashes.chunks_mut(BLOCKS_AT_ONCE).enumerate() {
                if stopped.load(Ordering::Relaxed) {
                    return Ok(worker.found);
                }
                self.chunk(bytes(number * stretch + chunk) * bytes(CHUNK), hashes, &mut worker)?;
            }
        }
    }

    /// Reads a chunk, and compares it.
    fn chunk(&self, at: u64, hashes: &mut [Hash], worker: &mut Worker<'_>) -> Result<(), Failure> {
        let range = at..self.from.size.min(at + bytes(CHUNK));
        let is_read = read(self.from, &worker.reader, &mut worker.source, range.clone())?;
        // What is a hole here and zero there is equal, unread.
        if is_read || !self.known || hashes.iter().any(|hash| *hash != ZEROS) {
            if let Some(target) = &mut worker.target {
                let _ = read(self.to, &worker.other, target, range.clone())?;
            }
            self.compare(range.clone(), hashes, worker)?;
        }
        worker.counter.add(0, range.end - at)
    }

    /// Finds what differs in a chunk, a run of blocks at a time, and keeps what is there in the map.
    fn compare(
        &self,
        chunk: Range<u64>,
        hashes: &mut [Hash],
        worker: &mut Worker<'_>,
    ) -> Result<(), Failure> {
        let Worker { other, source, target, there, found, .. } = worker;
        let length = usize::try_from(chunk.end - chunk.start).unwrap_or(CHUNK);
        let (source, target) = (source.first(length), target.as_ref().map(|target| target.first(length)));
        let place = |number: usize| number * BLOCK..length.min((number + 1) * BLOCK);
        let mut changed = Vec::with_capacity(hashes.len());
        for (number, known) in hashes.iter_mut().enumerate() {
            let block = &source[place(number)];
            let new = hash(block);
            self.check(chunk.start + bytes(number * BLOCK), &new)?;
            let differs = match target {
                Some(target) => target[place(number)] != *block,
                None => *known != new,
            };
            let old = std::mem::replace(known, new);
            if differs {
                changed.push((number, old, new == ZEROS));
            }
        }
        // Where most has changed it is quicker to write than to look.
        let is_looked_at = self.write && (target.is_some() || changed.len() * 2 <= hashes.len());
        let mut run: Option<(Range<usize>, bool)> = None;
        for (number, old, is_zero) in changed {
            let range = place(number);
            let at = chunk.start + bytes(range.start);
            let there = match target {
                _ if !is_looked_at || is_zero || !found.takes_parts() => None,
                Some(target) => Some(&target[range.clone()]),
                None if old == ZEROS || old == UNKNOWN => None,
                None => Some(self.there(other, at, range.len(), there)?),
            };
            if let Some(parts) = there.and_then(|there| differing(there, &source[range.clone()])) {
                self.change_parts(at, &source[range], parts, found)?;
                continue;
            }
            run = match run.take() {
                Some((run, zero)) if zero == is_zero && run.end == range.start => {
                    Some((run.start..range.end, zero))
                }
                run => {
                    self.change(run, chunk.start, source, found)?;
                    Some((range, is_zero))
                }
            };
        }
        self.change(run, chunk.start, source, found)
    }

    /// A block as it is on the other side.
    fn there<'b>(
        &self,
        other: &Reader,
        at: u64,
        length: usize,
        buffer: &'b mut Buffer,
    ) -> Result<&'b [u8], Failure> {
        let read = other.read(self.to, buffer, at);
        let filled = read.map_err(|error| self.to.failure("read", &error))?;
        Ok(buffer.first(filled.min(length)))
    }

    fn change_parts(
        &self,
        at: u64,
        block: &[u8],
        parts: Vec<Range<usize>>,
        found: &mut Found,
    ) -> Result<(), Failure> {
        let mut written = Vec::with_capacity(parts.len());
        for range in parts {
            let part = &block[range.clone()];
            let at = at + bytes(range.start);
            self.to.write(part, at).map_err(|error| self.to.failure("write to", &error))?;
            written.push(Part { at, length: part.len(), hash: hash(part) });
        }
        found.add_parts(written);
        Ok(())
    }

    fn change(
        &self,
        run: Option<(Range<usize>, bool)>,
        start: u64,
        source: &[u8],
        found: &mut Found,
    ) -> Result<(), Failure> {
        let Some((run, is_zero)) = run else { return Ok(()) };
        let at = start + bytes(run.start);
        if self.write {
            let written = if is_zero {
                self.to.zero(at, bytes(run.len()))
            } else {
                self.to.write(&source[run.clone()], at)
            };
            written.map_err(|error| self.to.failure("write to", &error))?;
        }
        found.add(at..at + bytes(run.len()), is_zero);
        Ok(())
    }

    /// Refuses to copy on what is not what it was.
    fn check(&self, at: u64, new: &Hash) -> Result<(), Failure> {
        let number = usize::try_from(at / bytes(BLOCK)).unwrap_or(usize::MAX);
        let expected = self.expected.and_then(|blocks| blocks.hashes.get(number));
        if expected.is_none_or(|expected| expected == new) {
            return Ok(());
        }
        Err(Failure::permanent(format!(
            "{} is damaged: the block at byte {at} is not what was written there",
            self.from.path.display()
        ))
        .with_help("restore from another generation or from tape; its disk may be failing"))
    }
}

/// Reads a part of a volume of which only what is data is read; what lies beyond its end is zero. Says whether there is
/// any data in it.
fn read(volume: &Volume, reader: &Reader, buffer: &mut Buffer, range: Range<u64>) -> Result<bool, Failure> {
    let failure = |error: io::Error| volume.failure("read", &error);
    let length = usize::try_from(range.end - range.start).unwrap_or(CHUNK);
    let end = range.end.min(volume.size);
    let data = if range.start < end { volume.data(range.start, end).map_err(failure)? } else { None };
    if data.is_none() {
        buffer.all()[..length].fill(0);
        return Ok(false);
    }
    // Holes within a chunk are as quickly read as filled.
    let filled = reader.read(volume, buffer, range.start).map_err(failure)?;
    if bytes(filled) < end - range.start {
        let text = format!("{} became shorter while it was read", volume.path.display());
        return Err(Failure::temporary(text).with_help("let nothing resize it meanwhile, then run again"));
    }
    buffer.all()[filled.min(length)..length].fill(0);
    Ok(true)
}
