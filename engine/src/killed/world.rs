//! The engines of a site: each is started again when it dies, until what was asked of them is over.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    fs,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use resplit_operations::record::Record;

use super::{
    check::assert_no_empty_record,
    fate::{Moment, Told, forget, until_alive},
    life::Life,
    point::Order,
    site::Site,
};
use crate::{
    offer::Offer,
    protocol::{RunStatus, RunsQuery, Submit},
    rows::RunRow,
    run::load,
    service::Service,
};

/// Nothing takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A host, and its records.
pub(super) type Known = (&'static str, Vec<Record>);

/// The engines of a site.
pub(super) struct World<'a> {
    site: &'a Site,
    /// The host of the primaries, which coordinates what touches them.
    first: &'static str,
    /// Who coordinates what was asked for.
    coordinator: &'static str,
    lives: BTreeMap<&'static str, Life>,
    orders: BTreeMap<&'static str, VecDeque<(Moment, u64)>>,
    pub(super) deaths: usize,
    runs: usize,
    /// How many of them are the coordinator's.
    own_runs: usize,
    sender: Sender<Told>,
    told: Receiver<Told>,
}

impl<'a> World<'a> {
    /// Starts them; the orders hold from when something is asked of them.
    pub(super) fn open(site: &'a Site, orders: &[Order]) -> Self {
        let (sender, told) = channel();
        let mut queues: BTreeMap<&'static str, VecDeque<_>> = BTreeMap::new();
        for order in orders {
            queues.entry(order.host).or_default().push_back((order.moment, order.count));
        }
        let mut lives = BTreeMap::new();
        for (host, state) in site.case.form.hosts() {
            let life = Life::open(&site.root(), host, state, sender.clone());
            life.begin(None);
            let _ = lives.insert(*host, life);
        }
        for life in lives.values() {
            life.runtime.block_on(until_alive(&life.state));
        }
        let first = site.case.form.hosts()[0].0;
        let (coordinator, orders) = (first, queues);
        let mut world =
            Self { site, first, coordinator, lives, orders, deaths: 0, runs: 0, own_runs: 0, sender, told };
        world.runs = world.lives.values().map(|life| rows(life).len()).sum();
        world
    }

    /// The engines, the coordinator's first.
    pub(super) fn lives(&self) -> Vec<&Life> {
        self.site.case.form.hosts().iter().map(|(host, _)| &self.lives[host]).collect()
    }

    /// Whether another run was accepted than there were when the engines were started.
    pub(super) fn has_accepted(&self) -> bool {
        self.lives.values().map(|life| rows(life).len()).sum::<usize>() > self.runs
    }

    fn newest_row(&self) -> RunRow {
        rows(&self.lives[self.coordinator]).into_iter().max_by_key(|row| row.accepted).unwrap()
    }

    /// What became of the newest run.
    pub(super) fn newest(&self) -> RunStatus {
        self.newest_row().status
    }

    /// How often each moment of each host has come since it was started, or since something was asked of it.
    pub(super) fn moments(&self) -> Vec<(&'static str, BTreeMap<Moment, u64>)> {
        self.lives.values().map(|life| (life.host, life.fate.counted())).collect()
    }

    /// The logs of the newest run, for a failed assertion.
    pub(super) fn log(&self) -> String {
        let row = self.newest_row();
        let mut text = fs::read_to_string(self.lives[self.coordinator].engine().logs.path(&row.run)).unwrap();
        let state = load::state(&self.lives[self.coordinator].engine().store, row).unwrap();
        for (node, step) in state.order().iter().zip(&state.steps) {
            writeln!(text, "{}: {:?}", state.step(*node).id, step.status()).unwrap();
        }
        text
    }

