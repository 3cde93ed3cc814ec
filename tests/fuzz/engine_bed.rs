//! A real engine behind its socket, in this process.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use resplit_engine::{
    client::Client,
    engine::{Engine, Parts},
    offer::Offer,
    peers::PeerEngines,
    process::drivers,
    server::{Activity, serve},
    service::Service as _,
    socket::{self, Listener},
};
use resplit_operations::{record::Record, site::Site};
use resplit_steps::{
    context::SystemClock,
    drivers::{identity::Owner, window::Windows},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::Runtime,
};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How long one is waited for that may never come.
const MOMENT: Duration = Duration::from_millis(20);

pub(crate) struct EngineBed {
    pub directory: TempDir,
    pub state: PathBuf,
    pub offer: Arc<Offer>,
    pub runtime: Runtime,
}

impl EngineBed {
    /// The engine of the host `backup`.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("site/state");
        fs::create_dir_all(&state).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        // No program: whatever is asked, no process is started.
        let (program, host) = (PathBuf::from("/nonexistent/resplit"), "backup".into());
        let peers =
            PeerEngines::new(program.clone(), directory.path().join("site"), "fuzz".to_owned(), false, None);
        let parts = Parts {
            drivers: drivers(&program, &state, &host, &peers),
            host,
            state: state.clone(),
            windows: Arc::new(Windows::new(program, Vec::new())),
            clock: Arc::new(SystemClock),
            peers,
            hold: false,
            build: "fuzz".to_owned(),
            owner: Owner::current().unwrap(),
        };
        let offer = runtime.block_on(async {
            let offer = Arc::new(Offer(Engine::open(parts).unwrap()));
            let listener = Listener::bind(&state).unwrap();
            drop(tokio::spawn(serve(listener, Arc::clone(&offer), Activity::new(), std::future::pending())));
            offer
        });
        Self { directory, state, offer, runtime }
    }

    pub(crate) fn client(&self) -> Client {
        Client::of(&self.state)
    }

    /// Writes a whole request, and reads the answer, which must end.
    pub(crate) fn send(&self, bytes: &[u8]) -> Vec<u8> {
        self.exchange(bytes, LIMIT)
    }

    /// Writes what may lack its end: if nothing is answered for a moment, whoever asked goes away.
    pub(crate) fn send_damaged(&self, bytes: &[u8]) -> Vec<u8> {
        self.exchange(bytes, MOMENT)
    }

    fn exchange(&self, bytes: &[u8], patience: Duration) -> Vec<u8> {
        self.runtime.block_on(async {
            let mut stream = socket::connect(&self.state).await.unwrap();
            // An engine that has heard enough may close before all is written.
            let _ = stream.write_all(bytes).await;
            let mut answer = Vec::new();
            let mut ended = tokio::time::timeout(patience, stream.read_to_end(&mut answer)).await.is_ok();
            if !ended && patience < LIMIT {
                let _ = stream.shutdown().await;
                ended = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await.is_ok();
            }
            assert!(ended, "no end of the answer");
            answer
        })
    }

    /// One request, in HTTP/1.
    pub(crate) fn ask(&self, method: &str, target: &str, body: &[u8]) -> Vec<u8> {
        self.send(&request(method, target, body))
    }

    /// What this host believes.
    pub(crate) fn catalog(&self) -> Vec<Record> {
        self.runtime.block_on(self.offer.catalog()).unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    /// It still answers as ever, and nothing is outside of its state directory.
    pub(crate) fn assert_well(&self) {
        let info = self.runtime.block_on(self.client().info()).unwrap();
        assert_eq!(info.host.as_str(), "backup");
        let names = |of: PathBuf| -> Vec<_> {
            fs::read_dir(of).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        };
        assert_eq!(names(self.directory.path().to_owned()), ["site"]);
        assert_eq!(names(self.directory.path().join("site")), ["state"]);
        assert!(!self.directory.path().parent().unwrap().join("escaped").exists());
    }
}

/// A request as it goes over the wire.
pub(crate) fn request(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: resplit\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The status of an answer; 0 if it is none.
pub(crate) fn status(answer: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(64)]);
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// A site in which `backup` is the host of this engine.
pub(crate) fn site() -> Site {
    use resplit_operations::site::Host;
    let hosts = ["source", "backup"].map(|name| (name.into(), Host::local("state")));
    Site { hosts: hosts.into(), ..Site::default() }
}
