//! The engine as a process: one per site and host, which owns that host's state directory.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use resplit_operations::{ids::HostId, site::PairDriverKind};
use resplit_steps::{
    context::SystemClock,
    drivers::{
        Drivers,
        array::ArrayPairs,
        btrfs::BtrfsPairs,
        command::CommandRunner,
        directory::DirectoryPairs,
        identity::Owner,
        image::ImagePairs,
        lvm::LvmPairs,
        pairs::PairDriver,
        qemu::QemuPairs,
        shim::Shims,
        stream::{Far, Reached},
        virtual_library::VirtualLibrary,
        window::Windows,
    },
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    background::{announce_failure, announce_held, announce_ready, detach},
    engine::{Engine, Parts},
    forget,
    offer::Offer,
    peers::PeerEngines,
    server::{Activity, serve},
    socket::{Listener, prepare_directory},
    store::StoreError,
    streams::Ways,
};

/// How long an engine that is idle may take to forget what is over before it ends.
const PARTING: Duration = Duration::from_secs(5);

/// How an engine process is started.
#[derive(Clone, Debug)]
pub struct EngineArguments {
    /// The site directory, absolute.
    pub site: PathBuf,
    /// The host that it is.
    pub host: HostId,
    /// Its state directory, absolute.
    pub state: PathBuf,
    /// How long it stays when there is nothing to do.
    pub idle: Duration,
    /// The program's version and build.
    pub build: String,
    /// Whether it leaves interrupted runs as they are until somebody resumes them.
    pub hold: bool,
}

/// Runs an engine in the background until it is idle, or told to stop. Call it before anything else runs in the process.
pub fn engine_main(arguments: &EngineArguments) -> ExitCode {
    if let Err(error) = detach() {
        announce_failure(&format!("cannot leave the session of whoever started this engine: {error}"));
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            announce_failure(&format!("cannot start threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(arguments));
    // What still blocks (a file system that was frozen by somebody else) does not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(5));
    ended
}

/// The drivers of pairs that an engine has.
fn pair_drivers(
    commands: &Arc<dyn CommandRunner>,
    state: &Path,
    host: &HostId,
    far: Arc<dyn Far>,
) -> BTreeMap<PairDriverKind, Arc<dyn PairDriver>> {
    let clock = Arc::new(SystemClock);
    let directory = DirectoryPairs::new(clock.clone());
    let directory: Arc<dyn PairDriver> =
        Arc::new(Reached::new(directory, host.clone(), far, state.join("told")));
    let arrays = ArrayPairs::new(Arc::clone(commands), state.join("arrays"), host.clone(), clock.clone());
    BTreeMap::from([
        (PairDriverKind::Directory, directory),
        (PairDriverKind::Image, Arc::new(ImagePairs::new(clock.clone())) as Arc<dyn PairDriver>),
        (PairDriverKind::Btrfs, Arc::new(BtrfsPairs::new(clock.clone()))),
        (PairDriverKind::Qemu, Arc::new(QemuPairs::new(clock.clone()))),
        (PairDriverKind::Lvm, Arc::new(LvmPairs::new(clock))),
        (PairDriverKind::Declared, Arc::new(arrays)),
    ])
}

/// The drivers that the engine of a host has, whose state directory this is, and which reaches other hosts so.
pub fn drivers(program: &Path, state: &Path, host: &HostId, peers: &PeerEngines) -> Drivers {
    let far = Arc::new(Ways { peers: peers.clone() });
    let commands: Arc<dyn CommandRunner> = Arc::new(Shims::new(program.to_owned(), Vec::new()));
    Drivers {
        pairs: pair_drivers(&commands, state, host, far),
        virtual_library: Arc::new(VirtualLibrary::new()),
        commands,
    }
}

async fn run(arguments: &EngineArguments) -> ExitCode {
    let opened = prepare_directory(&arguments.state)
        .map_err(|failure| failure.to_string())
        .and_then(|()| open(arguments));
    let engine = match opened {
        Ok(Some(engine)) => engine,
        Ok(None) => return ExitCode::SUCCESS,
        Err(text) => {
            announce_failure(&text);
            return ExitCode::FAILURE;
        }
    };
    if let Err(failure) = engine.thaw_all() {
        tracing::error!("cannot read the obligations: {failure}");
    }
    let listener = match Listener::bind(&arguments.state) {
        Ok(listener) => listener,
        Err(failure) => {
            announce_failure(&failure.to_string());
            return ExitCode::FAILURE;
        }
    };
    let activity = Activity::new();
    let shutdown = until_idle(Arc::clone(&engine), activity.clone(), arguments.idle);
    if let Err(failure) = engine.recover().await {
        announce_failure(&failure.to_string());
        return ExitCode::FAILURE;
    }
    if let Err(error) = announce_ready() {
        tracing::warn!("cannot say that it is ready: {error}");
    }
    let served = serve(listener, Arc::new(Offer(Arc::clone(&engine))), activity, shutdown).await;
    if let Err(error) = &served {
        tracing::error!("the socket: {error}");
    }
    match tokio::task::spawn_blocking(move || engine.close()).await {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            tracing::error!("closing the store: {error}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn open(arguments: &EngineArguments) -> Result<Option<Arc<Engine>>, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("cannot tell which program this is: {error}"))?;
    let peers = PeerEngines::new(
        program.clone(),
        arguments.site.clone(),
        arguments.build.clone(),
        arguments.hold,
        Some(arguments.host.clone()),
    );
    let parts = Parts {
        host: arguments.host.clone(),
        state: arguments.state.clone(),
        drivers: drivers(&program, &arguments.state, &arguments.host, &peers),
        windows: Arc::new(Windows::new(program, Vec::new())),
        clock: Arc::new(SystemClock),
        peers,
        build: arguments.build.clone(),
        hold: arguments.hold,
        owner: Owner::current().map_err(|error| format!("cannot tell which process this is: {error}"))?,
    };
    match Engine::open(parts) {
        Ok(engine) => Ok(Some(engine)),
        Err(StoreError::InUse { holder, .. }) => {
            announce_held(holder);
            Ok(None)
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Returns when the engine has had nothing to do for long enough, was told to stop, or can keep nothing any more: what
/// it was doing is interrupted then, and recovered by the engine that is started next.
async fn until_idle(engine: Arc<Engine>, activity: Activity, idle: Duration) {
    let (Ok(mut terminated), Ok(mut interrupted)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    let mut quiet = engine.quiet.subscribe();
    loop {
        tokio::select! {
            _ = terminated.recv() => return,
            _ = interrupted.recv() => return,
            () = engine.stop.notified() => return,
            () = engine.store_failed() => {
                tracing::error!("the store cannot be written, so this engine ends; the next command starts another");
                return;
            }
            () = activity.idle_for(idle) => {
                if !engine.is_busy() {
                    // A last word with those who asked for steps, if they are there.
                    let forgotten = tokio::time::timeout(PARTING, forget::forget_served(&engine)).await;
                    if let Ok(Err(failure)) = forgotten {
                        tracing::warn!("cannot forget what is over: {failure}");
                    }
                    if activity.open() == 0 && activity.last().elapsed() >= idle && !engine.is_busy() {
                        return;
                    }
                    continue;
                }
                // Busy without a request: look again when something ends, or after a while.
                tokio::select! {
                    _ = quiet.changed() => {}
                    _ = terminated.recv() => return,
                    () = engine.store_failed() => {}
                    () = tokio::time::sleep(idle) => {}
                }
            }
        }
    }
}
