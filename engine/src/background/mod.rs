//! Finds the engine of a state directory, or starts one in the background.

mod announce;
mod belonging;
mod error;
mod launch;
mod log;
mod moving;
mod version;
mod wait;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use resplit_operations::ids::HostId;

pub(crate) use self::wait::any_readable;
use self::{
    announce::Announcement,
    launch::launch,
    version::Choice,
    wait::{Arrivals, Process},
};
pub use self::{
    announce::{announce_failure, announce_held, announce_ready, detach},
    error::StartError,
    moving::mark,
};
use crate::{
    client::{Client, ClientError},
    protocol::{EngineInfo, RefusalKind},
    socket,
};

/// How long an engine may take until it listens, and an old one until it is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many engines are started for one that listens: each can lose against another one that then stops.
const LAUNCHES: usize = 5;

/// How an engine is started.
#[derive(Clone, Debug)]
pub struct Start {
    /// The program, absolute: the engine works in `/`.
    pub program: PathBuf,
    /// Its arguments, with absolute paths. With them it calls [`detach`], opens the store, binds the socket and calls
    /// [`announce_ready`]; or [`announce_held`] or [`announce_failure`], and exits.
    pub arguments: Vec<OsString>,
    /// The site directory, absolute.
    pub site: PathBuf,
    /// The state directory, absolute.
    pub state: PathBuf,
    /// The mount point of what moves with the host, if the state directory does.
    pub state_on: Option<PathBuf>,
    /// The host whose engine it is.
    pub host: HostId,
    /// The program's version and build, as its engine gives it in [`EngineInfo::build`]. Of two, the one whose first
    /// differing number is higher is newer.
    pub build: String,
}

/// The engine of a state directory: the one that listens, else one that is started in the background. An idle one that
/// is older than this program is replaced. However many programs do this at once, they get the same engine.
pub async fn ensure(start: &Start) -> Result<Client, StartError> {
    match tokio::time::timeout(PATIENCE, reach(start)).await {
        Ok(reached) => reached,
        Err(_) => Err(StartError::Slow(format!(
            "the engine of {} does not listen after {PATIENCE:?}; it may still do so, or say why not in {}",
            start.state.display(),
            log::path(&start.state).display()
        ))),
    }
}

/// The same, of an engine that starts now: one that listens and is idle is ended first.
pub async fn restart(start: &Start) -> Result<Client, StartError> {
    let client = Client::of(&start.state);
    if let Some(pid) = listener(&start.state).await?
        && let Some(process) = Process::of(pid)?
    {
        match client.stop().await {
            Ok(()) | Err(ClientError::NotRunning(_) | ClientError::Broken(_)) => {
                if tokio::time::timeout(PATIENCE, process.gone()).await.is_err() {
                    return Err(StartError::Slow(format!("the engine does not end within {PATIENCE:?}")));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    ensure(start).await
}

async fn reach(start: &Start) -> Result<Client, StartError> {
    let client = Client::of(&start.state);
    if let Some(on) = &start.state_on {
        moving::check(on, &start.host).map_err(StartError::Directory)?;
    }
    let _ = belonging::check(&start.state, &start.site).map_err(StartError::Directory)?;
    if usable(start, &client).await? {
        return Ok(client);
    }
    socket::prepare_directory(&start.state).map_err(StartError::Directory)?;
    belonging::claim(&start.state, &start.site).map_err(StartError::Directory)?;
    // From before it is asked again, so that no socket that comes is missed.
    let arrivals = Arrivals::watch(&start.state)?;
    for _ in 0..LAUNCHES {
        if usable(start, &client).await? {
            return Ok(client);
        }
        match launch(start).await? {
            Announcement::Ready => {}
            Announcement::Failed { text } => return Err(StartError::Failed(text)),
            Announcement::Held { pid } => {
                if usable(start, &client).await? {
                    return Ok(client);
                }
                other(&arrivals, pid).await?;
            }
        }
    }
    if usable(start, &client).await? {
        return Ok(client);
    }
    let (state, log) = (start.state.display(), log::path(&start.state));
    Err(StartError::Slow(format!("engines of {state} start and end again; {} may say why", log.display())))
}

/// Whether an engine listens that this program can use. One that is to be replaced is gone when this returns.
async fn usable(start: &Start, client: &Client) -> Result<bool, StartError> {
    let info = match client.verify(&start.host).await {
        Ok(info) => info,
        // One that ended while it was asked may still hold the store: that is for an engine that starts to find out.
        Err(ClientError::NotRunning(_) | ClientError::Broken(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    match version::choose(&start.build, &info) {
        Choice::Use => Ok(true),
        Choice::Refuse(text) => Err(StartError::OtherVersion(text)),
        Choice::Replace => replace(&start.state, client, &info).await,
    }
}

/// Asks an older engine to stop and waits until it is gone. Whether it is used as it is, since it is busy.
async fn replace(state: &Path, client: &Client, info: &EngineInfo) -> Result<bool, StartError> {
    let Some(pid) = listener(state).await? else { return Ok(false) };
    let Some(process) = Process::of(pid)? else { return Ok(false) };
    match client.stop_process(info.pid).await {
        // A connection that is lost over this is lost because it stops.
        Ok(()) | Err(ClientError::NotRunning(_) | ClientError::Broken(_)) => {
            process.gone().await?;
            Ok(false)
        }
        Err(ClientError::Refused(refusal)) => match client.info().await {
            // Somebody else has replaced it meanwhile.
            Ok(now) if now.pid != info.pid => Ok(false),
            Ok(_) if matches!(refusal.kind, RefusalKind::Busy | RefusalKind::Conflict) => {
                version::keep(info).map_err(StartError::OtherVersion)?;
                Ok(true)
            }
            _ => Err(ClientError::Refused(refusal).into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// The process ID of the engine that listens, in this process's own terms; `None` if none does any more.
async fn listener(state: &Path) -> Result<Option<u32>, StartError> {
    match socket::connect(state).await {
        Ok(stream) => Ok(stream.peer_cred()?.pid().and_then(|pid| u32::try_from(pid).ok())),
        Err(_) => Ok(None),
    }
}

/// Waits until the engine that has the store listens, or is gone.
async fn other(arrivals: &Arrivals, pid: Option<u32>) -> Result<(), StartError> {
    let Some(pid) = pid else { return Ok(arrivals.arrived_or_gone(None).await?) };
    match Process::of(pid)? {
        Some(process) => Ok(arrivals.arrived_or_gone(Some(&process)).await?),
        None => Ok(()),
    }
}
