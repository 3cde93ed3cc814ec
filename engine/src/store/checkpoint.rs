//! Checkpoints: all keys and values as of a place in the log, so that what the log had before may go. Each is made of
//! the one before and the closed segments since: of what is durable, never of the view.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use super::{
    batch::operations,
    error::StoreError,
    files::{create_whole, numbered, sync_directory},
    frame::{LARGEST_RECORD, Point},
    log::read_sealed,
    place::Place,
    segment::{FORMAT, Segment, segments},
};

const MAGIC: &[u8; 8] = b"resplitC";

/// What the log changed: a value, or `None` for a removal, by key.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What is done with each key and value.
pub(super) type Emit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// Where all that is stored begins: a checkpoint that was verified, or nothing before the first record.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) point: Point,
    pub(super) path: Option<PathBuf>,
    /// Newer checkpoints that are damaged, and how.
    pub(super) damaged: Vec<String>,
}

/// The newest checkpoint that is whole and that a segment continues. Reads it whole; an I/O error is an error, damage
/// is not as long as an older one is whole.
pub(super) fn choose(place: &Place, segments: &[Segment]) -> Result<Base, StoreError> {
    let mut damaged = Vec::new();
    for (sequence, path) in numbered(&place.checkpoints, "checkpoint")?.into_iter().rev() {
        match verify(&path)? {
            Ok(point) if point.sequence == sequence && segments.iter().any(|s| s.before == point) => {
                return Ok(Base { point, path: Some(path), damaged });
            }
            Ok(_) => damaged.push(format!("{}: the log does not continue it", path.display())),
            Err(why) => damaged.push(format!("{}: {why}", path.display())),
        }
    }
    match segments.first() {
        Some(first) if first.before.sequence == 0 => Ok(Base { point: first.before, path: None, damaged }),
        Some(first) => {
            let lost = format!("no whole checkpoint leads to record {}", first.before.sequence);
            Err(place.damaged(&place.checkpoints, [vec![lost], damaged].concat().join("; ")))
        }
        None => Err(place.damaged(
            &place.log,
            "every segment of the log is missing: every record since the last \
            checkpoint is lost",
        )),
    }
}

/// Adds the writes of a record.
pub(super) fn collect(place: &Place, writes: &[u8], changes: &mut Changes) -> Result<(), StoreError> {
    for operation in operations(writes) {
        let Some((key, value)) = operation else {
            return Err(place.damaged(&place.log, "a record whose checksum is right makes no sense"));
        };
        changes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
    }
    Ok(())
}

/// Goes through everything that is stored, in the order of keys: a base with the changes since. Memory is that of the
/// changes.
pub(super) fn merge(
    place: &Place,
    base: &Base,
    changes: &Changes,
    emit: &mut Emit<'_>,
) -> Result<(), StoreError> {
    let mut changes = changes.iter().peekable();
    if let Some(path) = &base.path {
        let mut reader = Reader::open(path).map_err(StoreError::io("read", path))?;
        let broken = |why: &str| place.damaged(path, why);
        while let Some((key, value)) = reader.next(path)?.map_err(|why| broken(&why))? {
            while let Some((changed, new)) = changes.next_if(|(changed, _)| **changed < key) {
                if let Some(new) = new {
                    emit(changed, new)?;
                }
            }
            match changes.next_if(|(changed, _)| **changed == key) {
                Some((_, Some(new))) => emit(&key, new)?,
                Some((_, None)) => {}
                None => emit(&key, &value)?,
            }
        }
    }
    for (changed, new) in changes {
        if let Some(new) = new {
            emit(changed, new)?;
        }
    }
    Ok(())
}

/// Writes a checkpoint as of the end of the closed segments; then removes what is no longer needed: all but this
/// checkpoint and the one it was made of, and the segments before that one.
pub(super) fn write(place: &Place) -> Result<(), StoreError> {
    let segments = segments(place)?;
    let base = choose(place, &segments)?;
    let mut changes = Changes::new();
    let point =
        read_sealed(place, &segments, base.point, &mut |writes| collect(place, writes, &mut changes))?;
    if point == base.point {
        return Ok(());
    }
    let path = place.checkpoints.join(format!("{:020}.checkpoint", point.sequence));
    create_whole(&path, |file, unfinished| {
        let mut writer =
            Writer { file: BufWriter::with_capacity(1 << 16, file), hasher: blake3::Hasher::new() };
        let failed = || StoreError::io("write", unfinished);
        writer.header(point).map_err(failed())?;
        let mut count = 0_u64;
        merge(place, &base, &changes, &mut |key, value| {
            count += 1;
            writer.entry(key, value).map_err(failed())
        })?;
        writer.finish(count).map_err(failed())
    })?;
    for (_, old) in numbered(&place.checkpoints, "checkpoint")? {
        if old != path && Some(&old) != base.path.as_ref() {
            fs::remove_file(&old).map_err(StoreError::io("remove", &old))?;
        }
    }
    // The oldest go first, so that those that remain never have a gap.
    for old in segments.iter().take_while(|segment| segment.before.sequence < base.point.sequence) {
        fs::remove_file(&old.path).map_err(StoreError::io("remove", &old.path))?;
    }
    sync_directory(&place.log)
}

