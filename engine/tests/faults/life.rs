//! One engine from its start to its end, in this process.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use resplit_engine::{
    engine::{Engine, Parts},
    offer::Offer,
    peers::PeerEngines,
    process::drivers,
    protocol::{RunStatus, RunSummary, RunsQuery, Submit},
    service::{Reply, Service},
    socket::prepare_directory,
    store::StoreError,
};
use resplit_operations::ids::RunId;
use resplit_steps::{
    context::SystemClock,
    drivers::{identity::Owner, window::Windows},
};
use tokio::runtime::Runtime;

/// Nothing takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// What became of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    Done,
    Failed(String),
    Parked(String),
    /// Nothing was begun.
    Refused(String),
    /// The engine ended over it.
    Ended,
}

impl Asked {
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed(_) => "failed",
            Self::Parked(_) => "parked",
            Self::Refused(_) => "refused",
            Self::Ended => "ended",
        }
    }

    fn of(status: &RunStatus) -> Self {
        match status {
            RunStatus::Done => Self::Done,
            RunStatus::Parked { questions } => Self::Parked(format!("{questions:?}")),
            RunStatus::Refused { failure } => Self::Refused(failure.to_string()),
            other => Self::Failed(format!("{other:?}")),
        }
    }
}

/// An engine at work.
pub(crate) struct Life {
    engine: Arc<Engine>,
    pub(crate) offer: Arc<Offer>,
    runtime: Runtime,
    /// Who owns what it takes: a process that does nothing, and ends with it.
    process: Child,
}

impl Life {
    /// Opens what is there, and begins as an engine process does.
    pub(crate) fn open(site: &Path) -> Result<Self, String> {
        let state = site.join("state");
        prepare_directory(&state).map_err(|failure| failure.to_string())?;
        let process = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (host, nowhere) = ("fileserver".into(), PathBuf::from("/nonexistent/resplit"));
        let peers = PeerEngines::new(nowhere.clone(), site.to_owned(), "0".to_owned(), false, None);
        let parts = Parts {
            drivers: drivers(&nowhere, &state, &host, &peers),
            host,
            state,
            windows: Arc::new(Windows::new(nowhere, Vec::new())),
            clock: Arc::new(SystemClock),
            peers,
            build: "0".to_owned(),
            hold: false,
            owner: Owner::of(process.id()).unwrap().unwrap(),
        };
        let engine = {
            // Whoever opens a store may start what waits.
            let _guard = runtime.enter();
            Engine::open(parts)
        };
        let mut process = process;
        let engine = match engine {
            Ok(engine) => engine,
            Err(error) => {
                end(&mut process);
                return Err(error.to_string());
            }
        };
        let life = Self { offer: Arc::new(Offer(Arc::clone(&engine))), engine, runtime, process };
        let begun = life.engine.thaw_all().and_then(|()| life.runtime.block_on(life.engine.recover()));
        match begun {
            Ok(()) => Ok(life),
            Err(failure) => {
                let _ = life.close();
                Err(failure.to_string())
            }
        }
    }

    /// Asks for a backup or a restore, and waits for its end, or the engine's.
    pub(crate) fn perform(&self, submit: Submit) -> Asked {
        self.until_over(async {
            let accepted = Box::pin(self.offer.submit(submit)).await;
            match accepted {
                Ok(accepted) => Asked::of(&self.over(&accepted.run).await?.status),
                Err(refusal) => Asked::Refused(refusal.failure.to_string()),
            }
            .into()
        })
    }

    /// Takes a run up again.
    pub(crate) fn resume(&self, run: &RunId) -> Asked {
        self.until_over(async {
            match self.offer.resume(run.clone()).await {
                Ok(_) => Asked::of(&self.over(run).await?.status),
                Err(refusal) => Asked::Refused(refusal.failure.to_string()),
            }
            .into()
        })
    }

    /// Waits until nothing is at work; gives the runs, the newest first.
    pub(crate) fn settled(&self) -> Vec<RunSummary> {
        let query = || RunsQuery { limit: Some(1000), ..RunsQuery::default() };
        for run in self.ask(self.offer.runs(query())).unwrap() {
            if !run.status.is_over() {
                let _ = self.until_over(async { Asked::of(&self.over(&run.run).await?.status).into() });
            }
        }
        self.ask(self.offer.runs(query())).unwrap()
    }

    /// Whether the store is whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.engine.describe().read_only.is_none()
    }

    pub(crate) fn ask<T>(&self, answer: impl Future<Output = Reply<T>>) -> Reply<T> {
        let limited = async { tokio::time::timeout(LIMIT, answer).await };
        self.runtime.block_on(limited).unwrap_or_else(|_| panic!("an engine does not answer"))
    }

    /// `None` if it cannot be told any more.
    async fn over(&self, run: &RunId) -> Option<RunSummary> {
        let mut events = self.offer.events(run.clone(), true).await.ok()?;
        while events.recv().await.is_some() {}
        Some(Box::pin(self.offer.run(run.clone())).await.ok()?.summary)
    }

    fn until_over(&self, asked: impl Future<Output = Option<Asked>>) -> Asked {
        let either = async {
            tokio::select! {
                asked = asked => asked.unwrap_or(Asked::Ended),
                () = self.engine.store_failed() => Asked::Ended,
            }
        };
        let limited = async { tokio::time::timeout(LIMIT, either).await };
        self.runtime.block_on(limited).unwrap_or_else(|_| panic!("it hangs"))
    }

    /// Ends it: in order, if nothing is at work.
    pub(crate) fn close(mut self) -> Result<(), StoreError> {
        drop(self.offer);
        self.runtime.shutdown_timeout(LIMIT);
        end(&mut self.process);
        assert_eq!(Arc::strong_count(&self.engine), 1, "something of an engine does not end");
        self.engine.close()
    }
}

fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}
