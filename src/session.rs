//! What most verbs begin with: the definitions, and the engines of the hosts on this machine.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use resplit_engine::{
    background::{self, Start},
    client::{Client, ClientError},
    definitions,
    peers::PeerEngines,
    store::Damage,
};
use resplit_operations::{
    definitions::{Partial, check_everything},
    ids::{HostId, OperationId},
    operation::Operation,
    plan::Plan,
    report::Report,
    site::{Connect, Reach, Site},
};
use resplit_steps::failure::Failure;

use crate::{
    build,
    cli::Global,
    exit::{Exit, Stop},
    hosts,
    output::{self, Tone, View},
    render,
};

/// The most problems of definition files that are shown at once.
pub(crate) const MOST_PROBLEMS: usize = 20;

/// One call of the program.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The options that every verb understands.
    pub(crate) global: Global,
    /// How things are shown.
    pub(crate) view: View,
    /// Whether a host that should have been asked could not be.
    incomplete: Arc<AtomicBool>,
}

/// A site directory whose site file has no error.
#[derive(Debug)]
pub(crate) struct Place {
    /// The site directory, absolute.
    pub(crate) directory: PathBuf,
    /// The site as written.
    pub(crate) site: Site,
    /// What the operation files declare; empty if they were not wanted.
    pub(crate) definitions: Partial,
    /// How the engines of its hosts are reached, and started.
    pub(crate) peers: PeerEngines,
}

/// The engines of some hosts, in the order of their names.
pub(crate) type Engines = Vec<(HostId, Client)>;

impl Session {
    /// A call with these options.
    pub(crate) fn new(global: Global, view: View) -> Self {
        Self { global, view, incomplete: Arc::default() }
    }

    /// How the program ends that did what was asked, as far as hosts could be asked.
    pub(crate) fn ends_with(&self, exit: Exit) -> Exit {
        if exit == Exit::Done && self.incomplete.load(Ordering::SeqCst) { Exit::Failed } else { exit }
    }

    /// The site directory, absolute.
    pub(crate) fn directory(&self) -> Result<PathBuf, Stop> {
        let unknown = |error| Stop::failed(format!("cannot tell the current directory: {error}"));
        let current = std::env::current_dir().map_err(unknown)?;
        let environment = std::env::var_os("RESPLIT_SITE");
        let found = definitions::find_site(self.global.site.as_deref(), environment.as_deref(), &current);
        found.map_err(|failure| Stop { exit: Exit::Usage, ..failure.into() })
    }

    /// Reads the site and all operations. Problems of operations are left to whoever uses them.
    pub(crate) fn place(&self) -> Result<Place, Stop> {
        let directory = self.directory()?;
        let (site, operations) = definitions::read(&directory);
        let drivers = definitions::read_drivers(&directory);
        self.checked(directory, check_everything(site, drivers, operations))
    }

    /// Reads the site alone.
    pub(crate) fn site(&self) -> Result<Place, Stop> {
        let directory = self.directory()?;
        let site = definitions::read_site(&directory);
        let drivers = definitions::read_drivers(&directory);
        self.checked(directory, check_everything(site, drivers, Vec::new()))
    }

    pub(crate) fn checked(&self, directory: PathBuf, definitions: Partial) -> Result<Place, Stop> {
        let Some(site) = definitions.site.clone() else {
            return Err(self.problems(&definitions.report));
        };
        if let Some(host) = self.said_host(&site) {
            let _ = hosts::named(&site, &host)?;
        }
        let unknown = |error| Stop::failed(format!("cannot tell where this program is: {error}"));
        let program = std::env::current_exe().map_err(unknown)?;
        let (build, here) = (build::identity(), hosts::of_machine(&site));
        let peers = PeerEngines::new(program, directory.clone(), build, self.global.hold, here);
        Ok(Place { directory, site, definitions, peers })
    }

