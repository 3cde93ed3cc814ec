//! One side of a pair read from front to back, on several threads: what differs from the other side is found, and written
//! if asked.

use std::{
    io,
    iter::Enumerate,
    num::NonZeroUsize,
    ops::Range,
    slice::ChunksMut,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{
    blocks::{BLOCK, Blocks, Hash, ZEROS, bytes, hash},
    volume::{Buffer, Volume},
};
use crate::{context::Work, drivers::directory::progress::Counter, failure::Failure};

/// Blocks that are read at once.
const BLOCKS_AT_ONCE: usize = 64;
const CHUNK: usize = BLOCKS_AT_ONCE * BLOCK;
/// More threads than this read no faster: memory is not.
const MOST_THREADS: usize = 4;

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

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Blocks that differ.
    pub(super) changed: u64,
    /// Bytes of content in them; zeros are none.
    pub(super) bytes: u64,
    /// Where they are, in bytes, in order.
    pub(super) ranges: Vec<Range<u64>>,
}

impl Found {
    fn add(&mut self, range: Range<u64>, is_zero: bool) {
        self.changed += (range.end - range.start).div_ceil(bytes(BLOCK));
        self.bytes += if is_zero { 0 } else { range.end - range.start };
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }

    fn merge(&mut self, other: Self) {
        self.changed += other.changed;
        self.bytes += other.bytes;
        self.ranges.extend(other.ranges);
    }
}

/// The chunks that no thread has taken yet.
type Waiting<'a> = Mutex<Enumerate<ChunksMut<'a, Hash>>>;

