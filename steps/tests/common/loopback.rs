//! Two hosts in one process: the primary's side reaches the secondary's through pipes that can be cut.
#![allow(dead_code, reason = "not every test file uses all of it")]
#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread,
};

use resplit_operations::{
    ids::HostId,
    pair::{Apart, CopyReport, PairRef, PairState},
    site::PairDriverKind,
};
use resplit_steps::{
    context::{SystemClock, Work},
    drivers::{
        Drivers,
        directory::DirectoryPairs,
        pairs::{Asked, Difference, PairDriver},
        shim::Shims,
        stream::{Answering, Far, Reached, Wire},
        virtual_library::VirtualLibrary,
    },
    failure::Failure,
};

/// Pieces that wait in one direction.
const WAITING: usize = 4;

/// One direction.
#[derive(Default)]
pub(crate) struct Pipe {
    state: Mutex<Flow>,
    changed: Condvar,
}

#[derive(Default)]
struct Flow {
    waiting: VecDeque<Vec<u8>>,
    ended: bool,
    cut: bool,
}

impl Pipe {
    pub(crate) fn send(&self, bytes: Vec<u8>) -> io::Result<()> {
        let mut flow = self.state.lock().unwrap();
        while flow.waiting.len() >= WAITING && !flow.cut {
            flow = self.changed.wait(flow).unwrap();
        }
        if flow.cut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        flow.waiting.push_back(bytes);
        self.changed.notify_all();
        Ok(())
    }

    pub(crate) fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        let mut flow = self.state.lock().unwrap();
        loop {
            if flow.cut {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            if let Some(bytes) = flow.waiting.pop_front() {
                self.changed.notify_all();
                return Ok(Some(bytes));
            }
            if flow.ended {
                return Ok(None);
            }
            flow = self.changed.wait(flow).unwrap();
        }
    }

    fn end(&self) {
        self.state.lock().unwrap().ended = true;
        self.changed.notify_all();
    }

    /// What is on its way is lost.
    pub(crate) fn cut(&self) {
        let mut flow = self.state.lock().unwrap();
        flow.cut = true;
        flow.waiting.clear();
        self.changed.notify_all();
    }
}

/// The end that writes: the other side learns that it is gone.
struct Writes(Arc<Pipe>);

impl Drop for Writes {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What happens to one of the next conversations, once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// It is cut when so many bytes have been sent to the secondary, or by it.
    Cut { to_secondary: bool, after: u64 },
    /// One byte of what is sent to the secondary, or by it, arrives as another.
    Flip { to_secondary: bool, at: u64 },
}

/// The secondary's host, and the way to it.
pub(crate) struct Loopback {
    drivers: Drivers,
    answering: Answering,
    trouble: Mutex<Vec<Trouble>>,
    /// Bytes sent to the secondary, and by it, in all conversations.
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) conversations: AtomicU32,
}

/// The way to it, for a driver.
struct Way(Arc<Loopback>);

pub(crate) const PRIMARY_HOST: &str = "fileserver";
pub(crate) const SECONDARY_HOST: &str = "backupserver";

impl Loopback {
    pub(crate) fn new() -> Arc<Self> {
        let own = || {
            Reached::new(
                DirectoryPairs::new(Arc::new(SystemClock)),
                SECONDARY_HOST.into(),
                nowhere(),
                "/".into(),
            )
        };
        let directory: Arc<dyn PairDriver> = Arc::new(own());
        let drivers = Drivers {
            pairs: BTreeMap::from([(PairDriverKind::Directory, directory)]),
            virtual_library: Arc::new(VirtualLibrary::new()),
            commands: Arc::new(Shims::new("/bin/true".into(), Vec::new())),
        };
        Arc::new(Self {
            drivers,
            answering: Answering::default(),
            trouble: Mutex::default(),
            sent: 0.into(),
            received: 0.into(),
            conversations: 0.into(),
        })
    }

    /// A driver on the primary's host; what it is told it keeps in `cache`.
    pub(crate) fn directory(self: &Arc<Self>, cache: &Path) -> Box<dyn PairDriver> {
        let own = DirectoryPairs::new(Arc::new(SystemClock));
        Box::new(Reached::new(own, PRIMARY_HOST.into(), Arc::new(Way(Arc::clone(self))), cache.to_owned()))
    }

    /// The same, of an engine on each host: what is asked of the secondary's host is asked there.
    pub(crate) fn both(self: &Arc<Self>, cache: &Path) -> Box<dyn PairDriver> {
        Box::new(Both {
            near: self.directory(cache),
            far: Arc::clone(&self.drivers.pairs[&PairDriverKind::Directory]),
        })
    }

    /// Lets something happen to the next conversations, one thing to each that comes to it.
    pub(crate) fn trouble(&self, trouble: &[Trouble]) {
        *self.trouble.lock().unwrap() = trouble.iter().rev().copied().collect();
    }

    /// What has not happened.
    pub(crate) fn untroubled(&self) -> usize {
        self.trouble.lock().unwrap().len()
    }

