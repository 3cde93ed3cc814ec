//! What a peer answers: damaged, or of no end. Whoever asked gets an error, or what was asked for, and goes on.

use std::{path::PathBuf, time::Duration};

use resplit_engine::client::{Client, ClientError};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    runtime::Runtime,
};

use crate::{mutate, requests, running::execute};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Something that listens as an engine does.
struct FakePeer {
    _directory: TempDir,
    state: PathBuf,
    listener: UnixListener,
    runtime: Runtime,
}

impl FakePeer {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = {
            let _within = runtime.enter();
            UnixListener::bind(state.join(resplit_engine::socket::NAME)).unwrap()
        };
        Self { _directory: directory, state, listener, runtime }
    }

    /// Asks for something, and answers it so.
    fn exchange<T>(&self, ask: impl AsyncFnOnce(Client) -> T, answer: impl AsyncFn(UnixStream)) -> T {
        let answering = async {
            loop {
                let (mut stream, _) = self.listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 16 << 10]).await;
                answer(stream).await;
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                asked = tokio::time::timeout(LIMIT, ask(Client::of(&self.state))) => {
                    asked.unwrap_or_else(|_| panic!("whoever asked waits for ever"))
                }
                () = answering => unreachable!("it accepts for ever"),
            }
        })
    }
}

/// Answers that are right: of an engine, of a catalog, of a step.
const RIGHT: [&str; 4] = [
    r#"{"host":"backup","protocol":1,"build":"1","pid":7,"started":"2026-11-20T02:00:00Z","busy":false}"#,
    "[]",
    "{\"message\":\"beat\"}\n{\"message\":\"ended\",\"end\":{\"end\":\"parked\",\"question\":\"?\"}}\n",
    r#"{"lease":"granted","token":18446744073709551615}"#,
];

#[test]
fn answers_of_a_peer() {
    let peer = FakePeer::new();
    let tokens = [
        "\r\n",
        "HTTP/1.1 503 x",
        "content-length: 9999999999999\r\n",
        "transfer-encoding: chunked\r\n",
        "ffffffffffffffff\r\n",
        "null",
        "\"",
        "{",
        "[[[[",
    ];
    execute("answers of a peer", |rng| {
        let body = RIGHT[rng.usize(..RIGHT.len())];
        let status = [200, 200, 400, 404, 409, 423, 500, 503, 999][rng.usize(..9)];
        let whole = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let bytes = match rng.u8(..3) {
            0 => whole.into_bytes(),
            _ => mutate::bytes(whole.as_bytes(), &tokens, rng),
        };
        let which = rng.u8(..4);
        peer.exchange(
            async |client| match which {
                0 => drop(client.info().await),
                1 => drop(client.catalog().await),
                2 => drop(client.lease(&requests::lease()).await),
                _ => {
                    let Ok(mut messages) = client.step(&requests::step()).await else { return };
                    while messages.next().await.is_some() {}
                }
            },
            async |mut stream| {
                let _ = stream.write_all(&bytes).await;
            },
        );
    });
}

/// An answer that goes on and on is given up at its limit.
#[test]
fn an_answer_without_an_end_is_given_up() {
    let peer = FakePeer::new();
    let ended = peer.exchange(
        async |client| match client.step(&requests::step()).await {
            Ok(mut messages) => messages.next().await,
            Err(error) => Some(Err(error)),
        },
        async |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 8 << 10]).await.is_ok() {}
        },
    );
    assert!(
        matches!(&ended, Some(Err(ClientError::Protocol(text))) if text.contains("a line has more than")),
        "{ended:?}"
    );
    let ended = peer.exchange(
        async |client| client.info().await,
        async |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while stream.write_all(b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n").await.is_ok() {}
        },
    );
    assert!(ended.is_err(), "{ended:?}");
}

/// One that is of another host is not taken for the one that was meant.
#[test]
fn an_engine_of_another_host_is_told_apart() {
    let bed = crate::engine_bed::EngineBed::new();
    let wrong = bed.runtime.block_on(bed.client().verify(&"source".into()));
    assert!(
        matches!(&wrong, Err(ClientError::OtherHost { found, .. }) if found.as_str() == "backup"),
        "{wrong:?}"
    );
}