    /// An operation. What is wrong with others is told in a word, and hinders nothing.
    pub(crate) fn operation<'p>(&self, place: &'p Place, id: &OperationId) -> Result<&'p Operation, Stop> {
        let known = &place.definitions;
        let (_, operation) = known.operation(id).map_err(|report| {
            let stop = self.problems(&report);
            let exit = if known.broken.contains_key(id) { Exit::Definitions } else { Exit::Usage };
            Stop { exit, ..stop }
        })?;
        let others = place.definitions.broken.len();
        if others > 0 {
            let files = if others == 1 { "one other operation has" } else { "other operations have" };
            self.view.warn(&format!("{files} errors: `resplit check` shows them"));
        }
        Ok(operation)
    }

    /// Shows what is wrong with definition files; what is left is to stop.
    pub(crate) fn problems(&self, report: &Report) -> Stop {
        output::note(report.render(MOST_PROBLEMS, self.view.error_colour).trim_end());
        Stop::silent(Exit::Definitions)
    }

    /// The view of what goes to standard error.
    pub(crate) fn error_view(&self) -> View {
        View { colour: self.view.error_colour, ..self.view.clone() }
    }

    /// The host that `--host` names, or `RESPLIT_HOST`. Of a host that ssh reaches the variable says that it is this machine,
    /// and leaves nothing out of a listing.
    pub(crate) fn said_host(&self, site: &Site) -> Option<String> {
        let is_said = |host: &String| {
            let found = site.hosts.get(&HostId::from(host.as_str()));
            !host.is_empty() && found.is_none_or(|found| found.connect == Connect::Local)
        };
        let environment = || std::env::var("RESPLIT_HOST").ok().filter(is_said);
        self.global.host.clone().or_else(environment)
    }

    /// The engines that a listing asks, each started if it does not run. If one is left out, what is shown is not all, and
    /// the program does not end as if it were.
    pub(crate) async fn listed(&self, place: &Place) -> Result<Engines, Stop> {
        let (engines, whole) = self.reachable(place).await?;
        if !whole {
            self.incomplete.store(true, Ordering::SeqCst);
        }
        Ok(engines)
    }

    /// The engines among which a run is looked for, each started if it does not run.
    pub(crate) async fn searched(&self, place: &Place) -> Result<Engines, Stop> {
        Ok(self.reachable(place).await?.0)
    }

    /// The engines of the hosts that are asked, and whether they are all. A host on another machine that cannot be reached
    /// is told on standard error, and left out. If there is nobody to ask, that is an error.
    async fn reachable(&self, place: &Place) -> Result<(Engines, bool), Stop> {
        let hosts = hosts::listed(&place.site, self.said_host(&place.site).as_deref())?;
        let (mut engines, mut away) = (Vec::new(), Vec::new());
        for (host, client) in place.ask_all(hosts).await {
            match client {
                Ok(client) => engines.push((host, client)),
                Err(stop) if place.is_here(&host) => return Err(stop),
                Err(stop) => away.push(stop),
            }
        }
        if let (true, 1, Some(stop)) = (engines.is_empty(), away.len(), away.first()) {
            return Err(stop.clone());
        }
        for stop in &away {
            self.view.complain(stop);
        }
        if engines.is_empty() { Err(Stop::silent(Exit::Failed)) } else { Ok((engines, away.is_empty())) }
    }
}

impl Session {
    /// How a listing ends of which some parts could not be told: each is said on standard error.
    pub(crate) fn fail_with(&self, failures: Vec<Failure>) -> Exit {
        let exit = if failures.is_empty() { Exit::Done } else { Exit::Failed };
        for failure in failures {
            self.view.complain(&failure.into());
        }
        exit
    }
}

impl Place {
    /// The site with absolute paths.
    pub(crate) fn resolved(&self) -> Site {
        self.site.resolved(&self.directory)
    }

    /// Whether a host is on this machine.
    pub(crate) fn is_here(&self, host: &HostId) -> bool {
        self.site.reach(host, self.peers.here.as_ref()) == Some(Reach::Here)
    }

    /// How the engine of a host on this machine is started.
    fn start(&self, host: &HostId) -> Result<Start, Stop> {
        let site = self.resolved();
        match site.hosts.get(host).filter(|_| self.is_here(host)) {
            Some(found) => Ok(self.peers.start(host, found)),
            None => {
                Err(Stop::usage(format!("host '{host}' is not on this machine"))
                    .help("do it on that machine"))
            }
        }
    }

    /// The engine of a host on this machine, one that starts now.
    pub(crate) async fn restarted(&self, host: &HostId) -> Result<Client, Stop> {
        let restarted = background::restart(&self.start(host)?).await;
        restarted.map_err(|error| unusable(host, Failure::from(error)))
    }

    /// The engine of a host, started if it does not run.
    pub(crate) async fn engine(&self, host: &HostId) -> Result<Client, Stop> {
        let client = if self.is_here(host) {
            let ensured = background::ensure(&self.start(host)?).await;
            ensured.map_err(|error| unusable(host, Failure::from(error)))?
        } else {
            self.peers.client(&self.resolved(), host).await.map_err(Stop::from)?
        };
        if self.peers.hold && !client.info().await.map_err(stop)?.hold {
            let text =
                format!("the engine of '{host}' is at work already, and takes up what was interrupted");
            return Err(Stop::new(Exit::Busy, text).help(
                "once it is idle it ends by itself; --hold has to be said to the first command after that",
            ));
        }
        Ok(client)
    }

