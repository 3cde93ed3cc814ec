//! The engines of other hosts: on this machine by the state directory that the plan's site gives, on another over the line
//! to it; started if none listens.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use resplit_operations::{
    ids::HostId,
    site::{Host, Reach, Site},
};
use resplit_steps::{
    context::{Peers, Work},
    failure::{Failure, FailureClass},
};
use tokio::runtime::Handle;

use crate::{
    background::{Start, StartError, ensure},
    client::{Client, ClientError, Far, Line},
    failures,
};

/// How often a host that cannot be reached is asked before that is told.
pub(crate) const TRIES: u32 = 5;
/// The first pause between such tries; it doubles.
pub(crate) const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 200 });

/// How the engines of other hosts are reached, and started. Clones share the lines to other machines.
#[derive(Clone, Debug)]
pub struct PeerEngines {
    /// The program.
    pub program: PathBuf,
    /// The site directory, given to engines that are started.
    pub site: PathBuf,
    /// The program's version and build.
    pub build: String,
    /// Whether those that are started leave interrupted runs as they are.
    pub hold: bool,
    /// Which host this machine is, if that is known: what is `local` elsewhere is not looked for here.
    pub here: Option<HostId>,
    lines: Arc<Mutex<HashMap<HostId, Arc<Line>>>>,
}

impl PeerEngines {
    /// For a program of a build, and a site directory on the machine that is the host `here`, if that is known.
    pub fn new(program: PathBuf, site: PathBuf, build: String, hold: bool, here: Option<HostId>) -> Self {
        Self { program, site, build, hold, here, lines: Arc::default() }
    }

    /// The arguments with which the program is the engine of a host.
    pub fn arguments(site: &Path, host: &HostId, state: &Path) -> Vec<OsString> {
        vec![
            "engine".into(),
            "--site".into(),
            site.into(),
            "--host".into(),
            host.as_str().into(),
            "--state".into(),
            state.into(),
        ]
    }

    /// How the engine of a host on this machine is started.
    pub fn start(&self, host: &HostId, found: &Host) -> Start {
        let state = &found.state;
        let mut arguments = Self::arguments(&self.site, host, state);
        if self.hold {
            arguments.push("--hold".into());
        }
        Start {
            program: self.program.clone(),
            arguments,
            site: self.site.clone(),
            state: state.clone(),
            state_on: found.state_on.clone(),
            host: host.clone(),
            build: self.build.clone(),
        }
    }

    /// Whether a host is on another machine.
    pub(crate) fn is_far(&self, site: &Site, host: &HostId) -> bool {
        !matches!(site.reach(host, self.here.as_ref()), Some(Reach::Here) | None)
    }

    /// The engine of a host, started if none listens.
    pub async fn client(&self, site: &Site, host: &HostId) -> Result<Client, Failure> {
        let found = site.hosts.get(host);
        let found =
            found.ok_or_else(|| Failure::permanent(format!("the plan's site has no host '{host}'")))?;
        let started = match site.reach(host, self.here.as_ref()) {
            Some(Reach::Remote(address)) => {
                let far = Far::new(host, found, address, &self.site, self.hold);
                return Box::pin(self.over(far)).await.map_err(Failure::from);
            }
            Some(Reach::Elsewhere) => return Err(elsewhere(host)),
            Some(Reach::Here) | None => {
                #[cfg(test)]
                crate::killed::until_alive(&found.state).await;
                Box::pin(ensure(&self.start(host, found))).await
            }
        };
        started.map_err(|error| match error {
            // Nothing that is asked again changes it.
            StartError::Directory(failure) if failure.class == FailureClass::Refused => failure,
            error => Failure::temporary(format!("cannot reach the engine of host '{host}': {error}"))
                .with_help(format!("resplit --host {host} status")),
        })
    }

    /// The engine of a host, if one listens: none is started for it.
    pub(crate) async fn listening(&self, id: &HostId, found: &Host, site: &Site) -> Option<Client> {
        match site.reach(id, self.here.as_ref())? {
            Reach::Here => Client::connect(&found.state).await.ok(),
            Reach::Remote(address) => {
                let far = Far { start: false, ..Far::new(id, found, address, &self.site, self.hold) };
                let client = Client::over(Line::to(far));
                client.reach().await.ok().map(|()| client)
            }
            Reach::Elsewhere => None,
        }
    }

    /// The engine at the end of a line, which is open when this returns.
    async fn over(&self, far: Far) -> Result<Client, ClientError> {
        let line = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            match lines.get(&far.host).filter(|line| *line.far() == far) {
                Some(line) => Arc::clone(line),
                None => {
                    let line = Line::to(far.clone());
                    let _ = lines.insert(far.host, Arc::clone(&line));
                    line
                }
            }
        };
        let client = Client::over(line);
        client.reach().await.map(|()| client)
    }

    /// Asks the engine of another host for what may be asked twice: one that is killed over it is started, and asked
    /// again. One that refuses, or that an operator has to see to, is not. A failure says whether it was reached.
    pub(crate) async fn ask<T, F>(
        &self,
        site: &Site,
        host: &HostId,
        question: impl Fn(Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.client(site, host).await {
                Ok(client) => match question(client).await {
                    Err(ClientError::NotRunning(_) | ClientError::Broken(_)) => {}
                    answered => return answered.map_err(failures::of_client),
                },
                Err(failure) if failure.class == FailureClass::Refused => {
                    return Err(failure.of_unreached_host());
                }
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        let client = self.client(site, host).await.map_err(Failure::of_unreached_host)?;
        question(client).await.map_err(|error| match error {
            ClientError::NotRunning(_) | ClientError::Broken(_) | ClientError::Away(_) => {
                failures::of_client(error).of_unreached_host()
            }
            error => failures::of_client(error),
        })
    }
}

fn elsewhere(host: &HostId) -> Failure {
    Failure::refused(format!(
        "host '{host}' is `connect: local` on another machine, and cannot be reached from here"
    ))
    .with_help(format!(
        "say in site.yaml how every host reaches it: hosts: {host}: {{ connect: ssh://HOST }}"
    ))
}

/// The peers of one step, which is not async.
pub(crate) struct StepPeers<'a> {
    pub engines: &'a PeerEngines,
    pub site: &'a Site,
    pub handle: Handle,
    pub work: &'a Work,
}

impl StepPeers<'_> {
    /// Asks as long as the site says that a host on another machine is waited for.
    async fn ask_patiently<T, F>(&self, host: &HostId, question: impl Fn(Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let far = self.site.hosts.get(host).filter(|_| self.engines.is_far(self.site, host));
        let wait = far.map(|far| far.wait().duration()).unwrap_or_default();
        let since = Instant::now();
        loop {
            match self.engines.ask(self.site, host, &question).await {
                Err(failure)
                    if failure.unreached
                        && failure.class != FailureClass::Refused
                        && since.elapsed() < wait
                        && !self.work.is_cancelled() => {}
                asked => return asked,
            }
        }
    }
}

impl Peers for StepPeers<'_> {
    fn send_file(&self, to: &HostId, name: &str, bytes: &[u8], digest: &str) -> Result<PathBuf, Failure> {
        self.handle.block_on(async {
            let place = async |client: Client| client.place(name, digest, bytes.to_vec()).await;
            self.ask_patiently(to, place).await
        })
    }
}
