//! One conversation: messages, and what is sent compressed.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use super::{
    Kind, Said, Stop, Wire, damaged,
    frames::{In, Out},
};
use crate::failure::Failure;

/// What a part of something compressed has at most.
const PIECE: usize = 128 << 10;
/// Fast, since it competes with the network of one machine as well.
const LEVEL: i32 = 1;
/// The most that something compressed may have, in bytes: what is known of some hundred million files.
const MOST: u64 = 8 << 30;

/// Both directions of a conversation.
pub struct Talk {
    pub(in crate::drivers) out: Out,
    pub(in crate::drivers) input: In,
    /// Ends it from any thread.
    pub(in crate::drivers) close: Arc<dyn Fn() + Send + Sync>,
}

impl Talk {
    pub(super) fn new(wire: Wire) -> Self {
        Self { out: Out::new(wire.outgoing), input: In::new(wire.incoming), close: wire.close }
    }

    /// Says something, at once.
    pub(in crate::drivers) fn say(&mut self, said: &Said) -> Result<(), Stop> {
        self.out.say(said)
    }

    /// What the other side says; its failure is a failure.
    pub(in crate::drivers) fn hear(&mut self) -> Result<Said, Stop> {
        self.input.hear()
    }

    /// Ends this direction, and waits until the other side has ended its own: then it has let go of the pair.
    pub(super) fn finish(&mut self) {
        self.out.end();
        self.input.drain();
    }

    /// Says why it failed, ends this direction, and waits until the other side has ended its own, so that it reads that.
    pub(super) fn fail(&mut self, failure: &Failure) {
        let said = self.say(&Said::Failed { failure: failure.clone() });
        if said.is_ok() {
            self.finish();
        }
    }
}

impl Out {
    pub(in crate::drivers) fn say(&mut self, said: &Said) -> Result<(), Stop> {
        let bytes = serde_json::to_vec(said)
            .map_err(|error| Failure::permanent(format!("a message cannot be written: {error}")))?;
        self.frame(Kind::Say, &[&bytes])?;
        self.seal()?;
        self.flush()
    }

    /// Sends bytes compressed.
    pub(in crate::drivers) fn pack(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let mut pieces = Pieces { out: self, piece: Vec::new(), stop: None };
        let packed = zstd::stream::write::Encoder::new(&mut pieces, LEVEL).and_then(|mut encoder| {
            encoder.write_all(bytes)?;
            let _ = encoder.finish()?;
            Ok(())
        });
        let Pieces { out, piece, stop } = pieces;
        match (packed, stop) {
            (_, Some(stop)) => return Err(stop),
            (Err(error), None) => {
                return Err(Stop::Cut(format!("what is sent cannot be compressed: {error}")));
            }
            (Ok(()), None) => {}
        }
        out.frame(Kind::Last, &[&piece])?;
        out.seal()?;
        out.flush()
    }
}

/// Cuts what is compressed into frames.
struct Pieces<'a> {
    out: &'a mut Out,
    piece: Vec<u8>,
    stop: Option<Stop>,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            let sent = self.out.frame(Kind::Piece, &[&self.piece]);
            self.piece.clear();
            sent.map_err(|stop| {
                self.stop = Some(stop);
                io::ErrorKind::BrokenPipe
            })?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl In {
    pub(in crate::drivers) fn hear(&mut self) -> Result<Said, Stop> {
        let (kind, bytes) = self.frame()?;
        if kind != Kind::Say {
            return Err(damaged("a message was due, and something else came"));
        }
        let said = serde_json::from_slice(bytes);
        self.sealed()?;
        match said {
            Ok(Said::Failed { failure }) => Err(failure.into()),
            Ok(said) => Ok(said),
            Err(error) => Err(damaged(&format!("a message cannot be read ({error})"))),
        }
    }

    /// What was sent compressed.
    pub(in crate::drivers) fn unpack(&mut self) -> Result<Vec<u8>, Stop> {
        let mut pieces = Unpacking { input: self, piece: Vec::new(), at: 0, is_last: false, stop: None };
        let mut bytes = Vec::new();
        let read = zstd::stream::read::Decoder::new(&mut pieces)
            .and_then(|decoder| decoder.take(MOST + 1).read_to_end(&mut bytes));
        let Unpacking { input, piece, at, is_last, stop } = pieces;
        match (read, stop) {
            (_, Some(stop)) => return Err(stop),
            (Err(error), None) => return Err(damaged(&format!("it cannot be decompressed ({error})"))),
            (Ok(_), None) if bytes.len() as u64 > MOST => {
                return Err(damaged(&format!("more than {MOST} bytes of names")));
            }
            (Ok(_), None) if !is_last || at < piece.len() => return Err(damaged("more than was announced")),
            (Ok(_), None) => {}
        }
        input.sealed()?;
        Ok(bytes)
    }
}

/// Puts frames together.
struct Unpacking<'a> {
    input: &'a mut In,
    piece: Vec<u8>,
    at: usize,
    is_last: bool,
    stop: Option<Stop>,
}

impl Read for Unpacking<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && !self.is_last {
            match self.input.frame() {
                Ok((kind @ (Kind::Piece | Kind::Last), bytes)) => {
                    self.piece.clear();
                    self.piece.extend_from_slice(bytes);
                    (self.at, self.is_last) = (0, kind == Kind::Last);
                }
                Ok(_) => {
                    self.stop = Some(damaged("a part of something is missing"));
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Err(stop) => {
                    self.stop = Some(stop);
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        let length = to.len().min(self.piece.len() - self.at);
        to[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
