//! Pairs whose sides no process reaches both by their paths. What is known of such a pair, its lock and its copy are on the
//! secondary's host, whose engine acts under the same book, lock and fencing token as ever; the primary's host asks it
//! over a stream in both directions, and sends, or is sent, what differs.
//!
//! # What is said
//!
//! A conversation is opened by the primary's side with an [`Opening`], and is about one verb. Every message is a
//! frame; what has to arrive whole is followed by a seal, the BLAKE3 digest of all frames since the last one.
//!
//! # Crashes
//!
//! Where the stream is cut, the secondary's side lets go of the pair as a process does that is killed: what was applied
//! stays, the book says that the verb runs. The primary's side opens another conversation and goes on; what has arrived
//! whole is found by its digest and not sent again.

use std::{io, sync::Arc};

use resplit_operations::pair::Apart;

use crate::{context::Work, failure::Failure};

mod answer;
mod frames;
mod message;
mod reached;
mod sessions;
mod talk;

pub use answer::Answering;
pub use frames::Stop;
pub(in crate::drivers) use frames::{In, Kind, Out, damaged};
pub(in crate::drivers) use message::{Account, Said, Standing};
pub use message::{Ask, Opening};
pub use reached::{Asking, Reached, Streamed};
pub use talk::Talk;

/// A stream of bytes in both directions, to be read and written by two threads.
pub struct Wire {
    /// What comes next; `None` when the other side has ended. Waits for it.
    pub incoming: Incoming,
    /// Sends bytes. Waits while the other side is slow.
    pub outgoing: Outgoing,
    /// Ends both directions from any thread: whoever waits gets an error.
    pub close: Arc<dyn Fn() + Send + Sync>,
}

/// Gives what comes next.
pub type Incoming = Box<dyn FnMut() -> io::Result<Option<Vec<u8>>> + Send>;
/// Takes what is to be sent.
pub type Outgoing = Box<dyn FnMut(Vec<u8>) -> io::Result<()> + Send>;

/// Reaches the engines of secondaries' hosts.
pub trait Far: Send + Sync {
    /// Opens a stream to the engine of the secondary's host, which is started if none listens. What waits on the stream is
    /// released when `work` is cancelled.
    fn open(&self, apart: &Apart, work: &Work) -> Result<Wire, Failure>;
}
