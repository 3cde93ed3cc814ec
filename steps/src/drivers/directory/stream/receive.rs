//! The side that is written: puts all that comes in its place. Small files are put there by several threads; no more of
//! them wait than fit into some megabytes, and then the other side waits.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver as Queue, SyncSender, sync_channel},
    },
    thread,
};

use resplit_operations::pair::CopyReport;
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::FileType,
};

use super::{
    super::{
        attributes::{self, Target},
        compare::Change,
        index::Entry,
        onto::{Onto, Tally, add, doubtful, entry, report},
        place::{Placed, Trouble},
        progress::Counter,
        remove::remove,
        spot::Spot,
        stat::Stat,
        survey::Survey,
    },
    item::{Item, What},
    landing::{Draft, put},
    send::{ANEW, FUZZY, STEADY},
};
use crate::{
    drivers::stream::{In, Kind, Said, Stop, damaged},
    failure::Failure,
};

/// Files up to this size wait in memory until one of the threads puts them in their place.
const SMALL: u64 = 256 << 10;
/// How many wait at most, and how many threads there are.
const WAITING: usize = 16;
const THREADS: usize = 4;

/// An entry that came whole.
struct Job<'a> {
    directory: Arc<OwnedFd>,
    path: &'a [u8],
    name: &'a [u8],
    change: &'a Change,
    item: Item,
    parts: Vec<(u64, Vec<u8>)>,
    fuzzy: bool,
}

/// Entries that are in their places: the directory, the slot, and what the index to come says.
type Records = Mutex<Vec<(usize, usize, Entry)>>;

/// Receives.
pub(super) struct Receiver<'a> {
    pub(super) onto: Onto<'a>,
}

