//! The side that has the files: sends all that differs, in the order of the plan.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    super::{
        attributes::{self, Target},
        compare::{Change, How},
        content::{next_data, read_at},
        onto::Onto,
        place::{AGAIN, Trouble, open_source},
        progress::Counter,
        stat::Stat,
        survey::Survey,
        tree::Tree,
    },
    item::{Item, What},
};
use crate::{
    context::Work,
    drivers::stream::{Kind, Out, Said, Stop, Talk},
    failure::Failure,
};

/// What is read of a file at a time.
const PIECE: u64 = 128 << 10;

/// How a file's content ended.
pub(super) const STEADY: u8 = 0;
/// It changed meanwhile, each time.
pub(super) const FUZZY: u8 = 1;
/// It changed meanwhile: it is sent anew.
pub(super) const ANEW: u8 = 2;

/// Sends.
pub(super) struct Sender<'a> {
    pub(super) from: &'a Tree,
    pub(super) survey: &'a Survey,
    pub(super) work: &'a Work,
}

/// One entry to be sent.
struct Entry<'a> {
    directory: BorrowedFd<'a>,
    path: &'a [u8],
    name: &'a [u8],
    place: (usize, usize),
    change: &'a Change,
}

impl Sender<'_> {
    /// Sends all, and gives what the other side says then: or before, if it fails.
    pub(super) fn run(&self, talk: &mut Talk) -> Result<Said, Stop> {
        let gone = AtomicBool::new(false);
        let (out, input) = (&mut talk.out, &mut talk.input);
        let (sent, heard) = thread::scope(|scope| {
            let heard = scope.spawn(|| {
                let heard = input.hear();
                gone.store(true, Ordering::Relaxed);
                heard
            });
            let sent = self.all(out, &gone).and_then(|()| out.say(&Said::Sent));
            if let Err(Stop::Failed(failure)) = &sent {
                // The other side ends then, too.
                let _ = out.say(&Said::Failed { failure: failure.clone() });
            }
            let heard = heard.join().unwrap_or_else(|_| Err(Stop::Cut("a thread ended".to_owned())));
            (sent, heard)
        });
        match (sent, heard) {
            (Err(Stop::Failed(failure)), _) | (_, Err(Stop::Failed(failure))) => Err(failure.into()),
            (Err(cut), _) | (Ok(()), Err(cut)) => Err(cut),
            (Ok(()), Ok(said)) => Ok(said),
        }
    }

    fn all(&self, out: &mut Out, gone: &AtomicBool) -> Result<(), Stop> {
        let counter = Counter::new(self.work, Some(self.survey.to_do()), None);
        let check = || {
            if gone.load(Ordering::Relaxed) {
                Err(Stop::Cut("the other host ended".to_owned()))
            } else {
                Ok(())
            }
        };
        for (at, directory) in self.survey.visited.iter().enumerate() {
            let entries = directory.entries.as_deref().unwrap_or_default();
            let mut changes = directory.changes.iter().filter(|c| !c.from.is_directory()).peekable();
            if changes.peek().is_none() {
                continue;
            }
            let opened = self.open(&directory.path)?;
            for change in changes {
                check()?;
                let place = (at, change.slot);
                match &opened {
                    Some(opened) => {
                        let (directory, path, name) =
                            (opened.as_fd(), &*directory.path, &*entries[change.slot].name);
                        let entry = Entry { directory, path, name, place, change };
                        self.entry(out, &entry, &counter, &check)?;
                    }
                    None => tell(out, &Item::vanished(place))?,
                }
                counter.add(1, 0)?;
            }
        }
        for level in Onto::levels(self.survey).values().rev() {
            for at in level {
                check()?;
                self.directory(out, *at)?;
            }
        }
        counter.finish();
        Ok(())
    }

    /// Opens a directory; `None` if it is no longer there.
    fn open(&self, path: &[u8]) -> Result<Option<OwnedFd>, Failure> {
        match self.from.directory(path) {
            Ok(opened) => Ok(Some(opened)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(self.from.failure("open the directory", path, b"", error)),
        }
    }

    fn entry(
        &self,
        out: &mut Out,
        entry: &Entry<'_>,
        counter: &Counter<'_>,
        check: &dyn Fn() -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let sent = match entry.change.from.kind() {
            FileType::RegularFile => self.file(out, entry, counter, check)?,
            _ => self.other(out, entry)?,
        };
        if sent { Ok(()) } else { tell(out, &Item::vanished(entry.place)) }
    }

    /// Sends a file; `false` if it is no longer there.
    fn file(
        &self,
        out: &mut Out,
        entry: &Entry<'_>,
        counter: &Counter<'_>,
        check: &dyn Fn() -> Result<(), Stop>,
    ) -> Result<bool, Stop> {
        let refused =
            |doing: &'static str| move |error| self.from.failure(doing, entry.path, entry.name, error);
        for attempt in 0.. {
            let source = match open_source(entry.directory, entry.name) {
                Ok(Some(source)) => source,
                Ok(None) => return Ok(false),
                Err(Trouble::Refused(doing, error)) => return Err(refused(doing)(error).into()),
                Err(Trouble::Asked(failure)) => return Err(failure.into()),
            };
            let before = Stat::of(&source).map_err(refused("look at"))?;
            if !before.is_file() {
                return Ok(false);
            }
            let extended = attributes::read(Target::Open(source.as_fd()))
                .map_err(|(doing, error)| refused(doing)(error))?;
            let is_same = entry.change.how == How::Attributes && before.is_same_moment(&entry.change.from);
            let what = if is_same { What::Same } else { What::File };
            let item = Item { what, place: entry.place, stat: before, extended, target: Vec::new() };
            if is_same {
                tell(out, &item)?;
                return Ok(true);
            }
            out.frame(Kind::Entry, &[&item.encode()])?;
            let mut at = 0;
            while let Some(data) = next_data(source.as_fd(), at..before.size).map_err(refused("read"))? {
                at = data.start;
                while at < data.end {
                    check()?;
                    let room = usize::try_from(PIECE.min(data.end - at)).unwrap_or_default();
                    let read = out
                        .fill(Kind::Data, &at.to_le_bytes(), room, |to| read_at(source.as_fd(), to, at))?
                        .map_err(refused("read"))?;
                    if read == 0 {
                        break;
                    }
                    at += u64::try_from(read).unwrap_or_default();
                    counter.add(0, u64::try_from(read).unwrap_or_default())?;
                }
                if at < data.end {
                    break;
                }
            }
            let after = Stat::of(&source).map_err(refused("look at"))?;
            let is_steady = before.is_same_moment(&after);
            let end = match (is_steady, attempt < AGAIN) {
                (true, _) => STEADY,
                (false, true) => ANEW,
                (false, false) => FUZZY,
            };
            out.frame(Kind::End, &[&[end]])?;
            out.seal()?;
            if end != ANEW {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends what has no content; `false` if it is no longer there.
    fn other(&self, out: &mut Out, entry: &Entry<'_>) -> Result<bool, Stop> {
        let refused =
            |doing: &'static str| move |error| self.from.failure(doing, entry.path, entry.name, error);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match rustix::fs::openat(entry.directory, entry.name, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(refused("look at")(error).into()),
        };
        let stat = Stat::of(&opened).map_err(refused("look at"))?;
        if stat.kind() != entry.change.from.kind() {
            return Ok(false);
        }
        let (mut what, mut target) = (What::Special, Vec::new());
        if stat.kind() == FileType::Symlink {
            let read = rustix::fs::readlinkat(&opened, c"", Vec::new());
            (what, target) = (What::Link, read.map_err(refused("read the symbolic link"))?.into_bytes());
        }
        let extended = attributes::read(Target::Place(opened.as_fd()))
            .map_err(|(doing, error)| refused(doing)(error))?;
        tell(out, &Item { what, place: entry.place, stat, extended, target })?;
        Ok(true)
    }

    /// Sends the attributes of a directory.
    fn directory(&self, out: &mut Out, at: usize) -> Result<(), Stop> {
        let directory = &self.survey.visited[at];
        let Some(opened) = self.open(&directory.path)? else { return tell(out, &Item::vanished((at, 0))) };
        let extended = attributes::read(Target::Open(opened.as_fd()))
            .map_err(|(doing, error)| self.from.failure(doing, &directory.path, b"", error))?;
        let (stat, target) = (directory.own, Vec::new());
        tell(out, &Item { what: What::Directory, place: (at, 0), stat, extended, target })
    }
}

/// Sends an entry without content.
fn tell(out: &mut Out, item: &Item) -> Result<(), Stop> {
    out.frame(Kind::Entry, &[&item.encode()])?;
    out.seal()
}