impl Scan<'_> {
    /// Reads all of it. `blocks` is of the size of the side that is read, and describes it afterwards.
    pub(super) fn run(&self, blocks: &mut Blocks) -> Result<Found, Failure> {
        let counter = Counter::new(self.work, None, Some(self.from.size));
        self.from.is_read_once();
        let waiting = Mutex::new(blocks.hashes.chunks_mut(BLOCKS_AT_ONCE).enumerate());
        let mut found = on_threads(|stopped| self.work_off(&waiting, &counter, stopped))?;
        found.ranges.sort_unstable_by_key(|range| range.start);
        counter.finish();
        Ok(found)
    }

    fn work_off(
        &self,
        waiting: &Waiting<'_>,
        counter: &Counter<'_>,
        stopped: &AtomicBool,
    ) -> Result<Found, Failure> {
        let (mut found, mut source) = (Found::default(), Buffer::new(CHUNK));
        let mut target = if self.known { None } else { Some(Buffer::new(CHUNK)) };
        while !stopped.load(Ordering::Relaxed) {
            let Some((number, hashes)) = waiting.lock().unwrap_or_else(PoisonError::into_inner).next() else {
                break;
            };
            let at = bytes(number) * bytes(CHUNK);
            let end = self.from.size.min(at + bytes(CHUNK));
            let is_read = read(self.from, &mut source, at..end)?;
            // What is a hole here and zero there is equal, unread.
            if is_read || !self.known || hashes.iter().any(|hash| *hash != ZEROS) {
                if let Some(target) = &mut target {
                    let _ = read(self.to, target, at..end)?;
                }
                self.compare(at..end, &source, target.as_ref(), hashes, &mut found)?;
            }
            counter.add(0, end - at)?;
        }
        Ok(found)
    }

    /// Finds what differs in a chunk, a run of blocks at a time, and keeps what is there in the map.
    fn compare(
        &self,
        chunk: Range<u64>,
        source: &Buffer,
        target: Option<&Buffer>,
        hashes: &mut [Hash],
        found: &mut Found,
    ) -> Result<(), Failure> {
        let length = usize::try_from(chunk.end - chunk.start).unwrap_or(CHUNK);
        let source = source.first(length);
        let mut run: Option<(Range<usize>, bool)> = None;
        for (number, (block, known)) in source.chunks(BLOCK).zip(hashes).enumerate() {
            let range = number * BLOCK..number * BLOCK + block.len();
            let new = hash(block);
            self.check(chunk.start + bytes(range.start), &new)?;
            let differs = match target {
                Some(target) => target.first(length)[range.clone()] != *block,
                None => *known != new,
            };
            *known = new;
            let next = differs.then_some((range, new == ZEROS));
            run = match (run.take(), next) {
                (Some((run, zero)), Some((range, same))) if zero == same => {
                    Some((run.start..range.end, zero))
                }
                (run, next) => {
                    self.change(run, chunk.start, source, found)?;
                    next
                }
            };
        }
        self.change(run, chunk.start, source, found)
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
fn read(volume: &Volume, buffer: &mut Buffer, range: Range<u64>) -> Result<bool, Failure> {
    let failure = |error: io::Error| volume.failure("read", &error);
    let length = usize::try_from(range.end - range.start).unwrap_or(CHUNK);
    // The chunk that some thread takes after those that are being read.
    volume.expect(range.start + bytes(CHUNK * MOST_THREADS), bytes(CHUNK));
    let end = range.end.min(volume.size);
    let data = if range.start < end { volume.data(range.start, end).map_err(failure)? } else { None };
    if data.is_none() {
        buffer.all()[..length].fill(0);
        return Ok(false);
    }
    // Holes within a chunk are as quickly read as filled.
    let filled = volume.read(buffer, range.start).map_err(failure)?;
    if bytes(filled) < end - range.start {
        let text = format!("{} became shorter while it was read", volume.path.display());
        return Err(Failure::temporary(text).with_help("let nothing resize it meanwhile, then run again"));
    }
    buffer.all()[filled.min(length)..length].fill(0);
    Ok(true)
}

/// Reads back what was written, from the disk and not from memory.
pub(super) fn verify(to: &Volume, found: &Found, blocks: &Blocks, work: &Work) -> Result<(), Failure> {
    let pieces = found
        .ranges
        .iter()
        .flat_map(|range| range.clone().step_by(CHUNK).map(|at| at..range.end.min(at + bytes(CHUNK))));
    let waiting = Mutex::new(pieces);
    let check = |stopped: &AtomicBool| {
        let mut buffer = Buffer::new(CHUNK);
        while !stopped.load(Ordering::Relaxed) {
            let Some(piece) = waiting.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
            work.check()?;
            let wanted = usize::try_from(piece.end - piece.start).unwrap_or(CHUNK);
            let filled =
                to.read_back(&mut buffer, piece.start).map_err(|error| to.failure("read back", &error))?;
            let first = usize::try_from(piece.start / bytes(BLOCK)).unwrap_or(usize::MAX);
            let hashes = blocks.hashes.get(first..).unwrap_or_default();
            let read = buffer.first(filled.min(wanted));
            let good = read.chunks(BLOCK).zip(hashes).take_while(|(block, wanted)| hash(block) == **wanted);
            let good = good.count() * BLOCK;
            if good < wanted {
                let at = piece.start + bytes(good);
                return Err(Failure::permanent(format!(
                    "{} does not keep what is written to it: the block at byte {at} reads back otherwise",
                    to.path.display()
                ))
                .with_help("its disk may be failing; name another one in the site file, and resync"));
            }
        }
        Ok(Found::default())
    };
    on_threads(check).map(drop)
}

/// Runs the same on several threads until all have ended; the first failure stops the others.
fn on_threads(work: impl Fn(&AtomicBool) -> Result<Found, Failure> + Sync) -> Result<Found, Failure> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_THREADS);
    let stopped = AtomicBool::new(false);
    let one = || work(&stopped).inspect_err(|_| stopped.store(true, Ordering::Relaxed));
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(one)).collect();
        let own = one();
        let mut all = others.into_iter().map(|other| {
            other.join().unwrap_or_else(|_| Err(Failure::permanent("a thread that compares ended too early")))
        });
        all.try_fold(own?, |mut all, found| {
            all.merge(found?);
            Ok(all)
        })
    })
}
