//! The way of an archive onto a cartridge: it is cut into chunks, which are compressed side by side, each into a zstd
//! frame of its own, and written in order. Memory is a few chunks.

use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use super::table::{CHUNK, Row};
use crate::{context::Work, failure::Failure};

/// Threads that compress.
const WORKERS: usize = 2;
/// Chunks that are on their way at once.
const BUFFERS: usize = 8;
/// As the zstd program has it if not told otherwise.
const LEVEL: i32 = 3;

/// The end of a cartridge, where a dataset is written.
pub(super) struct Output<'a> {
    /// The cartridge.
    pub(super) file: &'a File,
    /// Its path, for messages.
    pub(super) path: &'a Path,
    /// Where the next bytes go.
    pub(super) position: u64,
    /// What the cartridge holds at most.
    pub(super) capacity: u64,
}

impl Output<'_> {
    /// Writes bytes at the end, never beyond the capacity.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let end = self.position + bytes.len() as u64;
        if end > self.capacity {
            return Err(Failure::permanent(format!(
                "the cartridge {} is full: it holds {} bytes, and the dataset is longer than was foreseen",
                self.path.display(),
                self.capacity
            ))
            .with_help("the trees grew while they were read; try again: another cartridge is chosen"));
        }
        self.file
            .write_all_at(bytes, self.position)
            .map_err(|error| Failure::io("write to the cartridge", self.path, &error))?;
        self.position = end;
        Ok(())
    }
}

/// A chunk's number, a buffer of [`CHUNK`] bytes, and how many of them count.
type Chunk = (usize, Vec<u8>, usize);
/// A chunk's number, its frame, and the buffer that it was in.
type Compressed = (usize, Result<(Vec<u8>, Row), Failure>, Vec<u8>);

/// Where an archive is written to.
pub(super) struct Sink<'a> {
    buffer: Vec<u8>,
    filled: usize,
    chunks: usize,
    to_workers: Sender<Chunk>,
    used: Receiver<Vec<u8>>,
    work: &'a Work,
}

