//! The one thread that writes: it takes what callers ask for, makes it durable, applies it, and answers.

use std::{
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    checkpoint,
    closed::Closed,
    error::StoreError,
    frame::{self, Point},
    log::Writer,
    open::Held,
    shared::Shared,
    view::View,
};

/// No more than so many bytes of other callers' writes join a record.
const GROUP: usize = 1 << 20;

/// Where an answer goes; nobody may wait for it any more.
pub(super) enum Reply<T> {
    Blocking(mpsc::SyncSender<T>),
    Async(oneshot::Sender<T>),
}

impl<T> Reply<T> {
    fn send(self, answer: T) {
        match self {
            Self::Blocking(sender) => drop(sender.send(answer)),
            Self::Async(sender) => drop(sender.send(answer)),
        }
    }
}

/// What the committer is asked for.
pub(super) enum Request {
    /// Make these writes durable and apply them. The answer is the number of their record.
    Commit(Vec<u8>, Reply<Result<u64, StoreError>>),
    /// Write a checkpoint.
    Checkpoint(Reply<Result<(), StoreError>>),
    /// The view failed a reader: build it again.
    Rebuild(StoreError, Reply<Result<(), StoreError>>),
    /// End cleanly.
    Close(Reply<Result<(), StoreError>>),
}

/// The state of the thread.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: Writer,
    /// Bytes of the log since the newest checkpoint.
    pub(super) log_bytes: u64,
    /// With how many a new one is due.
    pub(super) log_bound: u64,
    /// How long a view may take to close before it is given up.
    pub(super) closing: Duration,
    /// Held as long as the thread runs.
    pub(super) _lock: Held,
}

struct Running {
    committer: Committer,
    requests: mpsc::Receiver<Request>,
    /// The first error of the log or of the view: nothing is acknowledged after it.
    failed: Option<StoreError>,
    checkpoint: Option<JoinHandle<()>>,
    #[cfg(debug_assertions)]
    killer: super::killed::Killer,
}

impl Committer {
    /// Starts the thread.
    pub(super) fn start(self) -> Result<(mpsc::Sender<Request>, JoinHandle<()>), StoreError> {
        let (sender, requests) = mpsc::channel();
        let path = self.shared.place.root.clone();
        let running = Running {
            #[cfg(debug_assertions)]
            killer: super::killed::Killer::new(&path),
            committer: self,
            requests,
            failed: None,
            checkpoint: None,
        };
        let thread = thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || running.run())
            .map_err(StoreError::io("start a thread for", &path))?;
        Ok((sender, thread))
    }
}

impl Running {
    fn run(mut self) {
        self.checkpoint_if_due();
        let mut next = None;
        while let Some(request) = next.take().or_else(|| self.requests.recv().ok()) {
            match request {
                Request::Commit(writes, reply) => {
                    next = self.commit(writes, reply);
                    self.checkpoint_if_due();
                }
                Request::Checkpoint(reply) => {
                    self.wait_for_checkpoint();
                    self.checkpoint(Some(reply));
                }
                Request::Rebuild(why, reply) => {
                    let rebuilt = self.rebuild(&why);
                    reply.send(rebuilt);
                }
                Request::Close(reply) => {
                    let closed = self.close();
                    // Whoever is told that the store is closed may open it again.
                    drop(self);
                    return reply.send(closed);
                }
            }
        }
        // Every handle is gone without closing: as after a crash, the view is not used again.
        self.wait_for_checkpoint();
        drop(self.committer.shared.close());
    }

