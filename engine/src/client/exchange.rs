//! One request and its answer, on a connection of its own.

use std::path::Path;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::{Body, Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::task::AbortHandle;

use super::error::ClientError;
use crate::{socket, streams};

/// The largest answer that is read, in bytes: a catalog of hundreds of thousands of records.
const LARGEST_ANSWER: usize = 1 << 30;

/// What is asked.
pub(super) struct Ask {
    pub(super) method: Method,
    /// Path and query, as they go over the wire.
    pub(super) target: String,
    pub(super) body: Bytes,
    /// What the body may have at most, in bytes.
    pub(super) limit: usize,
}

/// An answer whose body is still to be read. The connection ends with it.
pub(crate) struct Answer {
    pub(super) what: String,
    pub(super) body: Incoming,
    connection: Connection,
}

/// Ends a connection's task.
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks, and returns the answer if it is a success.
pub(super) async fn ask(state: &Path, ask: Ask) -> Result<Answer, ClientError> {
    let what = format!("{} {}", ask.method, ask.target.split('?').next().unwrap_or_default());
    // The engine would refuse it as well, but not read it first, and then its reply can be lost.
    if ask.body.len() > ask.limit {
        let text =
            format!("{what}: {} bytes are more than the {} that an engine takes", ask.body.len(), ask.limit);
        return Err(ClientError::unfit(text));
    }
    send(state, what, (ask.method, ask.target), Full::new(ask.body)).await
}

/// Sends a request, whose body may be written while the answer is read.
pub(super) async fn send<B>(
    state: &Path,
    what: String,
    (method, target): (Method, String),
    body: B,
) -> Result<Answer, ClientError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = socket::connect(state).await.map_err(|e| ClientError::connecting(state, &e))?;
    let failed = |error: hyper::Error| ClientError::exchanging(&what, &error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("a connection to an engine ended early: {error}");
        }
    });
    let connection = Connection(task.abort_handle());
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(header::HOST, "resplit")
        .body(body)
        .map_err(|e| ClientError::unfit(format!("{what} cannot be asked: {e}")))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let answer = Answer { what, body: response.into_body(), connection };
    if status.is_success() {
        return Ok(answer);
    }
    Err(answer.refusal(state, status).await)
}

impl Answer {
    /// Hands on what arrives, to the end.
    pub(crate) async fn pour(self, to: streams::Incoming) {
        let Self { body, connection, .. } = self;
        to.take(body).await;
        drop(connection);
    }

    /// The whole body, as JSON.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let what = self.what.clone();
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|e| {
            ClientError::Protocol(format!("{what}: the engine's answer is not as expected: {e}"))
        })
    }

    async fn bytes(self) -> Result<Bytes, ClientError> {
        match Limited::new(self.body, LARGEST_ANSWER).collect().await {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => Err(ClientError::exchanging(&self.what, &error)),
                Err(error) if error.is::<LengthLimitError>() => {
                    let text = format!("{}: the answer has more than {LARGEST_ANSWER} bytes", self.what);
                    Err(ClientError::Protocol(text))
                }
                Err(error) => Err(ClientError::Broken(format!("{}: {error}", self.what))),
            },
        }
    }

    /// What an answer that is not a success says.
    async fn refusal(self, state: &Path, status: StatusCode) -> ClientError {
        // An engine that stops did nothing, and is as good as gone.
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return ClientError::NotRunning(state.display().to_string());
        }
        let what = self.what.clone();
        let bytes = match self.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return error,
        };
        if let Ok(refusal) = serde_json::from_slice(&bytes) {
            return ClientError::Refused(refusal);
        }
        let text = String::from_utf8_lossy(&bytes);
        ClientError::Protocol(format!("{what}: status {status}, without a reason: {}", text.trim()))
    }
}