impl Sink<'_> {
    /// How long the archive is so far.
    pub(super) const fn position(&self) -> u64 {
        (self.chunks * CHUNK + self.filled) as u64
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let length = bytes.len().min(CHUNK - self.filled);
            self.buffer[self.filled..self.filled + length].copy_from_slice(&bytes[..length]);
            bytes = &bytes[length..];
            self.advance(length)?;
        }
        Ok(())
    }

    /// Adds zeros up to a whole number of `unit`.
    pub(super) fn pad(&mut self, unit: u64) -> Result<(), Failure> {
        let missing = self.position().next_multiple_of(unit) - self.position();
        self.zeros(missing)
    }

    fn zeros(&mut self, mut count: u64) -> Result<(), Failure> {
        while count > 0 {
            let length = usize::try_from(count).unwrap_or(CHUNK).min(CHUNK - self.filled);
            self.buffer[self.filled..self.filled + length].fill(0);
            count -= length as u64;
            self.advance(length)?;
        }
        Ok(())
    }

    /// Adds `length` bytes of a file from `at` on, and hashes them. If it has fewer, zeros stand for the rest, and the
    /// answer is `false`.
    pub(super) fn copy(
        &mut self,
        (file, path): (&File, &dyn Fn() -> std::path::PathBuf),
        at: u64,
        length: u64,
        hasher: &mut blake3::Hasher,
    ) -> Result<bool, Failure> {
        let mut done = 0;
        while done < length {
            let room = usize::try_from(length - done).unwrap_or(CHUNK).min(CHUNK - self.filled);
            let target = &mut self.buffer[self.filled..self.filled + room];
            let count = match file.read_at(target, at + done) {
                Ok(0) => {
                    let missing = length - done;
                    self.zeros(missing)?;
                    return Ok(false);
                }
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::io("read", &path(), &error)),
            };
            let _ = hasher.update(&target[..count]);
            done += count as u64;
            self.advance(count)?;
        }
        Ok(true)
    }

    fn advance(&mut self, length: usize) -> Result<(), Failure> {
        self.filled += length;
        if self.filled == CHUNK { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Failure> {
        self.work.check()?;
        // No buffer comes back from a writer that has ended. It knows why, and is asked first.
        let fresh = self.used.recv().map_err(|_| stopped())?;
        let full = (self.chunks, std::mem::replace(&mut self.buffer, fresh), self.filled);
        self.chunks += 1;
        self.filled = 0;
        self.to_workers.send(full).map_err(|_| stopped())
    }

    fn finish(&mut self) -> Result<u64, Failure> {
        let length = self.position();
        if self.filled > 0 {
            self.send()?;
        }
        Ok(length)
    }
}

/// What an archive became.
pub(super) struct Archive<T> {
    /// What the producer gave.
    pub(super) produced: T,
    /// The length of the archive, in bytes.
    pub(super) bytes: u64,
    /// Its compressed frames.
    pub(super) rows: Vec<Row>,
}

/// Writes what `produce` writes into the sink, compressed, to `output`.
pub(super) fn compress<T>(
    output: &mut Output<'_>,
    work: &Work,
    produce: impl FnOnce(&mut Sink<'_>) -> Result<T, Failure>,
) -> Result<Archive<T>, Failure> {
    thread::scope(|scope| {
        let (give_back, used) = channel();
        for _ in 0..BUFFERS {
            let _ = give_back.send(vec![0; CHUNK]);
        }
        let (to_workers, chunks) = channel();
        let chunks = Arc::new(Mutex::new(chunks));
        let (to_writer, results) = channel();
        for _ in 0..WORKERS {
            let (chunks, to_writer) = (chunks.clone(), to_writer.clone());
            let _ = scope.spawn(move || compress_chunks(&chunks, &to_writer));
        }
        drop((chunks, to_writer));
        let writer = scope.spawn(move || write_frames(&results, &give_back, output));
        let mut sink = Sink { buffer: vec![0; CHUNK], filled: 0, chunks: 0, to_workers, used, work };
        let produced = produce(&mut sink).and_then(|produced| Ok((produced, sink.finish()?)));
        drop(sink);
        let rows = writer.join().unwrap_or_else(|_| Err(stopped()))?;
        let (produced, bytes) = produced?;
        Ok(Archive { produced, bytes, rows })
    })
}

fn stopped() -> Failure {
    Failure::permanent("a thread that writes the cartridge has ended unexpectedly")
}

/// Takes whichever chunk is next: a worker that has to wait for a processor holds up nobody.
fn compress_chunks(chunks: &Mutex<Receiver<Chunk>>, results: &Sender<Compressed>) {
    let failed = |error: std::io::Error| Failure::permanent(format!("cannot compress: {error}"));
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).and_then(|mut compressor| {
        compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
        Ok(compressor)
    });
    loop {
        let next = chunks.lock().ok().and_then(|chunks| chunks.recv().ok());
        let Some((number, chunk, length)) = next else { break };
        let result = match &mut compressor {
            Ok(compressor) => compressor.compress(&chunk[..length]).map_err(failed).and_then(|frame| {
                let row = Row {
                    length: u32::try_from(frame.len())
                        .map_err(|error| Failure::permanent(error.to_string()))?,
                    digest: *blake3::hash(&frame).as_bytes(),
                };
                Ok((frame, row))
            }),
            Err(error) => Err(Failure::permanent(format!("cannot compress: {error}"))),
        };
        // Whoever no longer listens has stopped, and said why.
        if results.send((number, result, chunk)).is_err() {
            break;
        }
    }
}

/// Writes the frames in the order of their chunks. Buffers go back only then, which bounds how many wait here.
fn write_frames(
    results: &Receiver<Compressed>,
    give_back: &Sender<Vec<u8>>,
    output: &mut Output<'_>,
) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let mut waiting = BTreeMap::new();
    for (number, result, buffer) in results {
        let _ = waiting.insert(number, (result?, buffer));
        while let Some(((frame, row), buffer)) = waiting.remove(&rows.len()) {
            output.append(&frame)?;
            rows.push(row);
            // Whoever no longer reads needs no buffer.
            let _ = give_back.send(buffer);
        }
    }
    Ok(rows)
}