    /// The engines of these hosts, each started if it does not run; in the order given. Those on other machines are asked
    /// at once, since reaching one takes a while.
    pub(crate) async fn ask_all(
        &self,
        hosts: impl IntoIterator<Item = HostId>,
    ) -> Vec<(HostId, Result<Client, Stop>)> {
        let far = |host: HostId| {
            let reaching = (!self.is_here(&host)).then(|| {
                let place = (self.directory.clone(), self.site.clone(), self.peers.clone(), host.clone());
                tokio::spawn(async move {
                    let (directory, site, peers, host) = place;
                    Self { directory, site, definitions: Partial::default(), peers }.engine(&host).await
                })
            });
            (host, reaching)
        };
        let asked: Vec<_> = hosts.into_iter().map(far).collect();
        let mut engines = Vec::new();
        for (host, reaching) in asked {
            let client = match reaching {
                Some(reaching) => reaching.await.unwrap_or_else(|error| Err(Stop::failed(error.to_string()))),
                None => self.engine(&host).await,
            };
            engines.push((host, client));
        }
        engines
    }

    /// The engines of these hosts, each started if it does not run.
    pub(crate) async fn engines(&self, hosts: impl IntoIterator<Item = HostId>) -> Result<Engines, Stop> {
        let asked = self.ask_all(hosts).await;
        asked.into_iter().map(|(host, client)| Ok((host, client?))).collect()
    }

    /// The coordinator's engine, once those of all hosts of the plan run, and none of them only reads: a run touches them
    /// all, and must not end half way.
    pub(crate) async fn writing_coordinator(&self, plan: &Plan) -> Result<Client, Stop> {
        let engines = self.engines(plan_hosts(plan)).await?;
        if let Some((host, damage)) = read_only(&engines).await?.into_iter().next() {
            return Err(Stop::new(Exit::Operator, format!("host '{host}': {damage}; nothing was touched"))
                .help(damage.help()));
        }
        coordinator_of(engines, plan)
    }

    /// The coordinator's engine, once those of all hosts of the plan run.
    pub(crate) async fn coordinator(&self, plan: &Plan) -> Result<Client, Stop> {
        coordinator_of(self.engines(plan_hosts(plan)).await?, plan)
    }
}

/// The engines that only read, since what they have stored is damaged.
pub(crate) async fn read_only(engines: &Engines) -> Result<Vec<(HostId, Damage)>, Stop> {
    let mut found = Vec::new();
    for (host, client) in engines {
        let damage = client.info().await.map_err(stop)?.read_only;
        found.extend(damage.map(|damage| (host.clone(), damage)));
    }
    Ok(found)
}

/// Says of each engine that only reads why: before everything else that is shown.
pub(crate) async fn tell_read_only(engines: &Engines, session: &Session) -> Result<(), Stop> {
    for (host, damage) in read_only(engines).await? {
        let text = render::text::plain(&format!("host '{host}': {damage}")).into_owned();
        if session.global.json {
            session.view.warn(&text);
        } else {
            output::print(&format!("{}: {text}\n", session.view.paint(Tone::Bad, "read-only")))?;
        }
        output::note(&format!("{}: {}", session.view.paint_error(Tone::Help, "help"), damage.help()));
    }
    Ok(())
}

/// The hosts whose engines a run of a plan needs.
pub(crate) fn plan_hosts(plan: &Plan) -> BTreeSet<HostId> {
    let steps = plan.graph().node_weights().map(|step| step.host.clone());
    let owners = plan.resources().into_iter().map(|(host, _)| host);
    let secondaries = plan.site.volumes.values().flat_map(|volume| &volume.pairs);
    let secondaries = secondaries.map(|pair| pair.secondary.host.clone());
    steps.chain(owners).chain(secondaries).chain([plan.coordinator.clone()]).collect()
}

fn coordinator_of(engines: Engines, plan: &Plan) -> Result<Client, Stop> {
    let found = engines.into_iter().find(|(host, _)| *host == plan.coordinator);
    found.map(|(_, client)| client).ok_or_else(|| {
        Stop::usage(format!("host '{}' coordinates the plan, and was not asked", plan.coordinator))
    })
}

fn unusable(host: &HostId, failure: Failure) -> Stop {
    let stop = Stop::from(failure);
    Stop { message: format!("the engine of '{host}' cannot be used: {}", stop.message), ..stop }
}

/// Why an engine did not answer, as a reason to stop.
pub(crate) fn stop(error: ClientError) -> Stop {
    match error {
        ClientError::Refused(refusal) => refusal.into(),
        error => Failure::from(error).into(),
    }
}

/// A path as the operator means it, absolute.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Stop> {
    std::path::absolute(path).map_err(|error| Stop::usage(format!("'{}': {error}", path.display())))
}