    /// Sends bytes on one of the pipes, with what is to happen to them.
    fn pass(
        &self,
        to_secondary: bool,
        done: &mut u64,
        mut bytes: Vec<u8>,
        pipes: &[Arc<Pipe>; 2],
    ) -> io::Result<()> {
        let end = *done + bytes.len() as u64;
        let mut trouble = self.trouble.lock().unwrap();
        let due = match trouble.last() {
            Some(Trouble::Cut { to_secondary: way, after }) => *way == to_secondary && *after < end,
            Some(Trouble::Flip { to_secondary: way, at }) => {
                *way == to_secondary && (*done..end).contains(at)
            }
            None => false,
        };
        if due {
            match trouble.pop().unwrap() {
                Trouble::Cut { after, .. } => {
                    let rest = usize::try_from(after.saturating_sub(*done)).unwrap();
                    bytes.truncate(rest);
                    drop(trouble);
                    // What was sent before the cut arrives, or not: here it does.
                    let pipe = &pipes[usize::from(!to_secondary)];
                    let _ = pipe.send(bytes);
                    while !pipe.state.lock().unwrap().waiting.is_empty() && !pipe.state.lock().unwrap().cut {
                        thread::yield_now();
                    }
                    for pipe in pipes {
                        pipe.cut();
                    }
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                Trouble::Flip { at, .. } => {
                    let at = usize::try_from(at - *done).unwrap();
                    bytes[at] ^= 0x10;
                }
            }
        } else {
            drop(trouble);
        }
        *done = end;
        let counter = if to_secondary { &self.sent } else { &self.received };
        let _ = counter.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        pipes[usize::from(!to_secondary)].send(bytes)
    }

    /// Opens a stream to the secondary's side, and gives this one.
    pub(crate) fn open(self: &Arc<Self>) -> Wire {
        let _ = self.conversations.fetch_add(1, Ordering::SeqCst);
        let pipes = [Arc::new(Pipe::default()), Arc::new(Pipe::default())];
        let [near, far] = [true, false].map(|is_near| self.wire(is_near, &pipes));
        let there = Arc::clone(self);
        drop(thread::spawn(move || {
            there.answering.answer(&there.drivers, &SECONDARY_HOST.into(), far, Ok(()));
        }));
        near
    }

    fn wire(self: &Arc<Self>, is_near: bool, pipes: &[Arc<Pipe>; 2]) -> Wire {
        let (this, both, closes) = (Arc::clone(self), pipes.clone(), pipes.clone());
        let incoming = Arc::clone(&pipes[usize::from(is_near)]);
        let writes = Writes(Arc::clone(&pipes[usize::from(!is_near)]));
        let mut done = 0;
        Wire {
            incoming: Box::new(move || incoming.receive()),
            outgoing: Box::new(move |bytes| {
                let _ = &writes;
                this.pass(is_near, &mut done, bytes, &both)
            }),
            close: Arc::new(move || {
                closes[usize::from(!is_near)].end();
                closes[usize::from(is_near)].cut();
            }),
        }
    }
}

impl Far for Way {
    fn open(&self, _: &Apart, _: &Work) -> Result<Wire, Failure> {
        Ok(self.0.open())
    }
}

/// The way that the secondary's own driver never takes.
fn nowhere() -> Arc<dyn Far> {
    struct Nowhere;
    impl Far for Nowhere {
        fn open(&self, _: &Apart, _: &Work) -> Result<Wire, Failure> {
            Err(Failure::permanent("nobody is asked from here"))
        }
    }
    Arc::new(Nowhere)
}

/// The same pair with its sides on two hosts.
pub(crate) fn apart(pair: PairRef) -> PairRef {
    let host = |name: &str| -> HostId { name.into() };
    let apart = Apart {
        primary_host: host(PRIMARY_HOST),
        secondary_host: host(SECONDARY_HOST),
        hosts: BTreeMap::new(),
    };
    PairRef { apart: Some(Arc::new(apart)), ..pair }
}

/// A driver on either host: each verb is asked where its step runs.
struct Both {
    near: Box<dyn PairDriver>,
    far: Arc<dyn PairDriver>,
}

impl PairDriver for Both {
    fn status(&self, pair: &PairRef) -> Result<PairState, Failure> {
        self.near.status(pair)
    }

    fn resync(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        self.near.resync(pair, asked)
    }

    fn split(&self, pair: &PairRef, order: u64, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        self.near.split(pair, order, asked)
    }

    fn restore(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        self.near.restore(pair, asked)
    }

    fn delete(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        self.near.delete(pair, asked)
    }

    fn difference(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure> {
        self.near.difference(pair, work)
    }

    fn pending(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure> {
        self.near.pending(pair, work)
    }

    fn open_image(&self, pair: &PairRef, at: &Path) -> Result<PathBuf, Failure> {
        self.far.open_image(pair, at)
    }

    fn begin_overwrite(&self, pair: &PairRef, at: &Path, asked: &Asked<'_>) -> Result<PathBuf, Failure> {
        self.far.begin_overwrite(pair, at, asked)
    }

    fn end_overwrite(&self, pair: &PairRef, report: &CopyReport, asked: &Asked<'_>) -> Result<(), Failure> {
        self.far.end_overwrite(pair, report, asked)
    }

    fn remnants(&self, pair: &PairRef) -> Result<Vec<PathBuf>, Failure> {
        self.near.remnants(pair)
    }

    fn fetch(
        &self,
        pair: &PairRef,
        at: &Path,
        (paths, to): (&[PathBuf], &Path),
        work: &Work,
    ) -> Result<CopyReport, Failure> {
        self.near.fetch(pair, at, (paths, to), work)
    }

    fn purge_cache(&self, pair: &PairRef) -> Result<&'static str, Failure> {
        self.far.purge_cache(pair)
    }
}