    /// Asks for what `what` says, given the catalogs of all hosts; starts whoever dies over it, until it is over.
    pub(super) fn perform(&mut self, what: &dyn Fn(&[Known]) -> Submit) {
        let catalogs: Vec<_> = self
            .lives
            .values()
            .map(|life| (life.host, Vec::clone(&life.engine().catalog().unwrap())))
            .collect();
        let submit = what(&catalogs);
        let is_it = |host: &&&'static str| *submit.plan.coordinator.as_str() == ***host;
        self.coordinator = self.lives.keys().find(is_it).unwrap();
        self.own_runs = rows(&self.lives[self.coordinator]).len();
        for (host, life) in &self.lives {
            life.fate.order(self.orders.get_mut(host).and_then(VecDeque::pop_front));
        }
        let life = &self.lives[self.coordinator];
        let (offer, sender) = (Offer(Arc::clone(life.engine())), self.sender.clone());
        drop(life.runtime.spawn(async move {
            let run = offer.submit(submit).await.unwrap().run;
            let mut events = offer.events(run, true).await.unwrap();
            while events.recv().await.is_some() {}
            sender.send(Told::Over).unwrap();
        }));
        let mut is_over = false;
        while !is_over || self.lives.values().any(|life| life.fate.is_dead()) {
            match self.told.recv_timeout(LIMIT) {
                Ok(Told::Over) => is_over = true,
                Ok(Told::Died(state)) => is_over &= !self.replace(&state),
                Err(error) => panic!("it hangs: {error}\n{}", self.log()),
            }
        }
        self.settle();
    }

    /// Buries an engine, and starts the next one on what it has left; whether it was the coordinator's.
    fn replace(&mut self, state: &Path) -> bool {
        let host = *self.lives.iter().find(|(_, life)| life.state == state).unwrap().0;
        self.lives.remove(host).unwrap().bury();
        self.deaths += 1;
        let life = Life::open(&self.site.root(), host, state.to_str().unwrap(), self.sender.clone());
        let _ = self.lives.insert(host, life);
        if host == self.first && host == self.coordinator {
            // Nothing touches a pair now.
            assert_no_empty_record(self.site, &self.lives());
        }
        let life = &self.lives[host];
        life.begin(self.orders.get_mut(host).and_then(VecDeque::pop_front));
        if host == self.coordinator {
            self.follow(life);
        }
        host == self.coordinator
    }

    /// Has an engine say when the run that it has found is over, or that it has found none.
    fn follow(&self, life: &Life) {
        let (offer, sender) = (Offer(Arc::clone(life.engine())), self.sender.clone());
        let (state, before) = (life.state.clone(), self.own_runs);
        drop(life.runtime.spawn(async move {
            until_alive(&state).await;
            let mut runs = offer.runs(RunsQuery { limit: Some(1000), ..RunsQuery::default() }).await.unwrap();
            if runs.len() > before {
                runs.sort_by_key(|row| row.accepted);
                let run = runs.pop().unwrap().run;
                let mut events = offer.events(run, true).await.unwrap();
                while events.recv().await.is_some() {}
            }
            sender.send(Told::Over).unwrap();
        }));
    }

    /// Waits until hosts that were told late have been told, and nothing is at work any more.
    fn settle(&self) {
        let began = Instant::now();
        let busy = |life: &Life| {
            let (engine, untold) =
                (life.engine(), |row: &RunRow| row.status.is_over() && !row.unreleased.is_empty());
            let untold: Vec<_> = rows(life).into_iter().filter(untold).map(|row| row.unreleased).collect();
            let (active, serves) = (engine.active().len(), engine.serving.is_busy());
            let told =
                format!("{}: {active} runs at work, serves: {serves}, not told: {untold:?}", life.host);
            (active > 0 || serves || !untold.is_empty()).then_some(told)
        };
        while let Some(busy) = self.lives.values().find_map(busy) {
            assert!(began.elapsed() < LIMIT, "{busy}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the engines.
    pub(super) fn end(self) {
        let states: Vec<_> = self.lives.values().map(|life| life.state.clone()).collect();
        for life in self.lives.into_values() {
            life.bury();
        }
        forget(&states);
    }
}

fn rows(life: &Life) -> Vec<RunRow> {
    load::rows(&life.engine().store).unwrap()
}
