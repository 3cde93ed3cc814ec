//! Waits, by event, for an engine to listen or to be gone.

use std::{io, mem::MaybeUninit, os::fd::OwnedFd, path::Path, sync::Arc};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::socket;

/// Notices that a socket got its name in a state directory, from when this was made.
pub(super) struct Arrivals(Arc<OwnedFd>);

impl Arrivals {
    /// Of a state directory.
    pub(super) fn watch(state: &Path) -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let _ = inotify::add_watch(&descriptor, state, WatchFlags::MOVED_TO | WatchFlags::CREATE)?;
        Ok(Self(Arc::new(descriptor)))
    }

    /// Returns when a socket has got its name since the last time, or the process is gone.
    pub(super) async fn arrived_or_gone(&self, process: Option<&Process>) -> io::Result<()> {
        let gone = process.map(|p| Arc::clone(&p.0));
        loop {
            let all: Vec<_> = [Some(Arc::clone(&self.0)), gone.clone()].into_iter().flatten().collect();
            let ready = any_readable(all).await?;
            if ready.contains(&1) || self.has_name()? {
                return Ok(());
            }
        }
    }

    /// Whether the socket's name is among the events that are there; takes them all.
    fn has_name(&self) -> io::Result<bool> {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&*self.0, &mut space);
        let mut found = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let named = event.file_name().is_some_and(|n| n.to_bytes() == socket::NAME.as_bytes());
                    // If events were lost it may have been among them.
                    found |= named || event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                }
                Err(Errno::WOULDBLOCK) => return Ok(found),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A process, whose end can be waited for: also after its ID was given to another.
pub(super) struct Process(Arc<OwnedFd>);

impl Process {
    /// The process that has this ID now; `None` if none has.
    pub(super) fn of(pid: u32) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => Ok(Some(Self(Arc::new(descriptor)))),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns when it has ended, and with it the locks that it held.
    pub(super) async fn gone(&self) -> io::Result<()> {
        let _ = any_readable(vec![Arc::clone(&self.0)]).await?;
        Ok(())
    }
}

/// Which of the descriptors, one at least, can be read. A thread waits for them, until the future is dropped at the latest.
pub(crate) async fn any_readable(descriptors: Vec<Arc<OwnedFd>>) -> io::Result<Vec<usize>> {
    let (cancelled, keep) = pipe_with(PipeFlags::CLOEXEC)?;
    let waited = tokio::task::spawn_blocking(move || -> io::Result<Vec<usize>> {
        let mut polled: Vec<PollFd<'_>> = descriptors.iter().map(|d| PollFd::new(d, PollFlags::IN)).collect();
        // The pipe's other end is closed when nobody waits any more.
        polled.push(PollFd::new(&cancelled, PollFlags::IN));
        while let Err(error) = poll(&mut polled, None) {
            if error != Errno::INTR {
                return Err(error.into());
            }
        }
        let ready = |(index, fd): (usize, &PollFd<'_>)| (!fd.revents().is_empty()).then_some(index);
        Ok(polled.iter().enumerate().filter_map(ready).collect())
    });
    let ready = waited.await.map_err(io::Error::other)?;
    drop(keep);
    ready
}
