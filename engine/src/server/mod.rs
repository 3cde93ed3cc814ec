//! The engine's door: HTTP/JSON on its socket, for whatever implements [`Service`].

mod activity;
mod converse;
mod door;
mod lines;
mod problem;
mod routes;
mod stopping;

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{net::UnixStream, task::JoinSet};

pub use self::activity::{Activity, OpenRequest};
use self::{door::Door, stopping::Stopping};
use crate::{service::Service, socket::Listener};

/// The largest body of a request that carries a plan, a step or a file, in bytes.
pub const LARGE_BODY: usize = 64 << 20;

/// The largest body of any other request, in bytes.
pub const SMALL_BODY: usize = 1 << 20;

/// How long, once it is told to stop, the server waits for clients to take what they asked for.
const GRACE: Duration = Duration::from_secs(3);

/// Serves until `shutdown` comes, then: takes the socket's name away, refuses new requests (a client takes that for "not
/// running"), lets calls end and streams deliver what was sent into them, and closes what is still open after 3 s. A stream whose sender
/// is still there is cut, so that its client does not take it for complete.
///
/// Calls that act run to their end whether or not the client is still there; a dropped receiver of a stream is all that
/// the service notices of it.
pub async fn serve<S: Service>(
    mut listener: Listener,
    service: Arc<S>,
    activity: Activity,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (stop, stopping) = Stopping::new();
    let router = routes::router(Door::new(service, activity, stopping.clone()));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let result = loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break Ok(()),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    let _ = connections.spawn(converse(stream, router.clone(), stopping.clone()));
                }
                Err(error) => break Err(error),
            },
        }
    };
    listener.retire();
    let _ = stop.send_replace(true);
    // Who connected before the name went gets an answer, not a reset.
    loop {
        tokio::select! {
            biased;
            Ok(stream) = listener.accept() => {
                let _ = connections.spawn(converse(stream, router.clone(), stopping.clone()));
            }
            () = std::future::ready(()) => break,
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!(
            "closed {} connections whose clients did not take what they asked for",
            connections.len()
        );
        connections.shutdown().await;
    }
    result
}

/// How often a line that carries nothing is tried, and how long an answer may take: what relays to a client that is gone
/// without a word is let go.
const ALIVE_EVERY: Duration = Duration::from_secs(5);
const ALIVE_WITHIN: Duration = Duration::from_secs(20);
/// How long a connection may say nothing at all: a line that was cut before its first request is not kept for ever, since
/// nothing else would ever be written to it that finds it cut.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// How much may be on its way: of one stream, and of all.
const STREAM_WINDOW: u32 = 4 << 20;
const WHOLE_WINDOW: u32 = 16 << 20;
const FRAME: u32 = 256 << 10;

/// What is spoken: HTTP/1 on a connection for one request; HTTP/2 where an agent relays many.
fn protocols() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let _ = builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(ALIVE_EVERY)
        .keep_alive_timeout(ALIVE_WITHIN)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WHOLE_WINDOW)
        .max_frame_size(FRAME);
    builder
}

/// One connection, until the client or a stop ends it.
async fn converse(stream: UnixStream, router: Router, stopping: Stopping) {
    let spoke = tokio::select! {
        spoke = tokio::time::timeout(SILENT_FOR, stream.readable()) => spoke.is_ok(),
        () = stopping.clone().wait() => true,
    };
    if !spoke {
        tracing::debug!("a connection was closed on which nothing was asked");
        return;
    }
    let service = TowerToHyperService::new(router);
    let builder = protocols();
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended early: {error}");
    }
}
