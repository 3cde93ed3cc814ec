//! One point: a backup or a restore over three machines, troubled at one of its steps, and what came of it.

use std::{
    fmt, fs,
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    bed::{Bed, DOCUMENTS, HOSTS, LIMIT, kill, told, wait_for},
    exists,
    trouble::Trouble,
};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Backup,
    Restore,
}

impl Act {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Backup => &["--json", "run", "documents"],
            Self::Restore => &["--json", "restore", "documents", "--from", "tape", "--yes"],
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Backup { "backup" } else { "restore" })
    }
}

/// When it is troubled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// As soon as a step is seen to have `started`, or to be `done`.
    Step { step: String, event: &'static str },
    /// At a commit of a host's engine, `before` or `after` it. Its number, from when the command begins.
    Commit { host: &'static str, side: &'static str, commit: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub act: Act,
    pub when: When,
    pub trouble: Trouble,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { act, when, trouble } = self;
        match when {
            When::Step { step, event } => write!(f, "{act}, {step} {event}: {trouble}"),
            When::Commit { side, commit, .. } => write!(f, "{act}, {trouble} {side} commit {commit}"),
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It was finished, as if nothing had happened.
    Recovered,
    /// It was, after an operator answered `redo`.
    Answered,
    /// It was never accepted, or refused, and nothing has changed.
    NotAccepted,
    /// It did not come to this point.
    NotReached,
}

/// How it ends undisturbed.
#[derive(Clone, Debug)]
pub(crate) struct Undisturbed {
    pub act: Act,
    pub after: Vec<String>,
    pub events: Vec<(String, &'static str)>,
    pub commits: Vec<(&'static str, u64)>,
}

/// The machines, ready for it: two backups are there, so that the next one evicts.
fn bed() -> Option<Bed> {
    let bed = Bed::with(", wait: 3s", DOCUMENTS)?;
    for count in 0..2 {
        bed.write("source", &format!("documents/before-{count}.txt"), &"b".repeat(3000));
        bed.succeed(&["run", "documents"]);
    }
    let mut copy = Command::new("cp");
    let _ = copy.arg("-a").arg(bed.path("source", "documents")).arg(bed.path("source", "as-it-was"));
    assert!(copy.status().unwrap().success());
    bed.write("source", "documents/a.txt", "changed since");
    bed.write("source", "documents/deep/new.txt", &"n".repeat(20_000));
    Some(bed)
}

/// Does it undisturbed; `None` if this machine cannot.
pub(crate) fn undisturbed(act: Act) -> Option<Undisturbed> {
    let mut bed = bed()?;
    stop_engines(&bed);
    let stores = |bed: &Bed| -> Vec<_> {
        ["source", "backup"].map(|host| (host, exists::store(&bed.path(host, "state")).0)).into()
    };
    let before = stores(&bed);
    let mut events = Vec::new();
    let output = act_out(&mut bed, act, |_, step, event| events.push((step.to_owned(), event)));
    assert!(output.status.success(), "{}\n{}", told(&output), bed.logs());
    assert_end(&bed, act);
    stop_engines(&bed);
    let commits = stores(&bed).into_iter().zip(before);
    let commits = commits.map(|((host, after), (_, before))| (host, after - before - 1)).collect();
    let after = snapshot(&bed);
    Some(Undisturbed { act, after, events, commits })
}

/// Troubles it, lets that pass, and checks. Panics if anything is not as it should be.
pub(crate) fn attempt(point: &Point, undisturbed: &Undisturbed) -> Came {
    let mut bed = bed().unwrap();
    let before = (snapshot(&bed), runs(&bed).len());
    let mut reached = false;
    let order = match &point.when {
        When::Commit { host, side, commit } => {
            stop_engines(&bed);
            let file = bed.path(host, "state/kill-at");
            fs::write(&file, format!("{side} {commit}\n")).unwrap();
            Some(file)
        }
        When::Step { .. } => None,
    };
    let _ = act_out(&mut bed, point.act, |bed, step, event| {
        if !reached && matches!(&point.when, When::Step { step: s, event: e } if s == step && *e == event) {
            reached = true;
            point.trouble.begin(bed);
        }
    });
    if reached {
        point.trouble.pass(&bed);
    }
    let answered = settle(&bed);
    if let Some(file) = order {
        reached = fs::read_to_string(&file).is_ok_and(|left| left.trim().is_empty()) || !file.exists();
        let _ = fs::remove_file(file);
    }
    let all = runs(&bed);
    if all.len() == before.1 || all[0]["status"] == "refused" {
        assert_eq!(snapshot(&bed), before.0, "nothing was accepted");
        assert_clean(&bed);
        return Came::NotAccepted;
    }
    let show = || format!("{:#}\n{}", all[0], bed.logs());
    assert_eq!(all.len(), before.1 + 1, "{}", show());
    assert_eq!(all[0]["status"], "done", "{}", show());
    assert_eq!(snapshot(&bed), undisturbed.after, "{}", show());
    assert_end(&bed, point.act);
    assert_clean(&bed);
    match (reached, answered) {
        (false, _) => Came::NotReached,
        (true, 0) => Came::Recovered,
        (true, _) => Came::Answered,
    }
}

/// Runs the command on the operator's machine; tells which step began and which is done, as that is heard.
fn act_out(bed: &mut Bed, act: Act, mut heard: impl FnMut(&mut Bed, &str, &'static str)) -> Output {
    let said = fs::File::create(bed.path("engine", "said")).unwrap();
    let mut command = bed.command("engine", act.arguments());
    let mut child = command.stdout(Stdio::piped()).stderr(said).spawn().unwrap();
    let mut stdout = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(step) = event["step"].as_str() {
            match event["event"].as_str() {
                Some("started") => heard(bed, step, "started"),
                Some("done") => heard(bed, step, "done"),
                _ => {}
            }
        }
        stdout.extend(line.bytes().chain([b'\n']));
    }
    let status = child.wait().unwrap();
    Output { status, stdout, stderr: fs::read(bed.path("engine", "said")).unwrap() }
}

/// A command of the operator, again until it succeeds: a line that has just been mended may break once more.
fn json(bed: &Bed, arguments: &[&str]) -> Value {
    let mut all = vec!["--json"];
    all.extend(arguments);
    let began = Instant::now();
    loop {
        let output = bed.command("engine", &all).output().unwrap();
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).unwrap();
        }
        assert!(began.elapsed() < LIMIT, "{arguments:?}: {}\n{}", told(&output), bed.logs());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Lets runs go on until none is open, and answers what is parked; how often.
fn settle(bed: &Bed) -> u32 {
    let (began, mut answered) = (Instant::now(), 0);
    loop {
        let open = json(bed, &["runs", "--open"]);
        let Some(run) = open.as_array().unwrap().first() else { return answered };
        assert!(began.elapsed() < LIMIT, "it goes on and on: {open:#}\n{}", bed.logs());
        let name = run["run"].as_str().unwrap();
        let questions = run["questions"].as_object().filter(|_| run["status"] == "parked");
        for (step, question) in questions.into_iter().flatten() {
            let output = bed.command("engine", &["answer", name, step, "redo"]).output().unwrap();
            answered += u32::from(output.status.success());
            assert!(began.elapsed() < LIMIT, "{question}: {}", told(&output));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn runs(bed: &Bed) -> Vec<Value> {
    json(bed, &["runs"]).as_array().unwrap().clone()
}

fn snapshot(bed: &Bed) -> Vec<String> {
    exists::snapshot(|arguments| json(bed, arguments))
}

/// The data is where it belongs.
fn assert_end(bed: &Bed, act: Act) {
    let (as_it_is, as_it_should_be) = match act {
        Act::Restore => (bed.path("source", "documents"), bed.path("source", "as-it-was")),
        Act::Backup => {
            let pairs = json(bed, &["pair", "status"]);
            let newest =
                pairs.as_array().unwrap().iter().max_by_key(|pair| pair["state"]["backed_up"].as_u64());
            let secondary = newest.unwrap()["pair"]["secondary"].as_str().unwrap().to_owned();
            (std::path::Path::new(&secondary).join("data"), bed.path("source", "documents"))
        }
    };
    let output = Command::new("diff").arg("-r").arg(as_it_is).arg(as_it_should_be).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

/// Nothing is left: in the world, in the stores, of lines.
fn assert_clean(bed: &Bed) {
    let records = json(bed, &["catalog", "list"]);
    let records = records.as_array().unwrap();
    assert!(records.iter().all(|record| record["lock"].is_null()), "a lock is left: {records:?}");
    exists::assert_tapes(records, &json(bed, &["tape", "list"]));
    let mut left = Value::Null;
    let began = Instant::now();
    // A lease of a host that was out of reach is given back once it is found to be over.
    while left != Value::Array(Vec::new()) {
        assert!(began.elapsed() < LIMIT, "left over: {left:#}\n{}", bed.logs());
        left = json(bed, &["leftovers"]);
    }
    wait_for("no relay without its ssh", || {
        HOSTS.iter().all(|host| {
            let ssh = |from: &&str| bed.processes(from, &["ssh -T", &format!("--host {host} agent")]).len();
            let lines: usize = HOSTS.iter().filter(|from| *from != host).map(ssh).sum();
            let all = bed.processes(host, &[&format!("--host {host} agent")]).len();
            all <= lines
        })
    });
    stop_engines(bed);
    for host in ["source", "backup"] {
        let (_, left) = exists::store(&bed.path(host, "state"));
        assert!(left.is_empty(), "{host} still has {left:?}");
        let staged = fs::read_dir(bed.path(host, "state/staging")).map_or(0, Iterator::count);
        assert_eq!(staged, 0, "{host} has staged something");
    }
}

/// Ends the engines in order.
fn stop_engines(bed: &Bed) {
    for host in HOSTS {
        for pid in bed.processes(host, &["engine", "--state"]) {
            kill(pid, "TERM");
        }
    }
    wait_for("engines to end", || {
        HOSTS.iter().all(|host| bed.processes(host, &["engine", "--state"]).is_empty())
    });
}
