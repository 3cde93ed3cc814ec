//! One request and its answer: on a connection of its own to a socket, or among others over the line to another machine.

use std::path::Path;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::task::AbortHandle;

use super::{Route, error::ClientError, line::Line};
use crate::{socket, streams};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// What is sent with a request, whole or as it comes.
pub(super) type Sent = UnsyncBoxBody<Bytes, BoxError>;

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

/// An answer whose body is still to be read. A connection of its own ends with it.
pub(crate) struct Answer {
    pub(super) what: String,
    pub(super) body: Incoming,
    connection: Option<Connection>,
}

/// Ends a connection's task.
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks, and returns the answer if it is a success.
pub(super) async fn ask(route: &Route, ask: Ask) -> Result<Answer, ClientError> {
    let what = format!("{} {}", ask.method, ask.target.split('?').next().unwrap_or_default());
    // The engine would refuse it as well, but not read it first, and then its reply can be lost.
    if ask.body.len() > ask.limit {
        let text =
            format!("{what}: {} bytes are more than the {} that an engine takes", ask.body.len(), ask.limit);
        return Err(ClientError::unfit(text));
    }
    send(route, what, (ask.method, ask.target), Full::new(ask.body)).await
}

/// Sends a request, whose body may be written while the answer is read.
pub(super) async fn send<B>(
    route: &Route,
    what: String,
    (method, target): (Method, String),
    body: B,
) -> Result<Answer, ClientError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let body = Sent::new(body.map_err(Into::into));
    let (response, connection) = match route {
        Route::Socket(state) => {
            let (response, connection) = through_socket(state, &what, (method, target), body).await?;
            (response, Some(connection))
        }
        Route::Line(line) => (over_line(line, &what, (method, target), body).await?, None),
    };
    let status = response.status();
    let answer = Answer { what, body: response.into_body(), connection };
    if status.is_success() {
        return Ok(answer);
    }
    Err(answer.refusal(route, status).await)
}

async fn through_socket(
    state: &Path,
    what: &str,
    target: (Method, String),
    body: Sent,
) -> Result<(Response<Incoming>, Connection), ClientError> {
    let stream = socket::connect(state).await.map_err(|e| ClientError::connecting(state, &e))?;
    let failed = |error: hyper::Error| ClientError::exchanging(what, &error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("a connection to an engine ended early: {error}");
        }
    });
    let connection = Connection(task.abort_handle());
    let request = request(what, target, body, "")?;
    Ok((sender.send_request(request).await.map_err(failed)?, connection))
}

/// How often a request is sent that no line took: an engine may end of idleness just as it is reached.
const SENDINGS: u32 = 4;

/// A request that a line did not even take goes over a new one.
async fn over_line(
    line: &Line,
    what: &str,
    target: (Method, String),
    body: Sent,
) -> Result<Response<Incoming>, ClientError> {
    let mut request = request(what, target, body, "http://resplit")?;
    for _ in 0..SENDINGS {
        match line.sender().await?.try_send_request(request).await {
            Ok(response) => return Ok(response),
            Err(mut error) => match error.take_message() {
                Some(untaken) => request = untaken,
                None => {
                    let mut failed = ClientError::exchanging(what, error.error());
                    if let ClientError::Broken(text) = &mut failed {
                        text.push_str(&line.last_words().await);
                    }
                    return Err(failed);
                }
            },
        }
    }
    Err(ClientError::NotRunning(format!("host '{}'", line.far.host)))
}

fn request(
    what: &str,
    (method, target): (Method, String),
    body: Sent,
    origin: &str,
) -> Result<Request<Sent>, ClientError> {
    let mut request = Request::builder().method(method).uri(format!("{origin}{target}"));
    if origin.is_empty() {
        request = request.header(header::HOST, "resplit");
    }
    request.body(body).map_err(|e| ClientError::unfit(format!("{what} cannot be asked: {e}")))
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
        let _connection = self.connection;
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
    async fn refusal(self, route: &Route, status: StatusCode) -> ClientError {
        // An engine that stops did nothing, and is as good as gone.
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return ClientError::NotRunning(route.to_string());
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
