//! External commands: found again whatever was killed, started at most once, ended when they must be.
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{Disk, helper, is_running, kill, processes, until};
use resplit_operations::pair::Tag;
use resplit_steps::{
    context::Work,
    drivers::{
        command::{CommandRunner, CommandState, Ended, ExternalCommand},
        shim::Shims,
    },
    failure::FailureClass,
};

mod common;

fn shims() -> Shims {
    Shims::new(helper(), Vec::new()).with_grace(Duration::from_millis(500))
}

fn command(directory: &Path, argv: &[&str]) -> ExternalCommand {
    ExternalCommand {
        tag: Tag("run/step".into()),
        directory: directory.join("a/b"),
        argv: argv.iter().map(ToString::to_string).collect(),
        environment: BTreeMap::new(),
        timeout: None,
    }
}

fn shell(directory: &Path, script: &str) -> ExternalCommand {
    command(directory, &["sh", "-c", script])
}

fn run(command: &ExternalCommand) -> Ended {
    shims().run(command, &Work::silent()).unwrap()
}

/// The process of the command, once it runs.
fn running(command: &ExternalCommand) -> u32 {
    let mut found = None;
    let is_there = until(Duration::from_secs(5), || {
        if let Ok(CommandState::Running { pid }) = shims().probe(command) {
            found = (shim_of(command) != Some(pid)).then_some(pid);
        }
        found.is_some()
    });
    assert!(is_there, "it does not run");
    found.unwrap()
}

fn shim_of(command: &ExternalCommand) -> Option<u32> {
    processes(&["shim", command.directory.to_str().unwrap()]).first().copied()
}

#[test]
fn a_command_ends_and_is_not_run_again() {
    let directory = tempfile::tempdir().unwrap();
    let counted = directory.path().join("count");
    let script = format!("echo x >> {}; echo out; echo err >&2; exit 3", counted.display());
    let command = shell(directory.path(), &script);
    assert_eq!(shims().probe(&command).unwrap(), CommandState::NotStarted);
    assert!(!command.directory.exists(), "a probe changes nothing");
    let ended = Ended { code: 3, output: "out\nerr".into() };
    assert_eq!(run(&command), ended);
    assert_eq!(shims().probe(&command).unwrap(), CommandState::Ended(ended.clone()));
    assert_eq!(run(&command), ended, "adopted, not repeated");
    assert_eq!(fs::read_to_string(&counted).unwrap(), "x\n");

    let killed = ExternalCommand {
        directory: directory.path().join("killed"),
        ..shell(directory.path(), "kill -9 $$")
    };
    assert_eq!(run(&killed).code, 137);
    let other = ExternalCommand { tag: Tag("other/step".into()), ..command };
    let failure = shims().probe(&other).unwrap_err();
    assert!(failure.message.contains("belongs to the command of run/step"), "{failure}");
}

#[test]
fn nothing_is_inherited_but_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(directory.path(), &["env"]);
    let _ = command.environment.insert("SECRET".into(), "only for the command".into());
    let mut names: Vec<String> =
        run(&command).output.lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
    names.sort();
    assert_eq!(names, ["PATH", "SECRET"]);
    for entry in fs::read_dir(&command.directory).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name != "output") {
            assert!(
                !fs::read_to_string(&path).unwrap().contains("only for"),
                "written to {}",
                path.display()
            );
        }
    }

    let plain = shell(&directory.path().join("plain"), "pwd; wc -c; exec ls /proc/self/fd");
    let output = run(&plain).output;
    assert_eq!(output, "/\n0\n0\n1\n2\n3", "no input, and no open file but the listed directory");
}

