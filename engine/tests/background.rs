//! Engines that are started in the background, as processes of their own.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use resplit_engine::{
    background::{Start, StartError, ensure},
    client::{Client, ClientError},
};
use rustix::process::{Pid, Signal, getpgid, getsid, kill_process, test_kill_process};
use tempfile::TempDir;

/// A state directory whose engine is ended with the test.
struct State {
    _directory: TempDir,
    state: PathBuf,
}

impl State {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        Self { _directory: directory, state }
    }

    fn start(&self, build: &str, kind: &str) -> Start {
        let state = self.state.display().to_string();
        let arguments = ["serve", &state, "here", build, kind].map(Into::into).to_vec();
        Start {
            program: program(),
            arguments,
            site: PathBuf::from("/"),
            state: self.state.clone(),
            state_on: None,
            host: "here".into(),
            build: build.to_owned(),
        }
    }

    fn ask(&self, build: &str, kind: &str) -> Command {
        let mut command = Command::new(program());
        command.arg("ask").arg(&self.state).args(["here", build, kind]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let holder = fs::read_to_string(self.state.join("lock")).unwrap_or_default();
        if let Some(pid) = holder.trim().parse().ok().and_then(Pid::from_raw) {
            let exe = fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero()));
            if exe.is_ok_and(|exe| exe == program()) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// The example beside this test.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/small_engine");
    assert!(program.exists(), "build it first: cargo build -p resplit-engine --examples");
    program
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

async fn pid(client: &Client) -> Pid {
    Pid::from_raw(i32::try_from(client.info().await.unwrap().pid).unwrap()).unwrap()
}

#[tokio::test]
async fn an_engine_is_started_once_and_belongs_to_nobody() {
    let state = State::new();
    let client = ensure(&state.start("1.0.0", "good")).await.unwrap();
    let engine = pid(&client).await;
    assert_eq!(pid(&ensure(&state.start("1.0.0", "good")).await.unwrap()).await, engine);
    assert_eq!((getsid(Some(engine)).unwrap(), getpgid(Some(engine)).unwrap()), (engine, engine));
    let about = Path::new("/proc").join(engine.as_raw_nonzero().to_string());
    assert_eq!(fs::read_link(about.join("cwd")).unwrap(), Path::new("/"));
    let log = state.state.join("engine.log");
    let descriptors = ["0", "1", "2"].map(|fd| fs::read_link(about.join("fd").join(fd)).unwrap());
    assert_eq!(descriptors, [Path::new("/dev/null"), log.as_path(), log.as_path()]);
    common::until(|| fs::read_to_string(&log).unwrap() == "what is printed goes into the log\n").await;
    assert_eq!(fs::metadata(&log).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn programs_that_start_at_once_get_the_same_engine() {
    for kind in ["good", "slow"] {
        let state = State::new();
        let asked: Vec<_> = (0..6).map(|_| state.ask("1.0.0", kind).spawn().unwrap()).collect();
        let pids: Vec<String> = asked.into_iter().map(|c| printed(&c.wait_with_output().unwrap())).collect();
        assert!(pids.iter().all(|pid| *pid == pids[0]), "{kind}: {pids:?}");
    }
}

#[tokio::test]
async fn an_engine_that_cannot_start_says_why_to_the_user() {
    let state = State::new();
    let error = ensure(&state.start("1.0.0", "failing")).await.unwrap_err();
    assert!(
        matches!(&error, StartError::Failed(text) if text == "the store is damaged:\nrestore it"),
        "{error}"
    );
    let error = ensure(&state.start("1.0.0", "silent")).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StartError::Died { .. }), "{text}");
    assert!(text.contains("exit status: 7") && text.ends_with(": an assertion of mine failed"), "{text}");
    let mut start = state.start("1.0.0", "good");
    start.program = "/nowhere/engine".into();
    let error = ensure(&start).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/engine: No such file"), "{error}");
    let error = ensure(&state.start("1.0.0", "fickle")).await.unwrap_err();
    assert!(matches!(error, StartError::Slow(_)), "{error}");
}

#[tokio::test]
async fn a_long_log_is_put_aside() {
    let state = State::new();
    fs::create_dir(&state.state).unwrap();
    fs::set_permissions(&state.state, fs::Permissions::from_mode(0o700)).unwrap();
    let log = state.state.join("engine.log");
    fs::write(&log, vec![b'x'; (1 << 20) + 1]).unwrap();
    let _ = ensure(&state.start("1.0.0", "good")).await.unwrap();
    assert_eq!(fs::metadata(state.state.join("engine.log.1")).unwrap().len(), (1 << 20) + 1);
    assert!(fs::metadata(&log).unwrap().len() < 1000);
}

#[tokio::test]
async fn a_newer_program_replaces_an_idle_engine_and_leaves_a_busy_one() {
    let state = State::new();
    let first = pid(&ensure(&state.start("1.0.0", "good")).await.unwrap()).await;
    let asked: Vec<_> = (0..4).map(|_| state.ask("1.1.0", "busy").spawn().unwrap()).collect();
    let pids: Vec<String> = asked.into_iter().map(|c| printed(&c.wait_with_output().unwrap())).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    assert_ne!(pids[0], first.as_raw_nonzero().to_string());
    let older = ensure(&state.start("1.0.0", "good")).await.unwrap();
    assert_eq!(older.info().await.unwrap().build, "1.1.0");
    let newer = ensure(&state.start("1.2.0", "good")).await.unwrap();
    assert_eq!(newer.info().await.unwrap().build, "1.1.0");
    let mut other = state.start("1.1.0", "good");
    other.host = "there".into();
    let error = ensure(&other).await.unwrap_err();
    assert!(matches!(error, StartError::Client(ClientError::OtherHost { .. })), "{error}");
}

#[tokio::test]
async fn an_engine_that_dies_over_a_request_breaks_it_and_is_started_again() {
    let state = State::new();
    let start = state.start("1.0.0", "good");
    let client = ensure(&start).await.unwrap();
    let engine = pid(&client).await;
    let mut events = client.events(&common::fake::LIVE.into(), true).await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.lease_wait(1).await }
    });
    let asked = Instant::now();
    assert!(tokio::time::timeout(Duration::from_millis(100), events.next()).await.is_err());
    kill_process(engine, Signal::KILL).unwrap();
    assert!(matches!(events.next().await, Some(Err(ClientError::Broken(_)))));
    assert!(matches!(waiting.await.unwrap(), Err(ClientError::Broken(_))));
    assert!(asked.elapsed() < Duration::from_secs(5));
    let again = pid(&ensure(&start).await.unwrap()).await;
    assert_ne!(again, engine);
    kill_process(again, Signal::KILL).unwrap();
    common::until(|| test_kill_process(again).is_err()).await;
    assert!(matches!(client.info().await, Err(ClientError::NotRunning(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_is_not_answered() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can ask as somebody else");
        return;
    }
    let directory =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let copy = directory.path().join("small_engine");
    let _ = fs::copy(program(), &copy).unwrap();
    let serving = common::Serving::start();
    let nobody = |state: &Path| {
        let mut command = Command::new(&copy);
        command.arg("ask").arg(state).args(["here", "1.0.0", "good"]).current_dir("/").uid(65534).gid(65534);
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    // The directory keeps others out.
    fs::set_permissions(serving.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let said = tokio::task::block_in_place(|| nobody(&serving.state));
    assert!(said.contains("Permission denied"), "{said}");
    // Somebody lets them in: the engine does not answer, and none is started.
    fs::set_permissions(&serving.state, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(serving.state.join("engine.sock"), fs::Permissions::from_mode(0o666)).unwrap();
    let said = tokio::task::block_in_place(|| nobody(&serving.state));
    assert!(said.contains("belongs to the user with ID 0, and this process is 65534"), "{said}");
    assert_eq!(serving.activity.open(), 0);
}
