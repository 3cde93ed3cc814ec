//! resync, split and restore: the commands, and the waiting for what they lead to. Exit code 0 says that the array has
//! accepted something, not that anything happened: the status is read back.

use std::{
    thread,
    time::{Duration, Instant},
};

use resplit_operations::{
    driver::Verb as Commands,
    pair::{CopyReport, PairStatus, PairVerb},
};

use super::{Asking, Book, commands::Acted, status::in_flight};
use crate::{
    context::{Progress, Work},
    drivers::{
        book::{Verb, done, open, open_or_new, unusable},
        pairs::Asked,
    },
    failure::{Failure, FailureClass},
};

/// How soon a cancellation is noticed.
const NOTICE: Duration = Duration::from_millis(100);

impl Asking<'_> {
    pub(super) fn verb<'a>(&'a self, asked: &'a Asked<'a>, verb: PairVerb) -> Verb<'a> {
        Verb { pair: self.pair, asked, clock: &*self.driver.clock, verb, order: None }
    }

    pub(super) fn resync(&self, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        self.refuse_mounted()?;
        let (_lock, mut book) = open_or_new(self.pair, asked, self.driver.clock.now())?;
        self.while_up(|| {
            let before = self.read()?.status;
            refuse_restoring(self, &book)?;
            let verbs = &self.array.file.verbs;
            let commands = match before {
                PairStatus::Smpl => Some(self.creation()?),
                PairStatus::Psus | PairStatus::Psue => Some(&verbs.resync),
                // Already on its way, or there: asking the array again would have no effect.
                PairStatus::Copy | PairStatus::Pair => None,
                PairStatus::Rcpy => return Err(unusable(self.pair, before, "PSUS; it is being copied back")),
            };
            let verb = self.verb(asked, PairVerb::Resync);
            self.framed(&verb, &mut book, before, |_| {
                self.carry_out(commands, &verbs.resync, before, PairStatus::Pair, asked)
            })
        })
    }

    /// What makes a simplex pair, if that is wanted.
    fn creation(&self) -> Result<&Commands, Failure> {
        let refused = |why: &str| {
            Failure::refused(format!(
                "the array says that pair {} is SMPL, and {why}",
                self.pair.copy_group
            ))
            .with_help("create the pair; if it is one, its settings ask for another kind of copies or another array")
        };
        let create = self.array.file.verbs.create.as_ref();
        let create =
            create.ok_or_else(|| refused(&format!("the driver '{}' creates no pairs", self.array.driver)))?;
        match self.array.lacks(&create.only) {
            None => Ok(create),
            Some(name) => Err(refused(&format!(
                "with the setting {name}: {} it is not created",
                self.array.setting(name).unwrap_or_default()
            ))),
        }
    }

    pub(super) fn split(&self, order: u64, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let (_lock, mut book) = open(self.pair, asked)?;
        self.while_up(|| {
            let before = self.read()?.status;
            if before == PairStatus::Psus
                && let Some(report) = done(&book, asked, PairVerb::Split, PairStatus::Psus)
            {
                return Ok(report);
            }
            let ours = in_flight(&book)
                && book.last.as_ref().is_some_and(|l| l.verb == PairVerb::Split && l.tag == asked.tag);
            let commands = match before {
                PairStatus::Pair => Some(&self.array.file.verbs.split),
                PairStatus::Copy | PairStatus::Psus if ours => None,
                _ => return Err(unusable(self.pair, before, "PAIR to be split").with_help("resync it first")),
            };
            let verb = Verb { order: Some(order), ..self.verb(asked, PairVerb::Split) };
            self.framed(&verb, &mut book, before, |_| {
                self.carry_out(commands, &self.array.file.verbs.split, before, PairStatus::Psus, asked)
            })
        })
    }

    pub(super) fn restore(&self, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let lacking = || Failure::refused(format!("the driver '{}' copies no image back", self.array.driver));
        let restore = self.array.file.verbs.restore.as_ref().ok_or_else(lacking)?;
        if let Some(name) = self.array.lacks(&restore.only) {
            let value = self.array.setting(name).unwrap_or_default();
            let text = format!(
                "pair {}: with the setting {name}: {value} no image is copied back",
                self.pair.copy_group
            );
            return Err(Failure::refused(text).with_help("restore from tape, or other files with --to"));
        }
        self.refuse_mounted()?;
        let (_lock, mut book) = open(self.pair, asked)?;
        self.while_up(|| {
            let before = self.read()?.status;
            if before == PairStatus::Psus
                && let Some(report) = done(&book, asked, PairVerb::Restore, PairStatus::Psus)
            {
                return Ok(report);
            }
            let begun =
                in_flight(&book) && book.last.as_ref().is_some_and(|last| last.verb == PairVerb::Restore);
            let splits = begun && book.extra.splits_again;
            // The array says that it is split; but its image is written to by somebody else, and not yet whole.
            let is_overwritten =
                in_flight(&book) && book.last.as_ref().is_some_and(|last| last.verb == PairVerb::Overwrite);
            match before {
                _ if is_overwritten => {
                    return Err(unusable(self.pair, PairStatus::Copy, "PSUS to be restored from")
                        .with_help("complete the overwriting, or resync and split it again"));
                }
                PairStatus::Psus => {}
                PairStatus::Rcpy | PairStatus::Pair | PairStatus::Copy if begun => {}
                _ => return Err(unusable(self.pair, before, "PSUS to be restored from")),
            }
            let verb = self.verb(asked, PairVerb::Restore);
            self.framed(&verb, &mut book, before, |book| {
                if !splits {
                    self.copy_back(restore, before, asked)?;
                    book.extra.splits_again = true;
                    book.write(&self.pair.secondary)?;
                    self.forget();
                }
                let now = self.read()?.status;
                let split = &self.array.file.verbs.split;
                let commands = (now == PairStatus::Pair).then_some(split);
                let report = self.carry_out(commands, split, now, PairStatus::Psus, asked)?;
                book.extra.splits_again = false;
                Ok(report)
            })
        })
    }

    /// Copies back; the pair may be split by that, or follow again.
    fn copy_back(&self, restore: &Commands, before: PairStatus, asked: &Asked<'_>) -> Result<(), Failure> {
        match before {
            PairStatus::Pair => Ok(()),
            PairStatus::Psus => {
                self.run(restore, asked).and_then(|()| self.wait_copied_back(restore, before, asked))
            }
            _ => self.wait_copied_back(restore, before, asked),
        }
    }

    fn wait_copied_back(
        &self,
        restore: &Commands,
        before: PairStatus,
        asked: &Asked<'_>,
    ) -> Result<(), Failure> {
        let reached = |status| status == PairStatus::Pair;
        self.wait(restore, before, &reached, asked.work)
    }

    /// Runs commands, if there are any to run, and waits for a status. What fails although the status is reached is done:
    /// the array is the one to know.
    pub(super) fn carry_out(
        &self,
        commands: Option<&Commands>,
        waiting: &Commands,
        before: PairStatus,
        wanted: PairStatus,
        asked: &Asked<'_>,
    ) -> Result<CopyReport, Failure> {
        if let Some(commands) = commands
            && let Err(failure) = self.run(commands, asked)
        {
            let now = self.read().map(|reading| reading.status);
            if failure.class == FailureClass::Cancelled || before == wanted || now != Ok(wanted) {
                return Err(failure);
            }
            tracing::warn!("{failure}; the pair is {wanted} nevertheless");
        }
        let waiting = commands.unwrap_or(waiting);
        self.wait(waiting, before, &|status| status == wanted, asked.work)?;
        let bytes = self.size();
        Ok(CopyReport { bytes, ..CopyReport::default() })
    }

    fn run(&self, commands: &Commands, asked: &Asked<'_>) -> Result<(), Failure> {
        for (number, argv) in commands.run.iter().enumerate() {
            asked.work.check()?;
            match self.act(number, &asked.tag, argv, asked.work)? {
                Acted::Ended(ended) => {
                    let accepted =
                        u8::try_from(ended.code).is_ok_and(|code| commands.success.contains(&code));
                    if !accepted {
                        return Err(self.failed(argv, &ended));
                    }
                }
                Acted::Lost => {}
            }
        }
        Ok(())
    }

    /// Waits for a status. A pair that breaks is not waited for, nor one on which the verb had no effect.
    fn wait(
        &self,
        commands: &Commands,
        before: PairStatus,
        reached: &dyn Fn(PairStatus) -> bool,
        work: &Work,
    ) -> Result<(), Failure> {
        let limits = &commands.wait;
        let group = &self.pair.copy_group;
        let (began, mut answered) = (Instant::now(), Instant::now());
        loop {
            let seen = match self.read() {
                Ok(reading) => {
                    answered = Instant::now();
                    self.tell(reading.progress, work);
                    Some(reading.status)
                }
                // A connection that is away for a moment does not end a copy.
                Err(failure) if failure.class == FailureClass::Temporary => {
                    if answered.elapsed() >= limits.effect.duration() {
                        return Err(failure);
                    }
                    None
                }
                Err(failure) => return Err(failure),
            };
            match seen {
                Some(status) if reached(status) => return Ok(()),
                Some(PairStatus::Psue)
                    if before != PairStatus::Psue || began.elapsed() >= limits.effect.duration() =>
                {
                    let text = format!("pair {group} was suspended by an error (PSUE) while it was copied");
                    return Err(
                        Failure::permanent(text).with_help("find the cause in the array, then run again")
                    );
                }
                Some(PairStatus::Smpl) if before != PairStatus::Smpl => {
                    return Err(Failure::permanent(format!("pair {group} was dissolved (SMPL) meanwhile")));
                }
                Some(status) if status == before && began.elapsed() >= limits.effect.duration() => {
                    let text = format!(
                        "pair {group} is still {status}, {} after the array has accepted the command: it had no effect",
                        limits.effect
                    );
                    return Err(Failure::permanent(text).with_help("see the array's log for what hinders it"));
                }
                Some(status) if began.elapsed() >= limits.limit.duration() => {
                    let text = format!("pair {group} is still {status} after {}", limits.limit);
                    return Err(Failure::temporary(text).with_help(
                        "it goes on in the array; run again, or wait longer: wait.limit of the driver",
                    ));
                }
                _ => {}
            }
            pause(limits.interval.duration(), work)?;
        }
    }

    fn tell(&self, progress: Option<u8>, work: &Work) {
        let size = self.size();
        if let Some(percent) = progress.filter(|_| size > 0) {
            let bytes = size / 100 * u64::from(percent);
            work.report(Progress { bytes, of_bytes: Some(size), ..Progress::default() });
        }
    }

    /// Does a verb in its frame: the book says that it begins before its first effect, and what came of it after the
    /// last. What fails has ended; what is cancelled goes on in the array, and is gone on with when it is asked again.
    pub(super) fn framed(
        &self,
        verb: &Verb<'_>,
        book: &mut Book,
        before: PairStatus,
        work: impl FnOnce(&mut Book) -> Result<CopyReport, Failure>,
    ) -> Result<CopyReport, Failure> {
        let _ = self.notice(book, before);
        let same = in_flight(book) && book.last.as_ref().is_some_and(|last| last.tag == verb.asked.tag);
        if !same {
            self.forget();
        }
        if verb.verb != PairVerb::Restore || !in_flight(book) {
            book.extra.splits_again = false;
        }
        verb.begin(book);
        book.write(&self.pair.secondary)?;
        match work(book) {
            Ok(done) => {
                verb.end(book, &done);
                book.write(&self.pair.secondary)?;
                self.forget();
                Ok(done)
            }
            Err(failure) => {
                self.broken(book, verb, &failure);
                Err(failure)
            }
        }
    }

    fn broken(&self, book: &mut Book, verb: &Verb<'_>, failure: &Failure) {
        // What was begun on a primary has to be ended on it.
        if failure.class == FailureClass::Cancelled {
            return;
        }
        self.forget();
        book.error = Some(failure.message.clone());
        if let Ok(reading) = self.read()
            && !(verb.verb == PairVerb::Restore && reading.status != PairStatus::Psus)
        {
            book.status = reading.status;
            if let Some(last) = &mut book.last {
                last.ended = Some(self.driver.clock.now());
            }
        }
        if let Err(error) = book.write(&self.pair.secondary) {
            tracing::warn!(pair = %self.pair.copy_group, %error, "what became of a verb could not be noted");
        }
    }
}

/// A restore that has begun is the only way to a whole primary.
pub(super) fn refuse_restoring(asking: &Asking<'_>, book: &Book) -> Result<(), Failure> {
    let restoring = book.last.as_ref().is_some_and(|last| last.verb == PairVerb::Restore) && in_flight(book);
    if restoring {
        return Err(unusable(asking.pair, PairStatus::Rcpy, "PSUS, since its image is the only whole copy")
            .with_help("complete the restore, then run again"));
    }
    Ok(())
}

fn pause(interval: Duration, work: &Work) -> Result<(), Failure> {
    let until = Instant::now() + interval;
    loop {
        work.check()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(NOTICE));
    }
}
