//! One engine from its start to its death.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc::Sender},
    time::{Duration, Instant},
};

use resplit_operations::{ids::HostId, site::PairDriverKind};
use resplit_steps::{
    context::SystemClock,
    drivers::{
        Drivers, directory::DirectoryPairs, identity::Owner, pairs::PairDriver, shim::Shims,
        virtual_library::VirtualLibrary, window::Windows,
    },
};
use tokio::runtime::Runtime;

use super::fate::{Fate, Moment, Told};
use crate::{
    engine::{Engine, Parts},
    offer::Offer,
    peers::PeerEngines,
    server::{Activity, serve},
    socket::{Listener, prepare_directory},
};

/// Nothing that an engine does takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// An engine at work.
pub(super) struct Life {
    pub(super) host: &'static str,
    pub(super) state: PathBuf,
    pub(super) fate: Arc<Fate>,
    pub(super) runtime: Runtime,
    engine: Arc<Engine>,
    /// Who owns what it takes: a process that does nothing, and ends with it, or with this test.
    process: Child,
}

/// The program under which external commands run.
fn shim() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/small_shim");
    assert!(program.exists(), "build it first: cargo build -p resplit-engine --examples");
    program
}

fn parts(site: &Path, host: &HostId, state: &Path, owner: Owner) -> Parts {
    let clock = Arc::new(SystemClock);
    let nowhere = PathBuf::from("/nonexistent/resplit");
    Parts {
        host: host.clone(),
        state: state.to_owned(),
        drivers: Drivers {
            pairs: [(
                PairDriverKind::Directory,
                Arc::new(DirectoryPairs::new(clock.clone())) as Arc<dyn PairDriver>,
            )]
            .into(),
            virtual_library: Arc::new(VirtualLibrary::new()),
            commands: Arc::new(Shims::new(shim(), Vec::new())),
        },
        windows: Arc::new(Windows::new(nowhere.clone(), Vec::new())),
        clock,
        peers: PeerEngines::new(nowhere, site.to_owned(), "0".to_owned(), false, None),
        build: "0".to_owned(),
        hold: false,
        owner,
    }
}

impl Life {
    /// Opens what is there. It does nothing yet, and nobody reaches it.
    pub(super) fn open(site: &Path, host: &'static str, state: &str, told: Sender<Told>) -> Self {
        let state = site.join(state);
        prepare_directory(&state).unwrap();
        let process = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let owner = Owner::of(process.id()).unwrap().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let fate = Fate::begin(&state, told);
        let engine = Engine::open(parts(site, &host.into(), &state, owner)).unwrap();
        Self { host, state, fate, runtime: runtime.unwrap(), engine, process }
    }

    /// Begins its work as an engine process does; it may be killed over it from now on.
    pub(super) fn begin(&self, order: Option<(Moment, u64)>) {
        self.fate.order(order);
        let (engine, state, fate) = (Arc::clone(&self.engine), self.state.clone(), Arc::clone(&self.fate));
        let _guard = self.runtime.enter();
        drop(self.runtime.spawn(async move {
            engine.thaw_all().unwrap();
            let listener = Listener::bind(&state).unwrap();
            engine.recover().await.unwrap();
            fate.is_up();
            let offer = Arc::new(Offer(engine));
            serve(listener, offer, Activity::new(), std::future::pending()).await.unwrap();
        }));
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Ends it, as it stands: it writes nothing more, and all that it held is free.
    pub(super) fn bury(mut self) {
        self.fate.end();
        let began = Instant::now();
        self.process.kill().unwrap();
        let _ = self.process.wait().unwrap();
        let store = self.engine.store.clone();
        self.runtime.shutdown_timeout(LIMIT);
        drop(self.engine);
        drop(store);
        assert!(began.elapsed() < LIMIT, "an engine on {} does not end", self.host);
    }
}