impl Receiver<'_> {
    /// Takes all that differs; what was found is completed for the index to come.
    pub(super) fn run(&self, survey: &mut Survey, input: &mut In) -> Result<CopyReport, Stop> {
        let tally = Tally::default();
        let counter = Counter::new(self.onto.work, Some(survey.to_do()), None);
        for directory in &survey.visited {
            self.onto.prepare(directory, &tally)?;
        }
        for (at, slot, record) in self.entries(survey, input, &counter, &tally)? {
            if let Some(there) = survey.visited[at].entries.as_mut().and_then(|entries| entries.get_mut(slot))
            {
                let name = std::mem::take(&mut there.name);
                *there = Entry { name, ..record };
            }
        }
        self.onto.link(survey, &counter, &tally)?;
        for level in Onto::levels(survey).values().rev() {
            for at in level {
                self.directory(survey, *at, input, &tally)?;
            }
        }
        match input.hear()? {
            Said::Sent => {}
            _ => return Err(damaged("no end of what is sent")),
        }
        counter.finish();
        Ok(report(survey, tally))
    }

    /// Takes all that is neither a directory nor a further name.
    fn entries(
        &self,
        survey: &Survey,
        input: &mut In,
        counter: &Counter<'_>,
        tally: &Tally,
    ) -> Result<Vec<(usize, usize, Entry)>, Stop> {
        let records = Records::default();
        let failed: Mutex<Option<Failure>> = Mutex::new(None);
        let (sender, queue) = sync_channel(WAITING);
        let queue = Mutex::new(queue);
        let work = || {
            while let Some(job) = next(&queue) {
                let (at, slot) = job.item.place;
                match self.put(&job, tally) {
                    Ok(record) => lock(&records).push((at, slot, record)),
                    Err(failure) => {
                        let _ = lock(&failed).get_or_insert(failure);
                    }
                }
            }
        };
        let taken = thread::scope(|scope| {
            for _ in 0..THREADS {
                let _ = scope.spawn(work);
            }
            // The threads end when nothing can come any more.
            let sender = sender;
            self.take(survey, input, counter, tally, (&sender, &records, &failed))
        });
        if let Some(failure) = lock(&failed).take() {
            return Err(failure.into());
        }
        taken?;
        Ok(records.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn take<'s>(
        &self,
        survey: &'s Survey,
        input: &mut In,
        counter: &Counter<'_>,
        tally: &Tally,
        (sender, records, failed): (&SyncSender<Job<'s>>, &Records, &Mutex<Option<Failure>>),
    ) -> Result<(), Stop> {
        for (at, directory) in survey.visited.iter().enumerate() {
            let entries = directory.entries.as_deref().unwrap_or_default();
            let mut changes = directory.changes.iter().filter(|c| !c.from.is_directory()).peekable();
            if changes.peek().is_none() {
                continue;
            }
            let opened = Arc::new(self.onto.open_copy(&directory.path)?);
            for change in changes {
                if lock(failed).is_some() {
                    return Ok(());
                }
                let name = &*entries[change.slot].name;
                let mut job = loop {
                    let item = entry_of(input, (at, change.slot), change)?;
                    let (directory, path) = (Arc::clone(&opened), &*directory.path);
                    let parts = Vec::new();
                    let mut job = Job { directory, path, name, change, item, parts, fuzzy: false };
                    if job.item.what == What::File {
                        if job.item.stat.size > SMALL {
                            let Some(record) = self.large(&job, input, counter, tally)? else { continue };
                            lock(records).push((at, change.slot, record));
                            break None;
                        }
                        match content(input, &job.item, counter, |at, bytes| {
                            job.parts.push((at, bytes.to_vec()));
                            Ok(())
                        })? {
                            ANEW => continue,
                            end => job.fuzzy = end == FUZZY,
                        }
                    } else {
                        input.sealed()?;
                    }
                    break Some(job);
                };
                if let Some(job) = job.take() {
                    // Nobody takes it any more only when all have ended, which they do not before this.
                    let _ = sender.send(job);
                }
                counter.add(1, 0)?;
            }
        }
        Ok(())
    }

    /// Takes a large file, written as it comes; `None` if it comes anew.
    fn large(
        &self,
        job: &Job<'_>,
        input: &mut In,
        counter: &Counter<'_>,
        tally: &Tally,
    ) -> Result<Option<Entry>, Stop> {
        let mut draft = Draft::new(self.spot(job)).map_err(|trouble| self.trouble(job, trouble))?;
        let end = content(input, &job.item, counter, |at, bytes| {
            draft.write(at, bytes).map_err(|trouble| self.trouble(job, trouble).into())
        })?;
        if end == ANEW {
            return Ok(None);
        }
        let placed = draft.place(&job.item, end == FUZZY).map_err(|trouble| self.trouble(job, trouble))?;
        Ok(Some(self.onto.record(job.path, job.name, job.change, &placed, tally)))
    }

    fn spot<'j>(&self, job: &'j Job<'_>) -> Spot<'j> {
        let present = job.change.to.as_ref().filter(|to| to.kind() == job.change.from.kind());
        Spot { to: job.directory.as_fd(), name: job.name, present, is_new: self.onto.is_new }
    }

    fn trouble(&self, job: &Job<'_>, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Asked(failure) => failure,
            Trouble::Refused(doing, error) => self.onto.to.failure(doing, job.path, job.name, error),
        }
    }

    fn put(&self, job: &Job<'_>, tally: &Tally) -> Result<Entry, Failure> {
        let spot = self.spot(job);
        let placed = match job.item.what {
            What::Vanished => {
                if spot.present.is_some() {
                    let _ = remove(self.onto.to, job.path, job.name, false, self.onto.work)?;
                }
                Ok(Placed::Vanished)
            }
            What::File => Draft::new(spot).and_then(|mut draft| {
                for (at, bytes) in &job.parts {
                    draft.write(*at, bytes)?;
                }
                draft.place(&job.item, job.fuzzy)
            }),
            _ => put(&spot, &job.item),
        };
        let placed = placed.map_err(|trouble| self.trouble(job, trouble))?;
        Ok(self.onto.record(job.path, job.name, job.change, &placed, tally))
    }

    /// Takes the attributes of a directory.
    fn directory(&self, survey: &mut Survey, at: usize, input: &mut In, tally: &Tally) -> Result<(), Stop> {
        let item = head(input)?;
        if item.place != (at, 0) || !matches!(item.what, What::Directory | What::Vanished) {
            return Err(damaged("a directory in the wrong order"));
        }
        input.sealed()?;
        let directory = &mut survey.visited[at];
        if item.what == What::Vanished {
            tally.fuzzy(directory.path.clone());
            directory.record = doubtful(directory.own);
            return Ok(());
        }
        let (path, to) = (&directory.path, self.onto.to);
        let opened = self.onto.open_copy(path)?;
        let looked = |error| to.failure("look at", path, b"", error);
        let present = Stat::of(&opened).map_err(looked)?;
        let written =
            attributes::write((&directory.own, &item.extended), (Target::Open(opened.as_fd()), &present))
                .map_err(|(doing, error)| to.failure(doing, path, b"", error))?;
        if written && directory.changes.is_empty() && directory.removals.is_empty() {
            add(&tally.changed, 1);
        }
        let placed = Stat::of(&opened).map_err(looked)?;
        directory.record = entry(self.onto.direction, &directory.own, &placed);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next<'a>(queue: &Mutex<Queue<Job<'a>>>) -> Option<Job<'a>> {
    lock(queue).recv().ok()
}

