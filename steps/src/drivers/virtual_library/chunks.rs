//! The way of an archive back from a cartridge: its compressed frames are read, verified and decompressed side by side,
//! ahead of whoever consumes them. Memory is a few chunks.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use super::{
    closing::Closing,
    frame::{self, Damage, Kind},
    table::{self, LONGEST_CHUNK, Row},
};
use crate::{context::Work, failure::Failure};

/// Threads that decompress.
const WORKERS: usize = 2;
/// Chunks that are on their way at once.
const BUFFERS: usize = 6;

/// The archive of a dataset on a cartridge.
pub(super) struct Source<'a> {
    file: &'a File,
    /// For messages: the dataset and its cartridge.
    name: String,
    rows: Vec<(u64, Row)>,
    /// Bytes of archive in one chunk.
    pub(super) chunk_bytes: u64,
    /// Bytes of the archive.
    pub(super) archive_bytes: u64,
}

impl<'a> Source<'a> {
    /// Reads the table of a dataset.
    pub(super) fn open(file: &'a File, name: String, closing: &Closing) -> Result<Self, Damage> {
        let (body, _) = frame::read(file, closing.table_at(), closing.record_at(), Kind::Table)?;
        let wrong = || Damage("the table contradicts the closing frame".to_owned());
        let table = table::decode(&body).ok_or_else(wrong)?;
        let mut position = closing.archive_at();
        let mut rows = Vec::with_capacity(table.len());
        for row in table {
            rows.push((position, row));
            position += u64::from(row.length);
        }
        let sane = (1..=LONGEST_CHUNK).contains(&closing.chunk_bytes);
        if !sane
            || position != closing.index_at()
            || rows.len() as u64 != closing.archive_bytes.div_ceil(closing.chunk_bytes)
        {
            return Err(wrong());
        }
        let (chunk_bytes, archive_bytes) = (closing.chunk_bytes, closing.archive_bytes);
        Ok(Self { file, name, rows, chunk_bytes, archive_bytes })
    }

    /// Reads the compressed frame of a chunk, if it is whole.
    fn frame(&self, chunk: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        let (position, row) = self.rows.get(chunk).ok_or(io::ErrorKind::InvalidInput)?;
        bytes.resize(row.length as usize, 0);
        self.file.read_exact_at(bytes, *position)?;
        if *blake3::hash(bytes).as_bytes() == row.digest {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong"))
        }
    }

