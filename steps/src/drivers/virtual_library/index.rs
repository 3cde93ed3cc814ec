//! The index of a dataset: a line of JSON for each entry of the archive, in its order, compressed in portions.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    closing::Closing,
    frame::{self, Damage, Kind},
};

/// Lines of a portion before compression, in bytes.
const PORTION: usize = 1 << 20;
/// The longest portion that is read: one line may go beyond [`PORTION`].
const LONGEST_PORTION: usize = PORTION + (1 << 20);

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of an earlier file of the same volume.
    Hardlink,
    /// A named pipe.
    Fifo,
    /// A device.
    Device,
    /// A socket: named here, and not in the archive, which cannot hold one.
    Socket,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its path in the archive.
    pub(super) path: Name,
    /// What it is.
    pub(super) kind: EntryKind,
    /// Where its first header is in the archive, in bytes.
    pub(super) offset: u64,
    /// The length of a file, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) size: u64,
    /// BLAKE3, in hexadecimal, of what the archive has of a file: its content; of a sparse one, map and segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) blake3: Option<String>,
    /// The path in the archive of what a hard link is another name of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<Name>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A path: text where it is UTF-8, else `{"hex": "..."}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(pub(super) Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NameForm<'a> {
    Text(std::borrow::Cow<'a, str>),
    Hex { hex: String },
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match std::str::from_utf8(&self.0) {
            Ok(text) => NameForm::Text(text.into()),
            Err(_) => NameForm::Hex { hex: hex(&self.0) },
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match NameForm::deserialize(deserializer)? {
            NameForm::Text(text) => Ok(Self(text.into_owned().into_bytes())),
            NameForm::Hex { hex } => from_hex(&hex)
                .map(Self)
                .ok_or_else(|| serde::de::Error::custom("a path in hexadecimal digits is expected")),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

impl Name {
    /// For messages.
    pub(super) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// Collects the index while the archive is written: in a file without a name, since it may be longer than memory.
pub(super) struct IndexWriter {
    lines: Vec<u8>,
    spool: File,
    length: u64,
}

impl IndexWriter {
    /// An empty one, whose file is in `directory`.
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        Ok(Self { lines: Vec::new(), spool: nameless_file(directory)?, length: 0 })
    }

    /// Adds a line.
    pub(super) fn add(&mut self, entry: &Entry) -> io::Result<()> {
        serde_json::to_writer(&mut self.lines, entry)?;
        self.lines.push(b'\n');
        if self.lines.len() >= PORTION { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let body = zstd::bulk::compress(&self.lines, 3)?;
        let frame = frame::encode(Kind::Index, &body).ok_or(io::ErrorKind::FileTooLarge)?;
        self.spool.write_all_at(&frame, self.length)?;
        self.length += frame.len() as u64;
        self.lines.clear();
        Ok(())
    }

    /// All frames, one after the other, in a file; and their length.
    pub(super) fn finish(mut self) -> io::Result<(File, u64)> {
        if !self.lines.is_empty() || self.length == 0 {
            self.flush()?;
        }
        Ok((self.spool, self.length))
    }
}

/// A file that goes when it is closed.
fn nameless_file(directory: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).mode(0o600);
    let flags = rustix::fs::OFlags::TMPFILE.bits().cast_signed();
    options.clone().custom_flags(flags).open(directory).or_else(|_| {
        // Not every file system can.
        let path = directory.join(format!("index-{}.new", std::process::id()));
        let remove = || match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        // A process of this number may have left one, and another thread may be here too: it has its file already.
        let file = loop {
            match options.create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove()?,
                created => break created?,
            }
        };
        remove()?;
        Ok(file)
    })
}

/// The lines of an index, portion by portion.
pub(super) struct Lines<'a> {
    file: &'a File,
    position: u64,
    end: u64,
    portion: std::vec::IntoIter<Entry>,
}

/// Reads the index of a dataset.
pub(super) fn lines<'a>(file: &'a File, closing: &Closing) -> Lines<'a> {
    Lines { file, position: closing.index_at(), end: closing.table_at(), portion: Vec::new().into_iter() }
}

impl Lines<'_> {
    fn next_portion(&mut self) -> Result<Vec<Entry>, Damage> {
        let (body, end) = frame::read(self.file, self.position, self.end, Kind::Index)?;
        self.position = end;
        let wrong = |why: &dyn std::fmt::Display| Damage(format!("the index: {why}"));
        let text = zstd::bulk::decompress(&body, LONGEST_PORTION).map_err(|error| wrong(&error))?;
        text.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).map_err(|error| wrong(&error)))
            .collect()
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Entry, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.portion.next() {
                return Some(Ok(entry));
            }
            if self.position >= self.end {
                return None;
            }
            match self.next_portion() {
                Ok(portion) => self.portion = portion.into_iter(),
                Err(damage) => {
                    self.position = self.end;
                    return Some(Err(damage));
                }
            }
        }
    }
}
