//! What the engine's own tests share: definitions as an operator writes them, and an engine on a directory of its own.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Condvar, Mutex},
};

use resplit_operations::{
    compile,
    definitions::{Checked, Source, check_all},
    ids::OperationId,
    plan::Plan,
    site::PairDriverKind,
};
use resplit_steps::{
    context::{Clock, SystemClock, Work},
    drivers::{
        Drivers,
        command::{CommandRunner, CommandState, Ended, ExternalCommand},
        directory::DirectoryPairs,
        identity::Owner,
        pairs::PairDriver,
        quiesce::WindowKeeper,
        virtual_library::VirtualLibrary,
        window::Windows,
    },
    failure::Failure,
};

use crate::{
    engine::{Engine, Parts},
    offer::Offer,
    peers::PeerEngines,
    protocol::{RunOptions, RunStatus, RunSummary, Submit},
    service::Service,
};

/// A site of one host with one volume of two pairs, a library, and a second host.
pub(crate) const SITE: &str = r#"
hosts:
  fileserver:   { connect: local, state: state }
  backupserver: { connect: local, state: state-backup }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: documents }
    pairs:
      - { copy_group: "VG01,vol01", secondary: { host: fileserver, path: mirrors/0 } }
      - { copy_group: "VG02,vol01", secondary: { host: fileserver, path: mirrors/1 } }
libraries:
  vault: { driver: virtual, host: fileserver, path: vault, slots: 2, drives: 1, cartridge_size: 64MiB, pools: [documents] }
"#;

/// The operation of most tests: on disk, all on one host.
pub(crate) const DOCUMENTS: &str = "protect: { filesystem: documents, volumes: [documents] }\n";

/// The definitions in these texts, which have no error.
pub(crate) fn definitions(site: &str, operation: &str) -> Checked {
    let source = |path: &str, text: &str| Source { path: path.into(), content: Ok(text.as_bytes().to_vec()) };
    check_all(source("site.yaml", site), vec![source("operations/documents.yaml", operation)])
        .unwrap_or_else(|report| panic!("{report:?}"))
}

/// The backup that an operation named documents declares.
pub(crate) fn backup(site: &str, operation: &str, directory: &Path) -> Plan {
    let checked = definitions(site, operation);
    let id = OperationId::from("documents");
    compile::backup(&checked.site, directory, &id, &checked.operations[&id]).unwrap()
}

/// Commands that do what their first argument says: `ok`, `fail`, `never` (which is permanent), `lose` (nobody saw how it
/// ended), or `wait` until they are let go.
#[derive(Default)]
pub(crate) struct Commands {
    ran: Mutex<Vec<String>>,
    probed: Mutex<Vec<String>>,
    seen: Mutex<BTreeMap<String, CommandState>>,
    open: Mutex<BTreeMap<String, bool>>,
    changed: Condvar,
}

impl Commands {
    /// The second arguments of all commands that were run, in order.
    pub(crate) fn ran(&self) -> Vec<String> {
        self.ran.lock().unwrap().clone()
    }

    /// The second arguments of all commands that were asked about, in order.
    pub(crate) fn probed(&self) -> Vec<String> {
        self.probed.lock().unwrap().clone()
    }

    /// What is said of a command that is asked about.
    pub(crate) fn say(&self, name: &str, state: CommandState) {
        let _ = self.seen.lock().unwrap().insert(name.to_owned(), state);
    }

    /// Lets a waiting command go, now or when it comes; it ends well or not.
    pub(crate) fn let_go(&self, name: &str, well: bool) {
        let _ = self.open.lock().unwrap().insert(name.to_owned(), well);
        self.changed.notify_all();
    }

    /// Has a command wait again.
    pub(crate) fn hold(&self, name: &str) {
        let _ = self.open.lock().unwrap().remove(name);
    }