    fn decompress(
        &self,
        chunk: usize,
        decompressor: &mut zstd::bulk::Decompressor<'_>,
        frame: &mut Vec<u8>,
        mut bytes: Vec<u8>,
    ) -> io::Result<Vec<u8>> {
        let start = chunk as u64 * self.chunk_bytes;
        let expected = self.chunk_bytes.min(self.archive_bytes.saturating_sub(start));
        let length = usize::try_from(expected).map_err(io::Error::other)?;
        self.frame(chunk, frame)?;
        bytes.clear();
        bytes.reserve(length);
        if decompressor.decompress_to_buffer(frame, &mut bytes)? == length {
            Ok(bytes)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "its length is not what it should be"))
        }
    }

    /// Which of these chunks are damaged, in order.
    pub(super) fn damaged(&self, chunks: &[usize], work: &Work) -> Result<Vec<usize>, Failure> {
        let next = AtomicUsize::new(0);
        let damaged = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                let _ = scope.spawn(|| {
                    let mut frame = Vec::new();
                    while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if work.is_cancelled() {
                            break;
                        }
                        if self.frame(*chunk, &mut frame).is_err()
                            && let Ok(mut damaged) = damaged.lock()
                        {
                            damaged.push(*chunk);
                        }
                    }
                });
            }
        });
        work.check()?;
        let mut damaged =
            damaged.into_inner().map_err(|_| Failure::permanent("a thread that reads ended"))?;
        damaged.sort_unstable();
        Ok(damaged)
    }

    /// Lets `consume` read these chunks, in order.
    pub(super) fn stream<T>(
        &self,
        chunks: &[usize],
        consume: impl FnOnce(&mut Stream<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        thread::scope(|scope| {
            let (give_back, used) = channel();
            for _ in 0..BUFFERS {
                let _ = give_back.send(Vec::new());
            }
            let queue = Arc::new(Mutex::new((used, chunks.iter().copied().enumerate())));
            let (sender, results) = channel();
            for _ in 0..WORKERS {
                let (queue, sender) = (queue.clone(), sender.clone());
                let _ = scope.spawn(move || self.decompress_chunks(&queue, &sender));
            }
            drop(sender);
            let mut stream = Stream {
                name: &self.name,
                results,
                give_back,
                waiting: BTreeMap::new(),
                received: 0,
                start: 0,
                chunk: Vec::new(),
                position: 0,
                chunk_bytes: self.chunk_bytes,
            };
            consume(&mut stream)
        })
    }

    /// Takes a buffer and whichever chunk is next: a worker that has to wait for a processor holds up nobody.
    fn decompress_chunks(&self, queue: &Mutex<Queue<'_>>, results: &Sender<(usize, Decompressed)>) {
        let mut decompressor = zstd::bulk::Decompressor::new();
        let mut frame = Vec::new();
        loop {
            let next = queue.lock().ok().and_then(|mut queue| {
                let buffer = queue.0.recv().ok()?;
                Some((queue.1.next()?, buffer))
            });
            let Some(((number, chunk), buffer)) = next else { break };
            let result = match &mut decompressor {
                Ok(decompressor) => self.decompress(chunk, decompressor, &mut frame, buffer),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            let result = result.map(|bytes| (chunk as u64 * self.chunk_bytes, bytes)).map_err(|error| {
                let position = self.rows.get(chunk).map_or(0, |(position, _)| *position);
                Failure::permanent(format!(
                    "{} is damaged at byte {position} of the cartridge: {error}",
                    self.name
                ))
            });
            // Whoever no longer listens has stopped, and said why.
            if results.send((number, result)).is_err() {
                break;
            }
        }
    }
}

/// Buffers that are free, and the chunks that are still to be read with their place in the order.
type Queue<'a> = (Receiver<Vec<u8>>, std::iter::Enumerate<std::iter::Copied<std::slice::Iter<'a, usize>>>);
/// Where a chunk begins in the archive, and its bytes.
type Decompressed = Result<(u64, Vec<u8>), Failure>;

/// An archive being read.
pub(super) struct Stream<'a> {
    name: &'a str,
    results: Receiver<(usize, Decompressed)>,
    give_back: Sender<Vec<u8>>,
    waiting: BTreeMap<usize, Decompressed>,
    received: usize,
    start: u64,
    chunk: Vec<u8>,
    position: u64,
    chunk_bytes: u64,
}

impl Stream<'_> {
    /// Goes to a place in the archive, never backwards.
    pub(super) const fn seek(&mut self, position: u64) {
        self.position = position;
    }

    /// At least one and at most `most` bytes from where it stands, which it passes over.
    pub(super) fn next(&mut self, most: u64) -> Result<&[u8], Failure> {
        while self.position >= self.start + self.chunk.len() as u64 {
            let result = loop {
                if let Some(result) = self.waiting.remove(&self.received) {
                    break result;
                }
                let Ok((number, result)) = self.results.recv() else {
                    break Err(self.wrong("it ends before its time"));
                };
                let _ = self.waiting.insert(number, result);
            };
            let (start, chunk) = result?;
            // A worker that has ended needs no buffer.
            let _ = self.give_back.send(std::mem::replace(&mut self.chunk, chunk));
            self.start = start;
            self.received += 1;
        }
        let inside = self.position.checked_sub(self.start).filter(|inside| *inside < self.chunk_bytes);
        let inside = inside.and_then(|inside| usize::try_from(inside).ok());
        let rest = inside
            .and_then(|inside| self.chunk.get(inside..))
            .ok_or_else(|| self.wrong("it is out of order"))?;
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(rest.len());
        self.position += length as u64;
        Ok(&rest[..length])
    }

    /// Fills `buffer`.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        let mut done = 0;
        while done < buffer.len() {
            let bytes = self.next((buffer.len() - done) as u64)?;
            buffer[done..done + bytes.len()].copy_from_slice(bytes);
            done += bytes.len();
        }
        Ok(())
    }

    /// A failure about the archive.
    pub(super) fn wrong(&self, why: &str) -> Failure {
        Failure::permanent(format!("{}: at byte {} of its archive: {why}", self.name, self.position))
    }
}
