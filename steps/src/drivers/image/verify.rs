//! What was written, read back.

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    blocks::{BLOCK, Blocks, bytes, hash},
    found::Found,
    threads::on_threads,
    volume::{Buffer, Volume},
};
use crate::{context::Work, failure::Failure};

/// Reads at once: what was written lies anywhere, and a disk answers many reads as soon as one.
const READS: usize = 16;
/// Bytes that are read at once.
const PIECE: usize = 16 * BLOCK;
/// What lies between two ranges is read with them if it is no more than this: a disk that counts reads takes as long for
/// one as for two. It has to be as the map has it, too.
const BETWEEN: u64 = 4 * 65_536;

/// Reads back what was written, from the disk and not from memory.
pub(super) fn verify(to: &Volume, found: &Found, blocks: &Blocks, work: &Work) -> Result<(), Failure> {
    let waiting = Mutex::new(pieces(&found.ranges).into_iter());
    let check = |stopped: &AtomicBool| {
        let mut buffer = Buffer::new(PIECE);
        while !stopped.load(Ordering::Relaxed) {
            let Some(piece) = waiting.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
            work.check()?;
            let wanted = usize::try_from(piece.end - piece.start).unwrap_or(PIECE);
            let filled = to
                .read_back(&mut buffer, wanted, piece.start)
                .map_err(|error| to.failure("read back", &error))?;
            let first = usize::try_from(piece.start / bytes(BLOCK)).unwrap_or(usize::MAX);
            let hashes = blocks.hashes.get(first..).unwrap_or_default();
            let read = buffer.first(filled.min(wanted));
            let good = read.chunks(BLOCK).zip(hashes).take_while(|(block, wanted)| hash(block) == **wanted);
            let good = good.count() * BLOCK;
            if good < wanted {
                let at = piece.start + bytes(good);
                return Err(not_kept(to, at));
            }
        }
        Ok(())
    };
    let parts = Mutex::new(found.parts.iter());
    let check_parts = |stopped: &AtomicBool| {
        let mut buffer = Buffer::new(BLOCK);
        while !stopped.load(Ordering::Relaxed) {
            let Some(part) = parts.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
            work.check()?;
            let filled = to.read_back(&mut buffer, part.length, part.at);
            let filled = filled.map_err(|error| to.failure("read back", &error))?;
            if hash(buffer.first(filled.min(part.length))) != part.hash {
                return Err(not_kept(to, part.at));
            }
        }
        Ok(())
    };
    on_threads(READS, |stopped| check(stopped).and_then(|()| check_parts(stopped))).map(drop)
}

fn not_kept(to: &Volume, at: u64) -> Failure {
    Failure::permanent(format!(
        "{} does not keep what is written to it: the block at byte {at} reads back otherwise",
        to.path.display()
    ))
    .with_help("its disk may be failing; name another one in the site file, and resync")
}

/// The pieces that are read, from ranges in order.
fn pieces(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end + BETWEEN => last.end = range.end,
            _ => joined.push(range.clone()),
        }
    }
    let parts = |range: Range<u64>| {
        let end = range.end;
        range.step_by(PIECE).map(move |at| at..end.min(at + bytes(PIECE)))
    };
    joined.into_iter().flat_map(parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::image::found::Part;

    #[test]
    fn ranges_close_to_each_other_are_read_together_and_long_ones_in_pieces() {
        let block = bytes(BLOCK);
        let read = |ranges: &[(u64, u64)]| {
            let ranges: Vec<_> = ranges.iter().map(|(start, end)| start * block..end * block).collect();
            pieces(&ranges)
                .into_iter()
                .map(|piece| (piece.start / block, piece.end / block))
                .collect::<Vec<_>>()
        };
        assert_eq!(read(&[]), []);
        assert_eq!(read(&[(0, 1), (1, 2), (6, 7), (12, 13)]), [(0, 7), (12, 13)]);
        assert_eq!(read(&[(3, 40)]), [(3, 19), (19, 35), (35, 40)]);
    }

    #[test]
    fn what_reads_back_otherwise_is_told_whether_it_was_written_whole_or_in_part() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("copy");
        std::fs::write(&path, vec![5; 3 * BLOCK]).unwrap();
        let volume = Volume::open(&path).unwrap();
        let blocks = |last: u8| {
            let mut blocks = Blocks::zeros(bytes(3 * BLOCK));
            blocks.hashes.fill(hash(&vec![5; BLOCK]));
            blocks.hashes[2] = hash(&vec![last; BLOCK]);
            blocks
        };
        let written = |part: u8| {
            let mut found = Found::default();
            found.add(bytes(BLOCK)..bytes(3 * BLOCK), false);
            found.add_parts(vec![Part { at: 8192, length: 4096, hash: hash(&vec![part; 4096]) }]);
            found
        };
        let work = crate::context::Work::silent();
        assert!(verify(&volume, &written(5), &blocks(5), &work).is_ok());
        let failure = verify(&volume, &written(5), &blocks(6), &work).unwrap_err();
        assert!(failure.message.contains(&format!("at byte {} reads back", 2 * BLOCK)), "{failure}");
        let failure = verify(&volume, &written(6), &blocks(5), &work).unwrap_err();
        assert!(failure.message.contains("at byte 8192 reads back"), "{failure}");
    }
}