#[test]
fn an_engine_that_is_killed_is_not_missed() {
    let directory = tempfile::tempdir().unwrap();
    let gate = directory.path().join("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let script = format!("read line < {}; echo $line; exit 7", gate.display());
    for reattach in [true, false] {
        let directory = directory.path().join(reattach.to_string());
        let command = shell(&directory, &script);
        let mut engine = Command::new(helper())
            .arg("run-command")
            .arg(&command.directory)
            .args(&command.argv)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = running(&command);
        kill(engine.id());
        let _ = engine.wait().unwrap();
        assert_eq!(running(&command), pid, "it goes on without its engine");

        // Another engine waits for it, or only comes when all is over.
        let waiting = command.clone();
        let waiter = reattach.then(|| thread::spawn(move || run(&waiting)));
        thread::sleep(Duration::from_millis(100));
        fs::write(&gate, "through\n").unwrap();
        let ended = Ended { code: 7, output: "through".into() };
        if let Some(waiter) = waiter {
            assert_eq!(waiter.join().unwrap(), ended);
        }
        let is_over = || shims().probe(&command).unwrap() == CommandState::Ended(ended.clone());
        assert!(until(Duration::from_secs(5), is_over));
        assert_eq!(run(&command), ended);
        assert!(until(Duration::from_secs(2), || shim_of(&command).is_none()), "a shim stays");
    }
}

#[test]
fn without_its_shim_a_command_runs_on_and_is_lost_when_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let command = command(directory.path(), &["sleep", "2"]);
    let waiting = command.clone();
    let waiter = thread::spawn(move || shims().run(&waiting, &Work::silent()));
    let pid = running(&command);
    kill(shim_of(&command).unwrap());
    assert!(until(Duration::from_secs(2), || shim_of(&command).is_none()));
    assert_eq!(shims().probe(&command).unwrap(), CommandState::Running { pid });
    let failure = waiter.join().unwrap().unwrap_err();
    assert_eq!(failure.class, FailureClass::Unknown, "{failure}");
    assert!(!is_running(pid), "it was waited for");
    assert_eq!(shims().probe(&command).unwrap(), CommandState::Lost);
    assert_eq!(shims().run(&command, &Work::silent()).unwrap_err().class, FailureClass::Unknown);
}

#[test]
fn a_reused_process_id_deceives_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let command = command(directory.path(), &["sleep", "60"]);
    let waiting = command.clone();
    let waiter = thread::spawn(move || shims().run(&waiting, &Work::silent()));
    let pid = running(&command);
    kill(shim_of(&command).unwrap());
    kill(pid);
    let _ = waiter.join().unwrap().unwrap_err();
    // As if this process had been given the command's ID since.
    let path = command.directory.join("child.json");
    let mut child: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(child["pid"], pid);
    child["pid"] = std::process::id().into();
    fs::write(&path, child.to_string()).unwrap();
    assert_eq!(shims().probe(&command).unwrap(), CommandState::Lost);

    let path = command.directory.join("started.json");
    let started = fs::read(&path).unwrap();
    fs::write(&path, &started[..40]).unwrap();
    let failure = shims().probe(&command).unwrap_err();
    assert_eq!(failure.class, FailureClass::Unknown);
    assert!(failure.message.contains("started.json is damaged"), "{failure}");
}

#[test]
fn what_cannot_be_started_is_said_and_may_be_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    let command = command(directory.path(), &[program.to_str().unwrap()]);
    for _ in 0..2 {
        let failure = shims().run(&command, &Work::silent()).unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent, "{failure}");
        assert!(failure.message.contains(program.to_str().unwrap()), "{failure}");
        assert_eq!(shims().probe(&command).unwrap(), CommandState::NotStarted);
    }
    let _ = fs::copy("/bin/true", &program).unwrap();
    assert_eq!(run(&command), Ended { code: 0, output: String::new() });

    for argv in [&["no-such-program-anywhere"][..], &["/etc/passwd"], &[]] {
        let command = self::command(
            &directory.path().join(argv.len().to_string()).join(argv.concat().len().to_string()),
            argv,
        );
        let failure = shims().run(&command, &Work::silent()).unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent, "{failure}");
        assert_eq!(shims().probe(&command).unwrap(), CommandState::NotStarted);
    }
    let failure = Shims::new("/not/there".into(), Vec::new())
        .run(&shell(&directory.path().join("x"), "true"), &Work::silent())
        .unwrap_err();
    assert!(failure.message.contains("/not/there"), "{failure}");
    let failure = Shims::new("/bin/false".into(), Vec::new())
        .run(&shell(&directory.path().join("x"), "true"), &Work::silent())
        .unwrap_err();
    assert!(failure.message.contains("shim ended at once"), "{failure}");
}

