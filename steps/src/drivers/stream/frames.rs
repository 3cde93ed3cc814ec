//! Frames on a stream of bytes: a kind, a length, and so many bytes. A seal is the digest of all frames since the last.

use crate::failure::{Failure, FailureClass};

use super::{Incoming, Outgoing};

/// What is gathered before it is sent.
const FULL: usize = 256 << 10;
/// The longest payload that is read.
const LONGEST: usize = 8 << 20;
/// Kind, length, and the two once more: who takes a wrong length for the right one waits for what never comes.
const HEAD: usize = 9;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drivers) enum Kind {
    /// A message.
    Say = 1,
    /// Part of what is compressed.
    Piece = 2,
    /// No more parts follow.
    Last = 3,
    /// A digest.
    Seal = 4,
    /// The beginning of an entry.
    Entry = 5,
    /// Content of a file.
    Data = 6,
    /// The end of an entry's content.
    End = 7,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Say, Self::Piece, Self::Last, Self::Seal, Self::Entry, Self::Data, Self::End];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Why a conversation ended early.
#[derive(Debug)]
pub enum Stop {
    /// The stream was cut, or what came is not what was sent: another conversation may succeed.
    Cut(String),
    /// One of the two sides failed, and says why.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Stop {
    /// In the terms of a verb. One whose stream was cut is as one that was cancelled: its book says that it runs, and it
    /// goes on when asked again.
    pub(in crate::drivers) fn failure(self) -> Failure {
        match self {
            Self::Cut(message) => Failure { message, ..Failure::cancelled() },
            Self::Failed(failure) => failure,
        }
    }

    /// The other way round.
    pub(in crate::drivers) fn of(failure: Failure) -> Self {
        if failure.class == FailureClass::Cancelled {
            Self::Cut(failure.message)
        } else {
            Self::Failed(failure)
        }
    }
}

/// That what came is not what the other side may say.
pub(in crate::drivers) fn damaged(what: &str) -> Stop {
    Stop::Failed(
        Failure::permanent(format!("what the other host sent is refused: {what}"))
            .with_help("see that both hosts run the same version of this program, then run again"),
    )
}

/// What is sent.
pub(in crate::drivers) struct Out {
    send: Outgoing,
    buffer: Vec<u8>,
    hasher: blake3::Hasher,
    /// Bytes of the buffer that the hasher has.
    hashed: usize,
}

impl Out {
    pub(super) fn new(send: Outgoing) -> Self {
        Self { send, buffer: Vec::new(), hasher: blake3::Hasher::new(), hashed: 0 }
    }

    /// Ends this direction.
    pub(super) fn end(&mut self) {
        self.send = Box::new(|_| Err(std::io::ErrorKind::BrokenPipe.into()));
    }

    /// Adds a frame, of several parts.
    pub(in crate::drivers) fn frame(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<(), Stop> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.head(kind, length)?;
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
        if self.buffer.len() >= FULL { self.flush() } else { Ok(()) }
    }

    /// Adds a frame of `head` and what `read` puts into at most `room` bytes; nothing is added if that is none. Gives how
    /// many bytes were read.
    pub(in crate::drivers) fn fill<E>(
        &mut self,
        kind: Kind,
        head: &[u8],
        room: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Result<usize, E>, Stop> {
        if self.buffer.len() + room > FULL {
            self.flush()?;
        }
        let start = self.buffer.len();
        let content = start + HEAD + head.len();
        self.buffer.reserve(content + room - start);
        self.buffer.extend_from_slice(&[0; HEAD]);
        self.buffer.extend_from_slice(head);
        self.buffer.resize(content + room, 0);
        let read = match read(&mut self.buffer[content..]) {
            Ok(read) => read.min(room),
            Err(error) => {
                self.buffer.truncate(start);
                return Ok(Err(error));
            }
        };
        self.buffer.truncate(if read == 0 { start } else { content + read });
        if read > 0 {
            let head = frame_head(kind, head.len() + read)?;
            self.buffer[start..start + HEAD].copy_from_slice(&head);
        }
        Ok(Ok(read))
    }

    fn head(&mut self, kind: Kind, bytes: usize) -> Result<(), Stop> {
        self.buffer.extend_from_slice(&frame_head(kind, bytes)?);
        Ok(())
    }

    /// Adds the digest of all since the last one.
    pub(in crate::drivers) fn seal(&mut self) -> Result<(), Stop> {
        let _ = self.hasher.update(&self.buffer[self.hashed..]);
        let digest = self.hasher.finalize();
        let _ = self.hasher.reset();
        self.head(Kind::Seal, blake3::OUT_LEN)?;
        self.buffer.extend_from_slice(digest.as_bytes());
        self.hashed = self.buffer.len();
        if self.buffer.len() >= FULL { self.flush() } else { Ok(()) }
    }

    /// Sends what was gathered.
    pub(in crate::drivers) fn flush(&mut self) -> Result<(), Stop> {
        let _ = self.hasher.update(&self.buffer[self.hashed..]);
        self.hashed = 0;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(FULL + HEAD));
        (self.send)(full).map_err(|error| Stop::Cut(error.to_string()))
    }
}