    /// Waits until so many commands were begun.
    pub(crate) async fn until(&self, count: usize) {
        while self.ran().len() < count {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

impl CommandRunner for Commands {
    fn run(&self, command: &ExternalCommand, work: &Work) -> Result<Ended, Failure> {
        let name = command.argv.get(1).cloned().unwrap_or_default();
        self.ran.lock().unwrap().push(name.clone());
        let ended = |code| Ok(Ended { code, output: String::new() });
        match command.argv[0].as_str() {
            "never" => return Err(Failure::permanent("it would fail again")),
            "lose" => return Err(Failure::unknown("nobody saw how it ended")),
            _ => {}
        }
        if command.argv[0] != "wait" {
            return ended(i32::from(command.argv[0] != "ok"));
        }
        let mut open = self.open.lock().unwrap();
        loop {
            work.check()?;
            if let Some(well) = open.get(&name) {
                return ended(i32::from(!well));
            }
            let step = std::time::Duration::from_millis(10);
            open = self.changed.wait_timeout(open, step).unwrap().0;
        }
    }

    fn probe(&self, command: &ExternalCommand) -> Result<CommandState, Failure> {
        let name = command.argv.get(1).cloned().unwrap_or_default();
        let seen = self.seen.lock().unwrap().get(&name).cloned().unwrap_or(CommandState::NotStarted);
        self.probed.lock().unwrap().push(name);
        Ok(seen)
    }
}

/// An engine on a directory of its own, with a primary of one file.
pub(crate) struct Bench {
    pub directory: tempfile::TempDir,
    pub engine: Arc<Engine>,
    pub commands: Arc<Commands>,
}

impl Bench {
    /// The engine of the file server; no other engine can be reached.
    pub(crate) fn new() -> Self {
        let windows = Windows::new(std::path::PathBuf::from("/nonexistent/resplit"), Vec::new());
        Self::with(Arc::new(windows))
    }

    /// The same, whose windows are held so.
    pub(crate) fn with(windows: Arc<dyn WindowKeeper>) -> Self {
        Self::made(windows, Arc::new(SystemClock))
    }

    /// The same, with a clock that the test owns.
    pub(crate) fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let windows = Windows::new(std::path::PathBuf::from("/nonexistent/resplit"), Vec::new());
        Self::made(Arc::new(windows), clock)
    }

    /// The same, with both.
    pub(crate) fn made(windows: Arc<dyn WindowKeeper>, clock: Arc<dyn Clock>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("documents")).unwrap();
        std::fs::write(directory.path().join("documents/a.txt"), "one").unwrap();
        let commands = Arc::new(Commands::default());
        let engine = Self::open(directory.path(), &commands, windows, clock);
        Self { directory, engine, commands }
    }

    fn open(
        directory: &Path,
        commands: &Arc<Commands>,
        windows: Arc<dyn WindowKeeper>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Engine> {
        let program = std::path::PathBuf::from("/nonexistent/resplit");
        std::fs::create_dir_all(directory.join("state")).unwrap();
        let parts = Parts {
            host: "fileserver".into(),
            state: directory.join("state"),
            drivers: Drivers {
                pairs: [(
                    PairDriverKind::Directory,
                    Arc::new(DirectoryPairs::new(clock.clone())) as Arc<dyn PairDriver>,
                )]
                .into(),
                virtual_library: Arc::new(VirtualLibrary::new()),
                commands: Arc::clone(commands) as Arc<dyn CommandRunner>,
            },
            windows,
            clock,
            peers: PeerEngines::new(program, directory.to_owned(), "0".to_owned(), false, None),
            build: "0".to_owned(),
            hold: false,
            owner: Owner::current().unwrap(),
        };
        Engine::open(parts).unwrap()
    }

    pub(crate) fn offer(&self) -> Offer {
        Offer(Arc::clone(&self.engine))
    }

    /// What is submitted for an operation.
    pub(crate) fn submit(&self, operation: &str) -> Submit {
        Submit {
            plan: backup(SITE, operation, self.directory.path()),
            options: RunOptions::default(),
            measure: false,
        }
    }

    /// Runs an operation to its end.
    pub(crate) async fn run(&self, operation: &str) -> RunSummary {
        let accepted = Box::pin(self.offer().submit(self.submit(operation))).await.unwrap();
        self.ended(&accepted.run).await
    }

    /// Follows a run to its end.
    pub(crate) async fn ended(&self, run: &resplit_operations::ids::RunId) -> RunSummary {
        let mut events = self.offer().events(run.clone(), true).await.unwrap();
        while events.recv().await.is_some() {}
        let summary = Box::pin(self.offer().run(run.clone())).await.unwrap().summary;
        assert!(summary.status.is_over(), "{:?}", summary.status);
        summary
    }
}

/// Why a run failed.
pub(crate) fn failure(summary: &RunSummary) -> &Failure {
    match &summary.status {
        RunStatus::Failed { failure } | RunStatus::Refused { failure } => failure,
        other => panic!("{other:?}"),
    }
}