#[test]
fn when_its_time_is_up_its_whole_group_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let child = directory.path().join("child");
    // It does not end when asked, and its child does not either.
    let script = format!("trap '' TERM; sleep 60 & echo $! > {}; sleep 60; sleep 60", child.display());
    let mut command = shell(directory.path(), &script);
    command.timeout = Some(Duration::from_millis(300));
    let began = Instant::now();
    let failure = shims().run(&command, &Work::silent()).unwrap_err();
    assert!((800..20_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert_eq!(failure.class, FailureClass::Temporary);
    assert!(failure.message.contains("longer than 300 ms"), "{failure}");
    let child = fs::read_to_string(&child).unwrap().trim().parse().unwrap();
    assert!(until(Duration::from_secs(1), || !is_running(child)));
    let state = shims().probe(&command).unwrap();
    assert!(matches!(state, CommandState::Ended(Ended { code: 137, .. })), "{state:?}");
}

#[test]
fn a_cancelled_command_may_end_in_peace() {
    let directory = tempfile::tempdir().unwrap();
    let script = "trap 'echo tidied; exit 0' TERM; echo begun; while :; do sleep 0.02; done";
    let command = shell(directory.path(), script);
    let work = Work::silent();
    let (waiting, canceller) = (command.clone(), work.clone());
    let waiter = thread::spawn(move || shims().run(&waiting, &work));
    let _ = running(&command);
    let output = command.directory.join("output");
    assert!(until(Duration::from_secs(5), || fs::read(&output).is_ok_and(|text| text == b"begun\n")));
    canceller.cancel();
    assert_eq!(waiter.join().unwrap().unwrap_err().class, FailureClass::Cancelled);
    assert!(fs::read_to_string(&output).unwrap().ends_with("tidied\n"));

    let never = shell(&directory.path().join("never"), "true");
    assert_eq!(shims().run(&never, &canceller).unwrap_err().class, FailureClass::Cancelled);
    assert_eq!(shims().probe(&never).unwrap(), CommandState::NotStarted);
}

#[test]
fn an_orphan_is_cancelled_too() {
    let directory = tempfile::tempdir().unwrap();
    let command = command(directory.path(), &["sleep", "60"]);
    let work = Work::silent();
    let (waiting, canceller) = (command.clone(), work.clone());
    let waiter = thread::spawn(move || shims().run(&waiting, &work));
    let pid = running(&command);
    kill(shim_of(&command).unwrap());
    canceller.cancel();
    assert_eq!(waiter.join().unwrap().unwrap_err().class, FailureClass::Unknown);
    assert!(!is_running(pid));
}

#[test]
fn what_a_command_leaves_running_neither_delays_its_end_nor_dies_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let service = "sleep 2; echo still here; sleep 0.2; echo and here";
    let script = format!("sh -c '{service}' & echo $! > {}; echo started", pid_file.display());
    let command = shell(directory.path(), &script);
    let began = Instant::now();
    assert_eq!(run(&command), Ended { code: 0, output: "started".into() });
    assert!(began.elapsed() < Duration::from_millis(1_900), "{:?}", began.elapsed());
    let output = command.directory.join("output");
    let all = "started\nstill here\nand here\n";
    assert!(until(Duration::from_secs(5), || fs::read_to_string(&output).unwrap() == all));
    assert!(until(Duration::from_secs(2), || shim_of(&command).is_none()));
}

