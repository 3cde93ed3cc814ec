//! A stream of an engine's answers: one JSON object a line.

use std::{fmt, marker::PhantomData};

use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use super::{error::ClientError, exchange::Answer};

/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 64 << 20;

/// What an engine sends, as it comes. Dropping it ends the connection; the engine goes on with what it does.
pub struct Lines<T> {
    answer: Answer,
    /// Bytes received and not handed out: from `start`, of which the first `searched` hold no line's end.
    buffer: Vec<u8>,
    start: usize,
    searched: usize,
    over: bool,
    item: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Lines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("of", &self.answer.what)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Lines<T> {
    pub(super) const fn new(answer: Answer) -> Self {
        Self { answer, buffer: Vec::new(), start: 0, searched: 0, over: false, item: PhantomData }
    }

    /// The next item; `None` when the engine ended the stream, having sent all of it. An error is the last item:
    /// `Broken` if the connection was lost or the engine stopped. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<T, ClientError>> {
        loop {
            if self.over {
                return None;
            }
            if let Some(line) = self.line() {
                let item = serde_json::from_slice(&self.buffer[line.clone()]);
                return Some(item.map_err(|e| {
                    self.over = true;
                    let text =
                        String::from_utf8_lossy(&self.buffer[line]).chars().take(200).collect::<String>();
                    ClientError::Protocol(format!("{}: not as expected: {e}: {text}", self.answer.what))
                }));
            }
            match self.answer.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.take(data);
                    }
                    if self.buffer.len() > LONGEST_LINE {
                        let text = format!("{}: a line has more than {LONGEST_LINE} bytes", self.answer.what);
                        return Some(self.fail(ClientError::Protocol(text)));
                    }
                }
                Some(Err(error)) => {
                    return Some(self.fail(ClientError::exchanging(&self.answer.what, &error)));
                }
                None if self.buffer.len() > self.start => {
                    let text = format!("{}: the last line has no end", self.answer.what);
                    return Some(self.fail(ClientError::Protocol(text)));
                }
                None => self.over = true,
            }
        }
    }

    fn fail(&mut self, error: ClientError) -> Result<T, ClientError> {
        self.over = true;
        Err(error)
    }

    /// The next whole line that was received, without its end.
    fn line(&mut self) -> Option<std::ops::Range<usize>> {
        let from = self.start + self.searched;
        let Some(length) = self.buffer[from..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len() - self.start;
            return None;
        };
        let line = self.start..from + length;
        self.start = line.end + 1;
        self.searched = 0;
        Some(line)
    }

    /// Appends what was received, in place of what was handed out.
    fn take(&mut self, data: &[u8]) {
        let _ = self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(data);
    }
}
