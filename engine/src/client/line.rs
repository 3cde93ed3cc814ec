//! The line to another machine: one ssh, over which all requests to a host go at once (HTTP/2), kept while it is used and
//! made anew when it was cut. Killing this process ends it, since ssh and the agent there end when what they read does.

use std::{
    process::ExitStatus,
    sync::{Arc, Mutex as Shared, PoisonError},
    time::Duration,
};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use resplit_steps::failure::Failure;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdout},
    sync::Mutex,
    task::{AbortHandle, JoinHandle},
};

use super::{
    error::ClientError,
    exchange::Sent,
    greeting::{Agent, Greeting},
    ssh::Far,
    trouble,
};
use crate::protocol;

/// How long until an agent greets: jump hosts, and an engine that has to be started, take their time.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often a line is dialled that breaks just as it is made.
const DIALS: u32 = 3;
/// How long ssh may take to end once it closed its output.
const PARTING: Duration = Duration::from_secs(5);
/// The most that a shell there may print before the greeting, in bytes.
const CHATTER: u64 = 64 << 10;
/// The most that is kept of what ssh says, in bytes.
const SAID: usize = 8 << 10;
/// How often a line that carries nothing is tried, and how long an answer may take. As long as ssh itself takes to give up.
const ALIVE_EVERY: Duration = Duration::from_secs(5);
const ALIVE_WITHIN: Duration = Duration::from_secs(15);
/// How much may be on its way: of one stream, and of all. A long fat line is kept full, and memory is bounded.
const STREAM_WINDOW: u32 = 4 << 20;
const WHOLE_WINDOW: u32 = 16 << 20;
const FRAME: u32 = 256 << 10;

pub(super) type Sender = http2::SendRequest<Sent>;

/// The line to the engine of a host on another machine.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) far: Far,
    open: Mutex<Option<Open>>,
}

/// A line that is, or was, open. ssh ends with it.
#[derive(Debug)]
struct Open {
    sender: Sender,
    said: Said,
    carrying: AbortHandle,
    _ssh: Child,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

impl Line {
    /// The host that it is to.
    pub(crate) const fn far(&self) -> &Far {
        &self.far
    }

    /// A line that is opened when something is asked.
    pub(crate) fn to(far: Far) -> Arc<Self> {
        Arc::new(Self { far, open: Mutex::new(None) })
    }

    /// A handle to ask with, over the line that is open, else over a new one.
    pub(super) async fn sender(&self) -> Result<Sender, ClientError> {
        let mut open = self.open.lock().await;
        if let Some(open) = open.as_ref().filter(|open| !open.sender.is_closed()) {
            return Ok(open.sender.clone());
        }
        // The old ssh ends before another begins.
        drop(open.take());
        let dialled = tokio::time::timeout(PATIENCE, dialled(&self.far)).await.unwrap_or_else(|_| {
            let text = format!("no agent greets from host '{}' within {PATIENCE:?}", self.far.host);
            Err(ClientError::Away(
                Failure::temporary(text).with_help(format!("try: {}", self.far.by_hand("true"))),
            ))
        })?;
        let sender = dialled.sender.clone();
        *open = Some(dialled);
        Ok(sender)
    }

