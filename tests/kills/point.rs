//! One point: a fixture, an engine killed at one of its commits, and what came of it.

use std::{fmt, fs, process::Command, time::Duration};

use serde_json::Value;

use crate::{
    cases::{Act, Case, Fixture, Form},
    site::{assert_same_tree, told},
    world::{assert_sound, ended, json, settle, snapshot, stop_engines, store},
};

/// Where engines are killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub case: Case,
    /// Each engine at so many of its commits, in this order: the first one there is, then those that are started after it.
    pub orders: Vec<Order>,
}

/// Where one engine is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub host: &'static str,
    /// `before` or `after` a commit, and
    pub side: &'static str,
    /// its number, from when the engine began to count.
    pub commit: u64,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let orders =
            self.orders.iter().map(|Order { host, side, commit }| format!("{host} killed {side} {commit}"));
        write!(f, "{}, {}", self.case, orders.collect::<Vec<_>>().join(", then "))
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It was finished, as if nothing had happened.
    Recovered,
    /// It was never accepted, and nothing has changed.
    NotAccepted,
    /// There were fewer commits this time.
    NotReached,
    /// It waits for an answer, to this question.
    Parked(String),
}

/// How a case ends undisturbed, and how many commits each host makes meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Undisturbed {
    pub case: Case,
    pub after: Vec<String>,
    pub commits: Vec<(&'static str, u64)>,
}

/// Does a case without killing anything.
pub(crate) fn undisturbed(case: Case) -> Undisturbed {
    let fixture = Fixture::new(case);
    let site = &fixture.site;
    stop_engines(site);
    let before: Vec<_> = fixture.hosts().iter().map(|(_, state)| store(site, state).0).collect();
    act(&fixture, true);
    let after = snapshot(site);
    check_end(&fixture, 0);
    assert_sound(site, fixture.hosts());
    let commits = fixture.hosts().iter().zip(before);
    // Looking at the store is a commit, and so was looking at it before. The last one is the one of `assert_sound`.
    let commits = commits.map(|((host, state), before)| (*host, store(site, state).0 - before - 2)).collect();
    Undisturbed { case, after, commits }
}

/// Kills, starts again, and checks. Panics if anything is not as it should be.
pub(crate) fn attempt(point: &Point, undisturbed: &Undisturbed) -> Came {
    let fixture = Fixture::new(point.case);
    let site = &fixture.site;
    let before = (snapshot(site), runs(&fixture));
    let files: Vec<_> = fixture.hosts().iter().map(|(_, state)| site.path(state).join("kill-at")).collect();
    for ((host, _), file) in fixture.hosts().iter().zip(&files) {
        let own = point.orders.iter().filter(|order| order.host == *host);
        let text: Vec<_> = own.map(|Order { side, commit, .. }| format!("{side} {commit}\n")).collect();
        if !text.is_empty() {
            fs::write(file, text.concat()).unwrap();
        }
    }
    let now = || -> Vec<_> { files.iter().map(|file| fs::read_to_string(file).ok()).collect() };
    let asked = now();
    act(&fixture, false);
    assert_thaws(&fixture);
    settle(site);
    let reached = asked != now();
    // What was not reached holds for nobody from now on.
    for file in &files {
        let _ = fs::remove_file(file);
    }
    stop_engines(site);
    if runs(&fixture).len() == before.1.len() {
        assert_eq!(snapshot(site), before.0, "nothing was accepted");
        assert_sound(site, fixture.hosts());
        return Came::NotAccepted;
    }
    let last = runs(&fixture).swap_remove(0);
    if last["status"] == "parked" {
        return Came::Parked(last["questions"].to_string());
    }
    let show = || {
        let log = ended(site, &["logs", last["run"].as_str().unwrap()]);
        format!("{last:#}\n{}", told(&log))
    };
    assert_eq!(last["status"], "done", "{}", show());
    assert_eq!(snapshot(site), undisturbed.after, "{}", show());
    check_end(&fixture, point.orders.len());
    assert_sound(site, fixture.hosts());
    if reached { Came::Recovered } else { Came::NotReached }
}

