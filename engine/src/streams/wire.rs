//! Between bodies, which are asynchronous, and drivers, which are not.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use resplit_steps::drivers::stream::Wire;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

/// Pieces that wait in each direction; each has some hundred kilobytes at most.
const WAITING: usize = 4;
/// How often whoever waits looks whether the work was cancelled.
const LOOK: Duration = Duration::from_millis(100);

/// What arrives, for whoever takes it from a body.
pub struct Incoming {
    taken: mpsc::Sender<io::Result<Vec<u8>>>,
    closed: watch::Receiver<bool>,
}

/// What is sent, for whoever puts it into a body.
pub struct Outgoing(mpsc::Receiver<Vec<u8>>);

/// The ends of a stream: the driver's, and the two of the connection. `is_cancelled` is asked while a driver waits.
pub fn ends(
    handle: &Handle,
    is_cancelled: impl Fn() -> bool + Clone + Send + 'static,
) -> (Wire, Incoming, Outgoing) {
    let (taken, mut arriving) = mpsc::channel::<io::Result<Vec<u8>>>(WAITING);
    let (sending, sent) = mpsc::channel(WAITING);
    let (close, closed) = watch::channel(false);
    let (reader, writer) = (handle.clone(), handle.clone());
    let (mut no_more, mut no_further, ask) = (closed.clone(), closed.clone(), is_cancelled.clone());
    let incoming = move || match arriving.try_recv() {
        Ok(bytes) => bytes.map(Some),
        Err(mpsc::error::TryRecvError::Disconnected) => Ok(None),
        Err(mpsc::error::TryRecvError::Empty) => reader.block_on(async {
            tokio::select! {
                biased;
                arrived = arriving.recv() => arrived.transpose(),
                error = given_up(&mut no_more, &ask) => Err(error),
            }
        }),
    };
    let outgoing = move |bytes: Vec<u8>| match sending.try_send(bytes) {
        Ok(()) => Ok(()),
        Err(mpsc::error::TrySendError::Closed(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        Err(mpsc::error::TrySendError::Full(bytes)) => writer.block_on(async {
            tokio::select! {
                biased;
                sent = sending.send(bytes) => sent.map_err(|_| io::ErrorKind::BrokenPipe.into()),
                error = given_up(&mut no_further, &is_cancelled) => Err(error),
            }
        }),
    };
    let close = Arc::new(move || {
        let _ = close.send_replace(true);
    });
    let wire = Wire { incoming: Box::new(incoming), outgoing: Box::new(outgoing), close };
    (wire, Incoming { taken, closed }, Outgoing(sent))
}

/// Returns, with why, when a stream was closed from this side or its work cancelled.
async fn given_up(closed: &mut watch::Receiver<bool>, is_cancelled: &impl Fn() -> bool) -> io::Error {
    loop {
        if is_cancelled() {
            return io::Error::other("the work was cancelled");
        }
        if tokio::time::timeout(LOOK, closed.wait_for(|closed| *closed)).await.is_ok() {
            return io::Error::other("the stream was closed");
        }
    }
}

impl Incoming {
    /// Takes all that arrives in a body, as fast as the driver takes it; ends with the body, or when either side has had
    /// enough.
    pub async fn take<B>(mut self, mut body: B)
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                _ = self.closed.wait_for(|closed| *closed) => return,
            };
            let bytes = match frame {
                None => return,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => Ok(bytes.into()),
                    Err(_) => continue,
                },
                Some(Err(error)) => Err(io::Error::other(error.to_string())),
            };
            let ends = bytes.is_err();
            if self.taken.send(bytes).await.is_err() || ends {
                return;
            }
        }
    }
}

/// What is sent, as a body.
pub struct Flow<G> {
    pieces: mpsc::Receiver<Vec<u8>>,
    _guard: G,
}

impl Outgoing {
    /// As a body; the guard lives as long.
    pub fn body<G>(self, guard: G) -> Flow<G> {
        Flow { pieces: self.0, _guard: guard }
    }
}

impl<G: Unpin> Body for Flow<G> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let polled = self.get_mut().pieces.poll_recv(context);
        polled.map(|piece| piece.map(|piece| Ok(Frame::data(piece.into()))))
    }
}