/// The beginning of an entry; a failure if the other side tells one.
fn head(input: &mut In) -> Result<Item, Stop> {
    match input.frame()? {
        (Kind::Entry, bytes) => Item::decode(bytes),
        (Kind::Say, bytes) => match serde_json::from_slice(bytes) {
            Ok(Said::Failed { failure }) => Err(failure.into()),
            _ => Err(damaged("a message in the midst of content")),
        },
        _ => Err(damaged("an entry was due, and something else came")),
    }
}

/// The beginning of the entry that is due.
fn entry_of(input: &mut In, place: (usize, usize), change: &Change) -> Result<Item, Stop> {
    let item = head(input)?;
    let kind = change.from.kind();
    let fits = item.place == place
        && match item.what {
            What::Vanished => true,
            What::Directory => false,
            What::File | What::Same => kind == FileType::RegularFile && item.stat.is_file(),
            What::Link => kind == FileType::Symlink && item.stat.kind() == kind && !item.target.is_empty(),
            What::Special => {
                !matches!(kind, FileType::RegularFile | FileType::Symlink | FileType::Directory)
                    && item.stat.kind() == kind
            }
        };
    if fits { Ok(item) } else { Err(damaged("an entry that is not due")) }
}

/// Takes the content of a file, and how it ended. Each part follows the one before.
fn content(
    input: &mut In,
    item: &Item,
    counter: &Counter<'_>,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), Stop>,
) -> Result<u8, Stop> {
    let mut end = 0;
    loop {
        match input.frame()? {
            (Kind::Data, bytes) => {
                let (at, bytes) =
                    bytes.split_at_checked(8).ok_or_else(|| damaged("content without a place"))?;
                let at = at.first_chunk().map_or(u64::MAX, |at| u64::from_le_bytes(*at));
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                let next = at.checked_add(length).filter(|next| *next <= item.stat.size && at >= end);
                end = next.ok_or_else(|| damaged("content out of order"))?;
                take(at, bytes)?;
                counter.add(0, length)?;
            }
            (Kind::End, &[how @ (STEADY | FUZZY | ANEW)]) => {
                input.sealed()?;
                return Ok(how);
            }
            (Kind::Say, bytes) => {
                return match serde_json::from_slice(bytes) {
                    Ok(Said::Failed { failure }) => Err(failure.into()),
                    _ => Err(damaged("a message in the midst of content")),
                };
            }
            _ => return Err(damaged("content was due, and something else came")),
        }
    }
}