struct Writer<'a> {
    file: BufWriter<&'a mut File>,
    hasher: blake3::Hasher,
}

impl Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }

    fn header(&mut self, point: Point) -> io::Result<()> {
        self.write(MAGIC)?;
        self.write(&FORMAT.to_le_bytes())?;
        self.write(&point.sequence.to_le_bytes())?;
        self.write(&point.hash)
    }

    fn entry(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        for bytes in [key, value] {
            let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
            self.write(&length.to_le_bytes())?;
            self.write(bytes)?;
        }
        Ok(())
    }

    /// An entry without a key, the number of entries, and the hash of everything.
    fn finish(mut self, count: u64) -> io::Result<()> {
        self.write(&0_u32.to_le_bytes())?;
        self.write(&count.to_le_bytes())?;
        let hash = self.hasher.finalize();
        self.file.write_all(hash.as_bytes())?;
        self.file.flush()
    }
}

/// Reads a checkpoint whole: its place, or what is wrong with it.
fn verify(path: &Path) -> Result<Result<Point, String>, StoreError> {
    let mut reader = match Reader::open(path) {
        Ok(reader) => reader,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Ok(Err("it ends early".to_owned()));
        }
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    if &reader.magic != MAGIC {
        return Ok(Err("it is not a checkpoint".to_owned()));
    }
    loop {
        match reader.next(path)? {
            Ok(Some(_)) => {}
            Ok(None) if reader.format != FORMAT => {
                return Err(StoreError::Format {
                    path: path.to_owned(),
                    found: reader.format,
                    known: FORMAT,
                });
            }
            Ok(None) => return Ok(Ok(reader.point)),
            Err(why) => return Ok(Err(why)),
        }
    }
}

struct Reader {
    file: BufReader<File>,
    hasher: blake3::Hasher,
    magic: [u8; 8],
    format: u32,
    point: Point,
    count: u64,
}

impl Reader {
    fn open(path: &Path) -> io::Result<Self> {
        let mut reader = Self {
            file: BufReader::with_capacity(1 << 16, File::open(path)?),
            hasher: blake3::Hasher::new(),
            magic: [0; 8],
            format: 0,
            point: Point { sequence: 0, hash: [0; 32] },
            count: 0,
        };
        reader.magic = reader.array()?;
        reader.format = u32::from_le_bytes(reader.array()?);
        reader.point = Point { sequence: u64::from_le_bytes(reader.array()?), hash: reader.array()? };
        Ok(reader)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        // Read as far as the file goes: a damaged length must not allocate what is not there.
        let mut bytes = Vec::with_capacity(length.min(1 << 16));
        self.file.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// The next key and value, or `None` after the last one, when everything was right. The inner error is damage.
    fn next(&mut self, path: &Path) -> Result<Result<Option<(Vec<u8>, Vec<u8>)>, String>, StoreError> {
        match self.entry() {
            Ok(entry) => Ok(Ok(entry)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Err("it ends early".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Ok(Err("its hash is not that of its content".to_owned()))
            }
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    fn entry(&mut self) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        if length == 0 {
            return self.finish().map(|()| None);
        }
        if length > LARGEST_RECORD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let key = self.bytes(length)?;
        let length = u32::from_le_bytes(self.array()?) as usize;
        if length > LARGEST_RECORD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let value = self.bytes(length)?;
        self.count += 1;
        Ok(Some((key, value)))
    }

    fn finish(&mut self) -> io::Result<()> {
        let count = u64::from_le_bytes(self.array()?);
        let computed = self.hasher.finalize();
        let stored: [u8; 32] = self.array()?;
        let ended = self.file.read(&mut [0])? == 0;
        if ended && count == self.count && computed == blake3::Hash::from_bytes(stored) {
            Ok(())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}
