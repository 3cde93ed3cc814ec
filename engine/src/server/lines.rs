//! A stream as the body of a reply: one JSON object a line, each sent as it comes.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use http_body::Frame;
use serde::Serialize;
use tokio::sync::mpsc::Receiver;

use super::{activity::OpenRequest, stopping::Stopping};

/// The most objects that one frame carries: what is there at once goes out at once.
const BATCH: usize = 256;

pub(super) struct Lines<T> {
    receiver: Receiver<T>,
    batch: Vec<T>,
    stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
    _open: OpenRequest,
}

impl<T> Lines<T> {
    pub(super) fn new(receiver: Receiver<T>, stopping: Stopping, open: OpenRequest) -> Self {
        Self { receiver, batch: Vec::new(), stopping: Box::pin(stopping.wait()), _open: open }
    }
}

impl<T: Serialize + Unpin> HttpBody for Lines<T> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        match this.receiver.poll_recv_many(context, &mut this.batch, BATCH) {
            Poll::Ready(0) => Poll::Ready(None),
            Poll::Ready(_) => Poll::Ready(Some(encode(&mut this.batch))),
            // An error rather than an end: the client must not take the stream for complete.
            Poll::Pending if this.stopping.as_mut().poll(context).is_ready() => {
                Poll::Ready(Some(Err(io::Error::other("the engine stops"))))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

fn encode<T: Serialize>(batch: &mut Vec<T>) -> Result<Frame<Bytes>, io::Error> {
    let mut text = Vec::with_capacity(256 * batch.len());
    for item in batch.drain(..) {
        serde_json::to_writer(&mut text, &item)?;
        text.push(b'\n');
    }
    Ok(Frame::data(text.into()))
}
