//! The frame of a verb that changes a pair: its book says that it began before the first effect, and what came of it
//! after the last.

use jiff::Timestamp;
use resplit_operations::pair::{CopyReport, LastVerb, PairRef, PairStatus, PairVerb};
use serde::{Serialize, de::DeserializeOwned};

use super::{Book, Lock};
use crate::{
    context::Clock,
    drivers::pairs::Asked,
    failure::{Failure, FailureClass},
};

/// A verb, and the statuses that it takes the pair through.
pub(in crate::drivers) struct Verb<'a> {
    pub(in crate::drivers) pair: &'a PairRef,
    pub(in crate::drivers) asked: &'a Asked<'a>,
    pub(in crate::drivers) clock: &'a dyn Clock,
    pub(in crate::drivers) verb: PairVerb,
    /// What orders the backup, of a split.
    pub(in crate::drivers) order: Option<u64>,
}

impl Verb<'_> {
    /// The pair's status while the verb runs, once it is done, and if it fails.
    fn statuses(&self) -> (PairStatus, PairStatus, PairStatus) {
        match self.verb {
            // The image is as good as before, whatever becomes of the primary.
            PairVerb::Restore => (PairStatus::Rcpy, PairStatus::Psus, PairStatus::Rcpy),
            PairVerb::Split | PairVerb::Overwrite => (PairStatus::Copy, PairStatus::Psus, PairStatus::Psue),
            PairVerb::Resync => (PairStatus::Copy, PairStatus::Pair, PairStatus::Psue),
            // What is half removed is no image, and no copy that somebody makes.
            PairVerb::Delete => (PairStatus::Psue, PairStatus::Smpl, PairStatus::Psue),
        }
    }

    /// Notes in the book, which is not written yet, that the verb begins. The content of the secondary begins to change
    /// with a resync, and with what overwrites or removes it: then the epoch counts up.
    pub(in crate::drivers) fn begin<E>(&self, book: &mut Book<E>) {
        book.status = self.statuses().0;
        let changes = matches!(self.verb, PairVerb::Resync | PairVerb::Overwrite | PairVerb::Delete);
        book.epoch += u64::from(changes);
        book.token = self.asked.token;
        book.error = None;
        book.last =
            Some(LastVerb { tag: self.asked.tag.clone(), verb: self.verb, ended: None, report: None });
    }

    /// Notes in the book, which is not written yet, what came of the verb.
    pub(in crate::drivers) fn end<E>(&self, book: &mut Book<E>, report: &CopyReport) {
        book.status = self.statuses().1;
        book.token = self.asked.token;
        book.backed_up = self.order.unwrap_or(book.backed_up);
        book.last = Some(LastVerb {
            tag: self.asked.tag.clone(),
            verb: self.verb,
            ended: Some(self.clock.now()),
            report: Some(report.clone()),
        });
    }

    /// Notes that the verb failed. If even that cannot be written, the status says that the verb runs, and it does not.
    /// One that was cancelled is one that runs: asked again, it goes on.
    pub(in crate::drivers) fn broken<E>(&self, book: &mut Book<E>, failure: Failure) -> Failure
    where
        E: Clone + Default + Serialize + DeserializeOwned,
    {
        if failure.class != FailureClass::Cancelled {
            book.status = self.statuses().2;
            book.error = Some(failure.message.clone());
            if let Err(error) = book.write(&self.pair.secondary) {
                tracing::warn!(pair = %self.pair.copy_group, %error, "the pair's status could not be noted");
            }
        }
        failure
    }

    /// Runs the verb in its frame: it has begun, durably, before `work` is called; its end is durable on return.
    /// Nothing may have been touched before; what `work` did has to be durable when it returns.
    pub(in crate::drivers) fn run<E>(
        &self,
        book: &mut Book<E>,
        work: impl FnOnce(&mut Book<E>) -> Result<CopyReport, Failure>,
    ) -> Result<CopyReport, Failure>
    where
        E: Clone + Default + Serialize + DeserializeOwned,
    {
        self.asked.work.check()?;
        self.begin(book);
        book.write(&self.pair.secondary)?;
        let report = work(book).map_err(|failure| self.broken(book, failure))?;
        self.end(book, &report);
        book.write(&self.pair.secondary)?;
        Ok(report)
    }
}

/// The pair's book under its lock; refused if it was never made or the token is an older one.
pub(in crate::drivers) fn open<E>(pair: &PairRef, asked: &Asked<'_>) -> Result<(Lock, Book<E>), Failure>
where
    E: Clone + Default + Serialize + DeserializeOwned,
{
    let missing = || unusable(pair, PairStatus::Smpl, "made: resync it first");
    if Book::<E>::read(pair)?.is_none() {
        return Err(missing());
    }
    let lock = Lock::take(pair, &asked.tag)?;
    let book = Book::read(pair)?.ok_or_else(missing)?;
    refuse_older(pair, &book, asked)?;
    Ok((lock, book))
}

/// The same; a pair that was never made is one that will be.
pub(in crate::drivers) fn open_or_new<E>(
    pair: &PairRef,
    asked: &Asked<'_>,
    now: Timestamp,
) -> Result<(Lock, Book<E>), Failure>
where
    E: Clone + Default + Serialize + DeserializeOwned,
{
    let _ = Book::<E>::read(pair)?;
    let lock = Lock::take(pair, &asked.tag)?;
    let book = Book::read(pair)?.unwrap_or_else(|| Book::new(pair, now));
    refuse_older(pair, &book, asked)?;
    Ok((lock, book))
}

/// Refuses a token older than one that the pair has seen.
fn refuse_older<E>(pair: &PairRef, book: &Book<E>, asked: &Asked<'_>) -> Result<(), Failure> {
    if asked.token >= book.token {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "pair {} was touched under token {}; {} asks under token {}, whose lease is over",
        pair.copy_group, book.token, asked.tag.0, asked.token
    ))
    .with_help("nothing was touched; run the operation again, so that it takes a lease of its own"))
}

/// That a verb is refused because of the pair's status; `wanted` is what it has to be.
pub(in crate::drivers) fn unusable(pair: &PairRef, status: PairStatus, wanted: &str) -> Failure {
    Failure::refused(format!("pair {} is {status}; it has to be {wanted}", pair.copy_group))
}

/// What was reported, if this very verb was done already.
pub(in crate::drivers) fn done<E>(
    book: &Book<E>,
    asked: &Asked<'_>,
    verb: PairVerb,
    status: PairStatus,
) -> Option<CopyReport> {
    let last = book.last.as_ref().filter(|last| last.verb == verb && last.tag == asked.tag)?;
    last.report.clone().filter(|_| book.status == status && last.ended.is_some())
}
