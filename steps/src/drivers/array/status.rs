//! What a pair is: what the array says, beside what the book remembers.

use std::{fs::File, io::Seek};

use resplit_operations::{
    driver::{Reading, Unread},
    pair::{PairState, PairStatus, PairVerb, Tag},
};

use super::{Asking, Book, commands::said};
use crate::{drivers::book::Lock, failure::Failure};

impl Asking<'_> {
    /// What the array says now.
    pub(super) fn reading(&self) -> Result<Reading, Failure> {
        self.while_up(|| self.read())
    }

    /// The same, while everything is up that this needs.
    pub(super) fn read(&self) -> Result<Reading, Failure> {
        let command = &self.array.file.status;
        let ended = self.ask(&command.run)?;
        command.read(ended.code, &ended.output).map_err(|unread| match unread {
            Unread::Code(_) => self.failed(&command.run, &ended),
            Unread::Refused(why) => Failure::refused(format!("pair {}: {why}", self.pair.copy_group)),
            Unread::Unknown(_) | Unread::Ambiguous(..) | Unread::Pattern(_) => Failure::refused(format!(
                "the status of pair {} is not understood: {unread}; the array said{}",
                self.pair.copy_group,
                said(&ended.output)
            ))
            .with_help(format!(
                "find out what that means; if it is one of the known statuses, add it to drivers/{}.yaml",
                self.array.driver
            )),
        })
    }

    /// What the driver says when it is asked. Somebody else's act is noted, so that no record describes what is there.
    pub(super) fn state(&self) -> Result<PairState, Failure> {
        let book = Book::read(self.pair)?;
        let reading = self.reading()?;
        let Some(book) = book else {
            let (status, last) = (reading.status, None);
            return Ok(PairState {
                status,
                epoch: 0,
                backed_up: 0,
                token: 0,
                last,
                percent: reading.progress,
            });
        };
        if !is_foreign(&book, reading.status) {
            let status = shown(&book, reading.status);
            return Ok(PairState { status, percent: reading.progress, ..book.public() });
        }
        // Whoever has the lock is acting on the pair right now: what was read may be of that.
        let Ok(_lock) = Lock::take(self.pair, &Tag("a look at its status".to_owned())) else {
            return Ok(PairState { status: reading.status, ..book.public() });
        };
        let mut book = Book::read(self.pair)?.unwrap_or(book);
        let status = self.reading()?.status;
        if self.notice(&mut book, status) {
            book.write(&self.pair.secondary)?;
        }
        Ok(PairState { status: shown(&book, status), ..book.public() })
    }

    /// Takes into the book, which is not written yet, that somebody else has acted. Whether somebody has.
    pub(super) fn notice(&self, book: &mut Book, status: PairStatus) -> bool {
        if !is_foreign(book, status) {
            return false;
        }
        tracing::warn!(
            pair = %self.pair.copy_group,
            "is {status}, and was left {}: somebody else has acted, and backups on it are no longer there",
            book.status
        );
        book.status = status;
        book.epoch += 1;
        true
    }

    /// The volume's size in bytes, if its device is on this host; else 0.
    pub(super) fn size(&self) -> u64 {
        let device = self.device().ok().flatten();
        let end = device.and_then(|path| File::open(path).ok()?.seek(std::io::SeekFrom::End(0)).ok());
        end.unwrap_or(0)
    }
}

/// Whether a verb of ours has begun and not ended.
pub(super) fn in_flight(book: &Book) -> bool {
    book.last.as_ref().is_some_and(|last| last.ended.is_none())
}

/// Whether the array says something else than what was left.
fn is_foreign(book: &Book, status: PairStatus) -> bool {
    !in_flight(book) && book.status != status
}

/// While a verb of ours has not ended, that is what is shown: neither an image nor a pair that follows. An overwritten
/// secondary, too, is an image only once all of it is written.
fn shown(book: &Book, status: PairStatus) -> PairStatus {
    let is_restore = book.last.as_ref().is_some_and(|last| last.verb == PairVerb::Restore);
    match status {
        _ if !in_flight(book) => status,
        _ if is_restore => PairStatus::Rcpy,
        PairStatus::Psue | PairStatus::Smpl => status,
        _ => book.status,
    }
}