#[test]
fn output_is_bounded_and_nothing_stays_a_zombie() {
    let directory = tempfile::tempdir().unwrap();
    let ended = run(&shell(directory.path(), "seq 1 1000000"));
    assert!(ended.output.ends_with("\n1000000"));
    assert!(ended.output.len() <= 4096);
    let output = directory.path().join("a/b/output");
    assert!(fs::metadata(&output).unwrap().len() <= 1 << 20);
    assert!(fs::read_to_string(&output).unwrap().starts_with("1\n2\n3\n"));

    for number in 0..10 {
        assert_eq!(run(&shell(&directory.path().join(number.to_string()), "exit 0")).code, 0);
    }
    let own = format!("/proc/{}/task", std::process::id());
    let zombies = || {
        fs::read_dir(&own).unwrap().flatten().any(|thread| {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            children.split_whitespace().any(|pid| {
                fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
            })
        })
    };
    assert!(until(Duration::from_secs(2), || !zombies()));
}

#[test]
fn many_engines_at_once_start_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let counted = directory.path().join("count");
    let command = shell(directory.path(), &format!("echo x >> {}; sleep 0.2; exit 5", counted.display()));
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let command = command.clone();
            thread::spawn(move || run(&command).code)
        })
        .collect();
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), 5);
    }
    assert_eq!(fs::read_to_string(&counted).unwrap(), "x\n");
}

#[test]
fn a_disk_that_fills_up_meanwhile_does_not_hide_the_end() {
    let Some(disk) = Disk::new("ext4", 16) else { return };
    let filler = disk.root().join("filler");
    let script = format!("cat /dev/zero > {}; head -c 300000 /dev/zero; exit 9", filler.display());
    let command = shell(&disk.root(), &script);
    assert_eq!(run(&command).code, 9);
    let mut more = fs::File::create(disk.root().join("more")).unwrap();
    while std::io::Write::write_all(&mut more, &[1; 512]).and_then(|()| more.sync_all()).is_ok() {}
    let next = ExternalCommand { directory: disk.root().join("next"), ..shell(&disk.root(), "true") };
    let failure = shims().run(&next, &Work::silent()).unwrap_err();
    assert!(
        failure.message.contains("No space left") || failure.message.contains("cannot make"),
        "{failure}"
    );
    assert_eq!(shims().probe(&next).unwrap(), CommandState::NotStarted);
}

#[test]
fn an_engine_reports_what_it_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = Command::new(helper())
        .arg("run-command")
        .arg(directory.path())
        .args(["sh", "-c", "exit 4"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let _ = BufReader::new(engine.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ended 4\n");
    assert!(engine.wait().unwrap().success());
}

#[test]
fn a_clock_that_is_set_ends_no_orphan_before_its_time() {
    let directory = tempfile::tempdir().unwrap();
    for (name, at) in [("back", "2001-01-01T00:00:00Z"), ("forward", "2099-01-01T00:00:00Z")] {
        let mut command = shell(&directory.path().join(name), "sleep 0.6");
        command.timeout = Some(Duration::from_secs(60));
        let waiting = command.clone();
        let first = thread::spawn(move || shims().run(&waiting, &Work::silent()));
        let _ = running(&command);
        kill(shim_of(&command).unwrap());
        let file = command.directory.join("started.json");
        let mut started: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        started["at"] = at.into();
        fs::write(&file, started.to_string()).unwrap();
        let began = Instant::now();
        // An engine that starts now waits for what is left of a minute, whatever the wall clock says.
        let ended = shims().run(&command, &Work::silent()).unwrap_err();
        assert_eq!(ended.class, FailureClass::Unknown, "{ended}");
        assert!(ended.message.contains("nobody saw how it ended"), "{ended}");
        assert!(began.elapsed() > Duration::from_millis(200), "{name}: it was ended");
        assert_eq!(first.join().unwrap().unwrap_err().class, FailureClass::Unknown);
    }
}