    /// Commits these writes with those that other callers wait for. Gives the first request that is something else.
    fn commit(&mut self, mut writes: Vec<u8>, reply: Reply<Result<u64, StoreError>>) -> Option<Request> {
        let mut replies = vec![reply];
        let mut other = None;
        while writes.len() < GROUP {
            match self.requests.try_recv() {
                Ok(Request::Commit(more, reply)) if writes.len() + more.len() <= frame::LARGEST_RECORD => {
                    writes.extend_from_slice(&more);
                    replies.push(reply);
                }
                Ok(request) => {
                    other = Some(request);
                    break;
                }
                Err(_) => break,
            }
        }
        #[cfg(debug_assertions)]
        self.killer.before();
        let outcome = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.make_durable(&writes).and_then(|point| {
                self.committer.log_bytes += (frame::HEADER + writes.len()) as u64;
                self.apply(&writes).map(|()| point.sequence)
            }),
        };
        if let Err(error) = &outcome {
            self.failed.get_or_insert_with(|| error.clone());
            self.committer.shared.give_up();
        }
        #[cfg(debug_assertions)]
        self.killer.after();
        for reply in replies {
            reply.send(outcome.clone());
        }
        other
    }

    fn make_durable(&mut self, writes: &[u8]) -> Result<Point, StoreError> {
        let Committer { writer, shared, .. } = &mut self.committer;
        let point = match writer.write(writes) {
            Err(error) if error.is_full() && shared.reserve.release() => {
                tracing::warn!("{error}; the room kept for this is used");
                writer.write(writes)
            }
            written => written,
        }?;
        writer.sync(point)?;
        Ok(point)
    }

    fn apply(&mut self, writes: &[u8]) -> Result<(), StoreError> {
        self.committer.shared.apply(writes).or_else(|error| self.rebuild(&error))
    }

    fn rebuild(&mut self, why: &StoreError) -> Result<(), StoreError> {
        // A checkpoint that ends meanwhile would remove what is read.
        self.wait_for_checkpoint();
        self.committer.shared.rebuild(why)
    }

    fn checkpoint_if_due(&mut self) {
        let due = self.committer.log_bytes > self.committer.log_bound;
        if due && self.failed.is_none() && self.checkpoint.as_ref().is_none_or(JoinHandle::is_finished) {
            self.wait_for_checkpoint();
            self.checkpoint(None);
        }
    }

    /// Closes the segment, and lets another thread make a checkpoint of what is closed: commits go on meanwhile.
    fn checkpoint(&mut self, reply: Option<Reply<Result<(), StoreError>>>) {
        // Whatever comes of it, the next one is due when as much was written again.
        self.committer.log_bytes = 0;
        let writer = &mut self.committer.writer;
        let ready = match &self.failed {
            Some(error) => Err(error.clone()),
            None if writer.is_fresh() => Ok(()),
            None => writer.rotate(0),
        };
        let shared = Arc::clone(&self.committer.shared);
        let write = move || {
            let written = ready.and_then(|()| checkpoint::write(&shared.place));
            match &written {
                Ok(()) => shared.reserve.restore(),
                Err(error) => tracing::warn!("no checkpoint was made, the log goes on: {error}"),
            }
            if let Some(reply) = reply {
                reply.send(written);
            }
        };
        match thread::Builder::new().name("checkpoint".to_owned()).spawn(write) {
            Ok(thread) => self.checkpoint = Some(thread),
            Err(error) => tracing::warn!("no checkpoint was made, the log goes on: {error}"),
        }
    }

    fn wait_for_checkpoint(&mut self) {
        if self.checkpoint.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("a checkpoint ended with a panic");
        }
    }

    /// Closes the view at the end of the log and says so. A view that does not close is built again when the store
    /// is opened: nothing is lost.
    fn close(&mut self) -> Result<(), StoreError> {
        self.wait_for_checkpoint();
        let view = self.committer.shared.close();
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let Some(view) = view else { return Ok(()) };
        let point = self.committer.writer.point();
        let path = close_in_time(view, point, self.committer.closing)?;
        Closed::new(&path, point).write(&self.committer.shared.place)
    }
}

/// Closes a view in a thread of its own: sled may hang on a failing disk.
fn close_in_time(view: View, point: Point, limit: Duration) -> Result<std::path::PathBuf, StoreError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let path = view.path().to_owned();
    thread::Builder::new()
        .name("close".to_owned())
        .spawn(move || drop(sender.send(view.close(point))))
        .map_err(StoreError::io("start a thread for", &path))?;
    receiver.recv_timeout(limit).unwrap_or_else(|_| {
        Err(StoreError::View {
            path,
            message: format!("it did not close within {} s", limit.as_secs()),
            full: false,
        })
    })
}
