//! Several operations at once, while engines, watchdogs, shims and the commands under them are killed at random moments.

use std::{
    env, fs,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    mounted::Mounted,
    site::{Site, assert_same_tree, kill, small_tree, told},
    world::{assert_sound, ended, json},
};

const SITE: &str = r#"
hosts:
  fileserver:   { connect: local, state: state }
  backupserver: { connect: local, state: state-backup }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: documents }
    pairs:
      - { copy_group: "VG01,vol01", secondary: { host: backupserver, path: mirrors/0 } }
      - { copy_group: "VG02,vol01", secondary: { host: backupserver, path: mirrors/1 } }
  pictures:
    driver: directory
    primary: { host: fileserver, path: mounted/pictures }
    pairs:
      - { copy_group: "VG03,vol01", secondary: { host: backupserver, path: mirrors/2 } }
libraries:
  vault: { driver: virtual, host: backupserver, path: vault, slots: 4, drives: 1, cartridge_size: 256MiB, pools: [documents] }
"#;

/// What both operations have in common: tape, and commands that take a moment.
const REST: &str = "
backup_server: backupserver
tape: { library: vault, pool: documents, keep: 30d }
hooks: { before: [ { argv: [sleep, '0.1'] } ], in_window: [ { argv: [sleep, '0.1'] } ], after: [ { argv: ['true'], host: backupserver } ] }
";

const HOSTS: [(&str, &str); 2] = [("fileserver", "state"), ("backupserver", "state-backup")];

/// A seeded sequence.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn site() -> (Site, Option<Mounted>) {
    let documents = format!("protect: {{ filesystem: documents, volumes: [documents] }}{REST}");
    let mode = if Mounted::is_possible() { "quiesce: { mode: freeze, window: 5s }\n" } else { "" };
    let pictures = format!("protect: {{ filesystem: mounted, volumes: [pictures] }}{REST}{mode}");
    let site = Site::new(SITE, &[("documents", &documents), ("pictures", &pictures)]);
    let mounted = Mounted::new(&site, "mounted");
    small_tree(&site.path("documents"));
    small_tree(&site.path("mounted/pictures"));
    (site, mounted)
}

/// The processes of a site that may be killed: its engines, their watchdogs and shims, and the commands themselves.
fn victims(site: &Site) -> Vec<i32> {
    let place = site.path("").display().to_string();
    let mut found = site.engines();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        let verb = words.get(1).map(AsRef::as_ref);
        if matches!(verb, Some("shim" | "watchdog")) && words.iter().any(|word| word.starts_with(&place)) {
            found.push(pid);
            // A shim's only child is the command.
            let children = fs::read_to_string(entry.path().join(format!("task/{pid}/children")));
            found.extend(
                children.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()),
            );
        }
    }
    found
}

/// Answers whatever is parked: what was lost with a shim that was killed is done anew.
fn answer(site: &Site) {
    let output = ended(site, &["--json", "runs", "--open", "--limit", "1000"]);
    let Ok(open) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else { return };
    for run in open.as_array().unwrap().iter().filter(|run| run["status"] == "parked") {
        for step in run["questions"].as_object().unwrap().keys() {
            // It may have been answered already, or its engine have been killed again.
            let _ = ended(site, &["answer", run["run"].as_str().unwrap(), step, "redo"]);
        }
    }
}

/// Says so when it goes, however that is: what waits for it ends, too.
struct Finished<'a>(&'a AtomicBool);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers and follows until no run is open. What runs may wait for what parks meanwhile: it is answered all the time.
fn finish(site: &Site) {
    let finished = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !finished.load(Ordering::Relaxed) {
                answer(site);
                thread::sleep(Duration::from_millis(200));
            }
        });
        let _finished = Finished(&finished);
        let ends = (0..200).any(|_| {
            let open = json(site, &["runs", "--open", "--limit", "1000"]);
            let open = open.as_array().unwrap();
            let on = |status: &str| open.iter().find(|run| run["status"] == status);
            // What waits may wait for what is parked; what runs, runs.
            if let Some(run) = on("running").or(on("waiting")) {
                let _ = ended(site, &["logs", "--follow", run["run"].as_str().unwrap()]);
            }
            open.is_empty()
        });
        assert!(ends, "runs go on and on: {}", json(site, &["runs", "--open", "--limit", "1000"]));
    });
}