fn frame_head(kind: Kind, bytes: usize) -> Result<[u8; HEAD], Stop> {
    let Some(length) = u32::try_from(bytes).ok().filter(|_| bytes <= LONGEST) else {
        return Err(Failure::permanent(format!("a message of {bytes} bytes is too long to be sent")).into());
    };
    let mut head = [kind as u8; HEAD];
    head[1..5].copy_from_slice(&length.to_le_bytes());
    head[5..].copy_from_slice(&again(kind as u8, length).to_le_bytes());
    Ok(head)
}

fn again(kind: u8, length: u32) -> u32 {
    !length ^ u32::from(kind).wrapping_mul(0x0101_0101)
}

/// What comes.
pub(in crate::drivers) struct In {
    receive: Incoming,
    buffer: Vec<u8>,
    at: usize,
    hasher: blake3::Hasher,
}

impl In {
    pub(super) fn new(receive: Incoming) -> Self {
        Self { receive, buffer: Vec::new(), at: 0, hasher: blake3::Hasher::new() }
    }

    /// The next frame, which is no seal.
    pub(in crate::drivers) fn frame(&mut self) -> Result<(Kind, &[u8]), Stop> {
        let (kind, whole) = self.take()?;
        if kind == Kind::Seal {
            return Err(damaged("a seal where none is due"));
        }
        let _ = self.hasher.update(&self.buffer[whole.clone()]);
        Ok((kind, &self.buffer[whole.start + HEAD..whole.end]))
    }

    /// The seal, which must be next: all since the last one came as it was sent.
    pub(in crate::drivers) fn sealed(&mut self) -> Result<(), Stop> {
        let (kind, whole) = self.take()?;
        if kind != Kind::Seal {
            return Err(damaged("a seal is missing"));
        }
        let digest = self.hasher.finalize();
        let _ = self.hasher.reset();
        if self.buffer[whole.start + HEAD..whole.end] == digest.as_bytes()[..] {
            return Ok(());
        }
        Err(Stop::Cut("what arrived is not what was sent".to_owned()))
    }

    fn take(&mut self) -> Result<(Kind, std::ops::Range<usize>), Stop> {
        self.need(HEAD)?;
        let head = &self.buffer[self.at..self.at + HEAD];
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        if again(head[0], length).to_le_bytes() != head[5..] {
            return Err(Stop::Cut("what arrived is not what was sent".to_owned()));
        }
        let kind = Kind::of(head[0]).ok_or_else(|| damaged("a frame of an unknown kind"))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(damaged(&format!("a frame of {length} bytes")));
        }
        self.need(HEAD + length)?;
        let whole = self.at..self.at + HEAD + length;
        self.at = whole.end;
        Ok((kind, whole))
    }

    /// Makes sure that so many bytes are there, one after the other.
    fn need(&mut self, bytes: usize) -> Result<(), Stop> {
        while self.buffer.len() - self.at < bytes {
            let next = (self.receive)().map_err(|error| Stop::Cut(error.to_string()))?;
            let next = next.ok_or_else(|| Stop::Cut("the other host ended the stream".to_owned()))?;
            if self.at == self.buffer.len() {
                self.buffer = next;
            } else {
                let _ = self.buffer.drain(..self.at);
                self.buffer.extend_from_slice(&next);
            }
            self.at = 0;
        }
        Ok(())
    }

    /// Reads on until the other side has ended, and keeps nothing.
    pub(super) fn drain(&mut self) {
        while let Ok(Some(_)) = (self.receive)() {}
    }
}
