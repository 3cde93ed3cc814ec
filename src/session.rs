//! What most verbs begin with: the definitions, and the engines of the hosts on this machine.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use resplit_engine::{
    background::{self, Start, StartError},
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
    site::{Connect, Site},
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
    /// Whether engines that are started leave interrupted runs as they are.
    pub(crate) hold: bool,
}

/// The engines of some hosts, in the order of their names.
pub(crate) type Engines = Vec<(HostId, Client)>;

impl Session {
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

    fn checked(&self, directory: PathBuf, definitions: Partial) -> Result<Place, Stop> {
        let Some(site) = definitions.site.clone() else {
            return Err(self.problems(&definitions.report));
        };
        if let Some(host) = self.said_host() {
            let _ = hosts::named(&site, &host)?;
        }
        Ok(Place { directory, site, definitions, hold: self.global.hold })
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

    /// The host that `--host` or `RESPLIT_HOST` names.
    fn said_host(&self) -> Option<String> {
        let environment = || std::env::var("RESPLIT_HOST").ok().filter(|host| !host.is_empty());
        self.global.host.clone().or_else(environment)
    }

    /// The engines that a listing asks, each started if it does not run.
    pub(crate) async fn listed(&self, place: &Place) -> Result<Engines, Stop> {
        place.engines(hosts::listed(&place.site, self.said_host().as_deref())?).await
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

    /// How the engine of a host is started.
    fn start(&self, host: &HostId) -> Result<Start, Stop> {
        let site = self.resolved();
        let Some(found) = site.hosts.get(host).filter(|host| host.connect == Connect::Local) else {
            return Err(Stop::usage(format!("the site has no local host '{host}'")));
        };
        let unknown = |error| Stop::failed(format!("cannot tell where this program is: {error}"));
        let starter = PeerEngines {
            program: std::env::current_exe().map_err(unknown)?,
            site: self.directory.clone(),
            build: build::identity(),
            hold: self.hold,
        };
        Ok(starter.start(host, &found.state))
    }

    /// The engine of a host, one that starts now.
    pub(crate) async fn restarted(&self, host: &HostId) -> Result<Client, Stop> {
        background::restart(&self.start(host)?).await.map_err(|error| unstarted(host, error))
    }

    /// The engine of a host, started if it does not run.
    pub(crate) async fn engine(&self, host: &HostId) -> Result<Client, Stop> {
        let start = self.start(host)?;
        let client = background::ensure(&start).await.map_err(|error| unstarted(host, error))?;
        if self.hold && !client.info().await.map_err(stop)?.hold {
            let text =
                format!("the engine of '{host}' is at work already, and takes up what was interrupted");
            return Err(Stop::new(Exit::Busy, text).help(
                "once it is idle it ends by itself; --hold has to be said to the first command after that",
            ));
        }
        Ok(client)
    }

    /// The engines of these hosts, each started if it does not run.
    pub(crate) async fn engines(&self, hosts: impl IntoIterator<Item = HostId>) -> Result<Engines, Stop> {
        let mut engines = Vec::new();
        for host in hosts {
            let client = self.engine(&host).await?;
            engines.push((host, client));
        }
        Ok(engines)
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
fn plan_hosts(plan: &Plan) -> BTreeSet<HostId> {
    let steps = plan.graph().node_weights().map(|step| step.host.clone());
    let owners = plan.resources().into_iter().map(|(host, _)| host);
    let secondaries = plan.site.volumes.values().flat_map(|volume| &volume.pairs);
    let secondaries = secondaries.map(|pair| pair.secondary.host.clone());
    steps.chain(owners).chain(secondaries).chain([plan.coordinator.clone()]).collect()
}

fn coordinator_of(engines: Engines, plan: &Plan) -> Result<Client, Stop> {
    let found = engines.into_iter().find(|(host, _)| *host == plan.coordinator);
    found.map(|(_, client)| client).ok_or_else(|| {
        Stop::usage(format!("the plan is coordinated by '{}', which is not local", plan.coordinator))
    })
}

fn unstarted(host: &HostId, error: StartError) -> Stop {
    let stop = Stop::from(Failure::from(error));
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