    /// What ssh said last of the line, for the error about a request that it lost.
    pub(super) async fn last_words(&self) -> String {
        let open = self.open.lock().await;
        let said = open.as_ref().map(|open| open.said.text()).unwrap_or_default();
        said.lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .map(|line| format!(" (ssh: {})", line.trim()))
            .unwrap_or_default()
    }
}

/// A line that is open. One that breaks just as it is made is made again: an engine may end of idleness after its agent
/// greeted.
async fn dialled(far: &Far) -> Result<Open, ClientError> {
    for _ in 1..DIALS {
        match dial(far).await {
            Err(ClientError::Broken(text)) => tracing::debug!("{text}"),
            dialled => return dialled,
        }
    }
    dial(far).await
}

async fn dial(far: &Far) -> Result<Open, ClientError> {
    let mut ssh = far.command().spawn().map_err(|error| {
        let failure =
            Failure::refused(format!("cannot run ssh: {error}")).with_help("install the OpenSSH client");
        ClientError::Away(failure)
    })?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (ssh.stdin.take(), ssh.stdout.take(), ssh.stderr.take())
    else {
        return Err(ClientError::Away(Failure::permanent("ssh was started without its pipes")));
    };
    let said = Said::default();
    let heard = said.listen(stderr);
    let mut stdout = BufReader::new(stdout);
    match greeting(&mut stdout).await {
        Some(greeting) => welcome(far, greeting?)?,
        None => {
            let ended = ended(&mut ssh, heard).await;
            return Err(ClientError::Away(trouble::explain(
                far,
                ended.and_then(|status| status.code()),
                &said.text(),
            )));
        }
    }
    let (sender, carried) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(ALIVE_EVERY)
        .keep_alive_timeout(ALIVE_WITHIN)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WHOLE_WINDOW)
        .max_frame_size(FRAME)
        .handshake(TokioIo::new(tokio::io::join(stdout, stdin)))
        .await
        .map_err(|error| ClientError::exchanging("greeting", &error))?;
    let carrying = tokio::spawn(async move {
        if let Err(error) = carried.await {
            tracing::debug!("the line to an engine ended: {error}");
        }
    });
    Ok(Open { sender, said, carrying: carrying.abort_handle(), _ssh: ssh })
}

/// The greeting, after whatever a shell there prints; `None` if what is read ends before it.
async fn greeting(from: &mut BufReader<ChildStdout>) -> Option<Result<Greeting, ClientError>> {
    let mut limited = from.take(CHATTER);
    let mut line = Vec::new();
    loop {
        line.clear();
        match limited.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
        if let Some(greeting) = Greeting::read(&String::from_utf8_lossy(&line)) {
            return Some(greeting.map_err(|error| {
                ClientError::Protocol(format!(
                    "the agent there is of another version: its greeting cannot be read: {error}"
                ))
            }));
        }
    }
}

/// Whether an agent that greets so can be used.
fn welcome(far: &Far, greeting: Greeting) -> Result<(), ClientError> {
    let host = &far.host;
    let Greeting { protocol: theirs, build, agent } = greeting;
    let found = match agent {
        Agent::Refuses(failure) => {
            let message = format!("host '{host}': {}", failure.message);
            return Err(ClientError::Away(Failure { message, ..failure }));
        }
        Agent::NotRunning => return Err(ClientError::NotRunning(format!("host '{host}'"))),
        Agent::Relays(found) => found,
    };
    if theirs != protocol::VERSION {
        let text = format!(
            "host '{host}' has another version of resplit: {build}, with protocol {theirs} and not {}",
            protocol::VERSION
        );
        return Err(ClientError::Away(Failure::refused(text).with_help("install the same version on both")));
    }
    if found != *host {
        let place = format!("host '{host}'");
        return Err(ClientError::OtherHost { place, wanted: host.clone(), found });
    }
    Ok(())
}

/// How ssh ended, with all that it said heard. One that a master connection outlives keeps its output open.
async fn ended(ssh: &mut Child, heard: JoinHandle<()>) -> Option<ExitStatus> {
    let status = tokio::time::timeout(PARTING, ssh.wait()).await.ok()?.ok();
    let _ = tokio::time::timeout(PARTING, heard).await;
    status
}

/// The end of what ssh says.
#[derive(Clone, Debug, Default)]
struct Said(Arc<Shared<Vec<u8>>>);

impl Said {
    fn listen(&self, mut from: impl AsyncRead + Send + Unpin + 'static) -> JoinHandle<()> {
        let said = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut buffer = vec![0; 1024];
            while let Ok(read @ 1..) = from.read(&mut buffer).await {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.extend_from_slice(&buffer[..read]);
                let over = said.len().saturating_sub(SAID);
                let _ = said.drain(..over);
            }
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
