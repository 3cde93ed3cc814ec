//! What a command prints: its beginning and its end are kept.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::files::open_private;

/// The largest that the file becomes, in bytes.
const MOST: u64 = 1 << 20;
/// What is kept of the beginning, and of the end, when it would be larger.
const KEPT: u64 = 256 << 10;
/// The most that [`tail`] gives, in bytes.
const TAIL: usize = 4 << 10;

/// The file with a command's output. Where it cannot be written, the output is dropped: the command goes on.
pub(super) struct Output {
    path: PathBuf,
    file: File,
    length: u64,
    left_out: u64,
}

impl Output {
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        let file = open_private(&path, true)?;
        Ok(Self { path, file, length: 0, left_out: 0 })
    }

    /// Takes everything that is printed until nobody holds the other end any more.
    pub(super) fn take_all(&mut self, mut from: impl Read) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => self.add(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        let count = bytes.len() as u64;
        if self.length + count > MOST && self.compact().is_err() {
            return;
        }
        self.length = match self.file.write_all(bytes) {
            Ok(()) => self.length + count,
            // Some of it may have been written.
            Err(_) => self.file.metadata().map_or(self.length, |status| status.len()),
        };
    }

    /// Leaves out the middle, in a new file that replaces the old one.
    fn compact(&mut self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut shorter = open_private(&new, true)?;
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        let _ = self.file.seek(SeekFrom::Start(0))?;
        let _ = (&mut self.file).take(KEPT).read_to_end(&mut head)?;
        let _ = self.file.seek(SeekFrom::End(-KEPT.cast_signed()))?;
        let _ = self.file.read_to_end(&mut tail)?;
        // What an earlier mark took is counted as output: a mark is short, and the figure is for people.
        let left_out = self.left_out + self.length - 2 * KEPT;
        shorter.write_all(&head)?;
        write!(shorter, "\n[... {left_out} bytes left out ...]\n")?;
        shorter.write_all(&tail)?;
        fs::rename(&new, &self.path)?;
        self.left_out = left_out;
        self.length = shorter.stream_position()?;
        self.file = shorter;
        Ok(())
    }
}

/// The last lines of a command's output, without control characters. Empty if there is none.
pub(super) fn tail(path: &Path) -> String {
    let Ok(mut file) = File::open(path) else { return String::new() };
    let length = file.metadata().map_or(0, |status| status.len());
    let start = length.saturating_sub(TAIL as u64);
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    let whole = match bytes.iter().position(|&byte| byte == b'\n') {
        Some(end) if start > 0 => &bytes[end + 1..],
        _ => &bytes[..],
    };
    let text = String::from_utf8_lossy(whole);
    let mut clean: String = text.chars().filter(|&c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
    // Replacement characters take more room than what they replace.
    while clean.len() > TAIL {
        let cut =
            clean.char_indices().find(|(at, _)| *at >= clean.len() - TAIL).map_or(clean.len(), |(at, _)| at);
        let _ = clean.drain(..cut);
    }
    clean.truncate(clean.trim_end().len());
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        Output::create(path.clone()).unwrap().take_all(text);
        (directory, path)
    }

    #[test]
    fn a_long_output_keeps_its_beginning_and_its_end() {
        let lines: Vec<String> = (0..400_000).map(|number| format!("line {number:08}\n")).collect();
        let text = lines.concat();
        let (_directory, path) = printed(text.as_bytes());
        let kept = fs::read_to_string(&path).unwrap();
        assert!(kept.len() as u64 <= MOST, "{} bytes", kept.len());
        let head = usize::try_from(KEPT).unwrap();
        assert_eq!(kept[..head], text[..head]);
        assert_eq!(kept[kept.len() - head..], text[text.len() - head..]);
        assert_eq!(kept.matches("bytes left out").count(), 1);
        assert!(!path.with_extension("new").exists());
        assert!(tail(&path).ends_with("line 00399999"));
        assert!(tail(&path).starts_with("line "));
        assert!(tail(&path).len() <= TAIL);
    }

    #[test]
    fn the_tail_has_no_control_characters() {
        let (_directory, path) = printed(b"a\x1b[31mred\x07\tb\r\nlast \xff\n\n");
        assert_eq!(tail(&path), "a[31mred\tb\nlast \u{fffd}");
        let (_directory, path) = printed(&vec![0xff; 20_000]);
        assert!(tail(&path).len() <= TAIL);
        assert_eq!(tail(Path::new("/not/there")), "");
    }
}
