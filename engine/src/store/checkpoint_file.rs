//! The format of a checkpoint: magic, format, place in the log; keys with their values, each after its length, in the
//! order of keys; an empty key; how many there are; and BLAKE3 of everything before.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use super::{
    error::StoreError,
    frame::{LARGEST_RECORD, Point},
    segment::FORMAT,
};

const MAGIC: &[u8; 8] = b"resplitC";
const BUFFER: usize = 1 << 16;

/// A key, with its table, and a value.
pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// Why a checkpoint cannot be used.
pub(super) enum Bad {
    /// It is not what was written.
    Damaged(String),
    /// It cannot be read, or not by this program.
    Error(StoreError),
}

/// Writes a checkpoint.
pub(super) struct Writer<'a> {
    file: BufWriter<&'a mut File>,
    hasher: blake3::Hasher,
    count: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn begin(file: &'a mut File, point: Point) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER, file);
        let mut writer = Self { file, hasher: blake3::Hasher::new(), count: 0 };
        writer.write(MAGIC)?;
        writer.write(&FORMAT.to_le_bytes())?;
        writer.write(&point.sequence.to_le_bytes())?;
        writer.write(&point.hash)?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }

    pub(super) fn entry(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        for bytes in [key, value] {
            let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
            self.write(&length.to_le_bytes())?;
            self.write(bytes)?;
        }
        self.count += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.write(&0_u32.to_le_bytes())?;
        self.write(&self.count.to_le_bytes())?;
        let hash = self.hasher.finalize();
        self.file.write_all(hash.as_bytes())?;
        self.file.flush()
    }
}

/// Reads a checkpoint whole; gives its place in the log.
pub(super) fn verify(path: &Path) -> Result<Point, Bad> {
    let mut reader = Reader::open(path)?;
    while reader.next()?.is_some() {}
    Ok(reader.point)
}

/// Reads a checkpoint. Only after the last entry is it known that all were right.
pub(super) struct Reader {
    file: BufReader<File>,
    path: PathBuf,
    hasher: blake3::Hasher,
    format: u32,
    point: Point,
    count: u64,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, Bad> {
        let file = File::open(path).map_err(|error| Bad::Error(StoreError::io("open", path)(error)))?;
        let mut reader = Self {
            file: BufReader::with_capacity(BUFFER, file),
            path: path.to_owned(),
            hasher: blake3::Hasher::new(),
            format: 0,
            point: Point { sequence: 0, hash: [0; 32] },
            count: 0,
        };
        reader.header().map_err(|error| reader.bad(error))?;
        Ok(reader)
    }

    fn header(&mut self) -> io::Result<()> {
        if &self.array()? != MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.format = u32::from_le_bytes(self.array()?);
        self.point = Point { sequence: u64::from_le_bytes(self.array()?), hash: self.array()? };
        Ok(())
    }

    /// The next key and value, or `None` after the last one.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Bad> {
        self.entry().map_err(|error| self.bad(error))
    }

    fn bad(&self, error: io::Error) -> Bad {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Bad::Damaged("it ends early".to_owned()),
            io::ErrorKind::InvalidData => Bad::Damaged("it is not what was written".to_owned()),
            // The hash was right: it is another version's.
            io::ErrorKind::Unsupported => {
                Bad::Error(StoreError::Format { path: self.path.clone(), found: self.format, known: FORMAT })
            }
            _ => Bad::Error(StoreError::io("read", &self.path)(error)),
        }
    }

    fn entry(&mut self) -> io::Result<Option<Entry>> {
        let length = self.length()?;
        if length == 0 {
            return self.finish().map(|()| None);
        }
        let key = self.bytes(length)?;
        let length = self.length()?;
        let value = self.bytes(length)?;
        self.count += 1;
        Ok(Some((key, value)))
    }

    fn finish(&mut self) -> io::Result<()> {
        let count = u64::from_le_bytes(self.array()?);
        let computed = self.hasher.finalize();
        let stored = blake3::Hash::from_bytes(self.array()?);
        let ended = self.file.read(&mut [0])? == 0;
        if !ended || count != self.count || computed != stored {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.format == FORMAT { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    fn length(&mut self) -> io::Result<usize> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        if length > LARGEST_RECORD { Err(io::ErrorKind::InvalidData.into()) } else { Ok(length) }
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// Reads as far as the file goes: a damaged length must not allocate what is not there.
    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length.min(BUFFER));
        self.file.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.hasher.update(&bytes);
        Ok(bytes)
    }
}
