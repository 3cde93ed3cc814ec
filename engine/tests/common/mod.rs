//! What the tests of the engine's door share.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

pub mod fake;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use resplit_engine::{
    client::Client,
    protocol::Submit,
    server::{Activity, serve},
    socket::Listener,
};
use resplit_operations::{
    action::{Action, Nothing},
    plan::{Plan, PlanData, PlanStep, Purpose},
    site::{Host, Site},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::oneshot,
    task::JoinHandle,
};

use self::fake::Fake;

/// A served fake, in a state directory of its own.
pub struct Serving {
    pub directory: TempDir,
    pub state: PathBuf,
    pub fake: Arc<Fake>,
    pub activity: Activity,
    pub client: Client,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// In `state` below a new directory.
    pub fn start_in(below: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join(below);
        let fake = Arc::new(Fake::new("here", "1.0.0"));
        let activity = Activity::new();
        let (stop, stopped) = oneshot::channel();
        let listener = Listener::bind(&state).unwrap();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(listener, Arc::clone(&fake), activity.clone(), shutdown));
        let client = Client::of(&state);
        Self { directory, state, fake, activity, client, stop: Some(stop), task }
    }

    pub fn start() -> Self {
        Self::start_in("state")
    }

    pub fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }

    pub async fn stopped(mut self) {
        self.tell_to_stop();
        self.task.await.unwrap().unwrap();
    }

    pub fn asked(&self) -> Vec<String> {
        self.fake.asked.lock().unwrap().clone()
    }
}

/// Sends bytes as they are, and returns what comes back until the connection ends.
pub async fn raw(state: &Path, request: &str) -> String {
    let mut stream = resplit_engine::socket::connect(state).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8(reply).unwrap()
}

pub fn site() -> Site {
    let host = Host::local("/state");
    Site {
        hosts: [("here".into(), host)].into(),
        volumes: [].into(),
        neighbours: [].into(),
        transports: [].into(),
        libraries: [].into(),
    }
}

pub fn step(id: &str) -> PlanStep {
    PlanStep {
        id: id.into(),
        host: "here".into(),
        action: Action::Export(Nothing {}),
        needs: Vec::new(),
        on: resplit_operations::operation::On::default(),
        retry: resplit_operations::action::Retry::default(),
        timeout: None,
        finally: None,
    }
}

pub fn submit() -> Submit {
    let data = PlanData {
        operation: "documents".into(),
        purpose: Purpose::Backup,
        coordinator: "here".into(),
        site: site(),
        steps: vec![step("export")],
    };
    Submit {
        plan: Plan::new(data).unwrap(),
        options: resplit_engine::protocol::RunOptions::default(),
        measure: false,
    }
}

/// Waits until something is so.
pub async fn until(so: impl Fn() -> bool) {
    let patience = std::time::Instant::now();
    while !so() {
        assert!(patience.elapsed().as_secs() < 10, "it did not come to be so within 10 s");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