fn runs(fixture: &Fixture) -> Vec<Value> {
    json(&fixture.site, &["runs"]).as_array().unwrap().clone()
}

/// Does what the case does.
fn act(fixture: &Fixture, must: bool) {
    let arguments = fixture.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = ended(&fixture.site, &arguments);
    assert!(output.status.success() || !must, "{}", told(&output));
}

/// Whatever was killed: a file system that was held still can be written to again within its watchdog's time.
fn assert_thaws(fixture: &Fixture) {
    let Some(mounted) = &fixture.mounted else { return };
    let mut touch = Command::new("touch").arg(mounted.path().join("touched")).spawn().unwrap();
    let thawed = crate::world::gone(i32::try_from(touch.id()).unwrap(), Duration::from_secs(3));
    if !thawed {
        let _ = Command::new("fsfreeze").arg("-u").arg(mounted.path()).output();
    }
    let _ = touch.wait();
    assert!(thawed, "still frozen three seconds after the engine was killed");
}

/// The data is where it belongs, and the commands of the operator ran as often as they should.
fn check_end(fixture: &Fixture, kills: usize) {
    match fixture.case.act {
        Act::Backup => {
            for pair in newest_images(fixture) {
                assert_same_tree(&pair.0, &pair.1);
            }
        }
        Act::RestoreDisk | Act::RestoreTape => {
            for (volume, primary) in fixture.primaries() {
                assert_same_tree(&fixture.as_it_was(volume), &primary);
            }
        }
        Act::FilesDisk | Act::FilesTape => check_files(fixture),
    }
    if fixture.case.act == Act::Backup && fixture.case.form == Form::TwoVolumes {
        let told = fs::read_to_string(fixture.site.path("hooks.txt")).unwrap();
        let times = |place: &str| told.lines().filter(|line| *line == place).count();
        for once in ["before", "after_thaw", "after"] {
            assert_eq!(times(once), 1, "{once} ran so often: {told}");
        }
        // A window that was lost is opened again.
        for again in ["before_quiesce", "in_window"] {
            assert!((1..=1 + kills).contains(&times(again)), "{again}: {told}");
        }
    }
    if let Some(mounted) = &fixture.mounted {
        let thawed = Command::new("fsfreeze").arg("-u").arg(mounted.path()).output().unwrap();
        assert!(!thawed.status.success(), "it was still frozen");
    }
}

/// Each primary, and the copy of it that the last backup made.
fn newest_images(fixture: &Fixture) -> Vec<(std::path::PathBuf, std::path::PathBuf)> {
    let site = &fixture.site;
    let pairs = json(site, &["pair", "status"]);
    let pairs = pairs.as_array().unwrap();
    let of = |volume: &str| {
        let newest = pairs.iter().filter(|pair| pair["pair"]["volume"] == volume);
        let newest = newest.max_by_key(|pair| pair["state"]["backed_up"].as_u64().unwrap()).unwrap();
        std::path::PathBuf::from(newest["pair"]["secondary"].as_str().unwrap()).join("data")
    };
    fixture.primaries().into_iter().map(|(volume, primary)| (primary, of(volume))).collect()
}

fn check_files(fixture: &Fixture) {
    let out = fixture.site.path("out");
    let several = fixture.primaries().len() > 1;
    for (volume, _) in fixture.primaries() {
        let (of, place) = (fixture.as_it_was(volume), if several { out.join(volume) } else { out.clone() });
        assert_same_tree(&of.join("reports"), &place.join("reports"));
        assert_eq!(fs::read(of.join("a.txt")).unwrap(), fs::read(place.join("a.txt")).unwrap());
        let mut names: Vec<_> =
            fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a.txt", "reports"], "nothing else, and no staging");
    }
    assert_eq!(fs::read_dir(&out).unwrap().count(), if several { fixture.primaries().len() } else { 2 });
}