fn work(site: &Site, operation: &str, primary: &Path, stop: &AtomicBool, mut drawn: Drawn) {
    for count in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // While it is frozen this waits, for as long as a window may be.
        fs::write(primary.join(format!("f{}", drawn.below(8))), count.to_string()).unwrap();
        let to = site.path(&format!("out-{operation}-{count}")).display().to_string();
        let from = if drawn.below(2) == 0 { "disk" } else { "tape" };
        let files = ["restore", operation, "--from", from, "--path", "a.txt", "--to", &to];
        let in_place = ["restore", operation, "--from", from, "--yes", "--force"];
        // Whether it ends well depends on who is killed meanwhile.
        let _ = match drawn.below(5) {
            0 => ended(site, &files),
            1 => ended(site, &in_place),
            _ => ended(site, &["run", operation]),
        };
    }
}

#[test]
fn nothing_is_left_of_chaos() {
    let seconds = env::var("RESPLIT_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let (site, mounted) = site();
    let primaries = [("documents", site.path("documents")), ("pictures", site.path("mounted/pictures"))];
    let (stop, killed, answering) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(()));
    thread::scope(|scope| {
        for (seed, (operation, primary)) in (1..).zip(&primaries) {
            let (site, stop) = (&site, &stop);
            scope.spawn(move || work(site, operation, primary, stop, Drawn(seed)));
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _one = answering.lock().unwrap();
                answer(&site);
                thread::sleep(Duration::from_millis(200));
            }
        });
        let (began, mut drawn) = (Instant::now(), Drawn(20_261_120));
        while began.elapsed() < Duration::from_secs(seconds) {
            thread::sleep(Duration::from_millis(50 + drawn.below(500)));
            let victims = victims(&site);
            if let Some(victim) =
                victims.get(usize::try_from(drawn.below(victims.len().max(1) as u64)).unwrap())
            {
                kill(*victim, "KILL");
                killed.fetch_add(1, Ordering::Relaxed);
            }
        }
        stop.store(true, Ordering::Relaxed);
        // Whoever waits for what is parked waits no longer.
        finish(&site);
    });
    finish(&site);
    // What was given up keeps its pair until that is said.
    for record in json(&site, &["catalog", "list"]).as_array().unwrap() {
        if record["tape"]["tape"] == "wanted" {
            let name = format!("{}:{}", record["host"].as_str().unwrap(), record["id"].as_str().unwrap());
            site.succeed(&["catalog", "waive", &name]);
        }
    }
    // Undisturbed, everything works as ever.
    for (operation, primary) in &primaries {
        let output = ended(&site, &["run", operation]);
        assert!(output.status.success(), "{}", told(&output));
        let pairs = json(&site, &["pair", "status", "--volume", operation]);
        let newest =
            pairs.as_array().unwrap().iter().max_by_key(|pair| pair["state"]["backed_up"].as_u64()).unwrap();
        assert_same_tree(primary, &Path::new(newest["pair"]["secondary"].as_str().unwrap()).join("data"));
    }
    if let Some(mounted) = &mounted {
        let thawed = Command::new("fsfreeze").arg("-u").arg(mounted.path()).output().unwrap();
        assert!(!thawed.status.success(), "it was still frozen");
    }
    let runs = json(&site, &["runs", "--limit", "1000"]);
    let mut ends = std::collections::BTreeMap::<&str, u32>::new();
    for run in runs.as_array().unwrap() {
        *ends.entry(run["status"].as_str().unwrap()).or_default() += 1;
        if run["status"] != "done" {
            println!("{}: {}", run["run"], run["failure"]["message"]);
        }
    }
    println!("chaos: {} kills in {seconds} s; {ends:?}", killed.load(Ordering::Relaxed));
    assert_sound(&site, &HOSTS);
    let left: Vec<_> = fs::read_dir(site.path(""))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("out-"))
        .flat_map(|out| fs::read_dir(out.path()).unwrap().flatten())
        .filter(|entry| entry.file_name() != "a.txt")
        .map(|entry| entry.path())
        .collect();
    assert!(left.is_empty(), "staging is left: {left:?}");
}
