//! One point: engines killed at their moments, started again, and what came of it.

use std::{collections::BTreeMap, fmt, fs};

use super::{
    cases::{Act, Case},
    check::{assert_sound, snapshot, tree},
    fate::Moment,
    site::Site,
    world::World,
};
use crate::protocol::RunStatus;

/// Where one engine is killed: the first one of its host that there is, or the one that comes after the order before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) host: &'static str,
    pub(super) moment: Moment,
    pub(super) count: u64,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.host, self.moment, self.count)
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It was finished, as if nothing had happened.
    Recovered,
    /// It was never accepted, and nothing has changed.
    NotAccepted,
    /// The engines came to fewer moments this time.
    NotReached,
    /// It waits for an answer, to this question.
    Parked(String),
}

/// A case, ready to be disturbed again and again.
pub(super) struct Ready {
    pub(super) site: Site,
    /// What exists before, and afterwards if nothing disturbs it.
    before: Vec<String>,
    after: Vec<String>,
    /// How often each moment of each host comes.
    pub(super) moments: Vec<(&'static str, BTreeMap<Moment, u64>)>,
}

/// What an attempt came to, and the moments to which the last engine of each host came.
pub(super) struct Ended {
    pub(super) came: Came,
    pub(super) moments: Vec<(&'static str, BTreeMap<Moment, u64>)>,
}

impl Ready {
    /// Makes the site, what precedes the case, and the case itself once, undisturbed.
    pub(super) fn new(case: Case) -> Self {
        let site = Site::new(case);
        let backups = if case.act == Act::Backup { site.case.form.mirrors().len() } else { 1 };
        for count in 0..backups {
            site.change(u32::try_from(count).unwrap());
            let mut world = World::open(&site, &[]);
            world.perform(&|_| site.backup());
            assert!(matches!(world.newest(), RunStatus::Done), "{case}: {:?}", world.newest());
            world.end();
        }
        let trees = |site: &Site| -> Vec<_> {
            case.form.volumes().iter().map(|(volume, _)| tree(&site.primary(volume))).collect()
        };
        let as_it_was = trees(&site);
        site.change(99);
        let changed = trees(&site);
        // What the commands said until now belongs to what precedes.
        let _ = fs::remove_file(site.path("told"));
        site.keep();
        let mut world = World::open(&site, &[]);
        let before = snapshot(&site, &world.lives());
        world.perform(&|catalogs| site.submit(catalogs));
        assert!(matches!(world.newest(), RunStatus::Done), "{case}: {:?}", world.newest());
        let after = snapshot(&site, &world.lives());
        assert_sound(&site, &world.lives());
        let moments = world.moments();
        world.end();
        match case.act {
            Act::RestoreDisk | Act::RestoreTape => assert_eq!(trees(&site), as_it_was, "{case}"),
            Act::Backup | Act::FilesDisk | Act::FilesTape => {
                assert_eq!(trees(&site), changed, "{case}: nothing but a restore in place changes a primary");
            }
        }
        if case.act == Act::Backup {
            let mirrors: Vec<_> = case
                .form
                .mirrors()
                .iter()
                .map(|mirror| tree(&site.path(&format!("{mirror}/data"))))
                .collect();
            for tree in &changed {
                assert!(mirrors.contains(tree), "{case}: the copy is not what was copied");
            }
        }
        Self { site, before, after, moments }
    }

    /// Kills, starts again, and checks. Panics if anything is not as it should be.
    pub(super) fn attempt(&self, orders: &[Order]) -> Ended {
        let site = &self.site;
        site.put_back();
        let mut world = World::open(site, orders);
        world.perform(&|catalogs| site.submit(catalogs));
        let moments = world.moments();
        let reached = world.deaths == orders.len();
        let came = if world.has_accepted() {
            match world.newest() {
                RunStatus::Done => {
                    assert_eq!(snapshot(site, &world.lives()), self.after);
                    assert_sound(site, &world.lives());
                    self.assert_commands(world.deaths);
                    if reached { Came::Recovered } else { Came::NotReached }
                }
                RunStatus::Parked { questions } => Came::Parked(format!("{questions:?}")),
                other => panic!("{other:?}\n{}", world.log()),
            }
        } else {
            assert_eq!(snapshot(site, &world.lives()), self.before, "nothing was accepted");
            assert_sound(site, &world.lives());
            Came::NotAccepted
        };
        world.end();
        Ended { came, moments }
    }

    /// The commands of the operator ran as often as they should.
    fn assert_commands(&self, deaths: usize) {
        if self.site.case.act != Act::Backup {
            return;
        }
        let told = fs::read_to_string(self.site.path("told")).unwrap_or_default();
        let times = |place: &str| told.lines().filter(|line| *line == place).count();
        let (once, again) = self.site.case.form.commands();
        for place in once {
            assert_eq!(times(place), 1, "{place} ran so often:\n{told}");
        }
        // A window that was lost is opened again.
        for place in again {
            assert!((1..=1 + deaths).contains(&times(place)), "{place}:\n{told}");
        }
    }
}
