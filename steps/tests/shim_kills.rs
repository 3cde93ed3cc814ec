//! Engine and shim killed at any moment: what the next engine is told is true, and nothing is started twice.
#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use common::{helper, kill, processes, until};
use resplit_operations::pair::Tag;
use resplit_steps::{
    context::Work,
    drivers::{
        command::{CommandRunner, CommandState, ExternalCommand},
        shim::Shims,
    },
};

mod common;

#[test]
fn killed_at_any_moment_a_command_is_started_at_most_once() {
    let root = tempfile::tempdir().unwrap();
    let shims = Shims::new(helper(), Vec::new());
    let mut seen = BTreeMap::<&str, u32>::new();
    for number in 0..120_u64 {
        let directory = root.path().join(number.to_string());
        let counted = root.path().join(format!("count{number}"));
        let command = ExternalCommand {
            tag: Tag("run/step".into()),
            directory: directory.clone(),
            argv: vec!["sh".into(), "-c".into(), format!("echo x >> {}; exit 6", counted.display())],
            environment: BTreeMap::new(),
            timeout: None,
        };
        let mut engine = Command::new(helper())
            .arg("run-command")
            .arg(&directory)
            .args(&command.argv)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_micros(number * 150));
        kill(engine.id());
        // Every other time its shim too: as soon as it can be, which spreads over its life.
        if number.is_multiple_of(2) {
            for shim in processes(&["shim", directory.to_str().unwrap()]) {
                let pid = rustix::process::Pid::from_raw(i32::try_from(shim).unwrap()).unwrap();
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = engine.wait().unwrap();

        let mut state = CommandState::NotStarted;
        assert!(until(Duration::from_secs(5), || {
            state = shims.probe(&command).unwrap();
            !matches!(state, CommandState::Running { .. })
        }));
        sleep(Duration::from_millis(2));
        let times = || fs::read_to_string(&counted).map_or(0, |text| text.lines().count());
        let name = match &state {
            CommandState::NotStarted => {
                assert_eq!(times(), 0, "{number}: said not to be started");
                assert_eq!(shims.run(&command, &Work::silent()).unwrap().code, 6);
                assert_eq!(times(), 1, "{number}");
                "not started"
            }
            CommandState::Ended(ended) => {
                assert_eq!((ended.code, times()), (6, 1), "{number}");
                "ended"
            }
            CommandState::Lost => {
                assert!(times() <= 1, "{number}");
                assert!(shims.run(&command, &Work::silent()).is_err(), "a lost one is not run again");
                "lost"
            }
            CommandState::Running { .. } => "running",
        };
        *seen.entry(name).or_default() += 1;
    }
    println!("{seen:?}");
    assert!(seen.contains_key("not started") && seen.contains_key("ended"), "{seen:?}");
}
