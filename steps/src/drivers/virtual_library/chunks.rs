//! The way of an archive back from a cartridge: its compressed frames are read, verified and decompressed side by side,
//! ahead of whoever consumes them. Memory is a few chunks.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
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
/// Chunks that each of them may be ahead.
const AHEAD: usize = 2;

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
            let mut results = Vec::new();
            for worker in 0..WORKERS {
                let (sender, receiver) = sync_channel(AHEAD);
                let (give_back, used) = channel();
                let _ = scope.spawn(move || {
                    self.decompress_chunks(chunks.iter().skip(worker).step_by(WORKERS), &sender, &used);
                });
                results.push((receiver, give_back));
            }
            let mut stream = Stream {
                name: &self.name,
                results,
                received: 0,
                start: 0,
                chunk: Vec::new(),
                position: 0,
                chunk_bytes: self.chunk_bytes,
            };
            consume(&mut stream)
        })
    }

    fn decompress_chunks<'c>(
        &self,
        chunks: impl Iterator<Item = &'c usize>,
        results: &SyncSender<Decompressed>,
        used: &Receiver<Vec<u8>>,
    ) {
        let mut decompressor = zstd::bulk::Decompressor::new();
        let mut frame = Vec::new();
        for chunk in chunks {
            let result = match &mut decompressor {
                Ok(decompressor) => {
                    let buffer = used.try_recv().unwrap_or_default();
                    self.decompress(*chunk, decompressor, &mut frame, buffer)
                }
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            let result = result.map(|bytes| (*chunk as u64 * self.chunk_bytes, bytes)).map_err(|error| {
                let position = self.rows.get(*chunk).map_or(0, |(position, _)| *position);
                Failure::permanent(format!(
                    "{} is damaged at byte {position} of the cartridge: {error}",
                    self.name
                ))
            });
            // Whoever no longer listens has stopped, and said why.
            if results.send(result).is_err() {
                break;
            }
        }
    }
}

/// Where a chunk begins in the archive, and its bytes.
type Decompressed = Result<(u64, Vec<u8>), Failure>;

/// An archive being read.
pub(super) struct Stream<'a> {
    name: &'a str,
    results: Vec<(Receiver<Decompressed>, Sender<Vec<u8>>)>,
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
            let (results, give_back) = &self.results[self.received % self.results.len()];
            let result = results.recv().unwrap_or_else(|_| Err(self.wrong("it ends before its time")));
            let (start, chunk) = result?;
            // A worker that has ended needs no buffer.
            let _ = give_back.send(std::mem::replace(&mut self.chunk, chunk));
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
