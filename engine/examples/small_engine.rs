//! A small engine process, as `background::ensure` starts one: what the tests of that start.
//!
//! `small_engine serve STATE HOST BUILD KIND`: KIND is `good`, `busy`, `slow` (takes a while until it listens), `failing`,
//! `silent` (ends without a word), `fickle` (ends as soon as it listens).
//! `small_engine ask STATE HOST BUILD KIND`: finds or starts that engine, and prints its process ID.
//! `small_engine time STATE`: the median of what `info` takes, asked 2 000 times.
#![allow(unreachable_pub, missing_docs, dead_code, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

#[path = "../tests/common/fake.rs"]
mod fake;

use std::{
    io::{Seek as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use resplit_engine::{
    background::{self, Start},
    client::Client,
    server::{Activity, serve},
    socket::{Listener, prepare_directory},
};
use rustix::fs::FlockOperation;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", state, host, build, kind] => run(Path::new(state), host, build, kind).await,
        ["ask", state, host, build, kind] => ask(state, host, build, kind).await,
        ["time", state] => time(Path::new(state)).await,
        _ => ExitCode::from(2),
    }
}

async fn run(state: &Path, host: &str, build: &str, kind: &str) -> ExitCode {
    background::detach().unwrap();
    match kind {
        "failing" => {
            background::announce_failure("the store is damaged:\nrestore it");
            return ExitCode::FAILURE;
        }
        "silent" => {
            eprintln!("an assertion of mine failed");
            return ExitCode::from(7);
        }
        _ => {}
    }
    prepare_directory(state).unwrap();
    let mut lock = std::fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(state.join("lock"))
        .unwrap();
    if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        let holder = std::fs::read_to_string(state.join("lock")).unwrap();
        background::announce_held(holder.trim().parse().ok());
        return ExitCode::FAILURE;
    }
    lock.set_len(0).unwrap();
    lock.rewind().unwrap();
    writeln!(lock, "{}", std::process::id()).unwrap();
    if kind == "slow" {
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let mut service = fake::Fake::new(host, build);
    service.info.busy = kind == "busy";
    let service = Arc::new(service);
    let listener = Listener::bind(state).unwrap();
    background::announce_ready().unwrap();
    println!("what is printed goes into the log");
    if kind == "fickle" {
        return ExitCode::SUCCESS;
    }
    let stopped = Arc::clone(&service);
    serve(listener, service, Activity::new(), async move { stopped.stop.notified().await }).await.unwrap();
    ExitCode::SUCCESS
}

async fn ask(state: &str, host: &str, build: &str, kind: &str) -> ExitCode {
    let arguments = ["serve", state, host, build, kind].map(Into::into).to_vec();
    let program = std::env::current_exe().unwrap();
    let (site, state) = (PathBuf::from("/"), PathBuf::from(state));
    let start =
        Start { program, arguments, site, state, state_on: None, host: host.into(), build: build.to_owned() };
    match background::ensure(&start).await {
        Ok(client) => {
            println!("{}", client.info().await.unwrap().pid);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn time(state: &Path) -> ExitCode {
    let client = Client::connect(state).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..2000 {
        let begun = Instant::now();
        let _ = client.info().await.unwrap();
        taken.push(begun.elapsed());
    }
    taken.sort();
    println!("median {:?}, 99 of 100 within {:?}", taken[1000], taken[1980]);
    ExitCode::SUCCESS
}
